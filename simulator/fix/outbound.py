"""The sending half of a FIX session: numbering, framing, keeping, and answering a ResendRequest(2).

Rules of this room:
1. Every message composed here takes the next MsgSeqNum(34), except what repeats an old one.
2. Application messages are kept for resending before they are transmitted; session messages never are:
   a resend covers them with a SequenceReset(4) in gap-fill mode.
3. Nothing is written to a socket: transmitted messages lie in `outbox` until the acceptor collects them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.fix.codec import encode, join
from simulator.fix.formats import write_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from simulator.fix.message import Message, Pair, SessionId
    from simulator.fix.store import Memory


class Outbound:
    """Compose what one session sends; `outbox` holds (raw message, is an application message)."""

    def __init__(self, session_id: SessionId, memory: Memory) -> None:
        self._begin_string = session_id.begin_string
        self._sender = f"\x0149={session_id.sender_comp_id}\x0152="
        self._target = f"\x0156={session_id.target_comp_id}\x01"
        self._memory = memory
        self.outbox: list[tuple[bytes, bool]] = []
        self.last_sent: datetime | None = None

    def admin(self, msg_type: str, pairs: Sequence[Pair], now: datetime) -> None:
        """Compose and transmit one session message."""
        body = join(pairs)
        raw = self._frame(msg_type, self._take_number(), "", "", body, now)
        self._transmit(raw, now, is_app=False)

    def application(self, message: Message, now: datetime, *, transmit: bool) -> None:
        """Compose and keep one application message; transmit it if the session is up."""
        body = join(message.body)
        seq_num = self._take_number()
        resend = "97=Y\x01" if message.poss_resend else ""
        raw = self._frame(message.msg_type, seq_num, "", resend, body, now)
        self._memory.keep(seq_num, raw)
        if transmit:
            self._transmit(raw, now, is_app=True)

    def resend(self, begin: int, end: int, now: datetime) -> None:
        """Repeat application messages from `begin` to `end` and fill the gaps between them."""
        cursor = begin
        for seq_num, raw in self._memory.sent:
            if not begin <= seq_num <= end:
                continue
            if seq_num > cursor:
                self._fill(cursor, seq_num, now)
            self._transmit(self._repeat(seq_num, raw, now), now, is_app=True)
            cursor = seq_num + 1
        if cursor <= end:
            self._fill(cursor, end + 1, now)

    def _fill(self, first: int, new_seq_no: int, now: datetime) -> None:
        """SequenceReset(4), GapFillFlag(123)=Y: nothing to repeat lies before NewSeqNo(36)."""
        body = f"36={new_seq_no}\x01123=Y\x01"
        raw = self._frame("4", first, "\x0143=Y", f"122={write_time(now)}\x01", body, now)
        self._transmit(raw, now, is_app=False)

    def _repeat(self, seq_num: int, raw: bytes, now: datetime) -> bytes:
        """Write an old message again: PossDupFlag(43)=Y, its first SendingTime as OrigSendingTime(122)."""
        head, _, rest = raw.decode("latin-1").partition(self._target)
        msg_type = head.split("\x01")[2][3:]
        extra = f"122={head.rpartition('=')[2]}\x01"
        body = rest[:-7]
        if body.startswith("97=Y\x01"):
            extra, body = "97=Y\x01" + extra, body[5:]
        return self._frame(msg_type, seq_num, "\x0143=Y", extra, body, now)

    def _frame(self, msg_type: str, seq_num: int, dup: str, extra: str, body: str, now: datetime) -> bytes:
        header = f"34={seq_num}{dup}{self._sender}{write_time(now)}{self._target}{extra}{body}"
        return encode(self._begin_string, msg_type, header)

    def _take_number(self) -> int:
        seq_num = self._memory.next_out
        self._memory.next_out = seq_num + 1
        return seq_num

    def _transmit(self, raw: bytes, now: datetime, *, is_app: bool) -> None:
        self.outbox.append((raw, is_app))
        self.last_sent = now
