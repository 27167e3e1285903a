"""The file of a backtest: which history, which targets, which runs side by side, and how they trade.

Rules of this room:
1. An account is written as in `accounts.toml`: `[account]` is what all runs share, `[accounts.NAME]` what one
   of several has, `[runs.NAME]` what a run has otherwise. What a live gateway would refuse is refused here,
   in the same words.
2. A mistake is one sentence: the file, the key, what is wrong, what to write instead (`ConfigError`).
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from gateway.cli.backtest_household import ACCOUNT, TOTAL, Member, TargetsSection, members
from gateway.config import account_settings
from gateway.connections import Name
from gateway.decision.learned import LearnedRule
from gateway.domain.instrument import Instrument
from gateway.domain.settings import Risk, Settings
from gateway.domain.tax.rules import Holder
from gateway.domain.tax.year import Filing
from gateway.errors import ConfigError
from gateway.events import AccountOpened, LotOpened
from gateway.files import first_mistake, read_lots, read_toml
from gateway.oms.money import rate_symbol
from gateway.runtime import learned
from gateway.sections import InstrumentSection
from gateway.valuation import RiskSection, Section
from simulator.backtest.bars import Bars, Day, HistoryError
from simulator.backtest.forward import folds_of
from simulator.backtest.runner import Dividends, Flow, Scenario, Targets
from simulator.backtest.sources import read_history
from simulator.backtest.tape import Fills

PLACES = Decimal("0.000001")


class FlowSection(Section):
    """Money that comes in (negative: goes out) before the market opens; of several accounts, name one."""

    on: date
    amount: Decimal
    account: str = ""


class StudySection(Section):
    """A study of harvesting: portfolios begun each year, held `horizon_years`, with and without it.

    `account` names the one that harvests where there are several: else the first that is taxed. Every
    `looks_every` days losses are looked for. `elsewhere` is what the household gains outside each year, as a
    share of its opening wealth and in both terms, where it is said to have gains enough.
    """

    account: str = ""
    horizon_years: int = Field(default=10, ge=1, le=50)
    looks_every: int = Field(default=21, ge=1)
    elsewhere: Decimal = Field(default=Decimal(1), ge=0)


class BacktestFile(Section):
    """A backtest as its file says it."""

    title: str = "Backtest"
    history: str
    first: date | None = None
    last: date | None = None
    symbols: tuple[str, ...] = ()
    cash: Decimal = Field(default=Decimal(1_000_000), gt=0)
    targets: TargetsSection | None = None
    fills: Fills = Fills.CLOSE
    decide_every: int = Field(default=1, ge=1)
    taxes: bool = True
    filing: Filing = Filing.JOINT
    dividend_rate: Decimal | None = Field(default=None, ge=0, le=1)
    split: date | None = None
    walk_forward_years: int | None = Field(default=None, ge=1, le=50)
    time_zone: str = "America/New_York"
    risk: RiskSection = RiskSection()
    looks_every: int = Field(default=21, ge=0)
    instrument: InstrumentSection = InstrumentSection(tick_size=Decimal("0.0001"))
    instruments: dict[str, dict[str, Any]] = Field(default_factory=dict)
    substitutes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    flows: tuple[FlowSection, ...] = ()
    dividends: Dividends = Dividends.CASH
    study: StudySection = StudySection()
    account: dict[str, Any] = Field(default_factory=dict)
    accounts: dict[Annotated[str, Name], dict[str, Any]] = Field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = Field(min_length=1)
    folder: Path = Path()

    def bars(self) -> Bars:
        """Read the history; raises `ConfigError`."""
        try:
            history = read_history(self.history, self.folder)
            rates = self._rates(history.symbols)
            kept = (*self.symbols, *sorted(set(rates.values()) - set(self.symbols))) if self.symbols else ()
            found = history.between(self.first, self.last, kept).converted(rates)
            found.checked()
        except HistoryError as problem:
            raise ConfigError(f"history: {problem}") from None
        if self.split is not None and not found.days[0] < self.split < found.days[-1]:
            raise ConfigError(f"split: {self.split} must lie between {found.days[0]} and {found.days[-1]}")
        years = self.walk_forward_years
        if years is not None and not folds_of(found.days, years):
            raise ConfigError(
                f"walk_forward_years: {len(found)} days leave none to judge after {years} years; take fewer"
            )
        return found

    def settings(self, name: str, bars: Bars) -> Settings:
        """Return what the engine of one run is told; raises `ConfigError`."""
        return Settings(
            household=name,
            accounts={
                one.name: account_settings(one.name, one.section) for one in self.members(name).values()
            },
            instruments={symbol: self._instrument(symbol) for symbol in bars.symbols},
            time_zone=self.time_zone, substitutes=dict(self.substitutes), is_converted=True,
            risk=Risk(**{**self.risk.model_dump(exclude={"history"}), "max_age_days": self._risk_age()}),
        )  # fmt: skip

    def _rates(self, known: Sequence[str]) -> dict[str, str]:
        """Return the names quoted in another currency than the accounts', each with its rate's column."""
        kept = {one.section.currency for name in self.runs for one in self.members(name).values()}
        if len(kept) > 1:
            raise ConfigError("account.currency: all runs share one history, so write one currency for all")
        (own,) = kept
        quoted = {symbol: self._instrument(symbol).currency for symbol in self.symbols or known}
        rates = {symbol: rate_symbol(of, own) for symbol, of in quoted.items() if of != own}
        return {symbol: rate for symbol, rate in rates.items() if symbol not in rates.values()}

    def members(self, name: str) -> dict[str, Member]:
        """Return the accounts of one run; raises `ConfigError`."""
        return members(self.account, self.accounts, name, self.runs[name])

    def holders(self, name: str) -> dict[str, Holder]:
        """Return who owns each account of a run and how it is taxed."""
        return {one.name: one.holder for one in self.members(name).values()}

    def kept_dividends(self) -> set[Dividends]:
        """Return what accounts of any run do with their dividends."""
        own = (one.own.dividends for name in self.runs for one in self.members(name).values())
        return {Dividends(one) if one else self.dividends for one in own}

    def has_volume(self, bars: Bars) -> bool:
        """Say whether a trade's impact can be worked out of every name."""
        return bars.volume is not None or all(self._instrument(one).daily_volume for one in bars.symbols)

    def reference(self, name: str) -> str:
        """Return the run another is held against, empty for the first."""
        return str(self.runs[name].get("against", ""))

    def _risk_age(self) -> int:
        """Return how old a risk model may be: at least until the next look, weekends and holidays counted."""
        return max(self.risk.max_age_days, 2 * self.looks_every + 7)

    def rules(self, name: str) -> dict[str, LearnedRule]:
        """Return the learned rules of a run by account; raises `ConfigError`."""
        found = {}
        for one in self.members(name).values():
            decision = one.section.decision
            if decision.learned_file:
                path = self.folder / decision.learned_file
                found[one.name] = learned.load(path, override=decision.learned_override)
        return found

    def scenario(self, settings: Settings, bars: Bars) -> Scenario:
        """Return what one run plays."""
        every = self.decide_every
        place = {day: n for n, day in enumerate(bars.days)}
        of_run = self.members(settings.household)
        return Scenario(
            opening=[self._opening(one, bars) for one in of_run.values()],
            wanted={name: self._wanted(one, bars) for name, one in of_run.items()},
            flows=[self._flow(n, one, bars) for n, one in enumerate(self.flows)],
            decides=lambda day: place[day.on] % every == 0,
            fills=self.fills, looks_every=self.looks_every, rules=self.rules(settings.household),
            dividends=self.dividends,
            dividends_by={
                name: Dividends(one.own.dividends) for name, one in of_run.items() if one.own.dividends
            },
        )  # fmt: skip

    def _opening(self, member: Member, bars: Bars) -> AccountOpened:
        """Return an account's opening book; a lone account without one begins with the file's cash."""
        section, key = member.section, f"accounts.{member.name}" if self.accounts else "account"
        if self.accounts and not (member.has_cash or section.opening_lots):
            raise ConfigError(f"{key}: has nothing to begin with; write opening_cash or opening_lots")
        cash = section.opening_cash if member.has_cash or section.opening_lots else self.cash
        lots = read_lots(self.folder / section.opening_lots) if section.opening_lots else ()
        for lot in lots:
            self._check_lot(f"{key}.opening_lots", lot, bars)
        return AccountOpened(
            _noon(bars.days[0]), member.name, cash, lots, section.lot_method, section.taxable
        )  # fmt: skip

    @staticmethod
    def _check_lot(key: str, lot: LotOpened, bars: Bars) -> None:
        first = bars.days[0]
        if lot.symbol not in bars.day(0).close:
            raise ConfigError(f"{key}: {lot.symbol} has no price on {first}; take it out, or begin later")
        if date.fromisoformat(lot.acquired) > first:
            raise ConfigError(f"{key}: {lot.symbol} is acquired on {lot.acquired}, after {first}")

    def _flow(self, n: int, one: FlowSection, bars: Bars) -> Flow:
        names = list(self.accounts) or [ACCOUNT]
        account = one.account or (names[0] if len(names) == 1 else "")
        if account not in names:
            raise ConfigError(f"flows.{n}.account: write one of {', '.join(names)}")
        if not bars.days[0] < one.on <= bars.days[-1]:
            raise ConfigError(f"flows.{n}.on: must be after {bars.days[0]} and not after {bars.days[-1]}")
        return Flow(one.on, account, one.amount)

    def _instrument(self, symbol: str) -> Instrument:
        own = self.instruments.get(symbol, {})
        try:
            section = InstrumentSection(**{**self.instrument.model_dump(exclude_unset=True), **own})
        except ValidationError as problem:
            raise ConfigError(f"instruments.{symbol}.{first_mistake(problem)}") from None
        return Instrument(symbol=symbol, **section.model_dump())

    def _wanted(self, member: Member, bars: Bars) -> Callable[[Day], Targets]:
        """Return what an account wants on a day, of what is listed that day."""
        targets, key = member.own.targets or self.targets, "targets"
        if member.own.targets is not None:
            key = f"accounts.{member.name}.targets" if self.accounts else "account.targets"
        if targets is None:
            raise ConfigError(f"accounts.{member.name}.targets: write them, or targets for all accounts")
        if targets.equal is not None:
            share = targets.equal
            return lambda day: dict.fromkeys(day.close, (share / len(day.close)).quantize(PLACES, ROUND_DOWN))
        path = self.folder / targets.file
        table = {bars.days[0]: targets.weights} if targets.weights else _read_weights(path, key)
        unknown = sorted({symbol for weights in table.values() for symbol in weights} - set(bars.symbols))
        if unknown:
            raise ConfigError(f"{key}: {unknown[0]} is not in the history; take it out, or add its prices")
        days = sorted(table)

        def on(day: Day) -> Targets:
            at = bisect_right(days, day.on)
            known = table[days[at - 1]] if at else {}
            return {symbol: weight for symbol, weight in known.items() if symbol in day.close}

        return on


def read_file(path: Path) -> BacktestFile:
    """Read the file of a backtest; raises `ConfigError`."""
    document = read_toml(path, "give a file as config/backtests/sp500.toml is")
    try:
        found = BacktestFile(**{**document, "folder": path.parent})
    except ValidationError as problem:
        raise ConfigError(f"{path}: {first_mistake(problem)}") from None
    if TOTAL in found.accounts:
        raise ConfigError(f"{path}: accounts.{TOTAL}: is what all accounts come to; take another name")
    if found.accounts and "cash" in found.model_fields_set:
        raise ConfigError(f"{path}: cash: belongs to a lone account; write accounts.NAME.opening_cash")
    if not found.accounts and found.targets is None:
        raise ConfigError(f"{path}: targets: missing; write one of equal, weights and file")
    for name in found.runs:
        try:
            found.members(name)
        except ConfigError as problem:
            raise ConfigError(f"{path}: {problem}") from None
        if (other := found.reference(name)) and other not in found.runs:
            text = f"no such run; there are {', '.join(found.runs)}"
            raise ConfigError(f"{path}: runs.{name}.against: {text}")
    return found


def _read_weights(path: Path, key: str) -> dict[date, dict[str, Decimal]]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except OSError as problem:
        raise ConfigError(f"{key}.file: {path}: cannot be read ({problem.strerror})") from None
    found: dict[date, dict[str, Decimal]] = {}
    for n, row in enumerate(rows, start=2):
        try:
            found.setdefault(date.fromisoformat(row["date"]), {})[row["symbol"]] = Decimal(row["weight"])
        except (KeyError, TypeError, ValueError, InvalidOperation):
            text = "write date,symbol,weight, as in 2024-03-12,AAPL,0.25"
            raise ConfigError(f"{key}.file: {path}: row {n}: {text}") from None
    if not found:
        raise ConfigError(f"{key}.file: {path}: there is no row; write date,symbol,weight")
    return found


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
