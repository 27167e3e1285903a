"""Tax room: what this year's losses can still offset, and what a loss is therefore worth.

Rules of this room:
1. A loss nets against gains of its own term first, then of the other, then a bounded part of ordinary
   income; the rest is carried to the next year (IRC 1211(b), 1212(b), 1222).
2. A loss is never worth loss x rate: its lower basis is taxed later, and that is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from gateway.domain.book import Book
from gateway.domain.settings import AccountSettings, Harvest

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Split:
    """Say where a loss went: short gains, long gains, ordinary income, the next year; money."""

    short: float
    long: float
    ordinary: float
    carried: float


@dataclass(frozen=True, slots=True)
class Room:
    """Hold what losses can still offset this year: net short and long gains, ordinary income; money."""

    short: float = 0.0
    long: float = 0.0
    ordinary: float = 0.0

    def taken(self, loss: float, *, is_long: bool) -> tuple[Room, Split]:
        """Return the room after a loss (positive), and where it went."""
        first, second = (self.long, self.short) if is_long else (self.short, self.long)
        own = min(loss, first)
        other = min(loss - own, second)
        income = min(loss - own - other, self.ordinary)
        short, long = (other, own) if is_long else (own, other)
        left = Room(self.short - short, self.long - long, self.ordinary - income)
        return left, Split(short, long, income, loss - own - other - income)

    def with_gain(self, gain: float, *, is_long: bool) -> Room:
        """Return the room after a gain: there is more to offset."""
        return replace(self, long=self.long + gain) if is_long else replace(self, short=self.short + gain)


def room_of(
    book: Book, accounts: Iterable[str], today: date, harvest: Harvest, carried: Decimal = ZERO,
    elsewhere: Room | None = None,
) -> Room:  # fmt: skip
    """Return the room left in the year of `today`, over the household's taxable `accounts`.

    `elsewhere` are gains of the year outside of these accounts; its `ordinary` is not looked at.

    `carried` is the loss carried forward from earlier years, positive; it is used first, against short
    gains, then long ones, then income: what is left for new losses is then worth the least.
    """
    wanted = set(accounts)
    terms = {False: ZERO, True: ZERO}
    for gain in book.realised:
        if gain.account in wanted and gain.sold.year == today.year:
            terms[gain.is_long_term] += gain.gain
    outside = elsewhere or Room()
    short, long = float(terms[False]) + outside.short, float(terms[True]) + outside.long
    gains = Room(
        short=max(0.0, short + min(0.0, long)),
        long=max(0.0, long + min(0.0, short)),
        ordinary=float(harvest.ordinary_limit),
    )
    lost = max(0.0, -(short + long)) + float(carried)
    return gains.taken(lost, is_long=False)[0]


def deferred(amount: float, harvest: Harvest) -> float:
    """Return the present value of the tax on `amount` when its lower basis is sold: a * rate / (1 + r)^T."""
    growth = math.pow(1 + float(harvest.discount_rate), float(harvest.years))
    return amount * float(harvest.later_rate) / growth


def valued(
    gains: Sequence[tuple[float, bool]], settings: AccountSettings, room: Room
) -> tuple[float, float, Room]:
    """Value what a sale realises: return the tax it saves now, what that costs later, and the room left.

    `gains` are (gain, is long-term) of each piece, negative for a loss. Gains come first: they pay their
    tax, which counts as negative, and make room. A carried loss saves tax a year later, at the long rate.
    """
    costs, harvest = settings.costs, settings.harvest
    short_rate, long_rate = float(costs.short_term_rate), float(costs.long_term_rate)
    saved = 0.0
    for gain, is_long in sorted(gains, reverse=True):
        if gain > 0:
            room = room.with_gain(gain, is_long=is_long)
            saved -= gain * (long_rate if is_long else short_rate)
            continue
        room, split = room.taken(-gain, is_long=is_long)
        carried = split.carried * long_rate / (1 + float(harvest.discount_rate))
        saved += split.short * short_rate + split.long * long_rate + carried
        saved += split.ordinary * float(harvest.ordinary_rate)
    return saved, deferred(-sum(gain for gain, _ in gains), harvest), room
