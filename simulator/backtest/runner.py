"""The runner: day by day, history becomes the events a gateway is given, and the engine does the rest.

Rules of this room:
1. The engine is the one that trades live, driven by `InProcess` as every fault run is: same cost model, same
   lots, same checks, same journal. Nothing is decided here.
2. Before each close the engine has been told what was known by then, and no more: prices carry the time of
   their close, and the tape has not been told of the next day.
3. Everything that happens to an account besides orders (flows, dividends, splits) is stated by its link, as a
   broker states it. A reinvested dividend is a purchase the broker states: a lot of its own day and price.
   What happened on the first day is in the opening books.
4. A name that leaves is sold by the decision of its last day. What was not sold then keeps its last price, is
   sold at it by the next decision that may, and is told of in `Run.stranded`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from gateway.decision.learned import LearnedRule
from gateway.decision.market import look
from gateway.decision.regime import SIGNAL_DAYS, TURBULENCE_WINDOW
from gateway.decision.risk import History as Closes
from gateway.domain.settings import Settings
from gateway.events import (
    AccountOpened,
    ActivityStated,
    Event,
    GatewayStarted,
    Others,
    PositionStated,
    PricesUpdated,
    TargetsSubmitted,
)
from simulator.backtest.bars import Bars, Day
from simulator.backtest.tape import Fills, Tape
from simulator.inprocess import InProcess, Line, Numbered

OPEN, CLOSE = time(9, 30), time(16, 0)
FRESH_START_DAYS = 20
"""A gateway is started anew so often: that is when it forgets what has long ended."""
PAST_DAYS = TURBULENCE_WINDOW + SIGNAL_DAYS + 1
"""Days of history that the market's signals look back."""
ZERO = Decimal(0)
CENT = Decimal("0.01")

Targets = Mapping[str, Decimal]
Wanted = Callable[[Day], Targets]


class Dividends(StrEnum):
    """Say what becomes of a dividend: cash, or shares of the name that paid it, at the day's close."""

    CASH = "cash"
    REINVEST = "reinvest"


@dataclass(frozen=True, slots=True)
class Flow:
    """Money that comes into an account (or leaves it, negative) before the market opens."""

    on: date
    account: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Paid:
    """Remember one dividend; it is negative where a short seller owes it."""

    on: date
    account: str
    symbol: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Scenario:
    """Say what is played: accounts with their opening books, what they want, what flows in and out.

    `wanted` gives an account's targets on a day from what is known that day. `decides` says whether the day
    is one on which targets are submitted at all, `decides_by` the same for an account of its own mind; so do
    `dividends` and `dividends_by`. Every `looks_every` days the engine is given a risk model and the market's
    signals, made of the closes of the days before; 0 is never. `rules` are learned rules by account.
    """

    opening: Sequence[AccountOpened]
    wanted: Mapping[str, Wanted]
    flows: Sequence[Flow] = ()
    decides: Callable[[Day], bool] = field(default=lambda _day: True)
    fills: Fills = Fills.CLOSE
    looks_every: int = 21
    rules: Mapping[str, LearnedRule] = field(default_factory=dict)
    dividends: Dividends = Dividends.CASH
    decides_by: Mapping[str, Callable[[Day], bool]] = field(default_factory=dict)
    dividends_by: Mapping[str, Dividends] = field(default_factory=dict)

    def reinvests(self, account: str) -> bool:
        """Say whether an account's dividends buy shares."""
        return self.dividends_by.get(account, self.dividends) is Dividends.REINVEST


@dataclass(slots=True)
class Present:
    """Where a run stands at the end of one day; `day` has the last price of what is held and gone, too."""

    day: Day
    world: InProcess
    tape: Tape
    events: Sequence[Event]


class Run:
    """Play a history through one engine; iterate to go on day by day."""

    def __init__(
        self, history: Bars, settings: Settings, scenario: Scenario, earlier: Bars | None = None
    ) -> None:
        """Begin; `earlier` has the same names and days before the first, which the market is judged by."""
        self.history = history
        self._known = earlier or history
        self._offset = self._known.days.index(history.days[0])
        self.settings = settings
        self.scenario = scenario
        self._zone = ZoneInfo(settings.time_zone)
        (link,) = {account.link for account in settings.accounts.values()}
        self.tape = Tape(settings.instruments, settings.accounts, scenario.fills)
        self._line = Line(link, self.tape)
        self.world = InProcess(
            settings, {link: self._line}, self._at(history.days[0], OPEN), scenario.opening
        )
        self.stranded: dict[str, date] = {}
        self.dividends: list[Paid] = []
        self._last: dict[str, Decimal] = {}
        self._to_reinvest: dict[tuple[str, str], Decimal] = {}
        self._owed: list[tuple[str, Decimal]] = []
        self._flows: dict[date, list[Flow]] = {}
        for flow in scenario.flows:
            self._flows.setdefault(self._trading_day(flow.on), []).append(flow)

    def __iter__(self) -> Iterator[Present]:
        """Yield after each day's end."""
        world = self.world
        for place in range(len(self.history)):
            listed = self.history.day(place)
            day = self._with_gone(listed)
            seen = len(world.journal)
            self._open(day, place)
            self._close(day, listed)
            yield Present(day, world, self.tape, world.journal[seen:])

    def pay(self, account: str, amount: Decimal) -> None:
        """Let money move (out when negative) before the next market opens."""
        self._owed.append((account, amount))

    def flowed(self, account: str, on: date) -> Decimal:
        """Return what a scenario's flows brought an account on a day; taxes are not among them."""
        return sum((flow.amount for flow in self._flows.get(on, ()) if flow.account == account), ZERO)

    # The inside.

    def _with_gone(self, day: Day) -> Day:
        """Return a day with the last price of what is held although it is no longer listed."""
        self._last.update(day.close)
        held = {symbol for one in self.world.engine.state.book.accounts.values() for symbol in one.positions}
        gone = {symbol: self._last[symbol] for symbol in sorted(held - day.close.keys())}
        if not gone:
            return day
        for symbol in gone:
            self.stranded.setdefault(symbol, day.on)
        opened, close, typical = ({**table, **gone} for table in (day.open, day.close, day.typical))
        return replace(day, open=opened, close=close, typical=typical)

    def _open(self, day: Day, place: int) -> None:
        """Let the day begin: what happened overnight is stated, what waited for the open trades."""
        world = self.world
        world.now = self._at(day.on, OPEN)
        if place == 0:
            world.start()
        elif place % FRESH_START_DAYS == 0:
            self._start_anew()
        if self.scenario.looks_every and place % self.scenario.looks_every == 0:
            market = look(self._past(place), day.on, self.settings)
            world.engine.see(replace(market, learned=self.scenario.rules))
        self._state(day)
        self.tape.begin(day)
        world.run(for_s=60)

    def _past(self, place: int) -> Closes:
        """Return the closes of the days before, as a gateway reads them from its history file."""
        window = max(PAST_DAYS, self.settings.risk.window_days + 1)
        place += self._offset
        rows = slice(max(0, place - window), place)
        return Closes(self._known.days[rows], self._known.symbols, self._known.close[rows])

    def _close(self, day: Day, listed: Day) -> None:
        """Let the close come: prices, then targets; what is sent trades now or waits for the next day."""
        world = self.world
        world.now = at = self._at(day.on, CLOSE)
        self.tape.close()
        world.feed(PricesUpdated(at, at, dict(day.close), "history"))
        decides = {
            account: self.scenario.decides_by.get(account, self.scenario.decides)
            for account in self.scenario.wanted
        }
        said = {one: one(day) for one in dict.fromkeys(decides.values())}
        for account, wanted in self.scenario.wanted.items():
            if said[decides[account]]:
                world.feed(self._targets(account, wanted(listed), day, at))
        world.run(for_s=0)
        self._reinvest(day)
        self.tape.end()
        world.effects.clear()

    def _targets(self, account: str, wanted: Targets, day: Day, at: datetime) -> TargetsSubmitted:
        """Ask for the targets of what still trades tomorrow; what leaves today is sold."""
        staying = {symbol: weight for symbol, weight in wanted.items() if symbol not in day.leaving}
        return TargetsSubmitted(
            at, f"{account}-{day.on:%Y%m%d}", account, staying, at, at + timedelta(days=7), Others.SELL,
        )  # fmt: skip

    def _state(self, day: Day) -> None:
        """State what happened to each account overnight."""
        for flow in self._flows.get(day.on, ()):
            self._tell(day, flow.account, "CSD" if flow.amount > 0 else "CSW", cash=flow.amount)
        for account, amount in self._owed:
            self._tell(day, account, "TAX", cash=amount)
        self._owed.clear()
        book = self.world.engine.state.book
        for one in day.happenings if day.on != self.history.days[0] else ():
            for account in self.settings.accounts:
                held = book.position(account, one.symbol)
                if held and one.split != 1:
                    self._split(day, account, one.symbol, held * one.split)
                if held and one.dividend:
                    self._pay_dividend(day, account, one.symbol, (held * one.dividend).quantize(CENT))

    def _pay_dividend(self, day: Day, account: str, symbol: str, amount: Decimal) -> None:
        self._tell(day, account, "DIV", symbol, cash=amount)
        self.dividends.append(Paid(day.on, account, symbol, amount))
        if self.scenario.reinvests(account):
            due = self._to_reinvest.get((account, symbol), ZERO)
            self._to_reinvest[account, symbol] = due + amount

    def _reinvest(self, day: Day) -> None:
        """Let the broker buy with dividends what makes whole lots; what is left waits for the next one."""
        book = self.world.engine.state.book
        for (account, symbol), due in list(self._to_reinvest.items()):
            if not book.position(account, symbol) or symbol in day.leaving:
                del self._to_reinvest[account, symbol]
                continue
            qty = self.settings.instruments[symbol].round_qty(due / day.close[symbol])
            if qty > 0:
                money = self.tape.reinvest(account, symbol, qty)
                self._tell(day, account, "REINVEST", symbol, cash=-money, qty=qty)
                self._to_reinvest[account, symbol] = due - money
                self.world.run(for_s=0)

    def _split(self, day: Day, account: str, symbol: str, after: Decimal) -> None:
        """State a split and the position after it, fractions included."""
        at = self.world.now
        self._tell(day, account, "SPLIT", symbol)
        self._hand_over(PositionStated(at, self._line.name, 0, account, symbol, after))

    def _tell(
        self, day: Day, account: str, kind: str, symbol: str = "", cash: Decimal = ZERO, qty: Decimal = ZERO
    ) -> None:
        name = f"{day.on:%Y%m%d}-{account}-{kind}-{symbol}"
        at, on = self.world.now, day.on.isoformat()
        self._hand_over(ActivityStated(at, self._line.name, 0, account, name, kind, on, cash, symbol, qty))

    def _hand_over(self, event: Numbered | ActivityStated | PositionStated) -> None:
        """Put what the venue states in its numbered record, as everything else it says."""
        record: list[object] = self._line.record  # type: ignore[assignment]
        record.append(replace(event, link=self._line.name, link_seq=len(record) + 1))

    def _start_anew(self) -> None:
        """Restart, as a gateway is from time to time; its journal so far is a snapshot already."""
        world = self.world
        world.epoch += 1
        world.turn([GatewayStarted(world.now, world.epoch, "", "")])
        for name in world.lines:
            world.connect(name)

    def _at(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock, self._zone).astimezone(ZoneInfo("UTC"))

    def _trading_day(self, day: date) -> date:
        """Return the first trading day on or after a day; the last one for a day beyond them all."""
        return next((one for one in self.history.days if one >= day), self.history.days[-1])
