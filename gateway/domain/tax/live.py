"""The live book's tax ledger: worked out from what the book has realised and what it holds.

Rules of this room:
1. The book's gains stay economic. The ledger is a pure function of the book, so a bust, a correction or a
   replay that gives the same book gives the same ledger: there is nothing to keep in step.
2. Which lots a sale closed is the book's choice, made when it filled; the ledger adjusts those.
3. Everything is counted in today's units: what happened before a split is scaled to after it.
4. What a spin-off brings is no purchase. What wash sales had put into the old lots stays there.
5. Sales of one day go by the acquisition of what was sold (Reg. 1.1091-1(b)): the book keeps no time of day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from gateway.domain.book import Book, Resized
from gateway.domain.instrument import Instrument
from gateway.domain.lots import RealisedGain
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.play import run
from gateway.domain.tax.record import Deed, Entry, Lowering, Trade
from gateway.domain.tax.rules import ZERO, AccountKind, Holder, Rules, Security


@dataclass(slots=True)
class Opened:
    """Add up one lot as it was bought: `money` is what it cost, or for a short lot what it brought."""

    account: str
    symbol: str
    lot_id: str
    on: date
    order_id: str
    is_short: bool
    qty: Decimal = ZERO
    money: Decimal = ZERO


def ledger_of(
    book: Book,
    instruments: Mapping[str, Instrument],
    window_days: int = 30,
    symbols: Collection[str] | None = None,
    realised: Iterable[RealisedGain] | None = None,
) -> Ledger:
    """Return the household's tax ledger, of some symbols or of all; nothing is rounded.

    `realised` may give the gains of those symbols where the caller has them apart already.
    """
    wanted = sorted(instruments if symbols is None else symbols)
    names = set(wanted)
    gains = [gain for gain in (book.realised if realised is None else realised) if gain.symbol in names]
    gains.sort(key=lambda gain: (gain.sold, gain.acquired, gain.account, gain.lot_id, gain.fill_id))
    holders = [
        Holder(name, AccountKind.TAXABLE if account.taxable else AccountKind.IRA)
        for name, account in book.accounts.items()
    ]
    known = [Security(symbol, instruments[symbol].identical_group) for symbol in wanted]
    opened = sorted(_opened(book, gains, wanted), key=lambda lot: (lot.on, lot.account, lot.lot_id))
    received = {(one.account, one.brought) for one in book.lowered if one.brought}
    lowered = [one for one in book.lowered if one.symbol in names]
    entries: list[Entry] = [_opening(lot, (lot.account, lot.lot_id) in received) for lot in opened]
    entries += [Lowering(one.on, one.account, one.symbol, one.lot_id, one.amount) for one in lowered]
    entries += [_closing(book, gain) for gain in gains]
    return run(entries, Rules(window_days=window_days, cent=None), holders, known)


def _opened(book: Book, gains: list[RealisedGain], symbols: list[str]) -> list[Opened]:
    """Add up every lot from what was closed of it and what is open."""
    found: dict[tuple[str, str, str], Opened] = {}
    for gain in gains:
        lot = Opened(gain.account, gain.symbol, gain.lot_id, gain.acquired, gain.opened_by, gain.is_short)
        lot = found.setdefault((gain.account, gain.symbol, gain.lot_id), lot)
        lot.qty += _in_todays_units(book.splits, gain)
        lot.money += gain.proceeds if gain.is_short else gain.cost
    for account in book.accounts.values():
        for symbol in symbols:
            for one in account.lots.get(symbol, ()):
                lot = Opened(account.name, symbol, one.lot_id, one.acquired, one.order_id, one.qty < 0)
                lot = found.setdefault((account.name, symbol, one.lot_id), lot)
                lot.qty += abs(one.qty)
                lot.money += abs(one.cost)
    for less in book.lowered:
        if (lowered := found.get((less.account, less.symbol, less.lot_id))) is not None:
            lowered.money += less.amount
    return list(found.values())


def _in_todays_units(splits: list[Resized], gain: RealisedGain) -> Decimal:
    qty = gain.qty
    for split in splits:
        if (split.account, split.symbol) == (gain.account, gain.symbol) and split.on > gain.sold:
            qty = qty * split.after / split.before
    return qty


def _opening(lot: Opened, is_received: bool) -> Trade:
    deed = Deed.SHORT if lot.is_short else Deed.RECEIVE if is_received else Deed.BUY
    return Trade(
        lot.on, lot.account, deed, lot.symbol, lot.qty, lot.money, order_id=lot.order_id, lot_id=lot.lot_id
    )


def _closing(book: Book, gain: RealisedGain) -> Trade:
    deed, money = (Deed.COVER, gain.cost) if gain.is_short else (Deed.SELL, gain.proceeds)
    qty = _in_todays_units(book.splits, gain)
    return Trade(
        gain.sold, gain.account, deed, gain.symbol, qty, money,
        order_id=gain.closed_by or gain.fill_id, lots=((gain.lot_id, qty),),
    )  # fmt: skip
