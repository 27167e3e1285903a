"""The FIX acceptor: asyncio sockets around sans-IO sessions, one application behind all of them.

Rules of this room:
1. Process, keep, then send: an inbound message, the application's answer and both sequence numbers are in the
   store, in one write, before a byte of the answer reaches a socket.
2. What one loop turn produces for a connection leaves in one write, or in a few when it is much.
3. A second connection of a living session is refused; so is every connection beyond `MAX_CONNECTIONS`, and a
   peer that leaves more than `connection.MAX_UNSENT_BYTES` unread is hung up on.
4. `Interference` stands between session and socket; without one, it costs nothing.
5. A bug in the application crashes: the error reaches the loop's exception handler, which ends the process.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from simulator.fix.application import Application, Reply, Restartable
from simulator.fix.connection import Connection
from simulator.fix.hours import Hours
from simulator.fix.message import Message, SessionId
from simulator.fix.pace import MINUTE, Window
from simulator.fix.session import Session
from simulator.fix.store import MemoryStore, Store
from simulator.fix.terms import Happening, SessionConfig, State
from simulator.fix.validation import Validator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulator.fix.codec import Frame

MAX_CONNECTIONS = 200
_MIN_TICK_S = 0.005
_FLUSH_EVERY = 64
_log = logging.getLogger(__name__)

Verdict = Literal["process", "drop", "disconnect"]


class Interference(Protocol):
    """Stand between a session and its socket, and misbehave on purpose."""

    def before(self, session: SessionId, message: Message) -> Verdict:
        """Decide what becomes of a valid application message that is next in sequence.

        `drop`: as if lost on the way, its number not consumed (the next message uncovers the gap).
        `disconnect`: the same, and the connection is cut.
        """
        ...

    def after(
        self, session: SessionId, raw: bytes, is_app: bool, now: datetime
    ) -> Sequence[tuple[float, bytes]]:
        """Say what reaches the peer instead of `raw`: (delay in seconds, bytes); [] loses it."""
        ...

    def disconnect_after_processing(self, session: SessionId, message: Message) -> bool:
        """Cut the connection after `message` was processed and kept, before the answer is sent."""
        ...

    def silent(self, now: datetime) -> bool:
        """Say nothing more on any connection while this is true; what is received is still processed."""
        ...


class NoInterference:
    """Let everything through. The acceptor does not even ask it."""

    def before(self, session: SessionId, message: Message) -> Verdict:  # noqa: ARG002 - Interference
        """Process every message."""
        return "process"

    def after(
        self,
        session: SessionId,  # noqa: ARG002 - Interference
        raw: bytes,
        is_app: bool,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> Sequence[tuple[float, bytes]]:
        """Send what was to be sent, now."""
        return ((0.0, raw),)

    def disconnect_after_processing(self, session: SessionId, message: Message) -> bool:  # noqa: ARG002 - Interference
        """Stay connected."""
        return False

    def silent(self, now: datetime) -> bool:  # noqa: ARG002 - Interference
        """Speak."""
        return False


@dataclass(slots=True)
class Seat:
    """Join one session with the connection that occupies it, if any."""

    session: Session
    connection: Connection | None = None


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


class Acceptor:
    """Serve `configs` on one address; `port` 0 lets the system choose, `tls` is what connections speak."""

    def __init__(
        self,
        application: Application,
        configs: Sequence[SessionConfig],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        store: Store | None = None,
        interference: Interference | None = None,
        clock: Callable[[], datetime] = utc_now,
        check_user_tags: bool = False,
        tls: ssl.SSLContext | None = None,
        hours: Hours | None = None,
    ) -> None:
        self._application = application
        self._tls = tls
        self._arrivals = Window(max((one.dialect.connects_per_minute for one in configs), default=0), MINUTE)
        self._host, self._port = host, port
        self._store: Store = store if store is not None else MemoryStore()
        self.interference = None if type(interference) is NoInterference else interference
        self.clock = clock
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._dirty: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tick_at: datetime | None = None
        self.hours = hours or Hours()
        self._closing: asyncio.TimerHandle | None = None
        self._seats = {}
        for config in configs:
            validator = Validator(
                config.session_id.begin_string,
                check_user_tags=check_user_tags,
                also_tags=config.also_tags(),
                also_values=config.dialect.also_values,
            )
            memory = self._store.memory(str(config.session_id))
            self._seats[config.session_id] = Seat(
                Session(replace(config, hours=self.hours), validator, memory)
            )

    @property
    def address(self) -> tuple[str, int]:
        """The host and port listened on."""
        if self._server is None:
            raise RuntimeError("the acceptor is not started")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def start(self) -> None:
        """Give the application its memory back, and listen."""
        for record in self._store.records():
            self._application.replay(record)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), self._host, self._port, ssl=self._tls
        )
        self._schedule_tick(self.clock())
        self._schedule_closing(self.clock())

    async def stop(self) -> None:
        """Log every session out, wait for the peers' answers for a moment, and close."""
        if self._server is None:
            return
        self._server.close()
        now = self.clock()
        patience_s = 0.0
        for seat in self._seats.values():
            if seat.session.state is State.LOGGED_ON:
                seat.session.logout(now)
                patience_s = max(patience_s, seat.session.config.logout_timeout_s)
                self.settle(seat, None, now)
        self.flush(now)
        waiting = [item.lost for item in self._connections if item.seat is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=patience_s)
        self.abandon()

    def abandon(self) -> None:
        """Let go of everything at once and keep nothing more: the end of `stop`, or of a crash."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        for timer in (self._timer, self._closing):
            if timer is not None:
                timer.cancel()
        self._store.close()

    def dispatch(self, reply: Reply, now: datetime | None = None) -> None:
        """Keep and send what an application wants said at a time of its own choosing."""
        now = now or self.clock()
        self._carry_out(reply, [], now)
        self.flush(now)

    def send_home(self, text: str) -> None:
        """Tell every session in Logout(5) why it ends now, and hang up."""
        now = self.clock()
        for seat in self._seats.values():
            if seat.session.state is State.LOGGED_ON:
                seat.session.leave(now, text)
                self.settle(seat, None, now)
        self.flush(now)

    def begin_week(self, text: str) -> None:
        """Send every session home; the numbers of both sides are 1 at its next logon."""
        self.send_home(text)
        now = self.clock()
        for seat in self._seats.values():
            seat.session.resets = 0
            seat.session.restart()
            self.settle(seat, None, now)

    # What connections call.

    def joined(self, connection: Connection) -> bool:
        """Note a new connection; False when there are too many, or they come too fast."""
        self._connections.add(connection)
        return len(self._connections) <= MAX_CONNECTIONS and self._arrivals.admits(self.clock())

    def left(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self._connections.discard(connection)
        self._dirty.discard(connection)

    def take(self, connection: Connection, data: bytes) -> None:
        """Process the bytes of one loop turn, then write what they caused."""
        now = self.clock()
        frames = connection.decoder.feed(data)
        if connection.decoder.garbled_first:
            connection.hang_up("the connection does not begin with a FIX message")
            return
        for number, frame in enumerate(frames, start=1):
            if connection.is_leaving:
                break
            if number % _FLUSH_EVERY == 0:
                self.flush(now)
            seat = connection.seat or self._admit(connection, frame, now)
            if seat is None:
                break
            self._process(seat, frame, now)
        self.flush(now)

    def wake(self, seat: Seat) -> None:
        """Let a session do what time demands."""
        now = self.clock()
        seat.session.tick(now)
        self.settle(seat, None, now)
        self.flush(now)

    def settle(self, seat: Seat, message: Message | None, now: datetime) -> None:
        """Let the application answer `message`, keep everything in one write, collect what is to be sent."""
        session = seat.session
        reply = self._application.receive(session.id, message, now) if message is not None else Reply()
        cut = (
            self.interference is not None
            and message is not None
            and self.interference.disconnect_after_processing(session.id, message)
        )
        if cut and seat.connection is not None:
            seat.connection.abort()
        self._carry_out(reply, [seat], now)
        while session.happenings:
            self._announce(session, session.happenings.pop(0), now)
        if seat.connection is not None:
            if session.closing is not None:
                seat.connection.hang_up(session.closing)
            else:
                seat.connection.schedule(now)

    def flush(self, now: datetime) -> None:
        """Write what this turn collected, one write a connection, and set the application's timer."""
        for connection in self._dirty:
            connection.write_pending(now)
        self._dirty.clear()
        self._schedule_tick(now)

    # The inside.

    def _admit(self, connection: Connection, frame: Frame, now: datetime) -> Seat | None:
        """Find the session that the first frame of a connection names, if it is free."""
        fields = frame.fields
        seat = self._seats.get(SessionId(frame.begin_string, fields.get(56, ""), fields.get(49, "")))
        if seat is None:
            connection.hang_up(f"no session {frame.begin_string}:{fields.get(49)} is accepted here")
            return None
        if seat.connection is not None:
            if seat.session.state is not State.LOGOUT_ANSWERED:
                connection.hang_up(f"{seat.session.id} is connected already")
                return None
            seat.connection.hang_up("superseded")
        seat.connection, connection.seat = connection, seat
        seat.session.connected(now)
        return seat

    def _process(self, seat: Seat, frame: Frame, now: datetime) -> None:
        session = seat.session
        if self.interference is not None:
            preview = session.preview(frame)
            verdict = self.interference.before(session.id, preview) if preview is not None else "process"
            if verdict == "disconnect" and seat.connection is not None:
                seat.connection.abort()
            if verdict != "process":
                return
        self.settle(seat, session.receive(frame, now), now)
        while session.has_next():
            self.settle(seat, session.advance(now), now)

    def _carry_out(self, reply: Reply, touched: list[Seat], now: datetime) -> None:
        """Give the messages of one reply their numbers, keep them in one write, then collect them."""
        for outgoing in reply.outgoing:
            seat = self._seats[outgoing.session]
            seat.session.send(outgoing.message, now)
            if seat not in touched:
                touched.append(seat)
        self._store.save([seat.session.memory for seat in touched], reply.record)
        for seat in touched:
            outbox = seat.session.outbound.outbox
            if outbox:
                if seat.connection is not None:
                    seat.connection.collect(outbox, now)
                    self._dirty.add(seat.connection)
                outbox.clear()

    def _announce(self, session: Session, happening: Happening, now: datetime) -> None:
        """Tell the application what became of its session."""
        _log.info("%s %s", session.id, happening)
        if happening is Happening.LOGGED_ON:
            self._carry_out(self._application.logged_on(session.id, now), [], now)
        elif isinstance(self._application, Restartable):
            self._carry_out(self._application.restarted(session.id, now), [], now)

    def _schedule_tick(self, now: datetime) -> None:
        due = self._application.next_tick()
        if due is None or (self._tick_at is not None and self._tick_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._tick_at = due
        delay_s = max((due - now).total_seconds(), _MIN_TICK_S)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _schedule_closing(self, now: datetime) -> None:
        due = self.hours.next_closing(now)
        if due is not None:
            delay_s = (due - now).total_seconds()
            self._closing = asyncio.get_running_loop().call_later(delay_s, self._close_for_a_while)

    def _close_for_a_while(self) -> None:
        """Begin the daily maintenance; a timer that rang a little early is set again."""
        now = self.clock()
        text = self.hours.refusal(now)
        if text:
            self.send_home(text)
        self._schedule_closing(now)

    def _tick(self) -> None:
        self._tick_at = self._timer = None
        now = self.clock()
        self._carry_out(self._application.tick(now), [], now)
        self.flush(now)
