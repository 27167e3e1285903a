"""Drift: how far an account is from its targets, name by name.

Rules of this room:
1. Nothing here reads a clock, a file or a random number: the same `View` gives the same answer.
2. Weights are fractions of total NAV: cash plus everything held, named by the request or not.
3. A gap is what is still to be done: the target less what is held and what open orders will fill.
4. Floats live in this package only; `sizing` turns them into exact quantities, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from gateway.decision.risk import RiskModel
from gateway.decision.view import View
from gateway.domain.book import Account
from gateway.events import Others

Floats = npt.NDArray[np.float64]
ZERO = Decimal(0)
NOISE = 1e-12
"""Weights closer than this are equal: it is rounding of binary fractions, not drift."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Show every name to be decided on, in alphabetical order; all arrays have one entry per name.

    `price` is NaN where there is none. `weight` is what is held, `expected` adds what open orders
    will fill, `target` is what is wanted; all three are fractions of `nav`. `kept` names holdings
    the request leaves alone, `missing` those wanted that have no fresh price.
    """

    nav: Decimal
    cash: Decimal
    symbols: tuple[str, ...]
    price: Floats
    weight: Floats
    expected: Floats
    target: Floats
    volatility: Floats
    kept: tuple[str, ...]
    missing: tuple[str, ...]
    risk: RiskModel | None = None

    @property
    def gap(self) -> Floats:
        """Return target less expected weight: positive is to be bought."""
        gap: Floats = self.target - self.expected
        return gap

    @property
    def drift(self) -> float:
        """Return the summed absolute gap."""
        return float(np.abs(self.gap).sum())

    @property
    def max_drift(self) -> float:
        """Return the largest absolute gap, 0 when there are no names."""
        return float(np.abs(self.gap).max(initial=0.0))

    def exposure(self, gap: Floats) -> Floats:
        """Return S d for gaps d (weights), S annual: half the slope of the variance along each name."""
        if self.risk is None:
            found: Floats = np.square(self.volatility) * gap
            return found
        return self.risk.product(self.symbols, self.volatility, gap)

    def tracking_error(self, gap: Floats) -> float:
        """Return the annual tracking error of `gap` (weights): sqrt(d' S d), S = 252 daily covariances.

        Without a risk model the settings know a volatility for each name and no correlations; related
        names that are both under or both over their targets then make the true figure larger.
        """
        return float(np.sqrt(max(0.0, float(gap @ self.exposure(gap)))))

    def drift_cost(self, gap: Floats, risk_aversion: float) -> float:
        """Return what `gap` costs a year, in money: 0.5 * gamma * TE^2 * NAV.

        Source: the certainty equivalent of mean-variance utility, as in Leland 2000, "Optimal portfolio
        implementation with transactions costs and capital gains taxes".
        """
        return 0.5 * risk_aversion * self.tracking_error(gap) ** 2 * float(self.nav)

    def savings(self, before: Floats, after: Floats, risk_aversion: float) -> Floats:
        """Return what each name's trade saves of the yearly drift cost, in money; they sum to the whole.

        0.5 * gamma * t_i * (S (d + d'))_i * NAV with t = d - d': the symmetric split of a quadratic form
        (its Shapley value), so a name pays for what it adds together with the others, and one that
        hedges another may have a negative share.
        """
        found: Floats = (before - after) * self.exposure(before + after)
        return 0.5 * risk_aversion * float(self.nav) * found


def nav_of(account: Account, prices: Mapping[str, Decimal]) -> Decimal:
    """Return cash plus the value of everything held; KeyError when a holding has no price."""
    return account.cash + sum((qty * prices[symbol] for symbol, qty in account.positions.items()), ZERO)


def open_qty(view: View) -> dict[str, Decimal]:
    """Return what this account's open orders may still add to each position, signed (LeavesQty(151))."""
    found: dict[str, Decimal] = {}
    for order in view.open_orders:
        if order.account == view.account.name:
            found[order.symbol] = found.get(order.symbol, ZERO) + order.side.sign * order.leaves_qty
    return found


def survey(view: View) -> Survey:
    """Compare an account with its targets.

    With `Others.KEEP` a holding that is not named is left alone and is no drift; with `Others.SELL`
    its target is zero. Either way it is part of NAV. Raises KeyError when a holding has no price.
    """
    account = view.book.accounts[view.account.name]
    held, prices = account.positions, view.prices
    nav = nav_of(account, prices)
    wanted = set(view.targets) | (set(held) if view.others is Others.SELL else set())
    symbols = tuple(sorted(wanted))
    pending = open_qty(view)
    price = np.array([float(prices.get(symbol, "nan")) for symbol in symbols])
    value = np.where(np.isnan(price), 0.0, price) / (float(nav) or 1.0)
    now = np.array([float(held.get(symbol, ZERO)) for symbol in symbols])
    coming = np.array([float(pending.get(symbol, ZERO)) for symbol in symbols])
    target = np.array([float(view.targets.get(symbol, ZERO)) for symbol in symbols])
    return Survey(
        nav=nav,
        cash=account.cash,
        symbols=symbols,
        price=price,
        weight=now * value,
        expected=(now + coming) * value,
        target=target,
        volatility=np.array([float(view.instruments[symbol].volatility) for symbol in symbols]),
        kept=tuple(sorted(set(held) - wanted)),
        missing=tuple(symbol for symbol in symbols if symbol not in prices and view.targets.get(symbol)),
        risk=view.risk,
    )
