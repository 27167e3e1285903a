from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.request import Mode
from gateway.domain.schedule import ScheduleOverride, Style
from gateway.errors import InvalidTargets
from gateway.events import (
    ActionStated,
    ApprovalGiven,
    CancelRequested,
    HaltRequested,
    OrderSettled,
    PricesUpdated,
    ResumeRequested,
    TargetsSubmitted,
)
from gateway.runtime.commands import parse_command, parse_prices

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def raw(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"command": "halt"}, HaltRequested(NOW, "", "", "unknown")),
        (
            {
                "command": "halt",
                "account": "A1",
                "reason": "drill é",
                "by": "anna",
                "cancel_working": True,
            },
            HaltRequested(NOW, "A1", "drill é", "anna", cancel_working=True),
        ),
        ({"command": "resume", "account": "A1", "by": "anna"}, ResumeRequested(NOW, "A1", "anna")),
        (
            {"command": "resume", "account": "A1", "by": "anna", "reasons": ["drill", "more"]},
            ResumeRequested(NOW, "A1", "anna", ("drill", "more")),
        ),
        ({"command": "approve", "request_id": "r1", "by": "anna"}, ApprovalGiven(NOW, "r1", "anna")),
        ({"command": "cancel", "request_id": "r1", "reason": "x"}, CancelRequested(NOW, "r1", "unknown")),
        (
            {"command": "settle", "cl_ord_id": "C1", "cum_qty": "4", "avg_px": "10.5", "by": "anna"},
            OrderSettled(NOW, "C1", Decimal(4), Decimal("10.5"), "anna"),
        ),
        (
            {
                "command": "harvest",
                "account": "A1",
                "request_id": "h1",
                "expires_at": "2026-03-02T15:30:00Z",
                "mode": "execute",
            },
            TargetsSubmitted(
                NOW,
                "h1",
                "A1",
                {},
                NOW,
                NOW + timedelta(hours=1),
                mode=Mode.EXECUTE,
                execution=ScheduleOverride(style=Style.AT_ONCE),
                harvest=True,
            ),
        ),
        (
            {"command": "return_capital", "account": "A1", "symbol": "AAPL", "amount": "12.5", "by": "anna"},
            ActionStated(NOW, "A1", "AAPL", "anna", Decimal("12.5")),
        ),
        (
            {
                "command": "spin_off",
                "account": "A1",
                "symbol": "AAPL",
                "new_symbol": "SPUN",
                "qty": "2.5",
                "fraction": "0.2",
            },
            ActionStated(
                NOW, "A1", "AAPL", "unknown", new_symbol="SPUN", qty=Decimal("2.5"), fraction=Decimal("0.2")
            ),
        ),
        (
            {"command": "settle", "cl_ord_id": "C1", "cum_qty": "0"},
            OrderSettled(NOW, "C1", Decimal(0), Decimal(0), "unknown"),
        ),
    ],
)
def test_a_good_command_becomes_its_event(body: dict[str, Any], event: object) -> None:
    assert parse_command(raw(body), NOW) == event


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "command"),
        ({"command": "explode"}, "command"),
        ({"command": ["halt"]}, "command"),
        ({"command": "halt", "request_id": "r1"}, "request_id"),
        ({"command": "halt", "cancel_working": "yes"}, "cancel_working"),
        ({"command": "halt", "cancel_working": 1}, "cancel_working"),
        ({"command": "halt", "account": "a b"}, "account"),
        ({"command": "halt", "account": 1}, "account"),
        ({"command": "halt", "reason": "x" * 501}, "reason"),
        ({"command": "halt", "reason": "two\nlines"}, "reason"),
        ({"command": "halt", "by": "\ud800"}, "by"),
        ({"command": "resume", "reasons": "drill"}, "reasons"),
        ({"command": "resume", "reasons": [5]}, "reasons"),
        ({"command": "resume", "reasons": [""]}, "reasons"),
        ({"command": "approve"}, "request_id"),
        ({"command": "cancel", "request_id": ""}, "request_id"),
        ({"command": "cancel", "request_id": "r1", "reason": 5}, "reason"),
        ({"command": "settle", "cl_ord_id": "C1"}, "cum_qty"),
        ({"command": "settle", "cl_ord_id": "C1", "cum_qty": "-1"}, "cum_qty"),
        ({"command": "settle", "cl_ord_id": "C1", "cum_qty": "4"}, "avg_px"),
        ({"command": "settle", "cum_qty": "4", "avg_px": "10"}, "cl_ord_id"),
        ({"command": "return_capital", "account": "A1", "symbol": "AAPL", "amount": "0"}, "amount"),
        ({"command": "return_capital", "account": "A1", "symbol": "", "amount": "1"}, "symbol"),
        ({"command": "return_capital", "account": "A1", "symbol": 7, "amount": "1"}, "symbol"),
        ({"command": "return_capital", "symbol": "AAPL", "amount": "1"}, "account"),
        ({"command": "spin_off", "account": "A1", "symbol": "A", "qty": "0", "fraction": "0.2"}, "qty"),
        ({"command": "spin_off", "account": "A1", "symbol": "A", "qty": "1", "fraction": "1.2"}, "fraction"),
        ({"command": "spin_off", "account": "A1", "symbol": "A", "qty": "1", "fraction": "1"}, "new_symbol"),
        ([], "json"),
        ({"command": "halt", "reason": "x" * 20_000}, "json"),
    ],
)
def test_a_wrong_command_names_its_field(body: Any, field: str) -> None:
    with pytest.raises(InvalidTargets) as caught:
        parse_command(raw(body), NOW)
    assert caught.value.field == field


def test_good_prices_become_an_event() -> None:
    body = {"as_of": "2026-03-02T14:29:00Z", "prices": {"AAPL": "187.23", "ZZZ": "1"}, "source": "file"}
    as_of = NOW - timedelta(minutes=1)
    both = {"AAPL": Decimal("187.23"), "ZZZ": Decimal(1)}
    assert parse_prices(raw(body), NOW) == PricesUpdated(NOW, as_of, both, "file")
    assert parse_prices(raw(body), NOW, {"AAPL"}).prices == {"AAPL": Decimal("187.23")}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"as_of": 5}, "as_of"),
        ({"as_of": "2026-03-02T14:31:01Z"}, "as_of"),
        ({"as_of": "2026-02-01T14:31:01Z"}, "as_of"),
        ({"prices": {}}, "prices"),
        ({"prices": []}, "prices"),
        ({"prices": {"AAPL": 1.5}}, "prices.AAPL"),
        ({"prices": {"AAPL": "0.00"}}, "prices.AAPL"),
        ({"prices": {"AAPL": "-1"}}, "prices.AAPL"),
        ({"prices": {"A PL": "1"}}, "prices.A PL"),
        ({"source": 7}, "source"),
        ({"extra": 7}, "extra"),
    ],
)
def test_wrong_prices_name_their_field(changes: dict[str, Any], field: str) -> None:
    body = {"as_of": "2026-03-02T14:29:00Z", "prices": {"AAPL": "187.23"}} | changes
    with pytest.raises(InvalidTargets) as caught:
        parse_prices(raw(body), NOW)
    assert caught.value.field == field


@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=40), st.text(max_size=6), st.text(max_size=6))
def test_junk_is_refused_politely(junk: bytes, key: str, value: str) -> None:
    for data in (
        junk,
        raw({key: value}),
        raw({"command": "approve", key: value}),
        raw({"prices": {key: value}}),
    ):
        for parse in (parse_command, parse_prices):
            try:
                parse(data, NOW)
            except InvalidTargets:
                continue
            assert key == "request_id"
