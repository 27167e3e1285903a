"""Reading JSON from strangers: bounded, without duplicates, without anything JSON does not have.

Rules of this room:
1. Whatever the bytes are, the outcome is a value or `InvalidTargets`; time and memory are bounded by
   the message's size.
2. The reason names the remedy and never repeats more of the message than one short name.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from gateway.errors import InvalidTargets

MAX_BYTES: Final = 1_000_000
MAX_BRACKETS: Final = 64
TIME: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_TIME = re.compile(TIME)


def shown(name: object) -> str:
    """Return a name from a message so that it can stand in a reason: short and ASCII."""
    return ascii(name)[1:-1][:40] if isinstance(name, str) else ascii(name)[:40]


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a key that stands twice (JSON parsers silently keep the last)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InvalidTargets(shown(key), "stands twice in the message: name it once")
            seen.add(key)
    return found


def _constant(name: str) -> NoReturn:
    raise InvalidTargets("json", f"{name} is not a number JSON has: write every number as a decimal string")


_DECODER = json.JSONDecoder(object_pairs_hook=without_doubles, parse_constant=_constant)


def load_object(raw: bytes, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Return the JSON object in `raw`, or raise `InvalidTargets`."""
    if len(raw) > max_bytes:
        raise InvalidTargets("json", f"{len(raw)} bytes are over the limit of {max_bytes}: split the message")
    if raw.count(b"{") + raw.count(b"[") > MAX_BRACKETS:
        raise InvalidTargets("json", f"more than {MAX_BRACKETS} brackets: the message is one flat object")
    try:
        found = _DECODER.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidTargets(
            "json", f"byte {error.start} is not UTF-8: encode the message as UTF-8"
        ) from None
    except json.JSONDecodeError as error:
        raise InvalidTargets("json", f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except (ValueError, RecursionError):
        raise InvalidTargets("json", "holds a number too long to read: write it as a short string") from None
    if not isinstance(found, dict):
        raise InvalidTargets("json", 'is not an object: write {"field": value, ...}')
    return found


def read_time(text: object) -> datetime:
    """Return an ISO 8601 time with a zone as aware UTC; ValueError says what is wrong."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise ValueError('write it as text with a time zone, like "2026-03-02T14:30:00Z"')
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("no such day or time: correct it") from None


def read_decimal(field: str, value: object, literal: re.Pattern[str]) -> Decimal:
    """Return a plain decimal literal as Decimal, or raise `InvalidTargets` with what to write instead."""
    if isinstance(value, str):
        if literal.fullmatch(value):
            return Decimal(value)
        raise InvalidTargets(
            field,
            'is not a plain decimal like "0.25": digits and one point only (no exponent, sign +, blank, '
            "underscore or other alphabet)",
        )
    if isinstance(value, bool) or value is None or isinstance(value, (dict, list)):
        raise InvalidTargets(field, 'is not a number: write a decimal string like "0.25"')
    raise InvalidTargets(field, 'is a JSON number, which computers round: write it as a string, like "0.25"')
