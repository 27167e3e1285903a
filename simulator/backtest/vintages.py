"""Harvesting measured: the same portfolio with and without it, begun in every year there is.

Rules of this room:
1. A vintage is a portfolio begun on a year's first trading day and held for so many years; only whole ones
   count. Its twin without harvesting is the very same until the first swap.
2. A difference of yearly log growth has two parts, told apart: what other names and more trades did before
   tax (`before_tax`, mostly luck), and the tax alpha, which is the rest: `held` leaves what is still held
   untaxed, `sold` sells everything on the last day, taxes paid.
3. Vintages overlap, so few of them are independent: the interval of their mean draws blocks that cover the
   overlap, stretched until it holds the truth as often as it says (`chance.of_overlapping`). Years weigh in
   it by the losses taken at that age: a tax alpha is made when losses are. How vintages spread is shown, too.

Source: Chaudhuri, Burnham and Lo, An empirical evaluation of tax-loss-harvesting alpha, FAJ 76(3), 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from gateway.domain.lots import TaxRates
from gateway.domain.settings import AccountSettings, Settings
from gateway.domain.tax.rules import Holder, Rules
from gateway.domain.tax.year import Filing
from simulator.backtest.bars import Bars
from simulator.backtest.chance import Overlap, of_overlapping, returns
from simulator.backtest.harvesting import Harvester, carrying_out
from simulator.backtest.measure import Measure, Track
from simulator.backtest.outcome import summed as summed_up
from simulator.backtest.runner import Run, Scenario, Wanted
from simulator.backtest.taxes import Elsewhere

PUBLISHED = (
    {"who": "Chaudhuri, Burnham, Lo 2020: 500 largest US names, monthly, 1926 to 2018, 15 % and 35 %, gains "
     "enough to offset, wash-sale rule kept", "alpha": 0.0082},
    {"who": "the same without the wash-sale rule", "alpha": 0.0108},
    {"who": "Betterment: 13 years, a Californian with 100,000 of income", "alpha": 0.0077},
)  # fmt: skip
DAYS_OF_A_YEAR = 365.25
FEW_DAYS = 10
"""A year is whole when no more than these are missing at either end: markets rest around New Year."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Name one way to play a vintage; `harvests` off is the twin everything is held against."""

    name: str
    harvests: bool = True
    washes: bool = True
    has_gains: bool = True


TWIN = Variant("no harvesting", harvests=False)
VARIANTS = (
    Variant("gains elsewhere, wash-sale rule"),
    Variant("gains elsewhere, no such rule", washes=False),
    Variant("no gains elsewhere, wash-sale rule", has_gains=False),
    Variant("no gains elsewhere, no such rule", washes=False, has_gains=False),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what is studied; `settings`, `scenario` and the account in it are those of the twin.

    Other accounts of the household are played along: what they buy can wash what is harvested.
    """

    bars: Bars
    settings: Settings
    scenario: Scenario
    account: str
    first: Wanted
    years: int = 10
    every: int = 21
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    holders: Mapping[str, Holder] = field(default_factory=dict)
    filing: Filing = Filing.JOINT
    dividend_rate: Decimal | None = None

    def vintages(self) -> list[int]:
        """Return the years in which a whole portfolio can begin."""
        begun = {day.year: day for day in reversed(self.bars.days)}
        last = self.bars.days[-1]
        least = round(self.years * DAYS_OF_A_YEAR) - FEW_DAYS
        return [
            year
            for year, day in sorted(begun.items())
            if (last - day).days >= least and day.timetuple().tm_yday <= FEW_DAYS
        ]


@dataclass(frozen=True, slots=True)
class Played:
    """What one vintage came to in one variant: the household's wealth, and its `growth` a year before tax.

    Growth is in log points. `lost` are losses that purchases of the household took for good; `losses` are
    harvested by year of age, shares of wealth.
    """

    vintage: int
    growth: float
    held: float
    sold: float
    swaps: int
    losses: tuple[float, ...]
    halted: str
    lost: float = 0.0


def play(plan: Plan, vintage: int, variant: Variant) -> Played:
    """Play one vintage in one variant."""
    bars = plan.bars.between(date(vintage, 1, 1), date(vintage + plan.years - 1, 12, 31))
    base = plan.settings.accounts[plan.account]
    window = base.decision.wash_sale_window_days if variant.washes else 0
    judged_by = replace(base, decision=replace(base.decision, wash_sale_window_days=window))
    accounts = {**plan.settings.accounts, plan.account: carrying_out(judged_by)}
    settings = replace(plan.settings, accounts=accounts)
    elsewhere = plan.elsewhere if variant.has_gains else Elsewhere()
    harvester = Harvester(
        plan.account, plan.first, judged_by, settings.substitutes, elsewhere, plan.every,
        is_on=variant.harvests,
    )  # fmt: skip
    scenario = replace(
        plan.scenario, wanted={**plan.scenario.wanted, plan.account: harvester.wanted},
        decides_by={plan.account: harvester.decides},
        opening=[replace(one, at=_before(one.at, bars.days[0])) for one in plan.scenario.opening],
    )  # fmt: skip
    run = Run(bars, settings, scenario, earlier=plan.bars)
    rules = Rules(window_days=window, rates=_rates(base))
    measure = Measure(
        run, rules=rules, elsewhere=elsewhere, holders=plan.holders or None, filing=plan.filing,
        dividend_rate=plan.dividend_rate,
    )  # fmt: skip
    harvester.follow(run, measure)
    losses = [0.0] * plan.years
    seen = 0.0
    for present in run:
        measure.take(present)
        if harvester.harvested != seen:
            age = min(plan.years - 1, present.day.on.year - vintage)
            losses[age] += (harvester.harvested - seen) / measure.tracks[plan.account].wealth[-1]
            seen = harvester.harvested
    halted = "; ".join(run.world.engine.state.halts.values())
    after = measure.after_tax(present)
    whole = summed_up(list(measure.tracks.values()))
    wealth = whole.wealth[-1] - float(measure.unpaid())
    growth = _before_tax(whole) / plan.years
    lost = sum(float(one.amount) for one in measure.taxes.washed() if one.is_permanent)
    return Played(vintage, growth, wealth, after, harvester.swaps, tuple(losses), halted, lost)


def _before_tax(track: Track) -> float:
    """Return the log growth of what was invested; what taxes took or saved came in the morning after."""
    wealth, tax, flow = np.array(track.wealth), np.array(track.tax), np.array(track.flow)
    return float(returns(wealth, np.concatenate([[0.0], -tax[:-1]]) + flow).sum())


def _before(at: datetime, day: date) -> datetime:
    return at.replace(year=day.year, month=day.month, day=day.day)


def _rates(account: AccountSettings) -> TaxRates:
    return TaxRates(account.costs.short_term_rate, account.costs.long_term_rate)


def summed(plan: Plan, found: Mapping[tuple[int, str], Played]) -> dict[str, Any]:
    """Return the study as plain data: a row a variant, alphas by vintage, what was published beside them."""
    vintages = sorted({vintage for vintage, _ in found})
    apart = vintages[1] - vintages[0] if len(vintages) > 1 else 1
    even = Overlap(len(vintages), plan.years, apart)
    variants = []
    for variant in VARIANTS:
        pairs = [(found[year, variant.name], found[year, TWIN.name]) for year in vintages]
        before = [one.growth - twin.growth for one, twin in pairs]
        alphas = {"before_tax": before}
        for what in ("held", "sold"):
            wealths = [(getattr(one, what), getattr(twin, what)) for one, twin in pairs]
            alphas[what] = [
                float(np.log(ours / theirs)) / plan.years - luck
                for (ours, theirs), luck in zip(wealths, before, strict=True)
            ]
        losses = np.mean([one.losses for one, _ in pairs], axis=0).tolist()
        by_age = replace(even, weights=tuple(losses) if sum(losses) > 0 else ())
        how = {"before_tax": even, "sold": by_age, "held": by_age}
        variants.append(
            {
                "name": variant.name,
                "alphas": alphas,
                "mean": {
                    what: asdict(of_overlapping(np.array(values), how[what]))
                    for what, values in alphas.items()
                },
                "spread": {what: _spread(values) for what, values in alphas.items()},
                "losses": losses,
                "swaps": float(np.mean([one.swaps for one, _ in pairs])),
                "lost": float(np.mean([one.lost for one, _ in pairs])),
                "halted": [one.halted for one, _ in pairs if one.halted],
            }
        )
    account = plan.settings.accounts[plan.account]
    differences = [
        {"gains": gains, "found": _without_rule(variants[with_rule], variants[without], even)}
        for gains, with_rule, without in (("elsewhere", 0, 1), ("none elsewhere", 2, 3))
    ]
    return {
        "history": plan.bars.name, "account": plan.account, "accounts": list(plan.settings.accounts),
        "names": list(plan.bars.symbols), "years": plan.years, "vintages": vintages, "variants": variants,
        "differences": differences,
        "published": list(PUBLISHED),
        "rates": {"short": float(account.costs.short_term_rate), "long": float(account.costs.long_term_rate)},
        "limits": limits(plan),
    }  # fmt: skip


def _without_rule(
    kept: Mapping[str, Any], dropped: Mapping[str, Any], even: Overlap
) -> dict[str, dict[str, Any]]:
    """Say by how much more a year the same vintages came to without the wash-sale rule."""
    losses = tuple(kept["losses"])
    found = {}
    for what in ("sold", "held", "before_tax"):
        by_age = what != "before_tax" and sum(losses) > 0
        gaps = np.array(dropped["alphas"][what]) - np.array(kept["alphas"][what])
        found[what] = asdict(of_overlapping(gaps, replace(even, weights=losses) if by_age else even))
    return found


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, quarter, middle, most, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
    return {"lowest": low, "quarter": quarter, "median": middle, "three_quarters": most, "highest": high}


def limits(plan: Plan) -> list[str]:
    """State what the study leaves out."""
    count = len(plan.bars.symbols)
    return [
        (
            f"Survivorship: the {count} names were chosen knowing that they last; names that fall for good "
            "would have brought larger losses, and this study has none of them."
        ),
        (
            f"Vintages overlap: {plan.years} years each, begun a year or more apart, so few are independent. "
            "The interval draws blocks of them that cover the overlap, and is stretched until it would hold "
            "the truth in 95 % of trials with independent years, which weigh by the losses taken at that age "
            "(for growth before tax: all the same)."
        ),
        ("One deposit: a portfolio harvests most in its first years; later deposits would bring new losses."),
        "Sold: everything is sold on the last day and taxed. Who dies holding, or gives, keeps more.",
        "Held: the tax on what is still held is left out, which flatters harvesting: its basis is lower.",
        "Prices hold dividends: never taxed, they wash no loss. One year's federal rates in all years.",
        (
            "With gains elsewhere there are always enough of both terms; without, 3,000 of income a year and "
            "what is carried on."
        ),
        "Substitutes are other names of the same portfolio, which concentrates it while they stand in.",
    ]
