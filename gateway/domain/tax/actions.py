"""What happens to lots without a trade: splits, spin-offs, returned capital, transfers, options that end.

Rules of this room:
1. None of these is a purchase: lots keep their dates, and their shares wash nothing anew. An option that
   is exercised or assigned is: what it brings is acquired on that day (unless the option has replaced
   already, for then its shares have).
2. Basis is moved, never made: what one lot gives up another takes, to the cent.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gateway.domain.lots import LotMethod, Sale, is_long_term
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.lots import Holding, Line, TaxLot
from gateway.domain.tax.record import (
    CapitalReturn,
    Deed,
    Ending,
    Lowering,
    OptionEnd,
    SpinOff,
    Split,
    Trade,
    Transfer,
)
from gateway.domain.tax.rules import ZERO, SecurityKind, TaxError


def split(ledger: Ledger, entry: Split) -> None:
    """Count lots in new units; what waits in the window is counted anew, too, when the rules say so."""
    for holding in ledger.holdings_of(entry.symbol, entry.account):
        holding.qty = ZERO
        for lot in holding.lots:
            lot.qty = in_new_units(lot.qty, entry.into, entry.of)
            holding.qty += lot.qty
            holding.touch(lot)
    if ledger.rules.splits_scale:
        ledger.family(ledger.security(entry.symbol)).rescale(entry.symbol, entry.into, entry.of)


def in_new_units(qty: Decimal, into: Decimal, of: Decimal) -> Decimal:
    """Return a quantity after a split, to nine decimals where it does not come out even."""
    units = qty * into / of
    return units if units * of == qty * into else round(units, 9)


def spin_off(ledger: Ledger, entry: SpinOff) -> None:
    """Give every lot a lot of the new security with the same dates and its fraction of the basis."""
    rules = ledger.rules
    for holding in ledger.holdings_of(entry.symbol, entry.account):
        _held_only(holding, "a spin-off")
        name = holding.holder.name
        new = ledger.holding(name, entry.new_symbol, is_short=False)
        for lot in sorted(holding.lots, key=lambda one: (one.number, one.sub)):
            trade = Trade(lot.acquired, name, Deed.BUY, entry.new_symbol, lot.qty * entry.ratio, ZERO)
            child = ledger.new_lot(trade, new.security, rules.rounded(lot.basis * entry.fraction), "")
            child.lot_id = f"{lot.lot_id}/{entry.new_symbol}"
            child.since, child.sub = lot.since, lot.sub
            child.deferred = rules.rounded(lot.deferred * entry.fraction)
            lot.basis -= child.basis
            lot.deferred -= child.deferred
            holding.touch(lot)
            new.add(child)


def return_capital(ledger: Ledger, entry: CapitalReturn) -> None:
    """Take a distribution off the basis, unit by unit alike; what exceeds a lot's basis is gain that day."""
    holdings = ledger.holdings_of(entry.symbol, entry.account)
    if not entry.is_per_unit and len(holdings) > 1:
        raise TaxError(
            "account", f"{len(holdings)} accounts hold {entry.symbol}: name one, or give per_share"
        )
    for holding in holdings:
        _held_only(holding, "a return of capital")
        left, units = entry.amount * holding.qty if entry.is_per_unit else entry.amount, holding.qty
        left = ledger.rules.rounded(left)
        for lot in sorted(holding.lots, key=lambda one: (one.number, one.sub)):
            paid = ledger.rules.part(left, lot.qty, units)
            left -= paid
            units -= lot.qty
            _return_to(ledger, lot, holding, paid, entry)


def _return_to(ledger: Ledger, lot: TaxLot, holding: Holding, paid: Decimal, entry: CapitalReturn) -> None:
    excess = max(ZERO, paid - lot.basis)
    lot.basis -= paid - excess
    holding.touch(lot)
    if excess:
        line = Line(
            entry.on, holding.holder.name, entry.symbol, lot.qty, lot.since, lot.acquired, excess, ZERO,
            is_long_term(lot.since, entry.on), holding.holder.kind.is_taxed, lot.lot_id,
            kind="return of capital",
        )  # fmt: skip
        ledger.lines.append(line)


def lower(ledger: Ledger, entry: Lowering) -> None:
    """Take basis off the open parts of one lot, unit by unit alike."""
    holding = ledger.holding(entry.account, entry.symbol, is_short=False)
    parts = holding.named(entry.lot_id)
    left, units = entry.amount, sum((part.qty for part in parts), ZERO)
    for part in parts:
        share = ledger.rules.part(left, part.qty, units)
        left -= share
        units -= part.qty
        part.basis -= share
        holding.touch(part)


def _held_only(holding: Holding, what: str) -> None:
    if holding.is_short:
        text = f"{what} on {holding.security.symbol} sold short in {holding.holder.name}: cover it first"
        raise TaxError("symbol", text)


def transfer(ledger: Ledger, entry: Transfer) -> None:
    """Move lots between accounts of the household, oldest first unless named."""
    source = ledger.holding(entry.account, entry.symbol, is_short=False)
    target = ledger.holding(entry.to, entry.symbol, is_short=False)
    if source.holder.kind.is_taxed is not target.holder.kind.is_taxed:
        text = f"{entry.to} is taxed otherwise than {entry.account}: write a sell and a buy"
        raise TaxError("to", text)
    if entry.qty > source.qty:
        text = f"moves {entry.qty} of {source.qty} {entry.symbol} held in {entry.account} on {entry.on}"
        raise TaxError("qty", text)
    chosen = ledger.chosen(source, _as_sale(entry))
    for lot, size in chosen:
        piece = source.split(lot, size)
        if piece is not lot and piece.is_spare:
            lot.adopt(piece)
        source.remove(piece)
        target.add(piece)


def _as_sale(entry: Transfer) -> Trade:
    return Trade(
        entry.on, entry.account, Deed.SELL, entry.symbol, entry.qty, ZERO, lots=entry.lots,
        method=LotMethod.FIFO,
    )  # fmt: skip


def end_option(ledger: Ledger, entry: OptionEnd) -> None:
    """End contracts: a premium is gain or loss at expiry, and part of the stock's price otherwise."""
    is_written = ledger.holding(entry.account, entry.symbol, is_short=True).qty > 0
    if entry.ending is Ending.EXERCISED:
        is_written = False
    elif entry.ending is Ending.ASSIGNED:
        is_written = True
    if entry.ending is Ending.EXPIRED:
        deed = Deed.COVER if is_written else Deed.SELL
        ledger.close(Trade(entry.on, entry.account, deed, entry.symbol, entry.qty, ZERO, entry.fee))
        return
    security = ledger.security(entry.symbol)
    if not security.underlying:
        raise TaxError("symbol", f"{entry.symbol} has no underlying: name it among the instruments")
    pieces = _taken(ledger, entry, is_written=is_written)
    is_bought = (security.kind is SecurityKind.PUT) is is_written
    deed = Deed.BUY if is_bought else Deed.SELL
    shares = entry.qty * security.multiplier
    trade = Trade(
        entry.on, entry.account, deed, security.underlying, shares, shares * security.strike, entry.fee
    )
    if is_bought:
        _deliver(ledger, trade, pieces)
    else:
        premium = sum((_signed(piece, piece.basis) for piece in pieces), ZERO)
        lines = ledger.close(replace(trade, amount=trade.amount - premium))
        lines[-1].deferred += sum((_signed(piece, piece.deferred) for piece in pieces), ZERO)


def _signed(piece: TaxLot, money: Decimal) -> Decimal:
    """Return what was paid for a piece, or what is in it: less than 0 when it was written."""
    return -money if piece.is_short else money


def _taken(ledger: Ledger, entry: OptionEnd, *, is_written: bool) -> list[TaxLot]:
    """Take contracts out of the account, the oldest first."""
    holding = ledger.holding(entry.account, entry.symbol, is_short=is_written)
    if entry.qty > holding.qty:
        text = f"ends {entry.qty} of {holding.qty} {entry.symbol} in {entry.account} on {entry.on}"
        raise TaxError("qty", text)
    pieces = []
    left = entry.qty
    while left:
        lot = holding.first(LotMethod.FIFO, Sale(entry.on, ZERO))
        piece = holding.split(lot, min(lot.qty, left))
        holding.remove(piece)
        left -= piece.qty
        pieces.append(piece)
    return pieces


def _deliver(ledger: Ledger, trade: Trade, pieces: list[TaxLot]) -> None:
    """Open the lots that options have brought; what wash sales had put into an option goes along."""
    rules, left, fee, money = ledger.rules, trade.qty, trade.fee, trade.amount
    for piece in pieces:
        qty = piece.qty * piece.security.multiplier
        charged, paid = rules.part(fee, qty, left), rules.part(money, qty, left)
        left, fee, money = left - qty, fee - charged, money - paid
        basis = rules.rounded(paid + charged + _signed(piece, piece.basis))
        holding = ledger.holding(trade.account, trade.symbol, is_short=False)
        lot = ledger.new_lot(replace(trade, qty=qty), holding.security, basis, "")
        lot.deferred = _signed(piece, piece.deferred)
        holding.add(lot)
        if not piece.is_used:
            ledger.acquire(lot, lot.number)
