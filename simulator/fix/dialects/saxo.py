"""Saxo Bank's FIX 4.4 as a venue: Parties on every request, weekly numbers, no order status.

Source: the vendor's developer portal. A block order is taken with one allocation, by quantity or by cash;
its executions are booked to that account. Not spoken here: blocks of several accounts, allocation
instructions behind an execution, quote requests.
"""

from __future__ import annotations

from decimal import Decimal

from simulator.fix.dialects.base import ACCOUNT, SYMBOL, Around, Body, Dialect, Pairs, changed, first, is_pair
from simulator.fix.message import Message

PARTY_ID, SOURCE, ROLE, COUNT = 448, 447, 452, 453
_PARTIES = frozenset({PARTY_ID, SOURCE, ROLE, COUNT})
CLIENT, ACCOUNT_ROLE, TRADER = "3", "38", "11"
_SECURITY_TYPE, _BOOKING, _ORD_TYPE, _TIME_IN_FORCE, _CURRENCY_PAIR, _FUTURE = 167, 775, 40, 59, "FOR", "FUT"
_COMMISSION, _COMM_TYPE, _ADDITIONAL_COSTS = 12, 13, 12115
_ORDER_QTY, _CASH_ORDER_QTY, _CUM_QTY, _SIDE, _EXEC_TYPE, _TEXT = 38, 152, 14, 54, 150, 58
_ALLOC_ID, _ALLOC_STATUS, _ALLOCS, _ALLOC_ACCOUNT, _ALLOC_QTY = 70, 87, 78, 79, 80
_ALLOC_CUM_QTY, _CASH_ALLOC_QTY = 12109, 12110
_BLOCK = frozenset({_ALLOC_ID, _ALLOCS, _ALLOC_ACCOUNT, _ALLOC_QTY, _CASH_ALLOC_QTY})
_RECEIVED, _ACCEPTED, _BLOCK_REJECTED = "3", "0", "1"
"""AllocStatus(87)."""
_NEW, _REJECTED, _TRADE = "0", "8", "F"
"""ExecType(150)."""
_DURATIONS = {
    ("FOR", "1"): "034", ("FOR", "2"): "014", ("FOR", "3"): "01",
    ("CFD", "1"): "0", ("CFD", "2"): "016", ("CFD", "3"): "016",
    ("", "1"): "0", ("", "2"): "01", ("", "3"): "01",
}  # fmt: skip
"""TimeInForce(59) values by product and OrdType(40)."""


def _parties(body: Body) -> dict[str, str]:
    """Return PartyID(448) by PartyRole(452); one whose PartyIDSource(447) is not D does not count."""
    found: dict[str, str] = {}
    who = source = ""
    for tag, value in body:
        if tag == PARTY_ID:
            who, source = value, ""
        elif tag == SOURCE:
            source = value
        elif tag == ROLE and source == "D":
            found[value] = who
    return found


def _heard(_msg_type: str, body: Body) -> Pairs:
    account = first(body, _ALLOC_ACCOUNT) or _parties(body).get(ACCOUNT_ROLE, "")
    plain = tuple((tag, value) for tag, value in body if tag not in _PARTIES | _BLOCK)
    return changed(plain, ACCOUNT, account) if account else plain


def _echo(body: Body) -> Pairs:
    kept = {*_PARTIES, _ALLOC_ID, _ALLOC_ACCOUNT}
    return tuple((tag, value) for tag, value in body if tag in kept)


def _said(_msg_type: str, body: Body) -> Pairs:
    """Name the account in the Parties only; state what an execution costs as additional costs."""
    unsaid = {ACCOUNT, _COMMISSION, _COMM_TYPE, _ALLOC_ID, _ALLOC_ACCOUNT}
    plain = tuple((tag, value) for tag, value in body if tag not in unsaid)
    cost = first(body, _COMMISSION)
    return (*plain, (_ADDITIONAL_COSTS, cost)) if cost else plain


def _around(msg_type: str, body: Body) -> Around:
    """Acknowledge a block before it is accepted or rejected; report what is allocated behind an execution."""
    alloc_id, kind = first(body, _ALLOC_ID), first(body, _EXEC_TYPE)
    if not alloc_id or msg_type != "8" or kind not in (_NEW, _REJECTED, _TRADE):
        return (), ()
    if kind == _TRADE:
        account, cum_qty = first(body, _ALLOC_ACCOUNT), first(body, _CUM_QTY)
        named = ((_ALLOC_ID, alloc_id), (_ALLOC_STATUS, _ACCEPTED), (_SIDE, first(body, _SIDE)))
        entry = ((_ALLOCS, "1"), (_ALLOC_ACCOUNT, account), (_ALLOC_CUM_QTY, cum_qty))
        return (), (Message("AS", (*named, (SYMBOL, first(body, SYMBOL)), *entry)),)
    received = Message("P", ((_ALLOC_ID, alloc_id), (_ALLOC_STATUS, _RECEIVED)))
    if kind == _NEW:
        return (received, Message("P", ((_ALLOC_ID, alloc_id), (_ALLOC_STATUS, _ACCEPTED)))), ()
    refused = ((_ALLOC_ID, alloc_id), (_ALLOC_STATUS, _BLOCK_REJECTED), (_TEXT, first(body, _TEXT)))
    return (received, Message("P", refused)), ()


def _block_fault(body: Body) -> str:
    """Say why the allocations of an order are refused."""
    if not first(body, _ALLOCS):
        return ""
    if first(body, _ALLOCS) != "1":
        return "NoAllocs(78): this venue takes blocks of one account"
    if not first(body, _ALLOC_ID) or not first(body, _ALLOC_ACCOUNT):
        return "a block needs AllocID(70) and AllocAccount(79)"
    allocated, whole = (
        (_ALLOC_QTY, _ORDER_QTY) if first(body, _ORDER_QTY) else (_CASH_ALLOC_QTY, _CASH_ORDER_QTY)
    )
    if Decimal(first(body, allocated) or 0) != Decimal(first(body, whole) or 0):
        return f"the allocations in tag {allocated} do not add up to tag {whole}"
    return ""


def _fault(msg_type: str, body: Body) -> str:
    roles = _parties(body)
    kind = first(body, _SECURITY_TYPE)
    needed = (CLIENT, ACCOUNT_ROLE, TRADER) if kind == _FUTURE else (CLIENT, ACCOUNT_ROLE)
    for role in needed:
        if not roles.get(role):
            return f"Parties(453) must name PartyRole(452)={role} with PartyIDSource(447)=D"
    if msg_type == "F":
        return ""
    if problem := _block_fault(body):
        return problem
    symbol = first(body, SYMBOL)
    if kind == _CURRENCY_PAIR and not is_pair(symbol):
        return f"Symbol(55) {symbol} is no currency pair; write CCY1/CCY2"
    is_cfd = first(body, _BOOKING) == "1"
    product = _CURRENCY_PAIR if kind == _CURRENCY_PAIR else "CFD" if is_cfd else ""
    ord_type, duration = first(body, _ORD_TYPE), first(body, _TIME_IN_FORCE) or "0"
    allowed = _DURATIONS.get((product, ord_type), "")
    if duration not in allowed:
        return f"TimeInForce(59)={duration} is not offered for OrdType(40)={ord_type} here"
    return ""


DIALECT = Dialect(
    name="saxo",
    begin_strings=("FIX.4.4",),
    heartbeat_s=30,
    needs_login=True,
    quotes=True,
    resets="week",
    unsupported=frozenset({"H", "AF", "q"}),
    heard=_heard,
    said=_said,
    fault=_fault,
    echo=_echo,
    around=_around,
    echoes_in_rejects=True,
)
