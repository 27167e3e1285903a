"""Orders, changes and cancels as a client sends them, and what goes wrong with them on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.tws import shown
from simulator.tws.door import PLAIN
from simulator.tws.entry import Refusal
from simulator.tws.happenings import Failed
from simulator.tws.house import Whim, cannot_cancel
from simulator.tws.mishaps import Mishap, Planned
from simulator.tws.placing import read_placed
from simulator.tws.tickets import FILLED, Ticket

if TYPE_CHECKING:
    from simulator.tws.desk import Desk
    from simulator.tws.session import Session


def place_or_ask(desk: Desk, session: Session, fields: Sequence[str]) -> None:
    """placeOrder(3); raises `Unreadable`."""
    client, now, door = session.client_id or 0, desk.now(), desk.door
    placed = read_placed(fields, session.version)
    if placed.what_if:
        answer = door.what_if(client, fields, session.version, now)
        if answer is not None:
            ticket, margin = answer
            if desk.mishaps.strikes(Mishap.WHAT_IF_LOST, client):
                return
            if desk.mishaps.strikes(Mishap.WHAT_IF_UNSET, client):
                session.send(shown.open_order(session.version, ticket, ticket.shown()))
            session.send(shown.open_order(session.version, ticket, ticket.shown(), margin))
        return
    known = door.house.find(client, placed.order_id)
    is_change = known is not None and known.is_live
    door.place(client, fields, session.version, now, _whim(desk, client, is_change=is_change))
    if not is_change:
        _inform(desk, client, door.house.find(client, placed.order_id))


def withdraw(desk: Desk, session: Session, order_id: int) -> None:
    """cancelOrder(4)."""
    client, door = session.client_id or 0, desk.door
    ticket = door.house.find(client, order_id)
    is_working = ticket is not None and ticket.is_live and not ticket.held
    refusal = None
    if ticket is not None and is_working:
        if late := desk.mishaps.strike(Mishap.CANCEL_TOO_LATE, client):
            _fill_first(desk, session, ticket, late)
            return
        refused = desk.mishaps.strike(Mishap.REJECT_CANCEL, client)
        refusal = None if refused is None else Refusal(refused.code, refused.text)
    left = ticket.order.leaves_qty if ticket is not None else None
    door.cancel(client, order_id, desk.now(), refusal)
    if ticket is not None and is_working and not ticket.is_live:
        after = desk.mishaps.strike(Mishap.FILL_AFTER_CANCEL, client)
        if after is not None:
            px = ticket.placed.lmt_price or door.venue.market.price(ticket.contract.listed, desk.now())
            late_fill = {"cl_ord_id": str(ticket.perm_id), "qty": str(left), "price": str(px)}
            desk.later(after.seconds, lambda: desk.operate("fill_late", late_fill))


def _whim(desk: Desk, client: int, *, is_change: bool) -> Whim:
    """Say what befalls an order or a change."""
    refused = desk.mishaps.strike(Mishap.REJECT_CHANGE if is_change else Mishap.REJECT_ORDER, client)
    if refused is not None:
        return Whim(Refusal(refused.code, refused.text))
    if is_change:
        return Whim(is_doubled=desk.mishaps.strikes(Mishap.CHANGE_DOUBLES, client))
    return Whim(is_held=True) if desk.is_lost else PLAIN


def _inform(desk: Desk, client: int, ticket: Ticket | None) -> None:
    if ticket is None or not ticket.is_live:
        return
    said = desk.mishaps.strike(Mishap.INFORM, client)
    if said is not None:
        desk.say([Failed(client, ticket.order_id, said.code, said.text)])


def _fill_first(desk: Desk, session: Session, ticket: Ticket, late: Planned) -> None:
    """Fill an order its client wants cancelled: refuse the cancel at once, tell of the fill later."""
    left = ticket.order.leaves_qty
    with desk.withheld() as said:
        desk.operate("fill", {"cl_ord_id": str(ticket.perm_id), "qty": str(left)})
    session.fail(ticket.order_id, cannot_cancel(ticket, FILLED))
    desk.later(late.seconds, lambda: desk.say(said))
