"""Orders and cancels on their way to the venue: once each, and what a refusal means.

Rules of this room:
1. An order is sent once. Whatever leaves its end open (a time-out, a 5xx, a question about it that nobody
   answers) leaves it in doubt; only what certainly never reached the venue is withheld.
2. A refusal that names the id as used is none: the order is there.
3. Two refusals are waited out, once: opposite orders of ours in the way are cancelled, their end awaited; the
   proceeds of a sale that has just filled are awaited where they pay for a buy.
4. A cancel is asked for as often as it takes to be heard: asking twice does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any

from adapters.alpaca import codec
from adapters.alpaca.asking import NOT_FOUND, Asking
from adapters.alpaca.assets import Assets
from adapters.alpaca.calls import TOO_MANY, Calls, Urgency
from adapters.alpaca.client import Answer, NoAnswer
from adapters.alpaca.memory import SOLD_S, Memory
from adapters.alpaca.outbox import Outbox
from adapters.base import NotSent
from gateway.domain.order import Side
from gateway.events import CancelOrder, SendOrder

UNAUTHORIZED, FORBIDDEN = 401, 403
CLIENT_ERROR, SERVER_ERROR = 400, 500
CANCEL_TRIES, CANCEL_PAUSE_S = 4, 0.5
WAY_CLEAR_S, WAY_POLL_S = 10.0, 0.25
"""How long an opposite order of ours may take to end before a refused order is given up."""
POWER_WAIT_S, POWER_POLL_S = 6.0, 1.0
"""A sale's proceeds are awaited for so long, asked for that often."""

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Sending:
    """Send for one account; `unauthorized` is called when the venue refuses the keys."""

    def __init__(
        self, calls: Calls, memory: Memory, outbox: Outbox, asking: Asking, assets: Assets,
        expect: Callable[[str], None], spawn: Spawn, unauthorized: Callable[[], None],
        *, extended_hours: bool,
    ) -> None:  # fmt: skip
        self._calls = calls
        self._memory = memory
        self._outbox = outbox
        self._asking = asking
        self._assets = assets
        self._expect = expect
        self._spawn = spawn
        self._unauthorized = unauthorized
        self._extended_hours = extended_hours
        self._posts: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        self._cancels: dict[str, str] = {}
        self._power: tuple[float, Decimal] | None = None

    def submit(self, wish: SendOrder) -> None:
        """Send one order when its turn comes; one the venue would refuse for its form or asset is refused."""
        spec = wish.order
        try:
            body = codec.order_body(spec, extended_hours=self._extended_hours)
        except codec.Unsendable as problem:
            self._outbox.refused(spec.cl_ord_id, str(problem))
            return
        if refusal := self._assets.refusal(spec):
            self._outbox.refused(spec.cl_ord_id, refusal)
            return
        self._waiting.add(spec.cl_ord_id)
        self._posts[spec.cl_ord_id] = self._spawn(self._post(wish, body))

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; an order that has not left is withheld instead."""
        name = wish.order.cl_ord_id
        if name in self._waiting:
            self.give_back([name], "cancelled before it left")
            return
        self._cancels[name] = wish.cancel_id
        self._spawn(self._cancel(wish))

    def cancel_refused(self, name: str, text: str) -> None:
        """Tell that the venue, having heard a cancel of ours, refuses it after all."""
        if (cancel_id := self._cancels.pop(name, None)) is not None:
            self._outbox.cancel_rejected(cancel_id, name, text)

    def is_waiting(self, name: str) -> bool:
        """Say whether an order has not left yet."""
        return name in self._waiting

    def is_under_way(self, name: str) -> bool:
        """Say whether an order's own answer is still to come."""
        return name in self._posts

    def give_back(self, names: Sequence[str] | None, reason: str, *, is_answer: bool = False) -> None:
        """Withhold orders that have not left, all of them when none are named."""
        for name in sorted(self._waiting) if names is None else names:
            self._waiting.discard(name)
            self._posts.pop(name).cancel()
            self._outbox.withheld(name, reason, is_answer=is_answer)

    # Orders.

    async def _post(self, wish: SendOrder, body: dict[str, Any]) -> None:
        """Send one order once, and find out what became of it."""
        name = wish.order.cl_ord_id
        try:
            answer = await self._send(name, body)
            if answer.status == FORBIDDEN and await self._may_go_now(wish, answer):
                self._waiting.add(name)
                answer = await self._send(name, body)
            if answer.is_good:
                self._adopt(answer, name)
            else:
                await self._not_taken(wish, answer)
        except NotSent as problem:
            self._outbox.withheld(name, str(problem))
        except NoAnswer as problem:
            self._outbox.in_doubt(name, str(problem))
        finally:
            if self._posts.get(name) is asyncio.current_task():
                del self._posts[name]

    async def _send(self, name: str, body: dict[str, Any]) -> Answer:
        """Send it when its turn comes, again when the venue says that this was too often."""
        while True:
            async with self._calls.turn(Urgency.ORDER) as ask:
                self._waiting.discard(name)
                self._memory.send(name)
                answer = await ask("POST", "/orders", body)
                self._memory.send(name)
            if answer.status != TOO_MANY:
                return answer
            self._waiting.add(name)

    def _adopt(self, answer: Answer, name: str) -> None:
        """Take the order the venue shows; the stream has still to speak of it."""
        seen = self._memory.of(name)
        if seen.order_id:
            return
        try:
            report = codec.read_order(answer.body if isinstance(answer.body, dict) else {})
        except codec.Unreadable as problem:
            raise NoAnswer(f"the venue's answer cannot be read: {problem}") from None
        seen.order_id, seen.symbol = report.order_id, report.symbol
        seen.status = str(answer.body.get("status"))
        if not report.cum_qty:
            self._outbox.report(report)
        self._expect(name)

    async def _not_taken(self, wish: SendOrder, answer: Answer) -> None:
        """Decide what a refusal means: none at all when the order is at the venue already."""
        name, text = wish.order.cl_ord_id, answer.message
        if not CLIENT_ERROR <= answer.status < SERVER_ERROR:
            raise NoAnswer(text)
        if answer.status == UNAUTHORIZED:
            self._unauthorized()
            raise NotSent(text)
        if (wish.poss_resend or "unique" in text) and await self._is_there(name, text):
            return
        self._assets.doubt(wish.order.symbol)
        self._outbox.refused(name, text)

    async def _is_there(self, name: str, text: str) -> bool:
        """Say whether the venue has an order it has refused just now, and tell how it stands.

        Raises `NoAnswer`, and nothing else, when nobody can say: the order may be working.
        """
        try:
            found = await self._asking.one(name)
            if found.is_good:
                await self._asking.tell([found.body], self._memory.clock)
                return True
        except NotSent as problem:
            raise NoAnswer(f"{text}; asked about it: {problem}") from None
        if found.status != NOT_FOUND or "unique" in text:
            raise NoAnswer(f"{text}; asked about it: {found.message}")
        return False

    # What stands in an order's way for a moment.

    async def _may_go_now(self, wish: SendOrder, answer: Answer) -> bool:
        """Wait out what keeps the venue from taking an order it has refused; say whether that is over."""
        try:
            return await self._clear_the_way(wish, answer) or await self._is_paid(wish, answer)
        except NoAnswer as problem:
            if wish.poss_resend:
                raise
            raise NotSent(f"{answer.message}; then: {problem}") from None

    async def _clear_the_way(self, wish: SendOrder, answer: Answer) -> bool:
        """Cancel every order of ours on the other side, and wait until they have ended.

        The venue refuses an order that could trade with another of the same account, and names one of them;
        where that is somebody else's, it is left alone.
        """
        if "wash" not in answer.message:
            return False
        named = str(answer.body.get("existing_order_id") or "") if isinstance(answer.body, dict) else ""
        found = await self._opposite(wish)
        ours = {name for name, is_ours in found.items() if is_ours}
        if found.get(named, True) is False or not (named or ours):
            return False
        for other in sorted(ours):
            await self._calls.ask(Urgency.CANCEL, "DELETE", f"/orders/{other}")
        deadline = asyncio.get_running_loop().time() + WAY_CLEAR_S
        while ours and asyncio.get_running_loop().time() < deadline:
            ours &= (await self._opposite(wish)).keys()
            if ours:
                await asyncio.sleep(WAY_POLL_S)
        return not ours

    async def _opposite(self, wish: SendOrder) -> dict[str, bool]:
        """Return the venue's ids of the open orders on an order's other side, and whether each is ours."""
        side = "sell" if wish.order.side is Side.BUY else "buy"
        return {
            str(one.get("id")): codec.is_ours(str(one.get("client_order_id") or ""))
            for one in await self._asking.open_orders(wish.order.symbol)
            if one.get("side") == side
        }

    async def _is_paid(self, wish: SendOrder, answer: Answer) -> bool:
        """Wait for the proceeds of a sale that has just filled: the venue may count them a moment later."""
        sold_at, loop = self._memory.sold_at, asyncio.get_running_loop()
        if wish.order.side is not Side.BUY or "buying power" not in answer.message:
            return False
        if sold_at is None or loop.time() - sold_at > SOLD_S or not isinstance(answer.body, dict):
            return False
        cost = codec.decimal_or_none(answer.body, "cost_basis")
        deadline = loop.time() + POWER_WAIT_S
        while cost is not None and loop.time() < deadline:
            if await self._buying_power() >= cost:
                return True
            await asyncio.sleep(POWER_POLL_S)
        return False

    async def _buying_power(self) -> Decimal:
        """Return the venue's own figure, at most a second old however many buys wait for it."""
        now = asyncio.get_running_loop().time()
        if self._power is None or now - self._power[0] >= POWER_POLL_S:
            self._power = (now, self._power[1] if self._power is not None else Decimal(0))
            answer = await self._calls.ask(Urgency.LOOK_UP, "GET", "/account")
            account = answer.body if answer.is_good and isinstance(answer.body, dict) else {}
            self._power = (now, codec.decimal_or_none(account, "buying_power") or Decimal(0))
        return self._power[1]

    # Cancels.

    async def _cancel(self, wish: CancelOrder) -> None:
        name = wish.order.cl_ord_id
        if (post := self._posts.get(name)) is not None:
            await asyncio.wait({post})  # the venue cannot cancel what has not arrived
        for _ in range(CANCEL_TRIES):
            try:
                answer = await self._ask_cancel(wish)
            except NotSent:
                return
            except NoAnswer:
                await asyncio.sleep(CANCEL_PAUSE_S)
                continue
            if answer.is_good:
                self._expect(name)
                return
            if answer.status < SERVER_ERROR:
                self.cancel_refused(name, answer.message)
                return
            await asyncio.sleep(CANCEL_PAUSE_S)

    async def _ask_cancel(self, wish: CancelOrder) -> Answer:
        order_id = wish.order_id or self._memory.of(wish.order.cl_ord_id).order_id
        if not order_id:
            found = await self._asking.one(wish.order.cl_ord_id)
            if not found.is_good or not isinstance(found.body, dict):
                return found
            order_id = str(found.body.get("id"))
        return await self._calls.ask(Urgency.CANCEL, "DELETE", f"/orders/{order_id}")
