"""`gateway backtest FILE`: policies side by side over real history, through the engine that trades.

This, `gateway demo` and `gateway certify` are the only commands that import the simulator.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from gateway.cli.backtest_file import ACCOUNT, BacktestFile, read_file
from gateway.cli.connect import print_table
from gateway.cli.root import OK
from gateway.errors import ConfigError
from gateway.runtime.clock import monotonic_s
from gateway.views.tearsheet import render
from simulator.backtest.bars import Bars
from simulator.backtest.limits import stated
from simulator.backtest.measure import Measure
from simulator.backtest.outcome import Outcome, as_data, outcome_of
from simulator.backtest.runner import Run

SHOWN_EVERY_S = 0.2


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--only", multiple=True, metavar="NAME", help="Play this run alone; may be given more than once."
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the tearsheet here."
)
def backtest(file: Path, only: tuple[str, ...], json_file: Path | None, html_file: Path | None) -> int:
    """Play policies side by side over history: after cost, after tax, with intervals for every difference."""
    described = read_file(file)
    unknown = sorted(set(only) - set(described.runs))
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: no such run; there are {', '.join(described.runs)}")
    bars = described.bars()
    click.echo(
        f"{described.title}: {len(bars)} days of {len(bars.symbols)} names, {bars.days[0]} to {bars.days[-1]}"
    )
    outcomes = [play(described, name, bars) for name in described.runs if not only or name in only]
    data = {
        "title": described.title,
        "history": described.history,
        "limits": stated(bars, described.fills, described.dividends, outcomes, is_taxed=described.taxes),
        **as_data(outcomes, ACCOUNT, described.split),
    }
    show(data)
    if json_file is not None:
        write(json_file, json.dumps(data, indent=1, default=str))
        click.echo(f"figures: {json_file}")
    if html_file is not None:
        write(html_file, render(data))
        click.echo(f"tearsheet: {html_file}")
    return OK


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it; raises `ConfigError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be written ({problem.strerror}); give another place") from None


def play(described: BacktestFile, name: str, bars: Bars) -> Outcome:
    """Play one run to its end, with progress."""
    settings = described.settings(name, bars)
    run = Run(bars, settings, described.scenario(settings, bars))
    measure = Measure(run, pays_taxes=described.taxes)
    after_tax = []
    month = bars.days[0].month
    last = len(bars) - 1
    begun = shown = monotonic_s()
    for n, present in enumerate(run):
        measure.take(present)
        on = present.day.on
        if on.month != month or n == last:
            month = on.month
            after_tax.append((on, measure.after_tax(present)))
        if (now := monotonic_s()) - shown > SHOWN_EVERY_S and sys.stderr.isatty():
            shown = now
            click.echo(f"\r\x1b[2K{name}: {n + 1} of {len(bars)} days, {on}", nl=False, err=True)
    took = monotonic_s() - begun
    end = "\r\x1b[2K" if sys.stderr.isatty() else ""
    click.echo(f"{end}{name}: {len(bars)} days in {took:.1f} s", err=True)
    return outcome_of(name, measure, after_tax)


def show(data: dict[str, Any]) -> None:
    """Print the figures of every run, and what differs from the first."""
    rows = []
    for run in data["runs"]:
        for part, one in run["figures"].items():
            after_tax = f"{run['after_tax']:,.0f}" if part == "all" else ""
            rates = [f"{one[name]:.2%}" for name in ("growth", "volatility", "turnover", "drift")]
            shares = [f"{one[name] * 1e4:.1f}" for name in ("cost", "tax")]
            rows.append([run["name"], part, *rates, *shares, f"{one['end']:,.0f}", after_tax])
        if run["halted"]:
            click.echo(f"{run['name']} was halted: {'; '.join(run['halted'].values())}", err=True)
    header = ["run", "days", "growth", "vol", "turnover", "drift", "cost bp", "tax bp", "wealth", "after tax"]
    print_table(header, rows, "A year, after cost and taxes paid")
    differences = [
        [name, what, *(f"{found[key] * scale:+.{places}f}" for key in ("value", "low", "high")), unit]
        for name, found_all in data["differences"].items()
        for what, found in found_all.items()
        for scale, places, unit in [(1e4, 1, "bp a year")]
    ]
    if differences:
        print_table(
            ["run", "what", "difference", "low", "high", ""], differences, f"Against {data['against']}, 95 %"
        )


COMMANDS = {"backtest": backtest}
