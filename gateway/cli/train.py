"""`gateway train`: learn a rule from history, examine it on later days, write it with its card.

The rule is used by `policy = "learned"` with `learned_file`; one that does not beat the default rule out of
sample is written all the same, and refused when a gateway would load it.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from gateway.cli.connect import make_folder, print_table
from gateway.cli.root import OK
from gateway.decision.learned import LearnedRule
from gateway.errors import ConfigError
from gateway.runtime.learned import save
from simulator.backtest.bars import HistoryError
from simulator.backtest.sources import read_history
from simulator.train import course

DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--history", default="bundled:sp500", show_default=True, help="A file of closes, or bundled:NAME."
)
@click.option("--symbol", "symbols", multiple=True, help="Use these names only; may be given more than once.")
@click.option("--split", type=DAY, default="2012-01-03", show_default=True, help="The first day of the exam.")
@click.option(
    "--cost-bps", type=click.FloatRange(0, 1_000), default=10.0, show_default=True, help="One-way cost."
)
@click.option(
    "--risk-aversion", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
    help="The gamma of 0.5 * gamma * variance.",
)  # fmt: skip
@click.option("--learner", type=click.Choice(["search", "ppo"]), default="search", show_default=True)
@click.option(
    "--rounds", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Of the search."
)
@click.option("--steps", type=click.IntRange(1_000), default=100_000, show_default=True, help="Of PPO.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint beside the rule.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default="policies/learned.npz",
    show_default=True, help="Write the rule here.",
)  # fmt: skip
def train(
    history: str, symbols: tuple[str, ...], split: datetime, cost_bps: float, risk_aversion: float,
    learner: str, rounds: int, steps: int, seed: int, resume: bool, out: Path,
) -> int:  # fmt: skip
    """Learn a rebalancing rule and say honestly whether it beats the simple ones."""
    try:
        bars = read_history(history)
    except HistoryError as problem:
        raise ConfigError(f"--history: {problem}") from None
    make_folder(out.parent, "--out")
    try:
        bars = bars.between(None, date.max, symbols)
        plan = course.Course(bars, split.date(), cost_bps / 1e4, risk_aversion, seed, rounds)
        if learner == "search":
            rule = course.by_search(plan, _tell, out.with_suffix(".checkpoint"), resume=resume)
        else:
            rule = course.by_ppo(plan, steps, _tell, out.with_suffix(".zip"), resume=resume)
    except HistoryError as problem:
        raise ConfigError(str(problem)) from None
    save(rule, out)
    _show(rule, out)
    return OK


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _show(rule: LearnedRule, out: Path) -> None:
    """Print the card."""
    card = rule.card
    rows = [[one.name, f"{one.cost * 1e4:.2f}"] for one in sorted(card.scores, key=lambda one: one.cost)]
    print_table(["rule", "bp a year"], rows, f"Out of sample, {card.tested}; trained on {card.trained}")
    click.echo(f"learned by {card.learner} in {card.budget_s:.1f} s, seed {card.seeds[0]}: {out}")
    click.echo(card.verdict() or "it beats the default rule beyond chance")


COMMANDS = {"train": train}
