"""What trading costs, name by name: one price for buying, a ladder of prices for selling lot after lot.

Rules of this room:
1. Cheapest lots are sold first: a lot's price per unit sold is `sell_cost` plus its tax. The price of a
   sale is then convex in its size, as any rational choice of lots makes it.
2. No price on the ladder is below minus `buy_cost`. A lower one (a loss whose tax credit exceeds the round
   trip) would pay for selling and buying the same name at once: a wash sale (IRC 1091), not a rebalance.
   What the clip takes off is nobody's gain here; losses are harvested elsewhere, as a step of its own.
3. Of lots with equal prices after the clip the one with the greater credit is sold first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.decision.optimise.problem import NOISE, Floats, Index, Ints, Problem

SPREAD = 1e-9
"""Lots whose summed weight is this close to the holding are the whole holding."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Hold the prices of N names; arrays (L, N) have one row per rung, the cheapest first.

    `price` is what the optimiser sees, `true` what a sale takes, both per unit of weight sold; `room` is the
    weight of a rung, `start` the weight of those before it, `lot` its position among the lots, -1 for none.
    """

    buy: Floats
    price: Floats
    true: Floats
    start: Floats
    room: Floats
    lot: Ints

    def sold(self, trades: Floats) -> Floats:
        """Return what `trades` (N,) sell of each rung, (L, N), not negative."""
        amount: Floats = np.minimum(np.maximum(np.maximum(-trades, 0.0) - self.start, 0.0), self.room)
        return amount

    def cost(self, trades: Floats) -> Floats:
        """Return the price of `trades` as the optimiser sees it, name by name, (N,)."""
        total: Floats = self.buy * np.maximum(trades, 0.0) + (self.price * self.sold(trades)).sum(axis=0)
        return total


def ladder_of(problem: Problem) -> Ladder:
    """Sort the lots of each name into rungs; what is held beyond the lots is a rung without tax.

    A name that is not held has one rung as long as it may be sold short.
    """
    count, lots = len(problem.symbols), problem.lots
    buy, sell = problem.each(problem.buy_cost), problem.each(problem.sell_cost)
    known = np.bincount(lots.name, lots.weight, minlength=count)
    is_whole = (np.abs(problem.held - known) <= SPREAD) & (known > 0)
    stretch = np.divide(problem.held, known, out=np.ones(count), where=is_whole)
    rest = np.where(
        problem.held > 0, problem.held - known, np.maximum(problem.held - problem.each(problem.lower), 0.0)
    )
    others = np.flatnonzero(~is_whole & (rest > NOISE))
    name = np.concatenate((lots.name, others))
    weight = np.concatenate((lots.weight * stretch[lots.name], rest[others]))
    true = np.concatenate((lots.tax, np.zeros(others.size))) + sell[name]
    lot = np.concatenate((np.arange(lots.name.size), np.full(others.size, -1)))
    order = np.argsort(name, kind="stable")
    name, row = name[order], _place(name[order], count)
    shape = (int(row.max(initial=0)) + 1, count)
    spread = [np.full(shape, fill) for fill in (np.inf, 0.0, -1)]
    for array, values in zip(spread, (true, weight, lot), strict=True):
        array[row, name] = values[order]
    rank = np.argsort(spread[0], axis=0, kind="stable")
    taken, room, lots_ = (np.take_along_axis(array, rank, axis=0) for array in spread)
    taken[np.isinf(taken)] = 0.0
    start = np.zeros(shape)
    start[1:] = np.cumsum(room[:-1], axis=0)
    return Ladder(buy, np.maximum(taken, -buy), taken, start, room, lots_)


def _place(name: Index, count: int) -> Index:
    """Return the rank of each entry among those of its name; `name` is sorted."""
    sizes = np.bincount(name, minlength=count)
    first = np.cumsum(sizes) - sizes
    rank: Index = np.arange(name.size) - first[name]
    return rank
