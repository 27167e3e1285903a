"""When a venue sends everybody home: the daily window, maintenance by hand, and a new week of numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from raw_fix import RawPeer
from test_venue_door import Door, order, parts, run

from simulator.control import ask
from simulator.fix.acceptor import Acceptor
from simulator.fix.echo import Echo
from simulator.fix.hours import Hours, WindowError, read_window
from simulator.fix.message import SessionId
from simulator.fix.terms import SessionConfig
from simulator.stage import let_go

LOGON = "98=0|108=30|"


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


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-05T{text}+00:00")


def test_a_window_may_reach_over_midnight() -> None:
    hours = Hours(read_window("23:30-00:30"))
    assert hours.refusal(at("23:29:59")) == ""
    assert hours.refusal(at("23:30:00")) == "maintenance until 00:30:00 UTC; log on again then"
    assert hours.refusal(at("00:29:59"))
    assert hours.refusal(at("00:30:00")) == ""
    assert hours.next_closing(at("23:30:00")) == at("23:30:00") + timedelta(days=1)
    assert hours.next_closing(at("23:29:00")) == at("23:30:00")
    assert read_window("05:00-05:00").length == timedelta(days=1)


def test_the_longer_closing_counts() -> None:
    hours = Hours(read_window("21:00-21:30"))
    hours.close(at("21:10:00"))
    assert hours.refusal(at("21:05:00")).startswith("maintenance until 21:30:00")
    hours.close(at("22:00:00"))
    assert hours.refusal(at("21:05:00")).startswith("maintenance until 22:00:00")
    assert hours.refusal(at("22:00:00")) == ""
    assert Hours().refusal(at("21:05:00")) == ""
    assert Hours().next_closing(at("21:05:00")) is None


@pytest.mark.parametrize("text", ["", "21:00", "24:00-01:00", "21:60-22:00", "9:00-10:00", "21:00-22:00 "])
def test_what_is_no_window_is_told(text: str) -> None:
    with pytest.raises(WindowError, match="is no window; write it like 21:00-21:30, in UTC"):
        read_window(text)


def test_a_users_error_is_one_line(door: Door) -> None:
    code, said = run(door, "--maintenance", "soon")
    assert code == 2
    assert said == "simulator fix: --maintenance 'soon' is no window; write it like 21:00-21:30, in UTC\n"


async def test_the_daily_window_ends_sessions_at_its_start() -> None:
    shift = at("20:59:50") - datetime.now(UTC)
    hours = Hours(read_window("21:00-21:30"))
    config = SessionConfig(SessionId("FIX.4.4", "ISLD", "TW44"), time_tolerance_s=1e9)
    acceptor = Acceptor(Echo(), [config], clock=lambda: datetime.now(UTC) + shift, hours=hours)
    await acceptor.start()
    peer = RawPeer(acceptor.address[1])
    await peer.log_on()
    shift = at("20:59:59") + timedelta(seconds=0.7) - datetime.now(UTC)
    acceptor._schedule_closing(acceptor.clock())
    assert await peer.read(1) == ["35=5|34=2|58=maintenance until 21:30:00 UTC; log on again then|"]
    assert await peer.is_hung_up_on()
    await acceptor.stop()


async def test_a_logon_during_the_daily_window_is_answered_and_hung_up_on(door: Door) -> None:
    now = datetime.now(UTC)
    window = f"{now - timedelta(minutes=5):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    peer = RawPeer(door.open("--maintenance", window).port)
    (answer,) = await peer.log_on()
    assert answer.startswith("35=5|34=1|58=maintenance until")
    assert await peer.is_hung_up_on()


async def test_maintenance_by_hand_ends_and_the_numbers_go_on(door: Door) -> None:
    peer = await door.open().peer()
    peer.send("D", order("a"))
    await peer.read(2)
    assert door.ask("maintenance", seconds=3) == {"closed_s": 3}
    (bye,) = map(parts, await peer.read(1))
    assert (bye["35"], bye["34"], bye["58"][:17]) == ("5", "4", "maintenance until")
    assert await peer.is_hung_up_on()
    early = RawPeer(door.port)
    early.seq_num = peer.seq_num
    (refused,) = map(parts, await early.log_on())
    assert (refused["35"], refused["34"]) == ("5", "5")
    assert await early.is_hung_up_on()
    await asyncio.sleep(3)
    again = RawPeer(door.port)
    again.seq_num = early.seq_num
    assert await again.log_on() == ["35=A|34=6|98=0|108=30|"]


async def test_a_new_week_begins_at_1_on_both_sides(door: Door) -> None:
    peer = await door.open().peer()
    peer.send("D", order("a"))
    await peer.read(2)
    assert door.ask("new_week") == {"next_numbers": 1}
    (bye,) = map(parts, await peer.read(1))
    assert (bye["35"], bye["58"]) == ("5", "a new week begins; both sequence numbers are 1 again")
    assert await peer.is_hung_up_on()
    door.kill()
    again = RawPeer(door.open().port)
    assert await again.log_on(LOGON) == ["35=A|34=1|98=0|108=30|"]
    again.send("2", "7=1|16=0|")
    assert parts((await again.read(1))[0])["35"] == "4"
    assert door.orders()["a"]["status"] == "filled"


@pytest.mark.parametrize("seconds", [None, 0, -1, "1", True, 1e9])
def test_maintenance_wants_seconds(door: Door, seconds: object) -> None:
    door.open()
    said = ask(door.control_port, "maintenance", seconds=seconds)
    assert said == {"error": f"seconds is {seconds!r}; give a number above 0, up to 604800"}
