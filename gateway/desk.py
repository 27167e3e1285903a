"""The desk: how a request travels from the queue to its last wave. Pure; part of the engine.

Rules of this room:
1. One request of an account works at a time; the others wait in the order in which they came.
2. Everything that may be looked at is gathered into a `View` and a `Gate` here, at one instant.
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

from gateway.decision.policy import Plan, propose
from gateway.decision.sizing import fit_to_cash
from gateway.decision.view import OpenOrder, View
from gateway.decision.wash_sale import watch
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import AccountSettings, Settings
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
from gateway.oms import plan
from gateway.oms.booking import trade_date
from gateway.oms.checks import Gate, check
from gateway.oms.state import Request, State


class Desk:
    """Move requests forward; methods return effects and change nothing but `_asked` and `_waiting`."""

    def __init__(self, settings: Settings, state: State) -> None:
        self.settings = settings
        self.state = state
        self._asked: set[str] = set()
        self._waiting: set[str] = set()

    @property
    def now(self) -> datetime:
        """Return the time of the last event."""
        assert self.state.now is not None  # noqa: S101 - every event carries its time
        return self.state.now

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
        account = self.settings.accounts[spec.account]
        if request.state is RequestState.WORKING:
            return [self._wave_timer(spec.request_id, account)]
        return [SetTimer(f"expire:{spec.request_id}", spec.expires_at)]

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
        missing = self._without_price(request.spec)
        if missing and not request.has_waited:
            return f"no fresh price for {', '.join(missing[:5])}"
        return ""

    def _without_price(self, spec: TargetsSubmitted) -> list[str]:
        held = self.state.book.accounts[spec.account].positions
        fresh = self._fresh_prices(self.settings.accounts[spec.account])
        return sorted(symbol for symbol in {*held, *spec.targets} if symbol not in fresh)

    def _fresh_prices(self, account: AccountSettings) -> dict[str, Decimal]:
        oldest = self.now - timedelta(seconds=float(account.limits.price_max_age_s))
        return {symbol: price.px for symbol, price in self.state.prices.items() if price.as_of >= oldest}

    def _decide(self, request: Request) -> Event:
        """Decide one request: the whole decision layer and every check, in one pure step."""
        spec = request.spec
        held = self.state.book.accounts[spec.account].positions
        blind = [symbol for symbol in self._without_price(spec) if symbol in held]
        if blind:
            text = f"NAV cannot be known without a fresh price for {', '.join(blind[:5])}"
            return RequestFinished(self.now, spec.request_id, spec.account, RequestState.FAILED, text)
        view = self._view(request)
        proposed = propose(view)
        gate = self._gate(view.account, proposed.nav, is_urgent=proposed.action is Action.IMMEDIATE)
        approved, denied = check(proposed.proposals, gate)
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
            names=proposed.names,
            approved=tuple(approved),
            denied=(*denied, *self._denied_for_price(proposed, view)),
            tracking_error_left=proposed.tracking_error_left,
        )

    def _denied_for_price(self, proposed: Plan, view: View) -> Iterable[Denial]:
        for symbol in proposed.missing_prices:
            reason = DenyReason.PRICE_STALE if symbol in self.state.prices else DenyReason.PRICE_MISSING
            side = Side.BUY if view.targets.get(symbol) else Side.SELL
            yield Denial(symbol, side, Decimal(0), reason, f"no fresh reference price for {symbol}")

    def _view(self, request: Request) -> View:
        spec = request.spec
        account = self.settings.accounts[spec.account]
        return View(
            trade_date=trade_date(self.now, self.settings),
            account=account,
            book=self.state.book,
            instruments=self.settings.instruments,
            prices=self._fresh_prices(account),
            targets=spec.targets,
            others=spec.others,
            regime=spec.regime,
            open_orders=[
                OpenOrder(order.spec.account, order.spec.symbol, order.spec.side, order.leaves_qty)
                for order in self.state.open_orders()
            ],
        )

    def _gate(self, account: AccountSettings, nav: Decimal, *, is_urgent: bool) -> Gate:
        held = dict(self.state.book.accounts[account.name].positions)
        busy: set[tuple[str, Side]] = set()
        for order in self.state.open_orders():
            spec = order.spec
            if spec.account == account.name:
                busy.add((spec.symbol, spec.side))
                if spec.side is not Side.BUY:
                    held[spec.symbol] = held.get(spec.symbol, Decimal(0)) - order.leaves_qty
        return Gate(
            now=self.now,
            account=account,
            nav=nav,
            instruments=self.settings.instruments,
            prices=self.state.prices,
            held=held,
            busy=frozenset(busy),
            halt=self.state.halt_reason(account.name),
            is_urgent=is_urgent,
        )

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
        if request.open_orders:
            return []
        if request.outcome is not None or not request.approved:
            return self.end(request)
        if self._why_held_up(request):
            return []
        fresh = self._fresh_prices(self.settings.accounts[request.spec.account])
        chosen = plan.next_wave(request.approved)
        if not request.has_waited and any(item.proposal.symbol not in fresh for item in chosen):
            return self._wait_for_prices(request)
        return self.ask(request.spec.request_id, lambda: self._plan_wave(request))

    def _wait_for_prices(self, request: Request) -> list[Effect]:
        """Set the timer after which a request goes on without fresh prices, once."""
        request_id = request.spec.request_id
        if request_id in self._waiting:
            return []
        account = self.settings.accounts[request.spec.account]
        self._waiting.add(request_id)
        due = self.now + timedelta(seconds=float(account.execution.price_wait_s))
        return [SetTimer(f"prices:{request_id}", due)]

    def _plan_wave(self, request: Request) -> OrdersPlanned:
        spec = request.spec
        account = self.settings.accounts[spec.account]
        view = self._view(request)
        nav = self._nav(account, view)
        gate = self._gate(account, nav, is_urgent=request.action is Action.IMMEDIATE)
        chosen = _watched(view, [item.proposal for item in plan.next_wave(request.approved)])
        approved, denied = check(chosen, gate)
        if all(item.side is Side.BUY for item in chosen):
            cash = self._free_cash(account) - account.execution.cash_buffer * nav
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

    def _free_cash(self, account: AccountSettings) -> Decimal:
        """Return the cash that no open buy may still take."""
        cash = self.state.book.accounts[account.name].cash
        for order in self.state.open_orders():
            spec = order.spec
            if spec.account == account.name and spec.side is Side.BUY:
                cash -= order.leaves_qty * (spec.price or self.state.prices[spec.symbol].px)
        return cash

    def _nav(self, account: AccountSettings, view: View) -> Decimal:
        held = self.state.book.accounts[account.name]
        known = {symbol: price.px for symbol, price in self.state.prices.items()} | dict(view.prices)
        return held.cash + sum(
            (qty * known[symbol] for symbol, qty in held.positions.items() if symbol in known), Decimal(0)
        )

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
        if event.orders:
            effects.append(self._wave_timer(event.request_id, account))
        return effects + self.proceed(request)

    def send_again(self, event: OrderResent) -> list[Effect]:
        """Send an order the venue has proved not to know, if its link is still up."""
        spec = self.state.orders[event.cl_ord_id].spec
        return [SendOrder(spec, event.poss_resend)] if self.state.is_up(spec.link) else []

    def _wave_timer(self, request_id: str, account: AccountSettings) -> SetTimer:
        due = self.now + timedelta(seconds=float(account.execution.wave_timeout_s))
        return SetTimer(f"wave:{request_id}", due)

    def end(self, request: Request) -> list[Effect]:
        """Ask for the end a request has come to by itself."""
        state = request.outcome or RequestState.DONE
        return self.finish(request, state, request.text or request.reason)

    def finish(self, request: Request, state: RequestState, text: str) -> list[Effect]:
        """Ask for the request's end."""
        spec = request.spec
        return self.ask(
            spec.request_id,
            lambda: RequestFinished(self.now, spec.request_id, spec.account, state, text),
        )


def _watched(view: View, proposals: Iterable[Proposal]) -> list[Proposal]:
    """Judge proposals again by the wash-sale rule, as things are now."""
    known = watch(view)
    return [
        replace(item, wash_sale=known.conflict(item.symbol, item.side, item.qty) or "") for item in proposals
    ]
