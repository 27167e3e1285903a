"""A FIX venue as a `Broker`, with an engine that only writes down what it is given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from venues import AT, PAIR, SHARE

from adapters.base import NotSent
from adapters.fix import decoder
from adapters.fix.broker import FixBroker
from adapters.fix.dialects import speak
from adapters.fix.dialects.notices import PositionInfo
from adapters.fix.drop_copy import DropCopy
from adapters.fix.engine import Down, Incoming, Up, Withheld
from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled
from gateway.domain.order import OrdType, Side
from gateway.events import (
    CancelOrder,
    CopyLinked,
    ExecutionCopied,
    LinkBehind,
    LinkDown,
    LinkNoticed,
    LinkUp,
    LookUpOrder,
    OrderUnknown,
    PositionStated,
    ReportReceived,
    ReportUnreadable,
    SendOrder,
    SendWithheld,
)

OTHER = replace(PAIR, cl_ord_id="QRSTUVWXYZ234567")


class Paper:
    """Stand in for the engine."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.is_up = True
        self.missing = ""
        self.coming: asyncio.Queue[Sequence[Incoming] | None] = asyncio.Queue()
        self.acknowledged = 0

    def start(self, after_seq: int) -> str:
        del after_seq
        return self.missing

    async def stop(self) -> None:
        self.coming.put_nowait(None)

    def send(self, kind: str, cl_ord_id: str, raw: str) -> bool:
        if self.is_up:
            self.sent.append((kind, cl_ord_id, decoder.split(raw)))
        return self.is_up

    def flush(self) -> None:
        pass

    async def incoming(self) -> AsyncIterator[Sequence[Incoming]]:
        while (batch := await self.coming.get()) is not None:
            yield batch

    def acknowledge(self, seq: int) -> None:
        self.acknowledged = seq

    def types(self) -> list[str]:
        return [fields["35"] for _, _, fields in self.sent]


class Desk:
    """Hold a broker, its paper engine and a clock."""

    def __init__(self, dialect: str, **venue: Any) -> None:
        self.paper, self.now = Paper(), AT
        session = FixSession("v", "FIX.4.4", "A", "B", "127.0.0.1", 1, 30, Path("nowhere"), orders_per_s=16)
        self.broker = FixBroker(session, lambda: self.now, self.paper, speak(dialect, venue))

    async def hear(self, *batch: Incoming) -> list[Any]:
        self.paper.coming.put_nowait(batch)
        await self.broker.stop()
        return [event async for events in self.broker.events() for event in events]


def spooled(seq: int, ref: str = "", **tags: str) -> Spooled:
    return Spooled(seq, ref, "".join(f"{tag[1:]}={value}\x01" for tag, value in tags.items()))


def status(seq: int, **tags: str) -> Spooled:
    whole = {"t35": "8", "t150": "0", "t39": "0", "t14": "0", "t151": "1", "t584": "?"} | tags
    return spooled(seq, **whole)


def test_the_venue_says_whether_an_order_can_be_asked_for() -> None:
    can = {
        name: Desk(name).broker.capabilities.can_look_up for name in ("plain", "saxo", "dukascopy", "ibkr")
    }
    assert can == {"plain": True, "saxo": False, "dukascopy": True, "ibkr": True}
    assert Desk("saxo", order_status="H").broker.capabilities.can_look_up


async def test_where_the_venue_cannot_be_asked_the_sessions_own_numbers_are() -> None:
    desk = Desk("saxo", client_id="C")
    desk.broker.look_up(LookUpOrder(SHARE))
    assert [(kind, cl_ord_id) for kind, cl_ord_id, _ in desk.paper.sent] == [("trace", SHARE.cl_ord_id)]
    events = await desk.hear(Withheld(SHARE.cl_ord_id, "never sent", is_answer=True), Up(was_reset=True))
    assert events == [
        SendWithheld(AT, SHARE.cl_ord_id, "never sent", is_answer=True),
        LinkUp(AT, "v", was_reset=True, can_look_up=False),
    ]


def test_one_question_covers_every_order_sent_before_it() -> None:
    desk = Desk("dukascopy")
    for spec in (PAIR, OTHER, PAIR):
        desk.broker.look_up(LookUpOrder(spec))
    assert desk.paper.types() == ["AF"]
    desk.broker.submit(SendOrder(OTHER))
    desk.broker.look_up(LookUpOrder(PAIR))
    assert desk.paper.types() == ["AF", "D"]
    desk.broker.look_up(LookUpOrder(OTHER))
    assert desk.paper.types() == ["AF", "D", "AF"], "the first question left before the order did"
    desk.now += timedelta(seconds=3)
    desk.broker.look_up(LookUpOrder(PAIR))
    assert desk.paper.types() == ["AF", "D", "AF", "AF"]
    ids = [fields["584"] for _, _, fields in desk.paper.sent if "584" in fields]
    assert len(set(ids)) == 3


def test_a_question_that_did_not_leave_is_put_again() -> None:
    desk = Desk("dukascopy")
    desk.paper.is_up = False
    with pytest.raises(NotSent, match="link v is down"):
        desk.broker.look_up(LookUpOrder(PAIR))
    desk.paper.is_up = True
    desk.broker.look_up(LookUpOrder(PAIR))
    assert desk.paper.types() == ["AF"]


async def test_a_logon_asks_for_the_account_where_the_venue_has_that() -> None:
    desk = Desk("dukascopy")
    events = await desk.hear(Up(), Down("gone"), Withheld("A", "why"))
    assert desk.paper.types() == ["U7"]
    assert events == [LinkUp(AT, "v", replays=False), LinkDown(AT, "v", "gone"), SendWithheld(AT, "A", "why")]
    other = Desk("ibkr")
    await other.hear(Up())
    assert other.paper.types() == []


async def test_absence_from_a_whole_answer_is_certain_only_where_configured() -> None:
    for is_counted in (False, True):
        desk = Desk("dukascopy", absence_is_unknown=is_counted)
        desk.broker.look_up(LookUpOrder(PAIR))
        desk.broker.look_up(LookUpOrder(OTHER))
        request_id = desk.paper.sent[0][1]
        events = await desk.hear(
            status(1, t11=OTHER.cl_ord_id, t584="another"),
            status(2, t11=PAIR.cl_ord_id, t584=request_id, t912="Y"),
            status(3, t11=PAIR.cl_ord_id, t584=request_id, t912="Y"),
        )
        unknown = [one for one in events if isinstance(one, OrderUnknown)]
        assert unknown == [OrderUnknown(AT, "v", 2, OTHER.cl_ord_id, is_counted)]
        assert len([one for one in events if isinstance(one, ReportReceived)]) == 3


async def test_an_order_sent_after_the_question_is_not_absent_from_its_answer() -> None:
    desk = Desk("dukascopy", absence_is_unknown=True)
    desk.broker.look_up(LookUpOrder(PAIR))
    desk.broker.look_up(LookUpOrder(OTHER))
    desk.broker.submit(SendOrder(OTHER))
    end = status(1, t584=desk.paper.sent[0][1], t912="Y", t911="0", t37="NONE", t39="8")
    assert await desk.hear(end) == [OrderUnknown(AT, "v", 1, PAIR.cl_ord_id)]


async def test_the_venues_id_is_learned_from_reports_and_from_wishes() -> None:
    fill = {"t35": "8", "t17": "E1", "t150": "F", "t39": "1", "t32": "1", "t31": "1", "t14": "1", "t151": "1"}
    desk = Desk("ibkr")
    desk.broker.cancel(CancelOrder(SHARE, f"{SHARE.cl_ord_id}C1", "O2"))
    events = await desk.hear(
        spooled(1, t35="8", t37="O1", t11=OTHER.cl_ord_id, t150="0", t39="0"),
        spooled(2, t37="O1", **fill),
        spooled(3, t37="O2", **fill),
        spooled(4, t37="O3", **fill),
        spooled(5, t37="O1", t11=SHARE.cl_ord_id, **fill),
    )
    found = [one.report.cl_ord_id for one in events if isinstance(one, ReportReceived)]
    assert found == [OTHER.cl_ord_id, OTHER.cl_ord_id, SHARE.cl_ord_id]
    assert [one.link_seq for one in events if isinstance(one, ReportUnreadable)] == [4, 5]


def test_what_the_venue_does_not_take_does_not_leave() -> None:
    desk = Desk("dukascopy")
    for wish in (
        lambda: desk.broker.submit(SendOrder(SHARE)),
        lambda: desk.broker.cancel(CancelOrder(SHARE, "X")),
        lambda: desk.broker.replace(SHARE, "R1", SHARE.cl_ord_id),
    ):
        with pytest.raises(NotSent, match="no currency pair"):
            wish()
    desk.broker.replace(PAIR, f"{PAIR.cl_ord_id}R1", PAIR.cl_ord_id, "O1")
    assert desk.paper.types() == ["G"]


async def test_what_the_venue_tells_people_reaches_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    desk = Desk("dukascopy")
    events = await desk.hear(
        spooled(1, t35="U1", t7004="A", t7003="3", t58="margin call"),
        spooled(2, t35="U1", t7004="A", t7003="0", t58="hello"),
        spooled(3, t35="U3", t7004="A", t55="EUR/USD", t7008="-5", t44="1.1"),
        spooled(4, t35="AI", t55="EUR/USD", t537="1"),
        spooled(5, t35="U4", t1="A", t55="EUR/USD", t7008="-5"),
        Spooled(6, "", "35=U6\x017010=2\x01553=anne\x011=A\x01553=bob\x011=B\x01"),
    )
    assert events == [
        LinkNoticed(AT, "v", 1, "the venue says: margin call", "A"),
        PositionStated(AT, "v", 3, "A", "EUR/USD", Decimal(-5)),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "v: the venue says: margin call",
        "v: the venue says: hello",
        "v: carried overnight: -5 EUR/USD",
        "v: activated: anne (A), bob (B)",
    ]
    found = desk.broker.told.stated["A", "EUR/USD"]
    assert isinstance(found, PositionInfo)
    assert found.qty == -5


async def test_an_order_for_exactly_what_is_held_closes_it_where_that_is_wished() -> None:
    held = spooled(1, t35="U3", t7004="main", t55="EUR/USD", t7008="250000", t44="1.1")
    market = replace(PAIR, ord_type=OrdType.MARKET, price=None)
    for wished, spec, expected in (
        (True, market, ("Z", None)),
        (True, replace(market, order_qty=Decimal(249_999)), ("1", "249999")),
        (True, replace(market, side=Side.BUY), ("1", "250000")),
        (True, PAIR, ("2", "250000")),
        (False, market, ("1", "250000")),
    ):
        desk = Desk("dukascopy", close_exposure=wished)
        await desk.hear(held)
        desk.broker.submit(SendOrder(spec))
        ((_, _, fields),) = desk.paper.sent
        assert (fields["40"], fields.get("38")) == expected


async def test_more_allocated_than_filled_and_a_refused_allocation_are_told() -> None:
    desk = Desk("saxo", client_id="C", block_account="B", accounts={"main": "A"})
    ours = SHARE.cl_ord_id
    allocated = {"t35": "AS", "t70": ours, "t87": "0", "t78": "1", "t79": "A"}
    events = await desk.hear(
        spooled(1, **allocated, t12109="99"),
        status(2, t11=ours, t150="F", t39="1", t14="10", t32="10", t31="1", t17="E1"),
        spooled(3, **allocated, t12109="10"),
        spooled(4, **allocated, t12109="11"),
        spooled(5, **allocated, t12109="x"),
        spooled(6, t35="P", t70=ours, t87="3"),
        spooled(7, t35="P", t70=ours, t87="1", t58="no such account"),
    )
    assert [one for one in events if isinstance(one, LinkNoticed)] == [
        LinkNoticed(
            AT, "v", 4, f"AllocCumQty(12109) 11 of {ours} is more than the 10 that have filled", "main"
        ),
        LinkNoticed(AT, "v", 7, f"the allocation of {ours} was refused: no such account"),
    ]


async def test_what_is_missing_and_what_our_session_refused_is_said() -> None:
    desk = Desk("saxo")
    desk.paper.missing = "messages 1 to 2 are gone"
    await desk.broker.start(0)
    events = await desk.hear(Spooled(3, "*", "35=3\x01"))
    assert events[0] == LinkBehind(AT, "v", "messages 1 to 2 are gone")
    assert isinstance(events[1], ReportUnreadable)
    desk.broker.acknowledge(3)
    desk.broker.flush()
    assert desk.paper.acknowledged == 3


async def test_a_drop_copy_hands_on_executions_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    paper = Paper()
    paper.missing = "12 messages are gone"
    session = FixSession("copy", "FIX.4.4", "A", "B", "127.0.0.1", 1, 30, Path("nowhere"))
    copy = DropCopy(session, "sim", lambda: AT, make_engine=lambda _: paper)
    await copy.start(3)
    fill = {"t35": "8", "t11": "A", "t17": "E1", "t39": "1", "t14": "4", "t151": "6", "t32": "4", "t31": "10"}
    paper.coming.put_nowait(
        [
            Up(),
            spooled(4, **fill, t150="0"),
            spooled(5, **fill, t150="F"),
            spooled(6, **{**fill, "t17": "E2", "t150": "H", "t19": "E1"}),
            spooled(7, **{**fill, "t14": "four", "t150": "F"}),
            spooled(8, t35="9", t11="AC1", t41="A", t39="1"),
            spooled(9, **{**fill, "t17": "0", "t150": "I"}),
            Withheld("X", "never sent"),
        ]
    )
    paper.coming.put_nowait([spooled(10, t35="B"), Down("the night")])
    await copy.stop()
    events = [event async for events in copy.events() for event in events]
    assert [type(one).__name__ for one in events] == [
        "CopyLinked", "ExecutionCopied", "ExecutionCopied", "CopyLinked",
    ]  # fmt: skip
    assert events[0] == CopyLinked(AT, "copy", "sim", is_up=True)
    assert events[-1] == CopyLinked(AT, "copy", "sim", is_up=False)
    assert [(one.link_seq, one.report.exec_id) for one in events if isinstance(one, ExecutionCopied)] == [
        (5, "E1"), (6, "E2"),
    ]  # fmt: skip
    copy.acknowledge(6)
    assert paper.acknowledged == 6
    assert paper.sent == [], "nothing is ever sent"
    assert "copy: 12 messages are gone" in caplog.text
    assert "a copied message cannot be read: tag 14 has 'four'" in caplog.text
