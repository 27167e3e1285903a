"""The presenter: read models and news for everyone who looks, always behind the journal, never in its way.

Rules of this room:
1. It notes what changed and writes it a little later, in one go; a slow or absent reader side never
   holds the loop up. What could not be written is written at the next chance.
2. Read models are written before the news that speaks of them.
3. Everything here can be rebuilt from the journal; nothing here is truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from gateway.domain.book import Account
from gateway.domain.order import Order
from gateway.events import (
    AccountOpened,
    Alert,
    CancelRejected,
    Event,
    GatewayStarted,
    MessageRefused,
    OrderAbandoned,
    OrderResent,
    OrdersPlanned,
    OrderUnknown,
    PricesUpdated,
    ReportReceived,
    RequestDecided,
    SendWithheld,
)
from gateway.oms.state import Request, State
from gateway.runtime.models import Models
from gateway.runtime.wire import encode_json

PAUSE_S = 0.02
NEWS_LIMIT = 20_000

log = logging.getLogger(__name__)


class Presenter:
    """Collect what changed in `state` and write it to Redis through `models`."""

    def __init__(self, state: State, models: Models, status: Callable[[], dict[str, Any]]) -> None:
        self._state = state
        self._models = models
        self._status = status
        self._orders: set[str] = set()
        self._requests: set[str] = set()
        self._decisions: dict[str, RequestDecided] = {}
        self._book_changed = True
        self._news: list[dict[str, Any]] = []
        self._dropped = 0
        self._wake = asyncio.Event()

    def note(self, event: Event) -> None:
        """Remember which read models an event makes stale."""
        match event:
            case ReportReceived():
                self._touch(event.report.cl_ord_id)
                self._book_changed = self._book_changed or event.report.last_qty is not None
            case OrdersPlanned():
                self._orders.update(spec.cl_ord_id for spec in event.orders)
                self._requests.add(event.request_id)
            case RequestDecided():
                self._decisions[event.request_id] = event
                self._requests.add(event.request_id)
            case CancelRejected():
                self._touch(event.orig_cl_ord_id)
            case OrderUnknown() | MessageRefused() | SendWithheld() | OrderResent() | OrderAbandoned():
                self._touch(event.cl_ord_id)
            case AccountOpened() | PricesUpdated() | GatewayStarted():
                self._book_changed = True
            case _:
                if request_id := getattr(event, "request_id", ""):
                    self._requests.add(request_id)

    def publish(self, event: Event) -> None:
        """Put an event on the news."""
        self._add({"kind": type(event).__name__, "at": event.at, "event": event})

    def alert(self, alert: Alert) -> None:
        """Put an alert on the news and in the log."""
        at = self._state.now
        self._add({"kind": "Alert", "at": at, "event": alert})
        level = {"critical": logging.ERROR, "warning": logging.WARNING}.get(alert.severity, logging.INFO)
        log.log(level, "%s: %s", alert.code, alert.text)

    def wake(self) -> None:
        """Say that there may be something to write."""
        self._wake.set()

    async def run(self) -> None:
        """Write changes for ever, at most every `PAUSE_S`."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()
            await asyncio.sleep(PAUSE_S)

    async def flush(self) -> None:
        """Write everything noted so far: read models first, then the news."""
        news, self._news = self._news, []
        await self._models.write(self._stale_models(), news)

    def _touch(self, cl_ord_id: str) -> None:
        order = self._state.orders.get(cl_ord_id)
        if order is not None:
            self._orders.add(cl_ord_id)
            self._requests.add(order.spec.request_id)

    def _add(self, entry: dict[str, Any]) -> None:
        if len(self._news) >= NEWS_LIMIT:
            self._dropped += 1
            return
        self._news.append(entry)

    def _stale_models(self) -> dict[str, bytes]:
        """Return key -> JSON of every read model that changed, and forget that it did."""
        keys = self._models.keys
        written: dict[str, bytes] = {}
        orders, self._orders = self._orders, set()
        requests, self._requests = self._requests, set()
        for cl_ord_id in orders:
            if (order := self._state.orders.get(cl_ord_id)) is not None:
                written[keys.order(cl_ord_id)] = encode_json(order_model(order))
        for request_id in requests:
            if (request := self._state.requests.get(request_id)) is not None:
                written[keys.request(request_id)] = encode_json(request_model(request, self._state))
        for request_id, decided in self._decisions.items():
            written[keys.decision(request_id)] = encode_json(decided)
        self._decisions.clear()
        if self._book_changed:
            self._book_changed = False
            written[keys.book] = encode_json(book_model(self._state))
        written[keys.status] = encode_json(self._status())
        return written


def order_model(order: Order) -> dict[str, Any]:
    """Show one order: what was sent and what came of it."""
    spec = order.spec
    return {
        "cl_ord_id": spec.cl_ord_id, "order_id": order.order_id, "request_id": spec.request_id,
        "account": spec.account, "link": spec.link, "symbol": spec.symbol, "side": spec.side.name,
        "order_qty": spec.order_qty, "ord_type": spec.ord_type.name, "price": spec.price,
        "time_in_force": spec.time_in_force.name, "wave": spec.wave, "ord_status": order.ord_status.name,
        "cum_qty": order.cum_qty, "leaves_qty": order.leaves_qty, "avg_px": order.avg_px,
        "commission": order.commission, "sends": order.sends, "text": order.text,
        "created_at": order.created_at, "updated_at": order.updated_at,
    }  # fmt: skip


def request_model(request: Request, state: State) -> dict[str, Any]:
    """Show one request: how far it has come, in orders and in money."""
    orders = [state.orders[cl_ord_id] for cl_ord_id in request.orders if cl_ord_id in state.orders]
    wanted = sum((order.spec.order_qty * _price_of(order) for order in orders), Decimal(0))
    return {
        "request_id": request.spec.request_id, "account": request.spec.account, "mode": request.mode,
        "state": request.state, "is_final": request.state.is_final, "action": request.action,
        "reason": request.reason, "text": request.text, "wave": request.wave,
        "orders": request.orders, "open_orders": len(request.open_orders),
        "planned_notional": wanted,
        "filled_notional": sum((order.notional for order in orders), Decimal(0)),
        "fills": sum(len(order.exec_ids) for order in orders if order.cum_qty),
        "denied": request.denied, "finished_at": request.finished_at,
    }  # fmt: skip


def _price_of(order: Order) -> Decimal:
    return order.avg_px or order.spec.price or Decimal(0)


def book_model(state: State) -> dict[str, Any]:
    """Show every account: cash, positions at their last reference price, lots, realised gains."""
    accounts = {name: _account_model(account, state) for name, account in state.book.accounts.items()}
    return {"at": state.now, "accounts": accounts, "realised": _realised(state)}


def _realised(state: State) -> Iterable[dict[str, Any]]:
    return [
        {
            "account": gain.account, "symbol": gain.symbol, "qty": gain.qty, "acquired": gain.acquired,
            "sold": gain.sold, "proceeds": gain.proceeds, "cost": gain.cost, "gain": gain.gain,
            "term": "long" if gain.is_long_term else "short",
        }
        for gain in state.book.realised
    ]  # fmt: skip


def _account_model(account: Account, state: State) -> dict[str, Any]:
    values = {
        symbol: qty * state.prices[symbol].px
        for symbol, qty in account.positions.items()
        if symbol in state.prices
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
                "price": state.prices[symbol].px if symbol in values else None,
                "value": values.get(symbol),
                "weight": values[symbol] / nav if nav and symbol in values else None,
            }
            for symbol, qty in sorted(account.positions.items())
        },
        "lots": {symbol: account.lots[symbol] for symbol in sorted(account.lots)},
    }
