"""Sessions of real exchanges, from the real library, in a process of its own."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.runtime import exchange
from gateway.runtime.exchange import Calendar, Session, learn, main, sessions_of

pytestmark = pytest.mark.filterwarnings("ignore:Series.values:DeprecationWarning")  # the library's own
THANKSGIVING = date(2026, 11, 26)
AT = datetime(2026, 11, 25, 15, 0, tzinfo=UTC)


def session(day: str, opens: str, closes: str) -> Session:
    return Session(
        date.fromisoformat(day),
        datetime.fromisoformat(f"{day}T{opens}:00+00:00"),
        datetime.fromisoformat(f"{day}T{closes}:00+00:00"),
    )


def test_the_library_knows_holidays_and_early_closes() -> None:
    found = sessions_of("XNYS", date(2026, 11, 23), date(2026, 11, 29))
    assert [one["day"][-2:] for one in found] == ["23", "24", "25", "27"]
    assert found[-1] == {
        "day": "2026-11-27",
        "opens_at": "2026-11-27T14:30:00+00:00",
        "closes_at": "2026-11-27T18:00:00+00:00",
    }


def test_currencies_trade_all_day_from_monday_to_friday() -> None:
    found = sessions_of("24/5", date(2026, 11, 23), date(2026, 11, 29))
    assert len(found) == 5
    assert found[0]["closes_at"] == "2026-11-24T00:00:00+00:00"


def test_an_unknown_exchange_names_the_remedy() -> None:
    with pytest.raises(ConfigError, match="write a market code like XNYS"):
        sessions_of("MARS", date(2026, 11, 23), date(2026, 11, 29))


def test_a_session_is_open_from_its_open_until_before_its_close() -> None:
    one = session("2026-11-27", "14:30", "18:00")
    calendar = Calendar("XNYS", date(2026, 11, 1), date(2026, 12, 31), (one,))
    assert calendar.session_at(one.opens_at) is one
    assert calendar.session_at(one.closes_at - timedelta(seconds=1)) is one
    assert calendar.session_at(one.closes_at) is None
    assert calendar.session_at(one.opens_at - timedelta(seconds=1)) is None
    assert calendar.last_close_before(date(2026, 11, 28)) == one.closes_at
    assert calendar.last_close_before(date(2026, 11, 27)) is None


async def test_sessions_are_learnt_in_a_process_of_their_own_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = await learn("XNYS", AT, tmp_path)
    assert learnt.covers(AT)
    assert THANKSGIVING not in {one.day for one in learnt.sessions}
    assert len(learnt.sessions) > 60
    monkeypatch.setattr(exchange.sys, "executable", "/nowhere")
    assert await learn("XNYS", AT, tmp_path) == learnt
    with pytest.raises(ConfigError, match="no process can be started"):
        await learn("XNYS", AT + timedelta(days=200), tmp_path)
    (tmp_path / "exchange-XNYS.json").write_text("{")
    with pytest.raises(ConfigError, match="no process can be started"):
        await learn("XNYS", AT, tmp_path)


async def test_an_exchange_that_cannot_be_learnt_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"monitoring\.calendar: no exchange calendar 'MARS'"):
        await learn("MARS", AT, tmp_path)


async def test_what_cannot_be_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "AHEAD", timedelta(days=20))
    with pytest.raises(ConfigError, match="cannot be written or read"):
        await learn("24/5", AT, tmp_path / "missing")


def test_the_process_prints_json_or_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["XLON", "2026-12-24", "2026-12-28"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["day"] for one in found["sessions"]] == ["2026-12-24"]
    assert main(["MARS", "2026-12-24", "2026-12-28"]) == 1
    assert "no exchange calendar" in capsys.readouterr().err


async def test_a_gateway_that_stops_takes_the_process_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(exchange.sys, "executable", str(slow))
    task = asyncio.create_task(learn("XNYS", AT, tmp_path))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
