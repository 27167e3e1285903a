"""The book: cash, positions, open lots and realised gains of every account of one household.

Rules of this room:
1. `Book.apply` and `Book.amend` are the only places where a fill changes money.
2. Positions are the sum of their lots at every moment; `check` says so and tests call it always.
3. Nothing is rounded: price times quantity is exact, commissions come rounded from the broker.
4. A bust or a correction gives the book that would stand if the fill had been so from the beginning: lots
   and gains of its symbol are worked out again from before the oldest fill still remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from gateway.domain.lots import USUAL_RATES, Lot, LotMethod, RealisedGain, Sale, TaxRates, relieve
from gateway.domain.order import Side

ZERO = Decimal(0)
SPLIT_DECIMALS = 9


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
    cl_ord_id: str = ""

    @property
    def fill_id(self) -> str:
        """Name the fill for good: ExecID(17) need only be unique within its order."""
        return f"{self.cl_ord_id}:{self.exec_id}" if self.cl_ord_id else self.exec_id


@dataclass(slots=True)
class History:
    """Remember the fills of one symbol in one account, and the lots as they were before the first."""

    lots: list[Lot] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    """Hold what one account owns. `lots` maps a symbol to its open lots, oldest first.

    `rates` are what the lot method MIN_TAX goes by.
    """

    name: str
    cash: Decimal
    lot_method: LotMethod = LotMethod.FIFO
    taxable: bool = True
    positions: dict[str, Decimal] = field(default_factory=dict)
    lots: dict[str, list[Lot]] = field(default_factory=dict)
    commissions: Decimal = ZERO
    histories: dict[str, History] = field(default_factory=dict)
    rates: TaxRates = USUAL_RATES


@dataclass(frozen=True, slots=True)
class Resized:
    """Note that what an account held of a symbol became `after` units of `before`: a split."""

    account: str
    symbol: str
    on: date
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Lowered:
    """Note that `amount` of a lot's cost was given back, or went over to the lot it brought: a spin-off."""

    account: str
    symbol: str
    lot_id: str
    on: date
    amount: Decimal
    brought: str = ""


@dataclass(slots=True)
class Book:
    """Hold every account of one household and the gains it has realised, in order.

    Gains are economic: what the wash-sale rule makes of them is worked out from here by `domain/tax/live.py`.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    realised: list[RealisedGain] = field(default_factory=list)
    splits: list[Resized] = field(default_factory=list)
    lowered: list[Lowered] = field(default_factory=list)

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
        lots = account.lots.get(fill.symbol, [])
        history = account.histories.get(fill.symbol)
        if history is None:
            history = account.histories[fill.symbol] = History(_copied(lots))
        history.fills.append(fill)
        remaining, gains = _traded(lots, fill, account)
        _pay(account, fill, 1)
        _hold(account, fill.symbol, remaining)
        self.realised.extend(gains)
        return gains

    def amend(self, account_name: str, fill_id: str, corrected: Fill | None) -> bool:
        """Take a fill back, or put a corrected one in its place; False when it is not remembered.

        What the fill had realised, and what later fills of its symbol realised, is worked out again.
        """
        account = self.accounts[account_name]
        for symbol, history in account.histories.items():
            place = next((n for n, fill in enumerate(history.fills) if fill.fill_id == fill_id), None)
            if place is None:
                continue
            _pay(account, history.fills[place], -1)
            touched = {fill.fill_id for fill in history.fills}
            history.fills[place : place + 1] = [] if corrected is None else [corrected]
            if corrected is not None:
                _pay(account, corrected, 1)
            lots, gains = _copied(history.lots), []
            for fill in history.fills:
                lots, realised = _traded(lots, fill, account)
                gains += realised
            _hold(account, symbol, lots)
            self.realised = [
                gain for gain in self.realised
                if (gain.account, gain.symbol) != (account_name, symbol) or gain.fill_id not in touched
            ] + gains  # fmt: skip
            return True
        return False

    def split(self, account: str, symbol: str, qty: Decimal, on: date) -> None:
        """Let what is held of a symbol become `qty` (same sign, not 0): lots keep their dates and costs.

        Each lot grows by the same ratio, to nine decimals; the last takes what is left. What was filled
        before can no longer be taken back: it was in other units.
        """
        held = self.accounts[account]
        lots, before, left = held.lots[symbol], held.positions[symbol], qty
        for lot in lots[:-1]:
            lot.qty = round(lot.qty * qty / before, SPLIT_DECIMALS)
            left -= lot.qty
        lots[-1].qty = left
        held.positions[symbol] = qty
        held.histories.pop(symbol, None)
        self.splits.append(Resized(account, symbol, on, before, qty))

    def give_back(self, account: str, symbol: str, amount: Decimal, on: date) -> str:
        """Take `amount` off the cost of what is held, unit by unit alike; return why not, empty when done.

        Source: IRC 301(c)(2). What exceeds a lot's cost would be gain (301(c)(3)): that is for a person.
        """
        held = self.accounts[account]
        lots = held.lots.get(symbol, [])
        if why := _why_no_action(lots, account, symbol):
            return why
        shares = _shared(amount, [lot.qty for lot in lots])
        if amount <= 0 or any(share > lot.cost for share, lot in zip(shares, lots, strict=True)):
            return f"{amount} is not within what each lot of {symbol} in {account} cost"
        for share, lot in zip(shares, lots, strict=True):
            lot.cost -= share
            self.lowered.append(Lowered(account, symbol, lot.lot_id, on, share))
        held.histories.pop(symbol, None)
        return ""

    def spin_off(self, account: str, symbol: str, new: str, qty: Decimal, fraction: Decimal, on: date) -> str:
        """Let what is held bring `qty` of `new` in all, which take `fraction` of its cost; return why not.

        New lots have the dates of the old ones (IRC 358(b), 1223(1)). What was filled before can no longer be
        taken back.
        """
        held = self.accounts[account]
        lots = held.lots.get(symbol, [])
        if why := _why_no_action(lots, account, symbol):
            return why
        if qty <= 0 or not 0 <= fraction <= 1 or new == symbol or held.positions.get(new, ZERO) < 0:
            return f"{qty} of {new} with {fraction} of the cost is no spin-off from {symbol}"
        brought = []
        for units, lot in zip(_shared(qty, [lot.qty for lot in lots]), lots, strict=True):
            cost = lot.cost * fraction
            child = Lot(f"{lot.lot_id}/{new}", new, lot.acquired, units, cost)
            self.lowered.append(Lowered(account, symbol, lot.lot_id, on, cost, child.lot_id))
            lot.cost -= cost
            brought.append(child)
        _hold(held, new, [*held.lots.get(new, []), *brought])
        held.histories.pop(symbol, None)
        held.histories.pop(new, None)
        return ""

    def forget_fills(self, before: date) -> None:
        """Stop remembering fills of trade dates before `before`: they can no longer be taken back."""
        for account in self.accounts.values():
            for symbol, history in list(account.histories.items()):
                while history.fills and history.fills[0].trade_date < before:
                    history.lots, _ = _traded(history.lots, history.fills.pop(0), account)
                if not history.fills:
                    del account.histories[symbol]

    def check(self) -> None:
        """Assert that positions are the sum of their lots (always true, or a bug)."""
        for account in self.accounts.values():
            held = {symbol: sum((lot.qty for lot in lots), ZERO) for symbol, lots in account.lots.items()}
            assert held == account.positions, (account.name, held, account.positions)  # noqa: S101


def _traded(lots: list[Lot], fill: Fill, account: Account) -> tuple[list[Lot], list[RealisedGain]]:
    """Return the open lots after a fill, changing those given, and what it realised."""
    sign = fill.side.sign
    closing = [lot for lot in lots if lot.qty * sign < 0]
    reliefs = relieve(closing, fill.qty, account.lot_method, Sale(fill.trade_date, fill.px, account.rates))
    closed = sum((abs(relief.qty) for relief in reliefs), ZERO)
    fees = _shared(fill.commission, [*(abs(relief.qty) for relief in reliefs), fill.qty - closed])
    money = [abs(relief.qty) * fill.px + sign * fee for relief, fee in zip(reliefs, fees, strict=False)]
    gains = [
        RealisedGain(
            account=fill.account, symbol=fill.symbol, lot_id=relief.lot_id, qty=abs(relief.qty),
            acquired=relief.acquired, sold=fill.trade_date,
            proceeds=value if sign < 0 else -relief.cost,
            cost=relief.cost if sign < 0 else value,
            fill_id=fill.fill_id, is_short=sign > 0, opened_by=relief.order_id, closed_by=fill.cl_ord_id,
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
        lot_id = f"{fill.account}:{fill.fill_id}"
        cost = sign * opened * fill.px + fees[-1]
        remaining.append(Lot(lot_id, fill.symbol, fill.trade_date, sign * opened, cost, fill.cl_ord_id))
    return remaining, gains


def _why_no_action(lots: list[Lot], account: str, symbol: str) -> str:
    if not lots or any(lot.qty < 0 for lot in lots):
        return f"{account} holds no {symbol}, or sold it short"
    return ""


def _copied(lots: list[Lot]) -> list[Lot]:
    return [replace(lot) for lot in lots]


def _pay(account: Account, fill: Fill, times: int) -> None:
    """Move the fill's cash and commission, backwards when `times` is -1."""
    account.cash -= times * (fill.side.sign * fill.qty * fill.px + fill.commission)
    account.commissions += times * fill.commission


def _hold(account: Account, symbol: str, lots: list[Lot]) -> None:
    """Put a symbol's lots and position in place, and keep only what is not flat."""
    if lots:
        account.lots[symbol] = lots
    else:
        account.lots.pop(symbol, None)
    if position := sum((lot.qty for lot in lots), ZERO):
        account.positions[symbol] = position
    else:
        account.positions.pop(symbol, None)


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
