"""Minimise a quadratic with a kink at zero.

    0.5 z'Qz - pull'z + buy'max(z, 0) + sell'max(-z, 0),   low <= z <= high

This is the one problem behind the one-period region and the amortised rule: z are trades, Q is gamma times
the covariance, pull is Q times the gap, and costs make the kink. Two solvers, one answer:

* `minimise`: one problem, any size. Newton on what is free to move, projected on bounds and kinks (Bertsekas,
  Projected Newton methods, SIAM J. Control 20, 1982); each step lowers the objective, so the answer is
  never worse than the start, and within a face the step is exact, so it ends. Many names on few factors
  start from the dual problem, which has one unknown a factor and mostly ends there.
* `descend`: many small problems with one Q at once, coordinate by coordinate (Tseng 2001), then exactly.

Q is positive semidefinite, as a matrix or as factors. An asset without any risk has nothing to pull it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.numeric import Array

Mask = npt.NDArray[np.bool_]
TIGHT = 1e-13
"""Marginal costs are met to this share of the largest of them; sooner only when no step helps any more."""
LOOSE = 1e-8
STEPS = 500
SWEEPS = 4
HALVINGS = 60
FEW = 64
"""Names from which on a factor problem is first solved in the space of its factors."""
FORECASTS = 40
FACTOR_RIDGE = 1e-9
RIDGE = 1e-11
"""Shares of the mean variance added to a direction's metric (never to the problem), for singular Q."""


class Risk(Protocol):
    """Stand for a covariance matrix, whatever its form."""

    @property
    def variances(self) -> Array:
        """Return the diagonal."""
        ...

    def times(self, vector: Array) -> Array:
        """Return the matrix times a vector (N), or times each row of (P x N)."""
        ...

    def solve(self, free: Mask, right: Array) -> Array:
        """Solve the rows and columns that are `free`, with the ridge; `right` has one entry for each."""
        ...


@dataclass(frozen=True, slots=True)
class Dense:
    """Hold a covariance as an N x N matrix."""

    matrix: Array

    @property
    def variances(self) -> Array:
        """Return the diagonal."""
        return np.asarray(np.diagonal(self.matrix))

    def times(self, vector: Array) -> Array:
        """Return the matrix times a vector."""
        return np.asarray(vector @ self.matrix)

    def solve(self, free: Mask, right: Array) -> Array:
        """Solve the free block by elimination."""
        block = self.matrix[np.ix_(free, free)]
        block[np.diag_indices_from(block)] += RIDGE * self.variances.mean()
        return np.asarray(np.linalg.solve(block, right))


@dataclass(frozen=True, slots=True)
class Factors:
    """Hold a covariance as loadings (N x K) of uncorrelated unit factors and specific variances (N)."""

    loadings: Array
    specific: Array

    @property
    def variances(self) -> Array:
        """Return the diagonal."""
        return np.asarray(np.einsum("ij,ij->i", self.loadings, self.loadings) + self.specific)

    def times(self, vector: Array) -> Array:
        """Return the matrix times a vector, in N K steps."""
        return np.asarray(vector @ self.loadings @ self.loadings.T + self.specific * vector)

    def solve(self, free: Mask, right: Array) -> Array:
        """Solve the free block by Woodbury's formula, in N K^2 steps."""
        own = self.specific[free] + FACTOR_RIDGE * self.variances.mean()
        loadings = self.loadings[free]
        scaled = loadings / own[:, None]
        core = loadings.T @ scaled
        core[np.diag_indices_from(core)] += 1.0
        return np.asarray(right / own - scaled @ np.linalg.solve(core, right @ scaled))


@dataclass(frozen=True, slots=True)
class Kinked:
    """Answer one problem: the trades, the marginal cost left unmet, and whether that is rounding only."""

    trades: Array
    unmet: float
    is_converged: bool


def minimise(
    risk: Risk, gamma: float, pull: Array, buy: Array, sell: Array, low: Array, high: Array
) -> Kinked:
    """Return the minimum; `buy` and `sell` are not negative, `low` <= `high`, all of shape (N).

    The start is no trade, or what the bounds ask for at the least; for many names on factors, what the dual
    problem forecasts if that is better. The answer is no worse than either.
    """
    has_risk = risk.variances > 0
    trades = np.clip(np.zeros_like(pull), low, high)
    if isinstance(risk, Factors) and pull.size > FEW:
        trades = _forecast(risk, gamma, pull, buy, sell, trades, low, high)
    scale = max(float(np.abs(pull).max(initial=0.0)), float(np.max([buy, sell], initial=0.0))) or 1.0
    slope = gamma * risk.times(trades) - pull
    unmet = 0.0
    for _ in range(STEPS):
        cost, floor, ceiling, moves = _face(trades, slope, buy, sell, low, high)
        marginal = slope + cost
        free = (
            moves
            & has_risk
            & ~((trades <= floor) & (marginal >= 0))
            & ~((trades >= ceiling) & (marginal <= 0))
        )
        unmet = float(np.abs(marginal[free]).max(initial=0.0)) / scale
        if unmet <= TIGHT:
            break
        aim = np.zeros_like(trades)
        aim[free] = -risk.solve(free, marginal[free]) / gamma
        step, bend = _line(risk, gamma, trades, aim, marginal, floor, ceiling)
        if step is None:
            break
        trades = np.clip(trades + step, floor, ceiling)
        slope = slope + bend
    return Kinked(trades, unmet, unmet <= LOOSE)


def _forecast(
    risk: Factors, gamma: float, pull: Array, buy: Array, sell: Array, still: Array, low: Array, high: Array
) -> Array:
    """Return a start from the dual problem: K prices of the factors, and each name decides alone.

    With the factors priced at p the names part: the best trade of each has a closed form, and p is found
    by a damped Newton on K unknowns. Names without specific risk get a little, so this is a start only.
    """
    own = gamma * np.maximum(risk.specific, 1e-4 * risk.variances)
    own = np.where(own > 0, own, 1.0)

    def answer(prices: Array) -> tuple[Array, Array, float]:
        wish = pull - risk.loadings @ prices
        trades = np.clip((np.maximum(wish - buy, 0.0) + np.minimum(wish + sell, 0.0)) / own, low, high)
        paid = buy @ np.maximum(trades, 0.0) + sell @ np.maximum(-trades, 0.0)
        value = trades @ (0.5 * own * trades - wish) + paid - 0.5 * prices @ prices / gamma
        return trades, trades @ risk.loadings - prices / gamma, float(value)

    prices = gamma * (still @ risk.loadings)
    trades, excess, value = answer(prices)
    for _ in range(FORECASTS):
        free = (trades > low) & (trades < high) & (trades != 0)
        loadings = risk.loadings[free]
        bend = (loadings / own[free, None]).T @ loadings
        bend[np.diag_indices_from(bend)] += 1 / gamma
        move = np.linalg.solve(bend, excess)
        share, gain = 1.0, float(excess @ move)
        tried = answer(prices + move)
        while tried[2] < value + 1e-4 * share * gain and share > 1e-6:  # noqa: PLR2004 - a bound on halvings
            share *= 0.5
            tried = answer(prices + share * move)
        if not tried[2] > value:
            break
        prices = prices + share * move
        trades, excess, value = tried

    def objective(trades: Array) -> float:
        paid = buy @ np.maximum(trades, 0.0) + sell @ np.maximum(-trades, 0.0)
        return float(trades @ (0.5 * gamma * risk.times(trades) - pull) + paid)

    return trades if objective(trades) < objective(still) else still


def _face(
    trades: Array, slope: Array, buy: Array, sell: Array, low: Array, high: Array
) -> tuple[Array, Array, Array, Mask]:
    """Return marginal cost and limits of the side each trade is on, or wants to be on, and which do move.

    A trade of zero leaves it only when the pull beats the cost of that side; where trading is free
    there is no kink to stop at.
    """
    is_smooth = buy + sell == 0
    up = (trades > 0) | (low > 0) | ((trades == 0) & (slope + buy < 0))
    down = (trades < 0) | (high < 0) | ((trades == 0) & (slope - sell > 0))
    cost = np.where(up, buy, -sell)
    floor = np.where(up & ~is_smooth, np.maximum(low, 0.0), low)
    ceiling = np.where(down & ~is_smooth, np.minimum(high, 0.0), high)
    return cost, floor, ceiling, up | down | is_smooth


def _line(
    risk: Risk, gamma: float, trades: Array, aim: Array, marginal: Array, floor: Array, ceiling: Array
) -> tuple[Array | None, Array]:
    """Return the longest halved step along `aim` in the face that lowers the objective, and Q times it."""
    share = 1.0
    for _ in range(HALVINGS):
        step = np.clip(trades + share * aim, floor, ceiling) - trades
        bend = gamma * risk.times(step)
        gain = float(marginal @ step)
        if gain + 0.5 * float(step @ bend) <= 1e-4 * gain < 0:
            return step, bend
        share *= 0.5
    return None, np.zeros_like(trades)


def descend(
    matrix: Array, pull: Array, buy: Array, sell: Array, low: Array, high: Array
) -> tuple[Array, Mask]:
    """Return the minima of many problems with one Q (N x N): `pull` is (P x N), the rest broadcasts to it.

    A few sweeps guess which trades there are and on which side, one linear solution a row makes them
    exact, and a row whose marginal costs then are right is done; the others sweep on. Also returns which
    rows got there. A day on which few paths trade is cheap.
    """
    trades = np.clip(np.zeros_like(pull), low, high)
    limits = [np.broadcast_to(each, pull.shape) for each in (buy, sell, low, high)]
    scale = max(float(np.abs(pull).max(initial=0.0)), float(np.max([buy, sell], initial=0.0))) or 1.0
    done = _is_minimum(trades, trades @ matrix - pull, limits, TIGHT * scale)
    for _ in range(STEPS):
        rows = np.flatnonzero(~done)
        if not rows.size:
            break
        here = [each[rows] for each in limits]
        swept = _sweeps(matrix, trades[rows], pull[rows], here)
        exact = _solved(matrix, swept, pull[rows], here)
        found = _is_minimum(exact, exact @ matrix - pull[rows], here, TIGHT * scale)
        trades[rows] = np.where(found[:, None], exact, swept)
        done[rows] = found
    return trades, done


def _is_minimum(trades: Array, slope: Array, limits: list[Array], tolerance: float) -> Mask:
    """Tell in which rows no trade, and no part of one, could be moved to lower the objective."""
    buy, sell, low, high = limits
    up = slope + np.where(trades >= 0, buy, -sell)
    down = slope + np.where(trades > 0, buy, -sell)
    stays = (up >= -tolerance) | (trades >= high)
    stays &= (down <= tolerance) | (trades <= low)
    return np.asarray((stays & (trades >= low) & (trades <= high)).all(axis=1))


def _sweeps(matrix: Array, trades: Array, pull: Array, limits: list[Array]) -> Array:
    """Return the trades after a few rounds of minimising over one name at a time."""
    buy, sell, low, high = limits
    trades, slope = trades.copy(), trades @ matrix - pull
    for _ in range(SWEEPS):
        for index, variance in enumerate(np.diagonal(matrix)):
            if variance > 0:
                wish = variance * trades[:, index] - slope[:, index]
                kinked = np.maximum(wish - buy[:, index], 0.0) + np.minimum(wish + sell[:, index], 0.0)
                moved = np.clip(kinked / variance, low[:, index], high[:, index])
                slope += (moved - trades[:, index])[:, None] * matrix[index]
                trades[:, index] = moved
    return trades


def _solved(matrix: Array, trades: Array, pull: Array, limits: list[Array]) -> Array:
    """Return, for each row, the exact trades of the names that trade within bounds, given the others."""
    buy, sell, low, high = limits
    free = (trades != 0) & (trades > low) & (trades < high)
    fixed = np.where(free, 0.0, trades)
    right = np.where(free, pull - fixed @ matrix - np.where(trades > 0, buy, -sell), fixed)
    blocks = np.where(free[:, :, None] & free[:, None, :], matrix, np.eye(matrix.shape[0]))
    ridge = RIDGE * RIDGE * float(np.trace(matrix))
    blocks = blocks + ridge * np.eye(matrix.shape[0])
    return np.asarray(np.where(free, np.linalg.solve(blocks, right[:, :, None])[:, :, 0], fixed))
