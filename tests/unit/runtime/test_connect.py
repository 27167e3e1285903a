from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    OutOfMemoryError,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from gateway.errors import ConfigError, StoreError, StoreUnavailable
from gateway.runtime.connect import connect, journal_client, lua, reader_client, unix_url, view_client
from gateway.runtime.keys import INPUTS, Keys
from gateway.runtime.store import is_transient, refusal


def test_every_key_carries_the_household_as_hash_tag() -> None:
    keys = Keys("desk-1.eu_x")
    names = [keys.targets, keys.commands, keys.prices, keys.journal, keys.head, keys.lease, keys.snapshot]
    names += [keys.previous_snapshot, keys.news, keys.rejected, keys.published, keys.book, keys.status]
    names += [keys.order("c-1"), keys.request("r-1"), keys.decision("r-1")]
    assert len(set(names)) == len(names)
    assert all(name.startswith("gw:{desk-1.eu_x}:") for name in names)
    assert [keys.stream(name) for name in INPUTS] == [keys.commands, keys.prices, keys.targets]


@pytest.mark.parametrize("household", ["", "a}b", "a b", "x" * 65, "é"])
def test_a_household_that_cannot_be_part_of_a_key_is_refused(household: str) -> None:
    with pytest.raises(ConfigError, match="1 to 64"):
        Keys(household)


def test_an_unknown_stream_is_a_bug() -> None:
    with pytest.raises(ValueError, match="journal"):
        Keys("H").stream("journal")


def test_no_client_repeats_a_command_by_itself() -> None:
    for make in (journal_client, reader_client, view_client):
        assert make("redis://localhost:1").get_retry().get_retries() == 0  # type: ignore[union-attr]
    assert connect("sentinel://a,b:1/m", 1.0).get_retry().get_retries() == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("url", ["http://x", "localhost:6379", "sentinel://a:1", "sentinel:///m"])
def test_a_wrong_url_names_the_remedy(url: str) -> None:
    with pytest.raises(ConfigError, match="sentinel"):
        connect(url, 1.0)


def test_a_sentinel_url_carries_login_and_ports() -> None:
    client = connect("sentinel://user:p%40ss@one:7001,two/main", 1.5, 3)
    pool = client.connection_pool
    assert (pool.service_name, pool.max_connections) == ("main", 3)
    nodes = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(node["host"], node["port"]) for node in nodes] == [("one", 7001), ("two", 26379)]
    assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("user", "p@ss")
    only_password = connect("sentinel://:p@one/main", 1.0).connection_pool.connection_kwargs
    assert "username" not in only_password


def test_a_unix_url_and_a_script() -> None:
    assert unix_url(Path("/x/y.sock")) == "unix:///x/y.sock"
    assert "FENCED" in lua("append")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (ConnectionError("reset"), True),
        (TimeoutError("slow"), True),
        (BusyLoadingError("LOADING"), True),
        (OSError("no route"), True),
        (ResponseError("CLUSTERDOWN wait"), True),
        (ResponseError("NOREPLICAS wait"), True),
        (ResponseError("ERR wrong"), False),
        (AuthenticationError("no"), False),
        (ResponseError("MISCONF disk"), False),
    ],
)
def test_what_passes_is_told_from_what_stays(error: Exception, *, transient: bool) -> None:
    assert is_transient(error) is transient


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ResponseError("MISCONF Errors writing to the AOF file"), "disk"),
        (OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "memory"),
        (ResponseError("NOPERM no"), "rights"),
        (ResponseError("User x has no permissions to run y"), "rights"),
        (ResponseError("NOAUTH Authentication required."), "password"),
        (ResponseError("MOVED 1234 host:1"), "cluster"),
        (AuthenticationError("invalid username-password pair"), "correct the redis url"),
    ],
)
def test_a_refusal_names_the_remedy(error: Exception, words: str) -> None:
    assert isinstance(refusal(error), StoreUnavailable)
    assert words in str(refusal(error))


def test_any_other_refusal_is_a_plain_store_error() -> None:
    assert type(refusal(ResponseError("ERR strange"))) is StoreError


async def test_a_cancellation_that_comes_as_a_command_is_sent_is_not_swallowed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = view_client(redis_url)
    pool: Any = client.connection_pool
    real = pool.connection_class._send_packed_command
    tasks: list[asyncio.Task[Any]] = []

    async def send(self: Any, command: Any) -> None:
        await real(self, command)
        if tasks:
            tasks[0].cancel()

    async def endless() -> None:
        while True:
            await client.ping()

    monkeypatch.setattr(pool.connection_class, "_send_packed_command", send)
    await client.ping()
    tasks.append(asyncio.create_task(endless()))
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(PATIENCE_S):
            await tasks[0]
    tasks.clear()
    assert await client.ping()
    await client.aclose()


async def test_a_refused_login_is_not_taken_for_an_outage(redis_url: str) -> None:
    client = view_client(redis_url.replace("unix://", "unix://nobody:secret@"))
    with pytest.raises(ConnectionError) as caught:
        await client.ping()
    assert not is_transient(caught.value)
    assert "correct the redis url" in str(refusal(caught.value))
    assert "secret" not in str(refusal(caught.value))
    await client.aclose()
