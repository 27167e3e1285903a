"""The session's own numbers as an answer: which orders certainly never reached a venue."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fix_desk_venue import Listener, open_venue, order, session_to

from adapters.fix.engine import ChildEngine, Up, Withheld
from adapters.fix.sent import NEVER_RECEIVED, NEVER_SENT
from adapters.fix.spool import Spooled
from simulator.fix.acceptor import NoInterference, Verdict
from simulator.fix.message import Message


class Strikes(NoInterference):
    """Do something to the first order that comes: `verdict`."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict: Verdict = verdict
        self.orders = 0

    def before(self, *received: Any) -> Verdict:
        message: Message = received[1]
        if message.msg_type == "D":
            self.orders += 1
        return self.verdict if message.msg_type == "D" and self.orders == 1 else "process"


def traced(listener: Listener) -> dict[str, str]:
    return {one.cl_ord_id: one.reason for one in listener.seen if isinstance(one, Withheld) and one.is_answer}


async def ask(engine: ChildEngine, listener: Listener, *names: str) -> dict[str, str]:
    """Trace orders, and wait for an answer to the last: one that was never sent."""
    for name in (*names, "NOBODY"):
        assert engine.send("trace", name, "-")
    engine.flush()
    seen = 0
    while "NOBODY" not in traced(listener):
        seen = len(await listener.wait_for(Withheld, seen + 1))
    return traced(listener)


@pytest.mark.parametrize("verdict", ["drop", "disconnect"])
async def test_an_order_lost_on_the_way_is_named_and_one_received_is_not(
    tmp_path: Path, verdict: Verdict
) -> None:
    async with open_venue(Strikes(verdict)) as venue:
        engine = ChildEngine(session_to(venue, tmp_path, notes_sent=True))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        engine.send("order", "A", order("A"))
        engine.flush()
        if verdict == "disconnect":
            await listener.wait_for(Up, 2)
        else:
            engine.send("ask", "gap", order("B"))
            engine.flush()
            await listener.wait_for(Withheld)
        engine.send("order", "C", order("C"))
        engine.flush()
        await listener.wait_for(Spooled)
        assert await ask(engine, listener, "A", "C") == {"A": NEVER_RECEIVED, "NOBODY": NEVER_SENT}
        await engine.stop()
        await listener.task
        assert (venue.orders["A"], venue.orders["C"]) == (0, 1)


class Losing(NoInterference):
    """Lose every seventh order on the way in, thrice."""

    def __init__(self) -> None:
        self.orders = 0

    def before(self, *received: Any) -> Verdict:
        message: Message = received[1]
        self.orders += message.msg_type == "D"
        return "drop" if message.msg_type == "D" and self.orders in (7, 14, 21) else "process"


async def test_in_a_burst_with_gaps_every_order_has_arrived_or_is_named(tmp_path: Path) -> None:
    async with open_venue(Losing()) as venue:
        engine = ChildEngine(session_to(venue, tmp_path, notes_sent=True))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        names = [f"N{number:03}" for number in range(300)]
        for place in range(0, 300, 10):
            for name in names[place : place + 10]:
                assert engine.send("order", name, order(name))
            engine.flush()
            await asyncio.sleep(0.005)
        for _ in range(100):
            unsent = await ask(engine, listener, *names)
            if set(venue.orders) | set(unsent) >= set(names):
                break
            await asyncio.sleep(0.05)
        assert set(venue.orders) | set(unsent) == {*names, "NOBODY"}
        assert not set(venue.orders) & set(unsent), "what is said not to have arrived has not"
        assert set(unsent) > {"NOBODY"}
        assert set(venue.orders.values()) == {1}
        await engine.stop()


async def test_a_new_process_knows_what_the_old_one_sent(tmp_path: Path) -> None:
    async with open_venue() as venue:
        for number in (1, 2):
            engine = ChildEngine(session_to(venue, tmp_path, notes_sent=True))
            engine.start(number - 1)
            listener = Listener(engine)
            await listener.wait_for(Up)
            if number == 1:
                engine.send("order", "A", order("A"))
                engine.flush()
                await listener.wait_for(Spooled)
            assert await ask(engine, listener, "A") == {"NOBODY": NEVER_SENT}
            await engine.stop()
            await listener.task


async def test_numbers_that_begin_again_end_the_knowledge(tmp_path: Path) -> None:
    async with open_venue() as venue:
        for number in (1, 2):
            engine = ChildEngine(session_to(venue, tmp_path, notes_sent=True, reset_on_logon=True))
            engine.start(number - 1)
            listener = Listener(engine)
            (up,) = await listener.wait_for(Up)
            assert up.was_reset
            if number == 1:
                engine.send("order", "A", order("A"))
                engine.flush()
                await listener.wait_for(Spooled)
            assert await ask(engine, listener, "A") == {"NOBODY": NEVER_SENT}
            await engine.stop()
            await listener.task
        lines = (tmp_path / "sent").read_text().splitlines()
        assert [line.split()[0] for line in lines] == ["reset", "sent", "reset"]
