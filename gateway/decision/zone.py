"""The no-trade zone as a policy: trade a name, to the edge of its zone, once drift costs more than trading.

Rules of this room:
1. The rule is `no_trade.amortised`: each name's cost is spread over the time its band lasts, names are
   weighed together. No number of it is tuned.
2. A name is never traded away from its target or beyond it, whatever that would hedge: nobody who gave a
   target would understand it.
3. In an account that is taxed, selling costs besides what paying the tax now rather than later takes; a loss
   is no reason to sell here (see `harvest.py`).
4. What a wash sale forbids is known before the rest is weighed: nothing is bought to balance a sale that will
   not be sent. What would be traded but for that is proposed all the same, so that the gate says why not.
5. The rule weighs a year's benefit with a year's share of the cost. So does the gate: what a basket brings is
   counted over the time that its cost is spread over (`Weighed.worth`), not over the account's horizon.
6. A learned rule stands in the same place: it says how wide the bands are, or one of four words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gateway.decision.drift import NOISE, ZERO, Floats, Survey
from gateway.decision.learned import NETWORK, LearnedRule, banded
from gateway.decision.no_trade.kinked import Factors
from gateway.decision.no_trade.many import CORRELATION, Amortised, amortised, band_half_widths, damped
from gateway.decision.terms import Terms, deferral, lots_of, terms_of
from gateway.decision.triggers import Verdict, crisis
from gateway.decision.view import View
from gateway.decision.wash_sale import watch
from gateway.domain.order import Side
from gateway.domain.settings import WashSales
from gateway.events import Action

FOR_EVER = 20.0
"""Years that a yearly saving without an end counts: its present value at 5 % a year."""


class NoTradeZone:
    """The default: trade to the edge of the zone outside of which drift costs more than trading."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return PARTIAL with the trades of names outside their bands; HOLD when there is none."""
        if (urgent := crisis(found, view.account.decision, view.regime)) is not None:
            return urgent
        terms = terms_of(view, found)
        tax = np.maximum(lots_of(view, found).of_sale(np.maximum(-found.gap, 0.0)), 0.0) * deferral(view)
        gamma = float(view.account.decision.risk_aversion)
        reach = np.where(terms.has_price, found.target, found.expected)
        zone = _zone(terms, found, reach, tax, gamma)
        locked = _locked(view, found, zone.trades)
        trades = zone.trades
        if locked.any():
            zone = _zone(terms, found, np.where(locked, found.expected, reach), tax, gamma)
            trades = np.where(locked, trades, zone.trades)
        if not zone.is_converged:
            return Verdict(Action.HOLD, "the no-trade zone holds: its minimum was not found to be exact")
        if not trades.any():
            text = f"all names are inside their no-trade bands, drift {found.max_drift:.2%}"
            return Verdict(Action.HOLD, text)
        horizon = float(view.account.decision.horizon_years)
        worth = Weighed(terms, -found.gap, found.target == 0, zone.rate, tax, gamma, horizon).worth
        return Verdict(Action.PARTIAL, _words(found, zone, trades), trades, worth)


def _zone(terms: Terms, found: Survey, reach: Floats, tax: Floats, gamma: float) -> Amortised:
    """Ask the rule for trades that leave each name between where it is and `reach`."""
    return amortised(
        covariance=Factors(terms.loadings, terms.specific), weights=found.expected, targets=found.target,
        k=terms.buy, k_sell=terms.sell + tax, gamma=gamma,
        low=np.minimum(found.expected, reach), high=np.maximum(found.expected, reach),
    )  # fmt: skip


def _locked(view: View, found: Survey, trades: Floats) -> npt.NDArray[np.bool_]:
    """Tell which of the trades a wash sale forbids; none whose loss is accepted to be lost."""
    locked = np.zeros(trades.size, dtype=bool)
    traded = np.flatnonzero(trades)
    is_accepted = view.account.decision.wash_sale is WashSales.ACCEPT and not view.blocking
    if is_accepted or not traded.size:
        return locked
    known = watch(view)
    for n in traded.tolist():
        symbol, lot = found.symbols[n], view.instruments[found.symbols[n]].lot_size
        count = round(abs(float(trades[n])) * float(found.nav) / float(found.price[n]) / float(lot))
        side = Side.BUY if trades[n] > 0 else Side.SELL
        conflict = known.found(symbol, side, max(1, count) * lot)
        locked[n] = conflict is not None and not known.accepts(conflict)
    return locked


def _words(found: Survey, zone: Amortised, trades: Floats) -> str:
    count, worst = int(np.count_nonzero(trades)), int(np.abs(trades).argmax())
    before, after = (float(one) for one in (zone.tracking_before, zone.tracking_after))
    return (
        f"{count} of {len(found.symbols)} names are outside their no-trade bands, {found.symbols[worst]} "
        f"by {abs(trades[worst]):.2%} of NAV: to the edge, tracking error {before:.2%} to "
        f"{after:.2%} a year for {float(zone.cost.sum()) * float(found.nav):.2f}"
    )


@dataclass(frozen=True, slots=True)
class Weighed:
    """Know what trades are worth as the zone's rule sees it; arrays (N).

    `off` is the gap before, held less wanted; `is_exit` marks what is not wanted at all; `rate` is the yearly
    charge per weight traded, `tax` what a sale takes for paying its tax now, `horizon` the years that count
    where nothing costs anything.
    """

    terms: Terms
    off: Floats
    is_exit: npt.NDArray[np.bool_]
    rate: Floats
    tax: Floats
    gamma: float
    horizon: float

    def worth(self, moved: Floats) -> float:
        """Return the drift cost saved over the time the cost is spread over, less tax, as a share of NAV.

        That time is cost over charge. A name that is not wanted is sold for good, without a band and so
        without a charge: what its sale saves is saved for ever.
        """
        seen = damped(Factors(self.terms.loadings, self.terms.specific), CORRELATION)
        tax = self.tax * np.maximum(-moved, 0.0)
        taken = np.where(moved > 0, self.terms.buy, self.terms.sell) * np.abs(moved) + tax
        charge = float((self.rate * np.abs(moved)).sum())
        left = np.where(self.is_exit, moved, 0.0) + self.off
        points = [float(one @ seen.times(one)) for one in (self.off, left, self.off + moved)]
        gone, kept = (0.5 * self.gamma * (a - b) for a, b in pairwise(points))
        years = min(FOR_EVER, float(taken[~self.is_exit].sum()) / charge) if charge else self.horizon
        return gone * (FOR_EVER if gone > 0 else years) + kept * years - float(tax.sum())


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
