"""The lease: which gateway may write a household's journal and send its orders.

Rules of this room:
1. Every takeover raises the epoch. The journal accepts only the epoch and owner of the lease, but a
   broker cannot check an epoch: `may_act` is asked, without any await, in the same step as each send.
2. `may_act` compares our own clock with a deadline counted from *before* the last renewal was sent,
   less a margin: when another gateway may take over, this one has already stopped.
3. An owner on this very machine whose process is gone is proved dead and need not be waited for. The
   owner's text names host, boot, process namespace, process id and its start, so that neither a
   reboot, a container nor a process id used again can be mistaken for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.errors import Fenced, LeaseHeld
from gateway.runtime.clock import Clock
from gateway.runtime.connect import GONE, lua
from gateway.runtime.keys import Keys
from gateway.runtime.store import Patience, is_transient, refusal

log = logging.getLogger(__name__)

TTL_S: Final = 10.0
MARGIN_S: Final = 1.0
_PROC = Path("/proc")
_STATE, _START = 0, 19  # places behind the command's closing parenthesis in /proc/<pid>/stat


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat behind the command's name; empty when there are none."""
    try:
        return (_PROC / str(pid) / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return []


def _machine() -> str:
    """Return host, boot and process namespace; without a boot id nobody is ever proved dead."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        boot = namespace = ""
    return f"{socket.gethostname().replace('|', '_')}|{boot}|{namespace}"


def owner_text() -> str:
    """Name this process: host, boot id, process namespace, process id, start in clock ticks."""
    fields = _stat(os.getpid())
    return f"{_machine()}|{os.getpid()}|{fields[_START] if fields else ''}"


def is_provably_dead(owner: str) -> bool:
    """Say whether `owner` was a process of this machine and boot that no longer runs."""
    machine, _, process = owner.rpartition("|")
    machine, _, pid = machine.rpartition("|")
    if machine != _machine() or not machine.split("|")[1] or not pid.isdecimal() or not process:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    fields = _stat(int(pid))
    return bool(fields) and (fields[_START] != process or fields[_STATE] in "ZX")


class Lease:
    """Hold the right to act for one household."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        clock: Clock,
        *,
        ttl_s: float = TTL_S,
        margin_s: float = MARGIN_S,
        owner: str = "",
        on_unavailable: Callable[[str], None] = lambda _text: None,
    ) -> None:
        if not 0 < margin_s < ttl_s / 2:
            raise ValueError("the margin stands between 0 and half the time to live")
        self._clock = clock
        self._ttl_s = ttl_s
        self._margin_s = margin_s
        self._keys = [keys.lease]
        self._acquire_script = client.register_script(lua("acquire"))
        self._renew_script = client.register_script(lua("renew"))
        self._patiently = Patience(on_unavailable)
        self._deadline = 0.0
        self.owner = owner or owner_text()
        self.epoch = 0

    def may_act(self) -> bool:
        """Say whether an order may leave at this very moment. No await: ask in the step that sends."""
        return self._clock.monotonic() < self._deadline

    async def acquire(self, wait_s: float = 0.0) -> int:
        """Take the household over and return the new epoch; `LeaseHeld` when another keeps it `wait_s`."""
        give_up_at = self._clock.monotonic() + wait_s
        dead = ""
        while True:
            asked_at = self._clock.monotonic()
            word, value, *left_ms = await self._patiently(lambda dead=dead: self._try(dead))  # type: ignore[misc]
            if word == b"OK":
                self.epoch = int(value)
                self._deadline = asked_at + self._ttl_s - self._margin_s
                return self.epoch
            holder = value.decode("utf-8", "replace")
            if holder != dead and is_provably_dead(holder):
                log.warning("the gateway that held this household is dead; taking over at once")
                dead = holder
                continue
            left_s = int(left_ms[0]) / 1000
            if self._clock.monotonic() >= give_up_at:
                host, pid = holder.split("|")[0], holder.split("|")[-2] if holder.count("|") > 1 else "?"
                raise LeaseHeld(
                    f"another gateway (host {host}, process {pid}) holds this household for {left_s:.1f} s "
                    "more: stop it first, or wait until its lease is over"
                )
            await asyncio.sleep(min(left_s + 0.01, 1.0))

    async def _try(self, dead: str) -> list[Any]:
        answer: list[Any] = await self._acquire_script(
            self._keys, [self.owner, str(int(self._ttl_s * 1000)), dead]
        )
        return answer

    async def renew(self) -> None:
        """Hold on for another `ttl_s`; `Fenced` when the household is no longer ours."""
        asked_at = self._clock.monotonic()
        word = await self._renew_script(
            self._keys, [str(self.epoch), self.owner, str(int(self._ttl_s * 1000))]
        )
        if word != b"OK":
            self._deadline = 0.0
            raise Fenced("another gateway took this household over, or its lease was deleted: this one stops")
        self._deadline = asked_at + self._ttl_s - self._margin_s

    async def keep(self) -> None:
        """Renew three times in each `ttl_s` for ever; ends only by `Fenced` or cancellation.

        While Redis is away the lease simply runs out and `may_act` turns false; it turns true again
        with the next renewal, if nobody took over in between.
        """
        while True:
            try:
                await self.renew()
            except (*GONE, ResponseError) as error:
                if not is_transient(error):
                    self._deadline = 0.0
                    raise refusal(error) from None
                log.warning("the lease could not be renewed (%s)", type(error).__name__)
                await asyncio.sleep(min(0.2, self._ttl_s / 10))
                continue
            await asyncio.sleep(self._ttl_s / 3)

    async def release(self) -> None:
        """Let the household go, so that the next gateway need not wait; tried once, never raises."""
        self._deadline = 0.0
        try:
            await self._renew_script(self._keys, [str(self.epoch), self.owner, "0"])
        except (*GONE, ResponseError) as error:
            log.warning("the lease could not be given back (%s); it runs out by itself", type(error).__name__)
