"""Cancel and replace: requests, their pending life and their decisions, after FIX 4.4 volume 4 appendix D.

Rules of this room:
1. A request changes no quantity until it is accepted; fills meanwhile carry the old ClOrdID(11) and quantity.
2. OrigClOrdID(41) asked for must be the last ClOrdID that was not rejected: the order's own or one that is
   pending. OrigClOrdID(41) answered with is the last one accepted.
3. A replace below CumQty(14) is amended to it; a replace above it reopens even a filled order (C.1.c).
4. A request is judged when it comes and again when it is decided: what filled meanwhile may make it too late.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from simulator.entry import is_bad_quantity
from simulator.floor import Floor
from simulator.orders import (
    BAD_PRICE,
    NO_EXEC_ID,
    NO_ORDER_ID,
    CancelOrder,
    CancelReject,
    CxlRejReason,
    CxlRejResponseTo,
    ExecType,
    Order,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    Report,
    Request,
    is_bad_price,
)

CANCEL, REPLACE = CxlRejResponseTo.CANCEL, CxlRejResponseTo.REPLACE
Refusal = tuple[CxlRejReason, str]


class Amendments:
    """Judge the requests of every client; `ids` finds an order by owner and any ClOrdID(11) it ever used."""

    def __init__(self, floor: Floor, ids: dict[tuple[str, str], Order]) -> None:
        self._floor = floor
        self._ids = ids

    def cancel(self, asked: CancelOrder, now: datetime, refusal: str | None) -> None:
        """OrderCancelRequest(F)."""
        order = self._find(asked, CANCEL, now)
        if order is None:
            return
        fault: Refusal | None = (CxlRejReason.BROKER_OPTION, refusal) if refusal is not None else None
        if not order.leaves_qty:
            fault = (CxlRejReason.TOO_LATE, "Too late to cancel")
        self._take(order, Request(CANCEL, asked.cl_ord_id, echo=asked.echo), fault, now)

    def replace(self, asked: ReplaceOrder, now: datetime, refusal: str | None) -> None:
        """OrderCancelReplaceRequest(G)."""
        order = self._find(asked, REPLACE, now)
        if order is None:
            return
        request = Request(REPLACE, asked.cl_ord_id, asked.order_qty, asked.price, asked.echo)
        fault: Refusal | None = (CxlRejReason.BROKER_OPTION, refusal) if refusal is not None else None
        if self._is_too_late(order, request):
            fault = (CxlRejReason.TOO_LATE, "Too late to replace")
        self._take(order, request, fault or self._misfit(order, asked), now)

    def decide(self, order: Order, request: Request, now: datetime, refusal: str | None = None) -> None:
        """Accept a pending request, or refuse it; a request decided already is left alone."""
        if request not in order.requests:
            return
        order.requests.remove(request)
        is_cancel = request.response_to is CANCEL
        if not order.leaves_qty if is_cancel else self._is_too_late(order, request):
            text = f"Too late to {request.response_to.name.lower()}"
            self._reject(order, request, (CxlRejReason.TOO_LATE, text), now)
        elif refusal is not None:
            self._reject(order, request, (CxlRejReason.BROKER_OPTION, refusal), now)
        elif is_cancel:
            orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, request.cl_ord_id
            self._floor.end(order, OrdStatus.CANCELED)
            self._floor.report(order, ExecType.CANCELED, now, orig_cl_ord_id=orig_cl_ord_id)
        else:
            self._apply(order, request, now)

    def status(self, order: Order, cl_ord_id: str, now: datetime) -> Report:
        """Report `order` as it stands; ClOrdID(11) is the one asked for unless another has replaced it."""
        orig_cl_ord_id = None
        answered = order.cl_ord_id
        if any(request.cl_ord_id == cl_ord_id for request in order.requests):
            answered, orig_cl_ord_id = cl_ord_id, order.cl_ord_id
        elif cl_ord_id != order.cl_ord_id:
            orig_cl_ord_id = cl_ord_id
        text = None if order.cum_qty or not order.leaves_qty else "nothing done"
        return Report(
            order.owner, order.order_id, NO_EXEC_ID, answered, orig_cl_ord_id, ExecType.ORDER_STATUS,
            order.ord_status, order.account, order.symbol, order.side, order.ord_type, order.price,
            order.time_in_force, order.order_qty, order.cum_qty, order.leaves_qty, order.avg_px, now,
            text=text, echo=order.echo,
        )  # fmt: skip

    # The inside.

    def _find(
        self, asked: CancelOrder | ReplaceOrder, response_to: CxlRejResponseTo, now: datetime
    ) -> Order | None:
        """Find the order a request is about, or answer why there is none."""
        used = self._ids.get((asked.owner, asked.cl_ord_id))
        if used is not None:
            if asked.poss_resend:
                self._floor.said.append(self.status(used, asked.cl_ord_id, now))
            else:
                refusal = CxlRejReason.DUPLICATE_CL_ORD_ID, f"ClOrdID(11) {asked.cl_ord_id} is in use"
                self._reject(used, Request(response_to, asked.cl_ord_id, echo=asked.echo), refusal, now)
            return None
        order = self._ids.get((asked.owner, asked.orig_cl_ord_id))
        current = order is not None and (
            order.cl_ord_id == asked.orig_cl_ord_id
            or any(request.cl_ord_id == asked.orig_cl_ord_id for request in order.requests)
        )
        if order is not None and current:
            return order
        text = "OrigClOrdID(41) has been replaced or was rejected" if order is not None else "Unknown order"
        self._floor.said.append(
            CancelReject(
                asked.owner, NO_ORDER_ID, asked.cl_ord_id, asked.orig_cl_ord_id, OrdStatus.REJECTED,
                response_to, CxlRejReason.UNKNOWN_ORDER, text, asked.account, now, asked.echo,
            )
        )  # fmt: skip
        return None

    def _take(self, order: Order, request: Request, fault: Refusal | None, now: datetime) -> None:
        """Refuse a request at once, decide it at once, or let it be pending."""
        floor = self._floor
        has_cancel = any(item.response_to is CANCEL for item in order.requests)
        if fault is None and (has_cancel or (order.requests and not floor.settings.chains_requests)):
            fault = (
                CxlRejReason.ALREADY_PENDING,
                "Order already in pending cancel or pending replace status",
            )
        if fault is not None:
            self._reject(order, request, fault, now)
            return
        self._ids[order.owner, request.cl_ord_id] = order
        order.requests.append(request)
        pending_ms = floor.settings.pending_ms
        if pending_ms is None:
            self.decide(order, request, now)
            return
        pending = ExecType.PENDING_CANCEL if request.response_to is CANCEL else ExecType.PENDING_REPLACE
        floor.report(order, pending, now, cl_ord_id=request.cl_ord_id, orig_cl_ord_id=order.cl_ord_id)
        if request.response_to is REPLACE:
            self._foresee(order, request)
        if pending_ms:
            due = now + timedelta(milliseconds=pending_ms)
            floor.later(due, lambda then: self.decide(order, request, then))
        else:
            self.decide(order, request, now)

    def _foresee(self, order: Order, request: Request) -> None:
        """Let the pending report of a chained request stand on what is pending before it (D.2.b)."""
        before = [
            one.order_qty for one in order.requests if one is not request and one.response_to is REPLACE
        ]
        said = self._floor.said[-1]
        if before and isinstance(said, Report):
            said.order_qty = max(before[-1], order.cum_qty)
            said.leaves_qty = said.order_qty - order.cum_qty

    def _is_too_late(self, order: Order, request: Request) -> bool:
        """Say whether a replace finds nothing to change: ended, or filled and not raised."""
        return order.ended is not None or (not order.leaves_qty and request.order_qty <= order.cum_qty)

    def _misfit(self, order: Order, asked: ReplaceOrder) -> Refusal | None:
        """Say what a replace asks for that no replace may change, or that cannot be."""
        fixed = ((asked.symbol, order.symbol, "Symbol(55)"), (asked.side, order.side, "Side(54)"),
                 (asked.ord_type, order.ord_type, "OrdType(40)"))  # fmt: skip
        for wanted, own, name in fixed:
            if wanted is not None and wanted != own:
                return CxlRejReason.OTHER, f"{name} cannot be replaced"
        if is_bad_quantity(asked.order_qty, self._floor.settings.lot):
            return CxlRejReason.OTHER, f"OrderQty(38) {asked.order_qty} is not a number of whole lots"
        if asked.price is not None and is_bad_price(asked.price):
            return CxlRejReason.OTHER, f"Price(44) {BAD_PRICE}"
        return None

    def _apply(self, order: Order, request: Request, now: datetime) -> None:
        """Carry out a replace; only a smaller quantity at the same price keeps its place in the queue."""
        floor = self._floor
        price = (
            request.price if request.price is not None and order.ord_type == OrdType.LIMIT else order.price
        )
        qty = max(request.order_qty, order.cum_qty)
        keeps_place = price == order.price and qty <= order.order_qty and bool(order.priority)
        if not keeps_place:
            floor.withdraw(order)
        orig_cl_ord_id, order.cl_ord_id = order.cl_ord_id, request.cl_ord_id
        order.order_qty, order.price = qty, price
        if not order.leaves_qty:
            floor.retire(order)
        floor.report(order, ExecType.REPLACED, now, orig_cl_ord_id=orig_cl_ord_id)
        if order.leaves_qty and order.is_acknowledged and not keeps_place:
            floor.enter(order, now)

    def _reject(self, order: Order, request: Request, refusal: Refusal, now: datetime) -> None:
        """OrderCancelReject(9): the order goes on as it is."""
        self._floor.said.append(
            CancelReject(
                order.owner, order.order_id, request.cl_ord_id, order.cl_ord_id, order.ord_status,
                request.response_to, refusal[0], refusal[1], order.account, now, request.echo,
            )
        )  # fmt: skip
