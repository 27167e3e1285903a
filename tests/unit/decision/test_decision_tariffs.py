"""Published price lists: each broker's own worked examples, and the parts of one cost model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from decision_world import AT_REFERENCE, account, calm, dec, household, lot
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.costs import (
    cash_needed,
    charges,
    commission,
    conversion,
    dearest_per_share,
    impact,
    per_share,
    price_trade,
    proceeds,
    worst_price,
)
from gateway.decision.sizing import fit_to_cash, grid_of
from gateway.decision.view import View
from gateway.domain.instrument import Instrument
from gateway.domain.lots import LotMethod
from gateway.domain.order import Side
from gateway.domain.proposal import Approved
from gateway.domain.settings import AccountSettings, Costs, Tier
from gateway.valuation import CostsSection, tariffs

IBKR, TIERED, ALPACA = (
    CostsSection(schedule=name).costs() for name in ("ibkr-fixed", "ibkr-tiered", "alpaca")
)
CAT = Decimal("0.0000265")


@pytest.mark.parametrize(
    ("qty", "price", "charged"),
    [
        (100, "25", "1.00"),  # the page's own three examples
        (1000, "25", "5.00"),
        (1000, "0.25", "2.50"),
        (10, "0.20", "0.02"),  # the maximum holds against the minimum, too
    ],
)
def test_ibkr_fixed_charges_what_its_page_says(qty: int, price: str, charged: str) -> None:
    paid = commission(IBKR, dec(qty), dec(qty) * dec(price), Side.BUY)
    assert paid - CAT * qty == dec(charged)


@pytest.mark.parametrize(
    ("qty", "monthly", "charged"),
    [
        (50, 0, "0.35"),
        (1000, 0, "3.50"),
        (300_000, 0, "1050"),
        (300_100, 0, "1050.20"),
        (1000, 299_900, "2.15"),
        (1000, 5_000_000, "1.50"),
        (1000, 200_000_000, "0.50"),
    ],
)
def test_ibkr_tiered_charges_each_share_by_the_tier_it_falls_in(qty: int, monthly: int, charged: str) -> None:
    costs = replace(TIERED, monthly_shares=dec(monthly))
    paid = commission(costs, dec(qty), dec(qty) * 100, Side.BUY)
    assert paid - (CAT + dec("0.0002")) * qty == dec(charged)
    assert dearest_per_share(costs) == dec("0.0035")


def test_alpaca_takes_nothing_but_the_regulators_fees() -> None:
    assert commission(ALPACA, dec(1000), dec(100_000), Side.BUY) == CAT * 1000
    assert commission(ALPACA, dec(1000), dec(100_000), Side.SELL) == CAT * 1000 + dec("0.166")
    assert commission(ALPACA, dec(1_000_000), dec(100), Side.SELL_SHORT) == CAT * 1_000_000 + dec("8.30")
    secs = replace(ALPACA, sell_fee_bps=dec("0.278"))
    assert commission(secs, dec(1000), dec(1_000_000)) - commission(ALPACA, dec(1000), dec(1)) == dec("27.80")


def test_saxo_charges_by_value_without_a_minimum_and_for_the_currency() -> None:
    classic = CostsSection(schedule="saxo-classic").costs()
    assert commission(classic, dec(10), dec(10_000)) == 8
    assert commission(CostsSection(schedule="saxo-vip").costs(), dec(1), dec(10)) == dec("0.003")
    settings = AccountSettings("main", "sim", currency="EUR", costs=classic)
    assert conversion(settings, Instrument("AAPL"), dec(10_000)) == 25
    assert conversion(settings, Instrument("SAP", currency="EUR"), dec(10_000)) == 0


def test_every_price_list_says_where_and_when_it_was_read() -> None:
    for name, tariff in tariffs().items():
        assert tariff["source"].startswith("https://")
        assert tariff["read_on"] >= date(2026, 11, 1)
        costs = CostsSection(schedule=name).costs()
        assert (costs.short_term_rate, costs.long_term_rate) == (
            Costs().short_term_rate,
            Costs().long_term_rate,
        )


def test_an_amount_per_order_comes_once_and_counts_towards_the_minimum() -> None:
    costs = Costs(commission_per_order=dec(5), commission_per_share=dec("0.01"), commission_minimum=dec(7))
    assert commission(costs, dec(100), dec(1)) == 7
    assert commission(costs, dec(1000), dec(1)) == 15
    assert commission(costs, dec(0), dec(0)) == 0


def test_impact_is_the_square_root_law() -> None:
    liquid = Instrument("A", volatility=dec("0.32"), daily_volume=dec(1_000_000))
    assert impact(Costs(), liquid, 10_000, 100_000.0) == pytest.approx(0.32 / 252**0.5 * 0.1 * 100_000)
    assert impact(Costs(), liquid, 40_000, 1.0) == pytest.approx(2 * impact(Costs(), liquid, 10_000, 1.0))
    half = Costs(impact=dec("0.5"))
    assert impact(half, liquid, 1.0, 1.0) == pytest.approx(impact(Costs(), liquid, 1.0, 1.0) / 2)
    assert impact(Costs(), Instrument("A"), 10_000, 100_000.0) == 0


def test_every_part_of_the_cost_is_in_the_proposal_and_in_its_cash() -> None:
    costs = Costs(fx_bps=dec(25), commission_minimum=dec(0), impact=dec(1))
    view = household(
        [account("main", 10_000)],
        {"A": 100},
        instruments=[Instrument("A", currency="EUR", half_spread_bps=dec(5), daily_volume=dec(10_000))],
        costs=costs,
    )
    item = price_trade(view, "A", Side.BUY, dec(10), 0.1, dec(10_000))
    parts = charges(view, "A", Side.BUY, dec(10), dec(100))
    assert (parts.commission, parts.conversion) == (dec("0.05"), dec("2.5"))
    assert parts.half_spread == pytest.approx(0.5)
    assert parts.impact == pytest.approx(0.3 / 252**0.5 * 0.001**0.5 * 1000)
    assert item.cost == pytest.approx(0.05 + 0.5 + 2.5 + parts.impact)
    assert cash_needed(view, item) == dec("100.25") * 10 * (1 + dec("0.0025")) + dec("0.05")
    assert proceeds(item) == dec(1000) - dec(item.cost)
    assert Approved(item, dec(101)).cash_needed == dec(1010) + dec(item.commission + item.conversion)
    cut = fit_to_cash([item], dec(500), view)[0]
    assert cut.qty == 4
    assert cut.conversion == pytest.approx(1.0)
    assert cut.impact == pytest.approx(parts.impact * 0.4**1.5)


def test_a_sale_pays_the_sellers_fees_and_realises_its_gain_net_of_them() -> None:
    view = household(
        [account("main", 0, [lot("A", 1000, 90)])], {"A": 100}, costs=replace(ALPACA, short_term_rate=dec(0))
    )
    item = price_trade(view, "A", Side.SELL, dec(1000), -0.5, dec(100_000))
    paid = dec("0.166") + CAT * 1000
    assert item.commission == pytest.approx(float(paid))
    assert item.tax == pytest.approx(float((10_000 - paid) * dec("0.20")))


costs_of_any_shape = st.builds(
    Costs,
    commission_per_share=st.sampled_from([dec(0), dec("0.005")]),
    commission_minimum=st.sampled_from([dec(0), dec("0.35"), dec(1), dec(9)]),
    commission_bps=st.sampled_from([dec(0), dec(8)]),
    commission_per_order=st.sampled_from([dec(0), dec(2)]),
    commission_maximum_bps=st.sampled_from([dec(0), dec(100)]),
    tiers=st.sampled_from([(), (Tier(dec(0), dec("0.0035")), Tier(dec(50), dec("0.002")))]),
    monthly_shares=st.sampled_from([dec(0), dec(45)]),
    clearing_per_share=st.sampled_from([dec(0), dec("0.0002")]),
    fx_bps=st.sampled_from([dec(0), dec(25)]),
    fx_minimum=st.sampled_from([dec(0), dec(2)]),
)


def world(costs: Costs, price: int, cash: int) -> View:
    return household(
        [account("main", cash)], {"A": price}, instruments=[Instrument("A", currency="EUR")], costs=costs
    )


@calm
@given(costs=costs_of_any_shape, qty=st.integers(1, 500), price=st.integers(1, 300))
def test_the_grid_of_sizing_never_undercounts_what_a_buy_costs(costs: Costs, qty: int, price: int) -> None:
    view = world(costs, price, 10)
    item = price_trade(view, "A", Side.BUY, dec(qty), 0.5, dec(1000))
    grid = grid_of(view, [("A", dec(price))])
    assert grid.cost(grid.step(grid.least * 0) * 0 + qty)[0] >= float(cash_needed(view, item)) * (1 - 1e-12)


@calm
@given(
    costs=costs_of_any_shape, qty=st.integers(1, 500), price=st.integers(1, 300), cash=st.integers(0, 9000)
)
def test_no_basket_costs_more_than_its_cash_under_any_price_list(
    costs: Costs, qty: int, price: int, cash: int
) -> None:
    view = world(costs, price, cash)
    item = price_trade(view, "A", Side.BUY, dec(qty), 0.5, dec(1000))
    fitted = fit_to_cash([item], dec(cash), view)
    assert sum(cash_needed(view, one) for one in fitted) <= cash


@calm
@given(costs=costs_of_any_shape, one=st.integers(1, 200), more=st.integers(0, 200))
def test_a_commission_never_falls_when_more_is_traded(costs: Costs, one: int, more: int) -> None:
    assert commission(costs, dec(one + more), dec(one + more) * 10) >= commission(
        costs, dec(one), dec(one) * 10
    )
    assert per_share(costs, dec(one + more)) >= per_share(costs, dec(one))
    assert commission(costs, dec(one), dec(10)) >= commission(costs, dec(one), dec(10), Side.BUY)


def test_a_buyer_pays_no_sellers_fees() -> None:
    view = household([account("main", 200_000)], {"A": 100}, costs=ALPACA, execution=AT_REFERENCE)
    item = price_trade(view, "A", Side.BUY, dec(1000), 0.5, dec(200_000))
    assert item.commission == pytest.approx(float(CAT * 1000))
    assert cash_needed(view, item) == 100_000 + CAT * 1000


def test_a_price_that_is_gone_is_the_proposals_own() -> None:
    view = household([account("main", 200_000)], {"A": 100}, costs=ALPACA, execution=AT_REFERENCE)
    item = price_trade(view, "A", Side.BUY, dec(10), 0.5, dec(200_000))
    assert cash_needed(replace(view, prices={}), item) == cash_needed(view, item)


@pytest.mark.parametrize(
    ("method", "gain"), [(LotMethod.FIFO, 60), (LotMethod.LIFO, 20), (LotMethod.HIFO, -10)]
)
def test_tax_is_that_of_the_lots_the_method_sells(method: LotMethod, gain: int) -> None:
    lots = [
        lot("A", "0.5", 40, bought=-900), lot("A", "0.5", 110, bought=-800), lot("A", "0.5", 80, bought=-700)
    ]  # fmt: skip
    free = Costs(
        commission_minimum=dec(0),
        commission_per_share=dec(0),
        short_term_rate=dec(1),
        long_term_rate=dec("0.5"),
    )
    view = household([account("main", 0, lots, lot_method=method)], {"A": 100}, costs=free)
    item = price_trade(view, "A", Side.SELL, dec("0.5"), -0.1, dec(150))
    assert item.tax == pytest.approx(gain * 0.5 * 0.5), "half a share, at the long rate"


def test_ticks_and_smallest_orders_are_of_the_currency_of_the_quote() -> None:
    """96.51 euros at 1.25, a quarter of a per cent dearer, is 96.75 euros on its tick: 120.9375 dollars."""
    abroad = Instrument("A", currency="EUR", tick_size=dec("0.05"), min_notional=dec(1000))
    view = household(
        [account("main", 50_000)], {"A": dec("96.51") * dec("1.25")}, instruments=[abroad], costs=Costs()
    )
    view = replace(view, rates={"EUR": dec("1.25")})
    assert worst_price(view, "A", Side.BUY, dec(0)) == dec("96.75") * dec("1.25")
    assert worst_price(view, "A", Side.SELL, dec(0)) == dec("96.25") * dec("1.25")
    grid = grid_of(view, [("A", view.prices["A"])])
    assert grid.least.tolist() == [11]  # 1,000 euros are 1,250 dollars, 10.4 shares at 120.64
