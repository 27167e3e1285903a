"""When a venue takes logons: its daily maintenance window, and what an operator closes by hand.

Rules of this room:
1. Arithmetic only: the time is an argument, and aware UTC.
2. What is closed by hand is forgotten when the process ends; the daily window is an option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

DAY = timedelta(days=1)
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class WindowError(ValueError):
    """Say that a maintenance window cannot be read, and how to write one."""


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window every day, UTC; it may reach over midnight."""

    start: time
    length: timedelta

    def end(self, now: datetime) -> datetime | None:
        """Return the end of the window `now` lies in, None when it lies in none."""
        for day in (now.date(), now.date() - DAY):
            begin = datetime.combine(day, self.start, UTC)
            if begin <= now < begin + self.length:
                return begin + self.length
        return None

    def next_start(self, now: datetime) -> datetime:
        """Return the next moment after `now` at which the window begins."""
        begin = datetime.combine(now.date(), self.start, UTC)
        return begin if begin > now else begin + DAY


def read_window(text: str) -> Window:
    """Read `HH:MM-HH:MM`, UTC; raises `WindowError`."""
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise WindowError(f"{text!r} is no window; write it like 21:00-21:30, in UTC")
    from_hour, from_minute, to_hour, to_minute = (int(one) for one in found.groups())
    length = timedelta(hours=to_hour - from_hour, minutes=to_minute - from_minute)
    return Window(time(from_hour, from_minute), length if length > timedelta(0) else length + DAY)


class Hours:
    """Say whether a venue takes logons now; every session of the venue shares one."""

    def __init__(self, window: Window | None = None) -> None:
        self._window = window
        self._closed_until: datetime | None = None

    def close(self, until: datetime) -> None:
        """Take no logon before `until`."""
        self._closed_until = until

    def refusal(self, now: datetime) -> str:
        """Say why no session may live now, empty when one may."""
        by_hand = self._closed_until
        until = self._window.end(now) if self._window is not None else None
        if by_hand is not None and now < by_hand and (until is None or until < by_hand):
            until = by_hand
        return "" if until is None else f"maintenance until {until:%H:%M:%S} UTC; log on again then"

    def next_closing(self, now: datetime) -> datetime | None:
        """Return when the daily window next begins."""
        return self._window.next_start(now) if self._window is not None else None
