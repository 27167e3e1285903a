"""What every report has in common: its place in the link, its order's request, its money, a halt. Pure.

Rules of this room:
1. A fill, a bust and a correction reach the book in `book_step` and nowhere else.
2. Where a venue repeats nothing, CumQty(14) tells what has filled: what it grew by is booked once, under
   an ExecID(17) of our own, whichever report says it first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.domain.book import Fill
from gateway.domain.life import TAKES_BACK
from gateway.domain.lots import RealisedGain
from gateway.domain.order import ExecType, Order, OrdStatus, Report, Step
from gateway.domain.settings import Settings
from gateway.oms.state import Applied, Request, State

BELIEVABLE_CLOCK_GAP = timedelta(days=7)
"""A TransactTime(60) further than this from our own clock does not date a trade."""

NOT_YET_SEEN = (OrdStatus.PENDING_NEW, OrdStatus.IN_DOUBT)


def trade_date(at: datetime, settings: Settings) -> date:
    """Return the market's own calendar date of an instant."""
    return at.astimezone(ZoneInfo(settings.time_zone)).date()


def advance_link(state: State, name: str, seq: int) -> bool:
    """Note the link's inbound place; False when this very message was applied before."""
    link = state.link(name)
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


def halt(
    state: State, order: Order, change: Step | None, problem: str, gains: tuple[RealisedGain, ...] = ()
) -> Applied:
    """Halt the order's account, and say why."""
    text = f"{order.spec.symbol} {order.spec.cl_ord_id}: {problem}"
    state.halt(order.spec.account, text)
    request = request_of(state, order)
    track(request, order)
    return Applied(order, change, request, gains, problem=text)


def halt_link(state: State, link: str, problem: str, settings: Settings) -> None:
    """Halt every account that trades through a link."""
    for account in settings.accounts.values():
        if account.link == link:
            state.halt(account.name, problem)


def book_step(
    state: State, order: Order, report: Report, change: Step, at: datetime, settings: Settings
) -> tuple[RealisedGain, ...]:
    """Book what a step filled or took back; return what a fill realised."""
    if change.is_repeat or not (change.fill_qty or change.undoes):
        return ()
    when = report.transact_time
    if when is None or abs(when - at) > BELIEVABLE_CLOCK_GAP:
        when = at
    spec = order.spec
    fill = Fill(
        account=spec.account, symbol=spec.symbol, side=spec.side, qty=change.fill_qty,
        px=change.fill_px, commission=change.commission, exec_id=report.exec_id,
        trade_date=trade_date(when, settings), cl_ord_id=spec.cl_ord_id,
    )  # fmt: skip
    if not change.undoes:
        return tuple(state.book.apply(fill))
    undone = f"{spec.cl_ord_id}:{change.undoes}"
    if not state.book.amend(spec.account, undone, fill if change.fill_qty else None):
        text = f"{spec.symbol} {undone}: taken back, but too old to take out of the book"
        state.halt(spec.account, text)
    return ()


def by_totals(order: Order, report: Report) -> Report:
    """Read a report by what CumQty(14) grew by: it is an execution when it grew, and none when not."""
    if report.exec_type in TAKES_BACK or (report.exec_id and report.exec_id in order.exec_ids):
        return report
    grown = report.cum_qty - order.cum_qty
    if grown <= 0 or (not report.avg_px and report.last_qty != grown):
        return replace(report, last_qty=None, last_px=None, avg_px=None)
    exec_id = report.exec_id
    if not report.exec_type.is_trade or not exec_id:
        order.is_by_totals = True
        exec_id = f"STATUS:{order.spec.cl_ord_id}:{report.cum_qty}"
    last_qty = report.last_qty if report.last_qty == grown else None
    return replace(report, exec_type=ExecType.TRADE, exec_id=exec_id, last_qty=last_qty)


def is_unclear(order: Order) -> bool:
    """Say whether the venue must still be asked about an order."""
    return not order.is_final and (order.ord_status is OrdStatus.IN_DOUBT or order.lookups > 0)


def doubt(at: datetime, orders: Iterable[Order]) -> None:
    """Start asking anew: what was not acknowledged may or may not have reached its venue."""
    for order in orders:
        order.lookups = 0
        if order.ord_status in NOT_YET_SEEN:
            order.ord_status = OrdStatus.IN_DOUBT
            order.updated_at = at
