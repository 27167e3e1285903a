"""Refusals as Alpaca words them: HTTP status, numeric code, message, and what stands beside them.

Source of codes and messages: Alpaca's error guide and OpenAPI file; the bodies of the wash trade and quantity
refusals as public projects quote them from the live venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from simulator.record import text


class Refused(Exception):
    """What a request is answered instead of success."""

    def __init__(self, status: int, code: int | None, message: str, **beside: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Mapping[str, Any] = {
            **({} if code is None else {"code": code}), "message": message, **beside
        }  # fmt: skip


def unauthorized() -> Refused:
    """Refuse keys."""
    return Refused(401, None, "unauthorized")


def not_found(what: str) -> Refused:
    """Refuse what is not there."""
    return Refused(404, 40410000, f"{what} not found" if " " not in what else what)


def invalid(message: str) -> Refused:
    """Refuse a field."""
    return Refused(422, 40010001, message)


def impossible(message: str) -> Refused:
    """Refuse what the order's or the asset's state does not allow."""
    return Refused(422, 42210000, message)


def forbidden(message: str, **beside: Any) -> Refused:
    """Refuse for want of money or shares, or for the account."""
    return Refused(403, 40310000, message, **beside)


def too_many() -> Refused:
    """Refuse for the rate."""
    return Refused(429, 42910000, "too many requests.")


def no_power(buying_power: Decimal, cost: Decimal) -> Refused:
    """Refuse a buy that cannot be paid."""
    return forbidden("insufficient buying power", buying_power=text(buying_power), cost_basis=text(cost))


def no_shares(symbol: str, asked: Decimal, held: Decimal, reserved: Decimal) -> Refused:
    """Refuse a sale of more than is free."""
    free = held - reserved
    return forbidden(
        f"insufficient qty available for order (requested: {text(asked)}, available: {text(free)})",
        available=text(free), existing_qty=text(held), held_for_orders=text(reserved), symbol=symbol,
        related_orders=[],
    )  # fmt: skip


def wash_trade(existing_order_id: str, order_type: str) -> Refused:
    """Refuse an order that could trade with another of the same account."""
    return forbidden(
        "potential wash trade detected. use complex orders", existing_order_id=existing_order_id,
        reject_reason=f"opposite side {order_type} order exists",
    )  # fmt: skip
