"""A venue's quote session as a source of reference prices: it asks for prices and hands them on.

Rules of this room:
1. It sends MarketDataRequest(V) and nothing else: there is no way from here to an order.
2. A price is stated while the session is up, again and again, so that one which stands still stays fresh;
   when the session is down nothing is stated and the gateway's own limit of age does the rest.
3. Nothing of the spool is kept for later: old prices are worth nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from adapters.fix import encoder
from adapters.fix.dialects import Venue
from adapters.fix.dialects.market_data import Quote, Refusal, read
from adapters.fix.engine import ChildEngine, Down, FixEngine, Incoming, Up
from adapters.fix.relay import TlsRelay, TlsSettings
from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled, last_seq
from gateway.events import PricesUpdated

log = logging.getLogger(__name__)

RESTATED_EVERY = timedelta(seconds=15)
"""How long a price that stands still is not said again."""


class QuoteSession:
    """Follow `symbols` (our names) over one FIX session; prices leave every `interval_s` at most.

    `now` is the gateway's clock. A venue without V in its dialect has no quotes: `ValueError`.
    """

    def __init__(
        self,
        session: FixSession,
        symbols: Sequence[str],
        now: Callable[[], datetime],
        venue: Venue,
        *,
        interval_s: float = 1.0,
        tls: TlsSettings | None = None,
        make_engine: Callable[[FixSession], FixEngine] = ChildEngine,
    ) -> None:
        if "V" not in venue.dialect.sends:
            raise ValueError(f"{venue.dialect.title} quotes no prices over FIX")
        self.name = session.name
        self._session = session
        self._symbols = tuple(symbols)
        self._now = now
        self._venue = venue
        self._interval_s = interval_s
        self._relay = TlsRelay(session.host, session.port, tls, self._complain) if tls is not None else None
        self._make_engine = make_engine
        self._engine: FixEngine = make_engine(session)
        self._is_up = False
        self._asked = 0
        self._quotes: dict[str, Quote] = {}
        self._said: dict[str, tuple[Decimal, datetime]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    async def start(self, after_seq: int) -> None:
        """Start the session's process, behind a TLS relay where TLS is asked for."""
        del after_seq  # old prices are worth nothing
        if self._relay is not None:
            port = await self._relay.start()
            self._engine = self._make_engine(replace(self._session, host="127.0.0.1", port=port))
        self._engine.start(last_seq(self._session.store_folder / "spool"))
        self._listener = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Log out and end the session's process."""
        self._stopping.set()
        if self._asking is not None:
            self._asking.cancel()
        await self._engine.stop()
        if self._listener is not None:
            await self._listener
        if self._relay is not None:
            await self._relay.stop()

    async def events(self) -> AsyncIterator[Sequence[PricesUpdated]]:
        """Yield prices that moved, or that were not said for a while, until `stop`."""
        while not self._stopping.is_set():
            if (found := self._due()) is not None:
                yield [found]
            for task in (self._listener, self._asking):
                if task is not None and task.done() and not task.cancelled():
                    task.result()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._stopping.wait()

    def acknowledge(self, link_seq: int) -> None:
        """Have nothing to forget: what is read is forgotten already."""

    # The inside.

    def _due(self) -> PricesUpdated | None:
        """Return what is worth saying now."""
        if not self._is_up:
            return None
        now, prices = self._now(), {}
        for symbol, quote in self._quotes.items():
            mid, said = quote.mid, self._said.get(symbol)
            if mid is not None and (said is None or said[0] != mid or now - said[1] >= RESTATED_EVERY):
                prices[symbol] = mid
                self._said[symbol] = (mid, now)
        return PricesUpdated(now, now, prices, self.name) if prices else None

    async def _listen(self) -> None:
        async for batch in self._engine.incoming():
            for one in batch:
                self._take(one)

    def _take(self, one: Incoming) -> None:
        if isinstance(one, Up):
            self._is_up = True
            self._quotes.clear()
            self._said.clear()
            if self._asking is not None:
                self._asking.cancel()  # it would go on asking for what is asked for anew
            self._asking = asyncio.create_task(self._ask())
        elif isinstance(one, Down):
            self._is_up = False
            log.warning("%s: no prices, the session is down: %s", self.name, one.reason)
        elif isinstance(one, Spooled):
            self._engine.acknowledge(one.seq)
            self._note(read(one.raw, self._venue))

    def _note(self, found: Quote | Refusal | None) -> None:
        if isinstance(found, Quote) and found.symbol in self._symbols:
            self._quotes[found.symbol] = found.over(self._quotes.get(found.symbol))
        elif isinstance(found, Refusal):
            place = int(found.request_id) if found.request_id.isdigit() else 0
            symbol = self._symbols[(place - 1) % len(self._symbols)] if place else "?"
            log.warning("%s: no prices of %s: %s", self.name, symbol, found.text)

    async def _ask(self) -> None:
        """Subscribe to every symbol, no faster than the venue takes messages."""
        pause_s = 1 / self._session.orders_per_s if self._session.orders_per_s else 0.0
        for symbol in self._symbols:
            self._asked += 1
            request_id = str(self._asked)
            raw = encoder.market_data_request(symbol, request_id, self._venue)
            if not self._engine.send("ask", request_id, raw):
                return
            self._engine.flush()
            await asyncio.sleep(pause_s)

    def _complain(self, reason: str) -> None:
        log.warning("%s: %s", self.name, reason)
