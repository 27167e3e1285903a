"""Kill -9 everything at random moments of real baskets, and count what was lost or doubled.

Redis, the FIX venue, the gateway and its quickfix child run as processes. Baskets of 200 orders and
more are submitted one after another; while each is at work, random processes are killed with SIGKILL
and started again (Redis and the quickfix child by the gateway itself). When a basket has ended, three
records are compared: what the journal says was intended, what the venue has, what the book says.

Run: ``python -m tests.torture --kills 200 [--seed 1] [--venue NAME]``: with a venue's name over its dialect
and TLS. The last line is one JSON object; exit 1 when
anything was lost or doubled or any book differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from gateway.cli.demo import compare_with_venue
from gateway.cli.replay import compare
from gateway.client import GatewayClient
from gateway.config import load
from gateway.engine import Engine
from gateway.errors import GatewayError
from gateway.events import OrderAbandoned, OrdersPlanned, RequestState
from gateway.runtime.archive import Archive
from gateway.runtime.connect import view_client
from gateway.runtime.embedded import socket_path
from gateway.runtime.keys import Keys
from gateway.runtime.present import book_model
from gateway.runtime.store import Journal
from gateway.runtime.wire import decode_json, encode_json
from simulator.household import Household, stage_for, write_household
from simulator.stage import Stage, free_port

QUIET_S = 0.5
KILLS_PER_BASKET = 5


@dataclass(frozen=True)
class Kit:
    """Say how one venue is tortured: its link's keys, how many names, how fast, and for how long."""

    link: str = ""
    begin_string: str = "FIX.4.4"
    dialect: str = "plain"
    names: int = 240
    orders_per_s: int = 400
    lookup_wait_s: float = 0.1
    basket_s: float = 120.0
    is_fx: bool = False
    in_cash: bool = False
    options: tuple[str, ...] = ("--commission-per-share", "0.005", "--commission-minimum", "1.00")
    victims: tuple[str, ...] = ("gateway", "gateway", "quickfix child", "venue", "redis")


PASSWORD = {"GATEWAY_LINKS__SIM__PASSWORD": "only a test"}
LOGIN = 'username = "DEMO"\n'
KITS = {
    "plain": Kit(),
    "saxo": Kit(
        f'dialect = "saxo"\n{LOGIN}[links.sim.venue]\nclient_id = "C1"\n', dialect="saxo", lookup_wait_s=2.0
    ),
    "ibkr-fix": Kit(
        'dialect = "ibkr"\nbegin_string = "FIX.4.2"\n', begin_string="FIX.4.2", dialect="ibkr"
    ),
    "dukascopy": Kit(
        f'dialect = "dukascopy"\n{LOGIN}[links.sim.venue]\nsend_account = true\nabsence_is_unknown = true\n',
        dialect="dukascopy", names=40, orders_per_s=16, lookup_wait_s=0.5, basket_s=240.0, is_fx=True,
        options=(),  # totals tell no commission
    ),
    "ibkr": Kit(
        dialect="tws", lookup_wait_s=0.5, victims=("gateway", "gateway", "venue", "redis"),
        options=("--commission-per-share", "0.005", "--commission-min", "1", "--max-rate=0", "--rollback=20"),
    ),
    "alpaca": Kit(
        dialect="alpaca", lookup_wait_s=0.5, victims=("gateway", "gateway", "venue", "redis"),
        options=("--requests-per-min", "100000"),
    ),
    "alpaca-cash": Kit(
        dialect="alpaca", lookup_wait_s=0.5, victims=("gateway", "gateway", "venue", "redis"), in_cash=True,
        options=("--requests-per-min", "100000"),
    ),
}  # fmt: skip


@dataclass
class Tally:
    """Count kills by victim, orders, and everything that must be zero."""

    kills: Counter[str] = field(default_factory=Counter)
    baskets: int = 0
    orders: int = 0
    lost: int = 0
    doubled: int = 0
    book_differences: int = 0
    complaints: list[str] = field(default_factory=list)


class Torture:
    """Drive baskets through a stage whose processes keep dying."""

    def __init__(self, folder: Path, seed: int, kit: Kit) -> None:
        self.rng = random.Random(seed)
        self.kit = kit
        port = free_port()
        self.household: Household = write_household(
            folder, kit.names, seed, port, orders_per_s=kit.orders_per_s, link=kit.link, is_fx=kit.is_fx,
            lookup_wait_s=kit.lookup_wait_s, is_alpaca=kit.dialect == "alpaca",
            is_tws=kit.dialect == "tws", in_cash=kit.in_cash,
        )  # fmt: skip
        options = ["--fill-delay-ms", "40", "--partials", "3", "--seed", str(seed), *kit.options]
        self.stage: Stage = stage_for(
            self.household, port, options, dialect=kit.dialect, begin_string=kit.begin_string,
            has_tls=kit.dialect not in ("plain", "alpaca", "tws"),
            environment={} if kit.dialect in ("alpaca", "tws") else PASSWORD,
        )  # fmt: skip
        self.config = load(self.stage.config)
        self.tally = Tally()

    def client(self) -> GatewayClient:
        """Return a client; Redis may be dead at this moment, it waits."""
        return GatewayClient(self.config.state_folder, self.config.household)

    async def run(self, kills: int) -> Tally:
        """Run baskets until `kills` processes have been killed, and compare after each."""
        self.stage.start_redis()
        self.stage.start_venue()
        self.stage.start_gateway()
        prices = {symbol: f"{cents / 100:.2f}" for symbol, cents in self.household.cents.items()}
        async with self.client() as client:
            await client.publish_prices(prices, source="torture")
        while sum(self.tally.kills.values()) < kills:
            await self.basket(min(KILLS_PER_BASKET, kills - sum(self.tally.kills.values())))
            await self.compare()
            self.show()
        return self.tally

    async def basket(self, kills: int) -> None:
        """Submit one basket, twice at once, and kill `kills` processes while it works."""
        self.tally.baskets += 1
        request_id = f"basket-{self.tally.baskets}"
        targets = self.household.targets(self.rng)
        async with self.client() as client:
            twice = [
                client.submit(targets, account="main", request_id=request_id, lifetime_s=3600) for _ in "12"
            ]
            await asyncio.gather(*twice)
        deadline = time.monotonic() + self.kit.basket_s
        for _ in range(kills):
            await asyncio.sleep(self.rng.uniform(0.05, 1.2))
            await self.kill(self.rng.choice(self.kit.victims))
        while time.monotonic() < deadline:
            self.revive()
            body = await self.request(request_id)
            if body is not None and RequestState(body["state"]).is_final:
                if body["state"] != RequestState.DONE:
                    self.complain(f"{request_id} ended as {body['state']}: {body['text']}")
                return
            await asyncio.sleep(0.1)
        self.complain(f"{request_id} did not end in {self.kit.basket_s:.0f} s; {self.stage.folder}")
        self.tally.book_differences += 1
        raise TimeoutError(request_id)

    async def request(self, request_id: str) -> dict[str, Any] | None:
        """Return a request's read model, None while Redis is away."""
        try:
            async with self.client() as client:
                return await client.request(request_id)
        except (GatewayError, OSError):
            return None

    async def kill(self, victim: str) -> None:
        """Kill one process and start it again after a moment, unless somebody else does that."""
        self.tally.kills[victim] += 1
        pause_s = self.rng.uniform(0.0, 0.3)
        if victim in ("gateway", "venue"):
            if self.stage.is_running(victim):
                self.stage.kill(victim)
            await asyncio.sleep(pause_s)
            self.revive()
        elif victim == "redis":
            pid_file = Path(self.config.state_folder) / "redis" / "valkey.pid"
            _kill(int(pid_file.read_text())) if pid_file.exists() else None
        else:
            gateway = psutil.Process(self.stage.processes["gateway"].pid)
            for child in gateway.children(recursive=True):
                _kill(child.pid)

    def revive(self) -> None:
        """Start the venue and the gateway again when they are dead."""
        if not self.stage.is_running("venue"):
            self.stage.start_venue()
        if not self.stage.is_running("gateway"):
            self.stage.start_gateway()

    async def compare(self) -> None:
        """Compare intentions, the venue's record, the book shown, and the replayed book."""
        await asyncio.sleep(QUIET_S)
        record = self.stage.record()
        engine, intended = await self.replayed()
        self.tally.orders = len(intended)
        at_venue = Counter(one["cl_ord_id"] for one in record["orders"] if not one.get("is_stray"))
        lost = [one for one in intended if at_venue[one] == 0]
        doubled = [one for one, count in at_venue.items() if count > 1 or one not in intended]
        self.tally.lost += len(lost)
        self.tally.doubled += len(doubled)
        rebuilt = decode_json(encode_json(book_model(engine.state)))
        async with self.client() as client:
            shown = await client.book()
        differences = [str(row) for row in compare(rebuilt, shown or {"accounts": {}, "realised": []})]
        differences += [str(row) for row in compare_with_venue(rebuilt, record)]
        self.tally.book_differences += len(differences)
        for text in [*(f"lost {one}" for one in lost), *(f"doubled {one}" for one in doubled), *differences]:
            self.complain(text)

    async def replayed(self) -> tuple[Engine, set[str]]:
        """Rebuild the engine from the journal; return it and the ClOrdIDs that should be at the venue."""
        redis = view_client(f"unix://{socket_path(self.config.state_folder)}")
        engine, intended = Engine(self.config.settings()), set[str]()
        archive = Archive(self.config.archive_folder())
        journal = Journal(redis, Keys(self.config.household), 0, "reader", archive=archive)
        async for _, event in journal.read():
            engine.replay(event)
            if isinstance(event, OrdersPlanned):
                intended |= {spec.cl_ord_id for spec in event.orders}
            elif isinstance(event, OrderAbandoned):
                intended.discard(event.cl_ord_id)
        await redis.aclose()
        return engine, intended

    def complain(self, text: str) -> None:
        """Keep and show what is wrong."""
        self.tally.complaints.append(text)
        print(f"  !! {text}")

    def show(self) -> None:
        """Print one line of progress."""
        tally = self.tally
        print(
            f"basket {tally.baskets:3d}  kills {sum(tally.kills.values()):4d}  orders {tally.orders:6d}  "
            f"lost {tally.lost}  doubled {tally.doubled}  book differences {tally.book_differences}",
            flush=True,
        )


def _kill(pid: int) -> None:
    """Kill a process of the stage; it may be dead already."""
    try:
        psutil.Process(pid).kill()
    except psutil.NoSuchProcess:
        return


def main() -> int:
    """Run, print a table, and a JSON object as the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--venue", choices=sorted(KITS), default="plain")
    parser.add_argument("--keep", type=Path, default=None, help="keep state and logs in this folder")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="gateway-torture-"))
    torture = Torture(folder, arguments.seed, KITS[arguments.venue])
    started = time.monotonic()
    try:
        asyncio.run(torture.run(arguments.kills))
    except TimeoutError:
        print(torture.stage.log("gateway")[-3000:])
    finally:
        torture.stage.close()
    tally = torture.tally
    for victim, count in sorted(tally.kills.items()):
        print(f"killed {victim:16s} {count:4d} times")
    wrong = tally.lost + tally.doubled + tally.book_differences
    if not wrong and arguments.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    elif wrong:
        print(f"state and logs are kept in {folder}")
    figures = {
        "venue": arguments.venue, "kills": sum(tally.kills.values()), "baskets": tally.baskets,
        "orders": tally.orders, "lost": tally.lost, "doubled": tally.doubled,
        "book_differences": tally.book_differences,
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    print(json.dumps(figures))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
