"""FIX to reports: a venue's messages in, plain values out, in the dialect of that venue. Pure.

Rules of this room:
1. Decoding is tolerant: unknown tags and values are passed over, because a message we refuse might
   have been a fill. What cannot be understood, or says two different things, raises `Unreadable` and is
   never dropped in silence.
2. An order is named by OrderID(37), then ClOrdID(11), then OrigClOrdID(41), whichever of our ids they are.
3. Where a venue gives no LastQty(32) and LastPx(31), `last_qty` is None and CumQty(14) with AvgPx(6)
   says what has filled. An order is not filled while LeavesQty(151) is above 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from adapters.fix.dialects import PLAIN
from adapters.fix.dialects.base import Venue, our_account
from adapters.fix.dialects.wire import Unreadable, number, timestamp
from gateway.domain.order import ExecType, OrdStatus, Report, Side
from gateway.events import CancelRejected, MessageRefused, OrderUnknown, ReportReceived

SOH = "\x01"
Fields = dict[str, str]
Decoded = ReportReceived | CancelRejected | OrderUnknown | MessageRefused

_CHANGE_ID = re.compile(r"^(.{16})[CR]\d+$")
_OUR_ID = re.compile(r"[A-Z2-7]{16}")
_SAID_ONCE = ("6", "11", "14", "17", "19", "20", "31", "32", "35", "37", "39", "41", "54", "55", "150", "151")
"""Tags that decide what a report does; two values for one of them make it unreadable."""
_PER_UNIT, _PERCENT, _ABSOLUTE = "1", "2", "3"
"""CommType(13)."""

_EXEC_TYPES = {one.value: one for one in ExecType}
_ORD_STATUSES = {one.value: one for one in OrdStatus if len(one.value) == 1}
_SIDES = {one.value: one for one in Side}
_UNKNOWN_ORDER = "5"
"""OrdRejReason(103): unknown order."""

ZERO = Decimal(0)


def split(raw: str) -> Fields:
    """Return the first value of every tag; repeating groups keep their first entry."""
    parts = raw.rstrip(SOH).split(SOH)
    parts.reverse()
    try:
        fields = dict([part.split("=", 1) for part in parts])
    except ValueError:  # a part without "=": passed over
        fields = dict([part.split("=", 1) for part in parts if "=" in part])
    if len(fields) < len(parts) and fields.get("35") in ("8", "9"):
        for part in parts:
            tag, _, value = part.partition("=")
            if tag in _SAID_ONCE and fields.get(tag, value) != value:
                raise Unreadable(f"tag {tag} is {fields[tag]!r} and {value!r} in one message")
    return fields


def decode(
    raw: str, ref: str, link: str, link_seq: int, at: datetime,
    venue: Venue = PLAIN, known: Mapping[str, str] | None = None,
) -> Decoded | None:  # fmt: skip
    """Turn one inbound message into its event; None when it is not about an order.

    `ref` is the ClOrdID(11) of the message of ours that a Reject(3) or BusinessMessageReject(j)
    refers to, empty when unknown. `known` maps OrderID(37) to the order's own ClOrdID(11). Raises
    `Unreadable`.
    """
    fields = split(raw)
    match fields.get("35", ""):
        case "8":
            return _execution_report(fields, link, link_seq, at, venue, known or {})
        case "9":
            cl_ord_id = fields.get("11", "")
            original = _own_id(fields, venue, known or {})
            status = _ORD_STATUSES.get(fields.get("39", ""))
            return CancelRejected(
                at, link, link_seq, cl_ord_id, original, status, fields.get("58", "")
            )  # fmt: skip
        case "3":
            return _refused(fields, order_id_of(ref, ""), fields.get("373", ""), link, link_seq, at)
        case "j":
            cl_ord_id = order_id_of(fields.get("379") or ref, "")
            return _refused(fields, cl_ord_id, fields.get("380", ""), link, link_seq, at)
        case "":
            raise Unreadable("tag 35 is missing")
        case _:
            return None


def _refused(
    fields: Fields, cl_ord_id: str, number: str, link: str, link_seq: int, at: datetime
) -> MessageRefused:
    text = f"35={fields['35']} reason {number}: {fields.get('58', 'no text')}"
    return MessageRefused(at, link, link_seq, cl_ord_id, text)


def order_id_of(cl_ord_id: str, orig_cl_ord_id: str) -> str:
    """Return the order's own ClOrdID(11), whichever of our ids a message names."""
    named = orig_cl_ord_id or cl_ord_id
    found = _CHANGE_ID.match(named)
    return found.group(1) if found else named


def is_ours(cl_ord_id: str) -> bool:
    """Say whether an id has the shape of an order's own ClOrdID(11)."""
    return _OUR_ID.fullmatch(cl_ord_id) is not None


def _own_id(fields: Fields, venue: Venue, known: Mapping[str, str]) -> str:
    """Name the order: by OrderID(37) when we know it, else by ClOrdID(11) and OrigClOrdID(41)."""
    mark = venue.dialect.system_cancel_tag if fields["35"] == "8" else ""
    is_system_cancel = bool(mark and fields.get(mark)) and fields.get("39") == OrdStatus.CANCELED.value
    original = "" if is_system_cancel else fields.get("41", "")
    named = order_id_of(fields.get("11", ""), original)
    by_venue = known.get(fields.get("37", ""), "") if venue.dialect.is_tolerant else ""
    if by_venue and is_ours(named) and named != by_venue:
        text = (
            f"OrderID(37) {fields['37']!r} is order {by_venue}, ClOrdID(11) and OrigClOrdID(41) name {named}"
        )
        raise Unreadable(text)
    return by_venue or named


def _execution_report(
    fields: Fields, link: str, link_seq: int, at: datetime, venue: Venue, known: Mapping[str, str]
) -> ReportReceived | OrderUnknown | None:
    cl_ord_id = _own_id(fields, venue, known)
    if not cl_ord_id:
        if "584" in fields and _names_no_order(fields):  # the end of an answer to AF: no orders
            return None
        raise Unreadable("tag 11 is missing")
    exec_type = _exec_type(fields, venue)
    ord_status = _ord_status(fields, venue)
    is_status = exec_type is ExecType.ORDER_STATUS
    if is_status and ord_status is OrdStatus.REJECTED and _names_no_order(fields):
        return OrderUnknown(at, link, link_seq, cl_ord_id)
    cum_qty = _units(fields, "14", venue)
    last_qty, last_px = _execution(fields, cum_qty, venue) if exec_type.is_trade else (None, None)
    if exec_type is ExecType.TRADE_CORRECT:
        last_qty, last_px = _units(fields, "32", venue), number(fields, "31")
    report = Report(
        cl_ord_id=cl_ord_id,
        exec_id="" if is_status else fields.get("17", ""),
        exec_type=exec_type,
        ord_status=ord_status,
        cum_qty=cum_qty or ZERO,
        leaves_qty=_units(fields, "151", venue),
        last_qty=last_qty,
        last_px=last_px,
        avg_px=number(fields, "6"),
        commission=_cost(fields, last_qty, last_px, venue) if exec_type.is_trade else ZERO,
        order_id=fields.get("37", ""),
        orig_cl_ord_id=fields.get("41", ""),
        symbol=venue.dialect.symbol_of(fields, venue),
        side=_SIDES.get(fields.get("54", "")),
        text=_text(fields, venue),
        transact_time=timestamp(fields.get("60", "")),
        order_qty=_units(fields, "38", venue) or None,
        exec_ref_id=fields.get("19", ""),
        restatement_reason=fields.get("378", ""),
        account=our_account(fields.get("1", ""), venue),
    )
    if exec_type.is_trade and not report.exec_id:
        raise Unreadable("ExecID(17) is missing on an execution")
    return ReportReceived(at, link, link_seq, report)


def _execution(
    fields: Fields, cum_qty: Decimal | None, venue: Venue
) -> tuple[Decimal | None, Decimal | None]:
    """Return LastQty(32) and LastPx(31); both None where CumQty(14) and AvgPx(6) must tell."""
    last_qty, last_px = _units(fields, "32", venue), number(fields, "31")
    if last_qty is not None and cum_qty is not None and last_qty > cum_qty:
        raise Unreadable(f"LastQty(32) is {last_qty}, CumQty(14) is {cum_qty}")
    if not venue.dialect.is_tolerant or (last_qty and last_px and venue.text("fills_by") != "difference"):
        return last_qty, last_px
    if not cum_qty or not number(fields, "6"):
        raise Unreadable("an execution without LastQty(32) or LastPx(31) needs CumQty(14) and AvgPx(6)")
    return None, None


def _names_no_order(fields: Fields) -> bool:
    return fields.get("103") == _UNKNOWN_ORDER or fields.get("37", "") in ("", "NONE", "0")


def _exec_type(fields: Fields, venue: Venue) -> ExecType:
    """Read ExecType(150), or ExecTransType(20) where FIX 4.2 says bust, correction or status."""
    by_trans_type = {"1": ExecType.TRADE_CANCEL, "2": ExecType.TRADE_CORRECT, "3": ExecType.ORDER_STATUS}
    if (found := by_trans_type.get(fields.get("20", "0"))) is not None:
        return found
    exec_type = _EXEC_TYPES.get(_required(fields, "150"))
    if exec_type is None:
        raise Unreadable(f"ExecType(150) {fields['150']!r} is not known")
    if "584" in fields and "AF" in venue.dialect.sends:  # an answer to AF tells no execution anew
        return ExecType.ORDER_STATUS
    allowed = venue.text("fill_exec_types")
    if allowed and exec_type.is_trade and exec_type.value not in allowed:
        raise Unreadable(f"ExecType(150) {exec_type.value!r} is not in fill_exec_types {allowed!r}")
    return exec_type


def _ord_status(fields: Fields, venue: Venue) -> OrdStatus:
    """Read OrdStatus(39); an order of which something is left is not filled."""
    ord_status = _ORD_STATUSES.get(_required(fields, "39"))
    if ord_status is None:
        raise Unreadable(f"OrdStatus(39) {fields['39']!r} is not known")
    if ord_status is OrdStatus.FILLED and (number(fields, "151") or ZERO) > ZERO:
        return OrdStatus.PARTIALLY_FILLED
    if ord_status is OrdStatus.CALCULATED and venue.text("calculated_means") == "pending_new":
        return OrdStatus.PENDING_NEW
    return ord_status


def _text(fields: Fields, venue: Venue) -> str:
    text = fields.get("58", "")
    if not venue.settings:
        return text
    known = venue.table("reject_texts").get(fields.get("103", ""), "")
    return f"{text} ({known})" if text and known else text or known


def _cost(fields: Fields, last_qty: Decimal | None, last_px: Decimal | None, venue: Venue) -> Decimal:
    """Return what one execution costs: Commission(12) and the venue's own tags beside it."""
    besides = ((number(fields, tag) or ZERO) for tag in venue.dialect.cost_tags)
    own = sum(besides, ZERO) if venue.text("additional_costs") == "add" else ZERO
    return _commission(fields, last_qty, last_px) + own


def _commission(fields: Fields, last_qty: Decimal | None, last_px: Decimal | None) -> Decimal:
    """Return Commission(12) of one execution in money, whatever CommType(13) states it in."""
    stated = number(fields, "12")
    if stated is None:
        return ZERO
    qty, px = last_qty or ZERO, last_px or ZERO
    kind = fields.get("13", _ABSOLUTE)
    if stated and last_qty is None and kind != _ABSOLUTE:
        raise Unreadable(f"Commission(12) is stated per LastQty(32), which is missing: CommType(13) {kind!r}")
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


def _units(fields: Fields, tag: str, venue: Venue) -> Decimal | None:
    """Read a quantity in units of the instrument."""
    found = number(fields, tag)
    if found is None:
        return None
    if found.is_signed() and found:
        raise Unreadable(f"tag {tag} has {fields[tag]!r}, a quantity below zero")
    scale = venue.settings.get("quantity_scale")
    return found * scale if isinstance(scale, Decimal) and scale else found
