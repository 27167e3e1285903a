"""The tearsheet and the study's page: everything said is in the data, escaped, in one file of its own."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.views import plots
from gateway.views.harvest_page import render as render_study
from gateway.views.tearsheet import render

WASHED = {"sold_in": "his <a>", "bought_in": "hers", "times": 3, "put_off": "1234.4", "lost": "0"}
DAYS = [date(2024, 1, 2) + timedelta(days=7 * n) for n in range(6)]


def figures(end: float) -> dict[str, Any]:
    return {
        "first": DAYS[0], "last": DAYS[-1], "days": 6, "begin": 100.0, "end": end, "growth": 0.05,
        "volatility": 0.2, "turnover": 0.3, "cost": 0.0002, "tax": 0.001, "drift": 0.01, "trades": 7,
        "deepest_fall": -0.1,
    }  # fmt: skip


def run(name: str, **changes: Any) -> dict[str, Any]:
    series = {
        "days": DAYS, "wealth": [1e6 + 5e6 * n for n in range(6)],
        "drift": [0.0, 0.01, 0.02, 0.01, 0.0, 0.03],
        "lots": [2, 3, 4, 4, 5, 5], "turnover": [0.5] * 6, "cost": [10.0] * 6, "tax": [0.0, 0, 0, 50, 0, 0],
        "acted": [1, 0, 0, 2, 0, 1],
        "after_tax": [{"day": DAYS[2], "value": 100.0}, {"day": DAYS[5], "value": 120.0}],
        "weights": {"A": [0.5] * 6, "B<": [0.5, 0.4, 0.3, 0.3, 0.3, 0.2]},
    }  # fmt: skip
    year = {
        "taxpayer": "household", "year": 2024, "short_term": "12.5", "long_term": "-3", "dividends": "40",
        "disallowed": "0", "permanent": "0", "tax": "4.6",
        "carried_out": {"short_term": "0", "long_term": "7"},
    }  # fmt: skip
    made = {
        "name": name, "policy": "smart", "actions": {"HOLD": 3, "FULL": 2}, "after_tax": 120.0, "halted": {},
        "figures": {"all": figures(130.0), "before": figures(110.0), "after": figures(130.0)},
        "series": series, "years": [year], "washed": [],
    }  # fmt: skip
    return {**made, **changes}


def data(*runs: dict[str, Any], low: float = 0.001) -> dict[str, Any]:
    found = {"value": 0.002, "low": low, "high": 0.003}
    return {
        "title": "A <test>", "history": "bundled:sp500", "account": "main", "split": DAYS[2],
        "runs": list(runs), "limits": ["Survivorship: all names last.", "5 < 6"], "accounts": [],
        "differences": [
            {
                "run": one["name"], "against": runs[0]["name"],
                "found": {"growth": found, "tax": {**found, "low": -1.0}},
            }
            for one in runs[1:]
        ],
        "forward": None,
    }  # fmt: skip


def test_the_page_shows_every_run_its_parts_and_its_limits() -> None:
    page = render(data(run("one"), run("two & more")))
    for words in (
        "A &lt;test&gt;", "two &amp; more grew 20 bp a year more than one", "Before the split",
        "may be chance",
        "Survivorship: all names last.", "5 &lt; 6", "B&lt;", "Decisions by action", "-9.5%",
    ):  # fmt: skip
        assert words in page, words
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_every_course_that_is_promised_is_drawn() -> None:
    page = render(data(run("one"), run("two")))
    for title in (
        "Wealth after tax, if all were sold", "Largest drift of one name", "Turnover so far",
        "Trading cost so far", "Taxes paid so far", "Tax lots held", "Decisions to trade so far",
        "Weights of one", "Weights of two",
    ):  # fmt: skip
        assert f">{title}" in page, title


def test_accounts_of_a_household_are_told_one_by_one_and_what_was_washed_between_them() -> None:
    one = run("one", washed=[WASHED], years=[{**run("one")["years"][0], "taxpayer": name} for name in "xy"])
    made = data(one, run("two"))
    made["accounts"] = [{**data(run("one"), run("two")), "account": name} for name in ("his <a>", "hers")]
    page = render(made)
    for words in ("The account his &lt;a&gt;", ">hers</a>", "Wash sales", "1,234", "2024 x", "2024 y"):
        assert words in page, words
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names)), "a page has each name once"


def test_folds_are_told_with_the_verdict_on_all_of_them() -> None:
    made = data(run("one"), run("two"))
    fold = {
        "first": DAYS[1], "last": DAYS[4], "chosen": "two <b>", "before": 0.1, "after": 0.02,
        "reference": 0.03,
    }  # fmt: skip
    gap = {"value": -0.001, "low": -0.002, "high": 0.001}
    made["forward"] = {"years": 4, "against": "one", "folds": [fold], "difference": gap}
    page = render(made)
    for words in (
        "Walked forward",
        "two &lt;b&gt;",
        "-10.0 bp a year against one",
        "may be chance",
        "Every 4 years",
    ):
        assert words in page, words
    assert render(json.loads(json.dumps(made, default=str))) == page


def test_what_may_be_chance_is_no_claim() -> None:
    page = render(data(run("one"), run("two"), low=-0.001))
    assert "No run differs from one in growth beyond chance. The names are survivors" in page
    assert "grew" not in page


def test_one_run_alone_makes_no_comparison_and_a_halt_is_told() -> None:
    alone = run("one", halted={"main": "a <reason>"}, actions={}, years=[])
    alone["series"]["weights"] = {}
    page = render(data(alone))
    assert "nothing to compare" in page
    assert "one was halted: a &lt;reason&gt;" in page
    assert "Nothing was taxed." in page
    assert "Nothing was held." in page


def test_a_page_can_be_made_again_from_its_json() -> None:
    made = data(run("one"), run("two"))
    assert render(json.loads(json.dumps(made, default=str))) == render(made)


def test_more_runs_than_a_plot_can_tell_apart_are_said_to_be_left_out() -> None:
    page = render(data(*(run(f"run {n}") for n in range(8))))
    assert "2 more stand in the tables" in page
    assert page.count('class="curve c5"') == page.count('class="curve c0"')


def test_every_plot_is_an_image_that_says_what_it_shows() -> None:
    names = {"a name that is long indeed": [0.1, 0.2], "b": [0.3, 0.1]}
    for svg in (
        plots.curves(DAYS[:2], names, "p1", "Drift", "%"),
        plots.curves(DAYS[:2], {"a": [1e8, 2e8], "b": [5.0, 7.0]}, "p2", "Wealth"),
        plots.stack(DAYS[:2], {"A": [0.6, 0.7], "B": [0.4, 0.3]}, "p3", "Weights"),
        plots.stack(DAYS[:2], {"A": [0.2, 0.3], "B": [0.1, 0.0]}, "p4", "Weights"),
        plots.curves(DAYS[:1], {"a": [1.0]}, "p5", "One day"),
    ):
        found = ET.fromstring(svg)  # noqa: S314 - our own
        assert found.attrib["role"] == "img"
        texts = [one.text for one in found]
        assert texts[0]
        assert texts[1]
    assert "200M" in plots.curves(DAYS[:2], {"a": [1e8, 2e8]}, "p", "t")
    assert "20k" in plots.curves(DAYS[:2], {"a": [1e4, 2e4]}, "p", "t")


@pytest.mark.parametrize("vintages", [[2000], [2000, 2001]])
def test_the_study_stands_beside_what_was_published(vintages: list[int]) -> None:
    mean = {"value": 0.004, "low": 0.001, "high": 0.006}
    spread = {"lowest": 0.0, "quarter": 0.1, "median": 0.2, "three_quarters": 0.3, "highest": 0.4}
    ends = ("sold", "held", "before_tax")
    variant = {
        "name": "rule <kept>", "alphas": {end: [0.001] * len(vintages) for end in ends},
        "mean": dict.fromkeys(ends, mean), "spread": dict.fromkeys(ends, spread), "losses": [0.1, 0.02],
        "swaps": 12.0, "lost": 0.0, "halted": [],
    }  # fmt: skip
    page = render_study(
        {
            "account": "main", "accounts": ["main"],
            "differences": [{"gains": "elsewhere", "found": dict.fromkeys(ends, mean)}],
            "title": "Study", "history": "h", "names": ["A", "B"], "years": 2, "vintages": vintages,
            "variants": [variant], "published": [{"who": "They", "alpha": 0.0082}],
            "limits": ["Few vintages."],
            "rates": {"short": 0.35, "long": 0.15},
        }
    )  # fmt: skip
    for words in ("rule &lt;kept&gt;", "40 bp a year", "10 to 60", ">82<", "Few vintages.", "10.00%"):
        assert words in page, words
    assert ("<svg" in page) == (len(vintages) > 1)
