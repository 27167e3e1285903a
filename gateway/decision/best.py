"""The optimiser as a policy: the trades that are best of all, over the account's horizon, in whole lots.

Rules of this room:
1. Tracking over `horizon_years` is weighed against cost and tax paid today, lot by lot, under the account's
   own limits: cash buffer, turnover, restricted names, short sales, and what a wash sale forbids. Where the
   account accepts wash sales, the tax that one no longer saves is a cost of the trade.
2. The price of a sale rises with its size where the account sells its cheapest lots first (MIN_TAX). With
   another lot method it need not, and orders name no lots: a name is taxed as the sale that closes its gap.
3. What cannot be solved holds and says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from gateway.decision.drift import NOISE, Floats, Survey
from gateway.decision.optimise import Covariance, Problem, TaxLots, solve, whole_lots
from gateway.decision.optimise.ladder import ladder_of
from gateway.decision.optimise.solution import Status, parts_of
from gateway.decision.terms import Bools, is_cheapest_first, lots_of, terms_of
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
        locks = locks_of(view, found)
        problem = problem_of(view, found, locks)
        solution = solve(problem)
        if solution.status is not Status.OPTIMAL:
            return Verdict(Action.HOLD, f"the optimiser holds: {solution.reason}")
        prices = np.where(np.isnan(found.price), 1.0, found.price)
        lots = np.array([float(view.instruments[symbol].lot_size) for symbol in found.symbols])
        made = whole_lots(problem, solution, prices, lots, float(found.nav), float(found.cash))
        if made.status is not Status.OPTIMAL:
            return Verdict(Action.HOLD, f"the optimiser holds: {made.reason}")
        if np.abs(made.trades).max(initial=0.0) <= NOISE:
            text = f"no trade is worth its cost and tax: {_words(found, solution.trades)}"
            return Verdict(Action.HOLD, text, notes=locks.notes)
        nav, parts = float(found.nav), made.parts
        text = (
            f"best of all: {int((made.trades != 0).sum())} names, cost {parts.cost * nav:.2f}, tax "
            f"{parts.tax * nav:.2f}, {_words(found, made.trades)}"
        )
        return Verdict(Action.PARTIAL, text, made.trades, lambda moved: worth(problem, moved), locks.notes)


def worth(problem: Problem, moved: Floats) -> float:
    """Return the tracking that trades (N) save over the horizon less their tax, as a share of NAV."""
    ladder = ladder_of(problem)
    before, after = (parts_of(problem, ladder, one) for one in (np.zeros_like(moved), moved))
    return before.tracking - after.tracking - after.tax - after.forgone


@dataclass(frozen=True, slots=True)
class Locks:
    """Hold what wash sales forbid of N names, and what those accepted add to the cost of a trade.

    `notes` say why, of names that would be traded that way to close their gap.
    """

    no_buy: Bools
    no_sell: Bools
    buy: Floats
    sell: Floats
    notes: dict[str, str] = field(default_factory=dict)


def locks_of(view: View, found: Survey) -> Locks:
    """Ask what a purchase of each name, and a sale of what is held of it, would conflict with.

    The trade asked about is the one that closes the gap, or else of one lot.
    """
    account, known = view.account, watch(view)
    count = len(found.symbols)
    locks = Locks(np.zeros(count, bool), np.zeros(count, bool), np.zeros(count), np.zeros(count))
    for n, (symbol, gap) in enumerate(zip(found.symbols, found.gap.tolist(), strict=True)):
        lot, price = view.instruments[symbol].lot_size, view.prices.get(symbol)
        if price is None:
            continue
        held, full = view.book.position(account.name, symbol), _lots(found, n, lot)
        for side, forbids, adds in (
            (Side.BUY, locks.no_buy, locks.buy), (Side.SELL, locks.no_sell, locks.sell),
        ):  # fmt: skip
            is_wanted = gap * side.sign > NOISE
            qty = full if is_wanted else lot
            if side is Side.SELL and held <= 0:
                continue
            qty = qty if side is Side.BUY else min(held, qty)
            conflict = known.found(symbol, side, qty)
            if conflict is None:
                continue
            if known.accepts(conflict):
                adds[n] = conflict.tax / float(qty * price)
                continue
            forbids[n] = True
            if is_wanted:
                locks.notes[symbol] = f"not sent: {conflict.text}"
    return locks


def problem_of(view: View, found: Survey, locks: Locks) -> Problem:
    """Write an account's rebalance as the optimiser reads it."""
    account, decision = view.account, view.account.decision
    terms = terms_of(view, found)
    nav = float(found.nav)
    risk = found.risk
    free = 1.0 - sum(
        float(view.book.position(account.name, symbol) * view.prices[symbol]) / nav for symbol in found.kept
    )
    most = max(1.0, float(found.expected.max(initial=0.0)), float(found.target.max(initial=0.0)))
    least = np.minimum(found.expected, 0.0 if not account.limits.allow_short else -most)
    return Problem(
        symbols=found.symbols, held=found.expected, target=found.target,
        covariance=(
            Covariance.by_factors(terms.loadings, terms.specific) if risk is None
            else risk.apart(found.symbols, found.volatility)
        ),
        risk_aversion=float(decision.risk_aversion * decision.horizon_years),
        buy_cost=terms.buy + locks.buy, sell_cost=terms.sell + locks.sell, lots=taxed(view, found),
        lower=np.minimum(least, found.target), upper=most, no_buy=locks.no_buy, no_sell=locks.no_sell,
        no_trade=~terms.has_price | np.isin(found.symbols, sorted(account.limits.restricted)),
        budget=free, cash_lower=min(float(account.execution.cash_buffer), free - float(found.expected.sum())),
        turnover=float(account.limits.max_turnover),
    )  # fmt: skip


def taxed(view: View, found: Survey) -> TaxLots:
    """Return the lots as the optimiser may count on them: the account's own order decides what is sold."""
    lots = lots_of(view, found)
    if is_cheapest_first(view.book.accounts[view.account.name]) or not lots.name.size:
        return TaxLots(lots.name, lots.weight, lots.tax)
    held = np.bincount(lots.name, lots.weight, minlength=len(found.symbols))
    at = np.flatnonzero(held)
    weight = np.maximum(held, found.expected)[at]  # what open orders buy is taxed alike, once it is there
    return TaxLots(at, weight, lots.of_sale(np.maximum(-found.gap, 0.0))[at])


def _lots(found: Survey, n: int, lot: Decimal) -> Decimal:
    """Return the quantity that would close a name's gap, one lot at least."""
    count = abs(float(found.gap[n])) * float(found.nav) / float(found.price[n]) / float(lot)
    return max(lot, Decimal(round(count)) * lot)


def _words(found: Survey, trades: Floats) -> str:
    before, after = found.tracking_error(found.gap), found.tracking_error(found.gap - trades)
    return f"tracking error {before:.2%} to {after:.2%} a year"
