"""Old journal entries leave Redis for files, and everything that reads the journal finds them there."""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from patience import PATIENCE_S, at_rest, until
from redis.asyncio import Redis

from gateway import app
from gateway.effects import Alert
from gateway.errors import Fenced, StoreBehind, StoreUnavailable
from gateway.events import Event, TimerFired
from gateway.runtime import store
from gateway.runtime.archive import Archive, Entry
from gateway.runtime.clock import SystemClock
from gateway.runtime.keys import Keys
from gateway.runtime.lease import Lease
from gateway.runtime.store import Journal

AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def events(first: int, count: int) -> list[Event]:
    return [TimerFired(AT, f"timer-{number} über") for number in range(first, first + count)]


async def everything(journal: Journal, after: int = 0, count: int = 100) -> list[tuple[int, Event]]:
    return [pair async for pair in journal.read(after, count)]


def numbered(first: int, last: int) -> list[tuple[int, Event]]:
    return list(zip(range(first, last + 1), events(first, last - first + 1), strict=True))


@pytest.fixture
async def journal(
    redis_client: Redis, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Journal:
    """A journal of 100 events, with snapshots behind 80 and 90; ten old ones are worth a file."""
    monkeypatch.setattr(store, "LEAST_ARCHIVED", 10)
    lease = Lease(redis_client, keys, SystemClock(), owner="me")
    await lease.acquire()
    made = Journal(redis_client, keys, lease.epoch, lease.owner, archive=Archive(tmp_path / "archive"))
    await made.open()
    await made.append(events(1, 100))
    await made.save_snapshot(80, b"state")
    await made.save_snapshot(90, b"state")
    return made


async def first_in_redis(redis: Redis, keys: Keys) -> int:
    rows: Any = await redis.xrange(keys.journal, count=1)
    return int(rows[0][0].partition(b"-")[0])


async def test_what_has_left_is_read_as_if_it_had_not(
    journal: Journal, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    assert await journal.archive_old(keep=30) == 70
    assert await first_in_redis(redis_client, keys) == 71
    for after in (0, 1, 42, 69, 70, 71, 99, 100):
        assert await everything(journal, after, count=7) == numbered(after + 1, 100)
    assert await journal.archive_old(keep=30) == 0  # nothing new is old
    await journal.append(events(101, 40))
    assert await journal.archive_old(keep=30) == 10  # what the older snapshot lies behind, and no more
    assert await first_in_redis(redis_client, keys) == 81
    assert await everything(journal) == numbered(1, 140)
    names = sorted(path.name for path in (tmp_path / "archive").iterdir())
    assert names == ["000000000001-000000000070.jsonl.gz", "000000000071-000000000080.jsonl.gz"]
    reader = Journal(redis_client, keys, 0, "reader", archive=Archive(tmp_path / "archive"))
    assert await everything(reader) == numbered(1, 140)
    assert await journal.load_snapshot() == (90, b"state")


async def test_what_a_start_needs_never_leaves(redis_client: Redis, keys: Keys, journal: Journal) -> None:
    assert await journal.archive_old(keep=0) == 80
    assert await first_in_redis(redis_client, keys) == 81
    await redis_client.delete(keys.previous_snapshot)
    await journal.append(events(101, 100))
    assert await journal.archive_old(keep=0) == 0
    assert await journal._trim(150) == 0  # the script itself refuses, too


async def test_a_crash_between_file_and_stream_doubles_nothing(
    journal: Journal, redis_client: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_journal: Journal, _seq: int) -> int:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "_trim", dies)
        with pytest.raises(ConnectionResetError):
            await journal.archive_old(keep=60)
    assert await first_in_redis(redis_client, keys) == 1
    assert await everything(journal) == numbered(1, 100)
    assert await journal.archive_old(keep=30) == 70
    assert await everything(journal) == numbered(1, 100)
    archive = journal._archive
    assert archive is not None
    assert [entry.seq for entry in archive.read(0, 1000)] == list(range(1, 71))


async def test_many_files_are_written_where_much_is_old(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_ARCHIVED", 32)
    assert await journal.archive_old(keep=20) == 80
    assert len(list((tmp_path / "archive").iterdir())) == 3
    assert await everything(journal) == numbered(1, 100)


async def test_a_reader_goes_on_where_entries_leave_while_it_reads(
    journal: Journal, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    reader = Journal(redis_client, keys, 0, "reader", archive=Archive(tmp_path / "archive"))
    seen = list[tuple[int, Event]]()
    async for pair in reader.read(0, 10):
        seen.append(pair)
        if pair[0] == 15:
            assert await journal.archive_old(keep=30) == 70
    assert seen == numbered(1, 100)


@pytest.mark.parametrize("damage", ["gone", "cut", "garbled", "foreign"])
async def test_files_that_are_not_all_there_are_said(
    journal: Journal, tmp_path: Path, damage: str, redis_client: Redis, keys: Keys
) -> None:
    await journal.archive_old(keep=60)
    await journal.archive_old(keep=30)
    folder = tmp_path / "archive"
    first, _ = sorted(folder.iterdir())
    if damage == "gone":
        first.unlink()
    elif damage == "cut":
        first.write_bytes(first.read_bytes()[:-20])
    elif damage == "garbled":
        first.write_bytes(gzip.compress(b"not a list\n"))
    else:
        first.write_bytes(gzip.compress(b'[1,"TimerFired",1,"{}"]\n'))
    with pytest.raises(StoreBehind, match="put"):
        await everything(journal, after=5)
    with pytest.raises(StoreBehind, match="entries 6 to 70 are gone"):
        await everything(Journal(redis_client, keys, 0, "reader"), after=5)


async def test_an_archive_left_behind_on_another_machine_stops_only_the_archiving(
    journal: Journal, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    await journal.archive_old(keep=60)
    moved = Journal(redis_client, keys, *journal._fence, archive=Archive(tmp_path / "new"))  # type: ignore[arg-type]
    await moved.open()
    with pytest.raises(StoreBehind, match="entries 1 to 40 are neither in Redis nor in"):
        await moved.archive_old(keep=20)
    assert await first_in_redis(redis_client, keys) == 41


async def test_a_disk_that_takes_nothing_loses_nothing(
    journal: Journal, redis_client: Redis, keys: Keys, tmp_path: Path
) -> None:
    (tmp_path / "archive").write_text("a file where the folder should be")
    with pytest.raises(StoreUnavailable, match="old journal entries stay in Redis"):
        await journal.archive_old(keep=30)
    assert await first_in_redis(redis_client, keys) == 1
    assert await everything(journal) == numbered(1, 100)


async def test_only_the_leases_holder_lets_entries_leave(
    journal: Journal, redis_client: Redis, keys: Keys
) -> None:
    await redis_client.hset(keys.lease, "owner", "somebody else")  # type: ignore[misc]
    with pytest.raises(Fenced):
        await journal.archive_old(keep=30)
    assert await first_in_redis(redis_client, keys) == 1


@pytest.mark.usefixtures("journal")
async def test_without_an_archive_nothing_leaves(redis_client: Redis, keys: Keys) -> None:
    plain = Journal(redis_client, keys, 1, "me")
    assert await plain.archive_old(keep=1) == 0
    assert await asyncio.wait_for(everything(plain), PATIENCE_S) == numbered(1, 100)


async def test_a_running_gateway_archives_by_itself_and_tells_a_full_disk_once(
    journal: Journal, redis_client: Redis, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "ARCHIVE_EVERY_S", 0.01)
    folder, told = tmp_path / "archive", list[Alert]()
    folder.write_text("no folder")
    running: Any = SimpleNamespace(
        journal=journal, config=SimpleNamespace(journal=SimpleNamespace(keep_events=30)),
        presenter=SimpleNamespace(alert=told.append),
    )  # fmt: skip
    archiving = asyncio.create_task(app._archiving(running))
    await until(lambda: told)
    await asyncio.sleep(0.1)
    assert [one.code for one in told] == ["NotArchived"]
    folder.unlink()
    while await first_in_redis(redis_client, keys) != 71:  # the test's own time-out bounds it
        await at_rest(lambda: len(told))
    archiving.cancel()
    assert len(told) == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 60), st.integers(1, 70))
def test_files_of_any_sizes_are_read_from_anywhere(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], after: int, before: int
) -> None:
    archive, seq = Archive(tmp_path_factory.mktemp("files")), 0
    for size in sizes:
        entries = [Entry(seq + one, "TimerFired", 1, b'{"a":"\xc3\xbc\\n"}') for one in range(1, size + 1)]
        seq = archive.keep(entries)
    assert archive.last == seq == sum(sizes)
    assert [one.seq for one in archive.read(after, before)] == list(
        range(after + 1, min(seq, before - 1) + 1)
    )
