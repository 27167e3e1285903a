"""What one client hears of what happened, after everything that goes wrong on the way.

Rules of this room:
1. Nothing here changes an order: what is lost, late or twice is only told so. Asking again brings the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulator.tws.happenings import Commissioned, Executed, Happening, OpenOrder, Status
from simulator.tws.mishaps import Mishap, Mishaps

Told = list[Happening]
Late = tuple[float, Happening]


def befall(told: Sequence[Happening], mishaps: Mishaps, client: int) -> tuple[Told, list[Late]]:
    """Return what is told now, and what is told how many seconds later."""
    said, late = list(told), list[Late]()
    if not mishaps.planned():
        return said, late
    if any(isinstance(one, Executed) for one in said):
        said, late = _executed(said, mishaps, client)
    if any(isinstance(one, (OpenOrder, Status)) for one in said):
        if mishaps.strikes(Mishap.STATUS_LOST, client):
            said = [one for one in said if not isinstance(one, (OpenOrder, Status))]
        elif mishaps.strikes(Mishap.DUPLICATE_STATUS, client):
            said = _doubled(said, lambda one: isinstance(one, (OpenOrder, Status)))
    return said, late


def _executed(said: Told, mishaps: Mishaps, client: int) -> tuple[Told, list[Late]]:
    late: list[Late] = []
    if mishaps.strikes(Mishap.EXECUTION_LOST, client):
        return [one for one in said if not isinstance(one, (Executed, Commissioned))], late
    if mishaps.strikes(Mishap.COMMISSION_LOST, client):
        said = [one for one in said if not isinstance(one, Commissioned)]
    elif delay := mishaps.strike(Mishap.COMMISSION_LATE, client):
        late = [(delay.seconds, one) for one in said if isinstance(one, Commissioned)]
        said = [one for one in said if not isinstance(one, Commissioned)]
    elif mishaps.strikes(Mishap.COMMISSION_FIRST, client):
        said = sorted(said, key=lambda one: not isinstance(one, Commissioned))
    if mishaps.strikes(Mishap.STATUS_FIRST, client):
        said = sorted(said, key=lambda one: not isinstance(one, (OpenOrder, Status)))
    if mishaps.strikes(Mishap.DUPLICATE_EXECUTION, client):
        said = _doubled(said, lambda one: isinstance(one, Executed))
    return said, late


def _doubled(said: Told, which: Callable[[Happening], bool]) -> Told:
    return [copy for one in said for copy in ([one, one] if which(one) else [one])]
