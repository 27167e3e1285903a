"""Cancel and replace at the venue, after FIX 4.4 volume 4 appendix D."""

from __future__ import annotations

from decimal import Decimal

import pytest
from venue_hand import T0, a_venue, at, buy, change, drop, reject, report, sell, told

from simulator.orders import CxlRejReason, OrdStatus, TimeInForce
from simulator.venue import Venue


def working(**settings: object) -> Venue:
    venue = a_venue(**settings)
    venue.submit(buy("1", limit="90"), T0)
    return venue


def test_a_cancel_ends_the_order_under_its_own_id() -> None:
    venue = working()
    assert told(venue.cancel(drop("2", "1"), T0)) == ["2 4/4 0/0 41=1"]
    assert told([venue.status("C", "1", T0)]) == ["2 I/4 0/0 41=1"]
    assert venue.orders[0].first_cl_ord_id == "1"
    assert venue.set_price("AAPL", Decimal(1), T0) == []


def test_a_cancel_that_finds_nothing_to_cancel_is_rejected() -> None:
    venue = a_venue()
    venue.submit(buy("1"), T0)
    late = reject(venue.cancel(drop("2", "1"), T0))
    assert (late.cxl_rej_reason, late.ord_status, late.text) == ("0", "2", "Too late to cancel")
    lost = reject(venue.cancel(drop("3", "9", account="main"), T0))
    assert (lost.cxl_rej_reason, lost.ord_status, lost.order_id) == ("1", "8", "NONE")
    assert (lost.orig_cl_ord_id, lost.account, lost.response_to) == ("9", "main", "1")


def test_an_id_that_was_replaced_is_no_longer_the_orders() -> None:
    venue = working()
    venue.replace(change("2", "1", "200"), T0)
    assert told(venue.cancel(drop("3", "1"), T0)) == ["9 3 1 1"]
    assert told(venue.cancel(drop("3", "2"), T0)) == ["3 4/4 0/0 41=2"]


def test_a_request_under_a_used_id_is_rejected_or_answered_with_the_status() -> None:
    venue = working()
    assert told(venue.cancel(drop("1", "1"), T0)) == ["9 1 1 6"]
    venue.cancel(drop("2", "1"), T0)
    assert told(venue.cancel(drop("2", "1", poss_resend=True), T0)) == ["2 I/4 0/0"]
    assert told(venue.replace(change("2", "1", "5"), T0)) == ["9 2 2 6"]


def test_a_whim_refuses_a_request() -> None:
    venue = working()
    assert reject(venue.cancel(drop("2", "1"), T0, refusal="no")).cxl_rej_reason == "2"
    assert reject(venue.replace(change("2", "1", "5"), T0, refusal="no")).text == "no"
    assert told(venue.cancel(drop("2", "1"), T0)) == ["2 4/4 0/0 41=1"]


def test_a_replace_changes_quantity_and_price() -> None:
    venue = working()
    assert told(venue.replace(change("2", "1", "200", "101"), T0)) == [
        "2 5/0 0/200 41=1",
        "2 F/2 200/0 200@100.00",
    ]
    assert reject(venue.replace(change("3", "2", "200"), T0)).cxl_rej_reason == CxlRejReason.TOO_LATE


def test_a_replace_below_what_filled_is_amended_to_it() -> None:
    venue = working(fills_by_hand=True)
    venue.fill("1", Decimal(60), T0)
    assert told(venue.replace(change("2", "1", "50"), T0)) == ["2 5/2 60/0 41=1"]
    assert venue.open_count == 0


def test_a_replace_above_what_filled_reopens_the_order() -> None:
    venue = working(fills_by_hand=True)
    venue.fill("1", Decimal(100), T0)
    assert venue.open_count == 0
    assert told(venue.replace(change("2", "1", "150"), T0)) == ["2 5/1 100/50 41=1"]
    assert [one.cl_ord_id for one in venue.open_status("C", T0)] == ["2"]
    assert told(venue.fill("2", Decimal(50), T0)) == ["2 F/2 150/0 50@90"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"symbol": "IBM"}, "Symbol(55) cannot be replaced"),
        ({"side": "2"}, "Side(54) cannot be replaced"),
        ({"ord_type": "1"}, "OrdType(40) cannot be replaced"),
        ({"qty": "0"}, "OrderQty(38) 0 is not"),
        ({"limit": "-1"}, "Price(44) must lie above 0"),
    ],
)
def test_a_replace_that_cannot_be_is_rejected(words: dict[str, str], text: str) -> None:
    venue = working()
    qty, limit = words.pop("qty", "100"), words.pop("limit", None)
    refused = reject(venue.replace(change("2", "1", qty, limit, **words), T0))
    assert refused.cxl_rej_reason == "99"
    assert refused.text.startswith(text)
    assert told([venue.status("C", "1", T0)]) == ["1 I/0 0/100"]


def test_a_market_order_ignores_a_new_price() -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1"), T0)
    assert report(venue.replace(change("2", "1", "50", "7"), T0)).price is None


def test_only_a_smaller_quantity_at_the_same_price_keeps_its_place() -> None:
    def first_served(**words: str) -> str:
        venue = a_venue()
        venue.submit(buy("1", limit="99"), T0)
        venue.submit(buy("2", limit="99"), T0)
        venue.replace(change("3", "1", words["qty"], words.get("limit")), T0)
        said = venue.submit(sell("4", "50", "99", owner="D", account="other"), T0)
        said = venue.set_price("AAPL", Decimal(99), T0) if len(said) < 3 else said
        return next(one.cl_ord_id for one in said if one.cl_ord_id != "4")

    assert first_served(qty="80") == "3"
    assert first_served(qty="120") == "2"
    assert first_served(qty="100", limit="98.99") == "2"


def test_pending_requests_are_reported_and_decided_later() -> None:
    venue = working(pending_ms=100)
    assert told(venue.cancel(drop("2", "1"), T0)) == ["2 6/6 0/100 41=1"]
    assert told([venue.status("C", "2", T0)]) == ["2 I/6 0/100 41=1"]
    assert reject(venue.cancel(drop("3", "2"), at(1))).cxl_rej_reason == "3"
    assert told(venue.advance(at(100))) == ["2 4/4 0/0 41=1"]


def test_replaces_can_be_chained_while_pending() -> None:
    venue = working(pending_ms=100)
    assert told(venue.replace(change("2", "1", "200"), T0)) == ["2 E/E 0/100 41=1"]
    assert told(venue.replace(change("3", "2", "300"), at(50))) == ["3 E/E 0/200 41=1"]
    assert told(venue.advance(at(200))) == ["2 5/E 0/200 41=1", "3 5/0 0/300 41=2"]
    single = working(pending_ms=100, chains_requests=False)
    single.replace(change("2", "1", "200"), T0)
    assert reject(single.replace(change("3", "2", "300"), T0)).cxl_rej_reason == "3"


def test_what_fills_while_a_request_is_pending_may_make_it_too_late() -> None:
    venue = working(pending_ms=100, fills_by_hand=True)
    venue.cancel(drop("2", "1"), T0)
    assert told(venue.fill("1", Decimal(100), at(1))) == ["1 F/6 100/0 100@90"]
    assert reject(venue.advance(at(100))).text == "Too late to cancel"
    assert venue.status("C", "1", at(100)).ord_status is OrdStatus.FILLED


def test_a_pending_replace_of_an_order_that_ended_is_too_late() -> None:
    venue = working(pending_ms=100)
    venue.replace(change("2", "1", "200"), T0)
    venue.cancel_unsolicited("1", at(1))
    assert reject(venue.advance(at(100))).text == "Too late to replace"


def test_the_operator_decides_a_pending_request_once() -> None:
    venue = working(pending_ms=100)
    venue.replace(change("2", "1", "200"), T0)
    assert reject(venue.decide("2", at(1), refusal="no")).cxl_rej_reason == "2"
    assert venue.advance(at(100)) == []
    venue.replace(change("3", "1", "200"), at(101))
    assert told(venue.decide("3", at(102))) == ["3 5/0 0/200 41=1"]


def test_requests_can_be_pending_for_no_time_at_all() -> None:
    venue = working(pending_ms=0)
    assert told(venue.cancel(drop("2", "1"), T0)) == ["2 6/6 0/100 41=1", "2 4/4 0/0 41=1"]


def test_an_order_not_yet_acknowledged_can_be_replaced() -> None:
    venue = a_venue(ack_delay_ms=100)
    venue.submit(buy("1", limit="90"), T0)
    assert told(venue.replace(change("2", "1", "50"), at(1))) == ["2 5/A 0/50 41=1"]
    assert told(venue.advance(at(100))) == ["2 0/0 0/50"]


def test_a_replace_of_a_planned_order_plans_anew() -> None:
    venue = a_venue(fill_delay_ms=100, partials=3)
    venue.submit(buy("1", "300", time_in_force=TimeInForce.GOOD_TILL_CANCEL), T0)
    venue.replace(change("2", "1", "500"), at(10))
    said = (
        venue.advance(at(60)) + venue.advance(at(5000)) + venue.advance(at(9000)) + venue.advance(at(12000))
    )
    assert told(said)[-1].startswith("2 F/2 500/0")
