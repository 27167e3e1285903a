"""The venue: orders, cancels and replaces in; execution reports and cancel rejects out. No sockets, no clock.

Rules of this room:
1. Pure and seeded: the same calls with the same times give the same answers, ids included. Replaying the
   calls is how a venue comes back after a crash.
2. Every call that may change something first carries out what was due before it.
3. A ClOrdID(11) of an owner is used once, by an order or by an accepted request; a request that finds no
   order uses nothing (FIX 4.4 volume 4 appendix D, B.1.f).
4. A refusal is an answer, never an exception; only the operator's own hand (`fill`, `decide`, ...) raises.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from simulator import entry
from simulator.accounts import Accounts
from simulator.amendments import Amendments
from simulator.entry import Fault
from simulator.floor import Floor, VenueSettings
from simulator.hand import Hand, VenueError
from simulator.market import Market
from simulator.orders import (
    BAD_PRICE,
    NO_EXEC_ID,
    NO_ORDER_ID,
    ZERO,
    Answer,
    CancelOrder,
    ExecType,
    NewOrder,
    Order,
    OrdRejReason,
    OrdStatus,
    OrdType,
    ReplaceOrder,
    Report,
    Side,
    TimeInForce,
    is_bad_price,
)

__all__ = ["Venue", "VenueError", "VenueSettings"]

MAX_ORDERS = 1_000_000
_VERBAL_CHANGE, _PARTIAL_DECLINE = "2", "5"


class Venue:
    """Serve every client of one simulated venue.

    `duplicates` and `resends` count orders whose ClOrdID(11) was in use, without and with PossResend(97)=Y.
    """

    def __init__(
        self, market: Market, accounts: Accounts | None = None, settings: VenueSettings | None = None
    ) -> None:
        self.settings = settings or VenueSettings()
        self.market = market
        self.accounts = accounts or Accounts()
        self.orders: list[Order] = []
        self.duplicates = 0
        self.resends = 0
        self._booked = 0
        self._ids: dict[tuple[str, str], Order] = {}
        self._owners: dict[str, None] = {}
        self._floor = Floor(market, self.accounts, self.settings)
        self._amendments = Amendments(self._floor, self._ids)
        self._hand = Hand(self._floor, self.orders, self._take)
        if self.settings.closes_at is not None:
            self._floor.later(self.settings.closes_at, self._floor.close)

    # What clients ask.

    def submit(self, new: NewOrder, now: datetime, refusal: str | None = None) -> list[Answer]:
        """NewOrderSingle(D): acknowledge or reject, and trade; `refusal` is a whim to reject it."""
        self._begin(now)
        known = self._ids.get((new.owner, new.cl_ord_id))
        if known is not None:
            self._answer_again(known, new, now)
            return self._end()
        order = self._book(new)
        if new.cash_order_qty is not None and new.symbol in self.market:
            new.order_qty = order.order_qty = self._units(new, now)
        fault = (OrdRejReason.BROKER_OPTION, refusal) if refusal is not None else self._fault(new, now)
        if fault is not None:
            order.ended = OrdStatus.REJECTED
            self._floor.report(order, ExecType.REJECTED, now, ord_rej_reason=fault[0], text=fault[1])
            return self._end()
        self._floor.open_orders[order.order_id] = order
        if order.expire_time is not None:
            self._floor.later(order.expire_time, lambda then: self._expire(order, then))
        delay_ms = self.settings.ack_delay_ms
        if delay_ms:
            due = now + timedelta(milliseconds=delay_ms)
            self._floor.later(due, lambda then: self._acknowledge(order, then))
        else:
            self._acknowledge(order, now)
        return self._end()

    def cancel(self, request: CancelOrder, now: datetime, refusal: str | None = None) -> list[Answer]:
        """OrderCancelRequest(F): cancel what is left, or say in a reject why not."""
        self._begin(now)
        self._amendments.cancel(request, now, refusal)
        return self._end()

    def replace(self, request: ReplaceOrder, now: datetime, refusal: str | None = None) -> list[Answer]:
        """OrderCancelReplaceRequest(G): change quantity and price, or say in a reject why not."""
        self._begin(now)
        self._amendments.replace(request, now, refusal)
        return self._end()

    def status(
        self, owner: str, cl_ord_id: str, now: datetime, *, symbol: str = "", side: str = Side.BUY
    ) -> Report:
        """OrderStatusRequest(H): report the order as it stands, changing nothing.

        An unknown order is Rejected(8) with OrderID(37)=NONE; `symbol` and `side` are then the request's own.
        """
        order = self._ids.get((owner, cl_ord_id))
        if order is not None:
            return self._amendments.status(order, cl_ord_id, now)
        return Report(
            owner, NO_ORDER_ID, NO_EXEC_ID, cl_ord_id, None, ExecType.ORDER_STATUS, OrdStatus.REJECTED, "",
            symbol, side, OrdType.MARKET, None, TimeInForce.DAY, ZERO, ZERO, ZERO, ZERO, now,
            ord_rej_reason=OrdRejReason.UNKNOWN_ORDER, text="Unknown order",
        )  # fmt: skip

    def open_status(
        self, owner: str, now: datetime, *, symbol: str | None = None, all_day: bool = False
    ) -> list[Report]:
        """OrderMassStatusRequest(AF): report every order of `owner` that may still fill, changing nothing.

        With `all_day` those that have ended, too.
        """
        asked = self.orders if all_day else self._floor.open_orders.values()
        return [
            self._amendments.status(order, order.cl_ord_id, now)
            for order in asked
            if order.owner == owner and (symbol is None or order.symbol == symbol)
        ]

    # The passing of time.

    def advance(self, now: datetime) -> list[Answer]:
        """Carry out what is due."""
        self._begin(now)
        return self._end()

    @property
    def open_count(self) -> int:
        """Count the orders that may still fill."""
        return len(self._floor.open_orders)

    @property
    def pending_count(self) -> int:
        """Count what the venue has still to do by itself."""
        return self._floor.pending_count

    def next_event(self) -> datetime | None:
        """Say when `advance` is next worth calling, or None."""
        return self._floor.next_due

    # The operator's hand.

    def by_hand(self, act: Callable[[Hand], None], now: datetime) -> list[Answer]:
        """Let the broker's hand act, after what was due."""
        self._begin(now)
        try:
            act(self._hand)
        finally:
            said = self._end()
        return said

    def fill(
        self,
        cl_ord_id: str,
        qty: Decimal,
        now: datetime,
        *,
        price: Decimal | None = None,
        owner: str | None = None,
    ) -> list[Answer]:
        """Fill `qty` of an order, at its limit or the market's price unless `price` is given."""
        self._begin(now)
        order = self.named(cl_ord_id, owner)
        if not ZERO < qty <= order.leaves_qty:
            raise VenueError(f"qty {qty} cannot fill; {order.leaves_qty} of {cl_ord_id} is left")
        if price is None:
            price = order.price or self.market.levels(order.symbol, now, is_buy=order.is_buy)[0].price
        self._floor.execute(order, qty, price, now)
        return self._end()

    def cancel_unsolicited(self, cl_ord_id: str, now: datetime, *, owner: str | None = None) -> list[Answer]:
        """Cancel an order that nobody asked to cancel (appendix D, E.1.b)."""
        self._begin(now)
        order = self.named(cl_ord_id, owner)
        if not order.leaves_qty:
            raise VenueError(
                f"cl_ord_id {cl_ord_id} has nothing left to cancel; it is {order.ord_status.name}"
            )
        self._floor.end(order, OrdStatus.CANCELED)
        self._floor.report(
            order,
            ExecType.CANCELED,
            now,
            exec_restatement_reason=_VERBAL_CHANGE,
            text="canceled by the venue",
        )
        return self._end()

    def done_for_day(self, cl_ord_id: str, now: datetime, *, owner: str | None = None) -> list[Answer]:
        """Let nothing more of an order fill today (appendix D, A.1.b)."""
        self._begin(now)
        order = self.named(cl_ord_id, owner)
        if not order.leaves_qty:
            raise VenueError(f"cl_ord_id {cl_ord_id} has nothing left; it is {order.ord_status.name}")
        self._floor.end(order, OrdStatus.DONE_FOR_DAY)
        self._floor.report(order, ExecType.DONE_FOR_DAY, now, text="done for the day")
        return self._end()

    def named(self, cl_ord_id: str, owner: str | None = None) -> Order:
        """Return the one order of this ClOrdID(11); raises `VenueError` when there is none, or several."""
        owners = self._owners if owner is None else (owner,)
        found = [order for name in owners if (order := self._ids.get((name, cl_ord_id))) is not None]
        if len(found) != 1:
            which = "is no order here" if not found else "is an order of several clients; add owner"
            raise VenueError(f"cl_ord_id {cl_ord_id} {which}")
        return found[0]

    def find(self, owner: str, cl_ord_id: str) -> Order | None:
        """Return the order that has or had this ClOrdID(11), None when there is none."""
        return self._ids.get((owner, cl_ord_id))

    def restate(
        self, cl_ord_id: str, qty: Decimal, now: datetime, *, owner: str | None = None
    ) -> list[Answer]:
        """Change an order's OrderQty(38) unasked (appendix D, E.1.c and E.1.d)."""
        self._begin(now)
        order = self.named(cl_ord_id, owner)
        if not order.leaves_qty or qty <= order.cum_qty:
            raise VenueError(
                f"qty {qty} cannot be; {order.cum_qty} of {cl_ord_id} has filled or nothing is left"
            )
        reason = _PARTIAL_DECLINE if qty < order.order_qty else _VERBAL_CHANGE
        order.order_qty = qty
        self._floor.report(
            order, ExecType.RESTATED, now, exec_restatement_reason=reason, text="restated by the venue"
        )
        if order.is_acknowledged:
            self._floor.withdraw(order)
            self._floor.enter(order, now)
        return self._end()

    def decide(
        self, cl_ord_id: str, now: datetime, *, refusal: str | None = None, owner: str | None = None
    ) -> list[Answer]:
        """Decide a pending cancel or replace by its own ClOrdID(11): accept it, or refuse it with a text."""
        self._begin(now)
        order = self.named(cl_ord_id, owner)
        request = next((item for item in order.requests if item.cl_ord_id == cl_ord_id), None)
        if request is None:
            raise VenueError(
                f"cl_ord_id {cl_ord_id} is no pending request; name one that awaits its decision"
            )
        self._amendments.decide(order, request, now, refusal)
        return self._end()

    def set_price(self, symbol: str, price: Decimal, now: datetime) -> list[Answer]:
        """Move a symbol's reference price and trade what that allows."""
        self._begin(now)
        self._listed(symbol)
        if is_bad_price(price):
            raise VenueError(f"price {price} {BAD_PRICE}")
        self.market.set_price(symbol, price, now)
        self._floor.look_again(symbol, now)
        return self._end()

    def halt(self, symbol: str, now: datetime) -> list[Answer]:
        """Halt a symbol (appendix D, K.1.a)."""
        self._begin(now)
        self._listed(symbol)
        self._floor.halt(symbol, now)
        return self._end()

    def resume(self, symbol: str, now: datetime) -> list[Answer]:
        """Trade a halted symbol again."""
        self._begin(now)
        self._listed(symbol)
        self._floor.resume(symbol, now)
        return self._end()

    def close(self, now: datetime) -> list[Answer]:
        """End the trading day now."""
        self._begin(now)
        self._floor.close(now)
        return self._end()

    def reopen(self, now: datetime) -> list[Answer]:
        """Begin the next trading day."""
        self._begin(now)
        self._floor.reopen(now)
        return self._end()

    # The inside.

    def _begin(self, now: datetime) -> None:
        self.market.begin(now)
        self._floor.run_due(now)

    def _end(self) -> list[Answer]:
        said, self._floor.said = self._floor.said, []
        return said

    def _book(self, new: NewOrder) -> Order:
        self._booked += 1
        order = Order(
            new.owner, f"{self.settings.id_prefix}O{self._booked}", new.cl_ord_id, new.account,
            new.symbol, new.side, new.side == Side.BUY, new.ord_type,
            new.price if new.ord_type == OrdType.LIMIT else None, new.time_in_force, new.order_qty,
            new.expire_time, new.echo, first_cl_ord_id=new.cl_ord_id, cash=new.cash_order_qty,
        )  # fmt: skip
        if len(self.orders) < MAX_ORDERS:
            self.orders.append(order)
            self._ids[new.owner, new.cl_ord_id] = order
            self._owners[new.owner] = None
        return order

    def _take(self, new: NewOrder, now: datetime) -> Order:
        """Let an order trade that no message brought."""
        order = self._book(new)
        self._floor.open_orders[order.order_id] = order
        self._acknowledge(order, now)
        return order

    def _units(self, new: NewOrder, now: datetime) -> Decimal:
        """Turn CashOrderQty(152) into whole lots, at the limit or the market's price (L.1.b)."""
        px = new.price or self.market.levels(new.symbol, now, is_buy=new.side == Side.BUY)[0].price
        lot = self.settings.lot
        return (new.cash_order_qty or ZERO) / px // lot * lot

    def _answer_again(self, known: Order, new: NewOrder, now: datetime) -> None:
        """Answer a ClOrdID(11) that is in use: with its status if it may be a resend, else reject."""
        if new.poss_resend:
            self.resends += 1
            self._floor.said.append(self._amendments.status(known, new.cl_ord_id, now))
        else:
            self.duplicates += 1
            self._floor.report(
                known, ExecType.REJECTED, now, cl_ord_id=new.cl_ord_id,
                ord_rej_reason=OrdRejReason.DUPLICATE_ORDER, text=f"ClOrdID(11) {new.cl_ord_id} is in use",
            )  # fmt: skip

    def _fault(self, new: NewOrder, now: datetime) -> Fault | None:
        """Say why a new order cannot be, or None."""
        if self._booked > MAX_ORDERS:
            return OrdRejReason.EXCEEDS_LIMIT, f"this venue keeps {MAX_ORDERS} orders at most"
        if (new.owner, new.cl_ord_id) in self._hand.verbal:
            return OrdRejReason.DUPLICATE_OF_VERBAL, "this order was given by telephone already"
        return entry.fault(new, self._floor, now)

    def _acknowledge(self, order: Order, now: datetime) -> None:
        if order.leaves_qty and not order.is_acknowledged:
            order.is_acknowledged = True
            self._floor.report(order, ExecType.NEW, now)
            self._floor.enter(order, now)

    def _expire(self, order: Order, now: datetime) -> None:
        if order.time_in_force == TimeInForce.GOOD_TILL_DATE and order.leaves_qty:
            self._floor.end(order, OrdStatus.EXPIRED)
            self._floor.report(order, ExecType.EXPIRED, now, text="ExpireTime(126) has come")

    def _listed(self, symbol: str) -> None:
        if symbol not in self.market:
            raise VenueError(f"symbol {symbol} is not listed; give one of the prices file")
