"""What only a FIX venue can be told at its control port: faults, closing hours, drop copies.

Rules of this room:
1. An argument that cannot be understood is refused with what to write instead, and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator import operations
from simulator.control import Answer, Carry, takes_nothing
from simulator.faults import MAX_PLANNED, MEANINGS, Fault, FaultError, Kind
from simulator.fix.statements import HIGHEST_PRIORITY
from simulator.venue import VenueError

if TYPE_CHECKING:
    from simulator.fix.venue_app import VenueApp

MAX_MAINTENANCE_S = 604_800
_NOTIFIED = frozenset({"account", "text", "priority"})
_INVENTED = frozenset({"symbol", "side", "qty", "price"})
_FAULT_FIELDS = frozenset(item.name for item in fields(Fault))


def commands(app: VenueApp) -> dict[str, Carry]:
    """Return the commands of one venue by name."""
    found = {
        "fault": _fault, "faults": _faults, "maintenance": _maintenance, "new_week": _new_week,
        "hide_copies": _hide_copies, "invent_copy": _invent_copy, "notify": _notify,
    }  # fmt: skip
    return {name: partial(carry_out, app) for name, carry_out in found.items()}


def read_fault(arguments: Mapping[str, Any]) -> Fault:
    """Read a fault from the arguments of a command."""
    kinds = ", ".join(Kind)
    unknown = sorted(set(arguments) - _FAULT_FIELDS)
    if unknown:
        raise FaultError(f"a fault has no {unknown[0]}; it has {', '.join(sorted(_FAULT_FIELDS))}")
    if arguments.get("kind") not in set(Kind):
        raise FaultError(f"no fault of kind {arguments.get('kind')!r}; use one of: {kinds}")
    for name, types in _FAULT_TYPES.items():
        value = arguments.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, types)):
            raise FaultError(f"{name} is {value!r}; give {' or '.join(item.__name__ for item in types)}")
    given = {name: value for name, value in arguments.items() if value is not None}
    return Fault(**{**given, "kind": Kind(given["kind"])})


_FAULT_TYPES: dict[str, tuple[type, ...]] = {
    "count": (int,), "skip": (int,), "probability": (int, float), "seconds": (int, float),
    "text": (str,), "exec_type": (str,), "msg_type": (str,),
}  # fmt: skip


def _fault(app: VenueApp, arguments: Answer) -> Answer:
    return {"planned": dict(app.disturb(read_fault(arguments)))}


def _faults(app: VenueApp, arguments: Answer) -> Answer:
    del app
    takes_nothing(arguments)
    return {"faults": {str(kind): meaning for kind, meaning in MEANINGS.items()}}


def _maintenance(app: VenueApp, arguments: Answer) -> Answer:
    seconds = arguments.pop("seconds", None)
    takes_nothing(arguments)
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds <= MAX_MAINTENANCE_S:
        raise VenueError(f"seconds is {seconds!r}; give a number above 0, up to {MAX_MAINTENANCE_S}")
    app.maintain(seconds)
    return {"closed_s": seconds}


def _new_week(app: VenueApp, arguments: Answer) -> Answer:
    takes_nothing(arguments)
    app.begin_week()
    return {"next_numbers": 1}


def _notify(app: VenueApp, arguments: Answer) -> Answer:
    account, text = operations.text(arguments, "account"), operations.text(arguments, "text")
    priority = arguments.get("priority", 0)
    takes_nothing({name: one for name, one in arguments.items() if name not in _NOTIFIED})
    if isinstance(priority, bool) or priority not in range(HIGHEST_PRIORITY + 1):
        raise VenueError(f"priority is {priority!r}; give a whole number up to {HIGHEST_PRIORITY}")
    app.notify(account, priority, text)
    return {"notified": 1}


def _hide_copies(app: VenueApp, arguments: Answer) -> Answer:
    count = arguments.pop("count", 1)
    takes_nothing(arguments)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_PLANNED:
        raise VenueError(f"count is {count!r}; give a whole number up to {MAX_PLANNED}")
    app.hide_copies(count)
    return {"hidden": count}


def _invent_copy(app: VenueApp, arguments: Answer) -> Answer:
    symbol, side = operations.text(arguments, "symbol"), operations.text(arguments, "side")
    qty, px = operations.number(arguments, "qty"), operations.number(arguments, "price")
    takes_nothing({name: one for name, one in arguments.items() if name not in _INVENTED})
    app.invent_copy(symbol, side, qty, px)
    return {"invented": 1}
