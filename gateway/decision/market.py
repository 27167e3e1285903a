"""The market as it is known from daily closes: the risk model and, where wanted, the signals.

Rules of this room:
1. It is made once, from a history somebody read; what could not be made says why, and what to do.
2. A model that has grown too old while the gateway ran is no longer shown to decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from gateway.decision.learned import LearnedRule
from gateway.decision.regime import Signals, signals
from gateway.decision.risk import History, Refusal, RiskModel, estimate
from gateway.domain.request import PolicyName
from gateway.domain.settings import Settings


@dataclass(frozen=True, slots=True)
class Market:
    """Hold what is known of the market; `words` say it, and what is missing, to a person.

    `learned` are the accounts' learned rules, where they have one.
    """

    risk: RiskModel | None = None
    signals: Signals | None = None
    words: str = "no price history: how names move together is assumed"
    learned: Mapping[str, LearnedRule] = field(default_factory=dict)

    def risk_on(self, today: date, settings: Settings) -> RiskModel | None:
        """Return the risk model while it is young enough, else None."""
        return None if self.risk is None or self._is_old(self.risk, today, settings) else self.risk

    def words_on(self, today: date, settings: Settings) -> str:
        """Return the words, and whether the model is out of use."""
        if self.risk is None or not self._is_old(self.risk, today, settings):
            return self.words
        return f"{self.words}; too old to use on {today}: append the closes since to the history"

    @staticmethod
    def _is_old(risk: RiskModel, today: date, settings: Settings) -> bool:
        return risk.age_days(today) > settings.risk.max_age_days


UNKNOWN = Market()


def look(history: History, today: date, settings: Settings) -> Market:
    """Make what the settings ask for of a history of daily closes.

    The signals are made when an account's timing is on; a market that cannot be judged has none.
    """
    wanted = settings.risk
    found = estimate(
        history, today,
        {symbol: float(one.volatility) for symbol, one in settings.instruments.items()},
        window=wanted.window_days, max_age_days=wanted.max_age_days,
        min_observations=wanted.min_observations, factors=wanted.factors,
    )  # fmt: skip
    if isinstance(found, Refusal):
        return Market(words=f"no risk model: {found.text}; how names move together is assumed")
    told = (
        f"risk of {len(found.symbols)} names to {found.as_of}, {found.observations} daily returns, "
        f"correlations shrunk by {found.shrinkage:.1%}"
    )
    has_timing = any(
        account.decision.timing or account.decision.policy is PolicyName.LEARNED
        for account in settings.accounts.values()
    )
    seen = signals(history) if has_timing else None
    if has_timing and seen is None:
        told += "; too short a history to judge the market's regime: timing does nothing"
    return Market(found, seen, "; ".join((told, *found.notes)))
