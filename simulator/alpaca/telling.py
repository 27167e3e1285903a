"""What the core says, turned into events of the stream: each shows its order as it was then.

Rules of this room:
1. An event is a snapshot; what happens to the order afterwards does not change what it showed.
2. While a kept journal is carried out again nothing is said, but times are stamped all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from simulator.alpaca import words
from simulator.alpaca.words import Json, Ticket
from simulator.orders import Answer, CancelReject, Report
from simulator.record import text

Tell = Callable[[Json], None]

EVENTS = {
    "NEW": "new", "TRADE": "fill", "CANCELED": "canceled", "EXPIRED": "expired", "REJECTED": "rejected",
    "DONE_FOR_DAY": "done_for_day", "PENDING_CANCEL": "pending_cancel", "SUSPENDED": "suspended",
    "STOPPED": "stopped", "TRADE_CANCEL": "trade_bust", "TRADE_CORRECT": "trade_correct",
}  # fmt: skip
STAMPS = {"fill": "filled_at", "canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}
SPOKEN = frozenset(
    {*EVENTS.values(), "partial_fill", "replaced", "accepted", "pending_new", "pending_replace", "calculated",
     "held", "order_replace_rejected", "order_cancel_rejected", "restated"}
)  # fmt: skip
"""Every event the stream may speak of."""


class Teller:
    """Tell a stream about tickets; `held` says how much of a symbol the account holds."""

    def __init__(self, tell: Tell, held: Callable[[str], Decimal]) -> None:
        self._tell = tell
        self._held = held
        self._by_core: dict[str, Ticket] = {}
        self.is_silent = False

    def follow(self, ticket: Ticket) -> None:
        """Know a ticket by its order in the core, once it has one."""
        if ticket.order.order_id:
            self._by_core[ticket.order.order_id] = ticket

    def told(self, said: Sequence[Answer], now: datetime) -> None:
        """Turn what the core says into events."""
        for answer in said:
            ticket = self._by_core.get(answer.order_id)
            if ticket is None:
                continue
            if isinstance(answer, CancelReject):
                self.event("order_cancel_rejected", ticket, now)
            else:
                self._report(answer, ticket, now)

    def event(
        self, word: str, ticket: Ticket, now: datetime, *, exec_id: str = "", shown: Json | None = None,
        **beside: Any,
    ) -> None:  # fmt: skip
        """Say one event of a ticket, as it is now or as `shown`."""
        ticket.stamps["updated_at"] = now
        if self.is_silent:
            return
        name = exec_id or f"{ticket.order_id}/{word}/{now.isoformat()}"
        order = words.order_json(ticket, **(shown or {}))
        event = {"event": word, "execution_id": words.execution_id(name), "timestamp": words.stamp(now)}
        self._tell({**event, "order": order, **beside})

    def _report(self, report: Report, ticket: Ticket, now: datetime) -> None:
        word = EVENTS.get(report.exec_type.name, "restated")
        ticket.pretended = ""
        status = ticket.status_of(report.ord_status)
        shown = {"cum_qty": report.cum_qty, "avg_px": report.avg_px, "status": status}
        if word == "fill" and report.leaves_qty:
            word = "partial_fill"
        if (name := STAMPS.get(word)) is not None:
            ticket.stamps[name] = now
        beside: Json = {}
        if report.last_qty is not None and report.last_px is not None:
            beside = {"qty": text(report.last_qty), "price": text(report.last_px)}
            beside["position_qty"] = text(self._held(report.symbol))
        if report.exec_ref_id is not None:
            beside["previous_execution_id"] = words.execution_id(report.exec_ref_id)
        self.event(word, ticket, now, exec_id=report.exec_id, shown=shown, **beside)
