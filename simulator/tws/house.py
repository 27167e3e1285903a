"""Every order of the house: entering, changing, following what the core does with them. Deterministic.

Rules of this room:
1. The same calls with the same times give the same permIds, execIds and orders: `door` replays them.
2. An order the core does not have yet is held here, and says why.
3. What is told is told as it happens, through `say`; nothing waits here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from simulator.orders import (
    ZERO,
    Answer,
    CancelOrder,
    CancelReject,
    CxlRejReason,
    CxlRejResponseTo,
    ExecType,
    NewOrder,
    OrdStatus,
    ReplaceOrder,
    Report,
    TimeInForce,
)  # fmt: skip
from simulator.tws import entry, telling
from simulator.tws.books import Books
from simulator.tws.contracts import Catalogue, Contract
from simulator.tws.entry import Refusal
from simulator.tws.families import Families
from simulator.tws.fields import INT_MAX
from simulator.tws.happenings import Failed, Happening
from simulator.tws.placing import Placed
from simulator.tws.tickets import (
    CHILD,
    CLOSED,
    ENDED,
    LOCATE,
    NOT_SENT,
    OUTAGE,
    TRIGGER,
    Execution,
    Ticket,
    waiting,
)
from simulator.tws.triggers import AUCTIONS, is_reached, waits_for
from simulator.venue import Venue, VenueError

Say = Callable[[Sequence[Happening]], None]
OWNER = "TWS"
CANNOT_CANCEL, NOT_CANCELLABLE = 10148, 161
FIRST_PERM, PERM_SPAN = 100_000_000, 1 << 30


@dataclass(frozen=True, slots=True)
class Whim:
    """What befalls one request: refused, held in an outage, or a change that leaves the old order alive."""

    refusal: Refusal | None = None
    is_held: bool = False
    is_doubled: bool = False


class House:
    """Hold every ticket; `prefix` makes permIds and execIds differ from those of any other store."""

    def __init__(
        self,
        venue: Venue,
        books: Books,
        catalogue: Catalogue,
        hard_to_borrow: frozenset[str],
        prefix: str,
        say: Say,
    ) -> None:
        self.venue, self.books, self.catalogue = venue, books, catalogue
        self.tickets: list[Ticket] = []
        self.executions: list[Execution] = []
        self.is_open = True
        self.day_began: datetime | None = None
        self.next_ids: dict[int, int] = {}
        self.bound = 0
        self.stops: list[Ticket] = []
        self.volumes: Counter[str] = Counter()
        self._hard_to_borrow = hard_to_borrow
        self._say = say
        self._by_id: dict[tuple[int, int], Ticket] = {}
        self._by_core: dict[str, Ticket] = {}
        self._executed: dict[str, Execution] = {}
        self._families = Families(self.cancel, self.send, self._shrink, self.hold)
        digest = hashlib.sha256(prefix.encode()).digest()
        self._first_perm = FIRST_PERM + int.from_bytes(digest[:4]) % PERM_SPAN
        self._exec_prefix = f"{digest[4:8].hex()}.{digest[8:12].hex()}"

    # Finding.

    def find(self, client: int, order_id: int) -> Ticket | None:
        """Return the order a client means."""
        return self._by_id.get((client, order_id))

    def next_id(self, client: int) -> int:
        """Return the least orderId a client may use next."""
        return self.next_ids.get(client, 1)

    def of_core(self, order_id: str) -> Ticket:
        """Return the ticket of an OrderID(37) of the core."""
        return self._by_core[order_id]

    def of_execution(self, exec_id: str) -> Execution:
        """Return the execution of an ExecID(17) of the core."""
        return self._executed[exec_id]

    def core_exec_id(self, exec_id: str) -> str:
        """Name an execution as the core does; raises `VenueError`."""
        for name, one in self._executed.items():
            if one.exec_id == exec_id and any(fill.exec_id == name for fill in one.ticket.order.fills):
                return name
        raise VenueError(f"exec_id {exec_id} is no execution that stands; name one of the record")

    def named(self, name: str) -> Ticket:
        """Return the order of an orderRef, a permId or CLIENT:ORDERID; raises `VenueError`."""
        client, _, order_id = name.partition(":")
        if client.isdigit() and order_id.lstrip("-").isdigit():
            one = self.find(int(client), int(order_id))
            found = [] if one is None else [one]
        else:
            found = [one for one in self.tickets if name in (one.placed.order_ref, str(one.perm_id))]
        living = [one for one in found if one.is_live] or found[-1:]
        if len(living) != 1:
            which = "is no order here" if not living else "is several living orders; give a permId"
            raise VenueError(f"cl_ord_id {name} {which}")
        return living[0]

    def with_account(self, placed: Placed) -> Placed:
        """Name the only account where an order names none."""
        return placed if placed.account else placed.of(self.books.names()[0])

    # Doing.

    def place(self, client: int, placed: Placed, whim: Whim, now: datetime) -> None:
        """Enter a new order, or change the living one of this orderId."""
        known = self.find(client, placed.order_id)
        if known is not None and known.is_live and not whim.is_doubled:
            self.change(known, self.with_account(placed), now)
            return
        if known is not None and known.is_live:
            known.is_stray, contract = True, known.contract
        else:
            (contract,) = self.catalogue.find(placed.contract)
        self.enter(client, self.with_account(placed), contract, whim, now)

    def enter(self, client: int, placed: Placed, contract: Contract, whim: Whim, now: datetime) -> Ticket:
        """Book a new order, and send it unless something holds it."""
        perm_id = self._first_perm + len(self.tickets)
        new = entry.order_of(placed, contract, perm_id, OWNER)
        ticket = Ticket(client, placed.order_id, perm_id, placed, contract, waiting(new), now)
        self.tickets.append(ticket)
        self.name(ticket, client, placed.order_id)
        ticket.parent = self.find(client, placed.parent_id) if placed.parent_id else None
        self._families.join(ticket)
        self._start(ticket, whim, now)
        return ticket

    def _start(self, ticket: Ticket, whim: Whim, now: datetime) -> None:
        """Send a new order, or hold it; and send the family that waited for it."""
        ticket.held = "" if whim.refusal is not None else self._reason_to_hold(ticket, whim)
        is_child, sends_family = ticket.held == CHILD, ticket.placed.transmit and not whim.is_held
        if is_child and sends_family:
            self._families.transmit(ticket, now)
        if is_child and not (ticket.held == CHILD and ticket.is_live):
            return  # its parent has filled or ended meanwhile
        if ticket.held:
            self.hold(ticket, ticket.held)
        else:
            self.send(ticket, now, whim.refusal)
        if sends_family and not is_child:
            self._families.transmit(ticket, now)

    def name(self, ticket: Ticket, client: int, order_id: int) -> None:
        """Give an order an orderId of a client; 0 is none."""
        ticket.client_id, ticket.order_id = client, order_id
        if order_id:
            self._by_id[client, order_id] = ticket
            self.next_ids[client] = min(max(self.next_id(client), order_id + 1), INT_MAX)

    def send(self, ticket: Ticket, now: datetime, refusal: Refusal | None = None) -> None:
        """Bring an order to the core, or find that it must wait for the market."""
        why = "" if refusal is not None or ticket.is_due else waits_for(ticket.placed)
        if why or (refusal is None and not self.is_open):
            self.hold(ticket, why or CLOSED)
            return
        held, ticket.held = ticket.order, ""
        is_auction = waits_for(ticket.placed) in AUCTIONS
        new = NewOrder(
            str(ticket.perm_id), held.symbol, held.side, held.order_qty, held.ord_type, held.price,
            TimeInForce.IMMEDIATE_OR_CANCEL if is_auction else held.time_in_force, held.account, owner=OWNER,
        )  # fmt: skip
        said = self.venue.submit(new, now, None if refusal is None else refusal.text)
        ticket.order = self.venue.named(new.cl_ord_id, OWNER)
        self._by_core[ticket.order.order_id] = ticket
        self.told(said, now)

    def change(self, ticket: Ticket, placed: Placed, now: datetime) -> None:
        """Change quantity and price of a living order, whoever asks."""
        order = ticket.order
        if ticket.held:
            order.order_qty, order.price = placed.qty, placed.lmt_price if order.price is not None else None
            ticket.placed, order.time_in_force = placed, entry.TIMES[placed.tif]
            if ticket.held == NOT_SENT and placed.transmit:
                self._families.transmit(ticket, now)
            else:
                self._say(telling.waiting(ticket))
            return
        ticket.changes += 1
        name = f"{ticket.perm_id}/{ticket.changes}"
        asked = ReplaceOrder(name, order.cl_ord_id, placed.qty, placed.lmt_price, owner=OWNER)
        said = self.venue.replace(asked, now)
        if not any(isinstance(one, CancelReject) and one.cl_ord_id == name for one in said):
            ticket.placed, order.time_in_force = placed, entry.TIMES[placed.tif]
        self.told(said, now)

    def hold(self, ticket: Ticket, why: str) -> None:
        """Keep an order here, and say so."""
        ticket.held = why
        if why == TRIGGER and ticket not in self.stops:
            self.stops.append(ticket)
        self._say(telling.waiting(ticket))

    def trigger(self, ticket: Ticket, now: datetime) -> None:
        """Let an order work: what it waited for has come."""
        ticket.is_due = True
        if ticket in self.stops:
            self.stops.remove(ticket)
        self.send(ticket, now)

    def reached(self, now: datetime) -> list[Ticket]:
        """Return the orders whose price has come."""
        self.stops = [one for one in self.stops if one.held == TRIGGER and one.is_live]
        if not self.is_open:
            return []
        return [
            one for one in self.stops
            if is_reached(one.placed, self.venue.market.price(one.contract.listed, now))
        ]  # fmt: skip

    def cancel(self, ticket: Ticket, now: datetime) -> None:
        """Cancel what is left of a living order."""
        if ticket.held:
            self.end_held(ticket, now)
            return
        ticket.changes += 1
        asked = CancelOrder(f"{ticket.perm_id}/{ticket.changes}", ticket.order.cl_ord_id, OWNER)
        self.told(self.venue.cancel(asked, now), now)

    def end_held(self, ticket: Ticket, now: datetime, refusal: str | None = None) -> None:
        """End an order the core never had: cancelled, or rejected with a text."""
        ticket.order.ended = OrdStatus.CANCELED if refusal is None else OrdStatus.REJECTED
        ticket.ended, ticket.why = now, "Cancelled by Trader" if refusal is None else refusal
        self._say(telling.gone(ticket) if refusal is None else telling.refused(ticket, refusal))
        self._families.follow(ticket, ZERO, now)

    def release(self, held: str, now: datetime, symbol: str | None = None) -> int:
        """Send what is held for a reason; return how many."""
        waiting_now = [
            one for one in self.tickets
            if one.held == held and one.is_live and symbol in (None, one.contract.listed)
        ]  # fmt: skip
        for ticket in waiting_now:
            if held == OUTAGE:
                self._start(ticket, Whim(), now)
            else:
                self.send(ticket, now)
        return len(waiting_now)

    def told(self, said: Sequence[Answer], now: datetime) -> None:
        """Follow what the core says."""
        for answer in said:
            ticket = self._by_core[answer.order_id]
            if isinstance(answer, CancelReject):
                self._say([refusal_of(ticket, answer)])
            else:
                self._report(answer, ticket, now)

    # The inside.

    def _reason_to_hold(self, ticket: Ticket, whim: Whim) -> str:
        placed, parent, listed = ticket.placed, ticket.parent, ticket.contract.listed
        if whim.is_held:
            return OUTAGE
        if not placed.transmit:
            return NOT_SENT
        if parent is not None and parent.is_live:
            return CHILD
        if why := waits_for(placed):
            return why
        if not self.is_open:
            return CLOSED
        held = self.books.account(placed.account).positions.get(listed, ZERO)
        is_short = not placed.is_buy and placed.qty > held
        return LOCATE if is_short and listed in self._hard_to_borrow else ""

    def _shrink(self, ticket: Ticket, qty: Decimal, now: datetime) -> None:
        """Leave less of a living order to fill."""
        if ticket.held:
            ticket.order.order_qty -= qty
            self._say(telling.waiting(ticket))
        else:
            self.told(
                self.venue.restate(str(ticket.perm_id), ticket.order.order_qty - qty, now, owner=OWNER), now
            )

    def _report(self, report: Report, ticket: Ticket, now: datetime) -> None:
        execution = self._execution(report, ticket, now)
        is_over = telling.as_of(report, ticket).status in ENDED
        if is_over and ticket.ended is None:
            ticket.ended, ticket.why = now, _why(report)
        elif ticket.is_live:
            ticket.ended = None
        self._say(telling.tell(report, ticket, execution))
        filled = report.last_qty if report.exec_type is ExecType.TRADE and report.last_qty else ZERO
        if is_over or filled:
            self._families.follow(ticket, filled, now)

    def _execution(self, report: Report, ticket: Ticket, now: datetime) -> Execution | None:
        """Book an execution, or the correction of one; a bust leaves it with no shares."""
        if report.last_qty is None or report.last_px is None:
            return None
        if report.exec_type is ExecType.TRADE:
            ticket.last_px = report.last_px
            commission = report.commission or ZERO
            number = len(self.executions) + 1
            one = Execution(
                ticket, f"{self._exec_prefix}.{number:06x}", 1, now, report.last_qty, report.last_px,
                report.cum_qty, report.avg_px, commission, None,
            )  # fmt: skip
            one.realized = self._book(one)
            self.volumes[ticket.contract.listed] += int(report.last_qty)
            self.executions.append(one)
            self._executed[report.exec_id] = one
            return one
        if report.exec_ref_id is None:
            return None
        one = self._executed[report.exec_ref_id]
        self._executed[report.exec_id] = one
        is_bust = report.exec_type is ExecType.TRADE_CANCEL
        one.revision += 1
        one.qty, one.px = (ZERO if is_bust else report.last_qty), (one.px if is_bust else report.last_px)
        one.cum_qty, one.avg_px = report.cum_qty, report.avg_px
        if is_bust:
            one.commission = ZERO
        self.books.begin()
        for earlier in self.executions:
            earlier.realized = self._book(earlier)
        return one

    def _book(self, one: Execution) -> Decimal | None:
        order = one.ticket.order
        signed = one.qty if order.is_buy else -one.qty
        return self.books.fill(order.account, order.symbol, signed, one.px, one.commission)


def refusal_of(ticket: Ticket, answer: CancelReject) -> Failed:
    """Word why a cancel or a change was refused."""
    is_late = answer.cxl_rej_reason is CxlRejReason.TOO_LATE
    if answer.response_to is CxlRejResponseTo.REPLACE:
        fault = entry.ALREADY_FILLED if is_late else Refusal(entry.MISMATCH.code, answer.text)
    elif is_late:
        fault = cannot_cancel(ticket)
    else:
        text = f"Cancel attempted when order is not in a cancellable state. Order permId ={ticket.perm_id}"
        fault = Refusal(NOT_CANCELLABLE, text)
    return telling.failed(ticket, fault.code, fault.text)


def cannot_cancel(ticket: Ticket, state: str | None = None) -> Refusal:
    """Say that an order has ended already."""
    return Refusal(
        CANNOT_CANCEL,
        f"OrderId {ticket.order_id} that needs to be cancelled cannot be cancelled, "
        f"state: {state or ticket.status}.",
    )


def _why(report: Report) -> str:
    if report.exec_type is ExecType.REJECTED:
        return f"Rejected: {report.text or ''}"
    if report.exec_type is ExecType.CANCELED and report.orig_cl_ord_id is not None:
        return "Cancelled by Trader"
    return f"Cancelled: {report.text or ''}"
