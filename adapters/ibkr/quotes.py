"""Snapshots of TWS's prices as a source of reference prices.

Rules of this room:
1. A price is the middle of bid and ask of one snapshot, true as of its answer; with one side missing, or
   crossed, there is none. What TWS shows while it has lost IBKR is what it remembers: no price.
2. Delayed prices are taken only when that is configured, and are then dated as late as they are.
3. It speaks over a client id of its own and never sends an order. It shares the pace of its TWS: last of all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from adapters.base import InThisProcess
from adapters.ibkr import said
from adapters.ibkr.codes import SOCKET_RESET, Action, row_of, words
from adapters.ibkr.contracts import Contracts
from adapters.ibkr.ids import Ids
from adapters.ibkr.library import ConnectFailed
from adapters.ibkr.line import Line, NoAnswer, Refused
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.ports import Ports
from adapters.ibkr.settings import IbkrSettings
from adapters.ibkr.wire import Unsendable
from gateway.events import PricesUpdated

log = logging.getLogger(__name__)

BID, ASK = 1, 2
DELAYED_BID, DELAYED_ASK = 66, 67
DELAY = timedelta(minutes=15)
SNAPSHOT_S = 12.0
"""TWS ends a snapshot within eleven seconds."""
RESTATED_EVERY = timedelta(seconds=15)


class IbkrQuotes:
    """Ask for snapshots of `symbols` every `interval_s` seconds; `now` is the gateway's clock."""

    def __init__(
        self, settings: IbkrSettings, symbols: Sequence[str], now: Callable[[], datetime], *,
        is_delayed: bool = False, interval_s: float = 10.0, together: int = 40, pace: Pace | None = None,
        ports: Ports | None = None,
    ) -> None:  # fmt: skip
        self.name = settings.name
        self._settings = settings
        self._pace = pace or Pace(settings.messages_per_s)
        self._ports = ports or Ports(settings.port)
        self._symbols = tuple(symbols)
        self._now = now
        self._is_delayed = is_delayed
        self._interval_s = interval_s
        self._together = together
        self._said: dict[str, tuple[Decimal, datetime]] = {}
        self._told: set[str] = set()
        self._stopping = asyncio.Event()
        self._line: Line | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self, after_seq: int) -> None:
        """Connect with the first question; old prices are worth nothing."""
        del after_seq
        self._ids = Ids(InThisProcess())
        self._contracts = Contracts(self._settings.terms, self._settings.answer_timeout_s)

    async def stop(self) -> None:
        """End the questions."""
        self._stopping.set()
        await self._hang_up("the gateway stops")

    async def events(self) -> AsyncIterator[Sequence[PricesUpdated]]:
        """Yield prices that moved, or that were not said for a while, until `stop`."""
        try:
            while not self._stopping.is_set():
                try:
                    found = await self._ask_all(await self._connected())
                except (ConnectFailed, NoAnswer) as problem:
                    log.warning("%s: no prices: %s", self.name, problem)
                    await self._hang_up(str(problem))
                else:
                    if event := self._news(found):
                        yield [event]
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval_s):
                        await self._stopping.wait()
        finally:  # it may have connected while it was stopped
            self._contracts.close()
            await self._hang_up("the gateway stops")

    def acknowledge(self, link_seq: int) -> None:
        """Have nothing to forget."""

    # The inside.

    async def _connected(self) -> Line:
        """Return the line, made anew where it is lost; raises `ConnectFailed`."""
        if self._line is not None and not self._line.lost:
            return self._line
        await self._hang_up("it is made anew")
        one = self._settings
        line, port = Line(self._pace, self._ids), self._ports.now
        try:
            await line.connect(one.host, port, one.client_id, one.connect_timeout_s)
        except ConnectFailed:
            self._ports.fail(port)
            line.tws.close()
            raise
        self._line, self._listening = line, asyncio.ensure_future(line.take(self._hear))
        await self._pace.turn(Urgency.LOOK_AROUND)
        line.say(lambda: line.tws.allow_delayed(is_allowed=self._is_delayed))
        return line

    async def _hang_up(self, reason: str) -> None:
        line, listening, self._line, self._listening = self._line, self._listening, None, None
        if line is not None and listening is not None:
            line.close(reason)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _hear(self, message: said.Said) -> None:
        """Say once what TWS says about prices."""
        if isinstance(message, said.NextIdSaid):
            self._ids.at_least(message.order_id)
        elif isinstance(message, said.ErrorSaid) and message.code == SOCKET_RESET:
            self._ports.move(message.text)
        elif isinstance(message, said.ErrorSaid) and row_of(message.code).action is Action.PRICES:
            text = words(message.code, message.text)
            if text not in self._told:
                self._told.add(text)
                log.warning("%s: %s", self.name, text)
        elif isinstance(message, said.ErrorSaid) and row_of(message.code).action is Action.TOO_FAST:
            self._pace.slow_down()
            log.warning("%s: %s", self.name, words(message.code, message.text))

    async def _ask_all(self, line: Line) -> dict[str, Decimal]:
        """Ask for every symbol's snapshot, some at once; raises `NoAnswer` when the line is gone."""
        turn = asyncio.Semaphore(self._together)
        found: dict[str, Decimal] = {}

        async def one(symbol: str) -> None:
            async with turn:
                price = await self._ask(symbol, line)
                if price is not None:
                    found[symbol] = price

        outages = line.outages
        await asyncio.gather(*(one(symbol) for symbol in self._symbols))
        if line.lost:
            raise NoAnswer(line.lost)
        is_old = line.is_cut_off or outages != line.outages
        return {} if is_old else found

    async def _ask(self, symbol: str, line: Line) -> Decimal | None:
        """Return the middle of one snapshot, None where there is none."""
        try:
            listed = await self._contracts.of(symbol, line)
            answers = await line.ask(
                said.SNAPSHOT_END, Urgency.LOOK_AROUND,
                lambda number: line.tws.ask_snapshot(number, listed.terms), SNAPSHOT_S,
            )  # fmt: skip
        except (NoAnswer, Refused, Unsendable) as problem:
            log.info("%s: %s: no price: %s", self.name, symbol, problem)
            return None
        ticks = {one.tick_type: one.price for one in answers if isinstance(one, said.TickSaid)}
        wanted = (DELAYED_BID, DELAYED_ASK) if self._is_delayed and BID not in ticks else (BID, ASK)
        bid, ask = (ticks.get(one, Decimal(0)) for one in wanted)
        return (bid + ask) / 2 if 0 < bid <= ask else None

    def _news(self, found: dict[str, Decimal]) -> PricesUpdated | None:
        """Return what is worth saying, as of now, or as late as delayed prices are."""
        now = self._now()
        news = {}
        for symbol, px in found.items():
            was = self._said.get(symbol)
            if was is None or was[0] != px or now - was[1] >= RESTATED_EVERY:
                self._said[symbol] = (px, now)
                news[symbol] = px
        as_of = now - DELAY if self._is_delayed else now
        return PricesUpdated(now, as_of, news, self.name) if news else None
