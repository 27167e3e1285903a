"""What stands behind the configured connections: sections in, adapters out.

Rules of this room:
1. Concrete adapters are named here and nowhere else in `gateway/`.
2. What could not log on, or not send a single order, is refused before anything is started.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from adapters.base import Broker, InThisProcess, Remembered, Source
from adapters.fix.broker import FixBroker
from adapters.fix.dialects import Venue, session_terms
from adapters.fix.drop_copy import DropCopy
from adapters.fix.engine import ChildEngine, FixEngine
from adapters.fix.quotes import QuoteSession
from adapters.fix.settings import FixSession
from adapters.fix.tls import TlsSettings
from gateway.config import GatewayConfig
from gateway.connections import (
    AlpacaQuotesSection,
    AlpacaSection,
    FixSection,
    IbkrQuotesSection,
    IbkrSection,
    LinkSection,
    QuotesSection,
)
from gateway.errors import ConfigError
from gateway.runtime.clock import Clock

log = logging.getLogger(__name__)

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def make_broker(
    name: str, link: LinkSection, config: GatewayConfig, clock: Clock,
    make_engine: Callable[[FixSession], FixEngine] = ChildEngine,
) -> FixBroker:  # fmt: skip
    """Build the adapter of one link; what is not certified with its venue is said."""
    venue = link.spoken()
    if venue.uncertified:
        level = logging.INFO if link.environment == "simulator" else logging.WARNING
        names = ", ".join(venue.uncertified)
        log.log(
            level, "%s: not certified with %s, see `gateway venues`: %s", name, venue.dialect.title, names
        )
    if venue.unwritten:
        raise ConfigError(
            f"links.{name}.venue.{venue.unwritten[0]}: {venue.dialect.title} needs it; write it"
        )
    session = _session(f"links.{name}", link, venue, config)
    tls = _tls(link, config.folder)
    return FixBroker(session, clock.now, venue=venue, tls=tls, make_engine=make_engine)


def make_quotes(config: GatewayConfig, clock: Clock) -> dict[str, Source]:
    """Build every configured source of prices."""
    made: dict[str, Source] = {}
    for name, section in config.quotes.items():
        if isinstance(section, AlpacaQuotesSection):
            made[name] = _alpaca_quotes(name, section, config, clock)
        elif isinstance(section, IbkrQuotesSection):
            made[name] = _ibkr_quotes(name, section, config, clock)
        else:
            made[name] = _quote_session(name, section, config, clock)
    return made


def _quote_session(name: str, section: QuotesSection, config: GatewayConfig, clock: Clock) -> QuoteSession:
    """Build a FIX quote session; both sides begin at 1 at each logon."""
    venue = section.spoken()
    session = replace(
        _session(f"quotes.{name}", section, venue, config),
        reset_on_logon=True,
        reset_at="",
        maintenance_resets=False,
        notes_sent=False,
    )
    return QuoteSession(
        session, section.symbols or tuple(config.instruments), clock.now, venue,
        interval_s=section.interval_s, tls=_tls(section, config.folder),
    )  # fmt: skip


def make_drop_copies(config: GatewayConfig, clock: Clock) -> dict[str, DropCopy]:
    """Build every configured drop copy."""
    made = {}
    for name, section in config.drop_copies.items():
        venue = section.spoken()
        session = replace(_session(f"drop_copies.{name}", section, venue, config), notes_sent=False)
        tls = _tls(section, config.folder)
        made[name] = DropCopy(session, section.of, clock.now, venue, tls=tls)
    return made


def _session(key: str, section: FixSection, venue: Venue, config: GatewayConfig) -> FixSession:
    """Return what one session must know; `key` is its place in the configuration."""
    group, _, name = key.partition(".")
    has_login = venue.dialect.credentials != "never"
    if venue.dialect.credentials == "required" and not (
        section.username and section.password.get_secret_value()
    ):
        variable = f"GATEWAY_{group.upper()}__{name.upper()}__PASSWORD"
        text = f"{venue.dialect.title} needs both; write username, set {variable}"
        raise ConfigError(f"{key}: username and password: {text}")
    terms = session_terms(
        venue, reset_on_logon=section.reset_on_logon, heartbeat_s=section.heartbeat_s,
        orders_per_s=section.orders_per_s,
    )  # fmt: skip
    if terms["connects_per_minute"]:
        terms["connects_per_minute"] = max(1, terms["connects_per_minute"] // _sharing(section, config))
    return FixSession(
        name=name,
        sender_comp_id=section.sender_comp_id,
        target_comp_id=section.target_comp_id,
        host=section.host,
        port=section.port,
        username=section.username if has_login else "",
        password=section.password.get_secret_value() if has_login else "",
        store_folder=Path(config.state_folder) / "fix" / name,
        **terms,
    )


def _sharing(section: FixSection, config: GatewayConfig) -> int:
    """Count the sessions that connect to the same server: a limit of its connects is for all of them."""
    everybody = (*config.links.values(), *config.quotes.values(), *config.drop_copies.values())
    there = (section.host, section.port)
    sharing = (isinstance(one, FixSection) and (one.host, one.port) == there for one in everybody)
    return max(1, sum(sharing))


@cache
def in_this_process(_link: str) -> Remembered:
    """Give a link a memory that ends with the process, and is the same for all its adapters in it."""
    return InThisProcess()


def make_brokers(
    config: GatewayConfig, clock: Clock, remember: Callable[[str], Remembered] = in_this_process
) -> dict[str, Broker]:
    """Build the adapter of every configured link; `remember` gives a link what outlives the process."""
    made: dict[str, Broker] = {}
    for name, link in config.links.items():
        if isinstance(link, AlpacaSection):
            made[name] = _alpaca(name, link, config, clock)
        elif isinstance(link, IbkrSection):
            made[name] = _ibkr(name, link, config, clock, remember(name))
        else:
            made[name] = make_broker(name, link, config, clock)
    return made


def _alpaca(name: str, link: AlpacaSection, config: GatewayConfig, clock: Clock) -> Broker:
    """Build the adapter of an Alpaca account; its library is imported only here, for it is heavy."""
    settings = _imported("adapters.alpaca.settings", name)
    url, stream_url = settings.LIVE if link.environment == "live" else settings.PAPER
    if link.environment == "simulator" and not link.url:
        raise ConfigError(f"links.{name}.url: a simulator's address is needed; write url and stream_url")
    key, secret = _keys(name, link)
    account = next((one for one, section in config.accounts.items() if section.link == name), "")
    shared = link.model_dump(include={"requests_per_min", "extended_hours", "compare_positions"})
    shared |= link.model_dump(include={"mute_after_s", "poll_s", "activities_s"})
    wanted = settings.AlpacaSettings(
        name, account, key, secret, link.url or url, link.stream_url or stream_url,
        tuple(config.instruments), **shared,
    )  # fmt: skip
    broker: Broker = _imported("adapters.alpaca.broker", name).AlpacaBroker(wanted, clock.now)
    return broker


def _alpaca_quotes(name: str, section: AlpacaQuotesSection, config: GatewayConfig, clock: Clock) -> Source:
    """Build the source of Alpaca's latest quotes."""
    link = config.alpaca_links()[section.of]
    url = section.url or link.url or _imported("adapters.alpaca.settings", section.of).DATA
    made: Source = _imported("adapters.alpaca.quotes", section.of).AlpacaQuotes(
        name, *_keys(section.of, link), url, section.symbols or tuple(config.instruments), clock.now,
        feed=section.feed, interval_s=section.interval_s, requests_per_min=link.requests_per_min,
    )  # fmt: skip
    return made


def _ibkr(
    name: str, link: IbkrSection, config: GatewayConfig, clock: Clock, remembered: Remembered
) -> Broker:
    """Build the adapter of a TWS; its library is imported only here, for it is heavy."""
    broker = _imported("adapters.ibkr.broker", name, "ibkr").IbkrBroker
    settings = _ibkr_settings(name, link, config)
    made: Broker = broker(settings, clock.now, remembered, *_ibkr_shared(link, config))
    return made


def _ibkr_shared(link: IbkrSection, config: GatewayConfig) -> tuple[Any, Any]:
    """Return pace and ports of everybody in this process who speaks to one TWS: it counts them together."""
    limits = [
        one.messages_per_s
        for one in config.tws_links().values()
        if (one.host, one.port) == (link.host, link.port)
    ]
    return _shared(link.host, link.port, min(limits))


@cache
def _shared(host: str, port: int, per_s: int) -> tuple[Any, Any]:
    """Make pace and ports of one TWS, once."""
    name = f"{host}:{port}"
    pace = _imported("adapters.ibkr.pace", name, "ibkr").Pace(per_s)
    return pace, _imported("adapters.ibkr.ports", name, "ibkr").Ports(port)


def _ibkr_settings(name: str, link: IbkrSection, config: GatewayConfig) -> Any:
    """Return what a TWS connection must know: accounts by IBKR's codes, instruments by its contracts."""
    settings, pauses = _imported("adapters.ibkr.settings", name), _imported("adapters.ibkr.pauses", name)
    ours = [one for one, section in config.accounts.items() if section.link == name]
    codes = {one: link.accounts.get(one, one) for one in ours}
    everybody = {**link.accounts, **codes}
    shared = {
        one: tuple(other for other, their_code in everybody.items() if their_code == code and other != one)
        for one, code in codes.items()
    }
    restarts = tuple(
        pauses.Restart(
            one.at, one.zone, WEEKDAYS.index(one.weekday) if one.weekday else None, one.lead_s, one.lasts_s
        )
        for one in link.restarts
    )
    same = link.model_dump(exclude={"kind", "host", "port", "accounts", "contracts", "restarts"})
    return settings.IbkrSettings(
        name, link.host, link.port, codes, _ibkr_terms(settings, link, config), shared, restarts=restarts,
        **same,
    )  # fmt: skip


def _ibkr_terms(settings: Any, link: IbkrSection, config: GatewayConfig) -> dict[str, Any]:
    """Return the contract of each instrument."""
    terms = {}
    for symbol, instrument in config.instruments.items():
        said = link.contracts.get(symbol)
        words = said.model_dump(exclude_unset=True) if said is not None else {}
        words = {"symbol": symbol, "currency": instrument.currency} | {
            key: word for key, word in words.items() if word
        }
        terms[symbol] = settings.Terms(**words)
    return terms


def _ibkr_quotes(name: str, section: IbkrQuotesSection, config: GatewayConfig, clock: Clock) -> Source:
    """Build the source of TWS's snapshots."""
    link = config.tws_links()[section.of]
    settings = replace(_ibkr_settings(section.of, link, config), name=name, client_id=section.client_id)
    pace, ports = _ibkr_shared(link, config)
    made: Source = _imported("adapters.ibkr.quotes", section.of, "ibkr").IbkrQuotes(
        settings, section.symbols or tuple(config.instruments), clock.now,
        is_delayed=section.delayed, interval_s=section.interval_s, together=section.together,
        pace=pace, ports=ports,
    )  # fmt: skip
    return made


def _keys(name: str, link: AlpacaSection) -> tuple[str, str]:
    """Return a link's keys: its own, or those Alpaca's own programs use."""
    key = link.key.get_secret_value() or os.environ.get("APCA_API_KEY_ID", "")
    secret = link.secret.get_secret_value() or os.environ.get("APCA_API_SECRET_KEY", "")
    if not (key and secret):
        variable = f"GATEWAY_LINKS__{name.upper()}"
        text = f"Alpaca needs both keys; set {variable}__KEY and {variable}__SECRET"
        raise ConfigError(f"links.{name}: {text}, or APCA_API_KEY_ID and APCA_API_SECRET_KEY")
    return key, secret


def _imported(module: str, name: str, extra: str = "alpaca") -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as problem:
        text = f"{problem.name} is not installed; pip install 'rebalance-gateway[{extra}]'"
        raise ConfigError(f"links.{name}: {text}") from None


def _tls(link: FixSection, folder: Path) -> TlsSettings | None:
    """Return the session's TLS settings with their files found, None when it speaks plainly."""
    if (section := link.tls) is None:
        return None
    files = {key: getattr(section, key) for key in ("ca_file", "client_cert", "client_key")}
    return TlsSettings(
        server_name=section.server_name or None,
        pinned_sha256=section.pinned_sha256,
        minimum_version=section.minimum_version,
        **{key: folder / name if name else None for key, name in files.items()},
    )
