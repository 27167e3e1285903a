"""The whole gateway over Alpaca, on a bad line: three processes, weights on the stream, fills in the book."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from gateway.cli.demo import compare_with_venue
from gateway.client import GatewayClient
from gateway.events import RequestState
from simulator.control import ask
from simulator.household import Household, stage_for, write_household
from simulator.stage import ALPACA, Stage, free_port

NAMES = 24
CHAOS = "post_504_after=0.1,post_reset_after=0.1,post_504_before=0.05,stream_drop=0.05,duplicate_event=0.05"
QUOTES = '\n[quotes.latest]\nkind = "alpaca"\nof = "sim"\ninterval_s = 1\n'


@pytest.fixture(scope="module")
def household(tmp_path_factory: pytest.TempPathFactory) -> Household:
    return write_household(
        tmp_path_factory.mktemp("alpaca"), NAMES, 5, 0, lookup_wait_s=0.3, is_alpaca=True,
        link=f"activities_s = 1\n{QUOTES}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def stage(household: Household) -> Iterator[Stage]:
    """A household whose buys only its sells can pay for."""
    options = ["--chaos", CHAOS, "--requests-per-min", "100000", "--partials", "2", "--fill-delay-ms", "10"]
    made = stage_for(household, free_port(), options, dialect=ALPACA)
    try:
        made.start_redis()
        made.start_venue()
        made.start_gateway()
        yield made
    finally:
        made.close()


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[GatewayClient]:
    async with GatewayClient(stage.folder / "state", "stage") as one:
        yield one


async def until(what: Callable[[], Any], stage: Stage) -> Any:
    """Ask until there is an answer."""
    for _ in range(600):
        if found := await what():
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(stage.log("gateway")[-3000:])


async def ended(client: GatewayClient, stage: Stage, name: str) -> dict[str, Any]:
    async def state() -> dict[str, Any] | None:
        found = await client.request(name)
        is_over = found is not None and RequestState(str(found["state"])).is_final
        return found if is_over else None

    found: dict[str, Any] = await until(state, stage)
    return found


async def test_a_basket_on_a_bad_line_is_each_order_once_and_one_book(
    stage: Stage, household: Household, client: GatewayClient
) -> None:
    weights = dict.fromkeys(household.symbols, f"{0.95 / NAMES:.6f}")
    await client.submit(weights, account="main", request_id="basket", lifetime_s=600)
    found = await ended(client, stage, "basket")
    assert found["state"] == "done", found
    record = stage.record()
    intended = {one["cl_ord_id"]: one for one in await client.orders("basket")}
    at_venue = {one["cl_ord_id"]: one for one in record["orders"]}
    assert len(record["orders"]) == len(at_venue)
    assert set(at_venue) == set(intended)
    assert all(
        Decimal(one["cum_qty"]) == Decimal(intended[name]["order_qty"]) for name, one in at_venue.items()
    )
    sides = [one["side"] for one in record["orders"]]
    assert sides == sorted(sides, reverse=True), "sells first, then what they paid for"
    assert len(set(sides)) == 2

    async def is_equal() -> bool:
        return not compare_with_venue(await client.book() or {"accounts": {}}, stage.record())

    await until(is_equal, stage)
    struck = ask(stage.control_port, "struck")["struck"]
    assert struck.get("post_504_after", 0) + struck.get("post_reset_after", 0) > 0


async def test_an_asset_that_turned_inactive_and_money_that_is_gone_fail_no_basket(
    stage: Stage, household: Household, client: GatewayClient
) -> None:
    """Take half the money at the venue behind our back, and let one name be delisted: the rest trades."""
    gone, left = household.symbols[0], household.symbols[1:]
    ask(stage.control_port, "deactivate", symbol=gone)
    before = await client.book()
    assert before is not None
    cash = Decimal(before["accounts"]["main"]["cash"])
    taken = (cash / 2).quantize(Decimal("0.01"))
    ask(stage.control_port, "activity", kind="FEE", cash=str(-taken), date="2000-01-01")

    async def is_known() -> bool:
        return "buys are cut to that" in stage.log("gateway")

    await until(is_known, stage)
    weights = {symbol: f"{0.9 / len(left):.6f}" for symbol in left} | {gone: "0"}
    await client.submit(weights, account="main", request_id="delisted", lifetime_s=600)
    found = await ended(client, stage, "delisted")
    assert found["state"] == "done", found
    orders = {one["symbol"]: one for one in await client.orders("delisted")}
    assert orders[gone]["ord_status"] == "REJECTED"
    assert "inactive" in orders[gone]["text"] or "not active" in orders[gone]["text"]
    others = [one["ord_status"] for symbol, one in orders.items() if symbol != gone]
    assert others.count("FILLED") == len(others) > 0
    ask(stage.control_port, "activate", symbol=gone)
    ask(stage.control_port, "activity", kind="FEE", cash=str(taken), date="2000-01-01")


async def test_a_dividend_is_booked_and_a_spin_off_halts_for_a_person(
    stage: Stage, household: Household, client: GatewayClient
) -> None:
    async def account() -> dict[str, Any]:
        book = await client.book()
        assert book is not None
        found: dict[str, Any] = book["accounts"]["main"]
        return found

    before, tomorrow = Decimal((await account())["cash"]), "2099-01-01"
    symbol = household.symbols[0]
    arguments = {"symbol": symbol, "qty": "10", "date": tomorrow}
    ask(stage.control_port, "activity", kind="DIV", cash="12.34", **arguments)

    async def is_booked() -> bool:
        return Decimal((await account())["cash"]) == before + Decimal("12.34")

    await until(is_booked, stage)
    ask(stage.control_port, "activity", kind="SPIN", **arguments)

    async def is_halted() -> bool:
        return symbol in str((await client.status() or {})["halts"])

    await until(is_halted, stage)
    assert f"SPIN +10 {symbol}: state the spin-off with `gateway spin-off" in stage.log("gateway")
