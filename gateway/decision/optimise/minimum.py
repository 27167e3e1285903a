"""Minimum trades: each trade is nothing or at least the least, which no convex problem can say.

Rules of this room:
1. First too small a trade becomes the nearer of nothing and the least, or always nothing, and the others are
   solved anew: two quick answers, usually the best ones.
2. Where few names are too small, or neither answer exists, a bounded search branches name by name over
   nothing, buying and selling; it leaves a branch whose convex bound is no better than the best so far.
"""

from __future__ import annotations

import numpy as np

from gateway.decision.optimise.convex import Found, Frame, solve_convex
from gateway.decision.optimise.newton import Ending
from gateway.decision.optimise.problem import NOISE, Bools, Floats
from gateway.decision.optimise.rows import Box

FEW = 8
"""With at most so many trades too small, branching is worth its solves."""


def too_small(trades: Floats, smallest: Floats) -> Bools:
    """Say which of `trades` (N,) are something, but less than `smallest` (N,)."""
    size = np.abs(trades)
    wrong: Bools = (size > NOISE) & (size < smallest - NOISE)
    return wrong


def is_clear(trades: Floats, smallest: Floats) -> bool:
    """Say whether every trade is nothing or at least the smallest allowed."""
    return not too_small(trades, smallest).any()


def with_minimum(frame: Frame, box: Box, first: Found, most_branches: int) -> tuple[Found | None, int]:
    """Find trades of at least the least; also return all steps taken. None when none were found."""
    smallest = frame.problem.each(frame.problem.minimum_trade)
    best, steps = None, first.steps
    for share in (0.5, 1.0):
        found, more = _rounded(frame, box, first, share)
        steps += more
        if found is not None and (best is None or found.objective < best.objective):
            best = found
    if best is None or np.count_nonzero(too_small(first.trades, smallest)) <= FEW:
        best, more = _branched(frame, box, first, best, most_branches)
        steps += more
    return best, steps


def _rounded(frame: Frame, box: Box, first: Found, share: float) -> tuple[Found | None, int]:
    """Fix too small trades, solve for the others, until none is too small; None when that is impossible.

    Trades of at least `share` of the least become at least the least; the others none.
    """
    smallest = frame.problem.each(frame.problem.minimum_trade)
    found, steps = first, 0
    while True:  # a name that was fixed is never too small again: there are at most N rounds
        short = too_small(found.trades, smallest)
        if not short.any():
            return found, steps
        grows = short & (np.abs(found.trades) >= share * smallest)
        buys, sells = grows & (found.trades > 0), grows & (found.trades < 0)
        box = Box(
            np.where(buys, smallest, np.where(short & ~sells, 0.0, box.least)),
            np.where(sells, -smallest, np.where(short & ~buys, 0.0, box.most)),
        )
        found = solve_convex(frame, box, found.prices)
        steps += found.steps
        if found.ending is not Ending.MINIMUM:
            return None, steps


def _branched(
    frame: Frame, box: Box, first: Found, best: Found | None, most_branches: int
) -> tuple[Found | None, int]:
    """Search depth first, the most promising branch first, from the convex solution `first` in `box`."""
    smallest = frame.problem.each(frame.problem.minimum_trade)
    open_, steps, left = [(box, first)], 0, most_branches
    while open_ and left > 0:
        box, found = open_.pop()
        if best is not None and found.objective >= best.objective:
            continue
        short = too_small(found.trades, smallest)
        if not short.any():
            best = found
            continue
        size = np.abs(found.trades)
        at = int(np.argmax(np.where(short, np.minimum(size, smallest - size), 0.0)))
        solved = [
            (part, solve_convex(frame, part, found.prices)) for part in _branches(box, at, smallest[at])
        ]
        left -= len(solved)
        steps += sum(answer.steps for _, answer in solved)
        kept = [pair for pair in solved if pair[1].ending is Ending.MINIMUM]
        open_ += sorted(kept, key=lambda pair: -pair[1].objective)
    return best, steps


def _branches(box: Box, at: int, least: float) -> list[Box]:
    """Split the box at name `at`, where it has room: `least` or more bought, or sold, or nothing."""
    low, high = float(box.least[at]), float(box.most[at])
    spans = [(max(low, least), high), (low, min(high, -least)), (max(low, 0.0), min(high, 0.0))]
    parts = []
    for start, end in spans:
        if start <= end:
            part = Box(box.least.copy(), box.most.copy())
            part.least[at], part.most[at] = start, end
            parts.append(part)
    return parts
