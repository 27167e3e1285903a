"""Execution styles under whatever may happen: children never exceed their parent, and all of it ends.

Prices move, the venue fills, refuses, ends and delays, cancels are refused, the account is halted and
resumed, the gateway dies and its successor replays: after each, what has filled and what may still fill
for a name is at most what was approved. `World` holds every other invariant, the replayed twin among them.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "scenarios"))

from world import EXECUTION, World, dec, settings_of

from gateway.domain.schedule import ChaseEnd, Schedule, Style
from gateway.events import CancelRequested, HaltRequested, RequestState, ResumeRequested
from gateway.oms.execution import exposure

HELD = {"AAA": 100, "BBB": 20}
PLANS = (
    [(0, "ack"), (1, "fill", 3)], [(0, "ack"), (2, "fill")], [(0, "fill")], [(0, "ack")], [(0, "reject")],
    [(0, "ack"), (1, "fill", 2), (3, "cancel")], [(1, "expire")], [(6, "ack"), (7, "fill", 1)],
)  # fmt: skip
SCHEDULES = st.one_of(
    st.builds(
        lambda slices, seconds: Schedule(Style.TWAP, duration_s=dec(seconds), slices=slices),
        st.integers(1, 6), st.integers(4, 60),
    ),
    st.builds(
        lambda curve: Schedule(Style.VWAP, duration_s=dec(30), volume_curve=tuple(map(dec, curve))),
        st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any),
    ),
    st.builds(
        lambda steps, end: Schedule(
            Style.CHASE, chase_interval_s=dec(4), chase_step_bps=dec(5), chase_limit_bps=dec(200),
            chase_steps=steps, chase_end=end,
        ),
        st.integers(0, 4), st.sampled_from(ChaseEnd),
    ),
)  # fmt: skip
DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "price", "plan", "stubborn", "halt", "resume", "crash", "cancel"]),
        st.integers(0, 100),
    ),
    max_size=12,
)


class Play:
    """One styled request, and what may happen to it."""

    def __init__(self, schedule: Schedule) -> None:
        self.world = World(
            settings_of(execution=replace(EXECUTION, schedule=schedule)), held=HELD, cash=2_000
        )
        self.world.targets(weights={"AAA": "0.1", "BBB": "0", "CCC": "0.3"})

    def run(self, number: int) -> None:
        self.world.run(number / 10)

    def price(self, number: int) -> None:
        self.world.price(AAA=dec(95) + dec(number) / 10, CCC=dec(19) + dec(number) / 50)

    def plan(self, number: int) -> None:
        symbol = ("AAA", "BBB", "CCC")[number % 3]
        self.world.venue.plans[symbol] = list(PLANS[number % len(PLANS)])

    def stubborn(self, number: int) -> None:
        refuses = self.world.venue.refuses_cancels
        refuses ^= {("AAA", "BBB", "CCC")[number % 3]}

    def halt(self, number: int) -> None:
        self.world.game.feed(
            HaltRequested(self.world.game.now, "main", "test", "anna", cancel_working=bool(number % 2))
        )

    def resume(self, number: int) -> None:
        del number
        self.world.game.feed(ResumeRequested(self.world.game.now, "main", "anna"))

    def crash(self, number: int) -> None:
        self.world.restart(number / 20, snapshot_at=len(self.world.game.journal) // 2)
        self.world.price()

    def cancel(self, number: int) -> None:
        if number > 90:
            self.world.game.feed(CancelRequested(self.world.game.now, "R1", "anna"))

    def check(self) -> None:
        """Hold what is open and what has filled against what was approved, name by name."""
        state = self.world.state
        request = state.requests.get("R1")
        for symbol, wanted in (request.wanted if request is not None else {}).items():
            mine = [order for order in state.orders.values() if order.spec.symbol == symbol]
            assert exposure(mine) <= wanted, (symbol, wanted, mine)
            assert all(order.spec.order_qty == int(order.spec.order_qty) > 0 for order in mine)
            assert sum(not order.is_final for order in mine) <= 1, "one child of a parent at a time"

    def end(self) -> None:
        """Let the sky clear, and everything come to its end."""
        self.world.venue.plans.clear()
        self.world.venue.refuses_cancels.clear()
        self.resume(0)
        for _ in range(60):
            self.world.price()
            self.world.run(10)
            self.check()
            if self.world.request().state.is_final:
                return
        raise AssertionError(f"it never ended: {self.world.request()}")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEDULES, DEEDS)
def test_children_never_exceed_their_parent_and_every_request_ends(
    schedule: Schedule, deeds: list[tuple[str, int]]
) -> None:
    play = Play(schedule)
    for name, number in deeds:
        getattr(play, name)(number)
        play.check()
    play.end()
    request = play.world.request()
    assert request.state in (RequestState.DONE, RequestState.CANCELED, RequestState.FAILED, RequestState.HELD)
    play.world.agrees()
    play.world.is_deterministic()
