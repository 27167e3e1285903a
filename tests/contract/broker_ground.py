"""The ground the broker contract is played on: one real venue process and one real adapter.

A venue of the contract is a name in `VENUES` and what `conftest.laid_out` makes of it: a stage whose venue
speaks it, whose configuration has one link `sim` to it, and whose control port answers `record` and `fill`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from patience import until

from adapters.base import Broker, BrokerEvent
from gateway.config import GatewayConfig
from gateway.domain.order import OrderSpec, OrdType, Report, Side, TimeInForce
from gateway.events import CancelOrder, LinkDown, LinkUp, LookUpOrder, ReportReceived, SendOrder
from gateway.links import make_brokers
from gateway.runtime.clock import SystemClock
from simulator.control import ask
from simulator.stage import Stage

VENUES = ("plain", "saxo", "dukascopy", "ibkr", "alpaca", "tws")
LINKS = {
    "saxo": 'dialect = "saxo"\nusername = "U"\n[links.sim.venue]\nclient_id = "C1"\n',
    "dukascopy": 'dialect = "dukascopy"\nusername = "U"\n[links.sim.venue]\nsend_account = true\n',
    "ibkr": 'dialect = "ibkr"\n',
}


@dataclass
class Ground:
    """One venue and one broker at a time, and everything it has said."""

    stage: Stage
    config: GatewayConfig
    broker: Broker
    symbols: tuple[str, ...]
    prices: dict[str, Decimal]
    said: list[BrokerEvent] = field(default_factory=list)
    listening: asyncio.Task[None] | None = None
    given: int = 0
    last_seq: int = 0
    was_up: bool = True

    async def fresh(self) -> None:
        """Make ready for the next test: connected, and nothing said."""
        if not self.stage.is_running("venue"):
            self.stage.start_venue()
        if self.listening is None or self.listening.done() or not self.is_up:
            seq = max([self.last_seq, *self.seqs()])
            await self.successor(seq)
        self.last_seq = max([self.last_seq, *self.seqs()])
        self.said.clear()

    @property
    def is_up(self) -> bool:
        """Say whether the broker's last word about its link was that it is up."""
        words = [isinstance(one, LinkUp) for one in self.said if isinstance(one, LinkUp | LinkDown)]
        return words[-1] if words else self.was_up

    async def start(self, after_seq: int = 0) -> None:
        """Start the broker and wait until it is up."""
        await self.broker.start(after_seq)
        self.listening = asyncio.create_task(self._listen())
        await self.until(lambda: any(isinstance(one, LinkUp) for one in self.said))

    async def stop(self) -> None:
        """Stop the broker, and hear its last words."""
        await self.broker.stop()
        if self.listening is not None:
            await self.listening

    async def successor(self, after_seq: int) -> None:
        """Let a new broker take over, as a new gateway process does; what was said before is forgotten."""
        await self.stop()
        self.last_seq = max([after_seq, self.last_seq, *self.seqs()])
        self.said.clear()
        self.broker = make_brokers(self.config, SystemClock())["sim"]
        await self.start(after_seq)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to be so."""

        def is_so_or_over() -> bool:
            if self.listening is not None and self.listening.done() and not is_so():
                self.listening.result()
            return is_so()

        await until(is_so_or_over, lambda: self.said[-10:])

    def order(self, **changes: Any) -> OrderSpec:
        """Make an order of its own: a limit far below the market, unless told otherwise."""
        self.given += 1
        symbol = str(changes.pop("symbol", self.symbols[self.given % len(self.symbols)]))
        far = (self.prices.get(symbol, Decimal(10)) * Decimal("0.9")).quantize(Decimal("0.01"))
        said = {
            "cl_ord_id": f"CONTRACT{self.given:08d}".translate(str.maketrans("0189", "ABCD")),
            "side": Side.BUY, "order_qty": Decimal(10), "ord_type": OrdType.LIMIT, "price": far, **changes,
        }  # fmt: skip
        return OrderSpec(
            request_id="r", account="main", link="sim", symbol=symbol,
            time_in_force=TimeInForce.DAY, wave=1, **said,
        )  # fmt: skip

    def marketable(self, **changes: Any) -> OrderSpec:
        """Make an order that trades at once."""
        spec = self.order(**changes)
        near = (self.prices[spec.symbol] * Decimal("1.01")).quantize(Decimal("0.01"))
        return self.order(symbol=spec.symbol, price=near, order_qty=spec.order_qty)

    def submit(self, spec: OrderSpec, *, poss_resend: bool = False) -> None:
        self.broker.submit(SendOrder(spec, poss_resend))
        self.broker.flush()

    def cancel(self, spec: OrderSpec) -> None:
        order_id = next((one.order_id for one in self.reports(spec) if one.order_id), "")
        self.broker.cancel(CancelOrder(spec, f"{spec.cl_ord_id}C1", order_id))
        self.broker.flush()

    def look_up(self, spec: OrderSpec, order_id: str = "") -> None:
        self.broker.look_up(LookUpOrder(spec, order_id))
        self.broker.flush()

    def reports(self, spec: OrderSpec) -> list[Report]:
        """Return every report of an order, in order."""
        names = (spec.cl_ord_id,)
        return [
            one.report
            for one in self.said
            if isinstance(one, ReportReceived)
            and (one.report.cl_ord_id in names or one.report.orig_cl_ord_id in names)
        ]

    def last(self, spec: OrderSpec) -> Report:
        """Return how an order stands by its last report."""
        return self.reports(spec)[-1]

    def seqs(self) -> list[int]:
        """Return the places of everything that has one."""
        return [one.link_seq for one in self.said if getattr(one, "link_seq", 0)]

    def at_venue(self, spec: OrderSpec) -> list[dict[str, Any]]:
        """Return the venue's own record of an order: one entry for each time it was taken."""
        orders = ask(self.stage.control_port, "record")["orders"]
        return [one for one in orders if one["cl_ord_id"] == spec.cl_ord_id]

    def tell_venue(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Do something at the venue by hand."""
        answer = ask(self.stage.control_port, command, **arguments)
        assert "error" not in answer, answer
        return answer

    async def _listen(self) -> None:
        async for batch in self.broker.events():
            for one in batch:
                self.said.append(one)
                if seq := getattr(one, "link_seq", 0):
                    self.broker.acknowledge(seq)
