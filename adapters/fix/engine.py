"""The FIX engine as the gateway sees it: hand text over, take text back, in order and without loss.

Rules of this room:
1. `FixEngine` is the seam: whoever carries a FIX session implements it. `ChildEngine` does it with
   quickfix in a child process.
2. The child's death is an event (`Down`), never ours: it is started again, later each time.
3. Messages come from the spool only. A `Up` or `Down` is handed on after everything that was spooled
   before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.fix.settings import FixSession
from adapters.fix.spool import Spooled, SpoolReader

log = logging.getLogger(__name__)

BATCH = 512
FORGET_EVERY = 1_000
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
END_TIMEOUT_S = 10.0
SLOW_LOGON_S = 5.0


@dataclass(frozen=True, slots=True)
class Up:
    """The session is logged on and everything the venue owed us is here.

    `was_reset` says that numbers began again at 1: what was not yet received before is not repeated.
    """

    was_reset: bool = False


@dataclass(frozen=True, slots=True)
class Down:
    """The session is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """An order did not leave, because the session was not up.

    With `is_answer` it is what the session's own numbers say to a `trace`: the venue has not received it.
    """

    cl_ord_id: str
    reason: str
    is_answer: bool = False


Incoming = Spooled | Up | Down | Withheld


class FixEngine(Protocol):
    """Carry one FIX session."""

    def start(self, after_seq: int) -> str:
        """Begin; return what of the messages behind `after_seq` is missing, empty when nothing is."""
        ...

    async def stop(self) -> None:
        """Log out and end."""
        ...

    def send(self, kind: str, cl_ord_id: str, raw: str) -> bool:
        """Hand one message over: kind `order`, `ask` or `trace`; False when it certainly did not leave."""
        ...

    def flush(self) -> None:
        """Push what was handed over."""
        ...

    def incoming(self) -> AsyncIterator[Sequence[Incoming]]:
        """Yield what happened, in order, until `stop`."""
        ...

    def acknowledge(self, seq: int) -> None:
        """Note that everything up to `seq` is safe elsewhere."""
        ...


class ChildEngine:
    """Run quickfix in a child process and keep it running."""

    def __init__(self, session: FixSession) -> None:
        self._session = session
        self._reader = SpoolReader(session.store_folder / "spool", 0)
        self._after_seq = 0
        self._last_seq = 0
        self._notices: list[Up | Down | Withheld] = []
        self._is_spooled = True
        self._wake = asyncio.Event()
        self._is_up = False
        self._stopping = asyncio.Event()
        self._acknowledged = 0
        self._outgoing: list[str] = []
        self._link: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, after_seq: int) -> str:
        """Begin; return what of the messages behind `after_seq` is missing, empty when nothing is."""
        self._after_seq = self._last_seq = after_seq
        self._reader = SpoolReader(self._session.store_folder / "spool", after_seq)
        self._task = asyncio.create_task(self._keep_running())
        self._task.add_done_callback(lambda _: self._wake.set())
        return self._reader.missing()

    async def stop(self) -> None:
        """Close the child's socket, which makes it log out and end, and wait for that."""
        self._stopping.set()
        self._wake.set()
        if self._link is not None:
            self._link.close()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def send(self, kind: str, cl_ord_id: str, raw: str) -> bool:
        """Hand one message over; False when it certainly did not leave."""
        if not self._is_up or self._link is None or self._link.is_closing():
            return False
        self._outgoing.append(f"{kind} {cl_ord_id} {raw}\n")
        return True

    def flush(self) -> None:
        """Push what was handed over to the child, in one write."""
        if self._outgoing and self._link is not None:
            self._link.write("".join(self._outgoing).encode())
        self._outgoing.clear()

    async def incoming(self) -> AsyncIterator[Sequence[Incoming]]:
        """Yield what happened, in order, until `stop` and the spool's end."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            is_last = self._stopping.is_set() and (self._task is None or self._task.done())
            while batch := self._take():
                yield batch
            if is_last:
                self._reader.close()
                return

    def acknowledge(self, seq: int) -> None:
        """Note that everything up to `seq` is safe elsewhere, and drop old parts of the spool."""
        if seq >= self._acknowledged + FORGET_EVERY:
            self._acknowledged = seq
            self._reader.forget(seq)

    def _take(self) -> list[Incoming]:
        """Return the next batch: spooled messages, then notices that came after all of them."""
        batch: list[Incoming] = []
        if self._is_spooled:
            batch += (found := self._reader.read(BATCH))
            if found:
                self._last_seq = found[-1].seq
            self._is_spooled = len(found) >= BATCH
        if not self._is_spooled:
            batch += self._notices
            self._notices.clear()
        return batch

    def hear(self, line: str) -> None:
        """Take one line from the child."""
        word, _, rest = line.partition(" ")
        self._is_spooled = True
        if word == "up":
            self._is_up = True
            self._notices.append(Up(was_reset=rest == "reset"))
        elif word == "down":
            self._note_down(rest)
        elif word == "barred":  # said although there was no session yet: it needs a person, or time
            self._is_up = False
            self._notices.append(Down(rest))
        elif word in ("withheld", "unsent"):
            cl_ord_id, _, reason = rest.partition(" ")
            self._notices.append(Withheld(cl_ord_id, reason, is_answer=word == "unsent"))
        self._wake.set()

    def _note_down(self, reason: str) -> None:
        if not self._is_up:
            log.warning("%s: no session yet: %s", self._session.name, reason)
            return
        self._is_up = False
        self._notices.append(Down(reason))

    async def _keep_running(self) -> None:
        """Start the child again whenever it ends, after a pause that grows while it keeps failing."""
        clock = asyncio.get_running_loop().time
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = clock()
            code = await self._run_child()
            self._is_spooled = True
            self._note_down(f"the FIX process ended with code {code}")
            self._wake.set()
            pause_s = FIRST_PAUSE_S if clock() - began > STEADY_S else min(pause_s * 2, LONGEST_PAUSE_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s * random.uniform(0.5, 1.0)):  # noqa: S311 - spreads restarts
                    await self._stopping.wait()

    async def _run_child(self) -> int | None:
        """Run one child until it ends; return its exit code."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "adapters.fix.child", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        loop = asyncio.get_running_loop()
        link, wire = await loop.create_connection(lambda: _Wire(self), sock=ours)
        start: dict[str, Any] = {
            "session": json.loads(self._session.to_json()),
            "after_seq": self._last_seq,
        }
        link.write(json.dumps(start).encode() + b"\n")
        self._link = link
        if self._stopping.is_set():
            link.close()
        slow = loop.call_later(SLOW_LOGON_S, self._note_slow)
        try:
            await wire.ended.wait()
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            slow.cancel()
            link.close()
            self._link = None
            self._outgoing.clear()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        return process.returncode

    def _note_slow(self) -> None:
        if not self._is_up:
            at = f"{self._session.host}:{self._session.port}"
            log.warning("%s: not logged on to %s yet; trying on", self._session.name, at)


class _Wire(asyncio.Protocol):
    """Cut the child's bytes into lines."""

    def __init__(self, engine: ChildEngine) -> None:
        self._engine = engine
        self._rest = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        """Hand every whole line on."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        last = b""
        for line in lines:
            if line != b"spooled" or last != line:
                self._engine.hear(line.decode(errors="replace"))
            last = line

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        _ = exc
        self.ended.set()
