"""Sizing: the kernels against the best integer solution, and money that is never overspent."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pytest
from decision_world import AT_REFERENCE, FREE, account, calm, dec, household, lot, order
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.costs import cash_needed
from gateway.decision.drift import survey
from gateway.decision.sizing import UNLIMITED, Grid, Wish, afford, fit_to_cash, nearest_lots, wish
from gateway.domain.instrument import Instrument
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import Costs, Execution, Limits


def grid(unit: Any, *, worst: Any = None, rate: float = 0.0, minimum: float = 0.0, least: Any = 1) -> Grid:
    units = np.asarray(unit, dtype=float)
    return Grid(
        units,
        units if worst is None else np.asarray(worst, dtype=float),
        np.full(units.shape, rate),
        minimum,
        np.broadcast_to(np.asarray(least, dtype=np.int64), units.shape),
        np.zeros(units.shape),
    )


def rounded(wanted: np.ndarray) -> np.ndarray:
    """The nearest whole lots for each of `wanted`."""
    one = grid(np.ones(wanted.shape))
    return nearest_lots(wanted, one, np.full(wanted.shape, UNLIMITED))


baskets = st.integers(1, 4).flatmap(
    lambda count: st.tuples(
        st.lists(st.floats(0, 4), min_size=count, max_size=count),
        st.lists(st.integers(1, 300), min_size=count, max_size=count),
        st.floats(-50, 2500),
    )
)

# ---------------------------------------------------------------------------------------- kernels


def test_nearest_lots_both_ways() -> None:
    gap = np.array([149.0, 150.0, 151.0, -149.0, -150.0, -151.0, 0.0])
    lots = nearest_lots(gap, grid(np.full(7, 100.0)), np.full(7, 10))
    assert lots.tolist() == [1, 1, 2, -1, -1, -2, 0]


def test_a_sale_is_at_most_what_may_be_sold_and_an_order_at_least_the_smallest() -> None:
    lots = nearest_lots(np.array([-900.0, 300.0, 400.0]), grid([100, 100, 100], least=4), np.array([5, 0, 0]))
    assert lots.tolist() == [-5, 0, 4]


def test_whole_position_leaves_nothing_behind_for_rounding_of_floats() -> None:
    price = 0.1 + 0.2
    assert nearest_lots(np.array([-300 * price]), grid([price]), np.array([300])).tolist() == [-300]


def test_enough_cash_changes_nothing_and_none_buys_nothing() -> None:
    most = np.array([3, 2])
    one = grid([10, 20], rate=0.5, minimum=1.0)
    assert afford(np.array([3.0, 2.0]), most, one, 70 + 1.5 + 1.0).tolist() == [3, 2]
    assert afford(np.array([3.0, 2.0]), most, one, 0.0).tolist() == [0, 0]
    assert afford(np.array([]), np.array([], dtype=np.int64), grid([]), -1.0).tolist() == []


def test_a_shortage_cuts_in_one_proportion_then_fills_where_most_is_missing() -> None:
    # Half of the cash: 5 and 2 lots (round(2.5) down); the 5 dollars left fit neither.
    lots = afford(np.array([10.0, 5.0]), np.array([10, 5]), grid([10, 10]), 75.0)
    assert lots.tolist() == [5, 2]
    # 80: the same start, 10 more go where 50 are missing rather than 30.
    lots = afford(np.array([10.0, 5.0]), np.array([10, 5]), grid([10, 10]), 80.0)
    assert lots.tolist() == [6, 2]


def test_the_last_lots_go_to_the_largest_remainder() -> None:
    wanted = np.array([1.6, 1.9, 1.7])
    lots = afford(wanted, np.array([2, 2, 2]), grid([10, 10, 10]), 45.0)
    assert lots.tolist() == [1, 2, 1]


def test_a_name_that_does_not_fit_lets_the_next_one_in() -> None:
    lots = afford(np.array([1.0, 1.0]), np.array([1, 1]), grid([100, 30]), 40.0)
    assert lots.tolist() == [0, 1]


def test_tiny_lots_take_up_what_large_ones_leave() -> None:
    wanted = np.array([1.0, 90_000.0])
    lots = afford(wanted, np.array([1, 90_000]), grid([1000.0, 0.01]), 950.0)
    assert lots.tolist() == [0, 90_000]
    lots = afford(wanted, np.array([1, 90_000]), grid([1000.0, 0.01]), 850.0)
    assert lots[0] == 0
    assert 84_999 <= lots[1] <= 85_000


def test_no_part_order_is_below_the_smallest_order() -> None:
    wanted = np.array([10.0, 10.0])
    lots = afford(wanted, np.array([10, 10]), grid([10, 10], least=8), 100.0)
    assert sorted(lots.tolist()) == [0, 10]
    assert afford(wanted, np.array([10, 10]), grid([10, 10], least=8), 70.0).tolist() == [0, 0]


@calm
@given(baskets, st.floats(0, 0.02), st.floats(0, 3), st.integers(1, 3))
def test_never_over_budget_nor_above_what_was_wanted(
    basket: tuple[list[float], list[int], float], markup: float, minimum: float, least: int
) -> None:
    wanted, units, budget = np.array(basket[0]), np.array(basket[1], dtype=float), basket[2]
    one = grid(units, worst=units * (1 + markup), rate=0.05, minimum=minimum, least=least)
    most = nearest_lots(wanted * units, one, np.full(units.shape, UNLIMITED))
    lots = afford(wanted, most, one, budget)
    assert (lots >= 0).all()
    assert (lots <= most).all()
    assert ((lots == 0) | (lots >= least)).all()
    assert one.cost(lots).sum() <= max(0.0, budget) + 1e-9


def best_error(wanted: np.ndarray, units: np.ndarray, most: np.ndarray, budget: float) -> float:
    """The least summed money gap of all whole-lot choices within budget, by trying them all."""
    return min(
        float(np.abs((wanted - np.array(lots)) * units).sum())
        for lots in product(*(range(int(count) + 1) for count in most))
        if (np.array(lots) * units).sum() <= max(0.0, budget)
    )


@calm
@given(baskets)
def test_the_gap_to_the_best_whole_lots_is_at_most_one_lot(
    basket: tuple[list[float], list[int], float],
) -> None:
    wanted, units, budget = np.array(basket[0]), np.array(basket[1], dtype=float), basket[2]
    most = rounded(wanted)
    lots = afford(wanted, most, grid(units), budget)
    error = float(np.abs((wanted - lots) * units).sum())
    assert best_error(wanted, units, most, budget) - 1e-6 <= error
    assert error <= best_error(wanted, units, most, budget) + units.max() + 1e-6
    if (most * units).sum() <= budget:  # nearest lots are the best there is
        assert error == pytest.approx(best_error(wanted, units, most, budget), abs=1e-6)


def test_how_far_from_the_best_on_average() -> None:
    """3,000 random baskets short of cash: the mean gap to the best choice is under a tenth of a lot."""
    chance = np.random.default_rng(3)
    gaps = []
    for _ in range(3000):
        wanted, units = chance.uniform(0, 4, 3), chance.integers(5, 300, 3).astype(float)
        most = rounded(wanted)
        budget = float(chance.uniform(0.2, 0.95) * (most * units).sum())
        lots = afford(wanted, most, grid(units), budget)
        error = float(np.abs((wanted - lots) * units).sum())
        gaps.append((error - best_error(wanted, units, most, budget)) / units.max())
    assert max(gaps) <= 1.0
    assert 0.0 < np.mean(gaps) < 0.1


@calm
@given(baskets)
def test_not_worse_than_rounding_down(basket: tuple[list[float], list[int], float]) -> None:
    wanted, units, budget = np.array(basket[0]), np.array(basket[1], dtype=float), basket[2]
    lots = afford(wanted, rounded(wanted), grid(units), budget)
    share = min(1.0, max(0.0, budget) / max(float(wanted @ units), 1e-9))
    down = np.floor(share * wanted)
    error, plain = (float(np.abs((wanted - one) * units).sum()) for one in (lots, down))
    assert error <= plain + 1e-6


# ------------------------------------------------------------------------------------------ wishes


def wished(view: Any, fraction: float = 1.0) -> dict[str, int]:
    found: Wish = wish(view, survey(view), fraction)
    return dict(zip(found.symbols, found.lots.tolist(), strict=True))


def test_gaps_become_lots_net_of_open_orders() -> None:
    held = account("main", 9000, [lot("A", 10, 50)])
    view = household([held], {"A": 100, "B": 50}, {"A": "0.05", "B": "0.10", "C": "0.5"})
    assert wished(view) == {"A": -5, "B": 20}
    assert wished(view, 0.5) == {"A": -2, "B": 10}
    orders = [order("A", Side.SELL, 3), order("B", Side.BUY, 8), order("B", Side.BUY, 8, of="wife")]
    view = household([held, account("wife")], {"A": 100, "B": 50}, {"A": "0.05", "B": "0.10"}, orders=orders)
    assert wished(view) == {"A": -2, "B": 12}


def test_fractions_lots_of_a_hundred_and_smallest_orders() -> None:
    names = [
        Instrument("F", lot_size=dec("0.0001")),
        Instrument("H", lot_size=dec(100)),
        Instrument("M", min_notional=dec(60)),
    ]
    targets = {"F": "0.012345", "H": "0.149", "M": "0.005"}
    view = household([account("main", 10_000)], {"F": 100, "H": 10, "M": 10}, targets, instruments=names)
    assert wished(view) == {"F": 12_345, "H": 1, "M": 0}


def test_a_sale_is_at_most_what_open_sales_leave() -> None:
    held = account("main", 0, [lot("A", "10.5", 50)])
    view = household(
        [held],
        {"A": 100},
        {"A": "-0.5"},
        orders=[order("A", Side.SELL, 3), order("Z", Side.SELL, 3), order("A", Side.SELL, 5, of="x")],
    )
    assert wished(view) == {"A": -7}


def test_short_sales_only_where_allowed_and_never_through_zero() -> None:
    held = account("main", 9000, [lot("A", 10, 50)])
    targets = {"A": "-0.10", "B": "-0.10"}
    assert wished(household([held], {"A": 100, "B": 100}, targets)) == {"A": -10, "B": 0}
    limits = Limits(allow_short=True)
    view = household([held], {"A": 100, "B": 100}, targets, limits=limits)
    assert wished(view) == {"A": -10, "B": -10}


# ------------------------------------------------------------------------------------- fit to cash


def buy(symbol: str, qty: object, price: object, **more: Any) -> Proposal:
    return Proposal(symbol, Side.BUY, dec(qty), dec(price), **more)


def test_what_fits_is_not_touched_to_the_last_cent() -> None:
    view = household([account("main")], {"A": 100, "B": 50})
    items = [buy("A", 10, 100), buy("B", 10, 50)]
    needed = sum((cash_needed(view, item) for item in items), Decimal(0))
    assert needed == dec("1002.50") + dec("501.20") + 2
    assert fit_to_cash(items, needed, view) == items
    assert fit_to_cash(items, needed - dec("0.01"), view) != items


def test_cut_buys_keep_lots_prices_and_a_share_of_the_benefit() -> None:
    view = household([account("main")], {"A": 100}, costs=Costs(), execution=AT_REFERENCE)
    item = buy("A", 1000, 100, benefit=200.0, commission=5.0, half_spread=20.0, wash_sale="x")
    (cut,) = fit_to_cash([item], dec(50_010), view)
    assert (cut.qty, cut.price, cut.wash_sale) == (500, 100, "x")
    assert (cut.benefit, cut.commission, cut.half_spread) == (100.0, 2.5, 10.0)


def test_sales_pass_and_unaffordable_buys_drop() -> None:
    view = household([account("main")], {"A": 100, "B": 50})
    sale = Proposal("S", Side.SELL, dec(5), dec(10))
    items = [sale, buy("A", 3, 100), buy("B", 3, 50)]
    assert fit_to_cash(items, dec(-5), view) == [sale]
    fitted = fit_to_cash(items, dec(60), view)
    assert [(item.symbol, item.qty) for item in fitted] == [("S", 5), ("B", 1)]
    uncut = fit_to_cash([buy("A", 1, 100), buy("B", 9, 50)], dec(520), view)
    assert [(item.symbol, item.qty) for item in uncut] == [("A", 1), ("B", 8)]


def test_an_exact_fit_is_bought_and_a_hair_less_is_not() -> None:
    view = household([account("main")], {"A": 100}, costs=FREE, execution=AT_REFERENCE)
    (whole,) = fit_to_cash([buy("A", 20, 100)], dec(1000), view)
    assert whole.qty == 10
    (less,) = fit_to_cash([buy("A", 20, 100)], dec(1000) - dec("0.0000000000001"), view)
    assert less.qty == 9


@calm
@given(
    items=st.lists(
        st.tuples(st.integers(1, 500), st.decimals("0.5", "900", places=2), st.sampled_from(["1", "0.0001"])),
        max_size=8,
    ),
    cash=st.decimals("-100", "300000", places=2),
    offset=st.integers(0, 100),
    costs=st.sampled_from([FREE, Costs(), Costs(commission_bps=dec(5))]),
)
def test_fitted_buys_never_cost_more_than_the_cash(
    items: list[tuple[int, Decimal, str]], cash: Decimal, offset: int, costs: Costs
) -> None:
    names = [f"N{index}" for index in range(len(items))]
    sizes = [dec(size) for _, _, size in items]
    known = [Instrument(name, lot_size=size) for name, size in zip(names, sizes, strict=True)]
    view = household(
        [account("main")],
        {name: price for name, (_, price, _) in zip(names, items, strict=True)},
        instruments=known,
        costs=costs,
        execution=Execution(limit_offset_bps=dec(offset)),
    )
    asked = [
        buy(name, lots * size, price)
        for name, size, (lots, price, _) in zip(names, sizes, items, strict=True)
    ]
    fitted = fit_to_cash(asked, cash, view)
    assert sum((cash_needed(view, item) for item in fitted), Decimal(0)) <= max(Decimal(0), cash)
    before = {item.symbol: item for item in asked}
    for item in fitted:
        assert 0 < item.qty <= before[item.symbol].qty
        assert item.qty % view.instruments[item.symbol].lot_size == 0
