"""What single venues have besides plain orders: blocks, activated users, an order that closes a position."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal

import pytest
from broker_ground import Ground

from adapters.fix.broker import FixBroker
from adapters.fix.dialects.notices import PositionInfo
from gateway.domain.order import OrdStatus, OrdType, Side
from gateway.events import LinkNoticed, ReportUnreadable
from simulator.control import ask

Grounds = Callable[[str, str], AbstractAsyncContextManager[Ground]]


def logged(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if words in record.getMessage()]


async def test_a_block_is_allocated_to_its_account(
    grounds: Grounds, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with grounds("saxo", 'block_account = "BLOCK"\n') as ground:
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until(
            lambda: [one.ord_status for one in ground.reports(spec)][-1:] == [OrdStatus.FILLED]
        )
        executions = sum(1 for one in ground.reports(spec) if one.exec_type.is_trade)
        words = f"allocation {spec.cl_ord_id}: status"
        await ground.until(lambda: len(logged(caplog, words)) == 2 + executions)
        assert [one[-1] for one in logged(caplog, words)] == ["3", "0", *("0" * executions)]
        (account,) = ask(ground.stage.control_port, "record")["accounts"].values()
        assert account["positions"][spec.symbol] == str(spec.order_qty)
        resting = ground.order()
        ground.submit(resting)
        await ground.until(lambda: bool(ground.reports(resting)))
        ground.cancel(resting)
        await ground.until(lambda: ground.last(resting).ord_status is OrdStatus.CANCELED)
        assert not [one for one in ground.said if isinstance(one, LinkNoticed | ReportUnreadable)]


async def test_a_refused_block_is_an_alert_before_its_rejection(grounds: Grounds) -> None:
    async with grounds("saxo", 'block_account = "BLOCK"\naccounts = { main = "NOBODY" }\n') as ground:
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until(lambda: bool(ground.reports(spec)))
        (refused,) = [one for one in ground.said if isinstance(one, LinkNoticed)]
        assert f"the allocation of {spec.cl_ord_id} was refused" in refused.text
        assert ground.last(spec).ord_status is OrdStatus.REJECTED


@pytest.mark.parametrize(("asked", "missing"), [("all", ""), ("main", ""), ("GONE", "GONE")])
async def test_who_is_activated_is_asked_after_logon(
    grounds: Grounds, caplog: pytest.LogCaptureFixture, asked: str, missing: str
) -> None:
    caplog.set_level("INFO")
    async with grounds("dukascopy", f'activation = "{asked}"\n') as ground:
        await ground.until(lambda: bool(logged(caplog, "activated: ")))
        (told,) = logged(caplog, "activated: ")
        assert told.endswith("nobody") if missing else told.endswith("(main)")
        await asyncio.sleep(0.1)
        noticed = [one.text for one in ground.said if isinstance(one, LinkNoticed)]
        assert noticed == ([f"no user is activated for account {missing}"] if missing else [])


async def test_a_whole_position_is_closed_as_one(grounds: Grounds) -> None:
    async with grounds("dukascopy", "close_exposure = true\n") as ground:
        bought = ground.marketable(order_qty=Decimal(1000))
        ground.submit(bought)
        broker = ground.broker
        assert isinstance(broker, FixBroker)

        def held() -> Decimal | None:
            stated = broker.told.stated.get(("main", bought.symbol))
            return stated.qty if isinstance(stated, PositionInfo) else None

        await ground.until(lambda: held() == Decimal(1000))
        parts = {"symbol": bought.symbol, "side": Side.SELL, "ord_type": OrdType.MARKET, "price": None}
        part = ground.order(**parts, order_qty=Decimal(400))
        ground.submit(part)
        await ground.until(lambda: held() == Decimal(600))
        rest = ground.order(**parts, order_qty=Decimal(600))
        ground.submit(rest)
        await ground.until(lambda: held() == 0)
        await ground.until(lambda: ground.last(rest).ord_status is OrdStatus.FILLED)
        assert (ground.last(part).cum_qty, ground.last(rest).cum_qty) == (Decimal(400), Decimal(600))
