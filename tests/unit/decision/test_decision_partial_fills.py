"""Partial fills: whatever part of what is let through has filled, no loss of a blocking account is washed."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from decision_world import FREE, account, calm, days, dec, household, lot, order, sold
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.view import OpenOrder, View
from gateway.decision.wash_sale import conflict, watch
from gateway.domain.book import Account, Book, Fill
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod, RealisedGain
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import AccountSettings, Decision, Execution, WashSales
from gateway.domain.tax.live import ledger_of

TWINS = [Instrument("IVV", identical_group="sp500"), Instrument("VOO", identical_group="sp500")]
PRICES = {"IVV": 90, "VOO": 90}
PLAIN = Execution(limit_offset_bps=dec(0))
ACCOUNTS = ("main", "wife", "ira")


def held(lots: Sequence[Lot], method: LotMethod = LotMethod.FIFO) -> View:
    return household(
        [account("main", 10_000, lots, lot_method=method), account("wife")], PRICES, instruments=TWINS,
        costs=FREE, execution=PLAIN,
    )  # fmt: skip


OLD, YOUNG = lot("IVV", 10, 100, bought=-500), lot("IVV", 5, 110, bought=-5)


# ----------------------------------------------------------------------------------- moments of one sale


@pytest.mark.parametrize(
    ("method", "is_conflict"),
    [
        (LotMethod.FIFO, True),  # the old lot goes first: what is left of the young one replaces it
        (LotMethod.LIFO, False),  # the young one is gone before the old one loses
        (LotMethod.HIFO, False),
        (LotMethod.MIN_TAX, True),  # which goes first depends on the price of each fill
    ],
)
def test_an_old_loss_is_sold_with_young_shares_only_after_them(method: LotMethod, is_conflict: bool) -> None:
    found = watch(held([OLD, YOUNG], method)).found("IVV", Side.SELL, dec(15))
    assert (found is not None) == is_conflict
    if found is not None:
        assert "if only a part of the order filled" in found.text
        assert (found.first_safe_day, found.tax, found.losers) == (days(26), 0.0, frozenset({"main"}))


def test_what_is_left_of_young_shares_replaces_whatever_goes_first() -> None:
    found = watch(held([OLD, YOUNG], LotMethod.LIFO)).found("IVV", Side.SELL, dec(4))
    assert found is None, "the rest of one purchase"
    mixed = watch(held([OLD, YOUNG])).found("IVV", Side.SELL, dec(12))
    assert mixed is not None
    assert "if only" not in mixed.text, "three of the young shares are left when all of it has filled"
    assert mixed.tax == pytest.approx((0.2 * 100 + 0.37 * 40) * 3 / 12)


def test_two_young_purchases_at_a_loss_wash_each_other_in_any_order() -> None:
    two = [YOUNG, lot("IVV", 5, 120, bought=-3)]
    for method in LotMethod:
        assert conflict(held(two, method), "IVV", Side.SELL, dec(10)) is not None
    one = [replace(lot, order_id="O") for lot in two]
    assert conflict(held(one), "IVV", Side.SELL, dec(7)) is None, "one order's fills are one purchase"


def test_a_young_gain_sold_first_does_no_harm() -> None:
    for method, is_conflict in ((LotMethod.FIFO, True), (LotMethod.LIFO, False)):
        view = held([OLD, lot("IVV", 5, 80, bought=-5)], method)
        assert (conflict(view, "IVV", Side.SELL, dec(15)) is not None) == is_conflict


def test_a_lot_of_the_same_name_elsewhere_is_another_lot() -> None:
    view = held([YOUNG])
    view.book.accounts["wife"] = account("wife", 0, [YOUNG])
    assert conflict(view, "IVV", Side.SELL, dec(5)) is not None
    twin = held([YOUNG])
    twin.book.accounts["main"].lots["VOO"] = [replace(YOUNG, symbol="VOO")]
    assert conflict(twin, "IVV", Side.SELL, dec(5)) is not None


def test_shares_sold_before_are_not_gone_with_the_rest_of_their_lot() -> None:
    before = replace(sold("IVV", -1, 5, bought=-5, qty=2), lot_id=YOUNG.lot_id)
    view = held([OLD, YOUNG], LotMethod.LIFO)
    view.book.realised.append(before)
    assert conflict(view, "IVV", Side.SELL, dec(15)) is not None


def test_a_cover_is_judged_at_every_moment_too() -> None:
    short = [lot("IVV", -10, 80, bought=-100), lot("IVV", -5, 80, bought=-3)]
    assert conflict(held(short), "IVV", Side.BUY, dec(15)) is not None
    assert conflict(held(short, LotMethod.LIFO), "IVV", Side.BUY, dec(15)) is None


# ------------------------------------------------------------------------------------------ open orders


def test_an_open_sale_is_valued_at_its_own_limit() -> None:
    view = held([lot("IVV", 10, 89)])
    working = OpenOrder("main", "IVV", Side.SELL, dec(5), dec("88.5"))
    assert conflict(replace(view, open_orders=[working]), "VOO", Side.BUY, dec(1)) is not None
    assert (
        conflict(replace(view, open_orders=[replace(working, px=dec(90))]), "VOO", Side.BUY, dec(1)) is None
    )
    unpriced = replace(view, open_orders=[replace(working, px=dec(90))], prices={"VOO": dec(90)})
    assert conflict(unpriced, "VOO", Side.BUY, dec(1)) is None, "its limit is known though no price is"


@pytest.mark.parametrize("side", [Side.SELL, Side.SELL_SHORT])
def test_an_open_sale_anywhere_washes_the_loss_of_a_cover(side: Side) -> None:
    view = held([lot("IVV", -10, 80, bought=-100)])
    found = watch(replace(view, open_orders=[order("VOO", side, 4, of="wife")])).found(
        "IVV", Side.BUY, dec(10)
    )
    assert found is not None
    assert "an open order in account wife sells 4 VOO" in found.text
    assert (found.first_safe_day, found.tax) == (None, pytest.approx(0.37 * 100 * 4 / 10))


def test_a_sale_washes_the_loss_of_a_cover_that_still_works() -> None:
    view = held([lot("IVV", 10, 50)])
    view.book.accounts["wife"] = account("wife", 0, [lot("VOO", -10, 80, bought=-100)])
    working = replace(view, open_orders=[order("VOO", Side.BUY, 5, of="wife")])
    found = watch(working).found("IVV", Side.SELL, dec(4))
    assert found is not None
    assert "closes a short sale of VOO at a loss" in found.text
    assert (found.tax, found.losers) == (pytest.approx(0.37 * 50 * 4 / 5), frozenset({"wife"}))
    gaining = replace(view, open_orders=[order("VOO", Side.BUY, 5, of="main")])
    assert conflict(gaining, "IVV", Side.SELL, dec(4)) is None


# ------------------------------------------------------------------------------- whose choice it is


def test_who_accepts_wash_sales_accepts_them_for_own_losses_only() -> None:
    view = replace(
        held([]),
        account=AccountSettings("main", "sim", costs=FREE, decision=Decision(wash_sale=WashSales.ACCEPT)),
        book=replace(held([]).book, realised=[sold("IVV", -5, -100, of="wife")]),
    )  # fmt: skip
    item = Proposal("VOO", Side.BUY, dec(4), dec(90))
    assert watch(view).marked(item).wash_cost > 0
    blocked = watch(replace(view, blocking=frozenset({"wife"}))).marked(item)
    assert blocked.wash_cost == 0
    assert blocked.wash_sale.endswith("account wife accepts no wash sale")


# ----------------------------------------------------------------------------------------- for all cases

UNITS = st.integers(1, 6)
COSTS = st.integers(80, 100)
OFTEN_MAIN = st.sampled_from(["main", "main", "main", "wife", "ira"])
OFTEN_IVV = st.sampled_from(["IVV", "IVV", "IVV", "VOO"])
AGES = st.sampled_from([-400, -32, -31, -30, -12, -3, -1, 0])


@st.composite
def books(draw: st.DrawFn) -> Book:
    accounts = {
        name: Account(
            name, dec(10_000), draw(st.sampled_from(LotMethod)), taxable=name != "ira"
        )
        for name in ACCOUNTS
    }  # fmt: skip
    for number in range(draw(st.integers(1, 6))):
        held_by, symbol = accounts[draw(OFTEN_MAIN)], draw(OFTEN_IVV)
        qty, on = dec(draw(UNITS)), draw(AGES)
        one = Lot(
            f"L{number}", symbol, days(on), qty, qty * draw(COSTS), draw(st.sampled_from(["", "P", "Q"]))
        )
        one = replace(one, order_id=f"{one.order_id}{on}{held_by.name}{symbol}" if one.order_id else "")
        held_by.lots.setdefault(symbol, []).append(one)
        held_by.positions[symbol] = held_by.positions.get(symbol, Decimal(0)) + qty
    gains: list[RealisedGain] = []
    for number in range(draw(st.integers(0, 2))):
        gain = sold(
            draw(st.sampled_from(["IVV", "VOO"])), draw(st.integers(-34, 0)), draw(st.integers(-30, 10)),
            of=draw(st.sampled_from(ACCOUNTS)), qty=draw(UNITS),
        )  # fmt: skip
        gains.append(replace(gain, lot_id=f"sold{number}", fill_id=f"sold{number}"))
    return Book(accounts, gains)


def washed(book: Book, instruments: Any) -> dict[tuple[str, str], Decimal]:
    """What of each account's losses is disallowed, by the ledger."""
    found: dict[tuple[str, str], Decimal] = {}
    for line in ledger_of(book, instruments).lines:
        found[line.account, line.symbol] = (
            found.get((line.account, line.symbol), Decimal(0)) + line.disallowed
        )
    return found


@calm
@given(books(), st.data())
def test_no_part_of_any_orders_let_through_washes_a_loss(book: Book, data: st.DataObject) -> None:
    """Orders come one after another, each sees those before it; then they fill in parts, in any order."""
    view = household([*book.accounts.values()], PRICES, instruments=TWINS, costs=FREE, execution=PLAIN)
    view = replace(view, book=book)
    working: list[OpenOrder] = []
    for _ in range(data.draw(st.integers(1, 5))):
        name, symbol = data.draw(OFTEN_MAIN), data.draw(OFTEN_IVV)
        side = data.draw(st.sampled_from([Side.SELL, Side.SELL, Side.BUY]))
        qty = dec(data.draw(UNITS))
        if side is Side.SELL:
            qty = book.position(name, symbol) - dec(data.draw(st.sampled_from([0, 0, 1, 2])))
        if qty <= 0 or any((one.account, one.symbol) == (name, symbol) for one in working):
            continue  # one order a name and account at a time, as the gate has it
        asked = replace(view, account=replace(view.account, name=name), open_orders=tuple(working))
        if conflict(asked, symbol, side, qty) is None:
            working.append(OpenOrder(name, symbol, side, qty, dec(90)))
    before = washed(book, view.instruments)
    filled = deepcopy(book)
    for number in range(data.draw(st.integers(0, 8)) if working else 0):
        at = data.draw(st.integers(0, len(working) - 1))
        one = working[at]
        size = min(one.leaves_qty, dec(data.draw(UNITS)))
        if size:
            better = one.side.sign * dec(data.draw(st.integers(0, 8)))
            working[at] = replace(one, leaves_qty=one.leaves_qty - size)
            filled.apply(
                Fill(
                    one.account, one.symbol, one.side, size, dec(90) - better, dec(0), f"f{number}", days(0),
                    f"order{at}",
                )
            )  # fmt: skip
        after = washed(filled, view.instruments)
        assert {key: after.get(key, Decimal(0)) - value for key, value in before.items()} == dict.fromkeys(
            before, 0
        )
        assert sum(after.values()) == sum(before.values())


@calm
@given(
    st.lists(st.tuples(UNITS, COSTS, AGES, st.booleans()), min_size=1, max_size=4),
    st.sampled_from(LotMethod),
    st.integers(1, 24),
)
def test_a_sale_is_refused_exactly_when_some_part_of_it_washes(
    bought: list[tuple[int, int, int, bool]], method: LotMethod, wanted: int
) -> None:
    """Unit by unit at its limit: what is refused washes at some moment, what is let through at none."""
    lots = [
        Lot(
            f"L{number}",
            "IVV",
            days(on),
            dec(qty),
            dec(qty * cost),
            f"one order of {on}" if is_shared else "",
        )
        for number, (qty, cost, on, is_shared) in enumerate(bought)
    ]
    view = held(lots, method)
    qty = min(dec(wanted), view.book.position("main", "IVV"))
    is_refused = conflict(view, "IVV", Side.SELL, qty) is not None
    filled, moments = deepcopy(view.book), []
    for number in range(int(qty)):
        filled.apply(Fill("main", "IVV", Side.SELL, dec(1), dec(90), dec(0), f"f{number}", days(0), "order"))
        moments.append(sum(washed(filled, view.instruments).values()) > 0)
    if method is LotMethod.MIN_TAX:
        assert is_refused or not any(moments)
    else:
        assert is_refused == any(moments)
