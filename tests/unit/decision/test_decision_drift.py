"""Drift: weights of total NAV, net of open orders, with what the request does not name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from decision_world import account, household, lot, order

from gateway.decision.drift import survey
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
