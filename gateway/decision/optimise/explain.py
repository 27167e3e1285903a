"""Why a solution is what it is: per name in numbers and one sentence, and as a whole by its conditions.

Rules of this room:
1. Benefits add up: the sum over names is the tracking error saved, cross terms shared half and half.
2. What limits a name is read from bounds, locks and prices of the rows, not guessed from the outcome.
3. `residuals` checks optimality from the problem alone; it shares nothing with the search but the ladder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gateway.decision.optimise.ladder import Ladder, ladder_of
from gateway.decision.optimise.problem import Bools, Floats, Problem
from gateway.decision.optimise.rows import Box, box_of, rows_of
from gateway.decision.optimise.solution import Prices, Solution

TOUCH = 1e-9
"""A weight this close to a bound, or a rung's end, is on it; a price this small is none."""
BP = 1e4


@dataclass(frozen=True, slots=True)
class LotSale:
    """Say what is sold of one tax lot: its position among the lots, weight sold, tax in fractions of NAV."""

    lot: int
    weight: float
    tax: float


@dataclass(frozen=True, slots=True)
class NameReason:
    """Explain one name, in fractions of NAV.

    `benefit` is its share of the tracking objective saved, `cost`, `tax` and `forgone` as in `Parts`. `saves`
    and `buying`, `selling` are what one more unit of weight would save and cost, at the solution.
    `limits` name bounds, locks and rows that stop it; `text` says it all in one sentence.
    """

    symbol: str
    held: float
    weight: float
    trade: float
    benefit: float
    cost: float
    tax: float
    forgone: float
    saves: float
    buying: float
    selling: float
    lots: tuple[LotSale, ...]
    limits: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far a solution is from the Karush-Kuhn-Tucker conditions; all are zero at the optimum.

    `stationarity`: the most by which a name's marginal saving leaves what trading it costs (per unit weight).
    `feasibility`: the most by which a bound, lock or row is broken (weight). `complementarity`: the largest
    price of a row times its slack, or a negative price.
    """

    stationarity: float
    feasibility: float
    complementarity: float


def edges(ladder: Ladder, box: Box, trades: Floats) -> tuple[Floats, Floats]:
    """Return what a unit less and a unit more of each trade costs, (N,) each; infinite at the box's sides.

    Buying costs `buy`; selling back from a sale costs minus the price of the rung it stands on.
    """
    sold = ladder.sold(trades)
    count, last = np.arange(trades.size), ladder.price.shape[0] - 1
    part = sold < ladder.room - TOUCH
    following = np.where(part.any(axis=0), np.argmax(part, axis=0), last)
    begun = sold > TOUCH
    current = np.where(begun.any(axis=0), last - np.argmax(begun[::-1], axis=0), 0)
    low = np.where(trades > TOUCH, ladder.buy, -ladder.price[following, count])
    high = np.where(trades < -TOUCH, -ladder.price[current, count], ladder.buy)
    low = np.where(trades <= box.least + TOUCH, -np.inf, low)
    high = np.where(trades >= box.most - TOUCH, np.inf, high)
    return low, high


def residuals(problem: Problem, solution: Solution) -> Residuals:
    """Check an optimal `solution` of `problem` without minimum trades; infinite where none was proved."""
    prices = solution.prices
    box = "" if prices is None else box_of(problem)
    if prices is None or isinstance(box, str):
        return Residuals(np.inf, np.inf, np.inf)
    rows, trades = rows_of(problem), solution.trades
    low, high = edges(ladder_of(problem), box, trades)
    sign = np.sign(np.where(np.abs(trades) > TOUCH, trades, 0.0))
    low = low + np.where(sign > 0, prices.turnover, -prices.turnover)
    high = high + np.where(sign < 0, -prices.turnover, prices.turnover)
    net = prices.drift - prices.shared
    outside = np.maximum(np.maximum(low - net, net - high), 0.0)
    broken = np.maximum(np.maximum(box.least - trades, trades - box.most), 0.0)
    slack = np.append(rows.bound - rows.matrix @ trades, 0.0)
    if np.isfinite(rows.turnover):
        slack[-1] = rows.turnover - np.abs(trades).sum()
    every = np.append(prices.rows, prices.turnover)
    negative = np.where(np.append(rows.is_equal, [False]), 0.0, np.maximum(-every, 0.0))
    return Residuals(
        stationarity=float(outside.max(initial=0.0)),
        feasibility=float(max(broken.max(initial=0.0), rows.excess(trades).max())),
        complementarity=float(max(np.abs(every * slack).max(), negative.max())),
    )


def explain(problem: Problem, solution: Solution, trades: Floats | None = None) -> tuple[NameReason, ...]:
    """Explain `solution`, or the whole-lot `trades` (N,) made from it, name by name as in `symbols`.

    A solution that holds for want of an optimum gives its reason to every name.
    """
    prices = solution.prices
    box = "" if prices is None else box_of(problem)
    if prices is None or isinstance(box, str):
        fits = solution.weights.shape == (len(problem.symbols),)
        held = solution.weights if fits else np.full(len(problem.symbols), np.nan)
        return tuple(
            _held(symbol, weight, solution.reason)
            for symbol, weight in zip(problem.symbols, held.tolist(), strict=True)
        )
    made = solution.trades if trades is None else trades
    ladder = ladder_of(problem)
    before = problem.held - problem.target
    shared = problem.covariance.times(2 * before + made)
    benefit = -0.5 * problem.risk_aversion * made * shared
    sold = ladder.sold(made)
    sell = problem.each(problem.sell_cost)
    cost = problem.each(problem.buy_cost) * np.maximum(made, 0.0) + sell * sold.sum(axis=0)
    tax, forgone = (ladder.true - sell) * sold, ((ladder.price - ladder.true) * sold).sum(axis=0)
    low, high = edges(ladder, Box(np.full(made.shape, -np.inf), np.full(made.shape, np.inf)), made)
    limits = _limits(problem, prices, box, made)
    reasons = []
    for at, symbol in enumerate(problem.symbols):
        lots = tuple(
            LotSale(int(ladder.lot[rung, at]), float(sold[rung, at]), float(tax[rung, at]))
            for rung in np.flatnonzero((sold[:, at] > 0) & (ladder.lot[:, at] >= 0))
        )
        now, trade = float(problem.held[at]), float(made[at])
        reason = NameReason(
            symbol=symbol,
            held=now,
            weight=now + trade,
            trade=trade,
            benefit=float(benefit[at]),
            cost=float(cost[at]),
            tax=float(tax[:, at].sum()),
            forgone=float(forgone[at]),
            saves=float(prices.drift[at]),
            buying=float(high[at]),
            selling=-float(low[at]),
            lots=lots,
            limits=limits[at],
            text="",
        )
        reasons.append(replace(reason, text=_sentence(reason)))
    return tuple(reasons)


def _held(symbol: str, held: float, reason: str) -> NameReason:
    nothing = (0.0,) * 8
    return NameReason(symbol, held, held, *nothing, lots=(), limits=(), text=f"held: {reason}")


def _limits(problem: Problem, prices: Prices, box: Box, trades: Floats) -> list[tuple[str, ...]]:
    """Name, for each name, the bounds and locks it stands on and the rows that price it."""
    rows = rows_of(problem)
    no_trade = problem.locked(problem.no_trade)
    smallest = problem.each(problem.minimum_trade)
    is_top, is_bottom = trades >= box.most - TOUCH, trades <= box.least + TOUCH
    no_buy = is_top & (problem.locked(problem.no_buy) | no_trade)
    no_sell = is_bottom & (problem.locked(problem.no_sell) | no_trade)
    size = np.abs(trades)
    marks: list[tuple[str, Bools]] = [
        ("do not trade", no_trade),
        ("do not buy", no_buy & ~no_trade),
        ("do not sell", no_sell & ~no_trade),
        ("upper bound", is_top & ~no_buy),
        ("lower bound", is_bottom & ~no_sell),
        ("minimum trade", (smallest > 0) & (np.abs(size - smallest) <= TOUCH)),
    ]
    binding = np.abs(prices.rows) > TOUCH
    marks += [(label, rows.matrix[at] != 0) for at, label in enumerate(prices.labels) if binding[at]]
    marks.append(("turnover", np.full(trades.shape, prices.turnover > TOUCH)))
    return [tuple(label for label, mark in marks if mark[at]) for at in range(trades.size)]


def _sentence(name: NameReason) -> str:
    """Say in one sentence what is done to a name and why; money in basis points of NAV."""
    limited = f"; limited by: {', '.join(name.limits)}" if name.limits else ""
    if abs(name.trade) <= TOUCH:
        costs = f"buying costs {_plain(name.buying, 6)} and selling {_plain(name.selling, 6)}"
        return f"kept: of a unit of weight, bought, {_plain(name.saves, 6)} is saved; {costs}{limited}"
    verb = "bought" if name.trade > 0 else "sold"
    text = f"{verb} {abs(name.trade):.4%} of NAV: saves {_plain(name.benefit * BP, 3)} bp of tracking error"
    text += f", costs {_plain(name.cost * BP, 3)} bp"
    if name.tax:
        text += f" and {_plain(name.tax * BP, 3)} bp of tax"
    return text + limited


def _plain(value: float, digits: int) -> str:
    """Write a number without a minus before nothing."""
    return f"{round(value, digits) + 0.0:.{digits}f}"
