from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from simulator.accounts import SettingError
from simulator.tws.contracts import con_id_of, read_catalogue
from simulator.tws.placing import Asked

SYMBOLS = ["AAPL", "BRK.B", "SAP"]


def test_a_file_describes_some_and_the_rest_are_plain_stocks(tmp_path: Path) -> None:
    path = tmp_path / "contracts.toml"
    path.write_text(
        '[SAP]\ncon_id = 14204\ncurrency = "EUR"\nprimary_exchange = "IBIS"\nsize_increment = "0.0001"\n'
        'min_size = "0.0001"\nlong_name = "SAP SE"\n[SAP.steps]\n"0" = "0.005"\n"50" = "0.01"\n'
    )
    catalogue = read_catalogue(SYMBOLS, path)
    (sap,) = catalogue.find(Asked(symbol="SAP", currency="EUR", exchange="IBIS"))
    assert (sap.con_id, sap.rule_id, sap.min_tick, sap.size_increment) == (
        14204,
        27,
        Decimal("0.005"),
        Decimal("0.0001"),
    )
    assert (sap.step_at(Decimal(49)), sap.step_at(Decimal(50))) == (Decimal("0.005"), Decimal("0.01"))
    assert sap.trading_class == "SAP"
    assert catalogue.find(Asked(symbol="SAP", currency="USD")) == []
    assert catalogue.find(Asked(symbol="SAP", exchange="NYSE")) == []
    assert len(catalogue.find(Asked(symbol="AAPL", exchange="SMART", primary_exchange="NYSE"))) == 1
    assert catalogue.find(Asked(con_id=14204)) == [sap]
    (brk,) = catalogue.find(Asked(symbol="BRK B"))
    assert (brk.listed, brk.con_id, brk.rule_id) == ("BRK.B", con_id_of("BRK.B"), 26)
    assert catalogue.rule(27) == sap.steps
    assert catalogue.rule(1) is None


def test_two_that_fit_are_both_found(tmp_path: Path) -> None:
    path = tmp_path / "contracts.json"
    path.write_text('{"SAP": {"symbol": "AAPL", "currency": "EUR"}}')
    catalogue = read_catalogue(SYMBOLS, path)
    assert len(catalogue.find(Asked(symbol="AAPL"))) == 2
    assert len(catalogue.find(Asked(symbol="AAPL", currency="EUR"))) == 1


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("c.json", None, "cannot be read"),
        ("c.json", "{", "neither JSON nor TOML"),
        ("c.toml", "= 1", "neither JSON nor TOML"),
        ("c.json", "[]", "write"),
        ("c.json", '{"AAPL": 1}', "write"),
        ("c.json", '{"NOPE": {}}', "NOPE does not stand in --prices"),
        ("c.json", '{"AAPL": {"colour": 1}}', "colour is not understood"),
        ("c.json", '{"AAPL": {"min_size": "-1"}}', "not negative"),
        ("c.json", '{"AAPL": {"min_size": "x"}}', "not negative"),
        ("c.json", '{"AAPL": {"con_id": "x"}}', "con_id"),
        ("c.json", '{"AAPL": {"size_increment": "0"}}', "above 0"),
        ("c.json", '{"AAPL": {"steps": {"1": "0.01"}}}', 'must begin at "0"'),
        ("c.json", '{"AAPL": {"steps": {"0": "0"}}}', 'must begin at "0"'),
        ("c.json", '{"AAPL": {"steps": 1}}', "steps"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, name: str, text: str | None, why: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingError, match=why):
        read_catalogue(SYMBOLS, path)
