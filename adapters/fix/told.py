"""What a venue tells besides orders: kept, logged, and put before a person where it matters.

Rules of this room:
1. Nothing here moves an order or the book. What is kept is bounded and only helps: a new process begins
   with nothing and hears it again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from decimal import Decimal

from adapters.fix import decoder
from adapters.fix.dialects import Venue
from adapters.fix.dialects.base import account_of, our_account
from adapters.fix.dialects.notices import (
    AccountInfo,
    ActivationInfo,
    AllocationInfo,
    Notice,
    Notification,
    OvernightInfo,
    PositionInfo,
    read_activation,
    read_notice,
)
from gateway.domain.order import OrderSpec, OrdType, Report

log = logging.getLogger(__name__)

REMEMBERED = 50_000


class Told:
    """Keep what the venue of link `name` tells; `stated` is its latest view of accounts and positions."""

    def __init__(self, name: str, venue: Venue) -> None:
        self._name = name
        self._venue = venue
        self.stated: dict[tuple[str, str], AccountInfo | PositionInfo] = {}
        self._filled: OrderedDict[str, Decimal] = OrderedDict()

    def take(self, raw: str) -> Notice | None:
        """Read, log and keep a message that is about no order; None when it tells nothing."""
        notice = read_activation(raw, self._venue) or read_notice(decoder.split(raw), self._venue)
        match notice:
            case Notification():
                log.info("%s: the venue says: %s", self._name, notice.text)
            case ActivationInfo():
                users = ", ".join(f"{who} ({account})" for who, account in notice.users)
                log.info("%s: activated: %s", self._name, users or "nobody")
            case AllocationInfo():
                log.info("%s: allocation %s: status %s", self._name, notice.alloc_id, notice.status)
            case OvernightInfo():
                log.info("%s: carried overnight: %s %s", self._name, notice.qty, notice.symbol)
            case AccountInfo() | PositionInfo():
                key = (notice.account, notice.symbol if isinstance(notice, PositionInfo) else "")
                if key in self.stated or len(self.stated) < REMEMBERED:
                    self.stated[key] = notice
        return notice

    def note_filled(self, report: Report) -> None:
        """Remember how much of an order has filled, where allocations are told against it."""
        if self._venue.text("block_account"):
            self._filled[report.cl_ord_id] = report.cum_qty
            self._filled.move_to_end(report.cl_ord_id)
            if len(self._filled) > REMEMBERED:
                self._filled.popitem(last=False)

    def warning(self, notice: Notice) -> tuple[str, str] | None:
        """Return what a person must hear at once, and of which account of ours."""
        match notice:
            case Notification() if notice.priority >= self._venue.number("notice_priority"):
                return f"the venue says: {notice.text}", our_account(notice.account, self._venue)
            case ActivationInfo():
                return self._not_activated(notice)
            case AllocationInfo():
                return self._wrong_allocation(notice)
        return None

    def closes(self, spec: OrderSpec) -> bool:
        """Say whether an order trades away exactly the position that the venue has stated last."""
        if spec.ord_type is not OrdType.MARKET or not self._venue.is_on("close_exposure"):
            return False
        stated = self.stated.get((account_of(spec, self._venue), spec.symbol))
        return isinstance(stated, PositionInfo) and stated.qty == -spec.side.sign * spec.order_qty

    def _not_activated(self, notice: ActivationInfo) -> tuple[str, str] | None:
        """Miss the account that was asked about."""
        asked = self._venue.text("activation")
        if asked in ("", "all", *(account for _, account in notice.users)):
            return None
        return f"no user is activated for account {asked}", our_account(asked, self._venue)

    def _wrong_allocation(self, notice: AllocationInfo) -> tuple[str, str] | None:
        """Say what is wrong with an allocation: it was refused, or gives more than has filled."""
        if notice.is_refused:
            reason = notice.text or "no reason was given"
            return f"the allocation of {notice.alloc_id} was refused: {reason}", notice.account
        filled = self._filled.get(notice.alloc_id)
        if filled is None or notice.cum_qty is None or notice.cum_qty <= filled:
            return None
        stated = f"AllocCumQty(12109) {notice.cum_qty} of {notice.alloc_id}"
        return f"{stated} is more than the {filled} that have filled", notice.account
