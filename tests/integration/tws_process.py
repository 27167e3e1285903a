"""A TWS in a process of its own, and a client that speaks bytes: for tests over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from patience import PATIENCE_S

from simulator.control import ask
from simulator.stage import free_port, let_go

PRICES = "symbol,price\nAAPL,100\nMSFT,200\n"
ACCOUNTS = {"DU1": {"cash": "100000.00", "positions": {"MSFT": "10"}}}


@dataclass
class TwsProcess:
    """`python -m simulator tws` over one store; `options` are its command line's own."""

    folder: Path
    options: tuple[str, ...] = ()
    accounts: dict[str, Any] = field(default_factory=lambda: ACCOUNTS)
    process: subprocess.Popen[str] | None = None
    port: int = field(default_factory=free_port)
    control: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        (self.folder / "prices.csv").write_text(PRICES)
        (self.folder / "accounts.json").write_text(json.dumps(self.accounts))
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        let_go(self.port, self.control)

    def start(self, *options: str) -> None:
        """Start, always on the same two ports."""
        command = [sys.executable, "-m", "simulator", "tws", "--port", str(self.port), "--control-port",
                   str(self.control), "--prices", str(self.folder / "prices.csv"),
                   "--accounts", str(self.folder / "accounts.json"),
                   "--store", str(self.folder / "store"), *self.options, *options]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        where = json.loads(line)["listening"]
        assert (where["port"], where["control_port"]) == (self.port, self.control)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it, politely or not."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_S)
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()
            self.process = None

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask the control port; an error is the test's."""
        answer = ask(self.control, command, **arguments)
        assert "error" not in answer, answer
        return answer

    def record(self) -> dict[str, Any]:
        """Return the venue's own record."""
        return self.ask("record")


class RawClient:
    """Speak the wire by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send_raw(self, data: bytes) -> None:
        self._writer.write(data)

    def send(self, *fields: object) -> None:
        payload = b"".join(str(one).encode() + b"\0" for one in fields)
        self.send_raw(len(payload).to_bytes(4) + payload)

    def greet(self, versions: str = "v157..178") -> None:
        self.send_raw(b"API\0" + len(versions).to_bytes(4) + versions.encode())

    async def read(self, timeout_s: float = PATIENCE_S) -> list[str] | None:
        """Return the next message, None at the end of the connection."""
        try:
            async with asyncio.timeout(timeout_s):
                size = int.from_bytes(await self._reader.readexactly(4))
                return (await self._reader.readexactly(size)).decode().split("\0")[:-1]
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def read_until(self, message: str) -> list[str]:
        while (said := await self.read()) is not None:
            if said[0] == message:
                return said
        raise AssertionError(f"{message} never came")

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
