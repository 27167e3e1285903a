"""Alpaca as a `Broker`: an order leaves once, and whatever happens to the answer, its end is found out.

Rules of this room:
1. Every order carries our ClOrdID(11) as client_order_id, which the venue takes once, for ever. So an order
   may be asked about by it, and sent again under it, and never becomes two.
2. Nothing certain came back (time-out, reset, 5xx): the order is in doubt and the engine has it looked up. A
   4xx is a refusal, unless it says that the id is in use: then the order is there.
3. The stream's fills are told as they come; after each break every open order is asked about, and totals
   tell what was missed. Two sources, one order: totals only grow.
4. Wrong keys end the gateway with a sentence, for no second try will help.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

from adapters.alpaca import codec
from adapters.alpaca.around import Around
from adapters.alpaca.asking import NOT_FOUND, Asking
from adapters.alpaca.calls import TOO_MANY, Calls, Urgency
from adapters.alpaca.client import Answer, NoAnswer, RestClient
from adapters.alpaca.memory import Memory
from adapters.alpaca.outbox import Outbox
from adapters.alpaca.settings import AlpacaSettings
from adapters.alpaca.stream import KeysRefused, TradeStream
from adapters.base import BrokerEvent, Capabilities, NotSent
from gateway.domain.life import TAKES_BACK
from gateway.errors import ConfigError
from gateway.events import CancelOrder, LookUpOrder, SendOrder

log = logging.getLogger(__name__)

UNAUTHORIZED, FORBIDDEN, UNPROCESSABLE = 401, 403, 422
SERVER_ERROR = 500
CANCEL_TRIES, CANCEL_PAUSE_S = 4, 0.5
WAY_CLEAR_S, WAY_POLL_S = 10.0, 0.25
"""How long an opposite order of ours may take to end before a refused order is given up."""
RETRY_S = 2.0
GRACE_S = 5.0
"""How long the stream may be away before the link counts as down."""
HEAL_TRIES, HEAL_PAUSE_S = 5, 1.0


class AlpacaBroker:
    """Carry orders to one Alpaca account; `now` is the gateway's clock."""

    def __init__(self, settings: AlpacaSettings, now: Callable[[], datetime]) -> None:
        self.name = settings.name
        self.capabilities = Capabilities(
            refuses_duplicate_client_id=True, can_look_up=True, replays_executions=False, fractional=True,
            orders_per_s=0,
        )  # fmt: skip
        self._settings = settings
        self._now = now
        self._memory = Memory()
        self._outbox = Outbox(self.name, now)
        self._is_up = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._posts: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        self._asked: set[str] = set()
        self._losing: asyncio.TimerHandle | None = None

    async def start(self, after_seq: int) -> None:
        """Connect in the background; places go on behind `after_seq`."""
        one = self._settings
        self._outbox = Outbox(self.name, self._now, after_seq)
        self._calls = Calls(RestClient(one.key, one.secret, one.url), one.requests_per_min, time.time)
        self._asking = Asking(self._calls, self._memory, self._outbox)
        self._stream = TradeStream(
            one.key, one.secret, one.stream_url,
            went_up=self._went_up, went_down=self._went_down, take=self._take,
        )  # fmt: skip
        self._around = Around(
            one, self._calls, self._memory, self._outbox, self._asking, self._now, self._reconnect
        )
        self._spawn(self._run())

    async def stop(self) -> None:
        """End every task and thread; orders that have not left are told so."""
        self._give_back(list(self._waiting), "the gateway stops")
        if self._losing is not None:
            self._losing.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if hasattr(self, "_calls"):
            self._calls.close()
        self._outbox.close()

    async def events(self) -> AsyncIterator[Sequence[BrokerEvent]]:
        """Yield what happened, in order, until `stop`; raises `ConfigError` when the keys are refused."""
        async for batch in self._outbox.batches():
            yield batch

    def acknowledge(self, link_seq: int) -> None:
        """Nothing is kept: a successor asks the venue."""

    def submit(self, wish: SendOrder) -> None:
        """Hand one order over; raises `NotSent` when the link is down."""
        spec = wish.order
        if not self._is_up:
            raise NotSent(f"link {self.name} is down")
        try:
            body = codec.order_body(spec, extended_hours=self._settings.extended_hours)
        except codec.Unsendable as problem:
            self._outbox.refused(spec.cl_ord_id, str(problem))
            return
        if refusal := self._around.refusal(spec.symbol, spec.order_qty):
            self._outbox.refused(spec.cl_ord_id, refusal)
            return
        self._waiting.add(spec.cl_ord_id)
        self._posts[spec.cl_ord_id] = self._spawn(self._post(wish, body))

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; raises `NotSent` when the link is down."""
        if not self._is_up:
            raise NotSent(f"link {self.name} is down")
        self._spawn(self._cancel(wish))

    def look_up(self, wish: LookUpOrder) -> None:
        """Ask about an order with the next `flush`; one that has not left is answered for at once."""
        cl_ord_id = wish.order.cl_ord_id
        if cl_ord_id in self._waiting:
            self._give_back([cl_ord_id], "it had not left yet", is_answer=True)
        elif cl_ord_id not in self._posts:  # otherwise its own answer is on the way
            self._asked.add(cl_ord_id)

    def recall(self, account: str, reason: str) -> None:
        """Give back what has not left of an account's orders (of all when empty), as `SendWithheld`."""
        if account in ("", self._settings.account):
            self._give_back(list(self._waiting), reason)

    def flush(self) -> None:
        """Ask what `look_up` has gathered."""
        if self._asked:
            asked, self._asked = self._asked, set()
            self._spawn(self._look_up(asked))

    # Connecting.

    async def _run(self) -> None:
        """Check the keys, then follow the stream until cancelled."""
        keys = f"links.{self.name}: Alpaca refuses the keys"
        try:
            await self._check_keys()
            self._spawn(self._around.follow())
            await self._stream.follow()
        except KeysRefused:
            key = f"GATEWAY_LINKS__{self.name.upper()}__KEY"
            text = f"{keys}; set {key} and its SECRET, and mind that paper and live have keys of their own"
            raise ConfigError(text) from None

    async def _check_keys(self) -> None:
        """Ask for the account until there is an answer."""
        while True:
            try:
                answer = await self._calls.ask(Urgency.LOOK_AROUND, "GET", "/account")
            except (NotSent, NoAnswer) as problem:
                log.warning("%s: cannot reach the venue: %s", self.name, problem)
            else:
                if answer.status in (UNAUTHORIZED, FORBIDDEN):
                    raise KeysRefused
                if answer.is_good:
                    self._look_at(answer)
                    return
                log.warning("%s: the venue does not show the account: %s", self.name, answer.message)
            await asyncio.sleep(RETRY_S)

    def _look_at(self, answer: Answer) -> None:
        """Say what about the account will stop orders."""
        blocks = ("account_blocked", "trading_blocked", "trade_suspended_by_user")
        if found := [
            name for name in blocks if isinstance(answer.body, dict) and answer.body.get(name) is True
        ]:
            log.warning("%s: the venue will refuse orders: %s", self.name, ", ".join(found))

    async def _went_up(self) -> None:
        """Find out what happened meanwhile: we do after a short break, the engine after a long one."""
        self._around.went_up()
        if self._losing is not None:
            self._losing.cancel()
            self._losing = None
            self._spawn(self._heal())
        elif not self._is_up:
            self._is_up = True
            self._outbox.up()

    def _went_down(self, reason: str) -> None:
        """Hold the link for a moment: orders leave and cancels work without the stream."""
        if self._is_up and self._losing is None:
            log.info("%s: the stream broke: %s", self.name, reason)
            self._losing = asyncio.get_running_loop().call_later(GRACE_S, self._lose, reason)
        elif not self._is_up:
            log.warning("%s: no stream: %s", self.name, reason)

    def _lose(self, reason: str) -> None:
        """Give the link up until the stream is there again."""
        self._losing = None
        self._is_up = False
        self._give_back(list(self._waiting), "the stream is gone")
        self._outbox.down(reason)

    async def _heal(self) -> None:
        """Ask about every order that may have moved while the stream was away."""
        for _ in range(HEAL_TRIES):
            try:
                await self._asking.about([name for name, _ in self._memory.open()])
            except (NotSent, NoAnswer) as problem:
                log.info("%s: asked what was missed: %s", self.name, problem)
                await asyncio.sleep(HEAL_PAUSE_S)
            else:
                return
        await self._reconnect("nobody says what was missed")

    async def _reconnect(self, reason: str) -> None:
        log.warning("%s: the stream is connected anew: %s", self.name, reason)
        await self._stream.reconnect()

    # Orders.

    async def _post(self, wish: SendOrder, body: dict[str, Any]) -> None:
        """Send one order once, and find out what became of it."""
        name = wish.order.cl_ord_id
        try:
            answer = await self._send(name, body)
            if answer.is_good:
                self._adopt(answer, name)
            else:
                await self._not_taken(wish, body, answer)
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
                answer = await ask("POST", "/orders", body)
            if answer.status != TOO_MANY:
                return answer
            self._waiting.add(name)

    def _adopt(self, answer: Answer, name: str) -> None:
        """Take the order the venue shows; the stream has still to speak of it."""
        if not isinstance(answer.body, dict):
            raise NoAnswer("the venue's answer is no order")
        seen = self._memory.of(name)
        if not seen.order_id:
            try:
                report = codec.read_order(answer.body)
            except codec.Unreadable as problem:
                raise NoAnswer(f"the venue's answer cannot be read: {problem}") from None
            seen.order_id, seen.symbol = report.order_id, report.symbol
            seen.status = str(answer.body.get("status"))
            if not report.cum_qty:
                self._outbox.report(report)
            self._around.expect(name)

    async def _not_taken(self, wish: SendOrder, body: dict[str, Any], answer: Answer) -> None:
        """Decide what a refusal means: none at all when the order is at the venue already."""
        name, text = wish.order.cl_ord_id, answer.message
        if answer.status >= SERVER_ERROR or answer.status < FORBIDDEN - 3:
            raise NoAnswer(text)
        if answer.status == UNAUTHORIZED:
            raise NotSent(text)
        if wish.poss_resend or "unique" in text:
            found = await self._asking.one(name)
            if found.is_good:
                await self._asking.tell([found.body], self._memory.clock)
                return
            if found.status != NOT_FOUND or "unique" in text:
                raise NoAnswer(f"{text}; asked about it: {found.message}")
        if answer.status == FORBIDDEN and await self._clear_the_way(answer):
            self._waiting.add(name)
            answer = await self._send(name, body)
            if answer.is_good:
                self._adopt(answer, name)
                return
            if answer.status >= SERVER_ERROR:
                raise NoAnswer(answer.message)
        self._outbox.refused(name, answer.message)

    async def _clear_the_way(self, answer: Answer) -> bool:
        """Cancel an order of ours on the other side that the venue names, and wait until it has ended.

        The venue refuses an order that could trade with another of the same account; somebody else's
        order is left alone.
        """
        other = answer.body.get("existing_order_id") if isinstance(answer.body, dict) else None
        if not other or "wash" not in answer.message:
            return False
        deadline = asyncio.get_running_loop().time() + WAY_CLEAR_S
        is_asked = False
        while asyncio.get_running_loop().time() < deadline:
            found = await self._calls.ask(Urgency.LOOK_UP, "GET", f"/orders/{other}")
            order = found.body if isinstance(found.body, dict) else {}
            if not codec.is_ours(str(order.get("client_order_id") or "")):
                return False
            if order.get("status") in codec.ENDED:
                return True
            if not is_asked:
                is_asked = True
                await self._calls.ask(Urgency.CANCEL, "DELETE", f"/orders/{other}")
            await asyncio.sleep(WAY_POLL_S)
        return False

    async def _cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel as often as it takes to be heard: asking twice does no harm."""
        name = wish.order.cl_ord_id
        for _ in range(CANCEL_TRIES):
            try:
                answer = await self._ask_cancel(wish)
            except NotSent:
                return
            except NoAnswer:
                await asyncio.sleep(CANCEL_PAUSE_S)
                continue
            if answer.is_good:
                self._around.expect(name)
                return
            if answer.status < SERVER_ERROR:
                self._outbox.cancel_rejected(wish.cancel_id, name, answer.message)
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

    async def _look_up(self, names: set[str]) -> None:
        try:
            await self._asking.about(names)
        except (NotSent, NoAnswer) as problem:
            log.info("%s: asked about %d orders: %s", self.name, len(names), problem)

    def _give_back(self, names: Sequence[str], reason: str, *, is_answer: bool = False) -> None:
        for name in names:
            self._waiting.discard(name)
            self._posts.pop(name).cancel()
            self._outbox.withheld(name, reason, is_answer=is_answer)

    # The stream.

    async def _take(self, text: str) -> None:
        """Take one message of the stream; nothing about it may end the stream."""
        await self._outbox.room()
        try:
            message = json.loads(text, parse_float=str)
            if message.get("stream") != "trade_updates":
                return
            report = codec.read_event(message["data"])
        except (ValueError, AttributeError, TypeError, KeyError, codec.Unreadable) as problem:
            self._outbox.unreadable(text, f"{type(problem).__name__}: {problem}")
            return
        name = report.cl_ord_id if codec.is_ours(report.cl_ord_id) else report.order_id
        seen = self._memory.hear(name)
        seen.order_id, seen.symbol = report.order_id, report.symbol
        order = message["data"]["order"]
        if report.exec_type in TAKES_BACK or report.cum_qty >= seen.told:
            seen.status, seen.told = str(order.get("status")), report.cum_qty
        self._around.heard(name, report.symbol)
        self._outbox.report(report)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; what it raises ends the link, loudly."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._outbox.fail(problem)
