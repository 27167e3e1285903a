"""Losses in the weekly report: those worth taking, what stands in, and what cannot be known."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_world import past_of

sys.path.insert(0, str(Path(__file__).parents[2] / "scenarios"))

from test_harvests import WEIGHTS, alike, harvest, losing_world, rebalance
from world import World

from gateway.cli.harvest import print_harvest
from gateway.cli.read import print_account
from gateway.cli.report import print_report
from gateway.decision.market import UNKNOWN, Market
from gateway.runtime.present import book_model, decision_model
from gateway.runtime.wire import decode_json, encode_json
from gateway.views.page import render
from gateway.views.report import make_report


def report_of(world: World, market: Market = UNKNOWN) -> dict[str, Any]:
    past = past_of(world.game.journal, using=world.settings)
    return make_report(past, world.settings, (), world.game.now, market=market)


def test_a_loss_worth_taking_is_recommended(capsys: pytest.CaptureFixture[str]) -> None:
    found = report_of(losing_world(), alike())
    (swap,) = found["accounts"][0]["harvest"]["swaps"]
    assert (swap["symbol"], swap["other"], swap["loss"]) == ("AAA", "CCC", pytest.approx(2001))
    print_report(found)
    assert "harvest: selling 50 AAA takes a loss of 2001.00" in capsys.readouterr().out
    page = render(found)
    assert "Losses worth taking" in page
    assert "selling 50 AAA takes a loss" in page


def test_a_loss_that_is_left_says_why() -> None:
    harvest_part = report_of(losing_world())["accounts"][0]["harvest"]
    assert harvest_part["swaps"] == []
    assert harvest_part["left"][0]["why"] == "no risk model: how alike a substitute is cannot be measured"


def test_what_stands_in_is_shown_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    world = losing_world()
    rebalance(world, weights=WEIGHTS)
    harvest(world)
    found = report_of(world, alike())
    (row,) = found["accounts"][0]["substitutions"]
    assert (row["original"], row["other"], str(row["free_from"])) == ("AAA", "CCC", "2024-04-12")
    targets = {one["symbol"]: one["target"] for one in found["accounts"][0]["weights"]}
    assert targets["CCC"] == pytest.approx(0.4)
    print_report(found)
    assert "substitute: CCC stands in for AAA" in capsys.readouterr().out
    assert "Substitutes" in render(found)
    shown = decode_json(encode_json(book_model(world.state)))["accounts"]["main"]
    print_account("main", shown)
    assert "CCC stands in for AAA, sold at a loss on 2024-03-12" in capsys.readouterr().out


def test_a_harvest_is_printed_lot_by_lot(capsys: pytest.CaptureFixture[str]) -> None:
    world = losing_world(cost={"AAA": 7_000, "BBB": 4_500})
    harvest(world)
    (event,) = [one for one in world.game.journal if type(one).__name__ == "RequestDecided"]
    decision = decode_json(encode_json(decision_model(event)))  # type: ignore[arg-type]
    assert decision["why"]["AAA"].startswith("Sell 50 AAA: selling 50 AAA takes a loss of 2001.00")
    assert decision["why"]["CCC"] == "Buy 250 CCC: stands in for AAA."
    print_harvest(decision)
    output = capsys.readouterr().out
    for text in ("Losses worth taking", "2,001.00", "Lots that would be sold", "2020-01-02"):
        assert text in output


def test_what_is_denied_or_left_is_worded(capsys: pytest.CaptureFixture[str]) -> None:
    using = losing_world().settings
    limits = replace(using.accounts["main"].limits, restricted=frozenset({"CCC"}))
    using = replace(using, accounts={"main": replace(using.accounts["main"], limits=limits)}, substitutes={
        "AAA": ("CCC",),
    })  # fmt: skip
    world = losing_world(using=using, cost={"AAA": 7_000, "BBB": 4_500})
    harvest(world)
    (event,) = [one for one in world.game.journal if type(one).__name__ == "RequestDecided"]
    decision = decode_json(encode_json(decision_model(event)))  # type: ignore[arg-type]
    assert decision["why"] == {
        "AAA": "AAA is not sold: the other leg of its swap, CCC, is denied.",
        "BBB": "BBB is left as it is: no substitute for BBB is configured.",
        "CCC": "CCC is not bought: CCC is on the restricted list.",
    }
    print_harvest(decision)
    output = capsys.readouterr().out
    assert "Left as they are" in output
    assert "restricted" in output


def test_what_cannot_be_known_is_none() -> None:
    world = losing_world()
    gone = replace(world.settings, accounts={})
    past = past_of(world.game.journal, using=world.settings)
    assert make_report(past, gone, (), world.game.now)["accounts"][0]["harvest"] is None
    fewer = {name: one for name, one in world.settings.instruments.items() if name != "BBB"}
    unknown = replace(world.settings, instruments=fewer)
    assert make_report(past, unknown, (), world.game.now)["accounts"][0]["harvest"] is None
    past.state.book.accounts["main"].taxable = False
    assert make_report(past, world.settings, (), world.game.now)["accounts"][0]["harvest"] is None
