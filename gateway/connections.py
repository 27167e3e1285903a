"""The sections of connections: what stands behind a link, a source of prices or a drop copy.

Rules of this room: those of `sections.py`.
"""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Discriminator, Field, SecretStr, Tag, model_validator

from adapters.fix.dialects import Venue, speak
from gateway.domain.settings import DropCopySettings
from gateway.valuation import Section

Name = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")


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


WIRED = r"^[\x20-\x7e]*$"
"""What TWS's wire takes: a NUL would end a field."""
Wired = Field(default="", max_length=64, pattern=WIRED)


class RestartSection(Section):
    """A planned restart of TWS: `at` is its minute on the wall clock of `zone`; without a weekday daily."""

    at: time
    zone: str = "America/New_York"
    weekday: Literal["", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = ""
    lead_s: float = Field(default=30, ge=0, le=600)
    lasts_s: float = Field(default=120, ge=0, le=14_400)

    @model_validator(mode="after")
    def _is_a_pause(self) -> RestartSection:
        if self.at.tzinfo is not None:
            raise ValueError("at is a time on the clock of zone; write it without an offset")
        if not (self.lead_s or self.lasts_s):
            raise ValueError("lead_s and lasts_s are both 0, so nothing would pause; write one of them")
        return self

    @model_validator(mode="after")
    def _knows_its_zone(self) -> RestartSection:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("zone is no time zone; write one like America/New_York") from None
        return self


class ContractSection(Section):
    """Which contract of IBKR an instrument is; every key left out follows from the instrument."""

    symbol: str = Wired
    currency: str = Wired
    exchange: str = Field(default="SMART", min_length=1, max_length=64, pattern=WIRED)
    primary_exchange: str = Wired
    sec_type: str = Field(default="STK", min_length=1, max_length=64, pattern=WIRED)
    con_id: int = Field(default=0, ge=0, le=2**31 - 1)


class IbkrSection(Section):
    """One TWS or IB Gateway; see `adapters.ibkr.settings`. It needs no password: TWS is logged in itself.

    `accounts` gives IBKR's code for each of our accounts that trades here (the name itself is the code when
    left out), and may name accounts of other links that have the same code: their positions count together.
    """

    kind: Literal["ibkr"]
    environment: Literal["simulator", "paper", "live"] = "paper"
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=7497, ge=1, le=65535)
    client_id: int = Field(default=11, ge=1, le=2**31 - 1)
    spare_client_id: int = Field(default=0, ge=0, le=2**31 - 1)
    accounts: dict[str, Annotated[str, Field(min_length=1, max_length=64, pattern=WIRED)]] = Field(
        default_factory=dict
    )
    contracts: dict[str, ContractSection] = Field(default_factory=dict)
    restarts: tuple[RestartSection, ...] = ()
    messages_per_s: int = Field(default=50, ge=2, le=100_000)
    working_orders: int = Field(default=20, ge=1, le=1_000)
    outside_rth: bool = False
    fractional: bool = False
    what_if: bool = False
    what_if_timeout_s: float = Field(default=3.0, gt=0, le=60)
    connect_timeout_s: float = Field(default=10.0, ge=1, le=120)
    answer_timeout_s: float = Field(default=10.0, ge=1, le=120)
    heartbeat_s: float = Field(default=10.0, ge=1, le=600)
    commission_wait_s: float = Field(default=3.0, ge=0, le=60)
    mute_after_s: float = Field(default=5.0, gt=0, le=60)
    compare_positions: bool = True
    positions_s: float = Field(default=60.0, ge=1, le=3600)


class IbkrQuotesSection(Section):
    """Snapshots of prices from the TWS of the link `of`, over a client id of their own.

    Prices must be real-time unless `delayed`; `symbols` are all instruments when empty.
    """

    kind: Literal["ibkr"]
    of: str = Name
    client_id: int = Field(default=12, ge=1, le=2**31 - 1)
    delayed: bool = False
    symbols: tuple[str, ...] = ()
    interval_s: float = Field(default=10.0, gt=0, le=3600)
    together: int = Field(default=40, ge=1, le=100)


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
    Annotated[LinkSection, Tag("fix")]
    | Annotated[AlpacaSection, Tag("alpaca")]
    | Annotated[IbkrSection, Tag("ibkr")],
    Discriminator(_kind),
]
AnyQuotes = Annotated[
    Annotated[QuotesSection, Tag("fix")]
    | Annotated[AlpacaQuotesSection, Tag("alpaca")]
    | Annotated[IbkrQuotesSection, Tag("ibkr")],
    Discriminator(_kind),
]
