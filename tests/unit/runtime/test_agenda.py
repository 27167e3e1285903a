"""What is due when: by a clock set by hand and sessions written out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.request import Others
from gateway.domain.settings import AccountSettings, Monitoring, Settings
from gateway.domain.standing import DriftLevel, Seen, Standing
from gateway.errors import ConfigError
from gateway.events import Alert, CheckDue
from gateway.oms.state import State
from gateway.runtime import agenda as room
from gateway.runtime.agenda import Agenda, name_of, slot
from gateway.runtime.exchange import Calendar, Session
from gateway.runtime.loop import Inbox

D = Decimal
OPENS = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
WHOLE = Session(OPENS.date(), OPENS, OPENS + timedelta(hours=6.5))
EARLY = Session(date(2026, 11, 27), OPENS + timedelta(days=2), OPENS + timedelta(days=2, hours=3.5))
CALENDAR = Calendar("XNYS", date(2026, 11, 1), date(2027, 1, 31), (WHOLE, EARLY))
MONITORING = Monitoring(first_check_s=D(1800), every_s=D(3600), before_close_s=D(900))


def after(**words: float) -> datetime:
    return OPENS + timedelta(**words)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (after(minutes=-1), None),
        (after(minutes=29), None),
        (after(minutes=30), after(minutes=30)),
        (after(minutes=89), after(minutes=30)),
        (after(minutes=90), after(minutes=90)),
        (after(hours=6, minutes=14), after(hours=5, minutes=30)),
        (after(hours=6, minutes=15), after(hours=6, minutes=15)),
        (after(hours=6, minutes=29), after(hours=6, minutes=15)),
        (after(hours=6.5), None),
    ],
)
def test_looks_are_due_at_fixed_times_of_a_session(now: datetime, due: datetime | None) -> None:
    assert slot(WHOLE, MONITORING, now) == due


def test_an_early_close_brings_the_last_look_forward() -> None:
    last = EARLY.closes_at - timedelta(minutes=15)
    assert slot(EARLY, MONITORING, last) == last
    assert slot(EARLY, MONITORING, EARLY.closes_at - timedelta(seconds=1)) == last
    assert slot(EARLY, MONITORING, EARLY.closes_at) is None


def test_a_session_shorter_than_the_wait_has_one_look() -> None:
    short = Session(WHOLE.day, OPENS, after(minutes=20))
    assert slot(short, MONITORING, after(minutes=4)) is None
    assert slot(short, MONITORING, after(minutes=5)) == after(minutes=5)
    tiny = Session(WHOLE.day, OPENS, after(minutes=10))
    assert slot(tiny, MONITORING, OPENS) == OPENS


@given(
    length=st.integers(60, 86_400), first=st.integers(0, 86_400), every=st.integers(60, 86_400),
    before=st.integers(0, 86_400), at=st.integers(-3600, 90_000),
)  # fmt: skip
def test_a_look_is_due_only_in_the_session_and_never_in_the_future(
    length: int, first: int, every: int, before: int, at: int
) -> None:
    session = Session(WHOLE.day, OPENS, after(seconds=length))
    asked = Monitoring(first_check_s=D(first), every_s=D(every), before_close_s=D(before))
    now = after(seconds=at)
    due = slot(session, asked, now)
    if not session.is_open(now):
        assert due is None
    elif due is not None:
        assert session.opens_at <= due <= now
        assert due <= max(session.opens_at, session.closes_at - timedelta(seconds=before))
    assert slot(session, asked, max(OPENS, session.closes_at - timedelta(seconds=1))) is not None or (
        min(first, max(0, length - before)) > length - 1
    )


@dataclass
class HandClock:
    at: datetime

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class Stand:
    """An agenda with one account whose targets stand, and what came of it."""

    agenda: Agenda
    clock: HandClock
    state: State
    alerts: list[Alert] = field(default_factory=list)

    async def due(self, at: datetime) -> list[CheckDue]:
        self.clock.at = at
        await self.agenda.turn()
        if not len(self.agenda.inbox):
            return []
        found = [item.event for item in await self.agenda.inbox.take()]
        assert all(isinstance(event, CheckDue) for event in found)
        return found  # type: ignore[return-value]

    def answer(self, at: datetime, level: DriftLevel = DriftLevel.CALM) -> None:
        self.state.seen["main"] = Seen(at, "2026-11-25", level, 0.0, 0.0, "")


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    account = AccountSettings("main", "sim", monitoring=MONITORING)
    off = replace(account, name="off", monitoring=Monitoring(is_on=False))
    settings = Settings("H", {"main": account, "off": off}, {})
    state, clock, alerts = State(), HandClock(OPENS), list[Alert]()
    for name in settings.accounts:
        state.standing[name] = Standing("R1", OPENS, {}, Others.KEEP)
    made = Agenda(settings, lambda: state, clock, Inbox(), tmp_path, alerts.append)
    made.calendars["XNYS"] = CALENDAR
    return Stand(made, clock, state, alerts)


async def test_a_look_is_asked_for_once_and_again_at_the_next_time(stand: Stand) -> None:
    assert await stand.due(after(minutes=10)) == []
    at = after(minutes=31)
    assert await stand.due(at) == [CheckDue(at, "main", "2026-11-25", WHOLE.closes_at)]
    assert await stand.due(after(minutes=32)) == []
    stand.answer(after(minutes=31, seconds=1))
    assert await stand.due(after(minutes=33)) == []
    assert len(await stand.due(after(minutes=90))) == 1


async def test_a_restart_makes_up_for_a_look_that_was_not_answered_only(stand: Stand) -> None:
    stand.answer(after(days=-1))
    assert len(await stand.due(after(hours=3))) == 1
    stand.agenda._asked.clear()
    stand.answer(after(hours=2, minutes=45))
    assert await stand.due(after(hours=3)) == []


async def test_an_unknown_drift_is_looked_at_again_after_a_while(stand: Stand) -> None:
    await stand.due(after(minutes=31))
    stand.answer(after(minutes=31), DriftLevel.UNKNOWN)
    assert await stand.due(after(minutes=35)) == []
    assert len(await stand.due(after(minutes=36))) == 1
    assert await stand.due(after(minutes=37)) == []
    stand.answer(after(minutes=36), DriftLevel.UNKNOWN)
    assert len(await stand.due(after(minutes=41))) == 1


async def test_nothing_is_due_while_the_exchange_is_closed_or_nothing_stands(stand: Stand) -> None:
    assert await stand.due(after(days=1, hours=2)) == []
    stand.state.standing.clear()
    assert await stand.due(after(hours=2)) == []


async def test_a_calendar_that_cannot_be_had_is_told_and_tried_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    async def learn(name: str, around: datetime, folder: Path) -> Calendar:
        del around, folder
        tries.append(name)
        if len(tries) < 2:
            raise ConfigError("monitoring.calendar: no exchange calendar 'XNYS'")
        return CALENDAR

    monkeypatch.setattr(room, "learn", learn)
    stand.agenda.calendars.clear()
    assert await stand.due(after(hours=2)) == []
    assert await stand.due(after(hours=2, minutes=1)) == []
    assert [(one.severity, one.code) for one in stand.alerts] == [("critical", "CalendarUnknown")]
    assert len(await stand.due(after(hours=3, minutes=1))) == 1
    assert len(tries) == 2


async def test_an_old_calendar_goes_on_until_a_new_one_is_there(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def learn(*_: object) -> Calendar:
        raise ConfigError("no")

    monkeypatch.setattr(room, "learn", learn)
    stand.agenda.calendars["XNYS"] = replace(CALENDAR, last=date(2026, 11, 28))
    assert len(await stand.due(after(hours=2))) == 1
    assert stand.alerts[0].code == "CalendarUnknown"


FRIDAY_EVENING = EARLY.closes_at + timedelta(hours=1)


def reporting(stand: Stand, write: Callable[[str], Awaitable[str]]) -> Stand:
    stand.agenda.report = write
    stand.state.standing.clear()
    stand.state.opened["main"] = OPENS - timedelta(days=30)
    return stand


async def test_the_week_is_reported_once_an_hour_after_its_last_session(stand: Stand) -> None:
    weeks: list[str] = []

    async def write(week: str) -> str:
        weeks.append(week)
        return f"reports/{week}.html"

    reporting(stand, write)
    await stand.due(FRIDAY_EVENING - timedelta(seconds=1))
    assert weeks == ["2026-W47"], "the week before was not written yet"
    for _ in range(3):
        await stand.due(FRIDAY_EVENING)
    assert weeks == ["2026-W47", "2026-W48"]
    assert stand.alerts[-1].code == "WeeklyReport"
    assert "reports/2026-W48.html" in stand.alerts[-1].text


async def test_a_week_before_the_first_account_is_not_reported(stand: Stand) -> None:
    weeks: list[str] = []

    async def write(week: str) -> str:
        weeks.append(week)
        return ""

    reporting(stand, write).state.opened["main"] = OPENS
    await stand.due(after(hours=1))
    stand.state.opened.clear()
    await stand.due(FRIDAY_EVENING)
    assert weeks == []
    stand.state.opened["main"] = OPENS
    await stand.due(FRIDAY_EVENING)
    assert (weeks, stand.alerts) == (["2026-W48"], [])


async def test_without_a_calendar_the_week_is_over_on_monday(stand: Stand) -> None:
    weeks: list[str] = []

    async def write(week: str) -> str:
        weeks.append(week)
        return ""

    reporting(stand, write).agenda.calendars.clear()
    stand.state.opened["main"] = OPENS
    await stand.due(FRIDAY_EVENING)
    assert weeks == []
    await stand.due(datetime(2026, 11, 30, 1, 0, tzinfo=UTC))
    assert weeks == ["2026-W48"]


async def test_a_report_that_failed_is_told_and_tried_again_later(stand: Stand) -> None:
    tries: list[str] = []

    async def write(week: str) -> str:
        tries.append(week)
        raise ConfigError("the disk is full")

    reporting(stand, write).state.opened["main"] = OPENS
    await stand.due(FRIDAY_EVENING)
    await stand.due(FRIDAY_EVENING + timedelta(minutes=59))
    assert len(tries) == 1
    assert stand.alerts[0].code == "ReportFailed"
    assert "the disk is full" in stand.alerts[0].text
    await stand.due(FRIDAY_EVENING + timedelta(minutes=60))
    assert len(tries) == 2


async def test_it_settles_first_and_then_looks_until_it_is_stopped(stand: Stand) -> None:
    stand.agenda.settle_s, stand.agenda.tick_s = 0.01, 0.001
    stand.clock.at = after(hours=1)
    task = asyncio.create_task(stand.agenda.run())
    assert len(await stand.agenda.inbox.take()) == 1
    await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_weeks_are_iso_weeks() -> None:
    assert (name_of(date(2026, 11, 28)), name_of(date(2027, 1, 1))) == ("2026-W48", "2026-W53")
