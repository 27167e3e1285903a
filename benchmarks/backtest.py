"""How fast a backtest is: 20 names, 8,000 days, the very engine, full tax lots; beside a known backtester.

The market is made up (a seeded random walk), so the figures need no data. Two runs: a decision every day by
the policy `smart` with costs, lots and taxes (the bound is for this one), and a rebalance each month to fixed
weights, which `bt` (the extra `bench`; the column is left out without it) plays on the same prices with the
same costs. Both must come to the same turnover within 1e-6, or the comparison is worth nothing.

Run: ``python benchmarks/backtest.py [--days 8000]``. Exit 1 above 60 s or when the turnovers differ. Times
are of the process, so other programs' load counts little. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from gateway.domain.instrument import Instrument
from gateway.domain.order import OrdType
from gateway.domain.request import PolicyName
from gateway.domain.settings import AccountSettings, Costs, Decision, Execution, Limits, Settings
from gateway.events import AccountOpened
from simulator.backtest.bars import Bars
from simulator.backtest.measure import Measure
from simulator.backtest.runner import Run, Scenario

NAMES, BOUND_S, SAME = 20, 60.0, 1e-6
BPS = 5
CASH = Decimal(1_000_000)
WEIGHT = Decimal("0.0495")
EXACT = Decimal("0.00000001")


def bars(days: int) -> Bars:
    """Return a made-up market of weekdays, prices of four decimals."""
    rng = np.random.default_rng(7)
    noise = 0.012 * rng.standard_normal((days, NAMES)) + 0.008 * rng.standard_normal((days, 1)) + 0.0002
    close = np.round(100.0 * np.exp(noise.cumsum(axis=0)), 4)
    found, day = [], date(1990, 1, 2)
    while len(found) < days:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return Bars(tuple(found), tuple(f"N{n:02}" for n in range(NAMES)), close, name="made up").checked()


def settings(history: Bars, decision: Decision, costs: Costs, lot: Decimal, buffer: Decimal) -> Settings:
    """Return a household of one account; the one with whole lots is taxed, so wash sales bind it."""
    account = AccountSettings(
        "main", "history", costs=costs, decision=decision,
        limits=Limits(
            price_max_age_s=Decimal(10**6), max_order_notional=Decimal(10**12), max_turnover=Decimal(10),
            max_order_nav_share=Decimal(1), max_orders_per_request=1000,
        ),
        execution=Execution(ord_type=OrdType.MARKET, cash_buffer=buffer), taxable=lot >= 1,
    )  # fmt: skip
    half_spread = Decimal(0) if lot < 1 else Decimal(3)
    instruments = {
        symbol: Instrument(symbol, lot_size=lot, tick_size=Decimal("0.0001"), half_spread_bps=half_spread)
        for symbol in history.symbols
    }
    return Settings("H", {"main": account}, instruments)


def months(history: Bars) -> list[date]:
    """Return the first day of each month."""
    days = history.days
    return [day for at, day in enumerate(days) if not at or day.month != days[at - 1].month]


def played(history: Bars, known: Settings, *, monthly: bool) -> tuple[Measure, float]:
    """Play a history; return what it came to and the seconds of the process."""
    firsts = set(months(history))
    weights = dict.fromkeys(history.symbols, WEIGHT)
    scenario = Scenario(
        opening=[AccountOpened(datetime(1989, 12, 29, tzinfo=UTC), "main", CASH, taxable=not monthly)],
        wanted={"main": lambda _day: weights}, looks_every=0 if monthly else 21,
        decides=lambda day: day.on in firsts or not monthly,
    )  # fmt: skip
    begun = time.process_time()
    measure = Measure(Run(history, known, scenario), pays_taxes=not monthly).follow()
    return measure, time.process_time() - begun


def by_bt(history: Bars) -> tuple[float, float] | None:
    """Return turnover and seconds of the same months in `bt`, None where it is not installed."""
    if importlib.util.find_spec("bt") is None:
        return None
    bt: Any = importlib.import_module("bt")
    pandas: Any = importlib.import_module("pandas")
    frame = pandas.DataFrame(history.close, index=pandas.to_datetime(history.days), columns=history.symbols)
    traded: list[float] = []

    class ToWeights(bt.Algo):  # type: ignore[misc]
        """Trade each name's gap to its weight of the morning's value, sells first, costs on top."""

        def __call__(self, target: Any) -> bool:
            whole = target.value
            prices = target.universe.loc[target.now]
            held = {symbol: target.children[symbol].position for symbol in target.children}
            gaps = {one: float(WEIGHT) * whole / prices[one] - held.get(one, 0.0) for one in history.symbols}
            for symbol in sorted(gaps, key=gaps.__getitem__):
                target.transact(gaps[symbol], child=symbol)
                traded.append(abs(gaps[symbol]) * prices[symbol] / whole)
            return True

    strategy = bt.Strategy("monthly", [bt.algos.RunOnDate(*months(history)), ToWeights()])
    test = bt.Backtest(
        strategy, frame, initial_capital=float(CASH), integer_positions=False, progress_bar=False,
        commissions=lambda qty, price: abs(qty) * price * BPS / 1e4,
    )  # fmt: skip
    begun = time.process_time()
    bt.run(test)
    return sum(traded), time.process_time() - begun


def ours_before_costs(measure: Measure) -> float:
    """Return the value traded over the wealth before each day's trades, summed."""
    track = measure.tracks["main"]
    return sum(
        share * wealth / (wealth + cost)
        for share, wealth, cost in zip(track.turnover, track.wealth, track.cost, strict=True)
    )


def main() -> int:
    """Print times, the ratio and the turnovers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=8000)
    options = parser.parse_args()
    history = bars(options.days)
    daily = settings(history, Decision(policy=PolicyName.SMART), Costs(), Decimal(1), Decimal("0.0025"))
    measure, took = played(history, daily, monthly=False)
    track = measure.tracks["main"]
    print(
        f"every day decided, lots and taxes: {NAMES} names, {options.days} days in {took:.1f} s on one core "
        f"({took / options.days * 1e3:.2f} ms a day; {sum(track.trades)} trades, {track.lots[-1]} lots)"
    )
    eager = Decision(
        policy=PolicyName.THRESHOLD, drift_band_absolute=Decimal("0.0000001"), risk_aversion=Decimal(10**9)
    )
    costs = Costs(
        commission_per_share=Decimal(0), commission_minimum=Decimal(0), commission_bps=Decimal(BPS),
        impact=Decimal(0),
    )  # fmt: skip
    monthly, ours_s = played(history, settings(history, eager, costs, EXACT, Decimal(0)), monthly=True)
    turnover = ours_before_costs(monthly)
    found: dict[str, Any] = {
        "days": options.days, "names": NAMES, "seconds": took, "bound_s": BOUND_S, "monthly_seconds": ours_s,
        "turnover": turnover,
    }  # fmt: skip
    held = took < BOUND_S * options.days / 8000
    print(f"monthly to fixed weights: {ours_s:.1f} s, turnover {turnover:.6f}")
    if (theirs := by_bt(history)) is not None:
        other, their_s = theirs
        gap = abs(turnover / other - 1)
        held = held and gap < SAME
        print(
            f"bt, the same weights and costs: {their_s:.1f} s, turnover {other:.6f}; they differ by {gap:.1e}"
        )
        print(
            f"ours takes {ours_s / their_s:.2f} times as long: it journals, keeps lots and checks every order"
        )
        found |= {"bt_seconds": their_s, "bt_turnover": other, "difference": gap, "ratio": ours_s / their_s}
    print(json.dumps(found))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
