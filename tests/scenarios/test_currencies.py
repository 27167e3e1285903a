"""Names quoted in another currency: valued at a dated rate, weighed with what changing costs, never sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from world import COSTS, PRICES, World, dec, settings_of

from gateway.decision.explain import _costs, sentences
from gateway.domain.instrument import Instrument
from gateway.domain.settings import Costs, Settings
from gateway.events import Mode, PricesUpdated, RequestDecided, RequestFinished, RequestState
from gateway.runtime.present import book_model
from gateway.views.week import last_prices

CHANGED = Costs(commission_per_share=dec(0), commission_minimum=dec(1), fx_bps=dec(25), fx_minimum=dec(2))


def settings(costs: Costs = COSTS) -> Settings:
    made = settings_of(costs=costs, symbols=(*PRICES, "EUR/USD"))
    own = {"BBB": Instrument("BBB", currency="EUR", half_spread_bps=dec(1))}
    return replace(made, instruments={**made.instruments, **own})


def world(costs: Costs = CHANGED, **words: object) -> World:
    prices = {**PRICES, "EUR/USD": dec("1.25")}
    return World(settings(costs), prices=prices, **words)  # type: ignore[arg-type]


def decided(here: World) -> RequestDecided:
    found = here.of_kind(RequestDecided)[-1]
    assert isinstance(found, RequestDecided)
    return found


def test_a_preview_values_at_the_rate_and_shows_what_changing_money_costs() -> None:
    here = world()  # 50 AAA at 100 dollars, 80 BBB at 50 euros of 1.25 dollars, 1,000 in cash
    request = here.rebalance(weights={"AAA": "0.20", "BBB": "0.60"}, mode=Mode.PREVIEW)
    assert request.state is RequestState.PREVIEWED
    found = decided(here)
    assert found.nav == 5_000 + 80 * dec("62.5") + 1_000
    names = {name.symbol: name for name in found.names}
    bbb = names["BBB"]
    assert bbb.weight_before == pytest.approx(5_000 / 11_000)
    value = abs(float(bbb.qty)) * 62.5
    assert bbb.conversion == pytest.approx(max(2.0, value * 0.0025))
    assert bbb.cost == pytest.approx(bbb.commission + bbb.half_spread + bbb.impact + bbb.conversion)
    assert names["AAA"].conversion == 0
    assert here.denials() == {"BBB": "currency"}
    text = sentences(found)["BBB"]
    assert "BBB is not bought although" in text
    assert "BBB is quoted in EUR and the account keeps USD" in text


def test_what_is_quoted_elsewhere_is_never_sent_and_the_rest_is() -> None:
    here = world()
    here.rebalance(weights={"AAA": "0.20", "BBB": "0.30"})
    assert here.sent_symbols() == ["AAA"]
    assert here.denials() == {"BBB": "currency"}
    assert here.positions["BBB"] == 80


def test_what_will_not_be_sent_takes_no_cash_from_the_rest() -> None:
    """BBB would take all the cash there is; AAA gets it."""
    here = world(held={"AAA": 50}, cash=5_000)
    here.rebalance(weights={"AAA": "0.95", "BBB": "0.05"})
    alone = world(held={"AAA": 50}, cash=5_000)
    alone.rebalance(weights={"AAA": "0.95"})
    assert here.positions == alone.positions
    names = {one.symbol: one for one in decided(here).names}
    assert names["BBB"].note == "not sent: it is quoted in EUR"
    assert names["BBB"].weight_after == 0


def test_without_a_fresh_rate_there_is_no_price() -> None:
    here = world()
    here.run(61)
    fresh = {symbol: px for symbol, px in here.prices.items() if symbol != "EUR/USD"}
    here.game.feed(PricesUpdated(here.game.now, here.game.now, fresh))
    here.targets(weights={"AAA": "0.50"}, mode=Mode.PREVIEW)
    here.run(1)
    assert here.request().state is RequestState.QUEUED
    here.run(30)
    assert here.request().state is RequestState.FAILED
    (ended,) = here.of_kind(RequestFinished)
    assert isinstance(ended, RequestFinished)
    assert ended.text == "NAV cannot be known without a fresh price for BBB (with its rate EUR/USD)"


def test_a_target_without_its_rate_is_denied_by_name() -> None:
    here = world(held={"AAA": 50})
    here.run(61)
    fresh = {symbol: px for symbol, px in here.prices.items() if symbol != "EUR/USD"}
    here.game.feed(PricesUpdated(here.game.now, here.game.now, fresh))
    here.targets(weights={"BBB": "0.50"})
    here.run(11)
    (denial,) = [one for one in decided(here).denied if one.symbol == "BBB"]
    assert denial.text == "no fresh reference price for BBB (with its rate EUR/USD)"


def test_the_minimum_of_changing_money_is_charged_and_named() -> None:
    here = world(replace(CHANGED, fx_minimum=dec(50)))
    here.rebalance(weights={"AAA": "0.20", "BBB": "0.60"}, mode=Mode.PREVIEW)
    name = {one.symbol: one for one in decided(here).names}["BBB"]
    assert name.conversion == 50
    assert "currency conversion 50.00" in _costs(name)


def test_the_book_and_the_report_are_in_the_accounts_currency() -> None:
    here = world()
    here.run(0)
    shown = book_model(here.state, here.settings)["accounts"]["main"]
    assert shown["positions"]["BBB"]["value"] == 80 * dec("62.5")
    assert shown["nav"] == 11_000
    raw = book_model(here.state)["accounts"]["main"]
    assert raw["positions"]["BBB"]["price"] == 50
    assert last_prices(here.state, here.settings, "main")["BBB"] == dec("62.5")
    assert last_prices(here.state, here.settings, "nobody")["BBB"] == 50


def test_a_backtest_that_is_converted_needs_no_rate() -> None:
    made = replace(settings(CHANGED), is_converted=True)
    here = World(made, cash=10_000)
    here.rebalance(weights={"BBB": "0.60"})
    assert here.sent_symbols() == ["BBB"]
    name = {one.symbol: one for one in decided(here).names}["BBB"]
    assert name.conversion == pytest.approx(max(2.0, float(name.qty) * 50 * 0.0025))


def test_a_rate_of_another_day_ages_the_price_with_it() -> None:
    here = world()
    here.run(120)
    old = here.game.now - timedelta(seconds=90)
    prices = {symbol: px for symbol, px in here.prices.items() if symbol != "EUR/USD"}
    here.game.feed(PricesUpdated(here.game.now, here.game.now, prices))
    here.game.feed(PricesUpdated(here.game.now, old, {"EUR/USD": Decimal("1.30")}))
    here.targets(weights={"AAA": "0.5"}, mode=Mode.PREVIEW)
    here.run(1)
    assert here.request().state is RequestState.QUEUED


def test_a_rate_that_never_came_leaves_the_name_unpriced_everywhere() -> None:
    here = World(settings(CHANGED), prices=PRICES)
    assert "BBB" not in last_prices(here.state, here.settings, "main")
    shown = book_model(here.state, here.settings)["accounts"]["main"]
    assert shown["unpriced"] == ["BBB"]
    assert shown["nav"] == 6_000
