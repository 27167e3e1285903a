"""The whole vocabulary: events that go into the engine and effects that come out of it.

Rules of this room:
1. Everything is a frozen, slotted dataclass of plain values; times are aware UTC, money is Decimal.
2. An **event** is a fact. It is journaled before the engine sees it and it is never rewritten; a new
   field needs a default, so that an old journal can always be read.
3. What brokers report stands in `reported.py`, the effects in `effects.py`; everybody takes them from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gateway.domain.lots import USUAL_RATES, LotMethod
from gateway.domain.order import OrderSpec
from gateway.domain.proposal import Approved
from gateway.domain.request import Action as Action
from gateway.domain.request import Denial as Denial
from gateway.domain.request import DenyReason as DenyReason
from gateway.domain.request import LotTax as LotTax
from gateway.domain.request import Mode as Mode
from gateway.domain.request import NameDecision as NameDecision
from gateway.domain.request import Others as Others
from gateway.domain.request import PolicyName as PolicyName
from gateway.domain.request import Regime as Regime
from gateway.domain.request import RequestState as RequestState
from gateway.domain.schedule import AT_ONCE, Schedule, ScheduleOverride
from gateway.domain.standing import DriftLevel as DriftLevel
from gateway.domain.substitution import Swapped
from gateway.effects import Alert as Alert
from gateway.effects import CancelOrder as CancelOrder
from gateway.effects import Effect as Effect
from gateway.effects import LookUpOrder as LookUpOrder
from gateway.effects import Publish as Publish
from gateway.effects import Record as Record
from gateway.effects import SendOrder as SendOrder
from gateway.effects import SetTimer as SetTimer
from gateway.effects import WithholdOrders as WithholdOrders
from gateway.reported import ActivityStated as ActivityStated
from gateway.reported import CancelRejected as CancelRejected
from gateway.reported import CopyLinked as CopyLinked
from gateway.reported import ExecutionCopied as ExecutionCopied
from gateway.reported import LinkBehind as LinkBehind
from gateway.reported import LinkDown as LinkDown
from gateway.reported import LinkNoticed as LinkNoticed
from gateway.reported import LinkUp as LinkUp
from gateway.reported import MessageRefused as MessageRefused
from gateway.reported import OrderUnknown as OrderUnknown
from gateway.reported import PositionStated as PositionStated
from gateway.reported import PowerStated as PowerStated
from gateway.reported import ReportReceived as ReportReceived
from gateway.reported import ReportUnreadable as ReportUnreadable
from gateway.reported import SendInDoubt as SendInDoubt
from gateway.reported import SendWithheld as SendWithheld
from gateway.reported import Statement as Statement

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
    short_term_rate: Decimal = USUAL_RATES.short_term
    long_term_rate: Decimal = USUAL_RATES.long_term


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

    `execution` is what the message wants otherwise than the account's own execution style, `policy` the
    rule it wants to be decided by instead of the account's. With `harvest` there are no targets: what is
    wanted is that losses are taken where they pay, each into its substitute.
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
    policy: PolicyName | None = None
    harvest: bool = False


@dataclass(frozen=True, slots=True)
class RequestDecided:
    """The engine decided a request: HOLD included, with every number behind it.

    `drift` is the summed absolute weight gap, `max_drift` the largest, `tracking_error_left` the
    annualised tracking error after the trades. `approved` may be sent (sells, then the buys they
    pay for), `denied` may not. `schedule` is the execution style the request keeps to its end, whatever
    the configuration says later, `policy` the rule that decided. `harvest` says that losses were wanted, not
    targets: `swaps` are those found worth it, approved or not. `swapped_back` names what is no longer read as
    its substitute from here on.
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
    policy: PolicyName = PolicyName.TRIGGERS
    harvest: bool = False
    swaps: tuple[Swapped, ...] = ()
    swapped_back: tuple[str, ...] = ()


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
class OrderSettled(Statement):
    """A person states, from the venue's own books, how an order ended that nobody here can find out.

    `cum_qty` is all that filled of it, at `avg_px` on average (0 when nothing did).
    """

    at: datetime
    cl_ord_id: str
    cum_qty: Decimal
    avg_px: Decimal
    by: str


@dataclass(frozen=True, slots=True)
class ActionStated(Statement):
    """A person states what a corporate action did to what an account holds of a symbol, for its cost basis.

    With `new_symbol` it is a spin-off: `qty` of that came in all, and takes `fraction` of the cost. Without,
    it is a return of capital: `amount` of the cost came back. Source: the issuer's Form 8937.
    """

    at: datetime
    account: str
    symbol: str
    by: str
    amount: Decimal = Decimal(0)
    new_symbol: str = ""
    qty: Decimal = Decimal(0)
    fraction: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer the engine set is due."""

    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class CheckDue:
    """An exchange is open and it is time to look at an account's drift; `session` is its ISO date."""

    at: datetime
    account: str
    session: str
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class DriftChecked:
    """An account was compared with its standing targets.

    `drift` is the summed, `max_drift` the largest absolute gap in weight, that of `symbol`. `request_id`
    names the request made because of it, empty when none was. `is_news` says that a person is told: a
    level is told once a session, a request that is made always.
    """

    at: datetime
    account: str
    session: str
    level: DriftLevel
    drift: float
    max_drift: float
    symbol: str
    text: str
    request_id: str = ""
    is_news: bool = False


@dataclass(frozen=True, slots=True)
class LossesFound:
    """An account has losses worth taking: `names` are they, `loss` and `net` money.

    It is said once a `week`, an ISO week like 2026-W48.
    """

    at: datetime
    account: str
    week: str
    names: tuple[str, ...]
    loss: float
    net: float
    text: str


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
    """Release what an account is halted for, or all accounts when `account` is empty.

    `reasons` are those a person has seen to, word for word; others still halt. Empty means all of them.
    """

    at: datetime
    account: str
    by: str
    reasons: tuple[str, ...] = ()


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
    | PositionStated | PowerStated | ActivityStated | ActionStated | OrderSettled | MessageRefused
    | ReportUnreadable | SendWithheld | SendInDoubt | LinkUp | LinkDown | LinkBehind | LinkNoticed
    | CopyLinked | ExecutionCopied | TimerFired | CheckDue | DriftChecked | LossesFound | HaltRequested
    | ResumeRequested | ApprovalGiven | CancelRequested
)  # fmt: skip
