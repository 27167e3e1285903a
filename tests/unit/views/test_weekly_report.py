"""The week's figures against what the engine did, and the page against the figures."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE_S
from report_world import NOTICES, WEEK, a_week, past_of, settings, told_week
from world import World

from gateway.cli.report import print_report
from gateway.domain.order import ExecType
from gateway.errors import ConfigError
from gateway.events import HaltRequested, ResumeRequested
from gateway.runtime.wire import decode_json, encode_json
from gateway.views.page import render
from gateway.views.plots import Limit, Pair, line, signed, steps, weights
from gateway.views.report import make_report
from gateway.views.week import week_at, week_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def world() -> World:
    return told_week()


@pytest.fixture(scope="module")
def report(world: World) -> dict[str, Any]:
    return make_report(past_of(world.game.journal), settings(), NOTICES, world.game.now)


@pytest.fixture(scope="module")
def main(report: dict[str, Any]) -> dict[str, Any]:
    (account,) = report["accounts"]
    return dict(account)


# -------------------------------------------------------------------------------------------- weeks


def test_a_week_runs_from_monday_to_monday_in_the_markets_zone() -> None:
    week = week_of("2024-W11", "America/New_York")
    assert (week.monday, week.sunday) == (date(2024, 3, 11), date(2024, 3, 17))
    assert week.begins == datetime(2024, 3, 11, 4, tzinfo=UTC), "summer time began on the Sunday before"
    assert week_of("2024-W10", "America/New_York").begins == datetime(2024, 3, 4, 5, tzinfo=UTC)
    assert week_at(datetime(2024, 3, 18, 3, 59, tzinfo=UTC), "America/New_York").name == "2024-W11"


@pytest.mark.parametrize("name", ["", "2024", "2024-W54", "2024-W00", "24-W11", "2024-W11x"])
def test_what_is_no_week_names_the_remedy(name: str) -> None:
    with pytest.raises(ConfigError, match="write one like 2026-W48"):
        week_of(name, "UTC")


# ------------------------------------------------------------------------------------------ figures


def test_value_and_change_are_the_books_own(main: dict[str, Any], world: World) -> None:
    book = world.state.book.accounts["main"]
    nav = book.cash + sum(qty * world.state.prices[one].px for one, qty in book.positions.items())
    assert (main["nav"], main["cash"]) == (nav, book.cash)
    assert main["nav_before"] == Decimal(34_000)
    assert main["change"] == nav - 34_000
    assert sum(row["value"] for row in main["weights"]) + main["cash"] == nav


def test_trades_are_the_venues_fills_with_their_costs(main: dict[str, Any], world: World) -> None:
    theirs = sorted(
        (order.spec.symbol, qty, px) for order in world.venue.orders.values() for _, qty, px, _ in order.fills
    )
    assert sorted((one["symbol"], one["qty"], one["px"]) for one in main["trades"]) == theirs
    assert main["costs"]["commission"] == world.state.book.accounts["main"].commissions
    assert main["costs"]["value"] == sum(qty * px for _, qty, px in theirs)
    assert main["costs"]["spread"] == pytest.approx(float(main["costs"]["value"]) / 10_000)
    assert all(one["slippage"] >= 0 for one in main["trades"]), "the venue fills at the limit"


def test_gains_are_those_of_the_week_by_term_and_taxed_at_the_configured_rates(
    main: dict[str, Any], world: World
) -> None:
    realised = main["realised"]
    gains = world.state.book.realised
    assert len(realised["lots"]) == len(gains) > 0
    assert realised["short"] + realised["long"] == sum(gain.gain for gain in gains)
    assert realised["tax"] == realised["short"] * Decimal("0.37") + realised["long"] * Decimal("0.20")
    open_gain = sum(
        lot.qty * world.state.prices[symbol].px - lot.cost
        for symbol, lots in world.state.book.accounts["main"].lots.items()
        for lot in lots
    )
    assert main["unrealised"]["short"] + main["unrealised"]["long"] == open_gain


def test_drift_locks_and_recommendation_are_what_the_decision_layer_says(main: dict[str, Any]) -> None:
    assert main["standing"]["request_id"] == "friday"
    assert {row["symbol"]: row["target"] for row in main["weights"]} == {"AAA": 0.4, "BBB": 0.1, "CCC": 0.3}
    assert main["drift"]["largest"] == max(abs(row["weight"] - row["target"]) for row in main["weights"])
    assert main["drift"]["cost_a_year"] > 0
    locks = {(row["symbols"][0], row["what"]): row["free_from"] for row in main["locks"]}
    assert locks["BBB", "buy"] == date(2024, 4, 14), "sold at a loss on 14 March; 31 days later it is free"
    assert locks["BBB", "sell at a loss"] == date(2024, 4, 12)
    assert [row["symbol"] for row in main["recommendation"]["names"]] == ["AAA", "BBB", "CCC"]


def test_the_curve_and_the_checks_tell_how_the_week_went(main: dict[str, Any]) -> None:
    drifts = [point["max_drift"] for point in main["curve"]]
    assert drifts[0] is None, "nothing stood before the first request"
    assert max(one for one in drifts if one is not None) > 0.05
    assert drifts[-1] < 0.01
    times = [point["at"] for point in main["curve"]]
    assert times == sorted(set(times))
    assert {one["level"] for one in main["checks"]} == {"calm", "warning", "critical"}


def test_alerts_and_halts_are_told_with_their_times(report: dict[str, Any], world: World) -> None:
    (halt,) = report["halts"]
    assert (halt["account"], halt["reason"]) == ("main", "lunch <b>")
    assert halt["until"] - halt["since"] == timedelta(hours=3)
    assert len(report["alerts"]) == 3
    only = make_report(past_of(world.game.journal), settings(), NOTICES, world.game.now, "main")
    assert [one["code"] for one in only["alerts"]] == ["DriftWarning", "LinkDown"]


def test_halts_that_overlap_end_each_by_itself() -> None:
    world = World(settings())
    for account, reason in (("main", "lunch"), ("", "drill"), ("main", "second lunch")):
        world.game.feed(HaltRequested(world.game.now, account, reason, "anna"))
        world.run(60)
    world.game.feed(ResumeRequested(world.game.now, "main", "anna"))
    world.run(1)
    halts = make_report(past_of(world.game.journal), settings(), (), world.game.now)["halts"]
    assert [(one["account"], one["reason"], one["until"] is None) for one in halts] == [
        ("main", "lunch", False), ("", "drill", True), ("main", "second lunch", False),
    ]  # fmt: skip


def test_the_week_after_shows_an_opening_no_trades_and_what_still_stands(world: World) -> None:
    later = a_week("2024-W12")
    (account,) = later["accounts"]
    assert (later["events"], account["trades"], account["realised"]["lots"]) == (
        len(world.game.journal),
        [],
        [],
    )
    assert account["curve"][0]["at"] < week_of("2024-W12", "America/New_York").begins
    assert account["weights"][0]["target"] == 0.4
    assert later["halts"] == []


def test_a_past_week_is_shown_as_it_was_then(world: World) -> None:
    events = world.game.journal
    cut = next(at for at, event in enumerate(events) if event.at >= datetime(2024, 3, 14, 4, tzinfo=UTC))
    moved = [replace(event, at=event.at + timedelta(days=7)) for event in events[cut:]]
    past = past_of([*events[:cut], *moved])
    found = make_report(past, settings(), (), world.game.now)
    assert (past.events, past.is_over, found["is_over"]) == (cut, True, True)
    assert found["accounts"][0]["standing"]["request_id"] == "tuesday"


def test_a_fill_that_was_taken_back_is_no_trade(world: World) -> None:
    told = told_week()
    order = told.order("CCC")
    exec_id = next(iter(order.executions))
    told.tell("CCC", ExecType.TRADE_CANCEL, exec_ref_id=exec_id, cum_qty=Decimal(0))
    told.run(1)
    (before,) = make_report(past_of(world.game.journal), settings(), (), world.game.now)["accounts"]
    (after,) = make_report(past_of(told.game.journal), settings(), (), told.game.now)["accounts"]
    assert len(after["trades"]) == len(before["trades"]) - 1
    assert after["nav"] != before["nav"]


def test_what_cannot_be_known_is_said_and_not_zero() -> None:
    world = World(settings(), starts=False)
    world.game.start()
    world.run(0)
    report = make_report(past_of(world.game.journal), settings(), (), world.game.now)
    (account,) = report["accounts"]
    assert (account["nav"], account["change"], account["drift"]) == (None, None, None)
    assert "no targets stand" in account["notes"][0]
    assert "Nothing was traded" in render(report)
    using = replace(settings(), accounts={}, instruments={})
    (lost,) = make_report(past_of(told_week().game.journal, using=settings()), using, (), world.game.now)[
        "accounts"
    ]
    assert lost["notes"][0] == "the configuration no longer knows this account"
    assert (lost["drift"], lost["realised"]["tax"], lost["limits"]) == (None, None, None)
    assert lost["trades"][0]["spread"] is None
    assert len(lost["notes"]) == 2


def test_an_empty_journal_is_an_empty_report() -> None:
    report = make_report(past_of([]), settings(), (), datetime(2024, 3, 12, tzinfo=UTC))
    assert (report["accounts"], report["as_of"], report["is_over"]) == ([], None, False)
    assert "No alert was raised" in render(report)


def test_short_positions_and_forgotten_prices_are_shown_for_what_they_are(world: World) -> None:
    past = past_of(world.game.journal)
    del past.state.prices["CCC"]
    (account,) = make_report(past, settings(), (), world.game.now)["accounts"]
    assert account["weights"][-1] == {
        "symbol": "CCC", "qty": Decimal(558), "price": None, "value": None, "weight": None, "target": None,
    }  # fmt: skip
    assert "CCC" not in {row["symbol"] for row in account["unrealised"]["by_name"]}
    assert "a holding has no price" in account["notes"][0]


def test_the_json_says_the_same_figures_as_text(report: dict[str, Any], main: dict[str, Any]) -> None:
    found = decode_json(encode_json(report))
    assert found["accounts"][0]["nav"] == str(main["nav"])
    assert json.loads(encode_json(report))["week"] == WEEK


def test_a_terminal_shows_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(settings(), starts=False)
    world.game.start()
    print_report(make_report(past_of(world.game.journal), settings(), (), world.game.now))
    output = capsys.readouterr().out
    assert "NAV not known" in output
    assert "note: no targets stand for this account yet" in output


# --------------------------------------------------------------------------------------------- page


class Page(HTMLParser):
    """Read a page back: its tables, its text, and what it would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.fetches: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.title = ""
        self.images: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.feed(text)
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.fetches += [str(found[key]) for key in ("src", "href") if found.get(key)]
        if identity := found.get("id"):
            self.ids.append(identity)
        if tag == "svg":
            self.images.append((found.get("role") or "", found.get("aria-labelledby") or ""))
        if tag == "table":
            self.tables[self.title] = []
        elif tag == "tr":
            self.tables[self.title].append([])
        elif tag in ("th", "td"):
            self.tables[self.title][-1].append("")
            assert tag == "td" or found.get("scope") in ("col", "row")
        if tag not in ("meta", "link", "br", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        assert tag in ("line", "circle", "polyline")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] == "h3":
            self.title = data
        elif self.open and self.open[-1] in ("th", "td"):
            self.tables[self.title][-1][-1] += data


@pytest.fixture(scope="module")
def page(report: dict[str, Any]) -> Page:
    return Page(render(report))


def test_the_page_shows_the_reports_figures(page: Page, main: dict[str, Any]) -> None:
    words = " ".join(page.text)
    for figure in (f"{main['nav']:,.2f}", f"{main['change']:+,.2f}", f"{main['drift']['largest']:.2%}"):
        assert figure in words
    positions = {row[0]: row for row in page.tables["Positions"][1:]}
    for row in main["weights"]:
        assert positions[row["symbol"]][4:6] == [f"{row['weight']:.2%}", f"{row['target']:.2%}"]
    assert len(page.tables["Trades of the week"]) == 1 + len(main["trades"])
    assert page.tables["Costs of the week"][-1][2] == f"{main['costs']['commission']:,.2f}"
    whys = {row[0]: row[-1] for row in page.tables["What the account's policy would do now"][1:]}
    assert whys == {row["symbol"]: row["why"] for row in main["recommendation"]["names"]}
    assert ["BBB", "buy", "2024-04-14", "BBB was sold at a loss on 2024-03-14 in main"] in page.tables[
        "Wash-sale locks"
    ]
    assert [row[2] for row in page.tables["Alerts"][1:]] == ["DriftWarning", "LinkDown", "Other"]
    assert page.tables["Halts"][1][-1] == "lunch <b>"


def test_the_page_stands_alone_and_can_be_heard(page: Page, report: dict[str, Any]) -> None:
    assert all(one.startswith(("#", "data:")) for one in page.fetches)
    assert "<script" not in render(report)
    assert "url(" not in render(report)
    assert len(page.images) == 3
    assert len(page.ids) == len(set(page.ids))
    for role, labels in page.images:
        assert role == "img"
        assert set(labels.split()) <= set(page.ids)


def test_foreign_text_is_escaped(report: dict[str, Any]) -> None:
    text = render(report)
    assert "AAA is &lt;far&gt; off" in text
    assert "<far>" not in text
    evil = {**report, "household": "<script>alert(1)</script>"}
    assert "<script" not in render(evil)


def test_a_recommendation_to_trade_and_one_to_hold_are_worded(report: dict[str, Any]) -> None:
    (main,) = report["accounts"]
    names = [
        {**one, "qty": Decimal(3), "benefit": 5.0, "cost": 2.0} for one in main["recommendation"]["names"][:1]
    ]

    def said(**changes: Any) -> str:
        changed = {**main, "recommendation": {**main["recommendation"], **changes}}
        return render({**report, "accounts": [changed]})

    assert "Recommendation: 1 trade." in said(names=names)
    assert "They are worth 5.00 and cost 2.00" in said(names=names)
    assert "Recommendation: 2 trades." in said(names=names * 2)
    assert "Recommendation: hold." in said(action="HOLD", reason="largest drift is within 0.5%")


def test_a_curve_of_one_moment_is_not_drawn(report: dict[str, Any]) -> None:
    (main,) = report["accounts"]
    found = Page(render({**report, "accounts": [{**main, "curve": main["curve"][:1]}]}))
    assert len(found.images) == 1
    soon = [{**point, "at": main["curve"][0]["at"]} for point in main["curve"]]
    assert len(Page(render({**report, "accounts": [{**main, "curve": soon}]})).images) == 1


def test_a_long_week_is_cut_on_the_page_and_said(report: dict[str, Any]) -> None:
    (main,) = report["accounts"]
    many = [replace_name(main["weights"][0], f"N{number}") for number in range(40)]
    long = {**main, "trades": main["trades"] * 200, "weights": many}
    text = render(
        {**report, "accounts": [long], "halts": [{**report["halts"][0], "until": None, "account": ""}]}
    )
    assert "The first 500 of 1000; the JSON has them all" in text
    assert "the 30 furthest off of 40 names" in text
    assert "still halted" in text


def replace_name(row: dict[str, Any], symbol: str) -> dict[str, Any]:
    return {**row, "symbol": symbol}


# -------------------------------------------------------------------------------------------- plots


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_steps_are_round_and_hold_what_they_are_for(low: float, span: float) -> None:
    found = steps(low, low + span)
    slack = 1e-9 + (abs(low) + span) * 1e-9
    assert found[0] <= low + slack
    assert found[-1] >= low + span - slack
    assert 2 <= len(found) <= 12


def test_plots_say_in_words_what_they_show() -> None:
    found = weights([Pair("AAA", 0.5, 0.4), Pair("BBB", 0.1, 0.1), Pair("CCC", -0.1, 0.0)], "w")
    assert "AAA 50.00% against 40.00%" in found
    assert ">+10.00<" in found
    assert ">0.00<" in found
    assert "now even" in found
    at = datetime(2024, 3, 12, tzinfo=UTC)
    flat = line([(at, 0.0), (at, 0.0)], "d", "Drift", "%", [Limit("warning", 0.03)])
    assert "lowest 0%, highest 0%" in flat
    assert "warning" in flat
    assert (signed(-0.001), signed(1.0)) == ("0.00", "+1.00")


# ------------------------------------------------------------------------------------------ browser


def shown(page: Path, folder: Path) -> list[str]:
    """Open a page in the browser and return what its console said."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder}", "--enable-logging=stderr", "--v=0", "--window-size=1200,2000",
            f"--screenshot={folder}/page.png", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    return [one for one in done.stderr.splitlines() if "CONSOLE" in one]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_has_nothing_to_complain_of(report: dict[str, Any], tmp_path: Path) -> None:
    """One complaint is put in, so that none heard would be a failure, too."""
    page = tmp_path / "page.html"
    text = render(report).replace("</body>", "<script>console.error('put in')</script></body>")
    page.write_text(text, encoding="utf-8")
    (complaint,) = shown(page, tmp_path / "browser")
    assert "put in" in complaint
    assert (tmp_path / "browser" / "page.png").stat().st_size > 10_000
