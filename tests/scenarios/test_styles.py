"""Execution styles through the whole engine: slices, curves, chases, halts and crashes, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from world import EXECUTION, T0, World, dec, settings_of

from gateway.domain.order import ExecType, Order, OrdStatus, OrdType, Report, TimeInForce
from gateway.domain.schedule import ChaseEnd, Schedule, ScheduleOverride, Style
from gateway.domain.settings import Settings
from gateway.events import (
    CancelRequested,
    HaltRequested,
    OrdersPlanned,
    ReportReceived,
    RequestDecided,
    RequestFinished,
    RequestState,
    ResumeRequested,
)
from gateway.oms.execution import exposure

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


def test_vwap_follows_its_curve_and_sends_nothing_in_an_empty_part() -> None:
    world = world_of(VWAP)
    request = world.rebalance(weights={"AAA": "0"})
    assert timeline(world, "AAA") == [(0, 30), (10, 10), (30, 60)]
    assert request.state is RequestState.DONE
    assert request.finished_at == T0 + timedelta(seconds=30)
    world.agrees()


def test_fewer_lots_than_slices_leave_one_by_one_and_the_wave_that_begins_is_empty() -> None:
    world = world_of(TWAP)
    world.rebalance(weights={"AAA": "0.88"})  # 3.2 shares too many
    assert timeline(world, "AAA") == [(10, 1), (20, 1), (30, 1)]
    first = world.of_kind(OrdersPlanned)[0]
    assert isinstance(first, OrdersPlanned)
    assert (first.at, first.orders) == (T0, ())


def test_what_a_slice_does_not_fill_is_cancelled_and_spread_over_the_slices_left() -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 5)]
    world.targets(weights={"AAA": "0"})
    world.run(15)
    world.venue.plans.clear()
    world.run()
    assert timeline(world, "AAA") == [(0, 25), (10, 31), (20, 45), (30, 45)]
    first = children(world, "AAA")[0]
    assert (first.ord_status, first.cum_qty, first.cancels) == (OrdStatus.CANCELED, 5, 1)
    world.agrees()
    world.is_deterministic()


def test_a_last_slice_that_does_not_fill_is_over_when_its_time_is_and_the_end_says_so() -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 5)]
    request = world.rebalance(weights={"AAA": "0", "BBB": "0.1"})
    assert [order.cum_qty for order in children(world, "AAA")] == [5, 5, 5, 5]
    assert request.state is RequestState.DONE
    assert request.text.endswith("; not all was done: AAA 20 of 100, BBB 16 of 22")
    assert children(world, "BBB")[0].created_at == T0 + timedelta(seconds=40), "sells are over before buys"
    world.agrees()


@pytest.mark.parametrize("word", ["reject", "expire", "done", "cancel"])
def test_what_the_venue_itself_ends_is_not_tried_again(word: str) -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, word)] if word == "reject" else [(0, "ack"), (0, "fill", 2), (1, word)]
    request = world.rebalance(weights={"AAA": "0"})
    assert len(children(world, "AAA")) == 1
    done = 0 if word == "reject" else 2
    assert request.text.endswith(f"not all was done: AAA {done} of 100")
    assert request.finished_at is not None
    assert request.finished_at <= T0 + timedelta(seconds=1), "nothing is waited for"


def test_what_is_good_for_an_instant_only_goes_on_in_the_next_slice() -> None:
    world = world_of(TWAP, time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL)
    world.venue.plans["AAA"] = [(0, "ack"), (0, "fill", 10), (0, "cancel")]
    request = world.rebalance(weights={"AAA": "0"})
    assert timeline(world, "AAA") == [(0, 25), (10, 30), (20, 40), (30, 70)]
    assert request.text.endswith("not all was done: AAA 40 of 100")


def test_a_halt_stops_the_slices_and_a_resume_goes_on_with_what_is_left() -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 5)]
    world.targets(weights={"AAA": "0"})
    world.run(5)
    world.game.feed(HaltRequested(world.game.now, "main", "drill", "anna", cancel_working=True))
    world.run(18)
    assert children(world, "AAA")[0].ord_status is OrdStatus.CANCELED
    assert len(children(world, "AAA")) == 1, "a halted account plans no slice"
    world.venue.plans.clear()
    world.price()
    world.game.feed(ResumeRequested(world.game.now, "main", "anna"))
    world.run()
    assert timeline(world, "AAA") == [(0, 25), (23, 47), (30, 48)], "what is left, over the slices left"
    assert world.request().state is RequestState.DONE
    world.agrees()
    world.is_deterministic()


def test_a_halt_over_the_whole_rest_of_the_time_leaves_one_last_slice() -> None:
    world = world_of(TWAP)
    world.targets(weights={"AAA": "0"})
    world.run(5)
    world.game.feed(HaltRequested(world.game.now, "", "drill", "anna"))
    world.run(500)
    world.price()
    world.game.feed(ResumeRequested(world.game.now, "", "anna"))
    world.venue.plans["AAA"] = [(0, "ack"), (9, "fill", 1), (11, "fill", 74)]
    world.run()
    assert timeline(world, "AAA") == [(0, 25), (505, 75)]
    assert children(world, "AAA")[1].cum_qty == 1, "the last slice lives as long as any"
    world.agrees()


def test_a_person_cancels_the_whole_of_it() -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 5)]
    world.targets(weights={"AAA": "0"})
    world.run(5)
    world.game.feed(CancelRequested(world.game.now, "R1", "anna"))
    world.run()
    assert world.request().state is RequestState.CANCELED
    assert world.request().text == "cancelled by anna; not all was done: AAA 5 of 100"
    assert len(children(world, "AAA")) == 1
    world.agrees()


def test_a_restart_in_the_middle_cancels_what_is_late_and_goes_on_in_the_right_slice() -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 5)]
    world.targets(weights={"AAA": "0"})
    world.run(5)
    world.venue.plans.clear()
    world.restart(18, snapshot_at=len(world.game.journal))
    world.price()
    world.run()
    assert timeline(world, "AAA") == [(0, 25), (23, 47), (30, 48)]
    world.agrees()
    world.is_deterministic()


def test_a_restart_with_another_configuration_keeps_the_schedule_of_what_is_under_way() -> None:
    world = world_of(TWAP)
    world.targets(weights={"AAA": "0"})
    world.run(5)
    world.game.settings = world.settings = world.watch.settings = styled(Schedule())
    world.restart(1)
    world.price()
    world.run()
    assert timeline(world, "AAA") == [(0, 25), (10, 25), (20, 25), (30, 25)]


def test_a_name_without_a_fresh_price_sits_out_until_it_has_one_and_that_is_said_once() -> None:
    world = World(styled(replace(TWAP, duration_s=dec(400))), held={"AAA": 100, "BBB": 40})
    world.targets(weights={"AAA": "0", "BBB": "0"})
    world.run(50)
    fresh = dict(world.prices)
    world.prices = {"BBB": fresh["BBB"]}
    for _ in range(4):
        world.run(40)
        world.price()
    assert [at for at, _ in timeline(world, "BBB")] == [0, 100, 200]
    assert [at for at, _ in timeline(world, "AAA")] == [0]
    alerts = [alert.text for alert in world.game.alerts("PriceMissing")]
    assert alerts == ["request R1: no fresh price for AAA; nothing of it is sent"]
    world.prices = fresh
    world.price()
    world.run(50)
    assert timeline(world, "AAA") == [(0, 25), (210, 37)], "in the slice it is, once"
    world.run(45)
    world.prices = {"BBB": fresh["BBB"]}
    world.price()
    world.run()
    assert world.denials() == {"AAA": "price_stale"}, "the last slice waits for a price, but not for ever"
    assert world.request().text.endswith("not all was done: AAA 62 of 100")


def test_a_late_fill_that_exceeds_the_parent_cancels_whatever_else_works_for_it() -> None:
    world = world_of(TWAP)
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights={"AAA": "0"})
    world.run(35)
    first, last = children(world, "AAA")[0], children(world, "AAA")[-1]
    assert first.ord_status is OrdStatus.CANCELED
    assert last.spec.order_qty == 100
    report = Report(
        first.spec.cl_ord_id, "LATE", ExecType.TRADE, OrdStatus.CANCELED, dec(20), dec(0), dec(20), dec(99),
        dec(99),
    )  # fmt: skip
    world.venue.cash["main"] += 20 * 99
    world.venue.positions["main"]["AAA"] -= 20
    world.venue.orders[first.spec.cl_ord_id].cum_qty += 20
    world.venue.orders[first.spec.cl_ord_id].fills.append(("LATE", dec(20), dec(99), dec(0)))
    world.say(ReportReceived(world.game.now, "", 0, report))
    world.run(1)
    assert last.ord_status is OrdStatus.CANCELED, "and at once"
    assert exposure(children(world, "AAA")) == 20
    world.run()
    assert world.request().text.endswith("AAA 20 of 100")
    world.agrees()
    world.is_deterministic()


def test_a_message_overrides_the_accounts_own_style() -> None:
    world = World(held=HELD)
    wanted = ScheduleOverride(Style.TWAP, dec(20), slices=2)
    world.rebalance(weights={"AAA": "0"}, execution=wanted)
    assert timeline(world, "AAA") == [(0, 50), (10, 50)]
    (decided,) = world.of_kind(RequestDecided)
    assert isinstance(decided, RequestDecided)
    assert decided.schedule == Schedule(Style.TWAP, dec(20), slices=2)
    world.is_deterministic()


def test_a_style_without_what_it_needs_fails_with_the_remedy() -> None:
    world = World(held=HELD)
    request = world.rebalance(weights={"AAA": "0"}, execution=ScheduleOverride(Style.VWAP))
    assert request.state is RequestState.FAILED
    assert request.text.startswith("execution.volume_curve is empty: vwap needs")
    assert not world.state.orders


# ------------------------------------------------------------------------------------------------ chase


def chasing(schedule: Schedule = CHASE, **changes: object) -> World:
    """Return a world that sells 100 AAA in a chase at a venue that fills nothing by itself."""
    world = world_of(schedule, limit_offset_bps=dec(0), **changes)
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights={"AAA": "0"})
    world.run(1)
    return world


def limits(world: World, symbol: str = "AAA") -> list[tuple[float, Decimal | None]]:
    return [((one.created_at - T0).total_seconds(), one.spec.price) for one in children(world, symbol)]


def test_a_chase_moves_its_limit_with_the_price_and_never_beyond_its_bound() -> None:
    world = chasing()
    assert limits(world) == [(0, 100)]
    world.price(AAA="99.95")  # 5 bps: not worth moving
    world.run(5)
    assert len(limits(world)) == 1
    world.price(AAA="99.5")
    world.run(5)
    assert limits(world) == [(0, 100), (10, dec("99.5"))]
    world.price(AAA=98)  # 200 bps away, the bound is 100
    world.run(5)
    assert limits(world)[2:] == [(15, 99)]
    world.price(AAA="97.5")
    world.run(4)
    assert len(limits(world)) == 3, "at its bound it stays"
    world.run()
    assert world.request().state is RequestState.DONE
    assert world.request().text.endswith("not all was done: AAA 0 of 100")
    assert world.request().finished_at == T0 + timedelta(seconds=25), "four looks, then the rest is left"
    world.agrees()
    world.is_deterministic()


def test_a_chase_plans_again_only_what_is_left() -> None:
    world = chasing()
    world.venue.plans["AAA"] = [(0, "ack"), (0, "fill", 30)]
    world.price(AAA="99")
    world.run(5)
    world.price(AAA="99.5")
    world.venue.plans.clear()
    world.run()
    assert [order.spec.order_qty for order in children(world, "AAA")] == [100, 100, 70]
    assert world.request().text == world.request().reason, "all was done"
    world.agrees()


def test_a_chase_ends_at_market_while_the_price_is_within_its_bound() -> None:
    world = chasing(replace(CHASE, chase_end=ChaseEnd.MARKET))
    world.run(20)
    world.venue.plans.clear()
    world.run()
    assert [(order.spec.ord_type, order.spec.order_qty) for order in children(world, "AAA")] == [
        (OrdType.LIMIT, 100),
        (OrdType.MARKET, 100),
    ]
    assert limits(world)[1] == (25, None)
    assert children(world, "AAA")[1].ord_status is OrdStatus.FILLED
    world.agrees()
    world.is_deterministic()


def test_a_chase_does_not_follow_at_market_beyond_its_bound() -> None:
    world = chasing(replace(CHASE, chase_end=ChaseEnd.MARKET))
    world.price(AAA="98.9")
    world.run()
    assert all(order.spec.ord_type is OrdType.LIMIT for order in children(world, "AAA"))
    assert world.denials() == {"AAA": "price_collar"}
    assert "not chased further" in world.request().denied[0].text
    assert world.request().text.endswith("not all was done: AAA 0 of 100")


def test_a_market_order_that_does_not_fill_is_over_after_the_wave_timeout() -> None:
    world = chasing(replace(CHASE, chase_end=ChaseEnd.MARKET))
    world.run()
    assert world.request().finished_at == T0 + timedelta(seconds=25 + 30)
    assert world.request().text.endswith("AAA 0 of 100")


def test_other_names_go_on_working_while_one_is_chased() -> None:
    world = World(styled(CHASE, limit_offset_bps=dec(0)), held={"AAA": 100, "BBB": 40})
    world.venue.plans = {"AAA": [(0, "ack")], "BBB": [(0, "ack"), (12, "fill")]}
    world.targets(weights={"AAA": "0", "BBB": "0", "CCC": "0.1"})
    world.run(1)
    world.price(AAA="99.5")
    world.run(8)
    assert limits(world) == [(0, 100), (5, dec("99.5"))]
    assert limits(world, "BBB") == [(0, 50)]
    assert world.status("BBB") is OrdStatus.NEW
    world.run()
    assert world.status("BBB") is OrdStatus.FILLED
    assert limits(world, "CCC") == [(25, 20)], "buys begin when every sell is over"
    world.agrees()


def test_without_a_fresh_price_a_chase_holds_its_limit() -> None:
    world = chasing(replace(CHASE, chase_interval_s=dec(50)))
    world.run(120)
    assert limits(world) == [(0, 100)], "no fresh price: the order stays as it is"
    world.price(AAA="99.5")
    world.run(40)
    assert limits(world) == [(0, 100), (150, dec("99.5"))]
    world.agrees()


def test_a_cancel_that_comes_too_late_is_waited_for() -> None:
    world = chasing()
    world.venue.refuses_cancels.add("AAA")
    world.price(AAA="99.5")
    world.run(12)
    assert len(limits(world)) == 1, "nothing is planned while a cancel is unanswered"
    assert children(world, "AAA")[0].cancels == 2, "but it is asked again"
    world.venue.refuses_cancels.clear()
    world.run(5)
    assert [at for at, _ in limits(world)] == [0, 15]
    world.agrees()


# ---------------------------------------------------------------------------------------------- crashes


class Dead(BaseException):
    """The process is gone: nobody may catch this."""


def play(schedule: Schedule, crash_at: int = 0) -> tuple[World, int]:
    """Sell AAA and buy BBB by a schedule, with a death at one point; return how many points there were."""
    points = 0

    def point() -> None:
        nonlocal points
        points += 1
        if points == crash_at:
            raise Dead

    world = World(
        styled(schedule, limit_offset_bps=dec(0)), held=HELD, cash=1_000, point=point, starts=False
    )  # fmt: skip
    world.venue.plans = {"AAA": [(0, "ack"), (1, "fill", 7)], "BBB": [(0, "ack"), (2, "fill")]}
    world.price()
    world.targets(weights={"AAA": "0", "BBB": "0.2"})
    is_first = True
    while True:
        try:
            if is_first:
                world.game.start()
            else:
                world.restart(0.01, snapshot_at=len(world.game.journal) // 2)
                world.price()
            world.run(max(0.0, 25 - (world.game.now - T0).total_seconds()))
            world.venue.plans["AAA"] = [(0, "ack"), (1, "fill")]
            world.price(AAA="99.5")
            world.run()
        except Dead:
            is_first = False
        else:
            return world, points


@pytest.mark.parametrize(
    "schedule",
    [TWAP, VWAP, replace(CHASE, chase_interval_s=dec(10), chase_end=ChaseEnd.MARKET)],
    ids=lambda schedule: schedule.style,
)
def test_a_crash_anywhere_ends_with_exactly_the_parents_quantity(schedule: Schedule) -> None:
    whole, points = play(schedule)
    assert whole.request().state is RequestState.DONE
    assert whole.positions["BBB"] == whole.request().wanted["BBB"]
    assert points > 40
    for crash_at in range(1, points + 1):
        world, _ = play(schedule, crash_at)
        request = world.request()
        assert request.state is RequestState.DONE, (crash_at, request)
        assert world.positions == whole.positions, crash_at
        assert "AAA" not in world.positions
        for symbol, wanted in request.wanted.items():
            assert sum(order.cum_qty for order in children(world, symbol)) == wanted, (crash_at, symbol)
        assert len(world.of_kind(RequestFinished)) == 1
        world.agrees()
        world.is_deterministic()
