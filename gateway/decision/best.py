"""The optimiser as a policy: the trades that are best of all, over the account's horizon, in whole lots.

Rules of this room:
1. Tracking over `horizon_years` is weighed against cost and tax paid today, lot by lot, under the account's
   own limits: cash buffer, turnover, restricted names, short sales, and what a wash sale forbids.
2. What cannot be solved holds and says why.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from gateway.decision.drift import NOISE, Survey
from gateway.decision.optimise import Covariance, Problem, Solution, TaxLots, solve, whole_lots
from gateway.decision.optimise.solution import Status
from gateway.decision.terms import lots_of, terms_of
from gateway.decision.triggers import Verdict, crisis
from gateway.decision.view import View
from gateway.decision.wash_sale import watch
from gateway.domain.order import Side
from gateway.events import Action


class Optimised:
    """Minimise tracking error, cost and tax together; hold when nothing is better than that."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return PARTIAL with the best whole-lot trades; HOLD when there are none, or no solution."""
        if (urgent := crisis(found, view.account.decision, view.regime)) is not None:
            return urgent
        problem = problem_of(view, found)
        solution = solve(problem)
        if solution.status is not Status.OPTIMAL:
            return Verdict(Action.HOLD, f"the optimiser holds: {solution.reason}")
        prices = np.where(np.isnan(found.price), 1.0, found.price)
        lots = np.array([float(view.instruments[symbol].lot_size) for symbol in found.symbols])
        made = whole_lots(problem, solution, prices, lots, float(found.nav), float(found.cash))
        if made.status is not Status.OPTIMAL:
            return Verdict(Action.HOLD, f"the optimiser holds: {made.reason}")
        if np.abs(made.trades).max(initial=0.0) <= NOISE:
            return Verdict(Action.HOLD, f"no trade is worth its cost and tax: {_words(found, solution)}")
        nav, parts = float(found.nav), made.parts
        text = (
            f"best of all: {int((made.trades != 0).sum())} names, cost {parts.cost * nav:.2f}, tax "
            f"{parts.tax * nav:.2f}, {_words(found, solution)}"
        )
        return Verdict(Action.PARTIAL, text, made.trades)


def problem_of(view: View, found: Survey) -> Problem:
    """Write an account's rebalance as the optimiser reads it."""
    account, decision = view.account, view.account.decision
    terms, lots = terms_of(view, found), lots_of(view, found)
    nav = float(found.nav)
    known = watch(view)
    no_buy, no_sell = np.zeros(len(found.symbols), bool), np.zeros(len(found.symbols), bool)
    for n, (symbol, gap) in enumerate(zip(found.symbols, found.gap.tolist(), strict=True)):
        lot = view.instruments[symbol].lot_size
        no_buy[n] = known.conflict(symbol, Side.BUY, lot) is not None
        held = view.book.position(account.name, symbol)
        if gap < 0 < held:
            qty = min(held, _lots(found, n, lot))
            no_sell[n] = known.conflict(symbol, Side.SELL, qty) is not None
    free = 1.0 - sum(
        float(view.book.position(account.name, symbol) * view.prices[symbol]) / nav for symbol in found.kept
    )
    most = max(1.0, float(found.expected.max(initial=0.0)), float(found.target.max(initial=0.0)))
    least = np.minimum(found.expected, 0.0 if not account.limits.allow_short else -most)
    return Problem(
        symbols=found.symbols, held=found.expected, target=found.target,
        covariance=Covariance.by_factors(terms.loadings, terms.specific),
        risk_aversion=float(decision.risk_aversion * decision.horizon_years),
        buy_cost=terms.buy, sell_cost=terms.sell, lots=TaxLots(lots.name, lots.weight, lots.tax),
        lower=np.minimum(least, found.target), upper=most, no_buy=no_buy, no_sell=no_sell,
        no_trade=~terms.has_price | np.isin(found.symbols, sorted(account.limits.restricted)),
        budget=free, cash_lower=min(float(account.execution.cash_buffer), free - float(found.expected.sum())),
        turnover=float(account.limits.max_turnover),
    )  # fmt: skip


def _lots(found: Survey, n: int, lot: Decimal) -> Decimal:
    """Return the quantity that would close a name's gap, one lot at least."""
    price = found.price[n]
    if np.isnan(price):
        return lot
    count = abs(float(found.gap[n])) * float(found.nav) / float(price) / float(lot)
    return max(lot, Decimal(round(count)) * lot)


def _words(found: Survey, solution: Solution) -> str:
    before, after = found.tracking_error(found.gap), found.tracking_error(found.gap - solution.trades)
    return f"tracking error {before:.2%} to {after:.2%} a year"
