"""Both channels of IBKR in one process: what a user gets wrong is one sentence, whichever half it is of."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from simulator import channels
from simulator.__main__ import main

FIX = ["--comp-id", "IB", "--accept", "FIX.4.2:GW", "--dialect", "ibkr"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    prices, accounts = tmp_path / "prices.csv", tmp_path / "accounts.json"
    prices.write_text("symbol,price\nAAPL,100\n")
    accounts.write_text('{"DU1": {"cash": "1000"}}')
    return ["--prices", str(prices), "--accounts", str(accounts)]


@pytest.mark.parametrize(
    ("tws", "fix", "words"),
    [
        (["--tick", "0"], FIX, "--tick must be above 0"),
        (["--time-zone", "Mars"], FIX, "--time-zone Mars is not known"),
        ([], [], "--comp-id"),
        ([], [*FIX, "--flavour", "3"], "unrecognized arguments"),
        ([], [*FIX[:3], "FIX.4.4:GW", *FIX[4:]], "ibkr speaks FIX.4.2"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_2(
    files: list[str], tws: list[str], fix: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ibkr", *files, *tws, "--", *fix]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("simulator ibkr: ")
    assert said.count("\n") == 1


def test_without_the_fix_half_there_is_a_sentence(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert channels.main(files) == 2
    assert "--comp-id" in capsys.readouterr().err


def test_help_says_where_the_options_of_both_halves_stand(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ibkr", "--help"]) == 0
    assert "python -m simulator fix --profile venue --help" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: python -m simulator {fix,alpaca,tws,ibkr}")


def test_a_file_that_is_not_there_is_named(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert channels.main([*files, "--contracts", "nowhere.json", "--", *FIX]) == 2
    assert "simulator ibkr: nowhere.json cannot be used" in capsys.readouterr().err


def test_a_port_in_use_is_one_sentence(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert channels.main([*files, "--port", port, "--", *FIX]) == 2
        assert channels.main([*files, "--", *FIX, "--port", port]) == 2
    assert capsys.readouterr().err.count("a port cannot be listened on") == 2
