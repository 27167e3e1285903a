"""What every broker keeps: the rules of `adapters/base.py`, each venue over its real protocol."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from broker_ground import Ground

from adapters.base import NotSent
from gateway.domain.order import OrdStatus, OrdType
from gateway.events import CancelRejected, MessageRefused, OrderUnknown, SendOrder, SendWithheld

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_order_rests_is_cancelled_and_every_report_names_it(ground: Ground) -> None:
    spec = ground.order()
    ground.submit(spec)
    await ground.until(lambda: bool(ground.reports(spec)))
    assert ground.last(spec).ord_status is OrdStatus.NEW
    assert ground.last(spec).order_id
    ground.cancel(spec)
    await ground.until(lambda: ground.last(spec).ord_status is OrdStatus.CANCELED)
    assert ground.last(spec).cum_qty == 0
    assert [one["status"] for one in ground.at_venue(spec)] == ["canceled"]


async def test_what_fills_is_told_to_the_last_share_and_cent(ground: Ground) -> None:
    spec = ground.marketable()
    ground.submit(spec)
    await ground.until(lambda: any(one.ord_status is OrdStatus.FILLED for one in ground.reports(spec)))
    found = ground.at_venue(spec)[0]
    filled = max(ground.reports(spec), key=lambda one: one.cum_qty)
    assert filled.cum_qty == Decimal(found["cum_qty"]) == spec.order_qty
    prices = {Decimal(fill["last_px"]) for fill in found["fills"]}
    told = [one.last_px if one.last_px is not None else one.avg_px for one in ground.reports(spec)]
    assert prices <= {px for px in told if px is not None}


async def test_a_cancel_that_comes_too_late_is_refused_and_the_fill_stands(ground: Ground) -> None:
    spec = ground.marketable()
    ground.submit(spec)
    await ground.until(lambda: any(one.ord_status is OrdStatus.FILLED for one in ground.reports(spec)))
    ground.cancel(spec)
    await ground.until(lambda: any(isinstance(one, CancelRejected) for one in ground.said))
    refused = next(one for one in ground.said if isinstance(one, CancelRejected))
    assert refused.orig_cl_ord_id == spec.cl_ord_id
    assert [one["status"] for one in ground.at_venue(spec)] == ["filled"]


async def test_one_client_id_is_one_order_however_often_it_is_sent(ground: Ground) -> None:
    spec = ground.order()
    ground.submit(spec)
    await ground.until(lambda: bool(ground.reports(spec)))
    told = len(ground.said)
    ground.submit(spec, poss_resend=True)
    await ground.until(lambda: len(ground.said) > told)
    assert len(ground.at_venue(spec)) == 1
    assert ground.reports(spec)[0].ord_status is OrdStatus.NEW


async def test_money_buys_what_it_buys_where_a_venue_takes_it_and_once(ground: Ground) -> None:
    if not ground.broker.capabilities.cash_orders:
        pytest.skip("this venue takes orders of a quantity only")
    cash = Decimal("1234.56")
    spec = ground.order(ord_type=OrdType.MARKET, price=None, cash_order_qty=cash)
    ground.submit(spec)
    await ground.until(lambda: any(one.ord_status is OrdStatus.FILLED for one in ground.reports(spec)))
    ground.submit(spec, poss_resend=True)
    await ground.until(lambda: any(one.leaves_qty is None for one in ground.reports(spec)))
    (theirs,) = ground.at_venue(spec)
    paid = sum(Decimal(one["last_qty"]) * Decimal(one["last_px"]) for one in theirs["fills"])
    assert cash - Decimal("0.01") < paid <= cash
    assert ground.last(spec).cum_qty == Decimal(theirs["cum_qty"])


async def test_what_the_venue_will_not_take_is_refused_with_a_reason(ground: Ground) -> None:
    spec = replace(
        ground.order(symbol=ground.symbols[0]), symbol="XXX/YYY" if "/" in ground.symbols[0] else "NONE"
    )
    ground.submit(spec)

    def is_refused() -> bool:
        rejected = [one for one in ground.reports(spec) if one.ord_status is OrdStatus.REJECTED]
        refused = [one for one in ground.said if isinstance(one, MessageRefused)]
        return bool([one.text for one in (*rejected, *refused) if one.text])

    await ground.until(is_refused)


async def test_an_order_that_was_never_sent_is_unknown_where_one_can_ask(ground: Ground) -> None:
    spec = ground.order()
    ground.look_up(spec)
    if ground.broker.capabilities.can_look_up:
        await ground.until(lambda: any(isinstance(one, OrderUnknown) for one in ground.said))
        unknown = next(one for one in ground.said if isinstance(one, OrderUnknown))
        assert unknown.cl_ord_id == spec.cl_ord_id
    else:
        await ground.until(lambda: any(isinstance(one, SendWithheld) for one in ground.said))
        assert next(one for one in ground.said if isinstance(one, SendWithheld)).is_answer


async def test_a_working_order_is_shown_when_it_is_asked_for(ground: Ground) -> None:
    spec = ground.order()
    ground.submit(spec)
    await ground.until(lambda: bool(ground.reports(spec)))
    if not ground.broker.capabilities.can_look_up:
        pytest.skip("this venue answers for no order")
    told = len(ground.reports(spec))
    ground.look_up(spec, ground.last(spec).order_id)
    await ground.until(lambda: len(ground.reports(spec)) > told)
    assert ground.last(spec).ord_status is OrdStatus.NEW


async def test_a_successor_goes_on_behind_the_last_place_and_finds_what_filled_meanwhile(
    ground: Ground,
) -> None:
    spec = ground.order()
    ground.submit(spec)
    await ground.until(lambda: bool(ground.reports(spec)))
    before, order_id = ground.seqs(), ground.last(spec).order_id
    assert before == sorted(set(before))
    await ground.stop()
    ground.tell_venue("fill", cl_ord_id=spec.cl_ord_id, qty="10")
    await ground.successor(before[-1])
    if not ground.broker.capabilities.replays_executions:
        ground.look_up(spec, order_id)
    await ground.until(lambda: any(one.cum_qty == spec.order_qty for one in ground.reports(spec)))
    assert all(seq > before[-1] for seq in ground.seqs())
    assert ground.seqs() == sorted(set(ground.seqs()))


async def test_a_venue_that_went_away_takes_nothing_and_says_so(ground: Ground) -> None:
    ground.stage.kill("venue")
    spec = ground.order()

    def is_refused() -> bool:
        try:
            ground.submit(replace(spec, cl_ord_id=ground.order().cl_ord_id))
        except NotSent:
            return True
        return any(isinstance(one, SendWithheld) for one in ground.said)

    await ground.until(is_refused)


async def test_stopping_twice_does_no_harm_and_nothing_leaves_after(venue_ground: Ground) -> None:
    ground = venue_ground  # last, so that nobody connects once more for it
    await ground.stop()
    await ground.broker.stop()
    with pytest.raises(NotSent):
        ground.broker.submit(SendOrder(ground.order()))
