"""What several doors of one broker may stand on: one market, and the same accounts.

Rules of this room:
1. Whoever trades books into the accounts; a door has orders and a store of its own, and each store is read
   once in a process: read again, its executions would be booked again.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.accounts import Accounts
from simulator.market import Market


@dataclass(frozen=True, slots=True)
class Ground:
    """Hold a market and accounts that more than one venue trades."""

    market: Market
    accounts: Accounts
