from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.client import GatewayClient
from gateway.events import TimerFired
from gateway.runtime import readmodels
from gateway.runtime.clock import SystemClock
from gateway.runtime.connect import view_client
from gateway.runtime.keys import Keys
from gateway.runtime.lease import Lease
from gateway.runtime.readmodels import ReadModels
from gateway.runtime.store import Journal
from gateway.runtime.streams import Intake

README = Path(readmodels.__file__).with_name("README.md")
AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


async def news(client: Redis, keys: Keys) -> list[bytes]:
    rows: Any = await client.xrange(keys.news)
    return [row[b"d"] for _, row in rows]


async def test_the_later_value_wins_and_news_come_behind_what_they_tell(
    redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readmodels, "BATCH", 2)
    models = ReadModels(redis_client, keys, 1)
    models.project({keys.book: {"n": 1}, keys.status: b"{}"})
    models.project({keys.book: lambda: {"n": 2}, keys.order("c"): {"n": 3}}, keep_s=50)
    models.publish([{"n": n} for n in range(3)])
    assert models.waiting == 6
    assert await models.flush()
    assert models.waiting == 0
    assert await redis_client.mget(keys.book, keys.status, keys.order("c")) == [b'{"n":2}', b"{}", b'{"n":3}']
    assert await redis_client.ttl(keys.status) == -1
    assert 0 < await redis_client.ttl(keys.order("c")) <= 50
    assert await news(redis_client, keys) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


async def test_a_gateway_of_yesterday_shows_nothing_any_more(redis_client: Redis, keys: Keys) -> None:
    for epoch, text in ((2, b"new"), (1, b"old")):
        models = ReadModels(redis_client, keys, epoch)
        models.project({keys.book: text})
        models.publish([{"epoch": epoch}])
        assert await models.flush()
    assert await redis_client.get(keys.book) == b"new"
    assert await news(redis_client, keys) == [b'{"epoch":2}']


async def test_news_that_wait_are_bounded_and_said(
    redis_client: Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    models = ReadModels(redis_client, keys, 1, waiting_news=3)
    models.publish([{"n": n} for n in range(6)])
    assert (models.waiting, models.dropped) == (3, 3)
    assert caplog.text.count("news overflow") == 1
    assert await models.flush()
    assert await news(redis_client, keys) == [b'{"n":3}', b'{"n":4}', b'{"n":5}']


async def test_what_redis_refuses_waits_and_is_written_once(
    redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readmodels, "PAUSE_S", 0.01)
    models = ReadModels(redis_client, keys, 1)
    writing = asyncio.create_task(models.run())
    await redis_client.config_set("min-replicas-to-write", "1")
    models.publish([{"n": 1}])
    assert not await models.flush(timeout_s=0.05)
    await redis_client.config_set("min-replicas-to-write", "0")
    assert await models.flush()
    assert await news(redis_client, keys) == [b'{"n":1}']
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


# ------------------------------------------------------------- the rights that the room's README gives


@pytest.fixture
async def users(redis_client: Redis, redis_url: str) -> AsyncIterator[dict[str, str]]:
    """Make the README's three users for household H and return their URLs."""
    lines = re.findall(r"^user (\w+) (on .*)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in lines] == ["gateway", "strategy", "onlooker"]
    for name, rights in lines:
        await redis_client.execute_command("ACL", "SETUSER", name, "reset", *rights.split())
    yield {name: redis_url.replace("unix://", f"unix://{name}:change-me@") for name, _ in lines}
    for name, _ in lines:
        await redis_client.execute_command("ACL", "DELUSER", name)


async def test_a_gateway_can_do_its_work_with_these_rights(users: dict[str, str], keys: Keys) -> None:
    client = view_client(users["gateway"])
    lease = Lease(client, keys, SystemClock(), owner="me")
    await lease.acquire()
    journal = Journal(client, keys, lease.epoch, lease.owner)
    assert await journal.check_safety()
    await journal.open()
    await journal.append([TimerFired(AT, "one")])
    await journal.save_snapshot(1, b"state")
    assert await journal.load_snapshot() == (1, b"state")
    await client.xadd(keys.targets, {"d": b"x"})
    intake = Intake(client, client, keys, SystemClock())
    batches: Any = intake.batches()
    intake.reject((await anext(batches))[0], "f", "r")
    assert await intake.settle()
    await batches.aclose()
    models = ReadModels(client, keys, 1)
    models.publish([{"n": 1}])
    assert await models.flush()
    await lease.release()
    for command in ("FLUSHALL", "SHUTDOWN", "KEYS *"):
        with pytest.raises(ResponseError, match="permission"):
            await client.execute_command(*command.split())
    await client.aclose()


async def test_a_strategy_may_submit_and_nothing_else(users: dict[str, str], keys: Keys) -> None:
    async with GatewayClient(users["strategy"], "H") as gateway:
        assert (await gateway.submit({"AAPL": "0.1"}, account="A1")).entry_id
    client = view_client(users["strategy"])
    for command in (
        ("XRANGE", keys.targets, "-", "+"),
        ("XADD", keys.journal, "*", "a", "b"),
        ("GET", keys.book),
    ):
        with pytest.raises(ResponseError, match="permission"):
            await client.execute_command(*command)
    await client.aclose()


async def test_an_onlooker_may_read_and_nothing_else(users: dict[str, str], keys: Keys) -> None:
    async with GatewayClient(users["onlooker"], "H") as gateway:
        assert await gateway.status() is None
        assert await gateway.orders() == []
        assert await gateway.rejected() == []
    client = view_client(users["onlooker"])
    with pytest.raises(ResponseError, match="permission"):
        await client.xadd(keys.targets, {"d": b"x"})
    await client.aclose()


def test_the_readme_names_every_key_and_every_file() -> None:
    text = README.read_text(encoding="utf-8")
    keys = Keys("H")
    for name in vars(Keys):
        if isinstance(vars(Keys)[name], property) and name != "prefix":
            key = getattr(keys, name)
            assert f"`{key}`" in text or f"`{key.removeprefix('gw:{H}')}`" in text, name
    for path in README.parent.glob("*.[pl][yu]*"):
        if path.suffix in (".py", ".lua") and path.name != "__init__.py":
            assert f"`{path.name}`" in text, path.name
