"""What may differ from venue to venue, as the simulator speaks it: one table a venue.

Rules of this room:
1. A table is written from the venue's public documents, never from our own adapter: one misreading must not
   stand on both sides.
2. The venue's core speaks plain FIX; `heard` turns what a client says into that, `said` turns answers back.
   Both are pure and depend on the message alone, so that a store can be carried out again.
3. `fault` says why an order, a cancel or a replace is refused by the venue's own rules; it becomes an
   answer of the order's life, never a session reject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from simulator.fix.message import Message

Body = Sequence[tuple[int, str]]
Pairs = tuple[tuple[int, str], ...]
Around = tuple[Sequence[Message], Sequence[Message]]
SYMBOL, ACCOUNT, ORD_TYPE = 55, 1, 40
CLOSE_EXPOSURE = "Z"
"""OrdType(40): trade whatever brings the account's net position to zero."""


def unchanged(_msg_type: str, body: Body) -> Pairs:
    """Say or hear a message as it is."""
    return tuple(body)


def faultless(_msg_type: str, _body: Body) -> str:
    """Refuse nothing."""
    return ""


def nothing(_body: Body) -> Pairs:
    """Echo nothing."""
    return ()


def alone(_msg_type: str, _body: Body) -> Around:
    """Send nothing before an answer and nothing after it."""
    return (), ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """One venue's differences.

    `heartbeat_s` is the HeartBtInt(108) every Logon(A) must carry, 0 for any; `needs_login` wants
    Username(553) and Password(554) in it. `resets` says when ResetSeqNumFlag(141)=Y must or may come: freely,
    at each logon, or at the first of a week and at most `MOST_RESETS` times. `unsupported` are MsgType(35)
    values the venue does not know. `mass_status` says whether OrderMassStatusRequest(AF) is answered with
    open orders or with all of the day. `echo` are fields of an order that each of its reports carries back.
    With `quotes`, MarketDataRequest(V) is answered. With `states_positions`, U7 is answered, fills are
    followed by account and positions, and the end of a day by what is carried overnight (U4). With
    `closes_exposure`, an order of type Z trades the account's net position. With `echoes_in_rejects`, a
    request's `echo` fields are in its OrderCancelReject(9). `around` says what goes out before and after an
    answer, which it is given in plain FIX. `positions_limit` is how many open positions an
    account may have, 0 for any number.
    Beyond the standard's dictionary the venue takes `also_tags` in a message type and `also_values`,
    (tag, value) pairs.
    """

    name: str
    begin_strings: tuple[str, ...]
    heartbeat_s: int = 0
    needs_login: bool = False
    resets: Literal["free", "logon", "week"] = "free"
    unsupported: frozenset[str] = frozenset()
    connects_per_minute: int = 0
    orders_per_s: int = 0
    positions_limit: int = 0
    mass_status: Literal["open", "day"] = "open"
    states_positions: bool = False
    closes_exposure: bool = False
    quotes: bool = False
    echoes_in_rejects: bool = False
    also_tags: Mapping[str, frozenset[int]] = field(default_factory=dict)
    also_values: frozenset[tuple[int, str]] = frozenset()
    heard: Callable[[str, Body], Pairs] = field(default=unchanged)
    said: Callable[[str, Body], Pairs] = field(default=unchanged)
    fault: Callable[[str, Body], str] = field(default=faultless)
    echo: Callable[[Body], Pairs] = field(default=nothing)
    around: Callable[[str, Body], Around] = field(default=alone)


def first(body: Body, tag: int) -> str:
    """Return the first value of a tag, empty when it is not there."""
    return next((value for key, value in body if key == tag), "")


def changed(body: Body, tag: int, value: str) -> Pairs:
    """Return the body with one tag's value put in place, or added at its end."""
    if not first(body, tag):
        return (*body, (tag, value))
    return tuple((key, value if key == tag else old) for key, old in body)


def is_pair(symbol: str) -> bool:
    """Say whether a symbol is a currency pair, CCY1/CCY2."""
    one, slash, other = symbol.partition("/")
    return bool(slash) and all(len(part) == 3 and part.isupper() for part in (one, other))  # noqa: PLR2004
