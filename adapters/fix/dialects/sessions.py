"""Session policies as arithmetic: when numbers begin again, and how long to wait before connecting.

Rules of this room:
1. Pure: the time is an argument. The child process keeps what must survive it (see child.py).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = "Day"
MARGIN_S = 1.0
"""Added between two connects, so that a clock's grain never makes one too many of a minute's."""

_WHEN = re.compile(rf"({'|'.join((*DAYS, EVERY_DAY))}) ([01]\d|2[0-3]):([0-5]\d)")


def period_start(now: datetime, starts: str, zone: str) -> datetime:
    """Return the latest moment `starts` (as in "Mon 05:00" or "Day 17:00") of a zone at or before `now`."""
    found = _WHEN.fullmatch(starts)
    if found is None:
        raise ValueError(f"{starts!r} is no moment: write it like Mon 05:00 or Day 17:00")
    day, hour, minute = found.groups()
    local = now.astimezone(ZoneInfo(zone))
    for back in range(8):
        date = local.date() - timedelta(days=back)
        at = datetime(date.year, date.month, date.day, int(hour), int(minute), tzinfo=local.tzinfo)
        if at.astimezone(UTC) <= now and day in (EVERY_DAY, DAYS[at.weekday()]):
            return at.astimezone(UTC)
    raise AssertionError("a week has seven days")


def is_reset_due(now: datetime, starts: str, zone: str, last_reset: datetime | None) -> bool:
    """Say whether the next logon is the first of its period, so that both sides begin at 1."""
    return last_reset is None or last_reset < period_start(now, starts, zone)


def pause_between_connects_s(per_minute: int) -> float:
    """Return the seconds between two connects that keep every minute within the venue's limit."""
    return 60.0 / per_minute + MARGIN_S if per_minute else 0.0


def pause_before_connect_s(now: datetime, last_connect: datetime | None, per_minute: int) -> float:
    """Return the seconds to wait before a new process may connect for the first time."""
    if last_connect is None or not per_minute:
        return 0.0
    spacing = pause_between_connects_s(per_minute)
    return min(spacing, max(0.0, spacing - (now - last_connect).total_seconds()))


def check_moment(starts: str, zone: str) -> None:
    """Raise ValueError with a sentence when a moment or its zone cannot be read."""
    try:
        period_start(datetime(2024, 1, 1, tzinfo=UTC), starts, zone)
    except (ZoneInfoNotFoundError, ValueError) as problem:
        raise ValueError(str(problem)) from None
