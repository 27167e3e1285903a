"""What the venue answers: reports and rejects written as FIX messages, for FIX 4.4 and for FIX 4.2.

Rules of this room:
1. Fields stand in ascending order of their tags; the client's own fields come last.
2. FIX 4.2 has no Trade(F) and no OrderStatus(I) in ExecType(150): fills are PartialFill(1) and Fill(2), a
   status is ExecTransType(20)=3 with ExecType equal to OrdStatus(39). Reject codes it lacks become 0 or 2.
3. A number is written as digits and a point, never with an exponent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.fix.formats import write_time
from simulator.fix.message import Message
from simulator.orders import NO_EXEC_ID, NO_ORDER_ID, CancelReject, CxlRejReason, ExecType, OrdStatus, Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from simulator.fix.message import Pair
    from simulator.orders import Answer

NO_SYMBOL = "[N/A]"
_OLD = "FIX.4.2"
_ABSOLUTE = "3"
_UNDISCLOSED = "7"
_EXEC_TRANS_TYPES = {
    ExecType.TRADE_CANCEL: "1", ExecType.TRADE_CORRECT: "2", ExecType.ORDER_STATUS: "3",
}  # fmt: skip
"""ExecTransType(20), which FIX 4.2 has instead of ExecTypes(150) of their own."""
_EXECUTIONS = frozenset({ExecType.TRADE, ExecType.TRADE_CANCEL, ExecType.TRADE_CORRECT})
_BROKER_OPTION = "0"
_DAY = (424, 425, 426)
"""DayOrderQty, DayCumQty, DayAvgPx."""
_MAX_OLD_ORD_REJ_REASON = 8
_OLD_CXL_REJ_REASONS = frozenset(
    {
        CxlRejReason.TOO_LATE,
        CxlRejReason.UNKNOWN_ORDER,
        CxlRejReason.BROKER_OPTION,
        CxlRejReason.ALREADY_PENDING,
    }
)


def write(answer: Answer, begin_string: str, extra: Sequence[Pair] = ()) -> Message:
    """Write one answer as ExecutionReport(8) or OrderCancelReject(9)."""
    if isinstance(answer, CancelReject):
        return _cancel_reject(answer, begin_string)
    return _execution_report(answer, begin_string, extra)


def again(message: Message) -> Message:
    """Say a report again as another message that may be a repetition: PossResend(97)=Y."""
    return replace(message, poss_resend=True)


def no_orders(asked: Sequence[Pair], now: datetime) -> Message:
    """Answer a mass status request that finds nothing: one report of no order."""
    pairs = (
        (6, "0"), (14, "0"), (17, NO_EXEC_ID), (37, NO_ORDER_ID), (39, OrdStatus.REJECTED),
        (54, _UNDISCLOSED), (55, NO_SYMBOL), (58, "no open orders"), (60, write_time(now)),
        (150, ExecType.ORDER_STATUS), (151, "0"), *asked, (911, "0"), (912, "Y"),
    )  # fmt: skip
    return Message("8", pairs)


def number(value: Decimal) -> str:
    """Write a number as FIX wants it."""
    text = str(value)
    return format(value, "f") if "E" in text else text


def _execution_report(answer: Report, begin_string: str, extra: Sequence[Pair]) -> Message:
    is_old = begin_string == _OLD
    price = answer.price
    pairs: list[Pair] = [(1, answer.account)] if answer.account else []
    pairs += ((6, number(answer.avg_px)), (11, answer.cl_ord_id))
    if answer.commission:
        pairs += ((12, number(answer.commission)), (13, _ABSOLUTE))
    pairs += ((14, number(answer.cum_qty)), (17, answer.exec_id))
    pairs += _execution(answer, is_old=is_old)
    pairs += (
        (37, answer.order_id),
        (38, number(answer.order_qty)),
        (39, answer.ord_status),
        (40, answer.ord_type),
    )
    if answer.orig_cl_ord_id is not None:
        pairs.append((41, answer.orig_cl_ord_id))
    if price is not None:
        pairs.append((44, number(price)))
    pairs += ((54, answer.side), (55, answer.symbol))
    if answer.text is not None:
        pairs.append((58, answer.text))
    pairs += ((59, answer.time_in_force), (60, write_time(answer.transact_time)))
    if answer.ord_rej_reason is not None:
        is_known = not is_old or int(answer.ord_rej_reason) <= _MAX_OLD_ORD_REJ_REASON
        pairs.append((103, answer.ord_rej_reason if is_known else _BROKER_OPTION))
    exec_type = _old_exec_type(answer) if is_old else answer.exec_type
    pairs += ((150, exec_type), (151, number(answer.leaves_qty)))
    if answer.exec_restatement_reason is not None:
        pairs.append((378, answer.exec_restatement_reason))
    if answer.day is not None:
        pairs += [(tag, number(value)) for tag, value in zip(_DAY, answer.day, strict=True)]
    if answer.echo or extra:
        pairs += (*answer.echo, *extra)
    return Message("8", tuple(pairs))


def _execution(answer: Report, *, is_old: bool) -> list[Pair]:
    """Say which execution a report is about: ExecRefID, ExecTransType, LastPx, LastQty."""
    pairs: list[Pair] = []
    if answer.exec_ref_id is not None:
        pairs.append((19, answer.exec_ref_id))
    if is_old:
        pairs.append((20, _EXEC_TRANS_TYPES.get(answer.exec_type, "0")))
    if answer.last_qty is not None and answer.last_px is not None:
        pairs += ((31, number(answer.last_px)), (32, number(answer.last_qty)))
    return pairs


def _old_exec_type(answer: Report) -> str:
    """Say in FIX 4.2's words what happened."""
    if answer.exec_type in _EXECUTIONS:
        return "1" if answer.cum_qty < answer.order_qty else "2"
    if answer.exec_type is ExecType.ORDER_STATUS:
        return answer.ord_status
    return answer.exec_type


def _cancel_reject(answer: CancelReject, begin_string: str) -> Message:
    is_known = begin_string != _OLD or answer.cxl_rej_reason in _OLD_CXL_REJ_REASONS
    pairs: list[Pair] = [(1, answer.account)] if answer.account else []
    pairs += (
        (11, answer.cl_ord_id), (37, answer.order_id), (39, answer.ord_status),
        (41, answer.orig_cl_ord_id), (58, answer.text), (60, write_time(answer.transact_time)),
        (102, (answer.cxl_rej_reason if is_known else CxlRejReason.BROKER_OPTION)),
        (434, answer.response_to), *answer.echo,
    )  # fmt: skip
    return Message("9", tuple(pairs))
