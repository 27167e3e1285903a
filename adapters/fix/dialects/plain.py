"""Plain FIX 4.4: the bundled simulator, and a venue whose dialect nobody has described yet."""

from __future__ import annotations

from adapters.fix.dialects import market_data
from adapters.fix.dialects.base import Dialect, Field, Fields, Venue
from gateway.domain.order import OrderSpec

REPORT = (
    "11", "41", "37", "17", "20", "150", "39", "14", "151", "32", "31", "6", "12", "13", "55", "54", "58",
    "60", "103", "38", "19", "378", "1",
)  # fmt: skip
READS = {
    "8": REPORT,
    "9": ("11", "41", "39", "58"),
    "3": ("45", "373", "58"),
    "j": ("45", "379", "380", "58"),
}
READS_KEYED = {**READS, "9": (*READS["9"], "37")}
"""For venues whose OrderID(37) names an order, too."""


def _values(spec: OrderSpec, _venue: Venue) -> dict[str, Field | None]:
    return {"1": spec.account, "55": spec.symbol, "15": spec.currency}


def _symbol(fields: Fields, _venue: Venue) -> str:
    return fields.get("55", "")


DIALECT = Dialect(
    name="plain",
    title="plain FIX 4.4",
    begin_strings=("FIX.4.4", "FIX.4.2", "FIX.4.3"),
    sends={
        "D": ("11", "1", "21", "55", "54", "60", "38", "40", "44", "15", "59"),
        "F": ("11", "41", "1", "55", "54", "60", "38", "37"),
        "G": ("11", "41", "1", "21", "55", "54", "60", "38", "40", "44", "15", "59", "37"),
        "H": ("11", "1", "55", "54", "37"),
        "V": market_data.SENDS,
    },
    reads={**READS, **market_data.READS},
    groups=market_data.GROUPS,
    values=_values,
    symbol_of=_symbol,
    fixed={"21": "1"},
    is_tolerant=False,
)
