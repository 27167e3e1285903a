"""The order's life: the table, every pair of it, and what a report may and may not change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.life import LIFE, PENDING, step
from gateway.domain.order import (
    FINAL,
    ZERO,
    ExecType,
    Order,
    OrderSpec,
    OrdStatus,
    OrdType,
    Report,
    Side,
    TimeInForce,
)

AT = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
SPEC = OrderSpec(
    "C1", "R1", "main", "sim", "AAA", Side.BUY, Decimal(100), OrdType.LIMIT, Decimal(10), TimeInForce.DAY, 1
)
S = OrdStatus
UNSEEN = (S.PENDING_NEW, S.IN_DOUBT)
WIRE = [status for status in OrdStatus if status not in (S.DENIED, S.IN_DOUBT)]


def order(status: OrdStatus = S.NEW, cum_qty: int = 0) -> Order:
    return Order(SPEC, AT, status, Decimal(cum_qty))


def report(status: OrdStatus, cum_qty: int = 0, *, exec_id: str = "E1", **words: object) -> Report:
    words.setdefault("exec_type", ExecType(status.value) if status.value in set(ExecType) else ExecType.NEW)
    return Report("C1", exec_id, ord_status=status, cum_qty=Decimal(cum_qty), **words)  # type: ignore[arg-type]


def trade(
    last: int | str | None, cum: int, status: OrdStatus = S.PARTIALLY_FILLED, **words: object
) -> Report:
    words = {"exec_id": f"T{cum}", "last_px": Decimal(10), "exec_type": ExecType.TRADE, **words}
    qty = None if last is None else Decimal(last)
    return report(status, cum, last_qty=qty, **words)  # type: ignore[arg-type]


def take(one: Order, *reports: Report) -> Order:
    for each in reports:
        change = step(one, each)
        assert not change.illegal
        one.take(each, change, AT)
    return one


# ------------------------------------------------------------------------------------------- the table


def test_every_status_has_its_row() -> None:
    assert set(LIFE) == set(OrdStatus)
    assert {S.FILLED, S.CANCELED, S.REJECTED, S.EXPIRED, S.DONE_FOR_DAY, S.DENIED} == FINAL


def test_the_table_only_leads_to_statuses_that_exist_on_a_wire() -> None:
    reached = set().union(*LIFE.values())
    assert S.DENIED not in reached
    for current, after in LIFE.items():
        assert S.IN_DOUBT not in after or current in UNSEEN


def test_an_end_is_an_end_but_for_a_day_that_is_done() -> None:
    for status in FINAL - {S.DONE_FOR_DAY, S.FILLED}:
        assert LIFE[status] <= {status}
    assert LIFE[S.FILLED] == {S.FILLED, S.PENDING_REPLACE}, "a filled order may be asked to grow"
    assert {S.NEW, S.PARTIALLY_FILLED, S.FILLED, S.CANCELED, S.EXPIRED} < LIFE[S.DONE_FOR_DAY]


def test_every_living_order_may_end_in_every_way_but_a_started_one_cannot_be_rejected() -> None:
    for status in set(OrdStatus) - FINAL:
        ends = {S.FILLED, S.CANCELED, S.EXPIRED, S.DONE_FOR_DAY}
        assert ends < LIFE[status], status
    for status in (S.PARTIALLY_FILLED, S.STOPPED, S.CALCULATED):
        assert S.REJECTED not in LIFE[status]


@pytest.mark.parametrize("reported", WIRE, ids=lambda status: status.name)
@pytest.mark.parametrize("current", list(OrdStatus), ids=lambda status: status.name)
def test_every_pair(current: OrdStatus, reported: OrdStatus) -> None:
    done = 100 if S.FILLED in (current, reported) else 0
    change = step(order(current, done), report(reported, done, exec_type=ExecType.ORDER_STATUS))
    if reported is S.REPLACED and current is not S.DENIED:  # what works now, in other words
        reported = S.FILLED if done else S.NEW
    if current is S.DONE_FOR_DAY and reported in PENDING:  # this is a day order: it stays done
        assert (change.ord_status, change.illegal) == (current, "")
    elif reported in LIFE[current]:
        assert (change.ord_status, change.illegal) == (reported, "")
    elif current is not S.DENIED and (
        reported is S.PENDING_NEW or (current in FINAL and reported not in FINAL)
    ):
        assert (change.ord_status, change.illegal) == (current, ""), "an old word changes nothing"
    else:
        assert change.illegal == f"OrdStatus(39) {current.name} to {reported.name}"
        assert change.ord_status is current


def test_every_exec_type_that_carries_an_execution_says_so() -> None:
    assert {kind for kind in ExecType if kind.is_trade} == {
        ExecType.TRADE, ExecType.PARTIAL_FILL, ExecType.FILL,
    }  # fmt: skip
    assert all(status.is_final == (status in FINAL) for status in OrdStatus)
    assert [side.sign for side in Side] == [1, -1, -1]


# ----------------------------------------------------------------------------------------------- fills


def test_fills_add_up_to_filled() -> None:
    one = take(
        order(S.PENDING_NEW),
        report(S.NEW, order_id="V1"),
        trade(40, 40, last_px=Decimal("9.90"), commission=Decimal(1)),
        trade(60, 100, S.FILLED, last_px=Decimal("10.00"), commission=Decimal(2), text="done"),
    )
    assert (one.ord_status, one.cum_qty, one.leaves_qty, one.is_final) == (S.FILLED, 100, 0, True)
    assert one.avg_px == Decimal("9.96")
    assert (one.commission, one.order_id, one.text) == (3, "V1", "done")
    assert one.exec_ids == ["E1", "T40", "T100"]


def test_a_fresh_order_has_no_average_price_and_all_leaves() -> None:
    assert order(S.PENDING_NEW).avg_px == 0
    assert order(S.PENDING_NEW).leaves_qty == 100
    assert order(S.CANCELED).leaves_qty == 0


def test_an_execution_counts_once() -> None:
    one = take(order(), trade(40, 40))
    again = step(one, trade(40, 40))
    assert again.is_repeat
    assert not again.fill_qty
    one.take(trade(40, 40), again, AT)
    assert (one.cum_qty, one.exec_ids) == (40, ["T40"])


def test_reports_without_an_exec_id_are_no_repeats_of_each_other() -> None:
    one = take(order(), report(S.NEW, exec_id=""), report(S.NEW, exec_id=""))
    assert one.exec_ids == []
    assert not step(one, report(S.NEW, exec_id="")).is_repeat


@pytest.mark.parametrize("qty", [101, "100.0001"])
def test_more_than_was_ordered_is_illegal(qty: int | str) -> None:
    assert "over-fill" in step(order(), trade(qty, 100, S.FILLED)).illegal
    assert not step(order(), trade(100, 100, S.FILLED)).illegal
    assert "over-fill" in step(order(S.NEW, 1), trade(100, 101, S.FILLED)).illegal


def test_a_fill_may_say_that_somebody_enlarged_its_order_and_never_that_it_shrank() -> None:
    grown = trade(150, 150, S.FILLED, order_qty=Decimal(150))
    assert step(order(), grown).order_qty == 150
    one = take(order(), grown)
    assert (one.cum_qty, one.order_qty, one.ord_status) == (150, 150, S.FILLED)
    assert step(order(), trade(50, 50, S.PARTIALLY_FILLED, order_qty=Decimal(60))).order_qty is None
    assert "over-fill" in step(order(), trade(150, 150, S.FILLED, order_qty=Decimal(120))).illegal


@pytest.mark.parametrize(("qty", "px"), [(-1, "10"), (1, "0"), (1, "-3"), (1, None)])
def test_an_execution_needs_a_positive_quantity_and_price(qty: int, px: str | None) -> None:
    change = step(order(), trade(qty, 1, last_px=None if px is None else Decimal(px)))
    assert change.illegal == f"LastQty(32) {qty} at LastPx(31) {px or 0}"


def test_a_trade_report_without_a_quantity_fills_nothing() -> None:
    change = step(order(), trade(None, 5, last_px=None))
    assert (change.fill_qty, change.missing_qty) == (0, 5)
    assert not change.illegal


@pytest.mark.parametrize("kind", [ExecType.NEW, ExecType.ORDER_STATUS, ExecType.RESTATED])
def test_only_executions_fill(kind: ExecType) -> None:
    change = step(order(), trade(5, 0, S.NEW, exec_type=kind))
    assert change.fill_qty == 0


# ------------------------------------------------------------------------- what we have not seen (yet)


def test_what_the_venue_counts_beyond_our_executions_is_missing() -> None:
    change = step(order(), trade(5, 15))
    assert (change.fill_qty, change.missing_qty) == (5, 10)
    assert step(order(), trade(15, 15)).missing_qty == 0


@pytest.mark.parametrize("end", [S.CANCELED, S.EXPIRED, S.DONE_FOR_DAY])
@pytest.mark.parametrize(
    ("current", "after"),
    [(S.PENDING_NEW, S.NEW), (S.IN_DOUBT, S.NEW), (S.NEW, S.NEW), (S.PENDING_CANCEL, S.PENDING_CANCEL)],
)
def test_an_order_does_not_end_before_its_executions_are_here(
    end: OrdStatus, current: OrdStatus, after: OrdStatus
) -> None:
    change = step(order(current), report(end, 10))
    assert (change.ord_status, change.missing_qty) == (after, 10)
    seen = order(current, 10)
    assert step(seen, report(end, 10)).ord_status is end


def test_a_filled_report_that_does_not_fill_our_count_is_partial() -> None:
    assert step(order(), trade(60, 100, S.FILLED)).ord_status is S.PARTIALLY_FILLED
    assert step(order(S.NEW, 40), trade(60, 100, S.FILLED)).ord_status is S.FILLED


@pytest.mark.parametrize("current", [*UNSEEN, S.NEW, S.PENDING_CANCEL, S.CANCELED])
def test_an_older_report_is_booked_and_changes_no_later_status(current: OrdStatus) -> None:
    change = step(order(current, 50), trade(10, 30))
    assert change.fill_qty == 10
    assert change.ord_status is (S.PARTIALLY_FILLED if current in UNSEEN else current)
    old_word = step(order(current, 50), report(S.NEW, 0, exec_id="old"))
    assert old_word.ord_status is (S.PARTIALLY_FILLED if current in UNSEEN else current)


def test_an_older_execution_that_completes_the_order_fills_it() -> None:
    assert step(order(S.PARTIALLY_FILLED, 90), trade(10, 10)).ord_status is S.FILLED


@pytest.mark.parametrize("end", sorted(FINAL - {S.DENIED, S.FILLED}))
def test_a_fill_after_the_end_is_booked(end: OrdStatus) -> None:
    status = S.PARTIALLY_FILLED
    part = step(order(end, 0), trade(10, 10, status))
    assert (part.fill_qty, part.illegal) == (10, "")
    assert part.ord_status is (status if end is S.DONE_FOR_DAY else end)
    whole = step(order(end, 90), trade(10, 100, S.FILLED))
    assert (whole.ord_status, whole.illegal) == (S.FILLED, "")
    kept = step(order(end, 0), trade(10, 10, end))
    assert (kept.fill_qty, kept.ord_status) == (10, end)


def test_a_rejection_with_an_execution_is_a_contradiction() -> None:
    assert step(order(S.PARTIALLY_FILLED, 10), report(S.REJECTED, 10)).illegal


def test_nothing_happens_to_an_order_we_denied() -> None:
    assert step(order(S.DENIED), trade(10, 10)).illegal
    assert step(order(S.DENIED, 10), report(S.NEW, 0)).illegal


def test_the_last_words_stay_when_a_report_has_none() -> None:
    one = take(order(), report(S.NEW, order_id="V1", text="hello"), report(S.NEW, exec_id="E2"))
    assert (one.order_id, one.text, one.updated_at) == ("V1", "hello", AT)
    one.lookups = 3
    assert take(one, report(S.NEW, exec_id="E3")).lookups == 0


# ------------------------------------------------------------------------------------------ properties

QTY = st.decimals(0, 60, places=1, allow_nan=False)
REPORTS = st.builds(
    Report,
    cl_ord_id=st.just("C1"),
    exec_id=st.sampled_from(["", *(f"E{number}" for number in range(12))]),
    exec_type=st.sampled_from(ExecType),
    ord_status=st.sampled_from(WIRE),
    cum_qty=QTY.map(lambda qty: qty * 2),
    last_qty=st.none() | QTY | st.just(Decimal(-1)),
    last_px=st.none() | st.decimals(0, 20, places=2),
)


@given(st.sampled_from(sorted(set(OrdStatus) - {S.FILLED})), st.lists(REPORTS, max_size=15))
def test_no_reports_in_any_order_break_the_count(status: OrdStatus, reports: list[Report]) -> None:
    one = order(status)
    booked = notional = ZERO
    for each in reports:
        change = step(one, each)
        if change.illegal:
            assert change == replace(change, fill_qty=ZERO, ord_status=one.ord_status)
            continue
        before, was_final = one.cum_qty, one.is_final
        assert change.is_repeat == (each.exec_id != "" and each.exec_id in one.exec_ids)
        one.take(each, change, AT)
        booked += change.fill_qty
        notional += change.fill_qty * change.fill_px
        assert one.cum_qty == booked == before + change.fill_qty
        assert ZERO <= one.cum_qty <= SPEC.order_qty
        assert one.leaves_qty == (ZERO if one.is_final else SPEC.order_qty - one.cum_qty)
        assert len(one.exec_ids) == len(set(one.exec_ids))
        assert one.notional == notional
        assert one.ord_status is not S.FILLED or one.cum_qty == SPEC.order_qty
        assert change.missing_qty >= 0
        assert was_final or not (change.missing_qty and one.is_final), "ended before its executions came"


@given(st.permutations(range(6)), st.lists(st.integers(1, 20), min_size=6, max_size=6))
def test_executions_in_any_order_and_doubled_end_the_same(places: list[int], sizes: list[int]) -> None:
    spec = replace(SPEC, order_qty=Decimal(sum(sizes)))
    reports = []
    for number, size in enumerate(sizes):
        cum = sum(sizes[: number + 1])
        status = S.FILLED if cum == sum(sizes) else S.PARTIALLY_FILLED
        reports.append(trade(size, cum, status, last_px=Decimal(number + 1)))
    one = Order(spec, AT)
    take(one, *(reports[place] for place in places), *reports)
    assert (one.ord_status, one.cum_qty) == (S.FILLED, spec.order_qty)
    assert one.notional == sum(size * (number + 1) for number, size in enumerate(sizes))


def test_an_execution_without_its_own_numbers_is_read_from_the_totals() -> None:
    one = take(order(), trade(None, 40, avg_px=Decimal(10)), trade(None, 100, S.FILLED, avg_px=Decimal(13)))
    assert (one.cum_qty, one.ord_status, one.notional) == (100, S.FILLED, 1300)
    repeated = step(one, trade(None, 100, S.FILLED, exec_id="again", avg_px=Decimal(13)))
    assert (repeated.fill_qty, repeated.missing_qty) == (0, 0)


def test_totals_without_a_price_are_no_execution_but_something_is_missing() -> None:
    change = step(order(), trade(None, 40))
    assert (change.fill_qty, change.missing_qty) == (0, 40)


def test_totals_that_make_no_price_are_not_believed() -> None:
    one = take(order(), trade(None, 40, avg_px=Decimal(10)))
    assert step(one, trade(None, 50, avg_px=Decimal(1))).illegal.startswith("LastQty(32) 10 at LastPx(31) -")
