from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S, until
from redis.asyncio import Redis
from redis.exceptions import ConnectionError  # noqa: A004
from redis_faults import LossyProxy, kill

from gateway.errors import Fenced, LeaseHeld, StoreUnavailable
from gateway.events import TimerFired
from gateway.runtime import lease as room
from gateway.runtime.clock import SystemClock
from gateway.runtime.connect import connect, journal_client
from gateway.runtime.embedded import EmbeddedServer
from gateway.runtime.keys import Keys
from gateway.runtime.lease import Lease, is_provably_dead, owner_text
from gateway.runtime.store import Journal

AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


class Hands:
    """A clock moved by hand; the lease only asks for `monotonic`."""

    def __init__(self) -> None:
        self.s = 1000.0

    def monotonic(self) -> float:
        return self.s

    def now(self) -> datetime:
        return AT


@pytest.fixture
def hands() -> Hands:
    return Hands()


def make(client: Redis, keys: Keys, owner: str = "", clock: Any = None, **options: Any) -> Lease:
    return Lease(client, keys, clock or SystemClock(), owner=owner, **options)


async def test_every_takeover_raises_the_epoch(redis_client: Redis, keys: Keys) -> None:
    assert await make(redis_client, keys, "a").acquire() == 1
    assert await make(redis_client, keys, "a").acquire() == 2
    lease = make(redis_client, keys, "a")
    assert (await lease.acquire(), lease.epoch) == (3, 3)


async def test_a_live_owner_is_not_robbed(redis_client: Redis, keys: Keys) -> None:
    await make(redis_client, keys, owner_text()).acquire()
    with pytest.raises(LeaseHeld, match=rf"process {os.getpid()}\) holds this household for \d"):
        await make(redis_client, keys, "other").acquire()
    with pytest.raises(LeaseHeld, match="stop it first"):
        await make(redis_client, keys, "other").acquire(wait_s=0.05)
    assert await redis_client.hget(keys.lease, "epoch") == b"1"


async def test_an_owner_whose_text_is_strange_is_not_robbed(redis_client: Redis, keys: Keys) -> None:
    await make(redis_client, keys, "strange").acquire()
    with pytest.raises(LeaseHeld, match=r"host strange, process \?"):
        await make(redis_client, keys, "other").acquire()


async def test_who_waits_takes_over_when_the_time_is_up(redis_client: Redis, keys: Keys) -> None:
    first = make(redis_client, keys, "a", ttl_s=0.3, margin_s=0.1)
    await first.acquire()
    second = make(redis_client, keys, "b")
    assert await second.acquire(wait_s=PATIENCE_S) == 2
    assert not first.may_act()
    assert second.may_act()
    with pytest.raises(Fenced, match="took this household over"):
        await first.renew()


async def test_the_first_has_stopped_before_another_may_begin(
    redis_client: Redis, keys: Keys, hands: Hands
) -> None:
    lease = make(redis_client, keys, "a", hands, ttl_s=10, margin_s=1)
    assert not lease.may_act()
    await lease.acquire()
    hands.s += 8.9
    assert lease.may_act()
    hands.s += 0.2
    assert not lease.may_act()
    await lease.renew()
    assert lease.may_act()


async def test_a_token_of_yesterday_writes_nothing(redis_client: Redis, keys: Keys) -> None:
    old = make(redis_client, keys, "a")
    await old.acquire()
    journal = Journal(redis_client, keys, old.epoch, old.owner)
    await journal.open()
    await journal.append([TimerFired(AT, "one")])
    await redis_client.hset(keys.lease, mapping={"until": 0})  # a day has passed
    new = make(redis_client, keys, "b")
    await new.acquire()
    for journal_seq in (1, 1):
        assert journal.seq == journal_seq
        with pytest.raises(Fenced):
            await journal.append([TimerFired(AT, "two")])
    assert await redis_client.xlen(keys.journal) == 1


async def test_the_same_owner_with_an_older_epoch_is_fenced_too(redis_client: Redis, keys: Keys) -> None:
    first = make(redis_client, keys, "a")
    await first.acquire()
    await make(redis_client, keys, "a").acquire()
    with pytest.raises(Fenced):
        await first.renew()
    assert not first.may_act()


async def test_what_is_released_is_free_at_once(redis_client: Redis, keys: Keys) -> None:
    lease = make(redis_client, keys, "a")
    await lease.acquire()
    await lease.release()
    assert not lease.may_act()
    assert await make(redis_client, keys, "b").acquire() == 2
    await lease.release()
    with pytest.raises(LeaseHeld):
        await make(redis_client, keys, "c").acquire()


async def test_a_lease_that_was_deleted_stops_its_holder(redis_client: Redis, keys: Keys) -> None:
    lease = make(redis_client, keys, "a", ttl_s=0.3, margin_s=0.05)
    await lease.acquire()
    keeping = asyncio.create_task(lease.keep())
    await asyncio.sleep(0.02)
    await redis_client.delete(keys.lease)
    with pytest.raises(Fenced, match="deleted"):
        async with asyncio.timeout(PATIENCE_S):
            await keeping
    assert not lease.may_act()


async def test_a_lease_is_kept_as_long_as_it_is_renewed(redis_client: Redis, keys: Keys) -> None:
    lease = make(redis_client, keys, "a", ttl_s=1.8, margin_s=0.1)
    await lease.acquire()
    keeping = asyncio.create_task(lease.keep())
    with pytest.raises(LeaseHeld):
        await make(redis_client, keys, "b").acquire(wait_s=2.2)
    assert lease.may_act()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path / "own")
    server.start()
    yield server
    server.start()
    assert server.stop()


async def test_over_an_outage_the_lease_runs_out_and_comes_back(
    own_server: EmbeddedServer, keys: Keys
) -> None:
    client = journal_client(own_server.url)
    lease = make(client, keys, "a", ttl_s=0.9, margin_s=0.2)
    await lease.acquire()
    keeping = asyncio.create_task(lease.keep())
    kill(own_server)
    await until(lambda: not lease.may_act())
    await lease.release()
    await asyncio.to_thread(own_server.start)
    await until(lease.may_act)
    assert lease.epoch == 1
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await client.aclose()


async def test_an_answer_that_got_lost_only_costs_an_epoch(
    redis_server: EmbeddedServer, redis_url: str, keys: Keys, tmp_path: Path
) -> None:
    assert redis_url
    async with LossyProxy(redis_server.socket, tmp_path / "p.sock") as proxy:
        client = journal_client(proxy.url)
        await make(client, keys, "warm").acquire()
        await client.delete(keys.lease)
        proxy.word, proxy.cuts = b"EVALSHA", 1
        lease = make(client, keys, "a")
        assert await lease.acquire() == 2
        assert lease.may_act()
        await client.aclose()


@pytest.fixture
async def poor_client(redis_client: Redis, redis_url: str) -> AsyncIterator[Redis]:
    await redis_client.execute_command(
        "ACL", "SETUSER", "poor", "reset", "on", ">pw", "~*", "+@read", "+@connection"
    )
    client = connect(redis_url.replace("unix://", "unix://poor:pw@"), 1.0)
    yield client
    await client.aclose()
    await redis_client.execute_command("ACL", "DELUSER", "poor")


async def test_what_redis_refuses_for_good_ends_the_keeping(poor_client: Redis, keys: Keys) -> None:
    lease = make(poor_client, keys, "a")
    with pytest.raises(StoreUnavailable, match="rights"):
        await lease.acquire()
    with pytest.raises(StoreUnavailable, match="rights"):
        await lease.keep()
    await lease.release()


def test_a_margin_leaves_time_to_act(redis_url: str, keys: Keys) -> None:
    with pytest.raises(ValueError, match="margin"):
        make(connect(redis_url, 1.0), keys, ttl_s=1, margin_s=0.6)


# ------------------------------------------------------------------------------------- proofs of death

NAME_ITSELF = "from gateway.runtime.lease import owner_text; print(owner_text(), flush=True); input()"


def start_process() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", NAME_ITSELF], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


async def test_the_lease_of_a_process_that_died_is_taken_over_at_once(
    redis_client: Redis, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    process, owner = start_process()
    assert await make(redis_client, keys, owner, ttl_s=600, margin_s=1).acquire() == 1
    with pytest.raises(LeaseHeld):
        await make(redis_client, keys).acquire()
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert is_provably_dead(owner), "a zombie is dead"
    end(process)
    assert is_provably_dead(owner)
    assert await make(redis_client, keys).acquire() == 2
    assert "taking over at once" in caplog.text


async def test_a_stopped_process_is_not_dead(redis_client: Redis, keys: Keys) -> None:
    process, owner = start_process()
    try:
        process.send_signal(signal.SIGSTOP)
        await make(redis_client, keys, owner).acquire()
        with pytest.raises(LeaseHeld):
            await make(redis_client, keys).acquire()
    finally:
        end(process)


def changed(at: int, value: str) -> str:
    fields = owner_text().split("|")
    fields[at] = value
    return "|".join(fields)


@pytest.mark.parametrize(
    ("owner", "is_dead"),
    [
        (owner_text(), False),
        (changed(4, "1"), True),  # the same process id with another start: it was used again
        (changed(3, "4000000"), True),  # no such process
        (changed(3, str(2**40)), False),  # no process id at all
        (changed(0, "elsewhere"), False),
        (changed(1, "another-boot"), False),
        (changed(2, "pid:[1]"), False),
        (changed(3, "x"), False),
        (changed(4, ""), False),
        ("", False),
        ("me", False),
    ],
)
def test_only_a_process_of_this_very_machine_is_proved_dead(owner: str, *, is_dead: bool) -> None:
    assert is_provably_dead(owner) is is_dead


def test_without_proc_nobody_is_proved_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(room, "_PROC", tmp_path)
    assert owner_text().split("|")[1:] == ["", "", str(os.getpid()), ""]
    assert not is_provably_dead(owner_text())
    assert not is_provably_dead(owner_text().removesuffix("|") + "|7")


async def test_giving_back_without_redis_raises_nothing(keys: Keys, tmp_path: Path) -> None:
    client = connect(f"unix://{tmp_path}/nobody.sock", 1.0)
    await make(client, keys, "a").release()
    with pytest.raises(ConnectionError):
        await client.get("x")
    await client.aclose()
