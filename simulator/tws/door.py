"""The venue as TWS: what clients may ask of it, without sockets; the house keeps the orders, the core trades.

Rules of this room:
1. What changes something is kept in the journal before it is told; a restart carries it out again, with the
   same permIds and execIds, and tells nobody.
2. A refusal is something told, never raised; the house is asked only what it will take.
3. An orderId is a client's own: living, it is changed; below the client's highest, it is a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from simulator.record import record as record_of
from simulator.tws import deeds, entry
from simulator.tws.books import Books
from simulator.tws.contracts import Catalogue, Contract
from simulator.tws.entry import Refusal
from simulator.tws.happenings import Failed, Happening
from simulator.tws.house import OWNER, House, Say, Whim, cannot_cancel
from simulator.tws.journal import Journal
from simulator.tws.placing import Asked, Placed, read_placed
from simulator.tws.shown import Margin
from simulator.tws.telling import REJECTED
from simulator.tws.tickets import CLOSED, FILLED, NOT_SENT, OUTAGE, TRIGGER, Execution, Ticket, waiting
from simulator.tws.triggers import WITH_LIMIT
from simulator.venue import Venue, VenueError

NOT_FOUND, BAD_ID, NO_PARENT = 10147, 10149, 135
SERVED = timedelta(hours=24)
PLAIN = Whim()


@dataclass(frozen=True, slots=True)
class Terms:
    """Set up the door: what it was begun with, and which shares must be located to be sold short."""

    described: Mapping[str, str]
    hard_to_borrow: frozenset[str] = frozenset()


class Door:
    """Serve every client of one house; `say` gets what happens."""

    def __init__(
        self, venue: Callable[[str], Venue], books: Callable[[Venue], Books], catalogue: Catalogue,
        terms: Terms, journal: Journal, say: Say, prefix: str,
    ) -> None:  # fmt: skip
        self._build, self._open_books = venue, books
        self.catalogue = catalogue
        self.terms = terms
        self._journal = journal
        self._tell = say
        self._is_replaying = False
        self._begin(prefix)

    def _begin(self, prefix: str) -> None:
        self.venue = self._build(prefix)
        self.books = self._open_books(self.venue)
        self.house = House(
            self.venue, self.books, self.catalogue, self.terms.hard_to_borrow, prefix, self._say
        )

    # Coming back.

    def recover(self, prefix: str, now: datetime) -> None:
        """Carry out what the journal holds, or begin it."""
        entries = list(self._journal.entries())
        self._journal.open()
        if not entries:
            self._journal.append({"k": "begin", "prefix": prefix, "terms": dict(self.terms.described)})
            self._begin(prefix)
            return
        kept = entries[0]["terms"]
        for name, value in self.terms.described.items():
            if kept.get(name) != value:
                raise VenueError(
                    f"--store was begun with {name} {kept.get(name)}; give that, or another folder"
                )
        self._begin(entries[0]["prefix"])
        self._is_replaying = True
        for kept_entry in entries[1:]:
            self._carry_out(kept_entry, datetime.fromisoformat(kept_entry["t"]))
        self._is_replaying = False
        self.advance(now)
        self.release_outage(now)

    def _carry_out(self, kept: Mapping[str, Any], now: datetime) -> None:
        kind = kept["k"]
        if kind == "tick":
            self.house.told(self.venue.advance(now), now)
        elif kind == "place":
            whim = Whim(Refusal(*kept["r"]) if kept["r"] else None, kept["h"], kept["d"])
            self.house.place(kept["c"], read_placed(kept["f"], kept["v"]), whim, now)
        elif kind == "cancel":
            ticket = self.house.find(kept["c"], kept["o"])
            assert ticket is not None  # noqa: S101 - it was there when this was kept
            self.house.cancel(ticket, now)
        else:
            deeds.do(self.house, kept["op"], kept["a"], now)

    def _keep(self, kind: str, now: datetime, **what: Any) -> None:
        self._journal.append({"t": now.isoformat(), "k": kind, **what})

    def _say(self, told: Sequence[Happening]) -> None:
        if told and not self._is_replaying:
            self._tell(told)

    # Time.

    def advance(self, now: datetime) -> None:
        """Let the venue do what is due."""
        due = self.venue.next_event()
        if due is not None and due <= now:
            self._keep("tick", now)
            self.house.told(self.venue.advance(now), now)
        for ticket in self.house.reached(now):
            if ticket.held == TRIGGER:  # another of its family may have ended it
                self._keep("op", now, op="trigger", a={"perm_id": ticket.perm_id})
                self.house.trigger(ticket, now)

    # What clients ask.

    def place(
        self, client: int, fields: Sequence[str], version: int, now: datetime, whim: Whim = PLAIN
    ) -> None:
        """placeOrder(3): a new order, or a change of a living one; raises `Unreadable`."""
        placed = read_placed(fields, version)
        self.advance(now)
        known = self.house.find(client, placed.order_id)
        is_change = known is not None and known.is_live
        refusal = self._fault(client, placed, known, now)
        if refusal is None and whim.refusal is not None and (is_change or whim.refusal.code != REJECTED):
            refusal = whim.refusal
        if refusal is not None:
            self._say([Failed(client, placed.order_id, refusal.code, refusal.text)])
            return
        rejected = None if is_change else whim.refusal or self._rejection(placed, now)
        whim = Whim(rejected, whim.is_held and not is_change, whim.is_doubled and is_change)
        kept = None if rejected is None else [rejected.code, rejected.text]
        self._keep(
            "place", now, c=client, v=version, f=list(fields), r=kept, h=whim.is_held, d=whim.is_doubled
        )
        self.house.place(client, placed, whim, now)

    def what_if(
        self, client: int, fields: Sequence[str], version: int, now: datetime
    ) -> tuple[Ticket, Margin] | None:
        """placeOrder(3) with whatIf: what an order would do to its account; None once refused."""
        placed = read_placed(fields, version)
        self.advance(now)
        refusal, contract = entry.fault(placed, self.catalogue, self.books.names())
        if refusal is not None or contract is None:
            if refusal is not None:
                self._say([Failed(client, placed.order_id, refusal.code, refusal.text)])
            return None
        placed = self.house.with_account(placed)
        new, px = entry.order_of(placed, contract, 0, OWNER), self._worst_price(placed, contract, now)
        margin, fault = self.books.margin(new, px, now), self.books.fault(new, px, now)
        if fault is not None:
            margin = Margin(margin.before, margin.after, margin.commission, margin.currency, fault.text)
        return Ticket(client, placed.order_id, 0, placed, contract, waiting(new), now, held=CLOSED), margin

    def cancel(self, client: int, order_id: int, now: datetime, whim: Refusal | None = None) -> None:
        """cancelOrder(4)."""
        self.advance(now)
        ticket = self.house.find(client, order_id)
        refusal = whim
        if not order_id:
            refusal = Refusal(BAD_ID, "Invalid order id: 0")
        elif ticket is None:
            refusal = Refusal(NOT_FOUND, f"OrderId {order_id} that needs to be cancelled is not found.")
        elif not ticket.is_live:
            refusal = cannot_cancel(ticket)
        if refusal is not None:
            self._say([Failed(client, order_id, refusal.code, refusal.text)])
        elif ticket is not None:
            self._keep("cancel", now, c=client, o=order_id)
            self.house.cancel(ticket, now)

    def cancel_all(self, now: datetime) -> None:
        """reqGlobalCancel(58): every living order, whoever gave it."""
        for ticket in self.live():
            if ticket.is_live:
                self.operate("withdraw", {"cl_ord_id": str(ticket.perm_id)}, now)

    # What clients may know.

    def live(self) -> list[Ticket]:
        """Return every order that may still fill and has been sent."""
        return [one for one in self.house.tickets if one.is_live and one.held not in (NOT_SENT, OUTAGE)]

    def completed(self) -> list[Ticket]:
        """Return every order that ended today."""
        began = self.house.day_began or datetime.min.replace(tzinfo=UTC)
        return [one for one in self.house.tickets if one.ended is not None and one.ended >= began]

    def executions(self, now: datetime) -> list[Execution]:
        """Return every execution of today."""
        since = max(self.house.day_began or now - SERVED, now - SERVED)
        return [one for one in self.house.executions if one.at >= since]

    def record(self) -> dict[str, Any]:
        """Return the venue's own record, orders by their orderRef."""
        said = record_of(self.venue)
        for row in said["orders"]:
            ticket = self.house.of_core(row["order_id"])
            row |= {
                "cl_ord_id": ticket.placed.order_ref or row["cl_ord_id"], "perm_id": ticket.perm_id,
                "tws_order_id": ticket.order_id, "client_id": ticket.client_id, "tws_status": ticket.status,
                "is_stray": ticket.is_stray,
            }  # fmt: skip
            for fill in row["fills"]:
                fill["exec_id"] = self.house.of_execution(fill["exec_id"]).exec_id
        said["held"] = [
            {"cl_ord_id": one.placed.order_ref, "perm_id": one.perm_id, "why": one.held, "status": one.status}
            for one in self.house.tickets
            if one.held
        ]
        return said

    # What the operator does.

    def operate(self, name: str, arguments: Mapping[str, Any], now: datetime) -> int:
        """Carry out an operation of the core or of this door; return what it made happen."""
        self.advance(now)
        done = deeds.do(self.house, name, arguments, now)
        self._keep("op", now, op=name, a=dict(arguments))
        return done

    def release_outage(self, now: datetime) -> None:
        """Send what was given while TWS had no connection to its servers."""
        if any(one.held == OUTAGE and one.is_live for one in self.house.tickets):
            self.operate("release", {"held": OUTAGE}, now)

    # The inside.

    def _fault(self, client: int, placed: Placed, known: Ticket | None, now: datetime) -> Refusal | None:
        if known is not None and known.is_live:
            return entry.change_fault(known, placed) or self._too_large(known, placed, now)
        if placed.order_id < self.house.next_id(client):
            return entry.ALREADY_FILLED if known is not None and known.status == FILLED else entry.DUPLICATE
        refusal, _ = entry.fault(placed, self.catalogue, self.books.names())
        if refusal is None and placed.parent_id and self.house.find(client, placed.parent_id) is None:
            return Refusal(NO_PARENT, f"Can't find order with id ={placed.parent_id}")
        return refusal

    def _rejection(self, placed: Placed, now: datetime) -> Refusal | None:
        """Say why the account cannot carry a new order."""
        (contract,) = self.catalogue.find(placed.contract)
        is_located = contract.listed in self.terms.hard_to_borrow and not placed.is_buy
        if is_located or placed.parent_id:
            return None
        new = entry.order_of(self.house.with_account(placed), contract, 0, OWNER)
        return self.books.fault(new, self._worst_price(placed, contract, now), now)

    def _too_large(self, ticket: Ticket, placed: Placed, now: datetime) -> Refusal | None:
        """Say why the account cannot carry what a change adds to an order."""
        if placed.qty <= ticket.order.order_qty:
            return None
        about = Asked(con_id=ticket.contract.con_id)
        return self._rejection(replace(placed, contract=about, qty=placed.qty - ticket.order.cum_qty), now)

    def _worst_price(self, placed: Placed, contract: Contract, now: datetime) -> Decimal:
        """Return what an order is valued at: its limit, or the other side's price."""
        if placed.order_type in WITH_LIMIT and placed.lmt_price is not None:
            return placed.lmt_price
        bid, ask = self.venue.market.quote(contract.listed, now)
        return ask if placed.is_buy else bid
