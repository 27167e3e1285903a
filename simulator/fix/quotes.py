"""Market data as a venue's quote session has it: subscriptions (V), full snapshots (W), refusals (Y).

Rules of this room:
1. A subscription lives as long as its connection and is in no record: it changes nothing at the venue.
2. A snapshot is said when it is asked for and when bid or ask have changed since, never in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from simulator.fix.answers import number
from simulator.fix.application import Outgoing
from simulator.fix.message import Message, message
from simulator.orders import ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.fix.message import Pair, SessionId
    from simulator.market import Market

Quote = tuple[Decimal, Decimal]
_ID, _TYPE, _DEPTH, _SYMBOL, _REASON, _TEXT = 262, 263, 264, 55, 281, 58
_SNAPSHOT, _UPDATES, _STOP = "0", "1", "2"
_BID, _ASK = "0", "1"
_UNKNOWN_SYMBOL, _DUPLICATE_ID, _BAD_TYPE, _BAD_DEPTH, _BAD_ENTRY = "0", "1", "4", "5", "8"
_TOP_OF_BOOK = "1"
MAX_SUBSCRIPTIONS = 5_000
STEP = timedelta(milliseconds=100)
"""How long after a change of a walking market its snapshot may come."""


@dataclass(slots=True)
class _Subscription:
    session: SessionId
    request_id: str
    symbol: str
    said: Quote | None = None


class Quotes:
    """Answer requests and follow the market for those who asked for updates."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str], _Subscription] = {}
        self._next: datetime | None = None

    def receive(
        self, session: SessionId, asked: Message, market: Market, now: datetime
    ) -> Sequence[Outgoing]:
        """Answer one MarketDataRequest(V)."""
        request_id, kind = asked.get(_ID, ""), asked.get(_TYPE, "")
        assert request_id is not None  # noqa: S101 - the session requires both
        symbols = [dict(member).get(_SYMBOL, "") for member in asked.groups(146, _SYMBOL)]
        if kind == _STOP:
            self._forget(str(session), request_id)
            return ()
        if fault := self._fault(session, asked, symbols, market):
            return [Outgoing(session, _refusal(request_id, *fault))]
        said = []
        for symbol in symbols:
            one = _Subscription(session, request_id, symbol)
            if kind == _UPDATES:
                self._open[str(session), request_id, symbol] = one
            said += self._snapshot(one, market, now)
        self._next = now + STEP if self._open else None
        return said

    def forget(self, session: SessionId) -> None:
        """Let go of what an older connection had asked for."""
        name = str(session)
        for key in [key for key in self._open if key[0] == name]:
            del self._open[key]

    def due(self, market: Market, now: datetime) -> list[Outgoing]:
        """Say what has changed."""
        if not self._open:
            self._next = None
            return []
        self._next = now + STEP
        return [out for one in self._open.values() for out in self._snapshot(one, market, now)]

    def next_due(self, market: Market) -> datetime | None:
        """Say when to look again: only a market that walks by itself needs it."""
        return self._next if market.walks else None

    # The inside.

    def _forget(self, session: str, request_id: str) -> None:
        for key in [key for key in self._open if key[:2] == (session, request_id)]:
            del self._open[key]

    def _fault(
        self, session: SessionId, asked: Message, symbols: list[str], market: Market
    ) -> tuple[str, str] | None:
        """Say why a request cannot be served, as MDReqRejReason(281) and text."""
        kinds = {dict(member).get(269, "") for member in asked.groups(267, 269)}
        unknown = next((one for one in symbols if one not in market), None)
        name = (str(session), asked.get(_ID, ""))
        if asked.get(_TYPE) not in (_SNAPSHOT, _UPDATES):
            return _BAD_TYPE, "SubscriptionRequestType(263): use 0, 1 or 2"
        if asked.get(_DEPTH) != _TOP_OF_BOOK:
            return _BAD_DEPTH, "MarketDepth(264): only the top of the book, 1"
        if kinds != {_BID, _ASK}:
            return _BAD_ENTRY, "MDEntryType(269): both 0 and 1, and no other"
        if unknown is not None or not symbols:
            return _UNKNOWN_SYMBOL, f"Symbol(55) {unknown} is not listed here"
        if any(key[:2] == name for key in self._open) or len(self._open) >= MAX_SUBSCRIPTIONS:
            return _DUPLICATE_ID, "MDReqID(262) is in use, or too many are"
        return None

    @staticmethod
    def _snapshot(one: _Subscription, market: Market, now: datetime) -> list[Outgoing]:
        quote = market.quote(one.symbol, now)
        if quote == one.said:
            return []
        one.said = quote
        time = f"{now:%H:%M:%S}.{now.microsecond // 1000:03d}"
        body: list[Pair] = [(_SYMBOL, one.symbol), (_ID, one.request_id), (268, "2")]
        for kind, px in zip((_BID, _ASK), quote, strict=True):
            level = market.levels(one.symbol, now, is_buy=kind == _ASK)[0]
            body += [(269, kind), (270, number(px))]
            if level.size is not None and level.size > ZERO:
                body.append((271, number(level.size)))
            body.append((273, time))
        return [Outgoing(one.session, Message("W", tuple(body)))]


def _refusal(request_id: str, reason: str, text: str) -> Message:
    return message("Y", [(_TEXT, text), (_ID, request_id), (_REASON, reason)])
