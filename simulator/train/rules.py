"""The rules a learner is held against, as the world plays them: one function from a world to its trades.

Rules of this room:
1. Each is the best-known simple rule of its kind, at its usual setting or at one tuned on the training days;
   none sees more of a world than a learner does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gateway.decision.learned import WORDS, LearnedRule
from gateway.decision.no_trade.many import amortised
from simulator.world import Act, World

Floats = npt.NDArray[np.float64]
Rule = Callable[[World], Floats]


def calendar(days: int) -> Rule:
    """Trade everything every so many days."""

    def trades(world: World) -> Floats:
        return world.gap if world.day % days == 0 else np.zeros_like(world.gap)

    return trades


def threshold(band: float, share: float = 1.0) -> Rule:
    """Trade `share` of every gap once one of a portfolio's gaps is wider than `band`."""

    def trades(world: World) -> Floats:
        gap = world.gap
        is_over = np.abs(gap).max(axis=1, keepdims=True) > band
        found: Floats = np.where(is_over, share * gap, 0.0)
        return found

    return trades


def edges(low: float, high: float) -> Rule:
    """Keep the only name's weight between two edges, trading to them: the exact rule where it is known."""

    def trades(world: World) -> Floats:
        found: Floats = np.clip(world.weights, low, high) - world.weights
        return found

    return trades


def bands(scale: float = 1.0, reset: float = 0.0) -> Rule:
    """Keep each name within its own closed-form band."""

    def trades(world: World) -> Floats:
        one = np.ones(world.portfolios)
        return world.banded(scale * one, reset * one)

    return trades


def default(world: World) -> Floats:
    """Do what the gateway's default policy does: `amortised`, untuned."""
    problem = world.problem
    found = amortised(
        covariance=problem.covariance, weights=world.weights, targets=problem.targets, k=problem.cost,
        gamma=problem.gamma,
    )  # fmt: skip
    return found.trades


def learned(rule: LearnedRule) -> Rule:
    """Do what a learned rule says."""
    if rule.layers:
        acts = np.array([Act[word.upper()] for word in WORDS])

        def say(world: World) -> Floats:
            return world.trades_of(acts[rule.words(world.seen())])

        return say

    def trades(world: World) -> Floats:
        at = np.searchsorted(rule.edges, world.restlessness, side="right")
        return world.banded(rule.scale[at], rule.reset[at])

    return trades
