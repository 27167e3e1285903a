"""The terms of a decision, in arrays: how names move together, what trading and selling each of them takes.

Rules of this room:
1. One entry a name of the survey, in its order; costs are fractions of what is traded, taxes of what is sold.
2. What a trade costs is said by `costs.py`, at the size of the name's gap: a minimum makes small gaps dear.
3. What a sale is taxed is that of the lots the book would close, in the account's own order, less those that
   open orders will have sold by then, on adjusted basis and dates.
4. Without a price history names are taken to move together as the account's `assumed_correlation` says: to
   take them as strangers would see no drift in a portfolio that is all cash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gateway.decision.costs import charge_rates
from gateway.decision.drift import NOISE, ZERO, Floats, Survey
from gateway.decision.tax_record import TaxRecord, tax_record
from gateway.decision.view import View
from gateway.domain.book import Account
from gateway.domain.lots import Lot, LotMethod, Relief, Sale, is_long_term, ordered
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
    has_price = ~np.isnan(found.price)
    price = np.where(has_price, found.price, 1.0)
    size = np.array([float(view.instruments[symbol].lot_size) for symbol in found.symbols])
    qty = np.maximum(1.0, np.round(np.abs(found.gap) * float(found.nav) / (price * size))) * size
    buy, sell = (
        np.where(has_price, charge_rates(view, found.symbols, qty, price, side), 0.0)
        for side in (Side.BUY, Side.SELL)
    )
    return Terms(loadings, specific, buy, sell, has_price)


@dataclass(frozen=True, slots=True)
class OpenLots:
    """Hold an account's open lots, flat, of each name in the order in which they would be sold.

    `name` is the place of the name, `weight` the lot's of NAV, `tax` the tax per unit of it sold.
    """

    name: npt.NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    weight: Floats = field(default_factory=lambda: np.zeros(0))
    tax: Floats = field(default_factory=lambda: np.zeros(0))

    def of_sale(self, sold: Floats) -> Floats:
        """Return the tax per unit of selling `sold` of each name (N, weights), at least its first lot's."""
        if not self.name.size:
            return np.zeros_like(sold)
        total = np.cumsum(self.weight)
        first = np.searchsorted(self.name, np.arange(sold.size))
        is_held = np.append(self.name, -1)[first] == np.arange(sold.size)
        before = total - self.weight - np.append(total - self.weight, 0.0)[first][self.name]
        least = NOISE * np.append(self.weight, 1.0)[first]
        wanted = np.where(is_held, np.maximum(sold, least), 0.0)
        taken = np.clip(wanted[self.name] - before, 0.0, self.weight)
        count = np.bincount(self.name, taken, minlength=sold.size)
        due = np.bincount(self.name, taken * self.tax, minlength=sold.size)
        unit: Floats = np.divide(due, count, out=np.zeros_like(sold), where=count > 0)
        return unit


def lots_of(view: View, found: Survey) -> OpenLots:
    """Return the lots a sale would be taxed on; none in an account nobody is taxed on."""
    account = view.book.accounts[view.account.name]
    if not account.taxable:
        return OpenLots()
    selling = _selling(view)
    record = tax_record(view) if view.book.realised else None
    last = last_long_term(view.trade_date)
    costs, nav = view.account.costs, float(found.nav)
    rates = (float(costs.short_term_rate), float(costs.long_term_rate))
    names, weights, taxes = [], [], []
    for n, (symbol, price) in enumerate(zip(found.symbols, found.price.tolist(), strict=True)):
        lots = account.lots.get(symbol)
        if not lots or math.isnan(price):
            continue
        for lot in _left(view, account, symbol, lots, selling.get(symbol, ZERO), record):
            qty = float(lot.qty)
            names.append(n)
            weights.append(qty * price / nav)
            taxes.append((1.0 - float(lot.cost) / (qty * price)) * rates[lot.acquired <= last])
    return OpenLots(np.array(names, dtype=np.intp), np.array(weights), np.array(taxes))


def _selling(view: View) -> dict[str, Decimal]:
    """Return what this account's open orders may still sell of each name."""
    found: dict[str, Decimal] = {}
    for order in view.open_orders:
        if order.account == view.account.name and order.side is Side.SELL:
            found[order.symbol] = found.get(order.symbol, ZERO) + order.leaves_qty
    return found


def _left(
    view: View, account: Account, symbol: str, lots: list[Lot], selling: Decimal, record: TaxRecord | None
) -> list[Lot] | list[Relief]:
    """Return the long lots of a name as they would be sold, adjusted, without the first `selling` units."""
    if len(lots) > 1:
        sale = Sale(view.trade_date, view.prices[symbol], account.rates)
        lots = ordered(lots, account.lot_method, sale)
    long = [lot for lot in lots if lot.qty > 0]
    if not selling and record is None:
        return long
    left = []
    for lot in long:
        gone = min(selling, lot.qty)
        selling -= gone
        if qty := lot.qty - gone:
            left.append(Relief(lot.lot_id, lot.acquired, qty, lot.cost * qty / lot.qty, lot.order_id))
    return left if record is None else record.adjusted(account.name, symbol, left)


def last_long_term(today: date) -> date:
    """Return the last day of acquisition from which a sale today is long-term (IRC 1222)."""
    day = today - timedelta(days=364)
    while not is_long_term(day, today):
        day -= timedelta(days=1)
    return day


def is_cheapest_first(account: Account) -> bool:
    """Say whether an account sells the lots that are taxed least first, so that taxes rise with a sale."""
    return account.lot_method is LotMethod.MIN_TAX


def deferral(view: View) -> float:
    """Return what paying a tax now costs, as a share of it: 1 - 1/(1+r)^T, T being `harvest.years`."""
    settings = view.account.harvest
    return 1.0 - math.pow(1.0 + float(settings.discount_rate), -float(settings.years))
