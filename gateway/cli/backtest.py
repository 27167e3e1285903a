"""`gateway backtest FILE`: policies side by side over real history, through the engine that trades.

This, `gateway demo` and `gateway certify` are the only commands that import the simulator.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import Manager, get_context
from multiprocessing.managers import DictProxy
from pathlib import Path
from typing import Any

import click

from gateway.cli.backtest_file import BacktestFile, read_file
from gateway.cli.connect import print_table, write_file
from gateway.cli.root import OK
from gateway.errors import ConfigError
from gateway.runtime.clock import monotonic_s
from gateway.views.tearsheet import render
from simulator.backtest.bars import Bars
from simulator.backtest.forward import walked
from simulator.backtest.limits import stated
from simulator.backtest.measure import Measure
from simulator.backtest.outcome import Outcome, as_data, outcome_of
from simulator.backtest.runner import Run

SHOWN_EVERY_S = 0.2
BP = 1e4
KEPT = ("put_off", "lost")
WALKED = ("before", "after", "reference")


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
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, show_default=True, help="Processes."
)
def backtest(
    file: Path, only: tuple[str, ...], json_file: Path | None, html_file: Path | None, jobs: int
) -> int:
    """Play policies side by side over history: after cost, after tax, with intervals for every difference."""
    described = read_file(file)
    unknown = sorted(set(only) - set(described.runs))
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: no such run; there are {', '.join(described.runs)}")
    bars = described.bars()
    click.echo(
        f"{described.title}: {len(bars)} days of {len(bars.symbols)} names, {bars.days[0]} to {bars.days[-1]}"
    )
    names = [name for name in described.runs if not only or name in only]
    for name in names:
        described.scenario(
            described.settings(name, bars), bars
        )  # a mistake is told before anything is played
    outcomes = played(file, names, jobs)
    data = {
        "title": described.title,
        "history": described.history,
        "limits": stated(
            bars,
            described.fills,
            described.kept_dividends(),
            outcomes,
            is_taxed=described.taxes,
            has_volume=described.has_volume(bars),
        ),
        **as_data(outcomes, described.split),
        "forward": walked(outcomes, described.walk_forward_years),
    }
    show(data)
    write_wanted(data, json_file, html_file, render)
    return OK


def write_wanted(
    data: dict[str, Any],
    json_file: Path | None,
    html_file: Path | None,
    render: Callable[[dict[str, Any]], str],
) -> None:
    """Write the figures and the page where they are wanted; raises `ConfigError`."""
    if json_file is not None:
        write_file(json_file, json.dumps(data, indent=1, default=str))
        click.echo(f"figures: {json_file}")
    if html_file is not None:
        write_file(html_file, render(data))
        click.echo(f"page: {html_file}")


def played(file: Path, names: Sequence[str], jobs: int) -> list[Outcome]:
    """Play runs side by side, in as many processes as are asked for, with progress; return them in order."""
    if min(jobs, len(names)) == 1:
        described = read_file(file)
        bars = described.bars()
        shown = Shown()
        return [play(described, name, bars, shown.tell) for name in names]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, or processes outlive it
    try:
        return _played_apart(file, names, jobs)
    finally:
        signal.signal(signal.SIGTERM, before)


def _played_apart(file: Path, names: Sequence[str], jobs: int) -> list[Outcome]:
    apart = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=leave_interrupts)
    with apart as pool, Manager() as manager:  # ended early, it takes `done` away: what still plays stops
        done = manager.dict()
        waiting = [pool.submit(play_apart, file, name, done) for name in names]
        shown = Shown()
        while wait(waiting, timeout=SHOWN_EVERY_S).not_done:
            shown.draw(dict(done))
        shown.draw({})
        return [one.result() for one in waiting]


def leave_interrupts() -> None:
    """Let Ctrl-C end the command alone: it ends the processes it began."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def play_apart(file: Path, name: str, done: DictProxy[str, str]) -> Outcome:
    """Play one run in a process of its own, and say in `done` how far it is."""
    described = read_file(file)

    def tell(name: str, text: str) -> None:
        try:
            done[name] = text
        except (OSError, EOFError):  # whoever began this is gone, and nobody waits for its end
            os.kill(os.getpid(), signal.SIGTERM)

    outcome = play(described, name, described.bars(), tell)
    done.pop(name, None)
    return outcome


class Shown:
    """Draw on one line of the terminal how far runs are."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._drawn = ""

    def tell(self, name: str, text: str) -> None:
        """Show one run alone."""
        self.draw({name: text})

    def draw(self, done: Mapping[str, str]) -> None:
        """Show all of them; none clears the line."""
        line = ", ".join(f"{name}: {text}" for name, text in done.items())
        if self._is_terminal and line != self._drawn:
            self._drawn = line
            click.echo(f"\r\x1b[2K{line}", nl=False, err=True)


def play(described: BacktestFile, name: str, bars: Bars, tell: Callable[[str, str], None]) -> Outcome:
    """Play one run to its end; `tell` hears its name and how far it is, a few times a second."""
    settings = described.settings(name, bars)
    run = Run(bars, settings, described.scenario(settings, bars))
    measure = Measure(
        run, pays_taxes=described.taxes, holders=described.holders(name), filing=described.filing,
        dividend_rate=described.dividend_rate,
    )  # fmt: skip
    after_tax = []
    month = bars.days[0].month
    last = len(bars) - 1
    begun = shown = monotonic_s()
    for n, present in enumerate(run):
        measure.take(present)
        on = present.day.on
        if on.month != month or n == last:
            month = on.month
            after_tax.append((on, measure.after_tax_by(present)))
        if (now := monotonic_s()) - shown > SHOWN_EVERY_S:
            shown = now
            tell(name, f"{n + 1} of {len(bars)} days, {on}")
    took = monotonic_s() - begun
    end = "\r\x1b[2K" if sys.stderr.isatty() else ""
    click.echo(f"{end}{name}: {len(bars)} days in {took:.1f} s", err=True)
    return outcome_of(name, measure, after_tax, described.reference(name))


def show(data: dict[str, Any]) -> None:
    """Print the figures of every run, of the household and account by account, and what differs."""
    views = [data, *data["accounts"]]
    for view in views:
        of = f" of {view['account']}" if len(views) > 1 else ""
        _show_figures(view, of)
        _show_differences(view, of)
    for run in data["runs"]:
        if run["halted"]:
            click.echo(f"{run['name']} was halted: {'; '.join(run['halted'].values())}", err=True)
    if rows := [
        [
            run["name"],
            one["sold_in"],
            one["bought_in"],
            str(one["times"]),
            *(f"{one[key]:,.0f}" for key in KEPT),
        ]
        for run in data["runs"]
        for one in run["washed"]
    ]:
        header = ["run", "sold in", "bought in", "times", "put off", "lost for good"]
        print_table(header, rows, "Losses washed by purchases of the household")
    if data["forward"]:
        _show_forward(data["forward"])


def _show_figures(view: dict[str, Any], of: str) -> None:
    rows = []
    for run in view["runs"]:
        for part, one in run["figures"].items():
            after_tax = f"{run['after_tax']:,.0f}" if part == "all" else ""
            rates = [f"{one[name]:.2%}" for name in ("growth", "volatility", "turnover", "drift")]
            shares = [f"{one[name] * BP:.1f}" for name in ("cost", "tax")]
            rows.append([run["name"], part, *rates, *shares, f"{one['end']:,.0f}", after_tax])
    header = ["run", "days", "growth", "vol", "turnover", "drift", "cost bp", "tax bp", "wealth", "after tax"]
    print_table(header, rows, f"A year{of}, after cost and taxes paid")


def _show_differences(view: dict[str, Any], of: str) -> None:
    rows = [
        [gap["run"], gap["against"], what, *(f"{one[key] * BP:+.1f}" for key in ("value", "low", "high"))]
        for gap in view["differences"]
        for what, one in gap["found"].items()
    ]
    if rows:
        header = ["run", "against", "what", "difference", "low", "high"]
        print_table(header, rows, f"Differences{of}, bp a year, 95 %")


def _show_forward(forward: dict[str, Any]) -> None:
    rows = [
        [f"{one['first']} to {one['last']}", one["chosen"], *(f"{one[key]:.2%}" for key in WALKED)]
        for one in forward["folds"]
    ]
    header = ["days after", "chosen", "before", "after", f"{forward['against']} after"]
    print_table(header, rows, "Walked forward: growth of the run that had grown most before")
    gap = forward["difference"]
    value, low, high = (f"{gap[key] * BP:+.1f}" for key in ("value", "low", "high"))
    click.echo(f"against {forward['against']}: {value} bp a year, 95 % {low} to {high}")


COMMANDS = {"backtest": backtest}
