"""The tearsheet: a backtest's figures as one HTML page that a person wants to read.

Rules of this room:
1. Everything shown comes from the data of `simulator.backtest.outcome.as_data`, as it is or read back from
   its JSON; here it is only written down.
2. A difference stands beside its interval; one that may be chance is said to be.
3. What the figures leave out stands on the page itself, not in a manual.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from gateway.views import plots
from gateway.views.parts import document, figure, table

BP = 1e4
PARTS = {"all": "whole time", "before": "before the split", "after": "after the split"}
KINDS = {
    "growth": "growth after cost and taxes paid", "cost": "trading cost", "tax": "taxes paid",
    "turnover": "turnover",
}  # fmt: skip
SERIES = (
    ("wealth", "Wealth before tax on what is still held", ""),
    ("after_tax", "Wealth after tax, if all were sold", ""),
    ("drift", "Largest drift of one name", "%"),
    ("turnover", "Turnover so far, one way, times wealth", ""),
    ("cost", "Trading cost so far", ""),
    ("tax", "Taxes paid so far", ""),
    ("lots", "Tax lots held", ""),
)
YEAR = ("short_term", "long_term", "disallowed")
SUMMED = {"turnover", "cost", "tax"}


def render(data: Mapping[str, Any]) -> str:
    """Return the page of a backtest."""
    runs = data["runs"]
    whole = runs[0]["figures"]["all"]
    span = (
        f"{_day(whole['first']):%d %B %Y} to {_day(whole['last']):%d %B %Y}, {whole['days']:,} trading days"
    )
    head = (
        f"<h1>{escape(data['title'])}</h1>"
        f'<p class="soft wideline">Backtest on {escape(str(data["history"]))}, {span}</p>'
        '<nav aria-label="Sections"><a href="#figures">Figures</a><a href="#differences">Differences</a>'
        '<a href="#course">Course</a><a href="#weights">Weights</a><a href="#decisions">Decisions</a>'
        '<a href="#taxes">Taxes</a><a href="#limits">Limits</a></nav>'
    )
    body = "".join(
        f'<section id="{name}"><h2>{title}</h2>{part}</section>'
        for name, title, part in (
            ("figures", "What each run came to", _figures(data)),
            ("differences", "What differs, and what may be chance", _differences(data)),
            ("course", "How it went", _course(runs)),
            ("weights", "What was held", _weights(runs)),
            ("decisions", "What was decided", _decisions(runs)),
            ("taxes", "Taxes by year", _taxes(runs)),
            ("limits", "What these figures leave out", _limits(data["limits"])),
        )
    )
    foot = (
        "Played by the engine that trades, over real days. The past says little about the future. No advice."
    )
    return document(data["title"], head, body, foot)


# ------------------------------------------------------------------------------------------- the figures


def _figures(data: Mapping[str, Any]) -> str:
    found = [_verdict(data)]
    parts = [part for part in PARTS if part in data["runs"][0]["figures"]]
    for part in parts:
        rows = [_row(run, run["figures"][part], is_all=part == "all") for run in data["runs"]]
        header = [
            "run", "growth", "volatility", "deepest fall", "turnover", "drift", "cost", "tax", "trades",
            "wealth", "after tax",
        ]  # fmt: skip
        one = data["runs"][0]["figures"][part]
        caption = (
            f"{_day(one['first'])} to {_day(one['last'])}; rates are a year's, growth after cost and tax"
        )
        found.append(table(PARTS[part].capitalize(), header, rows, caption, words={0}))
    return "".join(found)


def _row(run: Mapping[str, Any], one: Mapping[str, Any], *, is_all: bool) -> list[str]:
    return [
        run["name"], f"{one['growth']:.2%}", f"{one['volatility']:.1%}",
        f"{math.expm1(one['deepest_fall']):.1%}",
        f"{one['turnover']:.1%}", f"{one['drift']:.2%}", f"{one['cost'] * BP:.1f} bp",
        f"{one['tax'] * BP:.1f} bp", f"{one['trades']:,}", f"{one['end']:,.0f}",
        f"{run['after_tax']:,.0f}" if is_all else "",
    ]  # fmt: skip


def _verdict(data: Mapping[str, Any]) -> str:
    """Say in a sentence which runs grew more or less than the first, beyond chance."""
    first = data["against"]
    said = []
    for name, found in data["differences"].items():
        one = found["growth"]
        if one["low"] > 0 or one["high"] < 0:
            word = "more" if one["value"] > 0 else "less"
            said.append(f"{name} grew {abs(one['value']) * BP:.0f} bp a year {word} than {first}")
    text = (
        f"Beyond chance: {'; '.join(said)}"
        if said
        else f"No run differs from {first} in growth beyond chance"
    )
    if any(one.startswith("Survivorship") for one in data["limits"]):
        text += ". The names are survivors, which favours letting winners drift: see the limits"
    halted = "".join(
        f"<p class=warning>{escape(run['name'])} was halted: {escape('; '.join(run['halted'].values()))}.</p>"
        for run in data["runs"]
        if run["halted"]
    )
    return f"<p class=verdict>{escape(text)}.</p>{halted}" if data["differences"] else halted


def _differences(data: Mapping[str, Any]) -> str:
    rows = []
    for name, found in data["differences"].items():
        for what, one in found.items():
            is_sure = one["low"] > 0 or one["high"] < 0
            figures = [f"{one[key] * BP:+,.1f} bp" for key in ("value", "low", "high")]
            rows.append([name, KINDS[what], *figures, "yes" if is_sure else "may be chance"])
    header = ["run", "what", "a year", "low", "high", "beyond chance"]
    caption = "95 % by block bootstrap of the daily differences, on the same days"
    empty = "One run alone: nothing to compare."
    return table(f"Against {data['against']}", header, rows, caption, empty=empty, words={0, 1, 5})


# --------------------------------------------------------------------------------------------- the plots


def _course(runs: Sequence[Mapping[str, Any]]) -> str:
    found = []
    for what, title, unit in SERIES:
        days, lines = _lines(runs, what)
        if days:
            found.append(figure(title, "", plots.curves(days, lines, f"c-{what}", title, unit)))
    more = len(runs) - plots.CURVES
    note = f"<p class=soft>The plots show the first {plots.CURVES} runs; {more} more stand in the tables.</p>"
    return f"<div class=plots>{''.join(found)}</div>{note if more > 0 else ''}"


def _lines(runs: Sequence[Mapping[str, Any]], what: str) -> tuple[list[date], dict[str, list[float]]]:
    """Return the days of one series and its values by run; what is summed up is shown as it grows."""
    first = runs[0]["series"]
    if what == "after_tax":
        days = [_day(one["day"]) for one in first[what]]
        return days, {run["name"]: [one["value"] for one in run["series"][what]] for run in runs}
    days = [_day(one) for one in first["days"]]
    lines = {}
    for run in runs:
        values = [float(value) for value in run["series"][what]]
        lines[run["name"]] = _grown(values, 0.5 if what == "turnover" else 1.0) if what in SUMMED else values
    return days, lines


def _grown(values: Sequence[float], share: float) -> list[float]:
    total, found = 0.0, []
    for value in values:
        total += share * value
        found.append(total)
    return found


def _weights(runs: Sequence[Mapping[str, Any]]) -> str:
    found = []
    for at, run in enumerate(runs):
        series = run["series"]
        if series["weights"]:
            days = [_day(one) for one in series["days"]]
            title = f"Weights of {run['name']}"
            found.append(figure(run["name"], "", plots.stack(days, series["weights"], f"w-{at}", title)))
    return f"<div class=plots>{''.join(found)}</div>" if found else "<p class=soft>Nothing was held.</p>"


# -------------------------------------------------------------------------------------------- the tables


def _decisions(runs: Sequence[Mapping[str, Any]]) -> str:
    words = sorted({word for run in runs for word in run["actions"]})
    rows = [
        [run["name"], run["policy"], *(f"{run['actions'].get(word, 0):,}" for word in words)] for run in runs
    ]
    return table(
        "Decisions by action", ["run", "policy", *(word.lower() for word in words)], rows,
        "How often each run was asked, and what its policy answered.", words={0, 1},
        empty="Nothing was decided.",
    )  # fmt: skip


def _taxes(runs: Sequence[Mapping[str, Any]]) -> str:
    found = []
    for run in runs:
        rows = [
            [
                str(one["year"]), *(f"{float(one[key]):,.0f}" for key in YEAR),
                f"{sum(float(part) for part in one['carried_out'].values()):,.0f}",
                f"{float(one['tax']):,.0f}",
            ]
            for one in run["years"]
        ]  # fmt: skip
        header = ["year", "short-term", "long-term", "washed", "carried on", "tax"]
        caption = (
            "Net gains of the year's sales; losses a wash sale put off; losses carried into the next year."
        )
        found.append(table(run["name"], header, rows, caption, empty="Nothing taxed was sold.", words={0}))
    return "".join(found)


def _limits(limits: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in limits)}</ul>"


def _day(value: date | str) -> date:
    """Return a day as it is, or as JSON wrote it."""
    return value if isinstance(value, date) else date.fromisoformat(value)
