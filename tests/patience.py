"""How tests wait: for something to be so, never for a span of time in which it ought to have become so.

Rules of this room:
1. A bound here is no claim about speed. It says when a test gives up; a busy machine may take its time.
2. A claim about speed is measured against a bound of its own, far from what a busy machine adds to it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 60.0
"""Nothing a test waits for takes nearly as long, however busy the machine; half of what a test may last."""

POLL_S = 0.01
STILL = 30
"""Looks, each some turns of the loop after the last, after which what has not changed has come to rest."""

T = TypeVar("T")


def _nothing() -> object:
    return "nothing more is known"


async def until(
    is_so: Callable[[], object], said: Callable[[], object] = _nothing, patience_s: float = PATIENCE_S
) -> None:
    """Wait for something to be so; `said` is asked for the words of an AssertionError when it never comes."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    while not is_so():
        assert loop.time() < end, f"it never came: {said()}"
        await asyncio.sleep(POLL_S)


def wait_until(is_so: Callable[[], T], said: Callable[[], object] = _nothing, every_s: float = 0.05) -> T:
    """Wait in a test without a loop; return what was so."""
    end = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < end, f"it never came: {said()}"
        time.sleep(every_s)
    return found


async def turns(count: int = 10) -> None:
    """Let what the loop has begun go on: closing a transport, say, takes it a few turns."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def at_rest(value: Callable[[], T]) -> T:
    """Wait until something that this process moves by itself moves no more; return it."""
    last, seen = value(), 0
    while seen < STILL:
        await asyncio.sleep(POLL_S)
        now = value()
        last, seen = now, seen + 1 if now == last else 0
    return last
