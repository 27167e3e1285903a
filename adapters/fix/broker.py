"""A FIX venue as a `Broker`: wishes encoded for the engine, messages back as events.

Rules of this room:
1. Every message that came from the spool carries its number as `link_seq`; one that cannot be read is
   an event too (`ReportUnreadable`), with its raw text.
2. `NotSent` is raised only when nothing was handed to the engine.
3. Where a venue has one question for all its orders (AF), every look-up it can cover shares one. An
   order that left after the question was put is asked for again.
4. What is remembered here (OrderID(37), what was asked) is bounded and only helps: a new process
   begins with nothing and learns it again from reports and from the engine's own wishes.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from adapters.base import BrokerEvent, Capabilities, NotSent
from adapters.fix import decoder, encoder
from adapters.fix.dialects import PLAIN, Venue
from adapters.fix.dialects.base import Unsendable, our_account
from adapters.fix.dialects.notices import PositionInfo
from adapters.fix.dialects.wire import Unreadable, utc_timestamp
from adapters.fix.engine import ChildEngine, Down, FixEngine, Incoming, Up
from adapters.fix.relay import TlsRelay, TlsSettings
from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled
from adapters.fix.told import Told
from gateway.domain.order import OrderSpec
from gateway.events import (
    CancelOrder,
    LinkBehind,
    LinkDown,
    LinkNoticed,
    LinkUp,
    LookUpOrder,
    OrderUnknown,
    PositionStated,
    ReportReceived,
    ReportUnreadable,
    SendOrder,
    SendWithheld,
)

log = logging.getLogger(__name__)

OUR_REJECT = "*"
"""Stands as `ref` where our own session layer refused an inbound message (see child.py)."""

REMEMBERED = 50_000
MASS_STATUS_HOLDS = timedelta(seconds=2)
"""For how long one question for all orders answers every look-up of an order sent before it."""


class FixBroker:
    """Carry orders over one FIX session in the dialect of `venue`; `now` is the gateway's clock."""

    def __init__(
        self,
        session: FixSession,
        now: Callable[[], datetime],
        engine: FixEngine | None = None,
        venue: Venue = PLAIN,
        tls: TlsSettings | None = None,
        make_engine: Callable[[FixSession], FixEngine] = ChildEngine,
    ) -> None:
        self.name = session.name
        self._session = session
        self._make_engine = make_engine
        self._relay = TlsRelay(session.host, session.port, tls, self._complain) if tls is not None else None
        self.capabilities = Capabilities(
            refuses_duplicate_client_id=True,
            can_look_up=bool(venue.look_up),
            replays_executions=venue.dialect.replays,
            fractional=False,
            orders_per_s=session.orders_per_s,
        )
        self.told = Told(session.name, venue)
        self._venue = venue
        self._now = now
        self._engine: FixEngine = engine if engine is not None else make_engine(session)
        self._missing = ""
        self._known: OrderedDict[str, str] = OrderedDict()
        self._mass = _MassStatus()

    async def start(self, after_seq: int) -> None:
        """Start the session's process, behind a TLS relay where TLS is asked for.

        Every message behind `after_seq` is handed over. ConfigError when a file of the TLS settings
        cannot serve.
        """
        if self._relay is not None:
            port = await self._relay.start()
            self._engine = self._make_engine(replace(self._session, host="127.0.0.1", port=port))
        self._missing = self._engine.start(after_seq)

    async def stop(self) -> None:
        """Log out and end the session's process."""
        await self._engine.stop()
        if self._relay is not None:
            await self._relay.stop()

    def submit(self, wish: SendOrder) -> None:
        """Hand one order over; raises `NotSent` when it certainly did not leave."""
        now = self._now()
        closes = self.told.closes(wish.order)
        raw = self._built(lambda: encoder.new_order(wish, utc_timestamp(now), self._venue, closes=closes))
        self._hand_over("order", wish.order.cl_ord_id, raw)
        self._mass.sent(wish.order.cl_ord_id)

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; raises `NotSent` when the request certainly did not leave."""
        now = utc_timestamp(self._now())
        self._learn(wish.order_id, wish.order.cl_ord_id)
        raw = self._built(lambda: encoder.cancel_request(wish, now, self._venue))
        self._hand_over("ask", wish.cancel_id, raw)

    def replace(self, changed: OrderSpec, replace_id: str, previous_id: str, order_id: str = "") -> None:
        """Ask for a changed quantity or price; raises `NotSent` when the request did not leave."""
        now = utc_timestamp(self._now())
        self._learn(order_id, changed.cl_ord_id)
        raw = self._built(
            lambda: encoder.replace_request(changed, replace_id, previous_id, order_id, now, self._venue)
        )
        self._hand_over("ask", replace_id, raw)

    def look_up(self, wish: LookUpOrder) -> None:
        """Ask what the venue knows of an order; raises `NotSent` when the question did not leave.

        Where the venue cannot be asked (`can_look_up` is false), the session's own numbers are: they tell
        an order that never arrived (`SendWithheld`), and say nothing of one that did.
        """
        self._learn(wish.order_id, wish.order.cl_ord_id)
        if self._venue.look_up == "AF":
            self._ask_for_all(wish.order.cl_ord_id)
        elif self._venue.look_up:
            raw = self._built(lambda: encoder.status_request(wish, self._venue))
            self._hand_over("ask", wish.order.cl_ord_id, raw)
        else:
            self._hand_over("trace", wish.order.cl_ord_id, "-")

    def recall(self, account: str, reason: str) -> None:
        """Nothing waits here: what was handed over is in the engine's hands."""

    def flush(self) -> None:
        """Push what was handed over so far."""
        self._engine.flush()

    async def events(self) -> AsyncIterator[Sequence[BrokerEvent]]:
        """Yield what happened, in order, until `stop`."""
        if self._missing:
            yield [LinkBehind(self._now(), self.name, self._missing)]
        async for batch in self._engine.incoming():
            now = self._now()
            found = [event for one in batch for event in self._events(one, now)]
            if found:
                yield found

    def acknowledge(self, link_seq: int) -> None:
        """Note that everything up to `link_seq` is in the journal."""
        self._engine.acknowledge(link_seq)

    def _complain(self, reason: str) -> None:
        log.warning("%s: %s", self.name, reason)

    def _built(self, build: Callable[[], str]) -> str:
        try:
            return build()
        except Unsendable as problem:
            raise NotSent(str(problem)) from None

    def _hand_over(self, kind: str, cl_ord_id: str, raw: str) -> None:
        if not self._engine.send(kind, cl_ord_id, raw):
            raise NotSent(f"link {self.name} is down")

    def _ask_for_all(self, cl_ord_id: str) -> None:
        """Put the one question for all orders, unless it was put just now and covers this order."""
        request_id = self._mass.ask(cl_ord_id, self._now())
        if request_id:
            try:
                self._hand_over("ask", request_id, encoder.mass_status_request(request_id, self._venue))
            except NotSent:
                self._mass.withdraw()
                raise

    def _events(self, one: Incoming, now: datetime) -> Sequence[BrokerEvent]:
        if isinstance(one, Spooled):
            return self._message(one, now)
        if isinstance(one, Up):
            self._mass.withdraw()
            if self._venue.dialect.asks_account:
                self._engine.send("ask", "account", encoder.account_request(self._venue))
                if self._venue.text("activation"):
                    self._engine.send("ask", "activation", encoder.activation_request(self._venue))
                self._engine.flush()
            can = self.capabilities
            return [LinkUp(now, self.name, one.was_reset, can.can_look_up, can.replays_executions)]
        if isinstance(one, Down):
            return [LinkDown(now, self.name, one.reason)]
        return [SendWithheld(now, one.cl_ord_id, one.reason, one.is_answer)]

    def _message(self, one: Spooled, now: datetime) -> Sequence[BrokerEvent]:
        if one.ref == OUR_REJECT:
            reason = "our session layer refused a message of the venue"
            return [ReportUnreadable(now, self.name, one.seq, one.raw, reason)]
        try:
            event = decoder.decode(one.raw, one.ref, self.name, one.seq, now, self._venue, self._known)
        except Unreadable as problem:
            return [ReportUnreadable(now, self.name, one.seq, one.raw, str(problem))]
        if isinstance(event, ReportReceived):
            self._learn(event.report.order_id, event.report.cl_ord_id)
            self.told.note_filled(event.report)
        missing: Sequence[str] = ()
        if self._venue.dialect.is_tolerant:
            missing = self._unnamed(one.raw, event)
        is_certain = self._venue.is_on("absence_is_unknown")
        found: list[BrokerEvent] = [event] if event is not None else self._told_besides(one, now)
        return found + [OrderUnknown(now, self.name, one.seq, name, is_certain) for name in missing]

    def _told_besides(self, one: Spooled, now: datetime) -> list[BrokerEvent]:
        """Return what a message that is about no order states for the engine, or for people."""
        notice = self.told.take(one.raw)
        if notice is None:
            return []
        if isinstance(notice, PositionInfo) and self._venue.is_on("compare_positions"):
            account = our_account(notice.account, self._venue)
            return [PositionStated(now, self.name, one.seq, account, notice.symbol, notice.qty)]
        warning = self.told.warning(notice)
        return [LinkNoticed(now, self.name, one.seq, *warning)] if warning else []

    def _unnamed(self, raw: str, event: BrokerEvent | None) -> Sequence[str]:
        """Return the orders that a whole answer to AF, of which this message is a part, did not name."""
        fields = decoder.split(raw)
        if "584" not in fields:
            return ()
        named = event.report.cl_ord_id if isinstance(event, ReportReceived) else ""
        return self._mass.answered(fields["584"], named, is_last=fields.get("912") == "Y")

    def _learn(self, order_id: str, cl_ord_id: str) -> None:
        if order_id in ("", "0", "NONE") or not decoder.is_ours(cl_ord_id):
            return
        self._known[order_id] = cl_ord_id
        self._known.move_to_end(order_id)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


class _MassStatus:
    """Remember which question for all orders is under way, and for whom."""

    def __init__(self) -> None:
        self._number = 0
        self._id = ""
        self._at: datetime | None = None
        self._waiting: set[str] = set()
        self._sent_since: set[str] = set()

    def sent(self, cl_ord_id: str) -> None:
        """Note that an order left: a question put before does not cover it."""
        if self._at is not None:
            self._sent_since.add(cl_ord_id)

    def ask(self, cl_ord_id: str, now: datetime) -> str:
        """Return the id of a new question, or nothing when the last one covers this order."""
        is_fresh = self._at is not None and now - self._at < MASS_STATUS_HOLDS
        if is_fresh and cl_ord_id not in self._sent_since:
            self._waiting.add(cl_ord_id)
            return ""
        self._number += 1
        self._id = f"{now:%H%M%S%f}-{self._number}"
        self._at = now
        self._sent_since.clear()
        self._waiting = {cl_ord_id}
        return self._id

    def withdraw(self) -> None:
        """Forget a question that did not leave, or whose session ended."""
        self._id, self._at = "", None
        self._waiting.clear()
        self._sent_since.clear()

    def answered(self, request_id: str, named: str, *, is_last: bool) -> list[str]:
        """Return, at the end of the answer to the present question, the orders it did not name."""
        if request_id != self._id:
            return []
        self._waiting.discard(named)
        if not is_last:
            return []
        missing = sorted(self._waiting - self._sent_since)
        self._waiting.clear()
        return missing
