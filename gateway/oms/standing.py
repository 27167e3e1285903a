"""Which targets stand, and what was last seen of the drift from them. Pure, and the same in a replay.

Rules of this room:
1. Targets begin to stand when they are decided to be traded, or to need no trade.
2. A request the monitor made, or a harvest, brings nothing new: what stood before it goes on standing.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.request import Mode
from gateway.domain.standing import DriftLevel, Seen, Standing
from gateway.events import CheckDue, DriftChecked, LossesFound
from gateway.oms.state import NOTHING, Applied, Request, State

PREFIX = "drift:"
"""What the id of a request that the monitor made begins with."""


def stand(state: State, request: Request) -> None:
    """Let a request's targets stand, unless it waits for an approval or is the monitor's own."""
    spec = request.spec
    is_new = not spec.harvest and not spec.request_id.startswith(PREFIX)
    if request.mode is Mode.EXECUTE and is_new:
        state.standing[spec.account] = Standing(
            spec.request_id, spec.at, spec.targets, spec.others, spec.execution, policy=spec.policy
        )


def take_back(state: State, request: Request, by: str) -> None:
    """Note that the request whose targets stand was cancelled: they are watched, not traded."""
    account = request.spec.account
    known = state.standing.get(account)
    if known is not None and known.request_id == request.spec.request_id:
        state.standing[account] = replace(known, cancelled_by=by or "unknown")


def take(state: State, event: CheckDue | DriftChecked | LossesFound) -> Applied:
    """Note what was seen and told; a look that is only due changes nothing."""
    if isinstance(event, LossesFound):
        state.losses_told[event.account] = event.week
    if isinstance(event, DriftChecked):
        told = told_in(state, event.account, event.session)
        if event.is_news and event.level not in told:
            told += (event.level,)
        state.seen[event.account] = Seen(
            event.at, event.session, event.level, event.drift, event.max_drift, event.symbol, told
        )
    return NOTHING


def told_in(state: State, account: str, session: str) -> tuple[DriftLevel, ...]:
    """Return what has been told of an account in a session."""
    seen = state.seen.get(account)
    return seen.told if seen is not None and seen.session == session else ()
