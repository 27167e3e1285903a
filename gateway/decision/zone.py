"""The no-trade zone as a policy: trade a name, to the edge of its zone, once drift costs more than trading.

Rules of this room:
1. The rule is `no_trade.amortised`: each name's cost is spread over the time its band lasts, names are
   weighed together. No number of it is tuned.
2. A name is never traded away from its target or beyond it, whatever that would hedge: nobody who gave a
   target would understand it.
3. In an account that is taxed, selling costs besides what paying the tax now rather than later takes; a loss
   is no reason to sell here (see `harvest.py`).
4. A learned rule stands in the same place: it says how wide the bands are, or one of four words.
"""

from __future__ import annotations

import math

import numpy as np

from gateway.decision.drift import NOISE, ZERO, Floats, Survey
from gateway.decision.learned import NETWORK, LearnedRule, banded
from gateway.decision.no_trade.kinked import Factors
from gateway.decision.no_trade.many import amortised, band_half_widths
from gateway.decision.terms import OpenLots, Terms, deferral, lots_of, terms_of
from gateway.decision.triggers import Verdict, crisis
from gateway.decision.view import View
from gateway.events import Action


class NoTradeZone:
    """The default: trade to the edge of the zone outside of which drift costs more than trading."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return PARTIAL with the trades of names outside their bands; HOLD when there is none."""
        decision = view.account.decision
        if (urgent := crisis(found, decision, view.regime)) is not None:
            return urgent
        terms = terms_of(view, found)
        sell = terms.sell + sale_tax(found, lots_of(view, found)) * deferral(view)
        reach = np.where(terms.has_price, found.target, found.expected)
        zone = amortised(
            covariance=Factors(terms.loadings, terms.specific), weights=found.expected, targets=found.target,
            k=terms.buy, k_sell=sell, gamma=float(decision.risk_aversion),
            low=np.minimum(found.expected, reach), high=np.maximum(found.expected, reach),
        )  # fmt: skip
        count = int((~zone.is_inside).sum())
        if not count:
            return Verdict(
                Action.HOLD, f"all names are inside their no-trade bands, drift {found.max_drift:.2%}"
            )
        worst = int(np.abs(zone.trades).argmax())
        before, after = (float(one) for one in (zone.tracking_before, zone.tracking_after))
        text = (
            f"{count} of {len(found.symbols)} names are outside their no-trade bands, {found.symbols[worst]} "
            f"by {abs(zone.trades[worst]):.2%} of NAV: to the edge, tracking error {before:.2%} to "
            f"{after:.2%} a year for {float(zone.cost.sum()) * float(found.nav):.2f}"
        )
        return Verdict(Action.PARTIAL, text, zone.trades)


class Learned:
    """A learned rule's bands or words; without a rule it holds."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return PARTIAL with the rule's trades; HOLD when it asks for none, or cannot be asked."""
        rule = view.learned
        if rule is None:
            return Verdict(
                Action.HOLD, "no learned rule is loaded: set learned_file, or choose another policy"
            )
        if (urgent := crisis(found, view.account.decision, view.regime)) is not None:
            return urgent
        if rule.kind == NETWORK and rule.card.names != found.symbols:
            return Verdict(Action.HOLD, "the learned rule was trained on other names than these: retrain it")
        trades = learned_trades(view, found, rule)
        if np.abs(trades).max(initial=0.0) <= NOISE:
            return Verdict(Action.HOLD, f"the learned rule ({rule.card.learner}) asks for no trade")
        count = int((np.abs(trades) > NOISE).sum())
        return Verdict(Action.PARTIAL, f"the learned rule ({rule.card.learner}) trades {count} names", trades)


def learned_trades(view: View, found: Survey, rule: LearnedRule) -> Floats:
    """Return the weights a learned rule trades."""
    terms = terms_of(view, found)
    risk = Factors(terms.loadings, terms.specific)
    gamma = float(view.account.decision.risk_aversion)
    width = band_half_widths(risk=risk, targets=found.target, k=0.5 * (terms.buy + terms.sell), gamma=gamma)
    gap = np.where(terms.has_price, found.gap, 0.0)
    ratio = float(math.log(view.signals.vol_ratio)) if view.signals is not None else 0.0
    if rule.kind == NETWORK:
        word = rule.word(_seen(view, found, terms, ratio))
        beyond = np.sign(gap) * np.maximum(np.abs(gap) - width, 0.0)
        return {"nothing": np.zeros_like(gap), "partial": 0.5 * gap, "full": gap, "edge": beyond}[word]
    at = rule.regime(ratio)
    return banded(gap, width, rule.scale[at], rule.reset[at])


def _seen(view: View, found: Survey, terms: Terms, ratio: float) -> Floats:
    """Return what a network was trained to see, in the order of `simulator.world.World.seen`."""
    basis = np.array([_gain(view, symbol) for symbol in found.symbols])
    off = found.gap
    exposure = terms.loadings @ (terms.loadings.T @ off) + terms.specific * off
    last = view.last_rebalance
    since = 0.0 if last is None else (view.trade_date - last).days / 365.25
    market = [ratio, math.sqrt(max(0.0, float(off @ exposure))), since]
    seen: Floats = np.concatenate([found.weight, found.target, basis, market])
    return seen


def _gain(view: View, symbol: str) -> float:
    """Return the unrealised gain of a holding as a share of its value."""
    lots = view.book.accounts[view.account.name].lots.get(symbol, ())
    price = view.prices.get(symbol)
    value = sum((lot.qty for lot in lots), ZERO) * (price or ZERO)
    return float(1 - sum((lot.cost for lot in lots), ZERO) / value) if value else 0.0


def sale_tax(found: Survey, lots: OpenLots) -> Floats:
    """Return the tax per unit sold of closing each name's gap, its cheapest lots first; never negative."""
    taxes = np.zeros(len(found.symbols))
    for n, gap in enumerate(found.gap.tolist()):
        own = lots.name == n
        if not own.any():
            continue
        order = np.argsort(lots.tax[own], kind="stable")
        weight, tax = lots.weight[own][order], lots.tax[own][order]
        wanted = max(-gap, float(weight[0]) * NOISE)
        taken = np.clip(wanted - (np.cumsum(weight) - weight), 0.0, weight)
        taxes[n] = float(taken @ tax) / float(taken.sum())
    return np.maximum(taxes, 0.0)
