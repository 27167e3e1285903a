"""A request's way: one at a time and in order, previewed, approved, cancelled, expired or held up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from world import EXECUTION, LINK, T0, World, dec, settings_of

from gateway.domain.order import ExecType, OrdStatus
from gateway.engine import Engine
from gateway.events import (
    Action,
    ApprovalGiven,
    CancelOrder,
    CancelRequested,
    GatewayStarted,
    HaltRequested,
    Mode,
    OrderAbandoned,
    OrdersPlanned,
    PricesUpdated,
    Publish,
    RequestDecided,
    RequestFinished,
    RequestState,
    ResumeRequested,
    SendOrder,
    SetTimer,
    TimerFired,
)
from gateway.oms.manager import FORGET_AFTER

SWITCH = {"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.2"}
SLOW = [(0, "ack"), (5, "fill")]


def told(world: World) -> None:
    world.agrees()
    world.is_deterministic()


# ------------------------------------------------------------------------------------------- the queue


def test_requests_of_an_account_are_worked_one_at_a_time_in_their_order() -> None:
    world = World()
    world.venue.default = [(0, "ack"), (1, "fill")]
    for number, weight in enumerate(("0.4", "0.3", "0.2", "0.1")):
        world.targets(f"R{number}", weights={"AAA": weight})
    world.run(0.5)
    assert world.state.active == {"main": "R0"}
    assert world.state.queues == {"main": ["R1", "R2", "R3"]}
    assert world.sent_symbols() == ["AAA"]
    world.run()
    ended = [
        event.request_id for event in world.of_kind(RequestFinished) if isinstance(event, RequestFinished)
    ]
    assert ended == ["R0", "R1", "R2", "R3"]
    told(world)


def test_accounts_do_not_wait_for_each_other() -> None:
    world = World(settings_of(accounts=("main", "other")))
    world.venue.default = SLOW
    world.venue.plans["BBB"] = [(0, "ack"), (20, "fill")]
    world.targets("R1", "main", weights={"BBB": "0.2"})
    world.targets("R2", "other", weights={"AAA": "0.3", "CCC": "0.2"})
    world.run(15)
    assert world.state.active == {"main": "R1"}
    assert world.request("R2").state is RequestState.DONE
    assert world.status("CCC") is OrdStatus.FILLED
    assert world.status("BBB") is OrdStatus.NEW
    world.run()
    assert world.state.book.position("other", "AAA") != world.state.book.position("main", "AAA")
    told(world)


def test_the_same_request_twice_is_one_request() -> None:
    world = World()
    world.targets(weights=SWITCH)
    world.targets(weights=SWITCH)
    world.run(1)
    sent = len(world.game.sent())
    world.targets(weights={"AAA": "0.9"})
    world.run()
    assert len(world.game.sent()) == sent
    assert len(world.of_kind(RequestDecided)) == 1
    told(world)


def test_a_request_that_comes_too_late_is_expired_not_traded() -> None:
    world = World()
    request = world.rebalance(weights=SWITCH, life_s=0)
    assert request.state is RequestState.EXPIRED
    assert request.text == "expired"
    assert not world.game.sent()


def test_a_request_that_waits_beyond_its_life_expires_in_the_queue() -> None:
    world = World()
    world.venue.default = [(0, "ack"), (20, "fill")]
    world.targets("R1", weights={"AAA": "0.4"})
    world.targets("R2", weights={"AAA": "0.3"}, life_s=10)
    world.targets("R3", weights={"AAA": "0.2"}, life_s=100)
    world.run(15)
    assert world.request("R2").state is RequestState.EXPIRED
    assert world.state.queues["main"] == ["R3"]
    world.price()
    world.run()
    assert [world.request(name).state for name in ("R1", "R3")] == [RequestState.DONE, RequestState.DONE]
    told(world)


def test_a_request_expires_with_the_reason_it_waited_for() -> None:
    for act, text in (
        (lambda world: world.game.cut(LINK), "link sim is down"),
        (lambda world: world.game.feed(HaltRequested(T0, "", "lunch", "ann")), "account is halted: lunch"),
    ):
        world = World()
        act(world)
        request = world.rebalance(weights=SWITCH, life_s=20)
        assert (request.state, request.text) == (RequestState.EXPIRED, text)
        assert request.finished_at == T0 + timedelta(seconds=20)
        assert not world.game.sent()


def test_a_working_request_does_not_expire() -> None:
    world = World()
    world.venue.default = [(0, "ack"), (20, "fill")]
    request = world.rebalance(weights={"AAA": "0.4", "BBB": "0.3", "CCC": "0.2"}, life_s=5)
    assert request.state is RequestState.DONE
    assert world.status("CCC") is OrdStatus.FILLED
    told(world)


def test_finished_work_is_forgotten_after_a_week() -> None:
    world = World()
    world.rebalance("R1", weights={"AAA": "0.4"})
    world.restart((FORGET_AFTER - timedelta(hours=2)).total_seconds())
    assert "R1" in world.state.requests
    world.restart(3 * 3600)
    world.run(1)
    assert not world.state.requests
    assert not world.state.orders
    theirs = next(iter(world.venue.orders.values()))
    world.say(world.venue._report(theirs, ExecType.TRADE))
    world.run(1)
    assert "unknown ClOrdID(11)" in world.state.halts["main"], "an execution nobody remembers is a stranger's"


def test_a_gateway_that_runs_for_months_remembers_a_week() -> None:
    world = World()
    kept = []
    for number in range(6):
        world.rebalance(f"R{number}", weights={"AAA": "0.4"} if number % 2 else {"AAA": "0.2"}, life_s=20)
        kept.append(sorted(world.state.requests))
        world.run(timedelta(days=3).total_seconds())
        world.price()
    assert kept[2] == ["R0", "R1", "R2"]
    assert kept[-1] == ["R3", "R4", "R5"]
    assert set(world.state.orders) == {name for one in world.state.requests.values() for name in one.orders}
    assert not world.state.halts


# ------------------------------------------------------------------------------------------- the modes


def test_a_preview_decides_and_sends_nothing_even_of_a_halted_account() -> None:
    world = World()
    world.game.feed(HaltRequested(T0, "", "lunch", "ann"))
    world.game.cut(LINK)
    request = world.rebalance(weights=SWITCH, mode=Mode.PREVIEW)
    assert request.state is RequestState.PREVIEWED
    assert request.action is Action.FULL
    (decided,) = world.of_kind(RequestDecided)
    assert isinstance(decided, RequestDecided)
    assert {denial.reason.value for denial in decided.denied} == {"halted"}
    assert {name.symbol for name in decided.names} >= set(SWITCH)
    assert not world.game.sent()
    told(world)


def test_a_request_for_approval_waits_and_is_decided_anew_when_approved() -> None:
    world = World()
    world.targets(weights=SWITCH, mode=Mode.APPROVE)
    world.run(100)
    request = world.request()
    assert request.state is RequestState.AWAITING_APPROVAL
    assert [alert.code for alert in world.game.alerts()] == ["ApprovalNeeded"]
    assert "R1 waits for approval: FULL" in world.game.alerts()[0].text
    assert not world.game.sent()
    world.price(AAA=200)
    world.game.feed(ApprovalGiven(world.game.now, "R1", "ann"))
    world.run()
    assert request.state is RequestState.DONE
    assert len(world.of_kind(RequestDecided)) == 2
    assert world.order("AAA").spec.price == dec(199), "decided on the prices of the approval"
    told(world)


def test_an_approved_request_queues_behind_what_came_meanwhile() -> None:
    world = World()
    world.venue.default = SLOW
    world.targets("R1", weights={"AAA": "0.4"}, mode=Mode.APPROVE)
    world.run(1)
    world.targets("R2", weights={"AAA": "0.3"})
    world.run(1)
    assert world.state.active == {"main": "R2"}, "a request that waits for a person blocks nobody"
    world.game.feed(ApprovalGiven(world.game.now, "R1", "ann"))
    world.run(1)
    assert world.state.queues == {"main": ["R1"]}
    world.run()
    assert world.request("R1").state is RequestState.DONE
    told(world)


def test_a_request_nobody_approves_expires() -> None:
    world = World()
    request = world.rebalance(weights=SWITCH, mode=Mode.APPROVE, life_s=50)
    assert (request.state, request.text) == (RequestState.EXPIRED, "nobody approved it in time")
    world.game.feed(ApprovalGiven(world.game.now, "R1", "ann"))
    world.run()
    assert not world.game.sent()
    assert world.game.alerts("ApprovalGiven")[0].text == "request R1 does not wait for an approval"


def test_a_request_for_approval_may_be_cancelled() -> None:
    world = World()
    world.targets(weights=SWITCH, mode=Mode.APPROVE)
    world.run(1)
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"), ApprovalGiven(world.game.now, "R1", "bob"))
    world.run()
    assert world.request().state is RequestState.CANCELED
    assert not world.game.sent()
    told(world)


def test_commands_about_nothing_are_answered_with_a_warning() -> None:
    world = World()
    world.game.feed(ApprovalGiven(T0, "R9", "ann"), CancelRequested(T0, "R9", "ann"))
    world.run()
    assert [(alert.severity, alert.text) for alert in world.game.alerts()] == [
        ("warning", "request R9 does not wait for an approval"),
        ("warning", "request R9 is not open"),
    ]
    world.rebalance(weights=SWITCH)
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.run()
    assert world.request().state is RequestState.DONE
    assert world.game.alerts()[-1].text == "request R1 is not open"


# --------------------------------------------------------------------------------- cancel, halt, resume


def test_a_cancel_ends_a_queued_request() -> None:
    world = World()
    world.venue.default = SLOW
    world.targets("R1", weights={"AAA": "0.4"})
    world.targets("R2", weights={"AAA": "0.3"})
    world.run(1)
    world.game.feed(CancelRequested(world.game.now, "R2", "ann"))
    world.run()
    assert world.request("R2").state is RequestState.CANCELED
    assert world.request("R1").state is RequestState.DONE
    assert len(world.game.sent()) == 1
    told(world)


def test_a_cancel_at_the_very_start_wins_over_the_decision() -> None:
    world = World()
    world.targets(weights=SWITCH)
    world.game.feed(CancelRequested(T0, "R1", "ann"))
    world.run()
    assert world.request().state is RequestState.CANCELED
    assert not world.game.sent()
    assert len(world.of_kind(RequestDecided)) == 1
    told(world)


def test_a_cancel_takes_back_what_works_and_plans_no_more() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 7)]
    world.targets(weights=SWITCH)
    world.run(2)
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.run(1)
    assert world.request().state is RequestState.CANCELED
    assert world.request().text == "cancelled by ann"
    assert world.status("AAA") is OrdStatus.CANCELED
    assert world.order("AAA").cum_qty == 7
    assert "CCC" not in world.sent_symbols()
    told(world)


def test_a_cancel_between_two_waves_ends_the_request() -> None:
    world = World()
    world.targets(weights=SWITCH)
    world.run(0)
    assert world.request().state is RequestState.DONE
    slow = World()
    slow.venue.plans["AAA"] = [(0, "ack"), (70, "fill")]
    slow.venue.refuses_cancels.add("AAA")
    slow.targets(weights=SWITCH)
    slow.run(71)
    assert slow.request().wave == 1
    assert not slow.request().open_orders, "its next wave waits for prices"
    slow.game.feed(CancelRequested(slow.game.now, "R1", "ann"))
    slow.run()
    assert slow.request().state is RequestState.CANCELED
    assert "CCC" not in slow.sent_symbols()
    told(slow)


def test_a_cancel_reaches_an_order_that_was_not_yet_acknowledged() -> None:
    world = World(latency_s=0.5)
    world.venue.default = [(2, "ack"), (90, "fill")]
    world.targets(weights={"AAA": "0.4"})
    world.run(1)
    world.game.feed(CancelRequested(world.game.now, "R1", "ann"))
    world.run(5)
    assert world.status("AAA") is OrdStatus.CANCELED
    assert any(isinstance(wish, CancelOrder) for wish in world.line.carried)
    assert world.request().state is RequestState.CANCELED
    told(world)


def test_a_cancel_between_a_plan_and_its_record_gives_the_orders_up() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    for event in world.venue.fill(theirs, theirs.spec.order_qty):
        world.say(event)
    world.game.feed(*world.line.news(world.game.now), CancelRequested(world.game.now, "R1", "ann"))
    world.run()
    assert len(world.of_kind(OrdersPlanned)) == 2
    assert {event.text for event in world.of_kind(OrderAbandoned) if isinstance(event, OrderAbandoned)} == {
        "cancelled by ann"
    }
    assert world.request().state is RequestState.CANCELED
    assert not {"CCC", "DDD"} & set(world.sent_symbols())
    told(world)


def test_a_halt_between_a_plan_and_its_record_gives_the_orders_up() -> None:
    world = World()
    world.targets(weights={"AAA": "0.4", "BBB": "0.3"})
    world.game.feed(PricesUpdated(T0, T0, {}))
    engine, now = world.game.engine, world.game.now
    found: list[OrdersPlanned] = []
    pending = [world.game.inbox.popleft() for _ in range(2)]
    while pending:
        event = pending.pop(0)
        if isinstance(event, OrdersPlanned):
            engine.process(HaltRequested(now, "main", "stop", "ann"))
            found.append(event)
        effects = engine.process(event)
        if found:
            break
        pending += [effect.event for effect in effects if type(effect).__name__ == "Record"]
    assert not any(isinstance(effect, SendOrder) for effect in effects)
    given_up = [effect.event for effect in effects if type(effect).__name__ == "Record"]
    assert [type(event) for event in given_up] == [OrderAbandoned, OrderAbandoned]
    assert {event.text for event in given_up} == {"halted before it was sent: stop"}


def test_a_halt_stops_sending_and_leaves_working_orders_alone() -> None:
    world = World()
    world.venue.plans["AAA"] = SLOW
    world.targets(weights=SWITCH)
    world.run(1)
    world.game.feed(HaltRequested(world.game.now, "main", "", ""))
    world.run(10)
    assert world.state.halts == {"main": "halted by unknown"}
    assert world.status("AAA") is OrdStatus.FILLED, "a fill is booked in a halt, too"
    assert "CCC" not in world.sent_symbols()
    world.game.feed(ResumeRequested(world.game.now, "main", "ann"))
    world.run()
    assert world.status("CCC") is OrdStatus.FILLED
    assert world.request().state is RequestState.DONE
    told(world)


@pytest.mark.parametrize("account", ["", "main", "other"])
def test_a_halt_may_cancel_what_works(account: str) -> None:
    world = World(settings_of(accounts=("main", "other")))
    world.venue.default = [(0, "ack"), (20, "fill")]
    world.targets("R1", "main", weights={"AAA": "0.4"})
    world.targets("R2", "other", weights={"AAA": "0.4"})
    world.run(1)
    world.game.feed(HaltRequested(world.game.now, account, "panic", "ann", cancel_working=True))
    world.run(1)
    for name, request_id in (("main", "R1"), ("other", "R2")):
        (cl_ord_id,) = world.request(request_id).orders
        is_meant = account in ("", name)
        assert world.state.orders[cl_ord_id].ord_status is (OrdStatus.CANCELED if is_meant else OrdStatus.NEW)
    world.run()
    told(world)


def test_a_resume_for_one_account_does_not_lift_the_halt_of_all() -> None:
    world = World()
    world.game.feed(HaltRequested(T0, "", "storm", "ann"), HaltRequested(T0, "main", "lunch", "ann"))
    world.targets(weights={"AAA": "0.4"})
    world.run(1)
    assert world.state.halt_reason("main") == "lunch; storm"
    world.game.feed(ResumeRequested(T0, "main", "ann"))
    world.run(1)
    assert world.state.halt_reason("main") == "storm"
    assert not world.game.sent()
    world.game.feed(ResumeRequested(T0, "", "ann"))
    world.run(1)
    assert not world.state.halts
    assert world.request().state is RequestState.DONE


# -------------------------------------------------------------------------------------------- the prices


def without(*symbols: str) -> World:
    world = World()
    world.run(100)  # what is known is too old by now
    world.game.feed(
        PricesUpdated(
            world.game.now, world.game.now,
            {name: px for name, px in world.prices.items() if name not in symbols},
        )
    )  # fmt: skip
    return world


def test_a_request_waits_for_the_prices_it_needs() -> None:
    world = without("AAA", "CCC")
    world.targets(weights=SWITCH)
    world.run(5)
    assert world.request().state is RequestState.QUEUED
    world.price()
    world.run()
    assert world.request().state is RequestState.DONE
    assert world.status("CCC") is OrdStatus.FILLED
    told(world)


def test_a_name_that_stays_without_a_fresh_price_is_denied_and_the_rest_goes_on() -> None:
    world = without("CCC")
    request = world.rebalance(weights=SWITCH)
    assert request.state is RequestState.DONE
    assert world.denials() == {"CCC": "price_stale"}
    assert world.status("DDD") is OrdStatus.FILLED
    told(world)


def test_a_name_that_never_had_a_price_is_denied_for_it() -> None:
    world = World(settings_of(symbols=("AAA", "BBB", "CCC", "NEW")))
    request = world.rebalance(weights={"AAA": "0.3", "NEW": "0.1"})
    assert request.state is RequestState.DONE
    assert world.denials() == {"NEW": "price_missing"}


def test_a_holding_without_a_fresh_price_fails_the_request() -> None:
    world = without("BBB")
    request = world.rebalance(weights={"AAA": "0.3"})
    assert request.state is RequestState.FAILED
    assert request.text == "NAV cannot be known without a fresh price for BBB"
    assert not world.game.sent()
    told(world)


def test_a_preview_waits_for_prices_too() -> None:
    world = without("BBB")
    world.targets(weights=SWITCH, mode=Mode.PREVIEW)
    world.run(5)
    assert world.request().state is RequestState.QUEUED
    world.run(6)
    assert world.request().state is RequestState.FAILED


def test_prices_no_market_can_have_are_not_believed() -> None:
    world = World()
    for wrong in ("0", "-1", "NaN", "Infinity"):
        world.game.feed(PricesUpdated(T0, T0, {"AAA": dec(wrong)}))
    world.game.feed(PricesUpdated(T0, T0 - timedelta(seconds=1), {"AAA": dec(7)}))
    world.game.feed(PricesUpdated(T0, T0 + timedelta(days=1), {"BBB": dec(51)}))
    world.run(0)
    assert world.state.prices["AAA"].px == 100, "an older or impossible price took over"
    assert world.state.prices["BBB"].as_of == T0, "a price from the future never grows old"


def slow_sale() -> World:
    """Return a world whose sales end after 70 s, when all prices are too old."""
    patient = replace(EXECUTION, wave_timeout_s=dec(500))
    world = World(settings_of(execution=patient))
    world.venue.plans["AAA"] = [(0, "ack"), (70, "fill")]
    world.targets(weights=SWITCH)
    world.run(71)
    assert world.request().wave == 1
    return world


def test_the_second_wave_waits_for_fresh_prices() -> None:
    world = slow_sale()
    world.game.feed(TimerFired(world.game.now, "unknown:R1"))
    world.run(5)
    assert "CCC" not in world.sent_symbols()
    world.price(CCC=dec("20.20"))
    world.run()
    assert world.order("CCC").spec.price == dec("20.30")
    assert world.request().state is RequestState.DONE
    told(world)


def test_the_second_wave_goes_on_without_the_names_that_have_no_price() -> None:
    world = slow_sale()
    world.game.feed(PricesUpdated(world.game.now, world.game.now, {"DDD": dec(10)}))
    world.run()
    assert world.denials() == {"CCC": "price_stale"}
    assert world.status("DDD") is OrdStatus.FILLED
    assert world.request().state is RequestState.DONE
    told(world)


def test_prices_of_other_names_do_not_prolong_the_wait() -> None:
    world = slow_sale()
    for _ in range(5):
        world.run(3)
        world.game.feed(PricesUpdated(world.game.now, world.game.now, {"AAA": dec(100), "DDD": dec(10)}))
    world.run(1)
    assert world.denials() == {"CCC": "price_stale"}
    assert world.request().state is RequestState.DONE


def test_each_wave_waits_for_its_own_prices() -> None:
    world = World()
    world.targets(weights=SWITCH)
    world.game.feed(HaltRequested(T0, "main", "lunch", "ann"))  # in one batch: decided, not yet planned
    world.run(100)
    world.game.feed(PricesUpdated(world.game.now, world.game.now, {"AAA": dec(100)}))
    world.game.feed(ResumeRequested(world.game.now, "main", "ann"))
    world.run(9)
    assert not world.game.sent()
    world.run(6)
    assert world.sent_symbols() == ["AAA"]
    assert world.denials() == {"BBB": "price_stale"}
    world.price()
    world.run()
    assert world.status("CCC") is OrdStatus.FILLED
    assert world.denials() == {"BBB": "price_stale"}
    told(world)


def test_an_approved_request_waits_for_prices_anew() -> None:
    world = World()
    world.targets(weights=SWITCH, mode=Mode.APPROVE)
    world.run(100)
    world.game.feed(ApprovalGiven(world.game.now, "R1", "ann"))
    world.run(5)
    assert world.request().state is RequestState.QUEUED
    world.price()
    world.run()
    assert world.request().state is RequestState.DONE
    told(world)


def test_the_second_wave_is_not_sent_far_from_the_price_it_was_decided_on() -> None:
    world = slow_sale()
    world.price(CCC=dec(30))
    world.run()
    assert world.denials() == {"CCC": "price_collar"}
    assert world.status("DDD") is OrdStatus.FILLED
    told(world)


# ------------------------------------------------------------------------------ the household's wash sales


def household(cost_of_eee: int, *, brings: int = 0, cash: int = 1_000) -> World:
    """Return a world where `other` sells EEE, the same thing as CCC, while `main` is about to buy CCC.

    The sale that pays for it fills `brings` shares only, all of them when 0.
    """
    world = World(
        settings_of(accounts=("main", "other"), groups={"CCC": "G", "EEE": "G"}),
        held={"AAA": 50, "BBB": 80, "EEE": 10}, cost={"EEE": cost_of_eee}, cash=cash,
    )  # fmt: skip
    world.venue.plans["AAA"] = [(0, "ack"), (10, "fill", brings), (11, "cancel")]
    world.targets("R1", "main", weights={"AAA": "0.1", "CCC": "0.1", "DDD": "0.1"})
    world.run(1)
    assert world.request("R1").approved, "the buys are approved and wait"
    world.targets("R2", "other", weights={"EEE": "0"})
    world.run()
    assert world.state.book.position("other", "EEE") == 0
    return world


def test_a_loss_taken_by_another_account_meanwhile_stops_the_second_wave() -> None:
    world = household(5_000)
    assert world.denials("R1") == {"CCC": "wash_sale"}
    assert world.status("DDD") is OrdStatus.FILLED
    assert "CCC" not in world.sent_symbols()
    told(world)


def test_a_gain_taken_by_another_account_stops_nothing() -> None:
    world = household(100)
    assert world.denials("R1") == {}
    assert world.status("CCC") is OrdStatus.FILLED
    told(world)


def test_a_first_wave_held_up_by_a_halt_is_judged_anew() -> None:
    world = World(
        settings_of(accounts=("main", "other"), groups={"CCC": "G", "EEE": "G"}),
        held={"EEE": 10}, cost={"EEE": 5_000}, cash=8_000,
    )  # fmt: skip
    world.targets("R1", "main", weights={"CCC": "0.3", "DDD": "0.2"})
    world.game.feed(HaltRequested(T0, "main", "lunch", "ann"))  # in one batch: decided, not yet planned
    world.run(1)
    assert world.request("R1").state is RequestState.WORKING
    assert not world.game.sent()
    world.targets("R2", "other", weights={"EEE": "0"})
    world.run(1)
    world.game.feed(ResumeRequested(world.game.now, "main", "ann"))
    world.run()
    assert world.denials("R1") == {"CCC": "wash_sale"}
    assert world.status("DDD") is OrdStatus.FILLED
    told(world)


def test_a_buy_that_is_denied_takes_no_cash_from_the_others() -> None:
    free, denied = (household(cost, brings=14, cash=0) for cost in (100, 5_000))
    assert free.order("CCC").cum_qty * 20 + free.order("DDD").cum_qty * 10 < 1_400
    assert denied.order("DDD").cum_qty == 110


# ------------------------------------------------------------------------------------------- a new start


@pytest.mark.parametrize("mode", [Mode.PREVIEW, Mode.APPROVE, Mode.EXECUTE])
def test_a_restart_sets_every_timer_again(mode: Mode) -> None:
    world = World()
    world.game.feed(HaltRequested(T0, "", "lunch", "ann"))
    world.run(1)
    if mode is Mode.APPROVE:
        world.game.feed(ResumeRequested(T0, "", "ann"))
    world.targets(weights=SWITCH, mode=mode, life_s=500)
    world.run(1)
    world.restart(2)
    world.run()
    ends = {
        Mode.PREVIEW: RequestState.PREVIEWED, Mode.APPROVE: RequestState.EXPIRED,
        Mode.EXECUTE: RequestState.EXPIRED,
    }  # fmt: skip
    assert world.request().state is ends[mode]
    told(world)


@pytest.mark.parametrize("mode", [Mode.EXECUTE, Mode.APPROVE])
def test_an_end_that_was_not_durable_when_the_gateway_died_is_asked_for_again(mode: Mode) -> None:
    world = World()
    targets = world.targets("R7", weights=SWITCH, mode=mode)
    world.game.feed(CancelRequested(T0, "R7", "ann"))
    world.run()
    journal = world.game.journal
    assert isinstance(journal[-1], RequestFinished | TimerFired)
    world.game.journal[:] = [
        event for event in journal if not isinstance(event, RequestFinished | TimerFired)
    ]
    assert targets in world.game.journal
    world.restart(1)
    world.run(2)
    assert world.request("R7").state is RequestState.CANCELED
    assert world.request("R7").text == "cancelled by ann"
    told(world)


def test_a_new_gateway_believes_in_no_link_it_has_not_seen_come_up() -> None:
    world = World()
    world.venue.plans["AAA"] = SLOW
    world.targets(weights=SWITCH)
    world.run(1)
    heir = Engine(world.settings)
    for event in world.game.journal:
        heir.replay(event)
    assert heir.state.links[LINK].is_up
    effects = heir.process(GatewayStarted(world.game.now, 2, "", ""))
    assert not heir.state.links[LINK].is_up
    assert {type(effect) for effect in effects} == {Publish, SetTimer}


# ------------------------------------------------------------------------------ orders that come back


def morning_after(symbol: str, weights: dict[str, str]) -> World:
    """Return a world where an order that was done for the day lives again, its request long finished."""
    world = World(cash=3_000)
    world.venue.plans[symbol] = [(0, "ack"), (1, "done")]
    world.rebalance("R1", weights=weights)
    assert world.status(symbol) is OrdStatus.DONE_FOR_DAY
    theirs = world.venue.orders[world.order(symbol).spec.cl_ord_id]
    theirs.status = OrdStatus.NEW
    world.say(world.venue._report(theirs, ExecType.NEW))
    world.run(1)
    assert world.status(symbol) is OrdStatus.NEW
    world.price()
    return world


def test_an_order_that_comes_back_keeps_its_cash() -> None:
    world = morning_after("CCC", {"AAA": "0.41", "BBB": "0.33", "CCC": "0.2"})
    back = world.order("CCC")
    world.rebalance("R2", weights={"CCC": "0.3", "DDD": "0.5"})
    assert world.denials("R2") == {"CCC": "duplicate"}
    assert world.status("DDD") is OrdStatus.FILLED
    for event in world.venue.fill(world.venue.orders[back.spec.cl_ord_id], back.spec.order_qty):
        world.say(event)
    world.run(1)
    assert back.ord_status is OrdStatus.FILLED
    assert world.cash >= 0
    told(world)


def test_an_order_that_comes_back_keeps_its_shares() -> None:
    world = morning_after("AAA", {"AAA": "0.2"})
    back = world.order("AAA")
    world.rebalance("R2", weights={"AAA": "0"})
    assert world.denials("R2") == {"AAA": "duplicate"}
    assert len(world.game.sent()) == 1
    for event in world.venue.fill(world.venue.orders[back.spec.cl_ord_id], back.spec.order_qty):
        world.say(event)
    world.run(1)
    assert world.positions["AAA"] >= 0
    told(world)


def test_an_order_that_comes_back_between_two_waves_keeps_its_cash() -> None:
    world = World(cash=3_000)
    world.venue.plans["CCC"] = [(0, "ack"), (1, "done")]
    world.rebalance("R1", weights={"AAA": "0.41", "BBB": "0.33", "CCC": "0.2"})
    world.price()
    world.venue.plans["AAA"] = [(0, "ack"), (10, "fill")]
    world.targets("R2", weights={"AAA": "0.1", "DDD": "0.6"})
    world.run(5)
    assert world.request("R2").wave == 1
    theirs = world.venue.orders[world.order("CCC").spec.cl_ord_id]
    theirs.status = OrdStatus.NEW
    world.say(world.venue._report(theirs, ExecType.NEW))
    world.run()
    assert world.status("DDD") is OrdStatus.FILLED
    for event in world.venue.fill(theirs, theirs.spec.order_qty):
        world.say(event)
    world.run(1)
    assert world.cash >= 0
    told(world)
