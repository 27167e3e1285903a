"""One line to TWS: what comes in, and the questions that wait for an answer.

Rules of this room:
1. Callbacks only put a message down; it is taken up in order by `take`, outside the library, which would
   swallow whatever is raised in there.
2. A question ends with its End or an error of its own. Time-out is not "empty": the line is worth nothing
   then, for a late End would be taken for the End of the next question.
3. Questions without a number of their own (open, completed, positions) go one at a time, behind one lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.ibkr import said
from adapters.ibkr.codes import Action, ends_question, row_of, words
from adapters.ibkr.ids import Ids
from adapters.ibkr.library import Tws
from adapters.ibkr.margins import margins_of
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.wire import MAX_ID, USED_UP

CROWDED = 200_000
"""So many messages may lie here; behind that we are too slow and begin again with a reconciliation."""
NUMBERED = frozenset({said.EXECUTIONS_END, said.CONTRACTS_END, said.SNAPSHOT_END})
LISTS = frozenset({said.EXECUTIONS_END})
"""What is asked with a number and answered at a length nobody knows."""


LONG_ANSWER = 12
"""An answer may take so many times the silence that ends the wait for it."""


class NoAnswer(Exception):
    """A question was not answered in time, or the line broke: nobody knows."""


class Interrupted(NoAnswer):
    """TWS lost IBKR, or found it again, amid its answers: they are worth nothing, the line is not."""


class Refused(Exception):
    """TWS answered a question with an error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(words(code, text))
        self.code = code


@dataclass(slots=True)
class Question:
    """One question: what has been answered so far, and the End that is waited for."""

    done: asyncio.Future[None]
    answers: list[said.Said] = field(default_factory=list)


class Line:
    """Talk to TWS; `take` gives what it says to `hear`, in order."""

    def __init__(self, pace: Pace, ids: Ids) -> None:
        self.tws = Tws(self._put)
        self.stir = asyncio.Event()
        self.last_heard = 0.0
        self.lost = ""
        self.is_cut_off = False
        self.outages = 0
        self._pace = pace
        self._ids = ids
        self._inbox: deque[said.Said] = deque()
        self._some = asyncio.Event()
        self._numbered: dict[int, Question] = {}
        self._unnumbered: dict[str, Question] = {}
        self._lock = asyncio.Lock()

    async def connect(self, host: str, port: int, client_id: int, timeout_s: float) -> None:
        """Shake hands; raises `ConnectFailed`."""
        await self.tws.connect(host, port, client_id, timeout_s)
        self.last_heard = asyncio.get_running_loop().time()

    async def take(self, hear: Callable[[said.Said], None]) -> None:
        """Hand over what comes in, for ever."""
        while True:
            await self._some.wait()
            self._some.clear()
            self.drain(hear)
            self.stir.set()

    def drain(self, hear: Callable[[said.Said], None]) -> None:
        """Hand over what has come in so far: what came before the socket broke counts, too."""
        while self._inbox:
            message = self._inbox.popleft()
            if isinstance(message, said.ErrorSaid) and message.req_id < 0:
                self._note_outage(row_of(message.code).action)
            self._answer(message)
            hear(message)

    def close(self, reason: str) -> None:
        """Hang up; every question that waits is told."""
        self.lost = self.lost or reason
        self.tws.close()
        for question in [*self._numbered.values(), *self._unnumbered.values()]:
            if not question.done.done():
                question.done.set_exception(NoAnswer(reason))
        self.stir.set()

    async def ask(
        self, kind: str, urgency: Urgency, send: Callable[[int], None], timeout_s: float
    ) -> list[said.Said]:
        """Ask something with a number of its own; raises `NoAnswer` or `Refused`.

        Only a day's executions may take longer than `timeout_s`, for as long as they keep coming.
        """
        await self._pace.turn(urgency)
        number = self._ids.request()
        if number > MAX_ID:
            raise NoAnswer(USED_UP)
        question = self._numbered[number] = Question(asyncio.get_running_loop().create_future())
        try:
            longest_s = timeout_s * (LONG_ANSWER if kind in LISTS else 1)
            return await self._answered(question, lambda: send(number), kind, timeout_s, longest_s)
        finally:
            del self._numbered[number]

    async def ask_alone(self, kind: str, send: Callable[[], None], timeout_s: float) -> list[said.Said]:
        """Ask something without a number, alone; raises `NoAnswer`, and the line is given up."""
        async with self._lock:
            await self._pace.turn(Urgency.QUESTION)
            question = self._unnumbered[kind] = Question(asyncio.get_running_loop().create_future())
            try:
                return await self._answered(question, send, kind, timeout_s, timeout_s * LONG_ANSWER)
            finally:
                del self._unnumbered[kind]

    def say(self, send: Callable[[], None]) -> None:
        """Send what has no answer of its own; raises `NoAnswer` when the socket is gone."""
        try:
            send()
        except ConnectionError:
            raise NoAnswer("the socket is gone") from None

    async def ask_rule(self, rule_id: int, timeout_s: float) -> list[said.Said]:
        """Ask for a market rule, whose one answer names it; raises `NoAnswer`."""
        await self._pace.turn(Urgency.QUESTION)
        key = f"rule {rule_id}"
        question = self._unnumbered[key] = Question(asyncio.get_running_loop().create_future())
        try:
            return await self._answered(
                question, lambda: self.tws.ask_rule(rule_id), key, timeout_s, timeout_s
            )
        finally:
            del self._unnumbered[key]

    async def _answered(
        self, question: Question, send: Callable[[], None], kind: str, timeout_s: float, longest_s: float
    ) -> list[said.Said]:
        if self.lost:
            raise NoAnswer(self.lost)
        try:
            self.say(send)
            async with asyncio.timeout(longest_s):
                await self._silence(question, timeout_s)
        except TimeoutError:
            raise NoAnswer(f"no end of the {kind} within {timeout_s:g} s") from None
        return question.answers

    async def _silence(self, question: Question, timeout_s: float) -> None:
        """Wait for an answer as long as anything comes: a day's executions may take a while."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not question.done.done():
            left_s = max(self.last_heard, began) + timeout_s - loop.time()
            if left_s <= 0:
                raise TimeoutError
            await asyncio.wait([question.done], timeout=left_s)
        question.done.result()

    def _put(self, message: said.Said) -> None:
        """Take a callback: put the message down and return."""
        self.last_heard = asyncio.get_running_loop().time()
        if isinstance(message, said.Lost):
            self.lost = self.lost or message.reason
        elif len(self._inbox) > CROWDED:
            self.lost = self.lost or "more comes than can be taken"
            self.tws.close()
        self._inbox.append(message)
        self._some.set()

    def _note_outage(self, action: Action) -> None:
        """Take that TWS has lost IBKR, or has it again: no answer spans that."""
        if action in (Action.CUT_OFF, Action.RESTORED):
            self.is_cut_off = action is Action.CUT_OFF
            self.outages += 1

    def _answer(self, message: said.Said) -> None:  # noqa: C901 - one case a kind
        """Give a message to the question it answers."""
        match message:
            case said.ErrorSaid() if message.req_id in self._numbered and ends_question(message.code):
                question = self._numbered[message.req_id]
                if not question.done.done():
                    question.done.set_exception(Refused(message.code, message.text))
            case said.EndSaid():
                is_numbered = message.kind in NUMBERED
                found = (
                    self._numbered.get(message.req_id) if is_numbered else self._unnumbered.get(message.kind)
                )
                if found is not None and not found.done.done():
                    found.done.set_result(None)
            case said.ContractSaid() | said.TickSaid() if message.req_id in self._numbered:
                self._numbered[message.req_id].answers.append(message)
            case said.OpenSaid() if message.is_what_if and message.order_id in self._numbered:
                question = self._numbered[message.order_id]
                question.answers.append(message)
                if not question.done.done() and margins_of(message) is not None:
                    question.done.set_result(None)
            case said.PositionSaid() if said.POSITIONS_END in self._unnumbered:
                self._unnumbered[said.POSITIONS_END].answers.append(message)
            case said.RuleSaid() if (key := f"rule {message.rule_id}") in self._unnumbered:
                question = self._unnumbered[key]
                question.answers.append(message)
                if not question.done.done():
                    question.done.set_result(None)
            case said.Lost():
                self.close(message.reason)
            case _:
                pass
