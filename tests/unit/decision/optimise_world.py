"""Random rebalances of every kind, from a seed."""

from __future__ import annotations

from dataclasses import replace

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


def rungs(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Holder, room and unclipped price of every lot, and of what each name holds beyond its lots."""
    lots, count = problem.lots, len(problem.symbols)
    rest = np.maximum(problem.held - np.bincount(lots.name, lots.weight, minlength=count), 0.0)
    owner = np.concatenate((lots.name, np.arange(count)))
    price = np.concatenate((lots.tax, np.zeros(count))) + problem.each(problem.sell_cost)[owner]
    return owner, np.concatenate((lots.weight, rest)), price
