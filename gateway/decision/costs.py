"""Costs: what a trade brings, what it takes, and what tax it realises. The product's one cost model.

Rules of this room:
1. Decision, gate, report and backtest price a trade with these functions and no others.
2. What may leave the account is exact Decimal; what is only weighed is a float.
3. Tax is signed: a loss realised is a negative tax, worth that much only against other gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from gateway.decision.view import View
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod, Relief, is_long_term, relieve
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import Costs, Decision

BPS = Decimal(10_000)
ZERO = Decimal(0)


def commission(costs: Costs, qty: Decimal, notional: Decimal) -> Decimal:
    """Return what the broker charges for one order: per share plus per value, at least the minimum."""
    if not qty:
        return ZERO
    charged = costs.commission_per_share * qty + costs.commission_bps * notional / BPS
    return max(costs.commission_minimum, charged)


def half_spread(instrument: Instrument, notional: float) -> float:
    """Return what crossing half the bid-ask spread costs, in money."""
    return notional * float(instrument.half_spread_bps) / float(BPS)


def benefit(decision: Decision, volatility: float, before: float, after: float, nav: float) -> float:
    """Return the drift cost a trade saves: 0.5 * gamma * sigma^2 * (before^2 - after^2) * NAV * horizon.

    `before` and `after` are gaps to target in weight; the answer is money over the horizon, negative
    when the trade makes the gap larger. Names are taken one by one, without correlation.
    Source: the mean-variance loss of a position away from its optimum (Constantinides 1986).
    """
    risk = 0.5 * float(decision.risk_aversion) * volatility**2 * float(decision.horizon_years)
    return risk * (before**2 - after**2) * nav


def worst_price(view: View, symbol: str, side: Side, price: Decimal) -> Decimal:
    """Return the worst price a fill may have: the reference moved against us by the limit offset, on a tick.

    A market order has no limit; the same offset is its allowance.
    """
    offset = side.sign * view.account.execution.limit_offset_bps / BPS
    return view.instruments[symbol].round_price(view.prices.get(symbol, price) * (1 + offset))


def cash_needed(view: View, item: Proposal) -> Decimal:
    """Return the most cash a buy can take: quantity at its worst price and the commission on that."""
    worst = worst_price(view, item.symbol, item.side, item.price) * item.qty
    return worst + commission(view.account.costs, item.qty, worst)


def proceeds(item: Proposal) -> Decimal:
    """Return the cash a sale should bring: value at the reference price less commission and half spread."""
    return item.notional - Decimal(str(item.commission + item.half_spread))


def lots_closed(lots: Sequence[Lot], side: Side, qty: Decimal, method: LotMethod) -> list[Relief]:
    """Choose the lots a trade would close: those of the opposite sign, in the account's order."""
    return relieve([lot for lot in lots if lot.qty * side.sign < 0], qty, method)


def gain_of(relief: Relief, net_price: Decimal) -> Decimal:
    """Return the gain of one closed lot at a price net of commission; a short lot gains when it falls."""
    return relief.qty * net_price - relief.cost


def tax(costs: Costs, closed: Sequence[Relief], net_price: Decimal, trade_date: date) -> float:
    """Return the tax a sale realises, lot by lot at the short or long rate; negative for a loss.

    `net_price` is per unit, commission taken off. Source: IRC 1222; gains of short sales are short-term.
    """
    total = ZERO
    for relief in closed:
        is_long = relief.qty > 0 and is_long_term(relief.acquired, trade_date)
        total += gain_of(relief, net_price) * (costs.long_term_rate if is_long else costs.short_term_rate)
    return float(total)


def price_trade(view: View, symbol: str, side: Side, qty: Decimal, gap: float, nav: Decimal) -> Proposal:
    """Make the proposal to trade `qty` of one name, with benefit, costs and tax.

    `gap` is target less expected weight before the trade. No wash-sale verdict is in it yet.
    """
    settings, instrument, price = view.account, view.instruments[symbol], view.prices[symbol]
    account = view.book.accounts[settings.name]
    notional = qty * price
    charged = commission(settings.costs, qty, notional)
    due = 0.0
    if account.taxable:
        closed = lots_closed(account.lots.get(symbol, ()), side, qty, account.lot_method)
        due = tax(settings.costs, closed, price + side.sign * charged / qty, view.trade_date)
    after = gap - side.sign * float(notional / nav)
    return Proposal(
        symbol=symbol,
        side=side,
        qty=qty,
        price=price,
        benefit=benefit(settings.decision, float(instrument.volatility), gap, after, float(nav)),
        commission=float(charged),
        half_spread=half_spread(instrument, float(notional)),
        tax=due,
    )
