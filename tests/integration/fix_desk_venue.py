"""A venue of a few lines behind the simulator's acceptor: takes orders, fills them when told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from patience import PATIENCE_S

from adapters.fix.engine import ChildEngine, Incoming
from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled
from simulator.fix.acceptor import Acceptor, Interference
from simulator.fix.application import Outgoing, Reply
from simulator.fix.message import Message, SessionId, message
from simulator.fix.terms import SessionConfig

SESSION = SessionId("FIX.4.4", "SIM", "GATEWAY")
PARTIES = (453, 448, 447, 452)


class Venue:
    """Answer each order with an acknowledgement; `fill` sends an execution at any later time."""

    def __init__(self) -> None:
        self.orders: Counter[str] = Counter()
        self.acceptor: Acceptor | None = None
        self._exec_ids = 0

    def receive(self, session: SessionId, one: Message, now: datetime) -> Reply:  # noqa: ARG002
        cl_ord_id = one.get(11, "") or ""
        if one.msg_type != "D":
            return Reply()
        self.orders[cl_ord_id] += 1
        return Reply([Outgoing(session, self.report(cl_ord_id, "0"))])

    def report(self, cl_ord_id: str, kind: str) -> Message:
        self._exec_ids += 1
        is_fill = kind == "F"
        pairs: list[tuple[int, object]] = [
            (37, f"O{cl_ord_id}"), (11, cl_ord_id), (17, f"E{self._exec_ids}"), (150, kind),
            (39, "2" if is_fill else "0"), (55, "AAPL"), (54, "1"), (38, "1"),
            (32, "1" if is_fill else None), (31, "10" if is_fill else None), (151, "0" if is_fill else "1"),
            (14, "1" if is_fill else "0"), (6, "10" if is_fill else "0"),
        ]  # fmt: skip
        return message("8", pairs)

    def fill(self, *cl_ord_ids: str) -> None:
        assert self.acceptor is not None
        self.acceptor.dispatch(Reply([Outgoing(SESSION, self.report(one, "F")) for one in cl_ord_ids]))

    def logged_on(self, session: SessionId, now: datetime) -> Reply:  # noqa: ARG002
        return Reply()

    def tick(self, now: datetime) -> Reply:  # noqa: ARG002
        return Reply()

    def next_tick(self) -> datetime | None:
        return None

    def replay(self, record: dict[str, Any]) -> None:
        raise NotImplementedError


@asynccontextmanager
async def open_venue(
    interference: Interference | None = None, password: str | None = None, begin_string: str = "FIX.4.4"
) -> AsyncIterator[Venue]:
    venue = Venue()
    session = SessionId(begin_string, SESSION.sender_comp_id, SESSION.target_comp_id)
    config = SessionConfig(session, username="user" if password else None, password=password)
    venue.acceptor = Acceptor(venue, [config], interference=interference)
    await venue.acceptor.start()
    try:
        yield venue
    finally:
        await venue.acceptor.stop()


def session_to(venue: Venue, folder: Path, **changes: Any) -> FixSession:
    assert venue.acceptor is not None
    host, port = venue.acceptor.address
    values: dict[str, Any] = {
        "name": "sim", "begin_string": "FIX.4.4", "sender_comp_id": "GATEWAY", "target_comp_id": "SIM",
        "host": host, "port": port, "heartbeat_s": 5, "store_folder": folder,
    }  # fmt: skip
    return FixSession(**(values | changes))


class Tap:
    """Stand between the session and the venue and keep every byte the session says, per connection."""

    def __init__(self, venue: Venue) -> None:
        assert venue.acceptor is not None
        self._venue = venue.acceptor.address
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.said: list[bytearray] = []
        self.connects: list[float] = []
        self.is_refusing = False
        self._connected = asyncio.Event()

    async def wait_for_connects(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(self.connects) < count:
                self._connected.clear()
                await self._connected.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    @property
    def address(self) -> dict[str, Any]:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()
        return {"host": host, "port": port}

    def cut(self) -> None:
        """Drop every connection."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def messages(self, msg_type: str, connection: int = -1) -> list[str]:
        """Return what the session said of one type, SOH shown as a bar."""
        text = self.said[connection].decode().replace("\x01", "|")
        whole = [f"8=FIX{one}" for one in text.split("8=FIX")[1:]]
        return [one for one in whole if f"|35={msg_type}|" in one]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects.append(asyncio.get_running_loop().time())
        self._connected.set()
        self.said.append(kept := bytearray())
        if self.is_refusing:
            writer.close()
            return
        from_venue, to_venue = await asyncio.open_connection(*self._venue)
        self._writers += [writer, to_venue]

        async def back() -> None:
            while data := await from_venue.read(65536):
                writer.write(data)
            writer.close()

        returning = asyncio.create_task(back())
        while data := await reader.read(65536):
            kept += data
            to_venue.write(data)
        to_venue.close()
        await asyncio.gather(returning, return_exceptions=True)


class Listener:
    """Collect what an engine hands over and wait for it."""

    def __init__(self, engine: ChildEngine) -> None:
        self.seen: list[Incoming] = []
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._listen(engine))

    async def _listen(self, engine: ChildEngine) -> None:
        async for batch in engine.incoming():
            self.seen += batch
            self._changed.set()

    async def wait_for(self, kind: type[Any], count: int = 1) -> Sequence[Any]:
        async with asyncio.timeout(PATIENCE_S):
            while len(found := [one for one in self.seen if isinstance(one, kind)]) < count:
                self._changed.clear()
                await self._changed.wait()
        return found

    def exec_ids(self, kind: str = "F") -> list[str]:
        found = [one.raw.split("\x01") for one in self.seen if isinstance(one, Spooled)]
        return [
            field[3:]
            for fields in found
            if f"150={kind}" in fields
            for field in fields
            if field.startswith("17=")
        ]


def order(cl_ord_id: str, **changes: str) -> str:
    fields = {"35": "D", "11": cl_ord_id, "21": "1", "55": "AAPL", "54": "1", "60": "20240506-10:00:00"}
    fields |= {"38": "1", "40": "1"} | {tag.removeprefix("t"): value for tag, value in changes.items()}
    body = "".join(f"{tag}={value}\x01" for tag, value in fields.items() if value)
    return f"8=FIX.4.4\x019=0\x01{body}10=000\x01"
