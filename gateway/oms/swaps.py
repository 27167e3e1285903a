"""Swaps under way: when a substitution begins and ends, and how much of a substitute may be bought. Pure.

Rules of this room:
1. Both legs of a swap are approved, or neither is.
2. A substitute is bought for what was really sold of its name, never for what was meant to be sold.
3. A substitution stands from the first share sold; when all of it is taken back, it never stood.
4. It ends when a decision goes back to the name, or when the window is over and nothing stands in any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from gateway.domain.order import Side
from gateway.domain.proposal import Approved
from gateway.domain.settings import Settings
from gateway.domain.substitution import Substitution, Swapped, joined
from gateway.events import Denial, DenyReason, GatewayStarted, RequestFinished
from gateway.oms.booking import trade_date
from gateway.oms.state import Applied, Request, State

ZERO = Decimal(0)


def paired(
    approved: Sequence[Approved], denied: Sequence[Denial], swaps: Sequence[Swapped]
) -> tuple[list[Approved], list[Denial]]:
    """Deny every leg of a swap whose other leg was denied, until no leg stands alone."""
    kept, refused = list(approved), list(denied)
    while True:
        gone = {denial.symbol for denial in refused}
        paid = {swap.other for swap in swaps if swap.original not in gone}
        why = {swap.other: swap.original for swap in swaps if swap.other not in paid}
        why |= {swap.original: swap.other for swap in swaps if swap.other in gone}
        alone = [item.proposal for item in kept if item.proposal.symbol in why]
        if not alone:
            return kept, refused
        kept = [item for item in kept if item.proposal.symbol not in why]
        refused += [
            Denial(
                item.symbol, item.side, item.qty, DenyReason.UNSOLD,
                f"the other leg of its swap, {why[item.symbol]}, is denied",
            )
            for item in alone
        ]  # fmt: skip


def due(request: Request, symbol: str, state: State) -> Decimal | None:
    """Return how much of a substitute what was sold pays for, not yet in lots; None for any other name."""
    parts = [swap for swap in request.swaps if swap.other == symbol]
    if not parts:
        return None
    sold: dict[str, Decimal] = {}
    for cl_ord_id in request.orders:
        order = state.orders[cl_ord_id]
        sold[order.spec.symbol] = sold.get(order.spec.symbol, ZERO) + order.cum_qty
    return sum((one.buy_qty * sold.get(one.original, ZERO) / one.sell_qty for one in parts), ZERO)


def follow(state: State, applied: Applied, settings: Settings) -> None:
    """Let a substitution stand once something of its name is sold, and fall when that is taken back."""
    order, request = applied.order, applied.request
    if order is None or request is None or not request.swaps or order.spec.side is not Side.SELL:
        return
    spec = order.spec
    swap = next((one for one in request.swaps if one.original == spec.symbol), None)
    if swap is None:
        return
    known = state.substitutions.get(spec.account, ())
    if applied.gains:
        since = max(gain.sold for gain in applied.gains)
        window = settings.accounts[spec.account].decision.wash_sale_window_days
        new = Substitution(
            swap.original, swap.other, since, since + timedelta(days=window + 1), spec.request_id, swap.reason
        )
        state.substitutions[spec.account] = joined(known, new)
    elif not order.cum_qty:
        mine = (spec.request_id, spec.symbol)
        _keep(state, spec.account, [one for one in known if (one.request_id, one.original) != mine])


def go_back(state: State, account: str, names: Sequence[str]) -> None:
    """Read targets for these names as they are written again."""
    known = state.substitutions.get(account, ())
    _keep(state, account, [one for one in known if one.original not in names])


def prune(state: State, event: RequestFinished | GatewayStarted, settings: Settings) -> None:
    """Forget what stands in for nothing: the window is over, and none of the substitute is held."""
    today = trade_date(event.at, settings)
    for account, known in list(state.substitutions.items()):
        held = state.book.accounts[account].positions
        _keep(state, account, [one for one in known if today < one.free_from or held.get(one.other)])


def _keep(state: State, account: str, left: Sequence[Substitution]) -> None:
    if left:
        state.substitutions[account] = tuple(left)
    else:
        state.substitutions.pop(account, None)
