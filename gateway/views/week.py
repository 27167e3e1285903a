"""One week of a household, read from its journal: where it stood, what it did, what stopped it.

Rules of this room:
1. The journal is replayed from its first event to the week's end by the order manager's own `apply`, so a
   past week is shown as it was then, and nothing is counted twice.
2. A week runs from Monday 00:00 to Monday 00:00 in the household's time zone.
3. Between events nothing changes: a point of a curve is taken when an hour with events is over, and the first
   when an account's value can first be known.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from gateway.decision.drift import nav_of, survey
from gateway.decision.market import UNKNOWN, Market
from gateway.decision.view import View
from gateway.domain.order import Order, OrderSpec
from gateway.domain.settings import Settings
from gateway.domain.standing import Standing
from gateway.errors import ConfigError
from gateway.events import (
    AccountOpened,
    DriftChecked,
    Event,
    PricesUpdated,
    RequestDecided,
    TargetsSubmitted,
)
from gateway.oms.manager import apply
from gateway.oms.state import State
from gateway.outlook import Outlook

_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Week:
    """Name one ISO week and the instants (UTC) between which it lies."""

    name: str
    monday: date
    begins: datetime
    ends: datetime

    @property
    def sunday(self) -> date:
        """Return its last day."""
        return self.monday + timedelta(days=6)


def week_of(name: str, time_zone: str) -> Week:
    """Return the week called `name`, like 2026-W48; raises `ConfigError` when there is none."""
    match = _WEEK.fullmatch(name)
    try:
        monday = date.fromisocalendar(int(match[1]), int(match[2]), 1) if match else None
    except ValueError:
        monday = None
    if monday is None:
        raise ConfigError(f"--week: {name[:20]!r} is no week; write one like 2026-W48")
    zone = ZoneInfo(time_zone)
    begins, ends = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (monday, monday + timedelta(days=7))
    )
    return Week(name, monday, begins, ends)


def week_at(at: datetime, time_zone: str) -> Week:
    """Return the week an instant lies in."""
    year, week, _ = at.astimezone(ZoneInfo(time_zone)).isocalendar()
    return week_of(f"{year}-W{week:02d}", time_zone)


@dataclass(frozen=True, slots=True)
class Point:
    """Hold an account's value, and its drift from what stood then (None without standing targets)."""

    at: datetime
    nav: Decimal
    drift: float | None
    max_drift: float | None


@dataclass(frozen=True, slots=True)
class Trade:
    """Hold one execution that stands; `decided_px` is the price it was decided at, None when not known."""

    at: datetime
    exec_id: str
    order: OrderSpec
    qty: Decimal
    px: Decimal
    commission: Decimal
    decided_px: Decimal | None


@dataclass(slots=True)
class Halt:
    """Hold one halt: `until` is None while it lasts; `account` is empty for all."""

    account: str
    reason: str
    since: datetime
    until: datetime | None = None


@dataclass(slots=True)
class Past:
    """Gather what the journal tells of one week; `state` is as it was at its end, or is now."""

    week: Week
    state: State = field(default_factory=State)
    events: int = 0
    is_over: bool = False
    opening: dict[str, Point] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=dict)
    checks: list[DriftChecked] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    decisions: list[RequestDecided] = field(default_factory=list)
    decided_px: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    filled_at: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def trades(self, account: str) -> list[Trade]:
        """Return the week's executions of an account that still stand, in order."""
        found = []
        for (cl_ord_id, exec_id), at in self.filled_at.items():
            order = self.state.orders.get(cl_ord_id)
            if order is None or order.spec.account != account or exec_id not in order.executions:
                continue
            one, spec = order.executions[exec_id], order.spec
            decided = self.decided_px.get((spec.request_id, spec.symbol))
            found.append(Trade(at, exec_id, spec, one.qty, one.px, one.commission, decided))
        return sorted(found, key=lambda trade: (trade.at, trade.order.cl_ord_id, trade.exec_id))


async def gather(journal: AsyncIterable[tuple[int, Event]], settings: Settings, week: Week) -> Past:
    """Replay the journal to the week's end."""
    past = Past(week)
    hour: datetime | None = None
    async for _, event in journal:
        if event.at >= week.ends:
            past.is_over = True
            break
        this_hour = event.at.replace(minute=0, second=0, microsecond=0)
        if past.state.now is not None and this_hour != hour and event.at >= week.begins:
            _sample(past, settings)
        hour = this_hour
        _take(past, event, settings)
        if isinstance(event, AccountOpened | PricesUpdated) and event.at >= week.begins:
            _sample(past, settings, only_new=True)
    if past.state.now is not None:
        _sample(past, settings)
    past.halts = [halt for halt in past.halts if halt.until is None or halt.until >= week.begins]
    return past


def _take(past: Past, event: Event, settings: Settings) -> None:
    """Apply one event and note what the week's story needs of it."""
    state = past.state
    before = _halted(state)
    applied = apply(state, event, settings)
    past.events += 1
    if before != _halted(state):
        _note_halts(past, before, event.at)
    if isinstance(event, RequestDecided):
        for item in event.approved:
            past.decided_px[event.request_id, item.proposal.symbol] = item.proposal.price
    if event.at < past.week.begins:
        return
    if isinstance(event, RequestDecided):
        past.decisions.append(event)
    elif isinstance(event, DriftChecked):
        past.checks.append(event)
    if applied.order is not None and applied.step is not None and applied.step.fill_qty:
        past.filled_at[_newest(applied.order)] = event.at


def _newest(order: Order) -> tuple[str, str]:
    """Name the execution that was booked last."""
    return order.spec.cl_ord_id, next(reversed(order.executions), "")


def _halted(state: State) -> list[tuple[str, str]]:
    """Return every account that is halted, once for each reason."""
    return [(account, reason) for account in state.halts for reason in state.halt_reasons(account)]


def _note_halts(past: Past, before: list[tuple[str, str]], at: datetime) -> None:
    """Note which halts began and which ended."""
    now = _halted(past.state)
    for halt in past.halts:
        if halt.until is None and (halt.account, halt.reason) not in now:
            halt.until = at
    past.halts += [Halt(account, reason, at) for account, reason in now if (account, reason) not in before]


def _sample(past: Past, settings: Settings, *, only_new: bool = False) -> None:
    """Take a point of every account whose value can be known, or its opening before the week.

    With `only_new` only of those that have none yet: their first point is their opening.
    """
    state = past.state
    assert state.now is not None  # noqa: S101 - the callers ask
    for name in state.book.accounts:
        if only_new and (name in past.opening or name in past.curves):
            continue
        point = _point(state, settings, name)
        if point is None:
            continue
        if state.now < past.week.begins:
            past.opening[name] = point
        else:
            past.curves.setdefault(name, []).append(point)


def _point(state: State, settings: Settings, account: str) -> Point | None:
    """Return what an account is worth and how far off it is; None while a holding has no price."""
    held = state.book.accounts[account]
    prices = last_prices(state, settings, account)
    if state.now is None or not held.positions.keys() <= prices.keys():
        return None
    standing = state.standing.get(account)
    view = None if standing is None else view_of(state, settings, account, standing)
    if view is None:
        return Point(state.now, nav_of(held, prices), None, None)
    found = survey(view)
    return Point(state.now, found.nav, found.drift, found.max_drift)


def last_prices(state: State, settings: Settings, account: str) -> dict[str, Decimal]:
    """Return every price as it was last known, however old, in the account's currency where it is known."""
    known = settings.accounts.get(account)
    if known is None:
        return {symbol: price.px for symbol, price in state.prices.items()}
    return Outlook(settings, state).last_prices(known)


def view_of(
    state: State, settings: Settings, account: str, standing: Standing, market: Market = UNKNOWN
) -> View | None:
    """Return what the account's policy may look at, at the last known prices, with the standing targets.

    None when a holding has no price or the configuration no longer knows a name.
    """
    held = state.book.accounts[account].positions
    known = settings.instruments.keys()
    if state.now is None or account not in settings.accounts or not {*held, *standing.targets} <= known:
        return None
    prices = last_prices(state, settings, account)
    if not held.keys() <= prices.keys():
        return None
    spec = TargetsSubmitted(
        at=state.now, request_id="report", account=account, targets=standing.targets, as_of=state.now,
        expires_at=state.now, others=standing.others,
    )  # fmt: skip
    return Outlook(settings, state, market).view_of(spec, prices)
