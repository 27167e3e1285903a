"""A basket from weights to fills: what is sent when, and what each answer of the venue makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from world import EXECUTION, LIMITS, T0, ZERO, World, dec, settings_of

from gateway.domain.order import ExecType, OrdStatus, OrdType, Side
from gateway.events import (
    Action,
    CancelOrder,
    OrdersPlanned,
    Others,
    Publish,
    Regime,
    ReportReceived,
    RequestFinished,
    RequestState,
)

SWITCH = {"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.2"}
"""Sells of AAA and BBB pay for CCC and DDD."""
SELLS, BUYS = {"AAA", "BBB"}, {"CCC", "DDD"}


def finished(world: World) -> None:
    world.agrees()
    world.is_deterministic()


def cancels(world: World) -> list[str]:
    return [wish.order.symbol for wish in world.line.carried if isinstance(wish, CancelOrder)]


def test_sells_go_first_and_pay_for_the_buys() -> None:
    world = World(cash=0)
    world.venue.default = [(0.1, "ack"), (0.5, "fill")]
    request = world.rebalance(weights=SWITCH)
    assert request.state is RequestState.DONE
    assert request.action is Action.FULL
    first, second = world.of_kind(OrdersPlanned)
    assert isinstance(first, OrdersPlanned)
    assert isinstance(second, OrdersPlanned)
    assert {spec.symbol for spec in first.orders} == SELLS
    assert {spec.symbol for spec in second.orders} == BUYS
    assert {spec.side for spec in first.orders} == {Side.SELL}
    assert {spec.side for spec in second.orders} == {Side.BUY}
    assert (first.at, second.at) == (T0, T0 + timedelta(seconds=0.5))
    assert set(world.sent_symbols()[:2]) == SELLS
    assert all(world.status(symbol) is OrdStatus.FILLED for symbol in SELLS | BUYS)
    finished(world)
    nav = world.cash + sum(qty * world.prices[symbol] for symbol, qty in world.positions.items())
    for symbol, weight in SWITCH.items():
        off = abs(world.positions[symbol] * world.prices[symbol] - dec(weight) * nav)
        assert off <= Decimal("0.015") * nav, f"{symbol} is {off} from its target"


def test_orders_carry_what_was_approved() -> None:
    world = World()
    world.rebalance(weights=SWITCH)
    sale, buy = world.order("AAA").spec, world.order("CCC").spec
    assert (sale.order_qty, sale.price) == (30, dec("99.50"))
    assert buy.price == dec("20.10")
    assert sale.ord_type is OrdType.LIMIT
    assert (sale.account, sale.link, sale.request_id, sale.wave, buy.wave) == ("main", "sim", "R1", 1, 2)
    assert sale.time_in_force is EXECUTION.time_in_force


def test_market_orders_carry_no_price() -> None:
    world = World(settings_of(execution=replace(EXECUTION, ord_type=OrdType.MARKET)))
    world.venue.default = [(0, "fill", 0, "20")]
    world.rebalance(weights={"AAA": "0.5", "BBB": "0.4", "CCC": "0.08"})
    assert world.order("CCC").spec.ord_type is OrdType.MARKET
    assert world.order("CCC").spec.price is None
    finished(world)


def test_partial_fills_add_up_and_the_next_wave_waits_for_the_last() -> None:
    world = World(cash=0)
    world.venue.plans["AAA"] = [
        (0, "ack"), (1, "fill", 10, "99.90"), (2, "fill", 15, "99.70"), (5, "fill", 0, "99.60"),
    ]  # fmt: skip
    world.targets(weights=SWITCH)
    world.run(3)
    order = world.order("AAA")
    assert order.ord_status is OrdStatus.PARTIALLY_FILLED
    assert (order.cum_qty, order.leaves_qty) == (25, order.spec.order_qty - 25)
    assert order.avg_px == (dec(10) * dec("99.90") + 15 * dec("99.70")) / 25
    assert set(world.sent_symbols()) == SELLS, "a buy left before its cash was there"
    assert not [key for key in world.game.timers if key.startswith("lookup")], "there is no doubt"
    world.run()
    assert world.status("AAA") is OrdStatus.FILLED
    assert set(world.sent_symbols()) == SELLS | BUYS
    finished(world)


def test_buys_are_cut_to_the_cash_the_sells_really_brought() -> None:
    world = World(cash=0)
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 5), (2, "cancel")]
    request = world.rebalance(weights=SWITCH)
    assert request.state is RequestState.DONE
    bought = sum(
        (order.notional for order in world.state.orders.values() if order.spec.side is Side.BUY), ZERO
    )
    brought = sum(
        (order.notional for order in world.state.orders.values() if order.spec.side is Side.SELL), ZERO
    )
    assert ZERO < bought < brought < 2_000
    finished(world)


def test_buys_without_any_cash_are_denied_by_name() -> None:
    world = World(cash=0)
    world.venue.default = [(0, "reject")]
    request = world.rebalance(weights=SWITCH)
    assert request.state is RequestState.DONE
    assert world.denials() == {"CCC": "cash", "DDD": "cash"}
    assert world.sent_symbols() == ["AAA", "BBB"]
    assert world.status("AAA") is OrdStatus.REJECTED
    finished(world)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("reject", OrdStatus.REJECTED), ("expire", OrdStatus.EXPIRED),
        ("cancel", OrdStatus.CANCELED), ("done", OrdStatus.DONE_FOR_DAY),
    ],
)  # fmt: skip
@pytest.mark.parametrize("acked", [True, False])
def test_an_order_the_venue_ends_lets_the_basket_go_on(word: str, status: OrdStatus, acked: bool) -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, word)] if acked else [(1, word)]
    request = world.rebalance(weights=SWITCH)
    assert request.state is RequestState.DONE
    assert world.status("AAA") is status
    assert world.order("AAA").leaves_qty == 0
    assert world.positions["AAA"] == 50
    assert world.status("CCC") is OrdStatus.FILLED
    assert any(
        isinstance(item, Publish)
        and isinstance(item.event, ReportReceived)
        and item.event.report.ord_status is status
        for item in world.game.effects
    )
    finished(world)


def test_a_wave_out_of_time_is_cancelled_and_the_next_one_goes_on() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 4)]
    world.targets(weights=SWITCH)
    world.run(29.9)
    assert cancels(world) == []
    assert world.request().wave == 1
    world.run()
    assert cancels(world) == ["AAA"]
    order = world.order("AAA")
    assert order.ord_status is OrdStatus.CANCELED
    assert (order.cum_qty, order.leaves_qty, order.cancels) == (4, 0, 1)
    assert world.request().wave == 2
    assert world.request().state is RequestState.DONE
    assert world.game.now == T0 + timedelta(seconds=3600), "the last timer is the request's end of life"
    finished(world)


def test_a_cancel_that_never_arrives_is_asked_again_under_a_new_name() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    world.venue.deaf["AAA"] = 5
    world.run(200)
    asked = [wish.cancel_id for wish in world.line.carried if isinstance(wish, CancelOrder)]
    assert len(asked) == len(set(asked)) == 6
    stuck = world.game.alerts("OrderStuck")
    assert [alert.severity for alert in stuck] == ["critical"] * 3
    assert "no answer to 3 cancel requests" in stuck[0].text
    assert world.status("AAA") is OrdStatus.CANCELED
    assert world.request().state is RequestState.DONE
    finished(world)


def test_a_send_the_venue_never_heard_of_ends_with_its_wave() -> None:
    world = World()
    world.venue.deaf["AAA"] = 1
    world.targets(weights=SWITCH)
    world.run(29)
    assert world.status("AAA") is OrdStatus.PENDING_NEW
    world.run(5)
    order = world.order("AAA")
    assert order.ord_status is OrdStatus.CANCELED
    assert order.text == "never reached the venue; no longer wanted"
    assert world.request().state is RequestState.DONE
    assert world.line.carried.count(world.game.sent()[0]) == 1, "it was sent again"
    assert not world.state.halts
    finished(world)


def test_orders_still_waiting_to_leave_when_their_wave_ends_never_leave() -> None:
    world = World()
    world.line.is_jammed = True
    world.targets(weights=SWITCH)
    world.run(29)
    assert len(world.line.waiting) == 2
    world.run(2)
    assert not any(wish.order.symbol in SELLS for wish in world.line.waiting)
    world.game.release("sim")
    world.run()
    assert {world.status(symbol) for symbol in SELLS} == {OrdStatus.CANCELED}
    assert world.order("AAA").text == "its wave is out of time"
    assert "AAA" not in world.sent_symbols()
    assert world.request().state is RequestState.DONE
    finished(world)


def test_a_fill_after_a_cancel_is_booked() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 4)]
    world.rebalance(weights=SWITCH)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    assert theirs.status is OrdStatus.CANCELED
    held = world.positions["AAA"]
    for event in world.venue.fill(theirs, dec(6)):
        world.say(replace(event, report=replace(event.report, ord_status=OrdStatus.CANCELED)))
    world.run()
    assert world.status("AAA") is OrdStatus.CANCELED
    assert world.order("AAA").cum_qty == 10
    assert world.positions["AAA"] == held - 6
    for event in world.venue.fill(theirs, dec(20)):
        world.say(event)
    world.run()
    assert world.status("AAA") is OrdStatus.FILLED
    assert not world.state.halts
    finished(world)


def test_a_cancel_that_crossed_the_fill_changes_nothing() -> None:
    world = World(latency_s=0.5)
    world.venue.plans["AAA"] = [(0, "ack"), (29.7, "fill")]
    request = world.rebalance(weights=SWITCH)
    assert cancels(world) == ["AAA"]
    assert world.status("AAA") is OrdStatus.FILLED
    assert world.order("AAA").cum_qty == 30
    assert request.state is RequestState.DONE
    finished(world)


def test_a_refused_cancel_leaves_the_order_working() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (0.5, "fill", 3), (45, "fill")]
    world.venue.refuses_cancels.add("AAA")
    world.targets(weights=SWITCH)
    world.run(31)
    order = world.order("AAA")
    assert order.ord_status is OrdStatus.PARTIALLY_FILLED
    assert order.text == "too late"
    assert world.request().state is RequestState.WORKING
    world.run()
    assert order.ord_status is OrdStatus.FILLED
    assert world.request().state is RequestState.DONE
    finished(world)


def test_a_pending_cancel_that_is_refused_falls_back_to_what_the_order_was() -> None:
    for filled, kept in ((0, OrdStatus.NEW), (3, OrdStatus.PARTIALLY_FILLED), (30, OrdStatus.FILLED)):
        world = World()
        plan = [(0, "ack"), (0.5, "fill", filled)] if filled else [(0, "ack")]
        world.venue.plans["AAA"] = plan[: 2 if filled < 30 else 1]
        world.venue.refuses_cancels.add("AAA")
        world.targets(weights=SWITCH)
        world.run(20)
        world.tell("AAA", ExecType.PENDING_CANCEL, ord_status=OrdStatus.PENDING_CANCEL)
        world.run(5)
        assert world.status("AAA") is OrdStatus.PENDING_CANCEL
        if filled == 30:
            theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
            for event in world.venue.fill(theirs, dec(30)):
                report = replace(event.report, ord_status=OrdStatus.PENDING_CANCEL)
                world.say(replace(event, report=report))
            world.run(1)
            assert world.status("AAA") is OrdStatus.PENDING_CANCEL
        world.venue.dumb.add("AAA")
        world.run(6)
        assert world.status("AAA") is kept, filled


def test_the_same_report_twice_counts_once() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 10), (2, "fill")]
    world.targets(weights=SWITCH)
    world.run(1.5)
    again = [event for event in world.line.record if isinstance(event, ReportReceived)]
    cash, book = world.cash, dict(world.positions)
    for event in again:
        world.say(event)  # a new place in the link's record, the same ExecID(17)
    world.run(0.1)
    assert (world.cash, world.positions) == (cash, book)
    world.game.feed(*again)  # the same place in the link's record
    world.run()
    assert world.request().state is RequestState.DONE
    finished(world)


def test_reports_out_of_order_end_where_reports_in_order_end() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    early = world.venue.fill(theirs, dec(10))
    late = world.venue.fill(theirs, dec(5))
    world.say(late[0])
    world.run(0.1)
    assert world.order("AAA").cum_qty == 5
    assert world.order("AAA").lookups == 1, "ten more have filled than we have seen"
    world.say(early[0])
    world.run(0.1)
    assert world.order("AAA").cum_qty == 15
    assert world.order("AAA").lookups == 0
    assert world.status("AAA") is OrdStatus.PARTIALLY_FILLED
    last = world.venue.fill(theirs, dec(15))
    world.say(last[0])
    world.run()
    assert world.status("AAA") is OrdStatus.FILLED
    finished(world)


def test_the_last_fill_overtaking_an_earlier_one_does_not_end_the_order_early() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    early, last = world.venue.fill(theirs, dec(10)), world.venue.fill(theirs, dec(20))
    world.say(last[0])
    world.run(0.1)
    assert world.status("AAA") is OrdStatus.PARTIALLY_FILLED
    assert set(world.sent_symbols()) == SELLS
    world.say(early[0])
    world.run()
    assert world.status("AAA") is OrdStatus.FILLED
    assert world.request().state is RequestState.DONE
    finished(world)


def test_a_hold_is_a_decision_too() -> None:
    world = World()
    request = world.rebalance(weights={"AAA": "0.5", "BBB": "0.4"})
    assert request.state is RequestState.HELD
    assert request.action is Action.HOLD
    assert request.reason
    assert request.reason == request.text
    assert not world.sent_symbols()
    finished(world)


def test_others_sell_liquidates_what_is_not_named_and_keep_does_not() -> None:
    world = World()
    world.rebalance(weights={"AAA": "0.5"}, others=Others.SELL)
    assert "BBB" not in world.positions
    kept = World()
    kept.rebalance(weights={"AAA": "0.4"})
    assert kept.positions["BBB"] == 80
    finished(world)
    finished(kept)


def test_a_crisis_passes_the_cost_gate_and_nothing_else() -> None:
    limits = replace(LIMITS, restricted=frozenset({"CCC"}))
    calm, crisis = World(settings_of(limits=limits)), World(settings_of(limits=limits))
    weights = {"AAA": "0.35", "BBB": "0.40", "CCC": "0.10", "DDD": "0.003"}
    calm.rebalance(weights=weights)
    request = crisis.rebalance(weights=weights, regime=Regime.CRISIS)
    assert request.action is Action.IMMEDIATE
    assert calm.denials() == {"CCC": "restricted", "DDD": "transaction_cost"}
    assert crisis.denials() == {"CCC": "restricted"}
    assert "DDD" in crisis.positions
    finished(crisis)


def test_nothing_but_denials_ends_the_request_without_an_order() -> None:
    world = World(settings_of(limits=replace(LIMITS, restricted=frozenset({"AAA", "BBB", "CCC", "DDD"}))))
    request = world.rebalance(weights=SWITCH)
    assert request.state is RequestState.DONE
    assert set(world.denials().values()) == {"restricted"}
    assert not world.state.orders
    assert len(world.of_kind(RequestFinished)) == 1
    finished(world)
