"""The venue as Alpaca's account: what may be asked of it, without sockets; the core decides and trades.

Rules of this room:
1. What changes something is kept in the journal before its answer leaves; a restart carries it out again,
   with the same ids, and says nothing on a stream.
2. A refusal is a `Refused`; the core is asked only what it will take.
3. Events are snapshots: each shows its order as it was then.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from simulator.accounts import Account
from simulator.alpaca import refusals, words
from simulator.alpaca.entry import Wanted, check, read_wanted
from simulator.alpaca.happenings import Happenings
from simulator.alpaca.journal import Journal
from simulator.alpaca.words import OPEN, Json, Ticket, new_id
from simulator.operations import OPERATIONS, operate
from simulator.orders import ZERO, Answer, CancelOrder, CancelReject, NewOrder, Order, OrdStatus, Report, Side
from simulator.record import record as record_of
from simulator.record import text
from simulator.venue import Venue, VenueError

Tell = Callable[[Json], None]
MAX_ID = 128


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
        self._is_replaying = False
        self._begin(prefix)

    def _begin(self, prefix: str) -> None:
        self.venue = self._build(prefix)
        self.tickets: dict[str, Ticket] = {}
        self._by_name: dict[str, Ticket] = {}
        self._by_core: dict[str, Ticket] = {}
        self.inactive: set[str] = set()
        self.is_open = True
        self.stuck_cancels: Callable[[], bool] = lambda: False
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
        self._is_replaying = True
        for entry in entries[1:]:
            self._carry_out(entry, datetime.fromisoformat(entry["t"]))
        self._is_replaying = False
        self.advance(now)

    def _keep(self, kind: str, now: datetime, **what: Any) -> None:
        if not self._is_replaying:
            self._journal.append({"t": now.isoformat(), "k": kind, **what})

    def _carry_out(self, entry: Mapping[str, Any], now: datetime) -> None:
        kind = entry["k"]
        if kind == "tick":
            self._told(self.venue.advance(now), now)
        elif kind == "post":
            self._enter(read_wanted(entry["b"]), entry["n"], now)
        elif kind == "cancel":
            self._cancel(self.tickets[entry["id"]], now, is_stuck=entry["s"])
        elif kind == "replace":
            self._replace(self.tickets[entry["id"]], read_wanted(entry["b"]), entry["n"], now)
        else:
            self._operate(entry["op"], entry["a"], now)

    # Time.

    def advance(self, now: datetime) -> None:
        """Let the venue do what is due."""
        due = self.venue.next_event()
        if due is not None and due <= now:
            self._keep("tick", now)
            self._told(self.venue.advance(now), now)

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
        if ticket.status not in OPEN or ticket.is_stuck:
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
        self._keep("replace", now, id=order_id, b=wanted.kept(), n=name)
        return self._replace(ticket, wanted, name, now)

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
        return [one for one in self.tickets.values() if one.status in OPEN]

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
            self.terms.account, owner=self.terms.account,
        )  # fmt: skip
        if not self.is_open:
            order = _waiting(new)
            return self._file(order, wanted, name, now, replaces)
        said = self.venue.submit(new, now)
        order = self.venue.named(name, self.terms.account)
        ticket = self._file(order, wanted, name, now, replaces)
        self._told(said, now)
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
        if order.order_id:
            self._by_core[order.order_id] = ticket
        return ticket

    def _cancel(self, ticket: Ticket, now: datetime, *, is_stuck: bool) -> None:
        if is_stuck:
            ticket.is_stuck = True
            self._event("pending_cancel", ticket, now)
        elif not ticket.order.order_id:
            ticket.order.ended = OrdStatus.CANCELED
            ticket.stamps["canceled_at"] = now
            self._event("canceled", ticket, now)
        else:
            ticket.cancels += 1
            name = f"{ticket.client_order_id}/cancel{ticket.cancels}"
            owner = self.terms.account
            asked = CancelOrder(name, ticket.order.cl_ord_id, owner, owner)
            self._told(self.venue.cancel(asked, now), now)

    def _replace(self, ticket: Ticket, wanted: Wanted, name: str, now: datetime) -> Ticket:
        """End the old order and enter the new one for what has not filled."""
        owner, old = self.terms.account, ticket.order
        ticket.replaced_by = new_id("order", f"{owner}/{name}")
        ticket.stamps["replaced_at"] = now
        self.venue.cancel(CancelOrder(f"{name}/replaces", old.cl_ord_id, owner, owner), now)
        self._event("replaced", ticket, now)
        return self._enter(wanted.less(old.cum_qty), name, now, ticket)

    def _operate(self, name: str, arguments: Mapping[str, Any], now: datetime) -> int:
        if name in OPERATIONS:
            said = operate(self.venue, name, self._in_core(arguments), now)
            self._told(said, now)
            if name == "split":
                self.happenings.split(str(arguments["symbol"]), Decimal(str(arguments["ratio"])), now)
            return len(said)
        if name == "activity":
            self.happenings.happen(arguments, now)
        elif name in ("deactivate", "activate"):
            symbol = str(arguments.get("symbol"))
            if symbol not in self.venue.market:
                raise VenueError(f"symbol {symbol} is not listed; give one of the prices file")
            (self.inactive.add if name == "deactivate" else self.inactive.discard)(symbol)
        elif name == "close_market":
            self.is_open = False
        elif name == "open_market":
            self._open(now)
        else:
            known = ", ".join(sorted([*OPERATIONS, *OWN_OPERATIONS]))
            raise VenueError(f"no operation {name!r}; use one of: {known}")
        return 0

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
            )  # fmt: skip
            said = self.venue.submit(new, now)
            ticket.order = self.venue.named(ticket.client_order_id, waiting.account)
            self._by_core[ticket.order.order_id] = ticket
            self._told(said, now)

    def _told(self, said: Sequence[Answer], now: datetime) -> None:
        """Turn what the core says into events."""
        for answer in said:
            ticket = self._by_core.get(answer.order_id)
            if ticket is None:
                continue
            if isinstance(answer, CancelReject):
                self._event("order_cancel_rejected", ticket, now)
            else:
                self._report(answer, ticket, now)

    def _report(self, report: Report, ticket: Ticket, now: datetime) -> None:
        word = EVENTS.get(report.exec_type.name, "restated")
        status = ticket.status_of(report.ord_status)
        shown = {"cum_qty": report.cum_qty, "avg_px": report.avg_px, "status": status}
        if word == "fill" and report.leaves_qty:
            word = "partial_fill"
        if (name := STAMPS.get(word)) is not None:
            ticket.stamps[name] = now
        beside: Json = {}
        if report.last_qty is not None and report.last_px is not None:
            held = self.account.positions.get(report.symbol, ZERO)
            beside = {"qty": text(report.last_qty), "price": text(report.last_px), "position_qty": text(held)}
        if report.exec_ref_id is not None:
            beside["previous_execution_id"] = words.execution_id(report.exec_ref_id)
        self._event(word, ticket, now, exec_id=report.exec_id, shown=shown, **beside)

    def _event(
        self, word: str, ticket: Ticket, now: datetime, *, exec_id: str = "", shown: Json | None = None,
        **beside: Any,
    ) -> None:  # fmt: skip
        ticket.stamps["updated_at"] = now
        if self._is_replaying:
            return
        name = exec_id or f"{ticket.order_id}/{word}/{now.isoformat()}"
        order = words.order_json(ticket, **(shown or {}))
        event = {"event": word, "execution_id": words.execution_id(name), "timestamp": words.stamp(now)}
        self._tell({**event, "order": order, **beside})


EVENTS = {
    "NEW": "new", "TRADE": "fill", "CANCELED": "canceled", "EXPIRED": "expired", "REJECTED": "rejected",
    "DONE_FOR_DAY": "done_for_day", "PENDING_CANCEL": "pending_cancel", "SUSPENDED": "suspended",
    "STOPPED": "stopped", "TRADE_CANCEL": "trade_bust", "TRADE_CORRECT": "trade_correct",
}  # fmt: skip
STAMPS = {"fill": "filled_at", "canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}
OWN_OPERATIONS = ("activity", "deactivate", "activate", "close_market", "open_market")


def _waiting(new: NewOrder) -> Order:
    """Make an order that the core has not seen: it waits for the market to open."""
    return Order(
        new.owner, "", new.cl_ord_id, new.account, new.symbol, new.side, new.side == Side.BUY,
        new.ord_type, new.price, new.time_in_force, new.order_qty,
    )  # fmt: skip


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
