"""The view: everything a decision may look at, gathered by the engine at one instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from gateway.decision.learned import LearnedRule
from gateway.decision.regime import Signals
from gateway.decision.risk import RiskModel
from gateway.domain.book import Book
from gateway.domain.instrument import Instrument
from gateway.domain.order import Side
from gateway.domain.request import PolicyName
from gateway.domain.settings import AccountSettings
from gateway.domain.substitution import Substitution
from gateway.events import Others, Regime


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """Name an order of the household that may still fill `leaves_qty` units, at its limit `px` or better."""

    account: str
    symbol: str
    side: Side
    leaves_qty: Decimal
    px: Decimal | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Show one account and its household to the decision layer.

    `prices` are reference prices by symbol (only those known and fresh) in the account's currency; `rates`
    are what a unit of another currency is worth in it, of those that were changed. `targets` are weights of
    NAV by symbol, `open_orders` are the whole household's. `trade_date` is today in the market's
    own time zone.

    `risk` is how the names move together, None where nothing is known: they are then taken as
    uncorrelated. `signals` say how the market is, `last_rebalance` when this account last traded for a
    request, `closed_days` when the market is closed besides weekends, `policy` what the request wants
    otherwise than the account. `substitutes` are what may stand in for a name, `substitutions` what does in
    this account; `swapped_back` names those whose targets are meant as they are written again. `blocking` are
    the other accounts of the household that accept no wash sale.
    """

    trade_date: date
    account: AccountSettings
    book: Book
    instruments: Mapping[str, Instrument]
    prices: Mapping[str, Decimal]
    targets: Mapping[str, Decimal]
    others: Others
    regime: Regime
    open_orders: Sequence[OpenOrder] = ()
    risk: RiskModel | None = None
    signals: Signals | None = None
    last_rebalance: date | None = None
    closed_days: frozenset[date] = frozenset()
    policy: PolicyName | None = None
    learned: LearnedRule | None = None
    substitutes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    substitutions: tuple[Substitution, ...] = ()
    swapped_back: tuple[str, ...] = ()
    blocking: frozenset[str] = frozenset()
    rates: Mapping[str, Decimal] = field(default_factory=dict)
