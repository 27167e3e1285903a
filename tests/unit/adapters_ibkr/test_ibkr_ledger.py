"""Orders followed by TWS's raw words: every order of messages, every name, every total."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibkr_words import (
    CODE,
    NOW,
    PERM,
    REF,
    Story,
    commission,
    completed,
    error,
    execution,
    open_order,
    order,
    settings,
    status,
)

from adapters.ibkr import said
from adapters.ibkr.known import Life
from adapters.ibkr.ledger import Ledger
from adapters.ibkr.outcomes import About, Ask, Outcome, Owed
from gateway.domain.life import step
from gateway.domain.order import ExecType, Order, OrdStatus, Side


def booked(story: Story) -> Order:
    """Let an order of the gateway's live through everything that was told."""
    ours = Order(order(), NOW)
    for report in story.reports:
        change = step(ours, report)
        assert not change.illegal, change.illegal
        ours.take(report, change, NOW)
    return ours


def test_a_market_order_as_recorded_from_a_real_gateway() -> None:
    """openOrder and orderStatus PreSubmitted, the fill, Filled twice, the commission last."""
    story = Story().sent()
    story.hears(open_order("PreSubmitted"), status("PreSubmitted"), execution())
    story.hears(open_order("Filled"), status("Filled", 100), open_order("Filled"))
    assert story.last is OrdStatus.NEW  # the fill still waits for what it cost
    story.hears(commission())
    ours = booked(story)
    assert (ours.ord_status, ours.cum_qty, ours.commission) == (OrdStatus.FILLED, Decimal(100), Decimal(1))
    assert ours.order_id == str(PERM)


MESSAGES = (execution(), commission(), status("Filled", 100), open_order("Filled"))


@pytest.mark.parametrize("told", list(permutations(MESSAGES)))
def test_any_order_of_a_fills_messages_makes_one_fill(told: tuple[said.Said, ...]) -> None:
    ours = booked(Story().sent().hears(open_order("PreSubmitted"), *told))
    assert (ours.ord_status, ours.cum_qty, ours.commission) == (OrdStatus.FILLED, Decimal(100), Decimal(1))


@given(st.lists(st.sampled_from(range(8)), min_size=8, max_size=40))
def test_repeats_and_reordering_never_change_the_book(picked: list[int]) -> None:
    parts = [execution(f"0001.{n}.01", "25", "10", cum_qty=Decimal(25 * n)) for n in (1, 2, 3, 4)]
    fees = [commission(f"0001.{n}.01", "0.25") for n in (1, 2, 3, 4)]
    pool = [*parts, *fees]
    story = Story().sent().hears(open_order("Submitted"))
    story.hears(*(pool[number] for number in picked), *pool, status("Filled", 100), status("Filled", 100))
    ours = booked(story)
    assert (ours.cum_qty, ours.notional, ours.commission) == (Decimal(100), Decimal(1000), Decimal(1))
    assert ours.ord_status is OrdStatus.FILLED
    assert len(ours.executions) == 4


def test_a_commission_that_does_not_come_lets_the_fill_through_and_is_made_good() -> None:
    story = Story().sent().hears(open_order(), execution(), status("Filled", 100))
    assert all(not one.exec_type.is_trade for one in story.reports)
    story.waits(3)
    assert booked(story).commission == 0
    assert story.of(Owed) == [Owed("0001.aa.01", is_owed=True)]
    story.hears(commission(fee="1.25"))
    ours = booked(story)
    assert (ours.cum_qty, ours.commission, ours.ord_status) == (
        Decimal(100),
        Decimal("1.25"),
        OrdStatus.FILLED,
    )
    assert story.of(Owed)[-1] == Owed("0001.aa.01", is_owed=False)


def test_a_commission_owed_by_a_process_before_this_one_is_made_good() -> None:
    first = Story().sent().hears(open_order(), execution(), status("Filled", 100)).waits(3)
    ours = booked(first)
    second = Story()
    second.ledger.owed = {"0001.aa.01"}
    second.hears(replace_req(execution()), commission(fee="1.25"))
    for report in second.reports:
        change = step(ours, report)
        assert not change.illegal
        ours.take(report, change, NOW)
    assert (ours.cum_qty, ours.commission) == (Decimal(100), Decimal("1.25"))


def replace_req(message: said.Said) -> said.Said:
    assert isinstance(message, said.ExecutionSaid)
    return replace(message, req_id=7)


def test_a_corrected_execution_takes_the_place_of_the_first() -> None:
    story = Story().sent().hears(open_order(), execution(), commission(), status("Filled", 100))
    story.hears(execution("0001.aa.02", "100", "9.50"), commission("0001.aa.02", "1"))
    ours = booked(story)
    assert (ours.cum_qty, ours.notional, ours.commission) == (Decimal(100), Decimal(950), Decimal(1))
    assert story.reports[-1].exec_type is ExecType.TRADE_CORRECT
    assert story.hears(execution()).last is OrdStatus.FILLED  # the old word again changes nothing
    assert booked(story).notional == 950


@pytest.mark.parametrize("has_seen_the_first", [True, False])
def test_a_new_process_that_only_sees_a_correction_books_it_once(has_seen_the_first: bool) -> None:
    ours = Order(order(), NOW)
    first = Story().sent().hears(open_order(), execution(), commission(), status("Filled", 100))
    second = Story().hears(execution("0001.aa.02", "100", "9.50"), commission("0001.aa.02", "1"))
    for report in [*(first.reports if has_seen_the_first else []), *second.reports]:
        change = step(ours, report)
        assert not change.illegal
        ours.take(report, change, NOW)
    assert (ours.cum_qty, ours.notional) == (Decimal(100), Decimal(950))


def test_a_bust_takes_the_execution_out() -> None:
    story = Story().sent().hears(open_order(), execution(), commission(), status("Filled", 100))
    story.hears(execution("0001.aa.02", "0", "10"), commission("0001.aa.02", "0"))
    assert ExecType.TRADE_CANCEL in {one.exec_type for one in story.reports}
    ours = booked(story)
    assert (ours.cum_qty, ours.ord_status) == (0, OrdStatus.CANCELED)


def test_a_total_without_its_executions_is_asked_about_and_then_told_as_it_is() -> None:
    story = Story().sent().hears(open_order(), status("Submitted"), status("Filled", 100))
    assert story.asks == [REF]
    assert story.last is OrdStatus.NEW
    story.ledger.confirm(REF, is_open=False, is_over=True)
    report = story.ledger.state(REF, 0)[-1].report  # type: ignore[union-attr]
    assert (report.ord_status, report.cum_qty, report.exec_type) == (
        OrdStatus.FILLED, Decimal(100), ExecType.ORDER_STATUS,
    )  # fmt: skip


def test_an_order_that_ends_by_a_completed_order_is_told_its_end() -> None:
    story = Story().sent().hears(open_order(), completed("Cancelled", 0))
    assert story.last is OrdStatus.CANCELED
    filled = Story().sent().hears(open_order(), execution(), commission(), completed("Filled", 100))
    assert booked(filled).ord_status is OrdStatus.FILLED


def test_inactive_alone_asks_and_with_a_refusal_ends() -> None:
    held = Story().sent().hears(open_order("Inactive"))
    assert held.asks == [REF]
    assert held.last is OrdStatus.SUSPENDED
    refused = Story().sent().hears(open_order("PreSubmitted"), error(201, "no"), status("Inactive"))
    assert refused.last is OrdStatus.REJECTED


def test_a_refusal_after_which_tws_shows_the_order_is_none() -> None:
    story = Story().sent().hears(error(201, "no"))
    assert story.last is OrdStatus.REJECTED
    assert story.forgets().hears(status("Submitted")).asks == [REF]
    story.ledger.confirm(REF, is_open=True, is_over=False)
    assert story.ledger.state(REF, 0)[-1].report.ord_status is OrdStatus.NEW  # type: ignore[union-attr]


def test_an_older_word_after_the_end_is_passed_over() -> None:
    story = Story().live().hears(status("Cancelled"))
    assert story.last is OrdStatus.CANCELED
    assert story.forgets().hears(status("Submitted"), open_order("PreSubmitted")).reports == []


def test_a_fill_after_the_cancel_counts() -> None:
    story = Story().live().hears(status("Cancelled"), execution(qty="40"), commission())
    ours = booked(story)
    assert (ours.ord_status, ours.cum_qty) == (OrdStatus.CANCELED, Decimal(40))


def test_a_cancel_nobody_asked_for_is_told_once() -> None:
    story = Story().live().hears(status("Cancelled"), error(202, "Order Canceled"), error(202, "again"))
    assert len(story.notices) == 1
    assert "nobody asked" in story.notices[0].text
    asked = Story().live()
    known = asked.ledger.find(REF)
    assert known is not None
    known.was_cancelled = True
    asked.hears(error(202, "Order Canceled"))
    assert asked.notices == []
    assert asked.last is OrdStatus.CANCELED


def test_a_word_tws_has_never_said_is_told_and_ends_nothing() -> None:
    story = Story().live().forgets().hears(status("Levitating"))
    assert story.asks == [REF]
    assert "Levitating" in story.notices[0].text
    assert story.reports == []


def test_two_orders_under_one_reference_stop_the_account() -> None:
    story = Story().live().forgets()
    story.hears(open_order("Submitted", perm_id=9002, order_id=102))
    (notice,) = story.notices
    assert (notice.severity, notice.account, notice.halts) == ("critical", "main", True)
    story.hears(execution("0002.aa.01", perm_id=9002, order_id=102), commission("0002.aa.01"))
    assert story.reports[-1].cl_ord_id == "perm:9002"  # booked as a stranger's, not into our order
    assert story.reports[-1].order_id == "9002"


def test_a_new_try_after_a_refusal_is_no_second_order() -> None:
    story = Story().sent().hears(open_order("PreSubmitted"), error(10243, "fraction"))
    story.hears(status("Inactive")).forgets()
    story.sent(order(), 102).hears(open_order("Submitted", perm_id=9002, order_id=102))
    assert story.notices == []
    assert story.last is OrdStatus.NEW
    assert story.forgets().hears(status("Cancelled"), open_order("Cancelled")).outcomes == []  # of the first
    fill = story.hears(execution()).waits(5)
    assert fill.reports[-1].cl_ord_id == f"perm:{PERM}"


def test_an_order_that_never_arrived_and_then_does_lives() -> None:
    story = Story().sent()
    story.ledger.absent(REF)
    known = story.ledger.find(REF)
    assert known is not None
    assert known.life is Life.GONE
    assert story.ledger.working() == []
    assert story.hears(open_order("Submitted")).last is OrdStatus.NEW


def test_another_clients_fill_on_our_account_is_a_strangers() -> None:
    story = Story().hears(
        execution(client_id=0, ref="", perm_id=77), commission(), execution(client_id=0, ref="", perm_id=77)
    )
    (report,) = story.reports
    assert (report.cl_ord_id, report.account, report.last_qty) == ("perm:77", "main", Decimal(100))


def test_what_another_link_or_another_day_did_is_left_alone() -> None:
    shared = Story(Ledger(settings(shared={"main": ("core",)}), lambda _id, symbol: symbol))
    assert shared.hears(execution(client_id=0, perm_id=77), commission()).reports == []
    story = Story()
    story.ledger.since = NOW + timedelta(hours=1)
    assert story.hears(execution(client_id=0, perm_id=77, req_id=3), commission()).reports == []
    old = execution("0003.a.01", req_id=3, ref="OFANOTHERHOUSEHO", perm_id=79)
    assert story.hears(old, commission("0003.a.01")).reports == []  # this client's, before our books began
    assert story.hears(execution("0002.a.01", client_id=0, perm_id=78), commission("0002.a.01")).reports != []
    story.ledger.order(order())
    asked = execution("0004.a.01", req_id=3, perm_id=80)
    assert story.forgets().hears(asked, commission("0004.a.01")).reports != []  # the gateway asks about it
    assert Story().hears(execution(account="DU999"), commission()).outcomes == []


def test_orders_of_other_clients_are_only_counted() -> None:
    story = Story().hears(open_order(client_id=3, order_id=5000, perm_id=1, ref="THEIRS"))
    assert story.outcomes == []
    assert story.ledger.others.working() == [(CODE, "AAPL", Side.BUY)]


def test_an_order_id_used_again_after_a_restart_is_not_taken_for_the_old_order() -> None:
    story = Story().live().forgets()
    story.ledger.new_session()
    assert story.hears(error(201, "of somebody's new order with the old number")).outcomes == []
    other = open_order(ref="QQQQQQQQQQQQQQQQ", perm_id=9100)
    assert story.hears(other).reports[-1].cl_ord_id == "QQQQQQQQQQQQQQQQ"
    assert story.forgets().hears(status("Cancelled", perm_id=9100)).reports[-1].cl_ord_id == "Q" * 16


def test_a_status_of_nobody_and_a_price_are_nothing() -> None:
    story = Story().hears(status("Submitted", perm_id=0), said.TickSaid(1, 1, Decimal(1)), completed())
    assert story.outcomes == []
    assert Story().hears(open_order(is_what_if=True)).outcomes == []


def test_a_lower_total_of_a_whole_order_is_its_whole_quantity() -> None:
    """After a restart nobody remembers that only the whole shares of an order were sent."""
    story = Story()
    story.ledger.order(order(order_qty=Decimal("10.5")))
    story.hears(execution(qty="10"), commission(), completed("Filled", 10))
    last = story.reports[-1]
    assert (last.ord_status, last.order_qty) == (OrdStatus.FILLED, Decimal(10))


@given(
    st.lists(
        st.sampled_from(
            [
                open_order("PreSubmitted"), status("Submitted"), execution("0001.a.01", "60"),
                commission("0001.a.01"), execution("0001.b.01", "40"), commission("0001.b.01"),
                status("Filled", 100), completed(), error(10349), error(399), error(201, "x"), error(388),
                error(10148, "state: Filled"),
            ]
        ),
        max_size=25,
    )
)  # fmt: skip
def test_whatever_is_said_in_whatever_order_fills_are_booked_once(messages: list[said.Said]) -> None:
    story = Story().sent().hears(open_order("PreSubmitted"), *messages)
    story.waits(10)
    traded = [one for one in story.reports if one.exec_type is ExecType.TRADE]
    assert len({one.exec_id for one in traded}) == len(traded)
    heard = {one.exec_id for one in messages if isinstance(one, said.ExecutionSaid)}
    assert {one.exec_id for one in traded} == heard
    assert sum(one.last_qty or 0 for one in traded) <= 100


def test_what_is_forgotten_is_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.ibkr.ledger.REMEMBERED", 2)
    story = Story().live().hears(execution(), commission())
    for number in (1, 2):
        story.sent(order(f"OTHER{number}"), 200 + number)
    assert story.ledger.find(REF) is None
    for number in range(4):
        story.hears(commission(f"x{number}.01"))
    outcomes: list[Outcome] = story.forgets().hears(execution(account=CODE, perm_id=5, client_id=0)).outcomes
    assert outcomes == []


def test_an_end_that_open_order_shows_waits_for_its_total() -> None:
    """A client that takes openOrder's word has an order of 100 filled with the 40 it has seen."""
    story = Story().live().hears(execution(qty="40"), commission(), open_order("Filled"))
    assert story.last is OrdStatus.PARTIALLY_FILLED
    assert story.of(Ask) == [Ask(REF, "openOrder says Filled", About.END)]
    assert not story.ledger.is_answered(REF, About.END)
    story.hears(status("Filled", 100))
    assert story.ledger.is_answered(REF, About.END)
    assert not story.ledger.is_answered(REF, About.COUNT)
    story.hears(execution("0002.aa.01", "60"), commission("0002.aa.01"))
    assert story.last is OrdStatus.FILLED
    assert booked(story).order_qty == 100
    assert story.ledger.is_answered(REF, About.COUNT)
    assert not story.ledger.is_answered(REF, About.ALL)
    assert story.ledger.is_answered("NOBODYS", About.ALL)
