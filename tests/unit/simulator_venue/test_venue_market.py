"""The seeded market, price-time priority, and what an order trades with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from venue_hand import T0, a_venue, at, buy, report, sell, told

from simulator.accounts import SettingError
from simulator.market import MAX_CATCH_UP_STEPS, Listing, Market, MarketSettings, read_prices
from simulator.orders import OrdStatus, TimeInForce

D = Decimal


def test_the_bid_is_rounded_down_and_the_ask_up() -> None:
    market = Market([Listing("A", D("125.67")), Listing("B", D("10"), D(5)), Listing("C", D("0.01"))])
    assert market.quote("A", T0) == (D("125.65"), D("125.69"))
    assert market.quote("B", T0) == (D("9.99"), D("10.01"))
    assert market.quote("C", T0)[0] == D("0.01")
    assert "A" in market
    assert "Z" not in market
    assert market.symbols == ["A", "B", "C"]
    assert not market.walks
    assert market.next_step(T0) is None


def test_a_walk_depends_on_seed_symbol_and_steps_alone() -> None:
    def path(symbols: str, moments: list[float], seed: int = 1) -> Decimal:
        market = Market([Listing(s, D(100)) for s in symbols], MarketSettings(seed=seed, walk_bps=20))
        market.begin(T0)
        market.begin(at(999))
        return [market.price("A", at(ms)) for ms in moments][-1]

    assert path("A", [5000]) == path("BAC", [1000, 1001, 2500, 5000])
    assert path("A", [5000]) != path("A", [5000], seed=2)
    assert path("A", [0]) == 100


def test_the_walk_says_when_it_next_steps_and_bounds_its_catching_up() -> None:
    market = Market([Listing("A", D("0.01"))], MarketSettings(walk_bps=1, step_ms=1))
    assert market.next_step(T0) is None
    assert market.quote("A", at(5000)) == (D("0.01"), D("0.02"))
    market.begin(T0)
    assert market.next_step(at(0.5)) == at(1)
    assert market.price("A", at(2 * MAX_CATCH_UP_STEPS)) >= D("0.02")


def test_a_set_price_is_where_the_walk_goes_on() -> None:
    market = Market([Listing("A", D(100))], MarketSettings(walk_bps=1))
    market.begin(T0)
    market.set_price("A", D(50), at(10))
    assert abs(market.price("A", at(1000)) - 50) < 1


def test_levels_have_sizes_when_the_market_is_thin() -> None:
    market = Market([Listing("A", D("0.03"))], MarketSettings(displayed=100, depth=5))
    asks, bids = market.levels("A", T0, is_buy=True), market.levels("A", T0, is_buy=False)
    assert [level.price for level in asks] == [D(4 + n).scaleb(-2) for n in range(5)]
    assert all(level.size is not None and 50 <= level.size <= 150 for level in [*asks, *bids])
    assert [level.price for level in bids] == [D("0.02"), D("0.01")]


def test_an_order_walks_through_the_levels_and_waits_for_more() -> None:
    shape = MarketSettings(displayed=10, depth=2, half_spread_bps=D(0), replenish_ms=100)
    venue = a_venue(market=shape)
    said = venue.submit(buy("1", "60", limit="100.01"), T0)
    assert {report([one]).last_px for one in said[1:]} == {D("100.00"), D("100.01")}
    assert said[-1].ord_status is OrdStatus.PARTIALLY_FILLED
    moment = 0.0
    while venue.open_count:
        moment += 100
        said += venue.advance(at(moment))
    assert sum(report([one]).last_qty or 0 for one in said) == 60
    kill = venue.submit(buy("2", "999", time_in_force=TimeInForce.FILL_OR_KILL), at(moment))
    assert told(kill)[-1] == "2 4/4 0/0"


def test_a_planned_fill_waits_while_nothing_is_on_show() -> None:
    shape = MarketSettings(displayed=10, depth=1, half_spread_bps=D(0), replenish_ms=500)
    venue = a_venue(market=shape, fill_delay_ms=10, partials=1)
    said = venue.submit(buy("1", "40"), T0)
    moment = 0.0
    while venue.open_count:
        moment += 10
        said += venue.advance(at(moment))
    assert moment > 500
    assert said[-1].ord_status is OrdStatus.FILLED


def test_at_one_price_the_older_order_is_served_first_and_clients_before_the_market() -> None:
    venue = a_venue()
    for name, limit in (("1", "99"), ("2", "99.5"), ("3", "99.5")):
        venue.submit(buy(name, "100", limit), T0)
    said = venue.submit(sell("4", "50", "100.5", owner="D", account="other"), T0)
    assert told(said) == ["4 0/0 0/50"]
    told_now = told(venue.set_price("AAPL", D("99.5"), T0))
    assert [line.split()[0] for line in told_now] == ["2", "3"]


def test_two_clients_meet_at_the_resting_price_or_better() -> None:
    venue = a_venue()
    venue.halt("AAPL", T0)
    venue.submit(buy("1", "100", "101"), T0)
    venue.submit(sell("2", "60", "99", owner="D", account="other"), T0)
    said = [line for line in told(venue.resume("AAPL", T0)) if " F/" in line]
    assert sorted(said) == ["1 F/1 60/40 60@100.00", "1 F/2 100/0 40@100.00", "2 F/2 60/0 60@100.00"]


def test_orders_of_one_client_and_account_never_meet() -> None:
    shape = MarketSettings(displayed=10, depth=1, half_spread_bps=D(500))
    venue = a_venue(market=shape)
    venue.submit(sell("1", "100", "100"), T0)
    assert told(venue.submit(buy("2", "100", "100"), T0)) == ["2 0/0 0/100"]
    other = venue.submit(buy("3", "40", "100", owner="D", account="other"), T0)
    assert told(other)[1:] == ["3 F/2 40/0 40@100", "1 F/1 40/60 40@100"]
    seller = venue.submit(sell("4", "150", "99", owner="D", account="other"), T0)
    assert told(seller)[1:3] == ["4 F/1 100/50 100@100", "2 F/2 100/0 100@100"]


def test_a_market_order_that_rests_meets_the_next_one() -> None:
    shape = MarketSettings(displayed=2, depth=1, half_spread_bps=D(100), replenish_ms=10**6)
    venue = a_venue(market=shape)
    venue.submit(buy("1", "50"), T0)
    said = venue.submit(sell("2", "20", owner="D", account="other"), T0)
    assert all(D(99) <= (report([one]).last_px or 0) <= D(101) for one in said[1:])
    assert venue.orders[1].ord_status is OrdStatus.FILLED


def test_a_walking_market_reaches_resting_orders() -> None:
    venue = a_venue(market=MarketSettings(walk_bps=200, half_spread_bps=D(0)))
    venue.submit(buy("1", "10", "97"), T0)
    venue.submit(sell("2", "10", "103", symbol="AAPL"), T0)
    venue.submit(buy("3", "10", "1", symbol="IBM"), T0)
    venue.cancel_unsolicited("3", T0)
    moments = 0
    while venue.open_count and moments < 10_000:
        due = venue.next_event()
        assert due is not None
        venue.advance(due)
        moments += 1
    assert [order.ord_status for order in venue.orders[:2]] == [OrdStatus.FILLED, OrdStatus.FILLED]
    due = venue.next_event()
    assert due is not None
    venue.advance(due)
    assert venue.next_event() is None


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_prices_are_read_from_csv(tmp_path: Path) -> None:
    found = read_prices(write(tmp_path / "p.csv", "symbol,price,half_spread_bps\nA,1.5,3\n B ,2,\n"))
    assert found == [Listing("A", D("1.5"), D(3)), Listing("B", D(2))]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("symbol,price\n", "lists nothing"),
        ("symbol,price\nA,1\nA,2\n", "line 3: A stands there twice"),
        ("symbol,price\n,1\n", "line 2: symbol is missing"),
        ("symbol,price\nA,0\n", "price is 0"),
        ("symbol,price\nA,-1\n", "is not negative"),
        ("symbol,price\nA,NaN\n", "price is 'NaN'"),
        ("symbol,price\nA\n", "price is None"),
        ("symbol,price\nA,x\n", "price is 'x'"),
    ],
)
def test_prices_that_cannot_be_used_name_the_line(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(SettingError, match=wrong):
        read_prices(write(tmp_path / "p.csv", text))


def test_price_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        read_prices(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"symbol,price\n\xff,1\n")
    with pytest.raises(SettingError, match="is not CSV text"):
        read_prices(tmp_path / "b.csv")


def test_money_is_sized_anew_at_each_price_and_what_buys_no_lot_more_is_left() -> None:
    shape = MarketSettings(half_spread_bps=D(0), displayed=1, depth=1, replenish_ms=1000)
    venue = a_venue(market=shape)
    order = buy("C1", "0")
    order.cash_order_qty = D(450)
    venue.submit(order, at(0))
    working = venue.named("C1")
    assert (working.cum_qty, working.order_qty, working.value) == (1, 4, 100)
    venue.set_price("AAPL", D(150), at(10))
    assert (working.cum_qty, working.order_qty, working.value) == (2, 3, 250)
    said = venue.set_price("AAPL", D(201), at(20))
    assert (working.cum_qty, working.ord_status.name) == (2, "CANCELED")
    assert [getattr(one, "text", "") for one in said] == ["the money left buys no lot"]
