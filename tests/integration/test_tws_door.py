from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from ib_async import IB, ExecutionFilter, LimitOrder, MarketOrder, Stock, Trade
from patience import PATIENCE_S, until
from tws_process import RawClient, TwsProcess

from simulator.control import ask

SCRIPTS = Path(__file__).parents[1] / "tws_clients"
INTERPRETERS = {
    "ib_async": (sys.executable, "play_ib.py", 178),
    "ib_insync": (os.environ.get("GATEWAY_IB_INSYNC_PYTHON"), "play_ib.py", 176),
    "ibapi": (os.environ.get("GATEWAY_IBAPI_PYTHON"), "play_ibapi.py", 157),
    "ibapi_current": (os.environ.get("GATEWAY_IBAPI_CURRENT_PYTHON"), "play_ibapi.py", 178),
}
AROUND_IB = dict.fromkeys(
    ("history", "head", "chains", "components", "depth exchanges", "providers", "histogram", "ticks", "user"),
    0,
) | {"matching": 1, "scanner": 47, "all open": 0, "gains": 14.0}
AROUND_IBAPI = [
    "pnl", "pnlSingle", "positionMultiEnd", "accountUpdateMultiEnd", "symbolSamples", "familyCodes",
    "scannerParameters", "newsProviders", "mktDepthExchanges", "softDollarTiers",
    "securityDefinitionOptionParameterEnd", "displayGroupList", "smartComponents",
    "110 162", "111 10092", "112 420", "113 10189", "114 162", "115 162", "116 430", "currentTime",
]  # fmt: skip
"""What no rebalancer asks, and what came of it: an answer, or a refusal under the question's own id."""


@pytest.fixture
def tws(tmp_path: Path) -> Iterator[TwsProcess]:
    with TwsProcess(tmp_path) as process:
        yield process


@contextlib.asynccontextmanager
async def connected(tws: TwsProcess, client: int = 1, timeout_s: float = PATIENCE_S) -> AsyncIterator[IB]:
    ib = IB()
    ib.RaiseRequestErrors = True
    await ib.connectAsync("127.0.0.1", tws.port, client, timeout=timeout_s)
    try:
        yield ib
    finally:
        ib.disconnect()


def send(ib: IB, ref: str, qty: float = 10, price: float | None = None, action: str = "BUY") -> Trade:
    order = MarketOrder(action, qty) if price is None else LimitOrder(action, qty, price)
    order.account, order.tif, order.orderRef = "DU1", "DAY", ref
    return ib.placeOrder(Stock("AAPL", "SMART", "USD"), order)


# Clients that share no code with this house.


@pytest.mark.parametrize("name", INTERPRETERS)
def test_real_clients_connect_trade_and_reconcile(name: str, tws: TwsProcess) -> None:
    python, script, version = INTERPRETERS[name]
    if python is None:
        pytest.skip(f"name an interpreter that has {name}: GATEWAY_{name.upper()}_PYTHON (make ib-clients)")
    command = [python, str(SCRIPTS / script), str(tws.port), str(tws.control)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["library"], found["version"]) == (name.removesuffix("_current"), version)
    assert found["accounts"] == ["DU1"]
    assert (found["min_tick"], found["rule"]) == (0.01, [[0.0, 0.01]])
    assert found["what_if"] == ["500.00", 1.0]
    assert found["bought"] == [10.0, 100.01, 1.0]
    assert found["cancelled"] == [4.0, 6.0]
    assert found["positions"] == {"AAPL": 14.0, "MSFT": 10.0}
    record = tws.record()
    assert found["cash"] == "98637.90"
    assert {"ref-market", "ref-limit"} <= set(found["completed"])
    assert [row["status"] for row in record["orders"]][:2] == ["filled", "canceled"]
    if script == "play_ibapi.py":
        assert found["around"] == AROUND_IBAPI
        assert found["bracket"] == ["Filled", "Submitted", "PreSubmitted"]
        assert found["record_cash"] == found["cash"]
    else:
        assert found["stop"] == ["trigger", 4.0]
        assert found["around"].pop("time")
        assert found["around"] == AROUND_IB


@pytest.fixture(scope="module")
def any_version(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwsProcess]:
    everybody = ("--max-rate", "0")  # two of them in one second would speak too fast
    with TwsProcess(tmp_path_factory.mktemp("versions"), everybody) as process:
        yield process


@pytest.mark.parametrize("newest", range(157, 179))
async def test_every_version_is_spoken_with_the_real_client(any_version: TwsProcess, newest: int) -> None:
    """Connect as a client of that age, place, fill in parts, change, cancel, ask: nothing is misread."""
    ib = IB()
    ib.client.MaxClientVersion = newest
    problems: list[int] = []
    ib.errorEvent += lambda _req_id, code, _text, _about: problems.append(code)
    await ib.connectAsync("127.0.0.1", any_version.port, newest, timeout=PATIENCE_S)
    try:
        assert ib.client.serverVersion() == (157 if newest == 158 else newest)
        await _trade(ib, any_version, f"v{newest}")
        await _ask(ib, f"v{newest}")
    finally:
        ib.disconnect()
    assert [code for code in problems if code not in (202, 2104, 2106, 2158)] == []


async def _trade(ib: IB, tws: TwsProcess, ref: str) -> None:
    about = Stock("AAPL", "SMART", "USD")
    state = await asyncio.wait_for(ib.whatIfOrderAsync(about, _plain("BUY", 10, 99)), PATIENCE_S)
    assert (float(state.initMarginChange), state.commission) == (500, 1)
    bought = send(ib, f"{ref}-market")
    await until(lambda: bought.orderStatus.status == "Filled" and bought.fills[0].commissionReport.execId)
    resting = send(ib, f"{ref}-limit", price=90)
    await until(lambda: resting.orderStatus.status == "Submitted")
    ask(tws.control, "fill", cl_ord_id=f"{ref}-limit", qty="4")
    await until(lambda: resting.orderStatus.filled == 4)
    resting.order.lmtPrice = 91
    ib.placeOrder(resting.contract, resting.order)
    again = [one for one in await ib.reqOpenOrdersAsync() if one.order.orderRef == f"{ref}-limit"][-1]
    assert (again.order.lmtPrice, again.order.totalQuantity) == (91, 10)
    ib.cancelOrder(resting.order)
    await until(lambda: resting.orderStatus.status == "Cancelled")


async def _ask(ib: IB, ref: str) -> None:
    (details,) = await ib.reqContractDetailsAsync(Stock("AAPL", "SMART", "USD"))
    assert (details.minTick, details.stockType) == (0.01, "COMMON")
    mine = [one for one in await ib.reqExecutionsAsync() if one.execution.orderRef.startswith(ref)]
    assert [(one.execution.shares, one.execution.side) for one in mine] == [(10, "BOT"), (4, "BOT")]
    done = {one.order.orderRef: one for one in await ib.reqCompletedOrdersAsync(apiOnly=False)}
    assert [done[f"{ref}-{kind}"].order.filledQuantity for kind in ("limit", "market")] == [4, 10]
    assert {one.contract.symbol for one in await ib.reqPositionsAsync()} == {"AAPL", "MSFT"}
    (ticker,) = await ib.reqTickersAsync(details.contract)
    assert ticker.bid < ticker.ask


def _plain(action: str, qty: float, price: float) -> LimitOrder:
    order = LimitOrder(action, qty, price)
    order.account, order.tif = "DU1", "DAY"
    return order


# What goes wrong on the wire, with the real ib_async.


async def test_an_order_cut_off_before_or_after_it_was_booked_can_be_told_apart(tws: TwsProcess) -> None:
    for kind, arrived in (("cut_before_order", False), ("cut_after_order", True)):
        tws.ask("fault", kind=kind)
        async with connected(tws) as ib:
            send(ib, kind, price=90)
            await until(lambda ib=ib: not ib.isConnected())  # type: ignore[misc]
        async with connected(tws) as ib:
            assert (kind in [one.order.orderRef for one in ib.openTrades()]) is arrived
            assert all(one.order.permId for one in ib.openTrades())


async def test_a_fill_while_the_client_is_away_is_found_when_it_returns(tws: TwsProcess) -> None:
    async with connected(tws) as ib:
        trade = send(ib, "away", price=90)
        await until(lambda: trade.orderStatus.status == "Submitted")
    tws.ask("fill", cl_ord_id="away", qty="10")
    async with connected(tws) as ib:
        assert [(one.execution.orderRef, one.commissionReport.commission) for one in ib.fills()] == [
            ("away", 1.0)
        ]
        assert [one.order.orderRef for one in await ib.reqCompletedOrdersAsync(apiOnly=False)] == ["away"]


async def test_frames_in_pieces_and_many_in_one_packet_are_the_same(tws: TwsProcess) -> None:
    for kind in ("split_frames", "batch_frames"):
        tws.ask("fault", kind=kind, count=50, seconds=0.02)
        async with connected(tws) as ib:
            trade = send(ib, kind)
            await until(lambda trade=trade: trade.isDone() and trade.fills[0].commissionReport.execId)  # type: ignore[misc]
            assert trade.filled() == 10
        tws.ask("clear")


async def test_a_client_id_in_use_is_told_326(tws: TwsProcess) -> None:
    async with connected(tws):
        other, codes = IB(), list[int]()
        other.errorEvent += lambda _req_id, code, _text, _contract: codes.append(code)
        connecting = asyncio.create_task(other.connectAsync("127.0.0.1", tws.port, 1, timeout=PATIENCE_S))
        await until(lambda: codes)
        assert codes == [326]
        assert not connecting.done(), "the library waits on, as if it might still be let in"
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        assert not other.isConnected()
        async with connected(tws, 2) as second:
            assert second.isConnected()


async def test_a_missing_end_costs_the_timeout_and_a_slow_one_less(tws: TwsProcess) -> None:
    loop = asyncio.get_running_loop()
    tws.ask("fault", kind="missing_end", message=62)
    began = loop.time()
    async with connected(tws, timeout_s=1.5):
        assert loop.time() - began > 1.4
    tws.ask("fault", kind="slow_end", message=53, seconds=0.3)
    began = loop.time()
    async with connected(tws):
        assert 0.25 < loop.time() - began < PATIENCE_S / 2


async def test_a_silent_tws_goes_on_and_a_dead_one_never_does(tws: TwsProcess) -> None:
    async with connected(tws) as ib:
        tws.ask("fault", kind="silence", seconds=1.5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ib.reqCurrentTimeAsync(), 0.2)
        trade = send(ib, "after silence")
        await until(trade.isDone)
        tws.ask("fault", kind="half_open")
        lost = send(ib, "into nothing")
        await asyncio.sleep(0.2)
        assert ib.isConnected()
        assert lost.orderStatus.status == "PendingSubmit"
    assert [row["cl_ord_id"] for row in tws.record()["orders"]] == ["after silence"]


async def test_a_killed_tws_comes_back_with_its_orders_and_may_forget_ids(tws: TwsProcess) -> None:
    async with connected(tws) as ib:
        bought, resting = send(ib, "bought"), send(ib, "resting", price=90)
        await until(lambda: bought.isDone() and resting.orderStatus.status == "Submitted")
        before, perm_ids = tws.record(), (bought.order.permId, resting.order.permId)
        next_id = ib.client.getReqId()
        tws.stop(signal.SIGKILL)
        await until(lambda: not ib.isConnected())
    tws.start("--rollback", "1")
    assert tws.record() == before
    raw = await RawClient.connect(tws.port)
    raw.greet()
    assert (await raw.read() or [""])[0] == "178"
    raw.send(71, 2, 1, "")
    assert int((await raw.read_until("9"))[2]) <= next_id - 1
    await raw.close()
    async with connected(tws, 2) as ib:
        assert [one.order.permId for one in await ib.reqAllOpenOrdersAsync()] == [perm_ids[1]]
        fills = await ib.reqExecutionsAsync(ExecutionFilter(clientId=1))
        assert [one.execution.permId for one in fills] == [perm_ids[0]]


async def test_restarts_and_outages_from_the_control_port(tws: TwsProcess) -> None:
    async with connected(tws) as ib:
        codes: list[int] = []
        ib.errorEvent += lambda _req_id, code, _text, _contract: codes.append(code)
        tws.ask("lost")
        trade = send(ib, "in outage")
        tws.ask("warn", code=2110, text="broken")
        await until(lambda: 2110 in codes)
        assert trade.orderStatus.status == "PendingSubmit"
        tws.ask("restored", code=1102)
        await until(trade.isDone)
        assert codes[:3] == [1100, 2110, 1102]
        resting = send(ib, "resting", price=90)
        await until(lambda: resting.orderStatus.status == "Submitted")
        tws.ask("error", cl_ord_id="resting", code=10349)
        tws.ask("order_status", cl_ord_id="resting", status="Mystery")
        await until(lambda: 10349 in codes and resting.orderStatus.status == "Mystery")
        tws.ask("order_status", cl_ord_id="resting")
        await until(lambda: resting.orderStatus.status == "Submitted")
        tws.ask("restart", seconds=2, rollback=1)
        await until(lambda: not ib.isConnected())
    assert await greeting(tws) is None
    async with asyncio.timeout(PATIENCE_S):
        while await greeting(tws) is None:  # noqa: ASYNC110 - nobody tells when it takes clients again
            await asyncio.sleep(0.1)
    async with connected(tws) as ib:
        assert [one.order.orderRef for one in ib.openTrades()] == ["resting"]
        assert tws.ask("status")["clients"] == [1]
        assert tws.ask("drop", client=1) == {"dropped": 1}
        await until(lambda: not ib.isConnected())


async def greeting(tws: TwsProcess) -> list[str] | None:
    """Return what a client is greeted with, None when it is hung up on."""
    raw = await RawClient.connect(tws.port)
    raw.greet()
    said = await raw.read()
    await raw.close()
    return said


def test_the_control_port_refuses_in_one_sentence_what_cannot_be(tws: TwsProcess) -> None:
    for command, arguments, why in (
        ("fault", {"kind": "nothing"}, "no fault of kind"),
        ("restored", {"code": 5}, "1101 or 1102"),
        ("restart", {"seconds": -1}, "seconds is -1"),
        ("market_data", {"mode": "good"}, "mode is 'good'"),
        ("error", {"cl_ord_id": "x", "code": 1}, "no order here"),
        ("drop", {"client": "one"}, "whole number"),
        ("faults", {"x": 1}, "takes no x"),
        ("fill", {"cl_ord_id": "1:1", "qty": "1"}, "no order here"),
        ("dance", {}, "no command"),
    ):
        assert why in ask(tws.control, command, **arguments)["error"]
    assert tws.ask("restart", seconds=0)["down_s"] == 0
    assert tws.ask("stop") == {"stopping": True}
    assert tws.process is not None
    assert tws.process.wait(PATIENCE_S) == 0


async def test_quotes_follow_the_switch(tws: TwsProcess) -> None:
    async with connected(tws) as ib:
        codes: list[int] = []
        ib.errorEvent += lambda _req_id, code, _text, _contract: codes.append(code)
        stock = Stock("AAPL", "SMART", "USD")
        await ib.qualifyContractsAsync(stock)
        tws.ask("market_data", mode="delayed")
        ib.reqMarketDataType(3)
        (ticker,) = await ib.reqTickersAsync(stock)
        assert (ticker.bid, ticker.ask, ticker.marketDataType) == (99.99, 100.01, 3)
        assert codes == [10167]
        tws.ask("market_data", mode="live")
        ib.reqMarketDataType(1)
        live = ib.reqMktData(stock)
        await until(lambda: live.bid == 99.99)
        tws.ask("price", symbol="AAPL", price="101")
        await until(lambda: live.bid == 100.98)


# The wire by hand.


@pytest.mark.parametrize(
    ("versions", "spoken"),
    [("v157..178", "178"), ("v100..157", "157"), ("v100..225", "178"), ("v100..158", "157"),
     ("v157..176", "176"),
     ("v179..225", None), ("v100..150", None)],
)  # fmt: skip
async def test_versions_are_negotiated_or_refused(tws: TwsProcess, versions: str, spoken: str | None) -> None:
    raw = await RawClient.connect(tws.port)
    for byte in b"API\0" + len(versions).to_bytes(4) + versions.encode():
        raw.send_raw(bytes([byte]))
        await asyncio.sleep(0)
    said = await raw.read()
    assert (None if said is None else said[0]) == spoken
    assert said is None or len(said) == 2
    await raw.close()


async def test_a_client_that_keeps_speaking_too_fast_gets_100_and_is_hung_up_on(tws: TwsProcess) -> None:
    raw = await RawClient.connect(tws.port)
    raw.greet()
    raw.send(71, 2, 1, "")
    await raw.read_until("9")
    heard: list[list[str]] = []
    speaking = asyncio.create_task(_speak(raw))
    while (said := await raw.read()) is not None:
        heard.append(said)
    speaking.cancel()
    notes = [one[4] for one in heard if one[0] == "4" and one[3] == "100"]
    assert [one[-3:] for one in notes] == ["(1)", "(2)", "(3)"]
    assert sum(one[0] == "49" for one in heard) > 70
    await raw.close()


async def test_a_client_that_asks_to_be_paced_is_not_scolded(tws: TwsProcess) -> None:
    raw = await RawClient.connect(tws.port)
    raw.greet("v157..178 +PACEAPI")
    raw.send(71, 2, 1, "")
    for _ in range(200):
        raw.send(49, 1)
    heard = [said for _ in range(206) if (said := await raw.read()) is not None]
    assert sum(one[0] == "49" for one in heard) == 200
    assert [one for one in heard if one[0] == "4" and one[3] == "100"] == []
    await raw.close()


async def test_what_was_said_before_a_broken_frame_is_still_answered_and_nobody_else_notices(
    tws: TwsProcess,
) -> None:
    async with connected(tws) as ib:
        raw = await RawClient.connect(tws.port)
        raw.greet()
        raw.send(71, 2, 9, "")
        raw.send(49, 1)
        raw.send_raw(b"\xff\xff\xff\xff rubbish")
        assert await raw.read_until("49")
        while await raw.read() is not None:
            pass
        await raw.close()
        assert await ib.reqCurrentTimeAsync()
    async with connected(tws, 9) as again:
        assert again.isConnected()


async def _speak(raw: RawClient) -> None:
    while True:
        for _ in range(70):
            raw.send(49, 1)
        await asyncio.sleep(0.2)


async def test_what_is_no_client_is_hung_up_on(tws: TwsProcess) -> None:
    raw = await RawClient.connect(tws.port)
    raw.send_raw(b"GET / HTTP/1.1\r\n\r\n")
    assert await raw.read() is None
    await raw.close()
    tws.ask("fault", kind="refuse_connect")
    refused = await RawClient.connect(tws.port)
    assert await refused.read() is None
    await refused.close()
    tws.ask("fault", kind="slow_connect", seconds=1.5)
    slow = await RawClient.connect(tws.port)
    slow.greet()
    with pytest.raises(TimeoutError):
        await slow.read(0.1)
    assert (await slow.read() or [""])[0] == "178"
    await slow.close()


async def test_a_cancel_cut_off_before_or_after_it_was_done(tws: TwsProcess) -> None:
    for kind, alive in (("cut_before_cancel", True), ("cut_after_cancel", False)):
        async with connected(tws) as ib:
            trade = send(ib, kind, price=90)
            await until(lambda trade=trade: trade.orderStatus.status == "Submitted")  # type: ignore[misc]
            tws.ask("fault", kind=kind)
            ib.cancelOrder(trade.order)
            await until(lambda ib=ib: not ib.isConnected())  # type: ignore[misc]
        async with connected(tws) as ib:
            assert (kind in [one.order.orderRef for one in ib.openTrades()]) is alive
    tws.ask("fault", kind="lose_order")
    async with connected(tws) as ib:
        send(ib, "lost", price=90)
        await asyncio.sleep(0.2)
        assert "lost" not in [row["cl_ord_id"] for row in tws.record()["orders"]]
        assert tws.ask("struck")["struck"]["lose_order"] == 1
        assert "lose_order" in tws.ask("faults")["faults"]
