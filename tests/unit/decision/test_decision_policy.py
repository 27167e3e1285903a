"""The policy: whole plans, from a view to proposals, reasons and what is left."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from decision_world import (
    AT_REFERENCE,
    FREE,
    account,
    calm,
    days,
    dec,
    decision,
    household,
    lot,
    order,
    sold,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import load
from gateway.decision.costs import cash_needed, proceeds
from gateway.decision.policy import Plan, propose
from gateway.decision.view import View
from gateway.domain.book import Account, Book
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, relieve
from gateway.domain.order import Side
from gateway.domain.settings import Execution, Limits
from gateway.events import Action, DenyReason, Others, Regime
from gateway.oms.checks import Gate, check
from gateway.oms.state import Price

CONFIG = Path(__file__).parents[3] / "config"


def trades(plan: Plan) -> dict[str, Decimal]:
    return {item.symbol: item.side.sign * item.qty for item in plan.proposals}


def notes(plan: Plan) -> dict[str, str]:
    return {name.symbol: name.note for name in plan.names}


# ----------------------------------------------------------------------------- the shipped example


def example() -> View:
    """The view of the example household on the day its prices closed."""
    config = load(CONFIG / "gateway.toml")
    settings = config.settings()
    held = account("main", config.accounts["main"].opening_cash)
    for number, one in enumerate(config.opening_lots("main")):
        acquired = date.fromisoformat(one.acquired)
        held.lots.setdefault(one.symbol, []).append(Lot(str(number), one.symbol, acquired, one.qty, one.cost))
        held.positions[one.symbol] = held.positions.get(one.symbol, Decimal(0)) + one.qty

    def column(name: str, value: str) -> dict[str, Decimal]:
        with (CONFIG / "example" / name).open(encoding="utf-8") as rows:
            return {row["symbol"]: dec(row[value]) for row in csv.DictReader(rows)}

    return View(
        date(2022, 12, 28), settings.accounts["main"], Book({"main": held}), settings.instruments,
        column("prices.csv", "price"), column("targets.csv", "weight"), Others.KEEP, Regime.NORMAL,
    )  # fmt: skip


def test_the_example_denies_amd_mrk_and_ge_and_trades_the_rest() -> None:
    view = example()
    plan = propose(view)
    now = datetime(2022, 12, 28, 21, tzinfo=UTC)
    prices = {symbol: Price(px, now) for symbol, px in view.prices.items()}
    gate = Gate(now, view.account, plan.nav, view.instruments, prices, view.book.accounts["main"].positions)
    approved, denied = check(plan.proposals, gate)
    assert {one.symbol: one.reason for one in denied} == {
        "AMD": DenyReason.WASH_SALE,
        "MRK": DenyReason.TRANSACTION_COST,
        "GE": DenyReason.TRANSACTION_COST,
    }
    assert plan.action is Action.FULL
    assert plan.nav == dec("825940.90")
    assert len(approved) == 17
    assert len(plan.names) == 20
    sent = [item.proposal for item in approved]
    spent = sum((item.cash_needed for item in approved), Decimal(0))
    brought = sum((proceeds(item) for item in sent if item.side is Side.SELL), Decimal(0))
    unspent = plan.cash + brought - view.account.execution.cash_buffer * plan.nav - spent
    assert 0 <= unspent < 50


# ---------------------------------------------------------------------------------- hold and how far


def test_hold_explains_every_name() -> None:
    held = account("main", 500, [lot("A", 5, 50), lot("B", 1, 50), lot("K", 1, 50)])
    targets = {"A": "0.4", "B": "0.06", "Y": "0.001", "Z": "0"}
    view = household([held], {"A": 80, "B": 50, "K": 50}, targets, decision=decision(any_drift="0.02"))
    plan = propose(view)
    assert (plan.action, plan.proposals) == (Action.HOLD, ())
    assert plan.reason == "largest drift 1.00% is within 2.00% of NAV"
    assert notes(plan) == {
        "A": "on target",
        "B": "held: no trigger fired",
        "K": "kept: the request does not name it",
        "Y": "no fresh price",
        "Z": "on target",
    }
    assert plan.tracking_error_left == pytest.approx(0.30 * (0.01**2 + 0.001**2) ** 0.5)
    kept = plan.names[2]
    assert (kept.weight_before, kept.weight_target, kept.weight_after) == (0.05, 0.05, 0.05)


@pytest.mark.parametrize("cash", [0, -1000])
def test_without_nav_there_are_no_weights(cash: int) -> None:
    held = account("main", cash, [lot("K", 1, 5)] if cash else [])
    plan = propose(household([held], {"A": 90, "K": 5}, {"A": "0.45"}))
    assert plan.action is Action.HOLD
    assert "not positive" in plan.reason
    assert plan.proposals == ()


def test_an_empty_account_that_holds_what_nets_to_nothing() -> None:
    held = account("main", -5, [lot("K", 1, 5)])
    plan = propose(household([held], {"K": 5}))
    assert plan.nav == 0
    assert plan.names[0].weight_before == 0.0


def test_partial_closes_its_share_of_the_gap() -> None:
    view = household([account("main", 100_000)], {"A": 100}, {"A": "0.10"})
    assert propose(view).action is Action.PARTIAL
    assert trades(propose(view)) == {"A": 50}
    third = household(
        [account("main", 100_000)], {"A": 100}, {"A": "0.10"}, decision=decision(partial_fraction="0.3")
    )
    assert trades(propose(third)) == {"A": 30}


def test_full_and_immediate_close_all_of_it() -> None:
    held = account("main", 70_000, [lot("A", 300, 50)])
    view = household([held], {"A": 100}, {"A": "0.10"})
    assert (propose(view).action, trades(propose(view))) == (Action.FULL, {"A": -200})
    view = household([held], {"A": 100}, {"A": "0.10"}, regime=Regime.CRISIS)
    assert (propose(view).action, trades(propose(view))) == (Action.IMMEDIATE, {"A": -200})


def test_immediate_trades_what_is_not_worth_its_cost() -> None:
    held = account("main", 70_000, [lot("A", 300, 50)])
    targets = {"A": "0.10", "B": "0.0001"}
    prices = {"A": 100, "B": 10}
    normal = propose(household([held], prices, targets))
    assert notes(normal)["B"].startswith("not sent: benefit 0.00 does not exceed cost 1.00")
    crisis = propose(household([held], prices, targets, regime=Regime.CRISIS))
    assert notes(crisis)["B"] == ""
    assert trades(crisis)["B"] == 1


# ------------------------------------------------------------------------------------------- money


def test_sales_come_first_then_buys_by_benefit() -> None:
    held = account("main", 1000, [lot("A", 500, 50), lot("B", 400, 50)])
    targets = {"A": "0.1", "B": "0.1", "C": "0.1", "D": "0.3"}
    plan = propose(household([held], dict.fromkeys("ABCD", 100), targets))
    assert [item.symbol for item in plan.proposals] == ["A", "B", "D", "C"]
    assert [item.side for item in plan.proposals] == [Side.SELL, Side.SELL, Side.BUY, Side.BUY]


def test_buys_are_cut_to_cash_less_buffer_and_open_buys() -> None:
    orders = [order("Q", Side.BUY, 100), order("Q", Side.SELL, 1), order("Q", Side.BUY, 100, of="x")]
    view = household(
        [account("main", 100_000)],
        {"A": 100, "B": 100, "Q": 100},
        {"A": "0.5", "B": "0.5"},
        orders=orders,
        costs=FREE,
        execution=Execution(cash_buffer=dec("0.1"), limit_offset_bps=dec(0)),
        decision=decision(single_asset_drift=1),
    )
    plan = propose(view)
    assert trades(plan) == {"A": 400, "B": 400}
    assert notes(plan)["A"] == "cut from 500 to the cash there is"


def test_a_buy_the_cash_cannot_pay_at_all_is_explained() -> None:
    view = household(
        [account("main", 1000)],
        {"A": 900, "B": 100},
        {"A": "0.9", "B": "0.1"},
        costs=FREE,
        execution=Execution(cash_buffer=dec("0.2"), limit_offset_bps=dec(0)),
        decision=decision(single_asset_drift=1),
    )
    plan = propose(view)
    assert trades(plan) == {"B": 1}
    assert notes(plan)["A"] == "the cash does not pay for any of 1"


def test_a_buy_cut_below_its_worth_is_not_sent() -> None:
    # Nine names take the cash; what is left for each is worth less than the least commission.
    names = "ABCDEFGHI"
    view = household(
        [account("main", 400, [lot("K", 996, 50)])],
        dict.fromkeys(names, 3) | {"K": 100},
        dict.fromkeys(names, "0.011"),
    )
    plan = propose(view)
    assert plan.proposals
    assert all(item.benefit <= item.commission + item.half_spread for item in plan.proposals)
    assert all(note.startswith(("not sent: benefit", "the cash", "kept")) for note in notes(plan).values())
    assert all(name.weight_after == name.weight_before for name in plan.names)


def test_what_will_not_be_sent_takes_no_cash_and_leaves_its_gap() -> None:
    names = [Instrument("IVV", identical_group="x"), Instrument("VOO", identical_group="x")]
    view = household(
        [account("main", 100_000)],
        {"VOO": 100, "A": 100},
        {"VOO": "0.5", "A": "0.9"},
        instruments=names,
        realised=[sold("IVV", -3, -5)],
        costs=FREE,
        execution=AT_REFERENCE,
        decision=decision(single_asset_drift=1),
    )
    plan = propose(view)
    assert trades(plan) == {"A": 900, "VOO": 500}
    assert notes(plan)["VOO"].startswith("not sent: IVV was sold at a loss")
    after = {name.symbol: name.weight_after for name in plan.names}
    assert after == {"A": 0.9, "VOO": 0.0}
    assert plan.tracking_error_left == pytest.approx(0.30 * 0.5)


def test_short_proceeds_buy_nothing() -> None:
    view = household(
        [account("main", 10_000)],
        {"A": 100, "B": 100},
        {"A": "-0.5", "B": "1.4"},
        limits=Limits(allow_short=True),
        costs=FREE,
        execution=AT_REFERENCE,
        decision=decision(single_asset_drift=2),
    )
    plan = propose(view)
    assert [item.side for item in plan.proposals] == [Side.SELL_SHORT, Side.BUY]
    assert trades(plan) == {"A": -50, "B": 100}


# -------------------------------------------------------------------------------------- wash sales


def twins(unit_cost: object, **more: Any) -> View:
    """An account that should move from IVV to VOO, which are one thing."""
    names = [Instrument("IVV", identical_group="x"), Instrument("VOO", identical_group="x")]
    held = account("main", 50_000, [lot("IVV", 500, unit_cost)])
    return household(
        [held], {"IVV": 100, "VOO": 100, "A": 100}, {"IVV": "0", "VOO": "0.4", "A": "0.1"},
        instruments=names, **more,
    )  # fmt: skip


def test_a_plan_does_not_wash_its_own_loss() -> None:
    plan = propose(twins(150))
    by_name = {item.symbol: item for item in plan.proposals}
    assert by_name["IVV"].wash_sale == ""
    assert by_name["VOO"].wash_sale.startswith("this plan sells IVV at a loss: to buy VOO would wash it")
    assert by_name["A"].wash_sale == ""


def test_a_gain_or_a_sale_that_is_refused_anyway_stops_no_purchase() -> None:
    assert {item.wash_sale for item in propose(twins(50)).proposals} == {""}
    recent = account("wife", 0, [lot("VOO", 1, 100, bought=-2)])
    view = twins(150)
    view.book.accounts["wife"] = recent
    by_name = {item.symbol: item for item in propose(view).proposals}
    assert "VOO was bought on" in by_name["IVV"].wash_sale
    assert by_name["VOO"].wash_sale == ""


# ------------------------------------------------------------------------------- what is not traded


def test_every_untraded_name_says_why() -> None:
    names = [Instrument("MIN", min_notional=dec(5000))]
    held = account("main", 98_000, [lot("ON", 20, 50), lot("SELLME", 10, 50)])
    view = household(
        [held],
        {"ON": 50, "MIN": 10, "BIG": 900, "SELLME": 100},
        {"ON": "0.01", "MIN": "0.02", "BIG": "0.003", "SELLME": "-0.01", "BLIND": "0.01"},
        instruments=names,
        orders=[order("SELLME", Side.SELL, 10)],
    )
    plan = propose(view)
    assert notes(plan) == {
        "BIG": "gap of +300.00 left: a lot is 900.00, the smallest order 0.00",
        "BLIND": "no fresh price",
        "MIN": "gap of +2000.00 left: a lot is 10.00, the smallest order 5000.00",
        "ON": "on target",
        "SELLME": "gap of -1000.00 left: a lot is 100.00, the smallest order 0.00, 10 held to sell",
    }
    assert plan.missing_prices == ("BLIND",)
    assert plan.proposals == ()


# ------------------------------------------------------------------------------------- properties

SYMBOLS = "ABCDEF"


@st.composite
def views(draw: st.DrawFn) -> View:
    """Households of two accounts with lots, open orders, past losses, odd lot sizes and any targets."""
    prices = {symbol: draw(st.integers(1, 400)) for symbol in SYMBOLS}
    lots = [
        lot(symbol, draw(st.integers(1, 300)), draw(st.integers(1, 400)), bought=-draw(st.integers(0, 800)))
        for symbol in draw(st.sets(st.sampled_from(SYMBOLS)))
    ]
    weights = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6))
    total = max(100, sum(weights))
    targets = {symbol: Decimal(weight) / total for symbol, weight in zip(SYMBOLS, weights, strict=False)}
    groups = draw(st.lists(st.sampled_from(["", "x", "y"]), min_size=6, max_size=6))
    sizes = draw(st.lists(st.sampled_from(["1", "10", "0.001"]), min_size=6, max_size=6))
    names = [
        Instrument(symbol, lot_size=dec(size), identical_group=group, min_notional=dec(50))
        for symbol, size, group in zip(SYMBOLS, sizes, groups, strict=True)
    ]
    positions = {one.symbol: one.qty for one in lots}
    orders = [
        order(symbol, Side.SELL, draw(st.integers(1, int(qty))))
        for symbol, qty in positions.items()
        if draw(st.booleans())
    ]
    realised = [sold(draw(st.sampled_from(SYMBOLS)), -draw(st.integers(0, 40)), -5, of="wife")]
    accounts = [account("main", draw(st.integers(0, 50_000)), lots), account("wife")]
    return household(
        accounts, prices, targets, instruments=names, orders=orders, realised=realised,
        others=draw(st.sampled_from(Others)), regime=draw(st.sampled_from(Regime)),
    )  # fmt: skip


def free_to_sell(view: View, held: Account, symbol: str) -> Decimal:
    """What is held less what open orders may still sell."""
    selling = sum((one.leaves_qty for one in view.open_orders if one.symbol == symbol), Decimal(0))
    return held.positions.get(symbol, Decimal(0)) - selling


@calm
@given(views())
def test_every_plan_keeps_its_promises(view: View) -> None:
    plan = propose(view)
    held = view.book.accounts["main"]
    budget = held.cash - view.account.execution.cash_buffer * plan.nav
    seen_buy = False
    for item in plan.proposals:
        seen_buy |= item.side is Side.BUY
        assert item.qty > 0
        assert item.qty % view.instruments[item.symbol].lot_size == 0
        assert item.notional >= 50
        note = notes(plan)[item.symbol]
        if item.side is Side.SELL:
            assert not seen_buy
            assert item.qty <= free_to_sell(view, held, item.symbol)
        if note.startswith("not sent"):
            continue
        budget += proceeds(item) if item.side is Side.SELL else -cash_needed(view, item)
        if item.side is Side.BUY:
            assert budget >= 0
    assert {name.symbol for name in plan.names} == {*held.positions, *view.targets}
    assert all(name.note or name.qty for name in plan.names)
    assert propose(view) == plan  # a function of its view


@calm
@given(views())
def test_no_plan_sells_at_a_loss_and_buys_the_same_thing(view: View) -> None:
    sent = [item for item in propose(view).proposals if not item.wash_sale]
    bought = {view.instruments[item.symbol].group for item in sent if item.side is Side.BUY}
    (gain,) = view.book.realised
    lost = view.instruments[gain.symbol].group
    replaced = sum(
        one.qty
        for symbol, lots in view.book.accounts["main"].lots.items()
        if view.instruments[symbol].group == lost
        for one in lots
        if abs((one.acquired - gain.sold).days) <= 30
    )
    if gain.sold >= days(-30) and replaced < gain.qty:
        assert lost not in bought
    for item in sent:
        if item.side is Side.SELL and view.instruments[item.symbol].group in bought:
            sold_lots = view.book.accounts["main"].lots[item.symbol]
            reliefs = relieve(sold_lots, item.qty, view.book.accounts["main"].lot_method)
            assert all(one.cost <= item.price * one.qty for one in reliefs) or not item.is_worth_it


@calm
@given(views())
def test_a_trade_never_leaves_a_larger_gap(view: View) -> None:
    plan = propose(replace(view, open_orders=()))
    for name in plan.names:
        left = abs(name.weight_after - name.weight_target)
        assert left <= abs(name.weight_before - name.weight_target) + 1e-12
