"""The terms of a FIX session: how one is set up, where it can stand, and what is worth telling about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from simulator.fix.dialects import PLAIN, Dialect
from simulator.fix.hours import Hours

if TYPE_CHECKING:
    from simulator.fix.message import SessionId


CREDENTIALS = frozenset({553, 554})


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Set up one session; times are seconds, `heartbeat_s` None takes the peer's HeartBtInt(108).

    `dialect` says what the venue demands of a Logon(A), `hours` when it takes one.
    """

    session_id: SessionId
    initiator: bool = False
    heartbeat_s: int | None = None
    reset_on_logon: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    time_tolerance_s: float = 120.0
    logon_timeout_s: float = 10.0
    logout_timeout_s: float = 2.0
    hang_up_timeout_s: float = 0.5
    max_queued: int = 1000
    dialect: Dialect = PLAIN
    hours: Hours = field(default_factory=Hours)

    def also_tags(self) -> dict[str, frozenset[int]]:
        """Return the tags a message type may carry beyond its layout: the dialect's and the login's."""
        has_login = self.username is not None or self.password is not None or self.dialect.needs_login
        return {**self.dialect.also_tags, **({"A": CREDENTIALS} if has_login else {})}


class State(StrEnum):
    """Where the session stands."""

    DISCONNECTED = "disconnected"
    LOGON_AWAITED = "logon awaited"
    LOGON_SENT = "logon sent"
    LOGGED_ON = "logged on"
    LOGOUT_SENT = "logout sent"
    LOGOUT_ANSWERED = "logout answered"


class Happening(StrEnum):
    """What the application may want to know about its session."""

    RESTARTED = "restarted"
    LOGGED_ON = "logged on"
