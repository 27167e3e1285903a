"""The learners' world: costs in their true order, worked out by hand; nobody sees tomorrow; seeds repeat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from simulator.world import DAYS, Act, Market, Problem, World, random_walk, replayed

Floats = npt.NDArray[np.float64]
PROBLEM = Problem(
    np.array([0.5, 0.3]), np.diag([0.04, 0.09]), np.array([0.001, 0.002]), gamma=5.0, tax=0.2, capture=0.5
)  # fmt: skip


def told(*days: list[float]) -> Market:
    """Give these returns to every portfolio."""
    table = np.array(days)

    def draw(count: int, portfolios: int, _rng: np.random.Generator) -> Floats:
        return np.broadcast_to(table[:count, None, :], (count, portfolios, table.shape[1])).copy()

    return draw


def test_a_step_trades_pays_and_only_then_lets_the_market_move() -> None:
    world = World(PROBLEM, told([0.1, -0.1], [0.0, 0.0]), 1, episode=2)
    world.step(np.zeros((1, 2)))
    grown = 1 + 0.5 * 0.1 - 0.3 * 0.1
    assert world.weights[0] == pytest.approx([0.55 / grown, 0.27 / grown])
    assert world.basis[0] == pytest.approx([1 / 1.1, 1 / 0.9])
    before = world.weights[0].copy()
    step = world.step(np.array([[-0.05, 0.02]]))
    after = before + np.array([-0.05, 0.02])
    off = after - PROBLEM.targets
    drift = 0.5 * 5 * (0.04 * off[0] ** 2 + 0.09 * off[1] ** 2) / DAYS
    cost = 0.05 * 0.001 + 0.02 * 0.002
    tax = 0.2 * 0.05 * (1 - 1 / 1.1)
    assert step.drift[0] == pytest.approx(drift)
    assert step.cost[0] == pytest.approx(cost)
    assert step.tax[0] == pytest.approx(tax)
    assert step.turnover[0] == pytest.approx(0.07)
    assert step.reward[0] == pytest.approx(-drift - cost - tax)
    assert world.weights[0] == pytest.approx(after / (1 - cost - tax))
    assert world.basis[0, 1] == pytest.approx((before[1] / 0.9 + 0.02) / (before[1] + 0.02))
    assert world.is_over


def test_return_beyond_the_target_is_captured_and_a_loss_brings_its_tax_back() -> None:
    world = World(PROBLEM, told([0.0, -0.5], [0.2, 0.0]), 1, episode=2)
    world.step(np.zeros((1, 2)))
    held = world.weights[0].copy()
    step = world.step(np.array([[0.0, -0.1]]))
    assert step.tax[0] == pytest.approx(0.2 * 0.1 * (1 - 2.0))
    assert step.captured[0] == pytest.approx((held[0] - 0.5) * 0.2)
    expected = -step.drift[0] - step.cost[0] - step.tax[0] + 0.5 * step.captured[0]
    assert step.reward[0] == pytest.approx(expected)


def test_words_mean_what_they_say() -> None:
    world = World(PROBLEM, told([0.5, -0.3]), 4, episode=1)
    world.step(np.zeros((4, 2)))
    gap = world.gap[0]
    trades = world.trades_of(np.array([Act.NOTHING, Act.PARTIAL, Act.FULL, Act.EDGE]))
    assert trades[0].tolist() == [0, 0]
    assert trades[1] == pytest.approx(gap / 2)
    assert trades[2] == pytest.approx(gap)
    widths = PROBLEM.half_widths()
    assert trades[3] == pytest.approx(np.sign(gap) * (np.abs(gap) - widths))
    assert world.banded(np.ones(4), np.zeros(4))[3] == pytest.approx(trades[3])
    assert world.banded(np.ones(4), np.ones(4))[0] == pytest.approx(gap)


def test_one_portfolio_is_the_same_alone_as_among_many() -> None:
    days = [[0.01, -0.02], [0.03, 0.01], [-0.04, 0.02]]
    alone, many = World(PROBLEM, told(*days), 1, 3), World(PROBLEM, told(*days), 5, 3)
    while not alone.is_over:
        one = alone.step(0.5 * alone.gap)
        all_of_them = many.step(0.5 * many.gap)
        assert np.allclose(all_of_them.reward, one.reward[0], atol=1e-18)
        assert np.allclose(many.seen(), alone.seen()[0])


def test_a_seed_is_a_market() -> None:
    market = random_walk(np.array([0.05, 0.05]), PROBLEM.covariance)
    first, same, other = (World(PROBLEM, market, 3, 5, seed) for seed in (1, 1, 2))
    for world in (first, same, other):
        while not world.is_over:
            world.step(np.zeros((3, 2)))
    assert np.array_equal(first.weights, same.weights)
    assert not np.array_equal(first.weights, other.weights)
    again = first.reset(1)
    assert np.array_equal(again, same.reset(1))


@pytest.mark.parametrize("make", [replayed, lambda table: told(*table.tolist())])
def test_what_is_seen_knows_nothing_of_what_comes(make: Callable[[Floats], Market]) -> None:
    """Two markets alike for two days show the same until the third has passed."""
    rng = np.random.default_rng(4)
    one = rng.normal(0, 0.01, (4, 2))
    other = one.copy()
    other[2:] += 0.05
    shown = []
    for table in (one, other):
        world = World(PROBLEM, make(table), 1, 4, seed=1)
        world._returns = np.broadcast_to(table[:, None, :], (4, 1, 2))
        seen = [world.seen()]
        for _ in range(3):
            world.step(0.3 * world.gap)
            seen.append(world.seen())
        shown.append(seen)
    for day in range(3):
        assert np.array_equal(shown[0][day], shown[1][day])
    assert not np.array_equal(shown[0][3], shown[1][3])


def test_a_random_walk_has_the_drift_and_the_covariance_it_was_given() -> None:
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    drawn = random_walk(np.array([0.08, 0.02]), covariance)(2_000, 50, np.random.default_rng(3))
    flat = drawn.reshape(-1, 2)
    assert np.log1p(flat).T @ np.log1p(flat) / len(flat) * DAYS == pytest.approx(covariance, rel=0.03)
    assert flat.mean(axis=0) * DAYS == pytest.approx([0.08, 0.02], abs=0.02)


def test_history_is_replayed_from_a_day_drawn_and_goes_on_from_the_first() -> None:
    table = np.arange(10.0).reshape(5, 2)
    drawn = replayed(table)(7, 20, np.random.default_rng(1))
    assert drawn.shape == (7, 20, 2)
    for path in range(20):
        rows = drawn[:, path, 0] / 2
        assert ((rows[1:] - rows[:-1]) % 5 == 1).all()
