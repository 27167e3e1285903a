"""Explanations: what was decided for each name, in one sentence a client would understand. Pure.

Rules of this room:
1. A sentence says only what stands in the record of a decision: it can be made again from an old journal.
2. One name, one sentence: what is done, how far off it is, what that is worth, what it costs, what tax.
3. Nothing here decides; what was not sent is explained with the gate's own words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from gateway.decision.costs import closed_by, gain_of
from gateway.decision.drift import NOISE
from gateway.decision.policy import Plan
from gateway.decision.substitution import words_of
from gateway.decision.tax_record import TaxRecord, tax_record
from gateway.decision.view import View
from gateway.domain.lots import is_long_term
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal
from gateway.domain.request import Action, LotTax, NameDecision
from gateway.events import RequestDecided

_LEFT = {"gap of": "less than the smallest order", "held": "not enough to trade"}
_VERBS = {Side.BUY: "Buy", Side.SELL: "Sell", Side.SELL_SHORT: "Sell short"}
SMALL = 0.005
"""Money below half a cent is not worth a word."""


def detailed(view: View, plan: Plan) -> tuple[NameDecision, ...]:
    """Add to each name of a plan what its trade means for tax, and what stands in for it or it for what."""
    said = words_of(view)
    proposals = {item.symbol: item for item in plan.proposals}
    record = tax_record(view)
    found = []
    for name in plan.names:
        item = proposals.get(name.symbol)
        lots = tuple(_taxed(view, item, record)) if item is not None else ()
        if item is not None and (lots or item.wash_sale):
            name = replace(name, wash_sale=item.wash_sale, lots=lots)  # noqa: PLW2901 - the same name, told more
        text = said.get(name.symbol, "")
        found.append(replace(name, substitution=text) if text else name)
    return tuple(found)


def _taxed(view: View, item: Proposal, record: TaxRecord) -> Iterable[LotTax]:
    """Yield each lot a trade closes with its gain and tax, as `costs.tax` adds them up; none untaxed."""
    closed = closed_by(view, item.symbol, item.side, item.qty, record)
    rates = view.account.costs
    net = item.price + item.side.sign * Decimal(str(item.commission)) / item.qty
    for relief in closed:
        is_long = relief.qty > 0 and is_long_term(relief.acquired, view.trade_date)
        gain = gain_of(relief, net)
        tax = gain * (rates.long_term_rate if is_long else rates.short_term_rate)
        yield LotTax(
            relief.lot_id, relief.acquired.isoformat(), abs(relief.qty), float(gain), is_long, float(tax)
        )


def sentences(decided: RequestDecided) -> dict[str, str]:
    """Explain every name of a decision, by symbol."""
    sent = {item.proposal.symbol: item.proposal for item in decided.approved}
    why_not = {denial.symbol: denial.text for denial in decided.denied}
    is_urgent = decided.action is Action.IMMEDIATE
    if decided.harvest:
        return {
            name.symbol: _harvested(name, sent.get(name.symbol), why_not.get(name.symbol, ""))
            for name in decided.names
        }
    return {
        name.symbol: sentence(name, sent.get(name.symbol), why_not.get(name.symbol, ""), is_urgent=is_urgent)
        for name in decided.names
    }


def sentence(name: NameDecision, sent: Proposal | None, why_not: str = "", *, is_urgent: bool = False) -> str:
    """Say what was decided for one name: `sent` is what may be sent of it, `why_not` why nothing may."""
    text = _decided(name, sent, why_not, is_urgent=is_urgent)
    return f"{text} {name.substitution}." if name.substitution else text


def _harvested(name: NameDecision, sent: Proposal | None, why_not: str) -> str:
    """Say what a harvest does about one name."""
    if sent is not None:
        return f"{_VERBS[sent.side]} {sent.qty.normalize():f} {name.symbol}: {name.note}."
    if name.qty:
        return f"{name.symbol} is not {'bought' if name.qty > 0 else 'sold'}: {why_not}."
    return f"{name.symbol} is left as it is: {name.note}."


def _decided(name: NameDecision, sent: Proposal | None, why_not: str, *, is_urgent: bool) -> str:
    if sent is not None:
        return _traded(name, sent, is_urgent=is_urgent)
    symbol = name.symbol
    if name.qty or why_not:
        word = "bought" if name.weight_target >= name.weight_before else "sold"
        reason = why_not or name.note.removeprefix("not sent: ") or "the checks refused it"
        return f"{symbol} is not {word} although {_place(name)}: {reason}."
    if name.note.startswith("kept"):
        return f"{symbol} is not among the targets, so its {_share(name.weight_before)} is left alone."
    if name.note == "on target" or abs(_gap(name)) <= NOISE:
        return f"{symbol} is on its target of {_share(name.weight_target)}: nothing to do."
    for note, words in _LEFT.items():
        if name.note.startswith(note):
            return f"{symbol} is left as it is: {_place(name)}, which is {words}."
    return f"{symbol} is left as it is although {_place(name)}: {name.note or 'nothing was proposed'}."


def _traded(name: NameDecision, sent: Proposal, *, is_urgent: bool) -> str:
    """Say what is traded, why, at what cost and tax."""
    verb = _VERBS[sent.side]
    if is_urgent:
        worth = "in a crisis it is corrected at any cost"
    else:
        worth = f"correcting that is worth {name.benefit:,.2f}"
    parts = [_place(name), worth, f"trading costs {name.cost:,.2f} ({_costs(name)})"]
    text = f"{verb} {sent.qty.normalize():f} {name.symbol}: {', '.join(parts)}{_tax(name)}"
    return f"{text}; {name.note}." if name.note else f"{text}."


def _costs(name: NameDecision) -> str:
    """Name the parts of a cost; impact and conversion only where there are any."""
    parts = [f"commission {name.commission:,.2f}", f"spread {name.half_spread:,.2f}"]
    more = (("impact", name.impact), ("currency conversion", name.conversion))
    parts += [f"{word} {money:,.2f}" for word, money in more if money > SMALL]
    return ", ".join(parts)


def _tax(name: NameDecision) -> str:
    """Say what is realised, by term; empty when nothing is."""
    if not name.lots:
        return ""
    found = []
    for is_long, word in ((True, "long-term"), (False, "short-term")):
        lots = [lot for lot in name.lots if lot.is_long is is_long]
        gain, tax = sum(lot.gain for lot in lots), sum(lot.tax for lot in lots)
        if abs(gain) > SMALL:
            kind, effect = ("gain", "tax") if gain > 0 else ("loss", "tax saved")
            found.append(f"a {word} {kind} of {abs(gain):,.2f} ({effect} {abs(tax):,.2f})")
    return f", and it realises {' and '.join(found)}" if found else ""


def _gap(name: NameDecision) -> float:
    return name.weight_target - name.weight_before


def _place(name: NameDecision) -> str:
    """Say where a name stands against its target."""
    gap, now, target = _gap(name), _share(name.weight_before), _share(name.weight_target)
    if abs(gap) <= NOISE:
        return f"it is on its target of {target}"
    if not name.weight_target:
        return f"it is {now} of the account and its target is nothing"
    where = "under" if gap > 0 else "over"
    return f"it is {now} of the account, {abs(gap) * 100:.2f} points {where} its target of {target}"


def _share(weight: float) -> str:
    return f"{weight:.2%}"
