"""Costs: one model for benefit, commission, spread and tax, by hand-computed figures."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from decision_world import account, calm, dec, household, lot
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import costs
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import AccountSettings, Costs, Decision


@pytest.mark.parametrize(
    ("schedule", "qty", "notional", "charged"),
    [
        (Costs(), 100, 10_000, "1.00"),
        (Costs(), 1000, 10_000, "5.000"),
        (Costs(commission_bps=dec(10)), 100, 10_000, "10.5"),
        (Costs(), 0, 0, "0"),
    ],
)
def test_commission_is_per_share_and_per_value_at_least_the_minimum(
    schedule: Costs, qty: int, notional: int, charged: str
) -> None:
    assert costs.commission(schedule, dec(qty), dec(notional)) == dec(charged)


def test_half_spread_is_in_basis_points_of_value() -> None:
    assert costs.half_spread(Instrument("A", half_spread_bps=dec(2)), 10_000.0) == 2.0


def test_benefit_is_the_formula_with_its_numbers() -> None:
    # Half of 5, times 0.09, times 0.0024, times a million.
    assert costs.benefit(Decision(), 0.3, 0.05, 0.01, 1e6) == pytest.approx(540.0)
    assert costs.benefit(Decision(horizon_years=dec(2)), 0.3, -0.05, 0.01, 1e6) == pytest.approx(1080.0)
    assert costs.benefit(Decision(), 0.3, 0.01, -0.05, 1e6) == pytest.approx(-540.0)


def test_worst_price_moves_against_us_on_a_tick() -> None:
    view = household([account("main", 1000)], {"A": "100.03"})
    assert costs.worst_price(view, "A", Side.BUY, dec(1)) == dec("100.28")
    assert costs.worst_price(view, "A", Side.SELL, dec(1)) == dec("99.78")
    assert costs.worst_price(view, "A", Side.SELL_SHORT, dec(1)) == dec("99.78")


def test_cash_needed_and_proceeds_include_commission() -> None:
    view = household([account("main", 1000)], {"A": 100})
    bought = Proposal("A", Side.BUY, dec(10), dec(100))
    assert costs.cash_needed(view, bought) == dec("1003.50")
    sale = Proposal("A", Side.SELL, dec(10), dec(100), commission=1.0, half_spread=0.2)
    assert costs.proceeds(sale) == dec("998.8")


def test_tax_is_by_lot_and_term() -> None:
    today = date(2024, 3, 1)
    lots = [
        Lot("long", "A", date(2023, 2, 28), dec(10), dec(1000)),  # long-term from 1 March 2024
        Lot("short", "A", date(2023, 3, 1), dec(10), dec(1000)),
    ]
    closed = costs.lots_closed(lots, Side.SELL, dec(20), LotMethod.FIFO)
    assert [relief.lot_id for relief in closed] == ["long", "short"]
    assert costs.tax(Costs(), closed, dec(110), today) == pytest.approx(100 * 0.20 + 100 * 0.37)


def test_a_loss_is_a_negative_tax_and_a_short_gain_is_short_term() -> None:
    closed = costs.lots_closed([lot("A", 10, 100)], Side.SELL, dec(10), LotMethod.FIFO)
    assert costs.tax(Costs(), closed, dec(90), date(2024, 3, 12)) == pytest.approx(-20.0)
    covered = costs.lots_closed([lot("A", -10, 100)], Side.BUY, dec(10), LotMethod.FIFO)
    assert costs.tax(Costs(), covered, dec(90), date(2024, 3, 12)) == pytest.approx(37.0)


def test_price_trade_fills_every_number() -> None:
    view = household([account("main", 9000, [lot("A", 10, 50, bought=-100)])], {"A": 100})
    item = costs.price_trade(view, "A", Side.SELL, dec(5), -0.05, dec(10_000))
    assert item.benefit == pytest.approx(0.5 * 5 * 0.09 * 0.05**2 * 10_000)
    assert (item.commission, item.half_spread) == (1.0, pytest.approx(0.1))
    assert item.tax == pytest.approx((5 * 50 - 1) * 0.37)
    assert item.wash_sale == ""


def test_an_account_that_is_not_taxed_has_no_tax() -> None:
    held = account("main", 9000, [lot("A", 10, 50)], taxable=False)
    item = costs.price_trade(household([held], {"A": 100}), "A", Side.SELL, dec(5), -0.05, dec(10_000))
    assert item.tax == 0.0


def test_worth_it_needs_more_benefit_than_cost() -> None:
    item = Proposal("A", Side.BUY, dec(1), dec(1), benefit=2.0, commission=1.0, half_spread=1.0)
    assert not item.is_worth_it
    assert replace(item, benefit=2.01).is_worth_it


@calm
@given(
    qty=st.integers(1, 30),
    method=st.sampled_from(LotMethod),
    unit_costs=st.lists(st.integers(1, 200), min_size=1, max_size=4),
)
def test_tax_of_a_price_above_every_cost_is_never_negative(
    qty: int, method: LotMethod, unit_costs: list[int]
) -> None:
    lots = [lot("A", 10, cost, bought=-100 * index, name=str(index)) for index, cost in enumerate(unit_costs)]
    view = household(
        [account("main", 0, lots, lot_method=method)], {"A": 250}, of=AccountSettings("main", "sim")
    )
    item = costs.price_trade(view, "A", Side.SELL, Decimal(qty), -0.1, dec(100_000))
    assert item.tax >= 0
