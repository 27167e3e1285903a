"""Tracking error and turnover of one asset against a target weight, exact: band, threshold, calendar.

Source: H. Leland, Optimal portfolio implementation with transactions costs and capital gains taxes (2000),
for the objective and the band; the solution below is ours, of one dimension and with the drift kept.

Cost a year = E[gamma/2 sigma^2 (w - target)^2] + k E|weight traded|. Between trades y = log(w/(1-w)) is a
Brownian motion with drift b = mu - sigma^2/2, so a reflected weight has a density proportional to
exp(2 b y / sigma^2), a weight between two thresholds has Green's function in closed form, and after a time
T it is lognormal odds. The integrals that are left are of smooth functions, by Gauss.

Rules: `mu` is the asset's drift over that of the rest of the portfolio; the target is above 0 and below 1;
`k` is the one-way cost as a fraction of what is traded; weights are fractions of NAV, rates per year. A
drift of mu up to eight times sigma^2 is solved at ordinary costs; what is not found is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from gateway.decision.no_trade import laws
from gateway.decision.no_trade.numeric import Array, bisect, gauss, newton, slope

NODES = 64
LEAST_GROWTH = 1.001
NEVER = "no rule was found: k is too large to be paid back at this target, or mu is far above sigma^2"


@dataclass(frozen=True, slots=True)
class Rule:
    """Say what a rule does and what it costs a year (fractions of NAV).

    The weight is let run from `low` to `high`; at an edge one trades to `low_reset` or `high_reset`
    (the edge itself for the band, the target for a threshold traded in full). `period` is the time
    between trades in years of a calendar, which has no edges (all four are the target). `cost` is
    `tracking` (half gamma times variance) plus k times `turnover` (one way).
    `small_cost` is the law's half-width, of a calendar its period.
    """

    low: float
    high: float
    low_reset: float
    high_reset: float
    period: float
    cost: float
    tracking: float
    turnover: float
    small_cost: float


@dataclass(frozen=True, slots=True)
class World:
    """Hold the numbers of one asset and the target of it."""

    mu: float
    sigma: float
    target: float
    gamma: float
    k: float

    def __post_init__(self) -> None:
        numbers = (self.mu, self.sigma, self.target, self.gamma, self.k)
        if not all(math.isfinite(value) for value in numbers):
            raise ValueError("mu, sigma, target, gamma and k must be finite numbers")
        if not 0 < self.target < 1:
            raise ValueError("target must be above 0 and below 1: at the ends a weight does not drift")
        if min(self.sigma, self.gamma, self.k) <= 0:
            raise ValueError("sigma, gamma and k must be above 0: without risk or cost there is no band")

    @property
    def centre(self) -> float:
        """Return log(w/(1-w)) of the target."""
        return math.log(self.target / (1 - self.target))

    @property
    def tilt(self) -> float:
        """Return 2 b / sigma^2, the exponent of the density."""
        return 2 * self.mu / self.sigma**2 - 1

    @property
    def never(self) -> float:
        """Return the cost a year, in the long run, of not trading at all: the weight goes to 0 or to 1."""
        lost = self.target if self.tilt < 0 else 1 - self.target
        return 0.5 * self.gamma * (self.sigma * lost) ** 2

    def miss(self, y: Any) -> Any:
        """Return gamma/2 sigma^2 (w - target)^2 at log odds y."""
        return 0.5 * self.gamma * self.sigma**2 * (_weight(y) - self.target) ** 2


def tracking_band(*, mu: float, sigma: float, target: float, gamma: float, k: float) -> Rule:
    """Return the cheapest of all rules: let the weight run between two edges, trade to the edge."""
    world = World(mu, sigma, target, gamma, k)
    law = laws.edge_half_width(sigma=sigma, target=target, gamma=gamma, k=k)
    found = _band(world, _edges(world, law), law)
    if found.cost >= world.never * (1 - 1e-9):
        raise ValueError(NEVER)
    return found


def tracking_threshold(
    *,
    mu: float,
    sigma: float,
    target: float,
    gamma: float,
    k: float,
    reset: float = 0.0,
    width: float | None = None,
) -> Rule:
    """Return the rule that trades when the weight is `width` off, to `reset` times that distance.

    `reset` 0 trades to the target (full), 0.5 half way; it is at least 0 and below 1. Without `width`
    the cheapest is found. Raises ValueError when a threshold is not between 0 and 1.
    """
    world = World(mu, sigma, target, gamma, k)
    room = min(target, 1 - target)
    if not 0 <= reset < 1:
        raise ValueError("reset must be at least 0 (to the target) and below 1 (the edge: use tracking_band)")
    if width is not None and not 0 < width < room:
        raise ValueError(f"width must be above 0 and below {room:.6g}, where the weight would be 0 or 1")
    law = laws.half_width(sigma=sigma, target=target, gamma=gamma, k=k, reset=reset)
    if width is None:
        width = _first_minimum(lambda d: _threshold(world, d, reset)[0], min(law, room) / 50, room)
    cost, tracking, turnover = (float(part.real) for part in _threshold(world, complex(width), reset))
    low, high = target - width, target + width
    return Rule(low, high, target - reset * width, target + reset * width, 0.0, cost, tracking, turnover, law)


def tracking_calendar(
    *, mu: float, sigma: float, target: float, gamma: float, k: float, period: float | None = None
) -> Rule:
    """Return the rule that trades to the target every `period` years; without it the cheapest is found."""
    world = World(mu, sigma, target, gamma, k)
    if period is not None and not 0 < period < math.inf:
        raise ValueError("period must be above 0: it is in years, 1/12 for monthly")
    law = laws.calendar_period(sigma=sigma, target=target, gamma=gamma, k=k)
    if period is None:
        period = _first_minimum(lambda t: _calendar(world, t)[0], law / 10_000, law * 50)
    cost, tracking, turnover = (float(part.real) for part in _calendar(world, complex(period)))
    return Rule(target, target, target, target, period, cost, tracking, turnover, law)


def _first_minimum(cost: Callable[[complex], Any], start: float, end: float) -> float:
    """Return the first minimum from `start` up; a cost may fall again where a weight is all but lost."""
    tries = np.geomspace(start, end * (1 - 1e-9), 60)
    with np.errstate(all="ignore"):  # far out a weight over- or underflows, and no minimum is there
        for low, high in pairwise(tries):
            if slope(cost, high) > 0:
                return bisect(lambda at: slope(cost, at), float(low), float(high))
    raise ValueError(NEVER)


def _weight(y: Any) -> Any:
    return 1 / (1 + np.exp(-y))


def _edges(world: World, law: float) -> Array:
    """Return the log odds of the cheapest edges: where the marginal cost is the average cost.

    Smooth fit at an edge (value slope -k or k, no curvature) leaves of the equation
    gamma/2 sigma^2 (w - target)^2 -/+ k w (1-w) (mu - sigma^2 w) = cost, one for each edge.
    The costs grow from small to their size, each solution the start of the next. Where the drift is
    strong the upper edge may lie below the target: the weight comes back by itself.
    """
    spread = world.target * (1 - world.target)
    steep = 1 + abs(world.tilt)
    share, found, growth = min(1.0, (0.1 * spread / (law * steep)) ** 3), None, 2.0
    start = world.centre + np.array([-1.0, 1.0]) * law * share ** (1 / 3) / spread
    while found is None or share < 1:
        now = share if found is None else min(1.0, share * growth)
        grown = World(world.mu, world.sigma, world.target, world.gamma, world.k * now)
        guess = start if found is None else world.centre + (found - world.centre) * (now / share) ** (1 / 3)
        tried = newton(partial(_smooth_fit, grown), guess)
        if tried is not None and tried[0] < tried[1]:
            found, share = tried, now
        elif found is not None and growth > LEAST_GROWTH:
            growth = math.sqrt(growth)
        else:
            raise ValueError(NEVER)
    return found


def _smooth_fit(world: World, y: Any) -> Any:
    weight = _weight(y)
    side = np.array([-1.0, 1.0]) * world.k
    marginal = world.miss(y) + side * weight * (1 - weight) * (world.mu - world.sigma**2 * weight)
    return (marginal - _band_parts(world, y)[0]) / (0.5 * world.gamma * world.sigma**2)


def _band_parts(world: World, y: Any) -> tuple[Any, Any, Any]:
    """Return cost, tracking and turnover a year of a weight reflected at log odds y[0] and y[1]."""
    nodes, weights = gauss(NODES)
    half = 0.5 * (y[1] - y[0])
    place = half * (nodes + 1)
    density = np.exp(world.tilt * place)
    mass = half * (weights * density).sum()
    tracking = half * (weights * density * world.miss(y[0] + place)).sum() / mass
    weight = _weight(y)
    pushes = np.array([1.0, 1.0]) * np.exp(world.tilt * (y - y[0]))
    turnover = 0.5 * world.sigma**2 * (weight * (1 - weight) * pushes).sum() / mass
    return tracking + world.k * turnover, tracking, turnover


def _band(world: World, edges: Array, law: float) -> Rule:
    cost, tracking, turnover = (float(part) for part in _band_parts(world, edges))
    low, high = (float(weight) for weight in _weight(edges))
    return Rule(low, high, low, high, 0.0, cost, tracking, turnover, law)


def _threshold(world: World, width: complex, reset: float) -> tuple[Any, Any, Any]:
    """Return cost, tracking and turnover a year of trading at `width` off, to `reset` of it.

    The trades are a chain of two states, the side last traded from; each wait is a first exit of y.
    """
    ends = [np.log(at / (1 - at)) for at in (world.target - width, world.target + width)]
    waits = [
        _exit(world, ends, np.log(at / (1 - at)))
        for at in (world.target - reset * width, world.target + reset * width)
    ]
    (up_low, time_low, miss_low), (up_high, time_high, miss_high) = waits
    upper = up_low / (up_low + (1 - up_high))
    time = (1 - upper) * time_low + upper * time_high
    tracking = ((1 - upper) * miss_low + upper * miss_high) / time
    turnover = width * (1 - reset) / time
    return tracking + world.k * turnover, tracking, turnover


def _exit(world: World, ends: list[Any], start: Any) -> tuple[Any, Any, Any]:
    """Return, for a start between two ends, the chance of the upper, the mean time, the mean miss till then.

    Source: the Green's function of a one-dimensional diffusion (Karlin, Taylor, A Second Course, 15.3).
    """
    low, high = ends

    def scale(y: Any) -> Any:
        return y - low if world.tilt == 0 else -np.expm1(-world.tilt * (y - low)) / world.tilt

    nodes, weights = gauss(NODES)
    whole, at = scale(high), scale(start)
    time: Any = 0.0
    miss: Any = 0.0
    for left, right, is_below in ((low, start, True), (start, high, False)):
        place = left + 0.5 * (right - left) * (nodes + 1)
        green = scale(place) * (whole - at) if is_below else at * (whole - scale(place))
        speed = 2 / world.sigma**2 * np.exp(world.tilt * (place - low))
        mass = 0.5 * (right - left) * weights * green * speed / whole
        time += mass.sum()
        miss += (mass * world.miss(place)).sum()
    return at / whole, time, miss


def _calendar(world: World, period: complex) -> tuple[Any, Any, Any]:
    """Return cost, tracking and turnover a year of trading to the target after each `period`."""
    nodes, weights = gauss(NODES)
    z = 9.0 * nodes
    normal = 9.0 * weights * np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    drift = world.mu - 0.5 * world.sigma**2
    at, share = gauss(24)
    times = 0.5 * (at + 1) * period
    spread = world.centre + drift * times[:, None] + world.sigma * np.sqrt(times)[:, None] * z
    tracking = (0.5 * share[:, None] * normal * world.miss(spread)).sum()
    even = -drift * np.sqrt(period) / world.sigma
    moved: Any = 0.0
    for end in (-9.0, 9.0):
        place = even + 0.5 * (end - even) * (nodes + 1)
        ended = world.centre + drift * period + world.sigma * np.sqrt(period) * place
        chance = np.exp(-0.5 * place**2) / math.sqrt(2 * math.pi)
        moved += 0.5 * (end - even) * (weights * chance * (_weight(ended) - world.target)).sum()
    turnover = moved / period
    return tracking + world.k * turnover, tracking, turnover
