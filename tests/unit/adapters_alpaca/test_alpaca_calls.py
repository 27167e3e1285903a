"""Turns and rates: cancels first, the venue's own word believed, the event loop never blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Semaphore
from typing import Any

import pytest
from alpaca_world import KEYS, market
from patience import PATIENCE_S, until
from requests.exceptions import ChunkedEncodingError, ConnectTimeout, SSLError

from adapters.alpaca.calls import TOO_MANY, Calls, Urgency, Window
from adapters.alpaca.client import Answer, NoAnswer, RestClient
from adapters.base import NotSent


class Line:
    """Answer at once, or one question each time it is let go on; remember who asked in which order."""

    def __init__(self, *answers: Answer, may_answer: int = 1_000) -> None:
        self.answers = list(answers)
        self.may_answer = Semaphore(may_answer)
        self.asked: list[str] = []

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Answer:
        del method, data
        self.asked.append(path)
        assert self.may_answer.acquire(timeout=PATIENCE_S)
        return self.answers.pop(0) if self.answers else Answer(200, {})

    def close(self) -> None:
        self.asked.append("closed")


def calls_over(line: Line, per_min: int = 1000, unix_time: float = 1_000.0) -> Calls:
    return Calls(line, per_min, lambda: unix_time)  # type: ignore[arg-type]


def stated(left: int, reset: int, limit: int = 200, status: int = 200) -> Answer:
    headers = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": left, "X-RateLimit-Reset": reset}
    return Answer(status, {}, headers={name: str(value) for name, value in headers.items()})


def test_a_window_lets_so_many_leave_a_minute_and_keeps_a_tenth_for_the_urgent() -> None:
    window = Window(20)
    for number in range(18):
        assert window.wait_s(Urgency.ORDER, 0.0) == 0
        window.count(float(number))
    assert window.wait_s(Urgency.ORDER, 20.0) == 40.0
    assert window.wait_s(Urgency.CANCEL, 20.0) == 0
    window.count(20.0)
    window.count(20.0)
    assert window.wait_s(Urgency.CANCEL, 20.0) == 40.0
    assert window.wait_s(Urgency.CANCEL, 60.0) == 0


def test_what_the_venue_says_is_left_is_left_for_cancels_until_its_reset() -> None:
    window = Window(1000)
    window.believe(200, 21, 1_060.0, 30.0, 0.0)
    assert window.wait_s(Urgency.ORDER, 0.0) == 0
    window.count(0.0)
    assert window.wait_s(Urgency.ORDER, 0.0) == 30.0
    assert window.wait_s(Urgency.CANCEL, 0.0) == 0
    window.believe(200, 150, 1_060.0, 30.0, 1.0)  # an older answer, overtaken
    assert window.wait_s(Urgency.ORDER, 1.0) == 30.0
    assert window.wait_s(Urgency.ORDER, 31.0) == 0
    window.believe(200, 199, 1_120.0, 60.0, 31.0)
    assert window.wait_s(Urgency.ORDER, 31.0) == 0


def test_closing_is_bounded_both_ways() -> None:
    window = Window(10)
    window.close(-5.0, 0.0)
    assert window.wait_s(Urgency.CANCEL, 0.0) == 0.25
    window.close(10_000.0, 0.0)
    assert window.wait_s(Urgency.CANCEL, 0.0) == 60.0


async def test_cancels_go_first_and_the_event_loop_never_waits() -> None:
    line = Line(may_answer=0)
    calls = calls_over(line)
    busy = [asyncio.create_task(calls.ask(Urgency.ORDER, "POST", f"/busy{n}")) for n in range(4)]
    await until(lambda: len(line.asked) == 4)  # nothing is answered, and the loop goes round
    later = [
        asyncio.create_task(calls.ask(urgency, "GET", f"/{urgency.name}"))
        for urgency in reversed(Urgency)
    ]  # fmt: skip
    await asyncio.sleep(0)  # all of them wait for a turn
    for number in range(4):
        line.may_answer.release()
        await until(lambda number=number: len(line.asked) == 5 + number)  # type: ignore[misc]
    line.may_answer.release(4)
    await asyncio.gather(*busy, *later)
    assert line.asked[4:] == ["/CANCEL", "/LOOK_UP", "/ORDER", "/LOOK_AROUND"]
    calls.close()
    assert line.asked[-1] == "closed"


async def test_a_429_is_asked_again_when_the_venue_says() -> None:
    line = Line(stated(0, 1_000, status=TOO_MANY), Answer(TOO_MANY, {}), stated(0, 1_000), stated(5, 0))
    calls = calls_over(line)
    began = time.monotonic()
    answer = await calls.ask(Urgency.LOOK_UP, "GET", "/x")
    assert answer.status == 200
    assert len(line.asked) == 3
    assert time.monotonic() - began > 1.2  # 0.25 s, then 1 s where no reset is named
    calls.close()


async def test_whoever_gives_up_waiting_leaves_its_turn_to_others() -> None:
    line = Line(may_answer=0)
    calls = calls_over(line)
    busy = [asyncio.create_task(calls.ask(Urgency.ORDER, "POST", "/busy")) for _ in range(4)]
    await until(lambda: len(line.asked) == 4)
    gone = asyncio.create_task(calls.ask(Urgency.CANCEL, "DELETE", "/gone"))
    stays = asyncio.create_task(calls.ask(Urgency.ORDER, "POST", "/stays"))
    await asyncio.sleep(0)
    gone.cancel()
    line.may_answer.release(1_000)
    await asyncio.gather(*busy, stays)
    assert "/gone" not in line.asked
    late = asyncio.create_task(calls.ask(Urgency.ORDER, "POST", "/late"))
    await asyncio.sleep(0)
    late.cancel()  # its turn has come, and is given back
    assert (await calls.ask(Urgency.ORDER, "POST", "/next")).status == 200
    calls.close()


async def test_closing_forgets_who_waits_for_the_window() -> None:
    calls = calls_over(Line(stated(0, 1_050)))
    await calls.ask(Urgency.ORDER, "POST", "/one")
    waiting = [asyncio.create_task(calls.ask(Urgency.ORDER, "POST", "/two")) for _ in range(2)]
    await asyncio.sleep(0.01)
    calls.close()
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


# The client itself.


@pytest.mark.parametrize(
    ("problem", "outcome"),
    [
        (ConnectTimeout(), NotSent),
        (SSLError("CERTIFICATE_VERIFY_FAILED"), NotSent),
        (SSLError("bad record mac"), NoAnswer),
        (ChunkedEncodingError(), NoAnswer),
    ],
)
def test_only_what_certainly_never_left_is_not_sent(problem: Exception, outcome: type[Exception]) -> None:
    client = RestClient(*KEYS, "http://127.0.0.1:9")

    class Broken:
        def request(self, *_: object, **__: object) -> None:
            raise problem

    client._mine.session = Broken()
    with pytest.raises(outcome):
        client.ask("GET", "/account")


def test_nobody_listening_is_not_sent() -> None:
    client = RestClient(*KEYS, "http://127.0.0.1:9")
    with pytest.raises(NotSent, match="nobody listens"):
        client.ask("POST", "/orders", {})
    client.close()


def test_each_thread_has_a_connection_of_its_own() -> None:
    """A `requests.Session` is not made for several threads; the client has one for all."""
    client = RestClient(*KEYS, "http://127.0.0.1:9")
    both = Barrier(2)

    def mine() -> int:
        both.wait(PATIENCE_S)
        assert client._connection() is client._connection()
        return id(client._connection())

    with ThreadPoolExecutor(2) as pool:
        found = {one.result() for one in [pool.submit(mine), pool.submit(mine)]}
    assert len(found) == len(client._sessions) == 2
    client.close()


async def test_a_post_is_made_once_whatever_is_answered(tmp_path: Path) -> None:
    """The client's own habit repeats a POST after a 504 and after a 429."""
    async with market(tmp_path) as venue:
        venue.fault("post_504_after")
        client = RestClient(*KEYS, venue.url)
        body = {"symbol": "AAA", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        answer = await asyncio.to_thread(client.ask, "POST", "/orders", body)
        assert (answer.status, answer.body, len(venue.orders())) == (504, None, 1)
        assert answer.message.startswith("HTTP 504: <html>")
        answer = await asyncio.to_thread(client.ask, "GET", "/account")
        assert answer.is_good
        assert answer.headers["X-RateLimit-Limit"] == "100000"
        assert Answer(500, {}).message == "HTTP 500"
        client.close()
