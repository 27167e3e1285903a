"""One sentence a name: what is in it follows from the decision's own record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from decision_world import FREE, TODAY, account, calm, days, dec, household, lot
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.costs import price_trade
from gateway.decision.explain import detailed, sentence, sentences
from gateway.decision.policy import propose
from gateway.domain.order import Side
from gateway.domain.proposal import Approved, Proposal
from gateway.domain.request import Action, Denial, DenyReason, LotTax, NameDecision
from gateway.domain.settings import Costs
from gateway.events import RequestDecided

AT = datetime(2024, 3, 12, 15, 0, tzinfo=UTC)


def name(now: float, target: float, qty: object = 0, note: str = "", **more: Any) -> NameDecision:
    return NameDecision("XOM", Decimal(100), now, target, now, dec(qty), note=note, **more)


def sell(qty: object = 10) -> Proposal:
    return Proposal("XOM", Side.SELL, dec(qty), Decimal(100))


def test_a_sale_says_how_far_off_what_it_is_worth_what_it_costs_and_its_tax() -> None:
    lots = (
        LotTax("1", "2020-01-02", dec(6), 600.0, is_long=True, tax=120.0),
        LotTax("2", "2024-01-02", dec(4), -50.0, is_long=False, tax=-18.5),
    )
    one = name(0.09, 0.04, -10, benefit=471.5, commission=1.0, half_spread=4.25, lots=lots)
    assert sentence(one, sell()) == (
        "Sell 10 XOM: it is 9.00% of the account, 5.00 points over its target of 4.00%, correcting that is "
        "worth 471.50, trading costs 5.25 (commission 1.00, spread 4.25), and it realises a long-term gain "
        "of 600.00 (tax 120.00) and a short-term loss of 50.00 (tax saved 18.50)."
    )


def test_a_purchase_in_a_crisis_is_made_at_any_cost_and_a_cut_one_says_so() -> None:
    one = name(0.01, 0.04, 10, "cut from 12 to the cash there is", commission=1.0)
    buy = Proposal("XOM", Side.BUY, dec("10.50"), Decimal(100))
    text = sentence(one, buy, is_urgent=True)
    assert text.startswith("Buy 10.5 XOM: it is 1.00% of the account, 3.00 points under")
    assert "in a crisis it is corrected at any cost" in text
    assert text.endswith("; cut from 12 to the cash there is.")
    short = Proposal("XOM", Side.SELL_SHORT, dec(10), Decimal(100))
    assert sentence(name(0.0, -0.1, -10), short).startswith("Sell short 10 XOM")


BARE = "it is 5.00% of the account"
OVER = f"{BARE}, 1.00 points over its target of 4.00%"
UNDER = f"{BARE}, 1.00 points under its target of 6.00%"


@pytest.mark.parametrize(
    ("one", "why_not", "words"),
    [
        (name(0.05, 0.05, note="on target"), "", "XOM is on its target of 5.00%: nothing to do."),
        (name(0.05, 0.05, note="kept: it is not named"), "", "XOM is not among the targets, so its 5.00%"),
        (
            name(0.05, 0.04, note="held: no trigger"),
            "",
            f"left as it is: {OVER}, which is not enough to trade.",
        ),
        (name(0.05, 0.04, note="gap of -1 left"), "", f"{OVER}, which is less than the smallest order."),
        (name(0.05, 0.04, note="no fresh price"), "", f"left as it is although {OVER}: no fresh price."),
        (name(0.05, 0.04), "", "nothing was proposed."),
        (name(0.05, 0.0, -5), "washed", f"is not sold although {BARE} and its target is nothing: washed."),
        (name(0.05, 0.06, 5, "not sent: dear"), "", f"XOM is not bought although {UNDER}: dear."),
        (name(0.05, 0.06, 5), "", "the checks refused it."),
        (name(0.05, 0.05), "no price", "not bought although it is on its target of 5.00%: no price."),
    ],
)
def test_what_is_not_traded_says_why(one: NameDecision, why_not: str, words: str) -> None:
    assert words in sentence(one, None, why_not)


def test_every_other_cost_is_named_too() -> None:
    dear = NameDecision("XOM", Decimal(1), 0.1, 0.2, 0.2, dec(1), commission=1.0, half_spread=2.0)
    plain = "trading costs 3.00 (commission 1.00, spread 2.00)"
    assert plain in sentence(dear, sell())
    moved = replace(dear, impact=2.5)
    assert "trading costs 5.50 (commission 1.00, spread 2.00, impact 2.50)" in sentence(moved, sell())
    changed = replace(moved, conversion=3.5)
    assert "spread 2.00, impact 2.50, currency conversion 3.50)" in sentence(changed, sell())


def test_a_decision_is_explained_from_its_record_alone() -> None:
    decided = RequestDecided(
        AT, "R", "main", Action.FULL, "", Decimal(1000), Decimal(0), 0.1, 0.1,
        names=(name(0.09, 0.04, -10), replace(name(0.05, 0.0, -5), symbol="AMD")),
        approved=(Approved(sell(), None),),
        denied=(Denial("AMD", Side.SELL, dec(5), DenyReason.WASH_SALE, "bought 3 days ago"),),
    )  # fmt: skip
    found = sentences(decided)
    assert found["XOM"].startswith("Sell 10 XOM")
    assert found["AMD"].endswith(": bought 3 days ago.")
    assert "at any cost" in sentences(replace(decided, action=Action.IMMEDIATE))["XOM"]


@calm
@given(
    costs=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    ages=st.lists(st.integers(1, 900), min_size=5, max_size=5),
    qty=st.integers(1, 60),
)
def test_the_tax_of_the_lots_is_the_tax_that_was_proposed(
    costs: list[int], ages: list[int], qty: int
) -> None:
    """The one cost model: lot by lot and in all the same, to a millionth."""
    lots = [lot("XOM", 12, cost, -age) for cost, age in zip(costs, ages, strict=False)]
    held = account("main", 1000, [replace(one, lot_id=str(at)) for at, one in enumerate(lots)])
    view = household([held], {"XOM": 100}, {"XOM": "0"}, costs=Costs())
    qty = min(qty, 12 * len(lots))
    item = price_trade(view, "XOM", Side.SELL, dec(qty), -0.5, dec(10_000))
    plan = replace(propose(view), proposals=(item,), names=(name(0.5, 0.0, -qty),))
    (one,) = detailed(view, plan)
    assert sum(part.qty for part in one.lots) == qty
    assert sum(part.tax for part in one.lots) == pytest.approx(item.tax, abs=1e-6)


def test_wash_sales_and_lots_stand_beside_each_name_and_untaxed_accounts_have_no_lots() -> None:
    held = account("main", 1000, [lot("XOM", 10, 150, -10), lot("XOM", 10, 150, -400)])
    view = household([held], {"XOM": 100, "AMD": 50}, {"XOM": "0.4", "AMD": "0.3"}, costs=FREE)
    plan = propose(view)
    names = {one.symbol: one for one in detailed(view, plan)}
    assert "would be a wash sale" in names["XOM"].wash_sale
    (closed,) = names["XOM"].lots
    assert (closed.acquired, closed.is_long) == (days(-400).isoformat(), True)
    assert (names["AMD"].wash_sale, names["AMD"].lots) == ("", ())
    untaxed = account("main", 1000, [lot("XOM", 10, 150, -10)], taxable=False)
    view = household([untaxed], {"XOM": 100}, {"XOM": "0.1"})
    assert detailed(view, propose(view))[0].lots == ()
    assert view.trade_date == TODAY


def test_a_name_without_a_proposal_stays_as_it_was() -> None:
    view = household([account("main", 1000)], {"XOM": 100}, {"XOM": "0"})
    plan = propose(view)
    assert detailed(view, plan) == plan.names
