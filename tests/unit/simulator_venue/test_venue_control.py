"""The control port: lines in, lines out."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from patience import turns
from venue_hand import CASH, T0, a_venue, at, buy, change, sell, told

from simulator import control as control_module
from simulator.control import Control, ask
from simulator.faults import Fault, FaultError, Kind
from simulator.fix import commands as fix_commands
from simulator.operations import OPERATIONS, operate
from simulator.venue import VenueError


class Dummy:
    """Stand in for the venue application."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def record(self) -> dict[str, Any]:
        return {"orders": [], "accounts": {}}

    def status(self) -> dict[str, Any]:
        return {"open_orders": 0}

    def operate(self, name: str, arguments: Mapping[str, Any]) -> int:
        if not arguments:
            raise VenueError("give a symbol")
        self.calls.append((name, dict(arguments)))
        return 2

    def disturb(self, fault: Fault) -> Mapping[str, int]:
        self.calls.append(fault)
        return {"drop": fault.count}

    def calm(self) -> None:
        self.calls.append("calm")

    def end(self, down_s: float | None) -> None:
        self.calls.append(("end", down_s))


def controlled(dummy: Any) -> Control:
    return Control(dummy, fix_commands.commands(dummy))


def answer(**asked: Any) -> dict[str, Any]:
    return controlled(Dummy()).answer(json.dumps(asked).encode())


def test_commands_are_carried_out() -> None:
    dummy = Dummy()
    control = controlled(dummy)

    def say(command: str, **words: Any) -> dict[str, Any]:
        return control.answer(json.dumps({"command": command, **words}).encode())

    assert say("record") == {"orders": [], "accounts": {}}
    assert say("status") == say("quiet") == {"open_orders": 0}
    assert say("price", symbol="A", price="1.5") == {"reports": 2}
    assert say("fault", kind="drop", count=3, exec_type=None) == {"planned": {"drop": 3}}
    assert say("clear") == {"planned": {}}
    assert say("stop") == {"stopping": True}
    assert set(say("faults")["faults"]) == set(Kind)
    assert dummy.calls == [
        ("price", {"symbol": "A", "price": "1.5"}),
        Fault(Kind.DROP, count=3),
        "calm",
        ("end", None),
    ]


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"command": "dance"}, "no command 'dance'; use one of: acknowledge, bust,"),
        ({"command": 7}, "write one JSON object a line"),
        ({}, "write one JSON object a line"),
        ({"command": "record", "all": 1}, "takes no all; leave it out"),
        ({"command": "price"}, "give a symbol"),
        ({"command": "fault"}, "no fault of kind None; use one of: delay, drop"),
        ({"command": "fault", "kind": "rain"}, "no fault of kind 'rain'"),
        ({"command": "fault", "kind": "drop", "often": 1}, "a fault has no often; it has count,"),
        ({"command": "fault", "kind": "drop", "count": "2"}, "count is '2'; give int"),
        ({"command": "fault", "kind": "drop", "count": True}, "count is True; give int"),
        ({"command": "fault", "kind": "delay"}, "delay needs seconds above 0"),
    ],
)
def test_what_cannot_be_carried_out_names_the_remedy(asked: dict[str, Any], wrong: str) -> None:
    assert wrong in answer(**asked)["error"]


@pytest.mark.parametrize("line", [b"", b"hello\n", b"[1]\n", b"\xff\n", b"null\n"])
def test_what_is_no_command_is_answered(line: bytes) -> None:
    assert "write one JSON object" in Control(Dummy()).answer(line)["error"]


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    one = controlled(Dummy())
    assert one.port is None
    await one.start(0)
    yield one
    await one.stop()
    await turns()
    assert one.port is None


async def test_ask_speaks_to_the_port(control: Control) -> None:
    assert control.port is not None
    assert await asyncio.to_thread(ask, control.port, "record") == {"orders": [], "accounts": {}}
    told_off = await asyncio.to_thread(ask, control.port, "price")
    assert told_off == {"error": "give a symbol"}


async def test_lines_are_answered_in_order_and_long_ones_refused(control: Control) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", control.port)
    writer.write(b'{"command": "record"}\n{"command": "status"}\n')
    assert json.loads(await reader.readline()) == {"orders": [], "accounts": {}}
    assert json.loads(await reader.readline()) == {"open_orders": 0}
    writer.write(b"x" * (control_module.MAX_LINE_BYTES * 2 + 10) + b"\n")
    assert "bytes at most" in json.loads(await reader.readline())["error"]
    writer.close()


async def test_an_open_connection_does_not_hold_up_the_end(control: Control) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", control.port)
    writer.write(b'{"command": "record"}\n')
    await reader.readline()
    await control.stop()
    assert await reader.read() == b""
    writer.close()


async def test_connections_are_bounded(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "MAX_CONNECTIONS", 0)
    assert control.port is not None
    assert "open already" in (await asyncio.to_thread(ask, control.port, "record"))["error"]


async def test_ask_says_when_nobody_answers() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError, match="hung up without an answer to 'record'"):
            await asyncio.to_thread(ask, port, "record")


async def test_a_connection_that_breaks_is_let_go(control: Control) -> None:
    def break_off() -> None:
        with socket.create_connection(("127.0.0.1", control.port or 0)) as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            peer.sendall(b'{"command": "record"}\n' * 100)

    await asyncio.to_thread(break_off)
    assert control.port is not None
    assert await asyncio.to_thread(ask, control.port, "status") == {"open_orders": 0}


async def test_control_that_never_started_can_stop() -> None:
    await Control(Dummy()).stop()


# The operations.


def test_operations_move_the_venue() -> None:
    venue = a_venue(fills_by_hand=True, pending_ms=1000)
    venue.submit(buy("1", limit="99"), T0)
    venue.submit(sell("2", limit="120", symbol="IBM"), T0)

    def do(name: str, **words: Any) -> list[str]:
        return told(operate(venue, name, words, T0))

    assert do("fill", cl_ord_id="1", qty="10", price="98.5", owner="C") == ["1 F/1 10/90 10@98.5"]
    assert do("fill", cl_ord_id="1", qty=10) == ["1 F/1 20/80 10@99"]
    assert do("restate", cl_ord_id="1", qty="50") == ["1 D/1 20/30"]
    assert do("price", symbol="AAPL", price=98.25) == []
    assert do("halt", symbol="AAPL") == ["1 9/9 20/30"]
    assert do("resume", symbol="AAPL") == ["1 D/1 20/30"]
    assert do("cancel", cl_ord_id="1") == ["1 4/4 20/0"]
    assert do("close") == ["2 3/3 0/0"]
    assert do("reopen") == []
    venue.submit(buy("3", limit="1"), T0)
    venue.replace(change("4", "3", "5"), T0)
    assert do("decide", cl_ord_id="4", refusal="no") == ["9 4 3 2"]


def test_the_broker_takes_back_corrects_and_adds() -> None:
    venue = a_venue(fills_by_hand=True, ack_delay_ms=1000)

    def do(name: str, **words: Any) -> list[str]:
        return told(operate(venue, name, words, T0))

    venue.submit(buy("1", limit="99"), T0)
    assert do("acknowledge", cl_ord_id="1") == ["1 0/0 0/100"]
    assert venue.advance(at(2000)) == [], "acknowledged once"
    do("fill", cl_ord_id="1", qty="100", price="98")
    (fill,) = venue.orders[0].fills
    assert do("correct", exec_id=fill.exec_id, qty="60", price="97") == ["1 G/1 60/40 60@97"]
    (fill,) = venue.orders[0].fills
    assert venue.accounts.every()[0].positions == {"AAPL": 160}
    assert do("bust", exec_id=fill.exec_id) == ["1 H/0 0/100 0@0"]
    account = venue.accounts.every()[0]
    assert (account.cash, account.positions, venue.orders[0].commission) == (CASH, {"AAPL": 100}, 0)
    assert do("guarantee", cl_ord_id="1", price="98") == ["1 7/7 0/100 100@98"]
    assert do("fill", cl_ord_id="1", qty="100", price="98") == ["1 F/2 100/0 100@98"]
    words = {"symbol": "IBM", "qty": "5", "price": "60", "account": "main", "owner": "C"}
    assert do("telephone", side="sell", **words) == ["T1 0/0 0/5"]
    assert do("fill", cl_ord_id="T1", qty="5") == ["T1 F/2 5/0 5@60"]


@pytest.mark.parametrize(
    ("name", "words", "wrong"),
    [
        ("bust", {"exec_id": "E9"}, "E9 is no execution that stands; name an ExecID"),
        ("correct", {"exec_id": "E2", "qty": "500", "price": "1"}, "qty 500 cannot be; 0 of 100"),
        ("correct", {"exec_id": "E2", "qty": "5", "price": "0"}, "price 0 cannot be"),
        ("fill_late", {"cl_ord_id": "1", "qty": "1", "price": "1"}, "cannot fill late; the order is PART"),
        ("acknowledge", {"cl_ord_id": "1"}, "is PARTIALLY_FILLED; name one not yet acknowledged"),
        ("guarantee", {"cl_ord_id": "1", "price": "0"}, "name a working order and a price"),
        (
            "telephone",
            {"symbol": "XXX", "side": "buy", "qty": "1", "account": "main", "owner": "C"},
            "name what is known here",
        ),
        (
            "telephone",
            {"symbol": "IBM", "side": "hold", "qty": "1", "account": "main", "owner": "C"},
            "side is 'hold'; give buy or sell",
        ),
        ("split", {"symbol": "AAPL", "ratio": "0"}, "name a listed one and 2 for 2:1"),
    ],
)
def test_the_broker_cannot_do_what_makes_no_sense(name: str, words: dict[str, Any], wrong: str) -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1", limit="99"), T0)
    venue.fill("1", Decimal(10), T0)
    before = (venue.orders[0].cum_qty, venue.accounts.every()[0].cash)
    with pytest.raises(VenueError, match=wrong):
        operate(venue, name, words, T0)
    assert (venue.orders[0].cum_qty, venue.accounts.every()[0].cash) == before


@pytest.mark.parametrize(
    ("name", "words", "wrong"),
    [
        ("price", {"symbol": 1, "price": "1"}, "symbol is 1; give text"),
        ("price", {"symbol": "AAPL", "price": "one"}, "price is 'one'; give a decimal in quotes"),
        ("price", {"symbol": "AAPL", "price": True}, "price is True"),
        ("price", {"symbol": "AAPL", "price": "1e30"}, "price is '1e30'"),
        ("price", {"symbol": "AAPL"}, "price is None"),
        ("fill", {"cl_ord_id": "1", "qty": "1", "owner": ""}, "owner is ''"),
        ("close", {"symbol": "A"}, "close knows no symbol; it takes nothing"),
        ("halt", {"name": "A"}, "halt knows no name; it takes symbol"),
        ("decide", {"cl_ord_id": "1"}, "is no order here"),
    ],
)
def test_operations_that_cannot_be_say_why(name: str, words: dict[str, Any], wrong: str) -> None:
    with pytest.raises(VenueError, match=wrong):
        operate(a_venue(), name, words, T0)


def test_no_operation_hides_a_command() -> None:
    assert not set(OPERATIONS) & set(Control._COMMANDS)
    with pytest.raises(FaultError):
        fix_commands.read_fault({"kind": 7})
