"""The TLS door of a FIX session: quickfix speaks plainly to a port of ours, the venue hears TLS.

The quickfix we install has no TLS. `TlsRelay` listens on 127.0.0.1 and carries the bytes of the one
client it serves over a TLS connection of its own.

Rules of this room:
1. The venue has proved who it is before anything the client said leaves: see `adapters.fix.tls`.
2. No byte is altered, and none that arrived is lost at the end: a side's end is passed on behind
   everything it sent.
3. About one chunk waits in each direction; who reads slowly slows the sender down.
4. One client at a time, of our own user. One that has left makes room for the next at once; what it
   said last still goes out, but not for long.
5. A venue that cannot be reached or verified closes the client's connection at once; quickfix comes
   again by itself. Each reason is told once, until the venue has spoken to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable

from adapters.fix.sockets import CHUNK, End, owner_of, tune
from adapters.fix.tls import (
    TlsSettings,
    check_name,
    why_key_is_refused,
    why_no_tls,
    why_unreachable,
)
from gateway.errors import ConfigError

__all__ = ["TlsRelay", "TlsSettings"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 3.0
"""For each address of the venue; below quickfix's LogonTimeout, so that the reason is known first."""

HANDSHAKE_TIMEOUT_S = 4.0
LINGER_S = 10.0
"""How long a connection with one side gone may stand still before it is cut."""

STALL_S = 5.0
"""A client whose bytes the venue has not taken for so long makes room as well."""

STOP_TIMEOUT_S = 2.0
ACCEPT_PAUSE_S = 0.2
ADDRESSES = 4
REMEMBERED = 32


class _NotReached(Exception):
    """Say in one sentence why there is no verified connection, and the remedy."""


class TlsRelay:
    """Carry one FIX session over TLS, from a port on 127.0.0.1 to the venue."""

    def __init__(
        self, host: str, port: int, settings: TlsSettings, on_problem: Callable[[str], None] | None = None, *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S, handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
        linger_s: float = LINGER_S,
    ) -> None:  # fmt: skip
        check_name("host", host)
        self.host, self.port, self.settings = host, port, settings
        self.connect_timeout_s, self.handshake_timeout_s = connect_timeout_s, handshake_timeout_s
        self.linger_s = linger_s
        self.on_problem = on_problem or log.warning
        self.problem = ""
        """Why there is no connection at present; empty when there is one or nobody asked for one."""
        self._told: set[str] = set()
        self._pipes: set[_Pipe] = set()
        self._listener: socket.socket | None = None
        self._door: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listen and return the port on 127.0.0.1; `ConfigError` when a file of the settings cannot serve."""
        await asyncio.to_thread(self.settings.context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0)
        self._door = asyncio.create_task(self._serve(self._listener))
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        """Send on what the client said, close both sides and listen no more."""
        if self._door is not None and self._listener is not None:
            self._door.cancel()
            await asyncio.wait([self._door])
            self._listener.close()
        for pipe in self._pipes:
            pipe.leave()
        await self._await_pipes(STOP_TIMEOUT_S)
        for pipe in self._pipes:
            pipe.task.cancel()
        await self._await_pipes(None)

    async def _await_pipes(self, timeout_s: float | None) -> None:
        if self._pipes:
            await asyncio.wait([pipe.task for pipe in self._pipes], timeout=timeout_s)

    def tell(self, reason: str) -> None:
        """Pass a reason on, once."""
        self.problem = reason
        if reason not in self._told:
            if len(self._told) >= REMEMBERED:
                self._told.clear()
            self._told.add(reason)
            self.on_problem(reason)

    def note_spoken(self) -> None:
        """Note that the venue speaks to us: the next failure is news again."""
        self.problem = ""
        self._told.clear()

    async def _serve(self, listener: socket.socket) -> None:
        loop, port = asyncio.get_running_loop(), listener.getsockname()[1]
        while True:
            try:
                client, (_, peer_port) = await loop.sock_accept(listener)
            except OSError as problem:
                self.tell(f"the TLS relay can take no connection ({problem.strerror}): allow more open files")
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            if refusal := self._why_refused(peer_port, port):
                log.warning("the TLS relay to %s refused a connection: %s", self.host, refusal)
                client.close()
                continue
            for pipe in self._pipes:
                pipe.give_way()
            pipe = _Pipe(self, client)
            self._pipes.add(pipe)
            pipe.task.add_done_callback(lambda _, gone=pipe: self._forget(gone))  # type: ignore[misc]

    def _why_refused(self, peer_port: int, port: int) -> str:
        owner = owner_of(peer_port, port)
        if owner not in (None, os.getuid()):
            return f"it comes from another user of this machine (uid {owner})"
        if not all(pipe.is_free() for pipe in self._pipes):
            return "one client is connected already"
        return ""

    def _forget(self, pipe: _Pipe) -> None:
        self._pipes.discard(pipe)
        pipe.close()


class _Pipe:
    """Join one client's connection with one TLS connection to the venue."""

    def __init__(self, relay: TlsRelay, client: socket.socket) -> None:
        tune(client)
        self.client = End(client, self._from_client, self._settle)
        self._relay = relay
        self._at = f"{relay.host}:{relay.port}"
        self._early = b""
        self._sock: socket.socket | None = None
        self._venue: End
        self._is_joined = False
        self._inward, self._outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject
        self._is_end_passed = self._gave_way = self._has_spoken = False
        self._moved = -1
        self._timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._settle()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Reach the venue, then carry bytes until both sides have ended."""
        try:
            await self._reach()
        except _NotReached as why:
            self._relay.tell(str(why))
        else:
            await self._over.wait()

    def is_free(self) -> bool:
        """Tell whether the client is gone; while the venue takes nothing, its end cannot reach us."""
        return self.client.has_left() or (self._is_joined and self._venue.is_stalled(STALL_S))

    def give_way(self) -> None:
        """Make room for the next client: end an attempt that serves nobody, let last bytes go out."""
        if not self._is_joined:
            self._relay.tell(f"{self._at} was not ready before the FIX engine gave up: check the network")
        if not self._is_joined or self._gave_way:
            self.task.cancel()
        elif self._timer is None:
            self._watch()
        self._gave_way = True

    def leave(self) -> None:
        """End behind what the client has said."""
        if not self._is_joined:
            self.task.cancel()
        self.client.hang_up()

    def close(self) -> None:
        """Close both connections."""
        if self._timer is not None:
            self._timer.cancel()
        self.client.close()
        if self._is_joined:
            self._venue.close()
        elif self._sock is not None:
            self._sock.close()

    async def _reach(self) -> None:
        """Open the verified connection and let the bytes flow."""
        relay = self._relay
        try:
            context = await asyncio.to_thread(relay.settings.context)
        except ConfigError as problem:
            raise _NotReached(str(problem)) from problem
        sock = await self._connect()
        tune(sock)
        name = relay.settings.server_name or relay.host
        self._tls = context.wrap_bio(self._inward, self._outward, server_hostname=name)
        try:
            async with asyncio.timeout(relay.handshake_timeout_s):
                await self._shake_hands(sock)
        except TimeoutError as problem:
            late = f"did not finish the TLS handshake in {relay.handshake_timeout_s:g} s"
            raise _NotReached(f"{self._at} {late}: correct `port`, or ask the venue") from problem
        except OSError as problem:
            raise _NotReached(why_no_tls(problem, self._at, name)) from problem
        certificate = self._tls.getpeercert(binary_form=True) or b""
        if refusal := why_key_is_refused(certificate, relay.settings.pins(), self._at):
            raise _NotReached(refusal)
        self._venue = End(sock, self._from_venue, self._settle)
        self._is_joined = True
        early, self._early = self._early, b""
        self._from_client(early)
        self._from_venue(b"")
        self._settle()

    async def _connect(self) -> socket.socket:
        """Connect to the first of the venue's addresses that answers."""
        loop = asyncio.get_running_loop()
        limit_s = self._relay.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                found = await loop.getaddrinfo(self._relay.host, self._relay.port, type=socket.SOCK_STREAM)
        except OSError as problem:
            remedy = "correct `host`, or check this machine's DNS"
            raise _NotReached(f"the name {self._relay.host} cannot be resolved: {remedy}") from problem
        reason = ""
        for family, kind, protocol, _, address in found[:ADDRESSES]:
            self._sock = sock = socket.socket(family, kind, protocol)
            sock.settimeout(0)
            try:
                async with asyncio.timeout(limit_s):
                    await loop.sock_connect(sock, address)
            except OSError as problem:
                sock.close()
                reason = why_unreachable(problem, self._at)
            else:
                return sock
        raise _NotReached(reason)

    async def _shake_hands(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, self._outward.read())
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(sock, self._outward.read())  # The alert that tells the venue why.
                raise
            else:
                await loop.sock_sendall(sock, self._outward.read())
                return
            if data := await loop.sock_recv(sock, CHUNK):
                self._inward.write(data)
            else:
                self._inward.write_eof()

    def _from_client(self, data: bytes) -> None:
        """Encrypt what the client said, or keep it until the venue is reached."""
        if not self._is_joined:
            self._early += data
        elif not self._venue.is_broken:
            while data:
                data = data[self._tls.write(data) :]
            self._venue.send(self._outward.read())

    def _from_venue(self, data: bytes) -> None:
        """Decrypt everything that has come; what OpenSSL itself answers goes back."""
        self._inward.write(data)
        plain, is_altered = [], False
        try:
            while piece := self._tls.read(CHUNK):
                plain.append(piece)
            self._venue.has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._venue.has_ended = True
        except ssl.SSLError as problem:
            self._venue.has_ended = is_altered = True
            self._relay.tell(why_no_tls(problem, self._at, self._relay.host))
        if plain:
            self._has_spoken = True
            self._relay.note_spoken()
            self.client.send(b"".join(plain))
        elif self._venue.has_ended and not (self._has_spoken or is_altered or self.client.has_ended):
            remedy = "check the CompIDs, the credentials and `client_cert`, and whether the venue is open"
            self._relay.tell(f"{self._at} closed the connection without a word: {remedy}")
        self._venue.send(self._outward.read())
        if is_altered:
            self._venue.drop()

    def _settle(self) -> None:
        """Pass ends on, decide who may be read, and see whether all is done."""
        client = self.client
        if not self._is_joined:
            client.listen(is_wanted=not client.has_ended and len(self._early) < CHUNK)
            return
        venue = self._venue
        if client.has_ended and not self._is_end_passed:
            self._is_end_passed = True
            if not venue.is_broken:
                with contextlib.suppress(ssl.SSLError):
                    self._tls.unwrap()
            venue.send(self._outward.read())
            venue.finish()
        if venue.has_ended:
            client.finish()
        client.listen(is_wanted=not client.has_ended and not venue.is_busy)
        venue.listen(is_wanted=not venue.has_ended and not client.is_busy)
        if client.has_ended and venue.has_ended and not client.is_busy and not venue.is_busy:
            self._over.set()
        elif (client.has_ended or venue.has_ended) and self._timer is None:
            self._watch()

    def _watch(self) -> None:
        """Cut a connection whose one side is gone when nothing has moved for a while."""
        moved = self.client.moved + self._venue.moved
        if moved == self._moved:
            self._over.set()
        else:
            self._moved = moved
            self._timer = asyncio.get_running_loop().call_later(self._relay.linger_s, self._watch)
