"""The unmodified alpaca-py against the venue that speaks as Alpaca does: every call, every answer's shape."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import StockLatestQuoteRequest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetStatus, OrderSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)
from alpaca.trading.stream import TradingStream
from alpaca_world import KEYS, Market, market
from jsonschema import Draft202012Validator
from patience import until

SCHEMA = json.loads((Path(__file__).parent / "alpaca_schema.json").read_text(encoding="utf-8"))
OK, NO_CONTENT, MULTI = 200, 204, 207


def check(name: str, body: Any) -> None:
    """Validate one value against a definition of the extract."""
    Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]}).validate(body)


class Ear:
    """Hear every answer of a client's session, and validate it."""

    def __init__(self, client: Any) -> None:
        self.heard: set[str] = set()
        client._session.hooks["response"].append(self)

    def __call__(self, response: Any, *_: Any, **__: Any) -> None:
        path = response.request.path_url.partition("?")[0]
        call = f"{response.request.method} {path}"
        if response.status_code == NO_CONTENT:
            assert response.content == b""
            return
        body = response.json()
        if response.status_code not in (OK, MULTI):
            check("error", body)
            return
        call = call if call in SCHEMA["answers"] else f"{call.rpartition('/')[0]}/*"
        self.heard.add(call)
        assert (response.status_code == MULTI) == (call in ("DELETE /v2/orders", "DELETE /v2/positions"))
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(response.headers)
        check(SCHEMA["answers"][call], body)


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path, "--fills-by-hand", positions={"BBB": "10"}) as one:
        yield one


@pytest.fixture
def client(venue: Market) -> TradingClient:
    return TradingClient(*KEYS, url_override=venue.url)


async def call(work: Callable[..., Any], *arguments: Any) -> Any:
    """Let the blocking client work in a thread."""
    return await asyncio.to_thread(work, *arguments)


def limit(symbol: str = "AAA", qty: float = 10, price: float = 90, **changes: Any) -> LimitOrderRequest:
    said = {"symbol": symbol, "qty": qty, "limit_price": price, "side": OrderSide.BUY,
            "time_in_force": TimeInForce.DAY, **changes}  # fmt: skip
    return LimitOrderRequest(**said)


def spend(notional: float) -> MarketOrderRequest:
    return MarketOrderRequest(
        symbol="AAA", notional=notional, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
    )


async def test_every_call_of_the_client_is_answered_in_the_published_shape(
    venue: Market, client: TradingClient
) -> None:
    ear = Ear(client)
    await _account(client)
    await _orders(venue, client)
    await _positions(venue, client)
    await _market(client)
    data = StockHistoricalDataClient(*KEYS, url_override=venue.url)
    ear_of_data = Ear(data)
    wanted = StockLatestQuoteRequest(symbol_or_symbols=["AAA", "BBB"])
    quotes = await call(data.get_stock_latest_quote, wanted)
    assert quotes["AAA"].bid_price < 100 < quotes["AAA"].ask_price
    assert ear.heard | ear_of_data.heard == set(SCHEMA["answers"])


async def _account(client: TradingClient) -> None:
    account = await call(client.get_account)
    assert Decimal(account.cash) == Decimal(account.buying_power) == 100_000
    assert account.pattern_day_trader is None
    before = await call(client.get_account_configurations)
    before.no_shorting = True
    assert (await call(client.set_account_configurations, before)).no_shorting


async def _orders(venue: Market, client: TradingClient) -> None:
    first = await call(client.submit_order, limit(client_order_id="mine"))
    assert (await call(client.get_order_by_client_id, "mine")).id == first.id
    assert (await call(client.get_order_by_id, first.id, GetOrderByIdRequest(nested=True))).qty == "10"
    second = await call(client.replace_order_by_id, first.id, ReplaceOrderRequest(qty=12, limit_price=91))
    assert second.replaces == first.id
    assert (await call(client.get_order_by_id, first.id)).status.value == "replaced"
    money = await call(client.submit_order, spend(50))
    assert (money.qty, money.notional) == (None, "50")
    venue.operate("fill", cl_ord_id=money.client_order_id, qty="0.4")
    with pytest.raises(APIError) as caught:
        await call(client.replace_order_by_id, money.id, ReplaceOrderRequest(qty=1))
    assert caught.value.status_code == 422
    sale = limit("BBB", 4, 55, side=OrderSide.SELL, extended_hours=True, time_in_force=TimeInForce.GTC)
    third = await call(client.submit_order, sale)
    assert third.extended_hours
    open_orders = await call(client.get_orders)
    assert {one.id for one in open_orders} == {second.id, money.id, third.id}
    wanted = GetOrdersRequest(
        status=QueryOrderStatus.ALL, limit=500, after=datetime.now(UTC) - timedelta(hours=1),
        until=datetime.now(UTC) + timedelta(hours=1), nested=False, symbols=["BBB"], side=OrderSide.SELL,
    )  # fmt: skip
    assert [one.id for one in await call(client.get_orders, wanted)] == [third.id]
    assert await call(client.cancel_order_by_id, third.id) is None
    assert {one.status for one in await call(client.cancel_orders)} == {200}
    assert await call(client.get_orders) == []
    rows = await call(client.get, "/account/activities", {"page_size": 100})
    assert [row["order_id"] for row in rows] == [str(money.id)]
    assert await call(client.get, "/account/activities/FILL", {"order_id": str(money.id)}) == rows
    venue.operate("activity", kind="DIV", cash="1.5", symbol="BBB", qty="10")
    kinds = await call(client.get, "/account/activities", {"category": "non_trade_activity"})
    assert [one["activity_type"] for one in kinds] == ["DIV"]


async def _positions(venue: Market, client: TradingClient) -> None:
    held = {one.symbol: one for one in await call(client.get_all_positions)}
    assert (held["AAA"].qty, held["BBB"].qty_available) == ("0.4", "10")
    assert (await call(client.get_open_position, "BBB")).side.value == "long"
    half = await call(client.close_position, "BBB", ClosePositionRequest(percentage="50"))
    assert half.qty == "5"
    assert (await call(client.get_open_position, held["BBB"].asset_id)).qty_available == "5"
    one = await call(client.close_position, "BBB", ClosePositionRequest(qty="1"))
    venue.operate("fill", cl_ord_id=one.client_order_id, qty="1")
    closed = await call(client.close_all_positions, True)  # noqa: FBT003 - the client's own signature
    assert {(row.symbol, row.status) for row in closed} == {("AAA", 200), ("BBB", 200)}


async def _market(client: TradingClient) -> None:
    assert (await call(client.get_clock)).is_open
    days = await call(client.get_calendar, GetCalendarRequest(start=date(2026, 3, 2), end=date(2026, 3, 8)))
    assert [day.date.day for day in days] == [2, 3, 4, 5, 6]
    active = await call(client.get_all_assets, GetAssetsRequest(status=AssetStatus.ACTIVE))
    assert {asset.symbol for asset in active} == {"AAA", "BBB", "CCC", "PNY"}
    assert (await call(client.get_asset, "AAA")).fractionable
    assert (await call(client.get_asset, active[0].id)).symbol == active[0].symbol


REFUSALS: list[tuple[str, Callable[[TradingClient], Any], int, int | None, str]] = [
    ("qty", lambda c: c.submit_order(limit(qty=0.1 + 0.2, price=90)), 422, 40010001, "steps"),
    ("sub-penny", lambda c: c.submit_order(limit(price=90.123)), 422, 42210000, "sub-penny"),
    ("power", lambda c: c.submit_order(limit(qty=2000)), 403, 40310000, "insufficient buying power"),
    ("shares", lambda c: c.submit_order(limit("BBB", 11, 60, side=OrderSide.SELL)), 403, 40310000, "qty"),
    ("asset", lambda c: c.submit_order(limit("NONE")), 422, 40010001, "not found"),
    ("dollar", lambda c: c.submit_order(spend(0.5)), 422, 42210000, "minimal amount"),
    ("cent", lambda c: c.submit_order(spend(33.333333)), 422, 40010001, "steps"),
    ("order", lambda c: c.get_order_by_id(UUID(int=1)), 404, 40410000, "order not found"),
    ("name", lambda c: c.get_order_by_client_id("never"), 404, 40410000, "order not found"),
    ("position", lambda c: c.get_open_position("AAA"), 404, 40410000, "position does not exist"),
    ("no asset", lambda c: c.get_asset("NONE"), 404, 40410000, "asset not found"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case[0])
async def test_refusals_have_the_codes_and_words_of_the_venue(
    venue: Market, client: TradingClient, case: tuple[str, Any, int, int | None, str]
) -> None:
    _, work, status, code, words = case
    Ear(client)
    with pytest.raises(APIError) as caught:
        await call(work, client)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert words in caught.value.message
    assert not venue.orders()


async def test_a_second_use_of_an_id_and_the_other_side_are_refused(client: TradingClient) -> None:
    first = await call(client.submit_order, limit("BBB", 1, 45, client_order_id="mine"))
    with pytest.raises(APIError, match="client_order_id must be unique"):
        await call(client.submit_order, limit(client_order_id="mine"))
    with pytest.raises(APIError) as caught:
        await call(client.submit_order, limit("BBB", 1, 45, side=OrderSide.SELL))
    assert json.loads(caught.value._error)["existing_order_id"] == str(first.id)
    await call(client.cancel_order_by_id, first.id)
    with pytest.raises(APIError, match='already in \\\\"canceled\\\\" state'):
        await call(client.cancel_order_by_id, first.id)


async def test_wrong_keys_are_unauthorized(venue: Market) -> None:
    with pytest.raises(APIError, match="unauthorized"):
        await call(TradingClient("KEY", "WRONG", url_override=venue.url).get_account)
    bearer = TradingClient(oauth_token=KEYS[1], url_override=venue.url)
    assert (await call(bearer.get_account)).status.value == "ACTIVE"


class Listener:
    """The unmodified stream, and every raw message it was sent."""

    def __init__(self, venue: Market) -> None:
        self.raw: list[dict[str, Any]] = []
        self.updates: list[Any] = []
        self.stream = TradingStream(*KEYS, url_override=venue.stream_url)
        self.stream.subscribe_trade_updates(self._note)
        self.streams = venue.world.streams
        told = venue.world.streams.tell
        venue.world.door._teller._tell = lambda event: (self.raw.append(event), told(event))[1]

    async def _note(self, update: Any) -> None:
        self.updates.append(update)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.stream._run_forever())
        await self.until(lambda: self.stream._running and bool(self.streams._listening))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.stream.close()

    async def until(self, is_so: Callable[[], bool]) -> None:
        await until(is_so, lambda: [one["event"] for one in self.raw])


async def test_every_event_reaches_the_unmodified_stream_in_the_published_shape(tmp_path: Path) -> None:
    options = ("--fills-by-hand", "--cancel-ms", "200")
    async with market(tmp_path, *options) as venue, Listener(venue) as heard:
        door, now = venue.world.door, lambda: datetime.now(UTC)

        def post(name: str) -> str:
            body = {"symbol": "AAA", "qty": "10", "side": "buy", "type": "limit", "limit_price": "90",
                    "time_in_force": "day", "client_order_id": name}  # fmt: skip
            return door.post(body, now()).order_id

        partly, canceled = post("partly"), post("canceled")
        venue.operate("fill", cl_ord_id="partly", qty="4")
        venue.operate("fill", cl_ord_id="partly", qty="6")
        await heard.until(lambda: any(one["event"] == "fill" for one in heard.raw))
        fills = [one["execution_id"] for one in heard.raw if "price" in one]
        venue.operate("correct", exec_id=fills[0], qty="3", price="89")
        venue.operate("bust", exec_id=fills[1])
        door.cancel(canceled, now())
        door.cancel(post("too late"), now())
        venue.operate("fill", cl_ord_id="too late", qty="10")
        replaced, kept = post("replaced"), post("kept")
        door.replace(replaced, {"qty": "11"}, now())
        venue.fault("replace_rejected")
        door.replace(kept, {"qty": "11"}, now())
        for event in ("pending_new", "calculated", "held"):
            venue.operate("say", cl_ord_id="kept", event=event)
        venue.operate("guarantee", cl_ord_id="kept", price="90")
        venue.operate("halt", symbol="AAA")
        venue.operate("resume", symbol="AAA")
        post("done")
        venue.operate("done", cl_ord_id="done")
        await heard.until(lambda: venue.world.status()["is_quiet"])
        venue.operate("close_market")
        post("early")
        venue.operate("open_market")
        venue.operate("close")
        wanted = set(SCHEMA["$defs"]["trade_update"]["properties"]["event"]["enum"])
        await heard.until(lambda: wanted == {one["event"] for one in heard.raw})
        await heard.until(lambda: len(heard.updates) == len(heard.raw))
        for raw in heard.raw:
            check("trade_update", json.loads(json.dumps(raw)))
        assert [str(getattr(one.event, "value", one.event)) for one in heard.updates] == [
            one["event"] for one in heard.raw
        ]
        assert partly in {str(one.order.id) for one in heard.updates}


@pytest.mark.parametrize("field", ["status", "filled_qty", "submitted_at", "id"])
def test_an_order_of_another_shape_does_not_pass(field: str) -> None:
    """A check that cannot fail proves nothing."""
    order = dict.fromkeys(SCHEMA["$defs"]["order"]["required"]) | {
        "id": str(UUID(int=1)), "client_order_id": "x", "created_at": "2026-03-02T14:30:00Z",
        "submitted_at": "2026-03-02T14:30:00Z", "asset_id": str(UUID(int=2)), "symbol": "AAA", "qty": "1",
        "asset_class": "us_equity", "filled_qty": "0", "order_class": "", "type": "market", "side": "buy",
        "time_in_force": "day", "status": "new", "extended_hours": False, "order_type": "market",
        "position_intent": "buy_to_open",
    }  # fmt: skip
    check("order", order)
    with pytest.raises(Exception, match=r"7 is not .*"):
        check("order", {**order, field: 7})
