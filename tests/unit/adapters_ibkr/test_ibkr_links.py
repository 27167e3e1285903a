"""The sections of TWS: what may be written, what is refused with a sentence, what the adapter is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from adapters.base import InThisProcess
from adapters.ibkr.broker import IbkrBroker
from adapters.ibkr.pauses import SUNDAY
from adapters.ibkr.quotes import IbkrQuotes
from adapters.ibkr.settings import IbkrSettings, Terms
from gateway.config import GatewayConfig, load
from gateway.errors import ConfigError
from gateway.links import in_this_process, make_brokers, make_quotes
from gateway.runtime.clock import SystemClock

GATEWAY = """
household = "h1"
[links.ib]
kind = "ibkr"
port = 4002
client_id = 21
spare_client_id = 22
{link}
[links.other]
sender_comp_id = "GW"
target_comp_id = "IB"
port = 5001
[quotes.ib]
kind = "ibkr"
of = "ib"
{quotes}
[accounts.sat]
link = "ib"
[accounts.core]
link = "other"
[accounts.third]
link = "ib"
[instruments.AAPL]
[instruments."BRK.B"]
"""
LINK = """
accounts = {sat = "DU1", core = "DU1", third = "DU2"}
what_if = true
contracts."BRK.B" = {symbol = "BRK B", primary_exchange = "NYSE", con_id = 72063691}
[[links.ib.restarts]]
at = 23:45:00
[[links.ib.restarts]]
at = 01:00:00
weekday = "sunday"
lasts_s = 3600
"""


def written(folder: Path, link: str = LINK, quotes: str = "") -> Path:
    path = folder / "gateway.toml"
    path.write_text(GATEWAY.format(link=link, quotes=quotes), encoding="utf-8")
    return path


def settings_of(config: GatewayConfig) -> IbkrSettings:
    broker = make_brokers(config, SystemClock())["ib"]
    assert isinstance(broker, IbkrBroker)
    return broker._settings


def test_the_adapter_is_told_accounts_contracts_and_restarts(tmp_path: Path) -> None:
    found = settings_of(load(written(tmp_path)))
    assert (found.port, found.client_id, found.spare_client_id, found.what_if) == (4002, 21, 22, True)
    assert found.client_ids == {21, 22}
    assert found.accounts == {"sat": "DU1", "third": "DU2"}
    assert found.shared == {"sat": ("core",), "third": ()}
    assert found.account_of("DU2") == "third"
    assert found.account_of("U9") == ""
    assert found.terms["AAPL"] == Terms("AAPL")
    assert found.terms["BRK.B"] == Terms("BRK B", primary_exchange="NYSE", con_id=72063691)
    daily, weekly = found.restarts
    assert (daily.at, daily.weekday, weekly.weekday, weekly.lasts_s) == (time(23, 45), None, SUNDAY, 3600)


def test_prices_come_over_a_client_id_of_their_own(tmp_path: Path) -> None:
    source = make_quotes(load(written(tmp_path, quotes="client_id = 30\ndelayed = true")), SystemClock())[
        "ib"
    ]
    assert isinstance(source, IbkrQuotes)
    assert (source._settings.client_id, source._is_delayed, source.name) == (30, True, "ib")


def test_orders_and_prices_of_one_tws_share_its_pace(tmp_path: Path) -> None:
    more = '\n[links.second]\nkind = "ibkr"\nport = 4002\nclient_id = 40\nmessages_per_s = 30\n'
    elsewhere = '\n[links.third]\nkind = "ibkr"\nport = 4003\nclient_id = 21\n'
    config = load(written(tmp_path, link=LINK + more + elsewhere))
    brokers, quotes = make_brokers(config, SystemClock()), make_quotes(config, SystemClock())
    paces = [getattr(one, "_pace", None) for one in (brokers["ib"], brokers["second"], quotes["ib"])]
    assert paces[0] is not None
    assert paces[0] is paces[1] is paces[2]
    assert paces[0]._bucket.rate(0.0) == 0.8 * 30  # the lowest limit anybody wrote
    assert getattr(brokers["third"], "_pace", None) is not paces[0]


@pytest.mark.parametrize(
    ("link", "quotes", "words"),
    [
        ("spare_client_id = 21", "", "links.ib.spare_client_id: it is client_id again"),
        ("client_id = 0", "", "greater than or equal to 1"),
        ('accounts = {nobody = "DU1"}', "", "links.ib.accounts: nobody is not in accounts"),
        ('contracts.MSFT = {symbol = "MSFT"}', "", "links.ib.contracts: MSFT is not in instruments"),
        ('[[links.ib.restarts]]\nat = 23:45:00\nzone = "Mars"', "", "zone is no time zone"),
        ('[[links.ib.restarts]]\nat = 23:45:00\nweekday = "someday"', "", "weekday"),
        ("flavour = 3", "", "links.ib.flavour"),
        ("", "client_id = 21", "links.ib.client_id is 21, too, at the same TWS; each needs"),
        ("", "client_id = 22", "links.ib.spare_client_id is 22, too"),
        ("", 'of = "other"', "no link 'other' of kind \"ibkr\"; known: ib"),
        ("", 'symbols = ["MSFT"]', "MSFT is not in instruments"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, link: str, quotes: str, words: str) -> None:
    text = GATEWAY
    if "client_id" in link:
        text = text.replace("spare_client_id = 22\n", "").replace(
            "client_id = 21\n" if link.startswith("client_id") else "\x00", ""
        )
    if quotes.startswith("of"):
        text = text.replace('of = "ib"\n', "")
    path = tmp_path / "gateway.toml"
    path.write_text(text.format(link=link, quotes=quotes), encoding="utf-8")
    with pytest.raises(ConfigError) as problem:
        load(path)
    assert words in str(problem.value)
    assert str(path) in str(problem.value)


def test_two_links_may_not_share_a_client_id(tmp_path: Path) -> None:
    again = '\n[links.again]\nkind = "ibkr"\nport = 4002\nclient_id = 21\n'
    with pytest.raises(ConfigError, match="each needs a client id of its own"):
        load(written(tmp_path, link=LINK + again))


def test_without_the_library_there_is_a_sentence_with_the_remedy(tmp_path: Path) -> None:
    place = written(tmp_path)
    script = f"""
import sys
sys.modules["ib_async"] = sys.modules["ib_insync"] = None
from pathlib import Path
from gateway.config import load
from gateway.links import make_brokers
from gateway.runtime.clock import SystemClock
make_brokers(load(Path({str(place)!r})), SystemClock())
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "ConfigError: links.ib: ib_async is not installed; pip install" in ran.stderr
    assert "[ibkr]" in ran.stderr


async def test_a_link_remembers_in_the_place_it_is_given(tmp_path: Path) -> None:
    given: dict[str, InThisProcess] = {}

    def remember(link: str) -> InThisProcess:
        return given.setdefault(link, InThisProcess())

    brokers: Mapping[str, Any] = make_brokers(load(written(tmp_path)), SystemClock(), remember)
    assert brokers["ib"]._remembered is given["ib"]
    assert list(given) == ["ib"]
    memory = in_this_process("a link of this test")
    await memory.write({"a": "1", "b": "2"})
    await memory.write({"a": ""})
    assert await memory.read() == {"b": "2"}


def test_the_demo_of_tws_is_valid() -> None:
    config = load(Path(__file__).parents[3] / "config" / "demo-ibkr.toml")
    assert list(config.tws_links()) == ["sim"]
