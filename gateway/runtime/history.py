"""Price history: a CSV of daily closes, read once at the start and checked cell by cell.

Rules of this room:
1. Two shapes are read, told apart by the header: long (`date,symbol,close`, in any order) and wide
   (`date,AAPL,MSFT,...`, a row a day, ascending).
2. A mistake is one sentence: the file, the line, what is wrong and what to write instead.
3. An empty cell is a day without a close. A price is a plain positive number; nothing is filled in.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np

from gateway.decision.risk import History
from gateway.errors import ConfigError

K = TypeVar("K")
LONG = ["date", "symbol", "close"]
MAX_CELLS = 50_000_000
"""Five thousand names over forty years: what fits in memory with room to spare."""


def read_history(path: Path) -> History:
    """Read daily closes from a CSV; raises `ConfigError`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if [name.lower() for name in header] == LONG:
                return _long(path, rows)
            if header[:1] != ["date"] or len(header) < len(LONG) - 1:
                text = "write date,symbol,close, or date and a column a symbol"
                raise ConfigError(f"{path}:1: not the header of a price history; {text}")
            return _wide(path, header[1:], rows)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file of daily closes; correct risk.history") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except csv.Error as problem:
        raise ConfigError(f"{path}: not a CSV file: {problem}") from None


def _wide(path: Path, symbols: list[str], rows: Iterator[list[str]]) -> History:
    again = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1 or not symbol})
    if again:
        raise ConfigError(f"{path}:1: column {again[0]!r} is there twice or empty; name each symbol once")
    dates: list[date] = []
    prices: list[list[float]] = []
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) != len(symbols) + 1:
            text = f"{len(row)} cells where the header has {len(symbols) + 1}"
            raise ConfigError(f"{path}:{number}: {text}; write one for each column, empty for no close")
        day = _date(path, number, row[0])
        if dates and day <= dates[-1]:
            raise ConfigError(f"{path}:{number}: {day} does not follow {dates[-1]}; write the days in order")
        _check_size(path, number, len(dates) * len(symbols))
        dates.append(day)
        prices.append([_price(path, number, cell) for cell in row[1:]])
    return History(tuple(dates), tuple(symbols), np.array(prices).reshape(len(dates), len(symbols)))


def _long(path: Path, rows: Iterator[list[str]]) -> History:
    found: dict[tuple[date, str], float] = {}
    for number, row in enumerate(rows, start=2):
        if not any(row):
            continue
        if len(row) != len(LONG):
            raise ConfigError(f"{path}:{number}: {len(row)} cells; write date,symbol,close")
        key = (_date(path, number, row[0]), row[1].strip())
        if key in found:
            raise ConfigError(f"{path}:{number}: {key[1]} on {key[0]} is there twice; remove one")
        _check_size(path, number, len(found))
        found[key] = _price(path, number, row[2])
    dates = sorted({day for day, _ in found})
    symbols = sorted({symbol for _, symbol in found})
    _check_size(path, 1, len(dates) * len(symbols))
    row_of, column_of = _places(dates), _places(symbols)
    prices = np.full((len(dates), len(symbols)), np.nan)
    for (day, symbol), price in found.items():
        prices[row_of[day], column_of[symbol]] = price
    return History(tuple(dates), tuple(symbols), prices)


def _places(keys: Sequence[K]) -> dict[K, int]:
    return {key: at for at, key in enumerate(keys)}


def _check_size(path: Path, number: int, cells: int) -> None:
    if cells > MAX_CELLS:
        text = f"more than {MAX_CELLS} prices; keep the last years"
        raise ConfigError(f"{path}:{number}: {text}")


def _date(path: Path, number: int, text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{path}:{number}: the first cell is not a date; write YYYY-MM-DD") from None


def _price(path: Path, number: int, text: str) -> float:
    """Read one cell; an empty one is NaN."""
    if not text.strip():
        return math.nan
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 < price < math.inf:
        raise ConfigError(f"{path}:{number}: a close is not a positive number; write like 187.23, or nothing")
    return price
