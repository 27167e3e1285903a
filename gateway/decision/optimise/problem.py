"""What is asked of the optimiser: holdings, targets, risk, prices of trading, and what must hold.

Rules of this room:
1. Everything is a weight: a fraction of total NAV. Costs and taxes are fractions of the weight traded,
   so the objective is a fraction of NAV, too (per year, where risk aversion is taken per year).
2. Arrays have one entry per name, in the order of `symbols`; lots are flat arrays that name their holder.
3. A problem is only described here. `fault` says in one sentence what makes a description unusable.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Index = npt.NDArray[np.intp]

NOISE = 1e-12
"""Weights closer than this are equal: it is rounding of binary fractions."""
SINGULAR = 1e-10
"""Correlations with a smaller eigenvalue, per name, are singular; with one below minus it, indefinite."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """Hold a covariance of N names as `factors @ factors.T + diag(specific)`, annual, of returns.

    `factors` is (N, K): loadings times a square root of the factors' covariance. `specific` is (N,),
    not negative. `fault` is empty, or says why there is no such covariance.
    """

    factors: Floats
    specific: Floats
    fault: str = ""

    @classmethod
    def by_factors(cls, loadings: Floats, specific: Floats, between: Floats | None = None) -> Covariance:
        """Take a factor model: `loadings` (N, K), `specific` variances (N,), `between` (K, K) or identity."""
        loadings = np.asarray(loadings, dtype=float)
        if between is not None:
            values, vectors = np.linalg.eigh(np.asarray(between, dtype=float))
            if values[0] < -SINGULAR * max(1.0, abs(values[-1])):
                return cls(loadings, np.asarray(specific, dtype=float), "the factor covariance is indefinite")
            loadings = loadings @ (vectors * np.sqrt(np.maximum(values, 0.0)))
        return cls(np.ascontiguousarray(loadings), np.asarray(specific, dtype=float))

    @classmethod
    def by_matrix(cls, matrix: Floats) -> Covariance:
        """Take a dense covariance (N, N) apart, once for all problems that share it.

        The smallest eigenvalue of the correlations becomes the specific part, the rest N factors: the
        optimiser needs a diagonal to lean on. Takes one symmetric eigenvalue decomposition.
        """
        matrix = np.atleast_2d(np.asarray(matrix, dtype=float))
        nothing = cls(np.zeros((len(matrix), 0)), np.zeros(len(matrix)))
        if matrix.shape != matrix.shape[:1] * 2 or not np.isfinite(matrix).all():
            return cls(nothing.factors, nothing.specific, "the covariance must be square and finite")
        if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-14):
            return cls(nothing.factors, nothing.specific, "the covariance is not symmetric")
        deviation = np.sqrt(np.maximum(np.diag(matrix), 0.0))
        scale = np.where(deviation > 0, deviation, 1.0)
        values, vectors = np.linalg.eigh((matrix + matrix.T) / (2 * np.outer(scale, scale)))
        if values.size and values[0] < -SINGULAR * values.size:
            return cls(nothing.factors, nothing.specific, "the covariance is indefinite: shrink it first")
        least = values[0] if values.size and values[0] > SINGULAR * values.size else 0.0
        factors = scale[:, None] * vectors * np.sqrt(np.maximum(values - least, 0.0))
        return cls(np.ascontiguousarray(factors), least * scale**2)

    @property
    def variances(self) -> Floats:
        """Return the diagonal, (N,)."""
        total: Floats = np.einsum("ij,ij->i", self.factors, self.factors) + self.specific
        return total

    def times(self, weights: Floats) -> Floats:
        """Return covariance @ weights, (N,)."""
        product: Floats = self.factors @ (self.factors.T @ weights) + self.specific * weights
        return product


@dataclass(frozen=True, slots=True)
class TaxLots:
    """Hold open tax lots, flat, M of them.

    `name` is the position of the holder in `symbols`, `weight` the lot's value over NAV (not negative),
    `tax` the tax per unit of it sold: rate times gain per unit of proceeds, negative for a credit.
    Of what a name holds beyond its lots the sale is untaxed: without lots an account pays no tax.
    """

    name: Index = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    weight: Floats = field(default_factory=lambda: np.zeros(0))
    tax: Floats = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True, slots=True)
class Group:
    """Bound the summed weight of some names, e.g. a sector: `lower` <= sum(weights[members]) <= `upper`."""

    label: str
    members: Index
    lower: float = -np.inf
    upper: float = np.inf


@dataclass(frozen=True, slots=True)
class Problem:
    """Describe one rebalance of N names. Weights, costs and bounds as module rule 1 says.

    Minimised: 0.5 * risk_aversion * (x - target)' covariance (x - target) + buy_cost' buys
    + the price of the sales, lot by lot (`sell_cost` + the lot's tax), where x = held + buys - sales.

    - `lower`, `upper`: bounds on x, (N,) or one number, finite. The default is long-only.
    - `minimum_trade`: a name is traded by at least this weight or not at all.
    - `no_buy`, `no_sell`: wash-sale and other locks; `no_trade` is both.
    - cash = `budget` - sum(x) must lie within `cash_lower` and `cash_upper`. Costs and taxes do not
      reduce it here; whole lots pay their costs in money (`whole_lots`).
    - `turnover`: the most sum(abs(x - held)), buys and sales added.
    - A long position is never sold through zero, whatever `lower` says.
    """

    symbols: tuple[str, ...]
    held: Floats
    target: Floats
    covariance: Covariance
    risk_aversion: float
    buy_cost: Floats | float
    sell_cost: Floats | float
    lots: TaxLots = field(default_factory=TaxLots)
    lower: Floats | float = 0.0
    upper: Floats | float = 1.0
    minimum_trade: Floats | float = 0.0
    no_buy: Bools | bool = False
    no_sell: Bools | bool = False
    no_trade: Bools | bool = False
    budget: float = 1.0
    cash_lower: float = 0.0
    cash_upper: float = np.inf
    turnover: float = np.inf
    groups: tuple[Group, ...] = ()

    def each(self, value: Floats | float) -> Floats:
        """Return `value` with one entry per name."""
        return np.broadcast_to(np.asarray(value, dtype=float), (len(self.symbols),))

    def locked(self, value: Bools | bool) -> Bools:
        """Return the lock `value` with one entry per name."""
        return np.broadcast_to(np.asarray(value, dtype=bool), (len(self.symbols),))


def fault(problem: Problem) -> str:
    """Say in one sentence what makes `problem` unusable, or return the empty string."""
    count = len(problem.symbols)
    covariance = problem.covariance
    if covariance.fault:
        return covariance.fault
    if covariance.factors.shape != (count, *covariance.factors.shape[1:2]):
        return f"covariance.factors must be a matrix of {count} rows, one for each name"
    if not np.isfinite(covariance.factors).all():
        return "covariance.factors must be finite"
    return (
        _fault_of_vectors(problem)
        or _fault_of_numbers(problem)
        or _fault_of_lots(problem)
        or _fault_of_groups(problem)
    )


def _fault_of_vectors(problem: Problem) -> str:
    count = len(problem.symbols)
    whole = ("held", "target", "covariance.specific")
    signless = ("covariance.specific", "buy_cost", "sell_cost", "minimum_trade")
    vectors = {
        "held": problem.held, "target": problem.target, "covariance.specific": problem.covariance.specific,
        "buy_cost": problem.buy_cost, "sell_cost": problem.sell_cost, "lower": problem.lower,
        "upper": problem.upper, "minimum_trade": problem.minimum_trade, "no_buy": problem.no_buy,
        "no_sell": problem.no_sell, "no_trade": problem.no_trade,
    }  # fmt: skip
    for label, value in vectors.items():
        array = np.asarray(value)
        if array.shape not in ((), (count,)) or (label in whole and array.shape != (count,)):
            return f"{label} must have {count} entries, one for each name, and has the shape {array.shape}"
        if not np.isfinite(array).all():
            return _of(problem, label, ~np.isfinite(array), "must be finite")
        if label in signless and (array < 0).any():
            return _of(problem, label, array < 0, "must not be negative")
    return ""


def _of(problem: Problem, label: str, wrong: Bools, text: str) -> str:
    """Name the first wrong entry."""
    if not wrong.ndim or not len(problem.symbols):
        return f"{label} {text}"
    return f"{label} of {problem.symbols[int(np.argmax(wrong))]} {text}"


def _fault_of_numbers(problem: Problem) -> str:
    if not (np.isfinite(problem.risk_aversion) and problem.risk_aversion > 0):
        return "risk_aversion must be a positive number"
    if not np.isfinite(problem.budget):
        return "budget must be finite"
    low, high = problem.cash_lower, problem.cash_upper
    if not (low <= high and low < np.inf and high > -np.inf):
        return f"there is no room between cash_lower {low} and cash_upper {high}"
    if not problem.turnover >= 0:
        return "turnover must not be negative"
    return ""


def _fault_of_lots(problem: Problem) -> str:
    lots, count = problem.lots, len(problem.symbols)
    if not lots.name.shape == lots.weight.shape == lots.tax.shape or lots.name.ndim != 1:
        return "lots.name, lots.weight and lots.tax must have one entry for each lot"
    if lots.name.dtype.kind not in "iu":
        return "lots.name must be whole numbers: positions in symbols"
    if lots.name.size and not (lots.name.min() >= 0 and lots.name.max() < count):
        return "lots.name must be positions in symbols"
    if not (np.isfinite(lots.weight).all() and np.isfinite(lots.tax).all() and (lots.weight >= 0).all()):
        return "lots must have finite weights, not negative, and finite taxes"
    over = np.bincount(lots.name, lots.weight, minlength=count) > np.maximum(problem.held, 0.0) + 1e-9
    if over.any():
        return f"the lots of {problem.symbols[int(np.argmax(over))]} hold more than the name"
    return ""


def _fault_of_groups(problem: Problem) -> str:
    for group in problem.groups:
        members = np.asarray(group.members)
        if members.size and not (
            members.dtype.kind in "iu" and members.min() >= 0 and members.max() < len(problem.symbols)
        ):
            return f"group {group.label} has members that are no positions in symbols"
        if np.unique(members).size != members.size:
            return f"group {group.label} names a member twice"
        if not (group.lower <= group.upper and group.lower < np.inf and group.upper > -np.inf):
            return f"group {group.label} has no room between its bounds {group.lower} and {group.upper}"
    return ""
