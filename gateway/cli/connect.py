"""How a command reaches the gateway's Redis, and how it prints and writes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.root import Context
from gateway.client import GatewayClient
from gateway.config import GatewayConfig, load
from gateway.errors import ConfigError, StoreUnavailable
from gateway.runtime.connect import view_client
from gateway.runtime.embedded import EmbeddedServer, is_answering, socket_path
from gateway.runtime.wire import encode_json

T = TypeVar("T")
as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON for programs.")


def client_of(config: GatewayConfig, key_id: str = "") -> GatewayClient:
    """Return a client of the configured Redis; the embedded one must be running."""
    key = config.signing.keys[key_id].get_secret_value() if key_id else ""
    if url := config.redis.url.get_secret_value():
        return GatewayClient(url, config.household, key=key, key_id=key_id or "default")
    if not is_answering(socket_path(config.state_folder)):
        raise StoreUnavailable(
            f"no embedded Redis answers in {config.state_folder}: start it with `gateway run` "
            "(or `gateway redis`), or set redis.url"
        )
    return GatewayClient(config.state_folder, config.household, key=key, key_id=key_id or "default")


@contextlib.asynccontextmanager
async def redis_of(config: GatewayConfig) -> AsyncIterator[Any]:
    """Give a client that reads the configured Redis, once it answers."""
    async with client_of(config):
        redis = view_client(config.redis.url.get_secret_value() or EmbeddedServer(config.state_folder).url)
        try:
            yield redis
        finally:
            await redis.aclose()


def with_client(context: Context, work: Callable[[GatewayClient], Awaitable[T]], key_id: str = "") -> T:
    """Run `work` with a client of the configured gateway."""
    config = load(context.config_path)
    if key_id and key_id not in config.signing.keys:
        raise ConfigError(f"signing key {key_id} is not known: set GATEWAY_SIGNING__KEYS__{key_id}")

    async def run() -> T:
        async with client_of(config, key_id) as client:
            return await work(client)

    return asyncio.run(run())


def only_account(config: GatewayConfig, account: str) -> str:
    """Return the account named, or the only one there is."""
    if account:
        return known_account(config, account)
    if len(config.accounts) == 1:
        return next(iter(config.accounts))
    raise ConfigError(f"which account? give --account, one of {', '.join(sorted(config.accounts))}")


def known_account(config: GatewayConfig, account: str) -> str:
    """Return the account named; raises `ConfigError` when there is no such account."""
    if account not in config.accounts:
        raise ConfigError(f"--account: {account} is not known; known: {', '.join(sorted(config.accounts))}")
    return account


def print_json(value: object) -> None:
    """Print one JSON document."""
    click.echo(encode_json(value).decode())


def print_table(header: list[str], rows: list[list[Any]], title: str = "") -> None:
    """Print rows under a header; the first column to the left, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(line[at]) for line in [header, *cells]) for at in range(len(header))]
    is_number = [all(_is_number(line[at]) for line in cells) if cells else False for at in range(len(header))]
    if title:
        click.secho(f"\n{title}", bold=True)
    for number, line in enumerate([header, *cells]):
        text = "  ".join(
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(line, widths, is_number, strict=True)
        )
        click.secho(text.rstrip(), dim=number == 0)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    return not text or text.replace(",", "").replace("%", "").lstrip("+-").replace(".", "", 1).isdigit()


def write_file(path: Path, text: str) -> None:
    """Write a whole file or none of it, and the folders above it; raises `ConfigError`."""
    is_elsewhere = path.is_symlink() or (path.exists() and not path.is_file())  # /dev/stdout: never replaced
    part = path if is_elsewhere else path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        if part != path:
            part.replace(path)
    except OSError as problem:
        raise ConfigError(f"{path}: cannot be written ({problem.strerror}); choose another file") from None


def make_folder(folder: Path, option: str) -> None:
    """Make the folder an option names, before anything long or costly begins; raises `ConfigError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        text = f"{folder} cannot be made ({problem.strerror}); choose another place"
        raise ConfigError(f"{option}: {text}") from None


def read_text(path: str) -> str:
    """Read a file, or standard input for `-`."""
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "is not UTF-8 text"
        raise ConfigError(f"{path}: {reason}; give a CSV or JSON file, or - for standard input") from None
