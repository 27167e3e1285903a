"""`gateway tax`: what a record of trades comes to: sales, wash sales, open lots, years, locks, Form 8949."""

from __future__ import annotations

import csv
import gc
import io
import json
from datetime import date
from decimal import Decimal
from typing import Any

import click

from gateway.cli.connect import read_text
from gateway.cli.root import OK
from gateway.cli.tax_file import TaxFile, read
from gateway.cli.tax_words import day
from gateway.domain.lots import is_long_term
from gateway.domain.tax.form import form_8949, money, plain
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.locks import locks
from gateway.domain.tax.lots import Line, TaxLot
from gateway.domain.tax.play import Misplaced, run
from gateway.domain.tax.rules import ZERO
from gateway.domain.tax.year import Carried, Year, years
from gateway.errors import ConfigError

HELP = """Work out the taxes of a record of trades, by the wash-sale rule as it is (IRC 1091).

FILE is JSON (- reads standard input): {"trades": [...]} is enough, {"accounts", "instruments", "identical",
"policy", "rates", "filing", "carry_forward", "prices", "as_of", "lot_method"} say more. Prints one JSON
object: "sales" (a line for each lot closed), "open_lots", "years", "locks", "check". The format is in
gateway/domain/tax/README.md, examples are in config/example/tax.

\b
  {"accounts": {"main": "taxable", "ira": "ira"},
   "trades": [
    {"date": "2024-01-02", "account": "main", "type": "buy",  "symbol": "XYZ", "qty": 100, "price": 50},
    {"date": "2024-03-01", "account": "main", "type": "sell", "symbol": "XYZ", "qty": 100, "price": 40},
    {"date": "2024-03-20", "account": "ira",  "type": "buy",  "symbol": "XYZ", "qty": 60,  "price": 41}]}

A mistake in the file is one sentence with the path of the field, and exit code 2. This is no tax advice.
"""


@click.command(help=HELP)
@click.argument("file")
@click.option("--csv", "is_csv", is_flag=True, help="Print Form 8949 as CSV, columns (a) to (h), instead.")
@click.option("--year", type=int, default=0, help="Only this year's sales (with --csv).")
@click.option(
    "--locks", "locked_on", default="", help="Print what is locked on this day, YYYY-MM-DD, instead."
)
def tax(file: str, is_csv: bool, year: int, locked_on: str) -> int:
    """Read a record, work it out, print it."""
    on = day("--locks", locked_on) if locked_on else None
    text = read_text(file)
    gc.disable()  # millions of lots live to the end: to look for cycles among them takes as long as the work
    try:
        given = read(text)
        if on is not None:
            _print({"on": on, "locks": _locks(given, on)})
            return OK
        ledger = _ledger(given)
        if is_csv:
            click.echo(_csv(form_8949(ledger.lines, ledger.holders, year)), nl=False)
        else:
            _print(report(given, ledger))
    except ConfigError as problem:
        raise ConfigError(f"{file}: {problem}") from None
    finally:
        gc.enable()
    return OK


def _print(found: dict[str, Any]) -> None:
    click.echo(json.dumps(found, indent=1, default=str))


def _ledger(given: TaxFile, through: date | None = None) -> Ledger:
    """Work the record out; an entry that cannot have happened is named by its place in the file."""
    try:
        return run(
            [draft.entry for draft in given.drafts], given.rules, given.holders.values(),
            given.securities.values(), through=through,
        )  # fmt: skip
    except Misplaced as problem:
        path = given.drafts[problem.place].path
        raise ConfigError(f"{path}.{problem.field}: {problem.reason}") from None


def report(given: TaxFile, ledger: Ledger) -> dict[str, Any]:
    """Return everything a record comes to, money and quantities as decimal strings."""
    last = max((draft.entry.on for draft in given.drafts), default=None)
    on = given.as_of or last
    taxed = [line for line in ledger.lines if line.is_taxed]
    lots = ledger.open_lots()
    open_deferred = sum((-lot.deferred if lot.is_short else lot.deferred for lot in lots), ZERO)
    summed = years(ledger.lines, ledger.holders, given.filing, given.carried, given.rules.rates)
    allowed = sum((line.allowed for line in taxed), ZERO)
    permanent = sum((line.permanent for line in taxed), ZERO)
    economic = sum((line.economic for line in taxed), ZERO)
    return {
        "sales": [_sale(line) for line in ledger.lines],
        "open_lots": [_lot(lot, given.prices, on) for lot in lots] if on is not None else [],
        "years": [_year(year) for year in summed],
        "locks": _locks(given, on) if on is not None else [],
        "as_of": on,
        "check": {
            "allowed": money(allowed), "permanent": money(permanent), "deferred": money(open_deferred),
            "economic": money(economic), "difference": money(allowed - permanent - open_deferred - economic),
        },
    }  # fmt: skip


def _sale(line: Line) -> dict[str, Any]:
    return {
        "date": line.on, "account": line.account, "symbol": line.symbol, "kind": line.kind,
        "qty": plain(line.qty), "lot": line.lot_id, "bought": line.bought, "acquired": line.acquired,
        "proceeds": money(line.proceeds), "basis": money(line.basis), "gain": money(line.gain),
        "term": "long" if line.is_long else "short", "is_wash_sale": line.disallowed > 0,
        "disallowed": money(line.disallowed), "permanent": money(line.permanent),
        "deferred": money(line.disallowed - line.permanent), "allowed": money(line.allowed),
        "economic": money(line.economic), "taxable": line.is_taxed,
        "replaced_by": [
            {
                "account": match.account, "lot": match.lot_id, "bought": match.acquired,
                "qty": plain(match.qty), "amount": money(match.amount), "permanent": match.is_permanent,
            }
            for match in line.matches
        ],
    }  # fmt: skip


def _lot(lot: TaxLot, prices: dict[str, Decimal], on: date) -> dict[str, Any]:
    assert lot.holding is not None  # noqa: S101 - an open lot is held
    symbol = lot.security.symbol
    shown: dict[str, Any] = {
        "account": lot.holding.holder.name, "symbol": symbol, "side": "short" if lot.is_short else "long",
        "lot": lot.lot_id, "qty": plain(lot.qty), "bought": lot.acquired, "acquired": lot.since,
        "basis": money(lot.basis), "unit_basis": f"{lot.unit_basis:.6f}",
        "wash_adjustment": money(lot.deferred),
    }  # fmt: skip
    is_long = not lot.is_short and is_long_term(lot.since, on)
    shown["term"] = "long" if is_long else "short"
    if symbol in prices:
        value = lot.qty * lot.security.multiplier * prices[symbol]
        shown["value"] = money(value)
        shown["unrealised"] = money(lot.basis - value if lot.is_short else value - lot.basis)
    return shown


def _year(year: Year) -> dict[str, Any]:
    return {
        "taxpayer": year.taxpayer, "year": year.year,
        "short_term": money(year.short_term), "long_term": money(year.long_term),
        "carried_in": _carried(year.carried_in), "net": money(year.net), "deducted": money(year.deducted),
        "carry_forward": _carried(year.carried_out), "tax": money(year.tax),
        "disallowed": money(year.disallowed), "permanent": money(year.permanent),
        "economic": money(year.economic),
    }  # fmt: skip


def _carried(one: Carried) -> dict[str, str]:
    return {"short_term": money(one.short_term), "long_term": money(one.long_term)}


def _locks(given: TaxFile, on: date) -> list[dict[str, Any]]:
    return [
        {
            "action": lock.action, "group": lock.group, "symbols": lock.symbols, "account": lock.account,
            "reason": lock.reason, "first_safe_day": lock.first_safe_day, "qty": plain(lock.qty),
            "amount": money(lock.amount),
        }
        for lock in locks(_ledger(given, on), on, given.prices)
    ]  # fmt: skip


def _csv(rows: list[tuple[str, ...]]) -> str:
    """Return rows as CSV; what a spreadsheet would take for a formula is quoted with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([f"'{cell}" if cell[:1] in ("=", "+", "@", "\t") else cell for cell in row])
    return out.getvalue()


COMMANDS = {"tax": tax}
