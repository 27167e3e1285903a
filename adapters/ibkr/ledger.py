"""The orders, followed by TWS's raw words alone. Pure: messages in, outcomes out.

Rules of this room:
1. An order is named by its reference (our ClOrdID(11)) and by permId; an order id is only how this session
   calls it. Two permIds under one reference are two orders: the account stops.
2. Only TWS's own orderStatus, its completed orders, and codes that say so end an order. Whatever else an
   error says about an order TWS has acknowledged, the order lives until a question is answered otherwise.
3. Executions count whenever they come, also while TWS is cut off from IBKR, also after a cancel.
4. What another client or a person did on our accounts is told as a stranger's; on an account another link
   trades, too, it is left to that link.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from adapters.ibkr import said
from adapters.ibkr.cancels import cancel_refused, cannot_cancel
from adapters.ibkr.changes import changed, doubled, is_spent, worsened
from adapters.ibkr.codes import REFUSALS, Action, row_of, words
from adapters.ibkr.known import ENDED, INACTIVE, WORKING, Deal, Known, Life
from adapters.ibkr.others import Others
from adapters.ibkr.outcomes import About, Ask, Bar, IdUsed, Notice, Outcome, SendWhole
from adapters.ibkr.said import COMPLETED_END, EXECUTIONS_END, OPEN_END
from adapters.ibkr.settings import IbkrSettings
from adapters.ibkr.telling import costs, is_answered, tell_deals, tell_status
from adapters.ibkr.wire import execution_names
from gateway.domain.order import OrderSpec

REMEMBERED = 50_000
CANNOT_CANCEL = 10148
EVER = datetime.min.replace(tzinfo=UTC)


class Ledger:
    """Follow every order of one connection's client ids; `symbol_of` names a contract as we do."""

    def __init__(self, settings: IbkrSettings, symbol_of: Callable[..., str]) -> None:
        self._settings = settings
        self._symbol_of = symbol_of
        self._orders: dict[str, Known] = {}
        self._by_perm: dict[int, Known] = {}
        self._by_id: dict[int, Known] = {}
        self._deals: dict[str, Known] = {}
        self._commissions: dict[str, said.CommissionSaid] = {}
        self.others = Others()
        self.clock = 0
        self.since = EVER
        self.owed: set[str] = set()
        self.seen: dict[str, set[str]] = {kind: set() for kind in (OPEN_END, EXECUTIONS_END, COMPLETED_END)}

    # What we do ourselves.

    def sent(
        self, spec: OrderSpec, order_id: int, client_id: int, qty: Decimal, limit: Decimal | None = None
    ) -> None:
        """Note an order in the same step in which it leaves."""
        one = self.order(spec)
        self.clock += 1
        one.heard_at = self.clock  # an answer begun before it left proves nothing about it
        if one.perm_id:
            one.dead_perms.add(one.perm_id)
            self._by_perm.pop(one.perm_id, None)
        self._by_id.pop(one.order_id, None)
        one.perm_id, one.order_id, one.client_id, one.qty = 0, order_id, client_id, qty
        one.life, one.status, one.refusal, one.told, one.limit = Life.SENT, "", "", None, limit
        self._by_id[order_id] = one

    def order(self, spec: OrderSpec) -> Known:
        """Return what is known of an order of ours, which may be nothing yet."""
        one = self._orders.get(spec.cl_ord_id)
        if one is None:
            one = self._remember(Known(spec.cl_ord_id))
        one.account, one.symbol, one.side, one.wanted = spec.account, spec.symbol, spec.side, spec.price
        one.qty, one.stated = one.qty or spec.order_qty, one.stated or spec.order_qty
        return one

    def find(self, ref: str) -> Known | None:
        """Return an order by its reference."""
        return self._orders.get(ref)

    def working(self) -> list[Known]:
        """Return every order that may still fill."""
        return [one for one in self._orders.values() if one.is_working]

    def new_session(self) -> None:
        """Forget how the last session called its orders: ids may begin again."""
        self._by_id.clear()

    def absent(self, ref: str) -> None:
        """Note that a complete answer does not hold an order: it never arrived."""
        one = self._orders.get(ref)
        if one is not None:
            one.life, one.told = Life.GONE, None

    # What TWS says.

    def hear(self, message: said.Said, now_s: float) -> list[Outcome]:  # noqa: PLR0911 - one case a line
        """Take one message; `now_s` is a steady clock."""
        self.clock += isinstance(message, said.ABOUT_ORDERS)
        match message:
            case said.StatusSaid():
                return self._status(message, now_s)
            case said.OpenSaid():
                return [] if message.is_what_if else self._open(message, now_s)
            case said.CompletedSaid():
                return self._completed(message, now_s)
            case said.ExecutionSaid():
                return self._execution(message, now_s)
            case said.CommissionSaid():
                return self._commission(message, now_s)
            case said.ErrorSaid():
                return self._error(message, now_s)
            case _:
                return []

    def due(self, now_s: float) -> list[Outcome]:
        """Tell the executions that have waited long enough for their commission."""
        held = [one for one in self._orders.values() if one.is_held]
        return [outcome for one in held for outcome in self._told(one, now_s)]

    def state(self, ref: str, now_s: float) -> list[Outcome]:
        """Tell how an order stands, because somebody asked."""
        one = self._orders[ref]
        one.is_asked_for, one.told = True, None
        return [*worsened(one), *self._told(one, now_s)]

    def confirm(self, ref: str, *, is_open: bool, is_over: bool) -> None:
        """Take a complete answer about an order that was in question."""
        self._orders[ref].confirm(is_open=is_open, is_over=is_over)

    def is_answered(self, ref: str, about: About) -> bool:
        """Say whether what a question is about has come by itself."""
        one = self._orders.get(ref)
        return one is None or is_answered(one, about)

    # The messages.

    def _status(self, message: said.StatusSaid, now_s: float) -> list[Outcome]:
        found, outcomes = self._find(message.perm_id, message.client_id, message.order_id, "")
        if found is None:
            self.others.ended(message)
            return outcomes
        found.filled = max(found.filled, message.filled)
        found.avg_px = message.avg_px or found.avg_px
        outcomes += self._take_status(found, message.status)
        return outcomes + self._told(found, now_s)

    def _open(self, message: said.OpenSaid, now_s: float) -> list[Outcome]:
        if self._is_of_nobody(message):
            return []
        found, outcomes = self._find(message.perm_id, message.client_id, message.order_id, message.ref)
        if found is None:
            self.others.shown(message, self._symbol_of(message.con_id, message.symbol))
            return outcomes
        self._describe(found, message)
        self.seen[OPEN_END].add(found.ref)
        outcomes += changed(found, message)
        if message.client_id == found.client_id or not found.order_id:
            found.order_id, found.client_id = message.order_id, message.client_id
            self._by_id[message.order_id] = found
        if message.status in ENDED:  # it does not say how much had filled: orderStatus does
            found.life = Life.LIVE if found.life in (Life.SENT, Life.GONE) else found.life
            return [*outcomes, Ask(found.ref, f"openOrder says {message.status}", About.END)]
        if found.is_cancelled and message.status in WORKING and message.status != "PendingCancel":
            is_first, found.shown_again_at = not found.shown_again_at, self.clock
            return [*outcomes, *([Ask(found.ref, "cancelled, and shown as working")] if is_first else [])]
        outcomes += self._take_status(found, message.status)
        return outcomes + self._told(found, now_s)

    def _completed(self, message: said.CompletedSaid, now_s: float) -> list[Outcome]:
        if message.perm_id not in self._by_perm and is_spent(self._orders.get(message.ref), message):
            return []
        found, outcomes = self._find(message.perm_id, 0, 0, message.ref)
        if found is None:
            return outcomes
        self._describe(found, message)
        self.seen[COMPLETED_END].add(found.ref)
        found.filled = max(found.filled, message.filled)
        found.status = message.status if message.status in ENDED else "Cancelled"
        found.life = Life.OVER
        return outcomes + self._told(found, now_s)

    def _execution(self, message: said.ExecutionSaid, now_s: float) -> list[Outcome]:
        if not self._settings.account_of(message.account) or self._is_of_before(message):
            return []
        found, outcomes = self._find(message.perm_id, message.client_id, message.order_id, message.ref)
        if found is None:
            found = self._stranger(message)
            if found is None:
                return outcomes
        self._describe(found, message)
        if found.life in (Life.SENT, Life.GONE):
            found.life = Life.LIVE
        self.seen[EXECUTIONS_END].add(found.ref)
        base, version = execution_names(message.exec_id)
        standing = found.deals.get(base)
        if standing is not None and version <= standing.version:
            return outcomes
        deal = Deal(message.exec_id, version, message.qty, message.px, message.at, now_s)
        if standing is not None:
            deal = replace(
                deal, told_as=standing.told_as, told_qty=standing.told_qty,
                told_commission=standing.told_commission,
            )  # fmt: skip
            found.correct(standing.qty, message.qty)
        deal.is_owed = message.exec_id in self.owed
        if (cost := self._commissions.pop(message.exec_id, None)) is not None:
            outcomes += costs(found, deal, cost, self._settings.terms)
        found.deals[base] = deal
        self._deals[message.exec_id] = found
        found.heard_at = self.clock
        return outcomes + self._told(found, now_s)

    def _commission(self, message: said.CommissionSaid, now_s: float) -> list[Outcome]:
        found = self._deals.get(message.exec_id)
        if message.commission is None:
            return []
        if found is None:
            self._commissions[message.exec_id] = message
            if len(self._commissions) > REMEMBERED:
                del self._commissions[next(iter(self._commissions))]
            return []
        deal = found.deals[execution_names(message.exec_id)[0]]
        is_its = deal.exec_id == message.exec_id
        outcomes = costs(found, deal, message, self._settings.terms) if is_its else []
        return outcomes + self._told(found, now_s)

    def _error(self, message: said.ErrorSaid, now_s: float) -> list[Outcome]:  # noqa: PLR0911 - one case a line
        found = self._by_id.get(message.req_id) if message.req_id >= 0 else None
        if found is None:
            return []
        found.heard_at = self.clock
        text, action = words(message.code, message.text), row_of(message.code).action
        if message.code == CANNOT_CANCEL:
            return cannot_cancel(found, message.text, text)
        if action in REFUSALS:
            return self._refused(found, action, text, now_s)
        match action:
            case Action.CANCELLED:
                return self._cancelled(found, text, now_s)
            case Action.CANCEL_REFUSED:
                return cancel_refused(found, text)
            case Action.NOTE | Action.HELD:
                return []
            case Action.TOO_FAST:
                return [Ask(found.ref, text)]
            case _:
                return [Notice("warning", f"{found.symbol} {found.ref}: {text}"), Ask(found.ref, text)]

    # What a message does to an order.

    def _take_status(self, found: Known, status: str) -> list[Outcome]:  # noqa: PLR0911 - one case a line
        found.heard_at = self.clock
        if found.life is Life.OVER and found.status in ENDED and status not in ENDED:
            return []  # an older word, overtaken
        is_news, found.status = found.status != status, status
        if found.life is Life.OVER and status in WORKING:
            return [Ask(found.ref, f"it was over, and TWS says {status}")]
        if status in WORKING:
            found.refusal = ""
        if found.life in (Life.SENT, Life.GONE):
            found.life = Life.LIVE
        if status in ENDED:
            found.life, found.cancel_id = Life.OVER, ""
            return []
        if status == INACTIVE:
            if found.refusal:
                found.life = Life.OVER
                return []
            return [Ask(found.ref, "TWS holds it as Inactive")] if is_news else []
        if status not in WORKING and is_news:
            text = f"{found.symbol} {found.ref}: TWS says status {status!r}, which nobody here knows"
            return [Notice("warning", text), Ask(found.ref, text)]
        return []

    def _refused(self, found: Known, action: Action, text: str, now_s: float) -> list[Outcome]:
        """Take a refusal: of a new order it is the end, of one TWS has it is a reason to ask."""
        bars = [Bar(found.symbol, text)] if action is Action.BARRED else []
        if found.life is Life.OVER:
            return []
        if found.life is Life.LIVE and found.status != INACTIVE:
            found.refusal = "" if found.filled else text
            return [*bars, Notice("warning", f"{found.symbol} {found.ref}: {text}"), Ask(found.ref, text)]
        if action in (Action.DUPLICATE_ID, Action.NOT_CHANGED):
            found.life = Life.GONE
            self._by_id.pop(found.order_id, None)  # it names the order that had it before
            found.order_id = 0
            return [IdUsed(found.ref, text)]
        found.life, found.refusal = Life.OVER, text
        if action is Action.WHOLE_SHARES:
            return [SendWhole(found.ref, text)]
        return [*bars, *self._told(found, now_s)]

    def _cancelled(self, found: Known, text: str, now_s: float) -> list[Outcome]:
        found.cancel_id = ""
        if found.life is not Life.OVER:
            found.life, found.status, found.refusal = Life.OVER, "Cancelled", ""
        told = self._told(found, now_s)
        if found.was_cancelled or found.refusal:
            return told
        found.was_cancelled = True
        return [Notice("warning", f"{found.symbol} {found.ref}: nobody asked for it: {text}"), *told]

    def _told(self, found: Known, now_s: float) -> list[Outcome]:
        """Tell what can be told of an order: executions first, then how it stands."""
        if found.is_stranger and not found.deals:
            return []
        return [
            *tell_deals(found, now_s, self._settings.commission_wait_s),
            *tell_status(found),
        ]

    # Who is meant.

    def _find(
        self, perm_id: int, client_id: int, order_id: int, ref: str
    ) -> tuple[Known | None, list[Outcome]]:
        """Return the order a message is about, and what is wrong about its names."""
        if perm_id in self._by_perm:
            return self._by_perm[perm_id], []
        found = self._orders.get(ref) if ref else None
        if found is not None and perm_id in found.dead_perms:
            return None, []
        is_ours = client_id in self._settings.client_ids
        if found is None and is_ours:
            named = self._by_id.get(order_id)
            if named is not None and ref in ("", named.ref):
                found = named
        if found is None:
            if not is_ours or not ref:
                return None, []
            found = self._remember(Known(ref, order_id=order_id, client_id=client_id))
            self._by_id.setdefault(order_id, found)
        if not perm_id or found.perm_id == perm_id:
            return found, []
        if found.perm_id:
            return self._second(found, perm_id, order_id, client_id)
        found.perm_id = perm_id
        self._by_perm[perm_id] = found
        return found, []

    def _second(
        self, first: Known, perm_id: int, order_id: int, client_id: int
    ) -> tuple[Known | None, list[Outcome]]:
        """Take that one reference stands for two orders at the broker: stop, and tell."""
        other = self._remember(first.second(perm_id, order_id, client_id))
        self._by_perm[perm_id] = other
        return other, [doubled(first, perm_id)]

    def _stranger(self, message: said.ExecutionSaid) -> Known | None:
        """Follow an order somebody else made on an account of ours, unless another link answers for it."""
        if self._settings.shared.get(self._settings.account_of(message.account)):
            return None
        name = f"perm:{message.perm_id or execution_names(message.exec_id)[0]}"
        found = self._orders.get(name) or Known(name, perm_id=message.perm_id, life=Life.LIVE)
        found.is_stranger = True
        if message.perm_id:  # 0 is nobody's name: everything that has none yet would be taken for this order
            self._by_perm[message.perm_id] = found
        return self._remember(found)

    def _is_of_nobody(self, message: said.OpenSaid) -> bool:
        """Say whether it is on an account that is none of ours, and no order we know."""
        is_known = message.perm_id in self._by_perm or message.ref in self._orders
        return not is_known and bool(message.account) and not self._settings.account_of(message.account)

    def _is_of_before(self, message: said.ExecutionSaid) -> bool:
        """Say whether it is of a time before this gateway kept books here, and of no order it asks about."""
        is_known = message.perm_id in self._by_perm or message.ref in self._orders
        return not is_known and message.req_id >= 0 and message.at is not None and message.at < self.since

    def _describe(
        self, found: Known, message: said.OpenSaid | said.CompletedSaid | said.ExecutionSaid
    ) -> None:
        found.account = found.account or self._settings.account_of(message.account)
        kind = message.kind if isinstance(message, said.ExecutionSaid) else ()
        found.symbol = found.symbol or self._symbol_of(message.con_id, message.symbol, *kind)
        found.side = found.side or message.side

    def _remember(self, found: Known) -> Known:
        self._orders[found.ref] = found
        if len(self._orders) > REMEMBERED:
            self._forget(next(iter(self._orders.values())))
        return found

    def _forget(self, found: Known) -> None:
        del self._orders[found.ref]
        self._by_perm.pop(found.perm_id, None)
        for deal in found.deals.values():
            self._deals.pop(deal.exec_id, None)
