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
from adapters.alpaca.asking import Asking
from adapters.alpaca.assets import Assets
from adapters.alpaca.calls import Calls, Urgency
from adapters.alpaca.client import Answer, NoAnswer, RestClient
from adapters.alpaca.memory import Memory
from adapters.alpaca.outbox import Outbox
from adapters.alpaca.sending import FORBIDDEN, UNAUTHORIZED, Sending
from adapters.alpaca.settings import AlpacaSettings
from adapters.alpaca.stream import KeysRefused, TradeStream
from adapters.base import BrokerEvent, Capabilities, NotSent
from gateway.domain.life import TAKES_BACK
from gateway.domain.order import ExecType, Report, Side
from gateway.errors import ConfigError
from gateway.events import CancelOrder, LookUpOrder, SendOrder

log = logging.getLogger(__name__)

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
            orders_per_s=0, cash_orders=True,
        )  # fmt: skip
        self._settings = settings
        self._now = now
        self._memory = Memory()
        self._outbox = Outbox(self.name, now)
        self._is_up = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._sending: Sending | None = None
        self._calls: Calls | None = None
        self._asked: set[str] = set()
        self._losing: asyncio.TimerHandle | None = None

    async def start(self, after_seq: int) -> None:
        """Connect in the background; places go on behind `after_seq`."""
        one = self._settings
        self._outbox = Outbox(self.name, self._now, after_seq)
        self._calls = calls = Calls(RestClient(one.key, one.secret, one.url), one.requests_per_min, time.time)
        self._asking = Asking(calls, self._memory, self._outbox, one.account)
        self._stream = TradeStream(
            one.key, one.secret, one.stream_url,
            went_up=self._went_up, went_down=self._went_down, take=self._take,
        )  # fmt: skip
        assets = Assets(one, calls, self._outbox)
        self._around = Around(
            one, calls, self._memory, self._outbox, self._asking, assets, self._now, self._reconnect
        )
        self._sending = Sending(
            calls, self._memory, self._outbox, self._asking, assets, self._around.expect, self._spawn,
            lambda: self._also(self._check_keys(calls)), extended_hours=one.extended_hours,
        )  # fmt: skip
        self._spawn(self._run(calls))

    async def stop(self) -> None:
        """End every task and thread; orders that have not left are told so."""
        self._is_up, self._is_over = False, True
        if self._sending is not None:
            self._sending.give_back(None, "the gateway stops")
        if self._losing is not None:
            self._losing.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._calls is not None:
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
        self._up().submit(wish)

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; raises `NotSent` when the link is down."""
        self._up().cancel(wish)

    def look_up(self, wish: LookUpOrder) -> None:
        """Ask about an order with the next `flush`; one that has not left is answered for at once.

        Raises `NotSent` when nothing can be asked any more, or yet.
        """
        cl_ord_id = wish.order.cl_ord_id
        if self._sending is None or self._is_over:
            raise NotSent(f"link {self.name} is down")
        if self._sending.is_waiting(cl_ord_id):
            self._sending.give_back([cl_ord_id], "it had not left yet", is_answer=True)
        elif not self._sending.is_under_way(cl_ord_id):  # otherwise its own answer is on the way
            self._asked.add(cl_ord_id)

    def recall(self, account: str, reason: str) -> None:
        """Give back what has not left of an account's orders (of all when empty), as `SendWithheld`."""
        if self._sending is not None and account in ("", self._settings.account):
            self._sending.give_back(None, reason)

    def _up(self) -> Sending:
        if self._sending is None or not self._is_up:
            raise NotSent(f"link {self.name} is down")
        return self._sending

    def flush(self) -> None:
        """Ask what `look_up` has gathered."""
        if self._asked:
            asked, self._asked = self._asked, set()
            self._spawn(self._look_up(asked))

    # Connecting.

    async def _run(self, calls: Calls) -> None:
        """Check the keys, then follow the stream until cancelled."""
        await self._check_keys(calls)
        self._spawn(self._around.follow())
        try:
            await self._stream.follow()
        except KeysRefused:
            raise self._wrong_keys() from None

    def _wrong_keys(self) -> ConfigError:
        key = f"GATEWAY_LINKS__{self.name.upper()}__KEY"
        text = (
            f"set {key} and its SECRET, or APCA_API_KEY_ID and APCA_API_SECRET_KEY, and mind that paper "
            "and live have keys of their own"
        )
        return ConfigError(f"links.{self.name}: Alpaca refuses the keys; {text}")

    async def _check_keys(self, calls: Calls) -> None:
        """Ask for the account until there is an answer; raises `ConfigError` when the keys are refused."""
        while True:
            try:
                answer = await calls.ask(Urgency.LOOK_AROUND, "GET", "/account")
            except (NotSent, NoAnswer) as problem:
                log.warning("%s: cannot reach the venue: %s", self.name, problem)
            else:
                if answer.status in (UNAUTHORIZED, FORBIDDEN):
                    raise self._wrong_keys()
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
            text = f"the venue will refuse orders: {', '.join(found)}"
            self._outbox.notice("critical", text, self._settings.account)

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
        if self._sending is not None:
            self._sending.give_back(None, "the stream is gone")
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

    async def _look_up(self, names: set[str]) -> None:
        try:
            await self._asking.about(names)
        except (NotSent, NoAnswer) as problem:
            log.info("%s: asked about %d orders: %s", self.name, len(names), problem)

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
        self._hear(report, message["data"])

    def _hear(self, report: Report, data: dict[str, Any]) -> None:
        """Note what the stream says of an order, and tell it."""
        name = report.cl_ord_id if codec.is_ours(report.cl_ord_id) else report.order_id
        seen = self._memory.hear(name)
        self._asking.tell_halt(seen, report, str(data["order"].get("status")))
        seen.order_id, seen.symbol = report.order_id, report.symbol
        if report.exec_type in TAKES_BACK or report.cum_qty >= seen.told:
            seen.status, seen.told = str(data["order"].get("status")), report.cum_qty
        if report.exec_type is ExecType.TRADE and report.side is Side.SELL:
            self._memory.sold_at = asyncio.get_running_loop().time()
        self._around.heard(name, report.symbol)
        self._outbox.report(report)
        if data.get("event") == "order_cancel_rejected" and self._sending is not None:
            self._sending.cancel_refused(name, "the venue refused the cancel it had taken")

    def _also(self, work: Coroutine[Any, Any, None]) -> None:
        self._spawn(work)

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
