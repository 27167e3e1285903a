"""Reconciliation: what TWS has, from all its answers together; "no answer" is never "nothing".

Rules of this room:
1. One round is: this client's open orders, everybody's, the day's executions, the completed orders; after a
   connect positions, too. One at a time. A round that lacks an End raises `NoAnswer` and says nothing.
   So does one in which TWS was without IBKR: what it shows then is what it remembers.
2. An order is absent when a whole round does not hold it. One TWS had acknowledged and now does not hold is
   told as unknown, which stops its account; one that never was may be sent again, by the engine alone.
3. IBKR forgets over night: an order that was sent on an earlier day is not called certainly unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from adapters.ibkr import said
from adapters.ibkr.changes import came_back
from adapters.ibkr.ids import Ids
from adapters.ibkr.known import Known, Life
from adapters.ibkr.ledger import Ledger
from adapters.ibkr.line import Interrupted, Line, NoAnswer, Refused
from adapters.ibkr.outbox import Outbox
from adapters.ibkr.outcomes import Outcome
from adapters.ibkr.pace import Urgency
from adapters.ibkr.settings import IbkrSettings


class Asking:
    """Ask TWS about orders and tell the gateway what comes back."""

    def __init__(
        self, settings: IbkrSettings, ledger: Ledger, ids: Ids, outbox: Outbox,
        carry: Callable[[list[Outcome]], None], now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._ledger = ledger
        self._ids = ids
        self._outbox = outbox
        self._carry = carry
        self._now = now
        self._one_at_a_time = asyncio.Lock()

    async def round(self, line: Line) -> None:
        """Ask for all orders and executions; raises `NoAnswer`, and the line is given up."""
        async with self._one_at_a_time:
            await self._round(line)

    async def positions(self, line: Line) -> list[said.PositionSaid]:
        """Ask for all positions; raises `NoAnswer`, and the line is given up."""
        try:
            found = await line.ask_alone(said.POSITIONS_END, line.tws.ask_positions, self._timeout_s)
            line.say(line.tws.end_positions)  # the socket may break behind the answer's last message
        except NoAnswer as problem:
            line.close(str(problem))
            raise
        return [one for one in found if isinstance(one, said.PositionSaid)]

    async def about(self, refs: Sequence[str], line: Line) -> set[str]:
        """Ask about orders and tell how each stands; return those TWS does not have; raises `NoAnswer`."""
        async with self._one_at_a_time:
            asked_at = self._ledger.clock
            await self._round(line)
            seen = self._ledger.seen
            absent = set()
            for ref in refs:
                known = self._ledger.find(ref)
                if known is None:
                    continue
                is_open, is_over = ref in seen[said.OPEN_END], ref in seen[said.COMPLETED_END]
                self._ledger.confirm(ref, is_open=is_open, is_over=is_over)
                if known.shown_again_at > asked_at and known.is_cancelled:
                    self._carry([came_back(known)])
                if self._is_found(known, asked_at, is_open=is_open, is_over=is_over):
                    self._carry(self._ledger.state(ref, asyncio.get_running_loop().time()))
                else:
                    absent.add(ref)
            return absent

    def tell_absent(self, ref: str) -> None:
        """Tell that TWS does not have an order."""
        is_old = self._ids.may_be_forgotten(ref, self._now())
        self._ledger.absent(ref)
        self._outbox.unknown(ref, is_certain=not is_old)

    # The inside.

    @property
    def _timeout_s(self) -> float:
        return self._settings.answer_timeout_s

    def _is_found(self, known: Known, asked_at: int, *, is_open: bool, is_over: bool) -> bool:
        """Say whether TWS has an order, or has told how it ended."""
        return is_open or is_over or known.life is Life.OVER or known.heard_at > asked_at

    async def _round(self, line: Line) -> None:
        for found in self._ledger.seen.values():
            found.clear()
        tws, timeout_s, outages = line.tws, self._timeout_s, line.outages
        if line.is_cut_off:
            raise Interrupted("TWS has lost IBKR")
        try:
            await line.ask_alone(said.OPEN_END, tws.ask_open, timeout_s)
            self._ledger.others.begin()
            await line.ask_alone(said.OPEN_END, tws.ask_all_open, timeout_s)
            self._ledger.others.end()
            await line.ask(said.EXECUTIONS_END, Urgency.QUESTION, tws.ask_executions, timeout_s)
            await line.ask_alone(said.COMPLETED_END, tws.ask_completed, timeout_s)
        except (NoAnswer, Refused) as problem:
            line.close(str(problem))
            raise NoAnswer(str(problem)) from None
        if outages != line.outages:
            raise Interrupted("TWS lost IBKR while it answered")
