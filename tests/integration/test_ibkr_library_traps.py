"""Traps of the client libraries themselves: each reading of theirs fails on the wire, and ours does not."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ibkr_ground import NAIVE, OURS, Ground, grounds, naive_order, naive_reader, naive_until, stock

from adapters.ibkr import library
from adapters.ibkr.library import NAME, ib
from adapters.ibkr.settings import Terms
from gateway.domain.order import OrdStatus
from gateway.events import CancelRejected, LinkNoticed, MessageRefused

BY_HAND = "--fills-by-hand"
IS_ASYNC = NAME == "ib_async"


@pytest.fixture
async def by_hand(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, BY_HAND) as made:
        yield made


async def live(ground: Ground, **changes: Any) -> Any:
    """Start our broker and bring one order to life."""
    await ground.start()
    spec = ground.order(**changes)
    ground.submit(spec)
    await ground.until_status(spec, OrdStatus.NEW)
    return spec


def test_handlers_are_plain_functions_and_no_loop_is_patched() -> None:
    methods = [one for _, one in inspect.getmembers(library._Listener, inspect.isfunction)]
    assert len(methods) > 10
    assert not [one for one in methods if inspect.iscoroutinefunction(one)]
    source = "".join(path.read_text() for path in Path(library.__file__).parent.glob("*.py"))
    assert "patchAsyncio" not in source
    assert "nest_asyncio" not in source
    assert "startLoop" not in source


def test_a_loop_that_is_not_the_threads_own_loses_nothing(tmp_path: Path) -> None:
    """Under a loop factory (as uvloop is started) the libraries lose handlers, or do not connect at all."""

    async def play() -> None:
        async with grounds(tmp_path) as ground:
            await ground.start()
            spec = ground.marketable()
            ground.submit(spec)
            await ground.until_status(spec, OrdStatus.FILLED)
            assert ground.filled(spec) == 100

    async def naively(seen: list[Any]) -> None:
        async with grounds(tmp_path / "naive") as ground:
            reader = ib.IB()

            async def handler(*words: Any) -> None:
                seen.append(words)

            reader.execDetailsEvent += handler
            await reader.connectAsync("127.0.0.1", ground.stage.port, NAIVE, timeout=3)
            trade = reader.placeOrder(stock(), naive_order(110, orderRef="NAIVE"))
            await naive_until(lambda: trade.orderStatus.status == "Filled")
            await asyncio.sleep(0.3)
            reader.disconnect()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(play())
    lost = list[Any]()
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        other = asyncio.new_event_loop()
        asyncio.set_event_loop(other)  # what a program has that made its loop itself
        try:
            with contextlib.suppress(RuntimeError, TimeoutError, ConnectionError):
                runner.run(naively(lost))
            assert lost == []  # naive: 100 shares, and whoever waited for them never heard
            for task in asyncio.all_tasks(other):
                task.cancel()
            other.run_until_complete(asyncio.sleep(0))
        finally:
            asyncio.set_event_loop(None)
            other.close()


@pytest.mark.parametrize("code", [161, 10147])
async def test_a_cancel_that_was_refused_leaves_the_order_alive(by_hand: Ground, code: int) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fault", kind="reject_cancel", code=code, client=NAIVE)
        reader.cancelOrder(trade.order)
        await naive_until(lambda: trade.orderStatus.status == "Cancelled")  # naive: and it works on
        assert [one["status"] for one in by_hand.at_venue("NAIVE")] == ["new"]
    spec = await live(by_hand)
    by_hand.tell("fault", kind="reject_cancel", code=code, client=OURS)
    by_hand.cancel(spec)
    await by_hand.until(lambda: by_hand.heard(CancelRejected))
    await asyncio.sleep(0.6)
    assert OrdStatus.CANCELED not in by_hand.statuses(spec)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until_status(spec, OrdStatus.FILLED)


async def test_a_change_that_was_refused_leaves_the_order_alive(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("fault", kind="reject_change", client=NAIVE)
        trade.order.lmtPrice = 91
        reader.placeOrder(stock(), trade.order)
        await naive_until(lambda: trade.orderStatus.status == "Cancelled")  # naive: the original works on
        assert [one["status"] for one in by_hand.at_venue("NAIVE")] == ["new"]
    spec = await live(by_hand)
    by_hand.tell("fault", kind="reject_change", client=OURS)
    by_hand.tell("amend", cl_ord_id=spec.cl_ord_id, price="91")
    await by_hand.until(lambda: by_hand.heard(LinkNoticed))
    await asyncio.sleep(0.6)
    assert set(by_hand.statuses(spec)) == {OrdStatus.NEW}


async def test_an_order_is_the_same_order_after_a_drop(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("drop", client=NAIVE)
        await naive_until(lambda: not reader.isConnected())
        by_hand.tell("fill", cl_ord_id="NAIVE", qty="100")
        await reader.connectAsync("127.0.0.1", by_hand.stage.port, NAIVE, timeout=3)
        await asyncio.sleep(0.3)
        assert trade.orderStatus.status == "Submitted"  # naive: for ever
    spec = await live(by_hand)
    by_hand.tell("drop", client=OURS)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until(lambda: by_hand.filled(spec) == 100)


async def test_a_finished_order_is_not_sent_again(tmp_path: Path) -> None:
    async with grounds(tmp_path) as ground:
        async with naive_reader(ground) as reader:
            codes = list[int]()
            reader.errorEvent += lambda _req_id, code, *_: codes.append(code)
            trade = reader.placeOrder(stock(), naive_order(110, orderRef="NAIVE"))
            await naive_until(lambda: trade.orderStatus.status == "Filled")
            with contextlib.suppress(AssertionError):
                reader.placeOrder(stock(), trade.order)
            await naive_until(lambda: 104 in codes)  # naive: it left all the same, before the assertion
        await ground.start()
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        ground.submit(spec, poss_resend=True)
        await asyncio.sleep(0.6)
        assert len(ground.at_venue(spec.cl_ord_id)) == 1
        assert ground.filled(spec) == 100


async def test_a_word_nobody_knows_is_neither_alive_nor_dead_to_the_library(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("order_status", cl_ord_id="NAIVE", status="Sleeping")
        await naive_until(lambda: trade.orderStatus.status == "Sleeping")
        assert not trade.isActive()
        assert not trade.isDone()  # naive: in no list that anybody looks at
    spec = await live(by_hand)
    by_hand.tell("order_status", cl_ord_id=spec.cl_ord_id, status="Sleeping")
    await by_hand.until(lambda: by_hand.heard(LinkNoticed))
    assert "Sleeping" in by_hand.heard(LinkNoticed)[0].text
    await asyncio.sleep(0.6)
    assert set(by_hand.statuses(spec)) == {OrdStatus.NEW}


async def test_inactive_is_no_end(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        trade = reader.placeOrder(stock(), naive_order(90, orderRef="NAIVE"))
        await naive_until(lambda: trade.orderStatus.status == "Submitted")
        by_hand.tell("order_status", cl_ord_id="NAIVE", status="Inactive")
        await naive_until(lambda: trade.orderStatus.status == "Inactive")
        assert trade.isDone() == IS_ASYNC  # naive: the two libraries do not even agree
    spec = await live(by_hand)
    by_hand.tell("order_status", cl_ord_id=spec.cl_ord_id, status="Inactive")
    await asyncio.sleep(0.8)
    assert not spec_is_final(by_hand, spec)
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until_status(spec, OrdStatus.FILLED)


def spec_is_final(ground: Ground, spec: Any) -> bool:
    return any(one.is_final for one in ground.statuses(spec))


async def test_an_outage_multiplies_no_subscription(by_hand: Ground) -> None:
    async def codes_after_outages(say: Callable[[], Awaitable[None]], codes: list[int]) -> None:
        for _ in range(4):
            by_hand.tell("lost")
            by_hand.tell("restored", code=1102)
            await say()
        await asyncio.sleep(0.3)
        codes.sort()

    async with naive_reader(by_hand) as reader:
        naive = list[int]()
        reader.errorEvent += lambda _req_id, code, *_: naive.append(code)
        await reader.accountSummaryAsync()
        await codes_after_outages(lambda: asyncio.sleep(0.1), naive)
        assert 322 in naive  # naive: one more summary with each 1102, until TWS has enough
    await by_hand.start()
    for number in range(4):
        by_hand.tell("lost")
        by_hand.tell("restored", code=1102)
        await by_hand.until(lambda ups=number + 2: by_hand.ups() >= ups)
    assert not [one for one in by_hand.heard(LinkNoticed) if "322" in one.text]


async def test_a_cancel_of_the_librarys_waits_behind_its_orders(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND, working_orders=1000) as ground:
        async with naive_reader(ground) as reader:
            first = reader.placeOrder(stock("BBB"), naive_order(40, orderRef="FIRST"))
            await naive_until(lambda: first.orderStatus.status == "Submitted")
            for _ in range(100):
                reader.placeOrder(stock(), naive_order(80, qty=1, orderRef="MANY"))
            reader.cancelOrder(first.order)
            await naive_until(lambda: first.orderStatus.status == "Cancelled")
            assert len(ground.at_venue("MANY")) == 100  # naive: the cancel came last
        await ground.start()
        first_of_ours = ground.order(symbol="BBB", price=Decimal(40))
        ground.submit(first_of_ours)
        await ground.until_status(first_of_ours, OrdStatus.NEW)
        many = [ground.order(order_qty=Decimal(1)) for _ in range(100)]
        ground.submit(*many)
        await asyncio.sleep(0.1)
        ground.cancel(first_of_ours)
        await ground.until_status(first_of_ours, OrdStatus.CANCELED)
        assert sum(bool(ground.at_venue(one.cl_ord_id)) for one in many) < 60


async def test_a_what_if_that_is_never_answered_holds_nothing_up(tmp_path: Path) -> None:
    async with grounds(tmp_path, what_if=True, what_if_timeout_s=0.5) as ground:
        async with naive_reader(ground) as reader:
            ground.tell("fault", kind="what_if_lost", client=NAIVE)
            with pytest.raises(TimeoutError):  # naive: without this, for ever
                await asyncio.wait_for(reader.whatIfOrderAsync(stock(), naive_order(90)), 1.0)
            if not IS_ASYNC:
                ground.tell("fault", kind="what_if_unset", client=NAIVE)
                state = await asyncio.wait_for(reader.whatIfOrderAsync(stock(), naive_order(90)), 1.0)
                assert "E308" in str(state.initMarginAfter)  # naive: a margin of 300 digits
        await ground.start()
        for kind in ("what_if_lost", "what_if_unset"):
            ground.tell("fault", kind=kind, client=OURS)
            spec = ground.marketable()
            ground.submit(spec)
            await ground.until_status(spec, OrdStatus.FILLED)
        ground.tell("fault", kind="what_if_unset", client=OURS)
        bad = ground.marketable(order_qty=Decimal(100_000))
        ground.submit(bad)
        await asyncio.sleep(1.0)
        assert ground.at_venue(bad.cl_ord_id) == []  # the true answer behind the unset one was waited for


async def test_a_refused_question_is_not_an_empty_answer(by_hand: Ground) -> None:
    async with naive_reader(by_hand) as reader:
        assert await reader.reqContractDetailsAsync(stock("NOPE")) == []  # naive: no error, no contract
    await by_hand.start(terms={"NOPE": Terms("NOPE")})
    by_hand.submit(by_hand.order(symbol="NOPE"))
    await by_hand.until(lambda: by_hand.heard(MessageRefused))
    assert by_hand.heard(MessageRefused)[0].text.startswith("200: No security definition")
