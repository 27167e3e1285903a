"""Plans: names nobody else can give, sells before buys, and orders as approved."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.instrument import Instrument
from gateway.domain.order import OrdType, Side, TimeInForce
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.settings import AccountSettings, Execution
from gateway.oms.plan import CL_ORD_ID_LENGTH, cancel_id, cl_ord_id, next_wave, order_spec

ACCOUNT = AccountSettings("main", "sim", execution=Execution(time_in_force=TimeInForce.GOOD_TILL_CANCEL))


def approved(symbol: str, side: Side, price: str | None = "10") -> Approved:
    proposal = Proposal(symbol, side, Decimal(3), Decimal(10))
    return Approved(proposal, None if price is None else Decimal(price))


def test_a_name_is_the_same_in_every_process_and_every_version() -> None:
    assert cl_ord_id("H", "R1", "main", "AAA", 1) == "PER7GGVPYYLDYKSQ"


def test_names_are_distinct_and_fit_every_venue() -> None:
    parts = list(
        product(("H", "H2"), ("R1", "R2", "R11"), ("main", "other"), ("AAA", "AAB", "A"), (1, 2, 11))
    )
    names = {cl_ord_id(*part) for part in parts}
    assert len(names) == len(parts)
    assert all(re.fullmatch("[A-Z2-7]{16}", name) for name in names)


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=8)
NAMED = st.tuples(WORD, WORD, WORD, WORD, st.integers(1, 99))


@given(NAMED, NAMED)
def test_two_orders_have_one_name_only_if_they_are_one(one: tuple, other: tuple) -> None:
    assert (cl_ord_id(*one) == cl_ord_id(*other)) == (one == other)
    assert len(cl_ord_id(*one)) == CL_ORD_ID_LENGTH


def test_parts_of_a_name_do_not_run_into_each_other() -> None:
    assert cl_ord_id("H", "R1", "a", "bc", 1) != cl_ord_id("H", "R1", "ab", "c", 1)


def test_each_cancel_has_a_name_of_its_own() -> None:
    assert [cancel_id("X", number) for number in (1, 2)] == ["XC1", "XC2"]


def test_all_sells_go_before_all_buys() -> None:
    sale, short, buy = (
        approved("AAA", Side.SELL), approved("BBB", Side.SELL_SHORT), approved("CCC", Side.BUY),
    )  # fmt: skip
    assert next_wave([buy, sale, short]) == [sale, short]
    assert next_wave([buy]) == [buy]
    assert next_wave([]) == []


@pytest.mark.parametrize(("price", "ord_type"), [("10.05", OrdType.LIMIT), (None, OrdType.MARKET)])
def test_an_order_is_what_was_approved(price: str | None, ord_type: OrdType) -> None:
    item = approved("AAA", Side.SELL, price)
    spec = order_spec(item, "H", ACCOUNT, "R1", 2, Instrument("AAA", currency="EUR"))
    assert spec.cl_ord_id == cl_ord_id("H", "R1", "main", "AAA", 2)
    assert (spec.request_id, spec.account, spec.link, spec.wave) == ("R1", "main", "sim", 2)
    assert (spec.symbol, spec.side, spec.order_qty, spec.currency) == ("AAA", Side.SELL, 3, "EUR")
    assert (spec.ord_type, spec.price) == (ord_type, item.limit_price)
    assert spec.time_in_force is TimeInForce.GOOD_TILL_CANCEL


@pytest.mark.parametrize(
    ("side", "lot", "is_on", "cash"),
    [
        (Side.BUY, "0.0001", True, "30.77"),
        (Side.BUY, "1.5", True, "30.77"),
        (Side.BUY, "1", True, None),
        (Side.SELL, "0.0001", True, None),
        (Side.BUY, "0.0001", False, None),
    ],
)
def test_only_a_buy_of_what_trades_in_fractions_is_of_money_down_to_a_cent(
    side: Side, lot: str, is_on: bool, cash: str | None
) -> None:
    account = AccountSettings("main", "sim", execution=Execution(ord_type=OrdType.MARKET, cash_orders=is_on))
    item = Approved(Proposal("AAA", side, Decimal("3.0777"), Decimal(10)), None)
    spec = order_spec(item, "H", account, "R1", 1, Instrument("AAA", lot_size=Decimal(lot)))
    assert spec.cash_order_qty == (None if cash is None else Decimal(cash))
    assert spec.order_qty == Decimal("3.0777")
