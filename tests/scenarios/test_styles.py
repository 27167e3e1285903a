"""Execution styles through the whole engine: slices, curves, chases, halts and crashes, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from world import EXECUTION, T0, World, dec, settings_of

from gateway.domain.order import Order
from gateway.domain.schedule import ChaseEnd, Schedule, Style
from gateway.domain.settings import Settings
from gateway.events import (
    RequestState,
)

HELD = {"AAA": 100}
"""With 10,000 in AAA a weight of 0 sells 100 shares, and one of 0.2 in BBB buys some 40."""

TWAP = Schedule(Style.TWAP, duration_s=dec(40), slices=4)
VWAP = Schedule(Style.VWAP, duration_s=dec(40), volume_curve=(dec(3), dec(1), dec(0), dec(6)))
CHASE = Schedule(
    Style.CHASE, chase_interval_s=dec(5), chase_step_bps=dec(10), chase_limit_bps=dec(100), chase_steps=4,
    chase_end=ChaseEnd.LEAVE,
)  # fmt: skip


def styled(schedule: Schedule, **changes: object) -> Settings:
    return settings_of(execution=replace(EXECUTION, schedule=schedule, **changes))


def world_of(schedule: Schedule, **changes: object) -> World:
    return World(styled(schedule, **changes), held=HELD, cash=1_000)


def children(world: World, symbol: str) -> list[Order]:
    return [order for order in world.state.orders.values() if order.spec.symbol == symbol]


def timeline(world: World, symbol: str) -> list[tuple[float, Decimal]]:
    """Return when each child of a symbol was planned, in seconds from the start, and how much it was."""
    return [
        ((order.created_at - T0).total_seconds(), order.spec.order_qty) for order in children(world, symbol)
    ]


def test_twap_sells_in_equal_slices_at_equal_times_and_buys_after_them() -> None:
    world = world_of(TWAP)
    request = world.rebalance(weights={"AAA": "0", "BBB": "0.2"})
    assert timeline(world, "AAA") == [(0, 25), (10, 25), (20, 25), (30, 25)]
    assert timeline(world, "BBB") == [(30, 11), (40, 11), (50, 11), (60, 11)]
    assert request.state is RequestState.DONE
    assert world.request().approved == ()
    world.agrees()
    world.is_deterministic()
