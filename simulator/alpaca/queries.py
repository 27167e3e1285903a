"""Lists: orders, activities, positions, the calendar; filters and pages as Alpaca's documents give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from simulator.alpaca import refusals, words
from simulator.alpaca.door import Door
from simulator.alpaca.words import Json, Ticket
from simulator.orders import ZERO

Query = Mapping[str, str]
MARKET_ZONE = ZoneInfo("America/New_York")
OPENS, CLOSES = time(9, 30), time(16, 0)
MAX_ORDERS, USUAL_ORDERS = 500, 50
MAX_ACTIVITIES = 100
MAX_DAYS = 3_660
SYMBOL = re.compile(r"[A-Z0-9./]{1,32}")


def orders(door: Door, query: Query) -> list[Json]:
    """GET /v2/orders: `before_order_id` means what came earlier, `after_order_id` later, in any direction."""
    status, limit = query.get("status", "open"), _whole(query, "limit", USUAL_ORDERS, MAX_ORDERS)
    if status not in ("open", "closed", "all"):
        raise refusals.invalid(f"status {status!r} is invalid")
    if query.get("side", "buy") not in ("buy", "sell"):
        raise refusals.invalid(f"side {query['side']!r} is invalid")
    after, until = _time(query, "after"), _time(query, "until")
    has_cursor = bool(query.get("before_order_id") or query.get("after_order_id"))
    if has_cursor and (after is not None or until is not None):
        raise refusals.invalid("after and until cannot be used with before_order_id or after_order_id")
    symbols = set(query["symbols"].split(",")) if query.get("symbols") else None
    classes = set(query.get("asset_class", "us_equity").split(","))
    found = [
        ticket
        for ticket in _between(door, query)
        if (status == "all" or ticket.is_open == (status == "open"))
        and (symbols is None or ticket.order.symbol in symbols)
        and ("side" not in query or (query["side"] == "buy") == ticket.order.is_buy)
        and (after is None or ticket.stamps["submitted_at"] > after)
        and (until is None or ticket.stamps["submitted_at"] < until)
        and classes & {"us_equity", "all"}
    ]  # in the order they came
    if query.get("direction", "desc") == "desc":
        found.reverse()
    return [words.order_json(ticket) for ticket in found[:limit]]


def activities(door: Door, query: Query, kind: str = "") -> list[Json]:
    """GET /v2/account/activities and /v2/account/activities/{kind}."""
    kinds = set((kind or query.get("activity_types", "")).split(",")) - {""}
    category = query.get("category", "")
    if category and kinds:
        raise refusals.invalid("category cannot be used with activity_types")
    size = _whole(query, "page_size", MAX_ACTIVITIES, MAX_ACTIVITIES)
    after, until = _time(query, "after"), _time(query, "until")
    on = _time(query, "date")
    rows = [(at, row) for at, row in _rows(door) if after is None or at > after]
    rows = [(at, row) for at, row in rows if until is None or at < until]
    rows = [(at, row) for at, row in rows if on is None or at.date() == on.date()]
    rows.sort(key=lambda one: one[1]["id"], reverse=query.get("direction", "desc") == "desc")
    found = [
        row
        for _, row in rows
        if (not kinds or row["activity_type"] in kinds)
        and (not category or (row["activity_type"] == "FILL") == (category == "trade_activity"))
        and ("order_id" not in query or row.get("order_id") == query["order_id"])
    ]
    if token := query.get("page_token"):
        places = [place for place, row in enumerate(found) if row["id"] == token]
        found = found[places[0] + 1 :] if places else found
    return found[:size]


def positions(door: Door, now: datetime) -> list[Mapping[str, Any]]:
    """GET /v2/positions."""
    account = door.account
    return [
        position(door, symbol, now) for symbol, qty in sorted(account.positions.items()) if qty
    ]  # fmt: skip


def position(door: Door, name: str, now: datetime) -> Mapping[str, Any]:
    """GET /v2/positions/{symbol or asset id}; raises `Refused`."""
    symbol = symbol_of(door, name)
    qty = door.account.positions.get(symbol, ZERO)
    if not qty:
        raise refusals.not_found("position does not exist")
    market = door.venue.market
    price = market.price(symbol, now) if symbol in market else ZERO
    return words.position_json(symbol, qty, door.reserved(symbol), price, _entry(door, symbol, price))


def symbol_of(door: Door, name: str) -> str:
    """Return the symbol a path names, itself or by its asset id."""
    known = {words.new_id("asset", symbol): symbol for symbol in door.venue.market.symbols}
    return known.get(name, name)


def asset(door: Door, name: str) -> Json:
    """GET /v2/assets/{symbol or id}; raises `Refused`."""
    symbol = symbol_of(door, name)
    if symbol not in door.venue.market:
        raise refusals.not_found(f"asset not found for {name}")
    return words.asset_json(
        symbol, is_active=symbol not in door.inactive, is_tradable=symbol not in door.sell_only,
        is_fractionable=symbol not in door.terms.whole_only,
    )  # fmt: skip


def assets(door: Door, query: Query) -> list[Json]:
    """GET /v2/assets."""
    found = [asset(door, symbol) for symbol in door.venue.market.symbols]
    wanted = set(query["attributes"].split(",")) if query.get("attributes") else set()
    return [
        one
        for one in found
        if query.get("status") in (None, one["status"])
        and query.get("asset_class") in (None, one["class"])
        and query.get("exchange") in (None, one["exchange"])
        and (not wanted or wanted & set(one["attributes"]))
    ]


def clock(door: Door, now: datetime) -> Json:
    """GET /v2/clock: the market is open until an operator closes it."""
    local = now.astimezone(MARKET_ZONE)
    yesterday = local.date() - timedelta(days=1)
    today = local.date() if _next_day(yesterday) == local.date() else _next_day(local.date())
    opens = today if local < datetime.combine(today, OPENS, MARKET_ZONE) else _next_day(today)
    closes = today if local < datetime.combine(today, CLOSES, MARKET_ZONE) else _next_day(today)
    return {
        "timestamp": words.stamp(now),
        "is_open": door.is_open,
        "next_open": datetime.combine(opens, OPENS, MARKET_ZONE).isoformat(),
        "next_close": datetime.combine(closes, CLOSES, MARKET_ZONE).isoformat(),
    }


def calendar(query: Query, now: datetime) -> list[Json]:
    """GET /v2/calendar: every weekday is a trading day here."""
    first = _day(query, "start", now.date() - timedelta(days=30))
    last = _day(query, "end", now.date() + timedelta(days=30))
    days = (first + timedelta(days=step) for step in range(min((last - first).days, MAX_DAYS) + 1))
    return [
        {
            "date": day.isoformat(), "open": "09:30", "close": "16:00", "session_open": "0400",
            "session_close": "2000", "settlement_date": _next_day(day).isoformat(),
        }
        for day in days
        if day.isoweekday() <= 5  # noqa: PLR2004 - Monday to Friday
    ]  # fmt: skip


def quotes(door: Door, symbols: list[str], now: datetime) -> dict[str, Json]:
    """GET /v2/stocks/quotes/latest: numbers are JSON numbers here; symbols of a strange form are refused."""
    if strange := [symbol for symbol in symbols if not SYMBOL.fullmatch(symbol)]:
        raise refusals.Refused(400, None, f"invalid symbol: {strange[0]}")
    market, found = door.venue.market, {}
    quoted_at = now - timedelta(seconds=float(door.quote_age_s))
    for symbol in symbols:
        if symbol in market:
            bid, ask = market.quote(symbol, now)
            found[symbol] = {
                "t": words.stamp(quoted_at), "bp": float(bid), "bs": 1, "bx": "V", "ap": float(ask), "as": 1,
                "ax": "V", "c": ["R"], "z": "C",
            }  # fmt: skip
    return found


def _rows(door: Door) -> list[tuple[datetime, Json]]:
    """Return every activity with its time."""
    found = list(door.happenings.rows())
    for ticket in door.tickets.values():
        cum_qty = ZERO
        for fill in ticket.order.fills:
            cum_qty += fill.last_qty
            found.append((fill.transact_time, words.fill_json(ticket, fill, cum_qty)))
    return found


def _entry(door: Door, symbol: str, price: Decimal) -> Decimal:
    """Return the mean price of what was bought here, today's for what was held before."""
    bought = value = ZERO
    for ticket in door.tickets.values():
        if ticket.order.symbol == symbol and ticket.order.is_buy:
            bought += ticket.order.cum_qty
            value += ticket.order.value
    return round(value / bought, 6) if bought else price


def _between(door: Door, query: Query) -> list[Ticket]:
    """Return the orders between the cursors, in the order they came."""
    found = list(door.tickets.values())
    places = {one.order_id: place for place, one in enumerate(found)}
    first, last = 0, len(found)
    if after := query.get("after_order_id"):
        first = places.get(after, last) + 1
    if before := query.get("before_order_id"):
        last = places.get(before, 0)
    return found[first:last]


def _next_day(day: date) -> date:
    """Return the next weekday."""
    step = {5: 3, 6: 2}.get(day.isoweekday(), 1)
    return day + timedelta(days=step)


def _whole(query: Query, name: str, usual: int, most: int) -> int:
    said = query.get(name, str(usual))
    if not said.isdecimal() or not 1 <= int(said) <= most:
        raise refusals.invalid(f"{name} must be from 1 to {most}")
    return int(said)


def _time(query: Query, name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        at = datetime.fromisoformat(query[name])
    except ValueError:
        raise refusals.invalid(f"{name} is no time: {query[name]!r}") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _day(query: Query, name: str, usual: date) -> date:
    try:
        return date.fromisoformat(query[name][:10]) if name in query else usual
    except ValueError:
        raise refusals.invalid(f"{name} is no date: {query[name]!r}") from None
