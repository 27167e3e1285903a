"""The pace: a bucket of messages for everybody who speaks to one TWS, cancels first.

Rules of this room:
1. TWS counts every message, drops a client above its limit, and its library would queue a cancel behind
   orders: so everything takes its turn here, and the library's own throttle is off.
2. A bucket of B that fills at R lets B + R through in one second. So B is a tenth of the limit and R eight
   tenths: no second holds more than the limit, not even where the network bunches an eighth of a second more.
3. Cancels go before questions, those before orders, orders before looking around; the last two fifths of
   the bucket are kept for the first two.
4. When TWS says that we are too fast (error 100), the bucket and its filling are halved for a while.
"""

from __future__ import annotations

import asyncio
import heapq
from enum import IntEnum

BUCKET, FILLING = 10, 0.8
"""The bucket is the limit's tenth part; so much of the limit flows in each second."""
KEPT = 0.4
SLOWED_FOR_S = 60.0
NEARLY = 1e-9
"""A message may leave that much early: times are floats."""


class Urgency(IntEnum):
    """What goes first."""

    CANCEL = 0
    QUESTION = 1
    ORDER = 2
    LOOK_AROUND = 3


class Bucket:
    """Let at most `per_s` messages leave in any second; times in seconds of one steady clock."""

    def __init__(self, per_s: int) -> None:
        self._size = float(max(1, per_s // BUCKET))
        self._rate = FILLING * per_s
        self._slow_until = 0.0
        self._left = self._size
        self._at = 0.0

    def size(self, now: float) -> float:
        """Return how many messages may leave at once, at most."""
        return max(1.0, self._size / 2) if now < self._slow_until else self._size

    def rate(self, now: float) -> float:
        """Return how many messages flow in each second."""
        return self._rate / 2 if now < self._slow_until else self._rate

    def left(self, now: float) -> float:
        """Return how many messages are in it."""
        slow_s = max(0.0, min(now, self._slow_until) - self._at)
        flowed = (max(0.0, now - self._at) - slow_s / 2) * self._rate
        return min(self._left + flowed, self.size(now))

    def wait_s(self, urgency: Urgency, now: float) -> float:
        """Say how long a message must wait, 0 when it may leave now."""
        kept = int(self.size(now) * KEPT) if urgency >= Urgency.ORDER else 0
        missing = 1 + kept - self.left(now)
        return 0.0 if missing <= NEARLY else missing / self.rate(now)

    def take(self, now: float) -> None:
        """Take one out for a message that leaves."""
        self._left, self._at = self.left(now) - 1, now

    def slow_down(self, now: float) -> None:
        """Halve everything for a while."""
        self._left, self._at = self.left(now), now
        self._slow_until = now + SLOWED_FOR_S


class Pace:
    """Give turns on the running loop."""

    def __init__(self, per_s: int) -> None:
        self._bucket = Bucket(per_s)
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._number = 0
        self._wake: asyncio.TimerHandle | None = None

    async def turn(self, urgency: Urgency) -> None:
        """Wait until one message of this urgency may leave; it then counts as sent."""
        loop = asyncio.get_running_loop()
        self._number += 1
        mine = loop.create_future()
        heapq.heappush(self._waiting, (urgency, self._number, mine))
        self._next()
        await mine

    def slow_down(self) -> None:
        """Halve the limit for a while: TWS says that we are too fast."""
        self._bucket.slow_down(asyncio.get_running_loop().time())

    # The inside.

    def _next(self) -> None:
        """Give turns, the most urgent first, and come back when the next one is due."""
        loop = asyncio.get_running_loop()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        while self._waiting:
            urgency, _, waiter = self._waiting[0]
            if not waiter.done():  # whoever waited may have been cancelled
                wait_s = self._bucket.wait_s(urgency, loop.time())
                if wait_s > 0:
                    self._wake = loop.call_later(wait_s, self._next)
                    return
                self._bucket.take(loop.time())
                waiter.set_result(None)
            heapq.heappop(self._waiting)
