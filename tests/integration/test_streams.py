from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S, until
from pydantic import SecretStr
from redis.asyncio import Redis
from redis_faults import LossyProxy, kill

from gateway.domain.settings import AccountSettings, Settings
from gateway.errors import InvalidTargets
from gateway.events import AccountOpened, Event, HaltRequested, PricesUpdated, TargetsSubmitted
from gateway.oms.manager import apply
from gateway.oms.state import State
from gateway.runtime import streams
from gateway.runtime.clock import SystemClock
from gateway.runtime.commands import parse_command, parse_prices
from gateway.runtime.connect import GONE, reader_client, view_client
from gateway.runtime.embedded import EmbeddedServer
from gateway.runtime.keys import GROUP, Keys
from gateway.runtime.lease import Lease
from gateway.runtime.schema import parse_targets
from gateway.runtime.signing import sign, verify
from gateway.runtime.store import Journal
from gateway.runtime.streams import MAX_DELIVERIES, Entry, Intake

NOW = datetime.now(UTC)
SIGNING_KEYS = {"desk": SecretStr("desk key")}
INSTRUMENTS = {"AAPL", "MSFT"}
SETTINGS = Settings("H", {"A1": AccountSettings("A1", "sim")}, {})


def message(**changes: Any) -> dict[str, Any]:
    plain = {
        "schema_version": 1,
        "request_id": "r-1",
        "account": "A1",
        "as_of": NOW.isoformat(),
        "expires_at": (NOW + timedelta(hours=1)).isoformat(),
        "targets": {"AAPL": "0.25", "MSFT": "0.5"},
    }
    return plain | changes


def raw(**changes: Any) -> bytes:
    return json.dumps(message(**changes)).encode()


def read(entry: Entry, *, must_be_signed: bool = False) -> Event:
    """Read an entry with the very parsers the gateway reads it with."""
    if entry.stream == "commands":
        return parse_command(entry.data, NOW)
    if entry.stream == "prices":
        return parse_prices(entry.data, NOW, INSTRUMENTS)
    signer = verify(entry.data, entry.fields, SIGNING_KEYS, required=must_be_signed)
    return parse_targets(
        entry.data,
        now=NOW,
        accounts={"A1"},
        instruments=INSTRUMENTS,
        entry_id=entry.entry_id,
        signed_by=signer,
    )


class Desk:
    """A gateway as small as can be: intake, journal, state. Nothing in it is a stand-in."""

    def __init__(self, url: str, keys: Keys, *, must_be_signed: bool = False, **options: Any) -> None:
        self.keys = keys
        self.must_be_signed = must_be_signed
        self.reader, self.writer = reader_client(url), view_client(url)
        self.told: list[str] = []
        self.refused: list[tuple[str, str]] = []
        self.intake = Intake(
            self.reader, self.writer, keys, SystemClock(),
            on_rejected=lambda entry, field, _reason: self.refused.append((entry.entry_id, field)),
            on_unavailable=self.told.append, **options,
        )  # fmt: skip
        self.state = State()
        apply(self.state, AccountOpened(NOW, "A1", Decimal(1000)), SETTINGS)
        self.seen: list[Event] = []
        self.is_slow = asyncio.Event()
        self.is_slow.set()

    async def start(self) -> None:
        lease = Lease(self.writer, self.keys, SystemClock(), owner="desk")
        await lease.acquire()
        self.journal = Journal(self.writer, self.keys, lease.epoch, lease.owner)
        await self.journal.open()
        async for _, event in self.journal.read():
            self._take(event)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for entries in self.intake.batches():
            for entry in entries:
                await self._handle(entry)

    async def _handle(self, entry: Entry) -> None:
        try:
            event = read(entry, must_be_signed=self.must_be_signed)
        except InvalidTargets as problem:
            self.intake.reject(entry, problem.field, problem.reason)
            return
        if not (isinstance(event, TargetsSubmitted) and event.request_id in self.state.requests):
            await self.journal.append([event])
            self._take(event)
            await self.is_slow.wait()
        self.intake.accept([entry])

    def _take(self, event: Event) -> None:
        apply(self.state, event, SETTINGS)
        self.seen.append(event)

    async def stop(self, *, orderly: bool = True) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        if orderly:
            assert await self.intake.settle()
        await self.reader.aclose()
        await self.writer.aclose()


@contextlib.asynccontextmanager
async def desk_of(url: str, keys: Keys, **options: Any) -> AsyncIterator[Desk]:
    desk = Desk(url, keys, **options)
    await desk.start()
    try:
        yield desk
    finally:
        await desk.stop()


def url_of(client: Redis) -> str:
    return f"unix://{client.connection_pool.connection_kwargs['path']}"


async def pending(client: Redis, key: str) -> int:
    answer: Any = await client.xpending(key, GROUP)
    return int(answer["pending"])


async def nothing_pending(client: Redis, keys: Keys) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await pending(client, keys.targets):  # noqa: ASYNC110 - Redis knows, nobody tells
            await asyncio.sleep(0.005)


async def letters(client: Redis, keys: Keys) -> list[dict[str, str]]:
    rows: Any = await client.xrange(keys.rejected)
    return [
        {name.decode(): value.decode("utf-8", "replace") for name, value in row.items()} for _, row in rows
    ]


# ------------------------------------------------------------------------------------- what is refused

SIGNED_WRONG = {b"d": raw(), b"sig": sign(raw(), "another key", "desk").encode()}
DUPLICATE = raw().replace(b'"MSFT"', b'"AAPL"')
FLOAT = raw().replace(b'"0.25"', b"0.25")
MALFORMED = {
    "malformed JSON": ({b"d": raw()[:-1]}, "json", "Expecting"),
    "no JSON at all": ({b"d": b"\x00\xff"}, "json", "UTF-8"),
    "no field d": ({b"data": raw()}, "d", "is missing"),
    "wrong signature": (SIGNED_WRONG, "sig", "does not match"),
    "expired": ({b"d": raw(expires_at=(NOW - timedelta(seconds=1)).isoformat())}, "expires_at", "is over"),
    "oversized": ({b"d": b" " * 1_000_001}, "json", "over the limit"),
    "oversized and deep": ({b"d": b"[" * 900_000}, "json", "brackets"),
    "NaN as text": ({b"d": raw(targets={"AAPL": "NaN"})}, "targets.AAPL", "plain decimal"),
    "NaN as number": ({b"d": raw(targets={"AAPL": float("nan")})}, "json", "NaN is not a number"),
    "float": ({b"d": FLOAT}, "targets.AAPL", "JSON number"),
    "negative": ({b"d": raw(targets={"AAPL": "-0.1"})}, "targets.AAPL", "sell short"),
    "duplicate symbol": ({b"d": DUPLICATE}, "AAPL", "stands twice"),
    "over 100 % in one": ({b"d": raw(targets={"AAPL": "1.0001"})}, "targets.AAPL", "over 1"),
    "over 100 % in all": ({b"d": raw(targets={"AAPL": "0.6", "MSFT": "0.5"})}, "targets", "over 1"),
    "unknown symbol": ({b"d": raw(targets={"ZZZ": "0.1"})}, "targets.ZZZ", "instruments.toml"),
    "unknown account": ({b"d": raw(account="A9")}, "account", "accounts.toml"),
    "wrong schema version": ({b"d": raw(schema_version=2)}, "schema_version", "upgrade"),
    "extra field": ({b"d": raw(note="x")}, "note", "remove it"),
    "nothing in it": ({b"d": b""}, "json", "Expecting value"),
}  # fmt: skip


@pytest.fixture
async def desk(redis_url: str, keys: Keys) -> AsyncIterator[Desk]:
    async with desk_of(redis_url, keys) as desk:
        yield desk


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_malformed_becomes_a_dead_letter_and_the_intake_carries_on(
    desk: Desk, redis_client: Redis, keys: Keys, name: str
) -> None:
    fields, field, words = MALFORMED[name]
    entry_id = (await redis_client.xadd(keys.targets, fields)).decode()
    await redis_client.xadd(keys.targets, {b"d": raw(request_id="good")})
    await until(lambda: "good" in desk.state.requests)
    await nothing_pending(redis_client, keys)
    (letter,) = await letters(redis_client, keys)
    assert (letter["stream"], letter["id"], letter["field"]) == ("targets", entry_id, field)
    assert words in letter["reason"]
    assert abs(datetime.fromisoformat(letter["at"]) - datetime.now(UTC)) < timedelta(seconds=30)
    assert letter["raw"] == fields.get(b"d", b"")[: streams.RAW_KEPT_BYTES].decode("utf-8", "replace")
    assert ("sig" in letter) is (b"sig" in fields)
    assert (len(desk.seen), desk.refused) == (1, [(entry_id, field)])


async def test_unsigned_is_refused_where_signatures_are_required(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    async with desk_of(redis_url, keys, must_be_signed=True) as desk:
        await redis_client.xadd(keys.targets, {"d": raw(request_id="unsigned")})
        data = raw(request_id="signed")
        await redis_client.xadd(keys.targets, {"d": data, "sig": sign(data, "desk key", "desk")})
        await until(lambda: "signed" in desk.state.requests)
        assert desk.state.requests["signed"].spec.signed_by == "desk"
        await until(lambda: bool(desk.refused))
        await nothing_pending(redis_client, keys)
    (letter,) = await letters(redis_client, keys)
    assert (letter["field"], "sign it" in letter["reason"]) == ("sig", True)
    assert "unsigned" not in desk.state.requests


async def test_commands_and_prices_are_refused_with_their_stream(
    desk: Desk, redis_client: Redis, keys: Keys
) -> None:
    await redis_client.xadd(keys.commands, {"d": b'{"command": "explode"}'})
    await redis_client.xadd(keys.prices, {"d": b'{"as_of": 1}'})
    await redis_client.xadd(keys.commands, {"d": b'{"command": "halt", "by": "anna"}'})
    prices = {"as_of": NOW.isoformat(), "prices": {"AAPL": "187.2", "ZZZ": "1"}}
    await redis_client.xadd(keys.prices, {"d": json.dumps(prices)})
    await until(lambda: len(desk.seen) == 2 and len(desk.refused) == 2)
    assert {type(event) for event in desk.seen} == {HaltRequested, PricesUpdated}
    assert await desk.intake.settle()
    found = await letters(redis_client, keys)
    assert {(one["stream"], one["field"]) for one in found} == {("commands", "command"), ("prices", "as_of")}


async def test_a_hundred_bad_messages_do_not_stop_a_good_one(
    desk: Desk, redis_client: Redis, keys: Keys
) -> None:
    for fields, _, _ in [*MALFORMED.values()] * 6:
        if len(fields.get(b"d", b"")) < 10_000:
            await redis_client.xadd(keys.targets, fields)
    await redis_client.xadd(keys.targets, {"d": raw(request_id="good")})
    await until(lambda: "good" in desk.state.requests)
    await nothing_pending(redis_client, keys)
    assert await redis_client.xlen(keys.rejected) == len(desk.refused) == 6 * (len(MALFORMED) - 2)


async def test_dead_letters_are_bounded(
    desk: Desk, redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LETTERS_KEPT", 100)
    async with redis_client.pipeline(transaction=False) as pipe:
        for _ in range(600):
            pipe.xadd(keys.targets, {"d": b"{"})
        await pipe.execute()
    await until(lambda: len(desk.refused) == 600)
    await nothing_pending(redis_client, keys)
    assert 100 <= await redis_client.xlen(keys.rejected) < 300


# ------------------------------------------------------------------------------------ acknowledgement


async def test_an_entry_is_acknowledged_only_after_the_journal_has_it(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    async with desk_of(redis_url, keys) as desk:
        desk.is_slow.clear()
        await redis_client.xadd(keys.targets, {"d": raw()})
        await until(lambda: len(desk.seen) == 1)
        await asyncio.sleep(0.05)
        assert await redis_client.xlen(keys.journal) == 1
        assert await pending(redis_client, keys.targets) == 1
        desk.is_slow.set()
        await nothing_pending(redis_client, keys)


async def test_while_the_journal_cannot_be_written_nothing_is_acknowledged(
    desk: Desk, redis_client: Redis, keys: Keys
) -> None:
    await redis_client.delete(keys.lease)  # the journal refuses: fenced
    await redis_client.xadd(keys.targets, {"d": raw()})
    await until(desk.task.done)
    assert await desk.intake.settle()
    assert await pending(redis_client, keys.targets) == 1
    assert await redis_client.xlen(keys.journal) == 0


async def test_a_crash_between_journal_and_acknowledgement_is_one_request(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    first = Desk(redis_url, keys)
    await first.start()
    first.is_slow.clear()
    await redis_client.xadd(keys.targets, {"d": raw()})
    await until(lambda: len(first.seen) == 1)
    await first.stop(orderly=False)
    assert await pending(redis_client, keys.targets) == 1
    async with desk_of(redis_url, keys) as second:
        await nothing_pending(redis_client, keys)
        assert list(second.state.requests) == ["r-1"]
        assert await redis_client.xlen(keys.journal) == 1


async def test_a_crash_before_the_journal_loses_nothing(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    first = Desk(redis_url, keys)
    batches = first.intake.batches()
    await redis_client.xadd(keys.targets, {"d": raw()})
    assert [entry.data for entry in await anext(batches)] == [raw()]
    await batches.aclose()  # type: ignore[attr-defined]
    await first.reader.aclose()
    await first.writer.aclose()
    async with desk_of(redis_url, keys) as second:
        await until(lambda: "r-1" in second.state.requests)


async def test_the_same_request_again_is_one_request(desk: Desk, redis_client: Redis, keys: Keys) -> None:
    await redis_client.xadd(keys.targets, {"d": raw()})
    await until(lambda: len(desk.seen) == 1)
    await redis_client.xadd(keys.targets, {"d": raw(targets={"AAPL": "0.9"})})
    await redis_client.xadd(keys.targets, {"d": raw(request_id="r-2")})
    await until(lambda: len(desk.seen) == 2)
    await nothing_pending(redis_client, keys)
    assert list(desk.state.requests) == ["r-1", "r-2"]
    assert desk.state.requests["r-1"].spec.targets["AAPL"] == Decimal("0.25")
    assert await redis_client.xlen(keys.journal) == 2


async def test_the_same_request_sent_by_ten_at_once_is_one_request(
    desk: Desk, redis_client: Redis, keys: Keys
) -> None:
    clients = [view_client(url_of(redis_client)) for _ in range(10)]
    await asyncio.gather(*(client.xadd(keys.targets, {"d": raw()}) for client in clients))
    for client in clients:
        await client.aclose()
    await until(lambda: bool(desk.state.requests))
    await nothing_pending(redis_client, keys)
    assert len(desk.seen) == len(desk.state.requests) == await redis_client.xlen(keys.journal) == 1


async def test_two_copies_in_one_journal_are_one_request() -> None:
    state = State()
    apply(state, AccountOpened(NOW, "A1", Decimal(1000)), SETTINGS)
    event = read(Entry("targets", "1-0", raw(), {b"d": raw()}))
    assert apply(state, event, SETTINGS).request is not None
    assert apply(state, event, SETTINGS).request is None
    assert list(state.requests) == ["r-1"]


async def test_what_was_submitted_while_no_gateway_ran_is_read(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    for number in range(250):
        await redis_client.xadd(keys.targets, {"d": raw(request_id=f"r-{number}")})
    async with desk_of(redis_url, keys) as desk:
        await until(lambda: len(desk.seen) == 250)
        assert list(desk.state.requests) == [f"r-{number}" for number in range(250)]
        await nothing_pending(redis_client, keys)


# ------------------------------------------------------------------------------------ taking over


class Raw:
    """An intake whose batches a test takes one by one."""

    def __init__(self, url: str, keys: Keys, **options: Any) -> None:
        self.reader, self.writer = reader_client(url), view_client(url)
        self.refused: list[str] = []
        self.intake = Intake(
            self.reader, self.writer, keys, SystemClock(),
            on_rejected=lambda _entry, _field, reason: self.refused.append(reason), **options,
        )  # fmt: skip
        self.batches: Any = self.intake.batches()

    async def next(self) -> list[Entry]:
        async with asyncio.timeout(PATIENCE_S):
            batch: list[Entry] = await anext(self.batches)
            return batch

    async def close(self) -> None:
        await self.batches.aclose()
        await self.reader.aclose()
        await self.writer.aclose()


@contextlib.asynccontextmanager
async def raw_intake(url: str, keys: Keys, **options: Any) -> AsyncIterator[Raw]:
    one = Raw(url, keys, **options)
    try:
        yield one
    finally:
        await one.close()


async def test_an_entry_that_stops_every_gateway_becomes_a_dead_letter(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    await redis_client.xadd(keys.targets, {"d": b"poison"})
    for _ in range(MAX_DELIVERIES):
        async with raw_intake(redis_url, keys) as crashing:
            assert [entry.data for entry in await crashing.next()] == [b"poison"]
    await redis_client.xadd(keys.targets, {"d": b"good"})
    async with raw_intake(redis_url, keys) as last:
        assert [entry.data for entry in await last.next()] == [b"good"]
        assert await last.intake.settle()
        (letter,) = await letters(redis_client, keys)
        assert letter["raw"] == "poison"
        assert f"delivered {MAX_DELIVERIES} times" in letter["reason"]


async def test_an_entry_deleted_while_pending_is_let_go(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    for deliveries in (1, MAX_DELIVERIES):
        entry_id = await redis_client.xadd(keys.targets, {"d": b"x"})
        for _ in range(deliveries):
            async with raw_intake(redis_url, keys) as crashing:
                assert len(await crashing.next()) == 1
        await redis_client.xdel(keys.targets, entry_id)
        await redis_client.xadd(keys.targets, {"d": b"next"})
        async with raw_intake(redis_url, keys) as one:
            (entry,) = await one.next()
            one.intake.accept([entry])
            assert await one.intake.settle()
        assert await pending(redis_client, keys.targets) == 0
    assert [letter["raw"] for letter in await letters(redis_client, keys)] in ([], [""])


async def test_more_than_a_page_of_pending_entries_is_taken_over(
    redis_url: str, redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "COUNT", 4)
    for number in range(10):
        await redis_client.xadd(keys.targets, {"d": str(number)})
    async with raw_intake(redis_url, keys) as first:
        got = [entry.data for _ in range(3) for entry in await first.next()]
        assert len(got) == 10
    async with raw_intake(redis_url, keys) as second:
        again = [entry.data for _ in range(3) for entry in await second.next()]
        assert again == got


async def test_what_is_in_hand_is_not_given_out_twice(
    redis_url: str, redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "COUNT", 2)
    async with raw_intake(redis_url, keys, sweep_s=0.0, idle_s=0.0) as one:
        for number in range(5):
            await redis_client.xadd(keys.targets, {"d": str(number)})
        one.intake._sweep_s = 10.0
        first = await one.next()
        one.intake._sweep_s = 0.0
        one.intake.accept(first[:1])
        one.intake.reject(first[1], "x", "y")
        await redis_client.xadd(keys.targets, {"d": "command"})
        one.intake._sweep_s = 10.0
        seen = [entry.data for entry in first]
        while b"command" not in seen:
            seen += [entry.data for entry in await one.next()]
        assert seen == [b"0", b"1", b"2", b"3", b"4", b"command"]


async def test_entries_in_hand_are_bounded(
    redis_url: str, redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "IN_HAND", 1)
    await redis_client.xadd(keys.targets, {"d": "1"})
    async with raw_intake(redis_url, keys) as one:
        first = await one.next()
        await redis_client.xadd(keys.targets, {"d": "2"})
        waiting = asyncio.create_task(one.next())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        one.intake.accept(first)
        assert [entry.data for entry in await waiting] == [b"2"]


async def test_what_every_delivery_is_behind_of_is_trimmed(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    async with redis_client.pipeline(transaction=False) as pipe:
        for _ in range(500):
            pipe.xadd(keys.prices, {"d": b"{}"})
        await pipe.execute()
    async with raw_intake(redis_url, keys) as one:
        for _ in range(5):
            one.intake.accept(await one.next())
        assert await one.intake.settle()
    async with raw_intake(redis_url, keys) as one:
        await redis_client.xadd(keys.targets, {"d": b"x"})
        await one.next()
        assert await redis_client.xlen(keys.prices) < 200
    await redis_client.xgroup_create(keys.commands, "somebody else", id="0")
    await redis_client.xadd(keys.commands, {"d": b"for both"})
    for _ in range(2):
        async with raw_intake(redis_url, keys) as one:
            one.intake.accept(await one.next())
            await one.intake.settle()
    assert await redis_client.xlen(keys.commands) == 1


async def test_commands_come_before_prices_before_targets(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    for key in (keys.targets, keys.prices, keys.commands):
        await redis_client.xadd(key, {"d": b"{}"})
    async with raw_intake(redis_url, keys) as one:
        assert [entry.stream for entry in await one.next()] == ["commands", "prices", "targets"]


# -------------------------------------------------------------------------------------- Redis away


async def test_a_reply_lost_while_reading_is_read_again(
    redis_server: EmbeddedServer, redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    assert redis_url
    async with (
        LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy,
        desk_of(proxy.url, keys) as desk,
    ):
        await redis_client.xadd(keys.targets, {"d": raw(request_id="r-0")})
        await until(lambda: len(desk.seen) == 1)
        proxy.word, proxy.cuts = b"XREADGROUP", 1
        await until(lambda: not proxy.cuts)
        for number in (1, 2, 3, 4):
            await redis_client.xadd(keys.targets, {"d": raw(request_id=f"r-{number}")})
            proxy.word, proxy.cuts = (b"XCLAIM" if number % 2 else b"XPENDING"), 1
        await until(lambda: len(desk.seen) == 5)
        await nothing_pending(redis_client, keys)
        assert sorted(desk.state.requests) == [f"r-{number}" for number in range(5)]
        assert await redis_client.xlen(keys.rejected) == 0
        assert "cannot be read" in desk.told[0]


async def test_lost_replies_do_not_make_poison(
    redis_server: EmbeddedServer, redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    assert redis_url
    await redis_client.xadd(keys.targets, {"d": b"unlucky"})
    async with LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy:
        async with raw_intake(proxy.url, keys) as crashing:
            await crashing.next()
        proxy.word, proxy.cuts = b"XCLAIM", MAX_DELIVERIES + 1
        async with raw_intake(proxy.url, keys) as one:
            assert [entry.data for entry in await one.next()] == [b"unlucky"]
            assert (proxy.cuts, one.refused) == (0, [])


async def test_entries_claimed_before_a_sweep_broke_off_are_not_forgotten(
    redis_server: EmbeddedServer, redis_url: str, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    assert redis_url
    await redis_client.xadd(keys.commands, {"d": b"claimed"})
    async with LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy:
        async with raw_intake(proxy.url, keys) as crashing:
            await crashing.next()
        proxy.word, proxy.cuts = keys.prices.encode(), 1  # the sweep breaks behind the commands' claim
        async with raw_intake(proxy.url, keys) as one:
            assert [entry.data for entry in await one.next()] == [b"claimed"]
            assert proxy.cuts == 0


async def test_a_refusal_that_waits_to_be_written_is_told_once(
    redis_url: str, redis_client: Redis, keys: Keys
) -> None:
    await redis_client.xadd(keys.targets, {"d": b"bad"})
    async with raw_intake(redis_url, keys) as one:
        (entry,) = await one.next()
        async with one.intake._one_settler:  # nothing is written meanwhile
            one.intake.reject(entry, "d", "bad")
            await redis_client.xgroup_destroy(keys.prices, GROUP)  # an error makes the intake sweep at once
            await redis_client.xadd(keys.targets, {"d": b"good"})
            assert [entry.data for entry in await one.next()] == [b"good"]
        assert one.refused == ["bad"]
        assert await one.intake.settle()
        assert await redis_client.xlen(keys.rejected) == 1


async def test_an_emptied_redis_gets_its_groups_again(desk: Desk, redis_client: Redis, keys: Keys) -> None:
    await redis_client.xadd(keys.targets, {"d": b"{"})
    await until(lambda: len(desk.refused) == 1)
    await redis_client.delete(keys.targets, keys.commands, keys.prices)
    await redis_client.xadd(keys.targets, {"d": raw()})
    await until(lambda: "r-1" in desk.state.requests)
    await nothing_pending(redis_client, keys)


async def test_answers_wait_when_redis_refuses_them(
    redis_url: str, redis_client: Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    await redis_client.xadd(keys.targets, {"d": b"x"})
    async with raw_intake(redis_url, keys) as one:
        (entry,) = await one.next()
        await redis_client.config_set("min-replicas-to-write", "1")
        one.intake.reject(entry, "f", "r")
        assert not await one.intake.settle()
        await redis_client.config_set("min-replicas-to-write", "0")
        assert await one.intake.settle()
    assert "answers wait for Redis" in caplog.text
    assert [letter["field"] for letter in await letters(redis_client, keys)] == ["f"]


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path / "own")
    server.start()
    yield server
    server.start()
    assert server.stop()


async def test_a_server_killed_in_the_middle_loses_and_doubles_no_request(
    own_server: EmbeddedServer, keys: Keys
) -> None:
    desk = Desk(own_server.url, keys)
    await desk.start()
    client = view_client(own_server.url)
    acknowledged: list[str] = []

    async def submit() -> None:
        for number in count():
            if murdering.done() and len(acknowledged) > 20:
                return
            with contextlib.suppress(*GONE):
                await client.xadd(keys.targets, {"d": raw(request_id=f"r-{number}")})
                acknowledged.append(f"r-{number}")
            await asyncio.sleep(0.004)

    async def murder() -> None:
        for _ in range(3):
            await asyncio.sleep(0.12)
            kill(own_server)
            await asyncio.to_thread(own_server.start)

    murdering = asyncio.create_task(murder())
    await submit()
    await murdering
    await until(lambda: set(acknowledged) <= set(desk.state.requests))
    await nothing_pending(client, keys)
    journaled = [event.request_id async for _, event in desk.journal.read()]  # type: ignore[union-attr]
    assert sorted(journaled) == sorted(set(journaled))
    assert await client.xlen(keys.rejected) == 0
    await desk.stop()
    await client.aclose()
