"""The book: cash, positions, open lots and realised gains of every account of one household.

Rules of this room:
1. `Book.apply` is the only place where a fill changes money.
2. Positions are the sum of their lots at every moment; `check` says so and tests call it always.
3. Nothing is rounded: price times quantity is exact, commissions come rounded from the broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gateway.domain.lots import Lot, LotMethod, RealisedGain, relieve
from gateway.domain.order import Side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """Name one execution: `qty` positive, `px` per unit, `commission` for this execution alone."""

    account: str
    symbol: str
    side: Side
    qty: Decimal
    px: Decimal
    commission: Decimal
    exec_id: str
    trade_date: date


@dataclass(slots=True)
class Account:
    """Hold what one account owns. `lots` maps a symbol to its open lots, oldest first."""

    name: str
    cash: Decimal
    lot_method: LotMethod = LotMethod.FIFO
    taxable: bool = True
    positions: dict[str, Decimal] = field(default_factory=dict)
    lots: dict[str, list[Lot]] = field(default_factory=dict)
    commissions: Decimal = ZERO


@dataclass(slots=True)
class Book:
    """Hold every account of one household and the gains it has realised, in order."""

    accounts: dict[str, Account] = field(default_factory=dict)
    realised: list[RealisedGain] = field(default_factory=list)

    def position(self, account: str, symbol: str) -> Decimal:
        """Return the signed quantity held, 0 when none."""
        return self.accounts[account].positions.get(symbol, ZERO)

    def apply(self, fill: Fill) -> list[RealisedGain]:
        """Book one execution and return what it realised.

        A fill first closes lots of the opposite sign (by the account's method), the rest opens a
        lot. Commissions belong to the cost of what is bought and reduce the proceeds of what is
        sold (IRS Publication 551), in proportion to quantity.
        """
        account = self.accounts[fill.account]
        sign = fill.side.sign
        lots = account.lots.setdefault(fill.symbol, [])
        closing = [lot for lot in lots if lot.qty * sign < 0]
        reliefs = relieve(closing, fill.qty, account.lot_method)
        closed = sum((abs(relief.qty) for relief in reliefs), ZERO)
        fees = _shared(fill.commission, [*(abs(relief.qty) for relief in reliefs), fill.qty - closed])
        money = [abs(relief.qty) * fill.px + sign * fee for relief, fee in zip(reliefs, fees, strict=False)]
        gains = [
            RealisedGain(
                account=fill.account, symbol=fill.symbol, lot_id=relief.lot_id, qty=abs(relief.qty),
                acquired=relief.acquired, sold=fill.trade_date,
                proceeds=value if sign < 0 else -relief.cost,
                cost=relief.cost if sign < 0 else value,
            )
            for relief, value in zip(reliefs, money, strict=True)
        ]  # fmt: skip
        taken = {relief.lot_id: relief for relief in reliefs}
        for lot in lots:
            if (relief := taken.get(lot.lot_id)) is not None:
                lot.qty -= relief.qty
                lot.cost -= relief.cost
        remaining = [lot for lot in lots if lot.qty]
        if opened := fill.qty - closed:
            lot_id = f"{fill.account}:{fill.exec_id}"
            cost = sign * opened * fill.px + fees[-1]
            remaining.append(Lot(lot_id, fill.symbol, fill.trade_date, sign * opened, cost))
        self._settle(account, fill, remaining)
        self.realised.extend(gains)
        return gains

    def _settle(self, account: Account, fill: Fill, lots: list[Lot]) -> None:
        """Move cash and position, and keep only what is not flat."""
        sign = fill.side.sign
        account.cash -= sign * fill.qty * fill.px + fill.commission
        account.commissions += fill.commission
        position = account.positions.get(fill.symbol, ZERO) + sign * fill.qty
        if position:
            account.positions[fill.symbol] = position
        else:
            account.positions.pop(fill.symbol, None)
        if lots:
            account.lots[fill.symbol] = lots
        else:
            account.lots.pop(fill.symbol, None)

    def check(self) -> None:
        """Assert that positions are the sum of their lots (always true, or a bug)."""
        for account in self.accounts.values():
            held = {symbol: sum((lot.qty for lot in lots), ZERO) for symbol, lots in account.lots.items()}
            assert held == account.positions, (account.name, held, account.positions)  # noqa: S101


def _shared(total: Decimal, parts: list[Decimal]) -> list[Decimal]:
    """Share `total` over `parts` in proportion; the last takes what is left."""
    left, rest = total, sum(parts, ZERO)
    shares = []
    for part in parts:
        share = left if part == rest else left * part / rest
        left -= share
        rest -= part
        shares.append(share)
    return shares
