"""`gateway demo`: the whole straight line on this machine, watched, and checked against the venue.

Starts the embedded Redis, the bundled venue and the gateway as three processes, submits the
example portfolio's targets as a user would, shows what happens, and compares the gateway's book with
the venue's own record: one share or one cent of difference is exit code 1. With `--pull-the-plug` the
gateway is killed (SIGKILL) in the middle of the basket and started again.

With `--venue NAME` the same over another venue's dialect and TLS, over Alpaca's REST and WebSocket, or over
the socket of Interactive Brokers' TWS; `config/demo-NAME.toml` says how.

`demo`, `certify`, `train`, `backtest` and `harvest-study` are the only commands that import the simulator.
"""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from gateway.cli.connect import client_of, make_folder, print_table
from gateway.cli.follow import POLL_S, print_orders, progress
from gateway.cli.read import print_account, print_gains
from gateway.cli.root import DIFFERS, OK, Context
from gateway.cli.submit import print_decision
from gateway.config import GatewayConfig, load
from gateway.errors import ConfigError
from gateway.events import RequestState
from simulator.stage import ALPACA, TWS, Stage, StageError

ACCOUNT = "main"
REQUEST_ID = "demo-1"
TIMEOUT_S = 60.0
KILL_AT_FILLS = 4
FILL_DELAY_MS, SLOW_FILL_DELAY_MS = 150, 800
"""What a venue takes for each part of an order; slower where a busy machine must not miss the middle."""
SETTLE_S = 0.3


@click.command()
@click.option("--pull-the-plug", is_flag=True, help="Kill the gateway (SIGKILL) mid-basket and restart it.")
@click.option("--venue", default="", help="Trade at another venue: a config/demo-NAME.toml.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep state and logs here.")
@click.pass_obj
def demo(context: Context, pull_the_plug: bool, venue: str, keep: Path | None) -> int:
    """Watch real weights become fills over a real session with a venue, with costs and taxes explained."""
    config_path = _config_of(context.config_path.parent, venue) if venue else context.config_path
    folder = keep or Path(tempfile.mkdtemp(prefix="gateway-demo-"))
    stage, config = prepare(config_path, folder, SLOW_FILL_DELAY_MS if pull_the_plug else FILL_DELAY_MS)
    try:
        return _play(stage, config, pull_the_plug=pull_the_plug)
    except StageError as problem:
        click.echo(f"demo: {problem}", err=True)
        return DIFFERS
    finally:
        stage.close()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _config_of(folder: Path, venue: str) -> Path:
    """Return the configuration of a venue's demonstration."""
    found = {path.stem.removeprefix("demo-"): path for path in folder.glob("demo-*.toml")}
    if venue not in found:
        raise ConfigError(
            f"--venue {venue}: no {folder}/demo-{venue}.toml; known: {', '.join(sorted(found))}"
        )
    return found[venue]


def prepare(
    config_path: Path, folder: Path, fill_delay_ms: int = FILL_DELAY_MS
) -> tuple[Stage, GatewayConfig]:
    """Lay out the stage of a configuration's portfolio in `folder`."""
    config = load(config_path).model_copy(update={"state_folder": folder / "state"})
    make_folder(folder, "--keep")
    opening: dict[str, Any] = {}
    for name, account in config.accounts.items():
        positions: dict[str, Decimal] = {}
        for lot in config.opening_lots(name):
            positions[lot.symbol] = positions.get(lot.symbol, Decimal(0)) + lot.qty
        held = {symbol: str(qty) for symbol, qty in positions.items()}
        opening[name] = {"cash": str(account.opening_cash), "positions": held}
    accounts = folder / "venue-accounts.json"
    accounts.write_text(json.dumps(opening, indent=1), encoding="utf-8")
    tick = min(one.tick_size for one in config.settings().instruments.values())
    options = ["--fill-delay-ms", str(fill_delay_ms), "--partials", "3", "--seed", "7", "--tick", str(tick)]
    if "sim" in config.alpaca_links():
        stage = Stage(
            folder=folder, config=config_path, prices=_examples(config) / "prices.csv", accounts=accounts,
            venue_options=[*options, "--account", ACCOUNT], dialect=ALPACA,
            environment={"GATEWAY_STATE_FOLDER": str(folder / "state")},
        )  # fmt: skip
        return stage, config
    if "sim" in config.tws_links():
        costs = config.accounts[ACCOUNT].costs
        stage = Stage(
            folder=folder, config=config_path, prices=_examples(config) / "prices.csv", accounts=accounts,
            venue_options=[
                *options, "--commission-per-share", str(costs.commission_per_share),
                "--commission-min", str(costs.commission_minimum),
            ],
            dialect=TWS, environment={"GATEWAY_STATE_FOLDER": str(folder / "state")},
        )  # fmt: skip
        return stage, config
    return _fix_stage(config_path, config, folder, accounts, options), config


def _fix_stage(
    config_path: Path, config: GatewayConfig, folder: Path, accounts: Path, options: list[str]
) -> Stage:
    """Lay out a stage whose venue speaks FIX."""
    link, costs = config.fix_links()["sim"], config.accounts[ACCOUNT].costs
    sessions = {
        key.replace(".", "__").upper(): one.sender_comp_id
        for key, one in config.sessions().items()
        if key != "links.sim"
    }
    passwords = {f"GATEWAY_{place}__PASSWORD": "only a demo" for place in ("LINKS__SIM", *sessions)}
    return Stage(
        folder=folder,
        config=config_path,
        prices=_examples(config) / "prices.csv",
        accounts=accounts,
        venue_options=[
            *options,
            "--commission-per-share", str(costs.commission_per_share),
            "--commission-minimum", str(costs.commission_minimum),
            "--commission-bps", str(costs.commission_bps),
        ],
        environment={"GATEWAY_STATE_FOLDER": str(folder / "state"), **passwords},
        sessions=sessions,
        sender_comp_id=link.sender_comp_id,
        begin_string=link.spoken().begin_string,
        dialect=link.dialect,
        has_tls=link.dialect != "plain",
    )  # fmt: skip


def _examples(config: GatewayConfig) -> Path:
    """Return the folder of the account's lots, where its prices and targets stand beside them."""
    return config.folder / Path(config.accounts[ACCOUNT].opening_lots).parent


def _play(stage: Stage, config: GatewayConfig, *, pull_the_plug: bool) -> int:
    speakers = {ALPACA: "a venue that speaks as Alpaca does", TWS: "a venue that speaks as TWS does"}
    what = speakers.get(stage.dialect, "the FIX venue")
    click.secho(f"Starting Redis, {what} and the gateway: three processes on 127.0.0.1", bold=True)
    for name, start in (
        ("redis", stage.start_redis),
        ("venue", stage.start_venue),
        ("gateway", stage.start_gateway),
    ):
        start()
        click.echo(f"  {name:8s} process {stage.processes[name].pid}  log {stage.folder / name}.log")
    examples = _examples(config)
    if config.quotes:
        sources = {ALPACA: "latest quotes", TWS: "snapshots, over a client id of their own"}
        source = sources.get(stage.dialect, "quote session, a second FIX session of the gateway")
        click.echo(f"\nPrices come from the venue's {source}")
    else:
        _gateway(stage, "prices", str(examples / "prices.csv"), "--source", "closing prices of 2022-12-28")
    click.secho(f"\nSubmitting {examples / 'targets.csv'} through the Redis stream", bold=True)
    _gateway(stage, "submit", str(examples / "targets.csv"), "--account", ACCOUNT, "--request-id", REQUEST_ID)
    asyncio.run(_watch(stage, config, pull_the_plug=pull_the_plug))
    return _report(stage, config)


def _gateway(stage: Stage, *arguments: str) -> None:
    """Run a `gateway` command as a user would, showing it."""
    click.secho(f"$ gateway {' '.join(arguments)}", dim=True)
    done = subprocess.run(stage.gateway_command(*arguments), env=stage.child_environment(), check=False)
    if done.returncode:
        raise StageError(
            f"gateway {arguments[0]} ended with code {done.returncode}\n{stage.log('gateway')[-2000:]}"
        )


async def _watch(stage: Stage, config: GatewayConfig, *, pull_the_plug: bool) -> None:
    """Show progress until the request has ended; kill and restart the gateway when asked to."""
    last, to_kill = "", pull_the_plug
    async with client_of(config) as client:
        for _ in range(int(TIMEOUT_S / POLL_S)):
            body = await client.request(REQUEST_ID)
            line = "waiting for the gateway" if body is None else progress(body)
            if line != last:
                _show(line)
                last = line
            if body is not None and RequestState(body["state"]).is_final:
                break
            if to_kill and body is not None and body["fills"] >= KILL_AT_FILLS:
                to_kill = False
                _pull_the_plug(stage)
            await asyncio.sleep(POLL_S)
        else:
            raise StageError(f"the request did not end in {TIMEOUT_S:.0f} s\n{stage.log('gateway')[-2000:]}")
    click.echo("")


def _show(line: str) -> None:
    if sys.stdout.isatty():
        click.echo(f"\r\x1b[2K{line}", nl=False)
    else:
        click.echo(line)


def _pull_the_plug(stage: Stage) -> None:
    stage.kill("gateway")
    click.secho("\n*** gateway killed with SIGKILL in the middle of the basket ***", bold=True)
    time.sleep(0.5)
    stage.start_gateway()
    click.secho("*** started again: journal replayed, open orders looked up at the venue ***", bold=True)


async def _result(config: GatewayConfig) -> tuple[dict[str, Any], dict[str, Any], list[Any], dict[str, Any]]:
    """Return the request, its decision, its orders and the book as the gateway shows them."""
    async with client_of(config) as client:
        await asyncio.sleep(SETTLE_S)
        found = (
            await client.request(REQUEST_ID), await client.decision(REQUEST_ID),
            await client.orders(REQUEST_ID), await client.book(),
        )  # fmt: skip
    body, decision, orders, book = found
    if body is None or decision is None or book is None:
        raise StageError("the gateway shows no request, decision or book")
    return body, decision, orders, book


def _report(stage: Stage, config: GatewayConfig) -> int:
    """Print what happened, and compare the book with the venue's record and the journal's replay."""
    body, decision, orders, after = asyncio.run(_result(config))
    print_decision({**decision, "denied": body["denied"]})
    print_orders(orders)
    _print_weights(config, decision, after)
    for name, account in after["accounts"].items():
        print_account(name, account)
    print_gains(after["realised"])
    if not body["fills"]:
        click.echo(f"demo: nothing was filled\n{stage.log('gateway')[-2000:]}", err=True)
        return DIFFERS
    differences = compare_with_venue(after, stage.record())
    command = stage.gateway_command("replay")
    replayed = subprocess.run(command, env=stage.child_environment(), check=False, capture_output=True)
    click.echo(f"\njournal: {replayed.stdout.decode().strip()}")
    if differences or replayed.returncode:
        print_table(["account", "what", "gateway", "venue"], differences, "THE BOOKS DIFFER")
        return DIFFERS
    click.secho(
        f"The gateway's book equals the venue's own record: {len(orders)} orders, "
        f"{body['fills']} fills, cash {after['accounts'][ACCOUNT]['cash']}",
        bold=True,
    )
    return OK


def _print_weights(config: GatewayConfig, decision: dict[str, Any], after: dict[str, Any]) -> None:
    """Print weights before, target and after."""
    with (_examples(config) / "targets.csv").open(encoding="utf-8") as file:
        targets = {row["symbol"]: Decimal(row["weight"]) for row in csv.DictReader(file)}
    before = {name["symbol"]: Decimal(str(name["weight_before"])) for name in decision["names"]}
    held = after["accounts"][ACCOUNT]["positions"]
    rows = []
    for symbol in sorted({*targets, *before, *held}):
        was, now = before.get(symbol, Decimal(0)), Decimal(held.get(symbol, {}).get("weight") or 0)
        target = targets.get(symbol)
        gap = "" if target is None else f"{now - target:+.2%}"
        rows.append([symbol, f"{was:.2%}", "" if target is None else f"{target:.2%}", f"{now:.2%}", gap])
    print_table(["name", "before", "target", "after", "gap"], rows, "Weights")


def compare_with_venue(book: dict[str, Any], record: dict[str, Any]) -> list[list[str]]:
    """Return every difference of cash or shares between our book and the venue's, exactly."""
    found: list[list[str]] = []
    for name, account in book["accounts"].items():
        theirs = record["accounts"][name]
        ours = {symbol: Decimal(one["qty"]) for symbol, one in account["positions"].items()}
        venue = {symbol: Decimal(qty) for symbol, qty in theirs["positions"].items() if Decimal(qty)}
        if Decimal(account["cash"]) != Decimal(theirs["cash"]):
            found.append([name, "cash", str(account["cash"]), str(theirs["cash"])])
        found += [
            [name, f"shares of {symbol}", str(ours.get(symbol, 0)), str(venue.get(symbol, 0))]
            for symbol in sorted({*ours, *venue})
            if ours.get(symbol) != venue.get(symbol)
        ]
    return found


COMMANDS = {"demo": demo}
