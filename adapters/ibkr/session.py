"""The connection's life: connect, reconcile, be up, notice that it is gone, and begin again.

Rules of this room:
1. The link is up while the socket stands, TWS has IBKR, a whole reconciliation has been answered since the
   last break of either, and no planned restart is near. Only then may anything be sent.
2. Being down is told once, whatever repeats it for hours; messages that come meanwhile all count. A planned
   restart that is not over when its time is gets told once more: a person may have to log in.
3. A client id somebody else holds is not fought for: we wait, then take the spare one, if there is one.
4. A line that answers nothing is dead, however open its socket is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random

from adapters.ibkr import said
from adapters.ibkr.codes import SOCKET_RESET, Action, row_of, words
from adapters.ibkr.library import ConnectFailed
from adapters.ibkr.line import Interrupted, Line, NoAnswer
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.pauses import planned
from adapters.ibkr.ports import Ports
from adapters.ibkr.settings import IbkrSettings

log = logging.getLogger(__name__)

TICK_S = 0.1
BACKOFF_S = (0.2, 15.0)
LATE = timedelta(seconds=30)
"""A planned restart may take so much longer than written before somebody is told."""
ASKED_ANEW_S = 300.0
"""TWS may never say that it has IBKR again; but whoever connects is told when it has not."""
STEADY_S = 10.0
"""A connection that did not even last so long is no reason to hurry to the next one."""
DOUBLED = 20
"""A pause is doubled so often at most: after some hours of tries the number would be none any more."""
ID_PAUSE_S = 5.0
ID_TRIES = 3
ID_IN_USE = 326


class Session:
    """Keep one link to TWS; the callbacks are the broker's."""

    def __init__(
        self, settings: IbkrSettings, pace: Pace, ports: Ports, now: Callable[[], datetime],
        make_line: Callable[[], Line], hear: Callable[[said.Said], None],
        reconcile: Callable[[Line], Awaitable[None]], work: Callable[[Line], Awaitable[None]],
        changed: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._pace = pace
        self._now = now
        self._make_line = make_line
        self._hear = hear
        self._reconcile = reconcile
        self._work = work
        self._changed = changed
        self._ports = ports
        self._jitter = Random(settings.name)  # noqa: S311 - only spreads reconnects
        self._is_cut_off = False
        self._must_reconcile = True
        self._id_tries = 0
        self.client_id = settings.client_id
        self.line: Line | None = None
        self.is_up = False
        self._has_told = self._is_planned = False
        self._planned_at = now()
        self._cut_off_at = 0.0
        self._reason = self._outage = ""

    async def run(self) -> None:
        """Stay connected until cancelled."""
        tries, loop = 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            was_up, reason = await self._once()
            self._go_down(reason)
            is_steady = was_up and loop.time() - began >= STEADY_S
            tries = 0 if is_steady else tries + 1
            first, most = BACKOFF_S
            pause_s = ID_PAUSE_S if self._id_tries else min(first * 2 ** min(tries, DOUBLED), most)
            await asyncio.sleep(pause_s * self._jitter.uniform(0.5, 1.0))

    def take(self, message: said.Said) -> None:
        """Take what is about the connection itself."""
        if not isinstance(message, said.ErrorSaid):
            return
        match row_of(message.code).action:
            case Action.CUT_OFF:
                if not self._is_cut_off:
                    self._cut_off_at = asyncio.get_running_loop().time()
                self._is_cut_off, self._outage = True, words(message.code, message.text)
                self._go_down(self._outage)
            case Action.RESTORED:
                self._is_cut_off, self._must_reconcile = False, True
                self._go_down(words(message.code, message.text))
            case Action.RECONNECT if message.req_id < 0 and self.line is not None:
                if message.code == SOCKET_RESET:
                    self._ports.move(message.text)
                self.line.close(words(message.code, message.text))
            case Action.TOO_FAST:
                self._pace.slow_down()
                log.warning("%s: %s", self._settings.name, words(message.code, message.text))
            case Action.FARM_BROKEN | Action.PRICES:
                log.warning("%s: %s", self._settings.name, words(message.code, message.text))
            case _:
                pass
        if self.line is not None:
            self.line.stir.set()

    def close(self) -> None:
        """Hang up."""
        if self.line is not None:
            self.line.close("the gateway stops")

    # The inside.

    async def _once(self) -> tuple[bool, str]:
        """Live through one connection; return whether it was ever up, and why it ended."""
        line, port = self._make_line(), self._ports.now
        try:
            await line.connect(self._settings.host, port, self.client_id, self._settings.connect_timeout_s)
        except ConnectFailed as problem:
            line.close(str(problem))
            line.drain(self._hear)  # it may have said why, and what a person can do about it
            self._after_refusal(str(problem), port)
            return False, str(problem)
        self._id_tries = 0
        self.line, self._must_reconcile, self._is_cut_off = line, True, False
        listening = asyncio.ensure_future(line.take(self._hear))
        was_up = False
        try:
            while not line.lost and not listening.done():
                was_up |= await self._turn(line)
                line.stir.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await line.stir.wait()
            if listening.done():
                listening.result()
        finally:
            line.close("the connection is made anew")
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            line.drain(self._hear)
            self.line = None
        return was_up, line.lost

    async def _turn(self, line: Line) -> bool:
        """Do what is to be done now; return whether the link is up."""
        try:
            pause = planned(self._settings.restarts, self._now())
            if pause:
                self._must_reconcile = True
                self._go_down(pause, is_planned=True)
            elif self._is_cut_off:
                self._go_down(self._outage)
                if asyncio.get_running_loop().time() - self._cut_off_at > ASKED_ANEW_S:
                    line.close("TWS has not said for long that it has IBKR again: it is asked anew")
            else:
                if self._must_reconcile:
                    self._must_reconcile = False
                    await self._reconcile(line)
                if not (self.is_up or self._must_reconcile or line.lost) and not self._cut_off():
                    self.is_up = True
                    self._changed("")
            await self._work(line)
            await self._feel(line)
        except Interrupted:
            self._must_reconcile = True
        except NoAnswer as problem:
            self._must_reconcile = True
            line.close(str(problem))
        return self.is_up

    def _cut_off(self) -> bool:
        return self._is_cut_off

    async def _feel(self, line: Line) -> None:
        """Ask for a sign of life where there has been none for a while."""
        silent_s = asyncio.get_running_loop().time() - line.last_heard
        if silent_s < self._settings.heartbeat_s:
            return
        await self._pace.turn(Urgency.QUESTION)
        line.say(line.tws.ask_time)
        heard_before = line.last_heard
        for _ in range(int(self._settings.answer_timeout_s / TICK_S)):
            await asyncio.sleep(TICK_S)
            if line.last_heard > heard_before or line.lost:
                return
        raise NoAnswer("the line is silent")

    def _go_down(self, reason: str, *, is_planned: bool = False) -> None:
        """Tell once that the link is down, and once more when a planned restart has not ended in time."""
        now = self._now()
        if is_planned or planned(self._settings.restarts, now):
            self._planned_at = now
        is_late = self._is_planned and now - self._planned_at > LATE
        if self.is_up or not self._has_told or is_late:
            self.is_up, self._has_told, self._is_planned = False, True, is_planned
            self._changed(reason)
        elif reason != self._reason:
            log.info("%s: still down: %s", self._settings.name, reason)
        self._reason = reason

    def _after_refusal(self, reason: str, port: int) -> None:
        """Count how often our client id was in use, and change to the spare one after a while."""
        if not reason.startswith(str(ID_IN_USE)):
            self._id_tries = 0
            self._ports.fail(port)
            return
        self._id_tries += 1
        log.warning("%s: client id %d: %s", self._settings.name, self.client_id, words(ID_IN_USE, ""))
        spare = self._settings.spare_client_id
        if self._id_tries >= ID_TRIES and spare:
            self.client_id = spare if self.client_id != spare else self._settings.client_id
            self._id_tries = 0
