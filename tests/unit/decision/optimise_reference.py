"""A rebalance written down for a conic solver, and solved by Clarabel called directly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
from optimise_world import rungs
from scipy import sparse

from gateway.decision.optimise import Problem


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
