"""Which lots a trade closes at the reference price, by the account's own order and rates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from decision_world import account, days, dec, household, lot

from gateway.decision.view import View
from gateway.decision.window import Trade, closing, may_close, sold_short, will_close
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, LotMethod, TaxRates
from gateway.domain.order import Side

OLD, YOUNG = lot("IVV", 10, 100, name="old"), lot("IVV", 10, 96, bought=-60, name="young")


def world(prices: dict[str, int], *lots: Lot, **more: object) -> View:
    held = account("main", 10_000, lots, lot_method=LotMethod.MIN_TAX, **more)
    return household([held], prices, instruments=[Instrument("IVV"), Instrument("GLD")])


@pytest.mark.parametrize(
    ("prices", "rates", "first"),
    [
        ({"IVV": 90, "GLD": 90}, TaxRates(), "young"),  # 6 at 37 % saves more than 10 at 20 %
        ({"IVV": 90, "GLD": 90}, TaxRates(dec("0.10"), dec("0.20")), "old"),
        ({"GLD": 90}, TaxRates(), "old"),  # without a price the dearest goes first
    ],
)
def test_the_least_tax_goes_first_at_the_accounts_own_rates(
    prices: dict[str, int], rates: TaxRates, first: str
) -> None:
    view = world(prices, OLD, YOUNG, rates=rates)
    closed = will_close(view, view.book.accounts["main"], "IVV", dec(15), Side.SELL)
    assert [(one.lot_id, one.qty) for one in closed] == [
        (first, 10), ("young" if first == "old" else "old", 5)
    ]  # fmt: skip
    assert will_close(view, view.book.accounts["main"], "GLD", dec(1), Side.SELL) == []


def test_what_is_left_of_a_purchase_is_less_by_its_own_lots_only() -> None:
    view = world({"IVV": 90}, OLD, YOUNG)
    closed = will_close(view, view.book.accounts["main"], "IVV", dec(15), Side.SELL)
    sale = closing(view.book.accounts["main"], "IVV", closed, lambda _lot: True)
    assert sale.left([_trade()]) == 0  # all ten of its lot go
    assert sale.left([_trade(qty=dec(12))]) == 2
    for other in ({"account": "wife"}, {"symbol": "VOO"}, {"is_closed": True}, {"lot_id": "none"}):
        assert sale.left([_trade(**other)]) == 10, other


def _trade(**changes: Any) -> Trade:
    return replace(Trade(days(-60), "main", "IVV", "young", qty=dec(10)), **changes)


def test_a_fraction_held_is_no_short_sale() -> None:
    view = world({"IVV": 90}, lot("IVV", "0.5", 90), lot("GLD", "-0.5", 90, name="short"))
    assert [(one.lot_id, one.qty) for one in sold_short(view)] == [("short", dec("0.5"))]


@pytest.mark.parametrize(("method", "replaces"), [(LotMethod.LIFO, False), (LotMethod.MIN_TAX, True)])
def test_a_purchase_that_goes_first_replaces_nothing_where_the_order_is_sure(
    method: LotMethod, replaces: bool
) -> None:
    view = world({"IVV": 90}, OLD, YOUNG, rates=TaxRates())
    held = view.book.accounts["main"]
    held.lot_method = method
    lots = may_close(held, "IVV", dec(20), Side.SELL)
    young_first = sorted(lots, key=lambda one: one.lot_id != "young")
    sale = closing(held, "IVV", young_first, lambda one: one.lot_id == "old")
    assert sale.against([_trade()]) == ([_trade()] if replaces else [])
