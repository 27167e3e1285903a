"""What of the journal has left Redis: files of old entries, read where the stream begins too late.

Rules of this room:
1. A file holds the entries FIRST to LAST, a JSON line each, compressed. It appears whole, on disk, before its
   entries leave Redis; nothing is ever written to it again, and nothing here deletes one.
2. A start never needs a file: only what both kept snapshots lie behind may leave. A replay, a report and an
   audit do.
3. Files meet, and meet the stream: a hole is `StoreBehind`, with what to put back.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from gateway.errors import StoreBehind, StoreUnavailable

LEVEL: Final = 6
_NAME: Final = re.compile(r"(\d{12})-(\d{12})\.jsonl\.gz")


class Entry(NamedTuple):
    """One journal entry as it is kept: sequence number, event type, its version, its JSON."""

    seq: int
    name: str
    version: int
    data: bytes


class Archive:
    """Keep the old entries of one household's journal in a folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def last(self) -> int:
        """Return the sequence number of the last entry kept, 0 when there is none."""
        return max((last for _, last, _ in self._files()), default=0)

    def keep(self, entries: Iterable[Entry]) -> int:
        """Write entries that follow one another to a file of their own; return the last one's number.

        It is on disk, whole, when this comes back. Raises `StoreUnavailable` when the disk does not take it.
        """
        part = self.folder / "next.part"
        first = last = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as raw, gzip.open(raw, "wt", LEVEL, encoding="utf-8") as lines:
                for entry in entries:
                    first, last = first or entry.seq, entry.seq
                    row = [entry.seq, entry.name, entry.version, entry.data.decode()]
                    lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
            _to_disk(part)
            part.replace(self.folder / f"{first:012d}-{last:012d}.jsonl.gz")
            _to_disk(self.folder)
        except OSError as problem:
            text = f"{self.folder}: {problem.strerror}; free space or give the right to write"
            raise StoreUnavailable(f"old journal entries stay in Redis: {text}") from None
        return last

    def read(self, after_seq: int, before: int) -> Iterator[Entry]:
        """Yield the entries between two sequence numbers, neither included; raises `StoreBehind`."""
        seq = after_seq
        for first, last, path in self._files():
            if last <= seq or first >= before:
                continue
            if first > seq + 1:
                raise StoreBehind(self.missing(seq + 1, first - 1))
            for entry in _entries(path):
                if entry.seq >= before:
                    return
                if entry.seq > seq:
                    seq = entry.seq
                    yield entry
            if seq < min(last, before - 1):
                raise StoreBehind(f"{path} ends before entry {last}: put back a whole copy")

    def missing(self, first: int, last: int) -> str:
        """Word which entries are nowhere, and where they belong."""
        return (
            f"journal entries {first} to {last} are neither in Redis nor in {self.folder}: put the archive's "
            "files back there, or restore Redis from a copy of its append-only file"
        )

    def _files(self) -> list[tuple[int, int, Path]]:
        """Return (first, last, file) of every file, in order."""
        named = ((_NAME.fullmatch(path.name), path) for path in self.folder.glob("*.jsonl.gz"))
        return sorted((int(name[1]), int(name[2]), path) for name, path in named if name)


def _entries(path: Path) -> Iterator[Entry]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                seq, name, version, data = json.loads(line)
                yield Entry(int(seq), name, int(version), data.encode())
    except (OSError, EOFError, ValueError) as problem:
        raise StoreBehind(f"{path} cannot be read ({problem}): put back a whole copy") from None


def _to_disk(path: Path) -> None:
    """Wait until a file, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
