"""A world to learn rebalancing in: many portfolios at once, a day a step, costs in their true order.

Rules of this room:
1. A step trades first, at the weights it sees, and pays for what it trades: cost on the traded amount, tax on
   the gain of what is sold. Then the market moves. Nothing of the next day is seen before.
2. Rewards are in fractions of NAV a day: minus drift cost, minus transaction cost, minus tax, plus return
   captured (what the portfolio made beyond its target, weighed by `capture`).
3. All arrays have a row a portfolio; one row and a thousand rows are the same code.
4. The tax basis of a name is its average cost: lots belong to the engine's backtest, which judges in the end.

Source: the objective of the seed (drift cost, cost, tax, return captured). Gymnasium's words are in `env.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.decision.learned import banded
from gateway.decision.no_trade.kinked import Dense
from gateway.decision.no_trade.many import band_half_widths

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator
DAYS = 252
EWMA = 0.94
"""RiskMetrics' decay of the daily variance."""


class Act(IntEnum):
    """What may be done with the gaps to target, mildest first; `EDGE` is the seed's three words' fourth."""

    NOTHING = 0
    PARTIAL = 1
    FULL = 2
    EDGE = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """Say what is wanted and what it costs; arrays have an entry a name.

    `targets` are weights, cash is what is left of 1. `covariance` is annual. `cost` is one way, as a fraction
    of what is traded; `tax` the rate on gains (a loss is credited at the same rate: it offsets other gains).
    `gamma` is the risk aversion of the drift cost 0.5 gamma e'Se a year; `capture` weighs the return beyond
    the target.
    """

    targets: Floats
    covariance: Floats
    cost: Floats
    gamma: float = 5.0
    tax: float = 0.0
    capture: float = 0.0

    def half_widths(self) -> Floats:
        """Return the band of every name by the default rule (`gateway.decision.no_trade.many`)."""
        risk = Dense(self.covariance)
        return band_half_widths(risk=risk, targets=self.targets, k=self.cost, gamma=self.gamma)


Market = Callable[[int, int, Rng], Floats]
"""Give simple daily returns: (days, portfolios, generator) -> (days, portfolios, names)."""


def random_walk(drift: Floats, covariance: Floats) -> Market:
    """Return a lognormal market: annual `drift` and `covariance` of log prices' returns, exact a day."""
    root = np.linalg.cholesky(covariance / DAYS)
    mean = (drift - 0.5 * np.diag(covariance)) / DAYS

    def draw(days: int, portfolios: int, rng: Rng) -> Floats:
        noise = rng.standard_normal((days, portfolios, len(drift)))
        returns: Floats = np.expm1(mean + noise @ root.T)
        return returns

    return draw


def replayed(returns: Floats) -> Market:
    """Return a market that replays history from a day drawn for each portfolio; `returns` is (days, names).

    An episode longer than what is left goes on from the first day.
    """
    count = len(returns)

    def draw(days: int, portfolios: int, rng: Rng) -> Floats:
        begins = rng.integers(0, count, size=portfolios)
        rows = (begins[None, :] + np.arange(days)[:, None]) % count
        found: Floats = returns[rows]
        return found

    return draw


@dataclass(slots=True)
class Step:
    """What one step came to, a value a portfolio, fractions of NAV: all but `reward` are costs, 0 or more.

    `captured` may have either sign; `tax` is negative where losses were realised.
    """

    reward: Floats
    drift: Floats
    cost: Floats
    tax: Floats
    captured: Floats
    turnover: Floats


@dataclass(slots=True)
class World:
    """Hold `portfolios` portfolios of one problem in one market.

    `weights` and `basis` are (portfolios, names): shares of NAV held, and average cost as a share of the
    value held.
    """

    problem: Problem
    market: Market
    portfolios: int
    episode: int = DAYS
    seed: int = 1
    weights: Floats = field(init=False)
    basis: Floats = field(init=False)
    variance: Floats = field(init=False)
    since: Floats = field(init=False)
    day: int = field(init=False, default=0)
    _returns: Floats = field(init=False)
    _rng: Rng = field(init=False)
    _widths: Floats = field(init=False)
    _usual: Floats = field(init=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._widths = self.problem.half_widths()
        self._usual = np.diag(self.problem.covariance) / DAYS
        self.reset()

    def reset(self, seed: int | None = None) -> Floats:
        """Begin an episode on target, with another stretch of the market; return what is seen."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        shape = (self.portfolios, len(self.problem.targets))
        self.weights = np.broadcast_to(self.problem.targets, shape).copy()
        self.basis = np.ones(shape)
        self.variance = np.broadcast_to(self._usual, shape).copy()
        self.since = np.zeros(self.portfolios)
        self.day = 0
        self._returns = self.market(self.episode, self.portfolios, self._rng)
        return self.seen()

    @property
    def is_over(self) -> bool:
        """Say whether the episode has no further day."""
        return self.day >= self.episode

    @property
    def gap(self) -> Floats:
        """Return target less weight."""
        gap: Floats = self.problem.targets - self.weights
        return gap

    @property
    def restlessness(self) -> Floats:
        """Return how volatile the market is against what is usual: the mean log ratio of volatilities."""
        found: Floats = 0.5 * np.log(self.variance / self._usual).mean(axis=1)
        return found

    def seen(self) -> Floats:
        """Return what a policy sees, (portfolios, 3 * names + 3).

        Current weights, target weights, unrealised gain as a share of value; then market conditions: how
        volatile it is against what is usual (log), the tracking error of the present drift, years since the
        last trade.
        """
        names = self.weights.shape
        ratio = self.restlessness
        off = self.gap
        error = np.sqrt(np.einsum("ij,jk,ik->i", off, self.problem.covariance, off))
        return np.concatenate(
            [
                self.weights, np.broadcast_to(self.problem.targets, names), 1.0 - self.basis,
                ratio[:, None], error[:, None], (self.since / DAYS)[:, None],
            ],
            axis=1,
        )  # fmt: skip

    def trades_of(self, act: npt.NDArray[np.integer[Any]]) -> Floats:
        """Return the trades of one word a portfolio; `EDGE` goes to the edge of the closed form's band."""
        gap = self.gap
        share = np.where(act == Act.PARTIAL, 0.5, np.where(act == Act.FULL, 1.0, 0.0))[:, None]
        beyond = np.sign(gap) * np.maximum(np.abs(gap) - self._widths, 0.0)
        return np.where((act == Act.EDGE)[:, None], beyond, share * gap)

    def banded(self, scale: Floats, reset: Floats) -> Floats:
        """Return the trades of a band: `scale` times the closed form's width, an entry a portfolio.

        `reset` says how far inside a trade ends: 0 on the edge, 1 on the target (see `learned.banded`).
        """
        return banded(self.gap, self._widths, scale[:, None], reset[:, None])

    def step(self, trades: Floats) -> Step:
        """Trade `trades` (weights, positive buys), pay, let a day pass; return what it came to."""
        problem = self.problem
        size = np.abs(trades)
        cost = size @ problem.cost
        sold = np.minimum(np.maximum(-trades, 0.0), self.weights)
        tax = problem.tax * (sold * (1.0 - self.basis)).sum(axis=1)
        bought = np.maximum(trades, 0.0)
        held = self.weights + bought
        self.basis = np.where(
            held > 0, (self.basis * self.weights + bought) / np.where(held > 0, held, 1.0), 1.0
        )
        after = self.weights + trades
        off = after - problem.targets
        drift = 0.5 * problem.gamma * np.einsum("ij,jk,ik->i", off, problem.covariance, off) / DAYS
        moved = self._returns[self.day]
        captured = (off * moved).sum(axis=1)
        grown = 1.0 + (after * moved).sum(axis=1) - cost - tax
        self.weights = after * (1.0 + moved) / grown[:, None]
        self.basis = self.basis / (1.0 + moved)
        self.variance = EWMA * self.variance + (1 - EWMA) * moved**2
        has_traded = size.sum(axis=1) > 0
        self.since = np.where(has_traded, 0.0, self.since + 1.0)
        self.day += 1
        reward = -drift - cost - tax + problem.capture * captured
        return Step(reward, drift, cost, tax, captured, size.sum(axis=1))
