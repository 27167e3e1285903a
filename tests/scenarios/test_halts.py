"""What must never be guessed about halts the account: nothing more is sent until a person says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from world import LINK, T0, World, dec, settings_of

from gateway.domain.order import ExecType, OrdStatus, Report, Side
from gateway.events import (
    AccountOpened,
    ActivityStated,
    CancelRejected,
    HaltRequested,
    LinkBehind,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    ReportUnreadable,
    RequestState,
    ResumeRequested,
)

SWITCH = {"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.2"}


def working() -> World:
    """Return a world whose AAA sale works with 10 done, BBB done: the next thing would be the buys."""
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (0.5, "fill", 10)]
    world.targets(weights=SWITCH)
    world.run(1)
    assert world.status("AAA") is OrdStatus.PARTIALLY_FILLED
    return world


def over_fill(world: World) -> None:
    world.tell("AAA", ExecType.TRADE, cum_qty=dec(1010), last_qty=dec(1000), last_px=dec(99))


def no_quantity(world: World) -> None:
    world.tell("AAA", ExecType.TRADE, cum_qty=dec(11), last_qty=dec(-1), last_px=dec(99))


def no_price(world: World) -> None:
    world.tell("AAA", ExecType.TRADE, cum_qty=dec(11), last_qty=dec(1), last_px=dec(0))


def bust(world: World) -> None:
    world.tell("AAA", ExecType.TRADE_CANCEL)


def bust_of_a_known_execution(world: World) -> None:
    world.tell("AAA", ExecType.TRADE_CANCEL, exec_id=world.order("AAA").exec_ids[-1])


def correction(world: World) -> None:
    world.tell("AAA", ExecType.TRADE_CORRECT, last_qty=dec(10), last_px=dec(98))


def other_symbol(world: World) -> None:
    world.tell("AAA", ExecType.TRADE, symbol="BBB", cum_qty=dec(11), last_qty=dec(1), last_px=dec(99))


def other_side(world: World) -> None:
    world.tell("AAA", ExecType.TRADE, side=Side.BUY, cum_qty=dec(11), last_qty=dec(1), last_px=dec(99))


def impossible_step(world: World) -> None:
    world.tell("AAA", ExecType.REJECTED, ord_status=OrdStatus.REJECTED)


def stranger(world: World) -> None:
    report = Report(
        "NOBODY", "X1", ExecType.TRADE, OrdStatus.FILLED, dec(5), last_qty=dec(5), last_px=dec(10),
        symbol="AAA", side=Side.BUY,
    )  # fmt: skip
    world.venue.cash["main"] -= 50
    world.venue.positions["main"]["AAA"] += 5
    world.say(ReportReceived(world.game.now, "", 0, report))


def bust_of_a_stranger(world: World) -> None:
    report = Report("NOBODY", "X1", ExecType.TRADE_CANCEL, OrdStatus.NEW, dec(0))
    world.say(ReportReceived(world.game.now, "", 0, report))


def unreadable(world: World) -> None:
    world.say(ReportUnreadable(world.game.now, "", 0, "8=FIX.4.4|35=8|??", "no CumQty(14)"))


def behind(world: World) -> None:
    world.game.feed(LinkBehind(world.game.now, LINK, "the record begins after our journal's end"))


def forgotten(world: World) -> None:
    world.say(OrderUnknown(world.game.now, "", 0, world.order("AAA").spec.cl_ord_id))


CAUSES: dict[Callable[[World], None], str] = {
    over_fill: "over-fill", no_quantity: "LastQty(32) -1", no_price: "at LastPx(31) 0",
    bust: "TRADE_CANCEL of an execution '' that is not known",
    bust_of_a_known_execution: "TRADE_CANCEL of an execution '' that is not known",
    correction: "TRADE_CORRECT of an execution '' that is not known",
    other_symbol: "report is about Symbol(55) BBB",
    other_side: "report is about Side(54) BUY", impossible_step: "PARTIALLY_FILLED to REJECTED",
    stranger: "unknown ClOrdID(11) NOBODY", bust_of_a_stranger: "ClOrdID(11) NOBODY",
    unreadable: "unreadable message (no CumQty(14))",
    behind: "the record begins after our journal's end",
    forgotten: "the venue no longer knows an order it had accepted",
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_what_must_not_be_guessed_about_halts_the_account(cause: Callable[[World], None]) -> None:
    world = working()
    before = (world.cash, dict(world.positions), world.order("AAA").cum_qty)
    cause(world)
    world.run(1)
    assert CAUSES[cause] in world.state.halts["main"]
    alerts = [alert for alert in world.game.alerts() if alert.severity == "critical"]
    assert len(alerts) == 1
    assert alerts[0].text == world.state.halts["main"]
    if cause is stranger:  # the venue is the truth: it did happen
        before = (before[0] - 50, before[1] | {"AAA": before[1]["AAA"] + 5}, before[2])
    assert (world.cash, world.positions, world.order("AAA").cum_qty) == before
    sent = len(world.game.sent())
    world.game.feed(world.targets("R2", weights={"AAA": "0"}))
    world.run(200)
    assert len(world.game.sent()) == sent, "a halted account sent something"
    world.agrees()
    world.is_deterministic()
    world.restart(1)
    world.run(1)
    assert CAUSES[cause] in world.state.halts["main"], "a restart forgot the halt"


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_after_a_person_has_looked_work_goes_on(cause: Callable[[World], None]) -> None:
    world = working()
    cause(world)
    world.run(1)
    world.game.feed(ResumeRequested(world.game.now, "main", "ann"))
    world.run()
    assert not world.state.halts
    assert world.request().state is RequestState.DONE
    assert world.status("AAA") is OrdStatus.CANCELED, "its wave ran out of time"
    assert world.status("CCC") is OrdStatus.FILLED
    world.agrees()
    world.is_deterministic()


def test_a_second_reason_does_not_hide_the_first_and_each_is_released_for_itself() -> None:
    world = working()
    over_fill(world)
    world.run(1)
    first = world.state.halts["main"]
    seq = world.game.engine.state.link(LINK).seq + 1
    spin = ActivityStated(
        world.game.now, LINK, seq, "main", "A1", "SPIN", "2024-03-13", dec(0), "EEE", dec(3), "spun off"
    )
    world.game.feed(spin)
    world.run(1)
    (_, second) = world.state.halt_reasons("main")
    assert "SPIN +3 EEE spun off" in second
    assert first in world.state.halt_reason("main")
    assert second in world.state.halt_reason("main")
    criticals = [alert.text for alert in world.game.alerts() if alert.severity == "critical"]
    assert criticals == [first, second]
    sent = len(world.game.sent())
    world.game.feed(ResumeRequested(world.game.now, "main", "ann", (second,)))
    world.run(60)
    assert world.state.halt_reasons("main") == [first], "what was not resolved still halts"
    assert len(world.game.sent()) == sent
    world.game.feed(HaltRequested(world.game.now, "", "drill", "ann"))
    world.game.feed(ResumeRequested(world.game.now, "", "ann", (first,)))
    world.run(1)
    assert world.state.halt_reason("main") == "drill"
    world.game.feed(ResumeRequested(world.game.now, "", "ann"))
    world.run()
    assert not world.state.halts
    assert world.request().state is RequestState.DONE
    world.is_deterministic()


def test_a_report_without_an_execution_about_a_stranger_is_a_warning_only() -> None:
    world = working()
    report = Report("NOBODY", "X1", ExecType.NEW, OrdStatus.NEW, dec(0))
    world.say(ReportReceived(world.game.now, "", 0, report))
    world.say(CancelRejected(world.game.now, "", 0, "C1", "NOBODY", None, "who?"))
    world.say(OrderUnknown(world.game.now, "", 0, "NOBODY"))
    world.say(MessageRefused(world.game.now, "", 0, "", "tag 58 is too long"))
    world.say(ReportReceived(world.game.now, "", 0, replace(report, cl_ord_id="", exec_id="X2")))
    world.run(0.1)
    assert not world.state.halts
    texts = [alert.text for alert in world.game.alerts()]
    assert [alert.severity for alert in world.game.alerts()] == ["warning"] * 4
    assert texts == [
        "sim: report X1 for unknown ClOrdID(11) NOBODY",
        "sim: cancel reject for unknown ClOrdID(11) NOBODY",
        "sim: the venue refused a message (tag 58 is too long)",
        "sim: report X2 for unknown ClOrdID(11) (none)",
    ]
    world.run()
    assert world.request().state is RequestState.DONE


@pytest.mark.parametrize("make", [CancelRejected, OrderUnknown, MessageRefused, ReportUnreadable])
def test_a_message_handed_over_twice_is_applied_once(make: type) -> None:
    world = working()
    cl_ord_id = world.order("BBB").spec.cl_ord_id
    words = {
        CancelRejected: ("C", cl_ord_id), OrderUnknown: ("NOBODY",),
        MessageRefused: (cl_ord_id, "no"), ReportUnreadable: ("?", "no"),
    }[make]  # fmt: skip
    world.say(make(world.game.now, "", 0, *words))
    world.run(0.1)
    again = world.line.record[-1]
    assert isinstance(again, make)
    state, alerts = world.state.halts.copy(), len(world.game.alerts())
    world.game.feed(again)
    world.run(0.1)
    assert (world.state.halts, len(world.game.alerts())) == (state, alerts)


def test_a_refused_message_rejects_the_order_it_carried() -> None:
    world = World()
    world.venue.deaf["AAA"] = 1
    world.targets(weights=SWITCH)
    world.run(1)
    refusal = MessageRefused(world.game.now, "", 0, world.order("AAA").spec.cl_ord_id, "unknown account")
    world.say(refusal)
    world.run()
    assert world.status("AAA") is OrdStatus.REJECTED
    assert world.order("AAA").text == "unknown account"
    assert world.order("AAA").updated_at == refusal.at
    assert world.request().state is RequestState.DONE
    assert [alert.severity for alert in world.game.alerts("MessageRefused")] == ["warning"]
    world.agrees()


def test_a_refused_message_about_an_order_that_lives_changes_nothing_of_it() -> None:
    world = working()
    world.say(MessageRefused(world.game.now, "", 0, world.order("AAA").spec.cl_ord_id, "bad tag"))
    world.run(0.1)
    assert world.status("AAA") is OrdStatus.PARTIALLY_FILLED
    assert not world.state.halts


def test_an_order_taken_for_refused_that_lives_after_all_halts() -> None:
    world = World()
    world.venue.plans["AAA"] = []
    world.targets(weights=SWITCH)
    world.run(1)
    cl_ord_id = world.order("AAA").spec.cl_ord_id
    world.say(MessageRefused(world.game.now, "", 0, cl_ord_id, "not now"))
    world.run(1)
    assert world.status("AAA") is OrdStatus.REJECTED
    world.tell("AAA", ExecType.NEW, ord_status=OrdStatus.NEW)
    world.run(1)
    assert world.status("AAA") is OrdStatus.NEW
    assert "the venue has an order that was given up" in world.state.halts["main"]
    assert cl_ord_id in world.request().open_orders


def test_executions_counted_but_never_reported_halt_after_some_questions() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, "fill", 10)]
    world.targets(weights=SWITCH)
    world.run(0.9)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    world.run(0.05)
    world.venue.fill(theirs, dec(5))  # this report never reaches us
    world.run(0.1)
    order = world.order("AAA")
    assert order.cum_qty == 10
    assert order.lookups == 1
    world.run(10)
    asked = [wish for wish in world.line.carried if isinstance(wish, LookUpOrder)]
    assert len(asked) == 6
    assert [alert.severity for alert in world.game.alerts()] == ["critical"], "once is enough"
    assert "5 executed but never reported" in world.state.halts["main"]
    assert not order.is_final
    world.game.feed(ResumeRequested(world.game.now, "", "ann"))
    world.run(5)
    assert "5 executed but never reported" in world.state.halts["main"], "nobody found them"


def test_executions_counted_after_an_order_is_over_halt_at_once() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack"), (1, "cancel")]
    world.targets(weights=SWITCH)
    world.run(2)
    assert world.status("AAA") is OrdStatus.CANCELED
    world.tell("AAA", ExecType.ORDER_STATUS, ord_status=OrdStatus.CANCELED, cum_qty=dec(5), exec_id="0")
    world.run(1)
    assert "5 executed but never reported" in world.state.halts["main"]
    assert [alert.severity for alert in world.game.alerts()] == ["critical"]


@pytest.mark.parametrize("cause", [stranger, unreadable, behind], ids=lambda cause: cause.__name__)
def test_a_link_halts_its_own_accounts_only(cause: Callable[[World], None]) -> None:
    world = World(settings_of(accounts=("main", "second", "other"), link_of={"other": "elsewhere"}))
    cause(world)
    world.run(1)
    assert set(world.state.halts) == {"main", "second"}
    assert len(world.game.alerts()) == 1


def test_an_account_is_opened_once() -> None:
    world = World()
    world.game.feed(AccountOpened(world.game.now, "main", dec(1_000_000)))
    world.run(1)
    assert world.cash == 1_000
    assert world.positions == {"AAA": 50, "BBB": 80}


def test_executions_that_come_late_end_the_questions() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    lost = world.venue.fill(theirs, theirs.spec.order_qty)
    world.tell("AAA", ExecType.ORDER_STATUS, ord_status=OrdStatus.FILLED, cum_qty=theirs.cum_qty, exec_id="0")
    world.run(1.2)
    order = world.order("AAA")
    assert order.ord_status is OrdStatus.PARTIALLY_FILLED, (
        "an order is not over before its executions are here"
    )
    assert order.lookups == 3
    world.say(lost[0])
    world.run()
    assert order.ord_status is OrdStatus.FILLED
    assert world.request().state is RequestState.DONE
    world.agrees()
    world.is_deterministic()


def test_a_trade_time_nobody_can_believe_does_not_date_the_trade() -> None:
    world = World()
    world.venue.plans["AAA"] = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(1)
    theirs = world.venue.orders[world.order("AAA").spec.cl_ord_id]
    week = timedelta(days=7)
    edge = world.game.now - week
    for transact_time in (T0.replace(year=1970), None, T0.replace(day=8), edge, world.game.now + week):
        (event,) = world.venue.fill(theirs, dec(1))
        assert isinstance(event, ReportReceived)
        world.say(replace(event, report=replace(event.report, transact_time=transact_time)))
    world.run(0.1)
    dates = [gain.sold.isoformat() for gain in world.state.book.realised if gain.symbol == "AAA"]
    assert dates == ["2024-03-12", "2024-03-12", "2024-03-08", "2024-03-05", "2024-03-19"]
