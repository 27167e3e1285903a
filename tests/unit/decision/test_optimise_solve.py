"""The optimiser's weights: against Clarabel, against the conditions of optimality, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from optimise_reference import by_clarabel, conic
from optimise_world import plain, rungs, singular, varied

from gateway.decision.optimise import (
    Covariance,
    Group,
    Options,
    Problem,
    Solution,
    Status,
    TaxLots,
    residuals,
    solve,
)
from gateway.decision.optimise.convex import Frame, solve_convex
from gateway.decision.optimise.ladder import ladder_of
from gateway.decision.optimise.newton import Ending
from gateway.decision.optimise.rows import Box, box_of, out_of_reach, rows_of

seeds = st.integers(0, 10**6)


def objective(problem: Problem, trades: np.ndarray) -> float:
    """The objective from its definition: dense risk, lots sold cheapest first, prices clipped."""
    factors = problem.covariance.factors
    risk = factors @ factors.T + np.diag(problem.covariance.specific)
    left = problem.held + trades - problem.target
    total = 0.5 * problem.risk_aversion * left @ risk @ left
    buy = problem.each(problem.buy_cost)
    total += buy @ np.maximum(trades, 0)
    owner, room, price = rungs(problem)
    for name in np.flatnonzero(trades < 0):
        left_to_sell = -trades[name]
        for rung in sorted(np.flatnonzero(owner == name), key=lambda at: price[at]):
            sold = min(room[rung], left_to_sell)
            total += sold * max(price[rung], -buy[name])
            left_to_sell -= sold
    return float(total)


def broken(problem: Problem, trades: np.ndarray) -> float:
    """By how much trades break the worst constraint, from the problem's own words."""
    weights = problem.held + trades
    cash = problem.budget - weights.sum()
    worst = [
        (problem.each(problem.lower) - weights).max(),
        (weights - problem.each(problem.upper)).max(),
        problem.cash_lower - cash,
        cash - problem.cash_upper,
        np.abs(trades).sum() - problem.turnover,
    ]
    for group in problem.groups:
        total = weights[group.members].sum()
        worst += [group.lower - total, total - group.upper]
    locked = problem.locked(problem.no_trade)
    worst.append((trades * (problem.locked(problem.no_buy) | locked)).max())
    worst.append((-trades * (problem.locked(problem.no_sell) | locked)).max())
    size, smallest = np.abs(trades), problem.each(problem.minimum_trade)
    worst.append(np.where(size > 1e-12, smallest - size, 0.0).max())
    return float(max(worst))


def with_minimum(seed: int, most: float) -> Problem:
    problem = varied(seed)
    chance = np.random.default_rng([seed, 3])
    return replace(problem, minimum_trade=chance.uniform(0, most, len(problem.symbols)))


# ------------------------------------------------------------------------------------ against others


@pytest.mark.slow
def test_two_hundred_random_problems_agree_with_clarabel() -> None:
    gaps, refused = [], 0
    for seed in range(240):
        problem = varied(seed)
        found, (status, value, _) = solve(problem), by_clarabel(conic(problem))
        if found.status is Status.OPTIMAL:
            assert status == "Solved"
            gaps.append(found.objective - value)
            assert found.objective == pytest.approx(objective(problem, found.trades), abs=1e-12)
        else:
            assert (found.status, status) == (Status.INFEASIBLE, "PrimalInfeasible"), seed
            refused += 1
    assert len(gaps) >= 200
    assert refused >= 5
    assert max(gaps) <= 1e-8
    assert min(gaps) >= -1e-8


def test_singular_covariances_agree_with_clarabel() -> None:
    for seed in range(60):
        problem = singular(seed)
        found, (status, value, _) = solve(problem), by_clarabel(conic(problem))
        if found.status is Status.OPTIMAL:
            assert found.objective == pytest.approx(value, abs=1e-8)
            assert found.gap <= 1e-8
        else:
            assert (found.status, status) == (Status.INFEASIBLE, "PrimalInfeasible"), seed


def test_the_naive_problem_sells_and_buys_one_name_and_ours_does_not() -> None:
    problem = plain(50, 5, 7)
    _, naive_value, naive = by_clarabel(conic(problem, clipped=False))
    first, exposures, count, sales = conic(problem).widths
    bought = naive[first + exposures :][:count]
    owner, _, _ = rungs(problem)
    sold = np.bincount(owner, naive[-sales:], minlength=count)
    washed = (bought > 1e-6) & (sold > 1e-6)
    assert washed.sum() >= 25  # it sells losses for their credit and buys the same names back
    found = solve(problem)
    assert found.objective > naive_value
    made = np.zeros(count)
    np.add.at(made, problem.lots.name, found.sold)
    assert not ((found.trades > 0) & (made > 0)).any()
    np.testing.assert_allclose(made, np.maximum(-found.trades, 0), atol=1e-12)
    assert found.parts.forgone > 0  # what the clip does not count is said


def test_minimum_trades_equal_a_search_of_every_choice_on_small_problems() -> None:
    compared = 0
    for seed in range(700):
        problem = with_minimum(seed, 0.06)
        if len(problem.symbols) > 5:
            continue
        found, best = solve(problem), best_of_all(problem)
        if found.status is Status.OPTIMAL:
            compared += 1
            assert found.objective == pytest.approx(best, abs=1e-9)
            assert broken(problem, found.trades) <= 1e-9
            assert found.gap >= -1e-12
        else:
            assert best == np.inf
    assert compared >= 20


def test_minimum_trades_of_many_names_are_kept() -> None:
    for seed in range(40):
        problem = with_minimum(seed, 0.02)
        found = solve(problem)
        assert found.status in (Status.OPTIMAL, Status.INFEASIBLE, Status.UNCONVERGED)
        if found.status is Status.OPTIMAL:
            assert broken(problem, found.trades) <= 1e-9
            assert found.gap >= -1e-12


def best_of_all(problem: Problem) -> float:
    """The best objective over every choice of nothing, at least the least bought, or sold."""
    box = box_of(problem)
    if isinstance(box, str):
        return np.inf
    rows, smallest, best = rows_of(problem), problem.each(problem.minimum_trade), np.inf
    frame = Frame(problem, ladder_of(problem), rows, 300, 60)
    nothing = np.zeros(problem.covariance.factors.shape[1] + len(rows.labels) + 1)
    for choice in product((-1, 0, 1), repeat=len(problem.symbols)):
        side = np.array(choice)
        low = np.where(side > 0, smallest, np.where(side < 0, box.least, 0.0))
        high = np.where(side > 0, box.most, np.where(side < 0, -smallest, 0.0))
        part = Box(np.maximum(low, box.least), np.minimum(high, box.most))
        if (part.least <= part.most).all() and not out_of_reach(rows, part):
            found = solve_convex(frame, part, nothing)
            if found.ending is Ending.MINIMUM:
                best = min(best, found.objective)
    return best


# ----------------------------------------------------------------------------------- what always holds


@settings(max_examples=150, deadline=None)
@given(seeds, st.sampled_from([0.0, 0.01]))
def test_constraints_hold_and_nothing_better_was_left_lying(seed: int, most: float) -> None:
    problem = with_minimum(seed, most) if most else varied(seed)
    found = solve(problem)
    nothing, full = np.zeros(len(problem.symbols)), problem.target - problem.held
    if found.status is not Status.OPTIMAL:
        assert not found.trades.any()
        assert found.reason
        return
    assert broken(problem, found.trades) <= 1e-9
    assert found.cash == pytest.approx(problem.budget - found.weights.sum(), abs=1e-12)
    value = objective(problem, found.trades)
    assert found.objective == pytest.approx(value, abs=1e-12)
    for other in (nothing, full):
        if broken(problem, other) <= 0:
            assert found.objective <= objective(problem, other) + 1e-12


@settings(max_examples=100, deadline=None)
@given(seeds, st.booleans())
@example(seed=3, is_singular=False)
@example(seed=23, is_singular=True)
def test_the_conditions_of_optimality_hold(seed: int, is_singular: bool) -> None:
    problem = (singular if is_singular else varied)(seed)
    found = solve(problem)
    if found.status is Status.OPTIMAL:
        left = residuals(problem, found)
        assert left.stationarity <= 1e-7
        assert left.feasibility <= 1e-9
        assert left.complementarity <= 1e-9
        assert found.gap <= 1e-9
    else:
        assert found.status is Status.INFEASIBLE
        assert residuals(problem, found).stationarity == np.inf


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_no_locked_position_grows_and_no_name_is_on_both_sides(seed: int) -> None:
    problem = varied(seed)
    found = solve(problem)
    locked = problem.locked(problem.no_trade)
    assert (found.trades[problem.no_buy | locked] <= 0).all()
    assert (found.trades[problem.no_sell | locked] >= 0).all()
    sold = np.zeros(len(problem.symbols))
    np.add.at(sold, problem.lots.name, found.sold)
    assert not ((found.trades > 0) & (sold > 0)).any()
    assert (found.sold >= 0).all()
    assert (found.sold <= problem.lots.weight + 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_its_own_answer_is_left_alone(seed: int) -> None:
    problem = replace(varied(seed), turnover=np.inf)  # a turnover limit starts anew at every request
    found = solve(problem)
    again = solve(after(problem, found))
    assert not again.trades.any()


def after(problem: Problem, found: Solution) -> Problem:
    """The problem once the solution is done: lots sold are gone, what was bought has no gain."""
    weights = np.maximum(problem.lots.weight - found.sold, 0.0)
    bought = np.flatnonzero(found.trades > 0)
    lots = TaxLots(
        np.concatenate((problem.lots.name, bought)),
        np.concatenate((weights, found.trades[bought])),
        np.concatenate((problem.lots.tax, np.zeros(bought.size))),
    )
    return replace(problem, held=found.weights, lots=lots if problem.lots.name.size else TaxLots())


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_a_start_from_earlier_prices_changes_the_work_and_not_the_answer(seed: int) -> None:
    problem = varied(seed)
    found = solve(problem)
    if found.prices is None:
        return
    again = solve(problem, start=found.prices)
    assert again.steps == 0
    np.testing.assert_allclose(again.trades, found.trades, atol=1e-12)
    moved = replace(problem, target=problem.target * np.linspace(0.95, 1.05, problem.target.size))
    cold, warm = solve(moved), solve(moved, start=found.prices)
    assert warm.status is cold.status
    assert warm.objective == pytest.approx(cold.objective, abs=1e-10)


def test_the_same_problem_gives_the_same_answer_to_the_last_bit() -> None:
    one, two = solve(varied(11)), solve(varied(11))
    assert one.trades.tobytes() == two.trades.tobytes()
    assert one.objective == two.objective


def test_a_start_of_another_problem_is_not_used() -> None:
    problem, other = plain(10, 1, 1), plain(10, 1, 1, factors=3)
    start = solve(other).prices
    assert start is not None
    assert solve(problem, start=start).objective == solve(problem).objective
    spoilt = replace(start, factors=np.full(3, np.nan))
    assert solve(other, start=spoilt).objective == solve(other).objective


# ------------------------------------------------------------------------------------- by hand


def two(**changes: object) -> Problem:
    """Two uncorrelated names of 20 % volatility, 40 / 50 held, 50 / 45 wanted, 10 bp one way, aversion 5."""
    problem = Problem(
        symbols=("AAA", "BBB"),
        held=np.array([0.40, 0.50]),
        target=np.array([0.50, 0.45]),
        covariance=Covariance.by_factors(np.zeros((2, 0)), np.full(2, 0.04)),
        risk_aversion=5.0,
        buy_cost=0.001,
        sell_cost=0.001,
    )
    return replace(problem, **changes)  # type: ignore[arg-type]


def test_uncorrelated_names_trade_to_the_edge_of_their_band() -> None:
    found = solve(two())
    np.testing.assert_allclose(found.trades, [0.095, -0.045], atol=1e-12)  # edge: cost / (5 * 0.04) = 0.005
    assert found.cash == pytest.approx(0.05)
    assert found.reason == "2 names traded"


def test_a_gain_is_kept_where_its_tax_costs_more_than_it_brings() -> None:
    lots = TaxLots(np.array([1, 1]), np.array([0.02, 0.48]), np.array([-0.002, 0.05]))
    found = solve(two(lots=lots))
    np.testing.assert_allclose(found.trades, [0.095, -0.02], atol=1e-12)
    np.testing.assert_allclose(found.sold, [0.02, 0.0], atol=1e-12)
    assert found.parts.tax == pytest.approx(-0.002 * 0.02)
    assert found.parts.forgone == pytest.approx(0.0)


def test_inside_the_band_nothing_is_done() -> None:
    found = solve(two(held=np.array([0.497, 0.452])))
    assert not found.trades.any()
    assert found.status is Status.OPTIMAL
    assert "holding is best" in found.reason


def test_without_cost_the_target_is_reached() -> None:
    found = solve(two(buy_cost=0.0, sell_cost=np.zeros(2)))
    np.testing.assert_allclose(found.weights, [0.50, 0.45], atol=1e-12)


def test_a_short_position_may_be_opened_where_the_bounds_allow_and_no_long_is_sold_through_zero() -> None:
    target = np.array([-0.2, -0.2])
    found = solve(two(held=np.array([0.0, 0.5]), target=target, lower=-0.3, cash_upper=2.0))
    np.testing.assert_allclose(found.weights, [-0.195, 0.0], atol=1e-12)
    covered = solve(two(held=np.array([-0.2, 0.5]), target=np.array([0.0, 0.5]), lower=-0.3))
    np.testing.assert_allclose(covered.weights, [-0.005, 0.5], atol=1e-12)


def test_a_position_beyond_its_bound_is_forced_back_lot_by_lot() -> None:
    lots = TaxLots(np.array([1, 1, 1]), np.array([0.1, 0.2, 0.2]), np.array([0.1, 0.02, 0.2]))
    found = solve(two(lots=lots, upper=np.array([1.0, 0.25])))
    assert found.weights[1] == pytest.approx(0.25)
    np.testing.assert_allclose(found.sold, [0.05, 0.2, 0.0], atol=1e-12)
    forced = solve(two(lower=np.array([0.6, 0.0]), minimum_trade=0.25, cash_lower=-1.0))
    np.testing.assert_allclose(
        forced.weights, [0.65, 0.5], atol=1e-12
    )  # a forced trade is at least the least


def test_no_names_at_all_is_a_solved_problem() -> None:
    nobody = Problem((), np.zeros(0), np.zeros(0), Covariance(np.zeros((0, 2)), np.zeros(0)), 1.0, 0.0, 0.0)
    found = solve(nobody)
    assert (found.status, found.cash) == (Status.OPTIMAL, 1.0)


def test_a_factor_covariance_is_folded_into_the_loadings() -> None:
    loadings = np.array([[1.0, 0.2], [0.5, -0.3], [0.1, 0.9]])
    between = np.array([[0.04, 0.01], [0.01, 0.09]])
    covariance = Covariance.by_factors(loadings, np.full(3, 0.01), between)
    dense = loadings @ between @ loadings.T + 0.01 * np.eye(3)
    np.testing.assert_allclose(covariance.factors @ covariance.factors.T + 0.01 * np.eye(3), dense)
    np.testing.assert_allclose(covariance.variances, np.diag(dense))
    taken = Covariance.by_matrix(dense)
    assert taken.specific.min() > 0
    np.testing.assert_allclose(taken.factors @ taken.factors.T + np.diag(taken.specific), dense)


def test_a_riskless_name_in_a_dense_covariance_is_no_trouble() -> None:
    found = solve(two(covariance=Covariance.by_matrix(np.diag([0.04, 0.0]))))
    np.testing.assert_allclose(found.trades, [0.095, 0.0], atol=1e-9)


# ------------------------------------------------------------------------------------- holds


HELD = np.array([0.40, 0.50])
REFUSED = {
    "finite": {"held": np.array([np.nan, 0.5])},
    "held must have 2 entries": {"held": np.zeros(3)},
    "target must have 2 entries": {"target": np.zeros(())},
    "buy_cost must have 2 entries": {"buy_cost": np.zeros(3)},
    "sell_cost of BBB must not be negative": {"sell_cost": np.array([0.0, -1.0])},
    "buy_cost must not be negative": {"buy_cost": -0.1},
    "upper of AAA must be finite": {"upper": np.array([np.inf, 1.0])},
    "risk_aversion": {"risk_aversion": 0.0},
    "budget": {"budget": np.inf},
    "no room between cash_lower 0.2": {"cash_lower": 0.2, "cash_upper": 0.1},
    "no room between cash_lower inf": {"cash_lower": np.inf},
    "lots.name must be whole": {"lots": TaxLots(np.zeros(0), np.zeros(0), np.zeros(0))},
    "turnover": {"turnover": -0.1},
    "one entry for each lot": {"lots": TaxLots(np.array([0]), np.zeros(2), np.zeros(2))},
    "lots.name must be positions": {"lots": TaxLots(np.array([2]), np.zeros(1), np.zeros(1))},
    "finite weights": {"lots": TaxLots(np.array([0]), np.array([-0.1]), np.zeros(1))},
    "lots of AAA hold more": {"lots": TaxLots(np.array([0]), np.array([0.41]), np.zeros(1))},
    "no positions in symbols": {"groups": (Group("g", np.array([2])),)},
    "group h has members": {"groups": (Group("h", np.array([0.5])),)},
    "twice": {"groups": (Group("g", np.array([1, 1])),)},
    "no room between its bounds": {"groups": (Group("g", np.array([1]), 0.5, 0.4),)},
    "a matrix of 2 rows": {"covariance": Covariance(np.zeros((3, 1)), np.zeros(2))},
    "factors must be finite": {"covariance": Covariance(np.full((2, 1), np.inf), np.zeros(2))},
    "specific of BBB must not": {"covariance": Covariance(np.zeros((2, 1)), np.array([0.1, -0.1]))},
    "square and finite": {"covariance": Covariance.by_matrix(np.zeros((2, 3)))},
    "not symmetric": {"covariance": Covariance.by_matrix(np.array([[1.0, 0.5], [0.0, 1.0]]))},
    "covariance is indefinite": {"covariance": Covariance.by_matrix(np.array([[1.0, 2.0], [2.0, 1.0]]))},
    "factor covariance is indefinite": {
        "covariance": Covariance.by_factors(np.zeros((2, 1)), np.zeros(2), np.array([[-1.0]]))
    },
}


@pytest.mark.parametrize("text", REFUSED)
def test_an_unusable_problem_holds_and_says_what_is_wrong(text: str) -> None:
    found = solve(two(**REFUSED[text]))
    assert found.status is Status.INVALID
    assert text in found.reason
    assert not found.trades.any()


INFEASIBLE = {
    "BBB is held at 0.500000": {"upper": np.array([1.0, 0.4]), "no_sell": True},
    "AAA is held at 0.400000": {"lower": np.array([0.5, 0.0]), "no_buy": np.array([True, False])},
    "cash at least: out of reach": {"cash_lower": 0.2, "no_trade": True},
    "group g exactly: out of reach": {
        "groups": (Group("g", np.array([0]), 0.6, 0.6),),
        "upper": np.array([0.5, 1.0]),
    },
    "turnover: the bounds alone force 0.1": {"lower": np.array([0.5, 0.0]), "turnover": 0.05},
    "meets all of: group g at least, turnover": {
        "groups": (Group("g", np.array([0]), lower=0.6),),
        "turnover": 0.1,
    },
}


@pytest.mark.parametrize("text", INFEASIBLE)
def test_contradictions_hold_and_are_named(text: str) -> None:
    found = solve(two(**INFEASIBLE[text]))
    assert found.status is Status.INFEASIBLE
    assert text in found.reason
    np.testing.assert_array_equal(found.weights, HELD)
    assert found.parts.tracking == pytest.approx(2.5 * 0.04 * (0.1**2 + 0.05**2))


def test_a_contradiction_that_takes_many_steps_is_found_and_blames_one_side_of_a_row() -> None:
    found = solve(varied(2547))
    assert found.status is Status.INFEASIBLE
    assert "turnover" in found.reason
    assert not ("g0 at least" in found.reason and "g0 at most" in found.reason)


def test_an_empty_group_is_no_contradiction_unless_it_must_hold_something() -> None:
    nobody = np.zeros(0, dtype=np.intp)
    assert solve(two(groups=(Group("g", nobody, 0.0, 0.1),))).status is Status.OPTIMAL
    assert solve(two(groups=(Group("g", nobody, 0.1, 0.2),))).status is Status.INFEASIBLE


def test_what_does_not_converge_holds() -> None:
    found = solve(varied(5), Options(most_steps=1))
    assert (found.status, found.trades.any()) == (Status.UNCONVERGED, np.False_)
    assert "no optimum within 1 steps" in found.reason


def test_numbers_beyond_all_sense_hold() -> None:
    found = solve(two(risk_aversion=1e308, covariance=Covariance(np.full((2, 1), 1e200), np.full(2, 1e200))))
    assert found.status is not Status.OPTIMAL
    assert not found.trades.any()


def test_minimum_trades_that_cannot_be_met_hold() -> None:
    exact = Group("g", np.array([0, 1]), 0.905, 0.905)
    found = solve(two(groups=(exact,), minimum_trade=0.3, cash_lower=-1.0, upper=0.8, no_sell=True))
    assert found.status is Status.UNCONVERGED
    assert "minimum trade" in found.reason


def test_the_target_is_taken_where_no_other_trades_of_the_least_were_found() -> None:
    problem = Problem(
        symbols=("AAA", "BBB", "CCC"),
        held=np.array([0.1, 0.6, 0.2]),
        target=np.array([0.4, 0.45, 0.05]),
        covariance=Covariance.by_factors(np.zeros((3, 0)), np.full(3, 0.04)),
        risk_aversion=5.0,
        buy_cost=0.04,
        sell_cost=0.04,
        minimum_trade=np.array([0.3, 0.05, 0.05]),
        upper=np.array([1.0, 0.5, 1.0]),
        no_buy=np.array([False, False, True]),
        cash_lower=0.1,
        cash_upper=0.1,
    )
    found = solve(problem, Options(most_branches=0))
    np.testing.assert_allclose(found.weights, problem.target)
    np.testing.assert_allclose(solve(problem).weights, problem.target, atol=1e-9)


def test_where_the_linear_algebra_gives_up_nothing_is_traded(monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(*_: object) -> None:
        raise np.linalg.LinAlgError

    monkeypatch.setattr(np.linalg, "solve", gives_up)
    found = solve(varied(5))
    assert (found.status, found.trades.any()) == (Status.UNCONVERGED, np.False_)
