"""Faults for tests: a proxy that loses replies, and a server that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Self

import psutil
from patience import wait_until

from gateway.runtime.embedded import EmbeddedServer


class LossyProxy:
    """Stand before a server; the reply to the next request that holds `word` is cut off `cuts` times."""

    def __init__(self, server: Path, path: Path) -> None:
        self.url = f"unix://{path}"
        self.word = b""
        self.cuts = 0
        self._server_path = server
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_unix_connection(self._server_path)
        is_cut = asyncio.Event()

        async def replies() -> None:
            while data := await up_reader.read(65536):
                if is_cut.is_set():
                    break
                writer.write(data)
            writer.close()

        answering = asyncio.create_task(replies())
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):  # the end of the proxy
            while data := await reader.read(1_000_000):
                if self.cuts and self.word in data:
                    self.cuts -= 1
                    is_cut.set()
                up_writer.write(data)
        up_writer.close()
        writer.close()
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        self._tasks.discard(task)


def server_pid(server: EmbeddedServer) -> int:
    return int((server.state_folder / "redis" / "valkey.pid").read_text())


def kill(server: EmbeddedServer) -> None:
    """End a server as a power cut of its process would, and wait until it is gone.

    Somebody who keeps it alive may have started another by then.
    """
    pid = server_pid(server)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), every_s=0.005)


def is_gone(pid: int) -> bool:
    """Say whether a process has let go of everything; nobody may have asked for its exit code yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
