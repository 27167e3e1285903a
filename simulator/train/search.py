"""A policy search over a handful of numbers: the cross-entropy method, in numpy, reproducible from its seed.

Rules of this room:
1. What is searched: how wide the bands are against the closed form, and how far inside them a trade ends, for
   each regime of the market's restlessness.
2. All candidates of a round meet the same market: differences between them are theirs.
3. The state of a search is a few arrays: it can be saved after any round and gone on with, to the same end.

Source: Rubinstein 1999, The cross-entropy method for combinatorial and continuous optimization.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from simulator.world import DAYS, Market, Problem, World

Floats = npt.NDArray[np.float64]
CANDIDATES, ELITE, PATHS = 24, 6, 64
KEEP = 0.3
"""Share of the old mean and spread that stays in each round: it keeps the search from settling too early."""
SPREAD_FLOOR = 0.01
Tell = Callable[[int, float, Floats], None]


def _quiet(_round: int, _best: float, _mean: Floats) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Search:
    """Hold a search: `mean` and `spread` are over (log scale, reset logit) of each regime.

    `edges` part the log volatility ratio into regimes. `rounds` have been played; `episode` days each.
    """

    problem: Problem
    market: Market
    edges: Floats
    seed: int = 1
    episode: int = DAYS
    paths: int = PATHS
    rounds: int = 0
    mean: Floats = field(init=False)
    spread: Floats = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.edges) + 1
        self.mean = np.concatenate([np.zeros(count), np.full(count, -2.0)])
        self.spread = np.concatenate([np.full(count, 0.5), np.full(count, 1.5)])

    def play(self, rounds: int, tell: Tell = _quiet) -> None:
        """Play so many rounds more; `tell` hears each round's number, best cost a year and mean."""
        for _ in range(rounds):
            rng = np.random.default_rng([self.seed, self.rounds])
            drawn = self.mean + self.spread * rng.standard_normal((CANDIDATES, self.mean.size))
            costs = self.cost(drawn, int(rng.integers(2**31)))
            best = np.argsort(costs, kind="stable")[:ELITE]
            chosen = drawn[best]
            self.mean = KEEP * self.mean + (1 - KEEP) * chosen.mean(axis=0)
            spread = KEEP * self.spread + (1 - KEEP) * chosen.std(axis=0)
            self.spread = np.maximum(spread, SPREAD_FLOOR)
            self.rounds += 1
            tell(self.rounds, float(costs[best[0]]), self.mean)

    def cost(self, drawn: Floats, seed: int) -> Floats:
        """Return the yearly cost of each candidate, (candidates), all in the same market."""
        count = len(drawn)

        def shared(days: int, portfolios: int, rng: np.random.Generator) -> Floats:
            own = self.market(days, portfolios // count, rng)
            return np.tile(own, (1, count, 1))

        world = World(self.problem, shared, count * self.paths, self.episode, seed)
        scales, resets = self.numbers(drawn)
        scales, resets = (np.repeat(one, self.paths, axis=0) for one in (scales, resets))
        rows = np.arange(count * self.paths)
        total = np.zeros(count * self.paths)
        while not world.is_over:
            at = np.searchsorted(self.edges, world.restlessness, side="right")
            step = world.step(world.banded(scales[rows, at], resets[rows, at]))
            total -= step.reward
        yearly: Floats = total.reshape(count, self.paths).mean(axis=1) / self.episode * DAYS
        return yearly

    def numbers(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Return scale and reset of each regime, from what is searched over."""
        half = drawn.shape[-1] // 2
        return np.exp(drawn[..., :half]), 1.0 / (1.0 + np.exp(-drawn[..., half:]))

    @property
    def found(self) -> tuple[Floats, Floats]:
        """Return the scale and the reset of each regime as they stand."""
        return self.numbers(self.mean)
