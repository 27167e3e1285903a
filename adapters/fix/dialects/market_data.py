"""Prices over FIX: MarketDataRequest(V) for one symbol's best bid and ask, full snapshots (W) back. Pure.

Rules of this room:
1. A venue that quotes has V in its `sends`; the tags there are those it wants.
2. What cannot be read is no price: nothing here halts anything, a price that does not come grows stale.
3. A snapshot that gives one side only keeps the other as it was; prices of 0 and less are no prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from adapters.fix.dialects.base import Field, Venue, our_symbol
from adapters.fix.dialects.wire import Unreadable, number

GROUPS = ((267, 269), (146, 55, 167))
"""NoMDEntryTypes and NoRelatedSym: counting tag, first tag, other tags."""

READS = {"W": ("262", "55", "268", "269", "270"), "Y": ("262", "281", "58")}
SENDS = ("262", "263", "264", "265", "267", "269", "146", "55")
_SUBSCRIBE, _TOP_OF_BOOK, _FULL = "1", "1", "0"
_BID, _ASK = "0", "1"
_HALF = Decimal(2)
SOH = "\x01"


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and ask of one of our symbols, None where the snapshot gives no such side."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None

    def over(self, older: Quote | None) -> Quote:
        """Return this quote, with an older one's side where it has none."""
        if older is None:
            return self
        bid = self.bid if self.bid is not None else older.bid
        return Quote(self.symbol, bid, self.ask if self.ask is not None else older.ask)

    @property
    def mid(self) -> Decimal | None:
        """Return the middle of bid and ask; None while a side is missing, or when they cross."""
        if self.bid is None or self.ask is None or not self.bid <= self.ask:
            return None
        return (self.bid + self.ask) / _HALF


@dataclass(frozen=True, slots=True)
class Refusal:
    """MarketDataRequestReject(Y): `request_id` is the MDReqID(262) that gets no prices."""

    request_id: str
    text: str


def request(symbol: str, request_id: str, venue: Venue) -> list[tuple[str, Field]]:
    """Return the body that subscribes to one symbol's best bid and ask.

    `request_id` is MDReqID(262), a positive whole number: some venues take no other.
    """
    tags = venue.dialect.sends["V"]
    named = venue.table("symbols").get(symbol, symbol)
    instrument = [("55", named)]
    if "167" in tags and "/" in named:
        instrument.append(("167", "FOR"))
    body: list[tuple[str, Field]] = [
        ("262", request_id), ("263", _SUBSCRIBE), ("264", _TOP_OF_BOOK), ("265", _FULL),
        ("267", ((("269", _BID),), (("269", _ASK),))), ("146", (tuple(instrument),)),
    ]  # fmt: skip
    return body


def read(raw: str, venue: Venue) -> Quote | Refusal | None:
    """Read a W or a Y; None for every other message and for what is no price."""
    pairs = [part.partition("=") for part in raw.split(SOH)]
    fields = {tag: value for tag, _, value in reversed(pairs)}
    if fields.get("35") == "Y":
        return Refusal(fields.get("262", ""), fields.get("58", "") or f"reason {fields.get('281', '')}")
    if fields.get("35") != "W":
        return None
    sides: dict[str, Decimal] = {}
    entry = ""
    for tag, _, value in pairs:
        if tag == "269":
            entry = value
        elif tag == "270" and (px := _price(value)) is not None:
            sides[entry] = px
    symbol = our_symbol(fields.get("55", ""), venue)
    return Quote(symbol, sides.get(_BID), sides.get(_ASK)) if symbol else None


def _price(text: str) -> Decimal | None:
    try:
        found = number({"270": text}, "270")
    except Unreadable:
        return None
    return found if found is not None and found > 0 else None
