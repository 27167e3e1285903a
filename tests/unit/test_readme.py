"""What the README promises: commands that exist, a message that is accepted, files that stand there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from gateway.cli.root import EXIT_CODES, Commands
from gateway.domain.instrument import Instrument
from gateway.runtime.schema import parse_targets

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_message_for_other_languages_is_accepted() -> None:
    (message,) = re.findall(r"'\*' d '(\{.*?\})'\n", README, re.DOTALL)
    now = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    found = parse_targets(
        message.encode(),
        now=now,
        accounts=["main"],
        instruments={name: Instrument(name) for name in ("AAPL", "MSFT")},
    )
    assert found.request_id == "2026-11-23-main"
    assert found.targets == {"AAPL": Decimal("0.25"), "MSFT": Decimal("0.25")}


def test_every_command_it_names_exists_and_every_command_is_named() -> None:
    table = README[README.index("| command |") : README.index("`gateway --help` lists")]
    named = set(re.findall(r"`(?:gateway )?([a-z][a-z-]*)[ `]", table)) - {"gateway"}
    assert named | {"run", "demo"} >= set(Commands.places)
    assert named <= set(Commands.places)


def test_every_exit_code_it_names_is_documented_in_the_help() -> None:
    sentence = README[README.index("`gateway --help` lists the exit codes") :].split("\n\n")[0]
    named = {int(number) for number in re.findall(r"\b(\d+) [a-z]", sentence)}
    assert named == {int(number) for number in re.findall(r"^  (\d+) ", EXIT_CODES, re.MULTILINE)}


def test_every_file_it_names_stands_there() -> None:
    named = set(re.findall(r"`((?:gateway|adapters|config|tools|tests|simulator)/[\w./]+)`", README))
    assert len(named) > 8
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
