"""What the gateway is connected to: a `Source` reports things, a `Broker` is told things besides.

Rules of this room:
1. A broker's answer is never a return value. `submit`, `cancel` and `look_up` hand a message over;
   whatever comes of it arrives through `events`, as an event of `gateway.events`.
2. `submit` returns as soon as the message is handed over. If it raises `NotSent`, the order
   certainly did not leave; any other outcome is in doubt and the engine looks the order up.
3. `events` yields batches in order. Each event that came from the broker carries `link_seq`, its
   place in the link's own durable inbound record. The gateway calls `acknowledge(link_seq)` once
   the event is in the journal; after a restart the broker hands over everything behind the
   `after_seq` it is started with. Nothing is ever lost between the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.events import (
    ActivityStated,
    CancelOrder,
    CancelRejected,
    CopyLinked,
    ExecutionCopied,
    LinkBehind,
    LinkDown,
    LinkNoticed,
    LinkUp,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    PositionStated,
    PowerStated,
    PricesUpdated,
    ReportReceived,
    ReportUnreadable,
    SendInDoubt,
    SendOrder,
    SendWithheld,
)

BrokerEvent = (
    ReportReceived | CancelRejected | OrderUnknown | PositionStated | PowerStated | ActivityStated
    | MessageRefused | ReportUnreadable | SendWithheld | SendInDoubt | LinkUp | LinkDown | LinkBehind
    | LinkNoticed
)  # fmt: skip
SourceEvent = BrokerEvent | PricesUpdated | CopyLinked | ExecutionCopied


class NotSent(Exception):
    """The message certainly did not leave this machine."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Say what a broker can do, so that nobody has to guess.

    `refuses_duplicate_client_id`: a second order with a ClOrdID(11) already used is refused.
    `can_look_up`: a single order can be asked for by its ClOrdID(11).
    `replays_executions`: what happened while we were away comes again by itself after logon.
    `orders_per_s`: the venue's message limit, the router's throttle; 0 means none.
    `cash_orders`: a buy may be of an amount of money, CashOrderQty(152), instead of a quantity.
    """

    refuses_duplicate_client_id: bool
    can_look_up: bool
    replays_executions: bool
    fractional: bool
    orders_per_s: float
    cash_orders: bool = False


class Source(Protocol):
    """Tell the gateway what happens elsewhere."""

    name: str

    async def start(self, after_seq: int) -> None:
        """Connect and hand over every message recorded behind `after_seq`; returns at once."""
        ...

    async def stop(self) -> None:
        """Log out and release everything; safe to call twice."""
        ...

    def events(self) -> AsyncIterator[Sequence[SourceEvent]]:
        """Yield batches of what happened, in order, until `stop`."""
        ...

    def acknowledge(self, link_seq: int) -> None:
        """Note that everything up to `link_seq` is in the journal and need not be kept."""
        ...


class Broker(Source, Protocol):
    """Carry orders to one venue and reports back."""

    capabilities: Capabilities

    def submit(self, wish: SendOrder) -> None:
        """Hand one order over; raises `NotSent` when it certainly did not leave."""
        ...

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; raises `NotSent` when the request certainly did not leave."""
        ...

    def look_up(self, wish: LookUpOrder) -> None:
        """Ask what the venue knows of an order; raises `NotSent` when the question did not leave."""
        ...

    def recall(self, account: str, reason: str) -> None:
        """Give back, as `SendWithheld`, orders of an account (of all when empty) that have not left yet.

        A broker that hands everything over at once has nothing to give back.
        """
        ...

    def flush(self) -> None:
        """Push messages handed over so far to the wire (a broker may batch until then)."""
        ...


class Remembered(Protocol):
    """Keep a few words of one link over restarts: what it must not forget and no venue can tell it."""

    async def read(self) -> dict[str, str]:
        """Return everything, by name."""
        ...

    async def write(self, changes: Mapping[str, str]) -> None:
        """Keep these words, and come back when they are on disk; an empty word is forgotten."""
        ...


class InThisProcess:
    """Remember until the process ends: for a link nobody has given anything better."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}

    async def read(self) -> dict[str, str]:
        """Return everything."""
        return dict(self._words)

    async def write(self, changes: Mapping[str, str]) -> None:
        """Keep what has a word, forget what has none."""
        self._words = {name: word for name, word in {**self._words, **changes}.items() if word}
