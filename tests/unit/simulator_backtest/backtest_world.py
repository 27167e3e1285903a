"""A small history and a household for the backtest's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from gateway.domain.instrument import Instrument
from gateway.domain.order import OrdType
from gateway.domain.request import PolicyName
from gateway.domain.settings import AccountSettings, Costs, Decision, Execution, Limits, Settings
from gateway.events import AccountOpened, LotOpened
from simulator.backtest.bars import Bars, Day, Happening
from simulator.backtest.runner import Flow, Run, Scenario
from simulator.backtest.tape import Fills

FIRST = date(2024, 3, 4)
FREE = Costs(
    commission_per_share=Decimal(0), commission_minimum=Decimal(0), impact=Decimal(0)
)  # fmt: skip
EAGER = Decision(
    policy=PolicyName.THRESHOLD, drift_band_absolute=Decimal("0.0001"), risk_aversion=Decimal(10**6)
)
"""Trades whatever is off target, whatever it brings."""


def weekdays(count: int, first: date = FIRST) -> tuple[date, ...]:
    found, day = [], first
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return tuple(found)


def bars(
    closes: Mapping[str, Sequence[float]],
    *,
    opens: Mapping[str, Sequence[float]] | None = None,
    happenings: Mapping[int, tuple[Happening, ...]] | None = None,
    first: date = FIRST,
) -> Bars:
    """Make a history; NaN is a day a name is not listed."""
    symbols = tuple(closes)
    days = weekdays(len(next(iter(closes.values()))), first)
    close = np.array([closes[symbol] for symbol in symbols], dtype=float).T
    opened = None if opens is None else np.array([opens[symbol] for symbol in symbols], dtype=float).T
    told = {days[n]: found for n, found in (happenings or {}).items()}
    return Bars(days, symbols, close, open=opened, happenings=told, name="test").checked()


def settings(symbols: Sequence[str], *, accounts: Sequence[str] = ("main",), **changes: Any) -> Settings:
    """Make a household that trades at market, without limits in the way."""
    account = AccountSettings(
        "main", "history",
        limits=Limits(
            price_max_age_s=Decimal(10**6), max_order_notional=Decimal(10**12),
            max_order_nav_share=Decimal(1), max_turnover=Decimal(10), max_orders_per_request=1000,
        ),
        costs=changes.pop("costs", FREE), decision=changes.pop("decision", EAGER),
        execution=Execution(
            ord_type=changes.pop("ord_type", OrdType.MARKET), cash_buffer=Decimal(0),
            limit_offset_bps=changes.pop("limit_offset_bps", Decimal(0)),
        ),
        taxable=changes.pop("taxable", False),
    )  # fmt: skip
    spread = changes.pop("half_spread_bps", Decimal(0))
    instruments = {
        symbol: Instrument(symbol, tick_size=Decimal("0.0001"), half_spread_bps=spread) for symbol in symbols
    }
    assert not changes, changes
    return Settings("H", {name: replace(account, name=name) for name in accounts}, instruments)


def opened(cash: object = 100_000, lots: Sequence[LotOpened] = (), account: str = "main") -> AccountOpened:
    at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    return AccountOpened(at, account, Decimal(str(cash)), tuple(lots))


def fixed(**weights: str) -> Callable[[Day], dict[str, Decimal]]:
    table = {symbol: Decimal(weight) for symbol, weight in weights.items()}
    return lambda day: {symbol: weight for symbol, weight in table.items() if symbol in day.close}


def run(
    history: Bars,
    wanted: Callable[[Day], Mapping[str, Decimal]],
    *,
    household: Settings | None = None,
    opening: Sequence[AccountOpened] = (),
    flows: Sequence[Flow] = (),
    fills: Fills = Fills.CLOSE,
    decides: Callable[[Day], bool] = lambda _day: True,
) -> Run:
    """Make a run of every account of a household."""
    known = household or settings(history.symbols)
    scenario = Scenario(
        opening=opening or [opened(account=name) for name in known.accounts],
        wanted=dict.fromkeys(known.accounts, wanted), flows=flows, fills=fills, decides=decides,
        looks_every=0,
    )  # fmt: skip
    return Run(history, known, scenario)


@dataclass(frozen=True)
class Evening:
    """What one account had at the end of a day."""

    positions: dict[str, Decimal]
    cash: Decimal


def evenings(played: Run, account: str = "main") -> list[Evening]:
    """Play a run and keep what an account had each evening."""
    found = []
    for present in played:
        held = present.world.engine.state.book.accounts[account]
        found.append(Evening(dict(held.positions), held.cash))
    return found
