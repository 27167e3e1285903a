"""The world as Gymnasium environments: one portfolio, or many at once. Needs the extra `train`.

Rules of this room:
1. Nothing is worked out here: `world.py` is the world, these classes give it Gymnasium's words.
2. Actions: `words` (nothing, partial 50 %, full, and with `has_edge` to the edge of the closed form's band),
   or `fraction` (how much of every gap to close, 0 to 1).
3. An episode ends by its length alone: it is truncated, never terminated.

Source: the interface of Gymnasium 1.x (reset, step, spaces).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from simulator.world import Act, Floats, Market, Problem, Step, World

Observation = npt.NDArray[np.float32]
WORDS, FRACTION = "words", "fraction"
BIG = 1e6
"""No figure a policy sees is larger; a ruined portfolio is cut here rather than shown as infinite."""


def _spaces(problem: Problem, actions: str, *, has_edge: bool) -> tuple[spaces.Box, spaces.Space[Any]]:
    width = 3 * len(problem.targets) + 3
    seen = spaces.Box(-BIG, BIG, (width,), np.float32)
    if actions == WORDS:
        return seen, spaces.Discrete(len(Act) if has_edge else len(Act) - 1)
    if actions == FRACTION:
        return seen, spaces.Box(0.0, 1.0, (1,), np.float32)
    raise ValueError(f"actions is {actions!r}; write {WORDS!r} or {FRACTION!r}")


def _trades(world: World, actions: str, chosen: npt.NDArray[Any]) -> Floats:
    if actions == WORDS:
        return world.trades_of(chosen)
    share = np.clip(chosen.reshape(world.portfolios, 1).astype(float), 0.0, 1.0)
    found: Floats = share * world.gap
    return found


def _shown(seen: Floats) -> Observation:
    return np.nan_to_num(np.clip(seen, -BIG, BIG), nan=0.0).astype(np.float32)


def _told(step: Step) -> dict[str, Floats]:
    """Return what the reward was made of."""
    return {
        "drift": step.drift,
        "cost": step.cost,
        "tax": step.tax,
        "captured": step.captured,
        "turnover": step.turnover,
    }


class RebalanceEnv(gymnasium.Env[Observation, Any]):
    """One portfolio. `reward_scale` multiplies the reward alone: learners like numbers near 1."""

    def __init__(
        self, problem: Problem, market: Market, *, actions: str = WORDS, has_edge: bool = False,
        episode: int = 252, hold: int = 1, reward_scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.metadata = {"render_modes": []}
        seen, self.action_space = _spaces(problem, actions, has_edge=has_edge)
        self.observation_space: spaces.Space[Any] = seen
        self.world = World(problem, market, 1, episode)
        self.actions, self.hold, self.reward_scale = actions, hold, reward_scale

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; a seed makes it the same again."""
        super().reset(seed=seed)
        del options
        return _shown(self.world.reset(seed))[0], {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act once, then let `hold` days pass in all; the reward is their sum."""
        trades = _trades(self.world, self.actions, np.asarray(action).reshape(1))
        reward = 0.0
        told: dict[str, float] = {}
        for _ in range(self.hold):
            step = self.world.step(trades)
            told = {name: float(value[0]) + told.get(name, 0.0) for name, value in _told(step).items()}
            reward += float(step.reward[0])
            trades = np.zeros_like(trades)
            if self.world.is_over:
                break
        return _shown(self.world.seen())[0], reward * self.reward_scale, False, self.world.is_over, told


class RebalanceVectorEnv(VectorEnv[Observation, Any, npt.NDArray[Any]]):
    """Many portfolios of one problem, each in its own stretch of the market; they begin and end together."""

    def __init__(
        self, problem: Problem, market: Market, portfolios: int, *, actions: str = WORDS,
        has_edge: bool = False, episode: int = 252, reward_scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs = portfolios
        self.single_observation_space, self.single_action_space = _spaces(problem, actions, has_edge=has_edge)
        self.observation_space = batch_space(self.single_observation_space, portfolios)
        self.action_space = batch_space(self.single_action_space, portfolios)
        self.world = World(problem, market, portfolios, episode)
        self.actions, self.reward_scale = actions, reward_scale
        self._none = np.zeros(portfolios, dtype=bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin all episodes; one seed is for all of them."""
        del options
        one = seed[0] if isinstance(seed, list) else seed
        return _shown(self.world.reset(one)), {}

    def step(
        self, actions: Any
    ) -> tuple[Observation, Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]]:
        """Let a day pass everywhere; after the last day the next step begins anew and gives no reward."""
        if self.world.is_over:
            seen, _ = self.reset()
            return seen, np.zeros(self.num_envs), self._none, self._none, {}
        step = self.world.step(_trades(self.world, self.actions, np.asarray(actions)))
        over = np.full(self.num_envs, self.world.is_over)
        return _shown(self.world.seen()), step.reward * self.reward_scale, self._none, over, dict(_told(step))
