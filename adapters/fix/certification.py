"""A venue's certification checklist: rows of steps, played over a real session, each with a verdict.

Rules of this room:
1. A checklist is data (`fix_specs/*.certify.toml`); nothing here knows a venue.
2. A row passes when every step of it held within its time. One that did not says which step, and why.
3. Everything sent and received is kept with its row; credentials never are (Logon(A) is the session's).
"""

from __future__ import annotations

import asyncio
import contextlib
import tomllib
from base64 import b32encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from adapters.base import BrokerEvent, NotSent
from adapters.fix.broker import FixBroker
from adapters.fix.engine import FixEngine, Incoming
from adapters.fix.spool import Spooled
from gateway.domain.life import after_refusal, step
from gateway.domain.order import Order, OrderSpec, OrdStatus, OrdType, Report, Side, TimeInForce
from gateway.events import (
    CancelOrder,
    CancelRejected,
    LinkDown,
    LinkUp,
    LookUpOrder,
    ReportReceived,
    SendOrder,
)
from gateway.oms.booking import by_totals

STEPS = {
    "logon": 0, "reconnect": 0, "buy": 1, "sell": 1, "far": 1, "market": 1, "change": 1, "cancel": 0,
    "ask": 0, "refused": 0, "await": 1,
}  # fmt: skip
"""Every step's word and how many words it needs behind it at least."""


class ChecklistError(Exception):
    """A checklist cannot be used; the text names file, row and step."""


class StepFailed(Exception):
    """A step did not hold; the text says what was awaited and what stood instead."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a checklist."""

    ref: str
    title: str
    steps: tuple[str, ...]


@dataclass(slots=True)
class Result:
    """Hold a row's verdict, `passed`, `failed` or `not run`, and every message of it as text."""

    row: Row
    verdict: str = "not run"
    reason: str = ""
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ticket:
    """Say what is traded where: limits at which a buy and a sell fill at once, and one far below them."""

    account: str
    link: str
    symbol: str
    buy_px: Decimal
    sell_px: Decimal
    far_px: Decimal
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Checklist:
    """The rows, and the options with which the bundled simulator plays the venue's part."""

    rows: tuple[Row, ...]
    simulator_options: tuple[str, ...]


def read_checklist(path: Path) -> Checklist:
    """Read a checklist; raises `ChecklistError`."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as problem:
        raise ChecklistError(f"{path}: {problem}") from None
    rows = []
    for number, entry in enumerate(found.get("rows", []), start=1):
        row = Row(str(entry.get("ref", "")), str(entry.get("title", "")), tuple(entry.get("steps", ())))
        if not (row.ref and row.title and row.steps):
            raise ChecklistError(f"{path}: row {number} needs ref, title and steps")
        for one in row.steps:
            word, *rest = one.split()
            if word not in STEPS or len(rest) < STEPS[word]:
                raise ChecklistError(
                    f"{path}: row {row.ref}: no such step: {one!r}; known: {', '.join(STEPS)}"
                )
        rows.append(row)
    if not rows:
        raise ChecklistError(f"{path}: no rows; write [[rows]] with ref, title and steps")
    return Checklist(tuple(rows), tuple(found.get("simulator_options", ())))


class Tape:
    """Stand between a broker and its engine, and keep what passes."""

    def __init__(self, engine: FixEngine, keep: Callable[[str], None]) -> None:
        self._engine = engine
        self._keep = keep

    def start(self, after_seq: int) -> str:
        """Begin."""
        return self._engine.start(after_seq)

    async def stop(self) -> None:
        """End."""
        await self._engine.stop()

    def send(self, kind: str, cl_ord_id: str, raw: str) -> bool:
        """Hand one message over, and keep it if it left."""
        has_left = self._engine.send(kind, cl_ord_id, raw)
        if has_left and raw.startswith("8="):
            self._keep(f"sent      {_shown(raw)}")
        return has_left

    def flush(self) -> None:
        """Push what was handed over."""
        self._engine.flush()

    async def incoming(self) -> AsyncIterator[Sequence[Incoming]]:
        """Yield what happened, and keep every message of it."""
        async for batch in self._engine.incoming():
            for one in batch:
                self._keep(f"received  {_shown(one.raw)}" if isinstance(one, Spooled) else f"session   {one}")
            yield batch

    def acknowledge(self, seq: int) -> None:
        """Note that everything up to `seq` is safe elsewhere."""
        self._engine.acknowledge(seq)


def _shown(raw: str) -> str:
    return raw.replace("\x01", "|")


class Conductor:
    """Play rows over sessions made by `make`, one after the other; their messages come through `tape`.

    What the spool holds behind `after_seq` is read and never acknowledged: a gateway that shares the
    session's folder still finds all of it.
    """

    def __init__(
        self, make: Callable[[], FixBroker], tape: list[str], ticket: Ticket, now: Callable[[], datetime],
        timeout_s: float, after_seq: int = 0,
    ) -> None:  # fmt: skip
        self._make = make
        self._tape = tape
        self._ticket = ticket
        self._now = now
        self._timeout_s = timeout_s
        self._broker: FixBroker | None = None
        self._reader: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._is_up = False
        self._replays = True
        self._seq = after_seq
        self._orders: dict[str, Order] = {}
        self._order: Order | None = None
        self._asked = 0
        self._previous = ""
        self._before = ""
        self._refusals = 0
        self._answers = 0

    async def run(self, rows: Sequence[Row], told: Callable[[Result], None]) -> list[Result]:
        """Play every row; `told` hears of each verdict. Cancelled in the middle, the rest is `not run`."""
        results = [Result(row) for row in rows]
        try:
            for result in results:
                self._tape.clear()
                self._order = None
                await self._row(result)
                result.messages = list(self._tape)
                told(result)
        except asyncio.CancelledError:
            pass
        finally:
            await self._leave()
        return results

    async def _row(self, result: Result) -> None:
        for one in result.row.steps:
            word, *words = one.split()
            try:
                await self._step(word, words, f"{result.row.ref}/{one}")
            except (StepFailed, NotSent) as problem:
                left = "" if isinstance(problem, StepFailed) else "it did not leave: "
                result.verdict, result.reason = "failed", f"{one}: {left}{problem}"
                return
        result.verdict = "passed"

    async def _step(self, word: str, words: Sequence[str], name: str) -> None:
        if word == "reconnect":
            await self._leave()
        if word in ("logon", "reconnect"):
            await self._join()
        elif word in ("buy", "sell", "far", "market"):
            self._place(word, Decimal(words[0]), name)
        elif word == "await":
            await self._await(OrdStatus[words[0].upper()], Decimal(words[1]) if len(words) > 1 else None)
        elif word == "refused":
            await self._until(lambda: self._refusals > 0, "an OrderCancelReject(9)")
        else:
            await self._about(word, words)

    async def _about(self, word: str, words: Sequence[str]) -> None:
        """Ask for something about the row's order."""
        broker, order = self._broker, self._order
        if broker is None or order is None:
            raise StepFailed("there is no order yet")
        self._asked += 1
        self._refusals = self._answers = 0
        if word == "cancel":
            name = f"{order.spec.cl_ord_id}C{self._asked}"
            broker.cancel(CancelOrder(order.spec, name, order.order_id, self._previous))
        elif word == "change":
            changed = _with_qty(order.spec, Decimal(words[0]))
            name = f"{order.spec.cl_ord_id}R{self._asked}"
            broker.replace(changed, name, self._previous or order.spec.cl_ord_id, order.order_id)
            self._before, self._previous = self._previous, name
        else:
            broker.look_up(LookUpOrder(order.spec, order.order_id))
            broker.flush()
            await self._until(lambda: self._answers > 0, "an answer")
        broker.flush()

    def _place(self, word: str, qty: Decimal, name: str) -> None:
        if self._broker is None:
            raise StepFailed("there is no session yet")
        ticket, is_market = self._ticket, word == "market"
        px = {"far": ticket.far_px, "sell": ticket.sell_px}.get(word, ticket.buy_px)
        text = f"{name}/{self._now().isoformat()}"
        cl_ord_id = b32encode(sha256(text.encode()).digest()).decode()[:16]
        spec = OrderSpec(
            cl_ord_id, "certify", ticket.account, ticket.link, ticket.symbol,
            Side.SELL if word == "sell" else Side.BUY, qty,
            OrdType.MARKET if is_market else OrdType.LIMIT, None if is_market else px,
            TimeInForce.DAY, 1, ticket.currency,
        )  # fmt: skip
        self._order = self._orders[cl_ord_id] = Order(spec, self._now())
        self._previous = self._before = ""
        self._refusals = self._answers = 0
        self._broker.submit(SendOrder(spec))
        self._broker.flush()

    async def _await(self, ord_status: OrdStatus, cum_qty: Decimal | None) -> None:
        order = self._order
        if order is None:
            raise StepFailed("there is no order yet")

        def stands() -> bool:
            return self._answers > 0 and order.ord_status is ord_status and cum_qty in (None, order.cum_qty)

        wanted = ord_status.name if cum_qty is None else f"{ord_status.name} with {cum_qty} filled"
        await self._until(stands, wanted)

    async def _until(self, is_so: Callable[[], bool], wanted: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                while not is_so():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            order = self._order
            stood = f"{order.ord_status.name} with {order.cum_qty} filled" if order is not None else "nothing"
            text = f": {order.text}" if order is not None and order.text else ""
            raise StepFailed(f"{wanted} did not come in {self._timeout_s:g} s; stood {stood}{text}") from None

    async def _join(self) -> None:
        if self._broker is None:
            self._broker = self._make()
            await self._broker.start(self._seq)
            self._reader = asyncio.create_task(self._listen(self._broker))
        await self._until(lambda: self._is_up, "the session")

    async def _leave(self) -> None:
        if self._broker is not None and self._reader is not None:
            await self._broker.stop()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ended(self._reader)
        self._broker = self._reader = None
        self._is_up = False

    @staticmethod
    async def _ended(task: Awaitable[None]) -> None:
        await task

    async def _listen(self, broker: FixBroker) -> None:
        async for batch in broker.events():
            for event in batch:
                self._take(event)
            self._changed.set()

    def _take(self, event: BrokerEvent) -> None:
        self._seq = max(self._seq, int(getattr(event, "link_seq", 0)))
        match event:
            case LinkUp():
                self._is_up = True
                self._replays = event.replays and not event.was_reset
            case ReportReceived():
                self._answers += 1
                order = self._orders.get(event.report.cl_ord_id)
                if order is not None:
                    self._report(order, event.report)
            case CancelRejected():
                self._refusals += 1
                self._answers += 1
                if event.cl_ord_id == self._previous:
                    self._previous = self._before
                order = self._orders.get(event.orig_cl_ord_id)
                if order is not None:
                    order.ord_status = after_refusal(order, event.ord_status)
            case LinkDown():
                self._is_up = False
            case _:
                self._answers += 1

    def _report(self, order: Order, report: Report) -> None:
        if not self._replays:
            report = by_totals(order, report)
        change = step(order, report)
        if change.illegal:
            order.text = change.illegal
        else:
            order.take(report, change, self._now())


def _with_qty(spec: OrderSpec, qty: Decimal) -> OrderSpec:
    return OrderSpec(
        spec.cl_ord_id, spec.request_id, spec.account, spec.link, spec.symbol, spec.side, qty, spec.ord_type,
        spec.price, spec.time_in_force, spec.wave, spec.currency,
    )  # fmt: skip
