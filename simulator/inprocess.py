"""The whole gateway in one thread and no sockets: an engine, its journal and its venues in virtual time.

Rules of this room:
1. `InProcess` does what `gateway/runtime/loop.py` does, in the same order: a batch is appended, processed,
   what was decided because of it is appended next, and only then is anything carried to a venue.
2. The clock is data: `run` jumps from one due moment to the next. Same inputs, same trace.
3. A `Line` outlives the gateway: it is the venue, what is on the way to it, and the numbered record of what
   came back. Whatever the gateway did not journal it hands over again.
4. `point` is called wherever a process may die; the fault is whoever raises from it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Protocol

from adapters.base import BrokerEvent
from gateway.domain.settings import Settings
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    Alert,
    CancelOrder,
    CancelRejected,
    Effect,
    Event,
    GatewayStarted,
    LinkDown,
    LinkUp,
    LookUpOrder,
    MessageRefused,
    OrderUnknown,
    Publish,
    Record,
    ReportReceived,
    ReportUnreadable,
    SendOrder,
    SendWithheld,
    SetTimer,
    TimerFired,
    WithholdOrders,
)
from gateway.oms.state import State

Wish = SendOrder | CancelOrder | LookUpOrder
Numbered = ReportReceived | CancelRejected | OrderUnknown | MessageRefused | ReportUnreadable
MAX_TURNS = 100_000


class VenueEnd(Protocol):
    """A venue as a link sees it: it takes wishes and answers with events that have no number yet."""

    def take(self, wish: Wish, now: datetime) -> Sequence[Numbered]:
        """Process one message at the venue and return what it sends back at once."""
        ...

    def advance(self, now: datetime) -> Sequence[Numbered]:
        """Let the venue do everything that is due by `now`."""
        ...

    def next_due(self) -> datetime | None:
        """Say when the venue next does something by itself."""
        ...

    def has(self, cl_ord_id: str) -> bool:
        """Say whether an order has reached the venue."""
        ...


@dataclass(slots=True)
class Line:
    """One link and the venue behind it.

    `record` holds every event the venue ever sent, numbered from 1. `waiting` are orders held back by the
    rate limit (while `is_jammed`), `on_the_way` are messages that have left, `latency` is how long they take.
    `can_look_up` and `replays` are what the link says of itself (see `LinkUp`): without the first its own
    numbers tell which order never arrived, without the second what was sent while it was down is gone.
    """

    name: str
    end: VenueEnd
    latency: timedelta = timedelta(0)
    can_look_up: bool = True
    replays: bool = True
    is_up: bool = False
    is_jammed: bool = False
    record: list[Numbered] = field(default_factory=list)
    handed: int = 0
    waiting: deque[SendOrder] = field(default_factory=deque)
    on_the_way: list[tuple[datetime, int, Wish]] = field(default_factory=list)
    carried: list[Wish] = field(default_factory=list)
    unsent: list[BrokerEvent] = field(default_factory=list)

    def carry(self, wish: Wish, now: datetime) -> None:
        """Let one message leave; on a line that is down it is lost, and nobody knows."""
        self.carried.append(wish)
        if self.is_up and isinstance(wish, LookUpOrder) and not self.can_look_up:
            self._trace(wish.order.cl_ord_id, now)
        elif self.is_up:
            heappush(self.on_the_way, (now + self.latency, len(self.carried), wish))

    def _trace(self, cl_ord_id: str, now: datetime) -> None:
        """Answer by the session's numbers: only an order that certainly never arrived is named."""
        is_coming = any(wish.order.cl_ord_id == cl_ord_id for _, _, wish in self.on_the_way)
        if not is_coming and not self.end.has(cl_ord_id):
            self.unsent.append(SendWithheld(now, cl_ord_id, "its number was asked for again", is_answer=True))

    def up(self, known_seq: int, now: datetime) -> list[BrokerEvent]:
        """Come up: hand over what the gateway has not, if this line repeats anything, and say so."""
        self.is_up = True
        self.work(now)
        self.handed = known_seq if self.replays else len(self.record)
        return [*self.news(now), LinkUp(now, self.name, not self.replays, self.can_look_up, self.replays)]

    def down(self, *, loses: bool = False) -> None:
        """Break: what is on the way may still arrive, unless the next session knows nothing of this one."""
        self.is_up = False
        self.unsent.clear()
        if loses or not (self.can_look_up and self.replays):
            self.on_the_way.clear()

    def work(self, now: datetime) -> None:
        """Let everything arrive and happen that is due."""
        self._note(self.end.advance(now), now)
        while self.on_the_way and self.on_the_way[0][0] <= now:
            self._note(self.end.take(heappop(self.on_the_way)[2], now), now)

    def delay(self, by: timedelta, now: datetime) -> None:
        """Let what was about to arrive come later than what leaves from now on."""
        late = [(due + by if due <= now else due, place, wish) for due, place, wish in self.on_the_way]
        self.on_the_way = sorted(late, key=lambda item: item[:2])

    def next_due(self) -> datetime | None:
        """Say when something next happens on this line."""
        dues = [self.end.next_due(), self.on_the_way[0][0] if self.on_the_way else None]
        return min((due for due in dues if due is not None), default=None)

    def news(self, now: datetime) -> list[BrokerEvent]:
        """Hand over what the gateway has not had yet."""
        if not self.is_up:
            return []
        fresh = [replace(event, at=now) for event in self.record[self.handed :]]
        self.handed = len(self.record)
        unsent, self.unsent = self.unsent, []
        return [*fresh, *unsent]

    def _note(self, events: Iterable[Numbered], now: datetime) -> None:
        for event in events:
            self.record.append(replace(event, at=now, link=self.name, link_seq=len(self.record) + 1))


def _nothing() -> None:
    """Let the process live."""


def _unchecked(_engine: Engine, _event: Event) -> None:
    """Check nothing."""


class InProcess:
    """Drive one engine against its lines.

    `feed` hands in events from outside, `run` works until nothing is due. After a fault raised from `point`,
    `successor` is the gateway that takes over: same journal, same lines, nothing else survives but what the
    outside still holds because it was never accepted.
    """

    def __init__(
        self,
        settings: Settings,
        lines: Mapping[str, Line],
        now: datetime,
        accounts: Sequence[AccountOpened] = (),
        *,
        journal: list[Event] | None = None,
        batch: int = 512,
        point: Callable[[], None] = _nothing,
        check: Callable[[Engine, Event], None] = _unchecked,
    ) -> None:
        self.settings = settings
        self.lines = lines
        self.now = now
        self.accounts = accounts
        self.journal: list[Event] = journal if journal is not None else []
        self.batch = batch
        self.point = point
        self.check = check
        self.engine = Engine(settings)
        self.inbox: deque[Event] = deque()
        self.timers: dict[str, datetime] = {}
        self.effects: list[Effect] = []
        self.epoch = 1

    # ------------------------------------------------------------------------------------ the process

    def start(self, state: State | None = None, after: int = 0) -> None:
        """Recover from the journal (from a snapshot of its first `after` entries), then connect."""
        if state is not None:
            self.engine.restore(state)
        for event in self.journal[after:]:
            self.engine.replay(event)
        self.epoch = self.engine.state.epoch + 1
        book = self.engine.state.book.accounts
        opened = [replace(event, at=self.now) for event in self.accounts if event.account not in book]
        self.turn([GatewayStarted(self.now, self.epoch, "", ""), *opened])
        for name in self.lines:
            self.connect(name)

    def successor(self, now: datetime) -> InProcess:
        """Return the gateway that takes over after this one died."""
        for line in self.lines.values():
            line.down()
            line.waiting.clear()
        heir = InProcess(
            self.settings, self.lines, now, self.accounts,
            journal=self.journal, batch=self.batch, point=self.point, check=self.check,
        )  # fmt: skip
        heir.inbox.extend(event for event in self.inbox if not isinstance(event, (TimerFired, *_OURS)))
        return heir

    def feed(self, *events: Event) -> None:
        """Hand events in from outside."""
        self.inbox.extend(events)

    def connect(self, name: str) -> None:
        """Bring a line up: first everything the journal has not, then the word that it is caught up."""
        line = self.lines[name]
        known = self.engine.state.links.get(name)
        self.inbox.extend(line.up(known.seq if known is not None else 0, self.now))

    def cut(self, name: str, *, loses: bool = False) -> None:
        """Break a line; with `loses` what was on the way never arrives."""
        self.lines[name].down(loses=loses)
        self.inbox.append(LinkDown(self.now, name, "cut"))

    def release(self, name: str) -> None:
        """End a jam: what waited leaves."""
        line = self.lines[name]
        line.is_jammed = False
        while line.waiting:
            line.carry(line.waiting.popleft(), self.now)

    # --------------------------------------------------------------------------------------- the loop

    def run(self, for_s: float | None = None) -> None:
        """Work until nothing is due any more, or for `for_s` seconds of virtual time."""
        limit = None if for_s is None else self.now + timedelta(seconds=for_s)
        for _ in range(MAX_TURNS):
            for line in self.lines.values():
                line.work(self.now)
                self.inbox.extend(line.news(self.now))
            for key in [key for key, due in self.timers.items() if due <= self.now]:
                del self.timers[key]
                self.inbox.append(TimerFired(self.now, key))
            if self.inbox:
                self.turn([self.inbox[place] for place in range(min(self.batch, len(self.inbox)))])
                continue
            due = self._next_due()
            if due is None or (limit is not None and due > limit):
                self.now = limit if limit is not None else self.now
                return
            self.now = max(self.now, due)
        raise AssertionError("the gateway never comes to rest")

    def _next_due(self) -> datetime | None:
        dues = [line.next_due() for line in self.lines.values()]
        return min((due for due in [*dues, *self.timers.values()] if due is not None), default=None)

    def turn(self, events: Sequence[Event]) -> None:
        """Make one batch durable, process it, and act on it, as the runtime's loop does."""
        for event in events:
            if isinstance(event, (LinkDown, LinkUp)):
                self.lines[event.link].waiting.clear()
        effects = self.commit(events)
        self.act(effects)

    def commit(self, events: Sequence[Event]) -> list[Effect]:
        """Journal and process events and everything decided because of them; return the effects."""
        wishes: list[Effect] = []
        pending = list(events)
        while pending:
            for event in pending:
                self.point()
                self.journal.append(event)
                if self.inbox and self.inbox[0] is event:
                    self.inbox.popleft()
            self.point()
            decided: list[Event] = []
            for event in pending:
                for effect in self.engine.process(event):
                    if isinstance(effect, Record):
                        decided.append(effect.event)
                    else:
                        wishes.append(effect)
                self.check(self.engine, event)
            pending = decided
        return wishes

    def act(self, effects: Sequence[Effect]) -> None:
        """Carry effects out, one after the other; the process may die between any two."""
        self.effects += effects
        for effect in effects:
            match effect:
                case SendOrder():
                    line = self.lines[effect.order.link]
                    if line.is_jammed:
                        line.waiting.append(effect)
                    elif line.is_up:
                        self.point()
                        line.carry(effect, self.now)
                    else:
                        self.inbox.append(SendWithheld(self.now, effect.order.cl_ord_id, "line is down"))
                case CancelOrder() | LookUpOrder():
                    self.point()
                    self.lines[effect.order.link].carry(effect, self.now)
                case SetTimer():
                    self.timers[effect.key] = effect.due
                case WithholdOrders():
                    self._withhold(effect)
                case Alert() | Publish() | Record():
                    pass

    def _withhold(self, effect: WithholdOrders) -> None:
        for line in self.lines.values():
            returned = [wish for wish in line.waiting if effect.account in ("", wish.order.account)]
            line.waiting = deque(wish for wish in line.waiting if wish not in returned)
            self.inbox.extend(SendWithheld(self.now, w.order.cl_ord_id, effect.reason) for w in returned)

    # -------------------------------------------------------------------------------------- to look at

    def alerts(self, code: str = "") -> list[Alert]:
        """Return the alerts raised so far, all or those of one code."""
        return [item for item in self.effects if isinstance(item, Alert) and code in ("", item.code)]

    def sent(self) -> list[SendOrder]:
        """Return every order handed to a line that was up, resends included."""
        return [wish for line in self.lines.values() for wish in line.carried if isinstance(wish, SendOrder)]


_OURS = (
    ReportReceived,
    CancelRejected,
    OrderUnknown,
    MessageRefused,
    ReportUnreadable,
    LinkUp,
    LinkDown,
    SendWithheld,
)
"""What a dead gateway's inbox takes with it: lines hand their own events over again."""
