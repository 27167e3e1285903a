"""A FIX peer made of raw bytes and sockets; it shares no code with the acceptor under test.

`play` performs a conversation written as lines:

    > TYPE NUMBER FIELDS    say a message; 49, 52 and 56 among the fields replace the standard header's
                            (`56=-` leaves it out), 8, 9 and 10 the frame's
    >> FIELDS               say a message whose fields stand exactly so
    >>> BYTES               say exactly this
    < TYPE NUMBER FIELDS    hear exactly this, times and our names left out
    bye IN OUT              log out with MsgSeqNum IN, hear Logout OUT, hang up
    hung up                 the other side ends the connection without another word

`<me>` is our CompID, `<fix>` the BeginString, `<now>`, `<now+10>`, `<now-121>` are times.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from patience import PATIENCE_S

ORDER = "11={}|21=1|38=100|40=1|54=1|55=IBM|60=20240506-12:00:00|"
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

    async def connect(self, **options: Any) -> RawPeer:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
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

    async def read(self, count: int, timeout: float = PATIENCE_S) -> list[str]:  # noqa: ASYNC109 - a bound of the test
        """Read `count` messages, from MsgType on, without the times and the checksum."""
        answers: list[str] = []
        while len(answers) < count:
            stop = self.rest.find(b"\x0110=")
            if stop >= 0 and len(self.rest) >= stop + 8:
                raw, self.rest = self.rest[: stop + 8], self.rest[stop + 8 :]
                assert_well_framed(raw, self.begin_string, self.name)
                answers.append(plain(raw[:-7]))
                continue
            data = await asyncio.wait_for(self.reader.read(65536), timeout)
            if not data:
                raise EOFError(answers)
            self.rest += data
        return answers

    async def play(self, script: str) -> None:
        """Perform a conversation on this connection."""
        for number, line in enumerate(script.strip().splitlines(), start=1):
            verb, _, rest = self.filled_in(line.strip()).partition(" ")
            if verb == "<":
                msg_type, seq_num, *body = rest.split(" ", 2)
                (heard,) = await self.read(1)
                assert heard == f"35={msg_type}|34={seq_num}|{''.join(body)}", f"line {number}: {line}"
            elif verb == "hung":
                assert await self.is_hung_up_on(), f"line {number}: {line}"
            elif verb == "bye":
                said, heard = rest.split(" ")
                await self.play(f"> 5 {said}\n< 5 {heard}")
                self.close()
            else:
                self.writer.write(self.composed(verb, rest))

    def filled_in(self, line: str) -> str:
        """Write names and times into a line."""
        line = line.replace("<me>", self.name).replace("<fix>", self.begin_string)
        return re.sub(r"<now([+-]\d+)?>", lambda found: clock(int(found[1] or 0)), line)

    def composed(self, verb: str, rest: str) -> bytes:
        """Turn what follows `>`, `>>` or `>>>` into bytes."""
        if verb == ">>>":
            return rest.replace("|", "\x01").encode("latin-1")
        frame = {"8": self.begin_string}
        if verb == ">":
            header = {"49": self.name, "52": clock(), "56": "ISLD"}
            msg_type, seq_num, *body = rest.split(" ", 2)
            rest = "".join(body)
            for found in re.findall(r"(?:^|(?<=\|))(8|9|10|49|52|56)=([^|]*)\|", rest):
                (header if found[0] in header else frame)[found[0]] = found[1]
                rest = rest.replace(f"{found[0]}={found[1]}|", "", 1)
            told = "".join(f"{tag}={value}|" for tag, value in header.items() if value != "-")
            rest = f"35={msg_type}|34={seq_num}|{told}{rest}"
        raw = framed(frame["8"], rest)
        if "9" in frame:
            raw = re.sub(rb"\x019=\d+", b"\x019=" + frame["9"].encode(), raw)
        return raw[:-7] + f"10={frame['10']}\x01".encode() if "10" in frame else raw

    async def is_hung_up_on(self, timeout: float = PATIENCE_S) -> bool:  # noqa: ASYNC109 - a bound of the test
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


def clock(shift_s: int = 0) -> str:
    """Write the time as SendingTime(52)."""
    return f"{datetime.now(UTC) + timedelta(seconds=shift_s):%Y%m%d-%H:%M:%S}"


def assert_well_framed(raw: bytes, begin_string: str, name: str) -> None:
    """Hold a received message against the standard's frame and header."""
    stamp = r"\d{8}-\d\d:\d\d:\d\d\.\d{3}"
    header = rf"35=\w+\|34=\d+\|(43=Y\|)?49=ISLD\|52={stamp}\|56={name}\|(97=Y\|)?(?(1)122={stamp}\|)"
    text = raw.decode("latin-1").replace("\x01", "|")
    found = re.match(rf"8={re.escape(begin_string)}\|9=(\d+)\|(?={header.replace('(1)', '(2)')})", text)
    assert found, text
    assert found.end() + int(found[1]) == len(raw) - 7, text
    assert text[-7:] == f"10={sum(raw[:-7]) % 256:03d}|", text


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
    both = ["--accept", "FIX.4.4:TW44", "--accept", "FIX.4.2:TW42"]
    sessions = [] if "--accept" in options else both
    command = [sys.executable, "-m", "simulator", "fix", "--comp-id", "ISLD", *sessions, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Wait until the simulator listens."""
    assert process.stdout is not None
    return int(json.loads(process.stdout.readline())["listening"]["port"])
