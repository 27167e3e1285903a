"""The pace: at most so many messages in any second, cancels first.

Rules of this room:
1. TWS counts every message of a client, drops it above its limit, and its library would queue a cancel
   behind orders: so everything takes its turn here, and the library's own throttle is off.
2. Cancels go before questions, those before orders, orders before looking around; the last tenth of the
   limit is kept for the first two.
3. When TWS says that we are too fast (error 100), the limit is halved for a while.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from enum import IntEnum

SECOND_S = 1.0
KEPT_SHARE = 10
SLOWED_FOR_S = 60.0


class Urgency(IntEnum):
    """What goes first."""

    CANCEL = 0
    QUESTION = 1
    ORDER = 2
    LOOK_AROUND = 3


class Window:
    """Let `per_s` messages leave in any second; times in seconds of one steady clock."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._sent: deque[float] = deque()
        self._slow_until = 0.0

    def limit(self, urgency: Urgency, now: float) -> int:
        """Return how many messages of an urgency may leave in a second."""
        allowed = self._per_s if now >= self._slow_until else max(1, self._per_s // 2)
        kept = max(1, allowed // KEPT_SHARE) if urgency >= Urgency.ORDER else 0
        return max(1, allowed - kept)

    def wait_s(self, urgency: Urgency, now: float) -> float:
        """Say how long a message must wait, 0 when it may leave now."""
        while self._sent and now - self._sent[0] >= SECOND_S:
            self._sent.popleft()
        too_many = len(self._sent) - self.limit(urgency, now) + 1
        return 0.0 if too_many <= 0 else self._sent[too_many - 1] + SECOND_S - now

    def count(self, now: float) -> None:
        """Count one that leaves."""
        self._sent.append(now)

    def slow_down(self, now: float) -> None:
        """Halve the limit for a while."""
        self._slow_until = now + SLOWED_FOR_S


class Pace:
    """Give turns on the running loop."""

    def __init__(self, per_s: int) -> None:
        self._window = Window(per_s)
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._number = 0
        self._wake: asyncio.TimerHandle | None = None

    async def turn(self, urgency: Urgency) -> None:
        """Wait until one message of this urgency may leave; it then counts as sent."""
        loop = asyncio.get_running_loop()
        if not self._waiting and not self._window.wait_s(urgency, loop.time()):
            self._window.count(loop.time())
            return
        self._number += 1
        mine = loop.create_future()
        heapq.heappush(self._waiting, (urgency, self._number, mine))
        self._next()
        await mine

    def slow_down(self) -> None:
        """Halve the limit for a while: TWS says that we are too fast."""
        self._window.slow_down(asyncio.get_running_loop().time())

    def close(self) -> None:
        """Give no further turns."""
        if self._wake is not None:
            self._wake.cancel()
        for _, _, waiter in self._waiting:
            waiter.cancel()

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            urgency, _, waiter = self._waiting[0]
            if waiter.done():
                heapq.heappop(self._waiting)
                continue
            wait_s = self._window.wait_s(urgency, loop.time())
            if wait_s > 0:
                if self._wake is not None:
                    self._wake.cancel()
                self._wake = loop.call_later(wait_s, self._next)
                return
            heapq.heappop(self._waiting)
            self._window.count(loop.time())
            waiter.set_result(None)
