"""Names of orders, contracts and executions that were once mistaken for others, in the pure parts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibkr_words import (
    CODE,
    NOW,
    PERM,
    REF,
    Story,
    commission,
    completed,
    error,
    execution,
    open_order,
    order,
    settings,
    status,
)

from adapters.base import InThisProcess
from adapters.ibkr import said
from adapters.ibkr.broker import IbkrBroker
from adapters.ibkr.changes import came_back
from adapters.ibkr.contracts import Contracts
from adapters.ibkr.ids import FEW, Ids
from adapters.ibkr.known import Life
from adapters.ibkr.library import ConnectFailed, Tws, _Listener
from adapters.ibkr.line import Line, NoAnswer, Refused
from adapters.ibkr.others import Others
from adapters.ibkr.outcomes import About, Ask, Told
from adapters.ibkr.pace import Pace, Urgency
from adapters.ibkr.pauses import Restart
from adapters.ibkr.settings import Terms
from adapters.ibkr.wire import MAX_ID, Unsendable
from gateway.domain.life import step
from gateway.domain.order import ExecType, Order, OrdStatus, Side
from gateway.events import LinkDown


def known(story: Story) -> Any:
    found = story.ledger.find(REF)
    assert found is not None
    return found


# Who is meant.


def test_an_execution_of_nobodys_permid_is_not_every_order_that_has_none_yet() -> None:
    """PermId 0 is no name: an order's first words came under it, and went to a stranger's."""
    story = Story().hears(
        execution("0009.zz.01", client_id=0, ref="", perm_id=0, order_id=0), commission("0009.zz.01")
    )
    assert story.reports[-1].cl_ord_id == "perm:0009.zz"
    story.sent().forgets().hears(status("Submitted", perm_id=0), execution(perm_id=0), commission())
    assert {one.cl_ord_id for one in story.reports} == {REF}
    story.forgets().hears(
        execution("0009.zz.02", "90", client_id=0, ref="", perm_id=0, order_id=0), commission("0009.zz.02")
    )
    assert (story.reports[-1].cl_ord_id, story.reports[-1].exec_type) == (
        "perm:0009.zz",
        ExecType.TRADE_CORRECT,
    )


def test_an_id_tws_has_used_before_names_the_old_order_and_not_ours() -> None:
    story = Story().sent().hears(error(103, "Duplicate order id")).forgets()
    assert story.hears(status("Filled", 100, perm_id=7777)).outcomes == []
    assert known(story).life is Life.GONE
    assert known(story).perm_id == 0


def test_an_order_on_an_account_that_is_none_of_ours_is_nobodys_though_our_client_made_it() -> None:
    story = Story().hears(open_order(account="DU999", ref="ELSEWHERE", perm_id=4))
    assert story.outcomes == []
    assert story.ledger.find("ELSEWHERE") is None


def test_a_reading_tells_an_option_from_its_stock() -> None:
    contract = [
        "9",
        "AAPL",
        "OPT",
        "20260320",
        "190",
        "C",
        "100",
        "SMART",
        "USD",
        "AAPL  260320C00190000",
        "AAPL",
    ]
    fill = [
        "11", "-1", "0", *contract, "0001.op.01", "20260302 10:00:00 US/Eastern", CODE, "CBOE", "BOT", "2",
        "3.10", "9001", "0", "0", "2", "3.10", "", "", "100", "", "1", "0",
    ]  # fmt: skip
    heard: list[said.Said] = []
    tws = Tws(heard.append)
    tws._client.decoder.serverVersion = 178
    tws._client.decoder.interpret(fill)
    tws._client.decoder.interpret(["61", "3", CODE, *contract, "2", "310"])
    one, held = heard
    assert isinstance(one, said.ExecutionSaid)
    assert isinstance(held, said.PositionSaid)
    assert one.kind == ("OPT", "USD")
    assert held.sec_type == "OPT"
    contracts = Contracts({"AAPL": Terms("AAPL")}, 1.0)
    assert contracts.symbol_of(one.con_id, one.symbol, *one.kind) == "AAPL OPT USD conId 9"
    story = Story()
    story.ledger._symbol_of = contracts.symbol_of
    assert story.hears(one, commission("0001.op.01")).reports[-1].symbol == "AAPL OPT USD conId 9"


def test_a_contract_is_the_one_that_was_meant_and_no_namesake() -> None:
    contracts = Contracts({"ABB": Terms("ABB", currency="CHF"), "AAPL": Terms("AAPL", con_id=265598)}, 1.0)
    assert contracts.symbol_of(1, "ABB", "STK", "CHF") == "ABB"
    assert contracts.symbol_of(2, "ABB", "STK", "SEK") == "ABB STK SEK conId 2"
    assert contracts.symbol_of(265598, "AAPL", "STK", "USD") == "AAPL"
    assert contracts.symbol_of(77, "AAPL", "STK", "USD") == "AAPL STK USD conId 77"
    assert contracts.symbol_of(0, "AAPL") == "AAPL"
    assert contracts.symbol_of(5, "MSFT", "STK", "USD") == "MSFT"


# How much has filled.


def test_a_correction_upwards_that_tws_has_counted_already_is_not_counted_twice() -> None:
    story = Story().live().hears(execution(qty="40"), commission(), status("Submitted", 60))
    story.forgets().hears(execution("0001.aa.02", "60"), commission("0001.aa.02"), status("Submitted", 60))
    assert known(story).filled == 60
    assert story.of(Ask) == []
    assert story.reports[-1].cum_qty == 60


def test_a_correction_that_tws_has_not_counted_yet_moves_its_count() -> None:
    story = Story().live().hears(execution(qty="40"), commission(), status("Submitted", 40))
    story.hears(execution("0001.aa.02", "30"), commission("0001.aa.02"))
    assert known(story).filled == 30
    story.hears(execution("0001.aa.03", "50"), commission("0001.aa.03"))
    assert known(story).filled == 50


@given(
    st.lists(st.integers(min_value=0, max_value=100), min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_whatever_is_corrected_the_count_is_what_stands(
    stands: list[int], counts_before: list[bool], counts_after: list[bool]
) -> None:
    story, ours = Story().live(), Order(order(), NOW)
    for number, qty in enumerate(stands):
        name = f"0001.aa.{number + 1:02d}"
        if counts_before[number]:
            story.hears(status("Submitted", qty))
        story.hears(execution(name, str(qty)), commission(name))
        if counts_after[number]:
            story.hears(status("Submitted", qty))
    story.forgets().waits(10)
    story.hears(status("Submitted", stands[-1]))
    assert known(story).dealt == stands[-1]
    assert known(story).filled <= max(stands[-1], *stands)
    if all(counts_after[: len(stands)]):
        assert known(story).filled == stands[-1]
        assert [one for one in story.of(Ask) if one.about is About.COUNT] == []
    assert ours.cum_qty == 0


def test_what_has_filled_was_not_refused_whatever_a_change_by_hand_got_to_hear() -> None:
    story = Story().live().hears(error(201, "of somebody's change"), completed("Filled", 100)).forgets()
    story.ledger.confirm(REF, is_open=False, is_over=True)
    (report,) = [one.report for one in story.ledger.state(REF, 0) if isinstance(one, Told)]
    assert (report.ord_status, report.cum_qty) == (OrdStatus.FILLED, Decimal(100))


def test_an_order_whose_executions_are_all_of_it_works_no_more() -> None:
    """Its last status was lost: it held one of twenty places, and its position was never compared."""
    story = Story().live().hears(execution(), commission())
    assert story.reports[-1].cum_qty == 100
    assert story.ledger.working() == []
    assert story.hears(open_order(qty=Decimal(150))).ledger.working() != []  # somebody has enlarged it


@pytest.mark.parametrize("has_seen_the_first", [True, False])
def test_a_new_process_that_only_sees_a_bust_undoes_what_is_known_and_nothing_else(
    has_seen_the_first: bool,
) -> None:
    ours = Order(order(), NOW)
    first = Story().sent().hears(open_order(), execution(qty="40"), commission())
    second = Story().hears(
        execution("0001.aa.02", "0"), commission("0001.aa.02", "0"), status("Submitted", 0)
    )
    for report in [*(first.reports if has_seen_the_first else []), *second.reports]:
        change = step(ours, report)
        assert not change.illegal, change.illegal
        ours.take(report, change, NOW)
    assert ours.cum_qty == 0
    assert second.reports[0].exec_type is ExecType.TRADE_CANCEL


def test_a_commission_tws_does_not_know_yet_is_waited_for() -> None:
    story = Story().live().hears(execution(), said.CommissionSaid("0001.aa.01", None), status("Filled", 100))
    assert all(not one.exec_type.is_trade for one in story.reports)
    assert story.hears(commission()).reports[-1].ord_status is OrdStatus.FILLED
    heard: list[said.Said] = []
    tws = Tws(heard.append)
    tws._client.decoder.serverVersion = 178
    tws._client.decoder.interpret(["59", "1", "0001.aa.01", "1.7976931348623157E308", "USD", "", "", ""])
    assert heard == [said.CommissionSaid("0001.aa.01", None, "USD")]


@pytest.mark.parametrize("comes_first", [True, False])
def test_a_commission_in_another_currency_is_told(comes_first: bool) -> None:
    cost = said.CommissionSaid("0001.aa.01", Decimal(1), "EUR")
    story = Story().live().hears(*((cost, execution()) if comes_first else (execution(), cost)))
    assert [one.text for one in story.notices] == [
        "AAPL: commissions come in EUR and are booked as USD: correct the cash"
    ]
    assert any(one.exec_type is ExecType.TRADE for one in story.reports)


# What was cancelled, and is not.


def test_an_order_called_cancelled_and_shown_as_working_is_asked_about_once() -> None:
    story = Story().live().hears(status("Cancelled")).forgets()
    story.hears(open_order("Submitted"), open_order("Submitted"))
    assert story.of(Ask) == [Ask(REF, "cancelled, and shown as working")]
    assert known(story).shown_again_at > 0
    assert known(story).is_cancelled
    notice = came_back(known(story))
    assert (notice.halts, notice.account) == (True, "main")
    assert f"cancel permId {PERM} in TWS" in notice.text
    filled = Story().live().hears(status("Filled", 100), open_order("Submitted"))
    assert known(filled).shown_again_at == 0


def test_what_may_be_there_is_everything_but_what_was_refused_or_never_came() -> None:
    assert known(Story().sent()).may_be_there
    assert known(Story().live().hears(execution(), commission(), status("Filled", 100))).may_be_there
    assert not known(Story().sent().hears(error(201, "no"))).may_be_there
    story = Story().sent()
    story.ledger.absent(REF)
    assert not known(story).may_be_there
    fresh = Story()
    assert not fresh.ledger.order(order()).may_be_there


# Others.


def test_orders_of_others_count_until_they_end_or_are_no_longer_shown() -> None:
    theirs = open_order(client_id=3, perm_id=1, ref="THEIRS")
    others = Others()
    others.begin()
    others.shown(theirs, "AAPL")
    others.shown(replace(theirs, perm_id=2), "AAPL")
    others.shown(replace(theirs, perm_id=0), "AAPL")
    others.end()
    assert others.working() == [(CODE, "AAPL", Side.BUY)] * 2
    others.ended(status("Cancelled", perm_id=1))
    others.ended(status("PendingCancel", perm_id=2))
    assert len(others.working()) == 1
    others.shown(replace(theirs, perm_id=2, status="Inactive"), "AAPL")
    assert others.working() == []
    others.shown(theirs, "AAPL")
    others.begin()
    assert len(others.working()) == 1  # until the whole answer is there
    others.end()
    assert others.working() == []


# Contracts and their ticks.


def test_a_market_rule_left_out_does_not_move_the_others() -> None:
    heard: list[said.Said] = []
    listener = _Listener(heard.append, lambda _reason: None)
    contract = SimpleNamespace(
        conId=1, symbol="A", secType="STK", exchange="SMART", primaryExchange="NYSE", currency="USD",
        localSymbol="A", tradingClass="A",
    )  # fmt: skip
    listener.contractDetails(
        5,
        SimpleNamespace(
            contract=contract, minTick=0.01, validExchanges="SMART,NYSE,IEX", marketRuleIds=",26,27"
        ),
    )
    (one,) = heard
    assert isinstance(one, said.ContractSaid)
    assert one.rule_ids == {"NYSE": 26, "IEX": 27}


class Stuck:
    """A line over which nobody answers."""

    async def ask(self, *_words: Any) -> list[said.Said]:
        await asyncio.Event().wait()
        return []


class Answering:
    """A line over which every contract is known and no market rule ever named."""

    def __init__(self) -> None:
        self.rules = 0

    async def ask(self, *_words: Any) -> list[said.Said]:
        one = said.ContractSaid(
            1, 7, "AAPL", "STK", "SMART", "NASDAQ", "USD", "AAPL", "NMS", Decimal("0.01"), {"SMART": 26}
        )
        return [one]

    async def ask_rule(self, rule_id: int, _timeout_s: float) -> list[said.Said]:
        self.rules += 1
        await asyncio.sleep(0)
        return [said.RuleSaid(rule_id, ((Decimal(0), Decimal("0.01")),))]


async def test_nobody_waits_for_what_is_asked_over_a_line_that_is_gone() -> None:
    contracts = Contracts({"AAPL": Terms("AAPL"), "MSFT": Terms("MSFT")}, 1.0)
    old = asyncio.create_task(contracts.of("AAPL", cast("Line", Stuck())))
    await asyncio.sleep(0)
    line = Answering()
    async with asyncio.timeout(1):
        listed = await contracts.of("AAPL", cast("Line", line))
    assert listed.terms.con_id == 7
    await asyncio.gather(*(contracts.of("MSFT", cast("Line", line)) for _ in range(3)))
    assert line.rules == 1  # each rule is asked for once
    contracts.close()
    with pytest.raises(asyncio.CancelledError):
        await old


async def test_two_symbols_of_one_market_rule_ask_for_it_once() -> None:
    contracts = Contracts({"AAPL": Terms("AAPL"), "MSFT": Terms("MSFT")}, 1.0)
    line = Answering()
    await asyncio.gather(*(contracts.of(symbol, cast("Line", line)) for symbol in ("AAPL", "MSFT")))
    assert line.rules == 1


class Ruleless(Answering):
    """A line over which no market rule is answered, at first."""

    async def ask_rule(self, rule_id: int, timeout_s: float) -> list[said.Said]:
        if self.rules:
            return await super().ask_rule(rule_id, timeout_s)
        self.rules += 1
        raise NoAnswer("no end of the rule")


async def test_a_market_rule_nobody_answered_is_asked_for_again_and_not_missed_for_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.ibkr.contracts.AGAIN_S", 0.0)
    contracts, line = Contracts({"AAPL": Terms("AAPL")}, 1.0), Ruleless()
    listed = [await contracts.of("AAPL", cast("Line", line)) for _ in range(3)]
    assert line.rules == 2
    assert listed[1].steps == ((Decimal(0), Decimal("0.01")),)
    assert listed[1] is listed[2]


class Refusing:
    """A line over which TWS refuses every question about a contract."""

    def __init__(self, code: int) -> None:
        self._code = code

    async def ask(self, *_words: Any) -> list[said.Said]:
        raise Refused(self._code, "no")


@pytest.mark.parametrize(
    ("code", "bars"), [(200, True), (321, True), (322, False), (504, False), (9999, False)]
)
async def test_only_a_word_about_the_contract_bars_it(code: int, bars: bool) -> None:
    contracts = Contracts({"AAPL": Terms("AAPL")}, 1.0)
    with pytest.raises(Unsendable if bars else NoAnswer):
        await contracts.of("AAPL", cast("Line", Refusing(code)))
    if bars:
        with pytest.raises(Unsendable):
            await contracts.of("AAPL", cast("Line", Answering()))
    else:
        assert (await contracts.of("AAPL", cast("Line", Answering()))).terms.con_id == 7


# Ids.


def test_another_client_at_the_end_of_all_ids_does_not_take_ours() -> None:
    ids = Ids(InThisProcess())
    ids.others(5_000)
    ids.others(MAX_ID)
    assert ids.request() == 5_001
    ids.at_least(MAX_ID)
    ids.next_valid(1)  # a person has reset the sequence
    assert ids.request() == 1
    ids.next_valid(MAX_ID - FEW)
    ids.next_valid(17)
    assert ids.highest == MAX_ID - FEW - 1  # a restart that forgot some


async def test_a_question_without_a_number_left_says_what_to_do() -> None:
    ids = Ids(InThisProcess())
    ids.at_least(MAX_ID)
    line = Line(Pace(50), ids)
    with pytest.raises(NoAnswer, match="reset its API order id sequence"):
        await line.ask(said.EXECUTIONS_END, Urgency.QUESTION, line.tws.ask_executions, 1.0)


# A TWS that is away for long.


async def test_a_weekend_without_tws_does_not_end_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hours of tries doubled the pause to a number no float holds, and the gateway ended."""
    monkeypatch.setattr("adapters.ibkr.session.BACKOFF_S", (1e-9, 1e-6))
    tries, enough = 0, asyncio.Event()

    async def nobody(*_words: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1_200:
            enough.set()
        await asyncio.sleep(0)
        raise ConnectFailed("nobody is there")

    monkeypatch.setattr(Line, "connect", nobody)
    broker = IbkrBroker(settings(), lambda: NOW, InThisProcess())
    await broker.start(0)
    async with asyncio.timeout(20):
        await enough.wait()
    await broker.stop()
    told = [event async for batch in broker.events() for event in batch]
    assert [one.reason for one in told if isinstance(one, LinkDown)] == ["nobody is there"]


# Restarts on the days the clocks change.


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), True),  # 01:30 in summer time
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), True),  # 01:30 once more
        (datetime(2026, 11, 1, 6, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 2, 6, 30, tzinfo=UTC), True),
    ],
)
def test_a_minute_that_comes_twice_is_a_restart_both_times(now: datetime, holds: bool) -> None:
    assert Restart(time(1, 30), "America/New_York").holds(now) is holds


def test_a_minute_the_clocks_leap_over_is_a_restart_on_either_side() -> None:
    restart = Restart(time(2, 30), "America/New_York")
    found = [restart.holds(datetime(2026, 3, 8, hour, 30, tzinfo=UTC)) for hour in (6, 7, 8)]
    assert found == [True, True, False]
