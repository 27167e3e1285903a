"""Orders of money: the venue buys what the money buys at its own prices, and both books agree on it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache

import pytest
from test_crashes import Bomb, Crash
from world import EXECUTION, PRICES, T0, Watch, dec, settings_of

from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Report, Side
from gateway.domain.schedule import ScheduleOverride, Style
from gateway.domain.settings import Settings
from gateway.events import (
    AccountOpened,
    CancelRequested,
    LotOpened,
    OrderSettled,
    PricesUpdated,
    ReportReceived,
    RequestState,
    TargetsSubmitted,
)
from gateway.oms.state import State
from simulator.accounts import Accounts
from simulator.at_hand import VenueAtHand
from simulator.floor import VenueSettings
from simulator.inprocess import InProcess, Line
from simulator.market import Listing, Market, MarketSettings
from simulator.venue import Venue

HELD = {"AAA": dec(50), "BBB": dec(80)}
CASH = dec(1_000)
WEIGHTS = {"AAA": dec("0.2"), "BBB": dec("0.3"), "CCC": dec("0.2"), "DDD": dec("0.25")}
FRACTIONS = {"AAA", "CCC"}
NANO = dec("1E-9")


def settings() -> Settings:
    """Buy in money what trades in fractions; BBB, DDD and EEE trade in whole units."""
    execution = replace(EXECUTION, ord_type=OrdType.MARKET, cash_orders=True)
    made = settings_of(execution=execution)
    instruments = {
        symbol: replace(one, lot_size=dec("0.0001")) if symbol in FRACTIONS else one
        for symbol, one in made.instruments.items()
    }
    return replace(made, instruments=instruments)


class House:
    """A gateway and the product's own venue; `moves` is by how much prices differ when an order arrives."""

    def __init__(
        self, moves: str = "1", *, replays: bool = True, displayed: int = 0, by_hand: bool = False,
        point: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        listings = [Listing(symbol, px * dec(moves)) for symbol, px in PRICES.items()]
        self.accounts = Accounts({"main": (CASH, dict(HELD))})
        shape = VenueSettings(
            lot=NANO, piece=dec(1), partials=3, fill_delay_ms=0 if by_hand else 40, fills_by_hand=by_hand
        )
        market = Market(listings, MarketSettings(displayed=displayed))
        self.venue = Venue(market, self.accounts, shape)
        self.settings = settings()
        lots = tuple(LotOpened(symbol, "2020-01-02", qty, qty * 10) for symbol, qty in HELD.items())
        self.end = VenueAtHand(self.venue)
        self.line = Line("sim", self.end, timedelta(milliseconds=20), replays=replays)
        self.watch = Watch(self.settings)
        self.game = InProcess(
            self.settings, {"sim": self.line}, T0, [AccountOpened(T0, "main", CASH, lots)],
            check=self.watch, point=point,
        )  # fmt: skip

    def begin(self, **words: object) -> None:
        self.price()
        expires = T0 + timedelta(hours=1)
        self.game.feed(TargetsSubmitted(T0, "R1", "main", WEIGHTS, T0, expires, **words))  # type: ignore[arg-type]

    def price(self) -> None:
        self.game.feed(PricesUpdated(self.game.now, self.game.now, dict(PRICES)))

    @property
    def state(self) -> State:
        return self.game.engine.state

    def spec(self, symbol: str) -> OrderSpec:
        return next(one.spec for one in self.state.orders.values() if one.spec.symbol == symbol)

    def working(self) -> OrderSpec:
        """Let one buy of 400 in money arrive, which nobody fills."""
        self.game.start()
        self.price()
        weights = {"AAA": dec("0.5"), "BBB": dec("0.4"), "CCC": dec("0.08")}
        self.game.feed(TargetsSubmitted(T0, "R1", "main", weights, T0, T0 + timedelta(hours=1)))
        self.game.run(5)
        return self.spec("CCC")

    def fill(self, spec: OrderSpec, qty: str, px: str) -> None:
        """Fill by hand, and let the gateway hear of it."""
        now = self.game.now
        said = self.venue.fill(spec.cl_ord_id, dec(qty), now, price=dec(px))
        self.line._note(self.end._told(said, now), now)
        self.game.run(5)

    def agrees(self, *, to: Decimal = Decimal(0)) -> None:
        """Hold both books to each other: units exactly, cash to what averaged prices may cost."""
        ours, theirs = self.state.book.accounts["main"], self.accounts.find("main")
        assert theirs is not None
        assert abs(ours.cash - theirs.cash) <= to
        assert ours.positions == {symbol: qty for symbol, qty in theirs.positions.items() if qty}
        assert self.venue.duplicates == 0
        assert {one.first_cl_ord_id for one in self.venue.orders} == set(self.state.orders)


@pytest.mark.parametrize("moves", ["0.98", "1", "1.013"])
@pytest.mark.parametrize("replays", [True, False])
@pytest.mark.parametrize("displayed", [0, 7])
def test_money_buys_what_it_buys_and_both_books_agree(moves: str, replays: bool, displayed: int) -> None:
    house = House(moves, replays=replays, displayed=displayed)
    house.game.start()
    house.begin()
    house.game.run(600)
    assert house.state.requests["R1"].state is RequestState.DONE
    assert {order.ord_status for order in house.state.orders.values()} == {OrdStatus.FILLED}
    house.agrees(to=dec(0) if replays else dec("0.0001"))
    bought = {one.spec.symbol: one for one in house.state.orders.values() if one.spec.side is Side.BUY}
    in_cash = bought["CCC"]
    cash = in_cash.spec.cash_order_qty
    assert cash == (in_cash.spec.order_qty * PRICES["CCC"]).quantize(dec("0.01"))
    assert cash - dec("0.01") <= in_cash.notional <= cash, "it spent its money, whatever it bought"
    assert (in_cash.order_qty, in_cash.leaves_cash) == (in_cash.cum_qty, 0)
    assert moves == "1" or in_cash.cum_qty != in_cash.spec.order_qty
    assert bought["DDD"].spec.cash_order_qty is None, "what trades in whole units is bought in units"
    assert house.spec("AAA").side is Side.SELL
    assert house.spec("AAA").cash_order_qty is None, "a sale is of units"
    assert not house.state.halts
    assert not house.game.alerts()


def test_a_working_order_of_money_is_cancelled_and_what_it_bought_stays() -> None:
    house = House(moves="1", by_hand=True)
    spec = house.working()
    outlook = house.game.engine.desk._outlook
    account = house.settings.accounts["main"]
    assert spec.cash_order_qty is not None
    free = house.state.book.accounts["main"].cash - spec.cash_order_qty
    assert outlook.free_cash(account) == free, "the money it holds is the money it was given"
    house.fill(spec, "3", "20.5")
    order = house.state.orders[spec.cl_ord_id]
    assert (order.ord_status, order.cum_qty) == (OrdStatus.PARTIALLY_FILLED, 3)
    assert order.leaves_cash == spec.cash_order_qty - 3 * dec("20.5")
    assert outlook.free_cash(account) == free, "what it has spent and what it may spend are one sum"
    house.game.feed(CancelRequested(house.game.now, "R1", "test"))
    house.game.run(60)
    assert order.ord_status is OrdStatus.CANCELED
    assert (order.leaves_cash, order.leaves_qty) == (0, 0)
    house.agrees()


def test_more_than_its_money_halts_the_account() -> None:
    house = House(by_hand=True)
    spec = house.working()
    house.fill(spec, "19.5", "20.1")
    assert not house.state.halts
    house.fill(spec, "0.45", "20.1")
    assert "spent of CashOrderQty(152)" in house.state.halts["main"]


def test_a_person_settles_one_with_any_quantity_its_money_pays_for() -> None:
    house = House(by_hand=True)
    spec = house.working()
    qty = spec.order_qty + 2
    house.game.feed(OrderSettled(house.game.now, spec.cl_ord_id, qty, dec(21), "test"))
    house.game.run(1)
    assert not house.state.orders[spec.cl_ord_id].is_final, "more than its money cannot be"
    house.game.feed(OrderSettled(house.game.now, spec.cl_ord_id, qty, dec(18), "test"))
    house.game.run(1)
    order = house.state.orders[spec.cl_ord_id]
    assert (order.is_final, order.cum_qty, order.avg_px) == (True, qty, 18)


def test_an_order_of_money_given_elsewhere_is_booked_and_halts() -> None:
    house = House(by_hand=True)
    house.working()
    before = house.state.book.position("main", "EEE")
    for cum, qty, status in (("0", None, "0"), ("4", "4", "1"), ("6.5", "2.5", "2")):
        seq = house.state.link("sim").seq + 1
        report = Report(
            "BYHAND", f"X{cum}", ExecType.TRADE if qty else ExecType.NEW, OrdStatus(status), dec(cum),
            last_qty=None if qty is None else dec(qty), last_px=None if qty is None else dec(40),
            order_id="V1", symbol="EEE", side=Side.BUY,
        )  # fmt: skip
        house.game.feed(ReportReceived(house.game.now, "sim", seq, report))
        house.game.run(0)
    assert house.state.book.position("main", "EEE") == before + dec("6.5")
    assert "BUY 2.5 EEE at 40 is booked" in house.state.halt_reason("main")
    assert "over-fill" not in house.state.halt_reason("main")


def test_a_request_cannot_slice_what_is_bought_in_money() -> None:
    house = House()
    house.game.start()
    house.begin(execution=ScheduleOverride(style=Style.TWAP))
    house.game.run(60)
    request = house.state.requests["R1"]
    assert request.state is RequestState.FAILED
    assert "cash_orders" in request.text


# ---------------------------------------------------------------------------------------- crashes


def play(crashes: list[int], fate: str) -> tuple[House, Bomb]:
    """Play the basket through with a death at each of `crashes`, at prices that have moved."""
    bomb = Bomb(crashes)
    house = House("0.985", replays=fate != "totals", point=bomb)
    house.begin()
    is_first = True
    while True:
        try:
            if not is_first:
                house.game = house.game.successor(house.game.now + timedelta(seconds=0.01))
                house.watch.restart(house.game.journal)
                house.price()
            house.game.start()
            house.game.run()
        except Crash:
            is_first = False
            if fate == "lost":
                house.line.on_the_way.clear()
        else:
            return house, bomb


@cache
def points(fate: str) -> int:
    return play([], fate)[1].points


@pytest.mark.parametrize("fate", ["arrives", "lost", "totals"])
def test_a_crash_anywhere_spends_the_money_once(fate: str) -> None:
    assert points(fate) > 40
    for place in range(1, points(fate) + 1):
        house, bomb = play([place], fate)
        assert bomb.went_off == [place]
        assert house.state.requests["R1"].state is RequestState.DONE
        house.agrees(to=dec("0.0001") if fate == "totals" else dec(0))
        assert len(house.venue.orders) == 4
        assert not house.state.halts


def test_two_crashes_spend_it_once() -> None:
    rng = random.Random(7)
    for _ in range(30):
        first = rng.randint(1, points("arrives"))
        house, _ = play([first, first + rng.randint(1, points("arrives"))], "arrives")
        house.agrees()
        assert len(house.venue.orders) == 4
