"""The file of a backtest: which history, which targets, which accounts side by side, and how they trade.

Rules of this room:
1. An account is written as in `accounts.toml`: `[account]` is what all runs share, `[runs.NAME]` what one has
   otherwise. What a live gateway would refuse is refused here, in the same words.
2. A mistake is one sentence: the file, the key, what is wrong, what to write instead (`ConfigError`).
"""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from gateway.config import account_settings, first_mistake, read_toml
from gateway.decision.learned import LearnedRule
from gateway.domain.instrument import Instrument
from gateway.domain.settings import Risk, Settings
from gateway.errors import ConfigError
from gateway.events import AccountOpened
from gateway.oms.money import rate_symbol
from gateway.runtime import learned
from gateway.sections import AccountSection, InstrumentSection
from gateway.valuation import RiskSection, Section
from simulator.backtest.bars import Bars, Day, HistoryError
from simulator.backtest.runner import Dividends, Flow, Scenario, Targets
from simulator.backtest.sources import read_history
from simulator.backtest.tape import Fills

ACCOUNT, LINK = "main", "history"
PLACES = Decimal("0.000001")
STALE_S = 5 * 86_400
"""A reference price of history is yesterday's close; a live account's limit of a minute would refuse it."""
OPEN_HANDED = {
    "limits": {
        "price_max_age_s": STALE_S, "max_order_notional": 10**12, "max_order_nav_share": 1,
        "max_turnover": 10, "max_orders_per_request": 10_000,
    },
    "execution": {"ord_type": "market"},
}  # fmt: skip
"""What a run has unless its file says otherwise: one day is all there is, so nothing is split or waits."""


class FlowSection(Section):
    """Money that comes in (negative: goes out) before the market opens on a day."""

    on: date
    amount: Decimal


class TargetsSection(Section):
    """What is wanted: equal weights of all that is listed (`equal` in sum), fixed weights, or a file of them.

    The file has columns date,symbol,weight; a row counts from its day on, until the next day with rows.
    """

    equal: Decimal | None = Field(default=None, gt=0, le=1)
    weights: dict[str, Decimal] = Field(default_factory=dict)
    file: str = ""

    @model_validator(mode="after")
    def _one_of_three(self) -> TargetsSection:
        if [self.equal is not None, bool(self.weights), bool(self.file)].count(True) != 1:
            raise ValueError("write one of equal, weights and file")
        return self


class StudySection(Section):
    """A study of harvesting: portfolios begun each year, held `horizon_years`, with and without it.

    `looks_every` days losses are looked for. `elsewhere` is what the household gains outside each year, as a
    share of its opening wealth and in both terms, where it is said to have gains enough.
    """

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
    targets: TargetsSection
    fills: Fills = Fills.CLOSE
    decide_every: int = Field(default=1, ge=1)
    taxes: bool = True
    split: date | None = None
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
        return found

    def settings(self, name: str, bars: Bars) -> Settings:
        """Return what the engine of one run is told; raises `ConfigError`."""
        section = _section(name, self.account, self.runs[name])
        return Settings(
            household=name, accounts={ACCOUNT: account_settings(ACCOUNT, section)},
            instruments={symbol: self._instrument(symbol) for symbol in bars.symbols},
            time_zone=self.time_zone, substitutes=dict(self.substitutes), is_converted=True,
            risk=Risk(**{**self.risk.model_dump(exclude={"history"}), "max_age_days": self._risk_age()}),
        )  # fmt: skip

    def _rates(self, known: Sequence[str]) -> dict[str, str]:
        """Return the names quoted in another currency than the accounts', each with its rate's column."""
        kept = {_section(name, self.account, own).currency for name, own in self.runs.items()}
        if len(kept) > 1:
            raise ConfigError("account.currency: all runs share one history, so write one currency for all")
        (own,) = kept
        quoted = {symbol: self._instrument(symbol).currency for symbol in self.symbols or known}
        rates = {symbol: rate_symbol(of, own) for symbol, of in quoted.items() if of != own}
        return {symbol: rate for symbol, rate in rates.items() if symbol not in rates.values()}

    def _risk_age(self) -> int:
        """Return how old a risk model may be: at least until the next look, weekends and holidays counted."""
        return max(self.risk.max_age_days, 2 * self.looks_every + 7)

    def rules(self, name: str) -> dict[str, LearnedRule]:
        """Return the learned rule of a run, if it has one; raises `ConfigError`."""
        decision = _section(name, self.account, self.runs[name]).decision
        if not decision.learned_file:
            return {}
        path = self.folder / decision.learned_file
        return {ACCOUNT: learned.load(path, override=decision.learned_override)}

    def scenario(self, settings: Settings, bars: Bars) -> Scenario:
        """Return what one run plays."""
        account = settings.accounts[ACCOUNT]
        opened = AccountOpened(
            _noon(bars.days[0]), ACCOUNT, self.cash, (), account.lot_method, account.taxable
        )  # fmt: skip
        every = self.decide_every
        place = {day: n for n, day in enumerate(bars.days)}
        return Scenario(
            opening=[opened], wanted={ACCOUNT: self._wanted(bars)},
            flows=[Flow(one.on, ACCOUNT, one.amount) for one in self.flows],
            decides=lambda day: place[day.on] % every == 0,
            fills=self.fills, looks_every=self.looks_every, rules=self.rules(settings.household),
            dividends=self.dividends,
        )  # fmt: skip

    def _instrument(self, symbol: str) -> Instrument:
        own = self.instruments.get(symbol, {})
        try:
            section = InstrumentSection(**{**self.instrument.model_dump(exclude_unset=True), **own})
        except ValidationError as problem:
            raise ConfigError(f"instruments.{symbol}.{first_mistake(problem)}") from None
        return Instrument(symbol=symbol, **section.model_dump())

    def _wanted(self, bars: Bars) -> Callable[[Day], Targets]:
        """Return what is wanted on a day, of what is listed that day."""
        targets = self.targets
        if targets.equal is not None:
            share = targets.equal
            return lambda day: dict.fromkeys(day.close, (share / len(day.close)).quantize(PLACES, ROUND_DOWN))
        table = (
            {bars.days[0]: targets.weights} if targets.weights else _read_weights(self.folder / targets.file)
        )
        unknown = sorted({symbol for weights in table.values() for symbol in weights} - set(bars.symbols))
        if unknown:
            raise ConfigError(f"targets: {unknown[0]} is not in the history; take it out, or add its prices")
        days = sorted(table)

        def on(day: Day) -> Targets:
            at = bisect_right(days, day.on)
            known = table[days[at - 1]] if at else {}
            return {symbol: weight for symbol, weight in known.items() if symbol in day.close}

        return on


def read_file(path: Path) -> BacktestFile:
    """Read the file of a backtest; raises `ConfigError`."""
    document = read_toml(path)
    try:
        found = BacktestFile(**{**document, "folder": path.parent})
    except ValidationError as problem:
        raise ConfigError(f"{path}: {first_mistake(problem)}") from None
    for name, own in found.runs.items():
        _section(name, found.account, own)
    return found


def _section(name: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> AccountSection:
    """Return one run's account: what it has otherwise, over what all share, over what a backtest needs."""
    merged = _over(_over({**OPEN_HANDED, "link": LINK}, shared), own)
    try:
        return AccountSection(**merged)
    except ValidationError as problem:
        raise ConfigError(f"runs.{name}.{first_mistake(problem)}") from None


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one table over another, section by section."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        is_section = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = _over(known, value) if is_section and isinstance(known, Mapping) else value
    return merged


def _read_weights(path: Path) -> dict[date, dict[str, Decimal]]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except OSError as problem:
        raise ConfigError(f"targets.file: {path}: cannot be read ({problem.strerror})") from None
    found: dict[date, dict[str, Decimal]] = {}
    for n, row in enumerate(rows, start=2):
        try:
            found.setdefault(date.fromisoformat(row["date"]), {})[row["symbol"]] = Decimal(row["weight"])
        except (KeyError, TypeError, ValueError, InvalidOperation):
            text = "write date,symbol,weight, as in 2024-03-12,AAPL,0.25"
            raise ConfigError(f"targets.file: {path}: row {n}: {text}") from None
    if not found:
        raise ConfigError(f"targets.file: {path}: there is no row; write date,symbol,weight")
    return found


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
