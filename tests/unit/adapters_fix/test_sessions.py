"""When numbers begin again, and how long to wait before a connect: arithmetic on injected time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.fix.dialects.sessions import (
    DAYS,
    is_reset_due,
    pause_before_connect_s,
    pause_between_connects_s,
    period_start,
)
from adapters.fix.settings import FixSession, Moment

ZONES = ("UTC", "Australia/Brisbane", "Australia/Sydney", "America/New_York", "Europe/Zurich")
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2024-05-05T18:59:59", "2024-04-28T19:00:00"),
        ("2024-05-05T19:00:00", "2024-05-05T19:00:00"),
        ("2024-05-10T12:00:00", "2024-05-05T19:00:00"),
    ],
)
def test_the_week_begins_on_monday_morning_in_its_own_zone(now: str, expected: str) -> None:
    found = period_start(datetime.fromisoformat(now + "+00:00"), "Mon 05:00", "Australia/Brisbane")
    assert found == datetime.fromisoformat(expected + "+00:00")


@given(
    moments, st.sampled_from((*DAYS, "Day")), st.integers(0, 23), st.integers(0, 59), st.sampled_from(ZONES)
)
def test_a_period_begins_at_or_before_now_and_not_long_ago(
    now: datetime, day: str, hour: int, minute: int, zone: str
) -> None:
    found = period_start(now, f"{day} {hour:02}:{minute:02}", zone)
    length = timedelta(days=1 if day == "Day" else 7)
    assert now - length - timedelta(hours=2) <= found <= now  # a clock change makes one period longer
    local = found.astimezone(ZoneInfo(zone))
    assert day in ("Day", DAYS[local.weekday()])
    assert not is_reset_due(now, f"{day} {hour:02}:{minute:02}", zone, found)
    assert is_reset_due(now, f"{day} {hour:02}:{minute:02}", zone, found - timedelta(seconds=1))


def test_the_first_logon_of_all_begins_at_one() -> None:
    assert is_reset_due(datetime(2024, 1, 1, tzinfo=UTC), "Mon 05:00", "UTC", None)


@given(st.integers(1, 60), st.lists(st.floats(0, 300), min_size=2, max_size=40))
def test_no_minute_has_more_connects_than_allowed(per_minute: int, idle: list[float]) -> None:
    now, last, made = datetime(2024, 1, 1, tzinfo=UTC), None, []
    for seconds in idle:  # every process connects once, dies, and the next one starts some time later
        now += timedelta(seconds=pause_before_connect_s(now, last, per_minute))
        made.append(now)
        last = now
        now += timedelta(seconds=seconds)
    for at in made:
        in_a_minute = [one for one in made if at <= one <= at + timedelta(seconds=60)]
        assert len(in_a_minute) <= per_minute


def test_without_a_limit_nobody_waits() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert pause_between_connects_s(0) == pause_before_connect_s(now, now, 0) == 0
    assert pause_between_connects_s(5) == 13
    assert pause_before_connect_s(now, None, 5) == 0
    assert pause_before_connect_s(now, now + timedelta(days=1), 5) == 13, "a clock that was set back"


def test_a_moment_outlives_its_writer(tmp_path: Path) -> None:
    one = Moment(tmp_path / "last")
    assert one.read() is None
    one.write(datetime(2024, 1, 1, tzinfo=UTC))
    assert Moment(tmp_path / "last").read() == datetime(2024, 1, 1, tzinfo=UTC)
    (tmp_path / "last").write_text("torn")
    assert one.read() is None


def test_a_session_crosses_to_the_child_whole(tmp_path: Path) -> None:
    session = FixSession(
        "v", "FIX.4.4", "A", "B", "127.0.0.1", 1, 30, tmp_path, "user", "secret", orders_per_s=16.0,
        reset_on_logon=True, reset_at="Mon 05:00", reset_zone="UTC", connects_per_minute=5,
        groups=((453, 448, 447, 452),),
    )  # fmt: skip
    assert FixSession.from_json(session.to_json()) == session
