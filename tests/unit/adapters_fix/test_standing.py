"""Who may log on when, and how often numbers may be asked to begin again: files and arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.fix.dialects import DialectError, speak
from adapters.fix.dialects.sessions import check_window, is_in_window, window_end
from adapters.fix.settings import FixSession
from adapters.fix.standing import Standing

MONDAY = datetime(2024, 5, 6, 9, 0, tzinfo=UTC)


class Life:
    """One session's folder, over as many processes as a test wants."""

    def __init__(self, folder: Path, **terms: object) -> None:
        self.now = MONDAY
        self.folder = folder
        self._session = FixSession(
            "v", "FIX.4.4", "A", "B", "127.0.0.1", 1, 30, folder, **terms  # type: ignore[arg-type]
        )  # fmt: skip

    def process(self) -> Standing:
        return Standing(self._session, lambda: self.now)


def test_numbers_are_asked_to_begin_again_five_times_a_week_over_all_processes(tmp_path: Path) -> None:
    life = Life(tmp_path, reset_at="Mon 05:00", most_resets=5)
    for _ in range(5):
        one = life.process()
        assert one.begins_at_one()
        assert one.obstacle() == ""
        one.note_try()
        life.now += timedelta(hours=1)
    text = life.process().obstacle()
    assert text.startswith("5 logons with ResetSeqNumFlag(141)=Y were not accepted")
    assert text.endswith(f"call it, then remove {tmp_path / 'reset-tries'}")
    (tmp_path / "reset-tries").unlink()
    assert life.process().obstacle() == "", "a person has called"
    for _ in range(5):
        life.process().note_try()
    life.now += timedelta(days=7)
    assert life.process().obstacle() == "", "a new week"


def test_an_accepted_reset_forgets_its_tries(tmp_path: Path) -> None:
    life = Life(tmp_path, reset_at="Mon 05:00", most_resets=5)
    for _ in range(5):
        life.process().note_try()
    life.process().note_reset()
    assert not life.process().begins_at_one()
    assert life.process().obstacle() == ""
    assert not (tmp_path / "reset-tries").exists()


def test_where_nothing_is_limited_nothing_is_written(tmp_path: Path) -> None:
    life = Life(tmp_path)
    one = life.process()
    one.note_try()
    one.note_reset()
    assert (one.has_terms, one.begins_at_one(), one.obstacle()) == (False, False, "")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_tries_that_was_torn_counts_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, reset_at="Mon 05:00", most_resets=1)
    life.process().note_try()
    assert life.process().obstacle()
    (tmp_path / "reset-tries").write_text("2024-05-0")
    assert life.process().obstacle() == ""


@pytest.mark.parametrize(
    ("at", "is_barred"),
    [("20:59:29", False), ("20:59:30", True), ("21:00:00", True), ("21:29:59", True), ("21:30:00", False)],
)
def test_nobody_is_logged_on_near_or_in_the_maintenance_window(
    at: str, is_barred: bool, tmp_path: Path
) -> None:
    life = Life(tmp_path, maintenance="21:00-21:30")
    life.now = datetime.fromisoformat(f"2024-05-06T{at}+00:00")
    assert bool(life.process().obstacle()) is is_barred


def test_numbers_begin_again_behind_the_window_where_the_venue_does_so(tmp_path: Path) -> None:
    life = Life(tmp_path, maintenance="21:00-21:30", maintenance_resets=True)
    assert life.process().begins_at_one(), "the first logon of all"
    life.process().note_reset()
    life.now = datetime(2024, 5, 6, 20, 0, tzinfo=UTC)
    assert not life.process().begins_at_one()
    life.now = datetime(2024, 5, 6, 21, 31, tzinfo=UTC)
    assert life.process().begins_at_one()
    life.process().note_reset()
    assert not life.process().begins_at_one()


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(("", "Day ", "Sat ", "Wed ")), st.integers(0, 23), st.integers(0, 23), st.integers(0, 59),
)  # fmt: skip
def test_a_window_is_over_at_its_end_and_not_before(
    now: datetime, day: str, start: int, end: int, minute: int
) -> None:
    assume((start, 0) != (end, minute))
    window = f"{day}{start:02}:00-{end:02}:{minute:02}"
    last = window_end(now, window, "UTC")
    assert last <= now
    assert not is_in_window(last, window, "UTC")
    assert is_in_window(last - timedelta(seconds=1), window, "UTC")
    assert (last.hour, last.minute) == (end, minute)


@pytest.mark.parametrize(
    "window",
    ["21:00", "21:00-25:00", "25:00-21:00", "Som 21:00-22:00", "21:00 - 22:00", "21:60-22:00", "21:00-21:00"],
)
def test_a_window_that_is_none_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match=r"is no (window|moment)"):
        check_window(window, "UTC")
    with pytest.raises(DialectError, match="maintenance: "):
        speak("ibkr", {"maintenance": window})


def test_a_window_in_no_zone_is_refused() -> None:
    with pytest.raises(DialectError, match="maintenance: "):
        speak("saxo", {"maintenance": "21:00-22:00", "maintenance_zone": "Mars/Base"})
