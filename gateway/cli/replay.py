"""`gateway replay`: rebuild the book from the journal and compare it with what the gateway shows."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import click

from gateway.cli.connect import as_json, client_of, print_json, print_table, redis_of
from gateway.cli.root import DIFFERS, OK, Context
from gateway.config import GatewayConfig, load
from gateway.engine import Engine
from gateway.runtime.archive import Archive
from gateway.runtime.keys import Keys
from gateway.runtime.present import book_model
from gateway.runtime.store import Journal
from gateway.runtime.wire import decode_json, encode_json

TRIES = 20
PAUSE_S = 0.25


@click.command()
@as_json
@click.pass_obj
def replay(context: Context, is_json: bool) -> int:
    """Replay the whole journal from its first event and compare the books; exit 1 when they differ.

    Reads only: it may run beside a working gateway, and then compares again until the two have met.
    """
    config = load(context.config_path)
    report = asyncio.run(_replay(config))
    if is_json:
        print_json(report)
    else:
        click.echo(f"{report['events']} events replayed")
        rows = [[one["account"], one["what"], one["journal"], one["shown"]] for one in report["differences"]]
        if rows:
            print_table(["account", "what", "journal", "shown"], rows, "Differences")
        else:
            click.echo("the replayed book equals the book the gateway shows")
    return DIFFERS if report["differences"] else OK


async def _replay(config: GatewayConfig) -> dict[str, Any]:
    async with redis_of(config) as redis, client_of(config) as client:
        for patience in range(TRIES, 0, -1):
            engine, events = await _rebuilt(config, redis)
            shown = await client.book()
            rebuilt = decode_json(encode_json(book_model(engine.state)))
            differences = compare(rebuilt, shown or {"accounts": {}, "realised": []})
            if not differences or patience == 1:
                return {"events": events, "differences": differences}
            await asyncio.sleep(PAUSE_S)
        raise AssertionError("the loop above always returns")


async def _rebuilt(config: GatewayConfig, redis: Any) -> tuple[Engine, int]:
    """Apply every journal entry to an empty engine."""
    journal = Journal(redis, Keys(config.household), 0, "reader", archive=Archive(config.archive_folder()))
    engine, events = Engine(config.settings()), 0
    async for _, event in journal.read():
        engine.replay(event)
        events += 1
    return engine, events


def compare(journal: dict[str, Any], shown: dict[str, Any]) -> list[dict[str, str]]:
    """Return every difference in cash, commissions, positions and realised gains."""
    found: list[dict[str, str]] = []
    for name in sorted({*journal["accounts"], *shown["accounts"]}):
        ours, theirs = _flat(journal, name), _flat(shown, name)
        found += [
            {"account": name, "what": what, "journal": str(ours.get(what)), "shown": str(theirs.get(what))}
            for what in sorted({*ours, *theirs})
            if ours.get(what, Decimal(0)) != theirs.get(what, Decimal(0))
        ]
    return found


def _flat(book: dict[str, Any], account: str) -> dict[str, Decimal]:
    """Return the numbers of one account by name."""
    one = book["accounts"].get(account)
    if one is None:
        return {}
    flat = {"cash": Decimal(one["cash"]), "commissions": Decimal(one["commissions"])}
    flat |= {f"shares of {symbol}": Decimal(row["qty"]) for symbol, row in one["positions"].items()}
    gains = [Decimal(gain["gain"]) for gain in book["realised"] if gain["account"] == account]
    return flat | {"realised gains": sum(gains, Decimal(0))}


COMMANDS = {"replay": replay}
