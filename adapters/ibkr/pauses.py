"""Planned restarts of TWS: nothing is sent shortly before, and nothing until it is over. Pure.

Rules of this room:
1. TWS and IB Gateway restart every day at a minute the user has set, and want a full login after Sunday
   01:00 in New York; an order written in the last moments before was lost.
2. A pause ends when its time is over; whoever asks then reconciles before anything is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

SUNDAY = 6


@dataclass(frozen=True, slots=True)
class Restart:
    """Say when it begins (wall clock of `zone`), on which weekday (None: daily), and how long it may take.

    Sending stops `lead_s` seconds before and goes on `lasts_s` seconds after.
    """

    at: time
    zone: str
    weekday: int | None = None
    lead_s: float = 30.0
    lasts_s: float = 120.0

    def holds(self, now: datetime) -> bool:
        """Say whether `now` (aware) falls into this restart."""
        zone = ZoneInfo(self.zone)
        here = now.astimezone(zone)
        for days in (-1, 0, 1):
            day = (here + timedelta(days=days)).date()
            if self.weekday is not None and day.weekday() != self.weekday:
                continue
            for fold in (0, 1):  # a minute the clocks go back over comes twice, one they leap over not at all
                begins = datetime.combine(day, self.at.replace(fold=fold), zone)
                since_s = (now - begins).total_seconds()
                if -self.lead_s <= since_s < self.lasts_s:
                    return True
        return False


def planned(restarts: tuple[Restart, ...], now: datetime) -> str:
    """Name the restart that `now` falls into, empty when none."""
    for one in restarts:
        if one.holds(now):
            day = "weekly" if one.weekday is not None else "daily"
            return f"planned {day} restart at {one.at:%H:%M} {one.zone}"
    return ""
