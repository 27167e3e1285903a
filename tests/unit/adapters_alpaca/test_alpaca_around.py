"""What the venue does besides orders: activities, positions, asset status, quotes."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca_world import KEYS, Market, desk, market

from adapters.alpaca import around, asking, assets, quotes
from adapters.alpaca.quotes import AlpacaQuotes
from gateway.domain.order import OrdStatus
from gateway.events import (
    ActivityStated,
    OrderUnknown,
    PositionStated,
    PowerStated,
    PricesUpdated,
    ReportReceived,
)


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path, positions={"BBB": "10"}) as one:
        yield one


def told(there: Any, kind: str) -> list[ActivityStated]:
    return [one for one in there.of(ActivityStated) if one.kind == kind]


async def test_dividends_splits_and_spin_offs_are_stated_once_before_positions(venue: Market) -> None:
    venue.operate("activity", kind="DIV", cash="12.34", symbol="BBB", qty="10")
    venue.operate("activity", kind="FEE", cash="-0.01")
    async with desk(venue, activities_s=1.0) as there:
        await there.until(lambda: len(there.of(ActivityStated)) == 2)
        (dividend,), (fee,) = told(there, "DIV"), told(there, "FEE")
        assert (dividend.cash, dividend.qty, dividend.symbol) == (Decimal("12.34"), 0, "BBB")
        assert (fee.cash, fee.symbol) == (Decimal("-0.01"), "")
        await there.until(lambda: len(there.of(PositionStated)) == 4)
        venue.operate("split", symbol="BBB", ratio="2")
        venue.operate("activity", kind="SPIN", symbol="CCC", qty="3")
        await there.until(lambda: bool(told(there, "SPIN")) and len(there.of(PositionStated)) == 6)
        (split,) = told(there, "SPLIT")
        assert split.qty == 10
        assert told(there, "SPIN")[0].qty == 3
        at = [one for one in there.said if isinstance(one, ActivityStated | PositionStated)]
        assert at.index(split) < at.index(there.of(PositionStated)[4])
        assert {(one.symbol, one.qty) for one in there.of(PositionStated)[4:]} == {("BBB", 20), ("CCC", 3)}
        await asyncio.sleep(1.2)
        assert len(there.of(ActivityStated)) == 4


async def test_an_activity_taken_back_is_one_of_its_own_for_a_person(venue: Market) -> None:
    row = {
        "id": "1::a",
        "activity_type": "DIV",
        "date": "2026-11-27",
        "net_amount": "5",
        "status": "canceled",
    }
    async with desk(venue) as there:
        there.broker._around._state_activity(row)
        there.broker._around._state_activity({**row, "status": "executed"})
        there.broker._around._state_activity({**row, "activity_type": "FILL"})
        there.broker._around._state_activity({"activity_type": "DIV"})
        await there.until(lambda: len(told(there, "DIV")) == 2)
        canceled, executed = told(there, "DIV")
        assert (canceled.activity_id, canceled.cash, canceled.text) == (
            "1::a/canceled",
            0,
            "canceled at the venue",
        )
        assert (executed.activity_id, executed.cash) == ("1::a", 5)


async def test_activities_are_asked_for_page_by_page_a_month_back_at_first(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "PAGE", 3)
    for number in range(7):
        venue.operate("activity", kind="CSD", cash=str(number + 1))
    async with desk(venue) as there:
        await there.until(lambda: len(there.of(ActivityStated)) == 7)
        assert sorted(one.cash for one in there.of(ActivityStated)) == [1, 2, 3, 4, 5, 6, 7]
        assert there.broker._around._days_back == around.DAYS_BACK


async def test_a_position_that_vanishes_without_a_word_is_stated(
    venue: Market, caplog: pytest.LogCaptureFixture
) -> None:
    venue.world.door.account.positions["ZZZ"] = Decimal(5)
    async with desk(venue, activities_s=1.0) as there:
        await there.until(lambda: len(there.of(PositionStated)) == 4)
        assert "positions that are no instruments: ZZZ" in caplog.text
        venue.world.door.account.positions |= {"BBB": Decimal(0), "ZZZ": Decimal(7)}
        await there.until(lambda: len(there.of(PositionStated)) == 5)
        assert (there.of(PositionStated)[-1].symbol, there.of(PositionStated)[-1].qty) == ("BBB", 0)
        assert caplog.text.count("no instruments") == 1


async def test_positions_are_not_stated_while_something_is_open_or_heard(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "POSITIONS_S", 0.1)
    async with desk(venue) as there:
        await there.until(lambda: len(there.of(PositionStated)) == 4)
        spec = there.order()
        there.submit(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
        await asyncio.sleep(0.6)
        assert len(there.of(PositionStated)) == 4
        there.cancel(spec)
        await there.until(lambda: len(there.of(PositionStated)) == 5)
        venue.fault("get_504", count=2)
        await there.broker._around._state_positions()
        held = there.broker._around._calls

        async def overtaken(*_: object) -> Any:
            there.broker._memory.clock += 1
            return await type(held).ask(held, around.Urgency.LOOK_AROUND, "GET", "/positions")

        held.ask = overtaken  # type: ignore[method-assign]
        there.broker._around._touched.add("AAA")
        await there.broker._around._state_positions()
        assert len(there.of(PositionStated)) == 5


async def test_buying_power_is_stated_when_it_moves_and_nothing_is_open(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(venue, activities_s=0.2) as there:
        await there.until(lambda: bool(there.of(PowerStated)))
        assert (there.of(PowerStated)[0].account, there.of(PowerStated)[0].power) == ("main", 100_000)
        venue.operate("activity", kind="FEE", cash="-25")
        await there.until(lambda: len(there.of(PowerStated)) > 1)
        assert there.of(PowerStated)[-1].power == 99_975
        resting = there.order()
        there.submit(resting)
        await there.report(resting, lambda one: bool(one.order_id))
        await asyncio.sleep(0.8)
        assert len(there.of(PowerStated)) == 2, "an open buy holds some of it"
        there.cancel(resting)
        await there.report(resting, lambda one: one.ord_status is OrdStatus.CANCELED)
        there.broker._memory.sold_at = asyncio.get_running_loop().time()
        venue.operate("activity", kind="FEE", cash="-5")
        await asyncio.sleep(0.8)
        assert len(there.of(PowerStated)) == 2, "proceeds may be on the way"
        monkeypatch.setattr(around, "SOLD_S", 0.0)
        await there.until(lambda: len(there.of(PowerStated)) > 2)


async def test_positions_are_left_alone_where_the_link_says_so(venue: Market) -> None:
    async with desk(venue, compare_positions=False) as there:
        await there.until(lambda: bool(there.broker._around._assets._assets))
        await asyncio.sleep(0.4)
        assert not there.of(PositionStated)


async def test_many_assets_are_asked_for_at_once_and_the_active_of_two_counts(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "EACH_ALONE", 2)
    venue.operate("deactivate", symbol="CCC")
    async with desk(venue) as there:
        known = there.broker._around._assets
        await there.until(lambda: len(known._assets) == 4)
        assert known.refusal(there.order(symbol="CCC"))
        assert not known.refusal(there.order(symbol="NEVER_HEARD_OF"))
        old = {"symbol": "AAA", "status": "inactive", "tradable": False}
        for asset in sorted(
            [{**old, "status": "active", "tradable": True}, old], key=lambda one: one["status"] == "active"
        ):
            known._note(asset)
        known._note({"symbol": "QQQ"})
        assert not known.refusal(there.order())
        venue.fault("get_504", count=10)
        await known.ask()
        await known._ask_each(["AAA"])
        venue.world.mishaps.clear()
        assert len(known._assets) == 4


async def test_paging_goes_on_until_every_order_wanted_was_seen(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PAGE", 3)
    monkeypatch.setattr(asking, "FILLS_PAGE", 3)
    async with desk(venue) as first:
        specs = [first.buy(order_qty=Decimal(1)) for _ in range(10)]
        for spec in specs:
            first.submit(spec)
        for spec in specs:
            await first.report(spec, lambda one: one.ord_status is OrdStatus.FILLED)
    async with desk(venue) as there:
        there.look_up(*specs)
        await there.until(lambda: {one.report.cl_ord_id for one in there.of(ReportReceived)} == {
            spec.cl_ord_id for spec in specs
        })  # fmt: skip
        assert not there.of(OrderUnknown)
        assert all(any(one.exec_id for one in there.reports(spec)) for spec in specs)


# Prices.


def source(venue: Market, *symbols: str, **changes: Any) -> AlpacaQuotes:
    return AlpacaQuotes(
        "latest", *KEYS, venue.url, symbols or ("AAA", "BBB"), lambda: datetime.now(UTC),
        requests_per_min=10_000, **{"interval_s": 0.05, **changes},
    )  # fmt: skip


async def first_of(one: AlpacaQuotes) -> PricesUpdated:
    async for batch in one.events():
        return batch[0]
    raise AssertionError("it ended")


async def test_latest_quotes_are_prices_as_of_their_own_time(venue: Market) -> None:
    venue.operate("quote_age", seconds="90")
    one = source(venue)
    await one.start(0)
    found = await first_of(one)
    assert found.prices == {"AAA": Decimal(100), "BBB": Decimal(50)}
    assert timedelta(seconds=89) < datetime.now(UTC) - found.as_of < timedelta(seconds=95)
    one.acknowledge(1)
    await one.stop()
    await one.stop()


async def test_a_symbol_the_venue_refuses_hides_no_other_and_is_not_asked_for_again(
    venue: Market, caplog: pytest.LogCaptureFixture
) -> None:
    one = source(venue, "AAA", "bad one", "BBB", "NONE")
    await one.start(0)
    found = await first_of(one)
    assert set(found.prices) == {"AAA", "BBB"}
    assert "no prices of bad one: HTTP 400" in caplog.text
    assert one._symbols == ("AAA", "BBB", "NONE")
    await one.stop()


async def test_no_answer_is_no_price_and_ends_nothing(
    venue: Market, caplog: pytest.LogCaptureFixture
) -> None:
    venue.fault("get_504", count=2)
    one = source(venue)
    await one.start(0)
    assert (await first_of(one)).prices
    assert caplog.text.count("no prices: HTTP 504") == 2
    await one.stop()
    assert not [batch async for batch in one.events()]
    await source(venue).stop()


async def test_a_price_that_stands_still_is_said_again_after_a_while(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotes, "RESTATED_EVERY", timedelta(seconds=0.3))
    one = source(venue)
    await one.start(0)
    said: list[PricesUpdated] = []
    async for batch in one.events():
        said += batch
        if len(said) == 3:
            break
    assert said[0].prices == said[1].prices == said[2].prices
    assert said[1].at - said[0].at >= timedelta(seconds=0.3)
    await one.stop()


@pytest.mark.parametrize(
    "quote",
    [None, 7, {}, {"bp": 1, "ap": 2, "t": "soon"}, {"bp": 0, "ap": 2, "t": "2026-03-02T14:30:00Z"},
     {"bp": 3, "ap": 2, "t": "2026-03-02T14:30:00Z"}, {"bp": "x", "ap": 2, "t": "2026-03-02T14:30:00Z"},
     {"ap": 2, "t": "2026-03-02T14:30:00Z"}],
)  # fmt: skip
def test_a_quote_that_is_no_price_is_none(quote: Any) -> None:
    assert quotes._price("AAA", quote) is None


def test_quotes_far_apart_in_time_are_events_of_their_own(venue: Market) -> None:
    one = source(venue)
    now = datetime.now(UTC)
    found = [(now, "AAA", Decimal(1)), (now - timedelta(minutes=5), "BBB", Decimal(2)),
             (now - timedelta(milliseconds=10), "CCC", Decimal(3))]  # fmt: skip
    assert [set(event.prices) for event in one._news(found)] == [{"BBB"}, {"AAA", "CCC"}]
    assert one._news(found) == []


# The library is heavy: only who has an Alpaca account pays for it.


def test_the_gateway_imports_alpacas_library_only_for_an_alpaca_link() -> None:
    text = "import sys, gateway.app; print([n for n in sys.modules if n.split('.')[0] == 'alpaca'])"
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert importlib.import_module("adapters.alpaca.settings").PAPER[0] == "https://paper-api.alpaca.markets"
