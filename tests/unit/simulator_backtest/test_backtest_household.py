"""A household of several accounts: each its own book, wash sales between them, one tax and its shares."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from backtest_world import bars, opened, run, settings
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import main
from gateway.cli.backtest_file import read_file
from gateway.cli.root import OK, USAGE
from gateway.domain.settings import Costs, Decision, Settings, WashSales
from gateway.domain.tax.rules import AccountKind, Holder
from gateway.domain.tax.year import Filing
from gateway.events import LotOpened
from simulator.backtest.bars import Bars, Day, Happening
from simulator.backtest.measure import Measure
from simulator.backtest.outcome import HOUSEHOLD, as_data, outcome_of
from simulator.backtest.runner import Dividends, Run, Targets
from simulator.backtest.taxes import Taxes, shared

COSTS = Costs(commission_per_share=Decimal(0), commission_minimum=Decimal(0), impact=Decimal(0))
FILE = """
title = "Three accounts"
history = "h.csv"
dividend_rate = "0.15"
decide_every = 5

[account.costs]
impact = "0"

[account.decision]
policy = "calendar"
calendar_period = "daily"
risk_aversion = "1000000"
wash_sale = "accept"

[accounts.joint]
opening_cash = "10000"
opening_lots = "lots.csv"
targets = { file = "out.csv" }

[accounts.his]
person = "Ben"
opening_cash = "50000"
targets = { weights = { A = "0.2", B = "0.6" } }

[accounts.ira]
kind = "ira"
opening_cash = "60000"
dividends = "reinvest"
targets = { file = "in.csv" }

[[flows]]
on = 2021-02-02
account = "his"
amount = "2500"

[runs.washed]
[runs.kept.decision]
wash_sale = "block"
[runs.kept.accounts.his.decision]
policy = "no_trade"
"""


def folder_of(tmp_path: Path, text: str = FILE) -> Path:
    """Write a history in which A falls, is sold by `joint` on day 20 and bought by `ira` on day 25."""
    rows, day = ["date,symbol,close,dividend,split"], date(2021, 1, 4)
    days = []
    for n in range(340):
        dividend = "0.50" if n in (10, 60) else ""
        rows += [
            f"{day},A,{100 - min(n, 20) + 0.1 * (n % 3):.4f},,",
            f"{day},B,{40 + 0.05 * n:.4f},{dividend},",
        ]
        days.append(day)
        day += timedelta(days=3 if day.weekday() == 4 else 1)
    (tmp_path / "h.csv").write_text("\n".join(rows))
    (tmp_path / "lots.csv").write_text(
        "symbol,acquired,qty,cost\nA,2020-06-01,300,33000\nB,2020-06-01,100,3000\n"
    )
    hold = f"date,symbol,weight\n{days[0]},A,0.7\n{days[0]},B,0.09\n{days[20]},B,0.9\n"
    (tmp_path / "out.csv").write_text(hold)
    (tmp_path / "in.csv").write_text(
        f"date,symbol,weight\n{days[0]},B,0.5\n{days[25]},A,0.4\n{days[25]},B,0.5\n"
    )
    path = tmp_path / "b.toml"
    path.write_text(text)
    return path


def test_a_file_of_three_accounts_shows_each_the_whole_and_the_loss_the_ira_took(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder_of(tmp_path)
    words = ["--json", str(tmp_path / "b.json"), "--html", str(tmp_path / "b.html"), "--jobs", "1"]
    assert main(["backtest", str(path), *words]) == OK
    said = capsys.readouterr()
    for words_of in ("A year of household", "A year of joint", "Differences of ira", "lost for good"):
        assert words_of in said.out, words_of
    assert "halted" not in said.err
    data = json.loads((tmp_path / "b.json").read_text())
    assert data["account"] == HOUSEHOLD
    assert [one["account"] for one in data["accounts"]] == ["joint", "his", "ira"]
    washed, kept = data["runs"]
    whole = washed["figures"]["all"]
    parts = [one["runs"][0]["figures"]["all"] for one in data["accounts"]]
    for what in ("begin", "end"):
        assert whole[what] == pytest.approx(sum(one[what] for one in parts))
    assert washed["after_tax"] == pytest.approx(sum(one["runs"][0]["after_tax"] for one in data["accounts"]))
    taken = {(one["sold_in"], one["bought_in"]): one for one in washed["washed"]}["joint", "ira"]
    assert float(taken["lost"]) > 1_000
    lost = sum(float(one["lost"]) for one in washed["washed"])
    assert sum(float(one["permanent"]) for one in washed["years"]) == pytest.approx(lost)
    assert sum(float(one["lost"]) for one in kept["washed"]) == 0
    assert [one["policy"] for one in data["accounts"][1]["runs"]] == ["calendar", "no_trade"]
    assert kept["policy"] == "calendar, no_trade"
    page = (tmp_path / "b.html").read_text()
    for words_of in (
        "The account ira",
        "Wash sales",
        "of it lost",
        "traditional IRA",
        "Reinvested dividends buy",
    ):
        assert words_of in page, words_of


def test_dividends_are_taxed_in_taxed_accounts_at_the_rate_of_the_file(tmp_path: Path) -> None:
    described = read_file(folder_of(tmp_path))
    bars_ = described.bars()
    known = described.settings("washed", bars_)
    played = Run(bars_, known, described.scenario(known, bars_))
    measure = Measure(
        played, holders=described.holders("washed"), filing=described.filing,
        dividend_rate=described.dividend_rate,
    ).follow()  # fmt: skip
    taxed = sum(one.amount for one in played.dividends if one.account != "ira")
    (first, second) = measure.taxes.returns()
    assert (first.year, first.dividends) == (2021, taxed)
    assert second.dividends == 0
    assert first.tax == measure.taxes.years()[0].tax + taxed * Decimal("0.15")
    bought = [one for one in played.tape.traded if one.is_reinvested]
    assert {one.account for one in bought} == {"ira"}
    assert sum(sum(track.tax) for track in measure.tracks.values()) == pytest.approx(float(first.tax))
    assert not any(measure.tracks["ira"].tax)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('kind = "ira"', 'kind = "bank"'), "accounts.ira.kind"),
        (('kind = "ira"', 'kind = "ira"\ntaxable = true'), "accounts.ira: kind and taxable say the same"),
        (('person = "Ben"', 'parson = "Ben"'), "accounts.his.parson"),
        (('opening_cash = "50000"', ""), "accounts.his: has nothing to begin with"),
        (('targets = { weights = { A = "0.2", B = "0.6" } }', ""), "accounts.his.targets: write them"),
        (('A = "0.2", B', 'Z = "0.2", B'), "accounts.his.targets: Z is not in the history"),
        (('file = "in.csv"', 'file = "no.csv"'), "accounts.ira.targets.file"),
        (('account = "his"', 'account = "her"'), "flows.0.account: write one of joint, his, ira"),
        (("[runs.kept.accounts.his", "[runs.kept.accounts.her"), "runs.kept.accounts.her"),
        (('policy = "no_trade"', 'policy = "clever"'), "runs.kept.accounts.his.decision.policy"),
        (('dividend_rate = "0.15"', 'dividend_rate = "15"'), "dividend_rate"),
        (("decide_every = 5", "cash = 5"), "cash: belongs to a lone account"),
        (("[accounts.his]", "[accounts.household]"), "accounts.household: is what all accounts come to"),
        (("[accounts.his]", '[accounts."a b"]'), "accounts.a b"),
        (("[runs.washed]", "[runs.washed]\naccounts = 1"), "runs.washed.accounts"),
        (("[runs.washed]", "[runs.washed.accounts]\nhis = 1"), "runs.washed.accounts.his: is no table"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_account_and_the_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], words: str
) -> None:
    assert change[0] in FILE
    assert main(["backtest", str(folder_of(tmp_path, FILE.replace(*change))), "--jobs", "1"]) == USAGE
    said = capsys.readouterr().err.strip().splitlines()
    assert words in said[-1]
    assert "Traceback" not in "".join(said)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Z,2020-06-01,300,33000", "accounts.joint.opening_lots: Z has no price on 2021-01-04"),
        ("A,2021-06-01,300,33000", "accounts.joint.opening_lots: A is acquired on 2021-06-01"),
    ],
)
def test_opening_lots_must_fit_the_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: str, words: str
) -> None:
    path = folder_of(tmp_path)
    (tmp_path / "lots.csv").write_text(f"symbol,acquired,qty,cost\n{row}\n")
    assert main(["backtest", str(path), "--jobs", "1"]) == USAGE
    assert words in capsys.readouterr().err


def falling(dividend: str = "0") -> Bars:
    told = {2: (Happening("A", dividend=Decimal(dividend)),)} if Decimal(dividend) else {}
    return bars({"A": [100.0, 90.0, 80.0, 80.0, 80.0, 80.0], "B": [50.0] * 6}, happenings=told)


def household(kinds: dict[str, bool], choice: WashSales = WashSales.ACCEPT) -> Settings:
    eager = Decision(
        policy=settings("A").accounts["main"].decision.policy, drift_band_absolute=Decimal("0.0001"),
        risk_aversion=Decimal(10**6), wash_sale=choice,
    )  # fmt: skip
    made = settings(("A", "B"), accounts=tuple(kinds), costs=COSTS, decision=eager)
    accounts = {name: replace(one, taxable=kinds[name]) for name, one in made.accounts.items()}
    return replace(made, accounts=accounts)


def sells_and_buys(seller: str, buyer: str, played: Run) -> Run:
    """Let one account sell its A on the third day, another buy A on the fourth."""

    def selling(day: Day) -> Targets:
        return {"A": Decimal(1)} if day.on < played.history.days[2] else {}

    def buying(day: Day) -> Targets:
        return {"A": Decimal("0.9")} if day.on >= played.history.days[3] else {}

    wanted = {seller: selling, buyer: buying}
    scenario = replace(
        played.scenario,
        wanted={name: wanted.get(name, lambda _day: {}) for name in played.settings.accounts},
    )
    return Run(played.history, played.settings, scenario)


@pytest.mark.parametrize(("buyer_is_taxed", "is_permanent"), [(True, False), (False, True)])
def test_another_account_s_purchase_washes_and_an_ira_s_takes_the_loss_for_good(
    buyer_is_taxed: bool, is_permanent: bool
) -> None:
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(10_000))]
    known = household({"one": True, "two": buyer_is_taxed})
    first = [opened(0, lots, "one"), opened(100_000, (), "two")]
    played = sells_and_buys("one", "two", run(falling(), lambda _day: {}, household=known, opening=first))
    measure = Measure(played).follow()
    (found,) = measure.taxes.washed()
    assert (found.account, found.bought_in, found.qty, found.amount) == ("one", "two", 100, 2_000)
    assert found.is_permanent is is_permanent
    (year,) = measure.taxes.returns()
    assert (year.disallowed, year.permanent) == (2_000, 2_000 if is_permanent else 0)
    basis = sum(lot.basis for lot in measure.taxes.ledger.holding("two", "A", is_short=False).lots)
    paid = sum(one.qty * one.px for one in played.tape.traded if one.account == "two")
    assert basis == paid + (0 if is_permanent else 2_000)


def test_a_reinvested_dividend_washes_another_account_s_loss() -> None:
    """One sells 100 A at a loss on the day the other's dividend buys 10: ten shares' loss is put off."""
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(10_000))]
    held = [LotOpened("A", "2020-01-02", Decimal(400), Decimal(40_000))]
    known = household({"one": True, "two": True})
    first = [opened(0, lots, "one"), opened(0, held, "two")]
    base = run(falling("2"), lambda _day: {}, household=known, opening=first)
    scenario = replace(
        base.scenario,
        wanted={"one": lambda day: {"A": Decimal(1)} if day.on < base.history.days[2] else {}},
        dividends_by={"two": Dividends.REINVEST},
    )
    played = Run(base.history, known, scenario)
    measure = Measure(played).follow()
    (bought,) = [one for one in played.tape.traded if one.is_reinvested]
    assert (bought.account, bought.qty, bought.px) == ("two", 10, 80)
    (found,) = measure.taxes.washed()
    assert (found.account, found.bought_in, found.qty, found.amount) == ("one", "two", 10, 200)
    assert {one.amount for one in played.dividends} == {200, 800}
    assert measure.taxes.returns()[0].dividends == 1_000
    assert played.world.engine.state.halts == {}


def test_two_who_file_apart_pay_their_own_and_an_ira_nothing() -> None:
    known = household({"his": True, "hers": True, "roth": False})
    holders = {
        "his": Holder("his", owner="Ben"), "hers": Holder("hers", owner="Ann"),
        "roth": Holder("roth", AccountKind.ROTH, owner="Ann"),
    }  # fmt: skip
    owed = {}
    for filing in (Filing.JOINT, Filing.SEPARATE):
        taxes = Taxes(known, filing=filing, holders=holders, dividend_rate=Decimal("0.1"))
        lots = {"his": (100, 5_000), "hers": (100, 12_000), "roth": (100, 100)}
        for name, (qty, cost) in lots.items():
            taxes.open(name, LotOpened("A", "2024-01-02", Decimal(qty), Decimal(cost)))
        owed[filing] = taxes.after_sale({"A": Decimal(100)}, date(2024, 6, 3))
    assert owed[Filing.JOINT] == {"his": (Decimal(5_000) - Decimal(2_000)) * Decimal("0.37")}
    assert owed[Filing.SEPARATE] == {
        "his": Decimal(5_000) * Decimal("0.37"), "hers": -Decimal(1_500) * Decimal("0.37"),
    }  # fmt: skip


def test_a_household_that_nobody_is_taxed_on_owes_nothing_and_pays_nothing() -> None:
    known = household({"one": False, "two": False})
    days = bars({"A": [100.0 + n % 3 for n in range(340)], "B": [50.0] * 340}, first=date(2024, 1, 2))
    measure = Measure(run(days, lambda _day: {"A": Decimal("0.5")}, household=known)).follow()
    assert measure.taxes.returns() == []
    assert measure.taxes.settled == {2023, 2024}
    outcome = outcome_of("one", measure, [(days.days[-1], {"one": 1.0, "two": 2.0})])
    assert outcome.has_untaxed
    assert outcome.final_after_tax(HOUSEHOLD) == 3
    data = as_data([outcome], None)
    assert [one["account"] for one in data["accounts"]] == ["one", "two"]
    assert data["runs"][0]["figures"]["all"]["trades"] == 2 * outcome.figures("one").trades


@given(
    st.decimals(-(10**6), 10**6, places=2),
    st.dictionaries(st.sampled_from("abcd"), st.decimals(-(10**6), 10**6, places=2)),
)
def test_shares_of_a_tax_add_up_and_none_has_the_other_sign(due: Decimal, alone: dict[str, Decimal]) -> None:
    found = shared(due, alone, "a")
    assert sum(found.values()) == due
    assert all(share * due >= 0 for share in found.values())
    assert all(share == 0 or name == "a" or alone[name] * due > 0 for name, share in found.items())
