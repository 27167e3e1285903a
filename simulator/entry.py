"""The door of the floor: why a new order may not come in. Pure; nothing is changed here."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from simulator.floor import Floor
from simulator.orders import (
    BAD_PRICE,
    MAX_NUMBER,
    ZERO,
    NewOrder,
    OrdRejReason,
    OrdType,
    Side,
    TimeInForce,
    is_bad_price,
)

Fault = tuple[OrdRejReason, str]
_SIDES = frozenset(Side)
_ORD_TYPES = frozenset(OrdType)
_TIMES_IN_FORCE = frozenset(TimeInForce)


def fault(new: NewOrder, floor: Floor, now: datetime) -> Fault | None:
    """Say why an order cannot be, in OrdRejReason(103) and words; None when it can."""
    if floor.is_closed:
        return OrdRejReason.EXCHANGE_CLOSED, "the trading day has ended"
    if new.symbol not in floor.market:
        return OrdRejReason.UNKNOWN_SYMBOL, f"Symbol(55) {new.symbol} is not listed here"
    if floor.accounts.find(new.account) is None:
        return OrdRejReason.UNKNOWN_ACCOUNT, f"Account(1) {new.account!r} is not known here"
    if is_bad_quantity(new.order_qty, floor.settings.lot):
        return (
            OrdRejReason.INCORRECT_QUANTITY,
            f"OrderQty(38) {new.order_qty} is not a number of whole lots",
        )
    return _unsupported(new, now)


def is_bad_quantity(qty: Decimal, lot: Decimal) -> bool:
    """Say whether `qty` is not a positive number of whole lots."""
    return not (qty.is_finite() and ZERO < qty <= MAX_NUMBER) or qty % lot != ZERO


def _unsupported(new: NewOrder, now: datetime) -> Fault | None:
    unsupported = OrdRejReason.UNSUPPORTED_CHARACTERISTIC
    if new.side not in _SIDES:
        return unsupported, f"Side(54) {new.side} is not supported; use {', '.join(_SIDES)}"
    if new.ord_type not in _ORD_TYPES:
        return unsupported, f"OrdType(40) {new.ord_type} is not supported; use 1 or 2"
    if new.ord_type == OrdType.LIMIT and is_bad_price(new.price):
        return OrdRejReason.OTHER, f"Price(44) {BAD_PRICE}"
    if new.time_in_force not in _TIMES_IN_FORCE:
        return unsupported, f"TimeInForce(59) {new.time_in_force} is not supported; use 0, 1, 3, 4 or 6"
    is_timed = new.time_in_force == TimeInForce.GOOD_TILL_DATE
    if is_timed and (new.expire_time is None or new.expire_time <= now):
        return OrdRejReason.TOO_LATE_TO_ENTER, "ExpireTime(126) must lie ahead"
    return None
