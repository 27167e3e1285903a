"""The product over TWS, as processes: the demonstration, kills, and some of the faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.root import OK

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "config" / "gateway.toml")


@pytest.mark.timeout(120)
def test_the_demo_over_tws_survives_a_pulled_plug_and_its_books_agree(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = main(["demo", "--venue", "ibkr", "--pull-the-plug", "--keep", str(tmp_path), "--config", CONFIG])
    output = capfd.readouterr().out
    assert code == OK, output
    assert "a venue that speaks as TWS does" in output
    assert "gateway killed with SIGKILL" in output
    assert "snapshots, over a client id of their own" in output
    assert "The gateway's book equals the venue's own record" in output


@pytest.mark.timeout(240)
def test_kills_over_tws_lose_nothing_and_double_nothing() -> None:
    command = [sys.executable, "-m", "tests.torture", "--kills", "10", "--seed", "5", "--venue", "ibkr"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["kills"] >= 10
    assert (figures["lost"], figures["doubled"], figures["book_differences"]) == (0, 0, 0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fault", ["socket cut before a word", "rolls order ids back", "status before"])
def test_a_fault_amid_a_basket_changes_no_book(fault: str) -> None:
    command = [sys.executable, "-m", "tests.faults", "--only", fault]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["faults"] >= 1
    assert figures["orders"] > 0
    assert (figures["lost"], figures["doubled"], figures["differences"]) == (0, 0, 0)
