"""What a broker's connection reports: orders, accounts, itself. Part of the vocabulary of `events.py`.

Rules of this room:
1. The rules of `events.py` hold here; everybody takes these from there.
2. `link_seq` is the event's place in its link's own inbound record: each is applied once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from gateway.domain.order import ZERO, OrdStatus, Report


class Statement:
    """What is stated of an account besides its orders' reports: positions, money, what a person settles."""

    __slots__ = ()


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
class PositionStated(Statement):
    """The venue states what an account holds of a symbol, signed, in units.

    `shared_with` are further accounts of ours that are the same account at the venue, reached over other
    links: `qty` is what all of them hold together. `asked_at` is when the question left, None if unasked.
    """

    at: datetime
    link: str
    link_seq: int
    account: str
    symbol: str
    qty: Decimal
    shared_with: tuple[str, ...] = ()
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PowerStated(Statement):
    """The venue states what an account may buy for, while nothing of it is open: its buying power, in money.

    Borrowed money is among it where the account has margin.
    """

    at: datetime
    link: str
    link_seq: int
    account: str
    power: Decimal


@dataclass(frozen=True, slots=True)
class ActivityStated(Statement):
    """The venue states what happened to an account besides orders: a dividend, a split, a fee, a deposit.

    `activity_id` is the venue's own and stated once; `kind` is the venue's word for it (DIV, SPLIT, SPIN), or
    REINVEST for shares that a dividend bought; `on` is its ISO date; `qty` what it adds to the position in
    `symbol`, `cash` what it adds to the cash.
    """

    at: datetime
    link: str
    link_seq: int
    account: str
    activity_id: str
    kind: str
    on: str
    cash: Decimal = ZERO
    symbol: str = ""
    qty: Decimal = ZERO
    text: str = ""


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
class SendInDoubt:
    """An order left and nothing certain came back (time-out, reset, server error): the venue may have it."""

    at: datetime
    cl_ord_id: str
    reason: str


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
class LinkNoticed:
    """A broker connection tells what a person must know, besides any order's report.

    `severity` is info, warning or critical; with `halts` the account stops, or, without one, all of the link.
    """

    at: datetime
    link: str
    link_seq: int
    text: str
    account: str = ""
    severity: str = "warning"
    halts: bool = False


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
