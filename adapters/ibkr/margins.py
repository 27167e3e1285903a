"""What-if answers: what an order would do to the account's margin. Pure.

TWS may answer twice, first with margins that are not set yet; such an answer says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.ibkr.said import OpenSaid
from adapters.ibkr.wire import Unreadable, optional


@dataclass(frozen=True, slots=True)
class Margins:
    """Hold margin and equity after an order, in the account's currency."""

    initial: Decimal
    equity: Decimal

    @property
    def refusal(self) -> str:
        """Say why the order should not go, empty when it may."""
        if self.initial <= self.equity:
            return ""
        return f"what-if: initial margin after it {self.initial} is above equity with loan {self.equity}"


def margins_of(answer: OpenSaid) -> Margins | None:
    """Read a what-if answer, None where it says nothing."""
    try:
        initial = optional(answer.margins.get("initMarginAfter", ""), "initMarginAfter")
        equity = optional(answer.margins.get("equityWithLoanAfter", ""), "equityWithLoanAfter")
    except Unreadable:
        return None
    return None if initial is None or equity is None else Margins(initial, equity)
