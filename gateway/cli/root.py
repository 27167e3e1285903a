"""The root of the command tree, its options and its exit codes."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gateway.errors import (
    ConfigError,
    Fenced,
    GatewayError,
    InvalidTargets,
    LeaseHeld,
    StoreError,
    StoreUnavailable,
)

EXIT_CODES = """\b
Exit codes:
  0   done; for `submit --wait`: the request reached its end and was not refused
  1   a check did not hold (replay differs, the demo's books differ, a row of `certify` failed)
  2   wrong usage, configuration or input: the message names the option, key or field
  3   the request was rejected, failed or expired; for `--wait`: its orders were not all sent
  4   no answer: Redis or the gateway is not running, or the wait timed out
  5   another gateway holds the household, or took it over
  70  a fault of the gateway itself; please report it with the log
  130 interrupted
"""

DEFAULT_CONFIG = Path("config/gateway.toml")
OK, DIFFERS, USAGE, REFUSED, NO_ANSWER, TAKEN, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130


@dataclass(slots=True)
class Context:
    """Hold what every command shares."""

    config_path: Path


class Commands(click.Group):
    """Load each command's module only when it is asked for."""

    places = {  # noqa: RUF012 - click reads it as plain data
        "run": "run", "redis": "run",
        "submit": "submit", "preview": "submit", "prices": "submit", "harvest": "harvest",
        "halt": "command", "resume": "command", "approve": "command", "cancel": "command",
        "settle": "command", "spin-off": "command", "return-capital": "command",
        "status": "read", "orders": "read", "book": "read", "request": "read", "news": "read",
        "rejected": "read", "replay": "replay", "schema": "read", "config": "read", "venues": "venues",
        "report": "report", "alerts": "report", "tax": "tax",
        "certify": "certify", "demo": "demo",
        "backtest": "backtest", "harvest-study": "harvest_study", "train": "train", "no-trade": "no_trade",
    }  # fmt: skip

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, in the order of a working day."""
        del ctx
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds a command."""
        del ctx
        place = self.places.get(cmd_name)
        if place is None:
            return None
        module = __import__(f"gateway.cli.{place}", fromlist=["COMMANDS"])
        found: dict[str, click.Command] = module.COMMANDS
        command = found[cmd_name]
        if not any(option.name == "config_here" for option in command.params):
            command.params.append(_config_here())
        return command


def _config_here() -> click.Option:
    """Let `--config` stand after the command's name, too."""
    return click.Option(
        ["--config", "config_here"], type=click.Path(path_type=Path, dir_okay=False), expose_value=False,
        help="The configuration file.", callback=_use_config,
    )  # fmt: skip


def _use_config(ctx: click.Context, option: click.Parameter, value: Path | None) -> None:
    del option
    if value is not None:
        ctx.obj = Context(value)


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), envvar="GATEWAY_CONFIG",
    default=DEFAULT_CONFIG, show_default=True, help="The configuration file.",
)  # fmt: skip
@click.version_option(package_name="rebalance-gateway")
@click.pass_context
def root(ctx: click.Context, config_path: Path) -> None:
    """Turn target portfolio weights into orders at real brokers, and prove what happened to each.

    \b
    A first look:          gateway demo
    Run it:                gateway --config config/gateway.toml run
    Submit target weights: gateway submit config/example/targets.csv --account main --wait
    See what it would do:  gateway preview config/example/targets.csv --account main
    Losses worth taking:   gateway harvest --account main
    Stop everything:       gateway halt --cancel
    """  # noqa: D301 - click reads a real backspace
    ctx.obj = Context(config_path)


def exit_code(problem: BaseException) -> int:
    """Return the documented exit code of a problem."""
    if isinstance(problem, (ConfigError, InvalidTargets)):
        return USAGE
    if isinstance(problem, (LeaseHeld, Fenced)):
        return TAKEN
    if isinstance(problem, (StoreUnavailable, StoreError, TimeoutError)):
        return NO_ANSWER
    return FAULT


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; every error a user can cause is one sentence on standard error."""
    try:
        code: Any = root.main(arguments, prog_name="gateway", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as problem:
        problem.show()
        return USAGE
    except (GatewayError, TimeoutError) as problem:
        click.echo(f"gateway: {problem}", err=True)
        return exit_code(problem)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code if isinstance(code, int) else OK
