from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from adapters import outbox
from adapters.alpaca.outbox import Outbox as AlpacaOutbox
from adapters.ibkr.outbox import Outbox as IbkrOutbox
from gateway.errors import ConfigError
from gateway.events import (
    ActivityStated,
    LinkDown,
    LinkNoticed,
    LinkUp,
    OrderUnknown,
    PositionStated,
    PowerStated,
    SendWithheld,
)

NOON = datetime(2026, 7, 1, 16, 0, tzinfo=UTC)


def now() -> datetime:
    return NOON


async def taken(box: outbox.Outbox) -> list[object]:
    box.close()
    return [event async for batch in box.batches() for event in batch]


async def test_it_makes_whoever_brings_too_much_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "CROWDED", 2)
    box = AlpacaOutbox("alpaca", now)
    for name in ("a", "b", "c"):
        box.unknown(name)
    waiting = asyncio.create_task(box.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    batches = box.batches()
    assert len(await anext(batches)) == 3
    await waiting
    await box.room()


async def test_nobody_waits_for_room_in_one_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "CROWDED", 0)
    box = AlpacaOutbox("alpaca", now)
    box.unknown("a")
    waiting = asyncio.create_task(box.room())
    await asyncio.sleep(0)
    box.close()
    await waiting
    await box.room()


@pytest.mark.parametrize("kind", [AlpacaOutbox, IbkrOutbox])
async def test_what_came_before_a_failure_is_handed_over_and_nothing_after(
    kind: type[outbox.Outbox],
) -> None:
    box = kind("venue", now)
    batches = box.batches()
    box.withheld("a", "early")
    assert await anext(batches) == [SendWithheld(NOON, "a", "early")]
    box.withheld("b", "late")
    box.fail(ConfigError("first"))
    box.fail(ConfigError("second"))
    box.withheld("c", "after the end")
    assert await anext(batches) == [SendWithheld(NOON, "b", "late")]
    with pytest.raises(ConfigError, match="first"):
        await anext(batches)


async def test_what_comes_with_the_failure_while_a_batch_is_used_is_not_lost() -> None:
    box = IbkrOutbox("tws", now)
    batches = box.batches()
    box.unknown("a")
    await anext(batches)
    box.unknown("b")
    box.close()
    assert await anext(batches) == [OrderUnknown(NOON, "tws", 2, "b")]
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_places_go_on_behind_the_journal_and_each_venue_tells_what_is_its_own() -> None:
    alpaca = AlpacaOutbox("alpaca", now, 7)
    alpaca.up()
    alpaca.position("main", "AAA", Decimal(3))
    alpaca.power("main", Decimal(99))
    alpaca.activity("main", "1", "DIV", "2026-07-01", cash=Decimal(5), symbol="AAA", qty=Decimal(0), text="t")
    assert await taken(alpaca) == [
        LinkUp(NOON, "alpaca", was_reset=False, can_look_up=True, replays=False),
        PositionStated(NOON, "alpaca", 8, "main", "AAA", Decimal(3)),
        PowerStated(NOON, "alpaca", 9, "main", Decimal(99)),
        ActivityStated(
            NOON, "alpaca", 10, "main", "1", "DIV", "2026-07-01", Decimal(5), "AAA", Decimal(0), "t"
        ),
    ]
    tws = IbkrOutbox("tws", now, 2)
    tws.up()
    tws.position("main", "AAA", Decimal(3), shared_with=("other",), asked_at=NOON)
    tws.notice("warning", "margin", "main", halts=True)
    tws.unknown("a", is_certain=False)
    tws.down("gone")
    assert await taken(tws) == [
        LinkUp(NOON, "tws", was_reset=False, can_look_up=True, replays=True),
        PositionStated(NOON, "tws", 3, "main", "AAA", Decimal(3), ("other",), NOON),
        LinkNoticed(NOON, "tws", 4, "margin", "main", "warning", halts=True),
        OrderUnknown(NOON, "tws", 5, "a", is_certain=False),
        LinkDown(NOON, "tws", "gone"),
    ]
