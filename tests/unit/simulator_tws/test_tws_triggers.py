"""Stops, if-touched orders and orders for an auction: what they wait for, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tws_desk import Client, Tws, order, sequence


def place(
    client: Client, order_id: int, kind: str, aux: str = "", price: str = "", **words: Any
) -> list[list[str]]:
    """Place an order that has an auxPrice."""
    fields = order(
        order_id, words.pop("action", "BUY"), words.pop("qty", "10"), price or "1", kind=kind, **words
    )
    fields[19], fields[20] = price, aux
    return client.ask(*fields)


@pytest.mark.parametrize(
    ("kind", "action", "aux", "not_yet", "reached"),
    [
        ("STP", "BUY", "105", "104.99", "105"),
        ("STP", "SELL", "95", "95.01", "94"),
        ("MIT", "BUY", "95", "95.01", "95"),
        ("MIT", "SELL", "105", "104.99", "106"),
    ],
)
def test_it_waits_for_its_price_and_is_then_a_market_order(
    kind: str, action: str, aux: str, not_yet: str, reached: str
) -> None:
    tws = Tws(may_short=True)
    client = tws.client()
    assert sequence(place(client, 1, kind, aux, action=action)) == ["open", "status PreSubmitted"]
    assert client.of(3)[-1][10] == "trigger"  # whyHeld
    assert [client.of(5)[-1][at] for at in (15, 17)] == [kind, aux]
    tws.do("price", symbol="AAPL", price=not_yet)
    tws.wait(1)
    assert client.of(11) == []
    tws.do("price", symbol="AAPL", price=reached)
    tws.wait(1)
    assert client.states[-1] == ("1", "Filled", "10", "0")


@pytest.mark.parametrize(("kind", "aux", "limit"), [("STP LMT", "105", "105.50"), ("LIT", "95", "95.50")])
def test_with_a_limit_it_rests_at_it_once_its_price_has_come(kind: str, aux: str, limit: str) -> None:
    tws = Tws()
    client = tws.client()
    place(client, 1, kind, aux, limit)
    tws.do("halt", symbol="AAPL")
    tws.do("price", symbol="AAPL", price=aux)
    tws.wait(1)
    tws.do("price", symbol="AAPL", price="110")
    tws.do("resume", symbol="AAPL")
    assert client.states[-1][1:3] == ("Submitted", "0")
    tws.do("price", symbol="AAPL", price="90")
    assert client.states[-1] == ("1", "Filled", "10", "0")


def test_a_bracket_is_a_stop_and_a_limit_behind_their_parent() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "99", transmit=False)
    client.place(2, "SELL", "10", "110", transmit=False, parent=1)
    place(client, 3, "STP", "90", action="SELL", parent=1)
    assert [(one.order_id, one.held) for one in tws.door.live()] == [(1, ""), (2, "child"), (3, "child")]
    tws.do("price", symbol="AAPL", price="98")
    tws.wait(1)
    assert [(one.order_id, one.held) for one in tws.door.live()] == [(2, ""), (3, "trigger")]
    tws.do("price", symbol="AAPL", price="89")
    tws.wait(1)
    assert tws.door.live() == []
    assert {state[:2] for state in client.states} >= {("1", "Filled"), ("3", "Filled"), ("2", "Cancelled")}


def test_a_stop_may_be_changed_and_cancelled_while_it_waits() -> None:
    tws = Tws()
    client = tws.client()
    place(client, 1, "STP", "105")
    place(client, 1, "STP", "103", qty="5")
    tws.do("price", symbol="AAPL", price="103")
    tws.wait(1)
    assert client.states[-1] == ("1", "Filled", "5", "0")
    place(client, 2, "STP", "105")
    client.cancel(2)
    tws.do("price", symbol="AAPL", price="106")
    tws.wait(1)
    assert client.states[-1][:2] == ("2", "Cancelled")


def test_the_closing_auction_fills_at_market_or_within_the_limit_or_not_at_all() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", kind="MOC")
    client.place(2, "BUY", "10", "101", kind="LOC")
    client.place(3, "BUY", "10", "90", kind="LOC")
    place(client, 4, "STP", "105")
    assert {one.held for one in tws.door.live()} == {"closing auction", "trigger"}
    tws.do("close")
    ends = {state[0]: state[1] for state in client.states}
    assert ends == {"1": "Filled", "2": "Filled", "3": "Cancelled", "4": "Cancelled"}
    client.place(5, "BUY", "10", kind="MOC")  # for tomorrow's
    place(client, 6, "STP", "90", tif="GTC")
    tws.do("reopen")
    assert client.states[-1][:2] != ("5", "Filled")
    tws.do("close")
    assert {state[0]: state[1] for state in client.states}["5"] == "Filled"


def test_the_opening_auction_is_the_next_one() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", tif="OPG")
    client.place(2, "BUY", "10", "90", tif="OPG")
    tws.wait(1)
    assert {one.held for one in tws.door.live()} == {"opening auction"}
    tws.do("close")
    assert len(tws.door.live()) == 2
    tws.do("reopen")
    assert {state[0]: state[1] for state in client.states} == {"1": "Filled", "2": "Cancelled"}


@pytest.mark.parametrize(
    ("kind", "aux", "price", "tif", "code"),
    [
        ("STP", "", "", "DAY", 321), ("STP", "-1", "", "DAY", 321), ("STP", "100.001", "", "DAY", 110),
        ("STP LMT", "100", "", "DAY", 321), ("STP", "100", "", "IOC", 391), ("MOC", "", "", "GTC", 391),
        ("LOC", "", "", "DAY", 321), ("MOC", "", "", "OPG", 391), ("TRAIL", "1", "", "DAY", 387),
    ],
)  # fmt: skip
def test_what_cannot_wait_is_refused(kind: str, aux: str, price: str, tif: str, code: int) -> None:
    tws = Tws()
    client = tws.client()
    place(client, 1, kind, aux, price, tif=tif)
    assert client.errors == [(1, code)]
    assert tws.door.live() == []


def test_a_restart_finds_what_waits_and_what_had_come(tmp_path: Path) -> None:
    tws = Tws(tmp_path)
    client = tws.client()
    place(client, 1, "STP", "105")
    place(client, 2, "STP", "120")
    tws.do("price", symbol="AAPL", price="106")
    tws.wait(1)
    tws.journal.close()
    again = Tws(tmp_path)
    assert [(one.order_id, one.held, one.status) for one in again.door.house.tickets] == [
        (1, "", "Filled"), (2, "trigger", "PreSubmitted"),
    ]  # fmt: skip
    later = again.client()
    again.do("price", symbol="AAPL", price="121")
    again.wait(1)
    assert later.states[-1][:2] == ("2", "Filled")
