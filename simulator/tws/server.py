"""The socket: bytes of every client in and out, at the pace TWS allows, with what goes wrong on the wire.

Rules of this room:
1. It listens on 127.0.0.1 only.
2. More than `max_rate` messages in a second, of all clients together, get error 100, once a second; the
   third time, TWS hangs up on the client that spoke.
3. What one turn of the loop has to say leaves as one packet, and may be cut anywhere: a stream has no frames.
4. A connection that is hung up on is closed for writing first and read for a moment longer: a socket closed
   over what it has not read resets, and the client would lose the last words, which say why.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from simulator.tws.desk import Desk
from simulator.tws.entry import Refusal
from simulator.tws.frames import Fields, FrameError, Frames, Greeting, frame
from simulator.tws.happenings import NO_ID
from simulator.tws.mishaps import Mishap
from simulator.tws.pace import Pace
from simulator.tws.placing import PLACE
from simulator.tws.session import CANCEL, Session

HOST = "127.0.0.1"
LEAST, MOST, UNSPOKEN = 157, 178, 158
TOO_FAST, MAX_VIOLATIONS = 100, 3
PACED = "+PACEAPI"
"""The connect option of a client that asks to be slowed down, not scolded."""
PORT_MOVED = 1300
PORT_TEXT = "TWS socket port has been reset and this connection is dropped. Please reconnect on the new port"
MAX_CLIENTS = 64
MAX_BACKLOG = 1 << 26
"""Bytes kept for a client that does not read, or from one that is not read; beyond, it is cut."""
PIECE, PIECE_S = 7, 0.001
LINGER_S = 1.0
"""How long a client that was hung up on may take to hang up, too."""
_CUTS = {
    PLACE: (Mishap.CUT_BEFORE_ORDER, Mishap.CUT_AFTER_ORDER),
    CANCEL: (Mishap.CUT_BEFORE_CANCEL, Mishap.CUT_AFTER_CANCEL),
}


def agree(greeting: Greeting, most: int = MOST) -> int | None:
    """Return the version both speak, None when there is none; 158 itself is never spoken."""
    version = min(most, greeting.most)
    if version == UNSPOKEN:
        version = LEAST
    return version if version >= max(LEAST, greeting.least) else None


@dataclass(frozen=True, slots=True)
class Limits:
    """The newest version spoken, and how many messages all clients may send in a second (0: any number)."""

    most: int = MOST
    max_rate: int = 50


class Peer(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._desk = server.desk
        self._frames = Frames()
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._out = bytearray()
        self._is_flushing = False
        self._is_dead = self._is_paced = False
        self._is_muted = False
        self._waiting = bytearray()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless connections are refused."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server makes these
        self._transport = transport
        is_crowded = len(self._server.peers) >= MAX_CLIENTS
        self._server.peers.add(self)
        if is_crowded or self._server.is_down or self._desk.mishaps.strikes(Mishap.REFUSE_CONNECT):
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self._server.peers.discard(self)
        self._forget()

    def data_received(self, data: bytes) -> None:
        """Serve what has come."""
        if self._is_dead:
            return
        if self._server.is_silent():
            self._waiting += data
            if len(self._waiting) > MAX_BACKLOG:
                self.cut()
            return
        try:
            for message in self._frames.feed(data):
                if isinstance(message, Greeting):
                    self._greet(message)
                elif self._session is not None:
                    self._serve(self._session, message)
        except FrameError:
            self.close()

    # Out.

    def write(self, fields: Fields) -> None:
        """Send a message with everything else this turn has to say."""
        if self._is_dead or self._is_muted:
            return
        self._out += frame(fields)
        if not self._is_flushing:
            self._is_flushing = True
            batch = self._desk.mishaps.strike(Mishap.BATCH_FRAMES, self.client)
            loop = asyncio.get_running_loop()
            if batch is not None:
                loop.call_later(batch.seconds, self.flush)
            else:
                loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is due."""
        self._is_flushing = False
        if self._is_dead or not self._out or self._transport is None or self._server.is_silent():
            return
        if self._transport.get_write_buffer_size() > MAX_BACKLOG:
            self.cut()
            return
        data, self._out = bytes(self._out), bytearray()
        if self._desk.mishaps.strikes(Mishap.SPLIT_FRAMES, self.client):
            self._is_flushing = True
            self._write_piece(data)
        else:
            self._transport.write(data)

    def _write_piece(self, data: bytes) -> None:
        if self._is_dead or self._transport is None:
            return
        self._transport.write(data[:PIECE])
        if len(data) > PIECE:
            asyncio.get_running_loop().call_later(PIECE_S, self._write_piece, data[PIECE:])
        else:
            self.flush()

    def close(self) -> None:
        """Hang up behind what was written; what the client still says is read and forgotten."""
        self.flush()
        self._forget()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)

    def end(self) -> None:
        """End the connection with the process, behind what was written."""
        self.flush()
        self._forget()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """End the connection at once; what was not written is lost."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    def die(self) -> None:
        """Neither read nor write any more, and do not say so."""
        self._out.clear()
        self._forget()

    def wake(self) -> None:
        """Go on after a silence."""
        waiting, self._waiting = bytes(self._waiting), bytearray()
        self.data_received(waiting)
        self.flush()

    # The inside.

    def _forget(self) -> None:
        """Serve this client no more; its id is free."""
        self._is_dead = True
        if self._session is not None:
            self._desk.leave(self._session)

    @property
    def client(self) -> int | None:
        """The client id, once it has started."""
        return None if self._session is None else self._session.client_id

    def _greet(self, greeting: Greeting) -> None:
        version = agree(greeting, self._server.limits.most)
        if version is None:
            self.close()
            return
        self._is_paced = PACED in greeting.options
        session = Session(self._desk, version, self.write, self.close)
        slow = self._desk.mishaps.strike(Mishap.SLOW_CONNECT)
        answer = (version, f"{self._desk.now():%Y%m%d %H:%M:%S} UTC")

        def begin() -> None:
            self._session = session
            self.write(answer)

        if slow is not None:
            self._desk.later(slow.seconds, begin)
        else:
            begin()

    def _serve(self, session: Session, fields: list[str]) -> None:
        if self._is_dead:
            return
        if not self._is_paced and self._server.pace.is_violated(asyncio.get_running_loop().time()):
            count, most = self._server.pace.violations, self._server.limits.max_rate
            text = f"Max rate of messages per second has been exceeded:max={most} rec={most + 1} ({count})"
            session.fail(NO_ID, Refusal(TOO_FAST, text))
            if count >= MAX_VIOLATIONS:
                self.close()
                return
        mishaps, client = self._desk.mishaps, session.client_id
        message = int(fields[0]) if fields and fields[0] in _CUTTABLE else 0
        before, after = _CUTS.get(message, (None, None))
        if before is not None and mishaps.strikes(before, client):
            self.cut()
            return
        if message == PLACE and mishaps.strikes(Mishap.LOSE_ORDER, client):
            return
        if after is not None and mishaps.strikes(after, client):
            self._is_muted = True
            session.handle(fields)
            self.cut()
            return
        session.handle(fields)


_CUTTABLE = frozenset(str(message) for message in _CUTS)


class Server:
    """Listen for clients of one desk."""

    def __init__(self, desk: Desk, limits: Limits) -> None:
        self.desk = desk
        self.limits = limits
        self.pace = Pace(limits.max_rate)
        self.peers: set[Peer] = set()
        self.is_down = False
        self._silent_until = 0.0
        self._server: asyncio.Server | None = None
        self._moving: asyncio.Future[None] | None = None

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None  # noqa: S101 - started before anybody asks
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, port: int) -> None:
        """Listen; 0 lets the system choose."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Peer(self), HOST, port)

    async def stop(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.end()

    def move(self) -> int:
        """Hang up and listen on another port, which every client is told of; return it."""
        assert self._server is not None  # noqa: S101 - started before anybody asks
        new = socket.create_server((HOST, 0))
        port: int = new.getsockname()[1]
        self.desk.warn(Refusal(PORT_MOVED, f"{PORT_TEXT} - {port}"))
        self._server.close()
        for peer in list(self.peers):
            peer.close()
        self._moving = asyncio.ensure_future(self._listen_on(new))
        return port

    async def _listen_on(self, listening: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: Peer(self), sock=listening)

    def drop(self, client: int | None = None) -> int:
        """Cut the connection of one client, or every one; return how many."""
        cut = [peer for peer in self.peers if client is None or peer.client == client]
        for peer in cut:
            peer.cut()
        return len(cut)

    def half_open(self) -> None:
        """Let every connection be dead without saying so."""
        for peer in list(self.peers):
            peer.die()

    def silence(self, seconds: float) -> None:
        """Neither read nor write for a while."""
        self._silent_until = asyncio.get_running_loop().time() + seconds
        asyncio.get_running_loop().call_later(seconds, self._wake)

    def is_silent(self) -> bool:
        """Say whether nothing may move."""
        return asyncio.get_running_loop().time() < self._silent_until

    def _wake(self) -> None:
        if not self.is_silent():
            for peer in list(self.peers):
                peer.wake()

    def restart(self, seconds: float) -> None:
        """Cut every client and take nobody for a while."""
        self.is_down = True
        self.drop()
        asyncio.get_running_loop().call_later(seconds, self._come_up)

    def _come_up(self) -> None:
        self.is_down = False
