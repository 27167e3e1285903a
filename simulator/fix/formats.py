"""FIX data types: one check for each, and the conversions of UTCTimestamp and SeqNum the session needs.

A check takes the text of a value and returns something true when its format is right. The empty value is
not a format error; it is refused before these checks are asked. Numbers are bounded: one whose digits nobody
could mean is badly written, and must not become work for whoever reads it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Check = "Callable[[str], object]"

_YEAR_MONTH = r"\d{4}(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{3})?"
_SHORT_MONTH_DAYS = 28
_SECONDS_LENGTH = 17
_MILLIS_LENGTH = 21
_MAX_DIGITS = 18


def _pattern(text: str) -> Callable[[str], object]:
    return re.compile(text, re.ASCII).fullmatch


def _any(_value: str) -> bool:
    return True


def _char(value: str) -> bool:
    return len(value) == 1


def _real_date(pattern: str) -> Callable[[str], object]:
    """Check a pattern that begins with YYYYMMDD, and that the day exists in its month."""
    match = re.compile(pattern, re.ASCII).fullmatch

    def check(value: str) -> bool:
        return match(value) is not None and _day_exists(value)

    return check


def _day_exists(value: str) -> bool:
    if not value[6:8].isdecimal() or int(value[6:8]) <= _SHORT_MONTH_DAYS:
        return True
    try:
        datetime(int(value[:4]), int(value[4:6]), int(value[6:8]), tzinfo=UTC)
    except ValueError:
        return False
    return True


_float = _pattern(r"-?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})")
_natural = _pattern(rf"\d{{1,{_MAX_DIGITS}}}")
_date = _real_date(_YEAR_MONTH + _DAY)

CHECKS: dict[str, Callable[[str], object]] = {
    "AMT": _float,
    "BOOLEAN": _pattern("[YN]"),
    "CHAR": _char,
    "COUNTRY": _pattern("[A-Z]{2}"),
    "CURRENCY": _pattern("[A-Za-z]{3}"),
    "DATA": _any,
    "DAYOFMONTH": _pattern("[1-9]|0[1-9]|[12][0-9]|3[01]"),
    "EXCHANGE": _any,
    "FLOAT": _float,
    "INT": _pattern(rf"-?\d{{1,{_MAX_DIGITS}}}"),
    "LENGTH": _natural,
    "LOCALMKTDATE": _date,
    "MONTHYEAR": _real_date(_YEAR_MONTH + f"(?:{_DAY}|w[1-5])?"),
    "MULTIPLEVALUESTRING": _pattern("[^ ]+(?: [^ ]+)*"),
    "NUMINGROUP": _natural,
    "PERCENTAGE": _float,
    "PRICE": _float,
    "PRICEOFFSET": _float,
    "QTY": _float,
    "SEQNUM": _natural,
    "STRING": _any,
    "UTCDATE": _date,
    "UTCDATEONLY": _date,
    "UTCTIMEONLY": _pattern(_TIME),
    "UTCTIMESTAMP": _real_date(_YEAR_MONTH + _DAY + "-" + _TIME),
}


def accepts(type_name: str, enums: frozenset[str]) -> Callable[[str], object]:
    """Build the quickest check of both format and enumeration for one field."""
    if not enums:
        return CHECKS.get(type_name, _any)
    if type_name != "MULTIPLEVALUESTRING":
        return enums.__contains__

    def check(value: str) -> bool:
        return enums.issuperset(value.split(" "))

    return check


def well_formed(type_name: str, value: str) -> bool:
    """Tell whether `value` has the format of its FIX type."""
    return bool(CHECKS.get(type_name, _any)(value))


def in_range(type_name: str, enums: frozenset[str], value: str) -> bool:
    """Tell whether a well-formed `value` belongs to the field's enumeration, if it has one."""
    if not enums or value in enums:
        return True
    if type_name == "MULTIPLEVALUESTRING":
        return enums.issuperset(value.split(" "))
    return type_name in {"INT", "NUMINGROUP"} and str(int(value)) in enums


@lru_cache(maxsize=256)
def write_time(now: datetime) -> str:
    """Write a UTCTimestamp with milliseconds, as SendingTime(52) carries it."""
    return f"{now:%Y%m%d-%H:%M:%S}.{now.microsecond // 1000:03d}"


@lru_cache(maxsize=1024)
def read_time(text: str) -> datetime | None:
    """Read a UTCTimestamp with or without milliseconds; None when it is none. A leap second reads as :59."""
    if not CHECKS["UTCTIMESTAMP"](text) or len(text) not in {_SECONDS_LENGTH, _MILLIS_LENGTH}:
        return None
    second = min(int(text[15:17]), 59)
    year, month, day = int(text[:4]) or 1, int(text[4:6]), int(text[6:8])
    whole = datetime(year, month, day, int(text[9:11]), int(text[12:14]), second, tzinfo=UTC)
    return whole + timedelta(milliseconds=int(text[18:] or 0))


def read_number(text: str | None) -> int | None:
    """Read a sequence number; None when it is absent or not one."""
    if text is None or not text.isdecimal() or len(text) > _MAX_DIGITS:
        return None
    return int(text)
