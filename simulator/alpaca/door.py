"""The venue as Alpaca's account: what may be asked of it, without sockets; the core decides and trades.

Rules of this room:
1. What changes something is kept in the journal before its answer leaves; a restart carries it out again,
   with the same ids, and says nothing on a stream.
2. A refusal is a `Refused`; the core is asked only what it will take.
3. What the account's owner may configure is the account's own, and is kept as well.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulator.accounts import Account
from simulator.alpaca import refusals, words
from simulator.alpaca.entry import Wanted, check, check_replacement, read_wanted
from simulator.alpaca.happenings import Happenings
from simulator.alpaca.journal import Journal
from simulator.alpaca.telling import SPOKEN, Tell, Teller
from simulator.alpaca.words import Ticket, new_id
from simulator.operations import OPERATIONS, number, operate
from simulator.operations import text as text_of
from simulator.orders import ZERO, CancelOrder, NewOrder, Order, OrdStatus, Side
from simulator.record import record as record_of
from simulator.venue import Venue, VenueError

MAX_ID = 128
CONFIGURATION: Mapping[str, Any] = {
    "no_shorting": False, "suspend_trade": False, "fractional_trading": True, "max_margin_multiplier": "1",
    "trade_confirm_email": "all", "ptp_no_exception_entry": False, "max_options_trading_level": 0,
    "disable_overnight_trading": False,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """Set up the account: its name in the books, its margin, and what it was begun with."""

    account: str
    multiplier: Decimal
    described: Mapping[str, str]
    may_short: bool = False
    whole_only: frozenset[str] = frozenset()


class Door:
    """Serve one account; `tell` gets each event of the stream."""

    def __init__(
        self, venue: Callable[[str], Venue], terms: Terms, journal: Journal, tell: Tell, prefix: str
    ) -> None:
        self._build = venue
        self.terms = terms
        self._journal = journal
        self._tell = tell
        self.stuck_cancels: Callable[[], bool] = lambda: False
        self.lost_replaces: Callable[[], bool] = lambda: False
        self._begin(prefix)

    def _begin(self, prefix: str) -> None:
        self.venue = self._build(prefix)
        self._teller = Teller(self._tell, lambda symbol: self.account.positions.get(symbol, ZERO))
        self.tickets: dict[str, Ticket] = {}
        self._by_name: dict[str, Ticket] = {}
        self.inactive: set[str] = set()
        self.sell_only: set[str] = set()
        self.configuration = dict(CONFIGURATION)
        self.is_open = True
        self.quote_age_s = ZERO
        self.happenings = Happenings(self.venue, self.terms.account)

    # Coming back.

    def recover(self, prefix: str, now: datetime) -> None:
        """Carry out what the journal holds, or begin it."""
        entries = list(self._journal.entries())
        self._journal.open()
        if not entries:
            self._journal.append({"k": "begin", "prefix": prefix, "terms": dict(self.terms.described)})
            return
        kept = entries[0]["terms"]
        for name, value in self.terms.described.items():
            if kept.get(name) != value:
                raise VenueError(
                    f"--store was begun with {name} {kept.get(name)}; give that, or another folder"
                )
        self._begin(entries[0]["prefix"])
        self._teller.is_silent = True
        for entry in entries[1:]:
            self._carry_out(entry, datetime.fromisoformat(entry["t"]))
        self._teller.is_silent = False
        self.advance(now)

    def _keep(self, kind: str, now: datetime, **what: Any) -> None:
        if not self._teller.is_silent:
            self._journal.append({"t": now.isoformat(), "k": kind, **what})

    def _carry_out(self, entry: Mapping[str, Any], now: datetime) -> None:
        kind = entry["k"]
        if kind == "tick":
            self._teller.told(self.venue.advance(now), now)
        elif kind == "post":
            self._enter(read_wanted(entry["b"]), entry["n"], now)
        elif kind == "cancel":
            self._cancel(self.tickets[entry["id"]], now, is_stuck=entry["s"])
        elif kind == "replace":
            ticket, is_lost = self.tickets[entry["id"]], bool(entry.get("l"))
            self._replace(ticket, read_wanted(entry["b"]), entry["n"], now, is_lost=is_lost)
        elif kind == "configure":
            self.configuration |= entry["c"]
        else:
            self._operate(entry["op"], entry["a"], now)

    # Time.

    def advance(self, now: datetime) -> None:
        """Let the venue do what is due."""
        due = self.venue.next_event()
        if due is not None and due <= now:
            self._keep("tick", now)
            self._teller.told(self.venue.advance(now), now)

    # What clients ask.

    def post(self, body: Mapping[str, Any], now: datetime) -> Ticket:
        """POST /v2/orders; raises `Refused`."""
        wanted = read_wanted(body)
        name = str(body.get("client_order_id") or "") or str(uuid.uuid4())
        if len(name) > MAX_ID:
            raise refusals.invalid(f"client_order_id must be no more than {MAX_ID} characters")
        if name in self._by_name:
            raise refusals.invalid("client_order_id must be unique")
        self.advance(now)
        check(self, wanted, now)
        self._keep("post", now, b=wanted.kept(), n=name)
        return self._enter(wanted, name, now)

    def cancel(self, order_id: str, now: datetime) -> None:
        """DELETE /v2/orders/{id}; raises `Refused`."""
        ticket = self.find(order_id)
        self.advance(now)
        if not ticket.is_open or ticket.is_stuck:
            raise refusals.impossible(f'order is already in "{ticket.status}" state')
        is_stuck = self.stuck_cancels()
        self._keep("cancel", now, id=order_id, s=is_stuck)
        self._cancel(ticket, now, is_stuck=is_stuck)

    def replace(self, order_id: str, body: Mapping[str, Any], now: datetime) -> Ticket:
        """PATCH /v2/orders/{id}: a new order takes the old one's place; raises `Refused`."""
        ticket, name = self.find(order_id), str(body.get("client_order_id") or "") or str(uuid.uuid4())
        self.advance(now)
        if ticket.status not in ("new", "partially_filled") or ticket.notional is not None:
            raise refusals.impossible(f"cannot replace order in {ticket.status} status")
        if name in self._by_name:
            raise refusals.invalid("client_order_id must be unique")
        order = ticket.order
        wanted = read_wanted({**words.order_json(ticket), **{k: v for k, v in body.items() if v is not None}})
        if wanted.qty is None or wanted.qty != wanted.qty.to_integral_value() or wanted.qty <= order.cum_qty:
            raise refusals.invalid("qty must be whole shares, more than have filled")
        check_replacement(self, ticket, wanted, now)
        is_lost = self.lost_replaces()
        self._keep("replace", now, id=order_id, b=wanted.kept(), n=name, l=is_lost)
        return self._replace(ticket, wanted, name, now, is_lost=is_lost)

    def configure(self, changes: Mapping[str, Any], now: datetime) -> None:
        """PATCH /v2/account/configurations: what is unknown is passed over."""
        known = {name: value for name, value in changes.items() if name in CONFIGURATION}
        self._keep("configure", now, c=known)
        self.configuration |= known

    def find(self, order_id: str) -> Ticket:
        """Return an order by its id; raises `Refused`."""
        try:
            return self.tickets[str(uuid.UUID(order_id))]
        except (KeyError, ValueError):
            raise refusals.not_found(f"order not found for {order_id}") from None

    def by_name(self, client_order_id: str) -> Ticket:
        """Return an order by the client's own id; raises `Refused`."""
        if client_order_id not in self._by_name:
            raise refusals.not_found(f"order not found for {client_order_id}")
        return self._by_name[client_order_id]

    @property
    def account(self) -> Account:
        """The account in the venue's books."""
        found = self.venue.accounts.find(self.terms.account)
        assert found is not None  # noqa: S101 - the command has checked it
        return found

    def open_tickets(self) -> list[Ticket]:
        """Return every order that may still fill."""
        return [one for one in self.tickets.values() if one.is_open]

    def reserved(self, symbol: str) -> Decimal:
        """Return what open sells hold of a symbol."""
        return sum(
            (
                one.order.leaves_qty
                for one in self.open_tickets()
                if one.order.symbol == symbol and not one.order.is_buy
            ),
            ZERO,
        )

    # What the operator does.

    def operate(self, name: str, arguments: Mapping[str, Any], now: datetime) -> int:
        """Carry out an operation of the core or of this door; return the number of events."""
        self.advance(now)
        told = self._operate(name, arguments, now)
        self._keep("op", now, op=name, a=dict(arguments))
        return told

    def record(self) -> dict[str, Any]:
        """Return the venue's own record."""
        return record_of(self.venue)

    # The inside.

    def _enter(self, wanted: Wanted, name: str, now: datetime, replaces: Ticket | None = None) -> Ticket:
        qty = wanted.units(self.venue.market, now)
        new = NewOrder(
            name, wanted.symbol, wanted.side, qty, wanted.ord_type, wanted.limit_price, wanted.time_in_force,
            self.terms.account, owner=self.terms.account, cash_order_qty=_to_spend(wanted),
        )  # fmt: skip
        if not self.is_open:
            ticket = self._file(_waiting(new), wanted, name, now, replaces)
            self._teller.event("accepted", ticket, now)
            return ticket
        said = self.venue.submit(new, now)
        order = self.venue.named(name, self.terms.account)
        ticket = self._file(order, wanted, name, now, replaces)
        self._teller.told(said, now)
        return ticket

    def _file(
        self, order: Order, wanted: Wanted, name: str, now: datetime, replaces: Ticket | None
    ) -> Ticket:
        order_id = new_id("order", f"{self.terms.account}/{name}")
        stamps = {"created_at": now, "updated_at": now, "submitted_at": now}
        ticket = Ticket(order_id, name, order, stamps, wanted.extended_hours, wanted.notional)
        if replaces is not None:
            ticket.replaces, replaces.replaced_by = replaces.order_id, order_id
        self.tickets[order_id] = self._by_name[name] = ticket
        self._teller.follow(ticket)
        return ticket

    def _cancel(self, ticket: Ticket, now: datetime, *, is_stuck: bool) -> None:
        if is_stuck:
            ticket.is_stuck = True
            self._teller.event("pending_cancel", ticket, now)
        elif not ticket.order.order_id:
            ticket.order.ended = OrdStatus.CANCELED
            ticket.stamps["canceled_at"] = now
            self._teller.event("canceled", ticket, now)
        else:
            ticket.cancels += 1
            name = f"{ticket.client_order_id}/cancel{ticket.cancels}"
            owner = self.terms.account
            asked = CancelOrder(name, ticket.order.cl_ord_id, owner, owner)
            self._teller.told(self.venue.cancel(asked, now), now)

    def _replace(self, ticket: Ticket, wanted: Wanted, name: str, now: datetime, *, is_lost: bool) -> Ticket:
        """End the old order and enter the new one for what has not filled, or lose the race to a fill."""
        owner, old = self.terms.account, ticket.order
        if is_lost:
            return self._lose_replacement(ticket, wanted, name, now)
        ticket.replaced_by = new_id("order", f"{owner}/{name}")
        ticket.stamps["replaced_at"] = now
        self.venue.cancel(CancelOrder(f"{name}/replaces", old.cl_ord_id, owner, owner), now)
        self._teller.event("replaced", ticket, now)
        return self._enter(wanted.less(old.cum_qty), name, now, ticket)

    def _lose_replacement(self, ticket: Ticket, wanted: Wanted, name: str, now: datetime) -> Ticket:
        """Let a replacement that was answered with success fail: the old order goes on."""
        new = NewOrder(
            name, wanted.symbol, wanted.side, wanted.qty or ZERO, wanted.ord_type, wanted.limit_price,
            wanted.time_in_force, self.terms.account, owner=self.terms.account,
        )  # fmt: skip
        order = _waiting(new)
        order.ended = OrdStatus.REJECTED
        lost = self._file(order, wanted, name, now, None)
        lost.replaces = ticket.order_id
        lost.stamps["failed_at"] = now
        self._teller.event("pending_replace", ticket, now, shown={"status": "pending_replace"})
        self._teller.event("order_replace_rejected", ticket, now)
        self._teller.event("rejected", lost, now)
        return lost

    def _operate(self, name: str, arguments: Mapping[str, Any], now: datetime) -> int:
        if name in OPERATIONS:
            said = operate(self.venue, name, self._in_core(arguments), now)
            self._teller.told(said, now)
            if name == "split":
                self.happenings.split(str(arguments["symbol"]), Decimal(str(arguments["ratio"])), now)
            return len(said)
        if name not in OWN_OPERATIONS:
            known = ", ".join(sorted([*OPERATIONS, *OWN_OPERATIONS]))
            raise VenueError(f"no operation {name!r}; use one of: {known}")
        if name == "activity":
            self.happenings.happen(arguments, now)
        elif name == "close_market":
            self.is_open = False
        elif name == "open_market":
            self._open(now)
        elif name == "say":
            return self._say(arguments, now)
        elif name == "quote_age":
            self.quote_age_s = number(arguments, "seconds")
        else:
            self._list(name, arguments)
        return 0

    def _list(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Change an asset's status."""
        symbol = text_of(arguments, "symbol")
        if symbol not in self.venue.market:
            raise VenueError(f"symbol {symbol} is not listed; give one of the prices file")
        self.inactive.discard(symbol)
        self.sell_only.discard(symbol)
        if name == "deactivate":
            self.inactive.add(symbol)
        elif name == "restrict":
            self.sell_only.add(symbol)

    def _say(self, arguments: Mapping[str, Any], now: datetime) -> int:
        """Say an event the core has no word for; the order shows that status, or another, until it speaks."""
        name, word = text_of(arguments, "cl_ord_id"), text_of(arguments, "event")
        if name not in self._by_name or word not in SPOKEN:
            raise VenueError(f"no order {name!r}, or no event {word!r}; events: {', '.join(sorted(SPOKEN))}")
        ticket = self._by_name[name]
        ticket.pretended = str(arguments.get("status", word))
        self._teller.event(word, ticket, now)
        return 1

    def _in_core(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Name an execution as the core does, where it is named as clients see it."""
        exec_id = arguments.get("exec_id")
        for order in self.venue.orders if exec_id is not None else ():
            for fill in order.fills:
                if words.execution_id(fill.exec_id) == exec_id:
                    return {**arguments, "exec_id": fill.exec_id}
        return arguments

    def _open(self, now: datetime) -> None:
        """Enter what was accepted while the market was closed."""
        self.is_open = True
        for ticket in [one for one in self.open_tickets() if not one.order.order_id]:
            waiting = ticket.order
            new = NewOrder(
                ticket.client_order_id, waiting.symbol, waiting.side, waiting.order_qty, waiting.ord_type,
                waiting.price, waiting.time_in_force, waiting.account, owner=waiting.account,
                cash_order_qty=waiting.cash,
            )  # fmt: skip
            said = self.venue.submit(new, now)
            ticket.order = self.venue.named(ticket.client_order_id, waiting.account)
            self._teller.follow(ticket)
            self._teller.told(said, now)


OWN_OPERATIONS = (
    "activity", "deactivate", "restrict", "activate", "close_market", "open_market", "say", "quote_age",
)  # fmt: skip


def _to_spend(wanted: Wanted) -> Decimal | None:
    """Return the money a buy is given; a sale of an amount is of the units that make it at entry."""
    return wanted.notional if wanted.side is Side.BUY else None


def _waiting(new: NewOrder) -> Order:
    """Make an order that the core has not seen: it waits for the market to open."""
    return Order(
        new.owner, "", new.cl_ord_id, new.account, new.symbol, new.side, new.side == Side.BUY,
        new.ord_type, new.price, new.time_in_force, new.order_qty, cash=new.cash_order_qty,
    )  # fmt: skip


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
