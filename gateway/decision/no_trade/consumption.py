"""Lifetime consumption with proportional costs: the no-trade wedge of Davis and Norman, exact.

Sources: Davis, Norman, Portfolio selection with transaction costs, MOR 15 (1990); Shreve, Soner, Optimal
investment and consumption with transaction costs, AAP 4 (1994); small-cost law: Janecek, Shreve, Asymptotic
analysis for optimal investment and consumption with transaction costs, F&S 8 (2004).

With p the risky weight at the middle price, k = 1 - gamma and value v0 exp(k u(p)) wealth^k / k, exp(u) is
the part of wealth that costs leave. v0, c0 and p* are Merton's value, consumption rate and weight. Then
    sigma^2/2 q^2 (u'' + k u'^2) - gamma sigma^2 q (p-p*) u' - gamma sigma^2/2 (p-p*)^2
        + (gamma c0/k) expm1(-(k/gamma) (u + log(1 - p u'))) = 0,      q = p (1-p),
u' = buy/(1 + buy p) at the lower edge, u' = -sell/(1 - sell p) at the upper, u'' = -u'^2 at both (smooth
fit). Nothing large is subtracted, and k = 0 is the logarithm by continuity. Solved on Chebyshev points with
the two edges as unknowns, by Newton, from small costs upwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.numeric import Array, chebyshev, newton

Complex = npt.NDArray[np.complex128]
DEGREE = 32
FIRST = (1e-5, 1e-7, 1e-9)
"""Costs to start the continuation from: there the small-cost law is close enough for Newton."""
LEAST_GROWTH = 1.01
ACCURACY = 1e-6
REFINEMENTS = 6
NEXT_TO_ONE = 1e-3
REFUSAL = (
    "no accurate band was found: the costs are too large for this market, or its Merton weight is next to 1"
)


@dataclass(frozen=True, slots=True)
class ConsumptionBand:
    """Say when to trade, and what costs take; weights are fractions of wealth at the middle price.

    Buy when the weight falls to `buy`, sell when it rises to `sell`. `value_ratio` is the value with costs
    over the value without at the Merton weight (above 1 for gamma > 1, where values are negative; 1 for
    gamma = 1, where they differ by a term: see `wealth_kept`). `wealth_kept` is the part of wealth that
    would do as well without costs, at the Merton weight. `cube_root` is the small-cost half-width.
    `consumption_buy` and `consumption_sell` are the consumption rates at the edges, a year, of wealth.
    """

    merton: float
    buy: float
    sell: float
    value_ratio: float
    wealth_kept: float
    consumption_buy: float
    consumption_sell: float
    cube_root: float


@dataclass(frozen=True, slots=True)
class Market:
    """Hold the numbers of the equation; `thrift` is Merton's consumption rate c0."""

    variance: float
    gamma: float
    merton: float
    thrift: float
    buy_cost: float
    sell_cost: float

    def scaled(self, share: float) -> Market:
        """Return the same market at a part of its costs."""
        costs = (self.buy_cost * share, self.sell_cost * share)
        return Market(self.variance, self.gamma, self.merton, self.thrift, *costs)


def consumption_band(
    *, delta: float, r: float, alpha: float, sigma: float, gamma: float, buy_cost: float, sell_cost: float
) -> ConsumptionBand:
    """Return the no-trade band of an investor who lives on the portfolio for ever (power utility).

    `delta` discount rate, `r` safe rate, `alpha` drift of the asset, `sigma` its volatility, all a year;
    `gamma` relative risk aversion (1 is logarithmic); buying pays (1 + buy_cost) and selling brings
    (1 - sell_cost) of the middle price. Raises ValueError when the problem has no finite value, when the
    Merton weight is not above 0, and when two resolutions disagree on an edge by more than 1e-6.
    """
    market = _market(delta, r, alpha, sigma, gamma, buy_cost, sell_cost)
    if buy_cost + sell_cost == 0:
        rate, merton = market.thrift, market.merton
        return ConsumptionBand(merton, merton, merton, 1.0, 1.0, rate, rate, 0.0)
    found = _refined(market, _solve(market))
    u, buy, sell = found[:-2], float(found[-2]), float(found[-1])
    points, matrix = chebyshev(u.size - 1)
    steep = matrix @ u * (2 / (sell - buy))
    weight = buy + 0.5 * (sell - buy) * (points + 1)
    rates = market.thrift * np.exp(-(u * (1 - gamma) + np.log1p(-weight * steep)) / gamma)
    kept = _at_merton(market, u, buy, sell)
    return ConsumptionBand(
        merton=market.merton,
        buy=buy,
        sell=sell,
        value_ratio=math.exp((1 - gamma) * kept),
        wealth_kept=math.exp(kept),
        consumption_buy=float(rates[0]),
        consumption_sell=float(rates[-1]),
        cube_root=consumption_cube_root(merton=market.merton, gamma=gamma, cost=0.5 * (buy_cost + sell_cost)),
    )


def _at_merton(market: Market, u: Array, buy: float, sell: float) -> float:
    """Return u at the Merton weight; it may lie above the sell edge, then one sells to the edge first."""
    points, _ = chebyshev(u.size - 1)
    p, down = market.merton, market.sell_cost
    if p > sell:
        return float(u[-1]) + math.log((1 - down * p) / (1 - down * sell))
    return float(_interpolate(points, u, np.array([2 * (p - buy) / (sell - buy) - 1]))[0])


def consumption_cube_root(*, merton: float, gamma: float, cost: float) -> float:
    """Return the small-cost half-width (3/(2 gamma) p*^2 (1-p*)^2 cost)^(1/3), `cost` one way.

    Validity: half the distance of the edges is within 1 % of it for costs up to 50 bp in the market of the
    tests (Merton weight 1/3); but both edges move down, by a tenth of it at 5 bp and a fifth at 50 bp, and
    more next to a Merton weight of 1. Do not take edges from it above 5 bp.
    """
    return float(np.cbrt(1.5 / gamma * (merton * (1 - merton)) ** 2 * cost))


def _market(
    delta: float, r: float, alpha: float, sigma: float, gamma: float, buy_cost: float, sell_cost: float
) -> Market:
    if not all(math.isfinite(value) for value in (delta, r, alpha, sigma, gamma, buy_cost, sell_cost)):
        raise ValueError("delta, r, alpha, sigma, gamma, buy_cost and sell_cost must be finite numbers")
    if sigma <= 0:
        raise ValueError("sigma must be above 0: without risk there is no best weight")
    if gamma <= 0:
        raise ValueError("gamma must be above 0: it is the relative risk aversion, 1 for logarithmic utility")
    if not (buy_cost >= 0 and 0 <= sell_cost < 1):
        raise ValueError("buy_cost must be at least 0, and sell_cost at least 0 and below 1")
    variance, k = sigma**2, 1 - gamma
    merton = (alpha - r) / (gamma * variance)
    thrift = (delta - k * (r + (alpha - r) ** 2 / (2 * gamma * variance))) / gamma
    if thrift <= 0:
        raise ValueError(
            "delta is too small: the value without costs is infinite (c0 <= 0); raise delta or gamma"
        )
    if merton <= 0 or sell_cost * merton >= 1 or abs(merton - 1) < NEXT_TO_ONE:
        raise ValueError(
            f"alpha, r, sigma and gamma give a Merton weight of {merton:.6g}: it must be above 0, "
            "not 1 (within 0.001), and with debts its sale must pay for them"
        )
    return Market(variance, gamma, merton, thrift, buy_cost, sell_cost)


def _solve(market: Market) -> Array:
    """Return u on the Chebyshev points and the two edges, by continuation in the size of the costs.

    Next to a Merton weight of 1 the law holds for very small costs only: the start is made smaller then.
    """
    cost = 0.5 * (market.buy_cost + market.sell_cost)
    for first in FIRST:
        share = min(1.0, first / cost)
        found = _root(market.scaled(share), _first(market.scaled(share)))
        if found is not None and (grown := _grown(market, found, share)) is not None:
            return grown
    raise ValueError(REFUSAL)


def _grown(market: Market, found: Array, share: float) -> Array | None:
    """Follow a solution from a part of the costs to all of them; None when it is lost on the way."""
    growth = 4.0
    while share < 1:
        grown = min(1.0, share * growth)
        tried = _root(market.scaled(grown), _wider(market, found, grown / share))
        if tried is not None and 0 < tried[-2] < tried[-1]:
            found, share = tried, grown
        elif growth < LEAST_GROWTH:
            return None
        else:
            growth = math.sqrt(growth)
    return found


def _root(market: Market, start: Array) -> Array | None:
    return newton(lambda unknown: _residual(market, unknown), start)


def _wider(market: Market, found: Array, growth: float) -> Array:
    """Guess the solution at grown costs: edges move by the cube root, u by its square."""
    edges = market.merton + (found[-2:] - market.merton) * growth ** (1 / 3)
    highest = math.inf if found[-1] >= 1 else 0.5 * (1 + found[-1])
    return np.append(found[:-2] * growth ** (2 / 3), np.clip(edges, 0.5 * found[-2], highest))


def _refined(market: Market, found: Array) -> Array:
    """Solve on ever more points until the edges stand still; ValueError when they do not."""
    for _ in range(REFINEMENTS):
        points, _ = chebyshev(found.size - 3)
        finer, _ = chebyshev(3 * (found.size - 3) // 2)
        start = np.append(_interpolate(points, found[:-2], finer), found[-2:])
        refined = _root(market, start)
        if refined is None:
            break
        if np.abs(refined[-2:] - found[-2:]).max() < ACCURACY:
            return refined
        found = refined
    raise ValueError(REFUSAL)


def _first(market: Market) -> Array:
    """Return the small-cost solution: edges by the cube root, u' a cubic between the two costs."""
    cost = 0.5 * (market.buy_cost + market.sell_cost)
    width = consumption_cube_root(merton=market.merton, gamma=market.gamma, cost=cost)
    points, _ = chebyshev(DEGREE)
    level = -market.gamma * market.variance * width**2 / (2 * market.thrift)
    bend = cost * width * (points**4 / 8 - 0.75 * points**2)
    return np.append(level + bend, [market.merton - width, market.merton + width])


def _residual(market: Market, unknown: Complex) -> Complex:
    """Return how far u and the edges are from the equation, the two costs and the smooth fit."""
    points, matrix = chebyshev(unknown.size - 3)
    u, buy, sell = unknown[:-2], unknown[-2], unknown[-1]
    half = 0.5 * (sell - buy)
    p = buy + half * (points + 1)
    slope = matrix @ u / half
    bend = matrix @ (matrix @ u) / half**2
    ends = np.array([0, -1])
    down = -market.sell_cost / (1 - market.sell_cost * sell)
    asked = np.array([market.buy_cost / (1 + market.buy_cost * buy), down])
    missed = slope[ends] - asked
    slope[ends], bend[ends] = asked, -(asked**2)
    variance, gamma, k = market.variance, market.gamma, 1 - market.gamma
    q, off = p * (1 - p), p - market.merton
    kept = u + np.log1p(-p * slope)
    spent = -kept if k == 0 else gamma / k * np.expm1(-k / gamma * kept)
    drift = 0.5 * variance * q**2 * (bend + k * slope**2) - gamma * variance * q * off * slope
    equation = drift - 0.5 * gamma * variance * off**2 + market.thrift * spent
    return np.append(equation / (gamma * variance), missed)


def _interpolate(points: Array, values: Array, at: Array) -> Array:
    """Return the polynomial through values on Chebyshev points, by barycentric weights."""
    weights = (-1.0) ** np.arange(points.size)
    weights[[0, -1]] *= 0.5
    apart = at[:, None] - points
    hit = apart == 0
    share = weights / np.where(hit, 1.0, apart)
    result = (share @ values) / share.sum(axis=1)
    return np.asarray(np.where(hit.any(axis=1), values[hit.argmax(axis=1)], result))
