"""The execution style of one request, as options of `gateway submit` and `gateway preview`."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Any

import click

from gateway.domain.schedule import MAX_STEPS, ChaseEnd, Style
from gateway.errors import InvalidTargets

STYLES, ENDS = [one.value for one in Style], [one.value for one in ChaseEnd]
STEPS = click.IntRange(1, MAX_STEPS)
OPTIONS = (
    click.option("--style", type=click.Choice(STYLES), help="How to work it; else as the account has it."),
    click.option("--duration", "duration_s", help="twap, vwap: seconds to spread it over."),
    click.option("--slices", type=STEPS, help="twap: in how many slices."),
    click.option("--volume-curve", help="vwap: weights of equal parts of the time, like 3,1,2."),
    click.option("--chase-interval", "chase_interval_s", help="chase: seconds between two looks."),
    click.option("--chase-step-bps", help="chase: leave a limit alone that is nearer than this."),
    click.option("--chase-limit-bps", help="chase: never go further than this."),
    click.option("--chase-steps", type=STEPS, help="chase: how often to look."),
    click.option("--chase-end", type=click.Choice(ENDS), help="chase: what becomes of the rest."),
)
NAMES = (
    "style", "duration_s", "slices", "volume_curve", "chase_interval_s", "chase_step_bps", "chase_limit_bps",
    "chase_steps", "chase_end",
)  # fmt: skip


def execution_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of every style; it takes what was said as `execution`, a dict."""

    @wraps(command)
    def with_execution(*args: Any, **words: Any) -> int:
        said = {name: words.pop(name) for name in NAMES}
        return command(*args, execution=written_as_said(said), **words)

    for option in reversed(OPTIONS):
        with_execution = option(with_execution)
    return with_execution


def written_as_said(said: dict[str, Any]) -> dict[str, Any]:
    """Return what was said, the curve as a list of numbers."""
    found = {name: value for name, value in said.items() if value is not None}
    if "volume_curve" in found:
        try:
            found["volume_curve"] = [Decimal(part.strip()) for part in found["volume_curve"].split(",")]
        except InvalidOperation:
            raise InvalidTargets("--volume-curve", "is no list of numbers: write 3,1,2") from None
    return found
