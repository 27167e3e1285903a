from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from simulator.stage import free_port, let_go

HERE = "127.0.0.1"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept for another process")
async def test_a_port_is_kept_for_its_server_and_from_everybody_else() -> None:
    """Many tests, and many connections of each, take ports between a choice and the start of its server."""
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HERE, port)
    for _ in range(2):  # its server may be started again
        server = await asyncio.start_server(lambda _, writer: writer.close(), HERE, port)
        reader, writer = await asyncio.open_connection(HERE, port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((HERE, port))
    let_go(port)
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind((HERE, port))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be kept for another process")
def test_the_system_gives_a_kept_port_to_nobody() -> None:
    """Neither to who asks for any port, reusing addresses or not, nor to a connection on its way out."""
    kept = {free_port() for _ in range(200)}
    given: set[int] = set()
    with socket.create_server((HERE, 0)) as listener:
        for number in range(2_000):
            with socket.socket() as one:
                if number % 5:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, number % 2)
                    one.bind((HERE, 0))
                else:
                    one.connect(listener.getsockname())
                    listener.accept()[0].close()
                given.add(one.getsockname()[1])
    assert not kept & given
    let_go(*kept)
