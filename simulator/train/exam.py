"""The exam: what a rule costs a year in a world, and by how much two rules differ beyond chance.

Rules of this room:
1. All rules sit the same exam: the same market, day for day (common random numbers).
2. Where the optimum is known exactly, a rule is held against it; where it is not, against the default rule.
3. An exam of real days is sat on days nobody was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.tracking import tracking_band
from simulator.backtest.chance import Interval, of_mean
from simulator.train.rules import Rule, edges
from simulator.world import DAYS, Market, Problem, World, random_walk, replayed

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OneAsset:
    """A market of one risky asset and cash whose cheapest rule is known exactly.

    `mu`, `sigma` a year, target weight `target`, risk aversion `gamma`, one-way cost `k`.
    """

    mu: float = 0.04
    sigma: float = 0.16
    target: float = 0.6
    gamma: float = 5.0
    k: float = 0.001

    @property
    def problem(self) -> Problem:
        """Return it as a problem."""
        covariance = np.array([[self.sigma**2]])
        return Problem(np.array([self.target]), covariance, np.array([self.k]), gamma=self.gamma)

    @property
    def market(self) -> Market:
        """Return its market."""
        return random_walk(np.array([self.mu]), np.array([[self.sigma**2]]))

    @property
    def best(self) -> Rule:
        """Return the exact rule (Leland's class, solved in `gateway.decision.no_trade.tracking`)."""
        found = tracking_band(mu=self.mu, sigma=self.sigma, target=self.target, gamma=self.gamma, k=self.k)
        return edges(found.low, found.high)


@dataclass(frozen=True, slots=True)
class Ratio:
    """What a rule costs over what the best one costs, with the standard error over groups of paths."""

    value: float
    error: float


def one_asset(
    rules: Mapping[str, Rule],
    *,
    where: OneAsset | None = None,
    seeds: int = 10,
    paths: int = 256,
    years: int = 20,
) -> dict[str, Ratio]:
    """Return each rule's cost over the optimum's, daily decisions, the same market for all.

    `seeds` groups of `paths` portfolios are played at once; their ratios give the standard error.
    """
    asset = where or OneAsset()
    everyone = {"best": asset.best, **rules}
    costs = {}
    for name, rule in everyone.items():
        world = World(asset.problem, asset.market, seeds * paths, years * DAYS, 1000)
        costs[name] = _yearly(world, rule).reshape(seeds, paths).mean(axis=1)
    best = costs.pop("best")
    return {
        name: Ratio(float((cost / best).mean()), float((cost / best).std(ddof=1) / np.sqrt(seeds)))
        for name, cost in costs.items()
    }


def _yearly(world: World, rule: Rule) -> Floats:
    """Return what a rule costs a year, an entry a portfolio."""
    total = np.zeros(world.portfolios)
    while not world.is_over:
        step = world.step(rule(world))
        total += step.drift + step.cost + step.tax
    return total / world.episode * DAYS


def daily_costs(problem: Problem, returns: Floats, rule: Rule) -> Floats:
    """Return what a rule costs each day of a history it is played through once, (days)."""

    def straight(days: int, portfolios: int, _rng: np.random.Generator) -> Floats:
        found: Floats = np.broadcast_to(returns[:days, None, :], (days, portfolios, returns.shape[1]))
        return found

    world = World(problem, straight, 1, len(returns))
    costs = np.zeros(len(returns))
    for day in range(len(returns)):
        step = world.step(rule(world))
        costs[day] = float(step.drift[0] + step.cost[0] + step.tax[0])
    return costs


@dataclass(frozen=True, slots=True)
class Result:
    """What a rule cost on real days, a year, and against the default rule."""

    cost: float
    against: Interval


def history(problem: Problem, returns: Floats, rules: Mapping[str, Rule], against: str) -> dict[str, Result]:
    """Sit the exam of real days: every rule through the same days, each held against one of them."""
    costs = {name: daily_costs(problem, returns, rule) for name, rule in rules.items()}
    base = costs[against]
    return {name: Result(float(cost.mean() * DAYS), of_mean(cost - base)) for name, cost in costs.items()}


__all__ = ["OneAsset", "Ratio", "Result", "daily_costs", "history", "one_asset", "replayed"]
