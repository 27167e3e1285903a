"""Timing: trends delay the sale of winners, a stormy market hastens; both within bounds, off by default.

Rules of this room:
1. Nothing here makes a trade larger or in the other direction than its gap; a risk limit is never widened.
2. A sale is delayed only while its gap is within the single-asset band widened by `WIDENING`; beyond it,
   or when the market is stormy, the trend is not asked.
3. Signals older than `MAX_AGE_DAYS` say nothing.
4. It is a drawdown control, not a source of return: over 1991-2022 the S&P 500 held only after a rise
   over 12 months earned 8.2 % a year on average, always held 8.65 %; the worst drawdowns were 20 % and
   53 % (tests/unit/decision/test_timing.py).
"""

from __future__ import annotations

import numpy as np

from gateway.decision.drafting import share_of
from gateway.decision.drift import NOISE, Floats, Survey
from gateway.decision.regime import Signals
from gateway.decision.triggers import Verdict
from gateway.decision.view import View
from gateway.domain.settings import Decision
from gateway.events import Action, Regime

WIDENING = 0.5
MAX_AGE_DAYS = 7
MONTHS = 12


def momentum_positions(monthly_prices: Floats, months: int = MONTHS) -> Floats:
    """Return +1 or -1 for each month: the sign of the return over the `months` before it began.

    `monthly_prices` (m,) are month-end closes; entry i is the position held from close `months` + i to
    the next, so there are m - months - 1 of them. Flat prices count as up.
    Source: Moskowitz, Ooi & Pedersen 2012, "Time series momentum", J. Financial Economics 104(2).
    """
    past = monthly_prices[months:-1] / monthly_prices[: -months - 1] - 1
    found: Floats = np.where(past >= 0, 1.0, -1.0)
    return found


def adjusted(verdict: Verdict, view: View, found: Survey) -> Verdict:
    """Return the verdict with what trends and the measured regime change, or the verdict itself.

    A stormy market (hysteresis of `regime.signals`) turns PARTIAL, and HOLD above `crisis_drift`, into
    FULL; it is not IMMEDIATE, which only a declared crisis is. Else sales of names that rose over twelve
    months are left out while their gap is in bounds, and a verdict of which nothing is left is HOLD.
    """
    known = view.signals
    if known is None or (view.trade_date - known.as_of).days > MAX_AGE_DAYS:
        return verdict
    decision = view.account.decision
    if known.regime is Regime.CRISIS:
        is_late = verdict.action is Action.HOLD and found.drift > float(decision.crisis_drift) + NOISE
        if verdict.action is not Action.PARTIAL and not is_late:
            return verdict
        text = f"hastened: volatility is {known.vol_ratio:.1f} times its median; {verdict.reason}"
        return Verdict(Action.FULL, text)
    return _delayed(verdict, found, decision, known) if verdict.action is not Action.HOLD else verdict


def _delayed(verdict: Verdict, found: Survey, decision: Decision, known: Signals) -> Verdict:
    """Leave out the sales of rising names whose gap is in bounds."""
    trade = verdict.trade
    if trade is None:
        trade = found.gap * share_of(verdict.action, decision)
    trend = np.array([known.momentum.get(symbol, 0.0) for symbol in found.symbols])
    bound = float(decision.single_asset_drift) * (1 + WIDENING)
    is_delayed = (trade < -NOISE) & (trend > 0) & (np.abs(found.gap) <= bound + NOISE)
    if not is_delayed.any():
        return verdict
    names = [symbol for symbol, late in zip(found.symbols, is_delayed.tolist(), strict=True) if late]
    text = f"{verdict.reason}; sales of rising {', '.join(names[:5])} wait"
    left = np.where(is_delayed, 0.0, trade)
    if not (np.abs(left) > NOISE).any():
        return Verdict(Action.HOLD, text)
    return Verdict(verdict.action, text, left, verdict.worth, verdict.notes)
