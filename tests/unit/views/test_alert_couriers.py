"""What passes the sieve, what a message says, and how a courier treats an address that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import until
from pydantic import SecretStr

from gateway.errors import ConfigError
from gateway.runtime.wire import encode_json
from gateway.sections import AlertsSection
from gateway.views import alerts as room
from gateway.views.alerts import BURST, Courier, Rate, Sieve, compose, make_senders
from gateway.views.notices import Notice, read_notice

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # the library's own
AT = "2026-11-27T15:00:00.123456Z"


def notice(number: int, severity: str = "warning", code: str = "LinkDown", text: str = "") -> Notice:
    return Notice(f"{number}-0", AT, severity, code, text or f"number {number}", "main")


# ------------------------------------------------------------------------------------------ reading


def test_alerts_and_dead_letters_are_read_from_the_news_and_nothing_else() -> None:
    alert = {"severity": "critical", "code": "DriftCritical", "text": "XOM", "account": "main"}
    data = encode_json({"kind": "Alert", "at": AT, "event": alert})
    assert read_notice("7-0", data) == Notice("7-0", AT, "critical", "DriftCritical", "XOM", "main")
    letter = {"stream": "targets", "entry_id": "1-0", "field": "targets.X", "reason": "is no symbol"}
    refused = read_notice("8-0", encode_json({"kind": "Rejected", "at": None, "event": letter}))
    assert refused is not None
    assert (refused.severity, refused.code, refused.at) == ("warning", "Rejected", "")
    assert "targets.X: is no symbol" in refused.text
    assert read_notice("9-0", encode_json({"kind": "LinkUp", "at": AT, "event": {}})) is None
    assert read_notice("9-0", b"") is None


# ------------------------------------------------------------------------------------- what passes


def test_the_same_alert_passes_once_in_the_window() -> None:
    sieve = Sieve("warning", 60)
    assert sieve.passes(notice(1), 0)
    assert not sieve.passes(notice(1), 59.9)
    assert sieve.passes(notice(1), 60)
    assert sieve.passes(notice(2), 60)
    assert not sieve.passes(notice(3, "info"), 60)
    wanted = Sieve("warning", 60, frozenset({"WeeklyReport"}))
    assert wanted.passes(notice(4, "info", "WeeklyReport"), 0)
    assert not wanted.passes(notice(4, "info", "WeeklyReport"), 1)


def test_the_sieve_remembers_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REMEMBERED", 3)
    sieve = Sieve("info", 60)
    assert all(sieve.passes(notice(number), 0) for number in range(10))
    assert len(sieve.passed) == 3
    assert sieve.passes(notice(0), 1)
    assert not sieve.passes(notice(9), 1)


@given(st.lists(st.floats(0, 600), min_size=1, max_size=200), st.integers(1, 3600))
def test_no_more_messages_leave_than_the_rate_allows(pauses: list[float], per_hour: int) -> None:
    rate, now, left = Rate(per_hour), 0.0, 0
    for pause in pauses:
        now += pause
        wait = rate.wait_s(now)
        assert 0 <= wait <= 3600 / per_hour + 1e-6
        left += wait == 0
    assert left <= BURST + sum(pauses[1:]) * per_hour / 3600 + 1


# ------------------------------------------------------------------------------------ what is said


def test_a_message_names_the_gravest_first_and_says_what_was_dropped() -> None:
    title, body = compose("H", [notice(1, "info"), notice(2, "critical", "Halted"), notice(3)], dropped=4)
    assert title == "[critical] H: Halted and 2 more"
    lines = body.splitlines()
    assert lines[0] == "2026-11-27 15:00:00 UTC  critical Halted [main]: number 2"
    assert "4 alerts before these were dropped" in lines[-1]
    assert compose("H", [notice(1)])[0] == "[warning] H: LinkDown"


def test_a_long_message_is_cut() -> None:
    many = [notice(number, text="x" * 5000) for number in range(100)]
    body = compose("H", many)[1]
    assert "and 75 more" in body
    assert len(body) < 20_000


# ----------------------------------------------------------------------------------------- couriers


class Address:
    """Record what arrives; the first `failures` attempts fail."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.got: list[tuple[str, str, str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, title: str, body: str, severity: str) -> bool:
        self.gate.wait(10)
        self.got.append((title, body, severity))
        self.failures -= 1
        return self.failures < 0


@asynccontextmanager
async def running(send: Callable[[str, str, str], bool], **words: Any) -> AsyncIterator[Courier]:
    made = Courier("ops", "H", send, AlertsSection(**words), asyncio.get_running_loop().time, pause_s=0.001)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_alert_is_delivered_once_and_remembered() -> None:
    address = Address()
    async with running(address) as courier:
        courier.put(notice(1))
        courier.put(notice(1))
        await until(lambda: courier.sent == 1)
        courier.put(notice(1))
        courier.put(notice(2, "info"))
        await asyncio.sleep(0.02)
        assert courier.delivered == "2-0", "what is not to be sent is done with"
        assert courier.status() == {"sent": 1, "waiting": 0, "dropped": 0, "failed": 0}
    assert len(address.got) == 1
    assert address.got[0][2] == "warning"


async def test_what_comes_while_a_message_is_under_way_is_gathered_into_the_next() -> None:
    address = Address()
    address.gate.clear()
    async with running(address) as courier:
        courier.put(notice(1))
        await until(lambda: not courier.status()["waiting"])
        for number in range(2, 8):
            courier.put(notice(number))
        courier.put(notice(9, "info"))
        assert courier.delivered == "0-0", "what is under way is not done with"
        address.gate.set()
        await until(lambda: courier.sent == 2)
    assert address.got[1][0] == "[warning] H: LinkDown and 5 more"
    assert courier.delivered == "7-0"


async def test_what_overflows_is_dropped_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    address = Address()
    address.gate.clear()
    async with running(address, waiting=3) as courier:
        courier.put(notice(1))
        await until(lambda: not courier.status()["waiting"])
        for number in range(2, 10):
            courier.put(notice(number))
        assert courier.status()["dropped"] == 5
        address.gate.set()
        await until(lambda: courier.sent == 2)
    assert "5 alerts before these were dropped" in address.got[1][1]
    assert caplog.text.count("the oldest are dropped") == 1


async def test_a_failed_message_is_tried_again() -> None:
    address = Address(failures=2)
    async with running(address) as courier:
        courier.put(notice(1))
        await until(lambda: courier.sent == 1)
    assert len(address.got) == 3
    assert len(set(address.got)) == 1


async def test_what_never_arrives_is_given_up_counted_and_said_in_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = Address(failures=room.TRIES)
    async with running(address) as courier:
        courier.put(notice(1))
        await until(lambda: courier.failed == 1)
        assert courier.delivered == "0-0"
        courier.put(notice(2))
        await until(lambda: courier.sent == 1)
    assert "1 alerts before these were dropped" in address.got[-1][1]
    assert "not delivered after 5 attempts" in caplog.text


async def test_an_address_that_hangs_is_left_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "TRIES", 1)
    address = Address()
    address.gate.clear()
    async with running(address, timeout_s=0.02) as courier:
        courier.put(notice(1))
        await until(lambda: courier.failed == 1)
        address.gate.set()
        courier._section = AlertsSection()  # the second may take its time
        courier.put(notice(2))
        await until(lambda: courier.sent == 1)


async def test_the_rate_holds_messages_back_and_gathers_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BURST", 1)
    address = Address()
    async with running(address, per_hour=3600) as courier:
        courier._rate.left = 1
        courier.put(notice(1))
        await until(lambda: courier.sent == 1)
        for number in range(2, 6):
            courier.put(notice(number))
            await asyncio.sleep(0)
        assert courier.sent == 1
        await until(lambda: courier.sent == 2)
    assert address.got[1][0].endswith("and 3 more")


# ---------------------------------------------------------------------------------------- addresses


def test_an_address_that_is_none_is_refused_without_being_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError, match=r"alerts\.urls\.ops: is no address") as problem:
        make_senders({"ops": SecretStr("nonsense://s3cret-token")})
    assert "s3cret" not in str(problem.value) + caplog.text


def test_without_an_address_the_library_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    assert make_senders({}) == {}
    with pytest.raises(ConfigError, match="pip install 'rebalance-gateway\\[alerts\\]'"):
        make_senders({"ops": SecretStr("json://127.0.0.1")})


def test_a_damaged_memory_is_no_memory(tmp_path: Any) -> None:
    path = tmp_path / "alerts.json"
    assert room._delivered(path) == {}
    for text in ("{", "[1]", json.dumps({"ops": "yesterday"})):
        path.write_text(text)
        assert room._delivered(path) == {}
    path.write_text(json.dumps({"ops": "12-3"}))
    assert room._delivered(path) == {"ops": "12-3"}
