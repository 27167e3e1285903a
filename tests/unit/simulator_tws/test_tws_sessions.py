from __future__ import annotations

import pytest
from tws_desk import Client, Tws, contract, order, sequence

from simulator.tws.contracts import con_id_of
from simulator.tws.feeds import Supply


def test_a_start_is_answered_with_accounts_an_id_and_the_farms() -> None:
    client = Tws().client(3)
    assert client.said[:2] == [["15", "1", "DU1,DU2"], ["9", "1", "1"]]
    assert [one[3] for one in client.of(4)] == ["2104", "2106", "2158"]


def test_nothing_is_served_before_the_start_and_a_second_start_is_nothing() -> None:
    tws = Tws()
    client = tws.client(3)
    assert client.ask(71, 2, 4, "") == []
    assert list(tws.desk.sessions) == [3]
    late = tws.client(3)
    assert late.ask(61, 1) == []


def test_a_client_id_in_use_is_told_so_and_hung_up_on() -> None:
    tws = Tws()
    first, second = tws.client(1), tws.client(1)
    assert second.errors == [(-1, 326)]
    assert second.is_closed
    assert not first.is_closed
    tws.desk.leave(second.session)
    assert list(tws.desk.sessions) == [1]
    tws.desk.leave(first.session)
    assert tws.client(1).errors == []


def test_ids_are_a_clients_own_and_go_up() -> None:
    tws = Tws()
    one, two = tws.client(1), tws.client(2)
    one.place(40, "BUY", "1", "90")
    assert one.ask(8, 1, 1) == [["9", "1", "41"]]
    assert two.ask(8, 1, 1) == [["9", "1", "1"]]
    one.place(40, "BUY", "2", "90")
    one.cancel(40)
    one.place(40, "BUY", "1", "90")
    one.place(12, "BUY", "1", "90")
    assert one.errors == [(40, 202), (40, 103), (12, 103)]


def test_unknown_and_unreadable_messages_change_nothing() -> None:
    client = Tws().client()
    client.ask(999, 1)
    client.ask("x")
    client.ask(*order(1)[:-3])
    client.ask(4, 1, "three", "")
    client.ask(*order(2**31))
    assert [code for _, code in client.errors] == [320, 320, 320, 320, 320]
    assert [req_id for req_id, _ in client.errors] == [-1, -1, 1, -1, -1]  # the id where it can be read
    assert client.ask(8, 1, 1) == [["9", "1", "1"]]


def test_a_nul_in_a_text_is_a_field_too_many() -> None:
    client = Tws().client()
    fields = order(1, ref="a")
    at = fields.index("a")
    client.ask(*fields[:at], "a", "b", *fields[at + 1 :])
    assert [code for _, code in client.errors] == [320]
    assert client.of(5) == []


def test_contracts_are_found_by_symbol_id_and_local_symbol() -> None:
    client = Tws().client()
    for asked in (
        contract("AAPL"),
        contract("", con_id=str(con_id_of("AAPL"))),
        contract("", local="AAPL"),
        contract("AAPL", primary="NASDAQ", sec_type=""),
    ):
        client.said.clear()
        client.ask(9, 8, 5, *asked, 0, "", "", "")
        assert [one[2] for one in client.of(10)] == ["AAPL"]
        assert client.of(52) == [["52", "1", "5"]]
    for asked in (contract("NOPE"), contract("AAPL", currency="EUR"), contract("", con_id="5"), contract("")):
        client.said.clear()
        client.ask(9, 8, 6, *asked, 0, "", "", "")
        assert client.errors == [(6, 200)]
        assert client.of(52) == []
    client.said.clear()
    client.ask(9, 8, 7, *contract("BRK B"), 0, "", "", "")
    assert client.of(10)[0][2] == "BRK B"
    assert client.of(10)[0][26].startswith("20261127:0930-20261127:1600;20261128:CLOSED;")


def test_market_rules_and_the_time() -> None:
    client = Tws().client()
    assert client.ask(91, 26) == [["93", "26", "1", "0", "0.01"]]
    assert client.ask(91, 27) == [["93", "27", "2", "0", "0.0001", "1", "0.01"]]
    client.ask(91, 5)
    assert client.errors == [(-1, 321)]
    assert client.ask(49, 1) == [["49", "1", "1795791600"]]
    assert client.ask(17, 1) == [["15", "1", "DU1,DU2"]]


def test_account_updates_say_everything_then_follow_fills() -> None:
    tws = Tws()
    client = tws.client()
    said = client.ask(6, 2, 1, "DU1")
    values = {one[2]: one[3] for one in said if one[0] == "6"}
    assert (values["TotalCashValue"], values["NetLiquidation"], values["InitMarginReq"]) == (
        "100000.00", "102000.00", "1000.00",
    )  # fmt: skip
    assert [one[3] for one in said if one[0] == "7"] == ["MSFT"]
    assert said[-2:] == [["8", "1", "15:00"], ["54", "1", "DU1"]]
    client.said.clear()
    client.place(1, "BUY", "10")
    moved = client.of(7)[0]
    assert (moved[3], moved[13], moved[16], moved[18]) == ("AAPL", "10", "100.01", "0")
    tws.wait(1)
    assert "98998.90" in [one[3] for one in client.of(6) if one[2] == "TotalCashValue"]
    client.ask(6, 2, 0, "DU1")
    client.said.clear()
    client.place(2, "BUY", "10")
    assert client.of(7) == []


def test_positions_multi_values_and_summaries_follow_fills_too() -> None:
    tws = Tws()
    client = tws.client()
    assert sequence(client.ask(61, 1)) == ["61", "62"]
    said = client.ask(76, 1, 11, "DU1", "", 1)
    assert {one[0] for one in said} == {"73", "74"}
    said = client.ask(62, 1, 12, "All", "NetLiquidation,$LEDGER:ALL")
    assert {one[3] for one in said[:-1] if one[4] == "NetLiquidation"} == {"DU1", "DU2"}
    assert said[-1] == ["64", "1", "12"]
    client.said.clear()
    client.place(1, "SELL", "4", symbol="MSFT")
    client.place(2, "SELL", "1", symbol="MSFT")
    assert not client.of(73)
    tws.wait(1)
    assert len([one for one in client.of(73) if one[5] == "NetLiquidation"]) == 1
    assert [one[14] for one in client.of(61)] == ["6", "5"]
    assert client.of(73)
    assert client.of(63)
    for stop in ((64, 1), (77, 1, 11), (63, 1, 12)):
        client.ask(*stop)
    client.said.clear()
    client.place(3, "SELL", "4", symbol="MSFT")
    tws.wait(1)
    assert not [one for one in client.said if one[0] in ("61", "73", "63")]


def test_a_third_summary_is_refused_until_one_is_left() -> None:
    client = Tws().client()
    for req_id in (1, 2, 3):
        client.ask(62, 1, req_id, "All", "NetLiquidation")
    assert client.errors == [(3, 322)]
    client.ask(63, 1, 1)
    client.ask(62, 1, 3, "All", "NetLiquidation")
    assert [one[2] for one in client.of(64)] == ["1", "2", "3"]


def _quotes(
    client: Client, req_id: int, *, snapshot: bool, asked: list[str] | None = None
) -> list[list[str]]:
    return client.ask(1, 11, req_id, *(asked or contract()), 0, "", int(snapshot), 0, "")


def test_a_snapshot_says_bid_ask_and_last_once() -> None:
    tws = Tws()
    client = tws.client()
    said = _quotes(client, 9, snapshot=True)
    assert sequence(said) == ["81", "58", *["1"] * 6, "2", "57"]
    assert {one[3]: one[4] for one in said if one[0] == "1"} == {
        "1": "99.99",
        "2": "100.01",
        "4": "100",
        "6": "100",
        "7": "100",
        "9": "100",
    }
    client.said.clear()
    tws.do("price", symbol="AAPL", price="101")
    tws.wait(1)
    assert client.said == []
    _quotes(client, 10, snapshot=True, asked=contract("NOPE"))
    assert client.errors == [(10, 200)]


def test_a_stream_follows_the_market_until_it_is_stopped() -> None:
    tws = Tws()
    client = tws.client()
    _quotes(client, 9, snapshot=False)
    client.said.clear()
    tws.wait(1)
    assert client.said == []
    tws.do("price", symbol="AAPL", price="101")
    tws.wait(1)
    assert [one[4] for one in client.of(1)][:2] == ["100.98", "101.02"]
    client.ask(2, 2, 9)
    client.said.clear()
    tws.do("price", symbol="AAPL", price="102")
    tws.wait(1)
    assert client.said == []


@pytest.mark.parametrize(
    ("supply", "asks", "codes", "kinds"),
    [
        (Supply.LIVE, 1, [], {"1", "2", "4", "6", "7", "9"}),
        (Supply.LIVE, 3, [], {"1", "2", "4", "6", "7", "9"}),
        (Supply.DELAYED, 1, [354], set()),
        (Supply.DELAYED, 3, [10167], {"66", "67", "68", "72", "73", "75"}),
        (Supply.DELAYED, 4, [10167], {"66", "67", "68", "72", "73", "75"}),
        (Supply.NONE, 1, [354], set()),
        (Supply.NONE, 3, [10168], set()),
        (Supply.COMPETING, 1, [10197], set()),
    ],
)
def test_quotes_are_live_delayed_or_refused(
    supply: Supply, asks: int, codes: list[int], kinds: set[str]
) -> None:
    client = Tws(supply=supply).client()
    client.ask(59, 1, asks)
    _quotes(client, 9, snapshot=True)
    assert [code for _, code in client.errors] == codes
    assert {one[3] for one in client.of(1)} == kinds


def test_the_end_of_an_answer_may_be_missing_or_slow() -> None:
    tws = Tws()
    client = tws.client()
    tws.plan("missing_end", message=62)
    tws.plan("slow_end", message=53, seconds=2)
    client.ask(61, 1)
    client.ask(5, 1)
    assert client.of(62) == client.of(53) == []
    tws.wait(3)
    assert client.of(53) == [["53", "1"]]
    client.ask(61, 1)
    assert client.of(62) == [["62", "1"]]


def test_a_planned_clash_hits_the_next_start() -> None:
    tws = Tws()
    tws.plan("clash", client=5)
    assert tws.client(4).errors == []
    assert tws.client(5).errors == [(-1, 326)]
    assert tws.client(5).errors == []
