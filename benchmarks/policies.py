"""What each rebalancing policy costs beside the best there is: one asset, daily, everybody on the same days.

The world is a lognormal asset and cash, a target weight, a one-way cost; a policy pays for tracking error
(gamma/2 sigma^2 (w - target)^2 a year) and for what it trades. The yardstick is the exact no-trade band
(`tracking_band`); "ours" calls `amortised`, the rule of the default policy, every day. Rules and numbers come
from `gateway.decision.no_trade`: nothing is implemented here but the market. Ratios are taken seed by seed.

Run: ``python benchmarks/policies.py [--seeds 12]``. Exit 1 when ours costs more than 1 % above the best band.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gateway.decision.no_trade import Rule, amortised, tracking_band, tracking_calendar, tracking_threshold

DAYS = 252
MARKET: dict[str, float] = {"mu": 0.04, "sigma": 0.16, "target": 0.6, "gamma": 5.0, "k": 0.001}
BOUND = 1.01
Policy = Callable[[Any, int], Any]


def by_rule(rule: Rule) -> Policy:
    """Follow a rule: at or beyond an edge to its reset, or everything to the target each period."""
    if rule.period:
        every = round(rule.period * DAYS)
        return lambda weight, day: np.full_like(weight, MARKET["target"]) if day % every == 0 else weight

    def trade(weight: Any, day: int) -> Any:
        del day
        lifted = np.where(weight < rule.low, rule.low_reset, weight)
        return np.where(weight > rule.high, rule.high_reset, lifted)

    return trade


def by_default(weight: Any, day: int) -> Any:
    """Ask the default rule."""
    del day
    found = amortised(
        covariance=[[MARKET["sigma"] ** 2]], weights=weight[:, None], targets=[MARKET["target"]],
        k=MARKET["k"], gamma=MARKET["gamma"],
    )  # fmt: skip
    return found.weights[:, 0]


def contestants() -> dict[str, tuple[Policy, float]]:
    """Return every policy, and what its exact cost is (not a number where none is known)."""
    rules = {
        "best band, traded to its edge": tracking_band(**MARKET),
        "daily": tracking_calendar(**MARKET, period=1 / DAYS),
        "monthly": tracking_calendar(**MARKET, period=1 / 12),
        "quarterly": tracking_calendar(**MARKET, period=1 / 4),
        "yearly": tracking_calendar(**MARKET, period=1.0),
        "best calendar": tracking_calendar(**MARKET),
        "5 % threshold, to target": tracking_threshold(**MARKET, width=0.05),
        "5 % threshold, half way": tracking_threshold(**MARKET, width=0.05, reset=0.5),
        "best threshold, to target": tracking_threshold(**MARKET),
        "best threshold, half way": tracking_threshold(**MARKET, reset=0.5),
    }
    found = {name: (by_rule(rule), rule.cost) for name, rule in rules.items()}
    return {**found, "ours (default, untuned)": (by_default, math.nan)}


def simulate(policies: dict[str, tuple[Policy, float]], seeds: int, paths: int, years: int) -> dict[str, Any]:
    """Return the mean cost a year of each policy and seed."""
    sources = [np.random.default_rng(seed) for seed in range(seeds)]
    drift = (MARKET["mu"] - 0.5 * MARKET["sigma"] ** 2) / DAYS
    step = MARKET["sigma"] / math.sqrt(DAYS)
    weights = {name: np.full(seeds * paths, MARKET["target"]) for name in policies}
    cost = {name: np.zeros(seeds * paths) for name in policies}
    for day in range(1, years * DAYS + 1):
        growth = np.exp(drift + step * np.concatenate([source.standard_normal(paths) for source in sources]))
        for name, (trade, _) in policies.items():
            run = weights[name] * growth
            run /= 1 - weights[name] + run
            after = trade(run, day)
            off = after - MARKET["target"]
            tracked = 0.5 * MARKET["gamma"] * MARKET["sigma"] ** 2 / DAYS * off**2
            cost[name] += tracked + MARKET["k"] * np.abs(after - run)
            weights[name] = after
    return {name: total.reshape(seeds, paths).mean(axis=1) / years for name, total in cost.items()}


def main() -> int:
    """Simulate, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--paths", type=int, default=250, help="paths a seed")
    parser.add_argument("--years", type=int, default=20)
    options = parser.parse_args()
    policies = contestants()
    costs = simulate(policies, options.seeds, options.paths, options.years)
    best, exact = costs["best band, traded to its edge"], policies["best band, traded to its edge"][1]
    print(f"{options.seeds} seeds of {options.paths} paths, {options.years} years of {DAYS} days; {MARKET}")
    print(f"{'policy':32s}{'cost, bp a year':>16s}{'over the best':>15s}{'+/-':>8s}{'exact':>9s}")
    ratios = {}
    for name, found in sorted(costs.items(), key=lambda item: item[1].mean()):
        each = found / best
        error = each.std(ddof=1) / math.sqrt(options.seeds)
        ratios[name] = round(float(each.mean()), 4)
        known = policies[name][1] / exact
        text = "" if math.isnan(known) else f"{known:.3f}"
        print(f"{name:32s}{found.mean() * 1e4:16.4f}{each.mean():15.4f}{error:8.4f}{text:>9s}")
    print(json.dumps({"seeds": options.seeds, "over_best": ratios}))
    return 0 if ratios["ours (default, untuned)"] <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
