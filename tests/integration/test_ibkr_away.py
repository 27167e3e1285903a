"""What happened in TWS while no gateway was there, and sockets that break at the worst moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from ibkr_ground import OURS, Ground, grounds

from adapters.ibkr.library import Tws
from gateway.domain.order import OrdStatus, Side
from gateway.events import LinkNoticed

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
