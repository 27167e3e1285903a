"""Small-cost laws of tracking error and turnover: closed forms beside the exact solutions.

Sources: the cube-root law goes back to Constantinides (1986) and Rogers (2004); for tracking error Leland
(2000). The forms below are those of a Brownian deviation with volatility nu = sigma target (1 - target) a
year, cost a year of gamma sigma^2/2 x^2 and k a unit traded; K = k nu^2 / (gamma sigma^2):
    trade to the edge (1.5 K)^(1/3), half way (3.2 K)^(1/3), in full (6 K)^(1/3),
    calendar (2 k sqrt(2/pi) / (gamma sigma^2 nu))^(2/3) years,
and their best costs are as 1 : 1.0357 : 1.2599 : 1.5632, whatever the market.

Validity: with h the law's half-width, the exact edges are within h (h / (target (1 - target))) of it, and
costs within that share; at a tenth of target (1 - target) that is a tenth. Above a third do not use them.
"""

from __future__ import annotations

import math

import numpy as np


def deviation(*, sigma: float, target: float) -> float:
    """Return nu = sigma target (1 - target): how fast a weight runs from its target."""
    return sigma * target * (1 - target)


def half_width(*, sigma: float, target: float, gamma: float, k: float, reset: float) -> float:
    """Return the best half-width D when one trades to `reset` D: (6 K / ((1 + reset) (1 + reset^2)))^(1/3).

    Such a rule costs gamma sigma^2/12 (1 + reset^2) D^2 + k nu^2 / ((1 + reset) D) a year.
    """
    unit = k * deviation(sigma=sigma, target=target) ** 2 / (gamma * sigma**2)
    return float(np.cbrt(6 * unit / ((1 + reset) * (1 + reset**2))))


def edge_half_width(*, sigma: float, target: float, gamma: float, k: float) -> float:
    """Return the best half-width (1.5 K)^(1/3) of a band that is traded to its edge."""
    return half_width(sigma=sigma, target=target, gamma=gamma, k=k, reset=1.0)


def rule_cost(*, sigma: float, target: float, gamma: float, k: float, reset: float, width: float) -> float:
    """Return the small-cost cost a year of trading at `width` off, to `reset` of it (1: to the edge)."""
    nu = deviation(sigma=sigma, target=target)
    return gamma * sigma**2 / 12 * (1 + reset**2) * width**2 + k * nu**2 / ((1 + reset) * width)


def calendar_period(*, sigma: float, target: float, gamma: float, k: float) -> float:
    """Return the best time between trades to the target, in years."""
    nu = deviation(sigma=sigma, target=target)
    return math.pow(2 * k * math.sqrt(2 / math.pi) / (gamma * sigma**2 * nu), 2 / 3)


def calendar_cost(*, sigma: float, target: float, gamma: float, k: float, period: float) -> float:
    """Return the small-cost cost a year of trading to the target every `period` years."""
    nu = deviation(sigma=sigma, target=target)
    return 0.25 * gamma * (sigma * nu) ** 2 * period + k * nu * math.sqrt(2 / (math.pi * period))
