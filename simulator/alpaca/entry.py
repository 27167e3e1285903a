"""A new order as Alpaca's clients write it, and what may stop it.

Rules of this room:
1. Numbers may be JSON numbers or strings; they are read as they are written, never by way of a float.
2. The order of checks is the venue's as far as documents say: form, asset, opposite orders, shares, money.
   A buy of money holds that money and no more; a market buy of shares holds the ask and a collar.
3. Simple market and limit orders are served; a stop, a trailing stop, an auction order or an order class with
   legs is refused in words, never taken for something simpler.

Source: Alpaca's documentation of orders, fractional trading and user protection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from simulator.alpaca import refusals
from simulator.market import Market
from simulator.orders import MAX_NUMBER, ZERO, OrdType, Side, TimeInForce

if TYPE_CHECKING:
    from simulator.alpaca.door import Door
    from simulator.alpaca.words import Ticket

NANO = Decimal("1E-9")
CENT, BASIS = Decimal("0.01"), Decimal("0.0001")
PENNY_PRICE, LEAST_NOTIONAL = Decimal(1), Decimal(1)
COLLAR = Decimal("1.03")
"""What a market buy is valued at, over the ask."""
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TYPES = {"market": OrdType.MARKET, "limit": OrdType.LIMIT}
_TIMES = {
    "day": TimeInForce.DAY, "gtc": TimeInForce.GOOD_TILL_CANCEL,
    "ioc": TimeInForce.IMMEDIATE_OR_CANCEL, "fok": TimeInForce.FILL_OR_KILL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an order asks for: `qty` in shares or `notional` in dollars, never both."""

    symbol: str
    side: Side
    ord_type: OrdType
    time_in_force: TimeInForce
    qty: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    extended_hours: bool

    @property
    def is_fractional(self) -> bool:
        """Say whether it is not of whole shares."""
        return self.notional is not None or (self.qty is not None and self.qty % 1 != ZERO)

    def units(self, market: Market, now: datetime) -> Decimal:
        """Return its quantity; money buys what it pays for, to nine decimals."""
        if self.qty is not None:
            return self.qty
        px = market.levels(self.symbol, now, is_buy=self.side is Side.BUY)[0].price
        return ((self.notional or ZERO) / px).quantize(NANO, ROUND_DOWN)

    def less(self, filled: Decimal) -> Wanted:
        """Return the same for what has not filled yet."""
        return replace(self, qty=None if self.qty is None else self.qty - filled)

    def kept(self) -> dict[str, Any]:
        """Return it as it would be posted."""
        said = {"qty": self.qty, "notional": self.notional, "limit_price": self.limit_price}
        return {
            "symbol": self.symbol, "side": self.side.name.lower(), "type": self.ord_type.name.lower(),
            "time_in_force": next(word for word, one in _TIMES.items() if one is self.time_in_force),
            "extended_hours": self.extended_hours,
            **{name: str(number) for name, number in said.items() if number is not None},
        }  # fmt: skip


def read_wanted(body: Mapping[str, Any]) -> Wanted:
    """Read the body of POST /v2/orders; raises `Refused`."""
    symbol = body.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise refusals.invalid("symbol is required")
    side, kind = _SIDES.get(str(body.get("side"))), _TYPES.get(str(body.get("type")))
    time_in_force = _TIMES.get(str(body.get("time_in_force")))
    if side is None or kind is None or time_in_force is None:
        raise refusals.invalid("side, type or time_in_force is invalid or not served here")
    if body.get("order_class") not in (None, "", "simple"):
        raise refusals.invalid(f"order_class {body['order_class']} is not served here")
    qty, notional = read_number(body, "qty"), read_number(body, "notional")
    if (qty is None) == (notional is None):
        raise refusals.invalid("one of qty and notional is required")
    price = read_number(body, "limit_price")
    if (price is not None) != (kind is OrdType.LIMIT):
        raise refusals.invalid(
            "limit orders require a limit_price" if price is None else "limit_price not allowed"
        )
    return Wanted(symbol, side, kind, time_in_force, qty, notional, price, body.get("extended_hours") is True)


def check(door: Door, wanted: Wanted, now: datetime) -> None:
    """Raise `Refused` when an order may not be."""
    _check_form(wanted)
    _check_account(door, wanted)
    _check_asset(door, wanted)
    _check_opposite(door, wanted)
    account, qty = door.account, wanted.units(door.venue.market, now)
    if wanted.side is Side.SELL:
        held, reserved = account.positions.get(wanted.symbol, ZERO), door.reserved(wanted.symbol)
        may_short = door.terms.may_short and not door.configuration["no_shorting"]
        if qty > held - reserved and (not may_short or wanted.is_fractional):
            raise refusals.no_shares(wanted.symbol, qty, held, reserved)
        return
    cost = wanted.notional or qty * worst_price(door, wanted, now)
    power = buying_power(door, now)
    if cost > power:
        raise refusals.no_power(power, cost)


def check_replacement(door: Door, ticket: Ticket, wanted: Wanted, now: datetime) -> None:
    """Raise `Refused` when an order may not take the place of `ticket`: what it costs more must be there."""
    _check_form(wanted)
    order, filled = ticket.order, ticket.order.cum_qty
    if not order.is_buy:
        more = (wanted.qty or ZERO) - order.order_qty
        held, reserved = door.account.positions.get(order.symbol, ZERO), door.reserved(order.symbol)
        if more > held - reserved and not door.terms.may_short:
            raise refusals.no_shares(order.symbol, more, held, reserved)
        return
    before = order.leaves_qty * (order.price or worst_price(door, wanted, now))
    cost = ((wanted.qty or ZERO) - filled) * worst_price(door, wanted, now) - before
    power = buying_power(door, now)
    if cost > power:
        raise refusals.no_power(power, cost)


def worst_price(door: Door, wanted: Wanted, now: datetime) -> Decimal:
    """Return what a buy is valued at: its limit, or the ask and a collar."""
    if wanted.limit_price is not None:
        return wanted.limit_price
    return door.venue.market.quote(wanted.symbol, now)[1] * COLLAR


def buying_power(door: Door, now: datetime) -> Decimal:
    """Return the money that no open buy holds; what open sells will bring is not in it."""
    held = ZERO
    for ticket in door.open_tickets():
        order = ticket.order
        if order.is_buy and order.cash is not None:
            held += order.cash - order.value
        elif order.is_buy:
            px = order.price or door.venue.market.quote(order.symbol, now)[1] * COLLAR
            held += order.leaves_qty * px
    return door.account.cash * door.terms.multiplier - held


def _check_form(wanted: Wanted) -> None:
    qty, notional, price = wanted.qty, wanted.notional, wanted.limit_price
    for name, number, step in (("qty", qty, NANO), ("notional", notional, CENT)):
        if number is not None and (number <= ZERO or number % step != ZERO):
            raise refusals.invalid(f"{name} must be above 0 and in steps of {step:f}")
    if price is not None:
        step = CENT if price >= PENNY_PRICE else BASIS
        if price <= ZERO or price % step != ZERO:
            raise refusals.impossible(
                f"invalid limit_price {price:f}. sub-penny increment does not fulfill "
                "minimum pricing criteria"
            )
    if wanted.is_fractional and wanted.time_in_force is not TimeInForce.DAY:
        raise refusals.invalid("fractional orders must be DAY orders")
    if notional is not None and wanted.ord_type is not OrdType.MARKET:
        raise refusals.invalid("notional orders must be market orders")
    if notional is not None and wanted.side is Side.BUY and notional < LEAST_NOTIONAL:
        raise refusals.impossible("cost basis must be >= minimal amount of order 1")
    stays = wanted.time_in_force in (TimeInForce.DAY, TimeInForce.GOOD_TILL_CANCEL)
    if wanted.extended_hours and (price is None or not stays):
        raise refusals.impossible("extended hours order must be DAY or GTC limit orders")


def _check_account(door: Door, wanted: Wanted) -> None:
    if door.configuration["suspend_trade"]:
        raise refusals.forbidden("trading is suspended by the user")
    if wanted.is_fractional and not door.configuration["fractional_trading"]:
        raise refusals.forbidden("account is not allowed to trade fractional shares")


def _check_asset(door: Door, wanted: Wanted) -> None:
    symbol = wanted.symbol
    if symbol not in door.venue.market:
        raise refusals.invalid(f'asset "{symbol}" not found')
    if symbol in door.inactive:
        raise refusals.impossible(f'asset "{symbol}" is not active')
    if symbol in door.sell_only and wanted.side is Side.BUY:
        raise refusals.impossible(f'asset "{symbol}" is not tradable')
    if wanted.is_fractional and symbol in door.terms.whole_only:
        raise refusals.forbidden(f'asset "{symbol}" is not fractionable')


def _check_opposite(door: Door, wanted: Wanted) -> None:
    """Refuse what could trade with an order of the same account."""
    is_buy = wanted.side is Side.BUY
    for ticket in door.open_tickets():
        order = ticket.order
        if order.symbol != wanted.symbol or order.is_buy == is_buy:
            continue
        mine, theirs = wanted.limit_price, order.price
        if mine is None or theirs is None:
            raise refusals.wash_trade(ticket.order_id, "market" if theirs is None else "limit")
        if (mine >= theirs) if is_buy else (mine <= theirs):
            raise refusals.wash_trade(ticket.order_id, "limit")


def read_number(body: Mapping[str, Any], name: str) -> Decimal | None:
    """Read a number of a body or a query, None where there is none; raises `Refused`."""
    said = body.get(name)
    if said is None:
        return None
    try:
        number = Decimal(str(said))
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(said, bool) or not number.is_finite() or abs(number) > MAX_NUMBER:
        raise refusals.invalid(f"{name} is invalid: {said!r}")
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()
