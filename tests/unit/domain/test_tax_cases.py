"""Worked cases of the tax rules, in `tax_cases/*.json`: each with its source and, where it needs one, the
reasoning. They go through the reader and the printer of `gateway tax`, as a user's file does.

A trade is `DATE ACCOUNT TYPE SYMBOL QTY [@ PRICE | for TOTAL] [field=value ...]`; what is expected is
`QTY gain G disallowed D permanent P allowed A TERM`, `ACCOUNT QTY SYMBOL basis B since DATE` and
`TAXPAYER YEAR short S long L carry S L`.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.tax import _ledger, report
from gateway.cli.tax_file import read

CASES = [
    case
    for path in sorted((Path(__file__).parent / "tax_cases").glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]
ABOUT_THE_CASE = ("name", "source", "why", "trades", "sales", "lots", "years", "locks")


def trade(line: str) -> dict[str, Any]:
    """Read one line of a case."""
    words = line.split()
    found: dict[str, Any] = dict(zip(("date", "account", "type", "symbol"), words[:4], strict=True))
    if found["account"] == "all":
        del found["account"]
    rest = words[4:]
    if rest and "=" not in rest[0]:
        found["qty"] = rest.pop(0)
    if rest and rest[0] in ("@", "for"):
        found["price" if rest[0] == "@" else "amount"] = rest[1]
        rest = rest[2:]
    found.update(word.split("=", 1) for word in rest)
    return found


def said(case: dict[str, Any]) -> dict[str, Any]:
    """Return what `gateway tax` prints for a case."""
    words = {key: value for key, value in case.items() if key not in ABOUT_THE_CASE}
    given = read(json.dumps({"trades": [trade(line) for line in case["trades"]], **words}))
    found: dict[str, Any] = json.loads(json.dumps(report(given, _ledger(given)), default=str))
    return found


def plain(amount: str) -> str:
    value = f"{Decimal(amount):f}"
    return value.rstrip("0").rstrip(".") if "." in value else value


def as_sale(line: dict[str, Any]) -> str:
    money = " ".join(f"{key} {plain(line[key])}" for key in ("gain", "disallowed", "permanent", "allowed"))
    return f"{line['qty']} {money} {line['term']}"


def as_lot(lot: dict[str, Any]) -> str:
    qty = f"-{lot['qty']}" if lot["side"] == "short" else lot["qty"]
    return f"{lot['account']} {qty} {lot['symbol']} basis {plain(lot['basis'])} since {lot['acquired']}"


def as_year(year: dict[str, Any]) -> str:
    carry = " ".join(plain(year["carry_forward"][term]) for term in ("short_term", "long_term"))
    terms = f"short {plain(year['short_term'])} long {plain(year['long_term'])}"
    return f"{year['taxpayer']} {year['year']} {terms} carry {carry}"


def as_lock(lock: dict[str, Any]) -> str:
    return f"{lock['action']} {lock['group']} {lock['qty']} until {lock['first_safe_day']}"


def test_there_are_many_cases_and_no_two_have_one_name() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) >= 60
    assert len(set(names)) == len(names)
    assert all(case["source"] for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    found = said(case)
    assert [as_sale(line) for line in found["sales"]] == case["sales"]
    if "lots" in case:
        assert sorted(map(as_lot, found["open_lots"])) == sorted(case["lots"])
    if "years" in case:
        assert [as_year(year) for year in found["years"]] == case["years"]
    if "locks" in case:
        assert [as_lock(lock) for lock in found["locks"]] == case["locks"]
    assert found["check"]["difference"] == "0.00"
