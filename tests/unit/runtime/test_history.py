"""The price history: both shapes are read alike; every mistake names file, line and remedy."""

from __future__ import annotations

import math
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import ConfigError
from gateway.runtime import history
from gateway.runtime.history import read_history

WIDE = "date,AAPL,MSFT\n2024-03-11,172.75,404.52\n2024-03-12,173.23,\n\n2024-03-13,171.13,415.10\n"
LONG = """Date,Symbol,Close
2024-03-12,AAPL,173.23
2024-03-11,MSFT,404.52
2024-03-11,AAPL,172.75

2024-03-13,AAPL,171.13
2024-03-13,MSFT,415.10
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "closes.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("text", [WIDE, LONG, "\ufeff" + WIDE])
def test_both_shapes_say_the_same(tmp_path: Path, text: str) -> None:
    found = read_history(written(tmp_path, text))
    assert found.dates == (date(2024, 3, 11), date(2024, 3, 12), date(2024, 3, 13))
    assert found.symbols == ("AAPL", "MSFT")
    expected = [[172.75, 404.52], [173.23, math.nan], [171.13, 415.10]]
    np.testing.assert_array_equal(found.prices, expected)


@pytest.mark.parametrize(("text", "shape"), [("date,AAPL\n", (0, 1)), ("date,symbol,close\n", (0, 0))])
def test_a_file_without_prices_is_an_empty_history(tmp_path: Path, text: str, shape: tuple[int, int]) -> None:
    found = read_history(written(tmp_path, text))
    assert (found.dates, found.prices.shape) == ((), shape)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: not the header of a price history; write date,symbol,close, or date and a column a symbol"),
        ("date\n", ":1: not the header"),
        ("AAPL,MSFT\n", ":1: not the header"),
        ("date,A,A\n", ":1: column 'A' is there twice or empty"),
        ("date,A,\n", ":1: column '' is there twice or empty"),
        ("date,A\n2024-03-11,1,2\n", ":2: 3 cells where the header has 2"),
        ("date,A\n2024-03-11,1\n2024-03-11,1\n", ":3: 2024-03-11 does not follow 2024-03-11"),
        ("date,A\nyesterday,1\n", ":2: the first cell is not a date; write YYYY-MM-DD"),
        ("date,A\n2024-03-11,cheap\n", ":2: a close is not a positive number"),
        ("date,A\n2024-03-11,0\n", ":2: a close is not a positive number"),
        ("date,A\n2024-03-11,nan\n", ":2: a close is not a positive number"),
        ("date,A\n2024-03-11,inf\n", ":2: a close is not a positive number"),
        ("date,symbol,close\n2024-03-11,A\n", ":2: 2 cells; write date,symbol,close"),
        ("date,symbol,close\n2024-03-11,A,1\n2024-03-11,A,2\n", ":3: A on 2024-03-11 is there twice"),
        ('date,A\n2024-03-11,"1\n', ": not a CSV file"),
        (b"date,\xff\n", ": not a text file in UTF-8"),
    ],
)
def test_a_mistake_names_file_line_and_remedy(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(f"{path}{words}")):
        read_history(path)


def test_a_file_that_is_not_there_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file of daily closes; correct risk\.history"):
        read_history(tmp_path / "closes.csv")


@pytest.mark.parametrize(("text", "line"), [(WIDE, 5), (LONG, 7), (LONG.rpartition("2024-03-13,MSFT")[0], 1)])
def test_there_is_a_bound_on_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int
) -> None:
    monkeypatch.setattr(history, "MAX_CELLS", 3)
    with pytest.raises(ConfigError, match=rf"csv:{line}: more than 3 prices"):
        read_history(written(tmp_path, text))
