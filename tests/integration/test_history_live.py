"""A gateway with a price history: status says what it knows, decisions use it, a replay needs none of it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patience import wait_until

from gateway.cli import main
from gateway.cli.root import NO_ANSWER, OK, USAGE
from simulator.household import stage_for, write_household
from simulator.stage import free_port

NAMES = 4


def write_closes(path: Path, symbols: tuple[str, ...]) -> None:
    """A hundred days to yesterday of names that move almost as one."""
    rng = np.random.default_rng(1)
    moves = 0.02 * rng.standard_normal((100, 1)) + 0.001 * rng.standard_normal((100, len(symbols)))
    prices = 100 * np.exp(np.cumsum(moves, axis=0))
    first = datetime.now(UTC).date() - timedelta(days=100)
    rows = [
        f"{first + timedelta(days=at)}," + ",".join(f"{price:.4f}" for price in row)
        for at, row in enumerate(prices.tolist())
    ]
    path.write_text(f"date,{','.join(symbols)}\n" + "\n".join(rows) + "\n", encoding="utf-8")


def test_a_loss_is_shown_taken_and_stood_in_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    household = write_household(tmp_path, NAMES, 3, port)
    write_closes(tmp_path / "closes.csv", household.symbols)
    loser, other = household.symbols[0], household.symbols[-1]
    (tmp_path / "substitutes.toml").write_text(f'{loser} = ["{other}"]\n', encoding="utf-8")
    for name, old, new in (
        ("gateway.toml", "accounts_file", 'substitutes_file = "substitutes.toml"\naccounts_file'),
        ("accounts.toml", "taxable = false", "taxable = true"),
        ("accounts.toml", "risk_aversion = 1000000", "risk_aversion = 5"),
    ):
        text = (tmp_path / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    lots = [
        f"{symbol},2019-03-04,{qty},{qty * household.cents[symbol] * 0.015:.2f}"
        for symbol, qty in household.held.items()
    ]
    (tmp_path / "lots.csv").write_text("\n".join(["symbol,acquired,qty,cost", *lots]) + "\n")
    monkeypatch.setenv("GATEWAY_RISK__HISTORY", "closes.csv")
    stage = stage_for(household, port, ["--fill-delay-ms", "5"])
    for name, value in stage.child_environment().items():
        monkeypatch.setenv(name, value)

    def say(*words: str) -> str:
        assert main(["--config", str(stage.config), *words]) == OK
        return capsys.readouterr().out

    try:
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        say("prices", str(tmp_path / "prices.csv"))
        shown = say("harvest")
        assert "FULL: 1 loss of" in shown
        assert f"no substitute for {household.symbols[1]} is configured" in shown
        assert json.loads(say("book", "--json"))["accounts"]["main"]["substitutions"] == []
        assert "FULL: 1 loss of" in say("harvest", "--submit", "--request-id", "taken")
        assert json.loads(say("harvest", "--submit", "--request-id", "taken", "--json"))["request"]["orders"]
        assert f"{other} stands in for {loser}" in say("book")
        assert f"substitute main: {other} stands in for {loser}" in say("status")
        assert f"substitute: {other} stands in for {loser}" in say("report")
        assert main(["--config", str(stage.config), "harvest", "--request-id", "drift:mine"]) == USAGE
        assert "request_id" in capsys.readouterr().err
        assert main(["--config", str(stage.config), "replay"]) == OK
    finally:
        stage.close()


def test_a_price_history_is_said_used_and_not_needed_to_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    household = write_household(tmp_path, NAMES, 3, port)
    write_closes(tmp_path / "closes.csv", household.symbols)
    monkeypatch.setenv("GATEWAY_RISK__HISTORY", "closes.csv")
    stage = stage_for(household, port, ["--fill-delay-ms", "5"])
    for name, value in stage.child_environment().items():
        monkeypatch.setenv(name, value)

    def say(*words: str) -> Any:
        def answer() -> tuple[int, Any] | None:
            code, said = main(["--config", str(stage.config), *words, "--json"]), capsys.readouterr()
            return None if code == NO_ANSWER else (code, said)

        code, said = wait_until(answer)  # the first status is written a moment after the gateway is ready
        assert code == OK, said.err
        return json.loads(said.out)

    try:
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        assert main(["--config", str(stage.config), "prices", str(tmp_path / "prices.csv")]) == OK
        capsys.readouterr()
        assert say("status")["risk"].startswith(f"risk of {NAMES} names to ")
        rows = [f"{symbol},{weight}" for symbol, weight in household.targets(random.Random(5)).items()]
        (tmp_path / "t.csv").write_text("symbol,weight\n" + "\n".join(rows) + "\n")
        decided = say("preview", str(tmp_path / "t.csv"), "--policy", "smart")["decision"]
        assert decided["policy"] == "smart"
        alone = 0.5 * 1_000_000 * 0.3**2 * float(decided["nav"])
        benefits = [name["benefit"] for name in decided["names"] if float(name["qty"])]
        taken_alone = [
            alone * (name["weight_target"] - name["weight_before"]) ** 2
            for name in decided["names"]
            if float(name["qty"])
        ]
        assert benefits
        assert sum(benefits) > 1.5 * sum(taken_alone), "names that move as one drift together"
        monkeypatch.delenv("GATEWAY_RISK__HISTORY")
        assert main(["--config", str(stage.config), "replay"]) == OK
    finally:
        stage.close()
