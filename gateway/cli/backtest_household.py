"""Whose accounts a backtest plays: one, or a household of several, and what each has otherwise in a run.

Rules of this room:
1. An account is laid together from what stands above it: what a backtest needs, `[account]`, then
   `[accounts.NAME]`, `[runs.RUN]` and `[runs.RUN.accounts.NAME]`; the last word counts.
2. A mistake is told where it stands: the table whose words made the account impossible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from gateway.domain.settings import AccountSettings
from gateway.domain.tax.rules import AccountKind, Holder
from gateway.errors import ConfigError
from gateway.files import first_mistake
from gateway.sections import AccountSection
from gateway.valuation import Section

ACCOUNT, LINK, TOTAL = "main", "history", "household"
"""The name of an account that is alone, of the link of all, and of what several come to together."""

STALE_S = 5 * 86_400
"""A reference price of history is yesterday's close; a live account's limit of a minute would refuse it."""
OPEN_HANDED = {
    "link": LINK,
    "limits": {
        "price_max_age_s": STALE_S, "max_order_notional": 10**12, "max_order_nav_share": 1,
        "max_turnover": 10, "max_orders_per_request": 10_000,
    },
    "execution": {"ord_type": "market"},
}  # fmt: skip
"""What a run has unless its file says otherwise: one day is all there is, so nothing is split or waits."""
Table = Mapping[str, Any]


class TargetsSection(Section):
    """What is wanted: equal weights of all that is listed (`equal` in sum), fixed weights, or a file of them.

    The file has columns date,symbol,weight; a row counts from its day on, until the next day with rows.
    """

    equal: Decimal | None = Field(default=None, gt=0, le=1)
    weights: dict[str, Decimal] = Field(default_factory=dict)
    file: str = ""

    @model_validator(mode="after")
    def _one_of_three(self) -> TargetsSection:
        if [self.equal is not None, bool(self.weights), bool(self.file)].count(True) != 1:
            raise ValueError("write one of equal, weights and file")
        return self


class OwnSection(Section):
    """What an account of several says besides what a live one does; what it leaves out is the file's.

    `kind` is how it is taxed, `person` who owns it: both count for wash sales in any case.
    """

    kind: Literal["taxable", "ira", "roth"] | None = None
    person: str = "self"
    targets: TargetsSection | None = None
    dividends: Literal["cash", "reinvest"] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """Hold one account as one run plays it; `has_cash` says that the file gives its opening cash."""

    name: str
    section: AccountSection
    own: OwnSection
    has_cash: bool

    @property
    def holder(self) -> Holder:
        """Return who is taxed on it."""
        otherwise = AccountKind.TAXABLE if self.section.taxable else AccountKind.IRA
        kind = AccountKind(self.own.kind) if self.own.kind else otherwise
        return Holder(self.name, kind, self.own.person, self.section.lot_method)


def members(account: Table, accounts: Mapping[str, Table], run: str, own: Table) -> dict[str, Member]:
    """Return the accounts of one run; raises `ConfigError` naming the table that is wrong."""
    names = list(accounts) or [ACCOUNT]
    apart = own.get("accounts", {})
    if not isinstance(apart, Mapping) or (unknown := sorted(set(apart) - set(names))):
        what = f".{unknown[0]}" if isinstance(apart, Mapping) else ""
        raise ConfigError(f"runs.{run}.accounts{what}: no such account; there are {', '.join(names)}")
    shared = {key: value for key, value in own.items() if key not in ("accounts", "against")}
    return {
        name: _member(
            name,
            {
                "account": account, f"accounts.{name}": accounts.get(name, {}), f"runs.{run}": shared,
                f"runs.{run}.accounts.{name}": apart.get(name, {}),
            },
        )
        for name in names
    }  # fmt: skip


def _member(name: str, tables: Mapping[str, Table]) -> Member:
    """Lay the tables of one account over each other and see after each that it still makes sense."""
    merged: dict[str, Any] = dict(OPEN_HANDED)
    own: dict[str, Any] = {}
    section, said = AccountSection(**merged), OwnSection()
    for where, table in tables.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"{where}: is no table; write [{where}] and its keys below")
        mine = {key: value for key, value in table.items() if key in OwnSection.model_fields}
        if {"kind", "taxable"} <= table.keys():
            raise ConfigError(f"{where}: kind and taxable say the same; write kind alone")
        own |= mine
        merged = over(merged, {key: value for key, value in table.items() if key not in mine})
        if "kind" in mine:
            merged["taxable"] = mine["kind"] == "taxable"
        try:
            section, said = AccountSection(**merged), OwnSection(**own)
        except ValidationError as problem:
            raise ConfigError(f"{where}.{first_mistake(problem)}") from None
    return Member(name, section, said, "opening_cash" in merged)


def over(below: Table, above: Table) -> dict[str, Any]:
    """Lay one table over another, section by section."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        is_section = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = over(known, value) if is_section and isinstance(known, Mapping) else value
    return merged


def taxed_first(accounts: Mapping[str, AccountSettings]) -> str:
    """Return the first account that is taxed, or the first of all."""
    return next((name for name, one in accounts.items() if one.taxable), next(iter(accounts)))
