"""Baskets judged as one, taxes as they will be booked, and what must hold of every policy's plan."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from decision_world import AT_REFERENCE, FREE, TODAY, account, calm, days, dec, household, lot, order, sold
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decision import best, tax_record, zone
from gateway.decision.best import locks_of, problem_of, taxed, worth
from gateway.decision.costs import charge_rates, charges, closed_by, price_trade
from gateway.decision.drafting import shared
from gateway.decision.drift import NOISE, survey
from gateway.decision.explain import detailed
from gateway.decision.no_trade.many import amortised
from gateway.decision.policies import decide
from gateway.decision.policy import Plan, propose
from gateway.decision.risk import REMEMBERED, RiskModel
from gateway.decision.terms import OpenLots, last_long_term, lots_of
from gateway.decision.view import View
from gateway.domain.book import Fill
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod, is_long_term
from gateway.domain.order import Side
from gateway.domain.settings import AccountSettings, Costs, Decision, Execution, Limits, Tier, WashSales
from gateway.domain.tax.live import ledger_of
from gateway.events import Others, PolicyName

EXAMPLES = int(os.environ.get("EXAMPLES", "40"))
NAMES = ("A", "B", "C", "D")
BPS = Costs(commission_per_share=dec(0), commission_minimum=dec(0), commission_bps=dec(10))
WEIGHING = (PolicyName.NO_TRADE, PolicyName.OPTIMISE)


def view_of(policy: PolicyName, lots: list[Lot], targets: dict[str, str], **more: Any) -> View:
    """One account; every name costs 100."""
    words = {"policy": policy, **more.pop("decision", {})}
    method, taxable = more.pop("method", LotMethod.FIFO), more.pop("taxable", True)
    chosen = AccountSettings(
        "main", "sim", decision=Decision(**words), costs=more.pop("costs", BPS), taxable=taxable,
        execution=more.pop("execution", AT_REFERENCE), limits=more.pop("limits", Limits()),
    )  # fmt: skip
    main = account("main", more.pop("cash", 0), lots, taxable=taxable, lot_method=method)
    risk = more.pop("risk", None)
    prices = more.pop("prices", dict.fromkeys(NAMES, 100))
    return replace(
        household([main, *more.pop("accounts", ())], prices, targets, of=chosen, **more), risk=risk
    )


def risk_of(*rows: tuple[float, ...]) -> RiskModel:
    return RiskModel.dense(NAMES[: len(rows)], np.array(rows), TODAY)


# ------------------------------------------------------------------------------------ baskets as one

HEDGED = ((0.09, 0.0, 0.085), (0.0, 0.09, 0.0), (0.085, 0.0, 0.0841))


def hedging(policy: PolicyName) -> View:
    """C moves as A does and A is locked: the optimiser buys C instead, away from its target."""
    return view_of(
        policy, [lot("C", 100, 100)], {"A": "0.20", "B": "0.20", "C": "0.10"}, cash=90_000,
        risk=risk_of(*HEDGED), limits=Limits(restricted=frozenset({"A"})), taxable=False,
    )  # fmt: skip


def test_a_hedge_without_worth_of_its_own_is_sent_with_its_basket() -> None:
    view = hedging(PolicyName.OPTIMISE)
    plan = propose(view)
    sent = {item.symbol: item for item in plan.proposals}
    assert sent.keys() == {"B", "C"}
    found = survey(view)
    alone = price_trade(view, "C", Side.BUY, sent["C"].qty, float(found.gap[2]), found.nav)
    assert alone.benefit < 0, "name by name it only leads away from a target"
    assert all(item.is_worth_it for item in plan.proposals)
    moved = np.array([0, float(sent["B"].notional / found.nav), float(sent["C"].notional / found.nav)])
    saved = found.drift_cost(found.gap, 5) - found.drift_cost(found.gap - moved, 5)
    assert sum(item.benefit for item in plan.proposals) == pytest.approx(saved)


def test_shares_go_by_cost_and_add_up_or_there_are_none() -> None:
    view = view_of(PolicyName.TRIGGERS, [lot("A", 100, 100)], {"A": "0.5", "B": "0.4"}, cash=10_000)
    found = survey(view)
    items = {item.symbol: item for item in propose(view).proposals if item.symbol == "B"}
    items["A"] = price_trade(view, "A", Side.SELL, dec(20), -0.1, found.nav)
    cost = sum(item.cost for item in items.values())
    nav = float(found.nav)
    made = shared(items, found, lambda _: 2 * cost / nav)
    assert made == {symbol: pytest.approx(2 * item.cost) for symbol, item in items.items()}
    assert shared(items, found, lambda _: 0.99 * cost / nav) == {}
    free = {symbol: replace(item, commission=0.0, half_spread=0.0) for symbol, item in items.items()}
    size = sum(float(item.notional) for item in free.values())
    assert shared(free, found, lambda _: 1 / nav) == {
        symbol: pytest.approx(float(item.notional) / size) for symbol, item in free.items()
    }
    assert shared({}, found, lambda moved: float(np.abs(moved).sum())) == {}


def test_what_does_not_pay_together_is_judged_name_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A basket's worth counts or not; without it each name says what it is worth alone."""
    view = view_of(PolicyName.NO_TRADE, [lot("A", 160, 100)], {"A": "0.5"}, cash=4_000)
    found = survey(view)
    verdict = decide(view, found)
    assert verdict.worth is not None
    (item,) = propose(view).proposals
    moved = np.array([item.side.sign * float(item.notional / found.nav)])
    assert item.benefit == pytest.approx(verdict.worth(moved) * float(found.nav))
    poor = replace(verdict, worth=lambda _: 0.0)
    monkeypatch.setattr("gateway.decision.policy.decide", lambda *_: poor)
    alone = price_trade(view, "A", Side.SELL, item.qty, float(found.gap[0]), found.nav)
    assert propose(view).proposals[0].benefit == alone.benefit


def test_the_zone_counts_a_trade_over_the_time_its_cost_is_spread_over() -> None:
    """A trade to the edge is worth its cost whatever the horizon, and a name not wanted is sold for good."""
    instruments = [Instrument(name, half_spread_bps=dec(40)) for name in NAMES]
    view = view_of(
        PolicyName.NO_TRADE, [lot("A", 140, 100)], {"A": "0.5"}, cash=6_000, instruments=instruments,
        taxable=False, decision={"horizon_years": dec("0.01")},
    )  # fmt: skip
    (item,) = propose(view).proposals
    assert item.is_worth_it
    short = price_trade(view, "A", Side.SELL, item.qty, -0.2, survey(view).nav)
    assert not short.is_worth_it, "over a hundredth of a year it is not"
    small = view_of(
        PolicyName.NO_TRADE, [lot("A", 2, 100), lot("B", 100, 100)], {"A": "0", "B": "0.5"}, cash=9_800,
        instruments=instruments, taxable=False,
    )  # fmt: skip
    sent = {item.symbol: item for item in propose(small).proposals}
    assert sent.keys() == {"A"}
    assert sent["A"].is_worth_it
    free = view_of(PolicyName.NO_TRADE, [lot("A", 140, 100)], {"A": "0.5"}, cash=6_000, costs=FREE,
                   instruments=[Instrument("A", half_spread_bps=dec(0))], taxable=False)  # fmt: skip
    (item,) = propose(free).proposals
    assert (item.qty, item.cost) == (40, 0)
    assert item.benefit == pytest.approx(0.5 * 5 * 0.09 * 0.2**2 * 20_000)


def test_an_exit_that_unhedges_the_rest_is_not_counted_for_ever() -> None:
    twins = risk_of((0.09, 0.0899), (0.0899, 0.09))
    view = view_of(
        PolicyName.NO_TRADE, [lot("A", 20, 100)], {"A": "0", "B": "0.3"}, cash=8_000, risk=twins,
        taxable=False, limits=Limits(), accounts=[account("ira", 0, [], taxable=False)],
    )  # fmt: skip
    verdict = decide(view, survey(view))
    assert verdict.worth is not None
    alone, both = verdict.worth(np.array([-0.2, 0.0])), verdict.worth(np.array([-0.2, 0.28]))
    assert both > 0
    assert alone < both


def test_a_zone_that_was_not_found_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsure(**words: Any) -> Any:
        return replace(amortised(**words), is_converged=False)

    monkeypatch.setattr(zone, "amortised", unsure)
    view = view_of(PolicyName.NO_TRADE, [lot("A", 140, 100)], {"A": "0.5"}, cash=6_000)
    assert "was not found to be exact" in propose(view).reason


def test_names_left_out_say_so() -> None:
    view = view_of(
        PolicyName.NO_TRADE, [lot("A", 140, 100), lot("B", 101, 100)], {"A": "0.40", "B": "0.40"}, cash=900,
        taxable=False,
    )  # fmt: skip
    notes = {name.symbol: name.note for name in propose(view).names}
    assert notes["B"] == "held: no_trade does not trade it now"
    locked = view_of(
        PolicyName.OPTIMISE, [lot("A", 100, 100)], {"A": "0.4", "B": "0.4"}, cash=10_000,
        realised=[sold("B", -5, -500)],
    )  # fmt: skip
    notes = {name.symbol: name.note for name in propose(locked).names}
    assert notes["B"].startswith("not sent: B was sold at a loss")


# ------------------------------------------------------------------------------------- wash-sale locks


def test_nothing_is_bought_to_balance_a_sale_that_a_wash_sale_forbids() -> None:
    """A and B are twins: without the sale of A, B is not bought; the sale is proposed and denied."""
    twins = risk_of((0.09, 0.088), (0.088, 0.09))
    lots, wife = [lot("A", 100, 300)], account("wife", 0, [lot("A", 1, 90, -3)])
    targets = {"A": "0.0", "B": "0.5"}
    view = view_of(PolicyName.NO_TRADE, lots, targets, cash=10_000, risk=twins, accounts=[wife])
    open_ = replace(view, account=replace(view.account, taxable=False))
    open_.book.accounts["main"].taxable = False
    assert {item.symbol for item in propose(open_).proposals if not item.wash_sale} == {"A", "B"}
    view.book.accounts["main"].taxable = True
    blocked = {item.symbol: item for item in propose(view).proposals}
    assert "wash sale" in blocked["A"].wash_sale
    assert "B" not in blocked or blocked["B"].qty < 50


@pytest.mark.parametrize("policy", WEIGHING)
def test_an_account_that_accepts_wash_sales_pays_for_them(policy: PolicyName) -> None:
    view = view_of(
        policy, [lot("A", 100, 100)], {"A": "0.4", "B": "0.4"}, cash=10_000, realised=[sold("B", -5, -500)],
        decision={"wash_sale": WashSales.ACCEPT},
    )  # fmt: skip
    sent = {item.symbol: item for item in propose(view).proposals}
    assert sent["B"].wash_cost > 0
    assert sent["B"].is_worth_it
    found = survey(view)
    locks = locks_of(view, found)
    assert not locks.no_buy.any()
    assert locks.buy[1] > 0


# ------------------------------------------------------------------------------------------ lots and tax


def test_lots_that_open_orders_sell_are_gone() -> None:
    lots = [lot("A", 50, 20, -900, "old"), lot("A", 50, 90, -800, "new")]
    view = view_of(
        PolicyName.OPTIMISE, lots, {"A": "0.10"}, cash=10_000, orders=[order("A", Side.SELL, 60)],
    )  # fmt: skip
    found = survey(view)
    left = lots_of(view, found)
    assert left.weight.tolist() == pytest.approx([0.2])
    assert left.tax.tolist() == pytest.approx([0.1 * 0.20])
    assert "the optimiser holds" not in decide(view, found).reason
    other = replace(view, open_orders=(order("A", Side.SELL, 60, of="wife"), order("A", Side.BUY, 5)))
    assert lots_of(other, survey(other)).weight.tolist() == pytest.approx([0.25, 0.25])


def test_without_cheapest_first_a_name_is_taxed_as_the_sale_that_closes_its_gap() -> None:
    lots = [lot("A", 50, 20, -900, "old"), lot("A", 100, 120, -800, "new")]
    fifo = view_of(PolicyName.OPTIMISE, lots, {"A": "0.5"}, cash=5_000)
    found = survey(fifo)
    assert found.gap[0] == pytest.approx(-0.25)
    made = taxed(fifo, found)
    assert (made.name.tolist(), made.weight.tolist()) == ([0], [pytest.approx(0.75)])
    assert made.tax[0] == pytest.approx(0.8 * 0.20)
    cheap = view_of(PolicyName.OPTIMISE, lots, {"A": "0.5"}, cash=5_000, method=LotMethod.MIN_TAX)
    assert taxed(cheap, survey(cheap)).tax.tolist() == pytest.approx([-0.2 * 0.20, 0.8 * 0.20])
    assert OpenLots().of_sale(np.zeros(2)).tolist() == [0, 0]
    assert taxed(view_of(PolicyName.OPTIMISE, [], {"A": "0.5"}, cash=5_000), found).name.size == 0


def test_tax_is_that_of_what_the_book_will_close_on_its_adjusted_basis() -> None:
    """80 of a loss went into the lot bought five days later: a sale at 100 gains 120, not 200."""
    lots = [lot("A", 10, 80, -395, "replacement")]
    view = view_of(
        PolicyName.TRIGGERS, lots, {"A": "0"}, cash=0, realised=[sold("A", -400, -80)], costs=FREE,
        decision={"any_drift": dec(0)},
    )  # fmt: skip
    item = price_trade(view, "A", Side.SELL, dec(10), -1.0, dec(1000))
    assert item.tax == pytest.approx(120 * 0.20)
    (name,) = detailed(view, propose(view))
    assert [part.tax for part in name.lots] == [pytest.approx(item.tax)]
    assert closed_by(view, "A", Side.SELL, dec(10))[0].cost == 880
    plain = replace(view, book=replace(view.book, realised=[]))
    assert price_trade(plain, "A", Side.SELL, dec(10), -1.0, dec(1000)).tax == pytest.approx(200 * 0.20)


def test_a_min_tax_account_is_priced_as_it_will_be_booked() -> None:
    """The long-term gain of 45 is taxed 9, the short-term one of 30 is 11.1: highest cost is not cheapest."""
    lots = [lot("A", 10, 55, -900, "long"), lot("A", 10, 70, -100, "short")]
    view = view_of(PolicyName.TRIGGERS, lots, {"A": "0"}, method=LotMethod.MIN_TAX, costs=FREE)
    item = price_trade(view, "A", Side.SELL, dec(10), -0.5, dec(2000))
    assert item.tax == pytest.approx(450 * 0.20)
    assert [one.lot_id for one in closed_by(view, "A", Side.SELL, dec(10))] == ["long"]
    fill = Fill("main", "A", Side.SELL, dec(10), dec(100), dec(0), "x", TODAY)
    assert [gain.lot_id for gain in view.book.apply(fill)] == ["long"]


def test_a_remembered_ledger_is_the_one_that_would_be_made_again() -> None:
    lots = [lot("A", 10, 80, -3, "replacement")]
    view = view_of(PolicyName.TRIGGERS, lots, {"A": "0.5"}, cash=1000, realised=[sold("A", -5, -80)])
    record = tax_record.tax_record(view)
    first = record.ledger("A")
    assert tax_record.tax_record(view).ledger("A") is first
    view.book.realised.append(sold("A", -4, -50, qty=5))
    again = tax_record.tax_record(view)
    fresh = ledger_of(view.book, view.instruments, 30)
    assert again.ledger("A") is not first
    parts = again.parts("main", "A", "replacement")
    made = fresh.holding("main", "A", is_short=False).named("replacement")
    assert [(one.qty, one.basis, one.since) for one in parts] == [
        (one.qty, one.basis, one.since) for one in made
    ]
    assert record.gains("A") == [sold("A", -5, -80)], "an earlier record stays as it was"
    view.book.realised[:] = [sold("A", -5, 80)]
    assert tax_record.tax_record(view).ledger("A") is None
    assert tax_record._remembered({1: 1, 2: 2}, 3, 3, 2) == 3


def test_the_last_day_of_long_term_is_the_statute_s() -> None:
    for on in (TODAY, days(-12), days(-11), days(700)):
        last = last_long_term(on)
        assert is_long_term(last, on)
        assert not is_long_term(last + (TODAY - days(-1)), on)


def test_a_dense_model_is_taken_apart_once_for_the_names_asked_for() -> None:
    risk = risk_of(*HEDGED)
    vol = np.full(3, 0.3)
    found = risk.apart(NAMES[:3], vol)
    assert risk.apart(NAMES[:3], vol) is found
    assert found.specific.min() > 0
    whole = found.factors @ found.factors.T + np.diag(found.specific)
    assert whole == pytest.approx(np.array(HEDGED))
    for n in range(REMEMBERED):
        risk.apart(("A", f"X{n}"), vol[:2])
    assert risk.apart(NAMES[:3], vol) is not found
    factors = RiskModel(NAMES, np.full((4, 1), 0.2), np.full(4, 0.01), TODAY)
    assert factors.apart(NAMES, np.full(4, 0.3)).factors.shape == (4, 1)


@calm
@given(
    st.builds(
        Costs,
        commission_per_share=st.sampled_from([dec(0), dec("0.005")]),
        commission_minimum=st.sampled_from([dec(0), dec(1)]),
        commission_bps=st.sampled_from([dec(0), dec(5)]),
        commission_per_order=st.sampled_from([dec(0), dec("0.5")]),
        commission_maximum_bps=st.sampled_from([dec(0), dec(100)]),
        tiers=st.sampled_from([(), (Tier(dec(0), dec("0.0035")), Tier(dec(300), dec("0.002")))]),
        monthly_shares=st.sampled_from([dec(0), dec(250), dec(400)]),
        clearing_per_share=st.sampled_from([dec(0), dec("0.0002")]),
        sell_fee_bps=st.sampled_from([dec(0), dec("0.278")]),
        sell_fee_per_share=st.just(dec("0.000166")),
        sell_fee_maximum=st.just(dec("0.01")),
        fx_bps=st.sampled_from([dec(0), dec(3)]),
        fx_minimum=st.sampled_from([dec(0), dec(2)]),
    ),
    st.lists(st.tuples(st.integers(1, 900), st.integers(1, 500)), min_size=1, max_size=4),
    st.sampled_from([Side.BUY, Side.SELL]),
)
def test_many_names_are_charged_what_each_is(costs: Costs, trades: list[tuple[int, int]], side: Side) -> None:
    instruments = [Instrument("A", currency="EUR"), Instrument("B", daily_volume=dec(9000))]
    view = view_of(PolicyName.TRIGGERS, [], {}, costs=costs, instruments=instruments)
    names = NAMES[: len(trades)]
    qty, price = (np.array(column, dtype=float) for column in zip(*trades, strict=True))
    made = charge_rates(view, names, qty, price, side)
    for symbol, (size, px), rate in zip(names, trades, made.tolist(), strict=True):
        parts = charges(view, symbol, side, Decimal(size), Decimal(px))
        whole = float(parts.commission + parts.conversion) + parts.half_spread + parts.impact
        assert rate == pytest.approx(whole / (size * px), rel=1e-9, abs=1e-15)


# ------------------------------------------------------------------------------- what must always hold


@st.composite
def households(draw: st.DrawFn) -> View:
    """An account of four names, of which some were sold at a loss lately by it or by another."""
    lots = [
        lot(name, qty, draw(st.integers(50, 150)), draw(st.sampled_from([-900, -20])))
        for name in NAMES
        if (qty := draw(st.integers(0, 200)))
    ]
    targets = {name: dec(draw(st.integers(0, 25))) / 100 for name in NAMES}
    losers = draw(st.sets(st.sampled_from(NAMES)))
    costs = draw(st.sampled_from([BPS, Costs(), FREE]))
    chosen = AccountSettings(
        "main", "sim", costs=costs, execution=draw(st.sampled_from([AT_REFERENCE, Execution()])),
        decision=Decision(policy=draw(st.sampled_from(list(PolicyName))), drift_band_absolute=dec("0.01")),
    )  # fmt: skip
    method = draw(st.sampled_from(list(LotMethod)))
    main = account("main", draw(st.integers(0, 30_000)), lots, lot_method=method)
    view = household(
        [main, account("wife")], dict.fromkeys(NAMES, 100), targets, of=chosen,
        realised=[sold(name, -draw(st.integers(0, 30)), -300, of="wife") for name in sorted(losers)],
        others=draw(st.sampled_from(list(Others))),
        orders=[order("A", Side.BUY, 7)] if draw(st.booleans()) else [],
    )  # fmt: skip
    loadings = np.array([[0.2, 0.0], [0.2, 0.1], [-0.1, 0.2], [0.0, 0.3]])
    risk = RiskModel(NAMES, loadings, np.full(4, 0.01), TODAY)
    return replace(view, risk=draw(st.sampled_from([None, risk])))


def sendable(plan: Plan) -> list[Any]:
    return [item for item in plan.proposals if item.is_worth_it and not item.wash_sale]


@settings(max_examples=EXAMPLES, deadline=None)
@given(households())
def test_no_order_of_any_policy_increases_what_a_loss_has_locked(view: View) -> None:
    record = tax_record.tax_record(view)
    lost = {symbol for symbol in NAMES if record.waiting(symbol)}
    plan = propose(view)
    for item in sendable(plan):
        assert not (item.side is Side.BUY and item.symbol in lost), (plan.policy, item)
    before = {name.symbol: name.weight_before for name in plan.names}
    assert all(name.weight_after <= before[name.symbol] + NOISE for name in plan.names if name.symbol in lost)


@settings(max_examples=EXAMPLES, deadline=None)
@given(households())
def test_no_whole_plan_costs_more_than_the_cash_there_is(view: View) -> None:
    plan = propose(view)
    free = plan.cash - view.account.execution.cash_buffer * plan.nav
    free -= sum((one.leaves_qty * 100 for one in view.open_orders), Decimal(0))
    for item in sendable(plan):
        if item.side is Side.BUY:
            free -= item.notional + Decimal(str(item.commission))
        else:
            free += item.notional - Decimal(str(item.cost))
    assert free >= -Decimal("1e-6") or not any(item.side is Side.BUY for item in sendable(plan))


@settings(max_examples=EXAMPLES, deadline=None)
@given(households())
def test_the_optimiser_is_never_worse_than_nothing_or_a_full_rebalance(view: View) -> None:
    found = survey(view)
    if found.nav <= 0:
        return
    problem = problem_of(view, found, locks_of(view, found))
    verdict = best.Optimised().decide(view, found)
    made = np.zeros_like(found.gap) if verdict.trade is None else verdict.trade

    def score(trades: Any) -> float:
        buy, sell = problem.each(problem.buy_cost), problem.each(problem.sell_cost)
        paid = buy @ np.maximum(trades, 0) + sell @ np.maximum(-trades, 0)
        return worth(problem, trades) - float(paid)

    assert score(made) >= score(np.zeros_like(made)) - 1e-9
    full = np.round(found.gap * float(found.nav) / 100) * 100 / float(found.nav)
    ladder_sum = problem.held + full
    is_allowed = (
        not (problem.locked(problem.no_buy) & (full > 0)).any()
        and not (problem.locked(problem.no_sell) & (full < 0)).any()
        and (ladder_sum >= problem.each(problem.lower) - NOISE).all()
        and float(np.abs(full).sum()) <= problem.turnover
        and problem.budget - float(ladder_sum.sum()) - 0.003 >= problem.cash_lower
    )
    if is_allowed:
        assert score(made) >= score(full) - 1e-9


def test_a_basket_that_the_cash_breaks_is_cut_again_without_its_sales(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the buys are cut the rest no longer pays: then its sales go out only if they pay alone."""
    view = hedging(PolicyName.OPTIMISE)
    found = survey(view)
    verdict = decide(view, found)
    asked: list[int] = []

    def fading(_: Any) -> float:
        asked.append(1)
        return 1.0 if len(asked) == 1 else 0.0

    lots = [lot("A", 100, 100), lot("C", 100, 100)]
    view = view_of(
        PolicyName.OPTIMISE, lots, {"A": "0.495", "B": "0.9", "C": "0.05"}, cash=100, taxable=False
    )
    trade = np.array([-0.01, 0.90, -0.40])
    monkeypatch.setattr(
        "gateway.decision.policy.decide", lambda *_: replace(verdict, trade=trade, worth=fading)
    )
    plan = propose(view)
    sent = {item.symbol for item in sendable(plan)}
    assert len(asked) == 2
    assert "A" not in sent, "alone it leads away from its target"
    spent = sum(item.notional for item in sendable(plan) if item.side is Side.BUY)
    got = sum(item.notional for item in sendable(plan) if item.side is Side.SELL)
    assert spent <= got + 100
