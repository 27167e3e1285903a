"""The first thing a stranger runs, and the harness that kills everything, as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.demo import compare_with_venue
from gateway.cli.root import OK

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "config" / "gateway.toml")


@pytest.mark.timeout(120)
def test_the_demo_survives_a_pulled_plug_and_its_books_agree(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = main(["demo", "--pull-the-plug", "--keep", str(tmp_path), "--config", CONFIG])
    output = capfd.readouterr().out
    assert code == OK, output
    assert "gateway killed with SIGKILL" in output
    for words in ("wash sale", "does not exceed cost", "Realised gains", "ClOrdID", "commissions so far"):
        assert words in output
    assert "the replayed book equals the book the gateway shows" in output
    assert "The gateway's book equals the venue's own record" in output


@pytest.mark.timeout(60)
def test_the_demo_of_a_stage_that_does_not_stand_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_TIME_ZONE", "Mars/Base")
    code = main(["demo", "--keep", str(tmp_path), "--config", CONFIG])
    assert code != OK
    assert "time_zone" in capfd.readouterr().err


def test_one_share_or_one_cent_of_difference_is_found() -> None:
    book = {"accounts": {"main": {"cash": "10.00", "positions": {"A": {"qty": "5"}, "B": {"qty": "1"}}}}}
    same = {"accounts": {"main": {"cash": "10", "positions": {"A": "5", "B": "1", "C": "0"}}}}
    assert compare_with_venue(book, same) == []
    other = {"accounts": {"main": {"cash": "10.01", "positions": {"A": "4", "C": "2"}}}}
    assert compare_with_venue(book, other) == [
        ["main", "cash", "10.00", "10.01"],
        ["main", "shares of A", "5", "4"],
        ["main", "shares of B", "1", "0"],
        ["main", "shares of C", "0", "2"],
    ]


@pytest.mark.timeout(280)
def test_twenty_five_kills_lose_nothing_and_double_nothing() -> None:
    command = [sys.executable, "-m", "tests.torture", "--kills", "25", "--seed", "11"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["kills"] >= 25
    assert figures["orders"] >= 200 * figures["baskets"]
    assert (figures["lost"], figures["doubled"], figures["book_differences"]) == (0, 0, 0)
