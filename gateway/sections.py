"""The sections of the configuration as users write them: one model each, every default protects.

Rules of this room:
1. An unknown key is an error; no error message shows an input value; secrets are `SecretStr`.
2. A section knows itself only; what several must agree on is checked in `config.py`.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    model_validator,
)

from adapters.fix.dialects import Venue, speak
from gateway.domain.lots import LotMethod
from gateway.domain.order import OrdType, TimeInForce
from gateway.domain.request import PolicyName
from gateway.domain.schedule import ChaseEnd, Schedule, Style
from gateway.domain.settings import Decision, DropCopySettings, Execution, Limits, Monitoring, Period
from gateway.valuation import CostsSection, HarvestSection, Section

DAYS_OF_A_WEEK = 7
Name = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")


class RedisSection(Section):
    """Where the journal lives; an empty `url` means the embedded server in the state folder."""

    url: SecretStr = SecretStr("")
    allow_unsafe: bool = False


class SigningSection(Section):
    """Keys by id for signed target messages; with `required`, unsigned ones are rejected."""

    required: bool = False
    keys: dict[str, SecretStr] = Field(default_factory=dict)


class ClockSection(Section):
    """A simulated start for replayed market days; refused unless every link is a simulator's."""

    simulated_start: AwareDatetime | None = None


class TlsSection(Section):
    """How a venue proves who it is; see `adapters.fix.tls.TlsSettings`. Verification cannot be switched off.

    Files are named relative to the configuration; an empty `ca_file` means the system's trusted issuers.
    """

    ca_file: str = ""
    server_name: str = ""
    client_cert: str = ""
    client_key: str = ""
    pinned_sha256: tuple[str, ...] = ()
    minimum_version: Literal["1.2", "1.3"] = "1.2"


class FixSection(Section):
    """One FIX session with one venue.

    `dialect` names the table of the venue's differences, `venue` holds that dialect's own keys; an
    empty `begin_string` leaves BeginString(8) to the dialect. Without `tls` a session reaches this machine
    only; `plaintext` allows another one, for a private line.
    """

    dialect: str = "plain"
    venue: dict[str, Any] = Field(default_factory=dict)
    begin_string: str = ""
    sender_comp_id: str = Name
    target_comp_id: str = Name
    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    heartbeat_s: int = Field(default=30, ge=1, le=3600)
    username: str = ""
    password: SecretStr = SecretStr("")
    reset_on_logon: bool = False
    orders_per_s: float = Field(default=50.0, ge=0)
    tls: TlsSection | None = None
    plaintext: bool = False

    def spoken(self) -> Venue:
        """Return the dialect with its keys settled."""
        return speak(self.dialect, self.venue, self.begin_string)

    @model_validator(mode="after")
    def _speaks(self) -> FixSection:
        self.spoken()
        return self


class LinkSection(FixSection):
    """One broker connection. `environment` is what stands at the other end."""

    kind: Literal["fix"] = "fix"
    environment: Literal["simulator", "paper", "live"] = "paper"


def _must_be_secure(name: str, url: str, scheme: str) -> None:
    """Refuse an address of another machine to which keys would travel in plain text."""
    address = urlsplit(url)
    if address.scheme not in ("", scheme) and address.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"{name}: keys would travel in plain text; write {scheme}://")


class AlpacaSection(Section):
    """One Alpaca account; see `adapters.alpaca.settings`. The keys decide which, paper or live.

    They stand in the environment, in GATEWAY_LINKS__<NAME>__KEY and __SECRET or, as Alpaca's own programs
    have it, in APCA_API_KEY_ID and APCA_API_SECRET_KEY. Addresses are needed for a simulator only.
    """

    kind: Literal["alpaca"]
    environment: Literal["simulator", "paper", "live"] = "paper"
    key: SecretStr = SecretStr("")
    secret: SecretStr = SecretStr("")
    url: str = ""
    stream_url: str = ""
    requests_per_min: int = Field(default=200, ge=10, le=100_000)
    extended_hours: bool = False
    compare_positions: bool = True
    mute_after_s: float = Field(default=5.0, ge=1, le=60)
    poll_s: float = Field(default=10.0, ge=1, le=3600)
    activities_s: float = Field(default=60.0, ge=1, le=3600)

    @model_validator(mode="after")
    def _is_told_where(self) -> AlpacaSection:
        if bool(self.url) != bool(self.stream_url):
            raise ValueError("url and stream_url belong together; write both, or none for Alpaca's own")
        _must_be_secure("url", self.url, "https")
        _must_be_secure("stream_url", self.stream_url, "wss")
        return self


class AlpacaQuotesSection(Section):
    """Alpaca's latest quotes as reference prices, asked for with the keys of the link `of`.

    `symbols` are all instruments when empty; `feed` is iex, sip or what the subscription allows.
    """

    kind: Literal["alpaca"]
    of: str = Name
    feed: str = "iex"
    url: str = ""
    symbols: tuple[str, ...] = ()
    interval_s: float = Field(default=5.0, gt=0, le=3600)

    @model_validator(mode="after")
    def _is_secure(self) -> AlpacaQuotesSection:
        _must_be_secure("url", self.url, "https")
        return self


class QuotesSection(FixSection):
    """A venue's quote session as a source of reference prices; see `adapters.fix.quotes`.

    `symbols` are our names of what is asked for, all instruments when empty; prices come every
    `interval_s` seconds at most.
    """

    kind: Literal["fix"] = "fix"
    symbols: tuple[str, ...] = ()
    interval_s: float = Field(default=1.0, gt=0, le=60)

    @model_validator(mode="after")
    def _quotes(self) -> QuotesSection:
        venue = self.spoken()
        if "V" not in venue.dialect.sends:
            raise ValueError(f"{venue.dialect.title} quotes no prices over FIX; leave this section out")
        return self


class DropCopySection(FixSection):
    """A venue's read-only copy of the executions of the link `of`; see `gateway.oms.copies`.

    What only one side knows is told after `grace_s` seconds; with `halts` the account is halted, too.
    """

    of: str = Name
    grace_s: Decimal = Field(default=DropCopySettings("").grace_s, gt=0, le=3600)
    halts: bool = False


def _kind(given: Any) -> str:
    """Say which section is meant: what names no `kind` is a FIX session."""
    said = given.get("kind", "fix") if isinstance(given, dict) else getattr(given, "kind", "fix")
    return str(said)


AnyLink = Annotated[
    Annotated[LinkSection, Tag("fix")] | Annotated[AlpacaSection, Tag("alpaca")], Discriminator(_kind)
]
AnyQuotes = Annotated[
    Annotated[QuotesSection, Tag("fix")] | Annotated[AlpacaQuotesSection, Tag("alpaca")],
    Discriminator(_kind),
]


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

    policy: PolicyName = PolicyName.TRIGGERS
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
