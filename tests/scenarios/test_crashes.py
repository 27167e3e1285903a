"""The gateway dies at every point where a process can die; its successor finishes the work exactly once.

A point stands before every single journal append, after each batch, and before every message that leaves.
What had left when it died may arrive, be lost, or arrive after the successor has begun to ask.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache

import pytest
from world import PRICES, World, dec, settings_of

from gateway.events import OrderResent, RequestState

HELD = {"AAA": 50, "BBB": 80, "EEE": 10}
WEIGHTS = {"AAA": "0.15", "BBB": "0.12", "EEE": "0.05", "CCC": "0.20", "DDD": "0.22", "FFF": "0.22"}
SYMBOLS = {**PRICES, "FFF": dec(40)}
PLANS = {
    "AAA": [(0, "ack"), (0.1, "fill", 10), (0.3, "fill", 0)],
    "BBB": [(0.05, "ack"), (0.2, "fill", 7), (0.25, "fill", 11), (0.5, "fill", 0)],
    "EEE": [(0, "fill", 3), (0.1, "fill", 0)],
    "CCC": [(0, "ack"), (0.2, "fill", 50), (0.3, "fill", 0)],
    "DDD": [(0, "ack"), (0.1, "fill", 100), (0.6, "fill", 0)],
    "FFF": [(0, "ack"), (0.3, "fill", 0)],
}


class Crash(BaseException):
    """The process is gone: nobody may catch this."""


@dataclass
class Bomb:
    at: Sequence[int]
    points: int = 0
    went_off: list[int] = field(default_factory=list)

    def __call__(self) -> None:
        self.points += 1
        if self.points in self.at:
            self.went_off.append(self.points)
            raise Crash


FATES = ("arrives", "lost", "late", "slow", "late and doubled by a blind resend")


def play(crashes: Sequence[int], fate: str, batch: int = 512) -> tuple[World, Bomb]:
    bomb = Bomb(crashes)
    world = World(
        settings_of(symbols=tuple(SYMBOLS)), held=HELD, prices=SYMBOLS, cash=1_000, batch=batch,
        latency_s=0.2 if fate == "slow" else 0, point=bomb, starts=False,
    )  # fmt: skip
    world.venue.plans = dict(PLANS)
    world.venue.refuses_duplicates = fate != FATES[-1]
    world.venue.heeds_poss_resend = fate != FATES[-1]
    world.price()
    world.targets(weights=WEIGHTS)
    is_first = True
    while True:
        try:
            if is_first:
                world.game.start()
            else:
                world.restart(0.01, snapshot_at=len(world.game.journal) // 2)
                world.price()
            world.run()
        except Crash:
            is_first = False
            if fate == "lost":
                world.line.on_the_way.clear()
            if fate.startswith("late"):
                world.line.delay(timedelta(seconds=0.4), world.game.now)
        else:
            return world, bomb


@cache
def undisturbed(fate: str, batch: int = 512) -> tuple[Decimal, dict[str, Decimal], int]:
    world, bomb = play((), fate, batch)
    assert len(world.state.orders) == 6
    assert world.request().state is RequestState.DONE
    world.agrees()
    return world.cash, dict(world.positions), bomb.points


def assert_exactly_once(world: World, fate: str) -> None:
    cash, positions, _ = undisturbed(fate)
    world.agrees()
    world.is_deterministic()
    request = world.request()
    assert request.state is RequestState.DONE, request
    assert not request.open_orders
    assert set(world.venue.orders) == set(world.state.orders) == set(request.orders)
    assert len(world.venue.orders) == 6
    assert world.cash == cash
    assert world.positions == positions
    assert not world.state.halts


@pytest.mark.parametrize("batch", [1, 512])
@pytest.mark.parametrize("fate", FATES)
def test_a_crash_anywhere_loses_nothing_and_doubles_nothing(fate: str, batch: int) -> None:
    _, _, points = undisturbed(fate, batch)
    assert points > 50
    resent = 0
    for place in range(1, points + 1):
        world, bomb = play([place], fate, batch)
        assert bomb.went_off == [place]
        assert_exactly_once(world, fate)
        resent += len(world.of_kind(OrderResent))
    assert resent > 0, "no crash ever left an order behind: the test has lost its teeth"


@pytest.mark.parametrize("fate", FATES)
def test_two_crashes_lose_nothing_and_double_nothing(fate: str) -> None:
    _, _, points = undisturbed(fate)
    rng = random.Random(fate)
    for _ in range(150):
        first = rng.randint(1, points)
        second = first + rng.randint(1, points)
        world, bomb = play([first, second], fate)
        assert first in bomb.went_off
        assert_exactly_once(world, fate)
