"""Settings: `config/gateway.toml` and the files it names, then the environment, then plain data.

Rules of this room:
1. Every key has a default that protects, or is required and says so; an unknown key is an error.
2. Secrets come from the environment only (`GATEWAY_LINKS__<NAME>__PASSWORD`,
   `GATEWAY_SIGNING__KEYS__<KID>`) and are `SecretStr`; no error message ever shows an input value.
3. A mistake is one sentence: the file, the key, what is wrong, what to write instead (`ConfigError`).
4. The rest of the product sees the immutable `gateway.domain.settings.Settings`, not these models.
"""

from __future__ import annotations

import csv
import hashlib
import tomllib
from dataclasses import fields
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from adapters.fix.dialects import Venue, speak
from gateway.domain.instrument import Instrument
from gateway.domain.lots import LotMethod
from gateway.domain.order import OrdType, TimeInForce
from gateway.domain.schedule import ChaseEnd, Schedule, Style
from gateway.domain.settings import AccountSettings, Costs, Decision, Execution, Limits, Settings
from gateway.errors import ConfigError
from gateway.events import LotOpened

Name = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")


class Section(BaseModel):
    """Stand under every section: unknown keys are errors, inputs never appear in messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RedisSection(Section):
    """Where the journal lives; an empty `url` means the embedded server in the state folder."""

    url: SecretStr = SecretStr("")
    allow_unsafe: bool = False


class SigningSection(Section):
    """Keys by id for signed target messages; with `required`, unsigned ones are rejected."""

    required: bool = False
    keys: dict[str, SecretStr] = {}


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


class LinkSection(Section):
    """One broker connection. `environment` is what stands at the other end.

    `dialect` names the table of the venue's differences, `venue` holds that dialect's own keys; an
    empty `begin_string` leaves BeginString(8) to the dialect. Without `tls` a link reaches this machine
    only; `plaintext` allows another one, for a private line.
    """

    kind: Literal["fix"] = "fix"
    environment: Literal["simulator", "paper", "live"] = "paper"
    dialect: str = "plain"
    venue: dict[str, Any] = {}
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
    def _speaks(self) -> LinkSection:
        self.spoken()
        return self


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


class CostsSection(Section):
    """Commission schedule and tax rates; see `gateway.domain.settings.Costs`."""

    commission_per_share: Decimal = Field(default=Costs().commission_per_share, ge=0)
    commission_minimum: Decimal = Field(default=Costs().commission_minimum, ge=0)
    commission_bps: Decimal = Field(default=Costs().commission_bps, ge=0)
    short_term_rate: Decimal = Field(default=Costs().short_term_rate, ge=0, le=1)
    long_term_rate: Decimal = Field(default=Costs().long_term_rate, ge=0, le=1)


class DecisionSection(Section):
    """When to trade; see `gateway.domain.settings.Decision`."""

    single_asset_drift: Decimal = Field(default=Decision().single_asset_drift, gt=0)
    concentration_ratio: Decimal = Field(default=Decision().concentration_ratio, gt=1)
    crisis_drift: Decimal = Field(default=Decision().crisis_drift, gt=0)
    any_drift: Decimal = Field(default=Decision().any_drift, ge=0)
    partial_fraction: Decimal = Field(default=Decision().partial_fraction, gt=0, le=1)
    risk_aversion: Decimal = Field(default=Decision().risk_aversion, gt=0)
    horizon_years: Decimal = Field(default=Decision().horizon_years, gt=0)
    wash_sale_window_days: int = Field(default=Decision().wash_sale_window_days, ge=0, le=365)


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


class InstrumentSection(Section):
    """One tradeable name; see `gateway.domain.instrument.Instrument`."""

    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    lot_size: Decimal = Field(default=Decimal(1), gt=0)
    tick_size: Decimal = Field(default=Decimal("0.01"), gt=0)
    min_notional: Decimal = Field(default=Decimal(0), ge=0)
    half_spread_bps: Decimal = Field(default=Decimal(2), ge=0)
    volatility: Decimal = Field(default=Decimal("0.30"), gt=0)
    identical_group: str = ""


class GatewayConfig(BaseSettings):
    """The whole configuration, as written by a user."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_", env_nested_delimiter="__", extra="forbid", frozen=True,
        hide_input_in_errors=True,
    )  # fmt: skip

    household: str = Name
    state_folder: Path = Path("state")
    time_zone: str = "America/New_York"
    redis: RedisSection = RedisSection()
    signing: SigningSection = SigningSection()
    clock: ClockSection = ClockSection()
    links: dict[str, LinkSection]
    accounts: dict[str, AccountSection]
    instruments: dict[str, InstrumentSection]
    folder: Path = Path()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the files (which arrive as init arguments)."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def settings(self) -> Settings:
        """Return what the pure rooms are told."""
        return Settings(
            household=self.household,
            accounts={name: _account(name, section) for name, section in self.accounts.items()},
            instruments={
                symbol: Instrument(symbol=symbol, **section.model_dump())
                for symbol, section in self.instruments.items()
            },
            time_zone=self.time_zone,
        )

    def opening_lots(self, account: str) -> tuple[LotOpened, ...]:
        """Read an account's opening lots from its CSV (symbol,acquired,qty,cost)."""
        section = self.accounts[account]
        return _read_lots(self.folder / section.opening_lots) if section.opening_lots else ()

    def digest(self) -> str:
        """Return a short hash of everything but secrets, for the journal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def load(path: Path) -> GatewayConfig:
    """Read the configuration file and the files beside it; raises `ConfigError`."""
    document = _read_toml(path)
    for part in ("accounts", "instruments"):
        named = document.pop(f"{part}_file", None)
        if named is not None:
            document[part] = {**_read_toml(path.parent / named), **document.get(part, {})}
    try:
        config = GatewayConfig(**{**document, "folder": path.parent})
    except ValidationError as problem:
        raise ConfigError(f"{path}: {_first_mistake(problem)}") from None
    _check_together(path, config)
    return config


def _account(name: str, section: AccountSection) -> AccountSettings:
    return AccountSettings(
        name=name,
        link=section.link,
        currency=section.currency,
        taxable=section.taxable,
        lot_method=section.lot_method,
        limits=Limits(**section.limits.model_dump()),
        costs=Costs(**section.costs.model_dump()),
        decision=Decision(**section.decision.model_dump()),
        execution=section.execution.execution(),
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file, parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give the configuration with --config FILE") from None
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: not valid TOML: {problem}") from None


def _first_mistake(problem: ValidationError) -> str:
    """Name the key and what is wrong, without showing any input."""
    errors = problem.errors(include_input=False, include_url=False)
    key = ".".join(str(part) for part in errors[0]["loc"]) or "(whole file)"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{key}: {errors[0]['msg']}{more}"


def _check_together(path: Path, config: GatewayConfig) -> None:
    """Check what single fields cannot know."""
    try:
        ZoneInfo(config.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        text = "time_zone: not a time zone; write one like America/New_York"
        raise ConfigError(f"{path}: {text}") from None
    for name, account in config.accounts.items():
        if account.link not in config.links:
            known = ", ".join(sorted(config.links)) or "none"
            raise ConfigError(f"{path}: accounts.{name}.link: no link {account.link!r}; known: {known}")
        for lot in config.opening_lots(name):
            if lot.symbol not in config.instruments:
                text = f"accounts.{name}.opening_lots: {lot.symbol} is not in instruments; add it there"
                raise ConfigError(f"{path}: {text}")
    for name, link in config.links.items():
        if link.tls is None and not link.plaintext and link.host not in ("127.0.0.1", "::1", "localhost"):
            text = (
                "another machine in plain text; write a [tls] section, or plaintext = true on a private line"
            )
            raise ConfigError(f"{path}: links.{name}.host: {link.host} is {text}")
    if config.clock.simulated_start is not None:
        real = sorted(name for name, link in config.links.items() if link.environment != "simulator")
        if real:
            text = f"links {', '.join(real)} are not simulators; remove clock.simulated_start"
            raise ConfigError(f"{path}: clock.simulated_start: {text}")


def _read_lots(path: Path) -> tuple[LotOpened, ...]:
    """Read opening lots; every mistake names file, line and column."""
    lots: list[LotOpened] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            for number, row in enumerate(rows, start=2):
                lots.append(_lot(path, number, row))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file of opening lots") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    return tuple(lots)


def _lot(path: Path, number: int, row: dict[str, str]) -> LotOpened:
    try:
        acquired = date.fromisoformat(row["acquired"])
        qty, cost = Decimal(row["qty"]), Decimal(row["cost"])
    except KeyError as problem:
        raise ConfigError(f"{path}: column {problem} is missing; write symbol,acquired,qty,cost") from None
    except (ValueError, InvalidOperation):
        text = "acquired must be YYYY-MM-DD, qty and cost plain decimals"
        raise ConfigError(f"{path}:{number}: {text}") from None
    if not (qty.is_finite() and cost.is_finite() and qty > 0 and cost >= 0):
        raise ConfigError(f"{path}:{number}: qty must be above 0 and cost not below 0")
    return LotOpened(row["symbol"], acquired.isoformat(), qty, cost)
