"""What may go onto the wire, and how its numbers are read: plain values, no sockets.

Rules of this room:
1. Fields are ended by NUL and nothing escapes it: a NUL in an order's reference would be read as two fields.
   So text is printable ASCII of bounded length, or the order is not sent.
2. A number is finite and positive, with as many decimals as TWS takes; NaN, 0 and less are not sent, which
   the library would.
3. Reading is tolerant where nothing depends on it (a time) and strict where money does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_UP, Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters.ibkr.settings import Terms
from gateway.domain.order import OrderSpec, OrdType, Side, TimeInForce

MAX_REF, MAX_FIELD = 40, 64
MAX_ID = 2**31 - 1
USED_UP = "TWS has no order ids left: reset its API order id sequence"
QTY_DECIMALS, PRICE_DECIMALS = 4, 8
UNSET = Decimal("1.7976931348623157E308")
"""What TWS writes where a number is not set."""
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_TIMES = {
    TimeInForce.DAY: "DAY", TimeInForce.GOOD_TILL_CANCEL: "GTC",
    TimeInForce.IMMEDIATE_OR_CANCEL: "IOC", TimeInForce.FILL_OR_KILL: "FOK",
}  # fmt: skip


class Unsendable(Exception):
    """An order that must not go onto the wire, with the remedy."""


class Unreadable(Exception):
    """A field that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Hold an order as it goes onto the wire: every field set, every field clean."""

    terms: Terms
    action: str
    qty: Decimal
    ord_type: str
    limit: Decimal | None
    tif: str
    account: str
    ref: str
    outside_rth: bool
    is_what_if: bool = False


def ticket(
    spec: OrderSpec, terms: Terms, account: str, *, outside_rth: bool, fractional: bool, tick: Decimal | None
) -> Ticket:
    """Write an order; raises `Unsendable`. A limit off the tick is moved so that it is never worse."""
    qty = number(spec.order_qty, "quantity", QTY_DECIMALS)
    if not fractional and qty != qty.to_integral_value():
        raise Unsendable(f"quantity {qty} is a fraction; set lot_size = 1, or fractional = true on the link")
    limit = None
    if spec.ord_type is OrdType.LIMIT:
        if spec.price is None:
            raise Unsendable("a limit order without a price")
        limit = on_tick(number(spec.price, "price", PRICE_DECIMALS), tick, spec.side)
    return Ticket(
        terms=clean(terms), action="BUY" if spec.side is Side.BUY else "SELL", qty=qty,
        ord_type="MKT" if limit is None else "LMT", limit=limit, tif=_TIMES[spec.time_in_force],
        account=text(account, "account"), ref=text(spec.cl_ord_id, "order reference", MAX_REF),
        outside_rth=outside_rth,
    )  # fmt: skip


def clean(terms: Terms) -> Terms:
    """Return a contract whose every field may go onto the wire; raises `Unsendable`."""
    text(terms.symbol, "symbol")
    text(terms.currency, "currency")
    text(terms.exchange, "exchange")
    text(terms.sec_type, "security type")
    if terms.primary_exchange:
        text(terms.primary_exchange, "primary exchange")
    return terms


def text(value: str, what: str, longest: int = MAX_FIELD) -> str:
    """Return a text that may go onto the wire; raises `Unsendable`."""
    if not value or len(value) > longest or not _PRINTABLE.fullmatch(value):
        shown = repr(value[:80])
        raise Unsendable(f"{what} {shown} must be 1 to {longest} printable ASCII characters")
    return value


def number(value: Decimal, what: str, decimals: int) -> Decimal:
    """Return a positive number written out, without exponent; raises `Unsendable`."""
    if not value.is_finite() or value <= 0 or value >= Decimal(10) ** 12:
        raise Unsendable(f"{what} {value} is no positive number of a size an order can have")
    if value != round(value, decimals):
        raise Unsendable(f"{what} {value} has more than {decimals} decimals")
    return Decimal(f"{value.normalize():f}")


def on_tick(price: Decimal, tick: Decimal | None, side: Side) -> Decimal:
    """Return a limit on its tick: down for a purchase, up for a sale, so that it is never worse."""
    if not tick or price % tick == 0:
        return price
    steps = (price / tick).to_integral_value(ROUND_DOWN if side is Side.BUY else ROUND_UP)
    if not steps:
        raise Unsendable(f"price {price} is below the contract's tick {tick}")
    return Decimal(f"{(steps * tick).normalize():f}")


def decimal_in(field: str, what: str) -> Decimal:
    """Read a number TWS must have set; raises `Unreadable`."""
    found = optional(field, what)
    if found is None:
        raise Unreadable(f"{what} is missing")
    return found


def optional(field: str, what: str) -> Decimal | None:
    """Read a number, None where TWS has set none; raises `Unreadable`."""
    if not field:
        return None
    try:
        found = Decimal(field)
    except InvalidOperation:
        raise Unreadable(f"{what} is {field[:40]!r}, no number") from None
    if found == UNSET or field in ("Infinite", "Infinity"):
        return None
    if not found.is_finite():
        raise Unreadable(f"{what} is {field[:40]!r}, no number")
    return found


def whole(field: str, what: str) -> int:
    """Read a whole number, 0 where there is none; raises `Unreadable`."""
    try:
        return int(field) if field else 0
    except ValueError:
        raise Unreadable(f"{what} is {field[:40]!r}, no whole number") from None


def side_in(field: str) -> Side | None:
    """Read a side in any of TWS's words."""
    return {"BOT": Side.BUY, "BUY": Side.BUY, "SLD": Side.SELL, "SELL": Side.SELL, "SSHORT": Side.SELL}.get(
        field.upper()
    )


def moment(field: str) -> datetime | None:
    """Read a time in any of TWS's forms; None when its zone is not known, for a fill is not lost to that."""
    if field.isdigit() and len(field) > len("YYYYMMDD"):
        try:
            return datetime.fromtimestamp(int(field), UTC)
        except (OverflowError, OSError, ValueError):
            return None
    found = re.fullmatch(r"(\d{8})( +|-)(\d\d:\d\d:\d\d)(?: +(.+))?", field)
    if found is None:
        return None
    day, gap, clock, zone = found.groups()
    try:
        naive = datetime.strptime(day + clock, "%Y%m%d%H:%M:%S")  # noqa: DTZ007 - its zone follows
        if zone:
            return naive.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return None
    return naive.replace(tzinfo=UTC) if gap == "-" else None


def execution_names(exec_id: str) -> tuple[str, int]:
    """Split an ExecID(17) into the execution it is about and which correction of it this is (1: none).

    IBKR corrects an execution by sending it again with the last part counted up.
    """
    base, dot, last = exec_id.rpartition(".")
    return (base, int(last)) if dot and last.isdecimal() else (exec_id, 1)
