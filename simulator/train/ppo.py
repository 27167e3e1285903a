"""PPO by a well-kept library (stable-baselines3), the second learner: the extra `ppo` alone needs torch.

Rules of this room:
1. Decisions are weekly and rewards scaled: daily decisions and raw rewards are known to fail.
2. What is learned leaves as plain arrays: the gateway evaluates it with numpy.
3. One torch thread: on small machines more are slower.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.errors import ConfigError
from simulator.world import Market, Problem

Floats = npt.NDArray[np.float64]
Layers = tuple[tuple[Floats, Floats], ...]
WEEK = 5
REWARD_SCALE = 1e4
ENVIRONMENTS = 8
CHECK_STEPS = 10_000
"""So many steps lie between two checkpoints, and two words about progress."""


def learn(
    problem: Problem, market: Market, steps: int, *, seed: int = 1, checkpoint: Path | None = None,
    resume: bool = False, tell: Callable[[int], None] = lambda _steps: None,
) -> Layers:  # fmt: skip
    """Train for so many steps and return the policy's layers; raises `ConfigError` without the extra.

    With `checkpoint` (a `.zip`) the learner is saved as it goes, what rewards are scaled by beside it
    (`.scales`); `resume` goes on from there.
    """
    library, torch = _libraries()
    from simulator.env import RebalanceEnv  # noqa: PLC0415 - a search needs no Gymnasium

    torch.set_num_threads(1)

    def make() -> RebalanceEnv:
        return RebalanceEnv(problem, market, has_edge=True, hold=WEEK, reward_scale=REWARD_SCALE)

    vectors = importlib.import_module("stable_baselines3.common.vec_env")
    plain = vectors.DummyVecEnv([make] * ENVIRONMENTS)
    scales = None if checkpoint is None else checkpoint.with_suffix(".scales")
    if resume and scales is not None and scales.exists():
        environments = vectors.VecNormalize.load(str(scales), plain)
    else:
        environments = vectors.VecNormalize(plain, norm_obs=False)
    if resume and checkpoint is not None and checkpoint.exists():
        model = library.PPO.load(checkpoint, env=environments, device="cpu")
    else:
        model = library.PPO(
            "MlpPolicy", environments, n_steps=256, batch_size=512, n_epochs=6, gamma=0.98, seed=seed,
            device="cpu", policy_kwargs={"net_arch": [32, 32]},
        )  # fmt: skip
    while model.num_timesteps < steps:
        more = min(CHECK_STEPS, steps - model.num_timesteps)
        model.learn(more, reset_num_timesteps=False)
        if checkpoint is not None:
            model.save(checkpoint)
            environments.save(str(scales))
        tell(int(model.num_timesteps))
    return _layers(model.policy)


def _layers(policy: Any) -> Layers:
    """Take the policy's own layers out of the library's network: inputs x outputs, and a bias each."""
    linear = [one for one in policy.mlp_extractor.policy_net if hasattr(one, "weight")]
    found = []
    for one in (*linear, policy.action_net):
        matrix, bias = (part.detach().cpu().numpy().astype(float) for part in (one.weight, one.bias))
        found.append((matrix.T.copy(), bias))
    return tuple(found)


def _libraries() -> tuple[Any, Any]:
    missing = [
        name for name in ("gymnasium", "stable_baselines3", "torch") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            f"PPO needs {missing[0]}; pip install 'rebalance-gateway[ppo]', or use --learner search"
        )
    return importlib.import_module("stable_baselines3"), importlib.import_module("torch")
