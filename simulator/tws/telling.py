"""What the core reports, in the order TWS tells it.

Rules of this room:
1. Sequences are those recorded from a real gateway: a market order is PreSubmitted, then its execution, then
   openOrder and orderStatus Filled, openOrder again, and its commission last; a cancel is its status,
   then 202.
2. Nothing here changes anything.
"""

from __future__ import annotations

from simulator.orders import ExecType, OrdStatus, Report
from simulator.tws.happenings import Commissioned, Executed, Failed, Happening, Moved, OpenOrder, Status
from simulator.tws.tickets import (
    CHILD,
    CLOSED,
    FILLED,
    INACTIVE,
    LOCATE,
    NOT_SENT,
    OUTAGE,
    PRE_SUBMITTED,
    TRIGGER,
    Execution,
    Shown,
    Ticket,
    word,
)

REJECTED, CANCELED, OTHER_WARNING, LOCATING = 201, 202, 399, 404
_SILENT = frozenset({ExecType.PENDING_REPLACE, ExecType.STOPPED, ExecType.ORDER_STATUS})
_OVER = frozenset({ExecType.CANCELED, ExecType.EXPIRED})
_ONLY_STATUS = frozenset({ExecType.PENDING_CANCEL, ExecType.SUSPENDED})


def tell(report: Report, ticket: Ticket, execution: Execution | None) -> list[Happening]:
    """Word one report; `execution` is the one it made or corrected."""
    kind = report.exec_type
    if kind in _SILENT:
        return []
    shown = as_of(report, ticket)
    if execution is not None:
        return _executed(ticket, shown, execution)
    if kind in _OVER or (kind is ExecType.DONE_FOR_DAY and not ticket.is_live):
        return [
            Status(ticket, shown),
            failed(ticket, CANCELED, f"Order Canceled - reason:{report.text or ''}"),
        ]
    if kind is ExecType.REJECTED:
        text = report.text or ""
        said = text if text.startswith("Order rejected") else f"Order rejected - reason:{text}"
        return [OpenOrder(ticket, shown), Status(ticket, shown), failed(ticket, REJECTED, said)]
    if kind in _ONLY_STATUS:
        return [Status(ticket, shown)]
    return [OpenOrder(ticket, shown), Status(ticket, shown)]


def failed(ticket: Ticket, code: int, text: str) -> Failed:
    """Word an error about an order."""
    return Failed(ticket.client_id, ticket.order_id, code, text)


def held(ticket: Ticket) -> list[Happening]:
    """Word an order that waits."""
    shown = ticket.shown()
    return [OpenOrder(ticket, shown), Status(ticket, shown, why_held(ticket))]


def waiting(ticket: Ticket) -> list[Happening]:
    """Word what TWS says of an order it has not sent on: nothing of one that is not to be sent, or cannot."""
    if ticket.held in (NOT_SENT, OUTAGE):
        return []
    if ticket.held == CLOSED:
        return [*held(ticket), after_hours(ticket)]
    if ticket.held == LOCATE:
        return [failed(ticket, LOCATING, "Order held while securities are located."), *held(ticket)]
    return held(ticket)


def why_held(ticket: Ticket) -> str:
    """Word what an order waits for, as far as TWS says so."""
    return ticket.held if ticket.held in (CHILD, LOCATE, TRIGGER) else ""


def gone(ticket: Ticket, text: str = "") -> list[Happening]:
    """Word the end of an order the core never had."""
    return [Status(ticket, ticket.shown()), failed(ticket, CANCELED, f"Order Canceled - reason:{text}")]


def refused(ticket: Ticket, text: str) -> list[Happening]:
    """Word the rejection of an order the core never had."""
    return [
        Status(ticket, ticket.shown(INACTIVE)),
        failed(ticket, REJECTED, f"Order rejected - reason:{text}"),
    ]


def after_hours(ticket: Ticket) -> Failed:
    """Word the warning of an order given while the market is closed."""
    placed = ticket.placed
    return failed(
        ticket, OTHER_WARNING,
        f"Order Message:\n{placed.action} {placed.qty:f} {ticket.contract.symbol}\nWarning: your order "
        "will not be placed at the exchange until the next trading session",
    )  # fmt: skip


def _executed(ticket: Ticket, shown: Shown, execution: Execution) -> list[Happening]:
    told: list[Happening] = [
        Executed(execution, execution.exec_id), OpenOrder(ticket, shown), Status(ticket, shown),
    ]  # fmt: skip
    if shown.status == FILLED:
        told.append(OpenOrder(ticket, shown))
    told += [Commissioned(execution, execution.exec_id), Moved(ticket.placed.account, ticket.contract.listed)]
    return told


def as_of(report: Report, ticket: Ticket) -> Shown:
    """Return the order as it was when a report was made."""
    said = OrdStatus.CANCELED if report.exec_type in _OVER else report.ord_status  # whatever is pending
    status = word(ticket.order, said, report.cum_qty, report.order_qty)
    if report.exec_type is ExecType.DONE_FOR_DAY and ticket.is_live:
        status = PRE_SUBMITTED
    return Shown(status, report.cum_qty, report.order_qty - report.cum_qty, report.avg_px, ticket.last_px)
