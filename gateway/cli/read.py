"""`gateway status|orders|book|request|news|rejected|schema|config`: what can be seen."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import click

from gateway.cli.connect import as_json, print_json, print_table, with_client
from gateway.cli.follow import print_orders
from gateway.cli.root import NO_ANSWER, OK, Context
from gateway.cli.submit import print_decision
from gateway.client import GatewayClient
from gateway.config import load
from gateway.errors import StoreUnavailable
from gateway.runtime.schema import json_schema


def _money(value: object) -> str:
    return "" if value is None else f"{Decimal(str(value)):,.2f}"


def _model(
    context: Context, ask: Callable[[GatewayClient], Awaitable[dict[str, Any] | None]]
) -> dict[str, Any]:
    """Return what the gateway shows of itself; raises `StoreUnavailable` when it never ran."""
    found = with_client(context, ask)
    if found is None:
        raise StoreUnavailable("no gateway has run for this household yet: start it with `gateway run`")
    return found


@click.command()
@as_json
@click.pass_obj
def status(context: Context, is_json: bool) -> int:
    """Show the gateway's own state: links, halts, what works and what waits."""
    found = _model(context, GatewayClient.status)
    if is_json:
        print_json(found)
        return OK
    plain = ("household", "at", "pid", "epoch", "journal_seq", "open_orders", "waiting_to_send", "version")
    for name in plain:
        click.echo(f"{name:16s} {found[name]}")
    for name, link in found["links"].items():
        click.echo(f"link {name:11s} {'up' if link['is_up'] else 'DOWN'} ({link['environment']})")
    for name, copy in found["drop_copies"].items():
        state = "up" if copy["is_up"] else "DOWN"
        click.echo(f"drop copy {name:6s} {state} (of {copy['of']}, {copy['waiting']} executions to compare)")
    if risk := found.get("risk"):
        click.echo(f"risk             {risk}")
    _print_watch(found)
    for account, reason in found["halts"].items():
        click.secho(f"HALTED {account or 'all accounts'}: {reason}", bold=True)
    for account, request_id in found["active"].items():
        click.echo(f"working {account}: {request_id}")
    for account, queue in found["queued"].items():
        click.echo(f"queued {account}: {', '.join(queue)}")
    return OK


def _print_watch(found: dict[str, Any]) -> None:
    """Print what each account is watched against, and what has left to whom."""
    for account, drift in found.get("drift", {}).items():
        click.echo(f"drift {account:10s} {_drift(drift)}")
    for account, texts in found.get("substitutions", {}).items():
        for text in texts:
            click.echo(f"substitute {account}: {text}")
    for name, one in found.get("alerts", {}).items():
        click.echo(f"alerts {name:9s} {', '.join(f'{count} {word}' for word, count in one.items())}")


def _drift(one: dict[str, Any]) -> str:
    """Say against what an account is watched, and what was last seen."""
    against = f"watched against {one['targets_of']} of {one['since'][:10]}"
    if one["cancelled_by"]:
        against += f" (cancelled by {one['cancelled_by']}: nothing is sent for it)"
    seen = one["seen"]
    if seen is None:
        return f"{against}, not looked at yet"
    at = seen["at"][:16].replace("T", " ")
    return f"{against}; {seen['level']} at {at} UTC, {seen['max_drift']:.2%} in {seen['symbol'] or 'no name'}"


@click.command()
@click.option("--request", "request_id", default=None, help="Only the orders of this request.")
@click.option("--open", "only_open", is_flag=True, help="Only orders that may still fill.")
@as_json
@click.pass_obj
def orders(context: Context, request_id: str | None, only_open: bool, is_json: bool) -> int:
    """List orders with their ClOrdIDs and what came of them."""
    found = with_client(context, lambda client: client.orders(request_id))
    if only_open:
        found = [one for one in found if Decimal(one["leaves_qty"]) > 0]
    if is_json:
        print_json(found)
    elif found:
        print_orders(found)
    else:
        click.echo("no orders")
    return OK


@click.command()
@as_json
@click.pass_obj
def book(context: Context, is_json: bool) -> int:
    """Show cash, positions, weights and realised gains of every account."""
    found = _model(context, GatewayClient.book)
    if is_json:
        print_json(found)
        return OK
    for name, account in found["accounts"].items():
        print_account(name, account)
    print_gains(found["realised"])
    return OK


def print_account(name: str, account: dict[str, Any]) -> None:
    """Print one account's positions and cash."""
    rows = [
        [symbol, one["qty"], one["price"], _money(one["value"]), _share(one["weight"])]
        for symbol, one in account["positions"].items()
    ]
    rows.append(["cash", "", "", _money(account["cash"]), ""])
    print_table(["name", "shares", "price", "value", "weight"], rows, f"Account {name}")
    click.echo(f"NAV {_money(account['nav'])}  commissions so far {_money(account['commissions'])}")
    for one in account.get("substitutions", ()):
        until = f"{one['original']} may be bought again from {one['free_from']}"
        click.echo(
            f"{one['other']} stands in for {one['original']}, sold at a loss on {one['since']}: {until}"
        )


def print_gains(realised: list[dict[str, Any]]) -> None:
    """Print what has been realised, lot by lot."""
    if realised:
        rows = [
            [one["symbol"], one["qty"], one["acquired"], one["sold"], one["term"], _money(one["gain"])]
            for one in realised
        ]
        print_table(["name", "shares", "acquired", "sold", "term", "gain"], rows, "Realised gains")
        total = sum((Decimal(one["gain"]) for one in realised), Decimal(0))
        click.echo(f"total {_money(total)}")


def _share(weight: object) -> str:
    return "" if weight is None else f"{Decimal(str(weight)):.2%}"


@click.command()
@click.argument("request_id")
@as_json
@click.pass_obj
def request(context: Context, request_id: str, is_json: bool) -> int:
    """Show one request: its state, and what was decided with every number."""

    async def work(client: GatewayClient) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        return await client.request(request_id), await client.decision(request_id)

    body, decision = with_client(context, work)
    if body is None:
        click.echo(f"request {request_id} is not known (see `gateway rejected` for refused ones)", err=True)
        return NO_ANSWER
    if is_json:
        print_json({"request": body, "decision": decision})
        return OK
    click.echo(f"{body['state']}: {body['action']} - {body['text'] or body['reason']}")
    if decision is not None:
        print_decision(decision)
    return OK


@click.command()
@click.option("--after", default="$", help="Start behind this entry id; 0 shows all that is kept.")
@click.option("--count", type=int, default=0, help="Stop after so many; 0 goes on until Ctrl-C.")
@as_json
@click.pass_obj
def news(context: Context, after: str, count: int, is_json: bool) -> int:
    """Follow what happens, one JSON line each (with or without --json)."""
    del is_json
    if after != "$" and not re.fullmatch(r"[0-9]+(-[0-9]+)?", after):
        raise click.UsageError(f"--after {after}: write the id of an entry, like 1795907848372-0, or 0")

    async def work(client: GatewayClient) -> None:
        seen = 0
        async for entry_id, item in client.news(after):
            click.echo(json.dumps({"id": entry_id, **item}))
            seen += 1
            if seen == count:
                return

    with_client(context, work)
    return OK


@click.command()
@as_json
@click.pass_obj
def rejected(context: Context, is_json: bool) -> int:
    """List refused input messages: which field, and why."""
    found = with_client(context, GatewayClient.rejected)
    if is_json:
        print_json(found)
    elif found:
        rows = [[one["at"], one["stream"], one["id"], one["field"], one["reason"]] for one in found]
        print_table(["at", "stream", "entry", "field", "reason"], rows)
    else:
        click.echo("nothing was rejected")
    return OK


@click.command()
def schema() -> int:
    """Print the JSON schema of a target message, for other languages."""
    click.echo(json.dumps(json_schema(), indent=2))
    return OK


@click.command()
@click.pass_obj
def config(context: Context) -> int:
    """Print the configuration in force, secrets hidden; a mistake is named with its key."""
    click.echo(load(context.config_path).model_dump_json(indent=2))
    return OK


COMMANDS = {
    "status": status, "orders": orders, "book": book, "request": request, "news": news,
    "rejected": rejected, "schema": schema, "config": config,
}  # fmt: skip
