"""What happens to shares: dividends reinvested, names that leave, and what a page must say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from backtest_world import bars, fixed, opened, run, settings

from gateway.events import LotOpened
from simulator.backtest.bars import Happening
from simulator.backtest.limits import stated
from simulator.backtest.measure import Measure
from simulator.backtest.outcome import outcome_of
from simulator.backtest.runner import Dividends, Run
from simulator.backtest.tape import Fills

NAN = float("nan")


def reinvesting(played: Run) -> Run:
    return Run(
        played.history, played.settings, replace(played.scenario, dividends=Dividends.REINVEST)
    )  # fmt: skip


def test_a_reinvested_dividend_is_a_purchase_at_the_close_like_any_other() -> None:
    """100 shares pay 0.50: 50 of cash buy 5 at 10, a lot of that day; the account goes on."""
    told = {1: (Happening("A", dividend=Decimal("0.50")),)}
    history = bars({"A": [10, 10, 12]}, happenings=told)
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(700))]
    played = reinvesting(
        run(history, fixed(A="0"), opening=[opened(0, lots)], decides=lambda _day: False)
    )  # fmt: skip
    measure = Measure(played)
    for present in played:
        measure.take(present)
        assert present.world.engine.state.halts == {}
    account = present.world.engine.state.book.accounts["main"]
    assert (account.cash, account.positions) == (0, {"A": Decimal(105)})
    assert [(lot.acquired, lot.qty, lot.cost) for lot in account.lots["A"]][1] == (
        history.days[1], Decimal(5), Decimal(50),
    )  # fmt: skip
    assert [lot.qty for lot in measure.taxes.ledger.holding("main", "A", is_short=False).lots] == [100, 5]
    assert measure.tracks["main"].wealth[-1] == pytest.approx(105 * 12)


def test_a_converted_history_keeps_volumes_and_converts_prices_and_dividends_of_the_day() -> None:
    told = {1: (Happening("A", dividend=Decimal("0.50")), Happening("B", split=Decimal(2)))}
    plain = bars({"A": [10, 20], "B": [5, 6], "EUR/USD": [1.5, 2.0]}, happenings=told)
    full = replace(plain, open=plain.close, high=plain.close + 1, low=plain.close - 1, volume=plain.close)
    found = full.converted({"A": "EUR/USD"})
    assert found.symbols == ("A", "B")
    assert found.close.tolist() == [[15, 5], [40, 6]]
    assert found.open is not None
    assert found.high is not None
    assert found.low is not None
    assert found.volume is not None
    assert found.open.tolist() == found.close.tolist()
    assert (found.high - found.low).tolist() == [[3, 2], [4, 2]]
    assert found.volume.tolist() == [[10, 5], [20, 6]]
    assert found.day(1).happenings == (
        Happening("A", dividend=Decimal(1)), Happening("B", split=Decimal(2)),
    )  # fmt: skip
    assert plain.converted({"A": "EUR/USD"}).open is None
    assert plain.converted({}) is plain
    early = replace(plain, happenings={plain.days[0] - timedelta(days=9): told[1]})
    assert early.converted({"A": "EUR/USD"}).happenings == early.happenings


def test_what_makes_no_whole_share_waits_for_the_next_dividend() -> None:
    told = {n: (Happening("A", dividend=Decimal("0.06")),) for n in (1, 2)}
    history = bars({"A": [10, 10, 10]}, happenings=told)
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(700))]
    played = reinvesting(
        run(history, fixed(A="0"), opening=[opened(0, lots)], decides=lambda _day: False)
    )  # fmt: skip
    held = [one.world.engine.state.book.accounts["main"].positions["A"] for one in played]
    assert held == [100, 100, 101]
    assert played.world.engine.state.book.accounts["main"].cash == 2


def test_nothing_is_reinvested_in_a_name_that_is_sold_or_leaves() -> None:
    told = {1: (Happening("A", dividend=Decimal(1)),)}
    history = bars({"A": [10, 10, NAN], "B": [10, 10, 10]}, happenings=told)
    played = reinvesting(run(history, fixed(A="0.5", B="0.4")))
    days = list(played)
    assert days[-1].world.engine.state.book.accounts["main"].positions.get("A", 0) == 0
    assert not [one for one in played.tape.traded if one.cl_ord_id.startswith("DRIP")]


def test_what_could_not_be_sold_keeps_its_last_price_and_is_told_of() -> None:
    """Nobody decides on the last day of A: it stands at 8 until the next decision sells it there."""
    history = bars({"A": [10, 8, NAN, NAN, NAN], "B": [10, 10, 10, 10, 10]})
    played = run(
        history, fixed(A="0.5", B="0.4"),
        decides=lambda day: day.on in (history.days[0], history.days[3]),
    )  # fmt: skip
    measure = Measure(played)
    wealth = []
    for present in played:
        measure.take(present)
        wealth.append(measure.tracks["main"].wealth[-1])
    assert played.stranded == {"A": history.days[2]}
    assert wealth == pytest.approx([100_000, 90_000, 90_000, 90_000, 90_000])
    assert [one.px for one in played.tape.traded if one.symbol == "A"] == [10, 8]
    assert "A" not in present.day.close
    outcome = outcome_of("one", measure, [(history.days[-1], {"main": wealth[-1]})])
    words = " ".join(stated(history, Fills.CLOSE, {Dividends.CASH}, [outcome], is_taxed=True))
    assert "A could not be sold on the last day of trading" in words
    assert "1 of 2 names leave before the end" in words


def test_a_part_of_a_history_may_be_judged_by_the_days_before_it() -> None:
    history = bars({"A": [10.0 + n % 3 for n in range(90)], "B": [20.0 + n % 5 for n in range(90)]})
    later = history.between(history.days[80], None)
    base = run(later, fixed(A="0.5"))
    scenario = replace(base.scenario, looks_every=5)
    blind = next(iter(Run(later, base.settings, scenario)))
    assert blind.world.engine.market.risk is None
    seeing = next(iter(Run(later, base.settings, scenario, earlier=history)))
    assert seeing.world.engine.market.risk is not None
    assert seeing.world.engine.market.risk.as_of == history.days[79]


def test_limits_follow_what_was_played() -> None:
    lasting = bars({"A": [10, 11]})
    reinvested = " ".join(stated(lasting, Fills.NEXT_OPEN, {Dividends.REINVEST}, [], is_taxed=False))
    assert "Survivorship: all 1 names are still listed" in reinvested
    assert "next day's opening price" in reinvested
    assert "Reinvested dividends buy whole shares" in reinvested
    assert "after tax" not in reinvested
    bundled = " ".join(
        stated(replace(lasting, name="bundled:sp500"), Fills.CLOSE, {Dividends.CASH}, [], is_taxed=True)
    )
    assert "inside them" in bundled
    assert "Dividends are cash" not in bundled


def test_a_part_counts_what_was_traded_after_its_first_evening() -> None:
    history = bars({"A": [10 + n % 4 for n in range(20)], "B": [10] * 20})
    played = run(history, fixed(A="0.5", B="0.4"), household=settings(("A", "B"), half_spread_bps=Decimal(5)))
    outcome = outcome_of("one", Measure(played).follow(), [(history.days[-1], {"main": 1.0})])
    at = history.days[9]
    whole, before, after = (
        outcome.figures("main", *span) for span in ((None, None), (None, at), (at, None))
    )  # fmt: skip
    assert whole.trades == before.trades + after.trades
    assert whole.turnover * 20 == pytest.approx(before.turnover * 10 + after.turnover * 10)
    with pytest.raises(ValueError, match="no day of one"):
        outcome.figures("main", None, history.days[0].replace(year=2000))


def test_a_year_of_dividends_alone_is_taxed_in_the_next_and_splits_change_no_tax() -> None:
    """100 shares pay 3, then 200 pay 1: 500 at 20 %; the first day's happenings are in the opening book."""
    told = {
        0: (Happening("A", dividend=Decimal(9), split=Decimal(3)),),
        2: (Happening("A", dividend=Decimal(3)),),
        3: (Happening("A", split=Decimal(2)),), 4: (Happening("A", dividend=Decimal(1)),),
    }  # fmt: skip
    prices = [20.0] * 3 + [10.0] * 337
    history = bars({"A": prices}, happenings=told, first=date(2024, 1, 2))
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(1_000))]
    household = settings(["A"], taxable=True)
    played = run(
        history, fixed(A="1"), household=household, opening=[opened(0, lots)], decides=lambda _day: False
    )  # fmt: skip
    measure = Measure(played)
    for present in played:
        measure.take(present)
    (year,) = measure.taxes.returns()
    assert (year.year, year.dividends, year.tax, year.short_term) == (2024, 500, 100, 0)
    paid = [(measure.days[n], tax) for n, tax in enumerate(measure.tracks["main"].tax) if tax]
    assert paid == [(date(2025, 4, 15), 100.0)]
    account = present.world.engine.state.book.accounts["main"]
    assert (account.cash, account.positions) == (500 - 100, {"A": Decimal(200)})
    (lot,) = measure.taxes.ledger.holding("main", "A", is_short=False).lots
    assert (lot.qty, lot.basis) == (200, 1_000)
    assert measure.after_tax(present) == pytest.approx(2_000 + 400 - 1_000 * 0.20)


def test_a_short_seller_owes_dividends_and_is_not_taxed_on_them() -> None:
    told = {1: (Happening("A", dividend=Decimal(1)),)}
    history = bars({"A": [10, 10, 10]}, happenings=told)
    lots = [LotOpened("A", "2020-01-02", Decimal(-100), Decimal(-1_000))]
    played = reinvesting(
        run(
            history, fixed(A="0"), household=settings(["A"], taxable=True), opening=[opened(5_000, lots)],
            decides=lambda _day: False,
        )
    )  # fmt: skip
    measure = Measure(played).follow()
    assert played.world.engine.state.book.accounts["main"].cash == 4_900
    assert [one.amount for one in played.dividends] == [-100]
    assert measure.taxes.returns() == []
    assert not any(one.is_reinvested for one in played.tape.traded)
