"""The order's life: every status an order may have and every step between them stands in this file.

Rules of this room:
1. `LIFE` is the one state table. A status changes only through `step`, which says what a report
   would change, and `Order.take`, which applies it.
2. Names and values are FIX's. `DENIED` (refused by us) and `IN_DOUBT` (we cannot know whether the
   venue has it) are ours and never go on a wire.
3. A fill counts once: ExecID(17) seen before is ignored. A report that would over-fill, or a step
   that `LIFE` does not hold, is `Step.illegal`: the engine halts the account.
4. A fill is booked whenever it arrives, also after a cancel (FIX 4.4 vol. 4 app. D, J.1.b).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)


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
_WORKING = frozenset(
    {S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.DONE_FOR_DAY, S.CANCELED, S.PENDING_CANCEL, S.STOPPED}
    | {S.REJECTED, S.SUSPENDED, S.EXPIRED, S.PENDING_REPLACE, S.CALCULATED}
)
LIFE: dict[OrdStatus, frozenset[OrdStatus]] = {
    S.PENDING_NEW: _WORKING | {S.PENDING_NEW, S.IN_DOUBT, S.ACCEPTED_FOR_BIDDING},
    S.IN_DOUBT: _WORKING | {S.PENDING_NEW, S.IN_DOUBT, S.ACCEPTED_FOR_BIDDING},
    S.ACCEPTED_FOR_BIDDING: _WORKING | {S.ACCEPTED_FOR_BIDDING},
    S.NEW: _WORKING,
    S.PARTIALLY_FILLED: _WORKING - {S.REJECTED},
    S.STOPPED: _WORKING - {S.REJECTED},
    S.SUSPENDED: _WORKING,
    S.PENDING_CANCEL: _WORKING,
    S.PENDING_REPLACE: _WORKING,
    S.REPLACED: _WORKING,
    S.CALCULATED: _WORKING - {S.REJECTED},
    S.DONE_FOR_DAY: frozenset(
        {S.DONE_FOR_DAY, S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED, S.PENDING_CANCEL}
    ),
    S.FILLED: frozenset({S.FILLED}),
    S.CANCELED: frozenset({S.CANCELED}),
    S.EXPIRED: frozenset({S.EXPIRED}),
    S.REJECTED: frozenset({S.REJECTED}),
    S.DENIED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """Carry what is sent: the part of an order that never changes after approval.

    Quantities in units of the instrument, `price` (Price(44), limit orders only) in its currency.
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


@dataclass(frozen=True, slots=True)
class Report:
    """Hold one ExecutionReport(35=8), whichever broker it came from.

    `commission` is this execution's own, in the order's currency. Quantities not given by the
    venue are None; `last_qty` is None when the report carries no execution.
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


@dataclass(frozen=True, slots=True)
class Step:
    """Say what a report would change; `illegal` says why it must not be believed.

    `missing_qty` is what the venue says has filled beyond all executions we have seen.
    """

    ord_status: OrdStatus
    fill_qty: Decimal = ZERO
    fill_px: Decimal = ZERO
    commission: Decimal = ZERO
    missing_qty: Decimal = ZERO
    is_repeat: bool = False
    illegal: str = ""


@dataclass(slots=True)
class Order:
    """Follow one order from approval to its end."""

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

    @property
    def leaves_qty(self) -> Decimal:
        """LeavesQty(151): what may still fill."""
        return ZERO if self.ord_status in FINAL else self.spec.order_qty - self.cum_qty

    @property
    def avg_px(self) -> Decimal:
        """AvgPx(6): the mean price of all fills, 0 when none."""
        return self.notional / self.cum_qty if self.cum_qty else ZERO

    @property
    def is_final(self) -> bool:
        """Say whether nothing more is expected to fill."""
        return self.ord_status in FINAL

    def take(self, report: Report, change: Step, at: datetime) -> None:
        """Apply what `step` found. The only place where a report changes an order."""
        if change.is_repeat:
            return
        if report.exec_id:
            self.exec_ids.append(report.exec_id)
        self.ord_status = change.ord_status
        self.cum_qty += change.fill_qty
        self.notional += change.fill_qty * change.fill_px
        self.commission += change.commission
        self.order_id = report.order_id or self.order_id
        self.text = report.text or self.text
        self.lookups = 0
        self.updated_at = at


def step(order: Order, report: Report) -> Step:
    """Say what `report` would change in `order`, without changing it."""
    current = order.ord_status
    if report.exec_id and report.exec_id in order.exec_ids:
        return Step(current, is_repeat=True)
    fill_qty, fill_px = _fill_of(order, report)
    if fill_qty < ZERO or (fill_qty and fill_px <= ZERO):
        return Step(current, illegal=f"LastQty(32) {fill_qty} at LastPx(31) {fill_px}")
    cum_qty = order.cum_qty + fill_qty
    if cum_qty > order.spec.order_qty:
        return Step(current, illegal=f"over-fill: {cum_qty} of OrderQty(38) {order.spec.order_qty}")
    missing = max(ZERO, report.cum_qty - cum_qty)
    ord_status = _status_after(order, report, cum_qty, is_short=bool(missing))
    if ord_status is None:
        return Step(current, illegal=f"OrdStatus(39) {current.name} to {report.ord_status.name}")
    return Step(ord_status, fill_qty, fill_px, report.commission, missing)


def _fill_of(order: Order, report: Report) -> tuple[Decimal, Decimal]:
    """Return quantity and price of the execution a report carries, 0 when it carries none.

    A venue that gives no LastQty(32) is read by its totals: what CumQty(14) grew by, at the price that
    makes AvgPx(6) true, to ten decimals.
    """
    if not report.exec_type.is_trade:
        return ZERO, ZERO
    if report.last_qty is not None:
        return report.last_qty, report.last_px or ZERO
    grown = report.cum_qty - order.cum_qty
    if grown <= ZERO or report.avg_px is None:
        return ZERO, ZERO
    return grown, round((report.cum_qty * report.avg_px - order.notional) / grown, 10)


def _status_after(  # noqa: PLR0911
    order: Order, report: Report, cum_qty: Decimal, *, is_short: bool
) -> OrdStatus | None:
    """Choose the status after `report`, or None when the step is illegal.

    `is_short` says that the venue counts more fills than we have seen: the order is then not final,
    whatever the venue says, until the missing executions have come.
    """
    current, reported = order.ord_status, report.ord_status
    if current is OrdStatus.DENIED:
        return None
    is_whole = cum_qty == order.spec.order_qty
    if report.cum_qty < cum_qty:  # an older report, overtaken by one we have already taken
        if report.exec_type.is_trade and is_whole:
            return OrdStatus.FILLED
        return OrdStatus.PARTIALLY_FILLED if current in (S.PENDING_NEW, S.IN_DOUBT) else current
    if reported is OrdStatus.FILLED and not is_whole:
        reported = OrdStatus.PARTIALLY_FILLED
    if is_short and reported in FINAL:
        return OrdStatus.NEW if current in (S.PENDING_NEW, S.IN_DOUBT) else current
    if reported in LIFE[current]:
        return reported
    if report.exec_type.is_trade and current in FINAL:
        return OrdStatus.FILLED if is_whole else current
    if reported is OrdStatus.PENDING_NEW or (current in FINAL and reported not in FINAL):
        return current
    return None
