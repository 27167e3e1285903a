"""What the control port can do to a running TWS: see what it has, act as the broker, let things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from simulator.control import Answer, Carry, takes_nothing
from simulator.operations import text
from simulator.tws.deeds import OWN
from simulator.tws.desk import Desk
from simulator.tws.feeds import Supply
from simulator.tws.happenings import Failed, Status
from simulator.tws.mishaps import MAX_SECONDS, MEANINGS, TIMED, Mishap, read_planned
from simulator.tws.server import Server
from simulator.venue import VenueError

INNER = frozenset({"release", "trigger", "amend"})
"""What happens by itself, or is asked for in another way."""


class World:
    """Everything one process serves."""

    def __init__(self, desk: Desk, server: Server, ended: asyncio.Event) -> None:
        self._desk = desk
        self._server = server
        self._ended = ended

    def commands(self) -> Mapping[str, Carry]:
        """Return the control commands this venue has besides, or instead of, the common ones."""
        deeds = {name: partial(self._deed, name) for name in OWN if name not in INNER}
        return {
            **deeds, "amend": self._amend,
            "fault": self._fault, "faults": self._meanings, "struck": self._struck,
            "drop": self._drop, "lost": self._lost, "restored": self._restored, "restart": self._restart,
            "error": self._error, "move": self._move, "utter": self._utter,
            "order_status": self._order_status, "warn": self._warn, "market_data": self._market_data,
        }  # fmt: skip

    # What every venue's control port asks.

    def record(self) -> Answer:
        """Return the venue's own record."""
        return self._desk.door.record()

    def status(self) -> Answer:
        """Say how much is open, who is connected and what is still to come."""
        door = self._desk.door
        due = door.venue.next_event()
        return {
            "orders": len(door.house.tickets), "open_orders": sum(one.is_live for one in door.house.tickets),
            "clients": sorted(self._desk.sessions), "is_lost": self._desk.is_lost,
            "planned": self._desk.mishaps.planned(), "is_quiet": due is None and not self._desk.pending,
        }  # fmt: skip

    def operate(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Carry out an operation."""
        return self._desk.operate(name, arguments)

    def calm(self) -> None:
        """Forget everything that was to go wrong."""
        self._desk.mishaps.clear()

    def end(self, down_s: float | None) -> None:
        """End the process."""
        del down_s
        self._ended.set()

    # What only this one is asked.

    def _deed(self, name: str, arguments: Answer) -> Answer:
        return {"reports": self.operate(name, arguments)}

    def _amend(self, arguments: Answer) -> Answer:
        """Change an order by a TWS user's hand, unless the change is refused, which its owner is told."""
        mishaps, ticket = self._desk.mishaps, self._desk.door.house.named(text(arguments, "cl_ord_id"))
        client = ticket.client_id
        refused = mishaps.strike(Mishap.REJECT_CHANGE, client)
        if refused is not None:
            self._desk.say([Failed(client, ticket.order_id, refused.code, refused.text)])
            return {"refused": refused.code}
        if mishaps.strikes(Mishap.CHANGE_DOUBLES, client):
            arguments = {**arguments, "doubles": True}
        return {"reports": self.operate("amend", arguments)}

    def _fault(self, arguments: Answer) -> Answer:
        planned = read_planned(arguments)
        if planned.kind not in TIMED:
            self._desk.mishaps.plan(planned)
            return {"planned": self._desk.mishaps.planned()}
        self._desk.mishaps.struck[planned.kind] += 1
        if planned.kind is Mishap.HALF_OPEN:
            self._server.half_open()
        else:
            self._server.silence(planned.seconds or 5.0)
        return {"planned": self._desk.mishaps.planned()}

    def _meanings(self, arguments: Answer) -> Answer:
        takes_nothing(arguments)
        return {"faults": {str(kind): meaning for kind, meaning in MEANINGS.items()}}

    def _struck(self, arguments: Answer) -> Answer:
        takes_nothing(arguments)
        return {"struck": {str(kind): count for kind, count in self._desk.mishaps.struck.items() if count}}

    def _drop(self, arguments: Answer) -> Answer:
        client = _whole(arguments, "client") if "client" in arguments else None
        return {"dropped": self._server.drop(client)}

    def _lost(self, arguments: Answer) -> Answer:
        self._desk.lose(is_quiet=arguments.get("quiet") is True)
        return {"is_lost": True}

    def _restored(self, arguments: Answer) -> Answer:
        self._desk.restore(_whole(arguments, "code") if "code" in arguments else 1102)
        return {"is_lost": False}

    def _restart(self, arguments: Answer) -> Answer:
        """Log everybody out for `seconds`; forget the last `rollback` orderIds."""
        seconds = float(arguments.get("seconds", 0.2))
        if not 0 <= seconds <= MAX_SECONDS:
            raise VenueError(f"seconds is {seconds}; give 0 to {MAX_SECONDS}")
        rollback = _whole(arguments, "rollback") if "rollback" in arguments else 0
        self._server.restart(seconds)
        if rollback:
            self.operate("rollback", {"count": str(rollback)})
        return {"down_s": seconds}

    def _error(self, arguments: Answer) -> Answer:
        """Raise any error code on an order."""
        ticket = self._desk.door.house.named(text(arguments, "cl_ord_id"))
        code = _whole(arguments, "code")
        said = str(arguments.get("text") or f"error {code}")
        self._desk.say([Failed(ticket.client_id, ticket.order_id, code, said)])
        return {"said": code}

    def _order_status(self, arguments: Answer) -> Answer:
        """Say any status of an order; without one, the true one again."""
        ticket = self._desk.door.house.named(text(arguments, "cl_ord_id"))
        status = text(arguments, "status") if "status" in arguments else ticket.status
        self._desk.say([Status(ticket, ticket.shown(status), str(arguments.get("why_held", "")))])
        return {"said": status}

    def _warn(self, arguments: Answer) -> Answer:
        """Say any code that is about no order, as 2110 or 2103."""
        code = _whole(arguments, "code")
        self._desk.say_to_all(code, str(arguments.get("text") or f"message {code}"))
        return {"said": code}

    def _move(self, arguments: Answer) -> Answer:
        """Listen on another port, as after a change of settings: 1300."""
        takes_nothing(arguments)
        return {"port": self._server.move()}

    def _utter(self, arguments: Answer) -> Answer:
        """Send every client a message of any id, known to it or not."""
        message = _whole(arguments, "message")
        for session in list(self._desk.sessions.values()):
            session.send((message, 1, "what nobody has heard of"))
        return {"said": message}

    def _market_data(self, arguments: Answer) -> Answer:
        mode = arguments.get("mode")
        if mode not in set(Supply):
            raise VenueError(f"mode is {mode!r}; use one of: {', '.join(Supply)}")
        self._desk.manners.supply = Supply(str(mode))
        return {"mode": mode}


def _whole(arguments: Answer, name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise VenueError(f"{name} is {value!r}; give a whole number")
    return value
