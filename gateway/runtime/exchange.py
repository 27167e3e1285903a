"""When exchanges are open: sessions with their early closes, from the library `exchange_calendars`.

Rules of this room:
1. The library brings pandas, 80 MB and most of a second: it is loaded in a process of its own, which
   prints the sessions and ends (`python -m gateway.runtime.exchange XNYS 2026-01-01 2026-12-31`).
2. What was learnt is kept in the state folder, so that a restart need not ask again.
3. A session is a pair of instants; the trading gateway knows nothing else of an exchange.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from gateway.errors import ConfigError

BEHIND = timedelta(days=14)
AHEAD = timedelta(days=90)
RENEW_BEFORE = timedelta(days=14)
"""Sessions are asked for again when fewer days than this are known ahead."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """Name one trading day of an exchange: its date there, when it opens and closes (UTC)."""

    day: date
    opens_at: datetime
    closes_at: datetime

    def is_open(self, at: datetime) -> bool:
        """Say whether the exchange trades at an instant; at the close it does not."""
        return self.opens_at <= at < self.closes_at


@dataclass(frozen=True, slots=True)
class Calendar:
    """Hold the sessions of one exchange whose dates lie from `first` to `last`, in order."""

    name: str
    first: date
    last: date
    sessions: tuple[Session, ...]

    def session_at(self, at: datetime) -> Session | None:
        """Return the session under way at an instant, None when the exchange is closed."""
        return next((one for one in self.sessions if one.is_open(at)), None)

    def last_close_before(self, day: date) -> datetime | None:
        """Return when the last session before a date closed, None when none is known."""
        closes = [one.closes_at for one in self.sessions if one.day < day]
        return closes[-1] if closes else None

    def covers(self, at: datetime) -> bool:
        """Say whether enough is known around an instant."""
        return self.first <= at.date() - timedelta(days=7) and at.date() + RENEW_BEFORE <= self.last


def sessions_of(name: str, first: date, last: date) -> list[dict[str, str]]:
    """Ask the library for the sessions of `first` to `last`; raises `ConfigError` for an unknown exchange."""
    import exchange_calendars  # noqa: PLC0415 - heavy: only this function may load it

    if name not in exchange_calendars.get_calendar_names():
        raise ConfigError(
            f"no exchange calendar {name!r}; write a market code like XNYS, XLON or XETR, "
            "or 24/5 for currencies"
        )
    known = exchange_calendars.get_calendar(
        name, start=first - timedelta(days=7), end=last + timedelta(days=7)
    )
    return [
        {
            "day": f"{row.Index:%Y-%m-%d}",
            "opens_at": row.open.astimezone(UTC).isoformat(),
            "closes_at": row.close.astimezone(UTC).isoformat(),
        }
        for row in known.schedule.itertuples()
        if first <= row.Index.date() <= last
    ]


async def learn(name: str, around: datetime, folder: Path) -> Calendar:
    """Return an exchange's sessions around an instant, from the state folder or from the library.

    Raises `ConfigError` when the exchange is not known or the library does not answer.
    """
    path = folder / f"exchange-{name.replace('/', '-')}.json"
    known = _read(path, name)
    if known is not None and known.covers(around):
        return known
    first, last = (around - BEHIND).date(), (around + AHEAD).date()
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.runtime.exchange", name, first.isoformat(), last.isoformat(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as problem:
        raise ConfigError(f"monitoring.calendar: no process can be started: {problem.strerror}") from None
    try:
        output, errors = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines() or ["no answer"]
        raise ConfigError(f"monitoring.calendar: {lines[-1][:300]}")
    _write(path, output.decode())
    found = _read(path, name)
    if found is None:
        raise ConfigError(f"monitoring.calendar: {path} cannot be written or read; free the disk")
    return found


def _read(path: Path, name: str) -> Calendar | None:
    """Read what was learnt before; None when there is nothing, or it is damaged."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        sessions = tuple(
            Session(
                date.fromisoformat(one["day"]),
                datetime.fromisoformat(one["opens_at"]),
                datetime.fromisoformat(one["closes_at"]),
            )
            for one in document["sessions"]
        )
        first, last = date.fromisoformat(document["first"]), date.fromisoformat(document["last"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Calendar(name, first, last, sessions) if document["name"] == name else None


def _write(path: Path, text: str) -> None:
    try:
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as problem:
        log.warning("%s: %s", path, problem.strerror)


def main(arguments: Sequence[str]) -> int:
    """Print the sessions of an exchange between two dates as JSON."""
    name, first, last = arguments
    try:
        sessions = sessions_of(name, date.fromisoformat(first), date.fromisoformat(last))
    except (ConfigError, ImportError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    document = {"name": name, "first": first, "last": last, "sessions": sessions}
    sys.stdout.write(json.dumps(document) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
