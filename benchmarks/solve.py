"""Time and objective of the optimiser beside Clarabel called directly and cvxpy, on the same problems.

A portfolio has drifted from its target: N names of 5 tax lots each, a covariance of 20 factors (50 from 2,000
names), costs of 5 to 30 bp a side, long-only, cash free. Ours is timed from the described problem to the
checked answer, cold and started from the prices of a slightly different target; Clarabel from ready matrices,
which is in its favour; cvxpy from arrays, as a user writes it. All run on one core, best of their runs, at
their default tolerances. Then 240 small random problems with every kind of constraint (locks, bounds, exact
cash, groups, turnover) are solved by ours and by Clarabel at 1e-11, and the largest difference is shown.

Columns whose package is absent are left out: ``pip install -e '.[dev]'`` has Clarabel, ``'.[bench]'`` cvxpy.
Exit 1 when N = 500 takes 20 ms or more, N = 5,000 100 ms or more, or objectives differ by more than 1e-8.
Run: ``python benchmarks/solve.py [--most 5000]``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
SIZES = (50, 200, 500, 1000, 2000, 5000)
LOTS = 5
FLOORS_MS = {500: 20.0, 5000: 100.0}
INSTANCES = 240
ALLOWED_GAP = 1e-8
ONE_CORE = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "RAYON")}


def best_ms(work: Callable[[], Any], runs: int) -> float:
    """Return the time of the fastest of `runs` runs in milliseconds."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def optional(name: str, remedy: str) -> ModuleType | None:
    """Import `name`, or say which column is left out."""
    try:
        return import_module(name)
    except ImportError as absent:
        print(f"{absent.name} is not installed: its column is left out ({remedy})")
        return None


def by_cvxpy(cp: Any, world: ModuleType, problem: Any) -> float:
    """Solve with cvxpy and Clarabel as a user would write it; return the objective."""
    np = import_module("numpy")
    owner, room, price = world.rungs(problem)
    buy = problem.each(problem.buy_cost)
    count, risk = len(problem.symbols), problem.covariance
    buys, sales = cp.Variable(count, nonneg=True), cp.Variable(owner.size, nonneg=True)
    weights, exposures = cp.Variable(count, nonneg=True), cp.Variable(risk.factors.shape[1])
    sparse = import_module("scipy.sparse")
    owns = sparse.csr_matrix((np.ones(owner.size), (owner, np.arange(owner.size))), (count, owner.size))
    own = cp.multiply(np.sqrt(risk.specific), weights - problem.target)
    tracking = cp.sum_squares(exposures) + cp.sum_squares(own)
    paid = buy @ buys + np.maximum(price, -buy[owner]) @ sales
    asked = cp.Problem(
        cp.Minimize(0.5 * problem.risk_aversion * tracking + paid),
        [
            weights == problem.held + buys - owns @ sales,
            exposures == risk.factors.T @ weights - risk.factors.T @ problem.target,
            weights <= 1,
            sales <= room,
            cp.sum(weights) <= problem.budget - problem.cash_lower,
        ],
    )
    return float(asked.solve(solver="CLARABEL"))


def row(optimise: ModuleType, world: ModuleType, reference: ModuleType | None, cp: Any, names: int) -> Any:
    """Measure one size; return a dictionary of milliseconds and objectives."""
    problem = world.plain(names, LOTS, 1, 20 if names < 2000 else 50)
    runs = 9 if names <= 1000 else 5
    found = optimise.solve(problem)
    moved = replace(problem, target=problem.target * (1 + 0.01 * (problem.target > problem.target.mean())))
    measured = {
        "names": names,
        "ours_ms": best_ms(lambda: optimise.solve(problem), 2 * runs),
        "warm_ms": best_ms(lambda: optimise.solve(moved, start=found.prices), 2 * runs),
        "steps": found.steps,
        "objective": found.objective,
    }
    others = 3 if names <= 1000 else 1
    if reference is not None:
        cone = reference.conic(problem)
        measured["clarabel_ms"] = best_ms(lambda: reference.by_clarabel(cone, 1e-8), others)
        measured["gap"] = found.objective - reference.by_clarabel(cone)[1]
    if cp is not None:
        measured["cvxpy_ms"] = best_ms(lambda: by_cvxpy(cp, world, problem), others)
        measured["cvxpy_gap"] = found.objective - by_cvxpy(cp, world, problem)
    return measured


def largest_gap(optimise: ModuleType, world: ModuleType, reference: ModuleType) -> tuple[int, int, float]:
    """Return how many random problems both solved, how many both refused, and the largest difference."""
    solved = refused = 0
    worst = 0.0
    for seed in range(INSTANCES):
        problem = world.varied(seed)
        found = optimise.solve(problem)
        status, value, _ = reference.by_clarabel(reference.conic(problem))
        if found.status is optimise.Status.OPTIMAL and status == "Solved":
            solved += 1
            worst = max(worst, abs(found.objective - value))
        elif found.status is optimise.Status.INFEASIBLE and status == "PrimalInfeasible":
            refused += 1
        else:
            print(f"seed {seed}: ours {found.status}, Clarabel {status}")
            worst = float("inf")
    return solved, refused, worst


def line(measured: Any) -> str:
    """Write one row of the table."""
    ours = measured["ours_ms"]
    text = (
        f"{measured['names']:>6d}{LOTS:>5d}{measured['steps']:>7d}{ours:>10.2f}{measured['warm_ms']:>10.2f}"
    )
    for name in ("clarabel", "cvxpy"):
        if f"{name}_ms" in measured:
            text += f"{measured[f'{name}_ms']:>13.1f}{measured[f'{name}_ms'] / ours:>8.1f}"
    return text + (f"{measured['gap']:>11.1e}" if "gap" in measured else "")


def measure(most: int) -> int:
    """Measure all, print a table and one line of JSON; return the exit code."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit" / "decision")]
    optimise, world = import_module("gateway.decision.optimise"), import_module("optimise_world")
    reference = optional("optimise_reference", "pip install -e '.[dev]'")
    cp = optional("cvxpy", "pip install -e '.[bench]'")
    head = f"{'names':>6s}{'lots':>5s}{'steps':>7s}{'ours ms':>10s}{'warm ms':>10s}"
    head += f"{'Clarabel ms':>13s}{'ratio':>8s}" if reference else ""
    head += f"{'cvxpy ms':>13s}{'ratio':>8s}" if cp else ""
    print(head + (f"{'gap':>11s}" if reference else ""))
    rows = []
    for names in (size for size in SIZES if size <= most):
        rows.append(row(optimise, world, reference, cp, names))
        print(line(rows[-1]), flush=True)
    held = all(one["ours_ms"] < FLOORS_MS.get(one["names"], float("inf")) for one in rows)
    figures: dict[str, Any] = {"rows": rows}
    if reference is not None:
        solved, refused, worst = largest_gap(optimise, world, reference)
        print(f"{solved} random problems solved by both, {refused} refused by both, largest gap {worst:.1e}")
        figures |= {"random_solved": solved, "random_refused": refused, "largest_gap": worst}
        worst = max([worst, *(abs(one["gap"]) for one in rows)])
        held = held and worst <= ALLOWED_GAP
    print("floors hold" if held else "FLOORS DO NOT HOLD")
    print(json.dumps(figures))
    return 0 if held else 1


def main() -> int:
    """Measure in a process of one thread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1])
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        environment = {**os.environ, **ONE_CORE}
        return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
    return measure(options.most)


if __name__ == "__main__":
    sys.exit(main())
