"""What the optimiser answers: weights to hold and their price, or a safe hold and why.

Rules of this room:
1. An answer is whole: where no optimum was proved, nothing is traded and `reason` says why.
2. The parts of the objective are counted afresh from the trades, never taken from the search.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from gateway.decision.optimise.ladder import Ladder
from gateway.decision.optimise.problem import Floats, Problem


class Status(StrEnum):
    """Say what a solution is. All but OPTIMAL hold: they trade nothing."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNCONVERGED = "unconverged"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Parts:
    """Split an objective, in fractions of NAV.

    `tracking` is 0.5 * risk aversion * variance of the difference to the target. `tax` is that of the lots
    sold, negative for a credit. `forgone` is the credit the clip leaves out of account (see `ladder`).
    """

    tracking: float
    cost: float
    tax: float
    forgone: float

    @property
    def objective(self) -> float:
        """Return what is minimised."""
        return self.tracking + self.cost + self.tax + self.forgone


@dataclass(frozen=True, slots=True)
class Prices:
    """Hold the multipliers of a solution, and say what they price.

    `factors` (K,) are those of the factor exposures, `rows` (R,) those of the rows named by `labels` (cash,
    groups; zero when a row does not bind), `turnover` that of the turnover limit: what a unit more of it
    would save. The three together start the next solve. `drift` (N,) is what a unit bought saves in
    tracking, `shared` (N,) what it costs in rows, both at the solution and per unit of weight.
    """

    factors: Floats
    rows: Floats
    turnover: float
    labels: tuple[str, ...]
    drift: Floats
    shared: Floats


@dataclass(frozen=True, slots=True)
class Solution:
    """Say what to hold. `weights`, `trades` (N,); `sold` (M,), what is sold of each lot, in the lots' order.

    `cash` is budget - sum(weights). `bound` is a proved lower bound of the objective of the problem without
    minimum trades (and without whole lots); minus infinity when the solution holds for another reason
    than that holding is best. `steps` counts Newton steps.
    """

    status: Status
    reason: str
    weights: Floats
    trades: Floats
    sold: Floats
    cash: float
    parts: Parts
    bound: float
    steps: int = 0
    prices: Prices | None = field(default=None, repr=False)

    @property
    def objective(self) -> float:
        """Return the objective of the trades, in fractions of NAV."""
        return self.parts.objective

    @property
    def gap(self) -> float:
        """Return how far the objective can be above the best, at most."""
        return self.objective - self.bound


def parts_of(problem: Problem, ladder: Ladder, trades: Floats) -> Parts:
    """Count tracking, cost and tax of `trades` (N,)."""
    left = problem.held + trades - problem.target
    sold = ladder.sold(trades)
    sell, buy = problem.each(problem.sell_cost), problem.each(problem.buy_cost)
    paid = float(buy @ np.maximum(trades, 0.0)) + float(sell @ sold.sum(axis=0))
    return Parts(
        tracking=0.5 * problem.risk_aversion * float(left @ problem.covariance.times(left)),
        cost=paid,
        tax=float(np.vdot(ladder.true - sell, sold)),
        forgone=float(np.vdot(ladder.price - ladder.true, sold)),
    )


def sold_of(problem: Problem, ladder: Ladder, trades: Floats) -> Floats:
    """Return what `trades` sell of each lot, (M,)."""
    amounts = np.zeros(problem.lots.name.size)
    at = ladder.lot >= 0
    amounts[ladder.lot[at]] = ladder.sold(trades)[at]
    return amounts


def hold(problem: Problem, status: Status, reason: str, steps: int = 0) -> Solution:
    """Return the solution that trades nothing because of `reason`; an invalid problem is not counted."""
    held = np.asarray(problem.held, dtype=float)
    tracking = np.nan
    if status is not Status.INVALID:
        left = held - problem.target
        tracking = 0.5 * problem.risk_aversion * float(left @ problem.covariance.times(left))
    return Solution(
        status=status,
        reason=reason,
        weights=held.copy(),
        trades=np.zeros(held.shape),
        sold=np.zeros(np.shape(problem.lots.name)),
        cash=float(problem.budget - held.sum()),
        parts=Parts(tracking, 0.0, 0.0, 0.0),
        bound=-np.inf,
        steps=steps,
    )
