"""Standing targets: what an account was last told to be, and how far from it it was last seen to be.

Rules of this room:
1. Targets stand from the moment they are decided to be traded; a preview never stands, nor does what still
   waits for an approval.
2. Who cancels a request takes its word back: drift from it is still told, but nothing is sent for it.
3. A day is a session of the account's exchange, named by its ISO date.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from gateway.domain.request import Others, PolicyName
from gateway.domain.schedule import ScheduleOverride


class DriftLevel(StrEnum):
    """Say how serious a drift is; UNKNOWN: it could not be measured."""

    CALM = "calm"
    UNKNOWN = "unknown"
    WARNING = "warning"
    CRITICAL = "critical"

    def is_news_after(self, told: tuple[DriftLevel, ...]) -> bool:
        """Say whether a person who was told these levels today should be told this one, too."""
        if self is DriftLevel.CALM or self in told:
            return False
        return self is not DriftLevel.WARNING or DriftLevel.CRITICAL not in told


@dataclass(frozen=True, slots=True)
class Standing:
    """Hold the targets (weights of NAV) that an account is watched against, and the request they came with.

    `cancelled_by` names who cancelled that request, empty when nobody did.
    """

    request_id: str
    since: datetime
    targets: dict[str, Decimal]
    others: Others
    execution: ScheduleOverride | None = None
    cancelled_by: str = ""
    policy: PolicyName | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold the last look at an account: when, in which session, what was found, what has been told that day.

    `max_drift` is the largest gap of one name in weight, `symbol` that name, `drift` the sum of all gaps.
    """

    at: datetime
    session: str
    level: DriftLevel
    drift: float
    max_drift: float
    symbol: str
    told: tuple[DriftLevel, ...] = ()
