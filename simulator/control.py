"""The control port: one JSON object a line, in and out, with which a test leads the venue astray.

    {"command": "fault", "kind": "drop", "count": 2}  ->  {"planned": {"drop": 2}}

Rules of this room:
1. It listens on 127.0.0.1 only: whoever reaches it may do anything to the simulated venue.
2. Every line is answered by one line, in order; what cannot be carried out is {"error": ...} with the remedy.
3. Nothing here knows FIX: `Controlled` is whatever can be observed, disturbed and ended.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from simulator import operations
from simulator.faults import MAX_PLANNED, MEANINGS, Fault, FaultError, Kind
from simulator.operations import OPERATIONS
from simulator.venue import VenueError

HOST = "127.0.0.1"
TIMEOUT_S = 30.0
MAX_LINE_BYTES = 1 << 16
MAX_CONNECTIONS = 64
MAX_MAINTENANCE_S = 604_800
_CROWDED = f"{MAX_CONNECTIONS} connections are open already; close some"
Answer = dict[str, Any]
_INVENTED = frozenset({"symbol", "side", "qty", "price"})
_FAULT_FIELDS = frozenset(item.name for item in fields(Fault))


def ask(port: int, command: str, *, timeout_s: float = TIMEOUT_S, **arguments: Any) -> Answer:
    """Send one command to the control port of this machine and return its answer."""
    line = json.dumps({"command": command, **arguments}).encode() + b"\n"
    with socket.create_connection((HOST, port), timeout_s) as connection:
        connection.settimeout(timeout_s)
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            answer = answers.readline()
    if not answer.endswith(b"\n"):
        raise ConnectionError(f"the control port {port} hung up without an answer to {command!r}")
    found: Answer = json.loads(answer)
    return found


class Controlled(Protocol):
    """What the control port can do to a venue."""

    def record(self) -> Answer:
        """Return the venue's own record."""
        ...

    def status(self) -> Answer:
        """Say how much is open and what is still to come."""
        ...

    def operate(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Carry out one of `OPERATIONS`; return the number of reports it caused."""
        ...

    def disturb(self, fault: Fault) -> Mapping[str, int]:
        """Plan a fault; return what is planned."""
        ...

    def calm(self) -> None:
        """Forget every planned fault."""
        ...

    def hide_copies(self, count: int) -> None:
        """Leave the next executions out of the drop copies."""
        ...

    def invent_copy(self, symbol: str, side: str, qty: Decimal, px: Decimal) -> None:
        """Copy an execution that never was."""
        ...

    def maintain(self, seconds: float) -> None:
        """Send every session home and take no logon for that long."""
        ...

    def begin_week(self) -> None:
        """Send every session home; both sequence numbers are 1 at the next logon."""
        ...

    def end(self, down_s: float | None) -> None:
        """End the process, or let it begin again from its store after `down_s` seconds."""
        ...


class Control:
    """Answer the lines of every connection."""

    def __init__(self, controlled: Controlled) -> None:
        self._controlled = controlled
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int | None:
        """The port listened on."""
        if self._server is None or not self._server.sockets:
            return None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, port: int) -> None:
        """Listen; 0 lets the system choose."""
        self._server = await asyncio.start_server(self._serve, HOST, port, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()

    def answer(self, line: bytes) -> Answer:
        """Carry out one line."""
        try:
            asked = json.loads(line)
        except ValueError:
            asked = None
        command = asked.pop("command", None) if isinstance(asked, dict) else None
        if not isinstance(command, str):
            return {"error": 'write one JSON object a line, as {"command": "record"}'}
        try:
            if command in OPERATIONS:
                return {"reports": self._controlled.operate(command, asked)}
            carry_out = self._COMMANDS.get(command)
            if carry_out is None:
                known = ", ".join(sorted([*self._COMMANDS, *OPERATIONS]))
                return {"error": f"no command {command!r}; use one of: {known}"}
            return carry_out(self, asked)
        except (VenueError, FaultError) as error:
            return {"error": str(error)}

    # The commands.

    def _record(self, arguments: Answer) -> Answer:
        _takes_nothing(arguments)
        return self._controlled.record()

    def _status(self, arguments: Answer) -> Answer:
        _takes_nothing(arguments)
        return self._controlled.status()

    def _fault(self, arguments: Answer) -> Answer:
        return {"planned": dict(self._controlled.disturb(read_fault(arguments)))}

    def _clear(self, arguments: Answer) -> Answer:
        _takes_nothing(arguments)
        self._controlled.calm()
        return {"planned": {}}

    def _faults(self, arguments: Answer) -> Answer:
        _takes_nothing(arguments)
        return {"faults": {str(kind): meaning for kind, meaning in MEANINGS.items()}}

    def _maintenance(self, arguments: Answer) -> Answer:
        seconds = arguments.pop("seconds", None)
        _takes_nothing(arguments)
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not 0 < seconds <= MAX_MAINTENANCE_S:
            raise VenueError(f"seconds is {seconds!r}; give a number above 0, up to {MAX_MAINTENANCE_S}")
        self._controlled.maintain(seconds)
        return {"closed_s": seconds}

    def _new_week(self, arguments: Answer) -> Answer:
        _takes_nothing(arguments)
        self._controlled.begin_week()
        return {"next_numbers": 1}

    def _hide_copies(self, arguments: Answer) -> Answer:
        count = arguments.pop("count", 1)
        _takes_nothing(arguments)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_PLANNED:
            raise VenueError(f"count is {count!r}; give a whole number up to {MAX_PLANNED}")
        self._controlled.hide_copies(count)
        return {"hidden": count}

    def _invent_copy(self, arguments: Answer) -> Answer:
        symbol, side = operations.text(arguments, "symbol"), operations.text(arguments, "side")
        qty, px = operations.number(arguments, "qty"), operations.number(arguments, "price")
        _takes_nothing({name: one for name, one in arguments.items() if name not in _INVENTED})
        self._controlled.invent_copy(symbol, side, qty, px)
        return {"invented": 1}

    def _stop(self, arguments: Answer) -> Answer:
        _takes_nothing(arguments)
        self._controlled.end(None)
        return {"stopping": True}

    _COMMANDS: ClassVar[dict[str, Callable[[Control, Answer], Answer]]] = {
        "record": _record, "status": _status, "quiet": _status, "fault": _fault, "faults": _faults,
        "clear": _clear, "maintenance": _maintenance, "new_week": _new_week, "stop": _stop,
        "hide_copies": _hide_copies, "invent_copy": _invent_copy,
    }  # fmt: skip

    # The connections.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                is_crowded = len(self._writers) > MAX_CONNECTIONS
                answer = {"error": _CROWDED} if is_crowded else self.answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ValueError:
            error = {"error": f"a line has {MAX_LINE_BYTES} bytes at most; send less"}
            writer.write(json.dumps(error).encode() + b"\n")
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


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


def _takes_nothing(arguments: Answer) -> None:
    if arguments:
        raise VenueError(f"this command takes no {min(arguments)}; leave it out")
