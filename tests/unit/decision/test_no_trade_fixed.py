"""Fixed and quadratic costs: closed forms beside brute force and beside a Riccati iteration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decision.no_trade import fixed_band, fixed_half_width, laws, partial_trade, tracking_threshold

FIRST = {"sigma": 0.16, "target": 0.6, "gamma": 5.0}


def mean_cost(width: float, reset: float, *, nu: float, penalty: float, fixed: float, k: float) -> float:
    """Return the cost a year of trading from `width` to `reset`, for a Brownian deviation.

    From R the first exit from (-D, D) takes (D^2 - R^2) / nu^2 and collects penalty (D^4 - R^4) / (12 nu^2).
    """
    time = (width**2 - reset**2) / nu**2
    return (penalty * (width**4 - reset**4) / (12 * nu**2) + fixed + k * (width - reset)) / time


def test_reference_example() -> None:
    found = fixed_band(**FIRST, fixed=2e-6, k=1e-3)
    assert found.half_width == pytest.approx(0.035452, abs=6e-7)
    assert found.reset / found.half_width == pytest.approx(0.5127, abs=6e-5)


@settings(deadline=None)
@given(
    sigma=st.floats(0.05, 0.5), target=st.floats(0.05, 0.95), gamma=st.floats(1, 20),
    fixed=st.floats(1e-8, 1e-3), k=st.floats(0, 1e-2),
)  # fmt: skip
def test_no_other_pair_is_cheaper(sigma: float, target: float, gamma: float, fixed: float, k: float) -> None:
    found = fixed_band(sigma=sigma, target=target, gamma=gamma, fixed=fixed, k=k)
    priced = {"nu": sigma * target * (1 - target), "penalty": gamma * sigma**2, "fixed": fixed, "k": k}
    width, reset = found.half_width, found.reset
    assert 0 <= reset < width
    assert mean_cost(width, reset, **priced) == pytest.approx(found.cost, rel=1e-6)
    for near in np.linspace(0.9, 1.1, 9) * width:
        for end in np.linspace(0.0, 0.98, 25) * near:
            assert mean_cost(near, end, **priced) >= found.cost * (1 - 1e-6)
    assert (found.low, found.high) == (target - width, target + width)


@pytest.mark.parametrize("fixed", [1e-8, 1e-6, 1e-5])
@pytest.mark.parametrize("mu", [0.0, 0.04])
def test_of_a_real_weight_the_law_is_close(fixed: float, mu: float) -> None:
    """Exact costs with drift: the law's width and cost hold within D / (target (1 - target))."""
    law = fixed_band(**FIRST, fixed=fixed)

    def exact(width: float) -> float:
        rule = tracking_threshold(mu=mu, **FIRST, k=1e-12, width=width)
        return rule.tracking + fixed * rule.turnover / width

    share = law.half_width / 0.24
    assert exact(law.half_width) == pytest.approx(law.cost, rel=share)
    widths = law.half_width * np.linspace(0.5, 1.5, 101)
    assert min(widths, key=exact) == pytest.approx(law.half_width, rel=share + 0.01)


def test_each_cost_alone_is_its_law() -> None:
    alone = fixed_band(**FIRST, fixed=2e-6)
    assert alone.reset == 0
    assert alone.half_width == pytest.approx(fixed_half_width(**FIRST, fixed=2e-6))
    assert alone.half_width == pytest.approx((12 * 2e-6 * 0.0384**2 / 0.128) ** 0.25)
    other = fixed_band(**FIRST, fixed=0.0, k=1e-3)
    assert other.reset == other.half_width == pytest.approx(other.proportional_only, rel=1e-14)
    assert other.half_width == pytest.approx(laws.edge_half_width(**FIRST, k=1e-3))


@pytest.mark.parametrize(
    "wrong", [{"fixed": -1e-6}, {"fixed": 0.0}, {"sigma": 0.0}, {"target": 1.0}, {"fixed": float("nan")}]
)
def test_bad_numbers_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        fixed_band(**{**FIRST, "fixed": 1e-6, **wrong})


def riccati(
    s: np.ndarray, b: np.ndarray, phi: np.ndarray, gamma: float, cost: float, r: float
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate the value -x'Pxx x/2 + x'Pxf f + ... until it stands still; return the policy's two matrices.

    Each period: choose x to maximise (1-r) [x'Bf - gamma/2 x'Sx + V(x, (1-phi) f)] - cost/2 (x-y)'S(x-y).
    """
    n, f = b.shape
    pxx, pxf = np.zeros((n, n)), np.zeros((n, f))
    for _ in range(200_000):
        bend = (1 - r) * (gamma * s + pxx) + cost * s
        pull = (1 - r) * (b + pxf @ (np.eye(f) - phi))
        keep = np.linalg.solve(bend, cost * s)
        seek = np.linalg.solve(bend, pull)
        after = cost * s - cost * s @ keep, cost * s @ seek
        change = max(np.abs(after[0] - pxx).max(), np.abs(after[1] - pxf).max())
        pxx, pxf = after
        if change < 1e-18:
            break
    return keep, seek


@pytest.mark.parametrize("seed", range(4))
def test_partial_trades_are_those_of_a_riccati_iteration(seed: int) -> None:
    source = np.random.default_rng(seed)
    n, f = 3, 2
    root = source.normal(size=(n, n))
    s, b = root @ root.T * 1e-4 + 1e-4 * np.eye(n), source.normal(size=(n, f)) * 1e-3
    phi = np.array([[0.05, 0.01], [0.0, 0.3]]) if seed % 2 else np.diag([0.05, 0.3])
    gamma, cost, r = 0.01 * (seed + 1), 0.005, 1e-3 * seed
    x, signal = source.normal(size=n), source.normal(size=f)
    keep, seek = riccati(s, b, phi, gamma, cost, r)
    found = partial_trade(
        covariance=s, loadings=b, signals=signal, decay=phi if seed % 2 else [0.05, 0.3], position=x,
        gamma=gamma, lambda_=cost, r=r,
    )  # fmt: skip
    assert found.position == pytest.approx(keep @ x + seek @ signal, rel=1e-9)
    assert found.trade == pytest.approx(found.rate * (found.aim - x))


def test_partial_reference_case() -> None:
    found = partial_trade(
        covariance=4e-4,
        loadings=1e-3,
        signals=1.0,
        decay=0.05,
        position=0.0,
        gamma=0.01,
        lambda_=0.005,
        r=1e-4,
    )
    assert found.a == pytest.approx(0.00366015, abs=5e-9)
    assert found.rate == pytest.approx(0.73202967, abs=5e-9)
    assert found.aim[0] == pytest.approx(245.50704, abs=5e-6)
    assert found.markowitz[0] == pytest.approx(250)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"covariance": [[1.0, 0.0]]}, "N x N"),
        ({"decay": [0.1, 0.2, 0.3]}, "decay|broadcast"),
        ({"gamma": 0.0}, "gamma"),
        ({"r": 1.0}, "gamma and lambda_"),
        ({"covariance": [[1.0, 1.0], [1.0, 1.0]]}, "invertible"),
    ],
)
def test_partial_refusals(changed: dict[str, object], word: str) -> None:
    good = {
        "covariance": [[1.0, 0.1], [0.1, 1.0]], "loadings": [[1.0], [2.0]], "signals": [0.1], "decay": 0.1,
        "position": [0.0, 0.0], "gamma": 1.0, "lambda_": 1.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=word):
        partial_trade(**{**good, **changed})  # type: ignore[arg-type]
