"""Alerts from a real news stream over the real apprise to a real local web server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from patience import until
from pydantic import SecretStr
from redis.asyncio import Redis

from gateway.runtime.connect import reader_client
from gateway.runtime.keys import Keys
from gateway.runtime.wire import encode_json
from gateway.sections import AlertsSection
from gateway.views import alerts as room
from gateway.views import notices
from gateway.views.alerts import Alerts, make_alerts
from gateway.views.notices import notices_between, recent_notices

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # the library's own
TOKEN = "s3cret-path"
START = datetime(2022, 12, 28, 15, 0, tzinfo=UTC)


class Hook:
    """A webhook: what was posted, and what it answers."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.status = 200
        self.port = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.posts.append(await request.json())
        return web.Response(status=self.status)

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"json://127.0.0.1:{self.port}/{TOKEN}")


@asynccontextmanager
async def serving(hook: Hook) -> AsyncIterator[Hook]:
    app = web.Application()
    app.router.add_post("/{rest:.*}", hook.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield hook
    finally:
        await runner.cleanup()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with serving(Hook()) as made:
        yield made


@asynccontextmanager
async def reading(url: str, keys: Keys, folder: Path, hook: Hook, **words: Any) -> AsyncIterator[Alerts]:
    redis = reader_client(url)
    section = AlertsSection(urls={"ops": hook.url}, **words)
    made = make_alerts(redis, keys, section, folder, asyncio.get_running_loop().time)
    assert made is not None
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await redis.aclose()


async def tell(
    redis: Redis, keys: Keys, code: str, severity: str = "critical", text: str = "it is so"
) -> str:
    alert = {"severity": severity, "code": code, "text": text, "account": "main"}
    news = encode_json({"kind": "Alert", "at": START, "event": alert})
    return (await redis.xadd(keys.news, {"d": news})).decode()


def titles(hook: Hook) -> list[str]:
    return [post["title"] for post in hook.posts]


async def test_an_alert_on_the_news_reaches_the_webhook_and_no_log_shows_the_address(
    redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path, hook: Hook,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.INFO)
    async with reading(redis_url, keys, tmp_path, hook) as alerts:
        await redis_client.xadd(keys.news, {"d": encode_json({"kind": "LinkUp", "at": START, "event": {}})})
        await tell(redis_client, keys, "Chatter", "info")
        last = await tell(redis_client, keys, "DriftCritical")
        await until(lambda: alerts.couriers[0].sent == 1)
    assert titles(hook) == ["[critical] H: DriftCritical"]
    assert "main]: it is so" in hook.posts[0]["message"]
    assert hook.posts[0]["type"] == "failure"
    assert json.loads((tmp_path / "alerts.json").read_text()) == {"ops": last}
    assert TOKEN not in caplog.text


async def test_after_a_restart_only_what_was_not_delivered_is_sent(
    redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path, hook: Hook
) -> None:
    async with reading(redis_url, keys, tmp_path, hook) as alerts:
        await tell(redis_client, keys, "First")
        await until(lambda: alerts.couriers[0].sent == 1)
    await tell(redis_client, keys, "Missed")
    async with reading(redis_url, keys, tmp_path, hook):
        await until(lambda: len(hook.posts) == 2)
    assert titles(hook) == ["[critical] H: First", "[critical] H: Missed"]


async def test_an_address_that_fails_delays_no_other(
    redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path, hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(room, "FIRST_PAUSE_S", 60.0)
    async with serving(Hook()) as broken:
        broken.status = 500
        redis = reader_client(redis_url)
        section = AlertsSection(urls={"a": broken.url, "b": hook.url})
        made = make_alerts(redis, keys, section, tmp_path, asyncio.get_running_loop().time)
        assert made is not None
        task = asyncio.create_task(made.run())
        for code in ("One", "Two", "Three"):
            await tell(redis_client, keys, code)
            await until(lambda code=code: f"[critical] H: {code}" in titles(hook))  # type: ignore[misc]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await redis.aclose()
    assert broken.posts == []
    kept = json.loads((tmp_path / "alerts.json").read_text())
    assert room._place(kept["a"]) < room._place(kept["b"])


async def test_redis_may_go_away_and_the_memory_may_not_be_writable(
    redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path, hook: Hook,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    await redis_client.set(keys.news, "not a stream")
    async with reading(redis_url, keys, tmp_path / "missing", hook):
        await until(lambda: "alerts wait for Redis" in caplog.text)
        await redis_client.delete(keys.news)
        await tell(redis_client, keys, "Back")
        await until(lambda: bool(hook.posts))
    assert "alerts.json" in caplog.text


async def test_nobody_to_tell_is_no_reader(redis_client: Redis, keys: Keys, tmp_path: Path) -> None:
    assert make_alerts(redis_client, keys, AlertsSection(), tmp_path, lambda: 0.0) is None


async def test_the_news_are_searched_by_the_gateways_own_time(
    redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PAGE", 2)
    for number in range(5):
        await tell(redis_client, keys, f"A{number}")
    await redis_client.xadd(keys.news, {"d": encode_json({"kind": "Alert", "at": None, "event": {
        "severity": "info", "code": "Timeless", "text": "", "account": "",
    }})})  # fmt: skip
    begins, ends = START - timedelta(days=1), START + timedelta(seconds=1)
    found = await notices_between(redis_client, keys, begins, ends)
    assert [one.code for one in found] == ["A0", "A1", "A2", "A3", "A4"]
    assert await notices_between(redis_client, keys, begins, START) == []
    newest = await recent_notices(redis_client, keys, 3)
    assert [one.code for one in newest] == ["A3", "A4", "Timeless"]
    assert len(await recent_notices(redis_client, keys, 100)) == 6
