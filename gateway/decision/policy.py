"""The policy: one request becomes one plan, with a reason for every name. The room's front door.

Rules of this room:
1. `propose` is a function of its `View`: the same view gives the same plan.
2. A plan only proposes. What must not be sent (wash sale, not worth its cost) is in it too, with its
   numbers, so that `oms/checks.py` denies it with a reason; it uses no cash of the plan.
3. A name is on one side of a plan; sales come first, then buys, each by falling benefit.
4. Weights are of total NAV, whatever `others` says: with KEEP, targets that leave less than the kept
   holdings need are cut to the cash there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from gateway.decision import sizing
from gateway.decision.costs import price_trade, proceeds
from gateway.decision.drafting import priced, share_of, weight_of
from gateway.decision.drift import NOISE, ZERO, Survey, survey
from gateway.decision.policies import decide, policy_of
from gateway.decision.substitution import stand_in
from gateway.decision.triggers import Verdict
from gateway.decision.view import View
from gateway.decision.wash_sale import watch
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.substitution import Swapped
from gateway.events import Action, NameDecision, PolicyName


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what to do about one request, and why.

    `drift` is the summed, `max_drift` the largest absolute gap in weight. `names` explains every
    name held or wanted. `missing_prices` are wanted but have no fresh price. `tracking_error_left`
    is annual, after the trades that may be sent, names taken as uncorrelated without a risk model.
    `swaps` are the losses a harvest takes (`harvesting.py`).
    """

    action: Action
    reason: str
    nav: Decimal
    cash: Decimal
    drift: float
    max_drift: float
    proposals: tuple[Proposal, ...]
    names: tuple[NameDecision, ...]
    missing_prices: tuple[str, ...]
    tracking_error_left: float
    policy: PolicyName
    swaps: tuple[Swapped, ...] = ()


@dataclass(slots=True)
class Draft:
    """Collect what was proposed for each symbol and what there is to say about it."""

    proposals: dict[str, Proposal]
    sendable: set[str]
    notes: dict[str, str]


def propose(view: View) -> Plan:
    """Decide one request: whether to trade, how far, which lots, at what benefit, cost and tax.

    Raises KeyError when a holding has no price: NAV would be unknown, the caller asks for it first.
    """
    found = survey(view)
    if found.nav <= 0:
        verdict = Verdict(Action.HOLD, f"NAV of {found.nav:.2f} is not positive: weights mean nothing")
    else:
        verdict = decide(view, found)
    draft = Draft({}, set(), {})
    if verdict.action is Action.HOLD:
        is_by_triggers = policy_of(view) is PolicyName.TRIGGERS
        text = "held: no trigger fired" if is_by_triggers else f"held: {policy_of(view)} does not trade now"
        draft.notes = dict.fromkeys(_off_target(view, found), text)
    else:
        draft = _draft(view, found, verdict)
    traded = np.array([_traded(draft, symbol, found) for symbol in found.symbols])
    ranked = sorted(
        draft.proposals.values(), key=lambda item: (item.side is Side.BUY, -item.benefit, item.symbol)
    )
    return Plan(
        action=verdict.action,
        reason=verdict.reason,
        nav=found.nav,
        cash=found.cash,
        drift=found.drift,
        max_drift=found.max_drift,
        proposals=tuple(ranked),
        names=_names(view, found, draft),
        missing_prices=found.missing,
        tracking_error_left=found.tracking_error(found.gap - traded),
        policy=policy_of(view),
    )


def _off_target(view: View, found: Survey) -> list[str]:
    """Name what has a price and a gap."""
    return [
        symbol
        for symbol, gap in zip(found.symbols, found.gap.tolist(), strict=True)
        if symbol in view.prices and abs(gap) > NOISE
    ]


def _draft(view: View, found: Survey, verdict: Verdict) -> Draft:
    """Size what is to be traded, mark what must not be sent, and cut the buys to the cash there is."""
    action = verdict.action
    trade = verdict.trade
    if trade is None:
        trade = found.gap * share_of(action, view.account.decision)
    wish, proposals = priced(view, found, trade)
    gaps = dict(zip(found.symbols, found.gap.tolist(), strict=True))
    draft = Draft(proposals, set(), {})
    _mark_wash_sales(view, draft, is_urgent=action is Action.IMMEDIATE)
    for item in draft.proposals.values():
        _judge(draft, item, is_urgent=action is Action.IMMEDIATE)
    uncut = dict(draft.proposals)
    _cut_to_cash(view, found, wish, draft, gaps)
    for symbol, item in draft.proposals.items():
        if item is not uncut[symbol]:
            _judge(draft, item, is_urgent=action is Action.IMMEDIATE)
    return draft


def _judge(draft: Draft, item: Proposal, *, is_urgent: bool) -> None:
    """Note whether a proposal can be sent, as the gate in `oms/checks.py` will see it."""
    draft.sendable.discard(item.symbol)
    if item.wash_sale:
        draft.notes[item.symbol] = f"not sent: {item.wash_sale}"
    elif not is_urgent and not item.is_worth_it:
        text = f"benefit {item.benefit:.2f} does not exceed cost {item.cost:.2f}"
        draft.notes[item.symbol] = f"not sent: {text}"
    else:
        draft.sendable.add(item.symbol)
        if item.wash_cost:
            text = f"washes a loss, by choice of the account: {item.wash_cost:.2f} of tax is not saved by it"
            draft.notes[item.symbol] = text


def _mark_wash_sales(view: View, draft: Draft, *, is_urgent: bool) -> None:
    """Mark every proposal that conflicts with the household's trades, or with the plan's own loss sales.

    Of a plan's loss sale and purchase of the same group the purchase gives way, if the sale can go out.
    """
    known = watch(view, substitute=stand_in(view))
    for symbol, item in draft.proposals.items():
        draft.proposals[symbol] = known.marked(item)
    bought = {
        view.instruments[symbol].group for symbol, item in draft.proposals.items() if item.side is Side.BUY
    }
    sold = {
        group: symbol
        for symbol, item in draft.proposals.items()
        if item.side is Side.SELL and (group := view.instruments[symbol].group) in bought
        if not item.wash_sale and (is_urgent or item.is_worth_it)
        if known.loses(view.account.name, symbol, item.qty)
    }
    for symbol, item in draft.proposals.items():
        loser = sold.get(view.instruments[symbol].group)
        if item.side is Side.BUY and not item.wash_sale and loser is not None:
            sale = draft.proposals[loser]
            draft.proposals[symbol] = known.settled(item, known.conflict_with_sale(item, sale))


def _cut_to_cash(
    view: View, found: Survey, wish: sizing.Wish, draft: Draft, gaps: Mapping[str, float]
) -> None:
    """Cut the buys to cash less the buffer and open buys, plus what the plan's sales should bring.

    Buys count at their worst price, sales at the reference less their costs: when a sale brings less,
    `fit_to_cash` cuts again, from cash that is there. Proceeds of short sales buy nothing.
    """
    budget = found.cash - view.account.execution.cash_buffer * found.nav
    for order in view.open_orders:
        if order.account == view.account.name and order.side is Side.BUY:
            budget -= order.leaves_qty * view.prices.get(order.symbol, ZERO)
    at = []
    for index, symbol in enumerate(wish.symbols):
        item = draft.proposals.get(symbol)
        if item is not None and symbol in draft.sendable:
            if item.side is Side.BUY:
                at.append(index)
            elif item.side is Side.SELL:
                budget += proceeds(item)
    buys = [draft.proposals[wish.symbols[index]] for index in at]
    chosen = np.array(at, dtype=np.intp)
    quantities = sizing.affordable(view, buys, wish.wanted[chosen], wish.grid.take(chosen), budget)
    for item, qty in zip(buys, quantities, strict=True):
        symbol = item.symbol
        if not qty:
            del draft.proposals[symbol]
            draft.sendable.discard(symbol)
            draft.notes[symbol] = f"the cash does not pay for any of {item.qty}"
        elif qty != item.qty:
            cut = _cut(view, found, item, qty, gaps[symbol])
            draft.proposals[symbol] = replace(cut, wash_cost=item.wash_cost * float(qty / item.qty))
            draft.notes[symbol] = f"cut from {item.qty} to the cash there is"


def _cut(view: View, found: Survey, item: Proposal, qty: Decimal, gap: float) -> Proposal:
    """Price a smaller buy; with a risk model it keeps its part of the benefit, in proportion."""
    cut = price_trade(view, item.symbol, Side.BUY, qty, gap, found.nav)
    return cut if found.risk is None else replace(cut, benefit=item.benefit * float(qty / item.qty))


def _traded(draft: Draft, symbol: str, found: Survey) -> float:
    """Return the weight that the trade to be sent moves, signed, 0 when there is none."""
    return weight_of(draft.proposals.get(symbol) if symbol in draft.sendable else None, found)


def _names(view: View, found: Survey, draft: Draft) -> tuple[NameDecision, ...]:
    """Explain every name that is wanted or held, in alphabetical order."""
    columns = (found.weight.tolist(), found.target.tolist(), found.gap.tolist())
    names = [
        _decided(view, found, draft, symbol, *numbers)
        for symbol, *numbers in zip(found.symbols, *columns, strict=True)
    ]
    for symbol in found.kept:
        held = view.book.position(view.account.name, symbol) * view.prices[symbol]
        weight = float(held / found.nav) if found.nav else 0.0
        text = "kept: the request does not name it"
        names.append(NameDecision(symbol, view.prices[symbol], weight, weight, weight, ZERO, note=text))
    return tuple(sorted(names, key=lambda name: name.symbol))


def _decided(
    view: View, found: Survey, draft: Draft, symbol: str, weight: float, target: float, gap: float
) -> NameDecision:
    price = view.prices.get(symbol, ZERO)
    item = draft.proposals.get(symbol)
    if item is None:
        note = draft.notes.get(symbol) or _why_not(view, symbol, gap, float(found.nav))
        return NameDecision(symbol, price, weight, target, weight, ZERO, note=note)
    return NameDecision(
        symbol=symbol,
        price=price,
        weight_before=weight,
        weight_target=target,
        weight_after=weight + _traded(draft, symbol, found),
        qty=item.side.sign * item.qty,
        benefit=item.benefit,
        commission=item.commission,
        half_spread=item.half_spread,
        tax=item.tax,
        note=draft.notes.get(symbol, ""),
        impact=item.impact,
        conversion=item.conversion,
    )


def _why_not(view: View, symbol: str, gap: float, nav: float) -> str:
    """Say why a name that was not proposed is left as it is."""
    if abs(gap) <= NOISE:
        return "on target"
    if symbol not in view.prices:
        return "no fresh price"
    instrument = view.instruments[symbol]
    lot, least = view.prices[symbol] * instrument.lot_size, instrument.min_notional
    text = f"gap of {gap * nav:+.2f} left: a lot is {lot:.2f}, the smallest order {least:.2f}"
    held = view.book.position(view.account.name, symbol)
    return f"{text}, {held} held to sell" if gap < 0 else text
