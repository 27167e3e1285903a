"""Storms: everything that can go wrong goes wrong at random, with the invariants checked after each event.

`Watch` asserts after every event that the replaying shadow is equal, that positions are their lots, that no
cash and no position is negative and that no order fills beyond its size. After the storm the sky clears and
the books of both sides are compared.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from world import LINK, Step, World, dec, settings_of

from gateway.domain.order import OrdStatus
from gateway.engine import Engine
from gateway.events import (
    ApprovalGiven,
    CancelRequested,
    HaltRequested,
    Mode,
    Others,
    Regime,
    ResumeRequested,
)
from gateway.oms.state import State
from gateway.runtime.wire import decode_state, encode_state

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE")
HELD = {"AAA": 50, "BBB": 80, "EEE": 10}
ACCOUNTS = ("main", "other")
PLANS = (
    [(0, "ack"), (0.1, "fill", 1), (0.3, "fill")],
    [(0.4, "ack"), (0.9, "fill")],
    [(0, "fill")],
    [(0, "ack")],
    [(2, "fill", 1)],
    [(0, "reject")],
    [(0, "ack"), (0.2, "fill", 1), (0.4, "cancel")],
    [(0.3, "expire")],
    [(0, "ack"), (45, "fill")],
)


class Crash(BaseException):
    """The process is gone."""


class Fuse:
    """Let the process die after so many more points; None: let it live."""

    def __init__(self) -> None:
        self.left: int | None = None

    def __call__(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


class Storm:
    """A world and everything that may happen to it, one method each."""

    def __init__(
        self, latency_s: float, batch: int, *, can_look_up: bool = True, replays: bool = True
    ) -> None:
        self.fuse = Fuse()
        self.is_plain = can_look_up and replays
        self.world = World(
            settings_of(accounts=ACCOUNTS, groups={"CCC": "G", "EEE": "G"}), held=HELD, batch=batch,
            cost={"EEE": 3_000}, latency_s=latency_s, point=self.fuse, can_look_up=can_look_up,
            replays=replays,
        )  # fmt: skip
        if not self.is_plain:
            self.world.venue.commission = dec(0)  # a total does not say what a missed fill cost
        self.requests = 0
        self.crashes = 0
        self.did: Counter[str] = Counter()

    def run(self, for_s: float) -> None:
        try:
            self.world.run(for_s)
        except Crash:
            self.crashes += 1
            self.restart()

    def restart(self, snapshot_share: float = 0.5, after_s: float = 0.05) -> None:
        snapshot_at = int(len(self.world.game.journal) * snapshot_share)
        while True:
            try:
                self.world.restart(after_s, snapshot_at=snapshot_at)
            except Crash:
                self.crashes += 1
            else:
                return

    def submit(self, account: str, weights: list[int], mode: Mode, regime: Regime, others: Others) -> None:
        total = max(sum(weights), 100)
        shares = {name: dec(round(w / total, 3)) for name, w in zip(SYMBOLS, weights, strict=True)}
        request_id = f"S{self.requests}"
        self.requests += 1
        self.world.targets(
            request_id, account, life_s=300, weights=shares, mode=mode, regime=regime, others=others
        )

    def cut(self, *, loses: bool) -> None:
        if self.world.line.is_up:
            self.world.game.cut(LINK, loses=loses)

    def connect(self) -> None:
        if not self.world.line.is_up:
            self.world.game.connect(LINK)

    def move(self, symbol: str, percent: int) -> None:
        px = self.world.prices[symbol] * (100 + percent) / 100
        self.world.price(**{symbol: px.quantize(dec("0.01"))})

    def clear(self) -> None:
        """Let the sky clear: everything works again, and everyone has time."""
        world = self.world
        self.fuse.left = None
        venue = world.venue
        venue.deaf.clear()
        venue.loses.clear()
        venue.dumb.clear()
        venue.refuses_cancels.clear()
        world.game.release(LINK)
        self.connect()
        world.game.feed(ResumeRequested(world.game.now, "", "ann"))
        for _ in range(20):
            world.price()
            world.run(50)
            if world.state.halts:  # a person looks again: what was silent has spoken since
                world.game.feed(ResumeRequested(world.game.now, "", "ann"))

    def check_end(self) -> None:
        """Assert that nothing was lost, nothing doubled, and nothing is left over."""
        world = self.world
        assert not world.state.halts
        for request in world.state.requests.values():
            assert request.state.is_final, request
            assert not request.open_orders
        assert set(world.venue.orders) <= set(world.state.orders)
        for cl_ord_id, order in world.state.orders.items():
            theirs = world.venue.orders.get(cl_ord_id)
            if theirs is None:
                assert order.cum_qty == 0
                assert order.ord_status is OrdStatus.CANCELED, order
            else:
                assert theirs.status is order.ord_status
        world.agrees()
        world.is_deterministic()
        journal = world.game.journal
        replayed = Engine(world.settings)
        for event in journal:
            replayed.replay(event)
        assert replayed.state == world.state
        assert decode_state(encode_state(replayed.state), State) == world.state


# --------------------------------------------------------------------------------------------- by seed


def act(storm: Storm, rng: random.Random) -> None:
    """Do one random thing."""
    world, game = storm.world, storm.world.game
    account, symbol = rng.choice(ACCOUNTS), rng.choice(SYMBOLS)
    ids = [f"S{number}" for number in range(storm.requests)] or ["S0"]
    things = {
        "run": lambda: storm.run(rng.choice((0.05, 0.3, 2, 31))),
        "submit": lambda: storm.submit(
            account, [rng.randint(0, 60) for _ in SYMBOLS],
            rng.choices(list(Mode), (1, 1, 6))[0], rng.choice(list(Regime)), rng.choice(list(Others)),
        ),
        "cut": lambda: storm.cut(loses=rng.random() < 0.5),
        "connect": storm.connect,
        "delay": lambda: world.line.delay(timedelta(seconds=rng.choice((0.1, 0.3))), game.now),
        "deaf": lambda: world.venue.deaf.update({symbol: 1}),
        "loses": lambda: world.venue.loses.update({symbol: int(world.line.can_look_up)}),
        "dumb": lambda: world.venue.dumb.symmetric_difference_update({symbol}),
        "stubborn": lambda: world.venue.refuses_cancels.symmetric_difference_update({symbol}),
        "plan": lambda: world.venue.plans.update({symbol: list(rng.choice(PLANS))}),
        "price": lambda: storm.move(symbol, rng.randint(-8, 8)),
        "jam": lambda: setattr(world.line, "is_jammed", True),
        "release": lambda: game.release(LINK),
        "halt": lambda: game.feed(HaltRequested(game.now, account, "storm", "ann", rng.random() < 0.3)),
        "resume": lambda: game.feed(ResumeRequested(game.now, rng.choice(("", account)), "ann")),
        "cancel": lambda: game.feed(CancelRequested(game.now, rng.choice(ids), "ann")),
        "approve": lambda: game.feed(ApprovalGiven(game.now, rng.choice(ids), "ann")),
        "restart": lambda: storm.restart(rng.random(), rng.choice((0.01, 1, 40))),
        "bomb": lambda: setattr(storm.fuse, "left", rng.randint(0, 60)),
    }  # fmt: skip
    likely = {"run": 14, "submit": 4, "price": 4, "connect": 4, "resume": 4, "release": 3, "plan": 3}
    (name,) = rng.choices(list(things), [likely.get(thing, 1) for thing in things])
    storm.did[name] += 1
    things[name]()


@pytest.mark.parametrize("block", range(6))
@pytest.mark.parametrize("kind", ["asks", "numbers", "totals"])
def test_storms_by_seed(kind: str, block: int) -> None:
    filled = resent = crashes = 0
    for seed in range(block * 12, block * 12 + 12):
        rng = random.Random(seed)
        storm = Storm(
            rng.choice((0, 0.05, 0.2)), rng.choice((1, 3, 512)),
            can_look_up=kind != "numbers", replays=kind != "totals",
        )  # fmt: skip
        for _ in range(70):
            act(storm, rng)
        storm.clear()
        try:
            storm.check_end()
        except AssertionError as problem:
            problem.add_note(f"seed {seed}")
            raise
        orders = storm.world.state.orders.values()
        filled += sum(order.cum_qty > 0 for order in orders)
        resent += sum(order.sends > 1 for order in orders)
        crashes += storm.crashes
    assert filled > 20
    assert resent > 0
    assert crashes > 0


# ---------------------------------------------------------------------------------------- by hypothesis


SYMBOL, ACCOUNT = st.sampled_from(SYMBOLS), st.sampled_from(ACCOUNTS)


class StormMachine(RuleBasedStateMachine):
    """The same storm, shrunk to its shortest story when it breaks something."""

    storm: Storm

    @initialize(latency_s=st.sampled_from((0.0, 0.2)), batch=st.sampled_from((1, 512)))
    def begin(self, latency_s: float, batch: int) -> None:
        self.storm = Storm(latency_s, batch)
        self.storm.submit("main", [20, 30, 30, 10, 5], Mode.EXECUTE, Regime.NORMAL, Others.KEEP)

    @rule(for_s=st.sampled_from((0.05, 0.3, 2.0, 31.0)))
    def pass_time(self, for_s: float) -> None:
        self.storm.run(for_s)

    @rule(
        account=ACCOUNT, weights=st.lists(st.integers(0, 60), min_size=5, max_size=5),
        mode=st.sampled_from(Mode), regime=st.sampled_from(Regime), others=st.sampled_from(Others),
    )  # fmt: skip
    def submit(self, account: str, weights: list[int], mode: Mode, regime: Regime, others: Others) -> None:
        self.storm.submit(account, weights, mode, regime, others)

    @rule(loses=st.booleans())
    def cut(self, loses: bool) -> None:
        self.storm.cut(loses=loses)

    @rule()
    def connect(self) -> None:
        self.storm.connect()

    @rule(symbol=SYMBOL, fault=st.sampled_from(("deaf", "loses")))
    def lose(self, symbol: str, fault: str) -> None:
        getattr(self.storm.world.venue, fault)[symbol] = 1

    @rule(symbol=SYMBOL, fault=st.sampled_from(("dumb", "refuses_cancels")))
    def sulk(self, symbol: str, fault: str) -> None:
        getattr(self.storm.world.venue, fault).symmetric_difference_update({symbol})

    @rule(symbol=SYMBOL, plan=st.sampled_from(PLANS))
    def plan(self, symbol: str, plan: list[Step]) -> None:
        self.storm.world.venue.plans[symbol] = plan

    @rule(symbol=SYMBOL, percent=st.integers(-8, 8))
    def move(self, symbol: str, percent: int) -> None:
        self.storm.move(symbol, percent)

    @rule(seconds=st.sampled_from((0.1, 0.3)))
    def delay(self, seconds: float) -> None:
        self.storm.world.line.delay(timedelta(seconds=seconds), self.storm.world.game.now)

    @rule(account=ACCOUNT, cancel=st.booleans())
    def halt(self, account: str, cancel: bool) -> None:
        game = self.storm.world.game
        game.feed(HaltRequested(game.now, account, "storm", "ann", cancel))

    @rule(account=st.sampled_from(("", *ACCOUNTS)))
    def resume(self, account: str) -> None:
        game = self.storm.world.game
        game.feed(ResumeRequested(game.now, account, "ann"))

    @rule(number=st.integers(0, 5), approves=st.booleans())
    def command(self, number: int, approves: bool) -> None:
        game = self.storm.world.game
        kind = ApprovalGiven if approves else CancelRequested
        game.feed(kind(game.now, f"S{number}", "ann"))

    @rule(is_jammed=st.booleans())
    def jam(self, is_jammed: bool) -> None:
        self.storm.world.line.is_jammed = True
        if not is_jammed:
            self.storm.world.game.release(LINK)

    @rule(points=st.integers(0, 60))
    def light_the_fuse(self, points: int) -> None:
        self.storm.fuse.left = points

    @rule(share=st.sampled_from((0.0, 0.5, 1.0)), after_s=st.sampled_from((0.01, 40.0)))
    def restart(self, share: float, after_s: float) -> None:
        self.storm.restart(share, after_s)

    def teardown(self) -> None:
        self.storm.clear()
        self.storm.check_end()


StormMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
TestStorm = StormMachine.TestCase
