"""The default rule for many assets: each name's cost of trading per year of waiting, no parameter to tune.

A one-way cost k is paid once, drift costs every year; to weigh one against the other k must be spread over
the time a trade lasts. The one-asset band knows how: at its edge the marginal drift cost gamma s^2 D equals
what a trade is worth. So for each name, with s its volatility, w* its target, nu the volatility of its
weight, which is |w*| times its volatility relative to the whole target portfolio (cash included),
    D = (1.5 k nu^2 / (gamma s^2))^(1/3), not more than |w*|,       c = gamma s^2 D,
and the rule is the trade that minimises gamma/2 e'Se + sum c |trade|, e the gap that is left: correlation
counts, a name may be left alone because another's gap offsets its own, and one trades to the edge only.
With one asset this is the cube-root band. For several it is our own rule: best of all we measured
(`benchmarks/multi_asset.py`), a theorem only in the limit of one. Sources of its parts: Rogers (2004) and
Leland (2000) for D, Dybvig and Pezzo (2020) for the region.

The exact band of a small weight does not reach below zero; D is |w*| tanh(D / |w*|), which follows the exact
half-width (`tracking_band`, no drift) within 7 % up to D = |w*| and changes nothing at ordinary weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.kinked import Dense, Factors, Risk, descend, minimise
from gateway.decision.no_trade.numeric import Array
from gateway.decision.no_trade.region import read_problem


@dataclass(frozen=True, slots=True)
class Amortised:
    """Say what to trade and why; arrays are (N), or (P x N) for P paths, in fractions of NAV.

    `trades` is what to buy (+) or sell (-), `weights` what that leads to. `low` and `high` are each
    name's edges given the weights of the others after the trade: a name that trades ends on one of
    them. `is_inside` marks names that need no trade. `half_width` is D and `rate` the amortised cost
    c, a year, per weight traded; both are the name's own, (N).
    `benefit` is the drift cost a name's trade saves a year (the names' sum is the portfolio's saving;
    one name's may be negative, when it makes room for another), `charge` = c |trade| what it is weighed
    against a year, and `cost` = k |trade| what is paid once. Times NAV they are money.
    `before` and `after` are the whole drift cost gamma/2 e'Se a year. `is_converged` is False when the
    minimum was not reached: `trades` still is no worse than none.
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
    before: Array
    after: Array
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
) -> Amortised:
    """Return the trades of the default rule, exactly (marginal costs are met to 1e-13).

    `covariance` of yearly returns, N x N or `Factors`; `weights` held now, (N) or (P x N) for many paths
    at once; `targets` (N); cash is what is left of 1. `k` one-way costs as fractions of what is traded
    (0.001 = 10 bp), of buying if `k_sell` is given, a number or one per name; the band depends on their
    mean, as a trade in is a trade out later. `gamma` risk aversion. `low` and `high` bound the weights
    after; a name that is outside of them is brought back. A name without risk is left as it is unless a
    bound moves it; a target of zero has no drift to wait for, so it is traded without reserve.
    Raises ValueError for wrong shapes or signs.
    """
    risk, before, wanted = read_problem(covariance, weights, targets, gamma)
    buy_once = np.broadcast_to(np.asarray(k, dtype=float), wanted.shape)
    sell_once = buy_once if k_sell is None else np.broadcast_to(np.asarray(k_sell, dtype=float), wanted.shape)
    if not ((buy_once >= 0) & (sell_once >= 0)).all():
        raise ValueError("k and k_sell must not be negative: they are one-way fractions of what is traded")
    floor, ceiling = (np.broadcast_to(np.asarray(each, dtype=float), wanted.shape) for each in (low, high))
    if not (floor <= ceiling).all():
        raise ValueError("low must not be above high in any name")
    width = band_half_widths(risk=risk, targets=wanted, k=0.5 * (buy_once + sell_once), gamma=gamma)
    rate = gamma * risk.variances * width
    trades, is_converged = _solve(risk, gamma, before, wanted, rate, floor, ceiling)
    return _explained(
        risk, gamma, before, wanted, trades, width, buy_once, sell_once, is_converged=is_converged
    )


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
    risk: Risk, gamma: float, before: Array, wanted: Array, trades: Array, width: Array,
    buy_once: Array, sell_once: Array, *, is_converged: bool,
) -> Amortised:  # fmt: skip
    """Put the numbers to the trades."""
    variances = risk.variances
    rate = gamma * variances * width
    after = before + trades
    off, left = before - wanted, after - wanted
    risk_before, risk_after = risk.times(off), risk.times(left)
    with np.errstate(divide="ignore", invalid="ignore"):
        others = np.where(variances > 0, (risk_after - variances * left) / variances, 0.0)
        reach = np.where(variances > 0, width, np.inf)
    size = np.abs(trades)
    return Amortised(
        trades=trades,
        weights=after,
        low=wanted - others - reach,
        high=wanted - others + reach,
        is_inside=trades == 0,
        half_width=width,
        rate=rate,
        benefit=-0.5 * gamma * trades * (risk_before + risk_after),
        charge=rate * size,
        cost=np.where(trades > 0, buy_once, sell_once) * size,
        before=0.5 * gamma * (off * risk_before).sum(axis=-1),
        after=0.5 * gamma * (left * risk_after).sum(axis=-1),
        is_converged=is_converged,
    )
