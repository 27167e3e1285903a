"""Positions as TWS counts them, stated where nothing moves.

Rules of this room:
1. A position is stated when no order of the account and symbol is open, nothing was heard of it for a
   moment, and nothing was heard at all between question and answer.
   One that changed without a word is asked about first: its execution may not have been told.
2. On an account another link trades, too, the statement says so: it is about both together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from adapters.ibkr.asking import Asking
from adapters.ibkr.contracts import Contracts
from adapters.ibkr.ledger import Ledger
from adapters.ibkr.line import Line
from adapters.ibkr.outbox import Outbox
from adapters.ibkr.said import PositionSaid
from adapters.ibkr.settings import IbkrSettings
from gateway.domain.order import ZERO

log = logging.getLogger(__name__)

Held = dict[tuple[str, str], Decimal]
"""Units by account and symbol, both by our names."""
QUIET_S = 6.0
"""A position settles within so long after the last word of its symbol; the engine waits a little less."""


class Holdings:
    """State positions of our accounts."""

    def __init__(
        self, settings: IbkrSettings, ledger: Ledger, contracts: Contracts, asking: Asking, outbox: Outbox,
        now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._ledger = ledger
        self._contracts = contracts
        self._asking = asking
        self._outbox = outbox
        self._now = now
        self._stated: Held = {}
        self._moved: dict[str, float] = {}
        self._next = 0.0
        self._clock_s = 0.0
        self._strange: set[str] = set()
        self._seen: Held = {}

    async def begin(self, line: Line) -> None:
        """Ask for positions as part of a reconciliation; all are stated again. Raises `NoAnswer`."""
        self._stated.clear()
        self._seen = await self._ask(line)
        self._next = 0.0

    def moved(self, symbol: str) -> None:
        """Note that something about a symbol was heard just now."""
        if symbol:
            self._moved[symbol] = self._clock_s

    async def state(self, line: Line, now_s: float) -> None:
        """State what is to be stated, now and then; raises `NoAnswer`."""
        self._clock_s = now_s
        settled = [symbol for symbol, at in self._moved.items() if now_s - at >= QUIET_S]
        if not self._settings.compare_positions or (now_s < self._next and not settled):
            return
        self._next = now_s + self._settings.positions_s
        clock, asked_at = self._ledger.clock, self._now()
        held = await self._ask(line)
        if clock != self._ledger.clock:
            self._next = now_s + QUIET_S
            return
        busy = {(one.account, one.symbol) for one in self._ledger.working()}
        before, self._seen = self._seen, held
        if self._is_unexplained(before, held, busy):
            self._next = now_s
            await self._asking.round(line)
            return
        for account in self._settings.accounts:
            for symbol in self._settings.terms:
                place = (account, symbol)
                if place not in busy and (symbol in settled or symbol not in self._moved):
                    self._state(place, held.get(place, ZERO), asked_at, is_due=symbol in settled)
        for symbol in settled:
            if all(symbol != busy_symbol for _, busy_symbol in busy):
                self._moved.pop(symbol, None)

    def _is_unexplained(self, before: Held, held: Held, busy: set[tuple[str, str]]) -> bool:
        """Say whether a position changed without a word: TWS tells others' executions only when asked."""
        return any(
            held.get(place, ZERO) != before.get(place, ZERO)
            for place in {*held, *before} - busy
            if place[1] not in self._moved
        )

    def _state(self, place: tuple[str, str], qty: Decimal, asked_at: datetime, *, is_due: bool) -> None:
        if self._stated.get(place) == qty and not is_due:
            return
        self._stated[place] = qty
        shared = self._settings.shared.get(place[0], ())
        self._outbox.position(*place, qty, shared_with=shared, asked_at=asked_at)

    async def _ask(self, line: Line) -> Held:
        """Return what our accounts hold by our names."""
        held: Held = {}
        for one in await self._asking.positions(line):
            account = self._settings.account_of(one.account)
            symbol = self._contracts.symbol_of(one.con_id, one.symbol, one.sec_type, one.currency)
            if account and symbol in self._settings.terms:
                held[account, symbol] = held.get((account, symbol), ZERO) + one.qty
            elif account and one.qty:
                self._note(one)
        return held

    def _note(self, one: PositionSaid) -> None:
        """Log a position that is no instrument of ours, once."""
        if one.symbol not in self._strange:
            self._strange.add(one.symbol)
            log.warning("%s: a position that is no instrument: %s", self._settings.name, one.symbol)
