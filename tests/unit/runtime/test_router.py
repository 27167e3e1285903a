"""The router: orders wait for the rate, cancels do not, and what did not leave comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import until

from adapters.base import BrokerEvent, Capabilities, NotSent
from gateway.domain.order import OrderSpec, OrdType, Side, TimeInForce
from gateway.events import CancelOrder, Event, LookUpOrder, SendOrder, SendWithheld, WithholdOrders
from gateway.runtime.router import Lane, Router

T0 = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)


class Tape:
    """A broker that writes down what it is handed."""

    name = "sim"

    def __init__(self, orders_per_s: float = 0.0) -> None:
        self.capabilities = Capabilities(
            refuses_duplicate_client_id=True,
            can_look_up=True,
            replays_executions=True,
            fractional=False,
            orders_per_s=orders_per_s,
        )
        self.taken: list[str] = []
        self.pushed = 0
        self.is_down = False

    async def start(self, after_seq: int) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    def submit(self, wish: SendOrder) -> None:
        if self.is_down:
            raise NotSent("link sim is down")
        self.taken.append(f"order {wish.order.cl_ord_id}")

    def cancel(self, wish: CancelOrder) -> None:
        if self.is_down:
            raise NotSent("link sim is down")
        self.taken.append(f"cancel {wish.cancel_id}")

    def look_up(self, wish: LookUpOrder) -> None:
        self.taken.append(f"look up {wish.order.cl_ord_id}")

    def recall(self, account: str, reason: str) -> None:
        self.taken.append(f"recall {account or 'all'}: {reason}")

    def flush(self) -> None:
        self.pushed = len(self.taken)

    def events(self) -> AsyncIterator[Sequence[BrokerEvent]]:
        raise NotImplementedError

    def acknowledge(self, link_seq: int) -> None:
        raise NotImplementedError


class StillClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.passed_s = 1.0

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return self.passed_s


class Desk:
    """A router over one taped broker."""

    def __init__(self, orders_per_s: float = 0.0) -> None:
        self.tape = Tape(orders_per_s)
        self.clock = StillClock()
        self.may_act = True
        self.returned: list[Event] = []
        self.router = Router({"sim": self.tape}, self.clock, lambda: self.may_act, self.returned.extend)


def spec(name: str, account: str = "main") -> OrderSpec:
    return OrderSpec(
        name, "r1", account, "sim", "AAPL", Side.BUY, Decimal(1), OrdType.MARKET, None, TimeInForce.DAY, 1
    )


def sends(*names: str) -> list[SendOrder]:
    return [SendOrder(spec(name)) for name in names]


def test_without_a_limit_everything_leaves_at_once_and_is_flushed() -> None:
    desk = Desk()
    desk.router.carry([*sends("A", "B"), LookUpOrder(spec("C"))])
    assert sorted(desk.tape.taken) == ["look up C", "order A", "order B"]
    assert desk.tape.pushed == 3
    assert desk.router.waiting() == 0


async def test_orders_wait_for_the_rate_and_cancels_overtake_them() -> None:
    desk = Desk(orders_per_s=20)
    desk.router.carry([*sends(*(f"N{number:02d}" for number in range(30))), CancelOrder(spec("X"), "XC1")])
    assert desk.tape.taken.count("cancel XC1") == 1
    assert len(desk.tape.taken) == 20, "a cancel counts against the venue's limit"
    assert desk.router.waiting() == 11
    for _ in range(100):
        desk.clock.passed_s += 0.05
        await asyncio.sleep(0.06)
        if not desk.router.waiting():
            break
    orders = [text for text in desk.tape.taken if text.startswith("order")]
    assert orders == [f"order N{number:02d}" for number in range(30)]
    assert desk.tape.pushed == 31
    desk.router.close()


async def test_a_second_of_orders_at_most_leaves_in_one_second() -> None:
    desk = Desk(orders_per_s=5)
    desk.clock.passed_s = 100.0
    desk.router.carry(sends("A"))
    desk.clock.passed_s = 1_000.0
    desk.router.carry(sends(*"BCDEFGHIJK"))
    assert len(desk.tape.taken) == 1 + 5
    desk.router.close()
    assert desk.router.waiting() == 0


def test_what_certainly_did_not_leave_comes_back() -> None:
    desk = Desk()
    desk.tape.is_down = True
    desk.router.carry([*sends("A"), CancelOrder(spec("X"), "XC1")])
    assert desk.returned == [SendWithheld(desk.clock.now(), "A", "link sim is down")]


async def test_what_could_not_leave_later_comes_back_too() -> None:
    desk = Desk(orders_per_s=1)
    desk.router.carry(sends("A", "B"))
    desk.tape.is_down = True
    desk.clock.passed_s += 2
    await until(lambda: desk.returned)
    assert [event.cl_ord_id for event in desk.returned if isinstance(event, SendWithheld)] == ["B"]


def test_without_the_lease_nothing_leaves() -> None:
    desk = Desk()
    desk.may_act = False
    desk.router.carry([*sends("A"), LookUpOrder(spec("C"))])
    assert desk.tape.taken == []
    assert desk.router.waiting() == 0


async def test_withheld_orders_of_one_account_come_back_and_others_stay() -> None:
    desk = Desk(orders_per_s=1)
    desk.router.carry([*sends("A", "B"), SendOrder(spec("C", "other")), *sends("D")])
    desk.router.withhold(WithholdOrders("main", "halted"))
    assert [(e.cl_ord_id, e.reason) for e in desk.returned if isinstance(e, SendWithheld)] == [
        ("B", "halted"), ("D", "halted"),
    ]  # fmt: skip
    assert desk.router.waiting() == 1
    desk.router.withhold(WithholdOrders("", "all stop"))
    assert desk.router.waiting() == 0
    desk.router.withhold(WithholdOrders("", "nothing left"))
    assert len(desk.returned) == 3
    desk.router.close()


async def test_orders_waiting_for_a_dead_link_are_forgotten_because_they_are_in_doubt() -> None:
    desk = Desk(orders_per_s=1)
    desk.router.carry(sends("A", "B"))
    desk.router.drop("sim")
    assert desk.router.waiting() == 0
    assert desk.returned == []
    desk.router.close()


@pytest.mark.parametrize("takes_money", [False, True])
def test_an_order_of_money_does_not_leave_for_a_venue_of_quantities(takes_money: bool) -> None:
    desk = Desk()
    desk.tape.capabilities = replace(desk.tape.capabilities, cash_orders=takes_money)
    desk.router.carry([SendOrder(replace(spec("A"), cash_order_qty=Decimal(50)))])
    assert desk.tape.taken == (["order A"] if takes_money else [])
    assert [type(one) for one in desk.returned] == ([] if takes_money else [SendWithheld])


@pytest.mark.parametrize("orders_per_s", [16.0, 5.0, 2.5, 1.0, 0.5])
@given(moves=st.lists(st.tuples(st.floats(0, 0.8), st.integers(0, 30), st.booleans()), max_size=40))
def test_whichever_second_is_looked_at_holds_no_more_than_the_limit(
    orders_per_s: float, moves: list[tuple[float, int, bool]]
) -> None:
    tape = Tape(orders_per_s)
    lane, now, left = Lane(tape), 100.0, []
    for seconds, wanted, is_urgent in moves:
        now += seconds
        for _ in range(wanted):
            if lane.pause_s(now):
                break
            lane.count(now)
            left.append(now)
        if is_urgent:
            lane.count(now)
    span_s = max(1.0, 1 / orders_per_s)
    for at in left:
        assert sum(at <= one <= at + span_s for one in left) <= max(1, int(orders_per_s))


def test_what_waits_leaves_as_soon_as_the_limit_allows() -> None:
    lane, now = Lane(Tape(16.0)), 5.0
    for _ in range(16):
        assert lane.pause_s(now) == 0.0
        lane.count(now)
    assert lane.pause_s(now) == pytest.approx(1.05)
    assert lane.pause_s(now + 0.5) == pytest.approx(0.55)
    assert lane.pause_s(now + 1.06) == 0.0
    assert not lane.left
