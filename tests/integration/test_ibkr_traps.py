"""Each trap of TWS and its client library: the naive reading fails, and ours is right."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ibkr_ground import (
    NAIVE,
    OURS,
    Ground,
    grounds,
    naive_order,
    naive_reader,
    naive_until,
    stock,
)

from adapters.ibkr.library import NAME, ib
from gateway.domain.order import ExecType, OrdStatus
from gateway.events import CancelRejected, LinkDown, LinkNoticed, MessageRefused, SendWithheld

BY_HAND = "--fills-by-hand"


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path) as made:
        yield made


@pytest.fixture
async def by_hand(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, BY_HAND) as made:
        yield made


async def test_10349_says_nothing_about_the_order(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        by_hand.tell("fault", kind="inform", client=NAIVE)
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: any(entry.errorCode == 10349 for entry in trade.log))
        assert trade.orderStatus.status == "Cancelled"  # naive: dead, while the venue has it working
        assert [one["status"] for one in by_hand.at_venue("NAIVE")] == ["new"]
    await by_hand.start()
    spec = by_hand.order()
    by_hand.tell("fault", kind="inform", client=OURS)
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    await asyncio.sleep(0.5)
    assert set(by_hand.statuses(spec)) == {OrdStatus.NEW}


@pytest.mark.parametrize("code", [388, 463, 481, 103, 201, 10268, 99])
async def test_a_code_on_a_working_order_ends_nothing(by_hand: Ground, code: int) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("error", cl_ord_id="NAIVE", code=code, text="something about your order")
        await naive_until(lambda: trade.orderStatus.status == "Cancelled")  # naive
        assert [one["status"] for one in by_hand.at_venue("NAIVE")] == ["new"]
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("error", cl_ord_id=spec.cl_ord_id, code=code, text="something about your order")
    await by_hand.until(lambda: by_hand.heard(LinkNoticed))
    assert str(code) in by_hand.heard(LinkNoticed)[0].text
    await asyncio.sleep(0.6)
    assert set(by_hand.statuses(spec)) == {OrdStatus.NEW}
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until_status(spec, OrdStatus.FILLED)


async def test_10148_filled_is_a_fill(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fault", kind="cancel_too_late", seconds=1.0, client=NAIVE)
        reader.cancelOrder(trade.order)
        await naive_until(lambda: any(entry.errorCode == 10148 for entry in trade.log))
        assert trade.orderStatus.status == "Cancelled"  # naive: it has filled
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fault", kind="cancel_too_late", seconds=1.0, client=OURS)
    by_hand.cancel(spec)
    await by_hand.until_status(spec, OrdStatus.FILLED)
    assert by_hand.filled(spec) == 100
    assert OrdStatus.CANCELED not in by_hand.statuses(spec)
    assert by_hand.heard(CancelRejected)[0].orig_cl_ord_id == spec.cl_ord_id


async def test_a_fill_while_we_were_away_is_told(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
    by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
    reader, seen = ib.IB(), list[object]()
    reader.execDetailsEvent += lambda *words: seen.append(words)
    await reader.connectAsync("127.0.0.1", by_hand.stage.port, NAIVE, timeout=3)
    assert len(reader.fills()) == 1
    assert seen == []  # naive: whoever waits for the event never hears of it
    reader.disconnect()

    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    await by_hand.stop()
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.start()
    await by_hand.until(lambda: by_hand.filled(spec) == 100)
    by_hand.look_up(spec)
    await by_hand.until_status(spec, OrdStatus.FILLED)


async def test_a_corrected_execution_replaces_the_first(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
        await naive_until(lambda: trade.fills)
        exec_id = trade.fills[0].execution.execId
        by_hand.tell("correct", exec_id=exec_id, qty="100", price="89.50")
        await naive_until(lambda: len(trade.fills) > 1)
        assert trade.filled() == 200  # naive: an order of 100
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until(lambda: by_hand.fills(spec))
    exec_id = by_hand.fills(spec)[0].exec_id
    by_hand.tell("correct", exec_id=exec_id, qty="100", price="89.50")
    await by_hand.until(lambda: any(one.exec_type is ExecType.TRADE_CORRECT for one in by_hand.reports(spec)))
    corrected = next(one for one in by_hand.reports(spec) if one.exec_type is ExecType.TRADE_CORRECT)
    assert (corrected.exec_ref_id, corrected.last_px) == (exec_id, Decimal("89.50"))
    assert by_hand.filled(spec) == corrected.cum_qty == 100


async def test_a_commission_may_come_before_its_execution(by_hand: Ground) -> None:
    by_hand.tell("fault", kind="commission_first", count=2)
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
        await naive_until(lambda: trade.orderStatus.status == "Filled")
        await asyncio.sleep(0.3)
        assert trade.fills[0].commissionReport.commission == 0  # naive: it was 1
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until_status(spec, OrdStatus.FILLED)
    assert [one.commission for one in by_hand.fills(spec)] == [Decimal(1)]


@pytest.mark.parametrize(("wait_s", "late_s"), [(3.0, 1.0), (0.2, 1.5)])
async def test_a_late_commission_is_waited_for_or_made_good(
    tmp_path: Path, wait_s: float, late_s: float
) -> None:
    async with grounds(tmp_path, BY_HAND, commission_wait_s=wait_s) as by_hand:
        async with naive_reader(by_hand) as reader:
            by_hand.tell("fault", kind="commission_late", seconds=late_s, client=NAIVE)
            trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
            paid = list[float]()
            trade.filledEvent += lambda done: paid.append(done.fills[0].commissionReport.commission)
            await naive_until(lambda: trade.orderStatus.status == "Submitted")
            by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
            await naive_until(lambda: paid)
            assert paid == [0]  # naive: filled, so it is booked, and it cost nothing
        by_hand.tell("fault", kind="commission_late", seconds=late_s, client=OURS)
        await by_hand.start()
        spec = by_hand.order()
        by_hand.submit(spec)
        await by_hand.until_status(spec, OrdStatus.NEW)
        by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
        await by_hand.until(lambda: any(one.commission == 1 for one in by_hand.reports(spec)))
        last = by_hand.reports(spec)
        kinds = [one.exec_type for one in last if one.last_qty]
        is_waited_for = wait_s > late_s
        assert kinds == [ExecType.TRADE] if is_waited_for else [ExecType.TRADE, ExecType.TRADE_CORRECT]
        assert max(one.cum_qty for one in last) == 100


@pytest.mark.parametrize("message", [53, 55, 62, 102])
async def test_an_answer_without_its_end_is_not_empty(by_hand: Ground, message: int) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    await by_hand.stop()
    by_hand.tell("fault", kind="missing_end", message=message, client=NAIVE, count=2)
    if message == 55 and NAME == "ib_insync":
        with pytest.raises(TimeoutError):  # naive: without executions it never connects
            await ib.IB().connectAsync("127.0.0.1", by_hand.stage.port, NAIVE, timeout=1)
    else:
        async with naive_reader(by_hand, timeout=1) as reader:  # naive: connected, as if all were known
            assert reader.isConnected()
    by_hand.tell("fault", kind="missing_end", message=message, client=OURS)
    began = time.monotonic()
    await by_hand.start()  # it comes up by asking again, on a line of its own, not by giving up
    assert time.monotonic() - began > by_hand.settings.answer_timeout_s
    by_hand.look_up(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    assert not by_hand.unknown(spec)


@pytest.mark.parametrize(("kind", "message"), [("slow_end", 53), ("slow_answer", 16), ("slow_answer", 99)])
async def test_an_answer_that_is_slow_is_not_taken_for_the_next_ones(
    by_hand: Ground, kind: str, message: int
) -> None:
    async with naive_reader(by_hand) as reader:
        for _ in range(2):
            by_hand.tell("fault", kind="slow_answer", message=5, seconds=1.0, client=NAIVE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.reqOpenOrdersAsync(), 0.3)
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        assert await reader.reqOpenOrdersAsync() == []  # naive: the answer of before, and the order works
        assert len(by_hand.at_venue("NAIVE")) == 1
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fault", kind=kind, message=message, seconds=3.0, client=OURS)
    by_hand.look_up(spec)
    await by_hand.until(lambda: by_hand.ups() == 2)
    by_hand.look_up(spec)
    await asyncio.sleep(1.5)
    assert not by_hand.unknown(spec)
    assert set(by_hand.statuses(spec)) == {OrdStatus.NEW}


async def test_order_ids_that_went_back_over_a_restart_change_no_old_order(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        first = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE1"))
        await naive_until(lambda: first.orderStatus.status == "Submitted")
        first_id = first.order.orderId
    by_hand.tell("rollback", count="20")
    late = ib.IB().client
    await late.connectAsync("127.0.0.1", by_hand.stage.port, NAIVE, 3)
    late._reqIdSeq = first_id  # naive: what TWS says, and nothing else, is the next id
    late.placeOrder(late.getReqId(), stock(), naive_order(80, orderRef="NAIVE2"))
    await asyncio.sleep(0.5)
    late.disconnect()
    assert len([one for one in by_hand.tell("record")["orders"] if one["status"] == "new"]) == 1

    await by_hand.start()
    old = by_hand.order()
    by_hand.submit(old)
    await by_hand.until_status(old, OrdStatus.NEW)
    by_hand.tell("restart", seconds=0.2, rollback=20)
    await by_hand.until(lambda: by_hand.ups() == 2)
    new = by_hand.order(price=Decimal(80))
    by_hand.submit(new)
    await by_hand.until_status(new, OrdStatus.NEW)
    for spec, price in ((old, 90), (new, 80)):
        (found,) = by_hand.at_venue(spec.cl_ord_id)
        assert (found["status"], Decimal(found["price"])) == ("new", price)


async def test_an_id_that_was_used_before_costs_a_try_and_no_order(ground: Ground) -> None:
    async with naive_reader(ground) as reader:
        filled = reader.placeOrder(stock(), naive_order(110, orderRef="NAIVE1"))
        await naive_until(lambda: filled.orderStatus.status == "Filled")
    async with naive_reader(ground) as reader:
        reader.client._reqIdSeq = filled.order.orderId
        trade = reader.placeOrder(stock("BBB"), naive_order(60, orderRef="NAIVE2"))
        await naive_until(lambda: trade.orderStatus.status == "Cancelled")  # naive: an end, of an id
        assert ground.at_venue("NAIVE2") == []
    await ground.start()
    done = ground.marketable()
    ground.submit(done)
    await ground.until_status(done, OrdStatus.FILLED)
    assert ground.broker is not None
    ground.broker._ids.highest = 0  # as if our memory and what TWS says had both been lost
    spec = ground.marketable()
    ground.submit(spec)
    await ground.until(lambda: ground.heard(SendWithheld))
    assert ground.heard(SendWithheld)[0].cl_ord_id == spec.cl_ord_id
    ground.submit(spec)
    await ground.until_status(spec, OrdStatus.FILLED)
    assert [len(ground.at_venue(one.cl_ord_id)) for one in (done, spec)] == [1, 1]
    assert OrdStatus.REJECTED not in ground.statuses(spec)


async def test_a_nul_in_the_reference_never_reaches_the_wire(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        before = len(by_hand.tell("record")["orders"])
        reader.placeOrder(stock(), naive_order(90, orderRef="A\x001\x002\x003"))
        await asyncio.sleep(0.5)
        taken = by_hand.tell("record")["orders"][before:]
        is_as_meant = bool(taken) and taken[0]["cl_ord_id"] == "A\x001\x002\x003"
        assert not is_as_meant  # naive: its fields were read as other fields, or the session is gone
    await by_hand.start()
    spec = by_hand.order(cl_ord_id="A\x001\x002\x003")
    by_hand.submit(spec)
    await by_hand.until(lambda: by_hand.heard(MessageRefused))
    assert "printable ASCII" in by_hand.heard(MessageRefused)[0].text
    assert by_hand.downs() == 0


@pytest.mark.parametrize("qty", ["NaN", "-5", "0", "Infinity"])
async def test_no_impossible_quantity_is_sent(by_hand: Ground, qty: str) -> None:
    async with naive_reader(by_hand) as reader:
        codes = list[int]()
        reader.errorEvent += lambda _req_id, code, *_: codes.append(code)
        reader.placeOrder(stock(), naive_order(90, qty=float(qty), orderRef="NAIVE"))
        await naive_until(lambda: {320, 321, 434} & set(codes))  # naive: TWS's own answer, so it had left
    await by_hand.start()
    before = len(by_hand.tell("record")["orders"])
    by_hand.submit(by_hand.order(order_qty=Decimal(qty)))
    await by_hand.until(lambda: by_hand.heard(MessageRefused))
    assert len(by_hand.tell("record")["orders"]) == before


async def test_a_time_zone_nobody_knows_loses_no_fill(by_hand: Ground) -> None:
    by_hand.tell("fault", kind="bad_zone", count=2)
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
        await naive_until(lambda: trade.orderStatus.status == "Filled")
        assert trade.fills == []  # naive: only a line in a log
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until_status(spec, OrdStatus.FILLED)
    assert by_hand.filled(spec) == 100


async def test_a_lost_execution_is_asked_for(by_hand: Ground) -> None:
    by_hand.tell("fault", kind="execution_lost", count=2)
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
        await naive_until(lambda: trade.orderStatus.status == "Filled")
        assert trade.fills == []  # naive: filled, and not a share in its book
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until_status(spec, OrdStatus.FILLED)
    assert [(one.last_qty, one.commission) for one in by_hand.fills(spec)] == [(Decimal(100), Decimal(1))]


async def test_a_completed_order_says_zero_filled_and_means_all(ground: Ground) -> None:
    async with naive_reader(ground) as reader:
        trade = reader.placeOrder(stock(), naive_order(110, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Filled")
    async with naive_reader(ground, client_id=NAIVE + 1) as reader:
        (done,) = await reader.reqCompletedOrdersAsync(apiOnly=False)
        assert (done.order.orderId, done.orderStatus.filled) == (0, 0)  # naive
    await ground.start()
    spec = ground.marketable()
    ground.submit(spec)
    await ground.until_status(spec, OrdStatus.FILLED)
    await ground.stop()
    await ground.start()
    ground.look_up(spec)
    await ground.until_status(spec, OrdStatus.FILLED)
    assert ground.filled(spec) == 100


async def test_two_questions_at_once_are_both_answered(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        first = asyncio.ensure_future(reader.reqOpenOrdersAsync())
        second = asyncio.ensure_future(reader.reqOpenOrdersAsync())
        await asyncio.wait([second], timeout=2)
        await asyncio.wait([first], timeout=0.5)
        assert not first.done()  # naive: it waits for ever
        first.cancel()
    await by_hand.start()
    specs = [by_hand.order() for _ in range(3)]
    by_hand.submit(*specs)
    await by_hand.until(lambda: all(by_hand.reports(one) for one in specs))
    told = len(by_hand.said)
    for spec in specs:
        by_hand.look_up(spec)
        await asyncio.sleep(0.01)
    await by_hand.until(lambda: len(by_hand.said) >= told + 3)
    assert by_hand.downs() == 0


async def test_fills_count_while_tws_has_lost_ibkr_and_nothing_is_sent(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        codes, booked = list[int](), list[float]()

        def book(_trade: object, fill: Any) -> None:
            if codes[-1:] != [1100]:  # naive: "we are not connected", as one public engine did
                booked.append(fill.execution.shares)

        reader.errorEvent += lambda _req_id, code, *_: codes.append(code)
        reader.execDetailsEvent += book
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fault", kind="outage_in_fill", seconds=0.5, code=1102)
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
        await naive_until(lambda: codes[-1:] == [1102])
        await asyncio.sleep(0.3)
        assert (trade.filled(), booked) == (100, [])
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fault", kind="outage_in_fill", seconds=1.5, code=1101)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until(lambda: by_hand.filled(spec) == 100)
    assert by_hand.downs() == 1
    assert by_hand.ups() == 1  # told while it was cut off
    await by_hand.until(lambda: by_hand.ups() == 2)
    assert by_hand.downs() == 1


async def test_an_outage_that_is_told_for_hours_is_told_once(by_hand: Ground) -> None:
    def lose() -> None:
        by_hand.tell("lost")
        for _ in range(5):
            by_hand.tell("warn", code=1100, text="Connectivity between IBKR and TWS has been lost.")

    async with naive_reader(by_hand) as reader:
        alerts = list[int]()
        reader.errorEvent += lambda _req_id, code, *_: alerts.append(code)
        lose()
        await naive_until(lambda: alerts == [1100] * 6)  # naive: an alert each, for hours
        by_hand.tell("restored", code=1102)
    await by_hand.start()
    lose()
    await by_hand.until(by_hand.downs)
    with pytest.raises(Exception, match="down"):
        by_hand.submit(by_hand.order())
    by_hand.tell("restored", code=1102)
    await by_hand.until(lambda: by_hand.ups() == 2)
    assert [type(one) for one in by_hand.said if isinstance(one, LinkDown)] == [LinkDown]


async def test_a_client_id_in_use_is_seen_at_once_and_the_spare_one_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.session.ID_PAUSE_S", 0.2)
    async with grounds(tmp_path, spare_client_id=OURS + 1) as ground, naive_reader(ground, OURS):
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await ib.IB().connectAsync("127.0.0.1", ground.stage.port, OURS, timeout=1.5)
        assert time.monotonic() - began >= 1.5  # naive: the whole time-out, and no word why
        await ground.start()
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        assert ground.tell("status")["clients"] == [OURS, OURS + 1]


async def test_an_order_lost_on_the_way_and_an_answer_lost_are_told_apart(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trades = {}
        for kind in ("cut_before_order", "cut_after_order"):
            by_hand.tell("fault", kind=kind, client=NAIVE)
            trades[kind] = reader.placeOrder(stock(), naive_order(90, orderRef=kind))
            await naive_until(lambda: not reader.isConnected())
            await reader.connectAsync("127.0.0.1", by_hand.stage.port, NAIVE, timeout=3)
        assert {one.orderStatus.status for one in trades.values()} == {"PendingSubmit"}
        for kind in trades:  # naive: nothing was heard of either, so both go again
            reader.placeOrder(stock(), naive_order(90, orderRef=kind))
        await naive_until(lambda: len(by_hand.at_venue("cut_after_order")) == 2)
        assert len(by_hand.at_venue("cut_before_order")) == 1
    await by_hand.start()
    lost, taken = by_hand.order(), by_hand.order()
    by_hand.tell("fault", kind="cut_before_order")
    by_hand.submit(lost)
    await by_hand.until(lambda: by_hand.ups() == 2)
    by_hand.tell("fault", kind="cut_after_order")
    by_hand.submit(taken)
    await by_hand.until(lambda: by_hand.ups() == 3)
    by_hand.look_up(lost, taken)
    await by_hand.until(lambda: by_hand.unknown(lost))
    await by_hand.until_status(taken, OrdStatus.NEW)
    assert not by_hand.unknown(taken)
    by_hand.submit(lost, poss_resend=True)
    await by_hand.until_status(lost, OrdStatus.NEW)
    by_hand.submit(taken, poss_resend=True)  # it is there: it is told, not sent
    await asyncio.sleep(0.5)
    assert [len(by_hand.at_venue(one.cl_ord_id)) for one in (lost, taken)] == [1, 1]


async def test_one_pace_for_all_and_cancels_first(tmp_path: Path) -> None:
    async with grounds(
        tmp_path, BY_HAND, "--max-rate", "30", working_orders=1000, messages_per_s=15
    ) as ground:
        async with naive_reader(ground) as one, naive_reader(ground, NAIVE + 1) as other:
            codes = list[int]()
            for reader in (one, other):  # naive: each keeps to the limit by itself, and TWS adds them up
                reader.client.MaxRequests = 25
                reader.errorEvent += lambda _req_id, code, *_: codes.append(code)
                for _ in range(60):
                    reader.placeOrder(stock(), naive_order(80, qty=1, orderRef="NAIVE"))
            await naive_until(lambda: 100 in codes)
        await asyncio.sleep(1.0)  # the second they spoke too fast in is over
        await ground.start()
        await asyncio.sleep(0.5)
        first = ground.order(symbol="BBB", price=Decimal(40))
        ground.submit(first)
        await ground.until_status(first, OrdStatus.NEW)
        many = [ground.order() for _ in range(100)]
        ground.submit(*many)
        await asyncio.sleep(0.1)
        ground.cancel(first)
        await ground.until_status(first, OrdStatus.CANCELED)
        assert sum(bool(ground.reports(one)) for one in many) < 60
        await ground.until(lambda: all(ground.reports(one) for one in many))
        assert ground.downs() == 0  # and nobody was ever too fast


def test_which_library_this_is() -> None:
    assert NAME in ("ib_async", "ib_insync")
