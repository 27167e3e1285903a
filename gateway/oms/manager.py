"""The order manager: what each event changes in the state. Pure, and the same live and in replay.

Rules of this room:
1. `apply` is the only way the state changes. It never decides and never asks for anything.
2. It answers with an `Applied`: what the engine must know to react (an order, a step, a problem).
3. A report that contradicts the order's life, an execution for an order we never sent, or an order that
   stays in doubt halts the account here, so that a replay halts it too.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import assert_never

from gateway.domain.book import Account
from gateway.domain.lots import Lot, TaxRates
from gateway.domain.order import Order, OrdStatus, Side
from gateway.domain.settings import Settings
from gateway.events import (
    AccountOpened,
    Action,
    ApprovalGiven,
    CancelRejected,
    CancelRequested,
    CheckDue,
    CopyLinked,
    DriftChecked,
    Event,
    ExecutionCopied,
    GatewayStarted,
    HaltRequested,
    LinkBehind,
    LinkDown,
    LinkNoticed,
    LinkUp,
    LossesFound,
    MessageRefused,
    Mode,
    OrderAbandoned,
    OrderResent,
    OrdersPlanned,
    OrderUnknown,
    PricesUpdated,
    ReportReceived,
    ReportUnreadable,
    RequestDecided,
    RequestFinished,
    RequestState,
    ResumeRequested,
    SendInDoubt,
    SendWithheld,
    Statement,
    TargetsSubmitted,
    TimerFired,
)
from gateway.oms import copies, execution, plan, reports, standing, statements, swaps
from gateway.oms.booking import NOT_YET_SEEN, doubt, halt, halt_link, is_unclear, request_of, track
from gateway.oms.state import NOTHING, Applied, Price, Request, State

SETTLE = "look at the venue's own books, then `gateway settle` each"
NO_WORD = (
    "no word of it, and the venue cannot be asked: it may be working; look at the venue's own books, "
    "then `gateway settle` it"
)
FORGET_AFTER, FORGET_EVERY = timedelta(days=7), timedelta(days=1)
"""How long finished work is remembered: longer than any target message may live (one day)."""


def apply(state: State, event: Event, settings: Settings) -> Applied:
    """Change `state` by one event."""
    state.now = event.at
    applied = _apply(state, event, settings)
    swaps.follow(state, applied, settings)
    return applied


def _apply(state: State, event: Event, settings: Settings) -> Applied:  # noqa: C901, PLR0911, PLR0912
    """Hand an event to who handles it; the match is the whole index."""
    match event:
        case ReportReceived():
            return reports.take_report(state, event, settings)
        case CancelRejected():
            return reports.take_cancel_reject(state, event)
        case OrderUnknown():
            return reports.take_unknown(state, event, settings)
        case Statement() | LinkNoticed():
            return statements.take(state, event, settings)
        case MessageRefused():
            return reports.take_refusal(state, event)
        case ReportUnreadable():
            return reports.take_unreadable(state, event, settings)
        case SendWithheld() | SendInDoubt():
            return reports.take_handover(state, event)
        case OrdersPlanned():
            return _orders_planned(state, event, settings)
        case OrderResent() | OrderAbandoned():
            return _sent_again_or_never(state, event)
        case TargetsSubmitted():
            return _targets(state, event)
        case RequestDecided():
            return _decided(state, event)
        case RequestFinished():
            return _finished(state, event, settings)
        case ApprovalGiven():
            return _approval(state, event)
        case CancelRequested():
            return _cancel_requested(state, event)
        case ExecutionCopied() | CopyLinked():
            return copies.take(state, event, settings)
        case CheckDue() | DriftChecked() | LossesFound():
            return standing.take(state, event)
        case TimerFired():
            return _timer(state, event, settings)
        case PricesUpdated():
            return _prices(state, event)
        case AccountOpened():
            return _account(state, event)
        case LinkUp() | LinkDown() | LinkBehind():
            return _link(state, event, settings)
        case HaltRequested() | ResumeRequested():
            return _halt_or_resume(state, event)
        case GatewayStarted():
            return _started(state, event, settings)
        case _:
            assert_never(event)


# ----------------------------------------------------------------------------------- orders we send


def _orders_planned(state: State, event: OrdersPlanned, settings: Settings) -> Applied:
    request = state.requests[event.request_id]
    request.wave = event.wave
    request.has_waited = False
    request.denied.extend(event.denied)
    if event.orders:
        state.rebalanced[event.account] = event.at
    if execution.is_styled(request):
        _go_on(state, request, event, settings)
    sent = {spec.symbol for spec in event.orders if not execution.is_styled(request)}
    sent |= {denial.symbol for denial in event.denied}
    request.approved = tuple(item for item in request.approved if item.proposal.symbol not in sent)
    for spec in event.orders:
        state.orders[spec.cl_ord_id] = Order(spec, event.at, updated_at=event.at)
        request.orders.append(spec.cl_ord_id)
        request.open_orders[spec.cl_ord_id] = None
    return Applied(request=request)


def _go_on(state: State, request: Request, event: OrdersPlanned, settings: Settings) -> None:
    """Forget the parents that are over, and note when the sells, or after them the buys, began."""
    request.approved = tuple(execution.going_on(request, state, settings, event.at))
    sides = {spec.side for spec in event.orders} | {denial.side for denial in event.denied}
    is_buying = sides == {Side.BUY} if sides else plan.are_buys(plan.next_wave(request.approved))
    if request.began_at is not None and is_buying == request.is_buying:
        return
    request.began_at = event.at
    request.is_buying = is_buying
    if is_buying:  # a sale that a bust has reopened since is not taken up again
        request.approved = tuple(item for item in request.approved if item.proposal.side is Side.BUY)


def _sent_again_or_never(state: State, event: OrderResent | OrderAbandoned) -> Applied:
    order = state.orders[event.cl_ord_id]
    is_resend = isinstance(event, OrderResent)
    if order.ord_status not in NOT_YET_SEEN or (is_resend and state.halt_reason(order.spec.account)):
        return NOTHING  # a report or a halt came between the decision and its record
    order.is_unsent = False
    if is_resend:
        order.ord_status = OrdStatus.PENDING_NEW
        order.sends += 1
    else:
        order.ord_status = OrdStatus.CANCELED
        order.text = event.text if isinstance(event, OrderAbandoned) else order.text
    order.lookups = 0
    order.updated_at = event.at
    request = request_of(state, order)
    track(request, order)
    return Applied(order, request=request)


# ---------------------------------------------------------------------------------------- requests


def _targets(state: State, event: TargetsSubmitted) -> Applied:
    if event.request_id in state.requests:
        return NOTHING
    request = Request(event, event.mode)
    state.requests[event.request_id] = request
    state.queues.setdefault(event.account, []).append(event.request_id)
    return Applied(request=request)


def _decided(state: State, event: RequestDecided) -> Applied:
    request = state.requests[event.request_id]
    request.action = event.action
    request.reason = event.reason
    request.denied = list(event.denied)
    request.has_waited = False
    if request.outcome is not None:
        return Applied(request=request)  # cancelled between the decision and its record
    if request.mode is Mode.PREVIEW:
        request.outcome = RequestState.PREVIEWED
    elif event.action is Action.HOLD:
        request.outcome = RequestState.HELD
        standing.stand(state, request)
    else:
        _leave_queue(state, request)
        if request.mode is Mode.APPROVE:
            request.state = RequestState.AWAITING_APPROVAL
        else:
            request.state = RequestState.WORKING
            request.approved = event.approved
            request.schedule = event.schedule
            request.swaps = event.swaps
            swaps.go_back(state, event.account, event.swapped_back)
            standing.stand(state, request)
            if execution.is_styled(request):
                request.wanted = {item.proposal.symbol: item.proposal.qty for item in event.approved}
            state.active[event.account] = event.request_id
    return Applied(request=request)


def _finished(state: State, event: RequestFinished, settings: Settings) -> Applied:
    request = state.requests[event.request_id]
    request.state = event.state
    request.text = event.text
    request.finished_at = event.at
    request.approved = ()
    _leave_queue(state, request)
    if state.active.get(event.account) == event.request_id:
        del state.active[event.account]
    swaps.prune(state, event, settings)
    if state.forgot is None or event.at - state.forgot >= FORGET_AFTER + FORGET_EVERY:
        state.forget(event.at - FORGET_AFTER)
    return Applied(request=request)


def _leave_queue(state: State, request: Request) -> None:
    queue = state.queues.get(request.spec.account, [])
    if request.spec.request_id in queue:
        queue.remove(request.spec.request_id)


def _approval(state: State, event: ApprovalGiven) -> Applied:
    request = state.requests.get(event.request_id)
    if request is None or request.state is not RequestState.AWAITING_APPROVAL:
        return Applied(problem=f"request {event.request_id} does not wait for an approval")
    request.mode = Mode.EXECUTE
    request.state = RequestState.QUEUED
    request.has_waited = False
    state.queues.setdefault(request.spec.account, []).append(event.request_id)
    return Applied(request=request)


def _cancel_requested(state: State, event: CancelRequested) -> Applied:
    request = state.requests.get(event.request_id)
    if request is None or request.state.is_final:
        return Applied(problem=f"request {event.request_id} is not open")
    request.approved = ()
    request.outcome = RequestState.CANCELED
    request.text = f"cancelled by {event.by}"
    standing.take_back(state, request, event.by)
    for cl_ord_id in request.open_orders:
        state.orders[cl_ord_id].cancels += 1
    return Applied(request=request)


def _timer(state: State, event: TimerFired, settings: Settings) -> Applied:
    kind, _, rest = event.key.partition(":")
    if kind == copies.TIMER:
        return copies.take_timer(state, rest, settings)
    if kind == "lookup":
        return _no_word_of(state, state.orders.get(rest), settings)
    request = state.requests.get(rest)
    if request is None or request.state.is_final:
        return NOTHING
    link = settings.accounts[request.spec.account].link
    if kind == "prices" and not request.open_orders and not state.why_held_up(request, link):
        request.has_waited = True  # a halt or a lost link is no waiting for prices
    if kind == "wave":
        for order in execution.out_of_time(request, state, settings, event.at):
            order.cancels += 1
            if order.ord_status is OrdStatus.PENDING_NEW:
                doubt(event.at, [order])
    return Applied(request=request)


def _no_word_of(state: State, order: Order | None, settings: Settings) -> Applied:
    """Count a wait for word of an order whose venue cannot be asked; after enough of them halt."""
    if order is None or state.link(order.spec.link).can_look_up or not is_unclear(order):
        return Applied(order)
    order.lookups += 1
    patience = settings.accounts[order.spec.account].execution
    is_in_doubt = order.ord_status is OrdStatus.IN_DOUBT
    enough = patience.lookups_before_unknown if is_in_doubt else reports.MISSING_LOOKUPS
    if order.is_unsent or order.lookups < enough or state.halt_reason(order.spec.account):
        return Applied(order)
    return halt(state, order, None, NO_WORD)


# ----------------------------------------------------------------------- the world around the orders


def _prices(state: State, event: PricesUpdated) -> Applied:
    as_of = min(event.as_of, event.at)  # a price from the future would never grow old
    for symbol, px in event.prices.items():
        known = state.prices.get(symbol)
        if px.is_finite() and px > 0 and (known is None or known.as_of <= as_of):
            state.prices[symbol] = Price(px, as_of)
    return NOTHING


def _account(state: State, event: AccountOpened) -> Applied:
    if event.account in state.book.accounts:
        return NOTHING
    rates = TaxRates(event.short_term_rate, event.long_term_rate)
    account = Account(event.account, event.cash, event.lot_method, event.taxable, rates=rates)
    for number, opened in enumerate(event.lots):
        lot = Lot(
            f"{event.account}:opening:{number}", opened.symbol,
            date.fromisoformat(opened.acquired), opened.qty, opened.cost,
        )  # fmt: skip
        account.lots.setdefault(opened.symbol, []).append(lot)
        account.positions[opened.symbol] = account.positions.get(opened.symbol, Decimal(0)) + opened.qty
    state.book.accounts[event.account] = account
    state.opened[event.account] = event.at
    return NOTHING


def _link(state: State, event: LinkUp | LinkDown | LinkBehind, settings: Settings) -> Applied:
    link = state.link(event.link)
    if isinstance(event, LinkBehind):
        problem = f"{event.link}: {event.text}"
        halt_link(state, event.link, problem, settings)
        return Applied(problem=problem)
    ours = [order for order in state.open_orders() if order.spec.link == event.link]
    doubt(event.at, ours)
    link.is_up = isinstance(event, LinkUp)
    if not isinstance(event, LinkUp):
        return NOTHING
    link.can_look_up = event.can_look_up
    link.replays = event.replays and not event.was_reset
    lost = [order for order in ours if not order.is_unsent]
    if not (lost and event.was_reset) or event.can_look_up:
        return NOTHING
    names = ", ".join(f"{order.spec.symbol} {order.spec.cl_ord_id}" for order in lost[:5])
    problem = f"{event.link} began its numbers again with {len(lost)} orders open: {names}; {SETTLE}"
    for order in lost:
        state.halt(order.spec.account, problem)
    return Applied(problem=problem)


def _halt_or_resume(state: State, event: HaltRequested | ResumeRequested) -> Applied:
    if isinstance(event, ResumeRequested):
        for name in [event.account] if event.account else list(state.halts):
            state.release(name, event.reasons)
        return NOTHING
    state.halt(event.account, event.reason or f"halted by {event.by or 'unknown'}")
    if event.cancel_working:
        for order in state.open_orders():
            if event.account in ("", order.spec.account):
                order.cancels += 1
    return NOTHING


def _started(state: State, event: GatewayStarted, settings: Settings) -> Applied:
    state.epoch = event.epoch
    swaps.prune(state, event, settings)
    for link in state.links.values():
        link.is_up = False
    for one in state.copies.values():
        one.is_up = False
    doubt(event.at, list(state.open_orders()))
    state.forget(event.at - FORGET_AFTER)
    return NOTHING
