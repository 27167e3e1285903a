"""The market as decisions see it: made once, out of use when old, and never needed for a replay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
from closes import upto

from gateway.decision.market import UNKNOWN, Market, look
from gateway.decision.risk import History, RiskModel
from gateway.domain.instrument import Instrument
from gateway.domain.settings import AccountSettings, Decision, Risk, Settings
from gateway.engine import Engine
from gateway.events import (
    AccountOpened,
    Event,
    GatewayStarted,
    LinkUp,
    LotOpened,
    Mode,
    PolicyName,
    PricesUpdated,
    Record,
    RequestDecided,
    TargetsSubmitted,
)

D = Decimal
HISTORY = upto("2022-12-28")
DAY = HISTORY.dates[-1]
AT = datetime(2022, 12, 28, 21, tzinfo=UTC)


def settings(decision: Decision | None = None, **risk: int) -> Settings:
    account = AccountSettings("main", "sim", decision=decision or Decision(policy=PolicyName.TRIGGERS))
    names = {symbol: Instrument(symbol) for symbol in (*HISTORY.symbols, "NEW")}
    return Settings("H", {"main": account}, names, risk=Risk(**risk))


def test_a_market_has_a_risk_model_and_says_what_it_assumed() -> None:
    found = look(HISTORY, DAY, settings())
    assert found.risk is not None
    assert found.signals is None
    assert found.words.startswith(
        "risk of 21 names to 2022-12-28, 504 daily returns, correlations shrunk by "
    )
    assert found.words.endswith("NEW has 0 closes: taken at 30.0% a year, uncorrelated")


def test_signals_are_made_when_timing_is_on_and_said_to_be_missing_when_they_cannot_be() -> None:
    timed = Decision(policy=PolicyName.TRIGGERS, timing=True)
    assert look(HISTORY, DAY, settings(timed)).signals is not None
    short = History(HISTORY.dates[-600:], HISTORY.symbols, HISTORY.prices[-600:])
    found = look(short, DAY, settings(timed))
    assert found.signals is None
    assert "too short a history to judge the market's regime" in found.words


def test_a_refusal_is_said_and_leaves_no_model() -> None:
    found = look(HISTORY, DAY + timedelta(days=30), settings())
    assert (found.risk, found.signals) == (None, None)
    assert found.words.startswith("no risk model: the price history ends on 2022-12-28")
    assert found.words.endswith("; how names move together is assumed")


def test_a_model_is_out_of_use_when_it_has_grown_old() -> None:
    found = look(HISTORY, DAY, settings(max_age_days=5))
    assert found.risk_on(DAY + timedelta(days=5), settings(max_age_days=5)) is found.risk
    assert found.risk_on(DAY + timedelta(days=6), settings(max_age_days=5)) is None
    assert UNKNOWN.risk_on(DAY, settings()) is None
    assert found.words_on(DAY, settings()) == found.words
    assert UNKNOWN.words_on(DAY, settings()) == UNKNOWN.words
    late = found.words_on(DAY + timedelta(days=6), settings())
    assert late == f"{found.words}; too old to use on 2023-01-03: append the closes since to the history"


# -------------------------------------------------------------------------------- through the engine


class Room:
    """One engine, up and priced, with ten AAPL and ten MSFT."""

    def __init__(self, market: Market = UNKNOWN, decision: Decision | None = None) -> None:
        self.engine = Engine(settings(decision), market=market)
        self.journal: list[Event] = []
        self.do(GatewayStarted(AT, 1, "", ""))
        lots = tuple(LotOpened(symbol, "2020-01-02", D(10), D(1000)) for symbol in ("AAPL", "MSFT"))
        self.do(AccountOpened(AT, "main", D(2000), lots))
        self.do(LinkUp(AT, "sim"))

    def do(self, event: Event) -> list[Event]:
        """Process an event and what the engine wants recorded after it; return all of them."""
        self.journal.append(event)
        recorded: list[Event] = []
        for effect in self.engine.process(event):
            if isinstance(effect, Record):
                recorded += [effect.event, *self.do(effect.event)]
        return recorded

    def decide(self, at: datetime = AT, name: str = "R1", policy: PolicyName | None = None) -> RequestDecided:
        self.do(PricesUpdated(at, at, {"AAPL": D(100), "MSFT": D(100)}))
        targets = {"AAPL": D("0.40"), "MSFT": D("0.10")}
        wanted = TargetsSubmitted(
            at, name, "main", targets, at, at + timedelta(hours=1), mode=Mode.PREVIEW, policy=policy
        )
        return next(one for one in self.do(wanted) if isinstance(one, RequestDecided))


def test_decisions_see_the_risk_model_while_it_is_young() -> None:
    twins = RiskModel.dense(("AAPL", "MSFT"), np.array([[0.09, 0.0899], [0.0899, 0.09]]), DAY)
    by_name = PolicyName.TRIGGERS
    seen, blind = Room(Market(twins)).decide(policy=by_name), Room().decide(policy=by_name)
    assert sum(name.benefit for name in seen.names) < 1
    assert sum(name.benefit for name in blind.names) > 40
    assert len(blind.approved) == 2
    assert seen.approved == (), "what offsets is not worth a trade"
    late = AT + timedelta(days=6)
    for policy in (by_name, PolicyName.NO_TRADE, PolicyName.OPTIMISE):
        assert Room(Market(twins)).decide(late, policy=policy) == Room().decide(late, policy=policy)


def test_a_replay_needs_no_market() -> None:
    room = Room(look(HISTORY, DAY, settings()), Decision(policy=PolicyName.SMART))
    room.decide()
    again = Engine(settings())
    for event in room.journal:
        again.replay(event)
    assert again.state == room.engine.state


def test_a_snapshot_keeps_the_market() -> None:
    room = Room(look(HISTORY, DAY, settings()))
    room.engine.restore(room.engine.state)
    assert room.engine.desk._outlook.market is room.engine.market


def test_a_market_seen_later_counts_from_then_on() -> None:
    twins = RiskModel.dense(("AAPL", "MSFT"), np.array([[0.09, 0.0899], [0.0899, 0.09]]), DAY)
    room = Room()
    assert room.decide(policy=PolicyName.TRIGGERS).approved
    room.engine.see(Market(twins))
    assert room.decide(name="R2", policy=PolicyName.TRIGGERS).approved == ()


def test_a_request_may_name_its_policy_and_the_decision_says_which_it_was() -> None:
    assert Room().decide().policy is PolicyName.TRIGGERS
    assert Room(decision=Decision()).decide().policy is PolicyName.NO_TRADE
    assert Room().decide(policy=PolicyName.THRESHOLD).policy is PolicyName.THRESHOLD
    assert Room(decision=Decision(policy=PolicyName.SMART)).decide().policy is PolicyName.SMART


def test_the_last_rebalance_is_known_from_the_journal() -> None:
    room = Room(decision=Decision(cooldown_days=31, policy=PolicyName.THRESHOLD))
    first = TargetsSubmitted(AT, "R0", "main", {"AAPL": D("0.4")}, AT, AT + timedelta(hours=1))
    room.do(PricesUpdated(AT, AT, {"AAPL": D(100), "MSFT": D(100)}))
    room.do(first)
    assert room.engine.state.rebalanced == {"main": AT}
    view = room.engine.desk._outlook.view(room.engine.state.requests["R0"])
    assert view.last_rebalance == DAY
    closed = replace(room.engine.settings, closed_days=frozenset({DAY}))
    room.engine.desk._outlook.settings = closed
    assert room.engine.desk._outlook.view(room.engine.state.requests["R0"]).closed_days == {DAY}
