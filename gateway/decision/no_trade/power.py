"""Long-run growth with proportional costs: power and logarithmic utility, one risky asset, exact.

Source: Gerhold, Guasoni, Muhle-Karbe, Schachermayer, Transaction costs, trading volume, and the liquidity
premium, Finance and Stochastics 18 (2014), Theorem 2.2; gamma = 1 is Taksar, Klass, Assaf, A diffusion
model for optimal portfolio selection in the presence of brokerage fees, MOR 13 (1988).

The asset is bought at S and sold at (1 - epsilon) S. Their free boundary is a Riccati equation
    w' = F(w) = gamma pi_- pi_+ - (1 - gamma) w^2 - (2 mu/sigma^2 - 1) w,   from w = pi_- to w = pi_+
over a distance log(u/l). It is autonomous, so the distance is the integral of 1/F; and log(u/l) is the
integral of 1/(w(1-w)) less log(1 - epsilon). The difference of the two integrands is taken on paper:
    integral over |x| < h of gamma (h^2 - x^2) / (F(w) w(1-w)) dx = -log(1 - epsilon),  w = pi* + x,
    F(w) = w(1-w) - gamma (h^2 - x^2),  h = lambda / (gamma sigma^2) = half the distance of the edges.
One unknown, a monotone function, nothing subtracted: good to rounding for every gamma > 0, long,
leveraged (pi* > 1) and short (pi* < 0). With w(1-w) taken out of F it also shows the cube-root law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gateway.decision.no_trade.numeric import bisect, gauss

PANELS = 48


@dataclass(frozen=True, slots=True)
class PowerBand:
    """Say when to trade, and what it is worth; weights are fractions of wealth, rates are per year.

    Buy when the weight, valued at the ask S, falls to `buy`; sell when the weight, valued at the bid
    (1 - epsilon) S, rises to `sell`; between them do nothing. `merton` is the weight without costs and
    `gap` the paper's lambda. `share_turnover` is the long-run |shares traded| / shares held, and
    `wealth_turnover` the value traded / wealth, both a year.
    `cube_root` is the small-cost half-width beside (sell - buy) / 2.
    """

    merton: float
    buy: float
    sell: float
    gap: float
    equivalent_safe_rate: float
    liquidity_premium: float
    share_turnover: float
    wealth_turnover: float
    cube_root: float

    @property
    def half_width(self) -> float:
        """Return half the distance between the edges."""
        return 0.5 * (self.sell - self.buy)


def power_band(*, mu: float, sigma: float, gamma: float, epsilon: float, r: float = 0.0) -> PowerBand:
    """Return the no-trade band of an investor who maximises long-run power utility, exactly.

    `mu` excess return a year over the safe rate `r`, `sigma` volatility a year, `gamma` relative risk
    aversion (1 is logarithmic), `epsilon` relative bid-ask spread (0.01 = 1 %; twice a one-way cost).
    At pi* = 0 and pi* = 1 the best is to hold nothing, or the asset alone, and never to trade: both
    edges are there (the limit of either side). Raises ValueError when no band exists.
    """
    _check(mu, sigma, gamma, epsilon, r)
    variance = sigma**2
    merton = mu / (gamma * variance)
    width = _half_width(merton, gamma, epsilon)
    buy, sell = merton - width, merton + width
    gap = gamma * variance * width
    shares, wealth = _turnover(mu, variance, buy, sell, epsilon)
    return PowerBand(
        merton=merton,
        buy=buy,
        sell=sell,
        gap=gap,
        equivalent_safe_rate=r + (mu - gap) * (mu + gap) / (2 * gamma * variance),
        liquidity_premium=_premium(mu, gap),
        share_turnover=shares,
        wealth_turnover=wealth,
        cube_root=power_cube_root(merton=merton, gamma=gamma, epsilon=epsilon),
    )


def power_cube_root(*, merton: float, gamma: float, epsilon: float) -> float:
    """Return the small-cost half-width (3/(4 gamma) pi*^2 (1-pi*)^2 epsilon)^(1/3).

    Validity: with h this width and q = |pi* (1 - pi*)|, its relative error is below
    (1 + 4 q) (h/q)^2 + gamma h^2/q + epsilon while that is under a quarter. In the market of the paper
    (8 %, 16 %, gamma 5) it is 0.3 % at a spread of 10 bp, 1.1 % at 1 %; next to 0 or 1 it is of no use.
    """
    return float(np.cbrt(0.75 / gamma * (merton * (1 - merton)) ** 2 * epsilon))


def _check(mu: float, sigma: float, gamma: float, epsilon: float, r: float) -> None:
    if not all(math.isfinite(value) for value in (mu, sigma, gamma, epsilon, r)):
        raise ValueError("mu, sigma, gamma, epsilon and r must be finite numbers")
    if sigma <= 0:
        raise ValueError("sigma must be above 0: without risk there is no best weight")
    if gamma <= 0:
        raise ValueError("gamma must be above 0: it is the relative risk aversion, 1 for logarithmic utility")
    if not 0 <= epsilon < 1:
        raise ValueError("epsilon must be at least 0 and below 1: it is the spread, 0.01 for 1 %")


def _half_width(merton: float, gamma: float, epsilon: float) -> float:
    """Return h of the module's equation."""
    room = min(abs(merton), abs(1 - merton))
    if epsilon == 0 or room == 0:
        return 0.0
    wanted = -math.log1p(-epsilon)
    return bisect(lambda width: _spread(merton, gamma, width) - wanted, 0.0, room)


def _spread(merton: float, gamma: float, width: float) -> float:
    """Return -log(1 - epsilon) of the market whose edges are `width` away; infinite when there is none.

    The integral runs over log |w / (1 - w)|, where the edges may come as close to 0 or 1 as they like.
    """
    low, high = merton - width, merton + width
    rest_low, rest_high = (1 - merton) + width, (1 - merton) - width
    start, end = math.log(abs(low / rest_low)), math.log(abs(high / rest_high))
    nodes, weights = gauss(16)
    half = 0.5 * (end - start) / PANELS
    odds = np.exp(start + half * (2 * np.arange(PANELS)[:, None] + nodes + 1))
    if not 0 < merton < 1:
        odds = -odds
    weight, rest = odds / (1 + odds), 1 / (1 + odds)
    push = gamma * (width**2 - (weight - merton) ** 2)
    riccati = weight * rest - push
    if (riccati * np.sign(merton * (1 - merton))).min() <= 0:
        return math.inf
    return float((half * weights * push / riccati).sum())


def _premium(mu: float, gap: float) -> float:
    """Return |mu| - sqrt(mu^2 - gap^2): the excess return one would give up to trade without cost."""
    kept = math.sqrt((mu - gap) * (mu + gap))
    return gap**2 / (abs(mu) + kept) if mu else 0.0


def _turnover(mu: float, variance: float, buy: float, sell: float, epsilon: float) -> tuple[float, float]:
    """Return share and wealth turnover a year (the paper's Theorem 2.2, with its limit at mu = sigma^2/2)."""
    if epsilon == 0:
        return (math.inf, math.inf) if buy not in (0.0, 1.0) else (0.0, 0.0)
    if 0 in (buy, sell, 1 - buy, 1 - sell):
        return 0.0, 0.0
    distance = math.log(abs(sell * (1 - buy) / (buy * (1 - sell)))) - math.log1p(-epsilon)
    tilt = 2 * mu / variance - 1
    if abs(tilt * distance) < 1e-12:  # noqa: PLR2004 - the next term of the series is below rounding
        low = high = 1 / distance
    else:
        low, high = tilt / math.expm1(tilt * distance), -tilt / math.expm1(-tilt * distance)
    shares = 0.5 * variance * ((1 - buy) * low + (1 - sell) * high)
    wealth = 0.5 * variance * (buy * (1 - buy) * low + sell * (1 - sell) * high)
    return abs(shares), wealth
