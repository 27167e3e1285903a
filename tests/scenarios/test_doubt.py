"""Orders in doubt: looked up by name, believed lost only when proved so, sent again under the same name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from world import EXECUTION, LINK, World, dec, settings_of

from gateway.domain.order import ExecType, OrdStatus
from gateway.events import (
    CancelOrder,
    CancelRequested,
    GatewayStarted,
    HaltRequested,
    LookUpOrder,
    OrderAbandoned,
    OrderResent,
    OrdersPlanned,
    RequestState,
    ResumeRequested,
    SendOrder,
    SendWithheld,
)
from gateway.oms.reconcile import MAX_SENDS

SWITCH = {"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.2"}


def sends(world: World, symbol: str) -> list[SendOrder]:
    return [wish for wish in world.game.sent() if wish.order.symbol == symbol]


def questions(world: World, symbol: str) -> int:
    return sum(isinstance(wish, LookUpOrder) and wish.order.symbol == symbol for wish in world.line.carried)


def cut_before_it_arrived(world: World | None = None) -> World:
    """Return a world whose line broke with both sales on the way: they never arrive."""
    world = world or World(latency_s=0.2)
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.cut(LINK, loses=True)
    world.run(1)
    return world


def finish(world: World, *, orders: int = 4) -> None:
    world.run()
    assert world.request().state is RequestState.DONE
    assert len(world.state.orders) == orders
    assert not world.state.halts
    world.agrees()
    world.is_deterministic()


def test_a_link_lost_in_mid_basket_is_taken_up_where_it_broke() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (0.5, "fill", 10), (2, "fill", 5), (3, "fill")]
    world.targets(weights=SWITCH)
    world.run(1)
    world.game.cut(LINK)
    world.run(5)
    assert world.order("AAA").cum_qty == 10, "the line is down"
    assert [alert.code for alert in world.game.alerts()] == ["LinkDown"]
    world.game.connect(LINK)
    assert len(sends(world, "CCC")) == 0
    finish(world)
    assert len(sends(world, "AAA")) == 1


def test_an_acknowledged_order_is_no_doubt_when_the_link_breaks() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (3, "fill")]
    world.targets(weights=SWITCH)
    world.run(1)
    world.game.cut(LINK)
    world.run(1)
    assert world.status("AAA") is OrdStatus.NEW
    world.game.connect(LINK)
    finish(world)


def test_an_order_found_at_the_venue_is_not_sent_again() -> None:
    world = World(latency_s=0.2)
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.cut(LINK)  # what is on the way arrives, the answers wait
    world.run(5)
    assert {order.ord_status for order in world.state.orders.values()} == {OrdStatus.IN_DOUBT}
    world.game.connect(LINK)
    finish(world)
    assert len(sends(world, "AAA")) == len(sends(world, "BBB")) == 1
    assert not world.of_kind(OrderResent)


def test_an_order_the_venue_answers_for_by_status_alone_lives_on() -> None:
    world = World(latency_s=0.2)
    world.venue.plans["AAA"] = [(10, "fill")]  # no word of it until it fills
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.cut(LINK)
    world.run(1)
    world.game.connect(LINK)
    world.run(1)
    assert world.status("AAA") is OrdStatus.PENDING_NEW
    assert world.order("AAA").order_id
    finish(world)
    assert len(sends(world, "AAA")) == 1


def test_an_order_proved_unknown_is_sent_again_once_under_its_name() -> None:
    world = cut_before_it_arrived()
    assert world.status("AAA") is OrdStatus.IN_DOUBT
    world.game.connect(LINK)
    world.run(0.4)
    assert questions(world, "AAA") == 1
    assert len(sends(world, "AAA")) == 1, "one answer proves nothing"
    finish(world)
    first, second = sends(world, "AAA")
    assert (first.poss_resend, second.poss_resend) == (False, True)
    assert first.order == second.order
    assert questions(world, "AAA") == 2
    assert world.order("AAA").sends == 2
    assert len(world.of_kind(OrderResent)) == 2


def test_answers_to_questions_asked_together_count_as_one() -> None:
    world = World(settings_of(execution=replace(EXECUTION, lookups_before_unknown=3)), latency_s=0.2)
    cut_before_it_arrived(world)
    world.game.connect(LINK)
    world.run(0.3)
    for _ in range(2):
        world.game.feed(ResumeRequested(world.game.now, "", "ann"))  # asks, too
        world.run(0.01)
    world.run(0.3)
    assert world.order("AAA").lookups >= 3
    assert len(sends(world, "AAA")) == 1, "asked three times within one wait"
    finish(world)
    assert len(sends(world, "AAA")) == 2


def test_a_venue_that_does_not_answer_is_asked_until_it_does() -> None:
    world = cut_before_it_arrived()
    world.venue.dumb.add("AAA")
    world.game.connect(LINK)
    world.run(10)
    assert world.status("AAA") is OrdStatus.IN_DOUBT
    assert questions(world, "AAA") >= 10
    assert len(sends(world, "AAA")) == 1
    world.venue.dumb.clear()
    finish(world)
    assert len(sends(world, "AAA")) == 2


def test_a_resent_order_whose_first_sending_comes_late_is_one_order() -> None:
    world = World(latency_s=0.2)
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.cut(LINK)
    world.line.on_the_way = [
        (due.replace(second=4), place, wish) for due, place, wish in world.line.on_the_way
    ]
    world.run(1)
    world.game.connect(LINK)
    finish(world)
    assert len(sends(world, "AAA")) == 2, "it was sent again before the first one arrived"
    assert world.venue.orders[world.order("AAA").spec.cl_ord_id].accepted == 1


def abandoned(world: World, text: str) -> None:
    found = world.of_kind(OrderAbandoned)
    assert {event.text for event in found if isinstance(event, OrderAbandoned)} == {text}
    assert world.status("AAA") is OrdStatus.CANCELED
    assert world.order("AAA").text == text
    assert not world.venue.orders.get(world.order("AAA").spec.cl_ord_id)
    world.agrees()
    world.is_deterministic()


def test_an_order_too_old_to_send_again_is_given_up() -> None:
    patient = replace(EXECUTION, wave_timeout_s=dec(10_000))
    world = cut_before_it_arrived(World(settings_of(execution=patient), latency_s=0.2))
    world.run(400)
    world.game.connect(LINK)
    world.price()
    world.run(20)
    assert world.order("AAA").sends == 1
    abandoned(world, "never reached the venue; 402 s old by now")


def test_an_order_sent_too_often_is_given_up() -> None:
    world = World(latency_s=0.2)
    world.targets(weights={"AAA": "0.2", "BBB": "0.4"})
    for _ in range(MAX_SENDS):
        world.run(0.1)
        world.game.cut(LINK, loses=True)
        world.run(0.1)
        world.game.connect(LINK)
        world.run(0.95)
    world.run(3)
    assert len(sends(world, "AAA")) == MAX_SENDS
    abandoned(world, f"sent {MAX_SENDS} times and never reached the venue")
    assert world.request().state is RequestState.DONE


def test_an_order_no_longer_wanted_is_given_up() -> None:
    world = cut_before_it_arrived()
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.run(1)
    world.game.connect(LINK)
    world.run()
    assert len(sends(world, "AAA")) == 1
    abandoned(world, "never reached the venue; no longer wanted")
    assert world.request().state is RequestState.CANCELED
    assert world.request().text == "cancelled by ann"


def test_an_order_no_longer_wanted_that_did_arrive_is_cancelled() -> None:
    world = World(latency_s=0.2)
    world.venue.default = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.cut(LINK)
    world.run(1)
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.run(1)
    world.game.connect(LINK)
    world.run(2)
    assert {world.status("AAA"), world.status("BBB")} == {OrdStatus.CANCELED}
    assert any(isinstance(wish, CancelOrder) for wish in world.line.carried)
    assert world.request().state is RequestState.CANCELED
    world.agrees()
    world.is_deterministic()


def test_a_cancel_asked_for_while_the_link_is_down_reaches_a_working_order() -> None:
    world = World()
    world.venue.default = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    world.game.cut(LINK)
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.run(1)
    assert world.status("AAA") is OrdStatus.NEW
    world.game.connect(LINK)
    world.run(1)
    assert {world.status("AAA"), world.status("BBB")} == {OrdStatus.CANCELED}
    assert world.request().state is RequestState.CANCELED
    world.agrees()


def test_an_order_in_doubt_of_a_halted_account_waits_for_the_resume() -> None:
    world = cut_before_it_arrived()
    world.game.feed(HaltRequested(world.game.now, "main", "lunch", "ann"))
    world.game.connect(LINK)
    world.run(5)
    assert world.status("AAA") is OrdStatus.IN_DOUBT
    asked = questions(world, "AAA")
    assert asked == 2, "proved unknown; no more questions before the resume"
    assert len(sends(world, "AAA")) == 1
    world.game.feed(ResumeRequested(world.game.now, "main", "ann"))
    finish(world)
    assert questions(world, "AAA") > asked
    assert len(sends(world, "AAA")) == 2


def test_a_halt_between_the_decision_to_resend_and_its_record_wins() -> None:
    world = cut_before_it_arrived()
    world.game.connect(LINK)
    world.run(0.45)
    engine = world.game.engine
    order = world.order("AAA")
    assert order.lookups == 1
    world.run(0.05)
    assert order.ord_status is OrdStatus.IN_DOUBT
    halt = HaltRequested(world.game.now, "main", "stop", "ann")
    resent = OrderResent(world.game.now, order.spec.cl_ord_id)
    engine.process(halt)
    assert engine.process(resent) == []
    assert order.ord_status is OrdStatus.IN_DOUBT
    assert order.sends == 1
    engine.process(ResumeRequested(world.game.now, "main", "ann"))
    assert engine.process(resent)
    assert (order.ord_status, order.sends, order.lookups) == (OrdStatus.PENDING_NEW, 2, 0)
    abandoned = OrderAbandoned(world.game.now, order.spec.cl_ord_id, "given up")
    assert engine.process(abandoned)
    assert order.ord_status is OrdStatus.CANCELED
    assert engine.process(abandoned) == []


def test_a_given_up_order_that_lives_after_all_halts_and_is_tracked() -> None:
    world = cut_before_it_arrived()
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.game.connect(LINK)
    world.run(5)
    assert world.status("AAA") is OrdStatus.CANCELED
    world.line.carry(sends(world, "AAA")[0], world.game.now)  # the first sending, hours on the way
    world.run(0.5)
    assert "the venue has an order that was given up" in world.state.halts["main"]
    assert world.status("AAA") is OrdStatus.FILLED, "what it filled is booked"
    world.agrees()
    world.is_deterministic()


def test_a_given_up_order_the_venue_says_is_dead_stays_dead_without_a_halt() -> None:
    world = cut_before_it_arrived()
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.game.connect(LINK)
    world.run(5)
    world.tell("AAA", ExecType.REJECTED, ord_status=OrdStatus.REJECTED, text="stale")
    world.run(1)
    assert world.status("AAA") is OrdStatus.REJECTED
    assert not world.state.halts


def test_an_order_that_did_not_leave_is_sent_again_after_a_while_as_the_first_time() -> None:
    world = World()
    world.venue.deaf["AAA"] = 1
    world.targets(weights=SWITCH)
    world.run(0.1)
    cl_ord_id = world.order("AAA").spec.cl_ord_id
    world.game.feed(SendWithheld(world.game.now, cl_ord_id, "the socket was closed"))
    world.run(0.1)
    assert world.status("AAA") is OrdStatus.IN_DOUBT
    assert world.order("AAA").text == "the socket was closed"
    finish(world)
    assert [wish.poss_resend for wish in sends(world, "AAA")] == [False, False]


def test_an_order_that_did_not_leave_a_halted_account_is_over() -> None:
    world = World()
    world.line.is_jammed = True
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.feed(HaltRequested(world.game.now, "", "stop", "ann"))
    world.run(0.1)
    assert not world.line.waiting
    assert {world.status("AAA"), world.status("BBB")} == {OrdStatus.CANCELED}
    assert not sends(world, "AAA")
    cl_ord_id = world.order("AAA").spec.cl_ord_id
    world.game.feed(SendWithheld(world.game.now, cl_ord_id, "again"))
    world.game.feed(SendWithheld(world.game.now, "NOBODY", "again"))
    world.run(0.1)
    assert world.order("AAA").text == "stop"


def test_a_wave_planned_while_the_link_breaks_is_sent_when_it_is_back() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    for event in world.venue.fill(theirs, theirs.spec.order_qty):
        world.say(event)
    world.game.feed(*world.line.news(world.game.now))
    world.game.cut(LINK)  # in one batch: the last fill asks for the next plan, then the line is gone
    world.run(1)
    assert len(world.of_kind(OrdersPlanned)) == 2
    assert not sends(world, "CCC")
    assert world.status("CCC") is OrdStatus.PENDING_NEW
    world.game.connect(LINK)
    finish(world)
    assert [wish.poss_resend for wish in sends(world, "CCC")] == [True]


def test_a_restart_puts_unacknowledged_orders_in_doubt_and_keeps_the_rest() -> None:
    world = World(latency_s=0.2)
    world.venue.plans["AAA"] = [(0, "ack"), (3, "fill")]
    world.venue.plans["BBB"] = [(5, "fill")]
    world.targets(weights=SWITCH)
    world.run(1)
    assert world.status("AAA") is OrdStatus.NEW
    assert world.status("BBB") is OrdStatus.PENDING_NEW
    world.restart(1)
    assert world.status("AAA") is OrdStatus.NEW
    assert world.status("BBB") is OrdStatus.IN_DOUBT
    assert len(world.of_kind(GatewayStarted)) == 2
    world.price()
    finish(world)
    assert len(sends(world, "BBB")) == 1


@pytest.mark.parametrize("what", ["send", "answer"])
def test_a_lossy_line_that_stays_up_costs_a_wave_but_never_a_position(what: str) -> None:
    world = World()
    lost = world.venue.deaf if what == "send" else world.venue.loses
    for symbol in ("AAA", "CCC"):
        lost[symbol] = 1
    world.venue.default = [(0, "ack"), (1, "fill")]
    world.targets(weights=SWITCH)
    world.run(20)
    world.price()
    world.run(50)
    assert world.request().state is RequestState.DONE
    assert world.status("BBB") is world.status("DDD") is OrdStatus.FILLED
    assert not world.state.halts
    world.agrees()
    world.is_deterministic()


def test_a_broken_link_begins_the_questions_anew() -> None:
    world = cut_before_it_arrived()
    world.game.connect(LINK)
    world.run(0.45)
    assert world.order("AAA").lookups == 1
    world.game.cut(LINK, loses=True)
    world.run(0.1)
    assert world.order("AAA").lookups == 0
    world.game.connect(LINK)
    world.run(0.45)
    assert len(sends(world, "AAA")) == 1
    finish(world)


def test_a_resume_asks_about_what_is_not_acknowledged_and_nothing_else() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (5, "fill")]
    world.venue.plans["BBB"] = [(3, "ack"), (5, "fill")]
    world.targets(weights=SWITCH)
    world.run(1)
    assert (world.status("AAA"), world.status("BBB")) == (OrdStatus.NEW, OrdStatus.PENDING_NEW)
    world.game.feed(HaltRequested(world.game.now, "", "lunch", "ann"))
    world.game.feed(ResumeRequested(world.game.now, "", "ann"))
    world.run(0)
    assert (questions(world, "AAA"), questions(world, "BBB")) == (0, 1)
    finish(world)
