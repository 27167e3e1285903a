"""The whole vocabulary: events that go into the engine and effects that come out of it.

Rules of this room:
1. Everything is a frozen, slotted dataclass of plain values; times are aware UTC, money is Decimal.
2. An **event** is a fact. It is journaled before the engine sees it and it is never rewritten; a new
   field needs a default, so that an old journal can always be read.
3. The effects stand in `effects.py`; everybody takes them from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gateway.domain.lots import LotMethod
from gateway.domain.order import OrderSpec, OrdStatus, Report
from gateway.domain.proposal import Approved
from gateway.domain.request import Action as Action
from gateway.domain.request import Denial as Denial
from gateway.domain.request import DenyReason as DenyReason
from gateway.domain.request import Mode as Mode
from gateway.domain.request import NameDecision as NameDecision
from gateway.domain.request import Others as Others
from gateway.domain.request import Regime as Regime
from gateway.domain.request import RequestState as RequestState
from gateway.domain.schedule import AT_ONCE, Schedule, ScheduleOverride
from gateway.effects import Alert as Alert
from gateway.effects import CancelOrder as CancelOrder
from gateway.effects import Effect as Effect
from gateway.effects import LookUpOrder as LookUpOrder
from gateway.effects import Publish as Publish
from gateway.effects import Record as Record
from gateway.effects import SendOrder as SendOrder
from gateway.effects import SetTimer as SetTimer
from gateway.effects import WithholdOrders as WithholdOrders

# ----------------------------------------------------------------------------------------- events in


@dataclass(frozen=True, slots=True)
class GatewayStarted:
    """A gateway process took the household over; orders not yet acknowledged are now in doubt."""

    at: datetime
    epoch: int
    config_hash: str
    version: str


@dataclass(frozen=True, slots=True)
class LotOpened:
    """One lot of an opening book; `acquired` is an ISO date, `cost` the total for `qty`."""

    symbol: str
    acquired: str
    qty: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class AccountOpened:
    """An account enters the household with its opening cash and lots."""

    at: datetime
    account: str
    cash: Decimal
    lots: tuple[LotOpened, ...] = ()
    lot_method: LotMethod = LotMethod.FIFO
    taxable: bool = True


@dataclass(frozen=True, slots=True)
class PricesUpdated:
    """Reference prices arrived; `as_of` is when they were true."""

    at: datetime
    as_of: datetime
    prices: dict[str, Decimal]
    source: str = ""


@dataclass(frozen=True, slots=True)
class TargetsSubmitted:
    """A valid target message was accepted from the stream; `targets` are weights of NAV.

    `execution` is what the message wants otherwise than the account's own execution style.
    """

    at: datetime
    request_id: str
    account: str
    targets: dict[str, Decimal]
    as_of: datetime
    expires_at: datetime
    others: Others = Others.KEEP
    mode: Mode = Mode.EXECUTE
    regime: Regime = Regime.NORMAL
    entry_id: str = ""
    signed_by: str = ""
    execution: ScheduleOverride | None = None


@dataclass(frozen=True, slots=True)
class RequestDecided:
    """The engine decided a request: HOLD included, with every number behind it.

    `drift` is the summed absolute weight gap, `max_drift` the largest, `tracking_error_left` the
    annualised tracking error after the trades. `approved` may be sent (sells, then the buys they
    pay for), `denied` may not. `schedule` is the execution style the request keeps to its end, whatever
    the configuration says later.
    """

    at: datetime
    request_id: str
    account: str
    action: Action
    reason: str
    nav: Decimal
    cash: Decimal
    drift: float
    max_drift: float
    names: tuple[NameDecision, ...] = ()
    approved: tuple[Approved, ...] = ()
    denied: tuple[Denial, ...] = ()
    tracking_error_left: float = 0.0
    schedule: Schedule = AT_ONCE


@dataclass(frozen=True, slots=True)
class OrdersPlanned:
    """One wave of approved orders is about to be sent: written before the first of them leaves."""

    at: datetime
    request_id: str
    account: str
    wave: int
    orders: tuple[OrderSpec, ...]
    denied: tuple[Denial, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderResent:
    """An order the venue has proved not to know is sent again under the same ClOrdID(11).

    PossResend(97)=Y, unless it certainly never reached the venue.
    """

    at: datetime
    cl_ord_id: str
    poss_resend: bool = True


@dataclass(frozen=True, slots=True)
class OrderAbandoned:
    """An order that never reached its venue is given up: nothing was sent, nothing will fill."""

    at: datetime
    cl_ord_id: str
    text: str


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """A request reached its end."""

    at: datetime
    request_id: str
    account: str
    state: RequestState
    text: str = ""


@dataclass(frozen=True, slots=True)
class ReportReceived:
    """A broker's execution report; `link_seq` is its place in the link's own inbound record."""

    at: datetime
    link: str
    link_seq: int
    report: Report


@dataclass(frozen=True, slots=True)
class CancelRejected:
    """OrderCancelReject(9), or the broker's like of it."""

    at: datetime
    link: str
    link_seq: int
    cl_ord_id: str
    orig_cl_ord_id: str
    ord_status: OrdStatus | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class OrderUnknown:
    """The venue answered a look-up: it does not know this ClOrdID(11).

    With `is_certain` false it only did not name it among its open orders: the order may have ended.
    """

    at: datetime
    link: str
    link_seq: int
    cl_ord_id: str
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class PositionStated:
    """The venue states what an account holds of a symbol, signed, in units."""

    at: datetime
    link: str
    link_seq: int
    account: str
    symbol: str
    qty: Decimal


@dataclass(frozen=True, slots=True)
class OrderSettled:
    """A person states, from the venue's own books, how an order ended that nobody here can find out.

    `cum_qty` is all that filled of it, at `avg_px` on average (0 when nothing did).
    """

    at: datetime
    cl_ord_id: str
    cum_qty: Decimal
    avg_px: Decimal
    by: str


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """The venue refused a message of ours at session or business level (35=3 or 35=j)."""

    at: datetime
    link: str
    link_seq: int
    cl_ord_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportUnreadable:
    """An inbound message could not be decoded; its raw text is kept and a person is told."""

    at: datetime
    link: str
    link_seq: int
    raw: str
    reason: str


@dataclass(frozen=True, slots=True)
class SendWithheld:
    """An order came back unsent (halt, connection gone, unsendable): it certainly did not leave.

    With `is_answer` it answers a look-up: only an order in doubt is meant, not one sent since.
    """

    at: datetime
    cl_ord_id: str
    reason: str
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A broker connection is logged on and caught up; it says what it can do.

    `was_reset`: numbers began again, so the venue repeats nothing from before. `can_look_up`: the venue
    answers for a single order or for all of them. `replays`: executions that happened while we were
    away come again by themselves, each with its own ExecID(17); otherwise CumQty(14) tells.
    """

    at: datetime
    link: str
    was_reset: bool = False
    can_look_up: bool = True
    replays: bool = True


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A broker connection is gone."""

    at: datetime
    link: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LinkBehind:
    """The link's own record says our journal has forgotten events: reconcile only."""

    at: datetime
    link: str
    text: str


@dataclass(frozen=True, slots=True)
class CopyLinked:
    """A drop copy's session came up or went down; `of` is the link whose executions it copies."""

    at: datetime
    link: str
    of: str
    is_up: bool


@dataclass(frozen=True, slots=True)
class ExecutionCopied:
    """A drop copy shows an execution, bust or correction of the link `of`: compared, never booked."""

    at: datetime
    link: str
    link_seq: int
    of: str
    report: Report


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer the engine set is due."""

    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class HaltRequested:
    """Stop sending for one account, or for all when `account` is empty."""

    at: datetime
    account: str
    reason: str
    by: str
    cancel_working: bool = False


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Allow sending again for one account, or for all when `account` is empty."""

    at: datetime
    account: str
    by: str


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A person approved a request that waited for it."""

    at: datetime
    request_id: str
    by: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A person asked to cancel everything that still works for one request."""

    at: datetime
    request_id: str
    by: str


Event = (
    GatewayStarted | AccountOpened | PricesUpdated | TargetsSubmitted | RequestDecided | OrdersPlanned
    | OrderResent | OrderAbandoned | RequestFinished | ReportReceived | CancelRejected | OrderUnknown
    | PositionStated | OrderSettled | MessageRefused | ReportUnreadable | SendWithheld | LinkUp | LinkDown
    | LinkBehind | CopyLinked | ExecutionCopied | TimerFired | HaltRequested | ResumeRequested
    | ApprovalGiven | CancelRequested
)  # fmt: skip
