"""What this process has seen of the venue's orders: it only helps, a new process begins with nothing.

Rules of this room:
1. `told` is how much of an order the gateway has been told execution by execution.
2. An answer is old when something was told of its order after the question left: `clock` counts that.
3. `sold_at` is when the stream last spoke of a sale's fill, in the event loop's seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from adapters.alpaca.codec import ENDED, HALTED
from gateway.domain.order import ZERO

REMEMBERED = 50_000
SOLD_S = 30.0
"""So long after a sale's last fill its proceeds may still be missing in the buying power."""


@dataclass(slots=True)
class Seen:
    """One order as last seen."""

    order_id: str = ""
    status: str = ""
    symbol: str = ""
    told: Decimal = ZERO
    heard_at: int = 0
    sent_at: int = 0

    def is_newer(self, asked_at: int) -> bool:
        """Say whether something was sent or heard of it since a question was put."""
        return max(self.heard_at, self.sent_at) > asked_at

    def becomes_halted(self, status: str) -> bool:
        """Say whether a new status is the first that keeps it from trading."""
        return status in HALTED and self.status not in HALTED

    @property
    def is_open(self) -> bool:
        """Say whether the venue has it and something may still happen to it."""
        return bool(self.order_id) and self.status not in ENDED


class Memory:
    """Remember orders by the ClOrdID(11) we gave them."""

    def __init__(self) -> None:
        self.clock = 0
        self.sold_at: float | None = None
        self._orders: OrderedDict[str, Seen] = OrderedDict()

    def of(self, cl_ord_id: str) -> Seen:
        """Return what is known of an order, nothing to begin with."""
        seen = self._orders.get(cl_ord_id)
        if seen is None:
            seen = self._orders[cl_ord_id] = Seen()
            if len(self._orders) > REMEMBERED:
                self._orders.popitem(last=False)
        return seen

    def hear(self, cl_ord_id: str) -> Seen:
        """Note that something newer is known of an order."""
        self.clock += 1
        seen = self.of(cl_ord_id)
        seen.heard_at = self.clock
        return seen

    def send(self, cl_ord_id: str) -> None:
        """Note that an order is being sent, or has just been answered for."""
        self.clock += 1
        self.of(cl_ord_id).sent_at = self.clock

    def open(self) -> Iterator[tuple[str, Seen]]:
        """Yield every order something may still happen to."""
        return ((name, seen) for name, seen in list(self._orders.items()) if seen.is_open)

    def has_open(self) -> bool:
        """Say whether there is one."""
        return any(True for _ in self.open())
