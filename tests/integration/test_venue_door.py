"""The venue behind its door: the command, a raw FIX peer, the control port, faults, kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S, until
from raw_fix import RawPeer, start_simulator

from simulator.__main__ import main
from simulator.control import ask
from simulator.stage import free_port, let_go

BODY = "1=main|21=1|55={symbol}|54={side}|60=20260105-14:30:00|38={qty}|40=2|44={price}|15=USD|59={tif}|"


def order(cl_ord_id: str, qty: int = 100, price: str = "101", **words: str) -> str:
    settled = {"symbol": "AAPL", "side": "1", "tif": "0", **words}
    return f"11={cl_ord_id}|" + BODY.format(qty=qty, price=price, **settled)


def request(cl_ord_id: str, orig: str, more: str = "") -> str:
    return f"11={cl_ord_id}|41={orig}|54=1|55=AAPL|60=20260105-14:30:00|{more}"


def parts(text: str) -> dict[str, str]:
    return dict(field.split("=", 1) for field in text.split("|")[:-1])


def kinds(answers: list[str]) -> list[str]:
    """Say of each answer ExecType/OrdStatus, or its MsgType."""
    return [
        f"{one['150']}/{one['39']}" if one["35"] == "8" else one["35"] for one in map(parts, answers)
    ]  # fmt: skip


class Door:
    """One simulator process and its ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.port, self.control_port = free_port(), free_port()
        (folder / "prices.csv").write_text("symbol,price,half_spread_bps\nAAPL,100,0\nIBM,50,0\n")
        accounts = {"main": {"cash": "38000.00", "positions": {"AAPL": "100"}}}
        (folder / "accounts.json").write_text(json.dumps(accounts))

    def words(self, *options: str) -> list[str]:
        return [
            "--profile", "venue", "--prices", str(self.folder / "prices.csv"), "--store",
            str(self.folder / "store"), "--accounts", str(self.folder / "accounts.json"),
            "--port", str(self.port), "--control-port", str(self.control_port), *options,
        ]  # fmt: skip

    def open(self, *options: str) -> Door:
        self.process = start_simulator(*self.words(*options))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1].decode()
        where = json.loads(line)["listening"]
        assert (where["port"], where["control_port"]) == (self.port, self.control_port)
        return self

    def ask(self, command: str, **words: Any) -> dict[str, Any]:
        answer = ask(self.control_port, command, **words)
        assert "error" not in answer, answer
        return answer

    def fault(self, kind: str, **words: Any) -> None:
        self.ask("fault", kind=kind, **words)

    def orders(self) -> dict[str, dict[str, Any]]:
        return {one["cl_ord_id"]: one for one in self.ask("record")["orders"]}

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        self.process = None

    def end(self) -> tuple[int, str]:
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=PATIENCE_S)[1].decode()
        return process.returncode, errors

    async def peer(self, begin_string: str = "FIX.4.4") -> RawPeer:
        peer = RawPeer(self.port, begin_string, "TW44" if begin_string == "FIX.4.4" else "TW42")
        answers = await peer.log_on("98=0|108=30|141=Y|")
        assert parts(answers[0])["35"] == "A"
        return peer

    async def back(self, peer: RawPeer) -> RawPeer:
        """Log on again as `peer`, its numbers going on, and ask for all that was missed from MsgSeqNum 2."""
        again = RawPeer(self.port, peer.begin_string, peer.name)
        again.seq_num = peer.seq_num
        await again.log_on("98=0|108=30|")
        return again


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    one = Door(tmp_path)
    yield one
    if one.process is not None:
        one.kill()
    let_go(one.port, one.control_port)


@pytest.fixture(autouse=True)
async def hanging_up() -> AsyncIterator[None]:
    yield
    await RawPeer.close_all()


async def test_an_orders_life_on_the_wire(door: Door) -> None:
    peer = await door.open("--commission-bps", "5").peer()
    peer.send("D", order("a"))
    new, fill = map(parts, await peer.read(2))
    assert (new["150"], new["39"], new["151"], new["14"], new["6"]) == ("0", "0", "100", "0", "0")
    assert (fill["150"], fill["39"], fill["151"], fill["14"]) == ("F", "2", "0", "100")
    assert (fill["32"], fill["31"], fill["6"], fill["12"], fill["13"]) == (
        "100",
        "100.00",
        "100.00",
        "5.00",
        "3",
    )
    assert (fill["37"], fill["1"], fill["15"]) == (new["37"], "main", "USD")
    assert fill["17"] != new["17"]
    rows: list[tuple[str, str, list[str]]] = [
        ("D", order("b", price="90"), ["0/0"]),
        ("H", "11=b|54=1|55=AAPL|", ["I/0"]),
        ("H", "11=zz|54=1|55=AAPL|", ["I/8"]),
        ("D", order("b", price="90"), ["8/0"]),
        ("G", request("c", "b", "38=150|40=2|44=91|"), ["5/0"]),
        ("AF", "584=q|585=7|", ["I/0"]),
        ("F", request("d", "c"), ["4/4"]),
        ("F", request("e", "d"), ["9"]),
        ("G", request("f", "nope", "38=150|40=2|44=91|"), ["9"]),
        ("D", order("g", symbol="NONE"), ["8/8"]),
        ("D", order("h", qty=-5), ["8/8"]),
        ("D", order("i").replace("38=100", "38=NaN"), ["3"]),
        ("D", order("j").replace("1=main|", "1=other|", 1), ["8/8"]),
        ("D", order("k", price="90", tif="3"), ["0/0", "4/4"]),
        ("D", order("l").replace("55=AAPL|", ""), ["j"]),
        ("R", "131=1|146=1|55=AAPL|", ["j"]),
    ]
    for kind, body, wanted in rows:
        peer.send(kind, body)
        assert kinds(await peer.read(len(wanted))) == wanted, body
    peer.send("D", order("a"), header="97=Y|")
    assert kinds(await peer.read(1)) == ["I/2"]
    found = door.ask("record")
    assert found["accounts"]["main"] == {"cash": "27995.00", "positions": {"AAPL": "200"}}
    assert [one["cl_ord_id"] for one in found["orders"]] == ["a", "b", "g", "h", "j", "k"]
    assert door.end() == (0, "")


async def test_day_orders_expire_and_prices_move_by_command(door: Door) -> None:
    peer = await door.open().peer()
    peer.send("D", order("a", price="90"))
    peer.send("D", order("b", price="80"))
    await peer.read(2)
    assert door.ask("price", symbol="AAPL", price="85") == {"reports": 1}
    assert kinds(await peer.read(1)) == ["F/2"]
    door.ask("close")
    (expired,) = map(parts, await peer.read(1))
    assert (expired["150"], expired["39"], expired["151"]) == ("C", "C", "0")


async def test_partial_fills_add_up(door: Door) -> None:
    peer = await door.open("--fill-delay-ms", "20", "--partials", "4", "--seed", "3").peer()
    peer.send("D", order("a", 1000))
    assert kinds(await peer.read(1)) == ["0/0"]
    cum = Decimal(0)
    while cum < 1000:
        (one,) = map(parts, await peer.read(1))
        cum += Decimal(one["32"])
        assert (one["150"], Decimal(one["14"]), Decimal(one["151"])) == ("F", cum, 1000 - cum)
        assert one["39"] == ("2" if cum == 1000 else "1")
    assert door.ask("status")["is_quiet"]


async def test_fix_42_orders_are_served_beside(door: Door) -> None:
    door.open()
    peer = await door.peer("FIX.4.2")
    peer.send("D", order("a"))
    new, fill = map(parts, await peer.read(2))
    assert (new["20"], new["150"], fill["20"], fill["150"], fill["39"]) == ("0", "0", "0", "2", "2")


# Faults.


async def test_a_lost_report_comes_with_a_resend(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("drop", exec_type="F")
    peer.send("D", order("a"))
    peer.send("D", order("b", price="90"))
    answers = await peer.read(2)
    assert [parts(one)["34"] for one in answers] == ["2", "4"]
    peer.send("2", "7=3|16=3|")
    (resent,) = map(parts, await peer.read(1))
    assert (resent["43"], resent["150"], resent["11"]) == ("Y", "F", "a")


async def test_a_late_report_holds_up_what_is_behind_it(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("delay", seconds=1.5)
    peer.send("D", order("a"))
    with pytest.raises(TimeoutError):
        await peer.read(1, timeout=0.2)
    assert [parts(one)["34"] for one in await peer.read(2)] == ["2", "3"]
    peer.send("D", order("b"))
    assert kinds(await peer.read(2)) == ["0/0", "F/2"]


async def test_reports_are_repeated_duplicated_shuffled_and_overtaken(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("repeat")
    peer.send("D", order("a"))
    first, twin, fill = await peer.read(3)
    assert first == twin
    assert kinds([fill]) == ["F/2"]
    door.fault("duplicate", exec_type="F")
    peer.send("D", order("b"))
    said = [parts(one) for one in await peer.read(3)]
    assert said[1]["17"] == said[2]["17"]
    assert (int(said[2]["34"]) - int(said[1]["34"]), said[2]["97"]) == (1, "Y")
    door.fault("shuffle")
    peer.send("D", order("c"))
    assert kinds(await peer.read(2)) == ["F/2", "0/0"]
    door.fault("reorder")
    peer.send("D", order("d"))
    overtaken = [int(parts(one)["34"]) for one in await peer.read(2)]
    assert overtaken == sorted(overtaken, reverse=True)


async def test_the_connection_is_cut_before_an_order_is_processed(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("disconnect_before")
    peer.send("D", order("a"))
    assert await peer.is_hung_up_on()
    assert door.orders() == {}
    again = await door.back(peer)
    assert kinds(await again.read(1)) == ["2"]


async def test_the_connection_is_cut_after_an_order_is_processed(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("disconnect_after")
    peer.send("D", order("a"))
    assert await peer.is_hung_up_on()
    assert door.orders()["a"]["status"] == "filled"
    again = await door.back(peer)
    again.send("2", "7=2|16=0|")
    resent = [parts(one) for one in await again.read(2)]
    assert [(one["43"], one["150"], one["11"]) for one in resent] == [("Y", "0", "a"), ("Y", "F", "a")]


async def test_a_message_is_lost_on_the_way_in(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("lose")
    lost_number = peer.seq_num
    peer.send("D", order("a"))
    peer.send("D", order("b"))
    (asked,) = map(parts, await peer.read(1))
    assert (asked["35"], asked["7"]) == ("2", str(lost_number))
    assert door.orders() == {}


async def test_silence_reaches_heartbeats_and_ends(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("silence", seconds=2)
    peer.send("1", "112=x|")
    peer.send("D", order("a"))
    with pytest.raises(TimeoutError):
        await peer.read(1, timeout=0.3)
    await until(lambda: "a" in door.orders())
    await asyncio.sleep(2)
    peer.send("1", "112=y|")
    (beat,) = map(parts, await peer.read(1))
    assert (beat["35"], beat["112"], beat["34"]) == ("0", "y", "5")


async def test_orders_are_rejected_on_a_whim_until_cleared(door: Door) -> None:
    peer = await door.open().peer()
    door.fault("reject", count=5, text="not today")
    peer.send("D", order("a"))
    (refused,) = map(parts, await peer.read(1))
    assert (refused["150"], refused["103"], refused["58"]) == ("8", "0", "not today")
    door.ask("clear")
    peer.send("D", order("b"))
    assert kinds(await peer.read(2)) == ["0/0", "F/2"]


async def test_a_restart_drops_the_sessions_and_reads_the_store(door: Door) -> None:
    peer = await door.open("--fills-by-hand").peer()
    peer.send("D", order("a"))
    await peer.read(1)
    before = door.ask("record")
    door.fault("restart", seconds=1.5)
    assert await peer.is_hung_up_on()
    await until(lambda: not _is_up(door))
    await until(lambda: _is_up(door))
    assert door.ask("record") == before
    again = await door.back(peer)
    door.ask("fill", cl_ord_id="a", qty="100")
    assert kinds(await again.read(1)) == ["F/2"]
    assert door.end() == (0, "")


def _is_up(door: Door) -> bool:
    try:
        ask(door.control_port, "status")
    except OSError:
        return False
    return True


async def test_a_venue_that_is_down_for_a_while_can_be_ended(door: Door) -> None:
    door.open()
    door.fault("restart", seconds=60)
    await until(lambda: not _is_up(door))
    assert door.end() == (0, "")


async def test_the_control_port_can_stop_the_process(door: Door) -> None:
    door.open()
    with socket.create_connection(("127.0.0.1", door.control_port)):
        assert door.ask("stop") == {"stopping": True}
        assert door.process is not None
        assert door.process.wait(PATIENCE_S) == 0
    assert "use one of: acknowledge, bust" in json.dumps(_unknown(door))


def _unknown(door: Door) -> dict[str, Any]:
    door.kill()
    return ask(door.open().control_port, "nonsense")


# kill -9.


async def test_kill_9_loses_nothing_that_was_answered(door: Door) -> None:
    options = ("--fill-delay-ms", "60", "--partials", "3", "--commission-minimum", "1")
    peer = await door.open(*options).peer()
    fills: dict[str, dict[str, str]] = {}
    ids: set[str] = set()
    for number in range(4):
        for place in range(10):
            peer.send("D", order(f"o{number}-{place}", 300))
        acknowledged, filled = 0, 0
        while acknowledged < 10 or filled < 5:
            (one,) = map(parts, await peer.read(1))
            if one["35"] == "8":
                acknowledged += one["150"] == "0"
                filled += one["150"] == "F"
                note(one, fills, ids)
        door.kill()
        peer.close()
        door.open(*options)
        peer = await door.back(peer)
    await until(lambda: door.ask("status")["is_quiet"])
    found = door.ask("record")
    peer.send("2", "7=1|16=0|")
    peer.send("1", "112=end|")
    while True:
        (one,) = map(parts, await peer.read(1))
        if one.get("112") == "end":
            break
        if one["35"] == "8":
            note(one, fills, ids)
    kept = {fill["exec_id"]: fill for each in found["orders"] for fill in each["fills"]}
    assert fills.keys() == kept.keys()
    assert all(Decimal(fills[one]["32"]) == Decimal(kept[one]["last_qty"]) for one in kept)
    assert {one["status"] for one in found["orders"]} == {"filled"}
    assert len(found["orders"]) == 40
    spent = sum(
        Decimal(one["32"]) * Decimal(one["31"]) + Decimal(one.get("12", "0")) for one in fills.values()
    )
    assert Decimal(found["accounts"]["main"]["cash"]) == Decimal(38000) - spent
    assert found["accounts"]["main"]["positions"]["AAPL"] == "12100"


def note(one: dict[str, str], fills: dict[str, dict[str, str]], ids: set[str]) -> None:
    """Take a report down; a report seen before must be the same."""
    if one["150"] == "F":
        before = fills.setdefault(one["17"], one)
        assert (before["11"], before["14"], before["31"]) == (one["11"], one["14"], one["31"])
    elif one.get("43") != "Y":
        assert one["17"] not in ids
        ids.add(one["17"])


async def test_a_torn_tail_is_dropped(door: Door) -> None:
    peer = await door.open().peer()
    peer.send("D", order("a"))
    await peer.read(2)
    before = door.ask("record")
    door.kill()
    (store,) = (door.folder / "store").glob("*.fixlog")
    with store.open("ab") as file:
        file.write(b'[[["FIX.4.4:ISLD->TW44",9,9,false,[]]],{"m":"D","t"')
    assert door.open().ask("record") == before


async def test_a_new_store_never_uses_an_old_id(door: Door, tmp_path: Path) -> None:
    seen = set()
    for _ in "12":
        peer = await door.open().peer()
        peer.send("D", order("a"))
        seen |= {parts(one)["17"] for one in await peer.read(2)}
        peer.close()
        door.kill()
        for path in (tmp_path / "store").iterdir():
            path.unlink()
    assert len(seen) == 4


# Users' errors.


def run(door: Door, *options: str) -> tuple[int, str]:
    process = start_simulator(*door.words(*options))
    errors = process.communicate(timeout=PATIENCE_S)[1].decode()
    return process.returncode, errors


def test_other_options_on_the_same_store_are_refused(door: Door) -> None:
    door.open()
    door.kill()
    code, said = run(door, "--seed", "9")
    assert code == 2
    assert said.startswith("simulator fix: --store was begun with --seed 1 and not with 9; start with")
    assert said.count("\n") == 1


def test_users_errors_are_one_line(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fix", "--comp-id", "ISLD", "--accept", "FIX.4.4:TW44", *door.words("--partials", "0")]
    assert main(words) == 2
    assert capsys.readouterr().err == "simulator fix: --partials 0 is too small; give 1 or more\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        door.control_port = taken.getsockname()[1]
        code, said = run(door)
    assert code == 2
    assert said == (
        f"simulator fix: --control-port {door.control_port} cannot be listened on "
        f"({os.strerror(98).lower()}); choose another, or 0\n"
    )
