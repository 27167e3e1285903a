"""Triggers: whether to trade at all, and how far.

Rules of this room:
1. Every trigger is evaluated, always; the most severe that fires decides.
2. The severity is the order of `SEVERITY`, never the order in which the triggers are written.
3. A reason names what fired with its number and its limit; the deciding one comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from gateway.decision.drift import NOISE, Floats, Survey
from gateway.domain.settings import Decision
from gateway.events import Action, Regime

SEVERITY = (Action.HOLD, Action.PARTIAL, Action.FULL, Action.IMMEDIATE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say how far to trade, and why in one line.

    `trade` is the weight of NAV to trade of each name of the survey, signed; None stands for the action's
    own share of every gap: all of it, or for PARTIAL the account's `partial_fraction`.

    A policy that weighs names together says with `worth` what a basket of trades (weights, signed, as
    `trade`) brings before its cost of trading, as a fraction of NAV, over the time that the policy reckons
    with and after tax. The basket is then judged as one: a name that hedges another has no worth alone.
    `notes` say of single names why they are not traded.
    """

    action: Action
    reason: str
    trade: Floats | None = field(default=None, compare=False)
    worth: Callable[[Floats], float] | None = field(default=None, compare=False)
    notes: Mapping[str, str] = field(default_factory=dict, compare=False)


def single_asset(found: Survey, decision: Decision) -> Verdict | None:
    """Ask for PARTIAL when one name is further from its target than the single-asset threshold."""
    limit = float(decision.single_asset_drift)
    if found.max_drift <= limit + NOISE:
        return None
    worst = int(np.abs(found.gap).argmax())
    text = f"{found.symbols[worst]} is {found.max_drift:.2%} of NAV from its target, the limit is {limit:.2%}"
    return Verdict(Action.PARTIAL, text)


def ratios(found: Survey) -> Floats:
    """Return current over target weight for each name.

    A target of zero, or one on the other side of zero, makes the ratio infinite while anything is
    held and zero when nothing is: to hold what is not wanted is concentration without limit.
    """
    held = np.abs(found.expected) > NOISE
    is_comparable = found.target * found.expected > 0
    divisor = np.where(is_comparable, found.target, 1.0)
    ratio: Floats = np.where(is_comparable, found.expected / divisor, np.where(held, np.inf, 0.0))
    return ratio


def concentration(found: Survey, decision: Decision) -> Verdict | None:
    """Ask for FULL when one name holds a multiple of its target above the concentration ratio.

    Names whose gap is within `any_drift` do not count: nothing tolerated can force a trade.
    """
    limit = float(decision.concentration_ratio)
    is_tolerated = np.abs(found.gap) <= float(decision.any_drift) + NOISE
    ratio = np.where(is_tolerated, 0.0, ratios(found))
    if not ratio.size or ratio.max() <= limit + NOISE:
        return None
    worst = int(ratio.argmax())
    times = f"{ratio[worst]:.2f} times" if np.isfinite(ratio[worst]) else "against"
    text = (
        f"{found.symbols[worst]} is {found.expected[worst]:.2%} of NAV, {times} its target of "
        f"{found.target[worst]:.2%}, the limit is {limit:.2f} times"
    )
    return Verdict(Action.FULL, text)


def crisis(found: Survey, decision: Decision, regime: Regime) -> Verdict | None:
    """Ask for IMMEDIATE when the request declares a crisis and the summed drift is above its threshold."""
    limit = float(decision.crisis_drift)
    if regime is not Regime.CRISIS or found.drift <= limit + NOISE:
        return None
    text = f"drift of {found.drift:.2%} of NAV in a crisis, the limit is {limit:.2%}"
    return Verdict(Action.IMMEDIATE, text)


def decide(found: Survey, decision: Decision, regime: Regime) -> Verdict:
    """Choose the action: the most severe trigger that fires; without one, FULL above `any_drift` or HOLD."""
    fired = [
        verdict
        for verdict in (
            single_asset(found, decision),
            concentration(found, decision),
            crisis(found, decision, regime),
        )
        if verdict is not None
    ]
    if fired:
        fired.sort(key=lambda verdict: SEVERITY.index(verdict.action), reverse=True)
        return Verdict(fired[0].action, "; ".join(verdict.reason for verdict in fired))
    limit = float(decision.any_drift)
    if found.max_drift <= limit + NOISE:
        return Verdict(Action.HOLD, f"largest drift {found.max_drift:.2%} is within {limit:.2%} of NAV")
    text = f"requested: largest drift {found.max_drift:.2%} is above {limit:.2%} of NAV, no trigger fired"
    return Verdict(Action.FULL, text)
