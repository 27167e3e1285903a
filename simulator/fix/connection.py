"""One TCP connection of the acceptor: bytes in, bytes out, timers; every decision is the session's.

A connection that ends politely is closed for writing first and read for a moment longer, so that the peer
reads our last words instead of a reset.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, cast

from simulator.fix.codec import Decoder

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.fix.acceptor import Acceptor, Seat

MAX_UNSENT_BYTES = 64 << 20
LOGON_TIMEOUT_S = 10.0
LINGER_S = 1.0
_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """Carry the bytes of one peer; `seat` is the session it occupies once its first message named one."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._pending: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: datetime | None = None
        self.is_leaving = False
        self._is_paused = False
        self.decoder = Decoder()
        self.seat: Seat | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to listen to the peer."""
        self._transport = cast("asyncio.Transport", transport)
        peer: socket.socket = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._acceptor.joined(self):
            self.abort()
            return
        self._timer = self._loop.call_later(LOGON_TIMEOUT_S, self.hang_up, "no Logon(A) in time")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the seat back."""
        if self.is_leaving:
            self._cancel_timer()
        else:
            self._release(f"the connection was lost{f': {exc}' if exc else ''}")
        self._acceptor.left(self)
        self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Hand received bytes to the acceptor, unless we are leaving."""
        if not self.is_leaving:
            self._acceptor.take(self, data)

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        if not self.is_leaving:
            self._is_paused = True
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if self._is_paused and not self._transport.is_closing():
            self._is_paused = False
            self._transport.resume_reading()

    def collect(self, outbox: list[tuple[bytes, bool]], now: datetime) -> None:
        """Line up messages for the end of the turn, as the interference, if any, sees fit."""
        interference, seat = self._acceptor.interference, self.seat
        if interference is None or seat is None:
            self._pending.extend([raw for raw, _ in outbox])
            return
        for raw, is_app in outbox:
            for delay_s, data in interference.after(seat.session.id, raw, is_app, now):
                if delay_s > 0:
                    self._loop.call_later(delay_s, self._write_late, data)
                else:
                    self._pending.append(data)

    def write_pending(self, now: datetime) -> None:
        """Write everything lined up in one go."""
        pending, self._pending = self._pending, []
        interference, transport = self._acceptor.interference, self._transport
        if transport.is_closing() or not pending:
            return
        if interference is not None and interference.silent(now):
            return
        transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
        if transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.abort()

    def schedule(self, now: datetime) -> None:
        """Wake up at the session's next deadline; a timer that is early enough already is left alone."""
        due = self.seat.session.next_deadline() if self.seat is not None else None
        if due is None or (self._timer_due is not None and self._timer_due <= due):
            return
        self._cancel_timer()
        self._timer_due = due
        self._timer = self._loop.call_later(max((due - now).total_seconds(), 0.0), self._wake)

    def hang_up(self, reason: str) -> None:
        """Write what is lined up, say goodbye to the socket, and give the seat back."""
        if self.is_leaving:
            return
        self.is_leaving = True
        self.write_pending(self._acceptor.clock())
        self._release(reason)
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self.resume_writing()
            self._timer = self._loop.call_later(LINGER_S, self._transport.close)
        else:  # TLS has no half-closed connection: its goodbye is answered by the peer's
            self.resume_writing()
            self._transport.close()
            self._timer = self._loop.call_later(LINGER_S, self._transport.abort)

    def abort(self) -> None:
        """Cut the connection at once; what is lined up is lost."""
        self.is_leaving = True
        self._pending.clear()
        self._release("cut")
        self._transport.abort()

    def _wake(self) -> None:
        self._timer = self._timer_due = None
        if self.seat is not None:
            self._acceptor.wake(self.seat)

    def _write_late(self, data: bytes) -> None:
        self._pending.append(data)
        self.write_pending(self._acceptor.clock())

    def _release(self, reason: str) -> None:
        self._cancel_timer()
        seat, self.seat = self.seat, None
        if seat is not None:
            seat.connection = None
            seat.session.disconnected()
            _log.info("%s left: %s", seat.session.id, reason)
        else:
            _log.info("a connection was refused: %s", reason)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_due = None
