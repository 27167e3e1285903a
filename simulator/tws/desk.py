"""Every client of one TWS: who is connected, who hears what, and TWS's own line to its servers.

Rules of this room:
1. A client id is one session's at a time. Client 0 is given the orders of TWS users, when it asks for that.
2. While the line is lost, new orders wait; what happens at the venue is still told, unless it is `quiet`.
3. Time comes from `now`, delays go to `later`: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from simulator.tws.door import Door
from simulator.tws.entry import Refusal
from simulator.tws.feeds import Supply
from simulator.tws.happenings import NO_ID, Executed, Failed, Happening, Moved
from simulator.tws.mishaps import Mishap, Mishaps
from simulator.tws.outlet import befall
from simulator.tws.session import Session, ticket_of
from simulator.venue import VenueError

Later = Callable[[float, Callable[[], object]], object]
RESTORED = {
    1101: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained.",
}
DATA_LOST = 1101
HOURS_DAYS, FRIDAY = 5, 4


@dataclass(slots=True)
class Manners:
    """How this TWS behaves: time zone of its texts, who is the master client, what quotes it has."""

    zone: str = "US/Eastern"
    master: int | None = None
    supply: Supply = Supply.LIVE


class Desk:
    """Hold the sessions and route what happens."""

    LOST = Refusal(1100, "Connectivity between IBKR and Trader Workstation has been lost.")

    def __init__(self, mishaps: Mishaps, manners: Manners, now: Callable[[], datetime], later: Later) -> None:
        self.mishaps = mishaps
        self.manners = manners
        self.now = now
        self._later = later
        self.pending = 0
        self.sessions: dict[int, Session] = {}
        self.is_lost = False
        self.binds = False
        self._is_quiet = False
        self._withheld: list[Happening] | None = None
        self._kept_back: list[Happening] = []
        self._door: Door | None = None

    @property
    def door(self) -> Door:
        """The venue behind this desk."""
        assert self._door is not None  # noqa: S101 - `serve` comes before the first client
        return self._door

    def serve(self, door: Door) -> None:
        """Stand before a venue."""
        self._door = door

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        """Do something in a while; `pending` counts what is still to be done."""

        def run() -> None:
            self.pending -= 1
            what()

        self.pending += 1
        self._later(seconds, run)

    @property
    def zone(self) -> str:
        """The time zone of texts."""
        return self.manners.zone

    @property
    def master(self) -> int | None:
        """The client that hears of everybody's orders."""
        return self.manners.master

    @property
    def supply(self) -> Supply:
        """What market data there is."""
        return self.manners.supply

    # Clients.

    def admit(self, session: Session, client_id: int) -> bool:
        """Let a client in, unless its id is in use."""
        if client_id in self.sessions or self.mishaps.strikes(Mishap.CLASH, client_id):
            return False
        self.sessions[client_id] = session
        return True

    def leave(self, session: Session) -> None:
        """Forget a client whose connection has ended."""
        if session.client_id is not None and self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
            if session.client_id == 0:
                self.binds = False

    def bind(self) -> None:
        """Give the orders of TWS users to client 0."""
        if any(one.is_live and not one.order_id for one in self.door.house.tickets):
            self.operate("bind", {})

    # What happens.

    def say(self, told: Sequence[Happening]) -> None:
        """Tell everybody whom it concerns."""
        if self._withheld is not None:
            self._withheld += told
        elif self._is_quiet:
            self._kept_back += told
        else:
            self._interrupt(told)
            for session in list(self.sessions.values()):
                self._tell(session, told)

    def _tell(self, session: Session, told: Sequence[Happening]) -> None:
        heard = [one for one in told if session.hears(one)]
        own = session.client_id if any(self._is_of(one, session) for one in heard) else None
        late: list[tuple[float, Happening]] = []
        if own is not None:
            heard, late = befall(heard, self.mishaps, own)
        for one in heard:
            session.tell(one)
        for seconds, one in late:
            self.later(seconds, partial(session.tell, one))

    @staticmethod
    def _is_of(happening: Happening, session: Session) -> bool:
        """Say whether something is about an order of this very client."""
        if isinstance(happening, (Moved, Failed)):
            return False
        return ticket_of(happening).client_id == session.client_id

    def _interrupt(self, told: Sequence[Happening]) -> None:
        """Lose the line in the middle of a fill."""
        if any(isinstance(one, Executed) for one in told):
            outage = self.mishaps.strike(Mishap.OUTAGE_IN_FILL)
            if outage is not None:
                self.lose()
                self.later(outage.seconds, lambda: self.restore(outage.code))

    @contextmanager
    def withheld(self) -> Iterator[list[Happening]]:
        """Keep from everybody what happens inside."""
        self._withheld = said = list[Happening]()
        try:
            yield said
        finally:
            self._withheld = None

    # What the operator does.

    def operate(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Do a deed at the venue."""
        if self.binds and name in ("manual", "telephone"):
            arguments = {**arguments, "bound": True}
        return self.door.operate(name, arguments, self.now())

    def lose(self, *, is_quiet: bool = False) -> None:
        """Lose the line to the servers: 1100."""
        self.is_lost, self._is_quiet = True, is_quiet
        self.warn(self.LOST)

    def restore(self, code: int) -> None:
        """Find the line again: 1101 has lost the subscriptions to quotes, 1102 has not."""
        if code not in RESTORED:
            raise VenueError(f"code is {code}; give 1101 or 1102")
        self.is_lost = self._is_quiet = False
        self.warn(Refusal(code, RESTORED[code]))
        if code == DATA_LOST:
            for session in self.sessions.values():
                session.feeds.lose_quotes()
        kept_back, self._kept_back = self._kept_back, []
        self.say(kept_back)
        self.door.release_outage(self.now())

    def warn(self, refusal: Refusal) -> None:
        """Say something to every client that is about no order."""
        for session in list(self.sessions.values()):
            session.fail(NO_ID, refusal)

    def say_to_all(self, code: int, text: str) -> None:
        """Say any code to every client."""
        self.warn(Refusal(code, text))

    def look(self) -> None:
        """Let every client follow its quotes."""
        now = self.now()
        for session in list(self.sessions.values()):
            session.feeds.look(now)
            session.extras.look(now)

    def hours(self) -> str:
        """Word the trading hours of the next days as contract details have them."""
        days = [self.now().date() + timedelta(days=day) for day in range(HOURS_DAYS)]
        return ";".join(
            f"{day:%Y%m%d}:CLOSED" if day.weekday() > FRIDAY else f"{day:%Y%m%d}:0930-{day:%Y%m%d}:1600"
            for day in days
        )
