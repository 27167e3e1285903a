"""The loop: journal, then process, then act. One consumer for one household, no locks.

Rules of this room:
1. Whatever happens outside becomes an event in the inbox. Batches leave it in order: they are
   appended to the journal, then the engine sees them, then what it decided is appended, then what it
   asked for is done. Nothing is done before its cause is durable.
2. While the journal cannot be written the loop stands still, and so does everything it would send.
3. A source is told that an event is safe (`Item.accepted`) only when it is in the journal.
4. The inbox is bounded; sources wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.engine import Engine
from gateway.events import (
    Alert,
    CancelOrder,
    Effect,
    Event,
    LinkDown,
    LookUpOrder,
    Publish,
    Record,
    SendOrder,
    SetTimer,
    TimerFired,
    WithholdOrders,
)
from gateway.runtime.clock import Clock
from gateway.runtime.present import Presenter
from gateway.runtime.router import Router, Wish
from gateway.runtime.store import Journal

BATCH = 512
INBOX_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Item:
    """Carry one event and what to call once it is durable."""

    event: Event
    accepted: Callable[[], None] | None = None


class Inbox:
    """Queue events for the loop, in order; `put` waits while it is full."""

    def __init__(self, limit: int = INBOX_LIMIT) -> None:
        self._items: deque[Item] = deque()
        self._limit = limit
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self.idle = asyncio.Event()
        self.idle.set()

    def __len__(self) -> int:
        return len(self._items)

    def push(self, items: Iterable[Item]) -> None:
        """Add items without waiting: for the gateway's own events, which are few."""
        self._items.extend(items)
        if self._items:
            self._filled.set()
            self.idle.clear()
        if len(self._items) >= self._limit:
            self._drained.clear()

    async def put(self, items: Sequence[Item]) -> None:
        """Add items when there is room."""
        await self._drained.wait()
        self.push(items)

    async def take(self, limit: int = BATCH) -> list[Item]:
        """Return the next items, waiting for the first."""
        await self._filled.wait()
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        if not self._items:
            self._filled.clear()
        if len(self._items) < self._limit:
            self._drained.set()
        return taken

    def rest(self) -> None:
        """Note that a turn is over: with nothing waiting, the loop is idle."""
        if not self._items:
            self.idle.set()


class Timers:
    """Turn `SetTimer` into `TimerFired`; setting a key again moves it."""

    def __init__(self, clock: Clock, inbox: Inbox) -> None:
        self._clock = clock
        self._inbox = inbox
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def set(self, timer: SetTimer) -> None:
        """Start or move one timer."""
        if (old := self._handles.pop(timer.key, None)) is not None:
            old.cancel()
        delay_s = max(0.0, (timer.due - self._clock.now()).total_seconds())
        self._handles[timer.key] = asyncio.get_running_loop().call_later(delay_s, self._fire, timer.key)

    def close(self) -> None:
        """Stop every timer."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, key: str) -> None:
        self._handles.pop(key, None)
        self._inbox.push([Item(TimerFired(self._clock.now(), key))])


class Loop:
    """Drive one engine, one turn at a time."""

    def __init__(
        self, engine: Engine, journal: Journal, inbox: Inbox, timers: Timers, presenter: Presenter
    ) -> None:
        self.engine = engine
        self.inbox = inbox
        self.router: Router | None = None
        self._journal = journal
        self._timers = timers
        self._presenter = presenter
        self.committed = 0

    async def turn(self, items: Sequence[Item]) -> None:
        """Make one batch durable, process it, and act on it."""
        for item in items:
            if isinstance(item.event, LinkDown) and self.router is not None:
                self.router.drop(item.event.link)
        effects = await self.commit([item.event for item in items])
        for item in items:
            if item.accepted is not None:
                item.accepted()
        self.act(effects)
        self.inbox.rest()

    async def commit(self, events: Sequence[Event]) -> list[Effect]:
        """Journal and process events and everything decided because of them; return the effects."""
        wishes: list[Effect] = []
        pending: Sequence[Event] = events
        while pending:
            await self._journal.append(pending)
            self.committed += len(pending)
            decided: list[Event] = []
            for event in pending:
                for effect in self.engine.process(event):
                    if isinstance(effect, Record):
                        decided.append(effect.event)
                    else:
                        wishes.append(effect)
                self._presenter.note(event)
            pending = decided
        return wishes

    def act(self, effects: Sequence[Effect]) -> None:
        """Carry effects out, in order; all their causes are durable."""
        wishes: list[Wish] = []
        for effect in effects:
            match effect:
                case SendOrder() | CancelOrder() | LookUpOrder():
                    wishes.append(effect)
                case SetTimer():
                    self._timers.set(effect)
                case WithholdOrders():
                    if self.router is not None:
                        self.router.withhold(effect)
                case Alert():
                    self._presenter.alert(effect)
                case Publish():
                    self._presenter.publish(effect.event)
                case Record():
                    raise AssertionError("a Record is committed, never acted on")
        if wishes and self.router is not None:
            self.router.carry(wishes)
        self._presenter.wake()
