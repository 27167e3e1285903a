"""Execution styles at real venues, killed in the middle: each name gets exactly what was approved."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from patience import wait_until

from gateway.cli import main
from gateway.cli.demo import compare_with_venue
from gateway.cli.root import OK
from simulator.household import stage_for, write_household
from simulator.stage import free_port
from tests.torture import KITS, PASSWORD, Kit

NAMES = 6
STYLES: dict[str, list[str]] = {
    "twap": ["--duration", "3.6", "--slices", "3"],
    "vwap": ["--duration", "3.6", "--volume-curve", "3,1,2"],
    "chase": ["--chase-interval", "0.3", "--chase-steps", "3", "--chase-end", "market"],
}
"""A slice's orders live as long as a step of its schedule; what has not filled by then is cancelled."""


class Desk:
    """A gateway and its venue, spoken to by commands."""

    def __init__(self, folder: Path, kit: Kit, capsys: pytest.CaptureFixture[str]) -> None:
        port = free_port()
        self._folder = folder
        self._capsys = capsys
        self.household = write_household(
            folder, NAMES, 3, port, link=kit.link, is_fx=kit.is_fx, lookup_wait_s=kit.lookup_wait_s,
            is_alpaca=kit.dialect == "alpaca", is_tws=kit.dialect == "tws",
        )  # fmt: skip
        options = ["--fill-delay-ms", "20", "--partials", "2", *kit.options]
        self.stage = stage_for(
            self.household, port, options, dialect=kit.dialect, begin_string=kit.begin_string,
            environment={} if kit.dialect in ("alpaca", "tws") else PASSWORD,
        )  # fmt: skip

    def begin(self) -> None:
        """Start everything and publish the prices."""
        self.stage.start_redis()
        self.stage.start_venue()
        self.stage.start_gateway()
        assert main(["--config", str(self.stage.config), "prices", str(self._folder / "prices.csv")]) == OK
        self._capsys.readouterr()

    def say(self, *words: str) -> Any:
        """Carry out a command; None where it fails."""
        code = main(["--config", str(self.stage.config), *words, "--json"])
        output = self._capsys.readouterr()
        return json.loads(output.out) if code == OK else None

    def submit(self, name: str, style: str, seed: int) -> None:
        """Submit targets drawn by `seed`, to be worked in a style."""
        drawn = self.household.targets(random.Random(seed))
        path = self._folder / f"{name}.csv"
        path.write_text(
            "symbol,weight\n" + "".join(f"{symbol},{weight}\n" for symbol, weight in drawn.items())
        )
        words = ["--account", "main", "--request-id", name, "--style", style, *STYLES[style]]
        assert self.say("submit", str(path), *words)

    def until(self, name: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for something to be so of a request; return it."""

        def found() -> dict[str, Any] | None:
            body = self.say("request", name)
            return body["request"] if body is not None and wanted(body["request"]) else None

        return wait_until(found, lambda: self.stage.log("gateway")[-2000:])

    def ends_as_approved(self, name: str) -> int:
        """Check that each name gets what was approved; return how many orders more than names it took."""
        request = self.until(name, lambda body: bool(body["is_final"]))
        assert request["state"] == "done", request
        orders = self.say("orders", "--request", name)
        for symbol, wanted in request["wanted"].items():
            mine = [one for one in orders if one["symbol"] == symbol]
            told = f"{symbol}: {mine}\n{request}\n{self.stage.log('gateway')[-4000:]}"
            assert sum(Decimal(one["cum_qty"]) for one in mine) == Decimal(wanted), told
        return len(orders) - len(request["wanted"])

    def agrees(self) -> None:
        """Check the book against the venue's record and against the journal."""
        assert compare_with_venue(self.say("book"), self.stage.record()) == []
        assert main(["--config", str(self.stage.config), "replay"]) == OK


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:  # fmt: skip
    made = Desk(tmp_path, KITS[request.param], capsys)
    for name, value in made.stage.child_environment().items():
        monkeypatch.setenv(name, value)
    try:
        made.begin()
        yield made
    finally:
        made.stage.close()


@pytest.mark.parametrize("desk", ["plain"], indirect=True)
def test_a_twap_killed_in_the_middle_ends_with_what_was_approved(desk: Desk) -> None:
    desk.submit("R1", "twap", 5)
    working = desk.until("R1", lambda body: body["wave"] >= 1 and body.get("step", 1) >= 2)
    assert (working["style"], working["steps"]) == ("twap", 3)
    desk.stage.kill("gateway")
    desk.stage.start_gateway()
    assert desk.ends_as_approved("R1") > 0, "more than one order a name"
    desk.agrees()


@pytest.mark.parametrize("desk", ["saxo", "dukascopy", "ibkr-fix", "ibkr", "alpaca"], indirect=True)
def test_every_style_is_worked_at_every_venue(desk: Desk) -> None:
    for seed, style in enumerate(STYLES):
        desk.submit(style, style, seed)
        more = desk.ends_as_approved(style)
        assert more > 0 or style == "chase", "slices are orders of their own"
    desk.agrees()


def test_a_style_the_account_cannot_work_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    household = write_household(tmp_path, 2, 3, free_port())
    path = tmp_path / "t.csv"
    path.write_text(f"symbol,weight\n{household.symbols[0]},0.1\n")
    words = ["--config", str(tmp_path / "gateway.toml"), "submit", str(path), "--volume-curve", "three"]
    assert main(words) != OK
    assert "--volume-curve" in capsys.readouterr().err
