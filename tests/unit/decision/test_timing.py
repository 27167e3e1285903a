"""Timing: what trends and storms may change, and what they may not; momentum on real month-ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from closes import closes
from decision_world import FREE, account, days, dec, household, lot

from gateway.decision.drift import survey
from gateway.decision.regime import Signals
from gateway.decision.timing import adjusted, momentum_positions
from gateway.decision.triggers import Verdict
from gateway.decision.view import View
from gateway.events import Action, Regime

FULL = Verdict(Action.FULL, "why")
PARTIAL = Verdict(Action.PARTIAL, "why")
HOLD = Verdict(Action.HOLD, "why")


def world(held: int = 56, rise: float = 0.2, *, regime: Regime = Regime.NORMAL, age: int = 1) -> View:
    """A of `held` percent wants 50, B the rest; A rose by `rise`, B fell."""
    view = household(
        [account("main", 0, [lot("A", held, 1), lot("B", 100 - held, 1)])],
        {"A": 1, "B": 1},
        {"A": "0.5", "B": "0.5"},
        costs=FREE,
    )
    return replace(view, signals=Signals(days(-age), regime, 2.0, 0.9, {"A": rise, "B": -0.1}))


def judged(view: View, verdict: Verdict = FULL, **words: Any) -> Verdict:
    if words:
        rule = replace(view.account.decision, **{name: dec(value) for name, value in words.items()})
        view = replace(view, account=replace(view.account, decision=rule))
    return adjusted(verdict, view, survey(view))


def test_the_sale_of_a_rising_name_waits_while_its_gap_is_in_bounds() -> None:
    found = judged(world())
    assert found.action is Action.FULL
    assert found.trade == pytest.approx([0, 0.06])
    assert found.reason == "why; sales of rising A wait"


@pytest.mark.parametrize(
    ("held", "rise", "waits"), [(57, 0.2, True), (58, 0.2, False), (56, 0.0, False), (56, -0.1, False)]
)
def test_a_sale_waits_only_for_a_rise_and_only_within_half_as_much_again(
    held: int, rise: float, waits: bool
) -> None:
    """The single-asset limit is 5 %; 7.5 % is the bound."""
    view = world(held, rise)
    assert (judged(view) is not FULL) is waits


def test_names_without_a_known_trend_do_not_wait_and_five_are_named() -> None:
    symbols = [f"N{at}" for at in range(8)]
    view = household(
        [account("main", 0, [lot(symbol, 12, 1) for symbol in symbols] + [lot("B", 4, 1)])],
        dict.fromkeys([*symbols, "B"], 1),
        {**dict.fromkeys(symbols, "0.11"), "B": "0.12"},
        costs=FREE,
    )
    rising = dict.fromkeys(symbols[:7], 0.2)
    found = judged(replace(view, signals=Signals(days(-1), Regime.NORMAL, 2.0, 0.9, rising)))
    assert found.reason == "why; sales of rising N0, N1, N2, N3, N4 wait"
    assert found.trade == pytest.approx([0.08] + [0] * 7 + [-0.01])


def test_a_name_that_is_to_be_bought_never_waits() -> None:
    view = world(44)
    assert judged(view) is FULL


def test_a_verdict_of_which_nothing_is_left_is_hold() -> None:
    view = world()
    view = replace(view, targets={"A": dec("0.5")})
    found = judged(view)
    assert (found.action, found.trade) == (Action.HOLD, None)
    assert found.reason == "why; sales of rising A wait"


def test_a_part_stays_a_part_and_own_trades_stay_as_they_were() -> None:
    assert judged(world(), PARTIAL).trade == pytest.approx([0, 0.03])
    own = Verdict(Action.PARTIAL, "why", np.array([-0.02, 0.01]))
    assert judged(world(), own).trade == pytest.approx([0, 0.01])
    assert judged(world(), HOLD) is HOLD


def test_a_storm_hastens_and_no_sale_waits_in_it() -> None:
    storm = world(regime=Regime.CRISIS)
    assert judged(storm) is FULL
    assert judged(storm, PARTIAL) == Verdict(Action.FULL, "hastened: volatility is 2.0 times its median; why")
    assert judged(storm, HOLD).action is Action.FULL
    assert judged(storm, HOLD, crisis_drift="0.12") is HOLD


def test_signals_that_are_missing_or_old_change_nothing() -> None:
    assert judged(world(age=7)) is not FULL
    assert judged(world(age=8)) is FULL
    assert judged(replace(world(), signals=None)) is FULL


def test_twelve_month_momentum_on_the_index_is_a_drawdown_control_not_a_source_of_return() -> None:
    """Known of 383 months: long/short 7.8 % at 14.9 %, index 8.65 % at 14.85 %, long/flat 8.2 % at 11.4 %."""
    index = closes("sp500_index")
    ends = [at for at, (one, after) in enumerate(pairwise(index.dates)) if one.month != after.month]
    prices = index.prices[[*ends, len(index.dates) - 1], 0]
    held = momentum_positions(prices)
    returns = prices[13:] / prices[12:-1] - 1
    assert len(held) == len(returns) == 383
    flat = np.maximum(held, 0)

    def yearly(series: np.ndarray[Any, Any]) -> tuple[float, float]:
        return float(series.mean()) * 12, float(series.std(ddof=1)) * 12**0.5

    def worst(series: np.ndarray[Any, Any]) -> float:
        wealth = np.cumprod(1 + series)
        return float((wealth / np.maximum.accumulate(wealth) - 1).min())

    assert yearly(returns) == pytest.approx((0.0865, 0.1485), abs=5e-4)
    assert yearly(held * returns) == pytest.approx((0.078, 0.149), abs=5e-4)
    assert yearly(flat * returns) == pytest.approx((0.082, 0.114), abs=5e-4)
    assert worst(flat * returns) == pytest.approx(-0.20, abs=0.01)
    assert worst(returns) == pytest.approx(-0.53, abs=0.01)
