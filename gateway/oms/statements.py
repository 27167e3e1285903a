"""What is stated outright: positions and activities by the venue, an order's end by a person. Pure.

Rules of this room:
1. A statement about a position only ever halts: it says that something is missing, not what. The one
   exception: after a split the venue has stated, its position is the new one and lots keep their cost.
2. An activity that moves cash alone is booked, once; one that moves a position halts, but for a split and
   for a dividend the venue has reinvested, which is a lot like any other purchase. What happened up to the
   day the book was opened is in its opening cash already, or a person's to see.
3. A person may only add to what is booked, up to the order's quantity, and only where the order is open.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal

from gateway.domain.book import Fill
from gateway.domain.life import step
from gateway.domain.order import ZERO, ExecType, OrdStatus, Report, Side
from gateway.domain.settings import Settings
from gateway.events import ActivityStated, LinkNoticed, OrderSettled, PositionStated
from gateway.oms.booking import advance_link, book_step, halt_link, request_of, track, trade_date
from gateway.oms.state import NOTHING, Applied, State

SPLITS = frozenset({"SPLIT"})
"""Kinds of activity that only change the units a position is counted in."""

REINVESTMENTS = frozenset({"REINVEST"})
"""Kinds of activity that bought `qty` of a symbol for `-cash`, without an order of anybody's."""

PRICE_PLACES = Decimal("0.000001")
"""A reinvestment's price is worked out so far; what is left over is part of the lot's cost, too."""

POSITION_SETTLES = timedelta(seconds=5)
"""How long a venue may take to count a fill it has reported into the position it states."""

REMEMBERED = 5_000
"""How many activities of an account are remembered: a venue is asked for a month at most."""


def take(
    state: State, event: PositionStated | ActivityStated | OrderSettled | LinkNoticed, settings: Settings
) -> Applied:
    """Take one statement."""
    if isinstance(event, PositionStated):
        return take_position(state, event, settings)
    if isinstance(event, ActivityStated):
        return take_activity(state, event, settings)
    if isinstance(event, LinkNoticed):
        return take_notice(state, event, settings)
    return take_settled(state, event, settings)


def take_position(state: State, event: PositionStated, settings: Settings) -> Applied:
    """Compare the venue's position with the book, once nothing of the symbol is open."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    accounts = (event.account, *event.shared_with)
    if _moves(state, event, accounts) or any(name not in state.book.accounts for name in accounts):
        return NOTHING
    held = sum((state.book.position(name, event.symbol) for name in accounts), ZERO)
    if held == event.qty:
        return NOTHING
    split = state.splits.get(event.account, {})
    if event.symbol in split and held * event.qty > 0 and not event.shared_with:
        what = split.pop(event.symbol)
        state.book.split(event.account, event.symbol, event.qty, trade_date(event.at, settings))
        return Applied(problem=f"{what}: {held} {event.symbol} are {event.qty} now, at the same cost")
    names = " and ".join(accounts)
    problem = f"{event.link} holds {event.qty} {event.symbol} for {names}, the book {held}"
    if all(state.halts.get(name) == problem for name in accounts):
        return NOTHING
    state.halts |= dict.fromkeys(accounts, problem)
    return Applied(problem=problem)


def _moves(state: State, event: PositionStated, accounts: tuple[str, ...]) -> bool:
    """Say whether an order of the symbol is open, or ended too near to the question for its answer to know.

    Two links to one account at a venue do not wait for each other: a fill told over one may be missing in
    the position asked over the other.
    """
    if any(
        order.spec.account in accounts and order.spec.symbol == event.symbol for order in state.open_orders()
    ):
        return True
    if event.asked_at is None:
        return False
    settled_by = event.asked_at - POSITION_SETTLES
    return any(
        order.spec.account in accounts
        and order.spec.symbol == event.symbol
        and (order.updated_at or order.created_at) > settled_by
        for order in state.orders.values()
    )


def take_notice(state: State, event: LinkNoticed, settings: Settings) -> Applied:
    """Tell a person what a link has noticed, and halt where it says so."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    problem = f"{event.link}: {event.text}"
    if event.halts and event.account:
        state.halts[event.account] = problem
    elif event.halts:
        halt_link(state, event.link, problem, settings)
    return Applied(problem=problem)


def take_activity(state: State, event: ActivityStated, settings: Settings) -> Applied:
    """Book the cash of an activity, once; tell a person about it, and halt when positions moved."""
    if not advance_link(state, event.link, event.link_seq) or event.account not in state.book.accounts:
        return NOTHING
    known = state.activities.setdefault(event.account, [])
    if event.activity_id in known:
        return NOTHING
    known.append(event.activity_id)
    del known[:-REMEMBERED]
    text = _words(event)
    opened = state.opened.get(event.account)
    if opened is not None and event.on <= trade_date(opened, settings).isoformat():
        return Applied(problem=f"{text}: not booked, for the book was opened that day or later")
    if event.kind in REINVESTMENTS and event.qty > 0 > event.cash and event.symbol in settings.instruments:
        return Applied(gains=tuple(state.book.apply(_purchase(event))), problem=f"{text}: booked as a lot")
    return Applied(problem=_booked(state, event, text))


def _booked(state: State, event: ActivityStated, text: str) -> str:
    """Book what is no purchase, and say what came of it."""
    state.book.accounts[event.account].cash += event.cash
    if event.kind in SPLITS and event.symbol:
        state.splits.setdefault(event.account, {})[event.symbol] = text
        return f"{text}: the next position the venue states is the new one"
    if event.qty or not event.cash:
        text = f"{text}: a person must look at positions and cost basis"
        state.halts[event.account] = text
        return text
    return f"{text}: booked"


def _purchase(event: ActivityStated) -> Fill:
    """Return what a reinvestment bought: its whole cash is what the lot cost, dated the day it says."""
    px = (-event.cash / event.qty).quantize(PRICE_PLACES, ROUND_DOWN)
    return Fill(
        event.account, event.symbol, Side.BUY, event.qty, px, -event.cash - px * event.qty,
        exec_id=event.activity_id, trade_date=date.fromisoformat(event.on), cl_ord_id=event.activity_id,
    )  # fmt: skip


def _words(event: ActivityStated) -> str:
    moved = [f"{event.qty:+f} {event.symbol}"] if event.qty else [event.symbol] if event.symbol else []
    if event.cash:
        moved.append(f"{event.cash:+f} in cash")
    words = " ".join(part for part in (event.kind, *moved, event.text) if part)
    return f"{event.link} {event.account} {event.on}: {words}"


def take_settled(state: State, event: OrderSettled, settings: Settings) -> Applied:
    """End an order as a person found it to have ended; book what had not been reported."""
    order = state.orders.get(event.cl_ord_id)
    if order is None or order.is_final:
        return Applied(problem=f"order {event.cl_ord_id} is not open; nothing is settled")
    grown = event.cum_qty - order.cum_qty
    if grown < ZERO or event.cum_qty > order.order_qty or (grown and event.avg_px <= ZERO):
        text = (
            f"order {event.cl_ord_id} cannot be settled with {event.cum_qty} filled at {event.avg_px}: "
            f"{order.cum_qty} of {order.order_qty} are booked"
        )
        return Applied(problem=text)
    order.is_by_totals = True
    is_whole = event.cum_qty == order.order_qty
    report = Report(
        event.cl_ord_id, f"SETTLED:{event.cl_ord_id}:{event.cum_qty}",
        ExecType.TRADE if grown else ExecType.CANCELED,
        OrdStatus.FILLED if is_whole else OrdStatus.CANCELED,
        event.cum_qty, avg_px=event.avg_px, text=f"settled by {event.by}",
    )  # fmt: skip
    change = step(order, report)
    if change.illegal:
        return Applied(problem=f"order {event.cl_ord_id} cannot be settled: {change.illegal}")
    order.take(report, change, event.at)
    gains = book_step(state, order, report, change, event.at, settings)
    request = request_of(state, order)
    track(request, order)
    return Applied(order, change, request, gains)
