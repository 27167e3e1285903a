"""What is known of one order: its names, its executions as they stand, what has been told of it. Pure.

Rules of this room:
1. An execution is known by its id without the last part; sent again with a higher one it takes the place of
   what stood before, and commissions find it in either order.
2. An execution is told once, with its commission; after a while without.
3. `told_qty` is what the gateway has been told execution by execution: no status may say less or more
   without a question first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum, auto

from gateway.domain.order import ZERO, OrdStatus, Side

WORKING = {
    "ApiPending": OrdStatus.PENDING_NEW, "PendingSubmit": OrdStatus.PENDING_NEW,
    "PreSubmitted": OrdStatus.NEW, "Submitted": OrdStatus.NEW, "PendingCancel": OrdStatus.PENDING_CANCEL,
}  # fmt: skip
ENDED = {"Filled": OrdStatus.FILLED, "Cancelled": OrdStatus.CANCELED, "ApiCancelled": OrdStatus.CANCELED}
INACTIVE = "Inactive"
"""TWS's word for an order it holds, and for one that was rejected: only a question tells which."""


class Life(Enum):
    """How far an order has come, by what TWS itself has said of it."""

    SENT = auto()
    """It left, and nothing has come back."""
    LIVE = auto()
    """TWS has it."""
    OVER = auto()
    """TWS has said that it is over; a late execution still counts."""
    GONE = auto()
    """A whole round of answers did not hold it; should it be heard of after all, it lives."""


@dataclass(slots=True)
class Deal:
    """Hold one execution as it stands; `since` is when it came, in seconds of the loop's clock."""

    exec_id: str
    version: int
    qty: Decimal
    px: Decimal
    at: datetime | None
    since: float
    commission: Decimal | None = None
    told_as: str = ""
    told_qty: Decimal = ZERO
    told_commission: Decimal = ZERO
    is_owed: bool = False
    """A process before this one told it without its commission."""
    is_asked_for: bool = False
    """Its commission was asked for."""

    @property
    def is_told(self) -> bool:
        """Say whether the gateway knows it as it stands."""
        return self.told_as == self.exec_id and self.told_commission == (self.commission or ZERO)


@dataclass(slots=True)
class Known:
    """One order: `ref` is our ClOrdID(11), or what a stranger is called; `order_id` is of `client_id`.

    `status` is TWS's own word, `filled` what it counts. `cancel_id` is the cancel that waits for an answer.
    `refusal` is why it was refused. `is_asked_for`: the gateway wants to know how it stands. `stated` is the
    quantity the gateway takes it to have, `limit` its price: TWS says when somebody has changed either.
    `wanted` is the price the gateway gave it, `told_limit` the limit of somebody else's that was told.
    """

    ref: str
    account: str = ""
    symbol: str = ""
    side: Side | None = None
    qty: Decimal = ZERO
    stated: Decimal = ZERO
    limit: Decimal | None = None
    wanted: Decimal | None = None
    told_limit: Decimal | None = None
    order_id: int = 0
    client_id: int = 0
    perm_id: int = 0
    is_stranger: bool = False
    life: Life = Life.SENT
    status: str = ""
    filled: Decimal = ZERO
    avg_px: Decimal | None = None
    deals: dict[str, Deal] = field(default_factory=dict)
    told_qty: Decimal = ZERO
    told: tuple[OrdStatus, Decimal] | None = None
    refusal: str = ""
    cancel_id: str = ""
    was_cancelled: bool = False
    is_asked_for: bool = False
    heard_at: int = 0
    shown_again_at: int = 0
    """When TWS showed it as working though it had said that it was cancelled."""
    dead_perms: set[int] = field(default_factory=set)
    checked: Decimal | None = None
    """The total that was asked about: its executions are not to be had."""

    @property
    def dealt(self) -> Decimal:
        """Return the sum of the executions as they stand."""
        return sum((one.qty for one in self.deals.values()), ZERO)

    @property
    def lacks_fee(self) -> bool:
        """Say whether a commission has still to come."""
        return any(one.commission is None for one in self.deals.values())

    @property
    def is_held(self) -> bool:
        """Say whether an execution still waits to be told."""
        return any(not one.is_told for one in self.deals.values())

    @property
    def is_whole(self) -> bool:
        """Say whether its executions are all of it, whatever TWS has said of its end."""
        return bool(self.qty) and self.dealt >= self.qty

    @property
    def is_working(self) -> bool:
        """Say whether it may still fill, as far as anybody knows."""
        is_alive = self.life in (Life.SENT, Life.LIVE) and not self.is_whole
        return is_alive and bool(self.order_id or self.perm_id)

    @property
    def is_cancelled(self) -> bool:
        """Say whether TWS has said that it was cancelled."""
        return self.life is Life.OVER and ENDED.get(self.status) is OrdStatus.CANCELED

    @property
    def may_be_there(self) -> bool:
        """Say whether TWS may have it, working or over: sent once more it would be a second order."""
        was_refused = self.life is Life.OVER and bool(self.refusal)
        has_a_name = bool(self.order_id or self.perm_id or self.deals)
        return has_a_name and self.life is not Life.GONE and not was_refused

    def second(self, perm_id: int, order_id: int, client_id: int) -> Known:
        """Return the other order under its reference, as a stranger's."""
        return Known(
            f"perm:{perm_id}", self.account, self.symbol, self.side, order_id=order_id, client_id=client_id,
            perm_id=perm_id, is_stranger=True, life=Life.LIVE,
        )  # fmt: skip

    def correct(self, before: Decimal, now: Decimal) -> None:
        """Take into TWS's count that an execution of `before` is one of `now`, if it has not said so yet."""
        if now < before:
            self.filled -= (before - now) if self.filled else ZERO
        elif self.filled:
            self.filled = max(self.filled, self.dealt + now - before)

    def confirm(self, *, is_open: bool, is_over: bool) -> None:
        """Take a complete answer about it."""
        self.checked = self.filled
        if is_over or (not is_open and (self.refusal or self.is_whole)):
            self.life = Life.OVER
        elif is_open and self.status not in ENDED:
            self.life, self.refusal = Life.LIVE, ""

    def reported(self) -> OrdStatus:
        """Return how it stands, by TWS's word and by what has been told."""
        if self.refusal and self.life is Life.OVER and not (self.told_qty or self.filled):
            return OrdStatus.REJECTED
        if self.life is Life.OVER:
            is_whole = self.qty and self.told_qty >= self.qty
            if is_whole or (self.status == "Filled" and (self.told_qty or self.filled)):
                return OrdStatus.FILLED  # all of it, or all that is left of it after a bust
            return OrdStatus.CANCELED
        if self.status == INACTIVE:
            return OrdStatus.SUSPENDED
        found = WORKING.get(self.status, OrdStatus.NEW)
        return OrdStatus.PARTIALLY_FILLED if found is OrdStatus.NEW and self.told_qty else found
