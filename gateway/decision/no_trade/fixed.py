"""Fixed costs, alone or with proportional ones: trade rarely, then to a point inside the band.

Sources: the fourth-root law of fixed costs: Morton, Pliska (1995), Korn (1998), Altarovici, Muhle-Karbe,
Soner, Asymptotics for fixed transaction costs, F&S 19 (2015). Both costs: impulse control of a Brownian
deviation (Constantinides, Richard, Operations Research 26, 1978); the algebra below is ours.

The deviation x has volatility nu a year and costs G/2 x^2 a year; a trade of s costs F + k s. The value's
slope is V'(x) = -c (x^3 - a x), c = G / (3 nu^2); a trade goes from D to R < D with V' = k at both and
V(D) - V(R) = F + k (D - R). So x^3 - a x + k/c has the roots R, D, -(R + D), and with M = (R + D)/2 and
h = D - R
    F = c M h^3 / 2,   k = 2 c M (M^2 - h^2/4):
eliminating h leaves one monotone equation for M. Exact for a Brownian deviation; of a real weight it is the
small-cost law: within about D / (target (1 - target)) of itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gateway.decision.no_trade.laws import deviation
from gateway.decision.no_trade.numeric import bisect


@dataclass(frozen=True, slots=True)
class FixedBand:
    """Say when to trade and how far; weights are fractions of NAV, `cost` is a year.

    Trade when the weight is `half_width` off its target, to `reset` off on the same side (0 is the
    target: then costs are fixed only). `low` and `high` are the edges. `cost` is what tracking and
    trading take a year together. `fixed_only` is the half-width that the fixed cost alone would give
    (fourth root), `proportional_only` that of the proportional cost alone (cube root).
    """

    half_width: float
    reset: float
    low: float
    high: float
    cost: float
    fixed_only: float
    proportional_only: float


def fixed_band(*, sigma: float, target: float, gamma: float, fixed: float, k: float = 0.0) -> FixedBand:
    """Return the band of one asset whose every trade costs `fixed` and `k` of what is traded.

    `fixed` is a fraction of NAV (5 dollars of 100,000 are 0.00005), `k` a one-way fraction; either may
    be 0, not both. `sigma` a year, `target` above 0 and below 1, `gamma` the risk aversion.
    """
    if not all(math.isfinite(value) for value in (sigma, target, gamma, fixed, k)):
        raise ValueError("sigma, target, gamma, fixed and k must be finite numbers")
    if not 0 < target < 1:
        raise ValueError("target must be above 0 and below 1: at the ends a weight does not drift")
    if min(sigma, gamma) <= 0 or min(fixed, k) < 0 or fixed + k == 0:
        raise ValueError("sigma and gamma must be above 0, fixed and k not below 0, and not both 0")
    nu = deviation(sigma=sigma, target=target)
    curve = gamma * sigma**2 / (3 * nu**2)
    reset, width = _impulse(curve, fixed, k)
    return FixedBand(
        half_width=width,
        reset=reset,
        low=target - width,
        high=target + width,
        cost=gamma * sigma**2 / 6 * (reset**2 + reset * width + width**2),
        fixed_only=fixed_half_width(sigma=sigma, target=target, gamma=gamma, fixed=fixed),
        proportional_only=float(np.cbrt(k / (2 * curve))),
    )


def fixed_half_width(*, sigma: float, target: float, gamma: float, fixed: float) -> float:
    """Return the fourth-root law (12 F nu^2 / (gamma sigma^2))^(1/4), for trades back to the target."""
    nu = deviation(sigma=sigma, target=target)
    return float((12 * fixed * nu**2 / (gamma * sigma**2)) ** 0.25)


def _impulse(curve: float, fixed: float, k: float) -> tuple[float, float]:
    """Return where a trade goes to and where it starts, R and D."""
    alone = (4 * fixed / curve) ** 0.25
    if k == 0:
        return 0.0, alone
    jump, wanted = (2 * fixed / curve) ** (2 / 3) / 4, k / (2 * curve)
    middle = bisect(
        lambda m: m**3 - jump * float(np.cbrt(m)) - wanted, 0.5 * alone, alone + float(np.cbrt(wanted))
    )
    half = 0.5 * float(np.cbrt(2 * fixed / (curve * middle)))
    return max(middle - half, 0.0), middle + half
