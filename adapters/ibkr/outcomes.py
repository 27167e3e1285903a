"""What follows from what TWS said: the ledger's answers, for the broker to carry out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from gateway.domain.order import Report


@dataclass(frozen=True, slots=True)
class Told:
    """A report for the gateway."""

    report: Report


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """A cancel was not carried out."""

    cancel_id: str
    ref: str
    text: str


class About(Enum):
    """What a question is about, so that it need not be asked once that has come by itself."""

    ALL = auto()
    """How the order stands at all."""
    COUNT = auto()
    """Executions TWS counts and has not told."""
    FEE = auto()
    """A commission that has not come."""
    END = auto()
    """An end that openOrder shows, without saying how much had filled."""


@dataclass(frozen=True, slots=True)
class Ask:
    """How an order stands must be asked: open orders, completed orders, executions."""

    ref: str
    why: str
    about: About = About.ALL


@dataclass(frozen=True, slots=True)
class Notice:
    """A person must know; with `halts` the account stops."""

    severity: str
    text: str
    account: str = ""
    halts: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A contract is left alone for a while."""

    symbol: str
    text: str


@dataclass(frozen=True, slots=True)
class SendWhole:
    """The venue took no fraction: whole shares of the order may go."""

    ref: str
    text: str


@dataclass(frozen=True, slots=True)
class IdUsed:
    """The order id was used before: the order was not accepted."""

    ref: str
    text: str


@dataclass(frozen=True, slots=True)
class Owed:
    """An execution was told without its commission, or (not `is_owed`) its commission after it."""

    exec_id: str
    is_owed: bool


Outcome = Told | CancelRefused | Ask | Notice | Bar | SendWhole | IdUsed | Owed
