"""Play a scenario against the simulated venue, over a real socket, in FIX 4.4 or in FIX 4.2's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fix_script import ABSENT, Line, Script, in_fix_42, side_by_side

from simulator.accounts import Accounts
from simulator.control import Control
from simulator.fix.acceptor import Acceptor
from simulator.fix.commands import commands
from simulator.fix.message import SessionId
from simulator.fix.terms import SessionConfig
from simulator.fix.venue_app import VenueApp
from simulator.fix.venue_options import Terms
from simulator.floor import VenueSettings
from simulator.market import Listing, Market
from simulator.orders import OrdStatus
from simulator.venue import Venue

SOH = "\x01"
SYMBOL, ACCOUNT, COUNTERPARTY = "IBM", "main", "other"
PATIENCE_S = 50.0
NEVER_MS = 3_600_000
BOUND = (17, 19, 37)
"""Tags whose capital letters stand for what the venue gives: ExecID, ExecRefID, OrderID."""
_NUMBERS = frozenset({"ack_delay_ms", "pending_ms", "displayed"})
_FAULTS = frozenset({"reject", "reject_cancel"})
_DEFAULTS = {
    "D": {1: ACCOUNT, 60: "20260105-14:30:00", 21: "1", 40: "2", 44: "100", 54: "1", 55: SYMBOL, 59: "0"},
    "G": {1: ACCOUNT, 60: "20260105-14:30:00", 21: "1", 40: "2", 44: "100", 54: "1", 55: SYMBOL},
    "F": {1: ACCOUNT, 60: "20260105-14:30:00", 54: "1", 55: SYMBOL},
    "H": {54: "1", 55: SYMBOL},
}


class Mismatch(AssertionError):
    """A line did not hold; the text shows both sides."""


async def play(script: Script, profile: str, begin_string: str) -> None:
    """Play one scenario on a venue of its own; raises `Mismatch`."""
    session = SessionId(begin_string, "SIM", "CLIENT")
    app = VenueApp(Terms(lambda prefix: _venue(script, profile, prefix), [session], {}))
    acceptor = Acceptor(app, [SessionConfig(session)])
    await acceptor.start()
    await app.start(acceptor)
    peer = Peer(begin_string, app, f"{session}")
    try:
        await peer.join(*acceptor.address)
        for line in script.of(profile):
            await peer.act(line)
        await peer.check()
    finally:
        await peer.leave()
        acceptor.abandon()
        await app.stop()


def _venue(script: Script, profile: str, prefix: str) -> Venue:
    words = dict(script.venue)
    settings: dict[str, Any] = {
        "id_prefix": prefix, "fills_by_hand": True, "day_end": OrdStatus.DONE_FOR_DAY,
        "pending_ms": NEVER_MS if profile == "verbose" else None,
    }  # fmt: skip
    for name, value in words.items():
        settings[name] = int(value) if name in _NUMBERS else value == "true"
    market = Market([Listing(SYMBOL, Decimal(100))])
    return Venue(
        market,
        Accounts({ACCOUNT: (Decimal(0), {}), COUNTERPARTY: (Decimal(0), {})}),
        VenueSettings(**settings),
    )


class Peer:
    """The client's end: it writes what a scenario sends and reads what it expects."""

    def __init__(self, begin_string: str, app: VenueApp, owner: str) -> None:
        self._begin_string = begin_string
        self._app = app
        self._owner = owner
        self._seq_num = 0
        self._rest = b""
        self._bound: dict[str, str] = {}
        self._sent: set[str] = set()
        self._last: dict[str, dict[int, str]] = {}
        self._heard: list[dict[int, str]] = []

    async def join(self, host: str, port: int) -> None:
        """Log on."""
        self._reader, self._writer = await asyncio.open_connection(host, port)
        self._say("A", {98: "0", 108: "30"})
        assert (await self._hear())[35] == "A"

    async def leave(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()

    async def check(self) -> None:
        """Check that nothing is left unsaid, and that the venue's book is what it reported."""
        await self._listen()
        if self._heard:
            raise Mismatch(f"nothing more was expected; received {self._heard}")
        held = self._app.venue.accounts.find(ACCOUNT)
        assert held is not None
        filled = sum((Decimal(one[14]) for one in self._last.values()), Decimal(0))
        assert held.positions.get(SYMBOL, Decimal(0)) == filled, (held.positions, filled)

    async def act(self, line: Line) -> None:
        """Carry out one line."""
        if line.verb == "do":
            self._operate(line)
        elif line.verb == "send":
            self._sent.add(line.fields[11])
            self._say(line.what, {**_DEFAULTS[line.what], **line.fields})
            await self._listen()
        else:
            if not self._heard:
                await self._listen()
            if not self._heard:
                raise Mismatch(
                    f"line {line.number}: expected {line.names[35]}({line.what}), received nothing"
                )
            self._compare(line, self._heard.pop(0))

    # The inside.

    async def _listen(self) -> None:
        """Keep what the venue has said up to its answer to a TestRequest(1)."""
        self._say("1", {112: "SAID"})
        while (message := await self._hear())[35] != "0":
            self._heard.append(message)

    def _operate(self, line: Line) -> None:
        words = {name: self._bound.get(value, value) for name, value in line.arguments.items()}
        if line.what == "telephone":
            words = {"owner": self._owner, "account": ACCOUNT, "symbol": SYMBOL, **words}
        elif line.what == "verbal":
            words["owner"] = self._owner
        command = {"command": line.what}
        if line.what in _FAULTS:
            command = {"command": "fault", "kind": line.what}
        answer = Control(self._app, commands(self._app)).answer(json.dumps({**command, **words}).encode())
        if "error" in answer:
            raise Mismatch(f"line {line.number}: {line.what}: {answer['error']}")

    def _compare(self, line: Line, found: Mapping[int, str]) -> None:
        wanted = dict(line.fields) if self._begin_string == "FIX.4.4" else in_fix_42(line.what, line.fields)
        for tag in (*BOUND, 11):
            name = wanted.get(tag, "")
            if tag == 11 and name in self._sent:
                continue
            if name.isupper() and len(name) == 1:
                wanted[tag] = self._bound.setdefault(name, found.get(tag, ABSENT))
        if found[35] != line.what:
            raise Mismatch(
                f"line {line.number}: expected {line.names[35]}({line.what}), received {dict(found)}"
            )
        if any(not _same(value, found.get(tag, ABSENT)) for tag, value in wanted.items()):
            raise Mismatch(side_by_side(line, wanted, found))
        if line.what == "8" and found.get(37, "NONE") != "NONE":
            self._last[found[37]] = dict(found)

    def _say(self, msg_type: str, fields: Mapping[int, str]) -> None:
        self._seq_num += 1
        header = {35: msg_type, 34: str(self._seq_num), 49: "CLIENT", 52: _now(), 56: "SIM"}
        first = {tag: value for tag, value in fields.items() if tag == 97}
        body = {tag: value for tag, value in fields.items() if tag != 97 and value != ABSENT}
        text = "".join(f"{tag}={value}{SOH}" for tag, value in {**header, **first, **body}.items())
        raw = f"8={self._begin_string}{SOH}9={len(text)}{SOH}{text}"
        self._writer.write(f"{raw}10={sum(raw.encode()) % 256:03d}{SOH}".encode())

    async def _hear(self) -> dict[int, str]:
        while (stop := self._rest.find(b"\x0110=")) < 0 or len(self._rest) < stop + 8:
            data = await asyncio.wait_for(self._reader.read(65536), PATIENCE_S)
            if not data:
                raise Mismatch("the venue hung up")
            self._rest += data
        raw, self._rest = self._rest[: stop + 8], self._rest[stop + 8 :]
        pairs = [one.partition("=") for one in raw.decode().split(SOH) if one]
        return {int(tag): value for tag, _, value in pairs}


def _same(wanted: str, found: str) -> bool:
    """Compare texts, or numbers by value."""
    if wanted == found:
        return True
    try:
        return Decimal(wanted) == Decimal(found)
    except ArithmeticError:
        return False


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
