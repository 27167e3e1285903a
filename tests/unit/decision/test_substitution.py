"""What stands in: how targets are read meanwhile, when they mean the name again, what to buy instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from decision_world import AT_REFERENCE, FREE, TODAY, account, calm, days, dec, household, lot, sold
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.explain import detailed, sentence
from gateway.decision.harvesting import losses_worth_taking, proposed
from gateway.decision.policy import propose
from gateway.decision.risk import RiskModel
from gateway.decision.substitution import stand_in, substituted, words_of
from gateway.decision.view import View
from gateway.domain.instrument import Instrument
from gateway.domain.order import Side
from gateway.domain.settings import Decision, Harvest, WashSales
from gateway.domain.substitution import Substitution, joined
from gateway.events import PolicyName

NAMES = ("A", "B", "C", "D")
PRICES = dict.fromkeys(NAMES, 100)


def stands(original: str, other: str, since: int = -10) -> Substitution:
    day = days(since)
    return Substitution(original, other, day, day + timedelta(days=31), "H1", "a loss")


def risk(correlation: float, variance: float = 0.04) -> RiskModel:
    matrix = np.full((len(NAMES), len(NAMES)), correlation * variance)
    np.fill_diagonal(matrix, variance)
    return RiskModel.dense(NAMES, matrix, TODAY)


def world(targets: dict[str, object], held: dict[str, object] | None = None, **words: Any) -> View:
    """An account worth 10,000 in all."""
    cost = words.pop("cost", 100)
    lots = [lot(symbol, qty, cost) for symbol, qty in (held or {}).items()]
    value = sum((one.qty * 100 for one in lots), Decimal(0))
    prices = words.pop("prices", PRICES)
    words = {"costs": FREE, "execution": AT_REFERENCE} | words
    return household([account("main", 10_000 - value, lots)], prices, targets, **words)


def weights(view: View) -> dict[str, Decimal]:
    return dict(view.targets)


# ------------------------------------------------------------------------------- how targets are read


@pytest.mark.parametrize(
    ("held", "target", "read"),
    [
        ({"B": 40}, "0.4", {"A": 0, "B": "0.4"}),
        ({"A": 10, "B": 30}, "0.4", {"A": "0.1", "B": "0.3"}),
        ({"A": 10, "B": 30}, "0.2", {"A": "0.1", "B": "0.1"}),
        ({"A": 10, "B": 30}, "0.05", {"A": "0.05", "B": 0}),
        ({"B": 40}, "0", {"A": 0, "B": 0}),
    ],
)
def test_the_name_keeps_what_is_held_of_it_and_its_substitute_gets_the_rest(
    held: dict[str, object], target: str, read: dict[str, object]
) -> None:
    view = substituted(world({"A": target}, held), [stands("A", "B")])
    assert weights(view) == {symbol: dec(weight) for symbol, weight in read.items()}


def test_a_name_the_request_does_not_name_is_left_to_the_request() -> None:
    assert weights(substituted(world({"C": "0.1"}, {"B": 40}), [stands("A", "B")])) == {"C": dec("0.1")}


def test_substitutes_in_a_row_hand_on_what_they_get() -> None:
    row = [stands("A", "B"), stands("B", "C")]
    assert weights(substituted(world({"A": "0.3", "B": "0.1"}, {"C": 40}), row)) == {
        "A": 0, "B": 0, "C": dec("0.4"),
    }  # fmt: skip


def test_a_substitute_has_its_own_target_besides() -> None:
    view = substituted(world({"A": "0.3", "B": "0.1"}, {"B": 40}), [stands("A", "B")])
    assert weights(view) == {"A": 0, "B": dec("0.4")}


def test_nothing_is_read_where_nothing_can_be_known() -> None:
    targets: dict[str, object] = {"A": "0.4"}
    unpriced = world(targets, {"D": 1}, prices={"A": 100, "B": 100})
    assert weights(substituted(unpriced, [stands("A", "B")])) == {"A": dec("0.4")}
    poor = household([account("main", 0)], PRICES, targets)
    assert weights(substituted(poor, [stands("A", "B")])) == {"A": dec("0.4")}
    gone = substituted(world(targets), [stands("A", "X")])
    assert weights(gone) == {"A": dec("0.4")}
    assert gone.substitutions == ()


WEIGHT = st.decimals(0, "0.3", places=4)


@calm
@given(
    st.fixed_dictionaries(dict.fromkeys(("A", "B", "C"), WEIGHT)),
    st.fixed_dictionaries({name: st.integers(0, 30) for name in ("A", "B", "C")}),
    st.lists(st.permutations(("A", "B", "C")).map(lambda three: stands(three[0], three[1])), max_size=4),
)
def test_weights_add_up_as_before_and_no_name_is_bought_inside_its_window(
    targets: dict[str, object], held: dict[str, object], added: Sequence[Substitution]
) -> None:
    known: tuple[Substitution, ...] = ()
    for one in added:
        known = joined(known, one)
    view = substituted(world(targets, held), known)
    assert abs(sum(view.targets.values()) - sum(map(dec, targets.values()))) < dec("1e-20")
    for one in known:
        assert view.targets[one.original] <= dec(held[one.original]) / 100
    again = substituted(view, known)
    assert {name: round(weight, 20) for name, weight in again.targets.items()} == {
        name: round(weight, 20) for name, weight in view.targets.items()
    }, "a target read twice means the same"


def test_one_name_has_one_substitute_and_one_bought_again_needs_none() -> None:
    known = joined(joined((), stands("A", "B")), stands("A", "C"))
    assert [(one.original, one.other) for one in known] == [("A", "C")]
    known = joined(known, stands("B", "A"))
    assert [(one.original, one.other) for one in known] == [("B", "A")]


# ---------------------------------------------------------------------------------------- going back


def test_the_name_is_meant_again_when_that_pays_or_nothing_stands_in() -> None:
    old = [stands("A", "B", since=-31)]
    view = world({"A": "0.4"}, {"B": 40})
    assert weights(substituted(view, old))["B"] == dec("0.4"), "without a risk model it is kept"
    far = substituted(replace(view, risk=risk(0.5)), old)
    assert far.swapped_back == ("A",)
    assert weights(far) == {"A": dec("0.4")}
    assert words_of(far) == dict.fromkeys(("A", "B"), "A is read as itself again")
    assert substituted(replace(view, risk=risk(0.5)), [stands("A", "B", since=-30)]).swapped_back == ()
    near = replace(
        view, risk=risk(1 - 1e-9), account=replace(view.account, costs=replace(FREE, impact=dec(1)))
    )
    assert substituted(near, old).swapped_back == ()
    assert substituted(world({"A": "0.4"}), old).swapped_back == ("A",)
    blind = world({"A": "0.4"}, {"B": 40}, prices={"B": 100})
    assert substituted(replace(blind, risk=risk(0.5)), old).swapped_back == ()


# ------------------------------------------------------------------------------------------- in words


def test_every_name_concerned_is_told() -> None:
    view = substituted(world({"A": "0.4", "C": "0.1"}, {"B": 20}), [stands("A", "B"), stands("D", "B")])
    names = {name.symbol: name for name in detailed(view, propose(view))}
    text = f"B stands in for A, sold at a loss on {days(-10)}: A may be bought again from {days(21)}"
    assert names["A"].substitution == text
    assert names["B"].substitution.startswith(text)
    assert "stands in for D" in names["B"].substitution
    assert names["C"].substitution == ""
    assert sentence(names["A"], None).endswith(f" {text}.")
    assert "stands in" not in sentence(names["C"], None)


# ----------------------------------------------------------------------------- what to buy instead


def advised(**words: Any) -> View:
    """A view in which A was sold at a loss five days ago and is wanted again."""
    decision = Decision(policy=PolicyName.TRIGGERS, wash_sale=WashSales.SUBSTITUTE)
    realised = [sold("A", -5, -50), *words.pop("realised", ())]
    view = world({"A": "0.4"}, {}, decision=decision, realised=realised, **words)
    return replace(view, substitutes={"A": ("B", "C", "D")})


def test_a_denied_purchase_names_what_to_buy() -> None:
    view = advised()
    (item,) = propose(view).proposals
    assert item.wash_sale.endswith("; buy B instead")
    assert (
        propose(replace(view, substitutes={})).proposals[0].wash_sale.endswith("no substitute for A is known")
    )


def test_the_substitute_named_is_one_that_may_be_bought() -> None:
    twins = [Instrument("A", identical_group="a"), Instrument("B", identical_group="a")]
    assert stand_in(advised(instruments=twins))("A") == "C"
    assert stand_in(advised(prices={"A": 100, "C": 100, "D": 100}, instruments=[Instrument("B")]))("A") == "C"
    assert stand_in(advised(realised=[sold("B", -3, -9)]))("A") == "C"
    assert stand_in(replace(advised(), risk=risk(0.9)))("A") == "B"
    assert stand_in(replace(advised(), risk=risk(0.1)))("A") == ""
    assert stand_in(replace(advised(), substitutions=(stands("A", "D"),)))("A") == "D"


# ----------------------------------------------------------------------------- harvests as a request


def losing(
    others: dict[str, tuple[str, ...]], targets: dict[str, object] | None = None, **words: Any
) -> View:
    held = words.pop("held", {"A": 40})
    view = world(targets or {}, held, cost=150, **words)
    view = replace(view, risk=risk(0.9), account=replace(view.account, harvest=Harvest(min_benefit=dec(1))))
    return replace(view, substitutes=others)


def test_a_substitute_held_without_a_target_cannot_be_told_apart() -> None:
    held = {"A": 40, "B": 5}
    found = losses_worth_taking(losing({"A": ("B",)}, held=held))
    assert found.passed_over["A"] == "B is held already, and no target says how much of it is wanted"
    assert losses_worth_taking(losing({"A": ("B", "C")}, held=held)).swaps[0].buy.symbol == "C"
    assert losses_worth_taking(losing({"A": ("B",)}, {"B": "0.05"}, held=held)).swaps[0].buy.symbol == "B"


def test_what_stands_in_for_a_name_already_is_its_only_substitute() -> None:
    view = replace(losing({"A": ("C", "B")}), substitutions=(stands("A", "B"),))
    assert losses_worth_taking(view).swaps[0].buy.symbol == "B"


def test_old_shares_are_not_sold_together_with_new_ones_for_only_a_part_might_fill() -> None:
    view = losing({"A": ("B",)}, held={"A": 20})
    more = account("main", 5_000, [lot("A", 20, 150), lot("A", 20, 150, bought=-3)])
    mixed = replace(view, book=replace(view.book, accounts={"main": more}))
    assert losses_worth_taking(mixed).passed_over["A"].startswith("A was bought on")
    everything = account("main", 5_000, [lot("A", 20, 150), lot("A", 20, 160, bought=-3)])
    mixed = replace(view, book=replace(view.book, accounts={"main": everything}))
    assert "A was bought on" in losses_worth_taking(mixed).passed_over["A"]
    gaining = account("main", 5_000, [lot("A", 20, 90), lot("A", 20, 150, bought=-3)])
    assert losses_worth_taking(replace(view, book=replace(view.book, accounts={"main": gaining}))).swaps
    new = account("main", 5_000, [lot("A", 20, 150, bought=-3)])
    assert losses_worth_taking(replace(view, book=replace(view.book, accounts={"main": new}))).swaps


def test_the_carried_loss_uses_the_room_first() -> None:
    view = losing({"A": ("B",)})
    terms = replace(view.account.harvest, carried_loss=dec(3000))
    plain = losses_worth_taking(view).swaps[0]
    less = losses_worth_taking(replace(view, account=replace(view.account, harvest=terms))).swaps[0]
    assert less.saved_now < plain.saved_now


def test_a_plan_sells_before_it_buys_and_says_what_is_left() -> None:
    plan = proposed(losing({"A": ("C",), "B": ("C",)}, held={"A": 20, "B": 20, "D": 5}))
    assert [(item.symbol, item.side) for item in plan.proposals] == [
        ("A", Side.SELL), ("B", Side.SELL), ("C", Side.BUY),
    ]  # fmt: skip
    assert plan.proposals[2].qty == 40
    assert plan.proposals[2].benefit == pytest.approx(
        sum(one.net + one.cost for one in plan.swaps) - sum(item.benefit for item in plan.proposals[:2])
    )
    assert plan.drift == pytest.approx(0.8)
    assert plan.max_drift == pytest.approx(0.4)
    assert plan.tracking_error_left > 0
    assert plan.reason.startswith("2 losses of 2,000.00 worth taking")
    assert {name.symbol: name.qty for name in plan.names} == {"A": -20, "B": -20, "C": 40, "D": 0}
    assert {name.symbol: name.note for name in plan.names}["D"] == "no substitute for D is configured"
