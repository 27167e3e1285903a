"""Interactive Brokers' FIX 4.2 as a venue: currency pairs in two fields, a currency with SMART.

Source: restatements of the vendor's FIX manual in open clients. Order types of several characters are known
words; what the core cannot match is refused in an answer of the order's life. Not spoken here: multi-leg
orders, bulletins, allocations.
"""

from __future__ import annotations

from simulator.fix.dialects.base import SYMBOL, Body, Dialect, Pairs, changed, first, is_pair

_CURRENCY, _DESTINATION, _SECURITY_TYPE = 15, 100, 167
_CASH = "CASH"
_ORD_TYPES = frozenset({"LT", "TSL", "MIDPX", "B", "J"})
_EXEC_INSTS = frozenset({"s", "e", "a"})


def _heard(_msg_type: str, body: Body) -> Pairs:
    """Join base and quote currency to the core's symbol."""
    if first(body, _SECURITY_TYPE) != _CASH:
        return tuple(body)
    return changed(body, SYMBOL, f"{first(body, SYMBOL)}/{first(body, _CURRENCY)}")


def _said(_msg_type: str, body: Body) -> Pairs:
    symbol = first(body, SYMBOL)
    return changed(body, SYMBOL, symbol.partition("/")[0]) if is_pair(symbol) else tuple(body)


def _fault(msg_type: str, body: Body) -> str:
    needs_currency = first(body, _DESTINATION) == "SMART" or first(body, _SECURITY_TYPE) == _CASH
    if msg_type == "D" and needs_currency and not first(body, _CURRENCY):
        return "Currency(15) is required with ExDestination(100)=SMART and for currencies"
    return ""


_INSTRUMENT = frozenset({_CURRENCY, _DESTINATION, _SECURITY_TYPE, 207})
"""What names an instrument there; it comes with every message about an order."""

DIALECT = Dialect(
    name="ibkr",
    begin_strings=("FIX.4.2",),
    unsupported=frozenset({"AF", "q"}),
    also_values=frozenset(
        {
            (_SECURITY_TYPE, _CASH),
            *((40, word) for word in _ORD_TYPES),
            *((18, word) for word in _EXEC_INSTS),
        }
    ),
    heard=_heard,
    said=_said,
    fault=_fault,
    also_tags=dict.fromkeys("FGH8", _INSTRUMENT),
)
