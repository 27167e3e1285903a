"""The seeded market: a reference price a symbol, the bid and ask around it, and how much is on show.

Rules of this room:
1. Pure and deterministic: time is an argument; the same seed and the same calls give the same market. A price
   path depends on the seed, the symbol and the number of steps alone, whoever asks in whatever order.
2. Prices are Decimal in whole ticks on both sides of the reference: bid rounds down, ask rounds up.
3. Nothing here costs more when the market holds more symbols.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from random import Random

from simulator.accounts import SettingError
from simulator.orders import ZERO

TICK = Decimal("0.01")
_BPS = Decimal("1E-4")
MAX_CATCH_UP_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol as the market opens: reference price and half the spread in basis points."""

    symbol: str
    price: Decimal
    half_spread_bps: Decimal | None = None


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """Shape the market.

    `displayed` is the typical quantity of one price level (0: without limit), redrawn `replenish_ms` after it
    was taken; there are `depth` levels a tick apart. `walk_bps` is the standard deviation of one step of the
    random walk (0: prices stand still), taken every `step_ms`.
    """

    seed: int = 1
    tick: Decimal = TICK
    half_spread_bps: Decimal = Decimal(1)
    displayed: int = 0
    depth: int = 5
    replenish_ms: int = 100
    walk_bps: float = 0.0
    step_ms: int = 1000


@dataclass(slots=True)
class Level:
    """One price and what is still on show at it; None is without limit."""

    price: Decimal
    size: Decimal | None = None


@dataclass(slots=True)
class _Security:
    listing: Listing
    price: Decimal
    half_spread_bps: Decimal
    sizes: Random | None
    path: Random | None
    bids: list[Level]
    asks: list[Level]
    walked: float
    step: int = 0


class Market:
    """Quote every listed symbol."""

    def __init__(self, listings: Iterable[Listing], settings: MarketSettings | None = None) -> None:
        self.settings = settings or MarketSettings()
        self._origin: datetime | None = None
        self._securities = {item.symbol: self._list(item) for item in listings}

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._securities

    @property
    def symbols(self) -> list[str]:
        """Every listed symbol, in the order of the file."""
        return list(self._securities)

    @property
    def walks(self) -> bool:
        """Say whether prices move by themselves."""
        return self.settings.walk_bps > 0

    def price(self, symbol: str, now: datetime) -> Decimal:
        """Return the reference price."""
        return self._current(symbol, now).price

    def quote(self, symbol: str, now: datetime) -> tuple[Decimal, Decimal]:
        """Return the best bid and ask."""
        security = self._current(symbol, now)
        return security.bids[0].price, security.asks[0].price

    def levels(self, symbol: str, now: datetime, *, is_buy: bool) -> list[Level]:
        """Return what an order of that side would trade with, best first; the floor takes from sizes."""
        security = self._current(symbol, now)
        return security.asks if is_buy else security.bids

    def replenish(self, symbol: str, now: datetime) -> None:
        """Put new sizes on show at the prices of now."""
        self._show(self._current(symbol, now))

    def set_price(self, symbol: str, price: Decimal, now: datetime) -> None:
        """Move the reference price; a random walk goes on from there."""
        security = self._current(symbol, now)
        security.price = price
        security.walked = float(price)
        self._show(security)

    def begin(self, now: datetime) -> None:
        """Start the steps of the walk, once."""
        if self._origin is None:
            self._origin = now

    def next_step(self, now: datetime) -> datetime | None:
        """Say when prices next move by themselves."""
        if not self.walks or self._origin is None:
            return None
        return self._origin + (self._steps(now) + 1) * timedelta(milliseconds=self.settings.step_ms)

    def _steps(self, now: datetime) -> int:
        if self._origin is None:
            return 0
        return max((now - self._origin) // timedelta(milliseconds=self.settings.step_ms), 0)

    def _list(self, item: Listing) -> _Security:
        settings = self.settings
        spread = settings.half_spread_bps if item.half_spread_bps is None else item.half_spread_bps
        sizes = _stream(settings.seed, item.symbol, "sizes") if settings.displayed else None
        path = _stream(settings.seed, item.symbol, "path") if settings.walk_bps else None
        security = _Security(item, item.price, spread, sizes, path, [], [], float(item.price))
        self._show(security)
        return security

    def _current(self, symbol: str, now: datetime) -> _Security:
        security = self._securities[symbol]
        if security.path is not None and (due := self._steps(now)) > security.step:
            self._walk(security, security.path, due)
        return security

    def _walk(self, security: _Security, path: Random, due: int) -> None:
        """Take the steps of the walk that are due; far too many at once are taken as the last of them."""
        sigma, walked = self.settings.walk_bps / 10_000, security.walked
        for _ in range(min(due - security.step, MAX_CATCH_UP_STEPS)):
            walked *= 1 + path.gauss(0.0, sigma)
        security.step, security.walked = due, walked
        tick = self.settings.tick
        security.price = max(Decimal(walked).quantize(tick, ROUND_HALF_EVEN), 2 * tick)
        self._show(security)

    def _show(self, security: _Security) -> None:
        settings, price = self.settings, security.price
        tick, half = settings.tick, price * security.half_spread_bps * _BPS
        bid = max(((price - half) / tick).to_integral_value(ROUND_FLOOR) * tick, tick)
        ask = max(((price + half) / tick).to_integral_value(ROUND_CEILING) * tick, bid)
        sizes = security.sizes
        if sizes is None:
            security.bids, security.asks = [Level(bid)], [Level(ask)]
            return
        low, high = (settings.displayed + 1) // 2, settings.displayed * 3 // 2
        drawn = [Decimal(sizes.randint(low, max(high, low))) for _ in range(2 * settings.depth)]
        below = [bid - tick * step for step in range(settings.depth)]
        security.bids = [
            Level(level, size) for level, size in zip(below, drawn, strict=False) if level > ZERO
        ]
        above = [ask + tick * step for step in range(settings.depth)]
        security.asks = [Level(*pair) for pair in zip(above, drawn[settings.depth :], strict=True)]


def _stream(seed: int, symbol: str, purpose: str) -> Random:
    """Give each symbol and purpose a random stream of its own, the same in every process."""
    return Random(hashlib.sha256(f"{seed}/{purpose}/{symbol}".encode()).digest())


def read_prices(path: Path) -> list[Listing]:
    """Read `symbol,price[,half_spread_bps]` lines below a header line that says so."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise SettingError(f"--prices {path} cannot be read ({error.strerror}); give a CSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingError(f"--prices {path} is not CSV text: {error}") from None
    listings: dict[str, Listing] = {}
    for line, row in enumerate(rows, start=2):
        listing = _listing(f"--prices {path} line {line}", row)
        if listing.symbol in listings:
            raise SettingError(f"--prices {path} line {line}: {listing.symbol} stands there twice; keep one")
        listings[listing.symbol] = listing
    if not listings:
        raise SettingError(
            f"--prices {path} lists nothing; write symbol,price[,half_spread_bps] lines under a header"
        )
    return list(listings.values())


def _listing(where: str, row: dict[str, str]) -> Listing:
    symbol = (row.get("symbol") or "").strip()
    if not symbol:
        raise SettingError(f"{where}: symbol is missing; the header is symbol,price[,half_spread_bps]")
    price = _number(where, "price", row.get("price"))
    if not price:
        raise SettingError(f"{where}: price is 0; write one above 0")
    spread = (row.get("half_spread_bps") or "").strip()
    return Listing(symbol, price, _number(where, "half_spread_bps", spread) if spread else None)


def _number(where: str, name: str, text: str | None) -> Decimal:
    try:
        number = Decimal((text or "").strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise SettingError(f"{where}: {name} is {text!r}; write a decimal that is not negative, as 12.5")
    return number
