"""The plan of faults: what will go wrong between the venue and its clients, how often, and in what order.

Rules of this room:
1. Pure and seeded: time is an argument; the same plan and the same messages misbehave in the same way.
2. A fault is used up: it strikes `count` times, after letting `skip` candidates pass, each time with its
   `probability`. Faults of one kind are served in the order they were planned.
3. What is lost, late or out of order is on the wire only: numbers were given and everything was kept before,
   so a client that recovers as FIX demands loses nothing.
4. A plan is forgotten when the process ends: a fault is not part of the venue's record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

Sending = tuple[float, bytes]
MAX_PLANNED = 10_000
_LOGON = b"\x0135=A\x01"
_SPACING = timedelta(milliseconds=2)
_SETTLING = timedelta(milliseconds=50)


class Kind(StrEnum):
    """What can go wrong."""

    DELAY = "delay"
    DROP = "drop"
    REPEAT = "repeat"
    REORDER = "reorder"
    DUPLICATE = "duplicate"
    SHUFFLE = "shuffle"
    LOSE = "lose"
    REJECT = "reject"
    REJECT_CANCEL = "reject_cancel"
    DISCONNECT_BEFORE = "disconnect_before"
    DISCONNECT_AFTER = "disconnect_after"
    SILENCE = "silence"
    RESTART = "restart"


MEANINGS = {
    Kind.DELAY: "the next reports, and all that is behind them, leave `seconds` later",
    Kind.DROP: "the next reports are lost on the way out; a resend brings them",
    Kind.REPEAT: "the bytes of the next reports are written twice, under one MsgSeqNum(34)",
    Kind.REORDER: "the next reports are overtaken on the wire by whatever follows them",
    Kind.DUPLICATE: "the next reports are said again: same ExecID(17), new MsgSeqNum(34), PossResend(97)=Y",
    Kind.SHUFFLE: "the next answers of several reports give them in another order (a fill before its New)",
    Kind.LOSE: "the next messages of a client are lost on the way in, their numbers not consumed",
    Kind.REJECT: "the next orders are rejected with `text`",
    Kind.REJECT_CANCEL: "the next cancels and replaces are rejected with `text`",
    Kind.DISCONNECT_BEFORE: "the connection is cut instead of processing the next orders",
    Kind.DISCONNECT_AFTER: "the connection is cut after processing and keeping the next orders",
    Kind.SILENCE: "nothing leaves for `seconds`, heartbeats included; what comes in is processed",
    Kind.RESTART: "the venue drops every session and begins again from its store",
}
_TIMED = frozenset({Kind.DELAY, Kind.SILENCE})
_REQUESTS = frozenset({"D", "F", "G"})


class FaultError(Exception):
    """Say why a fault cannot be planned, and what to ask for instead."""


@dataclass(slots=True)
class Fault:
    """One planned fault; `exec_type` limits it to such reports going out, `msg_type` to such messages in."""

    kind: Kind
    count: int = 1
    skip: int = 0
    probability: float = 1.0
    seconds: float = 0.0
    text: str = "rejected by the fault plan"
    exec_type: str | None = None
    msg_type: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_PLANNED or not 0 <= self.skip <= MAX_PLANNED:
            raise FaultError(f"count must be 1 to {MAX_PLANNED} and skip 0 to {MAX_PLANNED}")
        if not 0 < self.probability <= 1:
            raise FaultError(f"probability {self.probability} is not above 0 and at most 1")
        if self.seconds < 0 or (self.kind in _TIMED and not self.seconds):
            raise FaultError(f"{self.kind} needs seconds above 0; got {self.seconds}")


@dataclass(slots=True)
class _Line:
    """What is on the way to one client: until when it is held up, and what waits to be overtaken."""

    released: datetime | None = None
    stamped: datetime | None = None
    held: list[bytes] = field(default_factory=list)


class Plan:
    """Decide, message by message, what misbehaves."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._faults: dict[Kind, list[Fault]] = {}
        self._lines: dict[str, _Line] = {}
        self._silent_until: datetime | None = None

    def add(self, fault: Fault, now: datetime) -> None:
        """Plan `fault`; silence begins at once."""
        if fault.kind is Kind.SILENCE:
            self._silent_until = now + timedelta(seconds=fault.seconds)
        elif sum(len(planned) for planned in self._faults.values()) >= MAX_PLANNED:
            raise FaultError(f"{MAX_PLANNED} faults are planned already; clear them first")
        else:
            self._faults.setdefault(fault.kind, []).append(fault)

    def clear(self) -> None:
        """Forget every fault that has not struck, and speak again."""
        self._faults.clear()
        self._silent_until = None

    def planned(self) -> dict[str, int]:
        """Say how often each kind of fault is still to strike."""
        return {kind: sum(fault.count for fault in faults) for kind, faults in self._faults.items()}

    def is_idle(self, now: datetime) -> bool:
        """Say whether nothing is planned and nothing is on the way."""
        is_busy = any(self._is_busy(line, now) for line in self._lines.values())
        return not (self._faults or self.is_silent(now) or is_busy)

    def is_silent(self, now: datetime) -> bool:
        """Say whether nothing may leave."""
        return self._silent_until is not None and now < self._silent_until

    def forget(self, client: str) -> None:
        """Let go of what was on the way to a client whose connection is a new one."""
        self._lines.pop(client, None)

    # What comes in.

    def is_lost(self, msg_type: str) -> bool:
        """Say whether a client's message is lost on the way in."""
        return self._strike(Kind.LOSE, msg_type=msg_type) is not None

    def cuts_before(self, msg_type: str) -> bool:
        """Say whether the connection is cut instead of processing a message."""
        return self._cuts(Kind.DISCONNECT_BEFORE, msg_type)

    def cuts_after(self, msg_type: str) -> bool:
        """Say whether the connection is cut after processing a message."""
        return self._cuts(Kind.DISCONNECT_AFTER, msg_type)

    def refusal(self, msg_type: str) -> str | None:
        """Say with which words an order, a cancel or a replace is rejected, or None."""
        kind = Kind.REJECT if msg_type == "D" else Kind.REJECT_CANCEL
        fault = self._strike(kind, msg_type=msg_type) if msg_type in _REQUESTS else None
        return fault.text if fault is not None else None

    # What goes out.

    def repeats(self, exec_type: str) -> bool:
        """Say whether a report is said twice, as two messages."""
        return self._strike(Kind.DUPLICATE, exec_type=exec_type) is not None

    def order(self, count: int) -> list[int]:
        """Say in which order an answer of `count` reports gives them."""
        places = list(range(count))
        if count > 1 and self._strike(Kind.SHUFFLE) is not None:
            while places == sorted(places):
                self._random.shuffle(places)
        return places

    def send(self, client: str, raw: bytes, now: datetime, *, is_app: bool) -> list[Sending]:
        """Say what reaches `client` instead of `raw`: bytes, each after a delay in seconds."""
        if _LOGON in raw[:64]:
            self.forget(client)
            return [(0.0, raw)]
        line = self._lines.setdefault(client, _Line())
        exec_type = _exec_type(raw) if is_app else None
        if is_app and self._strike(Kind.DROP, exec_type=exec_type) is not None:
            return []
        late = self._strike(Kind.DELAY, exec_type=exec_type) if is_app else None
        delay_s = self._delay_s(line, late, now)
        if is_app and self._strike(Kind.REORDER, exec_type=exec_type) is not None:
            line.held.append(raw)
            return []
        copies = 2 if is_app and self._strike(Kind.REPEAT, exec_type=exec_type) is not None else 1
        sending = [(delay_s, raw)] * copies + [(delay_s, held) for held in line.held]
        line.held.clear()
        return sending

    # The inside.

    def _cuts(self, kind: Kind, msg_type: str) -> bool:
        return msg_type in _REQUESTS and self._strike(kind, msg_type=msg_type) is not None

    def _strike(
        self, kind: Kind, *, msg_type: str | None = None, exec_type: str | None = None
    ) -> Fault | None:
        """Use up the first planned fault of `kind` that is about this message, or let the message pass."""
        planned = self._faults.get(kind)
        if planned is None:
            return None
        for fault in planned:
            if fault.msg_type not in (None, msg_type) or fault.exec_type not in (None, exec_type):
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            if fault.probability < 1 and self._random.random() >= fault.probability:
                return None
            fault.count -= 1
            if not fault.count:
                planned.remove(fault)
                if not planned:
                    del self._faults[kind]
            return fault
        return None

    def _delay_s(self, line: _Line, late: Fault | None, now: datetime) -> float:
        """Say how much later a message leaves: what is behind a late one never overtakes it."""
        if late is not None:
            due = now + timedelta(seconds=late.seconds)
            line.released = max(due, line.released + _SPACING) if line.released is not None else due
        elif not self._is_held_up(line, now) or line.released is None:
            return 0.0
        elif line.stamped != now:
            line.released = max(line.released + _SPACING, now)
        line.stamped = now
        return max((line.released - now).total_seconds(), 0.001)

    def _is_busy(self, line: _Line, now: datetime) -> bool:
        return bool(line.held) or self._is_held_up(line, now)

    @staticmethod
    def _is_held_up(line: _Line, now: datetime) -> bool:
        return line.released is not None and now < line.released + _SETTLING


def _exec_type(raw: bytes) -> str | None:
    """ExecType(150) of a raw message, if it is a report."""
    _, found, rest = raw.partition(b"\x01150=")
    return chr(rest[0]) if found else None
