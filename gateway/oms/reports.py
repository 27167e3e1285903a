"""Take what a broker reports: executions, rejects, answers to look-ups. Pure.

Rules of this room:
1. Each message of a link is applied once: its `link_seq` must be new.
2. A report that contradicts the order's life, an execution for an order we never sent, a bust or a
   message that cannot be read halts the account, and says so; nothing is guessed.
3. A fill reaches the book in `_book_fill` and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.domain.book import Fill
from gateway.domain.lots import RealisedGain
from gateway.domain.order import ExecType, Order, OrdStatus, Report, Step, step
from gateway.domain.settings import Settings
from gateway.events import CancelRejected, MessageRefused, OrderUnknown, ReportReceived, ReportUnreadable
from gateway.oms.state import NOTHING, Applied, Link, Request, State

BELIEVABLE_CLOCK_GAP = timedelta(days=7)
"""A TransactTime(60) further than this from our own clock does not date a trade."""

MISSING_LOOKUPS = 6
"""How often in a row a venue may count more fills than it has reported before the account halts."""

TAKES_BACK = (ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT)
NOT_YET_SEEN = (OrdStatus.PENDING_NEW, OrdStatus.IN_DOUBT)


def trade_date(at: datetime, settings: Settings) -> date:
    """Return the market's own calendar date of an instant."""
    return at.astimezone(ZoneInfo(settings.time_zone)).date()


def take_report(state: State, event: ReportReceived, settings: Settings) -> Applied:
    """Apply one execution report to its order and the book."""
    if not _advance_link(state, event.link, event.link_seq):
        return NOTHING
    report = event.report
    if (
        report.exec_type is ExecType.ORDER_STATUS
    ):  # says how things stand, and many venues give it ExecID(17) 0
        report = replace(report, exec_id="")
    order = state.orders.get(report.cl_ord_id) or state.orders.get(report.orig_cl_ord_id)
    if order is None:
        return _stranger(state, event, settings)
    before, was_unseen = order.lookups, order.ord_status in NOT_YET_SEEN
    was_given_up = _was_given_up(order)
    if was_given_up:
        order.ord_status = OrdStatus.IN_DOUBT
    change = step(order, report)
    problem = _contradiction(order, report) or change.illegal
    if problem:
        return _halt(state, order, change, problem)
    order.take(report, change, event.at)
    gains = tuple(_book_fill(state, order, report, change, event.at, settings)) if change.fill_qty else ()
    request = request_of(state, order)
    track(request, order)
    if was_given_up and (change.fill_qty or not order.is_final):
        return _halt(state, order, change, "the venue has an order that was given up", gains)
    if change.missing_qty:
        order.lookups = before + 1
        if order.is_final or order.lookups > MISSING_LOOKUPS:
            return _halt(state, order, change, f"{change.missing_qty} executed but never reported", gains)
    return Applied(order, change, request, gains, is_first_sign=was_unseen and not change.is_repeat)


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
    if report.exec_type in TAKES_BACK:
        return f"execution {report.exec_type.name} by the venue"
    return ""


def _halt(
    state: State, order: Order, change: Step, problem: str, gains: tuple[RealisedGain, ...] = ()
) -> Applied:
    text = f"{order.spec.symbol} {order.spec.cl_ord_id}: {problem}"
    state.halts[order.spec.account] = text
    request = request_of(state, order)
    track(request, order)
    return Applied(order, change, request, gains, problem=text)


def _book_fill(
    state: State, order: Order, report: Report, change: Step, at: datetime, settings: Settings
) -> list[RealisedGain]:
    when = report.transact_time
    if when is None or abs(when - at) > BELIEVABLE_CLOCK_GAP:
        when = at
    spec = order.spec
    fill = Fill(
        account=spec.account, symbol=spec.symbol, side=spec.side, qty=change.fill_qty,
        px=change.fill_px, commission=change.commission, exec_id=report.exec_id,
        trade_date=trade_date(when, settings),
    )  # fmt: skip
    return state.book.apply(fill)


def _stranger(state: State, event: ReportReceived, settings: Settings) -> Applied:
    """Take note of a report for an order we never sent; an execution halts the link's accounts."""
    report = event.report
    text = f"{event.link}: report {report.exec_id} for unknown ClOrdID(11) {report.cl_ord_id or '(none)'}"
    if report.exec_type.is_trade or report.exec_type in TAKES_BACK:
        halt_link(state, event.link, text, settings)
    return Applied(problem=text)


def halt_link(state: State, link: str, problem: str, settings: Settings) -> None:
    """Halt every account that trades through a link."""
    for account in settings.accounts.values():
        if account.link == link:
            state.halts[account.name] = problem


def _advance_link(state: State, name: str, seq: int) -> bool:
    """Note the link's inbound place; False when this very message was applied before."""
    link = state.links.setdefault(name, Link())
    if seq <= link.seq:
        return False
    link.seq = seq
    return True


def request_of(state: State, order: Order) -> Request:
    """Return the request an order belongs to: it is remembered as long as the order."""
    return state.requests[order.spec.request_id]


def track(request: Request, order: Order) -> None:
    """Keep the request's list of open orders true."""
    cl_ord_id = order.spec.cl_ord_id
    is_listed = cl_ord_id in request.open_orders
    if order.is_final and is_listed:
        del request.open_orders[cl_ord_id]
    elif not order.is_final and not is_listed:
        request.open_orders[cl_ord_id] = None


def take_cancel_reject(state: State, event: CancelRejected) -> Applied:
    """Apply OrderCancelReject(9): the order goes on as it was."""
    if not _advance_link(state, event.link, event.link_seq):
        return NOTHING
    order = state.orders.get(event.orig_cl_ord_id) or state.orders.get(event.cl_ord_id)
    if order is None:
        return Applied(problem=f"{event.link}: cancel reject for unknown ClOrdID(11) {event.orig_cl_ord_id}")
    if order.ord_status is OrdStatus.PENDING_CANCEL:
        is_whole = order.cum_qty == order.spec.order_qty
        partly = OrdStatus.PARTIALLY_FILLED if order.cum_qty else OrdStatus.NEW
        order.ord_status = OrdStatus.FILLED if is_whole else partly
        track(request_of(state, order), order)
    order.text = event.text or order.text
    return Applied(order, request=request_of(state, order))


def take_unknown(state: State, event: OrderUnknown) -> Applied:
    """Apply the answer 'never heard of it' to a look-up."""
    if not _advance_link(state, event.link, event.link_seq):
        return NOTHING
    order = state.orders.get(event.cl_ord_id)
    if order is None or order.is_final or order.ord_status is OrdStatus.PENDING_NEW:
        return NOTHING
    if order.ord_status is OrdStatus.IN_DOUBT:
        order.lookups += 1
        return Applied(order, request=request_of(state, order))
    problem = f"{order.spec.symbol} {event.cl_ord_id}: the venue no longer knows an order it had accepted"
    state.halts[order.spec.account] = problem
    return Applied(order, request=request_of(state, order), problem=problem)


def take_refusal(state: State, event: MessageRefused) -> Applied:
    """Take a session or business reject: an order refused that way never lived at the venue.

    An order in doubt stays in doubt: what was refused may have been our question, not the order.
    """
    if not _advance_link(state, event.link, event.link_seq):
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
    if not _advance_link(state, event.link, event.link_seq):
        return NOTHING
    problem = f"{event.link}: unreadable message ({event.reason})"
    halt_link(state, event.link, problem, settings)
    return Applied(problem=problem)
