"""`python -m simulator tws`: start the TWS socket from the command line and stop it politely.

User errors (an option that cannot be honoured) give one line naming the option and the remedy, and exit 2.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from simulator.accounts import SettingError, Tariff, read_accounts
from simulator.control import Control
from simulator.floor import VenueSettings
from simulator.ground import Ground
from simulator.market import Market, MarketSettings, read_prices
from simulator.orders import Order, OrdStatus
from simulator.tws.books import Books, MarginRule
from simulator.tws.contracts import read_catalogue
from simulator.tws.desk import Desk, Manners
from simulator.tws.door import Door, Terms
from simulator.tws.entry import LOT
from simulator.tws.feeds import Supply
from simulator.tws.happenings import Moved
from simulator.tws.house import OWNER
from simulator.tws.journal import Journal
from simulator.tws.mishaps import TIMED, Mishaps, read_spec
from simulator.tws.server import LEAST, MOST, Limits, Server
from simulator.tws.world import World
from simulator.venue import Venue, VenueError

TICK_S = 0.005
QUOTE_S = 0.1
BOUND = (
    "seed", "fill_delay_ms", "partials", "cancel_ms", "ack_delay_ms", "half_spread_bps", "tick",
    "fills_by_hand",
    "commission_per_share", "commission_min", "initial_margin", "maintenance_margin", "may_short",
    "hard_to_borrow", "currency",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingError(f"{message}; see: python -m simulator tws --help")


def _decimal(text: str) -> Decimal:
    """Read a number that is not negative."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no decimal from 0 on")
    return number


def _milliseconds(text: str) -> float:
    return float(_decimal(text))


def parser() -> argparse.ArgumentParser:
    """Describe the options."""
    options = _Parser(prog="python -m simulator tws", description="Run a venue that speaks as TWS does.")
    add = options.add_argument
    add("--port", type=int, default=0, help="port of 127.0.0.1 to listen on; 0 lets the system choose")
    add("--control-port", type=int, default=0, help="port of 127.0.0.1 that takes commands; 0: any")
    add("--prices", type=Path, required=True, metavar="CSV", help="symbol,price[,half_spread_bps] lines")
    add("--accounts", type=Path, required=True, metavar="FILE", help='{"DU1": {"cash": "1000.00"}}')
    add("--contracts", type=Path, metavar="FILE", help='{"AAPL": {"min_size": "1", "steps": {"0": "0.01"}}}')
    add("--store", type=Path, metavar="DIR", help="remember orders over a restart in this folder")
    add("--fault", action="append", default=[], metavar="KIND[:NAME=VALUE,...]", help="plan what goes wrong")
    add("--seed", type=int, default=1, help="of the market, of partial fills and of faults (default 1)")
    _describe_trading(add)
    add("--server-version", type=int, default=MOST, metavar="N", help=f"the newest spoken (default {MOST})")
    add("--max-rate", type=int, default=50, metavar="N", help="messages a second of all clients; 0: any")
    add("--master-client", type=int, metavar="ID", help="the client that hears of everybody's orders")
    add(
        "--market-data",
        choices=list(Supply),
        default=Supply.LIVE,
        help="what quotes there are (default live)",
    )
    add("--time-zone", default="US/Eastern", help="of the times of executions (default US/Eastern)")
    add("--rollback", type=int, default=0, metavar="N", help="forget the last N orderIds of each client")
    return options


def _describe_trading(add: Callable[..., object]) -> None:
    add(
        "--fill-delay-ms",
        type=_milliseconds,
        default=0.0,
        metavar="MS",
        help="usual time between fills; 0: at once",
    )
    add("--partials", type=int, default=1, metavar="N", help="cut an order into 1 to N fills (default 1)")
    add("--ack-delay-ms", type=_milliseconds, default=0.0, metavar="MS", help="from order to acknowledgement")
    add(
        "--cancel-ms",
        type=_milliseconds,
        default=0.0,
        metavar="MS",
        help="how long a cancel is pending; 0: not",
    )
    add("--fills-by-hand", action="store_true", help="fill only what the control port says")
    add("--half-spread-bps", type=_decimal, default=Decimal(1), metavar="BPS", help="(default 1)")
    add("--tick", type=_decimal, default=Decimal("0.01"), help="smallest step of the market (default 0.01)")
    add(
        "--commission-per-share",
        type=_decimal,
        default=Decimal("0.005"),
        metavar="USD",
        help="(default 0.005)",
    )
    add("--commission-min", type=_decimal, default=Decimal(1), metavar="USD", help="of an order (default 1)")
    add("--initial-margin", type=_decimal, default=Decimal("0.5"), metavar="SHARE", help="(default 0.5)")
    add(
        "--maintenance-margin", type=_decimal, default=Decimal("0.25"), metavar="SHARE", help="(default 0.25)"
    )
    add("--may-short", action="store_true", help="let a sale exceed what is held")
    add("--hard-to-borrow", action="append", default=[], metavar="SYMBOL", help="hold its short sales: 404")
    add("--currency", default="USD", help="of every account (default USD)")


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    port = "?"
    try:
        options = read_options(arguments)
        port = options.port
        asyncio.run(serve(options))
    except (SettingError, VenueError) as error:
        sys.stderr.write(f"simulator tws: {error}\n")
        return 2
    except OSError as error:
        what, remedy = (error.filename, " file or folder") if error.filename else (f"--port {port}", ", or 0")
        sys.stderr.write(f"simulator tws: {what}: {error.strerror}; choose another{remedy}\n")
        return 2
    except OverflowError as error:
        sys.stderr.write(f"simulator tws: --port {port}: {error}; choose another, or 0\n")
        return 2
    return 0


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; raises `SettingError`."""
    options = parser().parse_args(arguments)
    _check(options)
    return options


def _check(options: argparse.Namespace) -> None:
    if not LEAST <= options.server_version <= MOST or options.server_version == LEAST + 1:
        raise SettingError(f"--server-version {options.server_version}: give {LEAST}, or 159 to {MOST}")
    if options.rollback < 0:
        raise SettingError(f"--rollback {options.rollback}: give how many orderIds to forget, 0 or more")
    try:
        ZoneInfo(options.time_zone)
    except (ValueError, ZoneInfoNotFoundError):
        raise SettingError(f"--time-zone {options.time_zone} is not known; give one as US/Eastern") from None
    if not options.tick:
        raise SettingError("--tick must be above 0")
    for name in ("initial_margin", "maintenance_margin"):
        if not 0 < getattr(options, name) <= 1:
            raise SettingError(f"--{name.replace('_', '-')} must be above 0 and at most 1")


async def serve(options: argparse.Namespace, ground: Ground | None = None) -> None:
    """Serve until a signal or the control port ends it; on a `ground` other doors trade the same accounts."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    mishaps = Mishaps(options.seed)
    manners = Manners(options.time_zone, options.master_client, Supply(options.market_data))
    desk = Desk(mishaps, manners, utc_now, loop.call_later)
    journal, prefix = Journal(options.store), f"{int(utc_now().timestamp() * 1000):x}-"
    door = _door(options, desk, journal, prefix, ground)
    desk.serve(door)
    door.recover(prefix, utc_now())
    if ground is not None:
        ground.accounts.watch = partial(_moved_elsewhere, desk)
    if options.rollback:
        door.operate("rollback", {"count": options.rollback}, utc_now())
    server = Server(desk, Limits(options.server_version, options.max_rate))
    for planned in map(read_spec, options.fault):
        if planned.kind in TIMED:
            raise SettingError(f"--fault {planned.kind} begins at once; ask the control port for it")
        mishaps.plan(planned)
    world = World(desk, server, ended)
    await server.start(options.port)
    control = Control(world, world.commands())
    await control.start(options.control_port)
    where = {"host": "127.0.0.1", "port": server.port, "control_port": control.port}
    sys.stdout.write(json.dumps({"listening": where}) + "\n")
    sys.stdout.flush()
    ticking = asyncio.create_task(_tick(desk))
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait({ticking, ending}, return_when=asyncio.FIRST_COMPLETED)
    ticking.cancel()
    await control.stop()
    await server.stop()
    await asyncio.sleep(0)
    journal.close()
    if ticking.done() and not ticking.cancelled():
        ticking.result()


async def _tick(desk: Desk) -> None:
    """Let the venue do what is due, and quotes be followed, for ever."""
    looked = utc_now()
    while True:
        now = utc_now()
        desk.door.advance(now)
        if (now - looked).total_seconds() >= QUOTE_S:
            looked = now
            desk.look()
        due = desk.door.venue.next_event()
        wait_s = TICK_S if due is None else max((due - utc_now()) / timedelta(seconds=1), 0.0)
        await asyncio.sleep(min(wait_s, TICK_S))


def _moved_elsewhere(desk: Desk, order: Order) -> None:
    """Let positions be told that another door of these accounts has moved."""
    if order.owner != OWNER:
        asyncio.get_running_loop().call_soon(desk.say, [Moved(order.account, order.symbol)])


def _door(
    options: argparse.Namespace, desk: Desk, journal: Journal, prefix: str, ground: Ground | None
) -> Door:
    listed = [one.symbol for one in read_prices(options.prices)]
    unknown = next((symbol for symbol in options.hard_to_borrow if symbol not in listed), None)
    if unknown is not None:
        raise SettingError(f"--hard-to-borrow {unknown} does not stand in --prices; name one that does")
    if not read_accounts(options.accounts).every():
        raise SettingError(f"--accounts {options.accounts} names no account; name one at least")
    described = {f"--{name.replace('_', '-')}": str(getattr(options, name)) for name in BOUND}
    for name in ("prices", "accounts", "contracts"):
        path = getattr(options, name)
        content = "none" if path is None else hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        described[f"--{name}"] = f"content {content}"
    return Door(
        partial(_venue, options, ground), partial(_books, options), read_catalogue(listed, options.contracts),
        Terms(described, frozenset(options.hard_to_borrow)), journal, desk.say, prefix,
    )  # fmt: skip


def read_ground(options: argparse.Namespace) -> Ground:
    """Read market and accounts."""
    market = MarketSettings(seed=options.seed, tick=options.tick, half_spread_bps=options.half_spread_bps)
    return Ground(Market(read_prices(options.prices), market), read_accounts(options.accounts))


def _venue(options: argparse.Namespace, ground: Ground | None, prefix: str) -> Venue:
    settings = VenueSettings(
        seed=options.seed, id_prefix=prefix, tariff=_tariff(options), fill_delay_ms=options.fill_delay_ms,
        partials=options.partials, pending_ms=options.cancel_ms or None, fills_by_hand=options.fills_by_hand,
        ack_delay_ms=options.ack_delay_ms, day_end=OrdStatus.EXPIRED, lot=LOT, piece=Decimal(1),
    )  # fmt: skip
    ground = ground or read_ground(options)
    return Venue(ground.market, ground.accounts, settings)


def _books(options: argparse.Namespace, venue: Venue) -> Books:
    rule = MarginRule(options.initial_margin, options.maintenance_margin, options.may_short)
    return Books(venue.accounts, venue.market, rule, _tariff(options), options.currency, utc_now())


def _tariff(options: argparse.Namespace) -> Tariff:
    return Tariff(options.commission_per_share, options.commission_min)


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
