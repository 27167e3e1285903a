"""A learned rule: a small file of arrays and the card that says what it is worth. Numpy alone evaluates it.

Rules of this room:
1. A rule is arrays; nothing of whatever learned it is needed here. Two kinds: `band` (how wide the closed
   form's bands are and how far inside them a trade ends, by how restless the market is), which fits any
   names; and `network` (one of the four words from what the environment shows), which fits the very names it
   was trained on.
2. A rule comes with its `Card`. Who loads it refuses one that has not beaten the default rule out of sample,
   unless the user insists: see `Card.verdict`.
3. What a rule was not given (a risk model, its own names) makes it hold and say so; it never guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BAND, NETWORK = "band", "network"
WORDS = ("nothing", "partial", "full", "edge")


@dataclass(frozen=True, slots=True)
class Score:
    """What a rule cost out of sample, a year, as a fraction of NAV: less is better."""

    name: str
    cost: float


@dataclass(frozen=True, slots=True)
class Card:
    """Say how a rule was trained and what it came to.

    `difference` is its yearly cost less the default rule's on the same days out of sample, with an interval
    of 95 %.
    """

    learner: str
    data: str
    trained: str
    tested: str
    seeds: tuple[int, ...]
    budget_s: float
    scores: tuple[Score, ...]
    default: str
    difference: float
    low: float
    high: float
    names: tuple[str, ...] = ()

    @property
    def beats_default(self) -> bool:
        """Say whether it was cheaper than the default rule beyond chance."""
        return self.high < 0

    def verdict(self) -> str:
        """Say in one sentence why the rule should not be used, empty when it may."""
        if self.beats_default:
            return ""
        difference, low, high = (1e4 * one for one in (self.difference, self.low, self.high))
        return (
            f"out of sample ({self.tested}) it cost {difference:+.2f} bp a year against {self.default}, "
            f"95 % between {low:+.2f} and {high:+.2f}: it does not beat it"
        )


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """Hold a rule.

    `band`: `edges` (R - 1) part the log of today's volatility over the usual one into R regimes; `scale` and
    `reset` (R) are the width of the bands over the closed form's, and how far inside a trade ends (0 edge, 1
    target). `network`: `layers` are (inputs x outputs matrix, bias) pairs, tanh between them; the largest
    output's word is done.
    """

    kind: str
    card: Card
    edges: Floats = field(default_factory=lambda: np.zeros(0))
    scale: Floats = field(default_factory=lambda: np.zeros(0))
    reset: Floats = field(default_factory=lambda: np.zeros(0))
    layers: tuple[tuple[Floats, Floats], ...] = ()

    def flaw(self) -> str:
        """Say what is wrong with the arrays, empty when they fit together."""
        if self.kind == BAND:
            if not (len(self.edges) + 1 == len(self.scale) == len(self.reset)):
                return "scale and reset need an entry a regime, edges one less"
            arrays: Sequence[Floats] = (self.edges, self.scale, self.reset)
            if not all(np.isfinite(one).all() for one in arrays):
                return "an entry is not a finite number"
            if (self.scale < 0).any() or (self.reset < 0).any() or (self.reset > 1).any():
                return "scale must not be negative, reset lie between 0 and 1"
            return ""
        if self.kind != NETWORK:
            return f"kind is {self.kind!r}; it must be {BAND} or {NETWORK}"
        return self._network_flaw()

    def _network_flaw(self) -> str:
        width = 3 * len(self.card.names) + 3
        for matrix, bias in self.layers:
            if matrix.ndim != 2 or matrix.shape != (width, bias.shape[0]):  # noqa: PLR2004 - a matrix
                return "the layers do not fit together"
            if not (np.isfinite(matrix).all() and np.isfinite(bias).all()):
                return "an entry is not a finite number"
            width = matrix.shape[1]
        return "" if self.layers and width in (3, len(WORDS)) else "the last layer must have a word an output"

    def regime(self, ratio: float) -> int:
        """Return the regime of a log volatility ratio."""
        return int(np.searchsorted(self.edges, ratio, side="right"))

    def word(self, seen: Floats) -> str:
        """Return what the network says to what is seen, in the order of `simulator.world.World.seen`."""
        return WORDS[int(self.words(seen))]

    def words(self, seen: Floats) -> npt.NDArray[np.intp]:
        """Return the place in `WORDS` of what the network says, for each row of what is seen."""
        values = seen
        for matrix, bias in self.layers[:-1]:
            values = np.tanh(values @ matrix + bias)
        matrix, bias = self.layers[-1]
        found: npt.NDArray[np.intp] = np.argmax(values @ matrix + bias, axis=-1)
        return found


def banded(gap: Floats, width: Floats, scale: Floats, reset: Floats) -> Floats:
    """Return the trades (weights) that a band asks for; all arrays fit each other.

    `gap` is target less weight, `width` the closed form's half-width. Outside of `scale * width` a name is
    traded to that band's edge (`reset` 0), to the target (1), or between.
    """
    wide = width * scale
    left = np.sign(gap) * wide * (1.0 - reset)
    trades: Floats = np.where(np.abs(gap) > wide, gap - left, 0.0)
    return trades
