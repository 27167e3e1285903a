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
