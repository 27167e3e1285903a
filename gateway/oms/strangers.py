"""Orders of ours at a venue that we never sent (telephoned, made elsewhere: appendix D, E.1.a). Pure.

Rules of this room:
1. The venue is the truth for fills: an execution that names one of our accounts, a known symbol and a side
   is booked, whoever asked for it. The account is halted all the same, for a person to look.
2. What names no account of ours halts every account of the link; nothing is booked by guess.
"""

from __future__ import annotations

from gateway.domain.life import TAKES_BACK, step
from gateway.domain.order import ZERO, Order, OrderSpec, OrdType, Report, TimeInForce
from gateway.domain.settings import Settings
from gateway.events import ReportReceived
from gateway.oms import copies
from gateway.oms.booking import book_step, by_totals, halt_link
from gateway.oms.state import NOTHING, Applied, State


def take_stranger(state: State, event: ReportReceived, settings: Settings) -> Applied:
    """Follow an order we never sent; an execution of it is booked and halts."""
    report = event.report
    text = f"{event.link}: report {report.exec_id} for unknown ClOrdID(11) {report.cl_ord_id or '(none)'}"
    order = _known(state, event, settings)
    if order is not None and not order.spec.order_qty:
        order.amended_qty = max(order.order_qty, report.cum_qty)  # given in money: its fills tell how much
    if order is None:
        if report.exec_type.is_trade or report.exec_type in TAKES_BACK:
            halt_link(state, event.link, text, settings)
        return Applied(problem=text)
    if order.is_by_totals or not state.link(event.link).replays:
        report = by_totals(order, report)
    change = step(order, report)
    if change.illegal:
        text = f"{text}: {change.illegal}"
        state.halt(order.spec.account, text)
        return Applied(problem=text)
    order.take(report, change, event.at)
    if change.is_repeat:
        return NOTHING
    if not (change.fill_qty or change.undoes or change.missing_qty):
        return Applied(problem=text)
    gains = book_step(state, order, report, change, event.at, settings)
    difference = copies.note_own(state, event.link, order, report, change, settings)
    spec = order.spec
    text = f"{text}: {spec.side.name} {change.fill_qty} {spec.symbol} at {change.fill_px} is booked"
    if change.missing_qty:
        text = f"{text}, {change.missing_qty} executed but never reported"
    state.halt(spec.account, text)
    return Applied(step=change, gains=gains, problem=text, difference=difference)


def _known(state: State, event: ReportReceived, settings: Settings) -> Order | None:
    """Return the order a report is about, begun with its first report; None when it cannot be placed."""
    report = event.report
    name = f"{event.link}:{report.order_id or report.cl_ord_id}"
    order = state.strangers.get(name)
    if order is not None:
        return order
    account = _account(event.link, report, state, settings)
    if not account or report.side is None or report.symbol not in settings.instruments:
        return None
    order_qty = report.order_qty or (
        ZERO if report.leaves_qty is None else report.cum_qty + report.leaves_qty
    )
    spec = OrderSpec(
        report.cl_ord_id or report.order_id, "", account, event.link, report.symbol, report.side,
        order_qty, OrdType.MARKET, None, TimeInForce.DAY, 0, settings.accounts[account].currency,
    )  # fmt: skip
    state.strangers[name] = order = Order(spec, event.at, updated_at=event.at)
    return order


def _account(link: str, report: Report, state: State, settings: Settings) -> str:
    """Name the account a report is for: the one it says, or the only one that trades through the link."""
    through = [name for name, one in settings.accounts.items() if one.link == link]
    if report.account:
        return report.account if report.account in through and report.account in state.book.accounts else ""
    return through[0] if len(through) == 1 and through[0] in state.book.accounts else ""
