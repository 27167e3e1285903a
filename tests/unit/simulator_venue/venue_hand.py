"""A hand for tests of the venue: short words for orders, times and what was said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from simulator.accounts import Accounts, Tariff
from simulator.floor import VenueSettings
from simulator.market import Listing, Market, MarketSettings
from simulator.orders import Answer, CancelOrder, CancelReject, NewOrder, OrdType, ReplaceOrder, Report, Side
from simulator.venue import Venue

T0 = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
CASH = Decimal(1_000_000)


def at(ms: float) -> datetime:
    return T0 + timedelta(milliseconds=ms)


def a_venue(
    *,
    market: MarketSettings | None = None,
    tariff: Tariff | None = None,
    prices: tuple[tuple[str, str], ...] = (("AAPL", "100"), ("IBM", "50")),
    **settings: Any,
) -> Venue:
    """Make a venue that quotes at one price (no spread) unless the market says otherwise."""
    listings = [Listing(symbol, Decimal(price)) for symbol, price in prices]
    accounts = Accounts({"main": (CASH, {"AAPL": Decimal(100)}), "other": (CASH, {})})
    shape = market or MarketSettings(half_spread_bps=Decimal(0))
    return Venue(Market(listings, shape), accounts, VenueSettings(tariff=tariff or Tariff(), **settings))


def buy(cl_ord_id: str, qty: str = "100", limit: str | None = None, **words: Any) -> NewOrder:
    return _order(cl_ord_id, Side.BUY, qty, limit, words)


def sell(cl_ord_id: str, qty: str = "100", limit: str | None = None, **words: Any) -> NewOrder:
    return _order(cl_ord_id, Side.SELL, qty, limit, words)


def _order(cl_ord_id: str, side: str, qty: str, limit: str | None, words: dict[str, Any]) -> NewOrder:
    price = None if limit is None else Decimal(limit)
    kind = OrdType.MARKET if limit is None else OrdType.LIMIT
    settled: dict[str, Any] = {"symbol": "AAPL", "account": "main", "owner": "C", "ord_type": kind, **words}
    return NewOrder(cl_ord_id, side=side, order_qty=Decimal(qty), price=price, **settled)


def drop(cl_ord_id: str, orig: str, **words: Any) -> CancelOrder:
    return CancelOrder(cl_ord_id, orig, **{"owner": "C", **words})


def change(cl_ord_id: str, orig: str, qty: str, limit: str | None = None, **words: Any) -> ReplaceOrder:
    price = None if limit is None else Decimal(limit)
    return ReplaceOrder(cl_ord_id, orig, Decimal(qty), price, **{"owner": "C", **words})


def told(answers: list[Answer]) -> list[str]:
    """Say each answer in a few characters: what, OrdStatus, CumQty/LeavesQty and ids."""
    return [_one(answer) for answer in answers]


def _one(answer: Answer) -> str:
    if isinstance(answer, CancelReject):
        return f"9 {answer.cl_ord_id} {answer.orig_cl_ord_id} {answer.cxl_rej_reason}"
    fill = "" if answer.last_qty is None else f" {answer.last_qty}@{answer.last_px}"
    orig = "" if answer.orig_cl_ord_id is None else f" 41={answer.orig_cl_ord_id}"
    why = "" if answer.ord_rej_reason is None else f" 103={answer.ord_rej_reason}"
    kind, status = answer.exec_type, answer.ord_status
    return f"{answer.cl_ord_id} {kind}/{status} {answer.cum_qty}/{answer.leaves_qty}{fill}{orig}{why}"


def report(answers: list[Answer], place: int = -1) -> Report:
    found = answers[place]
    assert isinstance(found, Report)
    return found


def reject(answers: list[Answer], place: int = -1) -> CancelReject:
    found = answers[place]
    assert isinstance(found, CancelReject)
    return found
