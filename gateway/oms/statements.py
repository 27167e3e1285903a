"""What is stated outright: positions and activities by the venue, an order's end by a person. Pure.

Rules of this room:
1. A statement about a position only ever halts: it says that something is missing, not what. The one
   exception: after a split the venue has stated, its position is the new one and lots keep their cost.
2. An activity that moves cash alone is booked, once; a return of capital lowers the cost of what is held,
   too. One that moves a position halts, but for a split and for a dividend the venue has reinvested, which
   is a lot like any other purchase; a spin-off waits for a person to state it. What happened up to the day
   the book was opened is in its opening cash already, or a person's to see.
3. Buying power below the cash in the book only makes later buys smaller: the venue would refuse them.
4. A person may only add to what is booked, up to the order's quantity, and only where the order is open.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal

from gateway.domain.book import Fill
from gateway.domain.life import step
from gateway.domain.order import ZERO, ExecType, OrdStatus, Report, Side
from gateway.domain.settings import Settings
from gateway.events import (
    ActionStated,
    ActivityStated,
    LinkNoticed,
    OrderSettled,
    PositionStated,
    PowerStated,
)
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

WORTH_TELLING = Decimal(1)
"""From how much, in money, a person is told that the venue lets an account spend less than its cash."""

RETURNS = frozenset({"DIVROC"})
"""Kinds of activity whose cash is a return of capital: no dividend, but cost that comes back."""

SPIN_OFFS = frozenset({"SPIN"})
"""Kinds of activity that bring units of another security, whose share of the cost only the issuer knows."""

REMEMBERED = 5_000
"""How many activities of an account are remembered: a venue is asked for a month at most."""


def take(
    state: State,
    event: PositionStated | PowerStated | ActivityStated | ActionStated | OrderSettled | LinkNoticed,
    settings: Settings,
) -> Applied:
    """Take one statement."""
    if isinstance(event, PositionStated):
        return take_position(state, event, settings)
    if isinstance(event, PowerStated):
        return take_power(state, event)
    if isinstance(event, ActivityStated):
        return take_activity(state, event, settings)
    if isinstance(event, ActionStated):
        return take_action(state, event, settings)
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
    if all(problem in state.halt_reasons(name) for name in accounts):
        return NOTHING
    for name in accounts:
        state.halt(name, problem)
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


def take_power(state: State, event: PowerStated) -> Applied:
    """Note by how much the venue lets an account buy for less than its cash, once nothing of it is open."""
    if not advance_link(state, event.link, event.link_seq) or event.account not in state.book.accounts:
        return NOTHING
    if any(order.spec.account == event.account for order in state.open_orders()):
        return NOTHING
    cash, before = state.book.accounts[event.account].cash, state.shortfalls.pop(event.account, ZERO)
    short = cash - event.power
    if short <= ZERO:
        return NOTHING
    state.shortfalls[event.account] = short
    if short < WORTH_TELLING or before >= WORTH_TELLING:
        return NOTHING
    what = f"{event.link} lets {event.account} buy for {event.power:.2f}, its cash is {cash:.2f}"
    return Applied(problem=f"{what}: buys are cut to that")


def take_notice(state: State, event: LinkNoticed, settings: Settings) -> Applied:
    """Tell a person what a link has noticed, and halt where it says so."""
    if not advance_link(state, event.link, event.link_seq):
        return NOTHING
    problem = f"{event.link}: {event.text}"
    if event.halts and event.account:
        state.halt(event.account, problem)
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
    state.book.accounts[event.account].cash += event.cash
    if (short := state.shortfalls.get(event.account, ZERO)) and event.cash < ZERO:
        state.shortfalls[event.account] = max(ZERO, short + event.cash)  # the venue knew of it before we did
    return _moved(state, event, text, settings)


def _moved(state: State, event: ActivityStated, text: str, settings: Settings) -> Applied:
    """Book what an activity means for positions and cost, or halt for a person to look."""
    if event.kind in SPLITS and event.symbol:
        state.splits.setdefault(event.account, {})[event.symbol] = text
        return Applied(problem=f"{text}: the next position the venue states is the new one")
    if event.kind in RETURNS and event.symbol and event.cash > ZERO:
        on = trade_date(event.at, settings)
        why = state.book.give_back(event.account, event.symbol, event.cash, on)
        if not why:
            return Applied(problem=f"{text}: booked, and the cost of what is held is as much lower")
        return _halted(state, event.account, f"{text}: a return of capital that cannot be booked, for {why}")
    if event.kind in SPIN_OFFS:
        text = f"{text}: state the spin-off with `gateway spin-off {event.account} OLD NEW QTY FRACTION`"
        return _halted(state, event.account, f"{text}, then resume; a person must look at positions and cost")
    if event.qty or not event.cash:
        return _halted(state, event.account, f"{text}: a person must look at positions and cost basis")
    return Applied(problem=f"{text}: booked")


def _purchase(event: ActivityStated) -> Fill:
    """Return what a reinvestment bought: its whole cash is what the lot cost, dated the day it says."""
    px = (-event.cash / event.qty).quantize(PRICE_PLACES, ROUND_DOWN)
    return Fill(
        event.account, event.symbol, Side.BUY, event.qty, px, -event.cash - px * event.qty,
        exec_id=event.activity_id, trade_date=date.fromisoformat(event.on), cl_ord_id=event.activity_id,
    )  # fmt: skip


def _halted(state: State, account: str, text: str) -> Applied:
    state.halt(account, text)
    return Applied(problem=text)


def take_action(state: State, event: ActionStated, settings: Settings) -> Applied:
    """Book a corporate action as a person has stated it, or say why it cannot be booked."""
    on, name, symbol, new = trade_date(event.at, settings), event.account, event.symbol, event.new_symbol
    strange = next((one for one in (symbol, new) if one and one not in settings.instruments), "")
    if name not in state.book.accounts or strange:
        what = f"{strange} is no instrument" if strange else f"{name} is no open account"
        return Applied(problem=f"stated by {event.by}: {what}; nothing is booked")
    if new:
        why = state.book.spin_off(name, symbol, new, event.qty, event.fraction, on)
        done = f"{name} received {event.qty} {new} for its {symbol}, with {event.fraction} of its cost"
    else:
        why = state.book.give_back(name, symbol, event.amount, on)
        done = f"{event.amount} of what {name}'s {symbol} cost came back"
    text = f"{why}; nothing is booked" if why else f"{done}: booked"
    return Applied(problem=f"stated by {event.by}: {text}")


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
    is_of_money = order.spec.cash_order_qty is not None
    is_too_much = event.cum_qty > order.order_qty and not is_of_money
    if grown < ZERO or is_too_much or (grown and event.avg_px <= ZERO):
        text = (
            f"order {event.cl_ord_id} cannot be settled with {event.cum_qty} filled at {event.avg_px}: "
            f"{order.cum_qty} of {order.order_qty} are booked"
        )
        return Applied(problem=text)
    order.is_by_totals = True
    is_whole = event.cum_qty == order.order_qty and not is_of_money
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
