"""A venue that rejects what comes too fast never has to: sixty pairs over its own dialect, limit and all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.root import OK
from simulator.household import stage_for, write_household
from simulator.stage import free_port

PAIRS, PER_SECOND = 60, 16
LINK = """dialect = "dukascopy"
username = "DEMO"
[links.sim.venue]
send_account = true
absence_is_unknown = true
"""


def test_no_order_of_a_large_basket_is_too_fast_for_the_venue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    household = write_household(tmp_path, PAIRS, 3, port, link=LINK, is_fx=True)
    stage = stage_for(
        household, port, ["--fill-delay-ms", "5"], dialect="dukascopy",
        environment={"GATEWAY_LINKS__SIM__PASSWORD": "only a test"},
    )  # fmt: skip
    for name, value in stage.child_environment().items():
        monkeypatch.setenv(name, value)
    try:
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        assert main(["--config", str(stage.config), "prices", str(household.folder / "prices.csv")]) == OK
        rows = [f"{symbol},{weight}" for symbol, weight in household.targets(random.Random(4)).items()]
        (tmp_path / "t.csv").write_text("symbol,weight\n" + "\n".join(rows) + "\n")
        words = ["submit", str(tmp_path / "t.csv"), "--account", "main", "--request-id", "R1", "--wait"]
        assert main(["--config", str(stage.config), *words]) == OK, capsys.readouterr()
        orders = stage.record()["orders"]
        assert len(orders) > 2 * PER_SECOND
        assert {one["status"] for one in orders} == {"filled"}, orders
    finally:
        stage.close()
