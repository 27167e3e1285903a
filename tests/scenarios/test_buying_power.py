"""Buying power a venue states: buys are cut to what it lets an account spend, and never wait for ever."""

from __future__ import annotations

from decimal import Decimal

import pytest
from world import LINK, World, dec

from gateway.domain.order import OrdStatus, Side
from gateway.events import ActivityStated, Event, PowerStated, RequestState

SWITCH = {"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.25"}


def tell(world: World, event: Event) -> None:
    world.game.feed(event)
    world.run(0)


def power(world: World, amount: str, account: str = "main") -> None:
    seq = world.state.link(LINK).seq + 1
    tell(world, PowerStated(world.game.now, LINK, seq, account, dec(amount)))


def bought(world: World) -> Decimal:
    return sum((one.notional for one in world.state.orders.values() if one.spec.side is Side.BUY), Decimal(0))


def told(world: World) -> list[str]:
    return [one.text for one in world.game.alerts() if one.code == "PowerStated"]


@pytest.mark.parametrize("amount", ["4000", "1000", "400", "0"])
def test_buys_are_cut_to_what_the_venue_lets_an_account_spend(amount: str) -> None:
    """Sell, then buy for the proceeds and 1,000 in cash, of which the venue holds some back, or none."""
    world = World()
    power(world, amount)
    world.rebalance(weights=SWITCH)
    assert world.request().state is RequestState.DONE
    short = max(dec(0), dec(1000) - dec(amount))
    sold = sum(one.notional for one in world.state.orders.values() if one.spec.side is Side.SELL)
    wanted, buffer, charges = dec(4500), dec(100), dec(10)
    budget = 1000 - short + sold - buffer
    assert min(wanted - 50, budget - charges - 20) < bought(world) <= min(wanted + 50, budget)
    assert world.cash >= short + buffer - charges, "what the venue holds back stays"
    sides = [wish.order.side for wish in world.game.sent()]
    assert sides == sorted(sides, reverse=True), "sells first"
    assert bool(told(world)) is bool(short)
    world.agrees()
    world.is_deterministic()


def test_a_venue_that_lets_nothing_be_bought_ends_the_request_with_a_reason() -> None:
    world = World(held={"AAA": 10}, cash=500)
    power(world, "0")
    world.rebalance(weights={"AAA": "0.66", "CCC": "0.33"})
    request = world.request()
    assert request.state is RequestState.DONE
    assert [(one.symbol, one.reason) for one in request.denied] == [("CCC", "cash")]
    assert not world.game.sent()


def test_it_is_told_once_and_over_when_the_venue_says_so() -> None:
    world = World()
    power(world, "999.50")
    assert (world.state.shortfalls, told(world)) == ({"main": dec("0.50")}, []), "cents are nobody's business"
    power(world, "400")
    power(world, "300")
    assert told(world) == ["sim lets main buy for 400.00, its cash is 1000.00: buys are cut to that"]
    assert world.state.shortfalls == {"main": 700}
    tell(world, PowerStated(world.game.now, LINK, world.state.link(LINK).seq, "main", dec(0)))
    assert world.state.shortfalls == {"main": 700}, "a message is taken once"
    power(world, "0", account="nobody")
    power(world, "1000")
    assert not world.state.shortfalls


def test_a_fee_the_venue_took_before_we_knew_is_not_counted_twice() -> None:
    world = World()
    power(world, "980")
    for number, cash in enumerate(("5", "-15", "-30"), start=1):
        seq = world.state.link(LINK).seq + 1
        name, on = f"fee{number}", "2024-03-13"
        tell(world, ActivityStated(world.game.now, LINK, seq, "main", name, "FEE", on, dec(cash)))
        assert world.state.shortfalls["main"] == (20, 5, 0)[number - 1]


def test_nothing_is_read_from_it_while_an_order_is_open() -> None:
    world = World()
    world.venue.default = [(0, "ack")]
    world.targets(weights=SWITCH)
    world.run(0.1)
    assert world.status("AAA") is OrdStatus.NEW
    power(world, "0")
    assert not world.state.shortfalls
