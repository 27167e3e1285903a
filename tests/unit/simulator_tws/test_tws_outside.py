"""What clients nobody here wrote tripped over: questions in their words, answers as they read them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tws_desk import Client, Tws, contract, order

from simulator.tws.contracts import con_id_of
from simulator.tws.feeds import Supply

AAPL = con_id_of("AAPL")
SUMMARY = (
    "AccountType,NetLiquidation,TotalCashValue,SettledCash,AccruedCash,BuyingPower,EquityWithLoanValue,"
    "PreviousEquityWithLoanValue,GrossPositionValue,RegTEquity,RegTMargin,SMA,InitMarginReq,MaintMarginReq,"
    "AvailableFunds,ExcessLiquidity,Cushion,FullInitMarginReq,FullMaintMarginReq,FullAvailableFunds,"
    "FullExcessLiquidity,LookAheadNextChange,LookAheadInitMarginReq,LookAheadMaintMarginReq,"
    "LookAheadAvailableFunds,LookAheadExcessLiquidity,HighestSeverity,DayTradesRemaining,Leverage"
)


@pytest.mark.parametrize(("version", "each"), [(157, 6), (175, 6), (176, 8), (178, 8)])
def test_what_is_found_has_a_description_from_176_on_only(version: int, each: int) -> None:
    (said,) = Tws().client(1, version).ask(81, 7, "A")
    assert said[:3] == ["79", "7", "1"]
    assert len(said) == 3 + each


@pytest.mark.parametrize(("pattern", "found"), [("brk b i", "1"), ("AAPL INC", "1"), ("INC", "0"), ("", "0")])
def test_what_is_sought_is_the_beginning_of_a_symbol_or_a_name(pattern: str, found: str) -> None:
    assert Tws().client().ask(81, 7, pattern)[0][2] == found


def test_a_quantity_with_a_point_comes_back_as_the_whole_number_it_is() -> None:
    tws = Tws()
    client = tws.client(1, 157)
    client.place(1, "BUY", "10.0", ref="r")
    assert {one[14] for one in client.of(5)} == {"10"}
    assert client.of(11)[0][19] == "10"
    assert [client.of(3)[-1][at] for at in (3, 4)] == ["10", "0"]
    assert tws.door.record()["orders"][0]["qty"] == "10"


@pytest.mark.parametrize(("version", "shown"), [(157, "1"), (162, "1"), (163, "1.5"), (178, "1.5")])
def test_before_163_a_position_among_gains_is_a_whole_number(version: int, shown: str) -> None:
    tws = Tws()
    client = tws.client(1, version)
    tws.door.books.account("DU2").positions["AAPL"] = Decimal("1.5")
    assert client.ask(94, 7, "DU2", "", AAPL)[0][2] == shown


def _codes(said: list[list[str]]) -> list[tuple[str, str]]:
    return [(one[2], one[3]) for one in said if one[0] == "4"]


@pytest.mark.parametrize("asked", [[6, 2, 1, "DU9"], [76, 1, 7, "DU9", "", 0], [62, 1, 7, "Friends", "SMA"]])
def test_an_account_nobody_has_is_refused_not_answered_with_anothers(asked: list[object]) -> None:
    tws = Tws()
    client = tws.client()
    said = client.ask(*asked)
    assert [code for _, code in _codes(said)] == ["321"]
    assert len(said) == 1
    client.place(1, "BUY", "1")
    tws.wait(1)
    assert not [one for one in client.said if one[0] in ("6", "63", "73")]


def test_all_and_nobody_mean_every_account_and_updates_of_nobody_the_first() -> None:
    client = Tws().client()
    for message, at, end in ((74, 3, "72"), (76, 3, "74")):
        for name in ("", "All"):
            said = client.ask(message, 1, 7, name, "", 1)
            assert said[-1][0] == end
            assert {one[at] for one in said[:-1]} == ({"DU1"} if message == 74 else {"DU1", "DU2"})
    assert client.ask(6, 2, 1, "")[-1] == ["54", "1", "DU1"]


def test_positions_of_all_follow_every_fill() -> None:
    client = Tws().client()
    client.ask(74, 1, 7, "All", "")
    client.place(1, "BUY", "3", account="DU2")
    assert [(one[2], one[3], one[15]) for one in client.of(71)][-1] == ("7", "DU2", "3")


def test_a_summary_has_every_tag_clients_know_once_for_each_account() -> None:
    client = Tws().client()
    said = client.ask(62, 1, 7, "All", SUMMARY)
    for name in ("DU1", "DU2"):
        assert sorted(one[4] for one in said[:-1] if one[3] == name) == sorted(SUMMARY.split(","))
    values = {one[4]: one[5] for one in said[:-1] if one[3] == "DU1"}
    assert (values["Cushion"], values["Leverage"], values["FullAvailableFunds"]) == (
        "1.00",
        "0.02",
        "101000.00",
    )
    assert {one[3] for one in client.ask(62, 1, 8, "DU2", "SMA")[:-1]} == {"DU2"}


@pytest.mark.parametrize(
    ("tags", "currencies"),
    [
        ("$LEDGER", {"BASE"}),
        ("$LEDGER:USD", {"USD"}),
        ("$LEDGER:ALL", {"BASE", "USD"}),
        ("$LEDGER:EUR", set()),
    ],
)
def test_a_ledger_is_of_the_currency_asked_for(tags: str, currencies: set[str]) -> None:
    said = Tws().client().ask(62, 1, 7, "All", tags)
    assert {one[6] for one in said[:-1]} == currencies
    wanted = {"CashBalance", "NetLiquidationByCurrency", "UnrealizedPnL", "ExchangeRate"}
    assert not currencies or wanted <= {one[4] for one in said[:-1]}


def _quotes(client: Client, req_id: int, generic: str, snapshot: int, regulatory: int) -> list[list[str]]:
    return client.ask(1, 11, req_id, *contract(), 0, generic, snapshot, regulatory, "")


@pytest.mark.parametrize(
    ("supply", "asked", "said", "at_night"),
    [(Supply.LIVE, 1, "1", "1"), (Supply.LIVE, 2, "1", "2"), (Supply.LIVE, 3, "1", "1"),
     (Supply.LIVE, 4, "1", "2"), (Supply.DELAYED, 3, "3", "3"), (Supply.DELAYED, 4, "3", "4")],
)  # fmt: skip
def test_quotes_say_what_they_are_not_what_was_asked_for(
    supply: Supply, asked: int, said: str, at_night: str
) -> None:
    tws = Tws(supply=supply)
    client = tws.client()
    client.ask(59, 1, asked)
    assert [one[3] for one in _quotes(client, 7, "", 1, 0) if one[0] == "58"] == [said]
    tws.do("close")
    assert [one[3] for one in _quotes(client, 8, "", 1, 0) if one[0] == "58"] == [at_night]


def test_a_regulatory_snapshot_ends_and_one_with_generic_ticks_is_refused() -> None:
    client = Tws().client()
    assert _quotes(client, 7, "", 0, 1)[-1] == ["57", "1", "7"]
    assert _codes(_quotes(client, 8, "233", 1, 0)) == [("8", "321")]


def test_a_ticker_id_is_used_once_until_it_is_cancelled() -> None:
    client = Tws().client()
    _quotes(client, 7, "", 0, 0)
    assert _codes(_quotes(client, 7, "", 0, 0)) == [("7", "322")]
    assert client.ask(2, 2, 7) == []
    assert _codes(client.ask(2, 2, 7)) == [("7", "300")]
    assert _quotes(client, 7, "", 0, 0)


def test_a_scan_finds_nothing_in_words_and_figures_until_it_is_left() -> None:
    client = Tws().client()
    said = client.ask(22, 7, "10", "STK")
    assert (_codes(said), said[-1]) == ([("7", "165")], ["20", "3", "7", "0"])
    assert client.ask(23, 1, 7) == []
    assert _codes(client.ask(23, 1, 7)) == [("7", "365")]


@pytest.mark.parametrize("since", ["20200101 00:00:00", "20200101  00:00:00", "20200101-00:00:00"])
def test_executions_since_a_day_are_found_however_it_is_spaced(since: str) -> None:
    client = Tws().client()
    client.place(1, "BUY", "1")
    assert client.ask(7, 3, 5, 0, "", since, "", "", "", "")[0][:2] == ["11", "5"]


def _with(at: int, *what: str) -> list[str]:
    fields = order(1, price="90")
    fields[at : at + 1] = what
    return fields


UNSERVED = {
    "discretionaryAmt": _with(36, "0.10"), "goodAfterTime": _with(37, "20271231 10:00:00 US/Eastern"),
    "allOrNone": _with(49, "1"), "minQty": _with(50, "5"), "deltaNeutralOrderType": _with(64, "MKT"),
    "scaleInitLevelSize": _with(70, "5"), "scalePriceIncrement": _with(72, "0.5", *["0"] * 7),
    "hedgeType": _with(76, "D", "0.5"),
    "conditions": _with(89, "1", "3", "a", "1", "20271231 15:00:00", "0", "0"),
    "adjustedOrderType": _with(90, "STP"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSERVED)
def test_what_would_change_when_or_how_much_fills_is_refused_by_its_name(name: str) -> None:
    tws = Tws()
    client = tws.client()
    fields = UNSERVED[name]
    if name == "deltaNeutralOrderType":
        fields = [*fields[:66], *["0"] * 8, *fields[66:]]
    wanted = ["4", "2", "1", "10268", f"The '{name}' order attribute is not supported.", ""]
    assert client.ask(*fields) == [wanted]
    client.place(1, "BUY", "10", "90")
    client.said.clear()
    assert client.ask(*fields) == [wanted]
    assert [one.placed.unserved for one in tws.door.live()] == [""]


def test_what_changes_nothing_comes_back_as_it_was_written_to_clients_of_any_age() -> None:
    tws = Tws()
    clients = {version: tws.client(version, version) for version in (157, 178)}
    fields = order(1, price="90")
    for at, what in {29: "1", 30: "1", 32: "2", 34: "1", 39: "G", 47: "I", 48: "FIRM", 77: "1", 78: "C",
                     79: "Away", 80: "1", 86: "1", 87: "1", 98: "tier", 99: "v"}.items():  # fmt: skip
        fields[at] = what
    fields[82:83] = ["Twap", "1", "strategyType", "Marketable"]
    clients[178].ask(*fields)
    for version, client in clients.items():
        client.said.clear()
        client.ask(16, 1)
        (said,) = client.of(5)
        assert len(said) == {157: 131, 178: 138}[version]
        for word in ("G", "I", "FIRM", "C", "Away", "tier"):
            assert said.count(word) == 1, word
        at = said.index("Twap")
        assert said[at : at + 4] == ["Twap", "1", "strategyType", "Marketable"]
    assert clients[178].errors == []


def test_what_one_client_writes_as_a_flag_cannot_spoil_what_another_reads() -> None:
    client = Tws().client()
    fields = order(1, price="90")
    fields[34] = "true"
    client.ask(*fields)
    assert client.errors == [(1, 320)]


@pytest.mark.parametrize(("was", "now", "alive"), [("DAY", "GTC", True), ("GTC", "DAY", False)])
@pytest.mark.parametrize("kind", ["LMT", "STP"])
def test_a_day_order_made_to_last_lasts_and_the_other_way_round(
    was: str, now: str, kind: str, *, alive: bool
) -> None:
    tws = Tws()
    client = tws.client()
    for tif in (was, now):
        fields = order(1, price="90", kind=kind, tif=tif)
        fields[20] = "150"
        client.ask(*fields)
    assert client.of(5)[-1][18] == now
    tws.do("close")
    assert bool(tws.door.live()) is alive


@pytest.mark.parametrize("tif", ["IOC", "FOK", "OPG", "whenever"])
def test_no_change_makes_a_resting_order_one_that_does_not_rest(tif: str) -> None:
    client = Tws().client()
    client.place(1, "BUY", "10", "90")
    client.place(1, "BUY", "10", "90", tif=tif)
    assert client.errors == [(1, 105)]


def test_a_change_the_account_cannot_carry_is_201_and_the_order_lives_on_as_it_was() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    client.place(2, "SELL", "10", "300", symbol="MSFT")
    tws.do("fill", cl_ord_id="1:1", qty="4")
    client.place(1, "BUY", "100000", "90")
    client.place(2, "SELL", "11", "300", symbol="MSFT")
    assert client.errors == [(1, 201), (2, 201)]
    assert [(one.order.order_qty, one.status) for one in tws.door.live()] == [(10, "Submitted")] * 2
    client.place(1, "BUY", "5", "91", about=contract("AAPL", currency="", exchange=""))
    assert tws.door.live()[0].order.order_qty == 5


def test_the_next_order_id_fits_into_what_clients_read() -> None:
    client = Tws().client()
    client.place(2**31 - 1, "BUY", "1", "90")
    assert client.ask(8, 1, 1) == [["9", "1", str(2**31 - 1)]]
