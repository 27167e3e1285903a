"""Orders to FIX, FIX to reports: pure text in, plain values out, for FIX 4.2 and 4.4.

Rules of this room:
1. Decoding is tolerant: unknown tags and values are passed over, because a message we refuse might
   have been a fill. What cannot be understood raises `Unreadable` and is never dropped in silence.
2. Encoding is strict: a value that would break out of its field raises `Unsendable`.
3. Order ids: an order keeps its ClOrdID(11), 16 characters, for life; its n-th cancel is
   `<ClOrdID>C<n>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from gateway.domain.order import ExecType, OrderSpec, OrdStatus, OrdType, Report, Side
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    ReportReceived,
    SendOrder,
)

SOH = "\x01"
Fields = dict[str, str]
Decoded = ReportReceived | CancelRejected | OrderUnknown | MessageRefused

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CANCEL_ID = re.compile(r"^(.{16})C\d+$")
_PER_UNIT, _PERCENT, _ABSOLUTE = "1", "2", "3"
"""CommType(13)."""

_EXEC_TYPES = {one.value: one for one in ExecType}
_ORD_STATUSES = {one.value: one for one in OrdStatus if len(one.value) == 1}
_SIDES = {one.value: one for one in Side}
_UNKNOWN_ORDER = "5"
"""OrdRejReason(103): unknown order."""


class Unreadable(Exception):
    """An inbound message cannot be understood; the text says which tag and why."""


class Unsendable(Exception):
    """A value may not go on the wire; the text says which tag and why."""


# ------------------------------------------------------------------------------------------- outbound


def new_order(wish: SendOrder, begin_string: str, now: str) -> str:
    """Build NewOrderSingle(D); `now` is TransactTime(60)."""
    spec = wish.order
    header = [("97", "Y")] if wish.poss_resend else []
    body = [("11", spec.cl_ord_id), ("1", spec.account), ("21", "1"), *_instrument(spec), ("60", now)]
    body += [("38", plain(spec.order_qty)), ("40", spec.ord_type.value)]
    if spec.ord_type is OrdType.LIMIT:
        if spec.price is None:
            raise Unsendable(f"Price(44) of {spec.cl_ord_id} is missing for a limit order")
        body.append(("44", plain(spec.price)))
    body += [("15", spec.currency), ("59", spec.time_in_force.value)]
    return _message(begin_string, "D", header, body)


def cancel_request(wish: CancelOrder, begin_string: str, now: str) -> str:
    """Build OrderCancelRequest(F)."""
    spec = wish.order
    body = [("11", wish.cancel_id), ("41", spec.cl_ord_id), ("1", spec.account), *_instrument(spec)]
    body += [("60", now), ("38", plain(spec.order_qty))]
    if wish.order_id:
        body.append(("37", wish.order_id))
    return _message(begin_string, "F", [], body)


def status_request(wish: LookUpOrder, begin_string: str) -> str:
    """Build OrderStatusRequest(H)."""
    spec = wish.order
    body = [("11", spec.cl_ord_id), ("1", spec.account), *_instrument(spec)]
    if wish.order_id:
        body.append(("37", wish.order_id))
    return _message(begin_string, "H", [], body)


def utc_timestamp(now: datetime) -> str:
    """Return a UTCTimestamp with milliseconds."""
    text = now.isoformat(timespec="milliseconds")
    return f"{text[:4]}{text[5:7]}{text[8:10]}-{text[11:23]}"


def plain(number: Decimal) -> str:
    """Return a number as FIX wants it: digits and a point, never an exponent."""
    if not number.is_finite():
        raise Unsendable(f"{number} is no number")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _instrument(spec: OrderSpec) -> list[tuple[str, str]]:
    return [("55", spec.symbol), ("54", spec.side.value)]


def _message(
    begin_string: str, msg_type: str, header: list[tuple[str, str]], body: Iterable[tuple[str, str]]
) -> str:
    """Join the fields; the session layer fills in BodyLength(9), numbers, times and CheckSum(10)."""
    parts = [f"8={begin_string}", "9=0", f"35={msg_type}"]
    for tag, value in (*header, *body):
        if not value or _CONTROL.search(value):
            raise Unsendable(f"tag {tag} has {value!r}: empty, or with control characters")
        parts.append(f"{tag}={value}")
    parts.append("10=000")
    return SOH.join(parts) + SOH


# -------------------------------------------------------------------------------------------- inbound


def split(raw: str) -> Fields:
    """Return the first value of every tag; repeating groups keep their first entry."""
    parts = raw.rstrip(SOH).split(SOH)
    parts.reverse()
    try:
        return dict([part.split("=", 1) for part in parts])
    except ValueError:  # a part without "=": passed over
        return dict([part.split("=", 1) for part in parts if "=" in part])


def decode(raw: str, ref: str, link: str, link_seq: int, at: datetime) -> Decoded | None:
    """Turn one inbound message into its event; None when it is not about an order.

    `ref` is the ClOrdID(11) of the message of ours that a Reject(3) or BusinessMessageReject(j)
    refers to, empty when unknown. Raises `Unreadable`.
    """
    fields = split(raw)
    match fields.get("35", ""):
        case "8":
            return _execution_report(fields, link, link_seq, at)
        case "9":
            cl_ord_id = fields.get("11", "")
            original = order_id_of(cl_ord_id, fields.get("41", ""))
            status = _ORD_STATUSES.get(fields.get("39", ""))
            return CancelRejected(
                at, link, link_seq, cl_ord_id, original, status, fields.get("58", "")
            )  # fmt: skip
        case "3" | "j":
            cl_ord_id = order_id_of(fields.get("379") or ref, "")
            number = fields.get("373") or fields.get("380", "")
            text = f"35={fields['35']} reason {number}: {fields.get('58', 'no text')}"
            return MessageRefused(at, link, link_seq, cl_ord_id, text)
        case _:
            return None


def order_id_of(cl_ord_id: str, orig_cl_ord_id: str) -> str:
    """Return the order's own ClOrdID(11), whichever of our ids a message names."""
    if orig_cl_ord_id:
        return orig_cl_ord_id
    found = _CANCEL_ID.match(cl_ord_id)
    return found.group(1) if found else cl_ord_id


def _execution_report(
    fields: Fields, link: str, link_seq: int, at: datetime
) -> ReportReceived | OrderUnknown:
    cl_ord_id = order_id_of(_required(fields, "11"), fields.get("41", ""))
    exec_type = _exec_type(fields)
    ord_status = _ORD_STATUSES.get(_required(fields, "39"))
    if ord_status is None:
        raise Unreadable(f"OrdStatus(39) {fields['39']!r} is not known")
    is_status = exec_type is ExecType.ORDER_STATUS
    if is_status and ord_status is OrdStatus.REJECTED and _names_no_order(fields):
        return OrderUnknown(at, link, link_seq, cl_ord_id)
    is_trade = exec_type.is_trade
    last_qty = _number(fields, "32") if is_trade else None
    last_px = _number(fields, "31") if is_trade else None
    report = Report(
        cl_ord_id=cl_ord_id,
        exec_id="" if is_status else fields.get("17", ""),
        exec_type=exec_type,
        ord_status=ord_status,
        cum_qty=_number(fields, "14") or Decimal(0),
        leaves_qty=_number(fields, "151"),
        last_qty=last_qty,
        last_px=last_px,
        avg_px=_number(fields, "6"),
        commission=_commission(fields, last_qty, last_px) if is_trade else Decimal(0),
        order_id=fields.get("37", ""),
        orig_cl_ord_id=fields.get("41", ""),
        symbol=fields.get("55", ""),
        side=_SIDES.get(fields.get("54", "")),
        text=fields.get("58", ""),
        transact_time=_timestamp(fields.get("60", "")),
    )
    if is_trade and not report.exec_id:
        raise Unreadable("ExecID(17) is missing on an execution")
    return ReportReceived(at, link, link_seq, report)


def _names_no_order(fields: Fields) -> bool:
    return fields.get("103") == _UNKNOWN_ORDER or fields.get("37", "") in ("", "NONE", "0")


def _exec_type(fields: Fields) -> ExecType:
    """Read ExecType(150), or ExecTransType(20) where FIX 4.2 says bust, correction or status."""
    by_trans_type = {"1": ExecType.TRADE_CANCEL, "2": ExecType.TRADE_CORRECT, "3": ExecType.ORDER_STATUS}
    if (found := by_trans_type.get(fields.get("20", "0"))) is not None:
        return found
    exec_type = _EXEC_TYPES.get(_required(fields, "150"))
    if exec_type is None:
        raise Unreadable(f"ExecType(150) {fields['150']!r} is not known")
    return exec_type


def _commission(fields: Fields, last_qty: Decimal | None, last_px: Decimal | None) -> Decimal:
    """Return Commission(12) of one execution in money, whatever CommType(13) states it in."""
    stated = _number(fields, "12")
    if stated is None:
        return Decimal(0)
    qty, px = last_qty or Decimal(0), last_px or Decimal(0)
    kind = fields.get("13", _ABSOLUTE)
    if kind == _PER_UNIT:
        return stated * qty
    if kind == _PERCENT:
        return stated * qty * px / 100
    if kind == _ABSOLUTE:
        return stated
    raise Unreadable(f"CommType(13) {kind!r} is not known")


def _required(fields: Fields, tag: str) -> str:
    if not (value := fields.get(tag, "")):
        raise Unreadable(f"tag {tag} is missing")
    return value


def _number(fields: Fields, tag: str) -> Decimal | None:
    if not (value := fields.get(tag, "")):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise Unreadable(f"tag {tag} has {value!r}, which is no number") from None
    if not number.is_finite():
        raise Unreadable(f"tag {tag} has {value!r}, which is no number")
    return number


def _timestamp(value: str) -> datetime | None:
    """Read UTCTimestamp with or without fractions; None when it is something else."""
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC) if "-" in value[8:9] else None
    except ValueError:
        return None
