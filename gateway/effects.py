"""The effects: what the engine wishes to happen. Part of the vocabulary of `events.py`, which gives them out.

Rules of this room:
1. An **effect** is a wish. It is carried out after its cause is journaled, and may be carried out
   again after a crash; whoever carries it out must make that harmless.
2. `Record` is the one effect that becomes an event: what the engine decided, so that replay never
   decides again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.domain.order import OrderSpec

if TYPE_CHECKING:
    from gateway.events import Event


@dataclass(frozen=True, slots=True)
class Record:
    """Journal this event, then process it."""

    event: Event


@dataclass(frozen=True, slots=True)
class SendOrder:
    """Send one approved order; with `poss_resend` the venue may have seen it (PossResend(97)=Y)."""

    order: OrderSpec
    poss_resend: bool = False


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Ask the venue to cancel what is left of an order; `cancel_id` is the request's own ClOrdID(11).

    `previous_id` is the ClOrdID(11) of the last accepted replacement, empty when there was none.
    """

    order: OrderSpec
    cancel_id: str
    order_id: str = ""
    previous_id: str = ""


@dataclass(frozen=True, slots=True)
class LookUpOrder:
    """Ask the venue what it knows of an order (OrderStatusRequest(H))."""

    order: OrderSpec
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire `TimerFired(key)` at `due`; setting the same key again moves it."""

    key: str
    due: datetime


@dataclass(frozen=True, slots=True)
class WithholdOrders:
    """Give back every order of this account (all when empty) that has not left yet."""

    account: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell a person: `severity` is info, warning or critical; `code` is stable, `text` is a sentence."""

    severity: str
    code: str
    text: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    """Put an event on the news stream, for everyone who listens."""

    event: Event


Effect = Record | SendOrder | CancelOrder | LookUpOrder | SetTimer | WithholdOrders | Alert | Publish
