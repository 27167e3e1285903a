"""A year's capital gains: netting by term, the ordinary-income limit, and what is carried forward.

Rules of this room:
1. One taxpayer is a return: a joint household, each owner when filing apart; a corporation is its own and
   takes no loss against income (IRC 1211(a)).
2. A loss carried forward keeps its term (IRC 1212(b)); what is deducted counts as short-term gain first.
   Enough other income to deduct from is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gateway.domain.lots import TaxRates
from gateway.domain.tax.lots import Line
from gateway.domain.tax.rules import ZERO, AccountKind, Holder

HOUSEHOLD = "household"


class Filing(StrEnum):
    """Name how a household files; married people filing apart have half the limit (IRC 1211(b))."""

    JOINT = "joint"
    SINGLE = "single"
    SEPARATE = "separate"

    @property
    def limit(self) -> Decimal:
        """Return how much net loss a year's income may be lowered by."""
        return Decimal(1500) if self is Filing.SEPARATE else Decimal(3000)


@dataclass(frozen=True, slots=True)
class Carried:
    """Hold losses carried forward by term, as positive amounts."""

    short_term: Decimal = ZERO
    long_term: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Year:
    """Sum up one taxpayer's year. `short_term` and `long_term` are net gains of the year's own sales.

    `net` is after `carried_in`; `deducted` lowers other income; `tax` is at the rates given, negative
    for what the deduction saves. `disallowed`, `permanent` and `economic` explain the year's sales.
    """

    taxpayer: str
    year: int
    short_term: Decimal
    long_term: Decimal
    disallowed: Decimal
    permanent: Decimal
    economic: Decimal
    carried_in: Carried
    net: Decimal
    deducted: Decimal
    carried_out: Carried
    tax: Decimal


def years(
    lines: Iterable[Line],
    holders: Mapping[str, Holder],
    filing: Filing = Filing.JOINT,
    carried: Mapping[str, Carried] | None = None,
    rates: TaxRates | None = None,
) -> list[Year]:
    """Sum up every taxpayer's years in order, those without a sale between two others, too.

    `carried` is what comes from before the first year, by taxpayer.
    """
    by_year: dict[tuple[str, int], list[Line]] = {}
    limits: dict[str, Decimal] = {}
    for line in lines:
        if line.is_taxed:
            holder = holders[line.account]
            name = taxpayer(holder, filing)
            limits[name] = ZERO if holder.kind is AccountKind.CORPORATION else filing.limit
            by_year.setdefault((name, line.on.year), []).append(line)
    found = []
    for name in sorted(limits):
        own = [year for one, year in by_year if one == name]
        left = (carried or {}).get(name, Carried())
        for year in range(min(own), max(own) + 1):
            summed = _year(name, year, by_year.get((name, year), []), left, limits[name], rates or TaxRates())
            left = summed.carried_out
            found.append(summed)
    return found


def taxpayer(holder: Holder, filing: Filing) -> str:
    """Name the return an account's gains stand in."""
    if holder.kind is AccountKind.CORPORATION:
        return holder.owner if holder.owner != "self" else holder.name
    return holder.owner if filing is Filing.SEPARATE else HOUSEHOLD


def _year(name: str, year: int, lines: list[Line], carried: Carried, limit: Decimal, rates: TaxRates) -> Year:
    short = sum((line.allowed for line in lines if not line.is_long), ZERO)
    long = sum((line.allowed for line in lines if line.is_long), ZERO)
    net_short, net_long = short - carried.short_term, long - carried.long_term
    net = net_short + net_long
    deducted = min(limit, max(ZERO, -net))
    return Year(
        name, year, short, long,
        sum((line.disallowed for line in lines), ZERO),
        sum((line.permanent for line in lines), ZERO),
        sum((line.economic for line in lines), ZERO),
        carried, net, deducted, carry(net_short, net_long, deducted),
        tax(net_short, net_long, deducted, rates),
    )  # fmt: skip


def carry(net_short: Decimal, net_long: Decimal, deducted: Decimal) -> Carried:
    """Return what goes into the next year: the deduction is taken as short-term gain (IRC 1212(b)(2))."""
    short = net_short + deducted
    return Carried(
        max(ZERO, -short - max(ZERO, net_long)),
        max(ZERO, -net_long - max(ZERO, short)),
    )


def tax(net_short: Decimal, net_long: Decimal, deducted: Decimal, rates: TaxRates) -> Decimal:
    """Return the tax on a year's net gains, each term at its rate after one has offset the other.

    A deduction saves at the short-term rate, which is that of ordinary income.
    """
    if net_short + net_long <= 0:
        return -deducted * rates.short_term
    short = max(ZERO, net_short + min(ZERO, net_long))
    long = max(ZERO, net_long + min(ZERO, net_short))
    return short * rates.short_term + long * rates.long_term
