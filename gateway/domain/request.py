"""The words of a request: what it may ask for, what may be decided, why an order may be denied."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gateway.domain.order import Side


class Action(StrEnum):
    """How far to trade: the seed's four words, mildest first."""

    HOLD = "HOLD"
    PARTIAL = "PARTIAL"
    FULL = "FULL"
    IMMEDIATE = "IMMEDIATE"


class Mode(StrEnum):
    """What a request asks for: only show, wait for a person, or trade."""

    PREVIEW = "preview"
    APPROVE = "approve"
    EXECUTE = "execute"


class Others(StrEnum):
    """What happens to holdings a request does not name."""

    KEEP = "keep"
    SELL = "sell"


class Regime(StrEnum):
    """The market condition the strategy declares."""

    NORMAL = "normal"
    CRISIS = "crisis"


class PolicyName(StrEnum):
    """Which rule decides whether to trade and how far; see `gateway.decision.policies`."""

    TRIGGERS = "triggers"
    THRESHOLD = "threshold"
    CALENDAR = "calendar"
    SMART = "smart"
    NO_TRADE = "no_trade"
    OPTIMISE = "optimise"
    LEARNED = "learned"


class DenyReason(StrEnum):
    """Why we refused an order (DENIED, never REJECTED: that is the broker's word)."""

    TRANSACTION_COST = "transaction_cost"
    WASH_SALE = "wash_sale"
    MAX_ORDER_NOTIONAL = "max_order_notional"
    MAX_ORDER_NAV_SHARE = "max_order_nav_share"
    MAX_ORDERS = "max_orders_per_request"
    MAX_TURNOVER = "max_turnover"
    PRICE_COLLAR = "price_collar"
    PRICE_STALE = "price_stale"
    PRICE_MISSING = "price_missing"
    RESTRICTED = "restricted"
    CURRENCY = "currency"
    SHORT_SALE = "short_sale"
    DUPLICATE = "duplicate"
    CASH = "cash"
    UNSOLD = "unsold"
    HALTED = "halted"


class RequestState(StrEnum):
    """Where a request stands; all but the first three are final."""

    QUEUED = "queued"
    AWAITING_APPROVAL = "awaiting_approval"
    WORKING = "working"
    DONE = "done"
    HELD = "held"
    PREVIEWED = "previewed"
    EXPIRED = "expired"
    CANCELED = "canceled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more will happen to the request."""
        return self not in (RequestState.QUEUED, RequestState.AWAITING_APPROVAL, RequestState.WORKING)


@dataclass(frozen=True, slots=True)
class LotTax:
    """Show one lot a trade would close: `acquired` is an ISO date, `qty` positive, gain and tax are money.

    The gain is net of commission; a loss is negative, and so is its tax.
    """

    lot_id: str
    acquired: str
    qty: Decimal
    gain: float
    is_long: bool
    tax: float


@dataclass(frozen=True, slots=True)
class NameDecision:
    """Show what was decided for one name and the numbers behind it.

    Weights are fractions of NAV, money is in the account's currency. `qty` is signed: what we would
    trade. `benefit` and `cost` are the two sides of the transaction-cost gate over the horizon. `wash_sale`
    is the conflict in one sentence, empty when there is none; `lots` are those the trade would close.
    `substitution` says what stands in for the name, or it for what, empty when nothing does.
    """

    symbol: str
    price: Decimal
    weight_before: float
    weight_target: float
    weight_after: float
    qty: Decimal
    benefit: float = 0.0
    commission: float = 0.0
    half_spread: float = 0.0
    tax: float = 0.0
    note: str = ""
    wash_sale: str = ""
    lots: tuple[LotTax, ...] = ()
    impact: float = 0.0
    conversion: float = 0.0
    substitution: str = ""

    @property
    def cost(self) -> float:
        """Return what trading would cost today, tax apart: commission, spread, impact, conversion."""
        return self.commission + self.half_spread + self.impact + self.conversion


@dataclass(frozen=True, slots=True)
class Denial:
    """Name an order we refused to send, and why in one sentence."""

    symbol: str
    side: Side
    qty: Decimal
    reason: DenyReason
    text: str
