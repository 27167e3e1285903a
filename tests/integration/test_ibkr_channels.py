"""One household at IBKR over two channels: TWS and FIX, one market, one account of the broker behind both.

Neither channel shows anything of the other's orders; positions and cash are the account's, of both together.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from patience import PATIENCE_S, until

from adapters.ibkr.library import ib
from gateway.client import GatewayClient
from gateway.config import load
from gateway.engine import Engine
from gateway.events import (
    CancelRequested,
    HaltRequested,
    LinkUp,
    OrderAbandoned,
    OrdersPlanned,
    OrderUnknown,
    PositionStated,
    RequestState,
)
from gateway.runtime.connect import view_client
from gateway.runtime.embedded import socket_path
from gateway.runtime.keys import Keys
from gateway.runtime.store import Journal
from simulator.control import ask
from simulator.stage import TWS, Stage, free_port, let_go

T = TypeVar("T")
CODE, NAMES, CASH = "DU1", 40, 400_000
GATEWAY = """
household = "two"
state_folder = "{state}"
accounts_file = "accounts.toml"
instruments_file = "instruments.toml"
[links.sim]
kind = "ibkr"
environment = "simulator"
accounts = {{ sat = "DU1", core = "DU1" }}
positions_s = 1
[links.fix]
environment = "simulator"
dialect = "ibkr"
begin_string = "FIX.4.2"
sender_comp_id = "GATEWAY"
target_comp_id = "IB"
port = {fix_port}
heartbeat_s = 5
[links.fix.venue]
accounts = {{ core = "DU1" }}
"""
ACCOUNT = """
[{name}]
link = "{link}"
opening_cash = {cash}
opening_lots = "{name}.csv"
taxable = true
[{name}.limits]
max_order_notional = 100000000
max_order_nav_share = 1
max_orders_per_request = 10000
price_max_age_s = 86400
[{name}.costs]
commission_per_share = 0.005
commission_minimum = 1
[{name}.execution]
limit_offset_bps = 50
lookup_wait_s = 0.3
wave_timeout_s = 60
[{name}.decision]
policy = "triggers"
risk_aversion = 1000000
[{name}.monitoring]
is_on = false
"""
LINKS = {"sat": "sim", "core": "fix"}
COSTS = ["--commission-per-share", "0.005"]


@dataclass
class TwoChannels(Stage):
    """A stage whose venue is IBKR by both its channels, as one process."""

    fix_port: int = field(default_factory=free_port)
    fix_control: int = field(default_factory=free_port)

    def _tws_command(self) -> list[str]:
        return [
            sys.executable, "-m", "simulator", "ibkr", "--port", str(self.port),
            "--control-port", str(self.control_port), "--store", str(self.folder / "tws"),
            "--prices", str(self.prices), "--accounts", str(self.accounts), *COSTS, "--commission-min", "1",
            "--fill-delay-ms", "30", "--partials", "3",
            "--", "--port", str(self.fix_port), "--control-port", str(self.fix_control),
            "--store", str(self.folder / "fix"), "--comp-id", "IB", "--accept", "FIX.4.2:GATEWAY",
            "--dialect", "ibkr", *COSTS, "--commission-minimum", "1",
            "--fill-delay-ms", "30", "--partials", "3",
        ]  # fmt: skip

    def orders(self) -> dict[str, list[dict[str, Any]]]:
        """What each channel has."""
        ports = {"sim": self.control_port, "fix": self.fix_control}
        return {link: ask(port, "record")["orders"] for link, port in ports.items()}

    def move(self, prices: dict[str, Decimal], by: str) -> None:
        """Move the one market, and let both channels look at their resting orders."""
        for symbol, px in prices.items():
            for port in (self.control_port, self.fix_control):
                answer = ask(port, "price", symbol=symbol, price=f"{px * Decimal(by):.2f}")
                assert "error" not in answer, answer


@dataclass
class House:
    """The stage, and what the household holds at the start."""

    stage: TwoChannels
    prices: dict[str, Decimal]
    cash: dict[str, Decimal]

    @property
    def state_folder(self) -> Path:
        return self.stage.folder / "state"

    def client(self) -> GatewayClient:
        return GatewayClient(self.state_folder, "two")

    async def journal(self) -> tuple[Engine, list[Any]]:
        """Replay the journal; return the engine and every event."""
        redis = view_client(f"unix://{socket_path(self.state_folder)}")
        engine, events = Engine(load(self.stage.config).settings()), []
        async for _, event in Journal(redis, Keys("two"), 0, "reader").read():
            engine.replay(event)
            events.append(event)
        await redis.aclose()
        return engine, events

    async def until_done(self, *request_ids: str) -> dict[str, Any]:
        """Wait until requests have ended; return their read models."""

        async def found() -> dict[str, Any] | None:
            async with self.client() as client:
                bodies = {one: await client.request(one) for one in request_ids}
            ended = (one is not None and RequestState(one["state"]).is_final for one in bodies.values())
            return bodies if all(ended) else None

        return await self.until(found)

    async def until_up(self) -> None:
        """Wait until both channels are up again."""

        async def is_so() -> bool:
            async with self.client() as client:
                status = await client.status()
            return status is not None and all(one["is_up"] for one in status["links"].values())

        await self.until(is_so)

    async def until(self, is_so: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_S
        while not (found := await is_so()):
            assert loop.time() < end, self.stage.log("gateway")[-3000:]
            await asyncio.sleep(0.1)
        return found


def lay_out(folder: Path) -> House:
    """Write a household of two accounts that are one at the broker; LOSS is under water in `sat`."""
    rng = random.Random(3)
    symbols = [f"S{number:02d}" for number in range(NAMES)]
    prices = {symbol: Decimal(rng.randint(2_000, 20_000)) / 100 for symbol in symbols} | {"LOSS": Decimal(50)}
    held = {
        "sat": dict.fromkeys(symbols[: NAMES // 2], 200) | {"LOSS": 100},
        "core": dict.fromkeys(symbols[NAMES // 4 :], 150),
    }
    stage = TwoChannels(
        folder=folder, config=folder / "gateway.toml", prices=folder / "prices.csv",
        accounts=folder / "venue-accounts.json", dialect=TWS,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    written = GATEWAY.format(state=folder / "state", fix_port=stage.fix_port)
    stage.config.write_text(written, encoding="utf-8")
    accounts = "".join(ACCOUNT.format(name=one, link=link, cash=CASH) for one, link in LINKS.items())
    (folder / "accounts.toml").write_text(accounts, encoding="utf-8")
    instruments = "".join(f'["{symbol}"]\nhalf_spread_bps = 1\n' for symbol in prices)
    (folder / "instruments.toml").write_text(instruments, encoding="utf-8")
    rows = "".join(f"{symbol},{px}\n" for symbol, px in prices.items())
    stage.prices.write_text(f"symbol,price\n{rows}", encoding="utf-8")
    for name, lots in held.items():
        words = [f"{one},2024-03-04,{qty},{qty * 90 if one == 'LOSS' else qty}" for one, qty in lots.items()]
        (folder / f"{name}.csv").write_text("\n".join(["symbol,acquired,qty,cost", *words]), encoding="utf-8")
    both = Counter(held["sat"]) + Counter(held["core"])
    opening = {CODE: {"cash": str(2 * CASH), "positions": {one: str(qty) for one, qty in both.items()}}}
    stage.accounts.write_text(json.dumps(opening), encoding="utf-8")
    return House(stage, prices, {"sat": Decimal(CASH), "core": Decimal(CASH)})


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = lay_out(tmp_path)
    try:
        made.stage.start_redis()
        made.stage.start_venue()
        made.stage.start_gateway()
        async with made.client() as client:
            await client.publish_prices({one: str(px) for one, px in made.prices.items()}, source="test")
        yield made
    finally:
        await asyncio.to_thread(made.stage.close)
        let_go(made.stage.fix_port, made.stage.fix_control)


def weights(house: House, seed: int) -> dict[str, str]:
    rng = random.Random(seed)
    raw = {one: rng.choice((0.4, 1.0, 1.6)) for one in house.prices if one != "LOSS"}
    total = sum(raw.values())
    return {one: f"{0.9 * part / total:.6f}" for one, part in raw.items()}


def assert_books_are_the_brokers(house: House, engine: Engine) -> None:
    """What both accounts hold together, cash and shares, is what the broker holds, to the cent."""
    theirs = ask(house.stage.control_port, "record")["accounts"][CODE]
    ours = engine.state.book.accounts
    assert sum(one.cash for one in ours.values()) == Decimal(theirs["cash"])
    held: Counter[str] = Counter()
    for one in ours.values():
        held.update({symbol: int(qty) for symbol, qty in one.positions.items() if qty})
    assert held == {one: int(Decimal(qty)) for one, qty in theirs["positions"].items() if Decimal(qty)}


@pytest.mark.timeout(180)
async def test_a_basket_over_both_channels_survives_kills_and_each_answers_for_its_own(house: House) -> None:
    stage = house.stage
    stage.move(house.prices, "0.95")  # sales rest on both channels: there is something to lose
    async with house.client() as client:
        for number, account in enumerate(LINKS):
            await client.submit(weights(house, number), account=account, request_id=account, lifetime_s=3600)

    async def are_resting() -> bool:
        return all(len(one) > 5 for one in stage.orders().values())

    await house.until(are_resting)
    stage.kill("gateway")
    stage.start_gateway()
    stage.kill("venue")
    stage.start_venue()
    await house.until_up()
    await asyncio.sleep(3.0)  # both have reconciled, each what it is shown
    for orders in stage.orders().values():
        assert {one["status"] for one in orders} == {"new"}  # nobody cancelled the other's
    stage.kill("gateway")
    stage.move(house.prices, "1")  # they fill while nobody is there
    await asyncio.sleep(0.5)
    stage.start_gateway()
    done = await house.until_done(*LINKS)
    assert {one["state"] for one in done.values()} == {RequestState.DONE}, done
    await asyncio.sleep(9.0)  # positions have been stated and compared, both accounts together
    engine, events = await house.journal()
    assert not engine.state.halts
    assert all(
        count >= 3 for count in Counter(one.link for one in events if isinstance(one, LinkUp)).values()
    )
    assert not [one for one in events if isinstance(one, (HaltRequested, CancelRequested))]
    planned = [spec for one in events if isinstance(one, OrdersPlanned) for spec in one.orders]
    link_of = {one.cl_ord_id: one.link for one in planned}
    unknown = [one for one in events if isinstance(one, OrderUnknown)]  # what had not left when it was killed
    assert all(one.link == link_of[one.cl_ord_id] for one in unknown)
    gone = {one.cl_ord_id for one in events if isinstance(one, OrderAbandoned)}
    at_venue = stage.orders()
    for account, link in LINKS.items():
        ours = [one.cl_ord_id for one in planned if one.account == account and one.cl_ord_id not in gone]
        assert len(ours) > 20
        assert sorted(ours) == sorted(one["cl_ord_id"] for one in at_venue[link])  # each once, on its channel
        assert {one["status"] for one in at_venue[link]} == {"filled"}
    stated = [one for one in events if isinstance(one, PositionStated)]
    assert stated
    assert {(one.link, one.account, one.shared_with) for one in stated} == {("sim", "sat", ("core",))}
    assert_books_are_the_brokers(house, engine)


@pytest.mark.timeout(180)
async def test_a_loss_sold_over_one_channel_is_not_bought_back_over_the_other(house: House) -> None:
    async with house.client() as client:
        await client.submit({"LOSS": "0"}, account="sat", request_id="sell", lifetime_s=3600)
    assert (await house.until_done("sell"))["sell"]["state"] == RequestState.DONE
    reader = ib.IB()  # whoever looks at TWS sees what both channels hold, and the orders of one
    await reader.connectAsync("127.0.0.1", house.stage.port, 77, timeout=PATIENCE_S)
    before = {one.contract.symbol: one.position for one in reader.positions()}
    async with house.client() as client:
        await client.submit({"LOSS": "0.1", "S00": "0.1"}, account="core", request_id="buy", lifetime_s=3600)
    buy = (await house.until_done("buy"))["buy"]
    assert [(one["symbol"], one["reason"]) for one in buy["denied"]] == [("LOSS", "wash_sale")]
    at_venue = house.stage.orders()
    bought = int(at_venue["fix"][0]["cum_qty"])

    def held() -> dict[str, float]:
        return {one.contract.symbol: one.position for one in reader.positions()}

    assert before["S00"] == 200
    await until(lambda: held()["S00"] == 200 + bought, held)
    assert {one.contract.symbol for one in await reader.reqCompletedOrdersAsync(apiOnly=False)} == {"LOSS"}
    assert {one.contract.symbol for one in await reader.reqExecutionsAsync()} == {"LOSS"}
    assert await reader.reqAllOpenOrdersAsync() == []
    reader.disconnect()
    assert [(one["symbol"], one["status"]) for one in at_venue["sim"]] == [("LOSS", "filled")]
    assert [one["symbol"] for one in at_venue["fix"]] == ["S00"]
    engine, _ = await house.journal()
    assert not engine.state.halts
    assert_books_are_the_brokers(house, engine)
