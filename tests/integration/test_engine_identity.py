"""A live run over the simulator and a backtest of the same events: equal decisions, fills and books."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli.root import OK
from gateway.config import GatewayConfig, load
from gateway.events import (
    AccountOpened,
    Event,
    PricesUpdated,
    ReportReceived,
    RequestDecided,
    TargetsSubmitted,
)
from gateway.oms.state import State
from gateway.runtime.connect import view_client
from gateway.runtime.embedded import EmbeddedServer
from gateway.runtime.keys import Keys
from gateway.runtime.present import book_model
from gateway.runtime.store import Journal
from simulator.backtest.bars import Day
from simulator.backtest.tape import Fills, Tape
from simulator.household import stage_for, write_household
from simulator.inprocess import InProcess, Line
from simulator.stage import free_port

REQUESTS = 2


async def _journal(config: GatewayConfig) -> list[Event]:
    redis = view_client(EmbeddedServer(config.state_folder).url)
    try:
        return [event async for _, event in Journal(redis, Keys(config.household), 0, "reader").read()]
    finally:
        await redis.aclose()


def _live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[GatewayConfig, list[Event]]:
    """Play two baskets through the real gateway, its FIX session and the venue; return the journal."""
    port = free_port()
    household = write_household(tmp_path, 8, 3, port)
    tariff = ["--commission-per-share", "0.005", "--commission-minimum", "1.00"]
    stage = stage_for(household, port, tariff)
    for name, value in stage.child_environment().items():
        monkeypatch.setenv(name, value)
    try:
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        assert main(["--config", str(stage.config), "prices", str(tmp_path / "prices.csv")]) == OK
        rng = random.Random(5)
        for number in range(REQUESTS):
            rows = [f"{symbol},{weight}" for symbol, weight in household.targets(rng).items()]
            (tmp_path / "t.csv").write_text("symbol,weight\n" + "\n".join(rows) + "\n")
            words = ["submit", str(tmp_path / "t.csv"), "--account", "main", "--request-id", f"R{number}"]
            assert main(["--config", str(stage.config), *words, "--wait"]) == OK
        time.sleep(0.2)
        config = load(stage.config)
        return config, asyncio.run(_journal(config))
    finally:
        stage.close()


def _of(events: Sequence[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def _fills(events: Sequence[Event]) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Return what each order came to: quantity, value and commission."""
    found: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
    for event in _of(events, ReportReceived):
        report = event.report
        if report.last_qty:
            qty, value, fee = found.get(report.cl_ord_id, (Decimal(0),) * 3)
            more = report.last_qty, report.last_qty * report.last_px, report.commission
            found[report.cl_ord_id] = (qty + more[0], value + more[1], fee + more[2])
    return found


def _again(config: GatewayConfig, live: Sequence[Event]) -> InProcess:
    """Give the backtest's world what came from outside, and a tape that knows the prices that were paid."""
    settings = config.settings()
    free = {symbol: replace(one, half_spread_bps=Decimal(0)) for symbol, one in settings.instruments.items()}
    tape = Tape(free, settings.accounts, Fills.CLOSE)
    opened = _of(live, AccountOpened)
    world = InProcess(settings, {"sim": Line("sim", tape)}, opened[0].at, opened)
    world.start()
    paid: dict[str, Decimal] = {}
    fills, by_order = _fills(live), {}
    for event in _of(live, ReportReceived):
        by_order[event.report.cl_ord_id] = event.report.symbol
    requests = _of(live, TargetsSubmitted)
    world.feed(*(event for event in _of(live, PricesUpdated) if event.at <= requests[0].at))
    for request in requests:
        names = {
            spec.cl_ord_id
            for one in live
            for spec in getattr(one, "orders", ())
            if one.request_id == request.request_id
        }
        for cl_ord_id in names & fills.keys():
            qty, value, _ = fills[cl_ord_id]
            paid[by_order[cl_ord_id]] = value / qty
        tape.begin(Day(date(2024, 1, 2), paid, dict(paid), paid, {}))
        tape.close()
        world.now = request.at
        world.feed(request)
        world.run(for_s=1)
    return world


def test_a_live_run_and_a_backtest_of_the_same_events_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, live = _live(tmp_path, monkeypatch)
    world = _again(config, live)
    assert len(_fills(live)) >= 8
    theirs = {one.request_id: one for one in _of(world.journal, RequestDecided)}
    for ours in _of(live, RequestDecided):
        assert replace(theirs[ours.request_id], at=ours.at) == ours
    assert _fills(world.journal) == _fills(live)
    rebuilt = InProcess(config.settings(), {}, world.now, journal=list(live)).engine
    for event in live:
        rebuilt.replay(event)
    assert _book(world.engine.state) == _book(rebuilt.state)


def _book(state: State) -> dict[str, Any]:
    """Return the book but for the names of its lots, which carry a venue's ExecIDs(17)."""
    book = book_model(state)
    for account in book["accounts"].values():
        account["lots"] = {
            symbol: [(lot.acquired, lot.qty, lot.cost) for lot in lots]
            for symbol, lots in account["lots"].items()
        }
    book["realised"] = sorted(tuple(gain.items()) for gain in book["realised"])
    return {"accounts": book["accounts"], "realised": book["realised"]}
