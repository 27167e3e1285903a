"""Saxo Bank's FIX 4.4 as a venue: Parties on every request, weekly numbers, no order status.

Source: the vendor's developer portal. Not spoken here: allocations, quote requests.
"""

from __future__ import annotations

from simulator.fix.dialects.base import ACCOUNT, Body, Dialect, Pairs, changed, first, is_pair

PARTY_ID, SOURCE, ROLE, COUNT = 448, 447, 452, 453
_PARTIES = frozenset({PARTY_ID, SOURCE, ROLE, COUNT})
CLIENT, ACCOUNT_ROLE, TRADER = "3", "38", "11"
_SECURITY_TYPE, _BOOKING, _ORD_TYPE, _TIME_IN_FORCE, _CURRENCY_PAIR, _FUTURE = 167, 775, 40, 59, "FOR", "FUT"
_COMMISSION, _COMM_TYPE, _ADDITIONAL_COSTS = 12, 13, 12115
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
    account = _parties(body).get(ACCOUNT_ROLE, "")
    plain = tuple((tag, value) for tag, value in body if tag not in _PARTIES)
    return changed(plain, ACCOUNT, account) if account else plain


def _echo(body: Body) -> Pairs:
    return tuple((tag, value) for tag, value in body if tag in _PARTIES)


def _said(_msg_type: str, body: Body) -> Pairs:
    """Name the account in the Parties only; state what an execution costs as additional costs."""
    plain = tuple((tag, value) for tag, value in body if tag not in (ACCOUNT, _COMMISSION, _COMM_TYPE))
    cost = first(body, _COMMISSION)
    return (*plain, (_ADDITIONAL_COSTS, cost)) if cost else plain


def _fault(msg_type: str, body: Body) -> str:
    roles = _parties(body)
    kind = first(body, _SECURITY_TYPE)
    needed = (CLIENT, ACCOUNT_ROLE, TRADER) if kind == _FUTURE else (CLIENT, ACCOUNT_ROLE)
    for role in needed:
        if not roles.get(role):
            return f"Parties(453) must name PartyRole(452)={role} with PartyIDSource(447)=D"
    if msg_type == "F":
        return ""
    symbol = first(body, 55)
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
    echoes_in_rejects=True,
)
