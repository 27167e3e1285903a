"""Time of one whole decision by each policy, beside that by triggers in the same run.

An account of 100 million dollars has drifted about a tenth away from its targets. It is taxed, holds three
lots a name, bought at different times and prices, and has realised 100 gains and losses a name over five
years, the last ones this month (at most 10,000 in all); nothing was filled since the decision before. Two
sizes: 20 names under a dense risk model, as a history of closes gives it, and 5,000 names under 20 factors.
What is timed is `gateway.decision.policy.propose`: survey, policy, whole lots, costs, tax, wash sales, cash
and a reason for every name. Policies take turns, so that a busy machine is busy for all of them; figures
are medians, in milliseconds.

Run: ``python benchmarks/policies_speed.py [--runs 30]``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from planning import view_of

from gateway.decision.policy import propose
from gateway.decision.risk import RiskModel
from gateway.decision.view import View
from gateway.domain.lots import Lot, RealisedGain
from gateway.events import Action, PolicyName

POLICIES = (
    PolicyName.TRIGGERS, PolicyName.THRESHOLD, PolicyName.SMART, PolicyName.NO_TRADE, PolicyName.OPTIMISE,
)  # fmt: skip
BOUGHT = (date(2019, 5, 6), date(2023, 6, 7), date(2024, 1, 8))
PAID = (Decimal("0.6"), Decimal("0.9"), Decimal("1.2"))


def world(names: int, factors: int, seed: int = 3) -> View:
    """Make an account with lots and a risk model; no `factors` makes a dense one."""
    view = view_of(names)
    account = view.book.accounts["fund"]
    for symbol, (lot,) in list(account.lots.items()):
        third = lot.qty // 3
        sizes = (third, third, lot.qty - 2 * third)
        account.lots[symbol] = [
            Lot(f"{symbol}:{day}", symbol, day, qty, qty * view.prices[symbol] * paid)
            for day, qty, paid in zip(BOUGHT, sizes, PAID, strict=True)
            if qty
        ]
    chance = np.random.default_rng(seed)
    symbols = tuple(view.instruments)
    view.book.realised += past(symbols, view.trade_date, chance)
    loadings = np.column_stack(
        [chance.normal(0.18, 0.05, names), chance.normal(0, 0.04, (names, max(factors, 4) - 1))]
    )
    specific = chance.uniform(0.15, 0.35, names) ** 2
    if factors:
        model = RiskModel(symbols, loadings, specific, view.trade_date)
    else:
        model = RiskModel.dense(symbols, loadings @ loadings.T + np.diag(specific), view.trade_date)
    return replace(view, risk=model)


def past(symbols: tuple[str, ...], today: date, chance: np.random.Generator) -> list[RealisedGain]:
    """Make gains and losses of sales over five years, the oldest first."""
    count = min(10_000, 100 * len(symbols))
    names = chance.choice(len(symbols), count)
    ages = np.sort(chance.integers(1, 1826, count))[::-1]
    gains = chance.normal(50, 200, count).round(2)
    return [
        RealisedGain(
            "fund", symbols[name], f"sold:{n}", Decimal(10), today - timedelta(days=int(age) + 400),
            today - timedelta(days=int(age)), Decimal(1000) + Decimal(str(gain)), Decimal(1000),
        )
        for n, (name, age, gain) in enumerate(zip(names.tolist(), ages.tolist(), gains.tolist(), strict=True))
    ]  # fmt: skip


def timed(view: View, runs: int) -> dict[PolicyName, float]:
    """Return the median milliseconds of a decision by each policy, after one to warm up."""
    times: dict[PolicyName, list[float]] = {policy: [] for policy in POLICIES}
    for run in range(runs + 1):
        for policy in POLICIES:
            asked = replace(view, policy=policy)
            start = time.process_time()
            propose(asked)
            if run:
                times[policy].append(time.process_time() - start)
    return {policy: statistics.median(taken) * 1000 for policy, taken in times.items()}


def main() -> None:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    print(f"{'names':>6s} {'policy':10s}{'ms':>10s}{'ratio':>8s}  trades")
    for names, factors, runs in ((20, 0, options.runs), (5000, 20, max(1, options.runs // 10))):
        view = world(names, factors)
        found = timed(view, runs)
        for policy, ms in found.items():
            plan = propose(replace(view, policy=policy))
            told = f"{len(plan.proposals)}" if plan.action is not Action.HOLD else f"held: {plan.reason}"
            print(f"{names:6d} {policy:10s}{ms:10.2f}{ms / found[PolicyName.TRIGGERS]:8.2f}  {told}")
        figures[str(names)] = {str(policy): round(ms, 3) for policy, ms in found.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
