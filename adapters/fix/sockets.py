"""Sockets of the TLS relay: one end of a connection, who is behind it, and how it is tuned.

Rules of this room:
1. Nothing blocks and nothing spins: the event loop is asked to watch only what can make progress.
2. A peer that takes no more does not keep us from reading what it had sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable
from pathlib import Path

CHUNK = 65_536
KEEP_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPALIVE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
SOCKETS = Path("/proc/net/tcp")
ESTABLISHED = "01"


class End:
    """Hold one socket: what waits to be sent, and whether there is more to read."""

    def __init__(
        self, sock: socket.socket, take: Callable[[bytes], None], settle: Callable[[], None]
    ) -> None:
        self._sock = sock
        self._take, self._settle = take, settle
        self._loop = asyncio.get_running_loop()
        self._waiting = b""
        self._is_reading = self._is_finishing = self._is_finished = False
        self.has_ended = self.is_broken = False
        self.moved = 0
        self._busy_since = 0.0

    @property
    def is_busy(self) -> bool:
        """Tell whether bytes wait because the peer does not take them."""
        return bool(self._waiting)

    def is_stalled(self, for_s: float) -> bool:
        """Tell whether bytes wait and the peer has taken none for that long."""
        return self.is_busy and self._loop.time() - self._busy_since >= for_s

    def has_left(self) -> bool:
        """Tell whether the peer has closed, even while we are not reading."""
        watch = select.poll()
        watch.register(self._sock, getattr(select, "POLLRDHUP", 0))
        return self.has_ended or bool(watch.poll(0))

    def send(self, data: bytes) -> None:
        """Send now what can be sent now, the rest when the peer takes it."""
        was_busy = self.is_busy
        self._waiting += data
        if self._waiting and not was_busy:
            self._busy_since = self._loop.time()
            self._flush()

    def finish(self) -> None:
        """Close our direction behind everything that waits."""
        self._is_finishing = True
        if not self.is_busy and not self._is_finished:
            self._is_finished = True
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def listen(self, *, is_wanted: bool) -> None:
        """Read on, or leave the bytes where they are, which slows the peer down."""
        if is_wanted and not self._is_reading:
            self._loop.add_reader(self._sock, self._readable)
        elif self._is_reading and not is_wanted:
            self._loop.remove_reader(self._sock)
        self._is_reading = is_wanted

    def hang_up(self) -> None:
        """Let what has arrived be the last."""
        if not self.has_left():
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RD)

    def drop(self) -> None:
        """Send nothing any more."""
        self.is_broken, self._waiting = True, b""

    def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    def _readable(self) -> None:
        try:
            data = self._sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.moved += len(data)
        self.has_ended = not data
        self._take(data)
        self._settle()

    def _flush(self) -> None:
        sent = 0
        try:
            sent = 0 if self.is_broken else self._sock.send(self._waiting)
        except BlockingIOError:
            pass
        except OSError:
            self.drop()  # What the peer sent before it went can still be read.
        self.moved += sent
        if sent:
            self._busy_since = self._loop.time()
        self._waiting = b"" if self.is_broken else self._waiting[sent:]
        if self._waiting:
            self._loop.add_writer(self._sock, self._writable)

    def _writable(self) -> None:
        self._flush()
        if not self.is_busy:
            self._loop.remove_writer(self._sock)
            if self._is_finishing:
                self.finish()
        self._settle()


def owner_of(port: int, connected_to: int) -> int | None:
    """Return the user id that connected from `port` of this machine, None where the system does not tell."""
    if not SOCKETS.exists():
        return None
    for line in SOCKETS.read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, state, _, _, _, uid, *_ = line.split()
        ports = (int(local.split(":")[1], 16), int(remote.split(":")[1], 16))
        if state == ESTABLISHED and ports == (port, connected_to):
            return int(uid)
    return None


def tune(sock: socket.socket) -> None:
    """Send at once, notice a dead peer, never block."""
    sock.settimeout(0)
    with contextlib.suppress(OSError):  # Some systems refuse options of a connection that has just ended.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
