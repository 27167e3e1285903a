"""Where history comes from: a file of the user's own (CSV, Parquet), or the data bundled in a package.

Rules of this room:
1. A file is wide (`date,AAPL,MSFT,...`, closes) or long
   (`date,symbol,close[,open,high,low,volume,dividend,split]`).
2. What cannot be read is one sentence: the file, the line or column, and what to write instead.
3. Packages are read as files: their data are loaded, their code is not.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from simulator.backtest.bars import Bars, Happening, HistoryError

BUNDLED = {
    "sp500": ("skfolio", "datasets/data/sp500_dataset.csv.gz"),
    "factors": ("skfolio", "datasets/data/factors_dataset.csv.gz"),
    "sp500-index": ("skfolio", "datasets/data/sp500_index.csv.gz"),
}
"""Name to (package, file in it): 20 S&P 500 names from 1990, 5 factor funds from 2014, the index from 1990;
all adjusted for dividends and splits."""
LICENCES = {"skfolio": "bundled in skfolio, BSD-3-Clause"}

EXTRA = "pip install 'rebalance-gateway[data]'"
BARS = ("open", "high", "low", "volume")
KNOWN = {"date", "symbol", "close", "dividend", "split", *BARS}
Row = Mapping[str, str]


def read_history(source: str, folder: Path = Path()) -> Bars:
    """Read `bundled:NAME`, a `.csv`, `.csv.gz` or `.parquet` file; raises `HistoryError`."""
    kind, _, name = source.partition(":")
    if kind == "bundled":
        return _bundled(name)
    path = folder / source
    try:
        if path.suffix == ".parquet":
            return _from_rows(_parquet(path), str(source))
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except OSError as problem:
        raise HistoryError(f"{path}: cannot be read ({problem.strerror or problem}); give a file") from None
    return _from_rows(list(csv.DictReader(StringIO(text.decode("utf-8-sig")))), str(source))


def _bundled(name: str) -> Bars:
    if name not in BUNDLED:
        raise HistoryError(f"bundled:{name} is not known; there are {', '.join(sorted(BUNDLED))}")
    package, inside = BUNDLED[name]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise HistoryError(f"bundled:{name} needs the package {package}; {EXTRA}")
    text = gzip.decompress((Path(found.origin).parent / inside).read_bytes()).decode("utf-8")
    bars = _from_rows(list(csv.DictReader(StringIO(text))), f"bundled:{name}")
    return replace(bars, source=LICENCES[package])


def _parquet(path: Path) -> list[dict[str, str]]:
    """Read a Parquet file through pandas, which few need: it is asked for by name."""
    if importlib.util.find_spec("pandas") is None or importlib.util.find_spec("pyarrow") is None:
        raise HistoryError(f"{path}: Parquet needs pandas and pyarrow; {EXTRA}, or give a CSV")
    pandas: Any = importlib.import_module("pandas")
    frame = pandas.read_parquet(path)
    if frame.index.name or "date" not in {str(name).lower() for name in frame.columns}:
        frame = frame.reset_index()
    frame.columns = [str(name) for name in frame.columns]
    rows = frame.astype(object).where(frame.notna(), "").to_dict("records")
    return [{name: _text(value) for name, value in row.items()} for row in rows]


def _text(value: Any) -> str:
    return value.isoformat()[:10] if hasattr(value, "isoformat") else str(value)


def _from_rows(rows: Sequence[Row], name: str) -> Bars:
    if not rows:
        raise HistoryError(f"{name}: there is no row; write a header and a row a day")
    columns = list(rows[0])
    lower = [column.strip().lower() for column in columns]
    if lower[0] not in ("date", "day"):
        raise HistoryError(
            f"{name}: the first column is {columns[0]!r}; name it date, in ISO form (2024-03-12)"
        )
    history = _long(rows, columns, name) if "symbol" in lower else _wide(rows, columns, name)
    return history.checked()


def _wide(rows: Sequence[Row], columns: Sequence[str], name: str) -> Bars:
    symbols = tuple(column.strip() for column in columns[1:])
    if not symbols or len(set(symbols)) != len(symbols):
        raise HistoryError(f"{name}: write a column for each symbol, each once")
    table = np.full((len(rows), len(symbols)), np.nan)
    for place, row in enumerate(rows):
        for at, column in enumerate(columns[1:]):
            table[place, at] = _number(row[column], name, place, column)
    days = [_day(row[columns[0]], name, place) for place, row in enumerate(rows)]
    order = np.argsort(np.array(days, dtype="datetime64[D]"), kind="stable")
    return Bars(tuple(days[n] for n in order), symbols, table[order], name=name)


def _long(rows: Sequence[Row], columns: Sequence[str], name: str) -> Bars:
    places = {column.strip().lower(): column for column in columns}
    if "close" not in places or (unknown := set(places) - KNOWN):
        what = "close is missing" if "close" not in places else f"column {min(unknown)} is not known"
        raise HistoryError(f"{name}: {what}; a long file has date, symbol, close and may have {_optional()}")
    days = sorted({_day(row[places["date"]], name, n) for n, row in enumerate(rows)})
    symbols = sorted({row[places["symbol"]].strip() for row in rows})
    row_of, column_of = (
        {day: n for n, day in enumerate(days)},
        {symbol: n for n, symbol in enumerate(symbols)},
    )
    wanted = ["close", *(bar for bar in BARS if bar in places)]
    tables = {bar: np.full((len(days), len(symbols)), np.nan) for bar in wanted}
    happenings: dict[date, list[Happening]] = {}
    for n, row in enumerate(rows):
        day, symbol = _day(row[places["date"]], name, n), row[places["symbol"]].strip()
        at = row_of[day], column_of[symbol]
        if not np.isnan(tables["close"][at]):
            raise HistoryError(f"{name}: {symbol} stands twice on {day}; keep one row")
        for bar in wanted:
            tables[bar][at] = _number(row[places[bar]], name, n, bar)
        if (found := _happening(row, places, symbol, name, n)) is not None:
            happenings.setdefault(day, []).append(found)
    return Bars(
        tuple(days), tuple(symbols), tables["close"], tables.get("open"), tables.get("high"),
        tables.get("low"), tables.get("volume"),
        happenings={day: tuple(found) for day, found in happenings.items()}, name=name,
    )  # fmt: skip


def _happening(row: Row, places: Mapping[str, str], symbol: str, name: str, n: int) -> Happening | None:
    def amount(what: str, otherwise: str) -> Decimal:
        text = (row[places[what]] or "").strip() if what in places else ""
        try:
            found = Decimal(text or otherwise)
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite() or found < 0 or (what == "split" and not found):
            raise HistoryError(f"{name}: row {n + 2}, {what} is {text!r}; write a number above 0, or nothing")
        return found

    dividend, split = amount("dividend", "0"), amount("split", "1")
    return Happening(symbol, dividend, split) if dividend or split != 1 else None


def _optional() -> str:
    return ", ".join(sorted(KNOWN - {"date", "symbol", "close"}))


def _day(text: str, name: str, n: int) -> date:
    try:
        return date.fromisoformat(text.strip()[:10])
    except ValueError:
        raise HistoryError(f"{name}: row {n + 2}, date is {text!r}; write it as 2024-03-12") from None


def _number(text: str | None, name: str, n: int, column: str) -> float:
    """Read a price or a volume; nothing is NaN."""
    bare = (text or "").strip()
    if not bare:
        return float("nan")
    try:
        return float(bare)
    except ValueError:
        raise HistoryError(f"{name}: row {n + 2}, {column} is {bare!r}; write a number, or nothing") from None
