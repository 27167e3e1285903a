"""The trading floor: orders rest, meet, fill in pieces over time, and are reported and booked as they do.

Rules of this room:
1. `execute` is the only place a quantity fills: it moves the order, the account's book and the report.
2. Everything later is an entry of `_agenda`, carried out in order of time, then of entry, by `run_due`.
3. An order rests when what can fill at once has filled; it is looked at again when its price, its market's
   price or its opposite's size changes, never because another symbol moved.
4. Randomness decides only how an order is cut and when its pieces fill; all of it is one seeded stream.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from random import Random

from simulator.accounts import Accounts, Tariff
from simulator.market import Market
from simulator.matching import Resting, Trade, trades
from simulator.orders import (
    NO_EXEC_ID,
    ZERO,
    Answer,
    ExecType,
    Fill,
    Order,
    OrdRejReason,
    OrdStatus,
    Report,
    TimeInForce,
)

_AT_ONCE = frozenset({TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL})
_ONE = Decimal(1)
_GT_RENEWAL = "1"
"""ExecRestatementReason(378): renewed for another day, nothing changed."""


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """Shape the venue; times in milliseconds.

    `partials` is the largest number of fills an order is cut into, `fill_delay_ms` the usual time between
    them (0: everything fills at once). `pending_ms` None answers cancels and replaces at once, without
    pending reports; a number reports them pending and decides that much later. `ack_delay_ms` is the time
    from order to acknowledgement. `chains_requests` allows a second replace while one is pending.
    `fills_by_hand` leaves every fill to `Venue.fill`. `closes_at` ends day orders as `day_end`. `lot` is the
    smallest quantity step, `piece` that of the fills of a cut order (the lot when None).
    """

    seed: int = 1
    id_prefix: str = ""
    tariff: Tariff = field(default_factory=Tariff)
    fill_delay_ms: float = 0
    partials: int = 1
    ack_delay_ms: float = 0
    pending_ms: float | None = None
    chains_requests: bool = True
    fills_by_hand: bool = False
    closes_at: datetime | None = None
    day_end: OrdStatus = OrdStatus.DONE_FOR_DAY
    lot: Decimal = _ONE
    piece: Decimal | None = None


class Floor:
    """Trade acknowledged orders of one market for the accounts of one house."""

    def __init__(self, market: Market, accounts: Accounts, settings: VenueSettings) -> None:
        self.market = market
        self.accounts = accounts
        self.settings = settings
        self.said: list[Answer] = []
        self.open_orders: dict[str, Order] = {}
        self.halted: set[str] = set()
        self.is_closed = False
        self._resting: dict[str, Resting] = {}
        self._agenda: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._entered = 0
        self._executions = 0
        self._priorities = 0
        self._random = Random(settings.seed)
        self._replenishing: set[str] = set()
        self._walking = False

    # Time.

    @property
    def next_due(self) -> datetime | None:
        """Say when something is next to be done."""
        return self._agenda[0][0] if self._agenda else None

    @property
    def pending_count(self) -> int:
        """Count what is on the agenda, what has become pointless included."""
        return len(self._agenda)

    def later(self, due: datetime, action: Callable[[datetime], None]) -> None:
        """Put `action` on the agenda."""
        self._entered += 1
        heappush(self._agenda, (due, self._entered, action))

    def run_due(self, now: datetime) -> None:
        """Carry out what is due."""
        while self._agenda and self._agenda[0][0] <= now:
            heappop(self._agenda)[2](now)

    # What happens to an order.

    def report(
        self,
        order: Order,
        exec_type: ExecType,
        now: datetime,
        *,
        cl_ord_id: str | None = None,
        orig_cl_ord_id: str | None = None,
        fill: Fill | None = None,
        ord_rej_reason: OrdRejReason | None = None,
        exec_restatement_reason: str | None = None,
        text: str | None = None,
        exec_ref_id: str | None = None,
    ) -> None:
        """Say what happened to `order` as it stands now; a status report has no ExecID(17) of its own."""
        exec_id = fill.exec_id if fill is not None else NO_EXEC_ID
        if fill is None and exec_type is not ExecType.ORDER_STATUS:
            exec_id = self.next_exec_id()
        self.said.append(
            Report(
                order.owner,
                order.order_id,
                exec_id,
                cl_ord_id or order.cl_ord_id,
                orig_cl_ord_id,
                exec_type,
                order.ord_status,
                order.account,
                order.symbol,
                order.side,
                order.ord_type,
                order.price,
                order.time_in_force,
                order.order_qty,
                order.cum_qty,
                order.leaves_qty,
                order.avg_px,
                now,
                fill.last_qty if fill is not None else None,
                fill.last_px if fill is not None else None,
                fill.commission if fill is not None else None,
                ord_rej_reason,
                exec_restatement_reason,
                text,
                order.echo,
                exec_ref_id,
                order.day,
            )
        )

    def execute(self, order: Order, last_qty: Decimal, last_px: Decimal, now: datetime) -> None:
        """Fill `last_qty` at `last_px`, book it and report it."""
        if not ZERO < last_qty <= order.order_qty - order.cum_qty:
            raise AssertionError(f"{order.order_id}: {last_qty} cannot fill of {order.order_qty}")
        order.cum_qty += last_qty
        order.value += last_qty * last_px
        commission = ZERO
        if not self.settings.tariff.is_free:
            commission = self.settings.tariff.owed(order.cum_qty, order.value) - order.commission
            order.commission += commission
        self.accounts.book(order, last_qty, last_px, commission)
        fill = Fill(self.next_exec_id(), last_qty, last_px, commission, now)
        order.fills.append(fill)
        if not order.leaves_qty:
            self.retire(order)
        self.report(order, ExecType.TRADE, now, fill=fill)

    def next_exec_id(self) -> str:
        """Give the next ExecID(17)."""
        self._executions += 1
        return f"{self.settings.id_prefix}E{self._executions}"

    def end(self, order: Order, status: OrdStatus) -> None:
        """Let nothing more of `order` fill; the caller reports it."""
        order.ended = status
        self.retire(order)

    def enter(self, order: Order, now: datetime) -> None:
        """Let `order` trade from now on, as a newcomer."""
        self.open_orders[order.order_id] = order
        if order.symbol in self.halted and not order.is_suspended:
            self._suspend(order, now)
        can_trade = self._trades_now(order)
        if order.time_in_force in _AT_ONCE:
            if can_trade:
                self._trade_at_once(order, now)
            if order.leaves_qty:
                self.end(order, OrdStatus.CANCELED)
                self.report(order, ExecType.CANCELED, now, text="nothing more can fill at once")
            return
        if can_trade and not self.settings.fill_delay_ms:
            self._sweep(order, now)
        if order.leaves_qty:
            self._rest(order, now)
            if can_trade and self.settings.fill_delay_ms:
                self._plan(order, now)

    def withdraw(self, order: Order) -> None:
        """Take `order` off the floor, whatever was planned for it included."""
        order.plan += 1
        order.slices = []
        if order.priority:
            self._resting[order.symbol].remove(order)
            order.priority = 0

    # What happens to a symbol or to all.

    def look_again(self, symbol: str, now: datetime) -> None:
        """Trade what the market of `symbol` allows now."""
        for order in self._resting.get(symbol, ()):
            if order.slices or not order.leaves_qty or not self._trades_now(order):
                continue
            if self.settings.fill_delay_ms:
                self._plan(order, now)
            else:
                self._sweep(order, now)

    def halt(self, symbol: str, now: datetime) -> None:
        """Stop trading `symbol`: its orders become Suspended(9)."""
        self.halted.add(symbol)
        for order in [item for item in self.open_orders.values() if item.symbol == symbol]:
            if order.is_acknowledged and not order.is_suspended:
                self._suspend(order, now)

    def resume(self, symbol: str, now: datetime) -> None:
        """Trade `symbol` again: its orders are restated as what they were."""
        self.halted.discard(symbol)
        for order in [
            item for item in self.open_orders.values() if item.symbol == symbol and item.is_suspended
        ]:
            order.is_suspended = False
            self.report(order, ExecType.RESTATED, now, exec_restatement_reason="99", text="trading resumes")
        self.look_again(symbol, now)

    def close(self, now: datetime) -> None:
        """End the trading day: day orders end as `day_end` says, the others wait for `reopen` (H.1.a)."""
        self.is_closed = True
        status = self.settings.day_end
        for order in list(self.open_orders.values()):
            exec_type = ExecType.DONE_FOR_DAY
            if order.time_in_force == TimeInForce.DAY:
                exec_type = ExecType.EXPIRED if status is OrdStatus.EXPIRED else exec_type
                self.end(order, status)
            else:
                order.is_resting_till_tomorrow = True
            self.report(order, exec_type, now, text="the trading day has ended")

    def reopen(self, now: datetime) -> None:
        """Begin another trading day: what outlived the last one is restated."""
        self.is_closed = False
        for order in self.open_orders.values():
            if order.is_resting_till_tomorrow:
                order.is_resting_till_tomorrow, order.is_renewed = False, True
                for fill in order.fills:
                    fill.is_earlier = True
                self.report(order, ExecType.RESTATED, now, exec_restatement_reason=_GT_RENEWAL)
        for symbol in list(self._resting):
            self.look_again(symbol, now)

    # The inside.

    def retire(self, order: Order) -> None:
        """Take an order of which nothing is left off the floor."""
        self.withdraw(order)
        self.open_orders.pop(order.order_id, None)

    def _trades_now(self, order: Order) -> bool:
        return not (self.settings.fills_by_hand or self.is_closed or order.is_suspended)

    def _suspend(self, order: Order, now: datetime) -> None:
        order.is_suspended = True
        order.plan += 1
        order.slices = []
        self.report(order, ExecType.SUSPENDED, now, text="trading in the symbol is halted")

    def _rest(self, order: Order, now: datetime) -> None:
        self._priorities += 1
        order.priority = self._priorities
        self._resting.setdefault(order.symbol, Resting()).add(order)
        if self.market.walks and not self._walking:
            self._walking = True
            self._await_step(now)

    def _possible(self, order: Order, qty: Decimal, now: datetime) -> list[Trade]:
        market, symbol = self.market, order.symbol
        levels = market.levels(symbol, now, is_buy=order.is_buy)
        resting = self._resting.get(symbol)
        opposite = resting.against(order) if resting else ()
        instead = market.levels(symbol, now, is_buy=not order.is_buy)[0].price if opposite else ZERO
        return trades(order, qty, levels, opposite, instead)

    def _work(self, order: Order, qty: Decimal, now: datetime) -> None:
        """Trade up to `qty` of `order` now."""
        for trade in self._possible(order, qty, now):
            order.size_at(trade.px, self.settings.lot)
            part = min(trade.qty, order.leaves_qty)
            if not part:
                self.end(order, OrdStatus.CANCELED)
                self.report(order, ExecType.CANCELED, now, text="the money left buys no lot")
                return
            if trade.level is not None and trade.level.size is not None:
                trade.level.size -= part
                self._await_replenishment(order.symbol, now)
            self.execute(order, part, trade.px, now)
            if trade.resting is not None:
                self.execute(trade.resting, part, trade.px, now)
            if not order.leaves_qty:
                return

    def _trade_at_once(self, order: Order, now: datetime) -> None:
        """Serve an immediate-or-cancel or a fill-or-kill order."""
        if order.time_in_force == TimeInForce.FILL_OR_KILL:
            possible = sum((trade.qty for trade in self._possible(order, order.leaves_qty, now)), ZERO)
            if possible < order.leaves_qty:
                return
        self._sweep(order, now)

    def _sweep(self, order: Order, now: datetime) -> None:
        """Trade all that is possible now, cut into pieces."""
        for part in self._cut(order.leaves_qty):
            before = order.cum_qty
            self._work(order, part, now)
            if order.cum_qty - before < part:
                return

    def _cut(self, qty: Decimal) -> list[Decimal]:
        """Cut a quantity into 1 to `partials` pieces of whole lots."""
        lot = self.settings.piece or self.settings.lot
        most = min(self.settings.partials, int(qty / lot))
        pieces = self._random.randint(1, most) if most > 1 else 1
        if pieces == 1:
            return [qty]
        marks = sorted(self._random.sample(range(1, int(qty / lot)), pieces - 1))
        edges = [ZERO, *(lot * mark for mark in marks), qty]
        return [after - before for before, after in itertools.pairwise(edges)]

    def _plan(self, order: Order, now: datetime) -> None:
        """Plan the fills of an order that can trade now."""
        order.plan += 1
        if not self._possible(order, order.leaves_qty, now):
            order.slices = []
            return
        order.slices = self._cut(order.leaves_qty)
        self._await_slice(order, now)

    def _await_slice(self, order: Order, now: datetime) -> None:
        plan, jitter = order.plan, self._random.uniform(0.5, 1.5)
        due = now + timedelta(milliseconds=self.settings.fill_delay_ms * jitter)
        self.later(due, lambda then: self._fill_slice(order, plan, then))

    def _fill_slice(self, order: Order, plan: int, now: datetime) -> None:
        if order.plan != plan or not order.leaves_qty or not self._trades_now(order):
            return
        self._work(order, min(order.slices.pop(0), order.leaves_qty), now)
        if order.plan != plan:
            return
        if order.slices:
            self._await_slice(order, now)
        else:
            self._plan(order, now)

    def _await_replenishment(self, symbol: str, now: datetime) -> None:
        if symbol not in self._replenishing:
            self._replenishing.add(symbol)
            due = now + timedelta(milliseconds=self.market.settings.replenish_ms)
            self.later(due, lambda then: self._replenish(symbol, then))

    def _replenish(self, symbol: str, now: datetime) -> None:
        self._replenishing.discard(symbol)
        self.market.replenish(symbol, now)
        self.look_again(symbol, now)

    def _await_step(self, now: datetime) -> None:
        due = self.market.next_step(now)
        if due is not None:
            self.later(due, self._step)

    def _step(self, now: datetime) -> None:
        """Follow the walk for as long as orders rest."""
        self._walking = any(self._resting.values())
        if self._walking:
            for symbol, resting in list(self._resting.items()):
                if resting:
                    self.look_again(symbol, now)
            self._await_step(now)
