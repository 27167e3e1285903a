"""What no rebalancer asks: answered or refused under its own id, whatever it is, and the session goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tws_desk import UNSET_DOUBLE, Tws, contract, order

from simulator.tws.contracts import con_id_of
from simulator.tws.extras import DENIED, Extras
from simulator.tws.session import Session

EVERY = {*range(1, 26), *range(49, 60), *range(61, 105)}
"""Every message id clients up to version 178 can send; 60 was never used."""
ABOUT, AAPL = contract(), str(con_id_of("AAPL"))


def test_every_message_a_client_can_send_is_known() -> None:
    assert {*Session._SERVE, *Extras._SERVE, *DENIED} == EVERY


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ([10, 5, 7, *ABOUT, 5, 0, ""], 10092), ([11, 1, 7, 0], 310), ([18, 1, 1], 321),
        ([20, 7, *ABOUT, 0, "", "1 day", "1 W", 1, "TRADES", 1, 0, ""], 162), ([25, 1, 7], 366),
        ([21, 2, 7, *ABOUT], 321), ([23, 1, 7], 365), ([50, 3, 7, *ABOUT], 420),
        ([52, 2, 7, "0", "AAPL"], 430), ([54, 3, 7], 321), ([55, 3, 7], 321), ([65, 1, "x", "1"], 321),
        ([68, 1, 7, 1], 321), ([69, 1, 7, ""], 321), ([72, 1, "x", "1", ""], 321),
        ([84, 7, "a", "b", ""], 10172),
        ([87, 7, *ABOUT, 0, 1, "TRADES", 1], 162), ([88, 7, *ABOUT, 0, 1, "1 week"], 162),
        ([96, 7, *ABOUT, 0], 10187), ([97, 7, *ABOUT, "Last", 0, 0], 10189), ([98, 7], 300),
        ([100, 7], 10276),
        ([102, 7, "1"], 10276), ([92, 7, "DU9", ""], 321), ([94, 7, "DU1", "", 5], 200),
        ([74, 1, 7, "DU9", ""], 321),
    ],
)  # fmt: skip
def test_what_is_not_served_is_refused_under_its_own_id(asked: list[object], code: int) -> None:
    client = Tws().client()
    client.ask(*asked)
    has_id = asked[0] not in (18, 65, 72)
    assert client.errors == [(7 if has_id else -1, code)]
    assert client.ask(49, 1)[0][0] == "49"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ([24, 1], ["19", "1", "<ScanParameterResponse></ScanParameterResponse>"]),
        ([67, 1, 7], ["67", "1", "7", ""]),
        ([78, 7, "AAPL", "", "STK", 1], ["76", "7"]), ([79, 7], ["77", "7", "0"]),
        ([80], ["78", "2", "DU1", "", "DU2", ""]), ([82], ["80", "0"]), ([83, 7, "9c"], ["82", "7", "0"]),
        ([85], ["85", "0"]), ([86, 7, 1, "", "", "", 1, ""], ["87", "7", "0"]), ([104, 7], ["107", "7", ""]),
        ([81, 7, "aap"], ["79", "7", "1", AAPL, "AAPL", "STK", "NASDAQ", "USD", "0", "AAPL INC", ""]),
        ([81, 7, ""], ["79", "7", "0"]),
    ],
)  # fmt: skip
def test_what_is_empty_here_is_said_to_be_so(asked: list[object], answer: list[str]) -> None:
    client = Tws().client()
    assert client.ask(*asked) == [answer]


@pytest.mark.parametrize("message", [12, 13, 14, 51, 53, 56, 57, 66, 70, 73, 89, 90, 101, 103])
def test_what_tws_takes_without_a_word_it_takes_here(message: int) -> None:
    assert Tws().client().ask(message, 1, 7) == []


def test_gains_follow_the_market_until_they_are_left() -> None:
    tws = Tws()
    client = tws.client()
    assert client.ask(92, 3, "DU1", "") == [["94", "3", "0.00", "0.00", "0.00"]]
    msft = con_id_of("MSFT")
    assert client.ask(94, 4, "DU1", "", msft) == [["95", "4", "10", "0", "0", "0", "2000"]]
    client.said.clear()
    tws.do("price", symbol="MSFT", price="210")
    tws.wait(0.2)
    assert client.said == [
        ["94", "3", "100.00", "100.00", "0.00"],
        ["95", "4", "10", "100", "100", "0", "2100"],
    ]
    client.said.clear()
    client.place(9, "SELL", "10", symbol="MSFT")
    tws.wait(1)
    gain = [one for one in client.said if one[0] == "95"][-1]
    assert gain[2:] == ["0", "98.70", "0", "98.70", "0"]
    client.ask(93, 3)
    client.ask(95, 4)
    client.said.clear()
    tws.do("price", symbol="MSFT", price="215")
    tws.wait(1)
    assert [one for one in client.said if one[0] in ("94", "95")] == []


def test_positions_of_one_account_follow_its_fills_until_they_are_left() -> None:
    tws = Tws()
    client = tws.client()
    said = client.ask(74, 1, 5, "DU1", "")
    assert [one[0] for one in said] == ["71", "72"]
    assert [said[0][at] for at in (2, 3, 5, 15)] == ["5", "DU1", "MSFT", "10"]
    client.ask(74, 1, 6, "", "")
    client.said.clear()
    client.place(1, "BUY", "3", account="DU2")
    assert [(one[2], one[3], one[15]) for one in client.of(71)] == [("6", "DU2", "3")]
    client.ask(75, 1, 6)
    client.said.clear()
    client.place(2, "BUY", "3", account="DU2")
    assert client.of(71) == []


def test_a_mark_price_is_a_generic_tick_and_volume_is_what_traded() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "7")
    client.said.clear()
    client.ask(1, 11, 9, *ABOUT, "0", "100,221", "0", "0", "")
    assert {one[3]: one[4] for one in client.of(1)}["37"] == "100"
    assert client.of(2) == [["2", "6", "9", "8", "7"]]
    tws.do("price", symbol="AAPL", price="110")
    client.said.clear()
    client.ask(1, 11, 10, *ABOUT, "0", "", "1", "0", "")
    ticks = {one[3]: one[4] for one in client.of(1)}
    assert (ticks["6"], ticks["7"], ticks["9"]) == ("110", "100", "100")
    assert "37" not in ticks


def test_a_what_if_may_first_say_nothing_or_stay_without_an_answer() -> None:
    tws = Tws()
    client = tws.client()
    tws.plan("what_if_unset")
    first, second = client.place(1, "BUY", "10", "99", what_if=True)
    assert len(first) == len(second)
    assert (first.count(UNSET_DOUBLE), second.count(UNSET_DOUBLE)) == (17, 7)
    tws.plan("what_if_lost")
    assert client.place(1, "BUY", "10", "99", what_if=True) == []


fields = st.lists(st.one_of(st.just(""), st.integers(-3, 10**10).map(str), st.text(max_size=6)), max_size=20)


@given(st.sampled_from(sorted(EVERY - {71})), fields)
def test_whatever_a_message_holds_it_is_answered_or_refused_and_the_session_goes_on(
    message: int, said: list[str]
) -> None:
    client = Tws().client()
    client.ask(message, *said)
    assert not client.is_closed
    assert client.ask(49, 1)[-1][0] == "49"
    assert client.place(77, "BUY", "1", "90")


def test_an_order_that_cannot_be_read_is_named() -> None:
    client = Tws().client()
    client.ask(*order(5)[:-3])
    assert client.errors == [(5, 320)]
