"""Minimise the dual: a damped, projected, semismooth Newton method with a line search.

The dual is piecewise quadratic, so once the right pieces are found one step lands on the minimum, to the
last digits. On the way three things keep it honest: a little damping of prices nothing answers to, steps cut
or stretched until the slope along them has halved, and a proof when there is no minimum to find.

Source: Qi and Sun, A nonsmooth version of Newton's method (1993); Bertsekas, Projected Newton methods (1982);
Li, Sun and Toh, on semismooth Newton methods for such duals (2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from gateway.decision.optimise.dual import Dual, Point
from gateway.decision.optimise.problem import Floats, Index

EXACT = 1e-13
"""A dual whose slope is this small is at its minimum: weights are right to this."""
SETTLED = 1e-9
PATIENCE = 4
"""Below `SETTLED`, this many steps without halving the slope mean that only rounding is left."""
DAMPING = 1e-4
LEAST_DAMPING = 1e-12
HALVED = 0.5
STRETCH = 4.0
TRIES = 60
STRIDE = 15
"""Every so many steps the way since the last such step is followed on: where rows contradict each other,
prices grow for ever in one direction, which single steps follow in zigzags."""
SLACK = 1e-13
"""By how much of itself a value may rise: it is a sum of rounded numbers."""


class Ending(Enum):
    """Say why the search ended."""

    MINIMUM = auto()
    UNBOUNDED = auto()
    STALLED = auto()


@dataclass(frozen=True, slots=True)
class Search:
    """Hold where the search ended, why, and after how many steps."""

    point: Point
    ending: Ending
    steps: int


def minimise(dual: Dual, start: Floats, most_steps: int) -> Search:
    """Search from the prices `start` (K + R + 1,), which are lifted to their floors first."""
    point = dual.at(np.maximum(start, dual.floor))
    ceiling = dual.ceiling()
    ceiling += SLACK + 1e-9 * abs(ceiling)
    best, waited, anchor = np.inf, 0, point.prices
    for step in range(most_steps):
        off = dual.off(point)
        best, waited = (off, 0) if off <= HALVED * best else (best, waited + 1)
        if off <= EXACT or (off <= SETTLED and waited >= PATIENCE):
            return Search(point, Ending.MINIMUM, step)
        if -point.value > ceiling:
            return Search(point, Ending.UNBOUNDED, step)
        try:
            direction = _direction(dual, point)
        except np.linalg.LinAlgError:
            return Search(point, Ending.STALLED, step)
        if step % STRIDE == STRIDE - 1:
            far, anchor = point.prices - anchor, point.prices
            direction = far if float(point.slope @ far) < 0 else direction
        following = _along(dual, point, direction, ceiling)
        if following is None:
            return Search(point, Ending.STALLED, step)
        point = following
    return Search(point, Ending.STALLED, most_steps)


def _direction(dual: Dual, point: Point) -> Floats:
    """Return Newton's direction over the prices that may move, zero for the others.

    A price on its floor that the direction would push through it is taken out, and the direction found anew:
    otherwise the bent path might rise from its first inch.
    """
    grounded = point.prices <= dual.floor
    free = ~grounded | (point.slope < 0)
    free[-1] &= dual.is_bound
    while True:
        step = _newton(dual, point, np.flatnonzero(free))
        sunk = grounded & (step < 0)
        if not sunk.any():
            return step
        free &= ~sunk


def _newton(dual: Dual, point: Point, at: Index) -> Floats:
    """Solve the damped Newton system for the prices `at`, the factors' among them."""
    k, rows = dual.factors, dual.rows.matrix
    names, taken = np.flatnonzero(point.weight), at[at >= k] - k
    columns = np.empty((names.size, at.size))
    columns[:, :k] = dual.covariance.factors[names]
    for place, row in enumerate(taken, start=k):
        columns[:, place] = rows[row, names] if row < len(rows) else np.sign(point.trades[names])
    damping = min(DAMPING, max(LEAST_DAMPING, dual.off(point)))
    own = np.concatenate((np.full(k, 1.0 / dual.risk_aversion), damping * dual.full[taken]))
    step = np.zeros(point.prices.size)
    if names.size < k:
        step[at] = _by_names(dual, point, columns, own, at, names)
    else:
        curved = columns.T @ (columns * point.weight[names, None])
        curved[np.diag_indices_from(curved)] += own
        step[at] = np.linalg.solve(curved, -point.slope[at])
    return step


def _by_names(dual: Dual, point: Point, columns: Floats, own: Floats, at: Index, names: Index) -> Floats:
    """Solve the same system over the trades that move: cheaper where they are fewer than the factors."""
    k, count = dual.factors, names.size
    factor, row = columns[:, :k], columns[:, k:]
    slope = point.slope[at]
    system = np.zeros((count + row.shape[1], count + row.shape[1]))
    system[:count, :count] = dual.risk_aversion * (factor @ factor.T)
    system[:count, :count][np.diag_indices(count)] += dual.curvature[names]
    system[:count, count:] = -row
    system[count:, :count] = row.T
    system[count:, count:][np.diag_indices(row.shape[1])] = own[k:]
    right = np.concatenate((-dual.risk_aversion * (factor @ slope[:k]), -slope[k:]))
    moved = np.linalg.solve(system, right)
    return np.concatenate((-dual.risk_aversion * (slope[:k] + factor.T @ moved[:count]), moved[count:]))


def _along(dual: Dual, point: Point, step: Floats, ceiling: float) -> Point | None:
    """Walk along `step`, bent at the floors, until the slope along it has halved; None if it never falls."""
    first = float(point.slope @ step)
    near, far = (0.0, first), None
    length, best = 1.0, None
    for count in range(TRIES):
        prices = np.maximum(point.prices + length * step, dual.floor)
        found = dual.at(prices)
        slope = float(found.slope @ np.where(prices > dual.floor, step, 0.0))
        falls = found.value <= point.value + SLACK * abs(point.value)
        if falls and (best is None or found.value < best.value):
            best = found
        if falls and (abs(slope) <= -HALVED * first or -found.value > ceiling):
            return found
        if falls and slope < 0:
            near = (length, slope)
        else:
            far = (length, slope)
        length = _next(near, far, count)
    return best


def _next(near: tuple[float, float], far: tuple[float, float] | None, count: int) -> float:
    """Return the next length to try: beyond, or between, in turn at the straight line's root and near `near`.

    The second kind finds a short step before a floor, behind which the slope may be flat and rising.
    """
    if far is None:
        return near[0] * STRETCH
    share = 0.5 if far[1] <= 0 else near[1] / (near[1] - far[1])
    share = min(0.9, max(0.1, share)) if count % 2 == 0 else 0.1
    return near[0] + share * (far[0] - near[0])
