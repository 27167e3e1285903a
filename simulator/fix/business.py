"""BusinessMessageReject(j): how an application refuses a message that the session accepted.

An unsupported type is refused without BusinessRejectRefID(379): who does not know a message does not know
which of its fields is its business ID.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulator.fix.message import Message, message, reversed_route

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER_FIELD = re.compile(r"\x01(115|116|144|128|129|145)=([^\x01]*)")
UNSUPPORTED_MESSAGE_TYPE = 3
CONDITIONALLY_REQUIRED_FIELD_MISSING = 5
NOT_AUTHORIZED = 6
TEXTS: Mapping[int, str] = {
    0: "Other",
    1: "Unknown ID",
    2: "Unknown Security",
    UNSUPPORTED_MESSAGE_TYPE: "Unsupported Message Type",
    4: "Application not available",
    CONDITIONALLY_REQUIRED_FIELD_MISSING: "Conditionally Required Field Missing",
    NOT_AUTHORIZED: "Not authorized",
    7: "DeliverTo firm not available at this time",
}
_SYMBOL, _ORD_TYPE, _PRICE, _STOP_PX = 55, 40, 44, 99
_PRICED = frozenset({"2", "4"})
_STOPPED = frozenset({"3", "4"})
_ORDERS = frozenset({"D", "G"})


def reject(refused: Message, reason: int, text: str | None = None) -> Message:
    """Build the BusinessMessageReject(j) of `refused` with BusinessRejectReason(380) `reason`."""
    header = dict(_HEADER_FIELD.findall(refused.raw.decode("latin-1")))
    pairs: list[tuple[int, object]] = [*reversed_route(lambda tag: header.get(str(tag)))]
    pairs += [(45, refused.seq_num), (58, text or TEXTS[reason]), (372, refused.msg_type), (380, reason)]
    return message("j", pairs)


def unsupported(refused: Message) -> Message | None:
    """Refuse a message type the application does not know; a refusal itself is never refused."""
    return None if refused.msg_type == "j" else reject(refused, UNSUPPORTED_MESSAGE_TYPE)


def missing_field(order: Message) -> int | None:
    """Name the tag an order's other fields require: Symbol(55), Price(44) of limits, StopPx(99) of stops."""
    if order.msg_type not in _ORDERS:
        return None
    if order.get(_SYMBOL) is None:
        return _SYMBOL
    ord_type = order.get(_ORD_TYPE)
    if ord_type in _PRICED and order.get(_PRICE) is None:
        return _PRICE
    if ord_type in _STOPPED and order.get(_STOP_PX) is None:
        return _STOP_PX
    return None
