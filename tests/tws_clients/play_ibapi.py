"""Trade against the TWS door with IBKR's own client, of any of its ages; print what came as JSON.

    python play_ibapi.py PORT CONTROL_PORT

It is run by an interpreter of its own, so it imports nothing of this repository. `ibapi` is under IBKR's
licence: install it for this test only.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import threading
import time
from typing import Any

from control_port import ask
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.wrapper import EWrapper


class Client(EWrapper, EClient):  # type: ignore[misc]
    """Note down whatever is called back: name and arguments."""

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    def __getattribute__(self, name: str) -> Any:
        if name in _NOTED:
            return lambda *args: self.said.append((_NOTED[name], args))
        return super().__getattribute__(name)

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [args for said, args in list(self.said) if said == name]

    def wait(self, name: str, fits: Any = lambda *_args: True, timeout_s: float = 50.0) -> tuple[Any, ...]:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for args in self.of(name):
                if fits(*args):
                    return args
            time.sleep(0.01)
        raise TimeoutError(f"{name} never came; heard {sorted({said for said, _ in self.said})}")


_NOTED = {
    name: name
    for name in (
        "nextValidId", "managedAccounts", "error", "contractDetails", "contractDetailsEnd", "openOrder",
        "openOrderEnd", "orderStatus", "execDetails", "execDetailsEnd", "commissionReport", "position",
        "positionEnd", "completedOrder", "completedOrdersEnd", "updateAccountValue", "updatePortfolio",
        "accountDownloadEnd", "accountSummary", "accountSummaryEnd", "tickPrice", "tickSnapshotEnd",
        "marketRule", "currentTime", "pnl", "pnlSingle", "positionMulti", "positionMultiEnd", "symbolSamples",
        "familyCodes", "scannerParameters", "newsProviders", "mktDepthExchanges", "softDollarTiers",
        "securityDefinitionOptionParameterEnd", "displayGroupList", "smartComponents",
        "accountUpdateMultiEnd",
    )
} | {"commissionAndFeesReport": "commissionReport"}  # fmt: skip


def stock(symbol: str) -> Contract:
    made = Contract()
    made.symbol, made.secType, made.exchange, made.currency = symbol, "STK", "SMART", "USD"
    return made


def order(action: str, qty: float, price: float | None, ref: str = "", *, what_if: bool = False) -> Order:
    made = Order()
    made.action, made.totalQuantity, made.account, made.tif, made.orderRef = action, qty, "DU1", "DAY", ref
    made.orderType, made.eTradeOnly, made.firmQuoteOnly = "MKT" if price is None else "LMT", False, False
    made.whatIf = what_if
    if price is not None:
        made.lmtPrice = price
    return made


def cancel(app: Client, order_id: int) -> None:
    """Later clients want the time of a manual cancel, still later ones a whole object."""
    takes = list(inspect.signature(EClient.cancelOrder).parameters)[2:]
    if takes == ["orderCancel"]:
        module = importlib.import_module("ibapi.order_cancel")
        app.cancelOrder(order_id, module.OrderCancel())
    else:
        app.cancelOrder(order_id, *("" for _ in takes))


def commission(report: Any) -> float:
    """Later clients call it commission and fees."""
    found: float = report.commissionAndFees if hasattr(report, "commissionAndFees") else report.commission
    return found


def code_of(args: tuple[Any, ...]) -> int:
    """The latest clients put a time between the id and the code of an error."""
    return next(one for one in args[2:0:-1] if isinstance(one, int))


def begin(app: Client, port: int) -> int:
    """Connect; return the first order id."""
    app.connect("127.0.0.1", port, 9)
    threading.Thread(target=app.run, daemon=True).start()
    next_id: int = app.wait("nextValidId")[0]
    return next_id


def play(port: int, control: int) -> dict[str, Any]:
    app = Client()
    next_id = begin(app, port)
    found: dict[str, Any] = {"library": "ibapi", "version": app.serverVersion()}
    found["accounts"] = app.wait("managedAccounts")[0].split(",")
    app.reqContractDetails(1, stock("AAPL"))
    details = app.wait("contractDetails")[1]
    found["min_tick"] = details.minTick
    app.reqMarketRule(int(details.marketRuleIds.split(",")[0]))
    found["rule"] = [[one.lowEdge, one.increment] for one in app.wait("marketRule")[1]]
    app.reqMktData(2, stock("AAPL"), "", True, False, [])
    app.wait("tickSnapshotEnd")
    found["ticks"] = sorted({args[1] for args in app.of("tickPrice")})

    app.placeOrder(next_id, stock("AAPL"), order("BUY", 10, 99, what_if=True))
    state = app.wait("openOrder")[3]
    found["what_if"] = [state.initMarginChange, commission(state)]

    app.placeOrder(next_id + 1, stock("AAPL"), order("BUY", 10, None, "ref-market"))
    app.wait("orderStatus", lambda oid, status, *_: oid == next_id + 1 and status == "Filled")
    execution = app.wait("execDetails")[2]
    found["bought"] = [float(execution.shares), execution.price, commission(app.wait("commissionReport")[0])]

    app.placeOrder(next_id + 2, stock("AAPL"), order("BUY", 10, 90, "ref-limit"))
    app.wait("orderStatus", lambda oid, status, *_: oid == next_id + 2 and status == "Submitted")
    ask(control, "fill", cl_ord_id="ref-limit", qty="4")
    app.wait("orderStatus", lambda oid, _status, filled, *_: oid == next_id + 2 and filled == 4)
    cancel(app, next_id + 2)
    cancelled = app.wait("orderStatus", lambda oid, status, *_: oid == next_id + 2 and status == "Cancelled")
    found["cancelled"] = [float(cancelled[2]), float(cancelled[3])]

    app.said.clear()
    app.reqExecutions(3, ExecutionFilter())
    app.wait("execDetailsEnd")
    found["executions"] = sorted(args[2].orderRef for args in app.of("execDetails"))
    app.reqPositions()
    app.wait("positionEnd")
    found["positions"] = {args[1].symbol: float(args[2]) for args in app.of("position")}
    app.reqCompletedOrders(False)
    app.wait("completedOrdersEnd")
    found["completed"] = sorted(args[1].orderRef for args in app.of("completedOrder"))
    app.reqAccountUpdates(True, "DU1")
    app.wait("accountDownloadEnd")
    found["record_cash"] = ask(control, "record")["accounts"]["DU1"]["cash"]
    found["cash"] = next(args[1] for args in app.of("updateAccountValue") if args[0] == "TotalCashValue")
    app.reqAccountSummary(4, "All", "NetLiquidation,TotalCashValue")
    app.wait("accountSummaryEnd")
    found["summary"] = len(app.of("accountSummary"))
    app.reqOpenOrders()
    app.wait("openOrderEnd")
    found["codes"] = sorted({code for code in map(code_of, app.of("error")) if 0 < code < 2000})
    found["around"] = ask_around(app, details.contract.conId)
    found["bracket"] = bracket(app, control, next_id + 10)
    app.disconnect()
    return found


def bracket(app: Client, control: int, first: int) -> list[str]:
    """Send a parent and two children as one, and fill the parent; return what became of each."""
    family = [order("BUY", 5, 90, "ref-parent"), order("SELL", 5, 110), order("SELL", 5, None)]
    family[2].orderType, family[2].auxPrice = "STP", 80
    for at, one in enumerate(family):
        one.parentId, one.transmit = first if at else 0, at == len(family) - 1
        app.placeOrder(first + at, stock("AAPL"), one)
    for at, status in enumerate(("Submitted", "PreSubmitted", "PreSubmitted")):
        app.wait(
            "orderStatus", lambda oid, said, *_, at=at, status=status: (oid, said) == (first + at, status)
        )
    ask(control, "fill", cl_ord_id="ref-parent", qty="5")
    app.wait("orderStatus", lambda oid, said, *_: (oid, said) == (first + 1, "Submitted"))
    last = {args[0]: args[1] for args in app.of("orderStatus")}
    return [last[first + at] for at in range(len(family))]


def ask_around(app: Client, con_id: int) -> list[str]:
    """Ask what no rebalancer asks; return what came of each, by its callback or its error."""
    about, asked = stock("AAPL"), list[tuple[str, Any]]()

    def answered(name: str) -> None:
        app.wait(name)
        asked.append((name, ""))

    def refused(req_id: int) -> None:
        code = code_of(app.wait("error", lambda one, *_: one == req_id))
        asked.append((str(req_id), code))

    questions: list[tuple[str, Any]] = [
        ("pnl", lambda: app.reqPnL(101, "DU1", "")),
        ("pnlSingle", lambda: app.reqPnLSingle(102, "DU1", "", con_id)),
        ("positionMultiEnd", lambda: app.reqPositionsMulti(103, "DU1", "")),
        ("accountUpdateMultiEnd", lambda: app.reqAccountUpdatesMulti(104, "DU1", "", False)),
        ("symbolSamples", lambda: app.reqMatchingSymbols(105, "AAP")),
        ("familyCodes", app.reqFamilyCodes),
        ("scannerParameters", app.reqScannerParameters),
        ("newsProviders", app.reqNewsProviders),
        ("mktDepthExchanges", app.reqMktDepthExchanges),
        ("softDollarTiers", lambda: app.reqSoftDollarTiers(106)),
        (
            "securityDefinitionOptionParameterEnd",
            lambda: app.reqSecDefOptParams(107, "AAPL", "", "STK", con_id),
        ),
        ("displayGroupList", lambda: app.queryDisplayGroups(108)),
        ("smartComponents", lambda: app.reqSmartComponents(109, "9c")),
    ]
    for name, question in questions:
        question()
        answered(name)
    app.cancelPnL(101)
    app.cancelPnLSingle(102)
    app.cancelPositionsMulti(103)
    app.reqHistoricalData(110, about, "", "1 D", "1 hour", "TRADES", 1, 1, False, [])
    app.reqMktDepth(111, about, 5, False, [])
    app.reqRealTimeBars(112, about, 5, "TRADES", True, [])
    app.reqTickByTickData(113, about, "Last", 0, False)
    app.reqHeadTimeStamp(114, about, "TRADES", 1, 1)
    app.reqHistogramData(115, about, True, "1 week")
    app.reqFundamentalData(116, about, "ReportSnapshot", [])
    for req_id in range(110, 117):
        refused(req_id)
    app.reqAllOpenOrders()
    app.reqAutoOpenOrders(False)
    app.reqManagedAccts()
    app.reqMarketDataType(3)
    app.setServerLogLevel(1)
    app.reqIds(1)
    app.said.clear()
    app.reqCurrentTime()
    answered("currentTime")
    return [f"{name} {code}".strip() for name, code in asked]


if __name__ == "__main__":
    print(json.dumps(play(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201 - its answer
