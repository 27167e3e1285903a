"""Commands and prices: the two other things a stranger may put on an input stream.

Rules of this room: those of `schema.py`. A command is refused whole, with the field and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.domain.request import Mode
from gateway.domain.schedule import ScheduleOverride, Style
from gateway.errors import InvalidTargets
from gateway.events import (
    ActionStated,
    ApprovalGiven,
    CancelRequested,
    HaltRequested,
    OrderSettled,
    PricesUpdated,
    ResumeRequested,
    TargetsSubmitted,
)
from gateway.runtime.schema import MAX_FUTURE, MAX_LIFETIME, NAME, SYMBOL
from gateway.runtime.strict_json import MAX_BYTES, load_object, read_decimal, read_time, shown

Command = (
    HaltRequested | ResumeRequested | ApprovalGiven | CancelRequested | OrderSettled | ActionStated
    | TargetsSubmitted
)  # fmt: skip

MAX_COMMAND_BYTES: Final = 10_000
MAX_PRICES: Final = 10_000
MAX_PRICE_AGE: Final = timedelta(days=10)
_NAME = re.compile(NAME)
_SYMBOL = re.compile(SYMBOL)
_PRICE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,500}")
_ALLOWED = {
    "halt": {"account", "reason", "by", "cancel_working"},
    "resume": {"account", "reason", "reasons", "by"},
    "approve": {"request_id", "reason", "by"},
    "cancel": {"request_id", "reason", "by"},
    "harvest": {"account", "request_id", "mode", "expires_at", "reason", "by"},
    "settle": {"cl_ord_id", "cum_qty", "avg_px", "reason", "by"},
    "return_capital": {"account", "symbol", "amount", "reason", "by"},
    "spin_off": {"account", "symbol", "new_symbol", "qty", "fraction", "reason", "by"},
}


def _only(found: dict[str, Any], allowed: Collection[str]) -> None:
    for field in found:
        if field not in allowed:
            raise InvalidTargets(
                shown(field), f"is not expected here: remove it (allowed: {', '.join(allowed)})"
            )


def _name(found: dict[str, Any], field: str, *, required: bool) -> str:
    value = found.get(field, "")
    if value == "" and not required:
        return ""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidTargets(field, "is missing or wrong: write 1 to 64 of A-Z a-z 0-9 . _ : -")
    return value


def _text(found: dict[str, Any], field: str, default: str = "") -> str:
    value = found.get(field, default)
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise InvalidTargets(field, "is wrong: write one line of at most 500 characters")
    return value


def _halt(found: dict[str, Any], now: datetime, by: str) -> Command:
    cancel_working = found.get("cancel_working", False)
    if not isinstance(cancel_working, bool):
        raise InvalidTargets("cancel_working", "is neither true nor false: write one of them, without quotes")
    account = _name(found, "account", required=False)
    return HaltRequested(now, account, _text(found, "reason"), by, cancel_working)


def _resume(found: dict[str, Any], now: datetime, by: str) -> Command:
    reasons = found.get("reasons", [])
    if not isinstance(reasons, list) or not all(isinstance(one, str) and one for one in reasons):
        raise InvalidTargets("reasons", "is wrong: write a list of the reasons to release, word for word")
    return ResumeRequested(now, _name(found, "account", required=False), by, tuple(reasons))


def _approve(found: dict[str, Any], now: datetime, by: str) -> Command:
    return ApprovalGiven(now, _name(found, "request_id", required=True), by)


def _cancel(found: dict[str, Any], now: datetime, by: str) -> Command:
    return CancelRequested(now, _name(found, "request_id", required=True), by)


def _settle(found: dict[str, Any], now: datetime, by: str) -> Command:
    cl_ord_id = _name(found, "cl_ord_id", required=True)
    cum_qty = read_decimal("cum_qty", found.get("cum_qty"), _PRICE)
    avg_px = read_decimal("avg_px", found.get("avg_px", "0"), _PRICE)
    if cum_qty and not avg_px:
        raise InvalidTargets("avg_px", "is missing: write the average price of what filled")
    return OrderSettled(now, cl_ord_id, cum_qty, avg_px, by)


def _symbol(found: dict[str, Any], field: str) -> str:
    value = found.get(field)
    if not isinstance(value, str) or not _SYMBOL.fullmatch(value):
        raise InvalidTargets(field, "is missing or wrong: write the symbol of an instrument")
    return value


def _return_capital(found: dict[str, Any], now: datetime, by: str) -> Command:
    account, symbol = _name(found, "account", required=True), _symbol(found, "symbol")
    amount = read_decimal("amount", found.get("amount"), _PRICE)
    if not amount:
        raise InvalidTargets("amount", "is 0: write all the money that came back")
    return ActionStated(now, account, symbol, by, amount)


def _spin_off(found: dict[str, Any], now: datetime, by: str) -> Command:
    account, symbol = _name(found, "account", required=True), _symbol(found, "symbol")
    qty = read_decimal("qty", found.get("qty"), _PRICE)
    fraction = read_decimal("fraction", found.get("fraction"), _PRICE)
    if not qty:
        raise InvalidTargets("qty", "is 0: write all the units that came")
    if fraction > 1:
        raise InvalidTargets("fraction", "is above 1: write the share of the cost that goes over, like 0.2")
    new = _symbol(found, "new_symbol")
    return ActionStated(now, account, symbol, by, new_symbol=new, qty=qty, fraction=fraction)


def _harvest(found: dict[str, Any], now: datetime, by: str) -> Command:
    """Ask for the losses worth taking; whole waves at once, so that what is bought follows what was sold."""
    del by
    mode = found.get("mode", Mode.PREVIEW)
    if mode not in list(Mode):
        raise InvalidTargets("mode", f"is not one of {', '.join(Mode)}")
    try:
        expires_at = read_time(found.get("expires_at"))
    except ValueError as error:
        raise InvalidTargets("expires_at", str(error)) from None
    if not now < expires_at <= now + MAX_LIFETIME:
        raise InvalidTargets("expires_at", "is over, or more than 24 h ahead: choose another time")
    return TargetsSubmitted(
        at=now, request_id=_name(found, "request_id", required=True),
        account=_name(found, "account", required=True), targets={}, as_of=now, expires_at=expires_at,
        mode=Mode(mode), execution=ScheduleOverride(style=Style.AT_ONCE), harvest=True,
    )  # fmt: skip


_BUILD: dict[str, Callable[[dict[str, Any], datetime, str], Command]] = {
    "halt": _halt,
    "resume": _resume,
    "approve": _approve,
    "cancel": _cancel,
    "harvest": _harvest,
    "settle": _settle,
    "return_capital": _return_capital,
    "spin_off": _spin_off,
}


def parse_command(raw: bytes, now: datetime) -> Command:
    """Return the event of one command, or raise `InvalidTargets`; nothing else."""
    found = load_object(raw, MAX_COMMAND_BYTES)
    command = found.get("command")
    if not isinstance(command, str) or command not in _BUILD:
        raise InvalidTargets("command", f"is not one of {', '.join(_BUILD)}")
    _only(found, {"command", *_ALLOWED[command]})
    _text(found, "reason")
    return _BUILD[command](found, now, _text(found, "by", "unknown"))


def parse_prices(raw: bytes, now: datetime, instruments: Collection[str] | None = None) -> PricesUpdated:
    """Return the event of one price message, or raise `InvalidTargets`; nothing else.

    Prices of symbols that are not in `instruments` are left out (a feed may know more than we trade).
    """
    found = load_object(raw, MAX_BYTES)
    _only(found, ("as_of", "prices", "source"))
    try:
        as_of = read_time(found.get("as_of"))
    except ValueError as error:
        raise InvalidTargets("as_of", str(error)) from None
    if as_of - now > MAX_FUTURE:
        raise InvalidTargets("as_of", "is more than 60 s in the future: set the feed's clock")
    if now - as_of > MAX_PRICE_AGE:
        raise InvalidTargets("as_of", f"is more than {MAX_PRICE_AGE.days} days old: send fresh prices")
    quotes = found.get("prices")
    if not isinstance(quotes, dict) or not 0 < len(quotes) <= MAX_PRICES:
        raise InvalidTargets(
            "prices", f'is no object of 1 to {MAX_PRICES} prices: write {{"SYMBOL": "187.23"}}'
        )
    prices: dict[str, Decimal] = {}
    for symbol, text in quotes.items():
        if not _SYMBOL.fullmatch(symbol):
            raise InvalidTargets(f"prices.{shown(symbol)}", "is not a symbol: 1 to 32 ASCII characters")
        price = read_decimal(f"prices.{symbol}", text, _PRICE)
        if not price:
            raise InvalidTargets(f"prices.{symbol}", "is zero: leave out a price that is not known")
        if instruments is None or symbol in instruments:
            prices[symbol] = price
    return PricesUpdated(now, as_of, prices, _text(found, "source"))
