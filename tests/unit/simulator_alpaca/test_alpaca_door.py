"""The venue as Alpaca's account, without sockets: what it takes and refuses, and what it remembers."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alpaca_world import lay_out
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.accounts import SettingError
from simulator.alpaca import queries
from simulator.alpaca.command import World, parser
from simulator.alpaca.door import Door
from simulator.alpaca.entry import buying_power
from simulator.alpaca.mishaps import Mishap, Mishaps, read_chances
from simulator.alpaca.refusals import Refused
from simulator.alpaca.words import order_json
from simulator.record import text
from simulator.venue import VenueError

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class Bench:
    """One door and everything its stream was told."""

    def __init__(self, folder: Path, *options: str, cash: str = "10000", **held: str) -> None:
        self.said: list[dict[str, Any]] = []
        self.options = parser().parse_args([*lay_out(folder, cash, held), *options])
        self.now = NOW
        self.world = self.opened()
        self.door.recover("t-", self.now)

    def opened(self) -> World:
        world = World(self.options, asyncio.Event())
        world.door._tell = self.said.append
        world.door._begin("t-")
        return world

    @property
    def door(self) -> Door:
        return self.world.door

    def restart(self) -> None:
        """Begin again from what was kept."""
        self.door._journal.close()
        self.said.clear()
        self.world = self.opened()
        self.door.recover("other-", self.now)

    def post(self, **changes: Any) -> Any:
        body = {"symbol": "AAA", "qty": "10", "side": "buy", "type": "limit", "limit_price": "90",
                "time_in_force": "day", **changes}  # fmt: skip
        return self.door.post({k: v for k, v in body.items() if v is not None}, self.now)

    def operate(self, name: str, **arguments: Any) -> None:
        self.now += timedelta(seconds=1)
        self.door.operate(name, arguments, self.now)

    def orders(self, **query: str) -> list[str]:
        return [one["client_order_id"] for one in queries.orders(self.door, query)]


def refused(work: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        work(*arguments, **named)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"symbol": None}, 422, "symbol is required"),
        ({"symbol": 7}, 422, "symbol is required"),
        ({"side": "hold"}, 422, "side, type or time_in_force"),
        ({"type": "stop", "stop_price": "80"}, 422, "not served here"),
        ({"time_in_force": "opg"}, 422, "not served here"),
        ({"order_class": "bracket"}, 422, "order_class bracket is not served here"),
        ({"notional": "5"}, 422, "one of qty and notional"),
        ({"qty": None}, 422, "one of qty and notional"),
        ({"limit_price": None}, 422, "limit orders require"),
        ({"type": "market"}, 422, "limit_price not allowed"),
        ({"qty": "x"}, 422, "qty is invalid"),
        ({"qty": True}, 422, "qty is invalid"),
        ({"qty": "1e40"}, 422, "qty is invalid"),
        ({"qty": "0"}, 422, "above 0"),
        ({"qty": "-5"}, 422, "above 0"),
        ({"qty": "0.0000000001"}, 422, "steps of"),
        ({"limit_price": "0.12345", "symbol": "PNY"}, 422, "sub-penny"),
        ({"limit_price": "-1"}, 422, "sub-penny"),
        ({"qty": "0.5", "time_in_force": "gtc"}, 422, "must be DAY"),
        ({"extended_hours": True, "time_in_force": "ioc"}, 422, "DAY or GTC limit"),
        ({"extended_hours": True, "type": "market", "limit_price": None}, 422, "DAY or GTC limit"),
        ({"client_order_id": "x" * 129}, 422, "128 characters"),
        ({"side": "sell", "qty": "1"}, 403, "insufficient qty available"),
        ({"symbol": "BBB", "qty": "0.5"}, 403, "not fractionable"),
    ],
)
def test_what_may_not_be_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], status: int, words: str
) -> None:
    bench = Bench(tmp_path, "--whole-only", "BBB")
    found = refused(bench.post, **changes)
    assert (found[0], words in found[1]) == (status, True), found
    assert not bench.door.tickets


def test_money_buys_what_it_pays_for_to_nine_decimals_and_a_dollar_is_the_least(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ticket = bench.post(qty=None, notional="33.33", type="market", limit_price=None)
    assert (ticket.order.order_qty, ticket.notional) == (Decimal("0.333266673"), Decimal("33.33"))
    cheap = refused(bench.post, qty=None, notional="0.99", type="market", limit_price=None)
    assert cheap[1].startswith("cost basis")
    assert refused(bench.post, qty=None, notional="50")[1] == "notional orders must be market orders"
    fine = refused(bench.post, qty=None, notional="50.001", type="market", limit_price=None)
    assert fine == (422, "notional must be above 0 and in steps of 0.01")


def test_money_is_held_to_the_cent_and_spent_at_the_prices_it_meets(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fill-delay-ms", "30", "--partials", "3", cash="1000")
    spend = {"qty": None, "type": "market", "limit_price": None}
    ticket = bench.post(notional="600", **spend)
    assert buying_power(bench.door, bench.now) == 400
    assert refused(bench.post, notional="400.01", **spend)[1] == "insufficient buying power"
    bench.post(symbol="BBB", notional="400", **spend)
    assert buying_power(bench.door, bench.now) == 0
    bench.door.operate("price", {"symbol": "AAA", "price": "40"}, bench.now)
    for _ in range(10):
        bench.now += timedelta(seconds=2)
        bench.door.advance(bench.now)
    order = ticket.order
    assert order.ord_status.name == "FILLED"
    assert Decimal("599.99") < order.value <= 600
    assert order.cum_qty > 10
    assert order_json(ticket)["qty"] is None
    assert order_json(ticket)["filled_qty"] == text(order.cum_qty)


def test_money_given_while_the_market_is_closed_is_spent_at_the_open(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--store", str(tmp_path / "store"))
    bench.operate("close_market")
    bench.post(client_order_id="wait", qty=None, notional="600", type="market", limit_price=None)
    bench.operate("price", symbol="AAA", price="200")
    bench.operate("open_market")
    (ticket,) = bench.door.tickets.values()
    assert ticket.status == "filled"
    assert Decimal("599.99") < ticket.order.value <= 600
    before = bench.door.record()
    bench.restart()
    assert bench.door.record() == before


def test_buying_power_is_held_by_open_buys_and_brought_by_filled_sells_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", cash="1000", BBB="10")
    bench.post(client_order_id="sale", symbol="BBB", side="sell", limit_price="55")
    assert buying_power(bench.door, NOW) == 1000
    bench.post(client_order_id="buy", qty="10")
    assert buying_power(bench.door, NOW) == 100
    assert refused(bench.post, qty="2")[1] == "insufficient buying power"
    bench.operate("fill", cl_ord_id="sale", qty="10")
    assert buying_power(bench.door, bench.now) == 650
    # a market buy is valued with the collar: everything there is cannot be spent
    assert refused(bench.post, symbol="CCC", qty="32", type="market", limit_price=None)[0] == 403
    bench.post(symbol="CCC", qty="31", type="market", limit_price=None)


def test_margin_multiplies_cash_and_shorts_need_leave(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--multiplier", "2", "--may-short", cash="1000")
    assert buying_power(bench.door, NOW) == 2000
    bench.post(symbol="BBB", side="sell", qty="3", limit_price="49")
    assert queries.position(bench.door, "BBB", NOW)["side"] == "short"
    assert refused(bench.post, symbol="CCC", side="sell", qty="0.5", limit_price="19")[0] == 403
    bench.door.configure({"no_shorting": True, "unknown": 1}, NOW)
    assert refused(bench.post, symbol="CCC", side="sell", qty="1", limit_price="19")[0] == 403
    assert "unknown" not in bench.door.configuration


def test_the_other_side_is_refused_where_the_two_could_meet(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", AAA="50")
    buy = bench.post(client_order_id="buy", limit_price="90")
    sale = {"side": "sell", "qty": "5"}
    for price, word in (("90", "limit"), ("89", "limit")):
        status, words = refused(bench.post, **sale, limit_price=price)
        assert (status, "wash trade" in words) == (403, True), word
    assert refused(bench.post, **sale, type="market", limit_price=None)[0] == 403
    rest = bench.post(**sale, client_order_id="rest", limit_price="91")
    assert refused(bench.post, limit_price="91")[0] == 403
    bench.post(limit_price="90.50")
    bench.door.cancel(buy.order_id, NOW)
    bench.door.cancel(rest.order_id, NOW)


def test_assets_are_sold_only_or_not_at_all_when_the_operator_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AAA="5")
    bench.operate("restrict", symbol="AAA")
    assert refused(bench.post)[1] == 'asset "AAA" is not tradable'
    assert queries.asset(bench.door, "AAA")["tradable"] is False
    bench.post(side="sell", qty="1", limit_price="99")
    bench.operate("deactivate", symbol="AAA")
    assert refused(bench.post, side="sell", qty="1")[1] == 'asset "AAA" is not active'
    assert queries.assets(bench.door, {"status": "inactive"})[0]["symbol"] == "AAA"
    bench.operate("activate", symbol="AAA")
    bench.post()
    with pytest.raises(VenueError, match="not listed"):
        bench.operate("activate", symbol="ZZZ")
    names = {one["symbol"] for one in queries.assets(bench.door, {"attributes": "overnight_tradable,x"})}
    assert names == {"AAA", "BBB", "CCC", "PNY"}
    assert not queries.assets(bench.door, {"exchange": "NYSE"})
    assert not queries.assets(bench.door, {"asset_class": "crypto"})


def test_the_owner_may_suspend_trading_and_fractions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.door.configure({"fractional_trading": False}, NOW)
    assert "fractional" in refused(bench.post, qty="0.5")[1]
    bench.door.configure({"suspend_trade": True}, NOW)
    assert "suspended" in refused(bench.post)[1]


def test_a_replacement_is_a_new_order_for_what_has_not_filled(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", cash="1000", BBB="10")
    first = bench.post(client_order_id="first")
    bench.operate("fill", cl_ord_id="first", qty="4")
    replace = bench.door.replace
    assert refused(replace, first.order_id, {"qty": "3"}, NOW)[1].startswith("qty must be whole")
    assert refused(replace, first.order_id, {"qty": "5.5"}, NOW)[1].startswith("qty must be whole")
    assert refused(replace, first.order_id, {"client_order_id": "first"}, NOW)[1].endswith("unique")
    assert refused(replace, first.order_id, {"qty": "30"}, NOW)[1] == "insufficient buying power"
    second = replace(first.order_id, {"qty": "11", "limit_price": "91"}, NOW)
    assert (first.status, first.replaced_by, second.replaces) == ("replaced", second.order_id, first.order_id)
    assert second.order.order_qty == 7
    assert refused(replace, first.order_id, {"qty": "12"}, NOW)[1].startswith(
        "cannot replace order in replaced"
    )
    sale = bench.post(symbol="BBB", side="sell", qty="8", limit_price="55")
    assert refused(replace, sale.order_id, {"qty": "11"}, NOW)[0] == 403
    assert replace(sale.order_id, {"qty": "10"}, NOW).order.order_qty == 10


def test_a_replacement_may_be_lost_after_it_was_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand")
    first = bench.post(client_order_id="first")
    bench.world.mishaps.plan(Mishap.REPLACE_REJECTED, 1)
    bench.said.clear()
    lost = bench.door.replace(first.order_id, {"qty": "12"}, NOW)
    assert (first.status, lost.status, lost.replaces) == ("new", "rejected", first.order_id)
    assert [one["event"] for one in bench.said] == ["pending_replace", "order_replace_rejected", "rejected"]


def test_what_comes_while_the_market_is_closed_waits_for_it_to_open(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.operate("close_market")
    early, gone = bench.post(client_order_id="early", limit_price="101"), bench.post()
    assert (early.status, queries.clock(bench.door, NOW)["is_open"]) == ("accepted", False)
    bench.door.cancel(gone.order_id, NOW)
    assert gone.status == "canceled"
    bench.operate("open_market")
    assert early.status == "filled"
    assert [one["event"] for one in bench.said] == ["accepted", "accepted", "canceled", "new", "fill"]


def test_a_stuck_cancel_stays_pending_and_is_refused_a_second_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand")
    ticket = bench.post(client_order_id="stuck")
    bench.world.mishaps.plan(Mishap.STUCK_CANCEL, 1)
    bench.door.cancel(ticket.order_id, NOW)
    assert ticket.status == "pending_cancel"
    assert 'already in "pending_cancel"' in refused(bench.door.cancel, ticket.order_id, NOW)[1]
    bench.operate("fill", cl_ord_id="stuck", qty="10")
    assert ticket.status == "filled"


def test_lists_are_filtered_paged_and_bounded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", cash="100000", BBB="100")
    for number in range(6):
        side = {"symbol": "BBB", "side": "sell", "limit_price": "60"} if number % 2 else {}
        bench.now += timedelta(seconds=1)
        bench.post(client_order_id=f"o{number}", qty="1", **side)
    bench.operate("fill", cl_ord_id="o0", qty="1")
    assert bench.orders() == ["o5", "o4", "o3", "o2", "o1"]
    assert bench.orders(status="closed") == ["o0"]
    assert bench.orders(status="all", direction="asc", limit="2") == ["o0", "o1"]
    assert bench.orders(status="all", symbols="BBB,ZZZ", side="sell") == ["o5", "o3", "o1"]
    assert bench.orders(asset_class="crypto") == []
    ids = {ticket.client_order_id: ticket.order_id for ticket in bench.door.tickets.values()}
    assert bench.orders(status="all", before_order_id=ids["o3"]) == ["o2", "o1", "o0"]
    assert bench.orders(status="all", before_order_id=ids["o3"], direction="asc") == ["o0", "o1", "o2"]
    assert bench.orders(status="all", after_order_id=ids["o3"], direction="asc") == ["o4", "o5"]
    assert bench.orders(after_order_id="unknown") == []
    after = (NOW + timedelta(seconds=2)).isoformat()
    until = (NOW + timedelta(seconds=5)).replace(tzinfo=None).isoformat()
    assert bench.orders(status="all", after=after, until=until) == ["o3", "o2"]
    for query in ({"limit": "501"}, {"limit": "0"}, {"limit": "x"}, {"status": "odd"}, {"side": "odd"},
                  {"after": "soon"}, {"after": after, "after_order_id": ids["o1"]}):  # fmt: skip
        assert refused(queries.orders, bench.door, query)[0] == 422


def test_activities_are_filtered_and_paged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", AAA="10")
    bench.post(client_order_id="o", symbol="BBB", limit_price="45")
    bench.operate("fill", cl_ord_id="o", qty="4")
    bench.operate("fill", cl_ord_id="o", qty="6")
    bench.operate("activity", kind="DIV", cash="1.5", symbol="AAA", qty="10")
    bench.operate("split", symbol="AAA", ratio="2")
    bench.operate("split", symbol="CCC", ratio="2")
    bench.operate("activity", kind="ACATS", symbol="CCC", qty="3", date="2026-03-01")

    def kinds(kind: str = "", **query: str) -> list[str]:
        return [row["activity_type"] for row in queries.activities(bench.door, query, kind)]

    assert kinds() == ["ACATS", "SPLIT", "DIV", "FILL", "FILL"]
    assert kinds(direction="asc", page_size="2") == ["FILL", "FILL"]
    assert kinds("FILL") == ["FILL", "FILL"]
    assert kinds(activity_types="DIV,SPLIT") == ["SPLIT", "DIV"]
    assert kinds(category="trade_activity") == ["FILL", "FILL"]
    rows = queries.activities(bench.door, {})
    assert kinds(page_token=rows[1]["id"]) == ["DIV", "FILL", "FILL"]
    assert kinds(page_token="unknown", page_size="1") == ["ACATS"]
    assert kinds(date="2026-03-02") == kinds()
    assert kinds(date="2026-03-03") == []
    assert kinds(after="2026-03-03", until="2026-03-04") == []
    assert rows[1]["qty"] == "10"
    assert queries.position(bench.door, "AAA", bench.now)["qty"] == "20"
    assert refused(queries.activities, bench.door, {"category": "trade_activity"}, "FILL")[0] == 422
    cums = [row["cum_qty"] for row in queries.activities(bench.door, {"direction": "asc"}, "FILL")]
    assert cums == ["4", "10"]


def test_days_and_hours_are_those_of_new_york(tmp_path: Path) -> None:
    door = Bench(tmp_path).door
    times = {
        "2026-03-02T13:00:00+00:00": ("2026-03-02T09:30:00-05:00", "2026-03-02T16:00:00-05:00"),
        "2026-03-02T15:00:00+00:00": ("2026-03-03T09:30:00-05:00", "2026-03-02T16:00:00-05:00"),
        "2026-03-06T22:00:00+00:00": ("2026-03-09T09:30:00-04:00", "2026-03-09T16:00:00-04:00"),
        "2026-03-07T15:00:00+00:00": ("2026-03-09T09:30:00-04:00", "2026-03-09T16:00:00-04:00"),
    }
    for now, (opens, closes) in times.items():
        clock = queries.clock(door, datetime.fromisoformat(now))
        assert (clock["next_open"], clock["next_close"]) == (opens, closes), now
    assert len(queries.calendar({}, NOW)) > 40
    assert refused(queries.calendar, {"start": "soon"}, NOW)[0] == 422
    assert refused(queries.quotes, door, ["bad one"], NOW)[0] == 400
    assert queries.quotes(door, ["NONE"], NOW) == {}


def test_what_was_kept_comes_back_with_the_same_ids_and_nothing_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", "--store", str(tmp_path / "store"), AAA="10")
    first = bench.post(client_order_id="first", symbol="BBB", limit_price="45")
    bench.operate("fill", cl_ord_id="first", qty="4")
    bench.door.replace(first.order_id, {"qty": "9", "client_order_id": "second"}, bench.now)
    bench.world.mishaps.plan(Mishap.REPLACE_REJECTED, 1)
    bench.door.replace(
        bench.door.by_name("second").order_id, {"qty": "8", "client_order_id": "lost"}, bench.now
    )
    bench.door.cancel(bench.door.by_name("second").order_id, bench.now)
    bench.door.configure({"no_shorting": True}, bench.now)
    bench.operate("split", symbol="AAA", ratio="2")
    bench.operate("close_market")
    bench.post(client_order_id="early")
    bench.operate("open_market")
    before = [queries.orders(bench.door, {"status": "all"}), queries.activities(bench.door, {})]
    record = bench.door.record()
    bench.restart()
    assert [queries.orders(bench.door, {"status": "all"}), queries.activities(bench.door, {})] == before
    assert bench.door.record() == record
    assert bench.door.configuration["no_shorting"]
    assert not bench.said
    assert refused(bench.post, client_order_id="lost")[1].endswith("unique")


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["post", "sell", "money", "cancel", "replace", "fill", "tick"]),
            st.integers(1, 9), st.sampled_from(["88", "101.5", "100"]),
        ),
        max_size=14,
    )
)  # fmt: skip
def test_a_restart_at_any_moment_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    bench = Bench(folder, "--fill-delay-ms", "30", "--partials", "3", "--store", str(folder / "s"), AAA="20")
    for number, (what, qty, price) in enumerate(steps):
        bench.now += timedelta(milliseconds=17)
        tickets = list(bench.door.tickets.values())
        chosen = tickets[qty % len(tickets)].order_id if tickets else "none"
        try:
            if what in ("post", "sell", "money"):
                size = {"qty": str(qty), "limit_price": price}
                if what == "money":
                    size = {"notional": str(qty * 10), "qty": None, "limit_price": None, "type": "market"}
                side = "sell" if what == "sell" else "buy"
                bench.post(client_order_id=f"n{number}", side=side, **size)
            elif what == "cancel":
                bench.door.cancel(chosen, bench.now)
            elif what == "replace":
                body = {"qty": str(qty + 5), "client_order_id": f"r{number}"}
                bench.door.replace(chosen, body, bench.now)
            elif what == "fill":
                name = bench.door.find(chosen).client_order_id
                bench.door.operate("fill", {"cl_ord_id": name, "qty": "1"}, bench.now)
            else:
                bench.door.advance(bench.now)
        except (Refused, VenueError):
            continue
    bench.door.advance(bench.now)
    before = (queries.orders(bench.door, {"status": "all"}), bench.door.record(), bench.door.account.cash)
    bench.restart()
    assert (
        queries.orders(bench.door, {"status": "all"}),
        bench.door.record(),
        bench.door.account.cash,
    ) == before
    bought = sum(
        (one.order.value * (1 if one.order.is_buy else -1) for one in bench.door.tickets.values()), Decimal(0)
    )
    assert bench.door.account.cash == 10_000 - bought
    assert buying_power(bench.door, bench.now) >= 0


def test_a_torn_last_line_was_never_answered_and_a_broken_one_is_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", "--store", str(tmp_path / "store"))
    bench.post(client_order_id="kept")
    path = tmp_path / "store" / "alpaca.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"k": "post", "torn')
    bench.restart()
    assert list(bench.door._by_name) == ["kept"]
    assert path.read_bytes() == whole
    path.write_bytes(b"broken\n" + whole)
    with pytest.raises(SettingError, match="line 1 is broken"):
        bench.restart()


def test_a_store_belongs_to_the_options_it_was_begun_with(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--store", str(tmp_path / "store"))
    bench.options = argparse.Namespace(**{**vars(bench.options), "seed": 7})
    with pytest.raises(VenueError, match="--store was begun with --seed 1"):
        bench.restart()


def test_operations_nobody_knows_are_refused_with_those_there_are(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "--fills-by-hand", AAA="1")
    for name, arguments, words in (
        ("dance", {}, "no operation 'dance'"),
        ("say", {"cl_ord_id": "never", "event": "held"}, "no order 'never'"),
        ("activity", {}, "kind is None"),
        ("bust", {"exec_id": "never"}, "never"),
    ):
        with pytest.raises(VenueError, match=words):
            bench.operate(name, **arguments)
    bench.post(client_order_id="mine")
    with pytest.raises(VenueError, match="no event 'sung'"):
        bench.operate("say", cl_ord_id="mine", event="sung")
    bench.operate("telephone", symbol="BBB", side="buy", qty="1", price="45", account="main", owner="phone")
    assert "mine" in json.dumps(bench.door.record())


def test_mishaps_strike_as_often_as_planned_or_as_likely() -> None:
    one = Mishaps(1, read_chances(" get_504=0.5,too_many=1"))
    assert sum(one.strikes(Mishap.GET_504) for _ in range(1000)) in range(400, 600)
    one.plan(Mishap.POST_504_BEFORE, 1)
    assert one.on_post() is Mishap.POST_504_BEFORE
    assert one.on_post() is Mishap.TOO_MANY
    one.plan(Mishap.MUTE, 2)
    assert one.planned() == {"mute": 2}
    one.clear()
    assert one.on_post() is None
    assert read_chances("") == {}
    for bad in ("get_504=2", "get_504", "dance=0.1"):
        with pytest.raises(SettingError, match="--chaos"):
            read_chances(bad)
