"""Starting: a configuration that forgot what the journal still needs is refused by name."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from patience import until

from gateway.app import _reporter, check_known, make_clock
from gateway.cli.read import _drift
from gateway.config import GatewayConfig, load
from gateway.decision.market import UNKNOWN, Market
from gateway.domain.book import Account
from gateway.domain.order import Order, OrderSpec, OrdType, Side, TimeInForce
from gateway.engine import Engine
from gateway.errors import ConfigError
from gateway.events import Mode, RequestState, TargetsSubmitted
from gateway.oms.state import Request, State
from gateway.runtime import knowledge
from gateway.runtime.knowledge import keep_market, make_market
from gateway.runtime.wire import decode_state, encode_state
from gateway.sections import ReportSection

AT = datetime(2024, 3, 12, tzinfo=UTC)
CONFIG = Path(__file__).parents[2] / "config"


def state(symbol: str = "AAPL", account: str = "main", link: str = "sim") -> State:
    made = State()
    made.book.accounts[account] = Account(account, Decimal(1), positions={symbol: Decimal(1)})
    spec = OrderSpec(
        "C1", "R1", account, link, symbol, Side.BUY, Decimal(1), OrdType.MARKET, None, TimeInForce.DAY, 1
    )
    targets = TargetsSubmitted(AT, "R1", account, {symbol: Decimal("0.1")}, AT, AT)
    made.requests["R1"] = Request(targets, Mode.EXECUTE, RequestState.WORKING, open_orders={"C1": None})
    made.orders["C1"] = Order(spec, AT)
    return made


@pytest.fixture(scope="module")
def config() -> GatewayConfig:
    return load(Path(__file__).parents[2] / "config" / "gateway.toml")


def test_what_the_configuration_knows_is_no_problem(config: GatewayConfig) -> None:
    made = state()
    check_known(made, config)
    made.requests["R1"].state = RequestState.DONE
    check_known(made, config)


@pytest.mark.parametrize(
    ("forgotten", "words"),
    [
        (lambda: state(account="gone"), "accounts.gone: the journal holds this account"),
        (lambda: state(symbol="GONE"), "instruments: account main holds GONE"),
        (lambda: state(link="gone"), "links.gone: order C1 still works there"),
    ],
)
def test_what_it_forgot_is_named(config: GatewayConfig, forgotten: Callable[[], State], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_known(forgotten(), config)


def test_a_name_of_an_unfinished_request_is_missed(config: GatewayConfig) -> None:
    made = state(symbol="GONE")
    made.book.accounts["main"].positions = {}
    with pytest.raises(ConfigError, match="request R1 is not finished and names GONE"):
        check_known(made, config)


CLOSES = "date,AAPL,MSFT\n" + "\n".join(
    f"{date(2022, 9, 1) + timedelta(days=at)},{100 + at % 7},{50 + at % 5}" for at in range(119)
)


def market_of(folder: Path, monkeypatch: pytest.MonkeyPatch, history: str, **words: str) -> Market:
    """The market of the example configuration with a history of closes, at its own simulated time."""
    for name in ("gateway.toml", "accounts.toml", "instruments.toml"):
        (folder / name).write_text((CONFIG / name).read_text(encoding="utf-8"), encoding="utf-8")
    shutil.copytree(CONFIG / "example", folder / "example")
    if "closes" in words:
        (folder / "closes.csv").write_text(words["closes"], encoding="utf-8")
    monkeypatch.setenv("GATEWAY_STATE_FOLDER", str(folder / "state"))
    if history:
        monkeypatch.setenv("GATEWAY_RISK__HISTORY", history)
    config = load(folder / "gateway.toml")
    return make_market(config, make_clock(config))


def test_without_a_history_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert market_of(tmp_path, monkeypatch, "") == UNKNOWN


def test_a_history_beside_the_configuration_becomes_the_market(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = market_of(tmp_path, monkeypatch, "closes.csv", closes=CLOSES)
    assert found.risk is not None
    assert found.risk.observations == 118
    assert found.risk.as_of == date(2022, 12, 28)


def test_an_old_history_does_not_stop_the_gateway_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old = "\n".join(CLOSES.splitlines()[:100])
    found = market_of(tmp_path, monkeypatch, "closes.csv", closes=old)
    assert found.risk is None
    assert "append the closes since" in caplog.text


def test_a_history_that_is_not_there_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"risk\.history"):
        market_of(tmp_path, monkeypatch, "closes.csv")


async def test_a_history_that_changes_is_looked_at_again_and_a_broken_one_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = market_of(tmp_path, monkeypatch, "closes.csv", closes="\n".join(CLOSES.splitlines()[:-1]))
    monkeypatch.setattr(knowledge, "MARKET_EVERY_S", 0.005)
    config = load(tmp_path / "gateway.toml")
    engine = Engine(config.settings(), market=first)
    keeper = asyncio.create_task(keep_market(config, engine, make_clock(config)))

    await asyncio.sleep(0.05)
    assert engine.market is first
    (tmp_path / "closes.csv").write_text(CLOSES, encoding="utf-8")
    await until(lambda: engine.market is not first)
    second = engine.market
    assert second.risk is not None
    assert second.risk.as_of == date(2022, 12, 28)
    (tmp_path / "closes.csv").write_text("half a li", encoding="utf-8")
    await until(lambda: "the risk model stays as it was" in caplog.text)
    caplog.clear()
    (tmp_path / "closes.csv").unlink()
    await until(lambda: "no such file of daily closes" in caplog.text)
    assert engine.market is second
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


def test_the_week_is_reported_only_when_wanted_and_with_a_file_to_say_how(config: GatewayConfig) -> None:
    assert _reporter(config) is not None
    assert _reporter(config.model_copy(update={"file": Path()})) is None
    assert _reporter(config.model_copy(update={"report": ReportSection(weekly=False)})) is None


def test_a_snapshot_from_before_the_monitor_is_read() -> None:
    """What stands is learnt again from the next request."""
    old = json.loads(encode_state(State()))
    del old["standing"], old["seen"]
    found = decode_state(json.dumps(old).encode(), State)
    assert (found.standing, found.seen) == ({}, {})


def test_a_person_sees_what_an_account_is_watched_against() -> None:
    standing = {"targets_of": "R1", "since": "2026-11-27T15:00:00Z", "cancelled_by": "", "seen": None}
    assert _drift(standing) == "watched against R1 of 2026-11-27, not looked at yet"
    seen = {"level": "unknown", "at": "2026-11-28T15:00:00Z", "max_drift": 0.0, "symbol": ""}
    text = _drift({**standing, "cancelled_by": "anna", "seen": seen})
    assert "(cancelled by anna: nothing is sent for it); unknown at 2026-11-28 15:00 UTC, 0.00%" in text
