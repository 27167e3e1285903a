"""A course: learn a rule on some days, sit the exam on later ones, and fill in the card.

Rules of this room:
1. Training days end before the exam's begin; risk is estimated from training days alone.
2. Both learners are given the same seconds; what each came to is on the card, whichever is kept.
3. A search can be stopped after any round and gone on with to the same end: its state is a few arrays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.decision.learned import BAND, NETWORK, Card, LearnedRule, Score
from gateway.decision.risk import History as Closes
from gateway.decision.risk import Refusal, estimate
from simulator.backtest.bars import Bars, HistoryError
from simulator.train import exam, ppo, rules
from simulator.train.search import Search
from simulator.world import DAYS, Problem, replayed

Floats = npt.NDArray[np.float64]
Tell = Callable[[str], None]
DEFAULT = "default"
REGIME_EDGES = np.array([0.0, 0.25])
"""Calm, usual, restless: today's volatility below, up to 28 % above, and beyond what is usual."""
INVESTED = 0.99


@dataclass(frozen=True, slots=True)
class Course:
    """Say what is learned from and what is examined on; `cost` is one way, a fraction of what is traded."""

    bars: Bars
    split: date
    cost: float = 0.001
    gamma: float = 5.0
    seed: int = 1
    rounds: int = 20

    def parts(self) -> tuple[Floats, Floats]:
        """Return the daily returns before and from the split on; raises `HistoryError`."""
        if np.isnan(self.bars.close).any():
            raise HistoryError("a course needs names that are listed on every day; leave the others out")
        at = int(np.searchsorted(np.array(self.bars.days, dtype="datetime64[D]"), np.datetime64(self.split)))
        if not DAYS <= at <= len(self.bars) - DAYS:
            raise HistoryError(
                f"split {self.split} must leave a year on either side; there are {len(self.bars)} days"
            )
        returns = self.bars.close[1:] / self.bars.close[:-1] - 1.0
        return returns[: at - 1], returns[at - 1 :]

    def problem(self) -> Problem:
        """Return equal weights at the risk of the training days."""
        trained, _ = self.parts()
        count = len(self.bars.symbols)
        days = self.bars.days[: len(trained) + 1]
        closes = Closes(days, self.bars.symbols, self.bars.close[: len(days)])
        risk = estimate(closes, days[-1], dict.fromkeys(self.bars.symbols, 0.3), window=len(trained))
        if isinstance(risk, Refusal):
            raise HistoryError(risk.text)
        covariance = risk.loadings @ risk.loadings.T + np.diag(risk.specific)
        return Problem(
            np.full(count, INVESTED / count), covariance, np.full(count, self.cost), gamma=self.gamma
        )


def by_search(
    course: Course, tell: Tell, checkpoint: Path | None = None, *, resume: bool = False
) -> LearnedRule:
    """Search for a rule's numbers, sit the exam."""
    trained, _ = course.parts()
    search = Search(course.problem(), replayed(trained), REGIME_EDGES, course.seed)
    if resume and checkpoint is not None and checkpoint.exists():
        _restore(search, checkpoint)
        tell(f"going on after round {search.rounds}")
    begun = time.perf_counter()
    while search.rounds < course.rounds:
        search.play(
            1, lambda n, best, _mean: tell(f"round {n} of {course.rounds}: {best * 1e4:.3f} bp a year")
        )
        if checkpoint is not None:
            _keep(search, checkpoint)
    scale, reset = search.found
    rule = LearnedRule(BAND, _blank(), REGIME_EDGES, scale, reset)
    return examined(course, rule, "cross-entropy search", time.perf_counter() - begun, tell)


def by_ppo(
    course: Course, steps: int, tell: Tell, checkpoint: Path | None = None, *, resume: bool = False
) -> LearnedRule:
    """Train a network, sit the exam; raises `ConfigError` without the extra."""
    trained, _ = course.parts()
    begun = time.perf_counter()
    layers = ppo.learn(
        course.problem(), replayed(trained), steps, seed=course.seed, checkpoint=checkpoint, resume=resume,
        tell=lambda done: tell(f"{done} of {steps} steps"),
    )  # fmt: skip
    rule = LearnedRule(NETWORK, _blank(), layers=layers)
    return examined(course, rule, "PPO (stable-baselines3)", time.perf_counter() - begun, tell)


def examined(course: Course, rule: LearnedRule, learner: str, took_s: float, tell: Tell) -> LearnedRule:
    """Sit the exam of the days nobody was trained on, beside the simple rules, and fill in the card."""
    trained, tested = course.parts()
    problem = course.problem()
    tuned = tuned_rules(problem, trained)
    everyone = {DEFAULT: rules.default, "bands": rules.bands(), **tuned, "learned": rules.learned(rule)}
    found = exam.history(problem, tested, everyone, DEFAULT)
    for name, one in found.items():
        gap = one.against
        tell(f"{name}: {one.cost * 1e4:.2f} bp a year, {gap.value * 1e4:+.2f} against {DEFAULT}")
    days, at = course.bars.days, len(trained)
    against = found["learned"].against
    card = Card(
        learner=learner, data=course.bars.name, trained=f"{days[0]} to {days[at]}",
        tested=f"{days[at + 1]} to {days[-1]}", seeds=(course.seed,), budget_s=round(took_s, 1),
        scores=tuple(Score(name, one.cost) for name, one in found.items()), default=DEFAULT,
        difference=against.value, low=against.low, high=against.high, names=course.bars.symbols,
    )  # fmt: skip
    return LearnedRule(rule.kind, card, rule.edges, rule.scale, rule.reset, rule.layers)


def tuned_rules(problem: Problem, trained: Floats) -> dict[str, rules.Rule]:
    """Return each simple rule at the setting that was cheapest on the training days."""
    kinds: Mapping[str, Mapping[str, rules.Rule]] = {
        "calendar": {f"{days} days": rules.calendar(days) for days in (5, 21, 63, 126, 252)},
        "threshold": {f"{band:.2%}": rules.threshold(band) for band in (0.005, 0.01, 0.015, 0.02, 0.03)},
        "half-way": {f"{band:.2%}": rules.threshold(band, 0.5) for band in (0.005, 0.01, 0.015, 0.02, 0.03)},
    }
    found = {}
    for kind, settings in kinds.items():
        costs = {name: exam.daily_costs(problem, trained, rule).mean() for name, rule in settings.items()}
        best = min(costs, key=lambda name: float(costs[name]))
        found[f"{kind} {best}"] = settings[best]
    return found


def _blank() -> Card:
    return Card("", "", "", "", (), 0.0, (), DEFAULT, 0.0, 0.0, 0.0)


def _keep(search: Search, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, rounds=search.rounds, seed=search.seed, mean=search.mean, spread=search.spread)
    partial.replace(path)


def _restore(search: Search, path: Path) -> None:
    with np.load(path, allow_pickle=False) as found:
        if int(found["seed"]) != search.seed or found["mean"].shape != search.mean.shape:
            raise HistoryError(f"{path} is another course's; give the same --seed, or leave --resume out")
        search.rounds, search.mean, search.spread = int(found["rounds"]), found["mean"], found["spread"]
