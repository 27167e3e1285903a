"""The acceptor on real sockets: a peer of raw bytes, a real quickfix initiator, kill -9, and the command."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import types
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import trustme
from patience import PATIENCE_S, until
from raw_fix import LOGON, ORDER, RawPeer, port_of, start_simulator

from simulator.__main__ import main
from simulator.fix import acceptor as acceptor_module
from simulator.fix import connection as connection_module
from simulator.fix.acceptor import Acceptor, NoInterference
from simulator.fix.application import Outgoing, Reply
from simulator.fix.echo import Echo
from simulator.fix.message import Message, SessionId, message
from simulator.fix.store import FileStore
from simulator.fix.terms import SessionConfig
from simulator.stage import free_port, let_go

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

S44 = SessionId("FIX.4.4", "ISLD", "TW44")
S42 = SessionId("FIX.4.2", "ISLD", "TW42")


@contextlib.asynccontextmanager
async def serving(application: Any = None, **options: Any) -> AsyncIterator[Acceptor]:
    terms = options.pop("terms", {})
    configs = [SessionConfig(session, **terms) for session in (S44, S42)]
    acceptor = Acceptor(application or Echo(), configs, **options)
    await acceptor.start()
    try:
        yield acceptor
    finally:
        await RawPeer.close_all()
        await acceptor.stop()


@pytest.fixture(autouse=True)
async def hanging_up() -> AsyncIterator[None]:
    yield
    await RawPeer.close_all()


async def peer_of(acceptor: Acceptor) -> RawPeer:
    peer = RawPeer(acceptor.address[1])
    assert await peer.log_on() == ["35=A|34=1|98=0|108=30|"]
    return peer


# A peer made of raw bytes.


@pytest.mark.parametrize(("begin_string", "name"), [("FIX.4.4", "TW44"), ("FIX.4.2", "TW42")])
async def test_orders_come_back(begin_string: str, name: str) -> None:
    async with serving() as acceptor:
        peer = RawPeer(acceptor.address[1], begin_string, name)
        assert await peer.log_on() == ["35=A|34=1|98=0|108=30|"]
        peer.writer.write(b"".join(peer.message("D", ORDER.format(item)) for item in "abc"))
        assert await peer.read(3) == [f"35=D|34={n}|{ORDER.format(item)}" for n, item in enumerate("abc", 2)]
        peer.send("C", "164=T|94=0|147=S|33=1|58=x|")
        peer.send("1", "112=T|")
        stranger, body = STRANGERS[begin_string]
        peer.send(stranger, body)
        assert await peer.read(3) == [
            "35=C|34=5|33=1|58=x|94=0|147=S|164=T|",
            "35=0|34=6|112=T|",
            f"35=j|34=7|45=7|58=Unsupported Message Type|372={stranger}|380=3|",
        ]
        peer.send("5")
        assert await peer.read(1) == ["35=5|34=8|"]
        assert await peer.is_hung_up_on()


STRANGERS = {
    "FIX.4.4": ("8", "37=1|17=1|150=0|39=0|55=X|54=1|151=1|14=0|6=0|"),
    "FIX.4.2": ("R", "131=Q|146=1|55=X|"),
}


async def test_possible_resends_are_swallowed_until_the_session_begins_anew() -> None:
    async with serving() as acceptor:
        peer = await peer_of(acceptor)
        peer.send("D", ORDER.format("a"), "97=Y|")
        peer.send("D", ORDER.format("a"), "97=Y|")
        peer.send("D", ORDER.format("a"))
        assert await peer.read(2) == [f"35=D|34=2|97=Y|{ORDER.format('a')}", f"35=D|34=3|{ORDER.format('a')}"]
        peer.seq_num = 1
        peer.send("A", LOGON + "141=Y|")
        peer.send("D", ORDER.format("a"), "97=Y|")
        assert await peer.read(2) == [f"35=A|34=1|{LOGON}141=Y|", f"35=D|34=2|97=Y|{ORDER.format('a')}"]


async def test_whatever_the_dictionary_lets_through_comes_back() -> None:
    async with serving() as acceptor:
        peer = await peer_of(acceptor)
        orders = [ORDER.format("a").replace("40=1|", "40=2|"), ORDER.format("b")]
        for order in orders:
            peer.send("D", order)
        assert await peer.read(2) == [f"35=D|34={n}|{order}" for n, order in enumerate(orders, start=2)]
        peer.send("j", "45=1|372=D|380=0|")
        peer.send("1", "112=x|")
        assert await peer.read(1) == ["35=0|34=4|112=x|"], "a refusal is never refused"


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        RawPeer(0, name="WRONG").message("A", LOGON),
        RawPeer(0, "FIX.4.2").message("A", LOGON),
        RawPeer(0).message("D", ORDER),
        RawPeer(0).message("A", LOGON)[:-4] + b"000\x01",
    ],
    ids=["not FIX", "unknown CompID", "wrong version", "not a Logon", "bad checksum"],
)
async def test_strangers_are_hung_up_on(first: bytes) -> None:
    async with serving() as acceptor:
        peer = await RawPeer(acceptor.address[1]).connect()
        peer.writer.write(first + peer.message("A", LOGON))
        assert await peer.is_hung_up_on()
        await peer_of(acceptor)


async def test_a_second_connection_of_a_living_session_is_refused() -> None:
    async with serving() as acceptor:
        first = await peer_of(acceptor)
        second = await RawPeer(acceptor.address[1]).connect()
        second.send("A", LOGON, seq_num=2)
        assert await second.is_hung_up_on()
        first.send("1", "112=still here|")
        assert await first.read(1) == ["35=0|34=2|112=still here|"]
        first.send("5")
        await first.read(1)
        again = RawPeer(acceptor.address[1])
        again.seq_num = 4
        await again.connect()
        again.send("A", LOGON)
        assert await again.read(1) == ["35=A|34=4|98=0|108=30|"]


async def test_garbled_messages_consume_nothing() -> None:
    async with serving() as acceptor:
        peer = await peer_of(acceptor)
        good = peer.message("D", ORDER.format("a"))
        peer.writer.write(good[:-4] + b"000\x01" + b"rubbish" + good[:30] + good[:-20] + good)
        assert await peer.read(1) == [f"35=D|34=2|{ORDER.format('a')}"]


async def test_heartbeats_flow_and_silence_ends_the_connection() -> None:
    async with serving(terms={"heartbeat_s": 1, "logon_timeout_s": 5.0}) as acceptor:
        peer = RawPeer(acceptor.address[1])
        assert await peer.log_on() == ["35=A|34=1|98=0|108=1|"]
        assert await peer.read(2) == ["35=0|34=2|", "35=1|34=3|112=TEST|"]
        peer.send("0", "112=TEST|")
        assert await peer.read(1) == ["35=0|34=4|"]


async def test_who_connects_and_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "LOGON_TIMEOUT_S", 0.05)
    monkeypatch.setattr(connection_module, "LINGER_S", 0.05)
    async with serving() as acceptor:
        peer = await RawPeer(acceptor.address[1]).connect()
        assert await peer.reader.read() == b""
        peer.send("A", LOGON)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("is_polite", [True, False])
async def test_a_peer_over_tls_reads_the_last_words_and_the_end(
    monkeypatch: pytest.MonkeyPatch, *, is_polite: bool
) -> None:
    """TLS cannot be half-closed; a peer that never says goodbye itself is cut."""
    monkeypatch.setattr(connection_module, "LINGER_S", PATIENCE_S if is_polite else 0.1)
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    async with serving(tls=server) as acceptor:
        peer = RawPeer(acceptor.address[1])
        await peer.connect(ssl=client, server_hostname="localhost")
        peer.send("A", LOGON)
        assert await peer.read(1) == ["35=A|34=1|98=0|108=30|"]
        if not is_polite:
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.send("5")
        if is_polite:
            assert await peer.read(1) == ["35=5|34=2|"]
            assert await peer.is_hung_up_on()
        await until(lambda: not acceptor._connections)
        peer.writer.transport.abort()


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor_module, "MAX_CONNECTIONS", 1)
    async with serving() as acceptor:
        await peer_of(acceptor)
        second = await RawPeer(acceptor.address[1]).connect()
        assert await second.is_hung_up_on()


async def test_who_never_reads_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_UNSENT_BYTES", 1 << 20)
    async with serving() as acceptor:
        peer = RawPeer(acceptor.address[1])
        await peer.log_on()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        big = message("B", [(148, "x" * 200_000)])
        for _ in range(60):
            acceptor.dispatch(Reply((Outgoing(S44, big),)))
            await asyncio.sleep(0)
        await until(lambda: not acceptor._connections)


async def test_a_peer_that_pauses_gets_everything_in_the_end() -> None:
    async with serving() as acceptor:
        peer = RawPeer(acceptor.address[1])
        await peer.log_on()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        big = message("B", [(148, "x" * 200_000)])
        for _ in range(60):
            acceptor.dispatch(Reply((Outgoing(S44, big),)))
        await asyncio.sleep(0.05)
        peer.send("1", "112=x|")
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answers = await peer.read(61)
        assert answers[-1] == "35=0|34=62|112=x|"


async def test_stopping_logs_out_and_waits_for_the_answer() -> None:
    acceptor = Acceptor(Echo(), [SessionConfig(S44)])
    with pytest.raises(RuntimeError, match="not started"):
        _ = acceptor.address
    await acceptor.stop()
    await acceptor.start()
    peer = await peer_of(acceptor)
    stopping = asyncio.create_task(acceptor.stop())
    assert await peer.read(1) == ["35=5|34=2|"]
    peer.send("5")
    assert await peer.is_hung_up_on()
    await stopping


# The application's side.


class Clockwork(Echo):
    """Answer an order now and once more a little later, to both sessions."""

    def __init__(self) -> None:
        super().__init__()
        self.due: list[datetime] = []
        self.logons: list[SessionId] = []

    def receive(self, session: SessionId, message: Message, now: datetime) -> Reply:
        self.due.append(now + timedelta(milliseconds=30))
        return super().receive(session, message, now)

    def logged_on(self, session: SessionId, now: datetime) -> Reply:  # noqa: ARG002 - Application
        self.logons.append(session)
        return Reply((Outgoing(session, message("B", [(148, "welcome")])),))

    def tick(self, now: datetime) -> Reply:
        late = message("B", [(148, "late")])
        done = [item for item in self.due if item <= now]
        self.due = [item for item in self.due if item > now]
        return Reply([Outgoing(session, late) for session in (S44, S42) for _ in done])

    def next_tick(self) -> datetime | None:
        return min(self.due, default=None)


async def test_an_application_greets_and_acts_in_time() -> None:
    application = Clockwork()
    async with serving(application) as acceptor:
        peer = RawPeer(acceptor.address[1])
        assert await peer.log_on() == ["35=A|34=1|98=0|108=30|"]
        assert await peer.read(1) == ["35=B|34=2|148=welcome|"]
        assert application.logons == [S44]
        peer.send("D", ORDER.format("a"))
        assert await peer.read(2) == [f"35=D|34=3|{ORDER.format('a')}", "35=B|34=4|148=late|"]
        application.due = [datetime.now(UTC) + timedelta(seconds=60)]
        peer.send("1", "112=x|")
        await peer.read(1)
        application.due.append(datetime.now(UTC))
        peer.send("1", "112=y|")
        assert len(await peer.read(2)) == 2
        acceptor.dispatch(Reply((Outgoing(S44, message("B", [(148, "now")])),)), datetime.now(UTC))
        assert await peer.read(1) == ["35=B|34=8|148=now|"]
        other = RawPeer(acceptor.address[1], "FIX.4.2", "TW42")
        assert await other.log_on() == ["35=A|34=3|98=0|108=30|"]
        other.send("2", "7=1|16=0|")
        assert await other.read(5) == [
            "35=B|34=4|148=welcome|",
            "35=B|34=1|43=Y|148=late|",
            "35=B|34=2|43=Y|148=late|",
            "35=4|34=3|43=Y|36=4|123=Y|",
            "35=B|34=4|43=Y|148=welcome|",
        ]


class Fault(NoInterference):
    """Do to one message what the test says."""

    def __init__(self, **verdicts: Any) -> None:
        self.verdicts = verdicts
        self.before_count = 0
        self.quiet = False

    def before(self, _session: SessionId, message: Message) -> Any:
        return self.verdicts.get("before", {}).pop(message.get(11), "process")

    def after(
        self, _session: SessionId, raw: bytes, is_app: bool, _now: datetime
    ) -> Sequence[tuple[float, bytes]]:
        found = re.search(rb"\x0111=([^\x01]*)", raw) if is_app else None
        delays = self.verdicts.get("after", {}).pop(found[1].decode() if found else None, (0.0,))
        return [(delay_s, raw) for delay_s in delays]

    def disconnect_after_processing(self, _session: SessionId, message: Message) -> bool:
        return message.get(11) == self.verdicts.get("cut")

    def silent(self, _now: datetime) -> bool:
        return self.quiet


async def test_a_lost_order_is_asked_for_again() -> None:
    async with serving(interference=Fault(before={"a": "drop"})) as acceptor:
        peer = await peer_of(acceptor)
        peer.send("D", ORDER.format("a"))
        peer.send("D", ORDER.format("b"))
        assert await peer.read(1) == ["35=2|34=2|7=2|16=0|"]
        peer.send("D", "122=20240506-12:00:00|" + ORDER.format("a"), "43=Y|", seq_num=2)
        assert [answer.split("|")[2] for answer in await peer.read(2)] == ["11=a", "11=b"]


@pytest.mark.parametrize("fault", [{"before": {"b": "disconnect"}}, {"cut": "b"}])
async def test_a_cut_before_or_after_processing(fault: dict[str, Any]) -> None:
    processed = "cut" in fault
    async with serving(interference=Fault(**fault)) as acceptor:
        peer = await peer_of(acceptor)
        peer.send("D", ORDER.format("a"))
        assert len(await peer.read(1)) == 1
        peer.send("D", ORDER.format("b"))
        assert await peer.is_hung_up_on()
        again = RawPeer(acceptor.address[1])
        again.seq_num = 4
        answers = await again.log_on()
        assert answers == [f"35=A|34={4 if processed else 3}|98=0|108=30|"]
        if not processed:
            assert await again.read(1) == ["35=2|34=4|7=3|16=0|"]
        again.send("2", "7=3|16=3|")
        (answer,) = await again.read(1)
        assert answer.startswith("35=D|34=3|43=Y|" if processed else "35=4|34=3|43=Y|")


async def test_answers_are_lost_doubled_and_delayed() -> None:
    fault = Fault(after={"a": (), "b": (0.0, 0.0), "c": (0.05,)})
    async with serving(interference=fault) as acceptor:
        peer = await peer_of(acceptor)
        peer.writer.write(b"".join(peer.message("D", ORDER.format(item)) for item in "abcd"))
        answers = [answer.split("|")[2] for answer in await peer.read(4)]
        assert answers == ["11=b", "11=b", "11=d", "11=c"]
        fault.quiet = True
        peer.send("1", "112=x|")
        with pytest.raises(TimeoutError):
            await peer.read(1, timeout=0.05)
        fault.quiet = False
        peer.send("1", "112=y|")
        assert await peer.read(1) == ["35=0|34=7|112=y|"]


async def test_no_interference_is_not_asked() -> None:
    idle = NoInterference()
    async with serving(interference=idle) as acceptor:
        assert acceptor.interference is None
    order = Message("D")
    assert idle.before(S44, order) == "process"
    assert idle.after(S44, b"x", is_app=True, now=datetime.now(UTC)) == ((0.0, b"x"),)
    assert not idle.disconnect_after_processing(S44, order)
    assert not idle.silent(datetime.now(UTC))


def test_the_echo_remembers_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.fix.echo.MAX_REMEMBERED", 2)
    echo = Echo()
    now = datetime.now(UTC)
    for name in "abc":
        echo.receive(S44, Message("D", ((11, name), (55, "X"))), now)
    again = [Message("D", ((11, name), (55, "X")), poss_resend=True) for name in "abc"]
    assert [len(echo.receive(S44, item, now).outgoing) for item in reversed(again)] == [0, 0, 1]
    assert echo.tick(now).outgoing == ()
    assert replace(again[0], raw=b"x") == again[0]


# The command.


@pytest.fixture
def simulator() -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], int]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> tuple[subprocess.Popen[bytes], int]:
        process = start_simulator(*options)
        started.append(process)
        return process, port_of(process)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_logs_out_and_exits_with_zero(
    simulator: Callable[..., Any], number: signal.Signals
) -> None:
    process, port = simulator("--verbose", "--reset-on-logon", "--heartbeat", "20")
    peer = RawPeer(port)
    assert await peer.log_on() == ["35=A|34=1|98=0|108=20|"]
    process.send_signal(number)
    process.send_signal(number)
    assert await peer.read(1) == ["35=5|34=2|"]
    await RawPeer.close_all()
    _, told = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    assert b"logged on" in told
    assert b"Traceback" not in told


async def test_credentials_from_a_file(simulator: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    _, port = simulator("--username", "me", "--password-file", str(tmp_path / "password"))
    peer = RawPeer(port)
    await peer.connect()
    peer.send("A", LOGON + "553=me|554=wrong|")
    assert await peer.is_hung_up_on()
    assert await RawPeer(port).log_on(LOGON + "553=me|554=secret|") == ["35=A|34=1|98=0|108=30|"]


async def test_kill_9_loses_nothing_and_forgets_nothing(
    simulator: Callable[..., Any], tmp_path: Path
) -> None:
    process, port = simulator("--store", str(tmp_path))
    peer = RawPeer(port)
    await peer.log_on()
    peer.writer.write(b"".join(peer.message("D", ORDER.format(n)) for n in range(400)))
    seen = await peer.read(20)
    process.kill()
    await asyncio.to_thread(process.wait)
    _, port = simulator("--store", str(tmp_path))
    again = RawPeer(port)
    again.seq_num = peer.seq_num
    (logon, *_) = await again.log_on()
    next_out = int(re.findall(r"34=(\d+)", logon)[0])
    if next_out < peer.seq_num:  # killed in the middle of the burst
        (request,) = await again.read(1)
        assert f"|7={next_out}|" in request
    again.send("2", f"7=2|16={next_out - 1}|")
    echoes = await again.read(next_out - 2)
    assert [re.findall(r"\|11=(\d+)", echo)[0] for echo in echoes] == [str(n) for n in range(next_out - 2)]
    assert len(echoes) >= len(seen)
    again.send("D", ORDER.format("0"), "97=Y|", seq_num=next_out)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--accept", "FIX.5.0:X"],
            "--accept 'FIX.5.0:X' names no session; write FIX.4.2:COMPID or FIX.4.4:COMPID",
        ),
        (["--accept", "FIX.4.4:"], "--accept 'FIX.4.4:' names no session"),
        (["--accept", "FIX.4.4:Ü"], "--accept 'FIX.4.4:Ü' names no session"),
        (["--comp-id", "Ü"], "--comp-id 'Ü' is no name; give printable ASCII"),
        (["--port", "70000"], "--port 70000 is no port"),
        (["--port", "x"], "--port: invalid int value"),
        (["--heartbeat", "-1"], "--heartbeat -1 is no interval; give seconds up to 86400"),
        (["--heartbeat", "86401"], "--heartbeat 86401 is no interval"),
        (["--password-file", "/nowhere"], "--password-file /nowhere"),
        (["--store", "/dev/null/x"], "--store /dev/null/x"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1"),
        (["--profile", "none"], "--profile: invalid choice"),
    ],
)
def test_user_errors_are_one_line(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fix", "--comp-id", "ISLD", "--accept", "FIX.4.4:TW44", *options]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["fix", "--comp-id", "I", "--accept", "FIX.4.4:T", "--port", str(port)]) == 2
    assert f"--port {port} cannot be listened on (address already in use)" in capsys.readouterr().err


class Venue(Clockwork):
    """Stand in for the venue application: options, a control server, faults, and perhaps a bug."""

    control_port: int | None = None
    told: ClassVar[list[str]] = []

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.interference = Fault()
        self.has_bug = options.bug

    async def start(self, acceptor: Acceptor) -> None:
        self.control_port = acceptor.address[1] + 1
        loop = asyncio.get_running_loop()
        loop.call_soon(self.fail if self.has_bug else os.kill, *(() if self.has_bug else (os.getpid(), 15)))

    def fail(self) -> None:
        asyncio.get_running_loop().call_soon(self.fail)
        raise ZeroDivisionError

    async def stop(self) -> None:
        self.told.append("stopped")


@pytest.fixture
def venue(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    module = types.ModuleType("simulator.fix.venue_app")
    vars(module)["from_options"] = Venue
    vars(module)["add_options"] = lambda parser: parser.add_argument("--bug", action="store_true")
    monkeypatch.setitem(sys.modules, "simulator.fix.venue_app", module)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    return ["fix", "--comp-id", "ISLD", "--accept", "FIX.4.4:TW44", "--profile", "venue"]


def test_the_venue_brings_its_options_and_its_control_server(
    venue: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Venue.told.clear()
    assert main(venue) == 0
    where = json.loads(capsys.readouterr().out)["listening"]
    assert where == {"host": "127.0.0.1", "port": where["port"], "control_port": where["port"] + 1}
    assert Venue.told == ["stopped"]


def test_a_bug_ends_the_process(venue: list[str], tmp_path: Path) -> None:
    Venue.told.clear()
    with pytest.raises(ZeroDivisionError):
        main([*venue, "--bug", "--store", str(tmp_path)])
    assert Venue.told == []


def test_a_store_in_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = FileStore(tmp_path, "ISLD")
    assert main(["fix", "--comp-id", "ISLD", "--accept", "FIX.4.4:T", "--store", str(tmp_path)]) == 2
    assert "is in use by another simulator" in capsys.readouterr().err
    store.close()


@pytest.mark.parametrize("arguments", [[], ["mars"]])
def test_an_unknown_world_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m simulator {fix")


# Conversations with a process started as a conformance run starts it; each begins logged on at number 1.

SAME = "11=ID|21=3|40=1|54=1|55=INTC|60=20240506-12:00:00|"
RANGE = "58=Value is incorrect (out of range) for this tag|"
LATE = "58=SendingTime accuracy problem|"
ALIEN = "58=CompID problem|372=D|373=9|"
EMPTY = "58=Tag specified without a value|"
TAG = "58=Invalid tag number|"
MISSING = "58=Required tag missing|"
CONVERSATIONS = {
    "gap fill in sequence": """
        > 4 2 36=20|123=Y|
        > 1 20 112=x|
        < 0 2 112=x|
        bye 3 3""",
    "gap fill too early": """
        > 4 10 36=20|123=Y|
        > 1 20 112=x|
        < 2 2 7=2|16=0|
        bye 2 3""",
    "gap fill too late": """
        > 4 1 43=Y|122=<now-1>|36=20|123=Y|
        > 1 2 112=x|
        < 0 2 112=x|
        > 4 1 36=20|123=Y|
        < 5 3 58=MsgSeqNum too low, expecting 3 but received 1|
        hung up""",
    "reset forward, whatever its number": """
        > 4 0 36=25|
        > 1 25 112=x|
        < 0 2 112=x|
        > 4 0 36=50|123=N|
        > 1 50 112=x|
        < 0 3 112=x|
        bye 51 4""",
    "reset to what is expected": """
        > 4 0 36=2|
        > 1 2 112=x|
        < 0 2 112=x|
        > 4 0 36=4|123=N|
        > 1 4 112=x|
        < 0 3 112=x|
        bye 5 4""",
    "reset backward": f"""
        > 4 0 36=1|
        < 3 2 45=0|{RANGE}372=4|373=5|
        > 1 2 112=x|
        < 0 3 112=x|
        > 4 0 36=1|123=N|
        < 3 4 45=0|{RANGE}372=4|373=5|
        > 1 3 112=x|
        < 0 5 112=x|
        bye 4 6""",
    "logout": "bye 2 2",
    "who logs out and stays is hung up on": """
        > 5 2
        < 5 2
        hung up""",
    "tags the standard lacks": f"""
        > 0 2 999=x|
        < 3 2 45=2|{TAG}371=999|372=0|373=0|
        > 0 3 0=x|
        < 3 3 45=3|{TAG}371=0|372=0|373=0|
        > 0 4 -1=x|
        < 3 4 45=4|{TAG}371=-1|372=0|373=0|
        > 0 5 5000=x|
        < 3 5 45=5|{TAG}371=5000|372=0|373=0|
        bye 6 6""",
    "required header tag missing": f"""
        > 0 2 56=-|
        < 3 2 45=2|{MISSING}371=56|372=0|373=1|
        bye 3 3""",
    "FIX.4.4 required body tag missing": f"""
        > D 2 40=1|60=<now>|54=1|21=3|
        < 3 2 45=2|{MISSING}371=11|372=D|373=1|
        bye 3 3""",
    "FIX.4.2 required body tag missing": f"""
        > D 2 40=1|60=<now>|54=1|21=3|11=x|
        < 3 2 45=2|{MISSING}371=55|372=D|373=1|
        bye 3 3""",
    "tag of another message": """
        > 0 2 55=X|
        < 3 2 45=2|58=Tag not defined for this message type|371=55|372=0|373=2|
        bye 3 3""",
    "empty header tag": f"""
        > 0 2 56=|
        < 3 2 45=2|{EMPTY}371=56|372=0|373=4|
        bye 3 3""",
    "values out of range": f"""
        > D 2 {SAME.replace("21=3", "21=4")}
        < 3 2 45=2|{RANGE}371=21|372=D|373=5|
        > D 3 {SAME}167=BOO|
        < 3 3 45=3|{RANGE}371=167|372=D|373=5|
        > D 4 {SAME}167=FUT|
        < D 4 {SAME}167=FUT|
        bye 5 5""",
    "format of a number": """
        > D 2 11=x|21=1|38=+200.00|40=1|54=1|55=X|60=<now>|
        < 3 2 45=2|58=Incorrect data format for value|371=38|372=D|373=6|
        bye 3 3""",
    "FIX.4.4 structure": f"""
        >> 35=D|{SAME}34=2|49=<me>|52=<now>|56=ISLD|
        < 3 2 45=2|58=Tag specified out of required order|371=34|372=D|373=14|
        > D 3 40=2|{SAME}
        < 3 3 45=3|58=Tag appears more than once|371=40|372=D|373=13|
        > D 4 {SAME}386=3|336=A|336=B|
        < 3 4 45=4|58=Incorrect NumInGroup count for repeating group|371=386|372=D|373=16|
        > D 5 {SAME}78=1|79=x|80=5|661=x|
        < 3 5 45=5|58=Repeating group fields out of order|371=661|372=D|373=15|
        bye 6 6""",
    "FIX.4.2 structure, with reasons that version lacks": f"""
        >> 35=D|{SAME}34=2|49=<me>|52=<now>|56=ISLD|
        < 3 2 45=2|58=Tag specified out of required order|371=34|372=D|
        > D 3 40=2|{SAME}
        < 3 3 45=3|58=Tag appears more than once|371=40|372=D|
        > D 4 {SAME}386=3|336=A|336=B|
        < 3 4 45=4|58=Incorrect NumInGroup count for repeating group|371=386|372=D|
        > D 5 {SAME}78=1|80=5|79=x|
        < 3 5 45=5|58=Repeating group fields out of order|371=80|372=D|
        bye 6 6""",
    "fields in any order": f"""
        >> 35=D|49=<me>|34=2|56=ISLD|52=<now>|40=1|55=INTC|60=20240506-12:00:00|54=1|21=3|11=ID|
        < D 2 {SAME}
        bye 3 3""",
    "possible resends": f"""
        > D 2 97=Y|{SAME}
        < D 2 97=Y|{SAME}
        > D 3 97=Y|{SAME}
        bye 4 3""",
    "FIX.4.4 groups": """
        > d 2 320=J|322=1|323=6|55=T|22=8|167=CS|336=ONE|58=none|454=0|
        < d 2 22=8|55=T|58=none|167=CS|320=J|322=1|323=6|336=ONE|454=0|
        > C 3 164=T|94=0|147=S|146=2|55=X|65=W|55=Y|33=2|58=b|58=a|
        < C 3 33=2|58=b|58=a|94=0|146=2|55=X|65=W|55=Y|147=S|164=T|
        bye 4 4""",
    "FIX.4.2 groups": """
        > d 2 320=J|322=1|323=6|55=T|22=8|167=OPT|336=ONE|58=none|393=0|146=0|
        < d 2 22=8|55=T|58=none|146=0|167=OPT|320=J|322=1|323=6|336=ONE|393=0|
        > C 3 164=T|94=0|147=S|146=2|46=X|65=W|46=Y|33=2|58=b|58=a|
        < C 3 33=2|58=b|58=a|94=0|146=2|46=X|65=W|46=Y|147=S|164=T|
        bye 4 4""",
    "requests cross": f"""
        > D 2 {SAME}
        < D 2 {SAME}
        > 0 6
        < 2 3 7=3|16=0|
        > 2 7 7=2|16=2|
        < D 2 43=Y|{SAME}
        > 0 3 43=Y|122=<now>|
        > 0 4 43=Y|122=<now>|
        > 0 5 43=Y|122=<now>|
        bye 6 4""",
    "a gap closed by plain messages": """
        > 0 5
        < 2 2 7=2|16=0|
        > 0 2
        > 0 3
        > 0 4
        bye 6 3""",
    "a number too low": """
        > 0 2
        > 0 2
        < 5 2 58=MsgSeqNum too low, expecting 3 but received 2|
        hung up""",
    "duplicates seen and not seen": """
        > 0 2
        > 0 2 122=<now>|43=Y|112=x|
        > 0 3 122=<now>|43=Y|
        bye 4 2""",
    "a duplicate from the future": f"""
        > D 2 {SAME}
        < D 2 {SAME}
        > D 2 43=Y|122=<now+10>|{SAME}
        < 3 3 45=2|{LATE}372=D|373=10|
        < 5 4
        > 5 3
        hung up""",
    "a duplicate without its first time": f"""
        > D 2 {SAME}
        < D 2 {SAME}
        > D 2 43=Y|{SAME}
        < 3 3 45=2|{MISSING}371=122|372=D|373=1|
        > 1 3 112=x|
        < 0 4 112=x|
        bye 4 5""",
    "another version": """
        > 1 2 8=FIX.4.1|112=x|
        < 5 2 58=Incorrect BeginString|
        > 5 3
        hung up""",
    "another sender": f"""
        > D 2 49=WT|{SAME}
        < 3 2 45=2|{ALIEN}
        < 5 3
        > 5 3
        hung up""",
    "another target": f"""
        > D 2 56=DLSI|{SAME}
        < 3 2 45=2|{ALIEN}
        < 5 3
        hung up""",
    "two minutes slow": f"""
        > 0 2 52=<now-121>|
        < 3 2 45=2|{LATE}372=0|373=10|
        < 5 3
        hung up""",
    "two minutes fast": f"""
        > 0 2 52=<now+122>|
        < 3 2 45=2|{LATE}372=0|373=10|
        < 5 3
        hung up""",
    "a type the standard lacks": """
        > * 2
        < 3 2 45=2|58=Invalid MsgType|372=*|373=11|
        bye 3 3""",
    "FIX.4.4 a type the application lacks": """
        > 8 2 37=x|17=x|150=0|39=0|55=X|54=1|151=1|14=0|6=0.0|
        < j 2 45=2|58=Unsupported Message Type|372=8|380=3|
        bye 3 3""",
    "FIX.4.2 a type the application lacks": """
        > 8 2 37=x|17=x|20=0|150=0|39=0|55=X|54=1|151=1|14=0|6=0.0|
        < j 2 45=2|58=Unsupported Message Type|372=8|380=3|
        bye 3 3""",
    "wrong lengths": f"""
        > D 2 9=30|{SAME}
        > D 3 {SAME}
        < 2 2 7=2|16=0|
        > D 2 122=<now>|{SAME}
        < D 3 {SAME}
        < D 4 {SAME}
        > D 4 9=111|{SAME}
        > D 5 {SAME}
        > D 4 {SAME}
        < D 5 {SAME}
        bye 5 6""",
    "first three fields out of order": """
        >>> 35=0|8=<fix>|9=29|34=2|49=<me>|52=<now>|56=ISLD|10=121|
        > 1 2 112=x|
        < 0 2 112=x|
        >> 34=3|35=0|49=<me>|52=<now>|56=ISLD|
        > 1 3 112=x|
        < 0 3 112=x|
        bye 4 4""",
    "wrong checksums": f"""
        > 0 2 10=256|
        > 0 2
        > D 3 10=0|{SAME}
        > 0 4
        < 2 2 7=3|16=0|
        > D 3 {SAME}
        < D 3 {SAME}
        bye 4 4""",
    "tags that are no numbers": f"""
        >> 35=0|34=2|4noise9=<me>|52=<now>|56=ISLD|
        > 0 2
        >> 35=D|34=3|49noise=<me>|52=<now>|56=ISLD|{SAME}
        > 0 4
        < 2 2 7=3|16=0|
        > D 3 {SAME}
        < D 3 {SAME}
        bye 5 4""",
    "a reject": """
        > 3 2 45=1|
        bye 3 2""",
    "a resend of both kinds": f"""
        > 1 2 112=x|
        < 0 2 112=x|
        > D 3 {SAME}
        < D 3 {SAME}
        > 1 4 112=x|
        < 0 4 112=x|
        > 2 5 7=1|16=2|
        < 4 1 43=Y|36=3|123=Y|
        > 2 6 7=2|16=3|
        < 4 2 43=Y|36=3|123=Y|
        < D 3 43=Y|{SAME}
        > 2 7 7=3|16=0|
        < D 3 43=Y|{SAME}
        < 4 4 43=Y|36=5|123=Y|
        > 2 7 7=1|16=4|
        < 4 1 43=Y|36=3|123=Y|
        < D 3 43=Y|{SAME}
        < 4 4 43=Y|36=5|123=Y|
        > 1 8 112=x|
        < 0 5 112=x|
        bye 9 6""",
    "a faulty resent message": f"""
        > 1 3 112=a|
        < 2 2 7=2|16=0|
        > D 2 43=Y|122=<now>|{SAME}126=20240415|
        < 3 3 45=2|58=Incorrect data format for value|371=126|372=D|373=6|
        < 0 4 112=a|
        > 1 4 112=b|
        < 0 5 112=b|
        bye 11 6""",
    "the way back": f"""
        > D 2 115=A|116=B|144=C|45=1|{SAME}
        < 3 2 128=A|129=B|145=C|45=2|58=Tag not defined for this message type|371=45|372=D|373=2|
        > D 3 128=A|129=B|145=|{SAME}
        < 3 3 115=A|116=B|45=3|{EMPTY}371=145|372=D|373=4|
        bye 4 4""",
    "a new beginning": f"""
        > 1 2 112=x|
        < 0 2 112=x|
        > A 1 {LOGON}141=Y|
        < A 1 {LOGON}141=Y|
        > 1 2 112=x|
        < 0 2 112=x|
        bye 3 3""",
}
STRANGE_LOGONS = {
    "too high": f"> A 5 {LOGON}\n< A 1 {LOGON}\n< 2 2 7=1|16=0|\nbye 6 3",
    "another target": f"> A 1 56=DLSI|{LOGON}\nhung up",
    "another sender": f"> A 1 49=WT|{LOGON}\nhung up",
    "an old time": f"> A 1 52=20010101-00:00:00|{LOGON}\nhung up",
    "a wrong length": f"> A 1 9=40|{LOGON}\nhung up",
    "another version": f"> A 1 8=FIX.3.9|{LOGON}\nhung up",
    "no Logon": "> 0 1\nhung up",
    "heartbeats": "> A 1 98=0|108=2|\n< A 1 98=0|108=2|\n< 0 2\n> 0 2\n< 0 3\n< 1 4 112=TEST|\nhung up",
}


@pytest.fixture(scope="module")
def conformance_port() -> Iterator[int]:
    process = start_simulator("--host", "127.0.0.1", "--port", "0", "--profile", "echo", "--reset-on-logon")
    yield port_of(process)
    process.terminate()
    process.communicate()


@pytest.mark.parametrize(
    ("begin_string", "name"),
    [
        (begin_string, name)
        for name in CONVERSATIONS
        for begin_string in ("FIX.4.4", "FIX.4.2")
        if not name.startswith("FIX") or name.startswith(begin_string)
    ],
)
async def test_a_conversation(conformance_port: int, begin_string: str, name: str) -> None:
    peer = RawPeer(conformance_port, begin_string, "TW" + begin_string[-3::2])
    assert await peer.log_on() == [f"35=A|34=1|{LOGON}"]
    await peer.play(CONVERSATIONS[name])


@pytest.mark.parametrize("begin_string", ["FIX.4.4", "FIX.4.2"])
@pytest.mark.parametrize("name", STRANGE_LOGONS)
async def test_a_strange_logon(conformance_port: int, begin_string: str, name: str) -> None:
    peer = RawPeer(conformance_port, begin_string, "TW" + begin_string[-3::2])
    await peer.connect()
    await peer.play(STRANGE_LOGONS[name])


# A real quickfix initiator, in its own process.


class QuickFix:
    """Talk to tests/integration/quickfix_initiator.py."""

    def __init__(self, port: int, begin_string: str, folder: Path) -> None:
        script = Path(__file__).with_name("quickfix_initiator.py")
        name = "TW44" if begin_string == "FIX.4.4" else "TW42"
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(port), begin_string, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    async def hear(self, wanted: str) -> list[str]:
        """Read lines up to and with `wanted`."""
        lines: list[str] = []
        assert self.process.stdout is not None
        while wanted not in lines:
            line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), PATIENCE_S)
            assert line, lines
            lines.append(line.decode().strip())
        return lines

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("begin_string", ["FIX.4.4", "FIX.4.2"])
async def test_quickfix_trades_and_recovers_a_lost_answer(begin_string: str, tmp_path: Path) -> None:
    async with serving(interference=Fault(after={"b": ()})) as acceptor:
        client = QuickFix(acceptor.address[1], begin_string, tmp_path)
        try:
            assert await client.hear("logon") == ["admin A", "logon"]
            for name in "abc":
                client.tell(f"send {name}")
            heard = await client.hear("echo c N")
            assert [line for line in heard if line.startswith("echo")] == ["echo a N", "echo b Y", "echo c N"]
            client.tell("stop")
            assert "admin 5" in await client.hear("logout")
        finally:
            client.end()


@pytest.mark.parametrize("begin_string", ["FIX.4.4", "FIX.4.2"])
async def test_quickfix_hears_nothing_but_its_orders_and_a_logout(
    conformance_port: int, begin_string: str, tmp_path: Path
) -> None:
    client = QuickFix(conformance_port, begin_string, tmp_path)
    try:
        heard = await client.hear("logon")
        for number in range(50):
            client.tell(f"send {number}")
        heard += await client.hear("echo 49 N")
        client.tell("stop")
        heard += await client.hear("logout")
        orders = [f"echo {number} N" for number in range(50)]
        assert heard == ["admin A", "logon", *orders, "admin 5", "logout"]
    finally:
        client.end()


async def test_quickfix_survives_kill_9_of_the_acceptor(
    simulator: Callable[..., Any], tmp_path: Path
) -> None:
    """It asks for nothing it has heard; a Logon(A) sent into the dying process is lost, and asked for."""
    store = ("--store", str(tmp_path / "store"), "--port", str(free_port()))
    process, port = simulator(*store)
    client = QuickFix(port, "FIX.4.4", tmp_path)
    try:
        await client.hear("logon")
        client.tell("send a")
        await client.hear("echo a N")
        process.kill()
        await client.hear("logout")
        simulator(*store)
        await client.hear("logon")
        client.tell("send b")
        heard = [line.split() for line in await client.hear("echo b N")]
    finally:
        client.end()
        let_go(port)
    assert not {"3", "5"} & {words[1] for words in heard if words[0] == "admin"}
    asked_from = [int(words[2]) for words in heard if words[:2] == ["admin", "2"]]
    assert all(number > 2 for number in asked_from), "our Logon and our order were 1 and 2"
