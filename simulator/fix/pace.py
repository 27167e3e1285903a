"""How much a venue takes: orders a second, connections a minute, open positions.

Rules of this room:
1. Pure: the time is an argument. What was refused is in the store's record, not worked out again.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.accounts import Accounts

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Window:
    """Let `limit` things happen within every `span`; 0 lets all."""

    def __init__(self, limit: int, span: timedelta) -> None:
        self._limit = limit
        self._span = span
        self._times: deque[datetime] = deque()

    def admits(self, now: datetime) -> bool:
        """Count one more, and say whether it is within the limit."""
        if not self._limit:
            return True
        while self._times and now - self._times[0] >= self._span:
            self._times.popleft()
        if len(self._times) >= self._limit:
            return False
        self._times.append(now)
        return True


class Pace:
    """Refuse orders that come too fast."""

    def __init__(self, orders_per_s: int) -> None:
        self._limit = orders_per_s
        self._window = Window(orders_per_s, SECOND)

    def refusal(self, msg_type: str, now: datetime) -> str:
        """Say why a request is refused for its speed, empty when it is not."""
        if msg_type != "D" or self._window.admits(now):
            return ""
        return f"more than {self._limit} orders a second"


def crowded(accounts: Accounts, account: str, symbol: str, limit: int) -> str:
    """Say why an order would open one position too many, empty when it does not; a `limit` of 0 is none."""
    held = accounts.open_positions(account) if limit else set()
    return f"more than {limit} open positions" if len(held) >= limit > 0 and symbol not in held else ""
