"""Wash sales by the tax ledger: what is used up, adjusted, sold short - and what an account chooses to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from decision_world import FREE, account, days, dec, household, lot, order, sold

from gateway.decision.policy import propose
from gateway.decision.tax_record import tax_record
from gateway.decision.view import View
from gateway.decision.wash_sale import Conflict, conflict, watch
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, RealisedGain, Relief
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import Decision, Execution, Limits, WashSales

TWINS = [Instrument("IVV", identical_group="sp500"), Instrument("VOO", identical_group="sp500")]
PRICES = {"IVV": 90, "VOO": 90, "GLD": 90}
PLAIN = Execution(limit_offset_bps=dec(0))


def world(choice: WashSales = WashSales.BLOCK, **more: Any) -> View:
    accounts = [
        account("main", 10_000, more.pop("main", ())),
        account("wife", 10_000, more.pop("wife", ())),
        account("ira", 10_000, more.pop("ira", ()), taxable=False),
    ]
    return household(
        accounts, more.pop("prices", PRICES), instruments=TWINS, costs=FREE, execution=PLAIN,
        decision=Decision(wash_sale=choice), **more,
    )  # fmt: skip


def buy(symbol: str, qty: int) -> Proposal:
    return Proposal(symbol, Side.BUY, dec(qty), dec(90), benefit=100.0)


def short(on: int, gain: int, *, of: str = "main", symbol: str = "IVV") -> RealisedGain:
    """A short sale of ten closed `on` days from today."""
    return replace(sold(symbol, on, gain, of=of), lot_id=f"short-{symbol}", is_short=True)


# ------------------------------------------------------------------------------------- what is used up


def test_a_loss_that_was_replaced_locks_no_more() -> None:
    view = world(realised=[sold("IVV", -5, -50)], wife=[lot("VOO", 10, 90, bought=-3)])
    assert conflict(view, "IVV", Side.BUY, dec(1)) is None
    view = world(realised=[sold("IVV", -5, -50)], wife=[lot("VOO", 9, 90, bought=-3)])
    assert conflict(view, "IVV", Side.BUY, dec(1)) is not None


def test_what_is_locked_may_be_listed_by_group() -> None:
    view = world(
        realised=[sold("IVV", -9, -50), sold("VOO", -5, -50, of="wife"), sold("GLD", -3, 9)],
        ira=[lot("VOO", 4, 90, bought=-3)],
    )
    (group,) = watch(view).losses.items()
    assert group[0] == "sp500"
    assert (group[1].on, group[1].account, group[1].symbol, group[1].qty) == (days(-5), "wife", "VOO", 10)


def test_shares_that_have_replaced_replace_no_more() -> None:
    used = {"realised": [sold("IVV", -5, -50, of="wife")], "wife": [lot("VOO", 10, 80, bought=-3)]}
    assert conflict(world(main=[lot("IVV", 10, 100)], **used), "IVV", Side.SELL, dec(10)) is None
    more = {**used, "wife": [lot("VOO", 11, 80, bought=-3)]}
    found = watch(world(main=[lot("IVV", 10, 100)], **more)).found("IVV", Side.SELL, dec(10))
    assert found is not None
    assert found.tax == pytest.approx(0.2 * 100 / 10), "one share of ten is washed, at the long-term rate"


def test_a_lot_loses_by_its_adjusted_basis() -> None:
    """Bought at 85 with 10 a share deferred: sold at 90 it is a loss for tax, a gain for the book."""
    lots = [lot("IVV", 10, 85, bought=-40)]
    view = world(main=lots, realised=[sold("IVV", -45, -100)], wife=[lot("VOO", 1, 90, bought=-2)])
    found = watch(view)
    assert found.loses("main", "IVV", dec(10))
    assert found.conflict("IVV", Side.SELL, dec(10)) is not None
    plain = world(main=lots, realised=[sold("IVV", -45, 100)], wife=[lot("VOO", 1, 90, bought=-2)])
    assert conflict(plain, "IVV", Side.SELL, dec(10)) is None


def test_adjusted_reliefs_are_cut_where_a_wash_sale_cut_the_lot() -> None:
    view = world(main=[lot("IVV", 15, 85, bought=-40)], realised=[sold("IVV", -45, -100)])
    record = tax_record(view)
    asked = [Relief("IVV@-40", days(-40), dec(12), dec(12 * 85))]
    assert record.adjusted("main", "IVV", asked) == [
        Relief("IVV@-40", days(-995), dec(10), dec(950)),
        Relief("IVV@-40", days(-40), dec(2), dec(170)),
    ]
    part = [Relief("IVV@-40", days(-40), dec(4), dec(4 * 85))]
    assert record.adjusted("main", "IVV", part) == [Relief("IVV@-40", days(-995), dec(4), dec(380))]
    other = [Relief("GLD@-1", days(-1), dec(5), dec(10))]
    assert record.adjusted("main", "GLD", other) == other
    assert record.ledger("sp500") is record.ledger("sp500")
    assert tax_record(view, only="GLD").ledger("sp500") is None


def test_adjusted_reliefs_of_a_short_lot_keep_their_sign() -> None:
    view = world(main=[lot("IVV", -10, 95, bought=-3)], realised=[short(-5, -100)])
    (one,) = tax_record(view).adjusted("main", "IVV", [Relief("IVV@-3", days(-3), dec(-10), dec(-950))])
    assert (one.qty, one.cost) == (-10, -850)


def test_other_fills_of_the_order_being_sold_are_no_replacement() -> None:
    fills = [Lot(name, "IVV", days(-5), dec(5), dec(500), "A") for name in ("f1", "f2")]
    assert conflict(world(main=fills), "IVV", Side.SELL, dec(5)) is None
    apart = [fills[0], replace(fills[1], order_id="B")]
    assert conflict(world(main=apart), "IVV", Side.SELL, dec(5)) is not None


# ---------------------------------------------------------------------------------------- short sales


def test_a_short_sale_closed_at_a_loss_locks_selling() -> None:
    view = world(main=[lot("IVV", 10, 50)], realised=[short(-5, -100, symbol="VOO")])
    for side in (Side.SELL, Side.SELL_SHORT):
        found = watch(view).found("IVV", side, dec(5))
        assert found is not None
        assert "short sale of VOO was closed at a loss" in found.text
        assert found.first_safe_day == days(26)
        assert found.tax == pytest.approx(0.37 * 50)
    assert conflict(view, "IVV", Side.BUY, dec(5)) is None, "a purchase washes no loss of a short sale"
    assert conflict(world(realised=[short(-31, -100)]), "IVV", Side.SELL_SHORT, dec(5)) is None


def test_to_close_a_short_sale_at_a_loss_after_another_sale() -> None:
    held = [lot("IVV", -10, 80, bought=-100), lot("VOO", -5, 85, bought=-3)]
    found = watch(world(main=held)).found("IVV", Side.BUY, dec(10))
    assert found is not None
    assert "VOO was sold" in found.text
    assert found.tax == pytest.approx(0.37 * 100 * 5 / 10)
    after_sale = world(main=held[:1], realised=[sold("VOO", -3, 5)])
    assert conflict(after_sale, "IVV", Side.BUY, dec(10)) is not None
    assert conflict(world(main=held[:1]), "IVV", Side.BUY, dec(10)) is None
    gaining = world(main=[lot("IVV", -10, 99, bought=-100)], realised=[sold("VOO", -3, 5)])
    assert conflict(gaining, "IVV", Side.BUY, dec(10)) is None


def test_a_buy_that_only_closes_a_short_sale_acquires_nothing() -> None:
    view = world(main=[lot("IVV", -10, 99, bought=-100)], realised=[sold("VOO", -31, 5), sold("GLD", -3, 5)])
    loss = replace(sold("VOO", -3, -50, of="wife"), lot_id="w")
    washed = replace(view, book=replace(view.book, realised=[loss]))
    assert conflict(washed, "IVV", Side.BUY, dec(10)) is None
    assert conflict(washed, "IVV", Side.BUY, dec(11)) is not None


# ----------------------------------------------------------------------------------------- the choices


def settled(choice: WashSales, **more: Any) -> Proposal:
    view = world(choice, realised=[sold("IVV", -5, -100)])
    return watch(view, **more).marked(buy("VOO", 4))


def test_block_and_defer_say_until_when() -> None:
    text = f"IVV was sold at a loss on {days(-5)} in account main: to buy VOO before {days(26)}"
    assert settled(WashSales.BLOCK).wash_sale.startswith(text)
    assert settled(WashSales.DEFER).wash_sale.startswith(f"deferred until {days(26)}: {text}")


def test_substitute_names_what_to_buy_instead() -> None:
    found = settled(WashSales.SUBSTITUTE, substitute={"VOO": "VTI"}.__getitem__)
    assert found.wash_sale.endswith("; buy VTI instead")
    assert settled(WashSales.SUBSTITUTE).wash_sale.endswith("; no substitute for VOO is known")
    view = world(WashSales.SUBSTITUTE, main=[lot("IVV", 10, 100)], wife=[lot("VOO", 1, 90, bought=-3)])
    sale = watch(view).marked(Proposal("IVV", Side.SELL, dec(10), dec(90)))
    assert sale.wash_sale.endswith("(IRC section 1091)")


def test_accept_puts_the_tax_not_saved_in_the_cost() -> None:
    found = settled(WashSales.ACCEPT)
    assert found.wash_sale == ""
    assert found.wash_cost == pytest.approx(0.2 * 100 * 4 / 10)
    assert found.cost == pytest.approx(found.wash_cost)
    safe = watch(world(WashSales.ACCEPT)).marked(replace(buy("VOO", 4), wash_cost=9.0, wash_sale="x"))
    assert (safe.wash_cost, safe.wash_sale) == (0.0, "")


def test_what_is_not_known_yet_cannot_be_deferred() -> None:
    orders = [order("IVV", Side.SELL, 5, of="wife")]
    view = world(WashSales.DEFER, wife=[lot("IVV", 10, 100)], orders=orders)
    found = watch(view).found("VOO", Side.BUY, dec(2))
    assert found is not None
    assert found.first_safe_day is None
    assert found.tax == pytest.approx(0.2 * 50 * 2 / 5)
    assert watch(view).settled(buy("VOO", 2), found).wash_sale == found.text


def test_an_unknown_price_puts_no_number_on_it() -> None:
    orders = [order("IVV", Side.SELL, 5, of="wife")]
    view = world(wife=[lot("IVV", 10, 50)], orders=orders, prices={"VOO": 90})
    found = watch(view).found("VOO", Side.BUY, dec(2))
    assert found is not None
    assert found.tax == 0.0


def test_an_open_purchase_washes_as_much_as_it_buys() -> None:
    view = world(main=[lot("IVV", 10, 100)], orders=[order("VOO", Side.BUY, 3, of="ira")])
    found = watch(view).found("IVV", Side.SELL, dec(10))
    assert found is not None
    assert found == Conflict(found.text, None, pytest.approx(0.2 * 100 * 3 / 10), frozenset({"main"}))


def test_a_plan_may_wash_its_own_loss_by_choice() -> None:
    """Sold at a loss and bought as its twin in one plan: blocked by default, a cost when accepted."""
    held = account("main", 30_000, [lot("IVV", 200, 100)])

    def plan(choice: WashSales) -> dict[str, Any]:
        view = household(
            [held], PRICES, {"IVV": "0.05", "VOO": "0.40"}, instruments=TWINS, costs=FREE, execution=PLAIN,
            decision=Decision(wash_sale=choice, risk_aversion=dec(200)), limits=Limits(),
        )  # fmt: skip
        return {one.symbol: one for one in (*propose(view).proposals, *propose(view).names)} | {
            f"{one.symbol}?": one for one in propose(view).proposals
        }

    blocked, accepted = plan(WashSales.BLOCK), plan(WashSales.ACCEPT)
    assert blocked["VOO?"].wash_sale.startswith("this plan sells IVV at a loss")
    assert accepted["VOO?"].wash_sale == ""
    assert accepted["VOO?"].wash_cost > 0
    assert "by choice of the account" in accepted["VOO"].note
    deferred = plan(WashSales.DEFER)
    assert deferred["VOO?"].wash_sale.startswith(f"deferred until {days(31)}")


def test_buys_cut_to_the_cash_wash_less() -> None:
    view = household(
        [account("main", 5_000)], PRICES, {"VOO": "0.5", "GLD": "0.5"}, instruments=TWINS, costs=FREE,
        execution=PLAIN, decision=Decision(wash_sale=WashSales.ACCEPT, risk_aversion=dec(200)),
        realised=[replace(sold("IVV", -5, -100), qty=dec(100))],
        orders=[order("GLD", Side.BUY, 22)],
    )  # fmt: skip
    found = {one.symbol: one for one in propose(view).proposals}["VOO"]
    assert found.qty < 28
    assert found.wash_cost == pytest.approx(0.2 * 100 * float(found.qty) / 100)
