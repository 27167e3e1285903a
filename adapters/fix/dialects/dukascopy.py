"""Dukascopy, FIX 4.4: currency pairs only, messages U1 to U7, numbers begin at 1 with every logon.

Source: the vendor's data dictionary and guide. `fix_specs/dukascopy.md` names the open points.
"""

from __future__ import annotations

from decimal import Decimal

from adapters.fix.dialects import market_data
from adapters.fix.dialects.base import (
    FILL_EXEC_TYPES,
    Dialect,
    Field,
    Fields,
    Key,
    Unsendable,
    Venue,
    account_of,
    is_pair,
    keys_with,
    our_symbol,
    symbol_at,
)
from adapters.fix.dialects.plain import READS_KEYED as READS
from gateway.domain.order import OrderSpec


def _values(spec: OrderSpec, venue: Venue) -> dict[str, Field | None]:
    """Say which pair, and no more of the account than is asked for."""
    symbol = symbol_at(spec, venue)
    if not is_pair(symbol):
        raise Unsendable(
            f"Symbol(55) {symbol!r} is no currency pair like EUR/USD: the venue has nothing else"
        )
    base, _, quote = symbol.partition("/")
    return {
        "1": account_of(spec, venue) if venue.is_on("send_account") else None,
        "55": symbol,
        "15": {"base": base, "quote": quote}.get(venue.text("send_currency")),
        "7011": venue.text("slippage") or None,
    }


def _symbol(fields: Fields, venue: Venue) -> str:
    return our_symbol(fields.get("55", ""), venue)


DIALECT = Dialect(
    name="dukascopy",
    title="Dukascopy",
    begin_strings=("FIX.4.4",),
    sends={
        "D": ("11", "1", "21", "55", "54", "60", "38", "40", "44", "15", "59", "7011"),
        "F": ("11", "41", "37", "55", "54", "60"),
        "G": ("11", "41", "37", "1", "21", "55", "54", "60", "38", "40", "44", "15", "59", "7011"),
        "AF": ("584", "585"),
        "U5": ("1",),
        "U7": (),
        "V": market_data.SENDS,
    },
    reads={
        **READS,
        **market_data.READS,
        "8": (*READS["8"], "584", "911", "912"),
        "U1": ("7004", "7003", "58"),
        "U2": ("7004", "15", "7005", "7006", "7007"),
        "U3": ("7004", "55", "7008", "44"),
        "U4": ("1", "55", "7008"),
        "U6": ("7010", "553", "1"),
    },
    values=_values,
    symbol_of=_symbol,
    fixed={"21": "1"},
    groups=market_data.GROUPS,
    received_groups={"U6": (7010, 553, 1)},
    ord_types={
        "MARKET": "1",
        "LIMIT": "2",
        "STOP": "3",
        "STOP_LIMIT": "4",
        "INSTRUMENT_EXPOSURE_CLOSING": "Z",
    },
    credentials="required",
    reset="logon",
    connects_per_minute=5,
    orders_per_s=16.0,
    look_up="AF",
    asks_account=True,
    replays=False,
    fx_only=True,
    keys=keys_with(
        Key("send_account", default=False, about="send Account(1), which the venue does not require"),
        Key("notice_priority", 2, "NotifPriority(7003) from which a notification is a warning"),
        Key(
            "activation",
            "",
            "whom ActivationRequest(U5) asks about after logon: all, or one account; empty asks nothing",
        ),
        Key("positions_limit", 100, "open positions the venue allows; for the record"),
        Key("quantity_scale", Decimal(1), "base-currency units in one unit of OrderQty(38)", is_open=True),
        Key("quantity_step", Decimal(0), "step of OrderQty(38); 0 checks nothing", is_open=True),
        Key("slippage", "", "Slippage(7011), in a unit to be certified; empty is not sent", is_open=True),
        Key(
            "durations",
            {"MARKET": "034", "LIMIT": "01"},
            "TimeInForce(59) values allowed per order type",
            is_open=True,
        ),
        Key(
            "send_currency",
            "none",
            "Currency(15): none, base or quote",
            is_open=True,
            choices=("none", "base", "quote"),
        ),
        Key(
            "calculated_means",
            "pending_new",
            "what OrdStatus(39)=B says",
            is_open=True,
            choices=("pending_new", "calculated"),
        ),
        FILL_EXEC_TYPES,
        Key(
            "fills_by",
            "either",
            "LastQty(32) and LastPx(31) when given, or always the CumQty(14) difference",
            is_open=True,
            choices=("either", "difference"),
        ),
        Key("mass_status_type", "7", "MassStatusReqType(585) that means all orders", is_open=True),
        Key(
            "absence_is_unknown",
            default=False,
            about="an order missing from a whole answer to AF is not known there",
            is_open=True,
        ),
        Key(
            "reset_each_logon",
            default=True,
            about="ResetSeqNumFlag(141)=Y at every logon; false follows the link",
            is_open=True,
        ),
        Key(
            "compare_positions",
            default=True,
            about="a position stated by U3 must equal the book once nothing of the pair is open",
            is_open=True,
        ),
        Key(
            "close_exposure",
            default=False,
            about="a market order for exactly the position that U3 stated goes out as OrdType(40)=Z",
            is_open=True,
        ),
        Key("week", "", "the venue's weekly window; for the record", is_open=True),
        Key(
            "orders_survive_disconnect",
            default=True,
            about="working orders stay when the session drops; for the record",
            is_open=True,
        ),
        Key("trading_port", 0, "the port of the trading session; for the record", is_open=True),
    ),
)
