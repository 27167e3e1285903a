"""The venue's own state in Alpaca's JSON: numbers are strings, times RFC 3339, ids UUIDs.

Rules of this room:
1. An order is shown as it was at one moment: quantity filled, average and status are given, not looked up.
2. Ids are derived from the core's own, so that a replayed store shows the same ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from simulator.orders import ZERO, Fill, Order, OrdStatus, OrdType
from simulator.record import text

Json = dict[str, Any]
_SPACE = uuid.UUID("6f0d2b52-9f5e-4c9e-8a53-0f4b9f5f2d11")
_STATUSES = {
    OrdStatus.NEW: "new", OrdStatus.PARTIALLY_FILLED: "partially_filled", OrdStatus.FILLED: "filled",
    OrdStatus.DONE_FOR_DAY: "done_for_day", OrdStatus.CANCELED: "canceled",
    OrdStatus.PENDING_CANCEL: "pending_cancel", OrdStatus.STOPPED: "stopped",
    OrdStatus.REJECTED: "rejected", OrdStatus.SUSPENDED: "suspended", OrdStatus.PENDING_NEW: "pending_new",
    OrdStatus.EXPIRED: "expired", OrdStatus.PENDING_REPLACE: "pending_replace",
}  # fmt: skip
_OPEN = frozenset(
    {OrdStatus.NEW, OrdStatus.PARTIALLY_FILLED, OrdStatus.PENDING_CANCEL, OrdStatus.STOPPED,
     OrdStatus.SUSPENDED, OrdStatus.PENDING_NEW, OrdStatus.PENDING_REPLACE}
)  # fmt: skip
AVERAGE_PLACES = Decimal("1E-8")


@dataclass(slots=True)
class Ticket:
    """What Alpaca remembers of an order besides the core; `stamps` are its ..._at times.

    `notional` is the money it was to spend, where no quantity was given. `is_stuck`: its cancel hangs.
    `pretended` is a status shown instead of the core's until the core next speaks.
    """

    order_id: str
    client_order_id: str
    order: Order
    stamps: dict[str, datetime]
    extended_hours: bool = False
    notional: Decimal | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    is_stuck: bool = False
    cancels: int = 0
    pretended: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether it may still fill."""
        return self.order.ord_status in _OPEN

    @property
    def status(self) -> str:
        """Return its status now."""
        if self.is_open and self.pretended:
            return self.pretended
        if self.is_open and not self.order.order_id:
            return "accepted"
        return self.status_of(self.order.ord_status)

    def status_of(self, status: OrdStatus) -> str:
        """Word a status of the core."""
        word = _STATUSES[status]
        if word == "canceled" and self.replaced_by is not None:
            return "replaced"
        return "pending_cancel" if self.is_stuck and status in _OPEN else word


def new_id(kind: str, name: str) -> str:
    """Derive a UUID."""
    return str(uuid.uuid5(_SPACE, f"{kind}/{name}"))


def stamp(at: datetime | None) -> str | None:
    """Write a time with nanoseconds, as the venue does."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}000Z"


def order_json(
    ticket: Ticket,
    *,
    cum_qty: Decimal | None = None,
    avg_px: Decimal | None = None,
    status: str | None = None,
) -> Json:
    """Show an order, as it is now or as it was."""
    order, stamps = ticket.order, ticket.stamps
    filled = order.cum_qty if cum_qty is None else cum_qty
    average = order.avg_px if avg_px is None else avg_px
    return {
        "id": ticket.order_id,
        "client_order_id": ticket.client_order_id,
        **{
            name: stamp(stamps.get(name))
            for name in (
                "created_at", "updated_at", "submitted_at", "filled_at", "expired_at", "expires_at",
                "canceled_at", "failed_at", "replaced_at",
            )
        },
        "replaced_by": ticket.replaced_by,
        "replaces": ticket.replaces,
        "asset_id": new_id("asset", order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None if ticket.notional is None else text(ticket.notional),
        "qty": None if ticket.notional is not None else text(order.order_qty),
        "filled_qty": text(filled),
        "filled_avg_price": text(average.quantize(AVERAGE_PLACES, ROUND_HALF_EVEN)) if filled else None,
        "order_class": "",
        "order_type": "limit" if order.ord_type == OrdType.LIMIT else "market",
        "type": "limit" if order.ord_type == OrdType.LIMIT else "market",
        "side": "buy" if order.is_buy else "sell",
        "time_in_force": {"0": "day", "1": "gtc", "3": "ioc", "4": "fok"}.get(order.time_in_force, "day"),
        "limit_price": None if order.price is None else text(order.price),
        "stop_price": None,
        "status": ticket.status if status is None else status,
        "extended_hours": ticket.extended_hours,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
        "subtag": None,
        "source": None,
        "position_intent": "buy_to_open" if order.is_buy else "sell_to_close",
    }  # fmt: skip


def execution_id(exec_id: str) -> str:
    """Name an execution as the stream and the activities do."""
    return new_id("execution", exec_id)


def activity_id(at: datetime, name: str) -> str:
    """Name an activity: its time to the millisecond and a UUID."""
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{name}"


def fill_json(ticket: Ticket, fill: Fill, cum_qty: Decimal) -> Json:
    """Show one execution as an activity."""
    order = ticket.order
    is_whole = cum_qty == order.order_qty
    return {
        "id": activity_id(fill.transact_time, execution_id(fill.exec_id)),
        "activity_type": "FILL",
        "transaction_time": stamp(fill.transact_time),
        "type": "fill" if is_whole else "partial_fill",
        "price": text(fill.last_px),
        "qty": text(fill.last_qty),
        "side": "buy" if order.is_buy else "sell",
        "symbol": order.symbol,
        "leaves_qty": text(order.order_qty - cum_qty),
        "order_id": ticket.order_id,
        "cum_qty": text(cum_qty),
        "order_status": "filled" if is_whole else "partially_filled",
    }


def asset_json(
    symbol: str, *, is_active: bool = True, is_tradable: bool = True, is_fractionable: bool = True
) -> Json:
    """Show an asset; an active one that is not tradable may be sold only."""
    return {
        "id": new_id("asset", symbol),
        "class": "us_equity",
        "exchange": "NASDAQ",
        "symbol": symbol,
        "name": f"{symbol} Common Stock",
        "status": "active" if is_active else "inactive",
        "tradable": is_active and is_tradable,
        "marginable": True,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "shortable": True,
        "easy_to_borrow": True,
        "borrow_status": "easy_to_borrow",
        "fractionable": is_fractionable,
        "attributes": ["fractional_eh_enabled", "overnight_tradable"] if is_fractionable else [],
    }


def position_json(
    symbol: str, qty: Decimal, reserved: Decimal, price: Decimal, entry: Decimal
) -> Mapping[str, Any]:
    """Show a position; `reserved` is what open sells hold of it, `entry` its mean price."""
    value, basis = qty * price, qty * entry
    gain = value - basis
    share = text(round(gain / abs(basis), 10)) if basis else "0"
    return {
        "asset_id": new_id("asset", symbol),
        "symbol": symbol,
        "exchange": "NASDAQ",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "avg_entry_price": text(entry),
        "qty": text(qty),
        "qty_available": text(qty - reserved),
        "side": "long" if qty > ZERO else "short",
        "market_value": text(value),
        "cost_basis": text(basis),
        "unrealized_pl": text(gain),
        "unrealized_plpc": share,
        "unrealized_intraday_pl": "0",
        "unrealized_intraday_plpc": "0",
        "current_price": text(price),
        "lastday_price": text(price),
        "change_today": "0",
    }
