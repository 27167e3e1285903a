"""Settings: `config/gateway.toml` and the files it names, then the environment, then plain data.

Rules of this room:
1. Every key has a default that protects, or is required and says so; an unknown key is an error.
2. Secrets come from the environment only (`GATEWAY_LINKS__<NAME>__PASSWORD`,
   `GATEWAY_SIGNING__KEYS__<KID>`) and are `SecretStr`; no error message ever shows an input value.
3. A mistake is one sentence: the file, the key, what is wrong, what to write instead (`ConfigError`).
4. The rest of the product sees the immutable `gateway.domain.settings.Settings`, not these models.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.connections import (
    AlpacaQuotesSection,
    AlpacaSection,
    AnyLink,
    AnyQuotes,
    DropCopySection,
    FixSection,
    IbkrQuotesSection,
    IbkrSection,
    LinkSection,
    Name,
)
from gateway.domain.instrument import Instrument
from gateway.domain.settings import (
    AccountSettings,
    Decision,
    DropCopySettings,
    Harvest,
    Limits,
    Monitoring,
    Risk,
    Settings,
)
from gateway.errors import ConfigError
from gateway.events import LotOpened
from gateway.files import first_mistake, read_lots, read_toml
from gateway.oms.money import rate_symbol
from gateway.sections import (
    AccountSection,
    AlertsSection,
    ClockSection,
    InstrumentSection,
    JournalSection,
    RedisSection,
    ReportSection,
    SigningSection,
)
from gateway.valuation import RiskSection, Section


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
    journal: JournalSection = JournalSection()
    signing: SigningSection = SigningSection()
    clock: ClockSection = ClockSection()
    alerts: AlertsSection = AlertsSection()
    report: ReportSection = ReportSection()
    links: dict[str, AnyLink]
    quotes: dict[str, AnyQuotes] = {}
    drop_copies: dict[str, DropCopySection] = {}
    accounts: dict[str, AccountSection]
    instruments: dict[str, InstrumentSection]
    risk: RiskSection = RiskSection()
    closed_days: frozenset[date] = frozenset()
    substitutes: dict[str, tuple[str, ...]] = {}
    folder: Path = Path()
    file: Path = Path()

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
            accounts={name: account_settings(name, section) for name, section in self.accounts.items()},
            instruments={
                symbol: Instrument(symbol=symbol, **section.model_dump())
                for symbol, section in self.instruments.items()
            },
            time_zone=self.time_zone,
            drop_copies={
                name: DropCopySettings(one.of, one.grace_s, one.halts)
                for name, one in self.drop_copies.items()
            },
            closed_days=self.closed_days,
            substitutes=dict(self.substitutes),
            risk=Risk(**self.risk.model_dump(exclude={"history"})),
        )

    def sessions(self) -> dict[str, FixSection]:
        """Return every FIX session by its key in the file, as in `links.main`."""
        groups: dict[str, Mapping[str, Section]] = {
            "links": self.links, "quotes": self.quotes, "drop_copies": self.drop_copies,
        }  # fmt: skip
        return {
            f"{group}.{name}": one
            for group, found in groups.items()
            for name, one in found.items()
            if isinstance(one, FixSection)
        }

    def fix_links(self) -> dict[str, LinkSection]:
        """Return every broker connection that is a FIX session."""
        return {name: one for name, one in self.links.items() if isinstance(one, LinkSection)}

    def alpaca_links(self) -> dict[str, AlpacaSection]:
        """Return every broker connection that is an Alpaca account."""
        return {name: one for name, one in self.links.items() if isinstance(one, AlpacaSection)}

    def tws_links(self) -> dict[str, IbkrSection]:
        """Return every broker connection that is a TWS or IB Gateway."""
        return {name: one for name, one in self.links.items() if isinstance(one, IbkrSection)}

    def opening_lots(self, account: str) -> tuple[LotOpened, ...]:
        """Read an account's opening lots from its CSV (symbol,acquired,qty,cost)."""
        section = self.accounts[account]
        return read_lots(self.folder / section.opening_lots) if section.opening_lots else ()

    def reports_folder(self) -> Path:
        """Return where weekly reports are written."""
        named = self.report.folder
        return self.folder / named if named else self.state_folder / "reports"

    def archive_folder(self) -> Path:
        """Return where journal entries go that Redis no longer keeps."""
        named = self.journal.archive
        return (self.folder / named if named else self.state_folder / "archive") / self.household

    def digest(self) -> str:
        """Return a short hash of everything but secrets, for the journal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def load(path: Path) -> GatewayConfig:
    """Read the configuration file and the files beside it; raises `ConfigError`."""
    document = read_toml(path)
    for part in ("accounts", "instruments", "substitutes"):
        named = document.pop(f"{part}_file", None)
        if named is not None:
            if not isinstance(named, str):
                raise ConfigError(f"{path}: {part}_file: is not text; write the name of a file in quotes")
            found = read_toml(path.parent / named, f"correct {part}_file in {path}")
            document[part] = {**found, **document.get(part, {})}
    try:
        config = GatewayConfig(**{**document, "folder": path.parent, "file": path})
    except ValidationError as problem:
        raise ConfigError(f"{path}: {first_mistake(problem)}") from None
    _check_together(path, config)
    return config


def account_settings(name: str, section: AccountSection) -> AccountSettings:
    """Return what the pure rooms are told of one account."""
    return AccountSettings(
        name=name,
        link=section.link,
        currency=section.currency,
        taxable=section.taxable,
        lot_method=section.lot_method,
        limits=Limits(**section.limits.model_dump()),
        costs=section.costs.costs(),
        decision=Decision(**section.decision.model_dump(exclude={"learned_file", "learned_override"})),
        execution=section.execution.execution(),
        harvest=Harvest(**section.harvest.model_dump()),
        monitoring=Monitoring(**section.monitoring.model_dump()),
    )


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
    _check_references(path, config)
    _check_rates(path, config)
    _check_sessions(path, config)
    if config.clock.simulated_start is not None:
        real = sorted(name for name, link in config.links.items() if link.environment != "simulator")
        if real:
            text = f"links {', '.join(real)} are not simulators; remove clock.simulated_start"
            raise ConfigError(f"{path}: clock.simulated_start: {text}")


def _check_references(path: Path, config: GatewayConfig) -> None:
    """Check what sections say of each other."""
    for name, quotes in config.quotes.items():
        unknown = sorted(set(quotes.symbols) - set(config.instruments))
        if unknown:
            text = f"{', '.join(unknown[:5])} is not in instruments; add it there"
            raise ConfigError(f"{path}: quotes.{name}.symbols: {text}")
        if isinstance(quotes, AlpacaQuotesSection) and quotes.of not in config.alpaca_links():
            known = ", ".join(sorted(config.alpaca_links())) or "none"
            text = f'no link {quotes.of!r} of kind "alpaca"; known: {known}'
            raise ConfigError(f"{path}: quotes.{name}.of: {text}")
    _check_ibkr(path, config)
    _check_cash_orders(path, config)
    for name in config.alpaca_links():
        using = [account for account, section in config.accounts.items() if section.link == name]
        if len(using) > 1:
            text = f"the keys open one account, and {', '.join(using)} use it; give each a link of its own"
            raise ConfigError(f"{path}: links.{name}: {text}")
    for symbol, others in config.substitutes.items():
        unknown = sorted({symbol, *others} - set(config.instruments))
        if unknown:
            text = f"{', '.join(unknown[:5])} is not in instruments; add it there, or take it out here"
            raise ConfigError(f"{path}: substitutes.{symbol}: {text}")
    for name, copy in config.drop_copies.items():
        if copy.of not in config.fix_links():
            known = ", ".join(sorted(config.fix_links())) or "none"
            raise ConfigError(f"{path}: drop_copies.{name}.of: no FIX link {copy.of!r}; known: {known}")


def _check_cash_orders(path: Path, config: GatewayConfig) -> None:
    """Check that who buys in money does so where a venue takes such orders."""
    for name, account in config.accounts.items():
        if account.execution.cash_orders and (text := _why_no_cash(config.links[account.link])):
            raise ConfigError(f"{path}: accounts.{name}.execution.cash_orders: link {account.link} {text}")


def _why_no_cash(link: AnyLink) -> str:
    """Say why a link takes no order of money, nothing when it does."""
    if isinstance(link, AlpacaSection):
        text = "trades in extended hours, where only limit orders do; set one of the two to false"
        return text if link.extended_hours else ""
    takes_cash = isinstance(link, LinkSection) and link.spoken().dialect.takes_cash
    return "" if takes_cash else "takes orders of a quantity only; set it to false"


def _check_rates(path: Path, config: GatewayConfig) -> None:
    """Check that what no account keeps the currency of has a rate; names of other accounts need none."""
    kept = sorted({account.currency for account in config.accounts.values()})
    for symbol, one in config.instruments.items():
        rates = [rate_symbol(one.currency, own) for own in kept]
        if kept and one.currency not in kept and not config.instruments.keys() & set(rates):
            text = f"no account keeps {one.currency}; add its rate {rates[0]} as an instrument, too"
            raise ConfigError(f"{path}: instruments.{symbol}.currency: {text}")


def _check_ibkr(path: Path, config: GatewayConfig) -> None:
    """Check what the sections of TWS say of accounts, instruments, each other and their client ids."""
    links = config.tws_links()
    seats: dict[tuple[str, int, int], str] = {}
    for name, link in links.items():
        _take_seat(path, seats, link, link.client_id, f"links.{name}.client_id")
        if link.spare_client_id == link.client_id:
            text = "it is client_id again; write another one, or 0 for none"
            raise ConfigError(f"{path}: links.{name}.spare_client_id: {text}")
        if link.spare_client_id:
            _take_seat(path, seats, link, link.spare_client_id, f"links.{name}.spare_client_id")
        _check_codes(path, name, link, config)
        for key, said, known in (
            ("accounts", link.accounts, config.accounts), ("contracts", link.contracts, config.instruments),
        ):  # fmt: skip
            if unknown := sorted(set(said) - set(known)):
                text = f"{unknown[0]} is not in {'instruments' if key == 'contracts' else key}; add it there"
                raise ConfigError(f"{path}: links.{name}.{key}: {text}")
    for name, quotes in config.quotes.items():
        if not isinstance(quotes, IbkrQuotesSection):
            continue
        if (link_of := links.get(quotes.of)) is None:
            known_links = ", ".join(sorted(links)) or "none"
            text = f'no link {quotes.of!r} of kind "ibkr"; known: {known_links}'
            raise ConfigError(f"{path}: quotes.{name}.of: {text}")
        _take_seat(path, seats, link_of, quotes.client_id, f"quotes.{name}.client_id")


def _take_seat(
    path: Path, seats: dict[tuple[str, int, int], str], link: IbkrSection, client_id: int, key: str
) -> None:
    """Give a client id of a TWS to one place of the configuration: a second one would be shown the door."""
    seat = ("127.0.0.1" if link.host == "localhost" else link.host, link.port, client_id)
    if seat in seats:
        text = f"{seats[seat]} is {client_id}, too, at the same TWS; each needs a client id of its own"
        raise ConfigError(f"{path}: {key}: {text}")
    seats[seat] = key


def _check_codes(path: Path, name: str, link: IbkrSection, config: GatewayConfig) -> None:
    """Check that no two accounts of a link are one at IBKR: it counts their positions as one."""
    ours: dict[str, str] = {}
    for account, section in config.accounts.items():
        if section.link != name:
            continue
        code = link.accounts.get(account, account)
        if code in ours:
            text = f"{ours[code]} and {account} are both {code}; trade it as one account"
            raise ConfigError(f"{path}: links.{name}.accounts: {text}")
        ours[code] = account


def _check_sessions(path: Path, config: GatewayConfig) -> None:
    """Check every FIX session: its host, and that no two share a name, for each has a folder of its own."""
    for key, session in config.sessions().items():
        is_here = session.host in ("127.0.0.1", "::1", "localhost")
        if session.tls is None and not session.plaintext and not is_here:
            text = (
                "another machine in plain text; write a [tls] section, or plaintext = true on a private line"
            )
            raise ConfigError(f"{path}: {key}.host: {session.host} is {text}")
    names: dict[str, str] = {}
    for key in config.sessions():
        name = key.partition(".")[2]
        if name in names:
            raise ConfigError(f"{path}: {key}: {names[name]} has the same name; rename one of them")
        names[name] = key
