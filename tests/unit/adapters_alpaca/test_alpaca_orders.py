"""Orders over a line that breaks: once each, and the end of each found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from alpaca_world import Market, desk, desk_at, market

from adapters.alpaca import sending
from adapters.alpaca.asking import Asking
from adapters.alpaca.client import Answer
from adapters.base import NotSent
from gateway.domain.order import OrdStatus, OrdType, Side, TimeInForce
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LinkDown,
    LinkUp,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    SendInDoubt,
    SendOrder,
    SendWithheld,
)
from simulator.alpaca import refusals


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path, positions={"BBB": "10"}) as one:
        yield one


async def settled() -> None:
    """Let everything under way arrive."""
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("fault", ["post_504_after", "post_reset_after"])
async def test_an_order_taken_but_not_answered_is_in_doubt_and_found(venue: Market, fault: str) -> None:
    async with desk(venue) as there:
        venue.fault(fault)
        spec = there.order()
        there.submit(spec)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        there.look_up(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
        there.submit(spec, poss_resend=True)
        await settled()
        assert len(venue.orders()) == 1
        assert not there.of(MessageRefused)


@pytest.mark.parametrize("fault", ["post_504_before", "post_reset_before"])
async def test_an_order_that_never_arrived_is_unknown_and_sent_again_once(venue: Market, fault: str) -> None:
    async with desk(venue) as there:
        venue.fault(fault)
        spec = there.order()
        there.submit(spec)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        there.look_up(spec)
        await there.until(lambda: bool(there.of(OrderUnknown)))
        there.submit(spec, poss_resend=True)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
        assert len(venue.orders()) == 1


async def test_not_found_is_no_answer_about_an_order_sent_meanwhile(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(venue) as there:
        venue.fault("post_504_before")
        spec = there.order()
        there.submit(spec)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        asked, released, plain = asyncio.Event(), asyncio.Event(), Asking.one

        async def one(self: Asking, name: str) -> Answer:
            answer = await plain(self, name)
            asked.set()
            await released.wait()
            return answer

        monkeypatch.setattr(Asking, "one", one)
        there.look_up(spec)
        await asked.wait()
        there.submit(spec, poss_resend=True)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
        told = len(there.reports(spec))
        released.set()
        await there.until(lambda: len(there.reports(spec)) > told)
        assert not there.of(OrderUnknown)


async def test_an_answer_that_never_comes_is_waited_for_five_seconds_at_most(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(venue) as there:
        monkeypatch.setattr("adapters.alpaca.client.ANSWER_S", 0.3)
        for count, fault in ((0, "post_timeout_before"), (1, "post_timeout_after")):
            venue.fault(fault)
            there.said.clear()
            there.submit(there.order())
            await there.until(lambda: bool(there.of(SendInDoubt)))
            assert "waiting for the answer" in there.of(SendInDoubt)[0].reason
            assert len(venue.orders()) == count


async def test_a_429_is_waited_out_and_the_order_leaves_once(venue: Market) -> None:
    async with desk(venue) as there:
        venue.fault("too_many")
        spec = there.order()
        there.submit(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
        assert len(venue.orders()) == 1
        assert venue.world.mishaps.struck["too_many"] == 1


async def test_a_used_id_nobody_can_be_asked_about_leaves_the_order_in_doubt(venue: Market) -> None:
    """Were it withheld, the engine would believe that the venue has no such order."""
    async with desk(venue) as there:
        spec = there.order()
        there.submit(spec)
        await there.report(spec, lambda one: bool(one.order_id))
        venue.fault("get_504", count=1000)
        there.submit(spec)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        venue.world.calm()
        assert "unique" in there.of(SendInDoubt)[0].reason
        broken = there.broker._asking

        async def nobody(name: str) -> None:
            raise NotSent(f"nobody listens: {name}")

        broken.one = nobody  # type: ignore[method-assign, assignment]
        there.submit(spec)
        await there.until(lambda: len(there.of(SendInDoubt)) > 1)
        assert not there.of(SendWithheld)


async def test_what_has_not_left_is_given_back_cancelled_or_answered_for(venue: Market) -> None:
    async with desk(venue) as there:
        venue.fault("too_many", count=10_000)
        specs = [there.order() for _ in range(4)]
        for spec in specs:
            there.submit(spec)
        waiting = there.broker._sending
        assert waiting is not None
        await there.until(lambda: all(waiting.is_waiting(one.cl_ord_id) for one in specs))
        there.cancel(specs[0])
        there.look_up(specs[1])
        there.broker.recall("other", "not ours")
        there.broker.recall("main", "halted")
        withheld = there.of(SendWithheld)
        await there.until(lambda: len(there.of(SendWithheld)) == 4)
        withheld = {one.cl_ord_id: one for one in there.of(SendWithheld)}
        assert withheld[specs[0].cl_ord_id].reason == "cancelled before it left"
        assert withheld[specs[1].cl_ord_id].is_answer
        assert {withheld[one.cl_ord_id].reason for one in specs[2:]} == {"halted"}
        assert not venue.orders()


async def test_orders_the_venue_would_refuse_are_refused_before_they_leave(venue: Market) -> None:
    venue.operate("deactivate", symbol="AAA")
    venue.operate("restrict", symbol="BBB")
    async with desk(venue) as there:
        await there.until(lambda: bool(there.broker._around._assets._assets.get("PNY")))
        bad = [
            (there.order(), "inactive"),
            (there.order(symbol="BBB", price=Decimal(40)), "only be sold"),
            (there.order(symbol="CCC", price=Decimal("20.123")), "2 decimals"),
            (there.order(symbol="CCC", order_qty=Decimal("0.01"), price=Decimal(20)), "$1"),
        ]
        for spec, _ in bad:
            there.submit(spec)
        await there.until(lambda: len(there.of(MessageRefused)) == len(bad))
        said = {one.cl_ord_id: one.text for one in there.of(MessageRefused)}
        assert all(words in said[spec.cl_ord_id] for spec, words in bad), said
        sale = there.order(symbol="BBB", side=Side.SELL, price=Decimal("49.00"))
        there.submit(sale)
        await there.report(sale, lambda one: one.ord_status is OrdStatus.FILLED)
        assert len(venue.orders()) == 1


async def test_an_asset_that_turned_inactive_is_refused_at_home_the_second_time(venue: Market) -> None:
    async with desk(venue) as there:
        await there.until(lambda: bool(there.broker._around._assets._assets.get("PNY")))
        venue.operate("deactivate", symbol="AAA")
        first, second = there.order(), there.order()
        there.submit(first)
        await there.until(lambda: bool(there.of(MessageRefused)))
        assert "not active" in there.of(MessageRefused)[0].text
        await there.until(lambda: there.broker._around._assets._assets["AAA"]["status"] == "inactive")
        there.submit(second)
        await there.until(lambda: len(there.of(MessageRefused)) == 2)
        assert "status inactive" in there.of(MessageRefused)[1].text


async def test_fractions_go_out_to_nine_decimals_unless_the_account_has_none(tmp_path: Path) -> None:
    async with market(tmp_path, "--whole-only", "CCC") as venue:
        async with desk(venue) as there:
            await there.until(lambda: bool(there.broker._around._assets._assets.get("PNY")))
            spec = there.buy(order_qty=Decimal("0.123456789"))
            there.submit(spec)
            found = await there.report(spec, lambda one: one.ord_status is OrdStatus.FILLED)
            assert found.cum_qty == Decimal("0.123456789")
            whole = there.order(symbol="CCC", order_qty=Decimal("0.5"), price=Decimal(20))
            there.submit(whole)
            await there.until(lambda: bool(there.of(MessageRefused)))
            assert "not fractionable" in there.of(MessageRefused)[0].text
        venue.world.door.configuration |= {"fractional_trading": False, "suspend_trade": True}
        async with desk(venue) as there:
            await there.until(lambda: bool(there.broker._around._assets._assets.get("PNY")))
            there.submit(there.order(order_qty=Decimal("0.5")))
            await there.until(lambda: bool(there.of(MessageRefused)))
            assert "does not trade fractions" in there.of(MessageRefused)[0].text


async def test_our_own_order_on_the_other_side_is_cancelled_its_end_awaited_then_traded(
    venue: Market,
) -> None:
    async with desk(venue) as there:
        resting = there.order(symbol="BBB", side=Side.SELL, price=Decimal("51.00"))
        there.submit(resting)
        await there.report(resting, lambda one: one.ord_status is OrdStatus.NEW)
        buying = there.order(symbol="BBB", price=Decimal("52.00"), order_qty=Decimal(1))
        there.submit(buying)
        await there.report(buying, lambda one: one.ord_status is OrdStatus.FILLED)
        await there.report(resting, lambda one: one.ord_status is OrdStatus.CANCELED)
        assert [one["status"] for one in venue.orders()] == ["canceled", "filled"]


async def test_all_our_orders_on_the_other_side_go_and_a_refusal_need_not_name_them(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(venue) as there:
        for price in ("51.00", "51.50"):
            resting = there.order(symbol="BBB", side=Side.SELL, price=Decimal(price), order_qty=Decimal(2))
            there.submit(resting)
            await there.report(resting, lambda one: one.ord_status is OrdStatus.NEW)
        plain = refusals.forbidden("potential wash trade detected. use complex orders")
        monkeypatch.setattr(refusals, "wash_trade", lambda *_: plain)
        buying = there.order(symbol="BBB", price=Decimal("52.00"), order_qty=Decimal(1))
        there.submit(buying)
        await there.report(buying, lambda one: one.ord_status is OrdStatus.FILLED)
        assert [one["status"] for one in venue.orders()] == ["canceled", "canceled", "filled"]


async def test_a_refusal_that_names_nobody_where_nobody_is_stays_one(venue: Market) -> None:
    async with desk(venue) as there:
        answer = Answer(403, {"message": "potential wash trade detected"})
        wish = SendOrder(there.order(side=Side.SELL))
        assert not await there.broker._sending._clear_the_way(wish, answer)
        gone = Answer(403, {"message": "potential wash trade detected", "existing_order_id": "gone"})
        assert await there.broker._sending._clear_the_way(wish, gone), "it has ended meanwhile"


async def test_somebody_elses_order_on_the_other_side_is_left_alone(venue: Market) -> None:
    async with desk(venue) as there:
        body = {"symbol": "BBB", "qty": "1", "side": "sell", "type": "limit", "limit_price": "51",
                "time_in_force": "day", "client_order_id": "by hand"}  # fmt: skip
        venue.world.door.post(body, there.broker._now())
        buying = there.order(symbol="BBB", price=Decimal("52.00"), order_qty=Decimal(1))
        there.submit(buying)
        await there.until(lambda: bool(there.of(MessageRefused)))
        assert "wash trade" in there.of(MessageRefused)[0].text
        assert [one["status"] for one in venue.orders()] == ["new"]


async def test_an_opposite_order_that_will_not_end_is_waited_for_so_long_and_no_longer(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WAY_CLEAR_S", 0.4)
    monkeypatch.setattr(sending, "WAY_POLL_S", 0.1)
    async with desk(venue) as there:
        resting = there.order(symbol="BBB", side=Side.SELL, price=Decimal("51.00"))
        there.submit(resting)
        await there.report(resting, lambda one: one.ord_status is OrdStatus.NEW)
        venue.fault("stuck_cancel")
        there.submit(there.order(symbol="BBB", price=Decimal("52.00"), order_qty=Decimal(1)))
        await there.until(lambda: bool(there.of(MessageRefused)))
        await there.report(resting, lambda one: one.ord_status is OrdStatus.PENDING_CANCEL)


async def test_a_refused_order_whose_way_cannot_be_cleared_is_withheld_not_doubted(venue: Market) -> None:
    async with desk(venue) as there:
        resting = there.order(symbol="BBB", side=Side.SELL, price=Decimal("51.00"))
        there.submit(resting)
        await there.report(resting, lambda one: one.ord_status is OrdStatus.NEW)
        venue.fault("get_reset", count=1000)
        buying = there.order(symbol="BBB", price=Decimal("52.00"), order_qty=Decimal(1))
        there.submit(buying)
        await there.until(lambda: bool(there.of(SendWithheld)))
        again = there.order(symbol="BBB", price=Decimal("52.00"), order_qty=Decimal(1))
        there.submit(again, poss_resend=True)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        assert len(venue.orders()) == 1


async def test_a_buy_waits_for_the_proceeds_of_a_sale_that_has_just_filled(tmp_path: Path) -> None:
    async with market(tmp_path, cash="10", positions={"BBB": "10"}) as venue, desk(venue) as there:
        sale = there.order(symbol="BBB", side=Side.SELL, price=Decimal("49.00"))
        there.submit(sale)
        await there.report(sale, lambda one: one.ord_status is OrdStatus.FILLED)
        proceeds, venue.world.door.account.cash = venue.cash(), Decimal(10)
        buying = there.buy(order_qty=Decimal(4))
        there.submit(buying)
        await asyncio.sleep(0.5)
        assert not there.reports(buying)
        assert not there.of(MessageRefused)
        venue.world.door.account.cash = proceeds
        await there.report(buying, lambda one: one.ord_status is OrdStatus.FILLED)


async def test_a_buy_nobody_sold_for_is_refused_at_once_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "POWER_WAIT_S", 0.2)
    monkeypatch.setattr(sending, "POWER_POLL_S", 0.1)
    async with market(tmp_path, cash="10", positions={"BBB": "10"}) as venue, desk(venue) as there:
        there.submit(there.buy())
        await there.until(lambda: bool(there.of(MessageRefused)))
        assert "insufficient buying power" in there.of(MessageRefused)[0].text
        there.submit(there.order(symbol="BBB", side=Side.SELL, order_qty=Decimal(11), price=Decimal(49)))
        await there.until(lambda: len(there.of(MessageRefused)) == 2)
        assert "insufficient qty" in there.of(MessageRefused)[1].text
        sale = there.order(symbol="BBB", side=Side.SELL, price=Decimal("49.00"))
        there.submit(sale)
        await there.report(sale, lambda one: one.ord_status is OrdStatus.FILLED)
        there.submit(there.buy(order_qty=Decimal(100)))
        await there.until(lambda: len(there.of(MessageRefused)) == 3)


async def test_a_cancel_answered_504_is_asked_for_again_and_refused_once_over(venue: Market) -> None:
    async with desk(venue) as there:
        spec = there.order()
        there.submit(spec)
        await there.report(spec, lambda one: bool(one.order_id))
        venue.fault("cancel_504")
        there.cancel(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.CANCELED)
        await there.until(lambda: bool(there.of(CancelRejected)))
        assert there.of(CancelRejected)[0].cl_ord_id == f"{spec.cl_ord_id}C"


async def test_a_cancel_waits_for_the_order_that_is_under_way(venue: Market) -> None:
    async with desk(venue) as there:
        venue.fault("event_first")
        spec = there.order()
        there.submit(spec)
        await there.until(lambda: not there.broker._sending.is_waiting(spec.cl_ord_id))  # type: ignore[union-attr]
        there.cancel(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.CANCELED)
        assert not there.of(CancelRejected)


async def test_a_cancel_of_an_order_only_its_id_is_known_of(venue: Market) -> None:
    async with desk(venue) as first:
        spec = first.order()
        first.submit(spec)
        await first.report(spec, lambda one: bool(one.order_id))
    async with desk(venue) as there:
        there.cancel(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.CANCELED)
        unknown = there.order(cl_ord_id="NEVERSENTATALLAA")
        there.cancel(unknown)
        await there.until(lambda: bool(there.of(CancelRejected)))
        assert "404" in there.of(CancelRejected)[0].text


async def test_a_cancel_nobody_hears_is_given_up_after_a_few_tries(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CANCEL_PAUSE_S", 0.01)
    async with desk(venue) as there:
        spec = there.order()
        venue.fault("get_504", count=4)
        there.cancel(spec)
        await there.until(lambda: venue.world.mishaps.struck["get_504"] == 4)
        venue.fault("get_reset", count=1)
        there.cancel(spec)
        await there.until(lambda: bool(there.of(CancelRejected)))
        await venue.world._runner.cleanup()
        there.cancel(spec)
        await settled()
        assert len(there.of(CancelRejected)) == 1


async def test_a_cancel_the_venue_took_and_then_refuses_is_rejected(tmp_path: Path) -> None:
    async with market(tmp_path, "--cancel-ms", "300", "--fills-by-hand") as venue, desk(venue) as there:
        spec = there.order()
        there.submit(spec)
        await there.report(spec, lambda one: bool(one.order_id))
        there.cancel(spec)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.PENDING_CANCEL)
        venue.operate("fill", cl_ord_id=spec.cl_ord_id, qty="10")
        await there.until(lambda: bool(there.of(CancelRejected)))
        assert there.reports(spec)[-1].cum_qty == 10


async def test_extended_hours_are_asked_for_where_the_link_says_so(venue: Market) -> None:
    async with desk(venue, extended_hours=True) as there:
        there.submit(there.order())
        await there.until(lambda: bool(venue.orders()))
        assert next(iter(venue.world.door.tickets.values())).extended_hours
        there.submit(there.order(ord_type=OrdType.MARKET, price=None))
        there.submit(there.order(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL))
        await there.until(lambda: len(there.of(MessageRefused)) == 2)
        assert all("outside of trading hours" in one.text for one in there.of(MessageRefused))


async def test_keys_revoked_in_the_middle_end_the_link_with_a_sentence(venue: Market) -> None:
    there = desk_at(venue)
    await there.start()
    venue.world.web._keys = ("NEW", "KEYS")
    spec = there.order()
    there.submit(spec)
    with pytest.raises(Exception, match="Alpaca refuses the keys; set GATEWAY_LINKS__ALPACA__KEY"):
        await there.until(lambda: False)
    assert there.of(SendWithheld)
    await there.broker.stop()


async def test_before_and_after_its_life_a_broker_takes_nothing(venue: Market) -> None:
    there = desk_at(venue)
    with pytest.raises(NotSent):
        there.submit(there.order())
    with pytest.raises(NotSent):
        there.look_up(there.order())
    there.broker.recall("", "nothing is here")
    await there.broker.stop()
    async with desk(venue) as other:
        pass
    with pytest.raises(NotSent):
        other.broker.submit(SendOrder(other.order()))
    with pytest.raises(NotSent):
        other.broker.cancel(CancelOrder(other.order(), "C", ""))
    with pytest.raises(NotSent):
        other.broker.look_up(LookUpOrder(other.order(), ""))


async def test_a_link_down_gives_back_what_has_not_left(venue: Market) -> None:
    async with desk(venue) as there:
        venue.fault("too_many", count=10_000)
        spec, sending = there.order(), there.broker._sending
        assert sending is not None
        there.submit(spec)
        await there.until(lambda: bool(venue.world.mishaps.struck["too_many"]))
        await there.until(lambda: sending.is_waiting(spec.cl_ord_id))
        there.broker._lose("tried")
        await there.until(lambda: bool(there.of(SendWithheld)) and bool(there.of(LinkDown)))
        with pytest.raises(NotSent):
            there.submit(there.order())
        await there.broker._went_up()
        await there.until(lambda: len(there.of(LinkUp)) == 2)


async def test_an_answer_that_is_no_order_leaves_it_in_doubt(venue: Market) -> None:
    async with desk(venue) as there:
        venue.fault("mute", seconds=5)
        venue.fault("post_nonsense")
        spec = there.order()
        there.submit(spec)
        await there.until(lambda: bool(there.of(SendInDoubt)))
        assert "cannot be read" in there.of(SendInDoubt)[0].reason
        assert not there.of(ReportReceived)
