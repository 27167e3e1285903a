"""How much of a difference may be chance: block bootstrap of paired daily figures.

Rules of this room:
1. What is compared was played on the same days: only the difference of each day is drawn, in blocks, so that
   both what the days had in common and what follows from day to day is kept.
2. A claim carries its interval; one that contains 0 is no claim.
3. Figures whose days overlap are drawn in blocks that cover the overlap. So few blocks make too narrow an
   interval, so it is stretched until it holds the truth as often as it says where the truth is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
DAYS, MONTH = 252, 21
"""Trading days of a year and of a month."""
TINY, MOST = 1e-12, 0.9


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


@dataclass(frozen=True, slots=True)
class Overlap:
    """Say how figures overlap: `count` of them, each over `years` years, begun `apart` years from each other.

    `weights` say how much each year of a figure's age counts in it; all the same where there are none.
    """

    count: int
    years: int
    apart: int = 1
    weights: tuple[float, ...] = ()

    @property
    def block(self) -> int:
        """Return over how many figures a year's part in them lasts, as far as two blocks are left to draw.

        A year counts as long as the ages it passes through hold `MOST` of the weight.
        """
        weights = np.array(self.weights or (1.0,) * self.years)
        lasts = int(np.searchsorted(weights.cumsum(), MOST * weights.sum())) + 1
        return max(1, min(-(-lasts // self.apart), self.count // 2))


def of_overlapping(values: Floats, how: Overlap, *, level: float = 0.95, seed: int = 1) -> Interval:
    """Return the mean of figures that overlap, (count), and its interval; one figure has none.

    Blocks of `how.block`, stretched by `stretch`. Sources: Politis and Romano 1992; Shao and Politis 2013,
    Fixed b subsampling and the block bootstrap, J. R. Stat. Soc. B 75, on why few blocks must be calibrated.
    """
    if len(values) == 1:
        return Interval(float(values[0]), -math.inf, math.inf, level)
    found = of_mean(values, per_year=1, level=level, seed=seed, block=how.block)
    by = stretch(how, level)
    low, high = (found.value + by * (edge - found.value) for edge in (found.low, found.high))
    return Interval(found.value, low, high, level)


@lru_cache(maxsize=64)
def stretch(how: Overlap, level: float = 0.95, *, trials: int = 4_000, draws: int = 400) -> float:
    """Return by how much an interval of overlapping figures must be wider to hold the truth so often.

    Tried on independent normal years, of which every figure is the weighed mean of its own: the truth is 0.
    """
    rng = np.random.default_rng(20_13)
    begins = np.arange(how.count) * how.apart
    years = rng.standard_normal((trials, int(begins[-1]) + how.years))
    weights = np.array(how.weights or (1.0,) * how.years)
    values = sum(weight * years[:, begins + age] for age, weight in enumerate(weights))
    needed = np.empty(trials)
    for n, one in enumerate(values):
        found = of_mean(one, per_year=1, draws=draws, level=level, seed=n, block=how.block)
        reach = found.value - found.low if found.value > 0 else found.high - found.value
        needed[n] = abs(found.value) / max(reach, TINY)
    return max(1.0, float(np.quantile(needed, level)))


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
