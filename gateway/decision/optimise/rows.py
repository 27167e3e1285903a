"""What must hold across names: cash and groups as rows, turnover as the last of them.

Rules of this room:
1. A row says `coefficients @ trades <= bound`; an equality is one row whose multiplier may have any sign.
2. The box (bounds, locks, minimum trades) is not a row: no trade ever leaves it, not even on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.decision.optimise.problem import NOISE, Bools, Floats, Problem


@dataclass(frozen=True, slots=True)
class Rows:
    """Hold R rows over N names: `labels`, `matrix` (R, N), `bound` (R,), `is_equal` (R,), and `turnover`."""

    labels: tuple[str, ...]
    matrix: Floats
    bound: Floats
    is_equal: Bools
    turnover: float

    def excess(self, trades: Floats) -> Floats:
        """Return how far `trades` break each row and, last, the turnover, (R + 1,), not negative."""
        over = self.matrix @ trades - self.bound
        over = np.where(self.is_equal, np.abs(over), np.maximum(over, 0.0))
        total: Floats = np.append(over, max(0.0, float(np.abs(trades).sum()) - self.turnover))
        return total


@dataclass(frozen=True, slots=True)
class Box:
    """Bound each trade: `least` <= trade <= `most`, both (N,)."""

    least: Floats
    most: Floats


def rows_of(problem: Problem) -> Rows:
    """Write cash and groups as rows in trades; bounds that are infinite have none."""
    count = len(problem.symbols)
    spans = [
        ("cash", np.ones(count), problem.budget - problem.cash_upper, problem.budget - problem.cash_lower)
    ]
    for group in problem.groups:
        inside = np.zeros(count)
        inside[np.asarray(group.members, dtype=np.intp)] = 1.0
        spans.append((f"group {group.label}", inside, group.lower, group.upper))
    labels: list[str] = []
    lines: list[Floats] = []
    bounds: list[float] = []
    equal: list[bool] = []
    for label, inside, lower, upper in spans:
        now = float(inside @ problem.held)
        low_word, high_word = ("at most", "at least") if label == "cash" else ("at least", "at most")
        if upper - lower <= NOISE:
            cases = [(f"{label} exactly", 1.0, upper - now, True)]
        else:
            cases = [
                (f"{label} {high_word}", 1.0, upper - now, False),
                (f"{label} {low_word}", -1.0, now - lower, False),
            ]
        for text, sign, bound, is_equal in cases:
            if np.isfinite(bound):
                labels.append(text)
                lines.append(sign * inside)
                bounds.append(bound)
                equal.append(is_equal)
    matrix = np.array(lines).reshape(len(lines), count)
    return Rows(tuple(labels), matrix, np.array(bounds), np.array(equal, dtype=bool), problem.turnover)


def box_of(problem: Problem) -> Box | str:
    """Intersect bounds and locks, name by name; say which name contradicts itself."""
    no_trade = problem.locked(problem.no_trade)
    least = problem.each(problem.lower) - problem.held
    most = problem.each(problem.upper) - problem.held
    least = np.where(problem.held > 0, np.maximum(least, -problem.held), least)
    least = np.where(problem.locked(problem.no_sell) | no_trade, np.maximum(least, 0.0), least)
    most = np.where(problem.locked(problem.no_buy) | no_trade, np.minimum(most, 0.0), most)
    smallest = problem.each(problem.minimum_trade)
    least = np.where(np.abs(least) < smallest, np.where(least > 0, smallest, 0.0), least)
    most = np.where(np.abs(most) < smallest, np.where(most < 0, -smallest, 0.0), most)
    wrong = least > most + NOISE
    if wrong.any():
        at = int(np.argmax(wrong))
        low, high = float(problem.each(problem.lower)[at]), float(problem.each(problem.upper)[at])
        return (
            f"{problem.symbols[at]} is held at {problem.held[at]:.6f} and must lie within {low:.6f} and"
            f" {high:.6f}, but its locks or its minimum trade forbid that: widen the bound or lift the lock"
        )
    return Box(least, np.maximum(most, least))


def out_of_reach(rows: Rows, box: Box) -> str:
    """Say which row no trade within the box can meet, or return the empty string."""
    positive, negative = np.maximum(rows.matrix, 0.0), np.minimum(rows.matrix, 0.0)
    fewest = positive @ box.least + negative @ box.most
    greatest = positive @ box.most + negative @ box.least
    missed = (fewest > rows.bound + NOISE) | (rows.is_equal & (greatest < rows.bound - NOISE))
    if missed.any():
        at = int(np.argmax(missed))
        return f"{rows.labels[at]}: out of reach within the names' bounds and locks"
    forced = float(np.maximum(np.maximum(box.least, -box.most), 0.0).sum())
    if forced > rows.turnover + NOISE:
        return f"turnover: the bounds alone force {forced:.6f}, and {rows.turnover:.6f} is allowed"
    return ""
