"""The stream of trade updates: breaks, silence, a frozen peer, and what comes twice, late or garbled."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web
from alpaca_world import Desk, Market, desk, desk_at, market
from patience import until

from adapters.alpaca import around, broker, memory, stream
from adapters.alpaca.stream import KeysRefused, TradeStream
from gateway.domain.order import ExecType, OrdStatus
from gateway.errors import ConfigError
from gateway.events import (
    LinkDown,
    LinkNoticed,
    LinkUp,
    LookUpOrder,
    OrderUnknown,
    ReportReceived,
    ReportUnreadable,
    SendInDoubt,
)
from simulator.alpaca.telling import SPOKEN


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path, "--fills-by-hand") as one:
        yield one


async def resting(there: Desk, count: int = 1) -> list[str]:
    """Let orders rest, and whatever is said of that be said; return their ids."""
    specs = [there.order() for _ in range(count)]
    for spec in specs:
        there.submit(spec)
    for spec in specs:
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)
    names = [spec.cl_ord_id for spec in specs]
    await there.both_told(*names)
    return names


def cum_qty(there: Desk, name: str) -> Decimal:
    found = [one.report for one in there.of(ReportReceived) if one.report.cl_ord_id == name]
    return max(one.cum_qty for one in found)


async def test_what_fills_while_the_stream_is_broken_is_asked_for_execution_by_execution(
    venue: Market,
) -> None:
    async with desk(venue) as there:
        names = await resting(there, 5)
        venue.world.streams.drop()
        for name in names:
            venue.operate("fill", cl_ord_id=name, qty="4", price="89.5")
            venue.operate("fill", cl_ord_id=name, qty="3", price="89.25")
        await there.until(lambda: all(cum_qty(there, name) == 7 for name in names))
        trades = [one.report for one in there.of(ReportReceived) if one.report.exec_type is ExecType.TRADE]
        assert {(one.last_qty, one.last_px) for one in trades} == {
            (Decimal(4), Decimal("89.5")), (Decimal(3), Decimal("89.25")),
        }  # fmt: skip
        assert len(trades) == 10
        assert not there.of(LinkDown)


async def test_what_is_told_twice_or_out_of_order_adds_up_to_what_filled(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.fault("swap_events")
        venue.fault("duplicate_event", count=3)
        told = len(there.of(ReportReceived))
        venue.operate("fill", cl_ord_id=name, qty="4")
        venue.operate("fill", cl_ord_id=name, qty="6")
        await there.until(lambda: len(there.of(ReportReceived)) >= told + 3)
        assert cum_qty(there, name) == 10
        assert there.broker._memory.of(name).told == 10
        assert there.broker._memory.of(name).status == "filled"


async def test_a_bust_and_a_correction_lower_what_has_filled(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.operate("fill", cl_ord_id=name, qty="4")
        venue.operate("fill", cl_ord_id=name, qty="6")
        await there.until(lambda: cum_qty(there, name) == 10)
        ids = [one.report.exec_id for one in there.of(ReportReceived) if one.report.exec_id]
        venue.operate("correct", exec_id=ids[0], qty="3", price="88")
        venue.operate("bust", exec_id=ids[1])
        await there.until(lambda: there.of(ReportReceived)[-1].report.exec_type is ExecType.TRADE_CANCEL)
        corrected, busted = (one.report for one in there.of(ReportReceived)[-2:])
        assert (corrected.exec_type, corrected.exec_ref_id) == (ExecType.TRADE_CORRECT, ids[0])
        assert (corrected.last_qty, corrected.last_px, corrected.cum_qty) == (3, 88, 9)
        assert (busted.exec_ref_id, busted.cum_qty) == (ids[1], 3)


async def test_a_bust_nobody_told_of_is_reported_as_one(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.operate("fill", cl_ord_id=name, qty="4")
        await there.until(lambda: cum_qty(there, name) == 4)
        exec_id = there.of(ReportReceived)[-1].report.exec_id
        venue.world.streams.drop()
        venue.operate("bust", exec_id=exec_id)
        await there.until(lambda: there.of(ReportReceived)[-1].report.exec_type is ExecType.TRADE_CANCEL)
        assert there.of(ReportReceived)[-1].report.cum_qty == 0


async def test_a_mute_stream_is_noticed_by_an_order_of_which_nothing_comes(venue: Market) -> None:
    async with desk(venue, mute_after_s=1.0) as there:
        venue.fault("mute", seconds=2)
        spec = there.order()
        there.submit(spec)
        before = there.broker._stream._ws
        await there.until(lambda: there.broker._stream._ws is not before)
        await there.report(spec, lambda one: one.ord_status is OrdStatus.NEW)


async def test_a_mute_stream_is_noticed_by_what_open_orders_have_become(venue: Market) -> None:
    async with desk(venue, poll_s=1.0) as there:
        names = await resting(there, 2)
        venue.fault("mute", seconds=30)
        venue.operate("fill", cl_ord_id=names[0], qty="4")
        before = there.broker._stream._ws
        await there.until(lambda: cum_qty(there, names[0]) == 4)
        await there.until(lambda: there.broker._stream._ws is not before)
        venue.operate("fill", cl_ord_id=names[0], qty="6")
        await there.until(lambda: cum_qty(there, names[0]) == 10)


async def test_an_event_a_moment_late_is_no_mute_stream(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.alpaca.stream.AFTER_S", 0.3)
    async with desk(venue) as there:
        names = await resting(there)
        before = there.broker._stream._ws
        venue.operate("fill", cl_ord_id=names[0], qty="4")
        await there.broker._around._compare_orders()
        assert cum_qty(there, names[0]) == 4
        assert there.broker._stream._ws is before


async def test_a_frozen_peer_is_noticed_though_the_connection_stands(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real figures come from benchmarks/alpaca_detection.py; this is the same at a fifth of the time.

    A peer that answers again when the frost is over would be no link down: it was noticed before.
    """
    monkeypatch.setattr(stream, "PING_S", 1)
    monkeypatch.setattr(broker, "GRACE_S", 0.2)
    async with desk(venue) as there:
        began = time.monotonic()
        venue.fault("freeze", seconds=3)
        await there.until(lambda: bool(there.of(LinkDown)))
        assert time.monotonic() - began > 0.9
        await there.until(lambda: len(there.of(LinkUp)) == 2)


async def test_only_one_stream_is_allowed_and_the_second_waits_its_turn(tmp_path: Path) -> None:
    async with market(tmp_path, "--one-stream") as venue:
        async with desk(venue):
            second = desk_at(venue)
            await second.start(is_up=False)
            await asyncio.sleep(0.5)
            assert not second.of(LinkUp)
        await second.until(lambda: bool(second.of(LinkUp)))
        await second.stop()


async def test_stopping_takes_no_time(venue: Market) -> None:
    """The client's own `stop_ws` takes up to five seconds; the goodbye here takes one at most."""
    async with desk(venue) as there:
        await resting(there)
        began = time.monotonic()
    assert time.monotonic() - began < 3.0


async def test_wrong_keys_end_the_gateway_with_the_remedy(venue: Market) -> None:
    there = desk_at(venue, secret="WRONG")
    await there.start(is_up=False)
    with pytest.raises(ConfigError, match="set GATEWAY_LINKS__ALPACA__KEY and its SECRET"):
        await there.until(lambda: False)
    await there.broker.stop()


async def test_keys_only_the_stream_refuses_end_it_too(venue: Market) -> None:
    venue.world.streams._keys = ("OTHER", "KEYS")
    there = desk_at(venue)
    await there.start(is_up=False)
    with pytest.raises(ConfigError, match="mind that paper and live"):
        await there.until(lambda: False)
    await there.broker.stop()


async def test_a_venue_not_there_yet_is_waited_for(
    venue: Market, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(broker, "RETRY_S", 0.05)
    venue.fault("get_504", count=1)
    there = desk_at(venue, url="http://127.0.0.1:9")
    await there.start(is_up=False)
    await there.until(lambda: "nobody listens there" in caplog.text)
    await there.stop()
    caplog.set_level(logging.WARNING)
    again = desk_at(venue)
    await again.start()
    assert "does not show the account" in caplog.text
    await again.stop()


async def test_a_person_is_told_of_a_blocked_account_and_of_assets_that_change(venue: Market) -> None:
    venue.world.door.configuration["suspend_trade"] = True
    venue.operate("deactivate", symbol="CCC")
    async with desk(venue) as there:
        await there.until(lambda: len(there.of(LinkNoticed)) >= 4)
        told = {one.text: (one.severity, one.account) for one in there.of(LinkNoticed)}
        assert told == {
            "the venue will refuse orders: trade_suspended_by_user": ("critical", "main"),
            "the account's own settings suspend trading": ("warning", "main"),
            "CCC: status is inactive now": ("warning", "main"),
            "CCC: tradable is False now": ("warning", "main"),
        }


async def test_a_stream_gone_for_long_is_a_link_down_until_it_is_back(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "GRACE_S", 0.05)
    monkeypatch.setattr(stream, "BACKOFF_S", (0.5, 1.0))
    async with desk(venue) as there:
        venue.world.streams.drop()
        await there.until(lambda: bool(there.of(LinkDown)))
        await there.until(lambda: len(there.of(LinkUp)) == 2)
        venue.world.streams.drop()
        await there.until(lambda: there.broker._losing is not None)
        await there.broker.stop()


async def test_when_nobody_says_what_was_missed_the_stream_is_connected_anew(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "HEAL_PAUSE_S", 0.01)
    async with desk(venue) as there:
        names = await resting(there)
        venue.fault("get_504", count=7)
        venue.world.streams.drop()
        venue.operate("fill", cl_ord_id=names[0], qty="4")
        await there.until(lambda: cum_qty(there, names[0]) == 4)


UPDATE = '{"stream": "trade_updates", "data": {"event": %s, "order": %s}}'
GARBLED = (
    "no json", "[1]", "7", '{"stream": "trade_updates"}', UPDATE % ('"new"', "null"),
    UPDATE % ('"fill"', '{"id": "1"}'), UPDATE % ('"new"', "{}"),
    UPDATE % ('"new"', '{"id": "1", "qty": "NaN"}'),
)  # fmt: skip


@pytest.mark.parametrize("text", GARBLED)
async def test_a_message_that_cannot_be_read_is_told_and_ends_nothing(venue: Market, text: str) -> None:
    async with desk(venue) as there:
        await there.broker._take(text)
        await there.until(lambda: bool(there.of(ReportUnreadable)))
        await there.broker._take('{"stream": "listening", "data": {}}')
        await resting(there)


async def test_words_nobody_knows_leave_an_order_working(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.operate("say", cl_ord_id=name, event="calculated", status="a_brand_new_status")
        venue.operate("say", cl_ord_id=name, event="held", status="held")
        await there.until(lambda: there.of(ReportReceived)[-1].report.ord_status is OrdStatus.SUSPENDED)
        assert "a_brand_new_status" in there.of(ReportReceived)[-2].report.text
        assert there.of(ReportReceived)[-2].report.ord_status is OrdStatus.NEW
        venue.operate("fill", cl_ord_id=name, qty="10")
        await there.until(lambda: cum_qty(there, name) == 10)


async def test_a_halted_symbol_is_told_to_a_person_each_time_once_and_its_order_goes_on(
    venue: Market,
) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        for times in (1, 2):
            venue.operate("halt", symbol="AAA")
            await there.until(lambda times=times: len(there.of(LinkNoticed)) == times)
            there.broker.look_up(LookUpOrder(there.order(cl_ord_id=name), ""))
            there.broker.flush()
            told = len(there.of(ReportReceived))
            await there.until(lambda told=told: len(there.of(ReportReceived)) > told)
            assert there.of(ReportReceived)[-1].report.ord_status is OrdStatus.SUSPENDED
            venue.operate("resume", symbol="AAA")
            await there.until(lambda: there.of(ReportReceived)[-1].report.ord_status is OrdStatus.NEW)
        assert len(there.of(LinkNoticed)) == 2
        notice = there.of(LinkNoticed)[0]
        assert (notice.account, notice.severity, notice.halts) == ("main", "warning", False)
        assert "status suspended); AAA may be halted" in notice.text
        venue.operate("fill", cl_ord_id=name, qty="10")
        await there.until(lambda: cum_qty(there, name) == 10)


async def test_a_halt_the_stream_did_not_speak_of_is_found_when_it_is_asked(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.fault("mute", seconds=3)
        venue.operate("halt", symbol="AAA")
        there.broker.look_up(LookUpOrder(there.order(cl_ord_id=name), ""))
        there.broker.flush()
        await there.until(lambda: bool(there.of(LinkNoticed)))


async def test_a_replacement_that_is_rejected_leaves_the_order_working(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.fault("replace_rejected")
        door, told = venue.world.door, len(there.of(ReportReceived))
        door.replace(door.by_name(name).order_id, {"qty": "12"}, there.broker._now())
        await there.until(lambda: len(there.of(ReportReceived)) >= told + 2)
        venue.operate("fill", cl_ord_id=name, qty="10")
        await there.until(lambda: cum_qty(there, name) == 10)
        mine = [one.report.ord_status for one in there.of(ReportReceived) if one.report.cl_ord_id == name]
        assert OrdStatus.PENDING_REPLACE in mine
        assert mine[-1] is OrdStatus.FILLED


@pytest.mark.parametrize("word", sorted(SPOKEN - {"fill", "partial_fill", "trade_bust", "trade_correct"}))
async def test_no_event_alone_ends_an_order_that_works(venue: Market, word: str) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        told = len(there.of(ReportReceived))
        venue.operate("say", cl_ord_id=name, event=word, status="new")
        await there.until(lambda: len(there.of(ReportReceived)) > told)
        assert not there.of(ReportUnreadable)
        assert there.of(ReportReceived)[-1].report.ord_status is OrdStatus.NEW
        venue.operate("fill", cl_ord_id=name, qty="10")
        await there.until(lambda: cum_qty(there, name) == 10)


async def test_an_order_replaced_at_the_venue_has_ended_and_says_by_what(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        door = venue.world.door
        ticket = door.by_name(name)
        door.replace(ticket.order_id, {"qty": "12"}, there.broker._now())
        await there.until(lambda: any("replaced" in one.report.text for one in there.of(ReportReceived)))
        ended = next(one.report for one in there.of(ReportReceived) if "replaced" in one.report.text)
        assert ended.ord_status is OrdStatus.CANCELED
        assert ended.text == f"replaced at the venue by order {ticket.replaced_by}"


async def test_an_answer_that_cannot_be_read_is_told_and_hides_no_other(venue: Market) -> None:
    async with desk(venue) as there:
        asking = there.broker._asking
        good = {"id": "1", "client_order_id": "ABCDEFGHIJKLMNOP", "filled_qty": "0", "status": "new"}
        assert not await asking.tell([{**good, "filled_qty": "0", "qty": "many"}, good], 0)
        await there.until(lambda: bool(there.of(ReportUnreadable)) and bool(there.of(ReportReceived)))
        seen = there.broker._memory.hear("ABCDEFGHIJKLMNOP")
        assert not await asking.tell([{**good, "status": "filled"}], seen.heard_at - 1)
        assert seen.status == "new"


async def test_what_was_told_while_fills_were_asked_for_is_not_taken_back(venue: Market) -> None:
    async with desk(venue) as there:
        asking, memory = there.broker._asking, there.broker._memory
        order = {"id": "1", "client_order_id": "ABCDEFGHIJKLMNOP", "filled_qty": "4", "status": "new"}

        async def overtaken(*_: object) -> dict[str, list[object]]:
            memory.hear("ABCDEFGHIJKLMNOP")
            return {}

        asking._fills = overtaken  # type: ignore[method-assign]
        await asking.tell([order], memory.clock)
        assert not there.of(ReportReceived)
        assert memory.of("ABCDEFGHIJKLMNOP").told == 0


async def test_fills_nobody_can_be_asked_for_are_told_by_the_orders_average(venue: Market) -> None:
    async with desk(venue) as there:
        (name,) = await resting(there)
        venue.world.streams._listening.clear()
        venue.operate("fill", cl_ord_id=name, qty="4", price="89.5")
        asking = there.broker._asking
        told = (await asking.one(name)).body
        venue.fault("get_504", count=1000)
        await asking.tell([told], there.broker._memory.clock)
        venue.world.calm()
        await there.until(lambda: cum_qty(there, name) == 4)
        assert there.of(ReportReceived)[-1].report.avg_px == Decimal("89.5")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "REMEMBERED", 2)
    one = memory.Memory()
    for name in ("a", "b", "c"):
        one.hear(name).order_id = name
    assert [name for name, _ in one.open()] == ["b", "c"]


async def test_look_ups_are_one_question_for_many_orders(venue: Market) -> None:
    async with desk(venue) as first:
        specs = [first.order() for _ in range(8)]
        for spec in specs:
            first.submit(spec)
        for spec in specs:
            await first.report(spec, lambda one: bool(one.order_id))
    async with desk(venue) as there:
        never = there.order(cl_ord_id="NEVERSENTATALLAA")
        there.look_up(*specs, never)
        await there.until(lambda: len(there.of(ReportReceived)) == 8 and bool(there.of(OrderUnknown)))
        venue.fault("get_504", count=1000)
        there.look_up(specs[0])
        there.look_up(*specs)
        await asyncio.sleep(0.1)
        assert len(there.of(ReportReceived)) == 8
        venue.world.calm()
        there.look_up(*specs)
        await there.until(lambda: len(there.of(ReportReceived)) == 16)


# The stream itself, against a peer of our own.


class Peer:
    """A WebSocket server that says what it is told to."""

    def __init__(self, talk: Callable[[web.WebSocketResponse], Awaitable[None]]) -> None:
        self.talk = talk
        self.connections = 0

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_get("/stream", self._serve)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        return f"ws://127.0.0.1:{self.runner.addresses[0][1]}/stream"

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self.connections += 1
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await self.talk(ws)
        return ws


def stream_to(url: str, said: list[str]) -> TradeStream:
    async def up() -> None:
        said.append("up")

    async def take(text: str) -> None:
        said.append(text)

    return TradeStream("K", "S", url, went_up=up, went_down=said.append, take=take)


async def test_a_handshake_among_other_words_is_still_a_handshake() -> None:
    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(json.dumps({"stream": "authorization", "data": {"status": "authorized"}}))
        await ws.receive()
        for text in ("no json", "[]", '{"stream": "other"}', '{"stream": "listening"}', "told"):
            await ws.send_str(text)
        await ws.receive()

    said: list[str] = []
    async with Peer(talk) as url:
        task = asyncio.create_task(stream_to(url, said).follow())
        await until(lambda: said == ["up", "told"], lambda: said)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connects_ever_more_slowly(peer: Peer, one: TradeStream) -> None:
    """Follow until the sixth connection: five pauses, half of 10, 20, 40, 80 and 160 ms at least."""
    began = time.monotonic()
    task = asyncio.create_task(one.follow())
    await until(lambda: peer.connections >= 6)
    assert time.monotonic() - began > 0.15
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("answer", ["no json", "[]", '{"data": null}'])
async def test_a_handshake_that_makes_no_sense_is_tried_again_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(stream, "BACKOFF_S", (0.01, 0.2))

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(answer)

    said: list[str] = []
    peer = Peer(talk)
    async with peer as url:
        await connects_ever_more_slowly(peer, stream_to(url, said))
    assert set(said) == {"the handshake made no sense"}


async def test_a_peer_that_hangs_up_at_once_is_not_stormed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BACKOFF_S", (0.01, 0.2))

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(json.dumps({"stream": "authorization", "data": {"status": "authorized"}}))
        await ws.receive()
        await ws.send_str('{"stream": "listening"}')

    said: list[str] = []
    peer = Peer(talk)
    async with peer as url:
        await connects_ever_more_slowly(peer, stream_to(url, said))
    assert abs(said.count("up") - peer.connections) <= 1, "the last may not have got that far"


async def test_refused_keys_are_no_reason_to_try_again() -> None:
    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        await ws.send_str(json.dumps({"stream": "authorization", "data": {"status": "unauthorized"}}))
        await ws.receive()

    async with Peer(talk) as url:
        with pytest.raises(KeysRefused):
            await stream_to(url, []).follow()


async def test_waiting_grows_to_its_bound_and_stays_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling for hours on end must not overflow."""
    pauses: list[float] = []

    async def sleep(for_s: float) -> None:
        pauses.append(for_s)
        if len(pauses) == 2_000:
            raise asyncio.CancelledError

    async def refuse() -> None:
        raise ConnectionError("no")

    one = stream_to("ws://127.0.0.1:9/stream", [])
    one._connect = refuse  # type: ignore[method-assign]
    monkeypatch.setattr(stream.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await one.follow()
    assert max(pauses) <= stream.BACKOFF_S[1] * 1.5


async def test_looking_around_goes_on_after_what_cannot_be_asked_or_read(
    venue: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around, "POSITIONS_S", 0.1)
    async with desk(venue, activities_s=1.0, poll_s=1.0) as there:
        calls = 0

        async def broken() -> None:
            nonlocal calls
            calls += 1
            raise (around.NoAnswer("lost"), around.Unreadable("what?"))[calls % 2]

        there.broker._around._state_positions = broken  # type: ignore[method-assign]
        await there.until(lambda: calls >= 3)
        assert there.of(ReportUnreadable)
        names = await resting(there)
        assert not there.of(SendInDoubt)
        assert names
