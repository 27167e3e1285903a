"""What TWS says against a cancel, and whether an order can be cancelled at all. Pure.

Rules of this room:
1. A refused cancel ends nothing: the order is asked about, for our view of it may be the stale one.
"""

from __future__ import annotations

from adapters.ibkr.known import Known
from adapters.ibkr.outcomes import Ask, CancelRefused, Outcome

UNDER_WAY = ("PendingCancel", "Cancelled", "ApiCancelled")


def cannot_cancel(found: Known, said_text: str, text: str) -> list[Outcome]:
    """Read 10148, which names the state that prevents a cancel."""
    state = said_text.rpartition("state:")[2].strip(" .'\"")
    return [Ask(found.ref, text)] if state in UNDER_WAY else cancel_refused(found, text)


def cancel_refused(found: Known, text: str) -> list[Outcome]:
    """Take that a cancel was not carried out: said once, and the order is asked about."""
    cancel_id, found.cancel_id = found.cancel_id, ""
    refused: list[Outcome] = [CancelRefused(cancel_id, found.ref, text)] if cancel_id else []
    return [*refused, Ask(found.ref, text)]


def not_cancellable(known: Known, client_id: int) -> str:
    """Say why TWS would not cancel an order, empty when it may."""
    if known.is_whole:
        return "all of it has filled"
    if not known.is_working:
        return f"it is over ({known.status or 'TWS does not have it'})"
    if known.client_id != client_id:
        return f"it belongs to client id {known.client_id}, and only that one may cancel it"
    return ""
