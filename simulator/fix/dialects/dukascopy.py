"""Dukascopy's FIX 4.4 trading session as a venue: currency pairs, no memory over a logon, totals only.

Source: the vendor's programming guide and data dictionary. The answer to AF is not documented; here it
names every order of the day; the answer to U5 names the session's own user. Not spoken here: quote status and
trading session status.
"""

from __future__ import annotations

from simulator.fix.dialects.base import CLOSE_EXPOSURE, ORD_TYPE, SYMBOL, Body, Dialect, Pairs, first, is_pair

_LAST_PX, _LAST_QTY, _SLIPPAGE = 31, 32, 7011


def _fault(msg_type: str, body: Body) -> str:
    symbol = first(body, SYMBOL)
    if not is_pair(symbol):
        return f"Symbol(55) {symbol} is no currency pair; write CCY1/CCY2"
    has_quantity = first(body, 38) or first(body, ORD_TYPE) == CLOSE_EXPOSURE
    return "" if msg_type != "D" or has_quantity else "OrderQty(38) is missing"


def _said(_msg_type: str, body: Body) -> Pairs:
    """Tell what has filled by CumQty(14) and AvgPx(6) alone."""
    return tuple((tag, value) for tag, value in body if tag not in (_LAST_PX, _LAST_QTY))


def _echo(body: Body) -> Pairs:
    slippage = first(body, _SLIPPAGE)
    return ((_SLIPPAGE, slippage),) if slippage else ()


DIALECT = Dialect(
    name="dukascopy",
    begin_strings=("FIX.4.4",),
    needs_login=True,
    quotes=True,
    resets="logon",
    unsupported=frozenset({"H", "q"}),
    connects_per_minute=5,
    orders_per_s=16,
    positions_limit=100,
    mass_status="day",
    states_positions=True,
    closes_exposure=True,
    also_values=frozenset({(ORD_TYPE, CLOSE_EXPOSURE)}),
    said=_said,
    fault=_fault,
    echo=_echo,
)
