"""Walked forward: what choosing a run by the days before would have brought on the days after.

Rules of this room:
1. A fold chooses the run that had grown most, after cost and the taxes paid, on all days before it; it is
   judged on its own days, which nobody had seen when it was chosen.
2. The folds' days follow each other without gap; what is claimed is the difference on all of them, with its
   interval. To change from one run to another is taken to be free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from simulator.backtest.chance import DAYS, Floats, of_mean, returns
from simulator.backtest.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Fold:
    """One choice: growth a year, in log points, of who was chosen, before and after, and of the reference."""

    first: date
    last: date
    chosen: str
    before: float
    after: float
    reference: float


def folds_of(days: Sequence[date], years: int) -> list[tuple[int, int]]:
    """Return the rows of each fold, first and beyond the last; each `years` long, so is what it is after.

    The last fold takes what days are left, if they are half of its length at least.
    """
    length = years * DAYS
    begins = list(range(length, len(days), length))
    if begins and len(days) - begins[-1] < length / 2:
        begins.pop()
    return [
        (begin, begins[n + 1] if n + 1 < len(begins) else len(days)) for n, begin in enumerate(begins)
    ]  # fmt: skip


def walked(outcomes: Sequence[Outcome], years: int | None) -> dict[str, Any] | None:
    """Walk through the runs of a file, all held against the first; None where nobody asked for it."""
    if years is None:
        return None
    view, days = outcomes[0].views[0], outcomes[0].days
    daily = np.array([_daily(one, view) for one in outcomes])
    found, gaps = [], []
    for begin, end in folds_of(days, years):
        before = daily[:, :begin].mean(axis=1) * DAYS
        best = int(np.argmax(before))
        after = daily[:, begin:end].mean(axis=1) * DAYS
        name = outcomes[best].name
        fold = Fold(
            days[begin], days[end - 1], name, float(before[best]), float(after[best]), float(after[0])
        )
        found.append(asdict(fold))
        gaps.append(daily[best, begin:end] - daily[0, begin:end])
    difference = asdict(of_mean(np.concatenate(gaps)))
    return {"years": years, "against": outcomes[0].name, "folds": found, "difference": difference}


def _daily(one: Outcome, view: str) -> Floats:
    """Return the log return of every day; the first has none."""
    track = one.tracks[view]
    change = returns(np.array(track.wealth), np.array(track.flow))
    return np.concatenate([[0.0], change])
