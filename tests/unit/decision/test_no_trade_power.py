"""Long-run power utility: published market, a second method without Riccati or smooth fit, and the limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from no_trade_second import differentiation, highest

from gateway.decision.no_trade import power_band, power_cube_root

MARKET = {"mu": 0.08, "sigma": 0.16, "gamma": 5.0}


@pytest.mark.parametrize(
    ("epsilon", "buy", "sell", "rate"),
    [
        (0.01, 0.581942, 0.668058, 0.024881346),
        (0.001, 0.604852, 0.645148, 0.024974020),
        (0.0001, 0.615630, 0.634370, 0.024994381),
    ],
)
def test_reference_rows(epsilon: float, buy: float, sell: float, rate: float) -> None:
    found = power_band(**MARKET, epsilon=epsilon)
    assert found.merton == pytest.approx(0.625)
    assert found.buy == pytest.approx(buy, abs=6e-7)
    assert found.sell == pytest.approx(sell, abs=6e-7)
    assert found.equivalent_safe_rate == pytest.approx(rate, abs=6e-10)


@pytest.mark.parametrize(("epsilon", "share"), [(1e-4, 0.7428), (1e-3, 0.718), (1e-2, 0.627), (1e-9, 0.75)])
def test_premium_is_three_quarters_of_spread_times_turnover(epsilon: float, share: float) -> None:
    found = power_band(**MARKET, epsilon=epsilon)
    assert found.liquidity_premium / (epsilon * found.share_turnover) == pytest.approx(share, abs=5e-4)


def growth(mu: float, sigma: float, gamma: float, epsilon: float, buy: float, sell: float) -> float:
    """Return the long-run rate of keeping the weight, at the ask, between two edges: a principal eigenvalue.

    Wealth at the ask V and its weight w have generator L on V^p v(w), p = 1 - gamma; buying is free in V
    (v' = 0), selling loses the spread (p epsilon v + (1 - epsilon w) v' = 0). Logarithm: a linear equation.
    """
    w, d = differentiation(buy, sell)
    p, spread = 1 - gamma, w * (1 - w)
    operator = 0.5 * sigma**2 * spread[:, None] ** 2 * (d @ d)
    operator += (spread * (mu - sigma**2 * w + p * sigma**2 * w))[:, None] * d
    if p == 0:
        rows = np.hstack([operator, -np.ones((w.size, 1))])
        right = -(mu * w - 0.5 * sigma**2 * w**2)
        rows[0], right[0] = np.append(d[0], 0), 0.0
        rows[-1], right[-1] = np.append((1 - epsilon * w[-1]) * d[-1], 0), -epsilon
        rows = np.vstack([rows, np.eye(1, w.size + 1)])
        return float(np.linalg.solve(rows, np.append(right, 0.0))[-1])
    operator += np.diag(p * mu * w + 0.5 * p * (p - 1) * sigma**2 * w**2)
    ends = np.stack([d[0], (1 - epsilon * w[-1]) * d[-1]])
    ends[1, -1] += p * epsilon
    outer = -np.linalg.solve(ends[:, [0, -1]], ends[:, 1:-1])
    inner = operator[1:-1, 1:-1] + operator[1:-1, [0, -1]] @ outer
    return float(np.linalg.eigvals(inner).real.max()) / p


@pytest.mark.parametrize(
    ("mu", "sigma", "gamma", "epsilon"),
    [
        (0.08, 0.16, 5.0, 0.01),
        (0.08, 0.16, 5.0, 0.001),
        (0.05, 0.2, 2.5, 0.02),
        (0.02, 0.2, 0.7, 0.01),  # gamma below 1
        (0.02, 0.2, 1.0, 0.01),  # logarithm
        (0.0128, 0.16, 1.0, 0.01),  # logarithm at mu = sigma^2 / 2
        (0.08, 0.16, 1.5, 0.01),  # leverage
        (0.08, 0.16, 1.0, 0.005),  # leverage, logarithm
        (-0.03, 0.2, 3.0, 0.01),  # short
    ],
)
def test_second_method_agrees(mu: float, sigma: float, gamma: float, epsilon: float) -> None:
    """The best edges of the reflected weight's growth, with no Riccati equation and no smooth fit."""
    merton = mu / (gamma * sigma**2)
    width = power_cube_root(merton=merton, gamma=gamma, epsilon=epsilon)

    def at_ask(bid: float) -> float:
        odds = bid / (1 - bid) / (1 - epsilon)
        return odds / (1 + odds)

    def rate(edges: np.ndarray) -> float:
        return growth(mu, sigma, gamma, epsilon, edges[0], at_ask(edges[1]))

    best = highest(rate, np.array([merton - width, merton + width]), 0.05 * width)
    found = power_band(mu=mu, sigma=sigma, gamma=gamma, epsilon=epsilon)
    assert best == pytest.approx([found.buy, found.sell], abs=2e-5)
    assert rate(np.array([found.buy, found.sell])) == pytest.approx(found.equivalent_safe_rate, abs=1e-9)


@pytest.mark.parametrize(("mu", "gamma"), [(0.02, 1.0), (0.08, 1.5), (-0.03, 3.0), (0.0128, 1.0)])
def test_turnover_is_that_of_the_reflected_weight(mu: float, gamma: float) -> None:
    """Local time at the edges from the stationary density, by quadrature."""
    sigma, epsilon = 0.16, 0.01
    found = power_band(mu=mu, sigma=sigma, gamma=gamma, epsilon=epsilon)
    top = found.sell / (1 - found.sell) / (1 - epsilon)
    low, high = math.log(abs(found.buy / (1 - found.buy))), math.log(abs(top))
    y = np.linalg.norm([high - low]) * (np.polynomial.legendre.leggauss(80)[0] + 1) / 2 + min(low, high)
    share = np.polynomial.legendre.leggauss(80)[1] * abs(high - low) / 2
    tilt = 2 * mu / sigma**2 - 1
    mass = float((share * np.exp(tilt * (y - low))).sum())
    pushes = [0.5 * sigma**2 * math.exp(tilt * (edge - low)) / mass for edge in (low, high)]
    shares = sum(abs(1 - edge) * push for edge, push in zip((found.buy, found.sell), pushes, strict=True))
    assert found.share_turnover == pytest.approx(shares, rel=1e-9)


@settings(deadline=None)
@given(
    merton=st.one_of(st.floats(0.05, 0.95), st.floats(1.05, 4.0), st.floats(-3.0, -0.05)),
    gamma=st.floats(0.3, 20.0),
    epsilon=st.floats(1e-8, 0.3),
)
def test_the_cube_root_law_keeps_its_promise(merton: float, gamma: float, epsilon: float) -> None:
    sigma = 0.2
    found = power_band(mu=merton * gamma * sigma**2, sigma=sigma, gamma=gamma, epsilon=epsilon)
    assert found.buy < found.merton < found.sell
    assert (found.buy > 0) == (merton > 0)
    assert (found.buy < 1) == (merton < 1)
    assert (found.sell < 1) == (merton < 1)
    assert found.equivalent_safe_rate <= (merton * sigma) ** 2 * gamma / 2 + 1e-15
    size = abs(merton * (1 - merton))
    bound = (1 + 4 * size) * (found.cube_root / size) ** 2 + gamma * found.cube_root**2 / size + epsilon
    if bound < 0.25:
        assert abs(found.cube_root / found.half_width - 1) <= bound + 1e-12


@pytest.mark.parametrize("epsilon", [1e-3, 1e-2])
def test_the_law_is_close_in_the_market_of_the_paper(epsilon: float) -> None:
    found = power_band(**MARKET, epsilon=epsilon)
    assert abs(found.cube_root / found.half_width - 1) < (0.003 if epsilon < 0.01 else 0.015)


def test_without_costs_it_is_merton() -> None:
    found = power_band(**MARKET, epsilon=0.0, r=0.02)
    assert found.buy == found.sell == found.merton
    assert found.equivalent_safe_rate == pytest.approx(0.02 + 0.08**2 / (2 * 5 * 0.16**2))
    assert found.share_turnover == math.inf


def test_at_nothing_and_at_all_one_never_trades() -> None:
    for mu, weight in ((0.0, 0.0), (0.0625, 1.0)):
        for epsilon in (0.0, 0.01):
            found = power_band(mu=mu, sigma=0.25, gamma=1.0, epsilon=epsilon)
            assert (found.buy, found.sell) == (weight, weight)
            assert found.share_turnover == found.wealth_turnover == found.liquidity_premium == 0
            assert found.equivalent_safe_rate == pytest.approx(mu / 2)


def test_next_to_all_the_edge_ends_at_one() -> None:
    """The lower edge of a Merton weight of 1.00001 differs from 1 by less than a float can say."""
    found = power_band(mu=0.02 * 5 * 1.00001, sigma=math.sqrt(0.02), gamma=5.0, epsilon=0.3)
    assert found.buy == pytest.approx(1.0, abs=1e-12)
    assert found.sell == pytest.approx(1.00002, abs=1e-9)
    assert found.share_turnover == 0


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"sigma": 0.0}, "sigma"),
        ({"gamma": 0.0}, "gamma"),
        ({"epsilon": 1.0}, "epsilon"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"mu": math.nan}, "finite"),
    ],
)
def test_bad_numbers_are_named(wrong: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        power_band(**{**MARKET, "epsilon": 0.01, **wrong})
