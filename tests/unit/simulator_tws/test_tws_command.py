from __future__ import annotations

from pathlib import Path

import pytest

from simulator.__main__ import main as simulate
from simulator.tws.command import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "p.csv").write_text("symbol,price\nAAPL,100\n")
    (tmp_path / "a.json").write_text('{"DU1": {"cash": "1000"}}')
    return ["--prices", str(tmp_path / "p.csv"), "--accounts", str(tmp_path / "a.json")]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--nothing"], "unrecognized arguments"),
        (["--server-version", "158"], "--server-version 158"),
        (["--server-version", "200"], "--server-version 200"),
        (["--rollback", "-1"], "--rollback -1"),
        (["--time-zone", "Mars/Olympus"], "--time-zone Mars/Olympus"),
        (["--initial-margin", "0"], "--initial-margin"),
        (["--hard-to-borrow", "NOPE"], "--hard-to-borrow NOPE"),
        (["--fault", "nothing"], "--fault nothing"),
        (["--fault", "silence:seconds=1"], "begins at once"),
        (["--tick", "cent"], "--tick: 'cent' is no decimal"),
        (["--tick", "0"], "--tick"),
        (["--cancel-ms", "-1"], "--cancel-ms"),
        (["--port", "70000"], "--port 70000"),
    ],
    ids=str,
)
def test_what_a_user_gets_wrong_is_one_sentence_and_exit_2(
    files: list[str], options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*files, *options]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.startswith("simulator tws: ")
    assert said.count("\n") == 1


def test_accounts_are_needed_and_the_world_is_known(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("{}")
    assert simulate(["tws", *files]) == 2
    assert "names no account" in capsys.readouterr().err


def test_a_store_belongs_to_the_options_it_was_begun_with(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "tws.jsonl").write_text('{"k": "begin", "prefix": "x-", "terms": {"--seed": "7"}}\n')
    assert main([*files, "--store", str(store)]) == 2
    assert "--store was begun with --seed 7" in capsys.readouterr().err
