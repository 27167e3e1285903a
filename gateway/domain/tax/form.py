"""Form 8949 as a table: columns (a) to (h), a line for each closed lot, boxes by term and reporting.

Source: IRS, Instructions for Form 8949: code W in (f), the disallowed loss as a positive number in (g),
(h) = (d) - (e) + (g). No line is summed with another, as sales with adjustments must not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from gateway.domain.tax.lots import Line
from gateway.domain.tax.rules import Holder

HEADER = (
    "box", "(a) description", "(b) date acquired", "(c) date sold", "(d) proceeds", "(e) cost or other basis",
    "(f) code", "(g) adjustment", "(h) gain or loss", "account",
)  # fmt: skip

BOXES = {"": "AD", "basis_reported": "AD", "basis_not_reported": "BE", "not_reported": "CF"}
"""What a broker has told the IRS, and the boxes of Part I (short-term) and Part II (long-term)."""


def form_8949(lines: Iterable[Line], holders: Mapping[str, Holder], year: int = 0) -> list[tuple[str, ...]]:
    """Return the rows of the form, short-term first, for one year or (0) all; nobody is taxed on an IRA."""
    chosen = [line for line in lines if line.is_taxed and year in (0, line.on.year)]
    chosen.sort(key=lambda line: (line.is_long, line.on))
    return [HEADER, *(_row(line, BOXES[holders[line.account].box]) for line in chosen)]


def _row(line: Line, boxes: str) -> tuple[str, ...]:
    return (
        boxes[line.is_long], f"{plain(line.qty)} sh. {line.symbol}", f"{line.acquired:%m/%d/%Y}",
        f"{line.on:%m/%d/%Y}", money(line.proceeds), money(line.basis), "W" if line.disallowed else "",
        money(line.disallowed) if line.disallowed else "", money(line.allowed), line.account,
    )  # fmt: skip


def money(amount: Decimal) -> str:
    """Write an amount to the cent."""
    return f"{amount:.2f}"


def plain(qty: Decimal) -> str:
    """Write a quantity without needless zeros."""
    text = f"{qty:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
