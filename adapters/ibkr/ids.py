"""Order ids and the high-water mark that outlives us.

Rules of this room:
1. An id that was used before would change an old order instead of making a new one, and TWS forgets over a
   restart which it has seen. So ids only grow, over every id we have used, seen, or been told.
2. The mark and the order's name are remembered before the order leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from adapters.base import Remembered
from adapters.ibkr.wire import MAX_ID, USED_UP, Unsendable

HIGHEST, SINCE, ORDER, FEE = "highest_id", "since", "order:", "fee:"
FEW = 10_000
"""With so few ids left a person resets TWS's sequence, and a low one it names then is meant."""
AFTER_CLASH = 100
"""How far ids jump when TWS says that one was used before."""
KEPT = timedelta(days=7)
NEW_YORK = "America/New_York"
"""IBKR's day: it serves executions and completed orders of the day only."""


class Ids:
    """Give order ids and request ids from one counter, as TWS tells both in one field."""

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered
        self._sent: dict[str, datetime] = {}
        self.highest = 0
        self.since: datetime | None = None
        self.owed: set[str] = set()

    async def recall(self, now: datetime) -> None:
        """Read what an earlier process has left, and forget what is old."""
        found = await self._remembered.read()
        changes: dict[str, str] = {}
        for name, value in found.items():
            if name == HIGHEST:
                self.highest = max(self.highest, int(value))
            elif name == SINCE:
                self.since = datetime.fromisoformat(value)
            elif name.startswith(FEE):
                self.owed.add(name.removeprefix(FEE))
            elif name.startswith(ORDER):
                number, _, at = value.partition("|")
                self.highest = max(self.highest, int(number))
                if now - datetime.fromisoformat(at) > KEPT:
                    changes[name] = ""
                else:
                    self._sent[name.removeprefix(ORDER)] = datetime.fromisoformat(at)
        if self.since is None:
            self.since = now.replace(microsecond=0)  # TWS dates executions to the second
            changes[SINCE] = self.since.isoformat()
        if changes:
            changes[HIGHEST] = str(self.highest)
            await self._remembered.write(changes)

    def at_least(self, used: int) -> None:
        """Take note of an id somebody has used."""
        if used <= MAX_ID:
            self.highest = max(self.highest, used)

    def others(self, used: int) -> None:
        """Take note of another client's id; one at the end of all ids would leave us none."""
        if used <= MAX_ID - FEW:
            self.at_least(used)

    def next_valid(self, number: int) -> None:
        """Take the lowest id TWS will take: it may have forgotten some, or been told to begin anew."""
        if self.highest > MAX_ID - FEW and number < MAX_ID // 2:
            self.highest = number - 1
        else:
            self.at_least(number - 1)

    def clashed(self) -> None:
        """Jump ahead: TWS knows an id we did not."""
        self.highest += AFTER_CLASH

    def request(self) -> int:
        """Return the number of a question."""
        self.highest += 1
        return self.highest

    async def give(self, refs: list[str], now: datetime) -> Mapping[str, int]:
        """Return an order id for each reference, all remembered; raises `Unsendable` when there are none."""
        if self.highest + len(refs) > MAX_ID:
            raise Unsendable(USED_UP)
        given = {}
        for ref in refs:
            self.highest += 1
            given[ref] = self.highest
            self._sent[ref] = now
        changes = {f"{ORDER}{ref}": f"{number}|{now.isoformat()}" for ref, number in given.items()}
        await self._remembered.write({**changes, HIGHEST: str(self.highest)})
        return given

    def may_be_forgotten(self, ref: str, now: datetime) -> bool:
        """Say whether an order may have ended on an earlier day than IBKR still tells of."""
        at = self._sent.get(ref)
        zone = ZoneInfo(NEW_YORK)
        return at is not None and at.astimezone(zone).date() != now.astimezone(zone).date()

    async def owe(self, exec_id: str, *, is_owed: bool) -> None:
        """Remember that an execution was told without its commission, or that it has come since."""
        (self.owed.add if is_owed else self.owed.discard)(exec_id)
        await self._remembered.write({f"{FEE}{exec_id}": "1" if is_owed else ""})
