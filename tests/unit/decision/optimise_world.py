"""Random rebalances of every kind, and the same problem written down for Clarabel and cvxpy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

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
    """A problem with a random choice of everything: size, covariance, locks, bounds, cash, groups, turnover."""
    chance = np.random.default_rng([seed, 1])
    names = int(chance.integers(2, 60))
    problem = plain(names, int(chance.integers(1, 7)), seed, int(chance.integers(1, 8)))
    factors, specific = problem.covariance.factors, problem.covariance.specific
    kind = int(chance.integers(3))
    if kind == 1:
        problem = replace(
            problem, covariance=Covariance.by_matrix(factors @ factors.T + np.diag(specific))
        )
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
    """A conic problem: minimise 0.5 z'Pz + q'z, Az + s = b, s in `equal` zeros then `above` not negative."""

    P: Any
    q: Any
    A: Any
    b: Any
    equal: int
    above: int
    constant: float
    names: int


def conic(problem: Problem) -> Cone:
    """Write `problem` for a conic solver: z = (x, factor exposures, buys, one sale a rung), our clip included."""
    from scipy import sparse

    count, k = problem.covariance.factors.shape
    gamma, lots = problem.risk_aversion, problem.lots
    held, target = problem.held, problem.target
    buy, sell = problem.each(problem.buy_cost), problem.each(problem.sell_cost)
    rest = np.maximum(held - np.bincount(lots.name, lots.weight, minlength=count), 0.0)
    owner = np.concatenate((lots.name, np.arange(count)))
    room = np.concatenate((lots.weight, rest))
    price = np.maximum(np.concatenate((lots.tax, np.zeros(count))) + sell[owner], -buy[owner])
    rungs, eye = owner.size, sparse.identity
    size = count + k + count + rungs
    specific = problem.covariance.specific
    P = sparse.diags(np.concatenate((gamma * specific, np.full(k, gamma), np.zeros(count + rungs))))
    q = np.concatenate((-gamma * specific * target, np.zeros(k), buy, price))
    owns = sparse.coo_matrix((np.ones(rungs), (owner, np.arange(rungs))), (count, rungs))
    lines, bounds = [], []

    def add(x: Any, bound: Any, y: Any = None, bought: Any = None, sold: Any = None) -> None:
        height = np.size(bound)
        parts = [x, y, bought, sold]
        widths = [count, k, count, rungs]
        blocks = [
            sparse.csc_matrix((height, w)) if p is None else sparse.csc_matrix(p)
            for p, w in zip(parts, widths, strict=True)
        ]
        lines.append(sparse.hstack(blocks))
        bounds.append(np.atleast_1d(bound))

    factors = problem.covariance.factors
    add(eye(count), held, bought=-eye(count), sold=owns)
    if k:
        add(factors.T, factors.T @ target, y=-eye(k))
    equal = count + k
    one = np.ones((1, count))
    low, high = problem.budget - problem.cash_upper, problem.budget - problem.cash_lower
    spans = [(one, low, high)]
    for group in problem.groups:
        inside = np.zeros((1, count))
        inside[0, group.members] = 1
        spans.append((inside, group.lower, group.upper))
    for inside, low, high in spans:
        if low == high:
            add(inside, high)
            equal += 1
    for inside, low, high in spans:
        if low < high:
            if np.isfinite(high):
                add(inside, high)
            if np.isfinite(low):
                add(-inside, -low)
    if np.isfinite(problem.turnover):
        add(None, problem.turnover, bought=one, sold=np.ones((1, rungs)))
    locked = problem.locked(problem.no_trade)
    no_buy, no_sell = problem.locked(problem.no_buy) | locked, problem.locked(problem.no_sell) | locked
    upper = np.where(no_buy, np.minimum(problem.each(problem.upper), held), problem.each(problem.upper))
    lower = np.where(no_sell, np.maximum(problem.each(problem.lower), held), problem.each(problem.lower))
    add(eye(count), upper)
    add(-eye(count), -lower)
    add(None, np.zeros(count), bought=-eye(count))
    add(None, np.zeros(rungs), sold=-eye(rungs))
    add(None, room, sold=eye(rungs))
    A = sparse.vstack(lines).tocsc()
    b = np.concatenate(bounds)
    constant = 0.5 * gamma * float(specific @ target**2)
    return Cone(sparse.csc_matrix(sparse.triu(P)), q, A, b, equal, b.size - equal, constant, count)


def by_clarabel(cone: Cone, tolerance: float = 1e-11) -> tuple[str, float, Any]:
    """Solve with Clarabel called directly: status, objective, weights."""
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    kinds = [clarabel.ZeroConeT(cone.equal), clarabel.NonnegativeConeT(cone.above)]
    answer = clarabel.DefaultSolver(cone.P, cone.q, cone.A, cone.b, kinds, settings).solve()
    return str(answer.status), answer.obj_val + cone.constant, np.array(answer.x[: cone.names])
