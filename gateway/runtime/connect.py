"""Redis clients, one kind for each purpose, so that no purpose can hurt another.

Rules of this room:
1. redis-py's own retries are off everywhere: it would send a write again although the first arrived
   (measured: one XADD became two entries). Whoever writes decides itself how to repeat.
2. A blocking read has its own connection and a socket timeout longer than its block.
3. A client is never logged: its repr holds credentials.
4. A cancelled command ends. redis-py sends within `wait_for`, which in Python 3.11 swallows a cancellation
   that comes as the send ends; a task that reads for ever would then never stop (`_Cancellable`).
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, TimeoutError  # noqa: A004

from gateway.errors import ConfigError

JOURNAL_TIMEOUT_S: Final = 2.0
VIEW_TIMEOUT_S: Final = 5.0
BLOCK_MS: Final = 1000
READ_TIMEOUT_S: Final = 5.0
SENTINEL_PORT: Final = 26379

GONE = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, OSError)
"""What redis-py raises when the server is away, starting, or no longer the master: try again later."""


class _Cancellable:
    """Pass on a cancellation that came while a command was being sent; stands before a connection class."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send, and raise what was swallowed; the connection is closed, its answer will not be read."""
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        await super().send_packed_command(command, check_health)  # type: ignore[misc]
        if task is not None and task.cancelling() > cancelled_before:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise asyncio.CancelledError


@cache
def _cancellable(kind: type) -> type:
    return type(f"Cancellable{kind.__name__}", (_Cancellable, kind), {})


def _prepared(client: Redis) -> Redis:
    """Let the client's pool make connections that can be cancelled."""
    pool: Any = client.connection_pool
    pool.connection_class = _cancellable(pool.connection_class)
    return client


def connect(url: str, timeout_s: float, connections: int = 4) -> Redis:
    """Return a client without retries; nothing is sent before the first command.

    `url` is redis://, rediss://, unix:// or sentinel://[user:password@]host[:port],host[:port]/master.
    """
    retry = Retry(NoBackoff(), 0)
    scheme = urlsplit(url).scheme
    if scheme == "sentinel":
        return _behind_sentinel(url, timeout_s, connections)
    if scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"redis url scheme {scheme!r} is not known: use redis, rediss, unix or sentinel")
    client = Redis.from_url(
        url,
        retry=retry,
        socket_timeout=timeout_s,
        socket_connect_timeout=JOURNAL_TIMEOUT_S,
        max_connections=connections,
        protocol=2,
        decode_responses=False,
        client_name="rebalance-gateway",
    )
    return _prepared(client)


def _behind_sentinel(url: str, timeout_s: float, connections: int) -> Redis:
    """Return a client of the master that the sentinels name."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    nodes = []
    for host in filter(None, hosts.split(",")):
        name, _, port = host.partition(":")
        nodes.append((name, int(port or SENTINEL_PORT)))
    master = parts.path.strip("/")
    if not nodes or not master:
        raise ConfigError("a sentinel url reads sentinel://[user:password@]host[:port],host[:port]/master")
    login: dict[str, Any] = {}
    if "@" in parts.netloc:
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        login = {"password": unquote(password)} | ({"username": unquote(user)} if user else {})
    sentinels = Sentinel(  # type: ignore[no-untyped-call]
        nodes, sentinel_kwargs={"socket_timeout": JOURNAL_TIMEOUT_S, "retry": Retry(NoBackoff(), 0)}
    )
    client: Redis = sentinels.master_for(
        master,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout_s,
        socket_connect_timeout=JOURNAL_TIMEOUT_S,
        max_connections=connections,
        protocol=2,
        decode_responses=False,
        **login,
    )
    return _prepared(client)


def journal_client(url: str) -> Redis:
    """Return the client of the journal and the lease: short timeout."""
    return connect(url, JOURNAL_TIMEOUT_S)


def reader_client(url: str) -> Redis:
    """Return the client of blocking reads: its socket waits longer than `BLOCK_MS`."""
    return connect(url, READ_TIMEOUT_S)


def view_client(url: str) -> Redis:
    """Return the client of read models, news, snapshots and onlookers."""
    return connect(url, VIEW_TIMEOUT_S)


def unix_url(socket: Path) -> str:
    """Return the URL of a unix socket."""
    return f"unix://{socket}"


def lua(name: str) -> str:
    """Return the text of the script `name`.lua of this room."""
    return Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")
