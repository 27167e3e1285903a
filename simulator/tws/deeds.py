"""What the operator may do to a house, by name: the core's operations, and those TWS has besides.

Rules of this room:
1. A deed is a name and JSON-able arguments: it is kept, and done again at a restart.
2. An order goes by its orderRef, its permId or CLIENT:ORDERID; an execution by its execId.
3. What cannot be done raises `VenueError` and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from simulator.operations import OPERATIONS, number, operate, text
from simulator.orders import TimeInForce
from simulator.tws.entry import ACTIONS, shape_fault
from simulator.tws.house import OWNER, House, Whim
from simulator.tws.placing import Asked, Placed
from simulator.tws.tickets import AT_CLOSE, AT_OPEN, CHILD, CLOSED, LOCATE, TRIGGER, Ticket
from simulator.venue import VenueError

Arguments = Mapping[str, Any]
_PLAIN = Whim()
MANUAL_CLIENT = 0
EXPIRING = (CHILD, LOCATE, TRIGGER)
"""What an order that waits for it does not get over night."""


def do(house: House, name: str, arguments: Arguments, now: datetime) -> int:
    """Do one deed; return how many things it made happen."""
    own = OWN.get(name)
    if own is not None:
        deed, takes = own
        unknown = sorted(set(arguments) - takes)
        if unknown:
            raise VenueError(
                f"{name} knows no {unknown[0]}; it takes {', '.join(sorted(takes)) or 'nothing'}"
            )
        return deed(house, arguments, now)
    if name not in OPERATIONS:
        raise VenueError(f"no operation {name!r}; use one of: {', '.join(sorted({*OPERATIONS, *OWN}))}")
    said = operate(house.venue, name, _in_core(house, arguments), now)
    if name == "split":
        house.books.split(text(arguments, "symbol"), number(arguments, "ratio"))
    house.told(said, now)
    return len(said)


def _in_core(house: House, arguments: Arguments) -> Arguments:
    """Name orders and executions as the core does."""
    said = dict(arguments)
    if isinstance(said.get("cl_ord_id"), str):
        ticket = house.named(said["cl_ord_id"])
        if not ticket.order.order_id:
            raise VenueError(f"cl_ord_id {said['cl_ord_id']} is held here ({ticket.held}); release it first")
        said |= {"cl_ord_id": str(ticket.perm_id), "owner": OWNER}
    if isinstance(said.get("exec_id"), str):
        said["exec_id"] = house.core_exec_id(said["exec_id"])
    return said


def _manual(house: House, arguments: Arguments, now: datetime) -> int:
    """Give an order as a user of TWS does: no orderRef, and no orderId unless it is `bound` to client 0."""
    symbol, side = text(arguments, "symbol"), text(arguments, "side").upper()
    if symbol not in house.venue.market or side not in ACTIONS:
        raise VenueError(f"{side} {symbol} cannot be; give buy or sell and a listed symbol")
    price = number(arguments, "price") if "price" in arguments else None
    account = text(arguments, "account") if "account" in arguments else house.books.names()[0]
    if account not in house.books.names():
        raise VenueError(f"account {account} is not known; give one of the accounts file")
    contract = house.catalogue.listed(symbol)
    order_id = _next_bound(house) if arguments.get("bound") is True else 0
    kind, about = "MKT" if price is None else "LMT", Asked(con_id=contract.con_id)
    placed = Placed(
        order_id, about, side, number(arguments, "qty"), kind, price, None, "DAY", account=account
    )
    house.enter(MANUAL_CLIENT, placed, contract, _PLAIN, now)
    return 1


def _amend(house: House, arguments: Arguments, now: datetime) -> int:
    """Change quantity or limit of an order as a user of TWS does, whoever gave it.

    With `doubles` the change makes a second order and leaves the first alive, as one in an outage may.
    """
    ticket = house.named(text(arguments, "cl_ord_id"))
    if not ticket.is_live:
        raise VenueError(f"{arguments['cl_ord_id']} is {ticket.status}; name a living order")
    was = ticket.placed
    qty = number(arguments, "qty") if "qty" in arguments else ticket.order.order_qty
    price = number(arguments, "price") if "price" in arguments else was.lmt_price
    placed = replace(was, qty=qty, lmt_price=price, contract=Asked(con_id=ticket.contract.con_id))
    refusal = shape_fault(placed, ticket.contract)
    if refusal is not None:
        raise VenueError(f"{refusal.code}: {refusal.text}")
    if arguments.get("doubles") is True:
        house.place(ticket.client_id, placed, Whim(is_doubled=True), now)
    else:
        house.change(ticket, placed, now)
    return 1


def _bind(house: House, arguments: Arguments, now: datetime) -> int:
    """Give every living order of a TWS user an orderId of client 0."""
    del arguments, now
    loose = [one for one in house.tickets if one.is_live and not one.order_id]
    for ticket in loose:
        house.name(ticket, MANUAL_CLIENT, _next_bound(house))
    return len(loose)


def _next_bound(house: House) -> int:
    """Return the next orderId of client 0 that TWS gives by itself."""
    house.bound += 1
    return -house.bound


def _rollback(house: House, arguments: Arguments, now: datetime) -> int:
    """Forget the last orderIds of every client: nextValidId goes back by `count`."""
    del now
    count = int(number(arguments, "count"))
    for client, next_id in house.next_ids.items():
        house.next_ids[client] = max(next_id - count, 1)
    return len(house.next_ids)


def _release(house: House, arguments: Arguments, now: datetime) -> int:
    return house.release(text(arguments, "held"), now)


def _locate(house: House, arguments: Arguments, now: datetime) -> int:
    return house.release(LOCATE, now, text(arguments, "symbol"))


def _deny(house: House, arguments: Arguments, now: datetime) -> int:
    symbol = text(arguments, "symbol")
    denied = [
        one for one in house.tickets if one.held == LOCATE and one.is_live and one.contract.listed == symbol
    ]
    for ticket in denied:
        house.end_held(ticket, now, "No shares are available for short sale")
    return len(denied)


def _withdraw(house: House, arguments: Arguments, now: datetime) -> int:
    """Cancel an order as its owner would."""
    ticket = house.named(text(arguments, "cl_ord_id"))
    if not ticket.is_live:
        raise VenueError(f"{arguments['cl_ord_id']} is {ticket.status}; name a living order")
    house.cancel(ticket, now)
    return 1


def _trigger(house: House, arguments: Arguments, now: datetime) -> int:
    """Let an order work whose price has come."""
    house.trigger(house.named(str(arguments["perm_id"])), now)
    return 1


def _auction(house: House, held: str, now: datetime) -> int:
    """Send what waits for an auction."""
    theirs = [one for one in house.tickets if one.held == held and one.is_live]
    for ticket in theirs:
        house.trigger(ticket, now)
    return len(theirs)


def _close(house: House, arguments: Arguments, now: datetime) -> int:
    """End the day with its closing auction: DAY orders expire, those held here too."""
    del arguments
    done = _auction(house, AT_CLOSE, now) if house.is_open else 0
    house.is_open = False
    said = house.venue.close(now)
    house.told(said, now)
    over = [one for one in house.tickets if one.is_live and one.held in EXPIRING and _is_day(one)]
    for ticket in over:
        house.end_held(ticket, now)
    return done + len(said) + len(over)


def _reopen(house: House, arguments: Arguments, now: datetime) -> int:
    """Begin the next day with its opening auction: what outlived the last one, and what was given since."""
    del arguments
    house.is_open, house.day_began = True, now
    said = house.venue.reopen(now)
    house.told(said, now)
    return len(said) + _auction(house, AT_OPEN, now) + house.release(CLOSED, now)


def _is_day(ticket: Ticket) -> bool:
    return ticket.order.time_in_force == TimeInForce.DAY


_BY_HAND = frozenset({"symbol", "side", "qty", "price", "account", "bound"})
Deed = Callable[[House, Arguments, datetime], int]
OWN: dict[str, tuple[Deed, frozenset[str]]] = {
    "manual": (_manual, _BY_HAND),
    "telephone": (_manual, _BY_HAND),
    "amend": (_amend, frozenset({"cl_ord_id", "qty", "price", "doubles"})),
    "bind": (_bind, frozenset()),
    "rollback": (_rollback, frozenset({"count"})),
    "trigger": (_trigger, frozenset({"perm_id"})),
    "release": (_release, frozenset({"held"})),
    "locate": (_locate, frozenset({"symbol"})),
    "deny_locate": (_deny, frozenset({"symbol"})),
    "withdraw": (_withdraw, frozenset({"cl_ord_id"})),
    "close": (_close, frozenset()),
    "reopen": (_reopen, frozenset()),
}
