"""The TLS relay against real TLS servers: good ones, false ones, silent ones, and quickfix through it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import random
import socket
import ssl
import struct
import threading
import time
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID
from fix_desk_venue import Listener, Venue, open_venue, order, session_to
from patience import PATIENCE_S, at_rest, turns, until

from adapters.fix import relay as relay_module
from adapters.fix.engine import ChildEngine, Down, Up
from adapters.fix.relay import TlsRelay, TlsSettings
from adapters.fix.sockets import End, tune
from adapters.fix.spool import Spooled
from gateway.errors import ConfigError
from simulator.stage import free_port, let_go

NAME = "fix.venue.example"
MEGABYTE = 1_000_000
BIG = random.Random(7).randbytes(10 * MEGABYTE)
NOW = datetime.now(UTC)
LONG_S = 2 * PATIENCE_S
"""Longer than a test has patience: what ends has not waited for this."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Relayed = tuple[TlsRelay, int, list[str]]


@dataclass
class Certificates:
    """A venue's authority, the servers it vouches for, and some it does not."""

    folder: Path
    ca: trustme.CA
    ca_file: Path

    def server(self, *names: str, **changes: Any) -> ssl.SSLContext:
        return serving(self.ca.issue_cert(*(names or (NAME,)), **changes))

    def trusting(self, **changes: Any) -> TlsSettings:
        return TlsSettings(**({"ca_file": self.ca_file, "server_name": NAME} | changes))


def serving(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder, ca = tmp_path_factory.mktemp("certificates"), trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    return Certificates(folder, ca, folder / "ca.pem")


def self_signed(folder: Path) -> Path:
    """Write a certificate that vouches for itself, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "self.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
    return path


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def venue(context: ssl.SSLContext | None, handler: Handler = echo) -> AsyncIterator[int]:
    served: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served[asyncio.current_task()] = writer  # type: ignore[index]
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        for task, writer in served.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*served, return_exceptions=True)
        await turns()  # the transports close


@asynccontextmanager
async def relayed(port: int, settings: TlsSettings, **changes: Any) -> AsyncIterator[Relayed]:
    problems: list[str] = []
    relay = TlsRelay(changes.pop("host", "127.0.0.1"), port, settings, problems.append, **changes)
    try:
        yield relay, await relay.start(), problems
    finally:
        await relay.stop()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def ask(port: int, data: bytes) -> bytes:
    """Send and return as much as was sent, or what came before the end."""
    async with connected(port) as (reader, writer):
        writer.write(data)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            return await reader.readexactly(len(data))
    return b""


@contextmanager
def blocking_venue(context: ssl.SSLContext, serve: Callable[[ssl.SSLSocket], None]) -> Iterator[int]:
    """Serve with blocking sockets, which know half-closed connections and send every alert."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                plain, _ = listener.accept()
                if is_over.is_set():
                    return plain.close()
                with (
                    plain, contextlib.suppress(ssl.SSLError, ConnectionError),
                    context.wrap_socket(plain, server_side=True) as wrapped,
                ):  # fmt: skip
                    serve(wrapped)

        is_over = threading.Event()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        is_over.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def read_to_the_end(sock: ssl.SSLSocket) -> bytes:
    heard = bytearray()
    while data := sock.recv(65_536):
        heard += data
    return bytes(heard)


async def transfer_both_ways(certificates: Certificates) -> None:
    async with (
        venue(certificates.server()) as port,
        relayed(port, certificates.trusting()) as (_, local, problems),
        connected(local) as (reader, writer),
    ):
        writer.write(BIG)
        back = await reader.readexactly(len(BIG))
        assert hashlib.sha256(back).digest() == hashlib.sha256(BIG).digest()
        assert problems == []


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_ten_megabytes_go_and_come_back_unaltered(
    certificates: Certificates, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(transfer_both_ways(certificates))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("ends", ["with a close_notify", "without a word"])
async def test_what_the_venue_said_before_it_closed_arrives_whole(
    certificates: Certificates, version: ssl.TLSVersion, ends: str
) -> None:
    def speak_and_close(sock: ssl.SSLSocket) -> None:
        assert sock.recv(5) == b"logon"
        sock.sendall(BIG)
        if ends == "with a close_notify":
            sock.unwrap()

    context = certificates.server()
    context.maximum_version = version
    with blocking_venue(context, speak_and_close) as port:
        async with (
            relayed(port, certificates.trusting()) as (relay, local, problems),
            connected(local) as (reader, writer),
        ):
            writer.write(b"logon")
            await asyncio.sleep(0.1)  # a slow reader: the venue is done long before us
            back = await reader.read(-1)
            assert hashlib.sha256(back).digest() == hashlib.sha256(BIG).digest()
            assert problems == []
            writer.close()
            await until(lambda: not relay._pipes)


async def test_what_the_client_said_before_it_closed_arrives_whole(certificates: Certificates) -> None:
    heard = hashlib.sha256()
    is_over = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            heard.update(data)
            await asyncio.sleep(0)
        is_over.set()

    async with (
        venue(certificates.server(), listen) as port,
        relayed(port, certificates.trusting()) as (_, local, problems),
    ):
        async with connected(local) as (_, writer):
            writer.write(BIG)
        async with asyncio.timeout(PATIENCE_S):
            await is_over.wait()
        assert heard.digest() == hashlib.sha256(BIG).digest()
        assert problems == []


async def test_a_half_closed_connection_still_brings_the_answer(certificates: Certificates) -> None:
    asked: list[int] = []

    def answer(sock: ssl.SSLSocket) -> None:
        sock.sendall(BIG[:MEGABYTE])
        asked.append(len(read_to_the_end(sock)))
        sock.sendall(BIG[MEGABYTE:])

    with blocking_venue(certificates.server(), answer) as port:
        async with (
            relayed(port, certificates.trusting()) as (_, local, problems),
            connected(local) as (reader, writer),
        ):
            writer.write(BIG)
            writer.write_eof()
            back = await reader.read(-1)
            assert asked == [len(BIG)]
            assert hashlib.sha256(back).digest() == hashlib.sha256(BIG).digest()
            assert problems == []


async def test_a_question_half_closed_before_the_venue_is_reached_is_answered(
    certificates: Certificates,
) -> None:
    def answer(sock: ssl.SSLSocket) -> None:
        sock.sendall(read_to_the_end(sock).upper())

    with blocking_venue(certificates.server(), answer) as port:
        async with (
            relayed(port, certificates.trusting()) as (_, local, _),
            connected(local) as (reader, writer),
        ):
            writer.write(b"logon")
            writer.write_eof()
            assert await reader.read(-1) == b"LOGON"


async def test_who_reads_slowly_slows_the_sender_down(certificates: Certificates) -> None:
    sent = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(8):
            for start in range(0, len(BIG), 50_000):
                writer.write(BIG[start : start + 50_000])
                await writer.drain()
                sent += 50_000

    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        async with (
            venue(certificates.server(), pour) as port,
            relayed(port, certificates.trusting()) as (relay, local, _),
        ):
            client.settimeout(0)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", local))
            await until(lambda: sent)
            assert await at_rest(lambda: sent) < 8 * len(BIG)
            (pipe,) = relay._pipes
            assert 0 < len(pipe.client._waiting) <= 2 * relay_module.CHUNK
            size, heard, expected = 0, hashlib.sha256(), hashlib.sha256()
            while size < 8 * len(BIG):
                data = await asyncio.get_running_loop().sock_recv(client, MEGABYTE)
                heard.update(data)
                size += len(data)
            for _ in range(8):
                expected.update(BIG)
            assert heard.digest() == expected.digest()


async def test_a_venue_that_reads_nothing_stops_the_client_and_a_new_client_is_served(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "STALL_S", LONG_S)
    is_deaf = True

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not is_deaf:
            await echo(reader, writer)
            return
        await asyncio.sleep(LONG_S)  # nobody reads: the stream fills up
        writer.transport.abort()

    async with (
        venue(certificates.server(), deaf) as port,
        relayed(port, certificates.trusting(), linger_s=0.2) as (relay, local, _),
    ):
        async with connected(local) as (_, writer):
            writer.write(BIG * 2)
            await until(lambda: any(pipe._is_joined and pipe._venue.is_busy for pipe in relay._pipes))
            assert await at_rest(writer.transport.get_write_buffer_size) > 0
            (pipe,) = relay._pipes
            assert 0 < len(pipe._venue._waiting) <= 2 * relay_module.CHUNK
            assert not pipe.client.has_ended
            writer.transport.abort()
        is_deaf = False
        assert await ask(local, b"early") == b"", "the first client may still be there"
        monkeypatch.setattr(relay_module, "STALL_S", 0.1)
        for name in (b"second", b"third"):
            assert await ask(local, name) == name
        await until(lambda: not relay._pipes)
        assert pipe.task.done()


async def test_a_client_that_left_makes_room_though_nobody_reads_what_it_said(
    certificates: Certificates,
) -> None:
    async def deaf(*_: object) -> None:
        await asyncio.sleep(LONG_S)

    async with (
        venue(certificates.server(), deaf) as port,
        relayed(port, certificates.trusting(), linger_s=0.2) as (relay, local, _),
    ):
        async with connected(local) as (_, writer):
            await until(lambda: any(pipe._is_joined for pipe in relay._pipes))
            (pipe,) = relay._pipes
            while not pipe._venue.is_busy:
                writer.write(BIG[:30_000])
                await asyncio.sleep(0.001)
            writer.write(b"the last words, which the kernel still takes")
        assert not pipe.client.has_ended
        async with connected(local):
            await until(lambda: len(relay._pipes) == 2)
            await until(lambda: pipe not in relay._pipes)
            assert len(relay._pipes) == 1


@asynccontextmanager
async def gathering(port: int, pause_s: float = 0.2) -> AsyncIterator[int]:
    """Pass bytes on unaltered, but those of the venue in few large pieces."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.write_eof()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection("127.0.0.1", port)
        forwarding = asyncio.create_task(forward(reader, back))
        await asyncio.sleep(pause_s)
        while data := await onward.read(65_536):
            writer.write(data)
            await asyncio.sleep(pause_s)
        writer.write_eof()
        await forwarding
        back.close()
        await back.wait_closed()

    async with venue(None, carry) as middle:
        yield middle


async def test_what_comes_together_with_the_end_of_the_handshake_is_passed_on(
    certificates: Certificates,
) -> None:
    context = certificates.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def greet(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"welcome")
        read_to_the_end(sock)

    with blocking_venue(context, greet) as port:
        async with (
            gathering(port) as middle,
            relayed(middle, certificates.trusting()) as (_, local, _),
            connected(local) as (reader, _),
        ):
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.readexactly(7) == b"welcome"


async def test_both_sides_have_ended_but_the_client_reads_slowly(certificates: Certificates) -> None:
    answer = BIG[:125_000]

    def reply(sock: ssl.SSLSocket) -> None:
        read_to_the_end(sock)
        sock.sendall(answer)
        sock.unwrap()

    with blocking_venue(certificates.server(), reply) as port, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with (
            gathering(port) as middle,
            relayed(middle, certificates.trusting()) as (relay, local, _),
        ):
            assert relay._listener is not None
            relay._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", local))
            client.shutdown(socket.SHUT_WR)
            await until(lambda: any(pipe.client.is_busy for pipe in relay._pipes))
            await asyncio.sleep(0.5)
            back = b""
            while data := await loop.sock_recv(client, 4096):
                back += data
            assert back == answer


async def test_a_venue_that_knows_no_close_notify_sees_the_end_too(certificates: Certificates) -> None:
    ends: list[bytes] = []

    def listen(sock: ssl.SSLSocket) -> None:
        assert read_to_the_end(sock) == b"logon"
        with socket.socket(fileno=sock.detach()) as raw:
            raw.settimeout(PATIENCE_S)
            ends.append(raw.recv(1))

    with blocking_venue(certificates.server(), listen) as port:
        async with relayed(port, certificates.trusting()) as (_, local, _):
            async with connected(local) as (_, writer):
                writer.write(b"logon")
            await until(lambda: ends == [b""])


FALSE = {
    "expired": "has expired: ask the venue to renew",
    "not yet valid": "is not valid yet: set this machine's clock",
    "self-signed": "is self-signed: get it from the venue by a safe way and name it in `ca_file`",
    "unknown issuer": "an issuer this machine does not know: name the issuer's certificate in `ca_file`",
    "system store": "an issuer this machine does not know: name the issuer's certificate in `ca_file`",
    "wrong host": f"is not for {NAME}: correct `host`, or set `server_name`",
    "wrong address": "is not for 127.0.0.1: correct `host`, or set `server_name`",
    "wrong key": "which is not pinned: add it to `pinned_sha256` only if the venue announced it",
    "old version": "offers no TLS version we allow: ask the venue for TLS 1.2 or later",
    "older than we want": "offers no TLS version we allow: ask the venue for TLS 1.2 or later",
    "no TLS": "does not speak TLS: correct `port`",
    "hangs up": "closed the connection during the TLS handshake: correct `port`",
    "silent": "did not finish the TLS handshake in 0.3 s: correct `port`",
    "wants our certificate": "refused us: set `client_cert` and `client_key`",
}


def false_venue(kind: str, certificates: Certificates) -> tuple[ssl.SSLContext | None, TlsSettings]:
    good, trusting = certificates.server(), certificates.trusting()
    day = timedelta(days=1)
    if kind == "old version":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            good.minimum_version = ssl.TLSVersion.TLSv1
            good.maximum_version = ssl.TLSVersion.TLSv1
        good.set_ciphers("ALL:@SECLEVEL=0")
    elif kind == "older than we want":
        good.maximum_version = ssl.TLSVersion.TLSv1_2
    elif kind == "self-signed":
        good = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        good.load_cert_chain(self_signed(certificates.folder))
    elif kind == "wants our certificate":
        good.verify_mode = ssl.CERT_REQUIRED
        certificates.ca.configure_trust(good)
    contexts: dict[str, ssl.SSLContext | None] = {
        "expired": certificates.server(not_before=NOW - 9 * day, not_after=NOW - day),
        "not yet valid": certificates.server(not_before=NOW + day, not_after=NOW + 9 * day),
        "unknown issuer": serving(trustme.CA().issue_cert(NAME)),
        "wrong host": certificates.server("other.example"),
        "no TLS": None, "hangs up": None, "silent": None,
    }  # fmt: skip
    settings = {
        "system store": TlsSettings(server_name=NAME),
        "wrong address": certificates.trusting(server_name=None),
        "wrong key": certificates.trusting(pinned_sha256=("00" * 32,)),
        "older than we want": certificates.trusting(minimum_version="1.3"),
    }
    return contexts.get(kind, good), settings.get(kind, trusting)


@pytest.mark.parametrize("kind", FALSE)
async def test_a_venue_that_is_not_the_right_one_hears_nothing(kind: str, certificates: Certificates) -> None:
    heard = b""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "silent":
            await reader.read(-1)
        elif kind == "no TLS":
            writer.write(b"8=FIX.4.4|9=5|35=5|\r\n")
            await writer.drain()
            await reader.read(-1)
        else:
            await reader.read(10)

    def listen(sock: ssl.SSLSocket) -> None:
        nonlocal heard
        heard += read_to_the_end(sock)

    context, settings = false_venue(kind, certificates)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of it
    async with contextlib.AsyncExitStack() as opened:
        if context is None:
            port = await opened.enter_async_context(venue(None, handler))
        else:
            port = opened.enter_context(blocking_venue(context, listen))
        patience_s = 0.3 if kind == "silent" else PATIENCE_S
        relay, local, problems = await opened.enter_async_context(
            relayed(port, settings, handshake_timeout_s=patience_s)
        )
        for _ in range(2):
            async with asyncio.timeout(PATIENCE_S):
                assert await ask(local, b"logon") == b""
        await until(lambda: not relay._pipes)
        (problem,) = problems  # told once for two attempts
        assert FALSE[kind] in problem
        assert f"127.0.0.1:{port}" in problem
        assert relay.problem == problem
    assert heard == b""


async def test_a_right_key_and_a_self_signed_certificate_in_the_ca_file_are_accepted(
    certificates: Certificates,
) -> None:
    path = self_signed(certificates.folder)
    key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    pins = ("00" * 32, b64encode(digest).decode())
    settings = certificates.trusting(ca_file=path, pinned_sha256=pins)
    async with venue(context) as port, relayed(port, settings) as (_, local, problems):
        assert await ask(local, b"logon") == b"logon"
        assert problems == []


async def test_the_host_itself_is_verified_when_no_other_name_is_set(certificates: Certificates) -> None:
    settings = certificates.trusting(server_name=None)
    async with (
        venue(certificates.server("localhost")) as port,
        relayed(port, settings, host="localhost") as (_, local, problems),
    ):
        assert await ask(local, b"logon") == b"logon"
        assert problems == []


async def test_a_venue_that_wants_our_certificate_gets_it(certificates: Certificates) -> None:
    context = certificates.server()
    context.verify_mode = ssl.CERT_REQUIRED
    certificates.ca.configure_trust(context)
    ours = certificates.folder / "ours.pem"
    certificates.ca.issue_cert("us.example").private_key_and_cert_chain_pem.write_to_path(str(ours))
    settings = certificates.trusting(client_cert=ours)
    async with venue(context) as port, relayed(port, settings) as (relay, local, problems):
        assert await ask(local, b"logon") == b"logon"
        assert problems == []
        ours.unlink()
        assert await ask(local, b"logon") == b""
        await until(lambda: bool(problems))
        assert "client_cert" in problems[0]
        assert relay.problem


async def test_nobody_there_is_told_again_only_after_the_venue_had_spoken(certificates: Certificates) -> None:
    port = free_port()
    async with relayed(port, certificates.trusting()) as (relay, local, problems):
        for _ in range(3):
            assert await ask(local, b"logon") == b""
        await until(lambda: len(problems) == 1)
        assert "nobody listens" in problems[0]
        server = await asyncio.start_server(echo, "127.0.0.1", port, ssl=certificates.server())
        assert await ask(local, b"logon") == b"logon"
        assert relay.problem == ""
        server.close()
        await server.wait_closed()
        await until(lambda: not relay._pipes)
        assert await ask(local, b"logon") == b""
        await until(lambda: len(problems) == 2)
        assert problems[0] == problems[1]
    let_go(port)


async def test_a_name_that_does_not_resolve_and_an_address_that_does_not_answer(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relayed(1, certificates.trusting(), host="absent.invalid") as (_, local, problems):
        assert await ask(local, b"logon") == b""
        await until(lambda: bool(problems))
        assert "absent.invalid cannot be resolved: correct `host`" in problems[0]

    async def never(*_: object) -> None:
        await asyncio.sleep(LONG_S)

    async with relayed(1, certificates.trusting(), connect_timeout_s=0.1) as (_, local, problems):
        monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
        with socket.create_connection(("127.0.0.1", local)):
            await until(lambda: bool(problems))
        assert "does not answer: open the firewall" in problems[0]


async def test_a_second_client_is_refused_while_one_is_connected(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        venue(certificates.server()) as port,
        relayed(port, certificates.trusting()) as (_, local, problems),
    ):
        async with connected(local) as (reader, writer):
            writer.write(b"one")
            assert await reader.readexactly(3) == b"one"
            assert await ask(local, b"two") == b""
            assert "one client is connected already" in caplog.text
            writer.write(b"still")
            assert await reader.readexactly(5) == b"still"
        assert await ask(local, b"three") == b"three"
        assert problems == []


async def test_a_client_of_another_user_is_refused(
    certificates: Certificates, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "owner_of", lambda *_: 4321)
    async with (
        venue(certificates.server()) as port,
        relayed(port, certificates.trusting()) as (_, local, _),
    ):
        assert await ask(local, b"logon") == b""
        assert "another user of this machine (uid 4321)" in caplog.text


async def test_an_attempt_its_client_gave_up_makes_room_and_says_why(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "STOP_TIMEOUT_S", LONG_S)
    is_silent = True

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (reader.read(-1) if is_silent else echo(reader, writer))

    async with (
        venue(None, handler) as port,
        relayed(port, certificates.trusting(), handshake_timeout_s=LONG_S) as (
            relay,
            local,
            problems,
        ),
    ):
        async with connected(local) as (_, writer):
            writer.write(b"logon")
            await until(lambda: relay._pipes)
        (first,) = relay._pipes
        async with connected(local) as (_, writer):
            writer.write(b"logon")
            await until(lambda: first not in relay._pipes)
        assert len(relay._pipes) == 1
        (problem,) = problems
        assert "was not ready before the FIX engine gave up" in problem
        async with asyncio.timeout(PATIENCE_S):
            await relay.stop()  # an attempt does not hold it up


async def test_what_a_client_says_before_the_venue_is_reached_is_bounded(certificates: Certificates) -> None:
    async with (
        venue(None, lambda reader, _: reader.readexactly(9 * MEGABYTE)) as port,
        relayed(port, certificates.trusting(), handshake_timeout_s=LONG_S) as (relay, local, _),
        connected(local) as (_, writer),
    ):
        writer.write(BIG * 2)
        await until(lambda: relay._pipes)
        (pipe,) = relay._pipes
        await until(lambda: len(pipe._early) >= relay_module.CHUNK)
        assert await at_rest(lambda: len(pipe._early)) <= 2 * relay_module.CHUNK
        assert writer.transport.get_write_buffer_size() > 0
        writer.transport.abort()


async def test_a_venue_that_closes_without_a_word_is_told(certificates: Certificates) -> None:
    async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(5)

    async with (
        venue(certificates.server(), deaf) as port,
        relayed(port, certificates.trusting()) as (_, local, problems),
    ):
        assert await ask(local, b"logon") == b""
        assert "closed the connection without a word: check the CompIDs" in problems[0]


async def test_bytes_altered_on_the_way_end_the_connection(certificates: Certificates) -> None:
    """A stranger between us and the venue changes one record in the middle."""
    async with venue(certificates.server()) as port:

        async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward, back = await asyncio.open_connection("127.0.0.1", port)
            forward = asyncio.create_task(copy(reader, back))
            seen = 0
            while data := await onward.read(65_536):
                seen += len(data)
                writer.write(data if seen < 20_000 else data[:-1] + bytes([data[-1] ^ 1]))
            await forward

        async with (
            venue(None, stranger) as middle,
            relayed(middle, certificates.trusting()) as (relay, local, problems),
            connected(local) as (reader, writer),
        ):
            crashes: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, what: crashes.append(what))
            writer.write(b"first")
            assert await reader.readexactly(5) == b"first"
            writer.write(BIG[:100_000])
            back = await reader.read(-1)
            assert back == BIG[: len(back)]
            assert len(back) < 100_000
            writer.write(b"more")
            await until(lambda: bool(problems))
            assert "the TLS connection with" in problems[0]
            await asyncio.sleep(0.05)
            writer.write_eof()
            await until(lambda: not relay._pipes)
            assert not [what for what in crashes if "handle" in what], "no callback of ours failed"


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
        await writer.wait_closed()


async def test_stop_sends_what_the_client_said_and_closes_both_sides(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "STOP_TIMEOUT_S", LONG_S)
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"ready")
        heard.append(await reader.read(-1))

    async with (
        venue(certificates.server(), listen) as port,
        relayed(port, certificates.trusting()) as (relay, local, _),
        connected(local) as (reader, writer),
    ):
        assert await reader.readexactly(5) == b"ready"
        writer.write(b"logout")
        async with asyncio.timeout(PATIENCE_S):
            await relay.stop()  # it waits for nothing but what is under way
        assert await reader.read(-1) == b""
        await until(lambda: heard == [b"logout"])
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", local)


async def test_stop_does_not_wait_for_a_venue_that_never_closes(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "STOP_TIMEOUT_S", 0.1)

    is_stopped = threading.Event()

    def stay(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"ready")
        is_stopped.wait(LONG_S)

    with blocking_venue(certificates.server(), stay) as port:
        async with (
            relayed(port, certificates.trusting()) as (relay, local, _),
            connected(local) as (reader, _),
        ):
            assert await reader.readexactly(5) == b"ready"
            async with asyncio.timeout(PATIENCE_S):
                await relay.stop()
            assert relay._pipes == set()
            is_stopped.set()


async def test_an_end_of_one_side_that_leads_nowhere_is_cut(certificates: Certificates) -> None:
    async with (
        venue(certificates.server(), lambda reader, _: reader.readexactly(5)) as port,
        relayed(port, certificates.trusting(), linger_s=1.0) as (relay, local, _),
        connected(local) as (reader, writer),
    ):
        writer.write(b"logon")
        assert await reader.read(-1) == b""
        assert relay._pipes, "our side is still open"
        spent = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - spent < 0.1, "waiting costs nothing"
        await until(lambda: not relay._pipes)


async def test_a_full_table_of_files_is_told_and_survived(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")]

    async def flaky(listener: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", flaky)
    async with (
        venue(certificates.server()) as port,
        relayed(port, certificates.trusting()) as (_, local, problems),
    ):
        assert await ask(local, b"logon") == b"logon"
        assert "Too many open files" in problems[0]


async def test_reasons_are_remembered_within_bounds_and_logged_by_default(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    relay = TlsRelay("127.0.0.1", 1, certificates.trusting())
    for number in range(100):
        relay.tell(f"reason {number}")
        relay.tell(f"reason {number}")
    assert len(caplog.messages) == 100
    assert len(relay._told) <= relay_module.REMEMBERED
    await relay.stop()


async def test_a_file_that_cannot_serve_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ca_file .*absent\.pem"):
        await TlsRelay("127.0.0.1", 1, TlsSettings(ca_file=tmp_path / "absent.pem")).start()


class Ended:
    """One end of a connection whose other end the test holds."""

    def __init__(self, sock: socket.socket) -> None:
        tune(sock)
        self.taken: list[bytes] = []
        self.settled = asyncio.Event()
        self.end = End(sock, self.taken.append, self.settled.set)


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        yield client, server


async def test_an_end_is_passed_on_behind_everything_that_waits() -> None:
    with tcp_pair() as (ours, theirs):
        side = Ended(ours)
        side.end.send(BIG)
        side.end.finish()
        assert side.end.is_busy
        assert not side.end.is_stalled(60)
        assert side.end.is_stalled(0)
        reader, writer = await asyncio.open_connection(sock=theirs)
        assert await reader.read(-1) == BIG
        assert not side.end.is_busy
        side.end.close()
        writer.close()
        await writer.wait_closed()


async def test_a_reset_peer_is_an_end_and_swallows_what_waits() -> None:
    with tcp_pair() as (ours, theirs):
        side = Ended(ours)
        side.end._readable()
        assert not side.settled.is_set(), "there was nothing to read"
        side.end.send(BIG)
        side.end.listen(is_wanted=True)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        async with asyncio.timeout(PATIENCE_S):
            await side.settled.wait()
        assert side.end.has_left()
        await until(lambda: side.end.has_ended and not side.end.is_busy)
        assert side.taken == [b""]
        side.end.send(b"more")
        assert not side.end.is_busy
        side.end.hang_up()
        side.end.finish()
        side.end.close()


@asynccontextmanager
async def tls_before(acceptor_of: Venue, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Take TLS off in front of the simulator's acceptor."""
    assert acceptor_of.acceptor is not None
    address = acceptor_of.acceptor.address

    async def strip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outward = await asyncio.open_connection(*address)
        await asyncio.gather(copy(reader, outward), copy(inner, writer))

    async with venue(context, strip) as port:
        yield port


async def test_quickfix_logs_on_through_the_relay_and_trades(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with (
        open_venue() as desk,
        tls_before(desk, certificates.server()) as port,
        relayed(port, certificates.trusting()) as (relay, local, problems),
    ):
        engine = ChildEngine(session_to(desk, tmp_path, host="127.0.0.1", port=local))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        assert engine.send("order", "A", order("A"))
        engine.flush()
        await listener.wait_for(Spooled)
        desk.fill("A")
        await listener.wait_for(Spooled, 2)
        (pipe,) = relay._pipes
        pipe.task.cancel()  # the line breaks
        await listener.wait_for(Down)
        await listener.wait_for(Up, 2)
        await engine.stop()
        await listener.task
        await until(lambda: not relay._pipes)
        assert desk.orders == {"A": 1}
        assert problems == []


async def test_quickfix_learns_nothing_from_a_false_venue_and_we_learn_why(
    certificates: Certificates, tmp_path: Path
) -> None:
    expired = certificates.server(not_before=NOW - timedelta(9), not_after=NOW - timedelta(1))
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of it
    async with (
        open_venue() as desk,
        tls_before(desk, expired) as port,
        relayed(port, certificates.trusting()) as (_, local, problems),
    ):
        engine = ChildEngine(session_to(desk, tmp_path, host="127.0.0.1", port=local))
        engine.start(0)
        listener = Listener(engine)
        await until(lambda: bool(problems))
        await asyncio.sleep(2.5)  # quickfix comes again every second
        assert len(problems) == 1
        assert "has expired" in problems[0]
        assert not engine.send("order", "A", order("A"))
        await engine.stop()
        await listener.task
        assert not [one for one in listener.seen if isinstance(one, Up)]
