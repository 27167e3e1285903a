"""Execution styles: how much of what is approved the next wave takes, at what price, and when. Pure.

Rules of this room:
1. A style knows no orders of its own. What is approved is the parent, each wave's orders are its children,
   and a child is an ordinary order: planned, checked, sent, looked up and cancelled like any other.
2. Children never exceed their parent: one that may still fill counts whole, a final one what it has filled.
   Only a fill that comes after a cancel can, and then whatever else works for that parent is cancelled.
3. A parent gets one child a step. What a step missed is spread over the steps left; it never bursts.
4. What the venue itself refused or ended is not tried again: its parent is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from gateway.domain.instrument import Instrument
from gateway.domain.order import Order, OrdStatus, Side, TimeInForce
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.schedule import ChaseEnd, Schedule, Style
from gateway.domain.settings import AccountSettings, Settings
from gateway.oms import plan
from gateway.oms.checks import BPS, is_fresh, limit_price
from gateway.oms.state import Request, State

ZERO = Decimal(0)
REFUSED = frozenset({OrdStatus.REJECTED, OrdStatus.EXPIRED, OrdStatus.DONE_FOR_DAY})
AT_ONCE_OR_NEVER = frozenset({TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL})

NAMED = 5
"""How many names a sentence holds."""


def is_styled(request: Request) -> bool:
    """Say whether a request is worked over time."""
    return request.schedule.style is not Style.AT_ONCE


def children_of(request: Request, state: State) -> dict[str, list[Order]]:
    """Gather a request's orders by symbol."""
    children: dict[str, list[Order]] = {}
    for cl_ord_id in request.orders:
        order = state.orders[cl_ord_id]
        children.setdefault(order.spec.symbol, []).append(order)
    return children


def exposure(children: Iterable[Order]) -> Decimal:
    """Return what has filled and what may still fill, in units."""
    return sum((one.cum_qty if one.is_final else max(one.order_qty, one.cum_qty) for one in children), ZERO)


def remaining(item: Approved, children: Iterable[Order]) -> Decimal:
    """Return what of a parent no child has filled or may still fill, in units; never below 0."""
    return max(ZERO, item.proposal.qty - exposure(children))


def _was_ended_by_venue(order: Order) -> bool:
    """Say whether the venue ended a child that we had not asked it to end: it would do so again."""
    if order.ord_status in REFUSED:
        return order.is_final
    if order.ord_status is not OrdStatus.CANCELED or order.cancels:
        return False
    has_lived = bool(order.order_id or order.exec_ids)
    return has_lived and order.spec.time_in_force not in AT_ONCE_OR_NEVER


def is_over(
    item: Approved, children: Sequence[Order], request: Request, lot: Instrument, now: datetime
) -> bool:
    """Say whether nothing more is planned for a parent: done, refused by the venue, or out of steps."""
    if any(not one.is_final for one in children):
        return False
    if not lot.round_qty(remaining(item, children)):
        return True
    if any(_was_ended_by_venue(one) for one in children):
        return True
    if request.began_at is None or (item.proposal.side is Side.BUY) is not request.is_buying:
        return False  # its turn has not come: the clock that runs is the sells'
    schedule, last = request.schedule, request.schedule.last
    if is_left(schedule) and schedule.step_at(request.began_at, now) == last:
        return True
    return _has_child_of(last, children, schedule, request.began_at)


def is_left(schedule: Schedule) -> bool:
    """Say whether what a chase has not done by its end is left undone."""
    return schedule.style is Style.CHASE and schedule.chase_end is ChaseEnd.LEAVE


def _has_child_of(step: int, children: Sequence[Order], schedule: Schedule, began_at: datetime) -> bool:
    """Say whether the newest child was planned in `step` or later."""
    return bool(children) and schedule.step_at(began_at, children[-1].created_at) >= step


def going_on(request: Request, state: State, settings: Settings, now: datetime) -> list[Approved]:
    """Return the parents that are not over."""
    children = children_of(request, state)
    return [
        item
        for item in request.approved
        if not is_over(
            item, children.get(item.proposal.symbol, ()), request,
            settings.instruments[item.proposal.symbol], now,
        )
    ]  # fmt: skip


def must_wait(request: Request, state: State) -> bool:
    """Say whether open orders come first: all of a slice's, of a chase those being cancelled."""
    is_sliced = request.schedule.is_sliced
    return any(is_sliced or state.orders[cl_ord_id].cancels for cl_ord_id in request.open_orders)


def next_slice(
    request: Request, items: Sequence[Approved], state: State, settings: Settings, now: datetime
) -> list[Approved]:
    """Return what the next wave takes of each parent, sells before buys; nothing when it is not its time."""
    schedule = request.schedule
    began_at = _began_at(request, items, now)
    step = schedule.step_at(began_at, now)
    children = children_of(request, state)
    found: list[Approved] = []
    for item in plan.next_wave(items):
        symbol = item.proposal.symbol
        mine = children.get(symbol, ())
        if any(not one.is_final for one in mine) or _has_child_of(step, mine, schedule, began_at):
            continue
        qty = _share(remaining(item, mine), step, schedule, settings.instruments[symbol], item.proposal.price)
        if qty:
            found.append(replace(item, proposal=_resized(item.proposal, qty)))
    return found


def is_beginning(request: Request, items: Sequence[Approved]) -> bool:
    """Say whether the sells, or after them the buys, have not begun yet."""
    return request.began_at is None or (not request.is_buying and plan.are_buys(plan.next_wave(items)))


def _began_at(request: Request, items: Sequence[Approved], now: datetime) -> datetime:
    return now if request.began_at is None or is_beginning(request, items) else request.began_at


def _share(left: Decimal, step: int, schedule: Schedule, lot: Instrument, price: Decimal) -> Decimal:
    """Return a slice's quantity in whole lots; all that is left in the last one, and in a chase always."""
    whole = lot.round_qty(left)
    if not schedule.is_sliced or step >= schedule.last:
        return whole
    weight, total = schedule.weights[step], sum(schedule.weights[step:], ZERO)
    qty = lot.round_qty(left * weight / total) if total else whole
    return qty if qty * price >= lot.min_notional else ZERO


def _resized(proposal: Proposal, qty: Decimal) -> Proposal:
    """Return a part of a proposal: its benefit and its cost in proportion."""
    if qty == proposal.qty:
        return proposal
    part = float(qty / proposal.qty)
    return replace(
        proposal,
        qty=qty,
        benefit=proposal.benefit * part,
        commission=proposal.commission * part,
        half_spread=proposal.half_spread * part,
        tax=proposal.tax * part,
    )


def is_last(request: Request, now: datetime) -> bool:
    """Say whether the last step has come: the last slice, or the end of a chase."""
    assert request.began_at is not None  # noqa: S101 - asked of what has begun only
    return request.schedule.step_at(request.began_at, now) == request.schedule.last


def is_at_market(request: Request, items: Sequence[Approved], now: datetime) -> bool:
    """Say whether what a chase plans now goes at market: it has come to its end."""
    is_chase = request.schedule.style is Style.CHASE
    return is_chase and not is_beginning(request, items) and is_last(request, now)


# -------------------------------------------------------------------------------------------- the time


def _life_s(request: Request, account: AccountSettings) -> Decimal:
    """Return how long a child of the last step may work, in seconds."""
    is_chase = request.schedule.style is Style.CHASE
    return account.execution.wave_timeout_s if is_chase else request.schedule.step_s


def ends_at(order: Order, request: Request, account: AccountSettings) -> datetime:
    """Return when a child's step is over."""
    assert request.began_at is not None  # noqa: S101 - a child is planned by the wave that begins the phase
    schedule = request.schedule
    step = schedule.step_at(request.began_at, order.created_at)
    if step < schedule.last:
        return schedule.begin_of(step + 1, request.began_at)
    return order.created_at + timedelta(seconds=float(_life_s(request, account)))


def next_due(request: Request, state: State, account: AccountSettings, now: datetime) -> datetime:
    """Return when the request must next be looked at: its next step, or an open child out of time."""
    life = timedelta(seconds=float(_life_s(request, account)))
    if request.began_at is None:
        return now + life
    schedule = request.schedule
    step = schedule.step_at(request.began_at, now)
    dues = [schedule.begin_of(step + 1, request.began_at) if step < schedule.last else now + life]
    for cl_ord_id in request.open_orders:
        order = state.orders[cl_ord_id]
        if not order.cancels and (schedule.is_sliced or step == schedule.last):
            dues.append(ends_at(order, request, account))
    return min(dues)


def out_of_time(request: Request, state: State, settings: Settings, now: datetime) -> list[Order]:
    """Return the open children to be cancelled now: their slice is over, or their limit is off the mark."""
    orders = [state.orders[cl_ord_id] for cl_ord_id in request.open_orders]
    if not is_styled(request):
        return orders
    account = scheduled(settings.accounts[request.spec.account], request)
    late = [order for order in orders if ends_at(order, request, account) <= now]
    if request.schedule.is_sliced or is_last(request, now):
        return late
    parents = {item.proposal.symbol: item.proposal for item in request.approved}
    return [
        order for order in late if order.cancels or _is_off(order, parents, state, account, settings, now)
    ]


def _is_off(
    order: Order,
    parents: Mapping[str, Proposal],
    state: State,
    account: AccountSettings,
    settings: Settings,
    now: datetime,
) -> bool:
    """Say whether a chase's limit is further than a step from where a fresh price would put it now."""
    symbol, px = order.spec.symbol, order.spec.price
    known, parent = state.prices.get(symbol), parents.get(symbol)
    if known is None or parent is None or px is None:
        return False
    if not is_fresh(known, now, account.limits.price_max_age_s):
        return False
    wanted = limit_price(parent, account.execution, settings.instruments[symbol], known.px)
    step_bps = account.execution.schedule.chase_step_bps
    return wanted is not None and abs(wanted - px) * BPS > step_bps * px


def scheduled(account: AccountSettings, request: Request) -> AccountSettings:
    """Return an account's settings with the schedule this request keeps."""
    return replace(account, execution=replace(account.execution, schedule=request.schedule))


# ------------------------------------------------------------------------------------------ the excess


def to_stop(request: Request, symbol: str, state: State) -> list[Order]:
    """Return the open children of a symbol whose parent is exceeded: a fill came after a cancel."""
    wanted = request.wanted.get(symbol)
    if wanted is None:
        return []
    mine = [state.orders[name] for name in request.orders if state.orders[name].spec.symbol == symbol]
    if exposure(mine) <= wanted:
        return []
    return [order for order in mine if not order.is_final and not order.cancels]


def left_undone(request: Request, state: State) -> str:
    """Say in one sentence how much of how much was not done; empty when all of it was."""
    children = children_of(request, state)
    done = {symbol: sum((one.cum_qty for one in children.get(symbol, ())), ZERO) for symbol in request.wanted}
    short = [symbol for symbol, qty in request.wanted.items() if done[symbol] < qty]
    if not short:
        return ""
    named = ", ".join(f"{symbol} {done[symbol]} of {request.wanted[symbol]}" for symbol in short[:NAMED])
    more = f" and {len(short) - NAMED} more" if len(short) > NAMED else ""
    return f"not all was done: {named}{more}"
