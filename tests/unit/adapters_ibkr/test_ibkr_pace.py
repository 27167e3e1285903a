"""The pace: no second holds more than TWS takes, and the most urgent goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.ibkr.pace import BUCKET, SLOWED_FOR_S, Bucket, Pace, Urgency


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next thing due."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0.0
        select = self._selector.select

        def jump(timeout: float | None = None) -> Sequence[Any]:
            self._passed += timeout or 0.0
            return select(0)

        self._selector.select = jump

    def time(self) -> float:
        return self._passed


gaps = st.just(0.0) | st.just(0.0) | st.floats(min_value=0, max_value=0.5)


@example([(Urgency.CANCEL, 0.0)] * 150, 50, None)
@example([(Urgency.CANCEL, 2.0)] + [(Urgency.CANCEL, 0.0)] * 150, 49, 1.0)
@given(
    st.lists(st.tuples(st.sampled_from([*Urgency]), gaps), max_size=150),
    st.integers(min_value=2, max_value=50),
    st.none() | st.floats(min_value=0, max_value=3),
)
def test_no_second_ever_holds_more_than_the_limit(
    asked: list[tuple[Urgency, float]], per_s: int, complains_at: float | None
) -> None:
    bucket, now, left = Bucket(per_s), 0.0, list[float]()
    for urgency, gap in asked:
        now += gap
        if complains_at is not None and now >= complains_at:
            bucket.slow_down(now)
            complains_at = None
        now += bucket.wait_s(urgency, now)
        assert bucket.wait_s(urgency, now) <= 1e-9
        bucket.take(now)
        left.append(now)
    assert left == sorted(left)
    for first, behind in zip(left, left[per_s:], strict=False):
        assert behind - first >= 1 - 1e-6
        # What a network bunches an eighth of a second more than it left is within the limit, too.
        assert per_s < BUCKET or behind - first >= 1.125 - 1e-6


def test_a_full_bucket_and_a_second_of_filling_stay_below_fifty() -> None:
    bucket, now, left = Bucket(50), 100.0, 0
    while now < 101.0:
        bucket.take(now)
        left, now = left + 1, now + bucket.wait_s(Urgency.CANCEL, now)
    assert 44 <= left <= 45  # five at once, and 40 that flow in


def test_a_share_of_the_bucket_is_kept_for_cancels_and_it_is_halved_when_tws_complains() -> None:
    bucket = Bucket(50)
    for _ in range(3):
        bucket.take(0.0)
    assert bucket.wait_s(Urgency.ORDER, 0.0) == pytest.approx(1 / 40)
    assert [bucket.wait_s(one, 0.0) for one in (Urgency.CANCEL, Urgency.QUESTION)] == [0, 0]
    bucket.slow_down(0.1)
    assert (bucket.size(0.2), bucket.rate(0.2)) == (2.5, 20)
    assert bucket.wait_s(Urgency.CANCEL, 0.1) == 0
    bucket.take(0.1)
    bucket.take(0.1)
    assert bucket.wait_s(Urgency.CANCEL, 0.1) == pytest.approx(0.5 / 20)
    assert bucket.left(0.15) == pytest.approx(1.5)
    after = 0.1 + SLOWED_FOR_S
    assert (bucket.size(after), bucket.rate(after), bucket.left(after + 1)) == (5, 40, 5)


@given(st.lists(st.sampled_from([*Urgency]), min_size=1, max_size=40), st.integers(min_value=0, max_value=39))
def test_whatever_waits_the_most_urgent_goes_first_and_a_cancel_behind_no_order(
    asked: list[Urgency], given_up: int
) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        left = runner.run(turns_of(asked, given_up))
    waited = [one for at, one in left if at > 0]
    assert waited == sorted(waited)
    assert len(asked) - 1 <= len(left) <= len(asked)
    assert not waited or left[-1][0] <= (len(asked) + 2) / 40


async def turns_of(asked: list[Urgency], given_up: int) -> list[tuple[float, Urgency]]:
    """Ask for all turns at one moment, give one up, and return when each came."""
    pace, left, loop = Pace(50), list[tuple[float, Urgency]](), asyncio.get_running_loop()
    began = loop.time()

    async def one(urgency: Urgency) -> None:
        await pace.turn(urgency)
        left.append((loop.time() - began, urgency))

    tasks = [asyncio.create_task(one(urgency)) for urgency in asked]
    await asyncio.sleep(0)
    if given_up < len(tasks):
        tasks[given_up].cancel()  # it may have had its turn already
    await asyncio.gather(*tasks, return_exceptions=True)
    return left
