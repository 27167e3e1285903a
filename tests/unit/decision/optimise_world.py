"""Random rebalances of every kind, and the same problems written down for Clarabel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import clarabel
import numpy as np
from scipy import sparse

from gateway.decision.optimise import Covariance, Group, Problem, TaxLots


def plain(names: int, lots: int, seed: int, factors: int = 20) -> Problem:
    """A portfolio drifted from its target, `lots` lots a name, factor covariance, long-only, cash free."""
    chance = np.random.default_rng(seed)
    loadings = chance.normal(0, 0.06, (names, factors))
    loadings[:, :1] = 0.15 * chance.uniform(0.6, 1.4, (names, 1))
    specific = chance.uniform(0.1, 0.4, names) ** 2
    target = chance.lognormal(0, 0.7, names)
    target *= 0.99 / target.sum()
    held = target * chance.lognormal(0, 0.4, names)
    held *= 0.98 / held.sum()
    share = chance.dirichlet(np.ones(lots), names)
    gain = chance.uniform(-0.4, 0.6, names * lots)
    return Problem(
        symbols=tuple(f"N{index:04d}" for index in range(names)),
        held=held,
        target=target,
        covariance=Covariance.by_factors(loadings, specific),
        risk_aversion=5.0,
        buy_cost=chance.uniform(0.0005, 0.003, names),
        sell_cost=chance.uniform(0.0005, 0.003, names),
        lots=TaxLots(
            np.repeat(np.arange(names), lots),
            (share * held[:, None]).ravel(),
            chance.choice([0.238, 0.408], names * lots) * gain,
        ),
    )


def varied(seed: int) -> Problem:
    """A random choice of everything: size, covariance, lots, locks, bounds, cash, groups, turnover."""
    chance = np.random.default_rng([seed, 1])
    names = int(chance.integers(2, 60))
    problem = plain(names, int(chance.integers(1, 7)), seed, int(chance.integers(1, 8)))
    factors, specific = problem.covariance.factors, problem.covariance.specific
    kind = int(chance.integers(3))
    if kind == 1:
        problem = replace(problem, covariance=Covariance.by_matrix(factors @ factors.T + np.diag(specific)))
    if kind == 2:
        problem = replace(problem, covariance=Covariance(factors, specific * chance.uniform(0.02, 0.3)))
    problem = replace(
        problem,
        risk_aversion=float(10 ** chance.uniform(-0.5, 2)),
        no_buy=chance.random(names) < 0.15,
        no_sell=chance.random(names) < 0.15,
        no_trade=chance.random(names) < 0.1,
        lower=np.minimum(problem.held, problem.target) * chance.uniform(0, 0.9, names),
        upper=np.maximum(problem.held, problem.target) * chance.uniform(1, 1.5, names),
    )
    scale = float(10 ** chance.uniform(-1.5, 0.7))
    problem = replace(problem, buy_cost=problem.buy_cost * scale, sell_cost=problem.sell_cost * scale)
    if chance.random() < 0.3:
        problem = replace(problem, lots=TaxLots())
    cash = 1 - float(problem.held.sum())
    problem = replace(problem, cash_lower=cash * chance.uniform(0, 1), cash_upper=cash * chance.uniform(1, 3))
    if chance.random() < 0.3:
        problem = replace(problem, cash_lower=cash, cash_upper=cash)
    if chance.random() < 0.5:
        problem = replace(problem, turnover=float(chance.uniform(0, 0.4)))
    groups = []
    for label in range(int(chance.integers(0, 5))):
        members = np.flatnonzero(chance.random(names) < 0.4)
        now, wanted = problem.held[members].sum(), problem.target[members].sum()
        low, high = min(now, wanted), max(now, wanted)
        lower, upper = low + 0.3 * (high - low), high + 0.1 * (high - low)
        if chance.random() < 0.5:
            lower, upper = low - 0.1 * (high - low), high - 0.3 * (high - low)
        groups.append(Group(f"g{label}", members, float(lower), float(upper)))
    return replace(problem, groups=tuple(groups))


@dataclass(frozen=True)
class Cone:
    """Minimise 0.5 z'Pz + q'z + constant, where Az + s = b, s first `equal` zeros, then none negative.

    z = (weights, factor exposures, buys, one sale a rung); `widths` says how many of each.
    """

    quadratic: Any
    linear: Any
    matrix: Any
    bound: Any
    equal: int
    constant: float
    widths: tuple[int, int, int, int]


class Lines:
    """Collect lines of a conic problem: blocks of the four kinds of variables, and a bound."""

    def __init__(self, widths: tuple[int, int, int, int]) -> None:
        self.widths = widths
        self.blocks: list[Any] = []
        self.bounds: list[Any] = []

    def add(self, bound: Any, **kinds: Any) -> None:
        """Add lines `x` @ weights + `y` @ exposures + `buys` @ buys + `sales` @ sales <= (or =) `bound`."""
        bound = np.atleast_1d(bound)
        parts = [kinds.get(kind) for kind in ("x", "y", "buys", "sales")]
        shaped = [
            sparse.csc_matrix((bound.size, width)) if part is None else sparse.csc_matrix(part)
            for part, width in zip(parts, self.widths, strict=True)
        ]
        self.blocks.append(sparse.hstack(shaped))
        self.bounds.append(bound)

    @property
    def height(self) -> int:
        """How many lines there are."""
        return sum(bound.size for bound in self.bounds)


def rungs(problem: Problem) -> tuple[Any, Any, Any]:
    """Holder, room and unclipped price of every lot, and of what each name holds beyond its lots."""
    lots, count = problem.lots, len(problem.symbols)
    rest = np.maximum(problem.held - np.bincount(lots.name, lots.weight, minlength=count), 0.0)
    owner = np.concatenate((lots.name, np.arange(count)))
    price = np.concatenate((lots.tax, np.zeros(count))) + problem.each(problem.sell_cost)[owner]
    return owner, np.concatenate((lots.weight, rest)), price


def conic(problem: Problem, *, clipped: bool = True) -> Cone:
    """Write a long-only `problem` for a conic solver; not `clipped`, it may sell and buy one name at once."""
    count, k = problem.covariance.factors.shape
    factors, specific, gamma = problem.covariance.factors, problem.covariance.specific, problem.risk_aversion
    buy = problem.each(problem.buy_cost)
    owner, room, price = rungs(problem)
    if clipped:
        price = np.maximum(price, -buy[owner])
    widths = (count, k, count, owner.size)
    ones = [sparse.identity(width) for width in widths]
    lines = Lines(widths)
    owns = sparse.coo_matrix((np.ones(owner.size), (owner, np.arange(owner.size))), (count, owner.size))
    lines.add(problem.held, x=ones[0], buys=-ones[2], sales=owns)
    lines.add(factors.T @ problem.target, x=factors.T, y=-ones[1])
    equal = add_spans(problem, lines)
    if np.isfinite(problem.turnover):
        lines.add(problem.turnover, buys=np.ones((1, count)), sales=np.ones((1, owner.size)))
    locked = problem.locked(problem.no_trade)
    upper, lower = problem.each(problem.upper), problem.each(problem.lower)
    no_buy, no_sell = problem.locked(problem.no_buy) | locked, problem.locked(problem.no_sell) | locked
    lines.add(np.where(no_buy, np.minimum(upper, problem.held), upper), x=ones[0])
    lines.add(-np.where(no_sell, np.maximum(lower, problem.held), lower), x=-ones[0])
    lines.add(np.zeros(count), buys=-ones[2])
    lines.add(np.zeros(owner.size), sales=-ones[3])
    lines.add(room, sales=ones[3])
    quadratic = np.concatenate((gamma * specific, np.full(k, gamma), np.zeros(count + owner.size)))
    return Cone(
        quadratic=sparse.csc_matrix(sparse.diags(quadratic)),
        linear=np.concatenate((-gamma * specific * problem.target, np.zeros(k), buy, price)),
        matrix=sparse.vstack(lines.blocks).tocsc(),
        bound=np.concatenate(lines.bounds),
        equal=equal,
        constant=0.5 * gamma * float(specific @ problem.target**2),
        widths=widths,
    )


def add_spans(problem: Problem, lines: Lines) -> int:
    """Add cash and groups, exact ones first; return how many lines are equalities now."""
    count = len(problem.symbols)
    spans = [(np.ones((1, count)), problem.budget - problem.cash_upper, problem.budget - problem.cash_lower)]
    for group in problem.groups:
        inside = np.zeros((1, count))
        inside[0, group.members] = 1
        spans.append((inside, group.lower, group.upper))
    for inside, low, high in spans:
        if low == high:
            lines.add(high, x=inside)
    equal = lines.height
    for inside, low, high in spans:
        if low < high:
            for sign, bound in ((1, high), (-1, -low)):
                if np.isfinite(bound):
                    lines.add(bound, x=sign * inside)
    return equal


def by_clarabel(cone: Cone, tolerance: float = 1e-11) -> tuple[str, float, Any]:
    """Solve with Clarabel called directly: status, objective, all variables."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    kinds = [clarabel.ZeroConeT(cone.equal), clarabel.NonnegativeConeT(cone.bound.size - cone.equal)]
    answer = clarabel.DefaultSolver(
        cone.quadratic, cone.linear, cone.matrix, cone.bound, kinds, settings
    ).solve()
    return str(answer.status), answer.obj_val + cone.constant, np.array(answer.x)


def singular(seed: int) -> Problem:
    """A varied problem with no specific risk, none for half its names, hardly any, or few days of data."""
    problem, chance = varied(seed), np.random.default_rng([seed, 2])
    names = len(problem.symbols)
    specific = problem.covariance.specific
    kinds = (0.0, chance.random(names) < 0.5, 1e-6)
    if seed % 4 < len(kinds):
        covariance = Covariance(problem.covariance.factors, specific * kinds[seed % 4])
    else:
        days = chance.normal(0, 0.02, (max(2, names // 2), names))
        covariance = Covariance.by_matrix(252 * np.cov(days.T))
    return replace(problem, covariance=covariance)
