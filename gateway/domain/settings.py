"""What the pure rooms must be told: limits, costs, decision and execution settings, all immutable.

`gateway/config.py` reads files and the environment and builds these; nothing here reads anything.
Amounts of money are in the account's currency; rates are fractions unless the name says `_bps`
(basis points, 1/10,000) or `_s` (seconds).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from gateway.domain.instrument import Instrument
from gateway.domain.lots import LotMethod
from gateway.domain.order import OrdType, TimeInForce
from gateway.domain.request import PolicyName
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
class Tier:
    """Charge `per_share` for every share of the month above the first `above`."""

    above: Decimal
    per_share: Decimal


@dataclass(frozen=True, slots=True)
class Costs:
    """Price a trade: commission schedule, fees, impact, and the tax rates used to value a realised gain.

    The commission of one order is `commission_per_order`, plus `commission_per_share` (or the `tiers`,
    by shares traded in the month, of which `monthly_shares` are taken to be traded before), plus
    `commission_bps` of its value; at least `commission_minimum`, and, above all, at most
    `commission_maximum_bps` of its value (0: no maximum). Outside of both bounds come
    `clearing_per_share` and, on sales only, `sell_fee_bps` of the value (the SEC's section 31 fee) and
    `sell_fee_per_share`, at most `sell_fee_maximum` an order (FINRA's trading activity fee).
    `fx_bps` of the value, at least `fx_minimum` an order, is what changing money costs when a name is quoted
    in another currency than the account's.
    `impact` is the coefficient of the square-root law (see `gateway.decision.costs.impact`).
    """

    commission_per_share: Decimal = Decimal("0.005")
    commission_minimum: Decimal = Decimal("1.00")
    commission_bps: Decimal = Decimal(0)
    commission_per_order: Decimal = Decimal(0)
    commission_maximum_bps: Decimal = Decimal(0)
    tiers: tuple[Tier, ...] = ()
    monthly_shares: Decimal = Decimal(0)
    clearing_per_share: Decimal = Decimal(0)
    sell_fee_bps: Decimal = Decimal(0)
    sell_fee_per_share: Decimal = Decimal(0)
    sell_fee_maximum: Decimal = Decimal(0)
    fx_bps: Decimal = Decimal(0)
    fx_minimum: Decimal = Decimal(0)
    impact: Decimal = Decimal(1)
    short_term_rate: Decimal = Decimal("0.37")
    long_term_rate: Decimal = Decimal("0.20")


class Period(StrEnum):
    """How often a calendar policy rebalances."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    ANNUAL = "annual"


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
    """Say when to trade; `policy` names the rule, the others are its numbers.

    `triggers`: `single_asset_drift` is in weight (0.05 = five percentage points), `concentration_ratio`
    is current over target weight, `crisis_drift` is the summed absolute drift in a crisis.
    `threshold`: `drift_band_absolute` is in weight, `drift_band_relative` a share of the target weight,
    `invest_cash` the share of NAV in cash above its own target that is invested; 0 switches each off.
    `calendar`: `calendar_day` counts from 1 in the period (weekly: Monday; monthly, quarterly, annual:
    the first of its first month), 0 is the period's last day.
    Any policy: `cooldown_days` calendar days between two rebalances; `risk_aversion` is the gamma of
    0.5 * gamma * variance per year, `horizon_years` the time over which a drift not corrected is assumed
    to cost. `timing` lets trends and the regime hasten or delay, see `gateway.decision.timing`.
    `no_trade`, `optimise`, `learned`: `assumed_correlation` is what names are taken to have in common where
    there is no price history; 0.3 is usual among large shares.
    """

    policy: PolicyName = PolicyName.NO_TRADE
    single_asset_drift: Decimal = Decimal("0.05")
    concentration_ratio: Decimal = Decimal("1.5")
    crisis_drift: Decimal = Decimal("0.10")
    any_drift: Decimal = Decimal("0.00")
    partial_fraction: Decimal = Decimal("0.50")
    risk_aversion: Decimal = Decimal(5)
    horizon_years: Decimal = Decimal(1)
    wash_sale_window_days: int = 30
    drift_band_absolute: Decimal = Decimal("0.05")
    drift_band_relative: Decimal = Decimal(0)
    invest_cash: Decimal = Decimal(0)
    calendar_period: Period = Period.MONTHLY
    calendar_day: int = 0
    cooldown_days: int = 0
    timing: bool = False
    assumed_correlation: Decimal = Decimal("0.30")
    wash_sale: WashSales = WashSales.BLOCK


@dataclass(frozen=True, slots=True)
class Harvest:
    """Say when a loss is worth taking; see `gateway.decision.harvest`.

    `later_rate` is the tax on the gain that the lower basis makes later, `years` from now, discounted at
    `discount_rate` a year. `ordinary_limit` is what a year's ordinary income takes of a net loss, at
    `ordinary_rate` (IRC 1211(b)); `carried_loss` is the net loss carried forward from earlier years,
    positive, which is used up first (IRC 1212(b)). With `watch` a person is told,
    once a week at most, that a loss is worth taking. A swap must be worth `min_benefit`, money after
    everything, and its substitute must have moved with the name at `min_correlation` or more.
    """

    later_rate: Decimal = Decimal("0.20")
    years: Decimal = Decimal(10)
    discount_rate: Decimal = Decimal("0.05")
    ordinary_limit: Decimal = Decimal(3000)
    ordinary_rate: Decimal = Decimal("0.37")
    min_benefit: Decimal = Decimal(50)
    min_correlation: Decimal = Decimal("0.50")
    carried_loss: Decimal = Decimal(0)
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """Say how orders are sent and how long they may wait; `schedule` is the execution style.

    With `cash_orders` a buy of what trades in fractions is sent as the money to spend (CashOrderQty(152)).
    """

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
    cash_orders: bool = False

    def overridden(self, by: ScheduleOverride | None) -> Execution:
        """Return these settings with what one request wants otherwise."""
        return replace(self, schedule=self.schedule.overridden(by))

    def flaw(self) -> tuple[str, str] | None:
        """Name the first field of the execution style that is wrong and the remedy; None when all is well."""
        if self.schedule.style is Style.CHASE and self.ord_type is OrdType.MARKET:
            return "style", 'is chase, which moves a limit: set ord_type = "limit", or take another style'
        if self.cash_orders and self.schedule.style is not Style.AT_ONCE:
            return "style", 'is worked in slices of a quantity: take "at_once" where cash_orders is set'
        if self.cash_orders and self.ord_type is not OrdType.MARKET:
            return "cash_orders", 'have no limit: set ord_type = "market", or cash_orders = false'
        if self.cash_orders and self.time_in_force is not TimeInForce.DAY:
            return "cash_orders", 'are for the day: set time_in_force = "day", or cash_orders = false'
        return self.schedule.flaw()


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Say when an account's drift from its standing targets is looked at, and what is done about it.

    Drift is that of the name furthest from its target, in weight. In each session of the exchange
    `calendar` the account is looked at `first_check_s` after the open and every `every_s` from then on, the
    last time `before_close_s` before the close. Above `warning_drift` a person is told; above
    `critical_drift` a request is made, which trades at once with `auto_execute` and else waits for an
    approval, for `approval_s` and never beyond the close.
    """

    is_on: bool = True
    calendar: str = "XNYS"
    warning_drift: Decimal = Decimal("0.03")
    critical_drift: Decimal = Decimal("0.10")
    auto_execute: bool = False
    first_check_s: Decimal = Decimal(1800)
    every_s: Decimal = Decimal(3600)
    before_close_s: Decimal = Decimal(900)
    approval_s: Decimal = Decimal(14_400)


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
    harvest: Harvest = field(default_factory=Harvest)
    monitoring: Monitoring = field(default_factory=Monitoring)


@dataclass(frozen=True, slots=True)
class Risk:
    """Say what a risk model is made of: the last `window_days` trading days of a history of closes.

    It is out of use once its last day is more than `max_age_days` calendar days ago; `factors` above 0
    makes a model of that many principal components (0: as many as the number of names asks for).
    """

    window_days: int = 504
    max_age_days: int = 5
    min_observations: int = 60
    factors: int = 0


@dataclass(frozen=True, slots=True)
class DropCopySettings:
    """Say whose executions a drop copy shows, how long one side waits for the other, and whether it halts."""

    of: str
    grace_s: Decimal = Decimal(30)
    halts: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Gather one household: its accounts and every instrument they may trade.

    `closed_days` are days other than weekends on which the market does not trade, `substitutes` what may
    stand in for a name that is sold for its loss. `is_converted` says that all prices arrive in the account's
    currency already, as in a backtest whose history was converted day by day.
    """

    household: str
    accounts: dict[str, AccountSettings]
    instruments: dict[str, Instrument]
    time_zone: str = "America/New_York"
    drop_copies: dict[str, DropCopySettings] = field(default_factory=dict)
    closed_days: frozenset[date] = frozenset()
    substitutes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    risk: Risk = field(default_factory=Risk)
    is_converted: bool = False
