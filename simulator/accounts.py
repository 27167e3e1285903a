"""The venue's own books: what each account holds, what it owes for each fill, and where it began.

Rules of this room:
1. Cash and positions move by exact arithmetic; the only rounding is commission, to the cent.
2. An order's commission is owed on its whole execution so far; a fill is charged what is owed beyond what was
   charged already. So the fills' commissions add up to the order's, to the cent.
3. Without an accounts file every account exists and begins with nothing; with one, only those it names exist.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from simulator.orders import ZERO, Order

CENT = Decimal("0.01")
_BPS = Decimal("1E-4")
MAX_ACCOUNTS = 100_000


class SettingError(Exception):
    """Say which setting or line of a file cannot be used, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """Price an order: per share, at least `minimum` an order, or in basis points of its value."""

    per_share: Decimal = ZERO
    minimum: Decimal = ZERO
    bps: Decimal = ZERO

    @property
    def is_free(self) -> bool:
        """Say whether nothing is ever owed."""
        return not (self.per_share or self.minimum or self.bps)

    def owed(self, cum_qty: Decimal, value: Decimal) -> Decimal:
        """Say what an order executed so far owes altogether, in cents."""
        due = self.per_share * cum_qty + self.bps * _BPS * value
        return max(due, self.minimum).quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Account:
    """Account(1): cash and positions, as the venue knows them."""

    name: str
    cash: Decimal = ZERO
    positions: dict[str, Decimal] = field(default_factory=dict)
    opening_cash: Decimal = ZERO
    opening_positions: dict[str, Decimal] = field(default_factory=dict)


class Accounts:
    """Every account; `is_open` says whether an unknown one is made on its first order."""

    def __init__(self, opening: dict[str, tuple[Decimal, dict[str, Decimal]]] | None = None) -> None:
        self.is_open = opening is None
        self.watch: Callable[[Order], None] | None = None
        """Is told of the order of whatever is booked."""
        self._accounts = {
            name: Account(name, cash, dict(positions), cash, dict(positions))
            for name, (cash, positions) in (opening or {}).items()
        }

    def find(self, name: str) -> Account | None:
        """Return the account, made on the spot when the house is open."""
        account = self._accounts.get(name)
        if account is None and self.is_open and len(self._accounts) < MAX_ACCOUNTS:
            account = self._accounts[name] = Account(name)
        return account

    def position(self, name: str, symbol: str) -> Decimal:
        """Return what an account holds of a symbol, signed; looking opens no account."""
        account = self._accounts.get(name)
        return account.positions.get(symbol, ZERO) if account is not None else ZERO

    def open_positions(self, name: str) -> set[str]:
        """Return the symbols an account holds or is short of; looking opens no account."""
        account = self._accounts.get(name)
        return {symbol for symbol, qty in account.positions.items() if qty} if account is not None else set()

    def every(self) -> list[Account]:
        """Return every account, by name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    def book(self, order: Order, last_qty: Decimal, last_px: Decimal, commission: Decimal) -> None:
        """Book one execution of `order`; of one that is taken back, the negative quantity and commission."""
        account = self._accounts[order.account]
        positions = account.positions
        held = positions.get(order.symbol, ZERO)
        if order.is_buy:
            account.cash -= last_qty * last_px + commission
            positions[order.symbol] = held + last_qty
        else:
            account.cash += last_qty * last_px - commission
            positions[order.symbol] = held - last_qty
        if self.watch is not None:
            self.watch(order)


def read_accounts(path: Path) -> Accounts:
    """Read `{account: {cash: "1000.00", positions: {symbol: "10"}}}` from a JSON or TOML file."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise SettingError(
            f"--accounts {path} cannot be read ({error.strerror}); give a JSON or TOML file"
        ) from None
    except ValueError as error:
        raise SettingError(
            f"--accounts {path} is neither JSON nor TOML as its suffix says: {error}"
        ) from None
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise SettingError(
            f'--accounts {path}: write {{"ACCOUNT": {{"cash": "1000.00", "positions": {{}}}}}}'
        )
    return Accounts({name: _opening(path, name, entry) for name, entry in data.items()})


def _opening(path: Path, name: str, entry: dict[str, Any]) -> tuple[Decimal, dict[str, Decimal]]:
    unknown = sorted(set(entry) - {"cash", "positions"})
    positions = entry.get("positions", {})
    if unknown or not isinstance(positions, dict):
        what = unknown[0] if unknown else "positions"
        raise SettingError(
            f"--accounts {path}: {name}.{what} is not understood; write cash and positions only"
        )
    cash = _exact(path, f"{name}.cash", entry.get("cash", "0"))
    return cash, {symbol: _exact(path, f"{name}.{symbol}", held) for symbol, held in positions.items()}


def _exact(path: Path, what: str, value: object) -> Decimal:
    """Read a decimal string or an integer; a TOML float is taken as it is written."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise SettingError(f'--accounts {path}: {what} is {value!r}; write a decimal in quotes, as "12.5"')
    return number
