"""The one-period region: published pair, every pattern by brute force, two solvers, bounds, odd matrices."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decision.no_trade import Factors, kinked, region_trade
from gateway.decision.no_trade.kinked import Dense, descend, minimise

PAIR = 0.04 * np.array([[1, 0.9], [0.9, 1]])
INF = np.inf


def pair(first: float, second: float) -> object:
    return region_trade(
        covariance=PAIR, weights=[0.3 + first, 0.3 + second], targets=[0.3, 0.3], gamma=3, buy_cost=0.0015,
        sell_cost=0.0015,
    )  # fmt: skip


def test_the_instructive_pair() -> None:
    """Two names alike: gaps that offset each other stay, gaps that add up are traded to the edge."""
    assert pair(0.02, -0.02).is_inside
    found = pair(0.02, 0.02)
    assert not found.is_inside
    assert found.weights == pytest.approx([0.306579, 0.306579], abs=6e-7)
    assert found.pull_after == pytest.approx([-0.0015, -0.0015], abs=1e-15)
    assert found.cost == pytest.approx(0.0015 * np.abs(found.trades).sum())


def test_the_region_is_the_parallelepiped_of_its_half_axes() -> None:
    axes = pair(0.02, 0.02).edges
    for sign in product((-1, 1), repeat=2):
        corner = axes @ np.array(sign)
        assert pair(*(0.999 * corner)).is_inside
        assert not pair(*(1.001 * corner)).is_inside


def objective(q: np.ndarray, pull: np.ndarray, buy: np.ndarray, sell: np.ndarray, z: np.ndarray) -> float:
    return float(z @ (0.5 * q @ z - pull) + buy @ np.maximum(z, 0) + sell @ np.maximum(-z, 0))


def enumerated(
    q: np.ndarray, pull: np.ndarray, buy: np.ndarray, sell: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the best of all patterns: each name bought, sold, left, or at a bound, the rest solved."""
    best = (INF, np.zeros_like(pull))
    for pattern in product("bs0lh", repeat=pull.size):
        z = np.array([{"l": low[i], "h": high[i]}.get(p, 0.0) for i, p in enumerate(pattern)])
        free = np.array([p in "bs" for p in pattern])
        if not np.isfinite(z).all():
            continue
        cost = np.array([buy[i] if p == "b" else -sell[i] for i, p in enumerate(pattern)])
        if free.any():
            right = (pull - q @ z - cost)[free]
            z[free] = np.linalg.solve(q[np.ix_(free, free)], right)
        if (z >= low - 1e-15).all() and (z <= high + 1e-15).all():
            best = min(best, (objective(q, pull, buy, sell, z), z), key=lambda one: one[0])
    return best


def problem(seed: int, n: int) -> tuple[np.ndarray, ...]:
    source = np.random.default_rng(seed)
    root = source.normal(size=(n, n))
    q = root @ root.T + 0.05 * np.eye(n)
    gap = source.normal(size=n)
    buy, sell = source.uniform(0, 2, (2, n)) * (source.random((2, n)) < 0.9)
    low, high = -source.exponential(1.0, n), source.exponential(1.0, n)
    low[source.random(n) < 0.5], high[source.random(n) < 0.5] = -INF, INF
    if n > 1 and seed % 3 == 0:
        low[0], high[0] = 0.1, 0.7  # must buy
        low[1], high[1] = -0.9, -0.2  # must sell
    return q, q @ gap, buy, sell, low, high


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_both_solvers_find_the_minimum_of_every_pattern(n: int) -> None:
    for seed in range(40):
        q, pull, buy, sell, low, high = problem(seed, n)
        value, z = enumerated(q, pull, buy, sell, low, high)
        found = minimise(Dense(q / 2), 2.0, pull, buy, sell, low, high)
        swept, done = descend(q, np.stack([pull, pull]), buy, sell, low, high)
        assert found.is_converged
        assert done.all()
        assert found.trades == pytest.approx(z, abs=1e-10)
        assert swept[1] == pytest.approx(z, abs=1e-10)
        assert objective(q, pull, buy, sell, found.trades) <= value + 1e-12


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 40), k=st.integers(1, 5), bare=st.booleans())
def test_factors_and_their_matrix_give_one_answer(seed: int, n: int, k: int, *, bare: bool) -> None:
    """Also with so many names that the dual problem makes the start, and with names without specific risk."""
    source = np.random.default_rng(seed)
    n = n if seed % 2 else n + kinked.FEW
    loadings, specific = source.normal(size=(n, k)), source.uniform(0.05, 2, n)
    if bare:
        specific[: n // 10] = 0.01
    risk = Factors(loadings, specific)
    dense = Dense(loadings @ loadings.T + np.diag(specific))
    assert dense.variances == pytest.approx(risk.variances)
    vector = source.normal(size=n)
    assert dense.times(vector) == pytest.approx(risk.times(vector))
    pull = risk.times(source.normal(size=n))
    cost, bound = source.uniform(0, 3, n), source.exponential(2.0, n)
    one = minimise(risk, 1.0, pull, cost, 0.5 * cost, -bound, bound)
    two = minimise(dense, 1.0, pull, cost, 0.5 * cost, -bound, bound)
    assert one.is_converged
    assert two.is_converged
    assert one.trades == pytest.approx(two.trades, abs=1e-9)


def test_a_start_that_is_worse_than_none_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dual problem cut short forecasts badly; the minimum is found all the same."""
    source = np.random.default_rng(3)
    risk = Factors(source.normal(size=(80, 4)) * 3, source.uniform(1e-3, 1e-2, 80))
    pull = risk.times(0.02 * source.normal(size=80))
    arguments = (risk, 1.0, pull, np.full(80, 0.1), np.full(80, 0.1), np.full(80, -INF), np.full(80, INF))
    whole = minimise(*arguments)
    monkeypatch.setattr(kinked, "FORECASTS", 0)
    cut = minimise(*arguments)
    assert cut.is_converged
    assert cut.trades == pytest.approx(whole.trades, abs=1e-8)


def test_singular_risk_still_has_a_best_trade() -> None:
    """Two names that are one: trading either is as good, the objective is the same."""
    q = np.ones((2, 2))
    risk = Dense(q)
    pull = np.array([1.0, 1.0])
    cost = np.array([0.1, 0.2])
    found = minimise(risk, 1.0, pull, cost, cost, np.full(2, -INF), np.full(2, INF))
    assert found.is_converged
    assert objective(q, pull, cost, cost, found.trades) == pytest.approx(-0.405)
    swept, done = descend(q, pull[None], cost, cost, np.full(2, -INF), np.full(2, INF))
    assert done.all()
    assert objective(q, pull, cost, cost, swept[0]) == pytest.approx(-0.405)


def test_a_name_without_risk_is_left_alone() -> None:
    q = np.diag([0.0, 1.0])
    found = minimise(
        Dense(q), 1.0, np.array([0.0, 1.0]), np.zeros(2), np.zeros(2), np.full(2, -1), np.full(2, 1)
    )
    assert list(found.trades) == [0.0, 1.0]
    swept, _ = descend(q, np.array([[0.0, 1.0]]), np.zeros(2), np.zeros(2), np.full(2, -1.0), np.full(2, 1.0))
    assert list(swept[0]) == [0.0, 1.0]


def test_what_cannot_be_solved_in_its_steps_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinked, "STEPS", 1)
    q, pull, buy, sell, low, high = problem(4, 4)
    found = minimise(Dense(q), 1.0, pull * 10, buy, sell, low, high)
    assert not found.is_converged
    assert objective(q, pull * 10, buy, sell, found.trades) <= 0
    with pytest.raises(ValueError, match="not reached"):
        region_trade(
            covariance=q, weights=np.zeros(4), targets=np.linalg.solve(q, pull * 10), gamma=1.0, buy_cost=buy,
            sell_cost=sell, low=low, high=high,
        )  # fmt: skip


def test_sweeps_that_may_not_run_leave_their_rows_unfinished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinked, "STEPS", 0)
    q, pull, buy, sell, low, high = problem(4, 4)
    trades, done = descend(q, np.stack([np.zeros(4), pull * 10]), buy, sell, low, high)
    assert list(done) == [True, False]
    assert not trades.any()


def test_a_step_that_helps_nothing_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinked, "HALVINGS", 0)
    q, pull, buy, sell, low, high = problem(4, 4)
    assert not minimise(Dense(q), 1.0, pull * 10, buy, sell, low, high).is_converged


def test_factors_have_no_half_axes_and_neither_has_a_singular_matrix() -> None:
    common = {"weights": [0.1, 0.2], "targets": [0.2, 0.1], "gamma": 2.0, "buy_cost": 1e-3, "sell_cost": 1e-3}
    by_factors = region_trade(covariance=Factors(np.full((2, 1), 0.2), np.full(2, 0.01)), **common)
    by_matrix = region_trade(covariance=0.04 + 0.01 * np.eye(2), **common)
    assert by_factors.edges.size == 0
    assert by_factors.trades == pytest.approx(by_matrix.trades, abs=1e-14)
    assert region_trade(covariance=np.ones((2, 2)), **common).edges.size == 0


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"covariance": [[1.0, 0.0]]}, "square"),
        ({"covariance": [[1.0, 0.5], [0.4, 1.0]]}, "symmetric"),
        ({"covariance": [[-1.0, 0.0], [0.0, 1.0]]}, "negative variance"),
        ({"covariance": [[1.0]]}, "N numbers each"),
        ({"weights": [0.1, np.nan]}, "finite"),
        ({"gamma": 0.0}, "gamma"),
        ({"buy_cost": -1e-3}, "must not be negative"),
        ({"low": 1.0, "high": 0.0}, "low"),
    ],
)
def test_bad_numbers_are_named(changed: dict[str, object], word: str) -> None:
    good = {
        "covariance": np.eye(2), "weights": [0.1, 0.2], "targets": [0.2, 0.1], "gamma": 2.0, "buy_cost": 1e-3,
        "sell_cost": 1e-3,
    }  # fmt: skip
    with pytest.raises(ValueError, match=word):
        region_trade(**{**good, **changed})  # type: ignore[arg-type]
