"""Learning: a search finds the known optimum and repeats, a course keeps its days apart, a card is honest."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from gateway.cli import main
from gateway.cli.root import OK, USAGE
from gateway.decision.learned import BAND, NETWORK, Card, LearnedRule
from gateway.errors import ConfigError
from gateway.runtime.learned import LAYERS, MAX_BYTES, load, save
from simulator.backtest.bars import Bars, HistoryError
from simulator.train import course, exam, ppo, rules
from simulator.train.search import Search
from simulator.world import Act, Problem, World, random_walk

EMPTY = np.zeros(0)
HAS_PPO = all(importlib.util.find_spec(name) for name in ("stable_baselines3", "torch"))


def history(days: int = 700, names: int = 3, seed: int = 2) -> Bars:
    rng = np.random.default_rng(seed)
    noise = 0.008 * rng.standard_normal((days, names)) + 0.008 * rng.standard_normal((days, 1))
    dates = tuple(date(2015, 1, 1) + timedelta(days=n) for n in range(days))
    return Bars(
        dates, tuple(f"N{n}" for n in range(names)), 50 * np.exp(noise.cumsum(axis=0)), name="made up"
    )


def plan(rounds: int = 2, seed: int = 1) -> course.Course:
    made = history()
    return course.Course(made, made.days[400], rounds=rounds, seed=seed)


def quiet(_text: str) -> None:
    """Tell nobody."""


# ------------------------------------------------------------------------------------------- the search


def test_a_search_comes_within_a_hundredth_of_the_exact_optimum() -> None:
    """The one-asset market's cheapest rule is known; `benchmarks/learners.py` asks it with a full budget."""
    asset = exam.OneAsset()
    search = Search(asset.problem, asset.market, EMPTY, episode=2 * 252, paths=48)
    search.play(8)
    scale, reset = search.found
    found = {"search": rules.bands(float(scale[0]), float(reset[0])), "monthly": rules.calendar(21)}
    ratios = exam.one_asset(found, seeds=3, paths=48, years=5)
    assert ratios["search"].value < 1.015
    assert ratios["monthly"].value > 1.8
    assert ratios["search"].error < 0.01


def test_a_search_goes_on_to_the_same_end_and_another_seed_to_another() -> None:
    asset = exam.OneAsset()

    def made(seed: int) -> Search:
        return Search(asset.problem, asset.market, np.array([0.0]), seed, episode=40, paths=8)

    whole, parts, other = made(1), made(1), made(2)
    told: list[int] = []
    whole.play(4)
    parts.play(1)
    resumed = made(1)
    resumed.rounds, resumed.mean, resumed.spread = parts.rounds, parts.mean, parts.spread
    resumed.play(3, lambda number, _best, _mean: told.append(number))
    other.play(4)
    assert np.array_equal(whole.mean, resumed.mean)
    assert np.array_equal(whole.spread, resumed.spread)
    assert not np.array_equal(whole.mean, other.mean)
    assert told == [2, 3, 4]


def test_candidates_of_a_round_meet_the_same_market() -> None:
    asset = exam.OneAsset()
    search = Search(asset.problem, asset.market, EMPTY, episode=60, paths=8)
    costs = search.cost(np.array([[0.3, -1.0], [0.3, -1.0], [0.0, 2.0]]), 5)
    assert costs[0] == costs[1] != costs[2]


# --------------------------------------------------------------------------------------------- the rules


def test_simple_rules_do_what_their_names_say() -> None:
    problem = Problem(np.array([0.5, 0.3]), np.diag([0.04, 0.09]), np.full(2, 0.001))
    world = World(problem, random_walk(np.zeros(2), problem.covariance), 2, 50)
    world.weights = np.array([[0.6, 0.3], [0.51, 0.3]])
    assert rules.calendar(5)(world) == pytest.approx(world.gap)
    assert rules.threshold(0.05)(world) == pytest.approx(np.array([[-0.1, 0.0], [0.0, 0.0]]))
    assert rules.threshold(0.05, 0.5)(world)[0] == pytest.approx([-0.05, 0.0])
    assert rules.bands()(world) == pytest.approx(world.banded(np.ones(2), np.zeros(2)))
    assert np.abs(rules.default(world)[0]).max() > 0
    world.day = 3
    assert not rules.calendar(5)(world).any()
    one = World(exam.OneAsset().problem, exam.OneAsset().market, 3, 5)
    one.weights = np.array([[0.4], [0.6], [0.8]])
    assert rules.edges(0.5, 0.7)(one)[:, 0] == pytest.approx([0.1, 0.0, -0.1])


def test_learned_rules_are_played_by_regime_and_by_word() -> None:
    asset = exam.OneAsset()
    world = World(asset.problem, asset.market, 2, 5)
    world.weights = np.array([[0.9], [0.9]])
    world.variance = world._usual * np.array([[1.0], [9.0]])
    blank = Card("", "", "", "", (), 0.0, (), "", 0, 0, 0, ("one",))
    band = LearnedRule(BAND, blank, np.array([0.5]), np.array([0.0, 100.0]), np.array([0.0, 0.0]))
    assert rules.learned(band)(world)[:, 0] == pytest.approx([-0.3, 0.0])
    matrix = np.zeros((6, 4))
    matrix[3, 2] = 1.0
    matrix[3, 0] = 0.5
    net = LearnedRule(NETWORK, blank, layers=((matrix, np.array([0.1, 0, 0, 0])),))
    words = world.trades_of(np.array([Act.NOTHING, Act.FULL]))
    assert rules.learned(net)(world) == pytest.approx(words)


# -------------------------------------------------------------------------------------------- the course


def test_what_is_examined_was_not_trained_on() -> None:
    made = plan()
    trained, tested = made.parts()
    assert len(trained) + len(tested) == len(made.bars) - 1
    changed = made.bars.close.copy()
    changed[400:] *= 3.0
    later = replace(made, bars=replace(made.bars, close=changed))
    assert np.array_equal(later.parts()[0], trained)
    assert np.array_equal(later.problem().covariance, made.problem().covariance)


def test_a_card_says_when_on_what_and_how_it_came_out() -> None:
    made = plan()
    rule = course.by_search(made, quiet)
    card = rule.card
    assert card.trained == f"{made.bars.days[0]} to {made.bars.days[399]}"
    assert card.tested == f"{made.bars.days[400]} to {made.bars.days[-1]}"
    assert {one.name.split()[0] for one in card.scores} == {
        "default", "bands", "calendar", "threshold", "half-way", "learned",
    }  # fmt: skip
    costs = {one.name: one.cost for one in card.scores}
    assert card.difference == pytest.approx(costs["learned"] - costs["default"])
    assert card.low <= card.difference <= card.high
    assert rule.flaw() == ""


def test_a_course_stopped_after_any_round_ends_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rule.checkpoint"
    told: list[str] = []
    whole = course.by_search(plan(3), quiet)
    course.by_search(plan(1), quiet, path)
    resumed = course.by_search(plan(3), told.append, path, resume=True)
    assert np.array_equal(whole.scale, resumed.scale)
    assert np.array_equal(whole.reset, resumed.reset)
    assert told[0] == "going on after round 1"
    with pytest.raises(HistoryError, match="another course"):
        course.by_search(plan(3, seed=2), quiet, path, resume=True)


def test_a_course_needs_a_year_on_either_side_and_every_name_every_day() -> None:
    made = plan()
    with pytest.raises(HistoryError, match="must leave a year on either side"):
        replace(made, split=made.bars.days[10]).parts()
    holes = made.bars.close.copy()
    holes[:3, 0] = np.nan
    with pytest.raises(HistoryError, match="listed on every day"):
        replace(made, bars=replace(made.bars, close=holes)).parts()


@pytest.mark.skipif(HAS_PPO, reason="PPO's libraries are installed")
def test_without_its_libraries_ppo_says_what_to_install() -> None:
    asset = exam.OneAsset()
    with pytest.raises(ConfigError, match=r"rebalance-gateway\[ppo\]"):
        ppo.learn(asset.problem, asset.market, 10)


@pytest.mark.skipif(not HAS_PPO, reason="needs stable-baselines3 and torch (extra ppo)")
@pytest.mark.filterwarnings("ignore")
def test_ppo_leaves_as_arrays_that_numpy_plays_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    path, told = tmp_path / "rule.zip", list[str]()
    rule = course.by_ppo(plan(), 2_048, told.append, path)
    assert rule.kind == NETWORK
    assert rule.flaw() == ""
    assert told[0] == "2048 of 2048 steps"
    again = course.by_ppo(plan(), 2_048, quiet, path, resume=True)
    assert all(
        np.array_equal(one[0], other[0]) for one, other in zip(rule.layers, again.layers, strict=True)
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- the file

GOOD = Card("search", "d", "a to b", "c to d", (1,), 1.0, (), "default", -2e-5, -3e-5, -1e-5, ("A",))
RULE = LearnedRule(BAND, GOOD, np.array([0.0]), np.array([1.0, 2.0]), np.array([0.0, 0.5]))
NET = LearnedRule(NETWORK, GOOD, layers=((np.ones((6, 4)), np.zeros(4)),))


@pytest.mark.parametrize("rule", [RULE, NET])
def test_a_rule_is_read_as_it_was_written(tmp_path: Path, rule: LearnedRule) -> None:
    path = tmp_path / "policies" / "rule.npz"
    save(rule, path)
    found = load(path)
    assert found.card == rule.card
    assert np.array_equal(found.scale, rule.scale)
    assert all(np.array_equal(one[0], two[0]) for one, two in zip(found.layers, rule.layers, strict=True))
    assert [one.name for one in path.parent.iterdir()] == ["rule.npz"]


def test_a_rule_that_does_not_beat_the_default_is_refused_unless_the_user_insists(tmp_path: Path) -> None:
    path = tmp_path / "rule.npz"
    save(replace(RULE, card=replace(GOOD, high=1e-6)), path)
    with pytest.raises(ConfigError, match="does not beat it; train a better one, or set learned_override"):
        load(path)
    assert load(path, override=True).card.high == 1e-6


def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rule.npz"
    with pytest.raises(ConfigError, match="train one first"):
        load(path)
    for content in (b"", b"PK\x03\x04 no", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not a learned rule"):
            load(path)
    np.savez(path, card=np.array('{"kind": "band"}'))
    with pytest.raises(ConfigError, match="not a learned rule"):
        load(path)
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        load(path)
    save(replace(RULE, scale=np.array([-1.0, 1.0])), path)
    with pytest.raises(ConfigError, match="scale must not be negative"):
        load(path)
    deep = (np.ones((6, 6)), np.zeros(6))
    save(replace(NET, layers=(deep,) * LAYERS), path)
    with pytest.raises(ConfigError, match="a word an output"):
        load(path)


# ------------------------------------------------------------------------------------------- the command


def written(folder: Path) -> Path:
    made = history()
    rows = [
        f"{day},{','.join(f'{px:.4f}' for px in row)}" for day, row in zip(made.days, made.close, strict=True)
    ]
    path = folder / "h.csv"
    path.write_text("\n".join([f"date,{','.join(made.symbols)}", *rows]))
    return path


def test_train_writes_a_rule_prints_its_card_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "train",
        "--history",
        str(written(tmp_path)),
        "--split",
        "2016-03-01",
        "--out",
        str(tmp_path / "r.npz"),
    ]
    assert main([*words, "--rounds", "1"]) == OK
    said = capsys.readouterr()
    assert "Out of sample, 2016-03-01 to" in said.out
    assert "learned by cross-entropy search" in said.out
    assert "round 1 of 1" in said.err
    assert load(tmp_path / "r.npz", override=True).card.names == ("N0", "N1", "N2")
    assert main([*words, "--rounds", "2", "--resume"]) == OK
    assert "going on after round 1" in capsys.readouterr().err


def test_train_says_what_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--history", str(tmp_path / "none.csv")]) == USAGE
    assert main(["train", "--history", str(written(tmp_path)), "--split", "2015-01-05"]) == USAGE
    assert "must leave a year on either side" in capsys.readouterr().err
