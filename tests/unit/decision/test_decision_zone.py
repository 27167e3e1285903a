"""The policies that weigh drift against cost and tax together: the zone, the optimiser, a learned rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from decision_world import AT_REFERENCE, FREE, TODAY, account, days, dec, household, lot, order, sold
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decision import best, policies
from gateway.decision.best import locks_of
from gateway.decision.drift import NOISE, Survey, survey
from gateway.decision.learned import BAND, NETWORK, Card, LearnedRule, banded
from gateway.decision.no_trade.kinked import Factors
from gateway.decision.no_trade.many import amortised
from gateway.decision.optimise import Problem, Solution, Status
from gateway.decision.policy import propose
from gateway.decision.regime import Signals
from gateway.decision.risk import RiskModel
from gateway.decision.terms import OpenLots, deferral, lots_of, terms_of
from gateway.decision.view import View
from gateway.domain.instrument import Instrument
from gateway.domain.order import Side
from gateway.domain.settings import AccountSettings, Costs, Decision, Harvest, Limits
from gateway.events import Action, Others, PolicyName, Regime

PRICES = {"A": 100, "B": 50, "C": 20}


def view_of(policy: PolicyName, held: dict[str, int], targets: dict[str, str], **more: Any) -> View:
    """An account with lots bought at their present price long ago, unless told otherwise."""
    lots = more.pop("lots", [lot(symbol, qty, PRICES[symbol]) for symbol, qty in held.items() if qty])
    cash = more.pop("cash", 10_000)
    taxable = more.pop("taxable", True)
    decision = Decision(policy=policy, **more.pop("decision", {}))
    chosen = AccountSettings(
        "main", "sim", decision=decision, execution=AT_REFERENCE, costs=more.pop("costs", FREE),
        limits=more.pop("limits", Limits()), taxable=taxable, harvest=more.pop("harvest", Harvest()),
    )  # fmt: skip
    others = [account("main", cash, lots, taxable=taxable), *more.pop("accounts", ())]
    return household(others, more.pop("prices", PRICES), targets, of=chosen, **more)


def problem_of(view: View) -> Problem:
    found = survey(view)
    return best.problem_of(view, found, locks_of(view, found))


def sale_tax(found: Survey, lots: OpenLots) -> Any:
    """What selling off each gap is taxed, losses not counted."""
    return np.maximum(lots.of_sale(np.maximum(-found.gap, 0.0)), 0.0)


def trades_of(view: View) -> dict[str, float]:
    found = survey(view)
    verdict = policies.decide(view, found)
    if verdict.trade is None:
        return {}
    return {symbol: one for symbol, one in zip(found.symbols, verdict.trade.tolist(), strict=True) if one}


# ------------------------------------------------------------------------------------------- the terms


def test_names_share_a_correlation_where_no_history_says_better() -> None:
    view = view_of(PolicyName.NO_TRADE, {"A": 50}, {"A": "0.5", "B": "0.4"})
    found = survey(view)
    terms = terms_of(view, found)
    covariance = terms.loadings @ terms.loadings.T + np.diag(terms.specific)
    assert covariance == pytest.approx(0.09 * np.array([[1, 0.3], [0.3, 1]]))
    model = RiskModel.dense(("A", "B"), np.array([[0.04, 0.01], [0.01, 0.09]]), TODAY)
    terms = terms_of(replace(view, risk=model), survey(replace(view, risk=model)))
    assert terms.loadings @ terms.loadings.T + np.diag(terms.specific) == pytest.approx(
        np.array([[0.04, 0.01], [0.01, 0.09]])
    )


def test_a_trade_costs_what_the_cost_model_says_of_its_gap() -> None:
    costs = Costs(commission_per_share=dec("0.01"), commission_minimum=dec(5), impact=dec(0))
    view = view_of(PolicyName.NO_TRADE, {"A": 50, "B": 0}, {"A": "0.5", "B": "0.4"}, costs=costs)
    terms = terms_of(view, survey(view))
    assert terms.buy[0] == pytest.approx((5 + 0.0002 * 2500) / 2500)  # a gap of 25 shares of A
    assert terms.buy[1] == pytest.approx((5 + 0.0002 * 6000) / 6000)
    missing = view_of(PolicyName.NO_TRADE, {}, {"A": "0.5", "Z": "0.1"}, costs=costs)
    known = terms_of(missing, survey(missing))
    assert known.has_price.tolist() == [True, False]
    assert known.buy[1] == 0


def test_lots_are_taxed_at_the_rate_of_their_term_and_only_where_anybody_is() -> None:
    lots = [lot("A", 10, 60), lot("A", 5, 80, -30), lot("B", 20, 75)]
    view = view_of(PolicyName.NO_TRADE, {}, {"A": "0.1", "B": "0.1", "Z": "0.1"}, lots=lots, cash=7_500)
    found = survey(view)
    open_lots = lots_of(view, found)
    assert open_lots.name.tolist() == [0, 0, 1]
    assert open_lots.weight.tolist() == pytest.approx([0.1, 0.05, 0.1])
    assert open_lots.tax.tolist() == pytest.approx([0.4 * 0.20, 0.2 * 0.37, -0.5 * 0.20])
    untaxed = view_of(PolicyName.NO_TRADE, {}, {"A": "0.1"}, lots=lots, taxable=False)
    assert not lots_of(untaxed, survey(untaxed)).name.size
    short = view_of(PolicyName.NO_TRADE, {}, {"A": "0"}, lots=[lot("A", -10, 60)])
    assert not lots_of(short, survey(short)).name.size


def test_a_sale_is_taxed_cheapest_lots_first_and_never_below_nothing() -> None:
    lots = [lot("A", 50, 100), lot("A", 50, 50)]
    view = view_of(PolicyName.NO_TRADE, {}, {"A": "0.25", "B": "0.0"}, lots=lots, cash=10_000)
    found = survey(view)
    assert found.gap[0] == pytest.approx(-0.25)
    assert sale_tax(found, lots_of(view, found)).tolist() == pytest.approx([0, 0])
    deeper = view_of(PolicyName.NO_TRADE, {}, {"A": "0.10"}, lots=lots, cash=10_000)
    found = survey(deeper)
    assert sale_tax(found, lots_of(deeper, found))[0] == pytest.approx(0.15 * 0.5 * 0.20 / 0.40)
    losing = view_of(PolicyName.NO_TRADE, {}, {"A": "0.10"}, lots=[lot("A", 100, 200)], cash=10_000)
    found = survey(losing)
    assert sale_tax(found, lots_of(losing, found)).tolist() == [0]
    rising = view_of(PolicyName.NO_TRADE, {}, {"A": "0.9"}, lots=[lot("A", 50, 50)], cash=5_000)
    found = survey(rising)
    assert sale_tax(found, lots_of(rising, found))[0] == pytest.approx(0.10)


def test_deferral_is_the_interest_on_a_tax() -> None:
    view = view_of(
        PolicyName.NO_TRADE, {}, {"A": "0.5"}, harvest=Harvest(years=dec(10), discount_rate=dec("0.05"))
    )
    assert deferral(view) == pytest.approx(1 - 1.05**-10)


# -------------------------------------------------------------------------------------------- the zone


def test_inside_its_band_a_name_is_left_alone_and_outside_traded_to_the_edge() -> None:
    costs = Costs(commission_minimum=dec(0), commission_per_share=dec(0), commission_bps=dec(10))
    near = view_of(PolicyName.NO_TRADE, {"A": 51}, {"A": "0.5"}, costs=costs, cash=4_900, taxable=False)
    verdict = policies.decide(near, survey(near))
    assert verdict.action is Action.HOLD
    assert "inside their no-trade bands" in verdict.reason
    far = view_of(PolicyName.NO_TRADE, {"A": 70}, {"A": "0.5"}, costs=costs, cash=3_000, taxable=False)
    found = survey(far)
    verdict = policies.decide(far, found)
    zone = amortised(
        covariance=Factors(np.array([[0.3]]) * np.sqrt(0.3), np.array([0.09 * 0.7])), weights=np.array([0.7]),
        targets=np.array([0.5]), k=0.0012, gamma=5.0,
    )  # fmt: skip
    assert verdict.action is Action.PARTIAL
    assert verdict.trade is not None
    assert verdict.trade[0] == pytest.approx(zone.trades[0], rel=1e-6)
    assert -0.2 < verdict.trade[0] < -0.1
    assert "1 of 1 names are outside their no-trade bands, A by" in verdict.reason


def test_a_taxed_gain_widens_the_band_and_a_loss_does_not_narrow_it() -> None:
    def sold_of(unit_cost: int, *, taxable: bool = True) -> float:
        lots = [lot("A", 70, unit_cost)]
        view = view_of(PolicyName.NO_TRADE, {}, {"A": "0.5"}, lots=lots, cash=3_000, taxable=taxable)
        return -sum(trades_of(view).values())

    assert sold_of(20) < sold_of(20, taxable=False)
    assert sold_of(200) == sold_of(200, taxable=False)


def test_a_declared_crisis_comes_first_in_every_weighing_policy() -> None:
    for policy in (PolicyName.NO_TRADE, PolicyName.OPTIMISE, PolicyName.LEARNED):
        view = view_of(policy, {"A": 70}, {"A": "0.3"}, cash=3_000, regime=Regime.CRISIS)
        verdict = policies.decide(replace(view, learned=RULE), survey(view))
        assert verdict.action is Action.IMMEDIATE, policy


def test_what_has_no_price_is_not_traded() -> None:
    for policy in (PolicyName.NO_TRADE, PolicyName.OPTIMISE, PolicyName.LEARNED):
        view = replace(view_of(policy, {"A": 70}, {"A": "0.3", "Z": "0.3"}, cash=3_000), learned=RULE)
        assert set(trades_of(view)) == {"A"}, policy


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 200), min_size=3, max_size=3),
    st.lists(st.integers(0, 30), min_size=3, max_size=3),
    st.sampled_from([PolicyName.NO_TRADE, PolicyName.LEARNED]),
    st.booleans(),
)
def test_no_name_is_traded_away_from_its_target_or_beyond_it(
    held: list[int], wanted: list[int], policy: PolicyName, taxable: bool
) -> None:
    targets = {symbol: f"0.{share:02d}" for symbol, share in zip(PRICES, wanted, strict=True)}
    view = view_of(policy, dict(zip(PRICES, held, strict=True)), targets, taxable=taxable)
    view = replace(view, learned=RULE, others=Others.SELL)
    found = survey(view)
    trade = policies.decide(view, found).trade
    if trade is not None:
        assert (trade * found.gap >= -NOISE).all()
        assert (np.abs(trade) <= np.abs(found.gap) + NOISE).all()


# --------------------------------------------------------------------------------------- the optimiser


def test_the_optimiser_trades_what_is_best_in_whole_lots() -> None:
    view = view_of(
        PolicyName.OPTIMISE, {"A": 70, "B": 20}, {"A": "0.4", "B": "0.4"}, cash=2_000, taxable=False
    )
    found = survey(view)
    verdict = policies.decide(view, found)
    assert verdict.action is Action.PARTIAL
    assert verdict.trade is not None
    lots = verdict.trade * float(found.nav) / np.array([100.0, 50.0])
    assert lots == pytest.approx(np.round(lots), abs=1e-9)
    assert "best of all: 2 names" in verdict.reason
    plan = propose(view)
    assert {item.symbol: item.side for item in plan.proposals} == {"A": Side.SELL, "B": Side.BUY}


def test_the_optimiser_holds_when_nothing_is_worth_its_tax_and_says_so() -> None:
    lots = [lot("A", 51, 1), lot("B", 98, 1)]
    view = view_of(PolicyName.OPTIMISE, {}, {"A": "0.50", "B": "0.50"}, lots=lots, cash=0)
    verdict = policies.decide(view, survey(view))
    assert verdict.action is Action.HOLD
    assert "no trade is worth its cost and tax" in verdict.reason


def test_the_optimiser_keeps_to_what_a_wash_sale_forbids() -> None:
    view = view_of(
        PolicyName.OPTIMISE, {"A": 10}, {"A": "0.4", "B": "0.4"}, cash=9_000, realised=[sold("B", -5, -500)]
    )  # fmt: skip
    problem = problem_of(view)
    assert np.broadcast_to(problem.no_buy, 2).tolist() == [False, True]
    assert set(trades_of(view)) == {"A"}
    losing = view_of(
        PolicyName.OPTIMISE, {}, {"A": "0.1"}, lots=[lot("A", 70, 200), lot("A", 1, 90, -3)], cash=2_900
    )  # fmt: skip
    assert problem_of(losing).no_sell.tolist() == [True]
    assert trades_of(losing) == {}


def test_the_optimiser_knows_kept_holdings_short_sales_and_restricted_names() -> None:
    limits = Limits(restricted=frozenset({"A"}), allow_short=True)
    view = view_of(
        PolicyName.OPTIMISE, {"A": 10, "C": 100}, {"A": "0.4", "B": "0.4"}, cash=7_000, limits=limits
    )
    problem = problem_of(view)
    assert problem.budget == pytest.approx(0.8)
    assert np.broadcast_to(problem.no_trade, 2).tolist() == [True, False]
    assert np.asarray(problem.lower).tolist() == [-1.0, -1.0]
    assert set(trades_of(view)) == {"B"}


def test_a_problem_without_a_solution_holds_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    view = view_of(PolicyName.OPTIMISE, {"A": 70}, {"A": "0.3"}, cash=3_000)
    solved, whole = best.solve, best.whole_lots

    def unsolved(problem: Any) -> Solution:
        return replace(solved(problem), status=Status.UNCONVERGED, reason="it went on for ever")

    monkeypatch.setattr(best, "solve", unsolved)
    verdict = policies.decide(view, survey(view))
    assert (verdict.action, verdict.reason) == (Action.HOLD, "the optimiser holds: it went on for ever")
    monkeypatch.setattr(best, "solve", solved)
    monkeypatch.setattr(
        best,
        "whole_lots",
        lambda *given: replace(whole(*given), status=Status.INFEASIBLE, reason="no lots fit"),
    )
    verdict = policies.decide(view, survey(view))
    assert (verdict.action, verdict.reason) == (Action.HOLD, "the optimiser holds: no lots fit")


# -------------------------------------------------------------------------------------- a learned rule

CARD = Card("search", "h", "1990", "2020", (1,), 1.0, (), "default", -0.1, -0.2, -0.05, ("A", "B"))
RULE = LearnedRule(BAND, CARD, np.array([0.2]), np.array([0.5, 2.0]), np.array([0.0, 1.0]))


def calm(ratio: float) -> Signals:
    return Signals(date(2024, 3, 11), Regime.NORMAL, ratio, 0.5)


def test_a_learned_band_is_as_wide_as_it_learned_and_the_market_is_restless() -> None:
    costs = Costs(commission_minimum=dec(0), commission_per_share=dec(0), commission_bps=dec(10))
    view = view_of(PolicyName.LEARNED, {"A": 70}, {"A": "0.5"}, costs=costs, cash=3_000, taxable=False)
    edge = trades_of(replace(view, learned=RULE))["A"]
    assert -0.2 < edge < -0.1
    assert trades_of(replace(view, learned=RULE, signals=calm(1.0)))["A"] == edge
    assert trades_of(replace(view, learned=RULE, signals=calm(1.5)))["A"] == pytest.approx(-0.2)
    near = view_of(PolicyName.LEARNED, {"A": 50}, {"A": "0.5"}, costs=costs, cash=5_000, taxable=False)
    verdict = policies.decide(replace(near, learned=RULE), survey(near))
    assert (verdict.action, verdict.reason) == (Action.HOLD, "the learned rule (search) asks for no trade")


def test_without_a_rule_or_with_other_names_it_holds_and_says_so() -> None:
    view = view_of(PolicyName.LEARNED, {"A": 70}, {"A": "0.5"}, cash=3_000)
    assert "no learned rule is loaded" in policies.decide(view, survey(view)).reason
    network = LearnedRule(NETWORK, CARD, layers=((np.zeros((9, 4)), np.zeros(4)),))
    verdict = policies.decide(replace(view, learned=network), survey(view))
    assert "trained on other names" in verdict.reason


@pytest.mark.parametrize(("word", "share"), [(0, 0.0), (1, 0.5), (2, 1.0)])
def test_a_network_says_one_of_four_words(word: int, share: float) -> None:
    bias = np.zeros(4)
    bias[word] = 1.0
    layers = ((np.zeros((9, 5)), np.zeros(5)), (np.zeros((5, 4)), bias))
    network = LearnedRule(NETWORK, CARD, layers=layers)
    view = view_of(PolicyName.LEARNED, {"A": 70, "B": 0}, {"A": "0.5", "B": "0.2"}, cash=3_000)
    view = replace(view, learned=network, last_rebalance=days(-10))
    found = survey(view)
    trade = policies.decide(view, found).trade
    assert (np.zeros(2) if trade is None else trade) == pytest.approx(share * found.gap)


def test_a_network_s_edge_is_the_band_s() -> None:
    layers = ((np.zeros((9, 4)), np.array([0, 0, 0, 1.0])),)
    view = view_of(PolicyName.LEARNED, {"A": 70}, {"A": "0.5", "B": "0.0"}, cash=3_000)
    view = replace(view, learned=LearnedRule(NETWORK, CARD, layers=layers))
    one = LearnedRule(BAND, CARD, np.zeros(0), np.ones(1), np.zeros(1))
    assert trades_of(view) == pytest.approx(trades_of(replace(view, learned=one)))


def test_a_rule_s_arrays_must_fit() -> None:
    assert RULE.flaw() == ""
    assert "entry a regime" in replace(RULE, scale=np.ones(3)).flaw()
    assert "finite" in replace(RULE, scale=np.array([1.0, np.nan])).flaw()
    assert "negative" in replace(RULE, reset=np.array([0.0, 2.0])).flaw()
    assert "kind is 'x'" in replace(RULE, kind="x").flaw()
    network = LearnedRule(NETWORK, CARD, layers=((np.zeros((9, 4)), np.zeros(4)),))
    assert network.flaw() == ""
    assert "do not fit" in replace(network, layers=((np.zeros((8, 4)), np.zeros(4)),)).flaw()
    assert "do not fit" in replace(network, layers=((np.zeros(9), np.zeros(4)),)).flaw()
    assert "finite" in replace(network, layers=((np.full((9, 4), np.inf), np.zeros(4)),)).flaw()
    assert "a word an output" in replace(network, layers=((np.zeros((9, 2)), np.zeros(2)),)).flaw()
    assert "a word an output" in replace(network, layers=()).flaw()


def test_a_card_says_whether_a_rule_is_worth_using() -> None:
    assert CARD.beats_default
    assert CARD.verdict() == ""
    worse = replace(CARD, difference=0.00001, low=-0.0001, high=0.0002)
    assert not worse.beats_default
    assert "+0.10 bp a year against default, 95 % between -1.00 and +2.00" in worse.verdict()


@given(st.lists(st.tuples(*[st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 1)]), min_size=1, max_size=6))
def test_a_band_never_trades_beyond_its_target(names: list[tuple[float, float, float]]) -> None:
    gap, width, reset = (np.array(column) for column in zip(*names, strict=True))
    trades = banded(gap, width, np.ones(len(gap)), reset)
    assert (np.abs(trades) <= np.abs(gap) + 1e-12).all()
    assert (trades * gap >= 0).all()
    assert (np.abs(gap - trades) <= np.maximum(width, 1e-12) + 1e-12).all()


def test_open_orders_count_as_held() -> None:
    view = view_of(
        PolicyName.NO_TRADE, {"A": 70}, {"A": "0.5"}, cash=3_000, taxable=False,
        orders=[order("A", Side.SELL, 20)],
    )  # fmt: skip
    assert trades_of(view) == {}


def test_a_plan_of_the_zone_is_priced_and_cut_like_any_other() -> None:
    instruments = [Instrument("A", half_spread_bps=Decimal(5))]
    view = view_of(
        PolicyName.NO_TRADE, {"A": 90}, {"A": "0.5", "B": "0.3"}, cash=1_000, instruments=instruments
    )
    plan = propose(view)
    assert plan.action is Action.PARTIAL
    assert plan.policy is PolicyName.NO_TRADE
    assert {item.symbol for item in plan.proposals} == {"A", "B"}
    assert all(item.benefit > item.cost for item in plan.proposals)
