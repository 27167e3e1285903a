"""The calendar policy's fixed days, and the trading day before a closed one."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from decision_world import calm
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.fixed_days import due_since, is_trading_day, trading_day_before
from gateway.domain.settings import Period


def on(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("today", "period", "day", "due"),
    [
        ("2024-03-12", Period.DAILY, 0, "2024-03-12"),
        ("2024-03-10", Period.DAILY, 0, "2024-03-08"),
        ("2024-03-12", Period.WEEKLY, 0, "2024-03-08"),  # Sunday moves to Friday
        ("2024-03-15", Period.WEEKLY, 0, "2024-03-15"),  # and this Friday is next Sunday's
        ("2024-03-12", Period.WEEKLY, 1, "2024-03-11"),
        ("2024-03-12", Period.WEEKLY, 3, "2024-03-06"),
        ("2024-03-12", Period.WEEKLY, 6, "2024-03-08"),
        ("2024-03-12", Period.MONTHLY, 0, "2024-02-29"),
        ("2024-03-29", Period.MONTHLY, 0, "2024-03-29"),  # the 31st is a Sunday
        ("2024-03-28", Period.MONTHLY, 0, "2024-02-29"),
        ("2024-03-12", Period.MONTHLY, 15, "2024-02-15"),
        ("2024-03-15", Period.MONTHLY, 15, "2024-03-15"),
        ("2024-02-29", Period.MONTHLY, 31, "2024-02-29"),
        ("2023-12-31", Period.MONTHLY, 1, "2023-12-01"),
        ("2024-06-28", Period.MONTHLY, 30, "2024-06-28"),
        ("2023-12-29", Period.MONTHLY, 1, "2023-12-01"),
        ("2024-03-12", Period.QUARTERLY, 0, "2023-12-29"),
        ("2024-03-29", Period.QUARTERLY, 0, "2024-03-29"),
        ("2024-03-12", Period.QUARTERLY, 2, "2024-01-02"),
        ("2024-12-31", Period.QUARTERLY, 1, "2024-10-01"),
        ("2024-03-12", Period.ANNUAL, 0, "2023-12-29"),
        ("2024-03-12", Period.ANNUAL, 15, "2024-01-15"),
        ("2024-12-31", Period.ANNUAL, 0, "2024-12-31"),
    ],
)
def test_the_last_fixed_day(today: str, period: Period, day: int, due: str) -> None:
    assert due_since(on(today), period, day) == on(due)


def test_a_first_of_the_month_on_a_sunday_is_the_friday_before_it() -> None:
    """1 September 2024 is a Sunday: its rebalance is due on 30 August."""
    assert due_since(on("2024-08-30"), Period.MONTHLY, 1) == on("2024-08-30")
    assert due_since(on("2024-08-29"), Period.MONTHLY, 1) == on("2024-08-01")


def test_closed_days_move_it_further_back() -> None:
    christmas = frozenset({on("2024-12-25"), on("2024-12-24")})
    assert trading_day_before(on("2024-12-25"), christmas) == on("2024-12-23")
    assert not is_trading_day(on("2024-12-25"), christmas)
    assert due_since(on("2024-12-26"), Period.MONTHLY, 25, christmas) == on("2024-12-23")
    long_weekend = frozenset(on("2024-03-25") + timedelta(days=one) for one in range(7))
    assert due_since(on("2024-03-31"), Period.MONTHLY, 0, long_weekend) == on("2024-03-22")


def test_a_market_closed_for_longer_than_a_period_still_has_a_last_day() -> None:
    closed = frozenset(on("2024-03-12") - timedelta(days=one) for one in range(-3, 10))
    assert due_since(on("2024-03-12"), Period.DAILY, 0, closed) == on("2024-03-01")


@calm
@given(
    st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.sampled_from(list(Period)), st.integers(0, 31),
    st.sets(st.dates(date(2000, 1, 1), date(2040, 1, 1)), max_size=5),
)  # fmt: skip
def test_a_fixed_day_is_a_trading_day_not_ahead_and_never_goes_back(
    today: date, period: Period, day: int, closed: set[date]
) -> None:
    if period is Period.WEEKLY:
        day %= 8
    shut = frozenset(closed)
    due = due_since(today, period, day, shut)
    assert due <= today
    assert is_trading_day(due, shut)
    assert due_since(today + timedelta(days=1), period, day, shut) >= due
    assert due_since(due, period, day, shut) == due
