"""The dual of a rebalance: a few prices (of factors, rows and turnover) from which every trade follows.

Given the prices, the names no longer see each other: each trade minimises its own one-dimensional convex
function, which is done for all names at once, rung by rung. What is left is to find prices at which factor
exposures, rows and turnover agree with the trades: the minimum of a convex, once differentiable, piecewise
quadratic function of K + R + 1 numbers, however many names and lots there are.

Rules of this room:
1. Trades always respect box and ladder; only rows, turnover and factor exposures may be off on the way.
2. `-value` is a lower bound of the best objective (weak duality) whatever the prices. A value above every
   objective in the box therefore proves that nothing within the box meets the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.decision.optimise.ladder import Ladder
from gateway.decision.optimise.problem import Covariance, Floats
from gateway.decision.optimise.rows import Box, Rows


@dataclass(frozen=True, slots=True)
class Point:
    """Hold prices and what follows from them.

    `prices` (K + R + 1,): factors, rows, turnover. `slope` is the gradient there. `weight` (N,) is how much
    a trade answers to its price: 1 / curvature between two kinks, 0 on a kink. `value` is to be minimised.
    """

    prices: Floats
    trades: Floats
    weight: Floats
    slope: Floats
    value: float


@dataclass(slots=True)
class Dual:
    """Hold one dual problem; N names, K factors, R rows, L rungs.

    `pull` (N,) and `centre` (N,) add 0.5 * pull * (trade - centre)^2 to a name's objective: a proximal term,
    zero unless the covariance has hardly any specific part to lean on. `gap` is target - held. `floor` bounds
    the prices from below; `full` (R + 1,) is how much rows and turnover would answer if every name moved.
    """

    covariance: Covariance
    risk_aversion: float
    gap: Floats
    ladder: Ladder
    box: Box
    rows: Rows
    pull: Floats
    centre: Floats
    floor: Floats = field(init=False)
    curvature: Floats = field(init=False)
    full: Floats = field(init=False)
    _want: Floats = field(init=False)
    _buys: tuple[Floats, Floats] = field(init=False)
    _sells: tuple[Floats, Floats, Floats] = field(init=False)
    _exposure: Floats = field(init=False)
    _constant: float = field(init=False)

    def __post_init__(self) -> None:
        factors = self.covariance.factors
        own = self.risk_aversion * self.covariance.specific
        self.curvature = own + self.pull
        self._want = (own * self.gap + self.pull * self.centre) / self.curvature
        self._constant = 0.5 * float(
            own @ self.gap**2 + self.pull @ self.centre**2 - self.curvature @ self._want**2
        )
        free = np.concatenate((np.ones(factors.shape[1], dtype=bool), self.rows.is_equal, [False]))
        self.floor = np.where(free, -np.inf, 0.0)
        answer = 1.0 / self.curvature
        self.full = np.maximum(np.append(self.rows.matrix**2 @ answer, answer.sum()), 1.0)
        self._exposure = factors.T @ self.gap
        ladder, box = self.ladder, self.box
        self._buys = (np.maximum(box.least, 0.0), np.maximum(box.most, 0.0))
        able = np.maximum(-box.least, 0.0) - ladder.start
        forced = np.maximum(-box.most, 0.0) - ladder.start
        self._sells = (
            -self._want - ladder.price / self.curvature - ladder.start,
            np.clip(forced, 0.0, ladder.room),
            np.clip(able, 0.0, ladder.room),
        )

    @property
    def factors(self) -> int:
        """Return K."""
        return int(self.covariance.factors.shape[1])

    @property
    def is_bound(self) -> bool:
        """Say whether there is a turnover limit."""
        return bool(np.isfinite(self.rows.turnover))

    def at(self, prices: Floats) -> Point:
        """Return the trades at `prices`, and value and gradient of the dual there."""
        k = self.factors
        factors, rows, extra = self.covariance.factors, self.rows.matrix, prices[-1]
        common = factors @ prices[:k] + prices[k:-1] @ rows
        low, high = self._buys
        wish = self._want - (common + self.ladder.buy + extra) / self.curvature
        buys = np.minimum(np.maximum(wish, low), high)
        base, least, most = self._sells
        wishes = base + (common - extra) / self.curvature
        sales = np.minimum(np.maximum(wishes, least), most)
        sold = sales.sum(axis=0)
        trades = buys - sold
        moves = ((wish > low) & (wish < high)) | ((wishes > least) & (wishes < most)).any(axis=0)
        weight = np.where(moves, 1.0 / self.curvature, 0.0)
        size = float(buys.sum() + sold.sum())
        slope = np.empty(prices.size)
        slope[:k] = prices[:k] / self.risk_aversion - trades @ factors + self._exposure
        slope[k:-1] = self.rows.bound - rows @ trades
        slope[-1] = self.rows.turnover - size if self.is_bound else 0.0
        worth = 0.5 * float(self.curvature @ (trades - self._want) ** 2) + float(common @ trades)
        worth += float(self.ladder.buy @ buys) + float(np.vdot(self.ladder.price, sales)) + self._constant
        worth -= float(prices[:k] @ (self._exposure + prices[:k] / (2 * self.risk_aversion)))
        worth -= float(prices[k:-1] @ self.rows.bound) + float(extra * slope[-1])
        return Point(prices, trades, weight, slope, -worth)

    def ceiling(self) -> float:
        """Return a number that no objective of trades within the box exceeds."""
        box, pulled = self.box, self.pull
        reach = np.maximum(np.abs(box.least - self.gap), np.abs(box.most - self.gap))
        swing = np.maximum(np.abs(box.least - self.centre), np.abs(box.most - self.centre))
        spread = np.abs(self.covariance.factors).T @ reach
        risk = self.risk_aversion * float(spread @ spread + self.covariance.specific @ reach**2)
        paid = float(self.ladder.buy @ self._buys[1])
        paid += float(np.vdot(np.maximum(self.ladder.price, 0.0), self._sells[2]))
        return 0.5 * (risk + float(pulled @ swing**2)) + paid

    def off(self, point: Point) -> float:
        """Return how far `point` is from optimal: the largest slope that a step could still follow."""
        held = (point.prices <= self.floor) & (point.slope > 0)
        return float(np.abs(np.where(held, 0.0, point.slope)).max(initial=0.0))
