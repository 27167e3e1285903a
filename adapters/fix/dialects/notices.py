"""What a venue tells besides orders: notifications, its view of the account and of positions. Pure.

Rules of this room:
1. None of these messages moves an order or the book; they are for people and for reconciliation.
2. One that cannot be read is None with a reason in the log of whoever asked, never an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.fix.dialects.base import Fields, Venue
from adapters.fix.dialects.wire import Unreadable, number


@dataclass(frozen=True, slots=True)
class Notification:
    """Notification(U1): `priority` is NotifPriority(7003), 0 info to 3 alert."""

    account: str
    priority: int
    text: str


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """AccountInfo(U2): UsableMargin(7006) and Equity(7007) in `currency`."""

    account: str
    currency: str
    usable_margin: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True)
class PositionInfo:
    """InstrumentPositionInfo(U3): `qty` is Amount(7008), signed, in units of the instrument."""

    account: str
    symbol: str
    qty: Decimal
    px: Decimal


@dataclass(frozen=True, slots=True)
class OvernightInfo:
    """OvernightReport(U4): `qty` is Amount(7008) carried overnight, signed, in units of the instrument."""

    account: str
    symbol: str
    qty: Decimal


Notice = Notification | AccountInfo | PositionInfo | OvernightInfo


def read_notice(fields: Fields, venue: Venue) -> Notice | None:
    """Read U1, U2, U3 or U4 where the dialect has them; None for any other message and what is unreadable."""
    msg_type = fields.get("35", "")
    if not msg_type.startswith("U") or msg_type not in venue.dialect.reads:
        return None
    account = fields.get("1" if msg_type == "U4" else "7004", "")
    try:
        if msg_type == "U1":
            return Notification(account, int(fields.get("7003", "")), fields.get("58", ""))
        if msg_type == "U2":
            margin, equity = _amount(fields, "7006"), _amount(fields, "7007")
            return AccountInfo(account, fields.get("15", ""), margin, equity)
        qty = _amount(fields, "7008") * (venue.number("quantity_scale") or Decimal(1))
        if msg_type == "U4":
            return OvernightInfo(account, venue.dialect.symbol_of(fields, venue), qty)
        px = _amount(fields, "44")
        return PositionInfo(account, venue.dialect.symbol_of(fields, venue), qty, px)
    except (ValueError, Unreadable):
        return None


def _amount(fields: Fields, tag: str) -> Decimal:
    found = number(fields, tag)
    if found is None:
        raise Unreadable(f"tag {tag} is missing")
    return found
