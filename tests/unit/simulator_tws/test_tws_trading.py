from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tws_desk import UNSET_DOUBLE, Tws, order, sequence

from simulator.tws.books import Books
from simulator.venue import VenueError

MARKET = ["open", "status PreSubmitted", "exec", "open", "status Filled", "open", "commission"]


def test_a_market_order_is_told_as_a_real_gateway_tells_it() -> None:
    client = Tws().client()
    assert sequence(client.place(1, "BUY", "10", ref="r-1")) == MARKET
    execution, status, commission = client.of(11)[0], client.of(3)[-1], client.of(59)[0]
    assert execution[1:3] == ["-1", "1"]
    assert (execution[15], execution[18], execution[19], execution[20]) == (
        "20261127 10:00:00 US/Eastern", "BOT", "10", "100.01",
    )  # fmt: skip
    assert execution[26] == "r-1"
    assert execution[14].endswith(".01")
    assert status[1:6] == ["1", "Filled", "10", "0", "100.01"]
    assert status[6] == execution[21]
    assert commission[2:6] == [execution[14], "1.00", "USD", UNSET_DOUBLE]


def test_a_resting_order_fills_in_parts_changes_and_is_cancelled() -> None:
    tws = Tws()
    client = tws.client()
    assert sequence(client.place(1, "BUY", "10", "90", ref="r")) == ["open", "status Submitted"]
    tws.do("fill", cl_ord_id="r", qty="4")
    assert client.states[-1] == ("1", "Submitted", "4", "6")
    assert sequence(client.place(1, "BUY", "12", "91", ref="r")) == ["open", "status Submitted"]
    assert client.of(5)[-1][14:17] == ["12", "LMT", "91"]
    client.said.clear()
    assert sequence(client.cancel(1)) == ["status Cancelled", "error 202"]
    assert client.states[-1] == ("1", "Cancelled", "4", "8")
    assert {one.perm_id for one in tws.door.house.tickets} == {tws.door.house.tickets[0].perm_id}


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"qty": "0"}, 434),
        ({"qty": "1.5"}, 10243),
        ({"qty": "-1"}, 321),
        ({"qty": "1", "price": "90.001"}, 110),
        ({"qty": "1", "price": "-1"}, 321),
        ({"qty": "1", "kind": "LMT"}, 321),
        ({"qty": "1", "symbol": "NOPE"}, 200),
        ({"qty": "1", "kind": "STP"}, 321),
        ({"qty": "1", "kind": "TRAIL"}, 387),
        ({"qty": "1", "tif": "GTD"}, 391),
        ({"qty": "1", "account": ""}, 435),
        ({"qty": "1", "account": "DU9"}, 321),
        ({"qty": "1", "action": "HOLD"}, 321),
        ({"qty": "50", "symbol": "TOY"}, 388),
        ({"qty": "150", "symbol": "TOY"}, 388),
        ({"qty": "1", "parent": 77}, 135),
    ],
    ids=str,
)
def test_what_tws_refuses_never_becomes_an_order(order: dict[str, Any], code: int) -> None:
    tws = Tws()
    client = tws.client()
    said = client.place(5, order.pop("action", "BUY"), order.pop("qty"), order.pop("price", None), **order)
    assert client.errors == [(5, code)]
    assert sequence(said) == [f"error {code}"]
    assert tws.door.house.tickets == []


def test_a_price_step_depends_on_the_price() -> None:
    client = Tws().client()
    client.place(1, "BUY", "100", "0.0501", symbol="TOY")
    client.place(2, "BUY", "100", "1.0001", symbol="TOY")
    assert client.errors == [(2, 110)]


@pytest.mark.parametrize(("action", "qty"), [("BUY", "10000"), ("SELL", "1")])
def test_what_the_account_cannot_carry_is_rejected_and_inactive(action: str, qty: str) -> None:
    client = Tws().client()
    assert sequence(client.place(1, action, qty)) == ["open", "status Inactive", "error 201"]
    client.ask(99, 0)
    assert len(client.of(101)) == 1
    client.cancel(1)
    assert client.errors[-1] == (1, 10148)
    assert client.of(4)[-1][4].endswith("state: Inactive.")


def test_a_what_if_answers_with_numbers_and_makes_no_order() -> None:
    tws = Tws()
    client = tws.client()
    (said,) = client.place(1, "BUY", "10", "99", what_if=True)
    at = said.index("PreSubmitted")
    assert said[at - 1] == "1"
    margins = [Decimal(one) for one in said[at + 1 : at + 10]]
    assert margins == [
        Decimal(one) for one in ("1000", "500", "102000", "500", "250", "9", "1500", "750", "102009")
    ]
    assert said[at + 10] == "1.00"
    (poor,) = client.place(2, "BUY", "100000", "99", what_if=True)
    assert "INITIAL" in poor[at + 14]
    client.place(3, "BUY", "0", "99", what_if=True)
    assert client.errors == [(3, 434)]
    assert tws.door.house.tickets == []


def test_cancels_that_cannot_be() -> None:
    client = Tws().client()
    client.place(1, "BUY", "10")
    client.cancel(1)
    client.cancel(77)
    client.cancel(0)
    assert client.errors == [(1, 10148), (77, 10147), (0, 10149)]
    assert client.of(4)[3][4] == "OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled."


def test_changes_that_cannot_be_leave_the_order_alive() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    client.place(1, "SELL", "10", "90")
    client.place(1, "BUY", "10", "90", symbol="MSFT")
    client.place(1, "BUY", "10", "90", account="DU2")
    client.place(1, "BUY", "10")
    client.place(1, "BUY", "10", "90.005")
    assert client.errors == [(1, 105), (1, 105), (1, 105), (1, 329), (1, 110)]
    assert tws.door.live()[0].order.price == Decimal(90)
    tws.do("fill", cl_ord_id="1:1", qty="10")
    client.place(1, "BUY", "20", "91")
    assert client.errors[-1] == (1, 104)


def test_a_change_that_comes_too_late_at_the_venue_is_104() -> None:
    tws = Tws(pending_ms=1000)
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    client.place(1, "BUY", "10", "91", ref="r")
    tws.do("fill", cl_ord_id="r", qty="10")
    tws.wait(2)
    assert client.errors == [(1, 104)]
    client.place(2, "BUY", "10", "90", ref="s")
    client.cancel(2)
    assert client.states[-1][1] == "PendingCancel"
    client.cancel(2)
    assert client.errors[-1] == (2, 161)
    tws.do("fill", cl_ord_id="s", qty="10")
    tws.wait(2)
    assert client.errors[-1] == (2, 10148)


def test_a_busted_and_a_corrected_execution_come_as_a_new_revision() -> None:
    tws = Tws()
    client = tws.client()
    client.ask(61, 1)
    client.place(1, "BUY", "10", "90", ref="r")
    tws.do("fill", cl_ord_id="r", qty="10")
    first = client.of(11)[0][14]
    tws.do("correct", exec_id=first, qty="8", price="99")
    second = client.of(11)[1]
    assert second[14] == first[:-2] + "02"
    assert second[19:21] == ["8", "99"]
    assert client.states[-1] == ("1", "Submitted", "8", "2")
    assert client.of(61)[-1][14:] == ["8", "99"]
    tws.do("bust", exec_id=second[14])
    third = client.of(11)[2]
    assert (third[14], third[19]) == (first[:-2] + "03", "0")
    assert client.of(61)[-1][14] == "0"
    with pytest.raises(VenueError, match="no execution"):
        tws.do("bust", exec_id=second[14])
    client.said.clear()
    client.ask(7, 3, 8, 0, "", "", "", "", "", "")
    assert [one[14] for one in client.of(11)] == [third[14]]


def test_executions_are_filtered() -> None:
    tws = Tws()
    one, two = tws.client(1), tws.client(2)
    one.place(1, "BUY", "10", ref="a")
    tws.wait(60)
    two.place(1, "SELL", "5", symbol="MSFT", ref="b")

    def asked(*words: object) -> list[str]:
        one.said.clear()
        one.ask(7, 3, 8, *words)
        assert one.said[-1] == ["55", "1", "8"]
        assert len(one.of(59)) == len(one.of(11))
        assert {said[1] for said in one.of(11)} <= {"8"}
        return [said[26] for said in one.of(11)]

    assert asked(0, "", "", "", "", "", "") == ["a", "b"]
    assert asked(2, "", "", "", "", "", "") == ["b"]
    assert asked(0, "DU2", "", "", "", "", "") == []
    assert asked(0, "", "20261127 10:00:30", "", "", "", "") == ["b"]
    assert asked(0, "", "20261127-15:00:30", "", "", "", "") == ["b"]
    assert asked(0, "", "20261127 15:00:30 UTC", "", "", "", "") == ["b"]
    assert asked(0, "", "", "AAPL", "STK", "SMART", "BUY") == ["a"]
    assert asked(0, "", "", "", "", "", "SLD") == ["b"]
    one.ask(7, 3, 8, 0, "", "yesterday", "", "", "", "")
    assert one.errors[-1] == (8, 320)
    tws.wait(25 * 3600)
    assert asked(0, "", "", "", "", "", "") == []


def test_clients_see_their_own_orders_the_master_everybodys() -> None:
    tws = Tws(master=9)
    one, two, master = tws.client(1), tws.client(2), tws.client(9)
    one.place(1, "BUY", "10", "90", ref="a")
    two.place(1, "BUY", "10", "91", ref="b")
    assert [said[23] for said in master.of(5)] == ["a", "b"]
    assert [said[23] for said in one.of(5)] == ["a"]
    two.cancel(1)
    assert master.states[-1][1] == "Cancelled"
    assert master.errors == []
    one.said.clear()
    one.ask(5, 1)
    assert [said[23] for said in one.of(5)] == ["a"]
    master.said.clear()
    master.ask(16, 1)
    assert [(said[1], said[24]) for said in master.of(5)] == [("1", "1")]
    two.cancel(5)
    assert two.errors[-1] == (5, 10147)
    two.ask(58, 1)
    assert one.states[-1][1] == "Cancelled"


def test_orders_of_tws_users_belong_to_client_0_once_it_binds_them() -> None:
    tws = Tws()
    other, zero = tws.client(1), tws.client(0)
    tws.do("manual", symbol="AAPL", side="buy", qty="10", price="90")
    other.ask(16, 1)
    assert other.of(5)[-1][1] == "0"
    zero.ask(5, 1)
    assert zero.of(5)[-1][1] == "-1"
    zero.ask(15, 1, 1)
    tws.do("manual", symbol="AAPL", side="sell", qty="1", account="DU1")
    zero.said.clear()
    tws.do("manual", symbol="AAPL", side="buy", qty="1", price="80")
    assert {one[1] for one in zero.of(5) + zero.of(3)} == {"-3"}
    assert zero.ask(5, 1)[-3][1] == "-3"
    zero.cancel(-3)
    assert zero.states[-1][:2] == ("-3", "Cancelled")
    other.place(1, "BUY", "1")
    done = [
        len([one for one in zero.ask(99, only_of_the_api) if one[0] == "101"]) for only_of_the_api in (1, 0)
    ]
    assert done == [1, 3]  # -2 was a sale of what nobody holds
    for bad in ({"symbol": "NOPE", "side": "buy"}, {"symbol": "AAPL", "side": "buy", "account": "X"}):
        with pytest.raises(VenueError):
            tws.do("manual", qty="1", **bad)
    tws.desk.leave(zero.session)
    assert not tws.desk.binds


def test_a_tws_user_may_change_any_clients_order_and_its_owner_is_told() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    client.said.clear()
    tws.do("amend", cl_ord_id="r", qty="15", price="91")
    assert sequence(client.said) == ["open", "status Submitted"]
    assert [client.of(5)[0][at] for at in (1, 14, 16)] == ["1", "15", "91"]
    assert client.states[-1] == ("1", "Submitted", "0", "15")
    tws.do("amend", cl_ord_id="r", price="92")
    tws.do("amend", cl_ord_id="r", doubles=True, qty="20")
    assert [(one.order.order_qty, one.is_stray) for one in tws.door.live()] == [(15, True), (20, False)]
    tws.do("amend", cl_ord_id=str(tws.door.live()[0].perm_id), qty="16")  # by its permId, the older one
    assert [one.order.order_qty for one in tws.door.live()] == [16, 20]
    tws.do("manual", symbol="AAPL", side="buy", qty="1", price="80")
    tws.do("amend", cl_ord_id=str(tws.door.live()[2].perm_id), qty="2")
    assert [one.order.order_qty for one in tws.door.live()] == [16, 20, 2]
    for bad in ({"price": "90.001"}, {"qty": "0"}, {"doubled": True}):
        with pytest.raises(VenueError):
            tws.do("amend", cl_ord_id=str(tws.door.live()[0].perm_id), **bad)
    client.ask(58, 1)
    with pytest.raises(VenueError, match="name a living order"):
        tws.do("amend", cl_ord_id=str(tws.door.house.tickets[0].perm_id), qty="3")


def test_realized_gains_follow_the_mean_cost() -> None:
    tws = Tws(may_short=True)
    client = tws.client()
    client.place(1, "BUY", "10")
    tws.do("price", symbol="AAPL", price="110")
    client.place(2, "BUY", "10")
    client.place(3, "SELL", "5")
    gain = Decimal(5) * (Decimal("109.98") - (Decimal("100.01") + Decimal("110.02")) / 2) - 1
    assert Decimal(client.of(59)[-1][5]) == gain
    client.place(4, "SELL", "20")
    assert tws.door.books.cost("DU1", "AAPL") == Decimal("109.98")
    assert tws.door.books.realized("DU1", "MSFT") == 0
    assert tws.door.books.cost("DU9", "AAPL") == 0


def test_a_fill_from_flat_has_a_cost_again() -> None:
    tws = Tws()
    books: Books = tws.door.books
    assert books.fill("DU2", "AAPL", Decimal(1), Decimal(100), Decimal(0)) is None
    assert books.fill("DU2", "AAPL", Decimal(-1), Decimal(101), Decimal(0)) == 1
    assert books.cost("DU2", "AAPL") == 0
    assert books.fill("DU2", "AAPL", Decimal(0), Decimal(100), Decimal(0)) is None


def test_the_day_ends_day_orders_and_keeps_the_others() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    client.place(2, "BUY", "10", "90", tif="GTC")
    client.place(3, "BUY", "10", "90", transmit=False)
    client.place(4, "SELL", "10", "95", parent=2)
    tws.do("close")
    assert {one[0]: one[1] for one in client.states} == {
        "1": "Cancelled",
        "2": "PreSubmitted",
        "4": "Cancelled",
    }
    assert client.errors[0] == (1, 202)
    assert sequence(client.place(5, "BUY", "10")) == ["open", "status PreSubmitted", "error 399"]
    assert sequence(client.place(6, "BUY", "10", "80")) == ["open", "status PreSubmitted", "error 399"]
    client.cancel(6)
    tws.wait(3600)
    tws.do("reopen")
    assert {one[0]: one[1] for one in client.states} == {
        "1": "Cancelled", "2": "Submitted", "4": "Cancelled", "5": "Filled", "6": "Cancelled",
    }  # fmt: skip
    client.said.clear()
    client.ask(99, 0)
    assert [one[22] for one in client.of(101)] == [""]


def test_short_sales_of_scarce_shares_are_held_until_they_are_located() -> None:
    tws = Tws(may_short=True, hard_to_borrow=["AAPL"])
    client = tws.client()
    assert sequence(client.place(1, "SELL", "10")) == ["error 404", "open", "status PreSubmitted"]
    assert client.of(3)[-1][11 - 1] == "locate"
    client.place(2, "SELL", "10", ref="b")
    tws.do("locate", symbol="MSFT")
    assert client.states[-1][1] == "PreSubmitted"
    client.place(2, "SELL", "5", ref="b")
    client.cancel(2)
    assert client.states[-1] == ("2", "Cancelled", "0", "5")
    tws.do("locate", symbol="AAPL")
    assert client.states[-1][:2] == ("1", "Filled")
    client.place(3, "SELL", "10")
    tws.do("deny_locate", symbol="AAPL")
    assert client.states[-1][:2] == ("3", "Inactive")
    assert client.errors[-1] == (3, 201)
    client.place(4, "SELL", "1", ref="h")
    assert tws.door.record()["held"][-1]["why"] == "locate"
    with pytest.raises(VenueError, match="held"):
        tws.do("fill", cl_ord_id="h", qty="1")


def test_nothing_is_sent_until_the_last_of_a_family_is_and_children_wait() -> None:
    tws = Tws()
    client = tws.client()
    assert client.place(1, "BUY", "10", "90", transmit=False) == []
    assert client.place(2, "SELL", "10", "110", parent=1, transmit=False) == []
    client.ask(16, 1)
    assert client.of(5) == []
    client.place(3, "SELL", "10", "120", parent=1)
    assert [one[:2] for one in client.states] == [
        ("1", "Submitted"), ("2", "PreSubmitted"), ("3", "PreSubmitted"),
    ]  # fmt: skip
    assert [(one[7], one[10]) for one in client.of(3)] == [("0", ""), ("1", "child"), ("1", "child")]
    assert [one[1] for one in client.of(5)] == ["1", "2", "3"]
    tws.do("fill", cl_ord_id="1:1", qty="10")
    assert {one[0]: one[1] for one in client.states} == {"1": "Filled", "2": "Submitted", "3": "Submitted"}
    tws.do("fill", cl_ord_id="1:2", qty="4")
    assert client.states[-1] == ("3", "Submitted", "0", "6")
    tws.do("fill", cl_ord_id="1:2", qty="6")
    assert client.states[-1][:2] == ("3", "Cancelled")


def test_a_family_whose_parent_fills_at_once_works_from_its_first_word() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", transmit=False)
    client.place(2, "SELL", "10", "110", parent=1, transmit=False)
    stop = order(3, "SELL", "10", kind="STP", parent=1)
    stop[20] = "90"
    client.ask(*stop)
    assert {one[0]: one[1] for one in client.states} == {
        "1": "Filled", "2": "Submitted", "3": "PreSubmitted",
    }  # fmt: skip
    assert [one[10] for one in client.of(3) if one[1] == "3"] == ["trigger"]


@pytest.mark.parametrize("pending", ["cancel", "change"])
def test_what_fills_whole_while_a_cancel_or_a_change_is_pending_is_filled_and_said_to_be(
    pending: str,
) -> None:
    tws = Tws(pending_ms=1000)
    client = tws.client()
    for order_id, group in ((1, ""), (2, "g"), (3, "g")):
        client.place(order_id, "BUY", "10", "90", oca=group)
    for order_id, group in ((1, ""), (2, "g")):
        if pending == "cancel":
            client.cancel(order_id)
        else:
            client.place(order_id, "BUY", "10", "89", oca=group)
    for name in ("1:1", "1:2"):
        tws.do("fill", cl_ord_id=name, qty="4")
        tws.do("fill", cl_ord_id=name, qty="6")
    last = {one[0]: one[1:] for one in client.states}
    assert (last["1"], last["2"]) == (("Filled", "10", "0"), ("Filled", "10", "0"))
    client.ask(99, 0)
    assert len(client.of(101)) == 2
    tws.wait(2)
    assert {one[0]: one[1] for one in client.states} == {"1": "Filled", "2": "Filled", "3": "Cancelled"}
    late = 10148 if pending == "cancel" else 104
    assert [one for one in client.errors if one[0] != 3] == [(1, late), (2, late)]
    assert {one.status for one in tws.door.house.tickets} == {"Filled", "Cancelled"}


def test_what_ends_while_a_cancel_is_pending_has_ended() -> None:
    tws = Tws(pending_ms=5000, ack_delay_ms=500)
    client = tws.client()
    client.place(1, "BUY", "10", "90", tif="IOC")
    client.cancel(1)
    tws.wait(1)
    assert [one[1] for one in client.states][-2:] == ["PendingCancel", "Cancelled"]
    assert tws.door.live() == []
    client.cancel(1)
    assert client.errors == [(1, 202), (1, 10148)]


def test_a_family_sent_in_an_outage_is_a_family_after_it() -> None:
    tws = Tws(hard_to_borrow=["MSFT"], may_short=True)
    client = tws.client()
    tws.desk.lose()
    client.place(1, "BUY", "10", "90", transmit=False)
    client.place(2, "SELL", "10", "110", parent=1, transmit=False)
    client.place(3, "SELL", "10", "120", parent=1)
    client.place(4, "BUY", "10", "90", transmit=False)
    client.place(5, "SELL", "100", symbol="MSFT")
    assert client.states == []
    tws.desk.restore(1102)
    assert [(one[1], one[2], one[10]) for one in client.of(3)] == [
        ("1", "Submitted", ""), ("2", "PreSubmitted", "child"), ("3", "PreSubmitted", "child"),
        ("5", "PreSubmitted", "locate"),
    ]  # fmt: skip


def test_a_family_whose_parent_ends_without_a_fill_ends_with_it() -> None:
    client = Tws().client()
    client.place(1, "BUY", "10", "90", tif="IOC", transmit=False)
    client.place(2, "SELL", "10", "110", parent=1, transmit=False)
    client.place(3, "SELL", "10", "120", parent=1)
    assert {one[0]: one[1] for one in client.states} == dict.fromkeys("123", "Cancelled")


def test_shares_located_while_the_market_is_closed_wait_for_it() -> None:
    tws = Tws(may_short=True, hard_to_borrow=["AAPL"])
    client = tws.client()
    client.place(1, "SELL", "10", tif="GTC")
    tws.do("close")
    client.said.clear()
    tws.do("locate", symbol="AAPL")
    assert sequence(client.said) == ["open", "status PreSubmitted", "error 399"]
    tws.do("reopen")
    assert client.states[-1][:2] == ("1", "Filled")


def test_what_a_group_leaves_of_an_order_held_is_less_too() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", oca="g", oca_type="2")
    client.place(2, "BUY", "5", "80")
    client.place(3, "SELL", "10", "95", parent=2, oca="g", oca_type="2")
    tws.do("fill", cl_ord_id="1:1", qty="3")
    assert client.states[-1] == ("3", "PreSubmitted", "0", "7")


def test_children_of_a_parent_that_did_a_part_are_no_larger_than_it() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    client.place(2, "SELL", "10", "110", parent=1)
    client.place(2, "SELL", "9", "111", parent=1)
    tws.do("fill", cl_ord_id="1:1", qty="4")
    client.cancel(1)
    assert client.states[-1] == ("2", "Submitted", "0", "4")
    assert client.of(5)[-1][16] == "111"


def test_a_group_outlives_a_member_that_was_never_let_in() -> None:
    client = Tws().client()
    client.place(1, "BUY", "10", "90", oca="g", oca_type="1")
    client.place(2, "BUY", "1000000", "90", oca="g", oca_type="1")
    assert {one[0]: one[1] for one in client.states} == {"1": "Submitted", "2": "Inactive"}


def test_an_order_kept_back_is_sent_by_placing_it_again() -> None:
    client = Tws().client()
    client.place(1, "BUY", "10", "90", transmit=False)
    assert client.place(1, "BUY", "11", "90", transmit=False) == []
    said = client.place(1, "BUY", "12", "90")
    assert sequence(said) == ["open", "status Submitted"]
    assert said[0][14] == "12"


def test_children_end_with_a_parent_that_did_nothing() -> None:
    client = Tws().client()
    client.place(1, "BUY", "10", "90")
    client.place(2, "SELL", "10", "110", parent=1)
    client.cancel(1)
    assert {one[0]: one[1] for one in client.states} == {"1": "Cancelled", "2": "Cancelled"}


@pytest.mark.parametrize(
    ("oca_type", "left"), [("1", ("Cancelled", "10")), ("2", ("Submitted", "7")), ("3", ("Submitted", "7"))]
)
def test_one_of_a_group_cancels_or_reduces_the_others(oca_type: str, left: tuple[str, str]) -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", oca="g", oca_type=oca_type)
    client.place(2, "BUY", "10", "80", oca="g", oca_type=oca_type)
    tws.do("fill", cl_ord_id="1:1", qty="3")
    assert {one[0]: (one[1], one[3]) for one in client.states}["2"] == left
    client.cancel(1)
    assert {one[0]: one[1] for one in client.states}["2"] == "Cancelled"


def test_what_a_part_filled_order_ended_of_is_said_of_it() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "100.01", tif="IOC")
    client.place(2, "BUY", "10", "90", tif="IOC")
    client.ask(99, 0)
    assert [one[-6] for one in client.of(101)] == [
        "Filled Size: 10",
        "Cancelled: nothing more can fill at once",
    ]
    tws.do("split", symbol="AAPL", ratio="2")
    assert tws.door.books.cost("DU1", "AAPL") == Decimal("50.005")


def test_an_order_that_a_bust_reopens_is_no_completed_one() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    tws.do("fill", cl_ord_id="r", qty="10")
    tws.do("bust", exec_id=client.of(11)[0][14])
    client.ask(99, 0)
    assert client.of(101) == []
    client.ask(5, 1)
    assert client.states[-1] == ("1", "Submitted", "0", "10")


def test_halts_restatements_and_immediate_orders_are_told() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    tws.do("halt", symbol="AAPL")
    assert client.states[-1][1] == "PreSubmitted"
    tws.do("resume", symbol="AAPL")
    tws.do("restate", cl_ord_id="r", qty="7")
    assert client.states[-1] == ("1", "Submitted", "0", "7")
    tws.do("guarantee", cl_ord_id="r", price="90")
    tws.do("cancel", cl_ord_id="r")
    assert client.states[-1][1] == "Cancelled"
    assert "canceled by the venue" in client.of(4)[-1][4]
    client.place(2, "BUY", "10", "90", tif="IOC")
    assert client.states[-1][1] == "Cancelled"


def test_an_acknowledgement_may_take_its_time() -> None:
    tws = Tws(ack_delay_ms=500)
    client = tws.client()
    assert client.place(1, "BUY", "10", "90") == []
    tws.wait(1)
    assert client.states == [("1", "Submitted", "0", "10")]


def test_names_of_orders_must_be_clear() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "1", "90", ref="same")
    client.place(2, "BUY", "1", "91", ref="same")
    for name, why in (("same", "several"), ("none", "no order"), ("1:9", "no order")):
        with pytest.raises(VenueError, match=why):
            tws.do("fill", cl_ord_id=name, qty="1")
    client.cancel(1)
    tws.do("fill", cl_ord_id="same", qty="1")
    with pytest.raises(VenueError, match="living"):
        tws.do("withdraw", cl_ord_id="same")
    for name, arguments in (("nothing", {}), ("locate", {"what": 1}), ("bind", {"x": 1})):
        with pytest.raises(VenueError):
            tws.do(name, **arguments)


def test_a_restart_brings_back_every_order_id_and_execution(tmp_path: Path) -> None:
    tws = Tws(tmp_path, fill_delay_ms=1000, partials=3)
    client = tws.client()
    client.place(1, "BUY", "10", ref="a")
    client.place(2, "BUY", "10", "90", ref="b")
    client.place(2, "BUY", "12", "91", ref="b")
    client.place(3, "BUY", "1000000", ref="poor")
    client.place(4, "BUY", "1", "80", ref="c")
    client.cancel(4)
    tws.wait(10)
    tws.do("fill", cl_ord_id="b", qty="5")
    tws.do("correct", exec_id=client.of(11)[-1][14], qty="4", price="90")
    tws.do("close")
    client.place(5, "BUY", "1", ref="d")
    tws.do("reopen")
    before, said = tws.door.record(), [one.exec_id for one in tws.door.house.executions]
    tws.journal.close()
    again = Tws(tmp_path, prefix="other-", fill_delay_ms=1000, partials=3)
    assert again.door.record() == before
    assert [one.exec_id for one in again.door.house.executions] == said
    assert again.client().said[1] == ["9", "1", "6"]
    again.do("rollback", count="3")
    again.journal.close()
    third = Tws(tmp_path, fill_delay_ms=1000, partials=3).client()
    assert third.said[1] == ["9", "1", "3"]
    third.place(4, "BUY", "1", "70", ref="new")
    assert third.states[-1] == ("4", "Submitted", "0", "1")


def test_a_store_begun_otherwise_is_refused(tmp_path: Path) -> None:
    tws = Tws(tmp_path)
    tws.journal.close()
    text = (tmp_path / "tws.jsonl").read_text()
    (tmp_path / "tws.jsonl").write_text(text.replace('"--seed": "1"', '"--seed": "2"'))
    with pytest.raises(VenueError, match="--seed"):
        Tws(tmp_path)
