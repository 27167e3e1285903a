"""Everything the engine remembers, as plain data: it is what a snapshot holds and a replay rebuilds.

Rules of this room:
1. Only `gateway/oms/manager.py` changes what stands here, and only because of an event.
2. Nothing here is derived from configuration: the same journal gives the same state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from gateway.domain.book import Book
from gateway.domain.lots import RealisedGain
from gateway.domain.order import Order, Side, Step
from gateway.domain.proposal import Approved
from gateway.domain.schedule import Schedule
from gateway.domain.standing import Seen, Standing
from gateway.domain.substitution import Substitution, Swapped
from gateway.events import Action, Denial, Mode, RequestState, TargetsSubmitted


@dataclass(slots=True)
class Price:
    """Hold a reference price and when it was true."""

    px: Decimal
    as_of: datetime


@dataclass(slots=True)
class Link:
    """Hold what is known of one broker connection; `seq` is the last report journaled from it.

    `can_look_up` and `replays` are what it last said of itself (see `LinkUp`).
    """

    is_up: bool = False
    seq: int = 0
    can_look_up: bool = True
    replays: bool = True


@dataclass(slots=True)
class Request:
    """Follow one target message from acceptance to its end.

    `approved` are the orders still to be planned; `open_orders` are the ClOrdIDs not yet final.
    `outcome` says how the request ends once nothing of it is open; None while it may still trade.
    With an execution style, what is approved is the parent of many orders: it stays in `approved` until it
    is over, `wanted` keeps its quantity, and `began_at` is when the sells, or then the buys, began.
    `swaps` are the losses a harvest takes, each with its substitute.
    """

    spec: TargetsSubmitted
    mode: Mode
    state: RequestState = RequestState.QUEUED
    action: Action = Action.HOLD
    reason: str = ""
    wave: int = 0
    has_waited: bool = False
    outcome: RequestState | None = None
    approved: tuple[Approved, ...] = ()
    denied: list[Denial] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    open_orders: dict[str, None] = field(default_factory=dict)
    finished_at: datetime | None = None
    text: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    wanted: dict[str, Decimal] = field(default_factory=dict)
    began_at: datetime | None = None
    is_buying: bool = False
    swaps: tuple[Swapped, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """One execution as one side shows it: quantity and price None where it gives totals only."""

    cl_ord_id: str
    symbol: str
    side: Side | None
    qty: Decimal | None
    px: Decimal | None
    cum_qty: Decimal
    takes_back: bool = False

    def words(self, exec_id: str) -> str:
        """Say it in one phrase."""
        what = "bust or correction to" if self.takes_back else "execution of"
        side = self.side.name if self.side is not None else ""
        return (
            f"{what} {side} {self.qty} {self.symbol} at {self.px} (ExecID {exec_id}, order {self.cl_ord_id})"
        )


@dataclass(slots=True)
class Copies:
    """What a drop copy of the link `of` and our own reports have still to show each other, by ExecID(17).

    `unknown` are executions it showed and we have not seen, `awaited` ours that it has not shown.
    """

    of: str
    is_up: bool = False
    unknown: dict[str, Copy] = field(default_factory=dict)
    awaited: dict[str, Copy] = field(default_factory=dict)


MAX_REASONS = 20
"""How many reasons for one halt are remembered; of more, the oldest but the first is forgotten."""


@dataclass(slots=True)
class State:
    """Gather the book, the orders, the requests and the state of every connection.

    `strangers` are orders of ours at a venue that we never sent, by ClOrdID(11) or OrderID(37). `activities`
    are those a venue has stated of an account, newest last; `splits` are splits it has stated whose new
    position it has not: what, by account and symbol. `opened` says since when a book is ours, `rebalanced`
    when orders of a request were last planned, by account. `standing` is what each account is watched
    against, `seen` what was last seen of it. `substitutions` are what stands in for names sold at a loss, by
    account, `losses_told` the week in which losses worth taking were last told. `halts` says for what an
    account (all of them, under an empty name) was halted first, `halts_too` for what else since: each reason
    stands until it is released. `shortfalls` are what a venue lets an account buy for less than its cash.
    What ended before `forgot` is here no more: the journal has it.
    """

    book: Book = field(default_factory=Book)
    orders: dict[str, Order] = field(default_factory=dict)
    strangers: dict[str, Order] = field(default_factory=dict)
    requests: dict[str, Request] = field(default_factory=dict)
    queues: dict[str, list[str]] = field(default_factory=dict)
    active: dict[str, str] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    copies: dict[str, Copies] = field(default_factory=dict)
    halts: dict[str, str] = field(default_factory=dict)
    opened: dict[str, datetime] = field(default_factory=dict)
    activities: dict[str, list[str]] = field(default_factory=dict)
    splits: dict[str, dict[str, str]] = field(default_factory=dict)
    rebalanced: dict[str, datetime] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    substitutions: dict[str, tuple[Substitution, ...]] = field(default_factory=dict)
    losses_told: dict[str, str] = field(default_factory=dict)
    halts_too: dict[str, list[str]] = field(default_factory=dict)
    shortfalls: dict[str, Decimal] = field(default_factory=dict)
    forgot: datetime | None = None
    epoch: int = 0
    now: datetime | None = None

    def open_orders(self) -> Iterator[Order]:
        """Yield every order that may still fill."""
        for request in self.requests.values():
            for cl_ord_id in request.open_orders:
                yield self.orders[cl_ord_id]

    def forget(self, before: datetime) -> None:
        """Let go of requests, orders, strangers and fills that ended before a time: memory is bounded."""
        self.forgot = before
        old = [
            request
            for request in self.requests.values()
            if request.finished_at is not None and request.finished_at < before and not request.open_orders
        ]
        for request in old:
            del self.requests[request.spec.request_id]
            for cl_ord_id in request.orders:
                self.orders.pop(cl_ord_id, None)
        self.strangers = {name: one for name, one in self.strangers.items() if one.created_at >= before}
        self.book.forget_fills(before.date())

    def halt(self, account: str, reason: str) -> None:
        """Let an account (all of them when empty) send nothing until this reason is released, too."""
        if reason in self.halt_reasons(account):
            return
        if account not in self.halts:
            self.halts[account] = reason
            return
        more = self.halts_too.setdefault(account, [])
        more.append(reason)
        del more[: -(MAX_REASONS - 1)]

    def release(self, account: str, reasons: Sequence[str] = ()) -> None:
        """Release reasons for which an account is halted, all of them when none is named."""
        left = [one for one in self.halt_reasons(account) if reasons and one not in reasons]
        self.halts_too.pop(account, None)
        if not left:
            self.halts.pop(account, None)
            return
        self.halts[account], *more = left
        if more:
            self.halts_too[account] = more

    def halt_reasons(self, account: str) -> list[str]:
        """Return every reason for which this very account is halted, the first one first."""
        first = self.halts.get(account)
        return [] if first is None else [first, *self.halts_too.get(account, ())]

    def halted_for(self, reason: str) -> list[str]:
        """Name the accounts that are halted for this reason, among others."""
        return [name for name in self.halts if reason in self.halt_reasons(name)]

    def halt_reason(self, account: str) -> str:
        """Say why `account` may not send, empty when it may."""
        everybody = self.halt_reasons("") if account else []
        return "; ".join([*self.halt_reasons(account), *everybody])

    def is_up(self, link: str) -> bool:
        """Say whether a broker connection is up, as far as we know."""
        known = self.links.get(link)
        return known is not None and known.is_up

    def link(self, name: str) -> Link:
        """Return what is known of a broker connection."""
        return self.links.setdefault(name, Link())

    def why_held_up(self, request: Request, link: str) -> str:
        """Say why nothing may be sent for a request now; empty when it may, or is only a preview."""
        if request.mode is Mode.PREVIEW:
            return ""
        if halt := self.halt_reason(request.spec.account):
            return f"account is halted: {halt}"
        return "" if self.is_up(link) else f"link {link} is down"


@dataclass(frozen=True, slots=True)
class Applied:
    """Tell the engine what an event touched; `problem` is a sentence when something is wrong.

    `difference` is what a drop copy shows otherwise than we know it. `is_first_sign` says that the venue has
    just shown that it has an order we were not sure of. `excess` are orders to be cancelled because others
    have filled what they were for.
    """

    order: Order | None = None
    step: Step | None = None
    request: Request | None = None
    gains: tuple[RealisedGain, ...] = ()
    problem: str = ""
    difference: str = ""
    is_first_sign: bool = False
    excess: tuple[Order, ...] = ()


NOTHING = Applied()
