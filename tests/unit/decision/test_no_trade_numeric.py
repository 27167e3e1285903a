"""The room's numerical tools: bisection to the last bit, Newton that gives up honestly, exact derivatives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gateway.decision.no_trade.numeric import bisect, chebyshev, gauss, jacobian, newton, slope


def test_bisection_is_exact_to_the_last_bit() -> None:
    root = bisect(lambda x: x * x - 2 if x < 1.9 else math.inf, 0.0, 2.0)
    assert root * root <= 2
    assert math.nextafter(root, 3) ** 2 > 2


def test_derivatives_have_no_differences_in_them() -> None:
    assert slope(lambda x: complex(np.exp(x) / x), 1.7) == pytest.approx(
        math.exp(1.7) * (1.7 - 1) / 1.7**2, rel=1e-15
    )
    found = jacobian(lambda x: np.array([x[0] * x[1], np.exp(x[0])]), np.array([2.0, 3.0]))
    assert found == pytest.approx(np.array([[3.0, 2.0], [math.exp(2), 0.0]]), rel=1e-15)


def test_newton_finds_a_root_from_far_away() -> None:
    found = newton(lambda x: np.arctan(x - 3), np.array([40.0]))
    assert found is not None
    assert found[0] == pytest.approx(3, abs=1e-14)


def test_newton_takes_what_rounding_leaves_for_a_root() -> None:
    """At 1e8 x^2 - 1 loses half of its digits in the sum: no step lets it fall, and none is large."""
    found = newton(lambda x: ((x + 1e8) - 1e8) ** 2 - 0.25 + 1e-17 * x, np.array([0.5 + 1e-10]))
    assert found is not None
    assert found[0] == pytest.approx(0.5, abs=1e-8)


@pytest.mark.parametrize(
    ("function", "start", "steps"),
    [
        (lambda x: x**2 + 1, 0.5, 60),  # no real root
        (lambda x: x * np.nan, 1.0, 60),  # not defined at the start
        (lambda x: np.exp(x) - 5, 30.0, 3),  # not enough steps
    ],
)
def test_newton_gives_up(function: Any, start: float, steps: int) -> None:
    assert newton(function, np.array([start]), steps) is None


def test_nodes_integrate_and_differentiate_polynomials() -> None:
    nodes, weights = gauss(8)
    assert weights @ nodes**14 == pytest.approx(2 / 15)
    points, matrix = chebyshev(12)
    assert matrix @ points**12 == pytest.approx(12 * points**11, abs=1e-12)
    assert points[0] == -1
    assert points[-1] == 1
