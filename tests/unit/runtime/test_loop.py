"""The loop's own parts: a bounded inbox in order, timers that move, and turns in the promised order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from patience import PATIENCE_S, until
from redis.asyncio import Redis

from gateway.app import catch_up, restore
from gateway.domain.settings import AccountSettings, Settings
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    Alert,
    Event,
    GatewayStarted,
    HaltRequested,
    LinkDown,
    LinkUp,
    SetTimer,
    TimerFired,
)
from gateway.runtime.clock import SystemClock
from gateway.runtime.keys import Keys
from gateway.runtime.lease import Lease
from gateway.runtime.loop import Inbox, Item, Loop, Timers
from gateway.runtime.present import Presenter
from gateway.runtime.readmodels import ReadModels
from gateway.runtime.router import Router
from gateway.runtime.store import Journal
from gateway.runtime.wire import decode_json

CLOCK = SystemClock()


def tick(number: int) -> Item:
    return Item(TimerFired(datetime(2024, 3, 12, tzinfo=UTC), f"t{number}"))


async def test_the_inbox_gives_back_in_order_and_in_batches() -> None:
    inbox = Inbox()
    inbox.push([tick(number) for number in range(5)])
    assert len(inbox) == 5
    assert not inbox.idle.is_set()
    first = await inbox.take(2)
    inbox.rest()
    assert not inbox.idle.is_set()
    rest = await inbox.take()
    inbox.rest()
    assert [one.event.key for one in first + rest if isinstance(one.event, TimerFired)] == [
        "t0", "t1", "t2", "t3", "t4",
    ]  # fmt: skip
    assert inbox.idle.is_set()


async def test_who_puts_into_a_full_inbox_waits() -> None:
    inbox = Inbox(limit=2)
    await inbox.put([tick(1), tick(2)])
    late = asyncio.ensure_future(inbox.put([tick(3)]))
    await asyncio.sleep(0.01)
    assert not late.done()
    await inbox.take(1)
    await asyncio.wait_for(late, PATIENCE_S)
    assert len(inbox) == 2


async def test_pushing_nothing_wakes_nobody() -> None:
    inbox = Inbox()
    waiting = asyncio.ensure_future(inbox.take())
    inbox.push([])
    await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()


async def test_a_timer_set_again_moves_and_a_closed_one_never_fires() -> None:
    inbox = Inbox()
    timers = Timers(CLOCK, inbox)
    now = CLOCK.now()
    timers.set(SetTimer("a", now + timedelta(seconds=0.02)))
    timers.set(SetTimer("a", now + timedelta(seconds=0.05)))
    timers.set(SetTimer("b", now - timedelta(seconds=5)))
    await until(lambda: len(inbox) == 2)
    timers.set(SetTimer("c", CLOCK.now() + timedelta(seconds=0.05)))
    timers.close()
    await asyncio.sleep(0.1)
    fired = [one.event.key for one in await inbox.take() if isinstance(one.event, TimerFired)]
    assert fired == ["b", "a"]


class Parts:
    """A loop on a real journal, with no broker behind it."""

    def __init__(self, redis: Redis, keys: Keys, epoch: int, owner: str) -> None:
        settings = Settings("H", {"main": AccountSettings("main", "sim")}, {})
        self.engine = Engine(settings)
        self.journal = Journal(redis, keys, epoch, owner)
        self.inbox = Inbox()
        self.models = ReadModels(redis, keys, epoch)
        self.presenter = Presenter(self.engine.state, self.models, keys, lambda: {"household": "H"})
        self.timers = Timers(CLOCK, self.inbox)
        self.loop = Loop(self.engine, self.journal, self.inbox, self.timers, self.presenter)


@pytest.fixture
async def parts(redis_client: Redis, keys: Keys) -> AsyncIterator[Parts]:
    lease = Lease(redis_client, keys, CLOCK)
    await lease.acquire()
    made = Parts(redis_client, keys, lease.epoch, lease.owner)
    await made.journal.open()
    yield made
    made.timers.close()


def opening() -> list[Event]:
    now = CLOCK.now()
    return [GatewayStarted(now, 1, "", ""), AccountOpened(now, "main", Decimal(100))]


async def test_a_turn_is_durable_before_its_source_is_told(parts: Parts) -> None:
    told: list[int] = []
    items = [Item(event, lambda: told.append(parts.journal.seq)) for event in opening()]
    await parts.loop.turn(items)
    assert told == [2, 2]
    assert parts.engine.state.book.accounts["main"].cash == 100
    assert [event async for _, event in parts.journal.read()] == [one.event for one in items]


async def test_without_a_router_a_turn_still_stands(parts: Parts) -> None:
    now = CLOCK.now()
    events: list[Event] = [*opening(), LinkUp(now, "sim"), LinkDown(now, "sim", "gone")]
    events += [HaltRequested(now, "main", "lunch", "me")]
    await parts.loop.turn([Item(event) for event in events])
    assert parts.engine.state.halt_reason("main") == "lunch"
    assert parts.loop.committed == 5


async def test_a_link_that_goes_down_drops_its_waiting_orders(parts: Parts) -> None:
    dropped: list[str] = []
    parts.loop.router = Router({}, CLOCK, lambda: True, lambda _: None)
    parts.loop.router.drop = dropped.append  # type: ignore[method-assign]
    await parts.loop.turn([Item(event) for event in [*opening(), LinkDown(CLOCK.now(), "sim", "gone")]])
    await parts.loop.turn([Item(HaltRequested(CLOCK.now(), "", "all", "me"))])
    assert dropped == ["sim"]


async def test_alerts_rejections_and_the_book_are_shown(
    parts: Parts, redis_client: Redis, keys: Keys
) -> None:
    await parts.loop.turn([Item(event) for event in opening()])
    for severity in ("info", "warning", "critical"):
        parts.presenter.alert(Alert(severity, "Test", f"{severity} text"))
    parts.presenter.rejected("targets", "1-0", "targets", "too much")
    parts.presenter.close()
    assert await parts.models.flush()
    shown: Any = decode_json(await redis_client.get(keys.book))
    assert shown["accounts"]["main"]["cash"] == "100"
    news = [decode_json(fields[b"d"])["kind"] for _, fields in await redis_client.xrange(keys.news)]
    assert news.count("Alert") == 3
    assert "Rejected" in news


async def test_what_a_dead_gateway_did_not_show_its_successor_shows(
    parts: Parts, redis_client: Redis, keys: Keys
) -> None:
    await parts.loop.turn([Item(event) for event in opening()])
    assert await redis_client.get(keys.book) is None, "it died before it showed anything"
    lease = Lease(redis_client, keys, CLOCK, owner="successor")
    await redis_client.delete(keys.lease)
    await lease.acquire()
    heir = Parts(redis_client, keys, lease.epoch, lease.owner)
    seq = await restore(heir.journal, heir.engine)
    assert await catch_up(heir.journal, heir.engine, heir.presenter, seq) == 2
    heir.presenter.close()
    assert await heir.models.flush()
    shown: Any = decode_json(await redis_client.get(keys.book))
    assert shown["accounts"]["main"]["cash"] == "100"
