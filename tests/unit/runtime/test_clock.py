from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.runtime.clock import ANCHOR, SimulatedClock, SystemClock, clock_of, monotonic_s

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = datetime(2020, 3, 9, 14, 30, tzinfo=UTC)


class Hands:
    """A wall clock and a monotonic one that tests move by hand."""

    def __init__(self) -> None:
        self.wall = NOON
        self.ticks = 100.0

    def pass_s(self, seconds: float, jump_s: float = 0.0) -> None:
        self.ticks += seconds
        self.wall += timedelta(seconds=seconds + jump_s)

    def clock(self) -> SystemClock:
        return SystemClock(lambda: self.wall, lambda: self.ticks)


def test_the_system_clock_is_aware_and_near() -> None:
    clock = SystemClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert clock.now().tzinfo is UTC
    assert 0 <= monotonic_s() - clock.monotonic() + 1 <= 2


def test_time_runs_slower_after_the_wall_was_set_back_and_meets_it_again() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.pass_s(10)
    assert clock.now() == NOON + timedelta(seconds=10)
    hands.pass_s(0, jump_s=-10)
    seen = [clock.now()]
    for _ in range(30):
        hands.pass_s(1)
        seen.append(clock.now())
    assert seen == sorted(seen)
    assert seen[10] == NOON + timedelta(seconds=15)
    assert seen[-1] == hands.wall


def test_a_step_forward_is_followed() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.pass_s(1, jump_s=3600)
    assert clock.now() == NOON + timedelta(seconds=3601)


def test_simulated_time_goes_on_over_a_restart(tmp_path: Path) -> None:
    hands, anchor = Hands(), tmp_path / "deep" / "clock.json"
    first = SimulatedClock(DAY, anchor, hands.clock())
    assert first.now() == DAY
    hands.pass_s(60)
    assert first.now() == DAY + timedelta(seconds=60)
    hands.pass_s(60)
    second = SimulatedClock(DAY + timedelta(days=9), anchor, hands.clock())
    assert second.now() == DAY + timedelta(seconds=120)
    assert second.now().tzinfo is UTC
    assert second.monotonic() == hands.ticks


@pytest.mark.parametrize(
    "junk", ["", "{", "[]", '{"start": 5, "wall": 6}', '{"start": "2020-01-01T00:00:00+00:00"}']
)
def test_a_damaged_anchor_is_written_anew(tmp_path: Path, junk: str) -> None:
    anchor = tmp_path / "clock.json"
    anchor.write_text(junk)
    hands = Hands()
    assert SimulatedClock(DAY, anchor, hands.clock()).now() == DAY
    hands.pass_s(5)
    assert SimulatedClock(DAY, anchor, hands.clock()).now() == DAY + timedelta(seconds=5)


def test_a_naive_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        SimulatedClock(DAY.replace(tzinfo=None), tmp_path / "clock.json")


def test_a_client_goes_by_the_gateways_clock(tmp_path: Path) -> None:
    assert isinstance(clock_of(None), SystemClock)
    assert isinstance(clock_of(tmp_path), SystemClock)
    SimulatedClock(DAY, tmp_path / ANCHOR)
    assert clock_of(tmp_path).now() - DAY < timedelta(seconds=5)
