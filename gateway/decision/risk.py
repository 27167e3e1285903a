"""Risk: how the returns of the names move together, from their daily closes.

Rules of this room:
1. A model is plain arrays, annualised over 252 days, and positive definite: its condition is bounded.
2. What cannot be estimated is a `Refusal` with its remedy, never a guess: too few days, a history that
   ends too long ago. One name without a history of its own falls back to its configured volatility and
   no correlation, and a note says so.
3. Covariances are for the symbols asked for, in the order asked; a name the model does not know takes
   the volatility that is handed in with it.
4. Nothing decided depends on how a model was made: decisions are journaled, models are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from gateway.decision.optimise.problem import Covariance

Floats = npt.NDArray[np.float64]
TRADING_DAYS = 252
MIN_OBSERVATIONS = 60
"""Daily returns below which no covariance is estimated: about a quarter of a year."""
DENSE_NAMES = 500
"""More names than this share so many principal components instead of a full matrix, unless told otherwise."""
MANY_FACTORS = 20
MAX_CONDITION = 1e4
"""Largest over smallest eigenvalue of a correlation matrix; what lies below the floor is raised to it."""


REMEMBERED = 16
"""Sets of names for which a dense model is kept taken apart."""


@dataclass(frozen=True, slots=True)
class History:
    """Daily closes: `prices` has a row a date and a column a symbol, NaN where there is none.

    Dates ascend strictly; prices are positive, adjusted for splits and, better, for dividends.
    """

    dates: tuple[date, ...]
    symbols: tuple[str, ...]
    prices: Floats


@dataclass(frozen=True, slots=True)
class Refusal:
    """Say in one sentence why there is no model, and the remedy."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class RiskModel:
    """Hold annualised covariance as factors and specific variance: S = B B' + diag(specific).

    `loadings` B is (n, k); a dense model keeps its Cholesky factor there (k = n, nothing specific).
    `as_of` is the last date it knows, `observations` the daily returns it is made of, `shrinkage` the
    share of its correlations that was taken away. `notes` say what it had to assume.
    """

    symbols: tuple[str, ...]
    loadings: Floats
    specific: Floats
    as_of: date
    observations: int = 0
    shrinkage: float = 0.0
    notes: tuple[str, ...] = ()
    _place: dict[str, int] = field(init=False, repr=False)
    _apart: dict[tuple[tuple[str, ...], bytes], Covariance] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        n = len(self.symbols)
        if self.loadings.shape[0] != n or self.specific.shape != (n,):
            raise ValueError(f"{n} symbols, loadings {self.loadings.shape}, specific {self.specific.shape}")
        if not (np.isfinite(self.loadings).all() and np.isfinite(self.specific).all()):
            raise ValueError("a covariance must be finite")
        if self.specific.min(initial=0.0) < 0:
            raise ValueError("a specific variance below 0 is no variance")
        object.__setattr__(self, "_place", {symbol: at for at, symbol in enumerate(self.symbols)})

    @classmethod
    def dense(cls, symbols: Sequence[str], covariance: Floats, as_of: date) -> RiskModel:
        """Take an annualised covariance matrix as it is; LinAlgError when it is not positive definite."""
        loadings: Floats = np.linalg.cholesky(covariance).astype(np.float64)
        return cls(tuple(symbols), loadings, np.zeros(len(symbols)), as_of)

    def part(self, symbols: Sequence[str], volatility: Floats) -> tuple[Floats, Floats]:
        """Return loadings (m, k) and specific variance (m,) of `symbols`, in their order.

        `volatility` (m,) is annual and stands in for names the model does not know.
        """
        at = np.array([self._place.get(symbol, -1) for symbol in symbols], dtype=np.intp)
        is_known = at >= 0
        loadings = np.zeros((len(at), self.loadings.shape[1]))
        loadings[is_known] = self.loadings[at[is_known]]
        specific = np.square(np.asarray(volatility, dtype=np.float64))
        specific[is_known] = self.specific[at[is_known]]
        return loadings, specific

    def apart(self, symbols: Sequence[str], volatility: Floats) -> Covariance:
        """Return `part` as the optimiser takes it, with something specific in every name.

        A dense model has nothing specific, and no fewer factors than names: it is taken apart once for the
        names asked for (one eigenvalue decomposition) and remembered, for the last `REMEMBERED` sets of them.
        """
        loadings, specific = self.part(symbols, volatility)
        if loadings.shape[1] < len(symbols):
            return Covariance.by_factors(loadings, specific)
        key = (tuple(symbols), np.asarray(volatility).tobytes())
        found = self._apart.get(key)
        if found is None:
            if len(self._apart) >= REMEMBERED:
                del self._apart[next(iter(self._apart))]
            found = Covariance.by_matrix(loadings @ loadings.T + np.diag(specific))
            self._apart[key] = found
        return found

    def covariance(self, symbols: Sequence[str], volatility: Floats) -> Floats:
        """Return the annualised covariance matrix (m, m) of `symbols`."""
        loadings, specific = self.part(symbols, volatility)
        found: Floats = loadings @ loadings.T + np.diag(specific)
        return found

    def product(self, symbols: Sequence[str], volatility: Floats, weights: Floats) -> Floats:
        """Return S w (m,) without forming S."""
        loadings, specific = self.part(symbols, volatility)
        found: Floats = loadings @ (loadings.T @ weights) + specific * weights
        return found

    def variance(self, symbols: Sequence[str], volatility: Floats, weights: Floats) -> float:
        """Return w' S w, annual."""
        return float(weights @ self.product(symbols, volatility, weights))

    def correlation(self, one: str, other: str) -> float | None:
        """Return the correlation of two names, None when one of them is not in the model."""
        if one not in self._place or other not in self._place:
            return None
        pair = self.covariance((one, other), np.zeros(2))
        return float(pair[0, 1] / np.sqrt(pair[0, 0] * pair[1, 1]))

    def volatility(self, symbol: str) -> float | None:
        """Return the annual volatility of a name, None when it is not in the model."""
        at = self._place.get(symbol)
        if at is None:
            return None
        return float(np.sqrt(np.square(self.loadings[at]).sum() + self.specific[at]))

    def age_days(self, today: date) -> int:
        """Return the calendar days since the last date the model knows."""
        return (today - self.as_of).days


def ledoit_wolf(returns: Floats) -> tuple[Floats, float]:
    """Shrink the sample covariance of `returns` (days, names) to mean variance times the identity.

    Return the covariance, per day, and the shrinkage in [0, 1], which minimises the expected squared
    distance to the true matrix. Source: Ledoit & Wolf 2004, "A well-conditioned estimator for
    large-dimensional covariance matrices", J. Multivariate Analysis 88, lemma 3.2 to 3.5.
    """
    count, names = returns.shape
    centred = returns - returns.mean(axis=0)
    sample = centred.T @ centred / count
    mean_variance = float(np.trace(sample)) / names
    squares = np.square(centred)
    dispersion = float(np.square(sample).sum()) - names * mean_variance**2
    noise = (float((squares.sum(axis=1) ** 2).sum()) / count - float(np.square(sample).sum())) / count
    shrinkage = min(max(noise, 0.0), dispersion) / dispersion if dispersion > 0 else 0.0
    shrunk = (1 - shrinkage) * sample
    shrunk[np.diag_indices(names)] += shrinkage * mean_variance
    return shrunk, shrinkage


def conditioned(correlation: Floats, max_condition: float = MAX_CONDITION) -> tuple[Floats, int]:
    """Raise eigenvalues below the largest over `max_condition`; return the matrix and how many there were.

    The diagonal is scaled back to 1, so that no name's variance changes.
    """
    values, vectors = np.linalg.eigh(correlation)
    floor = values[-1] / max_condition
    count = int((values < floor).sum())
    if not count:
        return correlation, 0
    raised = (vectors * np.maximum(values, floor)) @ vectors.T
    scale = np.sqrt(np.diag(raised))
    return raised / np.outer(scale, scale), count


def estimate(
    history: History,
    today: date,
    volatilities: Mapping[str, float],
    *,
    window: int = 504,
    max_age_days: int = 5,
    min_observations: int = MIN_OBSERVATIONS,
    factors: int = 0,
) -> RiskModel | Refusal:
    """Estimate a model of the names in `volatilities` (symbol to configured annual volatility).

    The last `window` rows of `history` count; of those, the days on which every usable name has a close.
    Returns are simple, from one such day to the next, and standardised: correlations are shrunk towards
    zero by `ledoit_wolf`, each name keeps its own sample variance. With `factors` k > 0 correlations are
    k principal components and what is specific instead; so they are, with `MANY_FACTORS`, for more than
    `DENSE_NAMES` names.
    Ages are calendar days: a weekend and a holiday make four.
    """
    oldest = today - timedelta(days=max_age_days)
    if history.dates and history.dates[-1] < oldest:
        text = f"the price history ends on {history.dates[-1]}, more than {max_age_days} days before {today}"
        return Refusal(f"{text}: append the closes since, or raise risk.max_age_days")
    prices, dates = history.prices[-(window + 1) :], history.dates[-(window + 1) :]
    usable, notes = _usable(history.symbols, dates, prices, volatilities, min_observations, oldest)
    closes = prices[:, [history.symbols.index(symbol) for symbol in usable]]
    is_whole = ~np.isnan(closes).any(axis=1)
    closes = closes[is_whole]
    count = len(closes) - 1
    if not usable or count < min_observations:
        text = f"{max(count, 0) if usable else 0} days have a close of every usable name"
        return Refusal(
            f"{text}, the least is {min_observations} + 1: give a longer history, or fill its gaps"
        )
    if gaps := len(prices) - len(closes):
        notes += (f"{gaps} of {len(prices)} days left out: not every name has a close",)
    returns = closes[1:] / closes[:-1] - 1
    loadings, specific, shrinkage, more = _model_of(returns, factors)
    notes += more
    unknown = tuple(sorted(set(volatilities) - set(usable)))
    return RiskModel(
        symbols=usable + unknown,
        loadings=np.vstack([loadings, np.zeros((len(unknown), loadings.shape[1]))]),
        specific=np.concatenate([specific, [volatilities[symbol] ** 2 for symbol in unknown]]),
        as_of=dates[int(np.flatnonzero(is_whole)[-1])],
        observations=count,
        shrinkage=shrinkage,
        notes=notes,
    )


def _usable(
    symbols: Sequence[str],
    dates: Sequence[date],
    prices: Floats,
    wanted: Mapping[str, float],
    min_observations: int,
    oldest: date,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose the wanted names with enough closes that move and go on; note why the others are not."""
    place = {symbol: at for at, symbol in enumerate(symbols)}
    usable, notes = [], []
    for symbol, volatility in sorted(wanted.items()):
        column = prices[:, place[symbol]] if symbol in place else np.full(len(dates), np.nan)
        known = np.flatnonzero(~np.isnan(column))
        if len(known) <= min_observations:
            why = f"{len(known)} closes"
        elif dates[known[-1]] < oldest:
            why = f"no close since {dates[known[-1]]}"
        elif not np.ptp(column[known]):
            why = "a price that never moves"
        else:
            usable.append(symbol)
            continue
        notes.append(f"{symbol} has {why}: taken at {volatility:.1%} a year, uncorrelated")
    return tuple(usable), tuple(notes)


def _model_of(returns: Floats, factors: int) -> tuple[Floats, Floats, float, tuple[str, ...]]:
    """Return annual loadings, annual specific variance, the shrinkage and notes on how it was made.

    With factors, no name is left less specific variance than `1 / MAX_CONDITION` of its own.
    """
    deviation = returns.std(axis=0)
    standard = (returns - returns.mean(axis=0)) / deviation
    scale = deviation * np.sqrt(TRADING_DAYS)
    notes: tuple[str, ...] = ()
    if not factors and len(scale) > DENSE_NAMES:
        factors = MANY_FACTORS
        notes = (f"{len(scale)} names: taken as {factors} factors and what is specific",)
    if not factors:
        correlation, shrinkage = ledoit_wolf(standard)
        correlation, raised = conditioned(correlation)
        notes = (f"{raised} eigenvalues raised to the floor",) if raised else ()
        return scale[:, None] * np.linalg.cholesky(correlation), np.zeros(len(scale)), shrinkage, notes
    _, singular, right = np.linalg.svd(standard, full_matrices=False)
    loadings = right[:factors].T * singular[:factors] / np.sqrt(len(standard))
    left = np.maximum(1 - np.square(loadings).sum(axis=1), 1 / MAX_CONDITION)
    return scale[:, None] * loadings, np.square(scale) * left, 0.0, notes
