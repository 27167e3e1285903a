"""What TWS remembers of an order besides the core: its names, its words for a state, its executions.

Rules of this room:
1. A permId is for ever and for everybody; an orderId is a client's own, and may come twice after a rollback.
2. What is told is a snapshot: `Shown` is the order as it was at one moment.
3. An execution's id is a root and a revision: `.01` as made, `.02` once corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from simulator.orders import ZERO, NewOrder, Order, OrdStatus, OrdType, Side
from simulator.tws.contracts import Contract
from simulator.tws.placing import Placed

CANCELLED, FILLED, INACTIVE = "Cancelled", "Filled", "Inactive"
PRE_SUBMITTED, SUBMITTED, PENDING_SUBMIT, PENDING_CANCEL = (
    "PreSubmitted", "Submitted", "PendingSubmit", "PendingCancel",
)  # fmt: skip
ENDED = frozenset({CANCELLED, FILLED, INACTIVE})
NOT_SENT, CHILD, LOCATE, CLOSED, OUTAGE = "not sent", "child", "locate", "closed", "outage"
TRIGGER, AT_CLOSE, AT_OPEN = "trigger", "closing auction", "opening auction"
"""Why an order is not at the core yet."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An order as it was: its status, what has filled, what is left."""

    status: str
    filled: Decimal
    remaining: Decimal
    avg_px: Decimal
    last_px: Decimal


@dataclass(slots=True, eq=False)
class Ticket:
    """One order of one client; `held` says why the core does not have it yet, "" once it does.

    `why` is what ended it. `is_stray` marks an order that a change in an outage left behind: alive, but
    nobody's orderId any more.
    """

    client_id: int
    order_id: int
    perm_id: int
    placed: Placed
    contract: Contract
    order: Order
    entered: datetime
    held: str = ""
    changes: int = 0
    last_px: Decimal = ZERO
    ended: datetime | None = None
    why: str = ""
    parent: Ticket | None = None
    children: list[Ticket] = field(default_factory=list)
    is_stray: bool = False
    is_due: bool = False
    """What it waited for, a price or an auction, has come."""

    @property
    def status(self) -> str:
        """Word its state now."""
        if self.held and self.order.ended is None:
            return PENDING_SUBMIT if self.held in (NOT_SENT, OUTAGE) else PRE_SUBMITTED
        status = self.order.ended or self.order.ord_status
        return word(self.order, status, self.order.cum_qty, self.order.order_qty)

    @property
    def is_live(self) -> bool:
        """Say whether it may still fill."""
        return self.status not in ENDED

    def shown(self, status: str | None = None) -> Shown:
        """Return it as it is now."""
        order = self.order
        return Shown(
            self.status if status is None else status,
            order.cum_qty,
            order.order_qty - order.cum_qty,
            order.avg_px,
            self.last_px,
        )


@dataclass(slots=True, eq=False)
class Execution:
    """One execution as TWS shows it; `realized` is None when it opened a position."""

    ticket: Ticket
    root: str
    revision: int
    at: datetime
    qty: Decimal
    px: Decimal
    cum_qty: Decimal
    avg_px: Decimal
    commission: Decimal
    realized: Decimal | None

    @property
    def exec_id(self) -> str:
        """Its id: the last component counts its corrections."""
        return f"{self.root}.{self.revision:02d}"


def waiting(new: NewOrder) -> Order:
    """Make an order that the core has not seen."""
    return Order(
        new.owner, "", new.cl_ord_id, new.account, new.symbol, new.side, new.side == Side.BUY,
        new.ord_type, new.price, new.time_in_force, new.order_qty,
    )  # fmt: skip


def word(order: Order, status: OrdStatus, filled: Decimal, wanted: Decimal) -> str:
    """Word a status of the core as TWS does: what has filled whole is Filled, whatever is pending."""
    if status is OrdStatus.DONE_FOR_DAY:
        return CANCELLED if order.ended is not None else PRE_SUBMITTED
    if ZERO < wanted <= filled and status not in (OrdStatus.REJECTED, OrdStatus.EXPIRED):
        return FILLED
    if status in _ENDS:
        return _ENDS[status]
    if status is OrdStatus.PENDING_NEW:
        return PENDING_SUBMIT
    is_waiting = status is OrdStatus.NEW and order.ord_type == OrdType.MARKET
    return PRE_SUBMITTED if is_waiting or status is OrdStatus.SUSPENDED else SUBMITTED


_ENDS = {
    OrdStatus.REJECTED: INACTIVE, OrdStatus.FILLED: FILLED, OrdStatus.CANCELED: CANCELLED,
    OrdStatus.EXPIRED: CANCELLED, OrdStatus.PENDING_CANCEL: PENDING_CANCEL,
}  # fmt: skip
