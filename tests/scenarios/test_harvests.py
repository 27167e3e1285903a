"""Losses taken, told to the engine: what stands in, what a rebalance then means, crashes at every step."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import World, dec, settings_of

from gateway.decision.market import Market
from gateway.decision.risk import RiskModel
from gateway.decision.tax_record import tax_record
from gateway.domain.order import ExecType, OrdStatus, Side
from gateway.domain.request import PolicyName
from gateway.domain.schedule import ScheduleOverride, Style
from gateway.domain.settings import Costs, Decision, Harvest, Settings
from gateway.domain.substitution import Substitution
from gateway.engine import Engine
from gateway.events import (
    CancelRequested,
    CheckDue,
    LossesFound,
    Mode,
    RequestDecided,
    RequestState,
    TargetsSubmitted,
)
from gateway.oms.state import State
from gateway.outlook import Outlook
from gateway.runtime.wire import decode_state, encode_state

NAMES = ("AAA", "BBB", "CCC", "DDD", "EEE")
TODAY = date(2024, 3, 12)
FREE_FROM = date(2024, 4, 12)
COSTS = Costs(commission_per_share=Decimal(0), commission_minimum=Decimal("1.00"))
TERMS = Harvest(min_benefit=dec(1))
WEIGHTS = {"AAA": "0.40", "BBB": "0.40"}
HELD = {"AAA": 50, "BBB": 80}
LOSING = {"AAA": 7_000, "BBB": 2_000}


def alike(correlation: float = 0.95, variance: float = 0.04) -> Market:
    matrix = np.full((len(NAMES), len(NAMES)), correlation * variance)
    np.fill_diagonal(matrix, variance)
    return Market(RiskModel.dense(NAMES, matrix, TODAY))


def taxed(
    substitutes: dict[str, tuple[str, ...]] | None = None, terms: Harvest = TERMS, **words: Any
) -> Settings:
    words.setdefault(
        "decision",
        Decision(policy=PolicyName.TRIGGERS, single_asset_drift=dec("0.5"), concentration_ratio=dec(1000)),
    )
    made = settings_of(costs=COSTS, **words)
    accounts = {name: replace(one, harvest=terms) for name, one in made.accounts.items()}
    chosen = {"AAA": ("CCC",), "BBB": ("DDD",)} if substitutes is None else substitutes
    return replace(made, accounts=accounts, substitutes=chosen, risk=replace(made.risk, max_age_days=1000))


def losing_world(market: Market | None = None, using: Settings | None = None, **words: Any) -> World:
    """A world with a loss of 2,000 in AAA and a gain in BBB, which are both on their targets."""
    words = {"cash": 1_000, "held": HELD, "cost": LOSING} | words
    world = World(using or taxed(), **words)
    world.game.engine.see(market or alike())
    return world


def harvest(world: World, name: str = "H1", mode: Mode = Mode.EXECUTE, **words: Any) -> TargetsSubmitted:
    world.price()
    world.run(0)
    event = world.targets(
        name, mode=mode, harvest=True, execution=ScheduleOverride(style=Style.AT_ONCE), **words
    )
    world.run()
    return event


def rebalance(world: World, name: str = "R1", **words: Any) -> RequestState:
    world.price()
    world.run(0)
    return world.rebalance(name, **words).state


def stands(world: World, account: str = "main") -> tuple[Substitution, ...]:
    return world.state.substitutions.get(account, ())


def decided(world: World, name: str) -> RequestDecided:
    return [
        one for one in world.of_kind(RequestDecided) if isinstance(one, RequestDecided)
        if one.request_id == name
    ][-1]  # fmt: skip


def later(world: World, days: int) -> None:
    """Let days go by; the last prices are true again."""
    world.game.now += timedelta(days=days)
    world.price()
    world.run(0)


def holding(world: World) -> dict[str, Decimal]:
    return {symbol: qty for symbol, qty in world.positions.items() if qty}


def losses_kept(world: World) -> int:
    """Return the groups with a loss, after asserting by the tax ledger that every loss in them is deducted.

    Where a whole position is sold at once, the ledger moves a loss from old shares to those bought in the
    window and sold by the very same order: what it disallows there it allows there, to the cent.
    """
    event = TargetsSubmitted(world.game.now, "x", "main", {}, world.game.now, world.game.now)
    view = Outlook(world.settings, world.state).view_of(event)
    record = tax_record(view)
    lost = {view.instruments[symbol].group for symbol in record.past.lost}
    for group in lost:
        ledger = record.ledger(group)
        assert ledger is not None
        assert not any(line.permanent for line in ledger.lines)
        left = sum((line.disallowed - line.deferred for line in ledger.lines), Decimal(0))
        assert abs(left) < Decimal("1e-9"), ledger.lines
    return len(lost)


# ------------------------------------------------------------------------------------ show, and take


def test_a_preview_shows_the_loss_and_leaves_everything_as_it_is() -> None:
    world = losing_world()
    harvest(world, mode=Mode.PREVIEW)
    found = decided(world, "H1")
    (swap,) = found.swaps
    assert world.request("H1").state is RequestState.PREVIEWED
    assert (swap.original, swap.other, swap.sell_qty, swap.buy_qty) == ("AAA", "CCC", dec(50), dec(250))
    assert swap.loss == pytest.approx(2001)
    assert swap.net == pytest.approx(swap.saved_now - swap.taxed_later - swap.cost - swap.tracking)
    assert found.harvest
    assert "1 loss of 2,001.00 worth taking" in found.reason
    assert stands(world) == ()
    assert world.state.standing == {}
    assert holding(world) == {"AAA": dec(50), "BBB": dec(80)}


def test_a_loss_taken_is_held_by_its_substitute_and_no_rebalance_undoes_it() -> None:
    world = losing_world()
    rebalance(world, weights=WEIGHTS)
    harvest(world)
    assert world.request("H1").state is RequestState.DONE
    assert world.sent_symbols()[-2:] == ["AAA", "CCC"], "sold before its substitute is bought"
    (one,) = stands(world)
    assert (one.original, one.other, one.since, one.free_from) == ("AAA", "CCC", TODAY, FREE_FROM)
    assert one.request_id == "H1"
    assert world.state.standing["main"].targets == {name: dec(weight) for name, weight in WEIGHTS.items()}
    before = holding(world)
    assert "AAA" not in before
    assert rebalance(world, "R2", weights=WEIGHTS) in (RequestState.HELD, RequestState.DONE)
    found = {name.symbol: name for name in decided(world, "R2").names}
    assert found["CCC"].weight_target == pytest.approx(0.40)
    assert found["AAA"].weight_target == 0
    assert "CCC stands in for AAA, sold at a loss on 2024-03-12" in found["CCC"].substitution
    assert holding(world).keys() == before.keys()
    world.agrees()
    assert losses_kept(world) > 0


def test_without_a_loss_worth_taking_a_harvest_is_held_and_says_why() -> None:
    world = losing_world(alike(0.1))
    harvest(world)
    found = decided(world, "H1")
    assert world.request("H1").state is RequestState.HELD
    assert found.reason == "no loss is worth taking"
    assert [name.note for name in found.names] == [
        "the correlation of CCC with AAA is 0.10, the least is 0.50"
    ]
    world = losing_world(cost={"AAA": 1, "BBB": 1})
    harvest(world)
    assert decided(world, "H1").reason == "nothing is held at a loss"


def test_what_was_sold_before_a_cancel_stands_and_only_that_is_replaced() -> None:
    world = losing_world()
    world.venue.plans = {"AAA": [(0, "ack"), (1, "fill", 20)]}
    world.targets("H1", harvest=True)
    world.run(0)
    assert stands(world) == (), "nothing is sold yet"
    world.run(2)
    assert [one.original for one in stands(world)] == ["AAA"]
    world.run()  # the wave's time is over: the rest is cancelled
    assert world.status("AAA") is OrdStatus.CANCELED
    assert world.order("CCC").spec.order_qty == dec(100), "for 20 of 50 sold, 100 of 250 bought"
    assert holding(world) == {"AAA": dec(30), "BBB": dec(80), "CCC": dec(100)}
    weights = {name.symbol: name for name in _decide_again(world).names}
    assert weights["AAA"].weight_target == pytest.approx(3000 / float(_nav(world)), abs=1e-6)
    assert weights["AAA"].weight_target + weights["CCC"].weight_target == pytest.approx(0.40)


def _decide_again(world: World) -> RequestDecided:
    rebalance(world, "R9", weights=WEIGHTS, mode=Mode.PREVIEW)
    return decided(world, "R9")


def _nav(world: World) -> Decimal:
    return world.cash + sum((qty * world.prices[symbol] for symbol, qty in holding(world).items()), dec(0))


@pytest.mark.parametrize("how", ["reject", "cancel"])
def test_nothing_sold_means_nothing_bought_and_nothing_stands(how: str) -> None:
    world = losing_world()
    world.venue.plans = {"AAA": [(0, how)]}
    harvest(world)
    assert stands(world) == ()
    assert world.sent_symbols() == ["AAA"]
    assert world.denials("H1") == {"CCC": "unsold"}
    assert holding(world) == {"AAA": dec(50), "BBB": dec(80)}


def test_a_sale_that_is_taken_back_stands_for_nothing() -> None:
    world = losing_world(money=False)
    harvest(world)
    assert stands(world)
    sold = world.order("AAA")
    (exec_id,) = sold.executions
    world.tell("AAA", ExecType.TRADE_CANCEL, exec_ref_id=exec_id, cum_qty=dec(0), ord_status=OrdStatus.NEW)
    world.run(0)
    assert stands(world) == ()


def test_a_leg_denied_denies_the_other() -> None:
    using = taxed()
    limits = replace(using.accounts["main"].limits, restricted=frozenset({"CCC"}))
    using = replace(using, accounts={"main": replace(using.accounts["main"], limits=limits)})
    world = losing_world(using=using)
    harvest(world)
    assert world.denials("H1") == {"CCC": "restricted", "AAA": "unsold"}
    assert world.sent_symbols() == []
    assert stands(world) == ()


def test_two_losses_may_share_a_substitute_and_each_pays_for_its_part() -> None:
    world = losing_world(using=taxed({"AAA": ("CCC",), "BBB": ("CCC",)}), cost={"AAA": 7_000, "BBB": 6_000})
    world.venue.plans = {"BBB": [(0, "reject")]}
    harvest(world)
    assert {one.original for one in decided(world, "H1").swaps} == {"AAA", "BBB"}
    (bought,) = [order for order in world.state.orders.values() if order.spec.side is Side.BUY]
    assert bought.spec.order_qty == dec(250), "only what AAA brought"
    assert [one.original for one in stands(world)] == ["AAA"]


def test_a_harvest_that_waits_for_approval_takes_nothing_until_then() -> None:
    world = losing_world()
    harvest(world, mode=Mode.APPROVE, life_s=60)
    assert world.request("H1").state is RequestState.EXPIRED
    assert stands(world) == ()
    assert world.sent_symbols() == []


# -------------------------------------------------------------------------------------- going back


def test_the_window_over_targets_mean_the_name_again_only_where_going_back_pays() -> None:
    for market, comes_back in ((alike(0.6, 0.09), True), (alike(0.999, 0.01), False)):
        world = losing_world(market)
        rebalance(world, weights=WEIGHTS)
        harvest(world)
        later(world, 20)
        rebalance(world, "R2", weights={**WEIGHTS, "BBB": "0.30"})
        assert world.positions.get("AAA", 0) == 0
        later(world, 12)
        rebalance(world, "R3", weights=WEIGHTS)
        assert (world.positions.get("AAA", 0) > 0) == comes_back
        assert (stands(world) == ()) == comes_back
        assert decided(world, "R3").swapped_back == (("AAA",) if comes_back else ())
        world.agrees()
        assert losses_kept(world) > 0


def test_a_substitution_does_not_outlive_its_substitute() -> None:
    world = losing_world()
    rebalance(world, weights=WEIGHTS)
    harvest(world)
    rebalance(world, "R2", weights={"AAA": "0", "BBB": "0.40"})
    assert "CCC" not in holding(world), "a target for the name is one for its substitute"
    assert stands(world), "inside the window the name may still not be bought"
    later(world, 40)
    world.restart()
    world.run(0)
    assert stands(world) == ()


def test_a_name_the_configuration_no_longer_knows_is_not_read() -> None:
    world = losing_world()
    harvest(world)
    event = TargetsSubmitted(world.game.now, "x", "main", {"BBB": dec("0.4")}, world.game.now, world.game.now)
    less = replace(
        world.settings,
        instruments={name: one for name, one in world.settings.instruments.items() if name != "AAA"},
    )
    view = Outlook(less, world.state).view_of(event)
    assert view.substitutions == ()
    assert view.targets == {"BBB": dec("0.4")}


# ------------------------------------------------------------------------------------------ watching


def test_losses_worth_taking_are_told_once_a_week_where_wanted() -> None:
    def look(world: World, day: str) -> None:
        now = world.game.now
        world.game.feed(CheckDue(now, "main", day, now + timedelta(hours=1)))
        world.run(0)

    quiet = losing_world()
    look(quiet, "2024-03-12")
    assert quiet.of_kind(LossesFound) == []
    world = losing_world(using=taxed(terms=replace(TERMS, watch=True)))
    for day in ("2024-03-12", "2024-03-13", "2024-03-18"):
        look(world, day)
    told = [one for one in world.game.alerts() if one.code == "LossesFound"]
    assert [one.severity for one in told] == ["info", "info"]
    assert "losses of 2,001.00 in AAA are worth taking" in told[0].text
    assert world.state.losses_told == {"main": "2024-W12"}
    harvest(world)
    world.price()
    world.run(0)
    look(world, "2024-03-25")
    assert len(world.of_kind(LossesFound)) == 2
    world.game.now += timedelta(hours=1)
    look(world, "2024-04-02")
    assert len(world.of_kind(LossesFound)) == 2, "no fresh price, no word"


def test_a_snapshot_keeps_what_stands() -> None:
    world = losing_world()
    harvest(world)
    assert stands(world)
    assert decode_state(encode_state(world.state), State) == world.state


# ------------------------------------------------------------------------------- crashes everywhere


class Crash(BaseException):
    """The process is gone."""


def play(crash_at: int, *, loses: bool) -> tuple[World, int]:
    """Harvest and rebalance once more, with a death at one point."""
    points = 0

    def point() -> None:
        nonlocal points
        points += 1
        if points == crash_at:
            raise Crash

    world = World(taxed(), cash=1_000, held=HELD, cost=LOSING, point=point, starts=False)
    world.venue.plans = {"AAA": [(0, "ack"), (0.1, "fill", 30), (0.2, "fill")], "CCC": [(0.1, "fill")]}
    world.price()
    world.targets("H1", harvest=True)
    world.targets("R1", weights=WEIGHTS)
    is_first = True
    while True:
        world.game.engine.see(alike())
        try:
            if is_first:
                world.game.start()
            world.run()
        except Crash:
            is_first = False
            if loses:
                world.line.on_the_way.clear()
            world.restart(0.01, snapshot_at=len(world.game.journal) * (points % 3) // 2)
            world.price()
        else:
            return world, points


@cache
def undisturbed() -> tuple[World, int]:
    world, points = play(0, loses=False)
    assert world.request("H1").state is RequestState.DONE
    assert len(world.request("H1").orders) == 2
    return world, points


@pytest.mark.parametrize("loses", [False, True])
def test_a_crash_anywhere_takes_each_loss_once_and_never_washes_it(loses: bool) -> None:
    first, points = undisturbed()
    assert points > 20
    for place in range(1, points + 1):
        world, _ = play(place, loses=loses)
        world.agrees()
        assert (world.cash, holding(world)) == (first.cash, holding(first)), place
        assert [one.original for one in stands(world)] == ["AAA"]
        assert world.request("H1").orders == first.request("H1").orders
        assert losses_kept(world) > 0


# ----------------------------------------------------------------------------------------- always so


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["harvest", "rebalance", "wait", "cancel"]),
        st.sampled_from([1, 15, 31, 40]),
        st.lists(st.sampled_from(["0.8", "0.95", "1.05", "1.2"]), min_size=4, max_size=4),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=150)
@given(MOVES)
def test_no_harvest_ever_washes_a_loss_and_no_substitution_outlives_its_name(moves: list[Any]) -> None:
    using = taxed({"AAA": ("CCC", "DDD"), "BBB": ("CCC",), "CCC": ("AAA", "DDD"), "DDD": ("BBB",)})
    world = losing_world(alike(0.7), using, cost={"AAA": 7_000, "BBB": 4_500})
    for number, (word, days, steps) in enumerate(moves):
        changed = {
            name: (world.prices[name] * dec(step)).quantize(dec("0.01"))
            for name, step in zip(NAMES[:4], steps, strict=True)
        }
        world.price(**changed)
        world.run(0)
        if word == "harvest":
            harvest(world, f"H{number}")
        elif word == "cancel":
            world.venue.plans = {name: [(0, "ack"), (1, "fill", 3)] for name in NAMES}
            world.targets(f"H{number}", harvest=True)
            world.run(2)
            world.game.feed(CancelRequested(world.game.now, f"H{number}", "anna"))
            world.venue.plans = {}
            world.run()
        elif word == "rebalance":
            rebalance(world, f"R{number}", weights=WEIGHTS)
        else:
            later(world, days)
        assert losses_kept(world) >= len(stands(world))
        today = world.game.now.date()
        for account, known in world.state.substitutions.items():
            originals = [one.original for one in known]
            assert len(set(originals)) == len(originals)
            for place, one in enumerate(known):
                assert one.other not in originals[:place], "in a row, without a circle"
                held = world.state.book.accounts[account].positions.get(one.other)
                assert word not in ("harvest", "rebalance") or today < one.free_from or held
    replayed = Engine(using)
    for event in world.game.journal:
        replayed.replay(event)
    assert replayed.state == world.state
