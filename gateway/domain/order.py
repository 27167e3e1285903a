"""The order: what is sent, what is reported of it, and what we know of it. How it moves: `life.py`.

Rules of this room:
1. `Order.take` is the only place where a report changes an order; `life.step` says what it would change.
2. Names and values are FIX's. `DENIED` (refused by us) and `IN_DOUBT` (we cannot know whether the
   venue has it) are ours and never go on a wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)
ONE = Decimal(1)


class Side(StrEnum):
    """Side(54)."""

    BUY = "1"
    SELL = "2"
    SELL_SHORT = "5"

    @property
    def sign(self) -> int:
        """Return +1 when a fill raises the position, -1 when it lowers it."""
        return 1 if self is Side.BUY else -1


class OrdType(StrEnum):
    """OrdType(40)."""

    MARKET = "1"
    LIMIT = "2"


class TimeInForce(StrEnum):
    """TimeInForce(59)."""

    DAY = "0"
    GOOD_TILL_CANCEL = "1"
    IMMEDIATE_OR_CANCEL = "3"
    FILL_OR_KILL = "4"


class OrdStatus(StrEnum):
    """OrdStatus(39), and two of our own that never go on a wire."""

    NEW = "0"
    PARTIALLY_FILLED = "1"
    FILLED = "2"
    DONE_FOR_DAY = "3"
    CANCELED = "4"
    REPLACED = "5"
    PENDING_CANCEL = "6"
    STOPPED = "7"
    REJECTED = "8"
    SUSPENDED = "9"
    PENDING_NEW = "A"
    CALCULATED = "B"
    EXPIRED = "C"
    ACCEPTED_FOR_BIDDING = "D"
    PENDING_REPLACE = "E"
    DENIED = "denied"
    IN_DOUBT = "in_doubt"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more is expected to fill."""
        return self in FINAL


class ExecType(StrEnum):
    """ExecType(150); the FIX 4.2 values 1 and 2 mean TRADE and are kept for old venues."""

    NEW = "0"
    PARTIAL_FILL = "1"
    FILL = "2"
    DONE_FOR_DAY = "3"
    CANCELED = "4"
    REPLACED = "5"
    PENDING_CANCEL = "6"
    STOPPED = "7"
    REJECTED = "8"
    SUSPENDED = "9"
    PENDING_NEW = "A"
    CALCULATED = "B"
    EXPIRED = "C"
    RESTATED = "D"
    PENDING_REPLACE = "E"
    TRADE = "F"
    TRADE_CORRECT = "G"
    TRADE_CANCEL = "H"
    ORDER_STATUS = "I"

    @property
    def is_trade(self) -> bool:
        """Say whether the report carries an execution."""
        return self in (ExecType.TRADE, ExecType.PARTIAL_FILL, ExecType.FILL)


S = OrdStatus
FINAL = frozenset({S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED, S.DONE_FOR_DAY, S.DENIED})


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """Carry what is sent: the part of an order that never changes after approval.

    Quantities in units of the instrument, `price` (Price(44), limit orders only) in its currency.
    `cash_order_qty` is CashOrderQty(152): the money to spend, where a buy is sent as such. `order_qty` is
    then what that was expected to buy; what it does buy, only its fills tell.
    """

    cl_ord_id: str
    request_id: str
    account: str
    link: str
    symbol: str
    side: Side
    order_qty: Decimal
    ord_type: OrdType
    price: Decimal | None
    time_in_force: TimeInForce
    wave: int
    currency: str = "USD"
    cash_order_qty: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Hold one ExecutionReport(35=8), whichever broker it came from.

    `commission` is this execution's own, in the order's currency. Quantities not given by the
    venue are None; `last_qty` is None when the report carries no execution. `exec_ref_id` is
    ExecRefID(19), the execution taken back or corrected; `restatement_reason` is
    ExecRestatementReason(378); `account` is our own name of the account, where the venue says one.
    """

    cl_ord_id: str
    exec_id: str
    exec_type: ExecType
    ord_status: OrdStatus
    cum_qty: Decimal
    leaves_qty: Decimal | None = None
    last_qty: Decimal | None = None
    last_px: Decimal | None = None
    avg_px: Decimal | None = None
    commission: Decimal = ZERO
    order_id: str = ""
    orig_cl_ord_id: str = ""
    symbol: str = ""
    side: Side | None = None
    text: str = ""
    transact_time: datetime | None = None
    order_qty: Decimal | None = None
    exec_ref_id: str = ""
    restatement_reason: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """Hold one execution as it stands: units, price per unit, commission.

    `was` are the ExecIDs(17) it had before it was corrected.
    """

    qty: Decimal
    px: Decimal
    commission: Decimal = ZERO
    was: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Say what a report would change; `illegal` says why it must not be believed.

    `missing_qty` is what the venue says has filled beyond all executions we have seen. `undoes` is the
    ExecID(17) that a bust or a correction takes back; a correction's new execution is in `fill_qty`,
    `fill_px` and `commission`. `order_qty` is an OrderQty(38) the venue has changed. `scale` multiplies
    what has filled when the venue restates it in new units (a split).
    """

    ord_status: OrdStatus
    fill_qty: Decimal = ZERO
    fill_px: Decimal = ZERO
    commission: Decimal = ZERO
    missing_qty: Decimal = ZERO
    is_repeat: bool = False
    illegal: str = ""
    undoes: str = ""
    order_qty: Decimal | None = None
    scale: Decimal = ONE


@dataclass(slots=True)
class Order:
    """Follow one order from approval to its end.

    `executions` are those that stand, by ExecID(17); `exec_ids` all report ids ever seen. `amended_qty` is
    OrderQty(38) as the venue last changed it. `is_unsent` says that it certainly never reached its venue,
    `is_by_totals` that something was booked without its own ExecID(17): CumQty(14) then tells the rest.
    """

    spec: OrderSpec
    created_at: datetime
    ord_status: OrdStatus = OrdStatus.PENDING_NEW
    cum_qty: Decimal = ZERO
    notional: Decimal = ZERO
    commission: Decimal = ZERO
    order_id: str = ""
    text: str = ""
    exec_ids: list[str] = field(default_factory=list)
    lookups: int = 0
    cancels: int = 0
    sends: int = 1
    updated_at: datetime | None = None
    executions: dict[str, Execution] = field(default_factory=dict)
    amended_qty: Decimal | None = None
    is_unsent: bool = False
    is_by_totals: bool = False

    @property
    def order_qty(self) -> Decimal:
        """OrderQty(38) as it stands: what we sent, unless the venue has changed it."""
        return self.spec.order_qty if self.amended_qty is None else self.amended_qty

    @property
    def leaves_qty(self) -> Decimal:
        """LeavesQty(151): what may still fill."""
        return ZERO if self.is_final else self.order_qty - self.cum_qty

    @property
    def leaves_cash(self) -> Decimal | None:
        """Return what of its money an order may still spend; None for an order of a quantity."""
        cash = self.spec.cash_order_qty
        if cash is None:
            return None
        return ZERO if self.is_final else max(ZERO, cash - self.notional)

    @property
    def avg_px(self) -> Decimal:
        """AvgPx(6): the mean price of all fills, 0 when none."""
        return self.notional / self.cum_qty if self.cum_qty else ZERO

    @property
    def is_final(self) -> bool:
        """Say whether nothing more is expected to fill; a GTC order done for the day goes on (H.1.a)."""
        if self.ord_status is OrdStatus.DONE_FOR_DAY:
            return self.spec.time_in_force is not TimeInForce.GOOD_TILL_CANCEL
        return self.ord_status in FINAL

    def take(self, report: Report, change: Step, at: datetime) -> None:
        """Apply what `life.step` found. The only place where a report changes an order."""
        if change.is_repeat:
            return
        if report.exec_id:
            self.exec_ids.append(report.exec_id)
        self.ord_status = change.ord_status
        self._take_executions(report, change)
        if change.order_qty is not None:
            self.amended_qty = change.order_qty
        self.order_id = report.order_id or self.order_id
        self.text = report.text or self.text
        self.lookups = 0
        self.is_unsent = False
        self.updated_at = at

    def _take_executions(self, report: Report, change: Step) -> None:
        was: tuple[str, ...] = ()
        if change.undoes:
            undone = self.executions.pop(change.undoes)
            self._count(undone, -ONE)
            was = (*undone.was, change.undoes)
        elif report.exec_ref_id and report.exec_type is ExecType.TRADE_CANCEL:
            self.exec_ids.append(report.exec_ref_id)  # taken back before we saw it: it never counts
        if change.scale != ONE:
            self.cum_qty *= change.scale
        if change.fill_qty:
            added = Execution(change.fill_qty, change.fill_px, change.commission, was)
            self.executions[report.exec_id] = added
            self._count(added, ONE)

    def _count(self, execution: Execution, sign: Decimal) -> None:
        self.cum_qty += sign * execution.qty
        self.notional += sign * execution.qty * execution.px
        self.commission += sign * execution.commission
