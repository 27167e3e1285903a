"""The intake: input streams, read by one consumer group, acknowledged only after the journal has them.

Rules of this room:
1. An entry is `accept`ed or `reject`ed exactly once by whoever took it from `batches`; until then it is
   in hand, and after a crash the next gateway is given it again.
2. The group starts at id 0: what was submitted while no gateway ran is not lost.
3. At the start, after a broken connection and every few seconds, entries that were delivered but are in
   nobody's hand are taken over. One delivered `MAX_DELIVERIES` times without an answer is poison: it
   becomes a dead letter and the queue goes on. Once a connection broke, deliveries prove nothing (a
   reply may have been lost on the way), so nothing is poison until the next start.
4. Redis may go away at any moment: the intake tries again for ever and raises nothing but cancellation.
5. Commands come before prices before targets, so that a halt overtakes what it is meant to stop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.runtime.clock import Clock
from gateway.runtime.connect import BLOCK_MS, GONE, lua
from gateway.runtime.keys import GROUP, INPUTS, Keys

log = logging.getLogger(__name__)

COUNT: Final = 100
IN_HAND: Final = 2_000
MAX_DELIVERIES: Final = 3
SWEEP_S: Final = 10.0
IDLE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 1.0
SETTLE_PAUSE_S: Final = 0.05
"""Answers wait this long, so that the disk is free for the journal when a request has just come in."""
FULL_PAUSE_S: Final = 0.02
LETTERS_KEPT: Final = 10_000
RAW_KEPT_BYTES: Final = 64_000
TRIM_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an input stream: `stream` is its short name, `data` the JSON of field `d`."""

    stream: str
    entry_id: str
    data: bytes
    fields: Mapping[bytes, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Letter:
    """A dead letter that has not been written yet."""

    key: str
    entry_id: str
    content: tuple[str | bytes, ...]


class Intake:
    """Read the input streams of one household as the only live consumer (the lease sees to that)."""

    def __init__(
        self,
        reader: Redis,
        writer: Redis,
        keys: Keys,
        clock: Clock,
        *,
        consumer: str = "gateway",
        sweep_s: float = SWEEP_S,
        idle_s: float = IDLE_S,
        on_rejected: Callable[[Entry, str, str], None] = lambda _entry, _field, _reason: None,
        on_unavailable: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._consumer = consumer
        self._sweep_s = sweep_s
        self._idle_ms = int(idle_s * 1000)
        self._on_rejected = on_rejected
        self._on_unavailable = on_unavailable
        self._names = {keys.stream(name): name for name in INPUTS}
        self._keys = {name: key for key, name in self._names.items()}
        self._rejected_key = keys.rejected
        self._reject_script = writer.register_script(lua("reject"))
        self._in_hand: set[tuple[str, str]] = set()
        self._done: set[tuple[str, str]] = set()
        self._letters: dict[tuple[str, str], _Letter] = {}
        self._is_unbroken = True
        self._wake = asyncio.Event()
        self._one_settler = asyncio.Lock()

    # ------------------------------------------------------------------------------------ answers

    def accept(self, entries: Iterable[Entry]) -> None:
        """Note that the journal has these entries; they are acknowledged in the background."""
        for entry in entries:
            mark = (self._keys[entry.stream], entry.entry_id)
            self._in_hand.discard(mark)
            self._done.add(mark)
        self._wake.set()

    def reject(self, entry: Entry, field: str, reason: str) -> None:
        """Move an entry to the dead letters with the field and the reason; done in the background."""
        key = self._keys[entry.stream]
        mark = (key, entry.entry_id)
        self._in_hand.discard(mark)
        content: list[str | bytes] = ["stream", entry.stream, "id", entry.entry_id, "field", field]
        content += ["reason", reason, "at", self._clock.now().isoformat(), "raw", entry.data[:RAW_KEPT_BYTES]]
        if b"sig" in entry.fields:
            content += ["sig", entry.fields[b"sig"][:1000]]
        self._letters[mark] = _Letter(key, entry.entry_id, tuple(content))
        self._on_rejected(entry, field, reason)
        self._wake.set()

    async def settle(self) -> bool:
        """Write every answer that waits; True when Redis has them all. Tried once, never raises."""
        async with self._one_settler:
            self._wake.clear()
            try:
                while self._letters:
                    mark, letter = next(iter(self._letters.items()))
                    args = [GROUP, letter.entry_id, str(LETTERS_KEPT), *letter.content]
                    await self._reject_script([letter.key, self._rejected_key], args)
                    self._letters.pop(mark, None)
                while self._done:
                    marks = list(self._done)[:COUNT]
                    async with self._writer.pipeline(transaction=False) as pipe:
                        for key, entry_id in marks:
                            pipe.xack(key, GROUP, entry_id)
                        await pipe.execute()
                    self._done.difference_update(marks)
            except (*GONE, ResponseError) as error:
                log.warning("answers wait for Redis (%s)", type(error).__name__)
                return False
            return True

    async def _settle_always(self) -> None:
        """Write answers as they come, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(SETTLE_PAUSE_S)
            if not await self.settle():
                await asyncio.sleep(LONGEST_PAUSE_S)
                self._wake.set()

    # ------------------------------------------------------------------------------------- reading

    async def batches(self) -> AsyncIterator[list[Entry]]:
        """Yield entries in order, never an empty list, until cancelled or closed."""
        settler = asyncio.create_task(self._settle_always())
        try:
            idle_ms, sweep_at, pause_s = 0, 0.0, 0.0
            while True:
                if len(self._in_hand) >= IN_HAND:
                    await asyncio.sleep(FULL_PAUSE_S)
                    continue
                try:
                    if self._clock.monotonic() >= sweep_at:
                        batch = await self._sweep(idle_ms)
                        if len(batch) < COUNT:
                            idle_ms, sweep_at = self._idle_ms, self._clock.monotonic() + self._sweep_s
                    else:
                        batch = await self._read()
                except (*GONE, ResponseError) as error:
                    self._is_unbroken = False
                    pause_s = await self._recover(error, pause_s)
                    idle_ms, sweep_at = 0, 0.0
                    continue
                pause_s = 0.0
                self._in_hand.update((self._keys[entry.stream], entry.entry_id) for entry in batch)
                if batch:
                    yield batch
        finally:
            settler.cancel()
            await asyncio.gather(settler, return_exceptions=True)

    async def _recover(self, error: Exception, pause_s: float) -> float:
        """Wait a little after an error, tell once, and return the next pause."""
        if pause_s == 0.0 and not str(error).startswith(("NOGROUP", "UNBLOCKED")):
            text = f"the input streams cannot be read ({type(error).__name__}: {str(error)[:200]})"
            log.warning(text)
            self._on_unavailable(text)
        pause_s = min(LONGEST_PAUSE_S, max(0.05, pause_s * 2))
        await asyncio.sleep(pause_s)
        return pause_s

    async def _read(self) -> list[Entry]:
        """Wait up to a second for new entries."""
        wanted: Any = dict.fromkeys(self._names, ">")
        answer: Any = await self._reader.xreadgroup(
            GROUP, self._consumer, wanted, count=COUNT, block=BLOCK_MS
        )
        return [entry for key, rows in answer or () for entry in self._take(key.decode(), rows)]

    def _take(self, key: str, rows: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[Entry]:
        """Turn raw rows into entries; one without field `d` is refused here."""
        entries = []
        for entry_id, fields in rows:
            entry = Entry(self._names[key], entry_id.decode(), fields.get(b"d", b""), fields)
            if b"d" in fields:
                entries.append(entry)
            else:
                self.reject(entry, "d", "is missing: put the JSON in a field named d")
        return entries

    async def _sweep(self, idle_ms: int) -> list[Entry]:
        """Make groups, trim what is done, and take over what is in nobody's hand."""
        batch: list[Entry] = []
        for key in self._names:
            await self._make_group(key)
            batch += await self._take_over(key, idle_ms)
            await self._trim(key)
        return batch

    async def _make_group(self, key: str) -> None:
        try:
            await self._writer.xgroup_create(key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        else:
            self._in_hand = {mark for mark in self._in_hand if mark[0] != key}
            self._done = {mark for mark in self._done if mark[0] != key}

    async def _take_over(self, key: str, idle_ms: int) -> list[Entry]:
        """Claim up to `COUNT` entries idle for `idle_ms`; poison becomes a dead letter instead."""
        wanted: list[bytes] = []
        poison: list[tuple[bytes, int]] = []
        start = "-"
        while len(wanted) + len(poison) < COUNT:
            rows: Any = await self._writer.xpending_range(
                key, GROUP, min=start, max="+", count=COUNT, idle=idle_ms
            )
            for row in rows:
                mark = (key, row["message_id"].decode())
                if mark in self._in_hand or mark in self._done or mark in self._letters:
                    continue
                if self._is_unbroken and row["times_delivered"] >= MAX_DELIVERIES:
                    poison.append((row["message_id"], row["times_delivered"]))
                else:
                    wanted.append(row["message_id"])
            if len(rows) < COUNT:
                break
            start = "(" + rows[-1]["message_id"].decode()
        for message_id, deliveries in poison:
            await self._bury(key, message_id, deliveries)
        return await self._claim(key, wanted)

    async def _claim(self, key: str, wanted: list[bytes]) -> list[Entry]:
        """Take entries over; those that no longer exist are acknowledged."""
        if not wanted:
            return []
        claimed: Any = await self._writer.xclaim(key, GROUP, self._consumer, 0, [*wanted])
        rows = [row for row in claimed if row and row[1] is not None]
        gone = {entry_id.decode() for entry_id in wanted} - {entry_id.decode() for entry_id, _ in rows}
        if gone:
            log.warning("%d entries of %s were deleted before they were handled", len(gone), key)
            self._done.update((key, entry_id) for entry_id in gone)
            self._wake.set()
        return self._take(key, rows)

    async def _bury(self, key: str, message_id: bytes, deliveries: int) -> None:
        """Make a dead letter of an entry that nobody managed to answer."""
        rows: Any = await self._writer.xrange(key, min=message_id, max=message_id)
        fields = rows[0][1] if rows else {}
        entry = Entry(self._names[key], message_id.decode(), fields.get(b"d", b""), fields)
        self.reject(
            entry, "d", f"was delivered {deliveries} times and never answered: the gateway stopped each time"
        )

    async def _trim(self, key: str) -> None:
        """Forget entries that every delivery is behind of: the journal has them."""
        groups: Any = await self._writer.xinfo_groups(key)
        for group in groups:
            if group["name"] != GROUP.encode():
                return
        pending: Any = await self._writer.xpending(key, GROUP)
        oldest = pending["min"] or groups[0]["last-delivered-id"]
        await self._writer.xtrim(key, minid=oldest, approximate=True, limit=TRIM_LIMIT)
