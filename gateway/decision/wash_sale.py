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
5. The lots being sold are never their own replacement, nor is what else the same order bought.
6. A short sale closed at a loss is washed by another short sale and by a sale of what is held (1091(e)).
7. What an account does about a conflict is its choice (`WashSales`); `marked` and `settled` apply it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from gateway.decision.costs import commission, gain_of, lots_closed, worst_price
from gateway.decision.tax_record import TaxRecord, tax_record
from gateway.decision.view import OpenOrder, View
from gateway.domain.lots import RealisedGain, Relief, Sale, is_long_term
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import WashSales

SOURCE = "IRC section 1091"
ZERO = Decimal(0)

Substitute = Callable[[str], str]
"""Name what may be bought instead of a symbol, empty when nothing is known."""


def no_substitute(symbol: str) -> str:
    """Know of nothing to buy instead."""
    del symbol
    return ""


@dataclass(frozen=True, slots=True)
class Trade:
    """Name one purchase, short sale or sale of the household inside the window."""

    on: date
    account: str
    symbol: str
    lot_id: str
    order_id: str = ""
    qty: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Conflict:
    """Say in one sentence what would wash which loss, and from when it no longer would.

    `first_safe_day` is None when that is not known yet: an order still works. `tax` is what the loss would
    have saved at its rate, in money: what it costs to go ahead.
    """

    text: str
    first_safe_day: date | None
    tax: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Index what the household did inside the window, by group of identical securities."""

    view: View
    record: TaxRecord
    substitute: Substitute = no_substitute
    purchases: dict[str, list[Trade]] = field(default_factory=dict)
    short_sales: dict[str, list[Trade]] = field(default_factory=dict)
    sales: dict[str, list[Trade]] = field(default_factory=dict)
    open_buys: dict[str, OpenOrder] = field(default_factory=dict)
    open_sells: dict[str, list[OpenOrder]] = field(default_factory=dict)

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

    def settled(self, item: Proposal, found: Conflict) -> Proposal:
        """Return a proposal with what the account chose to do about a conflict."""
        choice = self.view.account.decision.wash_sale
        if choice is WashSales.ACCEPT:
            return replace(item, wash_cost=item.wash_cost + found.tax)
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
        closed = self.loses(self.view.account.name, sale.symbol, sale.qty)
        share = float(min(Decimal(1), item.qty / sale.qty))
        day = self.view.trade_date + timedelta(days=self.days + 1)
        return Conflict(
            text, day, share * self._tax_of(self.view.account.name, sale.symbol, sale.qty, closed)
        )

    def loses(self, account: str, symbol: str, qty: Decimal, side: Side = Side.SELL) -> list[Relief]:
        """Return the lots a trade would close if one of them may be at a loss, else an empty list.

        The account's own lot order decides which lots, their adjusted basis whether they lose. A
        non-taxable account has no losses.
        """
        held = self.view.book.accounts[account]
        if not held.taxable:
            return []
        price = self.view.prices.get(symbol)
        sale = None if price is None else Sale(self.view.trade_date, price, held.rates)
        closed = lots_closed(held.lots.get(symbol, ()), side, qty, held.lot_method, sale)
        net = self._worst_net(symbol, side, qty)
        if net is None:
            return closed
        return closed if any(gain_of(one, net) < 0 for one in self._adjusted(account, symbol, closed)) else []

    # ---------------------------------------------------------------------------------------- purchases

    def _conflict_of_purchase(self, symbol: str, qty: Decimal) -> Conflict | None:
        group = self.view.instruments[symbol].group
        waiting = self.record.waiting(group)
        if waiting:
            loss = waiting[-1]
            day = loss.on + timedelta(days=self.days + 1)
            text = (
                f"{loss.line.symbol} was sold at a loss on {loss.on} in account {loss.line.account}: to buy "
                f"{symbol} before {day} would wash that loss ({SOURCE})"
            )
            return Conflict(text, day, self._tax_of_waiting(group, qty, is_short=False))
        for order in self.open_sells.get(group, ()):
            if closed := self.loses(order.account, order.symbol, order.leaves_qty):
                text = (
                    f"an open order in account {order.account} sells {order.leaves_qty} {order.symbol} at a "
                    f"loss: to buy {symbol} would wash it ({SOURCE})"
                )
                share = float(min(Decimal(1), qty / order.leaves_qty))
                tax = self._tax_of(order.account, order.symbol, order.leaves_qty, closed)
                return Conflict(text, None, share * tax)
        return None

    # ----------------------------------------------------------------------------------- sales at a loss

    def _conflict_of_sale(self, symbol: str, qty: Decimal) -> Conflict | None:
        group = self.view.instruments[symbol].group
        if group not in self.purchases and group not in self.open_buys:
            return None
        closed = self.loses(self.view.account.name, symbol, qty)
        if not closed:
            return None
        bought = _apart(self.purchases.get(group, ()), closed)
        tax = self._tax_of(self.view.account.name, symbol, qty, closed)
        if bought:
            last = max(bought, key=lambda trade: trade.on)
            day = last.on + timedelta(days=self.days + 1)
            text = (
                f"{last.symbol} was bought on {last.on} in account {last.account}: to sell {symbol} at a "
                f"loss before {day} would be a wash sale ({SOURCE})"
            )
            return Conflict(text, day, tax * _share(sum((one.qty for one in bought), ZERO), qty))
        order = self.open_buys.get(group)
        if order is not None:
            text = (
                f"an open order in account {order.account} buys {order.leaves_qty} {order.symbol}: to sell "
                f"{symbol} at a loss would be a wash sale ({SOURCE})"
            )
            return Conflict(text, None, tax * _share(order.leaves_qty, qty))
        return None

    # ----------------------------------------------------------------------------------------- short sales

    def _with_short_loss(self, symbol: str, qty: Decimal) -> Conflict | None:
        """Find a short sale closed at a loss that a sale would wash (IRC 1091(e))."""
        group = self.view.instruments[symbol].group
        waiting = self.record.waiting(group, is_short=True)
        if not waiting:
            return None
        loss = waiting[-1]
        day = loss.on + timedelta(days=self.days + 1)
        text = (
            f"a short sale of {loss.line.symbol} was closed at a loss on {loss.on} in account "
            f"{loss.line.account}: to sell {symbol} before {day} would wash that loss ({SOURCE}(e))"
        )
        return Conflict(text, day, self._tax_of_waiting(group, qty, is_short=True))

    def _conflict_of_cover(self, symbol: str, qty: Decimal) -> Conflict | None:
        """Find a sale inside the window that would wash the loss of closing a short sale (IRC 1091(e))."""
        closed = self.loses(self.view.account.name, symbol, qty, Side.BUY)
        if not closed:
            return None
        group = self.view.instruments[symbol].group
        sold = [*_apart(self.short_sales.get(group, ()), closed), *self.sales.get(group, ())]
        if not sold:
            return None
        last = max(sold, key=lambda trade: trade.on)
        day = last.on + timedelta(days=self.days + 1)
        text = (
            f"{last.symbol} was sold on {last.on} in account {last.account}: to close the short sale of "
            f"{symbol} at a loss before {day} would be a wash sale ({SOURCE}(e))"
        )
        tax = self._tax_of(self.view.account.name, symbol, qty, closed, Side.BUY)
        return Conflict(text, day, tax * _share(sum((one.qty for one in sold), ZERO), qty))

    # ------------------------------------------------------------------------------------------- money

    def _adjusted(self, account: str, symbol: str, closed: list[Relief]) -> list[Relief]:
        return self.record.adjusted(account, symbol, closed)

    def _worst_net(self, symbol: str, side: Side, qty: Decimal) -> Decimal | None:
        """Return the worst price per unit net of commission, None when no price is known."""
        price = self.view.prices.get(symbol)
        if price is None:
            return None
        worst = worst_price(self.view, symbol, side, price)
        return worst + side.sign * commission(self.view.account.costs, qty, worst * qty) / qty

    def _tax_of(
        self, account: str, symbol: str, qty: Decimal, closed: list[Relief], side: Side = Side.SELL
    ) -> float:
        """Return what the losses among `closed` would save in tax, each at the rate of its term."""
        net = self._worst_net(symbol, side, qty)
        if net is None:
            return 0.0
        total = ZERO
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


def _apart(trades: Iterator[Trade] | list[Trade] | tuple[Trade, ...], closed: list[Relief]) -> list[Trade]:
    """Return the trades that opened something else than what is being closed."""
    lots = {one.lot_id for one in closed}
    orders = {one.order_id for one in closed if one.order_id}
    return [trade for trade in trades if trade.lot_id not in lots and trade.order_id not in orders]


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
    file(_bought(found, recent), found.purchases)
    file(_sold_short(view), found.short_sales)
    file(_sold(recent), found.sales)
    for order in view.open_orders:
        group = view.instruments[order.symbol].group
        if only in ("", group) and order.side is Side.BUY:
            found.open_buys.setdefault(group, order)
        elif only in ("", group) and order.side is Side.SELL:
            found.open_sells.setdefault(group, []).append(order)
    return found


def _bought(found: Watch, recent: list[RealisedGain]) -> Iterator[Trade]:
    """Find purchases, those whose shares have all replaced sold ones left out, those sold again left in."""
    view = found.view
    for account in view.book.accounts.values():
        for symbol, lots in account.lots.items():
            for lot in lots:
                if lot.qty > 0 and abs((view.trade_date - lot.acquired).days) <= found.days:
                    parts = found.record.parts(account.name, symbol, lot.lot_id)
                    if not parts or any(not part.is_used for part in parts):
                        spare = sum((part.qty for part in parts if not part.is_used), ZERO)
                        yield Trade(
                            lot.acquired, account.name, symbol, lot.lot_id, lot.order_id, spare or lot.qty
                        )
    for gain in recent:
        yield Trade(gain.acquired, gain.account, gain.symbol, gain.lot_id, gain.opened_by, gain.qty)


def _sold_short(view: View) -> Iterator[Trade]:
    for account in view.book.accounts.values():
        for symbol, lots in account.lots.items():
            for lot in lots:
                if lot.qty < 0:
                    yield Trade(lot.acquired, account.name, symbol, lot.lot_id, lot.order_id, -lot.qty)


def _sold(recent: list[RealisedGain]) -> Iterator[Trade]:
    for gain in recent:
        yield Trade(gain.sold, gain.account, gain.symbol, gain.lot_id, gain.closed_by, gain.qty)


def conflict(view: View, symbol: str, side: Side, qty: Decimal) -> str | None:
    """Say what a trade would conflict with under the wash-sale rule, None when it is safe.

    A purchase conflicts with a loss sale of the same group in any taxable account of the household
    inside the window, done or still open. A sale at a loss conflicts with a purchase in any account,
    done or still open. For many names build one `watch` and ask it. Source: IRC section 1091(a), (e).
    """
    return watch(view, only=view.instruments[symbol].group).conflict(symbol, side, qty)
