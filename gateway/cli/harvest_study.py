"""`gateway harvest-study FILE`: what harvesting losses brings after tax, begun in every year of a history.

The file is a backtest's with a `[study]`; its only run says how harvesting is judged. Vintages are played
side by side in as many processes as there are processors.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path
from typing import Any

import click

from gateway.cli.backtest import leave_interrupts, write_wanted
from gateway.cli.backtest_file import read_file
from gateway.cli.backtest_household import taxed_first
from gateway.cli.connect import print_table
from gateway.cli.root import OK
from gateway.errors import ConfigError
from gateway.views.harvest_page import render
from simulator.backtest import vintages
from simulator.backtest.taxes import Elsewhere
from simulator.backtest.vintages import TWIN, VARIANTS, Plan, Played, Variant

BP = 1e4


@click.command("harvest-study")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--every", type=click.IntRange(1), default=1, show_default=True, help="Begin one in so many years."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True, help="Processes."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the page here."
)
def harvest_study(file: Path, every: int, jobs: int, json_file: Path | None, html_file: Path | None) -> int:
    """Measure tax-loss harvesting: the same portfolio with and without it, by year of its beginning."""
    described = read_file(file)
    plan = plan_of(file)
    years = plan.vintages()[::every]
    if not years:
        raise ConfigError(f"study.horizon_years: {described.history} has no {plan.years} whole years")
    data = {"title": described.title, **vintages.summed(plan, _played(file, years, jobs))}
    show(data)
    write_wanted(data, json_file, html_file, render)
    return OK


@lru_cache(maxsize=1)
def plan_of(file: Path) -> Plan:
    """Read what is studied; raises `ConfigError`."""
    described = read_file(file)
    if len(described.runs) != 1:
        raise ConfigError(f"{file}: runs: a study has one run, which says how harvesting is judged")
    (name,) = described.runs
    bars = described.bars()
    settings = described.settings(name, bars)
    scenario = described.scenario(settings, bars)
    account = described.study.account or taxed_first(settings.accounts)
    if account not in settings.accounts or not settings.accounts[account].taxable:
        taxed = ", ".join(one for one, known in settings.accounts.items() if known.taxable) or "none"
        raise ConfigError(f"{file}: study.account: must be one that is taxed; there are {taxed}")
    if held := [one.account for one in scenario.opening if one.lots]:
        text = "a study begins every year, and lots have one date; write opening_cash"
        raise ConfigError(f"{file}: accounts.{held[0]}.opening_lots: {text}")
    opened = next(one for one in scenario.opening if one.account == account)
    share = described.study.elsewhere * opened.cash
    return Plan(
        bars, settings, scenario, account, scenario.wanted[account], described.study.horizon_years,
        described.study.looks_every, Elsewhere(share, share), described.holders(name), described.filing,
        described.dividend_rate,
    )  # fmt: skip


def one(file: Path, vintage: int, variant: Variant) -> Played:
    """Play one vintage; the processes share the file, not its contents."""
    return vintages.play(plan_of(file), vintage, variant)


def _played(file: Path, years: list[int], jobs: int) -> dict[tuple[int, str], Played]:
    wanted = [(year, variant) for year in years for variant in (TWIN, *VARIANTS)]
    found: dict[tuple[int, str], Played] = {}
    with ProcessPoolExecutor(jobs, initializer=leave_interrupts) as pool:
        waiting = {pool.submit(one, file, year, variant): (year, variant.name) for year, variant in wanted}
        try:
            for done in as_completed(waiting):
                found[waiting[done]] = done.result()
                click.echo(f"\r{len(found)} of {len(wanted)} portfolios played", nl=False, err=True)
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt ends what has not begun
    click.echo("", err=True)
    return found


def show(data: dict[str, Any]) -> None:
    """Print the after-tax alpha of every variant, and what was published."""
    rows = []
    for variant in data["variants"]:
        for what in ("sold", "held", "before_tax"):
            mean, spread = variant["mean"][what], variant["spread"][what]
            figures = [mean[key] * BP for key in ("value", "low", "high")]
            figures += [spread[key] * BP for key in ("lowest", "median", "highest")]
            rows.append(
                [variant["name"], what, *(f"{one:+.1f}" for one in figures), f"{variant['swaps']:.0f}"]
            )
    header = ["variant", "what", "mean", "low", "high", "lowest", "median", "highest", "swaps"]
    first, last = data["vintages"][0], data["vintages"][-1]
    title = f"Tax alpha and luck before tax, bp a year over {data['years']} years, begun {first} to {last}"
    print_table(header, rows, title)
    rows = [
        [one["gains"], what, *(f"{found[key] * BP:+.1f}" for key in ("value", "low", "high"))]
        for one in data["differences"]
        for what, found in one["found"].items()
    ]
    print_table(
        ["gains", "what", "difference", "low", "high"], rows, "Without the wash-sale rule less with it"
    )
    published = [[one["who"], f"{one['alpha'] * BP:.0f}"] for one in data["published"]]
    print_table(["published", "bp a year"], published)
    for variant in data["variants"]:
        if variant["halted"]:
            click.echo(f"{variant['name']}: halted: {variant['halted'][0]}", err=True)


COMMANDS = {"harvest-study": harvest_study}
