"""The venue's own record as plain data: what a test or an auditor compares a client's book with.

Rules of this room:
1. Money, prices and quantities are decimal strings without an exponent.
2. An order goes by the ClOrdID(11) it came with; `last_cl_ord_id` is the last one accepted.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from simulator.orders import Order
from simulator.venue import Venue


def record(venue: Venue) -> dict[str, Any]:
    """Return every order, its fills, and every account."""
    accounts = {
        account.name: {
            "cash": text(account.cash),
            "positions": {symbol: text(held) for symbol, held in sorted(account.positions.items())},
        }
        for account in venue.accounts.every()
    }
    return {
        "orders": [_order(order) for order in venue.orders],
        "accounts": accounts,
        "duplicates": venue.duplicates,
        "resends": venue.resends,
    }


def text(number: Decimal) -> str:
    """Write a number with digits and a point only."""
    return format(number, "f")


def _order(order: Order) -> dict[str, Any]:
    return {
        "owner": order.owner,
        "order_id": order.order_id,
        "cl_ord_id": order.first_cl_ord_id,
        "last_cl_ord_id": order.cl_ord_id,
        "account": order.account,
        "symbol": order.symbol,
        "side": order.side,
        "ord_type": order.ord_type,
        "time_in_force": order.time_in_force,
        "price": None if order.price is None else text(order.price),
        "qty": text(order.order_qty),
        "cum_qty": text(order.cum_qty),
        "leaves_qty": text(order.leaves_qty),
        "avg_px": text(order.avg_px),
        "commission": text(order.commission),
        "status": order.ord_status.name.lower(),
        "fills": [
            {
                "exec_id": fill.exec_id,
                "last_qty": text(fill.last_qty),
                "last_px": text(fill.last_px),
                "commission": text(fill.commission),
            }
            for fill in order.fills
        ],
    }
