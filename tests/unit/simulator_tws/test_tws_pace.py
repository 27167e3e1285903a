from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.tws.pace import Pace


def _violations(times: list[float], per_second: int = 50) -> list[float]:
    pace = Pace(per_second)
    return [at for at in times if pace.is_violated(at)]


@given(st.lists(st.floats(0, 0.19), min_size=1, max_size=8))
def test_a_client_that_sends_45_each_second_is_never_too_fast_whatever_the_jitter(
    jitter: list[float],
) -> None:
    assert _violations([second + late for second, late in enumerate(jitter) for _ in range(45)]) == []


def test_a_burst_above_a_second_s_worth_is_noted_once_a_second() -> None:
    assert _violations([0.0] * 50) == []
    assert _violations([0.0] * 200) == [0.0]
    assert _violations([0.0] * 60 + [0.5] * 60 + [1.0] * 60 + [2.5] * 60) == [0.0, 1.0, 2.5]
    assert _violations([0.0] * 1000, 0) == []


def test_violations_are_counted_and_forgotten_after_a_while() -> None:
    pace = Pace(50)
    for at, count in ((0.0, 1), (2.0, 2), (30.0, 1)):
        assert [pace.is_violated(at) for _ in range(120)].count(True) == 1
        assert pace.violations == count
