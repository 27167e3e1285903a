"""The corners of the execution styles that no story reaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.domain.instrument import Instrument
from gateway.domain.order import Order, OrderSpec, OrdType, Side, TimeInForce
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.schedule import Schedule, Style
from gateway.domain.settings import AccountSettings, Execution, Settings
from gateway.events import Mode, TargetsSubmitted
from gateway.oms.execution import out_of_time
from gateway.oms.state import Price, Request, State

T0 = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
D = Decimal


@pytest.mark.parametrize(
    ("has_price", "has_parent", "px"), [(False, True, D(50)), (True, False, D(50)), (True, True, None)]
)
def test_a_limit_that_cannot_be_judged_is_left_alone(
    has_price: bool,
    has_parent: bool,
    px: Decimal | None,
) -> None:
    schedule = Schedule(Style.CHASE, chase_interval_s=D(5), chase_steps=9)
    settings = Settings(
        "H", {"main": AccountSettings("main", "sim", execution=Execution(schedule=schedule))},
        {"AAA": Instrument("AAA")},
    )  # fmt: skip
    spec = OrderSpec("X", "R1", "main", "sim", "AAA", Side.BUY, D(9), OrdType.LIMIT, px, TimeInForce.DAY, 1)
    request = Request(
        TargetsSubmitted(T0, "R1", "main", {}, T0, T0), Mode.EXECUTE, schedule=schedule, began_at=T0,
        is_buying=True, orders=["X"], open_orders={"X": None},
    )  # fmt: skip
    if has_parent:
        request.approved = (Approved(Proposal("AAA", Side.BUY, D(9), D(50)), D(50)),)
    now = T0 + timedelta(seconds=5)
    state = State(orders={"X": Order(spec, T0)}, requests={"R1": request}, now=now)
    if has_price:
        state.prices["AAA"] = Price(D(70), now)
    assert out_of_time(request, state, settings, now) == []
