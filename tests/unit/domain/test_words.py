"""Instruments, proposals, requests and settings: the small nouns."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.instrument import Instrument
from gateway.domain.order import Side
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.request import Action, DenyReason, NameDecision, RequestState
from gateway.domain.settings import AccountSettings, Limits

PLUS = st.decimals("0.0001", 1_000_000, places=4)


@given(PLUS, st.sampled_from(["1", "10", "0.0001", "0.5"]))
def test_a_quantity_is_rounded_towards_zero_to_whole_lots(qty: Decimal, lot: str) -> None:
    one = Instrument("AAA", lot_size=Decimal(lot))
    rounded = one.round_qty(qty)
    assert rounded % one.lot_size == 0
    assert 0 <= qty - rounded < one.lot_size
    assert one.round_qty(-qty) == -rounded


@given(PLUS, st.sampled_from(["0.01", "0.05", "1", "0.0001"]))
def test_a_price_is_rounded_to_the_nearest_tick(price: Decimal, tick: str) -> None:
    one = Instrument("AAA", tick_size=Decimal(tick))
    rounded = one.round_price(price)
    assert rounded % one.tick_size == 0
    assert abs(rounded - price) <= one.tick_size / 2


def test_half_a_tick_goes_to_the_even_one() -> None:
    one = Instrument("AAA")
    assert one.round_price(Decimal("1.005")) == Decimal("1.00")
    assert one.round_price(Decimal("1.015")) == Decimal("1.02")


def test_an_instrument_stands_alone_unless_it_has_a_group() -> None:
    assert Instrument("AAA").group == "AAA"
    assert Instrument("AAA", identical_group="S&P 500").group == "S&P 500"


def test_a_proposal_is_worth_quantity_times_price() -> None:
    item = Proposal("AAA", Side.BUY, Decimal(3), Decimal("10.01"), commission=1.25)
    assert item.notional == Decimal("30.03")
    assert Approved(item, Decimal("10.10")).cash_needed == Decimal("31.55")
    assert Approved(item, None).cash_needed == Decimal("31.28")


@pytest.mark.parametrize("side", [Side.SELL, Side.SELL_SHORT])
def test_a_sale_needs_no_cash(side: Side) -> None:
    item = Proposal("AAA", side, Decimal(3), Decimal(10), commission=1.25)
    assert Approved(item, Decimal(10)).cash_needed == 0


def test_an_approval_cannot_be_changed() -> None:
    item = Approved(Proposal("AAA", Side.BUY, Decimal(3), Decimal(10)), None)
    with pytest.raises(FrozenInstanceError):
        item.limit_price = Decimal(5)  # type: ignore[misc]


def test_a_request_is_open_in_three_states_only() -> None:
    is_open = {state for state in RequestState if not state.is_final}
    assert is_open == {RequestState.QUEUED, RequestState.AWAITING_APPROVAL, RequestState.WORKING}


def test_words_are_spelled_once() -> None:
    for words in (Action, DenyReason, RequestState):
        values = [word.value for word in words]
        assert len(set(values)) == len(values)


def test_the_cost_of_a_name_leaves_tax_apart() -> None:
    one = NameDecision(
        "AAA", Decimal(1), 0.1, 0.2, 0.2, Decimal(5), commission=1.0, half_spread=0.5, tax=99.0
    )
    assert one.cost == 1.5


def test_every_limit_of_an_account_protects_by_default() -> None:
    limits = AccountSettings("main", "sim").limits
    assert limits == Limits()
    assert not limits.allow_short
    for field in fields(Limits):
        value = getattr(limits, field.name)
        if isinstance(value, Decimal):
            assert value.is_finite(), field.name
            assert value > 0, field.name
