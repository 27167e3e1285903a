"""The runner: what the engine is told, when, and that nobody can know tomorrow."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pytest
from backtest_world import EAGER, Evening, bars, evenings, fixed, opened, run, settings
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from gateway.domain.order import OrdType
from gateway.domain.settings import Costs
from gateway.events import LotOpened, OrdersPlanned, PricesUpdated, ReportReceived, RequestDecided
from simulator.backtest.bars import Day, Happening
from simulator.backtest.runner import Flow
from simulator.backtest.tape import Fills

NAN = float("nan")


def test_a_day_trades_at_its_close() -> None:
    played = run(bars({"A": [10, 20], "B": [50, 50]}), fixed(A="0.5", B="0.5"))
    first, second = evenings(played)
    assert first == Evening({"A": Decimal(5000), "B": Decimal(1000)}, Decimal(0))
    assert [(one.symbol, one.px) for one in played.tape.traded[:2]] == [("A", 10), ("B", 50)]
    assert second == Evening({"A": Decimal(3750), "B": Decimal(1500)}, Decimal(0))


def test_the_next_open_is_the_next_day_s_price_for_sells_and_the_buys_they_pay_for() -> None:
    history = bars({"A": [10, 20, 20], "B": [50, 50, 50]}, opens={"A": [9, 18, 25], "B": [49, 51, 52]})
    played = run(history, fixed(A="0.5", B="0.4"), fills=Fills.NEXT_OPEN)
    first, second, third = evenings(played)
    assert first.positions == {}
    assert second.positions == {"A": Decimal(5000), "B": Decimal(800)}
    assert [one.px for one in played.tape.traded[:2]] == [18, 51]
    sold, bought = played.tape.traded[2:]
    assert (sold.symbol, sold.px, bought.symbol, bought.px) == ("A", 25, "B", 52)
    assert third.positions["B"] > second.positions["B"]


def test_before_its_morning_an_order_for_the_next_open_only_works() -> None:
    history = bars({"A": [10, 20]}, opens={"A": [9, 18]})
    played = iter(run(history, fixed(A="1"), fills=Fills.NEXT_OPEN))
    first = next(played)
    assert first.world.engine.state.book.accounts["main"].positions == {}
    assert len(list(first.world.engine.state.open_orders())) == 1
    second = next(played)
    (trade,) = [one for one in second.tape.traded if one.symbol == "A"][:1]
    assert trade.px == 18


def test_a_limit_is_kept_and_expires() -> None:
    history = bars({"A": [10, 20, 20]}, opens={"A": [10, 20, 20]})
    household = settings(["A"], ord_type=OrdType.LIMIT)
    played = run(history, fixed(A="0.4"), household=household, fills=Fills.NEXT_OPEN)
    first, second, third = evenings(played)
    reports = [event.report for event in played.world.journal if isinstance(event, ReportReceived)]
    assert [one.ord_status.name for one in reports if one.last_qty is None] == ["NEW", "EXPIRED", "NEW"]
    assert (first.positions, second.positions) == ({}, {})
    assert third.positions == {"A": Decimal(2000)}


def test_spread_commission_and_impact_are_those_of_the_cost_model() -> None:
    household = settings(["A"], half_spread_bps=Decimal(10), costs=Costs(impact=Decimal(0)))
    (one, *_) = list(run(bars({"A": [100, 100]}), fixed(A="0.5"), household=household))
    (trade,) = one.tape.traded
    assert trade.px == Decimal("100.1")
    assert trade.commission == max(Decimal("1.00"), Decimal("0.005") * trade.qty)
    assert trade.slippage == trade.qty * Decimal("0.1")


@given(
    st.lists(st.floats(0.9, 1.1), min_size=12, max_size=12),
    st.lists(st.floats(0.5, 2.0), min_size=6, max_size=6),
    st.sampled_from(list(Fills)),
)
@how(max_examples=25, deadline=None)
def test_what_comes_later_changes_nothing_before_it(
    changes: list[float], futures: list[float], fills: Fills
) -> None:
    """Two histories that are the same up to a day are played alike up to that day, journal and all."""
    past = np.array(changes).reshape(6, 2).cumprod(axis=0) * [20.0, 50.0]
    other = past * np.repeat(np.array(futures)[:, None], 2, axis=1)
    journals = []
    for future in (past, other):
        table = np.vstack([past, future])
        history = bars({"A": table[:, 0].tolist(), "B": table[:, 1].tolist()})
        played = iter(run(history, fixed(A="0.6", B="0.3"), fills=fills))
        for _ in range(6):
            present = next(played)
        journals.append(list(present.world.journal))
    assert journals[0] == journals[1]


def test_who_tries_to_cheat_is_shown_nothing_of_tomorrow() -> None:
    """A strategy that buys what will rise must find it in what it is given; it is given one day."""
    history = bars({"A": [10, 30, 10, 30], "B": [30, 10, 30, 10]})
    seen: list[Day] = []

    def cheat(day: Day) -> Mapping[str, Decimal]:
        seen.append(day)
        for name in ("open", "close", "typical", "volume"):
            table = getattr(day, name)
            known = {symbol: history.close[history.days.index(day.on), n] for n, symbol in enumerate("AB")}
            assert {symbol: float(px) for symbol, px in table.items()} in (known, {})
        return {"A": Decimal(1)}

    for n, present in enumerate(run(history, cheat)):
        told = [event for event in present.world.journal if isinstance(event, PricesUpdated)]
        assert [event.as_of.date() for event in told] == list(history.days[: n + 1])
        assert max(event.at for event in present.world.journal) <= present.world.now
    assert [day.on for day in seen] == list(history.days)


def test_money_comes_in_before_the_market_and_is_invested() -> None:
    history = bars({"A": [10, 10, 10]})
    flows = [Flow(history.days[1], "main", Decimal(50_000)), Flow(history.days[2], "main", Decimal(-30_000))]
    found = evenings(run(history, fixed(A="1"), flows=flows))
    assert [one.positions["A"] for one in found] == [10_000, 15_000, 12_000]
    assert [one.cash for one in found] == [0, 0, 0]


def test_a_flow_on_a_day_without_trading_comes_on_the_next_one() -> None:
    history = bars({"A": [10] * 7})
    saturday = history.days[4].replace(day=history.days[4].day + 1)
    played = run(history, fixed(A="1"), flows=[Flow(saturday, "main", Decimal(100))])
    assert played.flowed("main", history.days[5]) == 100
    assert played.flowed("main", history.days[4]) == 0


def test_dividends_are_cash_and_splits_keep_what_lots_cost() -> None:
    told = {1: (Happening("A", dividend=Decimal("0.50")),), 2: (Happening("A", split=Decimal(2)),)}
    history = bars({"A": [10, 10, 5, 5]}, happenings=told)
    lots = [LotOpened("A", "2020-01-02", Decimal(100), Decimal(700))]
    played = run(history, fixed(A="0"), opening=[opened(0, lots)], decides=lambda _day: False)
    days = list(played)
    account = days[-1].world.engine.state.book.accounts["main"]
    assert account.cash == 50
    assert account.positions == {"A": Decimal(200)}
    assert [(lot.qty, lot.cost) for lot in account.lots["A"]] == [(Decimal(200), Decimal(700))]
    assert days[-1].world.engine.state.halts == {}


def test_a_name_that_leaves_is_sold_on_its_last_day() -> None:
    history = bars({"A": [10, 10, NAN], "B": [10, 10, 10]})
    found = evenings(run(history, fixed(A="0.5", B="0.4")))
    assert found[0].positions == {"A": Decimal(5000), "B": Decimal(4000)}
    assert found[1].positions == {"B": Decimal(4000)}
    assert found[1].cash == 60_000


def test_several_accounts_are_one_household() -> None:
    household = settings(["A"], accounts=("main", "ira"))
    played = run(bars({"A": [10, 10]}), fixed(A="0.5"), household=household)
    assert evenings(played, "ira")[0].positions == {"A": Decimal(5000)}
    decided = [event for event in played.world.journal if isinstance(event, RequestDecided)]
    assert {event.account for event in decided} == {"main", "ira"}


def test_nothing_is_asked_on_a_day_that_decides_nothing() -> None:
    history = bars({"A": [10, 20, 40]})
    days = list(run(history, fixed(A="0.5"), decides=lambda day: day.on == history.days[0]))
    planned = [event for event in days[-1].world.journal if isinstance(event, OrdersPlanned) and event.orders]
    assert len(planned) == 1


def test_a_gateway_is_started_anew_and_loses_nothing() -> None:
    history = bars({"A": [10 + n % 3 for n in range(60)], "B": [10] * 60})
    days = list(run(history, fixed(A="0.5", B="0.4")))
    state = days[-1].world.engine.state
    assert state.epoch > 1
    assert len(state.requests) < 60
    assert state.halts == {}
    state.book.check()


def test_the_engine_is_given_what_the_days_before_say_of_risk() -> None:
    rng = np.random.default_rng(3)
    table = np.exp(rng.normal(0, 0.01, size=(90, 2)).cumsum(axis=0)) * 20
    history = bars({"A": table[:, 0].tolist(), "B": table[:, 1].tolist()})
    played = run(history, fixed(A="0.5", B="0.4"))
    object.__setattr__(played.scenario, "looks_every", 10)
    known = []
    for present in played:
        risk = present.world.engine.market.risk
        if risk is not None:
            known.append((present.day.on, risk.as_of))
    assert known
    assert all(as_of < on for on, as_of in known)


@pytest.mark.parametrize("fills", list(Fills))
def test_cash_positions_and_lots_always_agree(fills: Fills) -> None:
    rng = np.random.default_rng(7)
    table = np.exp(rng.normal(0, 0.05, size=(40, 3)).cumsum(axis=0)) * [10, 30, 90]
    history = bars({symbol: table[:, n].tolist() for n, symbol in enumerate("ABC")})
    household = settings("ABC", half_spread_bps=Decimal(5), costs=Costs(), decision=EAGER)
    for present in run(history, fixed(A="0.3", B="0.3", C="0.3"), household=household, fills=fills):
        book = present.world.engine.state.book
        book.check()
        traded = present.tape.traded
        spent = sum((one.side.sign * one.qty * one.px + one.commission for one in traded), Decimal(0))
        assert book.accounts["main"].cash == Decimal(100_000) - spent
