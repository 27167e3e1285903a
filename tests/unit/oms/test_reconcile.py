"""Orders in doubt, rule by rule: when to ask, when to believe, when to send again or give up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.domain.order import FINAL, Order, OrderSpec, OrdStatus, OrdType, Side, TimeInForce
from gateway.domain.settings import AccountSettings, Execution, Settings
from gateway.events import (
    Alert,
    CancelOrder,
    LookUpOrder,
    Mode,
    OrderAbandoned,
    OrderResent,
    RequestState,
    SetTimer,
    TargetsSubmitted,
)
from gateway.oms import reconcile
from gateway.oms.state import Link, Request, State

NOW = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
SETTINGS = Settings(
    "H",
    {
        "main": AccountSettings(
            "main",
            "sim",
            execution=Execution(
                lookup_wait_s=Decimal(2), lookups_before_unknown=3, resend_max_age_s=Decimal(100)
            ),
        )
    },
    {},
)
SPEC = OrderSpec(
    "C1", "R1", "main", "sim", "AAA", Side.BUY, Decimal(10), OrdType.LIMIT, Decimal(10), TimeInForce.DAY, 1
)
LIVE = sorted(set(OrdStatus) - FINAL)


def order(status: OrdStatus = OrdStatus.IN_DOUBT, age_s: float = 10, **words: object) -> Order:
    at = NOW - timedelta(seconds=age_s)
    return Order(SPEC, at, status, updated_at=at, **words)  # type: ignore[arg-type]


def state(*, is_up: bool = True, halt: str = "", **words: object) -> State:
    spec = TargetsSubmitted(NOW, "R1", "main", {}, NOW, NOW + timedelta(days=1))
    request = Request(spec, Mode.EXECUTE, **{"state": RequestState.WORKING, **words})  # type: ignore[arg-type]
    return State(requests={"R1": request}, links={"sim": Link(is_up)}, halts={"main": halt} if halt else {})


def settle(one: Order, at: State | None = None) -> OrderResent | OrderAbandoned | None:
    return reconcile.settle(one, at or state(), SETTINGS, NOW)


def kinds(effects: Iterable[object]) -> list[type]:
    return [type(effect) for effect in effects]


def test_an_order_is_unclear_in_doubt_or_while_executions_are_missing() -> None:
    for status in OrdStatus:
        assert reconcile.is_unclear(order(status)) is (status is OrdStatus.IN_DOUBT)
        assert reconcile.is_unclear(order(status, lookups=1)) is (status not in FINAL)


def test_only_enough_denials_of_an_order_in_doubt_prove_it_unknown() -> None:
    assert not reconcile.is_proved_unknown(order(lookups=2), SETTINGS)
    assert reconcile.is_proved_unknown(order(lookups=3), SETTINGS)
    for status in set(OrdStatus) - {OrdStatus.IN_DOUBT}:
        assert not reconcile.is_proved_unknown(order(status, lookups=9), SETTINGS)


def test_an_order_is_unwanted_where_the_venue_may_still_fill_it() -> None:
    for status in OrdStatus:
        expected = status not in FINAL and status not in (OrdStatus.PENDING_NEW, OrdStatus.IN_DOUBT)
        assert reconcile.is_unwanted(order(status, cancels=1)) is expected
        assert not reconcile.is_unwanted(order(status))


def test_too_early_to_say() -> None:
    assert settle(order(lookups=2)) is None
    assert settle(order(lookups=3), state(halt="lunch")) is None
    assert settle(order(lookups=3, age_s=3.99)) is None, "three answers within two waits"
    assert settle(order(lookups=3, age_s=4)) == OrderResent(NOW, "C1")


def test_doubt_counts_from_the_last_change_not_from_the_sending() -> None:
    one = order(lookups=3, age_s=90)
    assert isinstance(settle(replace(one, updated_at=None)), OrderResent)
    assert settle(replace(one, updated_at=NOW - timedelta(seconds=1))) is None


@pytest.mark.parametrize(("age_s", "is_sent"), [(100, True), (100.001, False)])
def test_an_old_order_is_given_up(age_s: float, is_sent: bool) -> None:
    settled = settle(order(lookups=3, age_s=age_s))
    assert isinstance(settled, OrderResent if is_sent else OrderAbandoned)
    if isinstance(settled, OrderAbandoned):
        assert settled.text == "never reached the venue; 100 s old by now"


@pytest.mark.parametrize(("sends", "is_sent"), [(4, True), (5, False)])
def test_an_order_sent_too_often_is_given_up(sends: int, is_sent: bool) -> None:
    settled = settle(order(lookups=3, sends=sends))
    assert isinstance(settled, OrderResent if is_sent else OrderAbandoned)
    if isinstance(settled, OrderAbandoned):
        assert settled.text == "sent 5 times and never reached the venue"


@pytest.mark.parametrize(
    ("cancels", "words"),
    [
        (1, {}), (0, {"outcome": RequestState.CANCELED}), (0, {"state": RequestState.DONE}),
    ],
)  # fmt: skip
def test_an_order_nobody_wants_is_given_up(cancels: int, words: dict[str, object]) -> None:
    settled = settle(order(lookups=3, cancels=cancels), state(**words))
    assert settled == OrderAbandoned(NOW, "C1", "never reached the venue; no longer wanted")


def test_orders_are_looked_up_on_links_that_are_up() -> None:
    one = order(order_id="V1")
    timer = SetTimer("lookup:C1", NOW + timedelta(seconds=2))
    assert reconcile.look_up([one], state(), SETTINGS, NOW) == [LookUpOrder(SPEC, "V1"), timer]
    assert reconcile.look_up([one], state(is_up=False), SETTINGS, NOW) == []
    assert reconcile.look_up([one], State(), SETTINGS, NOW) == []


def test_a_clear_order_is_asked_about_once_and_a_final_one_never() -> None:
    for status in set(LIVE) - {OrdStatus.IN_DOUBT}:
        assert kinds(reconcile.look_up([order(status)], state(), SETTINGS, NOW)) == [LookUpOrder]
    for status in FINAL:
        assert reconcile.look_up([order(status)], state(), SETTINGS, NOW) == []


def test_a_working_order_is_cancelled_and_one_in_doubt_is_looked_up_instead() -> None:
    assert reconcile.cancel([order(OrdStatus.NEW, cancels=2, order_id="V1")], state(), SETTINGS, NOW) == [
        CancelOrder(SPEC, "C1C2", "V1")
    ]
    assert kinds(reconcile.cancel([order()], state(), SETTINGS, NOW)) == [LookUpOrder, SetTimer]
    assert kinds(reconcile.cancel([order(OrdStatus.PENDING_NEW)], state(), SETTINGS, NOW)) == [LookUpOrder]


def test_nothing_is_asked_of_a_link_that_is_down_or_unknown() -> None:
    one = order(OrdStatus.NEW, cancels=9)
    assert reconcile.cancel([one], state(is_up=False), SETTINGS, NOW) == []
    assert reconcile.cancel([one], State(), SETTINGS, NOW) == []


@pytest.mark.parametrize(("cancels", "is_stuck"), [(3, False), (4, True)])
def test_a_person_is_told_about_a_stuck_order(cancels: int, is_stuck: bool) -> None:
    effects = reconcile.cancel([order(OrdStatus.NEW, cancels=cancels)], state(), SETTINGS, NOW)
    alerts = [effect for effect in effects if isinstance(effect, Alert)]
    assert bool(alerts) is is_stuck
    assert [(alert.code, alert.severity, alert.account) for alert in alerts] == [
        ("OrderStuck", "critical", "main")
    ] * is_stuck
