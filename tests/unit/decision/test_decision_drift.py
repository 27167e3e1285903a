"""Drift: weights of total NAV, net of open orders, with what the request does not name."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from decision_world import TODAY, account, calm, household, lot, order
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.drift import Survey, survey
from gateway.decision.risk import RiskModel
from gateway.domain.instrument import Instrument
from gateway.domain.order import Side
from gateway.events import Others

LOTS = [lot("A", 10, 50), lot("B", 20, 50)]


def test_weights_are_of_cash_and_everything_held() -> None:
    found = survey(household([account("main", 1000, LOTS)], {"A": 100, "B": 100}, {"A": "0.5"}))
    assert found.nav == 4000
    assert found.cash == 1000
    assert found.symbols == ("A",)
    assert found.kept == ("B",)
    assert found.weight.tolist() == [0.25]
    assert found.gap.tolist() == [0.25]
    assert (found.drift, found.max_drift) == (0.25, 0.25)


def test_others_sell_gives_the_rest_a_target_of_zero() -> None:
    view = household([account("main", 1000, LOTS)], {"A": 100, "B": 100}, {"A": "0.5"}, others=Others.SELL)
    found = survey(view)
    assert found.symbols == ("A", "B")
    assert found.kept == ()
    assert found.gap.tolist() == [0.25, -0.5]
    assert found.drift == 0.75


def test_open_orders_of_this_account_count_as_done() -> None:
    orders = [
        order("A", Side.BUY, 4),
        order("A", Side.SELL, 1),
        order("A", Side.BUY, 100, of="other"),
    ]
    accounts = [account("main", 1000, LOTS), account("other")]
    found = survey(household(accounts, {"A": 100, "B": 100}, {"A": "0.5"}, orders=orders))
    assert found.weight.tolist() == [0.25]
    assert found.expected.tolist() == [pytest.approx(0.325)]


def test_wanted_without_price_is_missing_and_still_drift() -> None:
    view = household([account("main", 1000)], {}, {"A": "0.5", "Z": "0"})
    found = survey(view)
    assert found.missing == ("A",)
    assert found.drift == 0.5


def test_a_holding_without_price_is_the_callers_error() -> None:
    with pytest.raises(KeyError, match="B"):
        survey(household([account("main", 1000, LOTS)], {"A": 100}, {"A": "0.5"}))


def test_nothing_asked_is_no_drift() -> None:
    found = survey(household([account("main")], {}))
    assert (found.nav, found.drift, found.max_drift) == (0, 0.0, 0.0)


def test_tracking_error_is_the_root_of_summed_squares() -> None:
    names = [Instrument("A", volatility=Decimal("0.3")), Instrument("B", volatility=Decimal("0.4"))]
    view = household([account("main", 1000)], {"A": 1, "B": 1}, {"A": "0.1", "B": "-0.1"}, instruments=names)
    found = survey(view)
    assert found.tracking_error(found.gap) == pytest.approx(0.05)


RISK = RiskModel.dense(("A", "B"), np.array([[0.04, 0.03], [0.03, 0.09]]), TODAY)


def known(*, others: Others = Others.SELL) -> Survey:
    view = household([account("main", 1000, LOTS)], {"A": 100, "B": 100}, {"A": "0.5"}, others=others)
    return survey(replace(view, risk=RISK))


def test_tracking_error_with_a_risk_model_counts_what_offsets() -> None:
    found = known()
    gap = np.array([0.25, -0.5])
    by_hand = 0.04 * 0.25**2 + 0.09 * 0.5**2 - 2 * 0.03 * 0.25 * 0.5
    assert found.tracking_error(gap) == pytest.approx(by_hand**0.5)
    daily = np.array([[0.04, 0.03], [0.03, 0.09]]) / 252
    assert found.tracking_error(gap) == pytest.approx(np.sqrt(252 * gap @ daily @ gap))
    assert found.drift_cost(gap, 5) == pytest.approx(0.5 * 5 * by_hand * 4000)
    assert found.tracking_error(gap * 0) == 0


def test_a_name_the_model_does_not_know_stands_alone() -> None:
    view = household([account("main", 1000)], {"A": 1, "new": 1}, {"A": "0.5", "new": "0.5"})
    found = survey(replace(view, risk=RISK))
    assert found.exposure(np.array([0.0, 0.5])) == pytest.approx([0, 0.3**2 * 0.5])


@calm
@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=2), st.lists(st.floats(-1, 1), min_size=2, max_size=2),
    st.booleans(),
)  # fmt: skip
def test_savings_by_name_sum_to_the_whole(before: list[float], after: list[float], has_risk: bool) -> None:
    found = replace(known(), risk=RISK if has_risk else None)
    one, other = np.array(before), np.array(after)
    whole = found.drift_cost(one, 5) - found.drift_cost(other, 5)
    assert found.savings(one, other, 5).sum() == pytest.approx(whole, abs=1e-6)
