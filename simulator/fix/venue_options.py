"""What the venue profile can be told on the command line, and what that makes of the venue."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.accounts import Accounts, SettingError, Tariff, read_accounts
from simulator.fix.dialects import DIALECTS, PLAIN, Dialect
from simulator.fix.message import SessionId
from simulator.floor import VenueSettings
from simulator.ground import Ground
from simulator.market import Market, MarketSettings, read_prices
from simulator.orders import OrdStatus
from simulator.venue import Venue

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

_DESCRIBED = (
    "fill_delay_ms", "partials", "seed", "ack_delay_ms", "pending_ms", "fills_by_hand", "lot", "tick",
    "half_spread_bps", "displayed", "walk_bps", "commission_per_share", "commission_minimum",
    "commission_bps",
)  # fmt: skip
_DIGEST_CHARS = 16
_MAX_PORT = 65_535
_LEAST = {"partials": 1, "lot": Decimal("1E-9"), "tick": Decimal("1E-9")}


@dataclass(frozen=True, slots=True)
class Terms:
    """Set up the profile: `build` makes a venue with that prefix of ids; a store is bound to `described`."""

    build: Callable[[str], Venue]
    sessions: Sequence[SessionId]
    described: Mapping[str, str]
    prefix: str = ""
    seed: int = 1
    dialect: Dialect = PLAIN
    has_script: bool = False
    drop_copies: Sequence[SessionId] = ()


def add_options(options: argparse.ArgumentParser) -> None:
    """Describe the venue's own options."""
    add = options.add_argument_group("venue").add_argument
    add(
        "--dialect", choices=sorted(DIALECTS), default="plain", help="the venue to speak like (default plain)"
    )
    add("--prices", type=Path, required=True, metavar="CSV", help="symbol,price[,half_spread_bps] lines")
    add("--accounts", type=Path, metavar="FILE", help='{"main": {"cash": "1000.00", "positions": {...}}}')
    add(
        "--control-port",
        type=int,
        metavar="PORT",
        help="port of 127.0.0.1 that takes commands; 0: any",
    )
    add("--seed", type=int, default=1, help="of the market, of partial fills and of faults (default 1)")
    add("--fill-delay-ms", type=float, default=0.0, metavar="MS", help="usual time between fills; 0: at once")
    add("--partials", type=int, default=1, metavar="N", help="cut an order into 1 to N fills (default 1)")
    add("--ack-delay-ms", type=float, default=0.0, metavar="MS", help="time from order to acknowledgement")
    add("--pending-ms", type=float, metavar="MS", help="report cancels and replaces pending, decide later")
    add(
        "--script",
        action="store_true",
        help="act by an order's first quantity, as a certification table does",
    )
    add(
        "--drop-copy",
        action="append",
        default=[],
        metavar="COMPID",
        help="an accepted session that is told every report of the others and may not trade",
    )
    add("--fills-by-hand", action="store_true", help="fill only what the control port says")
    add("--lot", type=_decimal, default=Decimal(1), help="smallest quantity step (default 1)")
    add("--tick", type=_decimal, default=Decimal("0.01"), help="smallest price step (default 0.01)")
    add("--half-spread-bps", type=_decimal, default=Decimal(1), metavar="BPS", help="(default 1)")
    add("--displayed", type=int, default=0, metavar="QTY", help="typical size of a price level; 0: no limit")
    add("--walk-bps", type=float, default=0.0, metavar="BPS", help="random walk a second; 0: prices stand")
    add("--commission-per-share", type=_decimal, default=Decimal(0), metavar="AMOUNT", help="(default 0)")
    add(
        "--commission-minimum",
        type=_decimal,
        default=Decimal(0),
        metavar="AMOUNT",
        help="an order (default 0)",
    )
    add("--commission-bps", type=_decimal, default=Decimal(0), metavar="BPS", help="of the value (default 0)")


def read_options(options: argparse.Namespace, ground: Ground | None = None) -> Terms:
    """Read the files the options name and say what they make; on a `ground` others trade, too."""
    if (options.control_port or 0) > _MAX_PORT:
        raise SettingError(f"--control-port {options.control_port} is no port; give one up to {_MAX_PORT}")
    for name in (*_DESCRIBED, "control_port"):
        value, least = getattr(options, name), _LEAST.get(name, 0)
        if name != "seed" and value is not None and value < least:
            raise SettingError(f"--{name.replace('_', '-')} {value} is too small; give {least} or more")
    listings = read_prices(options.prices)
    if options.accounts is not None:
        read_accounts(options.accounts)
    market = MarketSettings(
        seed=options.seed, tick=options.tick, half_spread_bps=options.half_spread_bps,
        displayed=options.displayed, walk_bps=options.walk_bps,
    )  # fmt: skip

    def build(prefix: str) -> Venue:
        if ground is not None:
            return Venue(ground.market, ground.accounts, _settings(options, prefix))
        accounts = Accounts() if options.accounts is None else read_accounts(options.accounts)
        return Venue(Market(listings, market), accounts, _settings(options, prefix))

    described = {f"--{name.replace('_', '-')}": str(getattr(options, name)) for name in _DESCRIBED}
    described |= {
        "--dialect": options.dialect,
        "--prices": _digest(options.prices),
        "--accounts": _digest(options.accounts),
    }
    sessions = [
        SessionId(begin_string, options.comp_id, comp_id)
        for begin_string, _, comp_id in (item.partition(":") for item in options.accept)
    ]
    dialect = DIALECTS[options.dialect]
    for session in sessions:
        if session.begin_string not in dialect.begin_strings:
            known = " or ".join(dialect.begin_strings)
            raise SettingError(f"--accept {session.begin_string}: {dialect.name} speaks {known}; write that")
    copied, accepted = set(options.drop_copy), {one.target_comp_id for one in sessions}
    if copied - accepted:
        raise SettingError(f"--drop-copy {min(copied - accepted)} is no session; --accept it, too")
    return Terms(
        build, [one for one in sessions if one.target_comp_id not in copied], described,
        new_prefix(datetime.now(UTC)), options.seed, dialect, options.script,
        [one for one in sessions if one.target_comp_id in copied],
    )  # fmt: skip


def new_prefix(now: datetime) -> str:
    """Make the prefix of the ids of a new store: milliseconds in hexadecimal, and a dash."""
    return f"{int(now.timestamp() * 1000):x}-"


def _settings(options: argparse.Namespace, prefix: str) -> VenueSettings:
    return VenueSettings(
        seed=options.seed,
        id_prefix=prefix,
        tariff=Tariff(options.commission_per_share, options.commission_minimum, options.commission_bps),
        fill_delay_ms=options.fill_delay_ms,
        partials=options.partials,
        ack_delay_ms=options.ack_delay_ms,
        pending_ms=options.pending_ms,
        fills_by_hand=options.fills_by_hand or options.script,
        day_end=OrdStatus.EXPIRED,
        lot=options.lot,
    )


def _digest(path: Path | None) -> str:
    """Name the content of a file, whatever its name."""
    if path is None:
        return "none"
    return f"content {hashlib.sha256(path.read_bytes()).hexdigest()[:_DIGEST_CHARS]}"


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(text)
    return number
