"""What TWS says, as plain values: one message each, numbers exact, nothing of the library's own opinion.

Rules of this room:
1. A quantity or price is the Decimal its text was; what TWS left unset is None.
2. `order_id` belongs to one client id of one TWS; `perm_id` is the broker's for ever, 0 while it has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from gateway.domain.order import Side


@dataclass(frozen=True, slots=True)
class StatusSaid:
    """orderStatus: how an order stands; `status` is TWS's own word."""

    order_id: int
    status: str
    filled: Decimal
    avg_px: Decimal | None
    perm_id: int
    client_id: int
    why_held: str = ""


@dataclass(frozen=True, slots=True)
class OpenSaid:
    """openOrder: an order TWS has, or the answer to a what-if with its margins as texts."""

    order_id: int
    perm_id: int
    client_id: int
    ref: str
    account: str
    con_id: int
    symbol: str
    side: Side | None
    qty: Decimal
    status: str
    is_what_if: bool = False
    margins: dict[str, str] = field(default_factory=dict)
    warning: str = ""
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CompletedSaid:
    """completedOrder: an order that has ended today; it carries neither order id nor client id."""

    perm_id: int
    ref: str
    account: str
    con_id: int
    symbol: str
    side: Side | None
    status: str
    filled: Decimal
    text: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionSaid:
    """execDetails: one execution; `req_id` is -1 when it has just happened."""

    req_id: int
    order_id: int
    client_id: int
    perm_id: int
    ref: str
    exec_id: str
    account: str
    con_id: int
    symbol: str
    side: Side | None
    qty: Decimal
    px: Decimal
    cum_qty: Decimal
    at: datetime | None
    kind: tuple[str, ...] = ()
    """Security type and currency: an option bears its stock's symbol."""


@dataclass(frozen=True, slots=True)
class CommissionSaid:
    """commissionReport: what one execution cost; it may come before the execution, or much later.

    Without a number TWS does not know it yet.
    """

    exec_id: str
    commission: Decimal | None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ErrorSaid:
    """error: `req_id` is an order, a question, or -1 for the connection itself."""

    req_id: int
    code: int
    text: str
    advanced: str = ""


@dataclass(frozen=True, slots=True)
class PositionSaid:
    """Name what an account holds of a contract, signed."""

    account: str
    con_id: int
    symbol: str
    currency: str
    qty: Decimal
    sec_type: str = ""


@dataclass(frozen=True, slots=True)
class ContractSaid:
    """contractDetails: one contract that fits a question."""

    req_id: int
    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    min_tick: Decimal
    rule_ids: dict[str, int]
    size_increment: Decimal | None = None
    min_size: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RuleSaid:
    """marketRule: from which price on which tick holds."""

    rule_id: int
    steps: tuple[tuple[Decimal, Decimal], ...]


@dataclass(frozen=True, slots=True)
class TickSaid:
    """Give one price of a snapshot by its tick type."""

    req_id: int
    tick_type: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class EndSaid:
    """Name the End of an answer by its `kind`, and by `req_id` where the question had a number."""

    kind: str
    req_id: int = -1


@dataclass(frozen=True, slots=True)
class NextIdSaid:
    """nextValidId: the lowest order id TWS will take, as far as it remembers."""

    order_id: int


@dataclass(frozen=True, slots=True)
class TimeSaid:
    """currentTime: TWS is there."""


@dataclass(frozen=True, slots=True)
class Garbled:
    """A message that could not be read: its fields, and what about them."""

    fields: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Strange:
    """A message whose id nobody here knows."""

    message: int


@dataclass(frozen=True, slots=True)
class Lost:
    """The socket is gone."""

    reason: str


OPEN_END, EXECUTIONS_END, COMPLETED_END, POSITIONS_END = "open", "executions", "completed", "positions"
CONTRACTS_END, SNAPSHOT_END = "contracts", "snapshot"
Said = (
    StatusSaid | OpenSaid | CompletedSaid | ExecutionSaid | CommissionSaid | ErrorSaid | PositionSaid
    | ContractSaid | RuleSaid | TickSaid | EndSaid | NextIdSaid | TimeSaid | Garbled | Strange
    | Lost
)  # fmt: skip
ABOUT_ORDERS = (StatusSaid, OpenSaid, CompletedSaid, ExecutionSaid, CommissionSaid, ErrorSaid)
"""What may change an order."""
