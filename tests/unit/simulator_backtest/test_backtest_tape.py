"""The tape as a venue: what it answers to cancels, questions, repeats and names that do not trade."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from gateway.domain.instrument import Instrument
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Side, TimeInForce
from gateway.domain.settings import AccountSettings, Costs
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LookUpOrder,
    OrderUnknown,
    ReportReceived,
    SendOrder,
)
from simulator.backtest.bars import Day
from simulator.backtest.tape import Fills, Tape

AT = datetime(2024, 3, 4, 21, tzinfo=UTC)
FREE = Costs(commission_per_share=Decimal(0), commission_minimum=Decimal(0))
ACCOUNTS = {"main": AccountSettings("main", "history", costs=FREE)}
PX = {"A": Decimal(10)}


def order(name: str = "C1", symbol: str = "A", side: Side = Side.BUY, qty: int = 100) -> OrderSpec:
    return OrderSpec(
        name, "R1", "main", "history", symbol, side, Decimal(qty), OrdType.MARKET, None, TimeInForce.DAY, 1
    )


def tape(fills: Fills = Fills.CLOSE, volume: float = 0.0) -> Tape:
    made = Tape({name: Instrument(name, half_spread_bps=Decimal(0)) for name in "AB"}, ACCOUNTS, fills)
    made.begin(
        Day(date(2024, 3, 4), {"A": Decimal(9)}, PX, {"A": Decimal(11)}, {"A": volume} if volume else {})
    )
    return made


def status(found: Any) -> tuple[ExecType, OrdStatus]:
    (one,) = found
    assert isinstance(one, ReportReceived)
    return one.report.exec_type, one.report.ord_status


def test_what_waits_can_be_cancelled_and_asked_for() -> None:
    venue = tape()
    assert status(venue.take(SendOrder(order()), AT)) == (ExecType.NEW, OrdStatus.NEW)
    assert venue.has("C1")
    assert not venue.has("C2")
    assert status(venue.take(LookUpOrder(order()), AT)) == (ExecType.ORDER_STATUS, OrdStatus.NEW)
    assert isinstance(venue.take(LookUpOrder(order("C2")), AT)[0], OrderUnknown)
    cancelled = venue.take(CancelOrder(order(), "X1"), AT)
    assert status(cancelled) == (ExecType.CANCELED, OrdStatus.CANCELED)
    (refused,) = venue.take(CancelOrder(order(), "X2"), AT)
    assert isinstance(refused, CancelRejected)
    venue.close()
    assert venue.advance(AT) == []


def test_an_order_sent_twice_is_one_order() -> None:
    venue = tape()
    venue.close()
    assert status(venue.take(SendOrder(order()), AT)) == (ExecType.TRADE, OrdStatus.FILLED)
    assert status(venue.take(SendOrder(order()), AT)) == (ExecType.ORDER_STATUS, OrdStatus.FILLED)
    assert len(venue.traded) == 1


def test_a_name_that_does_not_trade_is_rejected() -> None:
    venue = tape()
    venue.close()
    assert status(venue.take(SendOrder(order(symbol="B")), AT)) == (ExecType.REJECTED, OrdStatus.REJECTED)
    assert venue.traded == []


@pytest.mark.parametrize(("fills", "px"), [(Fills.CLOSE, 10), (Fills.NEXT_OPEN, 9), (Fills.NEXT_TYPICAL, 11)])
def test_each_way_to_fill_has_its_price_of_history(fills: Fills, px: int) -> None:
    venue = tape(fills)
    if fills is Fills.CLOSE:
        venue.close()
    venue.take(SendOrder(order()), AT)
    assert venue.traded[0].reference == px


def test_a_day_s_volume_moves_a_price_where_the_instrument_has_none() -> None:
    quiet, busy, unknown = tape(volume=10_000), tape(volume=1_000_000), tape()
    for venue in (quiet, busy, unknown):
        venue.close()
        venue.take(SendOrder(order(qty=1000)), AT)
    assert quiet.traded[0].px > busy.traded[0].px > unknown.traded[0].px == 10


def test_money_buys_what_it_pays_for_at_the_price_of_history() -> None:
    venue = tape()
    venue.close()
    (found,) = venue.take(SendOrder(replace(order(qty=3), cash_order_qty=Decimal("33.33"))), AT)
    assert isinstance(found, ReportReceived)
    assert (found.report.cum_qty, found.report.last_px) == (Decimal("3.333"), 10)
    assert venue.traded[0].qty == Decimal("3.333")
