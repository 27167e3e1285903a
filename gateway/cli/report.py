"""`gateway report`: a week, as a page, as JSON, or as a few lines. `gateway alerts`: who was told what."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from gateway.cli.connect import as_json, known_account, print_json, print_table, redis_of, write_file
from gateway.cli.root import NO_ANSWER, OK, Context
from gateway.config import GatewayConfig, load
from gateway.errors import ConfigError
from gateway.runtime.archive import Archive
from gateway.runtime.clock import clock_of
from gateway.runtime.keys import Keys
from gateway.runtime.knowledge import make_market
from gateway.runtime.store import Journal
from gateway.runtime.wire import encode_json
from gateway.views.alerts import make_senders
from gateway.views.notices import Notice, notices_between, recent_notices
from gateway.views.page import render
from gateway.views.report import make_report
from gateway.views.week import Week, gather, week_at, week_of


@click.command()
@click.option("--week", "week_name", default="", help="The ISO week, like 2026-W48; this week by itself.")
@click.option("--account", default="", help="Only this account.")
@click.option(
    "--html", "html_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the page here."
)
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, allow_dash=True), default="", metavar="FILE",
    help="Write JSON here; - prints it.",
)  # fmt: skip
@click.pass_obj
def report(context: Context, week_name: str, account: str, html_path: Path | None, json_path: str) -> int:
    """Report a week: weights, drift and its cost, recommendations, trades, costs, tax, locks, alerts.

    It is made from the journal, beside the running gateway or without it; a past week is shown as it was
    at its end. Without --html and --json a summary is printed.
    """
    config = load(context.config_path)
    if account:
        known_account(config, account)
    made_at = clock_of(config.state_folder).now()
    week = week_of(week_name, config.time_zone) if week_name else week_at(made_at, config.time_zone)
    found = asyncio.run(_report(config, week, account))
    if json_path == "-":
        print_json(found)
    elif json_path:
        write_file(Path(json_path), encode_json(found).decode() + "\n")
        click.echo(json_path)
    if html_path is not None:  # last: where the page stands, the report is whole
        write_file(html_path, render(found))
        click.echo(f"{html_path}")
    if html_path is None and not json_path:
        print_report(found)
    return OK


async def _report(config: GatewayConfig, week: Week, account: str) -> dict[str, Any]:
    keys = Keys(config.household)
    async with redis_of(config) as redis:
        journal = Journal(redis, keys, 0, "reader", archive=Archive(config.archive_folder()))
        past = await gather(journal.read(), config.settings(), week)
        notices = await notices_between(redis, keys, week.begins, week.ends)
    clock = clock_of(config.state_folder)
    return make_report(past, config.settings(), notices, clock.now(), account, make_market(config, clock))


def print_report(found: dict[str, Any]) -> None:
    """Print the report in a few lines for each account."""
    state = "" if found["is_over"] else " (not over yet)"
    click.echo(f"{found['household']}, week {found['week']}{state}")
    for one in found["accounts"]:
        _print_account(one)
    for halt in found["halts"]:
        until = f"until {halt['until']:%Y-%m-%d %H:%M}" if halt["until"] else "still halted"
        click.echo(
            f"HALT {halt['account'] or 'all'} since {halt['since']:%Y-%m-%d %H:%M}, {until}: {halt['reason']}"
        )
    click.echo(f"{len(found['alerts'])} alerts; `gateway report --html FILE` shows everything")


def _print_account(one: dict[str, Any]) -> None:
    rows = [
        [row["symbol"], row["qty"], _share(row["weight"]), _share(row["target"])] for row in one["weights"]
    ]
    print_table(["name", "shares", "weight", "target"], rows, f"Account {one['account']}")
    change = "" if one["change"] is None else f"  change {one['change']:+,.2f}"
    nav = "not known" if one["nav"] is None else f"{one['nav']:,.2f}"
    click.echo(f"NAV {nav}{change}  cash {one['cash']:,.2f}")
    costs, realised = one["costs"], one["realised"]
    click.echo(
        f"{len(one['trades'])} executions  commission {costs['commission']:,.2f}  "
        f"spread about {costs['spread']:,.2f}"
    )
    click.echo(f"realised short-term {realised['short']:,.2f}  long-term {realised['long']:,.2f}")
    if (drift := one["drift"]) is not None:
        click.echo(
            f"largest drift {drift['largest']:.2%}, which costs about {drift['cost_a_year']:,.2f} a year"
        )
        click.echo(f"recommendation: {one['recommendation']['action']} - {one['recommendation']['reason']}")
    for lock in one["locks"]:
        click.echo(f"locked: do not {lock['what']} {', '.join(lock['symbols'])} before {lock['free_from']}")
    for row in one["substitutions"]:
        click.echo(f"substitute: {row['because']}")
    for row in (one["harvest"] or {"swaps": []})["swaps"]:
        click.echo(f"harvest: {row['why']}")
    for note in one["notes"]:
        click.echo(f"note: {note}")


def _share(weight: float | None) -> str:
    return "" if weight is None else f"{weight:.2%}"


@click.command()
@click.option("--count", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many.")
@click.option("--test", "is_test", is_flag=True, help="Send a test message to every configured address.")
@as_json
@click.pass_obj
def alerts(context: Context, count: int, is_test: bool, is_json: bool) -> int:
    """List the newest alerts, or test the addresses of [alerts]; exit 4 when one does not answer."""
    config = load(context.config_path)
    if is_test:
        return _test(config)
    found = asyncio.run(_recent(config, count))
    if is_json:
        print_json(found)
    elif found:
        rows = [[one.at[:19], one.severity, one.code, one.account, one.text] for one in found]
        print_table(["at", "severity", "code", "account", "text"], rows)
    else:
        click.echo("no alerts")
    return OK


async def _recent(config: GatewayConfig, count: int) -> list[Notice]:
    async with redis_of(config) as redis:
        return await recent_notices(redis, Keys(config.household), count)


def _test(config: GatewayConfig) -> int:
    """Send one message to each address and say which arrived."""
    senders = make_senders(config.alerts.urls)
    if not senders:
        raise ConfigError("alerts.urls: no address is configured; set GATEWAY_ALERTS__URLS__<NAME>")
    title = f"[info] {config.household}: test"
    arrived = {
        name: send(title, "This is a test of the gateway's alerts.", "info") for name, send in senders.items()
    }
    for name, is_there in arrived.items():
        click.echo(f"{name}: {'delivered' if is_there else 'NOT delivered'}")
    return OK if all(arrived.values()) else NO_ANSWER


COMMANDS = {"report": report, "alerts": alerts}
