"""Price-time priority: the clients' resting orders, and what an order would trade with.

Rules of this room:
1. `trades` is pure: it says what would happen; the venue applies it.
2. At one price the clients' orders come before the market's own; among clients the older comes first.
3. Two clients trade at the resting order's price, or the market's where that is better for it.
4. An order never trades with one of the same client and account.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from heapq import merge

from simulator.market import Level
from simulator.orders import ZERO, Order

Place = tuple[Decimal, int, Order]
_FIRST = Decimal("-Infinity")


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade that would happen: with a client's resting order, or with a level of the market."""

    qty: Decimal
    px: Decimal
    resting: Order | None = None
    level: Level | None = None


class Resting:
    """The clients' resting orders of one symbol, each side in priority order."""

    def __init__(self) -> None:
        self._bids: list[Place] = []
        self._asks: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self._bids or self._asks)

    def __iter__(self) -> Iterator[Order]:
        return (place[2] for side in (self._bids, self._asks) for place in list(side))

    def add(self, order: Order) -> None:
        """Let `order` rest at its price and priority."""
        insort(self._side(order), self._place(order))

    def remove(self, order: Order) -> None:
        """Take `order` away; its price and priority are those it was added with."""
        side = self._side(order)
        del side[bisect_left(side, self._place(order))]

    def against(self, order: Order) -> list[Place]:
        """Return the side `order` would trade with, best first."""
        return self._asks if order.is_buy else self._bids

    def _side(self, order: Order) -> list[Place]:
        return self._bids if order.is_buy else self._asks

    def _place(self, order: Order) -> Place:
        if order.price is None:
            return (_FIRST, order.priority, order)
        return (-order.price if order.is_buy else order.price, order.priority, order)


def accepts(order: Order, px: Decimal) -> bool:
    """Say whether the order's Price(44), if it has one, allows trading at `px`."""
    limit = order.price
    return limit is None or (px <= limit if order.is_buy else px >= limit)


def trades(
    order: Order, qty: Decimal, levels: Sequence[Level], opposite: Sequence[Place], instead: Decimal
) -> list[Trade]:
    """Say what up to `qty` of `order` would trade with `levels` of the market and `opposite` orders.

    `instead` is the market's price for an order of the other side, which no resting order does worse than.
    """
    offers: Iterable[Trade] = _shown(order, qty, levels)
    if opposite:
        sign = 1 if order.is_buy else -1
        offers = merge(_rivals(order, opposite, instead), offers, key=lambda offer: offer.px * sign)
    made: list[Trade] = []
    for offer in offers:
        if offer.qty >= qty:
            made.append(offer if offer.qty == qty else replace(offer, qty=qty))
            break
        made.append(offer)
        qty -= offer.qty
    return made


def _shown(order: Order, qty: Decimal, levels: Sequence[Level]) -> Iterator[Trade]:
    """Yield what the market shows within the order's limit."""
    for level in levels:
        if not accepts(order, level.price):
            return
        size = qty if level.size is None else level.size
        if size > ZERO:
            yield Trade(size, level.price, level=level)


def _rivals(order: Order, opposite: Sequence[Place], instead: Decimal) -> Iterator[Trade]:
    """Yield what the resting orders offer within both limits."""
    for _, _, resting in opposite:
        buy, sell = (order, resting) if order.is_buy else (resting, order)
        if buy.price is not None and sell.price is not None and buy.price < sell.price:
            return
        if resting.owner == order.owner and resting.account == order.account:
            continue
        px = instead
        if resting.price is not None:
            px = max(resting.price, instead) if order.is_buy else min(resting.price, instead)
        if sell.price is not None:
            px = max(px, sell.price)
        if buy.price is not None:
            px = min(px, buy.price)
        yield Trade(resting.leaves_qty, px, resting=resting)
