"""What is stated outright: a position by the venue, an order's end by a person. Pure.

Rules of this room:
1. A statement about a position only ever halts: it says that something is missing, not what.
2. A person may only add to what is booked, up to the order's quantity, and only where the order is open.
"""

from __future__ import annotations

from gateway.domain.life import step
from gateway.domain.order import ZERO, ExecType, OrdStatus, Report
from gateway.domain.settings import Settings
from gateway.events import OrderSettled, PositionStated
from gateway.oms.booking import advance_link, book_step, request_of, track
from gateway.oms.state import NOTHING, Applied, State


def take_position(state: State, event: PositionStated) -> Applied:
    """Compare the venue's position with the book, once nothing of the symbol is open."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    is_open = any(
        (order.spec.account, order.spec.symbol) == (event.account, event.symbol)
        for order in state.open_orders()
    )
    if is_open or event.account not in state.book.accounts:
        return NOTHING
    held = state.book.position(event.account, event.symbol)
    if held == event.qty:
        return NOTHING
    problem = f"{event.link} holds {event.qty} {event.symbol} for {event.account}, the book {held}"
    if state.halts.get(event.account) == problem:
        return NOTHING
    state.halts[event.account] = problem
    return Applied(problem=problem)


def take_settled(state: State, event: OrderSettled, settings: Settings) -> Applied:
    """End an order as a person found it to have ended; book what had not been reported."""
    order = state.orders.get(event.cl_ord_id)
    if order is None or order.is_final:
        return Applied(problem=f"order {event.cl_ord_id} is not open; nothing is settled")
    grown = event.cum_qty - order.cum_qty
    if grown < ZERO or event.cum_qty > order.order_qty or (grown and event.avg_px <= ZERO):
        text = (
            f"order {event.cl_ord_id} cannot be settled with {event.cum_qty} filled at {event.avg_px}: "
            f"{order.cum_qty} of {order.order_qty} are booked"
        )
        return Applied(problem=text)
    order.is_by_totals = True
    is_whole = event.cum_qty == order.order_qty
    report = Report(
        event.cl_ord_id, f"SETTLED:{event.cl_ord_id}:{event.cum_qty}",
        ExecType.TRADE if grown else ExecType.CANCELED,
        OrdStatus.FILLED if is_whole else OrdStatus.CANCELED,
        event.cum_qty, avg_px=event.avg_px, text=f"settled by {event.by}",
    )  # fmt: skip
    change = step(order, report)
    if change.illegal:
        return Applied(problem=f"order {event.cl_ord_id} cannot be settled: {change.illegal}")
    order.take(report, change, event.at)
    gains = book_step(state, order, report, change, event.at, settings)
    request = request_of(state, order)
    track(request, order)
    return Applied(order, change, request, gains)
