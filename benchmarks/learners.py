"""Both learners in the same budget, beside simple rules and the default: on one asset and on twenty names.

`--world one-asset`: a market whose cheapest rule is known exactly (`tracking_band`); a learner's cost over
its cost is the figure, and 1.01 the bound for the search. `--world twenty-names`: real names (extra `data`),
learned before 2012, examined after; differences from the default rule carry intervals.

PPO is given the seconds the search took (its steps are counted out from a short trial) and is left out where
the extra `ppo` is not installed. Nothing else runs beside: times are of the process.

Run: ``python benchmarks/learners.py [--world WORLD] [--quick]``. Exit 1 when the search misses the bound.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from gateway.decision.learned import NETWORK, Card, LearnedRule
from gateway.runtime.learned import save
from simulator.backtest.sources import read_history
from simulator.train import course, exam, ppo, rules
from simulator.train.search import Search
from simulator.world import Market, Problem

BOUND = 1.01
SPLIT = date(2012, 1, 3)
TRIAL_STEPS = 2_048


def has_ppo() -> bool:
    """Say whether PPO can be played."""
    return all(importlib.util.find_spec(name) is not None for name in ("stable_baselines3", "torch"))


def by_ppo(problem: Problem, market: Market, seconds: float) -> tuple[ppo.Layers, int, float]:
    """Learn by PPO for about so many seconds of the process; return layers, steps and seconds."""
    ppo.learn(problem, market, TRIAL_STEPS)  # loading the libraries is nobody's training
    begun = time.process_time()
    ppo.learn(problem, market, TRIAL_STEPS)
    pace = TRIAL_STEPS / (time.process_time() - begun)
    steps = max(TRIAL_STEPS, round(pace * seconds / TRIAL_STEPS) * TRIAL_STEPS)
    begun = time.process_time()
    layers = ppo.learn(problem, market, steps)
    return layers, steps, time.process_time() - begun


def one_asset(*, quick: bool) -> tuple[dict[str, Any], bool]:
    """Print every rule's cost over the optimum's, mildest budget first."""
    asset = exam.OneAsset()
    begun = time.process_time()
    search = Search(asset.problem, asset.market, np.zeros(0), episode=5 * 252)
    search.play(4 if quick else 16)
    took = time.process_time() - begun
    scale, reset = search.found
    found: dict[str, rules.Rule] = {
        "weekly, everything": rules.calendar(5), "monthly, everything": rules.calendar(21),
        "quarterly, everything": rules.calendar(63), "threshold 5 %": rules.threshold(0.05),
        "half-way 5 %": rules.threshold(0.05, 0.5), "closed-form band": rules.bands(),
        "default rule": rules.default, "search": rules.bands(float(scale[0]), float(reset[0])),
    }  # fmt: skip
    told = {"search": f"{took:.1f} s, 2 numbers: width {scale[0]:.3f}, reset {reset[0]:.3f}"}
    if has_ppo():
        layers, steps, seconds = by_ppo(asset.problem, asset.market, took)
        blank = Card("", "", "", "", (), 0.0, (), "", 0.0, 0.0, 0.0, ("one",))
        found["PPO"] = rules.learned(LearnedRule(NETWORK, blank, layers=layers))
        told["PPO"] = f"{seconds:.1f} s, {steps} steps, weekly decisions with an edge action"
    ratios = exam.one_asset(found, seeds=3 if quick else 10, paths=64 if quick else 128, years=10)
    print("cost over the exact optimum's, daily decisions, common random numbers (standard error over seeds)")
    for name, one in sorted(ratios.items(), key=lambda item: item[1].value):
        print(f"  {name:24} {one.value:7.4f} +- {one.error:.4f}  {told.get(name, '')}")
    figures = {name: {"ratio": one.value, "error": one.error} for name, one in ratios.items()}
    return {"one_asset": figures, "seconds": took}, quick or ratios["search"].value <= BOUND


def twenty_names(out: Path | None, *, quick: bool) -> dict[str, Any]:
    """Print both learners' cards; the better one is written when asked for."""
    bars = read_history("bundled:sp500").between(None, None)
    plan = course.Course(bars, SPLIT, rounds=3 if quick else 20)
    begun = time.process_time()
    cards = [course.by_search(plan, _quiet)]
    took = time.process_time() - begun
    if has_ppo():
        trained, _ = plan.parts()
        layers, steps, seconds = by_ppo(plan.problem(), course.replayed(trained), took)
        blank = LearnedRule(NETWORK, cards[0].card, layers=layers)
        cards.append(course.examined(plan, blank, f"PPO, {steps} steps (stable-baselines3)", seconds, _quiet))
    scores = {one.name: one.cost for one in cards[0].card.scores if one.name != "learned"}
    for rule in cards:
        scores[rule.card.learner] = next(one.cost for one in rule.card.scores if one.name == "learned")
    print(
        f"bp of wealth a year, tracking and trading, {cards[0].card.tested}; "
        f"learned on {cards[0].card.trained}"
    )
    for name, cost in sorted(scores.items(), key=lambda item: item[1]):
        print(f"  {name:44} {cost * 1e4:7.2f}")
    for rule in cards:
        card = rule.card
        print(
            f"{card.learner} ({card.budget_s:.0f} s) against {card.default}: {card.difference * 1e4:+.2f} bp "
            f"a year, 95 % {card.low * 1e4:+.2f} to {card.high * 1e4:+.2f}: "
            f"{'it beats it' if card.beats_default else 'it does not beat it, and the default stays'}"
        )
    best = min(cards, key=lambda rule: rule.card.difference)
    if out is not None:
        save(best, out / "learned.npz")
    return {"twenty_names": scores, "best_learner": best.card.learner}


def _quiet(_text: str) -> None:
    """Tell nobody."""


def main() -> int:
    """Play the worlds asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", choices=["one-asset", "twenty-names"], action="append")
    parser.add_argument("--out", type=Path, help="write the better rule of the twenty names into this folder")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the budget: for a look, not for figures"
    )
    options = parser.parse_args()
    found: dict[str, Any] = {}
    held = True
    worlds = options.world or ["one-asset", "twenty-names"]
    if "one-asset" in worlds:
        figures, held = one_asset(quick=options.quick)
        found |= figures
    if "twenty-names" in worlds:
        found |= twenty_names(options.out, quick=options.quick)
    print(json.dumps(found))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
