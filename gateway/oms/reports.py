"""Take what a broker reports: executions, rejects, answers to look-ups. Pure.

Rules of this room:
1. Each message of a link is applied once: its `link_seq` must be new.
2. A report that contradicts the order's life, or a message that cannot be read, halts the account, and
   says so; nothing is guessed.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.life import after_refusal, step
from gateway.domain.order import ExecType, Order, OrdStatus, Report, Step
from gateway.domain.settings import Settings
from gateway.events import (
    CancelRejected,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    ReportUnreadable,
    SendInDoubt,
    SendWithheld,
)
from gateway.oms import copies
from gateway.oms.booking import (
    NOT_YET_SEEN,
    advance_link,
    book_step,
    by_totals,
    doubt,
    halt,
    halt_link,
    request_of,
    track,
)
from gateway.oms.execution import to_stop
from gateway.oms.state import NOTHING, Applied, Request, State
from gateway.oms.strangers import take_stranger

MISSING_LOOKUPS = 6
"""How often in a row a venue may count more fills than it has reported before the account halts."""

NOT_NAMED = (
    "the venue does not name it among its open orders: it never arrived, or it ended while we were away; "
    "look at the venue's own books, then `gateway settle` it"
)


def take_report(state: State, event: ReportReceived, settings: Settings) -> Applied:
    """Apply one execution report to its order and the book."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    report = event.report
    if report.exec_type is ExecType.ORDER_STATUS:  # many venues give it ExecID(17) 0
        report = replace(report, exec_id="")
    order = state.orders.get(report.cl_ord_id) or state.orders.get(report.orig_cl_ord_id)
    if order is None:
        return take_stranger(state, event, settings)
    is_first_sign = order.ord_status in NOT_YET_SEEN
    if order.is_by_totals or not state.link(event.link).replays:
        report = by_totals(order, report)
    was_given_up = _was_given_up(order)
    if was_given_up:
        order.ord_status = OrdStatus.IN_DOUBT
    before = order.lookups
    change = step(order, report)
    if problem := _contradiction(order, report) or change.illegal:
        return halt(state, order, change, problem)
    order.take(report, change, event.at)
    gains = book_step(state, order, report, change, event.at, settings)
    difference = copies.note_own(state, event.link, order, report, change, settings)
    request = request_of(state, order)
    track(request, order)
    excess = _stop_excess(state, request, order) if change.fill_qty or change.order_qty else ()
    if change.missing_qty:
        order.lookups = before + 1
    if problem := _wrong(order, change, was_given_up=was_given_up):
        return replace(halt(state, order, change, problem, gains), difference=difference, excess=excess)
    problem = _surprise(order, report, change)
    is_first_sign = is_first_sign and not change.is_repeat
    return Applied(order, change, request, gains, problem, difference, is_first_sign, excess)


def _stop_excess(state: State, request: Request, order: Order) -> tuple[Order, ...]:
    """Ask for the end of every order whose parent others have filled."""
    excess = to_stop(request, order.spec.symbol, state)
    for one in excess:
        one.cancels += 1
    return tuple(excess)


def _wrong(order: Order, change: Step, *, was_given_up: bool) -> str:
    """Say what about a report that was taken needs a person before anything else is sent."""
    if was_given_up and (change.fill_qty or not order.is_final):
        return "the venue has an order that was given up"
    if change.missing_qty and (order.is_final or order.lookups > MISSING_LOOKUPS):
        return f"{change.missing_qty} executed but never reported"
    if change.scale != 1:
        return "restated for a corporate action: check the position"
    return ""


def _surprise(order: Order, report: Report, change: Step) -> str:
    """Say what a person should know though nothing is wrong: the venue changed what it had said."""
    name = f"{order.spec.symbol} {order.spec.cl_ord_id}"
    if change.undoes:
        now = f"{change.fill_qty} at {change.fill_px}" if change.fill_qty else "nothing"
        return f"{name}: the venue took back execution {change.undoes}; {now} stands in its place"
    is_of_money = order.spec.cash_order_qty is not None  # its quantity is what its fills say
    if change.order_qty is not None and not change.is_repeat and not is_of_money:
        return f"{name}: the venue changed OrderQty(38) to {change.order_qty} {report.text}".rstrip()
    return ""


def _was_given_up(order: Order) -> bool:
    """Say whether we ended the order ourselves, without a report from the venue."""
    is_ours = order.ord_status in (OrdStatus.CANCELED, OrdStatus.REJECTED)
    return is_ours and not order.exec_ids and not order.order_id


def _contradiction(order: Order, report: Report) -> str:
    """Say what in a report cannot be about this order, or takes back what was booked."""
    spec = order.spec
    if report.symbol and report.symbol != spec.symbol:
        return f"report is about Symbol(55) {report.symbol}"
    if report.side is not None and report.side.sign != spec.side.sign:
        return f"report is about Side(54) {report.side.name}"
    return ""


def take_cancel_reject(state: State, event: CancelRejected) -> Applied:
    """Apply OrderCancelReject(9): the order goes on as it was."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    order = state.orders.get(event.orig_cl_ord_id) or state.orders.get(event.cl_ord_id)
    if order is None:
        return Applied(problem=f"{event.link}: cancel reject for unknown ClOrdID(11) {event.orig_cl_ord_id}")
    order.ord_status = after_refusal(order, event.ord_status)
    track(request_of(state, order), order)
    order.text = event.text or order.text
    return Applied(order, request=request_of(state, order))


def take_unknown(state: State, event: OrderUnknown, settings: Settings) -> Applied:
    """Apply the answer 'never heard of it' to a look-up.

    One message may say it of several orders, so its number may be the one just applied; that it is said
    twice does no harm.
    """
    link = state.link(event.link)
    if event.link_seq < link.seq:
        return NOTHING
    link.seq = event.link_seq
    order = state.orders.get(event.cl_ord_id)
    if order is None or order.is_final or order.ord_status is OrdStatus.PENDING_NEW:
        return NOTHING
    if order.ord_status is not OrdStatus.IN_DOUBT:
        return halt(state, order, None, "the venue no longer knows an order it had accepted")
    order.lookups += 1
    enough = settings.accounts[order.spec.account].execution.lookups_before_unknown
    if not event.is_certain and order.lookups >= enough:
        return halt(state, order, None, NOT_NAMED)
    return Applied(order, request=request_of(state, order))


def take_handover(state: State, event: SendWithheld | SendInDoubt) -> Applied:
    """Take that an order did not leave, or that nobody can say whether its venue has it."""
    order = state.orders.get(event.cl_ord_id)
    if order is None:
        return NOTHING
    return (
        _withheld(state, order, event) if isinstance(event, SendWithheld) else _doubted(state, order, event)
    )


def _withheld(state: State, order: Order, event: SendWithheld) -> Applied:
    meant = (OrdStatus.IN_DOUBT,) if event.is_answer else NOT_YET_SEEN
    if order.ord_status not in meant:
        return NOTHING
    order.text = event.reason
    order.updated_at = event.at
    order.is_unsent = True
    request = request_of(state, order)
    is_unwanted = order.cancels or request.outcome is not None
    is_over = is_unwanted or state.halt_reason(order.spec.account)
    order.ord_status = OrdStatus.CANCELED if is_over else OrdStatus.IN_DOUBT
    track(request, order)
    return Applied(order, request=request)


def _doubted(state: State, order: Order, event: SendInDoubt) -> Applied:
    if order.ord_status is not OrdStatus.PENDING_NEW:
        return NOTHING
    order.text = event.reason
    doubt(event.at, [order])
    return Applied(order, request=request_of(state, order))


def take_refusal(state: State, event: MessageRefused) -> Applied:
    """Take a session or business reject: an order refused that way never lived at the venue.

    An order in doubt stays in doubt: what was refused may have been our question, not the order.
    """
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    text = f"{event.link}: the venue refused a message ({event.text})"
    order = state.orders.get(event.cl_ord_id)
    if order is None:
        return Applied(problem=text)
    if order.ord_status is OrdStatus.PENDING_NEW:
        order.ord_status = OrdStatus.REJECTED
        order.text = event.text
        order.updated_at = event.at
        track(request_of(state, order), order)
    return Applied(order, request=request_of(state, order), problem=text)


def take_unreadable(state: State, event: ReportUnreadable, settings: Settings) -> Applied:
    """Halt the link's accounts: what cannot be read might have been a fill."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    problem = f"{event.link}: unreadable message ({event.reason})"
    halt_link(state, event.link, problem, settings)
    return Applied(problem=problem)
