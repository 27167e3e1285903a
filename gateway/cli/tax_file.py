"""Reading a tax file: accounts, instruments, policy, rates and trades become what the ledger takes.

Rules of this room:
1. The format is that of `gateway/domain/tax/README.md`; what it does not name has a default written there.
2. A mistake is one sentence with the path of the field (`ConfigError`), found before anything is worked out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, NoReturn

from gateway.cli.tax_trades import Draft, entries
from gateway.cli.tax_words import Fields, day, number, rows, word
from gateway.domain.lots import LotMethod, TaxRates
from gateway.domain.tax.form import BOXES
from gateway.domain.tax.rules import (
    CENT,
    ZERO,
    AccountKind,
    Holder,
    Options,
    Rules,
    Security,
    SecurityKind,
    SubLots,
)
from gateway.domain.tax.year import HOUSEHOLD, Carried, Filing
from gateway.errors import ConfigError

KINDS = {
    "individual": AccountKind.TAXABLE, "brokerage": AccountKind.TAXABLE, "joint": AccountKind.TAXABLE,
    "corp": AccountKind.CORPORATION, "company": AccountKind.CORPORATION, "401k": AccountKind.IRA,
    "traditional_ira": AccountKind.IRA, "sep_ira": AccountKind.IRA, "hsa": AccountKind.IRA,
    "roth_ira": AccountKind.ROTH,
}  # fmt: skip
METHODS = {
    "mintax": LotMethod.MIN_TAX, "tax": LotMethod.MIN_TAX, "highest_tax_benefit": LotMethod.MIN_TAX,
    "specific": LotMethod.FIFO,
}  # fmt: skip
SECURITIES = {
    "etf": SecurityKind.STOCK, "fund": SecurityKind.STOCK, "equity": SecurityKind.STOCK,
    "bond": SecurityKind.STOCK, "future": SecurityKind.CONTRACT, "forward": SecurityKind.CONTRACT,
}  # fmt: skip
SWITCHES = {
    "older_lots": "older_lots_count", "sold_lots": "sold_lots_count", "same_order": "same_order_counts",
    "short_puts": "short_puts_count", "vests": "vests_count", "reinvestments": "reinvestments_count",
    "covers": "covers_count", "long_sales": "long_sales_count", "groups": "groups_count",
    "splits": "splits_scale", "corporation": "corporation_defers",
}  # fmt: skip
OPTIONS = {
    "count": Options.REPLACE_STOCK, "stock_loss": Options.REPLACE_STOCK, "both": Options.BOTH_WAYS,
    "ignore": Options.SAME_OPTION, "none": Options.SAME_OPTION,
}  # fmt: skip
YES = ("true", "yes", "count", "scale", "defer", "group", "groups")
NO = ("false", "no", "ignore", "as_is", "lose", "permanent", "symbol")


class Identical(StrEnum):
    """Say what is substantially identical: the groups named, or the very same symbol only."""

    GROUP = "group"
    SYMBOL = "symbol"


class Rounding(StrEnum):
    """Say what amounts are rounded to on their way."""

    CENT = "cent"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TaxFile:
    """Hold everything a tax file says, defaults filled in."""

    holders: dict[str, Holder]
    securities: dict[str, Security]
    rules: Rules
    filing: Filing
    carried: dict[str, Carried]
    prices: dict[str, Decimal]
    as_of: date | None
    drafts: list[Draft]


def read(text: str) -> TaxFile:
    """Read a tax file; raises `ConfigError` naming the field."""
    given = _json(text)
    whole = Fields("", {"trades": given} if isinstance(given, list) else given)
    rates = _rates(whole)
    method = whole.choice(LotMethod, "lot_method", "method", default=LotMethod.FIFO, also=METHODS)
    holders = _holders(whole, method)
    securities = _securities(whole)
    rules = replace(_rules(whole), rates=rates)
    filing = whole.choice(Filing, "filing", default=Filing.JOINT)
    carried = _carried(whole)
    prices = {
        symbol: number(f"prices.{symbol}", px, least=0)
        for symbol, px in Fields("prices", whole.raw("prices") or {}).given.items()
    }
    as_of = whole.raw("as_of")
    trades = whole.raw("trades", "transactions")
    if not isinstance(trades, list):
        raise ConfigError("trades: is missing or no list; write [{...}, ...]")
    whole.raw("comment", "name", "source", "notes")
    whole.done()
    drafts = entries(trades, holders, securities, method)
    return TaxFile(
        holders, securities, rules, filing, carried, prices,
        None if as_of is None else day("as_of", as_of), drafts,
    )  # fmt: skip


def _json(text: str) -> Any:
    def constant(name: str) -> NoReturn:
        raise ConfigError(f"{name} is not a number JSON has; write a number")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in found]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"{twice[:40]}: stands twice in one object; name it once")
        return dict(found)

    try:
        return json.loads(text, parse_float=Decimal, parse_constant=constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as problem:
        text = f"{problem.msg} at line {problem.lineno} column {problem.colno}"
        raise ConfigError(f"not valid JSON: {text}; correct it there") from None
    except (ValueError, RecursionError):
        raise ConfigError("not readable: a number or a nesting without end; write it shorter") from None


def _rates(whole: Fields) -> TaxRates:
    rates = Fields("rates", whole.raw("rates") or {})
    usual = TaxRates()
    found = TaxRates(
        rates.number("short_term", "short", default=usual.short_term, least=0),
        rates.number("long_term", "long", default=usual.long_term, least=0),
    )
    rates.done()
    return found


def _holders(whole: Fields, method: LotMethod) -> dict[str, Holder]:
    found: dict[str, Holder] = {}
    for path, row in rows("accounts", whole.raw("accounts"), "name"):
        one = Fields(path, row)
        name = one.text("name", "account")
        kind = one.choice(AccountKind, "type", "kind", default=kind_of(name), also=KINDS)
        owner = one.text("owner", default="spouse" if kind is AccountKind.SPOUSE else "self")
        box = one.text("form", "box", default="")
        if box not in BOXES:
            known = ", ".join(box for box in BOXES if box)
            raise ConfigError(f"{one.at('form')}: {box[:40]!r} is not known; write one of {known}")
        if name in found:
            raise ConfigError(f"{path}: {name} is there already; name each account once")
        found[name] = Holder(
            name, kind, owner,
            one.choice(LotMethod, "lot_method", "method", default=method, also=METHODS),
            one.flag("reinvests", "drip"), one.flag("dealer", "exempt"), box,
        )  # fmt: skip
        one.done()
    return found


def kind_of(name: str) -> AccountKind:
    """Return the kind an account's own name says (`ira`, `spouse`, `bob_roth`), taxable otherwise.

    Of several words the one that makes it untaxed holds: a spouse's IRA is an IRA.
    """
    known = {**{one.value: one for one in AccountKind}, **KINDS}
    said = name.strip().lower().replace("-", "_").replace(" ", "_")
    if said in known:
        return known[said]
    found = {known[one] for one in said.split("_") if one in known}
    order = (AccountKind.ROTH, AccountKind.IRA, AccountKind.CORPORATION, AccountKind.SPOUSE)
    return next((kind for kind in order if kind in found), AccountKind.TAXABLE)


def _securities(whole: Fields) -> dict[str, Security]:
    found: dict[str, Security] = {}
    for path, row in rows("instruments", whole.raw("instruments", "securities"), "symbol"):
        one = Fields(path, row)
        kind = one.choice(SecurityKind, "type", "kind", default=SecurityKind.STOCK, also=SECURITIES)
        is_option = kind in (SecurityKind.CALL, SecurityKind.PUT)
        usual = Decimal(100) if is_option else Decimal(1)
        symbol = one.text("symbol")
        found[symbol] = Security(
            symbol, one.text("identical", "identical_group", "group", default=""), kind,
            one.text("underlying", default=""), one.number("multiplier", default=usual, above=0),
            one.number("strike", default=ZERO, least=0),
        )  # fmt: skip
        one.raw("expires", "expiry", "name")
        one.done()
    _identical_sets(whole, found)
    return found


def _identical_sets(whole: Fields, found: dict[str, Security]) -> None:
    """Read `identical`, a list of sets or an object of named ones: short for a group on each instrument."""
    given = whole.raw("identical", "identical_groups")
    sets = given if isinstance(given, Mapping) else {
        f"{group[0]}" if isinstance(group, list) and group else str(place): group
        for place, group in enumerate(given or [])
    }  # fmt: skip
    for name, group in sets.items():
        if not isinstance(group, list) or not all(isinstance(symbol, str) for symbol in group):
            raise ConfigError(f'identical.{name}: is not a list of symbols; write ["IVV", "VOO"]')
        for symbol in group:
            found[symbol] = replace(found.get(symbol, Security(symbol)), identical=f"{name}")


def _rules(whole: Fields) -> Rules:
    given = Fields("policy", whole.raw("policy", "rules") or {})
    words: dict[str, Any] = {}
    for name, field in SWITCHES.items():
        value = given.raw(name, field)
        if value is not None:
            said = str(value).strip().lower().replace("-", "_").replace(" ", "_")
            if said not in YES + NO:
                raise ConfigError(f"{given.at(name)}: {said[:40]!r} is not known; write count or ignore")
            words[field] = said in YES
    identical = given.raw("identical")
    if identical is not None:
        said_so = word("policy.identical", identical, Identical, {"groups": Identical.GROUP})
        words["groups_count"] = said_so is Identical.GROUP
    words["sub_lots"] = given.choice(SubLots, "sub_lots", default=SubLots.ADJUSTED_FIRST)
    words["options"] = given.choice(Options, "options", default=Options.REPLACE_STOCK, also=OPTIONS)
    days = given.number("window_days", default=Decimal(30), least=0)
    if days != int(days) or days > 365:  # noqa: PLR2004 - a year is wide enough for any what-if
        raise ConfigError("policy.window_days: must be a whole number of days up to 365")
    words["window_days"] = int(days)
    rounding = given.choice(Rounding, "rounding", default=Rounding.CENT)
    words["cent"] = CENT if rounding is Rounding.CENT else None
    given.done()
    return Rules(**words)


def _carried(whole: Fields) -> dict[str, Carried]:
    given = whole.raw("carry_forward", "carryforward", "carryover") or {}
    if isinstance(given, Mapping) and given and all(isinstance(one, Mapping) for one in given.values()):
        return {name: _one_carried(f"carry_forward.{name}", one) for name, one in given.items()}
    return {HOUSEHOLD: _one_carried("carry_forward", given)}


def _one_carried(path: str, given: Any) -> Carried:
    one = Fields(path, given)
    found = Carried(
        abs(one.number("short_term", "short", default=ZERO)),
        abs(one.number("long_term", "long", default=ZERO)),
    )
    one.done()
    return found
