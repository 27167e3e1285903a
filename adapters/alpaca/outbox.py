"""What goes to the gateway, numbered and in order.

Rules of this room:
1. The venue numbers nothing, so places are given here: they go on from the last one in the journal. Nothing
   is kept for a successor: it asks the venue, whose totals tell what it has missed.
2. What happens after `fail` is not told any more: whoever reads gets the failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from decimal import Decimal

from adapters.base import BrokerEvent
from gateway.domain.order import Report
from gateway.events import (
    ActivityStated,
    CancelRejected,
    LinkDown,
    LinkUp,
    MessageRefused,
    OrderUnknown,
    PositionStated,
    ReportReceived,
    ReportUnreadable,
    SendInDoubt,
    SendWithheld,
)

CROWDED = 10_000


class Outbox:
    """Gather the events of one link until somebody takes them."""

    def __init__(self, name: str, now: Callable[[], datetime], after_seq: int = 0) -> None:
        self._name = name
        self._now = now
        self._seq = after_seq
        self._events: list[BrokerEvent] = []
        self._some = asyncio.Event()
        self._free = asyncio.Event()
        self._failure: BaseException | None = None
        self._is_closed = False

    async def room(self) -> None:
        """Wait while far too much lies here."""
        if len(self._events) > CROWDED and not self._is_closed:
            self._free.clear()
            await self._free.wait()

    async def batches(self) -> AsyncIterator[Sequence[BrokerEvent]]:
        """Yield what lies here until `close`; raises what `fail` was given."""
        while True:
            if not self._events:
                await self._some.wait()
            self._some.clear()
            taken, self._events = self._events, []
            self._free.set()
            if taken:
                yield taken
            if self._events:
                continue
            if self._failure is not None:
                raise self._failure
            if self._is_closed:
                return

    def fail(self, problem: BaseException) -> None:
        """Let whoever reads get this failure."""
        self._failure = self._failure or problem
        self._some.set()

    def close(self) -> None:
        """End it, once what lies here is taken."""
        self._is_closed = True
        self._free.set()
        self._some.set()

    def up(self) -> None:
        """Say that the link is up: it can be asked, and repeats nothing by itself."""
        self._put(LinkUp(self._now(), self._name, was_reset=False, can_look_up=True, replays=False))

    def down(self, reason: str) -> None:
        """Say that the link is down."""
        self._put(LinkDown(self._now(), self._name, reason))

    def report(self, report: Report) -> None:
        """Tell how an order stands."""
        self._put(ReportReceived(self._now(), self._name, self._next(), report))

    def unknown(self, cl_ord_id: str) -> None:
        """Tell that the venue knows no such order."""
        self._put(OrderUnknown(self._now(), self._name, self._next(), cl_ord_id))

    def cancel_rejected(self, cancel_id: str, cl_ord_id: str, text: str) -> None:
        """Tell that a cancel was refused."""
        self._put(CancelRejected(self._now(), self._name, self._next(), cancel_id, cl_ord_id, None, text))

    def refused(self, cl_ord_id: str, text: str) -> None:
        """Tell that an order can never live at the venue."""
        self._put(MessageRefused(self._now(), self._name, self._next(), cl_ord_id, text))

    def unreadable(self, raw: str, reason: str) -> None:
        """Tell that something came that cannot be understood."""
        self._put(ReportUnreadable(self._now(), self._name, self._next(), raw, reason))

    def withheld(self, cl_ord_id: str, reason: str, *, is_answer: bool = False) -> None:
        """Tell that an order certainly did not leave."""
        self._put(SendWithheld(self._now(), cl_ord_id, reason, is_answer))

    def in_doubt(self, cl_ord_id: str, reason: str) -> None:
        """Tell that nobody can say whether the venue has an order."""
        self._put(SendInDoubt(self._now(), cl_ord_id, reason))

    def position(self, account: str, symbol: str, qty: Decimal) -> None:
        """State a position."""
        self._put(PositionStated(self._now(), self._name, self._next(), account, symbol, qty))

    def activity(
        self, account: str, activity_id: str, kind: str, on: str, *, cash: Decimal, symbol: str, qty: Decimal,
        text: str,
    ) -> None:  # fmt: skip
        """State what happened to the account besides orders."""
        place = (self._now(), self._name, self._next())
        self._put(ActivityStated(*place, account, activity_id, kind, on, cash, symbol, qty, text))

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _put(self, event: BrokerEvent) -> None:
        if self._failure is None:
            self._events.append(event)
            self._some.set()
