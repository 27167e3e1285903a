"""Small numerical tools of this room: bisection, Newton by complex step, Gauss and Chebyshev nodes.

Rules:
1. Everything is deterministic and bounded: a fixed number of steps, then an honest answer.
2. A function given to `newton` or `slope` is analytic in its argument: no abs, min, max or comparisons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
STEP = 1e-30
"""Complex step: the derivative is the imaginary part, with no difference of nearly equal numbers in it."""
STILL = 1e-11
ROUNDING = 1e-9


@lru_cache
def gauss(count: int) -> tuple[Array, Array]:
    """Return the nodes and weights of Gauss-Legendre quadrature on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


@lru_cache
def chebyshev(degree: int) -> tuple[Array, Array]:
    """Return the degree + 1 Chebyshev points, rising from -1 to 1, and their differentiation matrix.

    Source: L. N. Trefethen, Spectral Methods in MATLAB (2000), chapter 6.
    """
    points = -np.cos(np.pi * np.arange(degree + 1) / degree)
    ends = np.ones(degree + 1)
    ends[[0, -1]] = 2.0
    ends *= (-1.0) ** np.arange(degree + 1)
    apart = points[:, None] - points[None, :]
    matrix = np.outer(ends, 1 / ends) / (apart + np.eye(degree + 1))
    matrix -= np.diag(matrix.sum(axis=1))
    return points, matrix


def bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that is negative at `low` and positive at `high` changes sign, to the last bit.

    The function may be infinite; it is asked about 60 to 130 times.
    """
    while low < (middle := 0.5 * (low + high)) < high:
        if function(middle) > 0:
            high = middle
        else:
            low = middle
    return low


def slope(function: Callable[[complex], complex], at: float) -> float:
    """Return the derivative of an analytic function at a real point."""
    return function(complex(at, STEP)).imag / STEP


def jacobian(
    residual: Callable[[npt.NDArray[np.complex128]], npt.NDArray[np.complex128]], at: Array
) -> Array:
    """Return the matrix of derivatives of a vector function, one column an unknown."""
    columns = []
    for index in range(at.size):
        moved = at.astype(np.complex128)
        moved[index] += 1j * STEP
        columns.append(residual(moved).imag / STEP)
    return np.stack(columns, axis=1)


def newton(
    residual: Callable[[npt.NDArray[np.complex128]], npt.NDArray[np.complex128]],
    start: Array,
    steps: int = 60,
) -> Array | None:
    """Return a root of an analytic vector function near `start`, None when none was found.

    Steps are halved until the residual falls; a root is where a full step no longer moves anything by
    more than 1e-11 of the largest unknown, or by no more than 1e-9 of it and the residual no longer falls:
    then what is left is rounding.
    """
    with np.errstate(all="ignore"):
        return _newton(residual, start, steps)


def _newton(
    residual: Callable[[npt.NDArray[np.complex128]], npt.NDArray[np.complex128]], start: Array, steps: int
) -> Array | None:
    found, size = start, _size(residual, start)
    for _ in range(steps):
        matrix = jacobian(residual, found)
        if not np.isfinite(matrix).all():
            return None
        move = np.linalg.lstsq(matrix, -residual(found.astype(np.complex128)).real, rcond=None)[0]
        moved = np.abs(move).max() / np.abs(found).max()
        share, tried = 1.0, _size(residual, found + move)
        if moved <= STILL or (moved <= ROUNDING and not tried < size):
            return np.asarray(found + move)
        while not tried < size and share > STEP:
            share *= 0.5
            tried = _size(residual, found + share * move)
        if share <= STEP:
            return None
        found, size = found + share * move, tried
    return None


def _size(residual: Callable[[npt.NDArray[np.complex128]], npt.NDArray[np.complex128]], at: Array) -> float:
    """Return the largest residual, not a number where the function is not defined."""
    return float(np.abs(residual(at.astype(np.complex128))).max())
