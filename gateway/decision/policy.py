"""The policy: one request becomes one plan, with a reason for every name. The room's front door.

Rules of this room:
1. `propose` is a function of its `View`: the same view gives the same plan.
2. A plan only proposes. What must not be sent (wash sale, not worth its cost) is in it too, with its
   numbers, so that `oms/checks.py` denies it with a reason; it uses no cash of the plan.
3. A name is on one side of a plan; sales come first, then buys, each by falling benefit.
4. A basket of a policy that weighs names together is judged as one, of what may be sent of it: without what
   a wash sale forbids, and again when the cash cuts it. When the rest no longer pays, each name is judged
   alone. Either way what is sent says it is worth more than it costs, and the gate sees the numbers.
5. Weights are of total NAV, whatever `others` says: with KEEP, targets that leave less than the kept
   holdings need are cut to the cash there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np

from gateway.decision import sizing
from gateway.decision.costs import price_trade, proceeds
from gateway.decision.drafting import priced, share_of, shared, weight_of
from gateway.decision.drift import NOISE, ZERO, Floats, Survey, survey
from gateway.decision.policies import decide, policy_of
from gateway.decision.substitution import stand_in
from gateway.decision.triggers import Verdict
from gateway.decision.view import View
from gateway.decision.wash_sale import Watch, watch
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
    alone: dict[str, float] = field(default_factory=dict)
    """What each proposal is worth alone."""


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
        draft.notes = dict.fromkeys(_off_target(view, found), text) | dict(verdict.notes)
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
    draft = Draft(proposals, set(), _notes(view, found, verdict))
    draft.alone = {symbol: item.benefit for symbol, item in proposals.items()}
    is_urgent = action is Action.IMMEDIATE
    known = watch(view, substitute=stand_in(view))
    for symbol, item in draft.proposals.items():
        draft.proposals[symbol] = known.marked(item)
    _weigh(view, draft, found, verdict.worth)
    if _mark_own_losses(view, known, draft, is_urgent=is_urgent):
        _weigh(view, draft, found, verdict.worth)
    _judge_all(view, draft, is_urgent=is_urgent)
    if _cut_to_cash(view, found, wish, draft):
        sales = _sales(draft)
        _weigh(view, draft, found, verdict.worth)
        _judge_all(view, draft, is_urgent=is_urgent)
        if _sales(draft) != sales:  # what is left of a basket no longer pays, nor do these sales for the buys
            _cut_to_cash(view, found, wish, draft)
            _judge_all(view, draft, is_urgent=is_urgent)
    return draft


def _sales(draft: Draft) -> set[str]:
    """Name the sales that may be sent."""
    return {symbol for symbol in draft.sendable if draft.proposals[symbol].side is Side.SELL}


def _notes(view: View, found: Survey, verdict: Verdict) -> dict[str, str]:
    """Say of names off target that a verdict leaves out that they were left out, and why where it knows."""
    if verdict.trade is None:
        return {}
    left = dict(zip(found.symbols, (np.abs(verdict.trade) <= NOISE).tolist(), strict=True))
    text = f"held: {policy_of(view)} does not trade it now"
    return {symbol: text for symbol in _off_target(view, found) if left[symbol]} | dict(verdict.notes)


def _weigh(view: View, draft: Draft, found: Survey, worth: Callable[[Floats], float] | None) -> None:
    """Let what may be sent share what it is worth together, where the policy weighs names together."""
    if worth is None:
        return
    basket = {symbol: item for symbol, item in draft.proposals.items() if not _shut(view, item)}
    benefits = draft.alone | shared(basket, found, worth)
    for symbol, item in draft.proposals.items():
        draft.proposals[symbol] = replace(item, benefit=benefits[symbol])


def _shut(view: View, item: Proposal) -> str:
    """Say why an item cannot be sent whatever it is worth, as the gate will; empty when it can."""
    currency = view.instruments[item.symbol].currency
    return item.wash_sale or (f"it is quoted in {currency}" if currency in view.rates else "")


def _judge_all(view: View, draft: Draft, *, is_urgent: bool) -> None:
    for item in draft.proposals.values():
        _judge(draft, item, _shut(view, item), is_urgent=is_urgent)


def _judge(draft: Draft, item: Proposal, shut: str, *, is_urgent: bool) -> None:
    """Note whether a proposal can be sent, as the gate in `oms/checks.py` will see it."""
    draft.sendable.discard(item.symbol)
    if shut:
        draft.notes[item.symbol] = f"not sent: {shut}"
    elif not is_urgent and not item.is_worth_it:
        text = f"benefit {item.benefit:.2f} does not exceed cost {item.cost:.2f}"
        draft.notes[item.symbol] = f"not sent: {text}"
    else:
        draft.sendable.add(item.symbol)
        if item.wash_cost:
            text = f"washes a loss, by choice of the account: {item.wash_cost:.2f} of tax is not saved by it"
            draft.notes[item.symbol] = text


def _mark_own_losses(view: View, known: Watch, draft: Draft, *, is_urgent: bool) -> bool:
    """Mark the purchases that would wash a loss sale of the same plan; say if there are any.

    Of a plan's loss sale and purchase of the same group the purchase gives way, if the sale can go out.
    """
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
    is_marked = False
    for symbol, item in draft.proposals.items():
        loser = sold.get(view.instruments[symbol].group)
        if item.side is Side.BUY and not item.wash_sale and loser is not None:
            sale = draft.proposals[loser]
            draft.proposals[symbol] = known.settled(item, known.conflict_with_sale(item, sale))
            is_marked = True
    return is_marked


def _cut_to_cash(view: View, found: Survey, wish: sizing.Wish, draft: Draft) -> bool:
    """Cut the buys to cash less the buffer and open buys, plus what the plan's sales bring; say if any.

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
    gaps = dict(zip(found.symbols, found.gap.tolist(), strict=True))
    is_cut = False
    for item, qty in zip(buys, quantities, strict=True):
        symbol = item.symbol
        is_cut |= qty != item.qty
        if not qty:
            del draft.proposals[symbol]
            draft.sendable.discard(symbol)
            draft.notes[symbol] = f"the cash does not pay for any of {item.qty}"
        elif qty != item.qty:
            part = float(qty / item.qty)
            cut = price_trade(view, symbol, Side.BUY, qty, gaps[symbol], found.nav)
            draft.alone[symbol] = cut.benefit if found.risk is None else draft.alone[symbol] * part
            worth = replace(cut, benefit=draft.alone[symbol], wash_cost=item.wash_cost * part)
            draft.proposals[symbol] = worth
            draft.notes[symbol] = f"cut from {item.qty} to the cash there is"
    return is_cut


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
