"""Our broker against a TWS over a real socket: what is checked before an order leaves, and what stops it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ibkr_ground import NAIVE, OURS, PRICES, Ground, grounds, naive_order, naive_reader, naive_until, stock

from adapters.base import NotSent
from adapters.ibkr.pauses import Restart
from adapters.ibkr.quotes import IbkrQuotes
from adapters.ibkr.settings import IbkrSettings, Terms
from gateway.domain.order import ExecType, OrdStatus, OrdType, Side
from gateway.errors import ConfigError
from gateway.events import (
    CancelRejected,
    LinkDown,
    LinkNoticed,
    MessageRefused,
    PositionStated,
    PricesUpdated,
    ReportReceived,
    ReportUnreadable,
    SendInDoubt,
    SendWithheld,
)
from gateway.runtime.clock import SystemClock

BY_HAND = "--fills-by-hand"


@pytest.fixture
async def by_hand(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, BY_HAND) as made:
        yield made


async def test_no_more_than_so_many_orders_of_a_side_work_at_once(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND, working_orders=3) as ground:
        await ground.start()
        specs = [ground.order() for _ in range(5)]
        ground.submit(*specs)
        await ground.until(lambda: sum(bool(ground.reports(one)) for one in specs) == 3)
        other = ground.order(symbol="BBB", price=Decimal(40))
        ground.submit(other)
        await ground.until_status(other, OrdStatus.NEW)
        assert [bool(ground.reports(one)) for one in specs] == [True, True, True, False, False]
        ground.cancel(specs[0])
        await ground.until(lambda: bool(ground.reports(specs[3])))
        assert ground.broker is not None
        ground.broker.recall("main", "halted")
        await ground.until(lambda: ground.heard(SendWithheld))
        (withheld,) = ground.heard(SendWithheld)
        assert (withheld.cl_ord_id, withheld.reason) == (specs[4].cl_ord_id, "halted")


async def test_a_margin_that_does_not_reach_refuses_before_anything_is_sent(tmp_path: Path) -> None:
    async with grounds(tmp_path, what_if=True) as ground:
        await ground.start()
        good, bad = ground.marketable(), ground.marketable(order_qty=Decimal(100_000))
        ground.submit(good, bad)
        await ground.until_status(good, OrdStatus.FILLED)
        await ground.until(lambda: ground.heard(MessageRefused))
        (refused,) = ground.heard(MessageRefused)
        assert refused.cl_ord_id == bad.cl_ord_id
        assert "what-if" in refused.text
        assert ground.at_venue(bad.cl_ord_id) == []


async def test_a_margin_nobody_tells_is_no_objection(tmp_path: Path) -> None:
    async with grounds(tmp_path, what_if=True, what_if_timeout_s=0.001) as ground:
        await ground.start()
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)


async def test_fractions_are_wanted_or_refused_and_fall_back_to_whole_shares(tmp_path: Path) -> None:
    async with grounds(tmp_path / "no") as ground:
        await ground.start()
        ground.submit(ground.marketable(order_qty=Decimal("10.5")))
        await ground.until(lambda: ground.heard(MessageRefused))
        assert "fractional = true" in ground.heard(MessageRefused)[0].text
    async with grounds(tmp_path / "yes", fractional=True) as ground:
        async with naive_reader(ground) as reader:
            trade = reader.placeOrder(stock(), naive_order(110, qty=10.5, orderRef="NAIVE"))
            await naive_until(lambda: trade.orderStatus.status == "Cancelled")  # naive: not a share is bought
            assert ground.at_venue("NAIVE") == []
        await ground.start()
        first, second = (
            ground.marketable(order_qty=Decimal("10.5")),
            ground.marketable(order_qty=Decimal("7.25")),
        )
        ground.submit(first)
        await ground.until_status(first, OrdStatus.FILLED)
        ground.submit(second)
        await ground.until_status(second, OrdStatus.FILLED)
        assert [ground.filled(one) for one in (first, second)] == [Decimal(10), Decimal(7)]
        assert [ground.reports(one)[-1].order_qty for one in (first, second)] == [Decimal(10), Decimal(7)]
        tiny = ground.marketable(order_qty=Decimal("0.5"))
        ground.submit(tiny)
        await ground.until(lambda: ground.heard(MessageRefused))
        assert ground.heard(MessageRefused)[0].cl_ord_id == tiny.cl_ord_id


async def test_a_first_fraction_below_a_share_is_refused_in_the_venues_words(tmp_path: Path) -> None:
    async with grounds(tmp_path, fractional=True) as ground:
        await ground.start()
        tiny = ground.marketable(order_qty=Decimal("0.5"))
        ground.submit(tiny)
        await ground.until(lambda: ground.heard(MessageRefused))
        assert "10243" in ground.heard(MessageRefused)[0].text


async def test_a_limit_is_put_on_the_tick_of_its_market_rule(tmp_path: Path) -> None:
    contracts = tmp_path / "contracts.json"
    contracts.write_text(json.dumps({"AAA": {"steps": {"0": "0.01", "50": "0.05"}}}))
    async with grounds(tmp_path, BY_HAND, "--contracts", str(contracts)) as ground:
        await ground.start()
        high, low = ground.order(price=Decimal("90.07")), ground.order(price=Decimal("49.97"))
        ground.submit(high, low)
        await ground.until_status(low, OrdStatus.NEW)
        await ground.until_status(high, OrdStatus.NEW)
        prices = [Decimal(ground.at_venue(one.cl_ord_id)[0]["price"]) for one in (high, low)]
        assert prices == [Decimal("90.05"), Decimal("49.97")]


async def test_a_contract_nobody_knows_is_asked_for_once_and_left_alone(tmp_path: Path) -> None:
    terms = {symbol: Terms(symbol) for symbol in PRICES} | {"NONE": Terms("NONE"), "BAD": Terms("B\x00AD")}
    async with grounds(tmp_path, terms=terms) as ground:
        await ground.start()
        for symbol in ("NONE", "NONE", "BAD", "STRANGE"):
            ground.submit(ground.order(symbol=symbol))
        await ground.until(lambda: len(ground.heard(MessageRefused)) == 4)
        texts = [one.text for one in ground.heard(MessageRefused)]
        assert sum("200:" in text and "primary_exchange" in text for text in texts) == 2
        assert sum("printable ASCII" in text for text in texts) == 1
        assert sum("no instrument" in text for text in texts) == 1


async def test_a_refused_order_is_told_with_the_venues_reason(by_hand: Ground) -> None:
    await by_hand.start()
    by_hand.tell("fault", kind="reject_order", text="Order rejected - reason:We are not accepting an order")
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.REJECTED)
    assert "not accepting" in by_hand.reports(spec)[-1].text


async def test_a_cancel_nobody_asked_for_is_told_and_noticed(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("withdraw", cl_ord_id=spec.cl_ord_id)
    await by_hand.until_status(spec, OrdStatus.CANCELED)
    await by_hand.until(lambda: by_hand.heard(LinkNoticed))
    assert "nobody asked for it" in by_hand.heard(LinkNoticed)[0].text


async def test_a_cancel_that_is_confirmed_is_not_the_end_of_fills(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        left = list[float]()
        trade.cancelledEvent += lambda done: left.append(done.remaining())
        by_hand.tell("fault", kind="fill_after_cancel", seconds=0.3, client=NAIVE)
        reader.cancelOrder(trade.order)
        await naive_until(lambda: trade.filled() == 100)
        assert left == [100]  # naive: 100 are free to be bought again, and these fill, too
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fault", kind="fill_after_cancel", seconds=0.3)
    by_hand.cancel(spec)
    await by_hand.until_status(spec, OrdStatus.CANCELED)
    await by_hand.until(lambda: by_hand.filled(spec) == 100)  # late, and counted
    by_hand.cancel(spec)
    await by_hand.until(lambda: by_hand.heard(CancelRejected))
    never = by_hand.order()
    by_hand.cancel(never)
    await by_hand.until(lambda: len(by_hand.heard(CancelRejected)) == 2)


async def test_an_order_of_which_nothing_is_heard_is_asked_about(by_hand: Ground) -> None:
    await by_hand.start()
    quiet, lost = by_hand.order(), by_hand.order()
    by_hand.tell("fault", kind="status_lost", count=2)
    by_hand.submit(quiet)
    await by_hand.until_status(quiet, OrdStatus.NEW)
    by_hand.tell("fault", kind="lose_order")
    by_hand.submit(lost)
    await by_hand.until(lambda: by_hand.heard(SendInDoubt))
    assert by_hand.heard(SendInDoubt)[0].cl_ord_id == lost.cl_ord_id
    by_hand.look_up(lost)
    await by_hand.until(lambda: by_hand.unknown(lost))
    assert by_hand.at_venue(lost.cl_ord_id) == []


@pytest.mark.parametrize("kind", ["half_open", "silence"])
async def test_a_line_that_is_dead_and_does_not_say_so_is_made_anew(tmp_path: Path, kind: str) -> None:
    async with grounds(tmp_path, BY_HAND, heartbeat_s=0.5, answer_timeout_s=1.0) as ground:
        async with naive_reader(ground) as reader:
            ground.tell("fault", kind="half_open")
            trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
            await asyncio.sleep(2)
            assert reader.isConnected()  # naive: connected, an order on its way, and nobody reads it
            assert (trade.orderStatus.status, ground.at_venue("NAIVE")) == ("PendingSubmit", [])
        await ground.start()
        ground.tell("fault", kind=kind, seconds=3)
        await ground.until(lambda: ground.ups() == 2, 30)
        spec = ground.order()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.NEW)


async def test_a_quiet_line_stays_up(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND, heartbeat_s=0.3, positions_s=3600) as ground:
        await ground.start()
        await asyncio.sleep(1.5)
        assert ground.downs() == 0


@pytest.mark.parametrize("is_weekly", [False, True])
async def test_a_planned_restart_pauses_sending_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_weekly: bool
) -> None:
    monkeypatch.setattr("adapters.ibkr.session.BACKOFF_S", (0.1, 0.3))
    async with grounds(tmp_path, BY_HAND) as ground:
        async with naive_reader(ground) as reader:
            trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
            await naive_until(lambda: trade.orderStatus.status == "Submitted")
            ground.tell("restart", seconds=0.2)
            await naive_until(lambda: not reader.isConnected())
            await asyncio.sleep(1)
            assert not reader.isConnected()  # naive: TWS is back, and nobody connects again
            assert trade.orderStatus.status == "Submitted"
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        restart = Restart(soon.time(), "UTC", soon.weekday() if is_weekly else None, lead_s=2, lasts_s=2.5)
        await ground.start(restarts=(restart,))
        spec = ground.order()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.NEW)
        await ground.until(ground.downs)
        kind = "weekly" if is_weekly else "daily"
        assert f"planned {kind} restart" in ground.heard(LinkDown)[0].reason
        with pytest.raises(NotSent):
            ground.submit(ground.order())
        ground.tell("restart", seconds=0.5, rollback=5)
        await ground.until(lambda: ground.ups() == 2)
        assert ground.downs() == 1
        assert datetime.now(UTC) >= soon + timedelta(seconds=2.4)
        ground.look_up(spec)
        told = len(ground.reports(spec))
        await ground.until(lambda: len(ground.reports(spec)) > told)
        assert set(ground.statuses(spec)) == {OrdStatus.NEW}


async def test_a_port_that_moved_is_followed(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        old = by_hand.stage.port
        by_hand.settings = replace(by_hand.settings, port=by_hand.tell("move")["port"])
        await naive_until(lambda: not reader.isConnected())
        with pytest.raises(ConnectionRefusedError):  # naive: back to where nobody listens any more
            await reader.connectAsync("127.0.0.1", old, NAIVE, timeout=1)
    await by_hand.start()
    by_hand.tell("move")
    await by_hand.until(lambda: by_hand.ups() == 2)
    by_hand.tell("warn", code=100, text="Max rate of messages per second has been exceeded")
    by_hand.tell("warn", code=2103, text="Market data farm connection is broken:usfarm")
    by_hand.tell("warn", code=2103, text="Market data farm connection is broken:usfarm")
    await by_hand.until(lambda: len(by_hand.heard(LinkNoticed)) == 2)
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)


async def test_one_reference_on_two_orders_stops_the_account(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    await by_hand.stop()
    async with naive_reader(by_hand, OURS) as reader:
        trade = reader.placeOrder(stock(), naive_order(80, orderRef=spec.cl_ord_id))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_reference = {one.order.orderRef: one for one in reader.openTrades()}
        assert len(by_reference) == 1  # naive: one of them is out of sight
        assert len(by_hand.at_venue(spec.cl_ord_id)) == 2
    await by_hand.start()
    await by_hand.until(lambda: by_hand.heard(LinkNoticed))
    notice = by_hand.heard(LinkNoticed)[0]
    assert (notice.severity, notice.halts, notice.account) == ("critical", True, "main")
    assert "two orders" in notice.text


async def test_what_a_person_changes_in_tws_is_followed_and_told(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fault", kind="reject_change", code=201)
    by_hand.tell("amend", cl_ord_id=spec.cl_ord_id, qty="300")  # refused: the original lives
    by_hand.tell("amend", cl_ord_id=spec.cl_ord_id, qty="150", price="91")
    await by_hand.until(lambda: len(by_hand.heard(LinkNoticed)) == 3)
    told = " ".join(one.text for one in by_hand.heard(LinkNoticed))
    assert "201" in told
    assert "quantity 100 is 150 now" in told
    assert "limit 90 is 91 now" in told
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="150")
    await by_hand.until_status(spec, OrdStatus.FILLED)
    assert by_hand.filled(spec) == 150
    amended = [one.order_qty for one in by_hand.reports(spec) if one.exec_type is ExecType.RESTATED]
    assert amended == [150]


async def test_a_change_in_an_outage_that_made_a_second_order_stops_the_account(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fault", kind="change_doubles", client=NAIVE)
        by_hand.tell("amend", cl_ord_id="NAIVE", price="91")
        for one in by_hand.at_venue("NAIVE"):
            by_hand.tell("fill", cl_ord_id=str(one["perm_id"]), qty="100")
        await naive_until(lambda: trade.filled() == 200)  # naive: one order of 100, and nobody wonders
        assert len(reader.trades()) == 1
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("lost")
    by_hand.tell("fault", kind="change_doubles")
    by_hand.tell("amend", cl_ord_id=spec.cl_ord_id, price="91")
    by_hand.tell("restored", code=1102)
    await by_hand.until(lambda: any(one.halts for one in by_hand.heard(LinkNoticed)))
    first, second = by_hand.at_venue(spec.cl_ord_id)
    notice = next(one for one in by_hand.heard(LinkNoticed) if one.halts)
    assert f"cancel {second['perm_id']} in TWS" in notice.text
    by_hand.tell("withdraw", cl_ord_id=str(second["perm_id"]))
    by_hand.tell("fill", cl_ord_id=str(first["perm_id"]), qty="100")
    await by_hand.until(lambda: by_hand.filled(spec) == 100)


@pytest.mark.parametrize("is_shared", [False, True])
async def test_what_a_person_did_is_a_strangers_unless_another_link_answers_for_it(
    tmp_path: Path, is_shared: bool
) -> None:
    shared = {"main": ("core",)} if is_shared else {}
    async with grounds(tmp_path, shared=shared, positions_s=1) as ground:
        async with naive_reader(ground) as reader:
            ground.tell("manual", symbol="BBB", side="buy", qty="10")
            ground.tell("manual", symbol="BBB", side="buy", qty="10", price="40")
            await naive_until(lambda: any(one.contract.symbol == "BBB" for one in reader.positions()))
            assert (reader.fills(), await reader.reqOpenOrdersAsync()) == ([], [])  # naive: out of nowhere
        await ground.start()
        ground.tell("manual", symbol="AAA", side="buy", qty="10")
        await ground.until(
            lambda: any(one.symbol == "AAA" and one.qty == 10 for one in ground.heard(PositionStated))
        )
        strangers = [one.report for one in ground.heard(ReportReceived) if one.report.symbol == "AAA"]
        assert [(one.symbol, one.last_qty, one.account) for one in strangers] == (
            [] if is_shared else [("AAA", Decimal(10), "main")]
        )
        stated = next(one for one in ground.heard(PositionStated) if one.symbol == "AAA" and one.qty == 10)
        assert stated.shared_with == (("core",) if is_shared else ())
        assert stated.asked_at is not None


async def test_positions_are_stated_where_nothing_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.holdings.QUIET_S", 0.5)
    async with grounds(tmp_path, BY_HAND, positions_s=1, terms={"AAA": Terms("AAA")}) as ground:
        await ground.start()
        await ground.until(lambda: ground.heard(PositionStated))
        assert {(one.symbol, one.qty) for one in ground.heard(PositionStated)} == {("AAA", 0)}
        spec = ground.order()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.NEW)
        told = len(ground.heard(PositionStated))
        await asyncio.sleep(2)
        assert len(ground.heard(PositionStated)) == told  # its order is open
        ground.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
        await ground.until(
            lambda: ("AAA", 100) in {(one.symbol, one.qty) for one in ground.heard(PositionStated)}
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accounts": {"main": "DU999"}}, "TWS manages main, and not DU999; write links.tws.accounts.main"),
        ({"environment": "paper"}, 'main is a live account; write environment = "live"'),
    ],
)
async def test_a_tws_that_is_not_the_one_meant_ends_the_gateway(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    async with grounds(tmp_path, **changes) as ground:
        await ground.start(wait=False)
        with pytest.raises(ConfigError) as problem:
            await ground.until(ground.ups)
        assert words in str(problem.value)
        ground.broker, ground.listening = ground.broker, None
        assert ground.broker is not None
        await ground.broker.stop()
        ground.broker = None


def test_a_paper_account_is_no_live_one() -> None:
    settings = IbkrSettings("tws", "127.0.0.1", 4001, {"main": "DU1"}, {}, environment="live")
    with pytest.raises(ConfigError, match='write environment = "paper"'):
        settings.check(["DU1"])


async def test_an_order_in_doubt_is_never_called_unsent(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.tell("lost")
    await by_hand.until(by_hand.downs)
    by_hand.submit(spec, poss_resend=True)
    await by_hand.until(lambda: by_hand.heard(SendInDoubt))
    assert by_hand.heard(SendInDoubt)[0].cl_ord_id == spec.cl_ord_id
    assert by_hand.heard(SendWithheld) == []


async def test_what_waits_is_given_back_when_it_is_asked_about_or_the_end_comes(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND, working_orders=1) as ground:
        await ground.start()
        specs = [ground.order() for _ in range(3)]
        ground.submit(*specs)
        await ground.until_status(specs[0], OrdStatus.NEW)
        ground.look_up(specs[1])
        await ground.until(lambda: ground.heard(SendWithheld))
        (withheld,) = ground.heard(SendWithheld)
        assert (withheld.cl_ord_id, withheld.is_answer) == (specs[1].cl_ord_id, True)
        await ground.stop()
        assert [one.cl_ord_id for one in ground.heard(SendWithheld)] == [one.cl_ord_id for one in specs[1:]]


async def test_a_cancel_of_what_waits_takes_it_back(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND, working_orders=1) as ground:
        await ground.start()
        first, second = ground.order(), ground.order()
        ground.submit(first, second)
        await ground.until_status(first, OrdStatus.NEW)
        ground.cancel(second)
        await ground.until(lambda: ground.heard(SendWithheld))
        ground.cancel(first)
        await ground.until_status(first, OrdStatus.CANCELED)
        await asyncio.sleep(0.3)
        assert ground.at_venue(second.cl_ord_id) == []


async def test_a_tws_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    async with grounds(tmp_path) as ground:
        await ground.start(wait=False, port=1)
        await ground.until(ground.downs)
        await asyncio.sleep(1)
        assert ground.downs() == 1
        with pytest.raises(NotSent):
            ground.submit(ground.order())
        with pytest.raises(NotSent):
            ground.cancel(ground.order())


async def test_market_orders_and_sales_go_as_they_are_meant(tmp_path: Path) -> None:
    async with grounds(tmp_path, outside_rth=True) as ground:
        await ground.start()
        spec = ground.order(symbol="CCC", side=Side.SELL, ord_type=OrdType.MARKET, price=None)
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        (found,) = ground.at_venue(spec.cl_ord_id)
        assert found["side"] in ("sell", "SELL", "2")


async def test_what_cannot_be_read_is_told(by_hand: Ground) -> None:
    await by_hand.start()
    broker = by_hand.broker
    assert broker is not None
    assert broker._session is not None
    assert broker._session.line is not None
    decoder = broker._session.line.tws._client.decoder
    decoder.interpret(["3", "1", "Filled", "many"])  # too few fields, and no number
    decoder.interpret(["5", "1"])
    await by_hand.until(lambda: len(by_hand.heard(ReportUnreadable)) == 2)


# ------------------------------------------------------------------------------------------------ prices


@pytest.mark.parametrize(("mode", "is_delayed", "comes"), [
    ("live", False, True), ("live", True, True), ("delayed", True, True), ("delayed", False, False),
    ("none", False, False), ("competing", False, False),
])  # fmt: skip
async def test_prices_come_by_snapshot_and_delayed_ones_only_when_allowed(
    tmp_path: Path, mode: str, is_delayed: bool, comes: bool
) -> None:
    async with grounds(tmp_path, "--market-data", mode) as ground:
        settings = replace(ground.settings, client_id=12)
        source = IbkrQuotes(settings, tuple(PRICES), SystemClock().now, is_delayed=is_delayed, interval_s=0.2)
        await source.start(0)
        seen: list[PricesUpdated] = []

        async def read() -> None:
            async for batch in source.events():
                seen.extend(batch)

        reading = asyncio.create_task(read())
        for _ in range(150 if comes else 60):
            if seen:
                break
            await asyncio.sleep(0.02)
        source.acknowledge(1)
        await source.stop()
        await reading
        assert bool(seen) == comes
        if comes:
            assert {symbol: round(px) for symbol, px in seen[0].prices.items()} == PRICES
            late_s = (seen[0].at - seen[0].as_of).total_seconds()
            assert late_s == (900 if is_delayed else 0)


async def test_prices_come_again_after_the_line_broke(tmp_path: Path) -> None:
    async with grounds(tmp_path) as ground:
        settings = replace(ground.settings, client_id=12)
        source = IbkrQuotes(settings, ("AAA",), SystemClock().now, interval_s=0.2)
        await source.start(0)
        batches = source.events()
        await anext(batches)
        ground.tell("restart", seconds=0.3)
        ground.tell("price", symbol="AAA", price="105")
        found = await asyncio.wait_for(anext(batches), 10)
        assert round(found[0].prices["AAA"]) == 105
        await source.stop()
        assert [one async for one in batches] == []
