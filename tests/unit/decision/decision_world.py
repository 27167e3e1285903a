"""Views for the decision layer's tests: small households written down in a line or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings

from gateway.decision.view import OpenOrder, View
from gateway.domain.book import Account, Book
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot, RealisedGain
from gateway.domain.order import Side
from gateway.domain.settings import AccountSettings, Costs, Decision, Execution
from gateway.events import Others, PolicyName, Regime

calm = settings(deadline=None)
"""For properties: a busy machine is not a failure."""
TODAY = date(2024, 3, 12)
FREE = Costs(commission_per_share=Decimal(0), commission_minimum=Decimal(0))
AT_REFERENCE = Execution(limit_offset_bps=Decimal(0), cash_buffer=Decimal(0))


def dec(value: object) -> Decimal:
    return Decimal(str(value))


def days(count: int) -> date:
    """The trade date `count` days from today."""
    return TODAY + timedelta(days=count)


def lot(symbol: str, qty: object, unit_cost: object, bought: int = -1000, name: str = "") -> Lot:
    """A lot bought `bought` days from today at `unit_cost` a unit."""
    quantity = dec(qty)
    return Lot(name or f"{symbol}@{bought}", symbol, days(bought), quantity, quantity * dec(unit_cost))


def account(name: str, cash: object = 0, lots: Sequence[Lot] = (), **more: Any) -> Account:
    found = Account(name, dec(cash), **more)
    for one in lots:
        found.lots.setdefault(one.symbol, []).append(one)
        found.positions[one.symbol] = found.positions.get(one.symbol, Decimal(0)) + one.qty
    return found


def sold(
    symbol: str, on: int, gain: object, *, of: str = "main", bought: int = -1000, qty: object = 10
) -> RealisedGain:
    """A sale `on` days from today that realised `gain`."""
    return RealisedGain(
        of, symbol, f"old-{symbol}", dec(qty), days(bought), days(on), 1000 + dec(gain), dec(1000)
    )


def household(
    accounts: Sequence[Account],
    prices: Mapping[str, object],
    targets: Mapping[str, object] | None = None,
    *,
    instruments: Sequence[Instrument] = (),
    realised: Sequence[RealisedGain] = (),
    orders: Sequence[OpenOrder] = (),
    others: Others = Others.KEEP,
    regime: Regime = Regime.NORMAL,
    of: AccountSettings | None = None,
    **words: Any,
) -> View:
    """A view of the first of `accounts`; names without an instrument of their own get a plain one."""
    plain = AccountSettings(accounts[0].name, "sim", decision=Decision(policy=PolicyName.TRIGGERS))
    chosen = of or plain
    known = {one.symbol: one for one in instruments}
    names = {*prices, *(targets or {}), *(symbol for one in accounts for symbol in one.positions)}
    names |= {gain.symbol for gain in realised} | {order.symbol for order in orders}
    return View(
        trade_date=TODAY,
        account=replace(chosen, **words),
        book=Book({one.name: one for one in accounts}, list(realised)),
        instruments={symbol: known.get(symbol, Instrument(symbol)) for symbol in names} | known,
        prices={symbol: dec(price) for symbol, price in prices.items()},
        targets={symbol: dec(weight) for symbol, weight in (targets or {}).items()},
        others=others,
        regime=regime,
        open_orders=tuple(orders),
    )


def order(symbol: str, side: Side, leaves_qty: object, of: str = "main") -> OpenOrder:
    return OpenOrder(of, symbol, side, dec(leaves_qty))


def decision(**words: object) -> Decision:
    return Decision(policy=PolicyName.TRIGGERS, **{name: dec(value) for name, value in words.items()})  # type: ignore[arg-type]
