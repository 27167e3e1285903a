"""The tax record a decision looks at: adjusted lots and losses that wait, one identical group at a time.

Rules of this room:
1. A group whose household never realised a loss has nothing to adjust; nor has one without a sale inside
   the window of an open lot's purchase. Neither costs a ledger.
2. A ledger is a function of what a group has realised and holds. It is worked out when it is first asked
   about, and again only when one of these has changed: the last ones are remembered, for all views.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeVar

from gateway.decision.view import View
from gateway.domain.lots import RealisedGain, Relief
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.live import ledger_of
from gateway.domain.tax.lots import TaxLot
from gateway.domain.tax.matching import Loss

K = TypeVar("K")
V = TypeVar("V")
ZERO = Decimal(0)
REMEMBERED = 20_000
"""Ledgers that are remembered at most."""
HOUSEHOLDS = 64
"""Households whose gains are remembered by symbol at most."""


@dataclass(frozen=True, slots=True)
class Realised:
    """Hold a household's gains by symbol, the days of its sales in order, and the symbols that ever lost.

    `whole` is what it is made of.
    """

    whole: list[RealisedGain] = field(default_factory=list)
    gains: dict[str, list[RealisedGain]] = field(default_factory=dict)
    days: dict[str, list[date]] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()

    def grown(self, whole: list[RealisedGain]) -> Realised:
        """Return the same for `whole`, of which this is the beginning; this one stays as it is."""
        gains, days, tail = dict(self.gains), dict(self.days), whole[len(self.whole) :]
        more: dict[str, list[RealisedGain]] = {}
        for gain in tail:
            more.setdefault(gain.symbol, []).append(gain)
        for symbol, new in more.items():
            gains[symbol] = [*gains.get(symbol, ()), *new]
            days[symbol] = sorted({*days.get(symbol, ()), *(gain.sold for gain in new)})
        lost = self.lost | {gain.symbol for gain in tail if gain.gain < ZERO}
        return Realised(list(whole), gains, days, lost)

    def has_sale(self, symbol: str, first: date, last: date) -> bool:
        """Say whether a symbol was sold from `first` to `last`."""
        days = self.days.get(symbol, [])
        at = bisect_left(days, first)
        return at < len(days) and days[at] <= last


_realised: dict[tuple[str, ...], Realised] = {}
_ledgers: dict[object, tuple[object, Ledger]] = {}


def _remembered(memory: dict[K, V], key: K, value: V, most: int) -> V:
    """Remember a value under a key, and forget the one longest known where there are too many."""
    memory.pop(key, None)
    while len(memory) >= most:
        del memory[next(iter(memory))]
    memory[key] = value
    return value


@dataclass(slots=True)
class TaxRecord:
    """Know what a view's household realised, and the ledgers worked out of it, by group.

    With `only`, nothing is known but that group.
    """

    view: View
    only: str = ""
    near: dict[str, bool] = field(default_factory=dict)
    ledgers: dict[str, Ledger | None] = field(default_factory=dict)
    _waiting: dict[tuple[str, bool], list[Loss]] = field(default_factory=dict)
    _past: Realised | None = None
    _symbols: dict[str, list[str]] = field(default_factory=dict)

    @property
    def days(self) -> int:
        """Return the days on either side of a loss sale."""
        return self.view.account.decision.wash_sale_window_days

    @property
    def past(self) -> Realised:
        """Return what the household realised, by symbol."""
        if self._past is None:
            book = self.view.book
            key = tuple(book.accounts)
            known = _realised.get(key, Realised())
            if book.realised[: len(known.whole)] != known.whole:
                known = Realised()
            if len(known.whole) != len(book.realised):
                known = _remembered(_realised, key, known.grown(book.realised), HOUSEHOLDS)
            self._past = known
        return self._past

    def symbols(self, group: str) -> list[str]:
        """Return the symbols of a group; none of any other than `only`."""
        if not self._symbols:
            for symbol, one in self.view.instruments.items():
                if self.only in ("", one.group):
                    self._symbols.setdefault(one.group, []).append(symbol)
        return self._symbols.get(group, [])

    def gains(self, group: str) -> list[RealisedGain]:
        """Return what the household realised in a group."""
        past = self.past.gains
        found = [past[symbol] for symbol in self.symbols(group) if symbol in past]
        return found[0] if len(found) == 1 else [gain for gains in found for gain in gains]

    def ledger(self, group: str) -> Ledger | None:
        """Return the ledger of a group, None when nothing in it was ever sold at a loss."""
        if group not in self.ledgers:
            self.ledgers[group] = self._ledger(group)
        return self.ledgers[group]

    def _ledger(self, group: str) -> Ledger | None:
        symbols, book = self.symbols(group), self.view.book
        if self.past.lost.isdisjoint(symbols):
            return None
        held = [
            (name, symbol, lot.lot_id, lot.qty, lot.cost, lot.acquired, lot.order_id)
            for name, account in book.accounts.items()
            for symbol in symbols
            for lot in account.lots.get(symbol, ())
        ]
        kinds = [(name, account.taxable) for name, account in book.accounts.items()]
        gains = self.gains(group)
        key = (group, tuple(book.accounts), self.days)
        made_of = (symbols, kinds, held, gains, list(book.splits), list(book.lowered))
        known = _ledgers.get(key)
        if known is None or known[0] != made_of:
            ledger = ledger_of(book, self.view.instruments, self.days, symbols, gains)
            known = _remembered(_ledgers, key, (made_of, ledger), REMEMBERED)
        return known[1]

    def _is_near(self, group: str) -> bool:
        """Say whether any sale was so near to the purchase of an open lot that it may have adjusted it."""
        if group not in self.near:
            symbols, window = self.symbols(group), timedelta(days=self.days)
            sold = [symbol for symbol in symbols if symbol in self.past.days]
            self.near[group] = any(
                self.past.has_sale(one, lot.acquired - window, lot.acquired + window)
                for one in sold
                for account in self.view.book.accounts.values()
                for symbol in symbols
                for lot in account.lots.get(symbol, ())
            )
        return self.near[group]

    def waiting(self, group: str, *, is_short: bool = False) -> list[Loss]:
        """Return losses, oldest first, that a purchase today would still wash, with `is_short` a short sale.

        A loss that earlier purchases have used up is none of them.
        """
        key = (group, is_short)
        if key not in self._waiting:
            self._waiting[key] = self._losses(group, is_short=is_short)
        return self._waiting[key]

    def _losses(self, group: str, *, is_short: bool) -> list[Loss]:
        today, window = self.view.trade_date, self.days
        first, last = today - timedelta(days=window), today + timedelta(days=window)
        if not any(self.past.has_sale(symbol, first, last) for symbol in self.symbols(group)):
            return []
        ledger = self.ledger(group)
        if ledger is None:
            return []
        return [
            loss
            for family in ledger.families.values()
            for (_, side), losses in family.waiting.items()
            if side is is_short
            for loss in losses
            if abs((today - loss.on).days) <= window
        ]

    def parts(self, account: str, symbol: str, lot_id: str) -> list[TaxLot]:
        """Return the parts of one lot with adjusted basis and date; none when nothing adjusts it."""
        group = self.view.instruments[symbol].group
        ledger = self.ledger(group) if self._is_near(group) else None
        if ledger is None:
            return []
        return [
            part
            for is_short in (False, True)
            for part in ledger.holding(account, symbol, is_short=is_short).named(lot_id)
        ]

    def adjusted(self, account: str, symbol: str, closed: Sequence[Relief]) -> list[Relief]:
        """Return what a trade closes with adjusted cost and date, cut where a wash sale has cut a lot.

        Signs are those of `closed`. Source: IRC 1091(d), 1223(3).
        """
        found: list[Relief] = []
        for relief in closed:
            parts, left = self.parts(account, symbol, relief.lot_id), abs(relief.qty)
            if not parts:
                found.append(relief)
            for part in parts:
                size = min(part.qty, left)
                if size:
                    left -= size
                    sign = -1 if part.is_short else 1
                    cost = sign * part.basis * size / part.qty
                    found.append(Relief(relief.lot_id, part.since, sign * size, cost, relief.order_id))
        return found


def tax_record(view: View, *, only: str = "") -> TaxRecord:
    """Return the tax record of a view; with `only`, of nothing but that group."""
    return TaxRecord(view, only)
