"""A TWS of our own, our broker, and a naive reader: the client library used as its examples use it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from patience import PATIENCE_S, until

from adapters.base import BrokerEvent, InThisProcess
from adapters.ibkr.broker import IbkrBroker
from adapters.ibkr.library import ib
from adapters.ibkr.settings import IbkrSettings, Terms
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce
from gateway.events import CancelOrder, LinkDown, LinkUp, LookUpOrder, OrderUnknown, ReportReceived, SendOrder
from gateway.runtime.clock import SystemClock
from simulator.control import ask
from simulator.stage import TWS, Stage

PRICES = {"AAA": Decimal(100), "BBB": Decimal(50), "CCC": Decimal(20)}
OURS, NAIVE = 11, 7


@dataclass
class Ground:
    """One venue, one broker of ours at a time, and everything it has said."""

    stage: Stage
    settings: IbkrSettings
    remembered: InThisProcess = field(default_factory=InThisProcess)
    said: list[BrokerEvent] = field(default_factory=list)
    given: int = 0
    broker: IbkrBroker | None = None
    listening: asyncio.Task[None] | None = None

    async def start(self, after_seq: int = 0, *, wait: bool = True, **changes: Any) -> None:
        """Start a broker, and wait until it is up."""
        self.settings = replace(self.settings, **changes)
        self.said.clear()
        self.broker = IbkrBroker(self.settings, SystemClock().now, self.remembered)
        await self.broker.start(after_seq)
        self.listening = asyncio.create_task(self._listen(self.broker))
        if wait:
            await self.until(lambda: self.ups() > 0)

    async def stop(self) -> None:
        """Stop the broker, and hear its last words."""
        if self.broker is not None and self.listening is not None:
            await self.broker.stop()
            await self.listening
            self.broker = None

    async def _listen(self, broker: IbkrBroker) -> None:
        async for batch in broker.events():
            self.said.extend(batch)

    async def until(self, is_so: Callable[[], Any], patience_s: float = PATIENCE_S) -> None:
        """Wait for something to be so."""

        def is_so_or_over() -> bool:
            found = bool(is_so())
            if not found and self.listening is not None and self.listening.done() and self.broker is not None:
                self.listening.result()
            return found

        await until(is_so_or_over, lambda: self.said[-12:], patience_s)

    def tell(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Do something at the venue by hand."""
        answer = ask(self.stage.control_port, command, **arguments)
        assert "error" not in answer, answer
        return answer

    def order(self, **changes: Any) -> OrderSpec:
        """Make an order of its own: a limit far below the market, unless told otherwise."""
        self.given += 1
        name = f"TRAPS{self.given:011d}".translate(str.maketrans("0189", "ABCD"))
        words: dict[str, Any] = {
            "cl_ord_id": name, "symbol": "AAA", "side": Side.BUY, "order_qty": Decimal(100),
            "ord_type": OrdType.LIMIT, "price": Decimal(90), "time_in_force": TimeInForce.DAY, **changes,
        }  # fmt: skip
        return OrderSpec(request_id="r", account="main", link="tws", wave=1, **words)

    def marketable(self, **changes: Any) -> OrderSpec:
        return self.order(**{"price": Decimal(110), **changes})

    def submit(self, *specs: OrderSpec, poss_resend: bool = False) -> None:
        assert self.broker is not None
        for spec in specs:
            self.broker.submit(SendOrder(spec, poss_resend))
        self.broker.flush()

    def cancel(self, spec: OrderSpec) -> None:
        assert self.broker is not None
        self.broker.cancel(CancelOrder(spec, f"{spec.cl_ord_id}C1"))

    def look_up(self, *specs: OrderSpec) -> None:
        assert self.broker is not None
        for spec in specs:
            self.broker.look_up(LookUpOrder(spec))
        self.broker.flush()

    def reports(self, spec: OrderSpec) -> list[Report]:
        return [
            one.report
            for one in self.said
            if isinstance(one, ReportReceived) and one.report.cl_ord_id == spec.cl_ord_id
        ]

    def statuses(self, spec: OrderSpec) -> list[OrdStatus]:
        return [one.ord_status for one in self.reports(spec)]

    async def until_status(self, spec: OrderSpec, status: OrdStatus, patience_s: float = PATIENCE_S) -> None:
        await self.until(lambda: status in self.statuses(spec)[-1:], patience_s)

    def fills(self, spec: OrderSpec) -> list[Report]:
        return [one for one in self.reports(spec) if one.exec_type is ExecType.TRADE]

    def filled(self, spec: OrderSpec) -> Decimal:
        return sum((one.last_qty or Decimal(0) for one in self.fills(spec)), Decimal(0))

    def at_venue(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.tell("record")["orders"] if one["cl_ord_id"] == name]

    def heard(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.said if isinstance(one, kind)]

    def ups(self) -> int:
        return len(self.heard(LinkUp))

    def downs(self) -> int:
        return len(self.heard(LinkDown))

    def unknown(self, spec: OrderSpec) -> bool:
        return any(one.cl_ord_id == spec.cl_ord_id for one in self.heard(OrderUnknown))


@contextlib.asynccontextmanager
async def grounds(folder: Path, *options: str, **changes: Any) -> AsyncIterator[Ground]:
    """Put up a venue with some options; `changes` are settings of our broker, which is not started."""
    folder.mkdir(parents=True, exist_ok=True)
    prices, accounts = folder / "prices.csv", folder / "accounts.json"
    rows = "".join(f"{symbol},{price}\n" for symbol, price in PRICES.items())
    prices.write_text(f"symbol,price\n{rows}", encoding="utf-8")
    accounts.write_text('{"main": {"cash": "1000000", "positions": {"CCC": "500"}}}', encoding="utf-8")
    stage = Stage(folder, folder / "none.toml", prices, accounts, list(options), dialect=TWS)
    words: dict[str, Any] = {
        "name": "tws", "host": "127.0.0.1", "port": stage.port, "accounts": {"main": "main"},
        "terms": {symbol: Terms(symbol) for symbol in PRICES}, "environment": "simulator",
        "client_id": OURS, "mute_after_s": 1.0, "answer_timeout_s": 2.0, **changes,
    }  # fmt: skip
    ground = Ground(stage, IbkrSettings(**words))
    try:
        await asyncio.to_thread(stage.start_venue)
        yield ground
    finally:
        try:
            await ground.stop()
        finally:  # the venue's process ends, whatever our broker ended with
            await asyncio.to_thread(stage.close)


@contextlib.asynccontextmanager
async def naive_reader(ground: Ground, client_id: int = NAIVE, **words: Any) -> AsyncIterator[Any]:
    """Connect the library as its own documentation does; its view is what the tests call naive."""
    logging.getLogger(ib.__name__).setLevel(logging.CRITICAL)
    reader = ib.IB()
    await reader.connectAsync("127.0.0.1", ground.stage.port, client_id, **{"timeout": 3, **words})
    try:
        yield reader
    finally:
        reader.disconnect()
        await asyncio.sleep(0.05)


def naive_order(price: float, qty: float = 100, **words: Any) -> Any:
    return ib.LimitOrder("BUY", qty, price, account="main", tif="DAY", **words)


def stock(symbol: str = "AAA") -> Any:
    return ib.Stock(symbol, "SMART", "USD")


async def naive_until(is_so: Callable[[], Any]) -> None:
    await until(is_so, lambda: "to the naive reader")
