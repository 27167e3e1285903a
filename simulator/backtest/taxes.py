"""Taxes of a backtest: a household's lots as the law sees them, its dividends, and what every return owes.

Rules of this room:
1. Tax is worked out by the product's own ledger (`gateway/domain/tax`), wash sales of the whole household
   included: what an IRA buys can take a taxable account's loss for good.
2. A dividend is taxed in the year it is paid, at one rate, in taxed accounts alone; losses do not offset it
   beyond what the law lets off other income.
3. What a return owes is shared by its accounts by what each alone would owe: who gained pays, and who lost
   is given what that saves. The shares add up to what is owed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from gateway.domain.lots import TaxRates, is_long_term
from gateway.domain.order import Side
from gateway.domain.settings import Settings
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.lots import Line, TaxLot
from gateway.domain.tax.play import take
from gateway.domain.tax.record import Deed, Split, Trade
from gateway.domain.tax.rules import AccountKind, Holder, Rules, Security
from gateway.domain.tax.year import Carried, Filing, Year, taxpayer, years
from gateway.events import LotOpened
from simulator.backtest.runner import Paid
from simulator.backtest.tape import Traded

ZERO = Decimal(0)
DEEDS = {Side.BUY: Deed.BUY, Side.SELL: Deed.SELL, Side.SELL_SHORT: Deed.SHORT}
Shares = dict[str, Decimal]
"""Money by account."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Hold the gains a household makes outside of what is played, every year; losses offset them first."""

    short: Decimal = ZERO
    long: Decimal = ZERO

    def line(self, year: int, account: str, *, is_long: bool) -> Line:
        """Return one year's gains of one term as a sale of that year."""
        on, gain = date(year, 12, 31), self.long if is_long else self.short
        return Line(
            on, account, "elsewhere", Decimal(1), on, on, gain, ZERO, is_long, is_taxed=True,
            lot_id="elsewhere",
        )  # fmt: skip

    def tax(self, rates: TaxRates) -> Decimal:
        """Return what these gains alone cost a year."""
        return self.short * rates.short_term + self.long * rates.long_term


@dataclass(frozen=True, slots=True)
class Return:
    """Sum up one taxpayer's year; gains and losses are those of `gateway.domain.tax.year.Year`.

    `permanent` is the part of `disallowed` that comes back nowhere; `tax` has that on dividends in it.
    """

    taxpayer: str
    year: int
    short_term: Decimal
    long_term: Decimal
    dividends: Decimal
    disallowed: Decimal
    permanent: Decimal
    carried_out: Carried
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Washed:
    """Say that a loss of one account was disallowed for shares that another, or the same, bought."""

    on: date
    account: str
    symbol: str
    bought_in: str
    qty: Decimal
    amount: Decimal
    is_permanent: bool


class Taxes:
    """Follow a household's lots as the law sees them, and what it owes.

    `holders` say who owns which account and what kind it is; without them the settings' accounts are one
    person's, an IRA where they are not taxable. `dividend_rate` is the long-term rate where it is None.
    """

    def __init__(
        self, settings: Settings, rules: Rules | None = None, elsewhere: Elsewhere | None = None,
        filing: Filing = Filing.JOINT, holders: Mapping[str, Holder] | None = None,
        dividend_rate: Decimal | None = None,
    ) -> None:  # fmt: skip
        accounts = settings.accounts
        first = next((one for one in accounts.values() if one.taxable), next(iter(accounts.values())))
        self.rates = TaxRates(first.costs.short_term_rate, first.costs.long_term_rate)
        self.dividend_rate = self.rates.long_term if dividend_rate is None else dividend_rate
        kinds = {True: AccountKind.TAXABLE, False: AccountKind.IRA}
        known = holders or {
            name: Holder(name, kinds[one.taxable], method=one.lot_method) for name, one in accounts.items()
        }
        securities = {
            symbol: Security(symbol, identical=one.identical_group)
            for symbol, one in settings.instruments.items()
        }
        self.ledger = Ledger(rules or Rules(rates=self.rates), known, securities)
        self.elsewhere = elsewhere or Elsewhere()
        self.filing = filing
        self.paid: dict[tuple[str, int], Decimal] = {}
        self.dividends: dict[tuple[str, int], Decimal] = {}
        self.settled: set[int] = set()
        self._first = first.name
        self._through = 0
        self._payers: dict[str, str] = {}
        for name, holder in known.items():
            if holder.kind.is_taxed:
                self._payers.setdefault(taxpayer(holder, filing), name)

    def open(self, account: str, lot: LotOpened) -> None:
        """Take over one lot of an opening book."""
        deed = Deed.BUY if lot.qty > 0 else Deed.SHORT
        on = date.fromisoformat(lot.acquired)
        take(self.ledger, Trade(on, account, deed, lot.symbol, abs(lot.qty), abs(lot.cost)))

    def trade(self, one: Traded, on: date) -> None:
        """Take one trade; what buys while short of a name covers first."""
        deed = Deed.REINVEST if one.is_reinvested else DEEDS[one.side]
        amount = one.qty * one.px
        take(
            self.ledger,
            Trade(on, one.account, deed, one.symbol, one.qty, amount, one.commission, one.cl_ord_id),
        )

    def split(self, symbol: str, ratio: Decimal, on: date, account: str) -> None:
        """Count a symbol in new units."""
        take(self.ledger, Split(on, symbol, ratio, account=account))

    def dividend(self, one: Paid) -> None:
        """Take one dividend; what a short seller owes is no income and not deducted."""
        if one.amount > 0 and self.ledger.holder(one.account).kind.is_taxed:
            key = (one.account, one.on.year)
            self.dividends[key] = self.dividends.get(key, ZERO) + one.amount

    def years(self, more: Sequence[Line] = ()) -> list[Year]:
        """Sum up every year with a sale and those that are over since the first, as if `more` had been sold.

        A year without a sale still uses up what was carried into it.
        """
        lines = [line for line in (*self.ledger.lines, *more) if line.is_taxed]
        if lines:
            first, last = min(line.on.year for line in lines), max(line.on.year for line in lines)
            lines += [
                self.elsewhere.line(year, self._first, is_long=is_long)
                for year in range(first, max(last, self._through) + 1)
                for is_long in (False, True)
            ]
        return years(lines, self.ledger.holders, self.filing, {}, self.rates)

    def returns(self) -> list[Return]:
        """Return every taxpayer's years with a sale or a dividend, dividends and their tax in them."""
        sums = {(one.taxpayer, one.year): one for one in self.years()}
        paid = self._paid_dividends()
        found = []
        for name, year in sorted(sums.keys() | paid.keys()):
            one = sums.get((name, year)) or _nothing_sold(name, year)
            got = paid.get((name, year), ZERO)
            found.append(
                Return(
                    name, year, one.short_term, one.long_term, got, one.disallowed, one.permanent,
                    one.carried_out, one.tax + got * self.dividend_rate,
                )
            )  # fmt: skip
        return found

    def washed(self) -> list[Washed]:
        """Return every loss that a purchase of the household put off or took for good, in order."""
        return [
            Washed(
                line.on, line.account, line.symbol, one.account, one.qty, one.amount,
                one.is_permanent,
            )
            for line in self.ledger.lines
            for one in line.matches
        ]  # fmt: skip

    def owed(self, more: Sequence[Line] = ()) -> dict[tuple[str, int], Decimal]:
        """Return what each return owes, by taxpayer and year, as if `more` had been sold, too."""
        found: dict[tuple[str, int], Decimal] = {}
        outside = taxpayer(self.ledger.holder(self._first), self.filing)
        without = self.elsewhere.tax(self.rates)
        for one in self.years(more):
            found[one.taxpayer, one.year] = one.tax - (without if one.taxpayer == outside else ZERO)
        for key, got in self._paid_dividends().items():
            found[key] = found.get(key, ZERO) + got * self.dividend_rate
        return found

    def due(self, year: int) -> Shares:
        """Return what each account still owes for a year that is over; negative for what it saves."""
        self._through = year
        self.settled.add(year)
        owed = self.owed()
        found: Shares = {}
        for name, payer in self._payers.items():
            bill = owed.get((name, year), ZERO)
            left = bill - self.paid.get((name, year), ZERO)
            self.paid[name, year] = bill
            for account, share in shared(left, self._alone(name, {year}), payer).items():
                found[account] = found.get(account, ZERO) + share
        return found

    def after_sale(self, prices: Mapping[str, Decimal], on: date) -> Shares:
        """Return what each account would still owe if everything were sold at these prices."""
        lines = [
            _sold(lot, prices[lot.security.symbol], on, account)
            for account, lot in self._open()
            if lot.security.symbol in prices
        ]
        return self._unpaid(lines)

    def unpaid(self) -> Shares:
        """Return what each account owes for what was sold; negative for what is still to be saved."""
        return self._unpaid(())

    def carried_into(self, year: int, account: str = "") -> Decimal:
        """Return the losses an account's taxpayer carries into a year from those before it."""
        name = taxpayer(self.ledger.holder(account or self._first), self.filing)
        before = [one for one in self.years() if one.year < year and one.taxpayer == name]
        return before[-1].carried_out.short_term + before[-1].carried_out.long_term if before else ZERO

    def filed_with(self, account: str) -> list[str]:
        """Return the taxed accounts whose gains stand in the same return as those of an account."""
        holders = self.ledger.holders
        name = taxpayer(holders[account], self.filing)
        return [
            one
            for one, holder in holders.items()
            if holder.kind.is_taxed and taxpayer(holder, self.filing) == name
        ]

    # The inside.

    def _paid_dividends(self) -> dict[tuple[str, int], Decimal]:
        found: dict[tuple[str, int], Decimal] = {}
        for (account, year), amount in self.dividends.items():
            key = (taxpayer(self.ledger.holder(account), self.filing), year)
            found[key] = found.get(key, ZERO) + amount
        return found

    def _unpaid(self, lines: Sequence[Line]) -> Shares:
        owed = self.owed(lines)
        found: Shares = {}
        for name, payer in self._payers.items():
            mine = {year: bill for (whose, year), bill in owed.items() if whose == name}
            paid = {year: bill for (whose, year), bill in self.paid.items() if whose == name}
            left = sum(mine.values(), ZERO) - sum(paid.values(), ZERO)
            alone = self._alone(name, mine.keys() - paid.keys(), lines)
            for account, share in shared(left, alone, payer).items():
                found[account] = found.get(account, ZERO) + share
        return found

    def _alone(self, name: str, of: Collection[int], more: Iterable[Line] = ()) -> Shares:
        """Return what each account of a taxpayer alone would owe for some years, losses negative."""
        found: Shares = {}
        for line in (*self.ledger.lines, *more):
            if line.on.year in of and line.is_taxed:
                amount = line.allowed * self.rates.of(is_long=line.is_long)
                found[line.account] = found.get(line.account, ZERO) + amount
        for (account, year), got in self.dividends.items():
            if year in of:
                found[account] = found.get(account, ZERO) + got * self.dividend_rate
        holder = self.ledger.holder
        return {one: sum_ for one, sum_ in found.items() if taxpayer(holder(one), self.filing) == name}

    def _open(self) -> list[tuple[str, TaxLot]]:
        return [
            (account, lot)
            for (account, _, _), holding in self.ledger.holdings.items()
            if self.ledger.holder(account).kind.is_taxed
            for lot in holding.lots
        ]


def shared(due: Decimal, alone: Mapping[str, Decimal], payer: str) -> Shares:
    """Share what is due by what each account alone would owe, of the same sign; `payer` takes the rest."""
    sign = -1 if due < 0 else 1
    weights = {account: max(ZERO, sign * amount) for account, amount in alone.items()}
    total = sum(weights.values(), ZERO)
    if not due or not total:
        return {payer: due}
    found = {account: due * weight / total for account, weight in weights.items() if weight}
    last = next(reversed(found))
    found[last] += due - sum(found.values(), ZERO)
    return found


def _nothing_sold(name: str, year: int) -> Year:
    """Return a year of dividends alone."""
    return Year(name, year, ZERO, ZERO, ZERO, ZERO, ZERO, Carried(), ZERO, ZERO, Carried(), ZERO)


def _sold(lot: TaxLot, px: Decimal, on: date, account: str) -> Line:
    """Return what closing a lot at a price would be."""
    value = lot.qty * px
    proceeds, basis = (lot.basis, value) if lot.is_short else (value, lot.basis)
    is_long = not lot.is_short and is_long_term(lot.since, on)
    return Line(
        on, account, lot.security.symbol, lot.qty, lot.since, lot.acquired, proceeds, basis, is_long,
        is_taxed=True, lot_id=lot.lot_id,
    )  # fmt: skip
