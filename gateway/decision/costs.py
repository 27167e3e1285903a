"""Costs: what a trade brings, what it takes, and what tax it realises. The product's one cost model.

Rules of this room:
1. Decision, gate, report and backtest price a trade with these functions and no others.
2. What may leave the account is exact Decimal; what is only weighed is a float.
3. Tax is signed: a loss realised is a negative tax, worth that much only against other gains.
4. Which lots a trade closes is what the book will choose when it fills; what they are taxed on is their
   adjusted basis and date, where a wash sale has changed them (`tax_record.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gateway.decision.tax_record import TaxRecord, tax_record
from gateway.decision.view import View
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod, Relief, Sale, is_long_term, relieve
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import AccountSettings, Costs, Decision

Floats = npt.NDArray[np.float64]
BPS = Decimal(10_000)
TRADING_DAYS = 252
ZERO, ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class Charges:
    """Hold what trading takes, part by part, in the account's currency; tax is not among it."""

    commission: Decimal
    half_spread: float
    impact: float
    conversion: Decimal


def commission(costs: Costs, qty: Decimal, notional: Decimal, side: Side = Side.SELL) -> Decimal:
    """Return what the broker charges for one order, in the account's currency: see `Costs` for the rule.

    Without a side it is a sale, the dearer one: fees of the SEC and of FINRA are on sales only. Where a
    maximum is below the minimum, the maximum holds. Fractions of a cent are not rounded up: brokers round
    the day's total, not the order's.
    """
    if not qty:
        return ZERO
    charged = costs.commission_per_order + per_share(costs, qty) + costs.commission_bps * notional / BPS
    charged = max(costs.commission_minimum, charged)
    if costs.commission_maximum_bps:
        charged = min(charged, costs.commission_maximum_bps * notional / BPS)
    charged += costs.clearing_per_share * qty
    if side is not Side.BUY:
        charged += costs.sell_fee_bps * notional / BPS
        charged += min(costs.sell_fee_per_share * qty, costs.sell_fee_maximum)
    return charged


def per_share(costs: Costs, qty: Decimal) -> Decimal:
    """Return the part of a commission that goes by the share, each share at the rate of its tier."""
    if not costs.tiers:
        return costs.commission_per_share * qty
    first, last = costs.monthly_shares, costs.monthly_shares + qty
    ends = [tier.above for tier in costs.tiers[1:]] + [last]
    return sum(
        (
            tier.per_share * max(ZERO, min(end, last) - max(tier.above, first))
            for tier, end in zip(costs.tiers, ends, strict=True)
        ),
        ZERO,
    )


def dearest_per_share(costs: Costs) -> Decimal:
    """Return the highest rate a share can be charged: the bound that sizing reckons with."""
    return max((tier.per_share for tier in costs.tiers), default=costs.commission_per_share)


def impact(costs: Costs, instrument: Instrument, qty: float, notional: float) -> float:
    """Return what our own trade moves the price against us: Y * sigma_day * sqrt(qty / ADV) of its value.

    Y is `Costs.impact`, of order one; nothing is charged where the daily volume is not known.
    Source: the square-root law, Grinold & Kahn 2000 (ch. 16); Toth et al. 2011, Phys. Rev. X 1, 021006.
    """
    if not instrument.daily_volume:
        return 0.0
    share = qty / float(instrument.daily_volume)
    daily = float(instrument.volatility) / math.sqrt(TRADING_DAYS)
    return float(costs.impact) * daily * math.sqrt(share) * notional


def conversion(settings: AccountSettings, instrument: Instrument, notional: Decimal) -> Decimal:
    """Return what changing the money of one order costs: 0 in the account's own currency, else by `Costs`.

    `notional` is in the account's currency already: `View.prices` are, at the rate that arrived with them.
    """
    if instrument.currency == settings.currency or not notional:
        return ZERO
    return max(settings.costs.fx_minimum, settings.costs.fx_bps * notional / BPS)


def charges(view: View, symbol: str, side: Side, qty: Decimal, price: Decimal) -> Charges:
    """Return every part of what a trade of `qty` at `price` takes, before tax."""
    settings, instrument, notional = view.account, view.instruments[symbol], qty * price
    return Charges(
        commission=commission(settings.costs, qty, notional, side),
        half_spread=half_spread(instrument, float(notional)),
        impact=impact(settings.costs, instrument, float(qty), float(notional)),
        conversion=conversion(settings, instrument, notional),
    )


def charge_rates(view: View, symbols: Sequence[str], qty: Floats, price: Floats, side: Side) -> Floats:
    """Return what `charges` takes of each trade as a share of its value, (N) for many names at once.

    The same rule in floats, for weighing many names; what is proposed is priced by `charges`.
    """
    costs, currency = view.account.costs, view.account.currency
    kinds = [view.instruments[symbol] for symbol in symbols]
    spread = np.array([float(one.half_spread_bps) for one in kinds])
    volatility = np.array([float(one.volatility) for one in kinds])
    volume = np.array([float(one.daily_volume) for one in kinds])
    changed = np.array([one.currency != currency for one in kinds], dtype=float)
    value = qty * price
    charged = float(costs.commission_per_order) + _by_share(costs, qty)
    charged = np.maximum(charged + float(costs.commission_bps / BPS) * value, float(costs.commission_minimum))
    if costs.commission_maximum_bps:
        charged = np.minimum(charged, float(costs.commission_maximum_bps / BPS) * value)
    charged = charged + float(costs.clearing_per_share) * qty
    if side is not Side.BUY:
        fee = np.minimum(float(costs.sell_fee_per_share) * qty, float(costs.sell_fee_maximum))
        charged = charged + float(costs.sell_fee_bps / BPS) * value + fee
    share = np.where(volume > 0, qty / np.where(volume > 0, volume, 1.0), 0.0)
    moved = float(costs.impact) * volatility / math.sqrt(TRADING_DAYS) * np.sqrt(share)
    charged = charged + changed * np.maximum(float(costs.fx_bps / BPS) * value, float(costs.fx_minimum))
    found: Floats = charged / value + spread / float(BPS) + moved
    return found


def _by_share(costs: Costs, qty: Floats) -> Floats:
    """Return `per_share` of many quantities."""
    if not costs.tiers:
        return float(costs.commission_per_share) * qty
    first, total = float(costs.monthly_shares), np.zeros_like(qty)
    above = [float(tier.above) for tier in costs.tiers]
    for tier, start, end in zip(costs.tiers, above, [*above[1:], math.inf], strict=True):
        total += float(tier.per_share) * np.maximum(np.minimum(first + qty, end) - max(first, start), 0.0)
    return total


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

    A market order has no limit; the same offset is its allowance. Ticks are of the currency of the quote.
    """
    offset, instrument = side.sign * view.account.execution.limit_offset_bps / BPS, view.instruments[symbol]
    rate = view.rates.get(instrument.currency, ONE)
    return instrument.round_price(view.prices.get(symbol, price) * (1 + offset) / rate) * rate


def cash_needed(view: View, item: Proposal) -> Decimal:
    """Return the most cash a buy can take: quantity at its worst price, commission and conversion on that."""
    worst = worst_price(view, item.symbol, item.side, item.price) * item.qty
    charged = commission(view.account.costs, item.qty, worst, Side.BUY)
    return worst + charged + conversion(view.account, view.instruments[item.symbol], worst)


def proceeds(item: Proposal) -> Decimal:
    """Return the cash a sale should bring: value at the reference price less all it costs."""
    return item.notional - Decimal(str(item.cost))


def lots_closed(
    lots: Sequence[Lot], side: Side, qty: Decimal, method: LotMethod, sale: Sale | None = None
) -> list[Relief]:
    """Choose the lots a trade would close: those of the opposite sign, in the account's order."""
    return relieve([lot for lot in lots if lot.qty * side.sign < 0], qty, method, sale)


def closed_by(
    view: View, symbol: str, side: Side, qty: Decimal, record: TaxRecord | None = None
) -> list[Relief]:
    """Return what a trade would close as it would be booked at the reference price, nothing untaxed.

    Cost and date are adjusted (IRC 1091(d), 1223(3)); for many names make one `record` and pass it on.
    """
    account = view.book.accounts[view.account.name]
    lots = account.lots.get(symbol, ())
    if not (account.taxable and lots):
        return []
    sale = Sale(view.trade_date, view.prices[symbol], account.rates)
    closed = lots_closed(lots, side, qty, account.lot_method, sale)
    if not (closed and view.book.realised):
        return closed
    known = record or tax_record(view, only=view.instruments[symbol].group)
    return known.adjusted(account.name, symbol, closed)


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


def price_trade(
    view: View, symbol: str, side: Side, qty: Decimal, gap: float, nav: Decimal,
    record: TaxRecord | None = None,
) -> Proposal:  # fmt: skip
    """Make the proposal to trade `qty` of one name, with benefit, costs and tax.

    `gap` is target less expected weight before the trade. No wash-sale verdict is in it yet. For many names
    make one `record` and pass it on.
    """
    settings, instrument, price = view.account, view.instruments[symbol], view.prices[symbol]
    notional = qty * price
    parts = charges(view, symbol, side, qty, price)
    closed = closed_by(view, symbol, side, qty, record)
    due = tax(settings.costs, closed, price + side.sign * parts.commission / qty, view.trade_date)
    after = gap - side.sign * float(notional / nav)
    return Proposal(
        symbol=symbol,
        side=side,
        qty=qty,
        price=price,
        benefit=benefit(settings.decision, float(instrument.volatility), gap, after, float(nav)),
        commission=float(parts.commission),
        half_spread=parts.half_spread,
        tax=due,
        impact=parts.impact,
        conversion=float(parts.conversion),
    )
