"""`gateway halt|resume|approve|cancel|settle|spin-off|return-capital`: what a person tells the gateway."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

import click

from gateway.cli.connect import known_account, with_client
from gateway.cli.root import NO_ANSWER, OK, REFUSED, Context
from gateway.client import GatewayClient
from gateway.config import load
from gateway.domain.request import RequestState

PATIENCE_S = 10.0
WAITS = RequestState.AWAITING_APPROVAL
OPEN = frozenset(state for state in RequestState if not state.is_final)


def who() -> str:
    """Return the name of the user; a container's may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return f"uid {os.getuid()}"


by_option = click.option("--by", default=who, help="Who asks, for the record.")


async def _until(client: GatewayClient, is_so: Callable[[dict[str, Any]], bool]) -> bool:
    """Wait until the gateway's own status shows what was asked for."""
    for _ in range(int(PATIENCE_S / 0.1)):
        status = await client.status()
        if status is not None and is_so(status):
            return True
        await asyncio.sleep(0.1)
    return False


def _answer(is_so: bool, done: str) -> int:
    if is_so:
        click.echo(done)
        return OK
    click.echo("asked, but no gateway has confirmed it: is `gateway run` running?", err=True)
    return NO_ANSWER


def _check_account(context: Context, account: str) -> None:
    """Raise `ConfigError` for an account nobody knows."""
    if account:
        known_account(load(context.config_path), account)


@click.command()
@click.option("--account", default="", help="One account only; all when left out.")
@click.option("--reason", default="halted by hand", show_default=True)
@click.option("--cancel", "cancel_working", is_flag=True, help="Also cancel every working order.")
@by_option
@click.pass_obj
def halt(context: Context, account: str, reason: str, cancel_working: bool, by: str) -> int:
    """Stop sending: no new order leaves once this command has answered."""
    _check_account(context, account)

    async def work(client: GatewayClient) -> bool:
        await client.halt(account, reason=reason, by=by, cancel_working=cancel_working)
        return await _until(client, lambda status: reason in status["halt_reasons"].get(account, ()))

    return _answer(with_client(context, work), f"halted: {account or 'all accounts'}")


@click.command()
@click.option("--account", default="", help="One account only; all when left out.")
@click.option("--reason", default="", help="Only the reasons with these words in them; all when left out.")
@by_option
@click.pass_obj
def resume(context: Context, account: str, reason: str, by: str) -> int:
    """Allow sending again; orders in doubt are looked up first.

    What is released is what stands now, and is printed; what halts an account meanwhile still does.
    """
    _check_account(context, account)

    def standing(status: dict[str, Any] | None) -> list[str]:
        halts: dict[str, list[str]] = status.get("halt_reasons", {}) if status is not None else {}
        return list(
            dict.fromkeys(text for name, texts in halts.items() if account in ("", name) for text in texts)
        )

    async def work(client: GatewayClient) -> tuple[list[str], bool, list[str]]:
        seen = [text for text in standing(await client.status()) if reason in text]
        if reason and not seen:
            return seen, False, []
        for text in seen:  # one command each: a command is bounded in size, their number is not
            await client.resume(account, reasons=[text], by=by)
        if not seen:
            await client.resume(account, by=by)
        is_so = await _until(client, lambda status: not set(seen) & {*standing(status)})
        return seen, is_so, standing(await client.status())

    seen, is_so, left = with_client(context, work)
    if reason and not seen:
        click.echo(f"nothing is halted for a reason with {reason!r} in it; see `gateway status`", err=True)
        return REFUSED
    for text in seen if is_so else ():
        click.echo(f"released: {text}")
    for text in left if is_so else ():
        click.echo(f"still halted: {text}")
    done = "resumed" if not left else "released, not resumed"
    return _answer(is_so, f"{done}: {account or 'all accounts'}")


@click.command()
@click.argument("request_id")
@by_option
@click.pass_obj
def approve(context: Context, request_id: str, by: str) -> int:
    """Approve a request that waits for it; it is decided afresh on today's prices."""

    async def work(client: GatewayClient) -> int:
        if (body := await client.request(request_id)) and body["state"] != WAITS:
            click.echo(f"request {request_id} is {body['state']}: it waits for no approval", err=True)
            return REFUSED
        await client.approve(request_id, by=by)
        return await _moved(client, request_id, {WAITS}, f"approved: {request_id}")

    return with_client(context, work)


@click.command()
@click.argument("request_id")
@by_option
@click.pass_obj
def cancel(context: Context, request_id: str, by: str) -> int:
    """Cancel what still works of a request; what has filled stays filled."""

    async def work(client: GatewayClient) -> int:
        if (body := await client.request(request_id)) and RequestState(body["state"]).is_final:
            click.echo(f"request {request_id} is {body['state']}: nothing of it is left to cancel", err=True)
            return REFUSED
        await client.cancel(request_id, by=by)
        return await _moved(client, request_id, OPEN, f"cancelled: {request_id}")

    return with_client(context, work)


@click.command()
@click.argument("cl_ord_id")
@click.argument("cum_qty")
@click.option("--avg-px", default="0", help="Average price of what filled; needed when something did.")
@by_option
@click.pass_obj
def settle(context: Context, cl_ord_id: str, cum_qty: str, avg_px: str, by: str) -> int:
    """State how an order ended that nobody here can find out, from the venue's own books.

    CUM_QTY is all that filled of it, 0 when it never arrived or nothing did; the rest counts as cancelled.
    """

    async def work(client: GatewayClient) -> int:
        body = await client.order(cl_ord_id)
        if body is None or not Decimal(body["leaves_qty"]):
            what = "is not known" if body is None else f"has ended: {body['ord_status']}"
            click.echo(f"order {cl_ord_id} {what}; nothing is settled", err=True)
            return REFUSED
        await client.settle(cl_ord_id, cum_qty, avg_px, by=by)
        for _ in range(int(PATIENCE_S / 0.1)):
            body = await client.order(cl_ord_id)
            if body is not None and not Decimal(body["leaves_qty"]):
                return _answer(is_so=True, done=f"settled: {cl_ord_id} {body['ord_status']}")
            await asyncio.sleep(0.1)
        return _answer(is_so=False, done="")

    return with_client(context, work)


async def _moved(client: GatewayClient, request_id: str, states: Collection[str], done: str) -> int:
    """Wait until a request has left `states`, and say so."""
    body = None
    for _ in range(int(PATIENCE_S / 0.1)):
        body = await client.request(request_id)
        if body is not None and body["state"] not in states:
            return _answer(is_so=True, done=done)
        await asyncio.sleep(0.1)
    if body is None:
        click.echo(f"request {request_id} is not known (see `gateway rejected` for refused ones)", err=True)
        return NO_ANSWER
    return _answer(is_so=False, done="")


@click.command("spin-off")
@click.argument("account")
@click.argument("symbol")
@click.argument("new_symbol")
@click.argument("qty")
@click.argument("fraction")
@by_option
@click.pass_obj
def spin_off(
    context: Context, account: str, symbol: str, new_symbol: str, qty: str, fraction: str, by: str
) -> int:
    """State a spin-off: QTY of NEW_SYMBOL came to ACCOUNT for its SYMBOL, with FRACTION of the cost.

    The fraction is on the issuer's Form 8937 (0.2 for 20 %), QTY is all that the venue shows. New lots keep
    the dates of the old ones. `gateway resume` goes on once the book agrees with the venue.
    """

    async def work(client: GatewayClient) -> int:
        before = await _lots(client, account)
        if before is None:
            return _unknown(account)
        await client.spin_off(account, symbol, new_symbol, qty, fraction, by=by)
        return await _changed(client, account, before, f"received: {qty} {new_symbol}")

    return with_client(context, work)


@click.command("return-capital")
@click.argument("account")
@click.argument("symbol")
@click.argument("amount")
@by_option
@click.pass_obj
def return_capital(context: Context, account: str, symbol: str, amount: str, by: str) -> int:
    """State a return of capital: AMOUNT of what ACCOUNT's SYMBOL cost came back; no cash is booked."""

    async def work(client: GatewayClient) -> int:
        before = await _lots(client, account)
        if before is None:
            return _unknown(account)
        await client.return_capital(account, symbol, amount, by=by)
        return await _changed(client, account, before, f"returned: {amount} of {symbol}")

    return with_client(context, work)


def _unknown(account: str) -> int:
    click.echo(f"account {account} is not in the book; nothing is stated", err=True)
    return REFUSED


async def _lots(client: GatewayClient, account: str) -> object:
    """Return the lots of an account as the book shows them; None when it shows no such account."""
    book = await client.book()
    return None if book is None else book["accounts"].get(account, {}).get("lots")


async def _changed(client: GatewayClient, account: str, before: object, done: str) -> int:
    """Wait until the book shows other lots; they stay where what was stated cannot be."""
    for _ in range(int(PATIENCE_S / 0.1)):
        if await _lots(client, account) != before:
            return _answer(is_so=True, done=done)
        await asyncio.sleep(0.1)
    click.echo("asked, but the lots in the book have not changed: the alerts on the news say why", err=True)
    return REFUSED


COMMANDS = {
    "halt": halt, "resume": resume, "approve": approve, "cancel": cancel, "settle": settle,
    "spin-off": spin_off, "return-capital": return_capital,
}  # fmt: skip
