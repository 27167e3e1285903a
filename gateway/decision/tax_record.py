"""The tax record a decision looks at: adjusted lots and losses that wait, one identical group at a time.

Rules of this room:
1. A group whose household never realised a loss has nothing to adjust and costs nothing.
2. A ledger is worked out once for a view, when it is first asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from gateway.decision.view import View
from gateway.domain.lots import RealisedGain, Relief
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.live import ledger_of
from gateway.domain.tax.lots import TaxLot
from gateway.domain.tax.matching import Loss


@dataclass(slots=True)
class TaxRecord:
    """Hold the ledgers of one view by group; `gains` are what was realised in groups that had a loss."""

    view: View
    gains: dict[str, list[RealisedGain]] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    symbols: dict[str, list[str]] = field(default_factory=dict)

    def ledger(self, group: str) -> Ledger | None:
        """Return the ledger of a group, None when nothing in it was ever sold at a loss."""
        if group not in self.gains:
            return None
        found = self.ledgers.get(group)
        if found is None:
            window = self.view.account.decision.wash_sale_window_days
            found = ledger_of(
                self.view.book, self.view.instruments, window, self.symbols[group], self.gains[group]
            )
            self.ledgers[group] = found
        return found

    def waiting(self, group: str, *, is_short: bool = False) -> list[Loss]:
        """Return losses, oldest first, that a purchase today would still wash, with `is_short` a short sale.

        A loss that earlier purchases have used up is none of them.
        """
        ledger = self.ledger(group)
        if ledger is None:
            return []
        today, window = self.view.trade_date, self.view.account.decision.wash_sale_window_days
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
        ledger = self.ledger(self.view.instruments[symbol].group)
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
    """Gather what the household realised in every group that has had a loss; with `only`, in that group."""
    record = TaxRecord(view)
    for symbol, instrument in view.instruments.items():
        if only in ("", instrument.group):
            record.symbols.setdefault(instrument.group, []).append(symbol)
    by_group: dict[str, list[RealisedGain]] = {}
    lost: set[str] = set()
    for gain in view.book.realised:
        group = view.instruments[gain.symbol].group
        if only in ("", group):
            by_group.setdefault(group, []).append(gain)
            if gain.gain < Decimal(0):
                lost.add(group)
    record.gains = {group: by_group[group] for group in lost}
    return record
