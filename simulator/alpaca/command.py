"""`python -m simulator alpaca`: start the venue from the command line and stop it politely.

User errors (an option that cannot be honoured) give one line naming the option and the remedy, and exit 2.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from aiohttp import web

from simulator.accounts import SettingError, Tariff, read_accounts
from simulator.alpaca.door import OWN_OPERATIONS, Door, Terms, utc_now
from simulator.alpaca.entry import NANO
from simulator.alpaca.journal import Journal
from simulator.alpaca.mishaps import MAX_COUNT, MEANINGS, TIMED, Mishap, Mishaps, read_chances
from simulator.alpaca.stream import Streams
from simulator.alpaca.web import Web
from simulator.control import Answer, Control
from simulator.floor import VenueSettings
from simulator.market import Market, MarketSettings, read_prices
from simulator.orders import OrdStatus
from simulator.venue import Venue, VenueError

TICK_S = 0.005
MAX_SECONDS = 3600
STOP_S = 0.2
"""How long a stop waits for requests that are being served."""
SETTLE_S, TURNS = 0.02, 10
"""How long, and how many turns of the loop at least, a stop waits for connections to begin or to end."""
BOUND = (
    "seed",
    "fill_delay_ms",
    "partials",
    "cancel_ms",
    "half_spread_bps",
    "tick",
    "fills_by_hand",
    "account",
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message}; see: python -m simulator alpaca --help")


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = _Parser(
        prog="python -m simulator alpaca", description="Run a venue that speaks as Alpaca does."
    )
    add = options.add_argument
    add("--port", type=int, default=0, help="port of 127.0.0.1 to listen on; 0 lets the system choose")
    add("--control-port", type=int, default=0, help="port of 127.0.0.1 that takes commands; 0: any")
    add("--key", default="KEY", help="the only key known (default KEY)")
    add("--secret", default="SECRET", help="its secret (default SECRET)")
    add("--account", default="main", help="the account of --accounts that is served (default main)")
    add("--prices", type=Path, required=True, metavar="CSV", help="symbol,price[,half_spread_bps] lines")
    add("--accounts", type=Path, required=True, metavar="FILE", help='{"main": {"cash": "1000.00"}}')
    add("--store", type=Path, metavar="DIR", help="remember orders over a restart in this folder")
    add("--seed", type=int, default=1, help="of the market, of partial fills and of --chaos (default 1)")
    add("--fill-delay-ms", type=float, default=0.0, metavar="MS", help="usual time between fills; 0: at once")
    add("--partials", type=int, default=1, metavar="N", help="cut an order into 1 to N fills (default 1)")
    add("--cancel-ms", type=float, default=0.0, metavar="MS", help="how long a cancel is pending; 0: not")
    add("--fills-by-hand", action="store_true", help="fill only what the control port says")
    add("--half-spread-bps", type=Decimal, default=Decimal(1), metavar="BPS", help="(default 1)")
    add("--tick", type=Decimal, default=Decimal("0.01"), help="smallest price step (default 0.01)")
    add("--multiplier", type=Decimal, default=Decimal(1), help="buying power for each dollar (default 1)")
    add("--may-short", action="store_true", help="let a sale exceed what is held")
    add("--whole-only", action="append", default=[], metavar="SYMBOL", help="an asset without fractions")
    add("--requests-per-min", type=int, default=200, metavar="N", help="the rate limit (default 200)")
    add("--one-stream", action="store_true", help="refuse a second stream while one is open")
    add("--chaos", default="", metavar="NAME=SHARE,...", help="what goes wrong how often")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    port = "?"
    try:
        options = parser().parse_args(arguments)
        port = options.port
        asyncio.run(_serve(options))
    except (SettingError, VenueError) as error:
        sys.stderr.write(f"simulator alpaca: {error}\n")
        return 2
    except OSError as error:
        what, remedy = (error.filename, " file or folder") if error.filename else (f"--port {port}", ", or 0")
        sys.stderr.write(f"simulator alpaca: {what}: {error.strerror}; choose another{remedy}\n")
        return 2
    return 0


async def _serve(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    world = World(options, ended)
    port = await world.open(options.port)
    control = Control(world, world.commands())
    await control.start(options.control_port)
    where = {"host": "127.0.0.1", "port": port, "control_port": control.port}
    sys.stdout.write(json.dumps({"listening": where}) + "\n")
    sys.stdout.flush()
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait({world.ticking, ending}, return_when=asyncio.FIRST_COMPLETED)
    await control.stop()
    await world.close()


class World:
    """Everything one process serves, and what its control port can do to it."""

    def __init__(self, options: argparse.Namespace, ended: asyncio.Event) -> None:
        self._ended = ended
        self.mishaps = Mishaps(options.seed, read_chances(options.chaos))
        self.journal = Journal(options.store)
        keys = (options.key, options.secret)
        self.streams = Streams(self.mishaps, keys, only_one=options.one_stream)
        self.door = Door(
            partial(_venue, options), _terms(options), self.journal, self.streams.tell,
            f"{int(utc_now().timestamp() * 1000):x}-",
        )  # fmt: skip
        self.door.stuck_cancels = partial(self.mishaps.strikes, Mishap.STUCK_CANCEL)
        self.door.lost_replaces = partial(self.mishaps.strikes, Mishap.REPLACE_REJECTED)
        self.web = Web(self.door, self.streams, self.mishaps, keys, options.requests_per_min, utc_now)

    async def open(self, port: int) -> int:
        """Recover, listen on 127.0.0.1 and let time pass; return the port."""
        self.door.recover(f"{int(utc_now().timestamp() * 1000):x}-", utc_now())
        self._runner = web.AppRunner(
            self.web.application(), access_log=None, handle_signals=False, shutdown_timeout=STOP_S
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.ticking = asyncio.create_task(self._tick())
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Hang up on everybody and keep what there is to keep; raises what ended the passing of time."""
        self.ticking.cancel()
        for site in list(self._runner.sites):
            await site.stop()
        await _settle()  # a connection accepted just now is known behind it, and can be closed
        await self.streams.close()
        await self._runner.cleanup()
        await _settle()
        self.journal.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self.ticking

    async def _tick(self) -> None:
        """Let the venue do what is due, for ever."""
        while True:
            self.door.advance(utc_now())
            due = self.door.venue.next_event()
            wait_s = TICK_S if due is None else max((due - utc_now()) / timedelta(seconds=1), 0.0)
            await asyncio.sleep(min(wait_s, TICK_S))

    def commands(self) -> Mapping[str, Any]:
        """Return the control commands this venue has besides, or instead of, the common ones."""
        mine = {name: partial(self._operate_own, name) for name in OWN_OPERATIONS}
        return {**mine, "fault": self._fault, "faults": self._meanings, "struck": self._struck}

    # What the control port asks.

    def record(self) -> Answer:
        """Return the venue's own record."""
        return self.door.record()

    def status(self) -> Answer:
        """Say how much is open and what is still to come."""
        due = self.door.venue.next_event()
        return {
            "orders": len(self.door.tickets), "open_orders": len(self.door.open_tickets()),
            "planned": self.mishaps.planned(), "is_quiet": due is None,
        }  # fmt: skip

    def operate(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Carry out an operation."""
        return self.door.operate(name, arguments, utc_now())

    def calm(self) -> None:
        """Forget everything that was to go wrong."""
        self.mishaps.clear()

    def end(self, down_s: float | None) -> None:
        """End the process."""
        if down_s is not None:
            raise VenueError("this venue does not restart by itself; end its process and start it again")
        self._ended.set()

    def _operate_own(self, name: str, arguments: Answer) -> Answer:
        return {"reports": self.operate(name, arguments)}

    def _fault(self, arguments: Answer) -> Answer:
        kind, count, seconds = arguments.get("kind"), arguments.get("count", 1), arguments.get("seconds", 5)
        if kind not in set(Mishap):
            raise VenueError(f"no fault of kind {kind!r}; use one of: {', '.join(Mishap)}")
        what = Mishap(str(kind))
        if what in TIMED:
            if not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS:
                raise VenueError(f"seconds is {seconds!r}; give a number up to {MAX_SECONDS}")
            (self.streams.mute if what is Mishap.MUTE else self.streams.freeze)(seconds)
        elif not isinstance(count, int) or not 0 < count <= MAX_COUNT:
            raise VenueError(f"count is {count!r}; give a whole number up to {MAX_COUNT}")
        else:
            self.mishaps.plan(what, count)
        return {"planned": self.mishaps.planned()}

    def _meanings(self, arguments: Answer) -> Answer:
        del arguments
        return {"faults": {str(kind): meaning for kind, meaning in MEANINGS.items()}}

    def _struck(self, arguments: Answer) -> Answer:
        del arguments
        return {"struck": {str(kind): count for kind, count in self.mishaps.struck.items() if count}}


async def _settle() -> None:
    """Let what the loop has begun come to its end: that takes turns, however long a turn lasts."""
    for _ in range(TURNS):
        await asyncio.sleep(SETTLE_S / TURNS)


def _venue(options: argparse.Namespace, prefix: str) -> Venue:
    settings = VenueSettings(
        seed=options.seed, id_prefix=prefix, tariff=Tariff(), fill_delay_ms=options.fill_delay_ms,
        partials=options.partials, pending_ms=options.cancel_ms or None, fills_by_hand=options.fills_by_hand,
        day_end=OrdStatus.EXPIRED, lot=NANO, piece=Decimal(1),
    )  # fmt: skip
    market = MarketSettings(seed=options.seed, tick=options.tick, half_spread_bps=options.half_spread_bps)
    return Venue(Market(read_prices(options.prices), market), read_accounts(options.accounts), settings)


def _terms(options: argparse.Namespace) -> Terms:
    if read_accounts(options.accounts).find(options.account) is None:
        raise SettingError(f"--account {options.account} does not stand in --accounts; name one that does")
    described = {f"--{name.replace('_', '-')}": str(getattr(options, name)) for name in BOUND}
    for name in ("prices", "accounts"):
        digest = hashlib.sha256(getattr(options, name).read_bytes()).hexdigest()[:16]
        described[f"--{name}"] = f"content {digest}"
    return Terms(
        options.account, options.multiplier, described, options.may_short, frozenset(options.whole_only)
    )
