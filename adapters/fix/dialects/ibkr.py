"""Interactive Brokers, FIX 4.2 (CTCI): text order types, tags 6xxx, 150=1/2 with ExecTransType(20).

Source: the vendor's campus page and open-source clients. `fix_specs/ibkr.md` names the open points.
"""

from __future__ import annotations

import re

from adapters.fix.dialects.base import (
    Dialect,
    Field,
    Fields,
    Key,
    Venue,
    account_of,
    is_pair,
    keys_with,
    our_symbol,
    symbol_at,
)
from adapters.fix.dialects.plain import READS_KEYED as READS
from gateway.domain.order import OrderSpec

CASH = "CASH"
INSTRUMENT = ("55", "167", "15", "100", "207")
LOOKS_LIKE_A_CURRENCY = re.compile(r"[A-Z]{3}")
ORDER = (*INSTRUMENT, "54", "60", "38", "40", "44", "59")


def _values(spec: OrderSpec, venue: Venue) -> dict[str, Field | None]:
    """Name the contract: symbol, type, currency, where to send it and where it is listed."""
    symbol, currency = symbol_at(spec, venue), spec.currency
    kind = venue.table("security_types").get(spec.symbol, venue.text("security_type"))
    destination = venue.table("destinations").get(spec.symbol, venue.text("destination"))
    if is_pair(symbol):
        symbol, _, currency = symbol.partition("/")
        kind = CASH
        destination = venue.text("fx_destination")
    return {
        "1": account_of(spec, venue), "55": symbol, "15": currency, "167": kind,
        "100": destination or None,
        "207": venue.table("primary_exchanges").get(spec.symbol),
        "204": venue.text("customer_or_firm") or None,
        "440": venue.text("clearing_account") or None,
        "439": venue.text("clearing_firm") or None,
        "6207": venue.table("sub_accounts").get(spec.account),
        "6010": spec.request_id if venue.is_on("send_order_reference") else None,
        "6205": "1" if venue.is_on("only_regular_hours") else None,
    }  # fmt: skip


def _symbol(fields: Fields, venue: Venue) -> str:
    """Put a currency pair together again; say nothing when too little of it is in the report."""
    symbol, kind = fields.get("55", ""), fields.get("167", "")
    if kind == CASH:
        quote = fields.get("15", "")
        return our_symbol(f"{symbol}/{quote}", venue) if symbol and quote else ""
    if not kind and LOOKS_LIKE_A_CURRENCY.fullmatch(symbol):
        return ""
    return our_symbol(symbol, venue)


DIALECT = Dialect(
    name="ibkr",
    title="Interactive Brokers",
    begin_strings=("FIX.4.2",),
    sends={
        "D": ("11", "1", "21", *ORDER, "204", "440", "439", "6207", "6010", "6205"),
        "F": ("11", "41", "37", "1", *INSTRUMENT, "54", "60", "38"),
        "G": ("11", "41", "37", "1", "21", *ORDER),
        "H": ("11", "37", "1", "55", "167", "15", "54"),
    },
    reads={**READS, "8": (*READS["8"], "167", "15")},
    values=_values,
    symbol_of=_symbol,
    fixed={"21": "2"},
    ord_types={
        "MARKET": "1",
        "LIMIT": "2",
        "STOP": "3",
        "STOP_LIMIT": "4",
        "MARKET_ON_CLOSE": "5",
        "LIMIT_ON_CLOSE": "B",
        "MARKET_IF_TOUCHED": "J",
        "LIMIT_IF_TOUCHED": "LT",
        "PEGGED": "P",
        "TRAILING_STOP_LIMIT": "TSL",
        "MIDPRICE": "MIDPX",
    },
    credentials="never",
    reset="link",
    look_up="H",
    system_cancel_tag="378",
    keys=keys_with(
        Key("destination", "SMART", "ExDestination(100) of what is not a currency pair"),
        Key("destinations", {}, "our symbol to its ExDestination(100)"),
        Key(
            "fx_destination",
            "IDEALPRO",
            "ExDestination(100) of a currency pair; empty is not sent",
            is_open=True,
        ),
        Key("primary_exchanges", {}, "our symbol to its SecurityExchange(207), e.g. ISLAND"),
        Key("security_type", "CS", "SecurityType(167) of what is not a currency pair"),
        Key("security_types", {}, "our symbol to its SecurityType(167)"),
        Key("customer_or_firm", "", "CustomerOrFirm(204): 0 customer, 1 firm; empty is not sent"),
        Key("clearing_account", "", "ClearingAccount(440); empty is not sent"),
        Key("clearing_firm", "", "ClearingFirm(439); empty is not sent"),
        Key("sub_accounts", {}, "our account to CustAccount(6207), for omnibus accounts"),
        Key("send_order_reference", default=False, about="send the request id as OrderReference(6010)"),
        Key("only_regular_hours", default=False, about="ForceOnlyRTH(6205)=1", is_open=True),
        Key("extra_tags", {}, "more tags of an order: allocation and others of the 6xxx list", is_open=True),
        Key("fill_exec_types", "F12", "ExecType(150) values that are executions"),
        Key(
            "durations",
            {"MARKET": "03", "LIMIT": "0134"},
            "TimeInForce(59) values allowed per order type",
            is_open=True,
        ),
        Key("reset_at", "", 'when numbers begin again at 1, e.g. "Day 00:00"; empty never', is_open=True),
        Key("reset_zone", "America/New_York", "the time zone of reset_at", is_open=True),
        Key(
            "reset_allowed",
            default=True,
            about="ResetSeqNumFlag(141)=Y is accepted where the link asks for it",
            is_open=True,
        ),
        Key(
            "cancel_on_disconnect",
            default=False,
            about="the venue cancels working orders when the session drops; for the record",
            is_open=True,
        ),
        Key("hours", "", "the venue's session hours; for the record", is_open=True),
    ),
)
