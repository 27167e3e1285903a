"""`gateway no-trade PROBLEM`: solve one no-trade problem from the command line, with nothing running."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
import numpy as np

from gateway.cli.connect import as_json
from gateway.cli.root import OK
from gateway.decision import no_trade as zone

PROBLEMS: dict[str, Callable[..., Any]] = {
    "power": zone.power_band,
    "consumption": zone.consumption_band,
    "tracking": zone.tracking_band,
    "threshold": zone.tracking_threshold,
    "calendar": zone.tracking_calendar,
    "fixed": zone.fixed_band,
    "region": zone.region_trade,
    "partial": zone.partial_trade,
    "amortised": zone.amortised,
}
LEADING_POINT = re.compile(r"(?<!\d)\.(?=\d)")


@click.group("no-trade", invoke_without_command=False)
def no_trade() -> None:
    """Solve a no-trade problem: parameters in, edges and value out; see gateway/decision/no_trade.

    Numbers are given as such, vectors and matrices as JSON: --covariance '[[0.04, 0.01], [0.01, 0.09]]'.
    """


def _read(ctx: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Read a number or a JSON array; `.5` may stand for 0.5 in either."""
    del ctx
    if value is None:
        return None
    try:
        found = np.array(json.loads(LEADING_POINT.sub("0.", value)), dtype=float)
    except (ValueError, TypeError) as problem:
        raise click.BadParameter(f"{value!r} is neither a number nor a JSON array", param=option) from problem
    return float(found) if found.ndim == 0 else found


def _read_number(ctx: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Read a number where an array would mean nothing."""
    found = _read(ctx, option, value)
    if isinstance(found, np.ndarray):
        raise click.BadParameter(f"{value!r} is an array; one number is asked for", param=option)
    return found


def _command(name: str, solve: Callable[..., Any]) -> click.Command:
    """Make the command of one problem: an option a parameter."""
    options: list[click.Parameter] = [
        click.Option(
            [f"--{key.strip('_').replace('_', '-')}", key],
            required=one.default is inspect.Parameter.empty,
            callback=_read if "Array" in one.annotation else _read_number,
            metavar="JSON" if "Array" in one.annotation else "NUMBER",
        )
        for key, one in inspect.signature(solve).parameters.items()
    ]

    def run(*, is_json: bool, **values: Any) -> int:
        try:
            found = solve(**{key: value for key, value in values.items() if value is not None})
        except ValueError as problem:
            raise click.UsageError(str(problem)) from problem
        shown = {key: _plain(value) for key, value in asdict(found).items()}
        if is_json:
            click.echo(json.dumps(shown, allow_nan=False))
        else:
            for key, value in shown.items():
                click.echo(f"{key:22s} {value}")
        return OK

    command = click.Command(name, params=options, callback=run, help=inspect.getdoc(solve))
    return as_json(command)


def _plain(value: Any) -> Any:
    """Turn arrays into lists, and what no number is (no limit, no trade ever) into null."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


for _name, _solve in PROBLEMS.items():
    no_trade.add_command(_command(_name, _solve))

COMMANDS = {"no-trade": no_trade}
