"""The order's life: every step between two statuses stands in this file, and `LIFE` is the one state table.

Rules of this room:
1. A status changes only through `step`, which says what a report would change, and `Order.take`, which
   applies it.
2. A fill counts once: ExecID(17) seen before is ignored. A report that would over-fill, or a step
   that `LIFE` does not hold, is `Step.illegal`: the engine halts the account.
3. A fill is booked whenever it arrives, also after a cancel (FIX 4.4 vol. 4 app. D, J.1.b). A bust or a
   correction names the execution it takes back; one for an execution we never saw keeps it from counting.
4. An order is final only when nothing of it is pending, even if all of it has filled (B.1.c).
5. An order of money (CashOrderQty(152)) is whole when its venue says so, and OrderQty(38) is then what has
   filled. It is over-filled when it has cost more than its money.
"""

from __future__ import annotations

from decimal import Decimal

from gateway.domain.order import (
    FINAL,
    ONE,
    ZERO,
    ExecType,
    Execution,
    Order,
    OrdStatus,
    Report,
    Step,
    TimeInForce,
)

S = OrdStatus
UNSEEN = frozenset({S.PENDING_NEW, S.IN_DOUBT})
PENDING = frozenset({S.PENDING_CANCEL, S.PENDING_REPLACE})
TAKES_BACK = frozenset({ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT})
_SAYS_QTY = frozenset({ExecType.REPLACED, ExecType.RESTATED, ExecType.ORDER_STATUS})
_ENDS = {ExecType.CANCELED: S.CANCELED, ExecType.EXPIRED: S.EXPIRED, ExecType.DONE_FOR_DAY: S.DONE_FOR_DAY}
CASH_TOLERANCE, CENT = Decimal("0.001"), Decimal("0.01")
"""How much more than its money an order may seem to have cost: a share of it and a cent, for venues round."""
_CORPORATE_ACTION = "0"
"""ExecRestatementReason(378)."""

_WORKING = frozenset(
    {S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.DONE_FOR_DAY, S.CANCELED, S.PENDING_CANCEL, S.STOPPED}
    | {S.REJECTED, S.SUSPENDED, S.EXPIRED, S.PENDING_REPLACE, S.CALCULATED}
)
LIFE: dict[OrdStatus, frozenset[OrdStatus]] = {
    S.PENDING_NEW: _WORKING | {S.PENDING_NEW, S.IN_DOUBT, S.ACCEPTED_FOR_BIDDING},
    S.IN_DOUBT: _WORKING | {S.PENDING_NEW, S.IN_DOUBT, S.ACCEPTED_FOR_BIDDING},
    S.ACCEPTED_FOR_BIDDING: _WORKING | {S.ACCEPTED_FOR_BIDDING},
    S.NEW: _WORKING,
    S.PARTIALLY_FILLED: _WORKING - {S.REJECTED},
    S.STOPPED: _WORKING - {S.REJECTED},
    S.SUSPENDED: _WORKING,
    S.PENDING_CANCEL: _WORKING,
    S.PENDING_REPLACE: _WORKING,
    S.REPLACED: _WORKING,
    S.CALCULATED: _WORKING - {S.REJECTED},
    S.DONE_FOR_DAY: _WORKING - {S.REJECTED},  # a GTC order goes on tomorrow (H.1.a)
    S.FILLED: frozenset({S.FILLED, S.PENDING_REPLACE}),  # it may be asked to grow (C.1.c)
    S.CANCELED: frozenset({S.CANCELED}),
    S.EXPIRED: frozenset({S.EXPIRED}),
    S.REJECTED: frozenset({S.REJECTED}),
    S.DENIED: frozenset(),
}


def step(order: Order, report: Report) -> Step:
    """Say what `report` would change in `order`, without changing it."""
    current = order.ord_status
    if report.exec_type in TAKES_BACK:
        return _taken_back(order, report)
    if report.exec_id and report.exec_id in order.exec_ids:
        return Step(current, is_repeat=True)
    fill_qty, fill_px = _fill_of(order, report)
    if fill_qty < ZERO or (fill_qty and fill_px <= ZERO):
        return Step(current, illegal=f"LastQty(32) {fill_qty} at LastPx(31) {fill_px}")
    scale = _scale(order, report)
    cum_qty = order.cum_qty * scale + fill_qty
    amended = _amended(order, report, cum_qty)
    order_qty = order.order_qty if amended is None else amended
    if over := _over_fill(order, cum_qty, order_qty, fill_qty * fill_px):
        return Step(current, illegal=over)
    missing = max(ZERO, report.cum_qty - cum_qty)
    is_whole = cum_qty == order_qty and _knows_its_whole(order, report, cum_qty)
    ord_status = _status_after(order, report, cum_qty, is_whole=is_whole, is_short=bool(missing))
    if ord_status is None:
        return Step(current, illegal=f"OrdStatus(39) {current.name} to {report.ord_status.name}")
    return Step(
        ord_status, fill_qty, fill_px, report.commission, missing, order_qty=amended, scale=scale
    )  # fmt: skip


def _fill_of(order: Order, report: Report) -> tuple[Decimal, Decimal]:
    """Return quantity and price of the execution a report carries, 0 when it carries none.

    A venue that gives no LastQty(32) is read by its totals: what CumQty(14) grew by, at the price that
    makes AvgPx(6) true, to ten decimals.
    """
    if not report.exec_type.is_trade:
        return ZERO, ZERO
    if report.last_qty is not None:
        return report.last_qty, report.last_px or ZERO
    grown = report.cum_qty - order.cum_qty
    if grown <= ZERO or report.avg_px is None:
        return ZERO, ZERO
    return grown, _price((report.cum_qty * report.avg_px - order.notional) / grown)


def _price(exact: Decimal) -> Decimal:
    """Return a price worked out from totals, to ten decimals."""
    px = round(exact, 10)
    return px.quantize(ONE) if px == px.to_integral_value() else px.normalize()


def _amended(order: Order, report: Report, cum_qty: Decimal) -> Decimal | None:
    """Return an OrderQty(38) that the venue has changed, None when it stands as it was.

    That of an order of money follows what has filled: never below it, and equal to it once that is all.
    """
    if order.spec.cash_order_qty is not None:
        is_all = report.ord_status is S.FILLED and report.cum_qty == cum_qty
        qty = cum_qty if is_all else max(cum_qty, order.order_qty)
        return None if qty == order.order_qty else qty
    said = report.order_qty
    if said is None or said == order.order_qty or said < report.cum_qty:
        return None
    has_grown = report.exec_type.is_trade and said > order.order_qty  # a fill of an order somebody enlarged
    return said if has_grown or report.exec_type in _SAYS_QTY else None


def _knows_its_whole(order: Order, report: Report, cum_qty: Decimal) -> bool:
    """Say whether OrderQty(38) is what the order comes to: of money, once its venue says it has filled."""
    if order.spec.cash_order_qty is None or order.ord_status is S.FILLED:
        return True
    return report.ord_status is S.FILLED and report.cum_qty == cum_qty


def _over_fill(order: Order, cum_qty: Decimal, order_qty: Decimal, value: Decimal) -> str:
    """Say that more would have filled than was asked for, `value` money more than before; empty when not."""
    cash, spent = order.spec.cash_order_qty, order.notional + value
    if cash is not None and spent > cash * (1 + CASH_TOLERANCE) + CENT:
        return f"over-fill: {spent} spent of CashOrderQty(152) {cash}"
    return f"over-fill: {cum_qty} of OrderQty(38) {order_qty}" if cum_qty > order_qty else ""


def _scale(order: Order, report: Report) -> Decimal:
    """Return by what a corporate action multiplies the units already filled (H.1.b), 1 otherwise."""
    is_split = report.exec_type is ExecType.RESTATED and report.restatement_reason == _CORPORATE_ACTION
    if not is_split or not order.cum_qty or not report.cum_qty:
        return ONE
    return report.cum_qty / order.cum_qty


def _taken_back(order: Order, report: Report) -> Step:
    """Say what a bust or a correction changes: the named execution goes, a corrected one takes its place."""
    current, name = order.ord_status, report.exec_ref_id
    standing = order.executions.get(report.exec_id)
    if report.exec_id in order.exec_ids and (standing is None or name in standing.was):
        return Step(current, is_repeat=True)
    found = next((key for key, one in order.executions.items() if name == key or name in one.was), "")
    is_bust = report.exec_type is ExecType.TRADE_CANCEL
    if not found:
        if is_bust and name and name not in order.exec_ids and report.cum_qty == order.cum_qty:
            return Step(current)
        return Step(current, illegal=f"{report.exec_type.name} of an execution {name!r} that is not known")
    undone = order.executions[found]
    qty = px = commission = ZERO
    if not is_bust:
        qty, px = _corrected(order, report, undone)
        commission = report.commission or undone.commission
    cum_qty = order.cum_qty - undone.qty + qty
    amended = _amended(order, report, cum_qty) if order.spec.cash_order_qty is not None else None
    order_qty = order.order_qty if amended is None else amended
    over = _over_fill(order, cum_qty, order_qty, qty * px - undone.qty * undone.px)
    if qty < ZERO or (qty and px <= ZERO) or over:
        return Step(current, illegal=f"{report.exec_type.name} to {qty} at {px}: {cum_qty} filled in all")
    missing = max(ZERO, report.cum_qty - cum_qty)
    is_whole = cum_qty == order_qty
    after = _status_taken_back(order, report, cum_qty, is_whole=is_whole)
    return Step(after, qty, px, commission, missing, undoes=found, order_qty=amended)


def _corrected(order: Order, report: Report, undone: Execution) -> tuple[Decimal, Decimal]:
    """Return quantity and price of a corrected execution; what is not said follows from the totals.

    Where the totals do not tell either, it stands as it was. A quantity is read from CumQty(14) only where
    the venue tells everything so: elsewhere it may count executions that have not come yet.
    """
    rest_qty, rest_value = order.cum_qty - undone.qty, order.notional - undone.qty * undone.px
    qty = report.last_qty
    if qty is None:
        is_told = order.is_by_totals and report.cum_qty > rest_qty
        qty = report.cum_qty - rest_qty if is_told else undone.qty
    if report.last_px is not None:
        return qty, report.last_px
    if not qty or report.avg_px is None or report.cum_qty != rest_qty + qty:
        return qty, undone.px
    return qty, _price((report.cum_qty * report.avg_px - rest_value) / qty)


def _status_taken_back(order: Order, report: Report, cum_qty: Decimal, *, is_whole: bool) -> OrdStatus:
    """Choose the status after a bust or a correction: a filled order works again, an ended one stays."""
    current, reported = order.ord_status, _plain(report.ord_status, cum_qty, is_whole=is_whole)
    reported = _while_pending(order, reported)
    is_reopened = current is S.FILLED and reported in _WORKING
    return reported if is_reopened or reported in LIFE[current] else current


def _plain(reported: OrdStatus, cum_qty: Decimal, *, is_whole: bool) -> OrdStatus:
    """Read a status by what has filled: Filled(2) only when all has, Replaced(5) as what works now."""
    partly = S.PARTIALLY_FILLED if cum_qty else S.NEW
    if reported is S.REPLACED:
        return S.FILLED if is_whole else partly
    if reported is S.FILLED and not is_whole:
        return S.PARTIALLY_FILLED
    return reported


def _status_after(  # noqa: PLR0911
    order: Order, report: Report, cum_qty: Decimal, *, is_whole: bool, is_short: bool
) -> OrdStatus | None:
    """Choose the status after `report`, or None when the step is illegal.

    `is_whole` says that all of the order has filled, `is_short` that the venue counts more fills than we have
    seen: the order is then not final, whatever the venue says, until the missing executions have come.
    """
    current = order.ord_status
    if current is S.DENIED:
        return None
    if report.cum_qty < cum_qty:  # an older report, overtaken by one we have already taken
        if report.exec_type.is_trade and is_whole:
            return S.FILLED
        return S.PARTIALLY_FILLED if current in UNSEEN else current
    reported = _plain(report.ord_status, cum_qty, is_whole=is_whole)
    if reported in PENDING and not _goes_on(order, report):
        reported = _ENDS.get(report.exec_type, _while_pending(order, reported))
    if is_short and reported in FINAL:
        return S.NEW if current in UNSEEN else current
    if reported in LIFE[current] or (current is S.FILLED and not is_whole and reported in _WORKING):
        return reported
    if report.exec_type.is_trade and current in FINAL:
        return S.FILLED if is_whole else current
    if reported is S.PENDING_NEW or (current in FINAL and reported not in FINAL):
        return current
    return None


def _while_pending(order: Order, reported: OrdStatus) -> OrdStatus:
    """Read a status: an order that is done for its last day has ended, whatever is still to be answered."""
    is_over = order.ord_status is S.DONE_FOR_DAY and order.is_final
    return S.DONE_FOR_DAY if is_over and reported in PENDING else reported


def _goes_on(order: Order, report: Report) -> bool:
    """Say whether a day's end leaves the order alive: a GTC order waits for tomorrow (H.1.a)."""
    is_gtc = order.spec.time_in_force is TimeInForce.GOOD_TILL_CANCEL
    return is_gtc and report.exec_type is ExecType.DONE_FOR_DAY


def after_refusal(order: Order, said: OrdStatus | None) -> OrdStatus:
    """Choose the status after OrderCancelReject(9), whose OrdStatus(39) is `said`: as it was before it asked.

    A 9 changes no quantity and ends no order; while another request is pending, so is the order (D.2.c).
    """
    if order.ord_status not in PENDING or said in PENDING:
        return order.ord_status
    if said in (S.SUSPENDED, S.STOPPED):
        return said
    if order.cum_qty == order.order_qty and order.spec.cash_order_qty is None:
        return S.FILLED
    return S.PARTIALLY_FILLED if order.cum_qty else S.NEW
