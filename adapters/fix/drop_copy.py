"""A venue's drop copy session as a source: executions of another session, read and never answered.

Rules of this room:
1. Nothing is ever sent but the session's own messages: there is no way from here to an order.
2. Executions, busts and corrections are handed on; every other message is passed over. One that cannot be
   read is logged: the execution it was stays missing on this side, and is told as such.
3. A message is acknowledged when its event is in the journal, as on a link: none is lost in between.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from adapters.fix import decoder
from adapters.fix.dialects import PLAIN, Venue
from adapters.fix.dialects.wire import Unreadable
from adapters.fix.engine import ChildEngine, Down, FixEngine, Incoming, Up
from adapters.fix.relay import TlsRelay, TlsSettings
from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled
from gateway.domain.life import TAKES_BACK
from gateway.events import CopyLinked, ExecutionCopied, ReportReceived

log = logging.getLogger(__name__)


class DropCopy:
    """Read the executions of the link `of` over a session of their own; `now` is the gateway's clock."""

    def __init__(
        self,
        session: FixSession,
        of: str,
        now: Callable[[], datetime],
        venue: Venue = PLAIN,
        *,
        tls: TlsSettings | None = None,
        make_engine: Callable[[FixSession], FixEngine] = ChildEngine,
    ) -> None:
        self.name = session.name
        self._session = session
        self._of = of
        self._now = now
        self._venue = venue
        self._make_engine = make_engine
        self._relay = TlsRelay(session.host, session.port, tls, self._complain) if tls is not None else None
        self._engine: FixEngine = make_engine(session)

    async def start(self, after_seq: int) -> None:
        """Start the session's process, behind a TLS relay where TLS is asked for."""
        if self._relay is not None:
            port = await self._relay.start()
            self._engine = self._make_engine(replace(self._session, host="127.0.0.1", port=port))
        if missing := self._engine.start(after_seq):
            self._complain(missing)

    async def stop(self) -> None:
        """Log out and end the session's process."""
        await self._engine.stop()
        if self._relay is not None:
            await self._relay.stop()

    async def events(self) -> AsyncIterator[Sequence[CopyLinked | ExecutionCopied]]:
        """Yield what the copy shows, in order, until `stop`."""
        async for batch in self._engine.incoming():
            found = [event for one in batch if (event := self._event(one)) is not None]
            if found:
                yield found

    def acknowledge(self, link_seq: int) -> None:
        """Note that everything up to `link_seq` is in the journal."""
        self._engine.acknowledge(link_seq)

    def _event(self, one: Incoming) -> CopyLinked | ExecutionCopied | None:
        now = self._now()
        if isinstance(one, Up | Down):
            return CopyLinked(now, self.name, self._of, is_up=isinstance(one, Up))
        if not isinstance(one, Spooled):
            return None
        try:
            found = decoder.decode(one.raw, one.ref, self.name, one.seq, now, self._venue)
        except Unreadable as problem:
            self._complain(f"a copied message cannot be read: {problem}")
            return None
        if not isinstance(found, ReportReceived):
            return None
        kind = found.report.exec_type
        if not (kind.is_trade or kind in TAKES_BACK) or not found.report.exec_id:
            return None
        return ExecutionCopied(now, self.name, one.seq, self._of, found.report)

    def _complain(self, reason: str) -> None:
        log.warning("%s: %s", self.name, reason)
