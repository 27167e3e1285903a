"""What a report says of losses: those worth taking, and what stands in for names whose loss was taken.

Rules of this room: those of `report.py`.
"""

from __future__ import annotations

from typing import Any

from gateway.decision.harvesting import losses_worth_taking
from gateway.decision.market import Market
from gateway.domain.settings import Settings
from gateway.events import TargetsSubmitted
from gateway.oms.state import State
from gateway.outlook import Outlook
from gateway.views.week import last_prices


def stand_ins(state: State, account: str) -> list[dict[str, Any]]:
    """Return what stands in for what, since when and until when at least."""
    return [
        {
            "original": one.original, "other": one.other, "since": one.since, "free_from": one.free_from,
            "because": one.text, "reason": one.reason,
        }
        for one in state.substitutions.get(account, ())
    ]  # fmt: skip


def losses(state: State, settings: Settings, account: str, market: Market) -> dict[str, Any] | None:
    """Return the swaps that pay at the last known prices, and why other losses are left.

    None for an account that is not taxed, and where a holding has no price or is no longer configured.
    """
    held, prices = state.book.accounts[account], last_prices(state, settings, account)
    names = held.positions.keys()
    if state.now is None or account not in settings.accounts or not held.taxable:
        return None
    if not names <= prices.keys() or not names <= settings.instruments.keys():
        return None
    spec = TargetsSubmitted(
        at=state.now, request_id="report", account=account, targets={}, as_of=state.now,
        expires_at=state.now, harvest=True,
    )  # fmt: skip
    found = losses_worth_taking(Outlook(settings, state, market).view_of(spec, prices))
    return {
        "swaps": [
            {
                "symbol": one.sell.symbol, "qty": one.sell.qty, "other": one.buy.symbol,
                "other_qty": one.buy.qty, "lots": list(one.lots), "loss": one.loss,
                "saved_now": one.saved_now, "taxed_later": one.taxed_later, "cost": one.cost,
                "tracking": one.tracking, "net": one.net, "why": one.reason,
            }
            for one in found.swaps
        ],
        "left": [{"symbol": symbol, "why": text} for symbol, text in sorted(found.passed_over.items())],
    }  # fmt: skip
