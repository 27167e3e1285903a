"""The agenda: what is due when by the exchanges' calendars. It asks; the engine decides.

Rules of this room:
1. A look at an account's drift is due at fixed times of a session, none while its exchange is closed; a
   look missed, by a restart or a sleep, is made up for while the session lasts.
2. Every look is an event in the inbox. Which was the last one is read from the engine's state, so that a
   restart asks again for what was not answered and for nothing else.
3. Nothing is asked in the first `settle_s` seconds: links come up and prices arrive.
4. The week's report is written by a process of its own, once a week, after its last session.
5. Whatever fails here is told once and tried again; trading never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.domain.settings import Monitoring, Settings
from gateway.domain.standing import DriftLevel
from gateway.errors import ConfigError
from gateway.events import Alert, CheckDue
from gateway.oms.state import State
from gateway.runtime.clock import Clock
from gateway.runtime.exchange import Calendar, Session, learn
from gateway.runtime.loop import Inbox, Item

TICK_S: Final = 5.0
SETTLE_S: Final = 30.0
AGAIN_S: Final = timedelta(minutes=5)
"""An account whose drift could not be measured is looked at again this much later."""
REPORT_AFTER: Final = timedelta(hours=1)
FAILED_PAUSE: Final = timedelta(hours=1)

Report = Callable[[str], Awaitable[str]]
"""Write the report of a week (`2026-W48`); return the file's name, empty when it stands there already."""


def slot(session: Session, monitoring: Monitoring, now: datetime) -> datetime | None:
    """Return the newest time of a session, at or before `now`, at which a look was due.

    The last one is `before_close_s` before the close, early closes included; a session too short for the
    first has that one only. None before the first, and when the session is over.
    """
    if not session.is_open(now):
        return None
    last = max(session.opens_at, session.closes_at - timedelta(seconds=float(monitoring.before_close_s)))
    first = min(session.opens_at + timedelta(seconds=float(monitoring.first_check_s)), last)
    if now < first:
        return None
    if now >= last:
        return last
    every = timedelta(seconds=float(monitoring.every_s))
    return first + (now - first) // every * every


@dataclass(slots=True)
class Agenda:
    """Ask for what is due, for ever."""

    settings: Settings
    state: Callable[[], State]
    clock: Clock
    inbox: Inbox
    folder: Path
    alert: Callable[[Alert], None]
    report: Report | None = None
    settle_s: float = SETTLE_S
    tick_s: float = TICK_S
    calendars: dict[str, Calendar] = field(default_factory=dict)
    _asked: dict[str, datetime] = field(default_factory=dict)
    _not_before: dict[str, datetime] = field(default_factory=dict)
    _reported: str = ""

    async def run(self) -> None:
        """Look what is due, every few seconds, until cancelled."""
        await asyncio.sleep(self.settle_s)
        while True:
            await self.turn()
            await asyncio.sleep(self.tick_s)

    async def turn(self) -> None:
        """Ask once for everything that is due now."""
        now, sessions = self.clock.now(), dict[str, Session | None]()
        for name, account in self.settings.accounts.items():
            watched = account.monitoring
            if not watched.is_on or name not in self.state().standing:
                continue
            if watched.calendar not in sessions:
                calendar = await self._calendar(watched.calendar)
                sessions[watched.calendar] = calendar.session_at(now) if calendar is not None else None
            session = sessions[watched.calendar]
            if session is not None:
                await self._look(name, watched, session, now)
        if self.report is not None:
            await self._report()

    async def _look(self, account: str, monitoring: Monitoring, session: Session, now: datetime) -> None:
        """Ask for a look at one account when one is due in this session."""
        due = slot(session, monitoring, now)
        if due is None or not self._is_wanted(account, due, now):
            return
        self._asked[account] = now
        await self.inbox.put([Item(CheckDue(now, account, session.day.isoformat(), session.closes_at))])

    def _is_wanted(self, account: str, due: datetime, now: datetime) -> bool:
        """Say whether a look due at `due` has neither been made nor been asked for."""
        seen, asked = self.state().seen.get(account), self._asked.get(account)
        if seen is not None and seen.at >= due:
            return seen.level is DriftLevel.UNKNOWN and now >= max(seen.at, asked or seen.at) + AGAIN_S
        return asked is None or asked < due

    async def _calendar(self, name: str) -> Calendar | None:
        """Return an exchange's calendar, None while it cannot be had: that is told, and tried again later."""
        now = self.clock.now()
        known = self.calendars.get(name)
        if known is not None and known.covers(now):
            return known
        if now < self._not_before.get(name, now):
            return known
        try:
            self.calendars[name] = known = await learn(name, now, self.folder)
        except ConfigError as problem:
            self._not_before[name] = now + FAILED_PAUSE
            self.alert(Alert("critical", "CalendarUnknown", f"drift is not watched: {problem}"))
        return known

    async def _report(self) -> None:
        """Write the report of the newest week that is over, once."""
        now = self.clock.now()
        opened = self.state().opened
        watched = [account.monitoring.calendar for account in self.settings.accounts.values()]
        if not opened or not watched:
            return
        monday = now.date() - timedelta(days=now.weekday())
        calendar = self.calendars.get(watched[0])
        for begins in (monday, monday - timedelta(days=7)):
            closed_at = _closed_at(calendar, begins)
            week = name_of(begins)
            if now < closed_at + REPORT_AFTER or min(opened.values()) > closed_at:
                continue
            if week != self._reported and now >= self._not_before.get(week, now):
                await self._write(week, now)
            return

    async def _write(self, week: str, now: datetime) -> None:
        assert self.report is not None  # noqa: S101 - `turn` asks only then
        try:
            path = await self.report(week)
        except ConfigError as problem:
            self._not_before[week] = now + FAILED_PAUSE
            self.alert(Alert("warning", "ReportFailed", f"the report of {week} was not written: {problem}"))
            return
        self._reported = week
        if path:
            self.alert(Alert("info", "WeeklyReport", f"the report of {week} stands in {path}"))


def name_of(day: date) -> str:
    """Return the ISO week of a date, like 2026-W48."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _closed_at(calendar: Calendar | None, monday: date) -> datetime:
    """Return when the last session of a week closed; without a calendar, when the week is over (UTC)."""
    after = monday + timedelta(days=7)
    known = calendar.last_close_before(after) if calendar is not None else None
    if known is not None and known.date() >= monday:
        return known
    return datetime.fromisoformat(f"{after.isoformat()}T00:00:00+00:00")
