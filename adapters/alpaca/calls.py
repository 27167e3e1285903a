"""Turns at the venue: how many requests run at once, which goes first, and how many a minute.

Rules of this room:
1. The event loop never waits for a socket: requests run in threads of their own, `WORKERS` at most.
2. Cancels go before look-ups, those before orders, orders before looking around; the last tenth of the
   venue's rate is kept for the first two.
3. A rate the venue states (its headers, a 429) is believed over our own count: others use the keys, too. What
   it says is left is left for the urgent first, until the reset it names.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from functools import partial
from typing import Any

from adapters.alpaca.client import Answer, RestClient

WORKERS = 4
MINUTE_S = 60.0
KEPT_SHARE = 10
TOO_MANY = 429
MAX_CLOSED_S = 60.0
MIN_CLOSED_S = 0.25

Ask = Callable[..., Awaitable[Answer]]


class Urgency(IntEnum):
    """What goes first."""

    CANCEL = 0
    LOOK_UP = 1
    ORDER = 2
    LOOK_AROUND = 3


class Window:
    """Let `per_min` requests leave in any sixty seconds; times in seconds of one steady clock."""

    def __init__(self, per_min: int) -> None:
        self._per_min = per_min
        self._sent: deque[float] = deque()
        self._closed_until = 0.0
        self._left: int | None = None
        self._left_until = 0.0
        self._reset = 0.0

    def wait_s(self, urgency: Urgency, now: float) -> float:
        """Say how long a request must wait, 0 when it may leave now."""
        if now < self._closed_until:
            return self._closed_until - now
        while self._sent and now - self._sent[0] >= MINUTE_S:
            self._sent.popleft()
        kept = max(1, self._per_min // KEPT_SHARE) if urgency >= Urgency.ORDER else 0
        if self._left is not None and now < self._left_until and self._left <= kept:
            return self._left_until - now
        too_many = len(self._sent) - (self._per_min - kept) + 1
        return 0.0 if too_many <= 0 else self._sent[too_many - 1] + MINUTE_S - now

    def count(self, now: float) -> None:
        """Count one that leaves."""
        self._sent.append(now)
        if self._left is not None:
            self._left -= 1

    def believe(self, limit: int, left: int, reset: float, in_s: float, now: float) -> None:
        """Take the venue's own word: `left` of `limit` may come before `reset`, which is `in_s` away.

        Answers may overtake each other: of one reset the lowest figure counts.
        """
        self._per_min = min(self._per_min, max(limit, 1))
        if reset == self._reset and self._left is not None:
            left = min(left, self._left)
        self._reset, self._left = reset, left
        self._left_until = now + min(max(in_s, 0.0), MAX_CLOSED_S)

    def close(self, for_s: float, now: float) -> None:
        """Let nothing leave for that long."""
        self._closed_until = now + min(max(for_s, MIN_CLOSED_S), MAX_CLOSED_S)


class Calls:
    """Give turns; `unix_time` reads the wall clock, in which the venue states its resets."""

    def __init__(self, client: RestClient, per_min: int, unix_time: Callable[[], float]) -> None:
        self._client = client
        self._window = Window(per_min)
        self._unix_time = unix_time
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="alpaca")
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._number = 0
        self._busy = 0
        self._wake: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def turn(self, urgency: Urgency) -> AsyncIterator[Ask]:
        """Wait for a turn, then hand over what asks: `ask(method, path, data)`, once."""
        self._number += 1
        mine = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, self._number, mine))
        self._next()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._leave()
            raise
        try:
            yield self._ask
        finally:
            self._leave()

    async def ask(
        self, urgency: Urgency, method: str, path: str, data: Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask something that may be asked twice, as often as the venue says that it was too often."""
        while True:
            async with self.turn(urgency) as ask:
                answer = await ask(method, path, data)
            if answer.status != TOO_MANY:
                return answer

    def close(self) -> None:
        """End the threads; what is under way in one is waited for by nobody."""
        if self._wake is not None:
            self._wake.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def _ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Answer:
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._pool, partial(self._client.ask, method, path, data))
        self._heed(answer, loop.time())
        return answer

    def _heed(self, answer: Answer, now: float) -> None:
        """Take what the venue says about its rate."""
        limit, left, reset = (
            int(said) if (said := answer.headers.get(f"X-RateLimit-{name}", "")).isdecimal() else None
            for name in ("Limit", "Remaining", "Reset")
        )
        in_s = 1.0 if reset is None else reset - self._unix_time()
        if answer.status == TOO_MANY or left == 0:
            self._window.close(in_s, now)
        elif limit is not None and left is not None and reset is not None:
            self._window.believe(limit, left, reset, in_s, now)

    def _leave(self) -> None:
        self._busy -= 1
        self._next()

    def _next(self) -> None:
        """Give turns to whoever may go now; come back when the window lets the next one go."""
        loop = asyncio.get_running_loop()
        while self._waiting and self._busy < WORKERS:
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
            self._busy += 1
            waiter.set_result(None)
