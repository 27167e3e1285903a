"""A learned rule: what its arrays say, what is wrong with them, and what its card is worth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.learned import BAND, NETWORK, WORDS, Card, LearnedRule, Score, banded

CARD = Card(
    "search", "made up", "2000 to 2001", "2002 to 2003", (1,), 1.0, (Score("default", 1e-4),), "default",
    -1e-5, -2e-5, -1e-6,
)  # fmt: skip
RULE = LearnedRule(BAND, CARD, np.array([0.0]), np.array([1.0, 2.0]), np.array([0.0, 0.5]))
LAYERS = ((np.zeros((9, 3)), np.zeros(3)), (np.zeros((3, 4)), np.array([0.0, 0.0, 1.0, 0.0])))
NET = LearnedRule(NETWORK, replace(CARD, names=("A", "B")), layers=LAYERS)


def test_a_card_that_beats_the_default_says_nothing_and_another_says_by_how_much_it_does_not() -> None:
    assert CARD.beats_default
    assert CARD.verdict() == ""
    doubtful = replace(CARD, high=1e-6)
    assert not doubtful.beats_default
    assert doubtful.verdict() == (
        "out of sample (2002 to 2003) it cost -0.10 bp a year against default, 95 % between -0.20 and +0.01: "
        "it does not beat it"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"edges": np.zeros(2)}, "scale and reset need an entry a regime"),
        ({"reset": np.zeros(1)}, "scale and reset need an entry a regime"),
        ({"scale": np.array([1.0, np.nan])}, "not a finite number"),
        ({"scale": np.array([1.0, -1.0])}, "scale must not be negative"),
        ({"reset": np.array([0.0, -0.1])}, "reset lie between 0 and 1"),
        ({"reset": np.array([0.0, 1.1])}, "reset lie between 0 and 1"),
        ({"kind": "oracle"}, "kind is 'oracle'"),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes: dict[str, Any], words: str) -> None:
    flaw = replace(RULE, **changes).flaw()
    assert words in flaw
    assert bool(words) == bool(flaw)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (LAYERS, ""),
        ((), "a word an output"),
        (LAYERS[:1], ""),
        (((np.zeros(9), np.zeros(3)),), "do not fit"),
        (((np.zeros((8, 3)), np.zeros(3)),), "do not fit"),
        (((np.zeros((9, 3)), np.full(3, np.inf)),), "not a finite number"),
        (((np.full((9, 3), np.nan), np.zeros(3)),), "not a finite number"),
        (((np.zeros((9, 5)), np.zeros(5)),), "a word an output"),
    ],
)
def test_layers_that_do_not_fit_are_named(layers: Any, words: str) -> None:
    flaw = replace(NET, layers=layers).flaw()
    assert words in flaw
    assert bool(words) == bool(flaw)


def test_the_market_s_restlessness_picks_the_regime() -> None:
    assert [RULE.regime(ratio) for ratio in (-0.5, 0.0, 0.5)] == [0, 1, 1]


def test_a_network_says_the_word_of_its_largest_output() -> None:
    assert NET.word(np.zeros(9)) == "full"
    first = (np.zeros((9, 2)), np.array([1.0, 0.0]))
    first[0][4, 0] = 1.0
    second = (np.array([[2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), np.array([0.0, 1.6, 0.0, 0.0]))
    rule = replace(NET, layers=(first, second))
    seen = np.zeros(9)
    assert rule.word(seen) == "partial", "2 tanh(1) is 1.523"
    seen[4] = 1.0
    assert rule.word(seen) == "nothing", "2 tanh(2) is 1.928"
    assert set(WORDS) == {"nothing", "partial", "full", "edge"}


@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(0, 3), st.floats(0, 1))
def test_a_band_is_left_alone_inside_and_traded_towards_the_target_outside(
    gap: float, width: float, scale: float, reset: float
) -> None:
    (trade,) = banded(np.array([gap]), np.array([width]), np.array([scale]), np.array([reset]))
    if abs(gap) <= width * scale:
        assert trade == 0
    else:
        left = gap - trade
        assert abs(left) == pytest.approx(width * scale * (1 - reset), abs=1e-12)
        assert left * gap >= -1e-12
        assert abs(trade) <= abs(gap) + 1e-12
