"""The harvesting study as one HTML page.

Rules of this room:
1. Everything shown comes from `simulator.backtest.vintages.summed`; here it is only written down.
2. What was measured stands beside what was published, and what is left out stands on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from html import escape
from typing import Any

from gateway.views import plots
from gateway.views.parts import document, figure, table

BP = 1e4
NO_KEY = -1
ENDS = {
    "sold": "tax alpha, sold at the end", "held": "tax alpha, still held",
    "before_tax": "other names and more trades, before tax",
}  # fmt: skip


def render(data: Mapping[str, Any]) -> str:
    """Return the page of a study."""
    first, last = data["vintages"][0], data["vintages"][-1]
    head = (
        f'<h1>{escape(data["title"])}</h1><p class="soft wideline">{len(data["vintages"])} portfolios of '
        f"{len(data['names'])} names on {escape(str(data['history']))}, begun {first} to {last}, "
        f"{data['years']} years each; {data['rates']['short']:.0%} on short-term, "
        f"{data['rates']['long']:.0%} on long-term gains</p>"
    )
    best = data["variants"][0]["mean"]["sold"]
    rule = data["differences"][0]["found"]["sold"]
    verdict = (
        f"With gains elsewhere and the wash-sale rule kept, harvesting brought {best['value'] * BP:.0f} bp a "
        f"year after everything was sold and taxed (95 %: {best['low'] * BP:.0f} to "
        f"{best['high'] * BP:.0f}); without that rule {rule['value'] * BP:+.1f} bp (95 %: "
        f"{rule['low'] * BP:+.1f} to {rule['high'] * BP:+.1f})."
    )
    if len(data["accounts"]) > 1:
        lost = data["variants"][0]["lost"]
        verdict += (
            f" {data['account']} harvests; figures are of {', '.join(data['accounts'])} together, whose "
            f"purchases took {lost:,.0f} of its losses for good."
        )
    limits = "".join(f"<li>{escape(one)}</li>" for one in data["limits"])
    body = (
        f"<p class=verdict>{escape(verdict)}</p>{_alphas(data)}{_rule(data)}{_plots(data)}{_losses(data)}"
        f"{_published(data)}"
        f"<h2>What these figures leave out</h2><ul>{limits}</ul>"
    )
    foot = (
        "Played by the engine that trades, over real days. The past says little about the future. No advice."
    )
    return document(data["title"], head, body, foot)


def _alphas(data: Mapping[str, Any]) -> str:
    header = [
        "variant", "mean", "low", "high", "lowest", "quarter", "median", "three quarters", "highest", "swaps",
    ]  # fmt: skip
    caption = (
        "bp a year against the same portfolio without harvesting; low and high: 95 %, by blocks of vintages "
        "that cover their overlap, stretched as the limits say"
    )
    found = []
    for end, word in ENDS.items():
        rows = [
            [
                one["name"], *(f"{one['mean'][end][key] * BP:+.1f}" for key in ("value", "low", "high")),
                *(f"{value * BP:+.1f}" for value in one["spread"][end].values()), f"{one['swaps']:.0f}",
            ]
            for one in data["variants"]
        ]  # fmt: skip
        found.append(table(f"{word[0].upper()}{word[1:]}", header, rows, caption, words={0}))
    return "".join(found)


def _rule(data: Mapping[str, Any]) -> str:
    """Tell what the wash-sale rule changes, vintage by vintage."""
    rows = [
        [one["gains"], ENDS[end], *(f"{found[key] * BP:+.1f}" for key in ("value", "low", "high"))]
        for one in data["differences"]
        for end, found in one["found"].items()
    ]
    caption = "bp a year without the rule less with it, the same beginnings; 95 % as above"
    header = ["gains", "what", "difference", "low", "high"]
    return table("What the wash-sale rule takes", header, rows, caption, words={0, 1}, key=NO_KEY)


def _plots(data: Mapping[str, Any]) -> str:
    days = [date(year, 1, 1) for year in data["vintages"]]
    if len(days) < 2:  # noqa: PLR2004 - one vintage has no course
        return ""
    found = [
        figure(
            f"{word[0].upper()}{word[1:]}", "by year of beginning",
            plots.curves(
                days, {one["name"]: one["alphas"][end] for one in data["variants"]}, f"alpha-{end}",
                f"{word} by year of beginning", "%",
            ),
        )
        for end, word in ENDS.items()
    ]  # fmt: skip
    return f"<div class=plots>{''.join(found)}</div>"


def _losses(data: Mapping[str, Any]) -> str:
    header = ["variant", *(f"year {age + 1}" for age in range(data["years"]))]
    rows = [[one["name"], *(f"{loss:.2%}" for loss in one["losses"])] for one in data["variants"]]
    caption = "Losses taken, as a share of wealth, by the portfolio's age; the mean of all beginnings."
    return table("Losses harvested", header, rows, caption, words={0})


def _published(data: Mapping[str, Any]) -> str:
    rows = [[one["who"], f"{one['alpha'] * BP:.0f}"] for one in data["published"]]
    return table(
        "Published figures",
        ["study", "bp a year"],
        rows,
        "Other names, times and rates.",
        words={0},
        key=NO_KEY,
    )
