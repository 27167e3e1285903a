"""What a run came to: wealth, drift, turnover, cost and tax, day by day, and what is left after tax.

Rules of this room:
1. Wealth before tax is cash and positions at the close. Taxes are paid out of the accounts: what a year owes
   leaves them in the next, on `TAX_DAY`, as a withdrawal the engine is told of.
2. Wealth after tax is what a sale of everything on that day would leave, taxes of the year paid. A net loss
   is worth what the year's rules let it save, no more.
3. Tax, that on dividends included, is worked out in `taxes.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gateway.domain.book import Account
from gateway.domain.tax.rules import Holder, Rules
from gateway.domain.tax.year import Filing
from gateway.events import AccountOpened, Action, RequestDecided
from simulator.backtest.runner import Present, Run
from simulator.backtest.tape import Traded
from simulator.backtest.taxes import Elsewhere, Shares, Taxes

ZERO = Decimal(0)
TAX_DAY = (4, 15)
"""Month and day on which last year's taxes are paid: no purchase can wash a loss of that year any more."""


@dataclass(slots=True)
class Track:
    """Hold one account's figures, a value a day. Money is in the account's currency, weights are fractions.

    `drift` is the largest absolute gap of the decision, None on days without one; `acted` counts decisions
    to trade, `actions` all of them by word; `cost` is commission,
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
    acted: list[int] = field(default_factory=list)
    trades: list[int] = field(default_factory=list)
    held: list[dict[str, float]] = field(default_factory=list)

    def weights_at(self, rows: Sequence[int]) -> dict[str, list[float]]:
        """Return the weight of every name ever held, on the days asked for."""
        names = sorted({symbol for n in rows for symbol in self.held[n]})
        return {symbol: [self.held[n].get(symbol, 0.0) for n in rows] for symbol in names}


class Measure:
    """Follow a run to its end: one `Track` per account and the household's taxes."""

    def __init__(
        self, run: Run, *, pays_taxes: bool = True, rules: Rules | None = None,
        elsewhere: Elsewhere | None = None, holders: Mapping[str, Holder] | None = None,
        filing: Filing = Filing.JOINT, dividend_rate: Decimal | None = None,
    ) -> None:  # fmt: skip
        self.run = run
        self.taxes = Taxes(run.settings, rules, elsewhere, filing, holders, dividend_rate)
        self.tracks = {name: Track() for name in run.settings.accounts}
        self.days: list[date] = []
        self.pays_taxes = pays_taxes
        self._seen = self._dividends_seen = 0

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
        for one in present.day.happenings if self.days else ():
            if one.split != 1:
                self.taxes.split(one.symbol, one.split, on, "")
        for paid in self.run.dividends[self._dividends_seen :]:
            self.taxes.dividend(paid)
        self._dividends_seen = len(self.run.dividends)
        new = present.tape.traded[self._seen :]
        self._seen = len(present.tape.traded)
        for trade in new:
            self.taxes.trade(trade, on)
        taxes = self._pay(on) if self.pays_taxes else {}
        self.days.append(on)
        for name, track in self.tracks.items():
            self._note(track, book.accounts[name], present, [one for one in new if one.account == name])
            track.tax.append(float(taxes.get(name, ZERO)))
            track.flow.append(float(self.run.flowed(name, on)))

    def unpaid(self) -> Decimal:
        """Return what is owed for what was sold and not yet paid; negative for what is still to be saved."""
        return sum(self.taxes.unpaid().values(), ZERO)

    def after_tax(self, present: Present) -> float:
        """Return what the household would have if it sold everything and paid every tax."""
        return sum(self.after_tax_by(present).values())

    def after_tax_by(self, present: Present) -> dict[str, float]:
        """Return what each account would have then, its share of the taxes paid."""
        due = self.taxes.after_sale(present.day.close, present.day.on)
        return {name: track.wealth[-1] - float(due.get(name, ZERO)) for name, track in self.tracks.items()}

    # The inside.

    def _open(self, name: str, opened: AccountOpened | None) -> None:
        if opened is None:
            return
        for lot in opened.lots:
            self.taxes.open(name, lot)

    def _pay(self, on: date) -> Shares:
        """Pay what last year owes, once its window of wash sales is over."""
        year = on.year - 1
        if year in self.taxes.settled or (on.month, on.day) < TAX_DAY or not self.days:
            return {}
        due = {account: amount for account, amount in self.taxes.due(year).items() if amount}
        for account, amount in due.items():
            self.run.pay(account, -amount)
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
        track.acted.append(sum(event.action is not Action.HOLD for event in decided))
        value = float(sum((one.qty * one.px for one in trades), ZERO))
        cost = float(sum((one.commission + one.slippage for one in trades), ZERO))
        track.turnover.append(value / wealth if wealth else 0.0)
        track.cost.append(cost)
        track.trades.append(len(trades))
        track.lots.append(sum(len(lots) for lots in account.lots.values()))
