"""FIX data types: what each accepts and refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from simulator.fix.formats import CHECKS, accepts, in_range, read_time, well_formed, write_time

TABLE = {
    "INT": ("0 -5 007 999999999999999999", "1.5 +1 x 1e3 ² 9999999999999999999"),
    "FLOAT": ("1 -1.5 1. .5 00023.2300", f"1e5 +1 - . 1,5 {10**30} 1.{10**30}"),
    "CHAR": ("A 1", "AA"),
    "BOOLEAN": ("Y N", "y 1"),
    "CURRENCY": ("USD", "US USDX U5D"),
    "COUNTRY": ("CH", "CHE ch"),
    "DAYOFMONTH": ("1 07 31", "0 32 00"),
    "LENGTH": ("5", "-5 9999999999999999999"),
    "MONTHYEAR": ("202402 20240229 202402w5", "202413 2024 20240230 202402w6"),
    "LOCALMKTDATE": ("20240229", "20230229 2024022 20240431"),
    "UTCDATE": ("20241231", "20241232"),
    "UTCTIMEONLY": ("23:59:60 00:00:00.123", "24:00:00 12:00 12:00:00.1"),
    "UTCTIMESTAMP": (
        "20240229-23:59:59 20240229-23:59:60.999",
        "20230229-00:00:00 20240229 20240229-1:00:00 20240229-00:00:00.12",
    ),
    "STRING": ("anything", ""),
    "DATA": ("anything", ""),
    "UNHEARD-OF": ("anything", ""),
}
CASES = [
    (name, value, column == 0)
    for name, columns in TABLE.items()
    for column, values in enumerate(columns)
    for value in values.split()
]


@pytest.mark.parametrize(("type_name", "value", "is_right"), CASES)
def test_formats(type_name: str, value: str, is_right: bool) -> None:
    assert well_formed(type_name, value) is is_right


@pytest.mark.parametrize(
    ("type_name", "value", "is_right"),
    [
        ("CHAR", "1", True),
        ("CHAR", "9", False),
        ("INT", "01", True),
        ("INT", "9", False),
        ("MULTIPLEVALUESTRING", "1 2", True),
        ("MULTIPLEVALUESTRING", "1 9", False),
    ],
)
def test_enumerations(type_name: str, value: str, is_right: bool) -> None:
    enums = frozenset("12")
    assert in_range(type_name, enums, value) is is_right
    assert in_range(type_name, frozenset(), value)
    if value != "01":
        assert bool(accepts(type_name, enums)(value)) is is_right


def test_a_field_without_enumeration_is_checked_by_its_format() -> None:
    assert accepts("PRICE", frozenset()) is CHECKS["PRICE"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240506-12:00:00", datetime(2024, 5, 6, 12, tzinfo=UTC)),
        ("20240506-12:00:00.250", datetime(2024, 5, 6, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("20161231-23:59:60", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("00000101-00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("", None),
        ("20240230-12:00:00", None),
        ("today", None),
    ],
)
def test_reading_a_time(text: str, expected: datetime | None) -> None:
    assert read_time(text) == expected


def test_writing_a_time_is_the_inverse() -> None:
    now = datetime(2024, 5, 6, 12, 0, 0, 250_000, tzinfo=UTC)
    assert write_time(now) == "20240506-12:00:00.250"
    assert read_time(write_time(now)) == now
