"""Time the TLS relay adds to a message's round trip, beside a plain and a direct TLS connection.

An echo server (plain and TLS 1.3) and the relay run in a process of their own each, with uvloop as the
gateway does; the client is a blocking socket here, as quickfix's is. Each round sends 160 bytes and
waits for them to come back. The three ways take turns in blocks, so that what else the machine does
hits all of them alike.

Run: ``python benchmarks/relay.py [--rounds 20000]``. The last line is one JSON object, times in us.
Needs the development extra (`trustme` makes the certificates).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import ssl
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import trustme
import uvloop

from adapters.fix.relay import TlsRelay, TlsSettings

MESSAGE = b"8=FIX.4.4|".ljust(160, b"x")
BLOCK = 500
NAME = "fix.venue.example"


class Echo(asyncio.Protocol):
    """Send everything back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(data)


async def serve_echo(folder: Path) -> list[int]:
    """Open a plain and a TLS echo server; return their ports."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "venue.pem")
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Echo, "127.0.0.1", 0, ssl=kind) for kind in (None, context)]
    return [server.sockets[0].getsockname()[1] for server in servers]


async def serve_relay(folder: Path, port: int) -> list[int]:
    """Open the relay; return its port."""
    settings = TlsSettings(ca_file=folder / "ca.pem", server_name=NAME)
    return [await TlsRelay("127.0.0.1", port, settings).start()]


def in_process(link: Connection, serve: Callable[..., Any], *arguments: object) -> None:
    """Serve until the process is ended."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        link.send(runner.run(serve(*arguments)))
        runner.get_loop().run_forever()


def start(serve: Callable[..., Any], *arguments: object) -> list[int]:
    """Start a process that serves; return the ports it listens on."""
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.Process(target=in_process, args=(theirs, serve, *arguments), daemon=True).start()
    ports: list[int] = ours.recv()
    return ports


def connect(port: int) -> socket.socket:
    """Connect without Nagle's delay."""
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def measure(sock: socket.socket) -> list[float]:
    """Return the round trips of one block in microseconds."""
    found = []
    for _ in range(BLOCK):
        began = time.perf_counter()
        sock.sendall(MESSAGE)
        left = len(MESSAGE)
        while left:
            left -= len(sock.recv(left))
        found.append((time.perf_counter() - began) * 1e6)
    return found


def main() -> None:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, ca = Path(name), trustme.CA()
        ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        ca.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(str(folder / "venue.pem"))
        plain, tls = start(serve_echo, folder)
        (relay,) = start(serve_relay, folder, tls)
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        ways = {
            "plain": connect(plain),
            "tls": context.wrap_socket(connect(tls), server_hostname=NAME),
            "relay": connect(relay),
        }
        found: dict[str, list[float]] = {way: [] for way in ways}
        for sock in ways.values():
            measure(sock)
        for _ in range(max(1, options.rounds // BLOCK)):
            for way, sock in ways.items():
                found[way] += measure(sock)
        for sock in ways.values():
            with closing(sock):
                pass
    result: dict[str, float] = {}
    print(f"{'way':8}{'p50 us':>10}{'p99 us':>10}")
    for way, times in found.items():
        result[f"{way}_p50_us"] = round(statistics.median(times), 1)
        result[f"{way}_p99_us"] = round(statistics.quantiles(times, n=100)[98], 1)
        print(f"{way:8}{result[f'{way}_p50_us']:>10}{result[f'{way}_p99_us']:>10}")
    result["added_p50_us"] = round(result["relay_p50_us"] - result["plain_p50_us"], 1)
    result["added_to_tls_p50_us"] = round(result["relay_p50_us"] - result["tls_p50_us"], 1)
    print(json.dumps({"benchmark": "relay", "rounds": len(found["relay"]), "bytes": len(MESSAGE)} | result))


if __name__ == "__main__":
    main()
