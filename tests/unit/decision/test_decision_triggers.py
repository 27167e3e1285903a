"""Triggers: each alone, all together, and the arithmetic at their edges."""

from __future__ import annotations

from itertools import product

import pytest
from decision_world import account, calm, decision, household, lot
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import triggers
from gateway.decision.drift import Survey, survey
from gateway.domain.settings import Decision
from gateway.events import Action, Others, Regime


def held(weights: dict[str, int], targets: dict[str, str]) -> Survey:
    """An account of 100 dollars that holds `weights` per cent of each name."""
    lots = [lot(symbol, qty, 1) for symbol, qty in weights.items() if qty]
    cash = 100 - sum(weights.values())
    return survey(household([account("main", cash, lots)], dict.fromkeys(weights, 1), targets))


SEVERE = {
    "single": Action.PARTIAL,
    "concentration": Action.FULL,
    "crisis": Action.IMMEDIATE,
}


@pytest.mark.parametrize("fires", list(product((False, True), repeat=3)))
def test_the_most_severe_of_all_that_fire_wins(fires: tuple[bool, bool, bool]) -> None:
    # A is 20 % and should be 10 %: every threshold can be set on either side of what it measures.
    single, concentrated, crisis = fires
    settings = decision(
        single_asset_drift="0.05" if single else "0.50",
        concentration_ratio="1.5" if concentrated else "3.0",
        crisis_drift="0.05" if crisis else "0.50",
    )
    verdict = triggers.decide(held({"A": 20}, {"A": "0.10"}), settings, Regime.CRISIS)
    fired = [name for name, is_on in zip(SEVERE, fires, strict=True) if is_on]
    wanted = max((SEVERE[name] for name in fired), key=triggers.SEVERITY.index, default=Action.FULL)
    assert verdict.action is wanted
    assert verdict.reason.count(";") == max(0, len(fired) - 1)
    assert ("no trigger fired" in verdict.reason) == (not fired)


def test_reasons_hold_the_numbers_deciding_one_first() -> None:
    verdict = triggers.decide(held({"A": 25}, {"A": "0.10"}), Decision(), Regime.CRISIS)
    assert verdict.action is Action.IMMEDIATE
    assert verdict.reason == (
        "drift of 15.00% of NAV in a crisis, the limit is 10.00%; "
        "A is 25.00% of NAV, 2.50 times its target of 10.00%, the limit is 1.50 times; "
        "A is 15.00% of NAV from its target, the limit is 5.00%"
    )


def test_a_crisis_is_one_only_when_the_request_says_so() -> None:
    found = held({"A": 25}, {"A": "0.10"})
    assert triggers.decide(found, Decision(), Regime.NORMAL).action is Action.FULL
    assert triggers.decide(found, Decision(), Regime.CRISIS).action is Action.IMMEDIATE


def test_a_target_of_zero_divides_nothing_and_asks_for_all() -> None:
    verdict = triggers.decide(held({"A": 2}, {"A": "0"}), Decision(), Regime.NORMAL)
    assert verdict.action is Action.FULL
    assert "A is 2.00% of NAV, against its target of 0.00%" in verdict.reason


def test_ratios_of_names_not_held_held_and_on_the_wrong_side() -> None:
    found = held({"A": 0, "B": 20, "C": 20, "D": 20}, {"A": "0", "B": "0.10", "C": "0", "D": "-0.1"})
    assert triggers.ratios(found).tolist() == [0.0, 2.0, float("inf"), float("inf")]


def test_what_is_tolerated_cannot_concentrate() -> None:
    settings = decision(any_drift="0.03")
    verdict = triggers.decide(held({"A": 2}, {"A": "0"}), settings, Regime.NORMAL)
    assert verdict == triggers.Verdict(Action.HOLD, "largest drift 2.00% is within 3.00% of NAV")


def test_exactly_at_a_threshold_nothing_fires() -> None:
    # 0.65 - 0.60 is a little more than 0.05 in binary; it is not more than five points of drift.
    found = held({"A": 60}, {"A": "0.65"})
    assert found.max_drift > 0.05
    assert triggers.single_asset(found, Decision()) is None
    assert triggers.concentration(held({"A": 15}, {"A": "0.10"}), Decision()) is None
    crisis = triggers.crisis(held({"A": 30}, {"A": "0.20"}), Decision(), Regime.CRISIS)
    assert crisis is None


def test_hold_on_target_and_full_on_any_drift() -> None:
    on_target = triggers.decide(held({"A": 10}, {"A": "0.10"}), Decision(), Regime.NORMAL)
    assert on_target.action is Action.HOLD
    off = triggers.decide(held({"A": 10}, {"A": "0.11"}), Decision(), Regime.NORMAL)
    assert off.action is Action.FULL
    assert "1.00% is above 0.00%" in off.reason


def test_nothing_to_decide_is_hold() -> None:
    found = survey(household([account("main", 100)], {}))
    assert triggers.decide(found, Decision(), Regime.CRISIS).action is Action.HOLD


@calm
@given(
    now=st.lists(st.integers(0, 25), min_size=4, max_size=4),
    then=st.lists(st.integers(0, 25), min_size=4, max_size=4),
    regime=st.sampled_from(Regime),
    limits=st.tuples(*[st.integers(1, 60)] * 3),
)
def test_no_trigger_that_fires_is_more_severe_than_the_verdict(
    now: list[int], then: list[int], regime: Regime, limits: tuple[int, int, int]
) -> None:
    settings = decision(
        single_asset_drift=limits[0] / 100,
        concentration_ratio=1 + limits[1] / 20,
        crisis_drift=limits[2] / 100,
    )
    weights = dict(zip("ABCD", now, strict=True))
    lots = [lot(symbol, qty, 1) for symbol, qty in weights.items() if qty]
    targets = {symbol: f"{weight / 100:.2f}" for symbol, weight in zip("ABCD", then, strict=True)}
    view = household(
        [account("main", 100 - sum(now), lots)], dict.fromkeys("ABCD", 1), targets, others=Others.SELL
    )
    found = survey(view)
    verdict = triggers.decide(found, settings, regime)
    fired = {
        Action.PARTIAL: any(abs(a - b) > limits[0] for a, b in zip(now, then, strict=True)),
        Action.FULL: any(
            a > 0 and (b == 0 or a * 20 > b * (20 + limits[1])) and a != b
            for a, b in zip(now, then, strict=True)
        ),
        Action.IMMEDIATE: regime is Regime.CRISIS
        and sum(abs(a - b) for a, b in zip(now, then, strict=True)) > limits[2],
    }
    severest = next((action for action in reversed(fired) if fired[action]), None)
    assert verdict.action is (severest or (Action.HOLD if now == then else Action.FULL))
