"""A FIX venue as a `Broker`: wishes through the codec to the engine, messages back as events.

Rules of this room:
1. Every message that came from the spool carries its number as `link_seq`; one that cannot be read is
   an event too (`ReportUnreadable`), with its raw text.
2. `NotSent` is raised only when nothing was handed to the engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from adapters.base import BrokerEvent, Capabilities, NotSent
from adapters.fix import codec
from adapters.fix.engine import ChildEngine, Down, FixEngine, Incoming, Up
from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled
from gateway.events import (
    CancelOrder,
    LinkBehind,
    LinkDown,
    LinkUp,
    LookUpOrder,
    ReportUnreadable,
    SendOrder,
    SendWithheld,
)

OUR_REJECT = "*"
"""Stands as `ref` where our own session layer refused an inbound message (see child.py)."""


class FixBroker:
    """Carry orders over one FIX session; `now` is the gateway's clock."""

    def __init__(
        self, session: FixSession, now: Callable[[], datetime], engine: FixEngine | None = None
    ) -> None:
        self.name = session.name
        self.capabilities = Capabilities(
            refuses_duplicate_client_id=True,
            can_look_up=True,
            fractional=False,
            orders_per_s=session.orders_per_s,
        )
        self._begin_string = session.begin_string
        self._now = now
        self._engine: FixEngine = engine if engine is not None else ChildEngine(session)
        self._missing = ""

    async def start(self, after_seq: int) -> None:
        """Start the session's process; every message behind `after_seq` is handed over."""
        self._missing = self._engine.start(after_seq)

    async def stop(self) -> None:
        """Log out and end the session's process."""
        await self._engine.stop()

    def submit(self, wish: SendOrder) -> None:
        """Hand one order over; raises `NotSent` when it certainly did not leave."""
        now = codec.utc_timestamp(self._now())
        try:
            raw = codec.new_order(wish, self._begin_string, now)
        except codec.Unsendable as problem:
            raise NotSent(str(problem)) from None
        self._hand_over("order", wish.order.cl_ord_id, raw)

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; raises `NotSent` when the request certainly did not leave."""
        raw = codec.cancel_request(wish, self._begin_string, codec.utc_timestamp(self._now()))
        self._hand_over("ask", wish.cancel_id, raw)

    def look_up(self, wish: LookUpOrder) -> None:
        """Ask what the venue knows of an order; raises `NotSent` when the question did not leave."""
        self._hand_over("ask", wish.order.cl_ord_id, codec.status_request(wish, self._begin_string))

    def flush(self) -> None:
        """Push what was handed over so far."""
        self._engine.flush()

    async def events(self) -> AsyncIterator[Sequence[BrokerEvent]]:
        """Yield what happened, in order, until `stop`."""
        if self._missing:
            yield [LinkBehind(self._now(), self.name, self._missing)]
        async for batch in self._engine.incoming():
            now = self._now()
            found = [event for one in batch if (event := self._event(one, now)) is not None]
            if found:
                yield found

    def acknowledge(self, link_seq: int) -> None:
        """Note that everything up to `link_seq` is in the journal."""
        self._engine.acknowledge(link_seq)

    def _hand_over(self, kind: str, cl_ord_id: str, raw: str) -> None:
        if not self._engine.send(kind, cl_ord_id, raw):
            raise NotSent(f"link {self.name} is down")

    def _event(self, one: Incoming, now: datetime) -> BrokerEvent | None:
        if isinstance(one, Spooled):
            return self._message(one, now)
        if isinstance(one, Up):
            return LinkUp(now, self.name)
        if isinstance(one, Down):
            return LinkDown(now, self.name, one.reason)
        return SendWithheld(now, one.cl_ord_id, one.reason)

    def _message(self, one: Spooled, now: datetime) -> BrokerEvent | None:
        if one.ref == OUR_REJECT:
            reason = "our session layer refused a message of the venue"
            return ReportUnreadable(now, self.name, one.seq, one.raw, reason)
        try:
            return codec.decode(one.raw, one.ref, self.name, one.seq, now)
        except codec.Unreadable as problem:
            return ReportUnreadable(now, self.name, one.seq, one.raw, str(problem))
