"""The sections of the configuration as users write them: one model each, every default protects.

Rules of this room:
1. An unknown key is an error; no error message shows an input value; secrets are `SecretStr`.
2. A section knows itself only; what several must agree on is checked in `config.py`.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Literal

from pydantic import (
    AwareDatetime,
    Field,
    SecretStr,
    model_validator,
)

from gateway.connections import Name
from gateway.domain.lots import LotMethod
from gateway.domain.order import OrdType, TimeInForce
from gateway.domain.request import PolicyName
from gateway.domain.schedule import ChaseEnd, Schedule, Style
from gateway.domain.settings import (
    Decision,
    Execution,
    Limits,
    Monitoring,
    Period,
    WashSales,
)
from gateway.valuation import CostsSection, HarvestSection, Section

DAYS_OF_A_WEEK = 7
LEAST_KEPT = 1_000


class RedisSection(Section):
    """Where the journal lives; an empty `url` means the embedded server in the state folder."""

    url: SecretStr = SecretStr("")
    allow_unsafe: bool = False


class JournalSection(Section):
    """How many of the newest events Redis keeps (0: all), and the folder of files for those before them.

    An event takes some 500 bytes of Redis's memory. An empty folder means `archive` in the state folder.
    """

    keep_events: int = Field(default=200_000, ge=0)
    archive: str = ""

    @model_validator(mode="after")
    def _keeps_enough(self) -> JournalSection:
        if 0 < self.keep_events < LEAST_KEPT:
            raise ValueError(f"keep_events is below {LEAST_KEPT}; keep more, or 0 for all")
        return self


class SigningSection(Section):
    """Keys by id for signed target messages; with `required`, unsigned ones are rejected."""

    required: bool = False
    keys: dict[str, SecretStr] = Field(default_factory=dict)


class ClockSection(Section):
    """A simulated start for replayed market days; refused unless every link is a simulator's."""

    simulated_start: AwareDatetime | None = None


class LimitsSection(Section):
    """Pre-trade limits; see `gateway.domain.settings.Limits` for units."""

    max_order_notional: Decimal = Field(default=Limits().max_order_notional, gt=0)
    max_order_nav_share: Decimal = Field(default=Limits().max_order_nav_share, gt=0, le=1)
    max_orders_per_request: int = Field(default=Limits().max_orders_per_request, ge=1, le=10_000)
    max_turnover: Decimal = Field(default=Limits().max_turnover, gt=0)
    price_collar_bps: Decimal = Field(default=Limits().price_collar_bps, gt=0)
    price_max_age_s: Decimal = Field(default=Limits().price_max_age_s, gt=0)
    restricted: frozenset[str] = frozenset()
    allow_short: bool = False


class DecisionSection(Section):
    """When to trade; see `gateway.domain.settings.Decision`."""

    policy: PolicyName = PolicyName.NO_TRADE
    single_asset_drift: Decimal = Field(default=Decision().single_asset_drift, gt=0)
    concentration_ratio: Decimal = Field(default=Decision().concentration_ratio, gt=1)
    crisis_drift: Decimal = Field(default=Decision().crisis_drift, gt=0)
    any_drift: Decimal = Field(default=Decision().any_drift, ge=0)
    partial_fraction: Decimal = Field(default=Decision().partial_fraction, gt=0, le=1)
    risk_aversion: Decimal = Field(default=Decision().risk_aversion, gt=0)
    horizon_years: Decimal = Field(default=Decision().horizon_years, gt=0)
    wash_sale_window_days: int = Field(default=Decision().wash_sale_window_days, ge=0, le=365)
    drift_band_absolute: Decimal = Field(default=Decision().drift_band_absolute, ge=0, lt=1)
    drift_band_relative: Decimal = Field(default=Decision().drift_band_relative, ge=0)
    invest_cash: Decimal = Field(default=Decision().invest_cash, ge=0, lt=1)
    calendar_period: Period = Period.MONTHLY
    calendar_day: int = Field(default=0, ge=0, le=31)
    cooldown_days: int = Field(default=0, ge=0, le=366)
    timing: bool = False
    assumed_correlation: Decimal = Field(default=Decision().assumed_correlation, ge=0, lt=1)
    wash_sale: WashSales = Decision().wash_sale
    learned_file: str = ""
    learned_override: bool = False

    @model_validator(mode="after")
    def _has_its_day(self) -> DecisionSection:
        if self.calendar_period is Period.WEEKLY and self.calendar_day > DAYS_OF_A_WEEK:
            raise ValueError("calendar_day is past the end of a week; write 1 (Monday) to 7")
        return self


class ExecutionSection(Section):
    """How orders are sent; see `gateway.domain.settings.Execution`."""

    style: Style = Style.AT_ONCE
    duration_s: Decimal = Schedule().duration_s
    slices: int = Schedule().slices
    volume_curve: tuple[Decimal, ...] = ()
    chase_interval_s: Decimal = Schedule().chase_interval_s
    chase_step_bps: Decimal = Schedule().chase_step_bps
    chase_limit_bps: Decimal = Schedule().chase_limit_bps
    chase_steps: int = Schedule().chase_steps
    chase_end: ChaseEnd = Schedule().chase_end
    ord_type: Literal["limit", "market"] = "limit"
    limit_offset_bps: Decimal = Field(default=Execution().limit_offset_bps, ge=0)
    time_in_force: Literal["day", "gtc", "ioc", "fok"] = "day"
    cash_buffer: Decimal = Field(default=Execution().cash_buffer, ge=0, lt=1)
    wave_timeout_s: Decimal = Field(default=Execution().wave_timeout_s, gt=0)
    price_wait_s: Decimal = Field(default=Execution().price_wait_s, ge=0)
    lookup_wait_s: Decimal = Field(default=Execution().lookup_wait_s, gt=0)
    lookups_before_unknown: int = Field(default=Execution().lookups_before_unknown, ge=1, le=20)
    resend_max_age_s: Decimal = Field(default=Execution().resend_max_age_s, gt=0)
    cash_orders: bool = False

    def execution(self) -> Execution:
        """Return these settings as the pure rooms take them."""
        words = self.model_dump()
        words["schedule"] = Schedule(**{one.name: words.pop(one.name) for one in fields(Schedule)})
        words["ord_type"] = OrdType[self.ord_type.upper()]
        words["time_in_force"] = {
            "day": TimeInForce.DAY, "gtc": TimeInForce.GOOD_TILL_CANCEL,
            "ioc": TimeInForce.IMMEDIATE_OR_CANCEL, "fok": TimeInForce.FILL_OR_KILL,
        }[self.time_in_force]  # fmt: skip
        return Execution(**words)

    @model_validator(mode="after")
    def _makes_sense(self) -> ExecutionSection:
        if flaw := self.execution().flaw():
            raise ValueError(" ".join(flaw))
        return self


class MonitoringSection(Section):
    """When drift is looked at and what follows; see `gateway.domain.settings.Monitoring`.

    `calendar` is a market code of `exchange_calendars`: XNYS, XLON, XETR, ... or 24/5 for currencies.
    """

    is_on: bool = Monitoring().is_on
    calendar: str = Field(default=Monitoring().calendar, pattern=r"^[A-Za-z0-9/_.-]{1,32}$")
    warning_drift: Decimal = Field(default=Monitoring().warning_drift, gt=0, le=2)
    critical_drift: Decimal = Field(default=Monitoring().critical_drift, gt=0, le=2)
    auto_execute: bool = Monitoring().auto_execute
    first_check_s: Decimal = Field(default=Monitoring().first_check_s, ge=0, le=86_400)
    every_s: Decimal = Field(default=Monitoring().every_s, ge=60, le=86_400)
    before_close_s: Decimal = Field(default=Monitoring().before_close_s, ge=0, le=86_400)
    approval_s: Decimal = Field(default=Monitoring().approval_s, ge=60, le=86_400)

    @model_validator(mode="after")
    def _rises(self) -> MonitoringSection:
        if self.critical_drift < self.warning_drift:
            raise ValueError("critical_drift is below warning_drift; raise it, or lower warning_drift")
        return self


class AlertsSection(Section):
    """Who is told what; see `gateway.views.alerts`. No URL: nobody is, alerts stand on the news only.

    `urls` are addresses of the library apprise by a name of your own; they hold secrets, so they belong
    in the environment: GATEWAY_ALERTS__URLS__<NAME>=mailto://..., slack://..., json://...
    Alerts of at least `min_severity` are sent, and those whose code stands in `always`.
    The same alert is sent once in `dedup_s` seconds. At most `per_hour` messages leave; what comes faster is
    gathered into the next one, up to `waiting` alerts, beyond which the oldest are dropped and counted.
    """

    urls: dict[str, SecretStr] = Field(default_factory=dict)
    min_severity: Literal["info", "warning", "critical"] = "warning"
    always: frozenset[str] = frozenset({"ApprovalNeeded", "WeeklyReport"})
    dedup_s: float = Field(default=900, ge=0, le=604_800)
    per_hour: int = Field(default=30, ge=1, le=3600)
    waiting: int = Field(default=200, ge=1, le=10_000)
    timeout_s: float = Field(default=15, gt=0, le=120)


class ReportSection(Section):
    """The weekly report: with `weekly` it is written by itself after the week's last session.

    It goes to `folder`, named relative to the configuration; `reports` in the state folder when empty.
    """

    weekly: bool = True
    folder: str = ""


class AccountSection(Section):
    """One account: its broker link, its opening book and its own limits."""

    link: str = Name
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    taxable: bool = True
    lot_method: LotMethod = LotMethod.FIFO
    opening_cash: Decimal = Decimal(0)
    opening_lots: str = ""
    limits: LimitsSection = LimitsSection()
    costs: CostsSection = CostsSection()
    decision: DecisionSection = DecisionSection()
    execution: ExecutionSection = ExecutionSection()
    harvest: HarvestSection = HarvestSection()
    monitoring: MonitoringSection = MonitoringSection()


class InstrumentSection(Section):
    """One tradeable name; see `gateway.domain.instrument.Instrument`."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    lot_size: Decimal = Field(default=Decimal(1), gt=0)
    tick_size: Decimal = Field(default=Decimal("0.01"), gt=0)
    min_notional: Decimal = Field(default=Decimal(0), ge=0)
    half_spread_bps: Decimal = Field(default=Decimal(2), ge=0)
    volatility: Decimal = Field(default=Decimal("0.30"), gt=0)
    identical_group: str = ""
    daily_volume: Decimal = Field(default=Decimal(0), ge=0)
