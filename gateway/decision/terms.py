"""The terms of a decision, in arrays: how names move together, what trading and selling each of them takes.

Rules of this room:
1. One entry a name of the survey, in its order; costs are fractions of what is traded, taxes of what is sold.
2. What a trade costs is said by `costs.py`, at the size of the name's gap: a minimum makes small gaps dear.
3. Without a price history names are taken to move together as the account's `assumed_correlation` says: to
   take them as strangers would see no drift in a portfolio that is all cash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gateway.decision.costs import charges
from gateway.decision.drift import Floats, Survey
from gateway.decision.view import View
from gateway.domain.lots import Lot, is_long_term
from gateway.domain.order import Side

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Terms:
    """Hold the terms of N names. `loadings` (N, K) and `specific` (N) are an annual covariance.

    `buy`, `sell` (N) are one-way costs; `has_price` (N) says what can be traded at all.
    """

    loadings: Floats
    specific: Floats
    buy: Floats
    sell: Floats
    has_price: Bools


def terms_of(view: View, found: Survey) -> Terms:
    """Gather the terms of a survey."""
    if found.risk is not None:
        loadings, specific = found.risk.part(found.symbols, found.volatility)
    else:
        shared = float(view.account.decision.assumed_correlation)
        loadings = np.sqrt(shared) * found.volatility[:, None]
        specific = (1.0 - shared) * np.square(found.volatility)
    costs = {side: np.zeros(len(found.symbols)) for side in (Side.BUY, Side.SELL)}
    nav = float(found.nav)
    for n, (symbol, gap) in enumerate(zip(found.symbols, found.gap.tolist(), strict=True)):
        price = view.prices.get(symbol)
        if price is None:
            continue
        lot = view.instruments[symbol].lot_size
        qty = max(lot, Decimal(round(abs(gap) * nav / float(price * lot))) * lot)
        for side, table in costs.items():
            taken = charges(view, symbol, side, qty, price)
            whole = float(taken.commission + taken.conversion) + taken.half_spread + taken.impact
            table[n] = whole / float(qty * price)
    return Terms(loadings, specific, costs[Side.BUY], costs[Side.SELL], ~np.isnan(found.price))


@dataclass(frozen=True, slots=True)
class OpenLots:
    """Hold an account's open lots, flat: the place of the name, weight of NAV, tax per unit sold."""

    name: npt.NDArray[np.intp]
    weight: Floats
    tax: Floats


def lots_of(view: View, found: Survey) -> OpenLots:
    """Return the lots a sale would be taxed on; none in an account nobody is taxed on."""
    account = view.book.accounts[view.account.name]
    names, weights, taxes = [], [], []
    nav = float(found.nav)
    for n, symbol in enumerate(found.symbols):
        price = view.prices.get(symbol)
        if not account.taxable or price is None:
            continue
        for lot in account.lots.get(symbol, ()):
            if lot.qty > 0:
                names.append(n)
                weights.append(float(lot.qty * price) / nav)
                taxes.append(_unit_tax(view, lot, price))
    return OpenLots(np.array(names, dtype=np.intp), np.array(weights), np.array(taxes))


def _unit_tax(view: View, lot: Lot, price: Decimal) -> float:
    """Return the tax on one unit of money that a sale of a lot brings; negative for a loss."""
    costs = view.account.costs
    is_long = is_long_term(lot.acquired, view.trade_date)
    rate = costs.long_term_rate if is_long else costs.short_term_rate
    return float((price - lot.unit_cost) / price * rate)


def deferral(view: View) -> float:
    """Return what paying a tax now costs, as a share of it: 1 - 1/(1+r)^T, T being `harvest.years`."""
    settings = view.account.harvest
    return 1.0 - math.pow(1.0 + float(settings.discount_rate), -float(settings.years))
