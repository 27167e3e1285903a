"""Answers, outages, restarts and stops that cross: each of these went wrong once, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ibkr_ground import OURS, PRICES, Ground, grounds, naive_order, naive_reader, naive_until, stock

from adapters.base import InThisProcess
from adapters.ibkr import said
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.pauses import Restart
from adapters.ibkr.quotes import IbkrQuotes
from adapters.ibkr.wire import Ticket
from gateway.domain.order import OrdStatus
from gateway.events import LinkDown, LinkNoticed, MessageRefused, PricesUpdated, SendInDoubt, SendWithheld
from gateway.runtime.clock import SystemClock

BY_HAND = "--fills-by-hand"
SOCKETS_S = 10.0


@pytest.fixture
async def by_hand(tmp_path: Path) -> AsyncIterator[Ground]:
    async with grounds(tmp_path, BY_HAND) as made:
        yield made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.ibkr.session.BACKOFF_S", (0.1, 0.3))
    monkeypatch.setattr("adapters.ibkr.session.LATE", timedelta(0))


def notices(ground: Ground) -> list[str]:
    return [one.text for one in ground.heard(LinkNoticed)]


def left_over() -> set[asyncio.Task[Any]]:
    return {one for one in asyncio.all_tasks() if one is not asyncio.current_task() and not one.done()}


# What TWS shows while it has lost IBKR.


async def test_what_tws_shows_while_it_has_lost_ibkr_proves_nothing(by_hand: Ground) -> None:
    await by_hand.start()
    never = by_hand.order()
    by_hand.tell("fault", kind="slow_end", seconds=0.8, message=53)
    by_hand.look_up(never)
    await asyncio.sleep(0.3)
    by_hand.tell("lost")
    await asyncio.sleep(1.5)
    assert not by_hand.unknown(never)
    by_hand.tell("restored", code=1102)
    await by_hand.until(lambda: by_hand.ups() == 2)
    assert by_hand.downs() == 1
    by_hand.look_up(never)
    await by_hand.until(lambda: by_hand.unknown(never))


async def test_a_tws_that_never_says_it_has_ibkr_again_is_asked_anew(
    by_hand: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.session.ASKED_ANEW_S", 0.5)
    await by_hand.start()
    by_hand.tell("warn", code=2110, text="Connectivity between TWS and server is broken")
    await by_hand.until(by_hand.downs)
    await by_hand.until(lambda: by_hand.ups() == 2)
    by_hand.tell("lost")
    await by_hand.until(lambda: by_hand.downs() == 2)
    await asyncio.sleep(2)  # it is asked anew, and says that it has not
    assert (by_hand.ups(), by_hand.downs()) == (2, 2)
    by_hand.tell("restored", code=1102)
    await by_hand.until(lambda: by_hand.ups() == 3)


async def test_a_cancel_does_not_leave_over_a_line_that_was_cut_off_meanwhile(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    assert by_hand.broker is not None
    pace, gate = by_hand.broker._pace, asyncio.Event()
    turn = pace.turn

    async def held(urgency: Urgency) -> None:
        if urgency is Urgency.CANCEL:
            await gate.wait()
        await turn(urgency)

    pace.turn = held  # type: ignore[method-assign]
    by_hand.cancel(spec)
    await asyncio.sleep(0.1)
    by_hand.tell("lost")
    await by_hand.until(by_hand.downs)
    gate.set()
    await asyncio.sleep(0.3)
    assert [one["status"] for one in by_hand.at_venue(spec.cl_ord_id)] == ["new"]
    by_hand.tell("restored", code=1102)
    await by_hand.until(lambda: by_hand.ups() == 2)
    by_hand.cancel(spec)
    await by_hand.until_status(spec, OrdStatus.CANCELED)


async def test_an_order_refused_after_an_outage_of_the_same_line_is_told(by_hand: Ground) -> None:
    """Over the same line TWS goes on calling orders by the ids they have."""
    await by_hand.start()
    spec = by_hand.order()
    by_hand.tell("fault", kind="lose_order")
    by_hand.submit(spec)
    broker = by_hand.broker
    assert broker is not None
    await by_hand.until(lambda: broker._ledger.find(spec.cl_ord_id) is not None)
    known = broker._ledger.find(spec.cl_ord_id)
    assert known is not None
    by_hand.tell("lost")
    by_hand.tell("restored", code=1102)
    await by_hand.until(lambda: by_hand.ups() == 2)
    broker._hear(said.ErrorSaid(known.order_id, 201, "Order rejected - reason:too late"))
    await by_hand.until_status(spec, OrdStatus.REJECTED)


async def test_an_order_called_cancelled_that_goes_on_working_stops_its_account(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.submit(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)
    by_hand.tell("order_status", cl_ord_id=spec.cl_ord_id, status="Cancelled")
    await by_hand.until_status(spec, OrdStatus.CANCELED)
    by_hand.tell("drop")
    await by_hand.until(lambda: any(one.halts for one in by_hand.heard(LinkNoticed)))
    assert any("shows it as working" in text for text in notices(by_hand))
    by_hand.tell("fill", cl_ord_id=spec.cl_ord_id, qty="100")
    await by_hand.until(lambda: by_hand.filled(spec) == 100)


# One order, one way out.


async def test_an_order_that_has_filled_does_not_leave_again_under_its_name(tmp_path: Path) -> None:
    async with grounds(tmp_path) as ground:
        await ground.start()
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        told = len(ground.reports(spec))
        ground.submit(spec)
        await ground.until(lambda: len(ground.reports(spec)) > told)
        assert ground.statuses(spec)[-1] is OrdStatus.FILLED
        assert len(ground.at_venue(spec.cl_ord_id)) == 1


async def test_an_answer_begun_before_an_order_left_does_not_call_it_absent(by_hand: Ground) -> None:
    await by_hand.start(mute_after_s=30)
    spec = by_hand.order()
    by_hand.tell("fault", kind="slow_end", seconds=1.0, message=102)
    by_hand.look_up(spec)
    await asyncio.sleep(0.4)  # its open orders and executions are answered
    by_hand.tell("fault", kind="status_lost", count=2)
    by_hand.submit(spec)
    await until_so(lambda: bool(by_hand.at_venue(spec.cl_ord_id)))
    await asyncio.sleep(1.2)
    assert not by_hand.unknown(spec)
    by_hand.look_up(spec)
    await by_hand.until_status(spec, OrdStatus.NEW)


async def test_an_order_nobody_could_ask_about_is_told_in_doubt(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order()
    by_hand.tell("fault", kind="missing_end", message=53)
    by_hand.submit(spec, poss_resend=True)
    await by_hand.until(lambda: by_hand.heard(SendInDoubt))
    assert by_hand.heard(SendInDoubt)[0].cl_ord_id == spec.cl_ord_id
    assert by_hand.at_venue(spec.cl_ord_id) == []


async def test_an_order_given_back_and_handed_over_anew_leaves_as_the_new_one(by_hand: Ground) -> None:
    await by_hand.start()
    spec = by_hand.order(price=Decimal(90))
    broker = by_hand.broker
    assert broker is not None
    pace, gate = broker._pace, asyncio.Event()
    turn = pace.turn

    async def held(urgency: Urgency) -> None:
        if urgency is Urgency.ORDER and broker._sender.holds(spec.cl_ord_id):
            await gate.wait()
        await turn(urgency)

    await broker._contracts.of("AAA", broker._session.line)  # type: ignore[union-attr,arg-type]
    pace.turn = held  # type: ignore[method-assign]
    by_hand.submit(spec)
    await asyncio.sleep(0.3)
    broker.recall("main", "halted")
    again = replace(spec, price=Decimal(85))
    by_hand.submit(again)
    gate.set()
    await by_hand.until_status(spec, OrdStatus.NEW)
    assert [Decimal(one["price"]) for one in by_hand.at_venue(spec.cl_ord_id)] == [Decimal(85)]
    assert len(by_hand.heard(SendWithheld)) == 1


async def test_the_orders_of_others_count_among_the_twenty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.broker.LOOK_AGAIN_S", 0.3)
    async with grounds(tmp_path, BY_HAND, working_orders=4) as ground, naive_reader(ground) as other:
        theirs = [other.placeOrder(stock(), naive_order(80 + number)) for number in range(3)]
        await naive_until(lambda: all(one.orderStatus.status == "Submitted" for one in theirs))
        await ground.start()
        specs = [ground.order(), ground.order()]
        ground.submit(*specs)
        await ground.until_status(specs[0], OrdStatus.NEW)
        await ground.until(lambda: any("others work 3 orders" in text for text in notices(ground)))
        elsewhere = ground.order(symbol="BBB", price=Decimal(40))
        ground.submit(elsewhere)
        await ground.until_status(elsewhere, OrdStatus.NEW)
        assert ground.at_venue(specs[1].cl_ord_id) == []
        other.cancelOrder(theirs[0].order)
        await ground.until_status(specs[1], OrdStatus.NEW)
        assert sum("others work" in text for text in notices(ground)) == 1


# Restarts that are planned, and last.


async def test_a_planned_restart_that_does_not_end_is_told_once_more(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND) as ground:
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        await ground.start(restarts=(Restart(soon.time(), "UTC", lead_s=1, lasts_s=1.5),))
        await ground.until(ground.downs)
        ground.tell("restart", seconds=5)
        await ground.until(lambda: ground.ups() == 2)
        first, second = ground.heard(LinkDown)
        assert "planned daily restart" in first.reason
        assert "planned" not in second.reason
        assert datetime.now(UTC) > soon + timedelta(seconds=1.5)


async def test_an_outage_that_began_in_a_planned_restart_is_told_when_that_is_over(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND) as ground:
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        await ground.start(restarts=(Restart(soon.time(), "UTC", lead_s=1, lasts_s=1),))
        await ground.until(ground.downs)
        ground.tell("lost")
        await ground.until(lambda: ground.downs() == 2)
        assert ground.heard(LinkDown)[1].reason.startswith("1100")
        await asyncio.sleep(1)
        ground.tell("restored", code=1101)
        await ground.until(lambda: ground.ups() == 2)
        assert ground.downs() == 2


async def test_nothing_leaves_in_a_planned_restart_however_busy_the_session_is(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND) as ground:
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
        await ground.start(restarts=(Restart(soon.time(), "UTC", lead_s=1, lasts_s=2),), answer_timeout_s=5)
        ground.tell("fault", kind="slow_end", seconds=3, message=53)
        await asyncio.sleep((soon - timedelta(seconds=1.4) - datetime.now(UTC)).total_seconds())
        ground.look_up(ground.order())  # its answer takes longer than the pause is away
        await asyncio.sleep(0.8)
        spec = ground.order()
        with contextlib.suppress(Exception):
            ground.submit(spec)
        await asyncio.sleep(0.8)
        assert ground.at_venue(spec.cl_ord_id) == []
        await ground.until(lambda: ground.ups() == 2)


# Where TWS is, and who has our place.


async def test_a_client_id_in_use_is_told_with_what_to_do(by_hand: Ground) -> None:
    by_hand.tell("fault", kind="clash", client=OURS)
    await by_hand.start(wait=False)
    await by_hand.until(lambda: notices(by_hand))
    assert "end the other program, or write another client_id" in notices(by_hand)[0]
    await by_hand.until(by_hand.ups)


async def test_the_spare_id_in_use_too_goes_back_to_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.session.ID_PAUSE_S", 0.1)
    async with grounds(tmp_path, BY_HAND, spare_client_id=12) as ground:
        ground.tell("fault", kind="clash", count=3, client=OURS)
        ground.tell("fault", kind="clash", count=3, client=12)
        await ground.start()
        assert ground.broker is not None
        assert ground.broker._sender.client_id == OURS
        assert ground.downs() == 1
        spec = ground.order()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.NEW)


async def test_the_new_port_is_the_one_the_text_calls_so(by_hand: Ground) -> None:
    await by_hand.start()
    text = "TWS socket port has been reset at 20260302 by client 4711 and this connection is being dropped. "
    by_hand.tell("warn", code=1300, text=f"{text}Please reconnect on the new port - {by_hand.stage.port}")
    await by_hand.until(lambda: by_hand.ups() == 2)


async def test_a_new_port_where_nobody_listens_leads_back_to_the_old_one(by_hand: Ground) -> None:
    await by_hand.start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    text = f"TWS socket port has been reset. Please reconnect on the new port - {nobody}"
    by_hand.tell("warn", code=1300, text=text)
    await by_hand.until(lambda: by_hand.ups() == 2)


async def test_nobody_there_is_told_with_what_to_do(by_hand: Ground) -> None:
    by_hand.settings = replace(by_hand.settings, port=1)
    await by_hand.start(wait=False)
    await by_hand.until(by_hand.downs)
    assert "enable socket clients" in by_hand.heard(LinkDown)[0].reason


@pytest.mark.parametrize(("again_s", "times"), [(0.0, 2), (3600.0, 1)])
async def test_a_farm_that_breaks_again_is_told_again_after_a_while_and_a_code_nobody_knows(
    by_hand: Ground, monkeypatch: pytest.MonkeyPatch, again_s: float, times: int
) -> None:
    monkeypatch.setattr("adapters.ibkr.broker.FARM_AGAIN_S", again_s)
    await by_hand.start()
    broken = "Market data farm connection is broken:usfarm"
    for code, text in ((2103, broken), (2103, broken), (2104, "OK:usfarm"), (2103, broken), (9999, "Hm")):
        by_hand.tell("warn", code=code, text=text)
    await by_hand.until(lambda: any("9999: Hm" in text for text in notices(by_hand)))
    assert sum(text.startswith("2103") for text in notices(by_hand)) == times


# Margins and fractions.


async def test_a_fraction_a_what_if_does_not_take_goes_in_whole_shares(tmp_path: Path) -> None:
    async with grounds(tmp_path, fractional=True, what_if=True) as ground:
        await ground.start()
        spec, tiny = ground.marketable(order_qty=Decimal("10.5")), ground.marketable(order_qty=Decimal("0.5"))
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        assert ground.filled(spec) == 10
        ground.submit(tiny)
        await ground.until(lambda: ground.heard(MessageRefused))
        assert ground.heard(MessageRefused)[0].cl_ord_id == tiny.cl_ord_id


async def test_a_margin_nobody_tells_holds_an_order_no_longer_than_is_written(tmp_path: Path) -> None:
    """However much else comes meanwhile: each message once began the wait anew."""
    async with grounds(tmp_path, what_if=True, what_if_timeout_s=2.0) as ground:
        await ground.start()
        ground.tell("fault", kind="what_if_lost")

        async def chatter() -> None:
            while True:
                ground.tell("warn", code=2107, text="HMDS data farm connection is inactive")
                await asyncio.sleep(0.1)

        chattering = asyncio.create_task(chatter())
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED, 16.0)  # twelve times as long was 24 s
        chattering.cancel()
        await asyncio.gather(chattering, return_exceptions=True)


async def test_a_remark_on_a_what_if_is_no_refusal_and_a_refusal_is(tmp_path: Path) -> None:
    async with grounds(tmp_path, what_if=True) as ground:
        await ground.start()
        assert ground.broker is not None
        line = ground.broker._session.line  # type: ignore[union-attr]
        assert line is not None
        place, codes = line.tws.place, [9999, 201]

        def spoken(number: int, ticket: Ticket) -> None:
            if ticket.is_what_if and codes:
                line._put(said.ErrorSaid(number, codes.pop(0), "said of a what-if"))
            else:
                place(number, ticket)

        line.tws.place = spoken  # type: ignore[method-assign]
        spec, refused = ground.marketable(), ground.marketable()
        ground.submit(spec)
        await ground.until_status(spec, OrdStatus.FILLED)
        ground.submit(refused)
        await ground.until(lambda: ground.heard(MessageRefused))
        assert "what-if: 201" in ground.heard(MessageRefused)[0].text


# What is left behind.


async def serve(words: list[list[str]]) -> tuple[asyncio.Server, asyncio.Event]:
    """Listen as a TWS that greets, says some messages, and never lets anybody in."""
    greeted = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        for fields in [["176", "20260302 10:00:00 EST"], *words]:
            text = "".join(f"{one}\0" for one in fields).encode()
            writer.write(struct.pack(">I", len(text)) + text)
        await writer.drain()
        greeted.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    return await asyncio.start_server(talk, "127.0.0.1", 0), greeted


async def test_a_stop_amid_a_handshake_ends_though_tws_has_said_something(by_hand: Ground) -> None:
    server, greeted = await serve([["4", "2", "-1", "2110", "Connectivity is broken", ""]])
    async with server:
        port = server.sockets[0].getsockname()[1]
        await by_hand.start(wait=False, port=port)
        await greeted.wait()
        await asyncio.sleep(0.2)
        async with asyncio.timeout(3):
            await by_hand.stop()
        assert left_over() == set()


async def test_an_id_in_use_is_known_as_such_whatever_else_is_said(by_hand: Ground) -> None:
    in_use = ["4", "2", "-1", "326", "Unable to connect as the client id is already in use.", ""]
    farm = ["4", "2", "-1", "2104", "Market data farm connection is OK:usfarm", ""]
    server, _ = await serve([["4", "2", "-1", "2110", "Connectivity is broken", ""], in_use, farm])
    async with server:
        port = server.sockets[0].getsockname()[1]
        await by_hand.start(wait=False, port=port, connect_timeout_s=1)
        await by_hand.until(by_hand.downs)
        assert by_hand.broker is not None
        assert by_hand.broker._session is not None
        await by_hand.until(lambda: by_hand.broker._session._id_tries > 0)  # type: ignore[union-attr]
        await by_hand.stop()


async def test_a_connection_that_never_lasts_is_made_less_and_less_often(
    by_hand: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.session.BACKOFF_S", (0.1, 10.0))
    await by_hand.start()
    loop, ups = asyncio.get_running_loop(), 1
    began = loop.time()
    while loop.time() - began < 4:
        if by_hand.ups() == ups:
            by_hand.tell("drop")
            ups += 1
        await asyncio.sleep(0.02)
    assert ups <= 7


async def test_a_stop_leaves_no_question_behind_that_waited_for_its_turn(tmp_path: Path) -> None:
    async with grounds(tmp_path, BY_HAND, messages_per_s=4) as ground:
        await ground.start()  # its contracts are asked about now, one after another
        await ground.stop()
        await asyncio.sleep(0)
        assert left_over() == set()


async def test_a_stop_leaves_no_task_behind_whatever_was_under_way(by_hand: Ground) -> None:
    await by_hand.start()
    specs = [by_hand.order() for _ in range(30)]
    by_hand.submit(*specs)
    await by_hand.until_status(specs[0], OrdStatus.NEW)
    for spec in specs[:5]:
        by_hand.cancel(spec)
    by_hand.look_up(*specs[5:10])
    await by_hand.stop()
    await asyncio.sleep(0)
    assert left_over() == set()


class SlowToWrite(InThisProcess):
    """A disk that takes its time over commissions."""

    async def write(self, changes: Mapping[str, str]) -> None:
        if any(name.startswith("fee:") for name in changes):
            await asyncio.sleep(0.3)
        await super().write(changes)


async def test_a_commission_that_is_owed_is_remembered_though_the_gateway_stops(tmp_path: Path) -> None:
    async with grounds(tmp_path, commission_wait_s=0.2, mute_after_s=30) as ground:
        ground.remembered = SlowToWrite()
        await ground.start()
        ground.tell("fault", kind="commission_late", count=2, seconds=30)
        spec = ground.marketable()
        ground.submit(spec)
        await ground.until(lambda: ground.fills(spec))
        await ground.stop()
        assert any(name.startswith("fee:") for name in await ground.remembered.read())


async def test_prices_that_were_stopped_while_they_connected_hang_up(by_hand: Ground) -> None:
    by_hand.tell("fault", kind="slow_connect", seconds=0.6)
    settings = replace(by_hand.settings, client_id=30)
    source = IbkrQuotes(settings, tuple(PRICES), SystemClock().now, interval_s=0.2)
    await source.start(0)

    async def read() -> None:
        async for _ in source.events():
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.2)
    await source.stop()
    async with asyncio.timeout(SOCKETS_S):
        await reading
    await until_so(lambda: by_hand.tell("status")["clients"] == [])
    assert left_over() == set()


async def test_what_tws_remembers_while_it_has_lost_ibkr_is_no_price(
    by_hand: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.ibkr.quotes.RESTATED_EVERY", timedelta(0))
    pace = Pace(50)
    settings = replace(by_hand.settings, client_id=30)
    source = IbkrQuotes(settings, ("AAA",), SystemClock().now, interval_s=0.1, pace=pace)
    await source.start(0)
    heard: list[PricesUpdated] = []

    async def read() -> None:
        async for batch in source.events():
            heard.extend(batch)

    reading = asyncio.create_task(read())
    await until_so(lambda: len(heard) > 2)
    by_hand.tell("lost")
    await asyncio.sleep(0.3)
    known = len(heard)
    await asyncio.sleep(0.5)
    assert len(heard) == known
    by_hand.tell("restored", code=1102)
    await until_so(lambda: len(heard) > known)
    by_hand.tell("warn", code=100, text="Max rate of messages per second has been exceeded")
    await until_so(lambda: pace._bucket.rate(asyncio.get_running_loop().time()) == 20)
    await source.stop()
    await reading


async def until_so(is_so: Callable[[], bool], patience_s: float = 5.0) -> None:
    for _ in range(int(patience_s / 0.05)):
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it never came")
