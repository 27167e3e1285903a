"""The board of the local search over whole lots: where it stands, which moves there are, what each would do.

Rules of this room:
1. A move takes one name to the next allowed number of lots, up or down; a minimum trade is one long move.
2. What a move does to the objective is exact: slope, own curvature, and the ladder's price before and after.
3. Rows that say "exactly" cannot be met by whole lots: they are kept from above, and from below to within
   the largest lot of a name in them. Cash in money is a row of its own, the only one that counts costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.decision.optimise.ladder import Ladder
from gateway.decision.optimise.problem import Floats, Index, Ints, Problem
from gateway.decision.optimise.rows import Box, Rows

ALMOST = 1e-9
"""A count of lots this close to a whole one is whole; rows may be off by this much weight."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Hold candidate moves, C of them: the name, its lots after, and the change of each quantity.

    `step` in weight, `gain` of the objective alone (negative is better), `rows` (R + 2, C) of every row,
    the turnover and the money spent.
    """

    name: Index
    lots: Ints
    step: Floats
    gain: Floats
    rows: Floats

    def take(self, at: Index) -> Moves:
        """Return the moves `at` alone."""
        return Moves(self.name[at], self.lots[at], self.step[at], self.gain[at], self.rows[:, at])


@dataclass(slots=True)
class Board:
    """Hold a problem in whole lots, and where the search stands.

    `unit` (N,) is a lot's weight; `least`, `most` (N,) bound the lots; `fewest` (N,) is the minimum trade in
    lots. `spendable` is the money that may be spent, costs included, over NAV. `slack` is how far each exact
    row may be missed. `used` (R' + 2,) is what the trades use of each row, the turnover and the money.
    """

    problem: Problem
    ladder: Ladder
    rows: Rows
    box: Box
    unit: Floats
    spendable: float
    least: Ints = field(init=False)
    most: Ints = field(init=False)
    fewest: Ints = field(init=False)
    lots: Ints = field(init=False)
    used: Floats = field(init=False)
    slack: Floats = field(init=False)
    _matrix: Floats = field(init=False)
    _limit: Floats = field(init=False)
    _variances: Floats = field(init=False)
    _slope: Floats = field(init=False)

    def __post_init__(self) -> None:
        smallest = self.problem.each(self.problem.minimum_trade)
        self.fewest = np.maximum(1, np.ceil(smallest / self.unit - ALMOST)).astype(np.int64)
        least = np.ceil(self.box.least / self.unit - ALMOST).astype(np.int64)
        most = np.floor(self.box.most / self.unit + ALMOST).astype(np.int64)
        self.least = np.where(least > 0, np.maximum(least, self.fewest), least)
        self.most = np.where(most < 0, np.minimum(most, -self.fewest), most)
        equal = self.rows.matrix[self.rows.is_equal]
        self.slack = (np.abs(equal) * self.unit).max(axis=1, initial=0.0)
        self._matrix = np.vstack((self.rows.matrix, -equal))
        below = self.slack - self.rows.bound[self.rows.is_equal]
        self._limit = np.concatenate((self.rows.bound, below, [self.rows.turnover, self.spendable]))
        self._variances = self.problem.risk_aversion * self.problem.covariance.variances
        self.place(np.zeros(self.unit.size, dtype=np.int64))

    @property
    def trades(self) -> Floats:
        """Return the trades in weight, (N,)."""
        return self.lots * self.unit

    @property
    def is_blocked(self) -> bool:
        """Say whether some name has no allowed number of lots at all."""
        return bool((self.least > self.most).any())

    def place(self, lots: Ints) -> None:
        """Stand at `lots` (N,), moved to the nearest allowed numbers."""
        small = np.abs(lots) < self.fewest
        rounded = np.where(2 * np.abs(lots) >= self.fewest, np.sign(lots) * self.fewest, 0)
        lots = np.where(small, rounded, lots)
        lots = np.clip(lots, self.least, np.maximum(self.least, self.most))
        self.lots = np.where(np.abs(lots) < self.fewest, 0, lots)
        trades = self.trades
        left = trades - (self.problem.target - self.problem.held)
        self._slope = self.problem.risk_aversion * self.problem.covariance.times(left)
        bill = trades + self._fees(trades)
        self.used = np.concatenate((self._matrix @ trades, [np.abs(trades).sum(), bill.sum()]))

    def excess(self, used: Floats) -> Floats:
        """Return by how much `used` (R + 2, ...) breaks the limits in sum, beyond rounding."""
        limit = self._limit.reshape((-1,) + (1,) * (used.ndim - 1)) + ALMOST
        over: Floats = np.maximum(used - limit, 0.0).sum(axis=0)
        return over

    def moves(self) -> Moves:
        """List every move of one name, downwards first."""
        down, up = self.lots - 1, self.lots + 1
        down = np.where((down < 0) & (down > -self.fewest), -self.fewest, down)
        down = np.where((down > 0) & (down < self.fewest), 0, down)
        up = np.where((up > 0) & (up < self.fewest), self.fewest, up)
        up = np.where((up < 0) & (up > -self.fewest), 0, up)
        before = self.ladder.cost(self.trades)
        parts = [self._priced(lots, before) for lots in (down, up)]
        return Moves(
            np.concatenate([part.name for part in parts]),
            np.concatenate([part.lots for part in parts]),
            np.concatenate([part.step for part in parts]),
            np.concatenate([part.gain for part in parts]),
            np.hstack([part.rows for part in parts]),
        )

    def _priced(self, lots: Ints, before: Floats) -> Moves:
        """Price one move a name, to `lots` (N,), and leave out what the box forbids."""
        now, then = self.trades, lots * self.unit
        step = then - now
        gain = self._slope * step + 0.5 * self._variances * step**2 + self.ladder.cost(then) - before
        turned = np.abs(then) - np.abs(now)
        spent = step + self._fees(then) - self._fees(now)
        changes = np.vstack((self._matrix * step, turned, spent))
        kept = np.flatnonzero((lots >= self.least) & (lots <= self.most))
        return Moves(np.arange(lots.size), lots, step, gain, changes).take(kept)

    def _fees(self, trades: Floats) -> Floats:
        """Return the transaction cost of `trades` (N,), no tax: what the cash account pays."""
        buy, sell = self.problem.each(self.problem.buy_cost), self.problem.each(self.problem.sell_cost)
        fees: Floats = buy * np.maximum(trades, 0.0) + sell * np.maximum(-trades, 0.0)
        return fees

    def together(self, first: Moves, second: Moves) -> Floats:
        """Return what two moves gain beyond their sum, (C1, C2): the risk they share; a name moves once."""
        covariance, aversion = self.problem.covariance, self.problem.risk_aversion
        shared = covariance.factors[first.name] @ covariance.factors[second.name].T
        gain: Floats = aversion * shared * first.step[:, None] * second.step
        gain[first.name[:, None] == second.name] = np.inf
        return gain
