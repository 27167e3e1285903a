"""A link in the configuration: its dialect, its venue's keys, and what is said when something is wrong."""

from __future__ import annotations

import json
import logging
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError
from venues import ROOT

from adapters.fix.dialects import DIALECTS
from gateway.cli.root import root
from gateway.config import GatewayConfig
from gateway.connections import LinkSection
from gateway.errors import ConfigError
from gateway.links import make_broker
from gateway.runtime.clock import SystemClock

EXAMPLES = sorted((ROOT / "config" / "fix").glob("*.toml"))


def link(dialect: str, **changes: Any) -> LinkSection:
    given = {"dialect": dialect, "sender_comp_id": "A", "target_comp_id": "B", "port": 1} | changes
    return LinkSection(**given)


def broker_of(one: LinkSection, folder: Path) -> Any:
    config = GatewayConfig(household="h", state_folder=folder, links={"v": one}, accounts={}, instruments={})
    return make_broker("v", one, config, SystemClock())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_valid_and_name_their_dialect(path: Path) -> None:
    ((name, section),) = tomllib.loads(path.read_text(encoding="utf-8"))["links"].items()
    spoken = LinkSection(**section).spoken()
    assert spoken.dialect.name == name == path.stem
    assert spoken.unwritten == ()


def test_every_venue_has_an_example() -> None:
    assert {path.stem for path in EXAMPLES} == set(DIALECTS) - {"plain"}


def test_an_unknown_key_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(
        ValidationError, match=r"quantity_scal: the dukascopy dialect .* quantity_scale"
    ) as found:
        link("dukascopy", venue={"quantity_scal": "S3CRET"})
    assert "S3CRET" not in str(found.value)


def test_the_venue_decides_the_session(tmp_path: Path) -> None:
    one = link("saxo", username="u", password="p", venue={"client_id": "C"}, heartbeat_s=10)
    session = broker_of(one, tmp_path)._engine._session
    assert (session.heartbeat_s, session.reset_at, session.username) == (30, "Mon 05:00", "u")
    other = broker_of(link("ibkr", username="u", password="p"), tmp_path)._engine._session
    assert (other.begin_string, other.username, other.password) == ("FIX.4.2", "", "")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (link("saxo", username="u", password="p"), "links.v.venue.client_id: Saxo Bank needs it"),
        (link("dukascopy", username="u"), "username and password: Dukascopy needs both"),
        (link("saxo", venue={"client_id": "C"}), "GATEWAY_LINKS__V__PASSWORD"),
    ],
)
def test_a_link_that_could_not_work_does_not_start(one: LinkSection, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        broker_of(one, tmp_path)


def test_what_is_not_certified_is_said_at_start(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.INFO)
    broker_of(link("ibkr", venue={"certified": ["hours"]}), tmp_path)
    broker_of(link("plain"), tmp_path)
    (told,) = caplog.messages
    assert told.startswith("v: not certified with Interactive Brokers, see `gateway venues`: ")
    assert "extra_tags" in told
    assert ", hours" not in told
    caplog.clear()
    broker_of(link("ibkr", environment="simulator"), tmp_path)
    assert [record.levelname for record in caplog.records] == ["INFO"]


CONFIG = """
household = "h"
accounts = {}
instruments = {}
[links.fx]
dialect = "dukascopy"
sender_comp_id = "A"
target_comp_id = "B"
port = 1
[links.fx.venue]
quantity_scale = 1000
certified = ["quantity_scale"]
"""


def said(tmp_path: Path, *words: str) -> Any:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return CliRunner().invoke(root, ["--config", str(path), "venues", *words], standalone_mode=False)


def test_venues_lists_every_venue_with_its_keys(tmp_path: Path) -> None:
    found = json.loads(said(tmp_path, "--json").stdout)
    assert {one["dialect"] for one in found} == set(DIALECTS)
    assert found[0]["link"] == "fx"
    keys = {key["name"]: key for key in found[0]["keys"]}
    assert keys["quantity_scale"] == {
        "name": "quantity_scale", "value": "1000", "default": "1", "certified": True,
        "about": "base-currency units in one unit of OrderQty(38)",
    }  # fmt: skip
    assert keys["slippage"]["certified"] is False
    assert keys["accounts"]["certified"] is None
    assert "slippage" in found[0]["uncertified"]


def test_venues_is_a_table_for_people(tmp_path: Path) -> None:
    text = said(tmp_path, "fx").stdout
    assert "dukascopy: Dukascopy (link fx); 21 keys not certified" in text
    assert "NOT certified" in text
    assert "saxo" not in text
    assert "no link, defaults" in said(tmp_path, "saxo").stdout
    assert "no venue 'x'" in str(said(tmp_path, "x").exception)
