"""What a backtest leaves out, in sentences that stand beside its figures.

Rules of this room:
1. A limit is stated when it holds for what was played, in numbers where there are any.
2. Which way a limit leans is said where it is known.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from simulator.backtest.bars import Bars
from simulator.backtest.outcome import Outcome
from simulator.backtest.runner import Dividends
from simulator.backtest.tape import Fills

BUNDLED = "bundled:"
WHAT_BECOMES = {
    Dividends.CASH: "Dividends are cash from the morning of their day on.",
    Dividends.REINVEST: (
        "Reinvested dividends buy whole shares at the close of the day they are paid, free of charge: lots "
        "of that day, which wash a loss as any purchase does."
    ),
}
PRICES = {
    Fills.CLOSE: "Orders fill at the very close they were decided on; a real one is sent before it is known.",
    Fills.NEXT_OPEN: "Orders fill at the next day's opening price, whatever their size.",
    Fills.NEXT_TYPICAL: "Orders fill at the mean of the next day's high, low and close.",
}


def stated(
    bars: Bars, fills: Fills, dividends: Collection[Dividends], outcomes: Sequence[Outcome], *,
    is_taxed: bool, has_volume: bool = False,
) -> list[str]:  # fmt: skip
    """Return the limits of what was played; `dividends` are what the accounts do with theirs.

    `has_volume` says that the impact of a trade's size could be charged.
    """
    found = [_survivors(bars), PRICES[fills]]
    found.append(
        "Spread, impact and commission are the cost model's, not those of the day; every order fills whole."
    )
    if not has_volume:
        found.append(
            "No volume is known, so no impact of a trade's size is charged: large accounts pay more."
        )
    if bars.name.startswith(BUNDLED):
        found.append(
            f"Prices ({bars.source}) are adjusted for dividends and splits: dividends are inside them, "
            "reinvested at no cost and never taxed; early prices are too low, so commission by the share "
            "weighs too much early."
        )
    else:
        found += [WHAT_BECOMES[one] for one in sorted(set(dividends))]
        found.append(
            "All dividends are qualified and taxed at one rate, in taxed accounts, in the year they are paid."
            if is_taxed
            else "Dividends are not taxed."
        )
    if is_taxed:
        found.append(
            "Wealth after tax is what a sale of everything on one day would leave; who dies holding, or "
            "gives, pays less. Net losses save what the year's rules let them, at one year's rates in all "
            "years, federal tax alone."
        )
    if is_taxed and any(one.has_untaxed for one in outcomes):
        found.append(
            "Accounts that are not taxed owe nothing here; what is drawn from a traditional IRA is income "
            "then, and its wealth is not all the owner's."
        )
    gone = sorted({symbol for one in outcomes for symbol in one.stranded})
    if gone:
        found.append(
            f"{', '.join(gone)} could not be sold on the last day of trading and stood in the books at the "
            "last price until it could: a real one may have been worth less."
        )
    return found


def _survivors(bars: Bars) -> str:
    ended = int(np.isnan(bars.close[-1]).sum())
    if ended:
        return f"{ended} of {len(bars.symbols)} names leave before the end; others may be missing altogether."
    return (
        f"Survivorship: all {len(bars.symbols)} names are still listed at the end, chosen knowing that. "
        "Growth is too high in every run, and most in one that lets winners drift: judge runs by drift, cost "
        "and tax rather than by growth."
    )
