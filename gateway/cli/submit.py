"""`gateway submit`, `gateway preview`, `gateway prices`: what goes in."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import click

from gateway.cli.connect import as_json, only_account, print_json, print_table, read_text, with_client
from gateway.cli.follow import follow
from gateway.cli.root import OK, REFUSED, Context
from gateway.cli.styles import execution_options
from gateway.client import GatewayClient, Result, Ticket
from gateway.config import load
from gateway.errors import InvalidTargets
from gateway.events import Mode, Others, PolicyName, Regime, RequestState
from gateway.runtime.schema import TargetMessage, targets_from_csv
from gateway.runtime.strict_json import read_time, shown, without_doubles

account_option = click.option("--account", default="", help="The account; needed when there are several.")
others_option = click.option(
    "--others", type=click.Choice([one.value for one in Others]), help="Holdings not named: keep or sell."
)
regime_option = click.option(
    "--regime", type=click.Choice([one.value for one in Regime]), help="The market, as you see it."
)
policy_option = click.option(
    "--policy", type=click.Choice([one.value for one in PolicyName]), help="Decide by this rule."
)
SECONDS = click.FloatRange(0, 86_400, min_open=True)
LIFETIME_S = 3600.0
GOOD = (RequestState.DONE, RequestState.HELD, RequestState.PREVIEWED)


def read_targets(path: str) -> dict[str, Any]:
    """Read a target file: CSV `symbol,weight`, JSON {symbol: weight}, or a whole JSON target message."""
    text = read_text(path)
    if not text.lstrip().startswith("{"):
        return {"targets": targets_from_csv(text)}
    try:
        found: dict[str, Any] = json.loads(
            text, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=without_doubles
        )
    except (ValueError, RecursionError) as problem:
        raise InvalidTargets("json", f"{path} is not valid JSON: {problem}") from None
    return _checked(found) if isinstance(found.get("targets"), dict) else {"targets": found}


def _checked(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose fields are known and of the right kind; raises `InvalidTargets`."""
    for field, value in message.items():
        if field not in TargetMessage.model_fields:
            known = ", ".join(TargetMessage.model_fields)
            raise InvalidTargets(shown(field), f"is not a field of a target message: remove it ({known})")
        if field == "execution" and not isinstance(value, dict):
            raise InvalidTargets(field, 'is not an object: write {"style": "twap", ...}')
        if field not in ("execution", "targets", "schema_version") and not isinstance(value, str):
            raise InvalidTargets(field, "is not text: write a string")
    return message


def _time(message: dict[str, Any], field: str) -> datetime | None:
    """Return a time a message states; raises `InvalidTargets`."""
    try:
        return read_time(message[field]) if field in message else None
    except ValueError as problem:
        raise InvalidTargets(field, str(problem)) from None


@click.command()
@click.argument("file", type=str)
@account_option
@click.option("--request-id", default="", help="Idempotency key; the same id is the same request.")
@others_option
@regime_option
@policy_option
@execution_options
@click.option("--approve", "needs_approval", is_flag=True, help="Wait for `gateway approve` before sending.")
@click.option(
    "--lifetime", type=click.FloatRange(0, 86_400, min_open=True),
    help="Seconds it may wait to start: 3600, or until the `expires_at` of a JSON message.",
)  # fmt: skip
@click.option("--key", "key_id", default="", help="Sign with this key of signing.keys.")
@click.option("--wait", is_flag=True, help="Follow it to the end; exit 3 when it was refused or failed.")
@click.option("--timeout", type=SECONDS, default=600.0, show_default=True, help="Seconds to wait.")
@as_json
@click.pass_obj
def submit(
    context: Context, file: str, account: str, request_id: str, others: str | None, regime: str | None,
    policy: str | None, needs_approval: bool, lifetime: float | None, key_id: str, wait: bool, *,
    timeout: float, is_json: bool, execution: dict[str, Any],
) -> int:  # fmt: skip
    """Submit target weights from FILE (CSV or JSON; - reads standard input).

    Prints the request id. Without --wait it returns as soon as the message is on the stream: the
    gateway need not be running, the stream keeps it.
    """
    config = load(context.config_path)
    message = read_targets(file)
    options: dict[str, Any] = {
        "account": only_account(config, account or message.get("account", "")),
        "request_id": request_id or message.get("request_id", ""),
        "others": others or message.get("others", Others.KEEP),
        "regime": regime or message.get("regime", Regime.NORMAL),
        "policy": policy or message.get("policy", ""),
        "mode": Mode.APPROVE if needs_approval else message.get("mode", Mode.EXECUTE),
        "lifetime_s": lifetime or LIFETIME_S,
        "as_of": _time(message, "as_of"),
        "expires_at": None if lifetime else _time(message, "expires_at"),
        "execution": {**message.get("execution", {}), **execution},
    }

    async def work(client: GatewayClient) -> tuple[Ticket, Result | None]:
        ticket = await client.submit(message["targets"], **options)
        if not is_json:
            click.echo(ticket.request_id)
        return ticket, await follow(client, ticket, timeout, quiet=is_json) if wait else None

    ticket, result = with_client(context, work, key_id)
    if is_json:
        shown = {"request_id": ticket.request_id, "entry_id": ticket.entry_id}
        print_json(shown if result is None else result.body)
    return OK if result is None or result.state in GOOD else REFUSED


@click.command()
@click.argument("file", type=str)
@account_option
@others_option
@regime_option
@policy_option
@execution_options
@click.option("--key", "key_id", default="", help="Sign with this key of signing.keys.")
@click.option("--timeout", type=SECONDS, default=60.0, show_default=True, help="Seconds to wait.")
@as_json
@click.pass_obj
def preview(
    context: Context, file: str, account: str, others: str | None, regime: str | None, policy: str | None,
    key_id: str, timeout: float, is_json: bool, execution: dict[str, Any],
) -> int:  # fmt: skip
    """Show what would be sent for FILE, why, and at what cost and tax. Nothing is sent.

    The running gateway decides it with the same code, book and prices it would trade with.
    """
    config = load(context.config_path)
    message = read_targets(file)

    async def work(client: GatewayClient) -> tuple[Result, dict[str, Any] | None]:
        ticket = await client.submit(
            message["targets"],
            account=only_account(config, account or message.get("account", "")),
            others=others or message.get("others", Others.KEEP),
            regime=regime or message.get("regime", Regime.NORMAL),
            policy=policy or message.get("policy", ""),
            mode=Mode.PREVIEW,
            lifetime_s=timeout,
            execution={**message.get("execution", {}), **execution},
        )
        result = await client.wait(ticket, timeout)
        return result, await client.decision(ticket.request_id)

    return tell_decided(*with_client(context, work, key_id), print_decision, is_json=is_json)


def tell_decided(
    result: Result, decision: dict[str, Any] | None, show: Callable[[dict[str, Any]], None], *, is_json: bool
) -> int:
    """Show what was decided for a request, as JSON or with `show`; return the exit code."""
    if is_json:
        print_json({"request": result.body, "decision": decision})
    elif decision is not None:
        show(decision)
    else:
        click.echo(f"{result.state}: {result.body.get('text', '')}", err=True)
    return OK if result.state in GOOD else REFUSED


def print_decision(decision: dict[str, Any]) -> None:
    """Print what was decided and every number behind it."""
    click.echo(f"{decision['action']}: {decision['reason']}")
    click.echo(f"NAV {float(decision['nav']):,.2f}  cash {float(decision['cash']):,.2f}")
    rows = [_decision_row(name) for name in decision["names"]]
    header = [
        "name", "now", "target", "drift", "after", "shares", "benefit", "commission", "spread", "impact",
        "fx", "tax short", "tax long", "wash sale",
    ]  # fmt: skip
    print_table(header, rows, "Decision")
    print_lots(decision)
    words = decision.get("why", {})
    whys = [[name["symbol"], words.get(name["symbol"]) or name["note"]] for name in decision["names"]]
    print_table(["name", "what and why"], whys, "In words")
    print_denied(decision)


def print_lots(decision: dict[str, Any]) -> None:
    """Print each lot that would be sold, with its gain and tax."""
    lots = [_lot_row(name["symbol"], lot) for name in decision["names"] for lot in name.get("lots", ())]
    if lots:
        print_table(["name", "lot of", "shares", "term", "gain", "tax"], lots, "Lots that would be sold")


def print_denied(decision: dict[str, Any]) -> None:
    """Print what the checks refused, and why."""
    if decision["denied"]:
        denied = [
            [one["symbol"], "buy" if one["side"] == "1" else "sell", one["qty"], one["reason"], one["text"]]
            for one in decision["denied"]
        ]
        print_table(["name", "side", "shares", "reason", "why"], denied, "Denied")


def _decision_row(name: dict[str, Any]) -> list[str]:
    """Return one name's numbers; a decision made by an older gateway lacks some, shown as 0 or nothing."""
    lots = name.get("lots", ())
    taxes = [sum(lot["tax"] for lot in lots if lot["is_long"] is is_long) for is_long in (False, True)]
    return [
        name["symbol"], f"{name['weight_before']:.2%}", f"{name['weight_target']:.2%}",
        f"{name['weight_before'] - name['weight_target']:+.2%}", f"{name['weight_after']:.2%}", name["qty"],
        f"{name['benefit']:.2f}", f"{name['commission']:.2f}", f"{name['half_spread']:.2f}",
        f"{name.get('impact', 0.0):.2f}", f"{name.get('conversion', 0.0):.2f}",
        *(f"{tax:.2f}" for tax in taxes), "conflict" if name.get("wash_sale") else "clear",
    ]  # fmt: skip


def _lot_row(symbol: str, lot: dict[str, Any]) -> list[str]:
    term = "long" if lot["is_long"] else "short"
    return [symbol, lot["acquired"], lot["qty"], term, f"{lot['gain']:,.2f}", f"{lot['tax']:,.2f}"]


def read_prices(text: str) -> dict[str, str | Decimal]:
    """Return {symbol: price} of a CSV with at least the columns symbol and price; prices stay text."""
    quotes: dict[str, str | Decimal] = {}
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        if not {"symbol", "price"} <= set(rows.fieldnames or ()):
            raise InvalidTargets("line 1", "is not the header: write symbol,price")
        for row in rows:
            if not row.get("symbol") or not row.get("price"):
                raise InvalidTargets(f"line {rows.line_num}", "write one symbol,price a line")
            if row["symbol"] in quotes:
                raise InvalidTargets(
                    f"line {rows.line_num}", f"names {shown(row['symbol'])} again: name it once"
                )
            quotes[row["symbol"]] = row["price"]
    except csv.Error as problem:
        raise InvalidTargets(f"line {rows.line_num}", str(problem)) from None
    return quotes


@click.command()
@click.argument("file", type=str)
@click.option("--source", default="file", show_default=True, help="Where the prices come from.")
@click.option(
    "--every",
    type=click.FloatRange(0),
    default=0.0,
    help="Publish again every so many seconds, until Ctrl-C.",
)
@click.pass_obj
def prices(context: Context, file: str, source: str, every: float) -> int:
    """Publish reference prices from FILE (CSV symbol,price), true as of now."""
    quotes = read_prices(read_text(file))

    async def work(client: GatewayClient) -> None:
        await client.publish_prices(quotes, source=source)
        while every > 0:
            await asyncio.sleep(every)
            await client.publish_prices(quotes, source=source)

    with_client(context, work)
    click.echo(f"{len(quotes)} prices published")
    return OK


COMMANDS = {"submit": submit, "preview": preview, "prices": prices}
