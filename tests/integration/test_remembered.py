"""What a link must not forget, in a real Redis: kept over processes, forgotten when told."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from gateway.runtime.keys import Keys
from gateway.runtime.remembered import RedisRemembered


async def test_words_outlive_the_process_and_empty_ones_are_forgotten(redis_client: Redis) -> None:
    keys = Keys("h1")
    first = RedisRemembered(redis_client, keys, "ib")
    assert await first.read() == {}
    await first.write({"highest_id": "7", "order:A": "7|2026-03-02T15:00:00+00:00"})
    await RedisRemembered(redis_client, keys, "other").write({"highest_id": "1"})
    again = RedisRemembered(redis_client, keys, "ib")
    assert await again.read() == {"highest_id": "7", "order:A": "7|2026-03-02T15:00:00+00:00"}
    await again.write({"order:A": "", "highest_id": "8"})
    assert await first.read() == {"highest_id": "8"}
    await again.write({"highest_id": ""})
    assert await first.read() == {}
    assert await asyncio.gather(again.write({"a": "1"}), again.write({"b": "2"})) == [None, None]
