"""`gateway certify VENUE`: play a venue's certification checklist over a real session and write the report.

Against the bundled simulator, started here, or with `--link` against the endpoint of a configured link.
The rows stand in `fix_specs/NAME.certify.toml`. The report is for people of the venue: every row with its
messages, the keys that are certified, and the keys that are not as questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click

from adapters.fix.broker import FixBroker
from adapters.fix.certification import (
    Checklist,
    ChecklistError,
    Conductor,
    Result,
    Row,
    Tape,
    Ticket,
    read_checklist,
)
from adapters.fix.dialects import DIALECTS, Venue
from adapters.fix.engine import ChildEngine
from adapters.fix.settings import FixSession
from adapters.fix.spool import last_seq
from gateway.cli.connect import make_folder
from gateway.cli.demo import prepare
from gateway.cli.root import DIFFERS, INTERRUPTED, OK, Context
from gateway.config import GatewayConfig, load
from gateway.errors import ConfigError
from gateway.links import make_broker
from gateway.runtime.clock import SystemClock
from simulator.stage import Stage, StageError

FAR, INTO = Decimal("0.5"), Decimal("0.01")
"""A buy at this share of the price works without filling; one that gives this much more fills at once."""

SIMULATED = ["--fill-delay-ms", "1200", "--partials", "2", "--seed", "3"]
TICK = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Say what is certified: the link of a configuration, and what to trade there."""

    config: GatewayConfig
    link: str
    symbol: str
    price: Decimal

    @property
    def venue(self) -> Venue:
        """Return the venue's dialect with the link's keys."""
        return self.config.fix_links()[self.link].spoken()

    def ticket(self) -> Ticket:
        """Return what the checklist trades."""
        tick, account = self._tick(), next(iter(self.config.accounts))
        buy_px, sell_px, far_px = ((self.price * share).quantize(tick) for share in (1 + INTO, 1 - INTO, FAR))
        return Ticket(account, self.link, self.symbol, buy_px, sell_px, far_px)

    def _tick(self) -> Decimal:
        instrument = self.config.settings().instruments.get(self.symbol)
        return instrument.tick_size if instrument is not None else TICK

    def shown(self) -> str:
        """Name the endpoint for people; no credentials."""
        link = self.config.fix_links()[self.link]
        tls = "TLS" if link.tls is not None else "no TLS"
        comp_ids = f"{link.sender_comp_id} to {link.target_comp_id}"
        return f"{self.venue.begin_string}, {comp_ids}, {link.host}:{link.port}, {tls} ({link.environment})"


@click.command()
@click.argument("venue")
@click.option("--link", default="", help="Certify with this link's endpoint, not with the bundled simulator.")
@click.option("--symbol", default="", help="What to trade; with --link it is required.")
@click.option("--price", default="", help="Its price about now; required with --link.")
@click.option("--row", "refs", multiple=True, help="Play only this row; may be given again.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1), default=40.0, show_default=True,
              help="Seconds a step may take.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), default=Path("certification"),
              show_default=True, help="The folder of the reports.")  # fmt: skip
@click.pass_obj
def certify(
    context: Context, venue: str, link: str, symbol: str, price: str, refs: tuple[str, ...],
    timeout_s: float, report: Path,
) -> int:  # fmt: skip
    """Run a venue's certification checklist and write a report to hand to the venue.

    VENUE is a dialect (`gateway venues` lists them). Real endpoints get real orders: one or a few lots
    of --symbol, bought and sold; a link whose environment is live is refused.
    """
    dialect = _dialect(venue)
    with contextlib.ExitStack() as stack:
        checklist = _checklist(dialect)
        rows = _rows(checklist, refs)
        if link:
            endpoint = _configured(load(context.config_path), dialect, link, symbol, _price(price))
        else:
            endpoint = stack.enter_context(
                _simulated(context.config_path.parent, dialect, checklist.simulator_options)
            )
        make_folder(report, "--report")
        begun = SystemClock().now()
        click.secho(f"{endpoint.venue.dialect.title}: {endpoint.shown()}", bold=True)
        results = asyncio.run(_play(endpoint, rows, timeout_s))
    paths = write_report(report, endpoint, results, begun)
    failed = [one for one in results if one.verdict != "passed"]
    click.secho(f"{len(results) - len(failed)} of {len(results)} rows passed", bold=True)
    click.echo(f"report: {paths[0]} and {paths[1].name}")
    if any(one.verdict == "not run" for one in results):
        return INTERRUPTED
    return DIFFERS if failed else OK


def _dialect(venue: str) -> str:
    name = venue.removesuffix("-fix")
    if name not in DIALECTS:
        raise click.UsageError(f"no venue {venue!r}; known: {', '.join(DIALECTS)}")
    return name


def _price(text: str) -> Decimal | None:
    try:
        found = Decimal(text) if text else None
    except InvalidOperation:
        found = Decimal(0)
    if found is not None and not (found.is_finite() and found > 0):
        raise click.UsageError(f"--price {text}: write a positive number")
    return found


def _checklist(dialect: str) -> Checklist:
    with as_file(files("fix_specs") / f"{dialect}.certify.toml") as path:
        try:
            return read_checklist(path)
        except ChecklistError as problem:
            raise ConfigError(str(problem)) from None


def _rows(checklist: Checklist, refs: Sequence[str]) -> list[Row]:
    """Return the rows asked for, the first of all (the session) before them."""
    rows = list(checklist.rows)
    missing = sorted(set(refs) - {row.ref for row in rows})
    if missing:
        names = ", ".join(row.ref for row in rows)
        raise click.UsageError(f"--row {missing[0]}: no such row; known: {names}")
    first = [rows[0]] if refs and rows[0].ref not in refs else []
    return first + [row for row in rows if not refs or row.ref in refs]


def _configured(
    config: GatewayConfig, dialect: str, link: str, symbol: str, price: Decimal | None
) -> Endpoint:
    """Return the endpoint of a configured link; raises when it is not meant for this."""
    section = config.fix_links().get(link)
    if section is None:
        raise click.UsageError(f"--link {link}: no such link; known: {', '.join(config.fix_links())}")
    if section.dialect != dialect:
        raise click.UsageError(f"--link {link}: it speaks {section.dialect}, not {dialect}")
    if section.environment == "live":
        raise click.UsageError(
            f"--link {link}: its environment is live; certify with the venue's test endpoint"
        )
    if not symbol or price is None:
        raise click.UsageError("--symbol and --price: write what to trade, and its price about now")
    return Endpoint(config, link, symbol, price)


@contextlib.contextmanager
def _simulated(folder: Path, dialect: str, options: Sequence[str]) -> Iterator[Endpoint]:
    """Start the bundled simulator in the venue's dialect, over TLS where its demonstration has TLS."""
    path = _config_of(folder, dialect)
    place = Path(tempfile.mkdtemp(prefix="gateway-certify-"))
    stage, config = prepare(path, place)
    stage.venue_options += [*SIMULATED, *options]
    try:
        try:
            stage.start_venue()
        except StageError as problem:
            raise ConfigError(str(problem)) from None
        with stage.prices.open(encoding="utf-8") as file:
            first = next(csv.DictReader(file))
        yield Endpoint(_pointed_at(config, stage), "sim", first["symbol"], Decimal(first["price"]))
    finally:
        stage.close()
        shutil.rmtree(place, ignore_errors=True)


def _config_of(folder: Path, dialect: str) -> Path:
    """Return the configuration whose only link speaks `dialect` with the simulator."""
    for path in [folder / "gateway.toml", *sorted(folder.glob("demo-*.toml"))]:
        if path.exists() and [one.dialect for one in load(path).fix_links().values()] == [dialect]:
            return path
    raise ConfigError(f"{folder}: no gateway.toml or demo-*.toml whose link speaks {dialect}; give --link")


def _pointed_at(config: GatewayConfig, stage: Stage) -> GatewayConfig:
    """Return the configuration with the stage's port, password and authority."""
    environment = stage.child_environment()
    values = config.fix_links()["sim"].model_dump(exclude_unset=True)
    values |= {"port": stage.port, "password": environment["GATEWAY_LINKS__SIM__PASSWORD"]}
    if stage.has_tls:
        values["tls"] = {"ca_file": environment["GATEWAY_LINKS__SIM__TLS__CA_FILE"]}
    link = type(config.fix_links()["sim"]).model_validate(values)
    return config.model_copy(update={"links": {"sim": link}})


async def _play(endpoint: Endpoint, rows: Sequence[Row], timeout_s: float) -> list[Result]:
    """Play the rows, showing each verdict as it falls."""
    clock = SystemClock()
    tape: list[str] = []
    config, link = endpoint.config, endpoint.link

    def engine(session: FixSession) -> Tape:
        return Tape(ChildEngine(session), tape.append)

    def make() -> FixBroker:
        return make_broker(link, config.fix_links()[link], config, clock, engine)

    with _quiet():
        after_seq = last_seq(Path(config.state_folder) / "fix" / link / "spool")
        conductor = Conductor(make, tape, endpoint.ticket(), clock.now, timeout_s, after_seq)
        return await conductor.run(rows, _told(len(rows)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the adapters would say of certification off the screen: this command is about it."""
    logger = logging.getLogger("gateway.app")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _told(count: int) -> Callable[[Result], None]:
    done = 0

    def tell(result: Result) -> None:
        nonlocal done
        done += 1
        colour = "green" if result.verdict == "passed" else "red"
        verdict = click.style(f"{result.verdict:8s}", fg=colour)
        click.echo(f"{done:3d}/{count}  {verdict} {result.row.ref:10s} {result.row.title}")
        if result.reason:
            click.echo(f"{'':18s}{result.reason}")

    return tell


def write_report(
    folder: Path, endpoint: Endpoint, results: Sequence[Result], begun: datetime
) -> tuple[Path, Path]:
    """Write the report for people (Markdown) and for programs (JSON); return both paths."""
    name = f"{endpoint.venue.dialect.name}-{begun:%Y%m%dT%H%M%SZ}"
    body = _body(endpoint, results, begun)
    markdown, document = folder / f"{name}.md", folder / f"{name}.json"
    document.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    markdown.write_text(_markdown(body), encoding="utf-8")
    return markdown, document


def _body(endpoint: Endpoint, results: Sequence[Result], begun: datetime) -> dict[str, Any]:
    venue = endpoint.venue
    keys = [key for key in venue.dialect.keys if key.is_open]
    return {
        "venue": venue.dialect.title,
        "dialect": venue.dialect.name,
        "endpoint": endpoint.shown(),
        "instrument": endpoint.symbol,
        "begun": begun.isoformat(timespec="seconds"),
        "software": f"rebalance-gateway {version('rebalance-gateway')}",
        "passed": sum(one.verdict == "passed" for one in results),
        "rows": [
            {
                "ref": one.row.ref, "title": one.row.title, "steps": list(one.row.steps),
                "verdict": one.verdict, "reason": one.reason, "messages": one.messages,
            }
            for one in results
        ],
        "keys": [
            {
                "name": key.name, "value": str(venue.settings.get(key.name, key.default)),
                "certified": key.name in venue.certified, "about": key.about,
            }
            for key in keys
        ],
    }  # fmt: skip


def _markdown(body: dict[str, Any]) -> str:
    """Lay the report out for people."""
    rows, keys = body["rows"], body["keys"]
    lines = [
        f"# Certification report: {body['venue']}", "",
        f"- endpoint: {body['endpoint']}", f"- instrument: {body['instrument']}",
        f"- begun: {body['begun']}", f"- software: {body['software']}",
        f"- result: {body['passed']} of {len(rows)} rows passed", "",
        "| row | what | verdict |", "|---|---|---|",
        *(f"| {one['ref']} | {one['title']} | {one['verdict']} |" for one in rows),
    ]  # fmt: skip
    for one in rows:
        lines += [
            "",
            f"## Row {one['ref']}: {one['title']}",
            "",
            f"{one['verdict']}: {'; '.join(one['steps'])}",
        ]
        lines += [f"Reason: {one['reason']}"] * bool(one["reason"])
        lines += ["", "```", *one["messages"], "```"]
    lines += ["", "## Questions: keys assumed, not certified", ""]
    lines += [
        f"- `{key['name']}` = `{key['value'] or '-'}`: {key['about']}. Is this right?"
        for key in keys if not key["certified"]
    ]  # fmt: skip
    certified = [key["name"] for key in keys if key["certified"]]
    lines += ["", f"Certified before: {', '.join(certified) or 'none'}"]
    return "\n".join(lines) + "\n"


COMMANDS = {"certify": certify}
