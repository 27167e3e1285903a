"""What the ledger must be told: who owns an account, what a security is, and how doubtful points are read.

Rules of this room (all of `gateway/domain/tax`):
1. The ledger is a function of the record: the same entries in the same order give the same lines and lots.
2. Every loss is allowed, deferred into the basis of a lot, or lost for good, to the cent, once.
3. Where the law is not settled there is a switch in `Rules`; its default and its reason stand here.
4. Dates are trade dates. An entry that cannot have happened is a `TaxError` naming what is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from gateway.domain.lots import USUAL_RATES, LotMethod, TaxRates

ZERO = Decimal(0)
CENT = Decimal("0.01")


class TaxError(Exception):
    """Refuse an entry that cannot have happened: `field` names what is wrong, `reason` says why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class AccountKind(StrEnum):
    """Name who is taxed on an account. All of them count for wash sales (Publication 550)."""

    TAXABLE = "taxable"
    SPOUSE = "spouse"
    CORPORATION = "corporation"
    IRA = "ira"
    ROTH = "roth"

    @property
    def is_taxed(self) -> bool:
        """Say whether gains and losses of the account are anybody's capital gains."""
        return self not in (AccountKind.IRA, AccountKind.ROTH)


class SecurityKind(StrEnum):
    """Name what a symbol stands for. A contract is a future or forward: an agreement to acquire."""

    STOCK = "stock"
    CALL = "call"
    PUT = "put"
    CONTRACT = "contract"
    CRYPTO = "crypto"


class SubLots(StrEnum):
    """Say which part of a lot goes first once a wash sale has adjusted some of its shares."""

    ADJUSTED_FIRST = "adjusted_first"
    ADJUSTED_LAST = "adjusted_last"
    BY_DATE = "by_date"


class Options(StrEnum):
    """Say when options count: as replacement of stock, both ways with stock, or the same option only."""

    REPLACE_STOCK = "replace_stock"
    BOTH_WAYS = "both_ways"
    SAME_OPTION = "same_option"


@dataclass(frozen=True, slots=True)
class Holder:
    """Describe one account: `owner` as in a return, `is_dealer` exempts its losses (IRC 1091(a))."""

    name: str
    kind: AccountKind = AccountKind.TAXABLE
    owner: str = "self"
    method: LotMethod = LotMethod.FIFO
    reinvests: bool = False
    is_dealer: bool = False
    box: str = ""


@dataclass(frozen=True, slots=True)
class Security:
    """Describe one symbol; `identical` names its set of substantially identical securities.

    `multiplier` is the number of shares one option or contract stands for, `strike` is money per share.
    """

    symbol: str
    identical: str = ""
    kind: SecurityKind = SecurityKind.STOCK
    underlying: str = ""
    multiplier: Decimal = Decimal(1)
    strike: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold the switches. Defaults follow the text of the law, then common practice.

    `older_lots_count`: shares bought inside the window before the lot that is sold replace it (1091(a) asks
    for an acquisition in the window, no more). `sold_lots_count`: so do shares sold again before the loss;
    off, for there is no lot left whose basis could carry the loss; on, the earlier sale's gain falls.
    `same_order_counts`: shares sold by one order replace each other; off, for nothing is left that replaces
    anything (Rev. Rul. 56-602 in its reason). `groups_count` off: only the very same symbol is identical, as
    brokers report. `short_puts_count`: writing a put counts as a contract to acquire. `splits_scale`: shares
    before a split are counted in units after it. `covers_count`: a purchase that closes a short sale is an
    acquisition. `long_sales_count`: a sale of stock washes a short sale closed at a loss (1091(e)(1)); no
    lot carries that loss on. `corporation_defers` off: what a controlled corporation's purchase disallows is
    lost. `cent` is what amounts are rounded to, None for not at all.
    """

    window_days: int = 30
    older_lots_count: bool = True
    sold_lots_count: bool = False
    same_order_counts: bool = False
    sub_lots: SubLots = SubLots.ADJUSTED_FIRST
    groups_count: bool = True
    options: Options = Options.REPLACE_STOCK
    short_puts_count: bool = False
    splits_scale: bool = True
    vests_count: bool = True
    reinvestments_count: bool = True
    covers_count: bool = False
    long_sales_count: bool = True
    corporation_defers: bool = True
    rates: TaxRates = USUAL_RATES
    cent: Decimal | None = CENT

    @property
    def window(self) -> timedelta:
        """Return the days on either side of a loss."""
        return timedelta(days=self.window_days)

    def rounded(self, amount: Decimal) -> Decimal:
        """Round money, half away from zero."""
        return amount if self.cent is None else amount.quantize(self.cent, ROUND_HALF_UP)

    def part(self, amount: Decimal, qty: Decimal, of: Decimal) -> Decimal:
        """Return the rounded share of `amount` that falls on `qty` of `of` units; all of it for all units."""
        return amount if qty == of else self.rounded(amount * qty / of)

    def first_safe_day(self, on: date) -> date:
        """Return the first day after an acquisition or loss on which the other may safely follow."""
        return on + self.window + timedelta(days=1)
