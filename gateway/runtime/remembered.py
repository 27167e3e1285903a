"""What a link must not forget, in the household's own Redis beside the journal.

Rules of this room:
1. A write comes back when it is on disk, however long Redis is away: what depends on it waits.
2. It is a hash of plain words, written by the lease's holder only, and never the truth about an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from redis.asyncio import Redis

from gateway.runtime.keys import Keys
from gateway.runtime.store import Patience


class RedisRemembered:
    """Remember the words of one link."""

    def __init__(self, client: Redis, keys: Keys, link: str) -> None:
        self._client = client
        self._key = keys.remembered(link)
        self._patience = Patience()

    async def read(self) -> dict[str, str]:
        """Return everything, by name."""
        found: dict[Any, Any] = await self._patience(partial(self._client.hgetall, self._key))
        return {name.decode(): word.decode() for name, word in found.items()}

    async def write(self, changes: Mapping[str, str]) -> None:
        """Keep these words in one step; an empty word is forgotten."""
        kept: dict[Any, Any] = {name: word for name, word in changes.items() if word}
        gone = [name for name, word in changes.items() if not word]

        async def once() -> None:
            async with self._client.pipeline(transaction=True) as pipe:
                if kept:
                    pipe.hset(self._key, mapping=kept)
                if gone:
                    pipe.hdel(self._key, *gone)
                await pipe.execute()

        await self._patience(once)
