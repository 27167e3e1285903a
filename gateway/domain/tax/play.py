"""Play a record: every entry in the order of its date, and the ledger that comes of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from gateway.domain.tax import actions
from gateway.domain.tax.ledger import Ledger, sale_key
from gateway.domain.tax.record import CapitalReturn, Deed, Entry, Lowering, SpinOff, Split, Trade, Transfer
from gateway.domain.tax.rules import Holder, Rules, Security, TaxError

CLOSING = (Deed.SELL, Deed.COVER)


class Misplaced(TaxError):
    """Refuse an entry of a record: `place` is its number in the order it was given, from 0."""

    def __init__(self, place: int, problem: TaxError) -> None:
        super().__init__(problem.field, problem.reason)
        self.place = place


def run(
    entries: Iterable[Entry],
    rules: Rules | None = None,
    holders: Iterable[Holder] = (),
    securities: Iterable[Security] = (),
    *,
    through: date | None = None,
) -> Ledger:
    """Return the ledger of a record, up to and with the day `through`.

    Entries of one day happen in the order given. Raises `Misplaced` for what cannot have happened.
    """
    ledger = Ledger(rules, {one.name: one for one in holders}, {one.symbol: one for one in securities})
    record = sorted(enumerate(entries), key=lambda numbered: numbered[1].on)
    last = {
        sale_key(entry): place
        for place, entry in record
        if isinstance(entry, Trade) and entry.order_id and not entry.deed.opens
    }
    for place, entry in record:
        if through is not None and entry.on > through:
            break
        try:
            take(ledger, entry, is_last=not last or last.get(_key(entry), place) == place)
        except TaxError as problem:
            raise Misplaced(place, problem) from None
    return ledger


def take(ledger: Ledger, entry: Entry, *, is_last: bool = True) -> None:
    """Take one entry; `is_last` says that no more of the same order follows that day."""
    match entry:
        case Trade():
            if entry.deed in CLOSING:
                ledger.close(entry, is_last=is_last)
            else:
                ledger.open(entry)
        case Split():
            actions.split(ledger, entry)
        case SpinOff():
            actions.spin_off(ledger, entry)
        case CapitalReturn():
            actions.return_capital(ledger, entry)
        case Lowering():
            actions.lower(ledger, entry)
        case Transfer():
            actions.transfer(ledger, entry)
        case _:
            actions.end_option(ledger, entry)


def _key(entry: Entry) -> object:
    return sale_key(entry) if isinstance(entry, Trade) else None
