"""Traps of reading: what a message, its order among others, or its code seems to say, and does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ibkr_ground import NAIVE, Ground, grounds, naive_order, naive_reader, naive_until, stock

from adapters.ibkr.codes import TABLE, Action
from adapters.ibkr.library import ib
from adapters.ibkr.wire import MAX_ID
from gateway.domain.order import ExecType, OrdStatus, OrdType
from gateway.events import CancelRejected, LinkNoticed, SendWithheld

BY_HAND = "--fills-by-hand"
OF_THE_LINE = {
    Action.CUT_OFF, Action.RESTORED, Action.RECONNECT, Action.ID_IN_USE, Action.TOO_FAST, Action.FARM_BROKEN,
    Action.FARM_OK,
}  # fmt: skip
UNKNOWN = (388, 391, 463, 481, 10185, 10186, 10187, 99_999)


@pytest.fixture
async def by_hand(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, BY_HAND) as made:
        yield made


async def test_a_market_order_is_never_submitted(tmp_path: Path) -> None:
    async with grounds(tmp_path) as ground:
        async with naive_reader(ground) as reader:
            words, shown = list[str](), list[str]()
            reader.orderStatusEvent += lambda trade: words.append(trade.orderStatus.status)
            reader.openOrderEvent += lambda trade: shown.append(trade.orderStatus.status)
            order = ib.MarketOrder("BUY", 100, account="main", tif="DAY", orderRef="NAIVE")
            trade = reader.placeOrder(stock(), order)
            await naive_until(lambda: trade.orderStatus.status == "Filled")
            assert "Submitted" not in words  # naive: who waits for it to work waits for ever
            assert shown[0] == "PendingSubmit"  # naive: and openOrder had said PreSubmitted
        await ground.start()
        spec = ground.order(ord_type=OrdType.MARKET, price=None)
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        assert ground.filled(spec) == 100


async def test_whatever_comes_twice_or_first_is_booked_once(by_hand: Ground) -> None:
    def confuse() -> None:
        for kind in ("duplicate_status", "status_first", "duplicate_execution"):
            by_hand.tell("fault", kind=kind, count=100)

    async with naive_reader(by_hand) as reader:
        confuse()
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        filled, opened = list[float](), list[str]()
        trade.filledEvent += lambda done: filled.append(done.filled())
        reader.openOrderEvent += lambda one: opened.append(one.order.orderRef)
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="40")
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="60")
        await naive_until(lambda: trade.filled() == 100)
        assert filled == [40]  # naive: "filled", said with two fifths of the shares
        assert len(opened) > 2  # naive: more orders opened than there are
    by_hand.tell("clear")
    confuse()
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="40")
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="60")
    await by_hand.until_status(spec, OrdStatus.FILLED)
    told = [(one.exec_type, one.last_qty, one.cum_qty) for one in by_hand.reports(spec) if one.last_qty]
    assert told == [(ExecType.TRADE, 40, 40), (ExecType.TRADE, 60, 100)]


async def test_every_code_said_of_a_working_order_leaves_it_working(tmp_path: Path) -> None:
    codes = [row.code for row in TABLE.values() if row.action not in {*OF_THE_LINE, Action.CANCELLED}]
    codes += UNKNOWN
    async with grounds(tmp_path, BY_HAND, "--max-rate", "0", working_orders=1000) as ground:
        async with naive_reader(ground) as reader:
            trades = {
                code: reader.placeOrder(stock(), naive_order(80, qty=1, orderRef=f"N{code}"))
                for code in codes
            }  # fmt: skip
            await naive_until(lambda: {one.orderStatus.status for one in trades.values()} == {"Submitted"})
            for code in codes:
                ground.tell(
                    "error", cl_ord_id=f"N{code}", code=code, text=f"text of {code}. state: Submitted"
                )
            await naive_until(lambda: trades[codes[-1]].orderStatus.status == "Cancelled")
            dead = {code for code, one in trades.items() if one.orderStatus.status == "Cancelled"}
            assert len(dead) > len(codes) * 3 // 4  # naive: over, and every one of them works
            assert {10349, 10147, 10148, 161, 201, 99_999} <= dead
            alive = {one["cl_ord_id"] for one in ground.tell("record")["orders"] if one["status"] == "new"}
            assert alive == {f"N{code}" for code in codes}
        await ground.start(messages_per_s=500)
        specs = {code: ground.order() for code in codes}
        ground.submit(*specs.values())
        await ground.until(lambda: all(OrdStatus.NEW in ground.statuses(one) for one in specs.values()))
        for code, spec in specs.items():
            ground.tell(
                "error", cl_ord_id=spec.cl_ord_id, code=code, text=f"text of {code}. state: Submitted"
            )
        noticed = [code for code in codes if code in UNKNOWN]
        await ground.until(
            lambda: all(any(f"{code}:" in one.text for one in ground.heard(LinkNoticed)) for code in noticed)
        )
        await asyncio.sleep(1.0)  # questions about them have been answered
        assert {code for code, one in specs.items() if any(s.is_final for s in ground.statuses(one))} == set()
        assert ground.downs() == 0
        last = specs[codes[0]]
        ground.tell("fill", cl_ord_id=last.cl_ord_id, qty="100")
        await ground.until_status(last, OrdStatus.FILLED)


async def test_an_id_beyond_32_bits_is_never_sent(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        codes = list[int]()
        reader.errorEvent += lambda _req_id, code, *_: codes.append(code)
        reader.client.updateReqId(MAX_ID + 1)
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: 320 in codes)  # naive: it left, and TWS could not read it
        assert (trade.orderStatus.status, by_hand.at_venue("NAIVE")) == ("PendingSubmit", [])
    await by_hand.start()
    assert by_hand.broker is not None
    await by_hand.until(lambda: len(by_hand.broker._contracts._listed) == 3)  # type: ignore[union-attr]
    by_hand.broker._ids.highest = MAX_ID
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until(lambda: by_hand.heard(SendWithheld))
    assert "reset its API order id sequence" in by_hand.heard(SendWithheld)[0].reason
    assert by_hand.at_venue(spec.cl_ord_id) == []


async def test_a_message_nobody_knows_is_told_once(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        heard = list[object]()
        reader.errorEvent += lambda *words: heard.append(words)
        by_hand.tell("utter", message=9_999)
        await asyncio.sleep(0.3)
        assert (heard, reader.isConnected()) == ([], True)  # naive: whatever it was, nobody hears of it
    await by_hand.start()
    by_hand.tell("utter", message=9_999)
    by_hand.tell("utter", message=9_999)
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    (notice,) = by_hand.heard(LinkNoticed)
    assert "9999" in notice.text


async def test_an_order_of_an_earlier_process_can_be_cancelled(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
    async with naive_reader(by_hand, NAIVE + 1) as reader:  # as examples do: any id that is free
        codes = list[int]()
        reader.errorEvent += lambda _req_id, code, *_: codes.append(code)
        (order,) = [one.order for one in await reader.reqAllOpenOrdersAsync()]
        reader.cancelOrder(order)
        await naive_until(lambda: {10147, 10148, 10149} & set(codes))  # naive: not this client's to cancel
        assert [one["status"] for one in by_hand.at_venue("NAIVE")] == ["new"]
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    await by_hand.stop()
    await by_hand.start()
    by_hand.cancel(spec)
    await by_hand.until_status(spec, OrdStatus.CANCELED)
    assert by_hand.heard(CancelRejected) == []
