from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tws_desk import START, Client, Tws, sequence

from simulator.accounts import SettingError
from simulator.tws.mishaps import MEANINGS, Mishap, Mishaps, read_planned, read_spec
from simulator.venue import VenueError

MARKET = ["open", "status PreSubmitted", "exec", "open", "status Filled", "open", "commission"]


def _bought(kind: str, **how: object) -> tuple[Tws, Client, list[str]]:
    tws = Tws()
    client = tws.client()
    tws.plan(kind, **how)
    return tws, client, sequence(client.place(1, "BUY", "10", ref="r"))


def test_every_mishap_says_what_it_does() -> None:
    assert set(MEANINGS) == set(Mishap)


def test_an_order_is_rejected_or_refused_with_any_code() -> None:
    _, _, said = _bought("reject_order")
    assert said == ["open", "status Inactive", "error 201"]
    tws, client, said = _bought("reject_order", code=103, text="Duplicate order id")
    assert said == ["error 103"]
    assert tws.door.house.tickets == []
    assert client.of(4)[-1][4] == "Duplicate order id"


def test_a_change_is_refused_and_the_order_lives_on() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    for code in (201, 105, 321):
        tws.plan("reject_change", code=code)
        assert sequence(client.place(1, "BUY", "10", "91", ref="r")) == [f"error {code}"]
    client.said.clear()
    client.ask(5, 1)
    assert client.of(5)[0][16] == "90"
    assert client.states == [("1", "Submitted", "0", "10")]


def test_a_cancel_is_refused_and_the_order_lives_on() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    tws.plan("reject_cancel")
    tws.plan("reject_cancel", code=10147)
    assert sequence(client.cancel(1)) == ["error 161"]
    assert sequence(client.cancel(1)) == ["error 10147"]
    assert sequence(client.cancel(1)) == ["status Cancelled", "error 202"]


def test_a_cancel_that_finds_a_fill_says_filled_before_the_fill_is_told() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90")
    tws.plan("cancel_too_late", seconds=2)
    assert sequence(client.cancel(1)) == ["error 10148"]
    assert client.of(4)[-1][4].endswith("state: Filled.")
    client.said.clear()
    tws.wait(3)
    assert sequence(client.said) == ["exec", "open", "status Filled", "open", "commission"]


def test_a_fill_may_come_after_the_cancel_was_confirmed() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    tws.do("fill", cl_ord_id="r", qty="4")
    tws.plan("fill_after_cancel", seconds=1)
    assert sequence(client.cancel(1)) == ["status Cancelled", "error 202"]
    client.said.clear()
    tws.wait(2)
    assert [one[19] for one in client.of(11)] == ["6"]
    assert client.states == [("1", "Filled", "10", "0")]


def test_a_change_may_leave_the_first_order_alive_under_another_permid() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    tws.plan("change_doubles")
    client.place(1, "BUY", "10", "91", ref="r")
    client.said.clear()
    client.ask(5, 1)
    assert [(one[1], one[16], one[23]) for one in client.of(5)] == [("1", "90", "r"), ("1", "91", "r")]
    assert len({one[25] for one in client.of(5)}) == 2
    client.cancel(1)
    assert [one.order.price for one in tws.door.live()] == [90]
    client.ask(58, 1)
    assert tws.door.live() == []


@pytest.mark.parametrize("code", [10349, 399, 2109, 404, 10167])
def test_an_informational_code_comes_on_a_living_order(code: int) -> None:
    tws = Tws()
    client = tws.client()
    tws.plan("inform", code=code, skip=1)
    client.place(1, "BUY", "10", "90")
    assert sequence(client.place(2, "BUY", "10", "90")) == ["open", "status Submitted", f"error {code}"]
    assert len(tws.door.live()) == 2


def test_commissions_come_first_late_or_never() -> None:
    assert _bought("commission_first")[2] == [
        *MARKET[:2],
        "commission",
        "exec",
        "open",
        "status Filled",
        "open",
    ]
    tws, client, said = _bought("commission_late", seconds=5)
    assert said == MARKET[:-1]
    tws.wait(6)
    assert len(client.of(59)) == 1
    _, client, said = _bought("commission_lost")
    assert said == MARKET[:-1]
    assert sequence(client.ask(7, 3, 9, 0, "", "", "", "", "", "")) == ["exec", "commission", "55"]


def test_reports_are_lost_doubled_or_swapped() -> None:
    assert _bought("execution_lost")[2] == ["open", "status PreSubmitted", "open", "status Filled", "open"]
    assert _bought("duplicate_execution")[2].count("exec") == 2
    assert _bought("status_first")[2][2:] == ["open", "status Filled", "open", "exec", "commission"]
    assert _bought("duplicate_status")[2][:4] == [
        "open",
        "open",
        "status PreSubmitted",
        "status PreSubmitted",
    ]
    tws, client, said = _bought("status_lost", count=2)
    assert said == ["exec", "commission"]
    assert tws.mishaps.planned() == {}
    client.ask(5, 1)
    assert client.of(53)


def test_a_time_zone_nobody_knows_is_only_on_the_live_report() -> None:
    _, client, _ = _bought("bad_zone")
    assert client.of(11)[0][15].endswith("Central European Standard Time")
    client.ask(7, 3, 9, 0, "", "", "", "", "", "")
    assert client.of(11)[1][15].endswith("US/Eastern")


def test_the_line_may_break_in_the_middle_of_a_fill() -> None:
    tws, client, said = _bought("outage_in_fill", code=1101, seconds=2)
    assert said[2:4] == ["error 1100", "exec"]
    assert tws.desk.is_lost
    tws.wait(3)
    assert [code for _, code in client.errors] == [1100, 1101]


def test_orders_given_while_the_line_is_lost_wait_for_it() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="old")
    client.ask(1, 11, 5, 0, "AAPL", "STK", *[""] * 9, 0, "", 0, 0, "")
    tws.desk.lose()
    assert tws.client(2).errors == [(-1, 1100)]
    client.said.clear()
    assert client.place(2, "BUY", "10", ref="new") == []
    tws.do("fill", cl_ord_id="old", qty="10")
    assert client.states[-1][:2] == ("1", "Filled")
    tws.desk.restore(1101)
    assert client.states[-1][:2] == ("2", "Filled")
    client.said.clear()
    tws.do("price", symbol="AAPL", price="101")
    tws.wait(1)
    assert client.of(1) == []
    with pytest.raises(VenueError, match="1101 or 1102"):
        tws.desk.restore(1)


def test_a_quiet_outage_tells_afterwards() -> None:
    tws = Tws()
    client = tws.client()
    client.place(1, "BUY", "10", "90", ref="r")
    tws.desk.lose(is_quiet=True)
    client.said.clear()
    tws.do("fill", cl_ord_id="r", qty="10")
    assert client.said == []
    tws.desk.restore(1102)
    assert sequence(client.said) == ["error 1102", "exec", "open", "status Filled", "open", "commission"]


def test_a_mishap_passes_others_clients_and_strikes_its_share() -> None:
    tws = Tws()
    one, two = tws.client(1), tws.client(2)
    tws.plan("reject_order", client=2)
    one.place(1, "BUY", "1", "90")
    two.place(1, "BUY", "1", "90")
    assert (one.errors, two.errors) == ([], [(1, 201)])
    mishaps = Mishaps(seed=4)
    mishaps.plan(read_planned({"kind": "lose_order", "count": 10, "probability": 0.5}))
    struck = [mishaps.strikes(Mishap.LOSE_ORDER) for _ in range(40)]
    assert struck.count(True) == 10
    assert not all(struck[:10])
    assert mishaps.struck[Mishap.LOSE_ORDER] == 10
    mishaps.plan(read_planned({"kind": "clash"}))
    mishaps.clear()
    assert mishaps.planned() == {}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("nothing", "no fault of kind"),
        ("clash:count=0", "count must be"),
        ("clash:count=x", "count is 'x'"),
        ("clash:probability=2", "probability"),
        ("slow_end:seconds=-1", "seconds"),
        ("clash:colour=red", "knows no colour"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_one_sentence(spec: str, why: str) -> None:
    with pytest.raises(SettingError, match=why):
        read_spec(spec)


def test_a_plan_is_read_from_the_command_line() -> None:
    planned = read_spec("reject_order:code=110,count=3,skip=1,client=7")
    assert (planned.kind, planned.code, planned.count, planned.skip, planned.client) == (
        Mishap.REJECT_ORDER, 110, 3, 1, 7,
    )  # fmt: skip
    assert "price" in planned.text


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "rest", "cancel", "change", "fill", "price", "wait"]),
        st.integers(1, 6),
        st.integers(1, 30),
    ),
    max_size=40,
)
TOLD = st.lists(
    st.sampled_from(
        ["commission_first", "commission_late", "execution_lost", "status_lost", "duplicate_status",
         "status_first", "duplicate_execution", "cancel_too_late", "fill_after_cancel", "change_doubles",
         "reject_cancel", "inform",         "outage_in_fill", "bad_zone"]
    ),
    max_size=6,
)  # fmt: skip


@given(ACTS, TOLD)
def test_whatever_is_told_asking_for_executions_adds_up_to_the_venues_books(
    acts: list[tuple[str, int, int]], told: list[str]
) -> None:
    """Every executed share is in the record, in the account and in the answer to 7, once."""
    tws = Tws(may_short=True)
    client, next_id = tws.client(), 1
    for kind in told:
        tws.plan(kind, count=2, seconds=1)
    for act, which, qty in acts:
        if act in ("buy", "sell", "rest"):
            price = "90" if act == "rest" else None
            client.place(next_id, "SELL" if act == "sell" else "BUY", str(qty), price, ref=f"r{next_id}")
            next_id += 1
        elif act == "cancel":
            client.cancel(which)
        elif act == "change":
            client.place(which, "BUY", str(qty), "91", ref=f"r{which}")
            next_id = max(next_id, which + 1)
        elif act == "price":
            tws.do("price", symbol="AAPL", price=str(85 + qty))
        elif act == "wait":
            tws.wait(qty)
        elif living := [one for one in tws.door.live() if one.order.order_id]:
            left = living[which % len(living)]
            tws.do("fill", cl_ord_id=str(left.perm_id), qty=str(min(qty, int(left.order.leaves_qty))))
    tws.wait(100)
    assert tws.time > START + timedelta(seconds=99)
    client.said.clear()
    client.ask(7, 3, 1, 0, "", "", "", "", "", "")
    signed = sum(int(one[19]) * (1 if one[18] == "BOT" else -1) for one in client.of(11))
    record = tws.door.record()
    assert int(record["accounts"]["DU1"]["positions"].get("AAPL", 0)) == signed
    assert len({one[14] for one in client.of(11)}) == len(client.of(11))
    filled = sum(int(fill["last_qty"]) for row in record["orders"] for fill in row["fills"])
    assert filled == sum(int(one[19]) for one in client.of(11))
    client.ask(16, 1)
    assert {one[25] for one in client.of(5)} == {str(one.perm_id) for one in tws.door.live()}
