"""The venue's core as an in-process link's end: calls in, domain reports out, no message format between.

Rules of this room:
1. It adds nothing and leaves nothing out: the core decides, this only translates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from gateway.domain.order import ZERO, ExecType, OrdStatus, Report, Side
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LookUpOrder,
    OrderUnknown,
    ReportReceived,
    SendOrder,
)
from simulator import orders
from simulator.inprocess import Numbered, Wish
from simulator.venue import Venue


class VenueAtHand:
    """`simulator.venue.Venue` as a `VenueEnd`: calls in, domain reports out, no message format between."""

    def __init__(self, venue: Venue, owner: str = "GATEWAY") -> None:
        self.venue = venue
        self.owner = owner

    def take(self, wish: Wish, now: datetime) -> Sequence[Numbered]:
        """Process one message at the venue and return what it sends back at once."""
        spec, venue = wish.order, self.venue
        match wish:
            case SendOrder():
                new = orders.NewOrder(
                    spec.cl_ord_id, spec.symbol, spec.side, spec.order_qty, spec.ord_type, spec.price,
                    spec.time_in_force, spec.account, owner=self.owner, poss_resend=wish.poss_resend,
                    cash_order_qty=spec.cash_order_qty,
                )  # fmt: skip
                return self._told(venue.submit(new, now), now)
            case CancelOrder():
                asked = orders.CancelOrder(wish.cancel_id, spec.cl_ord_id, self.owner, spec.account)
                return self._told(venue.cancel(asked, now), now)
            case LookUpOrder():
                answer = venue.status(self.owner, spec.cl_ord_id, now, symbol=spec.symbol, side=spec.side)
                if answer.order_id == orders.NO_ORDER_ID:
                    return [OrderUnknown(now, "", 0, spec.cl_ord_id)]
                return self._told([answer], now)

    def advance(self, now: datetime) -> Sequence[Numbered]:
        """Let the venue do everything that is due by `now`."""
        return self._told(self.venue.advance(now), now)

    def next_due(self) -> datetime | None:
        """Say when the venue next does something by itself."""
        return self.venue.next_event()

    def has(self, cl_ord_id: str) -> bool:
        """Say whether an order has reached the venue."""
        return any(order.cl_ord_id == cl_ord_id for order in self.venue.orders)

    def _told(self, answers: Iterable[orders.Answer], now: datetime) -> list[Numbered]:
        return [self._event(answer, now) for answer in answers]

    def _event(self, answer: orders.Answer, now: datetime) -> Numbered:
        status = OrdStatus(answer.ord_status.value)
        if isinstance(answer, orders.CancelReject):
            ids = (answer.cl_ord_id, answer.orig_cl_ord_id)
            return CancelRejected(now, "", 0, *ids, status, answer.text)
        report = Report(
            answer.cl_ord_id, answer.exec_id, ExecType(answer.exec_type.value), status, answer.cum_qty,
            answer.leaves_qty, answer.last_qty, answer.last_px, answer.avg_px, answer.commission or ZERO,
            answer.order_id, answer.orig_cl_ord_id or "", answer.symbol, Side(answer.side),
            answer.text or "", answer.transact_time, answer.order_qty,
            restatement_reason=answer.exec_restatement_reason or "",
        )  # fmt: skip
        return ReportReceived(now, "", 0, report)
