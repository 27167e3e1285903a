"""Orders that wait for a price or an auction before they work: what for, and when it has come. Pure.

Rules of this room:
1. A stop waits until the market has reached its auxPrice from the side that hurts, an if-touched order from
   the side that helps; then it is the market or limit order it was all along.
2. What is for an auction goes to it once: what does not fill there is over.
"""

from __future__ import annotations

from decimal import Decimal

from simulator.orders import ZERO
from simulator.tws.placing import Placed
from simulator.tws.tickets import AT_CLOSE, AT_OPEN, TRIGGER

STOPS, IF_TOUCHED = frozenset({"STP", "STP LMT"}), frozenset({"MIT", "LIT"})
TRIGGERED = STOPS | IF_TOUCHED
ON_CLOSE = frozenset({"MOC", "LOC"})
WITH_LIMIT = frozenset({"LMT", "STP LMT", "LIT", "LOC"})
AUCTIONS = frozenset({AT_CLOSE, AT_OPEN})
OPENING = "OPG"


def waits_for(placed: Placed) -> str:
    """Name what an order waits for before it works, empty when for nothing."""
    if placed.order_type in TRIGGERED:
        return TRIGGER
    if placed.order_type in ON_CLOSE:
        return AT_CLOSE
    return AT_OPEN if placed.tif == OPENING else ""


def is_reached(placed: Placed, price: Decimal) -> bool:
    """Say whether the market's price lets a stop or an if-touched order work."""
    aux = placed.aux_price or ZERO
    is_above = placed.is_buy == (placed.order_type in STOPS)
    return price >= aux if is_above else price <= aux
