"""Tracking error and turnover: reference rows, a second method on a grid, optimality, laws, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decision.no_trade import laws, tracking_band, tracking_calendar, tracking_threshold

FIRST = {"mu": 0.04, "sigma": 0.16, "target": 0.6, "gamma": 5.0, "k": 0.001}
SECOND = {**FIRST, "k": 0.0005}


@pytest.mark.parametrize(
    ("market", "low", "high", "cost", "full", "full_ratio", "half", "half_ratio", "years", "calendar_ratio"),
    [
        (FIRST, 0.572284, 0.624149, 0.42960, 0.04076, 1.2612, 0.03299, 1.0399, 0.4712, 1.5594),
        (SECOND, 0.578316, 0.619435, 0.27020, 0.03243, 1.2607, 0.02627, 1.0384, 0.2971, 1.5608),
    ],
)
def test_reference_rows(
    market: dict[str, float], low: float, high: float, cost: float, full: float, full_ratio: float,
    half: float, half_ratio: float, years: float, calendar_ratio: float,
) -> None:  # fmt: skip
    band = tracking_band(**market)
    assert band.low == pytest.approx(low, abs=6e-7)
    assert band.high == pytest.approx(high, abs=6e-7)
    assert band.cost * 1e4 == pytest.approx(cost, abs=6e-6)
    to_target, half_way = tracking_threshold(**market), tracking_threshold(**market, reset=0.5)
    assert to_target.high - 0.6 == pytest.approx(full, abs=6e-6)
    assert to_target.cost / band.cost == pytest.approx(full_ratio, abs=6e-5)
    assert half_way.high - 0.6 == pytest.approx(half, abs=6e-6)
    assert half_way.cost / band.cost == pytest.approx(half_ratio, abs=6e-5)
    calendar = tracking_calendar(**market)
    assert calendar.period == pytest.approx(years, abs=6e-5)
    assert calendar.cost / band.cost == pytest.approx(calendar_ratio, abs=6e-5)


@pytest.mark.parametrize(("period", "ratio"), [(1 / 12, 2.563), (1 / 4, 1.703), (1.0, 1.817)])
def test_calendars(period: float, ratio: float) -> None:
    assert tracking_calendar(**FIRST, period=period).cost / tracking_band(**FIRST).cost == pytest.approx(
        ratio, abs=6e-4
    )


def chain(market: dict[str, float], points: np.ndarray) -> np.ndarray:
    """Return the rates of a walk on a grid of log odds that moves like the weight (rows: from)."""
    step = points[1] - points[0]
    drift = market["mu"] - 0.5 * market["sigma"] ** 2
    up = 0.5 * market["sigma"] ** 2 / step**2 + 0.5 * drift / step
    down = 0.5 * market["sigma"] ** 2 / step**2 - 0.5 * drift / step
    size = points.size
    return up * np.eye(size, k=1) + down * np.eye(size, k=-1) - (up + down) * np.eye(size)


def walked_cost(
    market: dict[str, float], low: float, high: float, low_reset: float, high_reset: float
) -> float:
    """Return the cost a year of a rule by the stationary law of a walk on a fine grid, jumps at its ends."""
    ends = [math.log(w / (1 - w)) for w in (low, high)]
    points = np.linspace(*ends, 1601)
    weight = 1 / (1 + np.exp(-points))
    rates = chain(market, points)
    trades = np.zeros(points.size)
    resets = [np.log(w / (1 - w)) for w in (low_reset, high_reset)]
    for end, inside, reset in ((0, 1, resets[0]), (-1, -2, resets[1])):
        # what would step on the end is put back between the two grid points around the reset
        place = (reset - points[0]) / (points[1] - points[0])
        left = min(max(int(place), 1), points.size - 3)
        share = min(max(place - left, 0.0), 1.0)
        lost = rates[inside, end]
        rates[inside, end] = 0.0
        rates[inside, left] += lost * (1 - share)
        rates[inside, left + 1] += lost * share
        trades[inside] += lost * abs(weight[end] - ((1 - share) * weight[left] + share * weight[left + 1]))
    inner = rates[1:-1, 1:-1]
    system = np.vstack([inner.T[:-1], np.ones(points.size - 2)])
    law = np.linalg.solve(system, np.append(np.zeros(points.size - 3), 1.0))
    miss = 0.5 * market["gamma"] * market["sigma"] ** 2 * (weight[1:-1] - market["target"]) ** 2
    return float(law @ (miss + market["k"] * trades[1:-1]))


def test_a_walk_on_a_grid_costs_the_same() -> None:
    band = tracking_band(**FIRST)
    assert walked_cost(FIRST, band.low, band.high, band.low, band.high) == pytest.approx(band.cost, rel=3e-3)
    for reset in (0.0, 0.5):
        rule = tracking_threshold(**FIRST, reset=reset)
        walked = walked_cost(FIRST, rule.low, rule.high, rule.low_reset, rule.high_reset)
        assert walked == pytest.approx(rule.cost, rel=3e-4)


def test_calendar_costs_what_a_walk_without_ends_costs() -> None:
    """The law of the weight after each part of the period, by powers of the grid's transition matrix."""
    market, period, parts = FIRST, 0.5, 64
    centre = math.log(0.6 / 0.4)
    points = np.linspace(centre - 1.0, centre + 1.0, 801)
    weight = 1 / (1 + np.exp(-points))
    step = np.linalg.inv(np.eye(points.size) - chain(market, points) * period / parts / 16)
    step = np.linalg.matrix_power(step, 16)
    law, miss = np.eye(1, points.size, 400)[0], 0.0
    for part in range(parts + 1):
        error = 0.5 * market["gamma"] * market["sigma"] ** 2 * (weight - 0.6) ** 2
        miss += float(law @ error) * (0.5 if part in (0, parts) else 1.0) / parts
        moved, law = float(law @ np.abs(weight - 0.6)), law @ step
    found = tracking_calendar(**market, period=period)
    assert found.tracking == pytest.approx(miss, rel=2e-3)
    assert found.turnover == pytest.approx(moved / period, rel=2e-3)


worlds = st.fixed_dictionaries(
    {
        "mu": st.floats(-6, 8),
        "sigma": st.floats(0.05, 0.5),
        "target": st.floats(0.05, 0.95),
        "gamma": st.floats(1.0, 20.0),
        "k": st.floats(1e-6, 5e-3),
    }
).map(lambda market: {**market, "mu": market["mu"] * market["sigma"] ** 2})


@settings(max_examples=20, deadline=None)
@given(market=worlds)
def test_no_other_rule_is_cheaper_than_the_band(market: dict[str, float]) -> None:
    band = tracking_band(**market)
    assert band.low < band.high
    assert band.cost == pytest.approx(band.tracking + market["k"] * band.turnover)
    for rule in (
        tracking_threshold(**market),
        tracking_threshold(**market, reset=0.5),
        tracking_threshold(**market, reset=0.98),
        tracking_calendar(**market),
    ):
        assert rule.cost > band.cost
        assert rule.cost == pytest.approx(rule.tracking + market["k"] * rule.turnover)


@settings(max_examples=20, deadline=None)
@given(market=worlds)
def test_the_best_is_the_best_of_its_kind(market: dict[str, float]) -> None:
    threshold = tracking_threshold(**market, reset=0.5)
    width = threshold.high - market["target"]
    room = min(market["target"], 1 - market["target"])
    for factor in (0.9, 0.99, 1.01, 1.1):
        if factor * width < room:
            assert tracking_threshold(**market, reset=0.5, width=factor * width).cost >= threshold.cost * (
                1 - 1e-12
            )
    calendar = tracking_calendar(**market)
    for factor in (0.9, 1.1):
        assert tracking_calendar(**market, period=factor * calendar.period).cost >= calendar.cost


@settings(max_examples=60, deadline=None)
@given(market=worlds)
def test_the_laws_keep_their_promise(market: dict[str, float]) -> None:
    """Edges and costs within h / (target (1 - target)) of the law, while that is below a third."""
    band = tracking_band(**market)
    share = band.small_cost / (market["target"] * (1 - market["target"]))
    tilt = abs(2 * market["mu"] / market["sigma"] ** 2 - 1) + 1
    if share * tilt < 1 / 3:
        for edge in (market["target"] - band.low, band.high - market["target"]):
            assert abs(edge / band.small_cost - 1) < share * tilt
        priced = {name: market[name] for name in ("sigma", "target", "gamma", "k")}
        law = laws.rule_cost(**priced, reset=1.0, width=band.small_cost)
        assert abs(law / band.cost - 1) < share * tilt


def test_small_cost_ratios_are_the_closed_forms() -> None:
    market = {"sigma": 0.2, "target": 0.5, "gamma": 4.0, "k": 1e-3}

    def cost(reset: float) -> float:
        return laws.rule_cost(**market, reset=reset, width=laws.half_width(**market, reset=reset))

    edge = cost(1.0)
    assert cost(0.5) / edge == pytest.approx(1.0357, abs=5e-5)
    assert cost(0.0) / edge == pytest.approx(4 ** (1 / 3) / 1.26, abs=1e-4)
    period = laws.calendar_period(**market)
    assert laws.calendar_cost(**market, period=period) / edge == pytest.approx(1.5632, abs=5e-5)
    tiny = {"mu": 0.0, **market, "k": 1e-10}
    band = tracking_band(**tiny)
    assert tracking_threshold(**tiny).cost / band.cost == pytest.approx(4 ** (1 / 3) / 1.26, abs=1e-3)
    assert tracking_calendar(**tiny).cost / band.cost == pytest.approx(1.5632, abs=2e-3)


def test_turnover_of_the_band_is_half_a_calendar_s_at_equal_tracking_error() -> None:
    """Leland's "almost 50 %": sqrt(pi / 12) in the small-cost limit."""
    market = {**FIRST, "k": 1e-9}
    band = tracking_band(**market)
    variance = 0.5 * 0.16**4 * 0.24**2 * 5  # tracking cost a year per year of waiting, halved on average
    calendar = tracking_calendar(**market, period=2 * band.tracking / variance)
    assert calendar.tracking == pytest.approx(band.tracking, rel=1e-3)
    assert band.turnover / calendar.turnover == pytest.approx(math.sqrt(math.pi / 12), rel=2e-3)


def test_where_log_odds_have_no_drift_nothing_breaks() -> None:
    still = {**FIRST, "mu": 0.0128, "sigma": 0.16}
    near = {**still, "mu": 0.0128 * (1 + 1e-9)}
    assert tracking_threshold(**still, width=0.04).cost == pytest.approx(
        tracking_threshold(**near, width=0.04).cost, rel=1e-7
    )
    assert tracking_band(**still).cost == pytest.approx(tracking_band(**near).cost, rel=1e-7)


@pytest.mark.parametrize(("target", "k"), [(0.01, 0.01), (0.003, 0.003), (0.6, 0.05)])
def test_large_costs_are_reached_step_by_step(target: float, k: float) -> None:
    found = tracking_band(mu=0.0, sigma=0.2, target=target, gamma=5.0, k=k)
    assert 0 < found.low < target < found.high < 1


@pytest.mark.parametrize("solve", [tracking_band, tracking_threshold, tracking_calendar])
@pytest.mark.parametrize(("target", "gamma", "k"), [(0.01, 0.01, 0.9), (0.001, 1.0, 0.5)])
def test_a_cost_that_is_never_paid_back_is_refused(
    solve: Callable[..., object], target: float, gamma: float, k: float
) -> None:
    with pytest.raises(ValueError, match="too large to be paid back"):
        solve(mu=0.0, sigma=0.2, target=target, gamma=gamma, k=k)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"target": 1.0}, "target"),
        ({"k": 0.0}, "above 0"),
        ({"sigma": 0.0}, "above 0"),
        ({"mu": math.inf}, "finite"),
    ],
)
def test_bad_numbers_are_named(changed: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        tracking_band(**{**FIRST, **changed})


def test_bad_rules_are_named() -> None:
    with pytest.raises(ValueError, match="reset"):
        tracking_threshold(**FIRST, reset=1.0)
    with pytest.raises(ValueError, match="width"):
        tracking_threshold(**FIRST, width=0.5)
    with pytest.raises(ValueError, match="period"):
        tracking_calendar(**FIRST, period=0.0)
