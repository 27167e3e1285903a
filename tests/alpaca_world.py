"""The venue that speaks as Alpaca does, in this process, and the gateway's broker before it.

Real sockets on 127.0.0.1, the real server and the real client; only the processes are one, so that a test may
look at, and lead astray, both sides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from patience import until

from adapters.alpaca.broker import AlpacaBroker
from adapters.alpaca.settings import AlpacaSettings
from adapters.base import BrokerEvent
from gateway.domain.order import OrderSpec, OrdType, Report, Side, TimeInForce
from gateway.events import CancelOrder, LinkUp, LookUpOrder, ReportReceived, SendOrder
from simulator.alpaca.command import World, parser

KEYS = ("KEY", "SECRET")
PRICES = {"AAA": "100.00", "BBB": "50.00", "CCC": "20.00", "PNY": "0.50"}


@dataclass
class Market:
    """One venue, listening."""

    world: World
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"

    def operate(self, name: str, **arguments: Any) -> int:
        """Do something by hand."""
        return self.world.operate(name, arguments)

    def fault(self, kind: str, **arguments: Any) -> None:
        """Let something go wrong."""
        self.world.commands()["fault"]({"kind": kind, **arguments})

    def orders(self) -> list[dict[str, Any]]:
        """Return the venue's own record of every order."""
        found: list[dict[str, Any]] = self.world.record()["orders"]
        return found

    def cash(self) -> Decimal:
        return self.world.door.account.cash


def lay_out(folder: Path, cash: str, positions: Mapping[str, str]) -> list[str]:
    """Write the venue's files; return the options that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    prices = ["symbol,price", *(f"{symbol},{price}" for symbol, price in PRICES.items())]
    (folder / "prices.csv").write_text("\n".join(prices) + "\n", encoding="utf-8")
    opening = {"main": {"cash": cash, "positions": dict(positions)}}
    (folder / "accounts.json").write_text(json.dumps(opening), encoding="utf-8")
    return ["--prices", str(folder / "prices.csv"), "--accounts", str(folder / "accounts.json")]


@contextlib.asynccontextmanager
async def market(
    folder: Path, *options: str, cash: str = "100000", positions: Mapping[str, str] | None = None
) -> AsyncIterator[Market]:
    """Open a venue for a while."""
    words = [*lay_out(folder, cash, positions or {}), "--requests-per-min", "100000", *options]
    world = World(parser().parse_args(words), asyncio.Event())
    made = Market(world, await world.open(0))
    try:
        yield made
    finally:
        await world.close()


@dataclass
class Desk:
    """A broker and everything it has said."""

    market: Market
    settings: AlpacaSettings
    broker: AlpacaBroker
    said: list[BrokerEvent] = field(default_factory=list)
    listening: asyncio.Task[None] | None = None
    given: int = 0

    async def start(self, after_seq: int = 0, *, is_up: bool = True) -> None:
        await self.broker.start(after_seq)
        self.listening = asyncio.create_task(self._listen())
        if is_up:
            await self.until(lambda: bool(self.of(LinkUp)))

    async def stop(self) -> None:
        await self.broker.stop()
        if self.listening is not None:
            await self.listening

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to be so, or for what ended the broker."""

        def is_so_or_over() -> bool:
            if self.listening is not None and self.listening.done() and not is_so():
                self.listening.result()
            return is_so()

        await until(is_so_or_over, lambda: self.said[-10:])

    def order(self, **changes: Any) -> OrderSpec:
        """Make a limit buy of ten AAA far below the market, or what the changes make of it."""
        self.given += 1
        usual = OrderSpec(
            cl_ord_id=f"DESK{self.given:012d}".translate(str.maketrans("0189", "ABCD")), request_id="r",
            account="main", link="alpaca", symbol="AAA", side=Side.BUY, order_qty=Decimal(10),
            ord_type=OrdType.LIMIT, price=Decimal("90.00"), time_in_force=TimeInForce.DAY, wave=1,
        )  # fmt: skip
        return changed(usual, **changes)

    def buy(self, **changes: Any) -> OrderSpec:
        """Make an order that trades at once."""
        return self.order(**{"price": Decimal("101.00"), **changes})

    def submit(self, spec: OrderSpec, *, poss_resend: bool = False) -> None:
        self.broker.submit(SendOrder(spec, poss_resend))
        self.broker.flush()

    def cancel(self, spec: OrderSpec, order_id: str = "") -> None:
        self.broker.cancel(CancelOrder(spec, f"{spec.cl_ord_id}C", order_id))

    def look_up(self, *specs: OrderSpec) -> None:
        for spec in specs:
            self.broker.look_up(LookUpOrder(spec, ""))
        self.broker.flush()

    def of(self, kind: type) -> list[Any]:
        """Return everything said of one kind."""
        return [one for one in self.said if isinstance(one, kind)]

    def reports(self, spec: OrderSpec) -> list[Report]:
        return [one.report for one in self.of(ReportReceived) if one.report.cl_ord_id == spec.cl_ord_id]

    async def both_told(self, *names: str) -> None:
        """Wait until both the answer and the stream have spoken of orders; either may be first."""
        sending, memory = self.broker._sending, self.broker._memory
        assert sending is not None
        await self.until(
            lambda: not any(sending.is_under_way(name) or not memory.of(name).heard_at for name in names)
        )

    async def report(self, spec: OrderSpec, is_so: Callable[[Report], bool]) -> Report:
        """Wait for a report of an order and return it."""
        await self.until(lambda: any(is_so(one) for one in self.reports(spec)))
        return next(one for one in self.reports(spec) if is_so(one))

    async def _listen(self) -> None:
        async for batch in self.broker.events():
            self.said += batch


def desk_at(venue: Market, **changes: Any) -> Desk:
    """Return a broker that has not begun yet."""
    usual = AlpacaSettings(
        name="alpaca", account="main", key=KEYS[0], secret=KEYS[1], url=venue.url,
        stream_url=venue.stream_url, symbols=tuple(PRICES), requests_per_min=100_000,
    )  # fmt: skip
    settings = changed(usual, **changes)
    return Desk(venue, settings, AlpacaBroker(settings, lambda: datetime.now(UTC)))


@contextlib.asynccontextmanager
async def desk(venue: Market, **changes: Any) -> AsyncIterator[Desk]:
    """Connect a broker for a while."""
    made = desk_at(venue, **changes)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
