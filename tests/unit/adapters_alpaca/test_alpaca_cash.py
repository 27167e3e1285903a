"""Buys of an amount of money, over real sockets, whatever goes wrong between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alpaca_world import Desk, Market, desk, market

from gateway.domain.life import step
from gateway.domain.order import Order, OrderSpec, OrdStatus, OrdType, TimeInForce
from gateway.events import MessageRefused, OrderUnknown, SendInDoubt
from gateway.oms.booking import by_totals

CASH = Decimal("1234.56")


@pytest_asyncio.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path, cash="10000") as made:
        yield made


def money(there: Desk, **changes: Any) -> OrderSpec:
    return there.order(**{"ord_type": OrdType.MARKET, "price": None, "cash_order_qty": CASH, **changes})


def followed(there: Desk, spec: OrderSpec) -> Order:
    """Take every report of an order as the order manager does."""
    order = Order(spec, datetime.now(UTC))
    for report in there.reports(spec):
        read = by_totals(order, report)
        change = step(order, read)
        assert not change.illegal
        order.take(read, change, datetime.now(UTC))
    return order


def spent(venue: Market, spec: OrderSpec) -> tuple[Decimal, Decimal]:
    """Return units and money of the one order the venue has of this name."""
    (theirs,) = (one for one in venue.orders() if one["cl_ord_id"] == spec.cl_ord_id)
    fills = [(Decimal(one["last_qty"]), Decimal(one["last_px"])) for one in theirs["fills"]]
    return sum((qty for qty, _ in fills), Decimal(0)), sum((qty * px for qty, px in fills), Decimal(0))


async def agree(there: Desk, venue: Market, spec: OrderSpec) -> None:
    """Wait until the order has filled, and hold our sums to the venue's."""
    await there.report(spec, lambda one: one.ord_status is OrdStatus.FILLED)
    order, (units, paid) = followed(there, spec), spent(venue, spec)
    assert (order.ord_status, order.cum_qty, order.order_qty) == (OrdStatus.FILLED, units, units)
    assert abs(order.notional - paid) < Decimal("0.0001")
    assert CASH - Decimal("0.01") < paid <= CASH
    assert venue.cash() == Decimal(10_000) - paid


async def test_it_spends_its_money_and_the_venue_says_on_how_much(venue: Market) -> None:
    async with desk(venue) as there:
        spec = money(there)
        there.submit(spec)
        await agree(there, venue, spec)
        assert all(one.order_qty is None for one in there.reports(spec)), "the venue shows no quantity"


@pytest.mark.parametrize("fault", ["post_504_after", "post_reset_after", "post_nonsense"])
async def test_taken_but_not_answered_it_is_found_and_spent_once(venue: Market, fault: str) -> None:
    async with desk(venue) as there:
        venue.fault(fault)
        spec = money(there)
        there.submit(spec)
        is_unread = fault == "post_nonsense"  # nobody reads the answer if the stream was first
        await there.until(lambda: bool(there.of(SendInDoubt) or (is_unread and there.reports(spec))))
        there.look_up(spec)
        await agree(there, venue, spec)
        there.submit(spec, poss_resend=True)
        there.look_up(spec)
        await agree(there, venue, spec)


async def test_never_arrived_it_is_sent_again_with_the_same_name_and_the_same_money(venue: Market) -> None:
    async with desk(venue) as there:
        venue.fault("post_504_before")
        spec = money(there)
        there.submit(spec)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        there.look_up(spec)
        await there.until(lambda: bool(there.of(OrderUnknown)))
        venue.operate("price", symbol="AAA", price="97")
        there.submit(spec, poss_resend=True)
        await agree(there, venue, spec)
        assert followed(there, spec).cum_qty > spec.order_qty * Decimal("1.2")


async def test_a_successor_that_knows_nothing_learns_what_the_money_bought(tmp_path: Path) -> None:
    async with market(tmp_path, "--fill-delay-ms", "300", "--partials", "4", cash="10000") as venue:
        async with desk(venue) as first:
            spec = money(first)
            first.submit(spec)
            await first.report(spec, lambda one: bool(one.order_id))
        async with desk(venue) as there:
            there.look_up(spec)
            await there.until(lambda: spent(venue, spec)[1] > CASH - Decimal("0.01"))
            there.look_up(spec)
            await agree(there, venue, spec)


async def test_half_spent_and_cancelled_it_keeps_what_it_bought(tmp_path: Path) -> None:
    async with market(tmp_path, "--fills-by-hand", cash="10000") as venue, desk(venue) as there:
        spec = money(there)
        there.submit(spec)
        await there.report(spec, lambda one: bool(one.order_id))
        venue.operate("fill", cl_ord_id=spec.cl_ord_id, qty="3.5")
        await there.report(spec, lambda one: one.cum_qty == Decimal("3.5"))
        there.cancel(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.CANCELED)
        order = followed(there, spec)
        assert (order.ord_status, order.cum_qty, order.leaves_cash) == (OrdStatus.CANCELED, Decimal("3.5"), 0)


async def test_given_while_the_market_is_closed_it_waits_for_the_open(venue: Market) -> None:
    async with desk(venue) as there:
        venue.operate("close_market")
        spec = money(there)
        there.submit(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
        venue.operate("price", symbol="AAA", price="110")
        venue.operate("open_market")
        await agree(there, venue, spec)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cash_order_qty": Decimal("0.50")}, r"$1 at least; set min_notional of AAA"),
        ({"time_in_force": TimeInForce.GOOD_TILL_CANCEL}, "for the day only"),
        ({"cash_order_qty": Decimal(20_000)}, "insufficient buying power"),
    ],
)
async def test_what_cannot_be_is_refused_with_a_reason(
    venue: Market, changes: dict[str, Any], words: str
) -> None:
    async with desk(venue) as there:
        there.submit(money(there, **changes))
        await there.until(lambda: bool(there.of(MessageRefused)))
        assert words in there.of(MessageRefused)[0].text


async def test_whole_shares_only_means_no_money_either(tmp_path: Path) -> None:
    async with market(tmp_path, "--whole-only", "AAA", cash="10000") as venue, desk(venue) as there:
        await there.until(lambda: bool(there.broker._around._assets._assets))
        there.submit(money(there, order_qty=Decimal(12)))
        await there.until(lambda: bool(there.of(MessageRefused)))
        assert "AAA is not fractionable" in there.of(MessageRefused)[0].text
