"""Tax lots: what was bought when, for how much, and what a sale realises.

Rules of this room:
1. Quantities and money are exact Decimals; a lot's `cost` is the total for its `qty`, commissions
   included. A partial relief takes cost in proportion, the last share takes what is left.
2. A short position is a lot with negative quantity and negative cost (the proceeds received).
3. Dates are trade dates in the market's own time zone, not settlement dates.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum


class LotMethod(StrEnum):
    """Name the order in which lots are relieved."""

    FIFO = "fifo"
    LIFO = "lifo"
    HIFO = "hifo"
    MIN_TAX = "min_tax"


@dataclass(frozen=True, slots=True)
class TaxRates:
    """Hold what a gain is taxed at, as fractions: held for a year or less, and longer (IRC 1(h))."""

    short_term: Decimal = Decimal("0.37")
    long_term: Decimal = Decimal("0.20")

    def of(self, *, is_long: bool) -> Decimal:
        """Return the rate of a term."""
        return self.long_term if is_long else self.short_term


USUAL_RATES = TaxRates()


@dataclass(frozen=True, slots=True)
class Sale:
    """Say when and at what price per unit lots are closed: what `MIN_TAX` needs to know."""

    on: date
    price: Decimal
    rates: TaxRates = USUAL_RATES


@dataclass(slots=True)
class Lot:
    """Hold one purchase (or short sale) that is still open; `order_id` is the order that opened it."""

    lot_id: str
    symbol: str
    acquired: date
    qty: Decimal
    cost: Decimal
    order_id: str = ""

    @property
    def unit_cost(self) -> Decimal:
        """Return the cost of one unit, commissions included."""
        return self.cost / self.qty


@dataclass(frozen=True, slots=True)
class Relief:
    """Say how much of which lot a sale takes, and at what cost."""

    lot_id: str
    acquired: date
    qty: Decimal
    cost: Decimal
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class RealisedGain:
    """Record one closed piece of a lot: proceeds and cost are totals for `qty`, net of commissions.

    `fill_id` names the fill that closed it (`Fill.fill_id`), `opened_by` and `closed_by` the orders.
    """

    account: str
    symbol: str
    lot_id: str
    qty: Decimal
    acquired: date
    sold: date
    proceeds: Decimal
    cost: Decimal
    fill_id: str = ""
    is_short: bool = False
    opened_by: str = ""
    closed_by: str = ""

    @property
    def gain(self) -> Decimal:
        """Return proceeds less cost."""
        return self.proceeds - self.cost

    @property
    def is_long_term(self) -> bool:
        """Say whether it was held for more than one year (IRC 1222); a short sale never is (1233)."""
        return not self.is_short and is_long_term(self.acquired, self.sold)


def is_long_term(acquired: date, sold: date) -> bool:
    """Say whether a holding is long-term: sold on or after the anniversary of the day after acquisition.

    Source: IRC 1222 and 1223; bought on 28 Feb 2023, a sale is long-term from 1 Mar 2024.
    """
    return sold >= long_term_from(acquired)


def long_term_from(acquired: date) -> date:
    """Return the first day on which a sale of what was acquired then is long-term (IRC 1222)."""
    first_day = acquired + timedelta(days=1)
    try:
        return first_day.replace(year=first_day.year + 1)
    except ValueError:  # 29 February has no anniversary in a common year
        return date(first_day.year + 1, 3, 1)


def ordered(lots: list[Lot], method: LotMethod, sale: Sale | None = None) -> list[Lot]:
    """Return `lots` in the order in which `method` relieves them; ties fall to the older lot.

    MIN_TAX takes the lot whose unit is taxed least first, a loss counting as negative tax at the rate of its
    term; it needs to be told the `sale` and is HIFO otherwise, as it is when all lots have one term.
    """
    by_age = sorted(lots, key=lambda lot: (lot.acquired, lot.lot_id))
    if method is LotMethod.FIFO:
        return by_age
    if method is LotMethod.LIFO:
        return by_age[::-1]
    if method is LotMethod.HIFO or sale is None:
        return sorted(by_age, key=lambda lot: -lot.unit_cost)
    return sorted(by_age, key=lambda lot: _unit_tax(lot, sale))


def _unit_tax(lot: Lot, sale: Sale) -> Decimal:
    is_held = lot.qty > 0
    gain = sale.price - lot.unit_cost if is_held else lot.unit_cost - sale.price
    return gain * sale.rates.of(is_long=is_held and is_long_term(lot.acquired, sale.on))


def relieve(lots: list[Lot], qty: Decimal, method: LotMethod, sale: Sale | None = None) -> list[Relief]:
    """Choose lots for `qty` (positive) units; what the lots cannot cover is not in the answer.

    The signs of the answer's quantities and costs are the lots' own.
    """
    taken: list[Relief] = []
    wanted = qty
    for lot in ordered(lots, method, sale):
        if wanted <= 0:
            break
        size = min(wanted, abs(lot.qty))
        whole = size == abs(lot.qty)
        piece = lot.qty if whole else size.copy_sign(lot.qty)
        cost = lot.cost if whole else lot.cost * size / abs(lot.qty)
        taken.append(Relief(lot.lot_id, lot.acquired, piece, cost, lot.order_id))
        wanted -= size
    return taken
