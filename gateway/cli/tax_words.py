"""Reading one value of a tax file: an answer, or one sentence with the path of the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from gateway.errors import ConfigError

E = TypeVar("E", bound=StrEnum)
OLDEST, NEWEST = date(1900, 1, 1), date(2200, 1, 1)


class Fields:
    """Read the fields of one JSON object at `path`; a field nobody asked for is a mistake."""

    def __init__(self, path: str, given: Any) -> None:
        if not isinstance(given, Mapping):
            raise ConfigError(
                f'{path + ":" if path else "the file"} is not an object; write {{"field": value, ...}}'
            )
        self.path = path
        self.given = dict(given)
        self.asked: set[str] = set()

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, *names: str) -> str:
        """Return the first of several names that is given, empty when none is."""
        self.asked.update(names)
        return next((name for name in names if self.given.get(name) is not None), "")

    def raw(self, *names: str) -> Any:
        """Return the value under one of several names, None when none is given."""
        name = self.has(*names)
        return self.given[name] if name else None

    def text(self, *names: str, default: str | None = None) -> str:
        """Return a text; without a default it must be given."""
        name = self.has(*names)
        if not name:
            if default is None:
                raise ConfigError(f"{self.at(names[0])}: is missing; write it as text")
            return default
        value = self.given[name]
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{self.at(name)}: is not text; write a word in quotes")
        return value.strip()

    def number(
        self, *names: str, default: Decimal | None = None, above: int | None = None, least: int | None = None
    ) -> Decimal:
        """Return a finite number, written as one or as text; without a default it must be given."""
        name = self.has(*names)
        if not name:
            if default is None:
                raise ConfigError(f"{self.at(names[0])}: is missing; write a number")
            return default
        return number(self.at(name), self.given[name], above=above, least=least)

    def flag(self, *names: str) -> bool:
        """Return a truth, false when it is not given."""
        value = self.raw(*names)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise ConfigError(f"{self.at(self.has(*names))}: is not true or false; write one of them")

    def choice(self, kind: type[E], *names: str, default: E, also: Mapping[str, E] | None = None) -> E:
        """Return one of several words; `also` are other words for the same."""
        name = self.has(*names)
        return word(self.at(name), self.given[name], kind, also) if name else default

    def day(self, *names: str) -> date:
        """Return a date; what stands behind it (a time) is not looked at."""
        name = self.has(*names)
        if not name:
            raise ConfigError(f"{self.at(names[0])}: is missing; write YYYY-MM-DD")
        return day(self.at(name), self.given[name])

    def done(self) -> None:
        """Refuse what was given and never asked for: a field misspelt would be a field forgotten."""
        unknown = sorted(set(self.given) - self.asked)
        if unknown:
            known = ", ".join(sorted(self.asked))
            raise ConfigError(f"{self.at(unknown[0])}: is not a field here; known: {known}")


def number(path: str, value: Any, *, above: int | None = None, least: int | None = None) -> Decimal:
    """Return a finite number."""
    is_one = isinstance(value, (int, str, Decimal)) and not isinstance(value, bool)
    try:
        found = Decimal(str(value).replace(",", "").replace("$", "").strip() if is_one else "none")
    except InvalidOperation:
        raise ConfigError(f'{path}: is not a number; write one like 100 or "12.50"') from None
    if not found.is_finite() or abs(found) >= Decimal("1e15"):
        raise ConfigError(f"{path}: is out of all bounds; write a number below 1e15")
    if above is not None and found <= above:
        raise ConfigError(f"{path}: must be above {above}")
    if least is not None and found < least:
        raise ConfigError(f"{path}: must not be below {least}")
    return found


def day(path: str, value: Any) -> date:
    """Return the date a text begins with."""
    try:
        found = date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        raise ConfigError(f"{path}: is not a date; write YYYY-MM-DD") from None
    if not OLDEST <= found < NEWEST:
        raise ConfigError(f"{path}: is not between {OLDEST} and {NEWEST}")
    return found


def moment(value: Any) -> str:
    """Return what stands behind the date, as text to order by: empty when there is no time."""
    text = str(value).strip()
    try:
        return datetime.fromisoformat(text).time().isoformat() if len(text) > len("YYYY-MM-DD") else ""
    except ValueError:
        return text[10:].strip()


def word(path: str, value: Any, kind: type[E], also: Mapping[str, E] | None = None) -> E:
    """Return one of the words of `kind`, whatever its case and whether it has hyphens or blanks."""
    said = str(value).strip().lower().replace("-", "_").replace(" ", "_")
    found = {**{one.value.replace(" ", "_"): one for one in kind}, **(also or {})}
    if said not in found:
        raise ConfigError(f"{path}: {str(value)[:40]!r} is not known; write one of {', '.join(found)}")
    return found[said]


def rows(path: str, value: Any, key: str) -> list[tuple[str, Any]]:
    """Return the objects of a list, or of an object whose names become their field `key`."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        found = []
        for name, one in value.items():
            body = one if isinstance(one, Mapping) else {"type": one}
            found.append((f"{path}.{name}", {key: name, **body}))
        return found
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [
            (f"{path}[{place}]", {key: one} if isinstance(one, str) else one)
            for place, one in enumerate(value)
        ]
    raise ConfigError(f"{path}: is neither a list nor an object; write [...] or {{...}}")
