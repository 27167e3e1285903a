"""Harvesting through the engine: a swap is what it says, and the study tells tax from luck."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from backtest_world import fixed, opened, settings, weekdays

from gateway.domain.settings import Costs, Decision, Harvest, Settings
from gateway.events import LotOpened
from simulator.backtest import vintages
from simulator.backtest.bars import Bars, Day
from simulator.backtest.harvesting import Harvester, StandIn, carrying_out
from simulator.backtest.measure import Measure
from simulator.backtest.runner import Run, Scenario
from simulator.backtest.taxes import Elsewhere
from simulator.backtest.vintages import TWIN, VARIANTS, Plan

COSTS = Costs(
    commission_per_share=Decimal(0), commission_minimum=Decimal(0), impact=Decimal(0),
    short_term_rate=Decimal("0.35"), long_term_rate=Decimal("0.15"),
)  # fmt: skip
GAINS = Elsewhere(Decimal(100_000), Decimal(100_000))


def household(symbols: tuple[str, ...], substitutes: dict[str, tuple[str, ...]]) -> Settings:
    made = settings(symbols, taxable=True, costs=COSTS, decision=Decision())
    account = replace(
        made.accounts["main"],
        harvest=Harvest(later_rate=Decimal("0.15"), min_benefit=Decimal(10), min_correlation=Decimal("0.3")),
    )  # fmt: skip
    risk = replace(made.risk, max_age_days=100)
    return replace(made, accounts={"main": account}, substitutes=substitutes, risk=risk)


def market(days: int, drift: float = -0.002, seed: int = 5) -> Bars:
    """Return three names that move alike, A falling."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.012, (days, 1))
    own = rng.normal(0, 0.004, (days, 3))
    table = 50 * np.exp((shared + own + np.array([drift, 0.0003, 0.0003])).cumsum(axis=0))
    return Bars(weekdays(days, date(2010, 1, 4)), ("A", "B", "C"), table, name="made up").checked()


def followed(history: Bars, *, is_on: bool = True, every: int = 21) -> tuple[Harvester, Measure, Run]:
    known = household(history.symbols, {"A": ("B",), "B": ("A",)})
    judged_by = known.accounts["main"]
    harvester = Harvester(
        "main", fixed(A="0.4", B="0.3", C="0.29"), judged_by, known.substitutes, GAINS, every, is_on=is_on
    )
    known = replace(known, accounts={"main": carrying_out(judged_by)})
    scenario = Scenario(
        [replace(opened(), at=datetime(2009, 12, 31, tzinfo=UTC))], {"main": harvester.wanted},
        decides=harvester.decides,
    )  # fmt: skip
    run = Run(history, known, scenario)
    measure = Measure(run, elsewhere=GAINS)
    harvester.follow(run, measure)
    measure.follow()
    return harvester, measure, run


def test_a_loss_is_taken_and_the_substitute_bought_for_it_and_nothing_else_moves() -> None:
    harvester, measure, run = followed(market(150))
    assert harvester.swaps >= 1
    traded = run.tape.traded
    at = next(n for n, one in enumerate(traded) if one.side.sign < 0)
    same_day = traded[at : at + 2]
    assert [(one.symbol, one.side.sign) for one in same_day] == [("A", -1), ("B", 1)]
    value = {one.symbol: one.qty * one.px for one in same_day}
    assert float(value["B"]) == pytest.approx(float(value["A"]), rel=0.01)
    assert [one.side.sign for one in traded if one.symbol == "C"] == [1]
    (lost, *_) = [line for line in measure.taxes.ledger.lines if line.symbol == "A"]
    assert lost.disallowed == 0
    assert lost.proceeds < lost.basis
    assert harvester.harvested > 0
    assert run.world.engine.state.halts == {}


def test_a_loss_saves_tax_where_there_are_gains_and_the_saving_is_invested() -> None:
    harvester, measure, run = followed(market(360))
    track = measure.tracks["main"]
    saved = [tax for tax in track.tax if tax]
    assert len(saved) == 1
    assert saved[0] == pytest.approx(-0.35 * harvester_loss_2010(measure), rel=1e-6)
    at = track.tax.index(saved[0])
    assert track.flow == [0.0] * len(track.flow)
    assert track.cash[at + 1] > track.cash[at] + 0.9 * -saved[0]
    assert track.cash[-1] < 0.03 * track.wealth[-1]
    assert harvester.stand_ins or harvester.swaps
    assert run.stranded == {}


def harvester_loss_2010(measure: Measure) -> float:
    return -float(sum(line.allowed for line in measure.taxes.ledger.lines if line.on.year == 2010))


def test_without_harvesting_nothing_is_sold() -> None:
    harvester, measure, run = followed(market(150), is_on=False)
    assert harvester.swaps == 0
    assert all(one.side.sign > 0 for one in run.tape.traded)
    assert measure.taxes.years() == []


def test_what_stood_in_goes_back_when_that_is_worth_it() -> None:
    """A stand-in of long ago whose place costs risk: its shares return, no more than were bought."""
    history = market(100, drift=0.0003)
    harvester, _, run = followed(history, is_on=False)
    harvester.is_on = True
    held = run.world.engine.state.book.accounts["main"].positions["B"]
    back = replace(harvester.judged_by.decision, risk_aversion=Decimal(500))
    harvester.judged_by = replace(harvester.judged_by, decision=back)
    harvester.stand_ins = [StandIn("C", "B", Decimal(50), date(2009, 1, 1))]
    wanted = harvester.wanted(history.day(99))
    nav = float(run.world.engine.state.book.accounts["main"].cash) + sum(
        float(qty * history.day(99).close[one])
        for one, qty in run.world.engine.state.book.accounts["main"].positions.items()
    )
    assert float(wanted["B"]) * nav / float(history.day(99).close["B"]) == pytest.approx(float(held) - 50.25)
    assert harvester.stand_ins == []


def test_the_study_plays_whole_vintages_and_holds_each_against_its_twin() -> None:
    history = market(2 * 262 + 40)
    known = household(history.symbols, {"A": ("B",), "B": ("A",)})
    scenario = Scenario([opened()], {"main": fixed(A="0.4", B="0.3", C="0.29")})
    plan = Plan(history, known, scenario, "main", scenario.wanted["main"], 1, 21, GAINS)
    assert plan.vintages() == [2010, 2011]
    found = {
        (year, one.name): vintages.play(plan, year, one) for year in (2010, 2011) for one in (TWIN, *VARIANTS)
    }
    assert all(not one.halted for one in found.values())
    twin, kept = found[2010, TWIN.name], found[2010, VARIANTS[0].name]
    assert (twin.swaps, sum(twin.losses)) == (0, 0)
    assert kept.swaps > 0
    assert sum(kept.losses) > 0
    study = vintages.summed(plan, found)
    for at, year in enumerate(study["vintages"]):
        alphas = study["variants"][0]["alphas"]
        mine, other = found[year, VARIANTS[0].name], found[year, TWIN.name]
        assert alphas["sold"][at] + alphas["before_tax"][at] == pytest.approx(np.log(mine.sold / other.sold))
    assert study["variants"][0]["spread"]["held"]["lowest"] <= study["variants"][0]["mean"]["held"]["value"]
    assert kept.held - twin.held > 0.35 * 0.5 * sum(kept.losses) * twin.held * 0.1
    assert len(study["limits"]) == 8


def test_a_lot_of_an_opening_book_may_be_harvested_too() -> None:
    history = market(120, drift=0.0003)
    lots = [LotOpened("A", "2009-01-05", Decimal(200), Decimal(40_000))]
    known = household(history.symbols, {"A": ("B",)})
    harvester = Harvester(
        "main", fixed(A="0.4"), known.accounts["main"], known.substitutes, GAINS, 21
    )  # fmt: skip

    def not_at_first(day: Day) -> bool:
        return harvester.decides(day) and harvester._day > 0

    settings_of = replace(known, accounts={"main": carrying_out(known.accounts["main"])})
    start = replace(opened(0, lots), at=datetime(2009, 12, 31, tzinfo=UTC))
    run = Run(
        history, settings_of,
        Scenario([start], {"main": harvester.wanted}, decides=not_at_first),
    )  # fmt: skip
    measure = Measure(run, elsewhere=GAINS)
    harvester.follow(run, measure)
    measure.follow()
    assert harvester.harvested > 20_000
