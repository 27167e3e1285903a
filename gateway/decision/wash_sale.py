"""Wash sales: no loss is taken that a purchase of the same thing would take back (IRC section 1091).

Rules of this room:
1. The window is 61 calendar days of trade dates: 30 before, the day itself, 30 after, both ends in.
   The first day on which it is safe to buy is the sale plus 31.
2. It spans the household: a purchase in any account counts, a non-taxable one too; a loss counts
   only where it could have been deducted.
3. Identity is `Instrument.group`, not the symbol.
4. In doubt it is a conflict: sales are valued at their worst price, shares bought inside the window
   and sold again still count, a sale whose price is unknown may be at a loss.
5. The lots being sold are never their own replacement.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from gateway.decision.costs import commission, gain_of, lots_closed, worst_price
from gateway.decision.view import OpenOrder, View
from gateway.domain.lots import Relief
from gateway.domain.order import Side

SOURCE = "IRC section 1091"


@dataclass(frozen=True, slots=True)
class Trade:
    """Name one purchase or loss sale of the household inside the window."""

    on: date
    account: str
    symbol: str
    lot_id: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Index what the household did inside the window, by group of identical securities."""

    view: View
    losses: dict[str, Trade] = field(default_factory=dict)
    purchases: dict[str, list[Trade]] = field(default_factory=dict)
    open_buys: dict[str, OpenOrder] = field(default_factory=dict)
    open_sells: dict[str, list[OpenOrder]] = field(default_factory=dict)

    @property
    def days(self) -> int:
        """Return the days on either side of a loss sale."""
        return self.view.account.decision.wash_sale_window_days

    def conflict(self, symbol: str, side: Side, qty: Decimal) -> str | None:
        """Say what a trade of `qty` would conflict with, None when it is safe."""
        if side is Side.BUY:
            return self._conflict_of_purchase(symbol)
        return self._conflict_of_sale(symbol, qty) if side is Side.SELL else None

    def loses(self, account: str, symbol: str, qty: Decimal) -> list[Relief]:
        """Return the lots a sale would close if one of them may be at a loss, else an empty list.

        The account's own lot order decides which lots; a non-taxable account has no losses.
        """
        held = self.view.book.accounts[account]
        if not held.taxable:
            return []
        closed = lots_closed(held.lots.get(symbol, ()), Side.SELL, qty, held.lot_method)
        price = self.view.prices.get(symbol)
        if price is None:
            return closed
        worst = worst_price(self.view, symbol, Side.SELL, price)
        net = worst - commission(self.view.account.costs, qty, worst * qty) / qty
        return closed if any(gain_of(relief, net) < 0 for relief in closed) else []

    def _conflict_of_purchase(self, symbol: str) -> str | None:
        group = self.view.instruments[symbol].group
        sale = self.losses.get(group)
        if sale is not None:
            return (
                f"{sale.symbol} was sold at a loss on {sale.on} in account {sale.account}: to buy {symbol} "
                f"before {sale.on + timedelta(days=self.days + 1)} would wash that loss ({SOURCE})"
            )
        for order in self.open_sells.get(group, ()):
            if self.loses(order.account, order.symbol, order.leaves_qty):
                return (
                    f"an open order in account {order.account} sells {order.leaves_qty} {order.symbol} at a "
                    f"loss: to buy {symbol} would wash it ({SOURCE})"
                )
        return None

    def _conflict_of_sale(self, symbol: str, qty: Decimal) -> str | None:
        closed = self.loses(self.view.account.name, symbol, qty)
        if not closed:
            return None
        group = self.view.instruments[symbol].group
        going = {relief.lot_id for relief in closed}
        bought = [trade for trade in self.purchases.get(group, ()) if trade.lot_id not in going]
        if bought:
            last = max(bought, key=lambda trade: trade.on)
            return (
                f"{last.symbol} was bought on {last.on} in account {last.account}: to sell {symbol} at a "
                f"loss before {last.on + timedelta(days=self.days + 1)} would be a wash sale ({SOURCE})"
            )
        order = self.open_buys.get(group)
        if order is not None:
            return (
                f"an open order in account {order.account} buys {order.leaves_qty} {order.symbol}: to sell "
                f"{symbol} at a loss would be a wash sale ({SOURCE})"
            )
        return None


def watch(view: View, *, only: str = "") -> Watch:
    """Index the household's window; with `only`, nothing but that group of identical securities."""
    found = Watch(view)
    window = timedelta(days=found.days)
    first, last = view.trade_date - window, view.trade_date + window

    def group_of(symbol: str, on: date) -> str:
        """Return the group, empty when the trade does not matter."""
        group = view.instruments[symbol].group
        return group if first <= on <= last and only in ("", group) else ""

    for trade in (*_bought(view), *_bought_and_closed(view)):
        if group := group_of(trade.symbol, trade.on):
            found.purchases.setdefault(group, []).append(trade)
    for trade in _sold_at_a_loss(view):
        group = group_of(trade.symbol, trade.on)
        if group and (group not in found.losses or found.losses[group].on < trade.on):
            found.losses[group] = trade
    for order in view.open_orders:
        group = group_of(order.symbol, view.trade_date)
        if group and order.side is Side.BUY:
            found.open_buys.setdefault(group, order)
        elif group and order.side is Side.SELL:
            found.open_sells.setdefault(group, []).append(order)
    return found


def _bought(view: View) -> Iterator[Trade]:
    for account in view.book.accounts.values():
        for symbol, lots in account.lots.items():
            for lot in lots:
                if lot.qty > 0:
                    yield Trade(lot.acquired, account.name, symbol, lot.lot_id)


def _bought_and_closed(view: View) -> Iterator[Trade]:
    for gain in view.book.realised:
        yield Trade(gain.acquired, gain.account, gain.symbol, gain.lot_id)


def _sold_at_a_loss(view: View) -> Iterator[Trade]:
    for gain in view.book.realised:
        if gain.gain < 0 and view.book.accounts[gain.account].taxable:
            yield Trade(gain.sold, gain.account, gain.symbol, gain.lot_id)


def conflict(view: View, symbol: str, side: Side, qty: Decimal) -> str | None:
    """Say what a trade would conflict with under the wash-sale rule, None when it is safe.

    A purchase conflicts with a loss sale of the same group in any taxable account of the household
    inside the window, done or still open. A sale at a loss conflicts with a purchase in any account,
    done or still open. For many names build one `watch` and ask it. Source: IRC section 1091(a).
    """
    return watch(view, only=view.instruments[symbol].group).conflict(symbol, side, qty)
