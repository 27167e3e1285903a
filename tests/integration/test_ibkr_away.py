"""What happened in TWS while no gateway was there, and sockets that break at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from ibkr_ground import OURS, Ground, grounds

from adapters.ibkr.library import ConnectFailed, Tws
from adapters.ibkr.ports import Ports
from adapters.ibkr.quotes import IbkrQuotes
from gateway.domain.order import OrdStatus, Side
from gateway.events import LinkNoticed
from gateway.runtime.clock import SystemClock

BY_HAND = "--fills-by-hand"


@pytest.fixture
async def by_hand(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, BY_HAND) as made:
        yield made


@pytest.mark.parametrize(("side", "price", "is_worse"), [
    (Side.BUY, "91", True), (Side.BUY, "89", False), (Side.SELL, "118", True), (Side.SELL, "121", False),
])  # fmt: skip
async def test_a_worse_limit_of_a_time_without_a_gateway_is_told_once(
    by_hand: Ground, side: Side, price: str, is_worse: bool
) -> None:
    await by_hand.start()
    spec = by_hand.order(symbol="CCC", side=side, price=Decimal(90 if side is Side.BUY else 120))
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    await by_hand.stop()
    by_hand.tell("amend", cl_ord_id=spec.cl_ord_id, price=price)
    await by_hand.start()
    for _ in range(2):
        told = len(by_hand.reports(spec))
        by_hand.look_up(spec)
        await by_hand.until(lambda told=told: len(by_hand.reports(spec)) > told)
    texts = [one.text for one in by_hand.heard(LinkNoticed)]
    assert [f"is {price} now: somebody changed it in TWS" in one for one in texts] == [True] * is_worse


async def test_a_socket_that_breaks_behind_an_answer_costs_a_connection_and_no_link(
    by_hand: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await by_hand.start()
    broken = list[str]()

    def end_positions(tws: Tws) -> None:
        if not broken:
            broken.append("now")
            tws.close()  # as when the peer's FIN comes with the last message of the answer
        tws._client.cancelPositions()

    monkeypatch.setattr(Tws, "end_positions", end_positions)
    by_hand.tell("drop", client=OURS)
    await by_hand.until(lambda: by_hand.ups() == 2)
    assert broken
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)


async def test_a_port_that_moved_is_followed_by_the_prices_too_and_back_again(by_hand: Ground) -> None:
    ports = Ports(by_hand.stage.port)
    settings = replace(by_hand.settings, client_id=12)
    source = IbkrQuotes(settings, ("AAA",), SystemClock().now, interval_s=0.1, ports=ports)
    await source.start(0)
    batches = source.events()
    await anext(batches)
    moved = by_hand.tell("move")["port"]
    by_hand.tell("price", symbol="AAA", price="105")
    found = await asyncio.wait_for(anext(batches), 10)
    assert round(found[0].prices["AAA"]) == 105
    assert ports.now == moved
    await asyncio.to_thread(by_hand.stage.kill, "venue")
    await asyncio.to_thread(by_hand.stage.start_venue)  # where it listened first, and nobody says so
    by_hand.tell("price", symbol="AAA", price="110")
    found = await asyncio.wait_for(anext(batches), 10)
    assert round(found[0].prices["AAA"]) == 110
    await source.stop()


async def test_a_socket_that_breaks_in_the_greeting_is_no_long_wait() -> None:
    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(30):  # the peer's reset may come before, amid and after the library's own steps
        async with asyncio.timeout(20):
            with pytest.raises(ConnectFailed):
                await Tws(lambda _message: None).connect("127.0.0.1", port, OURS, timeout_s=60)
    server.close()
    await server.wait_closed()
