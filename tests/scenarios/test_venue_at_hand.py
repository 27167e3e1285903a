"""The gateway and the product's own simulated venue in one thread: two books that must agree to the cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from world import PRICES, T0, Watch, dec, settings_of

from gateway.domain.order import OrdStatus
from gateway.events import (
    AccountOpened,
    CancelRequested,
    LotOpened,
    PricesUpdated,
    RequestState,
    TargetsSubmitted,
)
from gateway.oms.plan import CL_ORD_ID_LENGTH
from gateway.oms.state import State
from simulator.accounts import Accounts
from simulator.at_hand import VenueAtHand
from simulator.inprocess import InProcess, Line
from simulator.market import Listing, Market, MarketSettings
from simulator.venue import Venue

HELD = {"AAA": dec(50), "BBB": dec(80)}
CASH = dec(1_000)
WEIGHTS = {"AAA": dec("0.2"), "BBB": dec("0.3"), "CCC": dec("0.2"), "DDD": dec("0.2")}


class House:
    def __init__(self, displayed: int = 0) -> None:
        listings = [Listing(symbol, px) for symbol, px in PRICES.items()]
        self.accounts = Accounts({"main": (CASH, dict(HELD))})
        self.venue = Venue(Market(listings, MarketSettings(displayed=displayed)), self.accounts)
        self.settings = settings_of()
        lots = tuple(LotOpened(symbol, "2020-01-02", qty, qty * 10) for symbol, qty in HELD.items())
        self.line = Line("sim", VenueAtHand(self.venue), timedelta(milliseconds=20))
        self.watch = Watch(self.settings)
        self.game = InProcess(
            self.settings, {"sim": self.line}, T0, [AccountOpened(T0, "main", CASH, lots)], check=self.watch
        )
        self.game.start()

    def begin(self) -> None:
        self.price()
        expires = T0 + timedelta(hours=1)
        self.game.feed(TargetsSubmitted(T0, "R1", "main", WEIGHTS, T0, expires))

    def price(self) -> None:
        self.game.feed(PricesUpdated(self.game.now, self.game.now, dict(PRICES)))

    @property
    def state(self) -> State:
        return self.game.engine.state

    def agrees(self) -> None:
        ours, theirs = self.state.book.accounts["main"], self.accounts.find("main")
        assert theirs is not None
        assert ours.cash == theirs.cash
        assert ours.positions == {symbol: qty for symbol, qty in theirs.positions.items() if qty}
        assert self.venue.duplicates == 0
        names = [
            order.cl_ord_id[:CL_ORD_ID_LENGTH] for order in self.venue.orders
        ]  # a cancel renames its order
        assert sorted(names) == sorted(self.state.orders)


@pytest.mark.parametrize("displayed", [0, 7])
def test_a_basket_is_traded_and_both_books_agree(displayed: int) -> None:
    house = House(displayed)
    house.begin()
    house.game.run(600)
    request = house.state.requests["R1"]
    assert request.state is RequestState.DONE
    assert {order.ord_status for order in house.state.orders.values()} == {OrdStatus.FILLED}
    assert len(request.orders) == 4
    fills = sum(len(order.exec_ids) - 1 for order in house.state.orders.values())
    assert fills == 4 if not displayed else fills > 4
    house.agrees()


def test_a_cancelled_request_is_cancelled_at_the_venue() -> None:
    house = House(displayed=1)
    house.begin()
    house.game.run(0.1)
    house.game.feed(CancelRequested(house.game.now, "R1", "ann"))
    house.game.run(5)
    assert house.state.requests["R1"].state is RequestState.CANCELED
    assert {order.ord_status for order in house.state.orders.values()} == {OrdStatus.CANCELED}
    assert any(order.cum_qty > 0 for order in house.state.orders.values())
    house.agrees()


@pytest.mark.parametrize("after_s", [0.01, 0.02, 0.03, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("loses", [True, False])
def test_a_cut_line_and_a_restart_double_nothing(after_s: float, loses: bool) -> None:
    undisturbed = House(displayed=7)
    undisturbed.begin()
    undisturbed.game.run(600)
    house = House(displayed=7)
    house.begin()
    house.game.run(after_s)
    house.game.cut("sim", loses=loses)
    house.game.run(1)
    house.game = house.game.successor(house.game.now + timedelta(seconds=1))
    house.watch.restart(house.game.journal)
    house.game.start()
    house.price()
    house.game.run(600)
    assert house.state.requests["R1"].state is RequestState.DONE
    house.agrees()
    assert house.state.orders.keys() == undisturbed.state.orders.keys()
    assert sum((order.cum_qty for order in house.state.orders.values()), Decimal(0)) == sum(
        (order.cum_qty for order in undisturbed.state.orders.values()), Decimal(0)
    )
