"""Drop copies: read-only sessions that are told every execution report the venue sends to the others.

Rules of this room:
1. A copy is a message of its own session, numbered, kept and sent again like any other; it is in no record.
2. What a drop copy session asks for is refused: it may not trade.
3. `hide` and `invent` make the copy lie, for clients that should notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.fix.application import Outgoing
from simulator.fix.message import Message, message
from simulator.orders import MAX_NUMBER, Side

if TYPE_CHECKING:
    from simulator.fix.message import SessionId

_EXEC_TYPE, _TRADES = 150, frozenset({"F", "1", "2", "G", "H"})
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class DropCopies:
    """Copy reports to `sessions`."""

    def __init__(self, sessions: Sequence[SessionId] = ()) -> None:
        self._sessions = tuple(sessions)
        self._hidden = 0
        self._invented = 0

    def __contains__(self, session: SessionId) -> bool:
        return session in self._sessions

    def copied(self, begin_string: str, said: Message) -> list[Outgoing]:
        """Return the copies of one report, in the version it was said in."""
        if said.msg_type != "8" or not self._sessions:
            return []
        if self._hidden and said.get(_EXEC_TYPE) in _TRADES:
            self._hidden -= 1
            return []
        return [Outgoing(one, said) for one in self._sessions if one.begin_string == begin_string]

    def hide(self, count: int) -> None:
        """Leave out the next executions."""
        self._hidden = count

    def invent(self, symbol: str, side: str, qty: Decimal, px: Decimal, now: datetime) -> list[Outgoing]:
        """Copy an execution that never was; ValueError names the argument that cannot be."""
        if side not in _SIDES:
            raise ValueError(f"side is {side!r}; give buy or sell")
        if not 0 < qty <= MAX_NUMBER or not 0 < px <= MAX_NUMBER:
            raise ValueError("qty and price lie above 0")
        self._invented += 1
        name = f"INVENTED{self._invented}"
        pairs: list[tuple[int, object]] = [
            (6, px), (11, name), (14, qty), (17, name), (31, px), (32, qty), (37, name), (38, qty), (39, "2"),
            (40, "1"), (54, _SIDES[side]), (55, symbol), (60, f"{now:%Y%m%d-%H:%M:%S}"), (150, "F"), (151, 0),
        ]  # fmt: skip
        return [Outgoing(one, message("8", pairs)) for one in self._sessions]
