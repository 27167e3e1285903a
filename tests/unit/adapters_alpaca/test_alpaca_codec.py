"""Alpaca's JSON and back: exact numbers, known rules, and tolerance of what nobody knows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.alpaca import codec
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Side, TimeInForce

CENTS = st.decimals(min_value="1", max_value="100000", places=2)
IN_CASH = {"ord_type": OrdType.MARKET, "price": None, "cash_order_qty": Decimal("1234.50")}
QTYS = st.decimals(min_value="0.000000001", max_value="1000000", places=9)


def spec(**changes: Any) -> OrderSpec:
    said = {
        "cl_ord_id": "ABCDEFGHIJKLMNOP", "request_id": "r", "account": "a", "link": "l", "symbol": "BRK.B",
        "side": Side.BUY, "order_qty": Decimal(1), "ord_type": OrdType.LIMIT, "price": Decimal("10.50"),
        "time_in_force": TimeInForce.DAY, "wave": 1, **changes,
    }  # fmt: skip
    return OrderSpec(**said)


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": "11111111-1111-1111-1111-111111111111", "client_order_id": "ABCDEFGHIJKLMNOP", "symbol": "AAA",
        "side": "buy", "qty": "10", "filled_qty": "0", "filled_avg_price": None, "status": "new", **changes,
    }  # fmt: skip


@given(qty=QTYS, price=CENTS)
def test_numbers_leave_as_decimal_strings_without_loss(qty: Decimal, price: Decimal) -> None:
    qty = max(qty, Decimal(1) / price + Decimal("0.000000001")).quantize(Decimal("1E-9"))
    body = json.loads(json.dumps(codec.order_body(spec(order_qty=qty, price=price), extended_hours=False)))
    assert isinstance(body["qty"], str)
    assert isinstance(body["limit_price"], str)
    assert (Decimal(body["qty"]), Decimal(body["limit_price"])) == (qty, price)
    assert "E" not in body["qty"]


@given(
    qty=st.sampled_from(["0", "3", "12345678.123456789"]), price=st.sampled_from([None, "0.0001", "1E3"]),
    status=st.text(max_size=12), side=st.text(max_size=5), extra=st.dictionaries(st.text(), st.integers()),
)  # fmt: skip
def test_a_report_survives_any_words(
    qty: str, price: str | None, status: str, side: str, extra: dict[str, int]
) -> None:
    known = order()
    strange = {name: value for name, value in extra.items() if name not in known}
    found = codec.read_order(
        {**strange, **known, "filled_qty": qty, "filled_avg_price": price, "status": status, "side": side}
    )
    assert found.cum_qty == Decimal(qty)
    assert found.avg_px == (None if price is None else Decimal(price))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"symbol": "not a symbol"}, "no symbol here"),
        ({"order_qty": Decimal("0.0000000001")}, "more than 9 decimals"),
        ({"order_qty": Decimal(0)}, "not above 0"),
        ({"order_qty": Decimal(-5)}, "not above 0"),
        ({"price": Decimal(0)}, "not above 0"),
        ({"order_qty": Decimal("0.5"), "time_in_force": TimeInForce.GOOD_TILL_CANCEL}, "for the day only"),
        ({"order_qty": Decimal("0.5"), "side": Side.SELL_SHORT}, "whole shares"),
        ({"order_qty": Decimal("0.01")}, r"\$1"),
        ({"price": Decimal("10.505")}, "more than 2 decimals"),
        ({"price": Decimal("0.50505")}, "more than 4 decimals"),
        ({"cash_order_qty": Decimal(50)}, "only buys, and at market"),
        ({**IN_CASH, "side": Side.SELL}, "only buys, and at market"),
        ({**IN_CASH, "cash_order_qty": Decimal("0.99")}, r"\$1 at least; set min_notional of BRK.B"),
        ({**IN_CASH, "cash_order_qty": Decimal("9.999")}, "amount 9.999 has more than 2 decimals"),
        ({**IN_CASH, "time_in_force": TimeInForce.GOOD_TILL_CANCEL}, "for the day only"),
    ],
)
def test_what_the_venue_would_refuse_for_its_form_never_leaves(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(codec.Unsendable, match=words):
        codec.order_body(spec(**changes), extended_hours=False)


def test_a_market_order_has_no_price_and_a_short_sale_is_a_sale() -> None:
    body = codec.order_body(
        spec(ord_type=OrdType.MARKET, price=None, side=Side.SELL_SHORT), extended_hours=False
    )
    assert (body["type"], body["side"], "limit_price" in body) == ("market", "sell", False)


def test_an_order_of_money_says_how_much_and_no_quantity() -> None:
    body = codec.order_body(spec(**IN_CASH), extended_hours=False)
    assert (body["notional"], body["type"], body["time_in_force"]) == ("1234.5", "market", "day")
    assert "qty" not in body
    assert codec.trades_fraction(spec(**IN_CASH)), "whatever it buys"


def test_sub_dollar_prices_have_four_decimals() -> None:
    assert codec.order_body(spec(price=Decimal("0.1234")), extended_hours=False)["limit_price"] == "0.1234"


def test_extended_hours_take_limit_orders_that_stay() -> None:
    assert codec.order_body(spec(), extended_hours=True)["extended_hours"] is True
    for changes in ({"ord_type": OrdType.MARKET, "price": None}, {"time_in_force": TimeInForce.FILL_OR_KILL}):
        with pytest.raises(codec.Unsendable, match="outside of trading hours"):
            codec.order_body(spec(**changes), extended_hours=True)


def test_every_documented_status_is_known() -> None:
    documented = (
        "new partially_filled filled done_for_day canceled expired replaced pending_cancel pending_replace "
        "accepted pending_new accepted_for_bidding stopped rejected suspended calculated held"
    )
    for status in documented.split():
        assert not codec.read_order(order(status=status)).text.startswith("the venue says")
    assert codec.read_order(order(status="odd", filled_qty="3")).ord_status is OrdStatus.PARTIALLY_FILLED


def test_a_fill_of_the_stream_is_an_execution() -> None:
    found = codec.read_event(
        {"event": "partial_fill", "execution_id": "e1", "timestamp": "2026-03-02T14:30:00.123456789Z",
         "qty": "4", "price": "10.01", "order": order(filled_qty="4", status="partially_filled")}
    )  # fmt: skip
    assert (found.exec_type, found.exec_id, found.last_qty, found.last_px) == (
        ExecType.TRADE,
        "e1",
        4,
        Decimal("10.01"),
    )
    assert found.transact_time == datetime(2026, 3, 2, 14, 30, 0, 123456, tzinfo=UTC)
    assert found.leaves_qty == 6


def test_a_bust_carries_no_quantity_and_a_correction_its_new_one() -> None:
    data = {"execution_id": "e2", "previous_execution_id": "e1", "qty": "3", "price": "9", "order": order()}
    bust = codec.read_event({"event": "trade_bust", **data})
    correction = codec.read_event({"event": "trade_correct", **data})
    assert (bust.exec_type, bust.exec_ref_id, bust.last_qty) == (ExecType.TRADE_CANCEL, "e1", None)
    assert (correction.exec_type, correction.last_qty, correction.last_px) == (ExecType.TRADE_CORRECT, 3, 9)


def test_an_order_in_money_has_no_quantity_of_its_own() -> None:
    found = codec.read_order(order(qty=None, notional="100", filled_qty="1.5", status="filled"))
    assert (found.order_qty, found.leaves_qty, found.cum_qty) == (None, None, Decimal("1.5"))


def test_what_is_no_number_or_no_order_is_said() -> None:
    for broken in (order(filled_qty="many"), order(filled_qty="Infinity"), {"status": "new"}):
        with pytest.raises(codec.Unreadable):
            codec.read_order(broken)
    assert codec.decimal_or_none({"x": "?"}, "x") is None
    assert codec.decimal_or_none({}, "x") is None


def test_times_that_cannot_be_read_are_none() -> None:
    assert codec.moment("soon") is None
    assert codec.moment("2026-03-02T14:30:00") is None
    assert codec.moment(None) is None


def test_a_row_of_the_activities_is_an_execution_of_its_order() -> None:
    row = {"id": "20260302143000123::e1", "cum_qty": "10", "qty": "6", "price": "10", "order_id": "x",
           "transaction_time": "2026-03-02T14:30:00Z"}  # fmt: skip
    found = codec.read_fill(row, order(filled_qty="10"))
    assert (found.exec_id, found.ord_status, found.cum_qty) == ("e1", OrdStatus.FILLED, 10)
    assert codec.read_fill({**row, "cum_qty": "6"}, order()).ord_status is OrdStatus.PARTIALLY_FILLED
