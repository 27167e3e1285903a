"""What a venue tells besides orders: notifications, its view of accounts, positions and users. Pure.

Rules of this room:
1. None of these messages moves an order or the book; they are for people and for reconciliation.
2. One that cannot be read is None with a reason in the log of whoever asked, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from adapters.fix.dialects.base import Fields, Venue, our_account
from adapters.fix.dialects.wire import Unreadable, number

SOH = "\x01"
ACTIVATION = "U6"
ALLOC_CUM_QTY = "12109"
"""AllocCumQty: what of a block order's executions has been allocated to the account so far."""


@dataclass(frozen=True, slots=True)
class Notification:
    """Notification(U1): `priority` is NotifPriority(7003), 0 info to 3 alert."""

    account: str
    priority: int
    text: str


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """AccountInfo(U2): Leverage(7005); UsableMargin(7006) and Equity(7007) in `currency`."""

    account: str
    currency: str
    leverage: Decimal
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


@dataclass(frozen=True, slots=True)
class ActivationInfo:
    """ActivationResponse(U6): Username(553) and Account(1) of each user that is activated."""

    users: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AllocationInfo:
    """AllocationInstructionAck(P) or AllocationReport(AS) of a block order.

    `alloc_id` is AllocID(70), the order's own ClOrdID(11); `cum_qty` is AllocCumQty(12109), None in a P.
    """

    alloc_id: str
    status: str
    account: str
    cum_qty: Decimal | None
    text: str

    @property
    def is_refused(self) -> bool:
        """Say whether AllocStatus(87) is a rejection: of the block, of the account, by an intermediary."""
        return self.status in ("1", "2", "5")


Notice = Notification | AccountInfo | PositionInfo | OvernightInfo | ActivationInfo | AllocationInfo


def read_notice(fields: Fields, venue: Venue) -> Notice | None:
    """Read U1 to U4, P or AS where the dialect has them; None for other messages and what is unreadable."""
    msg_type = fields.get("35", "")
    reader = _READERS.get(msg_type)
    if reader is None or msg_type not in venue.dialect.reads:
        return None
    try:
        return reader(fields, venue)
    except (ValueError, Unreadable):
        return None


def read_activation(raw: str, venue: Venue) -> ActivationInfo | None:
    """Read the entries of a U6, where the dialect has it; None for any other message."""
    pairs = [part.partition("=")[::2] for part in raw.split(SOH)]
    if ACTIVATION not in venue.dialect.reads or ("35", ACTIVATION) not in pairs:
        return None
    users: list[tuple[str, str]] = []
    for tag, value in pairs:
        if tag == "553":
            users.append((value, ""))
        elif tag == "1" and users:
            users[-1] = (users[-1][0], value)
    return ActivationInfo(tuple(users))


def _notification(fields: Fields, _venue: Venue) -> Notification:
    return Notification(fields.get("7004", ""), int(fields.get("7003", "")), fields.get("58", ""))


def _account(fields: Fields, _venue: Venue) -> AccountInfo:
    leverage, margin, equity = (_amount(fields, tag) for tag in ("7005", "7006", "7007"))
    return AccountInfo(fields.get("7004", ""), fields.get("15", ""), leverage, margin, equity)


def _position(fields: Fields, venue: Venue) -> PositionInfo:
    symbol, px = venue.dialect.symbol_of(fields, venue), _amount(fields, "44")
    return PositionInfo(fields.get("7004", ""), symbol, _held(fields, venue), px)


def _overnight(fields: Fields, venue: Venue) -> OvernightInfo:
    symbol = venue.dialect.symbol_of(fields, venue)
    return OvernightInfo(fields.get("1", ""), symbol, _held(fields, venue))


def _acknowledged(fields: Fields, _venue: Venue) -> AllocationInfo:
    return AllocationInfo(fields.get("70", ""), fields.get("87", ""), "", None, fields.get("58", ""))


def _allocated(fields: Fields, venue: Venue) -> AllocationInfo:
    """Read the one entry that a block order of ours has."""
    account = our_account(fields.get("79", ""), venue)
    cum_qty = _amount(fields, ALLOC_CUM_QTY)
    return AllocationInfo(fields.get("70", ""), fields.get("87", ""), account, cum_qty, "")


_READERS: dict[str, Callable[[Fields, Venue], Notice]] = {
    "U1": _notification, "U2": _account, "U3": _position, "U4": _overnight,
    "P": _acknowledged, "AS": _allocated,
}  # fmt: skip


def _held(fields: Fields, venue: Venue) -> Decimal:
    return _amount(fields, "7008") * (venue.number("quantity_scale") or Decimal(1))


def _amount(fields: Fields, tag: str) -> Decimal:
    found = number(fields, tag)
    if found is None:
        raise Unreadable(f"tag {tag} is missing")
    return found
