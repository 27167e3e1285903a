"""What the operator may do to a venue, by name: what a control command or a kept record carries out.

Rules of this room:
1. An operation is a name and JSON-able arguments, so that it can be kept and carried out again at a restart.
2. What cannot be carried out raises `VenueError` and has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from simulator.orders import MAX_NUMBER, Answer, NewOrder, Order, OrdType, Side
from simulator.venue import Venue, VenueError

Arguments = Mapping[str, Any]


def operate(venue: Venue, name: str, arguments: Arguments, now: datetime) -> list[Answer]:
    """Carry out the operation `name`."""
    operation, takes = OPERATIONS[name]
    unknown = sorted(set(arguments) - takes)
    if unknown:
        raise VenueError(f"{name} knows no {unknown[0]}; it takes {', '.join(sorted(takes)) or 'nothing'}")
    return operation(venue, arguments, now)


def _set_price(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    return venue.set_price(text(arguments, "symbol"), number(arguments, "price"), now)


def _fill(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    price = number(arguments, "price") if "price" in arguments else None
    qty, owner = number(arguments, "qty"), _owner(arguments)
    return venue.fill(text(arguments, "cl_ord_id"), qty, now, price=price, owner=owner)


def _cancel(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    return venue.cancel_unsolicited(text(arguments, "cl_ord_id"), now, owner=_owner(arguments))


def _restate(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    qty = number(arguments, "qty")
    return venue.restate(text(arguments, "cl_ord_id"), qty, now, owner=_owner(arguments))


def _decide(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    refusal = text(arguments, "refusal") if "refusal" in arguments else None
    return venue.decide(text(arguments, "cl_ord_id"), now, refusal=refusal, owner=_owner(arguments))


def _done(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    return venue.done_for_day(text(arguments, "cl_ord_id"), now, owner=_owner(arguments))


def _halt(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    return venue.halt(text(arguments, "symbol"), now)


def _resume(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    return venue.resume(text(arguments, "symbol"), now)


def _close(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:  # noqa: ARG001 - one signature for all
    return venue.close(now)


def _reopen(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:  # noqa: ARG001 - one signature for all
    return venue.reopen(now)


def _bust(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    exec_id = text(arguments, "exec_id")
    return venue.by_hand(lambda hand: hand.bust(exec_id, now), now)


def _correct(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    exec_id, qty, px = text(arguments, "exec_id"), number(arguments, "qty"), number(arguments, "price")
    return venue.by_hand(lambda hand: hand.correct(exec_id, qty, px, now), now)


def _fill_late(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    order, qty, px = _order(venue, arguments), number(arguments, "qty"), number(arguments, "price")
    return venue.by_hand(lambda hand: hand.fill_late(order, qty, px, now), now)


def _acknowledge(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    order = _order(venue, arguments)
    return venue.by_hand(lambda hand: hand.acknowledge(order, now), now)


def _stop(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    order, px = _order(venue, arguments), number(arguments, "price")
    return venue.by_hand(lambda hand: hand.stop(order, px, now), now)


def _telephone(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    sides = {"buy": Side.BUY, "sell": Side.SELL}
    side = sides.get(text(arguments, "side").lower())
    if side is None:
        raise VenueError(f"side is {arguments['side']!r}; give buy or sell")
    price = number(arguments, "price") if "price" in arguments else None
    new = NewOrder(
        "", text(arguments, "symbol"), side, number(arguments, "qty"),
        OrdType.MARKET if price is None else OrdType.LIMIT, price,
        account=text(arguments, "account"), owner=text(arguments, "owner"),
    )  # fmt: skip
    return venue.by_hand(lambda hand: hand.telephone(new, now), now)


def _verbal(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    owner, cl_ord_id = text(arguments, "owner"), text(arguments, "cl_ord_id")
    return venue.by_hand(lambda hand: hand.pass_verbally(owner, cl_ord_id), now)


def _split(venue: Venue, arguments: Arguments, now: datetime) -> list[Answer]:
    symbol, ratio = text(arguments, "symbol"), number(arguments, "ratio")
    return venue.by_hand(lambda hand: hand.split(symbol, ratio, now), now)


Operation = Callable[[Venue, Arguments, datetime], list[Answer]]
OPERATIONS: dict[str, tuple[Operation, frozenset[str]]] = {
    "price": (_set_price, frozenset({"symbol", "price"})),
    "fill": (_fill, frozenset({"cl_ord_id", "qty", "price", "owner"})),
    "cancel": (_cancel, frozenset({"cl_ord_id", "owner"})),
    "restate": (_restate, frozenset({"cl_ord_id", "qty", "owner"})),
    "decide": (_decide, frozenset({"cl_ord_id", "refusal", "owner"})),
    "done": (_done, frozenset({"cl_ord_id", "owner"})),
    "bust": (_bust, frozenset({"exec_id"})),
    "correct": (_correct, frozenset({"exec_id", "qty", "price"})),
    "fill_late": (_fill_late, frozenset({"cl_ord_id", "qty", "price", "owner"})),
    "acknowledge": (_acknowledge, frozenset({"cl_ord_id", "owner"})),
    "guarantee": (_stop, frozenset({"cl_ord_id", "price", "owner"})),
    "telephone": (_telephone, frozenset({"symbol", "side", "qty", "price", "account", "owner"})),
    "verbal": (_verbal, frozenset({"cl_ord_id", "owner"})),
    "split": (_split, frozenset({"symbol", "ratio"})),
    "halt": (_halt, frozenset({"symbol"})),
    "resume": (_resume, frozenset({"symbol"})),
    "close": (_close, frozenset()),
    "reopen": (_reopen, frozenset()),
}


def text(arguments: Arguments, name: str) -> str:
    """Return an argument that is text; raises `VenueError`."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value:
        raise VenueError(f"{name} is {value!r}; give text")
    return value


def _order(venue: Venue, arguments: Arguments) -> Order:
    return venue.named(text(arguments, "cl_ord_id"), _owner(arguments))


def _owner(arguments: Arguments) -> str | None:
    return text(arguments, "owner") if "owner" in arguments else None


def number(arguments: Arguments, name: str) -> Decimal:
    """Return an argument that is a decimal; raises `VenueError`."""
    value = arguments.get(name)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or abs(number) > MAX_NUMBER:
        raise VenueError(f'{name} is {value!r}; give a decimal in quotes, as "12.5"')
    return number
