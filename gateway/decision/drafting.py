"""Drafting: weights to trade become priced proposals, before anything is judged or cut to cash.

Rules of this room:
1. A draft knows nothing of wash sales, gates or cash; `policy.py` looks after those.
2. With a risk model a proposal's benefit is its share of what the whole draft saves (`Survey.savings`);
   without one, names are taken one by one. A policy that weighs names together has its basket judged as
   one (`shared`).
3. A part is priced as what it trades, before it is traded: the sketch this product began from measured
   the gap that was left after half of it was closed, halved that again, and so charged a quarter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from gateway.decision import sizing
from gateway.decision.costs import price_trade
from gateway.decision.drift import Floats, Survey
from gateway.decision.tax_record import tax_record
from gateway.decision.view import View
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.settings import Decision
from gateway.events import Action


def share_of(action: Action, decision: Decision) -> float:
    """Return the share of every gap an action trades by itself."""
    return float(decision.partial_fraction) if action is Action.PARTIAL else 1.0


def priced(view: View, found: Survey, trade: Floats) -> tuple[sizing.Wish, dict[str, Proposal]]:
    """Return whole lots for the weights to `trade`, and a proposal for each name that gets one."""
    wish = sizing.wish_of(view, found, trade)
    gaps = dict(zip(found.symbols, found.gap.tolist(), strict=True))
    proposals, record = {}, tax_record(view)
    for symbol, lots in zip(wish.symbols, wish.lots.tolist(), strict=True):
        if lots:
            qty = abs(lots) * view.instruments[symbol].lot_size
            side = side_of(view, symbol, lots)
            proposals[symbol] = price_trade(view, symbol, side, qty, gaps[symbol], found.nav, record)
    return wish, valued(view, found, proposals)


def valued(view: View, found: Survey, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
    """Return the proposals with their shares of what they save together, where a risk model knows it."""
    if found.risk is None or not proposals:
        return dict(proposals)
    moved = np.array([weight_of(proposals.get(symbol), found) for symbol in found.symbols])
    decision = view.account.decision
    saved = found.savings(found.gap, found.gap - moved, float(decision.risk_aversion))
    shares = dict(zip(found.symbols, (saved * float(decision.horizon_years)).tolist(), strict=True))
    return {symbol: replace(item, benefit=shares[symbol]) for symbol, item in proposals.items()}


def shared(
    proposals: Mapping[str, Proposal], found: Survey, worth: Callable[[Floats], float]
) -> dict[str, float]:
    """Return the benefit of each proposal of a basket: its share, by cost, of what all are `worth` together.

    So every one of them is worth its cost where all together are. Where they are not the answer is empty:
    then each is judged alone. Where nothing costs anything, shares go by value.
    """
    moved = np.array([weight_of(proposals.get(symbol), found) for symbol in found.symbols])
    whole = worth(moved) * float(found.nav)
    cost = sum(item.cost for item in proposals.values())
    if whole <= cost:
        return {}
    size = {symbol: item.cost if cost else float(item.notional) for symbol, item in proposals.items()}
    unit = whole / sum(size.values())
    return {symbol: unit * one for symbol, one in size.items()}


def weight_of(item: Proposal | None, found: Survey) -> float:
    """Return the weight of NAV a proposal moves, signed; 0 for none."""
    return item.side.sign * float(item.notional / found.nav) if item is not None else 0.0


def side_of(view: View, symbol: str, lots: int) -> Side:
    """Choose Side(54): what is sold without being held is sold short."""
    if lots > 0:
        return Side.BUY
    return Side.SELL if view.book.position(view.account.name, symbol) > 0 else Side.SELL_SHORT
