"""What goes onto the wire and how numbers and times are read; ids, ticks, margins, pauses."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibkr_words import NOW, open_order, order

from adapters.base import InThisProcess
from adapters.ibkr import wire
from adapters.ibkr.contracts import Listed
from adapters.ibkr.ids import Ids
from adapters.ibkr.margins import margins_of
from adapters.ibkr.pauses import SUNDAY, Restart, planned
from adapters.ibkr.settings import Terms
from gateway.domain.order import OrderSpec, OrdType, Side, TimeInForce

AAPL = Terms("AAPL")


def ticket(spec: OrderSpec, **changes: object) -> wire.Ticket:
    words = {"outside_rth": False, "fractional": False, "tick": Decimal("0.01"), **changes}
    return wire.ticket(spec, AAPL, "DU1", **words)  # type: ignore[arg-type]


def test_an_order_has_every_field_set() -> None:
    made = ticket(order(time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL), outside_rth=True)
    assert (made.account, made.ref, made.tif, made.outside_rth) == ("DU1", order().cl_ord_id, "IOC", True)
    assert (made.action, made.qty, made.ord_type, made.limit) == ("BUY", Decimal(100), "LMT", Decimal(10))
    market = ticket(order(ord_type=OrdType.MARKET, price=None, side=Side.SELL_SHORT))
    assert (market.action, market.ord_type, market.limit) == ("SELL", "MKT", None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ref": "A\x00B"}, "order reference 'A\\x00B' must be 1 to 40 printable"),
        ({"ref": "é" * 4}, "printable ASCII"),
        ({"ref": "A" * 41}, "1 to 40"),
        ({"ref": ""}, "1 to 40"),
        ({"order_qty": Decimal("NaN")}, "no positive number"),
        ({"order_qty": Decimal(-5)}, "no positive number"),
        ({"order_qty": Decimal(0)}, "no positive number"),
        ({"order_qty": Decimal("1e13")}, "no positive number"),
        ({"order_qty": Decimal("0.5")}, "set lot_size = 1, or fractional = true"),
        ({"price": Decimal("Infinity")}, "no positive number"),
        ({"price": Decimal("1.123456789")}, "more than 8 decimals"),
        ({"price": Decimal("0.001")}, "below the contract's tick"),
        ({"price": None}, "without a price"),
    ],
)
def test_what_may_not_go_onto_the_wire_is_refused_with_a_remedy(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(wire.Unsendable, match=words.replace("\\", "\\\\").replace("(", "\\(")):
        ticket(order(**changes))


@pytest.mark.parametrize("field", ["symbol", "currency", "exchange", "sec_type", "primary_exchange"])
def test_no_field_of_a_contract_lets_anything_through(field: str) -> None:
    terms = Terms(**{"symbol": "AAPL", "primary_exchange": "NASDAQ", field: "A\x00B"})
    with pytest.raises(wire.Unsendable):
        wire.clean(terms)
    with pytest.raises(wire.Unsendable, match="account"):
        wire.ticket(order(), AAPL, "DU\x001", outside_rth=False, fractional=False, tick=None)


@given(st.decimals(min_value=Decimal("0.0001"), max_value=Decimal(10**9), places=4, allow_nan=False))
def test_numbers_are_written_out(qty: Decimal) -> None:
    made = ticket(order(order_qty=qty), fractional=True)
    assert made.qty == qty
    assert "E" not in str(made.qty)


@given(st.decimals(min_value=1, max_value=9999, places=4, allow_nan=False), st.sampled_from(list(Side)))
def test_a_limit_moves_to_its_tick_and_never_for_the_worse(price: Decimal, side: Side) -> None:
    tick = Decimal("0.05")
    moved = wire.on_tick(price, tick, side)
    assert moved % tick == 0
    assert abs(moved - price) < tick
    assert moved <= price if side is Side.BUY else moved >= price
    assert wire.on_tick(price, None, side) == price


def test_numbers_are_read_exactly_or_not_at_all() -> None:
    assert wire.decimal_in("0.1", "x") == Decimal("0.1")
    assert wire.optional("1.7976931348623157E308", "x") is None
    assert wire.optional("Infinity", "x") is None
    assert wire.optional("", "x") is None
    assert wire.whole("", "x") == 0
    for bad in ("abc", "NaN"):
        with pytest.raises(wire.Unreadable, match="no number"):
            wire.optional(bad, "x")
    with pytest.raises(wire.Unreadable, match="missing"):
        wire.decimal_in("", "x")
    with pytest.raises(wire.Unreadable, match="no whole number"):
        wire.whole("1.5", "x")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("20260302 10:00:00 US/Eastern", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("20260302 10:00:00 America/New_York", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("20260302 10:00:00 EST", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("20260302-15:00:00", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("1772463600", datetime(2026, 3, 2, 15, tzinfo=UTC)),
        ("20260302 10:00:00 Central European Standard Time", None),
        ("20260302  10:00:00", None),
        ("99999999999999999999", None),
        ("20261399 10:00:00 EST", None),
        ("20260302", None),
        ("soon", None),
    ],
)
def test_times_are_read_in_every_form_and_a_strange_zone_loses_nothing(
    text: str, at: datetime | None
) -> None:
    assert wire.moment(text) == at


def test_executions_know_what_they_correct() -> None:
    assert wire.execution_names("0000e0d5.65b1.01.02") == ("0000e0d5.65b1.01", 2)
    assert wire.execution_names("plain") == ("plain", 1)
    assert wire.side_in("sld") is Side.SELL
    assert wire.side_in("?") is None


def test_a_tick_depends_on_the_price() -> None:
    listed = Listed(AAPL, ((Decimal(0), Decimal("0.0001")), (Decimal(1), Decimal("0.01"))), 0)
    assert listed.tick(Decimal("0.5")) == Decimal("0.0001")
    assert listed.tick(Decimal(1)) == Decimal("0.01")
    assert listed.tick(None) is None
    assert Listed(AAPL, (), 0).tick(Decimal(1)) is None


@pytest.mark.parametrize(
    ("initial", "equity", "objection"),
    [
        ("10", "20", ""), ("30", "20", "above equity"), ("", "20", None), ("x", "20", None),
        ("1.7976931348623157E308", "20", None),
    ],
)  # fmt: skip
def test_a_what_if_answer_says_no_or_yes_or_nothing(initial: str, equity: str, objection: str | None) -> None:
    answer = open_order(is_what_if=True, margins={"initMarginAfter": initial, "equityWithLoanAfter": equity})
    found = margins_of(answer)
    if objection is None:
        assert found is None
    else:
        assert found is not None
        assert objection in found.refusal
        assert bool(found.refusal) == bool(objection)


# ------------------------------------------------------------------------------------------ the order ids


async def test_ids_only_grow_over_every_process_and_every_reset() -> None:
    memory = InThisProcess()
    first = Ids(memory)
    await first.recall(NOW)
    first.at_least(1000)
    given = await first.give(["A", "B"], NOW)
    assert list(given.values()) == [1001, 1002]
    assert first.request() == 1003
    second = Ids(memory)
    await second.recall(NOW + timedelta(minutes=1))
    second.at_least(3)  # TWS begins again after a restart
    assert (await second.give(["C"], NOW))["C"] == 1003
    second.clashed()
    assert (await second.give(["D"], NOW))["D"] == 1104
    second.at_least(wire.MAX_ID + 5)
    assert second.highest == 1104
    second.at_least(wire.MAX_ID)
    with pytest.raises(wire.Unsendable, match="no order ids left"):
        await second.give(["E"], NOW)


async def test_what_was_sent_on_another_day_may_be_forgotten_by_ibkr() -> None:
    memory = InThisProcess()
    ids = Ids(memory)
    await ids.recall(NOW)
    await ids.give(["A"], NOW)
    await ids.owe("x.01", is_owed=True)
    assert not ids.may_be_forgotten("A", NOW + timedelta(hours=2))
    again = Ids(memory)
    await again.recall(NOW + timedelta(days=1))
    assert again.may_be_forgotten("A", NOW + timedelta(days=1))
    assert not again.may_be_forgotten("never sent", NOW)
    assert again.since == NOW
    assert again.owed == {"x.01"}
    await again.owe("x.01", is_owed=False)
    late = Ids(memory)
    await late.recall(NOW + timedelta(days=8))
    assert not late.may_be_forgotten("A", NOW + timedelta(days=8))
    assert late.owed == set()
    assert "order:A" not in await memory.read()
    assert late.highest >= 1


# ------------------------------------------------------------------------------------------------ pauses


def at(day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, second, tzinfo=UTC)


def test_planned_restarts_pause_the_day_and_the_sunday() -> None:
    daily = Restart(time(23, 45), "America/New_York")
    sunday = Restart(time(1, 0), "America/New_York", SUNDAY, lasts_s=600)
    both = (daily, sunday)
    assert planned(both, at(3, 4, 44, 29)) == ""
    assert planned(both, at(3, 4, 44, 31)) == "planned daily restart at 23:45 America/New_York"
    assert planned(both, at(3, 4, 46, 59)) != ""
    assert planned(both, at(3, 4, 47)) == ""
    assert planned((sunday,), at(1, 6, 9)) == "planned weekly restart at 01:00 America/New_York"
    assert planned((sunday,), at(2, 6, 9)) == ""
    assert planned((), NOW) == ""
    over_midnight = Restart(time(23, 59), "UTC", lasts_s=300)
    assert over_midnight.holds(at(4, 0, 1))
