"""The venues of the broker contract: one process and one broker each, for all of its tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from broker_ground import LINKS, VENUES, Ground

from gateway.config import load
from gateway.links import make_brokers
from gateway.runtime.clock import SystemClock
from simulator.household import Household, stage_for, write_household
from simulator.stage import Stage, free_port


def laid_out(venue: str, folder: Path, link: str) -> tuple[Stage, Household]:
    """Lay out a household whose only link, `link` in the configuration, is to `venue`, and its stage."""
    port = free_port()
    household = write_household(
        folder, 3, 1, port, held_share=0.0, value_per_name=1_000_000, link=link,
        is_fx=venue == "dukascopy", is_alpaca=venue == "alpaca",
        is_tws=venue == "tws",
    )  # fmt: skip
    begin_string = "FIX.4.2" if venue == "ibkr" else "FIX.4.4"
    return stage_for(household, port, [], dialect=venue, begin_string=begin_string), household


@asynccontextmanager
async def ground_at(venue: str, folder: Path, link: str) -> AsyncIterator[Ground]:
    """Open a venue that fills what the market allows, and a broker connected to it."""
    stage, household = laid_out(venue, folder, link)
    with pytest.MonkeyPatch.context() as environment:
        try:
            stage.start_venue()
            for name, value in stage.child_environment().items():
                environment.setenv(name, value)
            if venue not in ("alpaca", "tws"):
                environment.setenv("GATEWAY_LINKS__SIM__PASSWORD", "only a test")
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


@pytest_asyncio.fixture(params=VENUES, scope="module", loop_scope="module")
async def venue_ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    """One venue and its broker, for all tests of the contract."""
    link = LINKS.get(request.param, "")
    async with ground_at(request.param, tmp_path_factory.mktemp(request.param), link) as made:
        yield made


@pytest.fixture
def grounds(tmp_path: Path) -> Callable[[str, str], AbstractAsyncContextManager[Ground]]:
    """Open a venue of one test's own, its link configured further."""
    return lambda venue, more: ground_at(venue, tmp_path, LINKS[venue] + more)


@pytest_asyncio.fixture(loop_scope="module")
async def ground(venue_ground: Ground) -> Ground:
    """The venue's ground, connected, with nothing said yet."""
    await venue_ground.fresh()
    return venue_ground
