"""Orders in doubt: looked up by name, believed lost only when proved so, sent again under the same name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from world import EXECUTION, LINK, World, dec, settings_of

from gateway.domain.order import ExecType, OrdStatus, Report
from gateway.events import (
    ActionStated,
    ActivityStated,
    CancelOrder,
    CancelRequested,
    Event,
    GatewayStarted,
    HaltRequested,
    LinkUp,
    LookUpOrder,
    OrderAbandoned,
    OrderResent,
    OrderSettled,
    OrdersPlanned,
    OrderUnknown,
    PositionStated,
    ReportReceived,
    RequestState,
    ResumeRequested,
    SendInDoubt,
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


def test_an_order_nobody_answered_for_is_asked_about_and_sent_again_only_when_proved_unknown() -> None:
    world = World()
    world.venue.deaf["AAA"] = 1
    world.targets(weights=SWITCH)
    world.run(0.1)
    sent = world.order("AAA").spec.cl_ord_id
    world.game.feed(SendInDoubt(world.game.now, sent, "no answer within 5 s"))
    world.game.feed(SendInDoubt(world.game.now, "NOBODY", "no answer"))
    world.run(0.01)
    assert world.status("AAA") is OrdStatus.IN_DOUBT
    assert world.order("AAA").text == "no answer within 5 s"
    finish(world)
    assert [wish.poss_resend for wish in sends(world, "AAA")] == [False, True]


def test_an_order_the_venue_has_shown_is_not_put_in_doubt_again() -> None:
    world = World()
    world.targets(weights=SWITCH)
    finish(world)
    order = world.order("AAA")
    before = order.ord_status
    now(world, SendInDoubt(world.game.now, order.spec.cl_ord_id, "late"))
    assert order.ord_status is before
    assert order.text != "late"


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


# ------------------------------------------------------- venues that cannot be asked, or repeat nothing


def now(world: World, event: Event) -> None:
    world.game.feed(event)
    world.run(0.01)


def silent_venue(**words: bool) -> World:
    """Begin at a venue that answers no look-up, with the sell of AAA on its way and no word of it."""
    world = World()
    world.venue.deaf["AAA"] = 1
    world.venue.dumb |= {"AAA", "BBB"}
    world.game.feed(LinkUp(world.game.now, LINK, can_look_up=False, **words))
    world.targets(weights=SWITCH)
    world.run(0.1)
    return world


def reconnect(world: World, **words: bool) -> None:
    world.game.cut(LINK)
    world.run(0.1)
    world.game.connect(LINK)
    world.game.feed(LinkUp(world.game.now, LINK, can_look_up=False, **words))


def test_an_order_nobody_can_be_asked_about_halts_by_name_and_is_not_sent_again() -> None:
    world = silent_venue()
    reconnect(world)
    world.run(60)
    order = world.order("AAA")
    assert order.ord_status is OrdStatus.IN_DOUBT
    assert order.spec.cl_ord_id in world.state.halts["main"]
    assert "gateway settle" in world.state.halts["main"]
    assert len(sends(world, "AAA")) == 1
    world.game.feed(ResumeRequested(world.game.now, "main", "ann"))
    world.run(60)
    assert world.state.halts, "nothing has been settled"
    world.is_deterministic()


def test_the_sessions_own_numbers_tell_that_an_order_never_arrived() -> None:
    world = silent_venue()
    cl_ord_id = world.order("AAA").spec.cl_ord_id
    now(world, SendWithheld(world.game.now, cl_ord_id, "in a gap", is_answer=True))
    assert world.status("AAA") is OrdStatus.PENDING_NEW, "an answer is about an order in doubt only"
    reconnect(world)
    now(world, SendWithheld(world.game.now, cl_ord_id, "in a gap", is_answer=True))
    finish(world)
    assert [wish.poss_resend for wish in sends(world, "AAA")] == [False, False]
    assert world.status("AAA") is OrdStatus.FILLED
    assert not world.state.halts


def test_an_order_that_never_arrived_waits_for_its_link() -> None:
    world = silent_venue()
    cl_ord_id = world.order("AAA").spec.cl_ord_id
    world.game.cut(LINK)
    now(world, SendWithheld(world.game.now, cl_ord_id, "in a gap", is_answer=True))
    world.run(5)
    assert len(sends(world, "AAA")) == 1
    world.game.connect(LINK)
    finish(world)
    assert world.status("AAA") is OrdStatus.FILLED


def test_numbers_that_began_again_over_open_orders_halt_by_name() -> None:
    world = silent_venue()
    world.venue.default = [(0, "ack")]
    reconnect(world, was_reset=True)
    world.run(1)
    assert "began its numbers again with 1 orders open: AAA" in world.state.halts["main"]


def test_a_person_settles_what_nobody_can_find_out() -> None:
    world = silent_venue()
    reconnect(world)
    world.run(60)
    order = world.order("AAA")
    spec = order.spec
    before = world.cash
    for qty, px in ((dec(-1), dec(10)), (spec.order_qty + 1, dec(10)), (spec.order_qty, dec(0))):
        now(world, OrderSettled(world.game.now, spec.cl_ord_id, qty, px, "ann"))
        assert order.ord_status is OrdStatus.IN_DOUBT
    now(world, OrderSettled(world.game.now, "NOBODY", dec(1), dec(1), "ann"))
    warned = [alert.text for alert in world.game.alerts() if alert.code == "OrderSettled"]
    assert len(warned) == 4
    now(world, OrderSettled(world.game.now, spec.cl_ord_id, dec(2), dec(100), "ann"))
    assert (order.ord_status, order.cum_qty, world.cash) == (OrdStatus.CANCELED, 2, before + 200)
    late = Report(
        spec.cl_ord_id, "E1", ExecType.TRADE, OrdStatus.CANCELED, dec(2), last_qty=dec(2), last_px=dec(100)
    )
    world.say(ReportReceived(world.game.now, "", 0, late))
    world.run(1)
    assert (order.cum_qty, world.cash) == (2, before + 200), "what a person booked is not booked again"
    world.is_deterministic()


def test_a_settlement_at_an_impossible_price_is_refused() -> None:
    world = World()
    world.venue.default = [(0, "ack"), (0, "fill", 1)]
    world.targets(weights=SWITCH)
    world.run(0.1)
    order = world.order("AAA")
    now(world, OrderSettled(world.game.now, order.spec.cl_ord_id, dec(2), dec(1), "ann"))
    assert order.cum_qty == 1
    assert "cannot be settled: LastQty(32)" in world.game.alerts()[-1].text


def test_a_venue_that_repeats_nothing_is_read_by_its_totals() -> None:
    world = World()
    world.venue.default = [(0, "ack")]
    world.game.feed(LinkUp(world.game.now, LINK, replays=False))
    world.targets(weights=SWITCH)
    world.run(0.1)
    order = world.order("AAA")
    spec = order.spec
    before = world.cash
    words = {"cl_ord_id": spec.cl_ord_id, "ord_status": OrdStatus.PARTIALLY_FILLED}
    status = Report(exec_id="", exec_type=ExecType.ORDER_STATUS, cum_qty=dec(3), avg_px=dec(101), **words)
    fill = Report(
        exec_id="E1", exec_type=ExecType.TRADE, cum_qty=dec(3), last_qty=dec(1), last_px=dec(99), **words
    )
    more = Report(
        exec_id="E2", exec_type=ExecType.TRADE, cum_qty=dec(4), last_qty=dec(1), last_px=dec(99), **words
    )
    blind = Report(exec_id="", exec_type=ExecType.ORDER_STATUS, cum_qty=dec(6), **words)
    for report in (status, status, fill, more, more):
        world.say(ReportReceived(world.game.now, "", 0, report))
    world.run(0.1)
    assert (order.cum_qty, world.cash) == (4, before + 303 + 99)
    assert sorted(order.executions) == ["E2", f"STATUS:{spec.cl_ord_id}:3"]
    world.say(ReportReceived(world.game.now, "", 0, blind))
    world.run(0.1)
    assert (order.cum_qty, order.lookups) == (4, 1), "totals without a price are asked about, not booked"
    world.is_deterministic()


def test_an_order_that_is_not_among_the_open_ones_may_have_ended() -> None:
    world = World()
    world.venue.deaf["AAA"] = 1
    world.venue.dumb.add("AAA")
    world.targets(weights=SWITCH)
    world.run(0.1)
    world.game.cut(LINK)
    world.game.connect(LINK)
    cl_ord_id = world.order("AAA").spec.cl_ord_id
    for _ in range(3):
        world.say(OrderUnknown(world.game.now, "", 0, cl_ord_id, is_certain=False))
        world.run(3)
    assert "does not name it among its open orders" in world.state.halts["main"]
    assert len(sends(world, "AAA")) == 1


def test_one_message_may_say_of_several_orders_that_they_are_unknown() -> None:
    world = World()
    for symbol in ("AAA", "BBB"):
        world.venue.deaf[symbol] = 1
        world.venue.dumb.add(symbol)
    world.targets(weights={"AAA": "0.1", "BBB": "0.1"}, others="sell")
    world.run(0.1)
    world.game.cut(LINK)
    world.game.connect(LINK)
    seq = world.state.link(LINK).seq + 1
    for symbol in ("AAA", "BBB"):
        now(world, OrderUnknown(world.game.now, LINK, seq, world.order(symbol).spec.cl_ord_id))
    now(world, OrderUnknown(world.game.now, LINK, seq - 1, world.order("AAA").spec.cl_ord_id))
    assert [world.order(symbol).lookups for symbol in ("AAA", "BBB")] == [1, 1]


def test_a_position_the_venue_states_must_be_the_books() -> None:
    world = World()
    world.rebalance(weights=SWITCH)
    seq = world.state.link(LINK).seq
    held = world.positions["CCC"]

    def state(qty: Decimal, account: str = "main", symbol: str = "CCC") -> None:
        nonlocal seq
        seq += 1
        now(world, PositionStated(world.game.now, LINK, seq, account, symbol, qty))

    state(held)
    state(held, account="nobody")
    now(world, PositionStated(world.game.now, LINK, seq, "main", "CCC", held + 1))
    assert not world.state.halts, "a message is taken once"
    state(held + 1)
    state(held + 1)
    assert world.state.halts["main"] == f"sim holds {held + 1} CCC for main, the book {held}"
    assert len([one for one in world.game.alerts() if one.code == "PositionStated"]) == 1


def test_a_position_is_not_compared_while_an_order_of_it_is_open() -> None:
    world = World()
    world.venue.default = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(0.1)
    seq = world.state.link(LINK).seq + 1
    now(world, PositionStated(world.game.now, LINK, seq, "main", "AAA", dec(1)))
    assert not world.state.halts


def stated(world: World, number: int, kind: str, *, on: str, **moved: Any) -> None:
    seq = world.state.link(LINK).seq + 1
    now(world, ActivityStated(world.game.now, LINK, seq, "main", f"a{number}", kind, on, **moved))


def tomorrow(world: World) -> str:
    return (world.game.now + timedelta(days=1)).date().isoformat()


def test_a_dividend_is_booked_once_and_told() -> None:
    world = World()
    cash, on = world.state.book.accounts["main"].cash, tomorrow(world)
    stated(world, 1, "DIV", on=on, cash=dec("4.20"), symbol="CCC")
    stated(world, 1, "DIV", on=on, cash=dec("4.20"), symbol="CCC")
    assert world.state.book.accounts["main"].cash == cash + dec("4.20")
    told = [one for one in world.game.alerts() if one.code == "ActivityStated"]
    assert [one.text for one in told] == [f"sim main {on}: DIV CCC +4.20 in cash: booked"]
    assert told[0].severity == "info"
    assert not world.state.halts


def test_a_reinvested_dividend_is_a_lot_of_its_day_at_what_it_took() -> None:
    """Three shares for 50.00: the price is not a round one, and not a cent is lost on it."""
    world = World()
    account, on = world.state.book.accounts["main"], tomorrow(world)
    cash, held = account.cash, world.state.book.position("main", "CCC")
    for _ in range(2):
        stated(world, 1, "REINVEST", on=on, cash=dec(-50), symbol="CCC", qty=dec(3))
    lot = account.lots["CCC"][-1]
    assert (lot.qty, lot.cost, lot.acquired.isoformat()) == (3, 50, on)
    assert (account.cash, world.state.book.position("main", "CCC")) == (cash - 50, held + 3)
    world.state.book.check()
    assert not world.state.halts
    assert world.game.alerts()[-1].text.endswith("booked as a lot")
    assert world.game.alerts()[-1].severity == "info"


def test_a_reinvestment_that_makes_no_sense_halts_for_a_person_to_look() -> None:
    for moved in ({"cash": dec(50), "qty": dec(3)}, {"cash": dec(-50), "qty": dec(-3)}):
        world = World()
        stated(world, 1, "REINVEST", on=tomorrow(world), symbol="CCC", **moved)
        assert "a person must look" in world.state.halts["main"]
    world = World()
    stated(world, 1, "REINVEST", on=tomorrow(world), symbol="none", cash=dec(-50), qty=dec(3))
    assert "a person must look" in world.state.halts["main"]


def test_what_happened_up_to_the_day_the_book_was_opened_is_told_and_not_booked() -> None:
    world = World()
    cash = world.state.book.accounts["main"].cash
    stated(world, 1, "CSD", on=world.game.now.date().isoformat(), cash=dec(1000))
    assert world.state.book.accounts["main"].cash == cash
    assert "not booked" in world.game.alerts()[-1].text


def test_a_split_makes_the_position_the_venue_states_next_the_new_one_at_the_same_cost() -> None:
    world = World()
    book = world.state.book
    held, cost = book.position("main", "BBB"), sum(lot.cost for lot in book.accounts["main"].lots["BBB"])
    stated(world, 1, "SPLIT", on=tomorrow(world), symbol="BBB", qty=held * 3)
    assert book.position("main", "BBB") == held
    seq = world.state.link(LINK).seq
    now(world, PositionStated(world.game.now, LINK, seq + 1, "main", "BBB", held * 4))
    assert book.position("main", "BBB") == held * 4
    assert sum(lot.cost for lot in book.accounts["main"].lots["BBB"]) == cost
    book.check()
    assert not world.state.halts
    now(world, PositionStated(world.game.now, LINK, seq + 2, "main", "BBB", held))
    assert world.state.halts, "a split is used once"


def test_a_spin_off_halts_for_a_person_to_look() -> None:
    world = World()
    stated(world, 1, "SPIN", on=tomorrow(world), symbol="AAA", qty=dec(5), text="spun off")
    assert "a person must look" in world.state.halts["main"]
    assert world.game.alerts()[-1].severity == "critical"
    stated(world, 2, "MA", on=tomorrow(world), symbol="AAA", qty=dec(5), text="merged")
    assert "a person must look at positions and cost basis" in world.state.halt_reason("main")


def test_a_spin_off_is_booked_once_a_person_has_stated_it() -> None:
    world = World()
    book = world.state.book
    cost = sum(lot.cost for lot in book.accounts["main"].lots["BBB"])
    stated(world, 1, "SPIN", on=tomorrow(world), symbol="AAA", qty=dec(5), text="spun off")
    halt = world.state.halts["main"]
    assert "`gateway spin-off main OLD NEW QTY FRACTION`" in halt
    for wrong in (
        ActionStated(world.game.now, "nobody", "BBB", "ann", new_symbol="AAA", qty=dec(5)),
        ActionStated(world.game.now, "main", "BBB", "ann", new_symbol="NOSUCH", qty=dec(5)),
        ActionStated(world.game.now, "main", "BBB", "ann", new_symbol="AAA", qty=dec(5), fraction=dec(2)),
    ):
        now(world, wrong)
        assert world.game.alerts()[-1].text.endswith("nothing is booked")
    before = book.position("main", "AAA")
    good = ActionStated(
        world.game.now, "main", "BBB", "ann", new_symbol="AAA", qty=dec(5), fraction=dec("0.2")
    )
    now(world, good)
    lots = book.accounts["main"].lots
    assert book.position("main", "AAA") == before + 5
    assert (sum(lot.cost for lot in lots["BBB"]), lots["AAA"][-1].cost) == (
        cost * dec("0.8"),
        cost * dec("0.2"),
    )
    assert world.game.alerts()[-1].severity == "info"
    assert world.state.halts["main"] == halt, "to go on is another command"
    book.check()
    world.is_deterministic()


def test_a_return_of_capital_lowers_cost_and_one_beyond_it_halts() -> None:
    world = World()
    account = world.state.book.accounts["main"]
    cash, cost = account.cash, sum(lot.cost for lot in account.lots["BBB"])
    stated(world, 1, "DIVROC", on=tomorrow(world), symbol="BBB", cash=dec(10))
    assert (account.cash, sum(lot.cost for lot in account.lots["BBB"])) == (cash + 10, cost - 10)
    assert not world.state.halts
    now(world, ActionStated(world.game.now, "main", "BBB", "ann", dec(5)))
    assert (account.cash, sum(lot.cost for lot in account.lots["BBB"])) == (cash + 10, cost - 15)
    stated(world, 2, "DIVROC", on=tomorrow(world), symbol="BBB", cash=cost)
    assert "a return of capital that cannot be booked" in world.state.halts["main"]
    assert account.cash == cash + 10 + cost, "the cash is there either way"


def test_an_activity_of_an_account_that_is_not_ours_is_passed_over() -> None:
    world = World()
    seq = world.state.link(LINK).seq + 1
    now(world, ActivityStated(world.game.now, LINK, seq, "nobody", "a1", "DIV", "2099-01-01", dec(1)))
    assert not world.game.alerts()
