"""What a person changes in TWS: the gateway is told before anything over-fills, and a person is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibkr_words import CODE, NOW, PERM, REF, Story, completed, execution, open_order, order, status

from gateway.domain.life import step
from gateway.domain.order import ExecType, Order, OrdStatus, Report

TOLD = Decimal(100)


def book(reports: list[Report], known: Order | None = None) -> Order:
    """Follow reports as the order manager does."""
    known = known or Order(order(), NOW, ord_status=OrdStatus.NEW)
    for report in reports:
        change = step(known, report)
        assert not change.illegal, change
        known.take(report, change, NOW)
    return known


def fill(qty: int, order_qty: int | None) -> Report:
    """An execution of so much, which may say how large its order is."""
    return Report(
        REF, "x.01", ExecType.TRADE, OrdStatus.PARTIALLY_FILLED, Decimal(qty), last_qty=Decimal(qty),
        last_px=Decimal(10), order_qty=None if order_qty is None else Decimal(order_qty),
    )  # fmt: skip


def test_more_is_told_before_it_fills_and_books_all_of_it() -> None:
    story = Story().live().hears(open_order(qty=Decimal(150)))
    assert [(one.exec_type, one.order_qty) for one in story.reports][-1] == (ExecType.RESTATED, 150)
    assert "quantity 100 is 150 now" in story.notices[0].text
    story.hears(execution(qty="150")).waits(5).hears(status("Filled", 150))
    found = book(story.reports)
    assert (found.cum_qty, found.order_qty, found.ord_status) == (150, 150, OrdStatus.FILLED)
    naive = step(Order(order(), NOW, ord_status=OrdStatus.NEW), fill(150, None))
    assert "over-fill" in naive.illegal  # naive: the account stops, and its book lacks 150 shares


def test_less_ends_where_it_now_ends() -> None:
    story = Story().live().hears(open_order(qty=Decimal(60)), execution(qty="60")).waits(5)
    found = book(story.hears(status("Filled", 60)).reports)
    assert (found.cum_qty, found.order_qty, found.ord_status) == (60, 60, OrdStatus.FILLED)


def test_a_change_while_it_was_partly_filled_says_what_has_filled() -> None:
    story = Story().live().hears(execution(qty="40")).waits(5).hears(open_order(qty=Decimal(120)))
    assert story.last is OrdStatus.PARTIALLY_FILLED
    found = book(story.reports)
    assert (found.cum_qty, found.order_qty, found.leaves_qty) == (40, 120, 80)


def test_a_limit_is_told_of_once_and_changes_nothing_else() -> None:
    story = Story()
    story.ledger.sent(order(), 101, 11, TOLD, Decimal("10.00"))
    story.hears(open_order(limit=Decimal("10.00")), status("Submitted")).forgets()
    story.hears(open_order(limit=Decimal("9.50")), open_order(limit=Decimal("9.50")), open_order(limit=None))
    assert [one.text for one in story.notices] == [
        f"AAPL {REF}: limit 10.00 is 9.50 now: somebody changed it in TWS"
    ]
    assert story.reports == []


def test_a_market_order_has_no_limit_to_change() -> None:
    assert Story().live().hears(open_order(limit=Decimal(1))).notices == []


def test_a_new_process_learns_the_quantity_before_the_executions() -> None:
    story = Story().hears(open_order(qty=Decimal(150)), status("Submitted"), execution(qty="120")).waits(5)
    assert story.notices == []  # it knows of no other quantity
    found = book(story.reports)
    assert (found.cum_qty, found.order_qty) == (120, 150)


def test_what_was_enlarged_and_filled_while_nobody_looked_is_booked() -> None:
    story = Story().hears(execution(qty="150"), completed(filled=150)).waits(5)
    found = book(story.reports)
    assert (found.cum_qty, found.ord_status) == (150, OrdStatus.FILLED)


def test_a_strangers_second_fill_is_no_over_fill() -> None:
    words: dict[str, Any] = {"perm_id": PERM + 1, "client_id": 0, "order_id": 0, "ref": "", "account": CODE}
    story = Story().hears(
        execution("s.01", "10", cum_qty=Decimal(10), **words),
        execution("t.01", "5", cum_qty=Decimal(15), **words),
    ).waits(5)  # fmt: skip
    assert [one.order_qty for one in story.reports] == [10, 15]


def test_a_second_order_that_ended_without_a_share_stops_nothing_again() -> None:
    told = (execution(qty="100"), completed(filled=100), completed("Cancelled", 0, perm_id=PERM + 1))
    story = Story().hears(*told).waits(5)
    assert story.notices == []
    assert book(story.reports).cum_qty == 100
    traded = Story().hears(execution(qty="100"), completed("Cancelled", 5, perm_id=PERM + 1))
    assert [one.halts for one in traded.notices] == [True]


changes = st.lists(
    st.one_of(
        st.integers(min_value=1, max_value=200).map(lambda qty: ("amend", qty)),
        st.integers(min_value=1, max_value=80).map(lambda qty: ("fill", qty)),
    ),
    max_size=12,
)  # fmt: skip


@given(changes, st.booleans())
def test_whatever_is_changed_between_fills_the_book_is_the_venues(
    acts: list[tuple[str, int]], is_heard_late: bool
) -> None:
    story, qty, cum = Story().live(), 100, 0
    for number, (act, amount) in enumerate(acts):
        if act == "amend" and amount > cum and cum < qty:
            qty = amount
            if not is_heard_late:
                story.hears(open_order(qty=Decimal(qty)))
        elif act == "fill" and cum < qty:
            part = min(amount, qty - cum)
            cum += part
            story.hears(execution(f"{number}.01", str(part), cum_qty=Decimal(cum))).waits(5)
    story.hears(open_order(qty=Decimal(qty)), status("Submitted" if cum < qty else "Filled", cum)).waits(5)
    found = book(story.reports)
    assert found.cum_qty == cum
    assert found.order_qty == qty
    assert (found.ord_status is OrdStatus.FILLED) == (cum == qty)


@pytest.mark.parametrize(("said", "amended"), [(150, 150), (100, None), (60, None)])
def test_a_fill_may_say_that_its_order_has_grown_and_never_that_it_shrank(
    said: int, amended: int | None
) -> None:
    known = Order(order(), NOW, ord_status=OrdStatus.NEW)
    assert step(known, fill(50, said)).order_qty == amended
