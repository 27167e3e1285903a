"""Time from target weights to whole-lot orders for a large basket, beside a plain Python loop.

A fund of 100 million dollars holds 5,000 names near their targets (weights lognormal, prices 5 to 600
dollars, whole shares); the targets leave 1 % in cash. Two cases are measured with the two kernels
`gateway.decision.policy` itself calls, `nearest_lots` and `afford`: cash pays for every buy, and cash
pays for half of them. The reference does the same rounding name by name with floats in a loop. The
whole of `propose` (costs, lots, tax, wash sales, reasons, all Decimals) is timed too, for scale.

Every figure is the median of its runs.
Run: ``python benchmarks/planning.py [--names 5000]``. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np

from gateway.decision.drift import Survey, survey
from gateway.decision.policy import propose
from gateway.decision.sizing import Grid, afford, nearest_lots, wish
from gateway.decision.view import View
from gateway.domain.book import Account, Book
from gateway.domain.instrument import Instrument
from gateway.domain.lots import Lot
from gateway.domain.settings import AccountSettings
from gateway.events import Others, Regime

NAV = 100_000_000
TODAY = date(2024, 3, 12)


@dataclass(frozen=True)
class Basket:
    """Hold one basket as the kernels see it: arrays with one entry per name, money in dollars."""

    found: Survey
    grid: Grid
    held: Any
    cash: float


def view_of(names: int, seed: int = 7) -> View:
    """Make a fund whose holdings have drifted about a tenth away from their targets."""
    chance = random.Random(seed)
    symbols = [f"N{index:05d}" for index in range(names)]
    raw = [chance.lognormvariate(0, 0.5) for _ in symbols]
    weights = [0.99 * weight / sum(raw) for weight in raw]
    account = Account("fund", Decimal(NAV))
    prices, targets = {}, {}
    for symbol, weight in zip(symbols, weights, strict=True):
        price = Decimal(f"{math.exp(chance.uniform(math.log(5), math.log(600))):.2f}")
        qty = Decimal(round(weight * chance.gauss(1, 0.1) * NAV / float(price)))
        prices[symbol], targets[symbol] = price, Decimal(f"{weight:.8f}")
        if qty > 0:
            account.positions[symbol] = qty
            account.lots[symbol] = [Lot(symbol, symbol, date(2022, 1, 3), qty, qty * price)]
            account.cash -= qty * price
    return View(
        TODAY, AccountSettings("fund", "none"), Book({"fund": account}),
        {symbol: Instrument(symbol) for symbol in symbols}, prices, targets, Others.KEEP, Regime.NORMAL,
    )  # fmt: skip


def basket_of(view: View) -> Basket:
    """Turn a view into the arrays the kernels take."""
    found = survey(view)
    held = [int(view.book.position("fund", symbol)) for symbol in found.symbols]
    return Basket(found, wish(view, found, 1.0).grid, np.array(held), float(found.cash))


def vectorised(basket: Basket, share: float) -> Any:
    """Go from weights to signed whole lots; `share` of the cash and proceeds may be spent."""
    found, grid = basket.found, basket.grid
    gap = (found.target - found.expected) * float(found.nav)
    lots = nearest_lots(gap, grid, basket.held)
    is_buy = lots > 0
    sold = np.maximum(-lots, 0)
    charged = np.maximum(grid.minimum, sold * grid.rate) * (sold > 0)
    budget = (basket.cash + float((sold * grid.unit - charged).sum())) * share
    at = np.flatnonzero(is_buy)
    lots[at] = afford((gap / grid.unit)[at], lots[at], grid.take(at), budget)
    return lots


def by_loop(basket: Basket, share: float) -> list[int]:
    """Do the same name by name: nearest lots, then buys cut in one proportion (no second look)."""
    nav, minimum = float(basket.found.nav), basket.grid.minimum
    rows = list(
        zip(
            basket.found.target.tolist(), basket.found.expected.tolist(), basket.grid.unit.tolist(),
            basket.grid.worst.tolist(), basket.grid.rate.tolist(), basket.held.tolist(), strict=True,
        )
    )  # fmt: skip
    lots, budget, needed = [], basket.cash, 0.0
    for target, weight, unit, worst, rate, held in rows:
        wanted = (target - weight) * nav / unit
        count = math.floor(abs(wanted) + 0.5)
        if wanted < 0:
            count = min(count, held)
            budget += count * unit - (max(minimum, count * rate) if count else 0.0)
            lots.append(-count)
        else:
            needed += count * worst + (max(minimum, count * rate) if count else 0.0)
            lots.append(count)
    cut = min(1.0, budget * share / needed)
    return [math.floor(count * cut) if count > 0 else count for count in lots]


def median_ms(work: Callable[[], Any], runs: int) -> float:
    """Return the median of `runs` runs in milliseconds, after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def l1_error(basket: Basket, lots: Any) -> float:
    """Return the summed absolute weight error that is left."""
    left = basket.found.gap - np.asarray(lots) * basket.grid.unit / float(basket.found.nav)
    return float(np.abs(left).sum())


def main() -> None:
    """Measure, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    view = view_of(options.names)
    basket = basket_of(view)
    rows = []
    for title, share in (("cash for every buy", 1.0), ("cash for half of it", 0.5)):
        ms = median_ms(lambda share=share: vectorised(basket, share), options.runs)
        loop_ms = median_ms(lambda share=share: by_loop(basket, share), max(3, options.runs // 20))
        lots = vectorised(basket, share)
        rows.append((title, ms, loop_ms, l1_error(basket, lots), l1_error(basket, by_loop(basket, share))))
    whole_ms = median_ms(lambda: propose(view), 3)
    plan = propose(view)
    print(
        f"{options.names} names, NAV {NAV:,}, drift {basket.found.drift:.2%}, {len(plan.proposals)} proposals"
    )
    print(f"{'case':22s}{'kernels ms':>12s}{'loop ms':>10s}{'ratio':>8s}{'L1 error':>11s}{'loop L1':>10s}")
    for title, ms, loop_ms, error, loop_error in rows:
        print(f"{title:22s}{ms:12.3f}{loop_ms:10.3f}{loop_ms / ms:8.1f}{error:11.5f}{loop_error:10.5f}")
    print(f"whole propose(): {whole_ms:.0f} ms, {whole_ms * 1000 / options.names:.0f} us a name")
    figures = {
        "names": options.names, "ms": round(rows[0][1], 3), "l1_error": round(rows[0][3], 6), "nav": NAV,
        "loop_ms": round(rows[0][2], 3), "short_of_cash_ms": round(rows[1][1], 3),
        "propose_ms": round(whole_ms, 1),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
