"""`gateway backtest` and `gateway harvest-study`: from a file to figures, a page, or one sentence."""

from __future__ import annotations

import json
import math
import sys
from concurrent.futures import Future
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from gateway.cli import backtest, harvest_study, main
from gateway.cli.backtest_file import read_file
from gateway.cli.root import OK, USAGE
from gateway.decision.costs import commission
from gateway.decision.learned import BAND, Card, LearnedRule
from gateway.runtime.learned import save
from simulator.backtest import vintages
from simulator.backtest.runner import Run

FILE = """
title = "Two names"
history = "h.csv"
cash = "100000"
split = 2021-02-01
targets = { equal = "0.9" }
fills = "next_open"
dividends = "reinvest"
flows = [{ on = 2021-01-20, amount = "5000" }]

[instruments.A]
half_spread_bps = 4

[runs.monthly.decision]
policy = "calendar"

[runs.smart.decision]
policy = "smart"
"""
STUDY = """
title = "Study"
history = "h.csv"
cash = "100000"
targets = { equal = "0.9" }

[study]
horizon_years = 1
elsewhere = "1"

[runs.harvest.harvest]
min_benefit = 5
min_correlation = "0.2"

[substitutes]
A = ["B"]
B = ["A"]
"""


def folder_of(tmp_path: Path, text: str, days: int = 60) -> Path:
    rng = np.random.default_rng(6)
    table = 40 * np.exp(
        (0.012 * (rng.standard_normal((days, 1)) + 0.6 * rng.standard_normal((days, 2)))).cumsum(0)
    )
    rows, day = ["date,A,B"], date(2021, 1, 4)
    for one in table:
        rows.append(f"{day},{one[0]:.4f},{one[1]:.4f}")
        day += timedelta(days=3 if day.weekday() == 4 else 1)
    (tmp_path / "h.csv").write_text("\n".join(rows))
    path = tmp_path / "b.toml"
    path.write_text(text)
    return path


def test_a_file_becomes_figures_a_page_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder_of(tmp_path, FILE)
    made = tmp_path / "new" / "b.json"
    words = ["--json", str(made), "--html", str(tmp_path / "b.html")]
    assert main(["backtest", str(path), *words, "--jobs", "1"]) == OK
    said = capsys.readouterr()
    assert "Two names: 60 days of 2 names" in said.out
    assert "Differences, bp a year, 95 %" in said.out
    assert "smart: 60 days in" in said.err
    data = json.loads(made.read_text())
    assert [run["name"] for run in data["runs"]] == ["monthly", "smart"]
    assert data["runs"][0]["figures"]["after"]["first"] == "2021-02-01"
    assert any("Survivorship" in one for one in data["limits"])
    assert (tmp_path / "b.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["backtest", str(path), "--only", "smart", "--jobs", "1"]) == OK
    assert "Differences" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("h.csv", "none.csv"), "none.csv: cannot be read"),
        (("split = 2021-02-01", "split = 2031-02-01"), "split: 2031-02-01 must lie between"),
        (('policy = "smart"', 'policy = "clever"'), "runs.smart.decision.policy"),
        (('{ equal = "0.9" }', '{ equal = "0.9", file = "w.csv" }'), "one of equal, weights and file"),
        (('{ equal = "0.9" }', '{ file = "w.csv" }'), "targets.file"),
        (('{ equal = "0.9" }', '{ weights = { Z = "0.5" } }'), "Z is not in the history"),
        (("half_spread_bps = 4", "half_spread_bps = -4"), "instruments.A.half_spread_bps"),
        (('policy = "smart"', 'policy = "learned"\nlearned_file = "none.npz"'), "none.npz"),
        (("title", "titel"), "titel"),
        (
            ("half_spread_bps = 4", 'half_spread_bps = 4\ncurrency = "EUR"'),
            "has no column EUR/USD; add that rate",
        ),
        (
            ('policy = "smart"', 'policy = "smart"\n[runs.odd]\ncurrency = "EUR"'),
            "write one currency for all",
        ),
        (("title", "walk_forward_years = 1\ntitle"), "walk_forward_years: 60 days leave none"),
        (("on = 2021-01-20", "on = 2021-01-04"), "flows.0.on: must be after 2021-01-04"),
        (
            ("[runs.smart.decision]", '[runs.smart]\nagainst = "me"\n[runs.smart.decision]'),
            "runs.smart.against",
        ),
        (('targets = { equal = "0.9" }', ""), "targets: missing"),
        (("[instruments.A]", '[account]\nopening_lots = "no.csv"\n[instruments.A]'), "no.csv"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: str
) -> None:
    path = folder_of(tmp_path, FILE.replace(*change))
    assert main(["backtest", str(path), "--jobs", "1"]) == USAGE
    said = capsys.readouterr().err.strip().splitlines()
    assert words in said[-1]
    assert "Traceback" not in "".join(said)


def test_runs_side_by_side_are_the_same_in_processes_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = '[runs.smart]\nagainst = "monthly"\n[runs.smart.decision]'
    path = folder_of(tmp_path, FILE.replace("[runs.smart.decision]", named))
    found = []
    for jobs in ("1", "2"):
        made = tmp_path / f"{jobs}.json"
        assert main(["backtest", str(path), "--jobs", jobs, "--json", str(made)]) == OK
        found.append(json.loads(made.read_text()))
    assert found[0] == found[1]
    assert found[0]["forward"] is None
    assert found[0]["differences"][0]["against"] == "monthly"
    capsys.readouterr()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = backtest.Shown()
    shown.tell("monthly", "3 of 60 days")
    shown.tell("monthly", "3 of 60 days")
    shown.draw({"monthly": "4 of 60 days", "smart": "2 of 60 days"})
    shown.draw({})
    assert capsys.readouterr().err.split("\r\x1b[2K")[1:] == [
        "monthly: 3 of 60 days", "monthly: 4 of 60 days, smart: 2 of 60 days", "",
    ]  # fmt: skip


def test_what_cannot_be_written_and_who_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder_of(tmp_path, FILE)
    assert main(["backtest", str(path), "--only", "nobody"]) == USAGE
    assert "--only nobody: no such run" in capsys.readouterr().err
    assert (
        main(["backtest", str(path), "--only", "smart", "--jobs", "1", "--json", f"{path}/x.json"]) == USAGE
    )
    assert "cannot be written" in capsys.readouterr().err


def test_a_name_of_another_currency_is_converted_day_by_day_and_pays_for_it(tmp_path: Path) -> None:
    text = FILE.replace("title", 'symbols = ["A", "B"]\ntitle', 1)
    text += '[instruments.B]\ncurrency = "EUR"\n[account.costs]\nfx_bps = 25\nfx_minimum = 2\n'
    path = folder_of(tmp_path, text)
    rows = (tmp_path / "h.csv").read_text().splitlines()
    rated = [f"{row},{1.1 + 0.001 * n:.4f}" for n, row in enumerate(rows[1:])]
    (tmp_path / "h.csv").write_text("\n".join([f"{rows[0]},EUR/USD", *rated]))
    described = read_file(path)
    bars = described.bars()
    assert bars.symbols == ("A", "B")
    for place in (0, 17):
        _, first, second, rate = rated[place].split(",")
        assert bars.close[place].tolist() == pytest.approx([float(first), float(second) * float(rate)])
    settings = described.settings("smart", bars)
    run = Run(bars, settings, described.scenario(settings, bars))
    for _ in run:
        pass
    traded = {one.symbol: one for one in run.tape.traded}
    costs = settings.accounts["main"].costs
    for symbol, one in traded.items():
        value = one.qty * one.px
        changed = max(Decimal(2), value * Decimal("0.0025")) if symbol == "B" else Decimal(0)
        assert one.commission == commission(costs, one.qty, value, one.side) + changed
    assert set(traded) == {"A", "B"}


def test_weights_from_a_file_count_from_their_day_on(tmp_path: Path) -> None:
    path = folder_of(tmp_path, FILE.replace('{ equal = "0.9" }', '{ file = "w.csv" }'))
    (tmp_path / "w.csv").write_text(
        "date,symbol,weight\n2021-01-06,A,0.5\n2021-01-08,A,0.2\n2021-01-08,B,0.3\n"
    )
    described = read_file(path)
    bars = described.bars()
    wanted = described.scenario(described.settings("smart", bars), bars).wanted["main"]
    assert wanted(bars.day(1)) == {}
    assert wanted(bars.day(2)) == wanted(bars.day(3)) == {"A": Decimal("0.5")}
    assert wanted(bars.day(9)) == {"A": Decimal("0.2"), "B": Decimal("0.3")}
    for text in ("date,symbol,weight\n", "date,symbol,weight\n2021-01-06,A,much\n", "day,name\n1,2\n"):
        (tmp_path / "w.csv").write_text(text)
        assert main(["backtest", str(path)]) == USAGE


def test_a_risk_model_lasts_until_the_next_look(tmp_path: Path) -> None:
    """A live gateway drops a model after five days; a backtest that looks monthly must not."""
    described = read_file(folder_of(tmp_path, FILE))
    assert described.settings("smart", described.bars()).risk.max_age_days == 2 * 21 + 7


def test_a_learned_rule_is_played_as_it_is_live(tmp_path: Path) -> None:
    text = FILE.replace(
        'policy = "smart"', 'policy = "learned"\nlearned_file = "r.npz"\nlearned_override = true'
    )
    path = folder_of(tmp_path, text)
    card = Card("search", "d", "a", "b", (1,), 1.0, (), "default", 0.0, -1.0, 1.0)
    save(LearnedRule(BAND, card, np.zeros(0), np.ones(1), np.zeros(1)), tmp_path / "r.npz")
    described = read_file(path)
    assert described.rules("monthly") == {}
    assert described.rules("smart")["main"].card == card
    assert main(["backtest", str(path), "--only", "smart", "--jobs", "1"]) == OK


def test_a_study_is_played_vintage_by_vintage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here:
        """Play in this process, so that coverage and speed are this one's."""

        def __init__(self, jobs: int, initializer: object) -> None:
            assert (jobs, initializer) == (1, backtest.leave_interrupts)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def shutdown(self, *, cancel_futures: bool) -> None:
            assert cancel_futures

        def submit(self, work: Any, *words: Any) -> Any:
            done: Future[Any] = Future()
            done.set_result(work(*words))
            return done

    monkeypatch.setattr(harvest_study, "ProcessPoolExecutor", Here)
    path = folder_of(tmp_path, STUDY, days=2 * 262)
    words = ["--jobs", "1", "--json", str(tmp_path / "s.json"), "--html", str(tmp_path / "s.html")]
    assert main(["harvest-study", str(path), *words]) == OK
    said = capsys.readouterr()
    assert "begun 2021 to 2022" in said.out
    assert "Chaudhuri" in said.out
    data = json.loads((tmp_path / "s.json").read_text())
    assert data["vintages"] == [2021, 2022]
    assert data["variants"][0]["swaps"] > 0
    assert "Published figures" in (tmp_path / "s.html").read_text()


def test_a_study_harvests_one_account_and_plays_the_others_along(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The IRA buys every day what it lacks, so nothing may be harvested that it buys."""
    accounts = """
[accounts.ira]
kind = "ira"
opening_cash = "50000"
decision = { policy = "calendar", calendar_period = "daily" }

[accounts.main]
opening_cash = "100000"
"""
    text = STUDY.replace('cash = "100000"\n', "").replace("[substitutes]", f"{accounts}\n[substitutes]")
    path = folder_of(tmp_path, text, days=262)
    harvest_study.plan_of.cache_clear()
    plan = harvest_study.plan_of(path)
    assert (plan.account, list(plan.settings.accounts)) == ("main", ["ira", "main"])
    assert plan.elsewhere.short == 100_000
    twin, kept = (vintages.play(plan, 2021, one) for one in (vintages.TWIN, vintages.VARIANTS[0]))
    assert twin.held > 100_000
    assert twin.sold == pytest.approx(kept.sold, rel=0.05)
    assert (kept.halted, twin.halted) == ("", "")
    study = vintages.summed(plan, {(2021, one.name): kept for one in (vintages.TWIN, *vintages.VARIANTS)})
    assert (study["account"], study["accounts"]) == ("main", ["ira", "main"])
    assert study["variants"][0]["mean"]["sold"]["low"] == -math.inf
    harvest_study.show({**study, "title": "One beginning"})
    assert "Without the wash-sale rule" in capsys.readouterr().out
    (tmp_path / "lots.csv").write_text("symbol,acquired,qty,cost\nA,2020-06-01,3,100\n")
    path.write_text(text.replace('opening_cash = "100000"', 'opening_lots = "lots.csv"'))
    harvest_study.plan_of.cache_clear()
    assert main(["harvest-study", str(path)]) == USAGE
    assert "accounts.main.opening_lots: a study begins every year" in capsys.readouterr().err
    path.write_text(text.replace("[study]", '[study]\naccount = "ira"'))
    harvest_study.plan_of.cache_clear()
    assert main(["harvest-study", str(path)]) == USAGE
    assert "study.account: must be one that is taxed; there are main" in capsys.readouterr().err


def test_a_study_needs_whole_years_and_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harvest_study.plan_of.cache_clear()
    assert main(["harvest-study", str(folder_of(tmp_path, STUDY, days=60))]) == USAGE
    assert "has no 1 whole years" in capsys.readouterr().err
    harvest_study.plan_of.cache_clear()
    assert main(["harvest-study", str(folder_of(tmp_path, FILE))]) == USAGE
    assert "a study has one run" in capsys.readouterr().err
