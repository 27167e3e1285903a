"""How fast learners' worlds turn: steps a second of the vectorised Gymnasium environment, 20 names, one core.

A step is one portfolio's day: trade, pay cost and tax, let the market move, show what is seen. Beside it, in
the same run: the same portfolios one by one through the single environment, which is what most learners do.

Run: ``python benchmarks/environment.py [--portfolios 256] [--rounds 5]``. Exit 1 below 50,000 steps a second.
The last line is one JSON object. The best round counts: others show what the machine was doing besides.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from simulator.env import RebalanceEnv, RebalanceVectorEnv
from simulator.world import Market, Problem, random_walk

NAMES, DAYS = 20, 252
BOUND = 50_000.0


def world() -> tuple[Problem, Market]:
    """Return twenty names of 25 % volatility that share a third of it, taxed."""
    covariance = 0.25**2 * (0.3 + 0.7 * np.eye(NAMES))
    problem = Problem(
        np.full(NAMES, 0.99 / NAMES), covariance, np.full(NAMES, 0.001), tax=0.2, capture=0.1
    )  # fmt: skip
    return problem, random_walk(np.full(NAMES, 0.06), covariance)


def vectorised(portfolios: int) -> float:
    """Return steps a second of many portfolios at once, drawing their market included."""
    environment = RebalanceVectorEnv(*world(), portfolios, has_edge=True, episode=DAYS)
    actions = np.random.default_rng(1).integers(0, 4, size=(DAYS, portfolios))
    begun = time.process_time()
    environment.reset(seed=1)
    for day in range(DAYS):
        environment.step(actions[day])
    return DAYS * portfolios / (time.process_time() - begun)


def single() -> float:
    """Return steps a second of one portfolio."""
    environment = RebalanceEnv(*world(), has_edge=True, episode=DAYS)
    actions = np.random.default_rng(1).integers(0, 4, size=DAYS)
    begun = time.process_time()
    environment.reset(seed=1)
    for day in range(DAYS):
        environment.step(actions[day])
    return DAYS / (time.process_time() - begun)


def main() -> int:
    """Print both speeds and their ratio; exit 1 below the bound."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--portfolios", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    many = max(vectorised(options.portfolios) for _ in range(options.rounds))
    one = max(single() for _ in range(options.rounds))
    print(f"{options.portfolios} portfolios of {NAMES} names at once: {many:,.0f} steps a second on one core")
    print(f"one at a time: {one:,.0f} steps a second; at once is {many / one:.0f} times as fast")
    found = {
        "steps_per_second": many, "single_steps_per_second": one, "ratio": many / one, "bound": BOUND,
        "portfolios": options.portfolios, "names": NAMES,
    }  # fmt: skip
    print(json.dumps(found))
    return 0 if many >= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
