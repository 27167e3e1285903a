"""Saxo Bank, FIX 4.4 (an older generation speaks 4.3): Parties, weekly numbers, no order status.

Source: the vendor's developer portal. `fix_specs/saxo.md` names the open points.
"""

from __future__ import annotations

import re
from decimal import Decimal

from adapters.fix.dialects import market_data
from adapters.fix.dialects.base import (
    CASH_ORDER_QTY,
    FILL_EXEC_TYPES,
    Dialect,
    Entries,
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
from adapters.fix.dialects.notices import ALLOC_CUM_QTY
from adapters.fix.dialects.plain import READS_KEYED as READS
from adapters.fix.dialects.wire import plain
from gateway.domain.order import OrderSpec

CLIENT_ID, ACCOUNT, TRADER = "3", "38", "11"
"""PartyRole(452)."""

PARTIES = (453, 448, 447, 452)
ALLOCATIONS = (78, 79, 80, 12110)
"""NoAllocs of AllocAccount, and AllocQty or CashAllocQty."""

OLD = "FIX.4.3"
FX, FUTURE, CFD = "FOR", "FUT", "1"
TRADER_ID = re.compile(r"[A-Za-z0-9]{1,16}")
COUNTRY = re.compile(r"[A-Z]{2}(,[A-Z]{2})?")
ISIN = "4"
"""SecurityIDSource(22)."""

CASH_ALLOC_QTY = "12110"
"""CashAllocQty: an allocation of an order of money."""

ADDITIONAL_COSTS = "12115"
"""AdditionalTransactionCosts."""

INSTRUMENT = ("55", "48", "22", "167", "207", "460", "775")
ORDER = (*INSTRUMENT, "54", "60", "38", CASH_ORDER_QTY, "40", "44", "15", "59")
DURATIONS = {
    "FOR.MARKET": "034", "FOR.LIMIT": "014", "CFD.MARKET": "0", "CFD.LIMIT": "016",
    "MARKET": "0", "LIMIT": "01",
}  # fmt: skip


def _kind(spec: OrderSpec, venue: Venue) -> str:
    """Return SecurityType(167) of an order."""
    usual = FX if is_pair(symbol_at(spec, venue)) else venue.text("security_type")
    return venue.table("security_types").get(spec.symbol, usual)


def _header(spec: OrderSpec, venue: Venue) -> dict[str, str]:
    """Say where the trader of a listed future is, SenderLocationID(142), and for whom we speak (115)."""
    is_listed_future = _kind(spec, venue) == FUTURE and venue.text("booking_type") != CFD
    named = {
        "115": venue.text("on_behalf_of"),
        "142": venue.text("trader_location") if is_listed_future else "",
    }
    return {tag: value for tag, value in named.items() if value}


def _fault(venue: Venue) -> str:
    """Futures need a trader and where he is; both are written in one way only."""
    trader, location = venue.text("trader"), venue.text("trader_location")
    if trader and not TRADER_ID.fullmatch(trader):
        return "trader: write letters and digits, 16 at most"
    if location and not COUNTRY.fullmatch(location):
        return "trader_location: write a country like DK, or CA,BC for a province of Canada"
    has_futures = FUTURE in (venue.text("security_type"), *venue.table("security_types").values())
    if has_futures and not trader:
        return "trader: futures need an order-origination trader; write it"
    if has_futures and venue.text("booking_type") != CFD and not location:
        return "trader_location: listed futures need SenderLocationID(142); write the trader's country"
    return ""


def _values(spec: OrderSpec, venue: Venue) -> dict[str, Field | None]:
    """Say who (Parties or Account(1)) and what (symbol, or ISIN, with its type and market)."""
    symbol = symbol_at(spec, venue)
    is_fx = is_pair(symbol)
    kind = _kind(spec, venue)
    is_old = venue.begin_string == OLD
    values: dict[str, Field | None] = {
        "1": f"{venue.text('client_id')}/{account_of(spec, venue)}" if is_old else None,
        "453": None if is_old else _parties(spec, venue),
        **_allocations(spec, venue),
        "55": symbol, "167": kind or None, "460": "4" if is_fx and is_old else None,
        "775": venue.text("booking_type") or None,
        "15": spec.currency if venue.is_on("send_currency") else None,
        "12108": venue.text("cancellation_if_reduction") or None,
        "12121": venue.text("extended_trading_hours") or None,
    }  # fmt: skip
    if not is_fx:
        values["207"] = venue.table("exchanges").get(spec.symbol, venue.text("exchange")) or None
    if not is_fx and venue.text("identify_by") == "isin":
        isin = venue.table("isins").get(spec.symbol)
        if isin is None:
            raise Unsendable(f"SecurityID(48) of {spec.symbol} is not in isins")
        values |= {"48": isin, "22": ISIN}
    return values


def _parties(spec: OrderSpec, venue: Venue) -> Entries:
    account = venue.text("block_account") or account_of(spec, venue)
    named = [(venue.text("client_id"), CLIENT_ID), (account, ACCOUNT)]
    if trader := venue.text("trader"):
        named.append((trader, TRADER))
    return tuple((("448", who), ("447", "D"), ("452", role)) for who, role in named)


def _allocations(spec: OrderSpec, venue: Venue) -> dict[str, Field | None]:
    """Allocate an order of the block account to the account it is meant for: AllocID(70), NoAllocs(78)."""
    if not venue.text("block_account"):
        return {}
    cash = spec.cash_order_qty
    share = ("80", plain(spec.order_qty)) if cash is None else (CASH_ALLOC_QTY, plain(cash))
    return {"70": spec.cl_ord_id, "78": ((("79", account_of(spec, venue)), share),)}


def _symbol(fields: Fields, venue: Venue) -> str:
    return our_symbol(fields.get("55", ""), venue)


DIALECT = Dialect(
    name="saxo",
    title="Saxo Bank",
    begin_strings=("FIX.4.4", OLD),
    sends={
        "D": ("11", "453", "1", "70", "78", "21", *ORDER, "12108", "12121"),
        "F": ("11", "41", "37", "453", "1", *INSTRUMENT, "54", "60", "38"),
        "G": ("11", "41", "37", "453", "1", "21", *ORDER),
        "H": ("11", "37", "453", "1", "55", "54"),
        "V": (*market_data.SENDS, "167"),
    },
    reads={
        **READS,
        **market_data.READS,
        "8": (*READS["8"], ADDITIONAL_COSTS),
        "P": ("70", "87", "58"),
        "AS": ("70", "87", "78", "79", ALLOC_CUM_QTY),
    },
    values=_values,
    symbol_of=_symbol,
    header=_header,
    fault=_fault,
    fixed={"21": "1"},
    ord_types={"MARKET": "1", "LIMIT": "2", "STOP": "3"},
    groups=(PARTIES, ALLOCATIONS, *market_data.GROUPS),
    received_groups={"AS": (78, 79, int(ALLOC_CUM_QTY))},
    credentials="required",
    reset="week",
    heartbeat_s=30,
    most_resets=5,
    look_up="",
    cost_tags=(ADDITIONAL_COSTS,),
    keys=keys_with(
        Key("client_id", "", "the client id of the Parties group, PartyRole(452)=3", is_required=True),
        Key(
            "block_account",
            "",
            "the account orders are placed for, each allocated to its own; empty places them for its own",
        ),
        Key("trader", "", "the order-origination trader, PartyRole(452)=11; futures need one"),
        Key("trader_location", "", "SenderLocationID(142): the trader's country; listed futures need it"),
        Key("on_behalf_of", "", "OnBehalfOfCompID(115), as the older generation has it; empty is not sent"),
        Key("heartbeat_s", 30, "HeartBtInt(108): must be 30 unless agreed otherwise"),
        Key("week_starts", "Mon 05:00", "when numbers begin again at 1"),
        Key("week_zone", "Australia/Brisbane", "the time zone of week_starts (AEST)"),
        Key(
            "cancellation_if_reduction",
            "",
            "CancellationIfReduction(12108) of an order",
            choices=("", "Y", "N"),
        ),
        Key("extended_trading_hours", "", "ExtendedTradingHours(12121) of an order", choices=("", "Y", "N")),
        Key(
            "begin_string",
            "FIX.4.4",
            "the generation the account is on",
            is_open=True,
            choices=("FIX.4.4", OLD),
        ),
        Key(
            "transport",
            "vpn",
            "vpn, cross_connect or tls; for the record",
            is_open=True,
            choices=("vpn", "cross_connect", "tls"),
        ),
        Key(
            "identify_by",
            "symbol",
            "how an equity is named: Symbol(55), or SecurityID(48) with an ISIN",
            is_open=True,
            choices=("symbol", "isin"),
        ),
        Key("isins", {}, "our symbol to its ISIN"),
        Key("security_type", "CS", "SecurityType(167) of what is not a currency pair", is_open=True),
        Key("security_types", {}, "our symbol to its SecurityType(167)"),
        Key("exchange", "", "SecurityExchange(207) of an equity; empty is not sent", is_open=True),
        Key("exchanges", {}, "our symbol to its SecurityExchange(207)"),
        Key(
            "booking_type",
            "",
            "BookingType(775): 0 listed, 1 presumably CFD; empty is not sent",
            is_open=True,
        ),
        Key("send_currency", default=False, about="send Currency(15)", is_open=True),
        Key(
            "additional_costs",
            "add",
            "AdditionalTransactionCosts(12115): add to Commission(12) of its execution, or ignore",
            is_open=True,
            choices=("add", "ignore"),
        ),
        FILL_EXEC_TYPES,
        Key(
            "order_status",
            "none",
            "none, or H when the venue answers OrderStatusRequest(H)",
            is_open=True,
            choices=("none", "H"),
        ),
        Key(
            "durations",
            DURATIONS,
            "TimeInForce(59) values allowed per SecurityType(167) and order type",
            is_open=True,
        ),
        Key("quantity_step", Decimal(0), "lot size of OrderQty(38); 0 checks nothing", is_open=True),
        Key("certification_rows", 10, "rows of the venue's certification table that are known", is_open=True),
    ),
)
