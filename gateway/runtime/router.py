"""The router: carries the engine's wishes to the brokers, at the rate each link allows.

Rules of this room:
1. Orders wait for the rate limit, they are never refused for it; cancels and look-ups go first and
   do not wait, but they count: the orders behind them wait the longer.
2. The lease is checked in the same step as each send, with no await between: a gateway that has lost
   its household sends nothing more.
3. What certainly did not leave comes back as `SendWithheld`; anything else is the broker's to report.
4. When a link goes down its waiting orders are dropped: the engine has them in doubt and will ask.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from adapters.base import Broker, NotSent
from gateway.events import CancelOrder, Event, LookUpOrder, SendOrder, SendWithheld, WithholdOrders

if TYPE_CHECKING:
    from gateway.runtime.clock import Clock

FLUSH_EVERY = 32
"""A long wave leaves in pieces, so that the venue works while the rest is being written."""

Wish = SendOrder | CancelOrder | LookUpOrder


@dataclass(slots=True)
class Lane:
    """Hold what waits for one link: a token bucket of one second's worth of orders."""

    broker: Broker
    waiting: deque[SendOrder] = field(default_factory=deque)
    tokens: float = 0.0
    filled_at: float = 0.0


class Router:
    """Send wishes to their links; `give_back` takes the events for what did not leave."""

    def __init__(
        self,
        brokers: Mapping[str, Broker],
        clock: Clock,
        may_act: Callable[[], bool],
        give_back: Callable[[list[Event]], None],
    ) -> None:
        self._lanes = {name: Lane(broker) for name, broker in brokers.items()}
        self._clock = clock
        self._may_act = may_act
        self._give_back = give_back
        self._wake: asyncio.TimerHandle | None = None

    def carry(self, wishes: Iterable[Wish]) -> None:
        """Take wishes over; urgent ones leave at once, orders as fast as their link allows."""
        touched: dict[str, Lane] = {}
        returned: list[Event] = []
        for wish in wishes:
            lane = self._lanes[wish.order.link]
            touched[wish.order.link] = lane
            if isinstance(wish, SendOrder):
                lane.waiting.append(wish)
            elif self._may_act():
                self._ask(lane.broker, wish)
                lane.tokens = self._refill(lane) - 1.0
        for lane in touched.values():
            returned += self._drain(lane)
        if returned:
            self._give_back(returned)

    def drop(self, link: str) -> None:
        """Forget the orders waiting for a link that is down."""
        self._lanes[link].waiting.clear()

    def withhold(self, wish: WithholdOrders) -> None:
        """Give back every waiting order of an account (of all accounts when it is empty)."""
        returned: list[Event] = []
        for lane in self._lanes.values():
            kept: deque[SendOrder] = deque()
            for send in lane.waiting:
                if wish.account in ("", send.order.account):
                    returned.append(SendWithheld(self._now(), send.order.cl_ord_id, wish.reason))
                else:
                    kept.append(send)
            lane.waiting = kept
            lane.broker.recall(wish.account, wish.reason)
        if returned:
            self._give_back(returned)

    def waiting(self) -> int:
        """Count the orders that wait for a rate limit."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def close(self) -> None:
        """Stop sending."""
        if self._wake is not None:
            self._wake.cancel()
        for lane in self._lanes.values():
            lane.waiting.clear()

    def _now(self) -> datetime:
        return self._clock.now()

    def _ask(self, broker: Broker, wish: CancelOrder | LookUpOrder) -> None:
        """Hand over a cancel or a look-up; one that cannot leave is asked again by the engine's timer."""
        try:
            if isinstance(wish, CancelOrder):
                broker.cancel(wish)
            else:
                broker.look_up(wish)
        except NotSent:
            return

    def _drain(self, lane: Lane) -> list[Event]:
        """Send what the lane's tokens allow and set the wake-up for the rest."""
        returned: list[Event] = []
        sent = 0
        allowed = self._refill(lane)
        while lane.waiting and allowed >= 1.0:
            if not self._may_act():
                lane.waiting.clear()
                break
            send = lane.waiting.popleft()
            allowed -= 1.0
            sent += 1
            if sent % FLUSH_EVERY == 0:
                lane.broker.flush()
            try:
                _submit(lane.broker, send)
            except NotSent as problem:
                returned.append(SendWithheld(self._now(), send.order.cl_ord_id, str(problem)))
        lane.tokens = allowed
        lane.broker.flush()
        if lane.waiting:
            self._wake_in((1.0 - allowed) / lane.broker.capabilities.orders_per_s)
        return returned

    def _refill(self, lane: Lane) -> float:
        rate = lane.broker.capabilities.orders_per_s
        if not rate:
            return float("inf")
        now = self._clock.monotonic()
        tokens = min(rate, lane.tokens + (now - lane.filled_at) * rate) if lane.filled_at else rate
        lane.filled_at = now
        return tokens

    def _wake_in(self, delay_s: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake = asyncio.get_running_loop().call_later(max(delay_s, 0.001), self._continue)

    def _continue(self) -> None:
        self._wake = None
        returned: list[Event] = []
        for lane in self._lanes.values():
            if lane.waiting:
                returned += self._drain(lane)
        if returned:
            self._give_back(returned)


def _submit(broker: Broker, send: SendOrder) -> None:
    """Hand one order over; raises `NotSent`, also where the broker would take its money for a quantity."""
    if send.order.cash_order_qty is not None and not broker.capabilities.cash_orders:
        raise NotSent(f"link {broker.name} takes orders of a quantity only; set cash_orders = false")
    broker.submit(send)
