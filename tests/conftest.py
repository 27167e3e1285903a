"""Fixtures for everybody: one real Valkey for the whole session, emptied before each test that uses it.

Properties are held to what they say, not to how long an example takes: on a busy machine that is chance.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from gateway.runtime.connect import view_client
from gateway.runtime.embedded import EmbeddedServer
from gateway.runtime.keys import Keys

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """The session's server; use `redis_url` unless the test needs the server itself."""
    server = EmbeddedServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    assert server.stop()


@pytest.fixture
def redis_url(redis_server: EmbeddedServer) -> str:
    """The URL of the session's server, empty."""
    with contextlib.closing(BlockingRedis.from_url(redis_server.url)) as client:
        client.flushall()
        client.script_flush()
    return redis_server.url


@pytest.fixture
def state_folder(redis_url: str, redis_server: EmbeddedServer) -> Path:
    """The state folder of the session's server, empty."""
    assert redis_url == redis_server.url
    return redis_server.state_folder


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the session's server, without retries."""
    client = view_client(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def keys() -> Keys:
    """The keys of household H."""
    return Keys("H")
