"""Calendar: the fixed days of a calendar policy, moved to the trading day before when closed.

Rules of this room:
1. A fixed day that is no trading day moves to the preceding one, so a month's rebalance never slips into
   the next month (the rule of Alpaca's Rebalancing API, too).
2. Weekends are closed; other closed days are handed in.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta

from gateway.domain.settings import Period

WEEK = 7
MONTHS = {Period.MONTHLY: 1, Period.QUARTERLY: 3, Period.ANNUAL: 12}
FRIDAY = 5


def is_trading_day(day: date, closed: frozenset[date]) -> bool:
    """Say whether the market trades on a day."""
    return day.isoweekday() <= FRIDAY and day not in closed


def trading_day_before(day: date, closed: frozenset[date]) -> date:
    """Return `day` itself, or the last trading day before it."""
    while not is_trading_day(day, closed):
        day -= timedelta(days=1)
    return day


def due_since(today: date, period: Period, on: int, closed: frozenset[date] = frozenset()) -> date:
    """Return the last fixed day that is not after today: a rebalance before it is out of date.

    `on` counts days from 1 in the period, 0 is its last day; a day past the end of a month is its last.
    The fixed day of a later period counts as soon as the trading day it moves to has come; that of the
    period before is always past.
    """
    later = [_fixed(today, period, on, ahead) for ahead in (1, 0, -1)]
    moved = [trading_day_before(day, closed) for day in later]
    return next(day for day in moved if day <= today)


def _fixed(today: date, period: Period, on: int, ahead: int) -> date:
    """Return the nominal day of the period that is `ahead` of today's."""
    if period is Period.DAILY:
        return today + timedelta(days=ahead)
    if period is Period.WEEKLY:
        monday = today - timedelta(days=today.weekday()) + timedelta(days=WEEK * ahead)
        return monday + timedelta(days=(on or WEEK) - 1)
    length = MONTHS[period]
    first = (today.year * 12 + today.month - 1) // length * length + length * ahead
    if not on:
        first += length - 1
    year, month = divmod(first, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(on or last, last))
