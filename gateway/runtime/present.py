"""The presenter: what the read models and the news say, derived from the engine's state.

Rules of this room:
1. It only notes what changed; `readmodels.py` writes it a little later, once for many events.
2. A model is a function called when it leaves, so it shows the newest state and costs once.
3. Everything here can be rebuilt from the journal; nothing here is truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from decimal import Decimal
from functools import partial
from typing import Any

from gateway.decision.explain import sentences
from gateway.domain.book import Account
from gateway.domain.order import Order
from gateway.domain.settings import Settings
from gateway.events import (
    AccountOpened,
    ActionStated,
    ActivityStated,
    Alert,
    CancelRejected,
    Event,
    GatewayStarted,
    MessageRefused,
    OrderAbandoned,
    OrderResent,
    OrderSettled,
    OrdersPlanned,
    OrderUnknown,
    PositionStated,
    PricesUpdated,
    ReportReceived,
    RequestDecided,
    RequestFinished,
    SendInDoubt,
    SendWithheld,
)
from gateway.oms.money import own_prices, quoted_elsewhere
from gateway.oms.state import Price, Request, State
from gateway.runtime.keys import Keys
from gateway.runtime.readmodels import ReadModels

HEAVY_PAUSE_S = 0.25
"""The book and requests under way are shown at most this often: they grow with the basket."""

log = logging.getLogger(__name__)


class Presenter:
    """Turn events into read models and news."""

    def __init__(
        self,
        state: State,
        models: ReadModels,
        keys: Keys,
        status: Callable[[], dict[str, Any]],
        settings: Settings | None = None,
    ) -> None:
        self._state = state
        self._models = models
        self._keys = keys
        self._status = status
        self._settings = settings
        self._heavy: dict[str, Callable[[], object]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, event: Event) -> None:
        """Remember which read models an event makes stale."""
        match event:
            case ReportReceived():
                self._touch(event.report.cl_ord_id)
                self._book_if(moved=bool(event.report.cum_qty or event.report.exec_ref_id))
            case OrdersPlanned():
                for spec in event.orders:
                    self._touch(spec.cl_ord_id)
                self._request(event.request_id)
            case RequestDecided():
                self._models.project({self._keys.decision(event.request_id): partial(decision_model, event)})
                self._request(event.request_id)
            case CancelRejected():
                self._touch(event.orig_cl_ord_id)
            case (
                OrderUnknown()
                | MessageRefused()
                | SendWithheld()
                | SendInDoubt()
                | OrderResent()
                | OrderAbandoned()
            ):
                self._touch(event.cl_ord_id)
            case OrderSettled():
                self._touch(event.cl_ord_id)
                self._book_if(moved=True)
            case (
                AccountOpened() | PricesUpdated() | GatewayStarted() | ActivityStated() | ActionStated()
                | PositionStated()
            ):  # fmt: skip
                self._book_if(moved=True)
            case _:
                if request_id := getattr(event, "request_id", ""):
                    self._request(request_id)

    def _book_if(self, *, moved: bool) -> None:
        if moved:
            self._heavy[self._keys.book] = partial(book_model, self._state, self._settings)

    def publish(self, event: Event) -> None:
        """Put an event on the news; what it speaks of is shown before it."""
        if isinstance(event, RequestFinished):
            self._show_heavy()
        elif request_id := getattr(event, "request_id", ""):
            key = self._keys.request(request_id)
            if (model := self._heavy.pop(key, None)) is not None:
                self._models.project({key: model})
        self._models.publish([{"kind": type(event).__name__, "at": event.at, "event": event}])

    def alert(self, alert: Alert) -> None:
        """Put an alert on the news and in the log."""
        self._models.publish([{"kind": "Alert", "at": self._state.now, "event": alert}])
        level = {"critical": logging.ERROR, "warning": logging.WARNING}.get(alert.severity, logging.INFO)
        log.log(level, "%s: %s", alert.code, alert.text)

    def rejected(self, stream: str, entry_id: str, field: str, reason: str) -> None:
        """Tell that an input message became a dead letter."""
        entry = {"stream": stream, "entry_id": entry_id, "field": field, "reason": reason}
        self._models.publish([{"kind": "Rejected", "at": self._state.now, "event": entry}])
        log.warning("rejected %s %s: %s: %s", stream, entry_id, field, reason)

    def wake(self) -> None:
        """Show the status, and the heavy models a little later."""
        self._models.project({self._keys.status: self._status})
        if self._heavy and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HEAVY_PAUSE_S, self._show_heavy)

    def close(self) -> None:
        """Show what is left."""
        self._show_heavy()

    def _show_heavy(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heavy:
            self._models.project(self._heavy)
            self._heavy = {}

    def _touch(self, cl_ord_id: str) -> None:
        order = self._state.orders.get(cl_ord_id)
        if order is not None:
            self._models.project({self._keys.order(cl_ord_id): partial(order_model, order)})
            self._request(order.spec.request_id)

    def _request(self, request_id: str) -> None:
        request = self._state.requests.get(request_id)
        if request is not None:
            model = partial(request_model, request, self._state)
            self._heavy[self._keys.request(request_id)] = model


def decision_model(event: RequestDecided) -> dict[str, Any]:
    """Show one decision: every number of it, and under `why` one sentence for each name."""
    return {one.name: getattr(event, one.name) for one in fields(event)} | {"why": sentences(event)}


def order_model(order: Order) -> dict[str, Any]:
    """Show one order: what was sent and what came of it."""
    spec = order.spec
    return {
        "cl_ord_id": spec.cl_ord_id, "order_id": order.order_id, "request_id": spec.request_id,
        "account": spec.account, "link": spec.link, "symbol": spec.symbol, "side": spec.side.name,
        "order_qty": order.order_qty, "cash_order_qty": spec.cash_order_qty,
        "ord_type": spec.ord_type.name, "price": spec.price,
        "time_in_force": spec.time_in_force.name, "wave": spec.wave, "ord_status": order.ord_status.name,
        "cum_qty": order.cum_qty, "leaves_qty": order.leaves_qty, "avg_px": order.avg_px,
        "commission": order.commission, "sends": order.sends, "text": order.text,
        "created_at": order.created_at, "updated_at": order.updated_at,
    }  # fmt: skip


def request_model(request: Request, state: State) -> dict[str, Any]:
    """Show one request: how far it has come, in orders and in money."""
    orders = [state.orders[cl_ord_id] for cl_ord_id in request.orders if cl_ord_id in state.orders]
    wanted = sum((order.spec.order_qty * _price_of(order) for order in orders), Decimal(0))
    if request.wanted:  # many orders for one quantity: what one leaves, another takes up
        wanted = sum(
            (qty * _known_price(symbol, request, state) for symbol, qty in request.wanted.items()), Decimal(0)
        )
    return {
        "request_id": request.spec.request_id, "account": request.spec.account, "mode": request.mode,
        "state": request.state, "is_final": request.state.is_final, "action": request.action,
        "reason": request.reason, "text": request.text, "wave": request.wave,
        "orders": request.orders, "open_orders": len(request.open_orders),
        "planned_notional": wanted,
        "filled_notional": sum((order.notional for order in orders), Decimal(0)),
        "fills": sum(len(order.executions) for order in orders),
        "denied": request.denied, "finished_at": request.finished_at,
        **_style_model(request, state),
    }  # fmt: skip


def _style_model(request: Request, state: State) -> dict[str, Any]:
    """Show how a request is worked: its style, which step it is of how many, and when the next begins."""
    schedule, began_at, now = request.schedule, request.began_at, state.now
    found: dict[str, Any] = {"style": schedule.style, "wanted": request.wanted}
    if began_at is None or now is None or request.state.is_final:
        return found
    step = schedule.step_at(began_at, now)
    next_at = schedule.begin_of(step + 1, began_at) if step < schedule.last else None
    return {**found, "step": step + 1, "steps": schedule.last + 1, "next_at": next_at}


def _known_price(symbol: str, request: Request, state: State) -> Decimal:
    """Return what a unit was worth when it was approved, or is now."""
    for item in request.approved:
        if item.proposal.symbol == symbol:
            return item.proposal.price
    known = state.prices.get(symbol)
    return known.px if known is not None else Decimal(0)


def _price_of(order: Order) -> Decimal:
    return order.avg_px or order.spec.price or Decimal(0)


def book_model(state: State, settings: Settings | None = None) -> dict[str, Any]:
    """Show every account: cash, positions at their last reference price, lots, realised gains.

    With `settings` prices are in the account's currency; without, as they arrived.
    """
    accounts = {
        name: _account_model(account, state, _own_prices(state, settings, name))
        for name, account in state.book.accounts.items()
    }
    return {"at": state.now, "accounts": accounts, "realised": _realised(state)}


def _realised(state: State) -> list[dict[str, Any]]:
    return [
        {
            "account": gain.account, "symbol": gain.symbol, "qty": gain.qty, "acquired": gain.acquired,
            "sold": gain.sold, "proceeds": gain.proceeds, "cost": gain.cost, "gain": gain.gain,
            "term": "long" if gain.is_long_term else "short",
        }
        for gain in state.book.realised
    ]  # fmt: skip


def _own_prices(state: State, settings: Settings | None, account: str) -> Mapping[str, Price]:
    """Return the prices of one account, in its own currency where it is configured."""
    if settings is None or account not in settings.accounts:
        return state.prices
    return own_prices(state.prices, quoted_elsewhere(settings, settings.accounts[account]))


def _account_model(account: Account, state: State, prices: Mapping[str, Price]) -> dict[str, Any]:
    values = {
        symbol: qty * prices[symbol].px for symbol, qty in account.positions.items() if symbol in prices
    }
    nav = account.cash + sum(values.values(), Decimal(0))
    return {
        "cash": account.cash,
        "nav": nav,
        "unpriced": sorted(symbol for symbol in account.positions if symbol not in values),
        "commissions": account.commissions,
        "positions": {
            symbol: {
                "qty": qty,
                "price": prices[symbol].px if symbol in values else None,
                "value": values.get(symbol),
                "weight": values[symbol] / nav if nav and symbol in values else None,
            }
            for symbol, qty in sorted(account.positions.items())
        },
        "lots": {symbol: account.lots[symbol] for symbol in sorted(account.lots)},
        "substitutions": state.substitutions.get(account.name, ()),
    }
