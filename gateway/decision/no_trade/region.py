"""One period, many assets: the no-trade region of Dybvig and Pezzo, and the trade to its boundary.

Source: Dybvig, Pezzo, Mean-variance portfolio rebalancing with transaction costs (2020): with proportional
costs one does not trade while -sell_cost <= gamma S (w* - w) <= buy_cost in every asset, a parallelepiped
around the target w*; outside of it one trades to its boundary, not to the target.
The minimum of gamma/2 (w - w*)' S (w - w*) + buy_cost' buys + sell_cost' sales is found exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.kinked import Dense, Factors, Risk, minimise
from gateway.decision.no_trade.numeric import Array


@dataclass(frozen=True, slots=True)
class RegionTrade:
    """Say what to trade; arrays have one entry per asset, weights are fractions of NAV.

    `is_inside` tells that nothing is to be done. `pull` is gamma S (w* - w) before the trade and
    `pull_after` the one after it, to be compared with the costs. `edges` are the half-axes
    (gamma S)^-1 (c_buy + c_sell)/2 of the region, one column an asset (empty for a covariance given
    as factors or without an inverse). `cost` is what the trades cost, `objective` the minimum.
    """

    is_inside: bool
    trades: Array
    weights: Array
    pull: Array
    pull_after: Array
    edges: Array
    cost: float
    objective: float


def region_trade(
    *,
    covariance: npt.ArrayLike | Factors,
    weights: npt.ArrayLike,
    targets: npt.ArrayLike,
    gamma: float,
    buy_cost: npt.ArrayLike,
    sell_cost: npt.ArrayLike,
    low: npt.ArrayLike = -np.inf,
    high: npt.ArrayLike = np.inf,
) -> RegionTrade:
    """Return the trade to the boundary of the one-period no-trade region, exactly.

    `covariance` S (N x N, or `Factors`) of returns over the period, `weights` w before, `targets` w*,
    `gamma` risk aversion, `buy_cost` and `sell_cost` one-way fractions (a number or one per asset),
    `low` and `high` bounds of the weights after. Cash is what is left. Raises ValueError for wrong
    shapes or signs, and when the minimum was not reached.
    """
    risk, before, wanted = read_problem(covariance, weights, targets, gamma)
    buy, sell, floor, ceiling = (
        np.broadcast_to(np.asarray(each, dtype=float), before.shape)
        for each in (buy_cost, sell_cost, low, high)
    )
    if not ((buy >= 0) & (sell >= 0)).all():
        raise ValueError("buy_cost and sell_cost must not be negative: they are fractions of what is traded")
    if not (floor <= ceiling).all():
        raise ValueError("low must not be above high in any asset")
    pull = gamma * risk.times(wanted - before)
    found = minimise(risk, gamma, pull, buy, sell, floor - before, ceiling - before)
    if not found.is_converged:
        raise ValueError(f"the minimum was not reached (unmet {found.unmet:.1e}): is the covariance sound?")
    after = before + found.trades
    left = risk.times(wanted - after)
    cost = float(buy @ np.maximum(found.trades, 0) + sell @ np.maximum(-found.trades, 0))
    return RegionTrade(
        is_inside=not found.trades.any(),
        trades=found.trades,
        weights=after,
        pull=pull,
        pull_after=gamma * left,
        edges=_half_axes(risk, gamma, 0.5 * (buy + sell)),
        cost=cost,
        objective=0.5 * gamma * float((wanted - after) @ left) + cost,
    )


def read_problem(
    covariance: npt.ArrayLike | Factors, weights: npt.ArrayLike, targets: npt.ArrayLike, gamma: float
) -> tuple[Risk, Array, Array]:
    """Check the parts every many-asset problem has, return them as arrays; ValueError says what is wrong."""
    risk: Risk = covariance if isinstance(covariance, Factors) else _dense(covariance)
    wanted = np.atleast_1d(np.asarray(targets, dtype=float))
    before = np.asarray(weights, dtype=float)
    before = before.reshape(1) if before.ndim == 0 else before
    if wanted.ndim != 1 or before.shape[-1:] != wanted.shape or risk.variances.shape != wanted.shape:
        raise ValueError(
            "covariance must be N x N (or Factors of N names), weights and targets N numbers each"
        )
    if not (np.isfinite(wanted).all() and np.isfinite(before).all() and np.isfinite(risk.variances).all()):
        raise ValueError("covariance, weights and targets must be finite numbers")
    if (risk.variances < 0).any():
        raise ValueError("covariance has a negative variance on its diagonal")
    if not 0 < gamma < np.inf:
        raise ValueError("gamma must be above 0: it is the risk aversion")
    return risk, before, wanted


def _dense(covariance: npt.ArrayLike) -> Dense:
    matrix = np.atleast_2d(np.asarray(covariance, dtype=float))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():  # noqa: PLR2004
        raise ValueError("covariance must be a square matrix of finite numbers")
    if np.abs(matrix - matrix.T).max(initial=0.0) > 1e-12 * np.abs(matrix).max(initial=0.0):
        raise ValueError("covariance must be symmetric")
    return Dense(matrix)


def _half_axes(risk: Risk, gamma: float, costs: Array) -> Array:
    if not isinstance(risk, Dense):
        return np.zeros((0, 0))
    try:
        return np.asarray(np.linalg.solve(gamma * risk.matrix, np.diag(costs)))
    except np.linalg.LinAlgError:
        return np.zeros((0, 0))
