"""Harvesting: what a loss is worth, which lots and substitutes, and what must never be proposed."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decision_world import TODAY, account, calm, days, dec, household, lot, sold
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.harvest import HarvestPlan, Swap, harvest, swap_back
from gateway.decision.risk import RiskModel
from gateway.decision.tax_room import Room, deferred, room_of, valued
from gateway.decision.view import View
from gateway.decision.wash_sale import watch
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod, RealisedGain
from gateway.domain.order import Side
from gateway.domain.settings import AccountSettings, Costs, Harvest

RATES = Costs(
    commission_per_share=dec(0), commission_minimum=dec(0), short_term_rate=dec("0.408"),
    long_term_rate=dec("0.238"),
)  # fmt: skip
TERMS = Harvest(later_rate=dec("0.238"), years=dec(10), discount_rate=dec("0.05"))
SETTINGS = AccountSettings("main", "sim", costs=RATES, harvest=TERMS)
PLENTY = Room(short=1e9)
NAMES = ("A", "B", "C")


def risk_of(correlation: float = 0.9, names: Sequence[str] = NAMES) -> RiskModel:
    matrix = np.full((len(names), len(names)), correlation * 0.04)
    np.fill_diagonal(matrix, 0.04)
    return RiskModel.dense(names, matrix, TODAY)


def world(
    lots: Sequence[Lot],
    prices: Mapping[str, object],
    *,
    correlation: float = 0.9,
    cash: object = 0,
    **words: Any,
) -> View:
    of = words.pop("of", SETTINGS)
    more = {name: words.pop(name) for name in ("lot_method", "taxable") if name in words}
    view = household([account("main", cash, lots, **more)], prices, of=of, **words)
    return replace(view, risk=risk_of(correlation))


def plan(view: View, others: Mapping[str, Sequence[str]], room: Room = PLENTY) -> HarvestPlan:
    return harvest(view, watch(view), others, room)


def only(found: HarvestPlan) -> Swap:
    assert len(found.swaps) == 1, found
    return found.swaps[0]


# ---------------------------------------------------------------------------- what a loss is worth


@pytest.mark.parametrize(
    ("now", "later", "years", "worth"),
    [("0.408", "0.238", 10, 2619), ("0.238", "0.238", 1, 113), ("0.35", "0.35", 10, 1351)],
)
def test_a_loss_is_worth_its_deferral_and_its_rates_not_loss_times_rate(
    now: str, later: str, years: int, worth: int
) -> None:
    terms = replace(TERMS, later_rate=dec(later), years=dec(years))
    costs = replace(RATES, short_term_rate=dec(now))
    settings = replace(SETTINGS, costs=costs, harvest=terms)
    saved, taxed, room = valued([(-10_000.0, False)], settings, Room(short=10_000))
    assert saved == pytest.approx(10_000 * float(dec(now)))
    assert saved - taxed == pytest.approx(worth, abs=1)
    assert room == Room()


@pytest.mark.parametrize(
    ("is_long", "room", "saved"),
    [
        (
            False,
            Room(short=600, long=300, ordinary=50),
            600 * 0.408 + 300 * 0.238 + 50 * 0.37 + 50 / 1.05 * 0.238,
        ),
        (
            True,
            Room(short=600, long=300, ordinary=50),
            600 * 0.408 + 300 * 0.238 + 50 * 0.37 + 50 / 1.05 * 0.238,
        ),
        (False, Room(short=400, long=5000), 400 * 0.408 + 600 * 0.238),
        (True, Room(short=400, long=800), 800 * 0.238 + 200 * 0.408),
        (False, Room(ordinary=3000), 1000 * 0.37),
        (False, Room(), 1000 / 1.05 * 0.238),
    ],
)
def test_a_loss_nets_by_term_then_income_then_is_carried(is_long: bool, room: Room, saved: float) -> None:
    found, taxed, _ = valued([(-1000.0, is_long)], SETTINGS, room)
    assert found == pytest.approx(saved)
    assert taxed == pytest.approx(deferred(1000, TERMS)) == pytest.approx(1000 * 0.238 / 1.05**10)


def test_a_gain_in_the_same_sale_pays_its_tax_and_makes_room_for_the_loss() -> None:
    saved, taxed, room = valued([(-300.0, False), (200.0, True), (50.0, False)], SETTINGS, Room())
    assert saved == pytest.approx(50 / 1.05 * 0.238)
    assert taxed == pytest.approx(deferred(50, TERMS))
    assert room == Room()


def test_the_room_of_a_year_counts_its_gains_losses_and_the_carry() -> None:
    def after(*gains: RealisedGain, carried: int = 0) -> Room:
        book = household([account("main")], {}, realised=gains).book
        return room_of(book, ["main"], TODAY, TERMS, dec(carried))

    short, long = sold("A", -10, 5000, bought=-100), sold("B", -10, 2000)
    assert after() == Room(ordinary=3000)
    assert after(short, long) == Room(5000, 2000, 3000)
    assert after(short, sold("B", -10, -1500)) == Room(3500, 0, 3000)
    assert after(sold("A", -10, -1500, bought=-100), long) == Room(0, 500, 3000)
    assert after(sold("A", -10, -2500, bought=-100), long) == Room(0, 0, 2500)
    assert after(short, long, carried=8000) == Room(0, 0, 2000)
    assert after(short, long, carried=1000) == Room(4000, 2000, 3000), "short gains first"
    assert after(short, short, long, long, carried=0) == Room(10_000, 4000, 3000)
    assert after(sold("A", -100, 9000)) == Room(ordinary=3000), "last year's gains are over"
    assert after(sold("A", -10, 9000, of="ira")) == Room(ordinary=3000), "of no taxable account"


@calm
@given(room=st.builds(Room, *[st.floats(0, 1e6)] * 3), loss=st.floats(0, 1e6), is_long=st.booleans())
def test_every_cent_of_a_loss_goes_somewhere_and_no_room_is_overdrawn(
    room: Room, loss: float, is_long: bool
) -> None:
    left, split = room.taken(loss, is_long=is_long)
    parts = (split.short, split.long, split.ordinary, split.carried)
    assert sum(parts) == pytest.approx(loss)
    assert min(parts) >= -1e-9
    assert min(left.short, left.long, left.ordinary) >= -1e-9


# ------------------------------------------------------------------------------------ what is planned


def test_a_losing_name_is_swapped_for_its_substitute_with_every_number() -> None:
    view = world([lot("A", 100, 1000)], {"A": 900, "B": 450}, cash=10_000)
    swap = only(plan(view, {"A": ["B"]}))
    assert (swap.sell.symbol, swap.sell.side, swap.sell.qty) == ("A", Side.SELL, 100)
    assert (swap.buy.symbol, swap.buy.side, swap.buy.qty) == ("B", Side.BUY, 200)
    assert swap.lots == ("A@-1000",)
    assert swap.loss == pytest.approx(10_000)
    assert swap.saved_now == pytest.approx(4080)
    assert swap.taxed_later == pytest.approx(10_000 * 0.238 / 1.05**10)
    assert swap.cost == pytest.approx(2 * 90_000 * 2e-4), (
        "half the spread on the value, twice; not on the loss"
    )
    stay = 0.5 * 5 * 0.9**2 * (0.04 + 0.04 - 2 * 0.036) * 100_000
    assert swap.tracking == pytest.approx(stay * 31 / 365.25 + min(stay, swap.cost))
    assert swap.correlation == pytest.approx(0.9)
    assert swap.net == pytest.approx(swap.saved_now - swap.taxed_later - swap.cost - swap.tracking)
    assert "selling 100 A takes a loss of 10000.00" in swap.reason
    assert "B (correlation 0.90) stands in" in swap.reason
    gross = swap.sell.benefit + swap.buy.benefit
    assert gross == pytest.approx(swap.net + swap.cost)
    assert swap.sell.is_worth_it
    assert swap.buy.is_worth_it


def test_what_no_gain_takes_is_worth_less_and_may_not_pay() -> None:
    view = world([lot("A", 100, 1000)], {"A": 990, "B": 450}, cash=1_000_000)
    assert only(plan(view, {"A": ["B"]})).saved_now == pytest.approx(408)
    found = plan(view, {"A": ["B"]}, Room())
    assert found.swaps == ()
    assert found.passed_over["A"].startswith("the best swap is worth ")
    assert "the least is 50.00" in found.passed_over["A"]


def test_the_room_shrinks_from_swap_to_swap_and_the_best_comes_first() -> None:
    lots = [lot("A", 100, 1000), lot("B", 100, 800)]
    view = world(lots, {"A": 900, "B": 700, "C": 100})
    found = plan(view, {"A": ["C"], "B": ["C"]}, Room(short=12_000))
    assert [swap.sell.symbol for swap in found.swaps] == ["A", "B"]
    assert found.swaps[1].saved_now == pytest.approx(2000 * 0.408 + 8000 / 1.05 * 0.238)
    assert found.room == Room()


@pytest.mark.parametrize(
    ("others", "words", "why"),
    [
        ([], {}, "no substitute for A is configured"),
        (["B"], {"correlation": 0.4}, "the correlation of B with A is 0.40, the least is 0.50"),
        (["D"], {}, "the correlation of D with A is not known"),
        (["B"], {"instruments": [Instrument("B", identical_group="A")]}, "B is substantially identical to A"),
        (["C"], {}, "no fresh price for C"),
        (["B"], {"instruments": [Instrument("B", lot_size=dec(1000))]}, "one lot of B is worth more"),
        (["B"], {"realised": [sold("B", -5, -100)]}, "B was sold at a loss on 2024-03-07"),
    ],
)
def test_a_substitute_must_be_alike_not_identical_priced_and_free(
    others: list[str], words: dict[str, Any], why: str
) -> None:
    known = [Instrument("C"), *words.get("instruments", ())]
    view = world([lot("A", 100, 1000)], {"A": 900, "B": 450, "D": 10}, **{**words, "instruments": known})
    found = plan(view, {"A": others})
    assert found.swaps == ()
    assert why in found.passed_over["A"]


def test_of_two_substitutes_the_better_one_stands_in() -> None:
    matrix = 0.04 * np.array([[1, 0.6, 0.95], [0.6, 1, 0.6], [0.95, 0.6, 1]])
    view = world([lot("A", 100, 1000)], {"A": 900, "B": 450, "C": 450})
    view = replace(view, risk=RiskModel.dense(NAMES, matrix, TODAY))
    assert only(plan(view, {"A": ["B", "C"]})).buy.symbol == "C"


def test_a_purchase_inside_the_window_locks_the_sale() -> None:
    view = world([lot("A", 100, 1000), lot("A", 1, 900, bought=-10)], {"A": 900, "B": 450})
    found = plan(view, {"A": ["B"]})
    assert "A was bought on 2024-03-02" in found.passed_over["A"]


def test_no_plan_washes_its_own_losses() -> None:
    view = world([lot("A", 100, 1000), lot("B", 100, 990)], {"A": 900, "B": 900, "C": 90})
    found = plan(view, {"A": ["B", "C"], "B": ["A"]})
    assert only(found).buy.symbol in {"B", "C"}
    assert found.passed_over["B"] in {
        "this plan already buys it as a substitute", "this plan sells A at a loss"
    }  # fmt: skip
    ways = plan(view, {"A": ["C"], "B": ["A"]})
    assert ways.passed_over["B"] == "this plan sells A at a loss"


def test_untaxed_accounts_short_lots_and_winners_have_nothing_to_harvest() -> None:
    untaxed = plan(world([lot("A", 10, 1000)], {"A": 900}, taxable=False), {"A": ["B"]})
    assert untaxed == HarvestPlan(room=PLENTY)
    found = plan(world([lot("A", 10, 800), lot("B", -10, 1)], {"A": 900, "B": 1}), {"A": ["B"]})
    assert (found.swaps, dict(found.passed_over)) == ((), {})


def test_without_a_risk_model_nothing_is_harvested() -> None:
    view = replace(world([lot("A", 100, 1000)], {"A": 900, "B": 450}), risk=None)
    assert "no risk model" in plan(view, {"A": ["B"]}).passed_over["A"]


def test_a_piece_smaller_than_a_lot_is_left_alone() -> None:
    half = lot("A", "0.5", 1000)
    found = plan(world([half], {"A": 900, "B": 450}), {"A": ["B"]})
    assert found.passed_over["A"] == "no whole lot of it is at a loss"


def test_the_lots_are_the_best_whole_prefix_of_the_accounts_own_order() -> None:
    lots = [
        lot("A", 10, 500, bought=-900), lot("A", 50, 1200, bought=-800), lot("A", 40, 850, bought=-700)
    ]  # fmt: skip
    fifo = only(plan(world(lots, {"A": 900, "B": 450}), {"A": ["B"]}))
    assert (fifo.sell.qty, fifo.lots) == (60, ("A@-900", "A@-800"))
    assert fifo.loss == pytest.approx(15_000 - 4000)
    hifo = only(plan(world(lots, {"A": 900, "B": 450}, lot_method=LotMethod.HIFO), {"A": ["B"]}))
    assert (hifo.sell.qty, hifo.lots) == (50, ("A@-800",))
    assert hifo.net > fifo.net


def test_commissions_belong_to_the_loss_and_a_longer_horizon_to_the_risk() -> None:
    dear = replace(RATES, commission_per_order=dec(100), sell_fee_bps=dec(1), impact=dec(0))
    of = replace(SETTINGS, costs=dear)
    view = world([lot("A", 100, 1000)], {"A": 900, "B": 450}, cash=910_000, of=of)
    swap = only(plan(view, {"A": ["B"]}))
    assert swap.loss == pytest.approx(10_000 + 100 + 9)
    assert (swap.sell.commission, swap.buy.commission) == pytest.approx((109, 100))
    assert swap.sell.benefit / swap.buy.benefit == pytest.approx((109 + 18) / (100 + 18))
    long = replace(of, decision=replace(of.decision, horizon_years=dec(2)))
    twice = only(plan(replace(view, account=long), {"A": ["B"]}))
    stay = 0.5 * 5 * 0.09**2 * 0.008 * 1_000_000
    assert swap.tracking == pytest.approx(stay * (31 / 365.25 + 1))
    assert twice.tracking == pytest.approx(
        stay * (31 / 365.25 + 2) if 2 * stay < swap.cost else swap.cost + stay * 31 / 365.25
    )


def test_a_name_that_cannot_be_swapped_does_not_hide_the_next_and_the_largest_loss_uses_the_room() -> None:
    lots = [lot("A", 100, 950), lot("B", 100, 1000)]
    view = world(lots, {"A": 900, "B": 900, "C": 100})
    found = plan(view, {"A": ["C"], "B": []})
    assert [swap.sell.symbol for swap in found.swaps] == ["A"]
    assert set(found.passed_over) == {"B"}
    both = plan(view, {"A": ["C"], "B": ["C"]}, Room(short=10_000, ordinary=20_000))
    by_name = {swap.sell.symbol: swap for swap in both.swaps}
    assert by_name["B"].saved_now == pytest.approx(4080)
    assert by_name["A"].saved_now == pytest.approx(5000 * 0.37)
    assert both.room == Room(ordinary=15_000)


def test_an_old_lot_is_not_sold_together_with_a_young_one_it_would_wash_against() -> None:
    """Selling both leaves nothing to wash, but an order may fill only as far as the first lot."""
    view = world([lot("A", 100, 1000), lot("A", 1, 1000, bought=-10)], {"A": 900, "B": 450})
    assert "A was bought on" in plan(view, {"A": ["B"]}).passed_over["A"]
    young_first = [lot("A", 100, 1000), lot("A", 1, 1001, bought=-10)]
    held = account("main", 0, young_first, lot_method=LotMethod.LIFO)
    young = replace(view, book=replace(view.book, accounts={"main": held}))
    assert only(plan(young, {"A": ["B"]})).sell.qty == 101


def test_a_free_broker_shares_the_benefit_evenly() -> None:
    free = [Instrument(name, half_spread_bps=dec(0)) for name in NAMES]
    swap = only(plan(world([lot("A", 100, 1000)], {"A": 900, "B": 450}, instruments=free), {"A": ["B"]}))
    assert swap.cost == 0
    assert swap.sell.benefit == swap.buy.benefit == pytest.approx(swap.net / 2)


@calm
@given(
    st.lists(
        st.tuples(st.sampled_from("ABC"), st.integers(1, 50), st.integers(50, 150), st.integers(-900, -1)),
        max_size=6,
    ),
    st.dictionaries(st.sampled_from("ABC"), st.lists(st.sampled_from("ABC"), max_size=3)),
)
def test_whatever_is_planned_pays_and_washes_nothing(
    bought: list[tuple[str, int, int, int]], others: dict[str, list[str]]
) -> None:
    lots = [
        lot(symbol, qty, cost, bought=on, name=str(at)) for at, (symbol, qty, cost, on) in enumerate(bought)
    ]
    view = world(lots, {"A": 100, "B": 100, "C": 100})
    known = watch(view)
    found = harvest(view, known, others, PLENTY)
    sells, buys = ({getattr(swap, leg).symbol for swap in found.swaps} for leg in ("sell", "buy"))
    assert not sells & buys
    for swap in found.swaps:
        assert swap.net >= 50
        assert swap.loss > 0
        assert swap.sell.qty <= view.book.position("main", swap.sell.symbol)
        assert swap.buy.notional <= swap.sell.notional
        assert known.conflict(swap.sell.symbol, Side.SELL, swap.sell.qty) is None
        assert known.conflict(swap.buy.symbol, Side.BUY, swap.buy.qty) is None
    assert all(one.net >= other.net for one, other in pairwise(found.swaps))


def test_lots_that_gain_more_than_the_others_lose_are_no_harvest() -> None:
    """By FIFO the old winner goes first: its gain is taxed less than the loss saves, but nothing is lost."""
    view = world([lot("B", 8, 50, bought=-367), lot("B", 17, 121, bought=-1)], {"A": 100, "B": 100})
    found = plan(view, {"B": ["A"]})
    assert found.swaps == ()
    assert found.passed_over == {"B": "the lots of B that are sold first gain more than the others lose"}


# ------------------------------------------------------------------------------------- swapping back


def back(view: View, since: int = -40) -> tuple[float, str]:
    return swap_back(view, watch(view), "A", "B", days(since))


def test_nothing_goes_back_before_the_window_is_over() -> None:
    view = world([lot("B", 100, 100)], {"A": 100, "B": 100})
    assert back(view, -30) == (-math.inf, "to buy A before 2024-03-13 would wash the loss of 2024-02-11")
    assert back(view, -31)[0] > -math.inf


def test_going_back_pays_when_the_risk_saved_is_more_than_trades_and_tax() -> None:
    view = world([lot("B", 100, 100)], {"A": 100, "B": 100}, correlation=0.5)
    worth, why = back(view)
    assert worth == pytest.approx(0.5 * 5 * 0.04 * 10_000 - 4)
    assert "A instead of B saves 1000.00 of risk, costs 4.00 to trade and 0.00 of tax" in why
    twice = replace(SETTINGS, decision=replace(SETTINGS.decision, horizon_years=dec(2)))
    assert back(replace(view, account=twice))[0] == pytest.approx(2 * 1000 - 4)
    winner = world([lot("B", 100, 50)], {"A": 100, "B": 100}, correlation=0.5)
    assert back(winner)[0] == pytest.approx(worth - 5000 * 0.238)


def test_the_substitute_is_kept_where_nothing_speaks_for_going_back() -> None:
    view = world([lot("B", 100, 100)], {"A": 100, "B": 100})
    assert back(replace(view, risk=None)) == (0.0, "no risk model says that B is worse than A")
    assert back(world([], {"A": 100, "B": 100})) == (0.0, "no B is held")
    dear = world([lot("B", 1, 100)], {"A": 1000, "B": 100})
    assert back(dear) == (0.0, "one lot of A is worth more than all that is held of B")


def test_going_back_respects_locks_on_both_legs() -> None:
    fresh = world([lot("B", 100, 150), lot("B", "0.5", 100, bought=-3)], {"A": 100, "B": 100})
    worth, why = back(fresh)
    assert worth == -math.inf
    assert "B was bought" in why
    washed = world([lot("B", 100, 90)], {"A": 100, "B": 100}, realised=[sold("A", -5, -10)])
    worth, why = back(washed)
    assert worth == -math.inf
    assert "A was sold at a loss" in why


def test_no_more_goes_back_than_was_bought_in_its_place() -> None:
    view = world([lot("B", 100, 100)], {"A": 100, "B": 100}, correlation=0.5)
    worth, why = swap_back(view, watch(view), "A", "B", days(-40), dec(40))
    assert worth == pytest.approx(0.4 * (0.5 * 5 * 0.04 * 10_000) * 0.4 - 1.6)
    assert "costs 1.60 to trade" in why
    assert swap_back(view, watch(view), "A", "B", days(-40), dec(400)) == back(view)


def test_gains_made_elsewhere_are_room_before_losses_take_it() -> None:
    def after(*gains: RealisedGain) -> Room:
        book = household([account("main")], {}, realised=gains).book
        return room_of(book, ["main"], TODAY, TERMS, elsewhere=Room(short=5000, long=2000))

    assert after() == Room(5000, 2000, 3000)
    assert after(sold("A", -10, -6000, bought=-100)) == Room(0, 1000, 3000)
    assert after(sold("A", -10, -9000, bought=-100)) == Room(0, 0, 1000)


# ------------------------------------------------------------------------------------ the example file


def test_the_example_substitutes_are_alike_in_the_real_closes_and_never_the_name_itself() -> None:
    from closes import upto  # noqa: PLC0415 - only here

    from gateway.decision.risk import estimate  # noqa: PLC0415

    with (Path(__file__).parents[3] / "config" / "substitutes.toml").open("rb") as file:
        wanted = tomllib.load(file)
    history = upto("2022-12-28")
    risk = estimate(history, history.dates[-1], dict.fromkeys(history.symbols, 0.3), window=1260)
    assert isinstance(risk, RiskModel)
    assert set(wanted) == set(history.symbols)
    alike = {
        name: max(risk.correlation(name, other) or 0 for other in others) for name, others in wanted.items()
    }
    assert all(name not in others for name, others in wanted.items())
    assert [name for name, value in alike.items() if value < Decimal("0.4")] == []
