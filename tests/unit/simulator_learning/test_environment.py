"""The Gymnasium environments: its own checker, with warnings as errors, and the world's very numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium")

from gymnasium.utils.env_checker import check_env  # noqa: E402
from gymnasium.vector import AutoresetMode  # noqa: E402

from simulator.env import BIG, FRACTION, WORDS, RebalanceEnv, RebalanceVectorEnv  # noqa: E402
from simulator.world import Problem, World, random_walk  # noqa: E402

PROBLEM = Problem(np.array([0.5, 0.4]), np.diag([0.04, 0.09]), np.full(2, 0.001), tax=0.2, capture=0.1)
MARKET = random_walk(np.array([0.05, 0.05]), PROBLEM.covariance)


@pytest.mark.parametrize("options", [{}, {"has_edge": True, "hold": 5}, {"actions": FRACTION}])
def test_gymnasium_s_own_checker_has_nothing_to_say(options: dict[str, Any]) -> None:
    check_env(RebalanceEnv(PROBLEM, MARKET, episode=30, **options), skip_render_check=True)


def test_the_seed_s_three_words_and_a_fraction() -> None:
    words = RebalanceEnv(PROBLEM, MARKET)
    assert words.action_space.n == 3
    assert RebalanceEnv(PROBLEM, MARKET, has_edge=True).action_space.n == 4
    assert RebalanceEnv(PROBLEM, MARKET, actions=FRACTION).action_space.shape == (1,)
    with pytest.raises(ValueError, match="write 'words' or 'fraction'"):
        RebalanceEnv(PROBLEM, MARKET, actions="letters")


def test_a_week_s_reward_is_the_sum_of_its_days_scaled() -> None:
    environment = RebalanceEnv(PROBLEM, MARKET, episode=7, hold=5, reward_scale=100.0)
    environment.reset(seed=3)
    world = World(PROBLEM, MARKET, 1, 7)
    world.reset(3)
    _, reward, terminated, truncated, told = environment.step(2)
    steps = [world.step(world.gap if day == 0 else np.zeros((1, 2))) for day in range(5)]
    assert reward == pytest.approx(100 * sum(float(one.reward[0]) for one in steps))
    assert told["cost"] == pytest.approx(sum(float(one.cost[0]) for one in steps))
    assert (terminated, truncated) == (False, False)
    _, _, terminated, truncated, _ = environment.step(0)
    assert (terminated, truncated) == (False, True)


@pytest.mark.parametrize("actions", [WORDS, FRACTION])
def test_many_at_once_are_each_the_world_and_begin_anew_together(actions: str) -> None:
    environment = RebalanceVectorEnv(PROBLEM, MARKET, 4, actions=actions, episode=3)
    seen, _ = environment.reset(seed=[5, 6, 7, 8])
    assert environment.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert seen.shape == environment.observation_space.shape == (4, 9)
    assert environment.observation_space.contains(seen)
    world = World(PROBLEM, MARKET, 4, 3)
    world.reset(5)
    wanted = np.array([0, 1, 2, 1]) if actions == WORDS else np.array([[0.0], [0.5], [1.0], [2.0]])
    share = np.array([[0.0], [0.5], [1.0], [0.5 if actions == WORDS else 1.0]])
    for day in range(3):
        seen, reward, terminated, truncated, told = environment.step(wanted)
        step = world.step(share * world.gap)
        assert reward == pytest.approx(step.reward)
        assert told["tax"] == pytest.approx(step.tax)
        assert truncated.tolist() == [day == 2] * 4
        assert not terminated.any()
        assert np.allclose(seen, world.seen(), atol=1e-6)
    seen, reward, _, truncated, _ = environment.step(wanted)
    assert reward.tolist() == [0.0] * 4
    assert not truncated.any()
    assert np.allclose(seen[:, :2], PROBLEM.targets)


def test_a_ruined_portfolio_is_shown_as_a_number() -> None:
    environment = RebalanceEnv(PROBLEM, MARKET)
    environment.reset(seed=1)
    environment.world.weights[:] = np.inf
    environment.world.basis[:] = np.nan
    with np.errstate(all="ignore"):
        seen, *_ = environment.step(0)
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() <= BIG
