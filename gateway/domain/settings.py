"""What the pure rooms must be told: limits, costs, decision and execution settings, all immutable.

`gateway/config.py` reads files and the environment and builds these; nothing here reads anything.
Amounts of money are in the account's currency; rates are fractions unless the name says `_bps`
(basis points, 1/10,000) or `_s` (seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

from gateway.domain.instrument import Instrument
from gateway.domain.lots import LotMethod
from gateway.domain.order import OrdType, TimeInForce
from gateway.domain.schedule import Schedule, ScheduleOverride, Style


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound every order before it may be sent. All defaults protect."""

    max_order_notional: Decimal = Decimal(250_000)
    max_order_nav_share: Decimal = Decimal("0.20")
    max_orders_per_request: int = 500
    max_turnover: Decimal = Decimal("1.00")
    price_collar_bps: Decimal = Decimal(300)
    price_max_age_s: Decimal = Decimal(60)
    restricted: frozenset[str] = frozenset()
    allow_short: bool = False


@dataclass(frozen=True, slots=True)
class Costs:
    """Price a trade: commission schedule and the tax rates used to value a realised gain."""

    commission_per_share: Decimal = Decimal("0.005")
    commission_minimum: Decimal = Decimal("1.00")
    commission_bps: Decimal = Decimal(0)
    short_term_rate: Decimal = Decimal("0.37")
    long_term_rate: Decimal = Decimal("0.20")


class WashSales(StrEnum):
    """Say what to do about an order that would wash a loss (IRC 1091).

    BLOCK denies it, DEFER denies it and says from when it may go, SUBSTITUTE denies it and names what to buy
    instead, ACCEPT lets it go and counts what the tax no longer saves as a cost.
    """

    BLOCK = "block"
    DEFER = "defer"
    SUBSTITUTE = "substitute"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class Decision:
    """Say when to trade.

    `single_asset_drift` is in weight (0.05 = five percentage points), `concentration_ratio` is
    current over target weight, `crisis_drift` is the summed absolute drift in a crisis.
    `risk_aversion` is the gamma of 0.5 * gamma * variance per year, `horizon_years` the time over
    which a drift not corrected is assumed to cost.
    """

    single_asset_drift: Decimal = Decimal("0.05")
    concentration_ratio: Decimal = Decimal("1.5")
    crisis_drift: Decimal = Decimal("0.10")
    any_drift: Decimal = Decimal("0.00")
    partial_fraction: Decimal = Decimal("0.50")
    risk_aversion: Decimal = Decimal(5)
    horizon_years: Decimal = Decimal(1)
    wash_sale_window_days: int = 30
    wash_sale: WashSales = WashSales.BLOCK


@dataclass(frozen=True, slots=True)
class Execution:
    """Say how orders are sent and how long they may wait; `schedule` is the execution style."""

    ord_type: OrdType = OrdType.LIMIT
    limit_offset_bps: Decimal = Decimal(25)
    time_in_force: TimeInForce = TimeInForce.DAY
    cash_buffer: Decimal = Decimal("0.0025")
    wave_timeout_s: Decimal = Decimal(120)
    price_wait_s: Decimal = Decimal(30)
    lookup_wait_s: Decimal = Decimal("0.5")
    lookups_before_unknown: int = 2
    resend_max_age_s: Decimal = Decimal(300)
    schedule: Schedule = field(default_factory=Schedule)

    def overridden(self, by: ScheduleOverride | None) -> Execution:
        """Return these settings with what one request wants otherwise."""
        return replace(self, schedule=self.schedule.overridden(by))

    def flaw(self) -> tuple[str, str] | None:
        """Name the first field of the execution style that is wrong and the remedy; None when all is well."""
        if self.schedule.style is Style.CHASE and self.ord_type is OrdType.MARKET:
            return "style", 'is chase, which moves a limit: set ord_type = "limit", or take another style'
        return self.schedule.flaw()


@dataclass(frozen=True, slots=True)
class OpeningLot:
    """Name one lot an account holds on its first day: `cost` is the total for `qty`."""

    symbol: str
    acquired: str
    qty: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Gather what one account is configured with; `link` names the broker connection."""

    name: str
    link: str
    currency: str = "USD"
    taxable: bool = True
    lot_method: LotMethod = LotMethod.FIFO
    limits: Limits = field(default_factory=Limits)
    costs: Costs = field(default_factory=Costs)
    decision: Decision = field(default_factory=Decision)
    execution: Execution = field(default_factory=Execution)


@dataclass(frozen=True, slots=True)
class DropCopySettings:
    """Say whose executions a drop copy shows, how long one side waits for the other, and whether it halts."""

    of: str
    grace_s: Decimal = Decimal(30)
    halts: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Gather one household: its accounts and every instrument they may trade."""

    household: str
    accounts: dict[str, AccountSettings]
    instruments: dict[str, Instrument]
    time_zone: str = "America/New_York"
    drop_copies: dict[str, DropCopySettings] = field(default_factory=dict)
