"""What happens to the account besides orders: dividends, fees, deposits, splits and spin-offs, as activities.

Rules of this room:
1. What an activity says is booked in the venue's own account; the record shows it.
2. Opening positions have the opening price as their entry; fills move the mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from simulator.alpaca.words import Json, activity_id, new_id, stamp
from simulator.operations import number
from simulator.operations import text as text_of
from simulator.orders import ZERO
from simulator.record import text
from simulator.venue import Venue


class Happenings:
    """Remember activities that are no executions, oldest first."""

    def __init__(self, venue: Venue, account: str) -> None:
        self._venue = venue
        self._account = account
        self._rows: list[tuple[datetime, Json]] = []

    def rows(self) -> Iterator[tuple[datetime, Json]]:
        """Yield each with its time."""
        yield from self._rows

    def happen(self, arguments: Mapping[str, Any], now: datetime) -> None:
        """Book an activity: `kind` (DIV, FEE, CSD, SPIN, ...), `cash`, `symbol` and `qty`; `date` its own."""
        kind = text_of(arguments, "kind")
        cash = number(arguments, "cash") if "cash" in arguments else ZERO
        qty = number(arguments, "qty") if "qty" in arguments else ZERO
        symbol = text_of(arguments, "symbol") if "symbol" in arguments else ""
        account = self._venue.accounts.find(self._account)
        assert account is not None  # noqa: S101 - the command has checked it
        account.cash += cash
        if qty and kind != "DIV":
            account.positions[symbol] = account.positions.get(symbol, ZERO) + qty
        self._note(kind, now, symbol, qty, cash, str(arguments.get("date") or now.date().isoformat()))

    def split(self, symbol: str, ratio: Decimal, now: datetime) -> None:
        """Show a split the core has booked."""
        account = self._venue.accounts.find(self._account)
        held = account.positions.get(symbol, ZERO) if account is not None else ZERO
        if held:
            self._note("SPLIT", now, symbol, held - held / ratio, ZERO, now.date().isoformat())

    def _note(self, kind: str, now: datetime, symbol: str, qty: Decimal, cash: Decimal, on: str) -> None:
        name = new_id("activity", f"{self._account}/{len(self._rows)}")
        row: Json = {
            "id": activity_id(now, name), "activity_type": kind, "date": on, "net_amount": text(cash),
            "created_at": stamp(now), "status": "executed",
        }  # fmt: skip
        if symbol:
            row |= {"symbol": symbol, "qty": text(qty)}
        self._rows.append((now, row))
