"""Busts, corrections, changed quantities and venues' totals: what they do to an order and to the book."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.book import Account, Book, Fill
from gateway.domain.life import after_refusal, step
from gateway.domain.lots import Lot, LotMethod
from gateway.domain.order import ExecType, Order, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce

AT = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
DAY = date(2024, 3, 12)
S, E = OrdStatus, ExecType


def order(qty: int = 100, tif: TimeInForce = TimeInForce.DAY) -> Order:
    spec = OrderSpec(
        "C1", "R1", "main", "sim", "AAA", Side.BUY, Decimal(qty), OrdType.LIMIT, Decimal(10), tif, 1
    )
    return Order(spec, AT, S.NEW)


def told(
    one: Order, kind: ExecType, status: OrdStatus, cum: int, exec_id: str, *,
    qty: int | None = None, px: int | None = None, ref: str = "", order_qty: int | None = None,
    commission: int = 0, reason: str = "", avg: Decimal | None = None,
) -> str:  # fmt: skip
    """Let a venue report, and return why the report is not believed."""
    report = Report(
        "C1", exec_id, kind, status, Decimal(cum),
        last_qty=None if qty is None else Decimal(qty), last_px=None if px is None else Decimal(px),
        commission=Decimal(commission), exec_ref_id=ref, restatement_reason=reason, avg_px=avg,
        order_qty=None if order_qty is None else Decimal(order_qty),
    )  # fmt: skip
    change = step(one, report)
    if not change.illegal:
        one.take(report, change, AT)
    return change.illegal


def filled() -> Order:
    one = order()
    assert not told(one, E.TRADE, S.PARTIALLY_FILLED, 40, "A", qty=40, px=10, commission=1)
    assert not told(one, E.TRADE, S.FILLED, 100, "B", qty=60, px=11, commission=1)
    return one


def test_a_bust_of_a_filled_order_lets_it_work_again() -> None:
    one = filled()
    assert not told(one, E.TRADE_CANCEL, S.PARTIALLY_FILLED, 40, "C", ref="B")
    assert (one.ord_status, one.cum_qty, one.leaves_qty) == (S.PARTIALLY_FILLED, 40, 60)
    assert (one.avg_px, one.commission) == (10, 1)
    assert not told(one, E.TRADE_CANCEL, S.PARTIALLY_FILLED, 40, "C", ref="B"), "said twice, done once"
    assert not told(one, E.TRADE, S.PARTIALLY_FILLED, 40, "B", qty=60, px=11), "the bust execution again"
    assert one.cum_qty == 40
    assert not told(one, E.TRADE, S.FILLED, 100, "D", qty=60, px=9)
    assert one.is_final


def test_a_bust_after_a_cancel_leaves_it_cancelled() -> None:
    one = order()
    told(one, E.TRADE, S.PARTIALLY_FILLED, 40, "A", qty=40, px=10)
    told(one, E.CANCELED, S.CANCELED, 40, "B")
    assert not told(one, E.TRADE_CANCEL, S.CANCELED, 0, "C", ref="A")
    assert (one.ord_status, one.cum_qty, one.leaves_qty) == (S.CANCELED, 0, 0)
    assert not told(one, E.TRADE, S.CANCELED, 30, "D", qty=30, px=10)
    assert (one.ord_status, one.cum_qty) == (S.CANCELED, 30)
    assert not told(one, E.TRADE_CANCEL, S.PARTIALLY_FILLED, 0, "F", ref="D")
    assert one.ord_status is S.CANCELED, "a bust does not bring a cancelled order back"


def test_a_correction_can_be_corrected_and_taken_back_under_either_name() -> None:
    one = filled()
    assert not told(one, E.TRADE_CORRECT, S.FILLED, 100, "C", qty=60, px=12, ref="B")
    assert (one.notional, one.commission) == (40 * 10 + 60 * 12, 2)
    assert not told(one, E.TRADE_CORRECT, S.FILLED, 100, "C", qty=60, px=12, ref="B"), "said twice"
    assert not told(one, E.TRADE_CORRECT, S.PARTIALLY_FILLED, 90, "D", qty=50, ref="C")
    assert (one.cum_qty, one.notional) == (90, 40 * 10 + 50 * 12)
    assert not told(one, E.TRADE_CORRECT, S.PARTIALLY_FILLED, 90, "F", px=13, commission=3, ref="B")
    assert (one.notional, one.commission) == (40 * 10 + 50 * 13, 4)
    assert not told(one, E.TRADE_CANCEL, S.PARTIALLY_FILLED, 40, "G", ref="D")
    assert (one.cum_qty, sorted(one.executions)) == (40, ["A"])


@given(st.integers(1, 60), st.integers(1, 10_000), st.booleans(), st.booleans())
def test_what_a_correction_does_not_say_follows_from_the_totals(
    qty: int, px: int, says_qty: bool, says_px: bool
) -> None:
    said, silent = filled(), filled()
    silent.is_by_totals = True
    cum = 40 + qty
    status = S.FILLED if cum == 100 else S.PARTIALLY_FILLED
    assert not told(said, E.TRADE_CORRECT, status, cum, "C", qty=qty, px=px, ref="B")
    assert not told(
        silent, E.TRADE_CORRECT, status, cum, "C", ref="B", avg=said.avg_px,
        qty=qty if says_qty else None, px=px if says_px else None,
    )  # fmt: skip
    assert (silent.cum_qty, silent.ord_status) == (said.cum_qty, said.ord_status)
    assert round(silent.notional, 6) == said.notional


def test_a_correction_whose_totals_say_nothing_leaves_the_rest_as_it_was() -> None:
    for cum, avg in ((100, None), (0, None), (90, Decimal(12)), (0, Decimal(12))):
        one = filled()
        assert not told(one, E.TRADE_CORRECT, S.FILLED, cum, "C", qty=60, ref="B", avg=avg)
        assert (one.cum_qty, one.notional) == (100, 40 * 10 + 60 * 11), (cum, avg)
    one = filled()
    assert not told(one, E.TRADE_CORRECT, S.FILLED, 120, "C", ref="B"), (
        "more than we know of: not ours to guess"
    )
    assert not told(one, E.TRADE_CORRECT, S.FILLED, 0, "C", ref="B")
    assert (one.cum_qty, one.notional) == (100, 40 * 10 + 60 * 11)
    assert not told(one, E.TRADE_CORRECT, S.PARTIALLY_FILLED, 40, "D", qty=0, ref="C", avg=Decimal(10))
    assert (one.cum_qty, one.notional) == (40, 400), "corrected to nothing"


def test_a_bust_that_comes_before_its_execution_keeps_it_from_counting() -> None:
    one = order()
    assert not told(one, E.TRADE_CANCEL, S.NEW, 0, "B", ref="A")
    assert not told(one, E.TRADE, S.PARTIALLY_FILLED, 40, "A", qty=40, px=10)
    assert (one.ord_status, one.cum_qty) == (S.NEW, 0)


@pytest.mark.parametrize(
    ("kind", "words", "why"),
    [
        (E.TRADE_CANCEL, {"cum": 100, "ref": ""}, "TRADE_CANCEL of an execution '' that is not known"),
        (E.TRADE_CORRECT, {"cum": 100, "ref": "X"}, "TRADE_CORRECT of an execution 'X' that is not known"),
        (E.TRADE_CORRECT, {"cum": 100, "ref": "A", "qty": 50}, "TRADE_CORRECT to 50 at 10: 110"),
        (E.TRADE_CORRECT, {"cum": 90, "ref": "A", "px": 0}, "TRADE_CORRECT to 40 at 0"),
        (E.TRADE_CORRECT, {"cum": 90, "ref": "A", "qty": -1}, "TRADE_CORRECT to -1 at 10"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_back_is_not(kind: ExecType, words: dict[str, int], why: str) -> None:
    one = filled()
    assert why in told(one, kind, S.PARTIALLY_FILLED, exec_id="Z", **words)  # type: ignore[arg-type]
    assert one.cum_qty == 100


def test_a_venue_that_counts_more_after_a_bust_is_short() -> None:
    one = filled()
    report = Report("C1", "C", E.TRADE_CANCEL, S.PARTIALLY_FILLED, Decimal(70), exec_ref_id="B")
    assert step(one, report).missing_qty == 30


@pytest.mark.parametrize("said", [S.SUSPENDED, S.STOPPED])
def test_a_refused_cancel_leaves_a_halted_or_guaranteed_order_as_it_is(said: OrdStatus) -> None:
    one = order()
    assert not told(one, E.PENDING_CANCEL, S.PENDING_CANCEL, 0, "A")
    assert after_refusal(one, said) is said


def test_quantities_the_venue_changes_are_followed() -> None:
    one = order()
    assert not told(one, E.RESTATED, S.NEW, 0, "A", order_qty=110)
    assert one.leaves_qty == 110
    assert not told(one, E.TRADE, S.FILLED, 110, "B", qty=110, px=10)
    assert one.is_final
    assert not told(one, E.PENDING_REPLACE, S.PENDING_REPLACE, 110, "C")
    assert not one.is_final, "nothing is closed while a replacement is pending"
    assert not told(one, E.REPLACED, S.PARTIALLY_FILLED, 110, "D", order_qty=120)
    assert (one.ord_status, one.leaves_qty) == (S.PARTIALLY_FILLED, 10)
    assert not told(one, E.REPLACED, S.REPLACED, 110, "F", order_qty=110)
    assert one.ord_status is S.FILLED
    assert not told(one, E.REPLACED, S.REPLACED, 110, "G", order_qty=130), "grown without a pending state"
    assert one.ord_status is S.PARTIALLY_FILLED


def test_a_quantity_below_what_has_filled_is_not_believed() -> None:
    one = order()
    told(one, E.TRADE, S.PARTIALLY_FILLED, 40, "A", qty=40, px=10)
    assert not told(one, E.RESTATED, S.PARTIALLY_FILLED, 40, "B", order_qty=30)
    assert one.order_qty == 100


def test_a_split_changes_the_units_of_an_order() -> None:
    one = order(tif=TimeInForce.GOOD_TILL_CANCEL)
    told(one, E.TRADE, S.PARTIALLY_FILLED, 20, "A", qty=20, px=10)
    told(one, E.DONE_FOR_DAY, S.DONE_FOR_DAY, 20, "B")
    assert (one.is_final, one.leaves_qty) == (False, 80), "a GTC order goes on tomorrow"
    assert not told(one, E.RESTATED, S.PARTIALLY_FILLED, 40, "C", order_qty=200, reason="0")
    assert (one.cum_qty, one.leaves_qty, one.avg_px) == (40, 160, 5)
    assert not told(one, E.RESTATED, S.PARTIALLY_FILLED, 40, "D", order_qty=200, reason="0")
    assert one.cum_qty == 40


# --------------------------------------------------------------------------------------------- the book


def fill(exec_id: str, side: Side, qty: int, px: int, *, commission: int = 1, days: int = 0) -> Fill:
    return Fill(
        "main", "AAA", side, Decimal(qty), Decimal(px), Decimal(commission), exec_id,
        DAY + timedelta(days=days), "C1",
    )  # fmt: skip


def book(method: LotMethod = LotMethod.FIFO) -> Book:
    lots = [Lot("main:opening:0", "AAA", date(2020, 1, 2), Decimal(50), Decimal(400))]
    held = Account(
        "main", Decimal(10_000), method, positions={"AAA": Decimal(50)}, lots={"AAA": lots}
    )  # fmt: skip
    return Book({"main": held})


def seen(one: Book) -> tuple[object, ...]:
    account = one.accounts["main"]
    one.check()
    return account.cash, account.commissions, account.positions, account.lots, one.realised


fills = st.lists(
    st.builds(
        fill, st.just(""), st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 60), st.integers(1, 30),
        commission=st.integers(0, 3), days=st.integers(0, 3),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


def named(several: list[Fill]) -> list[Fill]:
    return [replace(one, exec_id=f"E{n}") for n, one in enumerate(several)]


@given(fills, st.data(), st.sampled_from(list(LotMethod)))
def test_a_fill_taken_back_gives_the_book_that_never_had_it(
    several: list[Fill], data: st.DataObject, method: LotMethod
) -> None:
    several = named(several)
    gone = data.draw(st.integers(0, len(several) - 1))
    with_it, without_it = book(method), book(method)
    for one in several:
        with_it.apply(one)
    for one in several[:gone] + several[gone + 1 :]:
        without_it.apply(one)
    assert with_it.amend("main", several[gone].fill_id, None)
    assert seen(with_it) == seen(without_it)


@given(fills, st.data())
def test_a_corrected_fill_gives_the_book_that_had_it_so_from_the_beginning(
    several: list[Fill], data: st.DataObject
) -> None:
    several = named(several)
    place = data.draw(st.integers(0, len(several) - 1))
    right = named([data.draw(fills)[0]])[0]
    was, corrected = book(), book()
    for one in several:
        was.apply(one)
    for one in [*several[:place], right, *several[place + 1 :]]:
        corrected.apply(one)
    assert was.amend("main", several[place].fill_id, right)
    assert seen(was) == seen(corrected)


def test_a_fill_that_is_no_longer_remembered_cannot_be_taken_back() -> None:
    one = book()
    for number, days in enumerate([0, 0, 5]):
        one.apply(fill(f"E{number}", Side.BUY, 10, 10, days=days))
    one.apply(Fill("main", "BBB", Side.BUY, Decimal(1), Decimal(1), Decimal(0), "F1", DAY))
    one.forget_fills(DAY + timedelta(days=1))
    before = [list(part) if isinstance(part, list) else part for part in seen(one)]
    assert not one.amend("main", "C1:E0", None)
    assert not one.amend("main", "F1", None)
    assert list(one.accounts["main"].histories) == ["AAA"]
    assert [list(part) if isinstance(part, list) else part for part in seen(one)] == before
    assert one.amend("main", "C1:E2", None)
    assert one.position("main", "AAA") == 70
    assert len(list(itertools.chain(*one.accounts["main"].lots.values()))) == 4
