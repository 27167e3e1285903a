"""Sizing: weight gaps become whole-lot quantities that the cash can pay for.

Rules of this room:
1. The kernels (`nearest_lots`, `afford`) take arrays and give whole lots; they know no symbol.
2. Without a shortage of cash every name gets the nearest whole lot. Exactly half a lot rounds down.
3. With a shortage every buy is first cut in the same proportion and rounded down; what is left buys
   whole lots where most money is missing, then the last lots by largest remainder.
4. No buy ends above what was wanted, no sale above what is held, no basket above its cash.
5. This is the only place where floats become Decimals: lots times `lot_size`, which is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gateway.decision.costs import BPS, cash_needed, charges, dearest_per_share, worst_price
from gateway.decision.drift import ZERO, Floats, Survey
from gateway.decision.view import View
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal

Lots = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]
ONE = Decimal(1)
UNLIMITED = 2**53
"""More lots than any order has, and still exact as a float."""
ALMOST = 1e-9
"""A count of lots this close to a whole one is whole."""
NOISE = 1e-12
"""How much a sum of floats may be off, as a share of it; a budget is met this closely, then exactly."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Hold what one lot of each name costs; one entry per name, money in the account's currency.

    `unit` is the value of a lot at the reference price, `worst` what a buy may pay for it, all but its
    commission included, `rate` that commission, `minimum` the least of an order, `fixed` what every order
    pays on top, the least of changing money among it. Orders below `least` lots are not placed. What a cap
    on commissions saves is not counted.
    """

    unit: Floats
    worst: Floats
    rate: Floats
    minimum: float
    least: Lots
    fixed: Floats

    def take(self, at: Index) -> Grid:
        """Return the grid of the names `at` alone."""
        return Grid(
            self.unit[at], self.worst[at], self.rate[at], self.minimum, self.least[at], self.fixed[at]
        )

    def cost(self, lots: Lots) -> Floats:
        """Return the cash that buying `lots` takes, name by name."""
        charged = self.fixed + np.maximum(self.minimum, lots * self.rate)
        taken: Floats = np.where(lots > 0, lots * self.worst + charged, 0.0)
        return taken

    def step(self, lots: Lots) -> Lots:
        """Return the fewest lots that may be added to `lots`."""
        fewest: Lots = np.maximum(1, self.least - lots)
        return fewest

    def increase(self, lots: Lots, more: Lots, at: Index) -> Floats:
        """Return the cash that `more` takes on top of `lots`, for the names `at`."""
        part, now = self.take(at), lots[at]
        taken: Floats = part.cost(now + more[at]) - part.cost(now)
        return taken


def nearest_lots(gap: Floats, grid: Grid, sellable: Lots) -> Lots:
    """Round money gaps to the nearest whole lots, signed; never below minus `sellable`.

    An error of half a lot either way is the same, so half a lot rounds towards no trade.
    """
    wanted = np.abs(gap) / grid.unit
    lots = np.floor(wanted)
    lots += wanted - lots > 0.5 + ALMOST
    lots = np.minimum(lots, np.where(gap < 0, sellable, UNLIMITED))
    lots[lots < grid.least] = 0
    signed: Lots = np.copysign(lots, gap).astype(np.int64)
    return signed


def afford(wanted: Floats, most: Lots, grid: Grid, budget: float) -> Lots:
    """Choose whole lots to buy, at most `most`, whose total cost does not exceed `budget`.

    `wanted` is the exact number of lots that would close each gap; `most` is `wanted` rounded down,
    or up where that is nearer. Without commissions and minimum orders the summed absolute gap left
    is at most one lot of one name above the best any choice could do: whole lots all save their own
    price, the last ones are taken by what they save per unit of money (a knapsack's greedy order).
    """
    if grid.cost(most).sum() <= budget:
        return most
    if budget <= 0:
        return np.zeros_like(most)
    fixed = float((grid.minimum + grid.fixed)[most > 0].sum())
    share = min(1.0, max(0.0, (budget - fixed) / float((grid.worst + grid.rate) @ wanted)))
    lots = np.minimum(np.floor(share * wanted).astype(np.int64), most)
    lots[lots < grid.least] = 0
    left = budget - float(grid.cost(lots).sum())
    whole = np.minimum(np.floor(wanted + ALMOST).astype(np.int64), most)
    by_money = np.argsort(-(wanted - lots) * grid.unit, kind="stable")
    step = grid.step(lots)
    left = _buy(lots, np.where(lots + step <= whole, step, 0), by_money, grid, left)
    left = _buy(lots, np.where(whole >= grid.least, whole - lots, 0), by_money, grid, left)
    by_remainder = np.argsort(whole - wanted, kind="stable")
    is_last = (lots == whole) & (most > whole) & (most >= grid.least)
    _buy(lots, np.where(is_last, 1, 0), by_remainder, grid, left)
    return lots


def _buy(lots: Lots, more: Lots, order: Index, grid: Grid, left: float) -> float:
    """Add `more` to `lots`, in `order`, while the money lasts; return what is left of it.

    The first name that does not fit gets the part that does; names behind it may still fit.
    """
    order = order[more[order] > 0]
    while order.size:
        total = np.cumsum(grid.increase(lots, more, order))
        fits = int(np.searchsorted(total, left, side="right"))
        lots[order[:fits]] += more[order[:fits]]
        left -= float(total[fits - 1]) if fits else 0.0
        first, order = order[fits : fits + 1], order[fits + 1 :]
        free = left - (grid.minimum + grid.fixed[first]) * (lots[first] == 0)
        part = np.minimum(np.maximum(free, 0.0) // (grid.worst[first] + grid.rate[first]), more[first])
        part = np.where(lots[first] + part >= grid.least[first], part, 0.0).astype(np.int64)
        grown = lots.copy()
        grown[first] += part
        left -= float(grid.increase(lots, grown - lots, first).sum())
        lots[first] += part
        order = order[grid.increase(lots, grid.step(lots), order) <= left]
    return left


def grid_of(view: View, names: Sequence[tuple[str, Decimal]]) -> Grid:
    """Gather what one lot of each (symbol, reference price) costs."""
    costs = view.account.costs
    kinds = [view.instruments[symbol] for symbol, _ in names]
    size = np.array([float(kind.lot_size) for kind in kinds])
    unit = np.array([float(price) for _, price in names]) * size
    worst = size * np.array([float(worst_price(view, symbol, Side.BUY, price)) for symbol, price in names])
    floor = np.array([float(kind.min_notional * view.rates.get(kind.currency, ONE)) for kind in kinds])
    changed = np.array([kind.currency != view.account.currency for kind in kinds], dtype=float)
    return Grid(
        unit=unit,
        worst=worst * (1 + changed * float(costs.fx_bps / BPS)) + float(costs.clearing_per_share) * size,
        rate=float(dearest_per_share(costs)) * size + float(costs.commission_bps / BPS) * worst,
        minimum=float(max(ZERO, costs.commission_minimum - costs.commission_per_order)),
        least=np.maximum(1, np.ceil(floor / unit - ALMOST)).astype(np.int64),
        fixed=float(costs.commission_per_order) + changed * float(costs.fx_minimum),
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """Hold the trades that would close the gaps: `lots` are signed, `wanted` is unrounded and positive."""

    symbols: tuple[str, ...]
    grid: Grid
    wanted: Floats
    lots: Lots


def wish(view: View, found: Survey, fraction: float) -> Wish:
    """Turn `fraction` of each gap into whole lots, as `wish_of` does."""
    return wish_of(view, found, found.gap * fraction)


def wish_of(view: View, found: Survey, trade: Floats) -> Wish:
    """Turn weights to trade into whole lots, net of open orders, before any look at cash.

    Names without a price are left out. A sale is at most what is held less what open orders may
    sell; with short sales on, a name that is not held may be sold without that bound, but a
    holding is never sold through zero in one request.
    """
    at = np.flatnonzero(~np.isnan(found.price))
    symbols = tuple(found.symbols[index] for index in at)
    grid = grid_of(view, [(symbol, view.prices[symbol]) for symbol in symbols])
    gap = trade[at] * float(found.nav)
    sellable = _sellable(view, symbols)
    return Wish(symbols, grid, np.abs(gap) / grid.unit, nearest_lots(gap, grid, sellable))


def _sellable(view: View, symbols: Sequence[str]) -> Lots:
    """Return how many whole lots of each symbol may be sold now."""
    free = dict(view.book.accounts[view.account.name].positions)
    for order in view.open_orders:
        if order.account == view.account.name and order.side is not Side.BUY:
            free[order.symbol] = free.get(order.symbol, ZERO) - order.leaves_qty
    unheld = UNLIMITED if view.account.limits.allow_short else 0
    return np.array(
        [
            int(qty / view.instruments[symbol].lot_size) if (qty := free.get(symbol, ZERO)) > 0 else unheld
            for symbol in symbols
        ],
        dtype=np.int64,
    )


def affordable(
    view: View, buys: Sequence[Proposal], wanted: Floats, grid: Grid, cash: Decimal
) -> list[Decimal]:
    """Choose quantities for `buys`, at most their own, whose exact cost at worst prices is within `cash`.

    Floats choose; the total is then proved in Decimals. Where it is over by the noise of floats, they
    choose again from a little less.
    """
    sizes = [view.instruments[item.symbol].lot_size for item in buys]
    most = np.array([int(item.qty / size) for item, size in zip(buys, sizes, strict=True)], dtype=np.int64)

    def choose(budget: float) -> list[Decimal]:
        lots = afford(wanted, most, grid, budget).tolist()
        return [count * size for count, size in zip(lots, sizes, strict=True)]

    chosen = choose(float(cash) * (1 + NOISE))
    cuts = [replace(item, qty=qty) for item, qty in zip(buys, chosen, strict=True) if qty]
    if sum((cash_needed(view, item) for item in cuts), ZERO) > cash:
        return choose(float(cash) * (1 - 100 * NOISE))
    return chosen


def fit_to_cash(proposals: Sequence[Proposal], cash: Decimal, view: View) -> list[Proposal]:
    """Cut or drop buys until their total cost at worst prices, commissions included, is within `cash`.

    Sales pass unchanged. No buy grows; a buy that is cut keeps its price and its share of the
    benefit, which is a lower bound: the first units of a trade are worth more than the last.
    """
    buys = [item for item in proposals if item.side is Side.BUY]
    grid = grid_of(view, [(item.symbol, item.price) for item in buys])
    wanted = np.array([float(item.qty / view.instruments[item.symbol].lot_size) for item in buys])
    chosen = affordable(view, buys, wanted, grid, cash)
    kept = {item.symbol: cut(item, qty, view) for item, qty in zip(buys, chosen, strict=True) if qty}
    return [
        kept.get(item.symbol, item) for item in proposals if item.side is not Side.BUY or item.symbol in kept
    ]


def cut(item: Proposal, qty: Decimal, view: View) -> Proposal:
    """Return a proposal for less, with its own charges and its share of the benefit."""
    if qty == item.qty:
        return item
    parts = charges(view, item.symbol, item.side, qty, item.price)
    return replace(
        item,
        qty=qty,
        benefit=item.benefit * float(qty / item.qty),
        commission=float(parts.commission),
        half_spread=parts.half_spread,
        impact=parts.impact,
        conversion=float(parts.conversion),
    )
