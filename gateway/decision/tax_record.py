"""The tax record a decision looks at: adjusted lots and losses that wait, one identical group at a time.

Rules of this room:
1. A group whose household never realised a loss has nothing to adjust; nor has one without a sale inside
   the window of an open lot's purchase. Neither costs a ledger.
2. A ledger is worked out once for a record, when it is first asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from gateway.decision.view import View
from gateway.domain.lots import RealisedGain, Relief
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.live import ledger_of
from gateway.domain.tax.lots import TaxLot
from gateway.domain.tax.matching import Loss

ZERO = Decimal(0)


@dataclass(slots=True)
class TaxRecord:
    """Hold what a view's household realised, and the ledgers worked out of it, by group; made when asked for.

    With `only`, nothing is known but that group.
    """

    view: View
    only: str = ""
    ledgers: dict[str, Ledger | None] = field(default_factory=dict)
    near: dict[str, bool] = field(default_factory=dict)
    _gains: dict[str, list[RealisedGain]] | None = None

    @property
    def days(self) -> int:
        """Return the days on either side of a loss sale."""
        return self.view.account.decision.wash_sale_window_days

    def gains(self, group: str) -> list[RealisedGain]:
        """Return what the household realised in a group."""
        if self._gains is None:
            instruments = self.view.instruments
            found: dict[str, list[RealisedGain]] = {}
            for gain in self.view.book.realised:
                own = instruments[gain.symbol].group
                if self.only in ("", own):
                    found.setdefault(own, []).append(gain)
            self._gains = found
        return self._gains.get(group, [])

    def ledger(self, group: str) -> Ledger | None:
        """Return the ledger of a group, None when nothing in it was ever sold at a loss."""
        if group not in self.ledgers:
            gains = self.gains(group)
            found = None
            if any(gain.gain < ZERO for gain in gains):
                names = self._names(group)
                found = ledger_of(self.view.book, self.view.instruments, self.days, names, gains)
            self.ledgers[group] = found
        return self.ledgers[group]

    def _names(self, group: str) -> list[str]:
        return [symbol for symbol, one in self.view.instruments.items() if one.group == group]

    def _is_near(self, group: str) -> bool:
        """Say whether any sale was so near to the purchase of an open lot that it may have adjusted it."""
        if group not in self.near:
            sold = {gain.sold for gain in self.gains(group)}
            window = timedelta(days=self.days)
            self.near[group] = bool(sold) and any(
                lot.acquired - window <= day <= lot.acquired + window
                for account in self.view.book.accounts.values()
                for symbol in self._names(group)
                for lot in account.lots.get(symbol, ())
                for day in sold
            )
        return self.near[group]

    def waiting(self, group: str, *, is_short: bool = False) -> list[Loss]:
        """Return losses, oldest first, that a purchase today would still wash, with `is_short` a short sale.

        A loss that earlier purchases have used up is none of them.
        """
        today, window = self.view.trade_date, self.days
        if not any(abs((today - gain.sold).days) <= window for gain in self.gains(group)):
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
