"""The market's signals on real closes: reference values, causality, hysteresis, and the two-state filter."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pytest
from closes import closes, upto
from decision_world import calm
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import regime
from gateway.decision.regime import (
    TwoStates,
    absorption_ratio,
    ewma_volatility,
    fit_two_states,
    mahalanobis,
    quantiles_so_far,
    signals,
    turbulence,
    with_hysteresis,
)
from gateway.decision.risk import Floats, History
from gateway.domain.request import Regime


@cache
def stocks() -> Floats:
    prices = closes().prices
    return prices[1:] / prices[:-1] - 1


@cache
def index() -> Floats:
    prices = closes("sp500_index").prices[:, 0]
    return prices[1:] / prices[:-1] - 1


def row(day: str) -> int:
    """The row of a day's return."""
    return closes().dates.index(date.fromisoformat(day)) - 1


def test_full_sample_turbulence_averages_the_number_of_names() -> None:
    found = mahalanobis(stocks(), stocks())
    assert found.mean() == pytest.approx(19.9976, abs=5e-5)
    for day, value in (("2000-03-07", 766.86), ("2008-10-13", 532.68), ("2000-09-29", 477.97)):
        assert found[row(day)] == pytest.approx(value, abs=5e-3)
    assert sorted(found)[-3:] == pytest.approx([477.97, 532.68, 766.86], abs=5e-3)


@pytest.mark.parametrize(
    ("day", "value"),
    [
        ("2008-10-15", 211.9284),
        ("2011-08-08", 25.1501),
        ("2015-08-24", 57.6423),
        ("2020-03-16", 440.4276),
        ("2017-06-07", 8.9955),
    ],
)
def test_causal_turbulence_of_known_days(day: str, value: float) -> None:
    at = row(day)
    found = turbulence(stocks()[at - 756 : at + 1])
    assert np.isnan(found[:-1]).all()
    assert found[-1] == pytest.approx(value, abs=5e-5)


def test_turbulence_knows_nothing_of_the_days_after() -> None:
    returns = stocks()[:300].copy()
    before = turbulence(returns, window=250)
    returns[280:] *= 10
    assert turbulence(returns, window=250)[:280] == pytest.approx(before[:280], nan_ok=True)


def test_moving_sums_lose_nothing_against_every_window_by_itself() -> None:
    """One name stands still for a while, as a suspended one does; sums are made anew once on the way."""
    returns = stocks()[:420].copy()
    returns[60:190, 3] = 0.0
    found = turbulence(returns, window=100)
    alone = [mahalanobis(returns[day - 100 : day], returns[day : day + 1])[0] for day in range(100, 420)]
    assert found[100:] == pytest.approx(np.array(alone), rel=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.sampled_from([0.0, 0.5, 0.75, 1.0]))
def test_quantiles_so_far_are_those_of_every_beginning(values: list[float], share: float) -> None:
    found = quantiles_so_far(np.array(values), share)
    alone = [np.quantile(values[: day + 1], share) for day in range(len(values))]
    assert found == pytest.approx(np.array(alone), rel=1e-9, abs=1e-9)


def test_names_that_never_moved_do_not_count() -> None:
    returns = stocks()[:100].copy()
    still = np.hstack([returns, np.zeros((100, 1))])
    assert mahalanobis(still[:90], still[90:]) == pytest.approx(mahalanobis(returns[:90], returns[90:]))


@pytest.mark.parametrize(
    ("day", "equal", "halved"),
    [
        ("1998-06-30", 0.637647, 0.643043),
        ("2007-06-29", 0.667004, 0.667064),
        ("2008-12-31", 0.779686, 0.802657),
        ("2017-12-29", 0.765021, 0.740277),
        ("2020-04-30", 0.788320, 0.816103),
    ],
)
def test_absorption_ratio_of_known_days(day: str, equal: float, halved: float) -> None:
    at = row(day) + 1
    window = stocks()[at - regime.ABSORPTION_WINDOW : at]
    assert absorption_ratio(window) == pytest.approx(equal, abs=5e-7)
    assert absorption_ratio(window, regime.ABSORPTION_HALF_LIFE) == pytest.approx(halved, abs=5e-7)


@pytest.mark.parametrize(
    ("day", "volatility"), [("2008-10-15", 0.761), ("2017-06-07", 0.0729), ("2020-03-16", 0.819)]
)
def test_ewma_volatility_of_known_days(day: str, volatility: float) -> None:
    found = ewma_volatility(index())[row(day)]
    assert found == pytest.approx(volatility, abs=6e-4)


# ------------------------------------------------------------------------------------- the two states

FITTED = TwoStates((0.0007, -0.0008), (0.106 / 252**0.5, 0.286 / 252**0.5), (0.98690, 0.97118))


def test_the_filter_sees_the_storms_and_not_the_calm() -> None:
    stormy = FITTED.stormy(index()) > 0.5
    dates = closes("sp500_index").dates[1:]

    def high(first: str, last: str) -> int:
        one, other = date.fromisoformat(first), date.fromisoformat(last)
        return sum(is_high for is_high, day in zip(stormy, dates, strict=True) if one <= day <= other)

    assert stormy.mean() == pytest.approx(0.304, abs=0.02)
    assert high("2008-09-01", "2009-06-30") >= 200
    assert high("2020-03-01", "2020-03-31") == 22
    assert high("2017-01-01", "2017-12-31") == 0


def test_the_filter_knows_nothing_of_the_days_after() -> None:
    returns = index()[:500].copy()
    before = FITTED.stormy(returns)
    returns[400:] *= 5
    assert FITTED.stormy(returns)[:400] == pytest.approx(before[:400])


def test_a_fit_of_all_days_finds_the_known_states() -> None:
    """Reference: hmmlearn 0.3.3 on the same series, whose priors and tolerance differ a little."""
    found = fit_two_states(index())
    assert np.array(found.deviation) * 252**0.5 == pytest.approx([0.106, 0.286], abs=1e-3)
    assert found.stay == pytest.approx((0.98690, 0.97118), abs=1.5e-3)
    in_percent = replace(
        found, mean=(found.mean[0] * 100, found.mean[1] * 100),
        deviation=(found.deviation[0] * 100, found.deviation[1] * 100),
    )  # fmt: skip
    assert in_percent.log_likelihood(index() * 100) == pytest.approx(-11379.486, abs=0.5)


def test_a_return_beyond_all_measure_is_a_storm_not_an_error() -> None:
    returns = np.array([0.001, -0.001, -50.0, 0.001])
    found = FITTED.stormy(returns)
    assert found[2] == pytest.approx(1)
    assert np.isfinite(FITTED.log_likelihood(returns))


def test_a_fit_never_gets_worse_and_stops() -> None:
    returns = index()[:800]
    few, more = fit_two_states(returns, rounds=2), fit_two_states(returns, rounds=6)
    assert more.log_likelihood(returns) >= few.log_likelihood(returns)
    assert few.start[0] + few.start[1] == pytest.approx(1)
    assert fit_two_states(returns, tolerance=1e9) == fit_two_states(returns, rounds=1)


# ---------------------------------------------------------------------------------- hysteresis, signals


def test_a_state_is_left_lower_than_it_is_entered() -> None:
    values = np.array([0.4, 0.9, 1.0, 0.6, np.nan, 0.5, 0.49, 0.9, 1.2])
    assert with_hysteresis(values, 1.0, 0.5) == [False, False, True, True, True, True, False, False, True]


@calm
@given(st.lists(st.floats(0, 2), max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_hysteresis_switches_no_more_than_one_limit(values: list[float], one: float, gap: float) -> None:
    series = np.array(values)

    def switches(found: list[bool]) -> int:
        return sum(a != b for a, b in zip([False, *found], found, strict=False))

    assert switches(with_hysteresis(series, one + gap, one)) <= switches(with_hysteresis(series, one, one))


@pytest.mark.parametrize(
    ("day", "found"),
    [
        ("2008-10-31", Regime.CRISIS),
        ("2009-03-09", Regime.CRISIS),
        ("2020-03-31", Regime.CRISIS),
        ("2007-06-29", Regime.NORMAL),
        ("2017-06-07", Regime.NORMAL),
    ],
)
def test_the_regime_of_known_days(day: str, found: Regime) -> None:
    seen = signals(upto(day))
    assert seen is not None
    assert seen.regime is found
    assert seen.as_of == date.fromisoformat(day)
    assert (seen.vol_ratio > 1.5) is (found is Regime.CRISIS)
    assert (seen.turbulence > 0.75) is (found is Regime.CRISIS)


def test_momentum_is_the_return_of_twelve_months() -> None:
    seen = signals(upto("2020-03-31"))
    prices = upto("2020-03-31").prices
    assert seen is not None
    assert seen.momentum["XOM"] == pytest.approx(prices[-1, -1] / prices[-253, -1] - 1)
    assert seen.momentum["XOM"] < 0 < seen.momentum["MSFT"]


def test_a_history_too_short_or_full_of_holes_gives_no_signals() -> None:
    whole = upto("2000-01-03")
    short = History(whole.dates[-1009:], whole.symbols, whole.prices[-1009:])
    assert signals(short) is None
    assert signals(History(whole.dates[-1010:], whole.symbols, whole.prices[-1010:])) is not None
    holes = whole.prices.copy()
    holes[-500] = np.nan
    assert signals(History(whole.dates, whole.symbols, holes)) is None
    holes[-500, 1:] = whole.prices[-500, 1:]
    seen = signals(History(whole.dates, whole.symbols, holes))
    assert seen is not None
    assert set(seen.momentum) == set(whole.symbols[1:])
