"""Encoder and decoder: strict going out, tolerant coming in, nothing dropped in silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.fix import decoder, encoder
from adapters.fix.dialects.base import Unsendable
from adapters.fix.dialects.wire import Unreadable, plain, utc_timestamp
from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Side, TimeInForce
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    SendOrder,
)

AT = datetime(2024, 5, 6, 14, 30, 1, 250_000, tzinfo=UTC)
SPEC = OrderSpec(
    cl_ord_id="ABCDEFGHIJKLMNOP",
    request_id="r1",
    account="main",
    link="sim",
    symbol="AAPL",
    side=Side.BUY,
    order_qty=Decimal(100),
    ord_type=OrdType.LIMIT,
    price=Decimal("187.50"),
    time_in_force=TimeInForce.DAY,
    wave=1,
)


def report(**tags: str) -> str:
    fields = {
        "35": "8", "37": "O1", "11": SPEC.cl_ord_id, "17": "E1", "150": "F", "39": "1", "55": "AAPL",
        "54": "1", "38": "100", "32": "40", "31": "187.50", "151": "60", "14": "40", "6": "187.5",
        "60": "20240506-14:30:01.123",
    }  # fmt: skip
    fields |= {tag.removeprefix("t"): value for tag, value in tags.items()}
    return "8=FIX.4.4\x01" + "".join(f"{tag}={value}\x01" for tag, value in fields.items() if value)


def decode(raw: str, ref: str = "") -> decoder.Decoded | None:
    return decoder.decode(raw, ref, "sim", 7, AT)


def decoded_report(**tags: str) -> ReportReceived:
    found = decode(report(**tags))
    assert isinstance(found, ReportReceived)
    return found


def test_a_limit_order_has_every_field_in_plain_text() -> None:
    raw = encoder.new_order(SendOrder(SPEC), utc_timestamp(AT))
    assert decoder.split(raw) == {
        "8": "FIX.4.4", "9": "0", "35": "D", "11": "ABCDEFGHIJKLMNOP", "1": "main", "21": "1", "55": "AAPL",
        "54": "1", "60": "20240506-14:30:01.250", "38": "100", "40": "2", "44": "187.5", "15": "USD",
        "59": "0", "10": "000",
    }  # fmt: skip


def test_a_market_order_has_no_price_and_a_repeat_says_so() -> None:
    spec = replace(SPEC, ord_type=OrdType.MARKET, price=None)
    fields = decoder.split(encoder.new_order(SendOrder(spec, poss_resend=True), "x"))
    assert "44" not in fields
    assert fields["97"] == "Y"
    assert fields["40"] == "1"


def test_a_limit_order_without_a_price_is_unsendable() -> None:
    with pytest.raises(Unsendable, match="Price"):
        encoder.new_order(SendOrder(replace(SPEC, price=None)), "x")


@pytest.mark.parametrize("symbol", ["A\x0138=999999", "A\n", "", "A\x00"])
def test_a_value_that_would_leave_its_field_is_unsendable(symbol: str) -> None:
    with pytest.raises(Unsendable, match="tag 55"):
        encoder.new_order(SendOrder(replace(SPEC, symbol=symbol)), "x")


def test_a_quantity_that_is_no_number_is_unsendable() -> None:
    with pytest.raises(Unsendable, match="NaN"):
        encoder.new_order(SendOrder(replace(SPEC, order_qty=Decimal("NaN"))), "x")


def test_cancel_and_status_name_the_order() -> None:
    cancel = decoder.split(encoder.cancel_request(CancelOrder(SPEC, "ABCDEFGHIJKLMNOPC2", "O1"), "x"))
    assert (cancel["35"], cancel["11"], cancel["41"], cancel["37"]) == (
        "F", "ABCDEFGHIJKLMNOPC2", "ABCDEFGHIJKLMNOP", "O1",
    )  # fmt: skip
    assert "37" not in decoder.split(encoder.cancel_request(CancelOrder(SPEC, "X", ""), "x"))
    ask = decoder.split(encoder.status_request(LookUpOrder(SPEC, "O1")))
    assert (ask["35"], ask["11"], ask["37"]) == ("H", "ABCDEFGHIJKLMNOP", "O1")
    assert "37" not in decoder.split(encoder.status_request(LookUpOrder(SPEC)))


@given(st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(10) ** 15, allow_nan=False))
def test_numbers_go_out_without_an_exponent_and_come_back_equal(number: Decimal) -> None:
    text = plain(number)
    assert "E" not in text.upper()
    assert Decimal(text) == number


def test_an_execution_is_read_whole() -> None:
    found = decoded_report(t12="1.25", t13="3", t58="part")
    assert (found.link, found.link_seq, found.at) == ("sim", 7, AT)
    one = found.report
    assert (one.cl_ord_id, one.exec_id, one.order_id) == ("ABCDEFGHIJKLMNOP", "E1", "O1")
    assert (one.exec_type, one.ord_status, one.side) == (
        ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, Side.BUY,
    )  # fmt: skip
    assert (one.last_qty, one.last_px, one.cum_qty, one.leaves_qty) == (40, Decimal("187.5"), 40, 60)
    assert one.commission == Decimal("1.25")
    assert one.transact_time == datetime(2024, 5, 6, 14, 30, 1, 123_000, tzinfo=UTC)
    assert one.text == "part"


@pytest.mark.parametrize(
    ("kind", "stated", "expected"),
    [("1", "0.005", "0.2"), ("2", "0.1", "7.5"), ("3", "1", "1"), ("", "1", "1")],
)
def test_commission_is_money_whatever_it_is_stated_in(kind: str, stated: str, expected: str) -> None:
    assert decoded_report(t12=stated, t13=kind).report.commission == Decimal(expected)


def test_a_commission_of_an_unknown_kind_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="CommType"):
        decode(report(t12="1", t13="Z"))


def test_a_status_report_is_no_execution_and_has_no_exec_id() -> None:
    one = decoded_report(t150="I", t17="0").report
    assert (one.exec_type, one.exec_id, one.last_qty, one.commission) == (ExecType.ORDER_STATUS, "", None, 0)


@pytest.mark.parametrize("tags", [{"t37": "NONE"}, {"t37": "0"}, {"t37": ""}, {"t103": "5"}])
def test_a_rejected_status_that_names_no_order_means_unknown(tags: dict[str, str]) -> None:
    found = decode(report(t150="I", t39="8", t14="0", **tags))
    assert found == OrderUnknown(AT, "sim", 7, "ABCDEFGHIJKLMNOP")


def test_a_rejected_status_of_a_known_order_is_a_report() -> None:
    assert decoded_report(t150="I", t39="8", t14="0").report.ord_status is OrdStatus.REJECTED


def test_an_answer_to_a_cancel_belongs_to_the_order() -> None:
    one = decoded_report(t150="4", t39="4", t11="ABCDEFGHIJKLMNOPC1", t41="ABCDEFGHIJKLMNOP").report
    assert one.cl_ord_id == "ABCDEFGHIJKLMNOP"
    assert decoded_report(t150="4", t39="4", t11="ABCDEFGHIJKLMNOPC1").report.cl_ord_id == "ABCDEFGHIJKLMNOP"


def test_an_order_whose_own_id_looks_like_a_cancel_keeps_it() -> None:
    assert decoded_report(t11="IUCRAWZ7ZJDOC777").report.cl_ord_id == "IUCRAWZ7ZJDOC777"


@pytest.mark.parametrize(
    ("trans_type", "expected"),
    [("1", ExecType.TRADE_CANCEL), ("2", ExecType.TRADE_CORRECT), ("0", ExecType.TRADE)],
)
def test_fix_42_busts_and_corrections_are_seen(trans_type: str, expected: ExecType) -> None:
    assert decoded_report(t20=trans_type).report.exec_type is expected


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"t11": ""}, "tag 11 is missing"),
        ({"t150": ""}, "tag 150 is missing"),
        ({"t150": "@"}, "ExecType"),
        ({"t39": ""}, "tag 39 is missing"),
        ({"t39": "denied"}, "OrdStatus"),
        ({"t32": "many"}, "tag 32"),
        ({"t31": "NaN"}, "tag 31"),
        ({"t17": ""}, "ExecID"),
    ],
)
def test_what_cannot_be_understood_is_unreadable_and_says_why(tags: dict[str, str], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(report(**tags))


def test_unknown_tags_and_values_do_not_hide_a_fill() -> None:
    found = decoded_report(t9999="x", t453="2", t54="Z", t60="yesterday", t6="").report
    assert (found.last_qty, found.side, found.transact_time, found.avg_px) == (40, None, None, None)


@pytest.mark.parametrize("stamp", ["20240230-10:00:00", "20240506", ""])
def test_an_impossible_time_is_no_time(stamp: str) -> None:
    assert decoded_report(t60=stamp).report.transact_time is None


def test_a_time_without_fractions_is_read() -> None:
    assert decoded_report(t60="20240506-14:30:01").report.transact_time == AT.replace(microsecond=0)


def test_a_cancel_reject_names_the_order() -> None:
    raw = "35=9\x0111=ABCDEFGHIJKLMNOPC1\x0141=ABCDEFGHIJKLMNOP\x0139=2\x0158=too late\x01"
    expected = CancelRejected(
        AT, "sim", 7, "ABCDEFGHIJKLMNOPC1", "ABCDEFGHIJKLMNOP", OrdStatus.FILLED, "too late"
    )
    assert decode(raw) == expected


@pytest.mark.parametrize(
    ("raw", "ref", "cl_ord_id"),
    [
        ("35=j\x0145=3\x01380=2\x0158=no\x01", "ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
        ("35=j\x01379=ABCDEFGHIJKLMNOPC1\x01380=2\x0158=no\x01", "", "ABCDEFGHIJKLMNOP"),
        ("35=3\x0145=3\x01373=2\x0158=no\x01", "", ""),
    ],
)
def test_a_refusal_names_the_order_when_it_can(raw: str, ref: str, cl_ord_id: str) -> None:
    assert decode(raw, ref) == MessageRefused(AT, "sim", 7, cl_ord_id, f"{raw[:4]} reason 2: no")


def test_other_messages_are_not_about_an_order() -> None:
    assert decode("35=B\x01148=news\x01") is None


@given(st.text(alphabet="0123456789=\x01ABCF|8", max_size=60))
def test_any_text_is_an_event_or_unreadable_with_a_reason(text: str) -> None:
    reason, found = "", None
    try:
        found = decode("35=8\x01" + text)
    except Unreadable as problem:
        reason = str(problem)
    assert bool(reason) is (found is None)
