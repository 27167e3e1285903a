"""The switchboard: `Engine.process(event) -> list[Effect]`. Pure, synchronous, the same everywhere.

Rules of this room:
1. `process` first applies the event (`oms/manager.py` changes the state), then reacts to it: the desk
   moves requests, the monitor watches drift, `oms/reconcile.py` settles orders in doubt. `replay` only
   applies: what was decided stands in the journal, so a replay needs no market.
2. A decision is not an effect that happens; it is a `Record`, which comes back as an event once it
   is durable.
3. No I/O, no clock (the time is the last event's), no randomness, no exception for anything a user,
   a strategy or a broker can cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import assert_never

from gateway.decision.market import UNKNOWN, Market
from gateway.desk import Desk
from gateway.domain.order import Order, OrdStatus
from gateway.domain.settings import Settings
from gateway.events import (
    AccountOpened,
    ActionStated,
    ActivityStated,
    Alert,
    ApprovalGiven,
    CancelRejected,
    CancelRequested,
    CheckDue,
    CopyLinked,
    DriftChecked,
    Effect,
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
    OrderAbandoned,
    OrderResent,
    OrdersPlanned,
    OrderUnknown,
    PricesUpdated,
    Publish,
    ReportReceived,
    ReportUnreadable,
    RequestDecided,
    RequestFinished,
    ResumeRequested,
    SendInDoubt,
    SendWithheld,
    SetTimer,
    Statement,
    TargetsSubmitted,
    TimerFired,
    WithholdOrders,
)
from gateway.monitor import Monitor
from gateway.oms import copies, reconcile
from gateway.oms.booking import NOT_YET_SEEN, is_unclear
from gateway.oms.manager import apply
from gateway.oms.reports import MISSING_LOOKUPS
from gateway.oms.state import Applied, Request, State


class Engine:
    """Hold one household's state and turn each event into effects."""

    def __init__(self, settings: Settings, state: State | None = None, market: Market = UNKNOWN) -> None:
        self.settings = settings
        self.state = state if state is not None else State()
        self.market = market
        self.desk = Desk(settings, self.state, market)
        self.monitor = Monitor(settings, self.state, market)

    def see(self, market: Market) -> None:
        """Decide from now on with what is known of the market; what was decided stands."""
        self.market = market
        self.desk.see(market)
        self.monitor.see(market)

    def restore(self, state: State) -> None:
        """Begin from a snapshot's state instead of an empty one."""
        self.state = state
        self.desk = Desk(self.settings, state, self.market)
        self.monitor = Monitor(self.settings, state, self.market)

    def replay(self, event: Event) -> None:
        """Apply one journaled event without reacting to it."""
        apply(self.state, event, self.settings)

    def process(self, event: Event) -> list[Effect]:
        """Apply one durable event and say what is to be done."""
        applied = apply(self.state, event, self.settings)
        self._note_answer(event)
        return self._problem(event, applied) + self._react(event, applied)

    def _note_answer(self, event: Event) -> None:
        """Note that what the desk had asked for is durable now."""
        if isinstance(event, OrdersPlanned | RequestDecided | RequestFinished):
            self.desk.answered(event.request_id)
        elif isinstance(event, OrderResent | OrderAbandoned):
            self.desk.answered(f"settle:{event.cl_ord_id}")

    def _problem(self, event: Event, applied: Applied) -> list[Effect]:
        return self._difference(applied) + self._trouble(event, applied)

    def _difference(self, applied: Applied) -> list[Effect]:
        """Tell a person what a drop copy shows otherwise, and stop what waits for an account it halted."""
        if not applied.difference:
            return []
        account = applied.order.spec.account if applied.order else ""
        halted = self.state.halted_for(applied.difference)
        told: list[Effect] = [Alert("critical", "DropCopyDiffers", applied.difference, account)]
        return told + [WithholdOrders(name, applied.difference) for name in halted]

    def _trouble(self, event: Event, applied: Applied) -> list[Effect]:
        if not applied.problem:
            return []
        account = applied.order.spec.account if applied.order else ""
        halted = self.state.halted_for(applied.problem)
        is_booked = isinstance(event, ActivityStated | ActionStated)
        severity = "critical" if halted else "info" if is_booked else "warning"
        if isinstance(event, LinkNoticed) and not halted:
            severity, account = event.severity, event.account
        effects: list[Effect] = [Alert(severity, type(event).__name__, applied.problem, account)]
        return effects + [WithholdOrders(name, applied.problem) for name in halted]

    def _react(self, event: Event, applied: Applied) -> list[Effect]:  # noqa: C901, PLR0911, PLR0912
        """Ask for what follows from an event; the match is the whole index of reactions."""
        desk = self.desk
        match event:
            case ReportReceived():
                return self._after_report(event, applied) + self._await_copy(event, applied)
            case OrdersPlanned():
                return [Publish(event), *desk.send_wave(event)]
            case OrderUnknown():
                return self._settle(applied.order)
            case TargetsSubmitted():
                return desk.after_targets(event, applied.request)
            case RequestDecided():
                return [Publish(event), *desk.after_decision(event)]
            case RequestFinished():
                return [Publish(event), *desk.pump(event.account)]
            case OrderResent() | OrderAbandoned():
                return self._sent_again_or_never(event, applied)
            case CancelRejected() | SendInDoubt():
                return [Publish(event), *self._look_up([applied.order]), *desk.pump_all()]
            case SendWithheld():
                return [Publish(event), *self._try_later(applied.order), *desk.pump_all()]
            case ExecutionCopied():
                return self._copy_timers(event.link, [event.report.exec_id])
            case CopyLinked():
                return [Publish(event), *self._wait_for_copies(event.link)]
            case CheckDue() | DriftChecked() | LossesFound():
                return self.monitor.react(event)
            case TimerFired():
                return self._after_timer(event, applied)
            case LinkUp():
                return [Publish(event), *self._after_link_up(event.link), *desk.pump_all()]
            case LinkDown():
                return [Publish(event), Alert("warning", "LinkDown", f"{event.link} is down: {event.reason}")]
            case HaltRequested():
                return self._after_halt(event)
            case ResumeRequested():
                return [Publish(event), *self._look_up(self._doubtful()), *desk.pump_all()]
            case CancelRequested() | ApprovalGiven():
                return [Publish(event), *self._after_command(event, applied)]
            case GatewayStarted():
                return [Publish(event), *desk.take_up(), *self._wait_for_copies(), *desk.pump_all()]
            case MessageRefused() | Statement():
                return [Publish(event), *desk.pump_all()]
            case PricesUpdated():
                return desk.pump_all()
            case AccountOpened() | ReportUnreadable() | LinkBehind() | LinkNoticed():
                return [Publish(event)]
            case _:
                assert_never(event)

    def _sent_again_or_never(self, event: OrderResent | OrderAbandoned, applied: Applied) -> list[Effect]:
        """Send an order again, or go on without it, unless something came between."""
        if applied.order is None:
            return []
        if isinstance(event, OrderResent):
            return [Publish(event), *self.desk.send_again(event)]
        return [Publish(event), *self.desk.pump_all()]

    def _after_link_up(self, link: str) -> list[Effect]:
        """Ask about every order that is open on a link, and cancel again what is no longer wanted."""
        orders = [order for order in self.state.open_orders() if order.spec.link == link]
        unwanted = [order for order in orders if reconcile.is_unwanted(order)]
        return [*self._look_up(orders), *self._cancel(unwanted)]

    def _doubtful(self) -> list[Order]:
        return [
            order
            for order in self.state.open_orders()
            if order.ord_status in NOT_YET_SEEN or is_unclear(order)
        ]

    def _after_report(self, event: ReportReceived, applied: Applied) -> list[Effect]:
        order, step = applied.order, applied.step
        if order is None or step is None or step.is_repeat:
            return []
        effects: list[Effect] = []
        if step.fill_qty or order.is_final:
            effects.append(Publish(event))
        if applied.is_first_sign and reconcile.is_unwanted(order):
            effects += self._cancel([order])
        effects += self._cancel(
            one for one in applied.excess if one is not order or not applied.is_first_sign
        )
        if step.missing_qty and not applied.problem:
            effects += reconcile.ask_again(order, self.settings, self.desk.now)
        request = applied.request
        if order.is_final and request is not None and (order.cancels or not request.open_orders):
            effects += self.desk.pump(order.spec.account)
        return effects

    def _await_copy(self, event: ReportReceived, applied: Applied) -> list[Effect]:
        """Wait for a drop copy to show what was just booked."""
        if applied.step is None or not (applied.step.fill_qty or applied.step.undoes):
            return []
        exec_id = event.report.exec_id
        return [one for name in self.state.copies for one in self._copy_timers(name, [exec_id])]

    def _wait_for_copies(self, link: str = "") -> list[Effect]:
        """Set the timers of all that one side of a drop copy (of each, unnamed) has still to show."""
        names = [link] if link else list(self.state.copies)
        return [one for name in names for one in self._copy_timers(name, copies.waiting(self.state, name))]

    def _copy_timers(self, name: str, exec_ids: list[str]) -> list[Effect]:
        """Set the timers after which a drop copy's silence, or ours, is said."""
        wanted = self.settings.drop_copies.get(name)
        if wanted is None:
            return []
        waiting = set(copies.waiting(self.state, name))
        due = self.desk.now + timedelta(seconds=float(wanted.grace_s))
        return [SetTimer(copies.timer_key(name, one), due) for one in exec_ids if one in waiting]

    def _look_up(self, about: Sequence[Order | None]) -> list[Effect]:
        """Ask about orders, and go on at once with those that certainly never left."""
        orders = [order for order in about if order is not None]
        unsent = [order for order in orders if order.is_unsent and order.ord_status is OrdStatus.IN_DOUBT]
        asked = [order for order in orders if order not in unsent]
        effects = reconcile.look_up(asked, self.state, self.settings, self.desk.now)
        return effects + [effect for order in unsent for effect in self._settle(order)]

    def _try_later(self, order: Order | None) -> list[Effect]:
        """Wait before an order that did not leave is sent again: its link may be going down."""
        is_open = order is not None and not order.is_final
        return reconcile.ask_again(order, self.settings, self.desk.now) if order and is_open else []

    def _settle(self, order: Order | None) -> list[Effect]:
        """Go on with an order that never left, or that the venue has just said it does not know."""
        if order is None:
            return []
        settled = reconcile.settle(order, self.state, self.settings, self.desk.now)
        if settled is None:
            if self._waits_for_resume(order) or not self.state.is_up(order.spec.link):
                return []
            return reconcile.ask_again(order, self.settings, self.desk.now)
        return self.desk.ask(f"settle:{order.spec.cl_ord_id}", lambda: settled)

    def _after_timer(self, event: TimerFired, applied: Applied) -> list[Effect]:
        kind = event.key.partition(":")[0]
        if kind == "lookup":
            order = applied.order
            if order is None or not is_unclear(order) or self._waits_for_resume(order):
                return []
            return self._look_up([order])
        request = applied.request
        if request is None:
            return []
        if kind == "wave":
            orders = [order for order in self._open_orders(request) if order.cancels]
            withheld = [WithholdOrders(request.spec.account, "its wave is out of time")] if orders else []
            return [*withheld, *self._cancel(orders), *self.desk.after_wave_timer(request)]
        return self.desk.after_due(request)

    def _open_orders(self, request: Request) -> list[Order]:
        return [self.state.orders[cl_ord_id] for cl_ord_id in request.open_orders]

    def _waits_for_resume(self, order: Order) -> bool:
        """Say whether all has been asked about an order of a halted account: resume asks again."""
        is_halted = bool(self.state.halt_reason(order.spec.account))
        has_asked = order.lookups > MISSING_LOOKUPS or reconcile.is_proved_unknown(order, self.settings)
        return is_halted and has_asked

    def _cancel(self, orders: Iterable[Order]) -> list[Effect]:
        return reconcile.cancel(orders, self.state, self.settings, self.desk.now)

    def _after_halt(self, event: HaltRequested) -> list[Effect]:
        effects: list[Effect] = [Publish(event), WithholdOrders(event.account, event.reason)]
        if event.cancel_working:
            orders = [o for o in self.state.open_orders() if event.account in ("", o.spec.account)]
            effects += self._cancel(orders)
        return effects

    def _after_command(self, event: CancelRequested | ApprovalGiven, applied: Applied) -> list[Effect]:
        request = applied.request
        if request is None:
            return []
        if isinstance(event, CancelRequested):
            account = request.spec.account
            orders = self._open_orders(request)
            effects: list[Effect] = [WithholdOrders(account, request.text)] if orders else []
            effects += self._cancel(orders)
            if not orders:
                effects += self.desk.end(request)
            return effects + self.desk.pump(account)
        return self.desk.timers_of(request) + self.desk.pump(request.spec.account)
