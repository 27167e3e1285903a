"""FIX framing: bytes to frames and fields to bytes, knowing nothing of sessions or of dictionaries.

Rules of this room:
1. A message is `8=FIX...|9=<length>|35=<type>|...|10=<three digits>|`, every tag a number; anything else is
   garbled, and garbled bytes are skipped up to the next `8=FIX` without ever raising.
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
_TRAILER_START = b"\x0110="
_TRAILER_BYTES = 7
_NUMBER = re.compile(r"-?\d{1,20}", re.ASCII)
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
    number that is no tag number (`bad_tag` says which; None: it is no number at all, and the message is
    garbled), None when the text is sound. `body_start` is filled in by the validator.
    """

    begin_string: str
    msg_type: str
    pairs: list[Pair]
    fields: dict[int, str]
    raw: bytes
    flaw: int | None = None
    bad_tag: int | None = None
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
    bad_tag = _bad_tag(cut) if flaw == 0 else None
    return Frame(begin_string, msg_type, pairs, fields, raw, flaw, bad_tag)


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


def _bad_tag(cut: Sequence[tuple[str, str, str]]) -> int | None:
    """Return the first tag that is a number but no tag number (0, -1), None when it is no number either."""
    text = next(tag for tag, _, _ in cut if not _TAGS[tag])
    return int(text) if _NUMBER.fullmatch(text) else None


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
            found = self._end_of(buffer, position, head)
            if found is None:
                break
            stop, is_true = found
            if stop < 0 or head is None:
                position = self._skip(buffer, position)
                continue
            raw = buffer[position:stop]
            frame = _checked(raw, head) if is_true else None
            if frame is not None:
                frames.append(frame)
                self._has_decoded = True
            else:
                self._count_garbled()
                stop = _next_start(raw, position, stop)
            position = stop
        self._buffer = buffer[position:]
        return frames

    @staticmethod
    def _end_of(buffer: bytes, start: int, head: re.Match[bytes] | None) -> tuple[int, bool] | None:
        """Return where the message ends and whether its BodyLength(9) is true; None: more bytes are needed.

        A message ends with the first CheckSum(10) at or behind where BodyLength(9) says; one that says
        too much takes the next message down with it. An end of -1 means that there is no message here.
        """
        if head is None:
            return None if _may_become_head(buffer[start : start + _HEAD_BYTES]) else (-1, False)
        body_end = head.end(2) + 1 + int(head[2])
        trailer = buffer.find(_TRAILER_START, body_end - 1) if body_end <= len(buffer) else -1
        stop = buffer.find(b"\x01", trailer + len(_TRAILER_START)) + 1 if trailer >= 0 else 0
        if (stop or len(buffer)) - start > MAX_MESSAGE_BYTES or body_end - start > MAX_MESSAGE_BYTES:
            return -1, False
        if not stop:
            return None
        return stop, trailer == body_end - 1 and stop - trailer == _TRAILER_BYTES + 1

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


def _checked(raw: bytes, head: re.Match[bytes]) -> Frame | None:
    """Parse a message of true length; None when its CheckSum(10) is wrong or a tag of it is no number."""
    if not raw[-4:-1].isdigit() or sum(raw[:-_TRAILER_BYTES]) & 255 != int(raw[-4:-1]):
        return None
    frame = parse(raw, head[1].decode("latin-1"), head[3].decode("latin-1"))
    return None if frame.flaw == 0 and frame.bad_tag is None else frame


def _may_become_head(data: bytes) -> bool:
    """Tell whether these bytes may be the beginning of a message whose first three fields are incomplete."""
    if len(data) >= _HEAD_BYTES or data.count(b"\x01") > 2:  # noqa: PLR2004 - the three fields the standard fixes
        return False
    starts = (b"8=FIX", b"9=", b"35=")
    for piece, start in zip(data.split(b"\x01"), starts, strict=False):
        if not (piece.startswith(start) or start.startswith(piece)):
            return False
    return True


def _next_start(garbled: bytes, start: int, stop: int) -> int:
    """Return where to read on: behind a garbled message, or at the one that begins inside a cut-off one."""
    inner = garbled.find(_START, 1)
    return start + inner if 0 <= inner < garbled.find(_TRAILER_START) else stop
