"""Proposals and approvals: what we would like to send, and what we may send.

Rules of this room:
1. The decision layer makes a `Proposal` with every number known about it; it may not be sent.
2. Only `gateway/oms/checks.py` makes an `Approved`; only an `Approved` becomes an order.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gateway.domain.order import Side


@dataclass(frozen=True, slots=True)
class Proposal:
    """Propose to trade `qty` (positive, whole lots) of one name at reference price `price`.

    `benefit`, `tax` and the parts of the cost are money over the horizon in the account's currency;
    `wash_sale` is the conflict in one sentence, empty when there is none. `wash_cost` is the tax a washed
    loss no longer saves, where the account accepts that.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    benefit: float = 0.0
    commission: float = 0.0
    half_spread: float = 0.0
    tax: float = 0.0
    wash_sale: str = ""
    impact: float = 0.0
    conversion: float = 0.0
    wash_cost: float = 0.0

    @property
    def notional(self) -> Decimal:
        """Return quantity times reference price."""
        return self.qty * self.price

    @property
    def cost(self) -> float:
        """Return what the trade takes today: its charges, and a loss washed; no other tax."""
        return self.commission + self.half_spread + self.impact + self.conversion + self.wash_cost

    @property
    def is_worth_it(self) -> bool:
        """Say whether the benefit over the horizon is more than the cost: the transaction-cost gate."""
        return self.benefit > self.cost


@dataclass(frozen=True, slots=True)
class Approved:
    """Allow one proposal to be sent, at `limit_price` (None: a market order)."""

    proposal: Proposal
    limit_price: Decimal | None

    @property
    def cash_needed(self) -> Decimal:
        """Return the most cash a fill can take, commission included; 0 for a sale."""
        if self.proposal.side is not Side.BUY:
            return Decimal(0)
        price = self.limit_price if self.limit_price is not None else self.proposal.price
        charges = self.proposal.commission + self.proposal.conversion
        return self.proposal.qty * price + Decimal(str(charges))
