"""The one module that reads the clock.

Rules of this room:
1. Whoever needs the time is given a `Clock`; nobody else calls the operating system.
2. `now` never goes backwards within a process. When the wall clock is set back, `now` runs at half
   speed until the wall has caught up: deadlines still come, nothing happens "before" its cause.
3. `monotonic` counts the time a machine sleeps (CLOCK_BOOTTIME), so that a lease held before a laptop
   was closed is known to be over when it is opened.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """Tell the time."""

    def now(self) -> datetime:
        """Return the time, aware UTC, never before an earlier answer."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment, sleep included."""
        ...


def _wall() -> datetime:
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Return seconds since some fixed moment, those the machine slept included."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class SystemClock:
    """The machine's own clock, made to never go backwards. The two readings are arguments for tests."""

    def __init__(
        self, wall: Callable[[], datetime] = _wall, monotonic: Callable[[], float] = monotonic_s
    ) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._last = wall()
        self._last_at = monotonic()

    def now(self) -> datetime:
        """Return the time, aware UTC, never before an earlier answer."""
        wall, at = self._wall(), self.monotonic()
        if wall < self._last:
            wall = self._last + timedelta(seconds=max(0.0, at - self._last_at) / 2)
        self._last, self._last_at = wall, at
        return wall


class SimulatedClock:
    """A clock that began at `start` when `anchor_file` was first written and has run on since.

    The file remembers the pair (start, wall time); a restart reads it and goes on where real time
    stands now, whatever `start` it is given.
    """

    def __init__(self, start: datetime, anchor_file: Path, clock: SystemClock | None = None) -> None:
        if start.tzinfo is None:
            raise ValueError("start is naive; give it a time zone")
        self._clock = clock or SystemClock()
        self.monotonic = self._clock.monotonic
        self._offset = self._read(anchor_file, start)
        self._last = self._clock.now() + self._offset

    def _read(self, anchor_file: Path, start: datetime) -> timedelta:
        """Return simulated less wall time, writing the anchor when there is none."""
        try:
            anchor = json.loads(anchor_file.read_text(encoding="utf-8"))
            return datetime.fromisoformat(anchor["start"]) - datetime.fromisoformat(anchor["wall"])
        except (OSError, ValueError, KeyError, TypeError):
            wall = self._clock.now()
        anchor_file.parent.mkdir(parents=True, exist_ok=True)
        part = anchor_file.with_suffix(".part")
        text = json.dumps({"start": start.astimezone(UTC).isoformat(), "wall": wall.isoformat()})
        with part.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(anchor_file)
        return start - wall

    def now(self) -> datetime:
        """Return the simulated time, aware UTC, never before an earlier answer."""
        self._last = max(self._last, self._clock.now() + self._offset)
        return self._last


ANCHOR: Final = "clock.json"


def clock_of(state_folder: Path | None) -> Clock:
    """Return the clock that the gateway of this folder goes by: simulated when its anchor stands there."""
    if state_folder is not None and (anchor := state_folder / ANCHOR).exists():
        return SimulatedClock(datetime.now(UTC), anchor)
    return SystemClock()
