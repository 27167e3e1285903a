"""The spool: every message from a venue is on disk before quickfix counts it as received.

quickfix raises its inbound sequence number when the callback returns; from then on the venue will
not send that message again. So the child process writes it here first, and the gateway reads it from
here only: one file, one writer, one reader, one order.

Rules of this room:
1. A record is one `write`: sequence number, length, check sum, then the text. A torn record at the end
   (its writer was killed) is cut off by the next writer and waited for by the reader.
2. Numbers go up by one, for ever, over restarts of either process.
3. The file is cut into segments named after their first number. The reader removes a segment when
   everything in it and in the one after it is in the journal.
4. Nothing is flushed to the disk itself: a killed process loses nothing, and after a power cut the
   look-ups at logon find what is missing.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEGMENT_BYTES = 4 << 20
READ_BYTES = 1 << 20
_HEADER = struct.Struct("<QII")


@dataclass(frozen=True, slots=True)
class Spooled:
    """Hold one inbound message; `ref` is the ClOrdID(11) of our message a reject refers to."""

    seq: int
    ref: str
    raw: str


class SpoolWriter:
    """Append records; the only writer of its folder (its owner holds the folder's lock)."""

    def __init__(self, folder: Path, after_seq: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        path = folder / _name(after_seq + 1)
        self.seq = after_seq
        if paths := segments(folder):
            valid, last = _intact(paths[-1])
            os.truncate(paths[-1], valid)
            if last >= after_seq:
                path, self.seq = paths[-1], last
        self._open(path)

    def append(self, raw: str, ref: str = "") -> int:
        """Write one record and return its number; raises OSError when the disk does not take it."""
        payload = f"{ref}\n{raw}".encode("utf-8", "surrogateescape")
        record = _HEADER.pack(self.seq + 1, len(payload), _check(self.seq + 1, payload)) + payload
        if self._size > self._segment_bytes:
            os.close(self._fd)
            self._open(self._folder / _name(self.seq + 1))
        if os.write(self._fd, record) != len(record):
            raise OSError("the disk took only part of a record")
        self._size += len(record)
        self.seq += 1
        return self.seq

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)

    def _open(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = path.stat().st_size


class SpoolReader:
    """Follow the records behind `after_seq`, while the writer may still be at work."""

    def __init__(self, folder: Path, after_seq: int) -> None:
        self._folder = folder
        self._after_seq = after_seq
        self._path: Path | None = None
        self._fd = -1
        self._offset = 0

    def missing(self) -> str:
        """Say what is no longer here that should be handed over; empty when nothing is."""
        paths = segments(self._folder)
        first = _first_of(paths[0]) if paths else 0
        if first > self._after_seq + 1:
            return f"messages {self._after_seq + 1} to {first - 1} were handed over before and are gone"
        return ""

    def read(self, limit: int) -> list[Spooled]:
        """Return up to about `limit` new records; fewer means that the end was reached."""
        found: list[Spooled] = []
        while len(found) < limit:
            taken = self._take()
            if not taken and (path := self._next_path()) is not None:
                taken = self._take()  # the writer has left this segment: what it holds now is all
                if not taken:
                    self._open(path)
                    continue
            if not taken:
                break
            found += (one for one in taken if one.seq > self._after_seq)
        return found

    def forget(self, acknowledged: int) -> None:
        """Remove segments whose successor, too, is wholly acknowledged."""
        paths = segments(self._folder)
        for path, after_next in zip(paths, paths[2:], strict=False):
            if _first_of(after_next) <= acknowledged + 1:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the file."""
        if self._path is not None:
            os.close(self._fd)
            self._path = None

    def _take(self) -> list[Spooled]:
        """Return the whole records at the present place of the present segment."""
        size = READ_BYTES
        while self._path is not None:
            chunk = os.pread(self._fd, size, self._offset)
            taken: list[Spooled] = []
            end = 0
            for end, one in _records(chunk):  # noqa: B007 - the last end is what was used
                taken.append(one)
            self._offset += end
            if taken or len(chunk) < size:
                return taken
            size *= 2
        return []

    def _next_path(self) -> Path | None:
        """Return the segment after the present one, if the writer has begun it."""
        name = self._path.name if self._path is not None else ""
        return next((path for path in segments(self._folder) if path.name > name), None)

    def _open(self, path: Path) -> None:
        self.close()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._path = path
        self._offset = 0


def segments(folder: Path) -> list[Path]:
    """Return the segment files, oldest first."""
    return sorted(folder.glob("*.spool"))


def last_seq(folder: Path) -> int:
    """Return the number of the last whole record, 0 when there is none."""
    paths = segments(folder)
    return _intact(paths[-1])[1] if paths else 0


def _name(first_seq: int) -> str:
    return f"{first_seq:020d}.spool"


def _first_of(path: Path) -> int:
    return int(path.stem)


def _check(seq: int, payload: bytes) -> int:
    """Sum up number and text: a stretch of zeros, as a power cut may leave, is no record."""
    return zlib.crc32(payload, zlib.crc32(seq.to_bytes(8, "little")))


def _records(data: bytes) -> Iterator[tuple[int, Spooled]]:
    """Yield each whole record and where it ends; stop at the first that is torn."""
    start = 0
    while len(data) - start >= _HEADER.size:
        seq, length, check = _HEADER.unpack_from(data, start)
        end = start + _HEADER.size + length
        payload = data[start + _HEADER.size : end]
        if len(payload) < length or _check(seq, payload) != check:
            return
        ref, _, raw = payload.decode("utf-8", "replace").partition("\n")
        yield end, Spooled(seq, ref, raw)
        start = end


def _intact(path: Path) -> tuple[int, int]:
    """Return how many bytes of a segment are whole records, and the last number in it."""
    end, seq = 0, _first_of(path) - 1
    for end, one in _records(path.read_bytes()):  # noqa: B007 - the last end is what was used
        seq = one.seq
    return end, seq
