"""The record: what happened in the household's accounts, one entry each, in the order it happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from gateway.domain.lots import LotMethod


class Deed(StrEnum):
    """Name what a trade did. A vest is paid for in labour: its price is what was taxed as income.

    What is received came by a spin-off or the like: no purchase.
    """

    BUY = "buy"
    SELL = "sell"
    SHORT = "short"
    COVER = "cover"
    REINVEST = "reinvest"
    VEST = "vest"
    RECEIVE = "receive"

    @property
    def opens(self) -> bool:
        """Say whether it opens a lot rather than closing some."""
        return self not in (Deed.SELL, Deed.COVER)


@dataclass(frozen=True, slots=True)
class Trade:
    """Record one execution: `amount` is money for all of `qty` before `fee`, both not negative.

    `order_id` makes several executions one purchase or sale; `lots` names lots and quantities to close
    (specific identification, Reg. 1.1012-1(c)), `method` overrides the account's order.
    """

    on: date
    account: str
    deed: Deed
    symbol: str
    qty: Decimal
    amount: Decimal
    fee: Decimal = Decimal(0)
    order_id: str = ""
    lot_id: str = ""
    lots: tuple[tuple[str, Decimal | None], ...] = ()
    method: LotMethod | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """Record that `into` new units stand for `of` old ones, in one account or (empty) in all."""

    on: date
    symbol: str
    into: Decimal
    of: Decimal = Decimal(1)
    account: str = ""


@dataclass(frozen=True, slots=True)
class SpinOff:
    """Record that each unit brought `ratio` units of `new_symbol`, which take `fraction` of the basis.

    Source: IRC 355 and 358(b); the fraction is on the issuer's Form 8937. Dates go over (1223(1)).
    """

    on: date
    symbol: str
    new_symbol: str
    ratio: Decimal
    fraction: Decimal
    account: str = ""


@dataclass(frozen=True, slots=True)
class CapitalReturn:
    """Record a distribution that is no dividend: it lowers basis, then is gain (IRC 301(c)(2) and (3)).

    `amount` is what the account received, or with `is_per_unit` what each unit received.
    """

    on: date
    symbol: str
    amount: Decimal
    is_per_unit: bool = False
    account: str = ""


@dataclass(frozen=True, slots=True)
class Lowering:
    """Record that basis was taken off one lot: given back, or gone over to a lot that was received."""

    on: date
    account: str
    symbol: str
    lot_id: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Transfer:
    """Record a move between two accounts of the household; lots keep dates and basis."""

    on: date
    account: str
    to: str
    symbol: str
    qty: Decimal
    lots: tuple[tuple[str, Decimal | None], ...] = ()


class Ending(StrEnum):
    """Name how an option ended without being traded."""

    EXERCISED = "exercise"
    ASSIGNED = "assign"
    EXPIRED = "expire"


@dataclass(frozen=True, slots=True)
class OptionEnd:
    """Record that `qty` contracts were exercised (held), assigned (written) or expired."""

    on: date
    account: str
    symbol: str
    ending: Ending
    qty: Decimal
    fee: Decimal = Decimal(0)


Entry = Trade | Split | SpinOff | CapitalReturn | Lowering | Transfer | OptionEnd
