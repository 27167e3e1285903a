"""Bars: what prices were, day by day, and what happened to the shares. Arrays in, nothing read here.

Rules of this room:
1. A price is NaN before a name was listed and after it was delisted, and never in between: a gap is refused
   by name, because a backtest that fills it in trades at a price nobody ever saw.
2. Rows are trading days in order. Whoever looks at day `n` is given a `Day`, which holds nothing later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PRICE_PLACES = Decimal("0.0001")


class HistoryError(ValueError):
    """A history cannot be used; the text names the symbol, the day and the remedy."""


@dataclass(frozen=True, slots=True)
class Happening:
    """What happened to one share before the market opened: a dividend in money, a split as new per old."""

    symbol: str
    dividend: Decimal = Decimal(0)
    split: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Day:
    """One trading day and nothing later. Prices by symbol, only of what is listed that day.

    `leaving` are names whose last day this is. `volume` is in shares, empty where it is not known.
    """

    on: date
    open: Mapping[str, Decimal]
    close: Mapping[str, Decimal]
    typical: Mapping[str, Decimal]
    volume: Mapping[str, float]
    happenings: tuple[Happening, ...] = ()
    leaving: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bars:
    """Hold daily bars: arrays of shape (days, symbols), in the currency of the instruments.

    `open`, `high`, `low` and `volume` are None where only closes are known: then every price of a day is its
    close. `source` says whose data it is and under which licence.
    """

    days: tuple[date, ...]
    symbols: tuple[str, ...]
    close: Floats
    open: Floats | None = None
    high: Floats | None = None
    low: Floats | None = None
    volume: Floats | None = None
    happenings: Mapping[date, tuple[Happening, ...]] = field(default_factory=dict)
    name: str = ""
    source: str = ""

    def __len__(self) -> int:
        return len(self.days)

    def checked(self) -> Bars:
        """Return this history, sound; raises `HistoryError`."""
        if len(self.days) < 2 or not self.symbols:  # noqa: PLR2004 - one day has no change
            raise HistoryError("a history needs two days and one symbol at least")
        if list(self.days) != sorted(set(self.days)):
            raise HistoryError("days must be in order, each once")
        for place, symbol in enumerate(self.symbols):
            self._check_column(symbol, self.close[:, place])
        return self

    def _check_column(self, symbol: str, column: Floats) -> None:
        known = np.flatnonzero(~np.isnan(column))
        if not known.size:
            raise HistoryError(f"{symbol} has no price at all; leave it out")
        first, last = int(known[0]), int(known[-1])
        if known.size != last - first + 1:
            missing = np.flatnonzero(np.isnan(column[first : last + 1])) + first
            day = self.days[int(missing[0])]
            text = (
                f"{symbol} has no price on {day} ({missing.size} days in all) between its first and its last"
            )
            raise HistoryError(f"{text}; fill the gap from your source, or leave the name out")
        if not (column[first : last + 1] > 0).all():
            bad = self.days[first + int(np.flatnonzero(column[first : last + 1] <= 0)[0])]
            raise HistoryError(f"{symbol} has a price of 0 or below on {bad}")

    def between(self, first: date | None, last: date | None, symbols: Sequence[str] = ()) -> Bars:
        """Return the part from `first` to `last`, both in, with these symbols (all when empty)."""
        unknown = sorted(set(symbols) - set(self.symbols))
        if unknown:
            raise HistoryError(
                f"{unknown[0]} is not in the history {self.name}; it has {', '.join(self.symbols)}"
            )
        rows = [
            n for n, day in enumerate(self.days)
            if (first is None or day >= first) and (last is None or day <= last)
        ]  # fmt: skip
        if not rows:
            raise HistoryError(
                f"no day of {self.name} lies in {first} to {last}; it has {self.days[0]} to {self.days[-1]}"
            )
        wanted = tuple(symbols) or self.symbols
        at = np.ix_(rows, [self.symbols.index(symbol) for symbol in wanted])

        def cut(table: Floats | None) -> Floats | None:
            return None if table is None else table[at]

        return Bars(
            days=tuple(self.days[n] for n in rows), symbols=wanted, close=self.close[at], open=cut(self.open),
            high=cut(self.high), low=cut(self.low), volume=cut(self.volume), happenings=self.happenings,
            name=self.name, source=self.source,
        )  # fmt: skip

    def converted(self, rates: Mapping[str, str]) -> Bars:
        """Return this history with some names' prices in another currency, at the rate of each day's close.

        `rates` names the column of the rate for each of them, which is taken out; volumes and splits stay.
        """
        if not rates:
            return self
        if missing := sorted(set(rates.values()) - set(self.symbols)):
            raise HistoryError(
                f"{self.name} has no column {missing[0]}; add that rate, or convert the prices"
            )
        by = np.ones_like(self.close)
        for symbol, rate in rates.items():
            by[:, self.symbols.index(symbol)] = self.close[:, self.symbols.index(rate)]
        of_day = dict(zip(self.days, by, strict=True))
        kept = [n for n, symbol in enumerate(self.symbols) if symbol not in rates.values()]

        def changed(table: Floats | None) -> Floats | None:
            return None if table is None else (table * by)[:, kept]

        def paid(day: date, one: Happening) -> Happening:
            if one.symbol not in rates or day not in of_day:
                return one
            rate = Decimal(float(of_day[day][self.symbols.index(one.symbol)]))
            return replace(one, dividend=one.dividend * rate)

        return replace(
            self, symbols=tuple(self.symbols[n] for n in kept), close=(self.close * by)[:, kept],
            open=changed(self.open), high=changed(self.high), low=changed(self.low),
            volume=None if self.volume is None else self.volume[:, kept],
            happenings={
                day: tuple(paid(day, one) for one in found) for day, found in self.happenings.items()
            },
        )  # fmt: skip

    def day(self, place: int) -> Day:
        """Return one day, and nothing of what came after it.

        A name leaves on its last day, which is known that day: it was announced. On the last day of all
        nobody leaves.
        """
        close = self._prices(self.close[place])
        opened = close if self.open is None else self._prices(self.open[place])
        typical = close
        if self.high is not None and self.low is not None:
            typical = self._prices((self.high[place] + self.low[place] + self.close[place]) / 3)
        volume = (
            {} if self.volume is None else dict(zip(self.symbols, self.volume[place].tolist(), strict=True))
        )
        leaving: frozenset[str] = frozenset()
        if place + 1 < len(self.days):
            gone = ~np.isnan(self.close[place]) & np.isnan(self.close[place + 1])
            leaving = frozenset(self.symbols[n] for n in np.flatnonzero(gone))
        found = self.happenings.get(self.days[place], ())
        kept = tuple(one for one in found if one.symbol in close)
        return Day(self.days[place], opened, close, typical, volume, kept, leaving)

    def _prices(self, row: Floats) -> dict[str, Decimal]:
        return {
            symbol: Decimal(px).quantize(PRICE_PLACES)
            for symbol, px in zip(self.symbols, row.tolist(), strict=True)
            if px == px  # noqa: PLR0124 - NaN is a name not listed that day
        }
