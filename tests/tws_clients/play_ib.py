"""Trade against the TWS door with whichever of ib_async and ib_insync is installed; print what came as JSON.

    python play_ib.py PORT CONTROL_PORT

It is run by an interpreter of its own, so it imports nothing of this repository.
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from typing import Any

from control_port import ask

try:
    import ib_async as ib_lib
except ImportError:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ib_insync as ib_lib

CLIENT = 7


async def until(said: Any, timeout_s: float = 50.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not said():  # noqa: ASYNC110 - the library has no event for all of this
            await asyncio.sleep(0.01)


async def play(port: int, control: int) -> dict[str, Any]:
    ib = ib_lib.IB()
    errors: list[tuple[int, int]] = []
    ib.errorEvent += lambda req_id, code, _text, _contract: errors.append((req_id, code))
    await ib.connectAsync("127.0.0.1", port, CLIENT, timeout=50)
    found: dict[str, Any] = {"library": ib_lib.__name__, "version": ib.client.serverVersion()}
    found["accounts"] = ib.managedAccounts()
    stock = ib_lib.Stock("AAPL", "SMART", "USD")
    (details,) = await ib.reqContractDetailsAsync(stock)
    found["min_tick"], found["con_id"] = details.minTick, details.contract.conId
    found["rule"] = [
        list(one) for one in await ib.reqMarketRuleAsync(int(details.marketRuleIds.split(",")[0]))
    ]
    await ib.qualifyContractsAsync(stock)
    (ticker,) = await ib.reqTickersAsync(stock)
    found["bid"], found["ask"] = ticker.bid, ticker.ask

    state = await asyncio.wait_for(ib.whatIfOrderAsync(stock, order("BUY", 10, 99)), 50)
    found["what_if"] = [state.initMarginChange, float(state.commission)]

    bought = ib.placeOrder(stock, order("BUY", 10, None, "ref-market"))
    await until(
        lambda: bought.orderStatus.status == "Filled" and all(f.commissionReport.execId for f in bought.fills)
    )
    found["bought"] = [
        bought.orderStatus.filled,
        bought.orderStatus.avgFillPrice,
        bought.fills[0].commissionReport.commission,
    ]
    found["exec_ref"] = bought.fills[0].execution.orderRef

    resting = ib.placeOrder(stock, order("BUY", 10, 90, "ref-limit"))
    await until(lambda: resting.orderStatus.status == "Submitted")
    ask(control, "fill", cl_ord_id="ref-limit", qty="4")
    await until(lambda: resting.orderStatus.filled == 4)
    resting.order.lmtPrice = 91
    ib.placeOrder(stock, resting.order)
    await asyncio.sleep(0.1)
    found["changed"] = [o.lmtPrice for o in (t.order for t in await ib.reqOpenOrdersAsync() if t.isActive())]
    ib.cancelOrder(resting.order)
    await until(lambda: resting.orderStatus.status == "Cancelled")
    found["cancelled"] = [resting.orderStatus.filled, resting.orderStatus.remaining]

    poor = ib.placeOrder(stock, order("BUY", 100_000, 90, "ref-poor"))
    await until(lambda: poor.orderStatus.status in ("Inactive", "Cancelled"))
    await asyncio.sleep(0.1)
    off_tick = ib.placeOrder(stock, order("BUY", 1, 90.001, "ref-tick"))
    await until(lambda: any(code == 110 for _, code in errors))
    assert off_tick
    unknown = await ib.reqContractDetailsAsync(ib_lib.Stock("NOPE", "SMART", "USD"))
    found["unknown"] = len(unknown)

    found["executions"] = len(await ib.reqExecutionsAsync())
    found["completed"] = sorted(t.order.orderRef for t in await ib.reqCompletedOrdersAsync(apiOnly=False))
    found["positions"] = {p.contract.symbol: p.position for p in await ib.reqPositionsAsync()}
    values = {v.tag: v.value for v in ib.accountValues() if v.account == "DU1"}
    found["cash"] = values.get("TotalCashValue")
    found["summary"] = len(await ib.accountSummaryAsync())
    found["codes"] = sorted({code for _, code in errors if code < 2000 or code > 3000})
    found["around"] = await ask_around(ib, stock)
    found["stop"] = await stop(ib, stock, control)
    ib.disconnect()
    return found


async def ask_around(ib: Any, stock: Any) -> dict[str, Any]:
    """Ask what no rebalancer asks: each question is answered or refused, none waits for ever."""
    questions = {
        "matching": ib.reqMatchingSymbolsAsync("AAP"),
        "history": ib.reqHistoricalDataAsync(stock, "", "1 D", "1 hour", "TRADES", useRTH=True),
        "head": ib.reqHeadTimeStampAsync(stock, "TRADES", useRTH=True, formatDate=1),
        "chains": ib.reqSecDefOptParamsAsync("AAPL", "", "STK", stock.conId),
        "components": ib.reqSmartComponentsAsync("9c"),
        "depth exchanges": ib.reqMktDepthExchangesAsync(),
        "providers": ib.reqNewsProvidersAsync(),
        "scanner": ib.reqScannerParametersAsync(),
        "histogram": ib.reqHistogramDataAsync(stock, useRTH=True, period="1 week"),
        "ticks": ib.reqHistoricalTicksAsync(stock, "20260101 10:00:00", "", 10, "TRADES", useRth=True),
        "user": ib.reqUserInfoAsync() if hasattr(ib, "reqUserInfoAsync") else _nothing(),
        "all open": ib.reqAllOpenOrdersAsync(),
        "time": ib.reqCurrentTimeAsync(),
    }
    found: dict[str, Any] = {}
    for name, question in questions.items():
        answer = await asyncio.wait_for(question, 50)
        found[name] = len(answer) if hasattr(answer, "__len__") else str(answer)[:10]
    gains, single = ib.reqPnL("DU1"), ib.reqPnLSingle("DU1", "", stock.conId)
    await until(lambda: single.position == 14 and gains.realizedPnL == 0)
    found["gains"] = single.position
    ib.cancelPnL("DU1", "")
    ib.reqMktDepth(stock)
    ib.reqTickByTickData(stock, "Last")
    ib.reqRealTimeBars(stock, 5, "TRADES", useRTH=True)
    await ib.reqCurrentTimeAsync()
    return found


async def _nothing() -> str:
    return ""


async def stop(ib: Any, stock: Any, control: int) -> list[Any]:
    """Let a stop wait for its price, and fill."""
    waiting = ib_lib.StopOrder("SELL", 4, 95, account="DU1", tif="GTC", orderRef="ref-stop")
    trade = ib.placeOrder(stock, waiting)
    await until(lambda: trade.orderStatus.status == "PreSubmitted")
    held = trade.orderStatus.whyHeld
    ask(control, "price", symbol="AAPL", price="94")
    await until(lambda: trade.orderStatus.status == "Filled")
    return [held, trade.orderStatus.filled]


def order(action: str, qty: float, price: float | None, ref: str = "") -> Any:
    made = ib_lib.MarketOrder(action, qty) if price is None else ib_lib.LimitOrder(action, qty, price)
    made.account, made.tif, made.orderRef = "DU1", "DAY", ref
    return made


if __name__ == "__main__":
    print(json.dumps(asyncio.run(play(int(sys.argv[1]), int(sys.argv[2])))))  # noqa: T201 - its answer
