"""The window: what the household bought and sold near today, and which of it stands against a sale.

Rules of this room:
1. An order may fill only in part. What is asked of a sale holds at every moment of its filling, so that no
   part of it washes what the whole would not.
2. Lots go in the account's order. By `MIN_TAX` that order hangs on the price of every fill: any lot may be
   the next, and none is sure to be gone.
3. What one order bought is one purchase, whatever number of lots its fills made. A purchase never replaces
   its own shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from gateway.decision.costs import lots_closed
from gateway.decision.tax_record import TaxRecord
from gateway.decision.view import View
from gateway.domain.book import Account
from gateway.domain.lots import LotMethod, RealisedGain, Relief, Sale
from gateway.domain.order import Side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Trade:
    """Name one purchase, short sale or sale of the household inside the window.

    `is_closed` says of a purchase that its shares were sold again.
    """

    on: date
    account: str
    symbol: str
    lot_id: str
    order_id: str = ""
    qty: Decimal = ZERO
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """Say what a trade in `account` would close: `lots` in order, each with whether all of it would go.

    `may_lose` are those that may be closed at a loss, by their place in `lots`; with an unsure order
    `lots` are all that may be closed.
    """

    account: str
    symbol: str
    lots: Sequence[Relief]
    goes: Sequence[bool]
    may_lose: Sequence[int]
    is_sure: bool

    def against(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return the trades that replace a loss of this one at some moment of its filling."""
        gone = {one.lot_id: place for place, one in enumerate(self.lots) if self.is_sure and self.goes[place]}
        found = []
        for trade in trades:
            own = trade.account == self.account and trade.symbol == self.symbol
            until = gone.get(trade.lot_id) if own and not trade.is_closed else None
            for place in self.may_lose:
                if until is not None and place > until:
                    break
                if not (own and _is_one_purchase(trade, self.lots[place])):
                    found.append(trade)
                    break
        return found

    def left(self, trades: Iterable[Trade]) -> Decimal:
        """Return how much of these trades is left when all of this one has filled."""
        taken = {one.lot_id: abs(one.qty) for one in self.lots}
        left = ZERO
        for trade in trades:
            is_own = trade.account == self.account and trade.symbol == self.symbol and not trade.is_closed
            left += max(ZERO, trade.qty - (taken.get(trade.lot_id, ZERO) if is_own else ZERO))
        return left


def _is_one_purchase(trade: Trade, relief: Relief) -> bool:
    return trade.lot_id == relief.lot_id or (bool(relief.order_id) and trade.order_id == relief.order_id)


def may_close(account: Account, symbol: str, qty: Decimal, side: Side) -> list[Relief]:
    """Return the lots a trade may close, in the account's order; by MIN_TAX each that it might."""
    lots = account.lots.get(symbol, ())
    if account.lot_method is not LotMethod.MIN_TAX:
        return lots_closed(lots, side, qty, account.lot_method)
    return [one for lot in lots for one in lots_closed([lot], side, qty, account.lot_method)]


def will_close(view: View, account: Account, symbol: str, qty: Decimal, side: Side) -> list[Relief]:
    """Return the lots a trade closes at the reference price."""
    price = view.prices.get(symbol)
    sale = None if price is None else Sale(view.trade_date, price, account.rates)
    return lots_closed(account.lots.get(symbol, ()), side, qty, account.lot_method, sale)


def closing(
    account: Account, symbol: str, lots: Sequence[Relief], loses: Callable[[Relief], bool]
) -> Closing:
    """Say what a trade would close, `loses` telling of each lot whether it may be at a loss."""
    held = {lot.lot_id: abs(lot.qty) for lot in account.lots.get(symbol, ())}
    return Closing(
        account.name, symbol, lots, [abs(one.qty) == held[one.lot_id] for one in lots],
        [place for place, one in enumerate(lots) if loses(one)], account.lot_method is not LotMethod.MIN_TAX,
    )  # fmt: skip


def bought(view: View, record: TaxRecord, days: int, recent: Iterable[RealisedGain]) -> Iterator[Trade]:
    """Find purchases, those whose shares have all replaced sold ones left out, those sold again left in."""
    for account in view.book.accounts.values():
        for symbol, lots in account.lots.items():
            for lot in lots:
                if lot.qty > 0 and abs((view.trade_date - lot.acquired).days) <= days:
                    parts = record.parts(account.name, symbol, lot.lot_id)
                    if not parts or any(not part.is_used for part in parts):
                        spare = sum((part.qty for part in parts if not part.is_used), ZERO)
                        yield Trade(
                            lot.acquired, account.name, symbol, lot.lot_id, lot.order_id, spare or lot.qty
                        )
    for gain in recent:
        yield Trade(
            gain.acquired, gain.account, gain.symbol, gain.lot_id, gain.opened_by, gain.qty, is_closed=True
        )


def sold_short(view: View) -> Iterator[Trade]:
    """Find short sales that stand open."""
    for account in view.book.accounts.values():
        for symbol, lots in account.lots.items():
            for lot in lots:
                if lot.qty < 0:
                    yield Trade(lot.acquired, account.name, symbol, lot.lot_id, lot.order_id, -lot.qty)


def sold(recent: Iterable[RealisedGain]) -> Iterator[Trade]:
    """Find sales of what was held."""
    for gain in recent:
        yield Trade(gain.sold, gain.account, gain.symbol, gain.lot_id, gain.closed_by, gain.qty)
