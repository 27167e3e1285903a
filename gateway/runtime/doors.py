"""The doors: what comes in from Redis and from brokers becomes items for the inbox.

Rules of this room:
1. A message is checked here, once, completely; what is refused becomes a dead letter with the field
   and the reason, and the gateway carries on.
2. An entry is accepted, and a report acknowledged, only when the loop says that it is durable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from pydantic import SecretStr

from adapters.base import Source, SourceEvent
from gateway.domain.settings import Settings
from gateway.errors import InvalidTargets
from gateway.events import Event, TargetsSubmitted
from gateway.oms.standing import PREFIX
from gateway.oms.state import State
from gateway.runtime.clock import Clock
from gateway.runtime.commands import parse_command, parse_prices
from gateway.runtime.loop import Inbox, Item
from gateway.runtime.schema import parse_targets
from gateway.runtime.signing import verify
from gateway.runtime.streams import Entry, Intake


class Doors:
    """Turn entries and broker events into items."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        clock: Clock,
        keys: Mapping[str, SecretStr],
        *,
        must_be_signed: bool,
    ) -> None:
        self._settings = settings
        self._state = state
        self._clock = clock
        self._keys = keys
        self._must_be_signed = must_be_signed

    def read(self, entry: Entry) -> Event:
        """Turn one entry into its event; raises `InvalidTargets` naming the field and the remedy."""
        now = self._clock.now()
        accounts = self._settings.accounts
        if entry.stream == "prices":
            return parse_prices(entry.data, now, self._settings.instruments)
        if entry.stream == "commands":
            command = parse_command(entry.data, now)
            account = getattr(command, "account", "")
            if account and account not in accounts:
                raise InvalidTargets("account", f"{account} is not known; known: {', '.join(accounts)}")
            return self._harvest(command, entry) if isinstance(command, TargetsSubmitted) else command
        return self._targets(entry, now)

    def _harvest(self, request: TargetsSubmitted, entry: Entry) -> TargetsSubmitted:
        """Ask of a harvest what is asked of a target message: a signature where one is required."""
        signer = verify(entry.data, entry.fields, self._keys, required=self._must_be_signed)
        _refuse_own(request.request_id)
        return replace(request, entry_id=entry.entry_id, signed_by=signer)

    def _targets(self, entry: Entry, now: datetime) -> TargetsSubmitted:
        """Turn a target message into its event."""
        accounts = self._settings.accounts
        signer = verify(entry.data, entry.fields, self._keys, required=self._must_be_signed)
        targets = parse_targets(
            entry.data,
            now=now,
            accounts=accounts,
            instruments=self._settings.instruments,
            allow_short=any(one.limits.allow_short for one in accounts.values()),
            entry_id=entry.entry_id,
            signed_by=signer,
        )
        _refuse_own(targets.request_id)
        may_be_short = accounts[targets.account].limits.allow_short
        if not may_be_short and any(weight < 0 for weight in targets.targets.values()):
            raise InvalidTargets("targets", f"negative weights are off for account {targets.account}")
        if flaw := accounts[targets.account].execution.overridden(targets.execution).flaw():
            raise InvalidTargets(f"execution.{flaw[0]}", flaw[1])
        return targets

    async def intake(self, intake: Intake, inbox: Inbox) -> None:
        """Carry entries from Redis into the inbox, for ever."""
        async for entries in intake.batches():
            items: list[Item] = []
            for entry in entries:
                try:
                    event = self.read(entry)
                except InvalidTargets as problem:
                    intake.reject(entry, problem.field, problem.reason)
                    continue
                if isinstance(event, TargetsSubmitted) and event.request_id in self._state.requests:
                    intake.accept([entry])
                    continue
                items.append(Item(event, partial(intake.accept, [entry])))
            if items:
                await inbox.put(items)

    async def source(self, source: Source, inbox: Inbox) -> None:
        """Carry a source's events into the inbox, until it stops."""
        async for events in source.events():
            await inbox.put(_items(source, events))


def _refuse_own(request_id: str) -> None:
    """Refuse an id that only the gateway's own requests may have."""
    if request_id.startswith(PREFIX):
        text = f"begins with {PREFIX}, which the gateway's own requests do; choose another"
        raise InvalidTargets("request_id", text)


def _items(source: Source, events: Sequence[SourceEvent]) -> list[Item]:
    """Acknowledge a batch's last place once its last event is durable: the inbox keeps the order."""
    items = [Item(event) for event in events]
    last_seq = max((int(getattr(event, "link_seq", 0)) for event in events), default=0)
    if last_seq:
        items[-1] = Item(items[-1].event, partial(source.acknowledge, last_seq))
    return items
