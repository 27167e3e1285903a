"""Wishes to FIX: pure values in, the text of a message out, in the dialect of one venue.

Rules of this room:
1. Encoding is strict: a value that would break out of its field, or that the venue's table does not
   hold, raises `Unsendable`.
2. Order ids: an order keeps its ClOrdID(11), 16 characters, for life; its n-th cancel is
   `<ClOrdID>C<n>`, its n-th replacement `<ClOrdID>R<n>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from adapters.fix.dialects import PLAIN, market_data
from adapters.fix.dialects.base import Field, Unsendable, Venue
from adapters.fix.dialects.wire import plain
from gateway.domain.order import OrderSpec, OrdType
from gateway.events import CancelOrder, LookUpOrder, SendOrder

SOH = "\x01"

CLOSING = "INSTRUMENT_EXPOSURE_CLOSING"
"""The venue's own order type that trades an account's whole net position in a symbol away."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def new_order(wish: SendOrder, now: str, venue: Venue = PLAIN, *, closes: bool = False) -> str:
    """Build NewOrderSingle(D); `now` is TransactTime(60).

    With `closes` it goes out as the venue's order that closes a position, which says no OrderQty(38).
    """
    if wish.poss_resend and not venue.is_on("poss_resend", otherwise=True):
        raise Unsendable("tag 97: the venue does not tell a repeated order from a new one")
    header = [("97", "Y")] if wish.poss_resend else []
    own: dict[str, Field | None] = {"11": wish.order.cl_ord_id, "60": now}
    if closes:
        own |= {"38": None, "40": venue.dialect.ord_types[CLOSING]}
    body = _body("D", wish.order, venue, own)
    return _message(venue, "D", header, body + list(venue.table("extra_tags").items()))


def replace_request(
    changed: OrderSpec, replace_id: str, previous_id: str, order_id: str, now: str, venue: Venue = PLAIN
) -> str:
    """Build OrderCancelReplaceRequest(G); `previous_id` is the last id of the chain the venue accepted."""
    own = {"11": replace_id, "41": previous_id, "37": order_id or None, "60": now}
    return _message(venue, "G", [], _body("G", changed, venue, own))


def cancel_request(wish: CancelOrder, now: str, venue: Venue = PLAIN) -> str:
    """Build OrderCancelRequest(F)."""
    original = wish.previous_id or wish.order.cl_ord_id
    own = {"11": wish.cancel_id, "41": original, "37": wish.order_id or None, "60": now}
    return _message(venue, "F", [], _body("F", wish.order, venue, own))


def status_request(wish: LookUpOrder, venue: Venue = PLAIN) -> str:
    """Build OrderStatusRequest(H)."""
    own = {"11": wish.order.cl_ord_id, "37": wish.order_id or None}
    return _message(venue, "H", [], _body("H", wish.order, venue, own))


def mass_status_request(request_id: str, venue: Venue) -> str:
    """Build OrderMassStatusRequest(AF) for all orders of the session."""
    body: list[tuple[str, Field]] = [("584", request_id), ("585", venue.text("mass_status_type"))]
    return _message(venue, "AF", [], body)


def account_request(venue: Venue) -> str:
    """Build AccountInfoRequest(U7): the venue answers with its U2 and U3 messages."""
    return _message(venue, "U7", [], [])


def activation_request(venue: Venue) -> str:
    """Build ActivationRequest(U5) for the account named in `activation`, or for all; U6 is the answer."""
    asked = venue.text("activation")
    return _message(venue, "U5", [], [] if asked == "all" else [("1", asked)])


def market_data_request(symbol: str, request_id: str, venue: Venue) -> str:
    """Build MarketDataRequest(V): follow one symbol's best bid and ask."""
    return _message(venue, "V", [], market_data.request(symbol, request_id, venue))


def _body(
    msg_type: str, spec: OrderSpec, venue: Venue, own: Mapping[str, Field | None]
) -> list[tuple[str, Field]]:
    """Return what the venue's table wants in this message, and nothing else."""
    values: dict[str, Field | None] = {
        "54": spec.side.value, "59": spec.time_in_force.value, "38": plain(_wire_qty(spec, venue)),
        **venue.dialect.fixed, **venue.dialect.values(spec, venue), **own,
    }  # fmt: skip
    tags = venue.dialect.sends.get(msg_type)
    if tags is None:
        raise Unsendable(f"the venue has no message {msg_type}")
    if "40" in tags:
        _check_step(spec, venue)
        kind = values.get("167")
        ord_type = _ord_type(spec, venue, kind if isinstance(kind, str) else "")
        values = {"40": ord_type, "44": _price(spec), **values}
    return [(tag, value) for tag in tags if (value := values.get(tag)) is not None]


def _wire_qty(spec: OrderSpec, venue: Venue) -> Decimal:
    """Return OrderQty(38) in the venue's unit."""
    scale = venue.number("quantity_scale")
    return spec.order_qty / scale if scale else spec.order_qty


def _check_step(spec: OrderSpec, venue: Venue) -> None:
    step, quantity = venue.number("quantity_step"), _wire_qty(spec, venue)
    if step and quantity % step:
        raise Unsendable(f"OrderQty(38) {quantity} is no multiple of {step}")


def _price(spec: OrderSpec) -> str | None:
    if spec.ord_type is not OrdType.LIMIT:
        return None
    if spec.price is None:
        raise Unsendable(f"Price(44) of {spec.cl_ord_id} is missing for a limit order")
    return plain(spec.price)


def _ord_type(spec: OrderSpec, venue: Venue, security_type: str) -> str:
    """Return the venue's word for the order type, if it takes that type with that duration."""
    name, words, durations = spec.ord_type.name, venue.dialect.ord_types, venue.table("durations")
    allowed = durations.get(f"{security_type}.{name}", durations.get(name, ""))
    if durations and spec.time_in_force.value not in allowed:
        text = f"{name} orders have TimeInForce(59) in {allowed!r}, not {spec.time_in_force.value}"
        raise Unsendable(f"tag 59: {text}")
    if words and name not in words:
        raise Unsendable(f"tag 40: the venue has no {name} orders")
    return words.get(name, spec.ord_type.value)


def _message(
    venue: Venue, msg_type: str, header: list[tuple[str, str]], body: list[tuple[str, Field]]
) -> str:
    """Join the fields; the session layer fills in BodyLength(9), numbers, times and CheckSum(10)."""
    parts = [f"8={venue.begin_string}", "9=0", f"35={msg_type}"]
    for tag, value in (*header, *body):
        pairs = [(tag, value)] if isinstance(value, str) else [(tag, str(len(value))), *sum(value, ())]
        for one, text in pairs:
            if not text or _CONTROL.search(text):
                raise Unsendable(f"tag {one} has {text!r}: empty, or with control characters")
            parts.append(f"{one}={text}")
    parts.append("10=000")
    return SOH.join(parts) + SOH
