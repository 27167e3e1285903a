"""The broker's hand: what a desk or an exchange does to orders that no client message asks for.

Executions taken back or corrected, fills that come after the end, orders taken by telephone, guarantees,
splits (FIX 4.4 volume 4 appendix D, groups E, F.1.c, H.1.b, J and L).

Rules of this room:
1. Only `Venue.by_hand` calls these, after what was due; what cannot be raises `VenueError` and has changed
   nothing.
2. A bust or a correction moves order, account and report by exactly the execution it takes back, its
   commission included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from simulator.floor import Floor
from simulator.orders import ZERO, ExecType, Fill, NewOrder, Order, OrdType, is_bad_price

_GT_CORPORATE_ACTION = "0"
"""ExecRestatementReason(378)."""

MAX_VERBAL = 10_000
MAX_RATIO = Decimal(1_000)


class VenueError(Exception):
    """Say why the operator's command cannot be carried out, and what to give instead."""


@dataclass(slots=True)
class Hand:
    """Work on the orders of one floor; `take` books an order nobody sent and lets it trade.

    `verbal` are the owners and ClOrdIDs(11) of orders already passed by telephone.
    """

    floor: Floor
    orders: list[Order]
    take: Callable[[NewOrder, datetime], Order]
    verbal: set[tuple[str, str]] = field(default_factory=set)
    taken: int = 0

    def bust(self, exec_id: str, now: datetime) -> None:
        """Take an execution back (J.1.a, J.1.b)."""
        order, fill = self._execution(exec_id)
        order.fills.remove(fill)
        self._move(order, fill, -1)
        self._report(order, fill, ExecType.TRADE_CANCEL, Fill(exec_id, ZERO, ZERO, ZERO, now), now)

    def correct(self, exec_id: str, qty: Decimal, px: Decimal, now: datetime) -> None:
        """Correct an execution's quantity and price (J.1.a, J.1.c); its commission stands."""
        order, fill = self._execution(exec_id)
        others = order.cum_qty - fill.last_qty
        if not ZERO < qty <= order.order_qty - others:
            raise VenueError(f"qty {qty} cannot be; {others} of {order.order_qty} has filled otherwise")
        if is_bad_price(px):
            raise VenueError(f"price {px} cannot be; give one above 0")
        corrected = Fill(fill.exec_id, qty, px, fill.commission, now, fill.is_earlier)
        self._move(order, fill, -1)
        order.fills[order.fills.index(fill)] = corrected
        self._move(order, corrected, 1)
        self._report(order, fill, ExecType.TRADE_CORRECT, corrected, now)

    def fill_late(self, order: Order, qty: Decimal, px: Decimal, now: datetime) -> None:
        """Fill an order that has ended: an execution made before the end and reported after it (J.1.b)."""
        if order.ended is None or not ZERO < qty <= order.order_qty - order.cum_qty:
            raise VenueError(f"qty {qty} cannot fill late; the order is {order.ord_status.name}")
        self.floor.execute(order, qty, px, now)

    def acknowledge(self, order: Order, now: datetime) -> None:
        """Acknowledge an order whose acknowledgement is delayed."""
        if order.is_acknowledged or not order.leaves_qty:
            raise VenueError(f"{order.cl_ord_id} is {order.ord_status.name}; name one not yet acknowledged")
        order.is_acknowledged = True
        self.floor.report(order, ExecType.NEW, now)
        self.floor.enter(order, now)

    def stop(self, order: Order, px: Decimal, now: datetime) -> None:
        """Guarantee an execution at `px` or better (L.1.a)."""
        if not order.leaves_qty or is_bad_price(px):
            raise VenueError(
                f"{order.cl_ord_id} is {order.ord_status.name}; name a working order and a price"
            )
        order.is_stopped = True
        guarantee = Fill(self.floor.next_exec_id(), order.leaves_qty, px, ZERO, now)
        self.floor.report(order, ExecType.STOPPED, now, fill=guarantee)

    def telephone(self, new: NewOrder, now: datetime) -> None:
        """Book an order a client gave by telephone, under names of our own (E.1.a)."""
        if (
            new.symbol not in self.floor.market
            or new.order_qty <= ZERO
            or not self.floor.accounts.find(new.account)
        ):
            raise VenueError(
                f"{new.order_qty} {new.symbol} for {new.account!r} cannot be; name what is known here"
            )
        self.taken += 1
        new.cl_ord_id = f"{self.floor.settings.id_prefix}T{self.taken}"
        self.take(new, now)

    def pass_verbally(self, owner: str, cl_ord_id: str) -> None:
        """Note that an order came by telephone already: its message will be refused (F.1.c)."""
        if len(self.verbal) >= MAX_VERBAL:
            raise VenueError(f"{MAX_VERBAL} orders have been passed already; that is enough")
        self.verbal.add((owner, cl_ord_id))

    def split(self, symbol: str, ratio: Decimal, now: datetime) -> None:
        """Restate a symbol's working orders, positions and price in new units (H.1.b)."""
        if symbol not in self.floor.market or not ZERO < ratio <= MAX_RATIO:
            raise VenueError(
                f"symbol {symbol} at ratio {ratio} cannot split; name a listed one and 2 for 2:1"
            )
        for account in self.floor.accounts.every():
            if symbol in account.positions:
                account.positions[symbol] *= ratio
        self.floor.market.set_price(symbol, self.floor.market.price(symbol, now) / ratio, now)
        for order in [one for one in self.floor.open_orders.values() if one.symbol == symbol]:
            self.floor.withdraw(order)
            order.order_qty *= ratio
            order.cum_qty *= ratio
            if order.price is not None and order.ord_type == OrdType.LIMIT:
                order.price /= ratio
            for fill in order.fills:
                fill.last_qty *= ratio
                fill.last_px /= ratio
            self.floor.report(order, ExecType.RESTATED, now, exec_restatement_reason=_GT_CORPORATE_ACTION)
            if order.is_acknowledged:
                self.floor.enter(order, now)

    # The inside.

    def _execution(self, exec_id: str) -> tuple[Order, Fill]:
        for order in self.orders:
            for fill in order.fills:
                if fill.exec_id == exec_id:
                    return order, fill
        raise VenueError(f"exec_id {exec_id} is no execution that stands; name an ExecID(17) of the record")

    def _move(self, order: Order, fill: Fill, sign: int) -> None:
        """Put an execution into order and account, or take it out."""
        order.cum_qty += sign * fill.last_qty
        order.value += sign * fill.last_qty * fill.last_px
        order.commission += sign * fill.commission
        self.floor.accounts.book(order, sign * fill.last_qty, fill.last_px, sign * fill.commission)

    def _report(
        self, order: Order, undone: Fill, exec_type: ExecType, now_stands: Fill, now: datetime
    ) -> None:
        """Report what was taken back, and let what is left of a working order fill again."""
        named, now_stands.exec_id = undone.exec_id, self.floor.next_exec_id()
        is_back = order.leaves_qty and order.order_id not in self.floor.open_orders
        self.floor.report(order, exec_type, now, fill=now_stands, exec_ref_id=named)
        if is_back:
            self.floor.enter(order, now)
        elif not order.leaves_qty:
            self.floor.retire(order)
