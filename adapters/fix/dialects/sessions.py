"""Session policies as arithmetic: when numbers begin again, and how long to wait before connecting.

Rules of this room:
1. Pure: the time is an argument. The child process keeps what must survive it (see standing.py).
2. A maintenance window is written like 21:00-21:30, for every day, or Sat 22:00-02:00, over midnight.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = "Day"
MARGIN_S = 1.0
"""Added between two connects, so that a clock's grain never makes one too many of a minute's."""

_WINDOW = re.compile(rf"(?:({'|'.join((*DAYS, EVERY_DAY))}) )?(\d\d:\d\d)-(\d\d:\d\d)")
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


def is_in_window(now: datetime, window: str, zone: str) -> bool:
    """Say whether `now` lies in a maintenance window."""
    starts, length = _read_window(window)
    return now < period_start(now, starts, zone) + length


def window_end(now: datetime, window: str, zone: str) -> datetime:
    """Return the end of the last maintenance window that is over."""
    starts, length = _read_window(window)
    began = period_start(now, starts, zone)
    if now < began + length:
        began = period_start(began - timedelta(seconds=1), starts, zone)
    return began + length


def _read_window(window: str) -> tuple[str, timedelta]:
    """Return the moment a window starts, as `period_start` takes it, and how long it is."""
    found = _WINDOW.fullmatch(window)
    if found is None or found[2] == found[3]:
        raise ValueError(f"{window!r} is no window: write it like 21:00-21:30 or Sat 22:00-02:00")
    day, start, end = found.groups()
    minutes = [int(one[:2]) * 60 + int(one[3:]) for one in (start, end)]
    return f"{day or EVERY_DAY} {start}", timedelta(minutes=(minutes[1] - minutes[0]) % 1440)


def check_window(window: str, zone: str) -> None:
    """Raise ValueError with a sentence when a window or its zone cannot be read."""
    starts, _ = _read_window(window)
    check_moment(f"{EVERY_DAY} {window[-5:]}", zone)
    check_moment(starts, zone)


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
