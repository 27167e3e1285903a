"""The desk: how a request travels from the queue to its last wave. Pure; part of the engine.

Rules of this room:
1. One request of an account works at a time; the others wait in the order in which they came.
2. Everything that may be looked at is gathered at one instant by `outlook.py`.
3. A decision, a plan or an end is asked for once (`ask`) and comes back as an event when it is
   durable; a request has one such question under way at a time, so no answer can be out of date.
4. Every wave is checked again at the moment it is planned: prices, wash sales, cash, halts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from gateway.decision import harvesting
from gateway.decision.explain import detailed
from gateway.decision.market import UNKNOWN, Market
from gateway.decision.policy import Plan, propose
from gateway.decision.sizing import cut, fit_to_cash
from gateway.decision.view import View
from gateway.domain.order import Side
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.settings import Settings
from gateway.events import (
    Action,
    Alert,
    Denial,
    DenyReason,
    Effect,
    Event,
    OrderAbandoned,
    OrderResent,
    OrdersPlanned,
    Publish,
    Record,
    RequestDecided,
    RequestFinished,
    RequestState,
    SendOrder,
    SetTimer,
    TargetsSubmitted,
)
from gateway.oms import execution, plan, swaps
from gateway.oms.checks import check
from gateway.oms.state import Request, State
from gateway.outlook import Outlook, watched


class Desk:
    """Move requests forward; methods return effects and change only what was asked for and told."""

    def __init__(self, settings: Settings, state: State, market: Market = UNKNOWN) -> None:
        self.settings = settings
        self.state = state
        self._outlook = Outlook(settings, state, market)
        self._asked: set[str] = set()
        self._waiting: set[str] = set()
        self._held: set[tuple[str, str]] = set()

    @property
    def now(self) -> datetime:
        """Return the time of the last event."""
        return self._outlook.now

    def see(self, market: Market) -> None:
        """Look at another market from now on."""
        self._outlook.market = market

    def ask(self, key: str, make: Callable[[], Event]) -> list[Effect]:
        """Ask for a record once, until `answered` says that it came back."""
        if key in self._asked:
            return []
        self._asked.add(key)
        return [Record(make())]

    def answered(self, key: str) -> None:
        """Note that what was asked for under `key` is durable."""
        self._asked.discard(key)
        self._waiting.discard(key)

    def after_targets(self, event: TargetsSubmitted, request: Request | None) -> list[Effect]:
        """Queue a new request; the same request_id again changes nothing."""
        if request is None:
            return []
        return [Publish(event), *self.timers_of(request), *self.pump(event.account)]

    def timers_of(self, request: Request) -> list[Effect]:
        """Set the timers an unfinished request lives by."""
        spec = request.spec
        if request.state is RequestState.WORKING:
            return [self._wave_timer(request)]
        return [SetTimer(f"expire:{spec.request_id}", spec.expires_at)]

    def after_wave_timer(self, request: Request) -> list[Effect]:
        """Set the next timer; with an execution style go on to the next step, if nothing is in its way."""
        return [*self.timers_of(request), *(self.proceed(request) if execution.is_styled(request) else [])]

    def take_up(self) -> list[Effect]:
        """Set every timer again and ask again for every end that was not yet durable, after a start."""
        effects: list[Effect] = []
        for request in self.state.requests.values():
            if not request.state.is_final:
                effects += self.timers_of(request)
                if request.outcome is not None and not request.open_orders:
                    effects += self.end(request)
        return effects

    def pump_all(self) -> list[Effect]:
        """Let every account do the next thing it can do."""
        return [effect for account in self.settings.accounts for effect in self.pump(account)]

    def pump(self, account: str) -> list[Effect]:
        """Do the next thing an account can do: go on with its active request, or start another."""
        active = self.state.active.get(account)
        if active is not None:
            return self.proceed(self.state.requests[active])
        for request_id in self.state.queues.get(account, []):
            request = self.state.requests[request_id]
            if request.outcome is not None:
                return self.end(request)
            if request.spec.expires_at <= self.now:
                return self.finish(request, RequestState.EXPIRED, self._why_waiting(request) or "expired")
            if self._why_waiting(request):
                return [] if self._why_held_up(request) else self._wait_for_prices(request)
            return self.ask(request_id, partial(self._decide, request))
        return []

    def _why_held_up(self, request: Request) -> str:
        return self.state.why_held_up(request, self.settings.accounts[request.spec.account].link)

    def _why_waiting(self, request: Request) -> str:
        """Say what a queued request waits for, empty when it may be decided."""
        if held_up := self._why_held_up(request):
            return held_up
        missing = self._outlook.without_price(request.spec)
        if missing and not request.has_waited:
            account = self.settings.accounts[request.spec.account]
            return f"no fresh price for {self._outlook.lacking(account, missing)}"
        return ""

    def _decide(self, request: Request) -> Event:
        """Decide one request: the whole decision layer and every check, in one pure step."""
        spec = request.spec
        held = self.state.book.accounts[spec.account].positions
        blind = [symbol for symbol in self._outlook.without_price(spec) if symbol in held]
        if blind:
            lacking = self._outlook.lacking(self.settings.accounts[spec.account], blind)
            text = f"NAV cannot be known without a fresh price for {lacking}"
            return RequestFinished(self.now, spec.request_id, spec.account, RequestState.FAILED, text)
        view = self._outlook.view(request)
        wanted = view.account.execution.overridden(spec.execution)
        if flaw := wanted.flaw():
            text = f"execution.{flaw[0]} {flaw[1]}"
            return RequestFinished(self.now, spec.request_id, spec.account, RequestState.FAILED, text)
        account = replace(view.account, execution=wanted)
        proposed = harvesting.proposed(view) if spec.harvest else propose(view)
        gate = self._outlook.gate(account, proposed.nav, is_urgent=proposed.action is Action.IMMEDIATE)
        approved, denied = swaps.paired(*check(proposed.proposals, gate), proposed.swaps)
        return RequestDecided(
            at=self.now,
            request_id=spec.request_id,
            account=spec.account,
            action=proposed.action,
            reason=proposed.reason,
            nav=proposed.nav,
            cash=proposed.cash,
            drift=proposed.drift,
            max_drift=proposed.max_drift,
            names=detailed(view, proposed),
            approved=tuple(approved),
            denied=(*denied, *self._denied_for_price(proposed, view)),
            tracking_error_left=proposed.tracking_error_left,
            schedule=wanted.schedule,
            policy=proposed.policy,
            harvest=spec.harvest,
            swaps=proposed.swaps,
            swapped_back=view.swapped_back,
        )

    def _denied_for_price(self, proposed: Plan, view: View) -> Iterable[Denial]:
        for symbol in proposed.missing_prices:
            reason = DenyReason.PRICE_STALE if symbol in self.state.prices else DenyReason.PRICE_MISSING
            side = Side.BUY if view.targets.get(symbol) else Side.SELL
            text = f"no fresh reference price for {self._outlook.lacking(view.account, [symbol])}"
            yield Denial(symbol, side, Decimal(0), reason, text)

    def after_due(self, request: Request) -> list[Effect]:
        """Go on when a request has waited for prices long enough, or has expired."""
        spec = request.spec
        self._waiting.discard(spec.request_id)
        if request.state is not RequestState.WORKING and spec.expires_at <= self.now:
            is_awaited = request.state is RequestState.AWAITING_APPROVAL
            why = "nobody approved it in time" if is_awaited else self._why_waiting(request)
            text = why or "expired"
            return self.finish(request, RequestState.EXPIRED, text)
        return self.pump(spec.account)

    def after_decision(self, event: RequestDecided) -> list[Effect]:
        """Go on from a decision: show it, hold it, or plan its first wave."""
        request = self.state.requests[event.request_id]
        if request.state is RequestState.AWAITING_APPROVAL:
            text = f"request {event.request_id} waits for approval: {event.action} {event.reason}"
            return [Alert("info", "ApprovalNeeded", text, event.account), *self.timers_of(request)]
        return self.proceed(request)

    def proceed(self, request: Request) -> list[Effect]:
        """Plan the active request's next wave, or finish it, once nothing of it is open."""
        if execution.is_styled(request) and request.outcome is None:
            return self._proceed_over_time(request)
        if request.open_orders:
            return []
        if request.outcome is not None or not request.approved:
            return self.end(request)
        if self._why_held_up(request):
            return []
        fresh = self._outlook.fresh_prices(self.settings.accounts[request.spec.account])
        chosen = plan.next_wave(request.approved)
        if not request.has_waited and any(item.proposal.symbol not in fresh for item in chosen):
            return self._wait_for_prices(request)
        return self.ask(request.spec.request_id, lambda: self._plan_wave(request, chosen))

    def _proceed_over_time(self, request: Request) -> list[Effect]:
        """Plan the next slice of a request with an execution style, when it is due and its prices are known.

        What has no fresh price sits out until the last step; then it is waited for, and denied, as ever.
        """
        if execution.must_wait(request, self.state):
            return []
        items = execution.going_on(request, self.state, self.settings, self.now)
        if not items:
            return [] if request.open_orders else self.end(request)
        if self._why_held_up(request):
            return []
        is_first = execution.is_beginning(request, items)
        chosen = execution.next_slice(request, items, self.state, self.settings, self.now)
        fresh = self._outlook.fresh_prices(self.settings.accounts[request.spec.account])
        priced = [item for item in chosen if item.proposal.symbol in fresh]
        effects: list[Effect] = []
        if len(priced) < len(chosen):
            if not (is_first or execution.is_last(request, self.now)):
                effects = self._tell_of_held(request, sorted({*_names(chosen)} - fresh.keys()))
                chosen = priced
            elif not request.has_waited:
                return self._wait_for_prices(request)
        if not chosen and not is_first:
            return effects
        is_at_market = execution.is_at_market(request, items, self.now)
        make = partial(self._plan_wave, request, chosen, is_at_market=is_at_market)
        return effects + self.ask(request.spec.request_id, make)

    def _tell_of_held(self, request: Request, symbols: list[str]) -> list[Effect]:
        """Tell a person once that names sit out until their prices are fresh again."""
        spec = request.spec
        new = [symbol for symbol in symbols if (spec.request_id, symbol) not in self._held]
        self._held.update((spec.request_id, symbol) for symbol in new)
        text = f"request {spec.request_id}: no fresh price for {', '.join(new[:5])}; nothing of it is sent"
        return [Alert("warning", "PriceMissing", text, spec.account)] if new else []

    def _wait_for_prices(self, request: Request) -> list[Effect]:
        """Set the timer after which a request goes on without fresh prices, once."""
        request_id = request.spec.request_id
        if request_id in self._waiting:
            return []
        account = self.settings.accounts[request.spec.account]
        self._waiting.add(request_id)
        due = self.now + timedelta(seconds=float(account.execution.price_wait_s))
        return [SetTimer(f"prices:{request_id}", due)]

    def _plan_wave(
        self, request: Request, chosen: list[Approved], *, is_at_market: bool = False
    ) -> OrdersPlanned:
        spec = request.spec
        account = execution.scheduled(self.settings.accounts[spec.account], request)
        view = self._outlook.view(request)
        nav = self._outlook.nav(account, view)
        gate = self._outlook.gate(account, nav, is_urgent=request.action is Action.IMMEDIATE)
        gate = replace(gate, is_at_market=is_at_market)
        items, unsold = self._paid_for(request, chosen, view)
        approved, denied = check(watched(view, items), gate)
        denied += unsold
        if plan.are_buys(chosen):
            cash = self._outlook.free_cash(account) - account.execution.cash_buffer * nav
            wanted = [item.proposal for item in approved]
            fitting = fit_to_cash(wanted, cash, view)
            approved, refused = check(fitting, gate)
            paid = {item.symbol for item in fitting}
            text = f"cash of {cash:.2f} after the buffer does not pay for it"
            denied += refused
            denied += [
                Denial(item.symbol, item.side, item.qty, DenyReason.CASH, text)
                for item in wanted
                if item.symbol not in paid
            ]
        wave = request.wave + 1
        orders = tuple(
            plan.order_spec(
                item, self.settings.household, account, spec.request_id, wave,
                self.settings.instruments[item.proposal.symbol],
            )
            for item in approved
        )  # fmt: skip
        return OrdersPlanned(self.now, spec.request_id, account.name, wave, orders, tuple(denied))

    def _paid_for(
        self, request: Request, chosen: Iterable[Approved], view: View
    ) -> tuple[list[Proposal], list[Denial]]:
        """Cut each substitute to what was sold for it; everything else passes."""
        items: list[Proposal] = []
        unsold: list[Denial] = []
        for item in (one.proposal for one in chosen):
            due = swaps.due(request, item.symbol, self.state) if item.side is Side.BUY else None
            qty = (
                item.qty
                if due is None
                else min(item.qty, self.settings.instruments[item.symbol].round_qty(due))
            )
            if qty:
                items.append(cut(item, qty, view))
            else:
                text = f"too little was sold to buy any {item.symbol} in its place"
                unsold.append(Denial(item.symbol, item.side, item.qty, DenyReason.UNSOLD, text))
        return items, unsold

    def send_wave(self, event: OrdersPlanned) -> list[Effect]:
        """Send a wave that is now durable, unless a halt came between."""
        request = self.state.requests[event.request_id]
        account = self.settings.accounts[event.account]
        halt = self.state.halt_reason(event.account)
        why_not = f"halted before it was sent: {halt}" if halt else request.text
        if event.orders and why_not:
            return [Record(OrderAbandoned(self.now, spec.cl_ord_id, why_not)) for spec in event.orders]
        effects: list[Effect] = []
        if self.state.is_up(account.link):  # else the orders are looked up, and sent again, when it is up
            effects += [SendOrder(spec) for spec in event.orders]
        if event.orders or execution.is_styled(request):
            effects.append(self._wave_timer(request))
        return effects + self.proceed(request)

    def send_again(self, event: OrderResent) -> list[Effect]:
        """Send an order the venue has proved not to know, if its link is still up."""
        spec = self.state.orders[event.cl_ord_id].spec
        return [SendOrder(spec, event.poss_resend)] if self.state.is_up(spec.link) else []

    def _wave_timer(self, request: Request) -> SetTimer:
        account = self.settings.accounts[request.spec.account]
        if execution.is_styled(request):
            due = execution.next_due(request, self.state, account, self.now)
        else:
            due = self.now + timedelta(seconds=float(account.execution.wave_timeout_s))
        return SetTimer(f"wave:{request.spec.request_id}", due)

    def end(self, request: Request) -> list[Effect]:
        """Ask for the end a request has come to by itself."""
        state = request.outcome or RequestState.DONE
        texts = (request.text or request.reason, execution.left_undone(request, self.state))
        return self.finish(request, state, "; ".join(text for text in texts if text))

    def finish(self, request: Request, state: RequestState, text: str) -> list[Effect]:
        """Ask for the request's end."""
        spec = request.spec
        return self.ask(
            spec.request_id,
            lambda: RequestFinished(self.now, spec.request_id, spec.account, state, text),
        )


def _names(items: Iterable[Approved]) -> list[str]:
    return [item.proposal.symbol for item in items]
