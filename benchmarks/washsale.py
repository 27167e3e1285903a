"""Time and memory of the tax ledger: a household with a million lots and a hundred thousand sales.

Four accounts (one of them an IRA) buy and sell 2,000 symbols over six years, a third of the sales at a loss,
many of them within a month of a purchase of the same security or of its twin in the same identical group.
Growing sizes, with as many more symbols, are run one after the other, each in a process of its own, with the
ratio to the size before: twice the record should take about twice the time. Seconds are of CPU, for the
ledger waits for nothing. A last run puts everything into one symbol of one account, where every window is
crowded. The yardstick is a plain loop of as many Decimal additions as there are lots.

Run: ``python benchmarks/washsale.py [--lots 1000000]``; exit 1 above 30 s or 2 GB. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice

from gateway.domain.lots import LotMethod
from gateway.domain.tax.ledger import Ledger
from gateway.domain.tax.play import take
from gateway.domain.tax.record import Deed, Trade
from gateway.domain.tax.rules import AccountKind, Holder, Security

START = date(2019, 1, 2)
DAYS = 2200
SYMBOLS = 2000
BATCH = 10_000
LIMIT_S, LIMIT_MB = 30.0, 2048.0
ACCOUNTS = [
    Holder("fifo", method=LotMethod.FIFO),
    Holder("hifo", method=LotMethod.HIFO),
    Holder("tax", AccountKind.SPOUSE, "spouse", LotMethod.MIN_TAX),
    Holder("ira", AccountKind.IRA),
]


def record(lots: int, symbols: int, accounts: list[Holder], seed: int = 11) -> Iterator[Trade]:
    """Make trades in order of time: ten purchases to a sale, sales of about half a lot."""
    chance = random.Random(seed)
    names = [f"S{index:04d}" for index in range(symbols)]
    cents = {name: chance.randint(1_000, 50_000) for name in names}
    held: dict[tuple[str, str], int] = {}
    keys: list[tuple[str, str]] = []
    for number in range(lots + lots // 10):
        on = START + timedelta(days=number * DAYS // (lots + lots // 10))
        account, name = chance.choice(accounts).name, chance.choice(names)
        is_sale = number % 11 == 10
        if is_sale:
            account, name = next(key for _ in names if held[key := chance.choice(keys)] or len(names) == 1)
        cents[name] = max(100, cents[name] + chance.randint(-300, 300))
        qty = chance.randint(1, 200)
        there = held.get((account, name), 0)
        if is_sale:
            qty = min(qty // 2 + 1, there)
        elif not there:
            keys.append((account, name))
        held[account, name] = there + (-qty if is_sale else qty)
        deed = Deed.SELL if is_sale else Deed.BUY
        yield Trade(on, account, deed, name, Decimal(qty), Decimal(qty * cents[name]) / 100)


def measure(lots: int, symbols: int, count: int) -> dict[str, float]:
    """Play one record; the making of the entries is not timed."""
    accounts = ACCOUNTS[:count]
    start = time.process_time()
    total = Decimal(0)
    for _ in range(lots):
        total += Decimal("0.01")
    yardstick = time.process_time() - start
    twins = {f"S{index:04d}": Security(f"S{index:04d}", f"G{index // 2}") for index in range(symbols)}
    gc.disable()  # as `gateway tax` does
    ledger = Ledger(holders={one.name: one for one in accounts}, securities=twins)
    seconds, trades = 0.0, record(lots, symbols, accounts)
    while batch := list(islice(trades, BATCH)):
        start = time.process_time()
        for trade in batch:
            take(ledger, trade)
        seconds += time.process_time() - start
    taxed = [line for line in ledger.lines if line.is_taxed]
    return {
        "lots": lots,
        "sales": lots // 10,
        "seconds": seconds,
        "yardstick_s": yardstick,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "lines": len(ledger.lines),
        "washed": sum(1 for line in taxed if line.disallowed),
        "open": len(ledger.open_lots()),
    }


def apart(lots: int, symbols: int, count: int) -> dict[str, float]:
    """Measure in a process of its own, so that memory is that size's alone."""
    words = [
        sys.executable,
        __file__,
        "--one",
        str(lots),
        "--symbols",
        str(symbols),
        "--accounts",
        str(count),
    ]
    found: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return found


def main() -> int:
    """Measure growing sizes, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lots", type=int, default=1_000_000)
    parser.add_argument("--one", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--symbols", type=int, default=SYMBOLS)
    parser.add_argument("--accounts", type=int, default=len(ACCOUNTS))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.symbols, options.accounts)))
        return 0
    print("      lots    sales    lines   washed   seconds  ratio     MB  x plain")
    before, rows = 0.0, []
    sizes = [options.lots // 8, options.lots // 4, options.lots // 2, options.lots]
    runs = [(size, max(2, SYMBOLS * size // options.lots), len(ACCOUNTS)) for size in sizes] + [
        (options.lots, 1, 1)
    ]
    for size, symbols, count in runs:
        row = apart(size, symbols, count)
        rows.append(row)
        ratio = f"{row['seconds'] / before:7.2f}" if before and symbols > 1 else f"{'':7s}"
        before = row["seconds"]
        print(
            f"{size:10,}{row['sales']:9,}{row['lines']:9,}{row['washed']:9,}{row['seconds']:10.2f}{ratio}"
            f"{row['mb']:7.0f}{row['seconds'] / row['yardstick_s']:9.0f}"
            f"{'' if symbols > 1 else '  (one symbol, one account)'}",
            flush=True,
        )
    whole, crowded = rows[-2], rows[-1]
    figures = {
        "lots": whole["lots"], "sales": whole["sales"], "seconds": round(whole["seconds"], 2),
        "mb": round(whole["mb"]), "doubling_ratio": round(whole["seconds"] / rows[-3]["seconds"], 2),
        "one_symbol_s": round(crowded["seconds"], 2), "one_symbol_mb": round(crowded["mb"]),
    }  # fmt: skip
    print(json.dumps(figures))
    worst_s, worst_mb = max(row["seconds"] for row in rows), max(row["mb"] for row in rows)
    return 0 if worst_s <= LIMIT_S and worst_mb <= LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
