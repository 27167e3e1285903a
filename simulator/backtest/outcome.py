"""The outcome: one run's figures as plain data, and what can be said of the difference between two.

Rules of this room:
1. Rates are a year's, over 252 trading days; weights and shares of wealth are fractions, money is money.
2. Growth is in log points a year, after cost and after the taxes paid; wealth after tax is what a sale of
   everything would leave.
3. Everything here can be written as JSON, and is: the page shows nothing else.
4. Several accounts are shown together, as `HOUSEHOLD`, and one by one. Their sum is the household's, but for
   its drift, which is the mean of theirs weighed by wealth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from simulator.backtest.chance import DAYS, Interval, of_growth, of_mean, returns
from simulator.backtest.measure import Measure, Track
from simulator.backtest.taxes import Return, Washed

HOUSEHOLD = "household"
SERIES_POINTS = 400
"""So many points of a series are shown; figures are made of all of them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Sum up one account of one run, or all of them, over some days.

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
    """Hold what one named run came to: the tracks of its accounts and wealth after tax, once a month.

    Where there are several accounts their sum has a track, too. `policies` are by account; `reference` is
    the run this one is held against, the first where it is empty.
    """

    name: str
    policies: dict[str, str]
    days: tuple[date, ...]
    tracks: dict[str, Track]
    after_tax: tuple[tuple[date, dict[str, float]], ...]
    returns: tuple[Return, ...]
    washed: tuple[Washed, ...]
    halted: dict[str, str]
    stranded: dict[str, date]
    reference: str = ""
    has_untaxed: bool = False

    @property
    def views(self) -> list[str]:
        """Return what can be looked at: the household first where it is more than one account."""
        return sorted(self.tracks, key=lambda name: name != HOUSEHOLD)

    def policy(self, view: str) -> str:
        """Return the policy of an account, or all those of the household."""
        found = self.policies.values() if view == HOUSEHOLD else [self.policies[view]]
        return ", ".join(dict.fromkeys(found))

    def figures(self, view: str, first: date | None = None, last: date | None = None) -> Figures:
        """Sum up the days from `first` to `last`, both in; all without them.

        A part that begins later begins with the evening of its first day: what was traded that day belongs to
        the part before.
        """
        rows = [
            n for n, day in enumerate(self.days)
            if (first is None or day >= first) and (last is None or day <= last)
        ]  # fmt: skip
        track = self.tracks[view]
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

    def final_after_tax(self, view: str) -> float:
        """Return what a sale of everything on the last day would leave."""
        return self.after_tax[-1][1][view]


def outcome_of(
    name: str, measure: Measure, after_tax: Sequence[tuple[date, Mapping[str, float]]], reference: str = ""
) -> Outcome:
    """Take the figures of a run that has ended; `after_tax` is by account."""
    accounts = measure.run.settings.accounts
    tracks = dict(measure.tracks)
    left = [(on, dict(by_account)) for on, by_account in after_tax]
    if len(tracks) > 1:
        tracks[HOUSEHOLD] = summed(list(measure.tracks.values()))
        left = [(on, {**one, HOUSEHOLD: sum(one.values())}) for on, one in left]
    return Outcome(
        name, {one: account.decision.policy for one, account in accounts.items()}, tuple(measure.days),
        tracks, tuple(left), tuple(measure.taxes.returns()), tuple(measure.taxes.washed()),
        dict(measure.run.world.engine.state.halts), dict(measure.run.stranded), reference,
        has_untaxed=not all(one.kind.is_taxed for one in measure.taxes.ledger.holders.values()),
    )  # fmt: skip


def summed(tracks: Sequence[Track]) -> Track:
    """Return the track of several accounts together."""
    days = range(len(tracks[0].wealth))

    def total(what: str) -> list[Any]:
        return [sum(getattr(track, what)[n] for track in tracks) for n in days]

    wealth: list[float] = total("wealth")

    def weighed(n: int, values: Sequence[float]) -> float:
        shares = [track.wealth[n] for track in tracks]
        return sum(a * b for a, b in zip(shares, values, strict=True)) / wealth[n] if wealth[n] else 0.0

    drift: list[float | None] = []
    held = []
    for n in days:
        gaps = [gap for track in tracks if (gap := track.drift[n]) is not None]
        drift.append(weighed(n, [track.drift[n] or 0.0 for track in tracks]) if gaps else None)
        names = {symbol for track in tracks for symbol in track.held[n]}
        held.append({one: weighed(n, [track.held[n].get(one, 0.0) for track in tracks]) for one in names})
    return Track(
        wealth=wealth, cash=total("cash"), flow=total("flow"), drift=drift,
        turnover=[weighed(n, [track.turnover[n] for track in tracks]) for n in days], cost=total("cost"),
        tax=total("tax"), lots=total("lots"), actions=sum((track.actions for track in tracks), Counter()),
        acted=total("acted"), trades=total("trades"), held=held,
    )  # fmt: skip


def difference(ours: Outcome, theirs: Outcome, view: str) -> dict[str, Interval]:
    """Say by how much one run differs from another a year, with intervals, on the same days.

    `growth` in log points after cost and taxes paid; `cost`, `tax` and `turnover` as in `Figures`. Taxes come
    once a year, so their blocks are years.
    """
    one, other = ours.tracks[view], theirs.tracks[view]
    wealth, against = np.array(one.wealth), np.array(other.wealth)
    found = {"growth": of_growth(wealth, against, np.array(one.flow))}
    for what, block in (("cost", 0), ("tax", DAYS)):
        mine, its = np.array(getattr(one, what)) / wealth, np.array(getattr(other, what)) / against
        found[what] = of_mean(mine - its, block=block)
    found["turnover"] = of_mean((np.array(one.turnover) - np.array(other.turnover)) / 2)
    return found


def as_data(outcomes: Sequence[Outcome], split: date | None) -> dict[str, Any]:
    """Return everything a page or a program needs of several runs: the whole, and each account of several."""
    first, *others = outcomes[0].views
    found = {**_view(outcomes, first, split), "split": split}
    found["accounts"] = [_view(outcomes, name, split) for name in others]
    for run, one in zip(found["runs"], outcomes, strict=True):
        run |= {
            "halted": one.halted, "years": [asdict(year) for year in one.returns],
            "washed": _washed(one.washed),
        }  # fmt: skip
    return found


def reference_of(one: Outcome, outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the run another is held against: the one it names, else the first, never itself."""
    named = next((other for other in outcomes if other.name == one.reference), outcomes[0])
    return None if named is one else named


def _view(outcomes: Sequence[Outcome], view: str, split: date | None) -> dict[str, Any]:
    """Return the figures, differences and series of one account, or of the household."""
    runs = []
    for one in outcomes:
        parts = {"all": one.figures(view)}
        if split is not None:
            parts |= {"before": one.figures(view, None, split), "after": one.figures(view, split, None)}
        run = {
            "name": one.name, "policy": one.policy(view), "actions": dict(one.tracks[view].actions),
            "figures": {part: asdict(figures) for part, figures in parts.items()},
            "after_tax": one.final_after_tax(view), "series": _series(one, view),
        }  # fmt: skip
        runs.append(run)
    differences = []
    for one in outcomes:
        other = reference_of(one, outcomes)
        if other is not None:
            found = {what: asdict(gap) for what, gap in difference(one, other, view).items()}
            differences.append({"run": one.name, "against": other.name, "found": found})
    return {"account": view, "runs": runs, "differences": differences}


def _washed(washed: Sequence[Washed]) -> list[dict[str, Any]]:
    """Sum up wash sales by who sold and who bought: how many, put off, and lost for good."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in washed:
        row = found.setdefault(
            (one.account, one.bought_in),
            {"sold_in": one.account, "bought_in": one.bought_in, "times": 0, "put_off": 0, "lost": 0},
        )
        row["times"] += 1
        row["lost" if one.is_permanent else "put_off"] += one.amount
    return [found[key] for key in sorted(found)]


def _series(one: Outcome, view: str) -> dict[str, Any]:
    """Thin a run's series out for a page; turnover, cost and tax are summed over what is left out.

    Drift is that of the last decision.
    """
    track = one.tracks[view]
    step = max(1, -(-len(one.days) // SERIES_POINTS))
    at = list(range(0, len(one.days), step))
    if at[-1] != len(one.days) - 1:
        at.append(len(one.days) - 1)

    drift, last = [], 0.0
    for gap in track.drift:
        last = last if gap is None else gap
        drift.append(last)

    def summed(values: Sequence[float]) -> list[float]:
        return [float(sum(values[max(0, n - step + 1) : n + 1])) for n in at]

    return {
        "days": [one.days[n] for n in at], "wealth": [track.wealth[n] for n in at],
        "drift": [drift[n] for n in at], "lots": [track.lots[n] for n in at],
        "turnover": summed(track.turnover), "cost": summed(track.cost), "tax": summed(track.tax),
        "acted": summed(track.acted),
        "after_tax": [{"day": day, "value": left[view]} for day, left in one.after_tax],
        "weights": track.weights_at(at),
    }  # fmt: skip
