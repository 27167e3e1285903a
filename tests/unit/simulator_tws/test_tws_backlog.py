from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from patience import PATIENCE_S, turns
from tws_desk import Tws, contract

from simulator.tws import server
from simulator.tws.frames import frame


@pytest.fixture
async def here(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[server.Server]:
    """A TWS in this process that keeps little for a client that does not read."""
    monkeypatch.setattr(server, "MAX_BACKLOG", 1 << 14)
    made = server.Server(Tws().desk, server.Limits(max_rate=0))
    await made.start(0)
    yield made
    await made.stop()
    await turns()


async def test_a_client_that_does_not_read_is_cut_in_the_end(here: server.Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port, limit=1 << 10)
    writer.write(b"API\0\0\0\0\x09v157..178" + frame(["71", "2", "1", ""]))
    assert int.from_bytes(await reader.readexactly(4)) > 4
    question = frame(["9", "8", "1", *contract(), "0", "", "", ""]) * 100
    async with asyncio.timeout(PATIENCE_S):
        while here.peers:
            writer.write(question)
            await asyncio.sleep(0)
    writer.transport.abort()


async def test_a_silence_keeps_only_so_much_of_what_comes(here: server.Server) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", here.port)
    here.silence(30)
    writer.write(b"x" * (1 << 16))
    async with asyncio.timeout(PATIENCE_S):
        for expected in (1, 0):
            while len(here.peers) != expected:  # noqa: ASYNC110 - a connection's end has no event
                await asyncio.sleep(0.001)
    writer.transport.abort()


async def test_a_client_that_is_hung_up_on_while_it_speaks_still_reads_the_last_words(
    here: server.Server,
) -> None:
    """What it has said and nobody has read would reset the connection, and take those words with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    writer.write(b"API\0\0\0\0\x09v157..178")
    assert int.from_bytes(await reader.readexactly(4)) > 4
    (peer,) = here.peers
    writer.write(frame(["49", "1"]) * 100)  # in the system's hands; this turn of the loop reads no socket
    peer.write(["4", "2", "-1", "100", "last words"])
    peer.close()
    async with asyncio.timeout(PATIENCE_S):
        for _ in range(3):
            writer.write(frame(["49", "1"]))
            await asyncio.sleep(0.02)
        assert (await reader.read()).endswith(b"last words\0")
    writer.close()
    await writer.wait_closed()
