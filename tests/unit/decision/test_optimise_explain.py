"""Explanations add up, and name what stops a trade."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optimise_world import varied

from gateway.decision.optimise import Covariance, Group, Problem, Status, TaxLots, explain, residuals, solve


def three(**changes: object) -> Problem:
    """Three uncorrelated names; the second has a lot with a small loss and one with a large gain."""
    problem = Problem(
        symbols=("AAA", "BBB", "CCC"),
        held=np.array([0.30, 0.40, 0.20]),
        target=np.array([0.40, 0.30, 0.20]),
        covariance=Covariance.by_factors(np.zeros((3, 0)), np.full(3, 0.04)),
        risk_aversion=5.0,
        buy_cost=0.001,
        sell_cost=0.001,
        lots=TaxLots(np.array([1, 1]), np.array([0.02, 0.38]), np.array([-0.001, 0.1])),
    )
    return replace(problem, **changes)  # type: ignore[arg-type]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6))
def test_benefit_cost_and_tax_by_name_add_up_to_the_whole(seed: int) -> None:
    problem = varied(seed)
    found = solve(problem)
    names = explain(problem, found)
    assert [name.symbol for name in names] == list(problem.symbols)
    if found.status is not Status.OPTIMAL:
        assert all(name.text == f"held: {found.reason}" for name in names)
        return
    left = problem.held - problem.target
    before = 0.5 * problem.risk_aversion * left @ problem.covariance.times(left)
    assert sum(name.benefit for name in names) == pytest.approx(before - found.parts.tracking, abs=1e-12)
    assert sum(name.cost for name in names) == pytest.approx(found.parts.cost, abs=1e-12)
    assert sum(name.tax for name in names) == pytest.approx(found.parts.tax, abs=1e-12)
    assert sum(name.forgone for name in names) == pytest.approx(found.parts.forgone, abs=1e-12)
    lots = {sale.lot: sale.weight for name in names for sale in name.lots}
    assert lots == pytest.approx({at: sold for at, sold in enumerate(found.sold) if sold > 0})


def test_each_name_says_what_was_done_and_why() -> None:
    problem = three()
    bought, sold, kept = explain(problem, solve(problem))
    assert bought.text == "bought 9.5000% of NAV: saves 9.975 bp of tracking error, costs 0.950 bp"
    assert (bought.limits, bought.weight) == ((), pytest.approx(0.395))
    assert sold.text.startswith(
        "sold 2.0000% of NAV: saves 3.600 bp of tracking error, costs 0.200 bp and -0.2"
    )
    assert [(sale.lot, sale.weight) for sale in sold.lots] == [(0, pytest.approx(0.02))]
    assert sold.selling == pytest.approx(0.101)  # the next lot has the large gain
    assert sold.buying == pytest.approx(0.0)  # buying back undoes the cheapest sale: its cost less its credit
    assert (
        kept.text
        == "kept: of a unit of weight, bought, 0.000000 is saved; buying costs 0.001000 and selling 0.001000"
    )


LIMITS = {
    "upper bound": ({"upper": np.array([0.35, 1.0, 1.0])}, 0),
    "lower bound": ({"lower": np.array([0.0, 0.39, 0.0])}, 1),
    "do not buy": ({"no_buy": True}, 0),
    "do not sell": ({"no_sell": True}, 1),
    "do not trade": ({"no_trade": np.array([True, False, False])}, 0),
    "turnover": ({"turnover": 0.05}, 0),
    "cash at least": ({"cash_lower": 0.08}, 0),
    "group tech at most": ({"groups": (Group("tech", np.array([0]), upper=0.33),)}, 0),
    "minimum trade": ({"minimum_trade": 0.097}, 0),
}


@pytest.mark.parametrize("text", LIMITS)
def test_what_stops_a_name_is_named(text: str) -> None:
    changes, at = LIMITS[text]
    problem = three(**changes)
    name = explain(problem, solve(problem))[at]
    assert text in name.limits
    assert f"limited by: {', '.join(name.limits)}" in name.text


def test_whole_lots_are_explained_with_their_own_numbers() -> None:
    problem = three()
    names = explain(problem, solve(problem), np.array([0.09, 0.0, 0.0]))
    assert [name.trade for name in names] == [0.09, 0.0, 0.0]
    assert names[0].cost == pytest.approx(0.00009)
    assert names[1].text.startswith("kept")


def test_a_contradiction_in_a_name_is_every_names_reason() -> None:
    problem = three(upper=np.array([0.2, 1.0, 1.0]), no_trade=True)
    found = solve(problem)
    assert {name.text for name in explain(problem, found)} == {f"held: {found.reason}"}


def test_an_unusable_problem_is_every_names_reason_too() -> None:
    problem = three(held=np.zeros(2))
    found = solve(problem)
    assert {name.text for name in explain(problem, found)} == {f"held: {found.reason}"}
    assert residuals(problem, found).feasibility == np.inf
