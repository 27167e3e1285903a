"""The last gate: every reason to deny an order, at its edge and from both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gateway.domain.instrument import Instrument
from gateway.domain.order import OrdType, Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import AccountSettings, Execution, Limits
from gateway.events import DenyReason
from gateway.oms.checks import RULES, Gate, check, is_fresh, limit_price_of
from gateway.oms.state import Price

NOW = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)
WIDE = Limits(
    max_order_notional=Decimal(1_000_000), max_order_nav_share=Decimal(1), max_turnover=Decimal(10),
    price_collar_bps=Decimal(300), price_max_age_s=Decimal(60),
)  # fmt: skip
MARKET = Execution(ord_type=OrdType.MARKET)
LIMIT = Execution(limit_offset_bps=Decimal(50))
R = DenyReason


def proposal(side: Side = Side.BUY, qty: int | str = 10, price: str = "100", **words: object) -> Proposal:
    words = {"symbol": "AAA", "benefit": 100.0, "commission": 1.0, "half_spread": 0.5, **words}
    return Proposal(side=side, qty=Decimal(qty), price=Decimal(price), **words)  # type: ignore[arg-type]


def gate(limits: Limits = WIDE, execution: Execution = MARKET, **words: object) -> Gate:
    account = AccountSettings("main", "sim", limits=limits, execution=execution)
    fields: dict[str, object] = {
        "now": NOW, "account": account, "nav": Decimal(100_000),
        "instruments": {name: Instrument(name) for name in ("AAA", "BBB", "CCC")},
        "prices": {name: Price(Decimal(100), NOW) for name in ("AAA", "BBB", "CCC")},
        "held": {"AAA": Decimal(10), "BBB": Decimal(1000), "CCC": Decimal(1000)},
    }  # fmt: skip
    return Gate(**{**fields, **words})  # type: ignore[arg-type]


def reason(item: Proposal, at: Gate) -> DenyReason | None:
    approved, denied = check([item], at)
    assert len(approved) + len(denied) == 1
    if approved:
        assert approved[0].proposal is item
        return None
    (denial,) = denied
    assert (denial.symbol, denial.side, denial.qty) == (item.symbol, item.side, item.qty)
    assert denial.text
    return denial.reason


def test_a_sound_order_passes_both_ways() -> None:
    assert reason(proposal(), gate()) is None
    assert reason(proposal(Side.SELL), gate()) is None


def test_nothing_passes_a_halt() -> None:
    assert reason(proposal(), gate(halt="lunch")) is R.HALTED
    _, (denial,) = check([proposal()], gate(halt="lunch", is_urgent=True))
    assert (denial.reason, denial.text) == (R.HALTED, "lunch")


def test_restricted_names_stay_untouched() -> None:
    limits = replace(WIDE, restricted=frozenset({"AAA"}))
    assert reason(proposal(), gate(limits)) is R.RESTRICTED
    assert reason(proposal(Side.SELL), gate(limits)) is R.RESTRICTED
    assert reason(proposal(symbol="BBB"), gate(limits)) is None


def test_a_name_without_a_price_is_not_traded() -> None:
    assert reason(proposal(), gate(prices={})) is R.PRICE_MISSING


@pytest.mark.parametrize(
    ("age_s", "expected"), [(0, None), (60, None), (60.000001, R.PRICE_STALE), (3600, R.PRICE_STALE)]
)
def test_a_price_is_fresh_up_to_its_limit(age_s: float, expected: DenyReason | None) -> None:
    price = Price(Decimal(100), NOW - timedelta(seconds=age_s))
    assert reason(proposal(), gate(prices={"AAA": price})) is expected
    assert is_fresh(price, NOW, Decimal(60)) is (expected is None)
    assert not is_fresh(None, NOW, Decimal(60))


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ("103", None), ("103.0001", R.PRICE_COLLAR), ("97", None), ("96.9999", R.PRICE_COLLAR),
    ],
)  # fmt: skip
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_price_decided_on_is_near_the_reference(
    side: Side, price: str, expected: DenyReason | None
) -> None:
    assert reason(proposal(side, price=price), gate()) is expected


@pytest.mark.parametrize(("offset", "expected"), [("300", None), ("301", R.PRICE_COLLAR)])
@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_limit_price_is_inside_the_collar(side: Side, offset: str, expected: DenyReason | None) -> None:
    execution = Execution(limit_offset_bps=Decimal(offset))
    assert reason(proposal(side), gate(execution=execution)) is expected


@pytest.mark.parametrize(("qty", "expected"), [("10", None), ("10.0001", R.SHORT_SALE)])
def test_no_more_is_sold_than_is_held(qty: str, expected: DenyReason | None) -> None:
    assert reason(proposal(Side.SELL, qty), gate()) is expected
    assert reason(proposal(Side.BUY, qty), gate()) is None
    assert reason(proposal(Side.SELL, qty), gate(replace(WIDE, allow_short=True))) is None


def test_a_short_sale_needs_leave() -> None:
    assert reason(proposal(Side.SELL_SHORT, 1), gate()) is R.SHORT_SALE
    assert reason(proposal(Side.SELL_SHORT, 1), gate(replace(WIDE, allow_short=True))) is None
    assert reason(proposal(Side.SELL, 1), gate(held={})) is R.SHORT_SALE


def test_one_order_for_a_name_and_side_at_a_time() -> None:
    busy = frozenset({("AAA", Side.SELL)})
    assert reason(proposal(Side.SELL), gate(busy=busy)) is R.DUPLICATE
    assert reason(proposal(Side.BUY), gate(busy=busy)) is None
    assert reason(proposal(Side.SELL, symbol="BBB"), gate(busy=busy)) is None


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_an_order_is_no_larger_than_its_limit(side: Side) -> None:
    item = proposal(side)
    assert reason(item, gate(replace(WIDE, max_order_notional=Decimal(1000)))) is None
    assert reason(item, gate(replace(WIDE, max_order_notional=Decimal("999.99")))) is R.MAX_ORDER_NOTIONAL


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_an_order_is_no_larger_than_its_share_of_nav(side: Side) -> None:
    limits = replace(WIDE, max_order_nav_share=Decimal("0.01"))
    assert reason(proposal(side), gate(limits)) is None
    assert reason(proposal(side), gate(limits, nav=Decimal(99_999))) is R.MAX_ORDER_NAV_SHARE
    assert reason(proposal(side), gate(limits, nav=Decimal(0))) is R.MAX_ORDER_NAV_SHARE


def test_a_wash_sale_is_denied_in_its_own_words() -> None:
    _, (denial,) = check([proposal(wash_sale="BBB was sold at a loss")], gate(is_urgent=True))
    assert (denial.reason, denial.text) == (R.WASH_SALE, "BBB was sold at a loss")


@pytest.mark.parametrize(("benefit", "expected"), [(1.5, R.TRANSACTION_COST), (1.5000001, None)])
def test_a_trade_brings_more_than_it_costs(benefit: float, expected: DenyReason | None) -> None:
    item = proposal(benefit=benefit)
    assert reason(item, gate()) is expected
    assert reason(item, gate(is_urgent=True)) is None


def test_taxes_do_not_hold_a_trade_up() -> None:
    assert reason(proposal(benefit=2.0, tax=1_000.0), gate()) is None


# ------------------------------------------------------------------------------------ the whole basket


def test_a_request_has_only_so_many_orders() -> None:
    limits = replace(WIDE, max_orders_per_request=2)
    items = [proposal(symbol=name) for name in ("AAA", "BBB", "CCC")]
    approved, denied = check(items, gate(limits))
    assert [item.proposal.symbol for item in approved] == ["AAA", "BBB"]
    assert [(item.symbol, item.reason) for item in denied] == [("CCC", R.MAX_ORDERS)]
    approved, denied = check([replace(items[0], wash_sale="no"), *items[1:]], gate(limits))
    assert [item.proposal.symbol for item in approved] == ["BBB", "CCC"], "a denied order takes no place"
    assert len(denied) == 1


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_request_turns_over_only_so_much(side: Side) -> None:
    items = [proposal(side, 10, symbol=name) for name in ("AAA", "BBB", "CCC")]
    for nav, passed in ((Decimal(300_000), 3), (Decimal(299_999), 2), (Decimal(200_000), 2)):
        approved, denied = check(items, gate(replace(WIDE, max_turnover=Decimal("0.01")), nav=nav))
        assert len(approved) == passed
        assert [item.reason for item in denied] == [R.MAX_TURNOVER] * (3 - passed)


def test_turnover_is_counted_on_each_side_alone() -> None:
    limits = replace(WIDE, max_turnover=Decimal("0.01"))
    items = [proposal(Side.SELL, symbol="BBB"), proposal(Side.BUY)]
    approved, denied = check(items, gate(limits))
    assert len(approved) == 2
    assert not denied


def test_the_first_reason_in_a_fixed_order_is_told() -> None:
    names = [rule.__name__ for rule in RULES]
    assert names == [
        "_halted", "_restricted", "_currency", "_price", "_short", "_duplicate", "_notional", "_wash_sale",
        "_transaction_cost",
    ]  # fmt: skip
    hopeless = proposal(Side.SELL, 10_000, benefit=0.0, wash_sale="no")
    limits = replace(WIDE, restricted=frozenset({"AAA"}), max_order_notional=Decimal(1))
    assert reason(hopeless, gate(limits, halt="h", prices={})) is R.HALTED
    assert reason(hopeless, gate(limits, prices={})) is R.RESTRICTED
    limits = replace(limits, restricted=frozenset())
    abroad = {"AAA": Instrument("AAA", currency="EUR")}
    assert reason(hopeless, gate(limits, prices={}, instruments=abroad)) is R.CURRENCY
    converted = gate(limits, prices={}, instruments=abroad, is_converted=True)
    assert reason(hopeless, converted) is R.PRICE_MISSING
    assert reason(hopeless, gate(limits, prices={})) is R.PRICE_MISSING
    busy = frozenset({("AAA", Side.SELL)})
    assert reason(hopeless, gate(limits, busy=busy)) is R.SHORT_SALE
    held = {"AAA": Decimal(10_000)}
    assert reason(hopeless, gate(limits, busy=busy, held=held)) is R.DUPLICATE
    assert reason(hopeless, gate(limits, held=held)) is R.MAX_ORDER_NOTIONAL
    wide = replace(limits, max_order_notional=Decimal(10_000_000), max_order_nav_share=Decimal(100))
    assert reason(hopeless, gate(wide, held=held)) is R.WASH_SALE
    assert reason(replace(hopeless, wash_sale=""), gate(wide, held=held)) is R.TRANSACTION_COST


# ----------------------------------------------------------------------------------------- the price


def test_a_market_order_has_no_limit_price() -> None:
    assert limit_price_of(proposal(), gate()) is None


def test_a_limit_is_the_reference_moved_against_us_on_a_tick() -> None:
    at = gate(execution=LIMIT, prices={"AAA": Price(Decimal("33.33"), NOW)})
    assert limit_price_of(proposal(), at) == Decimal("33.50")
    assert limit_price_of(proposal(Side.SELL), at) == Decimal("33.16")
    assert limit_price_of(proposal(Side.SELL_SHORT), at) == Decimal("33.16")
    assert limit_price_of(proposal(price="50"), gate(execution=LIMIT, prices={})) == Decimal("50.25")


def test_an_approval_carries_its_limit_price() -> None:
    (approved,), _ = check([proposal()], gate(execution=LIMIT))
    assert approved.limit_price == Decimal("100.50")
