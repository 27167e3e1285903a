from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tws_desk import Client, Tws, contract, order

WORDS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "-1", "2147483647", "1.5", "1e400", "nan", "Infinite", "AAPL", "DU1", "All", "BAG"]
    ),
    st.text(max_size=4),
)
MESSAGES = st.sampled_from(
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 49, 58, 59, 61, 62, 63, 64, 71, 76, 77, 91, 99, 500]
)


def _is_served(client: Client) -> bool:
    return client.ask(49, 1)[0][0] == "49"


@given(
    st.lists(st.tuples(MESSAGES, st.lists(WORDS, max_size=20)), max_size=15), st.sampled_from([157, 166, 178])
)
def test_whatever_a_client_says_it_is_answered_or_refused_and_served_on(
    said: list[tuple[int, list[str]]], version: int
) -> None:
    client = Tws().client(1, version)
    for message, words in said:
        client.ask(message, *words)
        assert all(len(one) >= 1 for one in client.said)
    assert _is_served(client)


@given(st.data())
def test_an_order_with_some_fields_replaced_is_booked_or_refused_never_half(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from([157, 162, 170, 178]))
    tws = Tws()
    client = tws.client(1, version)
    fields = order(1, price="90", version=version)
    for at in data.draw(st.lists(st.integers(1, len(fields) - 1), max_size=3)):
        fields[at] = data.draw(WORDS)
    client.ask(*fields)
    booked = len(tws.door.house.tickets)
    assert booked or client.errors or client.of(5)
    assert len(tws.door.record()["orders"]) <= booked
    assert _is_served(client)


@pytest.mark.parametrize("about", [contract(con_id="x"), contract(con_id=str(2**40))])
def test_a_contract_that_cannot_be_read_is_320(about: list[str]) -> None:
    client = Tws().client()
    client.ask(9, 8, 1, *about, 0, "", "", "")
    assert [code for _, code in client.errors] == [320]
