"""What a run came to: wealth, drift, turnover, cost and tax, day by day, and what is left after tax.

Rules of this room:
1. Wealth before tax is cash and positions at the close. Taxes are paid out of the account: what a year owes
   leaves it in the next, on `TAX_DAY`, as a withdrawal the engine is told of.
2. Wealth after tax is what a sale of everything on that day would leave, taxes of the year paid. A net loss
   is worth what the year's rules let it save, no more.
3. Tax is worked out by the product's own ledger (`gateway/domain/tax`), wash sales of the whole household
   included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gateway.domain.book import Account
from gateway.domain.lots import TaxRates, is_long_term
from gateway.domain.order import Side
from gateway.domain.settings import Settings
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.lots import Line, TaxLot
from gateway.domain.tax.play import take
from gateway.domain.tax.record import Deed, Split, Trade
from gateway.domain.tax.rules import AccountKind, Holder, Rules, Security
from gateway.domain.tax.year import Filing, Year, years
from gateway.events import AccountOpened, LotOpened, RequestDecided
from simulator.backtest.runner import Present, Run
from simulator.backtest.tape import Traded

ZERO = Decimal(0)
TAX_DAY = (4, 15)
"""Month and day on which last year's taxes are paid: no purchase can wash a loss of that year any more."""
DEEDS = {Side.BUY: Deed.BUY, Side.SELL: Deed.SELL, Side.SELL_SHORT: Deed.SHORT}


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


@dataclass(slots=True)
class Track:
    """Hold one account's figures, a value a day. Money is in the account's currency, weights are fractions.

    `drift` is the largest absolute gap of the decision, None on days without one; `cost` is commission,
    spread and impact of the day's trades, `turnover` their value over wealth.
    """

    wealth: list[float] = field(default_factory=list)
    cash: list[float] = field(default_factory=list)
    flow: list[float] = field(default_factory=list)
    drift: list[float | None] = field(default_factory=list)
    turnover: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    tax: list[float] = field(default_factory=list)
    lots: list[int] = field(default_factory=list)
    actions: Counter[str] = field(default_factory=Counter)
    trades: list[int] = field(default_factory=list)
    held: list[dict[str, float]] = field(default_factory=list)

    def weights_at(self, rows: Sequence[int]) -> dict[str, list[float]]:
        """Return the weight of every name ever held, on the days asked for."""
        names = sorted({symbol for n in rows for symbol in self.held[n]})
        return {symbol: [self.held[n].get(symbol, 0.0) for n in rows] for symbol in names}


class Taxes:
    """Follow a household's lots as the law sees them, and what it owes."""

    def __init__(
        self, settings: Settings, rules: Rules | None = None, elsewhere: Elsewhere | None = None,
        filing: Filing = Filing.JOINT,
    ) -> None:  # fmt: skip
        account = next(iter(settings.accounts.values()))
        self.rates = TaxRates(account.costs.short_term_rate, account.costs.long_term_rate)
        kinds = {True: AccountKind.TAXABLE, False: AccountKind.IRA}
        holders = {
            name: Holder(name, kinds[one.taxable], method=one.lot_method)
            for name, one in settings.accounts.items()
        }
        securities = {
            symbol: Security(symbol, identical=one.identical_group)
            for symbol, one in settings.instruments.items()
        }
        self.ledger = Ledger(rules or Rules(rates=self.rates), holders, securities)
        self.elsewhere = elsewhere or Elsewhere()
        self._through = 0
        self.filing = filing
        self.paid: dict[int, Decimal] = {}

    def open(self, account: str, lot: LotOpened) -> None:
        """Take over one lot of an opening book."""
        deed = Deed.BUY if lot.qty > 0 else Deed.SHORT
        on = date.fromisoformat(lot.acquired)
        take(self.ledger, Trade(on, account, deed, lot.symbol, abs(lot.qty), abs(lot.cost)))

    def trade(self, one: Traded, on: date) -> None:
        """Take one trade; what buys while short of a name covers first."""
        deed = DEEDS[one.side]
        amount = one.qty * one.px
        take(
            self.ledger,
            Trade(on, one.account, deed, one.symbol, one.qty, amount, one.commission, one.cl_ord_id),
        )

    def split(self, symbol: str, ratio: Decimal, on: date, account: str) -> None:
        """Count a symbol in new units."""
        take(self.ledger, Split(on, symbol, ratio, account=account))

    def years(self, more: Sequence[Line] = ()) -> list[Year]:
        """Sum up every year with a sale and those that are over since the first, as if `more` had been sold.

        A year without a sale still uses up what was carried into it.
        """
        lines = [line for line in (*self.ledger.lines, *more) if line.is_taxed]
        if lines:
            taxed = next(name for name, one in self.ledger.holders.items() if one.kind.is_taxed)
            first, last = min(line.on.year for line in lines), max(line.on.year for line in lines)
            lines += [
                self.elsewhere.line(year, taxed, is_long=is_long)
                for year in range(first, max(last, self._through) + 1)
                for is_long in (False, True)
            ]
        return years(lines, self.ledger.holders, self.filing, {}, self.rates)

    def owed(self, more: Sequence[Line] = ()) -> dict[int, Decimal]:
        """Return what each year's sales cost in tax, as if `more` had been sold, too."""
        found: dict[int, Decimal] = {}
        without = self.elsewhere.tax(self.rates)
        for one in self.years(more):
            found[one.year] = found.get(one.year, -without) + one.tax
        return found

    def due(self, year: int) -> Decimal:
        """Return what is still owed for a year that is over; negative for what it saves."""
        self._through = year
        owed = self.owed().get(year, ZERO)
        left = owed - self.paid.get(year, ZERO)
        self.paid[year] = owed
        return left

    def after_sale(self, prices: Mapping[str, Decimal], on: date) -> Decimal:
        """Return what would still be owed if everything were sold at these prices."""
        lines = [
            _sold(lot, prices[lot.security.symbol], on, account)
            for account, lot in self._open()
            if lot.security.symbol in prices
        ]
        return sum(self.owed(lines).values(), ZERO) - sum(self.paid.values(), ZERO)

    def carried_into(self, year: int) -> Decimal:
        """Return the losses carried into a year from those before it."""
        before = [one for one in self.years() if one.year < year]
        return before[-1].carried_out.short_term + before[-1].carried_out.long_term if before else ZERO

    def _open(self) -> list[tuple[str, TaxLot]]:
        return [
            (account, lot)
            for (account, _, _), holding in self.ledger.holdings.items()
            if self.ledger.holder(account).kind.is_taxed
            for lot in holding.lots
        ]


def _sold(lot: TaxLot, px: Decimal, on: date, account: str) -> Line:
    """Return what closing a lot at a price would be."""
    value = lot.qty * px
    proceeds, basis = (lot.basis, value) if lot.is_short else (value, lot.basis)
    is_long = not lot.is_short and is_long_term(lot.since, on)
    return Line(
        on, account, lot.security.symbol, lot.qty, lot.since, lot.acquired, proceeds, basis, is_long,
        is_taxed=True, lot_id=lot.lot_id,
    )  # fmt: skip


class Measure:
    """Follow a run to its end: one `Track` per account and the household's taxes."""

    def __init__(
        self, run: Run, *, pays_taxes: bool = True, rules: Rules | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:  # fmt: skip
        self.run = run
        self.taxes = Taxes(run.settings, rules, elsewhere)
        self.tracks = {name: Track() for name in run.settings.accounts}
        self.days: list[date] = []
        self.pays_taxes = pays_taxes
        self._seen = 0
        self._payer = next(name for name in run.settings.accounts)

    def follow(self, tell: Callable[[int, int], None] = lambda _done, _all: None) -> Measure:
        """Play the run; `tell` is told after each day how many of how many are done."""
        for present in self.run:
            self.take(present)
            tell(len(self.days), len(self.run.history))
        return self

    def take(self, present: Present) -> None:
        """Take one day."""
        on = present.day.on
        book = present.world.engine.state.book
        if not self.days:
            for name in self.tracks:
                opened = next((one for one in self.run.scenario.opening if one.account == name), None)
                self._open(name, opened)
        for one in present.day.happenings:
            if one.split != 1:
                self.taxes.split(one.symbol, one.split, on, "")
        new = present.tape.traded[self._seen :]
        self._seen = len(present.tape.traded)
        for trade in new:
            self.taxes.trade(trade, on)
        paid = self._pay(on) if self.pays_taxes else ZERO
        self.days.append(on)
        for name, track in self.tracks.items():
            self._note(track, book.accounts[name], present, [one for one in new if one.account == name])
            track.tax.append(float(paid) if name == self._payer else 0.0)
            track.flow.append(float(self.run.flowed(name, on)))

    def unpaid(self) -> Decimal:
        """Return what is owed for what was sold and not yet paid; negative for what is still to be saved."""
        owed = sum(self.taxes.owed().values(), ZERO)
        return owed - sum(self.taxes.paid.values(), ZERO)

    def after_tax(self, present: Present) -> float:
        """Return what the household would have if it sold everything and paid every tax."""
        due = self.taxes.after_sale(present.day.close, present.day.on)
        return sum(track.wealth[-1] for track in self.tracks.values()) - float(due)

    # The inside.

    def _open(self, name: str, opened: AccountOpened | None) -> None:
        if opened is None:
            return
        for lot in opened.lots:
            self.taxes.open(name, lot)

    def _pay(self, on: date) -> Decimal:
        """Pay what last year owes, once its window of wash sales is over."""
        year = on.year - 1
        if year in self.taxes.paid or (on.month, on.day) < TAX_DAY or not self.days:
            return ZERO
        due = self.taxes.due(year)
        if due:
            self.run.pay(self._payer, -due)
        return due

    def _note(self, track: Track, account: Account, present: Present, trades: Sequence[Traded]) -> None:
        close = present.day.close
        values = {symbol: float(qty * close[symbol]) for symbol, qty in account.positions.items()}
        wealth = float(account.cash) + sum(values.values())
        track.held.append({symbol: value / wealth for symbol, value in values.items()} if wealth else {})
        track.wealth.append(wealth)
        track.cash.append(float(account.cash))
        decided = [
            event
            for event in present.events
            if isinstance(event, RequestDecided) and event.account == account.name
        ]
        track.drift.append(decided[-1].max_drift if decided else None)
        track.actions.update(event.action for event in decided)
        value = float(sum((one.qty * one.px for one in trades), ZERO))
        cost = float(sum((one.commission + one.slippage for one in trades), ZERO))
        track.turnover.append(value / wealth if wealth else 0.0)
        track.cost.append(cost)
        track.trades.append(len(trades))
        track.lots.append(sum(len(lots) for lots in account.lots.values()))
