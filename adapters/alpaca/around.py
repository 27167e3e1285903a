"""Looking around: what the stream does not say, or may have failed to say.

Rules of this room:
1. An order of which the stream says nothing for a while is asked about; when the venue has news of it, the
   stream is mute, and is connected anew.
2. Open orders are compared now and then, whatever the stream says.
3. A position is stated when nothing is open and nothing was heard between question and answer; activities are
   stated before positions, so that a split is known before its new quantity.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.alpaca.asking import Asking
from adapters.alpaca.calls import Calls, Urgency
from adapters.alpaca.client import NoAnswer
from adapters.alpaca.codec import Unreadable, decimal_of, filled_qty
from adapters.alpaca.memory import Memory
from adapters.alpaca.outbox import Outbox
from adapters.alpaca.settings import AlpacaSettings
from adapters.base import NotSent
from gateway.domain.order import ZERO

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
TICK_S = 0.25
POSITIONS_S = 5.0
DAYS_BACK = 7
PAGE, MAX_PAGES = 100, 50
EACH_ALONE = 20
"""So many assets are asked for one by one, more with one long answer for all."""


class Around:
    """Compare orders, positions, activities and assets with what was told."""

    def __init__(
        self, settings: AlpacaSettings, calls: Calls, memory: Memory, outbox: Outbox, asking: Asking,
        now: Callable[[], datetime], reconnect: Callable[[str], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._calls = calls
        self._memory = memory
        self._outbox = outbox
        self._asking = asking
        self._now = now
        self._reconnect = reconnect
        self._expected: dict[str, float] = {}
        self._stated: dict[str, Decimal] = {}
        self._touched: set[str] = set(settings.symbols)
        self._activities: set[str] = set()
        self._untradable: dict[str, str] = {}
        self._whole_only: set[str] = set()
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

    def refusal(self, symbol: str, qty: Decimal) -> str:
        """Say why the venue would not take an order for an asset; empty when it would, or nobody knows."""
        if symbol in self._untradable:
            return self._untradable[symbol]
        if symbol in self._whole_only and qty != qty.to_integral_value():
            return f"{symbol} is not fractionable; set its lot_size to 1"
        return ""

    async def follow(self) -> None:
        """Look around for ever, beginning now."""
        loop = asyncio.get_running_loop()
        next_activities = next_positions = next_assets = loop.time()
        while True:
            now = loop.time()
            try:
                await self._check_expected(now)
                if now >= next_assets:
                    next_assets = now + 3600
                    await self._ask_assets()
                if now >= next_activities:
                    next_activities = now + self._settings.activities_s
                    await self._state_activities()
                if self._touched and now >= next_positions:
                    next_positions = now + POSITIONS_S
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
        if not late:
            return
        for name in late:
            self._expected.pop(name, None)
        if await self._asking.about(late):
            await self._reconnect(f"mute: nothing of {len(late)} orders came, but the venue has news of them")

    async def _compare_orders(self) -> None:
        """Ask about every order that may have moved on without a word."""
        ours = dict(self._memory.open())
        if not ours:
            return
        asked_at = self._memory.clock
        theirs = {str(one.get("id")): one for one in await self._asking.open_orders()}
        moved = []
        for name, seen in ours.items():
            still = theirs.get(seen.order_id)
            if seen.heard_at <= asked_at and (still is None or filled_qty(still) != seen.told):
                moved.append(name)
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
        known = set(self._settings.symbols)
        if strange := sorted(set(held) - known - set(self._stated)):
            log.warning("%s: positions that are no instruments: %s", self._settings.name, ", ".join(strange))
        for symbol in sorted((known | set(self._stated)) & (touched | set(held))):
            qty = held.get(symbol, ZERO)
            if symbol in touched or self._stated.get(symbol) != qty:
                self._outbox.position(self._settings.account, symbol, qty)
        self._stated.update(held)
        self._touched -= touched

    async def _state_activities(self) -> None:
        """State what moved cash or positions without an order in the last days, each once."""
        asked: dict[str, str] = {
            "category": "non_trade_activity", "direction": "asc", "page_size": str(PAGE),
            "after": (self._now() - timedelta(days=DAYS_BACK)).date().isoformat(),
        }  # fmt: skip
        for _ in range(MAX_PAGES):
            answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/account/activities", asked)
            page: list[Json] = answer.body if answer.is_good and isinstance(answer.body, list) else []
            for row in page:
                self._state_activity(row)
            if len(page) < PAGE:
                return
            asked["page_token"] = str(page[-1].get("id"))

    def _state_activity(self, row: Json) -> None:
        name, kind = str(row.get("id", "")), str(row.get("activity_type", ""))
        if kind == "FILL" or not name or name in self._activities:
            return
        on, symbol = (
            str(row.get("date") or row.get("transaction_time") or "")[:10],
            str(row.get("symbol") or ""),
        )
        qty = decimal_of(row, "qty") if kind in MOVES_UNITS or "net_amount" not in row else ZERO
        self._outbox.activity(
            self._settings.account, name, kind, on, cash=decimal_of(row, "net_amount"),
            symbol=symbol, qty=qty, text=str(row.get("description") or ""),
        )  # fmt: skip
        self._activities.add(name)
        self._touched.add(symbol) if symbol in self._settings.symbols else None

    async def _ask_assets(self) -> None:
        """Learn which of our instruments the venue trades, and which in fractions."""
        symbols = self._settings.symbols
        if len(symbols) <= EACH_ALONE:
            found = [await self._asset(f"/assets/{symbol}") for symbol in symbols]
            assets: Iterable[Json] = [one for one in found if one is not None]
        else:
            answer = await self._calls.ask(
                Urgency.LOOK_AROUND, "GET", "/assets", {"asset_class": "us_equity"}
            )
            assets = answer.body if answer.is_good and isinstance(answer.body, list) else []
        for asset in assets:
            self._note(asset)

    async def _asset(self, path: str) -> Json | None:
        answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", path)
        return answer.body if answer.is_good and isinstance(answer.body, dict) else None

    def _note(self, asset: Json) -> None:
        symbol, status = str(asset.get("symbol")), str(asset.get("status"))
        if symbol not in self._settings.symbols:
            return
        self._untradable.pop(symbol, None)
        self._whole_only.discard(symbol)
        if status == "inactive" or asset.get("tradable") is False:
            self._untradable[symbol] = f"the venue does not trade {symbol} (status {status})"
        if asset.get("fractionable") is False:
            self._whole_only.add(symbol)


MOVES_UNITS = frozenset(
    {"SPLIT", "SPIN", "MA", "NC", "REORG", "VOF", "ACATS", "JNLS", "OPASN", "OPEXP", "OPXRC"}
)
"""Activities whose `qty` is units moved; of a dividend it is the units it was paid on."""
