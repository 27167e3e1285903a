"""Harvesting as a request: the swaps worth making become a plan like any other, checked and sent like it.

Rules of this room:
1. What is proposed is what `harvest.py` found; nothing here finds or values a loss.
2. While something stands in for a name, only that may be its substitute: one name, one substitute.
3. A substitute that is held already needs a target that says how much of it: else what was bought for the
   loss could not be told from what was there before.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from gateway.decision.drift import ZERO, nav_of
from gateway.decision.harvest import HarvestPlan, Swap, harvest
from gateway.decision.policies import policy_of
from gateway.decision.policy import Plan
from gateway.decision.tax_room import room_of
from gateway.decision.view import View
from gateway.decision.wash_sale import watch
from gateway.domain.proposal import Proposal
from gateway.domain.request import Action, NameDecision
from gateway.domain.substitution import Swapped


def losses_worth_taking(view: View) -> HarvestPlan:
    """Plan the swaps that pay for one account, within what the household's year and carry-forward leave.

    Raises KeyError when a holding has no price: NAV would be unknown, the caller asks for it first.
    """
    terms = view.account.harvest
    taxed = [name for name, account in view.book.accounts.items() if account.taxable]
    room = room_of(view.book, taxed, view.trade_date, terms, terms.carried_loss)
    standing = {one.original: one.other for one in view.substitutions}
    known = {one.other for one in view.substitutions} | view.targets.keys()
    others: dict[str, list[str]] = {}
    barred: dict[str, str] = {}
    for symbol, names in view.substitutes.items():
        chosen = [standing[symbol]] if symbol in standing else list(names)
        held = [one for one in chosen if one not in known and view.book.position(view.account.name, one)]
        others[symbol] = [one for one in chosen if one not in held]
        if held and not others[symbol]:
            barred[symbol] = f"{held[0]} is held already, and no target says how much of it is wanted"
    found = harvest(view, watch(view), others, room)
    passed = {symbol: barred.get(symbol, text) for symbol, text in found.passed_over.items()}
    return replace(found, passed_over=passed)


def proposed(view: View) -> Plan:
    """Make a plan of the swaps that pay: sales, a purchase for each substitute, a word on every loss."""
    found = losses_worth_taking(view)
    account = view.book.accounts[view.account.name]
    nav = nav_of(account, view.prices)
    proposals = _merged(found.swaps)
    moved = {item.symbol: item.side.sign * float(item.notional / nav) for item in proposals}
    reasons = {swap.sell.symbol: swap.reason for swap in found.swaps}
    for swap in reversed(found.swaps):
        reasons.setdefault(swap.buy.symbol, f"stands in for {swap.sell.symbol}")
    names = [_named(view, item, float(nav), reasons[item.symbol]) for item in proposals]
    names += [_left(view, symbol, float(nav), text) for symbol, text in found.passed_over.items()]
    weights = np.array(list(moved.values()))
    error = 0.0
    if view.risk is not None and moved:
        error = sqrt(max(0.0, view.risk.variance(tuple(moved), np.zeros(len(moved)), weights)))
    return Plan(
        action=Action.FULL if found.swaps else Action.HOLD,
        reason=_reason(found),
        nav=nav,
        cash=account.cash,
        drift=float(np.abs(weights).sum()),
        max_drift=float(np.abs(weights).max(initial=0.0)),
        proposals=tuple(proposals),
        names=tuple(sorted(names, key=lambda name: name.symbol)),
        missing_prices=(),
        tracking_error_left=error,
        policy=policy_of(view),
        swaps=tuple(_shown(swap) for swap in found.swaps),
    )


def _reason(found: HarvestPlan) -> str:
    if not found.swaps:
        return "no loss is worth taking" if found.passed_over else "nothing is held at a loss"
    loss, net = sum(one.loss for one in found.swaps), sum(one.net for one in found.swaps)
    many = "1 loss" if len(found.swaps) == 1 else f"{len(found.swaps)} losses"
    return f"{many} of {loss:,.2f} worth taking: {net:,.2f} is left after later tax, trading and risk"


def _merged(swaps: tuple[Swap, ...]) -> list[Proposal]:
    """Return the sales, then one purchase for each substitute."""
    buys: dict[str, Proposal] = {}
    for swap in swaps:
        one, more = buys.get(swap.buy.symbol), swap.buy
        buys[more.symbol] = more if one is None else replace(
            one, qty=one.qty + more.qty, benefit=one.benefit + more.benefit,
            commission=one.commission + more.commission, half_spread=one.half_spread + more.half_spread,
            impact=one.impact + more.impact, conversion=one.conversion + more.conversion,
        )  # fmt: skip
    return [*(swap.sell for swap in swaps), *buys.values()]


def _named(view: View, item: Proposal, nav: float, reason: str) -> NameDecision:
    before = float(view.book.position(view.account.name, item.symbol) * item.price) / nav
    after = before + item.side.sign * float(item.notional) / nav
    return NameDecision(
        symbol=item.symbol, price=item.price, weight_before=before, weight_target=after, weight_after=after,
        qty=item.side.sign * item.qty, benefit=item.benefit, commission=item.commission,
        half_spread=item.half_spread, tax=item.tax, note=reason, impact=item.impact,
        conversion=item.conversion,
    )  # fmt: skip


def _left(view: View, symbol: str, nav: float, reason: str) -> NameDecision:
    price = view.prices[symbol]
    weight = float(view.book.position(view.account.name, symbol) * price) / nav
    return NameDecision(symbol, price, weight, weight, weight, ZERO, note=reason)


def _shown(swap: Swap) -> Swapped:
    return Swapped(
        original=swap.sell.symbol, other=swap.buy.symbol, sell_qty=swap.sell.qty, buy_qty=swap.buy.qty,
        lots=swap.lots, loss=swap.loss, saved_now=swap.saved_now, taxed_later=swap.taxed_later,
        cost=swap.cost, tracking=swap.tracking, net=swap.net, correlation=swap.correlation,
        reason=swap.reason,
    )  # fmt: skip
