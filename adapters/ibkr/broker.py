"""Interactive Brokers as a `Broker`: an order leaves once, and TWS's own words say what became of it.

Rules of this room:
1. An order's name at IBKR is its reference, our ClOrdID(11), together with permId. IBKR takes a reference
   twice, so what may be there is looked for before it is sent.
2. Nothing is sent before a whole reconciliation, after any connect and after any time TWS had lost IBKR.
3. What comes counts whenever it comes; what nobody can explain is asked about, told, and ends nothing.
4. A TWS that manages none of our accounts, or a live one where paper is meant, ends the gateway with a
   sentence: no second try will help.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, assert_never

from adapters.base import BrokerEvent, Capabilities, NotSent, Remembered
from adapters.ibkr import said
from adapters.ibkr.asking import Asking
from adapters.ibkr.cancels import not_cancellable
from adapters.ibkr.codes import ALERTED, UNKNOWN, Action, row_of, words
from adapters.ibkr.contracts import Contracts
from adapters.ibkr.holdings import Holdings
from adapters.ibkr.ids import Ids
from adapters.ibkr.known import Life
from adapters.ibkr.ledger import Ledger
from adapters.ibkr.line import Line, NoAnswer
from adapters.ibkr.outbox import Outbox
from adapters.ibkr.outcomes import (
    About,
    Ask,
    Bar,
    CancelRefused,
    IdUsed,
    Notice,
    Outcome,
    Owed,
    SendWhole,
    Told,
)
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.ports import Ports
from adapters.ibkr.sender import Sender
from adapters.ibkr.session import Session
from adapters.ibkr.settings import IbkrSettings
from gateway.events import CancelOrder, LookUpOrder, SendOrder

log = logging.getLogger(__name__)

ASK_AFTER_S = 0.25
"""A question about one order waits so long for its answer to come by itself, and for others to join it."""
LOOK_AGAIN_S = 30.0
"""So often everybody's orders are asked for while others' leave no room for ours."""
NOTED = 5_000
FARMS = ("2103:", "2105:", "2157:")
"""What is worth telling again once it was well in between, but not each time: at night they come and go."""
FARM_AGAIN_S = 3_600.0


class IbkrBroker:
    """Carry orders to the accounts of one TWS.

    `now` is the gateway's clock; `pace` and `ports` are shared by everybody who speaks to this TWS.
    """

    def __init__(
        self, settings: IbkrSettings, now: Callable[[], datetime], remembered: Remembered,
        pace: Pace | None = None, ports: Ports | None = None,
    ) -> None:  # fmt: skip
        self.name = settings.name
        self._pace = pace or Pace(settings.messages_per_s)
        self._ports = ports or Ports(settings.port)
        self.capabilities = Capabilities(
            refuses_duplicate_client_id=False, can_look_up=True, replays_executions=True,
            fractional=settings.fractional, orders_per_s=0,
        )  # fmt: skip
        self._settings = settings
        self._now = now
        self._remembered = remembered
        self._outbox = Outbox(self.name, now)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._asked: set[str] = set()
        self._questions: dict[tuple[str, About], float] = {}
        self._noted: dict[str, float] = {}
        self._session: Session | None = None
        self._line_named: Line | None = None
        self._look_again_s = 0.0

    async def start(self, after_seq: int) -> None:
        """Connect in the background; places go on behind `after_seq`."""
        one = self._settings
        self._outbox = Outbox(self.name, self._now, after_seq)
        self._ids = Ids(self._remembered)
        self._contracts = Contracts(one.terms, one.answer_timeout_s)
        self._ledger = Ledger(one, self._contracts.symbol_of)
        self._asking = Asking(one, self._ledger, self._ids, self._outbox, self._carry, self._now)
        self._holdings = Holdings(one, self._ledger, self._contracts, self._asking, self._outbox, self._now)
        self._sender = Sender(
            one, self._ledger, self._contracts, self._ids, self._pace, self._outbox, self._now, self._find_out
        )
        self._session = Session(
            one, self._pace, self._ports, self._now, lambda: Line(self._pace, self._ids), self._hear,
            self._reconcile, self._work, self._changed,
        )  # fmt: skip
        self._spawn(self._run(self._session))
        self._spawn(self._sender.run())

    async def stop(self) -> None:
        """End every task and hang up; orders that have not left are told so."""
        if self._session is not None:
            self._sender.give_back("the gateway stops")
            self._session.is_up = False
            self._session.close()
            self._contracts.close()
        while tasks := self._tasks - self._writes:  # the last words of a line may begin others
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._writes:
            await asyncio.wait(self._writes, timeout=self._settings.answer_timeout_s)
        self._outbox.close()

    async def events(self) -> AsyncIterator[Sequence[BrokerEvent]]:
        """Yield what happened, in order, until `stop`; raises `ConfigError` when TWS is not the one meant."""
        async for batch in self._outbox.batches():
            yield batch

    def acknowledge(self, link_seq: int) -> None:
        """Nothing is kept: a successor asks TWS."""

    def submit(self, wish: SendOrder) -> None:
        """Hand one order over; raises `NotSent` when the link is down."""
        if self._is_up:
            self._sender.add(wish)
        elif wish.poss_resend:  # an earlier try of it may be at the venue: nobody may call it unsent
            self._outbox.in_doubt(wish.order.cl_ord_id, f"link {self.name} is down")
        else:
            raise NotSent(f"link {self.name} is down")

    def cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel; raises `NotSent` when the link is down."""
        if not self._is_up:
            raise NotSent(f"link {self.name} is down")
        if self._sender.holds(wish.order.cl_ord_id):
            self._sender.give_back("it was cancelled before it left", ref=wish.order.cl_ord_id)
        else:
            self._spawn(self._cancel(wish))

    def look_up(self, wish: LookUpOrder) -> None:
        """Ask about an order with the next `flush`; one that has not left is answered for at once."""
        ref = wish.order.cl_ord_id
        if self._session is None:
            return
        if self._sender.holds(ref):
            self._sender.give_back("it had not left yet", ref=ref, is_answer=True)
            return
        self._ledger.order(wish.order)
        self._asked.add(ref)

    def recall(self, account: str, reason: str) -> None:
        """Give back what has not left of an account's orders (of all when empty)."""
        if self._session is not None:
            self._sender.give_back(reason, account=account)

    def flush(self) -> None:
        """Ask what `look_up` has gathered."""
        if self._asked and self._session is not None and self._session.line is not None:
            self._session.line.stir.set()

    # The connection.

    @property
    def _is_up(self) -> bool:
        return self._session is not None and self._session.is_up

    async def _run(self, session: Session) -> None:
        await self._ids.recall(self._now())
        self._ledger.owed = set(self._ids.owed)
        if self._ids.since is not None:
            self._ledger.since = self._ids.since
        await session.run()

    async def _reconcile(self, line: Line) -> None:
        """Learn everything TWS knows; raises `NoAnswer`, and `ConfigError` for a TWS that is not meant."""
        self._settings.check(line.tws.accounts)
        if self._line_named is not line:  # over the same line orders are called what they were
            self._ledger.new_session()
            self._line_named = line
        await self._asking.round(line)
        await self._holdings.begin(line)

    def _changed(self, reason: str) -> None:
        """Tell that the link went up or (with a reason) down."""
        if (session := self._session) is None:
            return
        self._sender.line = session.line if session.is_up else None
        self._sender.client_id = session.client_id
        if session.is_up:
            self._outbox.up()
            if session.line is not None:
                self._spawn(self._contracts.learn(self._settings.terms, session.line))
        else:
            self._sender.give_back(f"the link went down: {reason}")
            self._outbox.down(reason)

    async def _work(self, line: Line) -> None:
        """Do what is due: late commissions, questions, positions."""
        now_s = asyncio.get_running_loop().time()
        self._carry(self._ledger.due(now_s))
        if not self._is_up:
            return
        for ref, due in list(self._sender.expected.items()):
            if due <= now_s:
                del self._sender.expected[ref]
                self._questions.setdefault((ref, About.ALL), now_s)
        ready = {key for key, due in self._questions.items() if due <= now_s}
        for key in ready:
            del self._questions[key]
        open_ones = {ref for ref, about in ready if not self._ledger.is_answered(ref, about)}
        if asked := self._asked | open_ones:
            looked_up, self._asked = self._asked, set()
            await self._settle(asked, looked_up, line)
        await self._holdings.state(line, now_s)
        if self._sender.is_crowded_out and now_s >= self._look_again_s:
            self._look_again_s = now_s + LOOK_AGAIN_S
            await self._asking.round(line)
            self._sender.wake()

    async def _settle(self, asked: set[str], looked_up: set[str], line: Line) -> None:
        """Ask about orders; say of one that is not there whether we were asked or had to wonder."""
        try:
            absent = await self._asking.about(sorted(asked), line)
        except NoAnswer:
            for ref in looked_up:
                self._asked.add(ref)
            raise
        self._sender.wake()
        for ref in absent:
            known = self._ledger.find(ref)
            if ref in looked_up or (known is not None and known.life is not Life.SENT):
                self._asking.tell_absent(ref)
            else:
                self._outbox.in_doubt(ref, "TWS does not show it")

    async def _find_out(self, refs: Sequence[str]) -> set[str]:
        """Ask about orders before they are sent; raises `NoAnswer`."""
        line = self._session.line if self._session is not None else None
        if line is None or not self._is_up:
            raise NoAnswer("the link is down")
        return await self._asking.about(refs, line)

    # Cancels.

    async def _cancel(self, wish: CancelOrder) -> None:
        """Ask for a cancel once; its answer, or a question after a while, says what came of it."""
        session, ref = self._session, wish.order.cl_ord_id
        line = session.line if session is not None else None
        if session is None or line is None:
            return
        known = self._ledger.find(ref)
        try:
            if known is None or not known.order_id:
                self._ledger.order(wish.order)
                await self._find_out([ref])
                known = self._ledger.find(ref)
            if known is None or (problem := not_cancellable(known, session.client_id)):
                self._outbox.cancel_rejected(
                    wish.cancel_id, ref, problem if known else "TWS has no such order"
                )
                return
            await self._pace.turn(Urgency.CANCEL)
            if session.line is not line or not self._is_up:
                return  # the engine asks again once the link is up
            known.cancel_id, known.was_cancelled = wish.cancel_id, True
            self._sender.expected[ref] = asyncio.get_running_loop().time() + self._settings.mute_after_s
            line.tws.cancel(known.order_id)
        except (NoAnswer, ConnectionError) as broken:
            log.info("%s: cancel of %s: %s", self.name, ref, broken)

    # What TWS says.

    def _hear(self, message: said.Said) -> None:
        """Take one message, in order."""
        match message:
            case said.NextIdSaid():
                self._ids.next_valid(message.order_id)
            case said.Garbled():
                self._outbox.unreadable("|".join(message.fields)[:2000], message.reason)
            case said.Strange():
                text = f"TWS sent a message of id {message.message}, which nobody here knows; report it"
                self._notice(Notice("warning", text))
            case said.ErrorSaid():
                self._log(message)
                if self._session is not None:
                    self._session.take(message)
                self._carry(self._ledger.hear(message, asyncio.get_running_loop().time()))
            case _:
                if isinstance(message, said.StatusSaid | said.OpenSaid | said.ExecutionSaid):
                    self._holdings.moved(self._heard(message))
                self._carry(self._ledger.hear(message, asyncio.get_running_loop().time()))

    def _heard(self, message: said.StatusSaid | said.OpenSaid | said.ExecutionSaid) -> str:
        """Note that an order was heard of; name its symbol where the message does."""
        if isinstance(message, said.StatusSaid):
            return ""
        if message.client_id in self._settings.client_ids:
            self._ids.at_least(message.order_id)
        else:
            self._ids.others(message.order_id)
        if message.ref:
            self._sender.expected.pop(message.ref, None)
        kind = message.kind if isinstance(message, said.ExecutionSaid) else ()
        return self._contracts.symbol_of(message.con_id, message.symbol, *kind)

    def _log(self, message: said.ErrorSaid) -> None:
        row = row_of(message.code)
        if row.action is Action.FARM_OK:
            again = asyncio.get_running_loop().time() - FARM_AGAIN_S
            old = [text for text, at in self._noted.items() if at <= again and text.startswith(FARMS)]
            self._noted = {text: at for text, at in self._noted.items() if text not in old}
        if row.action in ALERTED or (row is UNKNOWN and message.req_id < 0):
            self._notice(Notice("warning", words(message.code, message.text)))
        log.info("%s: TWS says %d (%s) on %d: %s", self.name, message.code, row.action.name, message.req_id,
                 " ".join(message.text.split())[:300])  # fmt: skip

    def _carry(self, outcomes: list[Outcome]) -> None:
        """Carry out what follows from what TWS said."""
        for one in outcomes:
            match one:
                case Told():
                    self._sender.expected.pop(one.report.cl_ord_id, None)
                    self._outbox.report(one.report)
                    self._sender.wake()
                case CancelRefused():
                    self._outbox.cancel_rejected(one.cancel_id, one.ref, one.text)
                case Ask():
                    due = asyncio.get_running_loop().time() + ASK_AFTER_S
                    self._questions.setdefault((one.ref, one.about), due)
                case Notice():
                    self._notice(one)
                case Bar():
                    self._contracts.bar(one.symbol, one.text)
                case SendWhole():
                    self._sender.send_whole(one.ref, one.text)
                case IdUsed():
                    self._ids.clashed()
                    self._spawn(self._send_again(one))
                case Owed():
                    self._writes.add(self._spawn(self._ids.owe(one.exec_id, is_owed=one.is_owed)))
                case _:
                    assert_never(one)

    def _notice(self, notice: Notice) -> None:
        """Tell a person, each thing once."""
        if notice.text in self._noted and not notice.halts:
            return
        if len(self._noted) > NOTED:
            self._noted.clear()
        self._noted[notice.text] = asyncio.get_running_loop().time()
        self._outbox.notice(notice.severity, notice.text, notice.account, halts=notice.halts)

    async def _send_again(self, used: IdUsed) -> None:
        """Give an order back whose id had been used, once TWS is seen not to have it."""
        try:
            if self._session is not None and (line := self._session.line) is not None:
                line.say(line.tws.ask_next_id)
            if used.ref in await self._find_out([used.ref]):
                self._outbox.withheld(used.ref, used.text)
        except NoAnswer:
            self._outbox.in_doubt(used.ref, used.text)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; what it raises ends the link, loudly."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._writes.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._outbox.fail(problem)
