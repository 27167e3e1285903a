"""Both learners in the same budget, beside simple rules and the default: on one asset and on twenty names.

`--world one-asset`: a market whose cheapest rule is known exactly (`tracking_band`); a learner's cost over
its cost is the figure, and 1.01 the bound for the search, in less than a minute. `--world twenty-names`: real
names (extra `data`), learned before 2012, examined after; differences from the default rule carry intervals.

Each learner is trained once a seed, and the median over seeds stands with the lowest and highest beside it.
PPO is given the seconds the search took with that seed (its steps are counted out from a short trial) and is
left out where the extra `ppo` is not installed. Times are of the process, so two at a time disturb little.

Run: ``python benchmarks/learners.py [--world WORLD] [--seeds 5] [--quick]``. Exit 1 when a search misses the
bound. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from gateway.decision.learned import BAND, NETWORK, Card, LearnedRule
from gateway.runtime.learned import save
from simulator.backtest.sources import read_history
from simulator.train import course, exam, ppo, rules
from simulator.train.search import Search
from simulator.world import Market, Problem, replayed

BOUND, BOUND_S = 1.01, 60.0
SPLIT = date(2012, 1, 3)
TRIAL_STEPS = 2_048
SEARCH, PPO = "cross-entropy search", "PPO"
ONE_ASSET, TWENTY = "one-asset", "twenty-names"
BLANK = Card("", "", "", "", (), 0.0, (), course.DEFAULT, 0.0, 0.0, 0.0, ("one",))


@dataclass(frozen=True)
class Trained:
    """Hold what one learner made of one seed; `steps` are rounds of the search, or PPO's steps."""

    learner: str
    seed: int
    rule: LearnedRule
    steps: int
    seconds: float


def has_ppo() -> bool:
    """Say whether PPO can be played."""
    return all(importlib.util.find_spec(name) is not None for name in ("stable_baselines3", "torch"))


def course_of(seed: int) -> course.Course:
    """Return the course of the twenty names."""
    return course.Course(read_history("bundled:sp500").between(None, None), SPLIT, seed=seed)


def searched(world: str, seed: int, rounds: int) -> Trained:
    """Train the search with one seed."""
    if world == ONE_ASSET:
        asset = exam.OneAsset()
        search = Search(asset.problem, asset.market, np.zeros(0), seed, episode=5 * 252)
    else:
        plan = course_of(seed)
        search = Search(plan.problem(), replayed(plan.parts()[0]), course.REGIME_EDGES, seed)
    begun = time.process_time()
    search.play(rounds)
    took = time.process_time() - begun
    scale, reset = search.found
    return Trained(SEARCH, seed, LearnedRule(BAND, BLANK, search.edges, scale, reset), rounds, took)


def networked(world: str, seed: int, seconds: float) -> Trained:
    """Train PPO with one seed for about so many seconds of the process."""
    problem, market, names = _world(world, seed)
    ppo.learn(problem, market, TRIAL_STEPS)  # loading the libraries is nobody's training
    begun = time.process_time()
    ppo.learn(problem, market, TRIAL_STEPS)
    pace = TRIAL_STEPS / (time.process_time() - begun)
    steps = max(TRIAL_STEPS, round(pace * seconds / TRIAL_STEPS) * TRIAL_STEPS)
    begun = time.process_time()
    layers = ppo.learn(problem, market, steps, seed=seed)
    took = time.process_time() - begun
    return Trained(PPO, seed, LearnedRule(NETWORK, replace(BLANK, names=names), layers=layers), steps, took)


def _world(world: str, seed: int) -> tuple[Problem, Market, tuple[str, ...]]:
    if world == ONE_ASSET:
        asset = exam.OneAsset()
        return asset.problem, asset.market, ("one",)
    plan = course_of(seed)
    return plan.problem(), replayed(plan.parts()[0]), plan.bars.symbols


def trained(world: str, seeds: int, rounds: int) -> list[Trained]:
    """Train both learners with every seed, two at a time."""
    numbers = range(1, seeds + 1)
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(searched, [world] * seeds, numbers, [rounds] * seeds))
        if has_ppo():
            found += pool.map(networked, [world] * seeds, numbers, [one.seconds for one in found])
    return found


def learned_by(found: Sequence[Trained]) -> dict[str, list[Trained]]:
    """Return what was trained by learner."""
    return {
        name: [one for one in found if one.learner == name]
        for name in dict.fromkeys(one.learner for one in found)
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median of a figure over seeds, and how far it goes."""
    return {"median": median(values), "lowest": min(values), "highest": max(values)}


def one_asset(seeds: int, *, quick: bool) -> tuple[dict[str, Any], bool]:
    """Print every rule's cost over the optimum's, mildest first."""
    made = trained(ONE_ASSET, seeds, 4 if quick else 16)
    simple: dict[str, rules.Rule] = {
        "weekly, everything": rules.calendar(5), "monthly, everything": rules.calendar(21),
        "quarterly, everything": rules.calendar(63), "threshold 5 %": rules.threshold(0.05),
        "half-way 5 %": rules.threshold(0.05, 0.5), "closed-form band": rules.bands(),
        "default rule": rules.default,
    }  # fmt: skip
    everyone = {**simple, **{f"{one.learner} {one.seed}": rules.learned(one.rule) for one in made}}
    ratios = exam.one_asset(everyone, seeds=3 if quick else 10, paths=64 if quick else 128, years=10)
    rows = {name: (spread([ratios[name].value]), f"+- {ratios[name].error:.4f}") for name in simple}
    for name, all_ in learned_by(made).items():
        values = [ratios[f"{name} {one.seed}"].value for one in all_]
        rows[name] = (spread(values), _told(all_, values))
    print("cost over the exact optimum's, daily decisions, the same market for all (standard error)")
    for name, (one, text) in sorted(rows.items(), key=lambda item: item[1][0]["median"]):
        print(f"  {name:24} {one['median']:7.4f}  {text}")
    worst = max(ratios[f"{SEARCH} {one.seed}"].value for one in made if one.learner == SEARCH)
    slowest = max(one.seconds for one in made if one.learner == SEARCH)
    print(f"the search: at worst {worst:.4f} times the optimum, in {slowest:.1f} s at most")
    figures = {name: one for name, (one, _) in rows.items()}
    held = quick or (worst <= BOUND and slowest <= BOUND_S)
    return {"one_asset": figures, "worst": worst, "seconds": slowest, "seeds": seeds}, held


def _told(made: Sequence[Trained], values: Sequence[float]) -> str:
    """Say how a learner's seeds spread, and what they took."""
    seconds, steps = median(one.seconds for one in made), median(one.steps for one in made)
    what = "rounds" if made[0].learner == SEARCH else "steps, weekly decisions with an edge action"
    return (
        f"{min(values):.4f} to {max(values):.4f} over {len(made)} seeds; {seconds:.1f} s, {steps:.0f} {what}"
    )


def twenty_names(out: Path | None, seeds: int, *, quick: bool) -> dict[str, Any]:
    """Print what every rule costs out of sample; write the better learner's median rule when asked to."""
    plan = course_of(1)
    made = trained(TWENTY, seeds, 3 if quick else 20)
    before, after = plan.parts()
    problem = plan.problem()
    simple = {course.DEFAULT: rules.default, "bands": rules.bands(), **course.tuned_rules(problem, before)}
    everyone = {**simple, **{f"{one.learner} {one.seed}": rules.learned(one.rule) for one in made}}
    results = exam.history(problem, after, everyone, course.DEFAULT)
    rows = {name: (results[name].cost * 1e4, "") for name in simple}
    middles = {}
    for name, all_ in learned_by(made).items():
        ranked = sorted(all_, key=lambda one: results[f"{one.learner} {one.seed}"].cost)
        values = [results[f"{one.learner} {one.seed}"].cost * 1e4 for one in ranked]
        middles[name] = ranked[(len(ranked) - 1) // 2]
        rows[name] = (values[(len(values) - 1) // 2], _told(all_, values))
    days = plan.bars.days
    print(
        f"bp of wealth a year, tracking and trading, {days[len(before) + 1]} to {days[-1]}; learned on "
        f"{days[0]} to {days[len(before)]}; the median seed of each learner"
    )
    for name, (cost, text) in sorted(rows.items(), key=lambda item: item[1][0]):
        print(f"  {name:24} {cost:7.2f}  {text}")
    _show_gaps({name: results[f"{one.learner} {one.seed}"] for name, one in middles.items()}, simple, results)
    best = min(middles.values(), key=lambda one: results[f"{one.learner} {one.seed}"].cost)
    if out is not None:
        plan = course_of(best.seed)
        save(course.examined(plan, best.rule, best.learner, best.seconds, _quiet), out / "learned.npz")
    return {"twenty_names": {name: cost for name, (cost, _) in rows.items()}, "best_learner": best.learner}


def _show_gaps(
    learned: Mapping[str, exam.Result], simple: Mapping[str, rules.Rule], results: Mapping[str, exam.Result]
) -> None:
    """Print every rule's difference from the default, with its interval."""
    print(f"against {course.DEFAULT}, bp a year, 95 % by block bootstrap of the daily differences")
    everyone = {**{name: results[name] for name in simple if name != course.DEFAULT}, **learned}
    for name, one in everyone.items():
        gap = one.against
        verdict = "beats it" if gap.high < 0 else "does not beat it: the default stays"
        print(
            f"  {name:24} {gap.value * 1e4:+.2f}, {gap.low * 1e4:+.2f} to {gap.high * 1e4:+.2f}"
            f"{f'  {verdict}' if name in learned else ''}"
        )


def _quiet(_text: str) -> None:
    """Tell nobody."""


def main() -> int:
    """Play the worlds asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", choices=[ONE_ASSET, TWENTY], action="append")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the better rule of the twenty names into this folder")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the budget: for a look, not for figures"
    )
    options = parser.parse_args()
    found: dict[str, Any] = {}
    held = True
    worlds = options.world or [ONE_ASSET, TWENTY]
    seeds = min(2, options.seeds) if options.quick else options.seeds
    if ONE_ASSET in worlds:
        figures, held = one_asset(seeds, quick=options.quick)
        found |= figures
    if TWENTY in worlds:
        found |= twenty_names(options.out, seeds, quick=options.quick)
    print(json.dumps(found))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
