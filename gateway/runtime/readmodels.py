"""Read models and news: what others may see. Never waited for by the journal.

Rules of this room:
1. `project` and `publish` only remember; one task writes, on its own connection, when it can.
2. A read model written twice before it left is written once: the later value wins.
3. A batch is numbered within its epoch and written once, however often it is sent (`publish.lua`); a
   gateway that lost its lease can no longer overwrite what its successor shows.
4. Everything waiting is bounded; what overflows is counted and said, the journal still has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.runtime.connect import GONE, lua
from gateway.runtime.keys import Keys
from gateway.runtime.wire import encode_json

log = logging.getLogger(__name__)

NEWS_KEPT: Final = 100_000
WAITING_NEWS: Final = 10_000
BATCH: Final = 500
PAUSE_S: Final = 0.5
_NewsItem = Mapping[str, object]


class ReadModels:
    """Write read models and news of one household in the background."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        epoch: int,
        *,
        news_kept: int = NEWS_KEPT,
        waiting_news: int = WAITING_NEWS,
        every_s: float = 0.01,
    ) -> None:
        self._script = client.register_script(lua("publish"))
        self._fixed_keys = [keys.news, keys.published]
        self._epoch = epoch
        self._news_kept = news_kept
        self._every_s = every_s
        self._values: dict[str, tuple[object, int]] = {}
        self._news: deque[bytes] = deque()
        self._waiting_news = waiting_news
        self._sending: tuple[list[str], list[str | bytes]] | None = None
        self._batch = 0
        self._wake = asyncio.Event()
        self._one_writer = asyncio.Lock()
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Return how many read models and pieces of news have not left yet."""
        return len(self._values) + len(self._news) + (self._sending is not None)

    def project(self, values: Mapping[str, object], keep_s: int = 0) -> None:
        """Show `values` under their keys for `keep_s` seconds (0: for ever).

        A value is bytes of JSON, a plain value to be encoded, or a function that returns one: it is
        called when the value leaves, so that a book is encoded once for many events.
        """
        for key, value in values.items():
            self._values[key] = (value, keep_s)
        self._wake.set()

    def publish(self, news: Iterable[_NewsItem]) -> None:
        """Put each dict on the news stream as JSON, in order, once."""
        for item in news:
            if len(self._news) >= self._waiting_news:
                self._news.popleft()
                self.dropped += 1
                if self.dropped == 1:
                    log.error("news overflow: Redis is away too long; the oldest are dropped")
            self._news.append(encode_json(item))
        self._wake.set()

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._every_s)
            await self._write_all()

    async def flush(self, timeout_s: float = 2.0) -> bool:
        """Write everything that waits now; False when Redis took longer than `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._write_all()
        return self.waiting == 0

    async def _write_all(self) -> None:
        """Send batch after batch; a batch that failed is sent again as it was."""
        async with self._one_writer:
            self._wake.clear()
            while self._sending or self._values or self._news:
                if self._sending is None:
                    self._sending = self._next_batch()
                try:
                    await self._script(*self._sending)
                except (*GONE, ResponseError) as error:
                    log.warning("read models wait for Redis (%s)", type(error).__name__)
                    await asyncio.sleep(PAUSE_S)
                    continue
                self._sending = None

    def _next_batch(self) -> tuple[list[str], list[str | bytes]]:
        """Take read models first and news behind them, so that news never runs ahead of what it tells."""
        self._batch += 1
        keys = list(self._fixed_keys)
        args: list[str | bytes] = [str(self._epoch), str(self._batch), str(self._news_kept)]
        for key in list(islice(self._values, BATCH)):
            value, keep_s = self._values.pop(key)
            keys.append(key)
            args += (_json(value), str(keep_s))
        if not self._values:
            args += [self._news.popleft() for _ in range(min(BATCH, len(self._news)))]
        return keys, args


def _json(value: object | Callable[[], object]) -> bytes:
    """Encode a value, calling it first when it is a function."""
    if callable(value):
        value = value()
    return value if isinstance(value, bytes) else encode_json(value)
