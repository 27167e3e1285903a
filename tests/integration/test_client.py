from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S, until
from redis.asyncio import Redis
from redis_faults import LossyProxy, kill

from gateway import client as room
from gateway.client import GatewayClient, Result, Ticket, plain, submit_targets
from gateway.domain.request import RequestState
from gateway.errors import InvalidTargets, StoreUnavailable
from gateway.events import (
    ActionStated,
    ApprovalGiven,
    CancelRequested,
    HaltRequested,
    OrderSettled,
    PricesUpdated,
    ResumeRequested,
)
from gateway.runtime.clock import ANCHOR, SimulatedClock, SystemClock
from gateway.runtime.commands import parse_command, parse_prices
from gateway.runtime.connect import reader_client, view_client
from gateway.runtime.embedded import EmbeddedServer
from gateway.runtime.keys import Keys
from gateway.runtime.readmodels import ReadModels
from gateway.runtime.schema import parse_targets
from gateway.runtime.signing import verify
from gateway.runtime.streams import Entry, Intake

D = Decimal


class Answering:
    """Answer targets as a gateway would: with its own intake, parser and read models, but no orders."""

    def __init__(self, url: str, keys: Keys, *, finishes: bool = True) -> None:
        self.reader, self.writer = reader_client(url), view_client(url)
        self.keys, self.finishes = keys, finishes
        self.intake = Intake(self.reader, self.writer, keys, SystemClock())
        self.models = ReadModels(self.writer, keys, 1, every_s=0.0)
        self.seen: list[tuple[Entry, Any]] = []
        self.tasks = [asyncio.create_task(self.models.run()), asyncio.create_task(self._run())]

    async def _run(self) -> None:
        async for entries in self.intake.batches():
            for entry in entries:
                try:
                    self.seen.append((entry, self._read(entry)))
                except InvalidTargets as problem:
                    self.intake.reject(entry, problem.field, problem.reason)
                else:
                    self.intake.accept([entry])

    def _read(self, entry: Entry) -> Any:
        now = datetime.now(UTC)
        if entry.stream == "commands":
            return parse_command(entry.data, now)
        if entry.stream == "prices":
            return parse_prices(entry.data, now)
        targets = parse_targets(entry.data, now=now, accounts={"A1"}, instruments={"AAPL", "MSFT"})
        self.show(targets.request_id, "working")
        if self.finishes:
            self.show(targets.request_id, "done")
        return targets

    def show(self, request_id: str, state: str) -> None:
        self.models.project({self.keys.request(request_id): {"request_id": request_id, "state": state}})
        self.models.publish([{"kind": "RequestFinished", "event": {"request_id": request_id}}])

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.models.flush()
        await self.intake.settle()
        await self.reader.aclose()
        await self.writer.aclose()


@contextlib.asynccontextmanager
async def answering_at(url: str, keys: Keys, **options: Any) -> AsyncIterator[Answering]:
    one = Answering(url, keys, **options)
    try:
        yield one
    finally:
        await one.stop()


@pytest.fixture
async def answering(redis_url: str, keys: Keys) -> AsyncIterator[Answering]:
    async with answering_at(redis_url, keys) as one:
        yield one


@pytest.fixture
async def gateway(state_folder: Path) -> AsyncIterator[GatewayClient]:
    async with GatewayClient(state_folder, "H") as client:
        yield client


# ------------------------------------------------------------------------------------- submit and wait


async def test_three_lines_submit_and_await(answering: Answering, state_folder: Path) -> None:
    async with GatewayClient(state_folder, "H") as gateway:
        ticket = await gateway.submit({"AAPL": 0.25, "MSFT": "0.5"}, account="A1")
        result = await gateway.wait(ticket)
    assert (result.state, result.is_done) == (RequestState.DONE, True)
    assert result.body == {"request_id": ticket.request_id, "state": "done"}
    (entry, targets) = answering.seen[0]
    assert targets.targets == {"AAPL": D("0.25"), "MSFT": D("0.5")}
    assert entry.entry_id == ticket.entry_id
    assert targets.expires_at - targets.as_of == timedelta(seconds=300)


def test_a_program_without_asyncio_needs_one_call(
    redis_server: EmbeddedServer, redis_url: str, keys: Keys
) -> None:
    started: list[str] = []

    async def serve() -> None:
        async with answering_at(redis_url, keys):
            result = await asyncio.to_thread(
                submit_targets,
                redis_server.url,
                "H",
                {"AAPL": "1"},
                account="A1",
                request_id="r",
                mode="preview",
            )
            started.append(result.request_id)

    asyncio.run(serve())
    assert started == ["r"]


async def test_a_message_waits_for_a_gateway_that_starts_later(
    gateway: GatewayClient, redis_url: str, keys: Keys
) -> None:
    ticket = await gateway.submit({"AAPL": "0.5"}, account="A1", request_id="early")
    waiting = asyncio.create_task(gateway.wait(ticket))
    await asyncio.sleep(0.05)
    async with answering_at(redis_url, keys):
        assert (await waiting).state is RequestState.DONE
    assert (await gateway.wait("early")).is_done


async def test_what_the_gateway_refuses_is_raised_with_field_and_reason(
    answering: Answering, gateway: GatewayClient
) -> None:
    assert answering
    ticket = await gateway.submit({"AAPL": "0.1"}, account="A9")
    with pytest.raises(InvalidTargets, match=r"accounts\.toml") as caught:
        await gateway.wait(ticket)
    assert caught.value.field == "account"
    other = await gateway.submit({"ZZZ": "0.1"}, account="A1", request_id="r2")
    with pytest.raises(InvalidTargets, match=r"instruments\.toml"):
        await gateway.wait(other)


async def test_what_does_not_end_in_time_goes_on(redis_url: str, keys: Keys, gateway: GatewayClient) -> None:
    with pytest.raises(TimeoutError, match="not seen by a gateway yet"):
        await gateway.wait(Ticket("nobody"), timeout_s=0.1)
    async with answering_at(redis_url, keys, finishes=False) as one:
        ticket = await gateway.submit({"AAPL": "0.1"}, account="A1")
        await until(lambda: bool(one.seen))
        assert await one.models.flush(), "its state can be read"
        with pytest.raises(TimeoutError, match=r"has not ended in 1 s \(working\); it goes on"):
            await gateway.wait(ticket, timeout_s=1.0)


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        ({}, "targets"),
        ({"AAPL": "0.6", "MSFT": "0.6"}, "targets"),
        ({"AAPL": float("nan")}, "targets.AAPL"),
        ({"AAPL": float("inf")}, "targets.AAPL"),
        ({"AAPL": 1e30}, "targets.AAPL"),
        ({"AAPL": 25.0}, "targets.AAPL"),
        ({"AAPL": 10**30}, "targets.AAPL"),
        ({"AAPL": "1e-1"}, "targets.AAPL"),
        ({"A PL": "0.1"}, "targets.A PL"),
    ],
)
async def test_what_could_never_be_taken_is_refused_before_it_is_sent(
    gateway: GatewayClient, redis_client: Redis, keys: Keys, weights: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidTargets) as caught:
        await gateway.submit(weights, account="A1")
    assert caught.value.field == field
    assert await redis_client.exists(keys.targets) == 0


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        ("0.25", "0.25"), (D("2.5E-1"), "0.25"), (0.1, "0.1000000000"), (1 / 3, "0.3333333333"), (1, "1"),
        (-0.0, "0.0000000000"), (1e-12, "0.0000000000"), (0.9999999999999, "0.9999999999"),
        (-0.25, "-0.2500000000"),
    ],
)  # fmt: skip
def test_a_weight_is_cut_never_rounded_up(weight: Any, text: str) -> None:
    assert plain("AAPL", weight) == text


async def test_fifty_at_once_are_fifty_requests(
    answering: Answering, gateway: GatewayClient, caplog: pytest.LogCaptureFixture
) -> None:
    tickets = await asyncio.gather(*(gateway.submit({"AAPL": "0.1"}, account="A1") for _ in range(50)))
    assert len({ticket.request_id for ticket in tickets}) == 50
    results = await asyncio.gather(*map(gateway.wait, tickets[:10]))
    assert all(result.is_done for result in results)
    assert len(answering.seen) == 50
    assert "does not answer" not in caplog.text


async def test_a_message_is_signed_when_there_is_a_key(redis_url: str, answering: Answering) -> None:
    from pydantic import SecretStr  # noqa: PLC0415 - only here

    async with GatewayClient(redis_url, "H", key="secret key", key_id="desk") as gateway:
        await gateway.submit({"AAPL": "0.1"}, account="A1")
        await gateway.halt()
    await until(lambda: len(answering.seen) == 2)
    for entry, _ in answering.seen:
        assert verify(entry.data, entry.fields, {"desk": SecretStr("secret key")}, required=True) == "desk"


async def test_commands_and_prices_arrive_as_they_were_meant(
    answering: Answering, gateway: GatewayClient
) -> None:
    await gateway.halt("A1", reason="drill", by="anna", cancel_working=True)
    await gateway.resume(by="anna")
    await gateway.approve("r1", by="anna")
    await gateway.cancel("r1")
    await gateway.settle("C1", D("1E+1"), "4.5", by="anna")
    await gateway.spin_off("A1", "AAPL", "SPUN", "2.5", D("0.2"), by="anna")
    await gateway.publish_prices({"AAPL": "187.23", "MSFT": D("4.1E+2")}, source="file")
    await until(lambda: len(answering.seen) == 7)
    events = {type(event): event for _, event in answering.seen}
    halt = events[HaltRequested]
    assert (halt.account, halt.reason, halt.by, halt.cancel_working) == ("A1", "drill", "anna", True)
    assert (events[ResumeRequested].account, events[ResumeRequested].by) == ("", "anna")
    assert (events[ApprovalGiven].request_id, events[CancelRequested].by) == ("r1", "client")
    assert events[PricesUpdated].prices == {"AAPL": D("187.23"), "MSFT": D(410)}
    assert events[PricesUpdated].source == "file"
    spun = events[ActionStated]
    assert (spun.new_symbol, spun.qty, spun.fraction, spun.amount) == ("SPUN", D("2.5"), D("0.2"), 0)
    settled = events[OrderSettled]
    assert (settled.cl_ord_id, settled.cum_qty, settled.avg_px, settled.by) == ("C1", 10, D("4.5"), "anna")


async def test_a_simulated_gateway_is_spoken_to_in_its_own_time(redis_server: EmbeddedServer) -> None:
    anchor = redis_server.state_folder / ANCHOR
    SimulatedClock(datetime(2020, 3, 9, 14, 30, tzinfo=UTC), anchor)
    try:
        client = GatewayClient(redis_server.state_folder, "H")
        assert client._clock.now().year == 2020
        await client.close()
    finally:
        anchor.unlink()


# ---------------------------------------------------------------------------------------------- reading


async def test_nothing_is_known_before_a_gateway_ran(gateway: GatewayClient) -> None:
    assert await gateway.status() is None
    assert await gateway.book() is None
    assert await gateway.request("r") is None
    assert await gateway.decision("r") is None
    assert await gateway.orders() == []
    assert await gateway.rejected() == []


async def test_read_models_are_read_back(answering: Answering, gateway: GatewayClient, keys: Keys) -> None:
    orders = {
        f"c-{number}": {"cl_ord_id": f"c-{number}", "request_id": f"r{number % 2}", "wave": 2 - number % 2}
        for number in range(1500)
    }
    answering.models.project({keys.order(name): order for name, order in orders.items()})
    answering.models.project({keys.status: lambda: {"pid": 7}, keys.book: b'{"cash":"1.5"}'})
    answering.models.project({keys.decision("r0"): {"action": "HOLD"}}, keep_s=100)
    assert await answering.models.flush()
    assert await gateway.status() == {"pid": 7}
    assert await gateway.book() == {"cash": "1.5"}
    assert await gateway.decision("r0") == {"action": "HOLD"}
    found = await gateway.orders()
    assert len(found) == 1500
    assert found == sorted(found, key=lambda one: (one["wave"], one["cl_ord_id"]))
    assert {one["request_id"] for one in await gateway.orders("r1")} == {"r1"}


async def test_another_households_orders_are_not_shown(redis_client: Redis, state_folder: Path) -> None:
    await redis_client.set(Keys("H1").order("c"), b'{"cl_ord_id": "c"}')
    async with GatewayClient(state_folder, "H") as gateway, GatewayClient(state_folder, "H1") as other:
        assert await gateway.orders() == []
        assert len(await other.orders()) == 1


async def is_blocked(redis: Redis, command: str) -> None:
    """Wait until a client of Redis waits for something new."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(  # noqa: ASYNC110 - Redis knows, nobody tells
            "b" in one["flags"] and one["cmd"] == command for one in await redis.client_list()
        ):
            await asyncio.sleep(0.005)


async def test_news_are_followed_from_now_or_from_an_entry(
    answering: Answering, gateway: GatewayClient, redis_client: Redis
) -> None:
    answering.models.publish([{"n": 1}, {"n": 2}])
    assert await answering.models.flush()
    old = gateway.news("0")
    seen = [await anext(old), await anext(old)]
    assert [item for _, item in seen] == [{"n": 1}, {"n": 2}]
    new, behind = gateway.news(), gateway.news(seen[0][0])
    assert (await anext(behind))[1] == {"n": 2}
    following = asyncio.create_task(anext(new))  # type: ignore[arg-type]
    await is_blocked(redis_client, "xread")
    answering.models.publish([{"n": 3}])
    assert (await following)[1] == {"n": 3}


async def test_dead_letters_are_listed_oldest_first(
    gateway: GatewayClient, redis_client: Redis, keys: Keys, answering: Answering
) -> None:
    for number in range(250):
        await redis_client.xadd(keys.targets, {"d": b"{" * (number % 3)})
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await gateway.rejected()) < 250:  # noqa: ASYNC110 - Redis knows, nobody tells
            await asyncio.sleep(0.01)
    assert answering.seen == []
    assert set(found[0]) == {"at", "stream", "id", "field", "reason"}
    assert [(one["stream"], one["field"]) for one in found] == [("targets", "json")] * 250
    at = [one["at"] for one in found]
    assert at == sorted(at)
    assert await gateway.rejected(3) == found[-3:]
    assert await gateway.rejected(100) == found[-100:]
    await redis_client.xadd(keys.rejected, {"strange": b"\xff"})
    assert (await gateway.rejected(1))[0]["reason"] == ""


@pytest.mark.parametrize(("state", "is_done"), [("done", True), ("held", True), ("failed", False)])
def test_a_good_end_is_told_from_a_bad_one(state: str, *, is_done: bool) -> None:
    assert Result("r", RequestState(state)).is_done is is_done


# ------------------------------------------------------------------------------------------- Redis away


async def test_without_redis_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ANSWER_TIMEOUT_S", 0.2)
    async with GatewayClient(tmp_path, "H") as gateway:
        with pytest.raises(StoreUnavailable, match="start the gateway"):
            await gateway.status()
        with pytest.raises(StoreUnavailable, match="start the gateway"):
            await gateway.submit({"AAPL": "1"}, account="A1")


async def test_a_wrong_password_is_said_at_once(redis_url: str) -> None:
    async with GatewayClient(redis_url.replace("unix://", "unix://me:wrong@"), "H") as gateway:
        with pytest.raises(StoreUnavailable, match="correct the redis url"):
            await gateway.status()


async def test_a_reply_lost_after_submitting_is_still_one_request(
    redis_server: EmbeddedServer, answering: Answering, tmp_path: Path
) -> None:
    async with LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy:
        async with GatewayClient(proxy.url, "H") as gateway:
            proxy.word, proxy.cuts = b"XADD", 2
            ticket = await gateway.submit({"AAPL": "0.1"}, account="A1")
            assert (await gateway.wait(ticket)).is_done
        assert proxy.cuts == 0
    await until(lambda: len(answering.seen) == 3)
    assert {event.request_id for _, event in answering.seen} == {ticket.request_id}


async def test_redis_restarted_while_requests_come_and_go_loses_nothing(tmp_path: Path, keys: Keys) -> None:
    server = EmbeddedServer(tmp_path / "own")
    server.start()
    async with answering_at(server.url, keys) as one, GatewayClient(tmp_path / "own", "H") as gateway:

        async def rebalance(number: int) -> Result:
            await asyncio.sleep(number * 0.01)
            ticket = await gateway.submit({"AAPL": "0.1"}, account="A1", request_id=f"r-{number}")
            return await gateway.wait(ticket)

        working = [asyncio.create_task(rebalance(number)) for number in range(30)]
        for _ in range(2):
            await asyncio.sleep(0.12)
            await asyncio.to_thread(kill, server)
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.start)
        results = await asyncio.gather(*working)
        assert all(result.is_done for result in results)
        assert {event.request_id for _, event in one.seen} == {f"r-{number}" for number in range(30)}
        assert await gateway.rejected() == []
    assert await asyncio.to_thread(server.stop)
