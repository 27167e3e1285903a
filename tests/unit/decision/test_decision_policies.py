"""Every policy: when it trades and how far; what all of them share; idempotent on their own target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from decision_world import AT_REFERENCE, FREE, TODAY, account, calm, days, dec, household, lot, sold
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import policies
from gateway.decision.drift import NOISE, survey
from gateway.decision.policies import POLICIES, spare_cash
from gateway.decision.policy import Plan, propose
from gateway.decision.regime import Signals
from gateway.decision.risk import RiskModel
from gateway.decision.triggers import Verdict
from gateway.decision.view import View
from gateway.domain.instrument import Instrument
from gateway.domain.settings import Decision, Period
from gateway.events import Action, Others, PolicyName, Regime


def world(
    held: Mapping[str, int], targets: Mapping[str, object], policy: PolicyName, *, cash: int = 0, **more: Any
) -> View:
    """Every unit is worth 1 and the accounts hold 100 in all, so quantities are percent of NAV."""
    last, signals = more.pop("last", None), more.pop("signals", None)
    words = {name: more.pop(name) for name in ("others", "regime", "instruments") if name in more}
    rule = Decision(policy=policy, **{name: _plain(value) for name, value in more.items()})
    view = household(
        [account("main", cash, [lot(symbol, qty, 1) for symbol, qty in held.items()])],
        dict.fromkeys({*held, *targets}, 1),
        targets,
        decision=rule,
        costs=FREE,
        execution=AT_REFERENCE,
        **words,
    )
    return replace(view, last_rebalance=last, signals=signals)


def _plain(value: object) -> Any:
    return value if isinstance(value, (bool, Period, int)) else dec(value)


def verdict(view: View) -> Verdict:
    return policies.decide(view, survey(view))


def test_every_policy_name_has_its_policy() -> None:
    assert set(POLICIES) == set(PolicyName)


def test_the_no_trade_zone_is_the_default_and_a_request_may_name_another() -> None:
    assert Decision().policy is PolicyName.NO_TRADE
    view = world({"A": 52}, {"A": "0.50"}, PolicyName.THRESHOLD, cash=48)
    assert propose(view).action is Action.HOLD
    assert propose(view).policy is PolicyName.THRESHOLD
    other = propose(replace(view, policy=PolicyName.TRIGGERS))
    assert (other.action, other.policy) == (Action.FULL, PolicyName.TRIGGERS)


# ------------------------------------------------------------------------------------------ calendar


@pytest.mark.parametrize(
    ("last", "action"),
    [(None, Action.FULL), (-12, Action.FULL), (-11, Action.HOLD), (0, Action.HOLD)],
)
def test_the_calendar_trades_once_after_each_fixed_day(last: int | None, action: Action) -> None:
    """TODAY is 12 March 2024; the last day of February was a Thursday."""
    when = None if last is None else days(last - 1)
    view = world({"A": 52}, {"A": "0.50"}, PolicyName.CALENDAR, cash=48, last=when)
    found = verdict(view)
    assert found.action is action
    assert "the rebalance of 2024-02-29" in found.reason


def test_the_calendar_leaves_an_account_on_target_alone() -> None:
    found = verdict(world({"A": 50}, {"A": "0.50"}, PolicyName.CALENDAR, cash=50))
    assert found == Verdict(Action.HOLD, "monthly: on target")


def test_the_calendar_knows_closed_days() -> None:
    view = world({"A": 52}, {"A": "0.50"}, PolicyName.CALENDAR, cash=48, last=days(-13))
    assert verdict(view).action is Action.FULL
    closed = replace(view, closed_days=frozenset({days(-12)}))
    assert verdict(closed).action is Action.HOLD, "the fixed day has moved to the day of the last rebalance"


# ----------------------------------------------------------------------------------------- threshold


@pytest.mark.parametrize(
    ("held", "target", "words", "action"),
    [
        (55, "0.50", {}, Action.HOLD),
        (56, "0.50", {}, Action.FULL),
        (44, "0.50", {}, Action.FULL),
        (12, "0.10", {"drift_band_relative": "0.20"}, Action.HOLD),
        (13, "0.10", {"drift_band_relative": "0.20"}, Action.FULL),
        (1, "0", {"drift_band_relative": "0.20"}, Action.FULL),
        (90, "0.50", {"drift_band_absolute": "0", "drift_band_relative": "0"}, Action.HOLD),
        (90, "0.50", {"drift_band_absolute": "0", "drift_band_relative": "0.90"}, Action.HOLD),
    ],
)
def test_a_threshold_trades_everything_once_one_name_is_out(
    held: int, target: str, words: dict[str, str], action: Action
) -> None:
    view = world({"A": held}, {"A": target}, PolicyName.THRESHOLD, cash=100 - held, **words)
    assert verdict(view).action is action


def test_a_threshold_names_who_is_out_and_of_which_band() -> None:
    view = world({"A": 56}, {"A": "0.50"}, PolicyName.THRESHOLD, cash=44)
    assert verdict(view).reason == "A is 6.00% of NAV from its target, more than the 5.00% of NAV"
    view = world({"A": 14}, {"A": "0.10"}, PolicyName.THRESHOLD, cash=86, drift_band_relative="0.20")
    assert "more than the 2.00% that its target allows" in verdict(view).reason


def test_spare_cash_buys_what_is_missing_and_sells_nothing() -> None:
    view = world(
        {"A": 47, "B": 38, "C": 4}, {"A": "0.50", "B": "0.42", "C": "0.02"}, PolicyName.THRESHOLD,
        cash=11, invest_cash="0.02",
    )  # fmt: skip
    found = verdict(view)
    assert found.action is Action.PARTIAL
    assert found.trade == pytest.approx([0.03 * 5 / 7, 0.04 * 5 / 7, 0.0])
    assert "cash is 5.00% of NAV above its target" in found.reason
    assert {item.symbol: item.qty for item in propose(view).proposals} == {"A": 2, "B": 3}


@pytest.mark.parametrize(
    ("cash", "words"),
    [(2, {"invest_cash": "0.02"}), (11, {}), (11, {"invest_cash": "0.12"})],
)
def test_cash_within_its_limit_stays(cash: int, words: dict[str, str]) -> None:
    held = {"A": 98 - cash, "B": 2}
    target = {"A": dec(98 - cash) / 100 + dec("0.02"), "B": "0"}
    view = world(held, target, PolicyName.THRESHOLD, cash=cash, **words)
    assert verdict(view).action is Action.HOLD


def test_spare_cash_with_nothing_to_buy_stays() -> None:
    view = world({"A": 90}, {"A": "0.90"}, PolicyName.THRESHOLD, cash=10, invest_cash="0.01")
    assert spare_cash(view, survey(view)) == pytest.approx(0)
    over = world({"A": 52, "B": 3}, {"A": "0.50"}, PolicyName.THRESHOLD, cash=45, invest_cash="0.01")
    assert spare_cash(over, survey(over)) == pytest.approx(-0.02)
    assert verdict(over).action is Action.HOLD


# --------------------------------------------------------------------------------------------- smart


def costly(spread_bps: int, **words: Any) -> View:
    return world(
        {"A": 60}, {"A": "0.50"}, PolicyName.SMART, cash=40,
        instruments=[Instrument("A", half_spread_bps=dec(spread_bps))], **words,
    )  # fmt: skip


def test_smart_trades_all_when_it_is_cheap_a_part_when_it_is_dear_and_nothing_when_it_never_pays() -> None:
    """Benefit of the whole 0.5 * 5 * 0.09 * 0.01 * 100 = 0.225, of the half 0.169; the whole trades 10."""
    assert verdict(costly(10)).action is Action.FULL
    assert "benefit 0.22 over the horizon against cost 0.01 and tax 0.00" in verdict(costly(10)).reason
    assert verdict(costly(150)).action is Action.PARTIAL
    dear = verdict(costly(400))
    assert dear.action is Action.HOLD
    assert dear.reason.startswith("FULL would bring benefit 0.22 over the horizon against cost 0.40")


def test_smart_weighs_tax_and_counts_on_no_refund() -> None:
    winner = world({"A": 60}, {"A": "0.50"}, PolicyName.SMART, cash=40)
    winner.book.accounts["main"].lots["A"][0].cost = Decimal(1)
    found = verdict(winner)
    assert found.action is Action.HOLD
    assert "tax 1.97" in found.reason
    loser = world({"A": 60}, {"A": "0.50"}, PolicyName.SMART, cash=40)
    loser.book.accounts["main"].lots["A"][0].cost = Decimal(600)
    assert "tax 0.00" in verdict(loser).reason


def test_smart_has_nothing_to_trade_on_target_or_below_a_lot() -> None:
    on = verdict(world({"A": 50}, {"A": "0.50"}, PolicyName.SMART, cash=50))
    assert on == Verdict(Action.HOLD, "nothing to trade")
    small = world({"A": 50}, {"A": "0.504"}, PolicyName.SMART, cash=50)
    assert verdict(small) == Verdict(Action.HOLD, "nothing to trade")


def test_a_declared_crisis_makes_smart_immediate() -> None:
    assert verdict(costly(400, regime=Regime.CRISIS, crisis_drift="0.09")).action is Action.IMMEDIATE


# ------------------------------------------------------------------------------- what all policies share


@pytest.mark.parametrize(("last", "left"), [(0, 31), (-30, 1), (-31, 0), (None, 0)])
def test_the_cooldown_holds_any_policy_but_an_immediate_one(last: int | None, left: int) -> None:
    when = None if last is None else days(last)
    view = world({"A": 80}, {"A": "0.50"}, PolicyName.THRESHOLD, cash=20, cooldown_days=31, last=when)
    found = verdict(view)
    assert found.action is (Action.HOLD if left else Action.FULL)
    if left:
        assert f"rebalanced on {when}, cooling down until {days(left)}; else A is" in found.reason
    crisis = replace(view, regime=Regime.CRISIS, policy=PolicyName.TRIGGERS)
    assert verdict(crisis).action is Action.IMMEDIATE


def test_timing_is_asked_only_when_it_is_on() -> None:
    stormy = Signals(days(-1), Regime.CRISIS, 3.0, 0.99)
    view = world({"A": 60, "B": 40}, {"A": "0.54", "B": "0.46"}, PolicyName.TRIGGERS, signals=stormy)
    assert verdict(view).action is Action.PARTIAL
    timed = replace(view.account.decision, timing=True)
    on = replace(view, account=replace(view.account, decision=timed))
    assert verdict(on).action is Action.FULL
    assert verdict(on).reason.startswith("hastened: volatility is 3.0 times its median; ")


def test_a_storm_does_not_end_a_cooldown() -> None:
    stormy = Signals(days(-1), Regime.CRISIS, 3.0, 0.99)
    view = world(
        {"A": 60, "B": 40}, {"A": "0.54", "B": "0.46"}, PolicyName.THRESHOLD, signals=stormy, last=days(-1),
        timing=True, drift_band_absolute="0.5", cooldown_days=2,
    )  # fmt: skip
    assert verdict(view).action is Action.HOLD
    assert "cooling down until 2024-03-13; else hastened" in verdict(view).reason
    assert verdict(replace(view, last_rebalance=days(-2))).action is Action.FULL


def test_holding_says_which_policy_holds() -> None:
    view = world({"A": 52}, {"A": "0.50"}, PolicyName.THRESHOLD, cash=48)
    assert [name.note for name in propose(view).names] == ["held: threshold does not trade now"]


# ------------------------------------------------------------------------------------------ properties

RULES = st.builds(
    Decision,
    policy=st.sampled_from(list(PolicyName)),
    drift_band_relative=st.sampled_from([dec(0), dec("0.1")]),
    invest_cash=st.sampled_from([dec(0), dec("0.01")]),
    calendar_period=st.sampled_from(list(Period)),
    timing=st.booleans(),
)
NAMES = ("A", "B", "C", "D")


@st.composite
def accounts(draw: st.DrawFn) -> View:
    """An account of up to four names with lots, costs, regimes, signals and a risk model, or without."""
    weights = draw(st.lists(st.integers(0, 25), min_size=4, max_size=4))
    bought = draw(st.lists(st.integers(0, 300), min_size=4, max_size=4))
    lots = [
        lot(name, qty, draw(st.integers(50, 150))) for name, qty in zip(NAMES, bought, strict=True) if qty
    ]
    view = household(
        [account("main", draw(st.integers(1000, 50_000)), lots)],
        dict.fromkeys(NAMES, 100),
        {name: dec(weight) / 100 for name, weight in zip(NAMES, weights, strict=True)},
        others=draw(st.sampled_from(list(Others))),
        regime=draw(st.sampled_from(list(Regime))),
        decision=draw(RULES),
    )
    loadings = np.array([[0.2, 0.0], [0.2, 0.1], [-0.1, 0.2], [0.0, 0.3]])
    risk = RiskModel(NAMES, loadings, np.full(4, 0.01), TODAY)
    signals = Signals(TODAY, draw(st.sampled_from(list(Regime))), 2.0, 0.5, {"A": 0.1, "B": -0.1})
    return replace(
        view,
        risk=draw(st.sampled_from([None, risk])),
        signals=draw(st.sampled_from([None, signals])),
        last_rebalance=draw(st.sampled_from([None, days(-1), days(-400)])),
    )


def on_target(view: View) -> View:
    """The same account once every gap is closed."""
    found = survey(view)
    held = view.book.accounts["main"]
    for symbol, gap in zip(found.symbols, found.gap.tolist(), strict=True):
        qty = dec(round(gap * float(found.nav) / 100, 6))
        if qty:
            before = held.positions.get(symbol, Decimal(0))
            held.positions[symbol] = before + qty
            held.lots[symbol] = [lot(symbol, before + qty, 100)]
            held.cash -= qty * 100
    return view


@calm
@given(accounts())
def test_a_policy_is_idempotent_on_its_own_target(view: View) -> None:
    found = propose(on_target(view))
    assert found.proposals == ()
    assert found.max_drift < 1e-6


@calm
@given(accounts())
def test_no_policy_trades_away_from_a_target_or_beyond_it(view: View) -> None:
    found = survey(view)
    trade = policies.decide(view, found).trade
    if trade is not None and policies.policy_of(view) is not PolicyName.OPTIMISE:  # which may hedge
        assert (trade * found.gap >= -NOISE).all()
        assert (np.abs(trade) <= np.abs(found.gap) + NOISE).all()


@calm
@given(accounts())
def test_the_same_view_gets_the_same_plan_and_benefits_that_sum_to_what_is_saved(view: View) -> None:
    plan = propose(view)
    assert propose(view) == plan
    found = survey(view)
    weighs_together = policies.policy_of(view) in {PolicyName.NO_TRADE, PolicyName.OPTIMISE}
    if found.risk is None or plan.action is Action.HOLD or weighs_together:
        return
    drafted = {item.symbol: item for item in plan.proposals}
    moved = np.array([_moved(drafted.get(symbol), found.nav) for symbol in found.symbols])
    if all("cash" not in name.note for name in plan.names):
        saved = found.drift_cost(found.gap, 5) - found.drift_cost(found.gap - moved, 5)
        assert sum(item.benefit for item in plan.proposals) == pytest.approx(saved, abs=1e-6)


def _moved(item: Any, nav: Decimal) -> float:
    return 0.0 if item is None else item.side.sign * float(item.notional / nav)


def test_related_drifts_are_judged_together() -> None:
    """Two names that move as one, one over and one under: nothing is gained by trading either alone."""
    twins = RiskModel.dense(("A", "B"), np.array([[0.09, 0.0899], [0.0899, 0.09]]), TODAY)
    view = world({"A": 60, "B": 40}, {"A": "0.50", "B": "0.50"}, PolicyName.TRIGGERS)
    alone, together = propose(view), propose(replace(view, risk=twins))
    assert sum(item.benefit for item in alone.proposals) > 0.3
    assert sum(item.benefit for item in together.proposals) < 0.01
    assert together.tracking_error_left < alone.tracking_error_left / 10


def test_a_buy_that_is_cut_keeps_its_share_of_the_benefit() -> None:
    risk = RiskModel.dense(("A", "B"), np.diag([0.09, 0.09]), TODAY)
    view = world(
        {"A": 20}, {"A": "0.60", "B": "0.40"}, PolicyName.TRIGGERS, cash=80, single_asset_drift="0.9"
    )
    view = replace(
        view,
        risk=risk,
        account=replace(view.account, execution=replace(AT_REFERENCE, cash_buffer=dec("0.2"))),
    )
    plan: Plan = propose(view)
    cut = [name for name in plan.names if "cut from" in name.note]
    assert cut
    for name in cut:
        full = float(dec("0.40")) * 100
        assert name.benefit == pytest.approx(0.5 * 5 * 0.09 * 0.16 * 100 * float(name.qty) / full)


def test_a_loss_inside_the_window_is_still_no_trade() -> None:
    view = world({"A": 20}, {"A": "0.60"}, PolicyName.CALENDAR, cash=80)
    view.book.realised.append(sold("A", -3, -5))
    (name,) = propose(view).names
    assert name.note.startswith("not sent: A was sold at a loss")
