"""Alerts leave the house: the news stream's alerts to mail, chat and webhooks, through the library apprise.

Rules of this room:
1. It reads the news on a connection of its own and changes nothing there; trading never waits for it.
2. Each address has its own bounded queue and its own thread: one that hangs delays no other. What overflows
   is dropped, the oldest first, counted, and said in the next message.
3. The same alert leaves once in the window. What comes faster than the rate allows is gathered into one
   message; nothing is lost by it.
4. What was delivered is remembered in the state folder: after a crash the rest is sent, that of the last
   day. Sending is at least once.
5. An address is a secret. It is never logged, and neither is anything apprise says of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from gateway.errors import ConfigError
from gateway.runtime.connect import BLOCK_MS, GONE
from gateway.runtime.keys import Keys
from gateway.sections import AlertsSection
from gateway.views.notices import PAGE, SEVERITIES, Notice, read_notice

BURST: Final = 5
LINES: Final = 25
TRIES: Final = 5
FIRST_PAUSE_S: Final = 2.0
OLDEST_MS: Final = 24 * 3_600_000
JUST_NOW_MS: Final = 60_000
REMEMBERED: Final = 10_000
CURSOR: Final = "alerts.json"

Send = Callable[[str, str, str], bool]
"""Deliver title, body and severity; False when it did not arrive. May take its time: a thread calls it."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sieve:
    """Let through what is serious enough, or wanted `always`, and has not passed within `window_s`."""

    min_severity: str
    window_s: float
    always: frozenset[str] = frozenset()
    passed: dict[tuple[str, str, str, str], float] = field(default_factory=dict)

    def passes(self, notice: Notice, now_s: float) -> bool:
        """Judge one alert at `now_s`, seconds on any clock that does not go back."""
        is_serious = SEVERITIES.index(notice.severity) >= SEVERITIES.index(self.min_severity)
        if not is_serious and notice.code not in self.always:
            return False
        key = (notice.severity, notice.code, notice.account, notice.text)
        last = self.passed.get(key)
        if last is not None and now_s - last < self.window_s:
            return False
        self.passed.pop(key, None)
        self.passed[key] = now_s
        if len(self.passed) > REMEMBERED:
            del self.passed[next(iter(self.passed))]
        return True


@dataclass(slots=True)
class Rate:
    """Allow `per_hour` messages, `BURST` of them at once."""

    per_hour: int
    left: float = BURST
    at: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Take one message's turn and return 0, or return how long to wait for it."""
        if self.at is not None:
            self.left = min(BURST, self.left + (now_s - self.at) * self.per_hour / 3600)
        self.at = now_s
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) * 3600 / self.per_hour


class Courier:
    """Carry alerts to one address, in a thread of its own for each message."""

    def __init__(
        self, name: str, household: str, send: Send, section: AlertsSection, monotonic: Callable[[], float],
        delivered: str = "0-0", pause_s: float = FIRST_PAUSE_S,
    ) -> None:  # fmt: skip
        self.name = name
        self.delivered = delivered
        self.sent = self.failed = self.dropped = 0
        self._household = household
        self._send = send
        self._section = section
        self._monotonic = monotonic
        self._pause_s = pause_s
        self._rate = Rate(section.per_hour)
        self._sieve = Sieve(section.min_severity, section.dedup_s, section.always)
        self._waiting: deque[Notice] = deque()
        self._unsaid = 0
        self._is_idle = True
        self.on_delivered: Callable[[], None] = lambda: None
        self._filled = asyncio.Event()

    def put(self, notice: Notice) -> None:
        """Queue one alert, unless it was delivered before, is a repetition, or not serious enough."""
        if _place(notice.entry_id) <= _place(self.delivered):
            return
        if not self._sieve.passes(notice, self._monotonic()):
            if self._is_idle:
                self.delivered = notice.entry_id
            return
        self._is_idle = False
        if len(self._waiting) >= self._section.waiting:
            self._waiting.popleft()
            self._drop(1)
        self._waiting.append(notice)
        self._filled.set()

    def _drop(self, count: int) -> None:
        if not self._unsaid:
            log.error("alerts to %s: too many, or it does not answer; the oldest are dropped", self.name)
        self.dropped += count
        self._unsaid += count

    async def run(self) -> None:
        """Deliver what waits, for ever."""
        while True:
            await self._filled.wait()
            if (pause_s := self._rate.wait_s(self._monotonic())) > 0:
                await asyncio.sleep(pause_s)
                continue
            batch = list(self._waiting)
            self._waiting.clear()
            self._filled.clear()
            await self._deliver(batch)
            self._is_idle = not self._waiting

    async def _deliver(self, batch: Sequence[Notice]) -> None:
        """Send one message, a few times if need be; what does not arrive is counted as failed."""
        said = self._unsaid
        title, body = compose(self._household, batch, said)
        severity = max((one.severity for one in batch), key=SEVERITIES.index)
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(self._pause_s * 2 ** (attempt - 1))
            if await self._in_thread(title, body, severity):
                self.sent += 1
                self._unsaid -= said
                self.delivered = batch[-1].entry_id
                self.on_delivered()
                return
        self.failed += 1
        self._drop(len(batch))
        log.error("alerts to %s: not delivered after %d attempts", self.name, TRIES)

    async def _in_thread(self, title: str, body: str, severity: str) -> bool:
        """Send in a thread that nothing waits for at the end of the process; False after the timeout."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[bool] = loop.create_future()

        def answer(is_there: bool) -> None:
            if not arrived.done():
                arrived.set_result(is_there)

        def work() -> None:
            is_there = self._send(title, body, severity)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(answer, is_there)

        threading.Thread(target=work, name=f"alerts-{self.name}", daemon=True).start()
        try:
            async with asyncio.timeout(self._section.timeout_s):
                return await arrived
        except TimeoutError:
            return False

    def status(self) -> dict[str, int]:
        """Return what an operator wants to know."""
        return {
            "sent": self.sent, "waiting": len(self._waiting), "dropped": self.dropped, "failed": self.failed,
        }  # fmt: skip


def compose(household: str, batch: Sequence[Notice], dropped: int = 0) -> tuple[str, str]:
    """Write title and body of one message: the gravest first, the newest last within a severity."""
    ranked = sorted(batch, key=lambda one: -SEVERITIES.index(one.severity))
    first = ranked[0]
    title = f"[{first.severity}] {household}: {first.code}"
    if len(batch) > 1:
        title += f" and {len(batch) - 1} more"
    lines = [one.line() for one in ranked[:LINES]]
    if len(ranked) > LINES:
        lines.append(f"... and {len(ranked) - LINES} more; `gateway alerts` shows them all")
    if dropped:
        lines.append(f"{dropped} alerts before these were dropped: `gateway alerts` shows them")
    return title, "\n".join(lines)


class Alerts:
    """Read the news and hand its alerts to every courier."""

    def __init__(self, redis: Redis, keys: Keys, couriers: Sequence[Courier], folder: Path) -> None:
        self.couriers = couriers
        self._redis = redis
        self._keys = keys
        self._path = folder / CURSOR
        self._kept = ""
        for courier in couriers:
            courier.on_delivered = self._keep

    async def run(self) -> None:
        """Read and carry, until cancelled; Redis may come and go."""
        reading = asyncio.ensure_future(self._read())
        carrying = [asyncio.ensure_future(courier.run()) for courier in self.couriers]
        try:
            await asyncio.gather(reading, *carrying)
        finally:
            for task in (reading, *carrying):
                task.cancel()
            await asyncio.gather(reading, *carrying, return_exceptions=True)
            self._keep()

    async def _read(self) -> None:
        after = ""
        while True:
            try:
                after = after or await self._begin()
                streams: Any = {self._keys.news: after}
                answer: Any = await self._redis.xread(streams, count=PAGE, block=BLOCK_MS)
            except (*GONE, ResponseError) as error:
                log.warning("alerts wait for Redis (%s)", type(error).__name__)
                await asyncio.sleep(1)
                continue
            for _, rows in answer or ():
                for entry_id, row in rows:
                    after = entry_id.decode()
                    notice = read_notice(after, row.get(b"d", b""))
                    if notice is not None:
                        for courier in self.couriers:
                            courier.put(notice)
            self._keep()

    async def _begin(self) -> str:
        """Return where to begin: behind what was delivered to all, at most a day back, or about now."""
        seconds, _ = await self._redis.time()
        now_ms = int(seconds) * 1000
        known = _delivered(self._path)
        for courier in self.couriers:
            fresh = f"{now_ms - JUST_NOW_MS}-0"
            courier.delivered = max(known.get(courier.name, fresh), f"{now_ms - OLDEST_MS}-0", key=_place)
        return min((courier.delivered for courier in self.couriers), key=_place)

    def _keep(self) -> None:
        """Remember what was delivered to whom, when that has changed."""
        text = json.dumps({courier.name: courier.delivered for courier in self.couriers})
        if text == self._kept:
            return
        self._kept = text
        try:
            part = self._path.with_suffix(".part")
            part.write_text(text + "\n", encoding="utf-8")
            part.replace(self._path)
        except OSError as problem:
            log.warning("%s: %s", self._path, problem.strerror)


def _delivered(path: Path) -> dict[str, str]:
    """Read what was delivered before; nothing when the file is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = {str(name): str(entry_id) for name, entry_id in found.items()}
        for entry_id in known.values():
            _place(entry_id)
    except (OSError, ValueError, AttributeError):
        return {}
    return known


def _place(entry_id: str) -> tuple[int, int]:
    """Return a stream id as numbers; raises ValueError when it is none."""
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)


def make_senders(urls: Mapping[str, SecretStr]) -> dict[str, Send]:
    """Return what delivers to each address; raises `ConfigError` naming the key, never the address."""
    if not urls:
        return {}
    try:
        import apprise  # noqa: PLC0415 - an optional extra, loaded when somebody is to be told
    except ImportError:
        text = "alerts.urls: the library apprise is not installed; pip install 'rebalance-gateway[alerts]'"
        raise ConfigError(text) from None
    silent = logging.getLogger("apprise")
    silent.setLevel(logging.CRITICAL + 1)
    silent.propagate = False
    kinds = {
        "info": apprise.NotifyType.INFO,
        "warning": apprise.NotifyType.WARNING,
        "critical": apprise.NotifyType.FAILURE,
    }
    made: dict[str, Send] = {}
    for name, url in urls.items():
        address = apprise.Apprise()
        if not address.add(url.get_secret_value()):
            text = "is no address that apprise knows; see its documentation, and set it in the environment"
            raise ConfigError(f"alerts.urls.{name}: {text}")

        def send(title: str, body: str, severity: str, address: apprise.Apprise = address) -> bool:
            return bool(address.notify(body, title, kinds[severity]))

        made[name] = send
    return made


def make_alerts(
    redis: Redis, keys: Keys, section: AlertsSection, folder: Path, monotonic: Callable[[], float]
) -> Alerts | None:
    """Return the reader of alerts as configured, None when nobody is to be told."""
    senders = make_senders(section.urls)
    couriers = [
        Courier(name, keys.household, send, section, monotonic) for name, send in sorted(senders.items())
    ]
    return Alerts(redis, keys, couriers, folder) if couriers else None
