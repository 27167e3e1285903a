"""Tax-loss harvesting: take a loss now, hold something alike meanwhile, and count what that really brings.

What the sketch this product began from had wrong, and what stands here instead:
- its benefit was loss x rate, as if the tax were gone; it is put off: the lower basis is taxed later, so
  a loss L is worth L * rate_now - L * rate_later / (1 + r)^T (10,000 at 40.8 % now, 23.8 % in ten years
  at 5 %: 2,619, not 4,080);
- its cost was 10 bp of the loss; a swap costs a sale and a purchase of the whole value;
- it had no limit: what this year's gains and ordinary income do not take is carried forward;
- it let any symbol of a list stand in; a substitute must be measured to move alike, and must not be
  substantially identical.

Rules of this room:
1. A plan only proposes; nothing is proposed that the wash-sale watch of the household objects to, nor two
   swaps of one plan that would wash each other.
2. The lots are those the account's lot method would relieve: the best whole-lot prefix of that order.
3. Without a risk model there is no measured correlation and no harvest.
Source: Chaudhuri, Burnham & Lo 2020, "An empirical evaluation of tax-loss-harvesting alpha", FAJ 76(3);
limits, carry-forward and netting in `tax_room.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

import numpy as np

from gateway.decision.costs import ZERO, commission, gain_of, price_trade
from gateway.decision.drift import nav_of
from gateway.decision.risk import RiskModel
from gateway.decision.tax_room import Room, valued
from gateway.decision.view import View
from gateway.domain.lots import Lot, is_long_term, ordered, relieve
from gateway.domain.order import Side
from gateway.domain.proposal import Proposal

DAYS_OF_A_YEAR = 365.25


class Locks(Protocol):
    """Say what a trade would conflict with under the wash-sale rule: `wash_sale.Watch` is one."""

    def conflict(self, symbol: str, side: Side, qty: Decimal) -> str | None:
        """Return the conflict in one sentence, None when the trade is safe."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Propose to sell a name at a loss and to buy a substitute for the same value; all figures are money.

    `saved_now` is the tax this year's loss saves (a carried part counts at next year's value),
    `taxed_later` the present value of the tax the lower basis brings, `tracking` what holding the
    substitute is expected to cost in risk; `lots` names the lots that are sold.
    """

    sell: Proposal
    buy: Proposal
    lots: tuple[str, ...]
    loss: float
    saved_now: float
    taxed_later: float
    tracking: float
    correlation: float

    @property
    def cost(self) -> float:
        """Return what both trades take today."""
        return self.sell.cost + self.buy.cost

    @property
    def net(self) -> float:
        """Return the net present value of the swap."""
        return self.saved_now - self.taxed_later - self.cost - self.tracking

    @property
    def reason(self) -> str:
        """Say it in one sentence."""
        return (
            f"selling {self.sell.qty} {self.sell.symbol} takes a loss of {self.loss:.2f}, which saves "
            f"{self.saved_now:.2f} of tax now and costs {self.taxed_later:.2f} of it later, {self.cost:.2f} "
            f"to trade and {self.tracking:.2f} in risk while {self.buy.symbol} (correlation "
            f"{self.correlation:.2f}) stands in: {self.net:.2f} is left"
        )


@dataclass(frozen=True, slots=True)
class HarvestPlan:
    """Hold the swaps that pay, best first, why other losing names are left, and the tax room after it."""

    swaps: tuple[Swap, ...] = ()
    passed_over: Mapping[str, str] = field(default_factory=dict)
    room: Room = field(default_factory=Room)


def harvest(view: View, locks: Locks, substitutes: Mapping[str, Sequence[str]], room: Room) -> HarvestPlan:
    """Plan the swaps that pay, largest loss first, each with its substitute.

    Every holding of a taxable account with a losing lot is looked at. Raises KeyError when a holding has
    no price: NAV would be unknown.
    """
    account = view.book.accounts[view.account.name]
    if not account.taxable:
        return HarvestPlan(room=room)
    losses = {
        symbol: loss
        for symbol, lots in account.lots.items()
        if (loss := sum(max(ZERO, lot.cost - lot.qty * view.prices[symbol]) for lot in lots if lot.qty > 0))
    }
    swaps: list[Swap] = []
    passed: dict[str, str] = {}
    for symbol in sorted(losses, key=lambda one: (-losses[one], one)):
        found = _best_swap(view, locks, substitutes.get(symbol, ()), symbol, room, swaps)
        if isinstance(found, str):
            passed[symbol] = found
            continue
        swap, room = found
        swaps.append(swap)
    return HarvestPlan(tuple(sorted(swaps, key=lambda swap: -swap.net)), passed, room)


def _best_swap(
    view: View, locks: Locks, others: Sequence[str], symbol: str, room: Room, swaps: Sequence[Swap]
) -> tuple[Swap, Room] | str:
    """Return the best swap out of a name and the room it leaves, or why there is none."""
    if view.risk is None:
        return "no risk model: how alike a substitute is cannot be measured"
    if view.instruments[symbol].group in {view.instruments[swap.buy.symbol].group for swap in swaps}:
        return "this plan already buys it as a substitute"
    names, refusals = _substitutes(view, view.risk, others, symbol, swaps)
    best: tuple[Swap, Room] | None = None
    for qty, lots in _prefixes(view, symbol) if names else ():
        if (text := locks.conflict(symbol, Side.SELL, qty)) is not None:
            refusals.append(text)
            continue
        for other in names:
            made = _swap(view, view.risk, locks, symbol, other, qty, lots, room)
            if isinstance(made, str):
                refusals.append(made)
            elif best is None or made[0].net > best[0].net:
                best = made
    if best is None:
        return refusals[0] if refusals else "no whole lot of it is at a loss"
    least = float(view.account.harvest.min_benefit)
    if best[0].net < least:
        return f"the best swap is worth {best[0].net:.2f}, the least is {least:.2f}: {best[0].reason}"
    return best


def _substitutes(
    view: View, risk: RiskModel, others: Sequence[str], symbol: str, swaps: Sequence[Swap]
) -> tuple[list[str], list[str]]:
    """Choose the substitutes that are alike, not identical, priced and not sold by this plan."""
    sold = {view.instruments[swap.sell.symbol].group for swap in swaps}
    least = float(view.account.harvest.min_correlation)
    chosen: list[str] = []
    refusals = [] if others else [f"no substitute for {symbol} is configured"]
    for other in others:
        correlation = risk.correlation(symbol, other)
        if view.instruments[other].group == view.instruments[symbol].group:
            refusals.append(f"{other} is substantially identical to {symbol}")
        elif view.instruments[other].group in sold:
            refusals.append(f"this plan sells {other} at a loss")
        elif other not in view.prices:
            refusals.append(f"no fresh price for {other}")
        elif correlation is None or correlation < least:
            known = "not known" if correlation is None else f"{correlation:.2f}"
            refusals.append(f"the correlation of {other} with {symbol} is {known}, the least is {least:.2f}")
        else:
            chosen.append(other)
    return chosen, refusals


def _prefixes(view: View, symbol: str) -> list[tuple[Decimal, list[Lot]]]:
    """Return (quantity, lots) of every first so many lots the method relieves that end with a losing one."""
    account = view.book.accounts[view.account.name]
    owned = [lot for lot in account.lots[symbol] if lot.qty > 0]
    instrument, price = view.instruments[symbol], view.prices[symbol]
    found: list[tuple[Decimal, list[Lot]]] = []
    total, taken = ZERO, list[Lot]()
    for lot in ordered(owned, account.lot_method):
        total += lot.qty
        taken.append(lot)
        qty = instrument.round_qty(total)
        if lot.cost > lot.qty * price and qty:
            found.append((qty, list(taken)))
    return found


def _swap(
    view: View, risk: RiskModel, locks: Locks, symbol: str, other: str, qty: Decimal, lots: Sequence[Lot],
    room: Room,
) -> tuple[Swap, Room] | str:  # fmt: skip
    """Value one swap; a string says why it cannot be."""
    account = view.book.accounts[view.account.name]
    nav = nav_of(account, view.prices)
    bought = view.instruments[other].round_qty(qty * view.prices[symbol] / view.prices[other])
    if not bought:
        return f"one lot of {other} is worth more than all that is sold of {symbol}"
    if (text := locks.conflict(other, Side.BUY, bought)) is not None:
        return text
    sell = price_trade(view, symbol, Side.SELL, qty, 0.0, nav)
    buy = price_trade(view, other, Side.BUY, bought, 0.0, nav)
    net_price = sell.price - commission(view.account.costs, qty, sell.notional, Side.SELL) / qty
    gains = [
        (float(gain_of(relief, net_price)), is_long_term(relief.acquired, view.trade_date))
        for relief in relieve(list(lots), qty, account.lot_method)
    ]
    loss = -sum(gain for gain, _ in gains)
    if loss <= 0:
        return f"the lots of {symbol} that are sold first gain more than the others lose"
    saved, later, room = valued(gains, view.account, room)
    stay = tracking_cost(view, risk, symbol, other, float(sell.notional / nav), float(nav))
    window = (view.account.decision.wash_sale_window_days + 1) / DAYS_OF_A_YEAR
    back = min(stay * float(view.account.decision.horizon_years), sell.cost + buy.cost)
    made = Swap(
        sell=sell,
        buy=buy,
        lots=tuple(lot.lot_id for lot in lots),
        loss=loss,
        saved_now=saved,
        taxed_later=later,
        tracking=stay * window + back,
        correlation=risk.correlation(symbol, other) or 0.0,
    )
    return _with_benefits(made), room


def _with_benefits(swap: Swap) -> Swap:
    """Give each leg its share, by cost, of what the swap brings, so that the cost gate sees the whole."""
    gross = swap.net + swap.cost
    share = swap.sell.cost / swap.cost if swap.cost else 0.5
    sell, buy = replace(swap.sell, benefit=gross * share), replace(swap.buy, benefit=gross * (1 - share))
    return replace(swap, sell=sell, buy=buy)


def tracking_cost(view: View, risk: RiskModel, symbol: str, other: str, weight: float, nav: float) -> float:
    """Return what holding `other` instead of `symbol` costs a year, in money: 0.5 * gamma * TE^2 * NAV."""
    variance = risk.variance((symbol, other), np.zeros(2), np.array([weight, -weight]))
    return 0.5 * float(view.account.decision.risk_aversion) * max(0.0, variance) * nav


def swap_back(
    view: View, locks: Locks, original: str, other: str, since: date, most: Decimal | None = None
) -> tuple[float, str]:
    """Say what it is worth to return from `other` to the original, in money, and why; 0 or less: keep it.

    Of what is held of `other`, no more than `most` is looked at: the rest may be there for its own sake.
    `since` is the day the loss was taken; before its window is over the answer is -infinity. What is
    saved is the tracking cost over the horizon, against two trades and the tax on the substitute's gain.
    Without a risk model nothing says that the substitute is worse: it is kept.
    """
    first = since + timedelta(days=view.account.decision.wash_sale_window_days + 1)
    if view.trade_date < first:
        return -math.inf, f"to buy {original} before {first} would wash the loss of {since}"
    all_of_it = view.book.position(view.account.name, other)
    held = view.instruments[other].round_qty(all_of_it if most is None else min(most, all_of_it))
    if held <= 0:
        return 0.0, f"no {other} is held"
    if view.risk is None:
        return 0.0, f"no risk model says that {other} is worse than {original}"
    nav = nav_of(view.book.accounts[view.account.name], view.prices)
    qty = view.instruments[original].round_qty(held * view.prices[other] / view.prices[original])
    if not qty:
        return 0.0, f"one lot of {original} is worth more than all that is held of {other}"
    for symbol, side, size in ((other, Side.SELL, held), (original, Side.BUY, qty)):
        if (text := locks.conflict(symbol, side, size)) is not None:
            return -math.inf, text
    sell = price_trade(view, other, Side.SELL, held, 0.0, nav)
    buy = price_trade(view, original, Side.BUY, qty, 0.0, nav)
    saved = tracking_cost(view, view.risk, original, other, float(sell.notional / nav), float(nav))
    saved *= float(view.account.decision.horizon_years)
    cost, due = sell.cost + buy.cost, max(0.0, sell.tax)
    worth = saved - cost - due
    text = f"{original} instead of {other} saves {saved:.2f} of risk, costs {cost:.2f} to trade"
    return worth, f"{text} and {due:.2f} of tax: {worth:.2f} is left"
