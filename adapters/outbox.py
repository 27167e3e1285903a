"""What a link tells the gateway, numbered and in order: for venues that number nothing themselves.

Rules of this room:
1. Places are given here: they go on from the last one in the journal. Nothing is kept for a successor: it
   asks the venue.
2. What happened before `fail` or `close` is still handed over. What happens after `fail` is not told any
   more: whoever reads gets the failure.
3. What only one venue has to tell stands in that venue's own folder, as a subclass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import ClassVar

from adapters.base import BrokerEvent
from gateway.domain.order import Report
from gateway.events import (
    CancelRejected,
    LinkDown,
    LinkNoticed,
    LinkUp,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    ReportUnreadable,
    SendInDoubt,
    SendWithheld,
)

CROWDED = 10_000


class Outbox:
    """Gather the events of one link until somebody takes them; `now` is the gateway's clock.

    `replays` says whether the venue tells past executions again, each under its own ExecID(17).
    """

    replays: ClassVar[bool]

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
        """Say that the link is up, and can be asked."""
        self._put(LinkUp(self._now(), self._name, was_reset=False, can_look_up=True, replays=self.replays))

    def down(self, reason: str) -> None:
        """Say that the link is down."""
        self._put(LinkDown(self._now(), self._name, reason))

    def report(self, report: Report) -> None:
        """Tell how an order stands, or what of it has traded."""
        self._put(ReportReceived(*self._place(), report))

    def unknown(self, cl_ord_id: str, *, is_certain: bool = True) -> None:
        """Tell that the venue knows no such order."""
        self._put(OrderUnknown(*self._place(), cl_ord_id, is_certain))

    def cancel_rejected(self, cancel_id: str, cl_ord_id: str, text: str) -> None:
        """Tell that a cancel was refused."""
        self._put(CancelRejected(*self._place(), cancel_id, cl_ord_id, None, text))

    def refused(self, cl_ord_id: str, text: str) -> None:
        """Tell that an order can never live at the venue."""
        self._put(MessageRefused(*self._place(), cl_ord_id, text))

    def unreadable(self, raw: str, reason: str) -> None:
        """Tell that something came that cannot be understood."""
        self._put(ReportUnreadable(*self._place(), raw, reason))

    def withheld(self, cl_ord_id: str, reason: str, *, is_answer: bool = False) -> None:
        """Tell that an order certainly did not leave, or was certainly not accepted."""
        self._put(SendWithheld(self._now(), cl_ord_id, reason, is_answer))

    def in_doubt(self, cl_ord_id: str, reason: str) -> None:
        """Tell that nobody can say whether the venue has an order."""
        self._put(SendInDoubt(self._now(), cl_ord_id, reason))

    def notice(self, severity: str, text: str, account: str = "", *, halts: bool = False) -> None:
        """Tell a person."""
        self._put(LinkNoticed(*self._place(), text, account, severity, halts))

    def _place(self) -> tuple[datetime, str, int]:
        """Return what an event from the venue begins with: when it was heard, over which link, its place."""
        self._seq += 1
        return self._now(), self._name, self._seq

    def _put(self, event: BrokerEvent) -> None:
        if self._failure is None:
            self._events.append(event)
            self._some.set()
