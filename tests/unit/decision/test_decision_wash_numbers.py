"""Wash sales in numbers: dates, shares and tax of each conflict, commission and limit price taken in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from decision_world import FREE, account, days, dec, household, lot, order, sold

from gateway.decision.view import View
from gateway.decision.wash_sale import conflict, watch
from gateway.decision.window import Trade
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import Costs, Decision, Execution, WashSales

TWINS = [Instrument("IVV", identical_group="sp500"), Instrument("VOO", identical_group="sp500")]
PRICES = {"IVV": 90, "VOO": 90, "GLD": 90}
PER_SHARE = Costs(commission_per_share=dec(1), commission_minimum=dec(0), commission_bps=dec(100))


def world(*, costs: Costs = FREE, offset_bps: int = 0, **more: Any) -> View:
    accounts = [account(name, 10_000, more.pop(name, ())) for name in ("main", "wife")]
    return household(
        accounts, more.pop("prices", PRICES), instruments=TWINS, costs=costs,
        execution=Execution(limit_offset_bps=dec(offset_bps)),
        decision=Decision(wash_sale=WashSales.ACCEPT), **more,
    )  # fmt: skip


def test_a_sale_is_valued_at_its_limit_less_commission() -> None:
    """90 less 1 % of limit is 89.10, less 1.00 a share and 1 % of value: 87.209."""
    view = world(main=[lot("IVV", 10, "87.21")], costs=PER_SHARE, offset_bps=100)
    assert watch(view).loses("main", "IVV", dec(10))
    view = world(main=[lot("IVV", 10, "87.20")], costs=PER_SHARE, offset_bps=100)
    assert not watch(view).loses("main", "IVV", dec(10))


def test_a_cover_is_valued_at_its_limit_and_commission() -> None:
    """90 and 1 % is 90.90, and 1.00 a share and 1 % of value: 92.809."""
    view = world(main=[lot("IVV", -10, "92.80")], costs=PER_SHARE, offset_bps=100)
    assert watch(view).loses("main", "IVV", dec(10), Side.BUY)
    view = world(main=[lot("IVV", -10, "92.81")], costs=PER_SHARE, offset_bps=100)
    assert not watch(view).loses("main", "IVV", dec(10), Side.BUY)


def test_a_sale_at_cost_is_no_loss() -> None:
    assert watch(world(main=[lot("IVV", 10, 90)])).loses("main", "IVV", dec(10)) == []
    assert watch(world(main=[lot("IVV", 1, "89.5")])).loses("main", "IVV", dec(1)) == []


def test_the_last_purchase_sets_the_date_and_all_of_them_the_share() -> None:
    """Two of four and one of four shares were bought in the window: three quarters of 100 at 20 %."""
    bought = [lot("VOO", 2, 90, bought=-3, name="a"), lot("VOO", 1, 90, bought=-9, name="z")]
    for wife in (bought, bought[::-1]):
        found = watch(world(main=[lot("IVV", 4, 115)], wife=wife)).found("IVV", Side.SELL, dec(4))
        assert found is not None
        assert found.first_safe_day == days(28)
        assert f"VOO was bought on {days(-3)}" in found.text
        assert found.tax == pytest.approx(0.2 * 100 * 3 / 4)
    many = [lot("VOO", 40, 90, bought=-3)]
    found = watch(world(main=[lot("IVV", 4, 115)], wife=many)).found("IVV", Side.SELL, dec(4))
    assert found is not None
    assert found.tax == pytest.approx(0.2 * 100), "never more than the whole loss"


def test_each_lots_loss_counts_at_its_own_term() -> None:
    """100 lost long-term at 20 % and 50 short-term at 37 %; the gain of the third lot takes nothing off."""
    main = [lot("IVV", 10, 100), lot("IVV", 10, 95, bought=-60), lot("IVV", 10, 40, bought=-70)]
    found = watch(world(main=main, wife=[lot("VOO", 30, 90, bought=-2)])).found("IVV", Side.SELL, dec(30))
    assert found is not None
    assert found.tax == pytest.approx(0.2 * 100 + 0.37 * 50)
    one = watch(world(main=[lot("IVV", 1, 100)], wife=[lot("VOO", 1, 90, bought=-2)]))
    assert one.found("IVV", Side.SELL, dec(1)).tax == pytest.approx(0.2 * 10)  # type: ignore[union-attr]


def test_an_old_short_sale_loses_at_the_short_rate() -> None:
    view = world(main=[lot("IVV", -10, 80)], wife=[lot("VOO", -10, 90, bought=-4)])
    found = watch(view).found("IVV", Side.BUY, dec(10))
    assert found is not None
    assert found.tax == pytest.approx(0.37 * 100)
    assert found.first_safe_day == days(27)


def test_the_last_sale_sets_the_date_for_a_cover() -> None:
    shorts = [lot("VOO", -2, 90, bought=-8, name="a"), lot("VOO", -1, 90, bought=-5, name="b")]
    for wife in (shorts, shorts[::-1]):
        found = watch(world(main=[lot("IVV", -4, 80)], wife=wife)).found("IVV", Side.BUY, dec(4))
        assert found is not None
        assert found.first_safe_day == days(26)
        assert f"VOO was sold on {days(-5)} in account wife" in found.text
        assert found.tax == pytest.approx(0.37 * 40 * 3 / 4)


def test_a_purchase_washes_the_oldest_losses_first() -> None:
    """Ten lost 50 long-term, ten 80 short-term: fifteen bought wash all of the first, half of the second."""
    realised = [
        sold("IVV", -9, -50),
        replace(sold("VOO", -4, -80, bought=-100), lot_id="later"),
    ]
    found = watch(world(realised=realised)).found("IVV", Side.BUY, dec(15))
    assert found is not None
    assert found.tax == pytest.approx(0.2 * 50 + 0.37 * 80 / 2)
    few = watch(world(realised=realised)).found("IVV", Side.BUY, dec(4))
    assert few is not None
    assert few.tax == pytest.approx(0.2 * 50 * 4 / 10)


def test_a_plans_own_sale_is_washed_by_as_much_as_is_bought() -> None:
    view = world(main=[lot("IVV", 10, 100)])
    sale = Proposal("IVV", Side.SELL, dec(10), dec(90))
    for qty, share in ((4, 0.4), (10, 1.0), (40, 1.0)):
        found = watch(view).conflict_with_sale(Proposal("VOO", Side.BUY, dec(qty), dec(90)), sale)
        assert found.tax == pytest.approx(0.2 * 100 * share)
        assert found.first_safe_day == days(31)


def test_an_open_sale_is_washed_by_as_much_as_is_bought() -> None:
    orders = [order("IVV", Side.SELL, 5, of="wife")]
    for qty, share in ((2, 0.4), (50, 1.0)):
        view = world(wife=[lot("IVV", 10, 100)], orders=orders)
        found = watch(view).found("VOO", Side.BUY, dec(qty))
        assert found is not None
        assert found.tax == pytest.approx(0.2 * 50 * share)


def test_the_window_holds_every_trade_with_its_lot_order_and_size() -> None:
    view = world(
        main=[Lot("L", "IVV", days(-5), dec(5), dec(500), "A"), lot("GLD", 1, 90, bought=-31)],
        wife=[Lot("S", "VOO", days(-4), dec("-0.5"), dec(-45), "B")],
        realised=[
            replace(sold("IVV", -2, 9, of="wife", bought=-7, qty=2), lot_id="G", opened_by="O", closed_by="C")
        ],
    )
    found = watch(view)
    assert found.purchases == {
        "sp500": [
            Trade(days(-5), "main", "IVV", "L", "A", dec(5)),
            Trade(days(-7), "wife", "IVV", "G", "O", dec(2), is_closed=True),
        ]
    }
    assert found.short_sales == {"sp500": [Trade(days(-4), "wife", "VOO", "S", "B", dec("0.5"))]}
    assert found.sales == {"sp500": [Trade(days(-2), "wife", "IVV", "G", "C", dec(2))]}


def test_what_was_sold_before_of_the_same_purchase_is_no_replacement() -> None:
    rest = [Lot("L", "IVV", days(-5), dec(5), dec(500), "A")]
    part = replace(sold("IVV", -2, 9, bought=-5), lot_id="L", opened_by="A")
    fill = replace(part, lot_id="other fill")
    for gain, is_conflict in ((part, False), (fill, False), (replace(fill, opened_by="B"), True)):
        found = conflict(world(main=rest, realised=[gain]), "IVV", Side.SELL, dec(5))
        assert (found is not None) == is_conflict


def test_one_question_looks_at_one_group_only() -> None:
    view = world(realised=[sold("GLD", -5, -50), sold("IVV", -5, -50)])
    only = watch(view, only="sp500")
    assert list(only.losses) == ["sp500"]
    assert only.conflict("GLD", Side.BUY, dec(1)) is None, "what is not asked about is not known"
    assert conflict(view, "GLD", Side.BUY, dec(1)) is not None
