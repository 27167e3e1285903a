"""Solve the convex problem: the dual once, or, where the covariance is nearly singular, a few times.

Rules of this room:
1. Trades count as found only when rows hold to `FEASIBLE` and the objective is within `NEAR` of its bound.
2. Where a name has hardly any specific risk, its trade is tied to where the last round left it; the tie
   loosens from round to round and what is still tied at the end is part of the proved bound
   (Rockafellar, Monotone operators and the proximal point algorithm, 1976).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gateway.decision.optimise.dual import Dual
from gateway.decision.optimise.ladder import Ladder
from gateway.decision.optimise.newton import Ending, Search, minimise
from gateway.decision.optimise.problem import Floats, Problem
from gateway.decision.optimise.rows import Box, Rows
from gateway.decision.optimise.solution import parts_of

FEASIBLE = 1e-10
"""How far rows and turnover may be off, in weight."""
NEAR = 1e-10
"""How far an objective may be above its proved bound, as a share of one plus its size."""
FIRM = 1e-3
"""A specific variance of at least this share of the whole needs no tie."""
TIES = (0.1, 0.01, 0.001, 0.0001, 0.00001)
"""Ties, as shares of a name's own curvature: one a round, the last one repeated."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Hold what stays the same while the box changes."""

    problem: Problem
    ladder: Ladder
    rows: Rows
    most_steps: int
    most_rounds: int


@dataclass(frozen=True, slots=True)
class Found:
    """Hold the outcome of a convex solve: trades (N,), the proved bound, the prices, and the ending."""

    ending: Ending
    trades: Floats
    objective: float
    bound: float
    prices: Floats
    steps: int
    off: float


def solve_convex(frame: Frame, box: Box, start: Floats) -> Found:
    """Minimise over the trades in `box`, from the prices `start` (K + R + 1,)."""
    problem = frame.problem
    whole = problem.risk_aversion * problem.covariance.variances
    own = problem.risk_aversion * problem.covariance.specific
    size = np.maximum(whole, max(1e-3 * float(whole.mean()) if whole.size else 0.0, 1e-12))
    loose = own < FIRM * size
    centre, prices, steps = np.clip(np.zeros(whole.size), box.least, box.most), start, 0
    last = frame.most_rounds if loose.any() else 1
    round_ = 0
    while True:
        tie = TIES[min(round_, len(TIES) - 1)]
        round_ += 1
        pull = np.where(loose, tie * size, 0.0)
        search = minimise(_dual(frame, box, pull, centre), prices, frame.most_steps)
        steps += search.steps
        found = replace(_found(frame, box, search, pull * (search.point.trades - centre)), steps=steps)
        prices, centre = search.point.prices, search.point.trades
        if found.ending is not Ending.STALLED or round_ >= last:
            return found


def _dual(frame: Frame, box: Box, pull: Floats, centre: Floats) -> Dual:
    problem = frame.problem
    return Dual(
        problem.covariance, problem.risk_aversion, problem.target - problem.held,
        frame.ladder, box, frame.rows, pull, centre,
    )  # fmt: skip


def _found(frame: Frame, box: Box, search: Search, tied: Floats) -> Found:
    """Judge a search.

    Trades that minimise f + `tied` @ t prove f never below f(trades) - abs(tied) @ (width of the box).
    """
    trades = search.point.trades
    objective = parts_of(frame.problem, frame.ladder, trades).objective
    off = float(frame.rows.excess(trades).max(initial=0.0))
    moved = objective - float(np.abs(tied) @ (box.most - box.least))
    bound = moved if tied.any() else -search.point.value
    ending = search.ending
    if ending is not Ending.UNBOUNDED:
        near = objective - bound <= NEAR * (1 + abs(objective))
        ending = Ending.MINIMUM if near and off <= FEASIBLE else Ending.STALLED
    return Found(ending, trades, objective, bound, search.point.prices, search.steps, off)
