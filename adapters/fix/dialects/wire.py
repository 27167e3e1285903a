"""Single values as FIX writes them: numbers, times. Strict both ways, pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from adapters.fix.dialects.base import Unsendable

LONGEST = 30
"""Digits of a number; more would only be work."""

_NUMBER = re.compile(r"[+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})", re.ASCII)


class Unreadable(Exception):
    """An inbound message cannot be understood; the text says which tag and why."""


def utc_timestamp(now: datetime) -> str:
    """Return a UTCTimestamp with milliseconds."""
    text = now.isoformat(timespec="milliseconds")
    return f"{text[:4]}{text[5:7]}{text[8:10]}-{text[11:23]}"


def plain(number: Decimal) -> str:
    """Return a number as FIX wants it: digits and a point, never an exponent."""
    if not number.is_finite():
        raise Unsendable(f"{number} is no number")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(fields: Mapping[str, str], tag: str) -> Decimal | None:
    """Read digits and a point: exponents, blanks and other scripts' digits are no FIX."""
    if not (value := fields.get(tag, "")):
        return None
    is_plain = len(value) <= LONGEST and value.isascii() and value.replace(".", "", 1).isdigit()
    if not is_plain and _NUMBER.fullmatch(value) is None:
        raise Unreadable(f"tag {tag} has {value!r}, which is no number")
    return Decimal(value)


def timestamp(value: str) -> datetime | None:
    """Read UTCTimestamp with or without fractions; None when it is something else."""
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC) if "-" in value[8:9] else None
    except ValueError:
        return None
