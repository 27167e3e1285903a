"""The risk model: its estimator beside scikit-learn's, what it refuses, what it does with odd histories."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from closes import upto
from decision_world import calm
from hypothesis import given
from hypothesis import strategies as st
from sklearn import covariance

from gateway.decision import risk
from gateway.decision.risk import History, Refusal, RiskModel, estimate, ledoit_wolf

DAY = date(2024, 3, 12)


def random_history(names: int, days: int, *, seed: int = 0, common: float = 0.01) -> History:
    """A market with one common factor; the last day is DAY."""
    rng = np.random.default_rng(seed)
    returns = common * rng.standard_normal((days, 1)) + 0.01 * rng.standard_normal((days, names))
    prices = 100 * np.exp(np.cumsum(returns, axis=0))
    dates = tuple(DAY - timedelta(days=days - 1 - at) for at in range(days))
    return History(dates, tuple(f"N{at:03}" for at in range(names)), prices)


def vols(history: History, volatility: float = 0.3) -> dict[str, float]:
    return dict.fromkeys(history.symbols, volatility)


def model(history: History, **words: int) -> RiskModel:
    found = estimate(history, DAY, vols(history), **words)
    assert isinstance(found, RiskModel), found
    return found


@pytest.mark.parametrize(("names", "days"), [(1, 5), (2, 3), (5, 60), (20, 504), (60, 40), (3, 1000)])
@pytest.mark.parametrize("seed", range(5))
def test_the_estimator_is_scikit_learns_to_twelve_digits(names: int, days: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((days, names)) * rng.uniform(0.5, 2, names) + rng.uniform(-1, 1, names)
    theirs, shrinkage = covariance.ledoit_wolf(returns)
    ours, share = ledoit_wolf(returns)
    assert np.abs(ours - theirs).max() < 1e-12
    assert abs(share - shrinkage) < 1e-12


def test_the_estimator_on_real_closes() -> None:
    prices = upto("2022-12-28").prices[-505:]
    returns = prices[1:] / prices[:-1] - 1
    theirs, shrinkage = covariance.ledoit_wolf(returns)
    ours, share = ledoit_wolf(returns)
    assert np.abs(ours / theirs - 1).max() < 1e-10
    assert share == pytest.approx(shrinkage, abs=1e-12)


def test_a_scaled_identity_needs_no_shrinkage() -> None:
    ours, share = ledoit_wolf(np.array([[1.0], [-1.0]]))
    assert share == 0
    assert ours.tolist() == [[1.0]]


def test_a_model_of_real_closes_keeps_each_variance_and_shrinks_only_correlations() -> None:
    history = upto("2022-12-28")
    found = estimate(history, date(2022, 12, 30), vols(history))
    assert isinstance(found, RiskModel)
    prices = history.prices[-505:]
    returns = prices[1:] / prices[:-1] - 1
    sample = np.cov(returns, rowvar=False, ddof=0) * 252
    ours = found.covariance(found.symbols, np.zeros(20))
    order = [history.symbols.index(symbol) for symbol in found.symbols]
    sample = sample[np.ix_(order, order)]
    assert np.diag(ours) == pytest.approx(np.diag(sample), rel=1e-12)
    off = ~np.eye(20, dtype=bool)
    assert ours[off] == pytest.approx((1 - found.shrinkage) * sample[off], rel=1e-9)
    assert 0 < found.shrinkage < 0.2
    assert (found.as_of, found.observations, found.notes) == (date(2022, 12, 28), 504, ())
    assert found.age_days(date(2023, 1, 2)) == 5
    assert found.correlation("CVX", "XOM") == pytest.approx(0.84, abs=0.05)
    assert found.volatility("AMD") == pytest.approx(0.5, abs=0.1)


def test_product_variance_and_covariance_agree_in_any_order() -> None:
    found = model(random_history(5, 200))
    symbols = ("N003", "new", "N001")
    volatility = np.array([9.0, 0.25, 9.0])
    weights = np.array([0.2, -0.1, 0.05])
    matrix = found.covariance(symbols, volatility)
    assert matrix[1].tolist() == [0, 0.0625, 0]
    assert found.product(symbols, volatility, weights) == pytest.approx(matrix @ weights, rel=1e-12)
    assert found.variance(symbols, volatility, weights) == pytest.approx(weights @ matrix @ weights)
    assert found.correlation("N003", "new") is None
    assert found.correlation("new", "N003") is None
    assert found.volatility("new") is None


def test_a_dense_matrix_is_taken_as_it_is() -> None:
    matrix = np.array([[0.04, 0.012], [0.012, 0.09]])
    found = RiskModel.dense(("A", "B"), matrix, DAY)
    assert found.covariance(("A", "B"), np.zeros(2)) == pytest.approx(matrix)
    assert found.correlation("A", "B") == pytest.approx(0.2)
    with pytest.raises(np.linalg.LinAlgError):
        RiskModel.dense(("A", "B"), np.array([[1.0, 2.0], [2.0, 1.0]]), DAY)


@pytest.mark.parametrize(
    ("loadings", "specific", "words"),
    [
        (np.zeros((2, 1)), np.zeros(1), "1 symbols"),
        (np.zeros((1, 1)), np.zeros(2), "1 symbols"),
        (np.full((1, 1), np.nan), np.zeros(1), "finite"),
        (np.zeros((1, 1)), np.full(1, np.inf), "finite"),
        (np.zeros((1, 1)), np.full(1, -0.1), "below 0"),
    ],
)
def test_a_model_of_the_wrong_shape_is_a_bug(
    loadings: risk.Floats, specific: risk.Floats, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        RiskModel(("A",), loadings, specific, DAY)


def test_a_history_that_ended_too_long_ago_is_refused_with_its_remedy() -> None:
    history = random_history(3, 200)
    assert isinstance(estimate(history, DAY + timedelta(days=5), vols(history)), RiskModel)
    refused = estimate(history, DAY + timedelta(days=6), vols(history))
    assert isinstance(refused, Refusal)
    assert "ends on 2024-03-12, more than 5 days before 2024-03-18" in refused.text
    assert "append the closes" in refused.text


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (History((), (), np.empty((0, 0))), "0 days"),
        (History((), ("N000",), np.empty((0, 1))), "0 days"),
        (random_history(2, 60), "0 days"),
        (random_history(2, 30), "0 days"),
    ],
)
def test_too_few_days_are_refused_with_their_remedy(history: History, words: str) -> None:
    refused = estimate(history, DAY, {"N000": 0.3})
    assert isinstance(refused, Refusal)
    assert words in refused.text
    assert "give a longer history" in refused.text


def test_days_that_never_coincide_are_too_few_days() -> None:
    history = random_history(2, 200)
    history.prices[::2, 0] = np.nan
    history.prices[1::2, 1] = np.nan
    history.prices[-1] = 100
    refused = estimate(history, DAY, vols(history))
    assert isinstance(refused, Refusal)
    assert refused.text.startswith("0 days have a close of every usable name")


def test_sixty_one_closes_are_just_enough() -> None:
    found = model(random_history(2, 61))
    assert found.observations == 60


def test_gaps_leave_out_their_days_and_say_so() -> None:
    history = random_history(3, 300)
    history.prices[[50, 60, 299], 1] = np.nan
    found = model(history)
    assert found.observations == 296
    assert found.as_of == DAY - timedelta(days=1)
    assert found.notes == ("3 of 300 days left out: not every name has a close",)


def test_names_without_a_history_of_their_own_fall_back_to_their_volatility() -> None:
    history = random_history(4, 300)
    history.prices[:, 0] = 50
    history.prices[:250, 1] = np.nan
    history.prices[280:, 2] = np.nan
    found = estimate(history, DAY, {**vols(history), "new": 0.2}, window=250)
    assert isinstance(found, RiskModel)
    assert found.symbols == ("N003", "N000", "N001", "N002", "new")
    assert found.volatility("new") == pytest.approx(0.2)
    assert found.correlation("new", "N003") == 0
    assert found.volatility("N000") == pytest.approx(0.3)
    assert found.notes == (
        "N000 has a price that never moves: taken at 30.0% a year, uncorrelated",
        "N001 has 50 closes: taken at 30.0% a year, uncorrelated",
        "N002 has no close since 2024-02-21: taken at 30.0% a year, uncorrelated",
        "new has 0 closes: taken at 20.0% a year, uncorrelated",
    )
    assert found.observations == 250


def test_names_of_the_history_that_nobody_asked_for_are_left_alone() -> None:
    history = random_history(4, 300)
    found = estimate(history, DAY, {"N002": 0.3})
    assert isinstance(found, RiskModel)
    assert found.symbols == ("N002",)


def test_a_window_forgets_what_is_older() -> None:
    history = random_history(2, 400)
    calm_days = model(history, window=100)
    history.prices[:200] *= np.exp(
        np.cumsum(np.full((200, 2), 0.2) * (-1) ** np.arange(200)[:, None], axis=0)
    )
    assert model(history, window=100).loadings == pytest.approx(calm_days.loadings)
    assert model(history, window=399).volatility("N000") > 2 * (calm_days.volatility("N000") or 0)  # type: ignore[operator]


def test_the_condition_is_bounded_even_for_twins() -> None:
    history = random_history(2, 400, common=0.0)
    twins = History(history.dates, ("A", "B"), history.prices[:, [0, 0]] * np.array([1.0, 2.0]))
    found = model(twins)
    values = np.linalg.eigvalsh(found.covariance(("A", "B"), np.zeros(2)))
    assert values[0] > 0
    assert values[1] / values[0] < risk.MAX_CONDITION * 1.01


def test_eigenvalues_below_the_floor_are_raised_without_touching_the_diagonal() -> None:
    same = np.full((3, 3), 1.0)
    raised, count = risk.conditioned(same, 100)
    assert count == 2
    assert np.diag(raised) == pytest.approx(np.ones(3))
    values = np.linalg.eigvalsh(raised)
    assert values[-1] / values[0] == pytest.approx(100)
    left, none = risk.conditioned(np.eye(2), 100)
    assert none == 0
    assert left.tolist() == np.eye(2).tolist()


def test_raised_eigenvalues_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    history = random_history(3, 400, common=0.05)
    monkeypatch.setattr(risk, "ledoit_wolf", lambda _returns: (np.full((3, 3), 1.0), 0.0))
    assert model(history).notes == ("2 eigenvalues raised to the floor",)


def test_factors_keep_each_variance_and_the_common_part() -> None:
    history = random_history(30, 504)
    found, dense = model(history, factors=3), model(history)
    assert found.loadings.shape == (30, 3)
    for symbol in history.symbols:
        assert found.volatility(symbol) == pytest.approx(dense.volatility(symbol), rel=1e-9)
    equal = np.full(30, 1 / 30)
    ours = found.variance(history.symbols, equal, equal)
    assert ours == pytest.approx(dense.variance(history.symbols, equal, equal), rel=0.05)


def test_many_names_are_taken_as_factors_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(risk, "DENSE_NAMES", 29)
    found = model(random_history(30, 504))
    assert found.loadings.shape == (30, 20)
    assert found.notes == ("30 names: taken as 20 factors and what is specific",)
    assert model(random_history(29, 504)).loadings.shape == (29, 29)


def test_more_factors_than_names_leave_a_floor_of_specific_variance() -> None:
    found = model(random_history(3, 100), factors=10)
    assert found.loadings.shape == (3, 3)
    assert (found.specific > 0).all()


@calm
@given(
    names=st.integers(1, 8), days=st.integers(2, 40), seed=st.integers(0, 2**31), scale=st.floats(1e-4, 1e3)
)
def test_shrinking_keeps_the_trace_and_never_leaves_zero_to_one(
    names: int, days: int, seed: int, scale: float
) -> None:
    returns = np.random.default_rng(seed).standard_normal((days, names)) * scale
    shrunk, share = ledoit_wolf(returns)
    assert 0 <= share <= 1
    assert np.trace(shrunk) == pytest.approx(
        np.trace(np.cov(returns, rowvar=False, ddof=0).reshape(names, -1))
    )
    assert np.linalg.eigvalsh(shrunk).min() >= -1e-9 * scale**2
