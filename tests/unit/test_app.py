"""Starting: a configuration that forgot what the journal still needs is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.app import _reporter, check_known
from gateway.cli.read import _drift
from gateway.config import GatewayConfig, load
from gateway.domain.book import Account
from gateway.domain.order import Order, OrderSpec, OrdType, Side, TimeInForce
from gateway.errors import ConfigError
from gateway.events import Mode, RequestState, TargetsSubmitted
from gateway.oms.state import Request, State
from gateway.runtime.wire import decode_state, encode_state
from gateway.sections import ReportSection

AT = datetime(2024, 3, 12, tzinfo=UTC)


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
