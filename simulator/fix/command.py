"""`python -m simulator fix`: start the acceptor from the command line and stop it politely.

User errors (an option that cannot be honoured) give one line naming the option and the remedy, and exit 2.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import logging
import os
import signal
import ssl
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, runtime_checkable

from simulator.accounts import SettingError
from simulator.fix.acceptor import Acceptor
from simulator.fix.application import Application, Hosted
from simulator.fix.dialects import DIALECTS
from simulator.fix.dictionary import FILES, DictionaryMissingError
from simulator.fix.echo import Echo
from simulator.fix.hours import Hours, WindowError, read_window
from simulator.fix.logon import MAX_HEARTBEAT_S
from simulator.fix.message import SessionId
from simulator.fix.store import FileStore, MemoryStore, Store, StoreError
from simulator.fix.terms import SessionConfig
from simulator.tls import TlsUnavailable, server_context

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAX_PORT = 65_535
_PAUSE_S = 0.01
_GC_THRESHOLD = (100_000, 50, 100)
"""Rarer than Python's own: what a venue remembers is never garbage, and looking costs a tenth of the time."""

_VENUE = "simulator.fix.venue_app"


class UsageError(Exception):
    """Say which option cannot be honoured, and what to do."""


@runtime_checkable
class Directed(Protocol):
    """Optional: an application that may end its process.

    `direct(None)` ends it for good; `direct(seconds)` ends it as a crash does, to begin again later.
    """

    direct: Callable[[float | None], None] | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see: python -m simulator fix --help")


def parser(profile: str) -> argparse.ArgumentParser:
    """Describe the options; the venue profile adds its own."""
    options = _Parser(prog="python -m simulator fix", description="Run a FIX 4.2 / 4.4 acceptor.")
    add = options.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    add("--port", type=int, default=0, help="port to listen on; 0 lets the system choose")
    add(
        "--profile",
        choices=("echo", "venue"),
        default="echo",
        help="what answers: echo, or a venue, whose options `--profile venue --help` lists",
    )
    add("--comp-id", required=True, help="our SenderCompID(49)")
    add("--accept", action="append", required=True, metavar="BEGIN:COMPID", help="a session; repeat for more")
    add("--reset-on-logon", action="store_true", help="begin both sequences at 1 at every Logon(A)")
    add("--store", type=Path, metavar="DIR", help="remember sessions over a restart in this folder")
    add("--username", help="Username(553) every Logon(A) must carry")
    add("--password-file", type=Path, metavar="FILE", help="file whose first line Password(554) must match")
    add("--heartbeat", type=int, metavar="SECONDS", help="HeartBtInt(108) to impose instead of the peer's")
    add(
        "--check-user-tags",
        action="store_true",
        help="refuse tags from 5000 up as undefined (echo always does)",
    )
    add("--tls", type=Path, metavar="DIR", help="speak TLS; clients must trust DIR/ca.pem, made when missing")
    add(
        "--maintenance",
        metavar="HH:MM-HH:MM",
        help="daily, UTC: sessions end at its start, none begins in it",
    )
    add("--verbose", action="store_true", help="tell on stderr who logs on and why connections end")
    if profile == "venue":
        importlib.import_module(_VENUE).add_options(options)
    return options


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    gc.set_threshold(*_GC_THRESHOLD)
    try:
        options = parser(_profile(arguments)).parse_args(arguments)
        logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, stream=sys.stderr)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(options))
    except (UsageError, SettingError, StoreError, DictionaryMissingError) as error:
        sys.stderr.write(f"simulator fix: {error}\n")
        return 2
    return 0


def _profile(arguments: Sequence[str]) -> str:
    """Read --profile before anything else, because it decides which options exist."""
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--profile", default="echo")
    return str(early.parse_known_args(list(arguments))[0].profile)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Prefer uvloop when it is installed."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return asyncio.new_event_loop
    return factory


async def _serve(options: argparse.Namespace) -> None:
    """Run one world after another: a restart begins again from the store, on the same ports."""
    loop = asyncio.get_running_loop()
    is_first = True
    down_s: float | None = 0.0
    while down_s is not None:
        ended: asyncio.Future[float | None] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _end, ended, None)
        loop.set_exception_handler(partial(_crash, ended))
        if not is_first:
            await asyncio.wait([ended], timeout=max(down_s, _PAUSE_S))
        down_s = ended.result() if ended.done() else await _run(options, ended, is_first=is_first)
        is_first = False


async def _run(
    options: argparse.Namespace, ended: asyncio.Future[float | None], *, is_first: bool
) -> float | None:
    """Run one world to its end: None for good, or the seconds until the next one begins."""
    acceptor, application = build(options)
    try:
        await acceptor.start()
    except OSError as error:
        acceptor.abandon()
        raise UsageError(
            f"--host {options.host} --port {options.port} cannot be listened on ({_reason(error)}); "
            "choose another address, or --port 0"
        ) from None
    hosted = application if isinstance(application, Hosted) else None
    if isinstance(application, Directed):
        application.direct = partial(_end, ended)
    host, port = acceptor.address
    try:
        if hosted is not None:
            await _host(hosted, acceptor, options)
        if is_first:
            control_port = hosted.control_port if hosted is not None else None
            where = {"host": host, "port": port, "control_port": control_port}
            sys.stdout.write(json.dumps({"listening": where}) + "\n")
            sys.stdout.flush()
        down_s = await ended
    except BaseException:
        acceptor.abandon()
        raise
    if down_s is None:
        await acceptor.stop()
    else:
        acceptor.abandon()
        options.port = port
    if hosted is not None:
        await hosted.stop()
    return down_s


async def _host(hosted: Hosted, acceptor: Acceptor, options: argparse.Namespace) -> None:
    """Start what an application runs beside the acceptor, on the same port at every restart."""
    try:
        await hosted.start(acceptor)
    except OSError as error:
        raise UsageError(
            f"--control-port {options.control_port} cannot be listened on ({_reason(error)}); "
            "choose another, or 0"
        ) from None
    if hosted.control_port is not None:
        options.control_port = hosted.control_port


def _reason(error: OSError) -> str:
    """Say in the system's words what went wrong, without asyncio's around them."""
    return os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)


def _end(ended: asyncio.Future[float | None], down_s: float | None) -> None:
    if not ended.done():
        ended.set_result(down_s)


def _crash(
    ended: asyncio.Future[float | None],
    loop: asyncio.AbstractEventLoop,  # noqa: ARG001 - asyncio's signature
    context: dict[str, Any],
) -> None:
    """End the process on an error nobody handled: a bug must not look like a quiet venue."""
    error = context.get("exception") or RuntimeError(context.get("message"))
    if not ended.done():
        ended.set_exception(error)


def build(
    options: argparse.Namespace, application: Application | None = None
) -> tuple[Acceptor, Application]:
    """Make the acceptor, and what answers behind it unless that is given."""
    if not 0 <= options.port <= _MAX_PORT:
        raise UsageError(f"--port {options.port} is no port; give a number from 0 to {_MAX_PORT}")
    if options.heartbeat is not None and not 0 <= options.heartbeat <= MAX_HEARTBEAT_S:
        raise UsageError(
            f"--heartbeat {options.heartbeat} is no interval; "
            f"give seconds up to {MAX_HEARTBEAT_S}, or 0 for none"
        )
    if not _is_name(options.comp_id):
        raise UsageError(f"--comp-id {options.comp_id!r} is no name; give printable ASCII")
    configs = [_session(options, item, _password(options.password_file)) for item in options.accept]
    if application is None:
        is_venue = options.profile == "venue"
        application = importlib.import_module(_VENUE).from_options(options) if is_venue else Echo()
    acceptor = Acceptor(
        application,
        configs,
        host=options.host,
        port=options.port,
        store=_store(options),
        interference=getattr(application, "interference", None),
        check_user_tags=options.check_user_tags or options.profile == "echo",
        tls=_tls(options.tls),
        hours=_hours(options.maintenance),
    )
    return acceptor, application


def _is_name(text: str) -> bool:
    """Tell whether FIX can carry a CompID."""
    return bool(text) and text.isascii() and text.isprintable()


def _session(options: argparse.Namespace, item: str, password: str | None) -> SessionConfig:
    begin_string, _, comp_id = item.partition(":")
    if begin_string not in FILES or not _is_name(comp_id):
        known = " or ".join(f"{name}:COMPID" for name in FILES)
        raise UsageError(f"--accept {item!r} names no session; write {known}")
    return SessionConfig(
        SessionId(begin_string, options.comp_id, comp_id),
        heartbeat_s=options.heartbeat,
        reset_on_logon=options.reset_on_logon,
        username=options.username,
        password=password,
        dialect=DIALECTS[getattr(options, "dialect", "plain")],
    )


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        raise UsageError(f"--password-file {path}: no password on its first line; put it there") from None


def _hours(text: str | None) -> Hours:
    try:
        return Hours(None if text is None else read_window(text))
    except WindowError as error:
        raise UsageError(f"--maintenance {error}") from None


def _tls(folder: Path | None) -> ssl.SSLContext | None:
    try:
        return None if folder is None else server_context(folder)
    except (OSError, TlsUnavailable) as error:
        raise UsageError(f"--tls {folder}: {error}") from None


def _store(options: argparse.Namespace) -> Store:
    if options.store is None:
        return MemoryStore()
    try:
        return FileStore(options.store, options.comp_id)
    except OSError as error:
        raise UsageError(f"--store {options.store}: {error.strerror}; choose another folder") from None
