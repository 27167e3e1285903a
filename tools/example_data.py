"""Write the example portfolio from real closing prices.

Prices are the daily closes (adjusted for dividends and splits by their publisher) that the package
skfolio 1.12.2 (BSD-3) bundles for 20 S&P 500 names, 1990 to 2022. Only the closes of one day and of
the lots' own dates are used. Run: ``pip install skfolio==1.12.2 && python tools/example_data.py``.

Dates and quantities of the lots, and the target weights, are our own invention.
"""

from __future__ import annotations

import csv
from pathlib import Path

VALUATION_DAY = "2022-12-28"
FOLDER = Path(__file__).parent.parent / "config" / "example"

LOTS: dict[str, list[tuple[str, int]]] = {
    "AAPL": [("2019-06-03", 400), ("2021-09-07", 120)],
    "AMD": [("2022-03-15", 300), ("2022-12-05", 100)],
    "BAC": [("2020-05-14", 900)],
    "BBY": [("2022-01-10", 180)],
    "CVX": [("2020-11-02", 260), ("2022-06-08", 60)],
    "GE": [("2021-11-09", 350)],
    "HD": [("2019-03-11", 110)],
    "JNJ": [("2018-02-08", 200)],
    "JPM": [("2021-10-25", 340)],
    "KO": [("2020-03-23", 620)],
    "LLY": [("2019-10-02", 190)],
    "MRK": [("2020-10-30", 380)],
    "MSFT": [("2018-12-24", 180), ("2021-11-19", 90)],
    "PEP": [("2019-01-03", 150)],
    "PFE": [("2021-12-16", 560)],
    "PG": [("2020-03-16", 170)],
    "RRC": [("2022-08-25", 700)],
    "UNH": [("2019-04-17", 95)],
    "WMT": [("2022-05-17", 210)],
    "XOM": [("2020-10-28", 700)],
}

TARGETS = {
    "AAPL": "0.0450", "AMD": "0.0100", "BAC": "0.0500", "BBY": "0.0000", "CVX": "0.0350",
    "GE": "0.0268", "HD": "0.0700", "JNJ": "0.0550", "JPM": "0.0800", "KO": "0.0570",
    "LLY": "0.0450", "MRK": "0.0501", "MSFT": "0.1100", "PEP": "0.0500", "PFE": "0.0550",
    "PG": "0.0450", "RRC": "0.0100", "UNH": "0.0850", "WMT": "0.0700", "XOM": "0.0400",
}  # fmt: skip


def main() -> None:
    """Write prices.csv, lots.csv and targets.csv."""
    from skfolio.datasets import load_sp500_dataset  # noqa: PLC0415 - only this tool needs it

    closes = load_sp500_dataset()
    FOLDER.mkdir(parents=True, exist_ok=True)
    today = {symbol: f"{closes.loc[VALUATION_DAY, symbol]:.2f}" for symbol in LOTS}
    _write("prices.csv", ("symbol", "price"), sorted(today.items()))
    lots = [
        (symbol, day, qty, f"{qty * round(closes.loc[day, symbol], 2):.2f}")
        for symbol, rows in LOTS.items()
        for day, qty in rows
    ]
    _write("lots.csv", ("symbol", "acquired", "qty", "cost"), lots)
    _write("targets.csv", ("symbol", "weight"), sorted(TARGETS.items()))


def _write(name: str, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    with (FOLDER / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
