"""Prices over FIX, read from text: what is a quote, what is none, what a request says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venues import full, tags

from adapters.fix import encoder
from adapters.fix.dialects import speak
from adapters.fix.dialects.market_data import Quote, Refusal, read

PLAIN = speak("plain", {})
D = Decimal


def snapshot(*entries: str, symbol: str = "55=EUR/USD|") -> str:
    body = f"35=W|34=2|{symbol}262=1|268={len(entries)}|" + "".join(f"{one}|" for one in entries)
    return f"8=FIX.4.4|9=0|{body}10=000|".replace("|", "\x01")


@pytest.mark.parametrize(
    ("raw", "quote"),
    [
        (
            snapshot("269=0|270=1.10|271=5", "269=1|270=1.12|273=10:00:00"),
            Quote("EUR/USD", D("1.10"), D("1.12")),
        ),
        (snapshot("269=1|270=1.12", "269=0|270=1.10"), Quote("EUR/USD", D("1.10"), D("1.12"))),
        (snapshot("269=0|270=1.10"), Quote("EUR/USD", D("1.10"), None)),
        (snapshot("269=0|270=0", "269=1|270=1e3"), Quote("EUR/USD", None, None)),
        (snapshot("269=2|270=1.11"), Quote("EUR/USD", None, None)),
        (snapshot("269=0|270=1", symbol=""), None),
        ("8=FIX.4.4\x0135=0\x0110=000\x01", None),
        ("35=Y\x01262=7\x01281=0\x01", Refusal("7", "reason 0")),
        ("35=Y\x01262=7\x0158=no such pair\x01281=0\x01", Refusal("7", "no such pair")),
    ],
)
def test_a_message_is_read(raw: str, quote: Quote | Refusal | None) -> None:
    assert read(raw, PLAIN) == quote


def test_our_own_name_of_the_symbol_comes_back() -> None:
    venue = speak("saxo", {"client_id": "C", "symbols": {"EURUSD": "EUR/USD"}})
    found = read(snapshot("269=0|270=1.1"), venue)
    assert isinstance(found, Quote)
    assert found.symbol == "EURUSD"
    raw = encoder.market_data_request("EURUSD", "3", venue)
    assert "|146=1|55=EUR/USD|167=FOR|10=" in raw.replace("\x01", "|")
    assert 167 not in tags(encoder.market_data_request("EUR/USD", "3", full("dukascopy")))


def test_a_missing_side_stays_as_it_was() -> None:
    first = Quote("A", D(10), D(12))
    assert Quote("A", D(11), None).over(first) == Quote("A", D(11), D(12))
    assert Quote("A", None, D(13)).over(first).mid == D("11.5")
    assert Quote("A", D(11), None).over(None).mid is None
    assert Quote("A", D(13), D(12)).mid is None, "a crossed quote is no price"


@given(st.text(alphabet="0123456789.=-|ABWY:/ \x01", max_size=80))
def test_nothing_that_comes_raises(text: str) -> None:
    for head in ("35=W\x0155=A\x01", "35=Y\x01"):
        found = read(head + text.replace("|", "\x01"), PLAIN)
        if isinstance(found, Quote):
            assert all(side is None or side > 0 for side in (found.bid, found.ask))
