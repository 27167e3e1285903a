"""Substitutions: what stands in for a name that was sold for its loss, until it may be bought again.

Rules of this room:
1. A substitution begins with the first share of the name that is sold, not with the plan to sell it.
2. Each name has one substitute at a time; a name that is bought as a substitute is no longer replaced
   itself. In a row of substitutions every one therefore comes after those that lead to it, without a circle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Swapped:
    """Show one swap that was decided: `sell_qty` of `original` for `buy_qty` of `other`; figures are money.

    `loss` is positive; `saved_now`, `taxed_later`, `cost`, `tracking` and `net` are those of
    `gateway.decision.harvest.Swap`. `lots` names the lots sold, `reason` says it in one sentence.
    """

    original: str
    other: str
    sell_qty: Decimal
    buy_qty: Decimal
    lots: tuple[str, ...]
    loss: float
    saved_now: float
    taxed_later: float
    cost: float
    tracking: float
    net: float
    correlation: float
    reason: str


@dataclass(frozen=True, slots=True)
class Substitution:
    """Say that `other` stands in for `original`, sold at a loss on `since` by the request `request_id`.

    `free_from` is the first day on which the original may be bought without washing that loss.
    """

    original: str
    other: str
    since: date
    free_from: date
    request_id: str
    reason: str

    @property
    def text(self) -> str:
        """Say it in one sentence."""
        return (
            f"{self.other} stands in for {self.original}, sold at a loss on {self.since}: {self.original} "
            f"may be bought again from {self.free_from}"
        )


def joined(known: Iterable[Substitution], new: Substitution) -> tuple[Substitution, ...]:
    """Return what is known with one more, by rule 2."""
    return (*(one for one in known if one.original not in (new.original, new.other)), new)
