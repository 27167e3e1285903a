"""Read the fields of a message in order, by what they must be.

Rules of this room:
1. An empty number is its default, as clients mean it. Text is what it is.
2. A field that is not what it must be, is missing, or is one too many raises `Unreadable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

INT_MAX = 2**31 - 1
UNSET_DOUBLE = "1.7976931348623157E308"
_UNSET = Decimal(UNSET_DOUBLE)
MAX_EXPONENT, MAX_PLACES = 15, 20
"""Beyond these a number is nobody's price or quantity, and too long to write out."""


class Unreadable(Exception):
    """Say which field cannot be read."""


class Reader:
    """Walk over the fields of one message."""

    def __init__(self, fields: Sequence[str], at: int = 0) -> None:
        self.fields = fields
        self._at = at

    def text(self) -> str:
        """Return the next field."""
        if self._at >= len(self.fields):
            raise Unreadable(f"field {self._at} is missing")
        self._at += 1
        return self.fields[self._at - 1]

    def texts(self, count: int) -> list[str]:
        """Return the next `count` fields."""
        return [self.text() for _ in range(count)]

    def integer(self, default: int = 0) -> int:
        """Return a whole number of 32 bits."""
        said = self.text()
        try:
            number = int(said) if said else default
        except ValueError:
            raise Unreadable(f"field {self._at - 1}: {said[:40]!r} is not a whole number") from None
        if not -INT_MAX - 1 <= number <= INT_MAX:
            raise Unreadable(f"field {self._at - 1}: {number} does not fit into 32 bits")
        return number

    def decimal(self) -> Decimal | None:
        """Return a number, None when it is empty or unset."""
        said = self.text()
        if not said:
            return None
        try:
            number = Decimal(said)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            if said == "Infinite":
                return None
            raise Unreadable(f"field {self._at - 1}: {said[:40]!r} is not a number")
        if number == _UNSET:
            return None
        if number.adjusted() > MAX_EXPONENT or int(number.as_tuple().exponent) < -MAX_PLACES:
            raise Unreadable(f"field {self._at - 1}: {said[:40]!r} is no price and no quantity")
        return _plain(number)

    def flag(self) -> bool:
        """Return a boolean."""
        return bool(self.integer())

    def count(self, most: int = 1_000) -> int:
        """Return how many of something follow."""
        number = self.integer()
        if not 0 <= number <= most:
            raise Unreadable(f"field {self._at - 1}: {number} is not 0 to {most}")
        return number

    def skip(self, count: int) -> None:
        """Pass over fields nobody here looks at."""
        if self._at + count > len(self.fields):
            raise Unreadable(f"field {len(self.fields)} is missing")
        self._at += count

    @property
    def left(self) -> int:
        """Count the fields not read yet."""
        return len(self.fields) - self._at

    def end(self) -> None:
        """Insist that nothing is left."""
        if self.left:
            raise Unreadable(f"{self.left} fields too many; the first is field {self._at}")


def _plain(number: Decimal) -> Decimal:
    """Return the same number without zeros behind its last digit: clients say 10.0 where TWS says 10."""
    digits = f"{number:f}"
    return Decimal(digits.rstrip("0").rstrip(".")) if "." in digits else number
