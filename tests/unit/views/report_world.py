"""A week told to the engine: bought on Tuesday, drifted, halted, sold at a loss; and its report."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "scenarios"))

from world import World, settings_of

from gateway.domain.lots import LotMethod
from gateway.domain.settings import Costs, Decision, Monitoring, Settings
from gateway.events import CheckDue, Event, HaltRequested, Others, PolicyName, ResumeRequested
from gateway.views.notices import Notice
from gateway.views.report import make_report
from gateway.views.week import Past, gather, week_of

WEEK = "2024-W11"  # the world begins on Tuesday 2024-03-12, 15:00 UTC
TARGETS = {"AAA": "0.30", "BBB": "0.30", "CCC": "0.30"}


def settings() -> Settings:
    made = settings_of(
        costs=Costs(commission_per_share=Decimal(0), commission_minimum=Decimal("1.00")),
        decision=Decision(policy=PolicyName.TRIGGERS, single_asset_drift=Decimal("0.50")),
    )
    account = replace(
        made.accounts["main"],
        monitoring=Monitoring(critical_drift=Decimal("0.05")),
        lot_method=LotMethod.LIFO,  # Tuesday's shares go first: left behind they would wash
    )
    return replace(made, accounts={"main": account})


async def _journal(events: Sequence[Event]) -> AsyncIterator[tuple[int, Event]]:
    for number, event in enumerate(events, start=1):
        yield number, event


def past_of(events: Sequence[Event], week: str = WEEK, using: Settings | None = None) -> Past:
    using = using or settings()
    return asyncio.run(gather(_journal(events), using, week_of(week, using.time_zone)))


def told_week() -> World:
    """Buy into a third name, drift for three days, halt over lunch, sell the loser on Friday."""
    world = World(settings(), cash=20_000, held={"AAA": 100, "BBB": 80}, cost={"BBB": 5_000})
    world.targets("tuesday", weights=TARGETS, others=Others.SELL)
    world.run(60)
    moves = [
        ("AAA", "1.02"),
        ("BBB", "0.99"),
        ("CCC", "1.01"),
        ("AAA", "1.06"),
        ("AAA", "1.09"),
        ("BBB", "0.93"),
    ]
    for number, (symbol, times) in enumerate(moves * 3):
        world.run(3 * 3600)
        world.price(**{symbol: world.prices[symbol] * Decimal(times)})
        world.run(0)
        day = f"{world.game.now:%Y-%m-%d}"
        world.game.feed(CheckDue(world.game.now, "main", day, world.game.now + timedelta(minutes=30)))
        if number == 4:
            world.game.feed(HaltRequested(world.game.now, "main", "lunch <b>", "anna"))
        if number == 5:
            world.game.feed(ResumeRequested(world.game.now, "main", "anna"))
        world.run(0)
    world.run(3600)
    world.price()
    world.targets("friday", weights={"AAA": "0.40", "BBB": "0.10", "CCC": "0.30"})
    world.run(120)
    world.price(DDD="11")
    world.run(0)
    return world


NOTICES = (
    Notice("1-0", "2024-03-13T09:00:00Z", "warning", "DriftWarning", "AAA is <far> off", "main"),
    Notice("2-0", "2024-03-14T09:00:00Z", "critical", "LinkDown", "sim is down"),
    Notice("3-0", "2024-03-14T09:00:00Z", "critical", "Other", "of another account", "other"),
)


def a_week(week: str = WEEK, account: str = "") -> dict[str, Any]:
    """Return the report of the told week."""
    world = told_week()
    past = past_of(world.game.journal, week)
    return make_report(past, settings(), NOTICES, world.game.now, account)
