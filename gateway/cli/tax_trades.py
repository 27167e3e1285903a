"""Reading the trades of a tax file, one object each, into the entries of a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gateway.cli.tax_words import Fields, moment, number
from gateway.domain.lots import LotMethod
from gateway.domain.tax.record import (
    CapitalReturn,
    Deed,
    Ending,
    Entry,
    OptionEnd,
    SpinOff,
    Split,
    Trade,
    Transfer,
)
from gateway.domain.tax.rules import Holder, Security
from gateway.errors import ConfigError

ZERO, ONE = Decimal(0), Decimal(1)


class Type(StrEnum):
    """Name what an entry is."""

    BUY = "buy"
    SELL = "sell"
    SHORT = "short"
    COVER = "cover"
    REINVEST = "reinvest"
    VEST = "vest"
    SPLIT = "split"
    SPIN_OFF = "spin_off"
    RETURN_OF_CAPITAL = "return_of_capital"
    TRANSFER = "transfer"
    EXERCISE = "exercise"
    ASSIGN = "assign"
    EXPIRE = "expire"


SAME = {
    "bought": Type.BUY, "purchase": Type.BUY, "buy_to_open": Type.BUY, "b": Type.BUY,
    "sold": Type.SELL, "sale": Type.SELL, "sell_to_close": Type.SELL, "s": Type.SELL,
    "short_sell": Type.SHORT, "sell_short": Type.SHORT, "short_sale": Type.SHORT, "sell_to_open": Type.SHORT,
    "write": Type.SHORT, "buy_to_cover": Type.COVER, "cover_short": Type.COVER, "buy_to_close": Type.COVER,
    "drip": Type.REINVEST, "reinvestment": Type.REINVEST, "dividend_reinvestment": Type.REINVEST,
    "reinvest_dividend": Type.REINVEST, "rsu": Type.VEST, "rsu_vest": Type.VEST, "vesting": Type.VEST,
    "stock_split": Type.SPLIT, "reverse_split": Type.SPLIT, "spinoff": Type.SPIN_OFF,
    "roc": Type.RETURN_OF_CAPITAL, "exercised": Type.EXERCISE, "option_exercise": Type.EXERCISE,
    "assignment": Type.ASSIGN, "assigned": Type.ASSIGN, "option_assignment": Type.ASSIGN,
    "expired": Type.EXPIRE, "expiry": Type.EXPIRE, "expiration": Type.EXPIRE, "option_expiry": Type.EXPIRE,
}  # fmt: skip
DEEDS = {
    Type.BUY: Deed.BUY, Type.SELL: Deed.SELL, Type.SHORT: Deed.SHORT, Type.COVER: Deed.COVER,
    Type.REINVEST: Deed.REINVEST, Type.VEST: Deed.VEST,
}  # fmt: skip
ENDINGS = {Type.EXERCISE: Ending.EXERCISED, Type.ASSIGN: Ending.ASSIGNED, Type.EXPIRE: Ending.EXPIRED}
METHODS = {"mintax": LotMethod.MIN_TAX, "highest_tax_benefit": LotMethod.MIN_TAX}


@dataclass(frozen=True, slots=True)
class Draft:
    """Hold one entry, where it stands in the file, and its time of day as text."""

    path: str
    time: str
    entry: Entry


@dataclass(slots=True)
class Names:
    """Remember what lots may be called: their id, their order, or the day they were bought."""

    lot_ids: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def note(self, account_less: str, called: str, lot_id: str) -> None:
        """Note that a lot may be called so."""
        self.lot_ids.setdefault((account_less, called), set()).add(lot_id)

    def find(self, path: str, symbol: str, called: str) -> str:
        """Return the one lot that is called so."""
        found = sorted(self.lot_ids.get((symbol, called), ()))
        if len(found) == 1:
            return found[0]
        if not found:
            raise ConfigError(
                f"{path}: no lot of {symbol} is called {called[:40]!r}; name its lot, order or date"
            )
        raise ConfigError(f"{path}: {called[:40]!r} may be {' or '.join(found)}; name one of them")


def entries(
    given: list[Any], holders: dict[str, Holder], securities: Mapping[str, Security], method: LotMethod
) -> list[Draft]:
    """Read all trades, in order of date and time; accounts nobody described are added to `holders`.

    Those may only appear when the file describes no account at all.
    """
    from gateway.cli.tax_file import kind_of  # noqa: PLC0415 - the two halves of one reader

    rows = [Fields(f"trades[{place}]", one) for place, one in enumerate(given)]
    is_open = not holders
    names = Names()
    drafts: list[Draft] = []
    for row in rows:
        for label in ("account", "to"):
            name = _account(row, label, holders) if label == "account" or row.has("to") else ""
            if name and name not in holders:
                if not is_open:
                    known = ", ".join(sorted(holders))
                    raise ConfigError(
                        f"{row.at(label)}: {name[:40]!r} is not among the accounts; known: {known}"
                    )
                holders[name] = Holder(name, kind_of(name), method=method)
        _name_lot(row, names)
    for row in rows:
        entry = _entry(row, securities, names)
        row.raw("comment", "note", "notes", "time")
        row.done()
        drafts.append(Draft(row.path, str(row.raw("time") or moment(row.raw("date", "on"))), entry))
    return sorted(drafts, key=lambda draft: (draft.entry.on, draft.time))


def _account(row: Fields, label: str, holders: Mapping[str, Holder]) -> str:
    """Return an entry's account; a file with one account need not name it. Corporate actions are in all."""
    if label == "to" or row.has("account", "from"):
        return row.text(label) if label == "to" else row.text("account", "from")
    kind = _kind(row)
    if kind in (Type.SPLIT, Type.SPIN_OFF, Type.RETURN_OF_CAPITAL):
        return ""
    if len(holders) > 1:
        raise ConfigError(f"{row.at('account')}: is missing; write one of {', '.join(sorted(holders))}")
    row.given["account"] = next(iter(holders), "main")
    return row.text("account")


def _kind(row: Fields) -> Type:
    if not row.has("type", "action", "side"):
        raise ConfigError(f"{row.at('type')}: is missing; write one of {', '.join(Type)}")
    return row.choice(Type, "type", "action", "side", default=Type.BUY, also=SAME)


def _name_lot(row: Fields, names: Names) -> None:
    """Note what the lot of an opening trade may be called."""
    kind = _kind(row)
    if kind in DEEDS and DEEDS[kind].opens:
        symbol, lot_id = row.text("symbol"), _lot_id(row)
        for called in {
            lot_id,
            row.text("order", "order_id", default=lot_id),
            row.day("date", "on").isoformat(),
        }:
            names.note(symbol, called, lot_id)


def _lot_id(row: Fields) -> str:
    order = row.text("order", "order_id", default="")
    return row.text("lot", "lot_id", "id", default=order or row.day("date", "on").isoformat())


def _entry(row: Fields, securities: Mapping[str, Security], names: Names) -> Entry:
    kind = _kind(row)
    if kind in DEEDS:
        return _trade(row, DEEDS[kind], securities, names)
    if kind in ENDINGS:
        return OptionEnd(
            row.day("date", "on"), row.text("account", default=""), row.text("symbol"), ENDINGS[kind],
            row.number("qty", "quantity", "contracts", above=0),
            row.number("fee", "fees", "commission", default=ZERO, least=0),
        )  # fmt: skip
    return OTHERS[kind](row, names)


def _trade(row: Fields, deed: Deed, securities: Mapping[str, Security], names: Names) -> Trade:
    symbol = row.text("symbol")
    qty = row.number("qty", "quantity", "shares", "contracts", above=0)
    unit = securities[symbol].multiplier if symbol in securities else ONE
    total = row.has("amount", "total", "proceeds", "cost", "basis")
    if total and row.has("price"):
        raise ConfigError(f"{row.at('price')}: and {total} both say the money; write one of them")
    amount = row.number(total, least=0) if total else qty * unit * row.number("price", least=0)
    return Trade(
        on=row.day("date", "on"),
        account=row.text("account", default=""),
        deed=deed,
        symbol=symbol,
        qty=qty,
        amount=amount,
        fee=row.number("fee", "fees", "commission", default=ZERO, least=0),
        order_id=row.text("order", "order_id", default=""),
        lot_id=_lot_id(row) if deed.opens else "",
        lots=() if deed.opens else _lots(row, symbol, names),
        method=None if deed.opens or not row.has("method", "lot_method") else _method(row),
    )


def _method(row: Fields) -> LotMethod:
    return row.choice(LotMethod, "method", "lot_method", default=LotMethod.FIFO, also=METHODS)


def _lots(row: Fields, symbol: str, names: Names) -> tuple[tuple[str, Decimal | None], ...]:
    """Read `lots`: a name, a list of names or of {"lot", "qty"}, or an object of quantities by name."""
    given = row.raw("lots", "lot")
    path = row.at("lots")
    if given is None:
        return ()
    if isinstance(given, Mapping):
        pairs = [(name, qty) for name, qty in given.items()]
    else:
        pairs = []
        for place, one in enumerate(given if isinstance(given, list) else [given]):
            if isinstance(one, Mapping):
                part = Fields(f"{path}[{place}]", one)
                pairs.append((part.text("lot", "id", "date", "order"), part.raw("qty", "quantity", "shares")))
                part.done()
            else:
                pairs.append((str(one), None))
    return tuple(
        (names.find(path, symbol, name), None if qty is None else number(f"{path}.{name}", qty, above=0))
        for name, qty in pairs
    )


def _split(row: Fields, names: Names) -> Entry:
    del names
    into, of = _ratio(row)
    return Split(row.day("date", "on"), row.text("symbol"), into, of, row.text("account", default=""))


def _ratio(row: Fields) -> tuple[Decimal, Decimal]:
    """Read a split's ratio: 2, "2:1", "3 for 2" or "1-for-10": new units for old ones."""
    value = row.raw("ratio", "factor")
    path = row.at("ratio")
    if not isinstance(value, str):
        return row.number("ratio", "factor", above=0), ONE
    words = value.lower().replace("-", " ").replace("for", ":").replace("/", ":").split(":")
    if len(words) > 2:  # noqa: PLR2004 - new units and old ones
        raise ConfigError(f'{path}: is not a ratio; write 2 or "3:2"')
    parts = [number(path, word, above=0) for word in words]
    return parts[0], parts[1] if len(parts) > 1 else ONE


def _spin_off(row: Fields, names: Names) -> Entry:
    del names
    fraction = row.number("fraction", "basis_fraction", least=0)
    if fraction > 1:
        raise ConfigError(
            f"{row.at('fraction')}: must not be above 1; it is the share of basis the new one takes"
        )
    return SpinOff(
        row.day("date", "on"), row.text("symbol"), row.text("new_symbol", "new"),
        row.number("ratio", above=0), fraction, row.text("account", default=""),
    )  # fmt: skip


def _return_of_capital(row: Fields, names: Names) -> Entry:
    del names
    is_per_unit = bool(row.has("per_share", "per_unit"))
    amount = row.number("per_share", "per_unit", least=0) if is_per_unit else row.number("amount", least=0)
    return CapitalReturn(
        row.day("date", "on"), row.text("symbol"), amount, is_per_unit, row.text("account", default="")
    )


def _transfer(row: Fields, names: Names) -> Entry:
    symbol = row.text("symbol")
    return Transfer(
        row.day("date", "on"), row.text("account", "from", default=""), row.text("to"), symbol,
        row.number("qty", "quantity", "shares", above=0), _lots(row, symbol, names),
    )  # fmt: skip


OTHERS: dict[Type, Callable[[Fields, Names], Entry]] = {
    Type.SPLIT: _split,
    Type.SPIN_OFF: _spin_off,
    Type.RETURN_OF_CAPITAL: _return_of_capital,
    Type.TRANSFER: _transfer,
}
