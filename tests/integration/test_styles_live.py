"""A TWAP over a real FIX session, killed in the middle: each name gets exactly what was approved."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.cli.demo import compare_with_venue
from gateway.cli.root import OK
from simulator.household import stage_for, write_household
from simulator.stage import free_port

NAMES = 6


def test_a_twap_killed_in_the_middle_ends_with_what_was_approved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    household = write_household(tmp_path, NAMES, 3, port)
    stage = stage_for(household, port, ["--fill-delay-ms", "20", "--partials", "2"])
    for name, value in stage.child_environment().items():
        monkeypatch.setenv(name, value)

    def say(*words: str) -> Any:
        code = main(["--config", str(stage.config), *words, "--json"])
        output = capsys.readouterr()
        return json.loads(output.out) if code == OK else None

    def until(wanted: Any) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while True:
            found = say("request", "R1")
            if found is not None and wanted(found["request"]):
                request: dict[str, Any] = found["request"]
                return request
            assert time.monotonic() < deadline, stage.log("gateway")[-2000:]
            time.sleep(0.05)

    try:
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        assert main(["--config", str(stage.config), "prices", str(tmp_path / "prices.csv")]) == OK
        capsys.readouterr()
        rows = [f"{symbol},{weight}" for symbol, weight in household.targets(random.Random(5)).items()]
        (tmp_path / "t.csv").write_text("symbol,weight\n" + "\n".join(rows) + "\n")
        twap = ["--style", "twap", "--duration", "1.5", "--slices", "3"]
        assert say("submit", str(tmp_path / "t.csv"), "--account", "main", "--request-id", "R1", *twap)
        working = until(lambda body: body["wave"] >= 1 and body.get("step", 1) >= 2)
        assert (working["style"], working["steps"]) == ("twap", 3)
        stage.kill("gateway")
        stage.start_gateway()
        request = until(lambda body: body["is_final"])
        assert request["state"] == "done"
        orders = say("orders", "--request", "R1")
        for symbol, wanted in request["wanted"].items():
            mine = [one for one in orders if one["symbol"] == symbol]
            assert sum(int(one["cum_qty"]) for one in mine) == int(wanted), (symbol, mine)
        assert len(orders) > len(request["wanted"]), "more than one order a name"
        assert compare_with_venue(say("book"), stage.record()) == []
        assert main(["--config", str(stage.config), "replay"]) == OK
    finally:
        stage.close()


def test_a_style_the_account_cannot_work_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    household = write_household(tmp_path, 2, 3, free_port())
    path = tmp_path / "t.csv"
    path.write_text(f"symbol,weight\n{household.symbols[0]},0.1\n")
    words = ["--config", str(tmp_path / "gateway.toml"), "submit", str(path), "--volume-curve", "three"]
    assert main(words) != OK
    assert "--volume-curve" in capsys.readouterr().err
