"""Alpaca's latest quotes as a source of reference prices.

Rules of this room:
1. A price is the middle of bid and ask, true as of the quote's own time: the engine judges what is too old.
2. A quote with one side missing, or crossed, is no price, nor is one that cannot be read; neither hides the
   others. A symbol the venue refuses to hear of is not asked for again.
3. A price that has not moved is said again when its quote is newer and the last word is a while ago.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.alpaca.calls import Calls, Urgency
from adapters.alpaca.client import NoAnswer, RestClient
from adapters.alpaca.codec import decimal_or_none, moment
from adapters.base import NotSent
from gateway.events import PricesUpdated

log = logging.getLogger(__name__)

BAD_REQUEST = 400
PAGE = 200
"""Symbols asked for at once: the address of a request is bounded."""
TOGETHER = timedelta(seconds=1)
"""Quotes so near in time share one event, as of the oldest of them."""
RESTATED_EVERY = timedelta(seconds=15)

Priced = tuple[datetime, str, Decimal]


class AlpacaQuotes:
    """Ask for the latest quotes of `symbols` every `interval_s` seconds; `now` is the gateway's clock."""

    def __init__(
        self, name: str, key: str, secret: str, url: str, symbols: Sequence[str], now: Callable[[], datetime],
        *, feed: str = "iex", interval_s: float = 5.0, requests_per_min: int = 200,
    ) -> None:  # fmt: skip
        self.name = name
        self._keys = (key, secret, url)
        self._symbols = tuple(symbols)
        self._now = now
        self._feed = feed
        self._interval_s = interval_s
        self._per_min = requests_per_min
        self._said: dict[str, tuple[Decimal, datetime, datetime]] = {}
        self._stopping = asyncio.Event()

    async def start(self, after_seq: int) -> None:
        """Connect with the first question; old prices are worth nothing."""
        del after_seq
        self._calls = Calls(RestClient(*self._keys), self._per_min, time.time)

    async def stop(self) -> None:
        """End the questions."""
        self._stopping.set()
        if hasattr(self, "_calls"):
            self._calls.close()

    async def events(self) -> AsyncIterator[Sequence[PricesUpdated]]:
        """Yield prices that moved, or that were not said for a while, until `stop`."""
        while not self._stopping.is_set():
            try:
                found = [await self._ask(page) for page in _pages(self._symbols)]
            except (NotSent, NoAnswer) as problem:
                log.warning("%s: no prices: %s", self.name, problem)
            else:
                if events := self._news([one for page in found for one in page]):
                    yield events
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._stopping.wait()

    def acknowledge(self, link_seq: int) -> None:
        """Have nothing to forget."""

    # The inside.

    async def _ask(self, symbols: Sequence[str]) -> list[Priced]:
        asked = {"symbols": ",".join(symbols), "feed": self._feed}
        answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/stocks/quotes/latest", asked)
        if answer.status == BAD_REQUEST and len(symbols) > 1:
            half = len(symbols) // 2
            return [*await self._ask(symbols[:half]), *await self._ask(symbols[half:])]
        if answer.status == BAD_REQUEST:
            log.warning("%s: no prices of %s: %s", self.name, symbols[0], answer.message)
            self._symbols = tuple(one for one in self._symbols if one != symbols[0])
            return []
        if not answer.is_good or not isinstance(answer.body, dict):
            raise NoAnswer(answer.message)
        quotes: Mapping[str, Any] = answer.body.get("quotes") or {}
        return [one for symbol in symbols if (one := _price(symbol, quotes.get(symbol))) is not None]

    def _news(self, found: list[Priced]) -> list[PricesUpdated]:
        """Return what is worth saying, quotes near in time together."""
        now = self._now()
        events: list[PricesUpdated] = []
        for as_of, symbol, px in sorted(found):
            said = self._said.get(symbol)
            is_same = said is not None and said[0] == px
            if said is not None and is_same and (said[1] == as_of or now - said[2] < RESTATED_EVERY):
                continue
            self._said[symbol] = (px, as_of, now)
            if events and as_of - events[-1].as_of < TOGETHER:
                events[-1].prices[symbol] = px
            else:
                events.append(PricesUpdated(now, as_of, {symbol: px}, self.name))
        return events


def _price(symbol: str, quote: Any) -> Priced | None:
    if not isinstance(quote, dict):
        return None
    bid, ask, at = decimal_or_none(quote, "bp"), decimal_or_none(quote, "ap"), moment(quote.get("t"))
    if at is None or bid is None or ask is None or not 0 < bid <= ask:
        return None
    return at, symbol, (bid + ask) / 2


def _pages(symbols: Sequence[str]) -> list[Sequence[str]]:
    return [symbols[start : start + PAGE] for start in range(0, len(symbols), PAGE)]
