"""Wash sales: no loss is taken that a purchase of the same thing would take back (IRC section 1091).

Rules of this room:
1. The window is 61 calendar days of trade dates: 30 before, the day itself, 30 after, both ends in.
   The first day on which it is safe to buy is the sale plus 31.
2. It spans the household: a purchase in any account counts, a non-taxable one too; a loss counts
   only where it could have been deducted. A loss is one of adjusted basis, and only as far as earlier
   purchases have not used it up already (`tax_record.py`).
3. Identity is `Instrument.group`, not the symbol.
4. In doubt it is a conflict: sales are valued at their worst price, shares bought inside the window
   and sold again still count, a sale whose price is unknown may be at a loss.
5. The lots being sold are never their own replacement, nor is what else the same order bought. What a
   sale takes of several purchases is judged at every moment of its filling (`window.py`): orders fill
   in part. A commission is spread over the whole order.
6. A short sale closed at a loss is washed by another short sale and by a sale of what is held (1091(e)).
7. What an account does about a conflict is its choice (`WashSales`); `marked` and `settled` apply it. The
   loss of another account is washed only where that account accepts it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from gateway.decision.costs import commission, gain_of, worst_price
from gateway.decision.tax_record import TaxRecord, tax_record
from gateway.decision.view import OpenOrder, View
from gateway.decision.window import Closing, Trade, bought, closing, may_close, sold, sold_short, will_close
from gateway.domain.lots import Relief, is_long_term
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import WashSales

SOURCE = "IRC section 1091"
ZERO = Decimal(0)
IN_PART = " if only a part of the order filled"

Substitute = Callable[[str], str]
"""Name what may be bought instead of a symbol, empty when nothing is known."""


def no_substitute(symbol: str) -> str:
    """Know of nothing to buy instead."""
    del symbol
    return ""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Say in one sentence what would wash which loss, and from when it no longer would.

    `first_safe_day` is None when that is not known yet: an order still works. `tax` is what the loss would
    have saved at its rate, in money: what it costs to go ahead. `losers` are the accounts whose loss it is.
    """

    text: str
    first_safe_day: date | None
    tax: float
    losers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Watch:
    """Index what the household did inside the window, by group of identical securities."""

    view: View
    record: TaxRecord
    substitute: Substitute = no_substitute
    purchases: dict[str, list[Trade]] = field(default_factory=dict)
    short_sales: dict[str, list[Trade]] = field(default_factory=dict)
    sales: dict[str, list[Trade]] = field(default_factory=dict)
    open_buys: dict[str, list[OpenOrder]] = field(default_factory=dict)
    open_sells: dict[str, list[OpenOrder]] = field(default_factory=dict)
    open_shorts: dict[str, list[OpenOrder]] = field(default_factory=dict)

    @property
    def days(self) -> int:
        """Return the days on either side of a loss sale."""
        return self.view.account.decision.wash_sale_window_days

    @property
    def losses(self) -> dict[str, Trade]:
        """Return the latest loss that a purchase would still wash, by group."""
        return {
            group: Trade(last.on, last.line.account, last.line.symbol, last.line.lot_id, qty=last.left)
            for group in dict.fromkeys(one.group for one in self.view.instruments.values())
            for last in self.record.waiting(group)[-1:]
        }

    def conflict(self, symbol: str, side: Side, qty: Decimal) -> str | None:
        """Say what a trade of `qty` would conflict with, None when it is safe."""
        found = self.found(symbol, side, qty)
        return None if found is None else found.text

    def found(self, symbol: str, side: Side, qty: Decimal) -> Conflict | None:
        """Return what a trade of `qty` would conflict with, None when it is safe.

        A buy first closes what is sold short; only what is left of it acquires.
        """
        if side is not Side.BUY:
            found = self._conflict_of_sale(symbol, qty) if side is Side.SELL else None
            return found or self._with_short_loss(symbol, qty)
        short = max(ZERO, -self.view.book.position(self.view.account.name, symbol))
        found = self._conflict_of_cover(symbol, min(qty, short)) if short else None
        return found or (self._conflict_of_purchase(symbol, qty - short) if qty > short else None)

    def marked(self, item: Proposal) -> Proposal:
        """Return a proposal judged anew, with what the account chose to do about a conflict."""
        clean = replace(item, wash_sale="", wash_cost=0.0) if item.wash_sale or item.wash_cost else item
        found = self.found(item.symbol, item.side, item.qty)
        return clean if found is None else self.settled(clean, found)

    def accepts(self, found: Conflict) -> bool:
        """Say whether the account, and every other whose loss it is, lets its loss be washed."""
        is_accepted = self.view.account.decision.wash_sale is WashSales.ACCEPT
        return is_accepted and found.losers.isdisjoint(self.view.blocking)

    def settled(self, item: Proposal, found: Conflict) -> Proposal:
        """Return a proposal with what the account chose to do about a conflict."""
        choice = self.view.account.decision.wash_sale
        if self.accepts(found):
            return replace(item, wash_cost=item.wash_cost + found.tax)
        if choice is WashSales.ACCEPT:
            name = min(found.losers & self.view.blocking)
            return replace(item, wash_sale=f"{found.text}; account {name} accepts no wash sale")
        if choice is WashSales.DEFER and found.first_safe_day is not None:
            return replace(item, wash_sale=f"deferred until {found.first_safe_day}: {found.text}")
        if choice is WashSales.SUBSTITUTE and item.side is Side.BUY:
            other = self.substitute(item.symbol)
            more = f"buy {other} instead" if other else f"no substitute for {item.symbol} is known"
            return replace(item, wash_sale=f"{found.text}; {more}")
        return replace(item, wash_sale=found.text)

    def conflict_with_sale(self, item: Proposal, sale: Proposal) -> Conflict:
        """Return the conflict of a purchase with a loss sale of the same plan."""
        text = f"this plan sells {sale.symbol} at a loss: to buy {item.symbol} would wash it ({SOURCE})"
        name, day = self.view.account.name, self.view.trade_date + timedelta(days=self.days + 1)
        tax = self._tax_of(name, sale.symbol, sale.qty)
        return Conflict(text, day, _share(item.qty, sale.qty) * tax, frozenset({name}))

    def loses(self, account: str, symbol: str, qty: Decimal, side: Side = Side.SELL) -> list[Relief]:
        """Return the lots a trade closes at the reference price if one that it may close may lose, else none.

        The account's own lot order decides which lots, their adjusted basis whether they lose. A
        non-taxable account has no losses.
        """
        found = self._closing(account, symbol, qty, side)
        held = self.view.book.accounts[account]
        return [] if found is None else will_close(self.view, held, symbol, qty, side)

    def _closing(
        self, account: str, symbol: str, qty: Decimal, side: Side, px: Decimal | None = None
    ) -> Closing | None:
        """Say what a trade may close, at worst at `px` if it is given, None when nothing of it may lose."""
        held = self.view.book.accounts[account]
        if not held.taxable:
            return None
        net = self._worst_net(symbol, side, qty, px)

        def is_loss(relief: Relief) -> bool:
            parts = () if net is None else self._adjusted(account, symbol, [relief])
            return net is None or any(gain_of(part, net) < 0 for part in parts)

        found = closing(held, symbol, may_close(held, symbol, qty, side), is_loss)
        return found if found.may_lose else None

    # ---------------------------------------------------------------------------------------- purchases

    def _conflict_of_purchase(self, symbol: str, qty: Decimal) -> Conflict | None:
        group = self.view.instruments[symbol].group
        waiting = self.record.waiting(group)
        working = [order for order in self.open_sells.get(group, ()) if self._may_lose(order)]
        losers = frozenset({loss.line.account for loss in waiting} | {order.account for order in working})
        if waiting:
            loss = waiting[-1]
            day = loss.on + timedelta(days=self.days + 1)
            text = (
                f"{loss.line.symbol} was sold at a loss on {loss.on} in account {loss.line.account}: to buy "
                f"{symbol} before {day} would wash that loss ({SOURCE})"
            )
            return Conflict(text, day, self._tax_of_waiting(group, qty, is_short=False), losers)
        if working:
            order = working[0]
            text = (
                f"an open order in account {order.account} sells {order.leaves_qty} {order.symbol} at a "
                f"loss: to buy {symbol} would wash it ({SOURCE})"
            )
            tax = self._tax_of(order.account, order.symbol, order.leaves_qty)
            return Conflict(text, None, _share(qty, order.leaves_qty) * tax, losers)
        return None

    def _may_lose(self, order: OpenOrder) -> bool:
        side = Side.BUY if order.side is Side.BUY else Side.SELL
        return self._closing(order.account, order.symbol, order.leaves_qty, side, order.px) is not None

    # ----------------------------------------------------------------------------------- sales at a loss

    def _conflict_of_sale(self, symbol: str, qty: Decimal) -> Conflict | None:
        group = self.view.instruments[symbol].group
        if group not in self.purchases and group not in self.open_buys:
            return None
        account = self.view.account.name
        found = self._closing(account, symbol, qty, Side.SELL)
        if found is None:
            return None
        standing = found.against(self.purchases.get(group, ()))
        tax = self._tax_of(account, symbol, qty)
        if standing:
            last = max(standing, key=lambda trade: trade.on)
            day = last.on + timedelta(days=self.days + 1)
            left = found.left(standing)
            text = (
                f"{last.symbol} was bought on {last.on} in account {last.account}: to sell {symbol} at a "
                f"loss before {day} would be a wash sale{'' if left else IN_PART} ({SOURCE})"
            )
            return Conflict(text, day, tax * _share(left, qty), frozenset({account}))
        order = next(iter(self.open_buys.get(group, ())), None)
        if order is not None:
            text = (
                f"an open order in account {order.account} buys {order.leaves_qty} {order.symbol}: to sell "
                f"{symbol} at a loss would be a wash sale ({SOURCE})"
            )
            return Conflict(text, None, tax * _share(order.leaves_qty, qty), frozenset({account}))
        return None

    # ----------------------------------------------------------------------------------------- short sales

    def _with_short_loss(self, symbol: str, qty: Decimal) -> Conflict | None:
        """Find a short sale closed at a loss, or being closed, that a sale would wash (IRC 1091(e))."""
        group = self.view.instruments[symbol].group
        waiting = self.record.waiting(group, is_short=True)
        if waiting:
            loss = waiting[-1]
            day = loss.on + timedelta(days=self.days + 1)
            text = (
                f"a short sale of {loss.line.symbol} was closed at a loss on {loss.on} in account "
                f"{loss.line.account}: to sell {symbol} before {day} would wash that loss ({SOURCE}(e))"
            )
            losers = frozenset(one.line.account for one in waiting)
            return Conflict(text, day, self._tax_of_waiting(group, qty, is_short=True), losers)
        for order in self.open_buys.get(group, ()):
            if self._may_lose(order):
                text = (
                    f"an open order in account {order.account} closes a short sale of {order.symbol} at a "
                    f"loss: to sell {symbol} would wash it ({SOURCE}(e))"
                )
                tax = self._tax_of(order.account, order.symbol, order.leaves_qty, Side.BUY)
                return Conflict(text, None, _share(qty, order.leaves_qty) * tax, frozenset({order.account}))
        return None

    def _conflict_of_cover(self, symbol: str, qty: Decimal) -> Conflict | None:
        """Find a sale inside the window that would wash the loss of closing a short sale (IRC 1091(e))."""
        account = self.view.account.name
        found = self._closing(account, symbol, qty, Side.BUY)
        if found is None:
            return None
        group = self.view.instruments[symbol].group
        short, whole = found.against(self.short_sales.get(group, ())), self.sales.get(group, [])
        tax = self._tax_of(account, symbol, qty, Side.BUY)
        if short or whole:
            last = max([*short, *whole], key=lambda trade: trade.on)
            day = last.on + timedelta(days=self.days + 1)
            left = found.left(short) + sum((one.qty for one in whole), ZERO)
            text = (
                f"{last.symbol} was sold on {last.on} in account {last.account}: to close the short sale of "
                f"{symbol} at a loss before {day} would be a wash sale{'' if left else IN_PART} ({SOURCE}(e))"
            )
            return Conflict(text, day, tax * _share(left, qty), frozenset({account}))
        order = next(iter(self.open_sells.get(group, ()) or self.open_shorts.get(group, ())), None)
        if order is not None:
            text = (
                f"an open order in account {order.account} sells {order.leaves_qty} {order.symbol}: to close "
                f"the short sale of {symbol} at a loss would be a wash sale ({SOURCE}(e))"
            )
            return Conflict(text, None, tax * _share(order.leaves_qty, qty), frozenset({account}))
        return None

    # ------------------------------------------------------------------------------------------- money

    def _adjusted(self, account: str, symbol: str, closed: list[Relief]) -> list[Relief]:
        return self.record.adjusted(account, symbol, closed)

    def _worst_net(self, symbol: str, side: Side, qty: Decimal, px: Decimal | None = None) -> Decimal | None:
        """Return the worst price per unit net of commission, None when no price is known.

        It is the limit `px` of an open order, else what an order would have for a limit now.
        """
        worst = px
        if worst is None:
            price = self.view.prices.get(symbol)
            if price is None:
                return None
            worst = worst_price(self.view, symbol, side, price)
        return worst + side.sign * commission(self.view.account.costs, qty, worst * qty) / qty

    def _tax_of(self, account: str, symbol: str, qty: Decimal, side: Side = Side.SELL) -> float:
        """Return what the losses among the lots a trade closes would save in tax, each at its term's rate."""
        net = self._worst_net(symbol, side, qty)
        if net is None:
            return 0.0
        closed, total = will_close(self.view, self.view.book.accounts[account], symbol, qty, side), ZERO
        for one in self._adjusted(account, symbol, closed):
            is_long = one.qty > 0 and is_long_term(one.acquired, self.view.trade_date)
            total += max(ZERO, -gain_of(one, net)) * self._rate(is_long=is_long)
        return float(total)

    def _tax_of_waiting(self, group: str, qty: Decimal, *, is_short: bool) -> float:
        """Return what the losses that `qty` units would wash save in tax, the oldest losses first."""
        total, left = ZERO, qty
        for loss in self.record.waiting(group, is_short=is_short):
            size = min(loss.left, left)
            total += loss.amount * size / loss.left * self._rate(is_long=loss.line.is_long)
            left -= size
        return float(total)

    def _rate(self, *, is_long: bool) -> Decimal:
        costs = self.view.account.costs
        return costs.long_term_rate if is_long else costs.short_term_rate


def _share(qty: Decimal, of: Decimal) -> float:
    return float(min(Decimal(1), qty / of))


def watch(view: View, *, only: str = "", substitute: Substitute = no_substitute) -> Watch:
    """Index the household's window; with `only`, nothing but that group of identical securities."""
    found = Watch(view, tax_record(view, only=only), substitute)
    window = timedelta(days=found.days)
    first, last = view.trade_date - window, view.trade_date + window

    def file(trades: Iterator[Trade], into: dict[str, list[Trade]]) -> None:
        """Put what matters into an index."""
        for trade in trades:
            group = view.instruments[trade.symbol].group
            if first <= trade.on <= last and only in ("", group):
                into.setdefault(group, []).append(trade)

    recent = [gain for gain in view.book.realised if gain.sold >= first and not gain.is_short]
    file(bought(view, found.record, found.days, recent), found.purchases)
    file(sold_short(view), found.short_sales)
    file(sold(recent), found.sales)
    working = {Side.BUY: found.open_buys, Side.SELL: found.open_sells, Side.SELL_SHORT: found.open_shorts}
    for order in view.open_orders:
        group = view.instruments[order.symbol].group
        if only in ("", group):
            working[order.side].setdefault(group, []).append(order)
    return found


def conflict(view: View, symbol: str, side: Side, qty: Decimal) -> str | None:
    """Say what a trade would conflict with under the wash-sale rule, None when it is safe.

    A purchase conflicts with a loss sale of the same group in any taxable account of the household
    inside the window, done or still open. A sale at a loss conflicts with a purchase in any account,
    done or still open. For many names build one `watch` and ask it. Source: IRC section 1091(a), (e).
    """
    return watch(view, only=view.instruments[symbol].group).conflict(symbol, side, qty)
