"""How long it takes to notice that Alpaca's stream is there no more: frozen, or connected and mute.

Each round connects the gateway's own broker, with the settings a user gets, to the bundled venue in a
process of its own. *Frozen*: that process is stopped with SIGSTOP, so that the connection stands and nobody
reads; noticed when the broker finds its stream broken. *Mute*: the stream says nothing any more, though it is
connected and answers pings; noticed when the broker drops it, once with an order just sent, once with an
order that only rests and fills. The client's own habit stands beside it: with its ping every 10 s and 180 s
for the answer a frozen peer costs it 190 s or more, and it has nothing at all for a mute one.

Run: ``python benchmarks/alpaca_detection.py [--rounds 3]``. The last line is one JSON object; exit 1 when
anything took longer than 15 s.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median

warnings.simplefilter("ignore", DeprecationWarning)

from adapters.alpaca.broker import AlpacaBroker  # noqa: E402 - the library warns while it is imported
from adapters.alpaca.settings import AlpacaSettings  # noqa: E402
from gateway.domain.order import OrderSpec, OrdType, Side, TimeInForce  # noqa: E402
from gateway.events import LinkUp, ReportReceived, SendOrder  # noqa: E402
from simulator.control import ask  # noqa: E402
from simulator.household import stage_for, write_household  # noqa: E402
from simulator.stage import ALPACA, ALPACA_KEYS, Stage, free_port  # noqa: E402

LIMIT_S = 15.0
PATIENCE_S = 60.0
STEP_S = 0.01
CLIENTS_OWN_S = 190.0
"""`alpaca-py` 0.44: a ping every 10 s, 180 s for its answer."""


class Watched:
    """A broker, and the moments at which it lost its stream."""

    def __init__(self, stage: Stage, symbols: Sequence[str]) -> None:
        url = f"127.0.0.1:{stage.port}"
        settings = AlpacaSettings(
            "sim", "main", *ALPACA_KEYS, f"http://{url}", f"ws://{url}/stream", tuple(symbols)
        )
        self.stage = stage
        self.symbol = symbols[0]
        self.broker = AlpacaBroker(settings, lambda: datetime.now(UTC))
        self.lost_at: list[float] = []
        self.said: set[type] = set()
        self._given = 0

    async def start(self) -> None:
        """Connect, and note from then on when the stream is lost."""
        await self.broker.start(0)
        stream = self.broker._stream  # noqa: SLF001 - what is measured is inside
        told = stream._went_down  # noqa: SLF001

        def lost(reason: str) -> None:
            self.lost_at.append(time.perf_counter())
            told(reason)

        stream._went_down = lost  # noqa: SLF001
        self.listening = asyncio.create_task(self._listen())
        await self.until(lambda: LinkUp in self.said)

    async def stop(self) -> None:
        """Hang up."""
        await self.broker.stop()
        await self.listening

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to be so."""
        deadline = time.perf_counter() + PATIENCE_S
        while not is_so():
            if time.perf_counter() > deadline:
                raise TimeoutError("it was not noticed at all")
            await asyncio.sleep(STEP_S)

    def send(self) -> str:
        """Let an order rest, far below the market."""
        self._given += 1
        name = f"DETECTION{self._given:07d}".translate(str.maketrans("0189", "ABCD"))
        self.broker.submit(
            SendOrder(
                OrderSpec(
                    name, "r", "main", "sim", self.symbol, Side.BUY, Decimal(2), OrdType.LIMIT,
                    Decimal("1.00"), TimeInForce.DAY, 1,
                )
            )
        )  # fmt: skip
        return name

    async def _listen(self) -> None:
        async for batch in self.broker.events():
            self.said |= {type(one) for one in batch}


async def frozen(watched: Watched) -> float:
    """Stop the venue's process, and say how long it takes to be noticed."""
    pid = watched.stage.processes["venue"].pid
    began = time.perf_counter()
    os.kill(pid, signal.SIGSTOP)
    try:
        await watched.until(lambda: bool(watched.lost_at))
    finally:
        os.kill(pid, signal.SIGCONT)
    return watched.lost_at[0] - began


async def mute_with_an_order(watched: Watched) -> float:
    """Mute the stream, then send an order."""
    ask(watched.stage.control_port, "fault", kind="mute", seconds=PATIENCE_S)
    began = time.perf_counter()
    watched.send()
    await watched.until(lambda: bool(watched.lost_at))
    return watched.lost_at[0] - began


async def mute_at_rest(watched: Watched) -> float:
    """Mute the stream, then let a resting order fill."""
    name = watched.send()
    await watched.until(lambda: ReportReceived in watched.said)
    await asyncio.sleep(0.5)
    ask(watched.stage.control_port, "fault", kind="mute", seconds=PATIENCE_S)
    began = time.perf_counter()
    ask(watched.stage.control_port, "fill", cl_ord_id=name, qty="1")
    await watched.until(lambda: bool(watched.lost_at))
    return watched.lost_at[0] - began


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[Watched]:
    """Start a venue and connect a broker to it."""
    folder, port = Path(tempfile.mkdtemp(prefix="gateway-detection-")), free_port()
    household = write_household(folder, 3, 1, port, held_share=0.0, is_alpaca=True)
    stage = stage_for(household, port, ["--requests-per-min", "200"], dialect=ALPACA)
    stage.start_venue()
    watched = Watched(stage, household.symbols)
    try:
        await watched.start()
        yield watched
    finally:
        await watched.stop()
        stage.close()
        shutil.rmtree(folder, ignore_errors=True)


async def measured(rounds: int) -> dict[str, list[float]]:
    """Run every case so often."""
    cases = {"frozen": frozen, "mute, order sent": mute_with_an_order, "mute, order fills": mute_at_rest}
    found: dict[str, list[float]] = {}
    for name, case in cases.items():
        for _ in range(rounds):
            async with watching() as watched:
                found.setdefault(name, []).append(round(await case(watched), 2))
        own = f"{CLIENTS_OWN_S:.0f} s or more" if name == "frozen" else "never"
        print(f"{name:18s} {median(found[name]):6.1f} {max(found[name]):6.1f}   {own}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    print("noticed after      median  worst   the client's own (s)")
    found = asyncio.run(measured(options.rounds))
    worst = max(max(times) for times in found.values())
    print(json.dumps({"worst_s": worst, "limit_s": LIMIT_S, "is_in_time": worst <= LIMIT_S, "s": found}))
    return 0 if worst <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
