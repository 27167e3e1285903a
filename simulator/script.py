"""A venue that acts by the book: what happens to an order is chosen by its first OrderQty(38).

Source: the published certification simulator of a bank (rows 1 to 10 of its table); limit buys fill at
99 % of their limit, limit sells at 101 %, all others at 100.

Rules of this room:
1. The first quantity decides for good; later changes do not choose another row.
2. Deeds are done right behind the request they answer, so that carrying requests out again repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from simulator.orders import Answer, Order
from simulator.venue import Venue

REST = Decimal(0)
"""Stands for all that is left."""

BUY_SHARE, SELL_SHARE, OTHER_PX = Decimal("0.99"), Decimal("1.01"), Decimal(100)


@dataclass(frozen=True, slots=True)
class Row:
    """Say what follows placing and changing: quantities to fill in turn, or a refusal."""

    place: tuple[Decimal, ...] = ()
    change: tuple[Decimal, ...] = ()
    refuses: str = ""
    is_done_for_day: bool = False


ROWS: tuple[Row, ...] = (
    Row(),
    Row(place=(REST,)),
    Row(place=(Decimal(10), REST)),
    Row(change=(REST,)),
    Row(place=(Decimal(20),), change=(REST,)),
    Row(place=(Decimal(20),)),
    Row(refuses="D"),
    Row(refuses="G"),
    Row(refuses="F"),
    Row(is_done_for_day=True),
)
"""For first quantities 1-9, 10-19, ... 90-99."""


def row_of(qty: Decimal) -> Row | None:
    """Return the row of a first quantity, None above the table."""
    place = int(qty) // 10
    return ROWS[place] if 0 <= place < len(ROWS) else None


class Script:
    """Remember each order's row by its OrderID(37), and act."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}

    def refusal(self, msg_type: str, venue: Venue, owner: str, cl_ord_id: str, qty: Decimal) -> str | None:
        """Say why a request is refused, None when it is not."""
        row = row_of(qty) if msg_type == "D" else self._row(venue.find(owner, cl_ord_id))
        return "refused by the script" if row is not None and row.refuses == msg_type else None

    def follow(self, msg_type: str, venue: Venue, owner: str, cl_ord_id: str, now: datetime) -> list[Answer]:
        """Do what the row says behind a request that was answered."""
        order = venue.find(owner, cl_ord_id)
        if order is None:
            return []
        row = self._row(order)
        if row is None and msg_type == "D" and (row := row_of(order.order_qty)) is not None:
            self._rows[order.order_id] = row
        if row is None:
            return []
        deeds = row.place if msg_type == "D" else row.change if msg_type == "G" else ()
        said: list[Answer] = []
        for qty in deeds:
            if order.leaves_qty:
                size = min(qty or order.leaves_qty, order.leaves_qty)
                said += venue.fill(order.cl_ord_id, size, now, price=_price(order), owner=owner)
        if row.is_done_for_day and msg_type == "D":
            said += venue.done_for_day(order.cl_ord_id, now, owner=owner)
        return said

    def _row(self, order: Order | None) -> Row | None:
        return None if order is None else self._rows.get(order.order_id)


def _price(order: Order) -> Decimal:
    if order.price is None:
        return OTHER_PX
    return order.price * (BUY_SHARE if order.is_buy else SELL_SHARE)
