"""What Alpaca has to tell the gateway besides orders.

Rules of this room:
1. Alpaca repeats nothing: a successor asks it, and its totals tell what was missed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from adapters import outbox
from gateway.events import ActivityStated, PositionStated, PowerStated


class Outbox(outbox.Outbox):
    """Gather the events of one Alpaca link until somebody takes them."""

    replays: ClassVar[bool] = False

    def position(self, account: str, symbol: str, qty: Decimal) -> None:
        """State a position."""
        self._put(PositionStated(*self._place(), account, symbol, qty))

    def power(self, account: str, power: Decimal) -> None:
        """State what the account may buy for."""
        self._put(PowerStated(*self._place(), account, power))

    def activity(
        self, account: str, activity_id: str, kind: str, on: str, *, cash: Decimal, symbol: str, qty: Decimal,
        text: str,
    ) -> None:  # fmt: skip
        """State what happened to the account besides orders."""
        self._put(ActivityStated(*self._place(), account, activity_id, kind, on, cash, symbol, qty, text))
