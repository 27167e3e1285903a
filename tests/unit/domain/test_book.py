"""The book: a fill moves cash, position, lots and gains, and no money comes or goes otherwise."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.book import Account, Book, Fill
from gateway.domain.lots import Lot, LotMethod
from gateway.domain.order import Side

DAY = date(2024, 1, 10)
TINY = Decimal("1e-18")


def book(cash: int = 10_000, method: LotMethod = LotMethod.FIFO) -> Book:
    return Book({"main": Account("main", Decimal(cash), method)})


def fill(side: Side, qty: int | str, px: int | str, fee: str = "0", number: int = 1, days: int = 0) -> Fill:
    return Fill(
        "main", "AAA", side, Decimal(qty), Decimal(px), Decimal(fee), f"E{number}", DAY + timedelta(days=days)
    )


def test_a_purchase_opens_a_lot_that_carries_its_commission() -> None:
    one = book()
    assert one.apply(fill(Side.BUY, 3, 100, "1.00")) == []
    account = one.accounts["main"]
    assert account.cash == Decimal(10_000) - 300 - 1
    assert account.positions == {"AAA": 3}
    assert account.lots == {"AAA": [Lot("main:E1", "AAA", DAY, Decimal(3), Decimal("301.00"))]}
    assert account.commissions == 1
    one.check()


def test_a_sale_realises_proceeds_less_commission() -> None:
    one = book()
    one.apply(fill(Side.BUY, 10, 100, "1.00"))
    (gain,) = one.apply(fill(Side.SELL, 4, 110, "0.50", 2, 20))
    assert (gain.qty, gain.proceeds, gain.cost) == (4, Decimal("439.50"), Decimal("400.40"))
    assert gain.gain == Decimal("39.10")
    assert (gain.acquired, gain.sold, gain.lot_id) == (DAY, DAY + timedelta(days=20), "main:E1")
    assert one.position("main", "AAA") == 6
    assert one.position("main", "BBB") == 0
    assert one.realised == [gain]


def test_a_sale_over_several_lots_shares_its_commission() -> None:
    one = book()
    for number in (1, 2, 3):
        one.apply(fill(Side.BUY, 1, 100, number=number))
    gains = one.apply(fill(Side.SELL, 3, 110, "1.00", 4))
    assert abs(sum(gain.proceeds for gain in gains) - 329) < TINY
    assert all(abs(gain.proceeds - Decimal(329) / 3) < TINY for gain in gains)


def test_a_flat_position_leaves_nothing_behind() -> None:
    one = book()
    one.apply(fill(Side.BUY, 3, 100))
    one.apply(fill(Side.SELL, 3, 100, number=2))
    account = one.accounts["main"]
    assert (account.positions, account.lots, account.cash) == ({}, {}, 10_000)
    one.check()


def test_a_short_sale_gains_when_it_falls() -> None:
    one = book()
    one.apply(fill(Side.SELL_SHORT, 10, 100, "1.00"))
    assert one.position("main", "AAA") == -10
    assert one.accounts["main"].lots["AAA"][0].cost == -999
    (gain,) = one.apply(fill(Side.BUY, 10, 90, "2.00", 2))
    assert (gain.proceeds, gain.cost, gain.gain) == (999, 902, 97)
    assert one.accounts["main"].cash == 10_097


def test_a_fill_through_zero_closes_first_and_opens_the_rest() -> None:
    one = book()
    one.apply(fill(Side.BUY, 4, 100))
    (gain,) = one.apply(fill(Side.SELL, 10, 110, "1.00", 2))
    assert (gain.qty, gain.proceeds) == (4, Decimal("439.6"))
    (left,) = one.accounts["main"].lots["AAA"]
    assert (left.qty, left.cost) == (-6, Decimal("-659.4"))
    one.check()


def test_a_position_that_is_not_its_lots_is_found_out() -> None:
    one = book()
    one.apply(fill(Side.BUY, 4, 100))
    one.accounts["main"].positions["AAA"] += 1
    with pytest.raises(AssertionError, match="main"):
        one.check()


FILLS = st.lists(
    st.tuples(
        st.sampled_from([Side.BUY, Side.SELL]), st.decimals("0.001", 100, places=3),
        st.decimals("0.01", 500, places=2), st.decimals(0, 5, places=2),
    ),
    max_size=20,
)  # fmt: skip


@given(FILLS, st.sampled_from(LotMethod))
def test_no_money_comes_or_goes_but_through_fills(
    rows: list[tuple[Side, Decimal, Decimal, Decimal]], method: LotMethod
) -> None:
    one = book(method=method)
    account = one.accounts["main"]
    cash, position, fees = Decimal(10_000), Decimal(0), Decimal(0)
    for number, (side, qty, px, fee) in enumerate(rows):
        gains = one.apply(fill(side, str(qty), str(px), str(fee), number, number))
        cash -= side.sign * qty * px + fee
        position += side.sign * qty
        fees += fee
        one.check()
        assert account.cash == cash
        assert account.commissions == fees
        assert one.position("main", "AAA") == position
        lots = account.lots.get("AAA", [])
        assert len({lot.qty > 0 for lot in lots}) <= 1, "long and short lots at once"
        assert all(lot.cost * lot.qty > 0 or abs(lot.cost) <= 5 for lot in lots)
        cost_left = sum((lot.cost for lot in lots), Decimal(0))
        realised = sum((gain.gain for gain in one.realised), Decimal(0))
        assert abs(account.cash + cost_left - (10_000 + realised)) < TINY, "cash + cost = start + gains"
        assert gains == one.realised[len(one.realised) - len(gains) :]
    value = position * 100
    unrealised = value - sum((lot.cost for lot in account.lots.get("AAA", [])), Decimal(0))
    assert abs(account.cash + value - (10_000 + sum(gain.gain for gain in one.realised) + unrealised)) < TINY


def test_the_lot_method_of_the_account_decides() -> None:
    costs = {}
    for method in LotMethod:
        one = book(method=method)
        for number, px in enumerate((100, 300, 200)):
            one.apply(fill(Side.BUY, 1, px, number=number, days=number))
        costs[method] = one.apply(fill(Side.SELL, 1, 250, number=9, days=9))[0].cost
    dearest = {LotMethod.HIFO: 300, LotMethod.MIN_TAX: 300}
    assert costs == {LotMethod.FIFO: 100, LotMethod.LIFO: 200, **dearest}


# ------------------------------------------------------------------------------------- corporate actions


def two_lots() -> Book:
    book = Book({"main": Account("main", Decimal(0))})
    for number, (qty, px) in enumerate(((10, 30), (30, 20))):
        on = date(2023, 3, 1 + number)
        book.apply(
            Fill("main", "X", Side.BUY, Decimal(qty), Decimal(px), Decimal(0), f"e{number}", on, f"o{number}")
        )
    return book


def test_a_return_of_capital_lowers_the_cost_of_every_share_alike() -> None:
    book = two_lots()
    assert book.give_back("main", "X", Decimal(80), date(2023, 5, 1)) == ""
    assert [lot.cost for lot in book.accounts["main"].lots["X"]] == [280, 540]
    assert [one.amount for one in book.lowered] == [20, 60]
    assert not book.amend("main", "o0:e0", None), (
        "its cost is another one now: it can no longer be taken back"
    )
    book.check()


@pytest.mark.parametrize(
    ("symbol", "amount", "why"),
    [("X", 900, "is not within what each lot of X"), ("X", 0, "is not within"), ("Y", 5, "main holds no Y")],
)
def test_what_no_cost_can_bear_is_refused_whole(symbol: str, amount: int, why: str) -> None:
    book = two_lots()
    assert why in book.give_back("main", symbol, Decimal(amount), date(2023, 5, 1))
    assert sum(lot.cost for lot in book.accounts["main"].lots["X"]) == 900
    assert not book.lowered


def test_a_spin_off_brings_lots_of_the_same_dates_and_takes_its_share_of_the_cost() -> None:
    book = two_lots()
    assert book.spin_off("main", "X", "NEW", Decimal(10), Decimal("0.2"), date(2023, 5, 1)) == ""
    held = book.accounts["main"]
    assert [(lot.qty, lot.cost, lot.acquired.day) for lot in held.lots["NEW"]] == [
        (Decimal("2.5"), 60, 1), (Decimal("7.5"), 120, 2),
    ]  # fmt: skip
    assert [lot.cost for lot in held.lots["X"]] == [240, 480]
    assert held.positions == {"X": 40, "NEW": 10}
    book.check()


@pytest.mark.parametrize(
    ("symbol", "new", "qty", "fraction"),
    [("X", "NEW", 0, "0.2"), ("X", "NEW", 1, "1.1"), ("X", "X", 1, "0.2"), ("Y", "NEW", 1, "0.2")],
)
def test_what_is_no_spin_off_is_refused(symbol: str, new: str, qty: int, fraction: str) -> None:
    book = two_lots()
    assert book.spin_off("main", symbol, new, Decimal(qty), Decimal(fraction), date(2023, 5, 1))
    assert book.accounts["main"].positions == {"X": 40}


def test_what_is_sold_short_has_no_corporate_actions() -> None:
    book = Book({"main": Account("main", Decimal(0))})
    book.apply(
        Fill("main", "X", Side.SELL_SHORT, Decimal(5), Decimal(9), Decimal(0), "e", date(2023, 3, 1), "o")
    )
    assert "sold it short" in book.give_back("main", "X", Decimal(1), date(2023, 5, 1))
    assert "sold it short" in book.spin_off("main", "X", "N", Decimal(1), Decimal("0.1"), date(2023, 5, 1))
    book.apply(Fill("main", "Z", Side.BUY, Decimal(5), Decimal(9), Decimal(0), "f", date(2023, 3, 1), "p"))
    assert book.spin_off("main", "Z", "X", Decimal(1), Decimal("0.1"), date(2023, 5, 1)), "X is sold short"
