"""What is claimed: intervals of figures that overlap, and runs chosen before and judged after."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest

from simulator.backtest.chance import DAYS, Overlap, of_mean, of_overlapping, stretch
from simulator.backtest.forward import folds_of, walked
from simulator.backtest.measure import Track
from simulator.backtest.outcome import Outcome
from simulator.backtest.vintages import VARIANTS

AGES = (0.49, 0.17, 0.14, 0.08, 0.04, 0.03, 0.02, 0.01, 0.01, 0.01)


def overlapping(how: Overlap, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Draw figures of which each is the weighed mean of its own years; their truth is 0."""
    begins = np.arange(how.count) * how.apart
    years = rng.standard_t(5, int(begins[-1]) + how.years)
    weights = np.array(how.weights or (1.0,) * how.years)
    return np.array([weights @ years[begin : begin + how.years] for begin in begins])


@pytest.mark.parametrize(
    "how", [Overlap(24, 10, 1), Overlap(24, 10, 1, AGES), Overlap(6, 10, 4), Overlap(5, 1, 1)]
)
def test_an_interval_of_overlapping_figures_holds_the_truth_as_often_as_it_says(how: Overlap) -> None:
    rng = np.random.default_rng(4)
    drawn = [overlapping(how, rng) for _ in range(400)]
    inside = [found.low <= 0 <= found.high for found in (of_overlapping(one, how) for one in drawn)]
    assert 0.92 <= np.mean(inside) <= 0.98


def test_blocks_alone_held_it_three_times_in_five() -> None:
    """What stood here before: blocks of eight vintages of ten years, 24 of them, not stretched."""
    rng = np.random.default_rng(4)
    how = Overlap(24, 10, 1)
    drawn = [overlapping(how, rng) for _ in range(400)]
    inside = [found.low <= 0 <= found.high for found in (of_mean(one, per_year=1, block=8) for one in drawn)]
    assert np.mean(inside) < 0.7


def test_blocks_are_as_long_as_a_year_lasts_in_the_figures() -> None:
    assert [one.block for one in (Overlap(24, 10, 1), Overlap(24, 10, 1, AGES), Overlap(12, 10, 5))] == [
        9,
        5,
        2,
    ]
    assert [one.block for one in (Overlap(4, 10, 1), Overlap(1, 10, 1), Overlap(30, 1, 1))] == [2, 1, 1]
    assert stretch(Overlap(200, 1, 1), trials=400) < 1.2
    alone = of_overlapping(np.array([0.3]), Overlap(1, 10))
    assert (alone.value, alone.low, alone.high) == (0.3, -math.inf, math.inf)
    assert not alone.is_certain
    assert len(VARIANTS) == 4


def played(name: str, daily: list[float]) -> Outcome:
    wealth = (100 * np.exp(np.cumsum(daily))).tolist()
    count = len(wealth)
    track = Track(wealth=wealth, flow=[0.0] * count)
    days = tuple(date(2000, 1, 3) + timedelta(days=n) for n in range(count))
    return Outcome(name, {"main": "smart"}, days, {"main": track}, (), (), (), {}, {})


def test_folds_follow_each_other_and_a_short_last_one_joins_the_one_before() -> None:
    days = [date(2000, 1, 1) + timedelta(days=n) for n in range(int(3.6 * DAYS))]
    assert folds_of(days, 1) == [(252, 504), (504, 756), (756, len(days))]
    assert folds_of(days[: int(3.4 * DAYS)], 1) == [(252, 504), (504, int(3.4 * DAYS))]
    assert folds_of(days[:252], 1) == []
    assert folds_of(days[:300], 1) == []


def test_who_grew_most_before_is_judged_on_what_nobody_had_seen() -> None:
    """`fast` leads for two years and loses in the third: it is chosen for both, and pays for it."""
    steady = [0.0] + [0.0002] * (3 * DAYS - 1)
    fast = [0.0] + [0.001] * (2 * DAYS - 1) + [-0.0005] * DAYS
    found = walked([played("steady", steady), played("fast", fast)], 1)
    assert found is not None
    assert [one["chosen"] for one in found["folds"]] == ["fast", "fast"]
    first, second = found["folds"]
    assert first["last"] < second["first"]
    assert second["after"] == pytest.approx(-0.0005 * DAYS)
    assert second["reference"] == pytest.approx(0.0002 * DAYS)
    assert second["before"] == pytest.approx(0.001 * (2 * DAYS - 1) / 2, rel=1e-6)
    gap = found["difference"]
    assert gap["value"] == pytest.approx(((0.001 - 0.0002) + (-0.0005 - 0.0002)) / 2 * DAYS)
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert walked([played("steady", steady)], None) is None


def test_the_future_changes_no_choice() -> None:
    rng = np.random.default_rng(8)
    ones, others = rng.normal(0, 0.01, (2, 3 * DAYS))
    changed = others.copy()
    changed[2 * DAYS :] += 0.05
    choices = []
    for last in (others, changed):
        found = walked([played("one", ones.tolist()), played("other", last.tolist())], 1)
        assert found is not None
        choices.append([fold["chosen"] for fold in found["folds"]])
    assert choices[0] == choices[1]
