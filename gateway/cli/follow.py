"""Following a request: progress while it works, a summary when it is over."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from typing import Any

import click

from gateway.cli.connect import print_table
from gateway.client import GatewayClient, Result, Ticket

POLL_S = 0.1


async def follow(client: GatewayClient, ticket: Ticket, timeout_s: float, *, quiet: bool = False) -> Result:
    """Wait for a request's end, showing orders, fills and percent of notional as they come."""
    waiting = asyncio.ensure_future(client.wait(ticket, timeout_s))
    last = ""
    try:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=POLL_S)
            body = await client.request(ticket.request_id)
            line = progress(body) if body is not None else "waiting for the gateway"
            if not quiet and line != last:
                _show(line)
                last = line
    finally:
        waiting.cancel()
    result = await waiting
    if not quiet:
        _show(progress(result.body), is_end=True)
        await summarise(client, result)
    return result


def progress(body: dict[str, Any]) -> str:
    """Say in one line how far a request has come."""
    planned, filled = Decimal(body["planned_notional"]), Decimal(body["filled_notional"])
    share = min(Decimal(1), filled / planned) if planned else Decimal(0)
    orders = len(body["orders"])
    done = orders - body["open_orders"]
    step = f"  {body['style']} {body['step']}/{body['steps']}" if body.get("step") else ""
    return (
        f"{body['state']:9s} wave {body['wave']}  orders {done}/{orders}  fills {body['fills']}  "
        f"{share:6.1%} of {planned:,.0f}{step}"
    )


def _show(line: str, *, is_end: bool = False) -> None:
    """Rewrite one line on a terminal, print lines elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[2K{line}", err=True, nl=is_end)
    elif not is_end:
        click.echo(line, err=True)


async def summarise(client: GatewayClient, result: Result) -> None:
    """Print the request's orders and denials."""
    body = result.body
    click.echo(f"{body['state']}: {body['action']} - {body['text'] or body['reason']}")
    orders = await client.orders(result.request_id)
    if orders:
        print_orders(orders)
    if body["denied"]:
        rows = [
            [one["symbol"], "buy" if one["side"] == "1" else "sell", one["qty"], one["reason"], one["text"]]
            for one in body["denied"]
        ]
        print_table(["name", "side", "shares", "reason", "why"], rows, "Denied (refused by us, never sent)")


def print_orders(orders: list[dict[str, Any]]) -> None:
    """Print orders as a table."""
    rows = [
        [
            one["cl_ord_id"], one["wave"], one["side"], one["symbol"], one["order_qty"], one["price"],
            one["cum_qty"], f"{Decimal(one['avg_px']):.4f}", one["commission"], one["ord_status"],
        ]
        for one in orders
    ]  # fmt: skip
    header = ["ClOrdID", "wave", "side", "name", "qty", "limit", "filled", "avg px", "commission", "status"]
    print_table(header, rows, "Orders")
