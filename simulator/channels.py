"""Interactive Brokers by both its channels: TWS's socket and a FIX session, over one market and its accounts.

    python -m simulator ibkr OPTIONS OF tws -- OPTIONS OF fix

Rules of this room:
1. The accounts and the market are one; orders, executions and the store are each channel's own, and neither
   shows anything of the other's: as at IBKR. Positions and cash are the accounts'.
2. Prices and accounts are named once, before the `--`. A price set at one control port is the market's; each
   channel looks at its own resting orders when its own control port says so.
3. Only the whole process is restarted: a store read twice would be booked twice.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from simulator.accounts import SettingError
from simulator.fix import command as fix
from simulator.fix.dictionary import DictionaryMissingError
from simulator.fix.store import StoreError
from simulator.fix.venue_app import VenueApp
from simulator.fix.venue_options import read_options
from simulator.tws import command as tws
from simulator.venue import VenueError

BETWEEN = "--"
USAGE = """usage: python -m simulator ibkr OPTIONS OF tws -- OPTIONS OF fix

Run Interactive Brokers' two channels over one market. The options are those of
`python -m simulator tws --help` and, without --prices and --accounts, of
`python -m simulator fix --profile venue --help`.
"""


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    told = list(arguments)
    if told[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        return 0
    at = told.index(BETWEEN) if BETWEEN in told else len(told)
    try:
        one = tws.read_options(told[:at])
        files = ["--prices", str(one.prices), "--accounts", str(one.accounts)]
        other = fix.parser("venue").parse_args(["--profile", "venue", *files, *told[at + 1 :]])
        asyncio.run(_serve(one, other))
    except (SettingError, VenueError, fix.UsageError, StoreError, DictionaryMissingError) as error:
        sys.stderr.write(f"simulator ibkr: {error}\n")
        return 2
    except OSError as error:
        what = f"{error.filename} cannot be used" if error.filename else "a port cannot be listened on"
        sys.stderr.write(f"simulator ibkr: {what} ({error.strerror}); choose another\n")
        return 2
    return 0


async def _serve(one: argparse.Namespace, other: argparse.Namespace) -> None:
    """Open the FIX door, then TWS's, whose line on stdout says that both listen."""
    ground = tws.read_ground(one)
    application = VenueApp(read_options(other, ground), control_port=other.control_port)
    acceptor, _ = fix.build(other, application)
    await acceptor.start()
    try:
        await application.start(acceptor)
        await tws.serve(one, ground)
    finally:
        await acceptor.stop()
        await application.stop()
