"""The default rule: what must always hold, what one asset makes of it, odd names, many names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decision.no_trade import Amortised, Factors, amortised, laws, tracking_band
from gateway.decision.no_trade.many import damped
from gateway.decision.no_trade.region import read_problem


def market(seed: int, n: int) -> tuple[Factors, np.ndarray, np.ndarray]:
    """Return a risk of two factors, targets that leave some cash, and weights that have drifted far."""
    source = np.random.default_rng(seed)
    risk = Factors(source.normal(0, 0.1, (n, 2)), source.uniform(0.05, 0.4, n) ** 2)
    targets = source.dirichlet(np.ones(n + 1))[:n]
    weights = targets * np.exp(source.normal(0, 0.4, n))
    targets[source.random(n) < 0.1] = 0.0
    weights[source.random(n) < 0.1] = 0.0
    return risk, targets, weights


def matrix_of(risk: Factors) -> np.ndarray:
    return risk.loadings @ risk.loadings.T + np.diag(risk.specific)


def objective(risk: Factors, found: Amortised, targets: np.ndarray, trades: np.ndarray, weights: np.ndarray,
              gamma: float, correlation: float = 0.5) -> float:  # fmt: skip
    whole = matrix_of(risk)
    seen = correlation * whole + (1 - correlation) * np.diag(np.diag(whole))
    left = weights + trades - targets
    return 0.5 * gamma * float(left @ seen @ left) + float(found.rate @ np.abs(trades))


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 120), gamma=st.floats(1, 20), k=st.floats(0, 0.01))
def test_never_worse_than_nothing_or_everything(seed: int, n: int, gamma: float, k: float) -> None:
    risk, targets, weights = market(seed, n)
    found = amortised(covariance=risk, weights=weights, targets=targets, k=k, gamma=gamma)
    assert found.is_converged
    ours = objective(risk, found, targets, found.trades, weights, gamma)
    source = np.random.default_rng(seed + 1)
    others = [np.zeros(n), targets - weights, 0.5 * (targets - weights)]
    others += [found.trades * source.uniform(0.8, 1.2, n), found.trades + source.normal(0, 1e-3, n)]
    for other in others:
        kept = np.where(targets == 0, -weights, other)  # what is not wanted is sold whole, whatever it brings
        assert ours <= objective(risk, found, targets, kept, weights, gamma) * (1 + 1e-12) + 1e-18
    nothing = objective(risk, found, targets, np.zeros(n), weights, gamma)
    assert found.benefit.sum() - found.charge.sum() == pytest.approx(nothing - ours, rel=1e-9, abs=1e-16)
    assert (found.weights[targets == 0] == 0).all()
    if (targets != 0).all():
        assert found.benefit.sum() >= found.charge.sum() - 1e-16
    after = amortised(covariance=risk, weights=found.weights, targets=targets, k=k, gamma=gamma)
    assert np.abs(after.trades).max() < 1e-10


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30))
def test_a_name_that_trades_ends_on_its_edge(seed: int, n: int) -> None:
    risk, targets, weights = market(seed, n)
    found = amortised(covariance=risk, weights=weights, targets=targets, k=0.002, gamma=5.0)
    assert (found.is_inside == (found.trades == 0)).all()
    assert ((found.weights >= found.low - 1e-12) | (targets == 0)).all()
    assert ((found.weights <= found.high + 1e-12) | (targets == 0)).all()
    bought, sold = ((found.trades * side > 0) & (targets != 0) for side in (1, -1))
    assert found.weights[bought] == pytest.approx(found.low[bought], abs=1e-10)
    assert found.weights[sold] == pytest.approx(found.high[sold], abs=1e-10)
    assert found.high - found.low == pytest.approx(2 * found.half_width)
    assert found.cost == pytest.approx(0.002 * np.abs(found.trades))


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 120))
def test_on_target_nothing_is_done(seed: int, n: int) -> None:
    risk, targets, _ = market(seed, n)
    found = amortised(covariance=risk, weights=targets, targets=targets, k=0.001, gamma=5.0)
    assert not found.trades.any()
    assert found.is_inside.all()
    assert not found.benefit.any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 8))
def test_many_paths_at_once_are_as_one_by_one(seed: int, n: int) -> None:
    risk, targets, _ = market(seed, n)
    paths = targets * np.exp(np.random.default_rng(seed).normal(0, 0.5, (12, n)))
    at_once = amortised(covariance=matrix_of(risk), weights=paths, targets=targets, k=0.001, gamma=5.0)
    by_factors = amortised(covariance=risk, weights=paths, targets=targets, k=0.001, gamma=5.0)
    assert at_once.is_converged
    for row, weights in enumerate(paths):
        alone = amortised(covariance=risk, weights=weights, targets=targets, k=0.001, gamma=5.0)
        for name in (
            "trades",
            "low",
            "high",
            "benefit",
            "charge",
            "cost",
            "tracking_before",
            "tracking_after",
        ):
            assert getattr(at_once, name)[row] == pytest.approx(getattr(alone, name), abs=1e-10)
            assert getattr(by_factors, name)[row] == pytest.approx(getattr(alone, name), abs=1e-10)


def test_one_asset_is_the_cube_root_band() -> None:
    """The same asset as in `tracking_band`: cash is the rest, and the half-width is the law's."""
    found = amortised(covariance=[[0.16**2]], weights=[0.7], targets=[0.6], k=0.001, gamma=5.0)
    law = laws.edge_half_width(sigma=0.16, target=0.6, gamma=5.0, k=0.001)
    assert found.half_width[0] == pytest.approx(law, rel=1e-3)
    assert found.weights[0] == pytest.approx(0.6 + found.half_width[0])
    assert found.rate[0] / 0.001 == pytest.approx(5.0 * 0.16**2 * law / 0.001, rel=1e-3)
    assert found.tracking_before == pytest.approx(0.16 * 0.1)
    assert found.tracking_after == pytest.approx(0.16 * found.half_width[0])


@pytest.mark.parametrize("target", [0.01, 0.001, 0.0003])
@pytest.mark.parametrize("k", [1e-4, 1e-3, 1e-2])
def test_a_small_weight_has_the_width_of_the_exact_band(target: float, k: float) -> None:
    exact = tracking_band(mu=0.0, sigma=0.2, target=target, gamma=5.0, k=k)
    found = amortised(covariance=0.04, weights=target, targets=target, k=k, gamma=5.0)
    assert found.half_width[0] == pytest.approx(0.5 * (exact.high - exact.low), rel=0.08)
    assert found.low[0] > 0


def test_odd_names_do_no_harm() -> None:
    """No risk, no target, no cost, a short: each does what its own part of the rule says."""
    covariance = np.diag([0.0, 0.04, 0.04, 0.04, 0.04])
    found = amortised(
        covariance=covariance, weights=[0.1, 0.02, 0.2, -0.3, 0.0], targets=[0.3, 0.0, 0.1, -0.1, 0.0],
        k=[0.001, 0.001, 0.0, 0.001, 0.001], gamma=5.0,
    )  # fmt: skip
    assert found.trades[0] == 0  # nothing to gain
    assert found.low[0] == -np.inf
    assert found.weights[1] == pytest.approx(0.0, abs=1e-15)  # unwanted: sold whole
    assert found.weights[2] == pytest.approx(0.1)  # free: all the way
    assert found.weights[3] == pytest.approx(-0.1 - found.half_width[3])  # a short band
    assert found.trades[4] == 0
    assert np.isfinite(found.benefit).all()


def test_an_unwanted_name_is_no_hedge() -> None:
    """Free to trade and much like a name that is short of its target, it still is not bought."""
    covariance = 0.04 * np.array([[1, 0.95], [0.95, 1]])
    found = amortised(covariance=covariance, weights=[0.45, 0.0], targets=[0.5, 0.0], k=0.001, gamma=5.0)
    assert found.trades[1] == 0
    locked = amortised(
        covariance=covariance, weights=[0.45, 0.03], targets=[0.5, 0.0], k=0.001, gamma=5.0,
        low=[0.0, 0.03], high=[1.0, 0.03],
    )  # fmt: skip
    assert locked.trades[1] == 0


def test_bounds_are_kept_and_restored() -> None:
    found = amortised(
        covariance=np.diag([0.04, 0.04, 0.04]), weights=[-0.1, 0.5, 0.0], targets=[0.0, 0.1, 0.4], k=0.001,
        gamma=5.0, low=0.0, high=[1.0, 1.0, 0.2],
    )  # fmt: skip
    assert found.weights[0] == pytest.approx(0.0, abs=1e-15)
    assert found.weights[2] == pytest.approx(0.2)
    outside = amortised(covariance=0.04, weights=0.5, targets=0.5, k=0.001, gamma=5.0, high=0.4)
    assert outside.weights[0] == pytest.approx(0.4)


def test_the_band_depends_on_the_round_trip() -> None:
    common = {"covariance": 0.04, "weights": 0.3, "targets": 0.5, "gamma": 5.0}
    even = amortised(**common, k=0.001)
    odd = amortised(**common, k=0.0015, k_sell=0.0005)
    assert odd.trades[0] == pytest.approx(even.trades[0])
    assert odd.cost[0] == pytest.approx(0.0015 * odd.trades[0])
    dear = amortised(**{**common, "weights": 0.7}, k=0.0015, k_sell=0.0005)
    assert dear.cost[0] == pytest.approx(0.0005 * -dear.trades[0])


@settings(deadline=None)
@given(share=st.floats(0, 1))
def test_damping_keeps_variances_and_scales_correlations(share: float) -> None:
    risk, _, _ = market(1, 6)
    whole = matrix_of(risk)
    wanted = share * whole + (1 - share) * np.diag(np.diag(whole))
    assert damped(risk, share).times(np.eye(6)) == pytest.approx(wanted, abs=1e-15)
    dense, _, _ = read_problem(whole, np.zeros(6), np.zeros(6), 1.0)
    assert damped(dense, share).times(np.eye(6)) == pytest.approx(wanted, abs=1e-15)


def test_correlation_of_none_is_each_name_alone() -> None:
    risk, targets, weights = market(11, 9)
    found = amortised(covariance=risk, weights=weights, targets=targets, k=0.001, gamma=5.0, correlation=0.0)
    gap = weights - targets
    alone = np.clip(gap, -found.half_width, found.half_width) - gap
    assert found.trades == pytest.approx(alone, abs=1e-12)


def test_five_thousand_names() -> None:
    """All from cash, and after a drift; each marginal cost is met."""
    source = np.random.default_rng(2)
    loadings = source.normal(0, 0.05, (5000, 20))
    loadings[:, 0] = 0.16 * source.uniform(0.5, 1.5, 5000)
    risk = Factors(loadings, source.uniform(0.1, 0.4, 5000) ** 2)
    targets = source.lognormal(0, 1, 5000)
    targets /= targets.sum()
    for weights in (np.zeros(5000), targets * np.exp(source.normal(0, 0.3, 5000))):
        found = amortised(covariance=risk, weights=weights, targets=targets, k=0.001, gamma=5.0, low=0.0)
        assert found.is_converged
        assert (found.weights >= -1e-15).all()
        assert found.tracking_after < 0.5 * found.tracking_before
        moved = ~found.is_inside & (found.weights > 0)
        pull = 5.0 * damped(risk, 0.5).times(targets - found.weights)
        assert pull[moved] == pytest.approx((found.rate * np.sign(found.trades))[moved], abs=1e-12)
        assert (np.abs(pull) <= found.rate + 1e-12)[found.weights > 0].all()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"k": -0.001}, "k and k_sell"),
        ({"k_sell": -0.001}, "k and k_sell"),
        ({"low": 1.0, "high": 0.0}, "low"),
        ({"correlation": 1.5}, "correlation"),
        ({"gamma": float("inf")}, "gamma"),
        ({"targets": [[0.1, 0.2]]}, "N numbers each"),
        ({"weights": [0.1, 0.2, 0.3]}, "N numbers each"),
    ],
)
def test_bad_numbers_are_named(changed: dict[str, object], word: str) -> None:
    good = {"covariance": np.eye(2), "weights": [0.1, 0.2], "targets": [0.2, 0.1], "k": 0.001, "gamma": 5.0}
    with pytest.raises(ValueError, match=word):
        amortised(**{**good, **changed})  # type: ignore[arg-type]
