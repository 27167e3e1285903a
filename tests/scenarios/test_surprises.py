"""What a venue does unasked: busts, corrections, changed quantities, splits, orders nobody here sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from world import LINK, T0, ZERO, World, dec, settings_of

from gateway.domain.order import ExecType, OrdStatus, Report, Side
from gateway.events import LinkUp, ReportReceived
from gateway.oms.manager import FORGET_AFTER

SWITCH = {"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.2"}
S, E = OrdStatus, ExecType


def say(world: World, exec_type: ExecType, ord_status: OrdStatus, cum: int, **words: Any) -> None:
    """Let the venue report of an order it names itself, by `cl_ord_id`."""
    words = {name: dec(value) if isinstance(value, int) else value for name, value in words.items()}
    report = Report(exec_type=exec_type, ord_status=ord_status, cum_qty=dec(cum), **words)
    world.say(ReportReceived(world.game.now, "", 0, report))
    world.run(0.01)


def warnings(world: World) -> list[str]:
    return [alert.text for alert in world.game.alerts() if alert.severity == "warning"]


def sold(world: World) -> Any:
    """Return the order that sold AAA, all of it filled in one execution."""
    order = world.order("AAA")
    assert order.ord_status is S.FILLED
    return order


def test_a_bust_puts_the_lots_the_cash_and_the_gain_back() -> None:
    world = World(money=False)
    world.rebalance(weights=SWITCH)
    order = sold(world)
    cl_ord_id, qty = order.spec.cl_ord_id, order.cum_qty
    (exec_id,) = order.executions
    lots = sum((lot.qty for lot in world.state.book.accounts["main"].lots["AAA"]), ZERO)
    gains = len(world.state.book.realised)
    money = world.cash
    paid = order.executions[exec_id]
    say(
        world, E.TRADE_CANCEL, S.NEW, 0,
        cl_ord_id=cl_ord_id, exec_id="bust", exec_ref_id=exec_id, symbol="AAA",
    )  # fmt: skip
    assert world.cash == money - paid.qty * paid.px + paid.commission
    assert world.positions["AAA"] == lots + qty
    assert len(world.state.book.realised) == gains - 1
    assert not world.state.halts
    assert f"took back execution {exec_id}; nothing stands" in warnings(world)[-1]
    assert (order.ord_status, order.leaves_qty) == (S.NEW, qty)
    world.is_deterministic()


def test_a_correction_changes_the_proceeds() -> None:
    world = World()
    world.rebalance(weights=SWITCH)
    order = sold(world)
    (exec_id,) = order.executions
    was, money = order.executions[exec_id], world.cash
    say(
        world, E.TRADE_CORRECT, S.FILLED, int(order.cum_qty), cl_ord_id=order.spec.cl_ord_id,
        exec_id="right", exec_ref_id=exec_id, last_qty=int(was.qty), last_px=int(was.px) - 1,
    )  # fmt: skip
    assert world.cash == money - was.qty * (was.px - (int(was.px) - 1))
    assert [gain.fill_id for gain in world.state.book.realised if gain.symbol == "AAA"] == [
        f"{order.spec.cl_ord_id}:right"
    ]
    assert not world.state.halts
    world.is_deterministic()


def test_what_is_too_old_to_take_out_of_the_book_halts() -> None:
    world = World()
    world.rebalance(weights=SWITCH)
    order = sold(world)
    (exec_id,) = order.executions
    world.state.book.forget_fills((T0 + FORGET_AFTER).date())
    world.watch.shadow.state.book.forget_fills((T0 + FORGET_AFTER).date())
    say(
        world, E.TRADE_CANCEL, S.NEW, 0,
        cl_ord_id=order.spec.cl_ord_id, exec_id="bust", exec_ref_id=exec_id,
    )  # fmt: skip
    assert "too old to take out of the book" in world.state.halts["main"]


def test_a_quantity_the_venue_changes_is_followed_and_told() -> None:
    world = World()
    world.venue.default = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(0.1)
    order = world.order("AAA")
    more = int(order.spec.order_qty) - 1
    say(world, E.RESTATED, S.NEW, 0, cl_ord_id=order.spec.cl_ord_id, exec_id="X", order_qty=more, text="desk")
    assert order.leaves_qty == more
    assert warnings(world)[-1].endswith(f"the venue changed OrderQty(38) to {more} desk")
    assert not world.state.halts


def test_a_split_of_a_working_order_halts_for_a_person_to_look() -> None:
    world = World()
    world.venue.default = [(0, "ack"), (0, "fill", 2)]
    world.targets(weights=SWITCH)
    world.run(0.1)
    order = world.order("AAA")
    doubled = int(order.spec.order_qty) * 2
    say(
        world, E.RESTATED, S.PARTIALLY_FILLED, 4, cl_ord_id=order.spec.cl_ord_id, exec_id="X",
        order_qty=doubled, restatement_reason="0",
    )  # fmt: skip
    assert (order.cum_qty, order.leaves_qty) == (4, doubled - 4)
    assert "corporate action" in world.state.halts["main"]
    assert world.positions["AAA"] == 48, "the position is for a person to mend"


# ------------------------------------------------------------------------------------------ strangers

PHONED: dict[str, Any] = {"cl_ord_id": "DESK1", "order_id": "V99", "symbol": "AAA", "side": Side.BUY}


def test_an_order_nobody_here_sent_is_booked_and_halts() -> None:
    world = World()
    world.run(0.1)
    say(world, E.NEW, S.NEW, 0, exec_id="N1", leaves_qty=10, **PHONED)
    assert not world.state.halts
    assert "unknown ClOrdID(11) DESK1" in warnings(world)[-1]
    money = world.cash
    for _ in range(2):
        say(world, E.TRADE, S.PARTIALLY_FILLED, 4, exec_id="X1", last_qty=4, last_px=99, **PHONED)
    assert (world.cash, world.positions["AAA"]) == (money - 4 * 99, 54)
    assert world.state.halts["main"].endswith("BUY 4 AAA at 99 is booked")
    say(world, E.TRADE_CANCEL, S.NEW, 0, exec_id="X2", exec_ref_id="X1", **PHONED)
    assert (world.cash, world.positions["AAA"]) == (money, 50)
    say(world, E.TRADE, S.FILLED, 11, exec_id="X3", last_qty=11, last_px=99, **PHONED)
    assert "over-fill" in world.state.halt_reason("main")
    say(world, E.TRADE, S.PARTIALLY_FILLED, 8, exec_id="X4", last_qty=5, last_px=99, **PHONED)
    assert world.state.halt_reason("main").endswith("is booked, 3 executed but never reported")
    world.is_deterministic()


def test_a_strangers_totals_are_read_where_the_venue_repeats_nothing() -> None:
    world = World()
    world.run(0.1)
    world.game.feed(LinkUp(world.game.now, LINK, replays=False))
    money = world.cash
    say(world, E.ORDER_STATUS, S.PARTIALLY_FILLED, 4, exec_id="", order_qty=10, avg_px=99, **PHONED)
    say(world, E.TRADE, S.PARTIALLY_FILLED, 4, exec_id="X1", last_qty=4, last_px=99, **PHONED)
    assert (world.cash, world.positions["AAA"]) == (money - 4 * 99, 54)


@pytest.mark.parametrize(
    "lacks", [{"symbol": "QQQ"}, {"side": None}, {"account": "theirs"}], ids=["symbol", "side", "account"]
)
def test_what_names_nothing_of_ours_is_not_booked(lacks: dict[str, Any]) -> None:
    world = World()
    world.run(0.1)
    money = world.cash
    words = PHONED | lacks
    say(world, E.TRADE, S.FILLED, 4, exec_id="X1", last_qty=4, last_px=99, **words)
    assert world.cash == money
    assert world.state.halts["main"] == "sim: report X1 for unknown ClOrdID(11) DESK1"
    assert not world.state.strangers


def test_with_several_accounts_a_stranger_must_name_one() -> None:
    world = World(settings_of(accounts=("main", "ira")))
    world.run(0.1)
    say(world, E.TRADE, S.FILLED, 4, exec_id="X1", last_qty=4, last_px=99, **PHONED)
    assert set(world.state.halts) == {"main", "ira"}
    say(world, E.TRADE, S.FILLED, 4, exec_id="X1", last_qty=4, last_px=99, account="ira", **PHONED)
    assert world.state.book.position("ira", "AAA") == 54
    assert world.state.book.position("main", "AAA") == 50


def test_strangers_are_forgotten_after_a_week() -> None:
    world = World()
    world.run(0.1)
    say(world, E.NEW, S.NEW, 0, exec_id="N1", leaves_qty=10, **PHONED)
    assert len(world.state.strangers) == 1
    world.restart((FORGET_AFTER + timedelta(hours=1)).total_seconds())
    assert not world.state.strangers
