"""`gateway run`: the process. `gateway redis`: the embedded server on its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any

import click

from gateway.cli.root import OK, Context
from gateway.config import load
from gateway.runtime.logs import setup_logging

GC_ALLOCATIONS = 50_000
"""Objects between two garbage collections: events make many that die young, and no cycles."""


@click.command()
@click.option("--log-format", type=click.Choice(["human", "json"]), default="human", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.pass_obj
def run(context: Context, log_format: str, log_level: str) -> int:
    """Run the gateway until SIGTERM or Ctrl-C.

    SIGTERM or one Ctrl-C stops cleanly: intake first, then the FIX sessions log out, then the journal
    is finished. A second Ctrl-C stops at once; nothing is lost by it, starting again is recovering.
    """
    from gateway.app import Gateway, serve  # noqa: PLC0415 - `--help` need not load every room

    config = load(context.config_path)
    secrets = [one.password.get_secret_value() for one in config.sessions().values()]
    secrets += [key.get_secret_value() for key in config.signing.keys.values()]
    secrets += [url.get_secret_value() for url in config.alerts.urls.values()]
    setup_logging(log_level, as_json=log_format == "json", secrets=[one for one in secrets if one])

    def ready(gateway: Gateway) -> None:
        gc.freeze()  # what was loaded stays: collections need not look at it again
        gc.set_threshold(GC_ALLOCATIONS)
        logging.getLogger("gateway").info(
            "running: household %s, epoch %d, journal at %d, links %s",
            config.household, gateway.lease.epoch, gateway.journal.seq, ", ".join(gateway.brokers),
        )  # fmt: skip

    async def until_stopped() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            if stop.is_set():
                logging.getLogger("gateway").warning("stopping at once")
                sys.stdout.flush()
                sys.stderr.flush()
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)
            stop.set()

        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_signal_handler(signal.SIGINT, interrupted)
        await serve(config, stop, ready)

    run_async(until_stopped())
    return OK


@click.command()
@click.pass_obj
def redis(context: Context) -> int:
    """Run the embedded Redis of the state folder on its own, until Ctrl-C or SIGTERM.

    It ends, too, when the server died and cannot be started again.
    """
    from gateway.runtime import embedded  # noqa: PLC0415

    config = load(context.config_path)

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        server = await embedded.ensure(config.state_folder)
        click.echo(f"embedded Redis answers at {server.url}")
        keeper, stopping = asyncio.ensure_future(server.keep_alive()), asyncio.ensure_future(stop.wait())
        await asyncio.wait([keeper, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (keeper, stopping):
            task.cancel()
        await asyncio.gather(keeper, stopping, return_exceptions=True)
        await asyncio.to_thread(server.stop)
        if not keeper.cancelled():
            keeper.result()

    asyncio.run(until_stopped())
    return OK


def run_async(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on uvloop when it is installed, else on the standard loop."""
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


COMMANDS = {"run": run, "redis": redis}
