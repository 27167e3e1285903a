"""The venues of the broker contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from broker_ground import LINKS, VENUES, Ground

from gateway.config import load
from gateway.links import make_brokers
from gateway.runtime.clock import SystemClock
from simulator.household import stage_for, write_household
from simulator.stage import free_port


@pytest.fixture(params=VENUES)
async def ground(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ground]:
    """A venue that fills what the market allows, and a broker connected to it."""
    venue, port = request.param, free_port()
    household = write_household(
        tmp_path, 3, 1, port, held_share=0.0, value_per_name=1_000_000, link=LINKS.get(venue, ""),
        is_fx=venue == "dukascopy", is_alpaca=venue == "alpaca",
    )  # fmt: skip
    begin_string = "FIX.4.2" if venue == "ibkr" else "FIX.4.4"
    stage = stage_for(household, port, [], dialect=venue, begin_string=begin_string)
    try:
        stage.start_venue()
        for name, value in stage.child_environment().items():
            monkeypatch.setenv(name, value)
        if venue != "alpaca":
            monkeypatch.setenv("GATEWAY_LINKS__SIM__PASSWORD", "only a test")
        config = load(stage.config)
        prices = {symbol: Decimal(cents) / 100 for symbol, cents in household.cents.items()}
        broker = make_brokers(config, SystemClock())["sim"]
        made = Ground(stage, config, broker, household.symbols, prices)
        try:
            await made.start()
            yield made
        finally:
            await made.stop()
    finally:
        stage.close()
