"""Bytes to messages and back: the greeting, then frames of a length and fields. No sockets.

Rules of this room:
1. Bytes may be cut anywhere: whatever the pieces, the same messages come out.
2. A client first says `API` NUL and one frame with the versions it speaks; every frame after it is a message:
   4 bytes of length, big-endian, then text fields, each ended by NUL.
3. What is no frame raises `FrameError`: nothing behind it can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

HELLO = b"API\0"
PREFIX = 4
MAX_FRAME = 1 << 20
_VERSIONS = re.compile(r"v(\d{1,6})(?:\.\.(\d{1,6}))?(?: (.*))?")

Value = str | int | bool | Decimal | None
Fields = Sequence[Value]


class FrameError(Exception):
    """Say why bytes are no frames of a client."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The versions a client speaks, and its connect options."""

    least: int
    most: int
    options: str = ""


class Frames:
    """Cut what one client sends."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._is_greeted = False

    def feed(self, data: bytes) -> Iterator[Greeting | list[str]]:
        """Yield the greeting, then the fields of each whole frame; raises `FrameError`."""
        self._data += data
        while True:
            if not self._is_greeted:
                head = bytes(self._data[: len(HELLO)])
                if not HELLO.startswith(head):
                    raise FrameError("a client must say API first; this one speaks something else")
                start = len(HELLO)
            else:
                start = 0
            if len(self._data) < start + PREFIX:
                return
            size = int.from_bytes(self._data[start : start + PREFIX])
            if size > MAX_FRAME:
                raise FrameError(f"a frame of {size} bytes is too long; {MAX_FRAME} is the most")
            end = start + PREFIX + size
            if len(self._data) < end:
                return
            payload = bytes(self._data[start + PREFIX : end])
            del self._data[:end]
            if self._is_greeted:
                yield split(payload)
            else:
                self._is_greeted = True
                yield _greeting(payload)


def split(payload: bytes) -> list[str]:
    """Return the fields of a payload."""
    fields = payload.decode(errors="backslashreplace").split("\0")
    if not fields[-1]:
        fields.pop()
    return fields


def frame(fields: Fields) -> bytes:
    """Write one message."""
    payload = "".join(text(field) + "\0" for field in fields).encode()
    return len(payload).to_bytes(PREFIX) + payload


def text(value: Value) -> str:
    """Write one field: 1 and 0 for booleans, digits and a point for numbers, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value).replace("\0", "")


def _greeting(payload: bytes) -> Greeting:
    found = _VERSIONS.fullmatch(payload.decode(errors="backslashreplace").rstrip("\0"))
    if found is None:
        raise FrameError("the versions a client speaks are not readable; say v157..178")
    least = int(found[1])
    return Greeting(least, int(found[2] or least), found[3] or "")
