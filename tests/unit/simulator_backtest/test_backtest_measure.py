"""What a run came to: wealth, costs and taxes, worked out by hand beside it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from backtest_world import bars, fixed, opened, run, settings

from gateway.domain.settings import Costs
from gateway.events import LotOpened
from simulator.backtest.chance import Interval, block_length, of_growth, of_mean, returns
from simulator.backtest.measure import Measure
from simulator.backtest.outcome import as_data, difference, outcome_of
from simulator.backtest.runner import Flow
from simulator.backtest.taxes import Elsewhere

NAN = float("nan")


def test_wealth_turnover_and_cost_by_hand() -> None:
    household = settings(["A"], half_spread_bps=Decimal(100), costs=Costs(impact=Decimal(0)))
    played = run(bars({"A": [100, 110]}), fixed(A="0.5"), household=household)
    track = Measure(played).follow().tracks["main"]
    bought, sold = played.tape.traded
    assert bought.px == 101
    fee = float(bought.commission)
    assert track.cost[0] == pytest.approx(fee + float(bought.qty))
    assert track.wealth[0] == pytest.approx(100_000 - fee - float(bought.qty))
    assert track.turnover[0] == pytest.approx(float(bought.qty) * 101 / track.wealth[0])
    assert track.cash[0] + track.held[0]["A"] * track.wealth[0] == pytest.approx(track.wealth[0])
    assert (sum(track.trades), sum(track.actions.values())) == (2, 2)
    assert sold.side.sign == -1


def test_taxes_of_a_year_are_paid_in_april_of_the_next() -> None:
    lots = [LotOpened("A", "2020-01-02", Decimal(1000), Decimal(10_000))]
    history = bars({"A": [100.0] * 340}, first=date(2024, 1, 2))
    household = settings(["A"], taxable=True, costs=Costs(impact=Decimal(0), commission_minimum=Decimal(0)))
    sold = run(
        history, lambda _day: {"A": Decimal(0)}, household=household, opening=[opened(0, lots)],
        decides=lambda day: day.on.year == 2024,
    )  # fmt: skip
    measure = Measure(sold).follow()
    track = measure.tracks["main"]
    (year,) = measure.taxes.years()
    assert year.long_term == Decimal(90_000) - sum(one.commission for one in sold.tape.traded)
    paid = [(measure.days[n], amount) for n, amount in enumerate(track.tax) if amount]
    ((on, amount),) = paid
    assert on == date(2025, 4, 15)
    assert amount == pytest.approx(float(year.long_term) * 0.20)
    assert track.wealth[-1] == pytest.approx(track.cash[-1])
    assert track.cash[-1] == pytest.approx(
        float(sum(one.qty * one.px for one in sold.tape.traded)) - amount, rel=1e-4
    )


def test_wealth_after_tax_is_what_a_sale_of_everything_would_leave() -> None:
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(1_000))]
    household = settings(["A"], taxable=True, costs=Costs(impact=Decimal(0)))
    played = run(
        bars({"A": [100, 100]}), fixed(A="1"), household=household, opening=[opened(0, lots)],
        decides=lambda _day: False,
    )  # fmt: skip
    measure = Measure(played)
    for present in played:
        measure.take(present)
    assert measure.after_tax(present) == pytest.approx(10_000 - 9_000 * 0.20)


def test_an_untaxed_account_owes_nothing() -> None:
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(1_000))]
    played = run(bars({"A": [100, 100]}), lambda _day: {"A": Decimal(0)}, opening=[opened(0, lots)])
    measure = Measure(played)
    for present in played:
        measure.take(present)
    assert measure.taxes.years() == []
    assert measure.after_tax(present) == pytest.approx(measure.tracks["main"].wealth[-1])


def test_a_short_position_is_taken_over_and_a_sale_of_everything_covers_it() -> None:
    """100 shares sold short at 12 stand at 10: covering them gains 200, short-term whatever the date."""
    lots = [LotOpened("A", "2020-01-02", Decimal(-100), Decimal(-1_200))]
    household = settings(["A"], taxable=True, costs=Costs(impact=Decimal(0)))
    played = run(
        bars({"A": [10, 10]}), fixed(A="0"), household=household, opening=[opened(5_000, lots)],
        decides=lambda _day: False,
    )  # fmt: skip
    measure = Measure(played)
    for present in played:
        measure.take(present)
    assert measure.tracks["main"].wealth[-1] == pytest.approx(4_000)
    assert measure.after_tax(present) == pytest.approx(4_000 - 200 * 0.37)


def test_gains_made_elsewhere_make_a_loss_worth_its_own_rate() -> None:
    lots = [LotOpened("A", "2023-12-01", Decimal(1000), Decimal(110_000))]
    history = bars({"A": [100.0] * 110}, first=date(2024, 11, 25))
    household = settings(["A"], taxable=True, costs=Costs(impact=Decimal(0), commission_minimum=Decimal(0)))
    saved = {}
    for name, elsewhere in (("none", None), ("enough", Elsewhere(Decimal(50_000), Decimal(50_000)))):
        sold = run(
            history, lambda _day: {"A": Decimal(0)}, household=household, opening=[opened(0, lots)],
            decides=lambda day: day.on == date(2024, 11, 25),
        )  # fmt: skip
        measure = Measure(sold, elsewhere=elsewhere).follow()
        saved[name] = -sum(measure.tracks["main"].tax)
        lost = -float(sum(line.allowed for line in measure.taxes.ledger.lines))
        assert float(measure.unpaid()) == 0
    assert saved["none"] == pytest.approx(3_000 * 0.37)
    assert saved["enough"] == pytest.approx(lost * 0.37)
    assert measure.taxes.carried_into(2025) == 0


def test_flows_are_no_growth() -> None:
    history = bars({"A": [10, 11, 11]})
    flows = [Flow(history.days[2], "main", Decimal(110_000))]
    played = run(history, fixed(A="1"), flows=flows)
    measure = Measure(played).follow()
    one = outcome_of("one", measure, [(history.days[-1], {"main": 1.0})])
    assert measure.tracks["main"].wealth == pytest.approx([100_000, 110_000, 220_000])
    assert one.figures("main").growth == pytest.approx(np.log(1.1) / 2 * 252)


def test_two_runs_are_compared_on_the_same_days() -> None:
    history = bars({"A": [10 + n % 5 for n in range(60)], "B": [10] * 60})
    outcomes = []
    for name, weights in (("half", {"A": "0.5"}), ("most", {"A": "0.9"})):
        measure = Measure(run(history, fixed(**weights))).follow()
        outcomes.append(
            outcome_of(name, measure, [(history.days[-1], {"main": measure.tracks["main"].wealth[-1]})])
        )
    found = difference(outcomes[1], outcomes[0], "main")
    growth = [outcomes[n].figures("main").growth for n in (0, 1)]
    assert found["growth"].value == pytest.approx(growth[1] - growth[0])
    data = as_data(outcomes, history.days[30])
    assert [one["name"] for one in data["runs"]] == ["half", "most"]
    assert set(data["runs"][0]["figures"]) == {"all", "before", "after"}
    assert data["runs"][0]["figures"]["before"]["last"] == history.days[30]
    assert [(one["run"], one["against"]) for one in data["differences"]] == [("most", "half")]
    assert data["accounts"] == []
    assert data["runs"][0]["series"]["days"][-1] == history.days[-1]
    assert set(data["runs"][0]["series"]["weights"]) == {"A"}


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    inside = 0
    for seed in range(200):
        noise = rng.normal(0, 0.01, 1_001)
        daily = 0.0002 + 0.5 * noise[1:] + 0.5 * noise[:-1]
        found = of_mean(daily, per_year=1, draws=400, seed=seed)
        inside += found.low <= 0.0002 <= found.high
    assert 175 <= inside <= 199


def test_small_samples_and_no_sample_have_an_interval() -> None:
    assert of_mean(np.array([])) == Interval(0.0, 0.0, 0.0, 0.95)
    found = of_mean(np.array([0.5]), per_year=1)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert found.is_certain
    assert not Interval(0.1, -0.1, 0.3, 0.95).is_certain
    assert (block_length(10), block_length(30_000)) == (21, 31)
    same = np.array([1.0, 2.0, 3.0])
    assert of_growth(same, same, np.zeros(3)).value == 0
    assert returns(np.array([1.0, 3.0]), np.array([0.0, 1.0])).tolist() == [pytest.approx(np.log(1.5))]
