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
from decimal import ROUND_CEILING, Decimal

import numpy as np
import numpy.typing as npt

from gateway.decision.costs import BPS, cash_needed, commission, half_spread, worst_price
from gateway.decision.drift import ZERO, Floats, Survey, open_qty
from gateway.decision.view import View
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal

Lots = npt.NDArray[np.int64]
UNLIMITED = 2**53
"""More lots than any order has, and still exact as a float."""
ALMOST = 1e-9
"""A count of lots this close to a whole one is whole."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Hold what one lot of each name costs; one entry per name, money in the account's currency.

    `unit` is the value of a lot at the reference price, `worst` what a buy may pay for it, `rate` its
    commission, `minimum` the least commission of an order. Orders below `least` lots are not placed.
    """

    unit: Floats
    worst: Floats
    rate: Floats
    minimum: float
    least: Lots

    def cost(self, lots: Lots, at: npt.NDArray[np.intp] | slice = slice(None)) -> Floats:
        """Return the cash that buying `lots` takes, name by name, for the names `at`."""
        charged = np.maximum(self.minimum, lots * self.rate[at])
        taken: Floats = np.where(lots > 0, lots * self.worst[at] + charged, 0.0)
        return taken


def nearest_lots(gap: Floats, grid: Grid, sellable: Lots) -> Lots:
    """Round money gaps to the nearest whole lots, signed; never below minus `sellable`.

    An error of half a lot either way is the same, so half a lot rounds towards no trade.
    """
    wanted = np.abs(gap) / grid.unit
    lots = np.floor(wanted)
    lots += wanted - lots > 0.5 + ALMOST  # noqa: PLR2004
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
    fixed = grid.minimum * np.count_nonzero(most)
    share = max(0.0, (budget - fixed) / float((grid.worst + grid.rate) @ wanted))
    lots = np.minimum(np.floor(share * wanted).astype(np.int64), most)
    lots[lots < grid.least] = 0
    left = budget - float(grid.cost(lots).sum())
    whole = np.minimum(np.floor(wanted + ALMOST).astype(np.int64), most)
    by_money = np.argsort(-(wanted - lots) * grid.unit, kind="stable")
    step = np.maximum(1, grid.least - lots)
    left = _buy(lots, np.where(lots + step <= whole, step, 0), by_money, grid, left)
    left = _buy(lots, np.where(whole >= grid.least, whole - lots, 0), by_money, grid, left)
    by_remainder = np.argsort(whole - wanted, kind="stable")
    is_last = (lots == whole) & (most > whole) & (most >= grid.least)
    _buy(lots, np.where(is_last, 1, 0), by_remainder, grid, left)
    return lots


def _buy(lots: Lots, more: Lots, order: npt.NDArray[np.intp], grid: Grid, left: float) -> float:
    """Add `more` to `lots`, in `order`, while the money lasts; return what is left of it.

    The first name that does not fit gets the part that does; names behind it may still fit.
    """
    order = order[more[order] > 0]
    while order.size:
        now = lots[order]
        total = np.cumsum(grid.cost(now + more[order], order) - grid.cost(now, order))
        fits = int(np.searchsorted(total, left, side="right"))
        lots[order[:fits]] += more[order[:fits]]
        left -= float(total[fits - 1]) if fits else 0.0
        if fits == order.size:
            break
        first, order = order[fits], order[fits + 1 :]
        free = left - (0.0 if lots[first] else grid.minimum)
        part = int(max(0.0, free) / (grid.worst[first] + grid.rate[first]))
        if part and lots[first] + part >= grid.least[first]:
            at = order[:0] + first if order.size else np.array([first])
            left -= float((grid.cost(lots[at] + part, at) - grid.cost(lots[at], at)).sum())
            lots[first] += part
        order = order[grid.worst[order] <= left]
    return left


def grid_of(view: View, symbols: Sequence[str]) -> Grid:
    """Gather what one lot of each symbol costs; every symbol needs a price."""
    costs = view.account.costs
    names = [view.instruments[symbol] for symbol in symbols]
    size = np.array([float(name.lot_size) for name in names])
    unit = np.array([float(view.prices[symbol]) for symbol in symbols]) * size
    worst = [worst_price(view, symbol, Side.BUY, view.prices[symbol]) for symbol in symbols]
    return _grid(costs_of_lot(view, size, np.array([float(price) for price in worst])), unit, names_least(view, symbols), float(costs.commission_minimum))
