"""Orders on their way out: named, priced on their tick, allowed by their margin, remembered, then sent once.

Rules of this room:
1. What waits here has not left: it can be given back at any moment, and is asked for again right before it
   leaves. Leaving is one step with noting it: an order is either here or in the ledger.
2. An order that may be at the venue already is asked about first; one that is there is told, not sent.
3. At most so many orders of one contract, side and account work at once: the others wait their turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_DOWN

from adapters.ibkr import said
from adapters.ibkr.codes import REFUSALS, Action, row_of
from adapters.ibkr.contracts import Contracts
from adapters.ibkr.ids import Ids
from adapters.ibkr.ledger import Ledger
from adapters.ibkr.line import Line, NoAnswer, Refused
from adapters.ibkr.margins import margins_of
from adapters.ibkr.outbox import Outbox
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.pauses import planned
from adapters.ibkr.settings import IbkrSettings
from adapters.ibkr.wire import Ticket, Unsendable, ticket
from gateway.domain.order import OrderSpec
from gateway.events import SendOrder

log = logging.getLogger(__name__)

TOGETHER = 50
"""So many orders are prepared and remembered at once: one write to disk for all of them."""
SENT_REMEMBERED = 10_000
PAUSE_S = 0.2
"""How often a planned restart is looked at by orders that wait for its end, or to be given back."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order ready to leave."""

    wish: SendOrder
    ticket: Ticket


class Sender:
    """Send the orders of one link; `find_out` asks TWS about references and says whether it answered."""

    def __init__(
        self, settings: IbkrSettings, ledger: Ledger, contracts: Contracts, ids: Ids, pace: Pace,
        outbox: Outbox, now: Callable[[], datetime], find_out: Callable[[Sequence[str]], Awaitable[set[str]]],
    ) -> None:  # fmt: skip
        self._settings = settings
        self._ledger = ledger
        self._contracts = contracts
        self._ids = ids
        self._pace = pace
        self._outbox = outbox
        self._now = now
        self._find_out = find_out
        self._waiting: OrderedDict[str, SendOrder] = OrderedDict()
        self._sent: OrderedDict[str, SendOrder] = OrderedDict()
        self._some = asyncio.Event()
        self._told_crowded: OrderedDict[str, None] = OrderedDict()
        self._is_crowded = False
        self.line: Line | None = None
        self.client_id = 0
        self.expected: dict[str, float] = {}

    def add(self, wish: SendOrder) -> None:
        """Take an order."""
        self._waiting[wish.order.cl_ord_id] = wish
        self._some.set()

    def wake(self) -> None:
        """Look again at what waits."""
        if self._waiting:
            self._some.set()

    @property
    def is_crowded_out(self) -> bool:
        """Say whether others' orders leave no room for one that waits."""
        return self._is_crowded and bool(self._waiting)

    def holds(self, ref: str) -> bool:
        """Say whether an order has not left yet."""
        return ref in self._waiting

    def give_back(self, reason: str, *, account: str = "", ref: str = "", is_answer: bool = False) -> None:
        """Give back what has not left: one order, an account's, or all."""
        for name, wish in list(self._waiting.items()):
            if ref not in ("", name) or account not in ("", wish.order.account):
                continue
            del self._waiting[name]
            if wish.poss_resend:  # an earlier try of it may be at the venue: nobody may call it unsent
                self._outbox.in_doubt(name, reason)
            else:
                self._outbox.withheld(name, reason, is_answer=is_answer)

    def send_whole(self, ref: str, text: str) -> None:
        """Send the whole shares of an order whose fraction the venue did not take."""
        wish = self._sent.get(ref)
        if wish is None or not wish.order.order_qty.to_integral_value(ROUND_DOWN):
            self._outbox.refused(ref, text)
            return
        self._contracts.whole_only.add(wish.order.symbol)
        log.warning("%s: %s: whole shares only: %s", self._settings.name, wish.order.symbol, text)
        self.add(replace(wish, poss_resend=False))

    async def run(self) -> None:
        """Send for ever, as fast as TWS allows."""
        while True:
            await self._some.wait()
            line = self.line
            if line is None or line.lost:
                self._some.clear()
                continue
            if planned(self._settings.restarts, self._now()):  # the session may be too busy to have seen it
                await asyncio.sleep(PAUSE_S)
                continue
            batch = self._next_batch()
            if not batch:
                self._some.clear()
                continue
            try:
                await self._send(batch, line)
            except ConnectionError:
                line.close("the socket broke while sending")

    # The inside.

    def _next_batch(self) -> list[SendOrder]:
        """Choose what may be sent now: no contract, side and account beyond its working orders."""
        codes = self._settings.accounts
        working = Counter(
            (codes.get(one.account, one.account), one.symbol, one.side) for one in self._ledger.working()
        )
        theirs = Counter(self._ledger.others.working())
        working.update(theirs)
        chosen = []
        self._is_crowded = False
        for wish in self._waiting.values():
            key = (codes[wish.order.account], wish.order.symbol, wish.order.side)
            if working[key] < self._settings.working_orders:
                working[key] += 1
                chosen.append(wish)
                if len(chosen) == TOGETHER:
                    break
            elif theirs[key]:
                self._tell_crowded(wish.order, theirs[key])
        return chosen

    def _tell_crowded(self, spec: OrderSpec, count: int) -> None:
        """Tell a person, once each, that others' orders leave no room for one of ours."""
        self._is_crowded = True
        text = (
            f"{spec.symbol} {spec.cl_ord_id}: waits, for others work {count} orders on its side in this "
            f"account, and IBKR takes {self._settings.working_orders}; cancel some of them in TWS"
        )
        if spec.cl_ord_id not in self._told_crowded:
            self._told_crowded[spec.cl_ord_id] = None
            if len(self._told_crowded) > SENT_REMEMBERED:
                self._told_crowded.popitem(last=False)
            self._outbox.notice("warning", text, spec.account)

    async def _send(self, batch: list[SendOrder], line: Line) -> None:
        batch = await self._not_there_yet(batch)
        tries = await asyncio.gather(*(self._prepare(wish, line) for wish in batch))
        ready = [one for one in tries if one is not None]
        if not ready:
            return
        try:
            given = await self._ids.give([one.ticket.ref for one in ready], self._now())
        except Unsendable as problem:
            self.give_back(str(problem))
            return
        for one in ready:
            await self._pace.turn(Urgency.ORDER)
            ref = one.ticket.ref
            if self._waiting.get(ref) is not one.wish or self.line is not line or line.lost:
                continue  # given back, and perhaps handed over anew: that one is looked at anew, too
            del self._waiting[ref]
            self._note(one.wish)
            self._ledger.sent(one.wish.order, given[ref], self.client_id, one.ticket.qty, one.ticket.limit)
            self.expected[ref] = asyncio.get_running_loop().time() + self._settings.mute_after_s
            line.tws.place(given[ref], one.ticket)

    def _note(self, wish: SendOrder) -> None:
        self._sent[wish.order.cl_ord_id] = wish
        if len(self._sent) > SENT_REMEMBERED:
            self._sent.popitem(last=False)

    async def _not_there_yet(self, batch: list[SendOrder]) -> list[SendOrder]:
        """Leave out what is at the venue already: IBKR takes one reference twice, so we ask."""
        doubtful = [wish.order.cl_ord_id for wish in batch if wish.poss_resend or self._is_there(wish)]
        if not doubtful:
            return batch
        for ref in doubtful:
            self._ledger.order(self._waiting[ref].order)
        try:
            absent = await self._find_out(doubtful)
        except NoAnswer as problem:
            for ref in doubtful:
                if self._waiting.pop(ref, None) is not None:
                    self._outbox.in_doubt(ref, str(problem))
            absent = set()
        left = []
        for wish in batch:
            ref = wish.order.cl_ord_id
            if ref in doubtful and ref not in absent:
                self._waiting.pop(ref, None)
            else:
                left.append(wish)
        return left

    def _is_there(self, wish: SendOrder) -> bool:
        known = self._ledger.find(wish.order.cl_ord_id)
        return known is not None and known.may_be_there

    async def _prepare(self, wish: SendOrder, line: Line) -> Prepared | None:
        """Make an order ready, or say why it cannot go."""
        spec = wish.order
        try:
            listed = await self._contracts.of(spec.symbol, line)
            qty = spec.order_qty
            if spec.symbol in self._contracts.whole_only:
                qty = qty.to_integral_value(ROUND_DOWN)
            written = ticket(
                replace(spec, order_qty=qty), listed.terms, self._settings.accounts[spec.account],
                outside_rth=self._settings.outside_rth, fractional=self._settings.fractional,
                tick=listed.tick(spec.price),
            )  # fmt: skip
            if self._settings.what_if:
                written = await self._allowed(written, spec, line)
        except Unsendable as problem:
            if self._waiting.pop(spec.cl_ord_id, None) is not None:
                self._outbox.refused(spec.cl_ord_id, str(problem))
            return None
        except NoAnswer as problem:
            self.give_back(str(problem), ref=spec.cl_ord_id)
            return None
        return Prepared(wish, written)

    async def _allowed(self, written: Ticket, spec: OrderSpec, line: Line) -> Ticket:
        """Return what its margin allows, whole shares where no fraction is taken; raises `Unsendable`."""
        try:
            await self._check_margin(written, line)
        except Refused as refusal:
            whole = written.qty.to_integral_value(ROUND_DOWN)
            if row_of(refusal.code).action is not Action.WHOLE_SHARES or not whole:
                raise Unsendable(f"what-if: {refusal}") from None
            self._contracts.whole_only.add(spec.symbol)
            log.warning("%s: %s: whole shares only: %s", self._settings.name, spec.symbol, refusal)
            return await self._allowed(replace(written, qty=whole), spec, line)
        return written

    async def _check_margin(self, written: Ticket, line: Line) -> None:
        """Ask what an order would do to the margin; raises `Unsendable` or `Refused`.

        Silence is no objection, and no more is a code that refuses nothing.
        """
        asked = replace(written, is_what_if=True)
        try:
            answers = await line.ask(
                "what-if", Urgency.ORDER, lambda number: line.tws.place(number, asked),
                self._settings.what_if_timeout_s,
            )  # fmt: skip
        except Refused as refusal:
            if row_of(refusal.code).action in REFUSALS:
                raise
            log.warning("%s: %s: what-if: %s", self._settings.name, written.ref, refusal)
            return
        except NoAnswer as problem:
            log.warning("%s: %s: what-if: %s", self._settings.name, written.ref, problem)
            return
        found = [margins_of(one) for one in answers if isinstance(one, said.OpenSaid)]
        if objection := next((one.refusal for one in found if one is not None), ""):
            raise Unsendable(objection)
