"""What a FIX session must remember across a restart, and the one file it is remembered in.

Rules of this room:
1. One `save` is one `os.write` of one line: the sequence numbers of every session touched, their new
   outgoing messages and the application's record. A kill -9 keeps the whole line or drops it whole.
2. A last line without its end is torn and is dropped at start; a broken line before it refuses the start.
3. The start compacts: one line a session, then every application record in order, written beside and renamed.
4. At most `MAX_RESENDABLE` application messages a session are kept for resending; older ones are gap-filled.
5. What survives is what the kernel was given: safe against kill -9, not against loss of power.
"""

from __future__ import annotations

import fcntl
import os
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_RESENDABLE = 100_000


class StoreError(Exception):
    """Say that the store cannot be used, why, and what to do."""


@dataclass(slots=True)
class Memory:
    """Remember one session: the next MsgSeqNum(34) each way and the application messages sent.

    `sent` holds (MsgSeqNum, raw message) in ascending order, at most `MAX_RESENDABLE` of them.
    """

    name: str
    next_in: int = 1
    next_out: int = 1
    sent: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=MAX_RESENDABLE))
    unsaved: list[tuple[int, bytes]] = field(default_factory=list)
    forgotten: bool = False
    saved_in: int = 1
    saved_out: int = 1

    @property
    def is_fresh(self) -> bool:
        """Say whether both sides still begin at 1."""
        return self.next_in == self.next_out == 1

    def keep(self, seq_num: int, raw: bytes) -> None:
        """Keep one application message for resending."""
        self.sent.append((seq_num, raw))
        self.unsaved.append((seq_num, raw))

    def reset(self) -> None:
        """Start again at MsgSeqNum(34) 1 both ways, with nothing to resend."""
        self.next_in = self.next_out = 1
        self.sent.clear()
        self.unsaved.clear()
        self.forgotten = True

    def is_changed(self) -> bool:
        """Tell whether anything here is not yet saved."""
        return self.next_in != self.saved_in or self.next_out != self.saved_out or self.forgotten

    def mark_saved(self) -> None:
        """Note that everything here is saved."""
        self.saved_in, self.saved_out, self.forgotten = self.next_in, self.next_out, False
        if self.unsaved:
            self.unsaved.clear()


class Store(Protocol):
    """Keep session memories and application records."""

    def memory(self, name: str) -> Memory:
        """Return what is remembered of the session `name`."""
        ...

    def records(self) -> Iterable[dict[str, Any]]:
        """Return the application records kept before this start, in order."""
        ...

    def save(self, memories: Iterable[Memory], record: dict[str, Any] | None) -> None:
        """Keep what changed, all or nothing."""
        ...

    def close(self) -> None:
        """Release what the store holds."""
        ...


class MemoryStore:
    """Remember for as long as the process lives."""

    def __init__(self) -> None:
        self._memories: dict[str, Memory] = {}

    def memory(self, name: str) -> Memory:
        """Return what is remembered of the session `name`."""
        return self._memories.setdefault(name, Memory(name))

    def records(self) -> list[dict[str, Any]]:
        """Return nothing: a new process remembers nothing."""
        return []

    def save(self, memories: Iterable[Memory], record: dict[str, Any] | None) -> None:  # noqa: ARG002 - Store protocol
        """Let go of what a file would have kept."""
        for memory in memories:
            memory.mark_saved()

    def close(self) -> None:
        """Release nothing."""


class _Part(msgspec.Struct, array_like=True):
    """One session in one line."""

    name: str
    next_in: int
    next_out: int
    forgotten: bool
    sent: list[tuple[int, str]]


class _Line(msgspec.Struct, array_like=True):
    """One write."""

    parts: list[_Part]
    record: dict[str, Any] | None


class FileStore:
    """Remember in `<folder>/<comp_id>.fixlog`, one line a processed message."""

    def __init__(self, folder: Path, comp_id: str) -> None:
        self._memories: dict[str, Memory] = {}
        self._records: list[dict[str, Any]] = []
        self._encoder = msgspec.json.Encoder()
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{comp_id}.fixlog"
        self._lock = os.open(folder / f"{comp_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise StoreError(f"{folder} is in use by another simulator; choose another folder") from None
        try:
            self._read()
            self._compact()
        except StoreError:
            os.close(self._lock)
            raise
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def memory(self, name: str) -> Memory:
        """Return what is remembered of the session `name`."""
        return self._memories.setdefault(name, Memory(name))

    def records(self) -> list[dict[str, Any]]:
        """Return the application records kept before this start, in order, once."""
        kept, self._records = self._records, []
        return kept

    def save(self, memories: Iterable[Memory], record: dict[str, Any] | None) -> None:
        """Append one line holding every change, in one write."""
        changed = [memory for memory in memories if memory.is_changed()]
        if not changed and record is None:
            return
        parts = [_part(memory, memory.unsaved) for memory in changed]
        line = self._encoder.encode(_Line(parts, record)) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            raise StoreError(f"{self._path}: {written} of {len(line)} bytes written; make room and restart")
        for memory in changed:
            memory.mark_saved()

    def close(self) -> None:
        """Close the file and let another simulator have it."""
        os.close(self._file)
        os.close(self._lock)

    def _read(self) -> None:
        if not self._path.exists():
            return
        decoder = msgspec.json.Decoder(_Line)
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    entry = decoder.decode(line)
                except msgspec.DecodeError as error:
                    raise StoreError(f"{self._path} line {number}: {error}; move the file away") from None
                self._apply(entry)

    def _apply(self, entry: _Line) -> None:
        for part in entry.parts:
            memory = self.memory(part.name)
            if part.forgotten:
                memory.reset()
            memory.next_in, memory.next_out = part.next_in, part.next_out
            memory.sent.extend((seq_num, raw.encode("latin-1")) for seq_num, raw in part.sent)
            memory.mark_saved()
        if entry.record is not None:
            self._records.append(entry.record)

    def _compact(self) -> None:
        """Write what is remembered beside the old file, make it durable, and put it in its place."""
        fresh = self._path.with_suffix(".compacting")
        with fresh.open("wb") as file:
            for memory in self._memories.values():
                file.write(self._encoder.encode(_Line([_part(memory, memory.sent)], None)) + b"\n")
            for record in self._records:
                file.write(self._encoder.encode(_Line([], record)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _part(memory: Memory, sent: Iterable[tuple[int, bytes]]) -> _Part:
    kept = [(seq_num, raw.decode("latin-1")) for seq_num, raw in sent]
    return _Part(memory.name, memory.next_in, memory.next_out, memory.forgotten, kept)
