"""What a person must hear of an order: what somebody changed in TWS, and what TWS says against itself. Pure.

Rules of this room:
1. The gateway never changes an order. What openOrder shows otherwise than it was sent, somebody else did: the
   order goes on as it stands there, the gateway is told of the quantity, and a person of both.
2. A change in an outage may leave two orders under one reference: the account stops. One of them that has
   ended without a share is no second order any more, and stops nothing again.
"""

from __future__ import annotations

from adapters.ibkr.known import Known
from adapters.ibkr.outcomes import Notice, Outcome
from adapters.ibkr.said import CompletedSaid, OpenSaid
from gateway.domain.order import Side

BY_HAND = "somebody changed it in TWS"


def changed(found: Known, message: OpenSaid) -> list[Outcome]:
    """Take quantity and limit as TWS shows them; say what differs from before."""
    name, notices = f"{found.symbol} {found.ref}", list[Outcome]()
    if message.qty and message.qty != found.qty:
        if found.qty and not found.is_stranger:
            notices += [Notice("warning", f"{name}: quantity {found.qty} is {message.qty} now: {BY_HAND}")]
        found.qty = message.qty
    if message.limit is not None and message.limit != found.limit:
        if found.limit is not None:
            notices += [Notice("warning", f"{name}: limit {found.limit} is {message.limit} now: {BY_HAND}")]
            found.told_limit = message.limit
        found.limit = message.limit
    return notices


def worsened(found: Known) -> list[Outcome]:
    """Say that an order has a worse limit than the gateway gave it: somebody changed it while we were away.

    A limit that left on its tick is never worse than the one it was made of.
    """
    wanted, limit = found.wanted, found.limit
    if wanted is None or limit is None or limit == found.told_limit:
        return []
    if limit <= wanted if found.side is Side.BUY else limit >= wanted:
        return []
    found.told_limit = limit
    return [Notice("warning", f"{found.symbol} {found.ref}: limit {wanted} is {limit} now: {BY_HAND}")]


def doubled(first: Known, perm_id: int) -> Notice:
    """Word that one reference stands for two orders at the broker."""
    text = (
        f"{first.symbol} {first.ref}: two orders at the broker under one reference, permId "
        f"{first.perm_id} and {perm_id}; cancel {perm_id} in TWS, compare positions, then resume"
    )
    return Notice("critical", text, first.account, halts=True)


def came_back(found: Known) -> Notice:
    """Word that TWS shows an order as working which it had called cancelled."""
    text = (
        f"{found.symbol} {found.ref}: TWS said that it was cancelled and shows it as working; cancel permId "
        f"{found.perm_id} in TWS, compare positions, then resume"
    )
    return Notice("critical", text, found.account, halts=True)


def is_spent(known: Known | None, message: CompletedSaid) -> bool:
    """Say whether a completed order is the second one of a reference, over without a share."""
    return known is not None and known.perm_id not in (0, message.perm_id) and not message.filled
