"""The venue's own books: accounts files and tariffs."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from venue_hand import CASH, T0, a_venue, buy, sell

from simulator import accounts as accounts_module
from simulator.accounts import Accounts, SettingError, Tariff, read_accounts
from simulator.orders import OrdStatus
from simulator.record import record

D = Decimal


def test_accounts_are_read_from_json_and_toml(tmp_path: Path) -> None:
    json_file, toml_file = tmp_path / "a.json", tmp_path / "a.toml"
    json_file.write_text('{"main": {"cash": "10.50", "positions": {"A": "3"}}, "b": {"cash": 0.1}}')
    toml_file.write_text('[main]\ncash = "10.50"\n[main.positions]\nA = 3\n')
    for path in (json_file, toml_file):
        main = read_accounts(path).find("main")
        assert main is not None
        assert (main.cash, main.positions) == (D("10.50"), {"A": 3})
        assert (main.opening_cash, main.opening_positions) == (D("10.50"), {"A": 3})
    assert [one.name for one in read_accounts(json_file).every()] == ["b", "main"]
    assert read_accounts(json_file).every()[0].cash == D("0.1")
    assert read_accounts(json_file).find("nobody") is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "neither JSON nor TOML"),
        ("[]", "write"),
        ('{"a": 1}', "write"),
        ('{"a": {"money": 1}}', "a.money is not understood"),
        ('{"a": {"positions": 1}}', "a.positions is not understood"),
        ('{"a": {"cash": "x"}}', "a.cash is 'x'"),
        ('{"a": {"cash": true}}', "a.cash is True"),
        ('{"a": {"cash": NaN}}', "a.cash is nan"),
        ('{"a": {"positions": {"A": "Infinity"}}}', "a.A is 'Infinity'"),
    ],
)
def test_accounts_that_cannot_be_used_name_the_entry(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(SettingError, match=wrong):
        read_accounts(path)


def test_an_accounts_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        read_accounts(tmp_path / "none.json")


def test_an_open_house_makes_accounts_up_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "MAX_ACCOUNTS", 1)
    house = Accounts()
    assert house.find("a") is house.find("a")
    assert house.find("b") is None


def test_tariffs() -> None:
    assert Tariff().is_free
    assert Tariff(D("0.005"), D(1)).owed(D(100), D(5000)) == D("1.00")
    assert Tariff(D("0.005"), D(1)).owed(D(1000), D(5000)) == D("5.00")
    assert Tariff(bps=D(5)).owed(D(1), D("1010.10")) == D("0.51")


def test_the_record_is_the_venues_own() -> None:
    venue = a_venue(tariff=Tariff(bps=D(10)))
    venue.submit(buy("1", "10"), T0)
    venue.submit(sell("2", "10", "200"), T0)
    found = record(venue)
    first, second = found["orders"]
    assert (first["cl_ord_id"], first["status"], first["cum_qty"]) == ("1", "filled", "10")
    assert first["fills"][0]["commission"] == "1.00"
    assert (second["status"], second["price"], second["leaves_qty"]) == ("new", "200", "10")
    assert D(found["accounts"]["main"]["cash"]) == CASH - 1001
    assert found["accounts"]["main"]["positions"] == {"AAPL": "110"}
    assert (found["duplicates"], found["resends"]) == (0, 0)
    assert venue.orders[0].ord_status is OrdStatus.FILLED
