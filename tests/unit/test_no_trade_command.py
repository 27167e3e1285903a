"""`gateway no-trade`: every problem from the command line, and one sentence for a mistake."""

from __future__ import annotations

import json

import pytest

from gateway.cli.no_trade import PROBLEMS
from gateway.cli.root import OK, USAGE, main

LINES = {
    "power": "--mu .08 --sigma .16 --gamma 5 --epsilon .01",
    "consumption": "--delta .1 --r .04 --alpha .1 --sigma .3 --gamma 2 --buy-cost .005 --sell-cost .005",
    "tracking": "--mu .04 --sigma .16 --target .6 --gamma 5 --k .001",
    "threshold": "--mu .04 --sigma .16 --target .6 --gamma 5 --k .001 --width .05",
    "calendar": "--mu .04 --sigma .16 --target .6 --gamma 5 --k .001",
    "fixed": "--sigma .16 --target .6 --gamma 5 --fixed 2e-6 --k .001",
    "region": "--covariance [[.04,.036],[.036,.04]] --weights [.32,.32] --targets [.3,.3] --gamma 3 "
    "--buy-cost .0015 --sell-cost .0015",
    "partial": "--covariance 4e-4 --loadings 1e-3 --signals 1 --decay .05 --position 0 --gamma .01 "
    "--lambda .005 --r 1e-4",
    "amortised": "--covariance [[0,0],[0,.04]] --weights [.1,.7] --targets [.1,.6] --k .001 --gamma 5",
}
EXPECTED = {
    "power": ("sell", 0.668058), "consumption": ("value_ratio", 1.00407776), "tracking": ("low", 0.572284),
    "threshold": ("high", 0.65), "calendar": ("period", 0.4712), "fixed": ("half_width", 0.035452),
    "region": ("weights", [0.306579, 0.306579]), "partial": ("rate", 0.73203),
    "amortised": ("low", [None, 0.574]),
}  # fmt: skip


def test_every_problem_has_an_example() -> None:
    assert set(LINES) == set(EXPECTED) == set(PROBLEMS)


@pytest.mark.parametrize("problem", LINES)
def test_a_problem_as_json(problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-trade", problem, *LINES[problem].split(), "--json"]) == OK
    key, value = EXPECTED[problem]
    found = json.loads(capsys.readouterr().out)[key]
    if isinstance(value, list):
        assert [one is None for one in found] == [one is None for one in value]
        found, value = found[-1], value[-1]
    assert found == pytest.approx(value, abs=1e-3)


def test_a_problem_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-trade", "power", *LINES["power"].split()]) == OK
    assert "equivalent_safe_rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("power --mu .08 --sigma 0 --gamma 5 --epsilon .01", "sigma must be above 0"),
        ("power --mu x --sigma .1 --gamma 5 --epsilon .01", "neither a number nor a JSON array"),
        ("power --mu .08 --sigma .16 --gamma 5", "--epsilon"),
        ("power --mu [1,2] --sigma .16 --gamma 5 --epsilon .01", "one number"),
        (
            "region --covariance [[1,0],[0]] --weights 1 --targets 1 --gamma 1 --buy-cost 0 --sell-cost 0",
            "JSON array",
        ),
    ],
)
def test_a_mistake_is_one_sentence(line: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-trade", *line.split()]) == USAGE
    assert sentence in capsys.readouterr().err
