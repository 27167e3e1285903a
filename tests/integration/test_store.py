from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from patience import until
from redis.asyncio import Redis
from redis_faults import LossyProxy, kill

from gateway.errors import Fenced, StoreBehind, StoreUnavailable, StoreUnsafe
from gateway.events import Event, LinkUp, TimerFired
from gateway.runtime.clock import SystemClock
from gateway.runtime.connect import connect, journal_client, view_client
from gateway.runtime.embedded import EmbeddedServer
from gateway.runtime.keys import Keys
from gateway.runtime.lease import Lease
from gateway.runtime.store import MAX_BATCH, Journal

AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def events(first: int, count: int = 1) -> list[Event]:
    return [TimerFired(AT, f"timer-{number}") for number in range(first, first + count)]


async def everything(journal: Journal, after: int = 0, count: int = 100) -> list[tuple[int, Event]]:
    return [pair async for pair in journal.read(after, count)]


async def open_journal(client: Redis, keys: Keys, **options: Any) -> Journal:
    lease = Lease(client, keys, SystemClock(), owner=options.pop("owner", "me"))
    await lease.acquire()
    journal = Journal(client, keys, lease.epoch, lease.owner, **options)
    await journal.open()
    return journal


@pytest.fixture
async def journal(redis_client: Redis, keys: Keys) -> Journal:
    return await open_journal(redis_client, keys)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path / "own")
    server.start()
    yield server
    server.start()
    assert server.stop()


async def test_what_is_appended_is_read_in_order(journal: Journal, redis_client: Redis, keys: Keys) -> None:
    assert (journal.seq, await journal.head()) == (0, 0)
    assert await journal.append(events(1, 3)) == 3
    assert await journal.append([]) == 3
    assert await journal.append([LinkUp(AT, "saxo")]) == 4
    assert (journal.seq, await journal.head()) == (4, 4)
    pairs = await everything(journal, count=2)
    assert pairs == [*zip((1, 2, 3), events(1, 3), strict=True), (4, LinkUp(AT, "saxo"))]
    assert await everything(journal, after=3) == pairs[3:]
    assert await everything(journal, after=4) == []
    assert (await redis_client.xrange(keys.journal))[-1][0] == b"4-0"  # type: ignore[index]


async def test_a_restarted_gateway_goes_on_where_the_journal_ends(
    journal: Journal, redis_client: Redis, keys: Keys
) -> None:
    await journal.append(events(1, 5))
    successor = await open_journal(redis_client, keys)
    assert successor.seq == 5
    assert await successor.append(events(6)) == 6


async def test_a_journal_must_be_opened(redis_client: Redis, keys: Keys) -> None:
    journal = Journal(redis_client, keys, 1, "me")
    with pytest.raises(RuntimeError, match="not open"):
        await journal.append(events(1))


async def test_a_batch_is_bounded(journal: Journal) -> None:
    with pytest.raises(ValueError, match="at most"):
        await journal.append(events(1) * (MAX_BATCH + 1))
    assert await journal.append(events(1) * MAX_BATCH) == MAX_BATCH


async def test_two_writers_in_one_process_are_a_bug(journal: Journal) -> None:
    first = asyncio.create_task(journal.append(events(1)))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one writer"):
        await journal.append(events(2))
    assert await first == 1


async def test_a_gateway_that_lost_its_lease_is_fenced(
    journal: Journal, redis_client: Redis, keys: Keys
) -> None:
    await journal.append(events(1))
    await redis_client.hset(keys.lease, mapping={"until": 0})
    successor = await open_journal(redis_client, keys, owner="other")
    with pytest.raises(Fenced, match="took this household over"):
        await journal.append(events(2))
    with pytest.raises(Fenced):
        await journal.save_snapshot(1, b"old")
    assert await successor.append(events(2)) == 2


async def test_a_writer_that_nobody_knows_is_noticed(
    journal: Journal, redis_client: Redis, keys: Keys
) -> None:
    twin = Journal(redis_client, keys, 1, "me")
    await twin.open()
    await twin.append(events(1))
    with pytest.raises(Fenced, match="somebody else wrote"):
        await journal.append(events(1))


async def test_an_emptied_redis_is_behind(journal: Journal, redis_client: Redis, keys: Keys) -> None:
    await journal.append(events(1, 3))
    await redis_client.flushall()
    with pytest.raises(StoreBehind, match="ends at 0, but 3"):
        await journal.append(events(4))
    fresh = Journal(redis_client, keys, 1, "me")
    with pytest.raises(StoreBehind):
        await fresh.open(at_least=3)
    assert await fresh.open() == 0


async def test_a_journal_edited_by_hand_is_noticed(journal: Journal, redis_client: Redis, keys: Keys) -> None:
    await journal.append(events(1, 3))
    await redis_client.xdel(keys.journal, "2-0")
    with pytest.raises(StoreBehind, match="entries 2 to 2 are gone"):
        await everything(journal)
    await redis_client.xdel(keys.journal, "3-0")
    with pytest.raises(StoreBehind, match="edited or half lost"):
        await journal.head()


async def test_a_script_cache_that_was_lost_changes_nothing(journal: Journal, redis_client: Redis) -> None:
    await journal.append(events(1))
    await redis_client.script_flush()
    assert await journal.append(events(2)) == 2


async def test_a_reply_lost_after_execution_is_one_entry(
    redis_server: EmbeddedServer, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    assert redis_url
    told: list[str] = []
    async with LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy:
        client = journal_client(proxy.url)
        journal = await open_journal(client, keys, on_unavailable=told.append, on_available=told.append)
        await journal.append(events(1))
        proxy.word, proxy.cuts = b"timer-2", 3
        assert await journal.append(events(2, 2)) == 3
        assert proxy.cuts == 0
        assert [seq for seq, _ in await everything(journal)] == [1, 2, 3]
        await client.aclose()
    assert [text.split("(")[0].strip() for text in told] == ["Redis does not answer", "Redis answers again"]


async def test_an_append_that_is_cancelled_closes_the_journal(
    redis_server: EmbeddedServer, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    assert redis_url
    async with LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy:
        client = journal_client(proxy.url)
        journal = await open_journal(client, keys)
        await journal.append(events(1))  # the server knows the script from here on
        proxy.word, proxy.cuts = b"timer-2", 1000
        appending = asyncio.create_task(journal.append(events(2)))
        await until(lambda: proxy.cuts < 999)  # the first try has been answered, into nothing
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        with pytest.raises(RuntimeError, match="not open"):
            await journal.append(events(3))
        proxy.cuts = 0
        assert await journal.open() == 2
        await client.aclose()


async def test_a_server_killed_in_the_middle_of_appends_loses_and_doubles_nothing(
    own_server: EmbeddedServer, keys: Keys
) -> None:
    client = journal_client(own_server.url)
    outages: list[str] = []
    journal = await open_journal(client, keys, on_unavailable=outages.append)
    dice, is_over = random.Random(7), asyncio.Event()

    async def murder() -> None:
        for _ in range(4):
            await asyncio.sleep(dice.uniform(0.02, 0.15))
            kill(own_server)
            await asyncio.sleep(dice.uniform(0, 0.05))
            await asyncio.to_thread(own_server.start)
        is_over.set()

    killing = asyncio.create_task(murder())
    acknowledged = 0
    while not is_over.is_set():
        batch = events(acknowledged + 1, dice.randint(1, 20))
        acknowledged = await journal.append(batch)
    await killing
    pairs = await everything(journal)
    assert pairs == list(zip(range(1, acknowledged + 1), events(1, acknowledged), strict=True))
    assert outages
    await client.aclose()


async def test_memory_that_ran_out_is_a_clear_error_and_nothing_is_written(
    journal: Journal, redis_client: Redis
) -> None:
    await journal.append(events(1))
    await redis_client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await journal.append(events(2))
    finally:
        await redis_client.config_set("maxmemory", "0")
    assert await journal.append(events(2)) == 2


async def test_an_append_waits_until_replicas_are_back(journal: Journal, redis_client: Redis) -> None:
    await redis_client.config_set("min-replicas-to-write", "1")
    waiting = asyncio.create_task(journal.append(events(1)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await redis_client.config_set("min-replicas-to-write", "0")
    assert await waiting == 1


@contextlib.asynccontextmanager
async def user(admin: Redis, url: str, *rights: str) -> AsyncIterator[Redis]:
    await admin.execute_command("ACL", "SETUSER", "poor", "reset", "on", ">pw", "~*", *rights)
    client = connect(url.replace("unix://", "unix://poor:pw@"), 1.0)
    try:
        yield client
    finally:
        await client.aclose()
        await admin.execute_command("ACL", "DELUSER", "poor")


async def test_missing_rights_are_a_clear_error(redis_client: Redis, redis_url: str, keys: Keys) -> None:
    async with user(redis_client, redis_url, "+client|setname", "+@read", "+multi", "+exec") as client:
        journal = Journal(client, keys, 1, "me")
        await journal.open()
        with pytest.raises(StoreUnavailable, match="rights"):
            await journal.append(events(1))
        with pytest.raises(StoreUnavailable, match="rights"):
            await journal.check_safety()


async def test_a_wrong_password_is_a_clear_error(redis_url: str, keys: Keys) -> None:
    client = connect(redis_url.replace("unix://", "unix://poor:wrong@"), 1.0)
    with pytest.raises(StoreUnavailable, match="correct the redis url") as caught:
        await Journal(client, keys, 1, "me").open()
    assert "wrong" not in str(caught.value).replace("name or password is wrong", "")
    await client.aclose()


async def test_the_embedded_server_is_safe(journal: Journal) -> None:
    assert (await journal.check_safety()).startswith("9.")


async def test_every_unsafe_setting_is_named_with_its_remedy(journal: Journal, redis_client: Redis) -> None:
    safe = {
        "appendfsync": "always", "maxmemory-policy": "noeviction", "no-appendfsync-on-rewrite": "no",
    }  # fmt: skip
    unsafe = {
        "appendfsync": "everysec", "maxmemory-policy": "allkeys-lru", "no-appendfsync-on-rewrite": "yes",
    }  # fmt: skip
    try:
        for name, value in unsafe.items():
            await redis_client.config_set(name, value)
        with pytest.raises(StoreUnsafe) as caught:
            await journal.check_safety()
    finally:
        for name, value in safe.items():
            await redis_client.config_set(name, value)
    for name, value in safe.items():
        assert f"CONFIG SET {name} {value}" in str(caught.value)


class OldReplica:
    """Answer as an old replica with hidden settings would."""

    async def info(self) -> dict[str, str]:
        return {"redis_version": "6.0.9", "role": "slave"}

    async def config_get(self, name: str) -> dict[bytes, bytes]:
        return {b"appendonly": b"no"} if name == "appendonly" else {}


async def test_an_old_replica_is_unsafe(keys: Keys) -> None:
    journal = Journal(view_client("redis://localhost:1"), keys, 1, "me")
    journal._client = OldReplica()  # type: ignore[assignment]
    with pytest.raises(StoreUnsafe, match=r"6\.0\.9 is older.*replica.*appendonly is 'no'.*'not set'"):
        await journal.check_safety()


async def test_config_that_may_not_be_read_is_unsafe(redis_client: Redis, redis_url: str, keys: Keys) -> None:
    async with user(redis_client, redis_url, "+client|setname", "+@read", "+info") as client:
        with pytest.raises(StoreUnsafe, match=r"allow \+config\|get"):
            await Journal(client, keys, 1, "me").check_safety()


async def test_a_snapshot_comes_back_and_one_before_it_is_kept(
    journal: Journal, redis_client: Redis, keys: Keys
) -> None:
    assert await journal.load_snapshot() is None
    await journal.append(events(1, 9))
    await journal.save_snapshot(3, b"three")
    await journal.save_snapshot(9, b"nine")
    await journal.save_snapshot(5, b"an older one changes nothing")
    assert await journal.load_snapshot() == (9, b"nine")
    await redis_client.delete(keys.snapshot)
    assert await journal.load_snapshot() == (3, b"three")


async def test_a_big_snapshot_is_packed_beside_the_loop(journal: Journal) -> None:
    await journal.append(events(1))
    data = random.Random(1).randbytes(500_000)
    await journal.save_snapshot(1, data)
    assert await journal.load_snapshot() == (1, data)


@pytest.mark.parametrize(
    "damage", [{"data": b"x"}, {"seq": "2"}, {"seq": "x"}, {"sha256": b"\xff"}, {"sha256": ""}]
)
async def test_a_damaged_snapshot_is_ignored_with_a_warning(
    journal: Journal,
    redis_client: Redis,
    keys: Keys,
    damage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await journal.append(events(1, 9))
    await journal.save_snapshot(1, b"one")
    await journal.save_snapshot(9, b"nine")
    await redis_client.hset(keys.snapshot, mapping=damage)
    assert await journal.load_snapshot() == (1, b"one")
    await redis_client.hdel(keys.previous_snapshot, "data")
    assert await journal.load_snapshot() is None
    assert "damaged and ignored" in caplog.text


async def test_a_snapshot_newer_than_the_journal_proves_a_loss(
    journal: Journal, redis_client: Redis, keys: Keys
) -> None:
    await journal.append(events(1, 9))
    await journal.save_snapshot(9, b"nine")
    await redis_client.delete(keys.journal, keys.head)
    with pytest.raises(StoreBehind, match="9 events"):
        await journal.load_snapshot()
