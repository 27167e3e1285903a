"""The journal: every event of one household, in order, on disk before anybody acts on it.

Rules of this room:
1. The id of a stream entry is `<seq>-0`: the journal sequence number is the entry id.
2. One script appends a batch: fence, head and repeat are checked and everything is written in one step
   (`append.lua`). An answer that got lost is asked for again with the batch's own token.
3. `append` comes back when the batch is on disk, however long Redis is away; or it raises, and then
   the process must stop: `Fenced`, `StoreBehind`, or `StoreUnavailable` when Redis refuses to write.
4. What is old leaves for the archive's files, where `read` finds it again; what a start needs stays.
5. There is one writer. A second `append` while one runs is a bug, and an `append` that was cancelled
   closes the journal: only a restart can know what was written.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004
    RedisError,
    ResponseError,
)

from gateway.errors import Fenced, StoreBehind, StoreError, StoreUnavailable
from gateway.events import Event
from gateway.runtime import safety
from gateway.runtime.archive import Archive, Entry
from gateway.runtime.connect import GONE, lua
from gateway.runtime.keys import Keys
from gateway.runtime.wire import VERSIONS, decode, encode

T = TypeVar("T")
Tell = Callable[[str], None]

MAX_BATCH: Final = 5_000
LEAST_ARCHIVED, MOST_ARCHIVED = 1_000, 50_000
"""So many entries are worth a file, and so many go into one."""
PAGE: Final = 2_000
FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 1.0
THREAD_ABOVE_BYTES: Final = 100_000
_TRANSIENT = ("LOADING", "BUSY", "READONLY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS")
_REFUSED = {
    "MISCONF": "the server cannot write its log: free disk space or mend the disk, then start again",
    "OOM": "the server is out of memory: raise maxmemory or add memory, then start again",
    "NOPERM": "the user may not do this: give it the rights in gateway/runtime/README.md",
    "NOAUTH": "the server wants a password: put it in the redis url",
    "WRONGPASS": "user name or password is wrong: correct the redis url",
    "MOVED": "this is a cluster node: use a server or a sentinel url",
    "CROSSSLOT": "this is a cluster node: use a server or a sentinel url",
}

log = logging.getLogger(__name__)


def _ignore(_text: str) -> None:
    """Tell nobody."""


def _root(error: Exception) -> Exception:
    """Return what the server said: redis-py wraps a refused handshake into a ConnectionError."""
    cause = error.__cause__
    return cause if isinstance(error, ConnectionError) and isinstance(cause, RedisError) else error


def refusal(error: Exception) -> StoreError:
    """Turn what Redis refuses into our own error with a remedy."""
    error = _root(error)
    text = str(error)
    for word, remedy in _REFUSED.items():
        if text.startswith(word) or (word == "OOM" and "maxmemory" in text):
            return StoreUnavailable(f"Redis refuses: {word}: {remedy}")
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return StoreUnavailable("Redis refuses the user name or password: correct the redis url")
    if "permissions" in text:
        return StoreUnavailable(f"Redis refuses: {_REFUSED['NOPERM']}")
    return StoreError(f"Redis refuses: {text[:300]}")


def is_transient(error: Exception) -> bool:
    """Say whether trying again later is all that is needed."""
    error = _root(error)
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return False
    return isinstance(error, GONE) or str(error).startswith(_TRANSIENT)


class Patience:
    """Repeat a command that is safe to repeat until Redis answers; tell once when it goes and comes."""

    def __init__(self, on_unavailable: Tell = _ignore, on_available: Tell = _ignore) -> None:
        self._on_unavailable = on_unavailable
        self._on_available = on_available
        self._away = False

    async def __call__(self, command: Callable[[], Awaitable[T]]) -> T:
        """Return the command's answer; raises a `StoreError` when Redis refuses it for good."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                answer = await command()
            except (*GONE, ResponseError) as error:
                if not is_transient(error):
                    raise refusal(error) from None
                self._tell_away(error)
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
                continue
            if self._away:
                self._away = False
                log.warning("Redis answers again")
                self._on_available("Redis answers again")
            return answer

    def _tell_away(self, error: Exception) -> None:
        """Say once that Redis is away."""
        if not self._away:
            self._away = True
            text = f"Redis does not answer ({type(error).__name__}); nothing is sent until it does"
            log.error(text)
            self._on_unavailable(text)


class Journal:
    """Read and append the journal of one household as the holder of lease `epoch` and `owner`.

    `client` writes and reads events; `bulk`, a client with a longer timeout, carries the snapshots; `archive`
    has what is no longer in Redis.
    """

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        epoch: int,
        owner: str,
        *,
        bulk: Redis | None = None,
        archive: Archive | None = None,
        on_unavailable: Tell = _ignore,
        on_available: Tell = _ignore,
    ) -> None:
        self._client = client
        self._bulk = bulk or client
        self._keys = keys
        self._archive = archive
        self._fence: tuple[str, str] = (str(epoch), owner)
        self._patiently = Patience(on_unavailable, on_available)
        self._append_script = client.register_script(lua("append"))
        self._snapshot_script = self._bulk.register_script(lua("snapshot"))
        self._trim_script = self._bulk.register_script(lua("trim"))
        self._append_keys = [keys.journal, keys.head, keys.lease]
        self._run_id = secrets.token_hex(6)
        self._batches = 0
        self._seq: int | None = None
        self._busy = False

    @property
    def seq(self) -> int:
        """Return the sequence number of the last event we know to be on disk."""
        if self._seq is None:
            raise RuntimeError(
                "the journal is not open (an append that was cancelled closes it): await journal.open()"
            )
        return self._seq

    async def head(self) -> int:
        """Ask Redis for the journal's last sequence number, 0 when it is empty."""
        return await self._patiently(self._head)

    async def _head(self) -> int:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hget(self._keys.head, "seq")
            pipe.xrevrange(self._keys.journal, count=1)
            seq, last = await pipe.execute()
        head = int(seq or 0)
        end = int(last[0][0].partition(b"-")[0]) if last else 0
        if head != end:
            raise StoreBehind(
                f"the journal says it has {head} events and ends at {end}: it was edited or half lost; "
                "restore Redis from a copy of its append-only file"
            )
        return head

    async def open(self, at_least: int = 0) -> int:
        """Learn where the journal ends and return it; `StoreBehind` when that is before `at_least`."""
        head = await self.head()
        if head < at_least:
            raise StoreBehind(_behind(head, at_least))
        self._seq = head
        return head

    async def append(self, events: Sequence[Event]) -> int:
        """Write a batch, all or nothing, and return the sequence number of its last event."""
        expected = self.seq
        if not events:
            return expected
        if len(events) > MAX_BATCH:
            raise ValueError(f"a batch holds at most {MAX_BATCH} events, this one {len(events)}")
        if self._busy:
            raise RuntimeError("the journal has one writer: await each append before the next")
        self._batches += 1
        args: list[str | bytes] = [*self._fence, str(expected), f"{self._run_id}-{self._batches}"]
        for event in events:
            name, data = encode(event)
            args += (name, str(VERSIONS[name]), data)
        self._busy = True
        try:
            word, head = await self._patiently(lambda: self._append_script(self._append_keys, args))
        except asyncio.CancelledError:
            self._seq = None
            raise
        finally:
            self._busy = False
        return self._take(word, int(head), expected, expected + len(events))

    def _take(self, word: bytes, head: int, expected: int, end: int) -> int:
        """Turn the script's answer into the new head or an exception."""
        if word in (b"OK", b"DUP") and head == end:
            self._seq = end
            return end
        if word == b"BEHIND":
            raise StoreBehind(_behind(head, expected))
        if word == b"FENCED":
            raise Fenced("another gateway took this household over: this one stops")
        raise Fenced(
            f"somebody else wrote to the journal (it ends at {head}, we expected {expected}): this one stops"
        )

    async def read(self, after_seq: int = 0, count: int = PAGE) -> AsyncIterator[tuple[int, Event]]:
        """Yield every event behind `after_seq` in order, `count` to a page; a hole is `StoreBehind`."""
        seq = after_seq
        while True:
            first = f"({seq}-0"
            page = await self._patiently(partial(self._page, first, count))
            if page and page[0].seq > seq + 1 and self._archive is not None:
                for one in self._archive.read(seq, page[0].seq):
                    seq = one.seq
                    yield seq, decode(one.name, one.version, one.data)
            for one in page:
                if one.seq != seq + 1:
                    raise StoreBehind(self._missing(seq + 1, one.seq - 1))
                seq = one.seq
                yield seq, decode(one.name, one.version, one.data)
            if len(page) < count:
                return

    async def _page(self, first: str, count: int) -> list[Entry]:
        found: Any = await self._client.xrange(self._keys.journal, min=first, count=count)
        return [
            Entry(int(name.partition(b"-")[0]), one[b"t"].decode(), int(one[b"v"]), one[b"d"])
            for name, one in found or []
        ]

    def _missing(self, first: int, last: int) -> str:
        if self._archive is not None:
            return self._archive.missing(first, last)
        return f"journal entries {first} to {last} are gone: restore Redis from a copy"

    async def archive_old(self, keep: int) -> int:
        """Move entries older than the newest `keep` into the archive; return how many have left Redis.

        What the kept snapshots do not lie behind stays, and so does less than `LEAST_ARCHIVED`. Raises
        `StoreUnavailable` when the disk refuses, `StoreBehind` when the archive's files are not all there.
        """
        archive = self._archive
        if archive is None:
            return 0
        first = next(iter(await self._patiently(partial(self._page, "-", 1))), None)
        known: Any = await self._patiently(partial(self._bulk.hget, self._keys.previous_snapshot, "seq"))
        last = min(int(known or 0), self.seq - keep)
        if first is None or last - first.seq + 1 < LEAST_ARCHIVED:
            return 0
        if archive.last < first.seq - 1:
            raise StoreBehind(archive.missing(archive.last + 1, first.seq - 1))
        seq = archive.last
        while seq < last:
            entries = await self._until(seq, min(last, seq + MOST_ARCHIVED))
            seq = await asyncio.to_thread(archive.keep, entries)
        return await self._trim(min(seq, last))

    async def _until(self, seq: int, last: int) -> list[Entry]:
        """Return the entries behind `seq`, up to `last`."""
        found: list[Entry] = []
        while seq < last:
            page = await self._patiently(partial(self._page, f"({seq}-0", min(PAGE, last - seq)))
            if not page or page[0].seq != seq + 1:
                raise StoreBehind(self._missing(seq + 1, last))
            found += page
            seq = page[-1].seq
        return found

    async def _trim(self, seq: int) -> int:
        keys = [self._keys.journal, self._keys.lease, self._keys.snapshot, self._keys.previous_snapshot]
        word: Any = await self._patiently(partial(self._trim_script, keys, [*self._fence, str(seq)]))
        if word == b"FENCED":
            raise Fenced("another gateway took this household over: this one stops")
        return 0 if word == b"NEEDED" else int(word)

    async def save_snapshot(self, seq: int, data: bytes) -> None:
        """Keep the state after event `seq`; one snapshot before it is kept too."""
        packed, digest = await _in_thread(len(data), lambda: _pack(seq, data))
        keys = [self._keys.snapshot, self._keys.previous_snapshot, self._keys.lease]
        args: list[str | bytes] = [*self._fence, str(seq), digest, packed]
        word = await self._patiently(lambda: self._snapshot_script(keys, args))
        if word == b"FENCED":
            raise Fenced("another gateway took this household over: this one stops")

    async def load_snapshot(self) -> tuple[int, bytes] | None:
        """Return (seq, data) of the newest snapshot that is whole; None: replay from the start.

        A snapshot newer than the journal proves that the journal lost events: `StoreBehind`.
        """
        head = await self.head()
        for key in (self._keys.snapshot, self._keys.previous_snapshot):
            fields: dict[Any, Any] = await self._patiently(partial(self._bulk.hgetall, key))
            if not fields:
                continue
            snapshot = await _in_thread(len(fields.get(b"data", b"")), partial(_unpack, fields))
            if snapshot is None:
                log.warning("snapshot %s is damaged and ignored; the journal is replayed instead", key)
                continue
            if snapshot[0] > head:
                raise StoreBehind(_behind(head, snapshot[0]))
            return snapshot
        return None

    async def check_safety(self) -> str:
        """Return the server's version, or raise `StoreUnsafe` naming each failed setting and its remedy."""
        return await self._patiently(lambda: safety.check_safety(self._client))


def _behind(head: int, known: int) -> str:
    """Say what is lost and what to do."""
    return (
        f"the journal ends at {head}, but {known} events are known to have been written: Redis lost data; "
        "restore it from a copy of its append-only file, or start in reconcile-only mode"
    )


async def _in_thread(size: int, work: Callable[[], T]) -> T:
    """Do heavy work beside the loop, light work at once."""
    return await asyncio.to_thread(work) if size > THREAD_ABOVE_BYTES else work()


def _digest(seq: int, packed: bytes) -> str:
    return hashlib.sha256(b"%d:" % seq + packed).hexdigest()


def _pack(seq: int, data: bytes) -> tuple[bytes, str]:
    """Compress a snapshot and take its checksum."""
    packed = zlib.compress(data, 1)
    return packed, _digest(seq, packed)


def _unpack(fields: dict[bytes, bytes]) -> tuple[int, bytes] | None:
    """Return (seq, data), or None when anything about the snapshot is wrong."""
    try:
        seq, packed = int(fields[b"seq"]), fields[b"data"]
        if fields[b"sha256"].decode("ascii", "replace") != _digest(seq, packed):
            return None
        return seq, zlib.decompress(packed)
    except (KeyError, ValueError, zlib.error):
        return None
