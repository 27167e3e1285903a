"""One account at a venue behind two links (IBKR over FIX and over TWS): what each link says is its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.domain.order import ExecType, Order, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce
from gateway.domain.settings import AccountSettings, Settings
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    Alert,
    LinkNoticed,
    LinkUp,
    LotOpened,
    Mode,
    PositionStated,
    ReportReceived,
    TargetsSubmitted,
)
from gateway.oms.state import Request

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
FIX, TWS = "ibkr-fix", "tws"


def household() -> Engine:
    """Two accounts of ours, `core` over FIX and `sat` over TWS, that are U123 at IBKR."""
    engine = Engine(
        Settings("H", {"core": AccountSettings("core", FIX), "sat": AccountSettings("sat", TWS)}, {})
    )
    for name, held in (("core", 60), ("sat", 40)):
        lots = (LotOpened("AAA", "2024-01-02", Decimal(held), Decimal(500)),)
        engine.process(AccountOpened(NOW, name, Decimal(10_000), lots))
    for link in (FIX, TWS):
        engine.process(LinkUp(NOW, link))
    return engine


def state(engine: Engine, qty: int, seq: int = 1, *, shared: bool = True, at: datetime = NOW) -> list[Alert]:
    others = ("core",) if shared else ()
    event = PositionStated(at, TWS, seq, "sat", "AAA", Decimal(qty), others, at)
    return [one for one in engine.process(event) if isinstance(one, Alert)]


def working(engine: Engine, account: str, link: str) -> Order:
    spec = OrderSpec(
        f"ORDER{account}", "R1", account, link, "AAA", Side.BUY, Decimal(10), OrdType.LIMIT, Decimal(10),
        TimeInForce.DAY, 1,
    )  # fmt: skip
    targets = TargetsSubmitted(NOW, "R1", account, {}, NOW, NOW + timedelta(days=1))
    engine.state.requests["R1"] = Request(targets, Mode.EXECUTE)
    order = engine.state.orders[spec.cl_ord_id] = Order(spec, NOW, OrdStatus.NEW, updated_at=NOW)
    engine.state.requests["R1"].open_orders[spec.cl_ord_id] = None
    return order


def filled(order: Order, link: str, seq: int, at: datetime) -> ReportReceived:
    name, exec_id = order.spec.cl_ord_id, f"E{seq}"
    return ReportReceived(
        at, link, seq,
        Report(
            name, exec_id, ExecType.TRADE, OrdStatus.FILLED, Decimal(10), last_qty=Decimal(10),
            last_px=Decimal(10),
        ),
    )  # fmt: skip


def test_what_both_hold_together_is_no_difference_and_what_they_do_not_is_one() -> None:
    engine = household()
    assert state(engine, 100) == []
    assert state(engine, 40, 2) != []
    assert set(engine.state.halts) == {"core", "sat"}
    assert "tws holds 40 AAA for sat and core, the book 100" in engine.state.halts["core"]
    assert state(engine, 40, 3) == [], "said once"


def test_a_link_that_does_not_know_that_it_shares_would_halt() -> None:
    engine = household()
    assert state(engine, 100, shared=False) != []


def test_an_open_order_of_either_link_makes_a_position_say_nothing() -> None:
    engine = household()
    working(engine, "core", FIX)
    assert state(engine, 105) == []
    assert engine.state.halts == {}


@pytest.mark.parametrize(("after_s", "is_believed"), [(0, False), (4, False), (6, True)])
def test_a_fill_over_one_link_may_be_missing_in_what_the_other_shows_for_a_moment(
    after_s: int, is_believed: bool
) -> None:
    engine = household()
    order = working(engine, "core", FIX)
    engine.process(filled(order, FIX, 1, NOW))
    assert engine.state.book.position("core", "AAA") == 70
    at = NOW + timedelta(seconds=after_s)
    assert bool(state(engine, 100, at=at)) == is_believed
    engine.state.halts.clear()
    assert state(engine, 110, 2, at=NOW + timedelta(seconds=60)) == []


def test_an_account_the_book_does_not_hold_is_not_compared() -> None:
    engine = household()
    del engine.state.book.accounts["core"]
    assert state(engine, 100) == []


@pytest.mark.parametrize(
    ("account", "halts", "halted"), [("sat", True, {"sat"}), ("", True, {"sat"}), ("sat", False, set())]
)
def test_what_a_link_notices_is_told_and_halts_where_it_says_so(
    account: str, halts: bool, halted: set[str]
) -> None:
    engine = household()
    event = LinkNoticed(NOW, TWS, 1, "two orders under one reference", account, "warning", halts)
    alerts = [one for one in engine.process(event) if isinstance(one, Alert)]
    assert [(one.severity, one.code) for one in alerts] == [
        ("critical" if halts else "warning", "LinkNoticed")
    ]
    assert set(engine.state.halts) == halted
    assert engine.process(event)[0:0] == []
    assert [one for one in engine.process(event) if isinstance(one, Alert)] == [], "a message is taken once"
