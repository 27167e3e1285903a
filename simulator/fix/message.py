"""One FIX message as the simulator sees it: a message type and its body fields, in order.

Rules of this room:
1. The header and the trailer belong to the session (`session.py`) and the codec (`codec.py`);
   an application reads and writes bodies only.
2. Values are text exactly as on the wire (Latin-1); nothing here knows a field's type.
3. A repeating group is simply its fields in wire order; `groups` cuts it into members.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Pair = tuple[int, str]
_REVERSED = {115: 128, 116: 129, 144: 145, 128: 115, 129: 116, 145: 144}
"""OnBehalfOf...(115, 116, 144) becomes DeliverTo...(128, 129, 145) on the way back, and the reverse."""


@dataclass(frozen=True, slots=True)
class SessionId:
    """Name one FIX session: BeginString(8), our SenderCompID(49) and the peer's TargetCompID(56)."""

    begin_string: str
    sender_comp_id: str
    target_comp_id: str

    def __str__(self) -> str:
        return f"{self.begin_string}:{self.sender_comp_id}->{self.target_comp_id}"


@dataclass(frozen=True, slots=True)
class Message:
    """Carry MsgType(35), the body pairs in wire order, and what an application may read of the header.

    PossDupFlag(43), PossResend(97), the whole message `raw` and its MsgSeqNum(34), 0 when not received.
    """

    msg_type: str
    body: tuple[Pair, ...] = ()
    poss_dup: bool = False
    poss_resend: bool = False
    raw: bytes = field(default=b"", compare=False)
    seq_num: int = field(default=0, compare=False)

    def get(self, tag: int, default: str | None = None) -> str | None:
        """Return the first value of `tag`, or `default` when the message does not carry it."""
        for key, value in self.body:
            if key == tag:
                return value
        return default

    def groups(self, count_tag: int, first_tag: int) -> Iterator[tuple[Pair, ...]]:
        """Yield each member of the repeating group counted by `count_tag` and opened by `first_tag`."""
        member: list[Pair] = []
        inside = False
        for key, value in self.body:
            if key == count_tag:
                inside = True
            elif inside and key == first_tag:
                if member:
                    yield tuple(member)
                member = [(key, value)]
            elif member:
                member.append((key, value))
        if member:
            yield tuple(member)


def message(msg_type: str, pairs: Iterable[tuple[int, object]]) -> Message:
    """Build a message body from pairs, leaving out those whose value is None."""
    return Message(msg_type, tuple((tag, str(value)) for tag, value in pairs if value is not None))


def reversed_route(get: Callable[[int], str | None]) -> list[Pair]:
    """Return the header fields that take an answer back to the firm behind a message; `get` reads a tag."""
    return [(back, value) for tag, back in _REVERSED.items() if (value := get(tag))]
