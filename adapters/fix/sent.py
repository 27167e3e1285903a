"""What left under which number: how a venue that cannot be asked is known to have received an order.

A FIX session counts. An order whose MsgSeqNum(34) the venue counts as received did arrive; one whose
number it asks for again (ResendRequest(2)) did not, and never will: we fill that gap, we do not repeat it.

Rules of this room:
1. A line is written before its message can leave; the file outlives the process, and a torn last line is cut.
2. What is not known is not said: an order of an older count of numbers gets no answer.
3. The file holds the last `MOST` lines at least; once lines were dropped, absence from it means nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

MOST = 200_000
NEVER_SENT = "it was never sent"
NEVER_RECEIVED = "the venue never received it: its number was asked for again"
_CUT = "cut"


class SentLog:
    """Remember orders by ClOrdID(11) and number; the only writer of its file."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._period = 0
        self._sent: dict[str, tuple[int, int]] = {}
        self._owner: dict[int, str] = {}
        self._lost: set[str] = set()
        self._is_whole = True
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole, _, _ = text.rpartition("\n")
        lines = whole.split("\n") if whole else []
        if len(lines) > most:
            lines = [_CUT, *lines[-most // 2 :]]
        for line in lines:
            self._read(line)
        kept = "".join(f"{line}\n" for line in lines)
        if kept != text:
            new = path.with_suffix(".new")
            new.write_text(kept, encoding="utf-8")
            new.replace(path)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def sent(self, cl_ord_id: str, seq: int) -> None:
        """Note that an order is about to leave as message number `seq`."""
        self._write(f"sent {seq} {cl_ord_id}")

    def begin_again(self) -> None:
        """Note that numbers began at 1 again."""
        self._write("reset")

    def lost(self, first: int, last: int = 0) -> list[str]:
        """Note that messages `first` to `last` (0: to the latest) never arrived; return their orders."""
        gone = [
            one for seq, one in self._owner.items() if first <= seq and (not last or seq <= last)
        ]  # fmt: skip
        for one in gone:
            self._write(f"lost {one}")
        return gone

    def why_unsent(self, cl_ord_id: str) -> str:
        """Say why an order certainly is not at the venue; empty when it may be."""
        if cl_ord_id in self._lost:
            return NEVER_RECEIVED
        if cl_ord_id not in self._sent:
            return NEVER_SENT if self._is_whole else ""
        period, seq = self._sent[cl_ord_id]
        is_overtaken = period == self._period and self._owner.get(seq) != cl_ord_id
        return NEVER_SENT if is_overtaken else ""

    def _write(self, line: str) -> None:
        os.write(self._fd, f"{line}\n".encode())
        self._read(line)

    def _read(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "sent":
            seq, _, cl_ord_id = rest.partition(" ")
            self._sent[cl_ord_id] = (self._period, int(seq))
            self._owner[int(seq)] = cl_ord_id
            self._lost.discard(cl_ord_id)
        elif word == "lost":
            self._lost.add(rest)
            self._owner.pop(self._sent[rest][1], None)
        elif word == "reset":
            self._period += 1
            self._owner.clear()
        elif word == _CUT:
            self._is_whole = False
