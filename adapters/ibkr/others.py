"""Orders of others that work on our accounts: another client's, or a person's. Pure.

They count where IBKR counts: it takes so many working orders of one contract, side and account, whoever gave
them. TWS shows them when everybody's open orders are asked for, so what stands here is as old as that answer.
"""

from __future__ import annotations

from adapters.ibkr.known import ENDED, INACTIVE
from adapters.ibkr.said import OpenSaid, StatusSaid
from gateway.domain.order import Side

Place = tuple[str, str, Side | None]
"""An account's code at IBKR, our symbol, a side."""


class Others:
    """Remember which orders of others were shown as working."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._shown: set[int] = set()

    def begin(self) -> None:
        """Take that everybody's open orders are asked for."""
        self._shown.clear()

    def end(self) -> None:
        """Forget what the whole answer did not show."""
        self._places = {perm_id: one for perm_id, one in self._places.items() if perm_id in self._shown}

    def shown(self, message: OpenSaid, symbol: str) -> None:
        """Take one of their orders as TWS shows it."""
        if message.status in ENDED or message.status == INACTIVE:
            self._places.pop(message.perm_id, None)
        elif message.perm_id:
            self._shown.add(message.perm_id)
            self._places[message.perm_id] = (message.account, symbol, message.side)

    def ended(self, message: StatusSaid) -> None:
        """Take how one of their orders stands."""
        if message.status in ENDED:
            self._places.pop(message.perm_id, None)

    def working(self) -> list[Place]:
        """Return where each of them works."""
        return list(self._places.values())
