"""FIX framing: bytes to frames and fields to bytes, knowing nothing of sessions or of dictionaries.

Rules of this room:
1. A message is `8=FIX...|9=<length>|35=<type>|...|10=<three digits>|`; anything else is garbled, and garbled
   bytes are skipped up to the next `8=FIX` without ever raising.
2. Values are Latin-1 text exactly as on the wire; a data field (`RawData(96)` and its kin) is cut by its
   length field, because it may contain the delimiter.
3. Memory is bounded: a message longer than `MAX_MESSAGE_BYTES` is garbled by definition.
4. What we compose is written in ascending tag order after the three fields the standard fixes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.fix.message import Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

SOH = "\x01"
MAX_MESSAGE_BYTES = 1 << 20
DATA_FIELDS = {
    90: 91, 93: 89, 95: 96, 212: 213, 348: 349, 350: 351, 352: 353, 354: 355, 356: 357, 358: 359,
    360: 361, 362: 363, 364: 365, 445: 446, 618: 619, 621: 622,
}  # fmt: skip
_DATA_TAGS = frozenset(DATA_FIELDS.values())
_START = b"8=FIX"
_HEAD = re.compile(rb"8=(FIX[^\x01]{1,12})\x019=(\d{1,7})\x0135=([^\x01]*)\x01")
_HEAD_BYTES = 64
_TRAILER = re.compile(rb"\x0110=(\d\d\d)\x01")
_TRAILER_BYTES = 7
_TAG = re.compile(r"[1-9]\d{0,8}", re.ASCII)
_MAX_KNOWN_TAGS = 20_000


class _Tags(dict[str, int]):
    """Turn tag text into its number once; text that is no tag becomes 0."""

    def __missing__(self, text: str) -> int:
        number = int(text) if _TAG.fullmatch(text) else 0
        if number and len(self) < _MAX_KNOWN_TAGS:
            self[text] = number
        return number


_TAGS = _Tags()


@dataclass(slots=True)
class Frame:
    """Hold one well-framed message: BeginString(8), MsgType(35), every pair in wire order, and the raw bytes.

    `fields` maps each tag to its last value. `flaw` is the tag whose value holds a delimiter, 0 for a
    tag that is not a number, None when the text is sound. `body_start` is filled in by the validator.
    """

    begin_string: str
    msg_type: str
    pairs: list[Pair]
    fields: dict[int, str]
    raw: bytes
    flaw: int | None = None
    body_start: int = 0


def checksum(data: bytes) -> int:
    """CheckSum(10): the sum of every byte before it, modulo 256."""
    return sum(data) & 255


def encode(begin_string: str, msg_type: str, fields: str) -> bytes:
    """Frame already joined `fields` (`34=1|49=...|`) with BeginString(8), BodyLength(9) and CheckSum(10)."""
    content = f"35={msg_type}\x01{fields}".encode("latin-1")
    raw = b"8=%b\x019=%d\x01%b" % (begin_string.encode("latin-1"), len(content), content)
    return b"%b10=%03d\x01" % (raw, sum(raw) & 255)


def join(pairs: Sequence[Pair]) -> str:
    """Write pairs as `tag=value` text, refusing a value that would forge another field."""
    text = "".join([f"{tag}={value}\x01" for tag, value in pairs])
    if text.count(SOH) != len(pairs):
        _refuse_forgery(pairs)
    return text


def _refuse_forgery(pairs: Sequence[Pair]) -> None:
    for tag, value in pairs:
        if SOH in value and tag not in _DATA_TAGS:
            raise ValueError(f"the value of tag {tag} contains the field delimiter")


def parse(raw: bytes, begin_string: str, msg_type: str) -> Frame:
    """Cut one framed message into its pairs."""
    text = raw.decode("latin-1")
    tags = _TAGS
    cut = [part.partition("=") for part in text[:-1].split(SOH)]
    pairs = [(tags[tag], value) for tag, _, value in cut]
    fields = dict(pairs)
    flaw = None
    if not DATA_FIELDS.keys().isdisjoint(fields):
        cut, pairs = _parse_with_data(text)
        fields = dict(pairs)
    if 0 in fields or "" in fields.values():
        flaw = _flaw(cut)
    return Frame(begin_string, msg_type, pairs, fields, raw, flaw)


def _flaw(cut: Sequence[tuple[str, str, str]]) -> int | None:
    """Name the tag before a piece without `=`, 0 for a field whose tag is no number, None if all is well."""
    before = 0
    for tag, equals, _ in cut:
        number = _TAGS[tag]
        if not equals:
            return before
        if not number:
            return 0
        before = number
    return None


def _parse_with_data(text: str) -> tuple[list[tuple[str, str, str]], list[Pair]]:
    """Cut a message in which some fields announce the length of the next."""
    cut: list[tuple[str, str, str]] = []
    position, end = 0, len(text)
    awaited, length = "", 0
    while position < end:
        stop = -1
        if awaited and text.startswith(awaited, position):
            stop = position + len(awaited) + length
            stop = stop if text[stop : stop + 1] == SOH else -1
        if stop < 0:
            stop = text.index(SOH, position)
        piece = text[position:stop].partition("=")
        cut.append(piece)
        position = stop + 1
        data_tag = DATA_FIELDS.get(_TAGS[piece[0]], 0)
        awaited = f"{data_tag}=" if data_tag and piece[2].isdecimal() else ""
        length = int(piece[2][:9]) if awaited else 0
    return cut, [(_TAGS[tag], value) for tag, _, value in cut]


class Decoder:
    """Collect bytes as they arrive and yield whole frames.

    `garbled` counts what was skipped; `garbled_first` says that something was skipped before any frame.
    """

    __slots__ = ("_buffer", "_has_decoded", "garbled", "garbled_first")

    def __init__(self) -> None:
        self._buffer = b""
        self._has_decoded = False
        self.garbled = 0
        self.garbled_first = False

    def feed(self, data: bytes) -> list[Frame]:
        """Add received bytes and return every message completed by them."""
        buffer = self._buffer + data if self._buffer else data
        frames: list[Frame] = []
        position, end = 0, len(buffer)
        while position < end:
            head = _HEAD.match(buffer, position)
            stop = self._end_of(buffer, position, head)
            if stop is None:
                break
            if stop < 0 or head is None:
                position = self._skip(buffer, position)
                continue
            raw = buffer[position:stop]
            if sum(raw[:-_TRAILER_BYTES]) & 255 == int(raw[-4:-1]):
                frames.append(parse(raw, head[1].decode("latin-1"), head[3].decode("latin-1")))
                self._has_decoded = True
            else:
                self._count_garbled()
            position = stop
        self._buffer = buffer[position:]
        return frames

    @staticmethod
    def _end_of(buffer: bytes, start: int, head: re.Match[bytes] | None) -> int | None:
        """Return where the message ends, None when more bytes are needed, -1 when it is garbled."""
        if head is None:
            return None if _may_become_head(buffer[start : start + _HEAD_BYTES]) else -1
        stop = head.end(2) + 1 + int(head[2]) + _TRAILER_BYTES
        if stop - start > MAX_MESSAGE_BYTES:
            return -1
        if stop > len(buffer):
            return -1 if _ended_early(buffer, start) else None
        trailer = _TRAILER.match(buffer, stop - _TRAILER_BYTES - 1)
        return stop if trailer is not None else -1

    def _count_garbled(self) -> None:
        self.garbled += 1
        self.garbled_first = self.garbled_first or not self._has_decoded

    def _skip(self, buffer: bytes, start: int) -> int:
        """Count a garbled stretch and return where the next message may begin."""
        self._count_garbled()
        position = buffer.find(_START, start + 1)
        if position >= 0:
            return position
        for kept in range(min(len(_START) - 1, len(buffer) - start - 1), 0, -1):
            if _START.startswith(buffer[-kept:]):
                return len(buffer) - kept
        return len(buffer)


def _may_become_head(data: bytes) -> bool:
    """Tell whether these bytes may be the beginning of a message whose first three fields are incomplete."""
    if len(data) >= _HEAD_BYTES or data.count(b"\x01") > 2:  # noqa: PLR2004 - the three fields the standard fixes
        return False
    starts = (b"8=FIX", b"9=", b"35=")
    for piece, start in zip(data.split(b"\x01"), starts, strict=False):
        if not (piece.startswith(start) or start.startswith(piece)):
            return False
    return True


def _ended_early(buffer: bytes, start: int) -> bool:
    """Tell whether a whole message with a good CheckSum(10) ends before its BodyLength(9) says so."""
    trailer = _TRAILER.search(buffer, start)
    while trailer is not None:
        after = buffer[trailer.end() : trailer.end() + len(_START)]
        if _START.startswith(after) and sum(buffer[start : trailer.start() + 1]) & 255 == int(trailer[1]):
            return True
        trailer = _TRAILER.search(buffer, trailer.end() - 1)
    return False
