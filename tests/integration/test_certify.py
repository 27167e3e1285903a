"""`gateway certify`: each venue's checklist against the simulator, and a report that hides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.fix.certification import ChecklistError, read_checklist
from gateway.cli import main
from gateway.cli.root import DIFFERS, OK, USAGE

ROOT = Path(__file__).parents[2]
CONFIG = ["--config", str(ROOT / "config" / "gateway.toml")]


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the command; return its exit code, the report for programs and the one for people."""
    code = main(["certify", *arguments, "--report", str(folder), *CONFIG])
    (document,) = folder.glob("*.json")
    (markdown,) = folder.glob("*.md")
    return code, json.loads(document.read_text()), markdown.read_text()


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    ("venue", "rows"), [("plain", 6), ("saxo", 12), ("ibkr-fix", 7), ("dukascopy", 4)]
)  # fmt: skip
def test_every_row_of_a_venue_passes_against_the_simulator(tmp_path: Path, venue: str, rows: int) -> None:
    chosen = ["market", "limit", "status"] if venue == "dukascopy" else []  # its pause between logons is 13 s
    code, report, page = run(tmp_path, venue, *(word for ref in chosen for word in ("--row", ref)))
    assert [(row["ref"], row["reason"]) for row in report["rows"] if row["verdict"] != "passed"] == []
    assert (code, report["passed"], len(report["rows"])) == (OK, rows, rows)
    orders = [one for row in report["rows"] for one in row["messages"] if "|35=D|" in one]
    assert orders
    assert all(one in page for one in orders)
    uncertified = [key["name"] for key in report["keys"] if not key["certified"]]
    assert bool(uncertified) is (venue != "plain")
    assert all(f"`{name}` = " in page for name in uncertified)
    assert "only a demo" not in page + json.dumps(report)


@pytest.mark.timeout(60)
def test_a_step_that_does_not_hold_fails_its_row_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gateway.cli.certify.SIMULATED", ["--fill-delay-ms", "60000"])
    code, report, page = run(tmp_path, "plain", "--row", "market", "--row", "limit", "--timeout", "8")
    assert code == DIFFERS
    verdicts = {row["ref"]: row["verdict"] for row in report["rows"]}
    assert verdicts == {"session": "passed", "market": "failed", "limit": "passed"}
    (failed,) = (row for row in report["rows"] if row["verdict"] == "failed")
    assert failed["reason"].startswith("await filled 10: FILLED with 10 filled did not come in 8 s")
    assert "stood NEW with 0 filled" in failed["reason"]
    assert failed["reason"] in page
    assert failed["reason"] in capfd.readouterr().out


def test_what_cannot_be_certified_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["nobody"], "no venue 'nobody'; known:"),
        (["plain", "--row", "99"], "--row 99: no such row; known: session"),
        (["plain", "--link", "gone"], "--link gone: no such link; known: sim"),
        (["saxo", "--link", "sim"], "--link sim: it speaks plain, not saxo"),
        (["plain", "--link", "sim"], "--symbol and --price"),
        (["plain", "--link", "sim", "--price", "x"], "--price x: write a positive number"),
    ):
        assert main(["certify", *arguments, "--report", str(tmp_path), *CONFIG]) == USAGE
        assert words in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_live_venue_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATEWAY_LINKS__SIM__ENVIRONMENT", "live")
    before = (ROOT / "config" / "gateway.toml").read_text()
    config = tmp_path / "gateway.toml"
    config.write_text("\n".join(one for one in before.splitlines() if "simulated_start" not in one))
    for name in ("accounts.toml", "instruments.toml", "example"):
        (tmp_path / name).symlink_to(ROOT / "config" / name)
    options = ["--link", "sim", "--symbol", "AAPL", "--price", "100", "--report", str(tmp_path)]
    assert main(["certify", "plain", *options, "--config", str(config)]) == USAGE
    assert "--link sim: its environment is live" in capfd.readouterr().err


def test_a_checklist_that_cannot_be_played_names_file_row_and_step(tmp_path: Path) -> None:
    path = tmp_path / "x.certify.toml"
    for text, words in (
        ("", "no rows"),
        ("rows", "x.certify.toml"),
        ('[[rows]]\nref = "1"', "row 1 needs ref, title and steps"),
        ('[[rows]]\nref = "1"\ntitle = "t"\nsteps = ["jump"]', "row 1: no such step: 'jump'"),
        ('[[rows]]\nref = "1"\ntitle = "t"\nsteps = ["buy"]', "row 1: no such step: 'buy'"),
    ):
        path.write_text(text)
        with pytest.raises(ChecklistError, match=words):
            read_checklist(path)
