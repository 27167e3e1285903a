"""Orders and settings for the tests of the dialects: one full set a venue, and its dictionary."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.fix import encoder
from adapters.fix.dialects import DIALECTS, Venue, speak
from adapters.fix.dialects.wire import utc_timestamp
from gateway.domain.order import OrderSpec, OrdType, Side, TimeInForce
from gateway.events import CancelOrder, LookUpOrder, SendOrder

ROOT = Path(__file__).parents[3]
AT = datetime(2024, 5, 6, 14, 30, 1, 250_000, tzinfo=UTC)
NOW = utc_timestamp(AT)
SHARE = OrderSpec(
    cl_ord_id="ABCDEFGHIJKLMNOP", request_id="r1", account="main", link="v", symbol="AAPL", side=Side.BUY,
    order_qty=Decimal(100), ord_type=OrdType.LIMIT, price=Decimal("187.50"),
    time_in_force=TimeInForce.DAY, wave=1,
)  # fmt: skip
PAIR = replace(SHARE, symbol="EUR/USD", order_qty=Decimal(250_000), price=Decimal("1.08125"), side=Side.SELL)
FULL: dict[str, list[dict[str, Any]]] = {
    "plain": [{}],
    "saxo": [
        {
            "client_id": "C1", "trader": "T1", "accounts": {"main": "A1"}, "identify_by": "isin",
            "isins": {"AAPL": "US0378331005"}, "exchanges": {"AAPL": "XNAS"}, "booking_type": "0",
            "send_currency": True, "cancellation_if_reduction": "Y", "extended_trading_hours": "N",
            "order_status": "H", "block_account": "B1",
        },
        {"client_id": "C1", "begin_string": "FIX.4.3", "order_status": "H"},
    ],
    "dukascopy": [{"send_account": True, "send_currency": "base", "slippage": "2", "activation": "A1"}],
    "ibkr": [
        {
            "accounts": {"main": "U1"}, "primary_exchanges": {"AAPL": "ISLAND"}, "customer_or_firm": "0",
            "clearing_account": "CA", "clearing_firm": "CF", "sub_accounts": {"main": "S1"},
            "send_order_reference": True, "only_regular_hours": True,
        }
    ],
}  # fmt: skip


def full(name: str) -> Venue:
    """Return the venue with everything configured that may go out."""
    return speak(name, FULL[name][0])


def order_for(name: str) -> OrderSpec:
    return PAIR if DIALECTS[name].fx_only else SHARE


def built(venue: Venue, spec: OrderSpec) -> dict[str, str]:
    """Build every message the venue's table holds."""
    sends = venue.dialect.sends
    found = {
        "D": encoder.new_order(SendOrder(spec, poss_resend=True), NOW, venue),
        "F": encoder.cancel_request(CancelOrder(spec, f"{spec.cl_ord_id}C1", "O1"), NOW, venue),
        "G": encoder.replace_request(spec, f"{spec.cl_ord_id}R1", spec.cl_ord_id, "O1", NOW, venue),
    }
    if "H" in sends:
        found["H"] = encoder.status_request(LookUpOrder(spec, "O1"), venue)
    if "AF" in sends:
        found["AF"] = encoder.mass_status_request("M1", venue)
    if "U5" in sends:
        found["U5"] = encoder.activation_request(venue)
    if "U7" in sends:
        found["U7"] = encoder.account_request(venue)
    if "V" in sends:
        found["V"] = encoder.market_data_request(spec.symbol, "1", venue)
    assert set(found) == set(sends)
    return found


def built_all(name: str) -> list[tuple[str, str]]:
    """Build every message in every full configuration, for shares and pairs where both exist."""
    found: list[tuple[str, str]] = []
    for given in FULL[name]:
        specs = [PAIR] if DIALECTS[name].fx_only else [SHARE, PAIR]
        for spec in specs:
            found += built(speak(name, given), spec).items()
    return found


def tags(raw: str) -> list[int]:
    return [int(part.partition("=")[0]) for part in raw.split("\x01") if part]


def page(name: str) -> Path:
    return ROOT / "fix_specs" / f"{'simulator' if name == 'plain' else name}.md"


def dictionary(name: str) -> Path:
    return page(name).with_suffix(".xml")
