"""Open lots with adjusted basis, and the order in which an account closes them.

Rules of this room:
1. All the shares of a lot have replaced sold ones, or none has: `split` cuts it where a match ends.
2. What moves a lot's place in an order calls `Holding.touch`; stale places are skipped, never searched for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol

from gateway.domain.lots import LotMethod, Sale, is_long_term
from gateway.domain.tax.rules import ZERO, Holder, Rules, Security, SubLots

_numbers = count()
"""Places in a queue; they only break ties between stale places of one lot."""


@dataclass(slots=True, eq=False)
class TaxLot:
    """Hold one open lot: `qty` is positive for short lots, too, whose `basis` is what they brought.

    `acquired` is the day it was bought, `since` the day its holding counts from, `deferred` what wash sales
    have put into `basis` (taken out of it for a short lot). `number` is its place among all lots opened.
    `is_used` says its shares replaced sold ones, or never can. `key` names the purchase: lots of one key do
    not replace each other. `siblings` are other parts of the same purchase that may still replace, `sold_as`
    is the sale of a part that is in no holding any more.
    """

    lot_id: str
    security: Security
    acquired: date
    since: date
    qty: Decimal
    basis: Decimal
    number: int
    key: object = None
    is_short: bool = False
    is_used: bool = False
    deferred: Decimal = ZERO
    sub: tuple[int, int] = (1, 0)
    holding: Holding | None = None
    version: int = 0
    siblings: list[TaxLot] | None = None
    sold_as: Line | None = None

    @property
    def unit_basis(self) -> Decimal:
        """Return the adjusted basis of one unit."""
        return self.basis / self.qty

    @property
    def is_spare(self) -> bool:
        """Say whether there are shares left that may replace sold ones."""
        return not self.is_used and self.qty > 0

    def adopt(self, part: TaxLot) -> None:
        """Let a part of this purchase replace, too."""
        if self.siblings is None:
            self.siblings = []
        part.siblings = self.siblings
        self.siblings.append(part)


@dataclass(slots=True)
class Match:
    """Say which shares disallowed how much of a loss; `is_permanent` when no basis carries it on."""

    lot_id: str
    account: str
    acquired: date
    qty: Decimal
    amount: Decimal
    is_permanent: bool


@dataclass(slots=True, eq=False)
class Line:
    """Report one closed piece of one lot. Money is total for `qty`; `disallowed` is not negative.

    `disallowed` is column (g) of Form 8949, `permanent` the part of it that comes back nowhere. `acquired`
    is the adjusted date, `bought` the real one. A short sale is acquired and sold on the day it is closed,
    `bought` is the day it was opened. Lines of one order have one `sale`.
    """

    on: date
    account: str
    symbol: str
    qty: Decimal
    acquired: date
    bought: date
    proceeds: Decimal
    basis: Decimal
    is_long: bool
    is_taxed: bool
    lot_id: str
    deferred: Decimal = ZERO
    disallowed: Decimal = ZERO
    permanent: Decimal = ZERO
    kind: str = "sale"
    sale: object = None
    matches: list[Match] = field(default_factory=list)

    @property
    def gain(self) -> Decimal:
        """Return proceeds less adjusted basis, before any disallowance."""
        return self.proceeds - self.basis

    @property
    def allowed(self) -> Decimal:
        """Return the gain or loss that counts this year: column (h); 0 in an account nobody is taxed on."""
        return self.gain + self.disallowed if self.is_taxed else ZERO

    @property
    def economic(self) -> Decimal:
        """Return the gain as if there were no wash-sale rule."""
        return self.gain + self.deferred


class Queue(Protocol):
    """Keep lots in the order of one method."""

    def push(self, lot: TaxLot) -> None:
        """Put a lot in its place."""
        ...

    def first(self, holding: Holding, sale: Sale) -> TaxLot:
        """Return the lot to close next; there must be one."""
        ...


Place = tuple[Any, ...]
"""A place in a queue: what orders it, then a number, the lot's version at the time, and the lot."""


class DateQueue:
    """Order lots by date. Lots mostly come in that order: then they stand in a row, the others in a heap."""

    __slots__ = ("by_since", "heap", "is_newest_first", "last", "row")

    def __init__(self, *, by_since: bool, is_newest_first: bool = False) -> None:
        self.by_since = by_since
        self.is_newest_first = is_newest_first
        self.row: deque[TaxLot] = deque()
        self.last = (date.min, 0)
        self.heap: list[Place] = []

    def push(self, lot: TaxLot) -> None:
        """Put a lot in its place."""
        place = (lot.since if self.by_since else lot.acquired, lot.number)
        if not lot.version and place > self.last:
            self.last = place
            self.row.append(lot)
        else:
            heappush(self.heap, (*self._key(lot), next(_numbers), lot.version, lot))

    def first(self, holding: Holding, sale: Sale) -> TaxLot:
        """Return the lot to close next."""
        del sale
        lot = self.peek(holding)
        assert lot is not None  # noqa: S101 - there must be one
        return lot

    def peek(self, holding: Holding) -> TaxLot | None:
        """Return the first lot, None when there is none."""
        row, end = self.row, -1 if self.is_newest_first else 0
        while row and (row[end].version or row[end].holding is not holding or not row[end].qty):
            del row[end]
        if _trim(self.heap, holding) and not (row and self._key(row[end]) < self.heap[0][:4]):
            return _top(self.heap, holding)
        return row[end] if row else None

    def _key(self, lot: TaxLot) -> tuple[int, ...]:
        day, number = (lot.since if self.by_since else lot.acquired).toordinal(), lot.number
        return (-day, -number, *lot.sub) if self.is_newest_first else (day, number, *lot.sub)


class CostQueue:
    """Order lots by their adjusted basis per unit, the highest first unless `is_least_first`."""

    __slots__ = ("by_date", "heap", "is_least_first")

    def __init__(self, rules: Rules, *, is_least_first: bool = False) -> None:
        self.is_least_first = is_least_first
        self.by_date = rules.sub_lots is SubLots.BY_DATE
        self.heap: list[Place] = []

    def push(self, lot: TaxLot) -> None:
        """Put a lot in its place."""
        worth = lot.basis / lot.qty
        day = lot.since if self.by_date else lot.acquired
        place = (worth if self.is_least_first else -worth, day, lot.number, lot.sub, next(_numbers))
        heappush(self.heap, (*place, lot.version, lot))

    def first(self, holding: Holding, sale: Sale) -> TaxLot:
        """Return the lot to close next."""
        del sale
        return _top(self.heap, holding)


class TaxQueue:
    """Order lots by the tax that closing one unit brings now: within each term the least gain first."""

    __slots__ = ("long", "short", "young")

    def __init__(self, rules: Rules, *, is_short: bool) -> None:
        self.short = CostQueue(rules, is_least_first=is_short)  # what brought least gains least
        self.long = CostQueue(rules)
        self.young = DateQueue(by_since=True)

    def push(self, lot: TaxLot) -> None:
        """Put a lot among the short-term ones and note that it may become long-term."""
        self.short.push(lot)
        if not lot.is_short:
            self.young.push(lot)

    def first(self, holding: Holding, sale: Sale) -> TaxLot:
        """Return the lot whose sale is taxed least at this price on this day."""
        while (lot := self.young.peek(holding)) is not None and is_long_term(lot.since, sale.on):
            lot.version += 1
            self.long.push(lot)
        tops = [_top(queue.heap, holding) for queue in (self.short, self.long) if _trim(queue.heap, holding)]
        return min(tops, key=lambda lot: (_unit_tax(lot, sale), lot.acquired, lot.number, lot.sub))


def _unit_tax(lot: TaxLot, sale: Sale) -> Decimal:
    gain = lot.unit_basis - sale.price if lot.is_short else sale.price - lot.unit_basis
    return gain * sale.rates.of(is_long=not lot.is_short and is_long_term(lot.since, sale.on))


def _is_current(place: Place, holding: Holding) -> bool:
    lot: TaxLot = place[-1]
    return lot.version == place[-2] and lot.holding is holding and lot.qty > 0


def _trim(heap: list[Place], holding: Holding) -> bool:
    """Drop stale places from the top; say whether a lot is left."""
    while heap and not _is_current(heap[0], holding):
        heappop(heap)
    return bool(heap)


def _top(heap: list[Place], holding: Holding) -> TaxLot:
    _trim(heap, holding)
    lot: TaxLot = heap[0][-1]
    return lot


class Holding:
    """Hold the open lots of one symbol on one side in one account."""

    __slots__ = ("gone", "holder", "is_short", "names", "qty", "queues", "rules", "security", "taken")

    def __init__(self, holder: Holder, security: Security, rules: Rules, *, is_short: bool) -> None:
        self.holder = holder
        self.security = security
        self.rules = rules
        self.is_short = is_short
        self.qty = ZERO
        self.taken: list[TaxLot] = []
        self.gone = 0
        self.queues: dict[LotMethod, Queue] = {}
        self.names: dict[str, list[TaxLot]] | None = None

    @property
    def lots(self) -> list[TaxLot]:
        """Return the open lots in the order they came."""
        return [lot for lot in dict.fromkeys(self.taken) if lot.qty and lot.holding is self]

    def add(self, lot: TaxLot) -> None:
        """Take a lot in."""
        lot.holding = self
        self.qty += lot.qty
        self.taken.append(lot)
        if self.queues:
            for queue in self.queues.values():
                queue.push(lot)
        if self.names is not None:
            self.names.setdefault(lot.lot_id, []).append(lot)

    def touch(self, lot: TaxLot) -> None:
        """Put a lot in its new place after its basis or date has changed."""
        lot.version += 1
        for queue in self.queues.values():
            queue.push(lot)

    def remove(self, lot: TaxLot) -> None:
        """Let a lot go, as it is."""
        self.qty -= lot.qty
        lot.holding = None
        self._miss()

    def first(self, method: LotMethod, sale: Sale) -> TaxLot:
        """Return the lot the method closes next; there must be one."""
        queue = self.queues.get(method)
        if queue is None:
            queue = self.queues[method] = self._queue(method)
            for lot in self.lots:
                queue.push(lot)
        return queue.first(self, sale)

    def _queue(self, method: LotMethod) -> Queue:
        if method is LotMethod.MIN_TAX:
            return TaxQueue(self.rules, is_short=self.is_short)
        if method is LotMethod.HIFO:
            return CostQueue(self.rules)
        by_since = self.rules.sub_lots is SubLots.BY_DATE
        return DateQueue(by_since=by_since, is_newest_first=method is LotMethod.LIFO)

    def named(self, lot_id: str) -> list[TaxLot]:
        """Return the open parts of a lot by its name, in the order they are closed."""
        if self.names is None:
            self.names = {}
            for lot in self.lots:
                self.names.setdefault(lot.lot_id, []).append(lot)
        found = [lot for lot in self.names.get(lot_id, ()) if lot.holding is self and lot.qty > 0]
        self.names[lot_id] = found
        return sorted(found, key=lambda lot: (lot.number, lot.sub))

    def split(self, lot: TaxLot, qty: Decimal) -> TaxLot:
        """Cut `qty` units off a lot as a lot of its own; all of it is the lot itself."""
        if qty == lot.qty:
            return lot
        piece = self.part(lot, qty)
        self.cut(lot, piece)
        self.add(piece)
        return piece

    def part(self, lot: TaxLot, qty: Decimal) -> TaxLot:
        """Return what `qty` units of a lot are, without taking them."""
        return TaxLot(
            lot.lot_id, lot.security, lot.acquired, lot.since, qty, self.rules.part(lot.basis, qty, lot.qty),
            lot.number, lot.key, lot.is_short, lot.is_used, self.rules.part(lot.deferred, qty, lot.qty),
            lot.sub, siblings=lot.siblings,
        )  # fmt: skip

    def cut(self, lot: TaxLot, piece: TaxLot) -> None:
        """Take the units and the basis of `piece` out of a lot."""
        lot.qty -= piece.qty
        lot.basis -= piece.basis
        lot.deferred -= piece.deferred
        self.qty -= piece.qty
        if not lot.qty:
            self._miss()

    def _miss(self) -> None:
        """Note that a lot is gone; forget those that are once they are most."""
        self.gone += 1
        if self.gone * 2 > len(self.taken):
            self.taken, self.gone = self.lots, 0
