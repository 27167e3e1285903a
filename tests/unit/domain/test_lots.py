"""Tax lots: which are relieved, at what cost, and when a gain is long-term."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.lots import (
    Lot,
    LotMethod,
    RealisedGain,
    Relief,
    Sale,
    TaxRates,
    is_long_term,
    ordered,
    relieve,
)

DAY = date(2024, 1, 10)


def lot(name: str, qty: int | str, cost: int | str, days: int = 0) -> Lot:
    return Lot(name, "AAA", DAY + timedelta(days=days), Decimal(qty), Decimal(cost))


THREE = [lot("mid", 10, 300, 5), lot("old", 10, 100, 0), lot("new", 10, 200, 9)]


@pytest.mark.parametrize(
    ("method", "names"),
    [
        (LotMethod.FIFO, ["old", "mid", "new"]),
        (LotMethod.LIFO, ["new", "mid", "old"]),
        (LotMethod.HIFO, ["mid", "new", "old"]),
    ],
)
def test_lots_go_in_the_methods_order(method: LotMethod, names: list[str]) -> None:
    assert [one.lot_id for one in ordered(THREE, method)] == names
    assert [one.lot_id for one in relieve(THREE, Decimal(30), method)] == names
    assert [one.lot_id for one in relieve(THREE, Decimal(11), method)] == names[:2]


def test_highest_cost_is_per_unit_and_ties_fall_to_the_older() -> None:
    lots = [lot("big", 100, 1000), lot("dear", 1, 11, 1), lot("same", 10, 100, -1)]
    assert [one.lot_id for one in ordered(lots, LotMethod.HIFO)] == ["dear", "same", "big"]
    assert lots[0].unit_cost == 10


def test_lots_of_one_day_go_by_name() -> None:
    lots = [lot("b", 1, 1), lot("a", 1, 1)]
    assert [one.lot_id for one in ordered(lots, LotMethod.FIFO)] == ["a", "b"]


def test_a_partial_relief_takes_cost_in_proportion() -> None:
    (piece,) = relieve([lot("a", 8, 100)], Decimal(2), LotMethod.FIFO)
    assert (piece.qty, piece.cost, piece.acquired) == (2, 25, DAY)


def test_a_lot_relieved_whole_keeps_its_cost_to_the_last_digit_and_its_order() -> None:
    cost = Decimal("9.876543210987654321098765432")
    (piece,) = relieve([Lot("a", "AAA", DAY, Decimal(-3), -cost, "order")], Decimal(3), LotMethod.FIFO)
    assert piece == Relief("a", DAY, Decimal(-3), -cost, "order")


RATES = TaxRates(Decimal("0.4"), Decimal("0.2"))


@pytest.mark.parametrize(
    ("price", "names"),
    [
        # unit costs: old 10 and mid 30 long-term, new 25 and dear 40 short-term
        (50, ["mid", "dear", "old", "new"]),  # taxes 4, 4 (the older first), 8, 10
        (20, ["dear", "mid", "new", "old"]),  # taxes -8, -2, -2 (the older first), 2
        (35, ["dear", "mid", "new", "old"]),  # taxes -2, 1, 4, 5
        (45, ["dear", "mid", "old", "new"]),  # taxes 2, 3, 7, 8
    ],
)
def test_least_tax_first_by_the_rate_of_each_term(price: int, names: list[str]) -> None:
    lots = [
        lot("new", 2, 50, 700), lot("mid", 2, 60, 5), lot("dear", 2, 80, 710), lot("old", 2, 20),
    ]  # fmt: skip
    sale = Sale(DAY + timedelta(days=800), Decimal(price), RATES)
    assert [one.lot_id for one in ordered(lots, LotMethod.MIN_TAX, sale)] == names
    assert [one.lot_id for one in relieve(lots, Decimal(8), LotMethod.MIN_TAX, sale)] == names


def test_least_tax_without_a_sale_is_highest_cost() -> None:
    assert ordered(THREE, LotMethod.MIN_TAX) == ordered(THREE, LotMethod.HIFO)
    sale = Sale(DAY, Decimal(1), RATES)
    assert ordered(THREE, LotMethod.HIFO, sale) == ordered(THREE, LotMethod.HIFO)


def test_short_lots_are_all_short_term_whatever_their_age() -> None:
    """Brought in 30 and 20 a unit, closed at 25: 5 gained on one, 5 lost on the other, at 40 %."""
    lots = [lot("gains", -2, -60), lot("loses", -2, -40, 900)]
    sale = Sale(DAY + timedelta(days=901), Decimal(25), RATES)
    assert [one.lot_id for one in ordered(lots, LotMethod.MIN_TAX, sale)] == ["loses", "gains"]
    old = [lot("old", -1, -30), lot("new", -1, "-29.5", 899)]
    assert [one.lot_id for one in ordered(old, LotMethod.MIN_TAX, sale)] == ["new", "old"]
    free = Sale(sale.on, sale.price, TaxRates(Decimal("0.4"), Decimal(0)))
    assert [one.lot_id for one in ordered(old, LotMethod.MIN_TAX, free)] == ["new", "old"]


def test_a_rate_belongs_to_a_term() -> None:
    assert (RATES.of(is_long=True), RATES.of(is_long=False)) == (Decimal("0.2"), Decimal("0.4"))


def test_what_the_lots_cannot_cover_is_not_in_the_answer() -> None:
    (piece,) = relieve([lot("a", 8, 100)], Decimal(20), LotMethod.FIFO)
    assert (piece.qty, piece.cost) == (8, 100)
    assert relieve([], Decimal(1), LotMethod.FIFO) == []
    assert relieve(THREE, Decimal(0), LotMethod.FIFO) == []


def test_short_lots_keep_their_signs() -> None:
    whole, part = relieve([lot("a", -4, -40), lot("b", -4, -80, 1)], Decimal(5), LotMethod.FIFO)
    assert (whole.qty, whole.cost) == (-4, -40)
    assert (part.qty, part.cost) == (-1, -20)


LOTS = st.lists(
    st.tuples(
        st.decimals("0.0001", 1000, places=4), st.decimals("0.01", 100_000, places=2), st.integers(0, 900)
    ),
    max_size=8,
).map(
    lambda rows: [lot(f"L{place}", str(qty), str(cost), days) for place, (qty, cost, days) in enumerate(rows)]
)


@given(LOTS, st.decimals("0.0001", 3000, places=4), st.sampled_from(LotMethod))
def test_relief_takes_what_was_asked_for_from_what_is_there(
    lots: list[Lot], qty: Decimal, method: LotMethod
) -> None:
    held = sum((one.qty for one in lots), Decimal(0))
    taken = relieve(lots, qty, method)
    assert sum((one.qty for one in taken), Decimal(0)) == min(qty, held)
    by_name = {one.lot_id: one for one in lots}
    for place, piece in enumerate(taken):
        whole = by_name[piece.lot_id]
        assert 0 < piece.qty <= whole.qty
        assert piece.qty == whole.qty or place == len(taken) - 1, "only the last lot is cut"
        assert abs(piece.cost - whole.cost * piece.qty / whole.qty) < Decimal("1e-15")
    assert [one.lot_id for one in taken] == [one.lot_id for one in ordered(lots, method)][: len(taken)]


# ---------------------------------------------------------------------------------- long and short term


@pytest.mark.parametrize(
    ("acquired", "last_short_day"),
    [
        ("2023-02-05", "2024-02-05"),  # the same date a year on is still short-term
        ("2023-02-28", "2024-02-29"),  # counted from 1 March
        ("2024-02-28", "2025-02-28"),  # counted from 29 February, which 2025 has not
        ("2024-02-29", "2025-02-28"),
        ("2023-12-31", "2024-12-31"),
        ("2023-03-01", "2024-03-01"),
    ],
)
def test_the_year_ends_the_day_after_the_anniversary(acquired: str, last_short_day: str) -> None:
    bought, edge = date.fromisoformat(acquired), date.fromisoformat(last_short_day)
    assert not is_long_term(bought, edge)
    assert is_long_term(bought, edge + timedelta(days=1))


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_a_year_is_never_shorter_than_366_days_nor_longer_than_367(bought: date) -> None:
    assert not is_long_term(bought, bought + timedelta(days=365))
    assert is_long_term(bought, bought + timedelta(days=367))


def test_a_gain_knows_its_term_and_its_size() -> None:
    sold = RealisedGain("main", "AAA", "L", Decimal(1), DAY, date(2025, 1, 11), Decimal(30), Decimal(20))
    assert sold.gain == 10
    assert sold.is_long_term
    early = RealisedGain("main", "AAA", "L", Decimal(1), DAY, date(2025, 1, 10), Decimal(10), Decimal(20))
    assert early.gain == -10
    assert not early.is_long_term
