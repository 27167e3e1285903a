"""Quadratic costs and fading signals: trade a part of the way, towards an aim in front of the target.

Source: Garleanu, Pedersen, Dynamic trading with predictable returns and transaction costs, JF 68 (2013),
Propositions 2 to 4 for costs proportional to risk: 0.5 dx' (lambda S) dx a trade, returns B f + noise,
signals f fading as f' = (1 - Phi) f + noise, discount r a period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.decision.no_trade.numeric import Array


@dataclass(frozen=True, slots=True)
class PartialTrade:
    """Say how far to trade this period; arrays have one entry per asset.

    `trade` = `rate` (aim - position); `position` is the one after it. `aim` is where trading heads,
    `markowitz` the best position without costs, `a` the paper's constant.
    """

    rate: float
    a: float
    aim: Array
    markowitz: Array
    trade: Array
    position: Array


def partial_trade(
    *,
    covariance: npt.ArrayLike,
    loadings: npt.ArrayLike,
    signals: npt.ArrayLike,
    decay: npt.ArrayLike,
    position: npt.ArrayLike,
    gamma: float,
    lambda_: float,
    r: float = 0.0,
) -> PartialTrade:
    """Return the best trade under quadratic costs, exactly.

    `covariance` S (N x N) of returns a period, `loadings` B (N x K) of expected returns on `signals` f (K),
    `decay` Phi of the signals a period (K rates, or K x K), `position` (N) before the trade, `gamma` risk
    aversion, `lambda_` cost per unit of risk, `r` discount a period. Raises ValueError for other shapes,
    signs, or a covariance that cannot be inverted.
    """
    risk = np.atleast_2d(np.asarray(covariance, dtype=float))
    f = np.atleast_1d(np.asarray(signals, dtype=float))
    x = np.atleast_1d(np.asarray(position, dtype=float))
    b = np.asarray(loadings, dtype=float).reshape(x.size, -1)
    fade = np.asarray(decay, dtype=float)
    phi = fade if fade.ndim == 2 else np.diag(np.broadcast_to(fade, f.shape))  # noqa: PLR2004 - a matrix
    if risk.shape != (x.size, x.size) or b.shape[1] != f.size or phi.shape != (f.size, f.size):
        raise ValueError("covariance must be N x N, loadings N x K, signals K, decay K or K x K, position N")
    if not (gamma > 0 and lambda_ > 0 and 0 <= r < 1):
        raise ValueError("gamma and lambda_ must be above 0, r at least 0 and below 1")
    a = trading_constant(gamma=gamma, lambda_=lambda_, r=r)
    try:
        fading = np.linalg.solve(np.eye(f.size) + phi * (a / gamma), f)
        markowitz, aim = np.linalg.solve(gamma * risk, np.stack([b @ f, b @ fading], axis=1)).T
    except np.linalg.LinAlgError as problem:
        raise ValueError("covariance must be invertible: remove or shrink what is redundant") from problem
    trade = a / lambda_ * (aim - x)
    return PartialTrade(a / lambda_, a, aim, markowitz, trade, x + trade)


def trading_constant(*, gamma: float, lambda_: float, r: float) -> float:
    """Return a, the positive root of (1-r) a^2 + (gamma (1-r) + lambda r) a = gamma lambda (1-r).

    a / lambda is the part of the way traded each period, between 0 and 1.
    """
    b = gamma * (1 - r) + lambda_ * r
    return 2 * gamma * lambda_ * (1 - r) / (b + math.sqrt(b * b + 4 * gamma * lambda_ * (1 - r) ** 2))
