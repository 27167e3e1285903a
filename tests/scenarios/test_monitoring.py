"""The monitor, told to the engine: what stands, what is seen, what is told, and the one request a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import T0, World, settings_of

from gateway.domain.order import Side
from gateway.domain.settings import Monitoring, Settings
from gateway.domain.standing import DriftLevel
from gateway.events import (
    ApprovalGiven,
    CancelRequested,
    CheckDue,
    DriftChecked,
    HaltRequested,
    Mode,
    Others,
    PricesUpdated,
    Record,
    RequestState,
    ResumeRequested,
    TargetsSubmitted,
)
from gateway.monitor import request_id_of

DAY = "2024-03-12"
TARGETS = {"AAA": "0.47", "BBB": "0.40", "CCC": "0.04"}
AUTO = Monitoring(auto_execute=True)


def watched(monitoring: Monitoring | None = None, *accounts: str) -> Settings:
    settings = settings_of(accounts=accounts or ("main",))
    changed = {
        name: replace(one, monitoring=monitoring or Monitoring()) for name, one in settings.accounts.items()
    }
    return replace(settings, accounts=changed)


def standing_world(monitoring: Monitoring | None = None) -> World:
    """A world whose account has just been brought to its targets."""
    world = World(watched(monitoring))
    world.targets(weights=TARGETS)
    world.run(5)
    assert world.request().state is RequestState.DONE
    return world


def look(world: World, account: str = "main", day: str = DAY, *, in_s: float = 3600) -> None:
    now = world.game.now
    world.game.feed(CheckDue(now, account, day, now + timedelta(seconds=in_s)))
    world.run(0)


def answer(world: World) -> DriftChecked:
    """What the monitor would find now, asked beside the journal."""
    (record,) = world.game.engine.monitor.check(CheckDue(world.game.now, "main", DAY, world.game.now))
    assert isinstance(record, Record)
    assert isinstance(record.event, DriftChecked)
    return record.event


def checks(world: World) -> list[DriftChecked]:
    return [event for event in world.of_kind(DriftChecked) if isinstance(event, DriftChecked)]


def told(world: World) -> list[tuple[str, str]]:
    codes = ("DriftWarning", "DriftCritical", "DriftUnknown")
    return [(one.severity, one.code) for one in world.game.alerts() if one.code in codes]


def moved(world: World, times: str) -> None:
    """Let the first name's price move; the account drifts."""
    world.price(AAA=world.prices["AAA"] * Decimal(times))
    world.run(0)


def test_what_was_traded_stands_and_a_preview_does_not() -> None:
    world = World(watched())
    world.targets("look", mode=Mode.PREVIEW, weights=TARGETS)
    world.run(0)
    assert world.state.standing == {}
    world.targets(weights=TARGETS, others=Others.SELL)
    world.run(5)
    standing = world.state.standing["main"]
    assert (standing.request_id, standing.others) == ("R1", Others.SELL)
    assert standing.targets == {name: Decimal(weight) for name, weight in TARGETS.items()}
    assert (standing.since, standing.cancelled_by) == (T0, "")


def test_targets_that_needed_no_trade_stand_too() -> None:
    exact = {"AAA": "0.50", "BBB": "0.40"}
    world = World(watched())
    world.targets("R2", weights=exact)
    world.run(5)
    assert world.request("R2").state is RequestState.HELD
    assert world.state.standing["main"].request_id == "R2"


def test_what_waits_for_approval_stands_when_it_is_given() -> None:
    world = World(watched())
    world.targets("ask", mode=Mode.APPROVE, weights=TARGETS)
    world.run(0)
    assert world.state.standing == {}
    world.game.feed(ApprovalGiven(world.game.now, "ask", "anna"))
    world.run(0)
    assert world.state.standing["main"].request_id == "ask"


def test_without_standing_targets_or_with_the_watch_off_a_look_finds_nothing() -> None:
    world = World(watched())
    look(world)
    look(world, "nobody")
    assert checks(world) == []
    world = standing_world(Monitoring(is_on=False))
    look(world)
    assert checks(world) == []


def test_a_calm_account_is_noted_and_nobody_is_told() -> None:
    world = standing_world()
    look(world)
    (check,) = checks(world)
    assert (check.level, check.is_news, check.request_id) == (DriftLevel.CALM, False, "")
    assert check.max_drift < 0.03
    assert told(world) == []
    assert world.state.seen["main"].level is DriftLevel.CALM


def test_a_warning_is_told_once_a_day() -> None:
    world = standing_world()
    moved(world, "1.20")
    look(world)
    look(world)
    first, second = checks(world)
    assert first.level is second.level is DriftLevel.WARNING
    assert first.symbol == "AAA"
    assert "AAA is" in first.text
    assert "limit is 3.00%" in first.text
    assert told(world) == [("warning", "DriftWarning")]
    look(world, day="2024-03-13")
    assert told(world) == [("warning", "DriftWarning")] * 2
    assert world.state.requests.keys() == {"R1"}


def test_critical_drift_asks_for_an_approval_that_ends_with_the_session() -> None:
    world = standing_world()
    moved(world, "2.5")
    look(world, in_s=1800)
    (check,) = checks(world)
    assert check.level is DriftLevel.CRITICAL
    assert check.request_id == f"drift:main:{DAY}"
    assert f"gateway approve drift:main:{DAY}" in check.text
    request = world.request(check.request_id)
    assert request.state is RequestState.AWAITING_APPROVAL
    assert request.spec.expires_at == check.at + timedelta(seconds=1800)
    assert told(world) == [("critical", "DriftCritical")]
    world.run(2000)
    assert request.state is RequestState.EXPIRED
    assert world.state.standing["main"].request_id == "R1"


def test_the_approval_rebalances_the_account() -> None:
    world = standing_world()
    moved(world, "2.5")
    look(world)
    world.game.feed(ApprovalGiven(world.game.now, f"drift:main:{DAY}", "anna"))
    world.run(30)
    assert world.request(f"drift:main:{DAY}").state is RequestState.DONE
    assert world.order("AAA").spec.request_id == f"drift:main:{DAY}"
    assert world.order("AAA").spec.side is Side.SELL
    assert world.state.standing["main"].request_id == "R1"
    world.agrees()


def test_an_account_that_allows_it_is_rebalanced_at_once_and_only_once_a_day() -> None:
    world = standing_world(AUTO)
    moved(world, "2.5")
    look(world)
    world.run(30)
    request_id = f"drift:main:{DAY}"
    assert world.request(request_id).state is RequestState.DONE
    moved(world, "2.5")
    look(world)
    assert checks(world)[-1].request_id == ""
    assert f"{request_id} is about it" in checks(world)[-1].text
    assert list(world.state.requests) == ["R1", request_id]
    assert told(world) == [("critical", "DriftCritical")]
    world.agrees()
    world.is_deterministic()


def test_two_looks_in_one_batch_make_one_request() -> None:
    world = standing_world(AUTO)
    moved(world, "2.5")
    now = world.game.now
    world.game.feed(*[CheckDue(now, "main", DAY, now + timedelta(hours=1))] * 2)
    world.run(30)
    assert list(world.state.requests) == ["R1", f"drift:main:{DAY}"]


def test_after_a_warning_the_critical_level_is_told_and_no_warning_after_it() -> None:
    world = standing_world()
    moved(world, "1.20")
    look(world)
    moved(world, "2.5")
    look(world)
    moved(world, "0.4")
    look(world)
    assert [one.level for one in checks(world)] == [
        DriftLevel.WARNING, DriftLevel.CRITICAL, DriftLevel.WARNING,
    ]  # fmt: skip
    assert told(world) == [("warning", "DriftWarning"), ("critical", "DriftCritical")]
    seen = world.state.seen["main"]
    assert seen.told == (DriftLevel.WARNING, DriftLevel.CRITICAL)


def test_nothing_is_sent_for_a_halted_account() -> None:
    world = standing_world(AUTO)
    moved(world, "2.5")
    world.game.feed(HaltRequested(world.game.now, "main", "lunch", "anna"))
    world.run(0)
    look(world)
    assert "nothing is sent: the account is halted: lunch" in checks(world)[0].text
    assert list(world.state.requests) == ["R1"]


def test_a_request_made_after_the_halt_is_over_is_told_although_its_level_was() -> None:
    world = standing_world(AUTO)
    moved(world, "2.5")
    world.game.feed(HaltRequested(world.game.now, "main", "lunch", "anna"))
    look(world)
    world.game.feed(ResumeRequested(world.game.now, "main", "anna"))
    look(world)
    assert checks(world)[-1].request_id == f"drift:main:{DAY}"
    assert told(world) == [("critical", "DriftCritical")] * 2
    assert world.state.seen["main"].told == (DriftLevel.CRITICAL,)


def test_nothing_is_sent_while_a_request_is_not_finished() -> None:
    world = standing_world(AUTO)
    world.targets("ask", mode=Mode.APPROVE, weights={"AAA": "0.2"})
    world.run(0)
    moved(world, "2.5")
    look(world)
    assert "request ask is not finished" in checks(world)[0].text
    assert list(world.state.requests) == ["R1", "ask"]


def test_cancelled_targets_are_watched_and_not_traded() -> None:
    world = World(watched(AUTO))
    world.venue.default = [(0, "ack")]
    world.targets(weights=TARGETS)
    world.run(0)
    world.game.feed(CancelRequested(world.game.now, "R1", "anna"))
    world.run(10)
    assert world.request().state is RequestState.CANCELED
    assert world.state.standing["main"].cancelled_by == "anna"
    moved(world, "3")
    look(world)
    (check,) = checks(world)
    assert (check.level, check.request_id) == (DriftLevel.CRITICAL, "")
    assert "request R1, whose targets these are, was cancelled" in check.text


def test_cancelling_another_request_leaves_what_stands() -> None:
    world = standing_world()
    world.targets("ask", mode=Mode.APPROVE, weights={"AAA": "0.2"})
    world.run(0)
    world.game.feed(CancelRequested(world.game.now, "ask", ""))
    world.run(0)
    assert world.state.standing["main"].cancelled_by == ""


def test_without_a_fresh_price_the_drift_is_unknown_and_that_is_told_once() -> None:
    world = standing_world()
    world.run(100)
    look(world)
    look(world)
    check = checks(world)[0]
    assert (check.level, check.max_drift, check.symbol) == (DriftLevel.UNKNOWN, 0.0, "")
    assert "no fresh price for AAA" in check.text
    assert told(world) == [("warning", "DriftUnknown")]


def test_a_name_the_configuration_forgot_makes_the_drift_unknown() -> None:
    world = standing_world()
    known = {name: one for name, one in world.settings.instruments.items() if name != "BBB"}
    world.game.engine.monitor.settings = replace(world.settings, instruments=known)
    assert "BBB, which the configuration no longer knows" in answer(world).text


def test_a_worthless_account_has_no_drift() -> None:
    world = standing_world()
    world.state.book.accounts["main"].cash -= 1_000_000
    assert "is not positive" in answer(world).text


def test_nothing_held_and_nothing_wanted_is_calm() -> None:
    world = World(watched(), held={})
    world.targets(weights={"AAA": "0"}, others=Others.SELL)
    world.run(5)
    standing = world.state.standing["main"]
    world.state.standing["main"] = replace(standing, targets={})
    check = answer(world)
    assert (check.level, check.symbol) == (DriftLevel.CALM, "")


def test_exactly_at_the_limit_is_within_it() -> None:
    world = World(watched(Monitoring(warning_drift=Decimal("0.05"))), cash=5_000, held={"AAA": 50})
    value = 50 * world.prices["AAA"]
    share = value / (value + 5_000)
    world.targets(weights={"AAA": str(share)})
    world.run(5)
    world.state.standing["main"] = replace(
        world.state.standing["main"], targets={"AAA": share - Decimal("0.05")}
    )
    assert answer(world).level is DriftLevel.CALM


@pytest.mark.parametrize("snapshot_at", [0, 3])
def test_a_restart_remembers_what_stands_and_what_was_told(snapshot_at: int) -> None:
    world = standing_world()
    moved(world, "1.20")
    look(world)
    before = world.state.standing, world.state.seen
    world.restart(snapshot_at=snapshot_at)
    world.run(1)
    assert (world.state.standing, world.state.seen) == before
    look(world)
    assert checks(world)[-1].level is DriftLevel.WARNING
    assert told(world) == [], "the successor tells nobody again"


def test_a_look_that_was_not_answered_is_asked_for_again_and_answered_alike() -> None:
    """The journal may end behind a CheckDue: what would have followed comes from the next one."""
    world = standing_world(AUTO)
    moved(world, "2.5")
    engine = world.game.engine
    due = CheckDue(world.game.now, "main", DAY, world.game.now + timedelta(hours=1))
    first = engine.monitor.check(due)
    engine.replay(due)
    assert engine.monitor.check(due) == first


def test_a_long_account_name_still_makes_a_short_id() -> None:
    names = ["a" * 64, "a" * 63 + "b"]
    ids = [request_id_of(name, DAY) for name in names]
    assert len(set(ids)) == 2
    assert all(len(one) <= 64 for one in ids)
    assert request_id_of("main", DAY) == f"drift:main:{DAY}"


def test_prices_that_change_nothing_are_no_look() -> None:
    world = standing_world()
    world.game.feed(PricesUpdated(world.game.now, world.game.now, dict(world.prices)))
    world.run(0)
    assert checks(world) == []


THINGS = st.sampled_from(
    ["up", "down", "look", "next day", "halt", "resume", "approve", "cancel", "crash", "wait"]
)


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(THINGS, max_size=14), st.booleans())
def test_whatever_happens_a_day_makes_one_request_and_nothing_is_told_twice(
    things: list[str], is_automatic: bool
) -> None:
    """Every step is also compared with a replay (`world.Watch`), and the book with the venue's at the end."""
    world = standing_world(Monitoring(auto_execute=is_automatic))
    days = iter(["2024-03-13", "2024-03-14", *[f"2024-04-{one:02d}" for one in range(1, 15)]])
    day = DAY
    for thing in things:
        day = next(days) if thing == "next day" else day
        do(world, thing, day)
    world.run(60)
    made = [event for event in world.of_kind(TargetsSubmitted) if event.request_id != "R1"]  # type: ignore[union-attr]
    ids = [event.request_id for event in made]  # type: ignore[union-attr]
    assert all(one.startswith("drift:main:2024-") for one in ids)
    assert len(ids) == len(set(ids)), "one session, one request"
    news = [(one.session, one.level, one.request_id) for one in checks(world) if one.is_news]
    assert len(news) == len(set(news))
    assert len(told(world)) <= len(news)
    assert world.state.standing["main"].request_id == "R1"
    world.agrees()
    world.is_deterministic()


def do(world: World, thing: str, day: str) -> None:
    now, request_id = world.game.now, f"drift:main:{day}"
    match thing:
        case "up" | "down":
            moved(world, "1.6" if thing == "up" else "0.7")
        case "look":
            world.price()
            look(world, day=day)
        case "halt":
            world.game.feed(HaltRequested(now, "main", "lunch", "anna"))
        case "resume":
            world.game.feed(ResumeRequested(now, "main", "anna"))
        case "approve":
            world.game.feed(ApprovalGiven(now, request_id, "anna"))
        case "cancel":
            world.game.feed(CancelRequested(now, request_id, "anna"))
        case "crash":
            world.restart()
        case _:
            world.run(20)
    world.run(1)
