"""The door to the library: raw messages are read exactly, and what cannot be read is handed over."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr import said
from adapters.ibkr.library import ConnectFailed, Tws
from gateway.domain.order import Side

CONTRACT = ["265598", "AAPL", "STK", "", "0", "?", "", "SMART", "USD", "AAPL", "NMS"]
EXECUTION = [
    "11", "-1", "101", *CONTRACT, "0001.aa.01", "20260302 10:00:00 Central European Standard Time", "DU1",
    "ISLAND", "BOT", "100", "187.23", "9001", "11", "0", "100", "187.23", "REF", "", "1", "", "1", "0",
]  # fmt: skip


def hear(*messages: list[str]) -> list[said.Said]:
    heard: list[said.Said] = []
    tws = Tws(heard.append)
    tws._client.decoder.serverVersion = 178
    logging.getLogger("ib_async.Decoder").setLevel(logging.CRITICAL)
    for fields in messages:
        tws._client.decoder.interpret(fields)
    return heard


def test_an_execution_is_read_to_the_last_digit_whatever_its_time_zone() -> None:
    (one,) = hear(EXECUTION)
    assert isinstance(one, said.ExecutionSaid)
    assert (one.qty, one.px, one.perm_id, one.client_id) == (Decimal(100), Decimal("187.23"), 9001, 11)
    assert (one.ref, one.exec_id, one.side, one.at) == ("REF", "0001.aa.01", Side.BUY, None)
    assert (one.req_id, one.order_id, one.account, one.con_id) == (-1, 101, "DU1", 265598)


def test_status_error_commission_and_position_are_read_from_their_fields() -> None:
    status = [
        "3",
        "101",
        "Submitted",
        "40.5",
        "59.5",
        "1.7976931348623157E308",
        "9001",
        "0",
        "0",
        "11",
        "",
        "0",
    ]
    error = ["4", "2", "101", "201", "Order rejected", ""]
    fee = ["59", "1", "0001.aa.01", "0.3500123", "USD", "1.7976931348623157E308", "0", ""]
    position = ["61", "3", "DU1", *CONTRACT, "-12.5", "187.2"]
    found = hear(status, error, fee, position)
    assert found == [
        said.StatusSaid(101, "Submitted", Decimal("40.5"), None, 9001, 11, ""),
        said.ErrorSaid(101, 201, "Order rejected", ""),
        said.CommissionSaid("0001.aa.01", Decimal("0.3500123"), "USD"),
        said.PositionSaid("DU1", 265598, "AAPL", "USD", Decimal("-12.5"), "STK"),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        ["3", "101", "Filled"], ["3", "x", "Filled", "1", "0", "1", "1", "0", "0", "1", "", "0"], ["4", "2"],
        ["11", "-1"], [*EXECUTION[:14], "", *EXECUTION[15:]], [*EXECUTION[:19], "NaN", *EXECUTION[20:]],
        ["59", "1", "x", "much", "USD", "", "", ""], ["61", "3", "DU1"], ["5", "1", "2"], ["101", "1"],
        ["10", "1"],
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_handed_over(fields: list[str]) -> None:
    (one,) = hear(fields)
    assert isinstance(one, said.Garbled)
    assert one.fields == tuple(fields)
    assert one.reason


@given(
    st.sampled_from(["3", "4", "5", "10", "11", "59", "61", "93", "101"]),
    st.lists(st.one_of(st.text(max_size=6), st.integers().map(str), st.sampled_from(EXECUTION)), max_size=40),
)
def test_nothing_that_comes_raises(number: str, fields: list[str]) -> None:
    assert len(hear([number, *fields])) <= 2


def test_a_message_nobody_knows_is_said_to_be_strange() -> None:
    assert hear(["9999", "1"], []) == [said.Strange(9999)]


async def test_a_port_nobody_listens_on_is_a_reason() -> None:
    with pytest.raises(ConnectFailed):
        await Tws(lambda _message: None).connect("127.0.0.1", 1, 1, 1.0)
