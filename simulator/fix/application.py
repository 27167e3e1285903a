"""What a FIX application is to the simulator's acceptor: messages in, messages out, one record to keep.

Rules of this room:
1. An application is synchronous and owns no socket, no clock and no file; time is an argument.
2. Whatever an application must remember across a restart is in `Reply.record`. The acceptor writes
   that record, the inbound sequence number and the outgoing messages in **one** write, so that a
   kill -9 keeps all of them or none; at start it hands every record back to `replay`, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from simulator.fix.acceptor import Acceptor
    from simulator.fix.message import Message, SessionId


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Address one application message to one session."""

    session: SessionId
    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """Hold what an application answers: messages to send and the JSON-able record to keep."""

    outgoing: Sequence[Outgoing] = ()
    record: dict[str, Any] | None = field(default=None)


class Application(Protocol):
    """Answer application messages and the passing of time."""

    def receive(self, session: SessionId, message: Message, now: datetime) -> Reply:
        """Answer one validated application message that arrived in sequence on `session`."""
        ...

    def logged_on(self, session: SessionId, now: datetime) -> Reply:
        """Take note that `session` is up."""
        ...

    def tick(self, now: datetime) -> Reply:
        """Do what the passing of time demands (later fills, expiries); called about every 5 ms when due."""
        ...

    def next_tick(self) -> datetime | None:
        """Say when `tick` is next worth calling, or None."""
        ...

    def replay(self, record: dict[str, Any]) -> None:
        """Restore one record kept before a restart."""
        ...


@runtime_checkable
class Restartable(Protocol):
    """Optional: an application that must know when a session's numbers went back to 1."""

    def restarted(self, session: SessionId, now: datetime) -> Reply:
        """Take note that a new FIX session began: what was seen on `session` belongs to the old one."""
        ...


@runtime_checkable
class Hosted(Protocol):
    """Optional: an application with something of its own to run beside the acceptor (a control server)."""

    control_port: int | None

    async def start(self, acceptor: Acceptor) -> None:
        """Begin; the acceptor listens already. `acceptor.dispatch(reply)` sends at any later time."""
        ...

    async def stop(self) -> None:
        """End; the acceptor has stopped already."""
        ...
