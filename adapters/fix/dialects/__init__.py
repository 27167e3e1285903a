"""Differences between venues: one table a venue, chosen by the name in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from adapters.fix.dialects import dukascopy, ibkr, plain, saxo, sessions
from adapters.fix.dialects.base import Dialect, DialectError, Key, Unsendable, Venue, settle

DIALECTS: dict[str, Dialect] = {
    one.name: one for one in (plain.DIALECT, saxo.DIALECT, dukascopy.DIALECT, ibkr.DIALECT)
}
PLAIN = Venue(plain.DIALECT)


class Terms(TypedDict):
    """What the venue decides of a session; the names are those of `FixSession`."""

    begin_string: str
    heartbeat_s: int
    reset_on_logon: bool
    reset_at: str
    reset_zone: str
    connects_per_minute: int
    orders_per_s: float
    groups: tuple[tuple[int, ...], ...]
    received_groups: Mapping[str, tuple[int, ...]]
    notes_sent: bool


__all__ = [
    "DIALECTS",
    "PLAIN",
    "Dialect",
    "DialectError",
    "Key",
    "Unsendable",
    "Venue",
    "session_terms",
    "speak",
]


def speak(name: str, given: Mapping[str, Any], begin_string: str = "") -> Venue:
    """Return the named dialect with its keys settled; raises `DialectError`.

    `begin_string` is BeginString(8) as the link has it, empty for the dialect's own.
    """
    dialect = DIALECTS.get(name)
    if dialect is None:
        raise DialectError(f"no dialect {name!r}; known: {', '.join(DIALECTS)}")
    venue = settle(dialect, given)
    if begin_string and begin_string not in dialect.begin_strings:
        raise DialectError(f"begin_string: {name} speaks {', '.join(dialect.begin_strings)}")
    if begin_string:
        venue = replace(venue, settings={**venue.settings, "begin_string": begin_string})
    for moment, zone in (("week_starts", "week_zone"), ("reset_at", "reset_zone")):
        if venue.text(moment):
            try:
                sessions.check_moment(venue.text(moment), venue.text(zone))
            except ValueError as problem:
                raise DialectError(f"{moment}: {problem}") from None
    return venue


def session_terms(venue: Venue, *, reset_on_logon: bool, heartbeat_s: int, orders_per_s: float) -> Terms:
    """Return what the venue makes of a link's session settings."""
    dialect = venue.dialect
    each_logon = dialect.reset == "logon" and venue.is_on("reset_each_logon", otherwise=True)
    may_reset = venue.is_on("reset_allowed", otherwise=True)
    limits = [one for one in (orders_per_s, dialect.orders_per_s, float(venue.number("orders_per_s"))) if one]
    return Terms(
        begin_string=venue.begin_string,
        heartbeat_s=int(venue.number("heartbeat_s")) or dialect.heartbeat_s or heartbeat_s,
        reset_on_logon=each_logon or (reset_on_logon and may_reset and dialect.reset != "week"),
        reset_at=venue.text("week_starts") or venue.text("reset_at"),
        reset_zone=venue.text("week_zone") or venue.text("reset_zone") or "UTC",
        connects_per_minute=dialect.connects_per_minute,
        orders_per_s=min(limits, default=0.0),
        groups=dialect.groups,
        received_groups=dialect.received_groups,
        notes_sent=not venue.look_up,
    )
