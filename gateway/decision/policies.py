"""Policies: the rules that say whether to trade and how far. An account names one, a request may another.

Rules of this room:
1. A policy is one method, `decide`: a view and its survey in, a `Verdict` out; it keeps nothing between
   two calls, so it runs the same live, in a preview and in a backtest.
2. On its own target every policy holds: there is no gap left that it would trade.
3. What all policies share stands in the function `decide`: the timing, then the cooldown. An IMMEDIATE
   verdict waits for neither.
4. A policy that comes later is one more entry of `POLICIES` and one more `PolicyName`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

import numpy as np

from gateway.decision import fixed_days, timing, triggers
from gateway.decision.best import Optimised
from gateway.decision.drafting import priced, share_of
from gateway.decision.drift import NOISE, Survey
from gateway.decision.triggers import Verdict
from gateway.decision.view import View
from gateway.decision.zone import Learned, NoTradeZone
from gateway.domain.proposal import Proposal
from gateway.events import Action, PolicyName


class Policy(Protocol):
    """Say whether to trade and how far, and why in one line."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return the verdict on a survey of the view; NAV is positive."""


class Triggers:
    """The seed's triggers: single asset, concentration, crisis; the most severe that fires wins."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return the verdict of `triggers.decide`."""
        return triggers.decide(found, view.account.decision, view.regime)


class Calendar:
    """Trade everything on fixed days, whatever the drift; `fixed_days.due_since` knows the days."""

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return FULL when no rebalance has been since the last fixed day, else HOLD."""
        decision = view.account.decision
        day = fixed_days.due_since(
            view.trade_date, decision.calendar_period, decision.calendar_day, view.closed_days
        )
        last = view.last_rebalance
        if last is not None and last >= day:
            return Verdict(Action.HOLD, f"{decision.calendar_period}: the rebalance of {day} was on {last}")
        if found.max_drift <= NOISE:
            return Verdict(Action.HOLD, f"{decision.calendar_period}: on target")
        return Verdict(Action.FULL, f"{decision.calendar_period}: the rebalance of {day} is due")


class Threshold:
    """Trade everything once one name leaves its band, absolute or relative; else invest spare cash.

    Alpaca's vocabulary (drift_band absolute and relative, invest cash), see its Rebalancing API.
    """

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return FULL outside a band, PARTIAL with buys alone for spare cash, else HOLD."""
        decision = view.account.decision
        size = np.abs(found.gap)
        bands = (
            (np.full(len(size), float(decision.drift_band_absolute)), "of NAV"),
            (float(decision.drift_band_relative) * np.abs(found.target), "that its target allows"),
        )
        is_on = (decision.drift_band_absolute > 0, decision.drift_band_relative > 0)
        for (limit, words), wanted in zip(bands, is_on, strict=True):
            over = np.where(wanted, size - limit, -1.0)
            if over.size and over.max() > NOISE:
                at = int(over.argmax())
                text = f"{found.symbols[at]} is {size[at]:.2%} of NAV from its target"
                return Verdict(Action.FULL, f"{text}, more than the {limit[at]:.2%} {words}")
        return self._invest_cash(view, found) or Verdict(
            Action.HOLD, f"largest drift {found.max_drift:.2%} is within its band"
        )

    def _invest_cash(self, view: View, found: Survey) -> Verdict | None:
        """Ask for buys alone, in proportion to what is missing, when there is too much cash."""
        limit = float(view.account.decision.invest_cash)
        buys = np.maximum(found.gap, 0.0)
        spare = spare_cash(view, found)
        if not limit or spare <= limit + NOISE or buys.sum() <= NOISE:
            return None
        text = f"cash is {spare:.2%} of NAV above its target, the limit is {limit:.2%}: buys only"
        return Verdict(Action.PARTIAL, text, buys * min(1.0, spare / buys.sum()))


class Smart:
    """Trade all, a part or nothing: what leaves most after cost and tax; a declared crisis comes first.

    Benefit is the drift cost saved over the horizon, cost what the whole-lot trades take today. Losses
    offset the gains of the same basket, no more: a refund is not counted on.
    """

    def decide(self, view: View, found: Survey) -> Verdict:
        """Return the action of the largest net benefit; HOLD when none is positive."""
        decision = view.account.decision
        if (urgent := triggers.crisis(found, decision, view.regime)) is not None:
            return urgent
        best, action, text = 0.0, Action.HOLD, ""
        for candidate in (Action.FULL, Action.PARTIAL):
            _, proposals = priced(view, found, found.gap * share_of(candidate, decision))
            if not proposals:
                continue
            gained, cost, due = weigh(proposals)
            words = f"benefit {gained:.2f} over the horizon against cost {cost:.2f} and tax {due:.2f}"
            text = text or f"{candidate} would bring {words}"
            if gained - cost - due > best:
                best, action, text = gained - cost - due, candidate, words
        return Verdict(action, text or "nothing to trade")


def weigh(proposals: Mapping[str, Proposal]) -> tuple[float, float, float]:
    """Return benefit, cost and tax of a basket; tax is at least 0."""
    items = proposals.values()
    due = max(0.0, sum(item.tax for item in items))
    return sum(item.benefit for item in items), sum(item.cost for item in items), due


def spare_cash(view: View, found: Survey) -> float:
    """Return the weight of cash above what targets and kept holdings leave, open orders counted."""
    nav = float(found.nav)
    kept = sum(
        float(view.book.position(view.account.name, symbol) * view.prices[symbol]) / nav
        for symbol in found.kept
    )
    return 1.0 - float(found.expected.sum()) - kept - max(0.0, 1.0 - float(found.target.sum()) - kept)


POLICIES: Mapping[PolicyName, Policy] = {
    PolicyName.TRIGGERS: Triggers(),
    PolicyName.CALENDAR: Calendar(),
    PolicyName.THRESHOLD: Threshold(),
    PolicyName.SMART: Smart(),
    PolicyName.NO_TRADE: NoTradeZone(),
    PolicyName.OPTIMISE: Optimised(),
    PolicyName.LEARNED: Learned(),
}


def policy_of(view: View) -> PolicyName:
    """Return the policy that decides: the request's, else the account's."""
    return view.policy or view.account.decision.policy


def decide(view: View, found: Survey) -> Verdict:
    """Ask the policy, let timing delay or hasten what it wants, and hold it while it is too early."""
    decision, last = view.account.decision, view.last_rebalance
    verdict = POLICIES[policy_of(view)].decide(view, found)
    if verdict.action is Action.IMMEDIATE:
        return verdict
    if decision.timing:
        verdict = timing.adjusted(verdict, view, found)
    if verdict.action is Action.HOLD or last is None:
        return verdict
    first = last + timedelta(days=decision.cooldown_days)
    if view.trade_date >= first:
        return verdict
    return Verdict(Action.HOLD, f"rebalanced on {last}, cooling down until {first}; else {verdict.reason}")
