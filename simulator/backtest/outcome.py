"""The outcome: one run's figures as plain data, and what can be said of the difference between two.

Rules of this room:
1. Rates are a year's, over 252 trading days; weights and shares of wealth are fractions, money is money.
2. Growth is in log points a year, after cost and after the taxes paid; wealth after tax is what a sale of
   everything would leave.
3. Everything here can be written as JSON, and is: the page shows nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from simulator.backtest.chance import DAYS, Interval, of_growth, of_mean, returns
from simulator.backtest.measure import Measure, Track

SERIES_POINTS = 400
"""So many points of a series are shown; figures are made of all of them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Sum up one account of one run over some days.

    `turnover` is the value traded over wealth a year, one way counted once; `cost` and `tax` are shares of
    wealth a year; `drift` is the mean of the daily largest gaps; `volatility` is that of daily log returns.
    """

    first: date
    last: date
    days: int
    begin: float
    end: float
    growth: float
    volatility: float
    turnover: float
    cost: float
    tax: float
    drift: float
    trades: int
    deepest_fall: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what one named run came to: the tracks of its accounts and wealth after tax, once a month."""

    name: str
    policy: str
    days: tuple[date, ...]
    tracks: dict[str, Track]
    after_tax: tuple[tuple[date, float], ...]
    years: tuple[Any, ...]
    halted: dict[str, str]
    stranded: dict[str, date]

    def figures(self, account: str, first: date | None = None, last: date | None = None) -> Figures:
        """Sum up the days from `first` to `last`, both in; all without them.

        A part that begins later begins with the evening of its first day: what was traded that day belongs to
        the part before.
        """
        rows = [
            n for n, day in enumerate(self.days)
            if (first is None or day >= first) and (last is None or day <= last)
        ]  # fmt: skip
        track = self.tracks[account]
        if not rows:
            raise ValueError(f"no day of {self.name} lies in {first} to {last}")
        wealth, flow = np.array(track.wealth)[rows], np.array(track.flow)[rows]
        change = returns(wealth, flow)
        growing = np.concatenate([[0.0], np.cumsum(change)])
        mean = float(wealth.mean())
        traded = rows if rows[0] == 0 else rows[1:]
        per_year = DAYS / max(1, len(traded))
        drifts = [gap for n in traded if (gap := track.drift[n]) is not None]
        return Figures(
            first=self.days[rows[0]], last=self.days[rows[-1]], days=len(rows), begin=float(wealth[0]),
            end=float(wealth[-1]), growth=float(change.mean() * DAYS) if len(change) else 0.0,
            volatility=float(change.std() * DAYS**0.5) if len(change) else 0.0,
            turnover=float(np.array(track.turnover)[traded].sum()) * per_year / 2,
            cost=float(np.array(track.cost)[traded].sum()) / mean * per_year,
            tax=float(np.array(track.tax)[traded].sum()) / mean * per_year,
            drift=float(np.mean(drifts)) if drifts else 0.0, trades=sum(track.trades[n] for n in traded),
            deepest_fall=float((growing - np.maximum.accumulate(growing)).min()),
        )  # fmt: skip

    def final_after_tax(self) -> float:
        """Return what a sale of everything on the last day would leave."""
        return self.after_tax[-1][1]


def outcome_of(name: str, measure: Measure, after_tax: list[tuple[date, float]]) -> Outcome:
    """Take the figures of a run that has ended."""
    account = next(iter(measure.run.settings.accounts.values()))
    halts = dict(measure.run.world.engine.state.halts)
    years = tuple(measure.taxes.years())
    return Outcome(
        name, account.decision.policy, tuple(measure.days), measure.tracks, tuple(after_tax), years, halts,
        dict(measure.run.stranded),
    )  # fmt: skip


def difference(ours: Outcome, theirs: Outcome, account: str) -> dict[str, Interval]:
    """Say by how much one run differs from another a year, with intervals, on the same days.

    `growth` in log points after cost and taxes paid; `cost`, `tax` and `turnover` as in `Figures`.
    """
    one, other = ours.tracks[account], theirs.tracks[account]
    wealth, against = np.array(one.wealth), np.array(other.wealth)
    found = {"growth": of_growth(wealth, against, np.array(one.flow))}
    for what in ("cost", "tax"):
        mine, its = np.array(getattr(one, what)) / wealth, np.array(getattr(other, what)) / against
        found[what] = of_mean(mine - its)
    found["turnover"] = of_mean((np.array(one.turnover) - np.array(other.turnover)) / 2)
    return found


def as_data(outcomes: list[Outcome], account: str, split: date | None) -> dict[str, Any]:
    """Return everything a page or a program needs of several runs; all are held against the first."""
    runs = []
    for one in outcomes:
        parts = {"all": one.figures(account)}
        if split is not None:
            parts |= {"before": one.figures(account, None, split), "after": one.figures(account, split, None)}
        run = {
            "name": one.name, "policy": one.policy, "actions": dict(one.tracks[account].actions),
            "figures": {part: asdict(figures) for part, figures in parts.items()},
            "after_tax": one.final_after_tax(), "halted": one.halted, "series": _series(one, account),
            "years": [asdict(year) for year in one.years],
        }  # fmt: skip
        runs.append(run)
    first = outcomes[0]
    against = {
        one.name: {what: asdict(found) for what, found in difference(one, first, account).items()}
        for one in outcomes[1:]
    }
    return {"account": account, "split": split, "runs": runs, "against": first.name, "differences": against}


def _series(one: Outcome, account: str) -> dict[str, Any]:
    """Thin a run's series out for a page; turnover, cost and tax are summed over what is left out.

    Drift is that of the last decision.
    """
    track = one.tracks[account]
    step = max(1, -(-len(one.days) // SERIES_POINTS))
    at = list(range(0, len(one.days), step))
    if at[-1] != len(one.days) - 1:
        at.append(len(one.days) - 1)

    drift, last = [], 0.0
    for gap in track.drift:
        last = last if gap is None else gap
        drift.append(last)

    def summed(values: list[float]) -> list[float]:
        return [float(sum(values[max(0, n - step + 1) : n + 1])) for n in at]

    return {
        "days": [one.days[n] for n in at], "wealth": [track.wealth[n] for n in at],
        "drift": [drift[n] for n in at], "lots": [track.lots[n] for n in at],
        "turnover": summed(track.turnover), "cost": summed(track.cost), "tax": summed(track.tax),
        "after_tax": [{"day": day, "value": value} for day, value in one.after_tax],
        "weights": track.weights_at(at),
    }  # fmt: skip
