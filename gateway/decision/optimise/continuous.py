"""From a problem to weights: check, solve, mind minimum trades, and never do worse than nothing.

Rules of this room:
1. `solve` raises nothing for what a problem contains: it answers OPTIMAL, or holds and says why.
2. What it answers is never worse, on the problem's own objective, than doing nothing or trading all the way
   to the target, where these are allowed. Of equals the one that trades nothing wins.
3. The same problem, options and start give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gateway.decision.optimise.convex import Found, Frame, solve_convex
from gateway.decision.optimise.ladder import ladder_of
from gateway.decision.optimise.minimum import is_clear, with_minimum
from gateway.decision.optimise.newton import Ending
from gateway.decision.optimise.problem import NOISE, Floats, Problem, fault
from gateway.decision.optimise.rows import Box, box_of, out_of_reach, rows_of
from gateway.decision.optimise.solution import Prices, Solution, Status, hold, parts_of, sold_of

KEPT = 1e-9
"""How far rows may be off in an answer, in weight."""
DUST = 1e-14
"""A trade this small is none; dropping it moves no row by more than rounding."""
WORTH = 1e-13
"""A trade that saves less than this share of NAV is not made."""
LEADING = 3
"""How many of the rows that contradict each other a reason names."""


@dataclass(frozen=True, slots=True)
class Options:
    """Bound the work.

    Newton steps of one search, rounds for a singular covariance, and branches for minimum trades that no
    simple rounding meets.
    """

    most_steps: int = 300
    most_rounds: int = 60
    most_branches: int = 96


def solve(problem: Problem, options: Options | None = None, start: Prices | None = None) -> Solution:
    """Find the weights that minimise tracking error, cost and tax under the problem's constraints.

    `start` are the `prices` of an earlier solution of a similar problem (same rows); others are ignored.
    Without minimum trades the answer is optimal to 1e-10 of NAV, by its own proof (`Solution.gap`);
    with them it is the best found, and `gap` says how much better one could be at most.

    Source: the objective of Dybvig and Pezzo's one-period problem with lots; see `newton` for the method.
    """
    text = fault(problem)
    if text:
        return hold(problem, Status.INVALID, text)
    with np.errstate(all="ignore"):
        return _solve(problem, options or Options(), start)


def _solve(problem: Problem, options: Options, start: Prices | None) -> Solution:
    box, rows = box_of(problem), rows_of(problem)
    text = box if isinstance(box, str) else out_of_reach(rows, box)
    if isinstance(box, str) or text:
        return hold(problem, Status.INFEASIBLE, text)
    frame = Frame(problem, ladder_of(problem), rows, options.most_steps, options.most_rounds)
    first = solve_convex(frame, box, _start(frame, start))
    if first.ending is Ending.UNBOUNDED:
        return hold(problem, Status.INFEASIBLE, _contradiction(frame, first), first.steps)
    if first.ending is Ending.STALLED:
        text = f"no optimum within {first.steps} steps: rows off by {first.off:.1e}"
        return hold(problem, Status.UNCONVERGED, text, first.steps)
    chosen: Found | None = first
    steps = first.steps
    if not is_clear(first.trades, problem.each(problem.minimum_trade)):
        chosen, steps = with_minimum(frame, box, first, options.most_branches)
    trades, note = _best(frame, box, chosen)
    if trades is None:
        text = "no trades that keep the minimum trade were found within the constraints"
        return hold(problem, Status.UNCONVERGED, text, steps)
    return _answer(frame, trades, note, first.bound, (first if chosen is None else chosen).prices, steps)


def _start(frame: Frame, start: Prices | None) -> Floats:
    """Return the first prices: those of `start` where they fit, else zero."""
    nothing = np.zeros(frame.problem.covariance.factors.shape[1] + len(frame.rows.labels) + 1)
    if start is None or start.labels != frame.rows.labels:
        return nothing
    prices = np.concatenate((start.factors, start.rows, [start.turnover]))
    return prices if prices.shape == nothing.shape and np.isfinite(prices).all() else nothing


def _contradiction(frame: Frame, found: Found) -> str:
    """Name the rows whose prices grew without bound: no trades within the box meet them together."""
    k = frame.problem.covariance.factors.shape[1]
    weights = np.abs(found.prices[k:])
    labels = (*frame.rows.labels, "turnover")
    for at, (one, other) in enumerate(pairwise(labels)):
        if one.rpartition(" at ")[0] == other.rpartition(" at ")[0] != "":  # two sides of a row count net
            weights[at : at + 2] -= weights[at : at + 2].min()
    order = np.argsort(-weights, kind="stable")[:LEADING]
    blamed = [labels[at] for at in order if weights[at] > 1e-3 * weights.max()]
    return f"nothing within bounds and locks meets all of: {', '.join(blamed)}"


def _best(frame: Frame, box: Box, chosen: Found | None) -> tuple[Floats | None, str]:
    """Compare what was found with doing nothing and with trading to the target; return trades and a note."""
    nothing = np.zeros(len(frame.problem.symbols))
    best, value, note = None, np.inf, ""
    if chosen is not None:
        best, value = np.where(np.abs(chosen.trades) > DUST, chosen.trades, 0.0), chosen.objective
    full = frame.problem.target - frame.problem.held
    if (objective := _allowed(frame, box, full)) < value - WORTH:
        best, value = full, objective
    if (objective := _allowed(frame, box, nothing)) < np.inf and objective <= value + WORTH:
        best, note = nothing, "holding is best: no trade saves more tracking error than it costs"
    return best, note


def _allowed(frame: Frame, box: Box, trades: Floats) -> float:
    """Return the objective of `trades`, infinity where they are not allowed."""
    is_inside = (trades >= box.least - NOISE).all() and (trades <= box.most + NOISE).all()
    is_whole = is_clear(trades, frame.problem.each(frame.problem.minimum_trade))
    if is_inside and is_whole and frame.rows.excess(trades).max() <= KEPT:
        return parts_of(frame.problem, frame.ladder, trades).objective
    return np.inf


def _answer(frame: Frame, trades: Floats, note: str, bound: float, prices: Floats, steps: int) -> Solution:
    """Write the solution down; the parts are counted from the trades."""
    problem, rows = frame.problem, frame.rows
    k = problem.covariance.factors.shape[1]
    weights = problem.held + trades
    parts = parts_of(problem, frame.ladder, trades)
    drift = -problem.risk_aversion * problem.covariance.times(weights - problem.target)
    shared = prices[k:-1] @ rows.matrix
    count = int(np.count_nonzero(trades))
    return Solution(
        status=Status.OPTIMAL,
        reason=note or f"{count} names traded",
        weights=weights,
        trades=trades,
        sold=sold_of(problem, frame.ladder, trades),
        cash=float(problem.budget - weights.sum()),
        parts=parts,
        bound=bound,
        steps=steps,
        prices=Prices(prices[:k], prices[k:-1], float(prices[-1]), rows.labels, drift, shared),
    )
