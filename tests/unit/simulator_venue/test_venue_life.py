"""An order's life at the venue, from its acknowledgement to its end."""

from __future__ import annotations

from decimal import Decimal

import pytest
from venue_hand import CASH, T0, a_venue, at, buy, drop, report, sell, told

from simulator import venue as venue_module
from simulator.accounts import Tariff
from simulator.orders import ExecType, OrdStatus, TimeInForce
from simulator.venue import VenueError


def test_a_market_order_is_acknowledged_and_filled_at_once() -> None:
    venue = a_venue()
    assert told(venue.submit(buy("1"), T0)) == ["1 0/0 0/100", "1 F/2 100/0 100@100.00"]
    account = venue.accounts.find("main")
    assert account is not None
    assert (account.cash, account.positions["AAPL"]) == (CASH - 10_000, 200)
    assert venue.next_event() is None
    assert (venue.open_count, venue.pending_count) == (0, 0)


def test_a_limit_order_out_of_reach_rests_until_the_price_comes() -> None:
    venue = a_venue()
    assert told(venue.submit(buy("1", limit="99"), T0)) == ["1 0/0 0/100"]
    assert venue.set_price("IBM", Decimal(40), T0) == []
    assert told(venue.set_price("AAPL", Decimal("98.5"), T0)) == ["1 F/2 100/0 100@98.50"]


def test_fills_come_in_pieces_over_time_and_add_up() -> None:
    venue = a_venue(fill_delay_ms=100, partials=4, seed=3)
    said = venue.submit(buy("1", "1000"), T0)
    assert told(said) == ["1 0/0 0/1000"]
    now, fills = T0, []
    while (due := venue.next_event()) is not None:
        assert due > now
        now = due
        fills += venue.advance(now)
    assert len(fills) > 1
    assert [one.ord_status for one in fills[:-1]] == [OrdStatus.PARTIALLY_FILLED] * (len(fills) - 1)
    assert sum(report([one]).last_qty or 0 for one in fills) == 1000
    assert fills[-1].ord_status is OrdStatus.FILLED
    assert len({report([one]).exec_id for one in [*said, *fills]}) == len(fills) + 1


def test_the_average_price_is_weighted() -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1", "100"), T0)
    venue.fill("1", Decimal(30), T0, price=Decimal(100))
    last = report(venue.fill("1", Decimal(70), T0, price=Decimal(101)))
    assert last.avg_px == Decimal("100.70000000")


def test_the_same_calls_give_the_same_answers() -> None:
    def play() -> list[str]:
        venue, said = a_venue(fill_delay_ms=50, partials=5, seed=9), []
        for number in range(20):
            said += venue.submit(buy(str(number), "500"), at(number * 10))
        return told([*said, *venue.advance(at(10_000))])

    assert play() == play()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"symbol": "NONE"}, "1"),
        ({"account": "nobody"}, "15"),
        ({"qty": "0"}, "13"),
        ({"qty": "-5"}, "13"),
        ({"qty": "NaN"}, "13"),
        ({"qty": "1.5"}, "13"),
        ({"qty": "1" + "0" * 40}, "13"),
        ({"side": "8"}, "11"),
        ({"ord_type": "3"}, "11"),
        ({"time_in_force": "7"}, "11"),
        ({"limit": "0"}, "99"),
        ({"limit": "-1"}, "99"),
        ({"limit": "NaN"}, "99"),
        ({"limit": "1" + "0" * 40}, "99"),
        ({"limit": "1.0000000001"}, "99"),
        ({"ord_type": "2"}, "99"),
        ({"time_in_force": "6"}, "4"),
        ({"time_in_force": "6", "expire_time": T0}, "4"),
    ],
)
def test_an_order_that_cannot_be_is_rejected(words: dict[str, str], reason: str) -> None:
    venue = a_venue()
    new = buy("1", words.pop("qty", "100"), words.pop("limit", None))
    for name, value in words.items():
        setattr(new, name, value)
    said = venue.submit(new, T0)
    assert [(one.exec_type, one.ord_status) for one in map(report, [said])] == [("8", "8")]
    assert report(said).ord_rej_reason == reason
    assert report(said).text
    assert report(said).leaves_qty == 0
    assert venue.status("C", "1", T0).ord_status is OrdStatus.REJECTED


def test_a_whim_rejects_an_order() -> None:
    venue = a_venue()
    said = venue.submit(buy("1"), T0, refusal="not today")
    assert (report(said).ord_rej_reason, report(said).text) == ("0", "not today")


def test_a_cl_ord_id_is_used_once() -> None:
    venue = a_venue()
    venue.submit(buy("1", limit="90"), T0)
    again = venue.submit(buy("1"), T0)
    assert told(again) == ["1 8/0 0/100 103=6"]
    assert told(venue.submit(buy("1", poss_resend=True), T0)) == ["1 I/0 0/100"]
    assert (venue.duplicates, venue.resends, len(venue.orders)) == (1, 1, 1)
    assert told(venue.submit(buy("1", owner="D"), T0))[0] == "1 0/0 0/100"
    assert told(venue.submit(buy("2", limit="90", poss_resend=True), T0)) == ["2 0/0 0/100"]


def test_a_status_request_changes_nothing_and_names_no_execution() -> None:
    venue = a_venue()
    venue.submit(buy("1", limit="90"), T0)
    found = venue.status("C", "1", T0)
    assert (found.exec_type, found.ord_status, found.exec_id, found.text) == ("I", "0", "0", "nothing done")
    lost = venue.status("C", "9", T0, symbol="AAPL", side="2")
    assert (lost.order_id, lost.ord_status, lost.ord_rej_reason) == ("NONE", "8", "5")
    assert (lost.symbol, lost.side, lost.text) == ("AAPL", "2", "Unknown order")
    assert told(venue.submit(buy("3"), T0))[1] == "3 F/2 100/0 100@100.00"


def test_open_orders_are_those_of_the_owner() -> None:
    venue = a_venue()
    venue.submit(buy("1", limit="90"), T0)
    venue.submit(buy("2", limit="40", symbol="IBM"), T0)
    venue.submit(buy("3", limit="90", owner="D"), T0)
    venue.submit(buy("4"), T0)
    assert [one.cl_ord_id for one in venue.open_status("C", T0)] == ["1", "2"]
    assert [one.cl_ord_id for one in venue.open_status("C", T0, symbol="IBM")] == ["2"]


def test_immediate_or_cancel_and_fill_or_kill() -> None:
    venue = a_venue()
    ioc, fok = TimeInForce.IMMEDIATE_OR_CANCEL, TimeInForce.FILL_OR_KILL
    assert told(venue.submit(buy("1", limit="90", time_in_force=ioc), T0)) == ["1 0/0 0/100", "1 4/4 0/0"]
    assert told(venue.submit(buy("2", limit="90", time_in_force=fok), T0))[1] == "2 4/4 0/0"
    assert told(venue.submit(buy("3", time_in_force=fok), T0))[1] == "3 F/2 100/0 100@100.00"
    assert told(venue.submit(buy("4", time_in_force=ioc), T0))[1] == "4 F/2 100/0 100@100.00"
    venue.halt("AAPL", T0)
    assert told(venue.submit(buy("5", time_in_force=ioc), T0)) == ["5 0/0 0/100", "5 9/9 0/100", "5 4/4 0/0"]


def test_a_good_till_date_order_expires() -> None:
    venue = a_venue()
    gtd = TimeInForce.GOOD_TILL_DATE
    venue.submit(buy("1", limit="90", time_in_force=gtd, expire_time=at(500)), T0)
    venue.submit(buy("2", time_in_force=gtd, expire_time=at(500)), T0)
    assert venue.next_event() == at(500)
    assert told(venue.advance(at(500))) == ["1 C/C 0/0"]


def test_an_acknowledgement_can_take_its_time() -> None:
    venue = a_venue(ack_delay_ms=100)
    assert venue.submit(buy("1"), T0) == []
    assert venue.status("C", "1", T0).ord_status is OrdStatus.PENDING_NEW
    assert told(venue.advance(at(100))) == ["1 0/0 0/100", "1 F/2 100/0 100@100.00"]
    venue.submit(buy("2"), at(100))
    assert told(venue.cancel(drop("3", "2"), at(150))) == ["3 4/4 0/0 41=2"]
    assert venue.advance(at(300)) == []


def test_the_day_ends_and_another_begins() -> None:
    venue = a_venue(closes_at=at(1000))
    venue.submit(buy("1", limit="90"), T0)
    venue.submit(buy("2", limit="90", time_in_force=TimeInForce.GOOD_TILL_CANCEL), T0)
    assert told(venue.advance(at(1000))) == ["1 3/3 0/0", "2 3/3 0/100"]
    assert report(venue.submit(buy("3"), at(1001))).ord_rej_reason == "2"
    assert venue.set_price("AAPL", Decimal(80), at(1002)) == []
    assert told(venue.reopen(at(1003))) == ["2 D/0 0/100", "2 F/2 100/0 100@80.00"]
    late = a_venue(day_end=OrdStatus.EXPIRED)
    late.submit(buy("1", limit="90"), T0)
    assert told(late.close(T0)) == ["1 C/C 0/0"]


def test_a_halt_suspends_and_a_resumption_restates() -> None:
    venue = a_venue(fill_delay_ms=100)
    venue.submit(buy("1"), T0)
    venue.submit(buy("2", limit="40", symbol="IBM"), T0)
    assert told(venue.halt("AAPL", at(1))) == ["1 9/9 0/100"]
    assert venue.halt("AAPL", at(1)) == []
    assert told(venue.submit(buy("3", limit="90"), at(2))) == ["3 0/0 0/100", "3 9/9 0/100"]
    assert venue.advance(at(5000)) == []
    assert [one.split()[1] for one in told(venue.resume("AAPL", at(5000)))] == ["D/0", "D/0"]
    assert told(venue.advance(at(9000))) == ["1 F/2 100/0 100@100.00"]


def test_the_operator_fills_and_cancels_by_hand() -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1", limit="99"), T0)
    venue.submit(buy("2"), T0)
    assert told(venue.fill("1", Decimal(40), T0)) == ["1 F/1 40/60 40@99"]
    assert told(venue.fill("2", Decimal(100), T0)) == ["2 F/2 100/0 100@100.00"]
    assert told(venue.cancel_unsolicited("1", T0)) == ["1 4/4 40/0"]
    for wrong in (Decimal(0), Decimal(61)):
        with pytest.raises(VenueError, match="0 of 1 is left"):
            venue.fill("1", wrong, T0)
    with pytest.raises(VenueError, match="nothing left to cancel"):
        venue.cancel_unsolicited("1", T0)
    with pytest.raises(VenueError, match="is no order here"):
        venue.fill("9", Decimal(1), T0)


def test_a_name_two_clients_use_needs_its_owner() -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1"), T0)
    venue.submit(buy("1", owner="D"), T0)
    with pytest.raises(VenueError, match="several clients; add owner"):
        venue.fill("1", Decimal(1), T0)
    assert report(venue.fill("1", Decimal(1), T0, owner="D")).owner == "D"


def test_the_operator_restates_a_quantity() -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1", limit="99"), T0)
    assert told(venue.restate("1", Decimal(50), T0)) == ["1 D/0 0/50"]
    assert report(venue.restate("1", Decimal(80), T0)).exec_restatement_reason == "2"
    venue.fill("1", Decimal(30), T0)
    with pytest.raises(VenueError, match="30 of 1 has filled"):
        venue.restate("1", Decimal(30), T0)
    waiting = a_venue(ack_delay_ms=10)
    waiting.submit(buy("1", limit="99"), T0)
    assert told(waiting.restate("1", Decimal(50), T0)) == ["1 D/A 0/50"]


def test_the_operator_names_listed_symbols_and_real_prices() -> None:
    venue = a_venue()
    for wrong in ("NaN", "0", "-1"):
        with pytest.raises(VenueError, match="must lie above 0"):
            venue.set_price("AAPL", Decimal(wrong), T0)
    with pytest.raises(VenueError, match="NONE is not listed"):
        venue.halt("NONE", T0)
    venue.submit(buy("1", limit="9"), T0)
    with pytest.raises(VenueError, match="no pending request"):
        venue.decide("1", T0)


def test_commission_is_charged_as_it_is_owed() -> None:
    venue = a_venue(tariff=Tariff(Decimal("0.005"), Decimal(1), Decimal(0)), fills_by_hand=True)
    venue.submit(buy("1", "1000"), T0)
    charged = [report(venue.fill("1", Decimal(qty), T0)).commission for qty in (100, 100, 800)]
    assert charged == [Decimal("1.00"), Decimal("0.00"), Decimal("4.00")]
    account = venue.accounts.find("main")
    assert account is not None
    assert account.cash == CASH - 100_000 - 5


def test_an_order_beyond_the_bound_is_refused_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue_module, "MAX_ORDERS", 1)
    venue = a_venue()
    venue.submit(buy("1"), T0)
    said = [venue.submit(buy(name), T0) for name in "23"]
    assert [report(one).ord_rej_reason for one in said] == ["3", "3"]
    assert len({report(one).order_id for one in said}) == 2
    assert len(venue.orders) == 1


def test_a_fill_beyond_the_order_is_a_bug() -> None:
    venue = a_venue(fills_by_hand=True)
    venue.submit(buy("1"), T0)
    with pytest.raises(AssertionError, match="cannot fill"):
        venue._floor.execute(venue.orders[0], Decimal(101), Decimal(1), T0)


def test_two_clients_trade_with_each_other() -> None:
    venue = a_venue()
    venue.submit(sell("1", limit="101", account="other", owner="D"), T0)
    venue.set_price("AAPL", Decimal(105), T0)
    assert venue.orders[0].ord_status is OrdStatus.FILLED
    venue.submit(buy("2", limit="104", owner="D", account="other"), T0)
    said = venue.submit(sell("3", limit="104"), T0)
    assert {one.exec_type for one in said} == {ExecType.NEW, ExecType.TRADE}
