"""Orders to Alpaca's JSON and back: plain values, no sockets.

Rules of this room:
1. Quantities and prices leave as decimal strings and arrive as Decimal; no float on the way.
2. Decoding is tolerant: an unknown status, event or field is passed over and never ends an order. What cannot
   be understood at all raises `Unreadable`: it may have been a fill.
3. What has filled is said by `filled_qty`, which only a bust or a correction lowers.
4. A rule of the venue that an order would break is found before it leaves (`Unsendable`), with the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from gateway.domain.order import (
    ZERO,
    ExecType,
    OrderSpec,
    OrdStatus,
    OrdType,
    Report,
    Side,
    TimeInForce,
)

Json = Mapping[str, Any]
QTY_DECIMALS = 9
PENNY_PRICE = Decimal(1)
"""From this price on two decimals are allowed, below it four."""
LEAST_BUY = Decimal(1)
"""The least a buy of a fraction, or of an amount of money, may be worth, in dollars."""
CASH_DECIMALS = 2
_SYMBOL = re.compile(r"[A-Z0-9./]{1,32}")
_OUR_ID = re.compile(r"[A-Z2-7]{16}")
_TIMES = {
    TimeInForce.DAY: "day", TimeInForce.GOOD_TILL_CANCEL: "gtc",
    TimeInForce.IMMEDIATE_OR_CANCEL: "ioc", TimeInForce.FILL_OR_KILL: "fok",
}  # fmt: skip
_STATUSES = {
    "new": OrdStatus.NEW, "accepted": OrdStatus.NEW, "pending_new": OrdStatus.NEW,
    "accepted_for_bidding": OrdStatus.NEW, "partially_filled": OrdStatus.PARTIALLY_FILLED,
    "filled": OrdStatus.FILLED, "done_for_day": OrdStatus.DONE_FOR_DAY, "canceled": OrdStatus.CANCELED,
    "expired": OrdStatus.EXPIRED, "replaced": OrdStatus.CANCELED,
    "pending_cancel": OrdStatus.PENDING_CANCEL, "pending_replace": OrdStatus.PENDING_REPLACE,
    "stopped": OrdStatus.STOPPED, "rejected": OrdStatus.REJECTED, "suspended": OrdStatus.SUSPENDED,
    "held": OrdStatus.SUSPENDED, "calculated": OrdStatus.CALCULATED,
}  # fmt: skip
ENDED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
"""Statuses after which nothing fills."""
HALTED = frozenset({"suspended", "held"})
"""Statuses of an order that works, but does not trade for now: its symbol is halted, or something else is."""
_TAKEN_BACK = {"trade_bust": ExecType.TRADE_CANCEL, "trade_correct": ExecType.TRADE_CORRECT}


class Unreadable(Exception):
    """A message that cannot be understood, with what about it."""


class Unsendable(Exception):
    """An order the venue would refuse for its form, with the remedy."""


def order_body(spec: OrderSpec, *, extended_hours: bool) -> dict[str, str | bool]:
    """Write the body of POST /v2/orders; raises `Unsendable`."""
    if not _SYMBOL.fullmatch(spec.symbol):
        raise Unsendable(f"{spec.symbol!r} is no symbol here; name it as the venue does")
    size, is_fractional = _size(spec), trades_fraction(spec)
    if is_fractional and spec.time_in_force is not TimeInForce.DAY:
        raise Unsendable('a fractional quantity is for the day only; set time_in_force = "day"')
    if is_fractional and spec.side is Side.SELL_SHORT:
        raise Unsendable("a short sale takes whole shares")
    if is_fractional and spec.side is Side.BUY and spec.price and spec.order_qty * spec.price < LEAST_BUY:
        raise _too_little(spec)
    body: dict[str, str | bool] = {
        "symbol": spec.symbol, **size, "side": "buy" if spec.side is Side.BUY else "sell",
        "type": "limit" if spec.ord_type is OrdType.LIMIT else "market",
        "time_in_force": _TIMES[spec.time_in_force], "client_order_id": spec.cl_ord_id,
    }  # fmt: skip
    if spec.price is not None:
        body["limit_price"] = _digits(spec.price, 2 if spec.price >= PENNY_PRICE else 4, "limit price")
    if extended_hours:
        stays = spec.time_in_force in (TimeInForce.DAY, TimeInForce.GOOD_TILL_CANCEL)
        if spec.price is None or not stays:
            raise Unsendable(
                "outside of trading hours only limit orders for the day or until cancelled trade"
            )
        body["extended_hours"] = True
    return body


def trades_fraction(spec: OrderSpec) -> bool:
    """Say whether an order is not of whole shares; one of money never is."""
    return spec.cash_order_qty is not None or spec.order_qty != spec.order_qty.to_integral_value()


def _size(spec: OrderSpec) -> dict[str, str]:
    """Write how much: a quantity, or the money to spend; raises `Unsendable`."""
    cash = spec.cash_order_qty
    if cash is None:
        return {"qty": _digits(spec.order_qty, QTY_DECIMALS, "quantity")}
    if spec.side is not Side.BUY or spec.ord_type is not OrdType.MARKET:
        raise Unsendable('an amount of money only buys, and at market; set ord_type = "market"')
    if cash < LEAST_BUY:
        raise _too_little(spec)
    return {"notional": _digits(cash, CASH_DECIMALS, "amount")}


def _too_little(spec: OrderSpec) -> Unsendable:
    return Unsendable(f"a fractional buy is of ${LEAST_BUY} at least; set min_notional of {spec.symbol}")


def is_ours(client_order_id: str) -> bool:
    """Say whether an id has the shape of those this gateway gives."""
    return _OUR_ID.fullmatch(client_order_id) is not None


def read_order(order: Json, text: str = "") -> Report:
    """Read an Order object as a report of how it stands; raises `Unreadable`."""
    return _report(order, ExecType.ORDER_STATUS, _status(order), text=text or _note(order))


def read_event(data: Json) -> Report:
    """Read the `data` of a trade update; raises `Unreadable`."""
    event, order = str(data.get("event", "")), _object(data, "order")
    exec_id = str(data.get("execution_id") or "")
    when = moment(data.get("timestamp"))
    if event in ("fill", "partial_fill"):
        return _report(
            order, ExecType.TRADE, _status(order), exec_id=exec_id, transact_time=when,
            last_qty=_needed(data, "qty"), last_px=_needed(data, "price"),
        )  # fmt: skip
    if event in _TAKEN_BACK:
        is_bust = event == "trade_bust"
        return _report(
            order, _TAKEN_BACK[event], _status(order), exec_id=exec_id, transact_time=when,
            exec_ref_id=str(data.get("previous_execution_id") or "?"),
            last_qty=None if is_bust else _number(data, "qty"),
            last_px=None if is_bust else _number(data, "price"),
        )  # fmt: skip
    return _report(order, ExecType.ORDER_STATUS, _status(order), transact_time=when, text=_note(order))


def read_fill(row: Json, order: Json) -> Report:
    """Read a FILL row of the account's activities as the execution of `order` that it is."""
    cum_qty, qty = _needed(row, "cum_qty"), _number(order, "qty")
    is_whole = qty is not None and cum_qty == qty
    return _report(
        order, ExecType.TRADE, OrdStatus.FILLED if is_whole else OrdStatus.PARTIALLY_FILLED,
        exec_id=str(row.get("id", "")).rpartition("::")[2], cum_qty=cum_qty,
        last_qty=_needed(row, "qty"), last_px=_needed(row, "price"),
        transact_time=moment(row.get("transaction_time")),
    )  # fmt: skip


def filled_qty(order: Json) -> Decimal:
    """Return how much of an order has filled."""
    return _number(order, "filled_qty") or ZERO


def decimal_of(found: Json, name: str) -> Decimal:
    """Return a number of an object, 0 where it says none; raises `Unreadable`."""
    return _number(found, name) or ZERO


def decimal_or_none(found: Json, name: str) -> Decimal | None:
    """Return a number of an object, None where it says none that can be read."""
    try:
        return _number(found, name)
    except Unreadable:
        return None


def moment(text: object) -> datetime | None:
    """Read a time, None when it cannot be read: nothing depends on it alone."""
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _report(
    order: Json, exec_type: ExecType, status: OrdStatus, *, exec_id: str = "", exec_ref_id: str = "",
    cum_qty: Decimal | None = None, last_qty: Decimal | None = None, last_px: Decimal | None = None,
    transact_time: datetime | None = None, text: str = "",
) -> Report:  # fmt: skip
    order_id, name = str(order.get("id") or ""), str(order.get("client_order_id") or "")
    if not order_id and not name:
        raise Unreadable("an order without id")
    cum, qty = filled_qty(order) if cum_qty is None else cum_qty, _number(order, "qty")
    side = {"buy": Side.BUY, "sell": Side.SELL, "sell_short": Side.SELL_SHORT}.get(str(order.get("side")))
    return Report(
        cl_ord_id=name or order_id, exec_id=exec_id, exec_type=exec_type, ord_status=status, cum_qty=cum,
        leaves_qty=None if qty is None else qty - cum, last_qty=last_qty, last_px=last_px,
        avg_px=_number(order, "filled_avg_price") if cum_qty is None else None,
        order_id=order_id, symbol=str(order.get("symbol") or ""), side=side, text=text,
        transact_time=transact_time, order_qty=qty, exec_ref_id=exec_ref_id,
    )  # fmt: skip


def _status(order: Json) -> OrdStatus:
    """Read a status; one we do not know leaves the order working."""
    filled = filled_qty(order)
    found = _STATUSES.get(str(order.get("status")), OrdStatus.NEW)
    return OrdStatus.PARTIALLY_FILLED if found is OrdStatus.NEW and filled else found


def _note(order: Json) -> str:
    """Say what a status alone would not tell."""
    status = str(order.get("status"))
    if status == "replaced":
        return f"replaced at the venue by order {order.get('replaced_by')}"
    if status in HALTED:
        return f"the venue does not let it trade for now (status {status})"
    return "" if status in _STATUSES else f"the venue says status {status!r}"


def _digits(number: Decimal, decimals: int, what: str) -> str:
    """Write a positive number with as many decimals as it needs, at most `decimals`."""
    if not number > ZERO:
        raise Unsendable(f"{what} {number} is not above 0")
    if number != round(number, decimals):
        raise Unsendable(f"{what} {number} has more than {decimals} decimals; check lot_size and tick_size")
    return f"{number.normalize():f}"


def _object(found: Json, name: str) -> Json:
    inner = found.get(name)
    if not isinstance(inner, dict):
        raise Unreadable(f"{name} is missing")
    return inner


def _needed(found: Json, name: str) -> Decimal:
    number = _number(found, name)
    if number is None:
        raise Unreadable(f"{name} is missing")
    return number


def _number(found: Json, name: str) -> Decimal | None:
    said = found.get(name)
    if said is None:
        return None
    try:
        number = Decimal(str(said))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Unreadable(f"{name} is {said!r}, no number")
    return number
