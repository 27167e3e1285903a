"""The calendar: what may not be bought, and what may not be sold at a loss, until when and why.

Rules of this room:
1. A lock says what the wash-sale rule would do, not what an account does about it.
2. A lock ends on the first safe day: the sale or purchase plus 31.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from gateway.domain.tax.form import plain
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.lots import TaxLot
from gateway.domain.tax.matching import Family, Loss, identity
from gateway.domain.tax.rules import ZERO


class Forbidden(StrEnum):
    """Name what a lock forbids, or warns of."""

    BUY = "buy"
    SELL_AT_LOSS = "sell_at_loss"
    SHORT = "short"
    REINVESTS = "reinvests"


@dataclass(frozen=True, slots=True)
class Lock:
    """Say what is locked: `symbols` is the identical set, `first_safe_day` None when it never ends by itself.

    `account` is where the reason happened; the lock holds in every account of the household. `qty` are the
    shares it is about, `amount` the loss at stake (0 when there is no price to tell).
    """

    action: Forbidden
    group: str
    symbols: tuple[str, ...]
    account: str
    reason: str
    first_safe_day: date | None
    qty: Decimal
    amount: Decimal = ZERO


def locks(ledger: Ledger, on: date, prices: Mapping[str, Decimal] | None = None) -> list[Lock]:
    """Return every lock that stands on a day, by group; the ledger must not know of anything later.

    With a price, only what would be sold at a loss at that price is locked against selling.
    """
    members: dict[str, set[str]] = {}
    for symbol, security in ledger.securities.items():
        members.setdefault(ledger.family(security).name, set()).add(symbol)
    found: list[Lock] = []
    for name in sorted(ledger.families):
        family = ledger.families[name]
        symbols = tuple(sorted(members.get(name, {name})))
        found += _of_losses(family, symbols, on)
        found += _of_purchases(ledger, family, symbols, on, prices or {})
        found += _of_reinvestment(ledger, name, symbols)
    return found


def _of_losses(family: Family, symbols: tuple[str, ...], on: date) -> list[Lock]:
    """Lock buying while a loss waits for nothing to replace it."""
    return [
        Lock(
            Forbidden.SHORT if is_short else Forbidden.BUY, family.name, symbols, loss.line.account,
            f"{plain(loss.line.qty)} {loss.line.symbol} {_done(loss)} at a loss on {loss.on}",
            family.rules.first_safe_day(loss.on), loss.left, loss.amount,
        )
        for (_, is_short), losses in sorted(family.waiting.items())
        for loss in losses
        if loss.on <= on < family.rules.first_safe_day(loss.on)
    ]  # fmt: skip


def _done(loss: Loss) -> str:
    return "sold short were covered" if loss.is_short else "were sold"


def _of_purchases(
    ledger: Ledger, family: Family, symbols: tuple[str, ...], on: date, prices: Mapping[str, Decimal]
) -> list[Lock]:
    """Lock selling at a loss while shares bought inside the window have replaced nothing yet."""
    recent = [
        lot
        for queue in family.bought.values()
        for bought in queue.values()
        for lot in (bought, *(bought.siblings or ()))
        if lot.is_spare and lot.acquired <= on < family.rules.first_safe_day(lot.acquired)
    ]
    sellable = [lot for lot in _held(ledger, symbols) if _at_loss(lot, prices)]
    found = []
    for bought in recent:
        own = identity(bought.security, ledger.rules)
        threatened = [
            lot for lot in sellable
            if lot.key != bought.key or lot.key is None
            if identity(lot.security, ledger.rules) in (own, family.name)
        ]  # fmt: skip
        if threatened and bought.holding is not None:
            amount = sum((_loss(lot, prices) for lot in threatened), ZERO)
            account = bought.holding.holder.name
            reason = f"{plain(bought.qty)} {bought.security.symbol} were bought on {bought.acquired}"
            last = family.rules.first_safe_day(bought.acquired)
            found.append(
                Lock(Forbidden.SELL_AT_LOSS, family.name, symbols, account, reason, last, bought.qty, amount)
            )
    return found


def _held(ledger: Ledger, symbols: Iterable[str]) -> list[TaxLot]:
    """Return the lots whose loss somebody could deduct."""
    return [
        lot
        for symbol in symbols
        for holding in ledger.holdings_of(symbol)
        if holding.holder.kind.is_taxed and not holding.holder.is_dealer and not holding.is_short
        for lot in holding.lots
    ]


def _at_loss(lot: TaxLot, prices: Mapping[str, Decimal]) -> bool:
    return lot.security.symbol not in prices or _loss(lot, prices) > 0


def _loss(lot: TaxLot, prices: Mapping[str, Decimal]) -> Decimal:
    price = prices.get(lot.security.symbol)
    return ZERO if price is None else max(ZERO, lot.basis - lot.qty * lot.security.multiplier * price)


def _of_reinvestment(ledger: Ledger, name: str, symbols: tuple[str, ...]) -> list[Lock]:
    """Warn where an account reinvests dividends of what is held: each dividend is a purchase."""
    return [
        Lock(
            Forbidden.REINVESTS, name, symbols, holding.holder.name,
            f"{holding.holder.name} reinvests dividends of {symbol}: switch it off before selling at a loss",
            None, holding.qty,
        )
        for symbol in symbols
        for holding in ledger.holdings_of(symbol)
        if holding.holder.reinvests and not holding.is_short
    ]  # fmt: skip
