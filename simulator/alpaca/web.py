"""The REST interface: paths, keys, rates, bodies; every answer is JSON.

Rules of this room:
1. Keys first, then the rate, then the request; every answer carries the rate's headers.
2. What goes wrong on purpose goes wrong here, around a request that is otherwise served as ever.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiohttp import web

from simulator.alpaca import queries, refusals, words
from simulator.alpaca.door import Door
from simulator.alpaca.entry import buying_power, read_number
from simulator.alpaca.mishaps import Mishap, Mishaps
from simulator.alpaca.refusals import Refused
from simulator.alpaca.stream import Streams
from simulator.alpaca.words import Ticket
from simulator.orders import ZERO
from simulator.record import text

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
WINDOW_S = 60.0
HANG_S = 30.0
PAUSE_S = 0.05
OPENED = datetime(2020, 1, 2, 15, tzinfo=UTC)
OK, NO_BODY, MULTI = 200, 204, 207


class Web:
    """Serve a `Door` over HTTP; `keys` are the only ones known, `per_min` requests of them are served."""

    def __init__(
        self, door: Door, streams: Streams, mishaps: Mishaps, keys: tuple[str, str], per_min: int,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._door = door
        self._streams = streams
        self._mishaps = mishaps
        self._keys = keys
        self._per_min = per_min
        self._now = now
        self._served: deque[float] = deque()

    def application(self) -> web.Application:
        """Return the application with every path."""
        app = web.Application(middlewares=[self._guard])
        add = app.router.add_route
        add("GET", "/stream", self._streams.serve)
        for method, path, handler in (
            ("GET", "/account", self._account),
            ("GET", "/account/configurations", self._show_configuration),
            ("PATCH", "/account/configurations", self._change_configuration),
            ("GET", "/account/activities", self._activities),
            ("GET", "/account/activities/{kind}", self._activities),
            ("POST", "/orders", self._post_order),
            ("GET", "/orders", self._orders),
            ("GET", "/orders:by_client_order_id", self._order_by_name),
            ("GET", "/orders/{id}", self._order),
            ("PATCH", "/orders/{id}", self._replace_order),
            ("DELETE", "/orders/{id}", self._cancel_order),
            ("DELETE", "/orders", self._cancel_orders),
            ("GET", "/positions", self._positions),
            ("GET", "/positions/{symbol}", self._position),
            ("DELETE", "/positions", self._close_positions),
            ("DELETE", "/positions/{symbol}", self._close_position),
            ("GET", "/assets", self._assets),
            ("GET", "/assets/{symbol}", self._asset),
            ("GET", "/clock", self._clock),
            ("GET", "/calendar", self._calendar),
            ("GET", "/stocks/quotes/latest", self._quotes),
            ("GET", "/stocks/{symbol}/quotes/latest", self._quote),
        ):
            add(method, f"/v2{path}", handler)
        return app

    def is_known(self, key: str, secret: str) -> bool:
        """Judge a pair of keys."""
        return (key, secret) == self._keys

    # Around every request.

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/stream":
            return await handler(request)
        try:
            answer = await self._served_or_refused(request, handler)
        except Refused as problem:
            answer = _json(problem.body, problem.status)
        except web.HTTPException as problem:
            answer = _json({"message": problem.reason}, problem.status)
        if not answer.prepared:
            self._add_rate(answer)
        return answer

    async def _served_or_refused(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._has_keys(request):
            raise refusals.unauthorized()
        now = time.monotonic()
        while self._served and now - self._served[0] >= WINDOW_S:
            self._served.popleft()
        if len(self._served) >= self._per_min:
            raise refusals.too_many()
        self._served.append(now)
        if request.method == "GET" and self._mishaps.strikes(Mishap.GET_504):
            return _gateway_timeout()
        if request.method == "GET" and self._mishaps.strikes(Mishap.GET_RESET):
            return self._hang_up(request)
        return await handler(request)

    def _has_keys(self, request: web.Request) -> bool:
        headers = request.headers
        bearer = headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            return bearer.removeprefix("Bearer ") == self._keys[1]
        return self.is_known(headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", ""))

    def _add_rate(self, answer: web.StreamResponse) -> None:
        left = max(self._per_min - len(self._served), 0)
        in_s = WINDOW_S - (time.monotonic() - self._served[0]) if self._served and not left else 1.0
        is_refused = answer.status == 429  # noqa: PLR2004 - HTTP's own number
        answer.headers["X-RateLimit-Limit"] = str(self._per_min)
        answer.headers["X-RateLimit-Remaining"] = "0" if is_refused else str(left)
        answer.headers["X-RateLimit-Reset"] = str(int(time.time() + in_s) + 1)

    # Orders.

    async def _post_order(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        if self._mishaps.strikes(Mishap.STREAM_DROP):
            self._streams.drop()
        what = self._mishaps.on_post()
        if what is Mishap.TOO_MANY:
            raise refusals.too_many()
        if what in (Mishap.POST_504_BEFORE, Mishap.POST_RESET_BEFORE, Mishap.POST_TIMEOUT_BEFORE):
            return await self._spoil(request, what)
        ticket = self._door.post(body, self._now())
        if what is Mishap.EVENT_FIRST:
            self._streams.hurry()
            await asyncio.sleep(PAUSE_S)
        elif what is not None:
            return await self._spoil(request, what)
        status = ticket.status if not ticket.order.order_id else "pending_new"
        return _json(words.order_json(ticket, cum_qty=ZERO, avg_px=ZERO, status=status))

    async def _spoil(self, request: web.Request, what: Mishap) -> web.StreamResponse:
        """Give another answer than the right one, or none."""
        if what in (Mishap.POST_504_BEFORE, Mishap.POST_504_AFTER):
            return _gateway_timeout()
        if what in (Mishap.POST_TIMEOUT_BEFORE, Mishap.POST_TIMEOUT_AFTER):
            await asyncio.sleep(HANG_S)
        if what is Mishap.POST_NONSENSE:
            return _json(["taken"])
        return self._hang_up(request)

    def _hang_up(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError

    async def _orders(self, request: web.Request) -> web.StreamResponse:
        self._door.advance(self._now())
        return _json(queries.orders(self._door, request.query))

    async def _order(self, request: web.Request) -> web.StreamResponse:
        self._door.advance(self._now())
        return _json(words.order_json(self._door.find(request.match_info["id"])))

    async def _order_by_name(self, request: web.Request) -> web.StreamResponse:
        self._door.advance(self._now())
        return _json(words.order_json(self._door.by_name(request.query.get("client_order_id", ""))))

    async def _replace_order(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        ticket = self._door.replace(request.match_info["id"], body, self._now())
        return _json(words.order_json(ticket, status="pending_new", cum_qty=ZERO, avg_px=ZERO))

    async def _cancel_order(self, request: web.Request) -> web.StreamResponse:
        self._door.cancel(request.match_info["id"], self._now())
        if self._mishaps.strikes(Mishap.CANCEL_504):
            return _gateway_timeout()
        return web.Response(status=NO_BODY)

    async def _cancel_orders(self, request: web.Request) -> web.StreamResponse:
        del request
        rows = []
        for ticket in self._door.open_tickets():
            problem = self._try_cancel(ticket)
            told = {} if problem is None else {"body": problem.body}
            rows.append({"id": ticket.order_id, "status": problem.status if problem else OK, **told})
        return _json(rows, MULTI)

    def _try_cancel(self, ticket: Ticket) -> Refused | None:
        try:
            self._door.cancel(ticket.order_id, self._now())
        except Refused as problem:
            return problem
        return None

    # The account.

    async def _account(self, request: web.Request) -> web.StreamResponse:
        del request
        door, now = self._door, self._now()
        door.advance(now)
        account, market = door.account, door.venue.market
        held = sum(
            (
                qty * market.price(symbol, now)
                for symbol, qty in account.positions.items()
                if symbol in market
            ),
            ZERO,
        )
        power, equity = buying_power(door, now), account.cash + held
        plain = power - account.cash * (door.terms.multiplier - 1)
        return _json(
            {
                "id": words.new_id("account", account.name), "account_number": "PA000000001",
                "status": "ACTIVE",
                "crypto_status": "INACTIVE", "currency": "USD", "cash": text(account.cash),
                "buying_power": text(power), "regt_buying_power": text(power),
                "non_marginable_buying_power": text(plain), "equity": text(equity),
                "last_equity": text(equity), "portfolio_value": text(equity), "long_market_value": text(held),
                "short_market_value": "0", "initial_margin": "0", "maintenance_margin": "0",
                "last_maintenance_margin": "0", "multiplier": text(door.terms.multiplier), "sma": "0",
                "accrued_fees": "0", "pending_transfer_in": "0", "pending_reg_taf_fees": "0",
                "balance_asof": now.date().isoformat(), "created_at": words.stamp(OPENED),
                "trading_blocked": False, "transfers_blocked": False, "account_blocked": False,
                "trade_suspended_by_user": door.configuration["suspend_trade"],
                "shorting_enabled": door.terms.may_short,
            }
        )  # fmt: skip

    async def _show_configuration(self, request: web.Request) -> web.StreamResponse:
        del request
        return _json(self._door.configuration)

    async def _change_configuration(self, request: web.Request) -> web.StreamResponse:
        self._door.configure(await _body(request), self._now())
        return _json(self._door.configuration)

    async def _activities(self, request: web.Request) -> web.StreamResponse:
        self._door.advance(self._now())
        return _json(queries.activities(self._door, request.query, request.match_info.get("kind", "")))

    async def _positions(self, request: web.Request) -> web.StreamResponse:
        del request
        self._door.advance(self._now())
        return _json(queries.positions(self._door, self._now()))

    async def _position(self, request: web.Request) -> web.StreamResponse:
        self._door.advance(self._now())
        return _json(queries.position(self._door, request.match_info["symbol"], self._now()))

    async def _close_position(self, request: web.Request) -> web.StreamResponse:
        return _json(self._close(request.match_info["symbol"], request.query))

    async def _close_positions(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("cancel_orders", "").lower() == "true":
            for ticket in self._door.open_tickets():
                self._try_cancel(ticket)
        rows = []
        for held in queries.positions(self._door, self._now()):
            symbol = str(held["symbol"])
            try:
                rows.append({"symbol": symbol, "status": 200, "body": self._close(symbol, {})})
            except Refused as problem:
                rows.append({"symbol": symbol, "status": problem.status, "body": dict(problem.body)})
        return _json(rows, MULTI)

    def _close(self, name: str, query: Mapping[str, str]) -> words.Json:
        """Sell a position, or a part of it, at the market; buy back a short one."""
        held = Decimal(str(queries.position(self._door, name, self._now())["qty_available"]))
        part, qty = read_number(query, "percentage"), read_number(query, "qty")
        if qty is None:
            qty = abs(held) if part is None else round(abs(held) * part / 100, 9)
        asked = {
            "symbol": queries.symbol_of(self._door, name), "qty": text(qty),
            "side": "sell" if held > ZERO else "buy", "type": "market", "time_in_force": "day",
        }  # fmt: skip
        return words.order_json(self._door.post(asked, self._now()), status="pending_new")

    # The market.

    async def _assets(self, request: web.Request) -> web.StreamResponse:
        return _json(queries.assets(self._door, request.query))

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        return _json(queries.asset(self._door, request.match_info["symbol"]))

    async def _clock(self, request: web.Request) -> web.StreamResponse:
        del request
        return _json(queries.clock(self._door, self._now()))

    async def _calendar(self, request: web.Request) -> web.StreamResponse:
        return _json(queries.calendar(request.query, self._now()))

    async def _quotes(self, request: web.Request) -> web.StreamResponse:
        symbols = [one for one in request.query.get("symbols", "").split(",") if one]
        return _json({"quotes": queries.quotes(self._door, symbols, self._now())})

    async def _quote(self, request: web.Request) -> web.StreamResponse:
        symbol = request.match_info["symbol"]
        found = queries.quotes(self._door, [symbol], self._now())
        if symbol not in found:
            raise refusals.not_found(f"asset not found for {symbol}")
        return _json({"symbol": symbol, "quote": found[symbol]})


async def _body(request: web.Request) -> Mapping[str, Any]:
    try:
        body = json.loads(await request.text(), parse_float=Decimal)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refusals.invalid("request body format is invalid")
    return body


def _json(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def _gateway_timeout() -> web.Response:
    return web.Response(
        status=504, text="<html><h1>504 Gateway Time-out</h1></html>", content_type="text/html"
    )
