"""A FIX peer made of raw bytes and sockets; it shares no code with the acceptor under test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import ClassVar

ORDER = "11={}|21=1|55=IBM|54=1|60=20240506-12:00:00|38=100|40=1|"
LOGON = "98=0|108=30|"


def framed(begin_string: str, fields: str) -> bytes:
    """Frame `35=...|34=...|` text (with | for SOH)."""
    body = fields.replace("|", "\x01").encode("latin-1")
    raw = b"8=" + begin_string.encode() + b"\x019=" + str(len(body)).encode() + b"\x01" + body
    return raw + b"10=%03d\x01" % (sum(raw) % 256)


class RawPeer:
    """Write messages by hand and read answers as text."""

    def __init__(self, port: int, begin_string: str = "FIX.4.4", name: str = "TW44") -> None:
        self.port, self.begin_string, self.name = port, begin_string, name
        self.seq_num = 1
        self.rest = b""
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    opened: ClassVar[list[RawPeer]] = []

    async def connect(self) -> RawPeer:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.opened.append(self)
        return self

    async def log_on(self, body: str = LOGON) -> list[str]:
        await self.connect()
        self.send("A", body)
        return await self.read(1)

    def message(self, msg_type: str, body: str = "", header: str = "", seq_num: int | None = None) -> bytes:
        now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
        number = self.seq_num if seq_num is None else seq_num
        self.seq_num += seq_num is None
        return framed(
            self.begin_string, f"35={msg_type}|34={number}|{header}49={self.name}|52={now}|56=ISLD|{body}"
        )

    def send(self, msg_type: str, body: str = "", header: str = "", seq_num: int | None = None) -> None:
        self.writer.write(self.message(msg_type, body, header, seq_num))

    async def read(self, count: int, timeout: float = 5.0) -> list[str]:  # noqa: ASYNC109 - a bound of the test
        """Read `count` messages, from MsgType on, without the times and the checksum."""
        answers: list[str] = []
        while len(answers) < count:
            stop = self.rest.find(b"\x0110=")
            if stop >= 0 and len(self.rest) >= stop + 8:
                answers.append(plain(self.rest[: stop + 1]))
                self.rest = self.rest[stop + 8 :]
                continue
            data = await asyncio.wait_for(self.reader.read(65536), timeout)
            if not data:
                raise EOFError(answers)
            self.rest += data
        return answers

    async def is_hung_up_on(self, timeout: float = 3.0) -> bool:  # noqa: ASYNC109 - a bound of the test
        """Tell whether the other side ends the connection without another word."""
        try:
            left = self.rest + await asyncio.wait_for(self.reader.read(), timeout)
        except ConnectionResetError:
            left = b""
        self.close()
        return left == b""

    def close(self) -> None:
        self.writer.close()

    @classmethod
    async def close_all(cls) -> None:
        """Hang up whatever the test left open."""
        while cls.opened:
            peer = cls.opened.pop()
            peer.close()
            with contextlib.suppress(OSError):
                await peer.writer.wait_closed()


def plain(raw: bytes) -> str:
    """Leave out what changes from run to run: length, times, and our own names."""
    fields = [field for field in raw.decode("latin-1").split("\x01") if field]
    return "".join(
        f"{field}|" for field in fields if field.partition("=")[0] not in {"8", "9", "49", "52", "56", "122"}
    )


def start_simulator(
    *options: str,
) -> subprocess.Popen[bytes]:
    """Start `python -m simulator fix`; the caller ends it."""
    sessions = ["--accept", "FIX.4.4:TW44", "--accept", "FIX.4.2:TW42"]
    command = [sys.executable, "-m", "simulator", "fix", "--comp-id", "ISLD", *sessions, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Wait until the simulator listens."""
    assert process.stdout is not None
    return int(json.loads(process.stdout.readline())["listening"]["port"])
