"""The control port: one JSON object a line, in and out, with which a test leads the venue astray.

    {"command": "fault", "kind": "drop", "count": 2}  ->  {"planned": {"drop": 2}}

Rules of this room:
1. It listens on 127.0.0.1 only: whoever reaches it may do anything to the simulated venue.
2. Every line is answered by one line, in order; what cannot be carried out is {"error": ...} with the remedy.
3. Nothing here knows a protocol: `Controlled` is whatever can be observed and ended; what one kind of venue
   alone can be told, its own `commands` say.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from simulator.faults import FaultError
from simulator.operations import OPERATIONS
from simulator.venue import VenueError

HOST = "127.0.0.1"
TIMEOUT_S = 30.0
MAX_LINE_BYTES = 1 << 16
MAX_CONNECTIONS = 64
_CROWDED = f"{MAX_CONNECTIONS} connections are open already; close some"
Answer = dict[str, Any]
Carry = Callable[[Answer], Answer]


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

    def calm(self) -> None:
        """Forget every planned fault."""
        ...

    def end(self, down_s: float | None) -> None:
        """End the process, or let it begin again from its store after `down_s` seconds."""
        ...


class Control:
    """Answer the lines of every connection; `own` are commands of this venue alone."""

    def __init__(self, controlled: Controlled, own: Mapping[str, Carry] | None = None) -> None:
        self._controlled = controlled
        self._own = own or {}
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
            if command in self._own:
                return self._own[command](asked)
            if command in OPERATIONS:
                return {"reports": self._controlled.operate(command, asked)}
            carry_out = self._COMMANDS.get(command)
            if carry_out is None:
                known = ", ".join(sorted({*self._COMMANDS, *self._own, *OPERATIONS}))
                return {"error": f"no command {command!r}; use one of: {known}"}
            return carry_out(self, asked)
        except (VenueError, FaultError) as error:
            return {"error": str(error)}

    # The commands.

    def _record(self, arguments: Answer) -> Answer:
        takes_nothing(arguments)
        return self._controlled.record()

    def _status(self, arguments: Answer) -> Answer:
        takes_nothing(arguments)
        return self._controlled.status()

    def _clear(self, arguments: Answer) -> Answer:
        takes_nothing(arguments)
        self._controlled.calm()
        return {"planned": {}}

    def _stop(self, arguments: Answer) -> Answer:
        takes_nothing(arguments)
        self._controlled.end(None)
        return {"stopping": True}

    _COMMANDS: ClassVar[dict[str, Callable[[Control, Answer], Answer]]] = {
        "record": _record, "status": _status, "quiet": _status, "clear": _clear, "stop": _stop,
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


def takes_nothing(arguments: Answer) -> None:
    """Raise `VenueError` when a command is given what it does not take."""
    if arguments:
        raise VenueError(f"this command takes no {min(arguments)}; leave it out")
