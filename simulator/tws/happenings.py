"""What TWS has to tell, before it is words on a wire: one class a message.

Rules of this room:
1. Nothing here depends on a server version or a client; `answers` writes, `desk` says to whom.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.tws.tickets import Execution, Shown, Ticket

NO_ID = -1


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """openOrder(5)."""

    ticket: Ticket
    shown: Shown


@dataclass(frozen=True, slots=True)
class Status:
    """orderStatus(3)."""

    ticket: Ticket
    shown: Shown
    why_held: str = ""


@dataclass(frozen=True, slots=True)
class Executed:
    """execDetails(11), as it is now; `req_id` is of who asked, -1 when nobody did."""

    execution: Execution
    exec_id: str
    req_id: int = NO_ID


@dataclass(frozen=True, slots=True)
class Commissioned:
    """commissionReport(59)."""

    execution: Execution
    exec_id: str


@dataclass(frozen=True, slots=True)
class Failed:
    """error(4) about an order of a client: the order's own id, whoever it is told to."""

    client_id: int
    order_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Moved:
    """An account has changed: who follows it hears."""

    account: str
    symbol: str


Happening = OpenOrder | Status | Executed | Commissioned | Failed | Moved
