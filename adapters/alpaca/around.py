"""Looking around: what the stream does not say, or may have failed to say.

Rules of this room:
1. An order of which the stream says nothing for a while is asked about; when the venue has news of it, the
   stream is mute, and is connected anew.
2. Open orders are compared every `poll_s`, whatever the stream says.
3. A position is stated when nothing is open and nothing was heard between question and answer; activities are
   stated before positions, so that a split is known before its new quantity.
4. Buying power is stated when it has changed, nothing is open, and every sale is some time ago: its proceeds
   may take a moment.
5. Positions in what is no instrument of ours are somebody else's business: they are named once, in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.alpaca.asking import Asking
from adapters.alpaca.assets import Assets
from adapters.alpaca.calls import Calls, Urgency
from adapters.alpaca.client import NoAnswer
from adapters.alpaca.codec import Unreadable, decimal_of, decimal_or_none, filled_qty
from adapters.alpaca.memory import SOLD_S, Memory
from adapters.alpaca.outbox import Outbox
from adapters.alpaca.settings import AlpacaSettings
from adapters.base import NotSent
from gateway.domain.order import ZERO

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
TICK_S = 0.25
POSITIONS_S = 5.0
DAYS_BACK, FIRST_DAYS_BACK = 7, 30
"""Activities of so many days are asked for, of more when this process asks first: it may have been away."""
ASSETS_S = 3600.0
PAGE, MAX_PAGES = 100, 50
SETTLE_S = 1.0
"""What the venue says before the stream does is no news yet."""


class Around:
    """Compare orders, positions, activities and assets with what was told."""

    def __init__(
        self, settings: AlpacaSettings, calls: Calls, memory: Memory, outbox: Outbox, asking: Asking,
        assets: Assets, now: Callable[[], datetime], reconnect: Callable[[str], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._calls = calls
        self._memory = memory
        self._outbox = outbox
        self._asking = asking
        self._assets = assets
        self._now = now
        self._reconnect = reconnect
        self._expected: dict[str, float] = {}
        self._stated: dict[str, Decimal] = {}
        self._touched: set[str] = set(settings.symbols)
        self._activities: set[str] = set()
        self._strange: set[str] = set()
        self._days_back = FIRST_DAYS_BACK
        self._power: Decimal | None = None
        self._next_poll = 0.0

    def went_up(self) -> None:
        """Leave comparing orders to the look-ups that every connection begins with."""
        self._next_poll = asyncio.get_running_loop().time() + self._settings.poll_s

    def expect(self, cl_ord_id: str) -> None:
        """Expect the stream to say something of an order soon."""
        self._expected[cl_ord_id] = asyncio.get_running_loop().time() + self._settings.mute_after_s

    def heard(self, cl_ord_id: str, symbol: str) -> None:
        """Note that it has, or that somebody has asked."""
        self._expected.pop(cl_ord_id, None)
        self._touched.add(symbol)

    async def follow(self) -> None:
        """Look around for ever, beginning now."""
        loop = asyncio.get_running_loop()
        next_activities = next_positions = next_assets = loop.time()
        is_due = False
        while True:
            now = loop.time()
            try:
                await self._check_expected(now)
                await self._assets.ask_doubted()
                if now >= next_assets:
                    next_assets = now + ASSETS_S
                    await self._assets.ask()
                if now >= next_activities:
                    next_activities = now + self._settings.activities_s
                    await self._state_activities()
                    await self._state_power(now)
                    is_due = True
                if is_due or (self._touched and now >= next_positions):
                    next_positions, is_due = now + POSITIONS_S, False
                    await self._state_positions()
                if now >= self._next_poll:
                    self._next_poll = now + self._settings.poll_s
                    await self._compare_orders()
            except (NotSent, NoAnswer) as problem:
                log.info("%s: looking around: %s", self._settings.name, problem)
            except Unreadable as problem:
                self._outbox.unreadable("", str(problem))
            await asyncio.sleep(TICK_S)

    # Orders.

    async def _check_expected(self, now: float) -> None:
        late = [name for name, due in self._expected.items() if due <= now]
        for name in late:
            self._expected.pop(name, None)
        if late and await self._asking.about(late):
            await self._reconnect(f"mute: nothing of {len(late)} orders came, but the venue has news of them")

    async def _compare_orders(self) -> None:
        """Ask about every order that has moved on without a word."""
        ours = dict(self._memory.open())
        if not ours:
            return
        asked_at = self._memory.clock
        theirs = {str(one.get("id")): one for one in await self._asking.open_orders()}
        moved = [
            name
            for name, seen in ours.items()
            if (still := theirs.get(seen.order_id)) is None or filled_qty(still) != seen.told
        ]
        if moved:
            await asyncio.sleep(SETTLE_S)
            moved = [name for name in moved if self._memory.of(name).heard_at <= asked_at]
        if moved and await self._asking.about(moved):
            await self._reconnect(f"mute: {len(moved)} orders moved on without a word")

    # The account.

    async def _state_positions(self) -> None:
        if self._memory.has_open() or not self._settings.compare_positions:
            return
        clock, touched = self._memory.clock, set(self._touched)
        answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/positions")
        if not answer.is_good or not isinstance(answer.body, list):
            return
        if clock != self._memory.clock or self._memory.has_open():
            return
        held = {str(one.get("symbol")): decimal_of(one, "qty") for one in answer.body}
        for symbol in self._settings.symbols:
            qty = held.get(symbol, ZERO)
            if symbol in touched or self._stated.get(symbol, ZERO) != qty:
                self._outbox.position(self._settings.account, symbol, qty)
                self._stated[symbol] = qty
        self._touched -= touched
        if strange := sorted(set(held) - set(self._settings.symbols) - self._strange):
            log.warning("%s: positions that are no instruments: %s", self._settings.name, ", ".join(strange))
            self._strange.update(strange)

    async def _state_power(self, now: float) -> None:
        sold_at, clock = self._memory.sold_at, self._memory.clock
        if self._memory.has_open() or (sold_at is not None and now - sold_at < SOLD_S):
            return
        answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/account")
        if not answer.is_good or not isinstance(answer.body, dict):
            return
        power = decimal_or_none(answer.body, "buying_power")
        is_still = clock == self._memory.clock and not self._memory.has_open()
        if power is not None and is_still and power != self._power:
            self._power = power
            self._outbox.power(self._settings.account, power)

    async def _state_activities(self) -> None:
        """State what moved cash or positions without an order in the last days, each once."""
        asked: dict[str, str] = {
            "category": "non_trade_activity", "direction": "asc", "page_size": str(PAGE),
            "after": (self._now() - timedelta(days=self._days_back)).date().isoformat(),
        }  # fmt: skip
        for _ in range(MAX_PAGES):
            answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/account/activities", asked)
            if not answer.is_good or not isinstance(answer.body, list):
                raise NoAnswer(f"activities: {answer.message}")
            page: list[Json] = answer.body
            for row in page:
                self._state_activity(row)
            if len(page) < PAGE:
                self._days_back = DAYS_BACK
                return
            asked["page_token"] = str(page[-1].get("id"))

    def _state_activity(self, row: Json) -> None:
        """State one activity, once; that one was cancelled later is an activity of its own, for a person."""
        name, kind = str(row.get("id", "")), str(row.get("activity_type", ""))
        text, cash = str(row.get("description") or row.get("activity_sub_type") or ""), ZERO
        if row.get("status") == "canceled":
            name, text = f"{name}/canceled", f"canceled at the venue {text}".rstrip()
        else:
            cash = decimal_of(row, "net_amount")
        if kind == "FILL" or not row.get("id") or name in self._activities:
            return
        on = str(row.get("date") or row.get("transaction_time") or "")[:10]
        symbol = str(row.get("symbol") or "")
        qty = decimal_of(row, "qty") if kind in MOVES_UNITS or not cash else ZERO
        self._outbox.activity(
            self._settings.account, name, kind, on, cash=cash, symbol=symbol, qty=qty, text=text
        )
        self._activities.add(name)
        if symbol in self._settings.symbols:
            self._touched.add(symbol)


MOVES_UNITS = frozenset(
    {"SPLIT", "SPIN", "MA", "NC", "REORG", "VOF", "WRM", "ACATS", "JNLS", "OPASN", "OPEXC", "OPEXP", "OPXRC"}
)
"""Activities whose `qty` is units moved; of a dividend in cash it is the units it was paid on."""
