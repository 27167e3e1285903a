"""What TWS has to tell the gateway besides orders.

Rules of this room:
1. TWS tells a successor the day's executions again, each under its own ExecID(17).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from adapters import outbox
from gateway.events import PositionStated


class Outbox(outbox.Outbox):
    """Gather the events of one TWS link until somebody takes them."""

    replays: ClassVar[bool] = True

    def position(
        self, account: str, symbol: str, qty: Decimal, *, shared_with: tuple[str, ...], asked_at: datetime
    ) -> None:
        """State a position, which other accounts of ours may share."""
        self._put(PositionStated(*self._place(), account, symbol, qty, shared_with, asked_at))
