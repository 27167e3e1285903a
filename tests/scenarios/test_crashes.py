"""The gateway dies at every point where a process can die; its successor finishes the work exactly once.

A point stands before every single journal append, after each batch, and before every message that leaves.
What had left when it died may arrive, be lost, or arrive after the successor has begun to ask.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache

import pytest
from world import PRICES, World, dec, settings_of

from gateway.domain.order import OrdStatus
from gateway.engine import Engine
from gateway.events import OrderResent, RequestState
from gateway.oms.state import State
from gateway.runtime.wire import decode_state, encode_state

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


def play(
    crashes: Sequence[int], fate: str, batch: int = 512, faults: Callable[[World], None] = lambda _: None
) -> tuple[World, Bomb]:
    """Play the basket through, with a death at each of `crashes`; successors begin with no snapshot,
    with one of half the journal, or with one of all of it.
    """
    bomb = Bomb(crashes)
    world = World(
        settings_of(symbols=tuple(SYMBOLS)), held=HELD, prices=SYMBOLS, cash=1_000, batch=batch,
        latency_s=0.2 if fate == "slow" else 0, point=bomb, starts=False,
    )  # fmt: skip
    world.venue.plans = dict(PLANS)
    world.venue.refuses_duplicates = fate != FATES[-1]
    world.venue.heeds_poss_resend = fate != FATES[-1]
    faults(world)
    world.price()
    world.targets(weights=WEIGHTS)
    is_first = True
    while True:
        try:
            if is_first:
                world.game.start()
            else:
                world.restart(0.01, snapshot_at=len(world.game.journal) * (bomb.points % 3) // 2)
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


@pytest.mark.parametrize(
    ("fate", "batch"), [*((fate, 512) for fate in FATES), ("arrives", 1), ("lost", 1), ("late", 1)]
)
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
    for _ in range(60):
        first = rng.randint(1, points)
        second = first + rng.randint(1, points)
        world, bomb = play([first, second], fate)
        assert first in bomb.went_off
        assert_exactly_once(world, fate)


def lossy(seed: str) -> Callable[[World], None]:
    rng = random.Random(seed)

    def faults(world: World) -> None:
        for symbol in SYMBOLS:
            world.venue.deaf[symbol] = rng.choice((0, 0, 1, 2))
            world.venue.loses[symbol] = rng.choice((0, 0, 1, 2))

    return faults


@pytest.mark.parametrize("fate", FATES[:4])
def test_crashes_on_a_lossy_line_may_cost_an_order_but_never_double_one(fate: str) -> None:
    _, _, points = undisturbed(fate)
    rng = random.Random(fate)
    traded = given_up = resent = 0
    for number in range(60):
        crashes = [rng.randint(1, points)]
        if number % 2:
            crashes.append(crashes[0] + rng.randint(1, points))
        world, bomb = play(crashes, fate, faults=lossy(f"{fate}{number}"))
        assert bomb.went_off
        world.agrees()
        world.is_deterministic()
        assert world.request().state is RequestState.DONE
        assert not world.state.halts
        assert set(world.venue.orders) <= set(world.state.orders)
        for cl_ord_id, order in world.state.orders.items():
            assert order.is_final
            if cl_ord_id in world.venue.orders:
                traded += 1
            else:
                assert (order.ord_status, order.cum_qty) == (OrdStatus.CANCELED, 0)
                given_up += 1
        resent += len(world.of_kind(OrderResent))
    assert traded > given_up > 0
    assert resent > 0


@pytest.mark.parametrize("crashes", [(), (20,), (33, 60), (5, 40, 60)])
def test_live_replay_and_snapshot_end_in_one_state(crashes: Sequence[int]) -> None:
    world, bomb = play(crashes, "arrives")
    assert tuple(bomb.went_off) == crashes
    journal = world.game.journal
    replayed = Engine(world.settings)
    for event in journal:
        replayed.replay(event)
    assert replayed.state == world.state
    assert encode_state(replayed.state) == encode_state(world.state)
    for cut in range(len(journal) + 1):
        first = Engine(world.settings)
        for event in journal[:cut]:
            first.replay(event)
        rest = Engine(world.settings)
        rest.restore(decode_state(encode_state(first.state), State))
        for event in journal[cut:]:
            rest.replay(event)
        assert rest.state == world.state, f"a snapshot after {cut} entries loses something"


def test_processing_a_journal_live_gives_the_state_that_replaying_it_gives() -> None:
    world, _ = play((), "arrives")
    live, replayed = Engine(world.settings), Engine(world.settings)
    for event in world.game.journal:
        live.process(event)
        replayed.replay(event)
        assert live.state == replayed.state
    assert live.state == world.state


def test_the_same_faults_give_the_same_journal() -> None:
    one, other = (play((17, 40), "late")[0] for _ in range(2))
    assert one.game.journal == other.game.journal
