"""Wash sales (IRC section 1091): both directions, both edges of the window, every account, every alias."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from decision_world import TODAY, account, calm, days, dec, household, lot, order, sold
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.view import View
from gateway.decision.wash_sale import conflict, watch
from gateway.domain.instrument import Instrument
from gateway.domain.lots import LotMethod
from gateway.domain.order import Side
from gateway.domain.settings import Decision

TWINS = [Instrument("IVV", identical_group="sp500"), Instrument("VOO", identical_group="sp500")]
PRICES = {"IVV": 90, "VOO": 90, "GLD": 90}


def world(**more: Any) -> View:
    """Accounts main, wife and ira (not taxed), empty unless told; IVV and VOO are one thing."""
    accounts = [
        account("main", 10_000, more.pop("main", ())),
        account("wife", 10_000, more.pop("wife", ())),
        account("ira", 10_000, more.pop("ira", ()), taxable=False),
    ]
    return household(accounts, more.pop("prices", PRICES), instruments=TWINS, **more)


# ------------------------------------------------------------------------------------- buying back


@pytest.mark.parametrize(("on", "is_conflict"), [(0, True), (-1, True), (-30, True), (-31, False)])
def test_a_purchase_is_refused_to_the_thirtieth_day_after_a_loss_sale(on: int, is_conflict: bool) -> None:
    found = conflict(world(realised=[sold("IVV", on, -5)]), "IVV", Side.BUY, dec(1))
    assert (found is not None) == is_conflict
    if found is not None:
        assert "IRC section 1091" in found
        assert f"before {days(on + 31)}" in found


@pytest.mark.parametrize("of", ["main", "wife"])
@pytest.mark.parametrize("symbol", ["IVV", "VOO"])
def test_the_loss_sale_counts_in_every_taxed_account_and_under_every_alias(of: str, symbol: str) -> None:
    found = conflict(world(realised=[sold("IVV", -3, -5, of=of)]), symbol, Side.BUY, dec(1))
    assert found is not None
    assert f"IVV was sold at a loss on {days(-3)} in account {of}" in found


@pytest.mark.parametrize(
    "gain", [sold("IVV", -3, 5), sold("IVV", -3, -5, of="ira"), sold("GLD", -3, -5), sold("IVV", -3, 0)]
)
def test_gains_untaxed_losses_and_other_things_do_not_count(gain: Any) -> None:
    assert conflict(world(realised=[gain]), "VOO", Side.BUY, dec(1)) is None


def test_the_latest_loss_sale_sets_the_date() -> None:
    realised = [sold("IVV", -20, -5), sold("VOO", -2, -5), sold("IVV", -9, -5)]
    found = conflict(world(realised=realised), "IVV", Side.BUY, dec(1))
    assert found is not None
    assert f"before {days(29)}" in found


def test_an_open_sale_at_a_loss_counts_as_done() -> None:
    held = [lot("IVV", 10, 100)]
    orders = [order("IVV", Side.SELL, 5, of="wife")]
    found = conflict(world(wife=held, orders=orders), "VOO", Side.BUY, dec(1))
    assert found is not None
    assert "open order in account wife sells 5 IVV" in found


@pytest.mark.parametrize(
    ("of", "unit_cost", "side"),
    [("wife", 50, Side.SELL), ("ira", 100, Side.SELL), ("wife", 100, Side.SELL_SHORT)],
)
def test_an_open_sale_without_a_deductible_loss_does_not(of: str, unit_cost: int, side: Side) -> None:
    held = [lot("IVV", 10, unit_cost)]
    view = world(**{of: held}, orders=[order("IVV", side, 5, of=of)])
    assert conflict(view, "VOO", Side.BUY, dec(1)) is None


def test_an_open_sale_at_an_unknown_price_may_be_at_a_loss() -> None:
    orders = [order("IVV", Side.SELL, 5, of="wife")]
    view = world(wife=[lot("IVV", 10, 50)], orders=orders, prices={"VOO": 90})
    assert conflict(view, "VOO", Side.BUY, dec(1)) is not None


# ------------------------------------------------------------------------------- selling at a loss


@pytest.mark.parametrize(("bought", "is_conflict"), [(0, True), (-30, True), (-31, False)])
@pytest.mark.parametrize("of", ["main", "wife", "ira"])
def test_a_loss_is_not_taken_within_thirty_days_of_a_purchase(
    bought: int, is_conflict: bool, of: str
) -> None:
    lots = {"main": [lot("IVV", 10, 100)]}
    lots[of] = [*lots.get(of, []), lot("VOO", 10, 90, bought=bought)]
    found = conflict(world(**lots), "IVV", Side.SELL, dec(10))
    assert (found is not None) == is_conflict
    if found is not None:
        assert f"VOO was bought on {days(bought)} in account {of}" in found
        assert f"before {days(bought + 31)}" in found


def test_a_sale_at_a_gain_is_free() -> None:
    view = world(main=[lot("IVV", 10, 50), lot("IVV", 10, 89, bought=-2)])
    assert conflict(view, "IVV", Side.SELL, dec(10)) is None


@pytest.mark.parametrize(
    ("method", "is_conflict"), [(LotMethod.FIFO, False), (LotMethod.LIFO, True), (LotMethod.HIFO, True)]
)
def test_the_accounts_own_lot_order_says_whether_it_is_a_loss(method: LotMethod, is_conflict: bool) -> None:
    lots = [lot("IVV", 10, 50, bought=-900), lot("IVV", 10, 100, bought=-500)]
    held = account("main", 0, lots, lot_method=method)
    other = account("wife", 0, [lot("VOO", 1, 90, bought=-5)])
    view = household([held, other], PRICES, instruments=TWINS)
    assert (conflict(view, "IVV", Side.SELL, dec(10)) is not None) == is_conflict


def test_one_lot_at_a_loss_is_enough() -> None:
    lots = [lot("IVV", 10, 20, bought=-900), lot("IVV", 1, 100, bought=-500), lot("IVV", 5, 80, bought=-1)]
    view = world(main=lots)
    assert conflict(view, "IVV", Side.SELL, dec(10)) is None
    assert conflict(view, "IVV", Side.SELL, dec(11)) is not None


def test_lots_being_sold_are_not_their_own_replacement() -> None:
    lots = [lot("IVV", 10, 100, bought=-500), lot("IVV", 5, 100, bought=-5)]
    assert conflict(world(main=lots), "IVV", Side.SELL, dec(10)) is not None
    assert conflict(world(main=lots[1:]), "IVV", Side.SELL, dec(2)) is None


def test_shares_bought_in_the_window_and_sold_again_still_count() -> None:
    view = world(main=[lot("IVV", 10, 100)], realised=[sold("VOO", -2, 5, bought=-20)])
    found = conflict(view, "IVV", Side.SELL, dec(10))
    assert found is not None
    assert f"VOO was bought on {days(-20)}" in found


def test_a_loss_only_at_the_worst_price_is_a_loss() -> None:
    recent = [lot("VOO", 1, 90, bought=-5)]
    at_reference = world(main=[lot("IVV", 100, "89.90")], wife=recent)
    assert conflict(at_reference, "IVV", Side.SELL, dec(100)) is not None
    far_below = world(main=[lot("IVV", 100, "89.70")], wife=recent)
    assert conflict(far_below, "IVV", Side.SELL, dec(100)) is None


def test_an_open_purchase_anywhere_counts_as_done() -> None:
    view = world(main=[lot("IVV", 10, 100)], orders=[order("VOO", Side.BUY, 3, of="ira")])
    found = conflict(view, "IVV", Side.SELL, dec(10))
    assert found is not None
    assert "open order in account ira buys 3 VOO" in found
    elsewhere = world(main=[lot("IVV", 10, 100)], orders=[order("GLD", Side.BUY, 3)])
    assert conflict(elsewhere, "IVV", Side.SELL, dec(10)) is None


def test_an_untaxed_account_and_a_short_sale_take_no_loss() -> None:
    recent = [lot("VOO", 1, 90, bought=-5)]
    ira = account("ira", 0, [lot("IVV", 10, 100)], taxable=False)
    view = household([ira, account("main", 0, recent)], PRICES, instruments=TWINS)
    assert conflict(view, "IVV", Side.SELL, dec(10)) is None
    assert conflict(world(wife=recent), "IVV", Side.SELL_SHORT, dec(10)) is None


def test_a_short_position_is_no_purchase() -> None:
    view = world(main=[lot("IVV", 10, 100)], wife=[lot("VOO", -5, 90, bought=-5)])
    assert conflict(view, "IVV", Side.SELL, dec(10)) is None


@pytest.mark.parametrize(("days_wide", "is_conflict"), [(39, False), (40, True)])
def test_the_window_is_a_setting(days_wide: int, is_conflict: bool) -> None:
    view = world(
        main=[lot("IVV", 10, 100)],
        wife=[lot("VOO", 1, 90, bought=-40)],
        decision=Decision(wash_sale_window_days=days_wide),
    )
    assert (conflict(view, "IVV", Side.SELL, dec(10)) is not None) == is_conflict


# ------------------------------------------------------------------------------------- properties


@calm
@given(
    loss_on=st.integers(-70, 0),
    loser=st.sampled_from(["IVV", "VOO", "GLD"]),
    buyer=st.sampled_from(["IVV", "VOO", "GLD"]),
    of=st.sampled_from(["main", "wife", "ira"]),
)
def test_a_purchase_conflicts_exactly_inside_the_window(
    loss_on: int, loser: str, buyer: str, of: str
) -> None:
    view = world(realised=[sold(loser, loss_on, -5, of=of)])
    is_same = (loser == "GLD") == (buyer == "GLD")
    expected = is_same and of != "ira" and TODAY - days(loss_on) <= timedelta(days=30)
    assert (conflict(view, buyer, Side.BUY, dec(1)) is not None) == expected


@calm
@given(
    bought=st.integers(-70, 0),
    of=st.sampled_from(["main", "wife", "ira"]),
    unit_cost=st.sampled_from([50, 100]),
    side=st.sampled_from(Side),
)
def test_one_watch_answers_what_single_questions_answer(
    bought: int, of: str, unit_cost: int, side: Side
) -> None:
    lots = {"main": [lot("IVV", 10, unit_cost), lot("GLD", 10, 100)]}
    lots[of] = [*lots.get(of, []), lot("VOO", 10, 90, bought=bought)]
    view = world(**lots, realised=[sold("GLD", bought, -5)])
    whole = watch(view)
    for symbol in PRICES:
        assert whole.conflict(symbol, side, dec(10)) == conflict(view, symbol, side, dec(10))
    is_refused = side is Side.SELL and unit_cost == 100 and bought >= -30
    assert (conflict(view, "IVV", side, dec(10)) is not None) == is_refused
