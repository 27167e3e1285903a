"""Regime: how unusual the market is, from daily returns. Every signal of a day knows only the days before.

Rules of this room:
1. Returns are simple and daily, a row a day, a column a name; answers are one number a day, NaN where the
   window is not yet full.
2. Causal: the estimate that a day is judged by ends the day before. Full-sample estimates look ahead.
3. No signal alone: an absorption ratio is high in some calm years (2017), single-name turbulence is
   often one company's news. The regime needs volatility and turbulence together, with hysteresis.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from gateway.decision.risk import TRADING_DAYS, Floats, History
from gateway.domain.request import Regime

TURBULENCE_WINDOW = 756
TURBULENCE_MEAN = 21
ABSORPTION_WINDOW = 500
ABSORPTION_HALF_LIFE = 250
TURBULENCE_NAMES = 100
"""At most so many names, evenly spaced, so that the window determines their covariances."""
SIGNAL_DAYS = 5 * TRADING_DAYS
STRESSED_RATIO = 1.5
ANEW, STILL = 252, 1e-16
"""A daily variance of no more is that of a name that has not moved."""
DECAY = 0.94
"""RiskMetrics 1996: the weight of yesterday's variance for daily data."""


@dataclass(frozen=True, slots=True)
class Signals:
    """Say how the market was at the close of `as_of`.

    `vol_ratio` is the fast over the slow volatility of the equal-weighted market, `turbulence` the share
    of past months (0..1) that were calmer than the last, `momentum` each name's return over 12 months.
    """

    as_of: date
    regime: Regime
    vol_ratio: float
    turbulence: float
    momentum: Mapping[str, float] = field(default_factory=dict)


def turbulence(returns: Floats, window: int = TURBULENCE_WINDOW) -> Floats:
    """Return (y - mean)' S^-1 (y - mean) of each day, mean and S from the `window` days before it.

    Its mean is about the number of names, times window / (window - names) for the estimate's own error.
    Source: Kritzman & Li 2010, "Skulls, financial turbulence, and risk management", FAJ 66(5).
    Sums move along with the window and are made anew every `ANEW` days, so that nothing is lost in them.
    """
    found = np.full(len(returns), np.nan)
    centred = returns - returns[:window].mean(axis=0)
    sums, products = centred[:window].sum(axis=0), centred[:window].T @ centred[:window]
    for day in range(window, len(returns)):
        past, today = centred[day - window : day], centred[day]
        if day > window and (day - window) % ANEW == 0:
            sums, products = past.sum(axis=0), past.T @ past
        covariance = (products - np.outer(sums, sums) / window) / (window - 1)
        if (np.diag(covariance) <= STILL).any():
            found[day] = mahalanobis(past, today[None])[0]
        else:
            off = today - sums / window
            found[day] = off @ np.linalg.solve(covariance, off)
        sums = sums + today - past[0]
        products = products + np.outer(today, today) - np.outer(past[0], past[0])
    return found


def mahalanobis(past: Floats, returns: Floats) -> Floats:
    """Return (y - mean)' S^-1 (y - mean) of each row, mean and S (unbiased) of `past`.

    Names that never moved in `past` are left out: nothing is known of what is usual for them.
    """
    moves = np.ptp(past, axis=0) > 0
    past, off = past[:, moves], returns[:, moves] - past[:, moves].mean(axis=0)
    covariance = np.atleast_2d(np.cov(past, rowvar=False))
    found: Floats = (off * np.linalg.solve(covariance, off.T).T).sum(axis=1)
    return found


def absorption_ratio(returns: Floats, half_life: int | None = None, share: float = 0.2) -> float:
    """Return the share of variance in the first `share` of the principal components.

    Days weigh by `half_life` (None: all the same). Source: Kritzman, Page, Li & Rigobon 2011, "Principal
    components as a measure of systemic risk", J. Portfolio Management 37(4).
    """
    days, names = returns.shape
    age = np.arange(days)[::-1]
    weight = np.ones(days) if half_life is None else 0.5 ** (age / half_life)
    weight /= weight.sum()
    off = returns - weight @ returns
    values = np.linalg.eigvalsh((off * weight[:, None]).T @ off)
    kept = max(1, round(names * share))
    return float(values[-kept:].sum() / values.sum())


def ewma_volatility(returns: Floats, decay: float = DECAY) -> Floats:
    """Return the annual volatility at the close of each day, exponentially weighted, around zero.

    `returns` is one series (days,); it begins at its first squared return.
    """
    variance = np.square(returns)
    for day in range(1, len(variance)):
        variance[day] = decay * variance[day - 1] + (1 - decay) * variance[day]
    found: Floats = np.sqrt(variance * TRADING_DAYS)
    return found


@dataclass(frozen=True, slots=True)
class TwoStates:
    """A calm (0) and a stormy (1) state of daily returns: means, standard deviations, chances to stay."""

    mean: tuple[float, float]
    deviation: tuple[float, float]
    stay: tuple[float, float]

    def densities(self, returns: Floats) -> tuple[Floats, Floats]:
        """Return the normal density in each state (days, 2) over the larger one, and the larger's logarithm.

        Scaled by the larger of the two, no return is so far out that both are nothing.
        """
        sigma = np.array(self.deviation)
        z = (returns[:, None] - np.array(self.mean)) / sigma
        logs = -0.5 * np.square(z) - np.log(sigma * np.sqrt(2 * np.pi))
        peak: Floats = logs.max(axis=1)
        scaled: Floats = np.exp(logs - peak[:, None])
        return scaled, peak

    @property
    def start(self) -> tuple[float, float]:
        """Return how often each state comes in the long run."""
        leave = (1 - self.stay[0], 1 - self.stay[1])
        total = leave[0] + leave[1]
        return (leave[1] / total, leave[0] / total)

    def stormy(self, returns: Floats) -> Floats:
        """Return the chance of the stormy state at each close, given the days up to it: the forward filter.

        Source: Hamilton 1989, "A new approach to the economic analysis of nonstationary time series and the
        business cycle", Econometrica 57(2).
        """
        return self._forward(self.densities(returns)[0])[0][:, 1]

    def log_likelihood(self, returns: Floats) -> float:
        """Return the log-likelihood of a series."""
        density, peak = self.densities(returns)
        return float((np.log(self._forward(density)[1]) + peak).sum())

    def _forward(self, density: Floats) -> tuple[Floats, Floats]:
        """Return the filtered chances (days, 2) and each day's scaled likelihood given the days before."""
        stay_calm, stay_stormy = self.stay
        calm, storm = self.start
        chances, likelihood = np.empty_like(density), np.empty(len(density))
        for day, (if_calm, if_stormy) in enumerate(density.tolist()):
            if day:
                calm, storm = (
                    calm * stay_calm + storm * (1 - stay_stormy),
                    calm * (1 - stay_calm) + storm * stay_stormy,
                )
            calm, storm = calm * if_calm, storm * if_stormy
            total = calm + storm
            calm, storm = calm / total, storm / total
            chances[day] = calm, storm
            likelihood[day] = total
        return chances, likelihood

    def improved(self, returns: Floats) -> TwoStates:
        """Return the parameters after one round of expectation and maximisation (Baum & Welch)."""
        density, _ = self.densities(returns)
        chances, likelihood = self._forward(density)
        stay_calm, stay_stormy = self.stay
        move = np.array([[stay_calm, 1 - stay_calm], [1 - stay_stormy, stay_stormy]])
        ahead = np.ones((len(returns), 2))
        for day in range(len(returns) - 2, -1, -1):
            ahead[day] = move @ (density[day + 1] * ahead[day + 1]) / likelihood[day + 1]
        smooth = chances * ahead
        coming = density[1:] * ahead[1:] / likelihood[1:, None]
        pairs = move * (chances[:-1].T @ coming)
        weight = smooth.sum(axis=0)
        mean = (smooth * returns[:, None]).sum(axis=0) / weight
        variance = (smooth * np.square(returns[:, None] - mean)).sum(axis=0) / weight
        stay = np.diag(pairs) / pairs.sum(axis=1)
        m, s, p = mean.tolist(), np.sqrt(variance).tolist(), stay.tolist()
        return TwoStates((m[0], m[1]), (s[0], s[1]), (p[0], p[1]))


def fit_two_states(returns: Floats, rounds: int = 50, tolerance: float = 1e-2) -> TwoStates:
    """Fit a calm and a stormy state to one series (days,), beginning from a split by size.

    Ends when a round gains less than `tolerance` in log-likelihood. Use it on the past alone.
    """
    size = np.abs(returns)
    big = size > np.quantile(size, 0.8)
    found = TwoStates((0.0, 0.0), (float(returns[~big].std()), float(returns[big].std())), (0.98, 0.95))
    last = found.log_likelihood(returns)
    for _ in range(rounds):
        found = found.improved(returns)
        reached = found.log_likelihood(returns)
        if reached - last < tolerance:
            break
        last = reached
    return found


def quantiles_so_far(values: Floats, share: float) -> Floats:
    """Return for each day the quantile of the values up to it (days,), between two of them in proportion."""
    ordered: list[float] = []
    found = np.empty(len(values))
    for day, value in enumerate(values.tolist()):
        insort(ordered, value)
        at = share * day
        low = int(at)
        above = ordered[min(low + 1, day)]
        found[day] = ordered[low] + (above - ordered[low]) * (at - low)
    return found


def with_hysteresis(values: Floats, enter: float, leave: float) -> list[bool]:
    """Say for each day whether the state is on: entered at `enter` or above, left below `leave`.

    NaN changes nothing. `leave` is not above `enter`, so a value that trembles at a limit does not.
    """
    found, is_on = [], False
    for value in values.tolist():
        if not math.isnan(value):
            is_on = value >= (leave if is_on else enter)
        found.append(is_on)
    return found


def signals(history: History, *, enter: float = 1.0, leave: float = 0.5) -> Signals | None:
    """Return how the market was at the last close; None when the history is too short for a judgement.

    Stress of a day is the smaller of two ratios, each 1 at its limit: EWMA volatility to 1.5 times its
    median so far, and the month's mean turbulence to the 75th percentile of its past. The last
    `SIGNAL_DAYS` count and the turbulence window before them; names with a gap in it are left out. At
    least the turbulence window and a year beyond it are needed.
    """
    recent = history.prices[-(TURBULENCE_WINDOW + SIGNAL_DAYS + 1) :]
    whole = np.flatnonzero(~np.isnan(recent).any(axis=0))
    if not whole.size or len(recent) <= TURBULENCE_WINDOW + TRADING_DAYS + 1:
        return None
    prices = recent[:, whole]
    returns = prices[1:] / prices[:-1] - 1
    some = np.unique(np.linspace(0, len(whole) - 1, TURBULENCE_NAMES).astype(np.intp))
    unusual = turbulence(returns[:, some])[TURBULENCE_WINDOW:]
    monthly = np.convolve(unusual, np.full(TURBULENCE_MEAN, 1 / TURBULENCE_MEAN), mode="valid")
    fast = ewma_volatility(returns.mean(axis=1))[-len(monthly) :]
    vol_ratio = fast / quantiles_so_far(fast, 0.5)
    stress = np.minimum(vol_ratio / STRESSED_RATIO, monthly / quantiles_so_far(monthly, 0.75))
    is_crisis = with_hysteresis(stress, enter, leave)[-1]
    rise = prices[-1] / prices[-1 - TRADING_DAYS] - 1
    return Signals(
        as_of=history.dates[-1],
        regime=Regime.CRISIS if is_crisis else Regime.NORMAL,
        vol_ratio=float(vol_ratio[-1]),
        turbulence=float((monthly[:-1] < monthly[-1]).mean()),
        momentum={history.symbols[at]: float(by) for at, by in zip(whole, rise, strict=True)},
    )
