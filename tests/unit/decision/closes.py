"""Real daily closes for tests: skfolio's bundled file, read as a file, so that nothing heavy is imported."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from gateway.decision.risk import History


@cache
def closes(name: str = "sp500_dataset") -> History:
    """Daily adjusted closes of 20 US stocks 1990-2022, or of the `sp500_index`."""
    spec = importlib.util.find_spec("skfolio")
    assert spec is not None, "skfolio's data is part of the dev extra"
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / f"{name}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        symbols = tuple(next(rows)[1:])
        found = [(date.fromisoformat(row[0][:10]), [float(cell) for cell in row[1:]]) for row in rows]
    return History(tuple(day for day, _ in found), symbols, np.array([prices for _, prices in found]))


def upto(day: str, name: str = "sp500_dataset") -> History:
    """The history as it was known at the close of a day."""
    whole, last = closes(name), date.fromisoformat(day)
    count = sum(one <= last for one in whole.dates)
    return History(whole.dates[:count], whole.symbols, whole.prices[:count])
