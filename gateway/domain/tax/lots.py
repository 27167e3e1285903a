"""Open lots with adjusted basis, and the order in which an account closes them.

Rules of this room:
1. All the shares of a lot have replaced sold ones, or none has: `split` cuts it where a match ends.
2. What moves a lot's place in an order calls `Holding.touch`; stale places are skipped, never searched for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol

from gateway.domain.lots import LotMethod, Sale, is_long_term, long_term_from
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


class KeyQueue:
    """Order lots by a key that no sale changes."""

    def __init__(self, method: LotMethod, rules: Rules) -> None:
        self.method = method
        self.by_date = rules.sub_lots is SubLots.BY_DATE
        self.heap: list[Place] = []

    def push(self, lot: TaxLot) -> None:
        """Put a lot in its place."""
        day = (lot.since if self.by_date else lot.acquired).toordinal()
        end = (lot.sub, next(_numbers), lot.version, lot)
        if self.method is LotMethod.FIFO:
            heappush(self.heap, (day, lot.number, *end))
        elif self.method is LotMethod.LIFO:
            heappush(self.heap, (-day, -lot.number, *end))
        else:
            is_least_first = (
                self.method is LotMethod.MIN_TAX and lot.is_short
            )  # what brought least gains least
            worth = lot.unit_basis if is_least_first else -lot.unit_basis
            heappush(self.heap, (worth, day, lot.number, *end))

    def first(self, holding: Holding, sale: Sale) -> TaxLot:
        """Return the lot to close next."""
        del sale
        return _top(self.heap, holding)


class TaxQueue:
    """Order lots by the tax that closing one unit brings now: within each term the least gain first."""

    def __init__(self, rules: Rules) -> None:
        self.short = KeyQueue(LotMethod.MIN_TAX, rules)
        self.long = KeyQueue(LotMethod.MIN_TAX, rules)
        self.ripening: list[Place] = []

    def push(self, lot: TaxLot) -> None:
        """Put a lot among the short-term ones and note when it becomes long-term."""
        self.short.push(lot)
        if not lot.is_short:
            heappush(self.ripening, (long_term_from(lot.since), next(_numbers), lot.version, lot))

    def first(self, holding: Holding, sale: Sale) -> TaxLot:
        """Return the lot whose sale is taxed least at this price on this day."""
        while self.ripening and self.ripening[0][0] <= sale.on:
            place = heappop(self.ripening)
            if _is_current(place, holding):
                lot = place[-1]
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

    def __init__(self, holder: Holder, security: Security, rules: Rules, *, is_short: bool) -> None:
        self.holder = holder
        self.security = security
        self.rules = rules
        self.is_short = is_short
        self.qty = ZERO
        self.lots: dict[TaxLot, None] = {}
        self.queues: dict[LotMethod, Queue] = {}
        self.names: dict[str, list[TaxLot]] | None = None

    def add(self, lot: TaxLot) -> None:
        """Take a lot in."""
        lot.holding = self
        self.qty += lot.qty
        self.lots[lot] = None
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
        del self.lots[lot]
        self.qty -= lot.qty
        lot.holding = None

    def first(self, method: LotMethod, sale: Sale) -> TaxLot:
        """Return the lot the method closes next; there must be one."""
        queue = self.queues.get(method)
        if queue is None:
            is_taxwise = method is LotMethod.MIN_TAX
            queue = TaxQueue(self.rules) if is_taxwise else KeyQueue(method, self.rules)
            self.queues[method] = queue
            for lot in self.lots:
                queue.push(lot)
        return queue.first(self, sale)

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
            del self.lots[lot]
