"""Swaps under way: both legs or none, and no more of a substitute than was sold of its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.order import Order, OrderSpec, OrdType, Side, TimeInForce
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.settings import Settings
from gateway.domain.substitution import Swapped
from gateway.events import Denial, DenyReason, Mode, TargetsSubmitted
from gateway.oms.state import Applied, Request, State
from gateway.oms.swaps import follow, paired

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SWAP = Swapped("A", "C", Decimal(10), Decimal(20), (), 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.9, "a loss")
SWAPS = (SWAP, replace(SWAP, original="B"), replace(SWAP, original="D", other="E"))


def leg(symbol: str) -> Approved:
    side = Side.BUY if symbol in "CE" else Side.SELL
    return Approved(Proposal(symbol, side, Decimal(1), Decimal(1)), None)


def refused(symbol: str) -> Denial:
    item = leg(symbol).proposal
    return Denial(symbol, item.side, item.qty, DenyReason.RESTRICTED, "restricted")


@pytest.mark.parametrize(
    ("denied", "kept"),
    [("", "ABDCE"), ("A", "BDCE"), ("AB", "DE"), ("C", "DE"), ("E", "ABC"), ("D", "ABC"), ("CE", "")],
)
def test_no_leg_stands_alone(denied: str, kept: str) -> None:
    approved = [leg(symbol) for symbol in "ABDCE" if symbol not in denied]
    left, why_not = paired(approved, [refused(symbol) for symbol in denied], SWAPS)
    assert [item.proposal.symbol for item in left] == list(kept)
    assert {item.symbol for item in why_not} == set("ABDCE") - set(kept)
    assert all(item.reason is DenyReason.UNSOLD for item in why_not if item.symbol not in denied)


@given(st.sets(st.sampled_from("ABCDE")))
def test_what_is_sold_is_bought_back_otherwise_and_nothing_else_is_bought(denied: set[str]) -> None:
    approved = [leg(symbol) for symbol in "ABDCE" if symbol not in denied]
    left = {item.proposal.symbol for item in paired(approved, [refused(one) for one in denied], SWAPS)[0]}
    for swap in SWAPS:
        assert swap.original not in left or swap.other in left
    assert all(any(swap.original in left for swap in SWAPS if swap.other == one) for one in left & set("CE"))


def test_only_the_sale_of_a_swapped_name_begins_a_substitution() -> None:
    state, settings = State(), Settings("H", {}, {})
    request = Request(TargetsSubmitted(AT, "R1", "main", {}, AT, AT), Mode.EXECUTE, swaps=SWAPS)
    for symbol, side in (("X", Side.SELL), ("A", Side.BUY)):
        spec = OrderSpec(
            "c1", "R1", "main", "sim", symbol, side, Decimal(1), OrdType.MARKET, None, TimeInForce.DAY, 1
        )
        follow(state, Applied(Order(spec, AT, updated_at=AT), request=request), settings)
    assert state.substitutions == {}


def test_without_swaps_nothing_is_touched() -> None:
    assert paired([leg("A")], [refused("C")], ()) == ([leg("A")], [refused("C")])
