"""How much of a difference may be chance: block bootstrap of paired daily figures.

Rules of this room:
1. What is compared was played on the same days: only the difference of each day is drawn, in blocks, so that
   both what the days had in common and what follows from day to day is kept.
2. A claim carries its interval; one that contains 0 is no claim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DAYS, MONTH = 252, 21
"""Trading days of a year and of a month."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the interval that holds it with `level` (0.95) of the draws."""

    value: float
    low: float
    high: float
    level: float

    @property
    def is_certain(self) -> bool:
        """Say whether 0 lies outside."""
        return self.low > 0 or self.high < 0


def block_length(count: int) -> int:
    """Return the days of a block: the cube root of the sample's length, the rate that is optimal for a mean.

    Source: Hall, Horowitz and Jing, On blocking rules for the bootstrap with dependent data, Biometrika 1995;
    at least a month, for wealth follows the market in spells.
    """
    return max(MONTH, round(float(np.cbrt(count))))


def of_mean(
    daily: Floats, *, per_year: float = DAYS, draws: int = 2_000, level: float = 0.95, seed: int = 1,
    block: int = 0,
) -> Interval:  # fmt: skip
    """Return the mean of a daily figure, times `per_year`, and its interval by circular blocks.

    `daily` has shape (days,); `block` is their length where `block_length` does not fit. Source: Politis and
    Romano, A circular block-resampling procedure, 1992.
    """
    count = daily.shape[0]
    if count == 0:
        return Interval(0.0, 0.0, 0.0, level)
    length = min(block or block_length(count), count)
    rounds = -(-count // length)
    begins = np.random.default_rng(seed).integers(0, count, size=(draws, rounds))
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([daily, daily[: length - 1]]))])
    drawn = (sums[begins + length] - sums[begins]).sum(axis=1) / (rounds * length)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(float(daily.mean() * per_year), float(low * per_year), float(high * per_year), level)


def of_growth(wealth: Floats, against: Floats, flows: Floats, **options: float) -> Interval:
    """Return by how much more a year `wealth` grew than `against`, in log points, with its interval.

    Both have shape (days,), the same days and the same `flows`, which came before each day's market.
    """
    ours, theirs = returns(wealth, flows), returns(against, flows)
    return of_mean(ours - theirs, **options)  # type: ignore[arg-type]


def returns(wealth: Floats, flows: Floats) -> Floats:
    """Return daily log returns: what the day made of yesterday's wealth and the money that came in."""
    begin = wealth[:-1] + flows[1:]
    found: Floats = np.log(wealth[1:] / begin)
    return found
