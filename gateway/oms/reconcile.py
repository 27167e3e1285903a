"""Orders in doubt: ask, wait, ask again; never send blindly. Pure.

Rules of this room:
1. An order that may or may not have reached its venue is IN_DOUBT. It is looked up by ClOrdID(11).
2. "Never heard of it" is believed only after `lookups_before_unknown` answers with a wait between
   them. Then the same order goes out again under the same ClOrdID(11) with PossResend(97)=Y, or it
   is given up when it is too old, was sent too often, or is no longer wanted. One that certainly never
   left (`is_unsent`) needs no answer. Where nobody can be asked, an order stays in doubt and halts.
3. A working order past its time is cancelled, never forgotten: it stays open until the venue says.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.domain.order import Order, OrdStatus
from gateway.domain.settings import Settings
from gateway.events import (
    Alert,
    CancelOrder,
    Effect,
    LookUpOrder,
    OrderAbandoned,
    OrderResent,
    RequestState,
    SetTimer,
)
from gateway.oms.booking import NOT_YET_SEEN, is_unclear
from gateway.oms.plan import cancel_id
from gateway.oms.state import State

STUCK_AFTER = 3
"""After how many unanswered cancels a person is told that an order is stuck."""

MAX_SENDS = 5
"""How often one order may be sent (each time proved unknown to the venue) before it is given up."""


def is_proved_unknown(order: Order, settings: Settings) -> bool:
    """Say whether an order in doubt certainly never left, or was denied often enough to be believed."""
    enough = settings.accounts[order.spec.account].execution.lookups_before_unknown
    return order.ord_status is OrdStatus.IN_DOUBT and (order.is_unsent or order.lookups >= enough)


def look_up(orders: Iterable[Order], state: State, settings: Settings, now: datetime) -> list[Effect]:
    """Ask the venue about each order whose link is up, and ask again later if it does not answer."""
    effects: list[Effect] = []
    for order in orders:
        if order.is_final or not state.is_up(order.spec.link):
            continue
        effects.append(LookUpOrder(order.spec, order.order_id))
        if is_unclear(order):
            effects += ask_again(order, settings, now)
    return effects


def ask_again(order: Order, settings: Settings, now: datetime) -> list[Effect]:
    """Set the timer of the next look-up."""
    wait_s = float(settings.accounts[order.spec.account].execution.lookup_wait_s)
    return [SetTimer(f"lookup:{order.spec.cl_ord_id}", now + timedelta(seconds=wait_s))]


def settle(
    order: Order, state: State, settings: Settings, now: datetime
) -> OrderResent | OrderAbandoned | None:
    """Decide what becomes of an order in doubt; None means that it is too early to say."""
    spec = order.spec
    execution = settings.accounts[spec.account].execution
    if not is_proved_unknown(order, settings) or state.halt_reason(spec.account):
        return None
    doubted_s = (now - (order.updated_at or order.created_at)).total_seconds()
    wait_s = float(execution.lookup_wait_s) * (execution.lookups_before_unknown - 1)
    if doubted_s < wait_s and not order.is_unsent:
        return None  # answers to questions asked together count as one
    if text := _why_given_up(order, state, settings, now):
        return OrderAbandoned(now, spec.cl_ord_id, text)
    is_up = state.is_up(spec.link)
    return OrderResent(now, spec.cl_ord_id, poss_resend=not order.is_unsent) if is_up else None


def _why_given_up(order: Order, state: State, settings: Settings, now: datetime) -> str:
    """Say why an order that never reached its venue is not sent again, empty when it is."""
    age_s = (now - order.created_at).total_seconds()
    request = state.requests[order.spec.request_id]
    if request.state is not RequestState.WORKING or request.outcome is not None or order.cancels:
        return "never reached the venue; no longer wanted"
    if age_s > float(settings.accounts[order.spec.account].execution.resend_max_age_s):
        return f"never reached the venue; {age_s:.0f} s old by now"
    if order.sends >= MAX_SENDS:
        return f"sent {order.sends} times and never reached the venue"
    return ""


def is_unwanted(order: Order) -> bool:
    """Say whether a cancel was asked for that the venue, which has the order, must still hear of."""
    return order.cancels > 0 and not order.is_final and order.ord_status not in NOT_YET_SEEN


def cancel(orders: Iterable[Order], state: State, settings: Settings, now: datetime) -> list[Effect]:
    """Ask the venue to cancel what is open; an order it may not know is looked up instead."""
    effects: list[Effect] = []
    for order in orders:
        spec = order.spec
        if not state.is_up(spec.link):
            continue
        if order.cancels > STUCK_AFTER:
            text = f"{spec.symbol} {spec.cl_ord_id}: no answer to {order.cancels - 1} cancel requests"
            effects.append(Alert("critical", "OrderStuck", text, spec.account))
        if order.ord_status in NOT_YET_SEEN:
            effects += look_up([order], state, settings, now)
        else:
            effects.append(CancelOrder(spec, cancel_id(spec.cl_ord_id, order.cancels), order.order_id))
    return effects
