"""The tearsheet: a backtest's figures as one HTML page that a person wants to read.

Rules of this room:
1. Everything shown comes from the data of `simulator.backtest.outcome.as_data`, as it is or read back from
   its JSON; here it is only written down.
2. A difference stands beside its interval; one that may be chance is said to be.
3. What the figures leave out stands on the page itself, not in a manual.
4. Where there are several accounts the page tells of them together, then of each.
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
    ("acted", "Decisions to trade so far", ""),
)
YEAR = ("short_term", "long_term", "dividends", "disallowed", "permanent")
SUMMED = {"turnover", "cost", "tax", "acted"}


def render(data: Mapping[str, Any]) -> str:
    """Return the page of a backtest."""
    whole = data["runs"][0]["figures"]["all"]
    span = (
        f"{_day(whole['first']):%d %B %Y} to {_day(whole['last']):%d %B %Y}, {whole['days']:,} trading days"
    )
    sections = _sections(data)
    links = "".join(f'<a href="#{name}">{escape(title[1])}</a>' for name, title, _ in sections)
    head = (
        f"<h1>{escape(data['title'])}</h1>"
        f'<p class="soft wideline">Backtest on {escape(str(data["history"]))}, {span}</p>'
        f'<nav aria-label="Sections">{links}</nav>'
    )
    body = "".join(
        f'<section id="{name}"><h2>{escape(title[0])}</h2>{part}</section>' for name, title, part in sections
    )
    foot = (
        "Played by the engine that trades, over real days. The past says little about the future. No advice."
    )
    return document(data["title"], head, body, foot)


def _sections(data: Mapping[str, Any]) -> list[tuple[str, tuple[str, str], str]]:
    """Return every section: its name, its title long and short, and what stands in it."""
    runs = data["runs"]
    found = [
        ("figures", ("What each run came to", "Figures"), _verdict(data) + _figures(data)),
        ("differences", ("What differs, and what may be chance", "Differences"), _differences(data)),
        ("course", ("How it went", "Course"), _course(runs)),
        ("weights", ("What was held", "Weights"), _weights(runs)),
        ("decisions", ("What was decided", "Decisions"), _decisions(runs)),
    ]
    if data["forward"]:
        found.insert(2, ("forward", ("Chosen before, judged after", "Forward"), _forward(data)))
    for n, one in enumerate(data["accounts"]):
        title = (f"The account {one['account']}", str(one["account"]))
        found.append((f"account-{n}", title, _account(one, n)))
    found += [
        ("taxes", ("Taxes by year", "Taxes"), _taxes(runs) + _washed(runs)),
        ("limits", ("What these figures leave out", "Limits"), _limits(data["limits"])),
    ]
    return found


def _account(view: Mapping[str, Any], n: int) -> str:
    """Tell of one account of several what is told of all."""
    place = f"a{n}-"
    parts = (
        _figures(view), _differences(view), _course(view["runs"], place), _weights(view["runs"], place),
        _decisions(view["runs"]),
    )  # fmt: skip
    return "".join(parts)


# ------------------------------------------------------------------------------------------- the figures


def _figures(data: Mapping[str, Any]) -> str:
    found = []
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
    first = data["runs"][0]["name"]
    said = []
    for gap in data["differences"]:
        one = gap["found"]["growth"]
        if one["low"] > 0 or one["high"] < 0:
            word = "more" if one["value"] > 0 else "less"
            said.append(
                f"{gap['run']} grew {abs(one['value']) * BP:.0f} bp a year {word} than {gap['against']}"
            )
    text = (
        f"Beyond chance: {'; '.join(said)}"
        if said
        else f"No run differs from {first} in growth beyond chance"
    )
    if _is_of_survivors(data):
        text += ". The names are survivors, which favours letting winners drift: see the limits"
    halted = "".join(
        f"<p class=warning>{escape(run['name'])} was halted: {escape('; '.join(run['halted'].values()))}.</p>"
        for run in data["runs"]
        if run["halted"]
    )
    return f"<p class=verdict>{escape(text)}.</p>{halted}" if data["differences"] else halted


def _differences(data: Mapping[str, Any]) -> str:
    rows = []
    for gap in data["differences"]:
        for what, one in gap["found"].items():
            figures = [f"{one[key] * BP:+,.1f} bp" for key in ("value", "low", "high")]
            rows.append([gap["run"], gap["against"], KINDS[what], *figures, _is_sure(one)])
    header = ["run", "against", "what", "a year", "low", "high", "beyond chance"]
    caption = "95 % by block bootstrap of the daily differences, on the same days"
    empty = "One run alone: nothing to compare."
    return table("Differences", header, rows, caption, empty=empty, words={0, 1, 2, 6})


def _is_of_survivors(data: Mapping[str, Any]) -> bool:
    return any(one.startswith("Survivorship") for one in data["limits"])


def _is_sure(one: Mapping[str, float]) -> str:
    return "yes" if one["low"] > 0 or one["high"] < 0 else "may be chance"


def _forward(data: Mapping[str, Any]) -> str:
    """Tell of every fold, and of all their days together."""
    forward = data["forward"]
    rows = [
        [
            f"{_day(one['first'])} to {_day(one['last'])}", one["chosen"],
            *(f"{one[key]:.2%}" for key in ("before", "after", "reference")),
        ]
        for one in forward["folds"]
    ]  # fmt: skip
    header = ["days after", "chosen", "before", "after", f"{forward['against']} after"]
    caption = (
        f"Every {forward['years']} years the run that had grown most on all days before, after cost and tax, "
        "judged on the days after; to change over is taken to be free"
    )
    one = forward["difference"]
    value, low, high = (f"{one[key] * BP:+,.1f}" for key in ("value", "low", "high"))
    verdict = (
        f"On all days after, what was chosen grew {value} bp a year against {forward['against']} "
        f"(95 %: {low} to {high}, {'beyond chance' if _is_sure(one) == 'yes' else 'may be chance'})."
    )
    if _is_of_survivors(data):
        verdict += " On names that survived, growth chooses who lets winners drift: see the limits."
    found = table("Walked forward", header, rows, caption, words={0, 1}, key=1)
    return f"<p class=verdict>{escape(verdict)}</p>{found}"


# --------------------------------------------------------------------------------------------- the plots


def _course(runs: Sequence[Mapping[str, Any]], place: str = "") -> str:
    found = []
    for what, title, unit in SERIES:
        days, lines = _lines(runs, what)
        if days:
            found.append(figure(title, "", plots.curves(days, lines, f"{place}c-{what}", title, unit)))
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


def _weights(runs: Sequence[Mapping[str, Any]], place: str = "") -> str:
    found = []
    for at, run in enumerate(runs):
        series = run["series"]
        if series["weights"]:
            days = [_day(one) for one in series["days"]]
            title = f"Weights of {run['name']}"
            found.append(
                figure(run["name"], "", plots.stack(days, series["weights"], f"{place}w-{at}", title))
            )
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
        payers = {one["taxpayer"] for one in run["years"]}
        rows = [
            [
                f"{one['year']} {one['taxpayer']}" if len(payers) > 1 else str(one["year"]),
                *(f"{float(one[key]):,.0f}" for key in YEAR),
                f"{sum(float(part) for part in one['carried_out'].values()):,.0f}",
                f"{float(one['tax']):,.0f}",
            ]
            for one in run["years"]
        ]  # fmt: skip
        header = [
            "year", "short-term", "long-term", "dividends", "washed", "of it lost", "carried on", "tax",
        ]  # fmt: skip
        caption = (
            "Net gains of the year's sales; dividends; losses that purchases of the household put off, and "
            "the part lost for good; losses carried into the next year; tax on all of it."
        )
        found.append(table(run["name"], header, rows, caption, empty="Nothing was taxed.", words={0}))
    return "".join(found)


def _washed(runs: Sequence[Mapping[str, Any]]) -> str:
    """Tell whose purchases washed whose losses."""
    rows = [
        [
            run["name"], one["sold_in"], one["bought_in"], f"{one['times']:,}",
            *(f"{float(one[key]):,.0f}" for key in ("put_off", "lost")),
        ]
        for run in runs
        for one in run["washed"]
    ]  # fmt: skip
    header = ["run", "sold in", "bought in", "times", "put off", "lost for good"]
    caption = (
        "A purchase within 30 days washes a loss, in whichever account of the household. What an IRA buys "
        "carries no basis on: that loss is lost."
    )
    return table("Wash sales", header, rows, caption, empty="No loss was washed.", words={0, 1, 2})


def _limits(limits: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in limits)}</ul>"


def _day(value: date | str) -> date:
    """Return a day as it is, or as JSON wrote it."""
    return value if isinstance(value, date) else date.fromisoformat(value)
