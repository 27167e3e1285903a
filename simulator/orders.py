"""The venue's nouns: what a client asks for, what the venue answers, and the order between the two.

Rules of this room:
1. Names and values are FIX's; money and quantities are Decimal; times are aware UTC.
2. LeavesQty(151), AvgPx(6) and OrdStatus(39) are derived, never stored. OrdStatus follows the precedence of
   FIX 4.4 volume 4 appendix D: pending cancel, pending replace, done for the day, ended or filled, stopped,
   suspended, the rest.
3. Requests never change an order's quantities; only `venue.py` and `amendments.py` write to an `Order`.
4. Nobody writes to what was asked or answered once it is made; the busiest of these classes are not frozen
   only because that would double the time it takes to make one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ZERO = Decimal(0)
MAX_NUMBER = Decimal(10) ** 9
MAX_PLACES = 8
NO_ORDER_ID = "NONE"
NO_EXEC_ID = "0"
_AVG_PX_PLACES = Decimal("1E-8")


BAD_PRICE = f"must lie above 0 and at most at {MAX_NUMBER}, with {MAX_PLACES} places at most"
"""Larger or longer numbers would make money inexact."""


class Side(StrEnum):
    """Side(54)."""

    BUY = "1"
    SELL = "2"
    SELL_SHORT = "5"


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
    GOOD_TILL_DATE = "6"


class OrdStatus(StrEnum):
    """OrdStatus(39)."""

    NEW = "0"
    PARTIALLY_FILLED = "1"
    FILLED = "2"
    DONE_FOR_DAY = "3"
    CANCELED = "4"
    PENDING_CANCEL = "6"
    STOPPED = "7"
    REJECTED = "8"
    SUSPENDED = "9"
    PENDING_NEW = "A"
    EXPIRED = "C"
    PENDING_REPLACE = "E"


class ExecType(StrEnum):
    """ExecType(150), as FIX 4.4 names it."""

    NEW = "0"
    DONE_FOR_DAY = "3"
    CANCELED = "4"
    REPLACED = "5"
    PENDING_CANCEL = "6"
    STOPPED = "7"
    REJECTED = "8"
    SUSPENDED = "9"
    EXPIRED = "C"
    RESTATED = "D"
    PENDING_REPLACE = "E"
    TRADE = "F"
    TRADE_CORRECT = "G"
    TRADE_CANCEL = "H"
    ORDER_STATUS = "I"


class OrdRejReason(StrEnum):
    """OrdRejReason(103)."""

    BROKER_OPTION = "0"
    UNKNOWN_SYMBOL = "1"
    EXCHANGE_CLOSED = "2"
    EXCEEDS_LIMIT = "3"
    TOO_LATE_TO_ENTER = "4"
    UNKNOWN_ORDER = "5"
    DUPLICATE_ORDER = "6"
    DUPLICATE_OF_VERBAL = "7"
    UNSUPPORTED_CHARACTERISTIC = "11"
    INCORRECT_QUANTITY = "13"
    UNKNOWN_ACCOUNT = "15"
    OTHER = "99"


class CxlRejReason(StrEnum):
    """CxlRejReason(102)."""

    TOO_LATE = "0"
    UNKNOWN_ORDER = "1"
    BROKER_OPTION = "2"
    ALREADY_PENDING = "3"
    DUPLICATE_CL_ORD_ID = "6"
    OTHER = "99"


class CxlRejResponseTo(StrEnum):
    """CxlRejResponseTo(434), and what a pending request is."""

    CANCEL = "1"
    REPLACE = "2"


@dataclass(slots=True)
class NewOrder:
    """NewOrderSingle(D): `owner` names the client whose ClOrdIDs(11) must differ.

    `side`, `ord_type` and `time_in_force` are wire values: what is unknown is refused.
    `echo` is the client's own fields, carried to every report untouched. `expire_time` is ExpireTime(126).
    `cash_order_qty` is CashOrderQty(152): money to spend instead of a quantity, which is then 0.
    """

    cl_ord_id: str
    symbol: str
    side: str
    order_qty: Decimal
    ord_type: str = OrdType.MARKET
    price: Decimal | None = None
    time_in_force: str = TimeInForce.DAY
    account: str = ""
    expire_time: datetime | None = None
    owner: str = ""
    poss_resend: bool = False
    echo: tuple[tuple[int, str], ...] = ()
    cash_order_qty: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """OrderCancelRequest(F): `orig_cl_ord_id` is the last ClOrdID(11) of the order that was not rejected.

    `echo` is what an OrderCancelReject(9) of it carries back.
    """

    cl_ord_id: str
    orig_cl_ord_id: str
    owner: str = ""
    account: str = ""
    poss_resend: bool = False
    echo: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """OrderCancelReplaceRequest(G): `order_qty` is the whole new OrderQty(38), what filled included.

    Side(54), Symbol(55) and OrdType(40) must be the order's own, or None to mean them.
    """

    cl_ord_id: str
    orig_cl_ord_id: str
    order_qty: Decimal
    price: Decimal | None = None
    symbol: str | None = None
    side: str | None = None
    ord_type: str | None = None
    owner: str = ""
    account: str = ""
    poss_resend: bool = False
    echo: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class Fill:
    """Remember one execution: ExecID(17), LastQty(32), LastPx(31), Commission(12), TransactTime(60).

    `is_earlier` says that it is of a trading day that has ended.
    """

    exec_id: str
    last_qty: Decimal
    last_px: Decimal
    commission: Decimal
    transact_time: datetime
    is_earlier: bool = False


@dataclass(slots=True)
class Request:
    """A cancel or replace that waits for its decision; `cl_ord_id` is the request's own ClOrdID(11)."""

    response_to: CxlRejResponseTo
    cl_ord_id: str
    order_qty: Decimal = ZERO
    price: Decimal | None = None
    echo: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True, eq=False)
class Order:
    """One order's life at the venue.

    `cl_ord_id` is the last accepted ClOrdID(11) of the chain, `first_cl_ord_id` the one it came with,
    `value` the sum of quantity times price,
    `commission` the sum charged; `ended` is why nothing more will fill, if not because everything did.
    `priority` orders resting orders in time, 0 when the order does not rest; `slices` are the partial fills
    still to come, and `plan` tells a planned fill of an earlier plan from one of this. `is_renewed` says that
    the order has outlived a trading day, `is_resting_till_tomorrow` that it waits for the next one.
    `cash` is the money an order was given instead of a quantity; `order_qty` is what that buys as of the last
    price it traded at.
    """

    owner: str
    order_id: str
    cl_ord_id: str
    account: str
    symbol: str
    side: str
    is_buy: bool
    ord_type: str
    price: Decimal | None
    time_in_force: str
    order_qty: Decimal
    expire_time: datetime | None = None
    echo: tuple[tuple[int, str], ...] = ()
    cum_qty: Decimal = ZERO
    value: Decimal = ZERO
    commission: Decimal = ZERO
    is_acknowledged: bool = False
    is_suspended: bool = False
    is_stopped: bool = False
    is_resting_till_tomorrow: bool = False
    is_renewed: bool = False
    ended: OrdStatus | None = None
    requests: list[Request] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    priority: int = 0
    slices: list[Decimal] = field(default_factory=list)
    plan: int = 0
    first_cl_ord_id: str = ""
    cash: Decimal | None = None

    @property
    def leaves_qty(self) -> Decimal:
        """LeavesQty(151): what may still fill."""
        return ZERO if self.ended is not None else self.order_qty - self.cum_qty

    def size_at(self, px: Decimal, lot: Decimal) -> None:
        """Size an order of money anew: the lots that what is left of it buys at `px`."""
        if self.cash is not None:
            self.order_qty = self.cum_qty + (self.cash - self.value) / px // lot * lot

    @property
    def avg_px(self) -> Decimal:
        """AvgPx(6), to eight places; the exact money is in `value`."""
        fills = self.fills
        if not fills:
            return ZERO
        if len(fills) == 1:
            return fills[0].last_px
        return (self.value / self.cum_qty).quantize(_AVG_PX_PLACES)

    @property
    def day(self) -> tuple[Decimal, Decimal, Decimal] | None:
        """DayOrderQty(424), DayCumQty(425) and DayAvgPx(426) of an order that has outlived a day."""
        if not self.is_renewed:
            return None
        earlier = sum((fill.last_qty for fill in self.fills if fill.is_earlier), ZERO)
        today = [fill for fill in self.fills if not fill.is_earlier]
        day_cum_qty = sum((fill.last_qty for fill in today), ZERO)
        value = sum((fill.last_qty * fill.last_px for fill in today), ZERO)
        day_avg_px = (value / day_cum_qty).quantize(_AVG_PX_PLACES) if day_cum_qty else ZERO
        return self.order_qty - earlier, day_cum_qty, day_avg_px

    @property
    def ord_status(self) -> OrdStatus:
        """OrdStatus(39) by precedence."""
        if self.requests:
            has_cancel = any(item.response_to is CxlRejResponseTo.CANCEL for item in self.requests)
            return OrdStatus.PENDING_CANCEL if has_cancel else OrdStatus.PENDING_REPLACE
        is_over = self.ended is not None or self.cum_qty >= self.order_qty
        return self._ended_status if is_over or self.is_resting_till_tomorrow else self._working_status

    @property
    def _ended_status(self) -> OrdStatus:
        if self.ended is not None:
            return self.ended
        return OrdStatus.DONE_FOR_DAY if self.is_resting_till_tomorrow else OrdStatus.FILLED

    @property
    def _working_status(self) -> OrdStatus:
        if self.is_stopped:
            return OrdStatus.STOPPED
        if not self.is_acknowledged or self.is_suspended:
            return OrdStatus.SUSPENDED if self.is_acknowledged else OrdStatus.PENDING_NEW
        return OrdStatus.PARTIALLY_FILLED if self.cum_qty else OrdStatus.NEW


@dataclass(slots=True)
class Report:
    """ExecutionReport(8). `leaves_qty`, `avg_px` and `ord_status` are what they were when it was made.

    `exec_ref_id` is ExecRefID(19) of a bust or a correction; `day` is `Order.day`.
    """

    owner: str
    order_id: str
    exec_id: str
    cl_ord_id: str
    orig_cl_ord_id: str | None
    exec_type: ExecType
    ord_status: OrdStatus
    account: str
    symbol: str
    side: str
    ord_type: str
    price: Decimal | None
    time_in_force: str
    order_qty: Decimal
    cum_qty: Decimal
    leaves_qty: Decimal
    avg_px: Decimal
    transact_time: datetime
    last_qty: Decimal | None = None
    last_px: Decimal | None = None
    commission: Decimal | None = None
    ord_rej_reason: OrdRejReason | None = None
    exec_restatement_reason: str | None = None
    text: str | None = None
    echo: tuple[tuple[int, str], ...] = ()
    exec_ref_id: str | None = None
    day: tuple[Decimal, Decimal, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class CancelReject:
    """OrderCancelReject(9); `orig_cl_ord_id` is the last accepted ClOrdID(11) of the order."""

    owner: str
    order_id: str
    cl_ord_id: str
    orig_cl_ord_id: str
    ord_status: OrdStatus
    response_to: CxlRejResponseTo
    cxl_rej_reason: CxlRejReason
    text: str
    account: str
    transact_time: datetime
    echo: tuple[tuple[int, str], ...] = ()


Answer = Report | CancelReject


def is_bad_price(price: Decimal | None) -> bool:
    """Say whether no order may have this Price(44), none included."""
    if price is None or not price.is_finite() or not ZERO < price <= MAX_NUMBER:
        return True
    return price != round(price, MAX_PLACES)
