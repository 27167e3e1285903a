"""What a drop copy shows, compared with what we were told: every way in which two views can differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from gateway.domain.instrument import Instrument
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce
from gateway.domain.settings import AccountSettings, DropCopySettings, Settings
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    Action,
    Alert,
    CopyLinked,
    Effect,
    Event,
    ExecutionCopied,
    GatewayStarted,
    LinkUp,
    OrdersPlanned,
    ReportReceived,
    RequestDecided,
    SetTimer,
    TargetsSubmitted,
    TimerFired,
    WithholdOrders,
)
from gateway.oms.state import State
from gateway.runtime.wire import decode_state, encode_state

T0 = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
D = Decimal
X = "AAAAAAAAAAAAAAAA"
SPEC = OrderSpec(
    X, "R1", "main", "fix", "IBM", Side.BUY, D(100), OrdType.LIMIT, D(50), TimeInForce.DAY, 1
)  # fmt: skip
FILL = Report(
    X, "E1", ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, D(40), D(60), D(40), D(50), D(50), order_id="O1",
    symbol="IBM", side=Side.BUY, order_qty=D(100), account="main",
)  # fmt: skip
BUST = replace(
    FILL, exec_id="E2", exec_type=ExecType.TRADE_CANCEL, ord_status=OrdStatus.NEW, cum_qty=D(0),
    last_qty=D(0), last_px=D(0), exec_ref_id="E1",
)  # fmt: skip
CORRECTION = replace(
    FILL, exec_id="E3", exec_type=ExecType.TRADE_CORRECT, last_px=D(49), exec_ref_id="E1"
)  # fmt: skip


class Desk:
    """One engine with one order at work, a link and a drop copy of it."""

    def __init__(
        self, *, halts: bool = False, replays: bool = True, names: tuple[str, ...] = ("copy",)
    ) -> None:
        self.settings = Settings(
            "H", {"main": AccountSettings("main", "fix"), "far": AccountSettings("far", "else")},
            {"IBM": Instrument("IBM")},
            drop_copies={name: DropCopySettings("fix", D(30), halts) for name in names},
        )  # fmt: skip
        self.engine = Engine(self.settings)
        self.now = T0
        self.seqs: dict[str, Iterator[int]] = {"fix": count(1), "copy": count(1)}
        self.do(GatewayStarted(T0, 1, "", ""))
        self.do(AccountOpened(T0, "main", D(100_000), ()))
        self.do(LinkUp(T0, "fix", replays=replays))
        self.do(TargetsSubmitted(T0, "R1", "main", {}, T0, T0 + timedelta(hours=1)))
        self.do(RequestDecided(T0, "R1", "main", Action.IMMEDIATE, "", D(1), D(1), 0.0, 0.0))
        self.do(OrdersPlanned(T0, "R1", "main", 1, (SPEC,)))

    def do(self, event: Event) -> list[Effect]:
        return self.engine.process(event)

    def ours(self, report: Report = FILL) -> list[Effect]:
        return self.do(ReportReceived(self.now, "fix", next(self.seqs["fix"]), report))

    def copied(self, report: Report = FILL) -> list[Effect]:
        return self.do(ExecutionCopied(self.now, "copy", next(self.seqs["copy"]), "fix", report))

    def link(self, *, is_up: bool = True) -> list[Effect]:
        return self.do(CopyLinked(self.now, "copy", "fix", is_up))

    def late(self, exec_id: str = "E1", name: str = "copy") -> list[Effect]:
        self.now += timedelta(seconds=30)
        return self.do(TimerFired(self.now, f"copy:{name}:{exec_id}"))

    @property
    def waiting(self) -> tuple[set[str], set[str]]:
        copies = self.engine.state.copies["copy"]
        return set(copies.unknown), set(copies.awaited)


def timers(effects: list[Effect]) -> list[tuple[str, datetime]]:
    return [(one.key, one.due) for one in effects if isinstance(one, SetTimer) and one.key.startswith("copy")]


def alerts(effects: list[Effect]) -> list[str]:
    found = [one for one in effects if isinstance(one, Alert) and one.code == "DropCopyDiffers"]
    assert all(one.severity == "critical" for one in found)
    return [one.text for one in found]


@pytest.mark.parametrize("copy_first", [True, False])
@pytest.mark.parametrize("then", [(), (BUST,), (CORRECTION,)])
def test_two_views_that_agree_are_forgotten(copy_first: bool, then: tuple[Report, ...]) -> None:
    desk = Desk()
    desk.link()
    due = T0 + timedelta(seconds=30)
    for report in (FILL, *then):
        first, second = (desk.copied, desk.ours) if copy_first else (desk.ours, desk.copied)
        said = first(report)
        assert timers(said) == [(f"copy:copy:{report.exec_id}", due)]
        assert not alerts(said + second(report))
        assert desk.waiting == (set(), set())
        assert not alerts(desk.late(report.exec_id)), "a timer of what is settled says nothing"
        desk.now = T0
    assert not alerts(desk.copied(replace(FILL)) + desk.copied((then or (FILL,))[0])), (
        "said again, known alike"
    )
    assert not desk.engine.state.halts


def test_an_execution_we_were_never_told_of_is_said_once() -> None:
    desk = Desk()
    desk.link()
    assert timers(desk.copied())
    (text,) = alerts(desk.late())
    shown = f"copy: execution of BUY 40 IBM at 50 (ExecID E1, order {X}) is in the drop copy"
    assert text == f"{shown}; we were never told"
    assert desk.waiting == (set(), set())
    assert not alerts(desk.late())
    assert not desk.engine.state.halts, "an alert is all, unless the configuration says otherwise"


def test_an_execution_the_copy_never_shows_is_said_once() -> None:
    desk = Desk()
    desk.link()
    assert timers(desk.ours())
    (text,) = alerts(desk.late())
    assert text.endswith("is booked; the drop copy never showed it")
    assert not alerts(desk.late())


@pytest.mark.parametrize(
    "change",
    [
        {"last_qty": D(41)}, {"last_px": D("50.01")}, {"symbol": "AAPL"}, {"side": Side.SELL},
        {"exec_type": ExecType.TRADE_CORRECT},
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["ours", "copied", "long ago"])
def test_a_difference_in_substance_is_said_at_once(change: dict[str, Any], order: str) -> None:
    desk = Desk()
    desk.link()
    wrong = replace(FILL, **change)
    if order == "ours":
        said = desk.ours() + desk.copied(wrong)
    elif order == "copied":
        said = desk.copied(wrong) + desk.ours()
    else:
        desk.ours()
        desk.copied()
        said = desk.copied(wrong)
    (text,) = alerts(said)
    assert "is booked; the drop copy says" in text
    assert desk.waiting == (set(), set())


def test_a_copy_that_gives_totals_only_or_no_side_is_no_difference() -> None:
    desk = Desk()
    desk.link()
    assert not alerts(desk.ours() + desk.copied(replace(FILL, last_qty=None, last_px=None, side=None)))


def test_nothing_is_awaited_before_the_copy_was_ever_up_nor_from_one_not_configured() -> None:
    desk = Desk()
    assert not timers(desk.ours())
    assert desk.engine.state.copies == {}
    stale = Desk(names=())
    assert not timers(stale.link())
    assert not timers(stale.ours())
    assert stale.waiting == (set(), set())
    assert not timers(stale.copied(replace(FILL, exec_id="E9")))
    assert alerts(stale.late("E9"))
    assert not stale.late("E9", "nobody")


def test_while_the_copy_is_away_nothing_is_missed_and_the_wait_begins_when_it_is_back() -> None:
    desk = Desk()
    desk.link()
    desk.link(is_up=False)
    assert not timers(desk.ours())
    assert not alerts(desk.late())
    assert desk.waiting == (set(), {"E1"})
    again = desk.link()
    assert timers(again) == [("copy:copy:E1", T0 + timedelta(seconds=60))]
    assert not alerts(desk.copied())
    assert not alerts(desk.late())


def test_a_restart_goes_on_waiting() -> None:
    desk = Desk()
    desk.link()
    desk.ours()
    desk.copied(replace(FILL, exec_id="E9", cl_ord_id="STRANGE", orig_cl_ord_id=""))
    restored = decode_state(encode_state(desk.engine.state), State)
    assert restored == desk.engine.state
    desk.engine.restore(restored)
    assert [key for key, _ in timers(desk.do(GatewayStarted(desk.now, 2, "", "")))] == ["copy:copy:E9"]
    assert {key for key, _ in timers(desk.link())} == {"copy:copy:E1", "copy:copy:E9"}
    assert not alerts(desk.copied())
    assert len(alerts(desk.late("E9"))) == 1


def test_a_message_of_the_copy_counts_once() -> None:
    desk = Desk()
    desk.link()
    event = ExecutionCopied(T0, "copy", 1, "fix", FILL)
    assert timers(desk.do(event))
    desk.ours()
    assert not desk.do(event)
    assert desk.waiting == (set(), set())


def test_an_order_booked_by_totals_is_compared_by_totals() -> None:
    desk = Desk(replays=False)
    desk.link()
    desk.ours(replace(FILL, exec_type=ExecType.ORDER_STATUS, exec_id="", last_qty=None, last_px=None))
    assert desk.engine.state.orders[X].is_by_totals
    assert desk.waiting == (set(), set())
    assert not timers(desk.copied()), "40 have filled, whichever execution it was"
    more = replace(FILL, exec_id="E5", cum_qty=D(60), last_qty=D(20))
    assert timers(desk.copied(more))
    desk.ours(replace(more, exec_type=ExecType.ORDER_STATUS, exec_id="", last_qty=None, last_px=None))
    assert not alerts(desk.late("E5"))
    desk.copied(replace(FILL, exec_id="E6", cum_qty=D(70), last_qty=D(10)))
    assert len(alerts(desk.late("E6"))) == 1


def test_an_order_nobody_sent_is_compared_too() -> None:
    desk = Desk()
    desk.link()
    strange = replace(FILL, cl_ord_id="T1", order_id="O9", exec_id="E7", cum_qty=D(40))
    desk.ours(strange)
    assert desk.waiting == (set(), {"E7"})
    assert not alerts(desk.copied(strange) + desk.copied(strange))
    assert desk.waiting == (set(), set())


@pytest.mark.parametrize("cl_ord_id", [X, "STRANGE"])
def test_a_difference_halts_where_that_is_wanted(cl_ord_id: str) -> None:
    desk = Desk(halts=True)
    desk.link()
    desk.copied(replace(FILL, cl_ord_id=cl_ord_id))
    said = desk.late()
    (text,) = alerts(said)
    assert desk.engine.state.halts == {"main": text}
    assert [one.account for one in said if isinstance(one, WithholdOrders)] == ["main"]


def test_a_difference_is_said_even_when_the_execution_halts_for_another_reason() -> None:
    desk = Desk()
    desk.link()
    desk.copied(replace(FILL, last_px=D(51)))
    desk.ours(replace(FILL, exec_id="E0", cum_qty=D(100), last_qty=D(60), ord_status=OrdStatus.FILLED))
    said = desk.ours(replace(FILL, cum_qty=D(100), ord_status=OrdStatus.FILLED))
    assert len(alerts(said)) == 1
