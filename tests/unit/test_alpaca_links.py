"""The configuration of an Alpaca account: two environment variables, and a sentence for every mistake."""

from __future__ import annotations

import builtins
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.alpaca.broker import AlpacaBroker
from gateway.config import load
from gateway.errors import ConfigError
from gateway.links import make_brokers, make_quotes
from gateway.runtime.clock import SystemClock

CONFIG = Path(__file__).parents[2] / "config"
FILES = ("alpaca-paper.toml", "accounts-alpaca-paper.toml", "instruments.toml")


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration the README names, in a folder of its own, and both keys in the environment."""
    for name in FILES:
        shutil.copy(CONFIG / name, tmp_path / name)
    monkeypatch.setenv("APCA_API_KEY_ID", "PKTEST")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "not for anybody's eyes")
    return tmp_path / FILES[0]


def written(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def test_the_paper_configuration_needs_two_variables_and_no_more(paper: Path) -> None:
    config = load(paper)
    broker = make_brokers(config, SystemClock())["alpaca"]
    assert isinstance(broker, AlpacaBroker)
    settings = broker._settings
    assert settings.url == "https://paper-api.alpaca.markets"
    assert (settings.account, settings.key) == ("main", "PKTEST")
    assert len(settings.symbols) == len(config.instruments)
    assert "anybody" not in repr(settings)
    quotes: Any = make_quotes(config, SystemClock())["latest"]
    assert quotes._keys == ("PKTEST", "not for anybody's eyes", "https://data.alpaca.markets")


def test_a_live_account_is_another_address_and_its_own_variables_come_first(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_LINKS__ALPACA__KEY", "AKLIVE")
    monkeypatch.setenv("GATEWAY_LINKS__ALPACA__SECRET", "S")
    broker: Any = make_brokers(load(written(paper, '"paper"', '"live"')), SystemClock())["alpaca"]
    assert (broker._settings.url, broker._settings.key) == ("https://api.alpaca.markets", "AKLIVE")
    assert broker._settings.stream_url == "wss://api.alpaca.markets/stream"


def test_missing_keys_are_named_with_both_ways_to_give_them(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("APCA_API_SECRET_KEY")
    with pytest.raises(ConfigError, match="GATEWAY_LINKS__ALPACA__SECRET, or APCA_API_KEY_ID"):
        make_brokers(load(paper), SystemClock())


def test_a_missing_library_says_how_to_install_it(paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "alpaca":
            raise ModuleNotFoundError(f"No module named {name!r}", name="alpaca")
        return real(name, *rest)

    for name in [one for one in sys.modules if one.startswith(("adapters.alpaca.", "alpaca."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ConfigError, match=r"alpaca is not installed; pip install 'rebalance-gateway\[alpaca\]'"
    ):
        make_brokers(load(paper), SystemClock())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"paper"', '"paper"\nurl = "https://x"', "belong together"),
        ('"paper"', '"paper"\nurl = "http://x"\nstream_url = "wss://x"', "url: keys would travel"),
        ('"paper"', '"paper"\nurl = "https://x"\nstream_url = "ws://x"', "stream_url: keys would travel"),
        ('feed = "iex"', 'url = "http://x"', "url: keys would travel"),
        ('of = "alpaca"', 'of = "nowhere"', "no link 'nowhere' of kind \"alpaca\"; known: alpaca"),
        ('kind = "alpaca"\nenv', 'kind = "alpaca"\nsender_comp_id = "X"\nenv', "sender_comp_id"),
    ],
)  # fmt: skip
def test_every_mistake_is_one_sentence(paper: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(written(paper, old, new))


def test_the_keys_of_one_account_serve_one_account(paper: Path) -> None:
    accounts = paper.parent / "accounts-alpaca-paper.toml"
    accounts.write_text(
        accounts.read_text(encoding="utf-8") + '\n[other]\nlink = "alpaca"\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="main, other use it; give each a link of its own"):
        load(paper)


def test_an_account_may_buy_in_money_where_market_orders_trade(paper: Path) -> None:
    accounts = paper.parent / "accounts-alpaca-paper.toml"
    written(accounts, 'ord_type = "limit"', 'ord_type = "limit"\ncash_orders = true')
    with pytest.raises(ConfigError, match='cash_orders have no limit: set ord_type = "market"'):
        load(paper)
    written(accounts, 'ord_type = "limit"', 'ord_type = "market"\nstyle = "twap"')
    with pytest.raises(ConfigError, match='style is worked in slices of a quantity: take "at_once"'):
        load(paper)
    written(accounts, 'style = "twap"\n', "")
    assert load(paper).settings().accounts["main"].execution.cash_orders
    assert make_brokers(load(paper), SystemClock())["alpaca"].capabilities.cash_orders
    with pytest.raises(ConfigError, match="link alpaca trades in extended hours, where only limit orders do"):
        load(written(paper, "# extended_hours", "extended_hours"))


def test_a_simulator_needs_an_address(paper: Path) -> None:
    config = load(written(paper, '"paper"', '"simulator"'))
    with pytest.raises(ConfigError, match="a simulator's address is needed"):
        make_brokers(config, SystemClock())
