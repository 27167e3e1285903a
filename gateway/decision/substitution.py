"""Substitution: targets for a name that was sold for its loss are read as targets for what stands in for it.

Rules of this room:
1. This is the only place where that is done; the engine's `View` is made with it, so that decisions,
   previews, the drift watched and the reports read the same targets.
2. A name is never bought back inside its window: of its target it keeps what is held of it, its substitute
   gets the rest. When the target falls, the substitute is therefore sold first.
3. The window over, targets mean the name again as soon as going back pays (`harvest.swap_back`), or nothing
   of the substitute is held.
4. A substitution of which the configuration no longer knows a name is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from gateway.decision.drift import nav_of
from gateway.decision.harvest import swap_back
from gateway.decision.view import View
from gateway.decision.wash_sale import Substitute, conflict, watch
from gateway.domain.order import Side
from gateway.domain.substitution import Substitution

ZERO = Decimal(0)


def substituted(view: View, known: Sequence[Substitution]) -> View:
    """Return the view with its targets as they are meant while `known` stand in; weights add up as before.

    A view in which a holding has no price is returned with its targets as they are: no weight is known.
    """
    standing = tuple(one for one in known if {one.original, one.other} <= view.instruments.keys())
    view = replace(view, substitutions=standing)
    account = view.book.accounts[view.account.name]
    if not standing or not account.positions.keys() <= view.prices.keys():
        return view
    nav = nav_of(account, view.prices)
    wanted = [one for one in standing if one.original in view.targets]
    if nav <= 0 or not wanted:
        return view
    back = tuple(one.original for one in wanted if _goes_back(view, one))
    targets = dict(view.targets)
    for one in standing:  # in order: a substitute that is itself replaced comes after what leads to it
        if one.original not in targets or one.original in back:
            continue
        weight = targets[one.original]
        value = view.book.position(view.account.name, one.original) * view.prices.get(one.original, ZERO)
        stays = min(weight, max(ZERO, value / nav))
        targets[one.original] = stays
        targets[one.other] = targets.get(one.other, ZERO) + weight - stays
    return replace(view, targets=targets, swapped_back=back)


def _goes_back(view: View, one: Substitution) -> bool:
    """Say whether targets for a name are to be read as they are written again."""
    if view.trade_date < one.free_from:
        return False
    if view.book.position(view.account.name, one.other) <= 0:
        return True
    if not {one.original, one.other} <= view.prices.keys():
        return False
    worth, _ = swap_back(view, watch(view), one.original, one.other, one.since)
    return worth > 0


def words_of(view: View) -> dict[str, str]:
    """Say of each name what stands in for it, or it for what, by symbol."""
    said: dict[str, list[str]] = {}
    for one in view.substitutions:
        text = f"{one.original} is read as itself again" if one.original in view.swapped_back else one.text
        for symbol in (one.original, one.other):
            said.setdefault(symbol, []).append(text)
    return {symbol: "; ".join(texts) for symbol, texts in said.items()}


def stand_in(view: View) -> Substitute:
    """Return a function that names what may be bought instead of a symbol now, empty when nothing may.

    That is what stands in for it already, else the first of its substitutes that is not substantially
    identical, has a price, moves alike as far as is known, and would wash no loss itself.
    """
    standing = {one.original: one.other for one in view.substitutions}
    least = float(view.account.harvest.min_correlation)

    def named(symbol: str) -> str:
        for other in (standing[symbol],) if symbol in standing else view.substitutes.get(symbol, ()):
            alike = view.risk.correlation(symbol, other) if view.risk is not None else None
            instrument = view.instruments[other]
            if (
                instrument.group != view.instruments[symbol].group
                and other in view.prices
                and (alike is None or alike >= least)
                and conflict(view, other, Side.BUY, instrument.lot_size) is None
            ):
                return other
        return ""

    return named
