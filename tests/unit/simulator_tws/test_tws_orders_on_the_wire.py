from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tws_desk import Tws, contract, order

from simulator.tws import answers
from simulator.tws.fields import Reader, Unreadable
from simulator.tws.placing import read_placed

VERSIONS = (157, 160, 162, 166, 170, 176, 177, 178)
SENT = {157: 110, 158: 111, 160: 112, 162: 113, 166: 114, 169: 115, 176: 115, 177: 114, 178: 114}


@pytest.mark.parametrize(("version", "count"), SENT.items())
def test_an_order_has_the_fields_the_real_clients_send(version: int, count: int) -> None:
    fields = order(
        5, "SELL", "2.5", "99.5", version=version, ref="r1", tif="GTC", oca="g", oca_type="1", parent=4
    )
    assert len(fields) == count
    placed = read_placed(fields, version)
    assert (placed.order_id, placed.action, placed.qty, placed.lmt_price) == (
        5,
        "SELL",
        Decimal("2.5"),
        Decimal("99.5"),
    )
    assert (placed.order_ref, placed.tif, placed.account, placed.oca_group) == ("r1", "GTC", "DU1", "g")
    assert (placed.oca_type, placed.parent_id, placed.transmit, placed.what_if) == (1, 4, True, False)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "change", [lambda f: [*f, ""], lambda f: f[:-1], lambda f: [*f[:17], "ten", *f[18:]]]
)
def test_an_order_with_a_field_too_many_too_few_or_wrong_is_unreadable(version: int, change: object) -> None:
    assert callable(change)
    with pytest.raises(Unreadable):
        read_placed(change(order(1, version=version)), version)


@given(st.integers(0, 113), st.text(st.characters(codec="ascii"), max_size=5))
def test_any_field_replaced_is_read_or_refused_never_a_crash(at: int, what: str) -> None:
    fields = order(1, price="10")
    fields[at] = what
    with contextlib.suppress(Unreadable):
        assert read_placed(fields, 178).contract is not None


def test_combos_algos_conditions_and_pegs_are_read_in_their_places() -> None:
    fields = order(1, about=contract("AAPL", sec_type="BAG"))
    combo = ["1", *["0"] * 8, "1", "2.5", "1", "tag", "value"]
    fields[35:35] = combo
    assert read_placed(fields, 178).contract.sec_type == "BAG"

    plain = order(1, price="10")
    neutral = plain.copy()
    neutral[64] = "MKT"
    neutral[66:66] = ["0"] * 8
    assert read_placed(neutral, 178).order_type == "LMT"
    scale = plain.copy()
    scale[72] = "0.5"
    scale[73:73] = ["0"] * 7
    assert read_placed(scale, 178).lmt_price == Decimal(10)
    algo = plain.copy()
    algo[82:83] = ["Twap", "1", "strategyType", "Marketable"]
    assert read_placed(algo, 178).algo_strategy == "Twap"
    hedge = plain.copy()
    hedge[76:77] = ["D", "0.5"]
    assert read_placed(hedge, 178).lmt_price == Decimal(10)
    about = plain.copy()
    about[81:82] = ["1", "0", "0", "0"]
    assert read_placed(about, 178).lmt_price == Decimal(10)
    bench = order(1, kind="PEG BENCH")
    bench[89:89] = ["0"] * 5
    assert read_placed(bench, 178).order_type == "PEG BENCH"
    best = [*order(1, kind="PEG BEST", about=contract(exchange="IBKRATS")), "", "100", "0.01"]
    assert read_placed(best, 178).order_type == "PEG BEST"
    assert read_placed(plain, 178).of("DU2").account == "DU2"
    timed = plain.copy()
    timed[89:90] = ["1", "3", "a", "1", "20261127 15:00:00", "0", "0"]
    assert not read_placed(timed, 178).what_if


COUNTS = {157: (128, 96), 160: (130, 96), 162: (131, 96), 166: (131, 96), 170: (136, 101), 176: (136, 101),
          177: (135, 100), 178: (135, 100)}  # fmt: skip


@pytest.mark.parametrize(("version", "counts"), COUNTS.items())
def test_every_message_has_the_measured_number_of_fields(version: int, counts: tuple[int, int]) -> None:
    tws = Tws()
    client = tws.client(1, version)
    client.place(1, "BUY", "10", ref="r")
    client.place(2, "BUY", "10", "90")
    client.cancel(2)
    client.ask(99, 0)
    client.ask(6, 2, 1, "DU1")
    client.ask(61, 1)
    client.ask(9, 8, 77, *contract(), 0, "", "", *([""] if version >= 176 else []))
    assert {len(one) for one in client.of(5)} == {counts[0]}
    assert {len(one) for one in client.of(101)} == {counts[1]}
    assert {len(one) for one in client.of(11)} == {32 if version >= 178 else 31}
    assert {len(one) for one in client.of(4)} == {6 if version >= 166 else 5}
    assert {len(one) for one in client.of(3)} == {12}
    assert {len(one) for one in client.of(59)} == {8}
    assert {len(one) for one in client.of(9)} == {len(one) for one in client.of(15)} == {3}
    assert {len(one) for one in client.of(7)} == {20}
    assert {len(one) for one in client.of(6)} == {6}
    assert {len(one) for one in client.of(61)} == {16}
    assert {len(one) for one in client.of(10)} == {39 if version < 164 else 40}
    assert client.of(102) == [["102"]]
    assert client.of(52) == [["52", "1", "77"]]


def test_at_163_contract_details_have_one_size() -> None:
    tws = Tws()
    client = tws.client(1, 163)
    client.ask(9, 8, 77, *contract(), 0, "", "")
    assert len(client.of(10)[0]) == 40
    assert client.of(10)[0][-1] == "1"
    assert client.of(10)[0][1] == "8"


def test_numbers_that_are_no_numbers_are_unreadable_and_unset_ones_nothing() -> None:
    assert Reader(["1.7976931348623157E308"]).decimal() is None
    assert Reader(["Infinite"]).decimal() is None
    assert Reader([""]).integer(5) == 5
    for said in ("nan", "1e999999999999", "1e-40", "x"):
        with pytest.raises(Unreadable):
            Reader([said]).decimal()
    with pytest.raises(Unreadable):
        Reader(["2147483648"]).integer()
    with pytest.raises(Unreadable):
        Reader(["-1"]).count()
    with pytest.raises(Unreadable):
        Reader(["a"]).skip(2)


def test_the_recorded_defaults_of_a_gateway_are_there() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    said = client.of(5)[-1]
    assert said[7] == "?"
    assert said[17] == "0.0"
    assert "None" in said
    assert said.count(answers.UNSET_DOUBLE) >= 12
