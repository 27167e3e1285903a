"""`gateway harvest`: the losses worth taking, and taking them."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli.connect import as_json, only_account, print_table, with_client
from gateway.cli.follow import follow
from gateway.cli.root import Context
from gateway.cli.submit import SECONDS, account_option, print_denied, print_lots, tell_decided
from gateway.client import GatewayClient, Result
from gateway.config import load
from gateway.events import Mode


@click.command()
@account_option
@click.option("--submit", "is_submitted", is_flag=True, help="Sell them into their substitutes now.")
@click.option("--approve", "needs_approval", is_flag=True, help="With --submit: wait for `gateway approve`.")
@click.option("--request-id", default="", help="Idempotency key; the same id is the same request.")
@click.option("--key", "key_id", default="", help="Sign with this key of signing.keys.")
@click.option("--timeout", type=SECONDS, default=600.0, show_default=True, help="Seconds to wait.")
@as_json
@click.pass_obj
def harvest(
    context: Context, account: str, is_submitted: bool, needs_approval: bool, request_id: str, key_id: str,
    timeout: float, is_json: bool,
) -> int:  # fmt: skip
    """Show which losses are worth taking, lot by lot, and why others are not. Nothing is sent.

    With --submit each is sold and its substitute bought, through the same checks as any order. Until the
    window of the wash-sale rule is over, targets for the name are then read as targets for its substitute.
    """
    if needs_approval and not is_submitted:
        raise click.UsageError("--approve goes with --submit: without it nothing is sent")
    config = load(context.config_path)
    wanted = (Mode.APPROVE if needs_approval else Mode.EXECUTE) if is_submitted else Mode.PREVIEW

    async def work(client: GatewayClient) -> tuple[Result, dict[str, Any] | None]:
        ticket = await client.harvest(
            only_account(config, account), mode=wanted, request_id=request_id, lifetime_s=timeout
        )
        if is_submitted and not is_json:
            click.echo(ticket.request_id)
            result = await follow(client, ticket, timeout, quiet=False)
        else:
            result = await client.wait(ticket, timeout)
        return result, await client.decision(ticket.request_id)

    return tell_decided(*with_client(context, work, key_id), print_harvest, is_json=is_json)


def print_harvest(decision: dict[str, Any]) -> None:
    """Print the swaps with every number, the lots they sell, and why other losses are left."""
    click.echo(f"{decision['action']}: {decision['reason']}")
    header = [
        "name", "shares", "substitute", "shares", "loss", "tax saved", "tax later", "trading", "risk",
        "worth",
    ]  # fmt: skip
    rows = [
        [
            one["original"], one["sell_qty"], one["other"], one["buy_qty"],
            *(f"{one[key]:,.2f}" for key in ("loss", "saved_now", "taxed_later", "cost", "tracking", "net")),
        ]
        for one in decision["swaps"]
    ]  # fmt: skip
    if rows:
        print_table(header, rows, "Losses worth taking")
    print_lots(decision)
    swapped = {symbol for one in decision["swaps"] for symbol in (one["original"], one["other"])}
    left = [[name["symbol"], name["note"]] for name in decision["names"] if name["symbol"] not in swapped]
    if left:
        print_table(["name", "why its loss is left"], left, "Left as they are")
    print_denied(decision)


COMMANDS = {"harvest": harvest}
