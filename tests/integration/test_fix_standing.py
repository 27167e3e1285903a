"""A venue that wants no more resets, and one that closes for maintenance: real sessions, real processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

from fix_desk_venue import Listener, Tap, open_venue, session_to
from patience import PATIENCE_S

from adapters.fix import child
from adapters.fix.engine import ChildEngine, Down, Up
from adapters.fix.initiator import initiator
from adapters.fix.spool import SpoolWriter


async def test_five_refused_resets_are_all_a_venue_ever_sees(tmp_path: Path) -> None:
    async with open_venue(password="right") as venue, Tap(venue) as tap:
        session = session_to(
            venue, tmp_path, reset_at="Mon 05:00", most_resets=5, username="user", password="wrong",
            **tap.address,
        )  # fmt: skip
        engine = ChildEngine(session)
        engine.start(0)
        listener = Listener(engine)
        barred, *_ = await listener.wait_for(Down)
        await asyncio.sleep(3)
        assert len(tap.connects) == 5, "nobody knocks any more"
        await engine.stop()
        await listener.task
        assert all("|141=Y|" in tap.messages("A", at)[0] for at in range(5))

        again = ChildEngine(session)
        again.start(0)
        listener = Listener(again)
        (same, *_) = await listener.wait_for(Down)
        await asyncio.sleep(1.5)
        await again.stop()
        await listener.task
        assert len(tap.connects) == 5, "nor does the next process"
        assert same.reason == barred.reason
        assert "call it, then remove" in same.reason

        (tmp_path / "reset-tries").unlink()
        last = ChildEngine(replace(session, password="right"))
        last.start(0)
        listener = Listener(last)
        up, *_ = await listener.wait_for(Up)
        await last.stop()
        await listener.task
        assert up.was_reset
        assert not (tmp_path / "reset-tries").exists()


class Telling:
    """Hear what the session tells the gateway, from whichever thread."""

    def __init__(self) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        self.tell = self._lines.put

    async def wait_for(self, line: str) -> None:
        def hear() -> None:
            while self._lines.get(timeout=PATIENCE_S) != line:
                pass

        await asyncio.to_thread(hear)


async def comes_up(session: child.Session, telling: Telling) -> None:
    """Ask again and again for the proof, as the process does, until the session is up."""

    async def ask() -> None:
        while True:
            await asyncio.sleep(0.2)
            session.ask_for_proof()

    asking = asyncio.create_task(ask())
    await telling.wait_for("up reset")
    asking.cancel()


async def test_a_session_leaves_before_maintenance_and_comes_back_behind_it(tmp_path: Path) -> None:
    """The child's own session, on a clock that the test moves."""
    now = datetime(2024, 5, 6, 20, 0, tzinfo=UTC)
    telling = Telling()
    async with open_venue() as venue, Tap(venue) as tap:
        config = session_to(
            venue, tmp_path, maintenance="21:00-21:30", maintenance_resets=True, **tap.address
        )  # fmt: skip
        session = child.Session(config, SpoolWriter(tmp_path / "spool", 0), telling.tell, lambda: now)
        parts = initiator(config, session)
        session.keep_terms()
        parts[0].start()
        await comes_up(session, telling)

        now = datetime(2024, 5, 6, 20, 59, 40, tzinfo=UTC)
        session.keep_terms()
        await telling.wait_for("down the venue's maintenance window 21:00-21:30 (UTC)")
        assert tap.messages("5"), "a Logout(5), not a dropped line"
        now = datetime(2024, 5, 6, 21, 29, 59, tzinfo=UTC)
        for _ in range(6):
            session.keep_terms()
            await asyncio.sleep(0.4)
        assert len(tap.connects) == 1, "nobody knocks while it is open"

        now = datetime(2024, 5, 6, 21, 30, tzinfo=UTC)
        session.keep_terms()
        await tap.wait_for_connects(2)
        await comes_up(session, telling)
        session.end()
        await asyncio.to_thread(parts[0].stop)


async def test_a_process_that_begins_in_the_window_says_so_and_waits(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    window = f"{now - timedelta(minutes=2):%H:%M}-{now + timedelta(minutes=5):%H:%M}"
    async with open_venue() as venue, Tap(venue) as tap:
        engine = ChildEngine(session_to(venue, tmp_path, maintenance=window, **tap.address))
        engine.start(0)
        listener = Listener(engine)
        (down, *_) = await listener.wait_for(Down)
        await asyncio.sleep(1.5)
        await engine.stop()
        await listener.task
    assert down.reason == f"the venue's maintenance window {window} (UTC)"
    assert tap.connects == []
