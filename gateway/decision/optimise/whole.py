"""From weights to whole lots: round, repair, and improve by moves of one name and swaps of two.

Rules of this room:
1. No mixed-integer solver: the search is local and bounded. What it answers is feasible, money included, is
   no worse than doing nothing, and no single move and no swap it looks at makes it better.
2. The distance to the best whole-lot answer is unknown, but at most `LotSolution.gap`: whole lots cannot beat
   the convex problem's proved bound.
3. A swap looks at the `most_candidates` most promising moves only; up to half as many names that is all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gateway.decision.optimise.continuous import solve
from gateway.decision.optimise.ladder import ladder_of
from gateway.decision.optimise.moves import ALMOST, Board, Moves
from gateway.decision.optimise.problem import NOISE, Floats, Ints, Problem
from gateway.decision.optimise.rows import Box, box_of, rows_of
from gateway.decision.optimise.solution import Parts, Solution, Status, hold, parts_of, sold_of

WORTH = 1e-10
"""A move that gains less than this share of NAV is none."""
MANY = 64
"""With more names a lot matters little: starts other than the nearest lots are compared, not improved."""

FAR = 64
"""A start more lots away than this from the nearest ones is compared, not improved: a search lot by lot would
take as many steps, and where there are so many lots one of them matters little."""


@dataclass(frozen=True, slots=True)
class LotOptions:
    """Bound the search: moves in all, and candidates of a swap."""

    most_moves: int = 1000
    most_candidates: int = 120


@dataclass(frozen=True, slots=True)
class LotSolution:
    """Say how many lots to trade. `lots` (N,) signed whole numbers, `shares` = lots * lot size.

    `trades` and `weights` (N,) are fractions of NAV; `sold` (M,) is what is sold of each tax lot. `cash` is
    money left after trades and costs, taxes not paid yet. `bound` is the solution's; `moves` were made.
    """

    status: Status
    reason: str
    lots: Ints
    shares: Floats
    trades: Floats
    weights: Floats
    sold: Floats
    cash: float
    parts: Parts
    bound: float
    moves: int = 0

    @property
    def objective(self) -> float:
        """Return the objective of the trades, in fractions of NAV."""
        return self.parts.objective

    @property
    def gap(self) -> float:
        """Return how far the objective can be above that of the best whole lots, at most."""
        return self.objective - self.bound


def whole_lots(
    problem: Problem,
    solution: Solution,
    prices: Floats,
    lot_sizes: Floats,
    nav: float,
    cash: float,
    options: LotOptions | None = None,
) -> LotSolution:
    """Turn a `solution` of `problem` into whole lots that the cash pays for.

    `prices` (N,) are money per share, `lot_sizes` (N,) shares per lot, `nav` and `cash` money. Cash must stay
    at or above `problem.cash_lower` of NAV after trades and transaction costs. Where no whole lots meet the
    constraints, or the solution holds, the answer holds with a reason.

    Raises nothing for what its arguments contain.
    """
    options = options or LotOptions()
    text = _fault(problem, solution, prices, lot_sizes, nav, cash)
    if text or solution.status is not Status.OPTIMAL:
        status = Status.INVALID if text else solution.status
        return _held(problem, status, text or solution.reason, cash)
    box = box_of(problem)
    if not isinstance(box, Box):
        return _held(problem, Status.INFEASIBLE, box, cash)
    unit = np.asarray(prices, dtype=float) * lot_sizes / nav
    board = Board(problem, ladder_of(problem), rows_of(problem), box, unit, cash / nav - problem.cash_lower)
    if board.is_blocked:
        name = problem.symbols[int(np.argmax(board.least > board.most))]
        return _held(
            problem, Status.INFEASIBLE, f"{name}: no whole number of lots is within its bounds", cash
        )
    best, moves = _search(board, solution.trades, options)
    if best is None:
        text = "no whole lots within the constraints were found near the weights"
        return _held(problem, Status.UNCONVERGED, text, cash)
    board.place(best)
    return _written(board, solution, np.asarray(lot_sizes, dtype=float), nav, cash, moves)


def _written(
    board: Board, solution: Solution, lot_sizes: Floats, nav: float, cash: float, moves: int
) -> LotSolution:
    """Write down where the board stands."""
    problem, trades = board.problem, board.trades
    count = int(np.count_nonzero(board.lots))
    return LotSolution(
        status=Status.OPTIMAL,
        reason=f"{count} names traded" if count else "holding is best in whole lots",
        lots=board.lots,
        shares=board.lots * lot_sizes,
        trades=trades,
        weights=problem.held + trades,
        sold=sold_of(problem, board.ladder, trades),
        cash=cash - float(board.used[-1]) * nav,
        parts=parts_of(problem, board.ladder, trades),
        bound=_bound(board, solution),
        moves=moves,
    )


def _fault(
    problem: Problem, solution: Solution, prices: Floats, lot_sizes: Floats, nav: float, cash: float
) -> str:
    """Say what is wrong with the arguments, or return the empty string."""
    count = len(problem.symbols)
    if np.shape(solution.trades) != (count,):
        return "the solution is of another problem"
    for label, values in (("prices", prices), ("lot_sizes", lot_sizes)):
        array = np.asarray(values, dtype=float)
        if array.shape != (count,):
            return f"{label} must have {count} entries, one for each name"
        wrong = ~(np.isfinite(array) & (array > 0))
        if wrong.any():
            return f"{label} of {problem.symbols[int(np.argmax(wrong))]} must be a positive number"
    if not (np.isfinite(nav) and nav > 0):
        return "nav must be a positive number"
    dust = np.asarray(prices, dtype=float) * lot_sizes < NOISE * nav
    if dust.any():
        return f"a lot of {problem.symbols[int(np.argmax(dust))]} is worth nothing beside the nav: {nav}"
    return "" if np.isfinite(cash) else "cash must be finite"


def _bound(board: Board, solution: Solution) -> float:
    """Return a proved lower bound for whole lots, which may miss exact rows by `slack` (see `moves`).

    The best value is convex in the rows' bounds and falls by at most a row's price per unit of slack.
    """
    if not board.rows.is_equal.any():
        return solution.bound
    relaxed = solve(replace(board.problem, minimum_trade=0.0), start=solution.prices)
    if relaxed.prices is None:
        return -np.inf
    return relaxed.bound - float(np.abs(relaxed.prices.rows[board.rows.is_equal]) @ board.slack)


def _held(problem: Problem, status: Status, reason: str, cash: float) -> LotSolution:
    """Return the answer that trades nothing."""
    still = hold(problem, status, reason)
    lots = np.zeros(still.trades.shape, dtype=np.int64)
    return LotSolution(
        status,
        reason,
        lots,
        still.trades,
        still.trades,
        still.weights,
        still.sold,
        cash,
        still.parts,
        -np.inf,
    )


def _search(board: Board, trades: Floats, options: LotOptions) -> tuple[Ints | None, int]:
    """Search from the nearest lots, from lots rounded to no trade, and from no trade; also count moves.

    Doing nothing, where it is allowed, is what an answer must beat.
    """
    exact = trades / board.unit
    nearest = np.sign(exact) * np.ceil(np.abs(exact) - 0.5 - ALMOST)
    best, value, total, is_found = None, np.inf, 0, False
    if not board.lots.any() and board.excess(board.used) <= 0:
        best, value = board.lots, parts_of(board.problem, board.ladder, board.trades).objective
    for start in (nearest, np.trunc(exact), np.zeros(exact.size)):
        board.place(start.astype(np.int64))
        if is_found and board.excess(board.used) > 0:
            continue
        is_far = float(np.abs(start - nearest).sum()) > FAR
        is_short = is_found and (exact.size > MANY or is_far)
        total += 0 if is_short else _improve(board, options.most_moves - total, options.most_candidates)
        if board.excess(board.used) <= 0:
            is_found = True
            objective = parts_of(board.problem, board.ladder, board.trades).objective
            if objective < value - WORTH:
                best, value = board.lots, objective
    return best, total


def _improve(board: Board, most_moves: int, most_candidates: int) -> int:
    """Make the best move or swap until none helps; return how many were made."""
    for count in range(most_moves):
        moves = board.moves()
        chosen = _single(board, moves) or _swap(board, moves, most_candidates)
        if not chosen:
            return count
        lots = board.lots.copy()
        for name, after in chosen:
            lots[name] = after
        board.place(lots)
    return max(0, most_moves)


def _single(board: Board, moves: Moves) -> list[tuple[int, int]]:
    """Return the best move of one name as (name, lots), or nothing."""
    after = board.excess(board.used[:, None] + moves.rows)
    at = _best(after, moves.gain, float(board.excess(board.used)))
    return [(int(moves.name[at]), int(moves.lots[at]))] if at >= 0 else []


def _swap(board: Board, moves: Moves, most: int) -> list[tuple[int, int]]:
    """Return the best two moves at once, among the most promising of each direction, or nothing."""
    is_up = moves.step > 0
    ranked = [np.flatnonzero(side) for side in (is_up, ~is_up)]
    ranked = [at[np.argsort(moves.gain[at], kind="stable")[: most // 2]] for at in ranked]
    few = moves.take(np.concatenate(ranked))
    first, second = np.triu_indices(few.name.size, 1)
    shared = board.together(few, few)[first, second]
    gain = few.gain[first] + few.gain[second] + shared
    now = float(board.excess(board.used))
    if now <= 0:
        hopeful = np.flatnonzero(gain < -WORTH)
        first, second, gain = first[hopeful], second[hopeful], gain[hopeful]
    after = board.excess(board.used[:, None] + few.rows[:, first] + few.rows[:, second])
    at = _best(np.where(np.isfinite(gain), after, np.inf), gain, now)
    if at < 0:
        return []
    return [(int(few.name[which[at]]), int(few.lots[which[at]])) for which in (first, second)]


def _best(after: Floats, gain: Floats, now: float) -> int:
    """Return the position of the best change: out of violation first, then by objective; -1 for none.

    `after` is the summed violation behind each change, `now` the one before.
    """
    if not after.size:
        return -1
    if now > 0:
        least = float(after.min())
        if least >= now:
            return -1
        return int(np.argmin(np.where(after <= least, gain, np.inf)))
    allowed = np.where(after <= 0, gain, np.inf)
    at = int(np.argmin(allowed))
    return at if allowed[at] < -WORTH else -1
