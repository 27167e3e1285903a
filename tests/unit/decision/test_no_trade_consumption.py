"""The consumption problem: reference rows, a second method without smooth fit, limits, refusals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from no_trade_second import differentiation, highest

from gateway.decision.no_trade import ConsumptionBand, consumption, consumption_band, consumption_cube_root

FIRST = {"delta": 0.1, "r": 0.04, "alpha": 0.1, "sigma": 0.3, "gamma": 2.0}


def band(cost: float, **changed: float) -> ConsumptionBand:
    return consumption_band(**{**FIRST, "buy_cost": cost, "sell_cost": cost, **changed})


@pytest.mark.parametrize(
    ("cost", "buy", "sell", "ratio"),
    [(0.005, 0.264543, 0.378812, 1.00407776), (0.0005, 0.304261, 0.357205, 1.00084780)],
)
def test_reference_rows(cost: float, buy: float, sell: float, ratio: float) -> None:
    found = band(cost)
    assert found.merton == pytest.approx(1 / 3)
    assert found.buy == pytest.approx(buy, abs=1e-6)
    assert found.sell == pytest.approx(sell, abs=1e-6)
    assert found.value_ratio == pytest.approx(ratio, abs=6e-9)
    assert found.wealth_kept == pytest.approx(1 / ratio, abs=6e-9)


def policy_value(
    edges: np.ndarray,
    at: float,
    *,
    delta: float,
    r: float,
    alpha: float,
    sigma: float,
    gamma: float,
    buy_cost: float,
    sell_cost: float,
) -> float:
    """Return the value of keeping the weight between two edges and consuming best, over the value at no cost.

    The equation in v itself (wealth^k v / k), with the two slopes that trading at the edges implies and
    nothing else; Newton on Chebyshev points.
    """
    k = 1 - gamma
    p, d = differentiation(edges[0], edges[1])
    q = p * (1 - p)
    free = ((delta - k * (r + (alpha - r) ** 2 / (2 * gamma * sigma**2))) / gamma) ** -gamma
    linear = (
        0.5 * sigma**2 * q[:, None] ** 2 * (d @ d) + (q * (alpha - r - gamma * sigma**2 * p))[:, None] * d
    )
    linear += np.diag(k * r + k * (alpha - r) * p - 0.5 * k * gamma * sigma**2 * p**2 - delta)
    marginal = np.eye(p.size) - p[:, None] * d / k
    ends = np.stack([d[0] * (1 + buy_cost * p[0]), d[-1] * (1 - sell_cost * p[-1])])
    ends[0, 0] -= k * buy_cost
    ends[1, -1] += k * sell_cost
    v = np.full(p.size, free)
    for _ in range(50):
        m = marginal @ v
        left = linear @ v + gamma * m ** (-k / gamma)
        slopes = linear - (k * m ** (-k / gamma - 1))[:, None] * marginal
        left[[0, -1]], slopes[[0, -1]] = ends @ v, ends
        move = np.linalg.solve(slopes, left)
        v = v - move
        if np.abs(move).max() < 1e-14 * np.abs(v).max():
            break
    coefficients = np.linalg.solve(
        np.polynomial.chebyshev.chebvander(2 * (p - edges[0]) / (edges[1] - edges[0]) - 1, p.size - 1),
        v / free,
    )
    return float(
        np.polynomial.chebyshev.chebval(2 * (at - edges[0]) / (edges[1] - edges[0]) - 1, coefficients)
    )


@pytest.mark.parametrize(
    "market",
    [
        {**FIRST, "buy_cost": 0.005, "sell_cost": 0.005},
        {**FIRST, "buy_cost": 0.0005, "sell_cost": 0.0005},
        {**FIRST, "buy_cost": 0.01, "sell_cost": 0.03},
        {**FIRST, "gamma": 0.6, "alpha": 0.07, "buy_cost": 0.01, "sell_cost": 0.01},
        {**FIRST, "gamma": 6.0, "alpha": 0.3, "buy_cost": 0.02, "sell_cost": 0.0},
        {**FIRST, "alpha": 0.04 + 0.18 * 1.5, "buy_cost": 0.001, "sell_cost": 0.001},  # leverage
    ],
)
def test_second_method_agrees(market: dict[str, float]) -> None:
    """The best of all pairs of edges, none of which is told about smooth fit."""
    found = consumption_band(**market)
    width = 0.5 * (found.sell - found.buy)
    middle = found.buy + width
    sign = math.copysign(1.0, 1 - market["gamma"])
    off = np.array([0.12, -0.1]) * width
    best = highest(
        lambda edges: sign * policy_value(edges, middle, **market),
        np.array([found.buy, found.sell]) + off,
        0.05 * width,
    )
    assert best == pytest.approx([found.buy, found.sell], abs=2e-5)
    if found.buy < found.merton < found.sell:
        value = policy_value(np.array([found.buy, found.sell]), found.merton, **market)
        assert value == pytest.approx(found.value_ratio, abs=1e-9)


def test_the_logarithm_lies_between_its_neighbours() -> None:
    below, log, above = (band(0.01, gamma=gamma, alpha=0.07) for gamma in (0.999, 1.0, 1.001))
    for name in ("buy", "sell", "wealth_kept", "consumption_buy"):
        ends = sorted([getattr(below, name), getattr(above, name)])
        assert ends[0] < getattr(log, name) < ends[1]
        assert getattr(log, name) == pytest.approx(sum(ends) / 2, abs=1e-6)
    assert log.value_ratio == 1.0


def test_logarithm_consumes_delta_of_what_can_be_cashed_on_average() -> None:
    """V_x of a logarithmic investor: consumption is delta (1 + cost p) at the buy edge, less at the other."""
    found = band(0.02, gamma=1.0, alpha=0.07)
    assert found.consumption_buy == pytest.approx(0.1 * (1 + 0.02 * found.buy), rel=1e-9)
    assert found.consumption_sell == pytest.approx(0.1 * (1 - 0.02 * found.sell), rel=1e-9)


def test_small_costs_reach_the_law_and_edges_shift_down() -> None:
    widths = []
    for cost in (1e-8, 1e-6, 1e-4):
        found = band(cost)
        widths.append((found.sell - found.buy) / 2 / found.cube_root)
        assert found.merton - found.buy > found.sell - found.merton
    assert widths[0] == pytest.approx(1, abs=1e-4)
    assert abs(widths[0] - 1) < abs(widths[1] - 1) < abs(widths[2] - 1)
    assert consumption_cube_root(merton=1 / 3, gamma=2, cost=0.005) == pytest.approx(0.0570, abs=1e-4)


@pytest.mark.parametrize(("cost", "shift"), [(0.0005, 0.1), (0.005, 0.205)])
def test_the_law_knows_the_width_and_not_the_shift(cost: float, shift: float) -> None:
    found = band(cost)
    assert 0.5 * (found.sell - found.buy) == pytest.approx(found.cube_root, rel=0.01)
    assert (found.merton - 0.5 * (found.buy + found.sell)) / found.cube_root == pytest.approx(
        shift, abs=0.005
    )


def test_costs_only_widen_and_only_take() -> None:
    found = [band(cost) for cost in (0.0, 1e-4, 1e-3, 1e-2, 1e-1)]
    assert found[0].buy == found[0].sell == found[0].merton
    assert found[0].wealth_kept == found[0].value_ratio == 1
    for less, more in pairwise(found):
        assert more.buy < less.buy
        assert more.sell > less.sell
        assert more.wealth_kept < less.wealth_kept


def leveraged(merton: float, cost: float) -> ConsumptionBand:
    return band(cost, alpha=0.04 + 0.08 * merton, sigma=0.2)


def test_beyond_the_sell_edge_the_value_is_that_of_selling_to_it() -> None:
    """Large costs push both edges down, the upper one below the Merton weight; the value knows no kink."""
    below, above = leveraged(1.2, 0.049), leveraged(1.2, 0.051)
    found = leveraged(1.2, 0.05)
    assert found.sell < found.merton
    assert found.wealth_kept == pytest.approx(0.5 * (below.wealth_kept + above.wealth_kept), abs=1e-5)
    market = {**FIRST, "alpha": 0.04 + 0.08 * 1.2, "sigma": 0.2, "buy_cost": 0.05, "sell_cost": 0.05}
    at_edge = policy_value(np.array([found.buy, found.sell]), found.sell, **market)
    sold = ((1 - 0.05 * 1.2) / (1 - 0.05 * found.sell)) ** (1 - market["gamma"])
    assert found.value_ratio == pytest.approx(at_edge * sold, rel=1e-6)


def test_edges_on_both_sides_of_one_are_refined_until_they_stand_still() -> None:
    found = leveraged(1.1, 0.001)
    assert 1 < found.buy < found.sell < found.merton + 0.01


@pytest.mark.parametrize(
    ("market", "buy", "sell", "ratio"),
    [
        ((0.101, 0.002, 0.05, 0.256, 0.5, 0.01), 0.98104, 1.50691, 0.99252558),  # a layer below the sell edge
        ((0.103, 0.057, 0.126, 0.311, 0.5, 0.02), 0.98175, 1.49448, 0.98480361),
        ((0.199, 0.0098, 0.0176, 0.1617, 0.5, 0.0095), 0.09820, 0.60222, 0.99716189),
        ((0.076, 0.027, 0.125, 0.22, 2.0, 0.05), 0.65329, 1.01182, 1.05331895),  # next to 1
    ],
)
def test_hard_corners_against_finite_differences(
    market: tuple[float, ...], buy: float, sell: float, ratio: float
) -> None:
    """Edges and values of an upwind scheme on 16,000 points by policy iteration; its step is 7e-5."""
    words = ("delta", "r", "alpha", "sigma", "gamma", "buy_cost")
    found = consumption_band(**dict(zip(words, market, strict=True)), sell_cost=market[-1])
    assert found.buy == pytest.approx(buy, abs=7e-5)
    assert found.sell == pytest.approx(sell, abs=7e-5)
    assert found.value_ratio == pytest.approx(ratio, abs=2e-7)


def test_what_does_not_stand_still_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumption, "REFINEMENTS", 1)
    with pytest.raises(ValueError, match="no accurate band"):
        leveraged(1.1, 0.001)


def test_what_has_no_solution_on_more_points_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = consumption._root

    def coarse(market: consumption.Market, start: np.ndarray) -> np.ndarray | None:
        return solve(market, start) if start.size < 40 else None

    monkeypatch.setattr(consumption, "_root", coarse)
    with pytest.raises(ValueError, match="no accurate band"):
        band(0.005)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"sigma": 0.0}, "sigma"),
        ({"gamma": -1.0}, "gamma"),
        ({"buy_cost": -0.1}, "buy_cost"),
        ({"sell_cost": 1.0}, "sell_cost"),
        ({"delta": math.inf}, "finite"),
        ({"delta": 0.0, "gamma": 0.3}, "delta"),
        ({"alpha": 0.04}, "Merton weight of 0"),
        ({"alpha": 0.22}, "Merton weight of 1"),
        ({"gamma": 1.0, "alpha": 0.042, "buy_cost": 0.1, "sell_cost": 0.1}, "accurate"),
    ],
)
def test_bad_numbers_are_named(changed: dict[str, float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        band(0.01, **changed)
