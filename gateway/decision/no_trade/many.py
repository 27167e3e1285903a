"""The default rule for many assets: each name's cost of trading per year of waiting, no parameter to tune.

A one-way cost k is paid once, drift costs every year; to weigh one against the other k must be spread over
the time a trade lasts. The one-asset band knows how: at its edge the marginal drift cost gamma s^2 D equals
what a trade is worth. So for each name, with s its volatility, w* its target, nu the volatility of its
weight, which is |w*| times its volatility relative to the whole target portfolio (cash included),
    D = (1.5 k nu^2 / (gamma s^2))^(1/3), not more than |w*|,       c = gamma s^2 D,
and the rule is the trade that minimises gamma/2 e'Re + sum c |trade|, e the gap that is left and R the
covariance with its correlations halved. With one asset this is the cube-root band, traded to its edge.

Why halved: two gaps that offset each other do so only until one of them moves, and names that are alike
drift alike, so the whole correlation waits too long; none at all sees no hedge. Half is within 5 % of the
best share in 10 of the 11 markets of five names in `benchmarks/multi_asset.py`, and 16 % off in the other
(equal volatilities and weights, correlation 0.9); all of it cost up to 2.6 times as much as half, none of it
1.4 times. This is our measurement, not a theorem. On markets that had no part in the choice (same benchmark,
third table) half is within 0.3 % of the best of five shares for 20 names, whether the covariance is told, is
estimated from 504 days or the closes are real; for 100 names a quarter costs 10 % less than half, so the best
share falls as names grow, and half is then too cautious. Whole correlations cost 7 to 10 % more for 20 names
and 32 to 38 % for 100, none at all 6 to 8 %.
Sources of the parts: Rogers (2004) and Leland (2000) for D, Dybvig and Pezzo (2020) for the region.

The exact band of a small weight does not reach below zero; D is |w*| tanh(D / |w*|), which follows the exact
half-width (`tracking_band`, no drift) within 8 % and changes nothing at ordinary weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.kinked import Dense, Factors, Risk, descend, minimise
from gateway.decision.no_trade.numeric import Array
from gateway.decision.no_trade.region import read_problem

CORRELATION = 0.5
"""Share of the correlations that counts."""


@dataclass(frozen=True, slots=True)
class Amortised:
    """Say what to trade and why; arrays are (N), or (P x N) for P paths, in fractions of NAV.

    `trades` is what to buy (+) or sell (-), `weights` what that leads to. `low` and `high` are each
    name's edges given the weights of the others after the trade: a name that trades ends on one of
    them. `is_inside` marks names that need no trade. `half_width` is D and `rate` the amortised cost
    c, a year, per weight traded; both are the name's own, (N).
    `benefit` is the drift cost a name's trade saves a year, as the rule sees it (one name's may be
    negative when it makes room for another; their sum is at least that of the charges), `charge` =
    c |trade| what it is weighed against a year, `cost` = k |trade| what is paid once. Times NAV they
    are money. `tracking_before` and `tracking_after` are the tracking error (sqrt of e'Se, a year, all
    correlations in). `is_converged` is False when the minimum was not reached: `trades` still is no
    worse than none.
    """

    trades: Array
    weights: Array
    low: Array
    high: Array
    is_inside: npt.NDArray[np.bool_]
    half_width: Array
    rate: Array
    benefit: Array
    charge: Array
    cost: Array
    tracking_before: Array
    tracking_after: Array
    is_converged: bool


def amortised(
    *,
    covariance: npt.ArrayLike | Factors,
    weights: npt.ArrayLike,
    targets: npt.ArrayLike,
    k: npt.ArrayLike,
    gamma: float,
    k_sell: npt.ArrayLike | None = None,
    low: npt.ArrayLike = -np.inf,
    high: npt.ArrayLike = np.inf,
    correlation: float = CORRELATION,
) -> Amortised:
    """Return the trades of the default rule, exactly (marginal costs are met to 1e-13).

    `covariance` of yearly returns, N x N or `Factors`; `weights` held now, (N) or (P x N) for many paths
    at once; `targets` (N); cash is what is left of 1. `k` one-way costs as fractions of what is traded
    (0.001 = 10 bp), of buying if `k_sell` is given, a number or one per name; the band depends on their
    mean, as a trade in is a trade out later. `gamma` risk aversion. `low` and `high` bound the weights
    after; a name that is outside of them is brought back. A target of zero has no drift to wait for: the
    name is sold whole, as far as its bounds allow, and nothing is kept of it to offset other gaps. Any
    other name without risk is left as it is unless a bound moves it.
    `correlation` is the share of the correlations that counts: 0 is each name alone, 1 all of it.
    Raises ValueError for wrong shapes or signs.
    """
    risk, before, wanted = read_problem(covariance, weights, targets, gamma)
    if not 0 <= correlation <= 1:
        raise ValueError("correlation must be between 0 and 1: it is the share of them that counts")
    buy_once, sell_once, floor, ceiling = _limits(wanted, k, k if k_sell is None else k_sell, low, high)
    width = band_half_widths(risk=risk, targets=wanted, k=0.5 * (buy_once + sell_once), gamma=gamma)
    seen = damped(risk, correlation)
    rate = gamma * risk.variances * width
    trades, is_converged = _solve(seen, gamma, before, wanted, rate, floor, ceiling)
    after = before + trades
    low_edge, high_edge, benefit = _explained(seen, gamma, before - wanted, trades, width)
    return Amortised(
        trades=trades,
        weights=after,
        low=wanted + low_edge,
        high=wanted + high_edge,
        is_inside=trades == 0,
        half_width=width,
        rate=rate,
        benefit=benefit,
        charge=rate * np.abs(trades),
        cost=np.where(trades > 0, buy_once, sell_once) * np.abs(trades),
        tracking_before=_tracking(risk, before - wanted),
        tracking_after=_tracking(risk, after - wanted),
        is_converged=is_converged,
    )


def _limits(
    wanted: Array, buy: npt.ArrayLike, sell: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike
) -> list[Array]:
    """Check costs and bounds and return them name by name; an unwanted name's bounds are zero."""
    buy_once, sell_once, floor, ceiling = (
        np.broadcast_to(np.asarray(each, dtype=float), wanted.shape) for each in (buy, sell, low, high)
    )
    if not ((buy_once >= 0) & (sell_once >= 0)).all():
        raise ValueError("k and k_sell must not be negative: they are one-way fractions of what is traded")
    if not (floor <= ceiling).all():
        raise ValueError("low must not be above high in any name")
    gone = np.clip(np.zeros_like(wanted), floor, ceiling)
    return [buy_once, sell_once, np.where(wanted == 0, gone, floor), np.where(wanted == 0, gone, ceiling)]


def damped(risk: Risk, correlation: float) -> Risk:
    """Return the same variances with every correlation times `correlation` (between 0 and 1)."""
    if isinstance(risk, Factors):
        specific = risk.variances - correlation * (risk.variances - risk.specific)
        return Factors(risk.loadings * np.sqrt(correlation), specific)
    matrix = risk.times(correlation * np.eye(risk.variances.size))
    matrix[np.diag_indices_from(matrix)] = risk.variances
    return Dense(matrix)


def band_half_widths(*, risk: Risk, targets: Array, k: Array, gamma: float) -> Array:
    """Return D of every name: the half-width of its band, seen alone (shape N); 0 for a target of 0."""
    variances = risk.variances
    whole = risk.times(targets)
    relative = np.maximum(variances - 2 * whole + targets @ whole, 0.0)
    size = np.abs(targets)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.cbrt(1.5 * k * size**2 * relative / (gamma * variances))
        width = size * np.tanh(wide / size)
    return np.where((size > 0) & (variances > 0), width, 0.0)


def _solve(
    risk: Risk, gamma: float, before: Array, wanted: Array, rate: Array, floor: Array, ceiling: Array
) -> tuple[Array, bool]:
    if before.ndim == 1:
        pull = gamma * risk.times(wanted - before)
        found = minimise(risk, gamma, pull, rate, rate, floor - before, ceiling - before)
        return found.trades, found.is_converged
    matrix = gamma * (risk.matrix if isinstance(risk, Dense) else risk.times(np.eye(wanted.size)))
    trades, done = descend(matrix, (wanted - before) @ matrix, rate, rate, floor - before, ceiling - before)
    return trades, bool(done.all())


def _explained(
    seen: Risk, gamma: float, off: Array, trades: Array, width: Array
) -> tuple[Array, Array, Array]:
    """Return the edges as distances from the targets, and the benefit of each trade a year."""
    variances, left = seen.variances, off + trades
    before, after = seen.times(off), seen.times(left)
    has_risk = variances > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        pushed = np.where(has_risk, after / variances - left, 0.0)
    reach = np.where(has_risk, width, np.inf)
    return -pushed - reach, -pushed + reach, -0.5 * gamma * trades * (before + after)


def _tracking(risk: Risk, off: Array) -> Array:
    """Return the tracking error a year of gaps (N) or (P x N)."""
    return np.asarray(np.sqrt(np.maximum((off * risk.times(off)).sum(axis=-1), 0.0)))
