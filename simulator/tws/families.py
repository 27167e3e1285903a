"""Orders that belong together: parents and children, and groups of which one cancels the others.

Rules of this room:
1. A child waits for its parent to fill; it ends with a parent that did nothing and is no larger than what
   the parent did. Children of one parent cancel one another, as a group does.
2. Sending the last of a family (`transmit`) sends all of it.
3. In a group of type 1 any fill cancels the others; in types 2 and 3 a fill leaves as much less of each.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from simulator.orders import ZERO
from simulator.tws.tickets import CHILD, INACTIVE, NOT_SENT, Ticket

CANCEL_ALL = 1
Cancel = Callable[[Ticket, datetime], None]
Shrink = Callable[[Ticket, Decimal, datetime], None]
Hold = Callable[[Ticket, str], None]


class Families:
    """Know who belongs to whom, and what follows for them."""

    def __init__(self, cancel: Cancel, send: Cancel, shrink: Shrink, hold: Hold) -> None:
        self._cancel, self._send, self._shrink, self._hold = cancel, send, shrink, hold
        self._groups: dict[tuple[str, str], list[Ticket]] = {}

    def join(self, ticket: Ticket) -> None:
        """Note a new order's family."""
        if ticket.parent is not None:
            ticket.parent.children.append(ticket)
        if ticket.placed.oca_group:
            self._groups.setdefault((ticket.placed.account, ticket.placed.oca_group), []).append(ticket)

    def transmit(self, ticket: Ticket, now: datetime) -> None:
        """Send what waited for this order to be sent: the parent first, then its children as they came."""
        top = ticket.parent or ticket
        for one in (top, *top.children):
            if one.held == NOT_SENT and one.is_live:
                if one is not top and top.is_live:
                    self._hold(one, CHILD)
                else:
                    self._send(one, now)

    def follow(self, ticket: Ticket, filled: Decimal, now: datetime) -> None:
        """Do what follows from a fill or an end of one order for its family."""
        if not ticket.is_live:
            self._follow_parent(ticket, now)
        others = [one for one in self._kin(ticket) if one is not ticket and one.is_live]
        if not filled and (ticket.is_live or ticket.status == INACTIVE):
            return
        for one in others:
            ends = (
                ticket.placed.oca_type == CANCEL_ALL or not ticket.is_live or filled >= one.order.leaves_qty
            )
            if ends:
                self._cancel(one, now)
            else:
                self._shrink(one, filled, now)

    def _follow_parent(self, parent: Ticket, now: datetime) -> None:
        for child in [one for one in parent.children if one.is_live and one.held in (CHILD, NOT_SENT)]:
            if parent.order.cum_qty == ZERO:
                self._cancel(child, now)
            elif child.held == CHILD:
                child.order.order_qty = min(child.order.order_qty, parent.order.cum_qty)
                self._send(child, now)

    def _kin(self, ticket: Ticket) -> list[Ticket]:
        kin = list(self._groups.get((ticket.placed.account, ticket.placed.oca_group), ()))
        if ticket.parent is not None:
            kin += [one for one in ticket.parent.children if one not in kin]
        return kin
